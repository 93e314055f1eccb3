//! A shop with everything in it that pages must cope with: long and hostile names, missing pictures, empty shelves.

use super::i18n::Locale;
use super::money::{Currency, Money};
use super::prose;
use super::urls::{Cursor, ListingPage, ListingQuery, Sort};
use super::view::*;

pub(super) fn site() -> Site {
    Site {
        name: "Hearth & Grain".to_owned(),
        tagline: "Everyday objects, made slowly and made to last.".to_owned(),
        origin: "https://shop.example".to_owned(),
        locales: vec![Locale::En, Locale::ZhCn],
        currencies: vec![Currency::EUR, Currency::USD, Currency::CNY],
        email: Some("hello@shop.example".to_owned()),
    }
}

/// Either of two texts, by language.
fn either(locale: Locale, english: &str, chinese: &str) -> String {
    match locale {
        Locale::En => english.to_owned(),
        Locale::ZhCn => chinese.to_owned(),
    }
}

fn menu_category(
    locale: Locale,
    slug: &str,
    english: &str,
    chinese: &str,
    children: Vec<MenuCategory>,
) -> MenuCategory {
    MenuCategory {
        slug: slug.to_owned(),
        name: either(locale, english, chinese),
        children,
    }
}

pub(super) fn frame(locale: Locale, currency: Currency) -> Frame {
    let leaf = |slug: &str, english: &str, chinese: &str| {
        menu_category(locale, slug, english, chinese, Vec::new())
    };
    let kitchen = vec![
        menu_category(
            locale,
            "drinkware",
            "Drinkware",
            "杯具",
            vec![
                leaf("mugs", "Mugs", "马克杯"),
                leaf("teapots", "Teapots", "茶壶"),
            ],
        ),
        menu_category(
            locale,
            "tableware",
            "Tableware",
            "餐具",
            vec![
                leaf("bowls", "Bowls", "碗"),
                leaf("plates", "Plates", "盘子"),
            ],
        ),
        leaf("boards", "Boards and knives", "砧板与刀具"),
        leaf("textiles", "Aprons and towels", "围裙与毛巾"),
    ];
    let living = vec![
        leaf("lamps", "Lamps", "灯具"),
        leaf("vases", "Vases", "花瓶"),
        leaf("cushions", "Cushions", "靠垫"),
    ];
    let link = |english: &str, chinese: &str, target: LinkTarget| Link {
        label: either(locale, english, chinese),
        target,
    };
    Frame {
        locale,
        currency,
        menu: vec![
            menu_category(locale, "kitchen", "Kitchen and table", "厨房餐桌", kitchen),
            menu_category(locale, "living", "Living", "家居", living),
            leaf("furniture", "Furniture", "家具"),
            leaf("stationery", "Stationery", "文具"),
            leaf("gifts", "Gifts", "礼物"),
        ],
        footer: vec![
            LinkGroup {
                heading: either(locale, "Help", "帮助"),
                links: vec![
                    link("Shipping", "配送", LinkTarget::Page("shipping".to_owned())),
                    link("Returns", "退货", LinkTarget::Page("returns".to_owned())),
                    link(
                        "Contact",
                        "联系我们",
                        LinkTarget::Page("contact".to_owned()),
                    ),
                ],
            },
            LinkGroup {
                heading: either(locale, "About", "关于"),
                links: vec![
                    link(
                        "Our workshop",
                        "我们的工坊",
                        LinkTarget::Page("workshop".to_owned()),
                    ),
                    link(
                        "Imprint",
                        "版权信息",
                        LinkTarget::Page("imprint".to_owned()),
                    ),
                    link(
                        "Privacy",
                        "隐私政策",
                        LinkTarget::Page("privacy".to_owned()),
                    ),
                ],
            },
        ],
    }
}

pub(super) fn picture(hash: &str) -> Picture {
    Picture {
        hash: hash.to_owned(),
        width: 1200,
        height: 1200,
        alt: String::new(),
    }
}

fn money(minor: i64, currency: Currency) -> Money {
    Money::new(minor, currency)
}

