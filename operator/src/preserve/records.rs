//! What a record says, from what became of its Job. Pure.

use panono_crds::{
    Backup, LastBackup, LastVerification, ShopBackup, ShopBackupStatus, ShopRestore,
    ShopRestoreStatus, WorkPhase,
};

use crate::backup::job::Report;
use crate::desired::backup::{CLAIM, Work};
use crate::names::Owner;
use crate::object::{digest, short};

/// The label of records that a schedule made. They go when they are old.
pub(super) const SCHEDULED: &str = "panono.dev/scheduled";

/// What became of the Job of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    /// It cannot begin yet.
    Waits(String),
    /// Its Job runs.
    Runs,
    /// It has ended.
    Ended {
        /// The Job has succeeded.
        done: bool,
        /// What Kubernetes says of a Job that has failed.
        words: String,
        /// The last words of its container.
        report: Option<Report>,
        /// What they were, where they are no report.
        text: String,
    },
}

/// A record, as far as both kinds are alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// `ShopBackup` or `ShopRestore`.
    pub(super) kind: &'static str,
    /// Its name.
    pub(super) name: String,
    /// Its identity.
    pub(super) uid: String,
    /// What it wants.
    pub(super) work: Work,
    /// How far it is.
    pub(super) phase: WorkPhase,
    /// It was made for a Job of a schedule, which has its name.
    pub(super) scheduled: bool,
}

impl Entry {
    /// The name of its Job.
    pub(super) fn job(&self, owner: &Owner, is_first: bool) -> String {
        if self.scheduled && !is_first {
            return self.name.clone();
        }
        let what = match self.work {
            Work::Take => "take",
            Work::Verify | Work::Trial(_) => "restore",
        };
        // In the name so that a record that is made again under its name has another Job.
        let which = short(digest(&serde_json::Value::from(self.uid.clone())));
        owner.with(&format!("{what}-{which}"))
    }
}

/// Where a shop's backups are: the bucket's address, or the name of the claim.
pub(super) fn target(owner: &Owner, spec: &Backup) -> String {
    let bucket = spec.bucket.as_ref();
    bucket.map_or_else(|| owner.with(CLAIM), |bucket| bucket.url.clone())
}

/// The name of the first backup of a shop. At another target there is another one, `beside` records of those before.
pub(super) fn first(owner: &Owner, target: &str, beside: bool) -> String {
    if beside {
        let which = short(digest(&serde_json::Value::from(target)));
        owner.with(&format!("first-{which}"))
    } else {
        owner.with("first")
    }
}

