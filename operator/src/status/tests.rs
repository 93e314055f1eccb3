use panono_crds::{Condition, ConditionStatus, ConditionType, Reason, Shop, ShopStatus};
use serde_json::{Value, json};

use super::{Seen, Verdict, status};
use crate::desired::Stage;
use crate::index::Snapshot;
use crate::live::{Health, Live, Workload};
use crate::object::{Kind, ObjectKey};
use crate::validate::{Referenced, validate};

const NOW: &str = "2026-11-30T12:00:00Z";
const BEFORE: &str = "2026-11-01T12:00:00Z";

/// The status of a Shop of which only the database's pods are seen, and what stands in the way.
fn told(
    spec: &Value,
    serving: Option<&str>,
    before: &ShopStatus,
    obstacle: Option<Verdict>,
) -> ShopStatus {
    let shop: Shop = serde_json::from_value(json!({
        "apiVersion": "panono.dev/v1alpha1", "kind": "Shop", "metadata": {"name": "demo", "namespace": "n"}, "spec": spec,
    }))
    .unwrap();
    let valid = validate(&shop, &Referenced::default()).unwrap();
    let stage = Stage {
        serving: serving.map(str::to_owned),
        ..Stage::settled(&valid)
    };
    let mut snapshot = Snapshot::default();
    let database = ObjectKey {
        kind: Kind::StatefulSet,
        name: "demo-database".to_owned(),
    };
    let settled = Live {
        uid: "u".to_owned(),
        version: 1,
        fingerprint: None,
        owners: Vec::new(),
        health: Health::Workload(Workload {
            current: true,
            ..Workload::default()
        }),
        replicas: None,
    };
    snapshot.live.insert(database, settled);
    let seen = Seen {
        shop: &shop,
        owner: &valid.owner,
        snapshot: &snapshot,
        stage: &stage,
        migration: None,
        obstacle,
        group: None,
        preserved: None,
        restoring: &(None, None),
    };
    status(before, &seen, NOW).0
}

fn condition(status: &ShopStatus, kind: ConditionType) -> Option<&Condition> {
    let mut all = status.conditions.iter();
    all.find(|condition| condition.kind == kind)
}

/// Nobody would come and migrate: that is said, and not that all is well.
#[test]
fn a_shop_that_is_read_only_is_ready_with_its_release_alone() {
    let spec = json!({
        "url": "https://shop.example.com", "release": {"image": "shop:2"}, "mode": "ReadOnly",
    });
    let ready = |serving| {
        let status = told(&spec, serving, &ShopStatus::default(), None);
        condition(&status, ConditionType::Ready).unwrap().clone()
    };
    for (serving, words) in [(None, "nothing serves"), (Some("shop:1"), "shop:1 goes on")] {
        let found = ready(serving);
        assert_eq!(found.status, ConditionStatus::False);
        assert_eq!(found.reason, Reason::InvalidSpec.name());
        assert!(found.message.contains(words), "{}", found.message);
        assert!(found.message.contains("Maintenance"), "{}", found.message);
    }
    // Other pods are waited for then.
    assert_eq!(ready(Some("shop:2")).reason, Reason::CacheStarting.name());
}

/// How long a group has been without a primary counts from its own change, not from one of the look at it.
#[test]
fn what_could_not_be_looked_at_stays_as_it_was() {
    let spec = |members: u32, more: Value| {
        let mut spec = json!({
            "url": "https://shop.example.com", "release": {"image": "shop:1"},
            "database": {"managed": {"members": members}},
        });
        let fields = spec.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        spec
    };
    let kind = ConditionType::DatabaseWritable;
    let before = ShopStatus {
        conditions: vec![Condition {
            kind,
            status: ConditionStatus::False,
            observed_generation: Some(1),
            last_transition_time: BEFORE.to_owned(),
            reason: Reason::DatabaseRecovering.name().to_owned(),
            message: "m".to_owned(),
        }],
        ..ShopStatus::default()
    };
    let refused = || Some(Verdict::new(Reason::Refused, "the Ingress"));
    let after = |spec: &Value, obstacle| {
        let status = told(spec, Some("shop:1"), &before, obstacle);
        condition(&status, kind).cloned()
    };
    let kept = before.conditions.first().cloned();
    assert_eq!(after(&spec(3, json!({})), refused()), kept);
    assert_eq!(after(&spec(3, json!({"paused": true})), None), kept);
    assert_eq!(
        after(&spec(3, json!({"mode": "Hibernated"})), refused()),
        None
    );
    assert_eq!(after(&spec(1, json!({})), refused()), None);
}
