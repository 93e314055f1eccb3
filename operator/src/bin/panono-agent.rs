//! The program `panono-agent`.

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    panono_operator::agent::command::run(panono_operator::agent::command::Cli::parse())
}
