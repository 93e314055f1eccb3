//! What goes: parts that are no longer wanted, and whole Shops.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use panono_operator::object::Kind;
use panono_tests::control_plane::{namespace, objects};
use panono_tests::wait::wait_until;
use serde_json::json;

use super::bed::{
    LIMIT, change, create, on_bed, ours, reason, serving, shops, spec, versions, with,
};

/// A part that is taken out of the spec goes with its objects; nothing else is touched but what spoke of it.
#[test]
fn a_part_that_is_taken_out_goes_and_nothing_else() {
    on_bed(async |bed| {
        let exposed = with(&[("/exposure/ingress/className", json!("public"))]);
        let namespace = serving(bed, "removal", exposed).await?;
        // Not ours, though it looks like it: another manager's, with our labels on it.
        let foreign = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "demo-notes", "labels": {"panono.dev/shop": "demo", "app.kubernetes.io/managed-by": "panono-operator"}},
        }))?;
        objects(&bed.client, &namespace, Kind::ConfigMap)
            .create(&Default::default(), &foreign)
            .await?;
        let before: BTreeSet<String> = ours(&bed.client, &namespace).await?.into_keys().collect();
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"edge": {"managed": null, "none": {}}, "exposure": null}),
        )
        .await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        wait_until("the edge to go", LIMIT, async || {
            let after: BTreeSet<String> = ours(&bed.client, &namespace)
                .await
                .map_err(|error| error.to_string())?
                .into_keys()
                .collect();
            let gone: Vec<&String> = before.difference(&after).collect();
            let wanted = [
                "Deployment demo-edge",
                "Ingress demo",
                "NetworkPolicy demo-edge",
                "PodDisruptionBudget demo-edge",
                "Service demo-edge-members",
            ];
            let new = after.difference(&before).count();
            (gone == wanted && new == 0)
                .then_some(())
                .ok_or(format!("{gone:?} are gone, {new} are new"))
        })
        .await?;
        let entrance = &ours(&bed.client, &namespace).await?["Service demo"].data["spec"]["selector"]
            ["panono.dev/component"];
        assert_eq!(entrance, &json!("web"));
        Ok(())
    });
}

/// A Shop that is deleted leaves its data and the passwords that go with it, or nothing, as it says. One of the same name finds what
/// was left.
#[test]
fn a_deleted_shop_leaves_what_it_says() {
    on_bed(async |bed| {
        if !bed.plane.has_controllers() {
            eprintln!("skipped: there is no kube-controller-manager");
            return Ok(());
        }
        let namespace = namespace(&bed.client, "deletion").await?;
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(bed.client.clone(), &namespace);
        let left = async || {
            let mut names: Vec<String> = ours(&bed.client, &namespace).await?.into_keys().collect();
            for claim in claims.list(&Default::default()).await? {
                let name = format!(
                    "PersistentVolumeClaim {}",
                    claim.metadata.name.unwrap_or_default()
                );
                // No volume is mounted anywhere, so a claim that waits for its pods may go.
                if !names.contains(&name) && claim.metadata.deletion_timestamp.is_none() {
                    names.push(name);
                }
            }
            names.sort();
            anyhow::Ok(names)
        };
        let go = async |wanted: &[&str]| {
            shops(&bed.client, &namespace)
                .delete("demo", &DeleteParams::default())
                .await?;
            wait_until("the Shop's objects to go", LIMIT, async || {
                let names = left().await.map_err(|error| error.to_string())?;
                (names == wanted).then_some(()).ok_or(names.join(", "))
            })
            .await
        };
        // Whether the passwords go with the Shop, once that is said.
        let policy = async |wanted: &str| {
            let spec = json!({"deletionPolicy": wanted});
            change(&bed.client, &namespace, "demo", spec).await?;
            wait_until(wanted, LIMIT, async || {
                let found = objects(&bed.client, &namespace, Kind::Secret)
                    .get("demo-credentials")
                    .await
                    .map_err(|error| error.to_string())?;
                let owners = found.metadata.owner_references.unwrap_or_default();
                (owners.is_empty() == (wanted == "Retain"))
                    .then_some(())
                    .ok_or_else(|| format!("{owners:?}"))
            })
            .await
        };
        create(&bed.client, &namespace, "demo", spec()).await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let secret = objects(&bed.client, &namespace, Kind::Secret);
        let before = secret.get("demo-credentials").await?.data["data"].clone();
        // It may say something else in the meantime.
        policy("Delete").await?;
        policy("Retain").await?;
        go(&[
            "PersistentVolumeClaim data-demo-database-0",
            "PersistentVolumeClaim demo-media",
            "Secret demo-credentials",
        ])
        .await?;

        let deletes = with(&[("/deletionPolicy", json!("Delete"))]);
        create(&bed.client, &namespace, "demo", deletes).await?;
        let shop = reason(&bed.client, &namespace, "demo", "Serving").await?;
        // As it was made once: under another name the operator said whose it is, too.
        let owned = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "demo-credentials", "ownerReferences": [
            {"apiVersion": "panono.dev/v1alpha1", "kind": "Shop", "name": "demo", "uid": shop.metadata.uid, "controller": true},
        ]}});
        let parameters = PatchParams::apply("panono-operator-credentials").force();
        secret
            .patch("demo-credentials", &parameters, &Patch::Apply(owned))
            .await?;
        policy("Retain").await?;
        policy("Delete").await?;
        assert_eq!(
            secret.get("demo-credentials").await?.data["data"],
            before,
            "the passwords of the data that was kept"
        );
        go(&[]).await
    });
}

/// An object of somebody else that has a name which the Shop needs is not touched, and that of another Shop no more.
#[test]
fn a_name_that_is_taken_is_not_taken_over() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "taken").await?;
        let services = objects(&bed.client, &namespace, Kind::Service);
        let foreign = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "demo-web"},
            "spec": {"selector": {"app": "other"}, "ports": [{"port": 80}]},
        }))?;
        services.create(&Default::default(), &foreign).await?;
        create(&bed.client, &namespace, "demo", spec()).await?;
        let shop = reason(&bed.client, &namespace, "demo", "NameTaken").await?;
        let message = &shop.status.unwrap().conditions[0].message;
        assert!(message.contains("Service demo-web"), "{message}");
        assert_eq!(
            services.get("demo-web").await?.data["spec"]["selector"],
            json!({"app": "other"})
        );
        services
            .delete("demo-web", &DeleteParams::default())
            .await?;
        reason(&bed.client, &namespace, "demo", "Serving").await?;
        let before = versions(&bed.client, &namespace).await?;
        create(&bed.client, &namespace, "demo-web", spec()).await?;
        let shop = reason(&bed.client, &namespace, "demo-web", "NameTaken").await?;
        let message = &shop.status.unwrap().conditions[0].message;
        assert!(message.contains(" demo-web exists"), "{message}");
        let after = versions(&bed.client, &namespace).await?;
        for (name, version) in before {
            assert_eq!(after.get(&name), Some(&version), "{name}");
        }
        Ok(())
    });
}

/// Bits of a Shop that cannot be built stop that Shop and no other.
#[test]
fn one_bad_shop_does_not_stop_the_others() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "bad").await?;
        create(
            &bed.client,
            &namespace,
            "bad",
            with(&[("/url", json!("https://shop.example.com:99999"))]),
        )
        .await?;
        create(&bed.client, &namespace, "good", spec()).await?;
        reason(&bed.client, &namespace, "bad", "InvalidSpec").await?;
        reason(&bed.client, &namespace, "good", "Serving").await?;
        Ok(())
    });
}
