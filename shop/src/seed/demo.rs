//! A small shop that looks like one: the products of the demo.

use std::collections::{BTreeMap, BTreeSet};

use time::macros::datetime;
use time::{Duration, PrimitiveDateTime};

use crate::import::record::{
    AttributeKind, AttributeRecord, MediaRecord, OptionRecord, ProductRecord, Status, StockRecord,
    TextRecord, VariantRecord,
};

use super::demo_products::{DEMO, Demo, Stock};
use super::generate::price;

/// The demo's winter sale: far enough away that it stays scheduled.
const SALE_BEGINS: PrimitiveDateTime = datetime!(2099-11-27 0:00);
/// Its end.
const SALE_ENDS: PrimitiveDateTime = datetime!(2099-12-02 0:00);
/// When the first product was published.
const FIRST: PrimitiveDateTime = datetime!(2026-03-02 8:00);

/// Pictures of each product.
pub const PICTURES: u64 = 2;

/// The number that a product's picture is drawn by.
#[must_use]
pub fn picture_number(product: u64, picture: u64) -> u64 {
    product * PICTURES + picture
}

/// All products of the demo. `hash_of` gives the picture of a kind and number, where there are pictures.
#[must_use]
pub fn products(
    currencies: &[String],
    hash_of: &dyn Fn(&str, u64) -> Option<String>,
) -> Vec<ProductRecord> {
    (1_u64..)
        .zip(DEMO)
        .map(|(number, demo)| product(number, demo, currencies, hash_of))
        .collect()
}

fn product(
    number: u64,
    demo: &Demo,
    currencies: &[String],
    hash_of: &dyn Fn(&str, u64) -> Option<String>,
) -> ProductRecord {
    let (name, name_zh) = demo.name;
    let (description, description_zh) = demo.description;
    let published = i64::try_from(number)
        .ok()
        .and_then(|day| FIRST.checked_add(Duration::days(day * 2)));
    let text = |name: &str, description: &str| TextRecord {
        name: Some(name.to_owned()),
        description: Some(description.to_owned()),
        seo_title: Some(String::new()),
        seo_description: Some(String::new()),
    };
    let mut attributes = vec![
        attribute("material", "Material", AttributeKind::Text, demo.material),
        attribute("origin", "Made in", AttributeKind::Text, demo.origin),
    ];
    attributes.push(attribute("care", "Care", AttributeKind::Text, demo.care));
    let media = (0..PICTURES)
        .filter_map(|picture| {
            let hash = hash_of(demo.picture, picture_number(number, picture))?;
            Some(MediaRecord {
                url: String::new(),
                hash: Some(hash),
                alt: name.to_owned(),
                sku: None,
            })
        })
        .collect();
    let slug = crate::import::value::slug_of(name);
    ProductRecord {
        line: number,
        supplement: false,
        variants_complete: true,
        texts: BTreeMap::from([
            ("en".to_owned(), text(name, description)),
            ("zh-cn".to_owned(), text(name_zh, description_zh)),
        ]),
        status: Some(Status::Active),
        published_at: Some(published),
        unpublished_at: Some(None),
        brand: Some(Some(demo.brand.to_owned())),
        product_type: Some(String::new()),
        tax_category: Some("standard".to_owned()),
        featured: Some(i64::from(demo.featured)),
        tags: Some(
            demo.tags
                .iter()
                .map(|tag| (*tag).to_owned())
                .collect::<BTreeSet<_>>(),
        ),
        categories: Some(vec![
            demo.category
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        ]),
        attributes: Some(attributes),
        options: Some(
            demo.options
                .iter()
                .map(|(name, values)| OptionRecord {
                    name: (*name).to_owned(),
                    values: values.iter().map(|value| (*value).to_owned()).collect(),
                })
                .collect(),
        ),
        variants: variants(number, demo, currencies, &slug),
        media: Some(media),
        slug,
    }
}

fn attribute(code: &str, name: &str, kind: AttributeKind, value: &str) -> AttributeRecord {
    AttributeRecord {
        code: code.to_owned(),
        name: name.to_owned(),
        kind,
        unit: String::new(),
        values: vec![value.to_owned()],
    }
}

fn variants(number: u64, demo: &Demo, currencies: &[String], slug: &str) -> Vec<VariantRecord> {
    let mut choices: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for (name, values) in demo.options {
        choices = choices
            .iter()
            .flat_map(|chosen| {
                values.iter().map(|value| {
                    let mut chosen = chosen.clone();
                    chosen.push(((*name).to_owned(), (*value).to_owned()));
                    chosen
                })
            })
            .collect();
    }
    (0_i64..)
        .zip(choices)
        .map(|(index, chosen)| {
            let values: String = chosen
                .iter()
                .map(|(_, value)| format!("-{}", crate::import::value::slug_of(value)))
                .collect();
            // A larger one costs more; the first option of a size comes first.
            let dearer = if demo.options.iter().any(|(name, _)| *name == "Size") {
                index * demo.cents / 5
            } else {
                0
            };
            let mut prices: Vec<_> = currencies
                .iter()
                .map(|currency| price(currency, demo.cents + dearer, demo.sale))
                .collect();
            if demo.winter_sale {
                let scheduled: Vec<_> = currencies
                    .iter()
                    .map(|currency| {
                        let mut reduced = price(currency, demo.cents + dearer, Some(25));
                        reduced.starts_at = Some(SALE_BEGINS);
                        reduced.ends_at = Some(SALE_ENDS);
                        reduced
                    })
                    .collect();
                prices.extend(scheduled);
            }
            let on_hand = match demo.stock {
                Stock::Plenty => 40 + i64::try_from(number % 7).unwrap_or(0) * 11 + index * 3,
                Stock::Low => 2 + index % 2,
                Stock::LastGone => {
                    if index == 0 {
                        0
                    } else {
                        12
                    }
                }
                Stock::Out => 0,
            };
            VariantRecord {
                line: number,
                sku: format!("{slug}{values}")
                    .to_uppercase()
                    .chars()
                    .take(64)
                    .collect(),
                options: Some(chosen),
                prices,
                stock: StockRecord {
                    tracked: Some(true),
                    on_hand: Some(on_hand),
                    backorder_limit: Some(0),
                    low_threshold: Some(5),
                },
                barcode: Some(String::new()),
                weight_grams: Some(Some(demo.grams)),
                length_mm: Some(None),
                width_mm: Some(None),
                height_mm: Some(None),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::problem::Problems;

    #[test]
    fn the_demo_is_valid_and_complete() {
        let currencies = ["EUR".to_owned(), "USD".to_owned(), "CNY".to_owned()];
        let records = products(&currencies, &|_, _| None);
        let mut slugs = BTreeSet::new();
        let mut skus = BTreeSet::new();
        for record in &records {
            let mut problems = Problems::default();
            record.check(&mut problems);
            assert!(
                problems.is_empty(),
                "{:?}",
                problems.into_list(&record.slug)
            );
            assert!(slugs.insert(record.slug.clone()), "{}", record.slug);
            assert!(
                record
                    .variants
                    .iter()
                    .all(|variant| skus.insert(variant.sku.clone())),
                "{}",
                record.slug
            );
        }
        assert!(records.len() >= 55);
        assert!(
            DEMO.iter().any(|demo| demo.sale.is_some()) && DEMO.iter().any(|demo| demo.winter_sale)
        );
    }
}
