//! The state of jobs.

use sqlx::MySqlConnection;
use time::{OffsetDateTime, PrimitiveDateTime};

const BEGIN: &str = "INSERT IGNORE INTO job_state (name, done_until) VALUES (?, ?)";
const LOCK: &str = "SELECT done_until FROM job_state WHERE name = ? FOR UPDATE";
const ADVANCE: &str = "UPDATE job_state SET done_until = ? WHERE name = ?";

/// Locks the job's row and tells until when it is done; a job that never ran begins at `now`.
pub(super) async fn lock(
    connection: &mut MySqlConnection,
    name: &str,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, sqlx::Error> {
    let begin = PrimitiveDateTime::new(now.date(), now.time());
    sqlx::query(BEGIN)
        .bind(name)
        .bind(begin)
        .execute(&mut *connection)
        .await?;
    let done: PrimitiveDateTime = sqlx::query_scalar(LOCK)
        .bind(name)
        .fetch_one(connection)
        .await?;
    Ok(done.assume_utc())
}

pub(super) async fn advance(
    connection: &mut MySqlConnection,
    name: &str,
    until: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(ADVANCE)
        .bind(PrimitiveDateTime::new(until.date(), until.time()))
        .bind(name)
        .execute(connection)
        .await?;
    Ok(())
}
