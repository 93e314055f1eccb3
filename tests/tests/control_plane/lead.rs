//! One operator acts, and it stops when another one does.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use panono_tests::control_plane::{ControlPlane, Gateway, Operator, namespace};
use panono_tests::wait::wait_until;
use serde_json::json;

use super::bed::{LIMIT, alone, change, create, ours, spec};

/// Of two operators one leads. When it is paused for longer than its lease, the other takes over; when it wakes it writes nothing and
/// waits. When the leader ends in order, the next one need not wait for the lease to run out.
#[test]
fn a_deposed_leader_stops_acting() {
    alone(async || {
        let plane = ControlPlane::start().await?;
        let client = plane.client().await?;
        let (first_gateway, second_gateway) = (Gateway::start(&plane)?, Gateway::start(&plane)?);
        let start = |name: &str, gateway: &Gateway| {
            let kubeconfig = plane.kubeconfig(name, &gateway.url(), plane.token())?;
            Operator::start(&kubeconfig, &["--identity", name])
        };
        let first = start("first", &first_gateway)?;
        first.leads().await?;
        let second = start("second", &second_gateway)?;
        let leases: Api<Lease> = Api::namespaced(client.clone(), "default");
        let holder = async || {
            let lease = leases.get("panono-operator").await?;
            anyhow::Ok(
                lease
                    .spec
                    .and_then(|spec| spec.holder_identity)
                    .unwrap_or_default(),
            )
        };
        let namespace = namespace(&client, "lead").await?;
        create(&client, &namespace, "demo", spec()).await?;
        wait_until("objects of the first", LIMIT, async || {
            !ours(&client, &namespace)
                .await
                .unwrap_or_default()
                .is_empty()
        })
        .await?;
        let (status, words) = second.ask("/readyz").await?;
        assert_eq!(
            (status, words.contains("another process leads")),
            (200, true),
            "{words}"
        );
        assert!(
            second_gateway.writes().is_empty(),
            "{:?}",
            second_gateway.writes()
        );

        first.process().pause()?;
        second.leads().await?;
        assert_eq!(holder().await?, "second");
        change(
            &client,
            &namespace,
            "demo",
            json!({"worker": {"replicas": 3}}),
        )
        .await?;
        first_gateway.forget();
        first.process().resume()?;
        wait_until("the first to see that it is deposed", LIMIT, async || {
            let (_, words) = first
                .ask("/readyz")
                .await
                .map_err(|error| error.to_string())?;
            words
                .contains("another process leads")
                .then_some(())
                .ok_or(words)
        })
        .await?;
        first_gateway
            .quiet(Duration::from_secs(5), |_| true)
            .await?;
        assert!(
            first_gateway.writes().is_empty(),
            "{:?}",
            first_gateway.writes()
        );

        second.process().terminate(Duration::from_secs(30)).await?;
        wait_until(
            "the first to lead again, sooner than the lease runs out",
            Duration::from_secs(12),
            async || {
                holder()
                    .await
                    .map_err(|error| error.to_string())
                    .and_then(|name| (name == "first").then_some(()).ok_or(name))
            },
        )
        .await
    });
}
