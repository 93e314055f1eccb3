//! What is known of a managed database, and what was decided for it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What is known of a managed database of several members, and the decisions that were recorded before they were carried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// The name of the group (`group_replication_group_name`). Once set it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Counts decisions. Members refuse what was decided before the newest that they have heard of.
    #[serde(default)]
    pub epoch: i64,
    /// Members that there are to be at the moment, on the way to `spec.database.managed.members`.
    #[serde(default)]
    pub replicas: u32,
    /// The size with which claims are made. Claims grow afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_size: Option<String>,
    /// The image with the members' agent, as it was when the group was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_image: Option<String>,
    /// How the group was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapStatus>,
    /// How the group was made again after all members were down, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryStatus>,
    /// What is being done with a member. One thing at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationStatus>,
    /// The passwords of its accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passwords: Option<PasswordsStatus>,
    /// The version of the servers for which the protocol of the group was set last. It is set when all members run that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// The pod of the primary, as the members say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The last change of the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<FailoverStatus>,
    /// The members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberStatus>,
    /// The action that would end a stall, to be reviewed and applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<String>,
}

/// The passwords of a group's accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordsStatus {
    /// How often the passwords were made with which the shop's pods connect.
    pub generation: i64,
    /// They are being changed. Nothing else is done with members meanwhile, as long as all are in the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationStatus>,
}

/// A change of passwords and of the members' certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// How far it is.
    pub phase: RotationPhase,
    /// The number of the new passwords.
    pub generation: i64,
    /// When it began, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: String,
    /// The action that asked for it (the name of a `ShopAction`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// How far a change of passwords is. A phase is recorded before anything in it is done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum RotationPhase {
    /// New passwords and a new certificate are made, in Secrets.
    #[default]
    Making,
    /// Members take them; the passwords before can still be used.
    Setting,
    /// The shop's pods are replaced by some that use the new passwords.
    RollingOut,
    /// No pod uses the passwords before: they end.
    Discarding,
}

/// How far a decision was carried out.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum DecisionPhase {
    /// It was recorded, and may have been carried out.
    #[default]
    InProgress,
    /// It was carried out.
    Done,
}

/// How a group was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapStatus {
    /// How far it is.
    pub phase: DecisionPhase,
    /// The member that begins.
    pub ordinal: u32,
    /// The identity of its pod.
    pub pod_uid: String,
    /// The identity of its claim. On another volume the group is not made again.
    pub claim_uid: String,
    /// The epoch of the decision.
    pub epoch: i64,
    /// The group was found on volumes of an earlier Shop of this name, and taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

/// How a group was made again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryStatus {
    /// How far it is.
    pub phase: DecisionPhase,
    /// The member that begins.
    pub seed: u32,
    /// The identity of its data (`server_uuid`).
    pub server_uuid: String,
    /// The epoch of the decision.
    pub epoch: i64,
    /// Why that member.
    pub rule: RecoveryRule,
    /// What members said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<RecoveryEvidence>,
}

/// Why a member was chosen to begin.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum RecoveryRule {
    /// It is proven to have every acknowledged transaction.
    #[default]
    Proven,
    /// A `ShopAction` said so.
    Ordered,
}

/// What a member said after it had stopped taking part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryEvidence {
    /// Which member.
    pub ordinal: u32,
    /// The identity of its data (`server_uuid`).
    pub server_uuid: String,
    /// Transactions that it has, applied or received.
    pub gtids: String,
    /// The last view of the group that it saw: `epoch:counter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_view: Option<String>,
    /// The primary of that view (`server_uuid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
}

/// What is being done with a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// What.
    pub kind: OperationKind,
    /// With which member; with `Recovery`, all.
    pub ordinal: u32,
    /// The identity of its pod when it began.
    pub pod_uid: String,
    /// The epoch of the decision.
    pub epoch: i64,
    /// When it began, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: String,
    /// The action that asked for it (the name of a `ShopAction`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// Something that is done with a member.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum OperationKind {
    /// Its pod is replaced.
    #[default]
    Replace,
    /// It becomes the primary.
    Switchover,
    /// It leaves the group for good.
    Leave,
    /// Its data is replaced by a copy of another member's.
    Reclone,
    /// No member is in a group: all stop taking part and say what they have.
    Recovery,
}

/// A change of the primary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverStatus {
    /// When it was seen, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The pod before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The pod now.
    pub to: String,
    /// Milliseconds between the last heartbeat that was written before and the first one after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_gap_ms: Option<i64>,
}

/// What is known of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// Its number.
    pub ordinal: u32,
    /// Its state in the group, or what keeps it out of it.
    pub state: MemberState,
    /// The version of its server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The identity of its data (`server_uuid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// Transactions that no other member has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errant: Option<String>,
}

/// The state of a member.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum MemberState {
    /// It does not answer.
    #[default]
    Unknown,
    /// Its server starts.
    Starting,
    /// It looks for its group.
    Waiting,
    /// It catches up.
    Recovering,
    /// It is in the group.
    Online,
    /// It was told not to take part.
    Fenced,
    /// It has transactions that the group has not.
    Quarantined,
}
