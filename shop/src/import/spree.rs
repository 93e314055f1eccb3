//! Spree's product CSV: the first row of a product describes it, the others are its variants. Rows of a product that
//! was described further up, without a name, add prices in other currencies.

use std::collections::BTreeSet;

use super::csv::Row;
use super::problem::{Problem, Problems};
use super::read::{Group, ReadOptions};
use super::record::{
    AttributeKind, AttributeRecord, MediaRecord, PriceRecord, ProductRecord, Status, StockRecord,
    TextRecord, VariantRecord,
};
use super::text::paragraphs;
use super::value::{self, Place, code_of, title_of};

/// Units that a merchant who takes orders ahead without a limit can sell ahead.
pub const UNLIMITED_BACKORDER: i64 = 1_000_000;

/// Columns of this many options, categories and pictures are looked for.
const NUMBERED: u32 = 8;

/// The product of a group of rows.
///
/// # Errors
/// Everything that is wrong with it.
pub fn product(group: &Group, options: &ReadOptions) -> Result<ProductRecord, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut record = ProductRecord {
        line: group.line(),
        slug: group.key.clone(),
        supplement: true,
        ..ProductRecord::default()
    };
    let mut media: Vec<MediaRecord> = Vec::new();
    let mut variants: Vec<VariantRecord> = Vec::new();
    let mut described_by = None;
    for row in &group.rows {
        if row.filled("name").is_some() && described_by.is_none() {
            described_by = Some(row);
            describe(row, &mut record, options, &mut problems);
        }
        let is_master = described_by.is_some_and(|master| master.line == row.line);
        let variant = variant(row, options, is_master, &mut problems);
        collect_media(
            row,
            (!is_master && variant.options.is_some()).then_some(variant.sku.as_str()),
            &mut media,
        );
        match variants.iter_mut().find(|own| own.sku == variant.sku) {
            Some(own) => own.merge(variant),
            None => variants.push(variant),
        }
    }
    if let Some(master) = described_by {
        record.supplement = false;
        record.variants_complete = true;
        // The describing row is itself sold only when the product has no options.
        if variants.iter().any(|variant| {
            variant
                .options
                .as_ref()
                .is_some_and(|options| !options.is_empty())
        }) {
            variants.retain(|variant| variant.sku != master.get("sku"));
        }
        for picture in &mut media {
            if picture.sku.as_deref() == Some(master.get("sku")) {
                picture.sku = None;
            }
        }
        if row_has_media(master) {
            record.media = Some(media);
        }
    }
    record.variants = variants;
    group.finish(record, problems)
}

fn row_has_media(row: &Row) -> bool {
    (1..=NUMBERED).any(|number| row.header().has(&format!("image{number}_src")))
}

fn describe(row: &Row, record: &mut ProductRecord, options: &ReadOptions, problems: &mut Problems) {
    let stated = |column: &str| row.header().has(column).then(|| row.get(column).to_owned());
    record.texts.insert(
        options.locale.clone(),
        TextRecord {
            name: stated("name"),
            description: stated("description").map(|html| paragraphs(&html)),
            seo_title: stated("meta_title"),
            seo_description: stated("meta_description"),
        },
    );
    if let Some(word) = row.filled("status") {
        record.status = status(row, "status", word, problems);
    }
    if let Some(date) = row.filled("available_on") {
        record.published_at = problems
            .take(value::instant(date, at(row, "available_on")))
            .map(Some);
    }
    if row.header().has("discontinue_on") {
        record.unpublished_at = match row.filled("discontinue_on") {
            Some(date) => problems
                .take(value::instant(date, at(row, "discontinue_on")))
                .map(Some),
            None => Some(None),
        };
    }
    if row.header().has("brand") {
        record.brand = Some(row.filled("brand").map(str::to_owned));
    }
    record.product_type = stated("product_type");
    if let Some(category) = row.filled("tax_category") {
        record.tax_category = Some(tax_category(category));
    }
    record.tags = stated("tags").map(|tags| list(&tags, ',').into_iter().collect::<BTreeSet<_>>());
    if (1..=NUMBERED).any(|number| row.header().has(&format!("category{number}"))) {
        let paths = (1..=NUMBERED).filter_map(|number| row.filled(&format!("category{number}")));
        record.categories = Some(
            paths
                .map(|path| {
                    path.split("->")
                        .map(|name| name.trim().to_owned())
                        .collect()
                })
                .collect(),
        );
    }
    let fields: Vec<(&str, &str)> = row
        .pairs()
        .filter(|(column, _)| column.starts_with("custom_field."))
        .collect();
    if !fields.is_empty() {
        record.attributes = Some(
            fields
                .into_iter()
                .filter(|(_, field)| !field.trim().is_empty())
                .map(|(column, field)| {
                    let key = column.rsplit('.').next().unwrap_or(column);
                    AttributeRecord {
                        code: code_of(key),
                        name: title_of(key),
                        kind: AttributeKind::Text,
                        unit: String::new(),
                        values: vec![field.trim().to_owned()],
                    }
                })
                .collect(),
        );
    }
}

