//! One look at the backups of a shop: records are brought to where their Jobs are, and what follows from them is told.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::CustomResourceExt as _;
use kube::api::ApiResource;
use panono_crds::{
    Backup, BackupStatus, Condition, GROUP, Reason, ShopBackup, ShopRestore, ShopStatus, VERSION,
    WorkPhase,
};
use serde_json::{Value, json};

use super::conditions::{Found, Known, conditions};
use super::records::{
    Entry, Progress, SCHEDULED, backup_status, first, is_first, last, last_verified, moment,
    of_backup, of_restore, restore_status, target,
};
use super::{restoring, runs};
use crate::backup::job::Report;
use crate::cluster::Cluster;
use crate::desired::Stage;
use crate::desired::backup::{CONTAINER, Work, job_now, scheduled_name};
use crate::failure::Failure;
use crate::index::{Index, Snapshot};
use crate::live::{Health, JobState};
use crate::names::{Owner, SHOP_LABEL};
use crate::object::{Kind, ObjectKey, ShopKey};
use crate::ownership::FIELD_MANAGER;
use crate::validate::ValidatedShop;

/// Records of verifications that are kept however old.
const VERIFICATIONS: usize = 3;

/// Until the next look at something that waits.
const WAITING: Duration = Duration::from_secs(15);

/// Who writes records.
#[derive(Clone, Copy, Debug)]
pub struct Scribe<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// What is known.
    pub index: &'a Index,
    /// The Shop that they are of.
    pub key: &'a ShopKey,
    /// The time.
    pub now: Timestamp,
}

/// Until the next look at a Shop that is made by a restore.
const FOLLOWING: Duration = Duration::from_secs(5);

/// What a look needs.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Who writes.
    pub scribe: Scribe<'a>,
    /// The shop.
    pub shop: &'a ValidatedShop,
    /// When the Shop was made.
    pub made_at: Option<Timestamp>,
    /// What is in its status.
    pub previous: &'a ShopStatus,
    /// How far it is.
    pub stage: &'a Stage,
    /// Its objects.
    pub snapshot: &'a Snapshot,
}

/// What came of a look.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is to be in the status.
    pub status: Option<BackupStatus>,
    /// Conditions.
    pub conditions: Vec<Found>,
    /// When to look again at the latest.
    pub pause: Option<Duration>,
    /// What an admin would want to read.
    pub events: Vec<(Reason, String)>,
}

