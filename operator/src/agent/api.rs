//! What operator and agents say to each other: JSON over HTTP/1.1 with mutual TLS.
//!
//! `GET /v1/status` answers [`Status`]. `POST /v1/commands` takes a [`Command`] and answers [`Done`], or a [`Problem`]. Every
//! command may be sent again: who repeats one that was carried out gets the same answer.
//!
//! Sets of transactions are GTID sets in MySQL's notation. Unknown fields are ignored, so that either side may be newer.

use serde::{Deserialize, Serialize};

/// The version of this interface. An agent understands commands of the two versions before, too.
pub const API_VERSION: u32 = 1;

/// Where [`Status`] is.
pub const STATUS_PATH: &str = "/v1/status";

/// Where [`Command`]s go.
pub const COMMANDS_PATH: &str = "/v1/commands";

/// Everything that an agent knows about its member. It is read from the server at most a second ago, see [`Status::age_ms`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of the program.
    pub agent_version: String,
    /// [`API_VERSION`] of the agent.
    pub api_version: u32,
    /// The identity of the pod, from its configuration.
    pub pod_uid: String,
    /// The number of the member, from 0.
    pub ordinal: u32,
    /// The newest epoch that it has heard of, 0 before the first. It is on disk.
    pub epoch: i64,
    /// Milliseconds since the server was last asked with success. Large while it starts, clones or hangs.
    pub age_ms: u64,
    /// What its data directory is.
    pub data: DataDirectory,
    /// What its server does.
    pub server: Server,
    /// The identity of its data, as soon as the server told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// The group as its server sees it. Nothing while the server does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// The last view in which it was with a majority. It is on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_view: Option<LastView>,
    /// Its transactions. Nothing while the server does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Transactions>,
    /// From what its group was made again each time, the oldest first. It is on disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<Base>,
    /// Its volume has hardly any space left.
    #[serde(default)]
    pub full: bool,
    /// It takes part in no group until released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<Fence>,
    /// It has transactions that the group has not, and stays out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    /// Why it could not join, the last time it tried. Nothing once it is online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_error: Option<String>,
    /// The last time that it became the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    /// Settings of the configuration that the server takes at its next start only, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_restart: Vec<String>,
    /// Which passwords accounts have.
    #[serde(default)]
    pub passwords: Passwords,
    /// Which certificate is in use.
    #[serde(default)]
    pub certificate: InUse,
    /// Which settings are in force.
    #[serde(default)]
    pub settings: InUse,
    /// The version for which this member last set the group's protocol, since its agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_for: Option<String>,
}

/// From what a group was made again after an outage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    /// The epoch of the decision.
    pub epoch: i64,
    /// The transactions that the member had from which it was made, as a GTID set.
    pub transactions: String,
}

/// Passwords, by how often they were made. 0 is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Passwords {
    /// Those in the agent's files.
    pub files: i64,
    /// Those that the group's accounts take, as far as this member has applied it; those before may be taken, too.
    pub set: i64,
    /// Those that the group's accounts take with none before them.
    pub only: i64,
    /// Those with which this member reaches the others.
    pub member: i64,
}

/// Something that is in a file and has to be taken over, by digests of its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InUse {
    /// What is in the agent's files.
    pub files: String,
    /// What the server has.
    pub server: String,
}

/// What a data directory is. It is told from a marker beside the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum DataDirectory {
    /// Not looked at yet, or being made.
    #[default]
    Unknown,
    /// Made, and never in a group. Only such a member takes [`Verb::Bootstrap`].
    Fresh,
    /// Of a group.
    Owned {
        /// Its name.
        group_name: String,
    },
    /// Of another group than the configuration says. It is left alone: nothing is started on it that could change it.
    Foreign {
        /// The name of that group; empty for data without a marker.
        group_name: String,
    },
}

/// What a server does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "state",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Server {
    /// It does not run. It is started again within a second, unless the agent is ending.
    #[default]
    Stopped,
    /// Its data directory is made.
    Initialising,
    /// It was started, and does not take connections yet: it may be reading its logs back.
    Starting,
    /// It answers.
    Running {
        /// Its version, such as `9.7.0`.
        version: String,
    },
    /// It takes a copy of another member's data.
    Cloning {
        /// MySQL's name of the stage, such as `FILE COPY`.
        stage: String,
        /// Bytes that are there, of this stage.
        done_bytes: u64,
        /// Bytes that there will be, as far as MySQL can tell.
        total_bytes: u64,
    },
}

