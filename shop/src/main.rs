//! `panono-shop`: one binary for everything a shop runs.

use clap::Parser;
use panono_shop::command::{self, Cli};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    command::run(cli)
}
