//! One edge: reads the log behind its cursors, sends, moves the cursors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sqlx::MySqlConnection;
use tokio::sync::watch;

use super::plan::{Cursors, Round};
use super::{PurgeError, PurgeProvider, store};
use crate::db::Db;
use crate::db::error::DbError;
use crate::outbox::dispatch::judged;
use crate::outbox::{Backoff, ClaimId, PurgeKind, store_log};

/// How deliveries work. The defaults fit every shop; tests make them shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverySettings {
    /// When a row of the log is sent a second time. A process follows the log within 2 s or gives its answers a
    /// lifetime of 1 s, so nothing older than the row is stored later than this.
    pub repeat_after: Duration,
    /// How long a dead worker keeps its edges from the others. Longer than any one request with its wait.
    pub lease: Duration,
    /// The waits after failures.
    pub backoff: Backoff,
    /// How often names of Varnish are resolved.
    pub resolve_every: Duration,
    /// How often the head of the log is read.
    pub poll: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            repeat_after: Duration::from_secs(3),
            lease: Duration::from_secs(30),
            backoff: Backoff {
                base: Duration::from_millis(200),
                cap: Duration::from_secs(30),
            },
            resolve_every: Duration::from_secs(5),
            poll: Duration::from_millis(75),
        }
    }
}

type Label = Vec<(&'static str, String)>;

/// Metrics of the deliveries, by target.
#[derive(Debug, Clone, Default)]
pub struct PurgeMetrics {
    behind: Family<Label, Gauge>,
    requests: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    whole: Family<Label, Counter>,
}

impl PurgeMetrics {
    /// Announces the metrics under their public names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "shop_purge_behind",
            "Sequences that an edge has not acknowledged yet",
            self.behind.clone(),
        );
        registry.register(
            "shop_purge_requests",
            "Purge requests acknowledged",
            self.requests.clone(),
        );
        registry.register(
            "shop_purge_failures",
            "Purge requests not acknowledged",
            self.failures.clone(),
        );
        registry.register(
            "shop_purge_whole",
            "Purges of everything at one edge",
            self.whole.clone(),
        );
    }

    pub(super) fn forget(&self, name: &str) {
        self.behind.remove(&label(name));
    }
}

fn label(name: &str) -> Label {
    vec![("target", name.to_owned())]
}

/// The delivery to one edge.
pub(super) struct Delivery {
    pub(super) name: String,
    pub(super) provider: Arc<dyn PurgeProvider>,
    pub(super) db: Db,
    pub(super) settings: DeliverySettings,
    pub(super) metrics: PurgeMetrics,
    pub(super) holder: ClaimId,
}

/// What a delivery does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// There may be more.
    AtOnce,
    /// Wait for the log to grow, at most this long.
    Wait(Duration),
}

