//! The statements of idempotency keys.

use std::time::Duration;

use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::{Claim, Key, LEASE, StoredAnswer};
use crate::db::violated_constraint;
use crate::outbox::store::microseconds;

const INSERT: &str = "INSERT INTO idempotency_key (scope, idempotency_key, fingerprint, state, locked_until) \
     VALUES (?, ?, ?, 'started', NOW(6) + INTERVAL ? MICROSECOND)";
const SELECT: &str = "SELECT fingerprint, state, locked_until < NOW(6), reference, status, headers, body FROM idempotency_key \
     WHERE scope = ? AND idempotency_key = ?";
const TAKE_OVER: &str = "UPDATE idempotency_key SET locked_until = NOW(6) + INTERVAL ? MICROSECOND \
     WHERE scope = ? AND idempotency_key = ? AND state = 'started' AND locked_until < NOW(6)";
const REFER: &str =
    "UPDATE idempotency_key SET reference = ? WHERE scope = ? AND idempotency_key = ?";
const FINISH: &str = "UPDATE idempotency_key SET state = 'done', status = ?, headers = ?, body = ? \
     WHERE scope = ? AND idempotency_key = ? AND state = 'started'";
const KEEP: &str = "INSERT IGNORE INTO idempotency_key (scope, idempotency_key, fingerprint, state, locked_until, status, headers, body) \
     VALUES (?, ?, ?, 'done', NOW(6), ?, ?, ?)";
const REFERENCE: &str =
    "SELECT reference FROM idempotency_key WHERE scope = ? AND idempotency_key = ?";
const LET_GO: &str = "UPDATE idempotency_key SET locked_until = NOW(6) \
     WHERE scope = ? AND idempotency_key = ? AND state = 'started'";
const PRUNE: &str =
    "DELETE FROM idempotency_key WHERE created_at < NOW(6) - INTERVAL ? MICROSECOND LIMIT ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("idempotency_insert", INSERT),
    ("idempotency_select", SELECT),
    ("idempotency_take_over", TAKE_OVER),
    ("idempotency_refer", REFER),
    ("idempotency_finish", FINISH),
    ("idempotency_keep", KEEP),
    ("idempotency_reference", REFERENCE),
    ("idempotency_let_go", LET_GO),
    ("idempotency_prune", PRUNE),
];

/// Claims a key, as the first statement of the transaction that has the effect. Where another transaction has just claimed
/// it, this waits for that to end.
///
/// # Errors
/// What the database answers.
pub async fn claim(connection: &mut MySqlConnection, key: &Key) -> Result<Claim, sqlx::Error> {
    let inserted = sqlx::query(INSERT)
        .bind(key.scope.as_slice())
        .bind(&key.key)
        .bind(key.fingerprint.as_slice())
        .bind(microseconds(LEASE))
        .execute(&mut *connection)
        .await;
    match inserted {
        Ok(_) => return Ok(Claim::Fresh),
        Err(error) if violated_constraint(&error).is_some() => {}
        Err(error) => return Err(error),
    }
    let found = look(connection, key).await?;
    if let Some(Claim::Resumed { reference }) = found {
        // Of those who see that the lease has ended, one takes it.
        let taken = sqlx::query(TAKE_OVER)
            .bind(microseconds(LEASE))
            .bind(key.scope.as_slice())
            .bind(&key.key)
            .execute(connection)
            .await?;
        return Ok(if taken.rows_affected() == 1 {
            Claim::Resumed { reference }
        } else {
            Claim::InFlight
        });
    }
    // A row that was there and is gone was pruned this moment: whoever repeats finds the key unused.
    Ok(found.unwrap_or(Claim::InFlight))
}

type Found = (
    Vec<u8>,
    String,
    bool,
    Option<i64>,
    Option<i16>,
    Option<Json<Vec<(String, String)>>>,
    Option<Vec<u8>>,
);

/// Looks at a key without claiming it: [`Claim::Resumed`] is one whose lease has ended. None for a key that is not used.
///
/// # Errors
/// What the database answers.
pub async fn look(
    connection: &mut MySqlConnection,
    key: &Key,
) -> Result<Option<Claim>, sqlx::Error> {
    let found: Option<Found> = sqlx::query_as(SELECT)
        .bind(key.scope.as_slice())
        .bind(&key.key)
        .fetch_optional(connection)
        .await?;
    let Some((fingerprint, state, ended, reference, status, headers, body)) = found else {
        return Ok(None);
    };
    if fingerprint != key.fingerprint {
        return Ok(Some(Claim::Mismatch));
    }
    Ok(Some(match (state.as_str(), status) {
        ("done", Some(status)) => Claim::Done(StoredAnswer {
            status: u16::try_from(status).unwrap_or(500),
            headers: headers.map(|Json(headers)| headers).unwrap_or_default(),
            body: body.unwrap_or_default(),
        }),
        _ if ended => Claim::Resumed { reference },
        _ => Claim::InFlight,
    }))
}

/// Notes what the effect of a claimed key is about, so that whoever takes over finds it.
///
/// # Errors
/// What the database answers.
pub async fn refer(
    connection: &mut MySqlConnection,
    key: &Key,
    reference: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(REFER)
        .bind(reference)
        .bind(key.scope.as_slice())
        .bind(&key.key)
        .execute(connection)
        .await?;
    Ok(())
}

/// What a key is about, if its effect has got so far.
///
/// # Errors
/// What the database answers.
pub async fn reference(
    connection: &mut MySqlConnection,
    key: &Key,
) -> Result<Option<i64>, sqlx::Error> {
    let found: Option<Option<i64>> = sqlx::query_scalar(REFERENCE)
        .bind(key.scope.as_slice())
        .bind(&key.key)
        .fetch_optional(connection)
        .await?;
    Ok(found.flatten())
}

/// Ends the lease of a claimed key: this request could not go on, and whoever repeats it need not wait.
///
/// # Errors
/// What the database answers.
pub async fn let_go(connection: &mut MySqlConnection, key: &Key) -> Result<(), sqlx::Error> {
    sqlx::query(LET_GO)
        .bind(key.scope.as_slice())
        .bind(&key.key)
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps the answer of a claimed key. An answer that is kept already stays.
///
/// # Errors
/// What the database answers.
pub async fn finish(
    connection: &mut MySqlConnection,
    key: &Key,
    answer: &StoredAnswer,
) -> Result<(), sqlx::Error> {
    sqlx::query(FINISH)
        .bind(i64::from(answer.status))
        .bind(Json(&answer.headers))
        .bind(answer.body.as_slice())
        .bind(key.scope.as_slice())
        .bind(&key.key)
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps the answer of a key whose transaction was rolled back, because what it decided had no effect (sold out, another
/// total). A key that is used meanwhile stays as it is.
///
/// # Errors
/// What the database answers.
pub async fn keep(
    connection: &mut MySqlConnection,
    key: &Key,
    answer: &StoredAnswer,
) -> Result<(), sqlx::Error> {
    sqlx::query(KEEP)
        .bind(key.scope.as_slice())
        .bind(&key.key)
        .bind(key.fingerprint.as_slice())
        .bind(i64::from(answer.status))
        .bind(Json(&answer.headers))
        .bind(answer.body.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes keys older than `kept`, so many at most. Answers how many.
///
/// # Errors
/// What the database answers.
pub async fn prune(
    connection: &mut MySqlConnection,
    kept: Duration,
    most: u32,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(PRUNE)
        .bind(microseconds(kept))
        .bind(most)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
