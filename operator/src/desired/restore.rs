//! A database that begins from a backup: the first member's data is restored by an init container, before its server starts for the
//! first time.
//!
//! The container is in every pod of the database for ever, because taking it away would replace all pods. That it does something
//! once is decided by what is on the volume, and by a ConfigMap that says `wanted` until the operator has recorded that the
//! database has begun.

use panono_crds::{DatabaseRestore, ManagedDatabase};
use serde_json::{Value, json};

use super::pod::{self, Beside, Pod, mount, mount_read_only, variable};
use super::{Plan, backup};
use crate::names::Owner;
use crate::object::{Kind, Object};

/// The container that restores, whose last words are its report.
pub const CONTAINER: &str = "restore";

/// What was recorded of a restore and shows in objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreStage {
    /// The image with the program.
    pub image: Option<String>,
    /// The database has begun: nothing is restored any more.
    pub begun: bool,
}

/// The ConfigMap, after the shop's name.
const STATE: &str = "database-restore";

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    if wanted(plan).is_none() {
        return Vec::new();
    }
    let state = if plan.stage.restore.begun {
        "begun"
    } else {
        "wanted"
    };
    vec![plan.shop.owner.object(
        Kind::ConfigMap,
        plan.shop.owner.with(STATE),
        "database",
        json!({"data": {"state": state}}),
    )]
}

/// What the database begins from, if it does.
fn wanted<'a>(plan: &Plan<'a>) -> Option<(&'a DatabaseRestore, &'a ManagedDatabase)> {
    let managed = plan.shop.spec.database.managed.as_ref()?;
    Some((managed.restore.as_ref()?, managed))
}

/// Puts the containers that restore into a pod of the database, before all others.
pub(crate) fn add(plan: &Plan<'_>, pod: &mut Pod) {
    let Some((restore, managed)) = wanted(plan) else {
        return;
    };
    let pull = plan.shop.spec.release.pull_policy;
    let image = plan
        .stage
        .restore
        .image
        .as_ref()
        .unwrap_or(&plan.stage.operator_image);
    let bring = json!({
        "name": "bring",
        "image": image,
        "imagePullPolicy": pull,
        "command": ["panono-backup"],
        "args": ["install", "--folder=/restore"],
        "securityContext": pod::security(),
        "resources": pod::resources(None, "50m", 64),
        "volumeMounts": [mount("restore-program", "/restore")],
    });
    let mut environment = vec![
        json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        variable("PANONO_BACKUP_KEY_FILE", "/etc/panono/restore-key/key"),
        variable("PANONO_BACKUP_REPORT", "/dev/termination-log"),
    ];
    let mut mounts = vec![
        mount("data", "/var/lib/mysql"),
        mount("tmp", "/tmp"),
        mount_read_only("restore-program", "/restore"),
        mount_read_only("restore-state", "/etc/panono/restore"),
        mount_read_only("restore-key", "/etc/panono/restore-key"),
    ];
    // They may go when the database has begun; who still needs one says that it is missing.
    let secret = |name: &str, secret: &str| json!({"name": name, "secret": {"secretName": secret, "optional": true}});
    pod.volumes
        .push(secret("restore-key", &restore.key_secret_name));
    pod.volumes
        .push(json!({"name": "restore-state", "configMap": {"name": plan.shop.owner.with(STATE)}}));
    pod.scratch("restore-program", "256Mi");
    if let Some(bucket) = &restore.bucket {
        environment.extend([
            variable("PANONO_BACKUP_TARGET", bucket.url.clone()),
            variable(
                "AWS_ACCESS_KEY_ID_FILE",
                "/etc/panono/restore-bucket/access-key-id",
            ),
            variable(
                "AWS_SECRET_ACCESS_KEY_FILE",
                "/etc/panono/restore-bucket/secret-access-key",
            ),
        ]);
        mounts.push(mount_read_only(
            "restore-bucket",
            "/etc/panono/restore-bucket",
        ));
        pod.volumes
            .push(secret("restore-bucket", &bucket.secret_name));
    }
    if let Some(volume) = &restore.volume {
        environment.push(variable("PANONO_BACKUP_TARGET", "file:///backups-restored"));
        mounts.push(mount_read_only("restore-backups", "/backups-restored"));
        // The database of the shop that was may still archive onto it. Members of a group are on several nodes anyway.
        if managed.members == 1
            && let Some(name) = volume
                .claim_name
                .strip_suffix(&format!("-{}", backup::CLAIM))
        {
            let old = Owner {
                name: name.to_owned(),
                ..plan.shop.owner.clone()
            };
            pod.beside = Beside::Best(old.selector("database"));
        }
        pod.volumes.push(json!({
            "name": "restore-backups",
            "persistentVolumeClaim": {"claimName": volume.claim_name, "readOnly": true},
        }));
    }
    let mut arguments: Vec<String> = [
        "seed",
        "--volume=/var/lib/mysql",
        "--state=/etc/panono/restore/state",
    ]
    .map(str::to_owned)
    .into();
    arguments.extend(backup::until(&restore.point));
    let seed: Value = json!({
        "name": CONTAINER,
        "image": managed.image,
        "imagePullPolicy": pull,
        "command": ["/restore/panono-backup"],
        "args": arguments,
        "env": environment,
        "securityContext": pod::security(),
        "resources": pod::resources(managed.resources.as_ref(), "500m", 1024),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    pod.init_containers.splice(0..0, [bring, seed]);
}
