//! Members that are killed.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use panono_tests::agents::{Writer, faulted_agents};
use panono_tests::wait::wait_until;
use rustix::process::Signal;

use super::with_writer;

const GUARD: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_of_the_primary_is_replaced_and_comes_back() {
    let group = faulted_agents().await.unwrap();
    with_writer(
        &group,
        "kill -9 of the primary's server",
        Duration::from_secs(15),
        async |writer| {
            let primary = group.primary().await?;
            let others = group.secondaries().await?;
            let before = group.processes(&others)?;
            let agent = group.member(primary).agent_pid()?;
            group.member(primary).signal_server(Signal::KILL)?;
            writer.more(20).await?;
            group.wait_until_online().await?;
            assert_eq!(group.processes(&others)?, before, "another was touched");
            assert_eq!(group.member(primary).agent_pid()?, agent);
            Ok(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_the_primarys_node_is_survived() {
    let group = faulted_agents().await.unwrap();
    with_writer(
        &group,
        "power-off of the primary",
        Duration::from_secs(20),
        async |writer| {
            let primary = group.primary().await?;
            let others = group.secondaries().await?;
            let before = group.processes(&others)?;
            group.member(primary).power_off()?;
            writer.more(20).await?;
            assert_eq!(group.processes(&others)?, before, "another was touched");
            Ok(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_primary_is_replaced_and_fenced_when_it_wakes() {
    let group = faulted_agents().await.unwrap();
    with_writer(
        &group,
        "pause of the primary's server",
        Duration::from_secs(20),
        async |writer| {
            let primary = group.primary().await?;
            group.member(primary).signal_server(Signal::STOP)?;
            writer.more(20).await?;
            group.member(primary).signal_server(Signal::CONT)?;
            group.wait_until_online().await?;
            assert_ne!(group.primary().await?, primary);
            Ok(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operator_members_die_one_by_one_and_all_come_back() {
    let group = faulted_agents().await.unwrap();
    let writer = Writer::start(&group).await.unwrap();
    for index in 0..3 {
        group.member(index).power_off().unwrap();
        writer.more(5).await.unwrap();
        group.member(index).start().unwrap();
        group.wait_until_online().await.unwrap();
    }
    let start = Instant::now();
    let primary = group.primary().await.unwrap();
    group.member(primary).power_off().unwrap();
    writer.more(20).await.unwrap();
    println!(
        "with no operator: the primary's loss is a gap of {:?}; budget 15 s",
        writer.gap_since(start)
    );
    group.heal().await.unwrap();
    writer.verify(&group).await.unwrap();
}

/// As the kernel does to a container whose memory is too small for what it is to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_disturbs_nobody_and_says_so() {
    let group = faulted_agents().await.unwrap();
    with_writer(
        &group,
        "kill -9 of one server, again and again",
        Duration::from_secs(20),
        async |writer| {
            let primary = group.primary().await?;
            let member = group.member(primary);
            let others = group.secondaries().await?;
            let before = group.processes(&others)?;
            let mut killed = 0;
            let said = wait_until(
                "the member to say that it is in a loop",
                GUARD,
                async || {
                    let server = member.server_pid()?;
                    if server != killed && member.signal_server(Signal::KILL).is_ok() {
                        killed = server;
                    }
                    let status = member.status(group.client()).await?;
                    let words = status.join_error.context("it says nothing")?;
                    anyhow::ensure!(words.contains("times in a row"), "{words}");
                    Ok(words)
                },
            )
            .await?;
            assert!(
                said.contains("SIGKILL") || said.contains("signal: 9"),
                "{said}"
            );
            assert_ne!(group.primary().await?, primary);
            writer.more(20).await?;
            group.wait_until_online().await?;
            assert_eq!(group.processes(&others)?, before, "another was touched");
            Ok(())
        },
    )
    .await;
}