pub(super) fn cards(locale: Locale, currency: Currency) -> Vec<ProductCard> {
    let table = [
        (
            "stone-mug",
            "Stone mug",
            "石纹马克杯",
            Some("Atelier Nord"),
            Some("mug"),
            2_400,
            None,
            Availability::InStock,
        ),
        (
            "linen-apron",
            "Cross-back apron in washed linen",
            "水洗亚麻交叉背围裙",
            Some("Flax"),
            Some("bag"),
            5_900,
            Some(7_400),
            Availability::Low,
        ),
        (
            "oak-board",
            "Oak cutting board",
            "橡木砧板",
            None,
            Some("board"),
            3_800,
            None,
            Availability::InStock,
        ),
        (
            "arc-lamp",
            "Arc table lamp",
            "弧形台灯",
            Some("Lumen Works"),
            Some("lamp"),
            14_900,
            None,
            Availability::Out,
        ),
        (
            "no-picture",
            "Salt cellar without a picture",
            "还没有图片的盐罐",
            Some("Atelier Nord"),
            None,
            1_800,
            None,
            Availability::InStock,
        ),
        (
            "long-name",
            "The extraordinarily long-winded name of a hand-thrown, double-glazed, oven-proof, stackable serving bowl Donaudampfschifffahrtsgesellschaftskapitän",
            "一只名字特别特别长的手工拉坯双层釉面可进烤箱可叠放大号分享碗",
            Some("Atelier Nord"),
            Some("bowl"),
            1_234_550,
            Some(1_543_200),
            Availability::InStock,
        ),
        (
            "teapot",
            "Iron teapot",
            "铸铁茶壶",
            Some("Kiku"),
            Some("teapot"),
            8_900,
            None,
            Availability::Low,
        ),
        (
            "vase",
            "Tall vase",
            "高花瓶",
            Some("Atelier Nord"),
            Some("vase"),
            6_400,
            Some(6_500),
            Availability::InStock,
        ),
    ];
    table
        .into_iter()
        .map(
            |(slug, english, chinese, brand, hash, amount, before, availability)| ProductCard {
                slug: slug.to_owned(),
                name: either(locale, english, chinese),
                brand: brand.map(str::to_owned),
                picture: hash.map(picture),
                price: Price {
                    compare_at: before.map(|before| money(before, currency)),
                    lowest_30_days: before.map(|before| money(before - 300, currency)),
                    ..Price::plain(money(amount, currency))
                },
                price_varies: slug == "vase",
                availability,
                is_new: slug == "stone-mug",
            },
        )
        .collect()
}

fn tiles(locale: Locale) -> Vec<CategoryTile> {
    [
        ("mugs", "Mugs", "马克杯", Some("mug"), Some(48)),
        ("vases", "Vases", "花瓶", Some("vase"), Some(1)),
        ("lamps", "Lamps", "灯具", Some("lamp"), Some(1_204)),
        ("gifts", "Gifts", "礼物", None, None),
    ]
    .into_iter()
    .map(|(slug, english, chinese, hash, count)| CategoryTile {
        slug: slug.to_owned(),
        name: either(locale, english, chinese),
        picture: hash.map(picture),
        count,
    })
    .collect()
}

pub(super) fn home(locale: Locale, currency: Currency) -> HomeView {
    HomeView {
        hero: Hero {
            heading: either(locale, "Things worth keeping", "值得留下的好物"),
            text: either(
                locale,
                "Stoneware, linen and oak from small workshops. Chosen for how they feel on an ordinary Tuesday.",
                "来自小作坊的陶器、亚麻与橡木。为平常日子里的每一次触摸而选。",
            ),
            link: Some(Link {
                label: either(locale, "See what is new", "看看新品"),
                target: LinkTarget::Category("kitchen".to_owned()),
            }),
            picture: Some(Picture {
                alt: either(
                    locale,
                    "A stoneware vase in morning light",
                    "晨光中的陶瓷花瓶",
                ),
                ..picture("hero")
            }),
        },
        categories: tiles(locale),
        sections: vec![
            ProductSection {
                heading: either(locale, "Just in", "新到"),
                products: cards(locale, currency).into_iter().take(4).collect(),
                more: Some(LinkTarget::Category("kitchen".to_owned())),
            },
            ProductSection {
                heading: either(locale, "Favourites", "人气之选"),
                products: cards(locale, currency).into_iter().skip(4).collect(),
                more: None,
            },
        ],
        seo_title: String::new(),
        seo_description: String::new(),
    }
}

