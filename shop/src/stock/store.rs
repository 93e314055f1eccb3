//! The statements by which orders hold, ship and give back pieces.

use sqlx::MySqlConnection;

use super::model::{NotReserved, OWN_ROW, Place, SoldOut, Wanted, in_order, places};
use super::{TOPIC, store_rows};
use crate::catalog::json_list;
use crate::outbox;

const RESERVE_ONE: &str = "INSERT INTO stock_reservation (order_id, variant_id, bucket, quantity, state) VALUES (?, ?, ?, ?, 'held')";

const RESERVE: &str = "INSERT INTO stock_reservation (order_id, variant_id, bucket, quantity, state) \
     SELECT ?, j.variant_id, j.bucket, j.quantity, 'held' FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       variant_id BIGINT PATH '$[0]', bucket SMALLINT PATH '$[1]', quantity INT PATH '$[2]')) j";

/// What the band was before and is after a change of `reserved` by `?` pieces (the first two parameters), told in the answer
/// to the UPDATE itself as 4 × before + after: no second statement runs while the row is locked. Assignments are evaluated
/// from left to right, so `reserved` has its new value here.
macro_rules! bands {
    () => {
        "updated_at = IF(LAST_INSERT_ID( \
           4 * IF(NOT tracked, 3, IF(on_hand + backorder_limit - reserved + ? <= 0, 1, \
             IF(on_hand + backorder_limit - reserved + ? <= low_threshold, 2, 3))) + \
           IF(NOT tracked, 3, IF(on_hand + backorder_limit - reserved <= 0, 1, \
             IF(on_hand + backorder_limit - reserved <= low_threshold, 2, 3)))) > 0, NOW(6), NOW(6))"
    };
}

const HOLD: &str = concat!(
    "UPDATE stock SET reserved = reserved + ?, ",
    bands!(),
    " WHERE variant_id = ? AND (tracked = FALSE OR on_hand + backorder_limit >= reserved + ?)"
);

const HOLD_BUCKET: &str = "UPDATE stock_bucket SET reserved = reserved + ? \
     WHERE variant_id = ? AND bucket = ? AND on_hand >= reserved + ?";

/// Another bucket that has enough and that nobody is just taking from. Who found none in their first bucket may still hold
/// its lock (a lock that was waited for is not given back when the row does not match), and so must not wait for another one:
/// those who wait for each other's would wait in a circle.
const FREE_BUCKET: &str = "SELECT bucket FROM stock_bucket WHERE variant_id = ? AND on_hand >= reserved + ? \
     ORDER BY bucket LIMIT 1 FOR UPDATE SKIP LOCKED";

const GIVE_BACK: &str = concat!(
    "UPDATE stock SET reserved = reserved - ?, ",
    bands!(),
    " WHERE variant_id = ? AND reserved >= ?"
);

const GIVE_BACK_BUCKET: &str = "UPDATE stock_bucket SET reserved = reserved - ? WHERE variant_id = ? AND bucket = ? AND reserved >= ?";

const SHIP: &str = "UPDATE stock SET on_hand = on_hand - IF(tracked, ?, 0), reserved = reserved - ? \
     WHERE variant_id = ? AND reserved >= ?";

const SHIP_BUCKET: &str = "UPDATE stock_bucket SET on_hand = on_hand - ?, reserved = reserved - ? \
     WHERE variant_id = ? AND bucket = ? AND reserved >= ?";

const RESTOCK: &str = "UPDATE stock SET on_hand = on_hand + IF(tracked, ?, 0) WHERE variant_id = ?";

const RESERVATIONS: &str = "SELECT variant_id, bucket, quantity FROM stock_reservation WHERE order_id = ? \
     ORDER BY variant_id, bucket FOR UPDATE";
const RESERVATIONS_DELETE: &str = "DELETE FROM stock_reservation WHERE order_id = ?";
const RESERVATION_DELETE: &str =
    "DELETE FROM stock_reservation WHERE order_id = ? AND variant_id = ? AND bucket = ?";
