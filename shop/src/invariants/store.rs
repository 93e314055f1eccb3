//! The checks. Each statement takes the lower and the upper end of a range, the lower not included, as often as `ranges`
//! says, and a limit; it answers what is wrong, what would be right and what is there.

use sqlx::MySqlConnection;

use super::{Invariant, MOST_VIOLATIONS};

/// By what a table is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// An integer.
    Numbers,
    /// A text.
    Texts,
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Of integers.
    Number(i64),
    /// Of texts.
    Text(String),
}

/// After every moment of the walk by time: the year 2100, in microseconds. All other numbers are ids, and smaller.
const LAST_NUMBER: i64 = 4_102_444_800_000_000;

impl Walk {
    /// Before every row.
    #[must_use]
    pub const fn start(self) -> Bound {
        match self {
            Self::Numbers => Bound::Number(-1),
            Self::Texts => Bound::Text(String::new()),
        }
    }

    /// After every row.
    #[must_use]
    pub fn end(self) -> Bound {
        match self {
            Self::Numbers => Bound::Number(LAST_NUMBER),
            // The last character, as often as the longest key has characters.
            Self::Texts => Bound::Text("\u{10ffff}".repeat(64)),
        }
    }
}

/// A statement that finds violations.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Of which invariant.
    pub invariant: Invariant,
    /// Its name in reports.
    pub name: &'static str,
    /// By what its table is walked.
    pub walk: Walk,
    /// Finds the end of a range: takes its lower end and a number of rows.
    pub next: &'static str,
    /// Finds violations in a range.
    pub find: &'static str,
    /// How often `find` takes the range.
    pub ranges: usize,
}

const NEXT_STOCK: &str =
    "SELECT variant_id FROM stock WHERE variant_id > ? ORDER BY variant_id LIMIT 1 OFFSET ?";
const NEXT_BUCKET: &str =
    "SELECT variant_id FROM stock_bucket WHERE variant_id > ? ORDER BY variant_id LIMIT 1 OFFSET ?";
const NEXT_RESERVATION: &str = "SELECT variant_id FROM stock_reservation FORCE INDEX (stock_reservation_variant) WHERE variant_id > ? ORDER BY variant_id LIMIT 1 OFFSET ?";
const NEXT_ORDER: &str = "SELECT id FROM orders WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?";
const NEXT_CART: &str = "SELECT id FROM cart WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?";
const NEXT_PAYMENT: &str = "SELECT id FROM payment WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?";
const NEXT_PROMOTION: &str = "SELECT id FROM promotion WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?";
const NEXT_COUPON: &str = "SELECT code FROM coupon WHERE code > ? ORDER BY code LIMIT 1 OFFSET ?";
const NEXT_EVENT: &str = "SELECT id FROM order_event WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?";
const NEXT_OUTBOX: &str = "SELECT id FROM outbox WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?";
const NEXT_OUTBOX_OF_EVENTS: &str =
    "SELECT outbox_id FROM order_event WHERE outbox_id > ? ORDER BY outbox_id LIMIT 1 OFFSET ?";
// Keys have no number; they are walked by when they were made, in microseconds since 1970.
const NEXT_KEY: &str = "SELECT CAST(UNIX_TIMESTAMP(created_at) * 1000000 AS SIGNED) FROM idempotency_key FORCE INDEX (idempotency_key_created) \
     WHERE created_at > FROM_UNIXTIME(CAST(GREATEST(?, 0) AS DECIMAL(26, 6)) / 1000000) ORDER BY created_at LIMIT 1 OFFSET ?";

const OVERSOLD: &str = "SELECT CONCAT('variant ', variant_id) AS subject, CONCAT('at most ', on_hand + backorder_limit) AS expected, \
       CONCAT(reserved, ' reserved') AS actual \
     FROM stock WHERE variant_id > ? AND variant_id <= ? AND (reserved < 0 OR (tracked AND reserved > on_hand + backorder_limit)) \
     ORDER BY variant_id LIMIT ?";
const BUCKET_OVERSOLD: &str = "SELECT CONCAT('variant ', variant_id, ' bucket ', bucket) AS subject, CONCAT('at most ', on_hand) AS expected, \
       CONCAT(reserved, ' reserved') AS actual \
     FROM stock_bucket WHERE variant_id > ? AND variant_id <= ? AND (reserved < 0 OR reserved > on_hand) ORDER BY variant_id, bucket LIMIT ?";
