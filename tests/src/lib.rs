//! The testbed: real servers on this machine's loopback for tests, benches and the demo.
//!
//! - [`process`]: child processes that cannot outlive the program that started them, and their folders
//! - [`ports`]: ports that no two tests share
//! - [`wait`]: waiting for a condition, with a limit
//! - [`tools`]: where the servers' programs are
//! - [`market`]: a shop that sells
//! - [`mysql`]: a MySQL group (Group Replication) or a single server, and a database per test
//! - [`agents`]: a MySQL group as it runs in pods, under its agents
//! - [`fake`]: somebody else's service, as a test wants it to behave
//! - [`http`]: a client
//! - [`browser`]: a browser, and what it complains about
//! - [`valkey`], [`varnish`]: the cache and the edge
//! - [`proxy`]: a proxy that cuts, delays, swallows
//! - [`smtp`]: a mail server that keeps what it is given
//! - [`routes`]: the routes that the shop mounts
//! - [`shop`], [`stack`]: the shop's own processes, and a whole shop
//! - [`origin`], [`wire`]: an origin that answers as a test prescribes, and HTTP as it is on the wire
//! - [`control_plane`]: a Kubernetes API, with the operator before it
//! - [`bench`]: what `make bench` measures; [`soak`]: what takes long
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod agents;
pub mod bench;
pub mod browser;
pub mod control_plane;
pub mod fake;
pub mod http;
pub mod market;
pub mod mount;
pub mod mysql;
pub mod origin;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod readers;
pub mod routes;
mod schema;
pub mod shop;
pub mod smtp;
pub mod soak;
pub mod stack;
pub mod staff;
pub mod tools;
pub mod valkey;
pub mod varnish;
pub mod wait;
pub mod watched_valkey;
mod watcher;
pub mod wire;
