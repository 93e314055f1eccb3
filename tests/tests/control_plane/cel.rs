//! Every rule of the definitions, as the API server evaluates it: one Shop that it accepts and one that it refuses.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt as _};
use panono_crds::{Shop, ShopAction, ShopBackup, ShopRestore};
use panono_tests::control_plane::namespace;
use serde_json::{Value, json};

use super::bed::{create, on_bed, set, spec, with};

/// Every message of a rule in a definition.
fn rules(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            for rule in map
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                found.insert(
                    rule["message"]
                        .as_str()
                        .expect("every rule has a message")
                        .to_owned(),
                );
            }
            for below in map.values() {
                rules(below, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|below| rules(below, found)),
        _ => {}
    }
}

/// Fails unless the API server refused with this message.
fn refused(
    result: Result<impl Sized, impl std::fmt::Display>,
    message: &str,
    seen: &mut BTreeSet<String>,
) -> Result<()> {
    match result {
        Ok(_) => bail!("accepted, and should be refused: {message}"),
        Err(error) if error.to_string().contains(message) => {
            seen.insert(message.to_owned());
            Ok(())
        }
        Err(error) => bail!("refused for another reason than {message:?}: {error}"),
    }
}

/// Specs that are refused when a Shop is made, with a near relative that is accepted.
fn made() -> Vec<(&'static str, Value, Value)> {
    vec![
        (
            "connections do not fit",
            with(&[("/database/managed/maxConnections", json!(74))]),
            with(&[("/database/managed/maxConnections", json!(73))]),
        ),
        (
            "give exactly one of database.managed and database.external",
            with(&[("/database/external/secretName", json!("db"))]),
            with(&[
                ("/database/external/secretName", json!("db")),
                ("/database/managed", json!({})),
            ]),
        ),
        (
            "give exactly one of cache.managed and cache.external",
            with(&[("/cache/external/secretName", json!("cache"))]),
            with(&[("/cache", json!({}))]),
        ),
        (
            "cache.managed.replicas is 1 or 3",
            with(&[("/cache/managed/replicas", json!(3))]),
            with(&[("/cache/managed/replicas", json!(2))]),
        ),
        (
            "give exactly one of edge.managed, edge.fastly, edge.cloudflare, edge.cloudfront and edge.none",
            with(&[("/edge/none", json!({}))]),
            with(&[("/edge/none", json!({})), ("/edge/managed", json!({}))]),
        ),
        (
            "give exactly one of media.volume and media.bucket",
            with(&[(
                "/media/bucket",
                json!({"url": "s3://b/p", "secretName": "s"}),
            )]),
            with(&[("/media", json!({}))]),
        ),
        (
            "give exactly one of exposure.ingress and exposure.gateway",
            with(&[("/exposure/ingress", json!({}))]),
            with(&[
                ("/exposure/ingress", json!({})),
                ("/exposure/gateway/name", json!("g")),
            ]),
        ),
        (
            "mails need somebody whom they are from",
            with(&[
                ("/mail/server", json!("smtp.example.com:587")),
                ("/email", json!("help@example.com")),
            ]),
            with(&[("/mail/server", json!("smtp.example.com:587"))]),
        ),
        (
            "risk.reviewFrom must not be above risk.refuseFrom",
            with(&[("/risk", json!({"reviewFrom": 20, "refuseFrom": 20}))]),
            with(&[("/risk", json!({"reviewFrom": 101}))]),
        ),
        (
            "give exactly one of backup.bucket and backup.volume",
            with(&[("/backup/volume/size", json!("1Gi"))]),
            with(&[
                ("/backup/volume/size", json!("1Gi")),
                (
                    "/backup/bucket",
                    json!({"url": "s3://b", "secretName": "s"}),
                ),
            ]),
        ),
        (
            "a schedule is minute, hour, day of the month, month and day of the week in UTC",
            with(&[
                ("/backup/volume/size", json!("1Gi")),
                ("/backup/schedule", json!("*/15 1-5,8 1 * 0")),
            ]),
            with(&[
                ("/backup/volume/size", json!("1Gi")),
                ("/backup/verification/schedule", json!("0 5 * * *  ; x")),
            ]),
        ),
        (
            "backups are of managed databases",
            with(&[("/backup/volume/size", json!("1Gi"))]),
            with(&[
                ("/backup/volume/size", json!("1Gi")),
                ("/database/external/secretName", json!("db")),
                ("/database/managed", Value::Null),
            ]),
        ),
        (
            "a volume for backups of a database of several members",
            with(&[
                ("/database/managed/members", json!(3)),
                (
                    "/backup/volume",
                    json!({"size": "1Gi", "accessMode": "ReadWriteMany"}),
                ),
            ]),
            with(&[
                ("/database/managed/members", json!(3)),
                ("/backup/volume/size", json!("1Gi")),
            ]),
        ),
        (
            "give exactly one of restore.bucket and restore.volume",
            with(&[(
                "/database/managed/restore",
                json!({"volume": {"claimName": "old"}, "keySecretName": "key"}),
            )]),
            with(&[("/database/managed/restore", json!({"keySecretName": "key"}))]),
        ),
        (
            "an even number of members survives no more losses than one less",
            with(&[("/database/managed/members", json!(5))]),
            with(&[("/database/managed/members", json!(4))]),
        ),
        (
            "database.managed.group is about groups",
            with(&[
                ("/database/managed/members", json!(3)),
                ("/database/managed/group/failover", json!("Tolerant")),
            ]),
            with(&[("/database/managed/group/failover", json!("Tolerant"))]),
        ),
        (
            "this setting cannot be given",
            with(&[
                ("/database/managed/members", json!(3)),
                ("/database/managed/group/settings/wait_timeout", json!("60")),
            ]),
            with(&[
                ("/database/managed/members", json!(3)),
                ("/database/managed/group/settings/sync_binlog", json!("0")),
            ]),
        ),
        (
            "autoscaling.minReplicas must not be above autoscaling.maxReplicas",
            with(&[(
                "/web/autoscaling",
                json!({"minReplicas": 3, "maxReplicas": 3}),
            )]),
            with(&[(
                "/web/autoscaling",
                json!({"minReplicas": 4, "maxReplicas": 3}),
            )]),
        ),
    ]
}

