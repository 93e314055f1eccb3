//! The agents' interface: who may ask, and what is refused.

use std::time::Duration;

use panono_operator::agent::api::{Code, Command, DataDirectory, Verb};
use panono_operator::agent::client::AskError;
use panono_tests::agents::{AgentGroup, AgentOptions, faulted_agents};
use panono_tests::wait::wait_until;

const GUARD: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pod_and_epoch_that_are_meant_make_a_group_and_only_once() {
    let group = AgentGroup::prepare(&AgentOptions {
        members: 1,
        networks: false,
        ..AgentOptions::default()
    })
    .unwrap();
    let member = group.member(0);
    member.start().unwrap();
    // A fresh member makes no group by itself.
    wait_until("the member to be fresh and running", GUARD, async || {
        let status = member.status(group.client()).await?;
        anyhow::ensure!(status.data == DataDirectory::Fresh, "{:?}", status.data);
        anyhow::ensure!(status.join_error.is_some(), "it has not looked for a group");
        anyhow::ensure!(
            status
                .transactions
                .is_some_and(|sets| sets.executed.is_empty()),
            "it owns transactions"
        );
        anyhow::Ok(())
    })
    .await
    .unwrap();
    let name = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
    let ask = async |pod: &str, epoch: i64, name: &str| {
        let command = Command {
            pod_uid: pod.to_owned(),
            epoch,
            verb: Verb::Bootstrap {
                group_name: name.to_owned(),
            },
        };
        group
            .client()
            .command(&member.api(), &command)
            .await
            .map_err(|error| error.code())
    };
    let own = member.pod_uid();
    assert_eq!(ask("another", 4, name).await, Err(Some(Code::WrongPod)));
    let made = ask(&own, 4, name).await.unwrap();
    // The answer may be lost: the same again is answered, and changes nothing.
    assert!(made.detail.contains("made"));
    ask(&own, 4, name).await.unwrap();
    assert_eq!(ask(&own, 3, name).await, Err(Some(Code::StaleEpoch)));
    assert_eq!(ask(&own, 5, name).await, Err(Some(Code::WrongData)));
    let status = member.status(group.client()).await.unwrap();
    assert_eq!(status.epoch, 4, "a refused command raised the epoch");
    assert!(matches!(status.data, DataDirectory::Owned { .. }));
    // What it is survives its end, with the epoch.
    member.power_off().unwrap();
    member.start().unwrap();
    wait_until("the member to answer again", GUARD, async || {
        ask(&own, 5, name).await.err().flatten() == Some(Code::WrongData)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_certificate_is_not_answered() {
    let group = faulted_agents().await.unwrap();
    let api = group.member(0).api();
    let without = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let answer = without.get(format!("https://{api}/v1/status")).send().await;
    assert!(answer.is_err(), "{answer:?}");
    let plain = panono_tests::http::client();
    let answer = plain.get(format!("http://{api}/v1/status")).send().await;
    assert!(answer.is_err(), "{answer:?}");
    let stranger = AgentGroup::prepare(&AgentOptions {
        members: 1,
        networks: false,
        ..AgentOptions::default()
    })
    .unwrap();
    let refused = stranger.client().status(&api).await.unwrap_err();
    assert!(matches!(refused, AskError::Unreachable { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_tell_what_is_so() {
    let group = faulted_agents().await.unwrap();
    let primary = group.primary().await.unwrap();
    let http = panono_tests::http::client();
    let metrics = http
        .get(group.member(primary).probe("metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in [
        "panono_agent_member_online 1",
        "panono_agent_member_primary 1",
        "panono_agent_member_majority 1",
        "panono_agent_quarantined 0",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    let secondary = group.secondaries().await.unwrap()[0];
    let epoch = group.next_epoch();
    group
        .command_of(secondary, Verb::Leave {}, epoch)
        .await
        .unwrap();
    let member = group.member(secondary);
    wait_until("a member that left not to be ready", GUARD, async || {
        http.get(member.probe("readyz"))
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 503)
    })
    .await
    .unwrap();
    // Alive is another thing.
    let alive = http.get(member.probe("livez")).send().await.unwrap();
    assert_eq!(alive.status(), 200);
    member.delete().await.unwrap();
    group.heal().await.unwrap();
}
