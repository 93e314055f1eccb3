//! The statements of orders.

use serde_json::Value;
use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::change::Transition;
use super::model::{
    Discount, FulfilmentState, Line, NewLine, NewOrder, Order, OrderState, PaymentState,
    ReviewState,
};
use super::number::OrderNumber;
use crate::catalog::json_list;
use crate::db::violated_constraint;
use crate::outbox::store::microseconds;

macro_rules! columns {
    () => {
        "SELECT id, number, cart_id, customer_id, customer_key, email, locale, currency, state, payment_state, \
         fulfilment_state, review_state, cancel_reason, prices_include_tax, subtotal, discount, shipping, tax, total, \
         shipping_method, shipping_name, shipping_address, billing_address, held_until, version, created_at, placed_at \
         FROM orders "
    };
}

const LOCK: &str = concat!(columns!(), "WHERE id = ? FOR UPDATE");
const GET: &str = concat!(columns!(), "WHERE id = ?");
const BY_NUMBER: &str = concat!(columns!(), "WHERE number = ?");
const BY_CART: &str = concat!(columns!(), "WHERE cart_id = ?");
const OF_CUSTOMER: &str = concat!(
    columns!(),
    "WHERE customer_id = ? AND id < ? AND placed_at IS NOT NULL ORDER BY id DESC LIMIT ?"
);
const LIST: &str = concat!(
    columns!(),
    "WHERE id < ? AND (? IS NULL OR state = ?) AND (? IS NULL OR payment_state = ?) \
       AND (? IS NULL OR fulfilment_state = ?) AND (? IS NULL OR review_state = ?) AND (? IS NULL OR email = ?) \
     ORDER BY id DESC LIMIT ?"
);

const INSERT: &str = "INSERT INTO orders (number, cart_id, customer_id, customer_key, email, locale, currency, state, \
       prices_include_tax, subtotal, discount, shipping, tax, total, shipping_method, shipping_name, shipping_address, \
       billing_address, ip_key, held_until) \
     VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NOW(6) + INTERVAL ? MICROSECOND)";

const LINES_INSERT: &str = "INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, slug, options_text, \
       picture, weight_grams, quantity, unit_amount, discount, tax_name, tax_rate, tax, total) \
     SELECT ?, j.position - 1, j.variant_id, j.product_id, j.sku, j.name, j.slug, j.options_text, j.picture, j.weight_grams, \
       j.quantity, j.unit_amount, j.discount, j.tax_name, j.tax_rate, j.tax, j.total \
     FROM JSON_TABLE(?, '$[*]' COLUMNS (position FOR ORDINALITY, \
       variant_id BIGINT PATH '$.variant_id' ERROR ON ERROR, product_id BIGINT PATH '$.product_id' ERROR ON ERROR, \
       sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.sku' ERROR ON ERROR, \
       name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.name' ERROR ON ERROR, \
       slug VARCHAR(190) CHARACTER SET utf8mb4 PATH '$.slug' ERROR ON ERROR, \
       options_text VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.options_text' ERROR ON ERROR, \
       picture CHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$.picture' NULL ON EMPTY, \
       weight_grams BIGINT PATH '$.weight_grams' ERROR ON ERROR, quantity INT PATH '$.quantity' ERROR ON ERROR, \
       unit_amount BIGINT PATH '$.unit_amount' ERROR ON ERROR, discount BIGINT PATH '$.discount' ERROR ON ERROR, \
       tax_name VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.tax_name' ERROR ON ERROR, \
       tax_rate INT PATH '$.tax_rate' ERROR ON ERROR, tax BIGINT PATH '$.tax' ERROR ON ERROR, \
       total BIGINT PATH '$.total' ERROR ON ERROR)) j";

/// Most orders of what is in demand have one line, and then each order's share of the processors counts.
const LINE_INSERT: &str = "INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, slug, options_text, \
       picture, weight_grams, quantity, unit_amount, discount, tax_name, tax_rate, tax, total) \
     VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const DISCOUNT_INSERT: &str = "INSERT INTO order_discount (order_id, promotion_id, coupon_code, label, amount) VALUES (?, ?, ?, ?, ?)";
