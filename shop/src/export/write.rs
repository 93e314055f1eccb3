//! Products as rows of a table or as JSON lines.

use std::collections::BTreeMap;
use std::io::{self, Write};

use time::PrimitiveDateTime;

use crate::import::panono_csv::{
    IMAGE_COLUMNS, PRODUCT_COLUMNS, TEXT_COLUMNS, VARIANT_COLUMNS, attribute_column, escape,
    scheduled_price_text,
};
use crate::import::panono_json::{
    AttributeJson, ChoiceJson, MediaJson, OptionJson, PriceJson, ProductJson, StockJson, TextJson,
    VariantJson,
};
use crate::import::prices::effective;
use crate::import::record::AttributeRecord;
use crate::import::state::{CurrentProduct, CurrentVariant, LivePrice};
use crate::import::value::{instant_text, money_text};

use super::store::Shape;

/// A product as it is exported.
#[must_use]
pub fn record(
    product: &CurrentProduct,
    categories: &BTreeMap<i64, Vec<String>>,
    brands: &BTreeMap<String, String>,
    attributes: &[AttributeRecord],
    now: PrimitiveDateTime,
) -> ProductJson {
    let mut variants: Vec<(&String, &CurrentVariant)> = product
        .variants
        .iter()
        .filter(|(_, variant)| variant.active)
        .collect();
    variants.sort_by_key(|(_, variant)| (variant.position, variant.id));
    let mut options: Vec<_> = product.options.iter().collect();
    options.sort_by_key(|(_, option)| (option.position, option.id));
    let names: Vec<&str> = options.iter().map(|(name, _)| name.as_str()).collect();
    let is_sold = |sku: &Option<String>| {
        sku.as_ref()
            .filter(|sku| variants.iter().any(|(own, _)| *own == *sku))
            .cloned()
    };
    ProductJson {
        slug: product.slug.clone(),
        status: Some(product.status.word().to_owned()),
        published_at: Some(product.published_at.map(instant_text)),
        unpublished_at: Some(product.unpublished_at.map(instant_text)),
        brand: Some(
            product
                .brand
                .as_ref()
                .map(|slug| brands.get(slug).unwrap_or(slug).clone()),
        ),
        product_type: Some(product.product_type.clone()),
        tax_category: Some(product.tax_category.clone()),
        featured: Some(product.featured),
        tags: Some(product.tags.iter().cloned().collect()),
        categories: Some(
            product
                .categories
                .iter()
                .filter_map(|id| categories.get(id))
                .cloned()
                .collect(),
        ),
        texts: product
            .texts
            .iter()
            .map(|(locale, text)| {
                let text = TextJson {
                    name: Some(text.name.clone()),
                    description: Some(text.description.clone()),
                    seo_title: Some(text.seo_title.clone()),
                    seo_description: Some(text.seo_description.clone()),
                };
                (locale.clone(), text)
            })
            .collect(),
        attributes: Some(attributes_of(product, attributes)),
        options: Some(
            options
                .iter()
                .map(|(name, option)| {
                    let mut values: Vec<_> = option.values.iter().collect();
                    values.sort_by_key(|(_, (id, position))| (*position, *id));
                    OptionJson {
                        name: (*name).clone(),
                        values: values.into_iter().map(|(value, _)| value.clone()).collect(),
                    }
                })
                .collect(),
        ),
        variants: Some(
            variants
                .iter()
                .map(|(sku, variant)| variant_of(sku, variant, &names, now))
                .collect(),
        ),
        media: Some(
            product
                .media
                .iter()
                .map(|picture| MediaJson {
                    url: picture.url.clone(),
                    hash: picture.hash.clone(),
                    alt: picture.alt.clone(),
                    sku: is_sold(&picture.sku),
                })
                .collect(),
        ),
    }
}

fn attributes_of(product: &CurrentProduct, attributes: &[AttributeRecord]) -> Vec<AttributeJson> {
    attributes
        .iter()
        .filter_map(|attribute| {
            let own = product
                .attributes
                .iter()
                .filter(|(code, _)| *code == attribute.code);
            let values: Vec<String> = own.map(|(_, value)| value.clone()).collect();
            (!values.is_empty()).then(|| AttributeJson {
                code: attribute.code.clone(),
                name: Some(attribute.name.clone()),
                kind: Some(attribute.kind.word().to_owned()),
                unit: attribute.unit.clone(),
                values,
            })
        })
        .collect()
}

