//! The shop's own JSON: one object for each product. The same types are written by the export.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use super::json::Element;
use super::panono_csv::media_hash;
use super::problem::{Problem, ProblemKind, Problems};
use super::read::finish;
use super::record::{
    AttributeKind, AttributeRecord, MediaRecord, OptionRecord, PriceRecord, ProductRecord, Status,
    StockRecord, TextRecord, VariantRecord,
};
use super::value::{self, Place, code_of, locale_of, title_of};

/// A field that may be absent (left alone) or null (none).
#[expect(
    clippy::option_option,
    reason = "absent and null mean different things here"
)]
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A product.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductJson {
    /// Its key.
    pub slug: String,
    /// draft, active or archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// RFC 3339.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub published_at: Option<Option<String>>,
    /// RFC 3339.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub unpublished_at: Option<Option<String>>,
    /// Name of the brand.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub brand: Option<Option<String>>,
    /// In the words of the merchant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_type: Option<String>,
    /// Tax category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_category: Option<String>,
    /// Larger comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub featured: Option<i64>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Paths, root first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<Vec<String>>>,
    /// Texts by locale.
    #[serde(default)]
    pub texts: BTreeMap<String, TextJson>,
    /// Attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<AttributeJson>>,
    /// Options with their values in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<OptionJson>>,
    /// Variants; when present they are all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Vec<VariantJson>>,
    /// Pictures in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Vec<MediaJson>>,
}

/// Texts in one language.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextJson {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Plain paragraphs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For search engines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seo_title: Option<String>,
    /// For search engines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seo_description: Option<String>,
}

/// An attribute.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeJson {
    /// Code.
    pub code: String,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// text, number or boolean.
    #[serde(default)]
    pub kind: Option<String>,
    /// Unit.
    #[serde(default)]
    pub unit: String,
    /// Values.
    pub values: Vec<String>,
}

/// An option.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionJson {
    /// Name.
    pub name: String,
    /// Values in order.
    pub values: Vec<String>,
}

/// The value that a variant has of an option.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceJson {
    /// Name of the option.
    pub name: String,
    /// Value.
    pub value: String,
}

/// A variant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantJson {
    /// Its key.
    pub sku: String,
    /// In the order of the options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<ChoiceJson>>,
    /// Prices.
    #[serde(default)]
    pub prices: Vec<PriceJson>,
    /// Stock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<StockJson>,
    /// GTIN or another code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barcode: Option<String>,
    /// Grams.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub weight_grams: Option<Option<i64>>,
    /// Millimetres.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub length_mm: Option<Option<i64>>,
    /// Millimetres.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub width_mm: Option<Option<i64>>,
    /// Millimetres.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub height_mm: Option<Option<i64>>,
}

/// A price: amounts are decimal texts, because JSON numbers are not exact everywhere.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceJson {
    /// ISO 4217.
    pub currency: String,
    /// Decimal.
    pub amount: String,
    /// Decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_at: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
}

/// Stock.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockJson {
    /// Whether it is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracked: Option<bool>,
    /// Units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<i64>,
    /// Units that may be sold ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backorder_limit: Option<i64>,
    /// Units at which stock is low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_threshold: Option<i64>,
}

/// A picture.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaJson {
    /// Where it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// SHA-256 of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// What it shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alt: String,
    /// The variant it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
}

/// The product of an element.
///
/// # Errors
/// Everything that is wrong with it.
pub fn product(element: &Element) -> Result<ProductRecord, Vec<Problem>> {
    let json: ProductJson = element.parse().map_err(|problem| vec![problem])?;
    let mut problems = Problems::default();
    let slug = json.slug.clone();
    let record = record(json, element.line, &mut problems);
    finish(record, &mut problems).ok_or_else(|| problems.into_list(&slug))
}

fn record(json: ProductJson, line: u64, problems: &mut Problems) -> ProductRecord {
    let place = |field: &'static str| Place { line, field };
    let mut instant = |text: Option<Option<String>>, field: &'static str| match text {
        None => None,
        Some(None) => Some(None),
        Some(Some(text)) => problems.take(value::instant(&text, place(field))).map(Some),
    };
    let published_at = instant(json.published_at, "published_at");
    let unpublished_at = instant(json.unpublished_at, "unpublished_at");
    let status = json.status.and_then(|word| {
        let status = Status::of_word(&word);
        if status.is_none() {
            problems.push(place("status").problem(
                ProblemKind::UnknownValue,
                &word,
                "not a status",
                "write draft, active or archived",
            ));
        }
        status
    });
    for locale in json
        .texts
        .keys()
        .filter(|locale| locale_of(locale).is_none())
    {
        problems.push(place("texts").problem(
            ProblemKind::UnknownValue,
            locale,
            "not a locale",
            "write a language tag, as de or zh-CN",
        ));
    }
    let supplement = !json.texts.values().any(|text| text.name.is_some());
    let attributes = json.attributes.map(|list| {
        list.into_iter()
            .filter_map(|attribute| attribute_of(attribute, line, problems))
            .collect()
    });
    ProductRecord {
        line,
        slug: json.slug,
        supplement,
        variants_complete: !supplement && json.variants.is_some(),
        texts: json
            .texts
            .into_iter()
            .filter_map(|(locale, text)| Some((locale_of(&locale)?, text_of(text))))
            .collect(),
        status,
        published_at,
        unpublished_at,
        brand: json.brand,
        product_type: json.product_type,
        tax_category: json.tax_category,
        featured: json.featured,
        tags: json
            .tags
            .map(|tags| tags.into_iter().collect::<BTreeSet<_>>()),
        categories: json.categories,
        attributes,
        options: json.options.map(|options| {
            options
                .into_iter()
                .map(|option| OptionRecord {
                    name: option.name,
                    values: option.values,
                })
                .collect()
        }),
        variants: json
            .variants
            .into_iter()
            .flatten()
            .map(|variant| variant_of(variant, line, problems))
            .collect(),
        media: json.media.map(|media| {
            media
                .into_iter()
                .map(|picture| MediaRecord {
                    url: picture.url,
                    hash: picture
                        .hash
                        .and_then(|hash| problems.take(media_hash(&hash, place("media/hash")))),
                    alt: picture.alt,
                    sku: picture.sku,
                })
                .collect()
        }),
    }
}

