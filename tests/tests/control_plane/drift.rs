//! What somebody changes by hand: what is ours goes back, what is theirs stays.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use panono_operator::command::{RenderOptions, rendered};
use panono_operator::manifest::Manifest;
use panono_operator::object::{Kind, Object};
use panono_operator::observe::Served;
use panono_tests::control_plane::{Request, objects};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};

use super::bed::{Bed, LIMIT, change, on_bed, ours, reason, serving, shops, spec, with};

/// How long a change by hand may last.
const BACK: Duration = Duration::from_secs(5);

/// Every leaf of `value` with its JSON pointer.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(below, &format!("{pointer}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (at, below) in items.iter().enumerate() {
                leaves(below, &format!("{pointer}/{at}"), found);
            }
        }
        leaf => found.push((pointer.to_owned(), leaf.clone())),
    }
}

fn other(leaf: &Value) -> Value {
    match leaf {
        Value::Bool(value) => json!(!value),
        Value::Number(value) => json!(value.as_i64().unwrap() + 1),
        Value::String(text) if text.ends_with("Mi") => json!("77Mi"),
        Value::String(text) if text.ends_with('m') => json!("77m"),
        Value::String(text) => json!(format!("{text}x")),
        other => other.clone(),
    }
}

/// Whether two leaves say the same: the API server writes `1024Mi` as `1Gi`.
fn same(found: &Value, leaf: &Value) -> bool {
    let mebibytes = |value: &Value| {
        let text = value.as_str()?;
        let (number, factor) = match text.strip_suffix("Gi") {
            Some(number) => (number, 1024),
            None => (text.strip_suffix("Mi")?, 1),
        };
        number.parse::<u64>().ok().map(|number| number * factor)
    };
    found == leaf || mebibytes(found).is_some() && mebibytes(found) == mebibytes(leaf)
}

/// Leaves that say which element of a list is meant, such as the name of a container: who changes one of them makes an element of
/// their own, and ours comes back beside it.
fn keys(set: &Value, value: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    for (step, below) in set.as_object().into_iter().flatten() {
        if let Some(name) = step.strip_prefix("f:") {
            if let Some(value) = value.get(name) {
                let name = name.replace('~', "~0").replace('/', "~1");
                keys(below, value, &format!("{pointer}/{name}"), found);
            }
        } else if let Some(wanted) = step.strip_prefix("k:") {
            let wanted: serde_json::Map<String, Value> = serde_json::from_str(wanted).unwrap();
            let items = value.as_array().unwrap();
            let same = |item: &Value| wanted.iter().all(|(key, value)| &item[key] == value);
            let at = items.iter().position(same).unwrap();
            let pointer = format!("{pointer}/{at}");
            found.extend(wanted.keys().map(|key| format!("{pointer}/{key}")));
            keys(below, &items[at], &pointer, found);
        }
    }
}

/// Changes each leaf of `object` in turn, as far as the API server lets us. Says how many it let us change, and how long it took
/// until all were back.
async fn tamper(bed: &Bed, namespace: &str, object: &Object) -> Result<(usize, Duration)> {
    let api = objects(&bed.client, namespace, object.key.kind);
    let now = serde_json::to_value(api.get(&object.key.name).await?)?;
    let mut of_lists = BTreeSet::new();
    for entry in now["metadata"]["managedFields"].as_array().unwrap() {
        if entry["manager"] == "panono-operator" && entry["operation"] == "Apply" {
            keys(&entry["fieldsV1"], &now, "", &mut of_lists);
        }
    }
    let mut all = Vec::new();
    leaves(&object.body, "", &mut all);
    let mut changed = 0;
    for (pointer, leaf) in &all {
        let identity = [
            "/apiVersion",
            "/kind",
            "/metadata/name",
            "/metadata/namespace",
        ];
        if identity.contains(&pointer.as_str()) || of_lists.contains(pointer) {
            continue;
        }
        let patch = json!([{"op": "replace", "path": pointer, "value": other(leaf)}]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch)?);
        let written = api
            .patch(&object.key.name, &PatchParams::default(), &patch)
            .await;
        changed += usize::from(written.is_ok());
    }
    let began = Instant::now();
    wait_until(
        &format!("{} to be as it was", object.key),
        LIMIT,
        async || {
            let found = api
                .get(&object.key.name)
                .await
                .map_err(|error| error.to_string())?;
            let found = serde_json::to_value(&found).unwrap();
            match all
                .iter()
                // The API server leaves an empty text out.
                .find(|(pointer, leaf)| {
                    let now = found.pointer(pointer);
                    !now.map_or(leaf == "", |now| same(now, leaf))
                }) {
                Some((pointer, leaf)) => Err(format!(
                    "{pointer}: {:?} instead of {leaf}",
                    found.pointer(pointer)
                )),
                None => Ok(()),
            }
        },
    )
    .await?;
    Ok((changed, began.elapsed()))
}

