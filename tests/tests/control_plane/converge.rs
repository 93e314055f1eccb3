//! A Shop comes up and rests.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use panono_crds::{ConditionStatus, ConditionType, Shop};
use panono_operator::command::{RenderOptions, differences, rendered};
use panono_operator::manifest::{self, Manifest};
use panono_operator::object::Kind;
use panono_operator::observe::Served;
use panono_tests::bench::fleet;
use panono_tests::control_plane::{namespace, objects};
use panono_tests::tools::repository;
use panono_tests::wait::wait_until;
use serde_json::json;

use super::bed::{
    LIMIT, alone, change, create, on_bed, ours, reason, serving, set, shops, spec, versions, with,
};

/// Every object that is rendered exists, nothing else does, and then nothing is written.
#[test]
fn a_shop_comes_up_and_then_nothing_is_written() {
    on_bed(async |bed| {
        let namespace = serving(bed, "converge", spec()).await?;
        let shop = shops(&bed.client, &namespace).get("demo").await?;
        let options = RenderOptions {
            served: Served::with_groups([]),
        };
        let wanted: BTreeSet<String> = rendered(&shop, &Manifest::default(), &options)
            .unwrap()
            .into_iter()
            .map(|object| object.key.to_string())
            .collect();
        let found: BTreeSet<String> = ours(&bed.client, &namespace).await?.into_keys().collect();
        assert_eq!(found, wanted);

        let condition = |kind| {
            let conditions = &shop.status.as_ref().unwrap().conditions;
            conditions
                .iter()
                .find(|condition| condition.kind == kind)
                .unwrap()
                .status
        };
        assert_eq!(condition(ConditionType::Ready), ConditionStatus::True);
        assert_eq!(
            condition(ConditionType::Reconciling),
            ConditionStatus::False
        );
        assert_eq!(condition(ConditionType::Stalled), ConditionStatus::False);
        assert_eq!(condition(ConditionType::Available), ConditionStatus::True);

        let before = versions(&bed.client, &namespace).await?;
        let about =
            |request: &panono_tests::control_plane::Request| request.path.contains(&namespace);
        bed.gateway.quiet(Duration::from_secs(60), about).await?;
        assert_eq!(versions(&bed.client, &namespace).await?, before);
        Ok(())
    });
}

/// What `diff` shows is what the operator would do: nothing for the Shop that is applied, and exactly the change for another.
#[test]
fn diff_and_render_agree_with_what_is_applied() {
    on_bed(async |bed| {
        let namespace = serving(bed, "diff", spec()).await?;
        let shop = shops(&bed.client, &namespace).get("demo").await?;
        let manifest = Manifest::default();
        assert_eq!(differences(bed.client.clone(), &shop, &manifest).await?, "");
        let mut changed: Shop = shop.clone();
        changed.spec.worker.replicas = 2;
        let text = differences(bed.client.clone(), &changed, &manifest).await?;
        assert!(
            text.starts_with("--- cluster/deployments/demo-worker\n"),
            "{text}"
        );
        assert!(
            text.contains("\n-  replicas: 1\n+  replicas: 2\n"),
            "{text}"
        );
        assert_eq!(text.matches("--- ").count(), 1, "{text}");
        let before = versions(&bed.client, &namespace).await?;
        changed = shop.clone();
        changed.spec.edge = serde_json::from_value(json!({"none": {}}))?;
        let text = differences(bed.client.clone(), &changed, &manifest).await?;
        assert!(
            text.contains("--- cluster/deployments/demo-edge\n")
                && text.contains("\n-kind: Deployment\n"),
            "what would be deleted: {text}"
        );
        changed.spec.paused = true;
        assert_eq!(
            differences(bed.client.clone(), &changed, &manifest).await?,
            ""
        );
        assert_eq!(
            versions(&bed.client, &namespace).await?,
            before,
            "a diff writes nothing"
        );
        Ok(())
    });
}

