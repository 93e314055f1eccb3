//! What happens without a request: changes that were scheduled take effect, counts are brought up to date.

pub mod schedule;
mod store;
