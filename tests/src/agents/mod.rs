//! MySQL as it runs in pods: real agents, each with its server, that form a group and keep it by themselves.
//!
//! Where this machine allows it each member has a network of its own (a namespace, connected by a bridge), so that it can be cut
//! off; else all are on loopback, and tests that cut say that they are skipped.

mod authority;
mod group;
mod member;
mod network;
mod operator;
pub mod watch;
mod writer;

pub use group::{AgentGroup, AgentOptions, SliceOptions, faulted_agents};
pub use member::{AgentMember, program};
pub use network::Network;
pub use operator::Recovery;
pub use writer::{Gaps, Writer};

/// The user that the shop connects as, and the password of all accounts.
pub use crate::mysql::{PASSWORD, USER};
/// The shop's database.
pub const DATABASE: &str = "panono";

/// How often tests of faults repeat them: once, or as often as `SOAK_RUNS` says.
pub fn runs() -> usize {
    std::env::var("SOAK_RUNS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}
