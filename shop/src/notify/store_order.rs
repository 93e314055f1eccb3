//! What mails and webhooks say of an order, read in the transaction that carries out its event.

use serde::Serialize;
use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::accounts::address::Address;

const ORDER: &str = "SELECT id, number, email, locale, currency, state, payment_state, fulfilment_state, review_state, cancel_reason, \
       prices_include_tax, subtotal, discount, shipping, tax, total, shipping_name, shipping_address, billing_address, created_at, placed_at \
     FROM orders WHERE number = ?";
const LINES: &str = "SELECT sku, name, options_text, quantity, unit_amount, discount, tax, total, cancelled, shipped, returned \
     FROM order_line WHERE order_id = ? ORDER BY position LIMIT 1000";
const SHIPMENT: &str = "SELECT id, public_id, carrier, tracking_number, tracking_url, state FROM shipment WHERE public_id = ? AND order_id = ?";
const SHIPMENT_LINES: &str = "SELECT line.name, line.options_text, piece.quantity \
     FROM shipment_line AS piece JOIN order_line AS line ON line.id = piece.order_line_id \
     WHERE piece.shipment_id = ? ORDER BY line.position LIMIT 1000";
const RETURN_LINES: &str = "SELECT line.name, line.options_text, piece.quantity \
     FROM order_return AS asked JOIN order_return_line AS piece ON piece.return_id = asked.id \
       JOIN order_line AS line ON line.id = piece.order_line_id \
     WHERE asked.public_id = ? AND asked.order_id = ? ORDER BY line.position LIMIT 1000";

/// The statements with their names, to be prepared by a test.
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("notify_order", ORDER),
    ("notify_order_lines", LINES),
    ("notify_shipment", SHIPMENT),
    ("notify_shipment_lines", SHIPMENT_LINES),
    ("notify_return_lines", RETURN_LINES),
];

/// An order as it is told to the merchant's programs. Amounts in minor units.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub(super) struct Order {
    #[serde(skip)]
    pub id: i64,
    pub number: String,
    pub email: String,
    pub locale: String,
    pub currency: String,
    pub state: String,
    pub payment_state: String,
    pub fulfilment_state: String,
    pub review_state: String,
    pub cancel_reason: Option<String>,
    pub prices_include_tax: bool,
    pub subtotal: i64,
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    pub total: i64,
    pub shipping_name: String,
    pub shipping_address: Option<Json<Address>>,
    pub billing_address: Option<Json<Address>>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub placed_at: Option<OffsetDateTime>,
    #[sqlx(skip)]
    pub lines: Vec<Line>,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub(super) struct Line {
    pub sku: String,
    pub name: String,
    #[serde(rename = "options")]
    pub options_text: String,
    pub quantity: i32,
    pub unit_amount: i64,
    pub discount: i64,
    pub tax: i64,
    pub total: i64,
    pub cancelled: i32,
    pub shipped: i32,
    pub returned: i32,
}

/// A parcel.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Shipment {
    pub id: i64,
    pub carrier: String,
    pub tracking_number: Option<String>,
    pub tracking_url: Option<String>,
}

/// Pieces of a line.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Pieces {
    pub name: String,
    pub options_text: String,
    pub quantity: i32,
}

/// An order with its lines.
pub(super) async fn order(
    connection: &mut MySqlConnection,
    number: &str,
) -> Result<Option<Order>, sqlx::Error> {
    let order: Option<Order> = sqlx::query_as(ORDER)
        .bind(number)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(mut order) = order else {
        return Ok(None);
    };
    order.lines = sqlx::query_as(LINES)
        .bind(order.id)
        .fetch_all(connection)
        .await?;
    Ok(Some(order))
}

/// A parcel of an order, with what is in it.
pub(super) async fn shipment(
    connection: &mut MySqlConnection,
    order_id: i64,
    public_id: &str,
) -> Result<Option<(Shipment, Vec<Pieces>)>, sqlx::Error> {
    let shipment: Option<Shipment> = sqlx::query_as(SHIPMENT)
        .bind(public_id)
        .bind(order_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(shipment) = shipment else {
        return Ok(None);
    };
    let pieces = sqlx::query_as(SHIPMENT_LINES)
        .bind(shipment.id)
        .fetch_all(connection)
        .await?;
    Ok(Some((shipment, pieces)))
}

/// What is given back by a return of an order.
pub(super) async fn return_lines(
    connection: &mut MySqlConnection,
    order_id: i64,
    public_id: &str,
) -> Result<Vec<Pieces>, sqlx::Error> {
    sqlx::query_as(RETURN_LINES)
        .bind(public_id)
        .bind(order_id)
        .fetch_all(connection)
        .await
}
