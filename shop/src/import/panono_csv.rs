//! The shop's own CSV: one row for each variant and picture, product columns on the first row of a product.

use std::collections::{BTreeMap, BTreeSet};

use time::PrimitiveDateTime;

use super::csv::{Header, Row};
use super::panono_json::PriceJson;
use super::problem::{Problem, ProblemKind, Problems};
use super::read::{Group, ReadError};
use super::record::{
    AttributeKind, AttributeRecord, MediaRecord, PriceRecord, ProductRecord, StockRecord,
    TextRecord, VariantRecord,
};
use super::spree::{at, status};
use super::value::{self, Place, code_of, currency_decimals, locale_of, title_of};

/// Columns of the product, apart from those of a locale, a currency, an attribute or an option.
pub const PRODUCT_COLUMNS: [&str; 10] = [
    "slug",
    "status",
    "published_at",
    "unpublished_at",
    "brand",
    "product_type",
    "tax_category",
    "featured",
    "tags",
    "categories",
];
/// Columns of a variant, apart from options and prices.
pub const VARIANT_COLUMNS: [&str; 11] = [
    "sku",
    "scheduled_prices",
    "tracked",
    "on_hand",
    "backorder_limit",
    "low_threshold",
    "barcode",
    "weight_grams",
    "length_mm",
    "width_mm",
    "height_mm",
];
/// Columns of a picture.
pub const IMAGE_COLUMNS: [&str; 4] = ["image_url", "image_hash", "image_alt", "image_sku"];
/// Texts in each language.
pub const TEXT_COLUMNS: [&str; 4] = ["name", "description", "seo_title", "seo_description"];

/// What the columns of a file are.
#[derive(Debug, Clone)]
pub struct Columns {
    locales: Vec<String>,
    currencies: Vec<String>,
    attributes: Vec<(String, AttributeRecord)>,
    options: Vec<u32>,
    images: bool,
}

impl Columns {
    /// Understands a header.
    ///
    /// # Errors
    /// A column that is not known, or no slug.
    pub fn of(header: &Header) -> Result<Self, ReadError> {
        header.require("panono", &["slug"])?;
        let mut columns = Self {
            locales: Vec::new(),
            currencies: Vec::new(),
            attributes: Vec::new(),
            options: Vec::new(),
            images: false,
        };
        let mut unknown = Vec::new();
        for name in header.names() {
            if !columns.understand(name) {
                unknown.push(format!("\"{name}\""));
            }
        }
        if unknown.is_empty() {
            return Ok(columns);
        }
        Err(ReadError::DamagedHeader {
            path: "the file".into(),
            message: format!(
                "unknown columns {}. Columns are {}, {}, {}, name:LOCALE, price:CURRENCY, attribute:CODE and option1_name",
                unknown.join(", "),
                PRODUCT_COLUMNS.join(", "),
                VARIANT_COLUMNS.join(", "),
                IMAGE_COLUMNS.join(", "),
            ),
        })
    }

    fn understand(&mut self, column: &str) -> bool {
        let add = |list: &mut Vec<String>, word: &str| {
            if !list.iter().any(|known| known == word) {
                list.push(word.to_owned());
            }
            true
        };
        if PRODUCT_COLUMNS.contains(&column) || VARIANT_COLUMNS.contains(&column) {
            return true;
        }
        if IMAGE_COLUMNS.contains(&column) {
            self.images = true;
            return true;
        }
        if let Some(number) = column
            .strip_prefix("option")
            .and_then(|rest| rest.strip_suffix("_name"))
        {
            if let Ok(number) = number.parse() {
                self.options.push(number);
                return true;
            }
            return false;
        }
        if let Some(number) = column
            .strip_prefix("option")
            .and_then(|rest| rest.strip_suffix("_value"))
        {
            return number.parse::<u32>().is_ok();
        }
        match column.split_once(':') {
            Some((text, locale)) if TEXT_COLUMNS.contains(&text) && locale_of(locale).is_some() => {
                add(&mut self.locales, locale)
            }
            Some(("price" | "compare_at", currency)) if currency_decimals(currency).is_some() => {
                add(&mut self.currencies, currency)
            }
            Some(("attribute", definition)) => match attribute_definition(definition) {
                Some(attribute) => {
                    self.attributes.push((column.to_owned(), attribute));
                    true
                }
                None => false,
            },
            _ => false,
        }
    }
}

