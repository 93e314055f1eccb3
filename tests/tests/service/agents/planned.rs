//! What is done on purpose.

use std::time::Duration;

use panono_operator::agent::api::Verb;
use panono_tests::agents::faulted_agents;

use super::with_writer;

#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_loses_nothing() {
    let group = faulted_agents().await.unwrap();
    with_writer(&group, "switchover", Duration::from_secs(3), async |_| {
        let secondaries = group.secondaries().await?;
        let before = group.processes(&[0, 1, 2])?;
        group.switch_to(secondaries[0]).await?;
        assert_eq!(group.primary().await?, secondaries[0]);
        assert_eq!(
            group.processes(&[0, 1, 2])?,
            before,
            "a process was touched"
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_primary_hands_its_role_over_first() {
    let group = faulted_agents().await.unwrap();
    with_writer(
        &group,
        "deletion of the primary",
        Duration::from_secs(5),
        async |writer| {
            let primary = group.primary().await?;
            let others = group.secondaries().await?;
            let before = group.processes(&others)?;
            group.member(primary).delete().await?;
            writer.more(20).await?;
            // It left in order, so that nobody waits for it.
            let next = group.primary().await?;
            let view = group
                .member(next)
                .status(group.client())
                .await?
                .view
                .unwrap();
            assert_eq!(view.members.len(), 2, "the deleted member is waited for");
            assert_eq!(group.processes(&others)?, before, "another was touched");
            let told = group.member(next).status(group.client()).await?.failover;
            let told = told.expect("the new primary tells no gap");
            println!("  told by the agent: {} ms", told.write_gap_ms);
            Ok(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_leaves_is_not_counted_and_stays_out_until_released() {
    let group = faulted_agents().await.unwrap();
    let primary = group.primary().await.unwrap();
    let epoch = group.next_epoch();
    group
        .command_of(primary, Verb::Leave {}, epoch)
        .await
        .unwrap();
    let next = group.primary().await.unwrap();
    assert_ne!(next, primary);
    let status = group.member(next).status(group.client()).await.unwrap();
    assert_eq!(status.view.unwrap().members.len(), 2);
    group
        .command_of(primary, Verb::Release {}, epoch)
        .await
        .unwrap();
    group.wait_until_online().await.unwrap();
}
