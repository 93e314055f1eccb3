//! The statements of the checkout that belong to no other domain.

use sqlx::MySqlConnection;

const WAITS: &str =
    "SELECT EXISTS (SELECT 1 FROM payment WHERE order_id = ? AND state = 'action_required')";
const CART_ORDERED: &str = "UPDATE cart SET state = 'ordered', version = version + 1 WHERE id = ? AND state = 'completing'";
const CART_OF: &str = "SELECT public_id FROM cart WHERE id = ?";
const EXPIRED: &str = "SELECT id FROM orders WHERE state = 'pending' AND held_until < NOW(6) ORDER BY held_until LIMIT ?";
// Pending orders are few, so the index of their state serves.
const DECIDED: &str = "SELECT o.id FROM orders o WHERE o.state = 'pending' AND o.created_at < NOW(6) - INTERVAL ? MICROSECOND \
     AND (o.total = 0 OR EXISTS (SELECT 1 FROM payment p WHERE p.order_id = o.id AND p.state IN ('authorized','captured','failed','voided'))) \
     ORDER BY o.held_until LIMIT ?";
const IS_EXPIRED: &str = "SELECT held_until < NOW(6) FROM orders WHERE id = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("checkout_waits", WAITS),
    ("checkout_cart_ordered", CART_ORDERED),
    ("checkout_cart_of", CART_OF),
    ("checkout_expired", EXPIRED),
    ("checkout_decided", DECIDED),
    ("checkout_is_expired", IS_EXPIRED),
];

/// Whether an order's payment waits for something that the shopper does elsewhere.
pub(super) async fn waits_for_shopper(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(WAITS)
        .bind(order_id)
        .fetch_one(connection)
        .await
}

/// Says that a cart has become an order.
pub(super) async fn cart_ordered(
    connection: &mut MySqlConnection,
    cart_id: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(CART_ORDERED)
        .bind(cart_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// The public id of a cart.
pub(super) async fn cart_of(
    connection: &mut MySqlConnection,
    cart_id: i64,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(CART_OF)
        .bind(cart_id)
        .fetch_optional(connection)
        .await
}

/// Pending orders that hold stock for longer than they may, the oldest first.
pub(super) async fn expired(
    connection: &mut MySqlConnection,
    most: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(EXPIRED)
        .bind(most)
        .fetch_all(connection)
        .await
}

/// Pending orders older than `age` of which the payment is decided: whoever should have finalised them is gone.
pub(super) async fn decided(
    connection: &mut MySqlConnection,
    age: std::time::Duration,
    most: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(DECIDED)
        .bind(crate::outbox::store::microseconds(age))
        .bind(most)
        .fetch_all(connection)
        .await
}

/// Whether an order holds its stock for longer than it may.
pub(super) async fn is_expired(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<bool, sqlx::Error> {
    let expired: Option<Option<bool>> = sqlx::query_scalar(IS_EXPIRED)
        .bind(order_id)
        .fetch_optional(connection)
        .await?;
    Ok(expired.flatten().unwrap_or(false))
}
