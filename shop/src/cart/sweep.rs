//! Carts that nobody comes back to are deleted.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use super::model::CartState;
use super::store;
use crate::db::{Db, DbError};

/// For how long a guest's cart is kept after its last change.
pub const GUEST_LIFE: time::Duration = time::Duration::days(30);
/// For how long a cart is kept that was merged: requests that were on their way find out what became of it.
pub const MERGED_LIFE: time::Duration = time::Duration::days(1);
/// For how long a cart is kept that became an order: its requests can be repeated and are told of the order.
pub const ORDERED_LIFE: time::Duration = time::Duration::days(30);

/// Carts deleted in one transaction: few enough that nobody waits for their locks.
const BATCH: u32 = 200;
/// Batches of one round at most. What is left waits for the next.
const BATCHES: u32 = 50;
/// How often old carts are looked for.
const INTERVAL: Duration = Duration::from_secs(600);

/// The job. Any number of workers may run it.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The database.
    pub db: Db,
}

impl Sweep {
    /// Runs until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow_and_update() {
            match self.round(OffsetDateTime::now_utc()).await {
                Ok(0) => {}
                Ok(carts) => tracing::info!(carts, "old carts were deleted"),
                Err(error) => tracing::warn!(
                    error = crate::web::error::chain(&error),
                    "old carts could not be deleted; trying again"
                ),
            }
            let _ = tokio::time::timeout(INTERVAL, stop.changed()).await;
        }
    }

    /// Deletes what is old at `now`, in batches. Answers how many carts.
    ///
    /// # Errors
    /// Those of the database; what was deleted before stays deleted.
    pub async fn round(&self, now: OffsetDateTime) -> Result<u64, DbError> {
        let mut total = 0;
        for _ in 0..BATCHES {
            let deleted = self
                .db
                .transaction(move |connection| {
                    Box::pin(async move {
                        let guests =
                            store::delete_old_guests(connection, now - GUEST_LIFE, BATCH).await?;
                        let merged = store::delete_old(
                            connection,
                            CartState::Merged,
                            now - MERGED_LIFE,
                            BATCH,
                        )
                        .await?;
                        let ordered = store::delete_old(
                            connection,
                            CartState::Ordered,
                            now - ORDERED_LIFE,
                            BATCH,
                        )
                        .await?;
                        Ok::<_, DbError>(guests + merged + ordered)
                    })
                })
                .await?;
            total += deleted;
            if deleted == 0 {
                break;
            }
        }
        Ok(total)
    }
}
