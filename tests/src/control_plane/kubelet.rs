//! Somebody else's part of a cluster, as far as controllers see it: pods start and become ready, or do not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The number of the next pod's address. Clusters of one program share them: something may listen at each.
static ADDRESS: AtomicU32 = AtomicU32::new(1);

/// Answers for every pod of a cluster. It ends with this value.
///
/// What becomes of a pod is in the images of its containers: one whose name has `missing` in it cannot be fetched; a pod that
/// migrates fails where the name has `broken` in it, and else ends well; what has `crashing` in it ends again and again; all others
/// become ready. A container that backs up or restores ends with the report that its program would leave; where the program comes
/// from an image whose name has `bad` in it, it finds what it restores for trial to be bad.
#[derive(Debug)]
pub struct Kubelet {
    task: JoinHandle<()>,
}

impl Kubelet {
    /// Starts one.
    pub fn start(client: Client) -> Self {
        Self {
            task: tokio::spawn(serve(client)),
        }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: Client) {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut events = watcher(pods, watcher::Config::default()).boxed();
    let mut addresses: HashMap<String, u32> = HashMap::new();
    while let Some(event) = events.next().await {
        let pod = match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => pod,
            Ok(_) => continue,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let name = pod.name_any();
        if pod.metadata.deletion_timestamp.is_some() {
            let now = DeleteParams {
                grace_period_seconds: Some(0),
                ..DeleteParams::default()
            };
            api.delete(&name, &now).await.ok();
            continue;
        }
        let address = *addresses
            .entry(pod.uid().unwrap_or_default())
            .or_insert_with(|| ADDRESS.fetch_add(1, Ordering::Relaxed));
        let status = status(&pod, address);
        let reached = pod.status.as_ref().is_some_and(|status_now| {
            status_now.phase.as_deref() == status["phase"].as_str()
                && status_now.container_statuses.is_some()
        });
        if !reached {
            api.patch_status(
                &name,
                &PatchParams::default(),
                &Patch::Merge(json!({"status": status})),
            )
            .await
            .ok();
        }
    }
}

fn status(pod: &Pod, address: u32) -> Value {
    let Some(spec) = &pod.spec else {
        return json!({"phase": "Pending"});
    };
    let containers = spec.containers.iter();
    let image = |container: &k8s_openapi::api::core::v1::Container| {
        container.image.clone().unwrap_or_default()
    };
    let any = |word: &str| {
        spec.containers
            .iter()
            .any(|container| image(container).contains(word))
    };
    let migrates = spec.restart_policy.as_deref() == Some("Never");
    let (phase, state, ready) = if any("missing") {
        (
            "Pending",
            json!({"waiting": {"reason": "ImagePullBackOff", "message": "not there"}}),
            false,
        )
    } else if migrates && any("broken") {
        (
            "Failed",
            json!({"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T00:00:01Z"}}),
            false,
        )
    } else if migrates {
        (
            "Succeeded",
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-01T00:00:01Z"}}),
            false,
        )
    } else if any("crashing") {
        (
            "Running",
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "again and again"}}),
            false,
        )
    } else {
        (
            "Running",
            json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}),
            true,
        )
    };
    let bad = spec
        .init_containers
        .iter()
        .flatten()
        .any(|container| image(container).contains("bad"));
    let (phase, state) = match containers
        .clone()
        .find(|container| container.name == "backup")
    {
        Some(container) if phase != "Pending" => report(container, bad),
        _ => (phase, state),
    };
    let statuses: Vec<Value> = containers
        .map(|container| {
            json!({
                "name": container.name,
                "image": image(container),
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": 0,
                "state": state,
            })
        })
        .collect();
    let begun: Vec<Value> = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|container| container.name == "restore")
        .map(|container| {
            let first = pod.metadata.name.as_deref().is_some_and(|name| name.ends_with("-0"));
            let words = if first { report(container, false).1 } else { json!({"terminated": {"exitCode": 0, "message": "{}"}}) };
            json!({"name": container.name, "image": image(container), "imageID": "", "ready": true, "restartCount": 0, "state": words})
        })
        .collect();
    let truth = if ready { "True" } else { "False" };
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    json!({
        "phase": phase,
        // Whoever stands for what runs in it can listen there, also beside another program of tests.
        "podIP": format!(
            "127.{}.{}.{}",
            100 + std::process::id() % 100,
            address / 250 % 250,
            address % 250 + 1
        ),
        "startTime": "2026-01-01T00:00:00Z",
        "containerStatuses": statuses,
        "initContainerStatuses": begun,
        "conditions": [
            condition("PodScheduled", "True"),
            condition("Initialized", "True"),
            condition("ContainersReady", truth),
            condition("Ready", truth),
        ],
    })
}

/// The last words of a container of backups.
fn report(container: &k8s_openapi::api::core::v1::Container, bad: bool) -> (&'static str, Value) {
    let verb = container.args.iter().flatten().next().map(String::as_str);
    let backup = "20260101T000000Z-0011aabb";
    let gtid = "6f1c2b9e-0000-4000-8000-0000000000aa:1-5";
    let (code, words) = match verb {
        Some("take") => (
            0,
            json!({"backup": backup, "takenAt": jiff::Timestamp::now().to_string(), "bytes": 1000, "storedBytes": 300, "gtid": gtid}),
        ),
        Some("verify") if bad => (
            3,
            json!({"backup": backup, "passed": false, "message": "the restored tables differ: panono.orders"}),
        ),
        Some("verify") => (
            0,
            json!({"backup": backup, "passed": true, "gtid": gtid, "tables": 40, "restoreSeconds": 411.2}),
        ),
        Some("restore") if bad => (1, json!({"message": "the archive reaches 2026 only"})),
        _ => (
            0,
            json!({"backup": backup, "gtid": gtid, "tables": 40, "restoreSeconds": 3.5}),
        ),
    };
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let reason = if code == 0 { "Completed" } else { "Error" };
    (
        phase,
        json!({"terminated": {"exitCode": code, "reason": reason, "message": words.to_string(), "finishedAt": "2026-01-01T00:00:01Z"}}),
    )
}
