//! `make soakbackups`: a large backup while a shop sells. `soak [GIB] [MIB_PER_SECOND]`.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result};
use panono_tests::soak;

#[tokio::main]
async fn main() -> Result<()> {
    panono_tests::http::install_tls();
    let mut arguments = std::env::args().skip(1);
    let gib = arguments.next().map_or(Ok(10), |text| text.parse());
    let gib = gib.context("the first argument is a number of GiB")?;
    let bandwidth = arguments.next().map_or(Ok(64), |text| text.parse());
    let bandwidth = bandwidth.context("the second argument is MiB a second")?;
    let run = Box::pin(soak::backup(gib, bandwidth)).await?;
    println!(
        "backup: {} bytes, {} stored, in {:.0} s; restored in {:.0} s, all tables equal",
        run.data_bytes, run.stored_bytes, run.backup_seconds, run.restore_seconds
    );
    println!(
        "checkout p99: {:.0} ms before, {:.0} ms during the backup ({:.2} times; goal: at most 2), {} orders meanwhile",
        run.before_p99_ms,
        run.during_p99_ms,
        run.during_p99_ms / run.before_p99_ms,
        run.orders
    );
    Ok(())
}
