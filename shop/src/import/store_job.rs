//! The SQL of import jobs: how far a file has been committed.

use sqlx::MySqlConnection;

use super::counters::Counters;

const JOB_START: &str = "INSERT INTO import_job (fingerprint, file_name, format) VALUES (?, ?, ?) \
ON DUPLICATE KEY UPDATE records = IF(finished_at IS NULL, records, 0), created = IF(finished_at IS NULL, created, 0), \
updated = IF(finished_at IS NULL, updated, 0), unchanged = IF(finished_at IS NULL, unchanged, 0), \
refused = IF(finished_at IS NULL, refused, 0), started_at = IF(finished_at IS NULL, started_at, CURRENT_TIMESTAMP(6)), \
finished_at = NULL";

const JOB_READ: &str =
    "SELECT records, created, updated, unchanged, refused FROM import_job WHERE fingerprint = ?";

const JOB_LOCK: &str = "SELECT records FROM import_job WHERE fingerprint = ? FOR UPDATE";

const JOB_ADVANCE: &str = "UPDATE import_job SET records = ?, created = created + ?, updated = updated + ?, \
unchanged = unchanged + ?, refused = refused + ? WHERE fingerprint = ?";

const JOB_FINISH: &str =
    "UPDATE import_job SET finished_at = CURRENT_TIMESTAMP(6) WHERE fingerprint = ?";

/// Every statement with its name, so that tests can prepare all of them.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("job_start", JOB_START),
    ("job_read", JOB_READ),
    ("job_lock", JOB_LOCK),
    ("job_advance", JOB_ADVANCE),
    ("job_finish", JOB_FINISH),
];

/// How far an import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries of the file that are committed or refused.
    pub records: u64,
    /// Products.
    pub created: u64,
    /// Products.
    pub updated: u64,
    /// Products.
    pub unchanged: u64,
    /// Products.
    pub refused: u64,
}

/// Begins a job, or goes on with one that was interrupted.
///
/// # Errors
/// Those of the database.
pub async fn start(
    connection: &mut MySqlConnection,
    fingerprint: &str,
    file_name: &str,
    format: &str,
) -> Result<Progress, sqlx::Error> {
    sqlx::query(JOB_START)
        .bind(fingerprint)
        .bind(file_name)
        .bind(format)
        .execute(&mut *connection)
        .await?;
    let (records, created, updated, unchanged, refused): (i64, i64, i64, i64, i64) =
        sqlx::query_as(JOB_READ)
            .bind(fingerprint)
            .fetch_one(connection)
            .await?;
    let natural = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Progress {
        records: natural(records),
        created: natural(created),
        updated: natural(updated),
        unchanged: natural(unchanged),
        refused: natural(refused),
    })
}

/// How far the job is, with its row locked: two imports of one file exclude each other.
///
/// # Errors
/// Those of the database.
pub async fn lock(connection: &mut MySqlConnection, fingerprint: &str) -> Result<u64, sqlx::Error> {
    let records: Option<i64> = sqlx::query_scalar(JOB_LOCK)
        .bind(fingerprint)
        .fetch_optional(connection)
        .await?;
    Ok(records
        .and_then(|records| u64::try_from(records).ok())
        .unwrap_or(0))
}

/// Notes that entries up to a number are committed.
///
/// # Errors
/// Those of the database.
pub async fn advance(
    connection: &mut MySqlConnection,
    fingerprint: &str,
    records: u64,
    counters: &Counters,
) -> Result<(), sqlx::Error> {
    sqlx::query(JOB_ADVANCE)
        .bind(records)
        .bind(counters.products_created)
        .bind(counters.products_updated)
        .bind(counters.products_unchanged)
        .bind(counters.products_refused)
        .bind(fingerprint)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that the whole file is done: the next import of it begins anew.
///
/// # Errors
/// Those of the database.
pub async fn finish(
    connection: &mut MySqlConnection,
    fingerprint: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(JOB_FINISH)
        .bind(fingerprint)
        .execute(connection)
        .await?;
    Ok(())
}
