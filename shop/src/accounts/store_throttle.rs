//! The statements of throttles.

use std::time::Duration;

use sqlx::MySqlConnection;

use super::throttle::Count;
use crate::db::{Db, DbError, violated_constraint};

// Decided by the condition and the row count, so that two at once cannot both take the last attempt.
const TAKE: &str = "UPDATE throttle SET allowed_at = GREATEST(allowed_at, NOW(6)) + INTERVAL ? MICROSECOND \
     WHERE scope = ? AND subject = ? AND allowed_at <= NOW(6) + INTERVAL ? MICROSECOND";
const WAIT: &str = "SELECT TIMESTAMPDIFF(MICROSECOND, NOW(6), allowed_at) FROM throttle WHERE scope = ? AND subject = ?";
const INSERT: &str = "INSERT INTO throttle (scope, subject, allowed_at) VALUES (?, ?, NOW(6) + INTERVAL ? MICROSECOND)";
const FORGET: &str = "DELETE FROM throttle WHERE scope = ? AND subject = ?";
const DELETE_OLD: &str = "DELETE FROM throttle WHERE allowed_at < NOW(6) - INTERVAL 1 DAY ORDER BY allowed_at LIMIT 1000";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("throttle_take", TAKE),
    ("throttle_wait", WAIT),
    ("throttle_insert", INSERT),
    ("throttle_forget", FORGET),
    ("throttle_delete_old", DELETE_OLD),
];

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Takes one attempt of each count: `None`, or how long to wait for the one that has none left. Counts before that one are taken all
/// the same: whoever goes on trying is counted.
///
/// # Errors
/// What the database answers.
pub async fn take(db: &Db, counts: Vec<Count>) -> Result<Option<Duration>, DbError> {
    db.transaction(move |connection| {
        let counts = counts.clone();
        Box::pin(async move {
            for count in &counts {
                if let Some(wait) = take_one(connection, count).await? {
                    return Ok(Some(wait));
                }
            }
            Ok(None)
        })
    })
    .await
}

async fn take_one(
    connection: &mut MySqlConnection,
    count: &Count,
) -> Result<Option<Duration>, DbError> {
    let interval = microseconds(count.rate.interval);
    let tolerance = microseconds(count.rate.tolerance());
    // Twice: another request may insert the row between our look and our insert.
    for _ in 0..2 {
        let taken = sqlx::query(TAKE)
            .bind(interval)
            .bind(count.rate.scope)
            .bind(count.subject.as_slice())
            .bind(tolerance)
            .execute(&mut *connection)
            .await?;
        if taken.rows_affected() > 0 {
            return Ok(None);
        }
        let ahead: Option<i64> = sqlx::query_scalar(WAIT)
            .bind(count.rate.scope)
            .bind(count.subject.as_slice())
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(ahead) = ahead {
            let wait = u64::try_from(ahead.saturating_sub(tolerance)).unwrap_or_default();
            return Ok(Some(Duration::from_micros(wait)));
        }
        let inserted = sqlx::query(INSERT)
            .bind(count.rate.scope)
            .bind(count.subject.as_slice())
            .bind(interval)
            .execute(&mut *connection)
            .await;
        match inserted {
            Ok(_) => return Ok(None),
            Err(error) if violated_constraint(&error).is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(count.rate.interval))
}

/// Forgets the attempts of a count, after one that was right.
///
/// # Errors
/// What the database answers.
pub async fn forget(connection: &mut MySqlConnection, count: &Count) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET)
        .bind(count.rate.scope)
        .bind(count.subject.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes counts that are full again, up to a thousand, and says how many.
///
/// # Errors
/// What the database answers.
pub async fn delete_old(connection: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(DELETE_OLD)
        .execute(connection)
        .await?
        .rows_affected())
}
