//! MySQL: a group as the operator runs it (Group Replication, single primary), or one server alone.
//!
//! The settings are those that the operator renders, as far as they mean something with all members on one machine. The
//! members have no agent: the testbed bootstraps and joins them.

mod database;
mod group;
mod member;
mod template;

pub use database::{TestDatabase, faulted_group, shared_group};
pub use group::{GroupOptions, MysqlGroup};
pub use member::{HeldApplier, Member, MemberState, Role};

/// The user that the shop connects as. It may do everything in every database and read the state of the group, and it may
/// not administer the server, as in a cluster.
pub const USER: &str = "panono";
/// The password of [`USER`] and of [`ROOT`].
pub const PASSWORD: &str = "panono";
/// The user that may do everything.
pub const ROOT: &str = "root";

/// What a server does for the loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production: a commit is on disk before it is acknowledged.
    Full,
    /// Never waits for the disk. A server killed with SIGKILL still loses nothing, because the kernel has its writes.
    Relaxed,
}