/// Whether a first backup is called so. No Job of a schedule is.
pub(super) fn is_first(owner: &Owner, name: &str) -> bool {
    let rest = name.strip_prefix(&owner.with("first"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

pub(super) fn of_backup(backup: &ShopBackup) -> Entry {
    Entry {
        kind: "ShopBackup",
        name: backup.metadata.name.clone().unwrap_or_default(),
        uid: backup.metadata.uid.clone().unwrap_or_default(),
        work: Work::Take,
        phase: backup
            .status
            .as_ref()
            .map_or(WorkPhase::Pending, |status| status.phase),
        scheduled: is_scheduled(backup.metadata.labels.as_ref()),
    }
}

pub(super) fn of_restore(restore: &ShopRestore) -> Entry {
    Entry {
        kind: "ShopRestore",
        name: restore.metadata.name.clone().unwrap_or_default(),
        uid: restore.metadata.uid.clone().unwrap_or_default(),
        work: match &restore.spec.trial {
            Some(point) => Work::Trial(point.clone()),
            None => Work::Verify,
        },
        phase: restore
            .status
            .as_ref()
            .map_or(WorkPhase::Pending, |status| status.phase),
        scheduled: is_scheduled(restore.metadata.labels.as_ref()),
    }
}

fn is_scheduled(labels: Option<&std::collections::BTreeMap<String, String>>) -> bool {
    labels.is_some_and(|labels| labels.contains_key(SCHEDULED))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Whole seconds, begun ones counted.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn seconds(value: f64) -> i64 {
    value.ceil().clamp(0.0, 1e15) as i64
}

/// What is said of a Job that has failed.
fn failure(words: &str, report: Option<&Report>, text: &str) -> String {
    let said = report
        .and_then(|report| report.message.clone())
        .unwrap_or_else(|| text.trim().chars().take(500).collect());
    if said.is_empty() {
        format!("The Job has failed ({words})")
    } else {
        said
    }
}

pub(super) fn backup_status(
    before: &ShopBackupStatus,
    job: &str,
    target: &str,
    progress: &Progress,
    now: &str,
) -> ShopBackupStatus {
    let mut status = before.clone();
    match progress {
        Progress::Waits(words) => {
            status.phase = WorkPhase::Pending;
            status.message = Some(words.clone());
        }
        Progress::Runs => {
            status.phase = WorkPhase::Running;
            status.message = None;
            status.job = Some(job.to_owned());
            status.target.get_or_insert_with(|| target.to_owned());
            status.started_at.get_or_insert_with(|| now.to_owned());
        }
        Progress::Ended {
            done,
            words,
            report,
            text,
        } => {
            status.job = Some(job.to_owned());
            status.target.get_or_insert_with(|| target.to_owned());
            status.started_at.get_or_insert_with(|| now.to_owned());
            status.completed_at = Some(now.to_owned());
            if !done {
                status.phase = WorkPhase::Failed;
                status.message = Some(failure(words, report.as_ref(), text));
                return status;
            }
            status.phase = WorkPhase::Succeeded;
            let report = report.clone().unwrap_or_default();
            status.message = report.message;
            status.backup = report.backup;
            status.taken_at = report.taken_at;
            status.bytes = report.bytes.map(number);
            status.stored_bytes = report.stored_bytes.map(number);
            status.gtid = report.gtid;
        }
    }
    status
}

pub(super) fn restore_status(
    before: &ShopRestoreStatus,
    work: &Work,
    job: &str,
    target: &str,
    progress: &Progress,
    now: &str,
) -> ShopRestoreStatus {
    let mut status = before.clone();
    match progress {
        Progress::Waits(words) => {
            status.phase = WorkPhase::Pending;
            status.message = Some(words.clone());
        }
        Progress::Runs => {
            status.phase = WorkPhase::Running;
            status.message = None;
            status.job = Some(job.to_owned());
            status.target.get_or_insert_with(|| target.to_owned());
            status.started_at.get_or_insert_with(|| now.to_owned());
        }
        Progress::Ended {
            done,
            words,
            report,
            text,
        } => {
            status.job = Some(job.to_owned());
            status.target.get_or_insert_with(|| target.to_owned());
            status.started_at.get_or_insert_with(|| now.to_owned());
            status.completed_at = Some(now.to_owned());
            status.phase = if *done {
                WorkPhase::Succeeded
            } else {
                WorkPhase::Failed
            };
            let told = report.clone().unwrap_or_default();
            status.backup = told.backup;
            status.gtid = told.gtid.filter(|set| !set.is_empty());
            status.tables = told.tables.map(|count| i64::try_from(count).unwrap_or(0));
            status.restore_seconds = told.restore_seconds.map(seconds);
            status.message = if *done {
                None
            } else {
                Some(failure(words, report.as_ref(), text))
            };
            status.passed = match work {
                // That it could not be tried says nothing of the backup.
                Work::Verify => told.passed.or(done.then_some(true)),
                Work::Take | Work::Trial(_) => done.then_some(true),
            };
        }
    }
    status
}

/// The newest full backup among records.
pub(super) fn last<'a>(backups: impl Iterator<Item = &'a ShopBackup>) -> Option<LastBackup> {
    backups
        .filter_map(|backup| {
            let status = backup.status.as_ref()?;
            let done = status.phase == WorkPhase::Succeeded;
            let at = status
                .taken_at
                .clone()
                .or_else(|| status.started_at.clone());
            Some(LastBackup {
                name: backup.metadata.name.clone().unwrap_or_default(),
                backup: status.backup.clone(),
                at: at.filter(|_| done)?,
                stored_bytes: status.stored_bytes,
            })
        })
        .max_by_key(|backup| moment(&backup.at))
}

/// The newest verification that came to a result.
pub(super) fn last_verified<'a>(
    restores: impl Iterator<Item = &'a ShopRestore>,
) -> Option<LastVerification> {
    restores
        .filter(|restore| restore.spec.verify.is_some())
        .filter_map(|restore| {
            let status = restore.status.as_ref()?;
            let passed = status.passed?;
            Some(LastVerification {
                name: restore.metadata.name.clone().unwrap_or_default(),
                backup: status.backup.clone(),
                at: status.completed_at.clone()?,
                passed,
                message: status.message.clone().filter(|_| !passed),
                restore_seconds: status.restore_seconds.filter(|_| passed),
            })
        })
        .max_by_key(|verification| moment(&verification.at))
}

/// Seconds since 1970.
pub(super) fn moment(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use panono_crds::{ShopBackupStatus, ShopRestoreStatus, WorkPhase};

    use super::{Progress, backup_status, first, is_first, restore_status};
    use crate::backup::job::Report;
    use crate::desired::backup::Work;
    use crate::names::Owner;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn ended(done: bool, report: Option<Report>, text: &str) -> Progress {
        Progress::Ended {
            done,
            words: "BackoffLimitExceeded".to_owned(),
            report,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_backup_tells_what_its_job_said() {
        let begun = backup_status(
            &ShopBackupStatus::default(),
            "j",
            "s3://b/one",
            &Progress::Runs,
            "a",
        );
        assert_eq!(begun.phase, WorkPhase::Running);
        let report = Report {
            backup: Some("b".to_owned()),
            taken_at: Some("t".to_owned()),
            bytes: Some(5),
            stored_bytes: Some(3),
            gtid: Some("g".to_owned()),
            ..Report::default()
        };
        let done = backup_status(
            &begun,
            "j",
            "s3://b/two",
            &ended(true, Some(report), ""),
            NOW,
        );
        assert_eq!(done.phase, WorkPhase::Succeeded);
        assert_eq!((done.bytes, done.stored_bytes), (Some(5), Some(3)));
        assert_eq!(done.started_at.as_deref(), Some("a"));
        // It is where it was begun, whatever the Shop says by now.
        assert_eq!(done.target.as_deref(), Some("s3://b/one"));
        assert_eq!(done.completed_at.as_deref(), Some(NOW));
        // A pod that is gone has told nothing, and the backup is there all the same.
        let silent = backup_status(&begun, "j", "t", &ended(true, None, ""), NOW);
        assert_eq!((silent.phase, silent.backup), (WorkPhase::Succeeded, None));
    }

    /// The record of the first backup at the target before is there, and stays.
    #[test]
    fn each_target_has_a_first_backup() {
        let owner = Owner {
            name: "demo".to_owned(),
            namespace: "n".to_owned(),
            uid: None,
        };
        let one = first(&owner, "s3://b/one", false);
        assert_eq!(one, "demo-first");
        let two = first(&owner, "s3://b/two", true);
        assert_ne!(two, one);
        assert_ne!(two, first(&owner, "s3://b/three", true));
        assert!(is_first(&owner, &one) && is_first(&owner, &two));
        assert!(!is_first(&owner, "demo-backup-29000001"));
    }

    /// What a human reads is what the program said, then what its log said, then what Kubernetes says.
    #[test]
    fn a_failure_is_told_in_the_best_words_there_are() {
        let message = |progress| {
            let status = backup_status(&ShopBackupStatus::default(), "j", "t", &progress, NOW);
            assert_eq!(status.phase, WorkPhase::Failed);
            status.message.unwrap()
        };
        let report = Some(Report::failed("the disk is full"));
        assert_eq!(message(ended(false, report, "{}")), "the disk is full");
        assert_eq!(
            message(ended(false, None, " no such file\n")),
            "no such file"
        );
        assert!(message(ended(false, None, "")).contains("BackoffLimitExceeded"));
    }

    /// Only what was found says something of a backup; that it could not be tried does not.
    #[test]
    fn a_backup_is_bad_only_when_it_was_found_to_be() {
        let passed = |done, report| {
            restore_status(
                &ShopRestoreStatus::default(),
                &Work::Verify,
                "j",
                "t",
                &ended(done, report, ""),
                NOW,
            )
            .passed
        };
        let found = |passed| {
            Some(Report {
                passed: Some(passed),
                ..Report::default()
            })
        };
        assert_eq!(passed(true, found(true)), Some(true));
        assert_eq!(passed(false, found(false)), Some(false));
        assert_eq!(
            passed(false, Some(Report::failed("the bucket is away"))),
            None
        );
        assert_eq!(passed(false, None), None);
        assert_eq!(passed(true, None), Some(true));
    }
}
