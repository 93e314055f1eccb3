//! The SQL of the derived tables. Each statement takes its list of keys as one JSON text and is driven by it, so that
//! a batch of any size is one prepared statement, and every access is by a key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};
use sqlx::MySqlConnection;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::identifier::Locale;
use super::index::MirroredValue;
use super::json_list;
use super::model::{AvailabilityBand, StockLevel};
use super::money::Currency;
use super::price::PriceRow;
pub use super::store_index_sql::STATEMENTS;
use super::store_index_sql::{
    ATTRIBUTES, CATEGORIES, CATEGORY_COUNT_UPDATE, DUE_TRANSITIONS, FACET_COUNTS_DELETE,
    FACET_COUNTS_KEPT, FACET_COUNTS_LIVE, FACET_COUNTS_UPSERT, FACET_DELETE, FACET_INSERT, FACETS,
    LABELS, LISTING_DELETE, LISTING_UPSERT, LISTINGS, MIRRORED, MIRRORED_ATTRIBUTE_INSERT,
    MIRRORED_VALUE_INSERT, NGRAM_DELETE, NGRAM_INSERT, NGRAMS, OPTIONS, PRICES, PRODUCTS_COUNT,
    PRODUCTS_FOR_UPDATE, RECOUNT_DONE, RECOUNT_MARK, RECOUNTS_DUE, TAGS, TRANSLATIONS, VARIANTS,
    WORD_DELETE, WORD_INSERT, WORDS,
};
use crate::search::document::Document;

/// Rows written by one statement.
const WRITE_ROWS: usize = 2_000;

/// What the derived rows of a batch follow from.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) products: BTreeMap<i64, ProductFacts>,
    /// By locale: translations of the values of attributes and options.
    pub(super) labels: HashMap<String, HashMap<String, String>>,
}

/// What the derived rows of one product follow from.
#[derive(Debug, Default)]
pub(super) struct ProductFacts {
    pub(super) active: bool,
    pub(super) published_at: Option<OffsetDateTime>,
    pub(super) unpublished_at: Option<OffsetDateTime>,
    pub(super) featured: i32,
    pub(super) brand: Option<String>,
    /// Own categories and all above them, with the lowest position below each.
    pub(super) categories: BTreeMap<i64, i32>,
    pub(super) variants: Vec<VariantFacts>,
    pub(super) attributes: Vec<AttributeFacts>,
    /// Names and values of the options of active variants.
    pub(super) options: BTreeSet<(String, String)>,
    pub(super) translations: HashMap<String, TranslationFacts>,
    pub(super) tags: Vec<String>,
}

#[derive(Debug)]
pub(super) struct VariantFacts {
    id: i64,
    pub(super) sku: String,
    pub(super) band: AvailabilityBand,
    pub(super) prices: BTreeMap<Currency, Vec<PriceRow>>,
}

#[derive(Debug)]
pub(super) struct AttributeFacts {
    pub(super) value_id: i64,
    pub(super) value: String,
    pub(super) filterable: bool,
}

