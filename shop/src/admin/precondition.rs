//! `ETag` and `If-Match`: nobody overwrites what they have not seen (RFC 9110, 13.1.1).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};

use crate::web::error::{ApiError, Code};

/// The entity tag of a version.
#[must_use]
pub fn entity_tag(version: i64) -> String {
    format!("\"v{version}\"")
}

/// The versions that a write may start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whichever is current.
    Any,
    /// One of these. Tags of another form match no version.
    Versions(Vec<i64>),
}

impl IfMatch {
    fn parse(header: &str) -> Self {
        if header.trim() == "*" {
            return Self::Any;
        }
        let versions = header.split(',').filter_map(|tag| {
            tag.trim()
                .strip_prefix("\"v")?
                .strip_suffix('"')?
                .parse()
                .ok()
        });
        Self::Versions(versions.collect())
    }

    /// Says whether the current version is one that was asked for.
    ///
    /// # Errors
    /// 412 when it is not.
    pub fn check(&self, current: i64) -> Result<(), ApiError> {
        match self {
            Self::Versions(versions) if !versions.contains(&current) => Err(mismatch(current)),
            _ => Ok(()),
        }
    }
}

/// The error for a version that is not the current one.
#[must_use]
pub fn mismatch(current: i64) -> ApiError {
    ApiError::new(Code::VersionMismatch).detail(format!(
        "the current version is {}: read it, apply your change to it, and send that version",
        entity_tag(current)
    ))
}

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header: Option<Vec<&str>> = request
            .headers()
            .get_all(header::IF_MATCH)
            .map(|value| value.to_str().ok())
            .collect();
        ready(match header {
            Some(values) if !values.is_empty() => Ok(Self::parse(&values.join(","))),
            _ => Err(ApiError::new(Code::VersionRequired)
                .detail("send `If-Match` with the `ETag` of the version that you read")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_that_was_named_matches() {
        let table = [
            ("\"v3\"", true),
            ("\"v1\", \"v3\"", true),
            ("*", true),
            ("\"v2\"", false),
            ("W/\"v3\"", false),
            ("v3", false),
            ("\"3\"", false),
            ("", false),
        ];
        for (header, matches) in table {
            assert_eq!(IfMatch::parse(header).check(3).is_ok(), matches, "{header}");
        }
        assert_eq!(IfMatch::parse(&entity_tag(7)), IfMatch::Versions(vec![7]));
    }
}