/// Why a round did not end well.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error("the database failed: {0}")]
    Database(#[from] DbError),
    #[error(transparent)]
    Edge(#[from] PurgeError),
}

/// Rows read by one statement, and statements per round: together more than any edge takes without a whole purge.
const PAGE: u32 = 200;
const PAGES: usize = 50;

impl Delivery {
    /// Works until `stop` turns true.
    pub(super) async fn run(self, mut head: watch::Receiver<i64>, mut stop: watch::Receiver<bool>) {
        let mut failures: u32 = 0;
        while !*stop.borrow_and_update() {
            head.mark_unchanged();
            let (wait, wakes) = match self.round().await {
                Ok(Next::AtOnce) => {
                    failures = 0;
                    continue;
                }
                Ok(Next::Wait(wait)) => {
                    failures = 0;
                    (wait, true)
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    (self.note_failure(&error, failures).await, false)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = head.changed(), if wakes => if changed.is_err() { break },
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        if let Ok(mut primary) = self.db.primary().await {
            // Otherwise the lease ends by itself.
            let _ = store::release(&mut primary.connection, &self.name, &self.holder).await;
        }
    }

    async fn note_failure(&self, error: &DeliveryError, failures: u32) -> Duration {
        let wait = self.settings.backoff.jittered(failures);
        let wait = match error {
            DeliveryError::Edge(PurgeError::Throttled {
                retry_after: Some(asked),
                ..
            }) => (*asked).max(wait),
            DeliveryError::Edge(_) | DeliveryError::Database(_) => wait,
        };
        tracing::warn!(target_name = %self.name, %error, failures, wait_milliseconds = wait.as_millis(),
            "a purge was not acknowledged and will be sent again");
        if let DeliveryError::Edge(error) = error {
            self.metrics
                .failures
                .get_or_create(&label(&self.name))
                .inc();
            if let Ok(mut primary) = self.db.primary().await {
                let text = error.to_string();
                let _ =
                    store::failed(&mut primary.connection, &self.name, &self.holder, &text).await;
            }
        }
        wait
    }

    async fn round(&self) -> Result<Next, DeliveryError> {
        let heartbeat = self.settings.lease / 3;
        let Some(cursors) = self.hold().await? else {
            return Ok(Next::Wait(self.watch_interval().await?.min(heartbeat)));
        };
        let round = self.plan(cursors).await?;
        let unchanged =
            cursors.acknowledged == Some(round.acknowledged) && cursors.repeated == round.repeated;
        if unchanged && round.tags() == 0 {
            // Young rows wait for their second time; otherwise nothing happens until the log grows.
            let young = round.repeated < round.acknowledged;
            let wait = if young {
                self.settings.repeat_after / 4
            } else {
                heartbeat
            };
            return Ok(Next::Wait(wait.min(heartbeat)));
        }
        if !self.send(&round).await? {
            return Ok(Next::Wait(heartbeat));
        }
        let mut primary = self.db.primary().await?;
        let kept = store::acknowledge(
            &mut primary.connection,
            &self.name,
            &self.holder,
            round.acknowledged,
            round.repeated,
        )
        .await
        .map_err(|error| judged(&primary, error))?;
        tracing::debug!(target_name = %self.name, acknowledged = round.acknowledged, repeated = round.repeated,
            tags = round.tags(), "purge acknowledged");
        Ok(if kept {
            Next::AtOnce
        } else {
            Next::Wait(heartbeat)
        })
    }

    async fn hold(&self) -> Result<Option<Cursors>, DbError> {
        let mut primary = self.db.primary().await?;
        store::hold(
            &mut primary.connection,
            &self.name,
            &self.holder,
            self.settings.lease,
            self.provider.patience(),
        )
        .await
        .map_err(|error| judged(&primary, error))
    }

    /// When to look again at a target that another worker has: soon while something waits there.
    async fn watch_interval(&self) -> Result<Duration, DbError> {
        let mut primary = self.db.primary().await?;
        let waiting = store::is_waiting(&mut primary.connection, &self.name)
            .await
            .map_err(|error| judged(&primary, error))?;
        Ok(if waiting {
            self.provider.patience()
        } else {
            self.settings.lease
        })
    }

    /// Reads what is due. An edge that is new, or behind the beginning of the log, or ahead of its end (after a restore
    /// of the database), or very far behind, is purged whole.
    async fn plan(&self, cursors: Cursors) -> Result<Round, DbError> {
        let mut primary = self.db.primary().await?;
        let settle = self.settings.repeat_after;
        let connection = &mut primary.connection;
        let head = store_log::newest_sequence(connection).await?;
        self.metrics.behind.get_or_create(&label(&self.name)).set(
            head.saturating_sub(cursors.acknowledged.unwrap_or(0))
                .max(0),
        );
        let Some(acknowledged) = cursors
            .acknowledged
            .filter(|acknowledged| *acknowledged <= head)
        else {
            return self.whole(connection, PurgeKind::Soft, head).await;
        };
        let most = self.provider.limits().whole_above;
        let mut round = Round::begin(acknowledged, cursors.repeated);
        let mut read = cursors.repeated;
        for _ in 0..PAGES {
            let rows = store::log_rows(connection, read, settle, PAGE).await?;
            if rows.is_empty() && read >= head {
                return Ok(round);
            }
            if rows.is_empty() {
                // The end of the log is missing, and with it what it asked for.
                return self.whole(connection, PurgeKind::Hard, head).await;
            }
            for row in rows {
                let (sequence, expected) = (row.sequence, read + 1);
                if !round.add(row, expected) {
                    return self.whole(connection, PurgeKind::Hard, head).await;
                }
                read = sequence;
            }
            if round.tags() > most {
                break;
            }
        }
        let hard = store::any_hard(connection, cursors.repeated, head).await?;
        let kind = if hard {
            PurgeKind::Hard
        } else {
            PurgeKind::Soft
        };
        self.whole(connection, kind, head).await
    }

    async fn whole(
        &self,
        connection: &mut MySqlConnection,
        kind: PurgeKind,
        head: i64,
    ) -> Result<Round, DbError> {
        tracing::info!(target_name = %self.name, sequence = head, kind = kind.name(),
            "this edge is new or too far behind: purging everything there");
        self.metrics.whole.get_or_create(&label(&self.name)).inc();
        let settled = store::settled_sequence(connection, self.settings.repeat_after, head).await?;
        Ok(Round::whole(kind, head, settled))
    }

    /// Sends every request of the round. False when another worker has taken the target meanwhile.
    async fn send(&self, round: &Round) -> Result<bool, DeliveryError> {
        let mut held_at = Instant::now();
        for batch in round.batches(self.provider.limits()) {
            if held_at.elapsed() > self.settings.lease / 3 {
                if self.hold().await?.is_none() {
                    return Ok(false);
                }
                held_at = Instant::now();
            }
            self.provider.purge(&batch).await?;
            self.metrics
                .requests
                .get_or_create(&label(&self.name))
                .inc();
        }
        Ok(true)
    }
}
