//! Deletes what [`super::retention`] gives up, and the part of the archive that only it needed.

use jiff::Timestamp;

use super::catalogue::{Catalogue, manifest_key};
use super::error::BackupError;
use super::retention::{Held, Retention, expired, time_of};

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Backups, by name.
    pub backups: Vec<String>,
    /// Segments of the archive.
    pub segments: usize,
}

/// Deletes expired backups, and segments of which every transaction is in every backup that is left.
///
/// # Errors
/// When the target fails. What was deleted until then is deleted whole or will be the next time.
pub async fn prune(
    catalogue: &Catalogue,
    retention: Retention,
    now: Timestamp,
) -> Result<Pruned, BackupError> {
    let listed = catalogue.backups().await?;
    let mut held = Vec::new();
    for backup in &listed {
        let Some(at) = time_of(&backup.id) else {
            tracing::warn!(
                backup = backup.id,
                "this is none of our backups, and left alone"
            );
            continue;
        };
        let verified = catalogue.verified(backup).await?;
        held.push(Held {
            id: backup.id.clone(),
            at,
            complete: backup.complete,
            passed: verified.map(|verified| verified.passed),
        });
    }
    let gone = expired(&held, retention, now);
    let mut pruned = Pruned::default();
    for backup in listed.iter().filter(|backup| gone.contains(&backup.id)) {
        // The manifest first: what is left without it is no backup.
        catalogue.store.delete(&manifest_key(&backup.id)).await?;
        for key in &backup.keys {
            catalogue.store.delete(key).await?;
        }
        tracing::info!(backup = backup.id, "the backup was deleted");
        pruned.backups.push(backup.id.clone());
    }
    let oldest = held
        .iter()
        .find(|backup| backup.complete && !gone.contains(&backup.id));
    // Without any backup the archive waits for the first.
    let Some(oldest) = oldest else {
        return Ok(pruned);
    };
    let base = catalogue.manifest(&oldest.id).await?.executed;
    for key in catalogue.segments().await? {
        let header = catalogue.segment_header(&key).await?;
        if !header.transactions.is_subset(&base) {
            break;
        }
        catalogue.store.delete(&key).await?;
        pruned.segments += 1;
    }
    Ok(pruned)
}
