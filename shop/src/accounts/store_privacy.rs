//! The statements that read, and erase, everything that is kept of a customer.

use serde_json::Value;
use sqlx::MySqlConnection;
use sqlx::types::Json;

const ORDERS: &str = "SELECT o.id, JSON_OBJECT('number', o.number, 'state', o.state, 'payment_state', o.payment_state, \
     'fulfilment_state', o.fulfilment_state, 'email', o.email, 'currency', o.currency, 'subtotal', o.subtotal, 'discount', o.discount, \
     'shipping', o.shipping, 'tax', o.tax, 'total', o.total, 'shipping_name', o.shipping_name, 'shipping_address', o.shipping_address, \
     'billing_address', o.billing_address, 'created_at', DATE_FORMAT(o.created_at, '%Y-%m-%dT%H:%i:%sZ'), \
     'placed_at', DATE_FORMAT(o.placed_at, '%Y-%m-%dT%H:%i:%sZ'), \
     'lines', (SELECT JSON_ARRAYAGG(JSON_OBJECT('sku', l.sku, 'name', l.name, 'options', l.options_text, 'quantity', l.quantity, \
       'unit_amount', l.unit_amount, 'discount', l.discount, 'tax', l.tax, 'total', l.total)) FROM order_line l WHERE l.order_id = o.id), \
     'payments', (SELECT JSON_ARRAYAGG(JSON_OBJECT('provider', p.provider, 'state', p.state, 'amount', p.amount, 'captured', p.captured, \
       'refunded', p.refunded)) FROM payment p WHERE p.order_id = o.id), \
     'shipments', (SELECT JSON_ARRAYAGG(JSON_OBJECT('carrier', s.carrier, 'tracking_number', s.tracking_number, 'state', s.state)) \
       FROM shipment s WHERE s.order_id = o.id), \
     'returns', (SELECT JSON_ARRAYAGG(JSON_OBJECT('state', r.state, 'reason', r.reason, 'refund', r.refund)) \
       FROM order_return r WHERE r.order_id = o.id)) AS data \
     FROM orders o WHERE o.customer_id = ? AND o.id > ? ORDER BY o.id LIMIT 200";
const CARTS: &str = "SELECT JSON_OBJECT('state', c.state, 'currency', c.currency, 'email', c.email, 'shipping_address', c.shipping_address, \
     'billing_address', c.billing_address, 'created_at', DATE_FORMAT(c.created_at, '%Y-%m-%dT%H:%i:%sZ'), \
     'lines', (SELECT JSON_ARRAYAGG(JSON_OBJECT('variant', v.sku, 'quantity', l.quantity)) FROM cart_line l \
       JOIN variant v ON v.id = l.variant_id WHERE l.cart_id = c.id)) AS data \
     FROM cart c WHERE c.customer_id = ? AND c.state <> 'merged' ORDER BY c.id DESC LIMIT 100";
const OPEN_ORDERS: &str = "SELECT COUNT(*) FROM orders WHERE customer_id = ? AND (state = 'pending' OR \
     (state = 'placed' AND fulfilment_state <> 'delivered'))";
const ERASE_CUSTOMER: &str = "UPDATE customer SET email = '', email_key = NULL, name = '', password_hash = NULL, verified_at = NULL, \
     totp_secret = NULL, totp_enabled_at = NULL, totp_last_step = NULL, erased_at = NOW(6), version = version + 1 WHERE id = ?";
// What accounting needs stays: amounts, taxes, dates, and the country that the tax was owed in.
const ERASE_ORDERS: &str = "UPDATE orders SET email = '', customer_key = RANDOM_BYTES(32), ip_key = NULL, \
     shipping_address = IF(shipping_address IS NULL, NULL, JSON_OBJECT('name', '', 'line1', '', 'city', '', 'country', shipping_address->>'$.country')), \
     billing_address = IF(billing_address IS NULL, NULL, JSON_OBJECT('name', '', 'line1', '', 'city', '', 'country', billing_address->>'$.country')) \
     WHERE customer_id = ?";
const ERASE_RETURNS: &str = "UPDATE order_return r JOIN orders o ON o.id = r.order_id SET r.reason = '' WHERE o.customer_id = ?";
const ERASE_PAYMENTS: &str = "UPDATE payment p JOIN orders o ON o.id = p.order_id SET p.method = NULL, p.fingerprint = NULL, p.next_action = NULL \
     WHERE o.customer_id = ?";
const DELETE_CARTS: &str = "DELETE FROM cart WHERE customer_id = ? AND state IN ('open', 'merged')";
const ERASE_CARTS: &str = "UPDATE cart SET email = NULL, shipping_address = NULL, billing_address = NULL WHERE customer_id = ?";
const DELETE_SESSIONS: &str = "DELETE FROM customer_session WHERE customer_id = ?";
const DELETE_LINKS: &str = "DELETE FROM customer_link WHERE customer_id = ?";
const DELETE_CODES: &str = "DELETE FROM recovery_code WHERE customer_id = ?";
const DELETE_ADDRESSES: &str = "DELETE FROM customer_address WHERE customer_id = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("privacy_orders", ORDERS),
    ("privacy_carts", CARTS),
    ("privacy_open_orders", OPEN_ORDERS),
    ("privacy_erase_customer", ERASE_CUSTOMER),
    ("privacy_erase_orders", ERASE_ORDERS),
    ("privacy_erase_returns", ERASE_RETURNS),
    ("privacy_erase_payments", ERASE_PAYMENTS),
    ("privacy_delete_carts", DELETE_CARTS),
    ("privacy_erase_carts", ERASE_CARTS),
    ("privacy_delete_sessions", DELETE_SESSIONS),
    ("privacy_delete_links", DELETE_LINKS),
    ("privacy_delete_codes", DELETE_CODES),
    ("privacy_delete_addresses", DELETE_ADDRESSES),
];

/// What is kept of a customer's orders after a row, and that row's successor: at most 200.
///
/// # Errors
/// What the database answers.
pub async fn orders(
    connection: &mut MySqlConnection,
    customer: i64,
    after: i64,
) -> Result<Vec<(i64, Value)>, sqlx::Error> {
    let rows: Vec<(i64, Json<Value>)> = sqlx::query_as(ORDERS)
        .bind(customer)
        .bind(after)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, Json(order))| (id, order))
        .collect())
}

/// What is kept of a customer's carts.
///
/// # Errors
/// What the database answers.
pub async fn carts(
    connection: &mut MySqlConnection,
    customer: i64,
) -> Result<Vec<Value>, sqlx::Error> {
    let rows: Vec<Json<Value>> = sqlx::query_scalar(CARTS)
        .bind(customer)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|Json(cart)| cart).collect())
}

/// Orders that are not at their end: their addresses are needed still.
///
/// # Errors
/// What the database answers.
pub async fn open_orders(
    connection: &mut MySqlConnection,
    customer: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(OPEN_ORDERS)
        .bind(customer)
        .fetch_one(connection)
        .await
}

/// Erases everything that tells who a customer was.
///
/// # Errors
/// What the database answers.
pub async fn erase(connection: &mut MySqlConnection, customer: i64) -> Result<(), sqlx::Error> {
    for statement in [
        ERASE_PAYMENTS,
        ERASE_RETURNS,
        ERASE_ORDERS,
        DELETE_CARTS,
        ERASE_CARTS,
        DELETE_SESSIONS,
        DELETE_LINKS,
        DELETE_CODES,
        DELETE_ADDRESSES,
        ERASE_CUSTOMER,
    ] {
        sqlx::query(statement)
            .bind(customer)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
