//! How the database of a new Shop begins from a backup: what the first member's init container says. And how a `ShopRestore` makes
//! such a Shop.

use k8s_openapi::api::core::v1::Pod;
use kube::CustomResourceExt as _;
use panono_crds::{
    Backup, Component, DatabaseRestore, GROUP, Mode, Reason, RestoreInto, RestoreStatus,
    RestoreVolume, Shop, ShopRestore, ShopRestoreStatus, ShopSpec, ShopStatus, VERSION, WorkPhase,
};
use serde_json::{Value, json};

use super::look::Look;
use crate::backup::job::Report;
use crate::cluster::Cluster;
use crate::desired::backup::{CLAIM, KEY};
use crate::desired::restore::{CONTAINER, RestoreStage};
use crate::desired::{CREDENTIALS, Stage};
use crate::failure::Failure;
use crate::index::Stored;
use crate::names::{Owner, SHOP_LABEL};
use crate::object::ShopKey;
use crate::status::Verdict;
use crate::validate::ValidatedShop;

/// The annotation of a Shop that says by which `ShopRestore` it was made.
const MADE_BY: &str = "panono.dev/restored-by";

/// What was recorded of a restore and shows in objects.
pub fn stage(shop: &ValidatedShop, status: Option<&ShopStatus>) -> RestoreStage {
    let managed = shop.spec.database.managed.as_ref();
    if managed.is_none_or(|managed| managed.restore.is_none()) {
        return RestoreStage::default();
    }
    let recorded = status.and_then(|status| status.restore.as_ref());
    let restored = recorded.is_some_and(|restore| restore.phase == WorkPhase::Succeeded);
    // A group that is recorded has begun, whatever else is known.
    let made = status
        .and_then(|status| status.database.as_ref())
        .is_some_and(|database| database.group_name.is_some());
    RestoreStage {
        image: recorded.and_then(|restore| restore.image.clone()),
        begun: made || restored && !shop.spec.database.is_group(),
    }
}

/// How far the restore of a Shop's database is, and what is to be said of it while it is not done. Nothing for a Shop whose database
/// began empty.
///
/// # Errors
/// When the API server does not say.
pub async fn restoring(
    cluster: &Cluster,
    shop: &ValidatedShop,
    previous: &ShopStatus,
    stage: &Stage,
    now: &str,
) -> Result<(Option<RestoreStatus>, Option<Verdict>), Failure> {
    let managed = shop.spec.database.managed.as_ref();
    if managed.is_none_or(|managed| managed.restore.is_none()) {
        return Ok((None, None));
    }
    let mut before = previous.restore.clone().unwrap_or_default();
    before.image.clone_from(&stage.restore.image);
    if before.phase == WorkPhase::Succeeded {
        return Ok((Some(before), None));
    }
    let owner = &shop.owner;
    let labels = format!("{SHOP_LABEL}={},panono.dev/component=database", owner.name);
    let pods = cluster.pods(&owner.namespace, &labels).await?;
    let first = format!("{}-0", owner.component(Component::Database));
    let pod = pods
        .iter()
        .find(|pod| pod.metadata.name.as_ref() == Some(&first));
    let status = told(&before, pod, now);
    let verdict = verdict(&status, &first);
    Ok((Some(status), verdict))
}

