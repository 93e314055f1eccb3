//! Backups of a managed database: what a Shop says of them, and the records of single ones.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{AccessMode, Resources, RestoreInto, defaults};

/// Backups of a managed database: full ones by a schedule, and everything that is committed after them within seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.bucket) != has(self.volume)")
        .message("give exactly one of backup.bucket and backup.volume"),
    validation = Rule::new("[self.schedule, self.verification.schedule].all(schedule, schedule.matches('^[0-9*][0-9*/,-]*( [0-9*][0-9*/,-]*){4}$'))")
        .message("a schedule is minute, hour, day of the month, month and day of the week in UTC, such as '15 2 * * *'"),
    validation = Rule::new("has(self.keySecretName) == has(oldSelf.keySecretName) && (!has(self.keySecretName) || self.keySecretName == oldSelf.keySecretName)")
        .message("the key of backups cannot be changed: what is there could not be read any longer. Take spec.backup away, and give it anew with another target")
)]
pub struct Backup {
    /// They go into a bucket with the interface of S3, best in another region or with another provider than the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BackupBucket>,
    /// They go onto a volume, which is kept when the Shop is deleted. It is lost together with the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<BackupVolume>,
    /// A Secret whose `key` is 64 hexadecimal digits, with which backups are encrypted. Without one the operator makes it once, as
    /// `NAME-backup-key`, and it stays when the Shop is deleted. Keep a copy elsewhere: without it nobody can read any backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key_secret_name: Option<String>,
    /// When full backups are made: minute, hour, day of the month, month, day of the week, in UTC. What is no longer to be kept is
    /// deleted after each.
    #[serde(default = "defaults::backup_schedule")]
    #[schemars(length(min = 9, max = 100))]
    pub schedule: String,
    /// After so many hours without a new full backup the condition `BackupFresh` is false.
    #[serde(default = "defaults::backup_max_age")]
    #[schemars(range(min = 1, max = 8760))]
    pub max_age_hours: u32,
    /// Seconds between two passes of the archive: what is lost at most with all disks of the database.
    #[serde(default = "defaults::archive_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub archive_seconds: u32,
    /// What is kept.
    #[serde(default)]
    pub retention: BackupRetention,
    /// Restores for trial.
    #[serde(default)]
    pub verification: BackupVerification,
    /// MiB a second that the member which is backed up reads and sends at most; 0 is no limit.
    #[serde(default)]
    #[schemars(range(max = 100_000))]
    pub bandwidth_mib: u32,
    /// The volume on which a backup or a trial works. It is made for it and deleted afterwards.
    #[serde(default)]
    pub work: BackupWork,
    /// The image with `panono-backup`. Without one that of the operator. What archives beside the database keeps the one with which
    /// it began: upgrading the operator restarts no member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub image: Option<String>,
    /// What the container of a backup or a trial asks for and may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// A bucket with the interface of S3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupBucket {
    /// Bucket, folder and settings: `s3://bucket/prefix?region=…&endpoint=…`. Each Shop needs a folder of its own.
    #[schemars(length(max = 1000), regex(pattern = "^s3://[^ ]+$"))]
    pub url: String,
    /// A Secret with the keys `access-key-id` and `secret-access-key`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// A volume for backups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("the volume of backups cannot be changed: take spec.backup away, and give it anew with a bucket"))]
pub struct BackupVolume {
    /// Its size, such as `50Gi`.
    #[schemars(regex(pattern = "^[1-9][0-9]{0,6}(Mi|Gi|Ti)$"))]
    pub size: String,
    /// Its storage class; without one the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// `ReadWriteMany`, which a database of several members needs, or `ReadWriteOnce`, with which backups run on the database's node.
    #[serde(default)]
    pub access_mode: AccessMode,
}

/// What is kept. The newest backup and the newest that was verified are never deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupRetention {
    /// Days for which any moment can be restored.
    #[serde(default = "defaults::keep_days")]
    #[schemars(range(min = 1, max = 3650))]
    pub days: u32,
    /// So many backups are kept however old they are.
    #[serde(default = "defaults::keep_copies")]
    #[schemars(range(min = 1, max = 1000))]
    pub copies: u32,
}

impl Default for BackupRetention {
    fn default() -> Self {
        Self {
            days: defaults::keep_days(),
            copies: defaults::keep_copies(),
        }
    }
}

/// Restores for trial: the newest backup with everything that is archived, compared with the running database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupVerification {
    /// When: minute, hour, day of the month, month, day of the week, in UTC.
    #[serde(default = "defaults::verification_schedule")]
    #[schemars(length(min = 9, max = 100))]
    pub schedule: String,
    /// After so many hours without one that passed the condition `BackupVerified` is false.
    #[serde(default = "defaults::verification_max_age")]
    #[schemars(range(min = 1, max = 8760))]
    pub max_age_hours: u32,
}

impl Default for BackupVerification {
    fn default() -> Self {
        Self {
            schedule: defaults::verification_schedule(),
            max_age_hours: defaults::verification_max_age(),
        }
    }
}

/// A volume that lasts as long as a Job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupWork {
    /// Its size: room for all data, and for what is committed between two full backups. Without one twice that of the database's
    /// volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,6}(Mi|Gi|Ti)$"))]
    pub size: Option<String>,
    /// Its storage class; without one that of the database's volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}

/// What is known of a Shop's backups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// The image of what archives beside the database, as it was when that began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How often the password of the account that makes backups was made; the database's pods are replaced when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<i64>,
    /// Where they are: the bucket's address, or the name of the claim. What was known of another target is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The newest full backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastBackup>,
    /// The newest verification that came to a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<LastVerification>,
}

