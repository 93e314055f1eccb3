//! `ShopAction`: something that is done to a Shop once.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Something that is done to a Shop once. It stays as a record until somebody deletes it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "panono.dev",
    version = "v1alpha1",
    kind = "ShopAction",
    plural = "shopactions",
    namespaced,
    category = "panono",
    status = "ShopActionStatus",
    derive = "PartialEq",
    doc = "Something that is done to a Shop once: a restart, new passwords, another primary.",
    printcolumn(name = "Shop", type_ = "string", json_path = ".spec.shopName"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "[has(self.restart), has(self.rotateSecrets), has(self.switchover), has(self.reclone), has(self.rebuildGroup)].filter(given, given).size() == 1"
    ).message("give exactly one of restart, rotateSecrets, switchover, reclone and rebuildGroup"),
    validation = Rule::new("self == oldSelf").message("an action cannot be changed: make another one")
)]
pub struct ShopActionSpec {
    /// The Shop, in the same namespace.
    #[schemars(length(min = 1, max = 40))]
    pub shop_name: String,
    /// Replaces the pods of a component, as carefully as a new release does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartAction>,
    /// Generates passwords anew and replaces the pods that use them. The old password of the database works until its server
    /// is restarted once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_secrets: Option<RotateSecretsAction>,
    /// Makes another member of the database the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switchover: Option<SwitchoverAction>,
    /// Replaces the data of a member of the database by a copy of another's. Transactions that only it has are saved first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclone: Option<RecloneAction>,
    /// Makes the database's group again from one member, when it is not proven that this member has everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild_group: Option<RebuildGroupAction>,
}

/// Another primary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwitchoverAction {
    /// The number of the member; without one the member that has least to catch up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 8))]
    pub to: Option<u32>,
}

/// A copy of another member's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecloneAction {
    /// The number of the member.
    #[schemars(range(max = 8))]
    pub member: u32,
}

/// A group that is made again on a human's word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RebuildGroupAction {
    /// The number of the member from which it is made.
    #[schemars(range(max = 8))]
    pub seed: u32,
    /// Transactions (a GTID set) that other members have and the seed has not, and which are given up. Those that nobody who
    /// answers has are given up, too.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub accept_loss_of: String,
    /// `status.database.epoch` at the time of the decision. When it is another by now, the action is refused.
    pub epoch: i64,
}

/// What is restarted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartAction {
    /// The component.
    pub component: Component,
}

/// New passwords.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct RotateSecretsAction {}

/// A part of a shop that has pods.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub enum Component {
    /// The processes that answer shoppers.
    Web,
    /// The processes that purge, schedule and count.
    Worker,
    /// The managed edge.
    Edge,
    /// The managed cache.
    Cache,
    /// The managed database.
    Database,
}

/// What became of an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShopActionStatus {
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<ActionPhase>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completed_at: Option<String>,
}

/// How far an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ActionPhase {
    /// It is done: what it changes is recorded in the Shop, which is being brought there.
    Succeeded,
    /// It cannot be done.
    Failed,
}
