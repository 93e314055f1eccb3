//! Checksums of all tables, and of all tables of a running member at one moment.

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::catalogue::TableSum;
use super::error::BackupError;
use super::progress::Progress;
use super::server::{executed, failed, run};
use crate::gtid::GtidSet;

/// More tables than any shop has.
const MAXIMUM_TABLES: usize = 100_000;
/// How long a member may take to apply what it must have.
const CATCH_UP: Duration = Duration::from_mins(5);

const TABLES: &str = "SELECT CAST(TABLE_SCHEMA AS CHAR), CAST(TABLE_NAME AS CHAR) FROM information_schema.TABLES \
    WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') \
    ORDER BY 1, 2";

/// The checksums of all tables but the server's own, in the order of their names.
///
/// # Errors
/// When a statement fails or there are too many tables.
pub async fn all_tables(
    connection: &mut MySqlConnection,
    progress: &Progress,
) -> Result<Vec<TableSum>, BackupError> {
    let tables: Vec<(String, String)> = sqlx::query_as(TABLES)
        .fetch_all(&mut *connection)
        .await
        .map_err(BackupError::sql("list tables"))?;
    if tables.len() > MAXIMUM_TABLES {
        return Err(failed("list tables", "there are too many".to_owned()));
    }
    let total = u64::try_from(tables.len()).unwrap_or(0);
    let mut sums = Vec::with_capacity(tables.len());
    for (done, (schema, table)) in (0..).zip(tables) {
        progress.set("Comparing", done, total);
        let name = format!(
            "`{}`.`{}`",
            schema.replace('`', "``"),
            table.replace('`', "``")
        );
        let row = sqlx::raw_sql(AssertSqlSafe(format!("CHECKSUM TABLE {name}")))
            .fetch_one(&mut *connection)
            .await
            .map_err(BackupError::sql("take the checksum of a table"))?;
        let checksum: Option<u64> = row
            .try_get_unchecked(1)
            .map_err(BackupError::sql("take the checksum of a table"))?;
        sums.push(TableSum {
            table: format!("{schema}.{table}"),
            checksum: checksum.ok_or_else(|| BackupError::Unsound(format!("{name} is damaged")))?,
        });
    }
    Ok(sums)
}

/// What a running member had at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its transactions.
    pub executed: GtidSet,
    /// Its tables.
    pub tables: Vec<TableSum>,
}

/// Takes the checksums of a running member's tables at one moment, which is after everything in `after`. Nothing commits there for
/// the moment in which the snapshot is opened; choose a secondary.
///
/// # Errors
/// When it cannot be reached, lags too much, or refuses.
pub async fn checkpoint(
    member: &MySqlConnectOptions,
    after: &GtidSet,
    progress: &Progress,
) -> Result<Checkpoint, BackupError> {
    let mut connection = member
        .connect()
        .await
        .map_err(BackupError::sql("reach the member"))?;
    let late: i64 = sqlx::query_scalar("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)")
        .bind(after.to_string())
        .bind(CATCH_UP.as_secs())
        .fetch_one(&mut connection)
        .await
        .map_err(BackupError::sql("wait for the member"))?;
    if late != 0 {
        return Err(BackupError::Undecided(
            "the member lags by more than five minutes".to_owned(),
        ));
    }
    run(
        &mut connection,
        "open a snapshot on the member",
        "SET SESSION lock_wait_timeout = 10; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
         FLUSH TABLES WITH READ LOCK; START TRANSACTION WITH CONSISTENT SNAPSHOT",
    )
    .await?;
    let set = executed(&mut connection).await?;
    run(&mut connection, "unlock the member", "UNLOCK TABLES").await?;
    let tables = all_tables(&mut connection, progress)
        .await
        .map_err(|error| match error {
            // That is the member's data, and no backup's.
            BackupError::Unsound(detail) => {
                BackupError::Undecided(format!("of the member, {detail}"))
            }
            error => error,
        })?;
    run(&mut connection, "close the snapshot", "ROLLBACK").await?;
    Ok(Checkpoint {
        executed: set,
        tables,
    })
}

/// The tables that differ, by name; nothing when all are equal.
#[must_use]
pub fn differences(left: &[TableSum], right: &[TableSum]) -> Vec<String> {
    let only = |left: &[TableSum], right: &[TableSum]| {
        let missing = left.iter().filter(|sum| !right.contains(sum));
        missing.map(|sum| sum.table.clone()).collect::<Vec<_>>()
    };
    let mut names = only(left, right);
    names.extend(only(right, left));
    names.sort();
    names.dedup();
    names
}
