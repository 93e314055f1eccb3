//! Backups of a managed database: CronJobs that make full ones and restore them for trial, what archives beside the server, and
//! what all of them need.
//!
//! A backup runs in the server's image, because a clone needs the server's own version; the program comes from the operator's image
//! by an init container. What is wanted now, and not by the schedule, runs as a Job with the same pod.

use panono_crds::{AccessMode, Backup, Component, ManagedDatabase, Mode};
use panono_crds::{Resources, RestorePoint};
use serde_json::{Value, json};

use super::pod::{self, Beside, Pod, mount, mount_read_only, variable};
use super::{Plan, group};
use crate::object::{Kind, Object, insert};

/// The Secret with the key, where the Shop names none, after the shop's name.
pub const KEY: &str = "backup-key";

/// The Secret with the password of the account, after the shop's name.
pub const ACCOUNT: &str = "backup-account";

/// The claim, where backups go onto a volume, after the shop's name.
pub(crate) const CLAIM: &str = "backups";

/// The account by which the database is backed up.
pub const USER: &str = "panono_backup";

/// What the account may do: be cloned, tell where its binary log is, and hold still for a moment to be compared.
pub const GRANTS: &str = "BACKUP_ADMIN, REPLICATION CLIENT, RELOAD, SELECT ON *.*";

/// Metrics of what archives.
pub(crate) const METRICS_PORT: u16 = 8082;

/// The component of all pods of backups.
pub(crate) const PART: &str = "backup";

/// The container that does the work, whose last words are its report.
pub const CONTAINER: &str = "backup";

/// The annotation of the database's pods that changes with the account.
pub(crate) const GENERATION: &str = "panono.dev/backup-account";

/// The user of the server's image.
const UID: u32 = 999;

/// Seconds that a backup or a trial may take.
const DEADLINE: u32 = 24 * 3600;

/// Seconds that a Job stays after its end, so that its log can be read.
const KEPT: u32 = 12 * 3600;

/// What was recorded for backups and shows in objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupStage {
    /// The image of what archives beside the database.
    pub image: Option<String>,
    /// How often the password of the account was made.
    pub account: i64,
}

/// What a Job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A full backup; then what is no longer to be kept is deleted.
    Take,
    /// The newest backup is compared with the running database.
    Verify,
    /// A restore to some moment, which is thrown away.
    Trial(RestorePoint),
}

/// The Jobs that a schedule makes are called so, and a number comes behind it.
pub fn scheduled_name(shop: &str, work: &Work) -> Option<String> {
    match work {
        Work::Take => Some(format!("{shop}-backup")),
        Work::Verify => Some(format!("{shop}-verify")),
        Work::Trial(_) => None,
    }
}

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let Some((backup, managed)) = wanted(plan) else {
        return Vec::new();
    };
    let owner = &plan.shop.owner;
    let policy = plan.shop.spec.deletion_policy;
    // Their values are made once and are not among the fields that are applied.
    let opaque = || json!({"type": "Opaque"});
    let account = owner.with(ACCOUNT);
    let mut objects = vec![owner.data_object(policy, Kind::Secret, account, PART, opaque())];
    if backup.key_secret_name.is_none() {
        // Backups outlive their shop, whatever becomes of its data.
        objects.push(owner.kept_object(Kind::Secret, owner.with(KEY), PART, opaque()));
    }
    if let Some(volume) = &backup.volume {
        let mut claim = json!({
            "accessModes": [match volume.access_mode {
                AccessMode::ReadWriteOnce => "ReadWriteOnce",
                AccessMode::ReadWriteMany => "ReadWriteMany",
            }],
            "resources": {"requests": {"storage": volume.size}},
        });
        if let Some(class) = &volume.class_name {
            insert(&mut claim, "storageClassName", class.clone());
        }
        objects.push(owner.kept_object(
            Kind::PersistentVolumeClaim,
            owner.with(CLAIM),
            PART,
            json!({"spec": claim}),
        ));
    }
    for (work, schedule) in [
        (Work::Take, &backup.schedule),
        (Work::Verify, &backup.verification.schedule),
    ] {
        let Some(name) = scheduled_name(&owner.name, &work) else {
            continue;
        };
        objects.push(owner.object(
            Kind::CronJob,
            name,
            PART,
            json!({"spec": {
                "schedule": schedule,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 3600,
                "suspend": plan.mode() == Mode::Hibernated,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {
                    "metadata": {"labels": owner.labels(PART)},
                    "spec": job(plan, backup, managed, &work),
                },
            }}),
        ));
    }
    objects
}