async fn patched(
    client: &Client,
    namespace: &str,
    name: &str,
    patch: Value,
) -> Result<DynamicObject, kube::Error> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &Shop::api_resource());
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
}

#[test]
fn every_rule_accepts_and_refuses() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "cel").await?;
        let client = &bed.client;
        let mut seen = BTreeSet::new();
        for (at, (message, good, bad)) in made().into_iter().enumerate() {
            // Paused, so that nothing is made of them.
            let paused = |mut spec: Value| {
                set(&mut spec, "/paused", json!(true));
                spec
            };
            create(client, &namespace, &format!("good-{at}"), paused(good)).await?;
            refused(
                create(client, &namespace, &format!("bad-{at}"), paused(bad)).await,
                message,
                &mut seen,
            )?;
        }
        let name = "the name of a Shop has at most";
        refused(
            create(client, &namespace, &"a".repeat(41), spec()).await,
            name,
            &mut seen,
        )?;
        refused(
            create(client, &namespace, "a.b", spec()).await,
            name,
            &mut seen,
        )?;

        // Changes.
        let bucket = with(&[
            ("/paused", json!(true)),
            ("/database/managed/storage/size", json!("1Gi")),
            ("/media/volume/size", json!("1Gi")),
            (
                "/backup",
                json!({"volume": {"size": "1Gi"}, "keySecretName": "key"}),
            ),
        ]);
        create(client, &namespace, &"b".repeat(40), bucket).await?;
        let shop = "b".repeat(40);
        for (message, patch) in [
            (
                "a shop cannot move between a managed and an external database",
                json!({"spec": {"database": {"managed": null, "external": {"secretName": "db"}}}}),
            ),
            (
                "a database begins from a backup when it is made, and only then",
                json!({"spec": {"database": {"managed": {"restore": {"volume": {"claimName": "old"}, "keySecretName": "key"}}}}}),
            ),
            (
                "the volume of a database can grow and not shrink",
                json!({"spec": {"database": {"managed": {"storage": {"size": "512Mi"}}}}}),
            ),
            (
                "the key of backups cannot be changed",
                json!({"spec": {"backup": {"keySecretName": "other"}}}),
            ),
            (
                "the volume of backups cannot be changed",
                json!({"spec": {"backup": {"volume": {"size": "2Gi"}}}}),
            ),
            (
                "the volume of pictures cannot be changed",
                json!({"spec": {"media": {"volume": {"size": "2Gi"}}}}),
            ),
        ] {
            refused(
                patched(client, &namespace, &shop, patch).await,
                message,
                &mut seen,
            )?;
        }
        let group = with(&[
            ("/paused", json!(true)),
            ("/database/managed/members", json!(3)),
            (
                "/database/managed/storage",
                json!({"size": "2Gi", "className": "fast"}),
            ),
        ]);
        create(client, &namespace, "group", group).await?;
        let managed = |patch: Value| json!({"spec": {"database": {"managed": patch}}});
        for (message, patch) in [
            (
                "one server cannot become a group, nor a group one server",
                json!({"members": 1}),
            ),
            (
                "the storage class of a database cannot be changed",
                json!({"storage": {"className": "slow"}}),
            ),
            (
                "the volume of a database can grow and not shrink",
                json!({"storage": {"size": "1Gi"}}),
            ),
        ] {
            refused(
                patched(client, &namespace, "group", managed(patch)).await,
                message,
                &mut seen,
            )?;
        }
        patched(
            client,
            &namespace,
            "group",
            managed(json!({"members": 5, "storage": {"size": "3Gi"}})),
        )
        .await?;
        patched(
            client,
            &namespace,
            &shop,
            managed(json!({"storage": {"size": "2Gi"}})),
        )
        .await?;
        patched(client, &namespace, &shop, json!({"spec": {"name": "Other", "media": {"volume": null, "bucket": {"url": "s3://b/p", "secretName": "s"}}}})).await?;

        let actions: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &namespace, &ShopAction::api_resource());
        let action = |name: &str, more: Value| {
            let mut spec = json!({"shopName": shop});
            spec.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let object = json!({"apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": name}, "spec": spec});
            serde_json::from_value::<DynamicObject>(object).unwrap()
        };
        let parameters = PostParams::default();
        let both = json!({"rotateSecrets": {}, "restart": {"component": "Web"}});
        actions
            .create(
                &parameters,
                &action("good", json!({"restart": {"component": "Web"}})),
            )
            .await?;
        refused(
            actions.create(&parameters, &action("bad", both)).await,
            "give exactly one of restart, rotateSecrets, switchover, reclone and rebuildGroup",
            &mut seen,
        )?;
        let other = json!({"spec": {"restart": {"component": "Edge"}}});
        refused(
            actions
                .patch("good", &PatchParams::default(), &Patch::Merge(other))
                .await,
            "an action cannot be changed",
            &mut seen,
        )?;

        records(client, &namespace, &mut seen).await?;

        let mut all = BTreeSet::new();
        for definition in [
            Shop::crd(),
            ShopAction::crd(),
            ShopBackup::crd(),
            ShopRestore::crd(),
        ] {
            rules(&serde_json::to_value(&definition)?, &mut all);
        }
        let untested: Vec<&String> = all
            .iter()
            .filter(|message| !seen.iter().any(|seen| message.contains(seen.as_str())))
            .collect();
        assert!(untested.is_empty(), "rules without a case: {untested:#?}");
        Ok(())
    });
}

