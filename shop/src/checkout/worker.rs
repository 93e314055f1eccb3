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
use crate::payments::worker::for_each;
use crate::web::error::chain;

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

/// What the job looks for.
#[derive(Debug, Clone, Copy)]
enum Search {
    /// Orders whose process died after their payment was decided.
    Decided,
    /// Orders that were not paid in time.
    Expired,
    /// Old idempotency keys.
    OldKeys,
}

impl CheckoutWorker {
    /// Runs until told to stop. Any number of workers may: each order is locked while it is handled.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        // Each at its own pace: only orders that expire ask a provider, which may take long to say nothing.
        tokio::join!(
            self.repeat(Search::Decided, INTERVAL, stop.clone()),
            self.repeat(Search::Expired, INTERVAL, stop.clone()),
            self.repeat(Search::OldKeys, PRUNE_INTERVAL, stop),
        );
    }

    async fn repeat(&self, search: Search, interval: Duration, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow_and_update() {
            let done = match search {
                Search::Decided => self.decided().await,
                Search::Expired => self.expired().await,
                Search::OldKeys => self.prune().await,
            };
            if let Err(error) = done {
                tracing::warn!(
                    ?search,
                    error = chain(&error),
                    "what checkouts left behind could not be looked after; trying again"
                );
            }
            let _ = tokio::time::timeout(interval, stop.changed()).await;
        }
    }

    /// Finalises orders whose process died. What fails for one does not keep the others waiting.
    async fn decided(&self) -> Result<(), DbError> {
        let decided = read(&self.checkout.db, |connection| {
            Box::pin(store::decided(connection, LOST, BATCH))
        })
        .await?;
        for order_id in decided {
            self.end(order_id, Occasion::Payment).await;
        }
        Ok(())
    }

    /// Ends orders that were not paid in time.
    async fn expired(&self) -> Result<(), DbError> {
        let expired = read(&self.checkout.db, |connection| {
            Box::pin(store::expired(connection, BATCH))
        })
        .await?;
        for_each(expired, |order_id| {
            let this = self.clone();
            async move {
                this.refresh(order_id).await;
                this.end(order_id, Occasion::Clock).await;
            }
        })
        .await;
        Ok(())
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
