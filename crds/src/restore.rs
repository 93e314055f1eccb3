//! A database that begins from a backup.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{BackupBucket, RestorePoint, WorkPhase};

/// A backup from which the database begins, when it is made. It is read and never written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.bucket) != has(self.volume)")
    .message("give exactly one of restore.bucket and restore.volume"))]
pub struct DatabaseRestore {
    /// The bucket with the backups of the Shop that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BackupBucket>,
    /// The volume with the backups of the Shop that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<RestoreVolume>,
    /// A Secret whose `key` is that with which these backups were encrypted.
    #[schemars(length(min = 1, max = 253))]
    pub key_secret_name: String,
    /// A Secret whose `secret-key` is that of the shop that was (`NAME-credentials` there). Without it links in mails, second factors
    /// and kept secrets of that shop are worth nothing in this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub shop_key_secret_name: Option<String>,
    /// From which backup, and up to where; without it everything that is archived.
    #[serde(default)]
    pub point: RestorePoint,
}

/// A volume with backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreVolume {
    /// Its claim, in the Shop's namespace: `NAME-backups` of the Shop that was. One that is `ReadWriteOnce` is read from the node on which
    /// the database of that Shop has it mounted; if there is no room, it is waited for until that Shop is hibernated or deleted. The
    /// members of a group read it from several nodes.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
}

/// A new Shop from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreInto {
    /// The name of the new Shop.
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Where it is found: scheme and host.
    #[schemars(
        length(max = 300),
        regex(pattern = "^https?://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$")
    )]
    pub url: String,
    /// From which backup, and up to where; without it everything that is archived.
    #[serde(default)]
    pub point: RestorePoint,
}

/// How a database began from a backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// How far it is. Once it has succeeded nothing is ever restored again.
    #[serde(default)]
    pub phase: WorkPhase,
    /// Why the last attempt failed. It is made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The image with the program that restores, as it was when the database was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The backup, by its name at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The transactions up to which it was restored (a GTID set), where these are not too many ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// Seconds that it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_seconds: Option<i64>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completed_at: Option<String>,
}
