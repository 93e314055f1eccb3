//! Files of all formats, whole and damaged, as they are read.

use std::io::Write;
use std::path::Path;

use super::mapping::Mapping;
use super::problem::{Problem, ProblemKind};
use super::read::{self, Format, ReadError, ReadOptions};
use super::record::{Entry, ProductRecord, Status};

fn options() -> ReadOptions {
    ReadOptions {
        locale: "en".to_owned(),
        currency: "USD".to_owned(),
        weight_unit: "lb".to_owned(),
        length_unit: "in".to_owned(),
    }
}

fn try_read(
    text: &[u8],
    format: Format,
    mapping: Option<&str>,
) -> Result<(Vec<ProductRecord>, Vec<Problem>), ReadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let mapping =
        mapping.map(|mapping| Mapping::parse(mapping, Path::new("mapping.toml")).unwrap());
    let mut reader = read::open(file.path(), format, mapping.as_ref(), &options())?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.next_entry()? {
        match entry {
            Entry::Product(record) => good.push(*record),
            Entry::Refused(problems) => bad.extend(problems),
        }
    }
    Ok((good, bad))
}

fn read(text: &str, format: Format) -> (Vec<ProductRecord>, Vec<Problem>) {
    try_read(text.as_bytes(), format, None).unwrap()
}

fn kinds(problems: &[Problem]) -> Vec<(u64, ProblemKind)> {
    problems
        .iter()
        .map(|problem| (problem.line, problem.kind))
        .collect()
}

#[test]
fn spree_describes_once_and_adds_prices_below() {
    let text = "slug,sku,name,price,compare_at_price,currency,status,tags,category1,option1_name,option1_value,image1_src,width,dimensions_unit,weight,weight_unit,inventory_count,inventory_backorderable,track_inventory,custom_field.custom.power\n\
        kettle,K,Kettle,0,0,USD,active,\"tea, steel\",Kitchen -> Kettles,,,https://x/k.webp,,in,,lb,,FALSE,,2200W\n\
        kettle,K-B,,39.99,49.99,USD,,,,Color,Black,https://x/b.webp,7.9,in,2.4,lb,10,TRUE,TRUE,\n\
        lamp,L,Lamp,19.99,0,USD,draft,,,,,,,in,,lb,3,FALSE,TRUE,\n\
        kettle,K-B,,35.00,,EUR,,,,,,,,,,,,FALSE,,\n";
    let (good, bad) = read(text, Format::Spree);
    assert!(bad.is_empty(), "{bad:?}");
    let kettle = &good[0];
    assert!(!kettle.supplement && kettle.variants_complete);
    assert_eq!(
        kettle.variants.len(),
        1,
        "the row that describes is not sold"
    );
    let black = &kettle.variants[0];
    assert_eq!(
        black.options.as_ref().unwrap(),
        &[("Color".to_owned(), "Black".to_owned())]
    );
    assert_eq!(
        (black.prices[0].amount, black.prices[0].compare_at),
        (3999, Some(4999))
    );
    assert_eq!(
        (black.weight_grams, black.width_mm),
        (Some(Some(1089)), Some(Some(201)))
    );
    assert_eq!(
        black.stock.backorder_limit,
        Some(super::spree::UNLIMITED_BACKORDER)
    );
    assert_eq!(
        kettle.categories.as_ref().unwrap(),
        &[vec!["Kitchen".to_owned(), "Kettles".to_owned()]]
    );
    assert_eq!(kettle.attributes.as_ref().unwrap()[0].code, "power");
    let media = kettle.media.as_ref().unwrap();
    assert_eq!(
        (media[0].sku.as_deref(), media[1].sku.as_deref()),
        (None, Some("K-B"))
    );
    assert_eq!(
        (good[1].status, good[1].variants[0].sku.as_str()),
        (Some(Status::Draft), "L")
    );
    assert!(good[2].supplement);
    assert_eq!(good[2].variants[0].prices[0].currency, "EUR");
    assert_eq!(good[2].variants[0].options, None);
}

