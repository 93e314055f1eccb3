//! Writes what should exist and is not so, deletes what should not exist and is ours, and leaves everything else alone.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use panono_crds::Reason;
use serde_json::json;

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::index::{Index, Need};
use crate::live::{Live, live};
use crate::metrics::Metrics;
use crate::names::{MANAGED_BY, Owner, SHOP_LABEL};
use crate::object::{Kind, Object, ObjectKey, ShopKey};
use crate::ownership::{is_of_another_shop, made_by_us};

/// The manager that holds `replicas` between us and an autoscaler.
const HANDOVER: &str = "panono-operator-handover";

/// What an apply did.
#[derive(Debug, Default)]
pub struct Applied {
    /// Objects that somebody had changed and that were put back.
    pub restored: Vec<ObjectKey>,
    /// The first failure. Others were tried all the same, unless it was general.
    pub failure: Option<Failure>,
    /// The components of objects that are not as they should be.
    pub behind: BTreeSet<String>,
}

/// Where things are written.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// What is known.
    pub index: &'a Index,
    /// What is counted.
    pub metrics: &'a Metrics,
    /// The Shop.
    pub shop: &'a ShopKey,
    /// Who it is.
    pub owner: &'a Owner,
}

/// Brings the objects of a shop to `objects`, in their order, and deletes its objects that are not in `expected`.
pub async fn apply(
    target: Target<'_>,
    objects: &[Object],
    expected: &BTreeSet<ObjectKey>,
) -> Applied {
    let mut applied = Applied::default();
    let mut written = false;
    for object in objects {
        match one(target, object).await {
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Written) => written = true,
            Ok(Outcome::Restored) => {
                written = true;
                applied.restored.push(object.key.clone());
            }
            Err(mut failure) => {
                failure.progressed = written;
                tracing::warn!(shop = %target.shop, object = %object.key, %failure, "failed to apply an object");
                let general = failure.general;
                applied.failure.get_or_insert(failure);
                applied.behind.extend(object.part().map(str::to_owned));
                if general {
                    return applied;
                }
            }
        }
    }
    // What could not be made may be what replaces what is deleted here: first all must be there.
    if applied.failure.is_none()
        && let Err(failure) = prune(target, expected).await
    {
        applied.failure = Some(failure);
    }
    applied
}

/// What was done with an object.
enum Outcome {
    Nothing,
    Written,
    /// Somebody had changed it, and it was put back.
    Restored,
}

async fn one(target: Target<'_>, object: &Object) -> Result<Outcome, Failure> {
    let need = target.index.need(target.shop, object);
    match need {
        Need::Nothing => return Ok(Outcome::Nothing),
        Need::Create => refuse_what_is_not_ours(target, object).await?,
        Need::Apply | Need::Restore => {}
    }
    hand_over_replicas(target, object).await?;
    let answer = target.cluster.apply(object).await?;
    let answer = let_stay(target, object, answer).await?;
    let after = live(object.key.kind, &answer);
    target.index.applied(target.shop, object, after);
    if need == Need::Restore {
        target.metrics.drifted(object.key.kind.name());
        tracing::info!(shop = %target.shop, object = %object.key, "put back what somebody had changed");
        return Ok(Outcome::Restored);
    }
    Ok(Outcome::Written)
}

/// An object that is not among ours may still exist: somebody else's, or ours without its label.
async fn refuse_what_is_not_ours(target: Target<'_>, object: &Object) -> Result<(), Failure> {
    let found = target
        .cluster
        .get(object.key.kind, &target.owner.namespace, &object.key.name)
        .await?;
    let Some(found) = found else { return Ok(()) };
    let label = |name: &str| {
        found
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(name))
            .map(String::as_str)
    };
    let known = live(object.key.kind, &found);
    let ours = made_by_us(&found)
        || label(SHOP_LABEL) == Some(&target.owner.name)
            && label(MANAGED_BY.0) == Some(MANAGED_BY.1)
        || target
            .owner
            .uid
            .as_ref()
            .is_some_and(|uid| known.owners.contains(uid));
    let uid = target.owner.uid.as_deref();
    if ours && !is_of_another_shop(&found, &target.owner.name, uid) {
        Ok(())
    } else {
        Err(Failure::of(
            Reason::NameTaken,
            format!(
                "{} exists and is not of this Shop. {}",
                object.key,
                Reason::NameTaken.advice()
            ),
        ))
    }
}

/// When an autoscaler is to decide on a number that was ours, giving it up would make the API server set it to one. So another
/// manager holds it until the autoscaler writes its own.
async fn hand_over_replicas(target: Target<'_>, object: &Object) -> Result<(), Failure> {
    if object.key.kind != Kind::Deployment || object.body.pointer("/spec/replicas").is_some() {
        return Ok(());
    }
    let snapshot = target.index.snapshot(target.shop);
    let Some(Live {
        replicas: Some((wanted, true)),
        ..
    }) = snapshot.live.get(&object.key)
    else {
        return Ok(());
    };
    let body = json!({
        "apiVersion": object.key.kind.api_version(),
        "kind": object.key.kind.name(),
        "metadata": {"name": object.key.name, "namespace": target.owner.namespace},
        // An autoscaler does not touch what is at zero.
        "spec": {"replicas": (*wanted).max(1)},
    });
    target
        .cluster
        .apply_as(HANDOVER, &object.key, &body)
        .await
        .map(|_| ())
}

/// What is to stay when its Shop goes must not be owned by it. Who else has said that it is (Secrets were made with an owner once,
/// under another name of ours) is not asked: an apply takes away only what no other manager holds.
async fn let_stay(
    target: Target<'_>,
    object: &Object,
    answer: DynamicObject,
) -> Result<DynamicObject, Failure> {
    let Some(uid) = &target.owner.uid else {
        return Ok(answer);
    };
    let owners = answer.metadata.owner_references.as_deref().unwrap_or(&[]);
    let stays = holds_data(object.key.kind)
        && object.body.pointer("/metadata/ownerReferences").is_none()
        && owners.iter().any(|owner| owner.uid == *uid);
    if !stays {
        return Ok(answer);
    }
    let others: Vec<_> = owners.iter().filter(|owner| owner.uid != *uid).collect();
    let fields = json!({"metadata": {
        // Nobody has changed it meanwhile.
        "resourceVersion": answer.metadata.resource_version,
        "ownerReferences": others,
    }});
    let namespace = &target.owner.namespace;
    target
        .cluster
        .change(object.key.kind, namespace, &object.key.name, &fields)
        .await
}

/// Kinds that hold data: they go with their Shop, if they go at all.
pub(crate) fn holds_data(kind: Kind) -> bool {
    matches!(kind, Kind::PersistentVolumeClaim | Kind::Secret)
}

async fn prune(target: Target<'_>, expected: &BTreeSet<ObjectKey>) -> Result<(), Failure> {
    let Some(uid) = &target.owner.uid else {
        return Ok(());
    };
    let snapshot = target.index.snapshot(target.shop);
    let mut surplus: Vec<(&ObjectKey, &Live)> = snapshot
        .live
        .iter()
        .filter(|(key, live)| {
            !expected.contains(*key) && live.owners.contains(uid) && !holds_data(key.kind)
        })
        .collect();
    // What others refer to goes last.
    surplus.sort_by(|left, right| right.0.cmp(left.0));
    for (key, live) in surplus {
        tracing::info!(shop = %target.shop, object = %key, "deleting what is no longer wanted");
        target
            .cluster
            .delete(key, &target.owner.namespace, &live.uid)
            .await?;
        target.index.remove_object(target.shop, key, 0);
    }
    Ok(())
}