const RESERVED: &str = "SELECT CONCAT('variant ', stock.variant_id) AS subject, CONCAT(COALESCE(held.pieces, 0), ' held by orders') AS expected, \
       CONCAT(stock.reserved, ' reserved') AS actual \
     FROM stock LEFT JOIN (SELECT variant_id, CAST(SUM(quantity) AS SIGNED) AS pieces FROM stock_reservation FORCE INDEX (stock_reservation_variant) \
       WHERE variant_id > ? AND variant_id <= ? AND bucket = -1 GROUP BY variant_id) AS held ON held.variant_id = stock.variant_id \
     WHERE stock.variant_id > ? AND stock.variant_id <= ? AND stock.reserved <> COALESCE(held.pieces, 0) ORDER BY stock.variant_id LIMIT ?";
const BUCKET_RESERVED: &str = "SELECT CONCAT('variant ', stock.variant_id, ' bucket ', stock.bucket) AS subject, \
       CONCAT(COALESCE(held.pieces, 0), ' held by orders') AS expected, CONCAT(stock.reserved, ' reserved') AS actual \
     FROM stock_bucket AS stock LEFT JOIN (SELECT variant_id, bucket, CAST(SUM(quantity) AS SIGNED) AS pieces FROM stock_reservation FORCE INDEX (stock_reservation_variant) \
       WHERE variant_id > ? AND variant_id <= ? AND bucket >= 0 GROUP BY variant_id, bucket) AS held \
       ON held.variant_id = stock.variant_id AND held.bucket = stock.bucket \
     WHERE stock.variant_id > ? AND stock.variant_id <= ? AND stock.reserved <> COALESCE(held.pieces, 0) ORDER BY stock.variant_id, stock.bucket LIMIT ?";
const RESERVATION_OF_NOTHING: &str = "SELECT CONCAT('order ', held.order_id, ' variant ', held.variant_id, ' bucket ', held.bucket) AS subject, \
       'a row of stock that it counts in' AS expected, CONCAT(held.quantity, ' held') AS actual \
     FROM stock_reservation AS held FORCE INDEX (stock_reservation_variant) \
       LEFT JOIN stock ON stock.variant_id = held.variant_id AND held.bucket = -1 \
       LEFT JOIN stock_bucket ON stock_bucket.variant_id = held.variant_id AND stock_bucket.bucket = held.bucket \
     WHERE held.variant_id > ? AND held.variant_id <= ? AND stock.variant_id IS NULL AND stock_bucket.variant_id IS NULL \
     ORDER BY held.variant_id, held.bucket LIMIT ?";
const RESERVATION_OF_NOBODY: &str = "SELECT CONCAT('order ', held.order_id, ' variant ', held.variant_id) AS subject, \
       'an order that is pending or placed' AS expected, \
       CONCAT(held.quantity, ' ', held.state, ', order ', COALESCE(orders.state, 'missing')) AS actual \
     FROM stock_reservation AS held FORCE INDEX (stock_reservation_variant) LEFT JOIN orders ON orders.id = held.order_id \
     WHERE held.variant_id > ? AND held.variant_id <= ? AND (orders.id IS NULL OR orders.state NOT IN ('pending', 'placed')) \
     ORDER BY held.variant_id LIMIT ?";
const CART_WITH_ORDERS: &str = "SELECT CONCAT('cart ', cart_id) AS subject, '1 order' AS expected, \
       CONCAT(COUNT(*), ' orders: ', SUBSTRING(GROUP_CONCAT(number ORDER BY id), 1, 200)) AS actual \
     FROM orders WHERE cart_id > ? AND cart_id <= ? GROUP BY cart_id HAVING COUNT(*) > 1 ORDER BY cart_id LIMIT ?";
const CART_STILL_OPEN: &str = "SELECT CONCAT('cart ', cart.id, ' order ', orders.number) AS subject, 'ordered' AS expected, cart.state AS actual \
     FROM orders JOIN cart ON cart.id = orders.cart_id \
     WHERE orders.id > ? AND orders.id <= ? AND orders.state IN ('placed', 'completed') AND cart.state <> 'ordered' ORDER BY orders.id LIMIT ?";
