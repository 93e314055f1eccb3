//! A sample shop: what a new installation can be filled with to be looked at.

pub mod pictures;
