//! What is known of a Shop.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{BackupStatus, Component, DatabaseStatus, RestoreStatus};

/// What is known of a Shop. It is computed from what was seen, never from what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShopStatus {
    /// The generation of the Shop that this describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether it serves, whether it changes, and what it is stuck on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// The release that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseStatus>,
    /// The web processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<WorkloadStatus>,
    /// The generated passwords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsStatus>,
    /// The managed database, where it has several members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,
    /// Its backups, where the Shop has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
    /// How its database began from a backup, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreStatus>,
    /// The action that restarted a component last, by the component. Pods made before it are replaced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<Component, String>,
}

/// One thing that is true, false or not known of a Shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// The generation of the Shop for which it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` changed last, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, from the list in docs/operator.md.
    pub reason: String,
    /// Why, in words, and what to do.
    pub message: String,
}

/// What a condition is about. `Ready`, `Reconciling` and `Stalled` are read by kstatus, Flux and Argo CD.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum ConditionType {
    /// The shop is as the Shop says, and serves.
    Ready,
    /// It is being brought there.
    Reconciling,
    /// It cannot be brought there without a human.
    Stalled,
    /// Visitors are served, though perhaps not yet as the Shop says.
    Available,
    /// The database's schema is that of the release.
    Migrated,
    /// A member of the managed database takes writes. Only where it has several members.
    DatabaseWritable,
    /// One member of the managed database can be lost without loss of service. Only where it has several members.
    DatabaseRedundant,
    /// There is a full backup that is not too old. Only where the Shop has backups.
    BackupFresh,
    /// The newest backup was restored for trial not too long ago, and was good. Only where the Shop has backups.
    BackupVerified,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ConditionStatus {
    /// It is.
    True,
    /// It is not.
    False,
    /// It is not known.
    Unknown,
}

/// The release that serves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// The image for which the schema was migrated last: the one that web processes run, or are being brought to.
    pub image: String,
}

/// How many of a workload's pods there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// All.
    pub replicas: i32,
    /// Those that serve.
    pub ready: i32,
    /// The labels by which autoscalers find them.
    pub selector: String,
}

/// The generated passwords.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// How often they were generated; pods are replaced when it changes.
    pub generation: i64,
}