const PAYMENT_SUMS: &str = "SELECT CONCAT('payment ', public_id, ' of order ', order_id) AS subject, \
       'refunded <= captured <= authorized <= amount, none below 0' AS expected, \
       CONCAT('amount ', amount, ', authorized ', authorized, ', captured ', captured, ', refunded ', refunded) AS actual \
     FROM payment WHERE id > ? AND id <= ? AND (authorized < 0 OR captured < 0 OR refunded < 0 OR authorized > amount OR captured > authorized OR refunded > captured) \
     ORDER BY id LIMIT ?";
const PAYMENT_OPERATIONS: &str = "SELECT CONCAT('payment ', payment.public_id, ' of order ', payment.order_id) AS subject, \
       CONCAT('captured ', COALESCE(done.captured, 0), ', refunded ', COALESCE(done.refunded, 0), ' as its operations say') AS expected, \
       CONCAT('captured ', payment.captured, ', refunded ', payment.refunded) AS actual \
     FROM payment LEFT JOIN (SELECT payment_id, \
         CAST(SUM(IF(kind = 'capture', amount, 0)) AS SIGNED) AS captured, CAST(SUM(IF(kind = 'refund', amount, 0)) AS SIGNED) AS refunded \
       FROM payment_operation FORCE INDEX (payment_operation_payment) WHERE payment_id > ? AND payment_id <= ? AND state <> 'failed' GROUP BY payment_id) AS done \
       ON done.payment_id = payment.id \
     WHERE payment.id > ? AND payment.id <= ? AND (payment.captured <> COALESCE(done.captured, 0) OR payment.refunded <> COALESCE(done.refunded, 0)) \
     ORDER BY payment.id LIMIT ?";
const PAID_TWICE: &str = "SELECT CONCAT('order ', order_id) AS subject, '1 payment with money in it' AS expected, \
       CONCAT(COUNT(*), ' payments: ', SUBSTRING(GROUP_CONCAT(public_id ORDER BY id), 1, 200)) AS actual \
     FROM payment FORCE INDEX (payment_order) WHERE order_id > ? AND order_id <= ? AND captured > refunded GROUP BY order_id HAVING COUNT(*) > 1 ORDER BY order_id LIMIT ?";
const PROMOTION_USED: &str = "SELECT CONCAT('promotion ', promotion.id) AS subject, \
       CONCAT(COALESCE(held.orders, 0), ' orders hold it, of at most ', promotion.usage_limit) AS expected, CONCAT('used ', promotion.used) AS actual \
     FROM promotion LEFT JOIN (SELECT promotion_id, COUNT(*) AS orders FROM promotion_use FORCE INDEX (promotion_use_promotion) \
       WHERE promotion_id > ? AND promotion_id <= ? AND released_at IS NULL GROUP BY promotion_id) AS held ON held.promotion_id = promotion.id \
     WHERE promotion.id > ? AND promotion.id <= ? AND promotion.usage_limit IS NOT NULL \
       AND (promotion.used <> COALESCE(held.orders, 0) OR promotion.used > promotion.usage_limit) \
     ORDER BY promotion.id LIMIT ?";
const COUPON_USED: &str = "SELECT CONCAT('coupon ', coupon.code) AS subject, \
       CONCAT(COALESCE(held.orders, 0), ' orders hold it, of at most ', coupon.usage_limit) AS expected, CONCAT('used ', coupon.used) AS actual \
     FROM coupon LEFT JOIN (SELECT coupon_code, COUNT(*) AS orders FROM promotion_use FORCE INDEX (promotion_use_coupon) \
       WHERE coupon_code > ? AND coupon_code <= ? AND released_at IS NULL GROUP BY coupon_code) AS held ON held.coupon_code = coupon.code \
     WHERE coupon.code > ? AND coupon.code <= ? AND coupon.usage_limit IS NOT NULL \
       AND (coupon.used <> COALESCE(held.orders, 0) OR coupon.used > coupon.usage_limit) \
     ORDER BY coupon.code LIMIT ?";
const KEY_WITHOUT_ANSWER: &str = "SELECT CONCAT('key ', SUBSTRING(idempotency_key, 1, 80), ' of scope ', LOWER(HEX(scope))) AS subject, 'an answer' AS expected, \
       CONCAT('done with status ', COALESCE(status, 'none')) AS actual \
     FROM idempotency_key FORCE INDEX (idempotency_key_created) \
     WHERE created_at > FROM_UNIXTIME(CAST(GREATEST(?, 0) AS DECIMAL(26, 6)) / 1000000) AND created_at <= FROM_UNIXTIME(CAST(? AS DECIMAL(26, 6)) / 1000000) \
       AND state = 'done' AND (status IS NULL OR body IS NULL) ORDER BY created_at LIMIT ?";
