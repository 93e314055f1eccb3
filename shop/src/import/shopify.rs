//! Shopify's product CSV: rows with a Title describe a product; the rows below with the same Handle are variants,
//! pictures, or both.

use std::collections::BTreeSet;

use super::csv::Row;
use super::problem::{Problem, ProblemKind, Problems};
use super::read::{Group, ReadOptions};
use super::record::{
    AttributeKind, AttributeRecord, MediaRecord, PriceRecord, ProductRecord, Status, StockRecord,
    TextRecord, VariantRecord,
};
use super::spree::{UNLIMITED_BACKORDER, at, list, status};
use super::text::paragraphs;
use super::value::{self, code_of};

/// Shopify knows three options.
const OPTIONS: u32 = 3;

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
    let described_by = group.rows.iter().find(|row| row.filled("Title").is_some());
    let mut names: Vec<(u32, String)> = Vec::new();
    if let Some(row) = described_by {
        record.supplement = false;
        record.variants_complete = true;
        describe(row, &mut record, options, &mut problems);
        names = (1..=OPTIONS)
            .filter_map(|number| {
                row.filled(&format!("Option{number} Name"))
                    .map(|name| (number, name.to_owned()))
            })
            .collect();
        // A product without options has one variant with the option "Title" of the value "Default Title".
        if row.get("Option1 Value") == "Default Title" {
            names.clear();
        }
    }
    let mut media: Vec<(i64, MediaRecord)> = Vec::new();
    for row in &group.rows {
        let sells = row.filled("Variant Price").is_some()
            || row.filled("Variant SKU").is_some()
            || (1..=OPTIONS).any(|number| row.filled(&format!("Option{number} Value")).is_some());
        let mut sku = None;
        if sells {
            let variant = variant(
                row,
                &group.key,
                described_by.map(|_| names.as_slice()),
                options,
                &mut problems,
            );
            sku = Some(variant.sku.clone());
            record.variants.push(variant);
        }
        if let Some(url) = row.filled("Image Src") {
            let position = row
                .filled("Image Position")
                .and_then(|text| problems.take(value::count(text, at(row, "Image Position"))))
                .unwrap_or(i64::MAX);
            let picture = MediaRecord {
                url: url.to_owned(),
                hash: None,
                alt: row.get("Image Alt Text").to_owned(),
                sku: None,
            };
            if !media.iter().any(|(_, known)| known.url == picture.url) {
                media.push((position, picture));
            }
        }
        if let (Some(sku), Some(url)) = (sku, row.filled("Variant Image")) {
            match media.iter_mut().find(|(_, known)| known.url == url) {
                Some((_, known)) if known.sku.is_none() => known.sku = Some(sku),
                Some(_) => {}
                None => media.push((
                    i64::MAX,
                    MediaRecord {
                        url: url.to_owned(),
                        hash: None,
                        alt: String::new(),
                        sku: Some(sku),
                    },
                )),
            }
        }
    }
    media.sort_by_key(|(position, _)| *position);
    if described_by.is_some_and(|row| row.header().has("Image Src")) {
        record.media = Some(media.into_iter().map(|(_, picture)| picture).collect());
    }
    group.finish(record, problems)
}