fn text_of(text: TextJson) -> TextRecord {
    let TextJson {
        name,
        description,
        seo_title,
        seo_description,
    } = text;
    let trimmed = |text: Option<String>| text.map(|text| text.trim().replace("\r\n", "\n"));
    TextRecord {
        name: trimmed(name),
        description: trimmed(description),
        seo_title: trimmed(seo_title),
        seo_description: trimmed(seo_description),
    }
}

fn attribute_of(
    attribute: AttributeJson,
    line: u64,
    problems: &mut Problems,
) -> Option<AttributeRecord> {
    let place = Place {
        line,
        field: "attributes",
    };
    let kind = match attribute.kind.as_deref() {
        None => Some(AttributeKind::Text),
        Some(word) => AttributeKind::of_word(word),
    };
    if kind.is_none() {
        problems.push(place.problem(
            ProblemKind::UnknownValue,
            attribute.kind.as_deref().unwrap_or_default(),
            "not a kind of attribute",
            "write text, number or boolean",
        ));
    }
    if attribute.code.is_empty() || code_of(&attribute.code) != attribute.code {
        problems.push(place.problem(
            ProblemKind::UnknownValue,
            &attribute.code,
            "not the code of an attribute",
            "use lower-case ASCII letters, digits and _",
        ));
        return None;
    }
    Some(AttributeRecord {
        name: attribute.name.unwrap_or_else(|| title_of(&attribute.code)),
        code: attribute.code,
        kind: kind?,
        unit: attribute.unit,
        values: attribute.values,
    })
}

fn variant_of(variant: VariantJson, line: u64, problems: &mut Problems) -> VariantRecord {
    let prices = variant
        .prices
        .into_iter()
        .filter_map(|price| problems.take(price_of(&price, line)))
        .collect();
    let mut natural = |number: i64, field: &'static str| {
        if number < 0 {
            problems.push(Place { line, field }.problem(
                ProblemKind::Negative,
                &number.to_string(),
                "a number below zero",
                "write zero or more",
            ));
            return None;
        }
        Some(number)
    };
    let stock = variant
        .stock
        .map_or_else(StockRecord::default, |stock| StockRecord {
            tracked: stock.tracked,
            on_hand: stock
                .on_hand
                .and_then(|number| natural(number, "stock/on_hand")),
            backorder_limit: stock
                .backorder_limit
                .and_then(|number| natural(number, "stock/backorder_limit")),
            low_threshold: stock
                .low_threshold
                .and_then(|number| natural(number, "stock/low_threshold")),
        });
    let mut measure = |number: Option<Option<i64>>, field: &'static str| {
        number.map(|number| number.and_then(|number| natural(number, field)))
    };
    VariantRecord {
        line,
        sku: variant.sku,
        options: variant.options.map(|options| {
            options
                .into_iter()
                .map(|choice| (choice.name, choice.value))
                .collect()
        }),
        prices,
        stock,
        barcode: variant.barcode,
        weight_grams: measure(variant.weight_grams, "weight_grams"),
        length_mm: measure(variant.length_mm, "length_mm"),
        width_mm: measure(variant.width_mm, "width_mm"),
        height_mm: measure(variant.height_mm, "height_mm"),
    }
}

fn price_of(price: &PriceJson, line: u64) -> Result<PriceRecord, Problem> {
    let place = |field: &'static str| Place { line, field };
    let currency = value::currency(&price.currency, place("prices/currency"))?;
    let date = |text: &Option<String>, field: &'static str| {
        text.as_deref()
            .map(|text| value::instant(text, place(field)))
            .transpose()
    };
    Ok(PriceRecord {
        amount: value::money(&price.amount, &currency, place("prices/amount"))?,
        compare_at: price
            .compare_at
            .as_deref()
            .map(|text| value::money(text, &currency, place("prices/compare_at")))
            .transpose()?,
        starts_at: date(&price.starts_at, "prices/starts_at")?,
        ends_at: date(&price.ends_at, "prices/ends_at")?,
        currency,
    })
}
