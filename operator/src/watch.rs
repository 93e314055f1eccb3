//! What changes in the cluster, told to the index, and the Shops that it concerns put into the queue.
//!
//! One watch for each kind, of objects with our label only. Objects are looked at and let go: what is kept of one is a few numbers.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, CustomResourceExt as _};
use panono_crds::{Shop, ShopAction, ShopBackup, ShopRestore};
use tokio::sync::oneshot;

use crate::failure;
use crate::index::{self, Index, Stored};
use crate::live;
use crate::metrics::Metrics;
use crate::names::MANAGED_BY;
use crate::object::{Kind, ObjectKey, ShopKey};
use crate::queue::Queue;

/// Objects in one page of a list. A page is held in memory whole.
const PAGE: u32 = 100;

/// What watches need.
#[derive(Clone)]
pub struct Watches {
    /// A client without a limit on silence: nothing happens on most watches.
    pub client: Client,
    /// What is known.
    pub index: Arc<Index>,
    /// What is to be done.
    pub queue: Arc<Queue>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Watches {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Watches")
    }
}

/// Told once, when everything that existed at the start is known.
pub type Synced = oneshot::Sender<()>;

/// A Shop as the API server gives it, with its version.
pub fn stored(object: &DynamicObject) -> (u64, Stored) {
    let version = live::version(object);
    let uid = object.metadata.uid.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let parsed = serde_json::to_value(object).and_then(serde_json::from_value::<Shop>);
    let stored = match parsed {
        Ok(mut shop) => {
            // A third of its size, and of no use here.
            shop.metadata.managed_fields = None;
            Stored::Readable(Arc::new(shop))
        }
        Err(error) => Stored::Unreadable {
            uid,
            generation,
            problem: format!(
                "the Shop cannot be read: {error}. It was stored under another version of its definition: correct it"
            ),
        },
    };
    (version, stored)
}

/// Which objects of a kind are watched.
#[derive(Clone, Copy, PartialEq)]
enum Selection {
    Everything,
    Labelled,
}

/// A thing that changed.
enum Change {
    /// A list of everything begins.
    Begin,
    /// It exists, as it is.
    There(Box<DynamicObject>),
    /// It is gone.
    Gone(Box<DynamicObject>),
    /// The list ends.
    End,
}

impl Watches {
    /// Watches Shops, for ever.
    pub async fn shops(self, synced: Synced) {
        let mut synced = Some(synced);
        let mut seen = HashSet::new();
        self.follow(
            &Shop::api_resource(),
            Selection::Everything,
            "Shop",
            |change| match change {
                Change::Begin => seen.clear(),
                Change::There(object) => {
                    if let Some(key) = named(&object) {
                        seen.insert(key.clone());
                        let (version, stored) = stored(&object);
                        if self.index.put_shop(&key, version, stored) {
                            self.queue.soon(key);
                        }
                    }
                }
                Change::Gone(object) => {
                    if let Some(key) = named(&object) {
                        self.index.remove_shop(&key);
                        self.queue.soon(key);
                    }
                }
                Change::End => {
                    self.index.retain_shops(&seen);
                    seen.clear();
                    tell(&mut synced);
                }
            },
        )
        .await;
    }

    /// Watches actions, for ever.
    pub async fn actions(self, synced: Synced) {
        let mut synced = Some(synced);
        self.follow(
            &ShopAction::api_resource(),
            Selection::Everything,
            "ShopAction",
            |change| match change {
                Change::Begin => {}
                Change::There(object) => {
                    let (Some(key), Ok(action)) = (
                        named(&object),
                        serde_json::to_value(&object)
                            .and_then(serde_json::from_value::<ShopAction>),
                    ) else {
                        return;
                    };
                    let shop = ShopKey {
                        namespace: key.namespace,
                        name: action.spec.shop_name.clone(),
                    };
                    if self
                        .index
                        .put_action(&shop, &key.name, Some(Arc::new(action)))
                    {
                        self.queue.soon(shop);
                    }
                }
                Change::Gone(object) => {
                    if let (Some(key), Some(shop)) = (
                        named(&object),
                        object
                            .data
                            .pointer("/spec/shopName")
                            .and_then(serde_json::Value::as_str),
                    ) {
                        let shop = ShopKey {
                            namespace: key.namespace,
                            name: shop.to_owned(),
                        };
                        self.index.put_action(&shop, &key.name, None);
                    }
                }
                Change::End => tell(&mut synced),
            },
        )
        .await;
    }

    /// Watches records of backups, for ever.
    pub async fn backups(self, synced: Synced) {
        let (index, queue) = (Arc::clone(&self.index), Arc::clone(&self.queue));
        self.records(
            &ShopBackup::api_resource(),
            "ShopBackup",
            synced,
            |shop, name, record| {
                let record = match record.map(serde_json::from_value).transpose() {
                    Ok(record) => record.map(Arc::new),
                    Err(_) => return,
                };
                if index.put_backup(shop, name, record) {
                    queue.soon(shop.clone());
                }
            },
        )
        .await;
    }

    /// Watches records of restores, for ever.
    pub async fn restores(self, synced: Synced) {
        let (index, queue) = (Arc::clone(&self.index), Arc::clone(&self.queue));
        self.records(
            &ShopRestore::api_resource(),
            "ShopRestore",
            synced,
            |shop, name, record| {
                let record = match record.map(serde_json::from_value).transpose() {
                    Ok(record) => record.map(Arc::new),
                    Err(_) => return,
                };
                if index.put_restore(shop, name, record) {
                    queue.soon(shop.clone());
                }
            },
        )
        .await;
    }

