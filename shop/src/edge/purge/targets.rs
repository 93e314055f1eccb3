//! Which edges there are, and one delivery task for each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::PurgeProvider;
use super::cloudflare::Cloudflare;
use super::cloudfront::CloudFront;
use super::config::{PurgeConfig, VarnishEndpoint};
use super::delivery::{Delivery, DeliverySettings, PurgeMetrics};
use super::fastly::Fastly;
use super::varnish::Varnish;
use crate::db::Db;
use crate::outbound::secret::Secret;
use crate::outbound::{ClientError, http_client};
use crate::outbox::dispatch::advance;
use crate::outbox::{Backoff, ClaimId, store_log};

/// How long a CDN may take to answer one request.
const CDN_DEADLINE: Duration = Duration::from_secs(10);
/// How long a Varnish may take: it is near, and purges from memory.
const VARNISH_DEADLINE: Duration = Duration::from_secs(2);
/// How long a name may take to resolve.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
/// Most addresses used of one name.
const MAXIMUM_ADDRESSES: usize = 256;

/// Delivers the invalidation log to every configured edge. Any number of workers may run; each edge is served by one
/// of them at a time.
pub struct PurgeWorker {
    db: Db,
    settings: DeliverySettings,
    metrics: PurgeMetrics,
    fixed: Vec<(String, Arc<dyn PurgeProvider>)>,
    varnish: Vec<VarnishEndpoint>,
    varnish_token: Option<Secret>,
    varnish_client: Client,
    holder: ClaimId,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl PurgeWorker {
    /// A worker for the configured edges.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        config: PurgeConfig,
        db: Db,
        settings: DeliverySettings,
        metrics: PurgeMetrics,
    ) -> Result<Self, ClientError> {
        let client = http_client(CDN_DEADLINE)?;
        let mut fixed: Vec<(String, Arc<dyn PurgeProvider>)> = Vec::new();
        if let Some(fastly) = config.fastly {
            fixed.push((
                format!("fastly:{}", fastly.service),
                Arc::new(Fastly::new(fastly, client.clone())),
            ));
        }
        if let Some(cloudflare) = config.cloudflare {
            let name = format!("cloudflare:{}", cloudflare.zone);
            fixed.push((name, Arc::new(Cloudflare::new(cloudflare, client.clone()))));
        }
        if let Some(cloudfront) = config.cloudfront {
            let name = format!("cloudfront:{}", cloudfront.distribution);
            fixed.push((name, Arc::new(CloudFront::new(cloudfront, client))));
        }
        Ok(Self {
            db,
            settings,
            metrics,
            fixed,
            varnish: config.varnish,
            varnish_token: config.varnish_token,
            varnish_client: http_client(VARNISH_DEADLINE)?,
            holder: ClaimId::random(),
        })
    }

    /// Works until `stop` turns true. `head` is shared with the dispatcher of this process, which moves it sooner than
    /// this worker can read it.
    pub async fn run(self, head: watch::Sender<i64>, mut stop: watch::Receiver<bool>) {
        let follower = tokio::spawn(follow(
            self.db.clone(),
            head.clone(),
            self.settings.poll,
            stop.clone(),
        ));
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        let mut known: BTreeMap<usize, BTreeSet<SocketAddr>> = BTreeMap::new();
        while !*stop.borrow_and_update() {
            let wanted = self.wanted(&mut known).await;
            let gone: Vec<String> = running
                .iter()
                .filter(|(name, delivery)| {
                    !wanted.contains_key(*name) || delivery.task.is_finished()
                })
                .map(|(name, _)| name.clone())
                .collect();
            for name in gone {
                if let Some(delivery) = running.remove(&name) {
                    tracing::info!(target_name = %name, "this edge is no longer served");
                    self.end(&name, delivery).await;
                }
            }
            for (name, provider) in wanted {
                if !running.contains_key(&name) {
                    running.insert(name.clone(), self.begin(name, provider, &head));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.settings.resolve_every) => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        for delivery in running.values() {
            let _ = delivery.stop.send(true);
        }
        for (name, delivery) in running {
            self.end(&name, delivery).await;
        }
        // It looks at `stop` between two polls.
        let _ = follower.await;
    }

    fn begin(
        &self,
        name: String,
        provider: Arc<dyn PurgeProvider>,
        head: &watch::Sender<i64>,
    ) -> Running {
        let (stop, stopped) = watch::channel(false);
        let delivery = Delivery {
            name,
            provider,
            db: self.db.clone(),
            settings: self.settings,
            metrics: self.metrics.clone(),
            holder: self.holder.clone(),
        };
        Running {
            stop,
            task: tokio::spawn(delivery.run(head.subscribe(), stopped)),
        }
    }

    async fn end(&self, name: &str, delivery: Running) {
        let _ = delivery.stop.send(true);
        if let Err(error) = delivery.task.await {
            tracing::error!(target_name = %name, %error, "the delivery to this edge broke and is begun again");
        }
        self.metrics.forget(name);
    }

    /// The edges that should be served now. A name that does not resolve keeps the addresses it had.
    async fn wanted(
        &self,
        known: &mut BTreeMap<usize, BTreeSet<SocketAddr>>,
    ) -> BTreeMap<String, Arc<dyn PurgeProvider>> {
        let mut wanted: BTreeMap<String, Arc<dyn PurgeProvider>> =
            self.fixed.iter().cloned().collect();
        for (index, endpoint) in self.varnish.iter().enumerate() {
            match resolve(endpoint).await {
                Ok(addresses) => {
                    known.insert(index, addresses);
                }
                Err(error) => tracing::warn!(host = %endpoint.host, %error,
                    "the name of an edge did not resolve: its last known addresses are used"),
            }
            for address in known.get(&index).into_iter().flatten() {
                let varnish = Varnish::new(
                    *address,
                    self.varnish_token.clone(),
                    self.varnish_client.clone(),
                );
                wanted.insert(format!("varnish:{address}"), Arc::new(varnish));
            }
        }
        wanted
    }
}

async fn resolve(endpoint: &VarnishEndpoint) -> Result<BTreeSet<SocketAddr>, std::io::Error> {
    let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
    let addresses: BTreeSet<SocketAddr> = tokio::time::timeout(RESOLVE_DEADLINE, lookup)
        .await??
        .take(MAXIMUM_ADDRESSES)
        .collect();
    if addresses.is_empty() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "it has no address",
        ));
    }
    Ok(addresses)
}

/// Reads the head of the log again and again: other workers append to it too.
async fn follow(db: Db, head: watch::Sender<i64>, poll: Duration, mut stop: watch::Receiver<bool>) {
    let backoff = Backoff {
        base: poll.saturating_mul(2),
        cap: Duration::from_secs(5),
    };
    let mut failures = 0;
    while !*stop.borrow_and_update() {
        let wait = match newest(&db).await {
            Ok(sequence) => {
                failures = 0;
                advance(&head, sequence);
                poll
            }
            Err(error) => {
                failures += 1;
                tracing::debug!(%error, "the head of the invalidation log could not be read");
                backoff.jittered(failures)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

async fn newest(db: &Db) -> Result<i64, crate::db::error::DbError> {
    let mut primary = db.primary().await?;
    let newest = store_log::newest_sequence(&mut primary.connection).await;
    newest.map_err(|error| crate::outbox::dispatch::judged(&primary, error))
}
