//! Logs and metrics of the process.

use std::io::IsTerminal;

use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::args::{LogArgs, LogFormat};

/// Starts logging to standard error.
///
/// # Errors
/// When the filter is not one, or logging was started before.
pub fn start(args: &LogArgs) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&args.filter)
        .map_err(|error| format!("PANONO_LOG: {:?} is not a filter: {error}", args.filter))?;
    let terminal = std::io::stderr().is_terminal();
    let format = args.format.unwrap_or(if terminal {
        LogFormat::Human
    } else {
        LogFormat::Json
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE);
    match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        LogFormat::Human => builder.with_ansi(terminal).with_target(false).try_init(),
    }
}

/// The text of all metrics, in the OpenMetrics format.
#[must_use]
pub fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, registry);
    text
}
