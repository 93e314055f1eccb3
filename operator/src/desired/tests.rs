mod group;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use k8s_openapi::api::{apps, autoscaling, batch, core, networking, policy};
use kube::CustomResourceExt as _;
use panono_crds::{Component, Shop, to_yaml};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Stage, desired};
use crate::names::SHOP_LABEL;
use crate::object::{Kind, Object};
use crate::observe::{Served, found_secret};
use crate::validate::{Referenced, ValidatedShop, validate};

fn shop(spec: &Value) -> Shop {
    serde_json::from_value(json!({
        "apiVersion": "panono.dev/v1alpha1",
        "kind": "Shop",
        "metadata": {"name": "demo", "namespace": "shops", "uid": "6f1c2b9e-0000-4000-8000-000000000001", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

/// A cluster that serves everything, and in which every Secret exists with every key.
fn referenced(spec: &Value) -> Referenced {
    let served = Served::with_groups([
        "gateway.networking.k8s.io",
        "monitoring.coreos.com",
        "custom.metrics.k8s.io",
    ]);
    let all = json!({"writer-url": "x", "ca.crt": "x", "url": "x", "token": "x", "access-key-id": "x", "secret-access-key": "x",
        "secret-key": "x", "webhook-secrets": "x", "carrier-secrets": "x", "user": "x", "password": "x", "key": "x"});
    let shop = shop(spec);
    Referenced {
        secrets: crate::validate::secrets(&shop.spec)
            .into_iter()
            .map(|needed| (needed.name, found_secret(Some(&all))))
            .collect(),
        kinds: served.kinds,
        custom_metrics: served.custom_metrics,
    }
}

fn valid(spec: &Value) -> ValidatedShop {
    validate(&shop(spec), &referenced(spec)).unwrap()
}

fn settled(spec: &Value) -> Vec<Object> {
    let valid = valid(spec);
    desired(&valid, &Stage::settled(&valid))
}

fn smallest() -> Value {
    json!({"url": "https://shop.example.com", "release": {"image": "registry.example/shop:1"}})
}

/// Everything that can be said about a shop that runs all by itself.
fn full() -> Value {
    json!({
        "url": "https://shop.example.com",
        "aliases": ["www.example.com"],
        "name": "Lamps & more",
        "tagline": "Light",
        "email": "help@example.com",
        "locales": ["en"],
        "currencies": ["EUR", "USD"],
        "release": {"image": "registry.example/shop@sha256:00", "pullPolicy": "Always", "pullSecrets": ["registry"], "migrationTimeoutSeconds": 600},
        "mode": "Running",
        "paused": false,
        "deletionPolicy": "Delete",
        "web": {
            "replicas": 3,
            "autoscaling": {"minReplicas": 3, "maxReplicas": 9, "cpuPercent": 70, "requestsPerSecond": 80, "scaleDownSeconds": 600},
            "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
            "databaseConnections": 12, "answersMemory": "64Mi", "requestDeadlineSeconds": 8, "drainSeconds": 10, "spread": "Node",
        },
        "worker": {"replicas": 2, "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}, "databaseConnections": 6},
        "database": {"managed": {
            "image": "registry.example/mysql:9", "storage": {"size": "20Gi", "className": "fast"}, "bufferPool": "1Gi", "maxConnections": 300,
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "4", "memory": "3Gi"}},
            "restore": {"volume": {"claimName": "old-backups"}, "keySecretName": "old-key"},
        }},
        "backup": {
            "volume": {"size": "60Gi", "className": "shared", "accessMode": "ReadWriteOnce"}, "keySecretName": "backup-key", "schedule": "30 1 * * *",
            "maxAgeHours": 30, "archiveSeconds": 20, "retention": {"days": 30, "copies": 5}, "verification": {"schedule": "0 5 * * 6", "maxAgeHours": 200},
            "bandwidthMib": 50, "work": {"size": "45Gi", "className": "fast"}, "image": "registry.example/panono-operator:2",
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        },
        "cache": {"managed": {"engine": "redis", "image": "registry.example/redis:8", "memory": "128Mi",
            "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}}},
        "edge": {"managed": {"image": "registry.example/varnish:7", "replicas": 3, "memory": "512Mi", "trustedProxies": ["10.0.0.0/8"],
            "resources": {"requests": {"cpu": "100m", "memory": "768Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}}},
        "media": {"volume": {"size": "9Gi", "className": "shared", "accessMode": "ReadWriteMany"}},
        "exposure": {"ingress": {"className": "public", "tlsSecretName": "shop-tls", "annotations": {"example.com/a": "b"}}},
        "payments": {"test": false, "stripe": {"publishableKey": "pk_live_1", "secretName": "stripe"}, "capture": "OnShipment"},
        "mail": {"server": "smtp.example.com:2525", "tls": "Tls", "from": "Lamps <orders@example.com>", "secretName": "mail"},
        "fulfilment": {"returnDays": 14, "carriers": [{"name": "post", "trackingUrl": "https://post.example/{number}"}], "secretName": "carriers"},
        "risk": {"reviewFrom": 40, "refuseFrom": 90},
        "monitoring": {"objects": "Auto", "labels": {"team": "blue"}},
        "networkPolicy": "Enforce",
        "scheduling": {"nodeSelector": {"pool": "shops"}, "priorityClassName": "shops",
            "tolerations": [{"key": "shops", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]},
        "log": "debug",
    })
}

/// A shop on what others run.
fn external() -> Value {
    json!({
        "url": "https://shop.example.com",
        "release": {"image": "registry.example/shop:1"},
        "database": {"external": {"secretName": "db", "tls": "VerifyCA"}},
        "cache": {"external": {"secretName": "cache"}},
        "edge": {"cloudflare": {"zoneId": "z", "plan": "Business", "secretName": "cloudflare"}},
        "media": {"bucket": {"url": "s3://b/p?endpoint=http://minio.infra:9001", "secretName": "bucket"}},
        "exposure": {"gateway": {"name": "public", "namespace": "infra", "sectionName": "https"}},
    })
}

/// A shop whose database fails over by itself.
fn grouped() -> Value {
    json!({
        "url": "https://shop.example.com",
        "release": {"image": "registry.example/shop:1"},
        "database": {"managed": {"members": 3, "storage": {"size": "20Gi", "className": "fast"}, "group": {
            "failover": "Tolerant", "divergence": "Manual", "settings": {"long_query_time": "2"}, "cloneBandwidthMib": 100,
        }, "restore": {
            "bucket": {"url": "s3://backups/old?endpoint=http://s3.example.com:9001", "secretName": "old"}, "keySecretName": "old-key",
            "shopKeySecretName": "old-credentials", "point": {"toTime": "2026-11-30T11:59:00Z", "backup": "20261130T021500Z-0011aabb"},
        }}},
        "cache": {"managed": {"replicas": 3}},
        "backup": {"bucket": {"url": "s3://backups/demo?region=eu-central-1&endpoint=https://s3.example.com:8443", "secretName": "backups"}},
    })
}

fn in_mode(mode: &str) -> Value {
    let mut spec = smallest();
    spec["mode"] = mode.into();
    spec
}

fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("smallest", smallest()),
        ("full", full()),
        ("external", external()),
        ("grouped", grouped()),
        ("maintenance", in_mode("Maintenance")),
        ("read_only", in_mode("ReadOnly")),
        ("hibernated", in_mode("Hibernated")),
    ]
}

#[test]
fn objects_are_as_they_were() {
    for (name, spec) in all().into_iter().take(4) {
        let text: Vec<String> = settled(&spec)
            .iter()
            .map(|object| to_yaml(&object.body).unwrap())
            .collect();
        insta::assert_snapshot!(name, text.join("---\n"));
    }
}

fn same<T: Serialize + DeserializeOwned>(object: &Object) {
    let typed: T = serde_json::from_value(object.body.clone()).unwrap();
    let read = serde_json::to_value(&typed).unwrap();
    // What is written has only fields that exist, with values of the right type.
    let mut text = String::new();
    differing(&object.body, &read, "", &mut text);
    assert!(text.is_empty(), "{}: {text}", object.key);
}

fn differing(written: &Value, read: &Value, at: &str, out: &mut String) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, below) in written {
                match read.get(name) {
                    Some(read) => differing(below, read, &format!("{at}/{name}"), out),
                    None if below == &json!({}) => {}
                    None => out.push_str(&format!("{at}/{name} does not exist; ")),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (item, (below, read)) in written.iter().zip(read).enumerate() {
                differing(below, read, &format!("{at}/{item}"), out);
            }
        }
        _ if written == read => {}
        _ => out.push_str(&format!("{at}: {written} is read as {read}; ")),
    }
}

#[test]
fn every_field_of_every_object_exists() {
    for (_, spec) in all() {
        for object in settled(&spec) {
            match object.key.kind {
                Kind::ServiceAccount => same::<core::v1::ServiceAccount>(&object),
                Kind::Role => same::<k8s_openapi::api::rbac::v1::Role>(&object),
                Kind::RoleBinding => same::<k8s_openapi::api::rbac::v1::RoleBinding>(&object),
                Kind::EndpointSlice => {
                    same::<k8s_openapi::api::discovery::v1::EndpointSlice>(&object);
                }
                Kind::NetworkPolicy => same::<networking::v1::NetworkPolicy>(&object),
                Kind::Secret => same::<core::v1::Secret>(&object),
                Kind::ConfigMap => same::<core::v1::ConfigMap>(&object),
                Kind::PersistentVolumeClaim => same::<core::v1::PersistentVolumeClaim>(&object),
                Kind::Service => same::<core::v1::Service>(&object),
                Kind::PodDisruptionBudget => same::<policy::v1::PodDisruptionBudget>(&object),
                Kind::StatefulSet => same::<apps::v1::StatefulSet>(&object),
                Kind::Job => same::<batch::v1::Job>(&object),
                Kind::CronJob => same::<batch::v1::CronJob>(&object),
                Kind::Deployment => same::<apps::v1::Deployment>(&object),
                Kind::HorizontalPodAutoscaler => {
                    same::<autoscaling::v2::HorizontalPodAutoscaler>(&object);
                }
                Kind::Ingress => same::<networking::v1::Ingress>(&object),
                Kind::HTTPRoute | Kind::PodMonitor | Kind::PrometheusRule => {}
            }
        }
    }
}

/// Each pod template with the object that it is in.
fn templates(objects: &[Object]) -> Vec<(&Object, &Value)> {
    objects
        .iter()
        .filter_map(|object| {
            let template = ["/spec/template", "/spec/jobTemplate/spec/template"];
            let found = template.iter().find_map(|path| object.body.pointer(path));
            Some((object, found?))
        })
        .collect()
}

fn containers(template: &Value) -> Vec<&Value> {
    ["/spec/initContainers", "/spec/containers"]
        .iter()
        .filter_map(|pointer| template.pointer(pointer)?.as_array())
        .flatten()
        .collect()
}

#[test]
fn pods_are_restricted_and_know_no_token() {
    for (_, spec) in all() {
        for (object, template) in templates(&settled(&spec)) {
            let pod = &template["spec"];
            assert_eq!(
                pod["automountServiceAccountToken"],
                json!(false),
                "{}",
                object.key
            );
            assert_eq!(pod["securityContext"]["runAsNonRoot"], json!(true));
            assert!(pod["securityContext"]["runAsUser"].as_u64().unwrap() > 0);
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"],
                json!("RuntimeDefault")
            );
            for container in containers(template) {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], json!(true));
                assert_eq!(security["allowPrivilegeEscalation"], json!(false));
                assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
                assert!(container["resources"]["limits"]["memory"].is_string());
                let mut command = container["command"].clone();
                // The text of a script names files and variables; what it is given has no secret either.
                if command[0] == "sh" {
                    command[2].take();
                }
                let words = format!("{command}{}", container["args"]);
                assert!(
                    !words.contains("password") && !words.contains("requirepass"),
                    "{words}"
                );
            }
        }
    }
}

#[test]
fn names_fit_and_selectors_find_their_own_pods_only() {
    let mut spec = full();
    for name in ["d", &"n".repeat(panono_crds::MAXIMUM_NAME)] {
        spec["mode"] = "Maintenance".into();
        let mut shop = shop(&spec);
        shop.metadata.name = Some(name.to_owned());
        let valid = validate(&shop, &referenced(&spec)).unwrap();
        let objects = desired(&valid, &Stage::settled(&valid));
        let mut keys = BTreeSet::new();
        for object in &objects {
            assert!(object.key.name.len() <= 63, "{}", object.key);
            assert!(keys.insert(object.key.clone()), "{} twice", object.key);
        }
        for (object, template) in templates(&objects) {
            let labels = template["metadata"]["labels"].as_object().unwrap();
            assert_eq!(labels[SHOP_LABEL], json!(name));
            // What controllers put behind the name, where it becomes a label.
            let behind = match object.key.kind {
                Kind::Job => 6,
                _ => 11,
            };
            assert!(object.key.name.len() + behind <= 63, "{}", object.key);
            if let Some(selector) = object.body.pointer("/spec/selector/matchLabels") {
                for (key, value) in selector.as_object().unwrap() {
                    assert_eq!(&labels[key], value);
                }
            }
        }
    }
}

#[test]
fn what_pods_mount_and_read_is_there() {
    for (name, spec) in all() {
        let objects = settled(&spec);
        let has = |kind: Kind, name: &Value| {
            let name = name.as_str().unwrap();
            objects
                .iter()
                .any(|object| object.key.kind == kind && object.key.name == name)
                || kind == Kind::Secret && referenced(&spec).secrets.contains_key(name)
                // They are of the shop that was, and may be gone.
                || name.starts_with("old-") || name == "old"
        };
        for (object, template) in templates(&objects) {
            let mut volumes = HashSet::new();
            for volume in template["spec"]["volumes"].as_array().into_iter().flatten() {
                assert!(
                    volumes.insert(volume["name"].clone()),
                    "{}: volume twice",
                    object.key
                );
                if let Some(secret) = volume.get("secret") {
                    assert!(
                        has(Kind::Secret, &secret["secretName"]),
                        "{name} {}",
                        object.key
                    );
                }
                for source in volume
                    .pointer("/projected/sources")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    if let Some(secret) = source.get("secret") {
                        assert!(has(Kind::Secret, &secret["name"]), "{name} {}", object.key);
                    }
                }
                if let Some(config) = volume.get("configMap") {
                    assert!(
                        has(Kind::ConfigMap, &config["name"]),
                        "{name} {}",
                        object.key
                    );
                }
                if let Some(claim) = volume.get("persistentVolumeClaim") {
                    assert!(has(Kind::PersistentVolumeClaim, &claim["claimName"]));
                }
            }
            if object.key.kind == Kind::StatefulSet {
                volumes.insert(json!("data"));
            }
            for container in containers(template) {
                for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                    assert!(volumes.contains(&mount["name"]), "{}: {mount}", object.key);
                }
                let mut variables = HashSet::new();
                for variable in container["env"].as_array().into_iter().flatten() {
                    assert!(
                        variables.insert(variable["name"].clone()),
                        "{}: {variable} twice",
                        object.key
                    );
                    if let Some(reference) = variable.pointer("/valueFrom/secretKeyRef") {
                        assert!(
                            has(Kind::Secret, &reference["name"]),
                            "{name} {}",
                            object.key
                        );
                    }
                }
            }
        }
    }
}

/// The contract with the shop's program: it reads every variable that it is given.
#[test]
fn every_variable_is_one_that_the_shop_reads() {
    let known = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/configuration.md"
    ))
    .unwrap();
    let known = known
        + &std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/backups.md"))
            .unwrap();
    let mut edges = vec![external(), full(), grouped()];
    for edge in [
        json!({"fastly": {"serviceId": "f", "secretName": "s"}}),
        json!({"cloudfront": {"distributionId": "d", "secretName": "s"}}),
    ] {
        let mut spec = external();
        spec["edge"] = edge;
        edges.push(spec);
    }
    for spec in edges {
        for (_, template) in templates(&settled(&spec)) {
            // A script of ours reads what it is given.
            for container in containers(template)
                .into_iter()
                .filter(|container| container["command"][0] != "sh")
            {
                for variable in container["env"].as_array().into_iter().flatten() {
                    let name = variable["name"].as_str().unwrap();
                    // What a pod is, is read by the operator's own programs.
                    if variable.pointer("/valueFrom/fieldRef").is_some() {
                        continue;
                    }
                    assert!(
                        known.contains(&format!("`{name}`")),
                        "no page of docs knows {name}"
                    );
                }
            }
        }
    }
}

