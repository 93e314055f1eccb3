//! HTTP: the public scope, whose answers every cache may keep, and the private one, whose answers none may.

pub mod error;
pub mod ops;
pub mod private;
pub mod public;
pub mod request_id;
pub mod respond;
pub mod security;