/// Looks at the backups of a shop.
///
/// # Errors
/// When the API server does not do its part.
pub async fn look(look: Look<'_>) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let Some(spec) = &look.shop.spec.backup else {
        refuse(look.scribe, look.snapshot, "The Shop has no spec.backup").await?;
        return Ok(outcome);
    };
    let mut backups = look.snapshot.backups.clone();
    let mut restores = look.snapshot.restores.clone();
    let target = target(&look.shop.owner, spec);
    // Of a record from before targets were noted it is not known that it is of another one.
    let is_here = |told: Option<&String>| told.is_none_or(|told| *told == target);
    note_scheduled(look, &mut backups, &mut restores).await?;
    begin_first(look, &target, &mut backups).await?;
    for backup in &mut backups {
        let entry = of_backup(backup);
        if entry.phase.is_over() {
            continue;
        }
        let job = entry.job(&look.shop.owner, is_first(&look.shop.owner, &entry.name));
        let progress = progress(look, &entry, &job).await?;
        waits(&progress, &mut outcome);
        let before = backup.status.clone().unwrap_or_default();
        let now = backup_status(&before, &job, &target, &progress, &whole(look.scribe.now));
        if backup.status.as_ref() == Some(&now) {
            continue;
        }
        if now.phase == WorkPhase::Failed {
            outcome.events.push((
                Reason::BackupFailed,
                format!(
                    "ShopBackup {} has failed: {}",
                    entry.name,
                    now.message.as_deref().unwrap_or_default()
                ),
            ));
        }
        let mut written = ShopBackup::clone(backup);
        written.status = Some(now);
        *backup = write_backup(look.scribe, written).await?;
    }
    for restore in &mut restores {
        let entry = of_restore(restore);
        if entry.phase.is_over() {
            continue;
        }
        if let Some(wanted) = restore.spec.into.clone() {
            let before = restore.status.clone();
            let now = restoring::into(look, restore, &wanted, &whole(look.scribe.now)).await?;
            if !now.phase.is_over() {
                outcome.pause = Some(FOLLOWING);
            }
            if before.as_ref() == Some(&now) {
                continue;
            }
            if now.phase == WorkPhase::Failed {
                outcome.events.push((
                    Reason::RestoreFailed,
                    format!(
                        "ShopRestore {} has failed: {}",
                        entry.name,
                        now.message.as_deref().unwrap_or_default()
                    ),
                ));
            }
            let mut written = ShopRestore::clone(restore);
            written.status = Some(now);
            *restore = write_restore(look.scribe, written).await?;
            continue;
        }
        let job = entry.job(&look.shop.owner, false);
        let progress = progress(look, &entry, &job).await?;
        waits(&progress, &mut outcome);
        let before = restore.status.clone().unwrap_or_default();
        let now = restore_status(
            &before,
            &entry.work,
            &job,
            &target,
            &progress,
            &whole(look.scribe.now),
        );
        if restore.status.as_ref() == Some(&now) {
            continue;
        }
        if now.phase == WorkPhase::Failed {
            outcome.events.push((
                Reason::VerificationFailed,
                format!(
                    "ShopRestore {} has failed: {}",
                    entry.name,
                    now.message.as_deref().unwrap_or_default()
                ),
            ));
        }
        let mut written = ShopRestore::clone(restore);
        written.status = Some(now);
        *restore = write_restore(look.scribe, written).await?;
    }
    let before = look.previous.backup.clone();
    let before = before
        .filter(|before| is_here(before.target.as_ref()))
        .unwrap_or_default();
    let mut backups_here: Vec<&ShopBackup> = backups.iter().map(AsRef::as_ref).collect();
    backups_here.retain(|backup| is_here(noted(backup)));
    let mut restores_here: Vec<&ShopRestore> = restores.iter().map(AsRef::as_ref).collect();
    restores_here.retain(|restore| {
        let status = restore.status.as_ref();
        is_here(status.and_then(|status| status.target.as_ref()))
    });
    let known = Known {
        failed: newest_failure(backups_here.iter().copied()),
        made_at: look.made_at,
    };
    let status = BackupStatus {
        image: look.stage.backup.image.clone(),
        account: Some(look.stage.backup.account),
        target: Some(target.clone()),
        last: last(backups_here.into_iter()).or(before.last),
        last_verified: last_verified(restores_here.into_iter()).or(before.last_verified),
    };
    note_verified(look, &status, &mut backups).await?;
    forget_old(look, spec, &backups, &restores).await?;
    // What sleeps does not change, and needs no new backups.
    if runs(look.shop.spec.mode) {
        outcome.conditions = conditions(spec, &status, &known, look.scribe.now);
    }
    outcome
        .events
        .extend(turned(&look.previous.conditions, &outcome.conditions));
    let soonest = outcome
        .conditions
        .iter()
        .filter_map(|found| found.until)
        .min();
    if let Some(soonest) = soonest {
        let left = soonest
            .duration_since(look.scribe.now)
            .max(SignedDuration::ZERO);
        let left = Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1);
        outcome.pause = Some(outcome.pause.map_or(left, |pause| pause.min(left)));
    }
    outcome.status = Some(status);
    Ok(outcome)
}

