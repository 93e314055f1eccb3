//! From the outbox to the invalidation log.
//!
//! 1. Claim due purge rows and commit the claim. What the rows describe was committed before.
//! 2. In one transaction, under the lock of the clock's row: read the primary's executed GTID set, append to the log,
//!    delete the claimed rows. The claim's own commit went through the server's commit queue after the commits of the
//!    rows, so the set contains every one of them; and it contains the sets of all rows before it in the log.
//!
//! A worker that dies in between leaves rows that are due again when the lease ends; one whose commit in 2 was not
//! answered has either done all of it or nothing. Two workers never write the same sequence, and a row that is logged
//! twice costs a purge, never a stale page.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sqlx::MySqlConnection;
use tokio::sync::watch;

use super::{Backoff, ClaimId, ClaimedRow, PurgeKind, PurgePayload, Topic, store, store_log};
use crate::db::error::{DbError, Failure, classify};
use crate::db::{Db, Reader};
use crate::edge::tags::{Tag, TagSet};

/// How the dispatcher works. The defaults fit every shop; tests make them shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DispatchSettings {
    /// How long to wait when the outbox was empty. A page changes at least this late.
    pub poll: Duration,
    /// Most rows claimed at once.
    pub batch: u32,
    /// How long a claim lasts: a dead worker delays its claimed rows by this much.
    pub lease: Duration,
    /// Most tags in one row of the log.
    pub tags_per_entry: usize,
    /// How long the log is kept for readers that are away.
    pub keep: Duration,
    /// How long the log is kept for an edge that is configured but never answers. After that it is purged whole.
    pub keep_at_most: Duration,
    /// How often old rows are deleted.
    pub prune_every: Duration,
    /// Most rows deleted by one statement.
    pub prune_batch: u32,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(75),
            batch: 500,
            lease: Duration::from_secs(1),
            tags_per_entry: 500,
            keep: Duration::from_hours(24),
            keep_at_most: Duration::from_hours(7 * 24),
            prune_every: Duration::from_mins(1),
            prune_batch: 1000,
        }
    }
}

/// One row to append to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was touched, with the coarse tag of each family.
    pub tags: TagSet,
    /// How edges treat it.
    pub kind: PurgeKind,
}

/// What a claimed batch amounts to: hard purges first, each tag once, in rows of at most `tags_per_entry` tags.
///
/// A payload that cannot be read purges everything, softly: it may come from a newer release, and whatever it named
/// must not stay stale.
#[must_use]
pub fn coalesce(rows: &[ClaimedRow], tags_per_entry: usize) -> Vec<Entry> {
    let (mut hard, mut soft) = (TagSet::new(), TagSet::new());
    for row in rows {
        match serde_json::from_value::<PurgePayload>(row.payload.clone()) {
            Ok(PurgePayload {
                tags,
                kind: PurgeKind::Hard,
            }) => hard.extend(tags.for_purge()),
            Ok(PurgePayload {
                tags,
                kind: PurgeKind::Soft,
            }) => soft.extend(tags.for_purge()),
            Err(error) => {
                tracing::error!(id = row.id, aggregate = %row.aggregate, %error,
                    "a purge row cannot be read: everything is purged instead");
                soft.insert(Tag::all());
            }
        }
    }
    for tag in &hard {
        soft.remove(tag);
    }
    let mut entries = Vec::new();
    for (tags, kind) in [(hard, PurgeKind::Hard), (soft, PurgeKind::Soft)] {
        let tags: Vec<Tag> = tags.into_iter().collect();
        for chunk in tags.chunks(tags_per_entry.max(1)) {
            entries.push(Entry {
                tags: chunk.iter().cloned().collect(),
                kind,
            });
        }
    }
    entries
}

/// What one round of the dispatcher did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatched {
    /// How many outbox rows were claimed.
    pub rows: usize,
    /// The newest sequence, when something was appended.
    pub sequence: Option<i64>,
}

/// The gauges of the dispatcher.
#[derive(Debug, Clone, Default)]
pub struct DispatchMetrics {
    pending: Gauge,
    dead: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    sequence: Gauge,
}

impl DispatchMetrics {
    /// Announces the gauges under their public names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "shop_outbox_purge_pending",
            "Changes not yet in the invalidation log",
            self.pending.clone(),
        );
        registry.register(
            "shop_outbox_purge_dead",
            "Changes given up",
            self.dead.clone(),
        );
        registry.register_with_unit(
            "shop_outbox_purge_oldest",
            "Age of the oldest change not yet in the invalidation log",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register(
            "shop_invalidation_sequence",
            "Newest sequence of the log",
            self.sequence.clone(),
        );
    }
}

