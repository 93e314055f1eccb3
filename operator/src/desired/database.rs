//! The managed database: one MySQL server. Several members are in [`super::group`].
//!
//! Its image needs nothing but `mysqld`, `mysqladmin` and `sh`. The data directory is made by an init container, in a folder
//! that is renamed when it is whole; users and their passwords are set by the server's `init_file` at each start, before it takes
//! connections, from the Secret of generated passwords.

use panono_crds::{Component, DeletionPolicy, ManagedDatabase};
use serde_json::{Value, json};

use super::pod::{self, Pod, mebibytes, mount, mount_read_only};
use super::{CREDENTIALS, Plan, backup, restore};
use crate::object::{Kind, Object, digest, insert};

/// The user as which the shop connects.
pub const USER: &str = "panono";

/// The shop's database.
pub const DATABASE: &str = "panono";

/// The user of the official image.
const UID: u32 = 999;

const PORT: u16 = 3306;

const INITIALISE: &str = "\
[ -d /var/lib/mysql/data ] && exit 0
rm -rf /var/lib/mysql/new
mysqld --defaults-file=/etc/panono/mysql/my.cnf --datadir=/var/lib/mysql/new --initialize-insecure
mv /var/lib/mysql/new /var/lib/mysql/data
";

/// The server runs one file at its start.
const JOIN_STATEMENTS: &str = "\
umask 077
cat /etc/panono/init/init.sql /etc/panono/backup-account/init.sql > /statements/init.sql
";

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let Some(managed) = &plan.shop.spec.database.managed else {
        return Vec::new();
    };
    if managed.members > 1 {
        return super::group::objects(plan, managed);
    }
    let owner = &plan.shop.owner;
    let part = "database";
    let name = owner.component(Component::Database);
    let selector = owner.selector(part);
    let settings = settings(plan, managed);
    let ports = json!([{"name": "mysql", "port": PORT, "targetPort": "mysql", "protocol": "TCP"}]);
    vec![
        owner.object(
            Kind::ConfigMap,
            name.clone(),
            part,
            json!({"data": {"my.cnf": settings}}),
        ),
        owner.object(
            Kind::Service,
            name.clone(),
            part,
            json!({"spec": {
                "type": "ClusterIP",
                // There is no other server to be sent to, and a pod is not ready, either, while only what archives in it is away.
                "publishNotReadyAddresses": true,
                "selector": selector,
                "ports": ports,
            }}),
        ),
        owner.object(
            Kind::Service,
            owner.with("database-members"),
            part,
            json!({"spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                // Members find each other before they are ready.
                "publishNotReadyAddresses": true,
                "selector": selector,
                "ports": ports,
            }}),
        ),
        owner.object(
            Kind::PodDisruptionBudget,
            name.clone(),
            part,
            json!({"spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}}}),
        ),
        owner.object(
            Kind::StatefulSet,
            name,
            part,
            stateful_set(plan, managed, &settings),
        ),
    ]
}

