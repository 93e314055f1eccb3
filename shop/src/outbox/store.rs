//! The statements of the outbox.

use std::time::Duration;

use sqlx::types::Json;
use sqlx::{Connection, MySqlConnection};

use super::{ClaimId, Topic};

const INSERT: &str = "INSERT INTO outbox (topic, aggregate, payload) VALUES (?, ?, ?)";

// Under REPEATABLE READ the select below would also lock the gaps, and so every insert of the topic.
const READ_COMMITTED: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";

// The index of each locking statement is forced: on a small table the optimizer prefers a scan, and that waits for the
// uncommitted rows of everybody else.
const SELECT_DUE: &str = "SELECT id FROM outbox FORCE INDEX (outbox_due) \
     WHERE topic = ? AND dead_at IS NULL AND available_at <= NOW(6) \
     ORDER BY available_at, id LIMIT ? FOR UPDATE SKIP LOCKED";

// The first row of its aggregate that is neither done nor given up. Reads of `earlier` are of the moment when the statement
// began, those of `due` are current: a row that was committed in between can hide one before it. Hence the second look.
const SELECT_DUE_IN_ORDER: &str = "SELECT due.id FROM outbox AS due FORCE INDEX (outbox_due) \
     WHERE due.topic = ? AND due.dead_at IS NULL AND due.available_at <= NOW(6) \
       AND NOT EXISTS (SELECT 1 FROM outbox AS earlier FORCE INDEX (outbox_aggregate) \
         WHERE earlier.topic = due.topic AND earlier.aggregate = due.aggregate AND earlier.id < due.id AND earlier.dead_at IS NULL) \
     ORDER BY due.available_at, due.id LIMIT ? FOR UPDATE OF due SKIP LOCKED";
const SELECT_STILL_FIRST: &str = "SELECT due.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS chosen \
     STRAIGHT_JOIN outbox AS due FORCE INDEX (PRIMARY) ON due.id = chosen.id \
     WHERE NOT EXISTS (SELECT 1 FROM outbox AS earlier FORCE INDEX (outbox_aggregate) \
         WHERE earlier.topic = due.topic AND earlier.aggregate = due.aggregate AND earlier.id < due.id AND earlier.dead_at IS NULL)";

// A list of ids as one JSON value keeps the statement static and its plan a primary key look-up for each.
const UPDATE_CLAIM: &str = "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS due \
     STRAIGHT_JOIN outbox FORCE INDEX (PRIMARY) ON outbox.id = due.id \
     SET outbox.claim = ?, outbox.attempts = outbox.attempts + 1, \
         outbox.available_at = NOW(6) + INTERVAL ? MICROSECOND";

const SELECT_CLAIMED: &str =
    "SELECT id, aggregate, payload, attempts FROM outbox WHERE claim = ? ORDER BY id";

const DELETE_ONE: &str = "DELETE FROM outbox WHERE id = ? AND claim = ?";

const DELETE_CLAIM: &str = "DELETE /*+ INDEX(outbox outbox_claim) */ FROM outbox WHERE claim = ?";

const UPDATE_RETRY: &str = "UPDATE outbox SET claim = NULL, available_at = NOW(6) + INTERVAL ? MICROSECOND, last_error = ? \
     WHERE id = ? AND claim = ?";

const UPDATE_DEAD: &str =
    "UPDATE outbox SET claim = NULL, dead_at = NOW(6), last_error = ? WHERE id = ? AND claim = ?";

const UPDATE_RELEASE: &str = "UPDATE outbox FORCE INDEX (outbox_claim) SET claim = NULL, attempts = attempts - 1, available_at = NOW(6) WHERE claim = ?";

const SELECT_BACKLOG: &str = "SELECT COUNT(*), COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(created_at), NOW(6)), 0) \
     FROM (SELECT created_at FROM outbox WHERE topic = ? AND dead_at IS NULL LIMIT 100000) AS pending";

const SELECT_BACKLOG_OF_LANES: &str = "SELECT COUNT(*), COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(created_at), NOW(6)), 0) \
     FROM (SELECT created_at FROM outbox FORCE INDEX (outbox_due) WHERE topic LIKE CONCAT(?, '/%') AND dead_at IS NULL LIMIT 100000) AS pending";

const SELECT_DEAD_OF_LANES: &str = "SELECT COUNT(*) FROM outbox FORCE INDEX (outbox_due) WHERE topic LIKE CONCAT(?, '/%') AND dead_at IS NOT NULL";

const SELECT_DEAD: &str = "SELECT COUNT(*) FROM outbox WHERE topic = ? AND dead_at IS NOT NULL";

/// The longest text kept in `last_error`, in characters.
const LONGEST_ERROR: usize = 1024;

/// A row that this worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedRow {
    /// The place of the row in the outbox.
    pub id: i64,
    /// What the row is about, for logs.
    pub aggregate: String,
    /// What is to be done, in the form its topic defines.
    pub payload: serde_json::Value,
    /// How often the row was claimed, this time included.
    pub attempts: i32,
}

/// What waits in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Rows not yet done, claimed ones included; counted up to 100 000.
    pub pending: i64,
    /// The age of the oldest of them.
    pub oldest: Duration,
    /// Rows given up.
    pub dead: i64,
}

