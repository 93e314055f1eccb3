//! Stock under buyers: pieces are held for an order, allocated when it is placed, and shipped or released.
//!
//! A piece is promised by one conditional UPDATE whose row count is checked ([`hold`]); CHECK constraints stand behind it.
//! Rows are taken in the order of their variants, as the last statements of the transaction, so that two orders never wait
//! for each other in a circle and a popular row is locked for one round trip and the commit.
//!
//! A variant that many buy at once has *buckets*: its pieces lie in several rows, of which an order asks one, and the others
//! only when that one has none. What can be sold of it is what its own row and its buckets have together; whoever reads stock
//! counts both ([`store_columns`]). [`follow`] evens buckets out and tells caches of bands that changed.

pub mod follow;
pub mod model;
mod store;
pub mod store_columns;
pub mod store_rows;

pub use model::{MAX_BUCKETS, NotReserved, SoldOut, Wanted};
pub use store::{STATEMENTS, allocate, hold, release, release_some, restock, ship};

/// Variants of which the availability band changed; consumed by [`follow`].
pub const TOPIC: crate::outbox::Topic = crate::outbox::Topic::new("stock");
