//! `panono-shop check`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::CommandResult;
use super::serve::ServeArgs;
use crate::db::{Db, migrate};
use crate::invariants::{self, Invariant};

/// Arguments of `check`: those of `serve`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Look at the settings only; connect to nothing
    #[arg(long)]
    offline: bool,
    /// Verify instead, on the live database, what must always be true of stock, orders, payments and coupons
    #[arg(long, conflicts_with = "offline")]
    invariants: bool,
    /// With --invariants: print what was found as JSON
    #[arg(long, requires = "invariants")]
    json: bool,
}

pub(super) async fn run(args: CheckArgs) -> CommandResult {
    let settings = match args.serve.settings() {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in &problems.0 {
                eprintln!("{problem}");
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    if args.offline {
        println!("the settings can be used");
        return Ok(ExitCode::SUCCESS);
    }
    if args.invariants {
        return check_invariants(settings.database, args.json).await;
    }
    let mut problems = Vec::new();
    check_database(settings.database, &mut problems).await;
    if let Some(url) = &settings.cache.l2_url
        && let Err(error) = crate::cache::primary::ping(url, &settings.cache.l2_sentinels).await
    {
        problems.push(format!(
            "PANONO_CACHE_URL: the cache does not answer: {error}"
        ));
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        println!("the settings can be used, and what they point to answers");
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

/// Exit code 1 when something contradicts an invariant.
async fn check_invariants(config: crate::db::DatabaseConfig, json: bool) -> CommandResult {
    let db = Db::start(config);
    db.wait_for_primary(Instant::now() + Duration::from_secs(30))
        .await?;
    let report = invariants::verify(&db).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        for violation in &report.violations {
            println!("{violation}");
        }
        for check in &report.cut_short {
            println!("{check}: there are more");
        }
        for invariant in Invariant::ALL {
            let count = report.count(*invariant);
            println!(
                "{}: {count} violations: {}",
                invariant.name(),
                invariant.rule()
            );
        }
    }
    Ok(if report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn check_database(config: crate::db::DatabaseConfig, problems: &mut Vec<String>) {
    let db = Db::start(config);
    let until = Instant::now() + Duration::from_secs(5);
    if let Err(error) = db.wait_for_primary(until).await {
        problems.push(format!("database: {error}"));
    }
    // A member that is busy may miss one question.
    let silent = || {
        db.members()
            .iter()
            .any(|member| !member.evidence().answered)
    };
    while silent() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for member in db.members() {
        if !member.evidence().answered {
            problems.push(format!(
                "database: member {} does not answer, or refuses these credentials",
                member.name
            ));
        }
    }
    if let Ok(mut primary) = db.primary().await {
        match migrate::is_current(&mut primary.connection).await {
            Ok(true) => {}
            Ok(false) => problems.push(
                "database: the schema is older than this release; run `panono-shop migrate`"
                    .to_owned(),
            ),
            Err(error) => problems.push(format!("database: the schema cannot be read: {error}")),
        }
    }
}
