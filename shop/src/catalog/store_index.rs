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

/// `JSON_TABLE` of a list of ids, the driving table of a statement.
macro_rules! ids {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) ids"
    };
}

const PRODUCTS_FOR_UPDATE: &str = concat!(
    "SELECT p.id, p.status = 'active', p.published_at, p.unpublished_at, p.featured, b.name FROM ",
    ids!(),
    " STRAIGHT_JOIN product p ON p.id = ids.id LEFT JOIN brand b ON b.id = p.brand_id FOR UPDATE OF p"
);
const CATEGORIES: &str = concat!(
    "SELECT pc.product_id, cc.ancestor_id, MIN(pc.position) FROM ",
    ids!(),
    " STRAIGHT_JOIN product_category pc ON pc.product_id = ids.id \
     STRAIGHT_JOIN category_closure cc ON cc.descendant_id = pc.category_id GROUP BY pc.product_id, cc.ancestor_id"
);
const VARIANTS: &str = concat!(
    "SELECT v.product_id, v.id, v.sku, s.tracked, s.on_hand, s.reserved, s.backorder_limit, s.low_threshold FROM ",
    ids!(),
    " STRAIGHT_JOIN variant v ON v.product_id = ids.id LEFT JOIN stock s ON s.variant_id = v.id \
     WHERE v.status = 'active' ORDER BY v.product_id, v.position, v.id"
);
const PRICES: &str = concat!(
    "SELECT v.product_id, p.variant_id, p.currency, p.id, p.amount, p.compare_at, p.starts_at, p.ends_at FROM ",
    ids!(),
    " STRAIGHT_JOIN variant v ON v.product_id = ids.id STRAIGHT_JOIN price p ON p.variant_id = v.id \
     WHERE v.status = 'active' AND p.starts_at <= ? AND (p.ends_at IS NULL OR p.ends_at > ?)"
);
const ATTRIBUTES: &str = concat!(
    "SELECT pa.product_id, pa.value_id, av.value, a.filterable FROM ",
    ids!(),
    " STRAIGHT_JOIN product_attribute pa ON pa.product_id = ids.id STRAIGHT_JOIN attribute_value av ON av.id = pa.value_id \
     STRAIGHT_JOIN attribute a ON a.id = av.attribute_id ORDER BY pa.product_id, a.position, pa.value_id"
);
const OPTIONS: &str = concat!(
    "SELECT DISTINCT v.product_id, o.name, ov.value FROM ",
    ids!(),
    " STRAIGHT_JOIN variant v ON v.product_id = ids.id STRAIGHT_JOIN variant_option vo ON vo.variant_id = v.id \
     STRAIGHT_JOIN product_option o ON o.id = vo.option_id STRAIGHT_JOIN product_option_value ov ON ov.id = vo.value_id \
     WHERE v.status = 'active'"
);
const TRANSLATIONS: &str = concat!(
    "SELECT t.product_id, t.locale, t.name, t.description FROM ",
    ids!(),
    " STRAIGHT_JOIN product_translation t ON t.product_id = ids.id"
);
const TAGS: &str = concat!(
    "SELECT t.product_id, t.tag FROM ",
    ids!(),
    " STRAIGHT_JOIN product_tag t ON t.product_id = ids.id ORDER BY t.product_id, t.tag"
);
const LABELS: &str = "SELECT t.locale, t.label, t.text FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin PATH '$[0]', \
       label VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$[1]')) wanted \
     STRAIGHT_JOIN label_translation t ON t.locale = wanted.locale AND t.label = wanted.label";
const LISTINGS: &str = concat!(
    "SELECT l.category_id, l.currency, l.product_id, l.price, l.price_max, l.compare_at, l.position, l.published_at, \
     l.band FROM ",
    ids!(),
    " STRAIGHT_JOIN listing l FORCE INDEX (listing_product) ON l.product_id = ids.id"
);
const LISTING_DELETE: &str = "DELETE l FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]', \
       product_id BIGINT PATH '$[2]')) gone \
     STRAIGHT_JOIN listing l ON l.category_id = gone.category_id AND l.currency = gone.currency \
       AND l.product_id = gone.product_id";
const LISTING_UPSERT: &str = "INSERT INTO listing (category_id, currency, product_id, price, price_max, compare_at, \
       position, published_at, band) \
     SELECT made.category_id, made.currency, made.product_id, made.price, made.price_max, made.compare_at, \
       made.position, made.published_at, made.band FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]', \
       product_id BIGINT PATH '$[2]', price BIGINT PATH '$[3]', price_max BIGINT PATH '$[4]', \
       compare_at BIGINT PATH '$[5]', position BIGINT PATH '$[6]', published_at DATETIME(6) PATH '$[7]', \
       band VARCHAR(8) PATH '$[8]')) made \
     ON DUPLICATE KEY UPDATE price = made.price, price_max = made.price_max, compare_at = made.compare_at, \
       position = made.position, published_at = made.published_at, band = made.band";
