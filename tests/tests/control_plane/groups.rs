//! Databases of several members, as far as an API server tells: what is made for them, what is recorded, and what is never done
//! without an answer.

use anyhow::{Result, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt as _};
use panono_crds::{ActionPhase, ConditionType, DecisionPhase, Shop, ShopAction};
use panono_operator::agent::api::Verb;
use panono_operator::object::Kind;
use panono_tests::control_plane::{namespace, objects};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};

use super::bed::{LIMIT, change, create, on_bed, reason, set, shops, with};

const ONE: &str = "6f1c2b9e-0000-4000-8000-0000000000aa";
const OTHER: &str = "6f1c2b9e-0000-4000-8000-0000000000bb";

fn grouped() -> Value {
    with(&[("/database/managed/members", json!(3))])
}

/// A volume as an earlier Shop of the name left it.
async fn volume(client: &Client, namespace: &str, ordinal: u32, group: &str) -> Result<()> {
    let claim: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": format!("data-demo-database-{ordinal}"),
            "labels": {"panono.dev/shop": "demo", "panono.dev/component": "database"},
            "annotations": {"panono.dev/group": group},
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
    }))?;
    objects(client, namespace, Kind::PersistentVolumeClaim)
        .create(&PostParams::default(), &claim)
        .await?;
    Ok(())
}

/// Waits until something is so of the Shop's status.
async fn until(
    client: &Client,
    namespace: &str,
    what: &str,
    holds: impl Fn(&Shop) -> bool,
) -> Result<Shop> {
    wait_until(what, LIMIT, async || {
        let shop = shops(client, namespace)
            .get("demo")
            .await
            .map_err(|error| error.to_string())?;
        holds(&shop)
            .then_some(shop.clone())
            .ok_or_else(|| format!("{:?}", shop.status.map(|status| status.database)))
    })
    .await
}

#[test]
fn no_group_is_made_without_every_answer() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "group").await?;
        let client = &bed.client;
        create(client, &namespace, "demo", grouped()).await?;
        let shop = reason(client, &namespace, "demo", "DatabaseStarting").await?;
        let shop = if shop
            .status
            .as_ref()
            .is_some_and(|status| status.database.is_some())
        {
            shop
        } else {
            until(client, &namespace, "the group to be looked at", |shop| {
                shop.status
                    .as_ref()
                    .is_some_and(|status| status.database.is_some())
            })
            .await?
        };
        let database = shop.status.unwrap_or_default().database.unwrap_or_default();
        ensure!(database.group_name.is_none(), "{database:?}");
        ensure!(database.bootstrap.is_none(), "{database:?}");
        ensure!(
            database.claim_size.as_deref() == Some("10Gi"),
            "{database:?}"
        );
        ensure!(database.agent_image.is_some(), "{database:?}");

        let set = objects(client, &namespace, Kind::StatefulSet)
            .get("demo-database")
            .await?;
        let spec = &set.data["spec"];
        ensure!(spec["replicas"] == 3, "{spec}");
        // Nobody but the operator replaces members.
        ensure!(spec["updateStrategy"]["type"] == "OnDelete", "{spec}");
        ensure!(
            spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain",
            "{spec}"
        );

        // The primary writes where it is, and the operator leaves that alone.
        let slices = objects(client, &namespace, Kind::EndpointSlice);
        let primary =
            json!({"endpoints": [{"addresses": ["192.0.2.9"], "conditions": {"ready": true}}]});
        let written = slices
            .patch(
                "demo-db-rw",
                &PatchParams::default(),
                &Patch::Merge(&primary),
            )
            .await?;
        let relabel = json!({"metadata": {"labels": {"kubernetes.io/service-name": "other"}}});
        slices
            .patch(
                "demo-db-rw",
                &PatchParams::default(),
                &Patch::Merge(&relabel),
            )
            .await?;
        wait_until("the label to be put back", LIMIT, async || {
            let slice = slices
                .get("demo-db-rw")
                .await
                .map_err(|error| error.to_string())?;
            let label = slice
                .metadata
                .labels
                .clone()
                .unwrap_or_default()
                .remove("kubernetes.io/service-name");
            if label.as_deref() != Some("demo-db-rw") {
                return Err(format!("{label:?}"));
            }
            if slice.data["endpoints"] == written.data["endpoints"] {
                Ok(())
            } else {
                Err(slice.data["endpoints"].to_string())
            }
        })
        .await?;

        // The authority's key is in no pod.
        let template = spec["template"].to_string();
        ensure!(!template.contains("database-authority"), "{template}");
        Ok(())
    });
}

