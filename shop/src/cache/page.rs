//! A ready answer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use time::OffsetDateTime;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::encode::{self, Encoding};
use crate::edge::tags::TagSet;

/// How long answers of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum LifetimeClass {
    /// Pages and JSON of the catalogue: long at the edge, revalidated by browsers, purged by tags.
    Content,
    /// 404 and 410: short, since anyone can make up addresses.
    Negative,
    /// 301 and 308 within the shop.
    Redirect,
    /// Stock numbers: seconds.
    Live,
    /// Addresses that contain a hash of their content.
    Immutable,
    /// Answers that no cache may keep.
    Never,
}

impl LifetimeClass {
    /// How long this process may use an answer without asking the database, if no change is known.
    #[must_use]
    pub const fn fresh_for(self) -> Duration {
        match self {
            Self::Content | Self::Redirect => Duration::from_secs(3600),
            Self::Negative => Duration::from_secs(30),
            Self::Live => Duration::from_secs(2),
            Self::Immutable => Duration::from_secs(86_400),
            Self::Never => Duration::ZERO,
        }
    }

    /// How much longer it may be shown when no new one can be made.
    #[must_use]
    pub const fn stale_for(self) -> Duration {
        match self {
            Self::Content | Self::Redirect | Self::Immutable => Duration::from_secs(86_400),
            Self::Negative => Duration::from_secs(300),
            Self::Live => Duration::from_secs(60),
            Self::Never => Duration::ZERO,
        }
    }
}

/// What a handler makes: everything that an answer consists of, and nothing that could differ between visitors.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
    /// What it was made of.
    pub tags: TagSet,
    /// How long it lives.
    pub lifetime: LifetimeClass,
    /// When the next change that is already known will make it wrong.
    pub valid_until: Option<OffsetDateTime>,
    /// `Location` of redirects.
    pub location: Option<String>,
    /// Links for the `Link` header, such as pictures to preload.
    pub link: Option<String>,
}

/// An answer as it is kept.
#[derive(Debug)]
pub struct Page {
    /// What it consists of. Its tags are already those of the answer.
    pub draft: Draft,
    /// The sequence of the invalidation log at which its filling began.
    pub made_at: i64,
    /// Hash of the body, the base of its ETags.
    pub digest: u128,
    /// Hashes of the tags, for the judge.
    pub tag_hashes: Box<[u64]>,
    checked_at: AtomicI64,
    fresh_until: Instant,
    stale_until: Instant,
    encoded: [OnceLock<Option<Bytes>>; 3],
    header: OnceLock<crate::web::respond::Prepared>,
}

impl Page {
    /// An answer made now from data as of `sequence`.
    #[must_use]
    pub fn new(draft: Draft, sequence: i64) -> Self {
        // Entries that were made together must not all run out together.
        let jitter = 0.9 + 0.2 * rand::random::<f64>();
        let fresh_for = draft.lifetime.fresh_for().mul_f64(jitter);
        Self::with_lifetime(draft, sequence, fresh_for)
    }

    /// An answer that was made earlier and is fresh for that much longer.
    #[must_use]
    pub fn with_lifetime(mut draft: Draft, sequence: i64, mut fresh_for: Duration) -> Self {
        draft.tags = std::mem::take(&mut draft.tags).for_answer();
        // What made it had room to spare, which would be kept as long as the page.
        draft.body = Bytes::copy_from_slice(&draft.body);
        if let Some(until) = draft.valid_until {
            let left = until - OffsetDateTime::now_utc();
            fresh_for = fresh_for.min(Duration::try_from(left).unwrap_or(Duration::ZERO));
        }
        let now = Instant::now();
        Self {
            digest: xxh3_128(&draft.body),
            tag_hashes: draft
                .tags
                .iter()
                .map(|tag| hash_tag(tag.as_str()))
                .collect(),
            made_at: sequence,
            checked_at: AtomicI64::new(sequence),
            fresh_until: now + fresh_for,
            stale_until: now + fresh_for + draft.lifetime.stale_for(),
            encoded: [const { OnceLock::new() }; 3],
            header: OnceLock::new(),
            draft,
        }
    }

    /// The parts of the answer's head that never change, made at first use.
    pub fn prepared(&self) -> &crate::web::respond::Prepared {
        self.header
            .get_or_init(|| crate::web::respond::Prepared::new(self))
    }

    /// Whether its time has not run out. Says nothing of changes: that is for the judge.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.fresh_until
    }

    /// Whether it may stand in for an answer that could not be made.
    #[must_use]
    pub fn may_be_served_stale(&self) -> bool {
        Instant::now() < self.stale_until
    }

    /// Whether it may be kept at all.
    #[must_use]
    pub fn may_be_kept(&self) -> bool {
        self.draft.lifetime != LifetimeClass::Never && self.draft.status < 500
    }

    /// The time that is left until it has to be made anew.
    #[must_use]
    pub fn fresh_for(&self) -> Duration {
        self.fresh_until.saturating_duration_since(Instant::now())
    }

    /// The sequence up to which it is known to be right.
    pub(super) fn checked_at(&self) -> i64 {
        self.checked_at.load(Ordering::Acquire)
    }

    pub(super) fn set_checked_at(&self, sequence: i64) {
        self.checked_at.fetch_max(sequence, Ordering::AcqRel);
    }

    /// The body in an encoding, made at first use; the plain body where encoding does not make it smaller.
    #[must_use]
    pub fn body(&self, encoding: Encoding) -> (Bytes, Encoding) {
        let slot = match encoding {
            Encoding::Identity => None,
            Encoding::Gzip => self.encoded.first(),
            Encoding::Brotli => self.encoded.get(1),
            Encoding::Zstd => self.encoded.get(2),
        };
        slot.and_then(|slot| {
            slot.get_or_init(|| encode::encode(&self.draft.body, self.draft.content_type, encoding))
                .clone()
        })
        .map_or_else(
            || (self.draft.body.clone(), Encoding::Identity),
            |body| (body, encoding),
        )
    }

    /// Bytes that it takes in memory, with room for its encoded forms.
    #[must_use]
    pub fn weight(&self) -> usize {
        let body = self.draft.body.len();
        512 + if encode::is_compressible(self.draft.content_type) {
            body + body * 3 / 4
        } else {
            body
        }
    }
}

/// The hash by which the judge knows a tag.
#[must_use]
pub fn hash_tag(tag: &str) -> u64 {
    xxh3_64(tag.as_bytes())
}
