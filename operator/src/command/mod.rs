//! The commands of the program.

mod diff;
mod install;
mod render;
mod run;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use panono_crds::Reason;
use tracing_subscriber::EnvFilter;

pub use diff::differences;
pub use render::{RenderOptions, rendered};

/// The operator of Panono.
#[derive(Debug, Parser)]
#[command(name = "panono-operator", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

/// Logs.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// A level, or a filter such as `info,panono_operator=debug`
    #[arg(long, env = "PANONO_LOG", default_value = "info", global = true)]
    log: String,
    /// One JSON object a line, or lines for people; without it what fits where they go
    #[arg(long, env = "PANONO_LOG_FORMAT", global = true)]
    log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Json,
    Human,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator, until SIGTERM
    Run(run::RunArgs),
    /// Print the objects of the Shops in a file, without a cluster
    Render(render::RenderArgs),
    /// Show what applying the Shops in a file would change in the cluster. Exit code 0: nothing, 1: something, 2: it failed
    Diff(diff::DiffArgs),
    /// Tell what a reason in a condition means and what to do
    Explain {
        /// The reason, such as `MigrationFailed`; without one all are listed
        reason: Option<String>,
    },
    /// Put the agent and its configuration into a pod of a database; run by the pod's init container
    InstallAgent(install::InstallArgs),
    /// Print the definitions of the custom resources
    Crd,
}

/// What `render` and `diff` read.
#[derive(Debug, Args)]
struct FileArgs {
    /// A file with one or more Shops; `-` for standard input. Secrets in it count as existing
    file: PathBuf,
    /// The namespace of Shops that name none
    #[arg(long, short, default_value = "default")]
    namespace: String,
}

impl FileArgs {
    fn read(&self) -> Result<crate::manifest::Manifest, anyhow::Error> {
        let name = self.file.display();
        let text = if self.file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(&self.file)
        };
        let text = text.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let mut manifest =
            crate::manifest::read(&text).map_err(|problem| anyhow::anyhow!("{name}: {problem}"))?;
        for shop in &mut manifest.shops {
            shop.metadata
                .namespace
                .get_or_insert_with(|| self.namespace.clone());
        }
        Ok(manifest)
    }
}

/// Runs the command. Exit codes: 0 done, 1 failed, 2 wrong arguments; `diff` has its own.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    if let Err(error) = start_log(&cli.log) {
        eprintln!("panono-operator: --log {:?}: {error}", cli.log.log);
        return ExitCode::FAILURE;
    }
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("panono-operator: a TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    let failed = if matches!(cli.command, Command::Diff(_)) {
        2
    } else {
        1
    };
    let result = match cli.command {
        Command::Run(args) => in_runtime(run::run(args)),
        Command::Render(args) => render::run(&args),
        Command::Diff(args) => in_runtime(diff::run(args)),
        Command::Explain { reason } => explain(reason.as_deref()),
        Command::InstallAgent(args) => install::install(&args),
        Command::Crd => crd(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("panono-operator: {error:#}");
            ExitCode::from(failed)
        }
    }
}

type CommandResult = Result<ExitCode, anyhow::Error>;

fn in_runtime(command: impl Future<Output = CommandResult>) -> CommandResult {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

pub(crate) fn start_log(args: &LogArgs) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    use std::io::IsTerminal as _;
    let filter = EnvFilter::try_new(&args.log)?;
    let terminal = std::io::stderr().is_terminal();
    let format = args.log_format.unwrap_or(if terminal {
        LogFormat::Human
    } else {
        LogFormat::Json
    });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Human => lines.try_init(),
    }
}

fn explain(reason: Option<&str>) -> CommandResult {
    let Some(name) = reason else {
        let lines: Vec<String> = Reason::ALL
            .iter()
            .map(|reason| format!("{:<26}{}\n", reason.name(), reason.meaning()))
            .collect();
        return print_out(&lines.concat());
    };
    let reason: Reason = name.parse().map_err(anyhow::Error::msg)?;
    print_out(&format!(
        "{}\n\nWhat it means: {}\nWhat to do:    {}\n",
        reason.name(),
        reason.meaning(),
        reason.advice()
    ))
}

fn crd() -> CommandResult {
    let mut text = String::new();
    for (_, definition) in panono_crds::definitions() {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&panono_crds::to_yaml(&definition).map_err(anyhow::Error::msg)?);
    }
    print_out(&text)
}

/// Prints to standard output. Who reads no further, as `head` does, has what was wanted.
fn print_out(text: &str) -> CommandResult {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
