//! What every private request passes: the host, the guard against forged requests, and the header fields of private answers.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

use super::{PrivateState, page};
use crate::web::error::{ApiError, Code, explained};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// What of the shop's addresses requests are judged by.
#[derive(Debug, Clone)]
pub struct Origins {
    /// Scheme and host under which shoppers know the shop.
    pub own: String,
    /// Hosts that the shop answers for, in lower case, without ports.
    pub hosts: Vec<String>,
}

impl Origins {
    /// Whether pages of this origin are the shop's.
    fn includes(&self, origin: &str) -> bool {
        if origin.eq_ignore_ascii_case(&self.own) {
            return true;
        }
        // The shop may be known by other hosts too. The public one counts with its own scheme and port alone.
        let parse = |text: &str| url::Url::parse(text).ok();
        let (Some(asked), Some(own)) = (parse(origin), parse(&self.own)) else {
            return false;
        };
        asked.scheme() == own.scheme()
            && asked.host_str() != own.host_str()
            && asked.host_str().is_some_and(|host| self.answers_for(host))
    }

    fn answers_for(&self, host: &str) -> bool {
        self.hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// Whether a request may change something for whoever's cookies it carries.
///
/// A browser says from where a request comes: in `Sec-Fetch-Site` (Fetch Metadata), or in `Origin` (RFC 6454). What carries
/// neither and no cookie of ours is a program, which acts for itself.
///
/// # Errors
/// 403 when it comes from another site, or does not say from where.
fn unforged(
    method: &Method,
    headers: &HeaderMap,
    origins: &Origins,
    has_cookies: bool,
) -> Result<(), ApiError> {
    if matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    ) {
        return Ok(());
    }
    let refused = |detail: &str| Err(ApiError::new(Code::CrossSite).detail(detail));
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text(SEC_FETCH_SITE), text(header::ORIGIN)) {
        // `none`: the user began it, not a page.
        (Some("same-origin" | "none"), _) => Ok(()),
        (Some(_), origin) if !origin.is_some_and(|origin| origins.includes(origin)) => {
            refused("the request was begun by another site; open the shop and try again")
        }
        (_, Some(origin)) if origins.includes(origin) => Ok(()),
        (_, Some(_)) => {
            refused("`Origin` is not this shop; open the shop under its own address and try again")
        }
        (_, None) if has_cookies => {
            refused("a request with cookies must say from where it comes, in `Origin`")
        }
        (_, None) => Ok(()),
    }
}

fn acceptable(state: &PrivateState, request: &ServiceRequest) -> Result<(), ApiError> {
    let headers = request.headers();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().host())
        .map(crate::web::public::without_port)
        .unwrap_or_default();
    if !state.origins.answers_for(host) {
        return Err(ApiError::new(Code::Misdirected));
    }
    let has_cookies =
        state.cookies.session(headers).is_some() || state.cookies.cart(headers).is_some();
    unforged(request.method(), headers, &state.origins, has_cookies)
}

/// Middleware of the private scope. Must be within that of the request's id.
///
/// # Errors
/// None of its own: what a handler refuses is an answer already, a page for people and problem details for programs.
pub async fn protect(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let state = request.app_data::<web::Data<PrivateState>>().cloned();
    let accepted = match &state {
        Some(state) => acceptable(state, &request),
        None => Err(ApiError::new(Code::Internal).detail("the private scope is not set up")),
    };
    // The request is routed while nobody else holds it: a clone of it made before would make actix panic.
    let (head, answered) = match accepted {
        Ok(()) => {
            let (head, answered) = next.call(request).await?.into_parts();
            (head, explained(answered.map_into_boxed_body()))
        }
        Err(error) => (request.into_parts().0, HttpResponse::from_error(error)),
    };
    let answered = match state {
        Some(state) if !head.path().starts_with("/api/") => {
            page::of_error(&state, &head, answered).await
        }
        _ => answered,
    };
    let answered = finished(answered);
    // Neither the address nor its parameters: they may hold keys. The pattern says which route it was.
    tracing::info!(
        method = %head.method(),
        route = head.match_pattern().unwrap_or_default(),
        status = answered.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        request_id = crate::web::request_id::current().unwrap_or_default(),
        "answered"
    );
    Ok(ServiceResponse::new(head, answered))
}

/// The header fields of every private answer.
fn finished(mut response: HttpResponse) -> HttpResponse {
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    if is_page {
        for (name, value) in crate::web::security::PAGE_HEADERS {
            set(HeaderName::from_static(name), value);
        }
    }
    set(header::CACHE_CONTROL, crate::edge::headers::PRIVATE);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Addresses of private pages may hold keys.
    set(header::REFERRER_POLICY, "same-origin");
    set(X_ROBOTS_TAG, "noindex");
    response
}

/// Answers addresses of the private scope that are none.
pub(super) async fn unknown_address() -> super::Answer {
    Err(ApiError::new(Code::NotFound))
}

/// `303 See Other`: what a form's answer is when it was done.
#[must_use]
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::SEE_OTHER)
        .insert_header((
            header::LOCATION,
            HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/")),
        ))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn only_our_own_pages_and_programs_without_cookies_change_things() {
        let origins = Origins {
            own: "https://shop.example".to_owned(),
            hosts: vec!["shop.example".to_owned(), "www.shop.example".to_owned()],
        };
        let site = |value| ("sec-fetch-site", value);
        let origin = |value| ("origin", value);
        type Row<'a> = (&'a [(&'static str, &'static str)], bool, bool);
        let table: &[Row<'_>] = &[
            (&[site("same-origin")], true, true),
            (&[site("none")], true, true),
            (&[site("cross-site")], false, false),
            (&[site("same-site")], false, false),
            (
                &[site("cross-site"), origin("https://evil.example")],
                false,
                false,
            ),
            (
                &[site("same-site"), origin("https://www.shop.example")],
                true,
                true,
            ),
            (&[origin("https://shop.example")], true, true),
            (&[origin("https://www.shop.example")], true, true),
            (&[origin("http://shop.example")], true, false),
            (&[origin("https://shop.example:8443")], true, false),
            (&[origin("https://shop.example.evil.example")], true, false),
            (&[origin("null")], true, false),
            (&[origin("null")], false, false),
            (&[], true, false),
            (&[], false, true),
        ];
        for (pairs, has_cookies, allowed) in table {
            let judged = unforged(&Method::POST, &headers(pairs), &origins, *has_cookies);
            assert_eq!(judged.is_ok(), *allowed, "{pairs:?} {has_cookies}");
        }
        let foreign = headers(&[site("cross-site")]);
        assert!(unforged(&Method::GET, &foreign, &origins, true).is_ok());
        assert!(unforged(&Method::DELETE, &foreign, &origins, true).is_err());
    }
}
