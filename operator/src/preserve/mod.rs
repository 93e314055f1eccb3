//! Backups of shops, as far as they are made of objects: secrets for them, Jobs that are wanted now, records of those that were
//! made, and what is known of it all in the end.
//!
//! Schedules are CronJobs, which the cluster runs without us; what a Job found is in the last words of its container. A record
//! (`ShopBackup`, `ShopRestore`) is made for each Job of a schedule, and a Job for each record that somebody else made.

pub mod conditions;
pub mod look;
mod records;
pub mod restoring;
pub mod secrets;

use panono_crds::{Mode, ShopStatus};

use crate::desired::backup::BackupStage;
use crate::validate::ValidatedShop;

pub use look::{Look, Outcome, Scribe, look, refuse};

/// What was recorded for backups and shows in objects.
pub fn stage(shop: &ValidatedShop, status: Option<&ShopStatus>) -> BackupStage {
    if shop.spec.backup.is_none() {
        return BackupStage::default();
    }
    let recorded = status.and_then(|status| status.backup.as_ref());
    BackupStage {
        image: recorded.and_then(|backup| backup.image.clone()),
        account: recorded.and_then(|backup| backup.account).unwrap_or(1),
    }
}

/// Whether there is something that could be backed up now.
fn runs(mode: Mode) -> bool {
    match mode {
        Mode::Running | Mode::ReadOnly | Mode::Maintenance => true,
        Mode::Hibernated => false,
    }
}
