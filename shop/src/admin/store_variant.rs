//! The statements of variants, prices and stock.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::variant::{NewPrice, Price, Stock, Variant};
use crate::catalog::model::StockLevel;
use crate::stock::store_columns::stock_columns;
use crate::stock::store_rows;

const PRODUCT_OF: &str = "SELECT product_id FROM variant WHERE id = ?";
const SELECT: &str = "SELECT id, product_id, sku, status, position, barcode, weight_grams, length_mm, width_mm, height_mm, version \
     FROM variant WHERE id = ? FOR UPDATE";
const READ: &str = "SELECT id, product_id, sku, status, position, barcode, weight_grams, length_mm, width_mm, height_mm, version \
     FROM variant WHERE id = ?";
const OF_PRODUCT: &str =
    "SELECT id FROM variant WHERE product_id = ? ORDER BY position, id LIMIT 1000";
const COUNT: &str = "SELECT COUNT(*) FROM variant WHERE product_id = ?";
const OPTIONS: &str = "SELECT o.name, v.value FROM variant_option vo JOIN product_option o ON o.id = vo.option_id \
     JOIN product_option_value v ON v.id = vo.value_id WHERE vo.variant_id = ?";
const PRODUCT_VALUES: &str = "SELECT o.id, o.name, v.id, v.value FROM product_option o \
     LEFT JOIN product_option_value v ON v.option_id = o.id WHERE o.product_id = ?";
const INSERT: &str = "INSERT INTO variant (product_id, sku) VALUES (?, ?)";
const UPDATE: &str = "UPDATE variant SET sku = ?, status = ?, position = ?, barcode = ?, weight_grams = ?, length_mm = ?, width_mm = ?, \
     height_mm = ?, version = version + 1 WHERE id = ? AND version = ?";
const TOUCH: &str = "UPDATE variant SET version = version + 1 WHERE id = ? AND version = ?";
const OPTIONS_DELETE: &str = "DELETE FROM variant_option WHERE variant_id = ?";
const OPTION_INSERT: &str =
    "INSERT INTO variant_option (variant_id, option_id, value_id) VALUES (?, ?, ?)";
const PRICES: &str = "SELECT id, currency, amount, compare_at, starts_at, ends_at FROM price WHERE variant_id = ? \
     ORDER BY starts_at DESC, id DESC LIMIT 1000";
const PRICES_OF: &str = "SELECT id, currency, amount, compare_at, starts_at, ends_at FROM price WHERE variant_id = ? AND currency = ? \
     AND (ends_at IS NULL OR ends_at > ?)";
const PRICE: &str = "SELECT id, currency, amount, compare_at, starts_at, ends_at FROM price WHERE id = ? AND variant_id = ?";
const PRICE_END: &str =
    "UPDATE price SET ends_at = ? WHERE id = ? AND (ends_at IS NULL OR ends_at > ?)";
const PRICE_INSERT: &str = "INSERT INTO price (variant_id, currency, amount, compare_at, starts_at, ends_at) VALUES (?, ?, ?, ?, ?, ?)";
const PRICE_DELETE: &str = "DELETE FROM price WHERE id = ? AND variant_id = ? AND starts_at > ?";
const STOCK_INSERT: &str = "INSERT IGNORE INTO stock (variant_id) VALUES (?)";
const STOCK: &str = concat!(
    "SELECT ",
    stock_columns!(),
    ", s.version FROM stock s WHERE s.variant_id = ?"
);
const STOCK_UPDATE: &str = "UPDATE stock SET tracked = ?, on_hand = ?, backorder_limit = ?, low_threshold = ?, version = version + 1 \
     WHERE variant_id = ? AND version = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_variant_product_of", PRODUCT_OF),
    ("staff_variant_select", SELECT),
    ("staff_variant_read", READ),
    ("staff_variant_of_product", OF_PRODUCT),
    ("staff_variant_count", COUNT),
    ("staff_variant_options", OPTIONS),
    ("staff_variant_product_values", PRODUCT_VALUES),
    ("staff_variant_insert", INSERT),
    ("staff_variant_update", UPDATE),
    ("staff_variant_touch", TOUCH),
    ("staff_variant_options_delete", OPTIONS_DELETE),
    ("staff_variant_option_insert", OPTION_INSERT),
    ("staff_prices", PRICES),
    ("staff_prices_of", PRICES_OF),
    ("staff_price", PRICE),
    ("staff_price_end", PRICE_END),
    ("staff_price_insert", PRICE_INSERT),
    ("staff_price_delete", PRICE_DELETE),
    ("staff_stock_insert", STOCK_INSERT),
    ("staff_stock", STOCK),
    ("staff_stock_update", STOCK_UPDATE),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    product_id: i64,
    sku: String,
    status: String,
    position: i32,
    barcode: String,
    weight_grams: Option<i64>,
    length_mm: Option<i64>,
    width_mm: Option<i64>,
    height_mm: Option<i64>,
    version: i64,
}