/// `code[:kind[:unit[:name]]]`.
fn attribute_definition(definition: &str) -> Option<AttributeRecord> {
    let mut parts = definition.splitn(4, ':');
    let code = parts.next()?;
    let kind = parts
        .next()
        .filter(|kind| !kind.is_empty())
        .map_or(Some(AttributeKind::Text), AttributeKind::of_word)?;
    let unit = parts.next().unwrap_or_default().to_owned();
    let name = parts
        .next()
        .filter(|name| !name.is_empty())
        .map_or_else(|| title_of(code), str::to_owned);
    (code_of(code) == code && !code.is_empty()).then(|| AttributeRecord {
        code: code.to_owned(),
        name,
        kind,
        unit,
        values: Vec::new(),
    })
}

/// The column of an attribute.
#[must_use]
pub fn attribute_column(attribute: &AttributeRecord) -> String {
    format!(
        "attribute:{}:{}:{}:{}",
        attribute.code,
        attribute.kind.word(),
        attribute.unit,
        attribute.name
    )
}

/// The product of a group of rows.
///
/// # Errors
/// Everything that is wrong with it.
pub fn product(group: &Group, columns: &Columns) -> Result<ProductRecord, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut record = ProductRecord {
        line: group.line(),
        slug: group.key.clone(),
        supplement: true,
        ..ProductRecord::default()
    };
    if let Some(first) = group.rows.first() {
        record.texts = texts(first, columns);
        record.supplement = !columns
            .locales
            .iter()
            .any(|locale| first.filled(&format!("name:{locale}")).is_some());
        record.variants_complete = !record.supplement;
        describe(first, columns, &mut record, &mut problems);
    }
    let mut media = Vec::new();
    for row in &group.rows {
        if row.filled("sku").is_some() {
            record
                .variants
                .push(variant(row, columns, record.supplement, &mut problems));
        } else if row
            .pairs()
            .any(|(column, field)| is_of_variant(column) && !field.trim().is_empty())
        {
            problems.push(at(row, "sku").problem(
                ProblemKind::Missing,
                "",
                "the variant has no SKU",
                "give each variant its own SKU",
            ));
        }
        if row.filled("image_url").is_some() || row.filled("image_hash").is_some() {
            media.push(MediaRecord {
                url: row.get("image_url").to_owned(),
                hash: row
                    .filled("image_hash")
                    .and_then(|hash| problems.take(media_hash(hash, at(row, "image_hash")))),
                alt: row.get("image_alt").to_owned(),
                sku: row.filled("image_sku").map(str::to_owned),
            });
        }
    }
    if columns.images && !record.supplement {
        record.media = Some(media);
    }
    group.finish(record, problems)
}

fn is_of_variant(column: &str) -> bool {
    VARIANT_COLUMNS.contains(&column)
        || column.starts_with("price:")
        || column.starts_with("compare_at:")
        || (column.starts_with("option") && column.ends_with("_value"))
}

/// The address of a picture: a SHA-256 in lower-case hexadecimal.
///
/// # Errors
/// Anything else.
pub fn media_hash(text: &str, place: Place<'_>) -> Result<String, Problem> {
    let right = text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if right {
        return Ok(text.to_owned());
    }
    Err(place.problem(
        ProblemKind::BadMedia,
        text,
        "not the hash of a picture",
        "leave it empty and give the picture's url; hashes are written by exports",
    ))
}

fn texts(row: &Row, columns: &Columns) -> BTreeMap<String, TextRecord> {
    let mut texts = BTreeMap::new();
    for locale in &columns.locales {
        let field = |column: &str| {
            let column = format!("{column}:{locale}");
            row.header()
                .has(&column)
                .then(|| row.get(&column).replace("\r\n", "\n"))
        };
        let text = TextRecord {
            name: field("name"),
            description: field("description"),
            seo_title: field("seo_title"),
            seo_description: field("seo_description"),
        };
        let fields = [
            &text.name,
            &text.description,
            &text.seo_title,
            &text.seo_description,
        ];
        // A product without a word in a language has no text in it.
        if fields
            .iter()
            .any(|field| field.as_ref().is_some_and(|field| !field.is_empty()))
        {
            texts.extend(locale_of(locale).map(|locale| (locale, text)));
        }
    }
    texts
}

