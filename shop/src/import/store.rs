//! The SQL of the import. Each statement takes its rows as one JSON text, so that a batch of any size is one prepared
//! statement; rows know each other by slug, SKU, code and name, so that no id has to be asked for in between.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::MySqlConnection;
use time::PrimitiveDateTime;

use super::changes::Changes;
use super::record::Status;
use super::state::{
    Current, CurrentMedia, CurrentOption, CurrentProduct, CurrentStock, CurrentText,
    CurrentVariant, LivePrice,
};
use super::store_category::{CATEGORIES, CATEGORIES_OF, CATEGORY_INSERT, CATEGORY_TEXT_INSERT};
use crate::stock::store_columns::stock_columns;
use crate::stock::store_rows;

/// Rows written by one statement: keeps a statement below a megabyte or two.
const ROWS_PER_STATEMENT: usize = 2_000;

const PRODUCTS: &str = "SELECT j.slug, p.id, p.slug, b.slug, p.status, p.published_at, p.unpublished_at, p.product_type, \
p.tax_category, p.featured \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) AS j \
LEFT JOIN product AS own ON own.slug = j.slug \
LEFT JOIN slug_redirect AS r ON own.id IS NULL AND r.kind = 'product' AND r.slug = j.slug \
STRAIGHT_JOIN product AS p ON p.id = COALESCE(own.id, r.target_id) \
LEFT JOIN brand AS b ON b.id = p.brand_id";

/// The products are locked in the order of their ids, as everybody does.
const PRODUCTS_FOR_UPDATE: &str = "SELECT j.slug, p.id, p.slug, b.slug, p.status, p.published_at, p.unpublished_at, p.product_type, \
p.tax_category, p.featured \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) AS j \
LEFT JOIN product AS own ON own.slug = j.slug \
LEFT JOIN slug_redirect AS r ON own.id IS NULL AND r.kind = 'product' AND r.slug = j.slug \
STRAIGHT_JOIN product AS p ON p.id = COALESCE(own.id, r.target_id) \
LEFT JOIN brand AS b ON b.id = p.brand_id \
ORDER BY p.id FOR UPDATE OF p";

const SKU_OWNERS: &str = "SELECT v.sku, p.slug \
FROM JSON_TABLE(?, '$[*]' COLUMNS (sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) AS j \
STRAIGHT_JOIN variant AS v ON v.sku = j.sku STRAIGHT_JOIN product AS p ON p.id = v.product_id";

const HASHES: &str = "SELECT m.hash \
FROM JSON_TABLE(?, '$[*]' COLUMNS (hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS j \
STRAIGHT_JOIN media AS m ON m.hash = j.hash";

const TEXTS: &str = "SELECT t.product_id, t.locale, t.name, t.description, t.seo_title, t.seo_description \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_translation AS t ON t.product_id = j.id";

const TAGS: &str = "SELECT t.product_id, t.tag \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_tag AS t ON t.product_id = j.id";

const ATTRIBUTES: &str = "SELECT pa.product_id, a.code, v.value \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_attribute AS pa ON pa.product_id = j.id \
STRAIGHT_JOIN attribute_value AS v ON v.id = pa.value_id STRAIGHT_JOIN attribute AS a ON a.id = v.attribute_id";

const OPTIONS: &str = "SELECT o.product_id, o.id, o.name, CAST(o.position AS SIGNED), v.id, v.value, CAST(v.position AS SIGNED) \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_option AS o ON o.product_id = j.id \
LEFT JOIN product_option_value AS v ON v.option_id = o.id";

const VARIANTS: &str = concat!(
    "SELECT v.product_id, v.id, v.sku, CAST(v.position AS SIGNED), v.status, v.barcode, v.weight_grams, \
v.length_mm, v.width_mm, v.height_mm, ",
    stock_columns!(),
    " FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN variant AS v ON v.product_id = j.id \
LEFT JOIN stock AS s ON s.variant_id = v.id"
);

const VARIANT_OPTIONS: &str = "SELECT v.product_id, v.sku, o.name, ov.value \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN variant AS v ON v.product_id = j.id \
STRAIGHT_JOIN variant_option AS vo ON vo.variant_id = v.id STRAIGHT_JOIN product_option AS o ON o.id = vo.option_id \
STRAIGHT_JOIN product_option_value AS ov ON ov.id = vo.value_id";

