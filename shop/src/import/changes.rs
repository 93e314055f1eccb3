//! Everything that a batch writes, in rows that know each other by slug, SKU, code and name.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// The row of a product.
#[derive(Debug, Clone, Serialize)]
pub struct ProductRow {
    pub(super) slug: String,
    pub(super) brand: Option<String>,
    pub(super) status: &'static str,
    pub(super) published_at: Option<String>,
    pub(super) unpublished_at: Option<String>,
    pub(super) product_type: String,
    pub(super) tax_category: String,
    pub(super) featured: i64,
}

/// A row of a text.
#[derive(Debug, Clone, Serialize)]
pub struct TextRow {
    pub(super) slug: String,
    pub(super) locale: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) seo_title: String,
    pub(super) seo_description: String,
}

/// (product, something).
#[derive(Debug, Clone, Serialize)]
pub struct PairRow<T> {
    pub(super) slug: String,
    pub(super) item: T,
}

/// A value of an attribute of a product.
#[derive(Debug, Clone, Serialize)]
pub struct AttributeRow {
    pub(super) slug: String,
    pub(super) code: String,
    pub(super) value: String,
}

/// The definition of an attribute.
#[derive(Debug, Clone, Serialize)]
pub struct AttributeDefinition {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) unit: String,
}

/// A value that an attribute has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AttributeValue {
    pub(super) code: String,
    pub(super) value: String,
    pub(super) number: Option<String>,
}

/// An option.
#[derive(Debug, Clone, Serialize)]
pub struct OptionRow {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) position: usize,
}

/// A value of an option.
#[derive(Debug, Clone, Serialize)]
pub struct OptionValueRow {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) position: i64,
}

/// A variant.
#[derive(Debug, Clone, Serialize)]
pub struct VariantRow {
    pub(super) slug: String,
    pub(super) sku: String,
    pub(super) position: i64,
    pub(super) status: &'static str,
    pub(super) barcode: String,
    pub(super) weight_grams: Option<i64>,
    pub(super) length_mm: Option<i64>,
    pub(super) width_mm: Option<i64>,
    pub(super) height_mm: Option<i64>,
}

/// The value that a variant has of an option.
#[derive(Debug, Clone, Serialize)]
pub struct VariantOptionRow {
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) value: String,
}

/// A price row to end.
#[derive(Debug, Clone, Serialize)]
pub struct PriceEnd {
    pub(super) id: i64,
    pub(super) ends_at: String,
}

/// A price row to add.
#[derive(Debug, Clone, Serialize)]
pub struct PriceRow {
    pub(super) sku: String,
    pub(super) currency: String,
    pub(super) amount: i64,
    pub(super) compare_at: Option<i64>,
    pub(super) starts_at: String,
    pub(super) ends_at: Option<String>,
}

/// A stock row.
#[derive(Debug, Clone, Serialize)]
pub struct StockRow {
    pub(super) sku: String,
    pub(super) tracked: u8,
    pub(super) on_hand: i64,
    pub(super) backorder_limit: i64,
    pub(super) low_threshold: i64,
}

/// A picture.
#[derive(Debug, Clone, Serialize)]
pub struct MediaRow {
    pub(super) slug: String,
    pub(super) position: usize,
    pub(super) sku: Option<String>,
    pub(super) hash: Option<String>,
    pub(super) url: String,
    pub(super) alt: String,
}

/// Everything that a batch writes, in rows that know each other by slug, SKU, code and name.
#[derive(Debug, Default)]
pub struct Changes {
    /// New products.
    pub product_insert: Vec<ProductRow>,
    /// Changed products, each with its full row.
    pub product_update: Vec<ProductRow>,
    /// Slug and name of brands that may be new.
    pub brands: BTreeMap<String, String>,
    /// Texts.
    pub text: Vec<TextRow>,
    /// Categories that products leave.
    pub category_delete: Vec<PairRow<i64>>,
    /// Categories that products join.
    pub category_insert: Vec<PairRow<i64>>,
    /// Tags that products lose.
    pub tag_delete: Vec<PairRow<String>>,
    /// Tags that products get.
    pub tag_insert: Vec<PairRow<String>>,
    /// Attributes that may be new.
    pub attribute: BTreeMap<String, AttributeDefinition>,
    /// Values that may be new.
    pub attribute_value: BTreeSet<AttributeValue>,
    /// Values that products lose.
    pub attribute_delete: Vec<AttributeRow>,
    /// Values that products get.
    pub attribute_insert: Vec<AttributeRow>,
    /// Ids of options that products lose.
    pub option_delete: Vec<i64>,
    /// Options.
    pub option: Vec<OptionRow>,
    /// Ids of values that options lose.
    pub option_value_delete: Vec<i64>,
    /// Values of options.
    pub option_value: Vec<OptionValueRow>,
    /// New variants.
    pub variant_insert: Vec<VariantRow>,
    /// Changed variants.
    pub variant_update: Vec<VariantRow>,
    /// Choices of variants.
    pub variant_option: Vec<VariantOptionRow>,
    /// Price rows that end.
    pub price_end: Vec<PriceEnd>,
    /// Price rows that begin.
    pub price_insert: Vec<PriceRow>,
    /// Products of which the pictures are written anew.
    pub media_delete: Vec<String>,
    /// Their pictures.
    pub media_insert: Vec<MediaRow>,
    /// Stock.
    pub stock: Vec<StockRow>,
    /// Slugs of the products that are new or changed.
    pub touched: BTreeSet<String>,
    /// True when something that shoppers saw is taken away.
    pub takedown: bool,
}

impl Changes {
    /// Ids of the categories that products join, those of new categories among them.
    #[must_use]
    pub fn category_insert_ids(&self) -> BTreeSet<i64> {
        self.category_insert.iter().map(|row| row.item).collect()
    }

    /// Replaces the numbers of new categories by their ids.
    pub fn resolve_categories(&mut self, ids: &BTreeMap<i64, i64>) {
        for row in &mut self.category_insert {
            if let Some(id) = ids.get(&row.item) {
                row.item = *id;
            }
        }
    }
}
