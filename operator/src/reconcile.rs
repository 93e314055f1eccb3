//! One look at one Shop: observe, validate, decide what should exist, apply it, say how it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::CustomResourceExt as _;
use kube::core::ApiResource;
use panono_crds::{
    ActionPhase, Component, GROUP, Reason, Resolution, RotationPhase, Shop, ShopAction,
    ShopActionStatus, ShopStatus, VERSION,
};
use serde_json::json;

use crate::apply::{Target, apply};
use crate::cluster::Cluster;
use crate::credentials;
use crate::database::carry_out::{Look, Outcome, look};
use crate::database::evidence::ShopPods;
use crate::database::{secrets, volume};
use crate::desired::backup::PART;
use crate::desired::group;
use crate::desired::{Stage, desired, migration_job_name};
use crate::events::Events;
use crate::failure::Failure;
use crate::index::{Index, Snapshot, Stored};
use crate::live::{Health, JobState};
use crate::metrics::Metrics;
use crate::names::{COMPONENT_LABEL, SHOP_LABEL, label};
use crate::object::{Kind, Object, ObjectKey, ShopKey, insert};
use crate::observe::{Catalogue, observe};
use crate::ownership::FIELD_MANAGER;
use crate::preserve;
use crate::status::{Seen, Verdict, obstructed, status};
use crate::validate::{ValidatedShop, validate};

/// How long a Shop at which nothing happens is left alone.
const REST: Duration = Duration::from_secs(600);

/// How often is looked at a database that is being restored.
const RESTORING: Duration = Duration::from_secs(5);

/// The manager of the conditions of a Shop that cannot be read.
const UNREADABLE: &str = "panono-operator-unreadable";

/// How long until a Secret that was missing is looked for again.
const SECRET: Duration = Duration::from_secs(15);

/// Everything that looking at a Shop needs.
#[derive(Debug)]
pub struct Context {
    /// The API server.
    pub cluster: Cluster,
    /// What is known.
    pub index: Arc<Index>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is served.
    pub catalogue: Arc<Catalogue>,
    /// What admins read.
    pub events: Events,
    /// The image with the agent of database members.
    pub agent_image: String,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The Shop is gone.
    Gone,
    /// It is to be looked at again after this time at the latest; its conditions have this reason.
    Again(Duration, Reason),
}

/// Looks at the Shop of `key` and brings it where it should be, or one step closer.
///
/// # Errors
/// What stood in the way, after it was written into the Shop's status where that is possible.
pub async fn reconcile(context: &Context, key: &ShopKey) -> Result<Looked, Failure> {
    let snapshot = context.index.snapshot(key);
    let shop = match &snapshot.stored {
        None => {
            context.metrics.forget(key);
            refuse_actions(context, key, &snapshot).await?;
            let why = format!("There is no Shop {:?} in this namespace", key.name);
            preserve::refuse(scribe(context, key), &snapshot, &why).await?;
            return Ok(Looked::Gone);
        }
        Some(Stored::Unreadable {
            uid,
            generation,
            problem,
        }) => {
            let verdict = Verdict::new(Reason::InvalidSpec, problem.clone());
            let after = obstructed(&ShopStatus::default(), *generation, &verdict, &now());
            write_conditions(context, key, &after).await?;
            context
                .events
                .write(key, uid, verdict.reason, &verdict.message)
                .await;
            return Ok(Looked::Again(REST, verdict.reason));
        }
        Some(Stored::Readable(shop)) => Arc::clone(shop),
    };
    let previous = shop.status.clone().unwrap_or_default();
    if shop.metadata.deletion_timestamp.is_some() {
        let verdict = Verdict::new(Reason::Terminating, Reason::Terminating.meaning());
        return say(context, key, &shop, &previous, &verdict).await;
    }
    let observed = observe(
        &context.cluster,
        &key.namespace,
        &shop.spec,
        &context.catalogue.served(),
    )
    .await;
    let referenced = match observed {
        Ok(referenced) => referenced,
        Err(failure) => return fail(context, key, &shop, &previous, failure).await,
    };
    let valid = match validate(&shop, &referenced) {
        Ok(valid) => valid,
        Err(invalid) => {
            let verdict = Verdict::new(invalid.reason, invalid.message);
            return say(context, key, &shop, &previous, &verdict).await;
        }
    };
    match bring(context, key, &shop, &previous, &valid, &snapshot).await {
        Ok(looked) => Ok(looked),
        Err(failure) => fail(context, key, &shop, &previous, failure).await,
    }
}

