//! What goes wrong between the operator and the API server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use kube::Client;
use panono_tests::control_plane::{
    ControlPlane, Fault, Gateway, Kubelet, Operator, Request, namespace,
};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};

use super::bed::{LIMIT, alone, change, create, ours, reason, spec, versions};

/// A control plane of a test's own, with an operator behind a gateway.
pub struct Alone {
    plane: ControlPlane,
    pub gateway: Gateway,
    pub client: Client,
    _kubelet: Kubelet,
}

impl Alone {
    pub async fn start() -> Result<Self> {
        let plane = ControlPlane::start().await?;
        let client = plane.client().await?;
        Ok(Self {
            gateway: Gateway::start(&plane)?,
            _kubelet: Kubelet::start(client.clone()),
            plane,
            client,
        })
    }

    /// A file that leads to the API server through the gateway.
    pub fn kubeconfig(&self, name: &str) -> Result<PathBuf> {
        self.plane
            .kubeconfig(name, &self.gateway.url(), self.plane.token())
    }

    pub fn operator(&self) -> Result<Operator> {
        let kubeconfig = self.kubeconfig("operator")?;
        // As a container that is started again in its pod: it need not wait until its own lease has run out.
        Operator::start(&kubeconfig, &["--identity", "alone"])
    }
}

/// What the objects of a namespace say, without what differs from Shop to Shop.
async fn content(client: &Client, namespace: &str) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for (name, object) in ours(client, namespace).await? {
        let mut spec = object.data.get("spec").cloned().unwrap_or_default();
        if let Some(spec) = spec.as_object_mut() {
            // The API server and controllers fill these in.
            for field in ["clusterIP", "clusterIPs", "volumeName", "selector"] {
                spec.remove(field);
            }
        }
        let text = spec.to_string().replace(namespace, "NAMESPACE");
        let ignored = name.starts_with("Job ");
        found.insert(
            name,
            if ignored {
                Value::Null
            } else {
                Value::from(text)
            },
        );
    }
    Ok(found)
}

/// The operator is killed at each of its writes in turn, before it is done and after: in the end everything is the same.
#[test]
fn killed_at_any_write_it_comes_to_the_same_end() {
    alone(async || {
        let bed = Alone::start().await?;
        let whole = namespace(&bed.client, "whole").await?;
        let mut operator = bed.operator()?;
        create(&bed.client, &whole, "demo", spec()).await?;
        reason(&bed.client, &whole, "demo", "Serving").await?;
        let wanted = content(&bed.client, &whole).await?;
        let writes = bed.gateway.writes().len();
        assert!(writes > 20, "{writes}");

        let killed = namespace(&bed.client, "killed").await?;
        create(&bed.client, &killed, "demo", spec()).await?;
        for at in 0..writes {
            // Before and after by turns; each operator gets one write further than nothing.
            let cut = Arc::new(AtomicUsize::new(0));
            let noted = Arc::clone(&cut);
            let fault = if at % 2 == 0 {
                Fault::CutBefore
            } else {
                Fault::CutAfter
            };
            let mut seen = 0;
            let here = killed.clone();
            bed.gateway.decide(move |request| {
                if !request.is_write() || !request.path.contains(&here) {
                    return None;
                }
                seen += 1;
                (seen > at % 3).then(|| {
                    noted.store(1, Ordering::Relaxed);
                    fault
                })
            });
            operator.process().kill()?;
            operator = bed.operator()?;
            let done = wait_until(
                "a write to be cut, or nothing left to write",
                Duration::from_secs(40),
                async || {
                    if cut.load(Ordering::Relaxed) > 0 {
                        return Ok(false);
                    }
                    let shop = super::bed::shops(&bed.client, &killed)
                        .get("demo")
                        .await
                        .map_err(|error| error.to_string())?;
                    let conditions = shop.status.unwrap_or_default().conditions;
                    let serves = conditions
                        .first()
                        .is_some_and(|condition| condition.reason == "Serving");
                    serves.then_some(true).ok_or("neither".to_owned())
                },
            )
            .await?;
            if done {
                break;
            }
        }
        bed.gateway.pass();
        operator.process().kill()?;
        let operator = bed.operator()?;
        reason(&bed.client, &killed, "demo", "Serving").await?;
        operator.leads().await?;
        assert_eq!(content(&bed.client, &killed).await?, wanted);
        Ok(())
    });
}

