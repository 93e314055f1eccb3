//! A thousand Shops before one real API server: what they cost the operator and the server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use panono_crds::{ConditionType, Shop};
use panono_operator::command::{RenderOptions, rendered};
use panono_operator::manifest::Manifest;
use panono_operator::observe::Served;
use serde_json::json;

use super::{Measure, say};
use crate::control_plane::{ControlPlane, Controllers, Operator, namespace};
use crate::wait::wait_until;

/// How many Shops there are.
const SHOPS: usize = 1000;
/// In so many namespaces.
const NAMESPACES: usize = 20;
/// Two processors serve the API server, etcd and the operator.
const LIMIT: Duration = Duration::from_secs(1800);
/// How long nothing may be written.
const REST: Duration = Duration::from_secs(600);

/// What a number of Shops cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Objects that they have together.
    pub objects: f64,
    /// Seconds until all serve.
    pub converge_seconds: f64,
    /// Writes until then.
    pub writes: f64,
    /// Mebibytes that the operator holds, at most.
    pub resident_mib: f64,
    /// Writes while nothing happens.
    pub writes_at_rest: f64,
}

/// `shops_1000_converge_s`, `shops_1000_calls_per_shop`, `shops_1000_resident_mib`, `shops_1000_writes_at_rest`, in this order.
///
/// # Errors
/// When there is no API server here, or the Shops do not come up.
pub async fn run() -> Result<Vec<Measure>> {
    let cost = measure(SHOPS, REST).await?;
    Ok(vec![
        Measure::alone("shops_1000_converge_s", cost.converge_seconds, "value<=600"),
        Measure::alone(
            "shops_1000_calls_per_shop",
            cost.writes / cost.objects,
            "value<=1.2",
        ),
        Measure::alone("shops_1000_resident_mib", cost.resident_mib, "value<=100"),
        Measure::alone("shops_1000_writes_at_rest", cost.writes_at_rest, "value<=0"),
    ])
}

/// What `number` Shops cost until they serve, and while they rest for so long.
///
/// # Errors
/// When there is no API server here, or the Shops do not come up.
pub async fn measure(number: usize, rest: Duration) -> Result<Cost> {
    let plane = ControlPlane::start_without_controllers().await?;
    let client = plane.client().await?;
    let _controllers = Controllers::start(&client);
    let kubeconfig = plane.kubeconfig("operator", &plane.url(), plane.token())?;
    let operator = Operator::start(&kubeconfig, &[])?;
    operator.leads().await?;
    let began = Instant::now();
    let built = make(&client, number).await?;
    say(&format!(
        "{number} Shops of {built} objects each were made in {:?}",
        began.elapsed()
    ));
    let shops: Api<Shop> = Api::all(client.clone());
    wait_until("all Shops to serve", LIMIT, async || {
        let list = shops
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let serve = list.iter().filter(|shop| serves(shop)).count();
        (serve == number)
            .then_some(())
            .ok_or(format!("{serve} serve"))
    })
    .await?;
    let converge_seconds = began.elapsed().as_secs_f64();
    let writes = writes(&client, &operator).await?;
    let objects = built * number;
    say(&format!(
        "{writes} writes for {objects} objects; at rest for {rest:?} now"
    ));
    let resident = operator.resident_mib()?;
    tokio::time::sleep(rest).await;
    let later = self::writes(&client, &operator).await?;
    operator.process().must_run()?;
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    Ok(Cost {
        objects: objects as f64,
        converge_seconds,
        writes,
        resident_mib: resident.max(operator.resident_mib()?),
        writes_at_rest: later - writes,
    })
}

fn serves(shop: &Shop) -> bool {
    let status = shop.status.as_ref();
    status.is_some_and(|status| {
        status.conditions.iter().any(|condition| {
            condition.kind == ConditionType::Ready && condition.reason == "Serving"
        })
    })
}

/// Makes the Shops, and says of how many objects each is.
async fn make(client: &Client, number: usize) -> Result<usize> {
    let shop: Shop = serde_json::from_value(json!({
        "apiVersion": "panono.dev/v1alpha1", "kind": "Shop", "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"url": "https://shop.example.com", "release": {"image": "registry.example/shop:1"}},
    }))?;
    let options = RenderOptions {
        served: Served::with_groups([]),
    };
    let built = rendered(&shop, &Manifest::default(), &options)
        .map_err(anyhow::Error::msg)?
        .len();
    let mut namespaces = Vec::new();
    for _ in 0..NAMESPACES {
        namespaces.push(namespace(client, "fleet").await?);
    }
    let made: Vec<Result<Shop, kube::Error>> = stream::iter(0..number)
        .map(|number| {
            let mut shop = shop.clone();
            shop.metadata.name = Some(format!("shop-{number}"));
            let namespace = namespaces[number % NAMESPACES].clone();
            shop.metadata.namespace = Some(namespace.clone());
            let api: Api<Shop> = Api::namespaced(client.clone(), &namespace);
            async move { api.create(&PostParams::default(), &shop).await }
        })
        .buffer_unordered(8)
        .collect()
        .await;
    for result in made {
        result.context("a Shop was refused")?;
    }
    ensure!(built > 0, "a Shop has no objects");
    Ok(built)
}

/// Everything that the operator has written: objects and statuses by its own count, events by the server's.
async fn writes(client: &Client, operator: &Operator) -> Result<f64> {
    let mut sum = 0.0;
    for verb in ["apply", "apply_status", "create", "update", "delete"] {
        sum += operator
            .metric(&format!("panono_operator_api_calls_total{{verb=\"{verb}\""))
            .await?;
    }
    let events: Api<Event> = Api::all(client.clone());
    let events = events
        .list_metadata(&ListParams::default())
        .await?
        .items
        .len();
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let events = events as f64;
    Ok(sum + events)
}
