//! `panono-shop staff`

use std::process::ExitCode;

use clap::Args;

use super::CommandResult;
use crate::admin::cli_staff::{self, StaffArguments};
use crate::config::args::{DatabaseArgs, SecretArgs, SiteArgs};
use crate::config::{self, Collector};
use crate::db::Db;

/// Arguments of `staff`.
#[derive(Debug, Args)]
pub struct StaffArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    staff: StaffArguments,
}

pub(super) async fn run(args: StaffArgs) -> CommandResult {
    let mut problems = Collector::default();
    let database = config::database(&args.database, &mut problems);
    let keys = config::secret_key(&args.secret, &mut problems);
    let (database, keys) = problems.finish(database.zip(keys))?;
    let db = Db::start(database);
    let shop = &args.site.shop_name;
    cli_staff::run(&db, &keys, shop, &args.staff, &mut std::io::stdout()).await?;
    Ok(ExitCode::SUCCESS)
}