/// Conflicts, throttling, failures, answers that do not come: the operator goes on and comes to its end, and says that it lives.
#[test]
fn a_storm_of_failures_is_survived() {
    alone(async || {
        let bed = Alone::start().await?;
        let operator = bed.operator()?;
        operator.leads().await?;
        let mut count = 0_usize;
        bed.gateway.decide(move |request: &Request| {
            if request.path.contains("/leases") {
                return None;
            }
            count += 1;
            match count % 7 {
                0 => Some(Fault::Answer(429)),
                2 if request.method != "GET" => Some(Fault::Answer(409)),
                3 => Some(Fault::Answer(500)),
                5 => Some(Fault::CutBefore),
                6 if request.method != "GET" => Some(Fault::CutAfter),
                _ => None,
            }
        });
        let namespace = namespace(&bed.client, "storm").await?;
        create(&bed.client, &namespace, "demo", spec()).await?;
        wait_until("most objects, in the storm", LIMIT, async || {
            let found = ours(&bed.client, &namespace)
                .await
                .map_err(|error| error.to_string())?
                .len();
            (found > 5).then_some(()).ok_or(found.to_string())
        })
        .await?;
        assert_eq!(operator.ask("/livez").await?.0, 200);
        bed.gateway.pass();
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        assert!(
            operator
                .metric("panono_operator_reconciles_total{result=\"failed\"")
                .await?
                > 0.0
        );
        operator.process().must_run()
    });
}

/// Answers that do not come: requests end by their limit, nothing hangs, and it goes on when they come again.
#[test]
fn a_silent_api_server_is_survived() {
    alone(async || {
        let bed = Alone::start().await?;
        let operator = bed.operator()?;
        operator.leads().await?;
        bed.gateway.decide(|request: &Request| {
            request
                .is_write()
                .then_some(Fault::Delay(Duration::from_secs(600)))
        });
        let namespace = namespace(&bed.client, "silent").await?;
        create(&bed.client, &namespace, "demo", spec()).await?;
        wait_until("a look to be given up", LIMIT, async || {
            operator
                .metric("panono_operator_reconciles_total{result=\"failed\"")
                .await
                .is_ok_and(|count| count > 0.0)
        })
        .await?;
        assert_eq!(operator.ask("/livez").await?.0, 200);
        bed.gateway.pass();
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        operator.process().must_run()
    });
}

/// An API server that is killed and comes back: the operator lives on, and brings what changed meanwhile.
#[test]
fn a_restarting_api_server_is_survived() {
    alone(async || {
        let bed = Alone::start().await?;
        let operator = bed.operator()?;
        let namespace = namespace(&bed.client, "restart").await?;
        create(&bed.client, &namespace, "demo", spec()).await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        bed.plane.kill_server()?;
        wait_until("the operator to notice", LIMIT, async || {
            operator
                .metric("panono_operator_leader")
                .await
                .is_ok_and(|leads| leads == 0.0)
        })
        .await?;
        assert_eq!(operator.ask("/livez").await?.0, 200);
        bed.plane.start_server().await?;
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"worker": {"replicas": 2}}),
        )
        .await?;
        operator.leads().await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let found = ours(&bed.client, &namespace).await?;
        assert_eq!(
            found["Deployment demo-worker"].data["spec"]["replicas"],
            json!(2)
        );
        operator.process().must_run()
    });
}

/// An operator that starts anew finds everything as it should be: no version changes.
#[test]
fn a_new_operator_changes_nothing() {
    alone(async || {
        let bed = Alone::start().await?;
        let operator = bed.operator()?;
        let namespace = namespace(&bed.client, "anew").await?;
        create(&bed.client, &namespace, "demo", spec()).await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let before = versions(&bed.client, &namespace).await?;
        operator
            .process()
            .terminate(Duration::from_secs(30))
            .await?;
        bed.gateway.forget();
        let operator = bed.operator()?;
        operator.leads().await?;
        wait_until("the Shop to be looked at", LIMIT, async || {
            operator
                .metric("panono_operator_reconciles_total{result=\"ok\"")
                .await
                .is_ok_and(|count| count > 0.0)
        })
        .await?;
        assert_eq!(versions(&bed.client, &namespace).await?, before);
        Ok(())
    });
}