/// State of a member of a group (`MEMBER_STATE` of `performance_schema.replication_group_members`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MemberState {
    /// In the group, with all that it needs.
    Online,
    /// In the group, getting what it missed.
    Recovering,
    /// In no group.
    #[default]
    Offline,
    /// It left because something failed.
    Error,
    /// Others do not hear of it.
    Unreachable,
}

/// Role of a member (`MEMBER_ROLE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MemberRole {
    /// Takes writes.
    Primary,
    /// Follows.
    Secondary,
}

/// A group as one member sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// The member's own state.
    pub state: MemberState,
    /// The member's own role; nothing outside of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MemberRole>,
    /// It is online, and more than half of the members are online or recovering. Only with a majority can anything be committed.
    pub majority: bool,
    /// The identity of the primary's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_uuid: Option<String>,
    /// Which view it is; nothing outside of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ViewId>,
    /// All members.
    pub members: Vec<Member>,
    /// Transactions that wait to be applied by this member.
    pub applier_queue: u64,
}

/// A member as another one sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The identity of its data (`server_uuid`).
    pub uuid: String,
    /// `host:port`
    pub address: String,
    /// Its state.
    pub state: MemberState,
    /// Its role; nothing outside of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MemberRole>,
    /// The version of its server.
    pub version: String,
    /// Transactions that wait to be applied by it, as it told the others some seconds ago.
    pub applier_queue: u64,
}

/// Which view of a group. Views of one group are in the order of `(epoch, counter)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewId {
    /// The epoch of the decision by which the group was made (again). 0 as long as the member has not learnt it.
    pub epoch: i64,
    /// The part of MySQL's view identifier that is new each time a group is made.
    pub prefix: String,
    /// Counts the changes of the membership.
    pub counter: u64,
}

/// A view that was on disk before anything was done in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastView {
    /// Which one.
    pub id: ViewId,
    /// The identities of all members' data.
    pub members: Vec<String>,
    /// The identity of the primary's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_uuid: Option<String>,
}

/// Which transactions a member has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transactions {
    /// Applied.
    pub executed: String,
    /// Received from the group, applied or not.
    pub received: String,
    /// Applied, and no longer in its binary log: it cannot give them to others.
    pub purged: String,
}

/// A member was told to take part in no group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    /// The epoch of the command.
    pub epoch: i64,
    /// Why, in words.
    pub reason: String,
}

/// Transactions that a member has and its group has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// Which.
    pub errant: String,
    /// Those of them whose binary logs were copied out of the data directory, to a folder beside it that no command removes.
    pub saved: String,
}

/// A member became the primary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// Which member it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_uuid: Option<String>,
    /// When it took the first write, milliseconds since 1970.
    pub at_ms: u64,
    /// Milliseconds between the last heartbeat of the old primary and the first of this one.
    pub write_gap_ms: u64,
}

/// What the operator tells an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// The identity of the pod that is meant.
    pub pod_uid: String,
    /// The epoch of the decision. One that is lower than the highest that the agent has heard of is refused.
    pub epoch: i64,
    /// What to do.
    pub verb: Verb,
}