const DISCOUNTS: &str = "SELECT promotion_id, coupon_code, label, amount FROM order_discount WHERE order_id = ? ORDER BY promotion_id";

const LINES: &str = "SELECT id, position, variant_id, product_id, sku, name, slug, options_text, picture, weight_grams, quantity, \
       unit_amount, discount, tax_name, tax_rate, tax, total, cancelled, shipped, returned FROM order_line \
     WHERE order_id = ? ORDER BY position";

// held_until is what the expiry looks for: only a pending order has one.
const WRITE_STATES: &str = "UPDATE orders SET state = ?, payment_state = ?, fulfilment_state = ?, review_state = ?, \
       cancel_reason = ?, version = ?, placed_at = IF(?, NOW(6), placed_at), held_until = IF(?, NULL, held_until) \
     WHERE id = ?";
const FORGET_CART: &str = "UPDATE orders SET cart_id = NULL WHERE id = ?";
const SET_ADDRESS: &str =
    "UPDATE orders SET shipping_address = ?, billing_address = ?, version = ? WHERE id = ?";
const CANCEL_PIECES: &str = "UPDATE order_line SET cancelled = cancelled + ? WHERE id = ? AND order_id = ? \
     AND shipped + cancelled + ? <= quantity";
const TOUCH: &str = "UPDATE orders SET version = ? WHERE id = ?";

const EVENT_INSERT: &str = "INSERT INTO order_event (order_id, kind, from_state, to_state, actor, data, outbox_id) \
     VALUES (?, ?, ?, ?, ?, ?, ?)";
const EVENTS: &str = "SELECT kind, from_state, to_state, actor, data, created_at FROM order_event \
     WHERE order_id = ? ORDER BY id LIMIT 500";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("order_lock", LOCK),
    ("order_get", GET),
    ("order_by_number", BY_NUMBER),
    ("order_by_cart", BY_CART),
    ("order_of_customer", OF_CUSTOMER),
    ("order_list", LIST),
    ("order_insert", INSERT),
    ("order_lines_insert", LINES_INSERT),
    ("order_line_insert", LINE_INSERT),
    ("order_discount_insert", DISCOUNT_INSERT),
    ("order_discounts", DISCOUNTS),
    ("order_lines", LINES),
    ("order_write_states", WRITE_STATES),
    ("order_forget_cart", FORGET_CART),
    ("order_set_address", SET_ADDRESS),
    ("order_cancel_pieces", CANCEL_PIECES),
    ("order_touch", TOUCH),
    ("order_event_insert", EVENT_INSERT),
    ("order_events", EVENTS),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

/// How often another number is drawn when one is taken: at fifty random bits once is rare.
const DRAWS: u32 = 5;

#[derive(sqlx::FromRow)]
struct OrderRow {
    id: i64,
    number: String,
    cart_id: Option<i64>,
    customer_id: Option<i64>,
    customer_key: Vec<u8>,
    email: String,
    locale: String,
    currency: String,
    state: String,
    payment_state: String,
    fulfilment_state: String,
    review_state: String,
    cancel_reason: Option<String>,
    prices_include_tax: bool,
    subtotal: i64,
    discount: i64,
    shipping: i64,
    tax: i64,
    total: i64,
    shipping_method: Option<String>,
    shipping_name: String,
    shipping_address: Option<Json<Value>>,
    billing_address: Option<Json<Value>>,
    held_until: Option<OffsetDateTime>,
    version: i64,
    created_at: OffsetDateTime,
    placed_at: Option<OffsetDateTime>,
}

/// A value in the database that this release does not know.
fn unreadable(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the {what} of an order is not one that this release knows").into())
}

impl TryFrom<OrderRow> for Order {
    type Error = sqlx::Error;

