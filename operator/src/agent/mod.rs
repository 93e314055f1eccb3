//! The program `panono-agent`, PID 1 of each pod of the database: it runs one MySQL server and takes it into its group.
//!
//! It joins, rejoins, fences and reports its own member without asking anybody. What could make two groups of one, or lose data,
//! it does only when the operator says so, for this pod and this epoch.

pub mod accounts;
pub mod admit;
pub mod api;
pub mod carry;
pub mod client;
pub mod command;
pub mod config;
pub mod core;
pub mod driver;
pub mod endpoints;
mod errands;
pub mod heartbeat;
pub mod http;
pub mod join;
mod lockout;
pub mod metrics;
pub mod missing;
pub mod option_file;
pub mod process;
pub mod restored;
pub mod settings;
pub mod sql;
pub mod store;
pub mod tls;
pub mod view;
pub mod volume;
