//! The judge of all cached answers: follows the invalidation log and knows which sequence last touched each tag.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::page::{Page, hash_tag};
use super::store::{self, Invalidation};
use crate::db::{Db, Floor};

/// Tags remembered at most (some 5 MiB). Beyond it the older half is forgotten, with every entry from before it.
const MAXIMUM_TAGS: usize = 200_000;
/// A log that was not reached for this long may hold changes that we do not know of.
const BEHIND_AFTER: Duration = Duration::from_secs(2);
/// How long a request waits for the log when it must be newer than we are.
const CATCH_UP_LIMIT: Duration = Duration::from_millis(750);
/// Rows of the log that are read when the process starts, so that entries of L2 can be judged.
const INITIAL_ROWS: i64 = 5_000;

/// See the module.
#[derive(Debug)]
pub struct Freshness {
    sequence: AtomicI64,
    known: RwLock<Known>,
    started: Instant,
    last_contact: AtomicU64,
    wake: Notify,
    polls_begun: AtomicU64,
    polls_ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    /// Entries made before this sequence cannot be judged.
    horizon: i64,
    everything: Touched,
    tags: HashMap<u64, Touched>,
}

/// The sequences at which a tag was touched last; 0 is before any.
#[derive(Debug, Clone, Copy, Default)]
struct Touched {
    /// Softly or hard.
    last: i64,
    /// Hard: what was made before must not be shown any more.
    hard: i64,
}

