//! The managed edge: Varnish with the configuration that the release brings.

use panono_crds::{Component, Spread};
use serde_json::json;

use super::pod::{self, Pod, USER, mebibytes, mount, mount_read_only, variable};
use super::shop::PORT;
use super::{CREDENTIALS, Plan};
use crate::object::{Kind, Object};

/// The configuration is written here by the release's own program.
const FOLDER: &str = "/etc/panono/edge";

/// Answered by the edge itself, whether or not the shop answers.
pub(crate) const HEALTH: &str = "/.well-known/panono-edge/health";

/// Networks of clusters. Who purges must come from one of them *and* know the token.
const PRIVATE: &str = "10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7";

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let (Some(managed), Some(image)) = (&plan.shop.spec.edge.managed, &plan.stage.serving) else {
        return Vec::new();
    };
    let owner = &plan.shop.owner;
    let spec = &plan.shop.spec;
    let part = "edge";
    let name = owner.component(Component::Edge);
    let pull = spec.release.pull_policy;
    let mut pod = Pod::new(part, Some(Component::Edge), USER);
    pod.spread = Spread::Zone;
    pod.annotations.insert(
        "panono.dev/credentials".to_owned(),
        plan.stage.credentials.to_string().into(),
    );
    let mut environment = vec![
        variable("PANONO_PUBLIC_URL", spec.url.clone()),
        variable("PANONO_ALLOWED_HOSTS", spec.aliases.join(",")),
        variable(
            "PANONO_EDGE_BACKENDS",
            format!("{}:{PORT}", owner.component(Component::Web)),
        ),
        variable("PANONO_EDGE_PURGE_FROM", PRIVATE),
        variable(
            "PANONO_PURGE_VARNISH_TOKEN_FILE",
            "/etc/panono/tokens/purge-token",
        ),
    ];
    if !managed.trusted_proxies.is_empty() {
        environment.push(variable(
            "PANONO_EDGE_TRUSTED_PROXIES",
            managed.trusted_proxies.join(","),
        ));
    }
    pod.init_containers.push(json!({
        "name": "configure",
        "image": image,
        "imagePullPolicy": pull,
        "command": ["panono-shop"],
        "args": ["edge-config", "--write-to", FOLDER],
        "env": environment,
        "securityContext": pod::security(),
        "resources": pod::resources(None, "50m", 64),
        "volumeMounts": [
            mount("config", FOLDER),
            mount_read_only("tokens", "/etc/panono/tokens"),
        ],
    }));
    let memory = mebibytes(&managed.memory).max(16);
    pod.containers.push(json!({
        "name": "edge",
        "image": managed.image,
        "imagePullPolicy": pull,
        "command": ["varnishd"],
        "args": [
            "-F", "-j", "none",
            "-n", "/var/lib/varnish/run",
            "-a", format!("http=:{PORT},HTTP"),
            "-f", format!("{FOLDER}/edge.vcl"),
            // Parameters that belong to the configuration, in a file of commands.
            "-I", format!("{FOLDER}/parameters.cli"),
            "-s", format!("malloc,{memory}m"),
            "-s", "Transient=malloc,64m",
            "-p", "vsl_space=16M",
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": {"httpGet": {"path": HEALTH, "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 600},
        "readinessProbe": {"httpGet": {"path": HEALTH, "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {"httpGet": {"path": HEALTH, "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
        "securityContext": pod::security(),
        "resources": pod::resources(managed.resources.as_ref(), "100m", memory.saturating_add(memory / 4).saturating_add(256)),
        "volumeMounts": [
            mount_read_only("config", FOLDER),
            mount("work", "/var/lib/varnish"),
            mount("tmp", "/tmp"),
        ],
    }));
    pod.volumes.push(json!({"name": "tokens", "secret": {
        "secretName": owner.with(CREDENTIALS),
        "items": [{"key": "purge-token", "path": "purge-token"}],
    }}));
    pod.scratch("config", "1Mi");
    pod.scratch("work", "128Mi");
    pod.scratch("tmp", "64Mi");
    let deployment = json!({"spec": {
        "replicas": plan.replicas(managed.replicas),
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": owner.selector(part)},
        "template": pod.template(plan),
    }});
    vec![
        owner.object(
            Kind::Service,
            owner.with("edge-members"),
            part,
            json!({"spec": {
                "type": "ClusterIP",
                // Each member is purged for itself, and one that is not ready may come back with what it has.
                "clusterIP": "None",
                "publishNotReadyAddresses": true,
                "selector": owner.selector(part),
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
            }}),
        ),
        owner.object(
            Kind::PodDisruptionBudget,
            name.clone(),
            part,
            json!({"spec": {"maxUnavailable": 1, "selector": {"matchLabels": owner.selector(part)}}}),
        ),
        owner.object(Kind::Deployment, name, part, deployment),
    ]
}