/// The part for a Shop that can be built.
async fn bring(
    context: &Context,
    key: &ShopKey,
    shop: &Shop,
    previous: &ShopStatus,
    valid: &ValidatedShop,
    snapshot: &Snapshot,
) -> Result<Looked, Failure> {
    let actions = open_actions(snapshot);
    let mut restarts = previous.restarts.clone();
    let made = previous
        .credentials
        .as_ref()
        .map(|credentials| credentials.generation);
    let mut generation = made.unwrap_or(1);
    let mut restored = Vec::new();
    let mut obstacle = None;
    let mut group = None;
    let mut preserved = None;
    let mut restoring = (previous.restore.clone(), None);
    let mut behind = BTreeSet::new();
    let mut stage;
    if shop.spec.paused {
        stage = stage_of(shop, valid, snapshot, generation, restarts);
    } else {
        let rotation = actions
            .iter()
            .find(|action| {
                action.spec.rotate_secrets.is_some() && rolls_now(action, valid, previous)
            })
            .and_then(|action| action.metadata.uid.clone());
        let restore = valid
            .spec
            .database
            .managed
            .as_ref()
            .and_then(|managed| managed.restore.as_ref());
        let inherited = restore.and_then(|restore| restore.shop_key_secret_name.as_deref());
        generation = credentials::ensure(
            &context.cluster,
            &valid.owner,
            made,
            rotation.as_deref(),
            inherited,
        )
        .await?;
        for action in &actions {
            if let (Some(restart), Some(uid)) = (&action.spec.restart, &action.metadata.uid) {
                restarts.insert(restart.component, uid.clone());
            }
        }
        stage = stage_of(shop, valid, snapshot, generation, restarts);
        stage.operator_image.clone_from(&context.agent_image);
        if valid.spec.backup.is_some() {
            let request = rotation.as_deref();
            stage.backup.account =
                preserve::secrets::ensure(&context.cluster, valid, previous, request).await?;
            // As it is first, it is recorded below and stays.
            let image = stage.backup.image.take();
            stage.backup.image = image.or_else(|| Some(context.agent_image.clone()));
        }
        if restore.is_some() {
            let image = stage.restore.image.take();
            stage.restore.image = image.or_else(|| Some(context.agent_image.clone()));
        }
        if let Some(size) = volume::claim_size(&context.cluster, valid).await? {
            stage.group.claim_size = Some(size);
        }
        let keys = if valid.spec.database.is_group() {
            let keys = secrets::ensure(&context.cluster, &valid.owner).await?;
            stage.group.passwords.get_or_insert(keys.passwords);
            // As they are first, they are recorded below and stay.
            stage
                .group
                .agent_image
                .get_or_insert_with(|| context.agent_image.clone());
            Some(keys)
        } else {
            None
        };
        let objects = desired(valid, &stage);
        let expected = expected(valid, &stage, &objects);
        let target = Target {
            cluster: &context.cluster,
            index: &context.index,
            metrics: &context.metrics,
            shop: key,
            owner: &valid.owner,
        };
        let applied = apply(target, &objects, &expected).await;
        restored = applied.restored;
        if let Some(failure) = applied.failure {
            if failure.general {
                return Err(failure);
            }
            obstacle = Some(failure);
        }
        behind = applied.behind;
        // What is refused elsewhere is no reason to leave members alone.
        if let Some(keys) = keys
            .as_ref()
            .filter(|_| !behind.contains(label(Component::Database)))
        {
            let managed = valid.spec.database.managed.as_ref();
            let looked = look(Look {
                cluster: &context.cluster,
                shop: valid,
                previous,
                keys,
                revision: &group::revision(&objects).unwrap_or_default(),
                settings: &managed.map(group::settings).unwrap_or_default(),
                pods: shop_pods(context, key, valid, previous).await?,
                actions: &actions,
            })
            .await?;
            group = Some(recorded(looked, valid, &stage));
        }
    }
    let behind = |part: &str| behind.contains(part);
    if !shop.spec.paused && !behind(label(Component::Database)) && !behind(PART) {
        let made_at = shop.metadata.creation_timestamp.as_ref().map(|at| at.0);
        let now = context.index.snapshot(key);
        let looked = preserve::look(preserve::Look {
            scribe: scribe(context, key),
            shop: valid,
            made_at,
            previous,
            stage: &stage,
            snapshot: &now,
        });
        match Box::pin(looked).await {
            Ok(outcome) => preserved = Some(outcome),
            Err(failure) if failure.general => return Err(failure),
            Err(failure) => {
                obstacle.get_or_insert(failure);
            }
        }
        restoring =
            preserve::restoring::restoring(&context.cluster, valid, previous, &stage, &self::now())
                .await?;
        // Last, because a storage class that does not allow it keeps nothing else from being done.
        if obstacle.is_none() {
            obstacle = volume::grow(&context.cluster, valid).await.err();
        }
    }
    // A decision is stored, at the version at which it was made, before anything else is.
    let mut version = shop.metadata.resource_version.clone();
    let mut before = previous.clone();
    if let Some(outcome) = group.as_ref().filter(|outcome| outcome.decided) {
        before.database = Some(outcome.status.clone());
        version = write_status(context, key, Some(previous), &before, version.as_deref()).await?;
    }
    let previous = &before;
    let after = context.index.snapshot(key);
    let seen = Seen {
        shop,
        owner: &valid.owner,
        snapshot: &after,
        stage: &stage,
        migration: Some(migration_job_name(valid, &stage)),
        obstacle: obstacle
            .as_ref()
            .map(|failure: &Failure| Verdict::new(failure.reason, failure.message.clone())),
        group: group.as_ref(),
        preserved: preserved.as_ref(),
        restoring: &restoring,
    };
    let (new, verdict) = status(previous, &seen, &now());
    let failover = |status: &ShopStatus| status.database.as_ref()?.last_failover.clone();
    context.metrics.failover(
        key,
        failover(shop.status.as_ref().unwrap_or(&ShopStatus::default())).as_ref(),
        failover(&new).as_ref(),
    );
    write_status(context, key, Some(previous), &new, version.as_deref()).await?;
    tell(context, key, shop, previous, &verdict, &restored).await;
    if let Some(preserved) = &preserved {
        let uid = shop.metadata.uid.as_deref().unwrap_or_default();
        for (reason, note) in &preserved.events {
            context.events.write(key, uid, *reason, note).await;
        }
        context.metrics.backups(key, preserved);
    }
    if !shop.spec.paused {
        let is_group = valid.spec.database.is_group();
        finish_actions(context, key, &actions, group.as_ref(), is_group).await?;
    }
    match obstacle {
        // A group is looked at as often as it needs; what was refused is tried again then.
        Some(failure) if group.is_none() => Err(failure),
        Some(_) | None => Ok(Looked::Again(
            [
                group.map(|outcome| outcome.pause),
                preserved.and_then(|preserved| preserved.pause),
                restoring.1.map(|_| RESTORING),
            ]
            .into_iter()
            .flatten()
            .fold(REST, Duration::min),
            verdict.reason,
        )),
    }
}