fn describe(row: &Row, columns: &Columns, record: &mut ProductRecord, problems: &mut Problems) {
    let complete = !record.supplement;
    // On a row that only adds, an empty field says nothing.
    let stated = |column: &str| {
        (row.header().has(column) && (complete || row.filled(column).is_some()))
            .then(|| row.get(column).to_owned())
    };
    if let Some(word) = row.filled("status") {
        record.status = status(row, "status", word, problems);
    }
    record.published_at =
        optional_instant(stated("published_at"), at(row, "published_at"), problems);
    record.unpublished_at = optional_instant(
        stated("unpublished_at"),
        at(row, "unpublished_at"),
        problems,
    );
    record.brand = stated("brand").map(|brand| (!brand.is_empty()).then_some(brand));
    record.product_type = stated("product_type");
    record.tax_category = stated("tax_category").filter(|category| !category.is_empty());
    record.featured = row
        .filled("featured")
        .and_then(|text| problems.take(value::whole(text, at(row, "featured"))));
    record.tags = stated("tags").map(|tags| {
        split_escaped(&tags, '|')
            .into_iter()
            .collect::<BTreeSet<_>>()
    });
    record.categories = stated("categories").map(|paths| {
        split_keeping_escapes(&paths, '|')
            .iter()
            .filter(|path| !path.is_empty())
            .map(|path| levels(path))
            .collect()
    });
    if !columns.attributes.is_empty()
        && (complete
            || columns
                .attributes
                .iter()
                .any(|(column, _)| row.filled(column).is_some()))
    {
        record.attributes = Some(
            columns
                .attributes
                .iter()
                .filter(|(column, _)| row.filled(column).is_some())
                .map(|(column, attribute)| AttributeRecord {
                    values: split_escaped(row.get(column), '|'),
                    ..attribute.clone()
                })
                .collect(),
        );
    }
}

fn optional_instant(
    text: Option<String>,
    place: Place<'_>,
    problems: &mut Problems,
) -> Option<Option<PrimitiveDateTime>> {
    match text?.as_str() {
        "" => Some(None),
        text => problems.take(value::instant(text, place)).map(Some),
    }
}

fn variant(
    row: &Row,
    columns: &Columns,
    supplement: bool,
    problems: &mut Problems,
) -> VariantRecord {
    let mut chosen = Vec::new();
    for number in &columns.options {
        let (name, value) = (
            row.get(&format!("option{number}_name")),
            row.get(&format!("option{number}_value")),
        );
        if !name.is_empty() || !value.is_empty() {
            chosen.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut prices = Vec::new();
    for currency in &columns.currencies {
        let (price, compare_at) = (
            format!("price:{currency}"),
            format!("compare_at:{currency}"),
        );
        let Some(text) = row.filled(&price) else {
            continue;
        };
        let compare_at = row
            .filled(&compare_at)
            .and_then(|text| problems.take(value::money(text, currency, at(row, &compare_at))));
        if let Some(amount) = problems.take(value::money(text, currency, at(row, &price))) {
            prices.push(PriceRecord {
                currency: currency.clone(),
                starts_at: None,
                ends_at: None,
                amount,
                compare_at,
            });
        }
    }
    for text in row
        .get("scheduled_prices")
        .split('|')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        prices.extend(problems.take(scheduled_price(text, at(row, "scheduled_prices"))));
    }
    let mut count = |column: &str| {
        row.filled(column)
            .and_then(|text| problems.take(value::count(text, at(row, column))))
    };
    let (on_hand, backorder_limit, low_threshold) = (
        count("on_hand"),
        count("backorder_limit"),
        count("low_threshold"),
    );
    let mut measure = |column: &str| {
        let stated = row.header().has(column) && (!supplement || row.filled(column).is_some());
        stated.then(|| count(column))
    };
    let (weight_grams, length_mm) = (measure("weight_grams"), measure("length_mm"));
    let (width_mm, height_mm) = (measure("width_mm"), measure("height_mm"));
    let tracked = row
        .filled("tracked")
        .and_then(|text| problems.take(value::boolean(text, at(row, "tracked"))));
    VariantRecord {
        line: row.line,
        sku: row.get("sku").to_owned(),
        options: (!supplement || !chosen.is_empty()).then_some(chosen),
        prices,
        stock: StockRecord {
            tracked,
            on_hand,
            backorder_limit,
            low_threshold,
        },
        barcode: (row.header().has("barcode") && (!supplement || row.filled("barcode").is_some()))
            .then(|| row.get("barcode").to_owned()),
        weight_grams,
        length_mm,
        width_mm,
        height_mm,
    }
}

/// `USD 9.99/12.99 from 2026-12-01T00:00:00Z until 2026-12-31T00:00:00Z`.
fn scheduled_price(text: &str, place: Place<'_>) -> Result<PriceRecord, Problem> {
    let wrong = || {
        place.problem(
            ProblemKind::BadNumber,
            text,
            "not a scheduled price",
            "write it as: USD 9.99/12.99 from 2026-12-01T00:00:00Z until 2026-12-31T00:00:00Z",
        )
    };
    let mut words = text.split_whitespace();
    let currency = value::currency(words.next().ok_or_else(wrong)?, place)?;
    let amounts = words.next().ok_or_else(wrong)?;
    let (amount, compare_at) = match amounts.split_once('/') {
        Some((amount, compare_at)) => (amount, Some(value::money(compare_at, &currency, place)?)),
        None => (amounts, None),
    };
    let amount = value::money(amount, &currency, place)?;
    let (mut starts_at, mut ends_at) = (None, None);
    while let Some(word) = words.next() {
        let date = value::instant(words.next().ok_or_else(wrong)?, place)?;
        match word {
            "from" => starts_at = Some(date),
            "until" => ends_at = Some(date),
            _ => return Err(wrong()),
        }
    }
    Ok(PriceRecord {
        currency,
        starts_at,
        ends_at,
        amount,
        compare_at,
    })
}

/// A scheduled price as text.
#[must_use]
pub fn scheduled_price_text(price: &PriceJson) -> String {
    let mut text = format!("{} {}", price.currency, price.amount);
    if let Some(compare_at) = &price.compare_at {
        text.push('/');
        text.push_str(compare_at);
    }
    for (word, date) in [("from", &price.starts_at), ("until", &price.ends_at)] {
        if let Some(date) = date {
            text.push_str(&format!(" {word} {date}"));
        }
    }
    text
}

/// Parts of a list; a backslash takes the meaning from the character after it.
#[must_use]
pub fn split_escaped(text: &str, separator: char) -> Vec<String> {
    split_keeping_escapes(text, separator)
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| unescape(part))
        .collect()
}