#[test]
fn shopify_rows_are_products_variants_and_pictures() {
    let text = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,Image Src,Image Position,Image Alt Text,Variant Image,SEO Title,Status,Fabric (product.metafields.custom.fabric)\n\
        tee,Tee,<p>Soft.</p><script>x()</script>,Oak & Co,Shirts,\"cotton, new\",true,Size,S,TEE-S,150,shopify,4,deny,20.00,25.00,https://x/1.jpg,1,Front,,Tee!,active,Cotton; Linen\n\
        tee,,,,,,,,M,,150,shopify,-2,continue,20.00,,https://x/2.jpg,2,Back,https://x/2.jpg,,,\n\
        tee,,,,,,,,,,,,,,,,https://x/3.jpg,3,Side,,,,\n\
        mug,Mug,,,,,false,Title,Default Title,MUG,300,,,deny,9.00,,,,,,,active,\n";
    let (good, bad) = read(text, Format::Shopify);
    assert!(bad.is_empty(), "{bad:?}");
    let tee = &good[0];
    assert_eq!(tee.texts["en"].description.as_deref(), Some("Soft."));
    assert_eq!(tee.brand, Some(Some("Oak & Co".to_owned())));
    assert_eq!(tee.variants.len(), 2);
    assert_eq!(
        tee.variants[1].sku, "TEE-M",
        "a SKU is made where there is none"
    );
    assert_eq!(tee.variants[1].stock.on_hand, Some(0));
    let media = tee.media.as_ref().unwrap();
    assert_eq!((media.len(), media[1].sku.as_deref()), (3, Some("TEE-M")));
    assert_eq!(
        tee.attributes.as_ref().unwrap()[0].values,
        ["Cotton", "Linen"]
    );
    assert_eq!(
        (good[1].status, good[1].variants[0].options.as_deref()),
        (Some(Status::Draft), Some(&[][..]))
    );
    assert_eq!(good[1].variants[0].stock.tracked, Some(false));
}

#[test]
fn magento_puts_parts_together_wherever_they_stand() {
    let text = "sku,store_view_code,attribute_set_code,product_type,categories,name,description,price,special_price,special_price_from_date,special_price_to_date,url_key,visibility,product_online,configurable_variations,configurable_variation_labels,additional_attributes,qty,base_image,additional_images,weight\n\
        H-S,,Top,simple,,Hoodie S,,52,,,,hoodie-s,Not Visible Individually,1,,,,7,/h/s.jpg,,1\n\
        H,,Top,configurable,\"Default Category/Men/Hoodies,Default Category/Sale\",Hoodie,<p>Warm</p>,,,,,hoodie,\"Catalog, Search\",1,\"sku=H-S,size=S|sku=H-M,size=M\",size=Size,\"material=Wool|Cotton,climate=Cold, dry\",,/h/h.jpg,\"/h/h2.jpg,/h/h3.jpg\",\n\
        H,de_DE,Top,configurable,,Kapuzenpulli,,,,,,,,,,,,,,,\n\
        H-M,,Top,simple,,Hoodie M,,54,49,1/1/26,1/31/26,hoodie-m,Not Visible Individually,1,,,,0,,,1\n\
        G,,Top,grouped,,Group,,1,,,,group,,1,,,,,,,\n\
        B,,Top,simple,Default Category,Bag,,30,25,,,bag,\"Catalog, Search\",2,,,,3,,,\n\
        X,,Top,configurable,,Lost,,,,,,lost,,1,\"sku=GONE,size=S\",,,,,,\n";
    let (good, bad) = read(text, Format::Magento);
    assert_eq!(
        kinds(&bad),
        [
            (6, ProblemKind::UnknownValue),
            (8, ProblemKind::UnknownVariant)
        ]
    );
    let hoodie = &good[0];
    assert_eq!((hoodie.slug.as_str(), hoodie.variants.len()), ("hoodie", 2));
    assert_eq!(
        hoodie.variants[1].options.as_ref().unwrap()[0],
        ("Size".to_owned(), "M".to_owned())
    );
    assert_eq!(
        hoodie.variants[1].prices.len(),
        2,
        "the usual price and the special one"
    );
    assert_eq!(hoodie.categories.as_ref().unwrap().len(), 2);
    let attributes = hoodie.attributes.as_ref().unwrap();
    assert_eq!(
        (attributes[0].values.len(), attributes[1].values[0].as_str()),
        (2, "Cold, dry")
    );
    assert_eq!(hoodie.media.as_ref().unwrap().len(), 4);
    assert_eq!(
        (good[1].slug.as_str(), good[1].supplement),
        ("hoodie", true)
    );
    assert_eq!(good[1].texts["de-de"].name.as_deref(), Some("Kapuzenpulli"));
    let bag = &good[2];
    assert_eq!(
        (
            bag.variants[0].prices[0].amount,
            bag.variants[0].prices[0].compare_at
        ),
        (2500, Some(3000))
    );
    assert_eq!(bag.status, Some(Status::Draft));
}

