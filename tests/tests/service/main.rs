//! Service tests: real servers on loopback, started by the testbed. One program, so that they share one MySQL group.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod accounts;
mod admin;
mod agents;
mod api;
mod backup;
mod browser;
mod cache_server;
mod cache_watched;
mod cart;
mod catalog;
mod checkout;
mod damage;
mod deception;
mod edge_vcl;
mod freshness;
mod fuzz;
mod import;
mod invariants;
mod journey;
mod media;
mod notify;
mod outbox;
mod payments;
mod purge;
mod risk;
mod stock;
mod survival;
mod testbed;
