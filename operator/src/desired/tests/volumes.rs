//! Volumes: where what mounts them runs, and what becomes of them.

use serde_json::{Value, json};

use super::{external, full, grouped, settled, smallest, templates};
use crate::object::{Kind, Object};

/// What is said of nodes in the pods of a workload.
fn nodes<'a>(objects: &'a [Object], name: &str) -> (&'a Value, &'a Value) {
    let (_, template) = templates(objects)
        .into_iter()
        .find(|(object, _)| object.key.name == name)
        .unwrap();
    let pod = &template["spec"];
    (&pod["affinity"], &pod["topologySpreadConstraints"])
}

/// The node on which there are pods with these labels.
fn node(shop: &str, component: &str) -> Value {
    json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {
        "panono.dev/shop": shop, "panono.dev/component": component,
    }}})
}

/// Web processes that share such a volume are on one node, and leave it all at once.
#[test]
fn web_processes_with_such_a_volume_are_on_one_node() {
    let budgets = |objects: &[Object]| -> Vec<String> {
        objects
            .iter()
            .filter(|object| object.key.kind == Kind::PodDisruptionBudget)
            .map(|object| object.key.name.clone())
            .collect()
    };
    let objects = settled(&smallest());
    let (affinity, spread) = nodes(&objects, "demo-web");
    assert_eq!(
        affinity,
        &json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [node("demo", "web")]}})
    );
    assert_eq!(spread, &Value::Null);
    assert_eq!(nodes(&objects, "demo-worker").0, &Value::Null);
    assert!(!budgets(&objects).contains(&"demo-web".to_owned()));
    assert!(budgets(&objects).contains(&"demo-worker".to_owned()));
    // A volume for several nodes, and a bucket.
    for spec in [full(), external()] {
        let objects = settled(&spec);
        let (affinity, spread) = nodes(&objects, "demo-web");
        assert_eq!(affinity, &Value::Null);
        assert!(spread.is_array());
        assert!(budgets(&objects).contains(&"demo-web".to_owned()));
    }
}

/// What reads the backups of another shop, whose database may hold their volume, goes to that node if it can.
#[test]
fn what_reads_backups_is_where_they_are_written() {
    let objects = settled(&full());
    assert_eq!(
        nodes(&objects, "demo-backup").0,
        &json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [node("demo", "database")]}})
    );
    assert_eq!(
        nodes(&objects, "demo-database").0,
        &json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": node("old", "database")},
        ]}})
    );
}

/// What has no owner stays when its Shop goes, and Argo CD takes it for none of its own. The rest goes with the Shop.
#[test]
fn what_is_kept_is_nobody_elses_to_delete() {
    for spec in [smallest(), full(), grouped()] {
        for object in settled(&spec) {
            let metadata = &object.body["metadata"];
            let kept = metadata.get("ownerReferences").is_none();
            assert!(!kept || crate::apply::holds_data(object.key.kind));
            let instance = metadata["labels"].get("app.kubernetes.io/instance");
            assert_eq!(instance.is_none(), kept, "{}", object.key);
            let options = &metadata["annotations"]["argocd.argoproj.io/sync-options"];
            assert_eq!(
                options == "Prune=false,Delete=false",
                kept,
                "{}",
                object.key
            );
        }
    }
}