#[test]
fn panono_json_says_none_and_nothing_apart() {
    let (good, bad) = read(
        r#"{"slug":"a","brand":null,"texts":{"en":{"name":"A"}},"variants":[{"sku":"A","prices":[{"currency":"JPY","amount":"100"}],"weight_grams":null}]}
{"slug":"b","texts":{"zh-CN":{"name":"乙"}}}
"#,
        Format::Panono,
    );
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(
        (good[0].brand.as_ref(), good[1].brand.as_ref()),
        (Some(&None), None)
    );
    assert_eq!(
        (
            good[0].variants[0].weight_grams,
            good[0].variants[0].length_mm
        ),
        (Some(None), None)
    );
    assert_eq!(good[0].variants[0].prices[0].amount, 100);
    assert!(good[0].variants_complete && !good[1].variants_complete);
    assert!(good[1].texts.contains_key("zh-cn"));
}

const MAPPING: &str = r#"
[file]
group = "Id"
currency = "EUR"
weight_unit = "kg"
[product]
name = "Title"
slug = { from = ["Title", "Id"], transform = ["slugify"] }
status = { from = "Live", lookup = "live" }
tags = { from = "Words", split = ";", transform = ["lowercase"] }
published_at = { from = "Since", date = "[day].[month].[year]" }
[product.categories]
paths = { from = "Group", prefix = "Shop/" }
separator = "/"
[[attribute]]
code = "power"
name = "Power"
kind = "number"
unit = "W"
values = { from = "kW", multiply = 1000 }
[variant]
sku = "Code"
price = "Cents"
minor_units = true
stock = { from = "Stock", default = 0 }
weight = "Weight"
[[option]]
name = { value = "Size" }
value = "Size"
[[media]]
url = { from = "Pictures", split = " " }
[lookup.live]
yes = "active"
no = "draft"
"#;

#[test]
fn a_mapping_reads_rows_that_belong_together() {
    let text = "Id;Title;Live;Words;Since;Group;kW;Code;Cents;Stock;Weight;Size;Pictures\n\
        1;Heater;yes;Warm;31.12.2025;Heating;1.5;H-S;1999;;2.5;S;https://x/1 https://x/2\n\
        1;Heater;yes;Warm;31.12.2025;Heating;1.5;H-L;2999;4;3;L;\n\
        2;Fan;maybe;;;Cooling;;F;100;;;S;\n\
        3;Fan;no;;12/31;Cooling;;F2;1x;;;S;\n";
    let (good, bad) = try_read(text.as_bytes(), Format::Panono, Some(MAPPING)).unwrap();
    assert_eq!(
        kinds(&bad),
        [
            (4, ProblemKind::NoLookup),
            (5, ProblemKind::BadDate),
            (5, ProblemKind::BadNumber)
        ]
    );
    let heater = &good[0];
    assert_eq!(
        (heater.slug.as_str(), heater.variants.len()),
        ("heater-1", 2)
    );
    assert_eq!(heater.attributes.as_ref().unwrap()[0].values, ["1500"]);
    assert_eq!(
        (
            heater.variants[0].prices[0].amount,
            heater.variants[1].prices[0].currency.as_str()
        ),
        (1999, "EUR")
    );
    assert_eq!(heater.variants[0].weight_grams, Some(Some(2500)));
    assert_eq!(
        (
            heater.variants[0].stock.on_hand,
            heater.variants[1].stock.on_hand
        ),
        (Some(0), Some(4))
    );
    assert_eq!(heater.categories.as_ref().unwrap()[0], ["Shop", "Heating"]);
    assert!(heater.published_at.flatten().is_some());
    assert_eq!(heater.media.as_ref().unwrap().len(), 2);
}

#[test]
fn a_mapping_of_columns_that_the_file_lacks_is_refused() {
    let error = try_read(b"a,b\n1,2\n", Format::Panono, Some(MAPPING))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("Title") && error.contains("it begins with a, b"),
        "{error}"
    );
}

