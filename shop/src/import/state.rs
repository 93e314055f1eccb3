//! What the shop has of the products of a batch.

use std::collections::{BTreeMap, BTreeSet};

use time::PrimitiveDateTime;

use super::record::Status;

/// A text in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentText {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// For search engines.
    pub seo_title: String,
    /// For search engines.
    pub seo_description: String,
}

/// A price row that counts now or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePrice {
    /// Its id; of two that begin together the later counts.
    pub id: i64,
    /// ISO 4217.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
    /// Minor units.
    pub compare_at: Option<i64>,
    /// When it begins.
    pub starts_at: PrimitiveDateTime,
    /// When it ends.
    pub ends_at: Option<PrimitiveDateTime>,
}

/// Stock of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentStock {
    /// Whether it is counted.
    pub tracked: bool,
    /// Units.
    pub on_hand: i64,
    /// Units that shoppers have reserved.
    pub reserved: i64,
    /// Units that may be sold ahead.
    pub backorder_limit: i64,
    /// Units at which it is low.
    pub low_threshold: i64,
}

/// A variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentVariant {
    /// Its id.
    pub id: i64,
    /// Its place.
    pub position: i64,
    /// False when archived.
    pub active: bool,
    /// GTIN or another code.
    pub barcode: String,
    /// Grams.
    pub weight_grams: Option<i64>,
    /// Millimetres.
    pub length_mm: Option<i64>,
    /// Millimetres.
    pub width_mm: Option<i64>,
    /// Millimetres.
    pub height_mm: Option<i64>,
    /// Value by option.
    pub options: BTreeMap<String, String>,
    /// Prices that have not ended.
    pub prices: Vec<LivePrice>,
    /// Stock.
    pub stock: Option<CurrentStock>,
}

/// An option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentOption {
    /// Its id.
    pub id: i64,
    /// Its place.
    pub position: i64,
    /// (id, place) by value.
    pub values: BTreeMap<String, (i64, i64)>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentMedia {
    /// Hash of its bytes.
    pub hash: Option<String>,
    /// Where an import said it is.
    pub url: String,
    /// What it shows.
    pub alt: String,
    /// The variant it shows.
    pub sku: Option<String>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentProduct {
    /// Its id.
    pub id: i64,
    /// Its slug, which an older one in the file may lead to.
    pub slug: String,
    /// Slug of the brand.
    pub brand: Option<String>,
    /// Whether it is shown.
    pub status: Status,
    /// From when.
    pub published_at: Option<PrimitiveDateTime>,
    /// Until when.
    pub unpublished_at: Option<PrimitiveDateTime>,
    /// Kind of product.
    pub product_type: String,
    /// Tax category.
    pub tax_category: String,
    /// Larger comes first.
    pub featured: i64,
    /// By locale.
    pub texts: BTreeMap<String, CurrentText>,
    /// Ids of categories.
    pub categories: BTreeSet<i64>,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// (code, value) of attributes.
    pub attributes: BTreeSet<(String, String)>,
    /// Options by name.
    pub options: BTreeMap<String, CurrentOption>,
    /// Variants by SKU.
    pub variants: BTreeMap<String, CurrentVariant>,
    /// Pictures in order.
    pub media: Vec<CurrentMedia>,
}

/// What the shop has of the products of a batch.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// Products by the slug that the file uses.
    pub products: BTreeMap<String, CurrentProduct>,
    /// Slug of the product that has a SKU.
    pub sku_owners: BTreeMap<String, String>,
    /// Hashes that the media store knows.
    pub hashes: BTreeSet<String>,
}
