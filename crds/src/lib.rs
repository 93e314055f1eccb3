//! The API of Panono on Kubernetes: `Shop` and what goes with it, as Rust types from which the custom resource definitions
//! are generated.
//!
//! A field is here when something happens because of it, and every field says what. The committed definitions
//! (`panono.dev_*.yaml` beside this crate's manifest) are what [`definitions`] gives; a test compares them.

// `printcolumn(…)` may be given as often as there are columns; the lint takes their parts for attributes.
#![allow(clippy::duplicated_attributes)]

mod action;
mod backup;
mod commerce;
mod database;
mod defaults;
mod edge;
mod group;
mod reason;
mod restore;
mod shop;
mod status;
mod text;
mod workload;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt as _;

pub use action::{
    ActionPhase, Component, RebuildGroupAction, RecloneAction, RestartAction, RotateSecretsAction,
    ShopAction, ShopActionSpec, ShopActionStatus, SwitchoverAction,
};
pub use backup::{
    Backup, BackupBucket, BackupRetention, BackupStatus, BackupVerification, BackupVolume,
    BackupWork, LastBackup, LastVerification, RestorePoint, RestoreVerify, ShopBackup,
    ShopBackupSpec, ShopBackupStatus, ShopRestore, ShopRestoreSpec, ShopRestoreStatus, WorkPhase,
};
pub use commerce::{Capture, Carrier, Fulfilment, Mail, MailTls, Payments, Risk, Stripe};
pub use database::{
    Cache, CacheEngine, Database, Divergence, ExternalCache, ExternalDatabase, Failover, Group,
    ManagedCache, ManagedDatabase, Storage, Tls,
};
pub use edge::{Cloudflare, CloudflarePlan, Cloudfront, Edge, Fastly, ManagedEdge, NoEdge};
pub use group::{
    BootstrapStatus, DatabaseStatus, DecisionPhase, FailoverStatus, MemberState, MemberStatus,
    OperationKind, OperationStatus, PasswordsStatus, RecoveryEvidence, RecoveryRule,
    RecoveryStatus, RotationPhase, RotationStatus,
};
pub use reason::{Reason, Resolution};
pub use restore::{DatabaseRestore, RestoreInto, RestoreStatus, RestoreVolume};
pub use shop::{
    AccessMode, DeletionPolicy, Exposure, Gateway, Ingress, Media, MediaBucket, MediaVolume, Mode,
    Monitoring, NetworkPolicies, PullPolicy, Release, Scheduling, Shop, ShopSpec, Switch,
};
pub use status::{
    Condition, ConditionStatus, ConditionType, CredentialsStatus, ReleaseStatus, ShopStatus,
    WorkloadStatus,
};
pub use text::to_yaml;
pub use workload::{Amounts, Autoscaling, Resources, Spread, Web, Worker};

/// The API group of every kind here.
pub const GROUP: &str = "panono.dev";

/// The version that is served and stored.
pub const VERSION: &str = "v1alpha1";

/// The longest name of a Shop: what is made for it adds up to 23 characters, and labels end at 63.
pub const MAXIMUM_NAME: usize = 40;

/// All definitions, with the name of the committed file of each.
pub fn definitions() -> Vec<(&'static str, CustomResourceDefinition)> {
    [
        ("panono.dev_shops.yaml", Shop::crd()),
        ("panono.dev_shopactions.yaml", ShopAction::crd()),
        ("panono.dev_shopbackups.yaml", ShopBackup::crd()),
        ("panono.dev_shoprestores.yaml", ShopRestore::crd()),
    ]
    .into_iter()
    .map(|(name, definition)| (name, with_known_formats(definition)))
    .collect()
}

/// Unsigned numbers have formats that Kubernetes does not know and warns of. Their ranges say the same.
fn with_known_formats(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    fn walk(schema: &mut JSONSchemaProps) {
        if schema.format.as_deref() == Some("uint32") {
            schema.format = None;
        }
        for below in schema
            .properties
            .iter_mut()
            .flat_map(|below| below.values_mut())
        {
            walk(below);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
            walk(items);
        }
    }
    for version in &mut definition.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            walk(schema);
        }
    }
    definition
}

#[cfg(test)]
mod tests {
    use super::{definitions, to_yaml};

    #[test]
    fn committed_definitions_are_current() {
        for (name, definition) in definitions() {
            let text = to_yaml(&definition).unwrap();
            // Helm reads nothing outside of its chart.
            for folder in [".", "../charts/panono-operator/definitions"] {
                let path = format!("{}/{folder}/{name}", env!("CARGO_MANIFEST_DIR"));
                if std::env::var_os("UPDATE_GENERATED").is_some() {
                    std::fs::write(&path, &text).unwrap();
                }
                assert_eq!(
                    std::fs::read_to_string(&path).unwrap_or_default(),
                    text,
                    "{path} is stale: UPDATE_GENERATED=1 cargo test -p panono-crds writes it"
                );
            }
        }
    }

    /// `kubectl explain` tells every field.
    #[test]
    fn every_field_is_described() {
        fn walk(schema: &serde_json::Value, path: &str, bare: &mut Vec<String>) {
            if let Some(properties) = schema.get("properties").and_then(|below| below.as_object()) {
                for (name, below) in properties {
                    let path = format!("{path}.{name}");
                    if below.get("description").is_none() {
                        bare.push(path.clone());
                    }
                    walk(below, &path, bare);
                }
            }
            if let Some(items) = schema.get("items") {
                walk(items, &format!("{path}[]"), bare);
            }
        }
        for (name, definition) in definitions() {
            let value = serde_json::to_value(definition).unwrap();
            let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let mut bare = Vec::new();
            walk(&schema["properties"]["spec"], "spec", &mut bare);
            walk(&schema["properties"]["status"], "status", &mut bare);
            assert!(bare.is_empty(), "{name}: {bare:?}");
        }
    }
}