fn whole(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

fn waits(progress: &Progress, outcome: &mut Outcome) {
    if matches!(progress, Progress::Waits(_)) {
        outcome.pause = Some(WAITING);
    }
}

/// Conditions that were not false before and are now.
fn turned(before: &[Condition], now: &[Found]) -> Vec<(Reason, String)> {
    use panono_crds::ConditionStatus::False;
    now.iter()
        .filter(|found| found.status == False)
        .filter(|found| {
            !before.iter().any(|before| {
                before.kind == found.kind
                    && before.status == False
                    && before.reason == found.verdict.reason.name()
            })
        })
        .map(|found| (found.verdict.reason, found.verdict.message.clone()))
        .collect()
}

/// The target that a backup is at, as far as that was noted.
fn noted(backup: &ShopBackup) -> Option<&String> {
    backup.status.as_ref()?.target.as_ref()
}

/// The newest record, if it has failed.
fn newest_failure<'a>(backups: impl Iterator<Item = &'a ShopBackup>) -> Option<(String, String)> {
    let newest = backups
        .filter_map(|backup| {
            let status = backup.status.as_ref()?;
            Some((moment(status.completed_at.as_deref()?)?, backup, status))
        })
        .max_by_key(|(at, _, _)| *at)?;
    let (_, backup, status) = newest;
    (status.phase == WorkPhase::Failed).then(|| {
        (
            backup.metadata.name.clone().unwrap_or_default(),
            status.message.clone().unwrap_or_default(),
        )
    })
}

/// Records of a Shop that is not there, or has no backups, come to an end.
///
/// # Errors
/// When the API server does not do its part.
pub async fn refuse(scribe: Scribe<'_>, snapshot: &Snapshot, why: &str) -> Result<(), Failure> {
    for backup in &snapshot.backups {
        if !of_backup(backup).phase.is_over() {
            let mut written = ShopBackup::clone(backup);
            let status = written.status.get_or_insert_default();
            status.phase = WorkPhase::Failed;
            status.message = Some(why.to_owned());
            status.completed_at = Some(whole(scribe.now));
            write_backup(scribe, written).await?;
        }
    }
    for restore in &snapshot.restores {
        if !of_restore(restore).phase.is_over() {
            let mut written = ShopRestore::clone(restore);
            let status = written.status.get_or_insert_default();
            status.phase = WorkPhase::Failed;
            status.message = Some(why.to_owned());
            status.completed_at = Some(whole(scribe.now));
            write_restore(scribe, written).await?;
        }
    }
    Ok(())
}

async fn write_backup(
    scribe: Scribe<'_>,
    mut backup: ShopBackup,
) -> Result<Arc<ShopBackup>, Failure> {
    let name = backup.metadata.name.clone().unwrap_or_default();
    let status = json!(backup.status);
    backup.metadata.resource_version =
        write(scribe, &ShopBackup::api_resource(), &name, &status).await?;
    // Known at once, so that it is not done again before the watch tells.
    let backup = Arc::new(backup);
    scribe
        .index
        .put_backup(scribe.key, &name, Some(Arc::clone(&backup)));
    Ok(backup)
}

async fn write_restore(
    scribe: Scribe<'_>,
    mut restore: ShopRestore,
) -> Result<Arc<ShopRestore>, Failure> {
    let name = restore.metadata.name.clone().unwrap_or_default();
    let status = json!(restore.status);
    restore.metadata.resource_version =
        write(scribe, &ShopRestore::api_resource(), &name, &status).await?;
    let restore = Arc::new(restore);
    scribe
        .index
        .put_restore(scribe.key, &name, Some(Arc::clone(&restore)));
    Ok(restore)
}

/// Writes the status of a record. Says which version of it there is then.
async fn write(
    scribe: Scribe<'_>,
    resource: &ApiResource,
    name: &str,
    status: &Value,
) -> Result<Option<String>, Failure> {
    let body = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name},
        "status": status,
    });
    let written = scribe
        .cluster
        .write_status(resource, scribe.key, name, &body, FIELD_MANAGER)
        .await?;
    Ok(written.metadata.resource_version)
}

