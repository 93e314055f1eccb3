//! What a Shop refers to, read from the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use kube::Client;
use panono_crds::ShopSpec;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::object::{Kind, digest, short};
use crate::validate::{FoundSecret, Referenced, secrets};

/// What the cluster serves besides what every cluster does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The kinds of ours that it knows.
    pub kinds: BTreeSet<Kind>,
    /// Whether `custom.metrics.k8s.io` is served.
    pub custom_metrics: bool,
}

impl Served {
    /// A cluster that serves these groups, such as `monitoring.coreos.com`, and what every cluster does.
    pub fn with_groups<'a>(groups: impl IntoIterator<Item = &'a str>) -> Self {
        let groups: BTreeSet<&str> = groups.into_iter().collect();
        Self {
            kinds: Kind::ALL
                .iter()
                .copied()
                .filter(|kind| kind.is_builtin() || groups.contains(kind.group()))
                .collect(),
            custom_metrics: groups.contains("custom.metrics.k8s.io"),
        }
    }
}

/// What is served, looked up now and then.
#[derive(Debug, Default)]
pub struct Catalogue {
    served: Mutex<Served>,
}

impl Catalogue {
    /// What was served when it was looked up last.
    pub fn served(&self) -> Served {
        self.served
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks it up. Says whether it is otherwise than before.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn refresh(&self, client: &Client) -> Result<bool, kube::Error> {
        let served = look_up(client).await?;
        let mut known = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *known != served;
        *known = served;
        Ok(changed)
    }
}

/// What the cluster behind `client` serves.
///
/// # Errors
/// When the API server does not say.
pub async fn look_up(client: &Client) -> Result<Served, kube::Error> {
    let groups = client.list_api_groups().await?.groups;
    let mut served = Served::with_groups([]);
    served.custom_metrics = groups
        .iter()
        .any(|group| group.name == "custom.metrics.k8s.io");
    let foreign: BTreeSet<(&str, String)> = Kind::ALL
        .iter()
        .filter(|kind| !kind.is_builtin())
        .map(|kind| (kind.group(), kind.api_version()))
        .collect();
    for (group, version) in foreign {
        let has_version = groups.iter().any(|found| {
            found.name == group
                && found
                    .versions
                    .iter()
                    .any(|found| found.group_version == version)
        });
        if !has_version {
            continue;
        }
        // A group may be served without all of its kinds.
        let resources = client.list_api_group_resources(&version).await?.resources;
        served
            .kinds
            .extend(Kind::ALL.iter().copied().filter(|kind| {
                kind.api_version() == version
                    && resources
                        .iter()
                        .any(|resource| resource.name == kind.plural())
            }));
    }
    Ok(served)
}

/// What `spec` refers to.
///
/// # Errors
/// When the API server does not say.
pub async fn observe(
    cluster: &Cluster,
    namespace: &str,
    spec: &ShopSpec,
    served: &Served,
) -> Result<Referenced, Failure> {
    let mut found = BTreeMap::new();
    for needed in secrets(spec) {
        if found.contains_key(&needed.name) {
            continue;
        }
        if let Some(secret) = cluster.get(Kind::Secret, namespace, &needed.name).await? {
            found.insert(needed.name, found_secret(secret.data.get("data")));
        }
    }
    Ok(Referenced {
        secrets: found,
        kinds: served.kinds.clone(),
        custom_metrics: served.custom_metrics,
    })
}

/// What is known of a Secret with these values.
pub fn found_secret(data: Option<&Value>) -> FoundSecret {
    let keys = data
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.as_str().is_some_and(|value| !value.is_empty()))
        .map(|(key, _)| key.clone())
        .collect();
    FoundSecret {
        keys,
        digest: short(digest(data.unwrap_or(&Value::Null))),
    }
}