const PRICES: &str = "SELECT v.product_id, v.sku, p.id, p.currency, p.amount, p.compare_at, p.starts_at, p.ends_at \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN variant AS v ON v.product_id = j.id \
STRAIGHT_JOIN price AS p ON p.variant_id = v.id WHERE p.ends_at IS NULL OR p.ends_at > ?";

const MEDIA: &str = "SELECT m.product_id, m.hash, m.source_url, m.alt, v.sku \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_media AS m ON m.product_id = j.id \
LEFT JOIN variant AS v ON v.id = m.variant_id ORDER BY m.product_id, m.position";

const BRANDS: &str = "SELECT name, slug FROM brand ORDER BY id";

const BRAND_INSERT: &str = "INSERT INTO brand (slug, name) SELECT j.slug, j.name \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
name VARCHAR(190) PATH '$.name' ERROR ON ERROR)) AS j LEFT JOIN brand AS b ON b.slug = j.slug WHERE b.id IS NULL";

const PRODUCT_INSERT: &str = "INSERT INTO product (slug, brand_id, status, published_at, unpublished_at, product_type, \
tax_category, featured) \
SELECT j.slug, b.id, j.status, j.published_at, j.unpublished_at, j.product_type, j.tax_category, j.featured \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
brand VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.brand' ERROR ON ERROR, \
status VARCHAR(16) PATH '$.status' ERROR ON ERROR, published_at DATETIME(6) PATH '$.published_at' ERROR ON ERROR, \
unpublished_at DATETIME(6) PATH '$.unpublished_at' ERROR ON ERROR, product_type VARCHAR(190) PATH '$.product_type' ERROR ON ERROR, \
tax_category VARCHAR(64) PATH '$.tax_category' ERROR ON ERROR, featured INT PATH '$.featured' ERROR ON ERROR)) AS j \
LEFT JOIN brand AS b ON b.slug = j.brand";

const PRODUCT_UPDATE: &str = "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (\
slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
brand VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.brand' ERROR ON ERROR, \
status VARCHAR(16) PATH '$.status' ERROR ON ERROR, published_at DATETIME(6) PATH '$.published_at' ERROR ON ERROR, \
unpublished_at DATETIME(6) PATH '$.unpublished_at' ERROR ON ERROR, product_type VARCHAR(190) PATH '$.product_type' ERROR ON ERROR, \
tax_category VARCHAR(64) PATH '$.tax_category' ERROR ON ERROR, featured INT PATH '$.featured' ERROR ON ERROR)) AS j \
STRAIGHT_JOIN product AS p ON p.slug = j.slug LEFT JOIN brand AS b ON b.slug = j.brand \
SET p.brand_id = b.id, p.status = j.status, p.published_at = j.published_at, p.unpublished_at = j.unpublished_at, \
p.product_type = j.product_type, p.tax_category = j.tax_category, p.featured = j.featured, p.version = p.version + 1";

const TEXT_UPSERT: &str = "INSERT INTO product_translation (product_id, locale, name, description, seo_title, seo_description) \
SELECT p.id, j.locale, j.name, j.description, j.seo_title, j.seo_description \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
locale VARCHAR(16) PATH '$.locale' ERROR ON ERROR, name VARCHAR(255) PATH '$.name' ERROR ON ERROR, \
description TEXT PATH '$.description' ERROR ON ERROR, seo_title VARCHAR(255) PATH '$.seo_title' ERROR ON ERROR, \
seo_description VARCHAR(512) PATH '$.seo_description' ERROR ON ERROR)) AS j STRAIGHT_JOIN product AS p ON p.slug = j.slug \
ON DUPLICATE KEY UPDATE name = j.name, description = j.description, seo_title = j.seo_title, seo_description = j.seo_description";

const CATEGORY_LEAVE: &str = "DELETE c FROM JSON_TABLE(?, '$[*]' COLUMNS (\
slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug', item BIGINT PATH '$.item')) AS j \
STRAIGHT_JOIN product AS p ON p.slug = j.slug STRAIGHT_JOIN product_category AS c ON c.product_id = p.id AND c.category_id = j.item";

