//! Every object that should exist for a shop. Pure: the same shop gives the same objects, byte for byte.

pub mod backup;
mod cache;
pub mod cache_watched;
mod commerce;
mod config;
mod database;
mod edge;
pub mod group;
mod maintenance;
mod monitoring;
mod network;
mod pod;
pub mod restore;
mod route;
mod shop;

use std::collections::BTreeMap;

use panono_crds::{Component, Mode};

use crate::object::Object;
use crate::validate::ValidatedShop;

pub use database::{DATABASE, USER};
pub use shop::migration_job_name;

/// The name of the Secret with the generated passwords of a shop, after the shop's.
pub const CREDENTIALS: &str = "credentials";

/// How far a shop has come: what decides which of its objects may be there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The release that web processes and workers run; nothing before the first migration has succeeded.
    pub serving: Option<String>,
    /// Whether the database takes connections, so that a migration can begin.
    pub database_ready: bool,
    /// How often passwords were generated.
    pub credentials: i64,
    /// The restarts that were asked for.
    pub restarts: BTreeMap<Component, String>,
    /// What was recorded for a database of several members.
    pub group: group::GroupStage,
    /// What was recorded for backups.
    pub backup: backup::BackupStage,
    /// What was recorded of a restore of the database.
    pub restore: restore::RestoreStage,
    /// The image of this operator, from which other pods get programs.
    pub operator_image: String,
}

/// The image with the agent of database members: that of the operator of this version.
pub fn agent_image() -> String {
    format!(
        "ghcr.io/panono/panono-operator:{}",
        env!("CARGO_PKG_VERSION")
    )
}

impl Stage {
    /// A shop that has arrived at its own release.
    pub fn settled(shop: &ValidatedShop) -> Self {
        Self {
            serving: Some(shop.spec.release.image.clone()),
            database_ready: true,
            credentials: 1,
            restarts: BTreeMap::new(),
            group: group::GroupStage::default(),
            backup: backup::BackupStage {
                image: None,
                account: 1,
            },
            restore: restore::RestoreStage::default(),
            operator_image: agent_image(),
        }
    }
}

/// A shop at a stage: what the builders of components read.
pub(crate) struct Plan<'a> {
    pub(crate) shop: &'a ValidatedShop,
    pub(crate) stage: &'a Stage,
}

impl Plan<'_> {
    pub(crate) fn mode(&self) -> Mode {
        self.shop.spec.mode
    }

    /// How many pods there are where `wanted` were asked for.
    pub(crate) fn replicas(&self, wanted: u32) -> u32 {
        match self.mode() {
            Mode::Hibernated => 0,
            Mode::Running | Mode::ReadOnly | Mode::Maintenance => wanted,
        }
    }
}

/// Every object that should exist at `stage`, in the order in which they are applied.
pub fn desired(shop: &ValidatedShop, stage: &Stage) -> Vec<Object> {
    let plan = Plan { shop, stage };
    let mut objects = Vec::with_capacity(32);
    objects.extend(config::objects(&plan));
    objects.extend(database::objects(&plan));
    objects.extend(backup::objects(&plan));
    objects.extend(restore::objects(&plan));
    objects.extend(cache::objects(&plan));
    objects.extend(shop::objects(&plan));
    objects.extend(edge::objects(&plan));
    objects.extend(maintenance::objects(&plan));
    objects.extend(route::objects(&plan));
    objects.extend(network::objects(&plan));
    objects.extend(monitoring::objects(&plan));
    objects.sort_by(|left, right| left.key.cmp(&right.key));
    objects
}

#[cfg(test)]
mod tests;
