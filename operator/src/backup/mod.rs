//! Backups of a shop's database: full ones, the archive of everything that was committed since, restores to any moment between, and
//! the verification that all of it can be restored.
//!
//! - [`full`] clones a member with a server of its own and sends the data directory to a [`store`]; [`seal`] and [`pack`] are the
//!   formats, [`catalogue`] says what lies where
//! - [`archive`] follows the binary log of a member; [`binlog`] reads its files (pure)
//! - [`plan`] says which archived transactions follow a backup, and proves that none is missing (pure)
//! - [`restore`] makes a data directory of both; [`verify`] does so for trial, and compares [`checksum`]s
//! - [`seed`] says whether a new database's first data is to be restored
//! - [`job`] is what commands have to do with where they run, [`vitals`] what Prometheus reads of an archiver
//! - [`retention`] says what can go (pure), [`prune`] deletes it
//!
//! docs/decisions/0003-backups.md has the reasons. Nothing here knows Kubernetes.

pub mod archive;
pub mod binlog;
pub mod catalogue;
pub mod checksum;
pub mod command;
pub mod error;
pub mod full;
pub mod job;
pub mod pack;
pub mod plan;
pub mod progress;
pub mod prune;
pub mod restore;
pub mod retention;
pub mod seal;
pub mod seed;
pub mod server;
pub mod store;
pub mod verify;
pub mod vitals;