const CATEGORY_JOIN: &str = "INSERT INTO product_category (product_id, category_id) SELECT p.id, j.item \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
item BIGINT PATH '$.item' ERROR ON ERROR)) AS j STRAIGHT_JOIN product AS p ON p.slug = j.slug";

const TAG_DELETE: &str = "DELETE t FROM JSON_TABLE(?, '$[*]' COLUMNS (\
slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug', \
item VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.item')) AS j \
STRAIGHT_JOIN product AS p ON p.slug = j.slug STRAIGHT_JOIN product_tag AS t ON t.product_id = p.id AND t.tag = j.item";

const TAG_INSERT: &str = "INSERT INTO product_tag (product_id, tag) SELECT p.id, j.item \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
item VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.item' ERROR ON ERROR)) AS j STRAIGHT_JOIN product AS p ON p.slug = j.slug";

const ATTRIBUTE_INSERT: &str = "INSERT INTO attribute (code, name, kind, unit) SELECT j.code, j.name, j.kind, j.unit \
FROM JSON_TABLE(?, '$[*]' COLUMNS (code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$.code' ERROR ON ERROR, \
name VARCHAR(190) PATH '$.name' ERROR ON ERROR, kind VARCHAR(16) PATH '$.kind' ERROR ON ERROR, \
unit VARCHAR(16) PATH '$.unit' ERROR ON ERROR)) AS j LEFT JOIN attribute AS a ON a.code = j.code WHERE a.id IS NULL";

const ATTRIBUTE_VALUE_INSERT: &str = "INSERT INTO attribute_value (attribute_id, value, number_value) \
SELECT a.id, j.value, IF(a.kind = 'number', j.number, NULL) \
FROM JSON_TABLE(?, '$[*]' COLUMNS (code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$.code' ERROR ON ERROR, \
value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.value' ERROR ON ERROR, \
number DOUBLE PATH '$.number' ERROR ON ERROR)) AS j STRAIGHT_JOIN attribute AS a ON a.code = j.code \
LEFT JOIN attribute_value AS v ON v.attribute_id = a.id AND v.value = j.value WHERE v.id IS NULL";

const ATTRIBUTE_LOSE: &str = "DELETE pa FROM JSON_TABLE(?, '$[*]' COLUMNS (\
slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug', \
code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$.code', \
value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.value')) AS j STRAIGHT_JOIN product AS p ON p.slug = j.slug \
STRAIGHT_JOIN attribute AS a ON a.code = j.code STRAIGHT_JOIN attribute_value AS v ON v.attribute_id = a.id AND v.value = j.value \
STRAIGHT_JOIN product_attribute AS pa ON pa.product_id = p.id AND pa.value_id = v.id";

const ATTRIBUTE_GAIN: &str = "INSERT INTO product_attribute (product_id, value_id) SELECT p.id, v.id \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$.code' ERROR ON ERROR, \
value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.value' ERROR ON ERROR)) AS j STRAIGHT_JOIN product AS p ON p.slug = j.slug \
STRAIGHT_JOIN attribute AS a ON a.code = j.code STRAIGHT_JOIN attribute_value AS v ON v.attribute_id = a.id AND v.value = j.value";

const OPTION_DELETE: &str = "DELETE o FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_option AS o ON o.id = j.id";

const OPTION_VALUE_DELETE: &str = "DELETE v FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_option_value AS v ON v.id = j.id";

const OPTION_UPSERT: &str = "INSERT INTO product_option (product_id, position, name) SELECT p.id, j.position, j.name \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
position INT PATH '$.position' ERROR ON ERROR, \
name VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.name' ERROR ON ERROR)) AS j STRAIGHT_JOIN product AS p ON p.slug = j.slug \
ON DUPLICATE KEY UPDATE position = j.position";

const OPTION_VALUE_UPSERT: &str = "INSERT INTO product_option_value (option_id, position, value) SELECT o.id, j.position, j.value \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
name VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.name' ERROR ON ERROR, position INT PATH '$.position' ERROR ON ERROR, \
value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.value' ERROR ON ERROR)) AS j \
STRAIGHT_JOIN product AS p ON p.slug = j.slug STRAIGHT_JOIN product_option AS o ON o.product_id = p.id AND o.name = j.name \
ON DUPLICATE KEY UPDATE position = j.position";