/// What the pod of the first member says. Pure.
fn told(before: &RestoreStatus, pod: Option<&Pod>, now: &str) -> RestoreStatus {
    let mut status = before.clone();
    let container = pod
        .and_then(|pod| pod.status.as_ref())
        .and_then(|status| status.init_container_statuses.as_ref())
        .and_then(|all| all.iter().find(|container| container.name == CONTAINER));
    let Some(container) = container else {
        return status;
    };
    let ended = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
        state.and_then(|state| state.terminated.clone())
    };
    let now_ended = ended(container.state.as_ref());
    if let Some(done) = now_ended.as_ref().filter(|ended| ended.exit_code == 0) {
        let report = done.message.as_deref().and_then(Report::read);
        let report = report.unwrap_or_default();
        status.phase = WorkPhase::Succeeded;
        status.message = report.message;
        status.backup = report.backup;
        status.gtid = report.gtid;
        status.restore_seconds = report.restore_seconds.map(super::records::seconds);
        status.completed_at = Some(now.to_owned());
        return status;
    }
    status.phase = WorkPhase::Running;
    // Between two attempts the last one says why there has to be another.
    let failed = now_ended.or_else(|| ended(container.last_state.as_ref()));
    status.message = failed.map(|failed| {
        let text = failed.message.unwrap_or_default();
        let report = Report::read(&text).and_then(|report| report.message);
        report.unwrap_or_else(|| format!("exit code {}: {}", failed.exit_code, text.trim()))
    });
    status
}

fn verdict(status: &RestoreStatus, pod: &str) -> Option<Verdict> {
    match (&status.message, status.phase) {
        (_, WorkPhase::Succeeded) => None,
        (Some(why), _) => Some(Verdict::new(
            Reason::RestoreFailed,
            format!(
                "The database was not restored: {why}. It is tried again. {}",
                Reason::RestoreFailed.advice()
            ),
        )),
        (None, _) => Some(Verdict::new(
            Reason::Restoring,
            format!(
                "The database is being restored: kubectl logs {pod} -c {CONTAINER} tells how far it is"
            ),
        )),
    }
}

/// The status of a `ShopRestore` that makes a new Shop, which it makes.
pub(super) async fn into(
    look: Look<'_>,
    restore: &ShopRestore,
    into: &RestoreInto,
    now: &str,
) -> Result<ShopRestoreStatus, Failure> {
    let mut status = restore.status.clone().unwrap_or_default();
    let failed = |why: String| {
        let mut status = status.clone();
        status.phase = WorkPhase::Failed;
        status.message = Some(why);
        status.completed_at = Some(now.to_owned());
        Ok(status)
    };
    let key = ShopKey {
        namespace: look.scribe.key.namespace.clone(),
        name: into.name.clone(),
    };
    let uid = restore.metadata.uid.clone().unwrap_or_default();
    let made = match look.scribe.index.snapshot(&key).stored {
        Some(Stored::Readable(shop)) => Some(shop),
        Some(Stored::Unreadable { problem, .. }) => return failed(problem),
        None => None,
    };
    let Some(shop) = made else {
        if status.phase == WorkPhase::Running && status.started_at.is_some() {
            return gone(look, &key, &status, now).await;
        }
        let Some(backup) = &look.shop.spec.backup else {
            return failed("The Shop has no spec.backup".to_owned());
        };
        let body = new_shop(&look.shop.owner, &look.shop.spec, backup, into, &uid);
        let made: Option<Value> = look
            .scribe
            .cluster
            .create_record(&Shop::api_resource(), &key, &body)
            .await?;
        if made.is_none() {
            return failed(format!("There is a Shop {:?} already", into.name));
        }
        status.phase = WorkPhase::Running;
        status.started_at = Some(now.to_owned());
        status.message = Some(format!("Shop {:?} is being made", into.name));
        return Ok(status);
    };
    let annotations = shop.metadata.annotations.as_ref();
    if annotations.and_then(|all| all.get(MADE_BY)) != Some(&uid) {
        return failed(format!("There is a Shop {:?} already", into.name));
    }
    status.phase = WorkPhase::Running;
    status.started_at.get_or_insert_with(|| now.to_owned());
    let told = shop
        .status
        .as_ref()
        .and_then(|status| status.restore.clone());
    let told = told.unwrap_or_default();
    status.message = Some(match &told.message {
        Some(why) if told.phase != WorkPhase::Succeeded => why.clone(),
        _ => format!("The database of Shop {:?} is being restored", into.name),
    });
    if told.phase == WorkPhase::Succeeded {
        status.phase = WorkPhase::Succeeded;
        status.message = Some(format!(
            "Shop {:?} has the restored data: kubectl describe shop {}",
            into.name, into.name
        ));
        status.completed_at = Some(now.to_owned());
        status.passed = Some(true);
        status.backup = told.backup;
        status.gtid = told.gtid;
        status.restore_seconds = told.restore_seconds;
    }
    Ok(status)
}

