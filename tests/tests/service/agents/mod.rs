//! Agents under faults: what a group of real servers does when its members are killed, cut off or lost, with a client that
//! writes all the time. One test is one row of the table in docs/agent.md. `SOAK_RUNS` repeats them.

mod api;
mod binary;
mod crash;
mod disk;
mod outage;
mod partition;
mod planned;
mod quarantine;
mod restored;
mod rotation;
mod shop;

use std::time::{Duration, Instant};

use panono_tests::agents::{AgentGroup, Gaps, Writer, runs};

/// Does `fault` with a writer under way, as often as wanted, and prints the gaps in writing. Nothing acknowledged is lost.
async fn with_writer(
    group: &AgentGroup,
    row: &str,
    budget: Duration,
    fault: impl AsyncFn(&Writer) -> anyhow::Result<()>,
) -> Gaps {
    let mut gaps = Gaps::default();
    let mut rows = 0;
    for _ in 0..runs() {
        group.heal().await.unwrap();
        let writer = Writer::start(group).await.unwrap();
        writer.more(20).await.unwrap();
        let start = Instant::now();
        fault(&writer).await.unwrap();
        writer.goes_on().await.unwrap();
        gaps.add(writer.gap_since(start));
        group.heal().await.unwrap();
        rows += writer.verify(group).await.unwrap();
    }
    println!("{row}: {gaps}; budget {budget:?}; {rows} acknowledged rows, none lost");
    gaps
}