const VARIANT_INSERT: &str = "INSERT INTO variant (product_id, sku, position, status, barcode, weight_grams, length_mm, width_mm, \
height_mm) SELECT p.id, j.sku, j.position, j.status, j.barcode, j.weight_grams, j.length_mm, j.width_mm, j.height_mm \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, position INT PATH '$.position' ERROR ON ERROR, \
status VARCHAR(16) PATH '$.status' ERROR ON ERROR, barcode VARCHAR(64) PATH '$.barcode' ERROR ON ERROR, \
weight_grams BIGINT PATH '$.weight_grams' ERROR ON ERROR, length_mm BIGINT PATH '$.length_mm' ERROR ON ERROR, \
width_mm BIGINT PATH '$.width_mm' ERROR ON ERROR, height_mm BIGINT PATH '$.height_mm' ERROR ON ERROR)) AS j \
STRAIGHT_JOIN product AS p ON p.slug = j.slug";

const VARIANT_UPDATE: &str = "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (\
sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, position INT PATH '$.position' ERROR ON ERROR, \
status VARCHAR(16) PATH '$.status' ERROR ON ERROR, barcode VARCHAR(64) PATH '$.barcode' ERROR ON ERROR, \
weight_grams BIGINT PATH '$.weight_grams' ERROR ON ERROR, length_mm BIGINT PATH '$.length_mm' ERROR ON ERROR, \
width_mm BIGINT PATH '$.width_mm' ERROR ON ERROR, height_mm BIGINT PATH '$.height_mm' ERROR ON ERROR)) AS j \
STRAIGHT_JOIN variant AS v ON v.sku = j.sku SET v.position = j.position, v.status = j.status, v.barcode = j.barcode, \
v.weight_grams = j.weight_grams, v.length_mm = j.length_mm, v.width_mm = j.width_mm, v.height_mm = j.height_mm, \
v.version = v.version + 1";

const VARIANT_OPTION_UPSERT: &str = "INSERT INTO variant_option (variant_id, option_id, value_id) SELECT v.id, o.id, ov.id \
FROM JSON_TABLE(?, '$[*]' COLUMNS (sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, \
name VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.name' ERROR ON ERROR, \
value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.value' ERROR ON ERROR)) AS j \
STRAIGHT_JOIN variant AS v ON v.sku = j.sku STRAIGHT_JOIN product_option AS o ON o.product_id = v.product_id AND o.name = j.name \
STRAIGHT_JOIN product_option_value AS ov ON ov.option_id = o.id AND ov.value = j.value \
ON DUPLICATE KEY UPDATE value_id = ov.id";

const PRICE_END: &str = "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$.id' ERROR ON ERROR, \
ends_at DATETIME(6) PATH '$.ends_at' ERROR ON ERROR)) AS j STRAIGHT_JOIN price AS p ON p.id = j.id SET p.ends_at = j.ends_at";

const PRICE_INSERT: &str = "INSERT INTO price (variant_id, currency, amount, compare_at, starts_at, ends_at) \
SELECT v.id, j.currency, j.amount, j.compare_at, j.starts_at, j.ends_at \
FROM JSON_TABLE(?, '$[*]' COLUMNS (sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, \
currency VARCHAR(3) PATH '$.currency' ERROR ON ERROR, amount BIGINT PATH '$.amount' ERROR ON ERROR, \
compare_at BIGINT PATH '$.compare_at' ERROR ON ERROR, starts_at DATETIME(6) PATH '$.starts_at' ERROR ON ERROR, \
ends_at DATETIME(6) PATH '$.ends_at' ERROR ON ERROR)) AS j STRAIGHT_JOIN variant AS v ON v.sku = j.sku";

const MEDIA_DELETE: &str = "DELETE m FROM JSON_TABLE(?, '$[*]' COLUMNS (\
slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) AS j \
STRAIGHT_JOIN product AS p ON p.slug = j.slug STRAIGHT_JOIN product_media AS m ON m.product_id = p.id";