#[test]
fn the_mapping_that_is_shipped_reads_elements() {
    let element = r#"[{"id":1,"title":"Lip Balm","description":"Soft & warm","category":"beauty","price":9.99,"discountPercentage":10.48,"stock":5,"tags":["lips"],"sku":"LB-1","weight":4,"dimensions":{"width":1,"height":2.5,"depth":3},"warrantyInformation":"1 week","shippingInformation":"1 day","returnPolicy":"30 days","meta":{"createdAt":"2025-04-30T09:41:02.053Z","barcode":"12"},"images":["https://x/1","https://x/2"]},
        {"id":2,"title":"Odd","category":"unheard of","price":{"a":1},"sku":"O"}]"#;
    let (good, bad) = try_read(
        element.as_bytes(),
        Format::Panono,
        Some(include_str!("../../examples/dummyjson.toml")),
    )
    .unwrap();
    assert_eq!(
        kinds(&bad),
        [
            (2, ProblemKind::NoLookup),
            (2, ProblemKind::WrongType),
            (2, ProblemKind::WrongType)
        ]
    );
    let balm = &good[0];
    assert_eq!(balm.slug, "lip-balm-1");
    assert_eq!(
        (
            balm.variants[0].prices[0].amount,
            balm.variants[0].prices[0].compare_at
        ),
        (894, Some(999))
    );
    assert_eq!(
        (balm.variants[0].weight_grams, balm.variants[0].height_mm),
        (Some(Some(113)), Some(Some(25)))
    );
    assert_eq!(
        balm.categories.as_ref().unwrap()[0],
        ["Beauty & Care", "Make-up"]
    );
    assert_eq!(balm.media.as_ref().unwrap()[1].alt, "Lip Balm");
}

/// One damaged row at a time, between two good ones: the good ones arrive, the bad one is named.
#[test]
fn each_kind_of_damage_is_named_and_costs_one_product() {
    let long = "x".repeat(300);
    let huge = "y".repeat(1_100_000);
    let header = "slug,status,published_at,categories,name:en,option1_name,option1_value,sku,price:USD,scheduled_prices,on_hand";
    for (row, kind) in [
        (
            "b,active,,,B,,,B,1.00,,1,extra".to_owned(),
            ProblemKind::ColumnCount,
        ),
        (
            "b,active,,,\"B,,,B,1.00,,1".to_owned(),
            ProblemKind::BrokenQuoting,
        ),
        (
            "b,active,,,\"B\"x,,,B,1.00,,1".to_owned(),
            ProblemKind::BrokenQuoting,
        ),
        ("b,active,,,B,,,B,one,,1".to_owned(), ProblemKind::BadNumber),
        (
            "b,active,,,B,,,B,-1.00,,1".to_owned(),
            ProblemKind::Negative,
        ),
        (
            "b,active,,,B,,,B,1.005,,1".to_owned(),
            ProblemKind::BadNumber,
        ),
        (
            "b,active,,,B,,,B,1.00,,1.5".to_owned(),
            ProblemKind::BadNumber,
        ),
        ("b,active,,,B,,,,1.00,,1".to_owned(), ProblemKind::Missing),
        (",active,,,B,,,B,1.00,,1".to_owned(), ProblemKind::Missing),
        (
            "b,active,,,B,,,B,1.00,,1\nb,,,,,,,B,1.00,,1".to_owned(),
            ProblemKind::DuplicateSku,
        ),
        (
            format!("b,active,,,{long},,,B,1.00,,1"),
            ProblemKind::TooLong,
        ),
        (
            format!("b,active,,,B,,,B{long},1.00,,1"),
            ProblemKind::TooLong,
        ),
        (
            format!("b,active,,,{huge},,,B,1.00,,1"),
            ProblemKind::TooLarge,
        ),
        (
            "b,active,,,B,,,B,1.00,XXY 3,1".to_owned(),
            ProblemKind::UnknownCurrency,
        ),
        (
            "b,active,31.12.2026,,B,,,B,1.00,,1".to_owned(),
            ProblemKind::BadDate,
        ),
        (
            "b,active,,,B,,,B,1.00,USD 3 from 2026-02-01 until 2026-01-01,1".to_owned(),
            ProblemKind::BadPeriod,
        ),
        (
            "b,sold,,,B,,,B,1.00,,1".to_owned(),
            ProblemKind::UnknownValue,
        ),
        (
            "b,active,,A > a,B,,,B,1.00,,1".to_owned(),
            ProblemKind::BadCategory,
        ),
        (
            "b,active,,A > - ,B,,,B,1.00,,1".to_owned(),
            ProblemKind::BadCategory,
        ),
        (
            "b,active,,,B,Size,S,B,1.00,,1\nb,,,,,Color,Red,B2,1.00,,1".to_owned(),
            ProblemKind::OptionMismatch,
        ),
        (
            "b,active,,,B,Size,S,B,1.00,,1\nb,,,,,Size,S,B2,1.00,,1".to_owned(),
            ProblemKind::OptionMismatch,
        ),
        (
            "B b,active,,,B,,,B,1.00,,1".to_owned(),
            ProblemKind::BadSlug,
        ),
    ] {
        let text = format!("{header}\na,active,,,A,,,A,1.00,,1\n{row}\nc,active,,,C,,,C,1.00,,1\n");
        let (good, bad) = read(&text, Format::Panono);
        let slugs: Vec<&str> = good.iter().map(|record| record.slug.as_str()).collect();
        assert_eq!(slugs, ["a", "c"], "{kind:?}");
        assert!(
            bad.iter().any(|problem| problem.kind == kind),
            "{kind:?}: {bad:?}"
        );
        assert!(
            bad.iter()
                .all(|problem| (3..=4).contains(&problem.line) && !problem.advice.is_empty()),
            "{bad:?}"
        );
    }
}

