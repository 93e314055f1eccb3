//! Pods, as all components have them: without privileges, with a root that cannot be written to.

use panono_crds::{Amounts, Component, Resources, Spread};
use serde_json::{Map, Value, json};

use super::Plan;
use crate::object::insert;

/// The user that our own programs run as.
pub(crate) const USER: u32 = 10_001;

/// Pods on whose node a pod runs, by their labels: both mount a volume that one node at a time can mount.
pub(crate) enum Beside {
    Nobody,
    Always(Map<String, Value>),
    /// Where there is room, since those pods may be gone for ever.
    Best(Map<String, Value>),
}

/// A pod template.
pub(crate) struct Pod {
    pub(crate) part: &'static str,
    pub(crate) component: Option<Component>,
    pub(crate) user: u32,
    pub(crate) grace_seconds: u32,
    pub(crate) spread: Spread,
    pub(crate) beside: Beside,
    /// Changes when something changes that pods read at their start only.
    pub(crate) annotations: Map<String, Value>,
    pub(crate) init_containers: Vec<Value>,
    pub(crate) containers: Vec<Value>,
    pub(crate) volumes: Vec<Value>,
    /// The service account; without one that of the shop, which may do nothing.
    pub(crate) account: Option<String>,
    /// `Never` for pods that end.
    pub(crate) restart_policy: &'static str,
}

impl Pod {
    pub(crate) fn new(part: &'static str, component: Option<Component>, user: u32) -> Self {
        Self {
            part,
            component,
            user,
            grace_seconds: 30,
            spread: Spread::None,
            beside: Beside::Nobody,
            annotations: Map::new(),
            init_containers: Vec::new(),
            containers: Vec::new(),
            volumes: Vec::new(),
            account: None,
            restart_policy: "Always",
        }
    }

    /// A volume that is empty at the pod's start, and where a container sees it.
    pub(crate) fn scratch(&mut self, name: &str, limit: &str) {
        self.volumes
            .push(json!({"name": name, "emptyDir": {"sizeLimit": limit}}));
    }

    /// The template, with everything that does not differ between components.
    pub(crate) fn template(self, plan: &Plan<'_>) -> Value {
        let owner = &plan.shop.owner;
        let mut annotations = self.annotations;
        if let Some(restarted) = self
            .component
            .and_then(|component| plan.stage.restarts.get(&component))
        {
            annotations.insert(
                "panono.dev/restarted-by".to_owned(),
                restarted.clone().into(),
            );
        }
        let mut spec = json!({
            "serviceAccountName": self.account.as_ref().unwrap_or(&owner.name),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": self.restart_policy,
            "terminationGracePeriodSeconds": self.grace_seconds,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": self.user,
                "runAsGroup": self.user,
                "fsGroup": self.user,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": self.containers,
        });
        let Some(fields) = spec.as_object_mut() else {
            return spec;
        };
        if !self.init_containers.is_empty() {
            fields.insert("initContainers".to_owned(), self.init_containers.into());
        }
        if !self.volumes.is_empty() {
            fields.insert("volumes".to_owned(), self.volumes.into());
        }
        let pull_secrets = &plan.shop.spec.release.pull_secrets;
        if !pull_secrets.is_empty() {
            let names: Vec<Value> = pull_secrets
                .iter()
                .map(|name| json!({"name": name}))
                .collect();
            fields.insert("imagePullSecrets".to_owned(), names.into());
        }
        if let Some(scheduling) = &plan.shop.spec.scheduling {
            if !scheduling.node_selector.is_empty() {
                fields.insert("nodeSelector".to_owned(), json!(scheduling.node_selector));
            }
            if !scheduling.tolerations.is_empty() {
                fields.insert("tolerations".to_owned(), json!(scheduling.tolerations));
            }
            if let Some(name) = &scheduling.priority_class_name {
                fields.insert("priorityClassName".to_owned(), name.clone().into());
            }
        }
        let keys: &[&str] = match self.spread {
            Spread::Zone => &["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
            Spread::Node => &["kubernetes.io/hostname"],
            Spread::None => &[],
        };
        if !keys.is_empty() {
            let constraints: Vec<Value> = keys
                .iter()
                .map(|key| {
                    json!({
                        "maxSkew": 1,
                        "topologyKey": key,
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": owner.selector(self.part)},
                    })
                })
                .collect();
            fields.insert("topologySpreadConstraints".to_owned(), constraints.into());
        }
        let node = |labels: Map<String, Value>| json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}});
        let affinity = match self.beside {
            Beside::Nobody => None,
            Beside::Always(labels) => {
                Some(json!({"requiredDuringSchedulingIgnoredDuringExecution": [node(labels)]}))
            }
            Beside::Best(labels) => Some(json!({
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": node(labels)}],
            })),
        };
        if let Some(affinity) = affinity {
            fields.insert("affinity".to_owned(), json!({"podAffinity": affinity}));
        }
        let mut metadata = json!({"labels": owner.labels(self.part)});
        if !annotations.is_empty() {
            insert(&mut metadata, "annotations", annotations);
        }
        json!({"metadata": metadata, "spec": spec})
    }
}