fn describe(row: &Row, record: &mut ProductRecord, options: &ReadOptions, problems: &mut Problems) {
    let stated = |column: &str| row.header().has(column).then(|| row.get(column).to_owned());
    record.texts.insert(
        options.locale.clone(),
        TextRecord {
            name: stated("Title"),
            description: stated("Body (HTML)").map(|html| paragraphs(&html)),
            seo_title: stated("SEO Title"),
            seo_description: stated("SEO Description"),
        },
    );
    record.brand = row
        .header()
        .has("Vendor")
        .then(|| row.filled("Vendor").map(str::to_owned));
    record.product_type = stated("Type");
    record.tags = stated("Tags").map(|tags| list(&tags, ',').into_iter().collect::<BTreeSet<_>>());
    if let Some(word) = row.filled("Status") {
        record.status = status(row, "Status", word, problems);
    }
    if let Some(text) = row.filled("Published") {
        let published = problems.take(value::boolean(text, at(row, "Published")));
        record.status = match (published, record.status) {
            (Some(false), None | Some(Status::Active)) => Some(Status::Draft),
            (Some(true), None) => Some(Status::Active),
            (_, other) => other,
        };
    }
    if row.header().has("Product Category") || row.header().has("Collection") {
        let path = row
            .filled("Product Category")
            .or_else(|| row.filled("Collection"));
        record.categories = Some(
            path.map(|path| path.split('>').map(|name| name.trim().to_owned()).collect())
                .into_iter()
                .collect(),
        );
    }
    if row.header().has("Gift Card") && row.get("Gift Card").eq_ignore_ascii_case("true") {
        problems.push(at(row, "Gift Card").problem(
            ProblemKind::UnknownValue,
            row.get("Gift Card"),
            "gift cards are not sold by this shop",
            "leave the product out",
        ));
    }
    // Metafields have columns as "Fabric (product.metafields.custom.fabric)".
    let fields: Vec<AttributeRecord> = row
        .pairs()
        .filter_map(|(column, field)| {
            let (name, key) = column.split_once("(product.metafields.")?;
            let code = code_of(key.trim_end_matches(')').rsplit('.').next()?);
            (!code.is_empty() && !field.trim().is_empty()).then(|| AttributeRecord {
                code,
                name: name.trim().to_owned(),
                kind: AttributeKind::Text,
                unit: String::new(),
                values: list(field, ';'),
            })
        })
        .collect();
    if row
        .pairs()
        .any(|(column, _)| column.contains("(product.metafields."))
    {
        record.attributes = Some(fields);
    }
}

fn variant(
    row: &Row,
    handle: &str,
    names: Option<&[(u32, String)]>,
    options: &ReadOptions,
    problems: &mut Problems,
) -> VariantRecord {
    let chosen = names.map(|names| {
        names
            .iter()
            .map(|(number, name)| {
                (
                    name.clone(),
                    row.get(&format!("Option{number} Value")).to_owned(),
                )
            })
            .collect::<Vec<_>>()
    });
    // Shopify does not ask for SKUs. One made of the handle and the options is the same in each import.
    let sku = row.filled("Variant SKU").map_or_else(
        || {
            let values = chosen
                .iter()
                .flatten()
                .map(|(_, value)| value::slug_of(value));
            std::iter::once(handle.to_owned())
                .chain(values)
                .collect::<Vec<_>>()
                .join("-")
                .to_uppercase()
        },
        |sku| sku.trim_start_matches('\'').to_owned(),
    );
    let mut prices = Vec::new();
    if let Some(text) = row.filled("Variant Price") {
        let compare_at = row
            .filled("Variant Compare At Price")
            .and_then(|text| {
                problems.take(value::money(
                    text,
                    &options.currency,
                    at(row, "Variant Compare At Price"),
                ))
            })
            .filter(|amount| *amount > 0);
        if let Some(amount) = problems.take(value::money(
            text,
            &options.currency,
            at(row, "Variant Price"),
        )) {
            prices.push(PriceRecord {
                currency: options.currency.clone(),
                starts_at: None,
                ends_at: None,
                amount,
                compare_at,
            });
        }
    }
    let tracked = row
        .header()
        .has("Variant Inventory Tracker")
        .then(|| row.filled("Variant Inventory Tracker").is_some());
    let on_hand = row
        .filled("Variant Inventory Qty")
        // Shopify counts below zero what was sold ahead; the shop counts that as reserved.
        .and_then(|text| problems.take(value::whole(text, at(row, "Variant Inventory Qty"))))
        .map(|quantity| quantity.max(0));
    let backorder_limit = row.filled("Variant Inventory Policy").and_then(|policy| {
        match policy.to_lowercase().as_str() {
            "deny" => Some(0),
            "continue" => Some(UNLIMITED_BACKORDER),
            _ => {
                problems.push(at(row, "Variant Inventory Policy").problem(
                    ProblemKind::UnknownValue,
                    policy,
                    "not an inventory policy",
                    "write deny or continue",
                ));
                None
            }
        }
    });
    let weight_grams = row
        .filled("Variant Grams")
        .and_then(|text| problems.take(value::grams(text, "g", at(row, "Variant Grams"))))
        .map(|grams| (grams > 0).then_some(grams));
    VariantRecord {
        line: row.line,
        sku,
        options: chosen,
        prices,
        stock: StockRecord {
            tracked,
            on_hand,
            backorder_limit,
            low_threshold: None,
        },
        barcode: row.header().has("Variant Barcode").then(|| {
            row.get("Variant Barcode")
                .trim_start_matches('\'')
                .to_owned()
        }),
        weight_grams,
        length_mm: None,
        width_mm: None,
        height_mm: None,
    }
}
