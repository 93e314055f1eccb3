//! A product as its page shows it.

use time::OffsetDateTime;

use super::category::CategoryLink;
use super::identifier::{Sku, Slug};
use super::listing::{Brand, Image};
use super::model::AvailabilityBand;
use super::money::Money;

/// Related products shown with one.
pub const MAX_RELATED: u32 = 8;
/// Variants shown of one product.
pub const MAX_VARIANTS: u32 = 500;

/// A product's page.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductPage {
    /// The product's id.
    pub id: i64,
    /// Its address.
    pub slug: Slug,
    /// Grows with each change by staff.
    pub version: i64,
    /// Its name in the language asked for, or in the default one.
    pub name: String,
    /// Its description.
    pub description: String,
    /// A title for search engines; empty where the name will do.
    pub seo_title: String,
    /// A summary for search engines; may be empty.
    pub seo_description: String,
    /// The kind of product, as staff call it.
    pub product_type: String,
    /// The tax category.
    pub tax_category: String,
    /// Its maker.
    pub brand: Option<Brand>,
    /// When it was published.
    pub published_at: OffsetDateTime,
    /// When it was changed last.
    pub updated_at: OffsetDateTime,
    /// What its variants differ in, in order.
    pub options: Vec<ProductOption>,
    /// What can be bought, in order.
    pub variants: Vec<Variant>,
    /// Its characteristics, in the order of attributes.
    pub attributes: Vec<Attribute>,
    /// Its pictures, in order.
    pub media: Vec<Media>,
    /// Its categories, each with the way to it from the top.
    pub categories: Vec<Vec<CategoryLink>>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl ProductPage {
    /// The best band of its variants.
    #[must_use]
    pub fn band(&self) -> AvailabilityBand {
        self.variants
            .iter()
            .map(|variant| variant.band)
            .max()
            .unwrap_or(AvailabilityBand::Out)
    }

    /// The way to its first category, the top one first; empty where it has none.
    #[must_use]
    pub fn breadcrumbs(&self) -> &[CategoryLink] {
        self.categories.first().map_or(&[], Vec::as_slice)
    }
}

/// Something that variants differ in, such as the size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductOption {
    /// Its id.
    pub id: i64,
    /// Its name in the language asked for.
    pub name: String,
    /// Its values that some variant has, in order.
    pub values: Vec<OptionValue>,
}

/// A value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionValue {
    /// Its id.
    pub id: i64,
    /// The value in the language asked for.
    pub label: String,
}

/// What can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its id.
    pub id: i64,
    /// Its SKU.
    pub sku: Sku,
    /// Its barcode; may be empty.
    pub barcode: String,
    /// Its weight in grams.
    pub weight_grams: Option<i64>,
    /// The ids of its option values, in the order of options.
    pub option_values: Vec<i64>,
    /// Its price; none where it cannot be bought in this currency.
    pub price: Option<Money>,
    /// A higher price to compare with.
    pub compare_at: Option<Money>,
    /// While the price is reduced: the lowest price of the 30 days before (Directive 98/6/EC, Article 6a).
    pub lowest_before_reduction: Option<Money>,
    /// When another price, or none, will count, as far as that is planned.
    pub price_until: Option<OffsetDateTime>,
    /// Whether it can be bought.
    pub band: AvailabilityBand,
}

/// A characteristic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The attribute's code.
    pub code: String,
    /// Its name in the language asked for.
    pub name: String,
    /// The unit of numbers.
    pub unit: String,
    /// The product's values in the language asked for.
    pub values: Vec<String>,
}

/// A picture of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The picture.
    pub image: Image,
    /// The variant that it shows, where it shows one only.
    pub variant_id: Option<i64>,
}
