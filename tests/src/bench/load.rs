//! A load generator on a processor of its own, and rounds that take turns.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::Process;
use crate::tools;

use super::{median, say};

/// The processor for what is measured.
pub const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
const CONNECTIONS: usize = 64;
const ROUND: &str = "3s";
const WARM_UP: &str = "1s";
const ROUNDS: usize = 7;

/// Two servers under the same load in turns; the medians of their requests per second.
///
/// # Errors
/// When a request is answered with an error.
pub async fn compare(url: &str, yardstick: &str) -> Result<(f64, f64)> {
    for url in [url, yardstick] {
        requests_per_second(url, WARM_UP).await?;
    }
    let (mut of_shop, mut of_yardstick) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_shop.push(requests_per_second(url, ROUND).await?);
        of_yardstick.push(requests_per_second(yardstick, ROUND).await?);
    }
    say(&format!(
        "requests/s in each round: {of_shop:.0?}, yardstick {of_yardstick:.0?}"
    ));
    Ok((median(of_shop), median(of_yardstick)))
}

async fn requests_per_second(url: &str, duration: &str) -> Result<f64> {
    let output = tokio::process::Command::new("taskset")
        .args(["-c", &LOAD_CORE.to_string()])
        .arg(tools::program("wrk")?)
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{duration}")])
        // What an edge asks an origin for.
        .args(["-H", "Accept-Encoding: gzip", url])
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to run taskset (util-linux) with wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "wrk failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&text)
}

fn parse(text: &str) -> Result<f64> {
    for line in text.lines() {
        if line.contains("Non-2xx") || line.contains("Socket errors") {
            bail!("the load was not answered well: {}", line.trim());
        }
    }
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"))
        .and_then(|rate| rate.trim().parse().ok())
        .with_context(|| format!("wrk did not say how many requests there were: {text}"))
}

/// Keeps a process with all of its threads and children on [`SERVER_CORE`].
///
/// # Errors
/// When the machine has one processor only, or there is no `taskset`.
pub fn pin(process: &Process) -> Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, Into::into);
    ensure!(
        processors > LOAD_CORE,
        "this bench needs two processors: one for the server and one for the load"
    );
    for id in family(process.id())? {
        let output = Command::new("taskset")
            .args(["-a", "-p", "-c", &SERVER_CORE.to_string(), &id.to_string()])
            .output()
            .context("failed to run taskset (util-linux)")?;
        ensure!(
            output.status.success(),
            "taskset: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// A process with its children and its group.
fn family(id: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("failed to list processes")? {
        let entry = entry.context("failed to list processes")?;
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if process == id || parents(&entry.path()).is_some_and(|parents| parents.contains(&id)) {
            found.push(process);
        }
    }
    Ok(found)
}

/// The parent and the group of a process: the second and third word after its name.
fn parents(folder: &Path) -> Option<[u32; 2]> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    Some([words.next()?.parse().ok()?, words.next()?.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_a_load_that_was_answered_well_counts() {
        let good =
            "  800 requests in 4.00s, 1.00MB read\nRequests/sec:  12345.67\nTransfer/sec: 1MB\n";
        assert!((parse(good).unwrap() - 12345.67).abs() < 0.001);
        let refused = format!("{good}  Non-2xx or 3xx responses: 3\n");
        assert!(parse(&refused).unwrap_err().to_string().contains("Non-2xx"));
        assert!(parse("unable to connect").is_err());
    }
}