const MEDIA_INSERT: &str = "INSERT INTO product_media (product_id, position, variant_id, hash, source_url, alt) \
SELECT p.id, j.position, v.id, j.hash, j.url, j.alt \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.slug' ERROR ON ERROR, \
position INT PATH '$.position' ERROR ON ERROR, \
sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, \
hash VARCHAR(64) PATH '$.hash' ERROR ON ERROR, url VARCHAR(1024) PATH '$.url' ERROR ON ERROR, \
alt VARCHAR(255) PATH '$.alt' ERROR ON ERROR)) AS j STRAIGHT_JOIN product AS p ON p.slug = j.slug \
LEFT JOIN variant AS v ON v.sku = j.sku AND v.product_id = p.id";

/// Shoppers may have reserved more since the comparison: what is counted never falls below what is promised.
const STOCK_UPSERT: &str = "INSERT INTO stock (variant_id, tracked, on_hand, backorder_limit, low_threshold) \
SELECT v.id, j.tracked, j.on_hand, j.backorder_limit, j.low_threshold \
FROM JSON_TABLE(?, '$[*]' COLUMNS (sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, \
tracked TINYINT PATH '$.tracked' ERROR ON ERROR, on_hand BIGINT PATH '$.on_hand' ERROR ON ERROR, \
backorder_limit BIGINT PATH '$.backorder_limit' ERROR ON ERROR, low_threshold BIGINT PATH '$.low_threshold' ERROR ON ERROR)) AS j \
STRAIGHT_JOIN variant AS v ON v.sku = j.sku ORDER BY v.id \
ON DUPLICATE KEY UPDATE tracked = j.tracked, \
on_hand = IF(stock.buckets > 0, stock.on_hand, \
IF(j.tracked = 1, GREATEST(j.on_hand, stock.reserved - j.backorder_limit), j.on_hand)), \
backorder_limit = j.backorder_limit, low_threshold = j.low_threshold, version = stock.version + 1";

const PRODUCT_IDS: &str = "SELECT p.slug, p.id \
FROM JSON_TABLE(?, '$[*]' COLUMNS (slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) AS j \
STRAIGHT_JOIN product AS p ON p.slug = j.slug";

/// Every statement with its name, so that tests can prepare all of them.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("products", PRODUCTS),
    ("products_for_update", PRODUCTS_FOR_UPDATE),
    ("sku_owners", SKU_OWNERS),
    ("hashes", HASHES),
    ("texts", TEXTS),
    ("categories_of", CATEGORIES_OF),
    ("tags", TAGS),
    ("attributes", ATTRIBUTES),
    ("options", OPTIONS),
    ("variants", VARIANTS),
    ("variant_options", VARIANT_OPTIONS),
    ("prices", PRICES),
    ("media", MEDIA),
    ("brands", BRANDS),
    ("categories", CATEGORIES),
    ("category_insert", CATEGORY_INSERT),
    ("category_text_insert", CATEGORY_TEXT_INSERT),
    ("brand_insert", BRAND_INSERT),
    ("product_insert", PRODUCT_INSERT),
    ("product_update", PRODUCT_UPDATE),
    ("text_upsert", TEXT_UPSERT),
    ("category_leave", CATEGORY_LEAVE),
    ("category_join", CATEGORY_JOIN),
    ("tag_delete", TAG_DELETE),
    ("tag_insert", TAG_INSERT),
    ("attribute_insert", ATTRIBUTE_INSERT),
    ("attribute_value_insert", ATTRIBUTE_VALUE_INSERT),
    ("attribute_lose", ATTRIBUTE_LOSE),
    ("attribute_gain", ATTRIBUTE_GAIN),
    ("option_delete", OPTION_DELETE),
    ("option_value_delete", OPTION_VALUE_DELETE),
    ("option_upsert", OPTION_UPSERT),
    ("option_value_upsert", OPTION_VALUE_UPSERT),
    ("variant_insert", VARIANT_INSERT),
    ("variant_update", VARIANT_UPDATE),
    ("variant_option_upsert", VARIANT_OPTION_UPSERT),
    ("price_end", PRICE_END),
    ("price_insert", PRICE_INSERT),
    ("media_delete", MEDIA_DELETE),
    ("media_insert", MEDIA_INSERT),
    ("stock_upsert", STOCK_UPSERT),
    ("product_ids", PRODUCT_IDS),
];

fn json<T: Serialize>(rows: &[T]) -> Result<String, sqlx::Error> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// What the shop has of some products, for reading.
///
/// # Errors
/// Those of the database.
pub async fn read(
    connection: &mut MySqlConnection,
    slugs: &[&str],
    now: PrimitiveDateTime,
) -> Result<Current, sqlx::Error> {
    complete(connection, PRODUCTS, slugs, now).await
}

