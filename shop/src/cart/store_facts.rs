//! The SQL of what carts need to know about what is in them: one statement, and one more for categories.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::catalog::json_list;
use crate::catalog::listing::Image;
use crate::catalog::model::{Currency, StockLevel};

const FACTS: &str = "SELECT v.id, v.product_id, v.sku, p.slug, COALESCE(t.name, d.name, p.slug) AS name, p.tax_category, \
       COALESCE(v.weight_grams, 0) AS weight_grams, \
       v.status = 'active' AND p.status = 'active' AND p.published_at <= ? \
         AND (p.unpublished_at IS NULL OR p.unpublished_at > ?) AS is_sold, \
       (SELECT amount FROM price WHERE variant_id = v.id AND currency = ? AND starts_at <= ? \
         AND (ends_at IS NULL OR ends_at > ?) ORDER BY starts_at DESC, id DESC LIMIT 1) AS amount, \
       s.tracked, s.on_hand, s.reserved, s.backorder_limit, s.low_threshold, s.buckets, \
       (SELECT CAST(SUM(b.on_hand - b.reserved) AS SIGNED) FROM stock_bucket b WHERE b.variant_id = v.id) AS in_buckets, \
       (SELECT JSON_ARRAYAGG(JSON_ARRAY(o.position, o.id, COALESCE(vl.text, ov.value))) FROM variant_option vo \
         STRAIGHT_JOIN product_option o ON o.id = vo.option_id STRAIGHT_JOIN product_option_value ov ON ov.id = vo.value_id \
         LEFT JOIN label_translation vl ON vl.locale = ? AND vl.label = ov.value WHERE vo.variant_id = v.id) AS options, \
       (SELECT JSON_ARRAY(m.hash, m.width, m.height, pm.alt) FROM product_media pm STRAIGHT_JOIN media m ON m.hash = pm.hash \
         WHERE pm.product_id = p.id AND (pm.variant_id = v.id OR pm.variant_id IS NULL) \
         ORDER BY pm.variant_id IS NULL, pm.position LIMIT 1) AS picture \
     FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) wanted STRAIGHT_JOIN variant v ON v.id = wanted.id \
     STRAIGHT_JOIN product p ON p.id = v.product_id LEFT JOIN stock s ON s.variant_id = v.id \
     LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = ? \
     LEFT JOIN product_translation d ON d.product_id = p.id AND d.locale = ?";
const CATEGORIES: &str = "SELECT DISTINCT pc.product_id, above.ancestor_id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) wanted \
     STRAIGHT_JOIN product_category pc ON pc.product_id = wanted.id \
     STRAIGHT_JOIN category_closure above ON above.descendant_id = pc.category_id";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[("cart_facts", FACTS), ("cart_categories", CATEGORIES)];

/// Longest text of a variant's options, in characters: what orders keep.
const LONGEST_OPTIONS: usize = 255;

/// What a cart needs to know about a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantFacts {
    /// The variant.
    pub variant_id: i64,
    /// Its product.
    pub product_id: i64,
    /// Its SKU.
    pub sku: String,
    /// The product's address.
    pub slug: String,
    /// The product's name.
    pub name: String,
    /// The values of its options.
    pub options_text: String,
    /// A picture.
    pub picture: Option<Image>,
    /// What it is taxed as.
    pub tax_category: String,
    /// What a piece weighs.
    pub weight_grams: i64,
    /// What a piece costs, if it is sold in the currency and published.
    pub amount: Option<i64>,
    /// How many can be bought; none where stock is not counted.
    pub available: Option<i64>,
    /// Into how many buckets its stock is divided.
    pub buckets: i16,
}

#[derive(Debug, sqlx::FromRow)]
struct FactsRow {
    id: i64,
    product_id: i64,
    sku: String,
    slug: String,
    name: String,
    tax_category: String,
    weight_grams: i64,
    is_sold: Option<bool>,
    amount: Option<i64>,
    tracked: Option<bool>,
    on_hand: Option<i64>,
    reserved: Option<i64>,
    backorder_limit: Option<i64>,
    low_threshold: Option<i64>,
    buckets: Option<i16>,
    in_buckets: Option<i64>,
    options: Option<Json<Vec<(i32, i64, String)>>>,
    picture: Option<Json<(String, i32, i32, String)>>,
}

impl FactsRow {
    /// What can be sold is what the row of the stock and all its buckets have together. A variant without a row has no stock.
    fn available(&self) -> Option<i64> {
        let level = StockLevel {
            tracked: self.tracked.unwrap_or(true),
            on_hand: self
                .on_hand
                .unwrap_or(0)
                .saturating_add(self.in_buckets.unwrap_or(0)),
            reserved: self.reserved.unwrap_or(0),
            backorder_limit: self.backorder_limit.unwrap_or(0),
            low_threshold: self.low_threshold.unwrap_or(0),
        };
        level.available()
    }
}

impl From<FactsRow> for VariantFacts {
    fn from(row: FactsRow) -> Self {
        let available = row.available();
        let mut options = row.options.map_or_else(Vec::new, |options| options.0);
        options.sort();
        let values: Vec<String> = options.into_iter().map(|(_, _, value)| value).collect();
        Self {
            variant_id: row.id,
            product_id: row.product_id,
            sku: row.sku,
            slug: row.slug,
            name: row.name,
            options_text: values.join(", ").chars().take(LONGEST_OPTIONS).collect(),
            picture: row.picture.map(|Json((hash, width, height, alt))| Image {
                hash,
                alt,
                width,
                height,
            }),
            tax_category: row.tax_category,
            weight_grams: row.weight_grams,
            amount: row.amount.filter(|_| row.is_sold == Some(true)),
            available,
            buckets: row.buckets.unwrap_or(0),
        }
    }
}

/// In what words and at which moment facts are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The currency of prices.
    pub currency: Currency,
    /// The language of names.
    pub locale: &'a str,
    /// The language that others fall back to.
    pub first_locale: &'a str,
    /// The moment.
    pub now: OffsetDateTime,
}

/// What is known about variants, by their ids. Variants that do not exist are left out.
///
/// # Errors
/// Those of the database.
pub async fn facts(
    connection: &mut MySqlConnection,
    variants: &[i64],
    ask: &Ask<'_>,
) -> Result<BTreeMap<i64, VariantFacts>, sqlx::Error> {
    if variants.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<FactsRow> = sqlx::query_as(FACTS)
        .bind(ask.now)
        .bind(ask.now)
        .bind(ask.currency.as_str())
        .bind(ask.now)
        .bind(ask.now)
        .bind(ask.locale)
        .bind(json_list(variants)?)
        .bind(ask.locale)
        .bind(ask.first_locale)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, VariantFacts::from(row)))
        .collect())
}

/// The categories of products, with all above them.
///
/// # Errors
/// Those of the database.
pub async fn categories(
    connection: &mut MySqlConnection,
    products: &[i64],
) -> Result<BTreeMap<i64, Vec<i64>>, sqlx::Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(CATEGORIES)
        .bind(json_list(products)?)
        .fetch_all(connection)
        .await?;
    let mut categories: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (product, category) in rows {
        categories.entry(product).or_default().push(category);
    }
    Ok(categories)
}
