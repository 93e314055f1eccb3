//! What tests share.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use panono_crds::Shop;
use panono_operator::names::MANAGED_BY;
use panono_operator::object::Kind;
use panono_tests::control_plane::{
    ControlPlane, Gateway, Kubelet, Members, Operator, namespace, objects,
};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// A shop takes some seconds; the machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(120);

/// What is shared lives as long as the program, so it may not belong to the runtime of one test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

static BED: OnceCell<Bed> = OnceCell::const_new();

pub struct Bed {
    pub plane: ControlPlane,
    pub gateway: Gateway,
    pub client: Client,
    pub members: Members,
    _kubelet: Kubelet,
    _operator: Operator,
}

impl Bed {
    async fn start() -> Result<Self> {
        let plane = ControlPlane::start().await?;
        let client = plane.client().await?;
        let gateway = Gateway::start(&plane)?;
        let kubeconfig = plane.kubeconfig("operator", &gateway.url(), plane.token())?;
        let operator = Operator::start(&kubeconfig, &[])?;
        operator.leads().await?;
        Ok(Self {
            _kubelet: Kubelet::start(client.clone()),
            members: Members::start(client.clone()),
            plane,
            gateway,
            client,
            _operator: operator,
        })
    }
}

/// Runs a test on the shared bed, or skips it where there is no API server.
pub fn on_bed(test: impl AsyncFnOnce(&'static Bed) -> Result<()>) {
    alone(async || {
        let bed = BED.get_or_try_init(Bed::start).await?;
        test(bed).await
    });
}

/// Runs a test that starts what it needs itself.
pub fn alone(test: impl AsyncFnOnce() -> Result<()>) {
    if panono_tests::control_plane::is_here() {
        let result = RUNTIME.block_on(test());
        if let Err(error) = result {
            panic!("{error:#}");
        }
    }
}

/// The spec of a small shop.
pub fn spec() -> Value {
    json!({
        "url": "https://shop.example.com",
        "release": {"image": "registry.example/shop:1"},
    })
}

/// `spec` with fields replaced: `("/web/replicas", 3)`.
pub fn with(changes: &[(&str, Value)]) -> Value {
    let mut spec = spec();
    for (pointer, value) in changes {
        set(&mut spec, pointer, value.clone());
    }
    spec
}

/// Sets what is at `pointer`, with the maps on the way there. `null` takes it away.
pub fn set(target: &mut Value, pointer: &str, value: Value) {
    let mut at = target;
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let (last, before) = steps.split_last().unwrap();
    for step in before {
        at = match at {
            Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
            other => {
                if !other.is_object() {
                    *other = json!({});
                }
                other
                    .as_object_mut()
                    .unwrap()
                    .entry((*step).to_owned())
                    .or_insert(json!({}))
            }
        };
    }
    if let Value::Array(items) = at {
        items[last.parse::<usize>().unwrap()] = value;
    } else if value.is_null() {
        at.as_object_mut().unwrap().remove(*last);
    } else {
        at[*last] = value;
    }
}

pub fn shops(client: &Client, namespace: &str) -> Api<Shop> {
    Api::namespaced(client.clone(), namespace)
}

fn dynamic(client: &Client, namespace: &str) -> Api<DynamicObject> {
    use kube::CustomResourceExt as _;
    Api::namespaced_with(client.clone(), namespace, &Shop::api_resource())
}

/// Makes a Shop as it is written, without defaults of ours.
pub async fn create(client: &Client, namespace: &str, name: &str, spec: Value) -> Result<Shop> {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "panono.dev/v1alpha1", "kind": "Shop", "metadata": {"name": name}, "spec": spec,
    }))?;
    let made = dynamic(client, namespace)
        .create(&PostParams::default(), &object)
        .await?;
    Ok(serde_json::from_value(serde_json::to_value(&made)?)?)
}

/// Changes a Shop's spec by a merge patch.
pub async fn change(client: &Client, namespace: &str, name: &str, spec: Value) -> Result<()> {
    dynamic(client, namespace)
        .patch(
            name,
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": spec})),
        )
        .await?;
    Ok(())
}

/// Waits until the Shop's condition `Ready` has this reason for its newest generation, and gives the Shop.
pub async fn reason(client: &Client, namespace: &str, name: &str, reason: &str) -> Result<Shop> {
    wait_until(
        &format!("{namespace}/{name} to be {reason}"),
        LIMIT,
        async || {
            let shop = shops(client, namespace)
                .get(name)
                .await
                .map_err(|error| error.to_string())?;
            let conditions = shop.status.clone().unwrap_or_default().conditions;
            let found = conditions.iter().any(|condition| {
                condition.kind == panono_crds::ConditionType::Ready
                    && condition.reason == reason
                    && condition.observed_generation == shop.metadata.generation
            });
            if found {
                Ok(shop)
            } else {
                Err(conditions
                    .first()
                    .map(|condition| format!("{} {}", condition.reason, condition.message))
                    .unwrap_or_default())
            }
        },
    )
    .await
}

/// A namespace with a small shop that serves.
pub async fn serving(bed: &Bed, name: &str, spec: Value) -> Result<String> {
    let namespace = namespace(&bed.client, name).await?;
    create(&bed.client, &namespace, "demo", spec).await?;
    reason(&bed.client, &namespace, "demo", "Serving").await?;
    Ok(namespace)
}

/// Everything in a namespace that has our label, by `Kind name`.
pub async fn ours(client: &Client, namespace: &str) -> Result<BTreeMap<String, DynamicObject>> {
    let mut found = BTreeMap::new();
    let selector = ListParams::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    for kind in Kind::ALL.iter().filter(|kind| kind.is_builtin()) {
        let list = objects(client, namespace, *kind)
            .list(&selector)
            .await
            .with_context(|| kind.name())?;
        for object in list {
            let name = object.metadata.name.clone().unwrap_or_default();
            // Controllers copy labels to what they make.
            let made = match kind {
                Kind::PersistentVolumeClaim => name.ends_with("-media"),
                Kind::EndpointSlice => name.ends_with("-db-rw"),
                _ => true,
            };
            if made {
                found.insert(format!("{} {name}", kind.name()), object);
            }
        }
    }
    Ok(found)
}

/// Their versions: what changes with every write. Without claims: controllers note in them whether pods use them.
pub async fn versions(client: &Client, namespace: &str) -> Result<BTreeMap<String, String>> {
    Ok(ours(client, namespace)
        .await?
        .into_iter()
        .filter(|(name, _)| !name.starts_with("PersistentVolumeClaim "))
        .map(|(name, object)| (name, object.metadata.resource_version.unwrap_or_default()))
        .collect())
}