/// Whether an action that asks for new passwords has come to those that pods of the shop have. With a group this is when these
/// are replaced anyway.
fn rolls_now(action: &ShopAction, valid: &ValidatedShop, previous: &ShopStatus) -> bool {
    !valid.spec.database.is_group()
        || previous
            .database
            .as_ref()
            .and_then(|database| database.passwords.as_ref()?.rotation.as_ref())
            .is_some_and(|rotation| {
                rotation.action == action.metadata.name
                    && matches!(
                        rotation.phase,
                        RotationPhase::RollingOut | RotationPhase::Discarding
                    )
            })
}

/// The shop's pods, as far as the passwords of its database have to do with them.
async fn shop_pods(
    context: &Context,
    key: &ShopKey,
    valid: &ValidatedShop,
    previous: &ShopStatus,
) -> Result<ShopPods, Failure> {
    let snapshot = context.index.snapshot(key);
    let settled = [Component::Web, Component::Worker]
        .into_iter()
        .all(|component| {
            let key = ObjectKey {
                kind: Kind::Deployment,
                name: valid.owner.component(component),
            };
            snapshot.live.get(&key).is_none_or(
                |live| matches!(&live.health, Health::Workload(workload) if workload.is_settled()),
            )
        });
    let rolls = previous
        .database
        .as_ref()
        .and_then(|database| database.passwords.as_ref()?.rotation.as_ref())
        .is_some_and(|rotation| rotation.phase == RotationPhase::RollingOut);
    let mut oldest = None;
    if rolls {
        let labels = format!(
            "{SHOP_LABEL}={},{COMPONENT_LABEL} in (web,worker,migration)",
            valid.owner.name
        );
        for pod in context.cluster.pods(&key.namespace, &labels).await? {
            let ended = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                .is_some_and(|phase| matches!(phase, "Succeeded" | "Failed"));
            // One that is ending still answers requests.
            if !ended {
                let uses: i64 = pod
                    .metadata
                    .annotations
                    .as_ref()
                    .and_then(|annotations| annotations.get(group::PASSWORDS)?.parse().ok())
                    .unwrap_or(0);
                oldest = Some(oldest.map_or(uses, |oldest: i64| oldest.min(uses)));
            }
        }
    }
    Ok(ShopPods { settled, oldest })
}

