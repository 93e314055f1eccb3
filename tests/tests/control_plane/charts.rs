//! Both charts, by Helm's own code: linted, rendered with every value that they document, and installed into a real API server.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use panono_operator::object::Kind;
use panono_tests::control_plane::{namespace, objects};
use panono_tests::process::Folder;
use panono_tests::tools::{self, repository};
use serde_json::{Value, json};

use super::bed::{on_bed, reason, set, shops};

/// Runs helm with a file of values. What it prints, or what it says is wrong.
pub fn helm(arguments: &[&str], values: &Value, kubeconfig: Option<&Path>) -> Result<String> {
    let folder = Folder::new("helm")?;
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values.to_string())?;
    let mut command = Command::new(tools::program("helm")?);
    command
        .args(arguments)
        .arg("--values")
        .arg(&file)
        .current_dir(repository());
    if let Some(path) = kubeconfig {
        command.env("KUBECONFIG", path);
    }
    let output = command.output().context("failed to run helm")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "helm {arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(text)
}

/// What a chart gives with these values: its objects, by kind and name.
fn template(chart: &str, values: &Value) -> Result<BTreeMap<String, Value>> {
    let path = format!("charts/{chart}");
    let text = helm(
        &["template", "demo", &path, "--namespace", "shops"],
        values,
        None,
    )?;
    let mut found = BTreeMap::new();
    for object in panono_operator::manifest::values(&text).map_err(anyhow::Error::msg)? {
        let name = format!(
            "{} {}",
            object["kind"].as_str().context("no kind")?,
            object["metadata"]["name"].as_str().context("no name")?
        );
        ensure!(
            found.insert(name.clone(), object).is_none(),
            "{name} is there twice"
        );
    }
    Ok(found)
}

/// Every value of a chart, other than its default.
fn every_value(chart: &str) -> Value {
    if chart == "panono-operator" {
        json!({
            "image": {"repository": "registry.example/operator", "tag": "7", "pullPolicy": "Always"},
            "imagePullSecrets": [{"name": "registry"}],
            "replicas": 3,
            "concurrency": 16,
            "log": "debug",
            "resources": {"requests": {"cpu": "1", "memory": "96Mi"}, "limits": {"memory": "1Gi"}},
            "crds": {"install": false},
            "networkPolicy": {"enabled": false},
            "monitoring": {"podMonitor": true, "labels": {"team": "blue"}},
            "nodeSelector": {"pool": "system"},
            "tolerations": [{"key": "system", "operator": "Exists"}],
            "priorityClassName": "system-cluster-critical",
        })
    } else {
        json!({
            "name": "lamps",
            "labels": {"team": "blue"},
            "annotations": {"example.com/note": "x"},
            "spec": {"url": "https://lamps.example.com", "web": {"replicas": 3}, "release": {"pullPolicy": "Always"}},
            "image": {"repository": "registry.example/shop", "tag": "7"},
        })
    }
}

/// What is needed at least.
fn least(chart: &str) -> Value {
    if chart == "panono-operator" {
        json!({})
    } else {
        json!({"spec": {"url": "https://shop.example.com"}})
    }
}

fn documented(schema: &Value, pointer: &str, found: &mut Vec<String>) {
    match schema["properties"].as_object() {
        Some(fields) => {
            for (name, below) in fields {
                documented(below, &format!("{pointer}/{name}"), found);
            }
        }
        None => found.push(pointer.to_owned()),
    }
}

const CHARTS: [&str; 2] = ["panono-operator", "panono-shop"];