async fn complete(
    connection: &mut MySqlConnection,
    statement: &'static str,
    slugs: &[&str],
    now: PrimitiveDateTime,
) -> Result<Current, sqlx::Error> {
    let mut current = products(connection, statement, slugs).await?;
    let ids: BTreeMap<i64, String> = current
        .products
        .iter()
        .map(|(slug, product)| (product.id, slug.clone()))
        .collect();
    let id_list = json(&ids.keys().collect::<Vec<_>>())?;
    if !ids.is_empty() {
        details(connection, &mut current, &ids, &id_list).await?;
        variants(connection, &mut current, &ids, &id_list, now).await?;
    }
    // A product that is asked for by a former slug as well was completed under one of the two.
    let others: Vec<String> = current
        .products
        .iter()
        .filter(|(slug, product)| ids.get(&product.id) != Some(slug))
        .map(|(slug, _)| slug.clone())
        .collect();
    for slug in others {
        let id = current.products.get(&slug).map(|product| product.id);
        let complete = id
            .and_then(|id| current.products.get(ids.get(&id)?))
            .cloned();
        current
            .products
            .extend(complete.map(|product| (slug, product)));
    }
    Ok(current)
}

/// What the shop has of some products, SKUs and pictures. Locks the products.
///
/// # Errors
/// Those of the database.
pub async fn load(
    connection: &mut MySqlConnection,
    slugs: &[&str],
    skus: &[&str],
    hashes: &[&str],
    now: PrimitiveDateTime,
) -> Result<Current, sqlx::Error> {
    let mut current = complete(connection, PRODUCTS_FOR_UPDATE, slugs, now).await?;
    let owners: Vec<(String, String)> = sqlx::query_as(SKU_OWNERS)
        .bind(json(skus)?)
        .fetch_all(&mut *connection)
        .await?;
    current.sku_owners = owners.into_iter().collect();
    if !hashes.is_empty() {
        let known: Vec<String> = sqlx::query_scalar(HASHES)
            .bind(json(hashes)?)
            .fetch_all(&mut *connection)
            .await?;
        current.hashes = known.into_iter().collect();
    }
    Ok(current)
}

type ProductTuple = (
    String,
    i64,
    String,
    Option<String>,
    String,
    Option<PrimitiveDateTime>,
    Option<PrimitiveDateTime>,
    String,
    String,
    i32,
);

async fn products(
    connection: &mut MySqlConnection,
    statement: &'static str,
    slugs: &[&str],
) -> Result<Current, sqlx::Error> {
    let rows: Vec<ProductTuple> = sqlx::query_as(statement)
        .bind(json(slugs)?)
        .fetch_all(connection)
        .await?;
    let mut current = Current::default();
    for (
        asked,
        id,
        slug,
        brand,
        status,
        published_at,
        unpublished_at,
        product_type,
        tax_category,
        featured,
    ) in rows
    {
        let product = CurrentProduct {
            id,
            slug,
            brand,
            status: Status::of_word(&status).unwrap_or(Status::Draft),
            published_at,
            unpublished_at,
            product_type,
            tax_category,
            featured: i64::from(featured),
            texts: BTreeMap::new(),
            categories: std::collections::BTreeSet::new(),
            tags: std::collections::BTreeSet::new(),
            attributes: std::collections::BTreeSet::new(),
            options: BTreeMap::new(),
            variants: BTreeMap::new(),
            media: Vec::new(),
        };
        current.products.insert(asked, product);
    }
    Ok(current)
}

fn product_of<'a>(
    current: &'a mut Current,
    ids: &BTreeMap<i64, String>,
    id: i64,
) -> Option<&'a mut CurrentProduct> {
    ids.get(&id).and_then(|slug| current.products.get_mut(slug))
}

