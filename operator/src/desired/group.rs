//! The managed database of several members: pods that run `panono-agent`, which runs MySQL.
//!
//! The agent comes from an image of its own by an init container and runs in the server's image. What differs between members
//! (name, address, number) is put into its configuration by the same init container; all else is in one ConfigMap.

use panono_crds::{Component, DeletionPolicy, Failover, Group, ManagedDatabase};
use serde_json::{Value, json};

use super::pod::{self, Pod, mebibytes, mount, mount_read_only};
use super::{DATABASE, Plan, USER, backup, restore};
use crate::names::Owner;
use crate::object::{Kind, Object, digest, insert, short};

/// The annotation of pods that says of which template they are.
pub const REVISION: &str = "panono.dev/revision";

/// The annotation of claims that says of which group their data is.
pub const MARKER: &str = "panono.dev/group";

/// Where agents listen.
pub const AGENT_PORT: u16 = 8443;

/// The container in which a member runs.
pub const CONTAINER: &str = "mysql";

/// Probes and metrics of agents.
pub(crate) const PROBE_PORT: u16 = 8081;

/// The port of the servers.
pub const PORT: u16 = 3306;

/// The user of the server's image.
const UID: u32 = 999;

/// The Secret with passwords of accounts, after the shop's name.
pub const ACCOUNTS: &str = "database-accounts";

/// The key in it that says how often they were made.
pub const GENERATION_KEY: &str = "generation";

/// The annotation of the shop's pods that says which of them they use.
pub const PASSWORDS: &str = "panono.dev/database-passwords";

/// The key in it of the password that pods of the shop use which were made for this generation.
#[must_use]
pub fn shop_key(generation: i64) -> String {
    format!("shop-{generation}")
}

/// The Secret with the members' certificate.
pub const TLS: &str = "database-tls";

/// The Secret with the authority and the operator's certificate. No pod sees it.
pub const AUTHORITY: &str = "database-authority";

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What was recorded for a group and shows in its objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupStage {
    /// Members that there are to be at the moment; as many as the Shop says before it is recorded.
    pub replicas: Option<u32>,
    /// The size with which claims are made.
    pub claim_size: Option<String>,
    /// The image of the agent.
    pub agent_image: Option<String>,
    /// The number of the passwords that the shop's pods use.
    pub passwords: Option<i64>,
}

/// The host names of members, as they are in certificates and in the group.
pub fn host(owner: &Owner, ordinal: u32) -> String {
    format!(
        "{}-{ordinal}.{}",
        owner.component(Component::Database),
        domain(owner)
    )
}

fn domain(owner: &Owner) -> String {
    format!("{}.{}.svc", owner.with("database-members"), owner.namespace)
}

/// The digest of the pods' template: members of another one are replaced.
pub fn revision(objects: &[Object]) -> Option<String> {
    // Caches may be a StatefulSet, too.
    let mut sets = objects
        .iter()
        .filter(|object| object.key.kind == Kind::StatefulSet);
    let revision = sets.find_map(|set| {
        let annotations = set.body.pointer("/spec/template/metadata/annotations")?;
        annotations.get(REVISION)?.as_str()
    });
    revision.map(str::to_owned)
}

