//! The EndpointSlice behind the Service for writes: real agents and servers, and an API server that is gone when it matters.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::PostParams;
use panono_operator::agent::config::Durability;
use panono_operator::agent::endpoints::stored;
use panono_tests::agents::{AgentGroup, AgentOptions, SliceOptions, Writer};
use panono_tests::control_plane::{Fault, namespace};
use panono_tests::wait::wait_until;
use serde_json::json;

use super::bed::alone;
use super::faults::Alone;

/// Agents look at their slice every five seconds, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(180);
const NAME: &str = "demo-database-primary";

/// What the slice leads to, and the view in which it was written.
async fn led(slices: &Api<EndpointSlice>) -> Result<(Vec<String>, Option<(i64, u64)>)> {
    let slice = slices.get(NAME).await?;
    let view = stored(&slice);
    let addresses = slice.endpoints.unwrap_or_default();
    let addresses = addresses.into_iter().flat_map(|one| one.addresses);
    Ok((addresses.collect(), view))
}

#[test]
fn writes_go_on_without_an_api_server_and_the_service_follows_when_it_is_back() {
    alone(async || {
        let bed = Alone::start().await?;
        let namespace = namespace(&bed.client, "endpoints").await?;
        let slices: Api<EndpointSlice> = Api::namespaced(bed.client.clone(), &namespace);
        let slice = serde_json::from_value(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": NAME},
            "addressType": "IPv4", "endpoints": [],
        }))?;
        slices.create(&PostParams::default(), &slice).await?;
        let group = AgentGroup::start(AgentOptions {
            durability: Durability::Relaxed,
            networks: false,
            endpoint_slice: Some(SliceOptions {
                namespace,
                name: NAME.to_owned(),
                kubeconfig: bed.kubeconfig("agents")?,
            }),
            ..AgentOptions::default()
        })
        .await?;
        let leads_to = async |index: usize| {
            wait_until("the slice to lead to the primary", LIMIT, async || {
                let (addresses, view) = led(&slices).await?;
                let expected = [group.member(index).pod_address()];
                ensure!(addresses == expected, "it leads to {addresses:?}");
                Ok(view)
            })
            .await
        };
        let first = group.primary().await?;
        leads_to(first).await?;
        let asked_in_vain = async || {
            let asked = bed.gateway.requests().len();
            wait_until("a primary to ask in vain", LIMIT, async || {
                bed.gateway.requests().len() > asked
            })
            .await
        };

        // The API server is gone, then the primary's node: the members decide without it, and who has their addresses writes.
        let writer = Writer::start(&group).await?;
        let others = group.secondaries().await?;
        let processes = group.processes(&others)?;
        bed.gateway.decide(|_| Some(Fault::CutBefore));
        asked_in_vain().await?;
        let before = led(&slices).await?;
        ensure!(before.1.is_some(), "no view is told");
        let start = Instant::now();
        group.member(first).power_off()?;
        writer.more(20).await?;
        println!(
            "loss of the primary without an API server: a gap of {:?}",
            writer.gap_since(start)
        );
        let second = group.primary().await?;
        ensure!(second != first, "it is the same primary");
        ensure!(
            group.processes(&others)? == processes,
            "another was touched"
        );
        asked_in_vain().await?;
        ensure!(
            led(&slices).await? == before,
            "somebody wrote the slice through a gateway that passes nothing"
        );

        // The old primary is back before the API server is, and does not take the slice for itself.
        group.member(first).start()?;
        group.wait_until_online().await?;
        bed.gateway.pass();
        let after = leads_to(second).await?;
        ensure!(
            after > before.1,
            "{after:?} is no later view than {before:?}"
        );
        writer.verify(&group).await?;
        ensure!(group.primary().await? == second, "the primary changed");
        leads_to(second).await?;
        Ok(())
    });
}
