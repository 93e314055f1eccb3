//! Volumes that are full.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use panono_operator::agent::api::MemberState;
use panono_tests::agents::{AgentGroup, AgentOptions, Writer};
use panono_tests::mount::SmallVolume;
use panono_tests::wait::wait_until;

const GUARD: Duration = Duration::from_secs(240);
const BUDGET: Duration = Duration::from_secs(20);
/// For one server and what the test writes.
const MIB: u32 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_without_space_is_replaced_and_says_why_it_is_out() {
    let group = AgentGroup::prepare(&AgentOptions {
        networks: false,
        ..AgentOptions::default()
    })
    .unwrap();
    // Before the first start: it is the one that makes the group, and so the primary.
    let Some(volume) = SmallVolume::over(&group.member(0).volume(), MIB).unwrap() else {
        println!("skipped: volumes of one's own need root and `mount`");
        return;
    };
    for member in group.members() {
        member.start().unwrap();
    }
    group.bootstrap().await.unwrap();
    group.wait_until_online().await.unwrap();
    assert_eq!(group.primary().await.unwrap(), 0);
    let others = [1, 2];
    let before = group.processes(&others).unwrap();
    let writer = Writer::start(&group).await.unwrap();
    writer.more(20).await.unwrap();

    let start = Instant::now();
    volume.fill().unwrap();
    writer.more(20).await.unwrap();
    wait_until(
        "a member to say that its volume is full",
        GUARD,
        async || {
            let status = group.member(0).status(group.client()).await?;
            let state = status.view.map(|view| view.state);
            ensure!(state != Some(MemberState::Online), "it is online");
            let words = status.join_error.context("it says nothing")?;
            // The server may have removed a file that it could not finish.
            let full =
                words.starts_with("its volume is full: ") && words.contains(" of 600 MiB are free");
            ensure!(full, "{words}");
            Ok(())
        },
    )
    .await
    .unwrap();
    let ready = panono_tests::http::client()
        .get(group.member(0).probe("readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    assert_ne!(group.primary().await.unwrap(), 0);
    writer.more(20).await.unwrap();
    println!(
        "full volume of the primary: a gap of {:?}; budget {BUDGET:?}",
        writer.gap_since(start)
    );
    assert_eq!(
        group.processes(&others).unwrap(),
        before,
        "another was touched"
    );

    volume.free().unwrap();
    group.wait_until_online().await.unwrap();
    let status = group.member(0).status(group.client()).await.unwrap();
    assert_eq!(status.join_error, None);
    writer.verify(&group).await.unwrap();
}
