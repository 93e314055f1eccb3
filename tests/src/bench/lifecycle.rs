//! How soon a web process serves, and how much memory it takes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::http;
use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::valkey::Valkey;

use super::bed::{Bed, read_all};
use super::{Measure, median, say};

const STARTS: usize = 9;
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(1);
/// Pages that the memory bench reads.
pub const PAGES: usize = 1000;
const REQUESTS: usize = 10_000;
const CONCURRENCY: usize = 16;

/// Milliseconds from the start of `serve` until it says that it is ready: `start_to_ready_ms`.
///
/// # Errors
/// When it does not get ready.
pub async fn start_to_ready(bed: &Bed<'_>) -> Result<Measure> {
    let mut milliseconds = Vec::new();
    for _ in 0..STARTS {
        milliseconds.push(start(bed).await?.as_secs_f64() * 1000.0);
    }
    say(&format!("milliseconds of each start: {milliseconds:.0?}"));
    Ok(Measure::alone(
        "start_to_ready_ms",
        median(milliseconds),
        "value<=300",
    ))
}

async fn start(bed: &Bed<'_>) -> Result<Duration> {
    let (folder, port, operations) = (Folder::new("shop")?, Port::take()?, Port::take()?);
    let mut command = bed.environment.command(&["serve"])?;
    command
        .env("PANONO_LISTEN", port.address().to_string())
        .env("PANONO_OPS_LISTEN", operations.address().to_string())
        .env("PANONO_PUBLIC_URL", format!("http://{}", port.address()));
    let client = http::client();
    let url = format!("http://{}/readyz", operations.address());
    let started = Instant::now();
    let process = Process::start("panono-shop serve", command, &folder.path().join("log"))?;
    loop {
        if let Ok(answer) = client.get(&url).send().await
            && answer.status().is_success()
        {
            return Ok(started.elapsed());
        }
        process.must_run()?;
        ensure!(
            started.elapsed() < START_LIMIT,
            "the process did not get ready within {START_LIMIT:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Mebibytes that a web process with the default settings and a cache server holds after some traffic: `resident_mib`.
///
/// # Errors
/// When a server does not start, or answers with an error.
pub async fn resident(bed: &Bed<'_>) -> Result<Measure> {
    let valkey = Valkey::start().await?;
    let shop = bed
        .environment
        .clone()
        .with_cache(&valkey.url())
        .serve()
        .await?;
    let pages = bed.some(0, PAGES)?;
    let urls: Vec<String> = pages
        .iter()
        .cycle()
        .take(REQUESTS)
        .map(|product| format!("{}{}", shop.url(), product.html()))
        .collect();
    read_all(&http::client(), urls, CONCURRENCY).await?;
    let resident = crate::process::resident_mib(shop.process().id())?;
    Ok(Measure::alone("resident_mib", resident, "value<=64"))
}
