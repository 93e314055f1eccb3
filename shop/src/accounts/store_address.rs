//! The statements of address books.

use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::address::Address;

const LIST: &str = "SELECT id, address, is_default FROM customer_address WHERE customer_id = ? ORDER BY is_default DESC, id LIMIT 50";
const LOCK_ALL: &str = "SELECT id FROM customer_address WHERE customer_id = ? FOR UPDATE";
const INSERT: &str =
    "INSERT INTO customer_address (customer_id, address, is_default) VALUES (?, ?, ?)";
const UPDATE: &str =
    "UPDATE customer_address SET address = ?, is_default = ? WHERE id = ? AND customer_id = ?";
const CLEAR_DEFAULT: &str =
    "UPDATE customer_address SET is_default = FALSE WHERE customer_id = ? AND is_default";
const DELETE: &str = "DELETE FROM customer_address WHERE id = ? AND customer_id = ?";
const DELETE_ALL: &str = "DELETE FROM customer_address WHERE customer_id = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("address_list", LIST),
    ("address_lock_all", LOCK_ALL),
    ("address_insert", INSERT),
    ("address_update", UPDATE),
    ("address_clear_default", CLEAR_DEFAULT),
    ("address_delete", DELETE),
    ("address_delete_all", DELETE_ALL),
];

/// Most addresses of a customer.
pub const MOST: usize = 50;

/// An address of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The row.
    pub id: i64,
    /// The address.
    pub address: Address,
    /// Whether it is offered first.
    pub is_default: bool,
}

/// The addresses of a customer, the default one first.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    customer: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let rows: Vec<(i64, Json<Address>, bool)> = sqlx::query_as(LIST)
        .bind(customer)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, Json(address), is_default)| Entry {
            id,
            address,
            is_default,
        })
        .collect())
}

/// How many addresses a customer has; nobody adds one until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn lock_all(
    connection: &mut MySqlConnection,
    customer: i64,
) -> Result<usize, sqlx::Error> {
    let ids: Vec<i64> = sqlx::query_scalar(LOCK_ALL)
        .bind(customer)
        .fetch_all(connection)
        .await?;
    Ok(ids.len())
}

/// Adds an address and returns its row. A default takes that from the others.
///
/// # Errors
/// What the database answers.
pub async fn insert(
    connection: &mut MySqlConnection,
    customer: i64,
    address: &Address,
    is_default: bool,
) -> Result<i64, sqlx::Error> {
    if is_default {
        sqlx::query(CLEAR_DEFAULT)
            .bind(customer)
            .execute(&mut *connection)
            .await?;
    }
    let done = sqlx::query(INSERT)
        .bind(customer)
        .bind(Json(address))
        .bind(is_default)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Changes an address. False when the customer has none such.
///
/// # Errors
/// What the database answers.
pub async fn update(
    connection: &mut MySqlConnection,
    customer: i64,
    entry: &Entry,
) -> Result<bool, sqlx::Error> {
    if entry.is_default {
        sqlx::query(CLEAR_DEFAULT)
            .bind(customer)
            .execute(&mut *connection)
            .await?;
    }
    let done = sqlx::query(UPDATE)
        .bind(Json(&entry.address))
        .bind(entry.is_default)
        .bind(entry.id)
        .bind(customer)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes an address. False when the customer has none such.
///
/// # Errors
/// What the database answers.
pub async fn delete(
    connection: &mut MySqlConnection,
    customer: i64,
    id: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(DELETE)
        .bind(id)
        .bind(customer)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes all addresses of a customer.
///
/// # Errors
/// What the database answers.
pub async fn delete_all(
    connection: &mut MySqlConnection,
    customer: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(DELETE_ALL)
        .bind(customer)
        .execute(connection)
        .await?;
    Ok(())
}
