//! The statements of customers' sessions.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::session::{IDLE, LONGEST, SECOND_FACTOR, Session, Stage, TokenHash};
use crate::web::private::PublicId;
use crate::web::private::visitor::Customer;

const FIND: &str = "SELECT s.id, s.stage, s.seen_at, s.confirmed_at, \
     c.id AS customer_id, c.public_id, c.email, c.name, c.locale, c.verified_at IS NOT NULL AS verified \
     FROM customer_session s JOIN customer c ON c.id = s.customer_id \
     WHERE s.token_hash = ? AND s.revoked_at IS NULL AND s.expires_at > NOW(6) \
     AND s.seen_at > NOW(6) - INTERVAL ? SECOND AND c.erased_at IS NULL AND c.disabled_at IS NULL";

const MARK_SEEN: &str = "UPDATE customer_session SET seen_at = NOW(6) WHERE id = ?";
const INSERT: &str = "INSERT INTO customer_session (token_hash, customer_id, stage, user_agent, expires_at) \
     VALUES (?, ?, ?, ?, NOW(6) + INTERVAL ? SECOND)";
const REVOKE: &str = "UPDATE customer_session SET revoked_at = NOW(6) WHERE id = ? AND customer_id = ? AND revoked_at IS NULL";
const REVOKE_OTHERS: &str = "UPDATE customer_session SET revoked_at = NOW(6) WHERE customer_id = ? AND id <> ? AND revoked_at IS NULL";
// A customer has some devices; who opens sessions in a loop ends the oldest.
const REVOKE_OLDEST: &str = "UPDATE customer_session SET revoked_at = NOW(6) \
     WHERE customer_id = ? AND revoked_at IS NULL AND id <= \
     (SELECT id FROM (SELECT id FROM customer_session WHERE customer_id = ? AND revoked_at IS NULL ORDER BY id DESC LIMIT 1 OFFSET 20) AS oldest)";
const LIST: &str = "SELECT id, user_agent, created_at, seen_at FROM customer_session \
     WHERE customer_id = ? AND stage = 'full' AND revoked_at IS NULL AND expires_at > NOW(6) \
     AND seen_at > NOW(6) - INTERVAL ? SECOND ORDER BY seen_at DESC, id DESC LIMIT 50";
const DELETE_OLD: &str = "DELETE FROM customer_session WHERE expires_at < NOW(6) - INTERVAL 7 DAY ORDER BY expires_at LIMIT 1000";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("session_find", FIND),
    ("session_mark_seen", MARK_SEEN),
    ("session_insert", INSERT),
    ("session_revoke", REVOKE),
    ("session_revoke_others", REVOKE_OTHERS),
    ("session_revoke_oldest", REVOKE_OLDEST),
    ("session_list", LIST),
    ("session_delete_old", DELETE_OLD),
];

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    stage: String,
    seen_at: OffsetDateTime,
    confirmed_at: OffsetDateTime,
    customer_id: i64,
    public_id: PublicId,
    email: String,
    name: String,
    locale: String,
    verified: bool,
}

/// The session with this token, if it works.
///
/// # Errors
/// What the database answers.
pub async fn find(
    connection: &mut MySqlConnection,
    hash: &TokenHash,
) -> Result<Option<Session>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(FIND)
        .bind(hash.as_str())
        .bind(IDLE.whole_seconds())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| Session {
        id: row.id,
        customer: Customer {
            id: row.customer_id,
            public_id: row.public_id,
            email: row.email,
            name: row.name,
            locale: row.locale,
            verified: row.verified,
        },
        stage: if row.stage == "full" {
            Stage::Full
        } else {
            Stage::SecondFactor
        },
        seen_at: row.seen_at,
        confirmed_at: row.confirmed_at,
    }))
}

/// Notes that a session is used now.
///
/// # Errors
/// What the database answers.
pub async fn mark_seen(connection: &mut MySqlConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(MARK_SEEN).bind(id).execute(connection).await?;
    Ok(())
}

/// Adds a session. The oldest ends where there are more than twenty.
///
/// # Errors
/// What the database answers.
pub async fn insert(
    connection: &mut MySqlConnection,
    hash: &TokenHash,
    customer: i64,
    stage: Stage,
    user_agent: &str,
) -> Result<(), sqlx::Error> {
    let (word, life) = match stage {
        Stage::Full => ("full", LONGEST),
        Stage::SecondFactor => ("totp", SECOND_FACTOR),
    };
    sqlx::query(INSERT)
        .bind(hash.as_str())
        .bind(customer)
        .bind(word)
        .bind(user_agent)
        .bind(life.whole_seconds())
        .execute(&mut *connection)
        .await?;
    sqlx::query(REVOKE_OLDEST)
        .bind(customer)
        .bind(customer)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a session. False when the customer has none such.
///
/// # Errors
/// What the database answers.
pub async fn revoke(
    connection: &mut MySqlConnection,
    customer: i64,
    id: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(REVOKE)
        .bind(id)
        .bind(customer)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends all sessions of a customer but one, or all of them where the one is 0.
///
/// # Errors
/// What the database answers.
pub async fn revoke_others(
    connection: &mut MySqlConnection,
    customer: i64,
    except: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(REVOKE_OTHERS)
        .bind(customer)
        .bind(except)
        .execute(connection)
        .await?;
    Ok(())
}

/// A session as its customer sees it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Listed {
    /// The row.
    pub id: i64,
    /// The program that it was opened with.
    pub user_agent: String,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it was last marked as used.
    pub seen_at: OffsetDateTime,
}

/// The sessions of a customer that work, the latest used first.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    customer: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as(LIST)
        .bind(customer)
        .bind(IDLE.whole_seconds())
        .fetch_all(connection)
        .await
}

/// Deletes sessions that ended long ago, up to a thousand, and says how many.
///
/// # Errors
/// What the database answers.
pub async fn delete_old(connection: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(DELETE_OLD)
        .execute(connection)
        .await?
        .rows_affected())
}