async fn details(
    connection: &mut MySqlConnection,
    current: &mut Current,
    ids: &BTreeMap<i64, String>,
    id_list: &str,
) -> Result<(), sqlx::Error> {
    let texts: Vec<(i64, String, String, String, String, String)> = sqlx::query_as(TEXTS)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for (id, locale, name, description, seo_title, seo_description) in texts {
        if let Some(product) = product_of(current, ids, id) {
            product.texts.insert(
                locale,
                CurrentText {
                    name,
                    description,
                    seo_title,
                    seo_description,
                },
            );
        }
    }
    let categories: Vec<(i64, i64)> = sqlx::query_as(CATEGORIES_OF)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for (id, category) in categories {
        if let Some(product) = product_of(current, ids, id) {
            product.categories.insert(category);
        }
    }
    let tags: Vec<(i64, String)> = sqlx::query_as(TAGS)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for (id, tag) in tags {
        if let Some(product) = product_of(current, ids, id) {
            product.tags.insert(tag);
        }
    }
    let attributes: Vec<(i64, String, String)> = sqlx::query_as(ATTRIBUTES)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for (id, code, value) in attributes {
        if let Some(product) = product_of(current, ids, id) {
            product.attributes.insert((code, value));
        }
    }
    let media: Vec<MediaTuple> = sqlx::query_as(MEDIA)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for (id, hash, url, alt, sku) in media {
        if let Some(product) = product_of(current, ids, id) {
            product.media.push(CurrentMedia {
                hash,
                url,
                alt,
                sku,
            });
        }
    }
    Ok(())
}

type MediaTuple = (i64, Option<String>, String, String, Option<String>);

type OptionTuple = (
    i64,
    i64,
    String,
    i64,
    Option<i64>,
    Option<String>,
    Option<i64>,
);

type VariantTuple = (
    i64,
    i64,
    String,
    i64,
    String,
    String,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<bool>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

type PriceTuple = (
    i64,
    String,
    i64,
    String,
    i64,
    Option<i64>,
    PrimitiveDateTime,
    Option<PrimitiveDateTime>,
);

async fn variants(
    connection: &mut MySqlConnection,
    current: &mut Current,
    ids: &BTreeMap<i64, String>,
    id_list: &str,
    now: PrimitiveDateTime,
) -> Result<(), sqlx::Error> {
    let options: Vec<OptionTuple> = sqlx::query_as(OPTIONS)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for (product, id, name, position, value_id, value, value_position) in options {
        let Some(product) = product_of(current, ids, product) else {
            continue;
        };
        let option = product
            .options
            .entry(name)
            .or_insert_with(|| CurrentOption {
                id,
                position,
                values: BTreeMap::new(),
            });
        if let (Some(value_id), Some(value), Some(place)) = (value_id, value, value_position) {
            option.values.insert(value, (value_id, place));
        }
    }
    let rows: Vec<VariantTuple> = sqlx::query_as(VARIANTS)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for row in rows {
        let (
            product,
            id,
            sku,
            position,
            status,
            barcode,
            weight_grams,
            length_mm,
            width_mm,
            height_mm,
            tracked,
            on_hand,
            reserved,
            backorder_limit,
            low_threshold,
        ) = row;
        let stock = match (tracked, on_hand, reserved, backorder_limit, low_threshold) {
            (
                Some(tracked),
                Some(on_hand),
                Some(reserved),
                Some(backorder_limit),
                Some(low_threshold),
            ) => Some(CurrentStock {
                tracked,
                on_hand,
                reserved,
                backorder_limit,
                low_threshold,
            }),
            _ => None,
        };
        let variant = CurrentVariant {
            id,
            position,
            active: status == "active",
            barcode,
            weight_grams,
            length_mm,
            width_mm,
            height_mm,
            options: BTreeMap::new(),
            prices: Vec::new(),
            stock,
        };
        if let Some(product) = product_of(current, ids, product) {
            product.variants.insert(sku, variant);
        }
    }
    let choices: Vec<(i64, String, String, String)> = sqlx::query_as(VARIANT_OPTIONS)
        .bind(id_list)
        .fetch_all(&mut *connection)
        .await?;
    for (product, sku, name, value) in choices {
        let variant =
            product_of(current, ids, product).and_then(|product| product.variants.get_mut(&sku));
        if let Some(variant) = variant {
            variant.options.insert(name, value);
        }
    }
    let prices: Vec<PriceTuple> = sqlx::query_as(PRICES)
        .bind(id_list)
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    for (product, sku, id, currency, amount, compare_at, starts_at, ends_at) in prices {
        let variant =
            product_of(current, ids, product).and_then(|product| product.variants.get_mut(&sku));
        if let Some(variant) = variant {
            variant.prices.push(LivePrice {
                id,
                currency,
                amount,
                compare_at,
                starts_at,
                ends_at,
            });
        }
    }
    Ok(())
}

/// Slugs of brands by their names.
///
/// # Errors
/// Those of the database.
pub async fn brands(
    connection: &mut MySqlConnection,
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(BRANDS).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

#[derive(Serialize)]
struct BrandRow<'a> {
    slug: &'a str,
    name: &'a str,
}

async fn run<T: Serialize>(
    connection: &mut MySqlConnection,
    statement: &'static str,
    rows: &[T],
) -> Result<u64, sqlx::Error> {
    let mut affected = 0;
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        affected += sqlx::query(statement)
            .bind(json(chunk)?)
            .execute(&mut *connection)
            .await?
            .rows_affected();
    }
    Ok(affected)
}

