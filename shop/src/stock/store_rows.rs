//! The rows of one variant's stock as a whole: read, locked, counted anew, divided into buckets and put together again.

use sqlx::MySqlConnection;

use super::model::{OWN_ROW, Row, Rows};
use crate::catalog::json_list;

const READ: &str = "SELECT s.tracked, s.backorder_limit, s.low_threshold, s.on_hand, s.reserved, b.bucket, b.on_hand, b.reserved \
     FROM stock s LEFT JOIN stock_bucket b ON b.variant_id = s.variant_id WHERE s.variant_id = ? ORDER BY b.bucket";
const LOCK_OWN: &str = "SELECT tracked, backorder_limit, low_threshold, on_hand, reserved FROM stock WHERE variant_id = ? FOR UPDATE";
const LOCK_BUCKETS: &str = "SELECT bucket, on_hand, reserved FROM stock_bucket WHERE variant_id = ? ORDER BY bucket FOR UPDATE";
const SET_OWN: &str = "UPDATE stock SET on_hand = ? WHERE variant_id = ?";
const SET_BUCKET: &str = "UPDATE stock_bucket SET on_hand = ? WHERE variant_id = ? AND bucket = ?";
const SET_COUNT: &str = "UPDATE stock SET buckets = ?, version = version + 1 WHERE variant_id = ?";
const BUCKET_INSERT: &str = "INSERT INTO stock_bucket (variant_id, bucket, on_hand) \
     SELECT ?, j.bucket, 0 FROM JSON_TABLE(?, '$[*]' COLUMNS (bucket SMALLINT PATH '$')) j";
const BUCKETS_DELETE: &str = "DELETE FROM stock_bucket WHERE variant_id = ? AND bucket >= ?";
const MOVED_LOCK: &str = "SELECT order_id FROM stock_reservation WHERE variant_id = ? AND bucket >= ? ORDER BY order_id FOR UPDATE";
const MOVED_INSERT: &str = "INSERT INTO stock_reservation (order_id, variant_id, bucket, quantity, state) \
     SELECT * FROM (SELECT r.order_id, r.variant_id, -1 AS bucket, SUM(r.quantity) AS quantity, MAX(r.state) AS state \
       FROM stock_reservation r WHERE r.variant_id = ? AND r.bucket >= ? GROUP BY r.order_id, r.variant_id) AS moved \
     ON DUPLICATE KEY UPDATE quantity = stock_reservation.quantity + moved.quantity";
const MOVED_DELETE: &str = "DELETE FROM stock_reservation WHERE variant_id = ? AND bucket >= ?";
const TAKE_RESERVED: &str =
    "UPDATE stock SET on_hand = on_hand + ?, reserved = reserved + ? WHERE variant_id = ?";
const DIVIDED: &str = "SELECT s.variant_id, v.product_id FROM stock s STRAIGHT_JOIN variant v ON v.id = s.variant_id \
     WHERE s.buckets > 0 ORDER BY s.variant_id LIMIT 1000";
const PRODUCTS: &str = "SELECT DISTINCT v.product_id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) wanted \
     STRAIGHT_JOIN variant v ON v.id = wanted.id ORDER BY v.product_id";
const DIVIDED_AMONG: &str = "SELECT v.id, j.on_hand FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, \
       on_hand BIGINT PATH '$.on_hand' ERROR ON ERROR)) j \
     STRAIGHT_JOIN variant v ON v.sku = j.sku STRAIGHT_JOIN stock s ON s.variant_id = v.id WHERE s.buckets > 0 ORDER BY v.id";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("stock_rows_read", READ),
    ("stock_rows_lock_own", LOCK_OWN),
    ("stock_rows_lock_buckets", LOCK_BUCKETS),
    ("stock_rows_set_own", SET_OWN),
    ("stock_rows_set_bucket", SET_BUCKET),
    ("stock_rows_set_count", SET_COUNT),
    ("stock_rows_bucket_insert", BUCKET_INSERT),
    ("stock_rows_buckets_delete", BUCKETS_DELETE),
    ("stock_rows_moved_lock", MOVED_LOCK),
    ("stock_rows_moved_insert", MOVED_INSERT),
    ("stock_rows_moved_delete", MOVED_DELETE),
    ("stock_rows_take_reserved", TAKE_RESERVED),
    ("stock_rows_divided", DIVIDED),
    ("stock_rows_products", PRODUCTS),
    ("stock_rows_divided_among", DIVIDED_AMONG),
];

type ReadRow = (
    bool,
    i64,
    i64,
    i64,
    i64,
    Option<i16>,
    Option<i64>,
    Option<i64>,
);

/// The rows of a variant as one statement sees them; None for a variant without stock.
///
/// # Errors
/// What the database answers.
pub async fn read(
    connection: &mut MySqlConnection,
    variant_id: i64,
) -> Result<Option<Rows>, sqlx::Error> {
    let found: Vec<ReadRow> = sqlx::query_as(READ)
        .bind(variant_id)
        .fetch_all(connection)
        .await?;
    let Some(&(tracked, backorder_limit, low_threshold, on_hand, reserved, ..)) = found.first()
    else {
        return Ok(None);
    };
    let mut rows = vec![Row {
        bucket: OWN_ROW,
        on_hand,
        reserved,
    }];
    rows.extend(found.iter().filter_map(|&(.., bucket, on_hand, reserved)| {
        Some(Row {
            bucket: bucket?,
            on_hand: on_hand?,
            reserved: reserved?,
        })
    }));
    Ok(Some(Rows {
        tracked,
        backorder_limit,
        low_threshold,
        rows,
    }))
}