/// The volume of a database of one member grows with its Shop. What cannot be changed, the claims' size in the StatefulSet, stays.
#[test]
fn a_volume_grows_with_its_shop() {
    on_bed(async |bed| {
        if !bed.plane.has_controllers() {
            eprintln!("skipped: there is no kube-controller-manager");
            return Ok(());
        }
        let namespace = namespace(&bed.client, "grows").await?;
        let name = "data-demo-database-0";
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": {"name": namespace}, "provisioner": "example.com/none", "allowVolumeExpansion": true,
        }))?;
        Api::all(bed.client.clone())
            .create(&PostParams::default(), &class)
            .await?;
        let volume: PersistentVolume = serde_json::from_value(json!({
            "metadata": {"name": namespace},
            "spec": {
                "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": namespace,
                "hostPath": {"path": "/nowhere"}, "claimRef": {"namespace": namespace, "name": name},
            },
        }))?;
        Api::all(bed.client.clone())
            .create(&PostParams::default(), &volume)
            .await?;
        let storage = json!({"size": "10Gi", "className": namespace});
        let shop = with(&[("/database/managed/storage", storage)]);
        create(&bed.client, &namespace, "demo", shop).await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let claims = objects(&bed.client, &namespace, Kind::PersistentVolumeClaim);
        wait_until("the claim to have its volume", LIMIT, async || {
            let claim = claims.get(name).await.map_err(|error| error.to_string())?;
            let phase = &claim.data["status"]["phase"];
            (phase == "Bound").then_some(()).ok_or(phase.to_string())
        })
        .await?;
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"database": {"managed": {"storage": {"size": "20Gi"}}}}),
        )
        .await?;
        let shop = reason(&bed.client, &namespace, "demo", "Serving").await?;
        let size = "/spec/resources/requests/storage";
        let claim = claims.get(name).await?;
        assert_eq!(claim.data.pointer(size), Some(&json!("20Gi")));
        let set = objects(&bed.client, &namespace, Kind::StatefulSet);
        let set = set.get("demo-database").await?;
        let made_with = set.data["spec"]["volumeClaimTemplates"][0].pointer(size);
        assert_eq!(made_with, Some(&json!("10Gi")));
        let manifest = Manifest::default();
        assert_eq!(differences(bed.client.clone(), &shop, &manifest).await?, "");
        Ok(())
    });
}

/// For every Shop in manifests/: what is rendered from its file is what the operator sends, byte for byte, and `diff` shows nothing.
#[test]
fn every_manifest_is_applied_as_it_is_rendered() {
    on_bed(async |bed| {
        for file in ["smallest", "highly-available", "external-database"] {
            let path = repository().join(format!("manifests/{file}.yaml"));
            let text = std::fs::read_to_string(path)?;
            let manifest = manifest::read(&text).map_err(anyhow::Error::msg)?;
            let namespace = namespace(&bed.client, file).await?;
            bed.members.answer_in(&namespace);
            for document in manifest::values(&text).map_err(anyhow::Error::msg)? {
                if document["kind"] == "Secret" {
                    let secret = serde_json::from_value(document)?;
                    objects(&bed.client, &namespace, Kind::Secret)
                        .create(&Default::default(), &secret)
                        .await?;
                }
            }
            let mut shop = manifest.shops[0].clone();
            let name = shop.metadata.name.clone().unwrap();
            create(
                &bed.client,
                &namespace,
                &name,
                serde_json::to_value(&shop.spec)?,
            )
            .await?;
            let stored = reason(&bed.client, &namespace, &name, "Serving").await?;
            shop.metadata.namespace = Some(namespace.clone());
            assert_eq!(
                differences(bed.client.clone(), &shop, &manifest).await?,
                "",
                "{file}"
            );
            shop.metadata.uid = stored.metadata.uid;
            let options = RenderOptions {
                served: Served::with_groups([]),
            };
            let sent = bed.gateway.requests();
            for object in rendered(&shop, &manifest, &options).map_err(anyhow::Error::msg)? {
                let path = format!(
                    "/namespaces/{namespace}/{}/{}",
                    object.key.kind.plural(),
                    object.key.name
                );
                let last = sent
                    .iter()
                    .rfind(|request| request.method == "PATCH" && request.path.ends_with(&path))
                    .unwrap_or_else(|| panic!("{file}: {} was never applied", object.key));
                assert_eq!(
                    String::from_utf8_lossy(&last.body),
                    object.body.to_string(),
                    "{file}: {}",
                    object.key
                );
            }
        }
        Ok(())
    });
}