#[test]
fn a_place_among_the_featured_is_one_that_can_be_kept() {
    for (text, featured) in [
        (
            "slug,name:en,featured\na,A,2147483648\nb,B,-2147483648\n",
            i64::from(i32::MIN),
        ),
        (
            "{\"slug\":\"a\",\"featured\":-2147483649,\"texts\":{\"en\":{\"name\":\"A\"}}}\n\
             {\"slug\":\"b\",\"featured\":2147483647,\"texts\":{\"en\":{\"name\":\"B\"}}}\n",
            i64::from(i32::MAX),
        ),
    ] {
        let (good, bad) = read(text, Format::Panono);
        assert!(
            bad.iter()
                .any(|problem| problem.kind == ProblemKind::BadNumber && *problem.product == *"a"),
            "{bad:?}"
        );
        let kept = good.iter().find(|record| record.slug == "b");
        assert_eq!(kept.and_then(|record| record.featured), Some(featured));
    }
}

#[test]
fn a_damaged_row_takes_nothing_away_from_its_neighbours() {
    let text =
        "slug,name:en,sku,price:USD\na,A,A-1,1.00\na,,A-2,1.00,x\nb,B,B-1,1.00\nc,C,C-1,1.00\n";
    let (good, bad) = read(text, Format::Panono);
    assert_eq!(bad.len(), 1);
    assert_eq!(
        good.iter()
            .map(|record| record.variants_complete)
            .collect::<Vec<_>>(),
        [false, false, true]
    );
}

#[test]
fn files_of_another_kind_are_refused_as_a_whole() {
    for (text, format, words) in [
        ("", Format::Panono, "is empty"),
        (
            "slug,colour\na,b\n",
            Format::Panono,
            "unknown columns \"colour\"",
        ),
        ("Handle,Title\n", Format::Spree, "--format"),
        ("{\"slug\":\"a\"}", Format::Magento, "are CSV"),
        ("\"slug\n", Format::Panono, "header"),
    ] {
        let error = try_read(text.as_bytes(), format, None)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn json_of_wrong_types_is_named_with_its_line() {
    let text = "[{\"slug\":\"a\",\"texts\":{\"en\":{\"name\":\"A\"}},\"variants\":[]},\n\
        {\"slug\":7},\n{\"slug\":\"b\",\"colour\":1},\n{\"slug\":\"c\",\"texts\":{\"English\":{\"name\":\"C\"}}},\n\
        {\"slug\":\"d\",\"variants\":[{\"sku\":\"D\",\"stock\":{\"on_hand\":-1}}]},\n\
        {\"slug\":\"e\" \"f\"}]";
    let (good, bad) = read(text, Format::Panono);
    assert_eq!(good.len(), 1);
    assert_eq!(
        kinds(&bad),
        [
            (2, ProblemKind::WrongType),
            (3, ProblemKind::WrongType),
            (4, ProblemKind::UnknownValue),
            (5, ProblemKind::Negative),
            (6, ProblemKind::Syntax)
        ]
    );
}