/// Backups, if there are any, and the database that they are of.
fn wanted<'a>(plan: &Plan<'a>) -> Option<(&'a Backup, &'a ManagedDatabase)> {
    let spec = &plan.shop.spec;
    spec.backup.as_ref().zip(spec.database.managed.as_ref())
}

/// A Job of this name for work that is wanted now. It belongs to the record that asked for it: `kind`, name and identity.
pub fn job_now(
    plan_of: (&crate::validate::ValidatedShop, &super::Stage),
    name: &str,
    work: &Work,
    record: (&str, &str, &str),
) -> Option<Object> {
    let plan = Plan {
        shop: plan_of.0,
        stage: plan_of.1,
    };
    let (backup, managed) = wanted(&plan)?;
    let spec = json!({"spec": job(&plan, backup, managed, work)});
    let mut object = plan
        .shop
        .owner
        .object(Kind::Job, name.to_owned(), PART, spec);
    let (kind, record, uid) = record;
    if let Some(metadata) = object.body.get_mut("metadata") {
        insert(
            metadata,
            "ownerReferences",
            json!([{
                "apiVersion": format!("{}/{}", panono_crds::GROUP, panono_crds::VERSION),
                "kind": kind,
                "name": record,
                "uid": uid,
                "controller": true,
            }]),
        );
    }
    Some(object)
}

/// The image with the program.
fn image(plan: &Plan<'_>, backup: &Backup) -> String {
    backup
        .image
        .clone()
        .unwrap_or_else(|| plan.stage.operator_image.clone())
}

fn job(plan: &Plan<'_>, backup: &Backup, managed: &ManagedDatabase, work: &Work) -> Value {
    let pull = plan.shop.spec.release.pull_policy;
    let mut pod = Pod::new(PART, None, UID);
    pod.restart_policy = "Never";
    pod.init_containers.push(json!({
        "name": "install",
        "image": image(plan, backup),
        "imagePullPolicy": pull,
        "command": ["panono-backup"],
        "args": ["install", "--folder=/panono"],
        "securityContext": pod::security(),
        "resources": pod::resources(None, "50m", 64),
        "volumeMounts": [mount("panono", "/panono")],
    }));
    let (mut environment, mut mounts) = (Vec::new(), Vec::new());
    target(plan, backup, &mut environment, &mut mounts, &mut pod);
    environment.extend([
        variable("PANONO_BACKUP_MEMBER", members(plan, managed)),
        variable("PANONO_BACKUP_WORK", "/scratch"),
        variable("PANONO_BACKUP_REPORT", "/dev/termination-log"),
    ]);
    mounts.extend([
        mount_read_only("panono", "/panono"),
        mount("work", "/scratch"),
        mount("tmp", "/tmp"),
    ]);
    let arguments: Vec<String> = match work {
        Work::Take => {
            environment.extend([
                variable(
                    "PANONO_BACKUP_BANDWIDTH_MIB",
                    backup.bandwidth_mib.to_string(),
                ),
                variable("PANONO_BACKUP_KEEP_DAYS", backup.retention.days.to_string()),
                variable(
                    "PANONO_BACKUP_KEEP_COPIES",
                    backup.retention.copies.to_string(),
                ),
            ]);
            vec!["take".to_owned(), "--prune".to_owned()]
        }
        Work::Verify => vec!["verify".to_owned()],
        Work::Trial(point) => {
            let mut arguments = vec!["restore".to_owned(), "--data=/scratch/data".to_owned()];
            // A trial that was interrupted left its data.
            arguments.extend(["--replace".to_owned(), "--compare".to_owned()]);
            arguments.extend(until(point));
            arguments
        }
    };
    pod.containers.push(json!({
        "name": CONTAINER,
        "image": managed.image,
        "imagePullPolicy": pull,
        "command": ["/panono/panono-backup"],
        "args": arguments,
        "env": environment,
        "securityContext": pod::security(),
        "resources": pod::resources(backup.resources.as_ref(), "250m", 1024),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }));
    pod.volumes.push(json!({
        "name": "work",
        "ephemeral": {"volumeClaimTemplate": {"spec": work_claim(backup, managed)}},
    }));
    pod.scratch("panono", "256Mi");
    pod.scratch("tmp", "2Gi");
    let together = backup
        .volume
        .as_ref()
        .is_some_and(|volume| volume.access_mode == AccessMode::ReadWriteOnce);
    if together {
        // The database archives onto the same volume.
        pod.beside = Beside::Always(plan.shop.owner.selector("database"));
    }
    json!({
        "backoffLimit": 2,
        "activeDeadlineSeconds": DEADLINE,
        "ttlSecondsAfterFinished": KEPT,
        // A backup that is bad is not better the second time.
        "podFailurePolicy": {"rules": [{
            "action": "FailJob",
            "onExitCodes": {
                "containerName": CONTAINER,
                "operator": "In",
                "values": [crate::backup::command::BAD_BACKUP],
            },
        }]},
        "template": pod.template(plan),
    })
}