/// Records of backups and restores.
async fn records(client: &Client, namespace: &str, seen: &mut BTreeSet<String>) -> Result<()> {
    let backups: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ShopBackup::api_resource());
    let restores: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ShopRestore::api_resource());
    let object = |kind: &str, name: &str, spec: Value| {
        let object = json!({"apiVersion": "panono.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        serde_json::from_value::<DynamicObject>(object).unwrap()
    };
    let parameters = PostParams::default();
    let other = Patch::Merge(json!({"spec": {"shopName": "other"}}));
    let good = object("ShopBackup", "good", json!({"shopName": "absent"}));
    backups.create(&parameters, &good).await?;
    refused(
        backups.patch("good", &PatchParams::default(), &other).await,
        "a backup cannot be changed",
        seen,
    )?;
    let restore = |name: &str, more: Value| {
        let mut spec = json!({"shopName": "absent"});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        object("ShopRestore", name, spec)
    };
    let one = restore("good", json!({"trial": {"toTime": "2026-01-01T00:00:00Z"}}));
    restores.create(&parameters, &one).await?;
    refused(
        restores
            .patch("good", &PatchParams::default(), &other)
            .await,
        "a restore cannot be changed",
        seen,
    )?;
    let both = restore("both", json!({"verify": {}, "trial": {}}));
    refused(
        restores.create(&parameters, &both).await,
        "give exactly one of verify, trial and into",
        seen,
    )?;
    let over = restore(
        "over",
        json!({"into": {"name": "absent", "url": "https://a.example.com"}}),
    );
    refused(
        restores.create(&parameters, &over).await,
        "nothing is restored over a Shop",
        seen,
    )?;
    let gtid = "6f1c2b9e-0000-4000-8000-0000000000aa:5";
    let both = restore(
        "ends",
        json!({"trial": {"toTime": "2026-01-01T00:00:00Z", "toGtid": gtid}}),
    );
    refused(
        restores.create(&parameters, &both).await,
        "give toTime or toGtid",
        seen,
    )
}

/// What is written without a rule: patterns, ranges, lengths, enumerations.
#[test]
fn values_out_of_range_are_refused() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "range").await?;
        for (at, (pointer, value)) in [
            ("/url", json!("shop.example.com")),
            ("/url", json!("https://shop.example.com/path")),
            ("/mode", json!("Sleeping")),
            ("/locales", json!([])),
            ("/currencies", json!(["usd"])),
            ("/web/replicas", json!(0)),
            ("/web/databaseConnections", json!(1)),
            ("/release/image", json!("")),
            ("/database/managed/bufferPool", json!("lots")),
            // Nothing is ever kept for no time at all.
            (
                "/backup",
                json!({"volume": {"size": "1Gi"}, "retention": {"days": 0}}),
            ),
            (
                "/backup",
                json!({"volume": {"size": "1Gi"}, "retention": {"copies": 0}}),
            ),
            ("/web/resources/requests/cpu", json!("half")),
        ]
        .into_iter()
        .enumerate()
        {
            let made = create(
                &bed.client,
                &namespace,
                &format!("bad-{at}"),
                with(&[(pointer, value.clone())]),
            )
            .await;
            if made.is_ok() {
                bail!("{pointer}: {value} was accepted");
            }
        }
        Ok(())
    });
}