/// Moves changes from the outbox to the invalidation log. Any number may run at once.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    db: Db,
    settings: DispatchSettings,
    metrics: DispatchMetrics,
}

/// Claimed rows on their way into the log.
#[derive(Debug, Clone)]
pub struct ClaimedBatch {
    claim: ClaimId,
    rows: Vec<ClaimedRow>,
}

impl ClaimedBatch {
    /// How many rows were claimed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was due.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// How often the second half of a round is tried before the rows are left to the end of their lease.
const ATTEMPTS: u32 = 3;
/// How often gauges are read from the database.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// A change that waits longer than this is worth a warning.
const LATE: Duration = Duration::from_secs(10);
/// Most batches deleted in one go, so that pruning never keeps changes waiting.
const PRUNE_ROUNDS: usize = 20;

impl Dispatcher {
    /// A dispatcher on the primary of the database.
    #[must_use]
    pub const fn new(db: Db, settings: DispatchSettings, metrics: DispatchMetrics) -> Self {
        Self {
            db,
            settings,
            metrics,
        }
    }

    /// Step 1: claims what is due, and commits the claim.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn claim(
        &self,
        connection: &mut MySqlConnection,
    ) -> Result<ClaimedBatch, sqlx::Error> {
        let claim = ClaimId::random();
        let rows = store::claim(
            connection,
            Topic::PURGE,
            &claim,
            self.settings.batch,
            self.settings.lease,
        )
        .await?;
        Ok(ClaimedBatch { claim, rows })
    }

    /// Step 2: appends to the log, with the GTID set, and deletes the claimed rows. `None` when the claim was
    /// lost because its lease had ended.
    ///
    /// # Errors
    /// What the database answers; the batch may then be tried again on a fresh connection.
    pub async fn append(
        &self,
        connection: &mut MySqlConnection,
        batch: &ClaimedBatch,
    ) -> Result<Option<i64>, sqlx::Error> {
        let entries = coalesce(&batch.rows, self.settings.tags_per_entry);
        store_log::append(connection, &batch.claim, &entries).await
    }

    /// One round: claims a batch and moves it to the log.
    ///
    /// # Errors
    /// What the database answers. Nothing is lost: the rows are due again when their lease ends.
    pub async fn round(&self) -> Result<Dispatched, DbError> {
        let mut primary = self.db.primary().await?;
        let batch = self
            .claim(&mut primary.connection)
            .await
            .map_err(|error| judged(&primary, error))?;
        if batch.is_empty() {
            return Ok(Dispatched {
                rows: 0,
                sequence: None,
            });
        }
        let mut attempt = 1;
        let sequence = loop {
            match self.append(&mut primary.connection, &batch).await {
                Ok(sequence) => break sequence,
                Err(error) if attempt >= ATTEMPTS => return Err(judged(&primary, error)),
                Err(error) => {
                    tracing::warn!(%error, attempt, "appending to the invalidation log failed and is tried again");
                    let _ = judged(&primary, error);
                    attempt += 1;
                    primary = self.db.primary().await?;
                }
            }
        };
        if let Some(sequence) = sequence {
            self.metrics.sequence.set(sequence);
            tracing::debug!(
                sequence,
                rows = batch.len(),
                "changes appended to the invalidation log"
            );
        }
        Ok(Dispatched {
            rows: batch.len(),
            sequence,
        })
    }