/// The newest full backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastBackup {
    /// The `ShopBackup`.
    pub name: String,
    /// Its name at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The moment of its data, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Bytes at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<i64>,
}

/// The newest verification that came to a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastVerification {
    /// The `ShopRestore`.
    pub name: String,
    /// The backup, by its name at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// When it ended, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Whether all of it could be restored, and was as in the running database.
    pub passed: bool,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Seconds that the restore took: how long a shop is away when everything else is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_seconds: Option<i64>,
}

/// A full backup of a Shop's database: one that is wanted now, or the record of one that was made by its schedule.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "panono.dev",
    version = "v1alpha1",
    kind = "ShopBackup",
    plural = "shopbackups",
    namespaced,
    category = "panono",
    status = "ShopBackupStatus",
    derive = "PartialEq",
    doc = "A full backup of a Shop's database: one that is wanted now, or the record of one that its schedule made.",
    printcolumn(name = "Shop", type_ = "string", json_path = ".spec.shopName"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Backup", type_ = "string", json_path = ".status.backup"),
    printcolumn(name = "Stored", type_ = "integer", json_path = ".status.storedBytes"),
    printcolumn(
        name = "Verified",
        type_ = "boolean",
        json_path = ".status.verified.passed"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a backup cannot be changed: make another ShopBackup")
)]
pub struct ShopBackupSpec {
    /// The Shop, in the same namespace. It needs `spec.backup`.
    #[schemars(length(min = 1, max = 40))]
    pub shop_name: String,
}

/// How far a backup or a restore is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum WorkPhase {
    /// It waits, for what the message says.
    #[default]
    Pending,
    /// Its Job runs.
    Running,
    /// It is done.
    Succeeded,
    /// It was not done, or what was found is bad.
    Failed,
}

impl WorkPhase {
    /// Whether it has come to its end.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What became of a backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShopBackupStatus {
    /// How far it is.
    #[serde(default)]
    pub phase: WorkPhase,
    /// In words; why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The Job that does it. Its log tells more: kubectl logs job/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When its Job was made or seen first, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completed_at: Option<String>,
    /// The target: the bucket's address, or the name of the claim, as it was when the Job began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its name at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The moment of its data, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub taken_at: Option<String>,
    /// Bytes of the database's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Bytes at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<i64>,
    /// The transactions in it (a GTID set), where these are not too many ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// What its last verification found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<LastVerification>,
}

/// A restore of a Shop's backups.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "panono.dev",
    version = "v1alpha1",
    kind = "ShopRestore",
    plural = "shoprestores",
    namespaced,
    category = "panono",
    status = "ShopRestoreStatus",
    derive = "PartialEq",
    doc = "A restore of a Shop's backups: for trial, or into a new Shop. Nothing of the Shop itself is touched.",
    printcolumn(name = "Shop", type_ = "string", json_path = ".spec.shopName"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Backup", type_ = "string", json_path = ".status.backup"),
    printcolumn(
        name = "Seconds",
        type_ = "integer",
        json_path = ".status.restoreSeconds"
    ),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.verify), has(self.trial), has(self.into)].filter(given, given).size() == 1")
        .message("give exactly one of verify, trial and into"),
    validation = Rule::new("!has(self.into) || self.into.name != self.shopName")
        .message("nothing is restored over a Shop: give into.name of a new one"),
    validation = Rule::new("self == oldSelf").message("a restore cannot be changed: make another ShopRestore")
)]
pub struct ShopRestoreSpec {
    /// The Shop whose backups are restored, in the same namespace.
    #[schemars(length(min = 1, max = 40))]
    pub shop_name: String,
    /// The newest backup is restored with everything that is archived, compared with the running database, and thrown away. What was
    /// found is noted at the target and in the Shop's condition `BackupVerified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<RestoreVerify>,
    /// The database is restored to some moment, its tables are compared with the backup's checksums, and it is thrown away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<RestorePoint>,
    /// A new Shop is made, as this one is, whose database begins from its backups. It has no mail, no payments, no exposure and no
    /// backups of its own, until they are given to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<RestoreInto>,
}

/// A comparison with the running database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct RestoreVerify {}

/// From which backup, and up to where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.toTime) || !has(self.toGtid)")
    .message("give toTime or toGtid, or neither for everything that is archived"))]
pub struct RestorePoint {
    /// The backup to begin with, by its name at the target (`status.backup` of a `ShopBackup`). Without one the newest that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = "^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$"))]
    pub backup: Option<String>,
    /// The last moment, RFC 3339 in UTC, such as `2026-11-30T11:59:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 40),
        regex(
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z$"
        )
    )]
    pub to_time: Option<String>,
    /// The last transaction, as `uuid:number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 60), regex(pattern = "^[0-9a-f-]{36}:[1-9][0-9]{0,18}$"))]
    pub to_gtid: Option<String>,
}

/// What became of a restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShopRestoreStatus {
    /// How far it is.
    #[serde(default)]
    pub phase: WorkPhase,
    /// In words; why it failed, or what is wrong with the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The Job that does it. Its log tells more: kubectl logs job/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When its Job was made or seen first, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completed_at: Option<String>,
    /// The target: the bucket's address, or the name of the claim, as it was when the Job began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The backup, by its name at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Whether the backup is good: false when it was found to be bad, and not given when it could not be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// The transactions up to which it was restored (a GTID set), where these are not too many ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// Tables that were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<i64>,
    /// Seconds that the restore took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_seconds: Option<i64>,
}
