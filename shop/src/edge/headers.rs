//! The header fields that tell browsers and edges how long an answer lives.
//!
//! Browsers revalidate, edges keep: what an edge keeps can be purged, what a browser keeps cannot. `CDN-Cache-Control`
//! (RFC 9213) speaks to edges alone; caches that do not know it read a `Cache-Control` that is safe without purging.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cache::page::LifetimeClass;

/// `Cache-Control` of answers that no shared cache may keep.
pub const PRIVATE: &str = "private, no-store";

/// How long an edge that may be wrong without our knowing keeps an answer.
const UNCERTAIN: Duration = Duration::from_secs(1);

/// What an edge may do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeLifetime {
    /// `max-age`
    pub fresh: Duration,
    /// `stale-while-revalidate` (RFC 5861)
    pub while_revalidate: Duration,
    /// `stale-if-error` (RFC 5861)
    pub if_error: Duration,
}

/// The field in which edges are told a lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LifetimeField {
    /// `CDN-Cache-Control` and `Surrogate-Control`, which speak to edges alone.
    #[default]
    CdnCacheControl,
    /// `s-maxage` of `Cache-Control`, for edges that know no other field, as CloudFront. Every shared cache reads it, also one
    /// that nobody purges.
    #[value(name = "s-maxage")]
    SharedMaxAge,
}

impl EdgeLifetime {
    /// The lifetime of a kind of answer, or nothing if no edge may keep it.
    #[must_use]
    pub const fn of(class: LifetimeClass) -> Option<Self> {
        let (fresh, while_revalidate, if_error) = match class {
            LifetimeClass::Content => (3600, 60, 86_400),
            LifetimeClass::Redirect => (3600, 60, 86_400),
            LifetimeClass::Negative => (30, 10, 300),
            LifetimeClass::Live => (2, 5, 60),
            LifetimeClass::Immutable => (31_536_000, 0, 86_400),
            LifetimeClass::Never => return None,
        };
        Some(Self {
            fresh: Duration::from_secs(fresh),
            while_revalidate: Duration::from_secs(while_revalidate),
            if_error: Duration::from_secs(if_error),
        })
    }

    /// No longer than until the next change that is already known. Nothing is shown while it is revalidated then, nor when
    /// it cannot be, since that would show what has changed.
    #[must_use]
    pub fn until(self, change: Option<OffsetDateTime>, now: OffsetDateTime) -> Self {
        let Some(change) = change else { return self };
        let left = Duration::try_from(change - now).unwrap_or(Duration::ZERO);
        let fresh = self.fresh.min(left);
        let beyond = left.saturating_sub(fresh);
        Self {
            fresh,
            while_revalidate: self.while_revalidate.min(beyond),
            if_error: self.if_error.min(beyond),
        }
    }

    /// For an answer that may be old without our knowing.
    #[must_use]
    pub fn uncertain(self) -> Self {
        Self {
            fresh: self.fresh.min(UNCERTAIN),
            while_revalidate: Duration::ZERO,
            ..self
        }
    }

    /// The field's value: a dictionary of structured fields (RFC 9651), rounded down to seconds.
    #[must_use]
    pub fn value(self) -> String {
        let mut text = format!("max-age={}", self.fresh.as_secs());
        if !self.while_revalidate.is_zero() {
            text.push_str(&format!(
                ", stale-while-revalidate={}",
                self.while_revalidate.as_secs()
            ));
        }
        if !self.if_error.is_zero() {
            text.push_str(&format!(", stale-if-error={}", self.if_error.as_secs()));
        }
        text
    }
}

/// `Cache-Control` with what [`EdgeLifetime::value`] says to edges (RFC 9111, 5.2.2.10).
#[must_use]
pub fn shared_cache_control(class: LifetimeClass, edge: &str) -> String {
    // `must-revalidate` would forbid edges to show what is stale while the shop is away. Browsers ask with `max-age=0`, too.
    let browsers = cache_control(class).trim_end_matches(", must-revalidate");
    format!("{browsers}, {}", edge.replacen("max-age", "s-maxage", 1))
}

/// `Cache-Control`: for browsers, and for caches that read nothing else.
#[must_use]
pub const fn cache_control(class: LifetimeClass) -> &'static str {
    match class {
        LifetimeClass::Content | LifetimeClass::Redirect | LifetimeClass::Negative => {
            "public, max-age=0, must-revalidate"
        }
        LifetimeClass::Live => "public, max-age=1",
        LifetimeClass::Immutable => "public, max-age=31536000, immutable",
        LifetimeClass::Never => PRIVATE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn content() -> EdgeLifetime {
        EdgeLifetime::of(LifetimeClass::Content).expect("content is kept")
    }

    #[test]
    fn an_edge_keeps_content_for_long_and_shows_it_while_revalidating() {
        assert_eq!(
            content().value(),
            "max-age=3600, stale-while-revalidate=60, stale-if-error=86400"
        );
    }

    #[test]
    fn no_lifetime_outlasts_the_next_known_change() {
        let soon = content().until(Some(NOW + Duration::from_secs(90)), NOW);
        assert_eq!(soon.value(), "max-age=90");
        let past = content().until(Some(NOW - Duration::from_secs(5)), NOW);
        assert_eq!(past.fresh, Duration::ZERO);
        let grace = content().until(Some(NOW + Duration::from_secs(3630)), NOW);
        assert_eq!(
            grace.value(),
            "max-age=3600, stale-while-revalidate=30, stale-if-error=30"
        );
        let far = content().until(Some(NOW + Duration::from_secs(100_000)), NOW);
        assert_eq!(far, content());
    }

    #[test]
    fn an_answer_that_may_be_old_is_kept_for_a_second() {
        assert_eq!(
            content().uncertain().value(),
            "max-age=1, stale-if-error=86400"
        );
    }

    #[test]
    fn an_edge_that_knows_one_field_finds_all_of_it_there() {
        assert_eq!(
            shared_cache_control(LifetimeClass::Content, &content().value()),
            "public, max-age=0, s-maxage=3600, stale-while-revalidate=60, stale-if-error=86400"
        );
    }

    #[test]
    fn what_is_never_kept_says_so() {
        assert_eq!(EdgeLifetime::of(LifetimeClass::Never), None);
        assert_eq!(cache_control(LifetimeClass::Never), "private, no-store");
    }
}