// Keys of the staff refer to operations and returns; those of checkouts are told by their answers.
const KEY_WITHOUT_EFFECT: &str = "SELECT CONCAT('key ', SUBSTRING(known.idempotency_key, 1, 80), ' of scope ', LOWER(HEX(known.scope))) AS subject, \
       CONCAT('order ', known.reference) AS expected, 'no such order' AS actual \
     FROM idempotency_key AS known FORCE INDEX (idempotency_key_created) LEFT JOIN orders ON orders.id = known.reference \
     WHERE known.created_at > FROM_UNIXTIME(CAST(GREATEST(?, 0) AS DECIMAL(26, 6)) / 1000000) AND known.created_at <= FROM_UNIXTIME(CAST(? AS DECIMAL(26, 6)) / 1000000) \
       AND known.reference IS NOT NULL AND orders.id IS NULL AND known.state = 'done' \
       AND JSON_VALUE(CONVERT(known.body USING utf8mb4), '$.status') IN ('placed', 'action_required', 'payment_pending') ORDER BY known.created_at LIMIT ?";
const STATE_WITHOUT_EVENT: &str = "SELECT CONCAT('order ', orders.number) AS subject, CONCAT('a row of history that leads to ', wanted.state) AS expected, 'none' AS actual \
     FROM orders JOIN LATERAL ( \
       SELECT CONVERT(orders.state USING ascii) COLLATE ascii_bin AS state WHERE orders.state <> 'pending' \
       UNION ALL SELECT CONVERT(orders.payment_state USING ascii) COLLATE ascii_bin WHERE orders.payment_state <> 'unpaid' \
       UNION ALL SELECT CONVERT(orders.fulfilment_state USING ascii) COLLATE ascii_bin WHERE orders.fulfilment_state <> 'unfulfilled' \
       UNION ALL SELECT CONVERT(orders.review_state USING ascii) COLLATE ascii_bin WHERE orders.review_state <> 'none') AS wanted \
     WHERE orders.id > ? AND orders.id <= ? AND ( \
       SELECT COUNT(*) FROM order_event FORCE INDEX (order_event_order) WHERE order_event.order_id = orders.id AND order_event.to_state = wanted.state) = 0 \
     ORDER BY orders.id LIMIT ?";
const EVENT_WITHOUT_ROW: &str = "SELECT CONCAT('order_event ', id, ' (', kind, ') of order ', order_id) AS subject, '1 row of the outbox' AS expected, 'none' AS actual \
     FROM order_event WHERE id > ? AND id <= ? AND to_state IS NOT NULL AND outbox_id IS NULL ORDER BY id LIMIT ?";
const ROW_OF_MANY: &str = "SELECT CONCAT('outbox ', outbox_id) AS subject, '1 row of history' AS expected, \
       CONCAT(COUNT(*), ' rows: order_event ', SUBSTRING(GROUP_CONCAT(id ORDER BY id), 1, 200)) AS actual \
     FROM order_event WHERE outbox_id > ? AND outbox_id <= ? GROUP BY outbox_id HAVING COUNT(*) > 1 ORDER BY outbox_id LIMIT ?";
const ROW_WITHOUT_EVENT: &str = "SELECT CONCAT('outbox ', outbox.id, ' (', outbox.payload->>'$.kind', ') of order ', outbox.aggregate) AS subject, \
       '1 row of history' AS expected, 'none' AS actual \
     FROM outbox LEFT JOIN order_event ON order_event.outbox_id = outbox.id \
     WHERE outbox.id > ? AND outbox.id <= ? AND outbox.topic = 'event' AND outbox.payload->>'$.kind' LIKE 'order.%' AND order_event.id IS NULL \
     ORDER BY outbox.id LIMIT ?";

const fn numbers(
    invariant: Invariant,
    name: &'static str,
    next: &'static str,
    find: &'static str,
    ranges: usize,
) -> Check {
    Check {
        invariant,
        name,
        walk: Walk::Numbers,
        next,
        find,
        ranges,
    }
}

