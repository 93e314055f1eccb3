//! What serves and what works.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;

/// The processes that answer shoppers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.autoscaling) || self.autoscaling.minReplicas <= self.autoscaling.maxReplicas")
    .message("autoscaling.minReplicas must not be above autoscaling.maxReplicas"))]
pub struct Web {
    /// How many there are. Not used while `autoscaling` is given: then the autoscaler decides.
    #[serde(default = "defaults::two")]
    #[schemars(range(min = 1, max = 200))]
    pub replicas: u32,
    /// Lets a HorizontalPodAutoscaler decide how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// What each container asks for and may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Connections to the database that each process opens at most.
    #[serde(default = "defaults::web_connections")]
    #[schemars(range(min = 4, max = 200))]
    pub database_connections: u32,
    /// Memory in each process for answers that are ready, such as `64Mi`.
    #[serde(default = "defaults::answers_memory")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,8}(Ki|Mi|Gi)$"))]
    pub answers_memory: String,
    /// Seconds that a request waits for its answer to be made.
    #[serde(default = "defaults::request_deadline")]
    #[schemars(range(min = 1, max = 60))]
    pub request_deadline_seconds: u32,
    /// Seconds that a process which is going still serves, so that balancers notice.
    #[serde(default = "defaults::drain")]
    #[schemars(range(min = 0, max = 600))]
    pub drain_seconds: u32,
    /// Over what the processes are spread, where `media` can be used from several nodes.
    #[serde(default)]
    pub spread: Spread,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            replicas: defaults::two(),
            autoscaling: None,
            resources: None,
            database_connections: defaults::web_connections(),
            answers_memory: defaults::answers_memory(),
            request_deadline_seconds: defaults::request_deadline(),
            drain_seconds: defaults::drain(),
            spread: Spread::default(),
        }
    }
}

/// How many web processes there are, decided by their load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// The fewest.
    #[serde(default = "defaults::two")]
    #[schemars(range(min = 1, max = 200))]
    pub min_replicas: u32,
    /// The most. This many, with their connections, must fit into the database.
    #[schemars(range(min = 1, max = 200))]
    pub max_replicas: u32,
    /// More are started when they use more than this share of the CPU that they ask for.
    #[serde(default = "defaults::cpu_percent")]
    #[schemars(range(min = 10, max = 100))]
    pub cpu_percent: u32,
    /// More are started when each answers more requests a second than this. Needs an adapter that serves the pods' metric
    /// `http_requests_per_second` in `custom.metrics.k8s.io`; without one this target is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_second: Option<u32>,
    /// Seconds for which the load must have been lower before any are stopped.
    #[serde(default = "defaults::scale_down")]
    #[schemars(range(min = 0, max = 3600))]
    pub scale_down_seconds: u32,
}

/// The processes that purge, schedule and count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// How many there are. One does all the work; a second one shortens the pause when a node is lost.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: u32,
    /// What each container asks for and may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Connections to the database that each process opens at most.
    #[serde(default = "defaults::worker_connections")]
    #[schemars(range(min = 4, max = 200))]
    pub database_connections: u32,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            replicas: defaults::one(),
            resources: None,
            database_connections: defaults::worker_connections(),
        }
    }
}

/// Over what pods are spread, as far as there is room.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Spread {
    /// Over zones and nodes.
    #[default]
    Zone,
    /// Over nodes.
    Node,
    /// The scheduler decides.
    None,
}

/// What a container asks for and may use at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is kept for it on its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
    /// What it may use at most. Above the memory it is killed, above the CPU it is slowed down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Amounts>,
}

/// Amounts of CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Amounts {
    /// CPUs, such as `2` or `500m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,5}m?$"))]
    pub cpu: Option<String>,
    /// Bytes, such as `512Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,8}(Ki|Mi|Gi)$"))]
    pub memory: Option<String>,
}
