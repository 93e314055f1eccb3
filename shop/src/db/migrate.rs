//! Brings the schema forward, one process at a time.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError};
use sqlx::{Connection, MySqlConnection};

use crate::migrations::MIGRATOR;

/// Why the schema could not be brought forward.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// Another process holds the lock.
    #[error("another process has been migrating for {0:?}; wait for it, or end it, then run again")]
    Locked(Duration),
    /// A statement failed half-way in an earlier run. MySQL commits DDL by itself, so it cannot be rolled back.
    #[error(
        "migration {0} failed before and may have been applied in part; compare the schema with its file, \
         finish or undo it by hand, delete its row from `_sqlx_migrations`, then run again"
    )]
    Dirty(i64),
    /// The database was migrated by a newer or another release.
    #[error(
        "the database has migration {0}, which this release does not know; run the release that made it, or a newer one"
    )]
    FromTheFuture(i64),
    /// A file that was applied has changed since.
    #[error(
        "migration {0} was applied in another form than this release has; migrations must never be edited once released"
    )]
    Changed(i64),
    /// Everything else.
    #[error("failed to migrate")]
    Migrate(#[source] MigrateError),
    /// The lock or a connection could not be had.
    #[error("failed to prepare the migration")]
    Query(#[from] sqlx::Error),
}

/// What a migration run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The newest migration that is applied now.
    pub version: i64,
    /// How many were applied by this run.
    pub applied: usize,
}

/// Applies all migrations that are not applied yet, under a lock of the database server, waiting at most `deadline` for it.
///
/// # Errors
/// See [`MigrationError`]; every migration before the one that failed stays applied.
pub async fn migrate(
    connection: &mut MySqlConnection,
    deadline: Duration,
) -> Result<Migrated, MigrationError> {
    let name: String =
        sqlx::query_scalar("SELECT CONCAT('panono-migrate-', LEFT(SHA2(DATABASE(), 256), 32))")
            .fetch_one(&mut *connection)
            .await?;
    let seconds = i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX);
    let locked: Option<i64> = sqlx::query_scalar("SELECT CAST(GET_LOCK(?, ?) AS SIGNED)")
        .bind(&name)
        .bind(seconds)
        .fetch_one(&mut *connection)
        .await?;
    if locked != Some(1) {
        return Err(MigrationError::Locked(deadline));
    }
    let result = run(connection).await;
    // The lock dies with the connection anyway; a failure to release it early is no failure.
    let _ = sqlx::query("DO RELEASE_LOCK(?)")
        .bind(&name)
        .execute(&mut *connection)
        .await;
    result
}

async fn run(connection: &mut MySqlConnection) -> Result<Migrated, MigrationError> {
    let before = applied(connection).await?;
    let mut migrator = sqlx::migrate::Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    // Our own lock has a deadline; the library's waits for ever.
    migrator.set_locking(false);
    migrator
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            MigrateError::Dirty(version) => MigrationError::Dirty(version),
            MigrateError::VersionMissing(version) => MigrationError::FromTheFuture(version),
            MigrateError::VersionMismatch(version) => MigrationError::Changed(version),
            error => MigrationError::Migrate(error),
        })?;
    let after = applied(connection).await?;
    Ok(Migrated {
        version: after.last().copied().unwrap_or(0),
        applied: after.len().saturating_sub(before.len()),
    })
}

async fn applied(connection: &mut MySqlConnection) -> Result<Vec<i64>, MigrationError> {
    connection
        .ensure_migrations_table("_sqlx_migrations")
        .await
        .map_err(MigrationError::Migrate)?;
    Ok(sqlx::query_scalar(
        "SELECT version FROM _sqlx_migrations WHERE success = TRUE ORDER BY version",
    )
    .fetch_all(&mut *connection)
    .await?)
}

/// The schema version that this release needs at least.
#[must_use]
pub fn required_version() -> i64 {
    MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Whether the schema has every migration that this release needs. A newer schema is fine: migrations only expand
/// until no release that needs the old form runs any more.
///
/// # Errors
/// A failed query. A schema without any migration is `Ok(false)`.
pub async fn is_current(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let present: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = '_sqlx_migrations'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if present == 0 {
        return Ok(false);
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success = TRUE")
            .fetch_one(&mut *connection)
            .await?;
    Ok(version.unwrap_or(0) >= required_version())
}

/// Opens a connection for migrating, with the limits of a job: DDL may take long, so statements are not bounded.
///
/// # Errors
/// When the server cannot be reached.
pub async fn connect(
    options: &sqlx::mysql::MySqlConnectOptions,
) -> Result<MySqlConnection, sqlx::Error> {
    let mut connection = MySqlConnection::connect_with(options).await?;
    sqlx::query("SET SESSION lock_wait_timeout = 30")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}
