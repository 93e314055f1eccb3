//! A catalogue of any size, the same each time: product number N is always the same product.

use std::collections::{BTreeMap, BTreeSet};

use time::macros::datetime;
use time::{Duration, PrimitiveDateTime};

use crate::import::record::{
    AttributeKind, AttributeRecord, MediaRecord, OptionRecord, PriceRecord, ProductRecord, Status,
    StockRecord, TextRecord, VariantRecord,
};

use super::words::{
    ADJECTIVES, BRANDS, COLOURS, DEPARTMENTS, Leaf, MATERIALS, ORIGINS, SIZES, Words,
};

/// When the first products of a generated catalogue were published.
const FIRST: PrimitiveDateTime = datetime!(2025-01-01 8:00);

/// SplitMix64: a few instructions, and numbers next to each other give unlike results.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit - 1`.
    fn below(&mut self, limit: i64) -> i64 {
        i64::try_from(self.next() >> 33).unwrap_or(0) % limit.max(1)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let count = i64::try_from(list.len()).unwrap_or(1);
        usize::try_from(self.below(count))
            .ok()
            .and_then(|place| list.get(place))
    }

    fn words(&mut self, list: &'static [Words]) -> Words {
        self.pick(list).copied().unwrap_or(("", ""))
    }
}

/// The category of a product, root first.
fn leaf(random: &mut Random) -> Option<(Words, Words, &'static Leaf)> {
    let department = random.pick(DEPARTMENTS)?;
    let group = random.pick(department.groups)?;
    let leaf = random.pick(group.leaves)?;
    Some((department.name, group.name, leaf))
}

/// A product of the generated catalogue. `hash_of` gives the picture of a kind and number, where there are pictures.
#[must_use]
pub fn product(
    number: u64,
    currencies: &[String],
    hash_of: &dyn Fn(&str, u64) -> Option<String>,
) -> ProductRecord {
    let mut random = Random(number.wrapping_mul(0xA24B_AED4_963E_E407));
    let Some((department, group, leaf)) = leaf(&mut random) else {
        return ProductRecord::default();
    };
    let adjective = random.words(ADJECTIVES);
    let material = random.words(MATERIALS);
    let origin = random.words(ORIGINS);
    let brand = random.pick(BRANDS).copied().unwrap_or_default();
    let name = format!(
        "{} {} {} {}",
        adjective.0,
        material.0,
        leaf.item.0,
        100 + number
    );
    let name_zh = format!(
        "{}{}{} {}",
        adjective.1,
        material.1,
        leaf.item.1,
        100 + number
    );
    let slug = crate::import::value::slug_of(&name);
    let published = FIRST
        .checked_add(Duration::minutes(random.below(700_000)))
        .unwrap_or(FIRST);
    let (options, variants) = variants(number, leaf, currencies, &mut random);
    let pictures = 1 + random.below(3);
    let media = (0..pictures)
        .filter_map(|picture| {
            let hash = hash_of(
                leaf.picture,
                (number + u64::try_from(picture).unwrap_or(0)) % PICTURES_PER_KIND,
            )?;
            Some(MediaRecord {
                url: String::new(),
                hash: Some(hash),
                alt: name.clone(),
                sku: None,
            })
        })
        .collect();
    ProductRecord {
        line: number,
        slug,
        supplement: false,
        variants_complete: true,
        texts: BTreeMap::from([
            (
                "en".to_owned(),
                TextRecord {
                    seo_title: Some(format!("{name} by {brand}")),
                    name: Some(name),
                    description: Some(format!(
                        "{} {} in {}, made in {} for everyday use. Part of our {} range, it is built to last and easy to care for.\n\nEvery piece is checked by hand before it leaves the workshop. Repairs are possible: spare parts are kept for ten years.",
                        adjective.0,
                        leaf.item.0.to_lowercase(),
                        material.0.to_lowercase(),
                        origin.0,
                        group.0
                    )),
                    seo_description: Some(format!(
                        "{} in {} from {}.",
                        leaf.item.0,
                        material.0.to_lowercase(),
                        origin.0
                    )),
                },
            ),
            (
                "zh-cn".to_owned(),
                TextRecord {
                    name: Some(name_zh),
                    description: Some(format!(
                        "{}{}，选用{}，产自{}，适合日常使用。属于{}系列，经久耐用，易于打理。\n\n每一件产品出厂前都经过人工检验，零配件保证供应十年。",
                        adjective.1, leaf.item.1, material.1, origin.1, group.1
                    )),
                    seo_title: Some(String::new()),
                    seo_description: Some(String::new()),
                },
            ),
        ]),
        status: Some(if random.below(50) == 0 {
            Status::Draft
        } else {
            Status::Active
        }),
        published_at: Some(Some(published)),
        unpublished_at: Some(None),
        brand: Some(Some(brand.to_owned())),
        product_type: Some(leaf.item.0.to_owned()),
        tax_category: Some("standard".to_owned()),
        featured: Some(i64::from(random.below(200) == 0)),
        tags: Some(BTreeSet::from([
            adjective.0.to_lowercase(),
            material.0.to_lowercase(),
        ])),
        categories: Some(vec![vec![
            department.0.to_owned(),
            group.0.to_owned(),
            leaf.name.0.to_owned(),
        ]]),
        attributes: Some(vec![
            attribute("material", "Material", AttributeKind::Text, "", material.0),
            attribute("origin", "Made in", AttributeKind::Text, "", origin.0),
            attribute(
                "warranty",
                "Warranty",
                AttributeKind::Number,
                "years",
                &(1 + random.below(5)).to_string(),
            ),
        ]),
        options: Some(options),
        variants,
        media: Some(media),
    }
}

