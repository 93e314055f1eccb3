//! All members are down, or no majority is left.

use std::time::Duration;

use anyhow::Context;
use panono_operator::agent::api::{MemberState, Verb};
use panono_tests::agents::{AgentGroup, AgentOptions, Recovery, Writer, faulted_agents, runs};
use panono_tests::wait::wait_until;

const GUARD: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn all_killed_with_unapplied_relay_logs_come_back_with_everything() {
    let group = faulted_agents().await.unwrap();
    for run in 0..runs() {
        group.wait_until_online().await.unwrap();
        let writer = Writer::start(&group).await.unwrap();
        let mut held = Vec::new();
        for index in group.secondaries().await.unwrap() {
            // Nothing is applied on it while this session lives.
            let mut session = group.member(index).admin().await.unwrap();
            sqlx::raw_sql("FLUSH TABLES WITH READ LOCK")
                .execute(&mut session)
                .await
                .unwrap();
            held.push(session);
        }
        writer.more(200).await.unwrap();
        for member in group.members() {
            member.power_off().unwrap();
        }
        drop(held);
        for member in group.members() {
            member.start().unwrap();
        }
        let recovered = group.recover().await.unwrap();
        assert!(matches!(recovered, Recovery::Rebuilt(_)), "{recovered:?}");
        group.wait_until_online().await.unwrap();
        let rows = writer.verify(&group).await.unwrap();
        println!("all killed, run {run}: {recovered:?}; {rows} acknowledged rows, none lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_killed_come_back_through_the_same_recovery() {
    let group = faulted_agents().await.unwrap();
    let writer = Writer::start(&group).await.unwrap();
    writer.more(50).await.unwrap();
    let primary = group.primary().await.unwrap();
    let secondary = group.secondaries().await.unwrap()[0];
    group.member(primary).power_off().unwrap();
    group.member(secondary).power_off().unwrap();
    let left = 3 - primary - secondary;
    wait_until("the last member to give up", GUARD, async || {
        let status = group.member(left).status(group.client()).await?;
        let view = status.view.ok_or_else(|| anyhow::anyhow!("no view"))?;
        anyhow::ensure!(!view.majority, "it sees a majority");
        anyhow::ensure!(
            !matches!(view.state, MemberState::Online | MemberState::Recovering),
            "it is {:?}",
            view.state
        );
        anyhow::Ok(())
    })
    .await
    .unwrap();
    group.member(primary).start().unwrap();
    group.member(secondary).start().unwrap();
    let recovered = group.recover().await.unwrap();
    assert!(matches!(recovered, Recovery::Rebuilt(_)), "{recovered:?}");
    group.wait_until_online().await.unwrap();
    let rows = writer.verify(&group).await.unwrap();
    println!("two of three killed: {recovered:?}; {rows} acknowledged rows, none lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_primarys_disk_nothing_is_decided_by_itself() {
    let group = AgentGroup::start(AgentOptions::default()).await.unwrap();
    let writer = Writer::start(&group).await.unwrap();
    writer.more(50).await.unwrap();
    let primary = group.primary().await.unwrap();
    for member in group.members() {
        member.power_off().unwrap();
    }
    drop(writer);
    let view = group.kept_view(primary).unwrap();
    let lost = view
        .primary_uuid
        .expect("a view without a primary was kept");
    // It committed what no other received: the next number of the group.
    group.member(primary).start().unwrap();
    let unseen = wait_until("the primary to answer", GUARD, async || {
        let executed = group
            .member(primary)
            .value("@@GLOBAL.gtid_executed")
            .await?;
        let numbers = executed
            .split_once(group.name())
            .and_then(|(_, rest)| rest.split(',').next()?.rsplit(['-', ':']).next())
            .and_then(|last| last.trim().parse::<u64>().ok())
            .with_context(|| executed.clone())?;
        anyhow::Ok(format!("{}:{}", group.name(), numbers + 1))
    })
    .await
    .unwrap();
    group
        .member(primary)
        .execute(&format!(
            "SET GLOBAL super_read_only = OFF; SET SESSION gtid_next = '{unseen}'; CREATE DATABASE unseen; \
             SET SESSION gtid_next = 'AUTOMATIC'; SET GLOBAL super_read_only = ON"
        ))
        .await
        .unwrap();
    group.member(primary).power_off().unwrap();
    for index in (0..3).filter(|index| *index != primary) {
        group.member(index).start().unwrap();
    }
    let recovered = group.recover().await.unwrap();
    let Recovery::NeedsDecision(evidence) = recovered else {
        panic!("decided without the primary: {recovered:?}");
    };
    assert_eq!(evidence.len(), 2);
    for (uuid, view, transactions) in &evidence {
        let view = view.as_ref().expect("the evidence has no view");
        assert_eq!(view.primary_uuid.as_ref(), Some(&lost));
        assert_eq!(view.members.len(), 3);
        assert!(!uuid.is_empty() && !transactions.is_empty());
    }
    // Agents took no step by themselves.
    for index in (0..3).filter(|index| *index != primary) {
        let status = group.member(index).status(group.client()).await.unwrap();
        assert_eq!(status.view.unwrap().state, MemberState::Offline);
        assert!(status.fenced.is_some());
    }

    // A human gives up what the primary may have. Others get the numbers of it, and it comes back and is told from them.
    let seed = (0..3).find(|index| *index != primary).unwrap();
    let epoch = group.member(seed).status(group.client()).await.unwrap();
    let epoch = epoch.fenced.expect("it is fenced").epoch;
    group.rebuild(seed, epoch).await.unwrap();
    let other = (0..3).find(|index| ![primary, seed].contains(index));
    group
        .command_of(other.unwrap(), Verb::Release {}, epoch)
        .await
        .unwrap();
    let member = group.member(seed);
    wait_until("the number to be given out again", GUARD, async || {
        let query = format!("GTID_SUBSET('{unseen}', @@GLOBAL.gtid_executed)");
        member.value(&query).await.is_ok_and(|is| is == "1")
    })
    .await
    .unwrap();
    group.member(primary).start().unwrap();
    let quarantine = wait_until(
        "the primary to be told from the others",
        GUARD,
        async || {
            let status = group.member(primary).status(group.client()).await?;
            status
                .quarantine
                .with_context(|| format!("{:?} {:?}", status.view, status.join_error))
        },
    )
    .await
    .unwrap();
    let query = format!("GTID_SUBSET('{unseen}', '{}')", quarantine.errant);
    assert_eq!(member.value(&query).await.unwrap(), "1", "{quarantine:?}");
    // Its data is replaced, and is of the group as it is now.
    let donor = group.member(group.primary().await.unwrap()).address();
    let save = true;
    group
        .command(primary, Verb::Reclone { donor, save })
        .await
        .unwrap();
    group.wait_until_online().await.unwrap();
    let databases = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'unseen'";
    assert_eq!(group.member(primary).value(databases).await.unwrap(), "0");
}
