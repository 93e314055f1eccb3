//! The names of everything, in one place.

use panono_crds::{Component, DeletionPolicy, GROUP};
use serde_json::{Map, Value, json};

use crate::object::{Kind, Object, insert};

/// The label that all objects of the operator have, by which it watches them.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "panono-operator");

/// The label that says to which Shop an object belongs.
pub const SHOP_LABEL: &str = "panono.dev/shop";

/// The label by which Argo CD may count objects among those of an Application of this name.
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// The label that says of which component a pod is.
pub const COMPONENT_LABEL: &str = "panono.dev/component";

/// Where the program of a component is called by.
pub fn label(component: Component) -> &'static str {
    match component {
        Component::Web => "web",
        Component::Worker => "worker",
        Component::Edge => "edge",
        Component::Cache => "cache",
        Component::Database => "database",
    }
}

/// Whose objects are made: what every one of them says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The Shop's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its identity in the cluster; nothing when objects are rendered without one.
    pub uid: Option<String>,
}

impl Owner {
    /// `demo-web`
    pub fn component(&self, component: Component) -> String {
        self.with(label(component))
    }

    /// `demo-suffix`
    pub fn with(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.name)
    }

    /// The labels by which the pods of `part` are found. They never change, because selectors cannot.
    pub fn selector(&self, part: &str) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(SHOP_LABEL.to_owned(), self.name.clone().into());
        labels.insert(COMPONENT_LABEL.to_owned(), part.into());
        labels
    }

    /// The labels of an object of `part`.
    pub fn labels(&self, part: &str) -> Map<String, Value> {
        let mut labels = self.selector(part);
        labels.insert("app.kubernetes.io/name".to_owned(), "panono-shop".into());
        labels.insert(INSTANCE_LABEL.to_owned(), self.name.clone().into());
        labels.insert("app.kubernetes.io/component".to_owned(), part.into());
        labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.into());
        labels
    }

    /// An object that goes with its Shop. `content` is what stands beside `metadata`.
    pub fn object(&self, kind: Kind, name: String, part: &str, content: Value) -> Object {
        let mut metadata = json!({
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(part),
        });
        if let Some(uid) = &self.uid {
            insert(
                &mut metadata,
                "ownerReferences",
                json!([{
                    "apiVersion": format!("{GROUP}/{}", panono_crds::VERSION),
                    "kind": "Shop",
                    "name": self.name,
                    "uid": uid,
                    "controller": true,
                }]),
            );
        }
        Object::new(kind, name, metadata, content)
    }

    /// An object that holds what cannot be made again: the policy says whether it goes with its Shop.
    pub fn data_object(
        &self,
        policy: DeletionPolicy,
        kind: Kind,
        name: String,
        part: &str,
        content: Value,
    ) -> Object {
        match policy {
            DeletionPolicy::Retain => self.kept_object(kind, name, part, content),
            DeletionPolicy::Delete => self.object(kind, name, part, content),
        }
    }

    /// An object that stays when its Shop goes. Argo CD, where an Application has the name of the Shop, must neither take it for what
    /// is no longer in the repository nor delete it with the Application.
    pub fn kept_object(&self, kind: Kind, name: String, part: &str, content: Value) -> Object {
        let mut labels = self.labels(part);
        labels.remove(INSTANCE_LABEL);
        let metadata = json!({
            "name": name,
            "namespace": self.namespace,
            "labels": labels,
            "annotations": {
                "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
                "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
            },
        });
        Object::new(kind, name, metadata, content)
    }
}