fn variant_of(
    sku: &str,
    variant: &CurrentVariant,
    options: &[&str],
    now: PrimitiveDateTime,
) -> VariantJson {
    VariantJson {
        sku: sku.to_owned(),
        options: Some(
            options
                .iter()
                .map(|name| ChoiceJson {
                    name: (*name).to_owned(),
                    value: variant.options.get(*name).cloned().unwrap_or_default(),
                })
                .collect(),
        ),
        prices: prices_of(&variant.prices, now),
        stock: variant.stock.as_ref().map(|stock| StockJson {
            tracked: Some(stock.tracked),
            on_hand: Some(stock.on_hand),
            backorder_limit: Some(stock.backorder_limit),
            low_threshold: Some(stock.low_threshold),
        }),
        barcode: Some(variant.barcode.clone()),
        weight_grams: Some(variant.weight_grams),
        length_mm: Some(variant.length_mm),
        width_mm: Some(variant.width_mm),
        height_mm: Some(variant.height_mm),
    }
}

/// The first price of each currency holds already, so its beginning is not told; those above it begin when they do.
fn prices_of(live: &[LivePrice], now: PrimitiveDateTime) -> Vec<PriceJson> {
    let mut by_currency: BTreeMap<&str, Vec<LivePrice>> = BTreeMap::new();
    for price in live {
        by_currency
            .entry(&price.currency)
            .or_default()
            .push(price.clone());
    }
    let mut prices = Vec::new();
    for (currency, rows) in by_currency {
        for (index, row) in effective(&rows, now).into_iter().enumerate() {
            let first = index == 0 && row.starts_at <= now;
            prices.push(PriceJson {
                currency: currency.to_owned(),
                amount: money_text(row.amount, currency),
                compare_at: row.compare_at.map(|amount| money_text(amount, currency)),
                starts_at: (!first).then(|| instant_text(row.starts_at)),
                ends_at: row.ends_at.map(instant_text),
            });
        }
    }
    prices
}

/// Writes products.
pub enum Writer<W: Write> {
    /// JSON lines.
    Json(W),
    /// A table.
    Csv {
        /// The output.
        output: Box<csv::Writer<W>>,
        /// Its columns.
        columns: Vec<String>,
        /// What they were made of.
        shape: Shape,
        /// Column of each attribute.
        attributes: BTreeMap<String, String>,
    },
}

impl<W: Write> Writer<W> {
    /// JSON lines.
    pub fn json(output: W) -> Self {
        Self::Json(output)
    }

    /// A table; writes its header.
    ///
    /// # Errors
    /// The output failed.
    pub fn csv(output: W, shape: Shape, attributes: &[AttributeRecord]) -> io::Result<Self> {
        let mut columns: Vec<String> = PRODUCT_COLUMNS
            .iter()
            .map(|column| (*column).to_owned())
            .collect();
        for locale in &shape.locales {
            columns.extend(
                TEXT_COLUMNS
                    .iter()
                    .map(|column| format!("{column}:{locale}")),
            );
        }
        let attributes: BTreeMap<String, String> = attributes
            .iter()
            .map(|attribute| (attribute.code.clone(), attribute_column(attribute)))
            .collect();
        columns.extend(attributes.values().cloned());
        for number in 1..=shape.options {
            columns.extend([
                format!("option{number}_name"),
                format!("option{number}_value"),
            ]);
        }
        for currency in &shape.currencies {
            columns.extend([
                format!("price:{currency}"),
                format!("compare_at:{currency}"),
            ]);
        }
        columns.extend(
            VARIANT_COLUMNS
                .iter()
                .chain(&IMAGE_COLUMNS)
                .map(|column| (*column).to_owned()),
        );
        let mut output = csv::Writer::from_writer(output);
        output.write_record(&columns)?;
        Ok(Self::Csv {
            output: Box::new(output),
            columns,
            shape,
            attributes,
        })
    }

    /// Writes a product.
    ///
    /// # Errors
    /// The output failed.
    pub fn product(&mut self, product: &ProductJson) -> io::Result<()> {
        match self {
            Self::Json(output) => {
                serde_json::to_writer(&mut *output, product)?;
                output.write_all(b"\n")
            }
            Self::Csv {
                output,
                columns,
                shape,
                attributes,
            } => {
                for row in rows(product, shape, attributes) {
                    output.write_record(
                        columns
                            .iter()
                            .map(|column| row.get(column).map_or("", String::as_str)),
                    )?;
                }
                Ok(())
            }
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The output failed.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Json(mut output) => output.flush(),
            Self::Csv { mut output, .. } => output.flush(),
        }
    }
}