fn scribe<'a>(context: &'a Context, key: &'a ShopKey) -> preserve::Scribe<'a> {
    preserve::Scribe {
        cluster: &context.cluster,
        index: &context.index,
        key,
        now: jiff::Timestamp::now(),
    }
}

/// With what is recorded once, when the first pods are made.
fn recorded(mut outcome: Outcome, valid: &ValidatedShop, stage: &Stage) -> Outcome {
    let size = valid
        .spec
        .database
        .managed
        .as_ref()
        .map(|managed| managed.storage.size.clone());
    if outcome.status.claim_size.is_none() {
        outcome.status.claim_size = size;
    }
    if outcome.status.agent_image.is_none() {
        outcome
            .status
            .agent_image
            .clone_from(&stage.group.agent_image);
    }
    outcome
}

/// How far a shop is. Everything is read off what exists, so that an operator that starts anew comes to the same end.
pub fn stage_of(
    shop: &Shop,
    valid: &ValidatedShop,
    snapshot: &Snapshot,
    credentials: i64,
    restarts: BTreeMap<Component, String>,
) -> Stage {
    let database = ObjectKey {
        kind: Kind::StatefulSet,
        name: valid.owner.component(Component::Database),
    };
    let database_ready = valid.spec.database.managed.is_none()
        || snapshot.live.get(&database).is_some_and(
            |live| matches!(&live.health, Health::Workload(workload) if workload.ready > 0),
        );
    let before = shop
        .status
        .as_ref()
        .and_then(|status| status.release.as_ref())
        .map(|release| release.image.clone());
    let mut stage = Stage {
        serving: before,
        database_ready,
        credentials,
        restarts,
        group: crate::database::stage(valid, shop.status.as_ref()),
        backup: preserve::stage(valid, shop.status.as_ref()),
        restore: preserve::restoring::stage(valid, shop.status.as_ref()),
        operator_image: crate::desired::agent_image(),
    };
    let image = &valid.spec.release.image;
    if stage.serving.as_ref() != Some(image) {
        let job = ObjectKey {
            kind: Kind::Job,
            name: migration_job_name(valid, &stage),
        };
        let migrated = snapshot
            .live
            .get(&job)
            .is_some_and(|live| live.health == Health::Job(JobState::Succeeded));
        if migrated {
            stage.serving = Some(image.clone());
        }
    }
    stage
}