/// What every container may do: nothing beyond its own process.
pub(crate) fn security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

pub(crate) fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

pub(crate) fn mount_read_only(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path, "readOnly": true})
}

pub(crate) fn variable(name: &str, value: impl Into<String>) -> Value {
    json!({"name": name, "value": value.into()})
}

pub(crate) fn variable_from_secret(name: &str, secret: &str, key: &str, optional: bool) -> Value {
    let mut reference = json!({"name": secret, "key": key});
    if optional {
        insert(&mut reference, "optional", true);
    }
    json!({"name": name, "valueFrom": {"secretKeyRef": reference}})
}

/// What a container asks for and may use at most: what the Shop says, and for what it does not say a CPU and memory to ask for
/// and a limit of memory. There is no limit of CPU by itself, because it slows down what is in a hurry.
pub(crate) fn resources(given: Option<&Resources>, cpu: &str, memory_mib: u64) -> Value {
    let amounts = |amounts: Option<&Amounts>| amounts.cloned().unwrap_or_default();
    let requests = amounts(given.and_then(|given| given.requests.as_ref()));
    let limits = amounts(given.and_then(|given| given.limits.as_ref()));
    let memory = requests
        .memory
        .or_else(|| limits.memory.clone())
        .unwrap_or_else(|| format!("{memory_mib}Mi"));
    // Nothing may ask for more than its limit.
    let cpu = requests
        .cpu
        .or_else(|| limits.cpu.clone())
        .unwrap_or_else(|| cpu.to_owned());
    let mut most = Map::new();
    most.insert(
        "memory".to_owned(),
        limits.memory.unwrap_or_else(|| memory.clone()).into(),
    );
    if let Some(cpu) = limits.cpu {
        most.insert("cpu".to_owned(), cpu.into());
    }
    json!({
        "requests": {"cpu": cpu, "memory": memory},
        "limits": most,
    })
}

/// MiB of `512Mi`, `2Gi`, `4096Ki`; the definition of Shop admits nothing else.
pub(crate) fn mebibytes(size: &str) -> u64 {
    let digits = size.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().unwrap_or(0);
    match size.get(digits.len()..) {
        Some("Gi") => number.saturating_mul(1024),
        Some("Ki") => number / 1024,
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use panono_crds::Resources;
    use serde_json::{Value, json};

    use super::resources;

    #[test]
    fn nothing_asks_for_more_than_its_limit() {
        let resources = |given: Value| {
            let given: Resources = serde_json::from_value(given).unwrap();
            resources(Some(&given), "200m", 448)
        };
        assert_eq!(
            resources(json!({})),
            json!({"requests": {"cpu": "200m", "memory": "448Mi"}, "limits": {"memory": "448Mi"}})
        );
        assert_eq!(
            resources(json!({"limits": {"cpu": "100m", "memory": "64Mi"}})),
            json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}})
        );
        assert_eq!(
            resources(json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}})),
            json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}})
        );
    }
}
