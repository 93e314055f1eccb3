//! Dead letters: rows that were given up, to be looked at, tried again or discarded by a person.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

pub use super::store_dead::{STATEMENTS, discard, find, list, replay, replay_topic};

/// A row that was given up. What it would have said is not shown: it may hold links that open an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// What kind of work it is: `mail`, `event`, `payment`, `webhook/` and the number of an endpoint.
    pub topic: String,
    /// What it is about: the number of an order, or a hash of the recipient's address.
    pub aggregate: String,
    /// Which event or template it is, if its topic has such.
    pub subject: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub dead_at: OffsetDateTime,
}

/// Most dead letters that one call replays.
pub const MOST_REPLAYED: u32 = 1000;
