//! `panono-shop token`

use std::process::ExitCode;

use clap::Args;

use super::CommandResult;
use crate::admin::cli::{self, TokenArguments};
use crate::config::args::DatabaseArgs;
use crate::config::{self, Collector};
use crate::db::Db;

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    token: TokenArguments,
}

pub(super) async fn run(args: TokenArgs) -> CommandResult {
    let mut problems = Collector::default();
    let database = config::database(&args.database, &mut problems);
    let db = Db::start(problems.finish(database)?);
    cli::run(&db, &args.token, &mut std::io::stdout()).await?;
    Ok(ExitCode::SUCCESS)
}
