//! What stands between the shop and its shoppers: cache tags, cache headers, and the caches that are told of changes.

pub mod tags;
