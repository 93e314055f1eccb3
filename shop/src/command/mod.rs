//! The commands of the binary.

mod check;
mod edge_config;
mod migrate;
mod outbox;
mod products;
mod serve;
mod staff;
mod token;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::args::LogArgs;

/// The shop service of Panono.
#[derive(Debug, Parser)]
#[command(name = "panono-shop", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the storefront, the catalogue API and the staff API
    Serve(serve::ServeArgs),
    /// Purge caches after changes, apply scheduled prices and publications, keep counts
    Worker(worker::WorkerArgs),
    /// Bring the schema of the database forward
    Migrate(migrate::MigrateArgs),
    /// Import products from a file; running it again changes nothing (docs/import.md)
    Import(Box<products::ImportCommand>),
    /// Export all products to a file that imports back without a change
    Export(Box<products::ExportCommand>),
    /// Fill the shop with a demo, or with as many generated products as wanted
    Seed(Box<products::SeedCommand>),
    /// Check the configuration and what it points to; tells every problem at once
    Check(check::CheckArgs),
    /// Make, list and revoke bearer tokens of the staff API
    Token(token::TokenArgs),
    /// List, replay and discard what could not be carried out: mails, webhooks, events
    Outbox(outbox::OutboxArgs),
    /// Make, list and change staff and their roles
    Staff(Box<staff::StaffArgs>),
    /// Print the configuration of the edge cache (Varnish VCL) that goes with this release
    EdgeConfig(edge_config::EdgeConfigArgs),
}

/// A command that failed, for the process's end. Texts are shown to whoever ran it.
pub type CommandResult = Result<ExitCode, anyhow::Error>;

/// Runs the command. Exit codes: 0 done, 1 failed, 2 wrong arguments; commands document others.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    if let Err(error) = crate::telemetry::start(&cli.log) {
        eprintln!("panono-shop: {error}");
        return ExitCode::FAILURE;
    }
    // One TLS provider in the whole process; a second one would be a bug, and shows here.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("panono-shop: a TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("panono-shop: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async move {
        match cli.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Worker(args) => worker::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Import(args) => Box::pin(products::import(*args)).await,
            Command::Export(args) => Box::pin(products::export(*args)).await,
            Command::Seed(args) => Box::pin(products::seed(*args)).await,
            Command::Check(args) => check::run(args).await,
            Command::Token(args) => token::run(args).await,
            Command::Staff(args) => staff::run(*args).await,
            Command::Outbox(args) => outbox::run(args).await,
            Command::EdgeConfig(args) => edge_config::run(&args),
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("panono-shop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Completes at SIGTERM or SIGINT.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without handlers the signals end the process as they do any other.
        _ => std::future::pending().await,
    }
}
