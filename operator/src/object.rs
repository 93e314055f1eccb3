//! Objects as the operator makes them: JSON with a kind from a closed list and a name.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::names::COMPONENT_LABEL;

/// A row: variant, group, version, kind, plural, whether every cluster has it.
macro_rules! kinds {
    ($($name:ident, $group:literal, $version:literal, $plural:literal, $builtin:literal;)+) => {
        /// The kinds of objects that a Shop is made of, in the order in which they are applied: what others refer to first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = $plural] $name,)+
        }

        impl Kind {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name, as `kind` says it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// Its API group; empty for the core.
            pub fn group(self) -> &'static str {
                match self { $(Self::$name => $group,)+ }
            }

            /// Its name in addresses.
            pub fn plural(self) -> &'static str {
                match self { $(Self::$name => $plural,)+ }
            }

            /// Whether every cluster knows it; the others come with other people's definitions.
            pub fn is_builtin(self) -> bool {
                match self { $(Self::$name => $builtin,)+ }
            }

            fn version(self) -> &'static str {
                match self { $(Self::$name => $version,)+ }
            }
        }
    };
}

kinds! {
    ServiceAccount, "", "v1", "serviceaccounts", true;
    Role, "rbac.authorization.k8s.io", "v1", "roles", true;
    RoleBinding, "rbac.authorization.k8s.io", "v1", "rolebindings", true;
    NetworkPolicy, "networking.k8s.io", "v1", "networkpolicies", true;
    Secret, "", "v1", "secrets", true;
    ConfigMap, "", "v1", "configmaps", true;
    PersistentVolumeClaim, "", "v1", "persistentvolumeclaims", true;
    Service, "", "v1", "services", true;
    EndpointSlice, "discovery.k8s.io", "v1", "endpointslices", true;
    PodDisruptionBudget, "policy", "v1", "poddisruptionbudgets", true;
    StatefulSet, "apps", "v1", "statefulsets", true;
    Job, "batch", "v1", "jobs", true;
    CronJob, "batch", "v1", "cronjobs", true;
    Deployment, "apps", "v1", "deployments", true;
    HorizontalPodAutoscaler, "autoscaling", "v2", "horizontalpodautoscalers", true;
    Ingress, "networking.k8s.io", "v1", "ingresses", true;
    HTTPRoute, "gateway.networking.k8s.io", "v1", "httproutes", false;
    PodMonitor, "monitoring.coreos.com", "v1", "podmonitors", false;
    PrometheusRule, "monitoring.coreos.com", "v1", "prometheusrules", false;
}

impl Kind {
    /// `v1`, `apps/v1` …
    pub fn api_version(self) -> String {
        if self.group().is_empty() {
            self.version().to_owned()
        } else {
            format!("{}/{}", self.group(), self.version())
        }
    }

    /// As the client wants it.
    pub fn resource(self) -> ApiResource {
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(self.group(), self.version(), self.name()),
            self.plural(),
        )
    }
}

/// An object within a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.kind.name(), self.name)
    }
}

/// A namespaced name: of a Shop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShopKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for ShopKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// An object that should exist, with every field that the operator decides on and no other.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it is.
    pub key: ObjectKey,
    /// The whole of it.
    pub body: Value,
}

impl Object {
    /// An object of `metadata` and what stands beside it.
    pub fn new(kind: Kind, name: String, metadata: Value, content: Value) -> Self {
        let mut body = json!({"apiVersion": kind.api_version(), "kind": kind.name()});
        insert(&mut body, "metadata", metadata);
        if let (Value::Object(body), Value::Object(content)) = (&mut body, content) {
            body.extend(content);
        }
        Self {
            key: ObjectKey { kind, name },
            body,
        }
    }

    /// Adds an annotation to those that there are.
    pub fn annotate(&mut self, name: &str, text: impl Into<Value>) {
        if let Some(metadata) = self.body.get_mut("metadata") {
            if metadata.get("annotations").is_none() {
                insert(metadata, "annotations", json!({}));
            }
            if let Some(annotations) = metadata.get_mut("annotations") {
                insert(annotations, name, text);
            }
        }
    }

    /// The component that it is of, by its label.
    pub fn part(&self) -> Option<&str> {
        let labels = self.body.pointer("/metadata/labels")?;
        labels.get(COMPONENT_LABEL)?.as_str()
    }

    /// A digest of its text: equal objects have equal ones.
    pub fn digest(&self) -> u64 {
        digest(&self.body)
    }
}

/// Sets a field of a JSON object; of anything else it makes nothing.
pub fn insert(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value.into());
    }
}

/// A digest of a JSON value. Its maps are sorted, so it depends on the value alone.
pub fn digest(value: &Value) -> u64 {
    xxhash_rust::xxh3::xxh3_64(value.to_string().as_bytes())
}

/// Eight letters for a name, from a digest.
pub fn short(digest: u64) -> String {
    let letters = format!("{digest:016x}");
    letters.get(..8).unwrap_or(&letters).to_owned()
}
