//! What is done on purpose.

use std::time::Duration;

use panono_operator::agent::api::Verb;
use panono_tests::agents::{AgentGroup, AgentOptions, faulted_agents};
use panono_tests::wait::wait_until;

use super::with_writer;

const GUARD: Duration = Duration::from_secs(240);

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

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_certificates_change_without_an_error_to_writers() {
    let group = AgentGroup::start(AgentOptions::default()).await.unwrap();
    let writer = panono_tests::agents::Writer::start(&group).await.unwrap();
    let primary = group.primary().await.unwrap();
    for member in group.members() {
        let folder = member.folder();
        std::fs::copy(folder.join("password"), folder.join("old-password")).unwrap();
        std::fs::write(folder.join("password"), "another password").unwrap();
        group.renew_certificate(member.index()).unwrap();
    }
    let epoch = group.next_epoch();
    for _ in 0..2 {
        // The second time nothing changes: the old password still works.
        let verb = Verb::RotatePasswords { discard_old: false };
        group.command_of(primary, verb, epoch).await.unwrap();
    }
    for index in 0..3 {
        group
            .command_of(index, Verb::ReloadTls {}, epoch)
            .await
            .unwrap();
    }
    writer.more(50).await.unwrap();
    let old = group.member(primary).connect().await;
    assert!(
        old.is_ok(),
        "the old password ended before it should: {old:?}"
    );
    // A member that starts now knows the new ones only from its files, and takes part with them.
    let other = group.secondaries().await.unwrap()[0];
    group.member(other).power_off().unwrap();
    group.member(other).start().unwrap();
    group.wait_until_online().await.unwrap();
    let verb = Verb::RotatePasswords { discard_old: true };
    let primary = group.primary().await.unwrap();
    group.command_of(primary, verb, epoch).await.unwrap();
    wait_until("the old password to end", GUARD, async || {
        group.member(primary).connect().await.is_err()
    })
    .await
    .unwrap();
    drop(writer);
}