const RESERVATION_REDUCE: &str = "UPDATE stock_reservation SET quantity = quantity - ? \
     WHERE order_id = ? AND variant_id = ? AND bucket = ? AND quantity > ?";
const ALLOCATE: &str =
    "UPDATE stock_reservation SET state = 'allocated' WHERE order_id = ? AND state = 'held'";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("stock_reserve", RESERVE),
    ("stock_reserve_one", RESERVE_ONE),
    ("stock_hold", HOLD),
    ("stock_hold_bucket", HOLD_BUCKET),
    ("stock_free_bucket", FREE_BUCKET),
    ("stock_give_back", GIVE_BACK),
    ("stock_give_back_bucket", GIVE_BACK_BUCKET),
    ("stock_ship", SHIP),
    ("stock_ship_bucket", SHIP_BUCKET),
    ("stock_restock", RESTOCK),
    ("stock_reservations", RESERVATIONS),
    ("stock_reservations_delete", RESERVATIONS_DELETE),
    ("stock_reservation_delete", RESERVATION_DELETE),
    ("stock_reservation_reduce", RESERVATION_REDUCE),
    ("stock_allocate", ALLOCATE),
];

/// Holds pieces for an order until it is placed or comes to nothing. Call it as the last step of a transaction: the rows stay
/// locked until its end. After [`SoldOut`] the transaction is to be rolled back.
///
/// # Errors
/// What the database answers.
pub async fn hold(
    connection: &mut MySqlConnection,
    order_id: i64,
    wanted: &[Wanted],
) -> Result<Result<(), SoldOut>, sqlx::Error> {
    let places = places(order_id, wanted);
    let rows: Vec<_> = places
        .iter()
        .map(|place| (place.variant_id, place.bucket, place.quantity))
        .collect();
    reserve(connection, order_id, &rows).await?;
    let mut changed = Vec::new();
    for place in places {
        let Place {
            variant_id,
            bucket,
            quantity,
        } = place;
        if take(connection, variant_id, bucket, quantity, &mut changed).await? {
            continue;
        }
        let Some(found) = take_elsewhere(connection, place).await? else {
            return Ok(Err(SoldOut { variant_id }));
        };
        sqlx::query(RESERVATION_DELETE)
            .bind(order_id)
            .bind(variant_id)
            .bind(bucket)
            .execute(&mut *connection)
            .await?;
        let rows: Vec<_> = found
            .into_iter()
            .map(|(bucket, quantity)| (variant_id, bucket, quantity))
            .collect();
        reserve(connection, order_id, &rows).await?;
    }
    announce(connection, &changed).await?;
    Ok(Ok(()))
}

async fn reserve(
    connection: &mut MySqlConnection,
    order_id: i64,
    rows: &[(i64, i16, i64)],
) -> Result<(), sqlx::Error> {
    let statement = match rows {
        [(variant_id, bucket, quantity)] => sqlx::query(RESERVE_ONE)
            .bind(order_id)
            .bind(*variant_id)
            .bind(*bucket)
            .bind(*quantity),
        rows => sqlx::query(RESERVE).bind(order_id).bind(json_list(rows)?),
    };
    statement.execute(connection).await?;
    Ok(())
}

/// Takes pieces from one row if it has them.
async fn take(
    connection: &mut MySqlConnection,
    variant_id: i64,
    bucket: i16,
    quantity: i64,
    changed: &mut Vec<i64>,
) -> Result<bool, sqlx::Error> {
    if bucket != OWN_ROW {
        let done = sqlx::query(HOLD_BUCKET)
            .bind(quantity)
            .bind(variant_id)
            .bind(bucket)
            .bind(quantity)
            .execute(connection)
            .await?;
        return Ok(done.rows_affected() == 1);
    }
    let done = sqlx::query(HOLD)
        .bind(quantity)
        .bind(quantity)
        .bind(quantity)
        .bind(variant_id)
        .bind(quantity)
        .execute(connection)
        .await?;
    if band_changed(done.last_insert_id()) {
        changed.push(variant_id);
    }
    Ok(done.rows_affected() == 1)
}