    fn try_from(row: OrderRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            number: row
                .number
                .parse::<OrderNumber>()
                .map_err(|_| unreadable("number"))?,
            cart_id: row.cart_id,
            customer_id: row.customer_id,
            customer_key: <[u8; 32]>::try_from(row.customer_key.as_slice())
                .map_err(|_| unreadable("customer key"))?,
            email: row.email,
            locale: row.locale,
            currency: row.currency.parse().map_err(|_| unreadable("currency"))?,
            state: OrderState::from_word(&row.state).ok_or_else(|| unreadable("state"))?,
            payment_state: PaymentState::from_word(&row.payment_state)
                .ok_or_else(|| unreadable("payment state"))?,
            fulfilment_state: FulfilmentState::from_word(&row.fulfilment_state)
                .ok_or_else(|| unreadable("fulfilment state"))?,
            review_state: ReviewState::from_word(&row.review_state)
                .ok_or_else(|| unreadable("review state"))?,
            cancel_reason: row.cancel_reason,
            prices_include_tax: row.prices_include_tax,
            subtotal: row.subtotal,
            discount: row.discount,
            shipping: row.shipping,
            tax: row.tax,
            total: row.total,
            shipping_method: row.shipping_method,
            shipping_name: row.shipping_name,
            shipping_address: row.shipping_address.map(|Json(address)| address),
            billing_address: row.billing_address.map(|Json(address)| address),
            held_until: row.held_until,
            version: row.version,
            created_at: row.created_at,
            placed_at: row.placed_at,
        })
    }
}

/// Locks an order until the end of the transaction. Everyone locks the order first, then its payments, shipments, returns and
/// reservations, and stock last.
///
/// # Errors
/// What the database answers.
pub async fn lock(connection: &mut MySqlConnection, order_id: i64) -> Result<Option<Order>> {
    one(connection, LOCK, order_id).await
}

/// An order by its id.
///
/// # Errors
/// What the database answers.
pub async fn get(connection: &mut MySqlConnection, order_id: i64) -> Result<Option<Order>> {
    one(connection, GET, order_id).await
}

/// The order that a cart has.
///
/// # Errors
/// What the database answers.
pub async fn find_by_cart(connection: &mut MySqlConnection, cart_id: i64) -> Result<Option<Order>> {
    one(connection, BY_CART, cart_id).await
}

async fn one(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<Option<Order>> {
    let row: Option<OrderRow> = sqlx::query_as(statement)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(Order::try_from).transpose()
}

/// An order by its number.
///
/// # Errors
/// What the database answers.
pub async fn find_by_number(
    connection: &mut MySqlConnection,
    number: &OrderNumber,
) -> Result<Option<Order>> {
    let row: Option<OrderRow> = sqlx::query_as(BY_NUMBER)
        .bind(number.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(Order::try_from).transpose()
}

/// The placed orders of a customer before an id, the latest first.
///
/// # Errors
/// What the database answers.
pub async fn of_customer(
    connection: &mut MySqlConnection,
    customer_id: i64,
    before: i64,
    limit: u32,
) -> Result<Vec<Order>> {
    let rows: Vec<OrderRow> = sqlx::query_as(OF_CUSTOMER)
        .bind(customer_id)
        .bind(before)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(Order::try_from).collect()
}

/// Which orders are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only in this state.
    pub state: Option<OrderState>,
    /// Only with this payment state.
    pub payment_state: Option<PaymentState>,
    /// Only with this fulfilment state.
    pub fulfilment_state: Option<FulfilmentState>,
    /// Only with this review state.
    pub review_state: Option<ReviewState>,
    /// Only of this e-mail address.
    pub email: Option<String>,
}

/// The orders before an id, the latest first.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    filter: &OrderFilter,
    before: i64,
    limit: u32,
) -> Result<Vec<Order>> {
    let words = [
        filter.state.map(OrderState::as_str),
        filter.payment_state.map(PaymentState::as_str),
        filter.fulfilment_state.map(FulfilmentState::as_str),
        filter.review_state.map(ReviewState::as_str),
        filter.email.as_deref(),
    ];
    let mut query = sqlx::query_as(LIST).bind(before);
    for word in words {
        query = query.bind(word).bind(word);
    }
    let rows: Vec<OrderRow> = query.bind(limit).fetch_all(connection).await?;
    rows.into_iter().map(Order::try_from).collect()
}

