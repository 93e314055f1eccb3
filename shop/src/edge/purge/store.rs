//! The statements of the deliveries: cursors, and the log as they read it.

use std::time::Duration;

use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::plan::{Cursors, LogRow};
use crate::edge::tags::TagSet;
use crate::outbox::store::{microseconds, shortened};
use crate::outbox::{ClaimId, PurgeKind};

const INSERT_TARGET: &str = "INSERT INTO purge_target (name) VALUES (?) \
     ON DUPLICATE KEY UPDATE seen_at = NOW(6)";

const UPDATE_HOLDER: &str = "UPDATE purge_target SET holder = ?, held_until = NOW(6) + INTERVAL ? MICROSECOND \
     WHERE name = ? AND (holder IS NULL OR holder = ? OR held_until < NOW(6) \
       OR EXISTS (SELECT 1 FROM invalidation WHERE sequence > COALESCE(acknowledged, 0) \
         AND created_at < NOW(6) - INTERVAL ? MICROSECOND))";

const SELECT_WAITING: &str = "SELECT EXISTS(SELECT 1 FROM purge_target t JOIN invalidation i \
     ON i.sequence > COALESCE(t.acknowledged, 0) WHERE t.name = ?)";

const SELECT_CURSORS: &str =
    "SELECT acknowledged, repeated FROM purge_target WHERE name = ? AND holder = ?";

const SELECT_ROWS: &str = "SELECT sequence, tags, soft, created_at <= NOW(6) - INTERVAL ? MICROSECOND \
     FROM invalidation WHERE sequence > ? ORDER BY sequence LIMIT ?";

// The last sequence that had settled: where the second cursor of an edge starts after a whole purge.
const SELECT_SETTLED: &str = "SELECT COALESCE((SELECT MIN(sequence) - 1 FROM invalidation \
     WHERE created_at > NOW(6) - INTERVAL ? MICROSECOND), ?)";

const SELECT_ANY_HARD: &str =
    "SELECT EXISTS(SELECT 1 FROM invalidation WHERE sequence > ? AND sequence <= ? AND NOT soft)";

// The holder alone writes, and a cursor can be set back: the log may have been restored from a backup.
const UPDATE_ACKNOWLEDGED: &str = "UPDATE purge_target \
     SET acknowledged = ?, repeated = ?, failures = 0, last_error = NULL, seen_at = NOW(6) \
     WHERE name = ? AND holder = ?";

const UPDATE_FAILED: &str = "UPDATE purge_target SET failures = failures + 1, last_error = ?, seen_at = NOW(6) \
     WHERE name = ? AND holder = ?";

const UPDATE_RELEASED: &str =
    "UPDATE purge_target SET holder = NULL, held_until = NULL WHERE name = ? AND holder = ?";

/// Marks the target as configured and takes or renews the right to talk to it. `None` when another worker has it, and has
/// left nothing waiting for longer than `patience`: one that has died, or hangs, is not waited for to the end of its lease.
pub(super) async fn hold(
    connection: &mut MySqlConnection,
    name: &str,
    holder: &ClaimId,
    lease: Duration,
    patience: Duration,
) -> Result<Option<Cursors>, sqlx::Error> {
    sqlx::query(INSERT_TARGET)
        .bind(name)
        .execute(&mut *connection)
        .await?;
    sqlx::query(UPDATE_HOLDER)
        .bind(holder.as_str())
        .bind(microseconds(lease))
        .bind(name)
        .bind(holder.as_str())
        .bind(microseconds(patience))
        .execute(&mut *connection)
        .await?;
    let row: Option<(Option<i64>, i64)> = sqlx::query_as(SELECT_CURSORS)
        .bind(name)
        .bind(holder.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(acknowledged, repeated)| Cursors {
        acknowledged,
        repeated,
    }))
}

/// Whether the target has not acknowledged all of the log.
pub(super) async fn is_waiting(
    connection: &mut MySqlConnection,
    name: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(SELECT_WAITING)
        .bind(name)
        .fetch_one(connection)
        .await
}

/// Gives the target back, for another worker to take at once.
pub(super) async fn release(
    connection: &mut MySqlConnection,
    name: &str,
    holder: &ClaimId,
) -> Result<(), sqlx::Error> {
    sqlx::query(UPDATE_RELEASED)
        .bind(name)
        .bind(holder.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// The rows after `after`, in order, at most `limit`. Rows written before `settle` ago count as settled.
pub(super) async fn log_rows(
    connection: &mut MySqlConnection,
    after: i64,
    settle: Duration,
    limit: u32,
) -> Result<Vec<LogRow>, sqlx::Error> {
    let rows: Vec<(i64, Json<TagSet>, bool, bool)> = sqlx::query_as(SELECT_ROWS)
        .bind(microseconds(settle))
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(sequence, Json(tags), soft, settled)| LogRow {
            sequence,
            tags,
            kind: if soft {
                PurgeKind::Soft
            } else {
                PurgeKind::Hard
            },
            settled,
        })
        .collect())
}

/// The newest sequence that has settled, or `otherwise` when nothing in the log is younger.
pub(super) async fn settled_sequence(
    connection: &mut MySqlConnection,
    settle: Duration,
    otherwise: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(SELECT_SETTLED)
        .bind(microseconds(settle))
        .bind(otherwise)
        .fetch_one(connection)
        .await
}

/// Whether the log asks for a hard purge between two sequences, the first excluded.
pub(super) async fn any_hard(
    connection: &mut MySqlConnection,
    after: i64,
    upto: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(SELECT_ANY_HARD)
        .bind(after)
        .bind(upto)
        .fetch_one(connection)
        .await
}

/// Moves the cursors. False when another worker holds the target by now.
pub(super) async fn acknowledge(
    connection: &mut MySqlConnection,
    name: &str,
    holder: &ClaimId,
    acknowledged: i64,
    repeated: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(UPDATE_ACKNOWLEDGED)
        .bind(acknowledged)
        .bind(repeated)
        .bind(name)
        .bind(holder.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down why the target did not acknowledge.
pub(super) async fn failed(
    connection: &mut MySqlConnection,
    name: &str,
    holder: &ClaimId,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(UPDATE_FAILED)
        .bind(shortened(error))
        .bind(name)
        .bind(holder.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
