//! The SQL of carts.
//!
//! Whoever changes a cart locks its row first ([`lock`]), so that lines and coupons need no locks of their own; they are read
//! anew behind that lock and never taken from what was read before it.

use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::model::{Cart, CartLine, CartState, Destination};
use crate::accounts::address::Address;
use crate::catalog::model::{Currency, Locale};
use crate::db::violated_constraint;
use crate::web::private::PublicId;

macro_rules! cart_columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, public_id, customer_id, state, currency, locale, email, destination, shipping_address, \
             billing_address, shipping_method, version, updated_at FROM cart ",
            $rest
        )
    };
}

const BY_PUBLIC_ID: &str = cart_columns!("WHERE public_id = ?");
const LOCK: &str = cart_columns!("WHERE public_id = ? FOR UPDATE");
const OPEN_FOR: &str = "SELECT public_id FROM cart WHERE open_for = ?";
const LINES: &str = "SELECT variant_id, quantity, seen_amount FROM cart_line WHERE cart_id = ? ORDER BY created_at, variant_id LIMIT 1000";
const LINES_LOCKED: &str = "SELECT variant_id, quantity, seen_amount FROM cart_line WHERE cart_id = ? \
     ORDER BY created_at, variant_id LIMIT 1000 FOR UPDATE";
const COUPONS: &str =
    "SELECT code FROM cart_coupon WHERE cart_id = ? ORDER BY created_at, code LIMIT 100";
const COUPONS_LOCKED: &str =
    "SELECT code FROM cart_coupon WHERE cart_id = ? ORDER BY created_at, code LIMIT 100 FOR UPDATE";
const PIECES: &str = "SELECT CAST(COALESCE(SUM(l.quantity), 0) AS SIGNED) FROM cart c JOIN cart_line l ON l.cart_id = c.id \
     WHERE c.public_id = ? AND c.state = 'open' AND (c.customer_id IS NULL OR c.customer_id = ?)";
const INSERT: &str =
    "INSERT INTO cart (public_id, customer_id, currency, locale, email) VALUES (?, ?, ?, ?, ?)";
const PUT_LINE: &str = "INSERT INTO cart_line (cart_id, variant_id, quantity, seen_amount) VALUES (?, ?, ?, ?) AS new \
     ON DUPLICATE KEY UPDATE quantity = new.quantity, seen_amount = new.seen_amount";
const REMOVE_LINE: &str = "DELETE FROM cart_line WHERE cart_id = ? AND variant_id = ?";
const SEEN: &str = "UPDATE cart_line SET seen_amount = ? WHERE cart_id = ? AND variant_id = ?";
const FORGET_SEEN: &str = "UPDATE cart_line SET seen_amount = NULL WHERE cart_id = ?";
const PUT_COUPON: &str = "INSERT IGNORE INTO cart_coupon (cart_id, code) VALUES (?, ?)";
const REMOVE_COUPON: &str = "DELETE FROM cart_coupon WHERE cart_id = ? AND code = ?";
const UPDATE: &str = "UPDATE cart SET customer_id = ?, state = ?, currency = ?, locale = ?, email = ?, destination = ?, \
     shipping_address = ?, billing_address = ?, shipping_method = ?, version = version + 1, updated_at = UTC_TIMESTAMP(6) \
     WHERE id = ? AND version = ?";
const VARIANT_OF_SKU: &str = "SELECT id FROM variant WHERE sku = ?";
const OLD_GUESTS: &str = "DELETE FROM cart WHERE state = 'open' AND updated_at < ? AND customer_id IS NULL \
     ORDER BY updated_at LIMIT ?";
const OLD_ENDED: &str =
    "DELETE FROM cart WHERE state = ? AND updated_at < ? ORDER BY updated_at LIMIT ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("cart_by_public_id", BY_PUBLIC_ID),
    ("cart_lock", LOCK),
    ("cart_open_for", OPEN_FOR),
    ("cart_lines", LINES),
    ("cart_lines_locked", LINES_LOCKED),
    ("cart_coupons", COUPONS),
    ("cart_coupons_locked", COUPONS_LOCKED),
    ("cart_pieces", PIECES),
    ("cart_insert", INSERT),
    ("cart_put_line", PUT_LINE),
    ("cart_remove_line", REMOVE_LINE),
    ("cart_seen", SEEN),
    ("cart_forget_seen", FORGET_SEEN),
    ("cart_put_coupon", PUT_COUPON),
    ("cart_remove_coupon", REMOVE_COUPON),
    ("cart_update", UPDATE),
    ("cart_variant_of_sku", VARIANT_OF_SKU),
    ("cart_old_guests", OLD_GUESTS),
    ("cart_old_ended", OLD_ENDED),
];

