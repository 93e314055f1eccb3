//! Prices and publications that were scheduled take effect: derived tables follow, and caches are told.
//!
//! Cached answers end by themselves at the next scheduled change; the purge is for listings and for whoever cached longer.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::catalog::index;
use crate::catalog::model::{Currency, Locale};
use crate::db::{Db, DbError};
use crate::edge::tags::{Tag, TagSet};
use crate::outbox::{PurgeKind, enqueue_purge};

use super::store;

/// Each change is looked at twice: when it is due; and again a minute later, since a transaction that was open at that moment
/// may have brought it, or derived without it, too late for the first look.
const LOOKS: [Look; 2] = [
    Look {
        job: "transitions",
        behind: Duration::ZERO,
    },
    Look {
        job: "transitions-again",
        behind: Duration::from_secs(60),
    },
];
/// Products handled in one transaction.
const BATCH: u32 = 200;
/// How often due changes are looked for.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often counts are brought up to date, and how many categories at once.
const RECOUNT_INTERVAL: Duration = Duration::from_secs(2);
const RECOUNT_BATCH: u32 = 50;
/// Categories with more products than this keep their facet counts in a table.
pub const FACET_THRESHOLD: i64 = 20_000;

/// A look at what is due, with progress of its own.
#[derive(Debug, Clone, Copy)]
struct Look {
    job: &'static str,
    /// How long after its moment a change is looked at.
    behind: Duration,
}

/// The job.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The database.
    pub db: Db,
    /// Currencies of the shop.
    pub currencies: Vec<Currency>,
    /// Locales of the shop, the default first.
    pub locales: Vec<Locale>,
}

impl Look {
    const fn is_first(self) -> bool {
        self.behind.is_zero()
    }
}

impl Schedule {
    /// Runs until told to stop. Any number of workers may: the job's row is locked while a batch is handled.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut recounted = std::time::Instant::now();
        while !*stop.borrow_and_update() {
            match self.round(OffsetDateTime::now_utc()).await {
                Ok(0) => {}
                Ok(products) => tracing::info!(products, "scheduled changes took effect"),
                Err(error) => tracing::warn!(
                    error = crate::web::error::chain(&error),
                    "scheduled changes could not be applied; trying again"
                ),
            }
            if recounted.elapsed() >= RECOUNT_INTERVAL {
                recounted = std::time::Instant::now();
                if let Err(error) = self.recount().await {
                    tracing::warn!(
                        error = crate::web::error::chain(&error),
                        "categories could not be counted; trying again"
                    );
                }
            }
            let _ = tokio::time::timeout(INTERVAL, stop.changed()).await;
        }
    }

    /// Applies everything that is due until `now`. Answers how many products it concerned for the first time.
    ///
    /// # Errors
    /// Those of the database; what was applied before stays applied.
    pub async fn round(&self, now: OffsetDateTime) -> Result<usize, DbError> {
        let mut total = 0;
        for look in LOOKS {
            let mut after = 0;
            loop {
                let job = self.clone();
                let handled = self
                    .db
                    .transaction(move |connection| {
                        let job = job.clone();
                        Box::pin(async move { job.batch(connection, look, now, after).await })
                    })
                    .await?;
                if look.is_first() {
                    total += handled.len();
                }
                match handled.last() {
                    Some(last) if handled.len() >= BATCH as usize => after = *last,
                    _ => break,
                }
            }
        }
        Ok(total)
    }

    async fn batch(
        &self,
        connection: &mut sqlx::MySqlConnection,
        look: Look,
        now: OffsetDateTime,
        after: i64,
    ) -> Result<Vec<i64>, DbError> {
        let until = now - look.behind;
        let since = store::lock(connection, look.job, until).await?;
        if since >= until {
            return Ok(Vec::new());
        }
        let products = index::due_transitions(connection, since, until, after, BATCH).await?;
        if !products.is_empty() {
            let reindexed = index::reindex(
                connection,
                &self.currencies,
                &self.locales,
                index::clock_from(now),
                &products,
            )
            .await?;
            // A product's own page may change where nothing that is derived does. Who brought a change late purged that himself.
            let changed: Vec<i64> = if look.is_first() {
                products.clone()
            } else {
                reindexed.products.iter().copied().collect()
            };
            let tags: TagSet = changed
                .into_iter()
                .map(Tag::product)
                .chain(reindexed.categories().into_iter().map(Tag::category))
                .collect();
            enqueue_purge(connection, &tags, PurgeKind::Soft).await?;
        }
        if products.len() < BATCH as usize {
            store::advance(connection, look.job, until).await?;
        }
        Ok(products)
    }

    async fn recount(&self) -> Result<(), DbError> {
        let mut primary = self.db.primary().await?;
        let changed = match index::recount_due_categories(
            &mut primary.connection,
            FACET_THRESHOLD,
            RECOUNT_BATCH,
        )
        .await
        {
            Ok(changed) => changed,
            Err(error) => {
                primary.suspect();
                return Err(error.into());
            }
        };
        drop(primary);
        if changed.is_empty() {
            return Ok(());
        }
        let tags: TagSet = changed.into_iter().map(Tag::category).collect();
        self.db
            .transaction(move |connection| {
                let tags = tags.clone();
                Box::pin(async move {
                    enqueue_purge(connection, &tags, PurgeKind::Soft).await?;
                    Ok::<_, DbError>(())
                })
            })
            .await
    }
}
