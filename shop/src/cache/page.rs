//! A ready answer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use time::OffsetDateTime;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::encode::{self, Encoding};
use crate::edge::tags::TagSet;

/// Bodies from this length on are packed while nobody asks for them as they are, in bytes. Smaller ones are not worth the time.
const PACKED_FROM: usize = 8 << 10;

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
    /// What it consists of, without the body, which [`Page::plain`] gives. Its tags are already those of the answer.
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
    length: usize,
    /// The plain body. Of a large one that can be packed it is made from that when somebody takes no coding: an edge takes gzip.
    plain: OnceLock<Bytes>,
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
        let mut stale_for = draft.lifetime.stale_for();
        if let Some(until) = draft.valid_until {
            let left = until - OffsetDateTime::now_utc();
            let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
            fresh_for = fresh_for.min(left);
            // Not even as an old answer: it would show what has ended.
            stale_for = stale_for.min(left.saturating_sub(fresh_for));
        }
        let now = Instant::now();
        let body = std::mem::take(&mut draft.body);
        let packed = (body.len() >= PACKED_FROM)
            .then(|| encode::encode(&body, draft.content_type, Encoding::Zstd))
            .flatten();
        let encoded = [const { OnceLock::new() }; 3];
        let plain = OnceLock::new();
        if packed.is_some() {
            let [_, _, zstd] = &encoded;
            let _ = zstd.set(packed);
        } else {
            // What made it had room to spare, which would be kept as long as the page.
            let _ = plain.set(Bytes::copy_from_slice(&body));
        }
        Self {
            digest: xxh3_128(&body),
            length: body.len(),
            tag_hashes: draft
                .tags
                .iter()
                .map(|tag| hash_tag(tag.as_str()))
                .collect(),
            made_at: sequence,
            checked_at: AtomicI64::new(sequence),
            fresh_until: now + fresh_for,
            stale_until: now + fresh_for + stale_for,
            plain,
            encoded,
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

    /// Whether its time allows that it stands in for an answer that could not be made. Says nothing of changes: that is for
    /// the judge.
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

    /// The length of the plain body.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The plain body.
    #[must_use]
    pub fn plain(&self) -> Bytes {
        self.plain.get().cloned().unwrap_or_else(|| self.unpacked())
    }

    fn unpacked(&self) -> Bytes {
        let [_, _, zstd] = &self.encoded;
        let packed = zstd.get().and_then(Option::as_ref);
        packed.map_or_else(Bytes::new, |packed| {
            encode::unpack(packed, self.length).unwrap_or_else(|error| {
                // Memory that changes by itself.
                tracing::error!(%error, "an answer that was packed cannot be unpacked");
                Bytes::new()
            })
        })
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
            slot.get_or_init(|| encode::encode(&self.plain(), self.draft.content_type, encoding))
                .clone()
        })
        .map_or_else(
            || {
                let plain = self.plain.get_or_init(|| self.unpacked());
                (plain.clone(), Encoding::Identity)
            },
            |body| (body, encoding),
        )
    }

    /// Bytes that it takes in memory, with room for its encoded forms.
    #[must_use]
    pub fn weight(&self) -> usize {
        let body = self.length;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Page {
        let draft = Draft {
            status: 200,
            content_type: "text/html; charset=utf-8",
            body: Bytes::from(body.to_owned()),
            tags: TagSet::new(),
            lifetime: LifetimeClass::Content,
            valid_until: None,
            location: None,
            link: None,
        };
        Page::new(draft, 1)
    }

    #[test]
    fn a_large_body_is_kept_packed_until_somebody_takes_it_plain() {
        let body = "<p>a row of the table</p>".repeat(1000);
        let page = page(&body);
        assert!(page.plain.get().is_none());
        assert_eq!(page.plain(), body);
        let (gzip, encoding) = page.body(Encoding::Gzip);
        assert_eq!(encoding, Encoding::Gzip);
        assert!(gzip.len() < body.len());
        assert!(page.plain.get().is_none(), "an edge takes gzip");
        for _ in 0..2 {
            assert_eq!(
                page.body(Encoding::Identity),
                (Bytes::from(body.clone()), Encoding::Identity)
            );
        }
        assert!(page.plain.get().is_some());
        assert_eq!(page.length(), body.len());
    }

    #[test]
    fn what_has_ended_is_not_shown_even_while_nothing_else_can_be_made() {
        let ending = |seconds: i64| {
            let page = page("the price of a sale");
            let at = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
            let draft = Draft {
                valid_until: Some(at),
                ..page.draft
            };
            Page::new(draft, 1)
        };
        let running = ending(600);
        assert!(running.is_fresh() && running.may_be_served_stale());
        assert!(running.stale_until <= Instant::now() + Duration::from_secs(600));
        let over = ending(-1);
        assert!(!over.is_fresh() && !over.may_be_served_stale());
    }

    #[test]
    fn what_cannot_be_packed_is_kept_as_it_is() {
        for body in ["short", ""] {
            let page = page(body);
            assert_eq!(
                page.body(Encoding::Gzip),
                (Bytes::from(body), Encoding::Identity)
            );
            assert_eq!(page.plain(), body);
        }
    }
}