fn facets(locale: Locale) -> Vec<Facet> {
    let facet = |code: &str, english: &str, chinese: &str, values: &[(&str, &str, u64)]| Facet {
        code: code.to_owned(),
        name: either(locale, english, chinese),
        values: values
            .iter()
            .map(|(english, chinese, count)| FacetValue {
                value: (*english).to_owned(),
                label: either(locale, english, chinese),
                count: *count,
            })
            .collect(),
    };
    let sizes: Vec<String> = (1..=12)
        .map(|number| format!("{} cm", number * 4))
        .collect();
    let sizes: Vec<(&str, &str, u64)> = sizes
        .iter()
        .map(|size| (size.as_str(), size.as_str(), 3))
        .collect();
    vec![
        facet(
            "brand",
            "Brand",
            "品牌",
            &[
                ("Atelier Nord", "Atelier Nord", 24),
                ("Kiku", "Kiku", 9),
                ("Flax", "Flax", 1_204),
            ],
        ),
        facet(
            "color",
            "Colour",
            "颜色",
            &[
                ("blue", "蓝色", 12),
                ("sand", "沙色", 31),
                ("black, matt", "哑光黑", 4),
            ],
        ),
        facet("height", "Height", "高度", &sizes),
    ]
}

pub(super) fn query(locale_currency: Currency) -> ListingQuery {
    ListingQuery::empty(locale_currency)
}

pub(super) fn listing(locale: Locale, query: ListingQuery, page: ListingPage) -> Listing {
    let currency = query.currency;
    let mut products = cards(locale, currency);
    products.extend(cards(locale, currency).into_iter().take(4));
    Listing {
        page,
        query,
        products,
        total: Some(Total::Exactly(48)),
        facets: facets(locale),
        price_bounds: Some((money(1_800, currency), money(14_900, currency))),
        previous: None,
        next: Some(Cursor::After("MTIzNDU2".to_owned())),
    }
}

pub(super) fn category(locale: Locale, query: ListingQuery) -> CategoryView {
    CategoryView {
        slug: "drinkware".to_owned(),
        name: either(locale, "Drinkware", "杯具"),
        description: prose::parse(&either(
            locale,
            "Mugs, cups and pots that are thrown by hand and fired twice. *No two are the same.*",
            "手工拉坯、两次烧成的杯与壶。*没有两只完全相同。*",
        )),
        ancestors: vec![Crumb {
            slug: "kitchen".to_owned(),
            name: either(locale, "Kitchen and table", "厨房餐桌"),
        }],
        children: tiles(locale).into_iter().take(2).collect(),
        listing: listing(locale, query, ListingPage::Category),
        locales: Locale::ALL.to_vec(),
        seo_title: String::new(),
        seo_description: String::new(),
        picture: Some(picture("mug")),
    }
}

pub(super) fn filtered_query(currency: Currency) -> ListingQuery {
    let mut query = query(currency)
        .toggled("color", "sand")
        .toggled("color", "black, matt")
        .toggled("brand", "Kiku");
    query.min_price = Some(money(2_000, currency));
    query.max_price = Some(money(9_950, currency));
    query.sort = Some(Sort::PriceAscending);
    query
}

pub(super) fn product(locale: Locale, currency: Currency) -> ProductView {
    let mut variants = Vec::new();
    for (place, colour) in [(0, ("Sand", "沙色")), (1, ("Midnight blue", "深夜蓝"))] {
        for (number, size) in ["0.25 l", "0.35 l", "0.5 l"].into_iter().enumerate() {
            let out = number == 2 && place == 1;
            variants.push(Variant {
                sku: format!("MUG-{place}-{number}"),
                gtin: (number == 0).then(|| "4006381333931".to_owned()),
                values: vec![either(locale, colour.0, colour.1), size.to_owned()],
                price: Price {
                    compare_at: (number < 2).then(|| money(2_900, currency)),
                    lowest_30_days: (number < 2).then(|| money(2_600, currency)),
                    valid_until: time::Date::from_calendar_date(2026, time::Month::June, 30).ok(),
                    ..Price::plain(money([2_400, 2_400, 3_200][number], currency))
                },
                availability: if out {
                    Availability::Out
                } else if number == 1 {
                    Availability::Low
                } else {
                    Availability::InStock
                },
                picture: Some(place),
            });
        }
    }
    let attribute = |english: (&str, &str), chinese: (&str, &str)| Attribute {
        name: either(locale, english.0, chinese.0),
        values: vec![either(locale, english.1, chinese.1)],
    };
    ProductView {
        slug: "stone-mug".to_owned(),
        name: either(locale, "Stone mug", "石纹马克杯"),
        brand: Some(BrandLink {
            name: "Atelier Nord".to_owned(),
            target: Some(LinkTarget::Search("Atelier Nord".to_owned())),
        }),
        categories: vec![
            Crumb {
                slug: "kitchen".to_owned(),
                name: either(locale, "Kitchen and table", "厨房餐桌"),
            },
            Crumb {
                slug: "mugs".to_owned(),
                name: either(locale, "Mugs", "马克杯"),
            },
        ],
        pictures: vec![picture("mug"), picture("mug-blue"), picture("teapot")],
        options: vec![
            either(locale, "Colour", "颜色"),
            either(locale, "Volume", "容量"),
        ],
        variants,
        description: prose::parse(&either(
            locale,
            "A mug with some weight to it. The clay is **left bare outside**, so it warms slowly and never slips; inside is a glaze that tea does not stain.\n\n## Care\n- Dishwasher and microwave safe\n- Lift it by its belly, not by its handle, while it is wet\n\n> The first thing I reach for in the morning.\n\nSee [shipping](/en/pages/shipping).",
            "一只有分量的杯子。外壁**保留素坯**，升温缓慢、握持不滑；内壁施釉，不留茶渍。\n\n## 保养\n- 可进洗碗机与微波炉\n- 湿的时候请握杯身，不要只提杯耳\n\n> 每天早上我第一个伸手去拿的东西。\n\n参见[配送说明](/zh-cn/pages/shipping)。",
        )),
        attributes: vec![
            attribute(
                ("Material", "Stoneware, food-safe glaze"),
                ("材质", "炻器，食品级釉"),
            ),
            attribute(("Height", "9 cm"), ("高度", "9 cm")),
            attribute(("Made in", "Portugal"), ("产地", "葡萄牙")),
        ],
        tags: vec![
            either(locale, "handmade", "手工"),
            either(locale, "dishwasher safe", "可进洗碗机"),
        ],
        related: cards(locale, currency)
            .into_iter()
            .skip(2)
            .take(4)
            .collect(),
        is_new: true,
        locales: Locale::ALL.to_vec(),
        seo_title: String::new(),
        seo_description: String::new(),
    }
}

