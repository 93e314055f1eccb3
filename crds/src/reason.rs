//! Why a condition is as it is: the closed list that `panono-operator explain` and docs/operator.md tell.

/// What somebody who reads a reason should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Nothing: it is as it should be.
    Nothing,
    /// Wait: the operator or the cluster is at it.
    Wait,
    /// Act: without a human it stays as it is.
    Act,
}

/// `Name, Resolution, "meaning", "what to do";` one a line.
macro_rules! reasons {
    ($($name:ident, $resolution:ident, $meaning:literal, $advice:literal;)+) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $name,)+
        }

        impl Reason {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name, as it stands in conditions, events and metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What it means, as a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)+
                }
            }

            /// What to do, as a sentence.
            pub fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)+
                }
            }

            /// Whether anything has to be done, and by whom.
            pub fn resolution(self) -> Resolution {
                match self {
                    $(Self::$name => Resolution::$resolution,)+
                }
            }
        }
    };
}

reasons! {
    Serving, Nothing, "The shop is as its Shop says, and serves.", "Nothing.";
    Hibernating, Nothing, "Nothing runs, because spec.mode is Hibernated. The data is kept.", "Set spec.mode to Running to wake the shop.";
    InMaintenance, Nothing, "Visitors see a page that says that the shop is being worked on, because spec.mode is Maintenance.", "Set spec.mode to Running to open the shop.";
    ReadOnly, Nothing, "Pages are served and nothing can be changed, because spec.mode is ReadOnly.", "Set spec.mode to Running to sell again.";
    Paused, Nothing, "The operator changes nothing, because spec.paused is set.", "Remove spec.paused to let the operator work again.";
    BackedUp, Nothing, "There is a full backup that is not too old.", "Nothing.";
    Verified, Nothing, "The newest backup was restored for trial, and all was there.", "Nothing.";
    Applying, Wait, "Objects are being written.", "Wait. If it stays, look at the operator's log.";
    DatabaseStarting, Wait, "The managed database is not ready yet.", "Wait. If it stays, look at the database's pod: kubectl describe pod.";
    DatabaseRecovering, Wait, "No member of the database is in a group with a majority. What can be proven is recovered by itself.", "Wait. If it stays, look at status.database and at the database's pods.";
    CacheStarting, Wait, "The managed cache is not ready yet.", "Wait. The shop serves without it, more slowly.";
    Migrating, Wait, "The database's schema is being brought to the release. The release before it goes on serving.", "Wait. Progress is in the log of the migration's pod.";
    RollingOut, Wait, "Pods are being started or replaced.", "Wait. If it stays, look at the pods: kubectl get pods -l panono.dev/shop=NAME.";
    BackupPending, Wait, "There is no full backup yet.", "Wait for the first, which is made as soon as the database runs: kubectl get shopbackups.";
    VerificationPending, Wait, "No backup was restored for trial yet.", "Wait for spec.backup.verification.schedule, or make a ShopRestore with verify.";
    Restoring, Wait, "The database is being restored from a backup.", "Wait. Progress is in the log of the container restore of the database's first pod.";
    Terminating, Wait, "The Shop is being deleted.", "Wait until its objects are gone.";
    BackupFailed, Act, "The last full backup was not made.", "Read the message of the ShopBackup and the log of its Job. The next is made by the schedule; a new ShopBackup makes one now.";
    BackupOverdue, Act, "There was no new full backup for longer than spec.backup.maxAgeHours.", "Look at the newest ShopBackups and at the CronJob NAME-backup.";
    VerificationFailed, Act, "A restore for trial found the newest backup to be bad.", "Read the message of the ShopRestore. Make a new ShopBackup and verify it; keep what is at the target until you know why.";
    VerificationOverdue, Act, "No backup was restored for trial for longer than spec.backup.verification.maxAgeHours.", "Look at the newest ShopRestores and at the CronJob NAME-verify.";
    RestoreFailed, Act, "The database could not be restored from a backup.", "Read the message. When the point in time or the backup is at fault, delete the Shop with its claims and make it again with another.";
    OutageNeedsDecision, Act, "No member of the database is in a group, and it is not proven that those that answer have everything that was acknowledged.", "Bring back the members that do not answer. If that is impossible, review and apply the ShopAction in status.database.proposal: it gives up what only the missing members had.";
    ForeignDataDirectory, Act, "A volume of the database holds data that is not of this database.", "Nothing on it is touched. Move the claim away, or delete it together with its pod if its data is not needed.";
    MemberDiverged, Act, "A member of the database has transactions that the group has not.", "They are saved on its volume. Review them, and apply the ShopAction in status.database.proposal: it replaces the member's data by a copy.";
    DowngradeRefused, Act, "The database's image has an older version than its data.", "Set the image to a version that is not older. To go back, restore a backup into another Shop.";
    InvalidSpec, Act, "The Shop contradicts itself or asks for what cannot be.", "Correct the field that the message names.";
    SecretMissing, Act, "A Secret that the Shop names does not exist.", "Create it in the Shop's namespace, or correct the name. It is looked for again every 15 s.";
    SecretIncomplete, Act, "A Secret lacks a key that the shop needs, or the key is empty.", "Add the key that the message names.";
    KindMissing, Act, "The Shop needs a kind of object that the cluster does not know.", "Install its definitions (for HTTPRoute: the Gateway API), or take the field out of the Shop.";
    MigrationFailed, Act, "The database's schema could not be brought to the release. The release before it goes on serving.", "Read the log of the migration's pod; then correct the release, or delete the Job to try again.";
    ImageUnavailable, Act, "An image cannot be fetched.", "Correct the image in the Shop, or the pull secret. Pods that run go on running.";
    PodsFailing, Act, "Pods of a workload end again and again.", "Read their log: kubectl logs --previous.";
    ProgressDeadlineExceeded, Act, "A workload has not become ready in ten minutes. What ran before goes on running.", "Look at its pods: kubectl describe pod.";
    NameTaken, Act, "An object that the Shop needs exists already and belongs to somebody else.", "Delete or rename that object, or give the Shop another name.";
    Refused, Act, "The API server refuses an object.", "Read the message. A quota, an admission policy, or a field of the Shop is behind it.";
    Forbidden, Act, "The operator is not allowed to do what it needs to.", "Install the chart's roles again: the message names the permission that lacks.";
    Unreachable, Wait, "The API server does not answer, or answers with failures.", "Wait. The operator tries again, with growing pauses.";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

impl std::str::FromStr for Reason {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let all: Vec<_> = Self::ALL.iter().map(|reason| reason.name()).collect();
                format!("there is no reason {name:?}; there are {}", all.join(", "))
            })
    }
}