/// What must not be deleted: what is there at this stage, and what will be at the last one.
fn expected(valid: &ValidatedShop, stage: &Stage, objects: &[Object]) -> BTreeSet<ObjectKey> {
    let last = Stage {
        serving: Some(valid.spec.release.image.clone()),
        database_ready: true,
        ..stage.clone()
    };
    objects
        .iter()
        .map(|object| object.key.clone())
        .chain(desired(valid, &last).into_iter().map(|object| object.key))
        .collect()
}

fn open_actions(snapshot: &Snapshot) -> Vec<Arc<ShopAction>> {
    let mut open: Vec<_> = snapshot
        .actions
        .iter()
        .filter(|action| {
            action
                .status
                .as_ref()
                .is_none_or(|status| status.phase.is_none())
        })
        .cloned()
        .collect();
    // The order in which they were asked for.
    open.sort_by_key(|action| {
        (
            action
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0),
            action.metadata.name.clone(),
        )
    });
    // Of several requests for new passwords one is served at a time.
    let mut rotates = false;
    open.retain(|action| {
        action.spec.rotate_secrets.is_none() || !std::mem::replace(&mut rotates, true)
    });
    open
}

async fn finish_actions(
    context: &Context,
    key: &ShopKey,
    actions: &[Arc<ShopAction>],
    group: Option<&Outcome>,
    is_group: bool,
) -> Result<(), Failure> {
    for action in actions {
        let spec = &action.spec;
        let of_group = spec.switchover.is_some()
            || spec.reclone.is_some()
            || spec.rebuild_group.is_some()
            || spec.rotate_secrets.is_some() && is_group;
        if of_group {
            let name = action.metadata.name.as_deref().unwrap_or_default();
            let ended = match group {
                Some(outcome) => outcome
                    .ended
                    .iter()
                    .find(|(ended, _, _)| ended == name)
                    .map(|(_, done, message)| (*done, message.clone())),
                // It could not be looked at this time.
                None if is_group => None,
                None => Some((false, "The Shop's database is not a group".to_owned())),
            };
            if let Some((done, message)) = ended {
                let phase = if done {
                    ActionPhase::Succeeded
                } else {
                    ActionPhase::Failed
                };
                end_action(context, key, action, phase, message).await?;
            }
            continue;
        }
        let message = match &action.spec.restart {
            Some(restart) => format!("Pods of {:?} are being replaced", restart.component),
            None => "Passwords were made anew; pods that use them are being replaced".to_owned(),
        };
        end_action(context, key, action, ActionPhase::Succeeded, message).await?;
    }
    Ok(())
}

/// Actions on a Shop that does not exist.
async fn refuse_actions(
    context: &Context,
    key: &ShopKey,
    snapshot: &Snapshot,
) -> Result<(), Failure> {
    for action in open_actions(snapshot) {
        let message = format!("There is no Shop {:?} in this namespace", key.name);
        end_action(context, key, &action, ActionPhase::Failed, message).await?;
    }
    Ok(())
}

async fn end_action(
    context: &Context,
    key: &ShopKey,
    action: &Arc<ShopAction>,
    phase: ActionPhase,
    message: String,
) -> Result<(), Failure> {
    let name = action.metadata.name.clone().unwrap_or_default();
    let status = ShopActionStatus {
        phase: Some(phase),
        message: Some(message),
        completed_at: Some(now()),
    };
    let body = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ShopAction",
        "metadata": {"name": name},
        "status": status,
    });
    let resource = ShopAction::api_resource();
    context
        .cluster
        .write_status(&resource, key, &name, &body, FIELD_MANAGER)
        .await?;
    // Known at once, so that it is not done again before the watch tells.
    let mut ended = ShopAction::clone(action);
    ended.status = Some(status);
    context.index.put_action(key, &name, Some(Arc::new(ended)));
    Ok(())
}

