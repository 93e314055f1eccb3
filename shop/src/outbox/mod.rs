//! The transactional outbox: what leaves the database is written by the transaction that causes it, and carried out
//! afterwards, at least once, by whichever worker claims it.
//!
//! A row is enqueued inside the caller's transaction ([`enqueue`], [`enqueue_purge`]). A worker claims due rows with a
//! lease ([`claim`]) and then completes, retries or buries each of them. A worker that dies loses its lease, not the row.
//! [`consumer`] does that for topics whose rows are carried out one by one, in order for each aggregate; what it gave up is
//! seen and tried again through [`dead`].

pub mod consumer;
pub mod dead;
pub mod dispatch;
pub(crate) mod store;
pub(crate) mod store_dead;
pub(crate) mod store_log;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::MySqlConnection;

use crate::edge::tags::TagSet;

pub use store::{
    Backlog, ClaimedRow, backlog, backlog_of_lanes, bury, claim, claim_in_order, complete,
    complete_claim, enqueue, release, retry,
};

/// What kind of work a row is. Each topic has its own consumer. A topic may be divided into numbered lanes, so that what
/// goes to one place never waits for what goes to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic {
    name: &'static str,
    lane: Option<i64>,
}

impl Topic {
    /// Changes of public content, for the invalidation log.
    pub const PURGE: Self = Self::new("purge");
    /// What happened to orders ([`crate::notify::event`]).
    pub const EVENT: Self = Self::new("event");
    /// Mails to shoppers ([`crate::notify::mail`]).
    pub const MAIL: Self = Self::new("mail");
    /// Webhooks to merchants, with a lane for each endpoint.
    pub const WEBHOOK: Self = Self::new("webhook");

    /// Names a topic: at most 11 ASCII characters, so that the number of a lane has room as well.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, lane: None }
    }

    /// A lane of this topic.
    #[must_use]
    pub const fn lane(self, number: i64) -> Self {
        Self {
            name: self.name,
            lane: Some(number),
        }
    }

    /// The name without the lane.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The topic as stored: `webhook/17` for lane 17.
    #[must_use]
    pub fn stored(self) -> Cow<'static, str> {
        match self.lane {
            None => Cow::Borrowed(self.name),
            Some(lane) => Cow::Owned(format!("{}/{lane}", self.name)),
        }
    }
}

/// How an edge treats what a purge touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PurgeKind {
    /// The object may still be shown while the origin fails, and only then.
    Soft,
    /// The object is gone: for a wrong price, a takedown, personal data.
    Hard,
}

impl PurgeKind {
    /// The word used in rows and headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// The payload of a row with [`Topic::PURGE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgePayload {
    /// What was touched, as its writer named it.
    pub tags: TagSet,
    /// How edges treat it.
    pub kind: PurgeKind,
}

/// Announces, inside the caller's transaction, that everything with one of these tags has changed.
///
/// Without tags nothing is written. The change becomes visible in the invalidation log after the transaction commits.
///
/// # Errors
/// What the database answers; the transaction is then to be rolled back as for any other statement.
pub async fn enqueue_purge(
    connection: &mut MySqlConnection,
    tags: &TagSet,
    kind: PurgeKind,
) -> Result<(), sqlx::Error> {
    let Some(first) = tags.iter().next() else {
        return Ok(());
    };
    let payload = serde_json::json!({ "tags": tags, "kind": kind });
    enqueue(connection, Topic::PURGE, first.as_str(), &payload).await?;
    Ok(())
}

/// Proof of who claimed a row: 128 random bits as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimId(String);

impl ClaimId {
    /// A claim id that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        let mut text = String::with_capacity(32);
        for byte in rand::random::<[u8; 16]>() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long to wait before the next attempt: exponential with a cap, of which the upper half is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub base: Duration,
    /// The longest wait after any number of failures.
    pub cap: Duration,
}

impl Backoff {
    /// The wait after this many failures in a row. `random` is from 0 up to, not including, 1.
    #[must_use]
    pub fn delay(self, failures: u32, random: f64) -> Duration {
        let doubled = self
            .base
            .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(30)));
        doubled
            .min(self.cap)
            .mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// [`Backoff::delay`] with a random number from the thread's generator.
    #[must_use]
    pub fn jittered(self, failures: u32) -> Duration {
        self.delay(failures, rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_are_half_random() {
        let backoff = Backoff {
            base: Duration::from_millis(200),
            cap: Duration::from_secs(30),
        };
        let table = [
            (0, 0.0, 100),
            (1, 0.0, 100),
            (1, 1.0, 200),
            (2, 1.0, 400),
            (5, 0.5, 2400),
            (9, 1.0, 30_000),
            (u32::MAX, 0.0, 15_000),
        ];
        for (failures, random, milliseconds) in table {
            assert_eq!(
                backoff.delay(failures, random),
                Duration::from_millis(milliseconds),
                "{failures} {random}"
            );
        }
    }

    #[test]
    fn claim_ids_fill_their_column_and_differ() {
        let (one, other) = (ClaimId::random(), ClaimId::random());
        assert_eq!(one.as_str().len(), 32);
        assert_ne!(one, other);
    }

    #[test]
    fn a_purge_payload_is_readable_by_the_next_release() {
        let payload: PurgePayload =
            serde_json::from_str(r#"{"kind":"hard","tags":["p-1","c-2"]}"#).unwrap();
        assert_eq!(payload.kind, PurgeKind::Hard);
        assert_eq!(payload.tags.separated_by_spaces(), "c-2 p-1");
    }
}
