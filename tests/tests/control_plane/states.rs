//! `Ready`, `Reconciling` and `Stalled` by the rules of kstatus, at the moments at which people and tools read them.

use std::collections::BTreeSet;

use anyhow::Result;
use kube::api::{Api, DeleteParams};
use panono_crds::{ConditionStatus, ConditionType, Shop};
use panono_tests::control_plane::namespace;
use panono_tests::wait::wait_until;
use serde_json::json;

use super::bed::{Bed, LIMIT, change, create, on_bed, reason, serving, shops, spec, with};

/// What kstatus makes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kstatus {
    Current,
    InProgress,
    Failed,
    Terminating,
}

/// By the rules of kstatus for custom resources: a deletion first, then the generation, then `Reconciling`, `Stalled` and `Ready`. It
/// reads a resource without conditions as current, so a Shop must have them from its first moment with the operator.
fn kstatus(shop: &Shop) -> Kstatus {
    if shop.metadata.deletion_timestamp.is_some() {
        return Kstatus::Terminating;
    }
    let Some(status) = &shop.status else {
        return Kstatus::InProgress;
    };
    if status.observed_generation != shop.metadata.generation {
        return Kstatus::InProgress;
    }
    let is = |kind, truth| {
        status
            .conditions
            .iter()
            .any(|condition| condition.kind == kind && condition.status == truth)
    };
    if is(ConditionType::Reconciling, ConditionStatus::True) {
        Kstatus::InProgress
    } else if is(ConditionType::Stalled, ConditionStatus::True) {
        Kstatus::Failed
    } else if is(ConditionType::Ready, ConditionStatus::True) {
        Kstatus::Current
    } else {
        Kstatus::InProgress
    }
}

/// Waits for a reason, and gives everything that was read on the way.
async fn way_to(bed: &Bed, namespace: &str, wanted: &str) -> Result<(BTreeSet<Kstatus>, Kstatus)> {
    let api: Api<Shop> = shops(&bed.client, namespace);
    let mut seen = BTreeSet::new();
    wait_until(wanted, LIMIT, async || {
        let shop = api.get("demo").await.map_err(|error| error.to_string())?;
        seen.insert(kstatus(&shop));
        let status = shop.status.clone().unwrap_or_default();
        let found = status.observed_generation == shop.metadata.generation
            && status
                .conditions
                .first()
                .is_some_and(|condition| condition.reason == wanted);
        found.then_some(()).ok_or(
            status
                .conditions
                .first()
                .map(|condition| condition.message.clone()),
        )
    })
    .await?;
    Ok((seen, kstatus(&api.get("demo").await?)))
}