/// Each field that is ours, of every object, goes back within seconds.
#[test]
fn every_field_of_ours_goes_back() {
    on_bed(async |bed| {
        let namespace = serving(bed, "drift", spec()).await?;
        let shop = shops(&bed.client, &namespace).get("demo").await?;
        let options = RenderOptions {
            served: Served::with_groups([]),
        };
        let all = rendered(&shop, &Manifest::default(), &options).unwrap();
        let mut changed = 0;
        let mut times = Vec::new();
        for object in &all {
            // Deployments of a kind have the same pods; a Job cannot be changed at all, and its pods would run again.
            if object.key.kind == Kind::Job {
                continue;
            }
            let (now, took) = tamper(bed, &namespace, object).await?;
            ensure!(now > 0, "nothing of {} could be changed", object.key);
            changed += now;
            times.push(took);
        }
        ensure!(changed > 200, "only {changed} fields could be changed");
        // The median, since a busy machine may sleep over one of them.
        times.sort_unstable();
        ensure!(times[times.len() / 2] <= BACK, "{times:?}");
        Ok(())
    });
}

/// Pods know the password that they were made with: they are replaced when there is another one.
#[test]
fn passwords_that_are_lost_are_made_anew_and_used() {
    on_bed(async |bed| {
        let backed_up = with(&[("/backup/volume/size", json!("1Gi"))]);
        let namespace = serving(bed, "lost", backed_up).await?;
        let template = async |kind: Kind, name: &str, note: &str| {
            let found = objects(&bed.client, &namespace, kind).get(name).await?;
            let template = &found.data["spec"]["template"]["metadata"]["annotations"];
            anyhow::Ok(template[note].clone())
        };
        for (secret, note) in [
            ("demo-credentials", "panono.dev/credentials"),
            ("demo-backup-account", "panono.dev/backup-account"),
        ] {
            let notes = async || template(Kind::StatefulSet, "demo-database", note).await;
            ensure!(notes().await? == "1", "{note}: {}", notes().await?);
            // The number is known when it is in the status.
            wait_until("the number to be recorded", LIMIT, async || {
                let shop = shops(&bed.client, &namespace)
                    .get("demo")
                    .await
                    .map_err(|error| error.to_string())?;
                let status = shop.status.unwrap_or_default();
                let account = status.backup.and_then(|backup| backup.account);
                (account == Some(1))
                    .then_some(())
                    .ok_or(format!("{account:?}"))
            })
            .await?;
            objects(&bed.client, &namespace, Kind::Secret)
                .delete(secret, &Default::default())
                .await?;
            wait_until(
                &format!("pods to be made with another {secret}"),
                LIMIT,
                async || {
                    let now = notes().await.map_err(|error| error.to_string())?;
                    (now == "2").then_some(()).ok_or(now.to_string())
                },
            )
            .await?;
        }
        let web = template(Kind::Deployment, "demo-web", "panono.dev/credentials").await?;
        ensure!(web == "2", "{web}");
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        Ok(())
    });
}

