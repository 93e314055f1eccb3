//! The statements of dead letters.

use sqlx::MySqlConnection;

use super::dead::{DeadLetter, MOST_REPLAYED};

const LIST: &str = "SELECT id, topic, aggregate, COALESCE(payload->>'$.kind', payload->>'$.template', payload->>'$.event') AS subject, \
            attempts, last_error, created_at, dead_at \
     FROM outbox FORCE INDEX (PRIMARY) WHERE id < ? AND dead_at IS NOT NULL ORDER BY id DESC LIMIT ?";
const LIST_TOPIC: &str = "SELECT id, topic, aggregate, COALESCE(payload->>'$.kind', payload->>'$.template', payload->>'$.event') AS subject, \
            attempts, last_error, created_at, dead_at \
     FROM outbox FORCE INDEX (outbox_due) WHERE topic = ? AND dead_at IS NOT NULL AND id < ? ORDER BY id DESC LIMIT ?";
const FIND: &str = "SELECT id, topic, aggregate, COALESCE(payload->>'$.kind', payload->>'$.template', payload->>'$.event') AS subject, \
            attempts, last_error, created_at, dead_at \
     FROM outbox WHERE id = ? AND dead_at IS NOT NULL FOR UPDATE";
const REPLAY: &str = "UPDATE outbox SET dead_at = NULL, attempts = 0, claim = NULL, available_at = NOW(6) \
     WHERE id = ? AND dead_at IS NOT NULL";
const REPLAY_TOPIC: &str = "UPDATE outbox SET dead_at = NULL, attempts = 0, claim = NULL, available_at = NOW(6) \
     WHERE topic = ? AND dead_at IS NOT NULL ORDER BY id LIMIT ?";
const DISCARD: &str = "DELETE FROM outbox WHERE id = ? AND dead_at IS NOT NULL";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("dead_list", LIST),
    ("dead_list_topic", LIST_TOPIC),
    ("dead_find", FIND),
    ("dead_replay", REPLAY),
    ("dead_replay_topic", REPLAY_TOPIC),
    ("dead_discard", DISCARD),
];

/// Dead letters before a number, the latest first; of one topic, or of all.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    topic: Option<&str>,
    before: i64,
    limit: u32,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    match topic {
        None => sqlx::query_as(LIST).bind(before),
        Some(topic) => sqlx::query_as(LIST_TOPIC)
            .bind(topic.to_owned())
            .bind(before),
    }
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// One dead letter, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn find(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<DeadLetter>, sqlx::Error> {
    sqlx::query_as(FIND)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// Makes a dead letter due again, with all its attempts. False when there is no such.
///
/// # Errors
/// What the database answers.
pub async fn replay(connection: &mut MySqlConnection, id: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(REPLAY).bind(id).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Makes the oldest dead letters of a topic due again, at most [`MOST_REPLAYED`], and says how many they were.
///
/// # Errors
/// What the database answers.
pub async fn replay_topic(
    connection: &mut MySqlConnection,
    topic: &str,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(REPLAY_TOPIC)
        .bind(topic)
        .bind(MOST_REPLAYED)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Deletes a dead letter. False when there is no such.
///
/// # Errors
/// What the database answers.
pub async fn discard(connection: &mut MySqlConnection, id: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(DISCARD).bind(id).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}
