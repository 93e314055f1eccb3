//! `panono-shop edge-config`

use std::process::ExitCode;

use clap::Args;

use super::CommandResult;

/// Arguments of `edge-config`.
#[derive(Debug, Args)]
pub struct EdgeConfigArgs {}

pub(super) fn run(_args: &EdgeConfigArgs) -> CommandResult {
    Ok(ExitCode::SUCCESS)
}