/// A record for each Job that a schedule has made.
async fn note_scheduled(
    look: Look<'_>,
    backups: &mut Vec<Arc<ShopBackup>>,
    restores: &mut Vec<Arc<ShopRestore>>,
) -> Result<(), Failure> {
    let shop = &look.shop.owner.name;
    let made_by = |work: &Work, job: &str| {
        let prefix = scheduled_name(shop, work).unwrap_or_default();
        job.strip_prefix(&prefix)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| !rest.is_empty() && !rest.contains('-'))
    };
    let mut jobs: Vec<&String> = look
        .snapshot
        .live
        .keys()
        .filter(|key| key.kind == Kind::Job)
        .map(|key| &key.name)
        .collect();
    jobs.sort();
    for job in jobs {
        let is = |name: &Option<String>| name.as_ref() == Some(job);
        if made_by(&Work::Take, job) && !backups.iter().any(|known| is(&known.metadata.name)) {
            let spec = json!({"shopName": shop});
            let resource = ShopBackup::api_resource();
            let body = record(&look.shop.owner, "ShopBackup", job, &spec);
            if let Some(made) = look
                .scribe
                .cluster
                .create_record(&resource, look.scribe.key, &body)
                .await?
            {
                backups.push(Arc::new(made));
            }
        }
        if made_by(&Work::Verify, job) && !restores.iter().any(|known| is(&known.metadata.name)) {
            let spec = json!({"shopName": shop, "verify": {}});
            let resource = ShopRestore::api_resource();
            let body = record(&look.shop.owner, "ShopRestore", job, &spec);
            if let Some(made) = look
                .scribe
                .cluster
                .create_record(&resource, look.scribe.key, &body)
                .await?
            {
                restores.push(Arc::new(made));
            }
        }
    }
    Ok(())
}

fn record(owner: &Owner, kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": {SHOP_LABEL: owner.name, SCHEDULED: "true"},
        },
        "spec": spec,
    })
}

/// A shop that has none yet at its target does not wait for the night: without a full backup the archive is worth nothing.
async fn begin_first(
    look: Look<'_>,
    target: &str,
    backups: &mut Vec<Arc<ShopBackup>>,
) -> Result<(), Failure> {
    let is_elsewhere = |told: Option<&String>| told.is_some_and(|told| told != target);
    let before = look.previous.backup.as_ref();
    let told = before.and_then(|before| before.target.as_ref());
    let none = backups.iter().all(|backup| is_elsewhere(noted(backup)))
        && (is_elsewhere(told) || before.is_none_or(|before| before.last.is_none()));
    if none && look.stage.serving.is_some() && may_begin(look).is_none() {
        let owner = &look.shop.owner;
        let spec = json!({"shopName": owner.name});
        let name = first(owner, target, !backups.is_empty());
        let body = record(owner, "ShopBackup", &name, &spec);
        let resource = ShopBackup::api_resource();
        if let Some(made) = look
            .scribe
            .cluster
            .create_record(&resource, look.scribe.key, &body)
            .await?
        {
            backups.push(Arc::new(made));
        }
    }
    Ok(())
}

/// Why no Job can begin now, if none can.
fn may_begin(look: Look<'_>) -> Option<&'static str> {
    if !runs(look.shop.spec.mode) {
        Some("The shop is hibernated")
    } else if !look.stage.database_ready {
        Some("The database is not ready yet")
    } else {
        None
    }
}

/// What became of the Job of a record, which is made where there is none yet.
async fn progress(look: Look<'_>, entry: &Entry, job: &str) -> Result<Progress, Failure> {
    let owner = &look.shop.owner;
    let key = ObjectKey {
        kind: Kind::Job,
        name: job.to_owned(),
    };
    let state = match look.snapshot.live.get(&key).map(|live| &live.health) {
        Some(Health::Job(state)) => state.clone(),
        _ => {
            // It may be younger than what is known.
            let found = look
                .scribe
                .cluster
                .get(Kind::Job, &owner.namespace, job)
                .await?
                .map(|found| crate::live::live(Kind::Job, &found).health);
            match (found, entry.phase) {
                (Some(Health::Job(state)), _) => state,
                (_, WorkPhase::Running) => {
                    return Ok(Progress::Ended {
                        done: false,
                        words: "the Job is gone".to_owned(),
                        report: None,
                        text: String::new(),
                    });
                }
                _ => {
                    if let Some(why) = may_begin(look) {
                        return Ok(Progress::Waits(why.to_owned()));
                    }
                    let record = (entry.kind, entry.name.as_str(), entry.uid.as_str());
                    let shop = (look.shop, look.stage);
                    if let Some(object) = job_now(shop, job, &entry.work, record) {
                        look.scribe.cluster.create(FIELD_MANAGER, &object).await?;
                    }
                    JobState::Running
                }
            }
        }
    };
    let (done, words) = match state {
        JobState::Running => return Ok(Progress::Runs),
        JobState::Succeeded => (true, String::new()),
        JobState::Failed(words) => (false, words),
    };
    let text = last_words(look, job).await?;
    Ok(Progress::Ended {
        done,
        words,
        report: Report::read(&text),
        text,
    })
}

/// The last words of the container of a Job, of its newest pod that has ended.
async fn last_words(look: Look<'_>, job: &str) -> Result<String, Failure> {
    let labels = format!("batch.kubernetes.io/job-name={job}");
    let mut pods = look
        .scribe
        .cluster
        .pods(&look.shop.owner.namespace, &labels)
        .await?;
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|at| at.0));
    let words = pods.iter().rev().find_map(|pod| {
        let status = pod.status.as_ref()?;
        let of = |name: &str| {
            status
                .container_statuses
                .iter()
                .chain(&status.init_container_statuses)
                .flatten()
                .filter(|container| name.is_empty() || container.name == name)
                .filter_map(|container| {
                    let state = container.state.as_ref()?.terminated.as_ref()?;
                    state.message.clone()
                })
                .next()
        };
        of(CONTAINER).or_else(|| of(""))
    });
    Ok(words.unwrap_or_default())
}