/// With an autoscaler the number of pods is not ours to say.
#[test]
fn replicas_are_not_applied_where_an_autoscaler_decides() {
    let web = |spec: &Value| {
        let objects = settled(spec);
        let web = objects
            .iter()
            .find(|object| object.key.name == "demo-web" && object.key.kind == Kind::Deployment);
        web.unwrap().body["spec"].get("replicas").cloned()
    };
    assert_eq!(web(&full()), None);
    assert_eq!(web(&smallest()), Some(json!(2)));
}

/// A restart changes the pods of its component and nothing else.
#[test]
fn a_restart_concerns_its_component_alone() {
    let spec = smallest();
    let valid = valid(&spec);
    let before = Stage::settled(&valid);
    for (component, name) in [
        (Component::Web, "Deployment demo-web"),
        (Component::Worker, "Deployment demo-worker"),
        (Component::Edge, "Deployment demo-edge"),
        (Component::Cache, "Deployment demo-cache"),
        (Component::Database, "StatefulSet demo-database"),
    ] {
        let after = Stage {
            restarts: BTreeMap::from([(component, "action".to_owned())]),
            ..before.clone()
        };
        let changed: Vec<String> = desired(&valid, &before)
            .into_iter()
            .zip(desired(&valid, &after))
            .filter(|(before, after)| before != after)
            .map(|(before, _)| before.key.to_string())
            .collect();
        assert_eq!(changed, [name]);
    }
}

