//! The statements of links that were mailed.

use sqlx::MySqlConnection;
use time::Duration;

use super::session::TokenHash;

const INSERT: &str = "INSERT INTO customer_link (token_hash, customer_id, purpose, email, email_key, expires_at) \
     VALUES (?, ?, ?, ?, ?, NOW(6) + INTERVAL ? SECOND)";
const FIND: &str = "SELECT customer_id, purpose, email, email_key FROM customer_link \
     WHERE token_hash = ? AND used_at IS NULL AND expires_at > NOW(6)";
// Decided by the row count: of two requests with one link, one is refused.
const USE: &str = "UPDATE customer_link SET used_at = NOW(6) WHERE token_hash = ? AND used_at IS NULL AND expires_at > NOW(6)";
const VOID: &str = "UPDATE customer_link SET used_at = NOW(6) WHERE customer_id = ? AND purpose = ? AND used_at IS NULL";
const VOID_ALL: &str =
    "UPDATE customer_link SET used_at = NOW(6) WHERE customer_id = ? AND used_at IS NULL";
const DELETE_OLD: &str = "DELETE FROM customer_link WHERE expires_at < NOW(6) - INTERVAL 7 DAY ORDER BY expires_at LIMIT 1000";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("link_insert", INSERT),
    ("link_find", FIND),
    ("link_use", USE),
    ("link_void", VOID),
    ("link_void_all", VOID_ALL),
    ("link_delete_old", DELETE_OLD),
];

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To verify the address that an account was registered with.
    Verify,
    /// To choose a new password.
    Reset,
    /// To move an account to another address.
    Email,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Email => "email",
        }
    }

    /// How long a link works.
    #[must_use]
    pub const fn life(self) -> Duration {
        match self {
            Self::Verify => Duration::days(2),
            Self::Reset => Duration::hours(1),
            Self::Email => Duration::hours(4),
        }
    }
}

/// A link that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Whose it is.
    pub customer_id: i64,
    /// What it is for.
    pub purpose: Purpose,
    /// The address that it was mailed to, as it was typed.
    pub email: String,
    /// The form by which addresses are the same.
    pub email_key: String,
}

/// Adds a link.
///
/// # Errors
/// What the database answers.
pub async fn insert(
    connection: &mut MySqlConnection,
    hash: &TokenHash,
    link: &Link,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(hash.as_str())
        .bind(link.customer_id)
        .bind(link.purpose.word())
        .bind(&link.email)
        .bind(&link.email_key)
        .bind(link.purpose.life().whole_seconds())
        .execute(connection)
        .await?;
    Ok(())
}

/// The link with this token, if it works.
///
/// # Errors
/// What the database answers.
pub async fn find(
    connection: &mut MySqlConnection,
    hash: &TokenHash,
) -> Result<Option<Link>, sqlx::Error> {
    let row: Option<(i64, String, String, String)> = sqlx::query_as(FIND)
        .bind(hash.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(customer_id, purpose, email, email_key)| Link {
        customer_id,
        purpose: match purpose.as_str() {
            "reset" => Purpose::Reset,
            "email" => Purpose::Email,
            _ => Purpose::Verify,
        },
        email,
        email_key,
    }))
}

/// Uses a link. False when it was used before, or is too old.
///
/// # Errors
/// What the database answers.
pub async fn take(connection: &mut MySqlConnection, hash: &TokenHash) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(USE)
        .bind(hash.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Makes all links of a customer for one purpose, or for any, worthless.
///
/// # Errors
/// What the database answers.
pub async fn void(
    connection: &mut MySqlConnection,
    customer_id: i64,
    purpose: Option<Purpose>,
) -> Result<(), sqlx::Error> {
    match purpose {
        Some(purpose) => sqlx::query(VOID).bind(customer_id).bind(purpose.word()),
        None => sqlx::query(VOID_ALL).bind(customer_id),
    }
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes links that are long worthless, up to a thousand, and says how many.
///
/// # Errors
/// What the database answers.
pub async fn delete_old(connection: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(DELETE_OLD)
        .execute(connection)
        .await?
        .rows_affected())
}
