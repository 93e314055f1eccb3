//! What is known of an object that exists: enough to see whether it is still as we applied it, and how it is. Pure.

use kube::core::DynamicObject;
use panono_crds::Reason;
use serde_json::{Map, Value};

use crate::names::{COMPONENT_LABEL, SHOP_LABEL};
use crate::object::{Kind, ShopKey};
use crate::ownership;

/// An object that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its identity.
    pub uid: String,
    /// Its version; versions of one kind are in the order of their numbers.
    pub version: u64,
    /// What is ours in it (see [`ownership`]).
    pub fingerprint: Option<u64>,
    /// The identities of its owners.
    pub owners: Vec<String>,
    /// How it is.
    pub health: Health,
    /// For workloads: how many pods are asked for, and whether that number is ours.
    pub replicas: Option<(i64, bool)>,
}

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Being there is all that it does.
    Passive,
    /// A Deployment or StatefulSet.
    Workload(Workload),
    /// A Job.
    Job(JobState),
}

/// How a workload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Pods that are asked for.
    pub wanted: i64,
    /// Pods of the newest template.
    pub updated: i64,
    /// Pods that there are.
    pub total: i64,
    /// Pods that are ready.
    pub ready: i64,
    /// Whether the numbers are about the newest template.
    pub current: bool,
    /// It has made no progress for too long.
    pub stuck: bool,
}

impl Workload {
    /// Whether all that is asked for is there, and nothing else.
    pub fn is_settled(&self) -> bool {
        self.current
            && self.updated >= self.wanted
            && self.ready >= self.wanted
            && self.total == self.wanted
    }
}

/// How a Job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It has neither succeeded nor failed.
    Running,
    /// It has succeeded.
    Succeeded,
    /// It has failed, with the reason.
    Failed(String),
}

/// A pod that cannot do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTrouble {
    /// The component.
    pub part: String,
    /// What kind of trouble it is.
    pub reason: Reason,
    /// The trouble in words.
    pub message: String,
}

/// The Shop to which an object belongs, by its label.
pub fn shop_of(object: &DynamicObject) -> Option<ShopKey> {
    Some(ShopKey {
        namespace: object.metadata.namespace.clone()?,
        name: object.metadata.labels.as_ref()?.get(SHOP_LABEL)?.clone(),
    })
}

/// Whether an EndpointSlice is one that database members write. Those that the cluster makes for Services have the Services'
/// labels, too.
pub fn is_of_agents(slice: &DynamicObject) -> bool {
    slice
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("endpointslice.kubernetes.io/managed-by"))
        .is_some_and(|manager| manager == "panono-agent")
}

/// The version of an object as a number; 0 if it has none.
pub fn version(object: &DynamicObject) -> u64 {
    object
        .metadata
        .resource_version
        .as_ref()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

/// What is known of `object`.
pub fn live(kind: Kind, object: &DynamicObject) -> Live {
    // The fingerprint looks at the object as it is on the wire.
    let mut whole = match &object.data {
        Value::Object(map) => map.clone(),
        _ => Map::new(),
    };
    let health = health(kind, object);
    let wanted = whole
        .get("spec")
        .and_then(|spec| spec.get("replicas"))
        .and_then(Value::as_i64);
    whole.insert(
        "metadata".to_owned(),
        serde_json::to_value(&object.metadata).unwrap_or_default(),
    );
    let whole = Value::Object(whole);
    Live {
        uid: object.metadata.uid.clone().unwrap_or_default(),
        version: version(object),
        fingerprint: ownership::fingerprint(&whole),
        owners: object
            .metadata
            .owner_references
            .iter()
            .flatten()
            .map(|owner| owner.uid.clone())
            .collect(),
        health,
        replicas: wanted.map(|wanted| (wanted, ownership::owns(&whole, &["f:spec", "f:replicas"]))),
    }
}

fn health(kind: Kind, object: &DynamicObject) -> Health {
    let number = |path: &str| object.data.pointer(path).and_then(Value::as_i64);
    match kind {
        Kind::Deployment | Kind::StatefulSet => {
            let wanted = number("/spec/replicas").unwrap_or(1);
            let generation = object.metadata.generation.unwrap_or(0);
            Health::Workload(Workload {
                wanted,
                updated: number("/status/updatedReplicas").unwrap_or(0),
                total: number("/status/replicas").unwrap_or(0),
                ready: number("/status/readyReplicas").unwrap_or(0),
                current: number("/status/observedGeneration").unwrap_or(0) >= generation,
                stuck: condition(&object.data, "Progressing").is_some_and(|condition| {
                    condition.get("status").and_then(Value::as_str) == Some("False")
                }),
            })
        }
        Kind::Job => Health::Job(if let Some(condition) = held(&object.data, "Failed") {
            let text = |field: &str| condition.get(field).and_then(Value::as_str);
            JobState::Failed(format!(
                "{}: {}",
                text("reason").unwrap_or("Failed"),
                text("message").unwrap_or("it says no more")
            ))
        } else if held(&object.data, "Complete").is_some() {
            JobState::Succeeded
        } else {
            JobState::Running
        }),
        _ => Health::Passive,
    }
}

fn condition<'a>(data: &'a Value, kind: &str) -> Option<&'a Value> {
    data.pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

fn held<'a>(data: &'a Value, kind: &str) -> Option<&'a Value> {
    condition(data, kind)
        .filter(|condition| condition.get("status").and_then(Value::as_str) == Some("True"))
}

/// What is wrong with a pod, if anything is that will not pass by itself.
pub fn trouble(pod: &DynamicObject) -> Option<PodTrouble> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let part = pod.metadata.labels.as_ref()?.get(COMPONENT_LABEL)?.clone();
    let name = pod.metadata.name.clone().unwrap_or_default();
    ["initContainerStatuses", "containerStatuses"]
        .iter()
        .filter_map(|list| pod.data.get("status")?.get(list)?.as_array())
        .flatten()
        .find_map(|container| {
            let waiting = container.pointer("/state/waiting");
            let text = |field: &str| {
                waiting
                    .and_then(|waiting| waiting.get(field))
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let image = container
                .get("image")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let restarts = container
                .get("restartCount")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            let ready = container.get("ready").and_then(Value::as_bool) == Some(true)
                || container
                    .pointer("/state/terminated/exitCode")
                    .and_then(Value::as_i64)
                    == Some(0);
            let (reason, message) = match text("reason") {
                "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => (
                    Reason::ImageUnavailable,
                    format!("pod {name} cannot have the image {image:?}"),
                ),
                "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => (
                    Reason::PodsFailing,
                    format!("pod {name} cannot be started: {}", text("message")),
                ),
                "CrashLoopBackOff" => (
                    Reason::PodsFailing,
                    format!("pod {name} ends again and again"),
                ),
                _ if restarts >= 3 && !ready => (
                    Reason::PodsFailing,
                    format!("pod {name} ends again and again"),
                ),
                _ => return None,
            };
            Some(PodTrouble {
                part: part.clone(),
                reason,
                message,
            })
        })
}