/// What an agent can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Verb {
    /// Make the group. Refused unless the data directory is fresh, or this very epoch's attempt was interrupted.
    Bootstrap {
        /// A UUID.
        group_name: String,
    },
    /// Make the group again from this member's data, which the operator has found to be complete. Refused unless the member is
    /// of this group and was fenced in this very epoch. Ends the fence.
    Rebuild {
        /// The group's name.
        group_name: String,
    },
    /// Leave every group, take no writes and no shop's connections, and stay so until [`Verb::Release`] or [`Verb::Rebuild`]
    /// of this epoch or a later one. Refused ([`Code::HasMajority`]) by a member that is online with a majority.
    Fence {
        /// Why, for people.
        reason: String,
    },
    /// End a fence; the member joins by itself.
    Release {},
    /// Make another member the primary. Done at once if it is. Taken by any member that is online with a majority.
    Switchover {
        /// The identity of the new primary's data.
        to_uuid: String,
        /// After so many seconds, 1 to 600, running transactions are ended.
        timeout_seconds: u32,
    },
    /// Leave the group for good, before the pod is deleted. Hands the primary's role over first. It stays out until the agent
    /// starts again or is released.
    Leave {},
    /// Replace the member's data by a copy of another's. Refused while the member is online with a majority, and while it has
    /// errant transactions that are not saved.
    Reclone {
        /// `host:port` of the member to copy.
        donor: String,
        /// Save errant transactions first. Without it a member that has unsaved ones refuses.
        save: bool,
    },
    /// Give the accounts the passwords that are in the agent's files, which must be those of `generation`. Refused by any other
    /// member than the primary. With `discard_old` the passwords before these end; else both can be used.
    RotatePasswords {
        /// How often the passwords were made.
        generation: i64,
        /// End the old passwords.
        discard_old: bool,
    },
    /// Read the certificates again, of the server and of this interface.
    ReloadTls {},
    /// Allow the group what members of this version understand (`group_replication_set_communication_protocol`).
    SetCommunicationProtocol {
        /// Such as `8.0.27`.
        version: String,
    },
    /// Read the configuration again and set what can be set without a restart; [`Status::pending_restart`] has the rest.
    ApplySettings {},
}

/// The answer to a command that was carried out, now or before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// What is so now, in words.
    pub detail: String,
}

/// The answer to a command that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{detail}")]
pub struct Problem {
    /// Which kind.
    pub code: Code,
    /// What is wrong and what to do, in words.
    pub detail: String,
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request is none. 400
    BadRequest,
    /// Another pod is meant. 409
    WrongPod,
    /// A later decision is known. 409
    StaleEpoch,
    /// The data directory is not what the command needs. 409
    WrongData,
    /// The member is online with a majority, which the command would end. 409
    HasMajority,
    /// The member is not in the state that the command needs: not online, not primary, not fenced in this epoch. 409
    WrongState,
    /// Errant transactions are not saved. 409
    Unsaved,
    /// The agent is at another command, or its server does not run yet. Ask again. 503
    Busy,
    /// The server refused. 500
    Failed,
}

impl Code {
    /// The status of the HTTP answer.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::WrongPod
            | Self::StaleEpoch
            | Self::WrongData
            | Self::HasMajority
            | Self::WrongState
            | Self::Unsaved => 409,
            Self::Busy => 503,
            Self::Failed => 500,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Command, DataDirectory, MemberState, Server, Verb};

    #[test]
    fn the_wire_form_stays() {
        let command = Command {
            pod_uid: "p".to_owned(),
            epoch: 3,
            verb: Verb::Bootstrap {
                group_name: "g".to_owned(),
            },
        };
        assert_eq!(
            serde_json::to_string(&command).unwrap(),
            r#"{"podUid":"p","epoch":3,"verb":{"kind":"bootstrap","groupName":"g"}}"#
        );
        let json = |value| serde_json::to_string(&value).unwrap();
        assert_eq!(
            json(DataDirectory::Owned {
                group_name: "g".to_owned()
            }),
            r#"{"kind":"owned","groupName":"g"}"#
        );
        assert_eq!(
            serde_json::to_string(&Server::Cloning {
                stage: "FILE COPY".to_owned(),
                done_bytes: 1,
                total_bytes: 2
            })
            .unwrap(),
            r#"{"state":"cloning","stage":"FILE COPY","doneBytes":1,"totalBytes":2}"#
        );
        assert_eq!(
            serde_json::to_string(&MemberState::Recovering).unwrap(),
            r#""RECOVERING""#
        );
        assert_eq!(
            serde_json::to_string(&Code::StaleEpoch).unwrap(),
            r#""stale-epoch""#
        );
    }

    #[test]
    fn a_verb_with_an_unknown_field_is_none() {
        let text = r#"{"podUid":"p","epoch":1,"verb":{"kind":"release","force":true}}"#;
        assert!(serde_json::from_str::<Command>(text).is_err());
    }
}
