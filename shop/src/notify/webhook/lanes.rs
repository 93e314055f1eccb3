//! One lane for each endpoint: each is drained by itself, and one whose endpoint seems to be down rests, alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::deliver::{LaneHandler, Sender};
use super::store;
use crate::db::{Db, DbError};
use crate::outbox::consumer::{Consumer, ConsumerMetrics, ConsumerSettings, Drained};
use crate::outbox::dispatch::judged;
use crate::outbox::{Backoff, Topic, backlog_of_lanes};

/// How deliveries are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSettings {
    /// How each lane works.
    pub consumer: ConsumerSettings,
    /// How long an endpoint that seems to be down is left alone.
    pub rest: Backoff,
    /// For how many days deliveries are kept that were taken; those that were given up, three times as long.
    pub keep_days: u32,
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self {
            consumer: ConsumerSettings {
                poll: Duration::from_millis(500),
                concurrency: 4,
                lease: Duration::from_mins(1),
                backoff: Backoff {
                    base: Duration::from_secs(5),
                    cap: Duration::from_hours(4),
                },
                attempts: 16,
            },
            rest: Backoff {
                base: Duration::from_secs(2),
                cap: Duration::from_mins(1),
            },
            keep_days: 30,
        }
    }
}

/// A lane that rests.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    times: u32,
    until: Option<Instant>,
}

/// Drains the lanes of all endpoints.
#[derive(Debug)]
pub struct Lanes {
    db: Db,
    sender: Arc<Sender>,
    settings: LaneSettings,
    metrics: ConsumerMetrics,
}

/// How often gauges are read, and old deliveries deleted.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
const PRUNE_EVERY: Duration = Duration::from_mins(10);
const PRUNE_BATCH: u32 = 1000;

impl Lanes {
    /// Lanes on the primary of the database.
    #[must_use]
    pub fn new(sender: Sender, settings: LaneSettings, metrics: ConsumerMetrics) -> Self {
        Self {
            db: sender.db.clone(),
            sender: Arc::new(sender),
            settings,
            metrics,
        }
    }

    /// Works until `stop` turns true and what is under way has ended.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut under_way: JoinSet<(i64, Result<Drained, DbError>)> = JoinSet::new();
        let mut stops: HashMap<i64, watch::Sender<bool>> = HashMap::new();
        let mut troubles: HashMap<i64, Trouble> = HashMap::new();
        let mut measured_at: Option<Instant> = None;
        let mut pruned_at: Option<Instant> = None;
        while !*stop.borrow_and_update() {
            match self.due().await {
                Ok(due) => {
                    for endpoint in due {
                        let rests = troubles
                            .get(&endpoint)
                            .and_then(|trouble| trouble.until)
                            .is_some_and(|until| until > Instant::now());
                        if !rests && !stops.contains_key(&endpoint) {
                            let (lane_stop, stopped) = watch::channel(false);
                            stops.insert(endpoint, lane_stop.clone());
                            let consumer = self.consumer(endpoint, lane_stop);
                            under_way
                                .spawn(async move { (endpoint, consumer.drain(&stopped).await) });
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "endpoints of webhooks could not be read; trying again");
                }
            }
            if measured_at.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
                measured_at = Some(Instant::now());
                if let Err(error) = self.measure().await {
                    tracing::debug!(%error, "the lanes of webhooks could not be measured");
                }
            }
            if pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
                pruned_at = Some(Instant::now());
                match self.prune().await {
                    Ok(0) => {}
                    Ok(rows) => tracing::info!(rows, "old deliveries of webhooks deleted"),
                    Err(error) => {
                        tracing::warn!(%error, "old deliveries of webhooks could not be deleted")
                    }
                }
            }
            tokio::select! {
                Some(ended) = under_way.join_next() => self.ended(ended, &mut stops, &mut troubles),
                () = tokio::time::sleep(self.settings.consumer.poll) => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        for lane in stops.values() {
            lane.send_replace(true);
        }
        while under_way.join_next().await.is_some() {}
    }

    fn ended(
        &self,
        ended: Result<(i64, Result<Drained, DbError>), tokio::task::JoinError>,
        stops: &mut HashMap<i64, watch::Sender<bool>>,
        troubles: &mut HashMap<i64, Trouble>,
    ) {
        let Ok((endpoint, result)) = ended else {
            // A lane that ended in a defect: let all of them begin anew.
            stops.clear();
            return;
        };
        let stopped = stops.remove(&endpoint).is_some_and(|lane| *lane.borrow());
        match result {
            Ok(drained) if drained.done > 0 || !stopped => {
                troubles.remove(&endpoint);
            }
            Ok(_) => {
                let trouble = troubles.entry(endpoint).or_default();
                trouble.times = trouble.times.saturating_add(1);
                let rest = self.settings.rest.jittered(trouble.times);
                trouble.until = Some(Instant::now() + rest);
                tracing::warn!(
                    endpoint,
                    seconds = rest.as_secs(),
                    "an endpoint of webhooks seems to be down and is left alone for a while"
                );
            }
            Err(error) => {
                tracing::warn!(endpoint, %error, "a lane of webhooks could not be read; trying again");
            }
        }
    }

    fn consumer(&self, endpoint: i64, stop: watch::Sender<bool>) -> Consumer {
        Consumer::new(
            self.db.clone(),
            Topic::WEBHOOK.lane(endpoint),
            self.settings.consumer,
            Arc::new(LaneHandler::new(Arc::clone(&self.sender), stop)),
            self.metrics.clone(),
        )
    }

    async fn due(&self) -> Result<Vec<i64>, DbError> {
        let mut primary = self.db.primary().await?;
        let due = store::due(&mut primary.connection).await;
        due.map_err(|error| judged(&primary, error))
    }

    async fn measure(&self) -> Result<(), DbError> {
        let mut primary = self.db.primary().await?;
        let backlog = backlog_of_lanes(&mut primary.connection, Topic::WEBHOOK).await;
        let backlog = backlog.map_err(|error| judged(&primary, error))?;
        self.metrics.show(Topic::WEBHOOK, backlog);
        Ok(())
    }

    async fn prune(&self) -> Result<u64, DbError> {
        let mut primary = self.db.primary().await?;
        let days = self.settings.keep_days;
        let mut rows = 0;
        for (state, days) in [("delivered", days), ("dead", days.saturating_mul(3))] {
            let pruned = store::prune(&mut primary.connection, state, days, PRUNE_BATCH).await;
            rows += pruned.map_err(|error| judged(&primary, error))?;
        }
        Ok(rows)
    }
}
