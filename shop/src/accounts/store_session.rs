//! The statements of customers' sessions.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::session::{IDLE, Session, Stage, TokenHash};
use crate::web::private::PublicId;
use crate::web::private::visitor::Customer;

const FIND: &str = "SELECT s.id, s.stage, s.seen_at, s.confirmed_at, \
     c.id AS customer_id, c.public_id, c.email, c.name, c.locale, c.verified_at IS NOT NULL AS verified \
     FROM customer_session s JOIN customer c ON c.id = s.customer_id \
     WHERE s.token_hash = ? AND s.revoked_at IS NULL AND s.expires_at > NOW(6) \
     AND s.seen_at > NOW(6) - INTERVAL ? SECOND AND c.erased_at IS NULL";

const MARK_SEEN: &str = "UPDATE customer_session SET seen_at = NOW(6) WHERE id = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[("session_find", FIND), ("session_mark_seen", MARK_SEEN)];

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