/// Asks the other buckets of a variant. What none has alone is put together from several, under the lock of all rows:
/// the variant is sold out only if all of them together have too little.
async fn take_elsewhere(
    connection: &mut MySqlConnection,
    place: Place,
) -> Result<Option<Vec<(i16, i64)>>, sqlx::Error> {
    let (variant_id, quantity) = (place.variant_id, place.quantity);
    let mut ignored = Vec::new();
    let free: Option<i16> = if place.bucket == OWN_ROW {
        None
    } else {
        sqlx::query_scalar(FREE_BUCKET)
            .bind(variant_id)
            .bind(quantity)
            .fetch_optional(&mut *connection)
            .await?
    };
    if let Some(bucket) = free
        && take(connection, variant_id, bucket, quantity, &mut ignored).await?
    {
        return Ok(Some(vec![(bucket, quantity)]));
    }
    // Without a lock first: those who come too late must not queue for it.
    let left = store_rows::read(connection, variant_id).await?;
    if left.is_none_or(|rows| rows.take(quantity).is_none()) {
        return Ok(None);
    }
    let Some(rows) = store_rows::lock(connection, variant_id).await? else {
        return Ok(None);
    };
    let Some(taken) = rows.take(quantity) else {
        return Ok(None);
    };
    for &(bucket, quantity) in &taken {
        if !take(connection, variant_id, bucket, quantity, &mut ignored).await? {
            return Ok(None);
        }
    }
    Ok(Some(taken))
}

/// Turns what an order holds into what it has bought: it does not expire any more. Answers how many rows were held; none
/// where it was done before.
///
/// # Errors
/// What the database answers.
pub async fn allocate(connection: &mut MySqlConnection, order_id: i64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(ALLOCATE)
        .bind(order_id)
        .execute(connection)
        .await?
        .rows_affected())
}

/// Gives back everything that an order still holds, allocated or not. Does nothing the second time. The rows of stock are
/// locked last.
///
/// # Errors
/// What the database answers.
pub async fn release(connection: &mut MySqlConnection, order_id: i64) -> Result<(), sqlx::Error> {
    let held = reservations(connection, order_id).await?;
    if held.is_empty() {
        return Ok(());
    }
    sqlx::query(RESERVATIONS_DELETE)
        .bind(order_id)
        .execute(&mut *connection)
        .await?;
    draw_all(connection, &held, Draw::GiveBack).await
}

/// Gives back some of what an order holds, because its lines became fewer.
///
/// # Errors
/// What the database answers. After [`NotReserved`] the transaction is to be rolled back.
pub async fn release_some(
    connection: &mut MySqlConnection,
    order_id: i64,
    lines: &[(i64, i64)],
) -> Result<Result<(), NotReserved>, sqlx::Error> {
    draw_some(connection, order_id, lines, Draw::GiveBack).await
}

/// Takes pieces that an order holds out of the warehouse.
///
/// # Errors
/// What the database answers. After [`NotReserved`] the transaction is to be rolled back.
pub async fn ship(
    connection: &mut MySqlConnection,
    order_id: i64,
    lines: &[(i64, i64)],
) -> Result<Result<(), NotReserved>, sqlx::Error> {
    draw_some(connection, order_id, lines, Draw::Ship).await
}

/// Puts pieces that came back into the warehouse again.
///
/// # Errors
/// What the database answers.
pub async fn restock(
    connection: &mut MySqlConnection,
    lines: &[(i64, i64)],
) -> Result<(), sqlx::Error> {
    let wanted = in_order(lines);
    for (variant_id, quantity) in &wanted {
        sqlx::query(RESTOCK)
            .bind(quantity)
            .bind(variant_id)
            .execute(&mut *connection)
            .await?;
    }
    // Returns are rare: the band is looked at again whether it changed or not.
    let variants: Vec<i64> = wanted.keys().copied().collect();
    announce(connection, &variants).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Draw {
    Ship,
    GiveBack,
}

type Held = (i64, i16, i64);

async fn reservations(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<Vec<Held>, sqlx::Error> {
    let rows: Vec<(i64, i16, i32)> = sqlx::query_as(RESERVATIONS)
        .bind(order_id)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(variant_id, bucket, quantity)| (variant_id, bucket, i64::from(quantity)))
        .collect())
}