/// Writes a row inside the caller's transaction and returns its id.
///
/// # Errors
/// What the database answers.
pub async fn enqueue(
    connection: &mut MySqlConnection,
    topic: Topic,
    aggregate: &str,
    payload: &serde_json::Value,
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(INSERT)
        .bind(topic.stored())
        .bind(aggregate)
        .bind(Json(payload))
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Claims up to `limit` due rows for the time of the lease. Rows that another worker is claiming are passed over.
///
/// The claim is committed when this returns, so everything that the rows describe is committed too, and is contained in
/// any `@@GLOBAL.gtid_executed` that this server reports from now on.
///
/// # Errors
/// What the database answers. A claim whose commit was not answered ends with its lease.
pub async fn claim(
    connection: &mut MySqlConnection,
    topic: Topic,
    claim: &ClaimId,
    limit: u32,
    lease: Duration,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    claim_with(connection, SELECT_DUE, topic, claim, limit, lease).await
}

/// As [`claim`], but of each aggregate at most its first row, and none while a row before it is not done. So the rows of
/// an aggregate are carried out one after the other, by whichever worker. A row that was given up is in nobody's way.
///
/// # Errors
/// What the database answers.
pub async fn claim_in_order(
    connection: &mut MySqlConnection,
    topic: Topic,
    claim: &ClaimId,
    limit: u32,
    lease: Duration,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    claim_with(connection, SELECT_DUE_IN_ORDER, topic, claim, limit, lease).await
}

async fn claim_with(
    connection: &mut MySqlConnection,
    select: &'static str,
    topic: Topic,
    claim: &ClaimId,
    limit: u32,
    lease: Duration,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    sqlx::query(READ_COMMITTED)
        .execute(&mut *connection)
        .await?;
    let mut transaction = connection.begin().await?;
    let mut ids: Vec<i64> = sqlx::query_scalar(select)
        .bind(topic.stored())
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
    if !ids.is_empty() && select == SELECT_DUE_IN_ORDER {
        ids = sqlx::query_scalar(SELECT_STILL_FIRST)
            .bind(Json(&ids))
            .fetch_all(&mut *transaction)
            .await?;
    }
    if ids.is_empty() {
        transaction.rollback().await?;
        return Ok(Vec::new());
    }
    sqlx::query(UPDATE_CLAIM)
        .bind(Json(&ids))
        .bind(claim.as_str())
        .bind(microseconds(lease))
        .execute(&mut *transaction)
        .await?;
    let rows: Vec<(i64, String, Json<serde_json::Value>, i32)> = sqlx::query_as(SELECT_CLAIMED)
        .bind(claim.as_str())
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(rows
        .into_iter()
        .map(|(id, aggregate, Json(payload), attempts)| ClaimedRow {
            id,
            aggregate,
            payload,
            attempts,
        })
        .collect())
}

/// Deletes one row that is done. False when the lease was lost to another worker, which will do it again.
///
/// # Errors
/// What the database answers.
pub async fn complete(
    connection: &mut MySqlConnection,
    id: i64,
    claim: &ClaimId,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(DELETE_ONE)
        .bind(id)
        .bind(claim.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes all rows still held under the claim, and says how many they were. For effects inside the same transaction.
///
/// # Errors
/// What the database answers.
pub async fn complete_claim(
    connection: &mut MySqlConnection,
    claim: &ClaimId,
) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(DELETE_CLAIM)
        .bind(claim.as_str())
        .execute(connection)
        .await?
        .rows_affected())
}

/// Gives a row back, to be tried again after `delay`. False when the lease was lost.
///
/// # Errors
/// What the database answers.
pub async fn retry(
    connection: &mut MySqlConnection,
    id: i64,
    claim: &ClaimId,
    delay: Duration,
    error: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(UPDATE_RETRY)
        .bind(microseconds(delay))
        .bind(shortened(error))
        .bind(id)
        .bind(claim.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a row up: it stays, with the error, for a person to look at. False when the lease was lost.
///
/// # Errors
/// What the database answers.
pub async fn bury(
    connection: &mut MySqlConnection,
    id: i64,
    claim: &ClaimId,
    error: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(UPDATE_DEAD)
        .bind(shortened(error))
        .bind(id)
        .bind(claim.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives all rows of a claim back untried, for a worker that stops.
///
/// # Errors
/// What the database answers.
pub async fn release(
    connection: &mut MySqlConnection,
    claim: &ClaimId,
) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(UPDATE_RELEASE)
        .bind(claim.as_str())
        .execute(connection)
        .await?
        .rows_affected())
}

/// Counts what waits in a topic, for metrics.
///
/// # Errors
/// What the database answers.
pub async fn backlog(
    connection: &mut MySqlConnection,
    topic: Topic,
) -> Result<Backlog, sqlx::Error> {
    count(connection, SELECT_BACKLOG, SELECT_DEAD, &topic.stored()).await
}

/// Counts what waits in all lanes of a topic, for metrics.
///
/// # Errors
/// What the database answers.
pub async fn backlog_of_lanes(
    connection: &mut MySqlConnection,
    topic: Topic,
) -> Result<Backlog, sqlx::Error> {
    count(
        connection,
        SELECT_BACKLOG_OF_LANES,
        SELECT_DEAD_OF_LANES,
        topic.name(),
    )
    .await
}

async fn count(
    connection: &mut MySqlConnection,
    select_backlog: &'static str,
    select_dead: &'static str,
    topic: &str,
) -> Result<Backlog, sqlx::Error> {
    let (pending, oldest): (i64, i64) = sqlx::query_as(select_backlog)
        .bind(topic)
        .fetch_one(&mut *connection)
        .await?;
    let dead: i64 = sqlx::query_scalar(select_dead)
        .bind(topic)
        .fetch_one(connection)
        .await?;
    Ok(Backlog {
        pending,
        oldest: Duration::from_micros(u64::try_from(oldest).unwrap_or(0)),
        dead,
    })
}

pub(crate) fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn shortened(error: &str) -> String {
    error.chars().take(LONGEST_ERROR).collect()
}