/// Locks all rows of a variant until the end of the transaction, the row of `stock` first.
///
/// # Errors
/// What the database answers.
pub async fn lock(
    connection: &mut MySqlConnection,
    variant_id: i64,
) -> Result<Option<Rows>, sqlx::Error> {
    let own: Option<(bool, i64, i64, i64, i64)> = sqlx::query_as(LOCK_OWN)
        .bind(variant_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some((tracked, backorder_limit, low_threshold, on_hand, reserved)) = own else {
        return Ok(None);
    };
    let buckets: Vec<(i16, i64, i64)> = sqlx::query_as(LOCK_BUCKETS)
        .bind(variant_id)
        .fetch_all(connection)
        .await?;
    let mut rows = vec![Row {
        bucket: OWN_ROW,
        on_hand,
        reserved,
    }];
    rows.extend(buckets.into_iter().map(|(bucket, on_hand, reserved)| Row {
        bucket,
        on_hand,
        reserved,
    }));
    Ok(Some(Rows {
        tracked,
        backorder_limit,
        low_threshold,
        rows,
    }))
}

/// Puts `on_hand` pieces in all into the rows, which are locked.
///
/// # Errors
/// What the database answers.
pub async fn spread(
    connection: &mut MySqlConnection,
    variant_id: i64,
    rows: &Rows,
    on_hand: i64,
) -> Result<(), sqlx::Error> {
    for (row, wanted) in rows.rows.iter().zip(rows.spread(on_hand)) {
        if row.on_hand == wanted {
            continue;
        }
        let query = if row.bucket == OWN_ROW {
            sqlx::query(SET_OWN).bind(wanted).bind(variant_id)
        } else {
            sqlx::query(SET_BUCKET)
                .bind(wanted)
                .bind(variant_id)
                .bind(row.bucket)
        };
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Divides the stock of a variant into so many buckets; 0 puts it together again. False for a variant without stock.
///
/// # Errors
/// What the database answers.
pub async fn divide(
    connection: &mut MySqlConnection,
    variant_id: i64,
    buckets: i16,
) -> Result<bool, sqlx::Error> {
    let Some(before) = lock(connection, variant_id).await? else {
        return Ok(false);
    };
    let there = i16::try_from(before.rows.len() - 1).unwrap_or(i16::MAX);
    if buckets < there {
        join(connection, variant_id, buckets, &before).await?;
    }
    if buckets > there {
        let new: Vec<i16> = (there..buckets).collect();
        sqlx::query(BUCKET_INSERT)
            .bind(variant_id)
            .bind(json_list(&new)?)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(SET_COUNT)
        .bind(buckets)
        .bind(variant_id)
        .execute(&mut *connection)
        .await?;
    if let Some(rows) = lock(connection, variant_id).await? {
        spread(connection, variant_id, &rows, rows.on_hand()).await?;
    }
    Ok(true)
}

/// Moves what lies and what is promised in the buckets from `first` on into the row of `stock`.
async fn join(
    connection: &mut MySqlConnection,
    variant_id: i64,
    first: i16,
    rows: &Rows,
) -> Result<(), sqlx::Error> {
    let _: Vec<(i64,)> = sqlx::query_as(MOVED_LOCK)
        .bind(variant_id)
        .bind(first)
        .fetch_all(&mut *connection)
        .await?;
    for statement in [MOVED_INSERT, MOVED_DELETE, BUCKETS_DELETE] {
        sqlx::query(statement)
            .bind(variant_id)
            .bind(first)
            .execute(&mut *connection)
            .await?;
    }
    let gone = || rows.rows.iter().filter(|row| row.bucket >= first);
    sqlx::query(TAKE_RESERVED)
        .bind(gone().map(|row| row.on_hand).sum::<i64>())
        .bind(gone().map(|row| row.reserved).sum::<i64>())
        .bind(variant_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Those of the variants of an import (`sku` and `on_hand` in a JSON array) that are divided, and how many pieces each should
/// have in all.
///
/// # Errors
/// What the database answers.
pub async fn divided_among(
    connection: &mut MySqlConnection,
    counts: &str,
) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    sqlx::query_as(DIVIDED_AMONG)
        .bind(counts)
        .fetch_all(connection)
        .await
}

/// Variants that are divided, with their products; at most a thousand.
pub(super) async fn divided(
    connection: &mut MySqlConnection,
) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    sqlx::query_as(DIVIDED).fetch_all(connection).await
}

/// The products of variants, each once, in order.
pub(super) async fn products(
    connection: &mut MySqlConnection,
    variants: &[i64],
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(PRODUCTS)
        .bind(json_list(variants)?)
        .fetch_all(connection)
        .await
}
