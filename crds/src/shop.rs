//! `Shop`: one online shop.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    Backup, Cache, Database, Edge, Fulfilment, Mail, Payments, Risk, ShopStatus, Web, Worker,
    defaults,
};

/// An online shop: what it is called, which release runs, and on what.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "panono.dev",
    version = "v1alpha1",
    kind = "Shop",
    plural = "shops",
    namespaced,
    category = "panono",
    status = "ShopStatus",
    derive = "PartialEq",
    doc = "An online shop. The operator makes and keeps everything that it runs on.",
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name of a Shop has at most 40 lower-case letters, digits and dashes, and begins with a letter"),
    scale(
        spec_replicas_path = ".spec.web.replicas",
        status_replicas_path = ".status.web.replicas",
        label_selector_path = ".status.web.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Web", type_ = "integer", json_path = ".status.web.ready"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Release", type_ = "string", json_path = ".status.release.image", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.database.managed) || ((has(self.web.autoscaling) ? self.web.autoscaling.maxReplicas : self.web.replicas) + 1) * self.web.databaseConnections + (self.worker.replicas + 1) * self.worker.databaseConnections <= self.database.managed.maxConnections - 10"
).message("connections do not fit: (most web replicas + 1) × web.databaseConnections + (worker.replicas + 1) × worker.databaseConnections must not be above database.managed.maxConnections - 10; one more of each runs during a rollout"))]
#[x_kube(validation = Rule::new("!has(self.mail) || has(self.mail.from) || has(self.email)")
    .message("mails need somebody whom they are from: give mail.from or email"))]
#[x_kube(validation = Rule::new("!has(self.backup) || has(self.database.managed)")
    .message("backups are of managed databases: back an external one up where it is run"))]
#[x_kube(validation = Rule::new("!has(self.backup) || !has(self.backup.volume) || !has(self.database.managed) || self.database.managed.members == 1 || self.backup.volume.accessMode == 'ReadWriteMany'")
    .message("a volume for backups of a database of several members is used from several nodes: give backup.volume.accessMode ReadWriteMany, or a bucket"))]
pub struct ShopSpec {
    /// Where shoppers find the shop: scheme and host, such as `https://shop.example.com`. Requests for other hosts are refused.
    #[schemars(
        length(max = 300),
        regex(pattern = "^https?://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$")
    )]
    pub url: String,
    /// Other hosts that the shop answers for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))
    )]
    pub aliases: Vec<String>,
    /// The shop's name, shown on pages.
    #[serde(default = "defaults::name")]
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// The line under the name.
    #[serde(default = "defaults::tagline")]
    #[schemars(length(max = 200))]
    pub tagline: String,
    /// An address for questions, shown on pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254), regex(pattern = "^[^@ ,]+@[^@ ,]+$"))]
    pub email: Option<String>,
    /// Languages, the default first.
    #[serde(default = "defaults::locales")]
    #[schemars(
        length(min = 1, max = 8),
        inner(
            length(max = 35),
            regex(pattern = "^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$")
        )
    )]
    pub locales: Vec<String>,
    /// Currencies by their ISO 4217 codes, the default first.
    #[serde(default = "defaults::currencies")]
    #[schemars(
        length(min = 1, max = 8),
        inner(length(equal = 3), regex(pattern = "^[A-Z]{3}$"))
    )]
    pub currencies: Vec<String>,
    /// The release that runs.
    pub release: Release,
    /// What the shop does at the moment.
    #[serde(default)]
    pub mode: Mode,
    /// The operator changes nothing for this shop as long as this is set, and says so in its status.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What becomes of the data when the Shop is deleted: the volume of a managed database, pictures, and generated passwords.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// The processes that answer shoppers.
    #[serde(default)]
    pub web: Web,
    /// The processes that purge, schedule and count.
    #[serde(default)]
    pub worker: Worker,
    /// Where the data is.
    #[serde(default = "defaults::database")]
    pub database: Database,
    /// Backups of a managed database. Without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// The cache that web processes share.
    #[serde(default = "defaults::cache")]
    pub cache: Cache,
    /// What stands between the shop and its visitors.
    #[serde(default = "defaults::edge")]
    pub edge: Edge,
    /// Where pictures are kept.
    #[serde(default = "defaults::media")]
    pub media: Media,
    /// How visitors come in. Without it there is the Service alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Who takes the money.
    #[serde(default)]
    pub payments: Payments,
    /// Who takes the shop's mails. Without it they wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// What happens after an order was placed.
    #[serde(default)]
    pub fulfilment: Fulfilment,
    /// What becomes of orders by their risk.
    #[serde(default)]
    pub risk: Risk,
    /// What Prometheus is told.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// Whether NetworkPolicies admit only the connections that a shop needs.
    #[serde(default)]
    pub network_policy: NetworkPolicies,
    /// On which nodes pods may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
    /// What is logged: a level, or a filter such as `info,panono_shop::cache=debug`.
    #[serde(default = "defaults::log")]
    #[schemars(length(min = 1, max = 200), regex(pattern = "^[a-zA-Z0-9_:=,]+$"))]
    pub log: String,
}

