//! Service tests: real servers on loopback, started by the testbed. One program, so that they share one MySQL group.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod admin;
mod api;
mod browser;
mod cart;
mod catalog;
mod damage;
mod deception;
mod edge_vcl;
mod freshness;
mod import;
mod media;
mod outbox;
mod purge;
mod stock;
mod survival;
mod testbed;
