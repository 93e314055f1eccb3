//! The commands of `panono-agent`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::core::Core;
use super::driver::Driver;
use super::http;
use crate::command::LogArgs;

/// Runs one MySQL server and takes it into its group.
#[derive(Debug, Parser)]
#[command(name = "panono-agent", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server, until SIGTERM
    Run {
        /// The configuration, a JSON file
        #[arg(
            long,
            env = "PANONO_AGENT_CONFIG",
            default_value = "/etc/panono/agent/agent.json"
        )]
        config: PathBuf,
    },
    /// Copy this program into a folder, for the container of another image
    Install {
        /// The folder
        folder: PathBuf,
    },
}

/// Runs the command. Exit codes: 0 done, 1 failed, 2 wrong arguments.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    if let Err(error) = crate::command::start_log(&cli.log) {
        eprintln!("panono-agent: --log: {error}");
        return ExitCode::FAILURE;
    }
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("panono-agent: a TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    let result = match cli.command {
        Command::Run { config } => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(run_server(config))),
        Command::Install { folder } => install(&folder),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("panono-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_server(config: PathBuf) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (core, requests) = Core::open(config)?;
    let (handles, servers) = http::serve(&core)?;
    let serving: Vec<_> = servers.into_iter().map(tokio::spawn).collect();
    let (stop, stopped) = oneshot::channel();
    let mut driving = tokio::spawn(Driver::new(core, requests).run(stopped));
    let ended = tokio::select! {
        ended = &mut driving => ended,
        _ = terminate.recv() => {
            stop.send(()).ok();
            driving.await
        }
        _ = interrupt.recv() => {
            stop.send(()).ok();
            driving.await
        }
    };
    for handle in handles {
        handle.stop(false).await;
    }
    for server in serving {
        server.await.context("a server ended unexpectedly")??;
    }
    ended.context("the agent ended unexpectedly")?
}

/// Copies this program, under its name, executable for all. Whole or not at all.
fn install(folder: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let own = std::env::current_exe().context("the system does not say which program this is")?;
    let (new, target) = (folder.join("panono-agent.new"), folder.join("panono-agent"));
    std::fs::copy(&own, &new).with_context(|| new.display().to_string())?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&new, &target).with_context(|| target.display().to_string())
}