/// Leaves of the schema of `spec`: the path and the schema of each.
fn leaves(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match schema.get("properties").and_then(Value::as_object) {
        Some(properties) => {
            for (name, below) in properties {
                leaves(below, &format!("{path}/{name}"), found);
            }
        }
        None => found.push((path.to_owned(), schema.clone())),
    }
}

/// Another value that the schema admits.
fn other(path: &str, schema: &Value, now: Option<&Value>) -> Value {
    let known = [
        ("/url", json!("http://other.example.com:8080")),
        ("/email", json!("other@example.com")),
        ("/aliases", json!(["other.example.com"])),
        ("/locales", json!(["zh-CN"])),
        ("/currencies", json!(["GBP"])),
        ("/log", json!("warn")),
        ("/release/pullSecrets", json!(["other"])),
        ("/edge/managed/trustedProxies", json!(["192.168.0.0/16"])),
        ("/scheduling/tolerations", json!([])),
        ("/fulfilment/carriers", json!([])),
        ("/mail/server", json!("smtp.example.com:465")),
        ("/mail/from", json!("other@example.com")),
        ("/payments/stripe/publishableKey", json!("pk_test_2")),
        ("/media/bucket/url", json!("s3://other")),
        ("/edge/none", json!({})),
        (
            "/database/managed/group/settings",
            json!({"wait_timeout": "60"}),
        ),
    ];
    if let Some((_, value)) = known.iter().find(|(known, _)| *known == path) {
        return value.clone();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values
            .iter()
            .find(|value| Some(*value) != now && !value.is_null())
            .unwrap()
            .clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer") => json!(now.and_then(Value::as_i64).unwrap_or(4) + 1),
        Some("object") => json!({"other": "value"}),
        Some("string") if path.ends_with("/cpu") => json!("3"),
        Some("string")
            if schema["pattern"]
                .as_str()
                .is_some_and(|pattern| pattern.contains("Mi|Gi")) =>
        {
            json!("777Mi")
        }
        Some("string") => json!("other"),
        _ => panic!("{path}: no other value for {schema}"),
    }
}