/// A release of the shop's program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The image of `panono-shop`, best with its digest.
    #[schemars(length(min = 1, max = 500), regex(pattern = "^[^ ]+$"))]
    pub image: String,
    /// When nodes fetch images.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Secrets with which images are fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)))]
    pub pull_secrets: Vec<String>,
    /// Seconds that bringing the database's schema to this release may take. Until it has succeeded the release before it
    /// goes on serving.
    #[serde(default = "defaults::migration_timeout")]
    #[schemars(range(min = 30, max = 86_400))]
    pub migration_timeout_seconds: u32,
}

/// When nodes fetch images.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum PullPolicy {
    /// When they have none.
    #[default]
    IfNotPresent,
    /// At every start.
    Always,
    /// Never: the image is there.
    Never,
}

/// What a shop does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Mode {
    /// It sells.
    #[default]
    Running,
    /// It shows its pages and changes nothing: the shop refuses writes, workers rest, no migration runs. The database goes on as it
    /// is, and whoever else has an account there can write.
    ReadOnly,
    /// Visitors see a page that says so; everything else goes on.
    Maintenance,
    /// Nothing runs. The data stays.
    Hibernated,
}

/// What becomes of the data of a Shop that is deleted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum DeletionPolicy {
    /// It stays, and a Shop of the same name finds it again.
    #[default]
    Retain,
    /// It is deleted, too.
    Delete,
}

/// Where pictures are kept: on a volume or in a bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.volume) != has(self.bucket)")
    .message("give exactly one of media.volume and media.bucket"))]
pub struct Media {
    /// A volume that all web processes share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<MediaVolume>,
    /// A bucket with the interface of S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<MediaBucket>,
}

/// A volume that all web processes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("the volume of pictures cannot be changed: move to a bucket, or make another Shop"))]
pub struct MediaVolume {
    /// Its size, such as `20Gi`.
    #[serde(default = "defaults::media_size")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,6}(Mi|Gi|Ti)$"))]
    pub size: String,
    /// Its storage class; without one the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// `ReadWriteMany`, or `ReadWriteOnce`, with which all web processes run on the same node: `web.spread` does not count, and when that
    /// node is drained or lost, all of them are away until they run on another.
    #[serde(default)]
    pub access_mode: AccessMode,
}

impl Default for MediaVolume {
    fn default() -> Self {
        Self {
            size: defaults::media_size(),
            class_name: None,
            access_mode: AccessMode::default(),
        }
    }
}

/// From where a volume can be written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum AccessMode {
    /// From one node.
    #[default]
    ReadWriteOnce,
    /// From any node.
    ReadWriteMany,
}

/// A bucket with the interface of S3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MediaBucket {
    /// Bucket, folder and settings: `s3://bucket/prefix?region=…&endpoint=…`.
    #[schemars(length(max = 1000), regex(pattern = "^s3://[^ ]+$"))]
    pub url: String,
    /// A Secret with the keys `access-key-id` and `secret-access-key`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// How visitors come in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.ingress) != has(self.gateway)")
    .message("give exactly one of exposure.ingress and exposure.gateway"))]
pub struct Exposure {
    /// Through an Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Through an HTTPRoute of the Gateway API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

/// An Ingress for the shop's hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Its class; without one the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// The Secret with the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret_name: Option<String>,
    /// Annotations, as the Ingress controller wants them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, String>,
}

/// An HTTPRoute for the shop's hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; without one the Shop's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// One of its listeners; without one all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// What Prometheus is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// `Auto`: PodMonitor and PrometheusRule, where the cluster knows these kinds.
    #[serde(default)]
    pub objects: Switch,
    /// Labels of these objects, by which a Prometheus selects them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, String>,
}

/// Whether something is made.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Switch {
    /// Where it is possible.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// Whether connections are restricted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum NetworkPolicies {
    /// Only the connections that a shop needs are admitted.
    #[default]
    Enforce,
    /// The operator makes no policies.
    Off,
}

/// On which nodes pods may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that do not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
    /// The priority of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
}