#[test]
fn tools_read_the_right_state_at_each_moment() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "kstatus").await?;
        create(&bed.client, &namespace, "demo", spec()).await?;
        let (way, end) = way_to(bed, &namespace, "Serving").await?;
        assert_eq!(end, Kstatus::Current);
        assert!(
            way.contains(&Kstatus::InProgress) && !way.contains(&Kstatus::Failed),
            "first install: {way:?}"
        );

        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"web": {"replicas": 4}}),
        )
        .await?;
        let (way, end) = way_to(bed, &namespace, "Serving").await?;
        assert_eq!(end, Kstatus::Current);
        assert!(!way.contains(&Kstatus::Failed), "more replicas: {way:?}");

        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"edge": {"managed": {"image": "registry.example/missing:1"}}}),
        )
        .await?;
        let (_, end) = way_to(bed, &namespace, "ImageUnavailable").await?;
        assert_eq!(end, Kstatus::Failed);
        let shop = shops(&bed.client, &namespace).get("demo").await?;
        let conditions = shop.status.unwrap().conditions;
        let available = conditions
            .iter()
            .find(|condition| condition.kind == ConditionType::Available)
            .unwrap();
        assert_eq!(
            available.status,
            ConditionStatus::True,
            "what ran before still serves"
        );

        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"edge": {"managed": {"image": "registry.example/varnish:1"}}}),
        )
        .await?;
        let (_, end) = way_to(bed, &namespace, "Serving").await?;
        assert_eq!(end, Kstatus::Current);

        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"release": {"image": "registry.example/broken:2"}}),
        )
        .await?;
        let (_, end) = way_to(bed, &namespace, "MigrationFailed").await?;
        assert_eq!(end, Kstatus::Failed);

        // Deleted so that what it owns goes first, it can be seen going.
        let api = shops(&bed.client, &namespace);
        api.delete("demo", &DeleteParams::foreground()).await?;
        let mut seen = BTreeSet::new();
        wait_until("the Shop to be gone", LIMIT, async || {
            match api.get_opt("demo").await {
                Ok(None) => Ok(()),
                Ok(Some(shop)) => {
                    seen.insert(kstatus(&shop));
                    Err(format!("{:?}", shop.metadata.finalizers))
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
        assert!(
            seen.is_subset(&BTreeSet::from([Kstatus::Terminating])),
            "{seen:?}"
        );
        Ok(())
    });
}

/// A Secret that is missing, then incomplete, then right.
#[test]
fn a_bad_secret_is_told_and_found_when_it_is_right() {
    on_bed(async |bed| {
        let namespace = namespace(&bed.client, "secret").await?;
        let external = with(&[(
            "/database",
            json!({"external": {"secretName": "db", "tls": "VerifyCA"}}),
        )]);
        create(&bed.client, &namespace, "demo", external).await?;
        let (_, end) = way_to(bed, &namespace, "SecretMissing").await?;
        assert_eq!(end, Kstatus::Failed);
        let secrets: Api<k8s_openapi::api::core::v1::Secret> =
            Api::namespaced(bed.client.clone(), &namespace);
        let secret = |data: serde_json::Value| {
            serde_json::from_value(json!({"metadata": {"name": "db"}, "stringData": data})).unwrap()
        };
        secrets
            .create(
                &Default::default(),
                &secret(json!({"writer-url": "mysql://u:p@h/d"})),
            )
            .await?;
        let (_, end) = way_to(bed, &namespace, "SecretIncomplete").await?;
        assert_eq!(end, Kstatus::Failed);
        let message = shops(&bed.client, &namespace)
            .get("demo")
            .await?
            .status
            .unwrap()
            .conditions[0]
            .message
            .clone();
        assert!(
            message.contains("\"ca.crt\"") && !message.contains("mysql://"),
            "{message}"
        );
        secrets.delete("db", &Default::default()).await?;
        secrets
            .create(
                &Default::default(),
                &secret(json!({"writer-url": "mysql://u:p@h/d", "ca.crt": "x"})),
            )
            .await?;
        let (_, end) = way_to(bed, &namespace, "Serving").await?;
        assert_eq!(end, Kstatus::Current);
        Ok(())
    });
}

/// A program that ends again and again.
#[test]
fn pods_that_fail_are_told() {
    on_bed(async |bed| {
        let namespace = serving(bed, "crash", spec()).await?;
        change(
            &bed.client,
            &namespace,
            "demo",
            json!({"cache": {"managed": {"image": "registry.example/crashing:1"}}}),
        )
        .await?;
        let shop = reason(&bed.client, &namespace, "demo", "PodsFailing").await?;
        assert_eq!(kstatus(&shop), Kstatus::Failed);
        Ok(())
    });
}

/// What `kubectl get shops` and `kubectl scale` work with.
#[test]
fn columns_and_scale_work() {
    on_bed(async |bed| {
        let namespace = serving(bed, "scale", spec()).await?;
        let api = shops(&bed.client, &namespace);
        let scale = api.get_scale("demo").await?;
        assert_eq!(scale.spec.and_then(|spec| spec.replicas), Some(2));
        let status = scale.status.unwrap();
        assert_eq!(status.replicas, 2);
        assert_eq!(
            status.selector.as_deref(),
            Some("panono.dev/component=web,panono.dev/shop=demo")
        );
        let patch = kube::api::Patch::Merge(json!({"spec": {"replicas": 3}}));
        api.patch_scale("demo", &Default::default(), &patch).await?;
        wait_until("three web processes", LIMIT, async || {
            let shop = api.get("demo").await.map_err(|error| error.to_string())?;
            let ready = shop
                .status
                .and_then(|status| status.web)
                .map(|web| web.ready);
            (ready == Some(3)).then_some(()).ok_or(format!("{ready:?}"))
        })
        .await
    });
}
