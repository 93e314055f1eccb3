//! `panono-shop migrate`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::CommandResult;
use crate::config::args::DatabaseArgs;
use crate::config::{self, Collector};
use crate::db::{Arrangement, Db, DbError, migrate};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// How long to wait for the database, and for another migration, in seconds
    #[arg(long, env = "PANONO_MIGRATE_DEADLINE", default_value_t = 120)]
    deadline: u64,
}

pub(super) async fn run(args: MigrateArgs) -> CommandResult {
    let mut problems = Collector::default();
    let database = config::database(&args.database, &mut problems);
    let database = problems.finish(database)?;
    if database.read_only {
        return Err(DbError::ReadOnly.into());
    }
    let deadline = Duration::from_secs(args.deadline);
    let until = Instant::now() + deadline;
    let options = database.members.clone();
    let index = if database.arrangement == Arrangement::Group {
        let db = Db::start(database);
        tracing::info!("looking for the primary");
        db.wait_for_primary(until).await?;
        db.roles().primary.unwrap_or(0)
    } else {
        0
    };
    let member = options
        .get(index)
        .ok_or_else(|| anyhow::anyhow!("the configuration names no database member"))?;
    let mut connection = loop {
        match migrate::connect(member).await {
            Ok(connection) => break connection,
            Err(error) if Instant::now() < until && error.as_database_error().is_none() => {
                tracing::info!(%error, "waiting for the database");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    tracing::info!("waiting for the migration lock");
    let left = until.saturating_duration_since(Instant::now());
    let done = migrate::migrate(&mut connection, left.max(Duration::from_secs(1))).await?;
    tracing::info!(
        version = done.version,
        applied = done.applied,
        "the schema is current"
    );
    Ok(ExitCode::SUCCESS)
}
