//! The page that visitors see in mode `Maintenance`: a Varnish that answers everything itself.

use panono_crds::Mode;
use serde_json::{Value, json};

use super::Plan;
use super::edge::HEALTH;
use super::pod::{self, Pod, USER, mount, mount_read_only};
use super::shop::PORT;
use crate::object::{Kind, Object, digest};

const FOLDER: &str = "/etc/panono/maintenance";

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    match plan.mode() {
        Mode::Maintenance => {}
        Mode::Running | Mode::ReadOnly | Mode::Hibernated => return Vec::new(),
    }
    let owner = &plan.shop.owner;
    let spec = &plan.shop.spec;
    let part = "maintenance";
    let name = owner.with(part);
    let image = spec.edge.managed.as_ref().map_or_else(
        || "docker.io/library/varnish:7".to_owned(),
        |edge| edge.image.clone(),
    );
    let text = page(&spec.name);
    let mut pod = Pod::new(part, None, USER);
    pod.annotations.insert(
        "panono.dev/config".to_owned(),
        format!("{:016x}", digest(&Value::from(text.as_str()))).into(),
    );
    pod.containers.push(json!({
        "name": "maintenance",
        "image": image,
        "imagePullPolicy": spec.release.pull_policy,
        "command": ["varnishd"],
        "args": [
            "-F", "-j", "none",
            "-n", "/var/lib/varnish/run",
            "-a", format!("http=:{PORT},HTTP"),
            "-f", format!("{FOLDER}/maintenance.vcl"),
            "-s", "malloc,16m",
            "-p", "vsl_space=8M",
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": HEALTH, "port": "http"}, "periodSeconds": 2, "timeoutSeconds": 5},
        "securityContext": pod::security(),
        "resources": pod::resources(None, "50m", 192),
        "volumeMounts": [
            mount_read_only("config", FOLDER),
            mount("work", "/var/lib/varnish"),
            mount("tmp", "/tmp"),
        ],
    }));
    pod.volumes
        .push(json!({"name": "config", "configMap": {"name": name}}));
    pod.scratch("work", "64Mi");
    pod.scratch("tmp", "64Mi");
    let deployment = json!({"spec": {
        "replicas": 1,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": owner.selector(part)},
        "template": pod.template(plan),
    }});
    vec![
        owner.object(
            Kind::ConfigMap,
            name.clone(),
            part,
            json!({"data": {"maintenance.vcl": text}}),
        ),
        owner.object(Kind::Deployment, name, part, deployment),
    ]
}

/// The whole configuration. The shop's name is written as character references, so that nothing in it can be anything else.
fn page(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || letter == ' ' {
                letter.to_string()
            } else {
                format!("&#{};", u32::from(letter))
            }
        })
        .collect();
    format!(
        "vcl 4.1;\n\
         backend none none;\n\
         sub vcl_recv {{\n\
         \tif (req.url == \"{HEALTH}\") {{\n\
         \t\treturn (synth(200));\n\
         \t}}\n\
         \treturn (synth(503));\n\
         }}\n\
         sub vcl_synth {{\n\
         \tset resp.http.Cache-Control = \"no-store\";\n\
         \tif (resp.status == 503) {{\n\
         \t\tset resp.http.Retry-After = \"120\";\n\
         \t\tset resp.http.Content-Type = \"text/html; charset=utf-8\";\n\
         \t\tset resp.body = {{\"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}</title>\n\
         <body style=\"font-family:sans-serif;max-width:36em;margin:20vh auto;padding:0 1em\">\n\
         <h1>{name}</h1><p>We are working on the shop. Please come back in a few minutes.</p>\n\
         \"}};\n\
         \t}}\n\
         \treturn (deliver);\n\
         }}\n"
    )
}