pub(super) fn objects(plan: &Plan<'_>, managed: &ManagedDatabase) -> Vec<Object> {
    let owner = &plan.shop.owner;
    let part = "database";
    let name = owner.component(Component::Database);
    let writer = owner.with("db-rw");
    let selector = owner.selector(part);
    let ports = json!([{"name": "mysql", "port": PORT, "targetPort": "mysql", "protocol": "TCP"}]);
    let group = managed.group.clone().unwrap_or_default();
    let configuration = configuration(plan, managed, &group);
    let mut objects = secrets(plan);
    objects.extend([
        owner.object(
            Kind::ServiceAccount,
            name.clone(),
            part,
            json!({"automountServiceAccountToken": false}),
        ),
        owner.object(
            Kind::Role,
            name.clone(),
            part,
            // The primary says where it is, and nothing else.
            json!({"rules": [{
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "resourceNames": [writer],
                "verbs": ["get", "patch", "update"],
            }]}),
        ),
        owner.object(
            Kind::RoleBinding,
            name.clone(),
            part,
            json!({
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": owner.namespace}],
            }),
        ),
        owner.object(
            Kind::ConfigMap,
            name.clone(),
            part,
            json!({"data": {
                "agent.json": configuration.to_string(),
                "live.json": live(managed, &group),
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
                "ports": [
                    {"name": "mysql", "port": PORT, "targetPort": "mysql", "protocol": "TCP"},
                    {"name": "agent", "port": AGENT_PORT, "targetPort": "agent", "protocol": "TCP"},
                ],
            }}),
        ),
        owner.object(
            Kind::Service,
            owner.with("db-ro"),
            part,
            json!({"spec": {"type": "ClusterIP", "selector": selector, "ports": ports}}),
        ),
        // Without a selector: the primary itself says where it is.
        owner.object(
            Kind::Service,
            writer.clone(),
            part,
            json!({"spec": {
                "type": "ClusterIP",
                "ports": [{"name": "mysql", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
            }}),
        ),
        endpoint_slice(owner, part, &writer),
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
            stateful_set(plan, managed, &group, &configuration),
        ),
    ]);
    objects
}

/// Their values are made once and are not among the fields that are applied.
fn secrets(plan: &Plan<'_>) -> Vec<Object> {
    let owner = &plan.shop.owner;
    [ACCOUNTS, TLS, AUTHORITY]
        .into_iter()
        .map(|suffix| {
            let (policy, name) = (plan.shop.spec.deletion_policy, owner.with(suffix));
            let content = json!({"type": "Opaque"});
            owner.data_object(policy, Kind::Secret, name, "database", content)
        })
        .collect()
}

fn endpoint_slice(owner: &Owner, part: &str, writer: &str) -> Object {
    let mut slice = owner.object(
        Kind::EndpointSlice,
        writer.to_owned(),
        part,
        json!({
            "addressType": "IPv4",
            "ports": [{"name": "mysql", "port": PORT, "protocol": "TCP"}],
        }),
    );
    if let Some(labels) = slice.body.pointer_mut("/metadata/labels") {
        insert(labels, "kubernetes.io/service-name", writer);
        insert(
            labels,
            "endpointslice.kubernetes.io/managed-by",
            "panono-agent",
        );
    }
    slice
}

/// What is the same for all members. `panono-operator install-agent` adds what is not.
fn configuration(plan: &Plan<'_>, managed: &ManagedDatabase, group: &Group) -> Value {
    let owner = &plan.shop.owner;
    let peers: Vec<Value> = (0..most_members(plan, managed))
        .map(|ordinal| {
            let host = host(owner, ordinal);
            json!({"mysql": format!("{host}:{PORT}"), "api": format!("{host}:{AGENT_PORT}")})
        })
        .collect();
    let mut accounts = vec![json!({
        "user": USER,
        "passwordFile": "/etc/panono/accounts/shop",
        "oldPasswordFile": "/etc/panono/accounts/shop-old",
        "grants": [
            format!("ALL ON `{DATABASE}`.*"),
            "SELECT ON `performance_schema`.*",
            "PROCESS, REPLICATION CLIENT ON *.*",
        ],
    })];
    if plan.shop.spec.backup.is_some() {
        accounts.push(json!({
            "user": backup::USER,
            "passwordFile": "/etc/panono/backup-account/password",
            "grants": [backup::GRANTS],
        }));
    }
    json!({
        "volume": "/var/lib/mysql",
        "runFolder": "/run/mysqld",
        // Images differ in where it is.
        "mysqld": "mysqld",
        "port": PORT,
        "peers": peers,
        "apiListen": format!("0.0.0.0:{AGENT_PORT}"),
        "probeListen": format!("0.0.0.0:{PROBE_PORT}"),
        "tls": {
            "ca": "/etc/panono/tls/ca.crt",
            "certificate": "/etc/panono/tls/tls.crt",
            "key": "/etc/panono/tls/tls.key",
        },
        "adminAccount": {
            "user": "panono_agent",
            "passwordFile": "/etc/panono/accounts/agent",
            "oldPasswordFile": "/etc/panono/accounts/agent-old",
        },
        "replicationAccount": {
            "user": "panono_replication",
            "passwordFile": "/etc/panono/accounts/replication",
            "oldPasswordFile": "/etc/panono/accounts/replication-old",
        },
        "generationFile": format!("/etc/panono/accounts/{GENERATION_KEY}"),
        "liveFile": "/etc/panono/agent/live.json",
        "accounts": accounts,
        "databases": [DATABASE],
        "expelTimeoutSeconds": match group.failover {
            Failover::Fast => 0,
            Failover::Tolerant => 25,
        },
        "endpointSlice": {"namespace": owner.namespace, "name": owner.with("db-rw")},
    })
}

/// What may change while members run: no part of what pods are made from.
fn live(managed: &ManagedDatabase, group: &Group) -> String {
    let mut settings = group.settings.clone();
    settings
        .entry("binlog_expire_logs_seconds".to_owned())
        .or_insert_with(|| "259200".to_owned());
    json!({
        "bufferPoolMib": mebibytes(&managed.buffer_pool).max(5),
        "maxConnections": managed.max_connections,
        "cloneBandwidthMib": group.clone_bandwidth_mib,
        "settings": settings,
    })
    .to_string()
}

/// The digest of what may change while members run, as they compute it.
pub fn settings(managed: &ManagedDatabase) -> String {
    let group = managed.group.clone().unwrap_or_default();
    crate::agent::config::digest(&[&live(managed, &group)])
}

/// Peers that do not exist are asked in vain; those that are not known cannot be asked. So that adding a member replaces no pod,
/// there are as many as a group can have.
fn most_members(plan: &Plan<'_>, managed: &ManagedDatabase) -> u32 {
    let recorded = plan.stage.group.replicas.unwrap_or(managed.members);
    9.max(recorded)
}

fn stateful_set(
    plan: &Plan<'_>,
    managed: &ManagedDatabase,
    group: &Group,
    configuration: &Value,
) -> Value {
    let owner = &plan.shop.owner;
    let pull = plan.shop.spec.release.pull_policy;
    let name = owner.component(Component::Database);
    let mut pod = Pod::new("database", Some(Component::Database), UID);
    pod.spread = panono_crds::Spread::Zone;
    pod.account = Some(name.clone());
    // The primary hands over, then the buffer pool's changes are written.
    pod.grace_seconds = 300;
    pod.annotations.insert(
        "panono.dev/config".to_owned(),
        short(digest(configuration)).into(),
    );
    let resources = pod::resources(
        managed.resources.as_ref(),
        "500m",
        // The server's own, the messages that slow members may still get, and the agent.
        mebibytes(&managed.buffer_pool)
            .saturating_mul(2)
            .saturating_add(384)
            .max(1280),
    );
    let agent_image = group
        .agent_image
        .clone()
        .or_else(|| plan.stage.group.agent_image.clone())
        .unwrap_or_else(super::agent_image);
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    pod.init_containers.push(json!({
        "name": "agent",
        "image": agent_image,
        "imagePullPolicy": pull,
        "command": ["panono-operator"],
        "args": ["install-agent", "--template=/etc/panono/agent/agent.json", "--folder=/panono", format!("--domain={}", domain(owner))],
        "env": [
            field("POD_NAME", "metadata.name"),
            field("POD_UID", "metadata.uid"),
            field("POD_IP", "status.podIP"),
        ],
        "securityContext": pod::security(),
        "resources": pod::resources(None, "50m", 64),
        "volumeMounts": [mount("agent", "/panono"), mount_read_only("config", "/etc/panono/agent")],
    }));
    pod.containers.push(json!({
        "name": CONTAINER,
        "image": managed.image,
        "imagePullPolicy": pull,
        "command": ["/panono/panono-agent"],
        "args": ["run", "--config=/panono/agent.json"],
        "ports": [
            {"name": "mysql", "containerPort": PORT, "protocol": "TCP"},
            {"name": "agent", "containerPort": AGENT_PORT, "protocol": "TCP"},
            {"name": "ops", "containerPort": PROBE_PORT, "protocol": "TCP"},
        ],
        // Whether the agent works, never whether its server replicates: copying and catching up take as long as they take.
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "ops"}, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "ops"}, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        "securityContext": pod::security(),
        "resources": resources,
        "volumeMounts": [
            mount("data", "/var/lib/mysql"),
            mount("run", "/run/mysqld"),
            mount("tmp", "/tmp"),
            mount_read_only("agent", "/panono"),
            mount_read_only("tls", "/etc/panono/tls"),
            mount_read_only("accounts", "/etc/panono/accounts"),
            mount_read_only("config", "/etc/panono/agent"),
            mount_read_only("token", TOKEN),
        ],
    }));
    pod.volumes = vec![
        json!({"name": "config", "configMap": {"name": name}}),
        json!({"name": "tls", "secret": {"secretName": owner.with(TLS)}}),
        json!({"name": "accounts", "secret": {"secretName": owner.with(ACCOUNTS)}}),
        // By hand, because no other pod of a shop has a token.
        json!({"name": "token", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]}}),
    ];
    pod.scratch("agent", "256Mi");
    pod.scratch("run", "64Mi");
    pod.scratch("tmp", "2Gi");
    if plan.shop.spec.backup.is_some()
        && let Some(mounts) = pod
            .containers
            .first_mut()
            .and_then(|server| server.get_mut("volumeMounts"))
            .and_then(Value::as_array_mut)
    {
        mounts.push(mount_read_only(
            "backup-account",
            "/etc/panono/backup-account",
        ));
    }
    backup::add_archiver(plan, &mut pod);
    restore::add(plan, &mut pod);
    let mut template = pod.template(plan);
    let revision = short(digest(&template));
    if let Some(annotations) = template.pointer_mut("/metadata/annotations") {
        insert(annotations, REVISION, revision);
    }
    let size = plan
        .stage
        .group
        .claim_size
        .clone()
        .unwrap_or_else(|| managed.storage.size.clone());
    let mut claim = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    });
    if let Some(class) = &managed.storage.class_name {
        insert(&mut claim, "storageClassName", class.clone());
    }
    json!({"spec": {
        "replicas": plan.replicas(plan.stage.group.replicas.unwrap_or(managed.members)),
        "serviceName": owner.with("database-members"),
        "podManagementPolicy": "Parallel",
        // The operator replaces pods: secondaries first, one at a time, and only while all others are in the group.
        "updateStrategy": {"type": "OnDelete"},
        "selector": {"matchLabels": owner.selector("database")},
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": match plan.shop.spec.deletion_policy {
                DeletionPolicy::Retain => "Retain",
                DeletionPolicy::Delete => "Delete",
            },
            "whenScaled": "Retain",
        },
        "template": template,
        "volumeClaimTemplates": [{
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "labels": owner.selector("database")},
            "spec": claim,
        }],
    }})
}
