//! One effect for each `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! [`claim`] is the first statement of the transaction that has the effect, so the row is committed with it or not at all:
//! nothing has to be remembered by a cache, and a lost answer to a commit is resolved by looking for the row. [`finish`] keeps
//! the answer, which a repetition is given as it was. A claim whose process died is taken over when its lease has ended.

pub mod header;
pub mod store;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::web::error::ApiError;

pub use header::key_of;
pub use store::{STATEMENTS, claim, finish, keep, let_go, look, prune, refer, reference};

/// How long a request may work under its key before another may take over: longer than a payment provider is waited for.
pub const LEASE: Duration = Duration::from_secs(40);
/// How long answers are kept. Longer than providers of payments and clients repeat.
pub const KEPT: Duration = Duration::from_hours(48);
/// The header of an answer that is a repetition.
pub const REPLAYED: &str = "idempotent-replayed";

/// A key in its scope, with the fingerprint of what it was sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whose key it is, and for which route.
    pub scope: [u8; 32],
    /// The key.
    pub key: String,
    /// The digest of the request.
    pub fingerprint: [u8; 32],
}

impl Key {
    /// The key that `subject` (a cart, an order, a member of the staff) sent to `route` with this payload.
    #[must_use]
    pub fn new(route: &str, subject: &str, key: String, payload: &impl Serialize) -> Self {
        let mut scope = Sha256::new();
        scope.update(route.as_bytes());
        scope.update([0]);
        scope.update(subject.as_bytes());
        // Fields of a struct have one order, and maps of JSON are sorted, so one payload has one text.
        let text = serde_json::to_vec(payload).unwrap_or_default();
        Self {
            scope: scope.finalize().into(),
            key,
            fingerprint: Sha256::digest(&text).into(),
        }
    }
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Fields of the head beyond those of every answer, such as `Location`.
    pub headers: Vec<(String, String)>,
    /// The body, JSON.
    pub body: Vec<u8>,
}

impl StoredAnswer {
    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        }
    }

    /// What was refused, as problem details without the id of the one request.
    #[must_use]
    pub fn problem(error: &ApiError) -> Self {
        Self {
            status: error.code.status(),
            headers: Vec::new(),
            body: serde_json::to_vec(&error.problem(None)).unwrap_or_default(),
        }
    }
}

/// What became of an attempt to use a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nobody has used it: go on, and [`finish`] in the transaction of the effect.
    Fresh,
    /// It was used, and its process died before the answer was kept. This request has taken over; `reference` names the
    /// effect, if it had got so far.
    Resumed {
        /// What the effect is about, such as an order's id.
        reference: Option<i64>,
    },
    /// It was used, and this was the answer.
    Done(StoredAnswer),
    /// It is being used now.
    InFlight,
    /// It was used with another payload.
    Mismatch,
}
