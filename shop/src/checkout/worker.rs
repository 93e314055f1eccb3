//! What ends checkouts that nobody else ends: orders that were not paid in time, and those whose process died.

use std::time::Duration;

use sqlx::MySqlConnection;
use tokio::sync::watch;

use super::finalise::{Occasion, finalise};
use super::{Checkout, store};
use crate::db::transaction::Work;
use crate::db::{Db, DbError};
use crate::idempotency;
use crate::payments::store as payments;
use crate::web::error::{ApiError, chain};

/// How often orders are looked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// Orders handled in one round.
const BATCH: u32 = 50;
/// A pending order whose payment was decided so long ago has lost its process.
const LOST: Duration = Duration::from_secs(10);
/// How often old keys are deleted, and how many at once.
const PRUNE_INTERVAL: Duration = Duration::from_mins(1);
const PRUNE_BATCH: u32 = 1000;
const PRUNE_ROUNDS: u32 = 20;

/// The job.
#[derive(Debug, Clone)]
pub struct CheckoutWorker {
    /// What a checkout needs.
    pub checkout: Checkout,
}

/// Runs work on a connection to the primary in a task of its own: a statement is never left half-way.
async fn read<T, F>(db: &Db, work: F) -> Result<T, DbError>
where
    F: for<'c> FnOnce(&'c mut MySqlConnection) -> Work<'c, T, sqlx::Error> + Send + 'static,
    T: Send + 'static,
{
    let db = db.clone();
    tokio::spawn(async move {
        let mut primary = db.primary().await?;
        let read = work(&mut primary.connection).await;
        if read.is_err() {
            primary.suspect();
        }
        read.map_err(DbError::from)
    })
    .await
    .unwrap_or(Err(DbError::Aborted))
}

impl CheckoutWorker {
    /// Runs until told to stop. Any number of workers may: each order is locked while it is handled.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pruned = None::<std::time::Instant>;
        while !*stop.borrow_and_update() {
            if let Err(error) = self.round().await {
                tracing::warn!(
                    error = chain(&error),
                    "pending orders could not be looked after; trying again"
                );
            }
            if pruned.is_none_or(|at| at.elapsed() >= PRUNE_INTERVAL) {
                pruned = Some(std::time::Instant::now());
                if let Err(error) = self.prune().await {
                    tracing::warn!(
                        error = chain(&error),
                        "old idempotency keys could not be deleted; trying again"
                    );
                }
            }
            let _ = tokio::time::timeout(INTERVAL, stop.changed()).await;
        }
    }

    /// Finalises orders whose process died, and ends those that were not paid in time. Answers how many were handled.
    ///
    /// # Errors
    /// Those of the database. What fails for one order does not keep the others waiting.
    pub async fn round(&self) -> Result<usize, ApiError> {
        let db = &self.checkout.db;
        let decided = read(db, |connection| {
            Box::pin(store::decided(connection, LOST, BATCH))
        })
        .await?;
        let expired = read(db, |connection| Box::pin(store::expired(connection, BATCH))).await?;
        let handled = decided.len() + expired.len();
        for order_id in decided {
            self.end(order_id, Occasion::Payment).await;
        }
        for order_id in expired {
            self.refresh(order_id).await;
            self.end(order_id, Occasion::Clock).await;
        }
        Ok(handled)
    }

    async fn end(&self, order_id: i64, occasion: Occasion) {
        match finalise(&self.checkout, order_id, occasion, "worker").await {
            Ok(finalised) => {
                tracing::info!(order_id, ?finalised, "a pending order was looked after");
            }
            Err(error) => tracing::warn!(
                order_id,
                error = chain(&error),
                "an order could not be finalised; trying again"
            ),
        }
    }

    /// Asks the provider once more before an order is given up: the shopper may have paid.
    async fn refresh(&self, order_id: i64) {
        let open = read(&self.checkout.db, move |connection| {
            Box::pin(async move { payments::of_order(connection, order_id).await })
        })
        .await;
        for payment in open.unwrap_or_default() {
            if payment.state.is_open()
                && let Err(error) = self.checkout.payments.refresh(payment.id).await
            {
                tracing::warn!(
                    order_id,
                    error = chain(&error),
                    "what became of a payment could not be asked"
                );
            }
        }
    }

    async fn prune(&self) -> Result<(), DbError> {
        for _ in 0..PRUNE_ROUNDS {
            let deleted = read(&self.checkout.db, |connection| {
                Box::pin(idempotency::prune(
                    connection,
                    idempotency::KEPT,
                    PRUNE_BATCH,
                ))
            })
            .await?;
            if deleted < u64::from(PRUNE_BATCH) {
                break;
            }
        }
        Ok(())
    }
}
