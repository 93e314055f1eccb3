//! Members that are cut off.

use std::time::Duration;

use panono_tests::agents::{AgentGroup, Network, faulted_agents};
use panono_tests::wait::wait_until;

use super::with_writer;

const GUARD: Duration = Duration::from_secs(240);

/// The group's networks; a machine that allows none is told.
fn networks(group: &AgentGroup) -> Option<&Network> {
    let network = group.network();
    if network.is_none() {
        println!("skipped: networks of one's own need root and `ip netns`");
    }
    network
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_primary_commits_nothing_and_closes_its_doors() {
    let group = faulted_agents().await.unwrap();
    let Some(network) = networks(&group) else {
        return;
    };
    with_writer(
        &group,
        "isolation of the primary",
        Duration::from_secs(20),
        async |writer| {
            let primary = group.primary().await?;
            let others = group.secondaries().await?;
            let before = group.processes(&others)?;
            network.isolate(primary)?;
            let seen = group
                .member(primary)
                .value("@@GLOBAL.gtid_executed")
                .await?;
            writer.more(20).await?;
            wait_until("the old primary to close its doors", GUARD, async || {
                group
                    .member(primary)
                    .value("@@GLOBAL.offline_mode")
                    .await?
                    .eq("1")
                    .then_some(())
                    .ok_or_else(|| anyhow::anyhow!("they are open"))
            })
            .await?;
            let query = format!("GTID_SUBTRACT(@@GLOBAL.gtid_executed, '{seen}')");
            let after = group.member(primary).value(&query).await?;
            let set = group
                .member(others[0])
                .value("@@GLOBAL.gtid_executed")
                .await?;
            let query = format!("GTID_SUBSET('{}', '{}')", line(&after), line(&set));
            assert_eq!(
                group.member(others[0]).value(&query).await?,
                "1",
                "the isolated primary committed {after}"
            );
            assert_eq!(group.processes(&others)?, before, "another was touched");
            network.reconnect(primary)?;
            group.wait_until_online().await
        },
    )
    .await;
}

fn line(text: &str) -> String {
    text.replace('\n', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_secondary_disturbs_nobody() {
    let group = faulted_agents().await.unwrap();
    let Some(network) = networks(&group) else {
        return;
    };
    with_writer(
        &group,
        "isolation of a secondary",
        Duration::from_secs(20),
        async |_| {
            let primary = group.primary().await?;
            let secondary = group.secondaries().await?[0];
            let before = group.processes(&[0, 1, 2])?;
            network.isolate(secondary)?;
            wait_until("the group to go on without it", GUARD, async || {
                let view = group.member(primary).status(group.client()).await?.view;
                anyhow::ensure!(view.is_some_and(|view| view.members.len() == 2), "not yet");
                anyhow::Ok(())
            })
            .await?;
            assert_eq!(group.primary().await?, primary, "the primary changed");
            network.reconnect(secondary)?;
            group.wait_until_online().await?;
            assert_eq!(group.primary().await?, primary, "the primary changed");
            let after = group.processes(&[0, 1, 2])?;
            assert_eq!(after[primary], before[primary], "the primary was touched");
            Ok(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_hears_nothing_is_replaced_once() {
    let group = faulted_agents().await.unwrap();
    let Some(network) = networks(&group) else {
        return;
    };
    with_writer(
        &group,
        "a primary that hears nothing",
        Duration::from_secs(30),
        async |writer| {
            let primary = group.primary().await?;
            let counter = async |index: usize| {
                let status = group.member(index).status(group.client()).await?;
                anyhow::Ok(status.last_view.map_or(0, |view| view.id.counter))
            };
            let other = group.secondaries().await?[0];
            let before = counter(other).await?;
            network.deafen(primary, true)?;
            let went_on = writer.more(20).await;
            let changes = counter(other).await? - before;
            network.deafen(primary, false)?;
            went_on?;
            group.wait_until_online().await?;
            assert!(
                (1..=2).contains(&changes),
                "the group changed {changes} times"
            );
            Ok(())
        },
    )
    .await;
}