#[test]
fn charts_are_linted_and_every_value_has_an_effect() {
    for chart in CHARTS {
        let path = format!("charts/{chart}");
        let every = every_value(chart);
        for values in [least(chart), every.clone()] {
            helm(&["lint", &path, "--strict"], &values, None).unwrap();
        }
        let schema = repository().join(&path).join("values.schema.json");
        let schema: Value = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
        let mut all = Vec::new();
        documented(&schema, "", &mut all);
        let with_all = template(chart, &every).unwrap();
        for pointer in all {
            // Helm's own, for charts within charts.
            if pointer == "/global" {
                continue;
            }
            assert!(
                every.pointer(&pointer).is_some(),
                "{chart}: the test gives no {pointer}"
            );
            let mut without = every.clone();
            set(&mut without, &pointer, Value::Null);
            // A Shop without its address is refused, and that is an effect, too.
            if let Ok(found) = template(chart, &without) {
                assert_ne!(found, with_all, "{chart}: {pointer} has no effect");
            }
        }
        let refused = helm(&["template", "demo", &path], &json!({"nope": 1}), None).unwrap_err();
        assert!(refused.to_string().contains("nope"), "{refused}");
    }
    let refused = template("panono-shop", &json!({})).unwrap_err();
    assert!(refused.to_string().contains("spec.url"), "{refused}");
}

/// Charts and definitions move together.
#[test]
fn the_chart_brings_the_definitions_of_this_version() {
    let found = template("panono-operator", &json!({})).unwrap();
    for (_, definition) in panono_crds::definitions() {
        let name = definition.metadata.name.clone().unwrap();
        let mut brought: CustomResourceDefinition =
            serde_json::from_value(found[&format!("CustomResourceDefinition {name}")].clone())
                .unwrap();
        assert!(
            brought.metadata.annotations.take().is_some(),
            "Helm is told to keep it"
        );
        assert_eq!(brought, definition, "{name}");
    }
    for chart in CHARTS {
        let path = repository().join(format!("charts/{chart}/Chart.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        for field in ["version", "appVersion"] {
            let line = format!("{field}: {}", env!("CARGO_PKG_VERSION"));
            assert!(text.lines().any(|found| found == line), "{chart}: {line}");
        }
    }
}

/// Installed, with the least and with every value that needs no other people's definitions.
#[test]
fn charts_can_be_installed() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "charts").await?;
        let kubeconfig = bed
            .plane
            .kubeconfig("helm", &bed.plane.url(), bed.plane.token())?;
        let install = |name: &str, chart: &str, values: &Value| {
            let path = format!("charts/{chart}");
            helm(
                &["install", name, &path, "--namespace", &namespace],
                values,
                Some(&kubeconfig),
            )
        };
        let mut every = every_value("panono-operator");
        set(&mut every, "/monitoring/podMonitor", json!(false));
        install("every", "panono-operator", &every)?;
        // The definitions are there already, and not from Helm.
        install(
            "least",
            "panono-operator",
            &json!({"crds": {"install": false}}),
        )?;
        let deployments = objects(&bed.client, &namespace, Kind::Deployment);
        for (name, replicas) in [("every-panono-operator", 3), ("least-panono-operator", 2)] {
            let found = deployments.get(name).await?;
            assert_eq!(found.data["spec"]["replicas"], json!(replicas), "{name}");
        }
        let mut shop = every_value("panono-shop");
        install("first", "panono-shop", &shop)?;
        let stored = reason(&bed.client, &namespace, "lamps", "Serving").await?;
        assert_eq!(stored.spec.release.image, "registry.example/shop:7");
        set(&mut shop, "/spec/worker/replicas", json!(2));
        helm(
            &[
                "upgrade",
                "first",
                "charts/panono-shop",
                "--namespace",
                &namespace,
            ],
            &shop,
            Some(&kubeconfig),
        )?;
        install("second", "panono-shop", &least("panono-shop"))?;
        reason(&bed.client, &namespace, "second", "Serving").await?;
        reason(&bed.client, &namespace, "lamps", "Serving").await?;
        let lamps = shops(&bed.client, &namespace).get("lamps").await?;
        assert_eq!(lamps.spec.worker.replicas, 2);
        Ok(())
    });
}
