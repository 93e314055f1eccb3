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
    doc = "Something that is done to a Shop once: a restart, new passwords.",
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
    validation = Rule::new("has(self.restart) != has(self.rotateSecrets)")
        .message("give exactly one of restart and rotateSecrets"),
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
