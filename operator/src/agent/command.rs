//! The commands of `panono-agent`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::core::{Core, Request};
use super::driver::Driver;
use super::http;
use super::store::StoreError;
use crate::command::LogArgs;

/// How long an agent waits for the one before it to end; then the container is started again. Nobody asks its probes meanwhile.
const FREE_LIMIT: Duration = Duration::from_secs(90);
const AGAIN: Duration = Duration::from_millis(200);

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
    let (core, requests) = tokio::select! {
        opened = open(&config) => opened?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
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

/// Waits until the volume is free.
async fn open(config: &Path) -> Result<(Arc<Core>, mpsc::Receiver<Request>)> {
    let deadline = tokio::time::Instant::now() + FREE_LIMIT;
    let mut told = false;
    loop {
        match Core::open(config.to_path_buf()) {
            Err(error)
                if matches!(error.downcast_ref(), Some(StoreError::Held { .. }))
                    && tokio::time::Instant::now() < deadline =>
            {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(error = format!("{error:#}"), "waiting for the volume");
                }
                tokio::time::sleep(AGAIN).await;
            }
            opened => return opened,
        }
    }
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