async fn draw_some(
    connection: &mut MySqlConnection,
    order_id: i64,
    lines: &[(i64, i64)],
    draw: Draw,
) -> Result<Result<(), NotReserved>, sqlx::Error> {
    let wanted = in_order(lines);
    let held = reservations(connection, order_id).await?;
    let mut drawn = Vec::new();
    for (&variant_id, &quantity) in &wanted {
        let mut left = quantity;
        for &(_, bucket, there) in held.iter().filter(|(id, ..)| *id == variant_id) {
            let piece = there.min(left);
            if piece > 0 {
                drawn.push((variant_id, bucket, piece, piece == there));
                left -= piece;
            }
        }
        if left > 0 {
            return Ok(Err(NotReserved { variant_id }));
        }
    }
    for &(variant_id, bucket, quantity, whole) in &drawn {
        let statement = if whole {
            RESERVATION_DELETE
        } else {
            RESERVATION_REDUCE
        };
        let mut query = sqlx::query(statement);
        if !whole {
            query = query.bind(quantity);
        }
        query = query.bind(order_id).bind(variant_id).bind(bucket);
        if !whole {
            query = query.bind(quantity);
        }
        query.execute(&mut *connection).await?;
    }
    let drawn: Vec<Held> = drawn
        .into_iter()
        .map(|(variant_id, bucket, quantity, _)| (variant_id, bucket, quantity))
        .collect();
    draw_all(connection, &drawn, draw).await?;
    Ok(Ok(()))
}

/// Takes pieces out of the rows of stock in which they are promised.
async fn draw_all(
    connection: &mut MySqlConnection,
    held: &[Held],
    draw: Draw,
) -> Result<(), sqlx::Error> {
    let mut changed = Vec::new();
    for &(variant_id, bucket, quantity) in held {
        let query = match (draw, bucket) {
            (Draw::Ship, OWN_ROW) => sqlx::query(SHIP)
                .bind(quantity)
                .bind(quantity)
                .bind(variant_id)
                .bind(quantity),
            (Draw::Ship, bucket) => sqlx::query(SHIP_BUCKET)
                .bind(quantity)
                .bind(quantity)
                .bind(variant_id)
                .bind(bucket)
                .bind(quantity),
            (Draw::GiveBack, OWN_ROW) => sqlx::query(GIVE_BACK)
                .bind(quantity)
                .bind(-quantity)
                .bind(-quantity)
                .bind(variant_id)
                .bind(quantity),
            (Draw::GiveBack, bucket) => sqlx::query(GIVE_BACK_BUCKET)
                .bind(quantity)
                .bind(variant_id)
                .bind(bucket)
                .bind(quantity),
        };
        let done = query.execute(&mut *connection).await?;
        if done.rows_affected() != 1 {
            // A reservation without its pieces would be a broken invariant; the transaction must not go on.
            return Err(sqlx::Error::RowNotFound);
        }
        if draw == Draw::GiveBack && bucket == OWN_ROW && band_changed(done.last_insert_id()) {
            changed.push(variant_id);
        }
    }
    announce(connection, &changed).await
}

/// Reads what [`bands!`] told.
fn band_changed(told: u64) -> bool {
    told > 0 && told / 4 != told % 4
}

/// Has the worker look at the bands of variants after the commit.
async fn announce(connection: &mut MySqlConnection, variants: &[i64]) -> Result<(), sqlx::Error> {
    if let Some(first) = variants.first() {
        let payload = serde_json::json!({ "variants": variants });
        outbox::enqueue(connection, TOPIC, &format!("variant:{first}"), &payload).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_band_that_is_another_one_is_told() {
        for (told, changed) in [
            (0, false),
            (5, false),
            (10, false),
            (15, false),
            (14, true),
            (9, true),
            (11, true),
        ] {
            assert_eq!(band_changed(told), changed, "{told}");
        }
    }
}