impl Touched {
    fn touch(&mut self, row: &Invalidation) {
        self.last = row.sequence;
        if !row.soft {
            self.hard = row.sequence;
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Self::new()
    }
}

impl Freshness {
    /// A judge who has not read the log yet: he is behind, and calls nothing right that was made before sequence 0.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sequence: AtomicI64::new(0),
            known: RwLock::default(),
            started: Instant::now(),
            last_contact: AtomicU64::new(0),
            wake: Notify::new(),
            polls_begun: AtomicU64::new(0),
            polls_ended: watch::Sender::new(0),
        }
    }

    /// The newest sequence that was read.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Whether the log was not reached lately.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let last = self.last_contact.load(Ordering::Relaxed);
        last == 0 || u128::from(self.millis().saturating_sub(last)) > BEHIND_AFTER.as_millis()
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The sequence up to which a page is right, or nothing if a later change touched it.
    #[must_use]
    pub fn judge(&self, page: &Page) -> Option<i64> {
        let now = self.sequence();
        let checked = page.checked_at();
        if checked >= now {
            return Some(checked);
        }
        if self.is_right(page.made_at, &page.tag_hashes) {
            page.set_checked_at(now);
            Some(now)
        } else {
            None
        }
    }

    /// Whether nothing that an entry was made of has changed since `made_at`.
    #[must_use]
    pub fn is_right(&self, made_at: i64, tag_hashes: &[u64]) -> bool {
        self.is_untouched(made_at, tag_hashes, |touched| touched.last)
    }

    /// Whether a page may be shown though it is not right, while none can be made: nothing that it was made of has been
    /// taken down since.
    #[must_use]
    pub fn may_stand_in(&self, page: &Page) -> bool {
        self.is_untouched(page.made_at, &page.tag_hashes, |touched| touched.hard)
    }

    fn is_untouched(&self, made_at: i64, tag_hashes: &[u64], at: fn(&Touched) -> i64) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        made_at >= known.horizon
            && made_at >= at(&known.everything)
            && tag_hashes
                .iter()
                .all(|tag| known.tags.get(tag).map_or(0, at) <= made_at)
    }

    /// Takes in rows of the log, oldest first.
    pub(super) fn learn(&self, rows: &[Invalidation]) {
        let Some(last) = rows.last() else { return };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = self.sequence();
        if let Some(first) = rows.first()
            && first.sequence > before + 1
        {
            // Rows between were pruned before we read them (or this is the start): what is older cannot be judged.
            known.horizon = known.horizon.max(first.sequence - 1);
        }
        for row in rows {
            for tag in &row.tags {
                if tag == "all" {
                    known.everything.touch(row);
                } else {
                    known.tags.entry(hash_tag(tag)).or_default().touch(row);
                }
            }
        }
        if known.tags.len() > MAXIMUM_TAGS {
            known.forget_older_half();
        }
        // Within the lock: whoever reads the new sequence must find the tags that go with it.
        self.sequence.store(last.sequence, Ordering::Release);
    }

    /// Waits until the log was read by a query that began after this call, if that makes us as new as `floor`.
    pub async fn catch_up(&self, floor: i64) {
        let mut ended = self.polls_ended.subscribe();
        let needed = self.polls_begun.load(Ordering::Acquire) + 1;
        self.wake.notify_one();
        // A timeout round a watch, not round a statement.
        let _ = tokio::time::timeout(CATCH_UP_LIMIT, async {
            while self.sequence() < floor {
                if *ended.borrow_and_update() >= needed || ended.changed().await.is_err() {
                    return;
                }
            }
        })
        .await;
    }

    /// Follows the log until the last other owner is gone. Asks every `interval`, and at once when someone has to catch up.
    pub async fn follow(self: Arc<Self>, db: Db, interval: Duration) {
        let mut initial = true;
        while Arc::strong_count(&self) > 1 {
            let poll = self.polls_begun.fetch_add(1, Ordering::AcqRel) + 1;
            match self.poll(&db, &mut initial).await {
                Ok(()) => {
                    let was_behind = self.is_behind();
                    self.last_contact
                        .store(self.millis().max(1), Ordering::Relaxed);
                    if was_behind {
                        tracing::info!(
                            sequence = self.sequence(),
                            "following the invalidation log"
                        );
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the invalidation log could not be read");
                }
            }
            self.polls_ended.send_replace(poll);
            let _ = tokio::time::timeout(interval, self.wake.notified()).await;
        }
    }

    async fn poll(&self, db: &Db, initial: &mut bool) -> Result<(), crate::db::DbError> {
        loop {
            let mut reader = db.primary().await?;
            let result = if *initial {
                store::newest(&mut reader.connection, INITIAL_ROWS).await
            } else {
                store::after(&mut reader.connection, self.sequence()).await
            };
            let rows = match result {
                Ok(rows) => rows,
                Err(error) => {
                    reader.suspect();
                    return Err(error.into());
                }
            };
            *initial = false;
            self.learn(&rows);
            match rows.last() {
                Some(last) => {
                    db.set_floor(Floor {
                        sequence: last.sequence,
                        gtid: last.gtid.clone(),
                    });
                    if rows.len() < store::BATCH {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            }
        }
    }
}

impl Known {
    fn forget_older_half(&mut self) {
        let mut sequences: Vec<i64> = self.tags.values().map(|touched| touched.last).collect();
        let middle = sequences.len() / 2;
        let (_, median, _) = sequences.select_nth_unstable(middle);
        let median = *median;
        self.tags.retain(|_, touched| touched.last > median);
        self.horizon = self.horizon.max(median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: i64, tags: &[&str]) -> Invalidation {
        Invalidation {
            sequence,
            gtid: String::new(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            soft: true,
        }
    }

    fn right(freshness: &Freshness, made_at: i64, tag: &str) -> bool {
        freshness.is_right(made_at, &[hash_tag(tag)])
    }

    #[test]
    fn an_entry_is_right_until_one_of_its_tags_changes_after_it_was_begun() {
        let freshness = Freshness::new();
        freshness.learn(&[row(1, &["p-1"]), row(2, &["p-2"])]);
        assert!(right(&freshness, 0, "p-3"));
        assert!(!right(&freshness, 0, "p-1"));
        assert!(right(&freshness, 1, "p-1"));
        assert!(!right(&freshness, 1, "p-2"));
    }

    #[test]
    fn everything_touches_entries_without_that_tag() {
        let freshness = Freshness::new();
        freshness.learn(&[row(1, &["all"])]);
        assert!(!right(&freshness, 0, "p-3"));
        assert!(right(&freshness, 1, "p-3"));
    }

    #[test]
    fn after_a_gap_in_the_log_nothing_older_is_trusted() {
        let freshness = Freshness::new();
        freshness.learn(&[row(1, &["p-1"])]);
        freshness.learn(&[row(9, &["p-2"])]);
        assert!(!right(&freshness, 7, "p-5"));
        assert!(right(&freshness, 8, "p-5"));
    }

    #[test]
    fn forgetting_tags_forgets_the_entries_that_they_could_judge() {
        let mut known = Known::default();
        for sequence in 1..=10 {
            let changed = row(sequence, &[]);
            let tag = hash_tag(&format!("p-{sequence}"));
            known.tags.entry(tag).or_default().touch(&changed);
        }
        known.forget_older_half();
        assert_eq!(known.horizon, 6);
        assert_eq!(known.tags.len(), 4);
    }

    #[test]
    fn a_judge_who_never_reached_the_log_is_behind() {
        assert!(Freshness::new().is_behind());
    }
}