/// Writes the changes of a batch, parents before children and stock last. Says how many brands are new.
///
/// # Errors
/// Those of the database; the transaction is then to be rolled back.
pub async fn write(
    connection: &mut MySqlConnection,
    changes: &Changes,
) -> Result<u64, sqlx::Error> {
    let brands: Vec<BrandRow<'_>> = changes
        .brands
        .iter()
        .map(|(slug, name)| BrandRow { slug, name })
        .collect();
    let new_brands = run(connection, BRAND_INSERT, &brands).await?;
    run(connection, PRODUCT_INSERT, &changes.product_insert).await?;
    run(connection, PRODUCT_UPDATE, &changes.product_update).await?;
    run(connection, TEXT_UPSERT, &changes.text).await?;
    run(connection, CATEGORY_LEAVE, &changes.category_delete).await?;
    run(connection, CATEGORY_JOIN, &changes.category_insert).await?;
    run(connection, TAG_DELETE, &changes.tag_delete).await?;
    run(connection, TAG_INSERT, &changes.tag_insert).await?;
    run(
        connection,
        ATTRIBUTE_INSERT,
        &changes.attribute.values().collect::<Vec<_>>(),
    )
    .await?;
    run(
        connection,
        ATTRIBUTE_VALUE_INSERT,
        &changes.attribute_value.iter().collect::<Vec<_>>(),
    )
    .await?;
    run(connection, ATTRIBUTE_LOSE, &changes.attribute_delete).await?;
    run(connection, ATTRIBUTE_GAIN, &changes.attribute_insert).await?;
    run(connection, OPTION_DELETE, &changes.option_delete).await?;
    run(connection, OPTION_UPSERT, &changes.option).await?;
    run(connection, OPTION_VALUE_UPSERT, &changes.option_value).await?;
    run(connection, VARIANT_INSERT, &changes.variant_insert).await?;
    run(connection, VARIANT_UPDATE, &changes.variant_update).await?;
    run(connection, VARIANT_OPTION_UPSERT, &changes.variant_option).await?;
    run(
        connection,
        OPTION_VALUE_DELETE,
        &changes.option_value_delete,
    )
    .await?;
    run(connection, PRICE_END, &changes.price_end).await?;
    run(connection, PRICE_INSERT, &changes.price_insert).await?;
    run(connection, MEDIA_DELETE, &changes.media_delete).await?;
    run(connection, MEDIA_INSERT, &changes.media_insert).await?;
    run(connection, STOCK_UPSERT, &changes.stock).await?;
    // The pieces of divided variants lie in several rows, which that statement leaves as they are.
    for (variant, on_hand) in store_rows::divided_among(connection, &json(&changes.stock)?).await? {
        if let Some(rows) = store_rows::lock(connection, variant).await? {
            let promised = rows.reserved().saturating_sub(rows.backorder_limit);
            store_rows::spread(connection, variant, &rows, on_hand.max(promised)).await?;
        }
    }
    Ok(new_brands)
}

/// Ids of products by their slugs.
///
/// # Errors
/// Those of the database.
pub async fn product_ids<'a>(
    connection: &mut MySqlConnection,
    slugs: impl Iterator<Item = &'a str>,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(PRODUCT_IDS)
        .bind(json(&slugs.collect::<Vec<_>>())?)
        .fetch_all(connection)
        .await
}
