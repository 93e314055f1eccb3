//! The managed database of several members: what is known of it, what is to be done next, and how that is done.
//!
//! MySQL decides who is primary; members join, fence themselves and fail over by their agents alone. Here is what needs to be
//! decided in one place and recorded before it is done: making a group, making it again after all members were down, replacing
//! data, and stopping members one after the other. [`decide`] is pure: evidence in, one step out.

pub mod carry_out;
pub mod decide;
pub mod evidence;
mod growth;
pub mod observe;
mod outage;
mod planned;
mod record;
mod rotation;
pub mod secrets;
pub mod volume;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod model;

pub use record::record;

use panono_crds::{PasswordsStatus, RotationPhase, ShopStatus};

use crate::desired::group::GroupStage;
use crate::validate::ValidatedShop;

/// What was recorded of a group and shows in its objects.
pub fn stage(shop: &ValidatedShop, status: Option<&ShopStatus>) -> GroupStage {
    if !shop.spec.database.is_group() {
        return GroupStage::default();
    }
    let recorded = status.and_then(|status| status.database.as_ref());
    GroupStage {
        replicas: recorded
            .map(|database| database.replicas)
            .filter(|replicas| *replicas > 0),
        claim_size: recorded.and_then(|database| database.claim_size.clone()),
        agent_image: recorded.and_then(|database| database.agent_image.clone()),
        passwords: recorded
            .and_then(|database| database.passwords.as_ref())
            .map(in_use),
    }
}

/// The number of the passwords with which pods of the shop are made.
fn in_use(passwords: &PasswordsStatus) -> i64 {
    match &passwords.rotation {
        Some(rotation)
            if matches!(
                rotation.phase,
                RotationPhase::RollingOut | RotationPhase::Discarding
            ) =>
        {
            rotation.generation
        }
        Some(_) | None => passwords.generation,
    }
}