/// A product of which everything is missing that can be.
pub(super) fn bare_product(locale: Locale, currency: Currency) -> ProductView {
    let mut product = product(locale, currency);
    product.slug = "no-picture".to_owned();
    product.name = either(locale, "Salt cellar without a picture", "还没有图片的盐罐");
    product.brand = None;
    product.pictures.clear();
    product.options.clear();
    product.variants.truncate(1);
    product.variants[0].values.clear();
    product.variants[0].price = Price::plain(money(1_800, currency));
    product.variants[0].availability = Availability::Out;
    product.description.clear();
    product.attributes.clear();
    product.tags.clear();
    product.related.clear();
    product.is_new = false;
    product
}

pub(super) fn search(locale: Locale, currency: Currency) -> SearchView {
    let query = ListingQuery {
        search: Some(either(locale, "stone mug", "石纹 杯")),
        ..query(currency)
    };
    SearchView {
        listing: listing(locale, query, ListingPage::Search),
        did_you_mean: None,
        suggestions: Vec::new(),
        categories: Vec::new(),
    }
}

pub(super) fn search_without_results(locale: Locale, currency: Currency) -> SearchView {
    let query = ListingQuery {
        search: Some("mgu".to_owned()),
        ..query(currency)
    };
    let mut listing = listing(locale, query, ListingPage::Search);
    listing.products.clear();
    listing.facets.clear();
    listing.total = Some(Total::Exactly(0));
    listing.price_bounds = None;
    listing.next = None;
    SearchView {
        listing,
        did_you_mean: Some(either(locale, "mug", "马克杯")),
        suggestions: vec![
            either(locale, "teapot", "茶壶"),
            either(locale, "stoneware", "陶器"),
        ],
        categories: tiles(locale),
    }
}

pub(super) fn content(locale: Locale) -> ContentView {
    ContentView {
        slug: "shipping".to_owned(),
        title: either(locale, "Shipping and delivery", "配送说明"),
        body: prose::parse(&either(
            locale,
            "We send every working day until **2 pm**. A parcel takes one to three days within the EU.\n\n## What it costs\n1. Under €60: €4.90\n2. Above: nothing\n\n### Islands\nPlease add two days.\n\n> Packed in paper, never in plastic.\n\nQuestions? [Write to us](mailto:hello@shop.example).",
            "工作日**下午两点**前的订单当天寄出，欧盟境内一至三天送达。\n\n## 费用\n1. 不满 €60：€4.90\n2. 满 €60：免费\n\n### 海岛\n请多预留两天。\n\n> 只用纸，不用塑料。\n\n有疑问？请[写信给我们](mailto:hello@shop.example)。",
        )),
        updated_on: time::Date::from_calendar_date(2026, time::Month::March, 3).ok(),
        locales: Locale::ALL.to_vec(),
        seo_description: String::new(),
    }
}