/// A backup tells what its verification found.
async fn note_verified(
    look: Look<'_>,
    status: &BackupStatus,
    backups: &mut [Arc<ShopBackup>],
) -> Result<(), Failure> {
    let Some(verified) = &status.last_verified else {
        return Ok(());
    };
    for known in backups {
        let Some(before) = &known.status else {
            continue;
        };
        let same = before.backup.is_some() && before.backup == verified.backup;
        if same && before.verified.as_ref() != Some(verified) {
            let mut written = ShopBackup::clone(known);
            if let Some(status) = &mut written.status {
                status.verified = Some(verified.clone());
            }
            *known = write_backup(look.scribe, written).await?;
        }
    }
    Ok(())
}

/// Records that schedules made go with the backups that they are of.
async fn forget_old(
    look: Look<'_>,
    spec: &Backup,
    backups: &[Arc<ShopBackup>],
    restores: &[Arc<ShopRestore>],
) -> Result<(), Failure> {
    let days = i64::from(spec.retention.days);
    let oldest = look
        .scribe
        .now
        .as_second()
        .saturating_sub(days.saturating_mul(86_400));
    let old = |mut ended: Vec<(i64, Entry)>, kept: usize| {
        ended.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        ended
            .into_iter()
            .skip(kept)
            .filter(|(at, entry)| *at < oldest && entry.scheduled)
            .map(|(_, entry)| entry)
            .collect::<Vec<_>>()
    };
    let backups = backups
        .iter()
        .filter_map(|backup| {
            let at = backup.status.as_ref()?.completed_at.as_deref()?;
            Some((moment(at)?, of_backup(backup)))
        })
        .collect();
    let copies = usize::try_from(spec.retention.copies).unwrap_or(usize::MAX);
    for entry in old(backups, copies) {
        let resource = ShopBackup::api_resource();
        look.scribe
            .cluster
            .delete_record(&resource, look.scribe.key, &entry.name, &entry.uid)
            .await?;
        look.scribe
            .index
            .put_backup(look.scribe.key, &entry.name, None);
    }
    let restores = restores
        .iter()
        .filter(|restore| restore.spec.verify.is_some())
        .filter_map(|restore| {
            let at = restore.status.as_ref()?.completed_at.as_deref()?;
            Some((moment(at)?, of_restore(restore)))
        })
        .collect();
    for entry in old(restores, VERIFICATIONS) {
        let resource = ShopRestore::api_resource();
        look.scribe
            .cluster
            .delete_record(&resource, look.scribe.key, &entry.name, &entry.uid)
            .await?;
        look.scribe
            .index
            .put_restore(look.scribe.key, &entry.name, None);
    }
    Ok(())
}
