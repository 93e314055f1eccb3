//! The statements of messages that payment providers sent.

use std::time::Duration;

use sqlx::MySqlConnection;

use crate::outbox::store::{microseconds, shortened};

const INSERT: &str =
    "INSERT IGNORE INTO payment_event (provider, event_id, payload) VALUES (?, ?, ?)";
// Each attempt comes at twice the age of the one before.
const DUE: &str = "SELECT provider, event_id, payload, attempts FROM payment_event FORCE INDEX (payment_event_open) \
     WHERE processed_at IS NULL AND attempts < ? AND received_at <= NOW(6) - INTERVAL (? << attempts) MICROSECOND ORDER BY received_at LIMIT ?";
const DONE: &str = "UPDATE payment_event SET processed_at = NOW(6), attempts = attempts + 1, last_error = NULL \
     WHERE provider = ? AND event_id = ? AND processed_at IS NULL";
const FAILED: &str = "UPDATE payment_event SET attempts = attempts + 1, last_error = ? WHERE provider = ? AND event_id = ?";
const PRUNE: &str =
    "DELETE FROM payment_event WHERE processed_at < NOW(6) - INTERVAL ? MICROSECOND LIMIT ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("payment_event_insert", INSERT),
    ("payment_events_due", DUE),
    ("payment_event_done", DONE),
    ("payment_event_failed", FAILED),
    ("payment_event_prune", PRUNE),
];

/// Keeps a message of a provider. False when it is there already.
///
/// # Errors
/// What the database answers.
pub async fn insert(
    connection: &mut MySqlConnection,
    provider: &str,
    event_id: &str,
    payload: &[u8],
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(INSERT)
        .bind(provider)
        .bind(event_id)
        .bind(payload)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A message that waits to be processed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PaymentEvent {
    /// Who sent it.
    pub provider: String,
    /// Its id.
    pub event_id: String,
    /// Its bytes as they came.
    pub payload: Vec<u8>,
    /// How often it was tried.
    pub attempts: i32,
}

/// Messages that have waited for so long; for twice as long after each attempt.
///
/// # Errors
/// What the database answers.
pub async fn due(
    connection: &mut MySqlConnection,
    most_attempts: i32,
    waited: Duration,
    limit: u32,
) -> Result<Vec<PaymentEvent>, sqlx::Error> {
    sqlx::query_as(DUE)
        .bind(most_attempts)
        .bind(microseconds(waited))
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// Notes that a message was processed.
///
/// # Errors
/// What the database answers.
pub async fn done(
    connection: &mut MySqlConnection,
    provider: &str,
    event_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(DONE)
        .bind(provider)
        .bind(event_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes why a message could not be processed.
///
/// # Errors
/// What the database answers.
pub async fn failed(
    connection: &mut MySqlConnection,
    provider: &str,
    event_id: &str,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(FAILED)
        .bind(shortened(error))
        .bind(provider)
        .bind(event_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes messages that were processed so long ago, at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn prune(
    connection: &mut MySqlConnection,
    age: Duration,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(PRUNE)
        .bind(microseconds(age))
        .bind(limit)
        .execute(connection)
        .await?
        .rows_affected())
}