/// The product that a variant belongs to. It never changes.
///
/// # Errors
/// What the database answers.
pub async fn product_of(connection: &mut MySqlConnection, variant: i64) -> Result<Option<i64>> {
    sqlx::query_scalar(PRODUCT_OF)
        .bind(variant)
        .fetch_optional(connection)
        .await
}

async fn load(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<Option<Variant>> {
    let row: Option<Row> = sqlx::query_as(statement)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let options: Vec<(String, String)> = sqlx::query_as(OPTIONS)
        .bind(id)
        .fetch_all(connection)
        .await?;
    let Row {
        id,
        product_id,
        sku,
        status,
        position,
        barcode,
        weight_grams,
        length_mm,
        width_mm,
        height_mm,
        version,
    } = row;
    let options = options.into_iter().collect();
    Ok(Some(Variant {
        id,
        product_id,
        sku,
        status,
        position,
        barcode,
        weight_grams,
        length_mm,
        width_mm,
        height_mm,
        options,
        version,
    }))
}

/// The variant with this number.
///
/// # Errors
/// What the database answers.
pub async fn get(connection: &mut MySqlConnection, id: i64) -> Result<Option<Variant>> {
    load(connection, READ, id).await
}

/// The variant with this number, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn get_for_update(connection: &mut MySqlConnection, id: i64) -> Result<Option<Variant>> {
    load(connection, SELECT, id).await
}

/// The variants of a product in their order, at most 1000.
///
/// # Errors
/// What the database answers.
pub async fn of_product(connection: &mut MySqlConnection, product: i64) -> Result<Vec<Variant>> {
    let ids: Vec<i64> = sqlx::query_scalar(OF_PRODUCT)
        .bind(product)
        .fetch_all(&mut *connection)
        .await?;
    let mut variants = Vec::with_capacity(ids.len());
    for id in ids {
        variants.extend(get(connection, id).await?);
    }
    Ok(variants)
}

/// How many variants a product has.
///
/// # Errors
/// What the database answers.
pub async fn count(connection: &mut MySqlConnection, product: i64) -> Result<i64> {
    sqlx::query_scalar(COUNT)
        .bind(product)
        .fetch_one(connection)
        .await
}

/// Makes a variant with empty stock, and returns its number.
///
/// # Errors
/// What the database answers; `variant_sku` when the SKU is taken.
pub async fn insert(connection: &mut MySqlConnection, product: i64, sku: &str) -> Result<i64> {
    let done = sqlx::query(INSERT)
        .bind(product)
        .bind(sku)
        .execute(&mut *connection)
        .await?;
    let id = i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX);
    stock_make(connection, id).await?;
    Ok(id)
}