#[test]
fn a_shop_that_is_made_again_takes_its_group_over() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "adopt").await?;
        let client = &bed.client;
        for ordinal in 0..5 {
            volume(client, &namespace, ordinal, ONE).await?;
        }
        create(client, &namespace, "demo", grouped()).await?;
        let shop = until(client, &namespace, "the group to be taken over", |shop| {
            shop.status
                .as_ref()
                .and_then(|status| status.database.as_ref())
                .is_some_and(|database| database.group_name.is_some())
        })
        .await?;
        let database = shop.status.unwrap_or_default().database.unwrap_or_default();
        ensure!(database.group_name.as_deref() == Some(ONE), "{database:?}");
        let bootstrap = database.bootstrap.unwrap_or_default();
        ensure!(
            bootstrap.adopted && bootstrap.phase == DecisionPhase::Done,
            "{bootstrap:?}"
        );
        // Whoever was in it is asked before there are fewer.
        ensure!(database.replicas == 5, "{}", database.replicas);
        wait_until("five members", LIMIT, async || {
            let set = objects(client, &namespace, Kind::StatefulSet)
                .get("demo-database")
                .await
                .map_err(|error| error.to_string())?;
            let replicas = set.data["spec"]["replicas"].clone();
            (replicas == 5).then_some(()).ok_or(replicas.to_string())
        })
        .await
    });
}

#[test]
fn volumes_of_two_groups_are_left_to_a_human() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "foreign").await?;
        let client = &bed.client;
        volume(client, &namespace, 0, ONE).await?;
        volume(client, &namespace, 1, OTHER).await?;
        create(client, &namespace, "demo", grouped()).await?;
        let shop = reason(client, &namespace, "demo", "ForeignDataDirectory").await?;
        let status = shop.status.unwrap_or_default();
        let message = &status.conditions[0].message;
        ensure!(
            message.contains(ONE) && message.contains(OTHER),
            "{message}"
        );
        ensure!(
            status.database.unwrap_or_default().group_name.is_none(),
            "a group was recorded"
        );
        Ok(())
    });
}

#[test]
fn actions_that_cannot_be_done_say_why() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "orders").await?;
        let client = &bed.client;
        create(client, &namespace, "demo", grouped()).await?;
        create(client, &namespace, "single", with(&[])).await?;
        let actions: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &namespace, &ShopAction::api_resource());
        for (name, shop, verb, words) in [
            (
                "alone",
                "single",
                json!({"switchover": {}}),
                "is not a group",
            ),
            (
                "garbage",
                "demo",
                json!({"rebuildGroup": {"seed": 0, "acceptLossOf": "everything", "epoch": 1}}),
                "is no set of GTIDs",
            ),
        ] {
            let mut spec = json!({"shopName": shop});
            spec.as_object_mut()
                .unwrap()
                .extend(verb.as_object().unwrap().clone());
            let action: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": name}, "spec": spec,
            }))?;
            actions.create(&PostParams::default(), &action).await?;
            wait_until(&format!("{name} to fail"), LIMIT, async || {
                let action: ShopAction = serde_json::from_value(
                    serde_json::to_value(
                        actions.get(name).await.map_err(|error| error.to_string())?,
                    )
                    .map_err(|error| error.to_string())?,
                )
                .map_err(|error| error.to_string())?;
                let status = action.status.unwrap_or_default();
                let message = status.message.unwrap_or_default();
                if status.phase == Some(ActionPhase::Failed) && message.contains(words) {
                    Ok(())
                } else {
                    Err(format!("{:?} {message}", status.phase))
                }
            })
            .await?;
        }
        Ok(())
    });
}