    /// Deletes old rows of the log and forgotten targets, in bounded batches. Says how many log rows went.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn prune(&self) -> Result<u64, DbError> {
        let DispatchSettings {
            keep,
            keep_at_most,
            prune_batch,
            ..
        } = self.settings;
        let mut connection = self.db.primary().await?.connection;
        let mut deleted = 0;
        for _ in 0..PRUNE_ROUNDS {
            let now = store_log::prune(&mut connection, keep, keep_at_most, prune_batch).await?;
            deleted += now;
            if now < u64::from(prune_batch) {
                break;
            }
        }
        Ok(deleted)
    }

    /// Reads the gauges.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn measure(&self) -> Result<store::Backlog, DbError> {
        let mut connection = self.db.primary().await?.connection;
        let backlog = store::backlog(&mut connection, Topic::PURGE).await?;
        let sequence = store_log::newest_sequence(&mut connection).await?;
        self.metrics.pending.set(backlog.pending);
        self.metrics.dead.set(backlog.dead);
        self.metrics.oldest.set(backlog.oldest.as_secs_f64());
        self.metrics.sequence.set(sequence);
        if backlog.oldest > LATE {
            tracing::warn!(
                pending = backlog.pending,
                oldest_seconds = backlog.oldest.as_secs(),
                sequence,
                "changes are waiting long for the invalidation log"
            );
        }
        Ok(backlog)
    }

    /// Works until `stop` turns true. Tells `head` of each sequence it writes, so that deliveries start at once.
    pub async fn run(self, head: watch::Sender<i64>, mut stop: watch::Receiver<bool>) {
        let backoff = Backoff {
            base: self.settings.poll.saturating_mul(2),
            cap: Duration::from_secs(5),
        };
        let mut failures = 0;
        let mut pruned_at: Option<Instant> = None;
        let mut measured_at: Option<Instant> = None;
        while !*stop.borrow_and_update() {
            let wait = match self.round().await {
                Ok(done) => {
                    failures = 0;
                    if let Some(sequence) = done.sequence {
                        advance(&head, sequence);
                    }
                    if done.rows >= usize::try_from(self.settings.batch).unwrap_or(usize::MAX) {
                        Duration::ZERO
                    } else {
                        self.settings.poll
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "dispatching changes failed and will be tried again");
                    backoff.jittered(failures)
                }
            };
            if due(&mut measured_at, MEASURE_EVERY)
                && let Err(error) = self.measure().await
            {
                tracing::debug!(%error, "the outbox could not be measured");
            }
            if due(&mut pruned_at, self.settings.prune_every) {
                match self.prune().await {
                    Ok(0) => {}
                    Ok(rows) => tracing::info!(rows, "old rows of the invalidation log deleted"),
                    Err(error) => {
                        tracing::warn!(%error, "old rows of the invalidation log could not be deleted")
                    }
                }
            }
            if !wait.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    changed = stop.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

/// A failed statement, after telling the topology when it was the server's fault.
pub(crate) fn judged(primary: &Reader, error: sqlx::Error) -> DbError {
    if matches!(classify(&error), Failure::Moved | Failure::Disconnected) {
        primary.suspect();
    }
    error.into()
}

/// Raises the known head of the log; never lowers it.
pub(crate) fn advance(head: &watch::Sender<i64>, sequence: i64) {
    head.send_if_modified(|known| {
        let newer = sequence > *known;
        if newer {
            *known = sequence;
        }
        newer
    });
}

fn due(last: &mut Option<Instant>, every: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    fn row(payload: serde_json::Value) -> ClaimedRow {
        ClaimedRow {
            id: 1,
            aggregate: "p-1".to_owned(),
            payload,
            attempts: 1,
        }
    }

    fn texts(entries: &[Entry]) -> Vec<(PurgeKind, String)> {
        entries
            .iter()
            .map(|entry| (entry.kind, entry.tags.separated_by_spaces()))
            .collect()
    }

    #[test]
    fn a_batch_becomes_one_entry_with_each_tag_once() {
        let rows = [
            row(serde_json::json!({"tags": ["p-1", "c-2"], "kind": "soft"})),
            row(serde_json::json!({"tags": ["p-1"], "kind": "soft"})),
        ];
        assert_eq!(
            texts(&coalesce(&rows, 500)),
            [(PurgeKind::Soft, "c-2 c-any p-1 p-any".to_owned())]
        );
    }

    #[test]
    fn hard_purges_come_first_and_win() {
        let rows = [
            row(serde_json::json!({"tags": ["p-1", "m-menu"], "kind": "soft"})),
            row(serde_json::json!({"tags": ["p-1"], "kind": "hard"})),
        ];
        assert_eq!(
            texts(&coalesce(&rows, 500)),
            [
                (PurgeKind::Hard, "p-1 p-any".to_owned()),
                (PurgeKind::Soft, "m-menu".to_owned())
            ]
        );
    }

    #[test]
    fn many_tags_become_several_entries() {
        let tags: BTreeSet<String> = (0..10).map(|id| format!("p-{id}")).collect();
        let entries = coalesce(&[row(serde_json::json!({"tags": tags, "kind": "soft"}))], 4);
        assert_eq!(
            entries
                .iter()
                .map(|entry| entry.tags.len())
                .collect::<Vec<_>>(),
            [4, 4, 3]
        );
    }

    #[test]
    fn what_cannot_be_read_purges_everything() {
        let rows = [
            row(serde_json::json!({"tagz": 1})),
            row(serde_json::json!({"tags": ["p-1"], "kind": "soft"})),
        ];
        assert_eq!(
            texts(&coalesce(&rows, 500)),
            [(PurgeKind::Soft, "all p-1 p-any".to_owned())]
        );
    }
}