/// Every check.
pub const CHECKS: &[Check] = &[
    numbers(Invariant::I1, "stock_oversold", NEXT_STOCK, OVERSOLD, 1),
    numbers(
        Invariant::I1,
        "bucket_oversold",
        NEXT_BUCKET,
        BUCKET_OVERSOLD,
        1,
    ),
    numbers(Invariant::I2, "stock_reserved", NEXT_STOCK, RESERVED, 2),
    numbers(
        Invariant::I2,
        "bucket_reserved",
        NEXT_BUCKET,
        BUCKET_RESERVED,
        2,
    ),
    numbers(
        Invariant::I2,
        "reservation_of_nothing",
        NEXT_RESERVATION,
        RESERVATION_OF_NOTHING,
        1,
    ),
    numbers(
        Invariant::I2,
        "reservation_of_nobody",
        NEXT_RESERVATION,
        RESERVATION_OF_NOBODY,
        1,
    ),
    numbers(
        Invariant::I3,
        "cart_with_orders",
        NEXT_CART,
        CART_WITH_ORDERS,
        1,
    ),
    numbers(
        Invariant::I3,
        "cart_still_open",
        NEXT_ORDER,
        CART_STILL_OPEN,
        1,
    ),
    numbers(Invariant::I4, "payment_sums", NEXT_PAYMENT, PAYMENT_SUMS, 1),
    numbers(
        Invariant::I4,
        "payment_operations",
        NEXT_PAYMENT,
        PAYMENT_OPERATIONS,
        2,
    ),
    numbers(Invariant::I4, "paid_twice", NEXT_ORDER, PAID_TWICE, 1),
    numbers(
        Invariant::I5,
        "promotion_used",
        NEXT_PROMOTION,
        PROMOTION_USED,
        2,
    ),
    Check {
        invariant: Invariant::I5,
        name: "coupon_used",
        walk: Walk::Texts,
        next: NEXT_COUPON,
        find: COUPON_USED,
        ranges: 2,
    },
    numbers(
        Invariant::I6,
        "key_without_answer",
        NEXT_KEY,
        KEY_WITHOUT_ANSWER,
        1,
    ),
    numbers(
        Invariant::I6,
        "key_without_effect",
        NEXT_KEY,
        KEY_WITHOUT_EFFECT,
        1,
    ),
    numbers(
        Invariant::I7,
        "state_without_event",
        NEXT_ORDER,
        STATE_WITHOUT_EVENT,
        1,
    ),
    numbers(
        Invariant::I7,
        "event_without_row",
        NEXT_EVENT,
        EVENT_WITHOUT_ROW,
        1,
    ),
    numbers(
        Invariant::I7,
        "row_of_many",
        NEXT_OUTBOX_OF_EVENTS,
        ROW_OF_MANY,
        1,
    ),
    numbers(
        Invariant::I7,
        "row_without_event",
        NEXT_OUTBOX,
        ROW_WITHOUT_EVENT,
        1,
    ),
];

/// Something that a check found.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Found {
    pub subject: String,
    pub expected: String,
    pub actual: String,
}

/// The upper end of the range that begins after `low`; `None` when fewer rows are left.
pub(super) async fn end_of_range(
    connection: &mut MySqlConnection,
    check: &Check,
    low: &Bound,
    rows: u32,
) -> Result<Option<Bound>, sqlx::Error> {
    match low {
        Bound::Number(low) => {
            let high: Option<i64> = sqlx::query_scalar(check.next)
                .bind(low)
                .bind(rows)
                .fetch_optional(connection)
                .await?;
            Ok(high.map(Bound::Number))
        }
        Bound::Text(low) => {
            let high: Option<String> = sqlx::query_scalar(check.next)
                .bind(low)
                .bind(rows)
                .fetch_optional(connection)
                .await?;
            Ok(high.map(Bound::Text))
        }
    }
}

/// What contradicts the check in a range.
pub(super) async fn find(
    connection: &mut MySqlConnection,
    check: &Check,
    low: &Bound,
    high: &Bound,
) -> Result<Vec<Found>, sqlx::Error> {
    let mut query = sqlx::query_as(check.find);
    for _ in 0..check.ranges {
        query = match (low, high) {
            (Bound::Number(low), Bound::Number(high)) => query.bind(low).bind(high),
            (Bound::Text(low), Bound::Text(high)) => query.bind(low).bind(high),
            _ => {
                return Err(sqlx::Error::Protocol(
                    "the ends of a range differ in kind".to_owned(),
                ));
            }
        };
    }
    query
        .bind(u32::try_from(MOST_VIOLATIONS).unwrap_or(u32::MAX))
        .fetch_all(connection)
        .await
}
