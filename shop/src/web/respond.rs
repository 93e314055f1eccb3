//! Turns kept answers into HTTP.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use time::OffsetDateTime;

use crate::cache::encode::Encoding;
use crate::cache::page::{LifetimeClass, Page};
use crate::cache::{Served, Source};
use crate::edge::headers::{EdgeLifetime, LifetimeField, cache_control, shared_cache_control};

/// Longest `If-None-Match` that is looked at.
const MAXIMUM_CONDITION: usize = 1024;

const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SEQUENCE: HeaderName = HeaderName::from_static("panono-sequence");

/// The parts of an answer's head that never change.
#[derive(Debug)]
pub struct Prepared {
    status: StatusCode,
    etags: [HeaderValue; 4],
    fixed: Vec<(HeaderName, HeaderValue)>,
    edge: Option<(EdgeLifetime, HeaderValue)>,
}

impl Prepared {
    /// Makes them for a page.
    #[must_use]
    pub fn new(page: &Page) -> Self {
        let draft = &page.draft;
        let etag = |suffix: &str| value(format!("\"{:032x}{suffix}\"", page.digest));
        let mut fixed = vec![
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static(draft.content_type),
            ),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static(cache_control(draft.lifetime)),
            ),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ];
        if crate::cache::encode::is_compressible(draft.content_type) {
            fixed.push((header::VARY, HeaderValue::from_static("Accept-Encoding")));
        }
        if draft.content_type.starts_with("text/html") {
            fixed.extend(super::security::PAGE_HEADERS.iter().map(|(name, text)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(text),
                )
            }));
        }
        if draft.lifetime != LifetimeClass::Never && !draft.tags.is_empty() {
            fixed.push((SURROGATE_KEY, value(draft.tags.separated_by_spaces())));
            fixed.push((CACHE_TAG, value(draft.tags.separated_by_commas())));
        }
        if let Some(location) = &draft.location {
            fixed.push((header::LOCATION, value(location.clone())));
        }
        if let Some(link) = &draft.link {
            fixed.push((header::LINK, value(link.clone())));
        }
        Self {
            status: StatusCode::from_u16(draft.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            etags: [etag(""), etag("-gz"), etag("-br"), etag("-zs")],
            fixed,
            edge: EdgeLifetime::of(draft.lifetime)
                .map(|lifetime| (lifetime, value(lifetime.value()))),
        }
    }

    fn etag(&self, encoding: Encoding) -> &HeaderValue {
        let [identity, gzip, brotli, zstd] = &self.etags;
        match encoding {
            Encoding::Identity => identity,
            Encoding::Gzip => gzip,
            Encoding::Brotli => brotli,
            Encoding::Zstd => zstd,
        }
    }
}

/// A value of our own making; one that is not a field value is left empty rather than lost with its page.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// What of a request decides the form of a public answer, and not what is in it.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// GET or HEAD.
    pub method: &'a Method,
    /// `Accept-Encoding`
    pub accept_encoding: Option<&'a HeaderValue>,
    /// `If-None-Match`
    pub if_none_match: Option<&'a HeaderValue>,
    /// Where the edge in front looks for a lifetime.
    pub lifetime_field: LifetimeField,
}