/// Every field of a Shop changes an object, or is refused: none is without effect.
#[test]
fn every_field_of_the_spec_has_an_effect() {
    let definition = serde_json::to_value(Shop::crd()).unwrap();
    let schema =
        &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut all = Vec::new();
    leaves(schema, "", &mut all);
    assert!(all.len() > 80, "{}", all.len());
    let mut without = Vec::new();
    for (path, schema) in all {
        let mut spec = if path.starts_with("/database/external")
            || path.starts_with("/cache/external")
            || path.starts_with("/edge/cloudflare")
            || path.starts_with("/media/bucket")
            || path.starts_with("/exposure/gateway")
        {
            external()
        } else {
            full()
        };
        for (start, edge) in [
            (
                "/edge/fastly",
                json!({"fastly": {"serviceId": "f", "secretName": "s"}}),
            ),
            (
                "/edge/cloudfront",
                json!({"cloudfront": {"distributionId": "d", "secretName": "s"}}),
            ),
        ] {
            if path.starts_with(start) {
                spec["edge"] = edge;
            }
        }
        if path.starts_with("/database/managed/group")
            || path.starts_with("/backup/bucket")
            || path.starts_with("/database/managed/restore/bucket")
        {
            spec = grouped();
        }
        // The operator's decisions depend on it, and no object.
        if path == "/database/managed/group/divergence" {
            continue;
        }
        // The generated Secret has it, whose values are in no object.
        if path == "/database/managed/restore/shopKeySecretName" {
            continue;
        }
        // An autoscaler stands in the place of the number.
        if path == "/web/replicas" {
            spec["web"].as_object_mut().unwrap().remove("autoscaling");
        }
        // What stops all writing is the operator's business and not that of objects.
        if path == "/paused" {
            continue;
        }
        let before = settled(&spec);
        let mut changed = spec.clone();
        if path == "/edge/none" {
            changed["edge"] = json!({});
        }
        let value = other(&path, &schema, spec.pointer(&path));
        let mut at = &mut changed;
        for step in path.split('/').skip(1) {
            at = at
                .as_object_mut()
                .unwrap()
                .entry(step.to_owned())
                .or_insert(json!({}));
        }
        *at = value;
        let parsed = shop(&changed);
        let after = validate(&parsed, &referenced(&changed))
            .map(|valid| desired(&valid, &Stage::settled(&valid)));
        if after.is_ok_and(|after| after == before) {
            without.push(path);
        }
    }
    assert!(without.is_empty(), "fields without effect: {without:?}");
}