    /// Watches one kind of records. Those that went while nothing was seen are forgotten after each list.
    async fn records(
        &self,
        resource: &ApiResource,
        kind: &'static str,
        synced: Synced,
        note: impl Fn(&ShopKey, &str, Option<serde_json::Value>),
    ) {
        let mut synced = Some(synced);
        let mut known: HashSet<(ShopKey, String)> = HashSet::new();
        let mut seen = HashSet::new();
        self.follow(resource, Selection::Everything, kind, |change| {
            let of = |object: &DynamicObject| {
                let key = named(object)?;
                let shop = object.data.pointer("/spec/shopName")?.as_str()?;
                Some((
                    ShopKey {
                        namespace: key.namespace,
                        name: shop.to_owned(),
                    },
                    key.name,
                ))
            };
            match change {
                Change::Begin => seen.clear(),
                Change::There(object) => {
                    if let (Some((shop, name)), Ok(value)) =
                        (of(&object), serde_json::to_value(&object))
                    {
                        note(&shop, &name, Some(value));
                        seen.insert((shop.clone(), name.clone()));
                        known.insert((shop, name));
                    }
                }
                Change::Gone(object) => {
                    if let Some((shop, name)) = of(&object) {
                        note(&shop, &name, None);
                        known.remove(&(shop, name));
                    }
                }
                Change::End => {
                    for (shop, name) in known.difference(&seen) {
                        note(shop, name, None);
                    }
                    known.clone_from(&seen);
                    seen.clear();
                    tell(&mut synced);
                }
            }
        })
        .await;
    }

    /// Watches objects of one kind, for ever.
    pub async fn objects(self, kind: Kind, synced: Option<Synced>) {
        let mut synced = synced;
        let mut seen = HashSet::new();
        self.follow(
            &kind.resource(),
            Selection::Labelled,
            kind.name(),
            |change| match change {
                Change::Begin => seen.clear(),
                Change::There(object) => {
                    let Some(ShopKey { namespace, name }) = named(&object) else {
                        return;
                    };
                    // Objects with a label of a Shop that they cannot be of are nobody's.
                    let shop = live::shop_of(&object)
                        .filter(|shop| index::owners(&name).any(|owner| owner == shop.name));
                    let key = ObjectKey { kind, name };
                    if kind == Kind::EndpointSlice && !live::is_of_agents(&object) {
                        return;
                    }
                    for robbed in self.index.claimed(&namespace, &key, shop.as_ref()) {
                        self.queue.soon(robbed);
                    }
                    let Some(shop) = shop else { return };
                    seen.insert((shop.clone(), key.name.clone()));
                    if self
                        .index
                        .put_object(&shop, &key, live::live(kind, &object))
                    {
                        self.queue.soon(shop);
                    }
                }
                Change::Gone(object) => {
                    if let (Some(shop), Some(name)) =
                        (live::shop_of(&object), object.metadata.name.clone())
                        && self.index.remove_object(
                            &shop,
                            &ObjectKey { kind, name },
                            live::version(&object),
                        )
                    {
                        self.queue.soon(shop);
                    }
                }
                Change::End => {
                    for shop in self.index.retain(kind, &seen) {
                        self.queue.soon(shop);
                    }
                    seen.clear();
                    tell(&mut synced);
                }
            },
        )
        .await;
    }

    /// Watches pods, for what keeps them from their work, for ever.
    pub async fn pods(self, synced: Synced) {
        let mut synced = Some(synced);
        let mut seen = HashSet::new();
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
        self.follow(
            &resource,
            Selection::Labelled,
            "Pod",
            |change| match change {
                Change::Begin => seen.clear(),
                Change::There(object) => {
                    let (Some(shop), Some(name)) =
                        (live::shop_of(&object), object.metadata.name.clone())
                    else {
                        return;
                    };
                    seen.insert((shop.clone(), name.clone()));
                    if self.index.put_pod(&shop, &name, live::trouble(&object)) {
                        self.queue.soon(shop);
                    }
                }
                Change::Gone(object) => {
                    if let (Some(shop), Some(name)) =
                        (live::shop_of(&object), object.metadata.name.clone())
                        && self.index.put_pod(&shop, &name, None)
                    {
                        self.queue.soon(shop);
                    }
                }
                Change::End => {
                    for shop in self.index.retain_pods(&seen) {
                        self.queue.soon(shop);
                    }
                    seen.clear();
                    tell(&mut synced);
                }
            },
        )
        .await;
    }

    /// Follows one kind. A watch that breaks is begun again, with pauses of its own: a kind that fails delays no other.
    async fn follow(
        &self,
        resource: &ApiResource,
        ours: Selection,
        kind: &'static str,
        mut change: impl FnMut(Change),
    ) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let mut config = watcher::Config::default().page_size(PAGE);
        if ours == Selection::Labelled {
            config = config.labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
        }
        let mut events = watcher(api, config).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => change(Change::Begin),
                Ok(Event::InitApply(object) | Event::Apply(object)) => {
                    change(Change::There(Box::new(object)));
                }
                Ok(Event::Delete(object)) => change(Change::Gone(Box::new(object))),
                Ok(Event::InitDone) => change(Change::End),
                Err(error) => {
                    self.metrics.watch_failed(kind);
                    tracing::warn!(kind, error = %failure::chain(&error), "a watch broke");
                }
            }
        }
    }
}

fn named(object: &DynamicObject) -> Option<ShopKey> {
    Some(ShopKey {
        namespace: object.metadata.namespace.clone()?,
        name: object.metadata.name.clone()?,
    })
}

fn tell(synced: &mut Option<Synced>) {
    if let Some(synced) = synced.take() {
        synced.send(()).ok();
    }
}
