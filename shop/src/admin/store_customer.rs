//! The statements of customers as staff see them.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::route_customer::CustomerItem;
use crate::web::private::PublicId;

/// Columns of a row.
macro_rules! customer {
    ($rest:literal) => {
        concat!(
            "SELECT id, public_id, email, name, locale, verified_at IS NOT NULL AS verified, totp_enabled_at IS NOT NULL AS second_factor, ",
            "disabled_at IS NOT NULL AS disabled, erased_at IS NOT NULL AS erased, created_at FROM customer WHERE ",
            $rest
        )
    };
}

const LIST: &str = customer!("id < ? ORDER BY id DESC LIMIT ?");
const LIST_BY_EMAIL: &str = customer!("id < ? AND email_key = ? ORDER BY id DESC LIMIT ?");
const GET: &str = customer!("public_id = ?");
const LOCK: &str = customer!("public_id = ? FOR UPDATE");
const SET_DISABLED: &str =
    "UPDATE customer SET disabled_at = IF(?, NOW(6), NULL), version = version + 1 WHERE id = ?";
const END_SESSIONS: &str =
    "UPDATE customer_session SET revoked_at = NOW(6) WHERE customer_id = ? AND revoked_at IS NULL";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_customer_list", LIST),
    ("staff_customer_list_by_email", LIST_BY_EMAIL),
    ("staff_customer_get", GET),
    ("staff_customer_lock", LOCK),
    ("staff_customer_set_disabled", SET_DISABLED),
    ("staff_customer_end_sessions", END_SESSIONS),
];

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    public_id: PublicId,
    email: String,
    name: String,
    locale: String,
    verified: bool,
    second_factor: bool,
    disabled: bool,
    erased: bool,
    created_at: OffsetDateTime,
}

impl From<Row> for (i64, CustomerItem) {
    fn from(row: Row) -> Self {
        let item = CustomerItem {
            id: row.public_id,
            email: row.email,
            name: row.name,
            locale: row.locale,
            verified: row.verified,
            second_factor: row.second_factor,
            disabled: row.disabled,
            erased: row.erased,
            created_at: row.created_at,
        };
        (row.id, item)
    }
}

/// The customers before a row, the latest first; only that of an address, if one is given.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    email_key: Option<&str>,
    before: i64,
    limit: u32,
) -> Result<Vec<(i64, CustomerItem)>, sqlx::Error> {
    let rows: Vec<Row> = match email_key {
        Some(key) => sqlx::query_as(LIST_BY_EMAIL).bind(before).bind(key),
        None => sqlx::query_as(LIST).bind(before),
    }
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// A customer, and their row.
///
/// # Errors
/// What the database answers.
pub async fn get(
    connection: &mut MySqlConnection,
    id: PublicId,
) -> Result<Option<(i64, CustomerItem)>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(GET)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Into::into))
}

/// A customer, and their row, locked until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn lock(
    connection: &mut MySqlConnection,
    id: PublicId,
) -> Result<Option<(i64, CustomerItem)>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(LOCK)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Into::into))
}

/// Closes or opens an account. A closed one has no sessions.
///
/// # Errors
/// What the database answers.
pub async fn set_disabled(
    connection: &mut MySqlConnection,
    id: i64,
    disabled: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query(SET_DISABLED)
        .bind(disabled)
        .bind(id)
        .execute(&mut *connection)
        .await?;
    if disabled {
        sqlx::query(END_SESSIONS)
            .bind(id)
            .execute(connection)
            .await?;
    }
    Ok(())
}
