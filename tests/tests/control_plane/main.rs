//! The operator before a real API server. One program, so that most tests share one control plane and one operator; each has a
//! namespace of its own. What a mock could not tell: what the API server accepts, defaults and refuses, whose field is whose, and
//! what controllers make of it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod backups;
mod bed;
mod cel;
mod charts;
mod contract;
mod converge;
mod drift;
mod endpoints;
mod faults;
mod groups;
mod lead;
mod removal;
mod roles;
mod rotation;
mod states;