/// Writes a draft order with its lines and discounts, under a number that no other order has. Answers its id and number.
///
/// # Errors
/// What the database answers: a violated `orders_cart` among it, when the cart has an order already.
pub async fn insert(
    connection: &mut MySqlConnection,
    order: &NewOrder,
) -> Result<(i64, OrderNumber)> {
    let mut draws = 0;
    let (id, number) = loop {
        draws += 1;
        let number = OrderNumber::random();
        match insert_as(connection, order, &number).await {
            Ok(id) => break (id, number),
            // Only the statement was undone: the transaction goes on.
            Err(error)
                if draws < DRAWS
                    && violated_constraint(&error).as_deref() == Some("orders_number") => {}
            Err(error) => return Err(error),
        }
    };
    insert_lines(connection, id, &order.lines).await?;
    for discount in &order.discounts {
        sqlx::query(DISCOUNT_INSERT)
            .bind(id)
            .bind(discount.promotion_id)
            .bind(&discount.coupon_code)
            .bind(&discount.label)
            .bind(discount.amount)
            .execute(&mut *connection)
            .await?;
    }
    Ok((id, number))
}

async fn insert_lines(
    connection: &mut MySqlConnection,
    order_id: i64,
    lines: &[NewLine],
) -> Result<()> {
    let statement = match lines {
        [line] => sqlx::query(LINE_INSERT)
            .bind(order_id)
            .bind(line.variant_id)
            .bind(line.product_id)
            .bind(&line.sku)
            .bind(&line.name)
            .bind(&line.slug)
            .bind(&line.options_text)
            .bind(&line.picture)
            .bind(line.weight_grams)
            .bind(line.quantity)
            .bind(line.unit_amount)
            .bind(line.discount)
            .bind(&line.tax_name)
            .bind(line.tax_rate)
            .bind(line.tax)
            .bind(line.total),
        lines => sqlx::query(LINES_INSERT)
            .bind(order_id)
            .bind(json_list(lines)?),
    };
    statement.execute(connection).await?;
    Ok(())
}

