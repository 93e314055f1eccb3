//! The operator of Panono: it turns a `Shop` into a running shop and keeps it so.
//!
//! The steps of one look at a Shop are modules, in the order in which they run; only the first and the last two hold a client:
//!
//! - [`observe`]: what the Shop refers to
//! - [`validate`]: a shop that can be built, or the reason why not (pure)
//! - [`desired`]: every object that should exist (pure)
//! - [`apply`]: server-side apply in a fixed order, then deletion of what is no longer wanted
//! - [`status`]: conditions from what was seen (pure)
//!
//! [`reconcile`] joins them. Around it: [`watch`] keeps the [`index`] of what is known, [`queue`] says which Shop is looked at when,
//! [`leadership`] lets one process act, [`controller`] runs it all.

pub mod agent;
pub mod apply;
pub mod backup;
pub mod cluster;
pub mod command;
pub mod controller;
pub mod credentials;
pub mod database;
pub mod desired;
pub mod events;
pub mod failure;
pub mod gtid;
pub mod index;
pub mod leadership;
pub mod live;
pub mod manifest;
pub mod metrics;
pub mod names;
pub mod object;
pub mod observe;
pub mod ownership;
pub mod preserve;
pub mod queue;
pub mod reconcile;
pub mod server;
pub mod status;
pub mod validate;
pub mod watch;