/// The answer to a public request.
#[must_use]
pub fn respond(served: &Served, conditions: Conditions<'_>) -> HttpResponse {
    let page = &served.page;
    let prepared = page.prepared();
    let wanted = conditions
        .accept_encoding
        .and_then(|accept| accept.to_str().ok())
        .map_or(Encoding::Identity, Encoding::negotiate);
    let (body, encoding) = page.body(wanted);
    let etag = prepared.etag(encoding);
    let unchanged = prepared.status == StatusCode::OK
        && conditions
            .if_none_match
            .is_some_and(|condition| matches(condition, etag));
    let status = if unchanged {
        StatusCode::NOT_MODIFIED
    } else {
        prepared.status
    };

    let mut response = HttpResponse::new(status);
    let headers = response.headers_mut();
    for (name, value) in &prepared.fixed {
        headers.insert(name.clone(), value.clone());
    }
    if let Some((lifetime, text)) = &prepared.edge {
        let is_uncertain = served.behind || served.source == Source::Stale;
        let text = if is_uncertain || page.draft.valid_until.is_some() {
            let lifetime = lifetime.until(page.draft.valid_until, OffsetDateTime::now_utc());
            value(if is_uncertain {
                lifetime.uncertain().value()
            } else {
                lifetime.value()
            })
        } else {
            text.clone()
        };
        match conditions.lifetime_field {
            LifetimeField::CdnCacheControl => {
                headers.insert(SURROGATE_CONTROL, text.clone());
                headers.insert(CDN_CACHE_CONTROL, text);
            }
            LifetimeField::SharedMaxAge => {
                let text = text.to_str().unwrap_or_default();
                let shared = shared_cache_control(page.draft.lifetime, text);
                headers.insert(header::CACHE_CONTROL, value(shared));
            }
        }
        headers.insert(header::ETAG, etag.clone());
        headers.insert(SEQUENCE, HeaderValue::from(served.sequence));
        headers.insert(CACHE_STATUS, cache_status(served.source));
    }
    if let Some(token) = encoding.token().filter(|_| !unchanged) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(token));
    }
    if unchanged {
        return response;
    }
    if conditions.method == Method::HEAD {
        return response
            .set_body(actix_web::body::SizedStream::new(
                body.len() as u64,
                futures_util::stream::empty::<Result<bytes::Bytes, std::io::Error>>(),
            ))
            .map_into_boxed_body();
    }
    response.set_body(body).map_into_boxed_body()
}

/// `Cache-Status` (RFC 9211) of this hop.
fn cache_status(source: Source) -> HeaderValue {
    HeaderValue::from_static(match source {
        Source::Memory => "panono-shop; hit; detail=memory",
        Source::Shared => "panono-shop; hit; detail=valkey",
        Source::Made => "panono-shop; fwd=miss; stored",
        Source::Stale => "panono-shop; hit; fwd=stale; detail=stale-if-error",
    })
}

/// Whether `If-None-Match` names the tag (RFC 9110, 13.1.2: the weak comparison).
fn matches(condition: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(condition), Ok(etag)) = (condition.to_str(), etag.to_str()) else {
        return false;
    };
    if condition.len() > MAXIMUM_CONDITION {
        return false;
    }
    condition
        .split(',')
        .map(|candidate| candidate.trim())
        .any(|candidate| {
            candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == etag
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::cache::Draft;
    use crate::edge::tags::TagSet;

    fn lifetime(behind: bool, valid_until: Option<OffsetDateTime>) -> String {
        let draft = Draft {
            status: 200,
            content_type: "text/html; charset=utf-8",
            body: bytes::Bytes::from_static(b"<p>"),
            tags: TagSet::new(),
            lifetime: LifetimeClass::Content,
            valid_until,
            location: None,
            link: None,
        };
        let served = Served {
            page: Arc::new(Page::new(draft, 1)),
            source: Source::Memory,
            sequence: 1,
            behind,
        };
        let conditions = Conditions {
            method: &Method::GET,
            accept_encoding: None,
            if_none_match: None,
            lifetime_field: LifetimeField::CdnCacheControl,
        };
        let response = respond(&served, conditions);
        let field = response.headers().get(CDN_CACHE_CONTROL);
        field.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn no_edge_shows_an_answer_past_its_next_change_however_uncertain_it_is() {
        let soon = Some(OffsetDateTime::now_utc() + Duration::from_secs(600));
        let lasting = lifetime(true, None);
        assert_eq!(lasting, "max-age=1, stale-if-error=86400");
        assert_eq!(lifetime(true, soon), "max-age=1");
        let certain = lifetime(false, soon);
        assert!(!certain.contains("stale"), "{certain}");
    }

    #[test]
    fn conditions_compare_weakly_and_one_by_one() {
        let etag = HeaderValue::from_static("\"a\"");
        for (condition, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("\"a-br\"", false),
        ] {
            assert_eq!(
                matches(&HeaderValue::from_static(condition), &etag),
                expected,
                "{condition}"
            );
        }
    }
}