/// Writes what differs and counts the version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers; `variant_sku` when the SKU is taken.
pub async fn update(
    connection: &mut MySqlConnection,
    before: &Variant,
    after: &Variant,
) -> Result<bool> {
    let done = sqlx::query(UPDATE)
        .bind(&after.sku)
        .bind(&after.status)
        .bind(after.position)
        .bind(&after.barcode)
        .bind(after.weight_grams)
        .bind(after.length_mm)
        .bind(after.width_mm)
        .bind(after.height_mm)
        .bind(after.id)
        .bind(before.version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts the version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers.
pub async fn touch(connection: &mut MySqlConnection, id: i64, version: i64) -> Result<bool> {
    let done = sqlx::query(TOUCH)
        .bind(id)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// An option of a product: its number, and the numbers of its values.
pub type OptionValues = BTreeMap<String, (i64, BTreeMap<String, i64>)>;

/// The options of a product with their values.
///
/// # Errors
/// What the database answers.
pub async fn option_values(connection: &mut MySqlConnection, product: i64) -> Result<OptionValues> {
    let rows: Vec<(i64, String, Option<i64>, Option<String>)> = sqlx::query_as(PRODUCT_VALUES)
        .bind(product)
        .fetch_all(connection)
        .await?;
    let mut options = OptionValues::new();
    for (option, name, value_id, value) in rows {
        let (_, values) = options
            .entry(name)
            .or_insert_with(|| (option, BTreeMap::new()));
        values.extend(value.zip(value_id));
    }
    Ok(options)
}

/// Sets which value a variant has of each option, as (option, value).
///
/// # Errors
/// What the database answers.
pub async fn options_set(
    connection: &mut MySqlConnection,
    variant: i64,
    chosen: &[(i64, i64)],
) -> Result<()> {
    sqlx::query(OPTIONS_DELETE)
        .bind(variant)
        .execute(&mut *connection)
        .await?;
    for (option, value) in chosen {
        sqlx::query(OPTION_INSERT)
            .bind(variant)
            .bind(option)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

type PriceTuple = (
    i64,
    String,
    i64,
    Option<i64>,
    OffsetDateTime,
    Option<OffsetDateTime>,
);

fn price((id, currency, amount, compare_at, starts_at, ends_at): PriceTuple) -> Price {
    Price {
        id,
        currency,
        amount,
        compare_at,
        starts_at,
        ends_at,
    }
}

/// The prices of a variant, those that start last first, at most 1000.
///
/// # Errors
/// What the database answers.
pub async fn prices(connection: &mut MySqlConnection, variant: i64) -> Result<Vec<Price>> {
    let rows: Vec<PriceTuple> = sqlx::query_as(PRICES)
        .bind(variant)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(price).collect())
}

/// The prices of a variant in a currency that have not ended.
///
/// # Errors
/// What the database answers.
pub async fn prices_open(
    connection: &mut MySqlConnection,
    variant: i64,
    currency: &str,
    now: OffsetDateTime,
) -> Result<Vec<Price>> {
    let rows: Vec<PriceTuple> = sqlx::query_as(PRICES_OF)
        .bind(variant)
        .bind(currency)
        .bind(now)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(price).collect())
}

/// One price of a variant.
///
/// # Errors
/// What the database answers.
pub async fn price_get(
    connection: &mut MySqlConnection,
    id: i64,
    variant: i64,
) -> Result<Option<Price>> {
    let row: Option<PriceTuple> = sqlx::query_as(PRICE)
        .bind(id)
        .bind(variant)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(price))
}

/// Ends a price, unless it has ended already.
///
/// # Errors
/// What the database answers.
pub async fn price_end(
    connection: &mut MySqlConnection,
    id: i64,
    at: OffsetDateTime,
) -> Result<()> {
    sqlx::query(PRICE_END)
        .bind(at)
        .bind(id)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds a price and returns its number.
///
/// # Errors
/// What the database answers.
pub async fn price_insert(
    connection: &mut MySqlConnection,
    variant: i64,
    currency: &str,
    price: &NewPrice,
    starts_at: OffsetDateTime,
    ends_at: Option<OffsetDateTime>,
) -> Result<i64> {
    let done = sqlx::query(PRICE_INSERT)
        .bind(variant)
        .bind(currency)
        .bind(price.amount)
        .bind(price.compare_at)
        .bind(starts_at)
        .bind(ends_at)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Removes a price that has not begun to count: it is no history. False when it has.
///
/// # Errors
/// What the database answers.
pub async fn price_cancel(
    connection: &mut MySqlConnection,
    id: i64,
    variant: i64,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query(PRICE_DELETE)
        .bind(id)
        .bind(variant)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

type StockTuple = (bool, i64, i64, i64, i64, i64);

fn stock_of(variant: i64, row: StockTuple) -> Stock {
    let (tracked, on_hand, reserved, backorder_limit, low_threshold, version) = row;
    Stock::new(
        variant,
        &StockLevel {
            tracked,
            on_hand,
            reserved,
            backorder_limit,
            low_threshold,
        },
        version,
    )
}

async fn stock_make(connection: &mut MySqlConnection, variant: i64) -> Result<()> {
    sqlx::query(STOCK_INSERT)
        .bind(variant)
        .execute(connection)
        .await?;
    Ok(())
}

/// The stock of a variant.
///
/// # Errors
/// What the database answers.
pub async fn stock(connection: &mut MySqlConnection, variant: i64) -> Result<Option<Stock>> {
    let row: Option<StockTuple> = sqlx::query_as(STOCK)
        .bind(variant)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| stock_of(variant, row)))
}

/// The stock of a variant, locked until the end of the transaction. A variant that came without stock gets an empty one.
///
/// # Errors
/// What the database answers.
pub async fn stock_for_update(
    connection: &mut MySqlConnection,
    variant: i64,
) -> Result<Option<Stock>> {
    if store_rows::lock(connection, variant).await?.is_none() {
        stock_make(connection, variant).await?;
        store_rows::lock(connection, variant).await?;
    }
    stock(connection, variant).await
}

/// Writes the stock if no more is reserved than there will be, and counts the version up. False when it is not so, or the
/// version is another one meanwhile. Pieces of a divided variant are spread over its rows.
///
/// # Errors
/// What the database answers.
pub async fn stock_update(
    connection: &mut MySqlConnection,
    before: &Stock,
    level: &StockLevel,
) -> Result<bool> {
    let Some(mut rows) = store_rows::lock(connection, before.variant_id).await? else {
        return Ok(false);
    };
    let promised = rows.reserved().saturating_sub(level.backorder_limit);
    if level.tracked && level.on_hand < promised {
        return Ok(false);
    }
    let own = rows.spread(level.on_hand).first().copied();
    let done = sqlx::query(STOCK_UPDATE)
        .bind(level.tracked)
        .bind(own.unwrap_or(level.on_hand))
        .bind(level.backorder_limit)
        .bind(level.low_threshold)
        .bind(before.variant_id)
        .bind(before.version)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    if let (Some(row), Some(own)) = (rows.rows.first_mut(), own) {
        row.on_hand = own;
    }
    store_rows::spread(connection, before.variant_id, &rows, level.on_hand).await?;
    Ok(true)
}
