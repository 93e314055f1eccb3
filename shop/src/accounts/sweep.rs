//! What is worthless is deleted: sessions and links that ended, throttles that are full again.

use std::time::Duration;

use tokio::sync::watch;

use super::{store_link, store_session, store_throttle};
use crate::db::{Db, DbError};

/// How often is swept.
const INTERVAL: Duration = Duration::from_secs(600);
/// Batches of a thousand rows in one round, at most.
const BATCHES: u32 = 100;

/// The job. Any number of workers may run it.
pub async fn run(db: Db, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        if let Err(error) = round(&db).await {
            tracing::warn!(
                error = crate::web::error::chain(&error),
                "sessions that ended could not be deleted; trying again"
            );
        }
        let _ = tokio::time::timeout(INTERVAL, stop.changed()).await;
    }
}

/// Deletes what is worthless now, in transactions of its own, and says how many rows.
///
/// # Errors
/// Those of the database; what was deleted before stays deleted.
pub async fn round(db: &Db) -> Result<u64, DbError> {
    let mut total = 0;
    for _ in 0..BATCHES {
        let deleted = db
            .transaction(|connection| {
                Box::pin(async move {
                    let sessions = store_session::delete_old(connection).await?;
                    let links = store_link::delete_old(connection).await?;
                    let throttles = store_throttle::delete_old(connection).await?;
                    Ok::<_, DbError>(sessions + links + throttles)
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