/// The rows of a product: as many as it has variants or pictures, whichever are more, and at least one.
fn rows(
    product: &ProductJson,
    shape: &Shape,
    attributes: &BTreeMap<String, String>,
) -> Vec<BTreeMap<String, String>> {
    let empty_variants = Vec::new();
    let empty_media = Vec::new();
    let variants = product.variants.as_ref().unwrap_or(&empty_variants);
    let media = product.media.as_ref().unwrap_or(&empty_media);
    let count = variants.len().max(media.len()).max(1);
    let mut rows = Vec::with_capacity(count);
    for index in 0..count {
        let mut row = BTreeMap::new();
        let mut set = |column: &str, field: String| {
            row.insert(column.to_owned(), field);
        };
        set("slug", product.slug.clone());
        if index == 0 {
            product_fields(product, attributes, &mut set);
        }
        if let Some(variant) = variants.get(index) {
            variant_fields(variant, shape, &mut set);
        }
        if let Some(picture) = media.get(index) {
            set("image_url", picture.url.clone());
            set("image_hash", picture.hash.clone().unwrap_or_default());
            set("image_alt", picture.alt.clone());
            set("image_sku", picture.sku.clone().unwrap_or_default());
        }
        rows.push(row);
    }
    rows
}

fn product_fields(
    product: &ProductJson,
    attributes: &BTreeMap<String, String>,
    set: &mut impl FnMut(&str, String),
) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    set("status", text(&product.status));
    set(
        "published_at",
        product.published_at.clone().flatten().unwrap_or_default(),
    );
    set(
        "unpublished_at",
        product.unpublished_at.clone().flatten().unwrap_or_default(),
    );
    set("brand", product.brand.clone().flatten().unwrap_or_default());
    set("product_type", text(&product.product_type));
    set("tax_category", text(&product.tax_category));
    set(
        "featured",
        product
            .featured
            .map(|number| number.to_string())
            .unwrap_or_default(),
    );
    let list = |values: &[String]| {
        values
            .iter()
            .map(|value| escape(value))
            .collect::<Vec<_>>()
            .join(" | ")
    };
    set("tags", list(product.tags.as_deref().unwrap_or_default()));
    let paths = product.categories.iter().flatten();
    let paths: Vec<String> = paths
        .map(|path| {
            path.iter()
                .map(|name| escape(name))
                .collect::<Vec<_>>()
                .join(" > ")
        })
        .collect();
    set("categories", paths.join(" | "));
    for (locale, texts) in &product.texts {
        let fields = [
            &texts.name,
            &texts.description,
            &texts.seo_title,
            &texts.seo_description,
        ];
        for (column, field) in TEXT_COLUMNS.iter().zip(fields) {
            set(&format!("{column}:{locale}"), text(field));
        }
    }
    for attribute in product.attributes.iter().flatten() {
        if let Some(column) = attributes.get(&attribute.code) {
            set(column, list(&attribute.values));
        }
    }
}

fn variant_fields(variant: &VariantJson, shape: &Shape, set: &mut impl FnMut(&str, String)) {
    set("sku", variant.sku.clone());
    for (index, choice) in variant.options.iter().flatten().enumerate() {
        set(&format!("option{}_name", index + 1), choice.name.clone());
        set(&format!("option{}_value", index + 1), choice.value.clone());
    }
    let mut scheduled = Vec::new();
    for price in &variant.prices {
        let plain = price.starts_at.is_none() && price.ends_at.is_none();
        if plain && shape.currencies.contains(&price.currency) {
            set(&format!("price:{}", price.currency), price.amount.clone());
            set(
                &format!("compare_at:{}", price.currency),
                price.compare_at.clone().unwrap_or_default(),
            );
        } else {
            scheduled.push(scheduled_price_text(price));
        }
    }
    set("scheduled_prices", scheduled.join(" | "));
    if let Some(stock) = &variant.stock {
        let number =
            |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        set(
            "tracked",
            stock
                .tracked
                .map(|tracked| tracked.to_string())
                .unwrap_or_default(),
        );
        set("on_hand", number(stock.on_hand));
        set("backorder_limit", number(stock.backorder_limit));
        set("low_threshold", number(stock.low_threshold));
    }
    set("barcode", variant.barcode.clone().unwrap_or_default());
    let measure = |number: Option<Option<i64>>| {
        number
            .flatten()
            .map(|number| number.to_string())
            .unwrap_or_default()
    };
    set("weight_grams", measure(variant.weight_grams));
    set("length_mm", measure(variant.length_mm));
    set("width_mm", measure(variant.width_mm));
    set("height_mm", measure(variant.height_mm));
}
