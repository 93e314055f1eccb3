//! The program `panono-agent`, PID 1 of each pod of the database: it runs one MySQL server and takes it into its group.
//!
//! It joins, rejoins, fences and reports its own member without asking anybody. What could make two groups of one, or lose data,
//! it does only when the operator says so, for this pod and this epoch.

pub mod api;
pub mod config;