const FACETS: &str = concat!(
    "SELECT f.category_id, f.value_id, f.product_id FROM ",
    ids!(),
    " STRAIGHT_JOIN listing_facet f FORCE INDEX (listing_facet_product) ON f.product_id = ids.id"
);
const FACET_DELETE: &str = "DELETE f FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', value_id BIGINT PATH '$[1]', product_id BIGINT PATH '$[2]')) gone \
     STRAIGHT_JOIN listing_facet f ON f.category_id = gone.category_id AND f.value_id = gone.value_id \
       AND f.product_id = gone.product_id";
const FACET_INSERT: &str = "INSERT INTO listing_facet (category_id, value_id, product_id) \
     SELECT made.category_id, made.value_id, made.product_id FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', value_id BIGINT PATH '$[1]', product_id BIGINT PATH '$[2]')) made";
/// Pairs of attribute code and value, as statements on mirrored values take them.
macro_rules! mirrored {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS ( \
           code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$[0]', name VARCHAR(190) PATH '$[1]', \
           value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$[2]')) wanted"
    };
}
const MIRRORED: &str = concat!(
    "SELECT a.code, v.value, v.id, a.filterable FROM ",
    mirrored!(),
    " STRAIGHT_JOIN attribute a ON a.code = wanted.code \
      STRAIGHT_JOIN attribute_value v ON v.attribute_id = a.id AND v.value = wanted.value"
);
const MIRRORED_ATTRIBUTE_INSERT: &str = concat!(
    "INSERT INTO attribute (code, name, kind) SELECT wanted.code, MIN(wanted.name), \
     IF(wanted.code = 'brand', 'brand', 'option') FROM ",
    mirrored!(),
    " LEFT JOIN attribute a ON a.code = wanted.code WHERE a.id IS NULL GROUP BY wanted.code \
      ON DUPLICATE KEY UPDATE attribute.code = attribute.code"
);
const MIRRORED_VALUE_INSERT: &str = concat!(
    "INSERT INTO attribute_value (attribute_id, value) SELECT a.id, wanted.value FROM ",
    mirrored!(),
    " STRAIGHT_JOIN attribute a ON a.code = wanted.code \
      ON DUPLICATE KEY UPDATE attribute_value.value = attribute_value.value"
);
const WORDS: &str = concat!(
    "SELECT s.product_id, s.locale, SHA2(CONCAT(s.title, '\\n', s.body), 256) FROM ",
    ids!(),
    " STRAIGHT_JOIN search_word s ON s.product_id = ids.id"
);
const NGRAMS: &str = concat!(
    "SELECT s.product_id, s.locale, SHA2(CONCAT(s.title, '\\n', s.body), 256) FROM ",
    ids!(),
    " STRAIGHT_JOIN search_ngram s ON s.product_id = ids.id"
);
/// Keys of documents, as statements that delete them take them.
macro_rules! documents_gone {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS ( product_id BIGINT PATH '$[0]', \
           locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]')) gone"
    };
}
const WORD_DELETE: &str = concat!(
    "DELETE s FROM ",
    documents_gone!(),
    " STRAIGHT_JOIN search_word s ON s.product_id = gone.product_id AND s.locale = gone.locale"
);
const NGRAM_DELETE: &str = concat!(
    "DELETE s FROM ",
    documents_gone!(),
    " STRAIGHT_JOIN search_ngram s ON s.product_id = gone.product_id AND s.locale = gone.locale"
);
/// Documents, as statements that write them take them.
macro_rules! documents_made {
    () => {
        "SELECT made.product_id, made.locale, made.title, made.body FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
           product_id BIGINT PATH '$[0]', locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]', \
           title VARCHAR(255) PATH '$[2]', body TEXT PATH '$[3]')) made"
    };
}
// A document that changed is deleted and inserted. InnoDB refuses to change an indexed text under the same FTS_DOC_ID, and
// of a REPLACE of several rows it leaves some out of the index.
const WORD_INSERT: &str = concat!(
    "INSERT INTO search_word (product_id, locale, title, body) ",
    documents_made!()
);
const NGRAM_INSERT: &str = concat!(
    "INSERT INTO search_ngram (product_id, locale, title, body) ",
    documents_made!()
);
const RECOUNT_MARK: &str = concat!(
    "INSERT INTO category_recount (category_id, due_since) SELECT ids.id, CURRENT_TIMESTAMP(6) FROM ",
    ids!(),
    " ON DUPLICATE KEY UPDATE due_since = VALUES(due_since)"
);
const RECOUNTS_DUE: &str =
    "SELECT category_id, due_since FROM category_recount ORDER BY due_since LIMIT ?";
