//! Carries out the rows of a topic, one by one, in order for each aggregate.
//!
//! Any number of workers run a [`Consumer`] of the same topic. Each claims the first undone rows of as many aggregates as
//! it has free hands, with a lease that outlasts the deadline of its [`Handler`]. A row that failed waits, with the rows
//! behind it, for a pause that doubles; after its last attempt it is given up: it stays, with its error, as a dead letter
//! ([`super::dead`]), and those behind it go on.
//!
//! At least once: a worker may die between the effect and the deletion of the row. Handlers therefore either repeat
//! recognisably, or commit their effect and the deletion together ([`Handled::Committed`]).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dispatch::judged;
use super::{Backoff, ClaimId, ClaimedRow, Topic, store};
use crate::db::{Db, DbError};

/// A row, and the proof that it is this worker's.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The row.
    pub row: ClaimedRow,
    /// Under which claim it is held.
    pub claim: ClaimId,
    /// Whether it is given up if it fails this time.
    pub last_attempt: bool,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// It is done; the consumer deletes it.
    Done,
    /// It is done, and the handler has deleted it in the transaction of its effect ([`super::complete`]).
    Committed,
    /// It failed for a reason that may pass. The text goes to `last_error`.
    Failed(String),
    /// It failed for a reason that may pass, not before this time.
    FailedFor(Duration, String),
    /// It can never be done.
    Hopeless(String),
}

/// Carries out one row. It must end by itself within the lease of its consumer.
pub trait Handler: Send + Sync + 'static {
    /// Does what the row says.
    fn handle<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Handled> + Send + 'a>>;
}

/// How a consumer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// How long to wait when nothing was due.
    pub poll: Duration,
    /// Most rows carried out at once.
    pub concurrency: u32,
    /// How long a claim lasts: a dead worker delays its rows by this much. Longer than the handler's deadline.
    pub lease: Duration,
    /// The pauses between attempts.
    pub backoff: Backoff,
    /// How often a row is tried before it is given up.
    pub attempts: i32,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(250),
            concurrency: 8,
            lease: Duration::from_mins(2),
            backoff: Backoff {
                base: Duration::from_secs(5),
                cap: Duration::from_mins(30),
            },
            attempts: 14,
        }
    }
}

/// The label of what is counted by topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTopic {
    topic: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    topic: &'static str,
    result: &'static str,
}

/// What is measured of all consumers of a process.
#[derive(Debug, Clone, Default)]
pub struct ConsumerMetrics {
    pending: Family<ByTopic, Gauge>,
    dead: Family<ByTopic, Gauge>,
    oldest: Family<ByTopic, Gauge<f64, AtomicU64>>,
    handled: Family<ByResult, Counter>,
}

impl ConsumerMetrics {
    /// Announces the metrics under their public names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "shop_outbox_pending",
            "Rows that wait to be carried out, by topic",
            self.pending.clone(),
        );
        registry.register(
            "shop_outbox_dead",
            "Rows that were given up, by topic",
            self.dead.clone(),
        );
        registry.register_with_unit(
            "shop_outbox_oldest",
            "Age of the oldest row that waits, by topic",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register(
            "shop_outbox_handled",
            "Attempts to carry out a row, by topic and result",
            self.handled.clone(),
        );
    }

    /// Shows what waits in a topic.
    pub fn show(&self, topic: Topic, backlog: store::Backlog) {
        let label = ByTopic {
            topic: topic.name(),
        };
        self.pending.get_or_create(&label).set(backlog.pending);
        self.dead.get_or_create(&label).set(backlog.dead);
        self.oldest
            .get_or_create(&label)
            .set(backlog.oldest.as_secs_f64());
    }

    fn count(&self, topic: Topic, result: &'static str) {
        self.handled
            .get_or_create(&ByResult {
                topic: topic.name(),
                result,
            })
            .inc();
    }
}

/// What one drain of a topic did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Rows that are done.
    pub done: u32,
    /// Attempts that failed, given up or not.
    pub failed: u32,
}

/// Carries out the rows of one topic, or of one lane of it.
#[derive(Clone)]
pub struct Consumer {
    db: Db,
    topic: Topic,
    settings: ConsumerSettings,
    handler: Arc<dyn Handler>,
    metrics: ConsumerMetrics,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Consumer")
            .field("topic", &self.topic)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// How often gauges are read from the database.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How often a row's outcome is written before it is left to the end of its lease.
const SETTLE_ATTEMPTS: u32 = 3;

impl Consumer {
    /// A consumer on the primary of the database.
    #[must_use]
    pub fn new(
        db: Db,
        topic: Topic,
        settings: ConsumerSettings,
        handler: Arc<dyn Handler>,
        metrics: ConsumerMetrics,
    ) -> Self {
        Self {
            db,
            topic,
            settings,
            handler,
            metrics,
        }
    }

    /// Claims up to `limit` rows, each the first of its aggregate.
    async fn claim(&self, limit: u32) -> Result<Vec<Claimed>, DbError> {
        let claim = ClaimId::random();
        let mut primary = self.db.primary().await?;
        let rows = store::claim_in_order(
            &mut primary.connection,
            self.topic,
            &claim,
            limit,
            self.settings.lease,
        )
        .await
        .map_err(|error| judged(&primary, error))?;
        Ok(rows
            .into_iter()
            .map(|row| Claimed {
                last_attempt: row.attempts >= self.settings.attempts,
                row,
                claim: claim.clone(),
            })
            .collect())
    }

