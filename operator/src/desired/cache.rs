//! The managed cache: a Valkey or Redis server that keeps nothing.

use panono_crds::{CacheEngine, Component, ManagedCache};
use serde_json::{Value, json};

use super::pod::{self, Pod, mebibytes, mount, mount_read_only};
use super::{CREDENTIALS, Plan};
use crate::object::{Kind, Object};

pub(super) const PORT: u16 = 6379;

/// The user of the official images.
pub(super) const UID: u32 = 999;

pub(super) fn image(managed: &ManagedCache) -> &str {
    managed.image.as_deref().unwrap_or(match managed.engine {
        CacheEngine::Valkey => "docker.io/valkey/valkey:9",
        CacheEngine::Redis => "docker.io/library/redis:8",
    })
}

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let Some(managed) = &plan.shop.spec.cache.managed else {
        return Vec::new();
    };
    if managed.is_watched() {
        return super::cache_watched::objects(plan, managed);
    }
    let owner = &plan.shop.owner;
    let part = "cache";
    let name = owner.component(Component::Cache);
    let program = match managed.engine {
        CacheEngine::Valkey => "valkey-server",
        CacheEngine::Redis => "redis-server",
    };
    let memory = mebibytes(&managed.memory).max(1);
    let mut pod = Pod::new(part, Some(Component::Cache), UID);
    pod.annotations.insert(
        "panono.dev/credentials".to_owned(),
        plan.stage.credentials.to_string().into(),
    );
    // The password comes with the file, so that it is in no list of processes. What follows a file on the command line wins.
    pod.containers.push(json!({
        "name": "cache",
        "image": image(managed),
        "imagePullPolicy": plan.shop.spec.release.pull_policy,
        "command": [program],
        "args": [
            "/etc/panono/cache/cache.conf",
            "--port", PORT.to_string(),
            "--bind", "* -::*",
            "--dir", "/data",
            "--save", "",
            "--appendonly", "no",
            "--maxmemory", format!("{memory}mb"),
            "--maxmemory-policy", "allkeys-lru",
        ],
        "ports": [{"name": "cache", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {"tcpSocket": {"port": "cache"}, "periodSeconds": 5, "timeoutSeconds": 3},
        "livenessProbe": {"tcpSocket": {"port": "cache"}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "securityContext": pod::security(),
        // Buffers of clients and fragmentation come on top of the entries.
        "resources": pod::resources(managed.resources.as_ref(), "100m", memory.saturating_add(memory / 4).saturating_add(64)),
        "volumeMounts": [mount_read_only("config", "/etc/panono/cache"), mount("data", "/data")],
    }));
    pod.volumes.push(json!({"name": "config", "secret": {
        "secretName": owner.with(CREDENTIALS),
        "items": [{"key": "cache.conf", "path": "cache.conf"}],
    }}));
    pod.scratch("data", "64Mi");
    let spec: Value = json!({"spec": {
        "replicas": plan.replicas(1),
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 600,
        // Two at a time would be two caches behind one name.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": owner.selector(part)},
        "template": pod.template(plan),
    }});
    vec![
        owner.object(
            Kind::Service,
            name.clone(),
            part,
            json!({"spec": {
                "type": "ClusterIP",
                "selector": owner.selector(part),
                "ports": [{"name": "cache", "port": PORT, "targetPort": "cache", "protocol": "TCP"}],
            }}),
        ),
        owner.object(Kind::Deployment, name, part, spec),
    ]
}