const RECOUNT_DONE: &str = "DELETE FROM category_recount WHERE category_id = ? AND due_since = ?";
const PRODUCTS_COUNT: &str = "SELECT COUNT(DISTINCT product_id) FROM listing WHERE category_id = ?";
const CATEGORY_COUNT_UPDATE: &str = "UPDATE category SET product_count = ?, updated_at = updated_at \
     WHERE id = ? AND product_count <> ?";
const FACET_COUNTS_LIVE: &str =
    "SELECT value_id, COUNT(*) FROM listing_facet WHERE category_id = ? GROUP BY value_id";
const FACET_COUNTS_KEPT: &str =
    "SELECT value_id, product_count FROM category_facet WHERE category_id = ?";
const FACET_COUNTS_DELETE: &str = concat!(
    "DELETE f FROM ",
    ids!(),
    " STRAIGHT_JOIN category_facet f ON f.value_id = ids.id AND f.category_id = ?"
);
const FACET_COUNTS_UPSERT: &str = "INSERT INTO category_facet (category_id, value_id, product_count) \
     SELECT ?, made.value_id, made.counted FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       value_id BIGINT PATH '$[0]', counted BIGINT PATH '$[1]')) made \
     ON DUPLICATE KEY UPDATE product_count = made.counted";
const DUE_TRANSITIONS: &str = "SELECT due.product_id FROM ( \
       SELECT v.product_id FROM price p FORCE INDEX (price_starts) STRAIGHT_JOIN variant v ON v.id = p.variant_id \
         WHERE p.starts_at > ? AND p.starts_at <= ? \
       UNION SELECT v.product_id FROM price p FORCE INDEX (price_ends) STRAIGHT_JOIN variant v ON v.id = p.variant_id \
         WHERE p.ends_at > ? AND p.ends_at <= ? \
       UNION SELECT id FROM product FORCE INDEX (product_published) WHERE published_at > ? AND published_at <= ? \
       UNION SELECT id FROM product FORCE INDEX (product_unpublished) WHERE unpublished_at > ? AND unpublished_at <= ? \
     ) due WHERE due.product_id > ? ORDER BY due.product_id LIMIT ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("index_products_for_update", PRODUCTS_FOR_UPDATE),
    ("index_categories", CATEGORIES),
    ("index_variants", VARIANTS),
    ("index_prices", PRICES),
    ("index_attributes", ATTRIBUTES),
    ("index_options", OPTIONS),
    ("index_translations", TRANSLATIONS),
    ("index_tags", TAGS),
    ("index_labels", LABELS),
    ("index_listings", LISTINGS),
    ("index_listing_delete", LISTING_DELETE),
    ("index_listing_upsert", LISTING_UPSERT),
    ("index_facets", FACETS),
    ("index_facet_delete", FACET_DELETE),
    ("index_facet_insert", FACET_INSERT),
    ("index_mirrored", MIRRORED),
    ("index_mirrored_attribute_insert", MIRRORED_ATTRIBUTE_INSERT),
    ("index_mirrored_value_insert", MIRRORED_VALUE_INSERT),
    ("index_words", WORDS),
    ("index_ngrams", NGRAMS),
    ("index_word_delete", WORD_DELETE),
    ("index_ngram_delete", NGRAM_DELETE),
    ("index_word_insert", WORD_INSERT),
    ("index_ngram_insert", NGRAM_INSERT),
    ("index_recount_mark", RECOUNT_MARK),
    ("index_recounts_due", RECOUNTS_DUE),
    ("index_recount_done", RECOUNT_DONE),
    ("index_products_count", PRODUCTS_COUNT),
    ("index_category_count_update", CATEGORY_COUNT_UPDATE),
    ("index_facet_counts_live", FACET_COUNTS_LIVE),
    ("index_facet_counts_kept", FACET_COUNTS_KEPT),
    ("index_facet_counts_delete", FACET_COUNTS_DELETE),
    ("index_facet_counts_upsert", FACET_COUNTS_UPSERT),
    ("index_due_transitions", DUE_TRANSITIONS),
];

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

/// Reads all that the derived rows of these products follow from, and locks the products in the order of their ids.
pub(super) async fn facts(
    connection: &mut MySqlConnection,
    ids: &[i64],
    locales: &[Locale],
    now: OffsetDateTime,
) -> Result<Facts, sqlx::Error> {
    let ids = json_list(ids)?;
    let mut facts = Facts::default();
    type Product = (
        i64,
        bool,
        Option<OffsetDateTime>,
        Option<OffsetDateTime>,
        i32,
        Option<String>,
    );
    let products: Vec<Product> = sqlx::query_as(PRODUCTS_FOR_UPDATE)
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    for (id, active, published_at, unpublished_at, featured, brand) in products {
        let product = ProductFacts {
            active,
            published_at,
            unpublished_at,
            featured,
            brand,
            ..Default::default()
        };
        facts.products.insert(id, product);
    }
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
