//! How long nobody can write when the database's primary changes: on purpose, because it is killed, because it is cut off.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::agents::{AgentGroup, Gaps, Writer};

use super::{Measure, median, say};

const RUNS: usize = 20;

/// `write_gap_switchover_ms`
///
/// # Errors
/// When the group does not follow, or a row is lost.
pub async fn switchover(group: &AgentGroup) -> Result<Measure> {
    let measured = gaps(group, async || {
        let next = *group.secondaries().await?.first().context("one member")?;
        group.switch_to(next).await?;
        Ok(())
    });
    let gaps = measured.await?;
    Ok(measure("write_gap_switchover_ms", &gaps, "value<=2000"))
}

/// `write_gap_crash_ms`
///
/// # Errors
/// When the group does not follow, or a row is lost.
pub async fn crash(group: &AgentGroup) -> Result<Measure> {
    let measured = gaps(group, async || {
        let primary = group.primary().await?;
        group.member(primary).signal_server(Signal::KILL)
    });
    let gaps = measured.await?;
    Ok(measure("write_gap_crash_ms", &gaps, "value<=8000"))
}

/// `write_gap_partition_ms`
///
/// # Errors
/// When this machine allows no networks of one's own, the group does not follow, or a row is lost.
pub async fn partition(group: &AgentGroup) -> Result<Measure> {
    let network = group
        .network()
        .context("networks of one's own need root and `ip netns`")?;
    let measured = gaps(group, async || network.isolate(group.primary().await?));
    let gaps = measured.await?;
    Ok(measure("write_gap_partition_ms", &gaps, "value<=10000"))
}

async fn gaps(group: &AgentGroup, fault: impl AsyncFn() -> Result<()>) -> Result<Gaps> {
    let mut gaps = Gaps::default();
    for _ in 0..RUNS {
        let writer = Writer::start(group).await?;
        writer.more(50).await?;
        let start = Instant::now();
        fault().await?;
        // Whoever wrote to the old primary may still have had an answer from it: the gap has passed when the new one answers.
        settled(&writer, start).await?;
        gaps.add(writer.gap_since(start));
        group.heal().await?;
        writer.verify(group).await?;
    }
    Ok(gaps)
}

/// Writes went on for a second after a pause, or there was none worth speaking of.
async fn settled(writer: &Writer, start: Instant) -> Result<()> {
    let noticed = Duration::from_secs(3);
    crate::wait::wait_until("writes to go on", Duration::from_secs(120), async || {
        start.elapsed() >= noticed
    })
    .await?;
    writer.more(50).await
}

fn measure(name: &'static str, gaps: &Gaps, goal: &'static str) -> Measure {
    say(&format!("{name}: {gaps}"));
    Measure::alone(name, median(gaps.milliseconds()), goal)
}