#[derive(Debug, sqlx::FromRow)]
struct CartRow {
    id: i64,
    public_id: String,
    customer_id: Option<i64>,
    state: String,
    currency: String,
    locale: String,
    email: Option<String>,
    destination: Option<Json<Destination>>,
    shipping_address: Option<Json<Address>>,
    billing_address: Option<Json<Address>>,
    shipping_method: Option<String>,
    version: i64,
    updated_at: OffsetDateTime,
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

impl CartRow {
    fn cart(
        self,
        lines: Vec<(i64, i32, Option<i64>)>,
        coupons: Vec<String>,
    ) -> Result<Cart, sqlx::Error> {
        Ok(Cart {
            id: self.id,
            public_id: self.public_id.parse().map_err(decode)?,
            customer_id: self.customer_id,
            state: CartState::from_word(&self.state)
                .ok_or_else(|| sqlx::Error::Decode("an unknown state of a cart".into()))?,
            currency: self.currency.parse().map_err(decode)?,
            locale: self.locale.parse().map_err(decode)?,
            email: self.email,
            destination: self.destination.map(|destination| destination.0),
            shipping_address: self.shipping_address.map(|address| address.0),
            billing_address: self.billing_address.map(|address| address.0),
            shipping_method: self.shipping_method,
            version: self.version,
            updated_at: self.updated_at,
            lines: lines
                .into_iter()
                .map(|(variant_id, quantity, seen_amount)| CartLine {
                    variant_id,
                    quantity,
                    seen_amount,
                })
                .collect(),
            coupons,
        })
    }
}

async fn load(
    connection: &mut MySqlConnection,
    id: &PublicId,
    (cart, lines, coupons): (&'static str, &'static str, &'static str),
) -> Result<Option<Cart>, sqlx::Error> {
    let row: Option<CartRow> = sqlx::query_as(cart)
        .bind(id.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let lines = sqlx::query_as(lines)
        .bind(row.id)
        .fetch_all(&mut *connection)
        .await?;
    let coupons = sqlx::query_scalar(coupons)
        .bind(row.id)
        .fetch_all(connection)
        .await?;
    row.cart(lines, coupons).map(Some)
}

/// A cart with its lines and coupons, to be looked at.
///
/// # Errors
/// Those of the database.
pub async fn find(
    connection: &mut MySqlConnection,
    id: &PublicId,
) -> Result<Option<Cart>, sqlx::Error> {
    load(connection, id, (BY_PUBLIC_ID, LINES, COUPONS)).await
}

/// A cart with its lines and coupons, locked until the transaction ends, as it is behind the lock.
///
/// # Errors
/// Those of the database.
pub async fn lock(
    connection: &mut MySqlConnection,
    id: &PublicId,
) -> Result<Option<Cart>, sqlx::Error> {
    load(connection, id, (LOCK, LINES_LOCKED, COUPONS_LOCKED)).await
}

/// The open cart of a customer.
///
/// # Errors
/// Those of the database.
pub async fn open_for(
    connection: &mut MySqlConnection,
    customer_id: i64,
) -> Result<Option<PublicId>, sqlx::Error> {
    let id: Option<String> = sqlx::query_scalar(OPEN_FOR)
        .bind(customer_id)
        .fetch_optional(connection)
        .await?;
    id.map(|id| id.parse().map_err(decode)).transpose()
}

/// How many pieces are in an open cart that a visitor may see; none in any other.
///
/// # Errors
/// Those of the database.
pub async fn pieces(
    connection: &mut MySqlConnection,
    id: &PublicId,
    customer_id: Option<i64>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(PIECES)
        .bind(id.as_str())
        .bind(customer_id)
        .fetch_one(connection)
        .await
}

/// A cart to be made.
#[derive(Debug, Clone)]
pub struct NewCart {
    /// Its name outside.
    pub public_id: PublicId,
    /// The customer that it belongs to.
    pub customer_id: Option<i64>,
    /// The currency of its prices.
    pub currency: Currency,
    /// The language of its names.
    pub locale: Locale,
    /// Where mails about the order go.
    pub email: Option<String>,
}

/// Makes a cart. False when the customer has an open one already.
///
/// # Errors
/// Those of the database.
pub async fn insert(connection: &mut MySqlConnection, cart: &NewCart) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(INSERT)
        .bind(cart.public_id.as_str())
        .bind(cart.customer_id)
        .bind(cart.currency.as_str())
        .bind(cart.locale.as_str())
        .bind(&cart.email)
        .execute(connection)
        .await;
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if violated_constraint(&error).as_deref() == Some("cart_open_for") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sets the quantity of a line, and the price that the shopper sees.
///
/// # Errors
/// Those of the database.
pub async fn put_line(
    connection: &mut MySqlConnection,
    cart_id: i64,
    line: &CartLine,
) -> Result<(), sqlx::Error> {
    sqlx::query(PUT_LINE)
        .bind(cart_id)
        .bind(line.variant_id)
        .bind(line.quantity)
        .bind(line.seen_amount)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a line.
///
/// # Errors
/// Those of the database.
pub async fn remove_line(
    connection: &mut MySqlConnection,
    cart_id: i64,
    variant_id: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(REMOVE_LINE)
        .bind(cart_id)
        .bind(variant_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes the price that the shopper has seen.
///
/// # Errors
/// Those of the database.
pub async fn seen(
    connection: &mut MySqlConnection,
    cart_id: i64,
    variant_id: i64,
    amount: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(SEEN)
        .bind(amount)
        .bind(cart_id)
        .bind(variant_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets the prices that were seen: they were in another currency.
///
/// # Errors
/// Those of the database.
pub async fn forget_seen(
    connection: &mut MySqlConnection,
    cart_id: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET_SEEN)
        .bind(cart_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts a coupon into a cart. Again has no effect.
///
/// # Errors
/// Those of the database.
pub async fn put_coupon(
    connection: &mut MySqlConnection,
    cart_id: i64,
    code: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(PUT_COUPON)
        .bind(cart_id)
        .bind(code)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a coupon out of a cart. Again has no effect.
///
/// # Errors
/// Those of the database.
pub async fn remove_coupon(
    connection: &mut MySqlConnection,
    cart_id: i64,
    code: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(REMOVE_COUPON)
        .bind(cart_id)
        .bind(code)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes what a cart is, apart from its lines and coupons, and counts its version up. False when it has another version, or when
/// its customer has another open cart.
///
/// # Errors
/// Those of the database.
pub async fn update(connection: &mut MySqlConnection, cart: &Cart) -> Result<bool, sqlx::Error> {
    let Cart {
        id,
        public_id: _,
        customer_id,
        state,
        currency,
        locale,
        email,
        destination,
        shipping_address,
        billing_address,
        shipping_method,
        version,
        updated_at: _,
        lines: _,
        coupons: _,
    } = cart;
    let updated = sqlx::query(UPDATE)
        .bind(customer_id)
        .bind(state.as_str())
        .bind(currency.as_str())
        .bind(locale.as_str())
        .bind(email)
        .bind(destination.as_ref().map(Json))
        .bind(shipping_address.as_ref().map(Json))
        .bind(billing_address.as_ref().map(Json))
        .bind(shipping_method)
        .bind(id)
        .bind(version)
        .execute(connection)
        .await;
    match updated {
        Ok(done) => Ok(done.rows_affected() == 1),
        Err(error) if violated_constraint(&error).as_deref() == Some("cart_open_for") => Ok(false),
        Err(error) => Err(error),
    }
}

/// The variant of a SKU.
///
/// # Errors
/// Those of the database.
pub async fn variant_of_sku(
    connection: &mut MySqlConnection,
    sku: &str,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(VARIANT_OF_SKU)
        .bind(sku)
        .fetch_optional(connection)
        .await
}

/// Deletes carts of guests that nobody has touched since `before`, at most `most`. Tells how many.
///
/// # Errors
/// Those of the database.
pub async fn delete_old_guests(
    connection: &mut MySqlConnection,
    before: OffsetDateTime,
    most: u32,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(OLD_GUESTS)
        .bind(before)
        .bind(most)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected())
}

/// Deletes carts in a state that none leaves and that nobody has touched since `before`, at most `most`. Tells how many.
///
/// # Errors
/// Those of the database.
pub async fn delete_old(
    connection: &mut MySqlConnection,
    state: CartState,
    before: OffsetDateTime,
    most: u32,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(OLD_ENDED)
        .bind(state.as_str())
        .bind(before)
        .bind(most)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected())
}