#[derive(Debug)]
pub(super) struct TranslationFacts {
    pub(super) name: String,
    pub(super) description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ListingKey {
    pub(super) category_id: i64,
    pub(super) currency: Currency,
    pub(super) product_id: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListingValues {
    pub(super) price: i64,
    pub(super) price_max: i64,
    pub(super) compare_at: Option<i64>,
    pub(super) position: i64,
    pub(super) published_at: OffsetDateTime,
    pub(super) band: AvailabilityBand,
}

impl ListingValues {
    /// Whether some order or filter of a listing treats the two unlike.
    pub(super) fn sorts_unlike(&self, other: &Self) -> bool {
        let buyable = |row: &Self| row.band != AvailabilityBand::Out;
        (self.price, self.position, self.published_at, buyable(self))
            != (
                other.price,
                other.position,
                other.published_at,
                buyable(other),
            )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FacetKey {
    pub(super) category_id: i64,
    pub(super) value_id: i64,
    pub(super) product_id: i64,
}

type StockColumns = (
    Option<bool>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// The band of a variant. One without a stock row cannot be reserved, hence not be sold.
pub(super) fn band_of(stock: StockColumns) -> AvailabilityBand {
    stock_level(stock).map_or(AvailabilityBand::Out, |level| level.band())
}

/// The stock of a variant, where it has a stock row.
pub(super) fn stock_level(stock: StockColumns) -> Option<StockLevel> {
    let (Some(tracked), Some(on_hand), Some(reserved), Some(backorder_limit), Some(low_threshold)) =
        stock
    else {
        return None;
    };
    Some(StockLevel {
        tracked,
        on_hand,
        reserved,
        backorder_limit,
        low_threshold,
    })
}

/// Locks products in the order of their ids, and reads their own rows.
pub(super) async fn lock_products(
    connection: &mut MySqlConnection,
    ids: &[i64],
) -> Result<BTreeMap<i64, ProductFacts>, sqlx::Error> {
    type Product = (
        i64,
        bool,
        Option<OffsetDateTime>,
        Option<OffsetDateTime>,
        i32,
        Option<String>,
    );
    let products: Vec<Product> = sqlx::query_as(PRODUCTS_FOR_UPDATE)
        .bind(json_list(ids)?)
        .fetch_all(connection)
        .await?;
    let product = |(id, active, published_at, unpublished_at, featured, brand)| {
        let product = ProductFacts {
            active,
            published_at,
            unpublished_at,
            featured,
            brand,
            ..Default::default()
        };
        (id, product)
    };
    Ok(products.into_iter().map(product).collect())
}

/// Reads all else that the derived rows of products follow from. They are to be locked before.
pub(super) async fn facts(
    connection: &mut MySqlConnection,
    products: BTreeMap<i64, ProductFacts>,
    locales: &[Locale],
    now: OffsetDateTime,
) -> Result<Facts, sqlx::Error> {
    let ids: Vec<i64> = products.keys().copied().collect();
    let ids = json_list(&ids)?;
    let mut facts = Facts {
        products,
        ..Facts::default()
    };
    let categories: Vec<(i64, i64, i32)> = sqlx::query_as(CATEGORIES)
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    for (id, category, position) in categories {
        if let Some(product) = facts.products.get_mut(&id) {
            product.categories.insert(category, position);
        }
    }
    variant_facts(connection, &ids, now, &mut facts).await?;
    text_facts(connection, &ids, locales, &mut facts).await?;
    Ok(facts)
}

async fn variant_facts(
    connection: &mut MySqlConnection,
    ids: &str,
    now: OffsetDateTime,
    facts: &mut Facts,
) -> Result<(), sqlx::Error> {
    type Variant = (
        i64,
        i64,
        String,
        Option<bool>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
    );
    let variants: Vec<Variant> = sqlx::query_as(VARIANTS)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    for (product, id, sku, tracked, on_hand, reserved, backorder_limit, low_threshold) in variants {
        if let Some(product) = facts.products.get_mut(&product) {
            let band = band_of((tracked, on_hand, reserved, backorder_limit, low_threshold));
            product.variants.push(VariantFacts {
                id,
                sku,
                band,
                prices: BTreeMap::new(),
            });
        }
    }
    type Price = (
        i64,
        i64,
        String,
        i64,
        i64,
        Option<i64>,
        OffsetDateTime,
        Option<OffsetDateTime>,
    );
    let prices: Vec<Price> = sqlx::query_as(PRICES)
        .bind(ids)
        .bind(now)
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    for (product, variant, currency, id, amount, compare_at, starts_at, ends_at) in prices {
        let variant = facts.products.get_mut(&product).and_then(|product| {
            product
                .variants
                .iter_mut()
                .find(|candidate| candidate.id == variant)
        });
        // A currency that is no longer known is one that nobody can ask for.
        if let (Some(variant), Ok(currency)) = (variant, currency.parse()) {
            let row = PriceRow {
                id,
                amount,
                compare_at,
                starts_at,
                ends_at,
            };
            variant.prices.entry(currency).or_default().push(row);
        }
    }
    Ok(())
}

async fn text_facts(
    connection: &mut MySqlConnection,
    ids: &str,
    locales: &[Locale],
    facts: &mut Facts,
) -> Result<(), sqlx::Error> {
    let attributes: Vec<(i64, i64, String, bool)> = sqlx::query_as(ATTRIBUTES)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    let mut labels = BTreeSet::new();
    for (product, value_id, value, filterable) in attributes {
        if let Some(product) = facts.products.get_mut(&product) {
            labels.insert(value.clone());
            product.attributes.push(AttributeFacts {
                value_id,
                value,
                filterable,
            });
        }
    }
    let options: Vec<(i64, String, String)> = sqlx::query_as(OPTIONS)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    for (product, option, value) in options {
        if let Some(product) = facts.products.get_mut(&product) {
            labels.insert(value.clone());
            product.options.insert((option, value));
        }
    }
    let translations: Vec<(i64, String, String, String)> = sqlx::query_as(TRANSLATIONS)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    for (product, locale, name, description) in translations {
        if let Some(product) = facts.products.get_mut(&product) {
            product
                .translations
                .insert(locale, TranslationFacts { name, description });
        }
    }
    let tags: Vec<(i64, String)> = sqlx::query_as(TAGS)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    for (product, tag) in tags {
        if let Some(product) = facts.products.get_mut(&product) {
            product.tags.push(tag);
        }
    }
    let wanted: Vec<(&str, &str)> = locales
        .iter()
        .skip(1)
        .flat_map(|locale| labels.iter().map(|label| (locale.as_str(), label.as_str())))
        .collect();
    for chunk in wanted.chunks(WRITE_ROWS) {
        let rows: Vec<(String, String, String)> = sqlx::query_as(LABELS)
            .bind(json_list(chunk)?)
            .fetch_all(&mut *connection)
            .await?;
        for (locale, label, text) in rows {
            facts.labels.entry(locale).or_default().insert(label, text);
        }
    }
    Ok(())
}

/// The ids of values that mirror brands and options, made where they are missing. None where the attribute of that
/// code was made not filterable.
pub(super) async fn facet_value_ids(
    connection: &mut MySqlConnection,
    wanted: &BTreeSet<MirroredValue>,
) -> Result<BTreeMap<(String, String), Option<i64>>, sqlx::Error> {
    let mut found = BTreeMap::new();
    let wanted: Vec<&MirroredValue> = wanted.iter().collect();
    for chunk in wanted.chunks(WRITE_ROWS) {
        mirrored_find(connection, chunk, &mut found).await?;
        let missing: Vec<&MirroredValue> = chunk
            .iter()
            .copied()
            .filter(|value| !found.contains_key(&(value.code.clone(), value.value.clone())))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let list = mirrored_list(&missing)?;
        sqlx::query(MIRRORED_ATTRIBUTE_INSERT)
            .bind(&list)
            .execute(&mut *connection)
            .await?;
        sqlx::query(MIRRORED_VALUE_INSERT)
            .bind(&list)
            .execute(&mut *connection)
            .await?;
        mirrored_find(connection, &missing, &mut found).await?;
    }
    Ok(found)
}

fn mirrored_list(values: &[&MirroredValue]) -> Result<String, sqlx::Error> {
    let rows: Vec<(&str, &str, &str)> = values
        .iter()
        .map(|value| {
            (
                value.code.as_str(),
                value.name.as_str(),
                value.value.as_str(),
            )
        })
        .collect();
    json_list(&rows)
}

async fn mirrored_find(
    connection: &mut MySqlConnection,
    wanted: &[&MirroredValue],
    found: &mut BTreeMap<(String, String), Option<i64>>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<(String, String, i64, bool)> = sqlx::query_as(MIRRORED)
        .bind(mirrored_list(wanted)?)
        .fetch_all(&mut *connection)
        .await?;
    found.extend(
        rows.into_iter()
            .map(|(code, value, id, filterable)| ((code, value), filterable.then_some(id))),
    );
    Ok(())
}

/// The listing rows that products have now.
pub(super) async fn listings(
    connection: &mut MySqlConnection,
    ids: &[i64],
) -> Result<BTreeMap<ListingKey, ListingValues>, sqlx::Error> {
    type Row = (
        i64,
        String,
        i64,
        i64,
        i64,
        Option<i64>,
        i64,
        OffsetDateTime,
        String,
    );
    let rows: Vec<Row> = sqlx::query_as(LISTINGS)
        .bind(json_list(ids)?)
        .fetch_all(&mut *connection)
        .await?;
    let mut listings = BTreeMap::new();
    for (
        category_id,
        currency,
        product_id,
        price,
        price_max,
        compare_at,
        position,
        published_at,
        band,
    ) in rows
    {
        let currency = currency
            .parse()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let band = AvailabilityBand::from_word(&band).unwrap_or(AvailabilityBand::Out);
        let values = ListingValues {
            price,
            price_max,
            compare_at,
            position,
            published_at,
            band,
        };
        listings.insert(
            ListingKey {
                category_id,
                currency,
                product_id,
            },
            values,
        );
    }
    Ok(listings)
}

pub(super) async fn listing_delete(
    connection: &mut MySqlConnection,
    keys: &[ListingKey],
) -> Result<(), sqlx::Error> {
    for chunk in keys.chunks(WRITE_ROWS) {
        let rows: Vec<(i64, Currency, i64)> = chunk
            .iter()
            .map(|key| (key.category_id, key.currency, key.product_id))
            .collect();
        sqlx::query(LISTING_DELETE)
            .bind(json_list(&rows)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn listing_upsert(
    connection: &mut MySqlConnection,
    rows: &[(ListingKey, ListingValues)],
) -> Result<(), sqlx::Error> {
    for chunk in rows.chunks(WRITE_ROWS) {
        let mut rows = Vec::with_capacity(chunk.len());
        for (key, row) in chunk {
            let (price, price_max, compare_at) = (row.price, row.price_max, row.compare_at);
            let (published_at, band) = (datetime(row.published_at)?, row.band.as_str());
            let key = (key.category_id, key.currency, key.product_id);
            rows.push((
                key.0,
                key.1,
                key.2,
                price,
                price_max,
                compare_at,
                row.position,
                published_at,
                band,
            ));
        }
        sqlx::query(LISTING_UPSERT)
            .bind(json_list(&rows)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The text of an instant that a `DATETIME(6)` column takes.
fn datetime(instant: OffsetDateTime) -> Result<String, sqlx::Error> {
    instant
        .to_offset(UtcOffset::UTC)
        .format(format_description!(
            "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]"
        ))
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// The facet rows that products have now.
pub(super) async fn facets(
    connection: &mut MySqlConnection,
    ids: &[i64],
) -> Result<BTreeSet<FacetKey>, sqlx::Error> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(FACETS)
        .bind(json_list(ids)?)
        .fetch_all(&mut *connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(category_id, value_id, product_id)| FacetKey {
            category_id,
            value_id,
            product_id,
        })
        .collect())
}

pub(super) async fn facet_delete(
    connection: &mut MySqlConnection,
    keys: &[FacetKey],
) -> Result<(), sqlx::Error> {
    facet_write(connection, FACET_DELETE, keys).await
}

pub(super) async fn facet_insert(
    connection: &mut MySqlConnection,
    keys: &[FacetKey],
) -> Result<(), sqlx::Error> {
    facet_write(connection, FACET_INSERT, keys).await
}

async fn facet_write(
    connection: &mut MySqlConnection,
    statement: &'static str,
    keys: &[FacetKey],
) -> Result<(), sqlx::Error> {
    for chunk in keys.chunks(WRITE_ROWS) {
        let rows: Vec<(i64, i64, i64)> = chunk
            .iter()
            .map(|key| (key.category_id, key.value_id, key.product_id))
            .collect();
        sqlx::query(statement)
            .bind(json_list(&rows)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What a document is compared by: reading the texts themselves would move megabytes for each batch.
pub(super) fn digest(document: &Document) -> String {
    let mut hasher = Sha256::new();
    hasher.update(&document.title);
    hasher.update("\n");
    hasher.update(&document.body);
    hex::encode(hasher.finalize())
}

/// Digests of the documents that products have now, by product and locale.
pub(super) async fn documents(
    connection: &mut MySqlConnection,
    ngram: bool,
    ids: &[i64],
) -> Result<BTreeMap<(i64, String), String>, sqlx::Error> {
    let statement = if ngram { NGRAMS } else { WORDS };
    let rows: Vec<(i64, String, String)> = sqlx::query_as(statement)
        .bind(json_list(ids)?)
        .fetch_all(&mut *connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, locale, digest)| ((id, locale), digest))
        .collect())
}

pub(super) async fn document_delete(
    connection: &mut MySqlConnection,
    ngram: bool,
    keys: &[(i64, String)],
) -> Result<(), sqlx::Error> {
    let statement = if ngram { NGRAM_DELETE } else { WORD_DELETE };
    for chunk in keys.chunks(WRITE_ROWS) {
        sqlx::query(statement)
            .bind(json_list(chunk)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn document_insert(
    connection: &mut MySqlConnection,
    ngram: bool,
    documents: &[((i64, String), Document)],
) -> Result<(), sqlx::Error> {
    let statement = if ngram { NGRAM_INSERT } else { WORD_INSERT };
    // A body may have 64 KiB: this many stay below the smallest max_allowed_packet that servers come with.
    for chunk in documents.chunks(100) {
        let rows: Vec<(i64, &str, &str, &str)> = chunk
            .iter()
            .map(|((id, locale), document)| {
                (
                    *id,
                    locale.as_str(),
                    document.title.as_str(),
                    document.body.as_str(),
                )
            })
            .collect();
        sqlx::query(statement)
            .bind(json_list(&rows)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Notes that the counts of categories are to be made anew.
pub(super) async fn recount_mark(
    connection: &mut MySqlConnection,
    categories: &[i64],
) -> Result<(), sqlx::Error> {
    let categories: BTreeSet<i64> = categories.iter().copied().collect();
    let categories: Vec<i64> = categories.into_iter().collect();
    for chunk in categories.chunks(WRITE_ROWS) {
        sqlx::query(RECOUNT_MARK)
            .bind(json_list(chunk)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn recounts_due(
    connection: &mut MySqlConnection,
    limit: u32,
) -> Result<Vec<(i64, OffsetDateTime)>, sqlx::Error> {
    sqlx::query_as(RECOUNTS_DUE)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
}

pub(super) async fn recount_done(
    connection: &mut MySqlConnection,
    category_id: i64,
    due_since: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(RECOUNT_DONE)
        .bind(category_id)
        .bind(due_since)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn products_count(
    connection: &mut MySqlConnection,
    category_id: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(PRODUCTS_COUNT)
        .bind(category_id)
        .fetch_one(connection)
        .await
}

/// Whether the count was another one before.
pub(super) async fn category_count_update(
    connection: &mut MySqlConnection,
    category_id: i64,
    products: i64,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(CATEGORY_COUNT_UPDATE)
        .bind(products)
        .bind(category_id)
        .bind(products)
        .execute(connection)
        .await?;
    Ok(updated.rows_affected() > 0)
}

pub(super) async fn facet_counts_live(
    connection: &mut MySqlConnection,
    category_id: i64,
) -> Result<BTreeMap<i64, i64>, sqlx::Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(FACET_COUNTS_LIVE)
        .bind(category_id)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

pub(super) async fn facet_counts_kept(
    connection: &mut MySqlConnection,
    category_id: i64,
) -> Result<BTreeMap<i64, i64>, sqlx::Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(FACET_COUNTS_KEPT)
        .bind(category_id)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

pub(super) async fn facet_counts_replace(
    connection: &mut MySqlConnection,
    category_id: i64,
    write: &[(i64, i64)],
    remove: &[i64],
) -> Result<(), sqlx::Error> {
    for chunk in remove.chunks(WRITE_ROWS) {
        sqlx::query(FACET_COUNTS_DELETE)
            .bind(json_list(chunk)?)
            .bind(category_id)
            .execute(&mut *connection)
            .await?;
    }
    for chunk in write.chunks(WRITE_ROWS) {
        sqlx::query(FACET_COUNTS_UPSERT)
            .bind(category_id)
            .bind(json_list(chunk)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn due_transitions(
    connection: &mut MySqlConnection,
    since: OffsetDateTime,
    until: OffsetDateTime,
    after_product: i64,
    limit: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    let mut query = sqlx::query_scalar(DUE_TRANSITIONS);
    for _ in 0..4 {
        query = query.bind(since).bind(until);
    }
    query
        .bind(after_product)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
}