fn stateful_set(plan: &Plan<'_>, managed: &ManagedDatabase, settings: &str) -> Value {
    let owner = &plan.shop.owner;
    let pull = plan.shop.spec.release.pull_policy;
    let mut pod = Pod::new("database", Some(Component::Database), UID);
    // A clean shutdown writes the whole buffer pool's changes.
    pod.grace_seconds = 300;
    pod.annotations.insert(
        "panono.dev/config".to_owned(),
        format!("{:016x}", digest(&Value::from(settings))).into(),
    );
    pod.annotations.insert(
        "panono.dev/credentials".to_owned(),
        plan.stage.credentials.to_string().into(),
    );
    let mounts = json!([
        mount("data", "/var/lib/mysql"),
        mount_read_only("config", "/etc/panono/mysql"),
        mount_read_only("init", "/etc/panono/init"),
        mount("run", "/run/mysqld"),
        mount("tmp", "/tmp"),
    ]);
    let resources = pod::resources(
        managed.resources.as_ref(),
        "500m",
        mebibytes(&managed.buffer_pool).saturating_mul(2).max(1024),
    );
    pod.init_containers.push(json!({
        "name": "initialise",
        "image": managed.image,
        "imagePullPolicy": pull,
        "command": ["sh", "-ec", INITIALISE],
        "securityContext": pod::security(),
        "resources": resources,
        "volumeMounts": mounts,
    }));
    let backed_up = plan.shop.spec.backup.is_some();
    let mut server_mounts = mounts;
    if backed_up {
        pod.init_containers.push(json!({
            "name": "statements",
            "image": managed.image,
            "imagePullPolicy": pull,
            "command": ["sh", "-ec", JOIN_STATEMENTS],
            "securityContext": pod::security(),
            "resources": pod::resources(None, "50m", 64),
            "volumeMounts": [
                mount_read_only("init", "/etc/panono/init"),
                mount_read_only("backup-account", "/etc/panono/backup-account"),
                mount("statements", "/statements"),
            ],
        }));
        if let Some(mounts) = server_mounts.as_array_mut() {
            mounts.push(mount_read_only("statements", "/statements"));
        }
    }
    let init_file = if backed_up {
        "--init-file=/statements/init.sql"
    } else {
        "--init-file=/etc/panono/init/init.sql"
    };
    let ping = json!([
        "mysqladmin",
        "--no-defaults",
        "--socket=/run/mysqld/mysqld.sock",
        "--user=root",
        "ping"
    ]);
    pod.containers.push(json!({
        "name": "mysql",
        "image": managed.image,
        "imagePullPolicy": pull,
        "command": ["mysqld"],
        "args": ["--defaults-file=/etc/panono/mysql/my.cnf", init_file],
        "ports": [{"name": "mysql", "containerPort": PORT, "protocol": "TCP"}],
        // A server that was killed reads its log back before it answers, for as long as it takes.
        "startupProbe": {"exec": {"command": ping}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 900},
        "readinessProbe": {"exec": {"command": ping}, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": "mysql"}, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 9},
        "securityContext": pod::security(),
        "resources": resources,
        "volumeMounts": server_mounts,
    }));
    pod.volumes = vec![
        json!({"name": "config", "configMap": {"name": owner.component(Component::Database)}}),
        json!({"name": "init", "secret": {
            "secretName": owner.with(CREDENTIALS),
            "items": [{"key": "init.sql", "path": "init.sql"}],
        }}),
    ];
    pod.scratch("run", "64Mi");
    pod.scratch("tmp", "2Gi");
    if backed_up {
        // Passwords are in it: not on the node's disk.
        pod.volumes.push(
            json!({"name": "statements", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}),
        );
    }
    backup::add_archiver(plan, &mut pod);
    restore::add(plan, &mut pod);
    let mut claim = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": plan.stage.group.claim_size.as_ref().unwrap_or(&managed.storage.size)}},
    });
    if let Some(class) = &managed.storage.class_name {
        insert(&mut claim, "storageClassName", class.clone());
    }
    json!({"spec": {
        "replicas": plan.replicas(1),
        "serviceName": owner.with("database-members"),
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "selector": {"matchLabels": owner.selector("database")},
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": match plan.shop.spec.deletion_policy {
                DeletionPolicy::Retain => "Retain",
                DeletionPolicy::Delete => "Delete",
            },
            "whenScaled": "Retain",
        },
        "template": pod.template(plan),
        "volumeClaimTemplates": [{
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "labels": owner.selector("database")},
            "spec": claim,
        }],
    }})
}

/// The option file. What the shop's schema and searches need, what makes an acknowledged order survive a crash, and what a
/// member of a group will need besides.
fn settings(plan: &Plan<'_>, managed: &ManagedDatabase) -> String {
    let mut text = format!(
        "[mysqld]\n\
         datadir=/var/lib/mysql/data\n\
         socket=/run/mysqld/mysqld.sock\n\
         pid_file=/run/mysqld/mysqld.pid\n\
         tmpdir=/tmp\n\
         secure_file_priv=NULL\n\
         port={PORT}\n\
         server_id=1\n\
         mysqlx=OFF\n\
         skip_name_resolve=ON\n\
         local_infile=OFF\n\
         gtid_mode=ON\n\
         enforce_gtid_consistency=ON\n\
         sync_binlog=1\n\
         innodb_flush_log_at_trx_commit=1\n\
         binlog_expire_logs_seconds=259200\n\
         persisted_globals_load=OFF\n\
         transaction_isolation=READ-COMMITTED\n\
         sql_require_primary_key=ON\n\
         sql_generate_invisible_primary_key=ON\n\
         innodb_ft_min_token_size=1\n\
         innodb_ft_enable_stopword=OFF\n\
         innodb_buffer_pool_size={}M\n\
         max_connections={}\n",
        mebibytes(&managed.buffer_pool).max(5),
        managed.max_connections,
    );
    if plan.shop.spec.backup.is_some() {
        // A backup is a clone. What archives has a transaction in memory: the longest is that of a group.
        text.push_str("plugin_load_add=mysql_clone.so\nmax_binlog_cache_size=67108864\n");
    }
    text
}