fn split_keeping_escapes(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for character in text.chars() {
        if character == separator && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = character == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
        .into_iter()
        .map(|part| part.trim().to_owned())
        .collect()
}

/// The levels of a category path. One without a name is kept: it is a mistake that its author should hear of.
fn levels(path: &str) -> Vec<String> {
    split_keeping_escapes(path, '>')
        .iter()
        .map(|level| unescape(level))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut escaped = false;
    for character in text.chars() {
        if character == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(character);
        }
    }
    plain
}

/// A list as text that [`split_escaped`] reads.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if matches!(character, '\\' | '|' | '>') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_were_written() {
        let values = ["a|b", "c\\", "d > e", "f"];
        let text = values.map(escape).join(" | ");
        assert_eq!(split_escaped(&text, '|'), values);
        let path = ["Home & Garden", "a > b|c"].map(escape).join(" > ");
        assert_eq!(
            split_escaped(&split_keeping_escapes(&format!("{path} | X"), '|')[0], '>'),
            ["Home & Garden", "a > b|c"]
        );
    }

    #[test]
    fn scheduled_prices_are_read_as_they_were_written() {
        let place = Place {
            line: 1,
            field: "scheduled_prices",
        };
        for text in [
            "USD 9.99/12.99 from 2026-12-01T00:00:00Z until 2026-12-31T00:00:00Z",
            "JPY 100 from 2026-12-01T00:00:00Z",
        ] {
            let price = scheduled_price(text, place).unwrap();
            let json = PriceJson {
                amount: value::money_text(price.amount, &price.currency),
                compare_at: price
                    .compare_at
                    .map(|amount| value::money_text(amount, &price.currency)),
                starts_at: price.starts_at.map(value::instant_text),
                ends_at: price.ends_at.map(value::instant_text),
                currency: price.currency,
            };
            assert_eq!(scheduled_price_text(&json), text);
        }
        for text in ["USD", "USD x", "XXX 1", "USD 1 from", "USD 1 at 2026-12-01"] {
            assert!(scheduled_price(text, place).is_err(), "{text}");
        }
    }
}