/// The arguments that say from which backup and up to where.
pub(crate) fn until(point: &RestorePoint) -> Vec<String> {
    [
        ("backup", &point.backup),
        ("to-time", &point.to_time),
        ("to-gtid", &point.to_gtid),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)))
    .collect()
}

/// Every member; the program takes a secondary.
fn members(plan: &Plan<'_>, managed: &ManagedDatabase) -> String {
    let owner = &plan.shop.owner;
    if managed.members == 1 {
        return format!("{}:{}", owner.component(Component::Database), group::PORT);
    }
    (0..plan.stage.group.replicas.unwrap_or(managed.members))
        .map(|ordinal| format!("{}:{}", group::host(owner, ordinal), group::PORT))
        .collect::<Vec<_>>()
        .join(",")
}

fn work_claim(backup: &Backup, managed: &ManagedDatabase) -> Value {
    let size = backup
        .work
        .size
        .clone()
        .unwrap_or_else(|| doubled(&managed.storage.size));
    let mut claim = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    });
    let class = backup.work.class_name.as_ref();
    if let Some(class) = class.or(managed.storage.class_name.as_ref()) {
        insert(&mut claim, "storageClassName", class.clone());
    }
    claim
}

/// Twice `10Gi`; the definition of Shop admits nothing else.
fn doubled(size: &str) -> String {
    let digits = size.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().unwrap_or(1);
    let unit = size.get(digits.len()..).unwrap_or("Gi");
    format!("{}{unit}", number.saturating_mul(2))
}