    /// Carries out one row and writes what became of it. True when it is done.
    async fn carry_out(self, claimed: Claimed) -> bool {
        let Claimed { row, claim, .. } = &claimed;
        // A row that has used up its attempts without an answer has ended every worker that took it.
        let handled = if row.attempts > self.settings.attempts {
            Handled::Hopeless("no worker that took it came to an end".to_owned())
        } else {
            self.handler.handle(&claimed).await
        };
        let topic = self.topic.name();
        let (result, verdict) = match handled {
            Handled::Committed => {
                self.metrics.count(self.topic, "done");
                return true;
            }
            Handled::Done => ("done", Verdict::Complete),
            Handled::Hopeless(error) => ("dead", Verdict::Bury(error)),
            Handled::Failed(error) | Handled::FailedFor(_, error) if claimed.last_attempt => {
                ("dead", Verdict::Bury(error))
            }
            Handled::Failed(error) => {
                let failures = u32::try_from(row.attempts).unwrap_or(1);
                let pause = self.settings.backoff.jittered(failures);
                ("retried", Verdict::Retry(pause, error))
            }
            Handled::FailedFor(pause, error) => ("retried", Verdict::Retry(pause, error)),
        };
        match &verdict {
            Verdict::Complete => {}
            Verdict::Retry(pause, error) => tracing::warn!(
                topic, id = row.id, aggregate = %row.aggregate, attempt = row.attempts,
                again_in_seconds = pause.as_secs(), error,
                "a row of the outbox failed and will be tried again"
            ),
            Verdict::Bury(error) => tracing::error!(
                topic, id = row.id, aggregate = %row.aggregate, attempts = row.attempts, error,
                "a row of the outbox was given up; `panono-shop outbox` lists and replays such rows"
            ),
        }
        self.metrics.count(self.topic, result);
        self.settle(row.id, claim, &verdict).await;
        matches!(verdict, Verdict::Complete)
    }

    async fn settle(&self, id: i64, claim: &ClaimId, verdict: &Verdict) {
        for attempt in 1..=SETTLE_ATTEMPTS {
            let settled: Result<bool, DbError> = async {
                let mut primary = self.db.primary().await?;
                let connection = &mut primary.connection;
                let settled = match verdict {
                    Verdict::Complete => store::complete(connection, id, claim).await,
                    Verdict::Retry(pause, error) => {
                        store::retry(connection, id, claim, *pause, error).await
                    }
                    Verdict::Bury(error) => store::bury(connection, id, claim, error).await,
                };
                settled.map_err(|error| judged(&primary, error))
            }
            .await;
            match settled {
                Ok(true) => return,
                Ok(false) if attempt > 1 => return,
                Ok(false) => {
                    tracing::warn!(
                        topic = self.topic.name(),
                        id,
                        "a row took longer than its lease; another worker may repeat it"
                    );
                    return;
                }
                Err(error) => {
                    tracing::warn!(topic = self.topic.name(), id, attempt, %error,
                        "what became of a row of the outbox could not be written");
                }
            }
        }
    }

    /// Carries out everything that is due, and what becomes due behind it, until nothing is or `stop` turns true.
    ///
    /// # Errors
    /// What the database answers to a claim. Rows under way are ended first.
    pub async fn drain(&self, stop: &watch::Receiver<bool>) -> Result<Drained, DbError> {
        let mut drained = Drained::default();
        let mut under_way: JoinSet<bool> = JoinSet::new();
        let most = usize::try_from(self.settings.concurrency.max(1)).unwrap_or(usize::MAX);
        let mut failure = None;
        loop {
            let free = most.saturating_sub(under_way.len());
            if free > 0 && failure.is_none() && !*stop.borrow() {
                match self.claim(u32::try_from(free).unwrap_or(1)).await {
                    Ok(rows) => {
                        for claimed in rows {
                            under_way.spawn(self.clone().carry_out(claimed));
                        }
                    }
                    Err(error) => failure = Some(error),
                }
            }
            // What arrives while slow rows are under way does not wait for them.
            let ended = tokio::select! {
                ended = under_way.join_next() => ended,
                () = tokio::time::sleep(self.settings.poll) => continue,
            };
            match ended {
                None => break,
                Some(Ok(true)) => drained.done += 1,
                Some(Ok(false) | Err(_)) => drained.failed += 1,
            }
        }
        failure.map_or(Ok(drained), Err)
    }

    /// Reads what waits in the topic and shows it.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn measure(&self) -> Result<store::Backlog, DbError> {
        let mut primary = self.db.primary().await?;
        let backlog = store::backlog(&mut primary.connection, self.topic)
            .await
            .map_err(|error| judged(&primary, error))?;
        self.metrics.show(self.topic, backlog);
        Ok(backlog)
    }

    async fn keep_measuring(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow_and_update() {
            if let Err(error) = self.measure().await {
                tracing::debug!(topic = self.topic.name(), %error, "the outbox could not be measured");
            }
            tokio::select! {
                () = tokio::time::sleep(MEASURE_EVERY) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Works until `stop` turns true and what is under way has ended.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let trouble = Backoff {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(10),
        };
        let mut failures = 0;
        tokio::spawn(self.clone().keep_measuring(stop.clone()));
        while !*stop.borrow_and_update() {
            let wait = match self.drain(&stop).await {
                Ok(_) => {
                    failures = 0;
                    self.settings.poll
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(topic = self.topic.name(), %error, failures,
                        "the outbox could not be read and will be tried again");
                    trouble.jittered(failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }
}

enum Verdict {
    Complete,
    Retry(Duration, String),
    Bury(String),
}
