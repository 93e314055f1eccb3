//! What stands between the shop and its visitors: cache tags, header fields, purging, the edge's configuration.

pub mod headers;
pub mod purge;
pub mod tags;
pub mod vcl;