/// Where the target is, with what it takes to write there and to reach the database.
fn target(
    plan: &Plan<'_>,
    backup: &Backup,
    environment: &mut Vec<Value>,
    mounts: &mut Vec<Value>,
    pod: &mut Pod,
) {
    let owner = &plan.shop.owner;
    // One that somebody deletes does not keep a database from starting: what archives says so until it is back.
    let secret = |name: &str, secret: &str| json!({"name": name, "secret": {"secretName": secret, "optional": true}});
    environment.extend([
        variable("PANONO_BACKUP_KEY_FILE", "/etc/panono/backup-key/key"),
        variable("PANONO_BACKUP_USER", USER),
        variable(
            "PANONO_BACKUP_PASSWORD_FILE",
            "/etc/panono/backup-account/password",
        ),
    ]);
    if let Some(bucket) = &backup.bucket {
        environment.extend([
            variable("PANONO_BACKUP_TARGET", bucket.url.clone()),
            variable(
                "AWS_ACCESS_KEY_ID_FILE",
                "/etc/panono/backup-bucket/access-key-id",
            ),
            variable(
                "AWS_SECRET_ACCESS_KEY_FILE",
                "/etc/panono/backup-bucket/secret-access-key",
            ),
        ]);
        mounts.push(mount_read_only(
            "backup-bucket",
            "/etc/panono/backup-bucket",
        ));
        pod.volumes
            .push(secret("backup-bucket", &bucket.secret_name));
    }
    if backup.volume.is_some() {
        environment.push(variable("PANONO_BACKUP_TARGET", "file:///backups"));
        mounts.push(mount("backups", "/backups"));
        pod.volumes.push(json!({
            "name": "backups",
            "persistentVolumeClaim": {"claimName": owner.with(CLAIM)},
        }));
    }
    mounts.extend([
        mount_read_only("backup-key", "/etc/panono/backup-key"),
        mount_read_only("backup-account", "/etc/panono/backup-account"),
    ]);
    let generated = owner.with(KEY);
    let key = backup.key_secret_name.as_deref().unwrap_or(&generated);
    pod.volumes.push(secret("backup-key", key));
    pod.volumes
        .push(json!({"name": "backup-account", "secret": {"secretName": owner.with(ACCOUNT)}}));
}

/// Puts what archives into a pod of the database, beside the server, whose files it reads.
pub(crate) fn add_archiver(plan: &Plan<'_>, pod: &mut Pod) {
    let Some((backup, managed)) = wanted(plan) else {
        return;
    };
    let (mut environment, mut mounts) = (Vec::new(), Vec::new());
    target(plan, backup, &mut environment, &mut mounts, pod);
    environment.extend([
        variable("PANONO_BACKUP_MEMBER", format!("127.0.0.1:{}", group::PORT)),
        variable(
            "PANONO_BACKUP_ARCHIVE_SECONDS",
            backup.archive_seconds.to_string(),
        ),
        variable("PANONO_BACKUP_LISTEN", format!("0.0.0.0:{METRICS_PORT}")),
    ]);
    // The whole volume at the place that the server calls by its name.
    mounts.push(mount_read_only("data", "/var/lib/mysql"));
    let mut arguments = vec!["archive"];
    if managed.members > 1 {
        arguments.push("--primary");
    }
    // Upgrading the operator restarts no member.
    let image = backup
        .image
        .clone()
        .or_else(|| plan.stage.backup.image.clone())
        .unwrap_or_else(|| plan.stage.operator_image.clone());
    pod.annotations.insert(
        GENERATION.to_owned(),
        plan.stage.backup.account.to_string().into(),
    );
    pod.containers.push(json!({
        "name": "archive",
        "image": image,
        "imagePullPolicy": plan.shop.spec.release.pull_policy,
        "command": ["panono-backup"],
        "args": arguments,
        "env": environment,
        "ports": [{"name": "archive", "containerPort": METRICS_PORT, "protocol": "TCP"}],
        "securityContext": pod::security(),
        "resources": pod::resources(None::<&Resources>, "50m", 512),
        "volumeMounts": mounts,
    }));
}

/// What a server alone runs at each start, so that the account is as it should be.
pub fn initial_statements(password: &str) -> String {
    format!(
        "SET SESSION sql_log_bin = 0;\n\
         CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\n\
         ALTER USER '{USER}'@'%' IDENTIFIED BY '{password}' REQUIRE SSL;\n\
         GRANT {GRANTS} TO '{USER}'@'%';\n"
    )
}

#[cfg(test)]
mod tests {
    use super::doubled;

    #[test]
    fn there_is_room_for_all_data_twice() {
        assert_eq!(doubled("10Gi"), "20Gi");
        assert_eq!(doubled("1Ti"), "2Ti");
    }
}