/// Writes a status without having looked at objects, and says when to look again.
async fn say(
    context: &Context,
    key: &ShopKey,
    shop: &Shop,
    previous: &ShopStatus,
    verdict: &Verdict,
) -> Result<Looked, Failure> {
    let new = obstructed(previous, shop.metadata.generation, verdict, &now());
    let version = shop.metadata.resource_version.as_deref();
    write_status(context, key, Some(previous), &new, version).await?;
    tell(context, key, shop, previous, verdict, &[]).await;
    let pause = match verdict.reason {
        Reason::SecretMissing | Reason::SecretIncomplete => SECRET,
        _ => REST,
    };
    Ok(Looked::Again(pause, verdict.reason))
}

/// Notes a failure in the status, where that is worth trying, and passes it on.
async fn fail(
    context: &Context,
    key: &ShopKey,
    shop: &Shop,
    previous: &ShopStatus,
    failure: Failure,
) -> Result<Looked, Failure> {
    if failure.reason.resolution() == Resolution::Act {
        let verdict = Verdict::new(failure.reason, failure.message.clone());
        say(context, key, shop, previous, &verdict).await.ok();
    }
    Err(failure)
}

/// Writes the status, if it differs from what is stored, and says at which version it is then. One with decisions about a
/// database is written only at the version from which it was made.
async fn write_status(
    context: &Context,
    key: &ShopKey,
    previous: Option<&ShopStatus>,
    new: &ShopStatus,
    version: Option<&str>,
) -> Result<Option<String>, Failure> {
    if previous == Some(new) {
        return Ok(version.map(str::to_owned));
    }
    let resource: ApiResource = Shop::api_resource();
    let mut body = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "Shop",
        "metadata": {"name": key.name},
        "status": new,
    });
    if let Some(version) = version.filter(|_| new.database.is_some())
        && let Some(metadata) = body.get_mut("metadata")
    {
        insert(metadata, "resourceVersion", version);
    }
    let written = context
        .cluster
        .write_status(&resource, key, &key.name, &body, FIELD_MANAGER)
        .await?;
    let now = written.metadata.resource_version.clone();
    let (version, stored) = crate::watch::stored(&written);
    context.index.put_shop(key, version, stored);
    Ok(now)
}

/// Writes the conditions of a Shop of which nothing else is known: what was decided for it stays.
async fn write_conditions(
    context: &Context,
    key: &ShopKey,
    new: &ShopStatus,
) -> Result<(), Failure> {
    let body = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "Shop",
        "metadata": {"name": key.name},
        "status": {"conditions": new.conditions, "observedGeneration": new.observed_generation},
    });
    context
        .cluster
        .write_status(&Shop::api_resource(), key, &key.name, &body, UNREADABLE)
        .await?;
    Ok(())
}

/// Writes the events of a look.
async fn tell(
    context: &Context,
    key: &ShopKey,
    shop: &Shop,
    previous: &ShopStatus,
    verdict: &Verdict,
    restored: &[ObjectKey],
) {
    let uid = shop.metadata.uid.as_deref().unwrap_or_default();
    if let Some(first) = restored.first() {
        let note = format!(
            "Put back what somebody had changed in {first}{}",
            if restored.len() > 1 {
                format!(" and {} more", restored.len() - 1)
            } else {
                String::new()
            }
        );
        context
            .events
            .write(key, uid, Reason::Applying, &note)
            .await;
    }
    let before = previous
        .conditions
        .first()
        .map(|condition| condition.reason.as_str());
    if before != Some(verdict.reason.name()) && verdict.reason.resolution() != Resolution::Wait {
        context
            .events
            .write(key, uid, verdict.reason, &verdict.message)
            .await;
    }
}

fn now() -> String {
    // Whole seconds, as other conditions have.
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}