/// Pictures that are drawn of each kind for a generated catalogue: products share them.
pub const PICTURES_PER_KIND: u64 = 8;

fn attribute(
    code: &str,
    name: &str,
    kind: AttributeKind,
    unit: &str,
    value: &str,
) -> AttributeRecord {
    AttributeRecord {
        code: code.to_owned(),
        name: name.to_owned(),
        kind,
        unit: unit.to_owned(),
        values: vec![value.to_owned()],
    }
}

fn variants(
    number: u64,
    leaf: &Leaf,
    currencies: &[String],
    random: &mut Random,
) -> (Vec<OptionRecord>, Vec<VariantRecord>) {
    let base = leaf.cheapest + random.below(leaf.cheapest * 3);
    let sale = (random.below(5) == 0).then(|| 10 + random.below(4) * 10);
    let mut options = Vec::new();
    let mut choices: Vec<Vec<(String, String)>> = vec![Vec::new()];
    let first = random.below(i64::try_from(COLOURS.len()).unwrap_or(1));
    let lists: [(&str, &[Words], i64); 2] = [
        ("Color", COLOURS, 1 + random.below(3)),
        ("Size", SIZES, leaf.sizes),
    ];
    for (name, words, count) in lists {
        if count < 2 {
            continue;
        }
        let start = if name == "Color" {
            usize::try_from(first).unwrap_or(0)
        } else {
            0
        };
        let count = usize::try_from(count).unwrap_or(0);
        let values: Vec<String> = words
            .iter()
            .cycle()
            .skip(start)
            .take(count)
            .map(|(value, _)| (*value).to_owned())
            .collect();
        choices = choices
            .iter()
            .flat_map(|chosen| {
                values.iter().map(|value| {
                    let mut chosen = chosen.clone();
                    chosen.push((name.to_owned(), value.clone()));
                    chosen
                })
            })
            .collect();
        options.push(OptionRecord {
            name: name.to_owned(),
            values,
        });
    }
    let variants = choices
        .into_iter()
        .enumerate()
        .map(|(index, chosen)| {
            let on_hand = match random.below(20) {
                0 => 0,
                1 | 2 => 1 + random.below(4),
                _ => 10 + random.below(240),
            };
            VariantRecord {
                line: number,
                sku: format!("PN-{number:07}-{}", index + 1),
                options: Some(chosen),
                prices: currencies
                    .iter()
                    .map(|currency| price(currency, base, sale))
                    .collect(),
                stock: StockRecord {
                    tracked: Some(true),
                    on_hand: Some(on_hand),
                    backorder_limit: Some(0),
                    low_threshold: Some(5),
                },
                barcode: Some(String::new()),
                weight_grams: Some(Some(100 + random.below(4_000))),
                length_mm: Some(None),
                width_mm: Some(None),
                height_mm: Some(None),
            }
        })
        .collect();
    (options, variants)
}

/// A price that ends in .90, or in whole tens where the currency has no decimals.
pub(super) fn price(currency: &str, cents: i64, sale: Option<i64>) -> PriceRecord {
    let amount = |cents: i64| match crate::import::value::currency_decimals(currency) {
        Some(0) => (cents / 1_000).max(1) * 1_000,
        Some(3) => (cents / 100).max(1) * 1_000 - 100,
        // The yuan is worth some seventh of the others that shops are seeded with.
        _ if currency == "CNY" => (cents * 7 / 100).max(1) * 100,
        _ => (cents / 100).max(1) * 100 - 10,
    };
    let usual = amount(cents);
    let reduced = sale
        .map(|percent| amount(cents * (100 - percent) / 100))
        .filter(|reduced| *reduced < usual);
    PriceRecord {
        currency: currency.to_owned(),
        starts_at: None,
        ends_at: None,
        amount: reduced.unwrap_or(usual),
        compare_at: reduced.map(|_| usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::problem::Problems;

    #[test]
    fn products_are_valid_and_the_same_each_time() {
        let currencies = ["EUR".to_owned(), "CNY".to_owned(), "JPY".to_owned()];
        let mut slugs = BTreeSet::new();
        for number in 0..3_000 {
            let record = product(number, &currencies, &|_, _| None);
            let mut problems = Problems::default();
            record.check(&mut problems);
            assert!(
                problems.is_empty(),
                "{:?}",
                problems.into_list(&record.slug)
            );
            assert!(slugs.insert(record.slug.clone()));
            assert_eq!(record, product(number, &currencies, &|_, _| None));
        }
    }
}
