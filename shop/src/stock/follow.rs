//! What follows from sales: caches and listings are told of bands that changed, and buckets are evened out.
//!
//! A buyer's transaction only notes that a band changed ([`super::TOPIC`]): deriving listings inside it would lock the product
//! of a popular variant for every buyer. The band of a divided variant is seen by nobody's transaction alone, so it is compared
//! here in every round.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use super::{TOPIC, store_rows};
use crate::catalog::index;
use crate::catalog::model::{AvailabilityBand, Currency, Locale, StockLevel};
use crate::db::{Db, DbError};
use crate::edge::tags::{Tag, TagSet};
use crate::outbox::{self, Backoff, ClaimId, PurgeKind, enqueue_purge};

/// How often changes are looked for.
const INTERVAL: Duration = Duration::from_millis(200);
/// How often divided variants are looked at.
const DIVIDED_INTERVAL: Duration = Duration::from_secs(1);
/// Announcements handled in one transaction, and for how long they are this worker's.
const BATCH: u32 = 100;
const LEASE: Duration = Duration::from_secs(30);
/// Waits after failures.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(10),
};

/// The job.
#[derive(Debug, Clone)]
pub struct Follow {
    /// The database.
    pub db: Db,
    /// Currencies of the shop.
    pub currencies: Vec<Currency>,
    /// Locales of the shop, the default first.
    pub locales: Vec<Locale>,
}

impl Follow {
    /// Runs until told to stop. Any number of workers may.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut bands = BTreeMap::new();
        let mut looked = None::<std::time::Instant>;
        let mut failures = 0_u32;
        while !*stop.borrow_and_update() {
            let mut done = self.round().await.map(|handled| handled > 0);
            if done.is_ok() && looked.is_none_or(|at| at.elapsed() >= DIVIDED_INTERVAL) {
                looked = Some(std::time::Instant::now());
                if let Err(error) = self.look_at_divided(&mut bands).await {
                    done = Err(error);
                }
            }
            let pause = match done {
                Ok(true) => {
                    failures = 0;
                    continue;
                }
                Ok(false) => {
                    failures = 0;
                    INTERVAL
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(
                        error = crate::web::error::chain(&error),
                        "changes of stock could not be followed; trying again"
                    );
                    BACKOFF.jittered(failures)
                }
            };
            let _ = tokio::time::timeout(pause, stop.changed()).await;
        }
    }

    /// Handles announcements that are due. Answers how many.
    ///
    /// # Errors
    /// Those of the database; what was claimed is due again when the lease ends.
    pub async fn round(&self) -> Result<usize, DbError> {
        let db = self.db.clone();
        let claim = ClaimId::random();
        let named = claim.clone();
        // In a task of its own: a statement is never left half-way.
        let claimed = tokio::spawn(async move {
            let mut primary = db.primary().await?;
            let claimed = outbox::claim(&mut primary.connection, TOPIC, &named, BATCH, LEASE).await;
            if claimed.is_err() {
                primary.suspect();
            }
            claimed.map_err(DbError::from)
        })
        .await
        .unwrap_or(Err(DbError::Aborted))?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let variants: Vec<i64> = claimed
            .iter()
            .filter_map(|row| row.payload.get("variants")?.as_array())
            .flatten()
            .filter_map(serde_json::Value::as_i64)
            .collect();
        self.derive(variants, Some(claim)).await?;
        Ok(claimed.len())
    }

    /// Derives what shoppers see of the products of these variants, and completes a claim with it.
    async fn derive(&self, variants: Vec<i64>, claim: Option<ClaimId>) -> Result<(), DbError> {
        let job = self.clone();
        self.db
            .transaction(move |connection| {
                let (job, variants, claim) = (job.clone(), variants.clone(), claim.clone());
                Box::pin(async move {
                    let products = store_rows::products(connection, &variants).await?;
                    let reindexed = index::reindex(
                        connection,
                        &job.currencies,
                        &job.locales,
                        OffsetDateTime::now_utc,
                        &products,
                    )
                    .await?;
                    let tags: TagSet = products
                        .iter()
                        .map(|id| Tag::product(*id))
                        .chain(reindexed.categories().into_iter().map(Tag::category))
                        .collect();
                    enqueue_purge(connection, &tags, PurgeKind::Soft).await?;
                    if let Some(claim) = claim {
                        outbox::complete_claim(connection, &claim).await?;
                    }
                    Ok::<_, DbError>(())
                })
            })
            .await
    }

    /// Evens out divided variants, and derives those of which the band is not the one of the last round.
    async fn look_at_divided(
        &self,
        bands: &mut BTreeMap<i64, AvailabilityBand>,
    ) -> Result<(), DbError> {
        let db = self.db.clone();
        let seen = tokio::spawn(async move {
            let mut primary = db.primary().await?;
            let mut seen = Vec::new();
            for (variant_id, _) in store_rows::divided(&mut primary.connection).await? {
                if let Some(rows) = store_rows::read(&mut primary.connection, variant_id).await? {
                    seen.push((variant_id, rows));
                }
            }
            Ok::<_, DbError>(seen)
        })
        .await
        .unwrap_or(Err(DbError::Aborted))?;
        bands.retain(|variant_id, _| seen.iter().any(|(id, _)| id == variant_id));
        let mut changed = Vec::new();
        for (variant_id, rows) in seen {
            if rows.is_uneven() {
                self.even_out(variant_id).await?;
            }
            let level = StockLevel {
                tracked: rows.tracked,
                on_hand: rows.on_hand(),
                reserved: rows.reserved(),
                backorder_limit: rows.backorder_limit,
                low_threshold: rows.low_threshold,
            };
            if bands.get(&variant_id) != Some(&level.band()) {
                changed.push((variant_id, level.band()));
            }
        }
        if !changed.is_empty() {
            let variants = changed.iter().map(|(variant_id, _)| *variant_id).collect();
            self.derive(variants, None).await?;
            bands.extend(changed);
        }
        Ok(())
    }

    async fn even_out(&self, variant_id: i64) -> Result<(), DbError> {
        self.db
            .transaction(move |connection| {
                Box::pin(async move {
                    if let Some(rows) = store_rows::lock(connection, variant_id).await?
                        && rows.is_uneven()
                    {
                        store_rows::spread(connection, variant_id, &rows, rows.on_hand()).await?;
                    }
                    Ok::<_, DbError>(())
                })
            })
            .await
    }
}