/// What many Shops cost, in small: the writes that the bench of a thousand of them counts.
#[test]
fn a_fleet_costs_little_more_than_its_objects() {
    alone(async || {
        let cost = fleet::measure(20, Duration::from_secs(5)).await?;
        let ratio = cost.writes / cost.objects;
        assert!(ratio <= 1.2, "{ratio} writes for each object: {cost:?}");
        assert!(cost.writes_at_rest == 0.0, "{cost:?}");
        Ok(())
    });
}

/// A new release waits for its migration; the one before it serves until then.
#[test]
fn a_release_waits_for_its_migration() {
    on_bed(async |bed| {
        let namespace = serving(bed, "release", spec()).await?;
        let image = async || {
            let found = ours(&bed.client, &namespace).await?;
            let web = &found["Deployment demo-web"].data;
            anyhow::Ok(web["spec"]["template"]["spec"]["containers"][0]["image"].clone())
        };
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"release": {"image": "registry.example/broken:2"}}),
        )
        .await?;
        let shop = reason(&bed.client, &namespace, "demo", "MigrationFailed").await?;
        assert_eq!(image().await?, json!("registry.example/shop:1"));
        let status = shop.status.unwrap();
        assert_eq!(status.release.unwrap().image, "registry.example/shop:1");
        let message = &status.conditions[0].message;
        assert!(
            message.contains("kubectl logs job/demo-migrate-"),
            "{message}"
        );

        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"release": {"image": "registry.example/shop:3"}}),
        )
        .await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        assert_eq!(image().await?, json!("registry.example/shop:3"));
        let jobs: Vec<String> = ours(&bed.client, &namespace)
            .await?
            .into_keys()
            .filter(|name| name.starts_with("Job "))
            .collect();
        assert_eq!(jobs.len(), 1, "Jobs of other releases are gone: {jobs:?}");
        Ok(())
    });
}

/// Two Shops in one namespace have no object and no pod in common.
#[test]
fn two_shops_in_a_namespace_share_nothing() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "two").await?;
        for name in ["one", "two"] {
            create(&bed.client, &namespace, name, spec()).await?;
        }
        for name in ["one", "two"] {
            reason(&bed.client, &namespace, name, "Serving").await?;
        }
        let found = ours(&bed.client, &namespace).await?;
        let of = |shop: &str| -> BTreeSet<&String> {
            found
                .iter()
                .filter(|(_, object)| {
                    object.metadata.labels.as_ref().unwrap()["panono.dev/shop"] == shop
                })
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(of("one").len(), of("two").len());
        assert_eq!(of("one").len() + of("two").len(), found.len());
        for object in found.values() {
            let own = &object.metadata.labels.as_ref().unwrap()["panono.dev/shop"];
            for pointer in [
                "/spec/selector",
                "/spec/selector/matchLabels",
                "/spec/podSelector/matchLabels",
            ] {
                if let Some(label) = object
                    .data
                    .pointer(pointer)
                    .and_then(|selector| selector.get("panono.dev/shop"))
                {
                    assert_eq!(label, own);
                }
            }
        }
        Ok(())
    });
}

/// The passwords of a shop are made once; a request makes them anew, and the pods that use them are replaced.
#[test]
fn passwords_are_made_once_and_anew_on_request() {
    on_bed(async |bed| {
        let namespace = serving(bed, "rotate", spec()).await?;
        let secret = async || {
            anyhow::Ok(
                ours(&bed.client, &namespace).await?["Secret demo-credentials"].data["data"]
                    .clone(),
            )
        };
        let before = secret().await?;
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"worker": {"replicas": 2}, "name": "Other"}),
        )
        .await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        assert_eq!(secret().await?, before);

        let actions: kube::Api<panono_crds::ShopAction> =
            kube::Api::namespaced(bed.client.clone(), &namespace);
        let action = serde_json::from_value(json!({
            "apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": "rotate"},
            "spec": {"shopName": "demo", "rotateSecrets": {}},
        }))?;
        actions.create(&Default::default(), &action).await?;
        wait_until("the action to succeed", LIMIT, async || {
            let found = actions
                .get("rotate")
                .await
                .map_err(|error| error.to_string())?;
            let phase = found.status.and_then(|status| status.phase);
            (phase == Some(panono_crds::ActionPhase::Succeeded))
                .then_some(())
                .ok_or(format!("{phase:?}"))
        })
        .await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let after = secret().await?;
        for key in [
            "writer-url",
            "init.sql",
            "cache-url",
            "cache.conf",
            "purge-token",
        ] {
            assert_ne!(after[key], before[key], "{key}");
        }
        assert_eq!(
            after["secret-key"], before["secret-key"],
            "what is sealed must be read"
        );
        let found = ours(&bed.client, &namespace).await?;
        for name in [
            "Deployment demo-web",
            "Deployment demo-worker",
            "StatefulSet demo-database",
            "Deployment demo-cache",
            "Deployment demo-edge",
        ] {
            let annotations = &found[name].data["spec"]["template"]["metadata"]["annotations"];
            assert_eq!(annotations["panono.dev/credentials"], json!("2"), "{name}");
        }
        Ok(())
    });
}