async fn insert_as(
    connection: &mut MySqlConnection,
    order: &NewOrder,
    number: &OrderNumber,
) -> Result<i64> {
    let done = sqlx::query(INSERT)
        .bind(number.as_str())
        .bind(order.cart_id)
        .bind(order.customer_id)
        .bind(order.customer_key.as_slice())
        .bind(&order.email)
        .bind(&order.locale)
        .bind(order.currency.as_str())
        .bind(order.prices_include_tax)
        .bind(order.subtotal)
        .bind(order.discount)
        .bind(order.shipping)
        .bind(order.tax)
        .bind(order.total)
        .bind(&order.shipping_method)
        .bind(&order.shipping_name)
        .bind(order.shipping_address.as_ref().map(Json))
        .bind(order.billing_address.as_ref().map(Json))
        .bind(order.ip_key.as_ref().map(<[u8; 32]>::as_slice))
        .bind(microseconds(order.hold))
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

#[derive(sqlx::FromRow)]
struct LineRow {
    id: i64,
    position: i32,
    variant_id: i64,
    product_id: i64,
    sku: String,
    name: String,
    slug: String,
    options_text: String,
    picture: Option<String>,
    weight_grams: i64,
    quantity: i32,
    unit_amount: i64,
    discount: i64,
    tax_name: String,
    tax_rate: i32,
    tax: i64,
    total: i64,
    cancelled: i32,
    shipped: i32,
    returned: i32,
}

/// The lines of an order, in order.
///
/// # Errors
/// What the database answers.
pub async fn lines(connection: &mut MySqlConnection, order_id: i64) -> Result<Vec<Line>> {
    let rows: Vec<LineRow> = sqlx::query_as(LINES)
        .bind(order_id)
        .fetch_all(connection)
        .await?;
    let line = |row: LineRow| Line {
        id: row.id,
        position: row.position,
        variant_id: row.variant_id,
        product_id: row.product_id,
        sku: row.sku,
        name: row.name,
        slug: row.slug,
        options_text: row.options_text,
        picture: row.picture,
        weight_grams: row.weight_grams,
        quantity: i64::from(row.quantity),
        unit_amount: row.unit_amount,
        discount: row.discount,
        tax_name: row.tax_name,
        tax_rate: i64::from(row.tax_rate),
        tax: row.tax,
        total: row.total,
        cancelled: i64::from(row.cancelled),
        shipped: i64::from(row.shipped),
        returned: i64::from(row.returned),
    };
    Ok(rows.into_iter().map(line).collect())
}

/// What promotions took off an order.
///
/// # Errors
/// What the database answers.
pub async fn discounts(connection: &mut MySqlConnection, order_id: i64) -> Result<Vec<Discount>> {
    let rows: Vec<(i64, String, String, i64)> = sqlx::query_as(DISCOUNTS)
        .bind(order_id)
        .fetch_all(connection)
        .await?;
    let discount = |(promotion_id, coupon_code, label, amount)| Discount {
        promotion_id,
        coupon_code,
        label,
        amount,
    };
    Ok(rows.into_iter().map(discount).collect())
}

/// Writes the states of an order as they are in `order`, whose row is locked.
pub(super) async fn write_states(
    connection: &mut MySqlConnection,
    order: &Order,
    transition: Transition,
) -> Result<()> {
    sqlx::query(WRITE_STATES)
        .bind(order.state.as_str())
        .bind(order.payment_state.as_str())
        .bind(order.fulfilment_state.as_str())
        .bind(order.review_state.as_str())
        .bind(&order.cancel_reason)
        .bind(order.version)
        .bind(transition == Transition::Place)
        .bind(order.state != OrderState::Pending)
        .bind(order.id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes the cart from an order that came to nothing, so that the cart may have another one.
///
/// # Errors
/// What the database answers.
pub async fn forget_cart(connection: &mut MySqlConnection, order: &mut Order) -> Result<()> {
    sqlx::query(FORGET_CART)
        .bind(order.id)
        .execute(connection)
        .await?;
    order.cart_id = None;
    Ok(())
}

/// Writes the addresses of an order as they are in `order`, and counts its version up.
///
/// # Errors
/// What the database answers.
pub async fn write_addresses(connection: &mut MySqlConnection, order: &mut Order) -> Result<()> {
    order.version += 1;
    sqlx::query(SET_ADDRESS)
        .bind(order.shipping_address.as_ref().map(Json))
        .bind(order.billing_address.as_ref().map(Json))
        .bind(order.version)
        .bind(order.id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts the version of an order up.
///
/// # Errors
/// What the database answers.
pub async fn touch(connection: &mut MySqlConnection, order: &mut Order) -> Result<()> {
    order.version += 1;
    sqlx::query(TOUCH)
        .bind(order.version)
        .bind(order.id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes pieces of a line out of the order. False when fewer are left to be sent.
///
/// # Errors
/// What the database answers.
pub async fn cancel_pieces(
    connection: &mut MySqlConnection,
    order_id: i64,
    line_id: i64,
    pieces: i64,
) -> Result<bool> {
    let done = sqlx::query(CANCEL_PIECES)
        .bind(pieces)
        .bind(line_id)
        .bind(order_id)
        .bind(pieces)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A row of history to be written.
#[derive(Debug)]
pub(super) struct NewEvent<'e> {
    pub(super) kind: &'static str,
    pub(super) from_state: Option<&'static str>,
    pub(super) to_state: Option<&'static str>,
    pub(super) actor: &'e str,
    pub(super) data: &'e Value,
    pub(super) outbox_id: Option<i64>,
}

pub(super) async fn event_insert(
    connection: &mut MySqlConnection,
    order_id: i64,
    event: &NewEvent<'_>,
) -> Result<()> {
    sqlx::query(EVENT_INSERT)
        .bind(order_id)
        .bind(event.kind)
        .bind(event.from_state)
        .bind(event.to_state)
        // The name of a token may be as long as the column, and has a word before it.
        .bind(event.actor.chars().take(190).collect::<String>())
        .bind(Json(event.data))
        .bind(event.outbox_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// A row of history.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct OrderEvent {
    /// What happened.
    pub kind: String,
    /// The state before.
    pub from_state: Option<String>,
    /// The state after.
    pub to_state: Option<String>,
    /// Who.
    pub actor: String,
    /// What more is to be said.
    pub data: Option<Json<Value>>,
    /// When.
    pub created_at: OffsetDateTime,
}

/// The history of an order, the first 500 rows of it.
///
/// # Errors
/// What the database answers.
pub async fn events(connection: &mut MySqlConnection, order_id: i64) -> Result<Vec<OrderEvent>> {
    sqlx::query_as(EVENTS)
        .bind(order_id)
        .fetch_all(connection)
        .await
}