/// The new Shop was made and is not known: it is gone, or not known yet.
async fn gone(
    look: Look<'_>,
    key: &ShopKey,
    status: &ShopRestoreStatus,
    now: &str,
) -> Result<ShopRestoreStatus, Failure> {
    let mut status = status.clone();
    let since = status
        .started_at
        .as_deref()
        .and_then(super::records::moment);
    let known = since.is_some_and(|since| look.scribe.now.as_second().saturating_sub(since) > 60);
    if known {
        status.phase = WorkPhase::Failed;
        status.message = Some(format!("Shop {:?} was deleted", key.name));
        status.completed_at = Some(now.to_owned());
    }
    Ok(status)
}

/// The new Shop: as the one that was, with what must not be there twice left out. Pure.
fn new_shop(
    owner: &Owner,
    spec: &ShopSpec,
    backup: &Backup,
    into: &RestoreInto,
    uid: &str,
) -> Value {
    let mut spec = spec.clone();
    spec.url.clone_from(&into.url);
    spec.aliases.clear();
    // Visitors, mails and money are still the other's. Two archives in one place would be none.
    spec.exposure = None;
    spec.mail = None;
    spec.payments = panono_crds::Payments::default();
    spec.backup = None;
    spec.paused = false;
    if spec.edge.managed.is_none() && spec.edge.none.is_none() {
        spec.edge = panono_crds::Edge {
            managed: Some(panono_crds::ManagedEdge::default()),
            ..panono_crds::Edge::default()
        };
    }
    if spec.cache.managed.is_none() {
        spec.cache = panono_crds::Cache {
            managed: Some(panono_crds::ManagedCache::default()),
            external: None,
        };
    }
    // Its database has to be woken, and its schema brought to the release, before there is anything to look at.
    spec.mode = match spec.mode {
        Mode::Hibernated | Mode::ReadOnly => Mode::Maintenance,
        mode @ (Mode::Running | Mode::Maintenance) => mode,
    };
    if let Some(managed) = &mut spec.database.managed {
        managed.restore = Some(DatabaseRestore {
            bucket: backup.bucket.clone(),
            volume: backup.volume.as_ref().map(|_| RestoreVolume {
                claim_name: owner.with(CLAIM),
            }),
            key_secret_name: backup
                .key_secret_name
                .clone()
                .unwrap_or_else(|| owner.with(KEY)),
            shop_key_secret_name: Some(owner.with(CREDENTIALS)),
            point: into.point.clone(),
        });
    }
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "Shop",
        "metadata": {
            "name": into.name,
            "namespace": owner.namespace,
            "annotations": {MADE_BY: uid},
        },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use panono_crds::{Mode, Reason, RestoreInto, RestoreStatus, Shop, WorkPhase};
    use serde_json::{Value, json};

    use super::{new_shop, told, verdict};
    use crate::names::Owner;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn pod(state: &Value, last: &Value) -> Pod {
        serde_json::from_value(json!({"status": {"initContainerStatuses": [{
            "name": "restore", "image": "i", "imageID": "", "ready": false, "restartCount": 1, "state": state, "lastState": last,
        }]}}))
        .unwrap()
    }

    #[test]
    fn the_first_member_tells_how_far_it_is() {
        let before = RestoreStatus::default();
        assert_eq!(told(&before, None, NOW), before, "no pod has said anything");
        let runs = told(
            &before,
            Some(&pod(&json!({"running": {}}), &json!({}))),
            NOW,
        );
        assert_eq!(runs.phase, WorkPhase::Running);
        assert_eq!(verdict(&runs, "p").unwrap().reason, Reason::Restoring);

        let gap = json!({"terminated": {"exitCode": 1, "message": "{\"message\":\"the archive has a gap\"}"}});
        let failed = told(&before, Some(&pod(&json!({"waiting": {}}), &gap)), NOW);
        let said = verdict(&failed, "p").unwrap();
        assert_eq!(said.reason, Reason::RestoreFailed);
        assert!(
            said.message.contains("the archive has a gap"),
            "{}",
            said.message
        );

        let done = json!({"terminated": {"exitCode": 0, "message": "{\"backup\":\"b\",\"gtid\":\"g\",\"restoreSeconds\":3.2}"}});
        let done = told(&failed, Some(&pod(&done, &gap)), NOW);
        assert_eq!(done.phase, WorkPhase::Succeeded);
        assert_eq!(
            (done.backup.as_deref(), done.restore_seconds),
            (Some("b"), Some(4))
        );
        assert_eq!(done.message, None);
        assert_eq!(verdict(&done, "p"), None);
    }

    /// A copy of a shop sends no mail, takes no money, has no visitors of the other, and archives nowhere.
    #[test]
    fn a_new_shop_does_nothing_twice() {
        let shop: Shop = serde_json::from_value(json!({
            "apiVersion": "panono.dev/v1alpha1", "kind": "Shop", "metadata": {"name": "demo"},
            "spec": {
                "url": "https://shop.example.com", "aliases": ["www.example.com"], "email": "a@example.com",
                "release": {"image": "i"}, "mail": {"server": "smtp.example.com:25"},
                "payments": {"stripe": {"publishableKey": "pk_live_1", "secretName": "stripe"}},
                "exposure": {"ingress": {}}, "edge": {"fastly": {"serviceId": "f", "secretName": "s"}},
                "cache": {"external": {"secretName": "cache"}},
                "database": {"managed": {"members": 3}},
                "backup": {"bucket": {"url": "s3://b/demo", "secretName": "bucket"}},
            },
        }))
        .unwrap();
        let owner = Owner {
            name: "demo".to_owned(),
            namespace: "shops".to_owned(),
            uid: None,
        };
        let into = RestoreInto {
            name: "again".to_owned(),
            url: "https://again.example.com".to_owned(),
            point: serde_json::from_value(json!({"toTime": "2026-11-30T11:59:00Z"})).unwrap(),
        };
        let backup = shop.spec.backup.clone().unwrap();
        let made = new_shop(&owner, &shop.spec, &backup, &into, "uid");
        let spec = &made["spec"];
        for absent in ["backup", "mail", "exposure", "aliases", "paused"] {
            assert!(spec.get(absent).is_none(), "{absent}: {spec}");
        }
        assert!(spec["payments"].get("stripe").is_none());
        assert!(spec["edge"].get("managed").is_some() && spec["edge"].get("fastly").is_none());
        assert!(spec["cache"].get("managed").is_some());
        assert_eq!(spec["url"], "https://again.example.com");
        assert_eq!(spec["mode"], "Running");
        let restore = &spec["database"]["managed"]["restore"];
        assert_eq!(restore["bucket"]["url"], "s3://b/demo");
        assert_eq!(restore["keySecretName"], "demo-backup-key");
        assert_eq!(restore["shopKeySecretName"], "demo-credentials");
        assert_eq!(restore["point"]["toTime"], "2026-11-30T11:59:00Z");
        assert_eq!(
            made["metadata"]["annotations"]["panono.dev/restored-by"],
            "uid"
        );
        // In these modes nothing is migrated, and nothing would ever serve.
        for mode in [Mode::ReadOnly, Mode::Hibernated] {
            let mut spec = shop.spec.clone();
            spec.mode = mode;
            let made = new_shop(&owner, &spec, &backup, &into, "uid");
            assert_eq!(made["spec"]["mode"], "Maintenance", "{mode:?}");
        }
    }
}