/// An object that cannot be applied, and a volume that may not grow, are told; the group is looked after all the same.
async fn others_stop_nothing(client: &Client, namespace: &str) -> Result<()> {
    let since = |shop: &Shop| {
        let conditions = shop.status.iter().flat_map(|status| &status.conditions);
        let mut writable = conditions.filter(|found| found.kind == ConditionType::DatabaseWritable);
        writable
            .next()
            .map(|found| found.last_transition_time.clone())
    };
    let before = since(&shops(client, namespace).get("demo").await?);
    ensure!(before.is_some());
    let ingresses = objects(client, namespace, Kind::Ingress);
    let foreign: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "demo"},
        "spec": {"defaultBackend": {"service": {"name": "other", "port": {"number": 80}}}},
    }))?;
    ingresses.create(&PostParams::default(), &foreign).await?;
    let exposed = json!({
        "exposure": {"ingress": {"className": "public"}},
        "database": {"managed": {"storage": {"size": "20Gi"}}},
    });
    change(client, namespace, "demo", exposed).await?;
    let shop = reason(client, namespace, "demo", "NameTaken").await?;
    ensure!(since(&shop) == before, "{:?}", shop.status);
    switch_over(client, namespace, "refused", 1).await?;
    ingresses.delete("demo", &Default::default()).await?;
    // No storage class lets its volumes grow.
    let shop = reason(client, namespace, "demo", "Refused").await?;
    let message = &shop.status.unwrap_or_default().conditions[0].message;
    ensure!(message.contains("allowVolumeExpansion"), "{message}");
    switch_over(client, namespace, "small", 0).await
}

/// Asks for another primary, and waits until it is.
async fn switch_over(client: &Client, namespace: &str, name: &str, to: u32) -> Result<()> {
    let actions: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ShopAction::api_resource());
    let action: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": name},
        "spec": {"shopName": "demo", "switchover": {"to": to}},
    }))?;
    actions.create(&PostParams::default(), &action).await?;
    wait_until("another primary", LIMIT, async || {
        let action = actions.get(name).await.map_err(|error| error.to_string())?;
        let phase = action.data["status"]["phase"].clone();
        (phase == "Succeeded")
            .then_some(())
            .ok_or_else(|| action.data["status"].to_string())
    })
    .await
}

/// From nothing to five members and back to three, with a switchover: what the operator tells members, and nothing else.
#[test]
fn a_group_comes_up_grows_and_shrinks() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "whole").await?;
        let client = &bed.client;
        bed.members.answer_in(&namespace);
        // With an image that is not there, until somebody corrects it.
        let image = |name: &str| json!({"database": {"managed": {"image": name}}});
        let mut wrong = grouped();
        set(
            &mut wrong,
            "/database/managed/image",
            json!("registry.example/missing:9.7"),
        );
        create(client, &namespace, "demo", wrong).await?;
        reason(client, &namespace, "demo", "ImageUnavailable").await?;
        change(
            client,
            &namespace,
            "demo",
            image("registry.example/mysql:9.7"),
        )
        .await?;
        reason(client, &namespace, "demo", "Serving").await?;
        let told = || bed.members.told(&namespace, "demo");
        let bootstraps = || {
            told()
                .iter()
                .filter(|(_, verb)| matches!(verb, Verb::Bootstrap { .. }))
                .count()
        };
        ensure!(bootstraps() == 1, "{:?}", told());
        for members in [5, 3] {
            change(
                client,
                &namespace,
                "demo",
                json!({"database": {"managed": {"members": members}}}),
            )
            .await?;
            until(client, &namespace, &format!("{members} members"), |shop| {
                let database = shop
                    .status
                    .as_ref()
                    .and_then(|status| status.database.as_ref());
                database.is_some_and(|database| {
                    database.replicas == members
                        && database.operation.is_none()
                        && database.members.len() == usize::try_from(members).unwrap()
                })
            })
            .await?;
            reason(client, &namespace, "demo", "Serving").await?;
        }
        ensure!(bootstraps() == 1, "{:?}", told());
        others_stop_nothing(client, &namespace).await?;
        let left: Vec<u32> = told()
            .iter()
            .filter(|(_, verb)| matches!(verb, Verb::Leave {}))
            .map(|(ordinal, _)| *ordinal)
            .collect();
        ensure!(
            left == [4, 3],
            "they leave one by one, the last first: {:?}",
            told()
        );
        Ok(())
    });
}
