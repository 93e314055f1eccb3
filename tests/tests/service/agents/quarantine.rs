//! A member that has transactions of its own.

use std::time::Duration;

use panono_operator::agent::api::{Code, Verb};
use panono_operator::agent::client::AskError;
use panono_tests::agents::faulted_agents;
use panono_tests::wait::wait_until;

const GUARD: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_errant_transactions_stays_out_and_they_are_kept() {
    let group = faulted_agents().await.unwrap();
    let index = group.secondaries().await.unwrap()[0];
    let member = group.member(index);
    let donor = group.member(group.primary().await.unwrap()).address();
    let epoch = group.next_epoch();
    // A member that takes part is not copied over.
    let reclone = |save| Verb::Reclone {
        donor: donor.clone(),
        save,
    };
    let refused = group
        .command_of(index, reclone(true), epoch)
        .await
        .unwrap_err();
    let Some(AskError::Refused { problem, .. }) = refused.downcast_ref() else {
        panic!("{refused:#}");
    };
    assert_eq!(problem.code, Code::HasMajority);
    // Somebody writes on the member while it is out of the group.
    group
        .command_of(index, Verb::Leave {}, epoch)
        .await
        .unwrap();
    member
        .execute(
            "SET GLOBAL super_read_only = OFF; CREATE DATABASE errant_one; SET GLOBAL super_read_only = ON",
        )
        .await
        .unwrap();
    let uuid = member.value("@@GLOBAL.server_uuid").await.unwrap();
    member.power_off().unwrap();
    member.start().unwrap();
    let quarantine = wait_until("the member to be in quarantine", GUARD, async || {
        let status = member.status(group.client()).await?;
        let found = status
            .quarantine
            .ok_or_else(|| anyhow::anyhow!("{:?}", status.join_error))?;
        anyhow::ensure!(found.saved == found.errant, "not saved: {found:?}");
        anyhow::Ok(found)
    })
    .await
    .unwrap();
    assert_eq!(quarantine.errant, format!("{uuid}:1"));
    let folder = std::fs::read_dir(member.volume().join("agent"))
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("errant-"))
        .expect("nothing was kept")
        .path();
    let kept = std::fs::read_dir(&folder).unwrap().flatten().any(|entry| {
        std::fs::read(entry.path()).is_ok_and(|bytes| {
            bytes
                .windows(b"errant_one".len())
                .any(|part| part == b"errant_one")
        })
    });
    assert!(kept, "the kept binary logs do not have the statement");
    assert!(
        member.value("@@GLOBAL.offline_mode").await.unwrap() == "1",
        "a member in quarantine takes connections"
    );
    // A human has looked: it is replaced by a copy, and takes part again.
    let epoch = group.next_epoch();
    group
        .command_of(index, reclone(false), epoch)
        .await
        .unwrap();
    group.wait_until_online().await.unwrap();
    let databases = member
        .value("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'errant_one'")
        .await
        .unwrap();
    assert_eq!(databases, "0");
    assert!(folder.join("gtids").exists(), "the kept logs are gone");
}