fn variant(
    row: &Row,
    options: &ReadOptions,
    is_master: bool,
    problems: &mut Problems,
) -> VariantRecord {
    let mut chosen = Vec::new();
    for number in 1..=NUMBERED {
        let (name, value) = (
            row.get(&format!("option{number}_name")),
            row.get(&format!("option{number}_value")),
        );
        if !name.is_empty() || !value.is_empty() {
            chosen.push((name.to_owned(), value.to_owned()));
        }
    }
    let currency = match row.filled("currency") {
        Some(code) => problems.take(value::currency(code, at(row, "currency"))),
        None => Some(options.currency.clone()),
    };
    let mut prices = Vec::new();
    if let (Some(currency), Some(price)) = (currency, row.filled("price")) {
        let compare_at = row
            .filled("compare_at_price")
            .and_then(|text| {
                problems.take(value::money(text, &currency, at(row, "compare_at_price")))
            })
            .filter(|amount| *amount > 0);
        if let Some(amount) = problems.take(value::money(price, &currency, at(row, "price"))) {
            prices.push(PriceRecord {
                currency,
                starts_at: None,
                ends_at: None,
                amount,
                compare_at,
            });
        }
    }
    let length_unit = row
        .filled("dimensions_unit")
        .unwrap_or(&options.length_unit);
    let weight_unit = row.filled("weight_unit").unwrap_or(&options.weight_unit);
    let mut length = |column: &str| {
        row.filled(column)
            .and_then(|text| problems.take(value::millimetres(text, length_unit, at(row, column))))
            .map(Some)
    };
    let (width_mm, height_mm, length_mm) = (length("width"), length("height"), length("depth"));
    let weight_grams = row
        .filled("weight")
        .and_then(|text| problems.take(value::grams(text, weight_unit, at(row, "weight"))))
        .map(Some);
    let mut boolean = |column: &str| {
        row.filled(column)
            .and_then(|text| problems.take(value::boolean(text, at(row, column))))
    };
    let tracked = boolean("track_inventory");
    let on_hand_text = row.filled("inventory_count");
    // The flag is filled on rows that only add a price as well; it means something beside a count.
    let backorder = boolean("inventory_backorderable").filter(|_| on_hand_text.is_some());
    let on_hand =
        on_hand_text.and_then(|text| problems.take(value::count(text, at(row, "inventory_count"))));
    VariantRecord {
        line: row.line,
        sku: row.get("sku").to_owned(),
        options: (is_master || !chosen.is_empty()).then_some(chosen),
        prices,
        stock: StockRecord {
            tracked,
            on_hand,
            backorder_limit: backorder
                .map(|backorder| if backorder { UNLIMITED_BACKORDER } else { 0 }),
            low_threshold: None,
        },
        barcode: row.filled("barcode").map(str::to_owned),
        weight_grams,
        length_mm,
        width_mm,
        height_mm,
    }
}

fn collect_media(row: &Row, sku: Option<&str>, media: &mut Vec<MediaRecord>) {
    for number in 1..=NUMBERED {
        if let Some(url) = row.filled(&format!("image{number}_src")) {
            media.push(MediaRecord {
                url: url.to_owned(),
                hash: None,
                alt: row.get(&format!("image{number}_alt")).to_owned(),
                sku: sku.map(str::to_owned),
            });
        }
    }
}

/// The place of a column of a row.
#[must_use]
pub fn at<'a>(row: &Row, field: &'a str) -> Place<'a> {
    Place {
        line: row.line,
        field,
    }
}

/// A status word.
pub fn status(row: &Row, column: &str, word: &str, problems: &mut Problems) -> Option<Status> {
    let status = Status::of_word(&word.trim().to_lowercase());
    if status.is_none() {
        problems.push(at(row, column).problem(
            super::problem::ProblemKind::UnknownValue,
            word,
            "not a status",
            "write draft, active or archived",
        ));
    }
    status
}

/// The shop's own name of a tax category: what other systems call their default is `standard` here.
#[must_use]
pub fn tax_category(text: &str) -> String {
    match code_of(text).as_str() {
        "" | "default" | "taxable_goods" => "standard".to_owned(),
        "none" => "exempt".to_owned(),
        code => code.to_owned(),
    }
}

/// The parts of a list without empty ones.
#[must_use]
pub fn list(text: &str, separator: char) -> Vec<String> {
    text.split(separator)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