/// An object that somebody deletes is made again; a label of ours that somebody removes comes back.
#[test]
fn what_is_deleted_is_made_again() {
    on_bed(async |bed| {
        let namespace = serving(bed, "deleted", spec()).await?;
        for (kind, name) in [
            (Kind::Service, "demo-web"),
            (Kind::Deployment, "demo-worker"),
            (Kind::ConfigMap, "demo-database"),
            (Kind::PodDisruptionBudget, "demo-worker"),
        ] {
            let api = objects(&bed.client, &namespace, kind);
            let before = api.get(name).await?.metadata.uid;
            api.delete(name, &Default::default()).await?;
            wait_until(&format!("another {name}"), LIMIT, async || {
                let now = api
                    .get(name)
                    .await
                    .map_err(|error| error.to_string())?
                    .metadata
                    .uid;
                (now != before)
                    .then_some(())
                    .ok_or("the old one".to_owned())
            })
            .await?;
            let unlabelled =
                json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
            api.patch(name, &PatchParams::default(), &Patch::Merge(unlabelled))
                .await?;
            wait_until(&format!("the label of {name}"), LIMIT, async || {
                api.get(name)
                    .await
                    .ok()?
                    .metadata
                    .labels?
                    .get("app.kubernetes.io/managed-by")
                    .cloned()
            })
            .await?;
        }
        Ok(())
    });
}

/// An autoscaler's number, a label and an annotation of somebody else, and a container that was injected stay, also through a change
/// of the Shop.
#[test]
fn what_others_own_stays() {
    on_bed(async |bed| {
        let scaled = with(&[("/web/autoscaling", json!({"maxReplicas": 12}))]);
        let namespace = serving(bed, "foreign", scaled).await?;
        let web = objects(&bed.client, &namespace, Kind::Deployment);
        let scale = json!({"spec": {"replicas": 7}});
        web.patch_scale("demo-web", &PatchParams::default(), &Patch::Merge(scale))
            .await?;
        let foreign = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"labels": {"team.example/owner": "blue"}, "annotations": {"example.com/note": "ours"}},
            "spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "registry.example/sidecar:1",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}},
        });
        web.patch(
            "demo-web",
            &PatchParams::apply("injector"),
            &Patch::Apply(foreign),
        )
        .await?;
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"release": {"image": "registry.example/shop:2"}}),
        )
        .await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let found = web.get("demo-web").await?;
        assert_eq!(found.data["spec"]["replicas"], json!(7));
        assert_eq!(found.metadata.labels.unwrap()["team.example/owner"], "blue");
        assert_eq!(
            found.metadata.annotations.unwrap()["example.com/note"],
            "ours"
        );
        let containers: Vec<&Value> = found.data["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|container| &container["image"])
            .collect();
        assert_eq!(containers.len(), 2);
        assert!(
            containers.contains(&&json!("registry.example/shop:2"))
                && containers.contains(&&json!("registry.example/sidecar:1"))
        );
        let about = |request: &Request| request.path.contains(&namespace);
        bed.gateway.quiet(Duration::from_secs(5), about).await
    });
}

/// When an autoscaler takes over, and when it goes, the number of pods does not jump.
#[test]
fn replicas_do_not_jump_when_an_autoscaler_takes_over() {
    on_bed(async |bed| {
        let namespace = serving(bed, "handover", with(&[("/web/replicas", json!(5))])).await?;
        let replicas = async || {
            anyhow::Ok(ours(&bed.client, &namespace).await?["Deployment demo-web"].data["spec"]["replicas"].clone())
        };
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"web": {"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}}),
        )
        .await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        wait_until("the autoscaler", LIMIT, async || {
            ours(&bed.client, &namespace)
                .await
                .ok()?
                .get("HorizontalPodAutoscaler demo-web")
                .map(|_| ())
        })
        .await?;
        assert_eq!(replicas().await?, json!(5));
        let web = objects(&bed.client, &namespace, Kind::Deployment);
        let scale = json!({"spec": {"replicas": 6}});
        web.patch_scale("demo-web", &PatchParams::default(), &Patch::Merge(scale))
            .await?;
        let about = |request: &Request| {
            request.path.contains(&namespace) && !request.path.contains("/shops/")
        };
        bed.gateway.quiet(Duration::from_secs(3), about).await?;
        assert_eq!(replicas().await?, json!(6));
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"web": {"autoscaling": null}}),
        )
        .await?;
        wait_until("the number of the Shop", LIMIT, async || {
            let now = replicas().await.map_err(|error| error.to_string())?;
            (now == json!(5)).then_some(()).ok_or(now.to_string())
        })
        .await?;
        assert!(
            !ours(&bed.client, &namespace)
                .await?
                .contains_key("HorizontalPodAutoscaler demo-web")
        );
        Ok(())
    });
}