/// Each mode does what it says.
#[test]
fn modes_do_what_they_say() {
    on_bed(async |bed| {
        let namespace = serving(bed, "modes", spec()).await?;
        let mode = async |mode: &str, wanted: &str| {
            change(&bed.client, &namespace, "demo", json!({"mode": mode})).await?;
            reason(&bed.client, &namespace, "demo", wanted).await?;
            ours(&bed.client, &namespace).await
        };
        let replicas = |found: &std::collections::BTreeMap<String, kube::api::DynamicObject>,
                        name: &str| {
            found[name].data["spec"]["replicas"].as_i64().unwrap()
        };
        let found = mode("Maintenance", "InMaintenance").await?;
        assert_eq!(
            found["Service demo"].data["spec"]["selector"]["panono.dev/component"],
            json!("maintenance")
        );
        assert_eq!(replicas(&found, "Deployment demo-maintenance"), 1);
        assert_eq!(replicas(&found, "Deployment demo-web"), 2);

        let found = mode("ReadOnly", "ReadOnly").await?;
        assert!(!found.contains_key("Deployment demo-maintenance"));
        assert!(
            found["Deployment demo-web"].data["spec"]["template"]["spec"]["containers"][0]["env"]
                .to_string()
                .contains("PANONO_DATABASE_READ_ONLY")
        );
        assert_eq!(replicas(&found, "Deployment demo-worker"), 0);
        assert_eq!(replicas(&found, "Deployment demo-web"), 2);

        let found = mode("Hibernated", "Hibernating").await?;
        for name in [
            "Deployment demo-web",
            "Deployment demo-worker",
            "Deployment demo-edge",
            "Deployment demo-cache",
            "StatefulSet demo-database",
        ] {
            assert_eq!(replicas(&found, name), 0, "{name}");
        }
        let found = mode("Running", "Serving").await?;
        assert_eq!(replicas(&found, "Deployment demo-web"), 2);
        assert_eq!(replicas(&found, "StatefulSet demo-database"), 1);
        Ok(())
    });
}

/// While a Shop is paused nothing is written for it but its status; then everything is made up for.
#[test]
fn a_paused_shop_is_left_alone() {
    on_bed(async |bed| {
        let namespace = serving(bed, "paused", spec()).await?;
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"paused": true, "worker": {"replicas": 3}}),
        )
        .await?;
        reason(&bed.client, &namespace, "demo", "Paused").await?;
        let about = |request: &panono_tests::control_plane::Request| {
            request.path.contains(&namespace) && !request.path.contains("/shops/")
        };
        bed.gateway.quiet(Duration::from_secs(3), about).await?;
        let found = ours(&bed.client, &namespace).await?;
        assert_eq!(
            found["Deployment demo-worker"].data["spec"]["replicas"],
            json!(1)
        );
        change(&bed.client, &namespace, "demo", json!({"paused": false})).await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let found = ours(&bed.client, &namespace).await?;
        assert_eq!(
            found["Deployment demo-worker"].data["spec"]["replicas"],
            json!(3)
        );
        Ok(())
    });
}

/// The helper that other tests build their Shops with.
#[test]
fn changes_of_a_spec_are_where_they_were_put() {
    let mut value = with(&[("/web/autoscaling/maxReplicas", json!(4))]);
    assert_eq!(value["web"]["autoscaling"]["maxReplicas"], json!(4));
    set(&mut value, "/web/autoscaling", serde_json::Value::Null);
    assert_eq!(value["web"], json!({}));
}
