//! The program `panono-backup`: backups of a shop's database, their archive, restores and verifications.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use panono_operator::backup::command::{BackupCommand, run};
use panono_operator::backup::job::Report;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Backups of a shop's database.
#[derive(Debug, Parser)]
#[command(name = "panono-backup", version, max_term_width = 100)]
struct Cli {
    /// A level, or a filter such as `info,panono_operator=debug`
    #[arg(long, env = "PANONO_LOG", default_value = "info", global = true)]
    log: String,
    /// A file for what came of it, as JSON, such as the message with which a container ends
    #[arg(long, env = "PANONO_BACKUP_REPORT", global = true)]
    report: Option<PathBuf>,
    #[command(subcommand)]
    command: BackupCommand,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = match EnvFilter::try_new(&cli.log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("panono-backup: --log {:?}: {error}", cli.log);
            return ExitCode::FAILURE;
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(Box::pin(run(cli.command))),
        Err(error) => {
            eprintln!("panono-backup: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (code, report) = match result {
        Ok((code, report)) => (ExitCode::from(code), report),
        Err(error) => {
            eprintln!("panono-backup: {error}");
            (ExitCode::FAILURE, Report::failed(&error.to_string()))
        }
    };
    if let Some(path) = &cli.report
        && let Err(error) = report.write(path)
    {
        eprintln!("panono-backup: {error}");
    }
    code
}
