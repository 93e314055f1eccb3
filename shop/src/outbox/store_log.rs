//! The statements of the invalidation log.

use std::time::Duration;

use sqlx::types::Json;
use sqlx::types::time::PrimitiveDateTime;
use sqlx::{Connection, MySqlConnection};

use super::dispatch::Entry;
use super::{ClaimId, store};
use crate::edge::tags::TagSet;

const SELECT_GTID: &str = "SELECT @@GLOBAL.gtid_executed";
const SELECT_CLOCK: &str = "SELECT sequence FROM invalidation_clock WHERE id = 1";
const SELECT_CLOCK_FOR_UPDATE: &str =
    "SELECT sequence FROM invalidation_clock WHERE id = 1 FOR UPDATE";
const UPDATE_CLOCK: &str = "UPDATE invalidation_clock SET sequence = ? WHERE id = 1";
const SELECT_OLDEST_OF_CLAIM: &str = "SELECT MIN(created_at) FROM outbox WHERE claim = ?";
const INSERT_INVALIDATION: &str =
    "INSERT INTO invalidation (sequence, gtid, tags, soft, changed_at) VALUES (?, ?, ?, ?, ?)";

// A target that never was purged whole needs no old rows. One that nobody has configured for a day is forgotten.
const SELECT_KEPT_FROM: &str = "SELECT COALESCE(MIN(LEAST(acknowledged, repeated)), 9223372036854775807) \
     FROM purge_target WHERE acknowledged IS NOT NULL AND seen_at >= NOW(6) - INTERVAL ? MICROSECOND";
const DELETE_OLD: &str = "DELETE FROM invalidation WHERE created_at < NOW(6) - INTERVAL ? MICROSECOND \
     AND (sequence <= ? OR created_at < NOW(6) - INTERVAL ? MICROSECOND) ORDER BY sequence LIMIT ?";
const DELETE_UNSEEN_TARGETS: &str =
    "DELETE FROM purge_target WHERE seen_at < NOW(6) - INTERVAL ? MICROSECOND LIMIT ?";

/// The newest sequence of the log.
pub(crate) async fn newest_sequence(connection: &mut MySqlConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(SELECT_CLOCK).fetch_one(connection).await
}

/// Appends the entries and deletes the claimed rows they came from, in one transaction. The lock of the clock's row is
/// held until the commit, so whoever sees a sequence sees all before it; and the GTID set is read under that lock, so the
/// set of a row contains the sets of all rows before it. `None` when the claim was lost to another worker.
pub(super) async fn append(
    connection: &mut MySqlConnection,
    claim: &ClaimId,
    entries: &[Entry],
) -> Result<Option<i64>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut sequence: i64 = sqlx::query_scalar(SELECT_CLOCK_FOR_UPDATE)
        .fetch_one(&mut *transaction)
        .await?;
    let changed_at: Option<PrimitiveDateTime> = sqlx::query_scalar(SELECT_OLDEST_OF_CLAIM)
        .bind(claim.as_str())
        .fetch_one(&mut *transaction)
        .await?;
    let Some(changed_at) = changed_at else {
        transaction.rollback().await?;
        return Ok(None);
    };
    let gtid: String = sqlx::query_scalar(SELECT_GTID)
        .fetch_one(&mut *transaction)
        .await?;
    let gtid: String = gtid.split_whitespace().collect();
    store::complete_claim(&mut transaction, claim).await?;
    for entry in entries {
        sequence += 1;
        sqlx::query(INSERT_INVALIDATION)
            .bind(sequence)
            .bind(&gtid)
            .bind(Json::<&TagSet>(&entry.tags))
            .bind(entry.kind == super::PurgeKind::Soft)
            .bind(changed_at)
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query(UPDATE_CLOCK)
        .bind(sequence)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(sequence))
}

/// Deletes one batch of log rows that nobody needs any more, and targets that nobody has configured for `keep`.
/// Says how many log rows went.
pub(super) async fn prune(
    connection: &mut MySqlConnection,
    keep: Duration,
    keep_at_most: Duration,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let (keep, keep_at_most) = (store::microseconds(keep), store::microseconds(keep_at_most));
    sqlx::query(DELETE_UNSEEN_TARGETS)
        .bind(keep)
        .bind(limit)
        .execute(&mut *connection)
        .await?;
    let kept_from: i64 = sqlx::query_scalar(SELECT_KEPT_FROM)
        .bind(keep)
        .fetch_one(&mut *connection)
        .await?;
    let done = sqlx::query(DELETE_OLD)
        .bind(keep)
        .bind(kept_from)
        .bind(keep_at_most)
        .bind(limit)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
