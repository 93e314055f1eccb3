//! Which fields of an object are ours, and what is in them.
//!
//! The API server records for each manager which fields it applied (`metadata.managedFields`). The *fingerprint* of an object is
//! a digest of the fields that we applied and of their values. After an apply it is noted; as long as an object has the same one,
//! nobody has changed what is ours. Fields of others (an autoscaler's `replicas`, a label, a container that was added) do not
//! count, and neither do defaults that the server fills in. So there is nothing to normalise and nothing to guess.

use kube::api::DynamicObject;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

/// The name under which the operator applies.
pub const FIELD_MANAGER: &str = "panono-operator";

/// The fingerprint of `object`, and nothing if none of its fields are ours.
pub fn fingerprint(object: &Value) -> Option<u64> {
    let fields = ours(object)?;
    let mut hasher = Xxh3::new();
    walk(&mut hasher, fields, Some(object));
    Some(hasher.digest())
}

/// Whether the operator has ever written `object` under one of its names, whatever somebody has changed since.
pub fn made_by_us(object: &DynamicObject) -> bool {
    object
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|entry| entry.manager.as_deref())
        .any(|manager| manager == FIELD_MANAGER || manager.starts_with("panono-operator-"))
}

/// Whether `object` goes with another Shop than that of this name and identity. Of two Shops `a` and `a-web` both have a Service `a-web`;
/// what stays when its Shop goes has names that no two Shops have in common.
pub fn is_of_another_shop(object: &DynamicObject, name: &str, uid: Option<&str>) -> bool {
    let shops = object
        .metadata
        .owner_references
        .iter()
        .flatten()
        .filter(|owner| {
            owner.kind == "Shop" && owner.api_version.split('/').next() == Some(panono_crds::GROUP)
        });
    let (own, others): (Vec<_>, Vec<_>) =
        shops.partition(|owner| owner.name == name || Some(owner.uid.as_str()) == uid);
    own.is_empty() && !others.is_empty()
}

/// Whether the field at `path` (such as `["f:spec", "f:replicas"]`) is ours.
pub fn owns(object: &Value, path: &[&str]) -> bool {
    let mut at = ours(object);
    for step in path {
        at = at.and_then(|fields| fields.get(*step));
    }
    at.is_some()
}

fn ours(object: &Value) -> Option<&Value> {
    object
        .pointer("/metadata/managedFields")?
        .as_array()?
        .iter()
        .find(|entry| {
            entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER)
                && entry.get("operation").and_then(Value::as_str) == Some("Apply")
                && entry.get("subresource").is_none()
        })?
        .get("fieldsV1")
}

/// Digests the fields of `set` with their values in `value`.
fn walk(hasher: &mut Xxh3, set: &Value, value: Option<&Value>) {
    let children = set.as_object().map(|map| {
        map.iter()
            .filter(|(name, _)| name.as_str() != ".")
            .collect::<Vec<_>>()
    });
    match children {
        Some(children) if !children.is_empty() => {
            for (name, below) in children {
                hasher.update(name.as_bytes());
                hasher.update(b"\0");
                walk(hasher, below, value.and_then(|value| element(value, name)));
            }
        }
        // A leaf is owned with all that is in it. An empty set in a map or a list with keys means that the thing itself is
        // ours and nothing in it, which is seen by its being there.
        _ => match value {
            Some(value) if set.get(".").is_none() => hasher.update(value.to_string().as_bytes()),
            Some(_) => hasher.update(b"+"),
            None => hasher.update(b"-"),
        },
    }
}

/// What `f:name`, `k:{keys}`, `v:value` or `i:index` of a field set means in `value`.
fn element<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    let (how, what) = step.split_once(':')?;
    match how {
        "f" => value.get(what),
        "k" => {
            let keys: Value = serde_json::from_str(what).ok()?;
            let keys = keys.as_object()?;
            value.as_array()?.iter().find(|item| {
                keys.iter().all(|(key, wanted)| {
                    // A key with a default may be missing in the item.
                    item.get(key).is_none_or(|found| found == wanted)
                })
            })
        }
        "v" => {
            let wanted: Value = serde_json::from_str(what).ok()?;
            value.as_array()?.iter().find(|item| **item == wanted)
        }
        "i" => value.as_array()?.get(what.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{fingerprint, is_of_another_shop, owns};

    fn deployment() -> Value {
        json!({
            "metadata": {"name": "a", "labels": {"ours": "1", "theirs": "1"}, "managedFields": [
                {"manager": "panono-operator", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
                {"manager": "panono-operator", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:ours": {}}},
                    "f:spec": {"f:finalizers": {"v:\"x\"": {}}, "f:containers": {
                        "k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}, "f:args": {}, "f:ports": {
                            "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}},
                }}]},
            "spec": {"replicas": 3, "finalizers": ["x", "y"], "containers": [
                {"name": "other", "image": "o"},
                {"name": "web", "image": "i", "args": ["a"], "ports": [{"containerPort": 80, "protocol": "TCP", "name": "n"}]}]},
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut object = deployment();
        *object.pointer_mut(pointer).unwrap() = value;
        object
    }

    #[test]
    fn what_is_ours_counts_and_nothing_else() {
        let noted = fingerprint(&deployment());
        assert!(noted.is_some());
        for (pointer, value) in [
            ("/spec/replicas", json!(9)),
            ("/metadata/labels/theirs", json!("2")),
            ("/spec/containers/0/image", json!("z")),
            ("/spec/containers/1/ports/0/name", json!("z")),
            ("/spec/finalizers/1", json!("z")),
        ] {
            assert_eq!(fingerprint(&with(pointer, value)), noted, "{pointer}");
        }
        for (pointer, value) in [
            ("/metadata/labels/ours", json!("2")),
            ("/spec/containers/1/image", json!("z")),
            ("/spec/containers/1/args/0", json!("z")),
            ("/spec/containers/1/name", json!("z")),
            ("/spec/containers/1/ports/0/containerPort", json!(81)),
            ("/spec/finalizers/0", json!("z")),
            // Somebody else applied the field, so it is no longer ours.
            ("/metadata/managedFields/1/fieldsV1/f:metadata", json!({})),
            ("/metadata/managedFields/1/manager", json!("kubectl")),
        ] {
            assert_ne!(fingerprint(&with(pointer, value)), noted, "{pointer}");
        }
    }

    #[test]
    fn ownership_of_one_field() {
        assert!(owns(&deployment(), &["f:metadata", "f:labels", "f:ours"]));
        assert!(!owns(&deployment(), &["f:spec", "f:replicas"]));
    }

    #[test]
    fn what_goes_with_another_shop_is_not_ours() {
        let owner = |kind: &str, name: &str, uid: &str| json!({"apiVersion": "panono.dev/v1alpha1", "kind": kind, "name": name, "uid": uid});
        let foreign = |owners: Value| {
            let object = json!({"metadata": {"name": "a-web", "ownerReferences": owners}});
            is_of_another_shop(&serde_json::from_value(object).unwrap(), "a-web", Some("u"))
        };
        assert!(foreign(json!([owner("Shop", "a", "v")])));
        assert!(!foreign(json!([])), "what is kept");
        assert!(!foreign(json!([owner("Shop", "a-web", "u")])));
        assert!(
            !foreign(json!([owner("Shop", "a-web", "v")])),
            "of a Shop of this name that was deleted"
        );
        assert!(
            !foreign(json!([owner("Shop", "changed", "u")])),
            "what somebody has changed"
        );
        assert!(!foreign(json!([owner("ShopBackup", "a", "v")])));
    }
}
