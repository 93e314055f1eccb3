//! The public scope: answers that are the same for every visitor, so that every cache may keep them.
//!
//! Nothing below this module sees a request. What an answer is made from is a [`route::Route`], parsed from the address
//! alone; what it may consist of is a [`Draft`], which has no place for a cookie. That is invariant 1, kept by types.

pub mod api;
mod build;
mod cards;
mod documents;
pub mod menu;
mod pages;
mod problems;
pub mod route;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::{ApiError, Code, chain};
use super::ops::Health;
use super::request_id;
use super::respond::{Conditions, respond};
use crate::cache::page::{LifetimeClass, Page};
use crate::cache::{Draft, FillError, PageCache, Served, Source};
use crate::config::site::CatalogueSettings;
use crate::db::{Db, DbError};
use crate::edge::headers::LifetimeField;
use crate::edge::tags::TagSet;
use crate::media::MediaStore;
use crate::storefront;
use crate::storefront::i18n::Locale;
use crate::storefront::view::{ErrorView, Frame, Site};
use route::{Resolved, Route};

/// The floor that the edge sends: see docs/decisions/0001-freshness-by-sequence.md.
const FLOOR: &str = "panono-floor";
/// How long one attempt to make an answer may take before another member of the database is asked.
const ATTEMPT_LIMIT: Duration = Duration::from_millis(1500);
/// Attempts for one answer.
const ATTEMPTS: usize = 3;

/// What public answers are made from.
#[derive(Debug)]
pub struct Public {
    /// The caches.
    pub cache: Arc<PageCache>,
    /// The database.
    pub db: Db,
    /// The shop.
    pub site: Site,
    /// Its languages and currencies as the catalogue knows them.
    pub catalogue: CatalogueSettings,
    /// Its pictures.
    pub media: MediaStore,
    /// Hosts that it answers for.
    pub hosts: Vec<String>,
    /// Where the edge in front looks for a lifetime.
    pub lifetime_field: LifetimeField,
    /// The categories in the header of each page.
    pub menu: menu::Menu,
    /// Whether the process is about to end.
    pub health: Arc<Health>,
}

/// Serves every request that no private scope took.
pub async fn entry(request: HttpRequest, public: web::Data<Public>) -> HttpResponse {
    let public = public.into_inner();
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    if target == "/healthz" {
        return health(&public.health);
    }
    if let Err(error) = acceptable(&request, target, &public.hosts) {
        return refuse(&request, &public, None, &error);
    }
    let conditions = Conditions {
        method: request.method(),
        accept_encoding: request.headers().get(header::ACCEPT_ENCODING),
        if_none_match: request.headers().get(header::IF_NONE_MATCH),
        lifetime_field: public.lifetime_field,
    };
    let floor = request
        .headers()
        .get(FLOOR)
        .and_then(|floor| floor.to_str().ok())
        .and_then(|floor| floor.parse::<i64>().ok())
        .unwrap_or(0);
    // Only canonical addresses are keys, so what is found under the raw target needs no parsing.
    if floor <= public.cache.freshness().sequence()
        && let Some(served) = public.cache.peek(target)
    {
        return respond(&served, conditions);
    }
    let started = Instant::now();
    // Boxed, since all that it may wait for would else be room that each hit is given too.
    let response = Box::pin(answer(&request, &public, target, floor, conditions)).await;
    tracing::info!(
        method = %request.method(),
        path = target,
        status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        request_id = request_id::accept(request.headers().get(request_id::HEADER)),
        "answered"
    );
    response
}

/// What edges probe. They are to send nothing more to a process that is about to end: when it has closed its port, a POST under way
/// to it is lost. Whatever they send until they have noticed is served. A database that is away is no reason to leave: others
/// have the same one.
fn health(health: &Health) -> HttpResponse {
    let (status, text) = if health.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    };
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, crate::edge::headers::PRIVATE))
        .body(text)
}

async fn answer(
    request: &HttpRequest,
    public: &Arc<Public>,
    target: &str,
    floor: i64,
    conditions: Conditions<'_>,
) -> HttpResponse {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match route::resolve(path, query, &public.site) {
        Resolved::Route(route) => {
            let locale = locale_of(&route);
            let maker = Arc::clone(public);
            let made = public
                .cache
                .get(target, floor, move |sequence| make(maker, route, sequence))
                .await;
            match made {
                Ok(served) => respond(&served, conditions),
                Err(error) => refuse(request, public, locale, &unavailable(error)),
            }
        }
        Resolved::Media { hash, preset } => match public.media.variant(&hash, preset).await {
            Ok(Some(picture)) => {
                let draft = Draft {
                    status: 200,
                    content_type: picture.format.content_type(),
                    body: picture.bytes,
                    tags: TagSet::new(),
                    lifetime: LifetimeClass::Immutable,
                    valid_until: None,
                    location: None,
                    link: None,
                };
                once(draft, public, conditions)
            }
            Ok(None) => refuse(request, public, None, &ApiError::new(Code::NotFound)),
            Err(error) => refuse(request, public, None, &ApiError::unavailable(error)),
        },
        Resolved::Redirect(location) => {
            let draft = Draft {
                status: 301,
                content_type: "text/plain; charset=utf-8",
                body: bytes::Bytes::new(),
                tags: TagSet::new(),
                lifetime: LifetimeClass::Redirect,
                valid_until: None,
                location: Some(location),
                link: None,
            };
            once(draft, public, conditions)
        }
        Resolved::BadRequest(locale, problems) => {
            let error = problems.into_iter().fold(
                ApiError::new(Code::InvalidRequest),
                |error, (field, message)| error.field(field, message),
            );
            refuse(request, public, locale, &error)
        }
        Resolved::NotFound(locale) => {
            refuse(request, public, locale, &ApiError::new(Code::NotFound))
        }
    }
}

/// An answer that is made for each request and depends on its address alone.
fn once(draft: Draft, public: &Public, conditions: Conditions<'_>) -> HttpResponse {
    let sequence = public.cache.freshness().sequence();
    let served = Served {
        page: Arc::new(Page::new(draft, sequence)),
        source: Source::Made,
        sequence,
        behind: false,
    };
    respond(&served, conditions)
}

/// What every request must be, whatever it asks for.
fn acceptable(request: &HttpRequest, target: &str, hosts: &[String]) -> Result<(), ApiError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(
            ApiError::new(Code::MethodNotAllowed).detail("Public addresses take GET and HEAD.")
        );
    }
    if target.len() > route::MAXIMUM_TARGET {
        return Err(ApiError::new(Code::UriTooLong));
    }
    let headers = request.headers();
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0");
    if has_body {
        return Err(
            ApiError::new(Code::InvalidRequest).detail("A GET request must not have a body.")
        );
    }
    let mut named = headers.get_all(header::HOST);
    let host = named.next().and_then(|host| host.to_str().ok());
    if named.next().is_some() {
        return Err(ApiError::new(Code::InvalidRequest).detail("A request must name one host."));
    }
    let is_ours = |host: &str| {
        let host = without_port(host);
        hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    };
    // A target in its absolute form names a host too, and it is that one which counts (RFC 9112, 3.2.2).
    let of_target = request.uri().host();
    if !of_target.is_none_or(is_ours) || !host.or(of_target).is_some_and(is_ours) {
        return Err(ApiError::new(Code::Misdirected));
    }
    Ok(())
}

/// A host without its port and without the dot of the root.
pub(crate) fn without_port(host: &str) -> &str {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn locale_of(route: &Route) -> Option<Locale> {
    match route {
        Route::Page(locale, _) => Some(*locale),
        _ => None,
    }
}

fn unavailable(error: FillError) -> ApiError {
    match error {
        FillError::Overloaded => ApiError::new(Code::Overloaded),
        FillError::Deadline(_) => ApiError::unavailable(error),
        FillError::Failed(cause) => match cause.downcast_ref::<BuildError>() {
            Some(BuildError::Database(failure)) if failure.is_unavailable() => {
                ApiError::unavailable(FillError::Failed(cause))
            }
            Some(BuildError::Slow(_)) => ApiError::unavailable(FillError::Failed(cause)),
            Some(BuildError::Request(problems)) => problems.iter().fold(
                ApiError::new(Code::InvalidRequest),
                |error, (field, message)| error.field(field.clone(), message.clone()),
            ),
            _ => ApiError::internal(FillError::Failed(cause)),
        },
    }
}

/// A refusal: a page for people, problem details for programs. No cache keeps it.
fn refuse(
    request: &HttpRequest,
    public: &Public,
    locale: Option<Locale>,
    error: &ApiError,
) -> HttpResponse {
    let id = request_id::accept(request.headers().get(request_id::HEADER));
    error.log(&id);
    let status =
        StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, crate::edge::headers::PRIVATE));
    if let Some(seconds) = error.code.retry_after() {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if error.code == Code::MethodNotAllowed {
        response.insert_header((header::ALLOW, "GET, HEAD"));
    }
    let for_programs = request.uri().path().starts_with("/api/");
    let page = if for_programs {
        None
    } else {
        error_page(public, locale, error, &id)
    };
    let response = match page {
        Some(html) => {
            for (name, value) in super::security::PAGE_HEADERS {
                response.insert_header((*name, *value));
            }
            response.content_type("text/html; charset=utf-8").body(html)
        }
        None => response
            .content_type("application/problem+json")
            .body(serde_json::to_vec(&error.problem(Some(id))).unwrap_or_default()),
    };
    if request.method() == Method::HEAD {
        return response.drop_body().map_into_boxed_body();
    }
    response
}

fn error_page(
    public: &Public,
    locale: Option<Locale>,
    error: &ApiError,
    id: &str,
) -> Option<String> {
    let view = match error.code.status() {
        404 => ErrorView::NotFound,
        400 => ErrorView::BadRequest {
            problems: error
                .fields
                .iter()
                .map(|field| field.message.clone())
                .chain(error.detail.clone())
                .collect(),
        },
        503 => ErrorView::Unavailable,
        500 => ErrorView::Failure {
            request_id: id.to_owned(),
        },
        _ => return None,
    };
    let site = &public.site;
    let frame = Frame::bare(
        locale.unwrap_or(site.default_locale()),
        site.default_currency(),
    );
    storefront::error(&view, site, &frame).ok()
}

/// Why an answer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database failed.
    #[error("failed to read the catalogue")]
    Database(#[from] DbError),
    /// A page could not be rendered.
    #[error("failed to render")]
    Render(#[from] askama::Error),
    /// A value turned out to be one that it cannot be, such as a cursor of another list.
    #[error("the request is not valid")]
    Request(Vec<(String, String)>),
    /// An answer could not be written as JSON or XML.
    #[error("failed to write an answer")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The member of the database did not answer in time.
    #[error("a database member did not answer within {0:?}")]
    Slow(Duration),
}

impl From<sqlx::Error> for BuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Makes an answer, on another member of the database when one fails or hangs.
async fn make(
    public: Arc<Public>,
    route: Route,
    sequence: i64,
) -> Result<Draft, Arc<dyn std::error::Error + Send + Sync>> {
    let mut last = BuildError::Database(DbError::NoReader);
    for attempt in 1..=ATTEMPTS {
        let mut reader = match public.db.reader(sequence).await {
            Ok(reader) => reader,
            Err(error) => {
                last = error.into();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let member = reader.member();
        let (public, route) = (Arc::clone(&public), route.clone());
        // A task of its own: a statement that hangs is left to itself, not abandoned half-way on a pooled connection.
        let work = tokio::spawn(async move {
            let built = build::build(&public, &route, sequence, &mut reader.connection).await;
            drop(reader);
            built
        });
        match tokio::time::timeout(ATTEMPT_LIMIT, work).await {
            Ok(Ok(Ok(draft))) => return Ok(draft),
            Ok(Ok(Err(BuildError::Database(error)))) if error.is_unavailable() => {
                member.suspect();
                last = error.into();
            }
            Ok(Ok(Err(error))) => return Err(Arc::new(error)),
            Ok(Err(_)) => return Err(Arc::new(BuildError::Database(DbError::Aborted))),
            Err(_) => {
                member.suspect();
                last = BuildError::Slow(ATTEMPT_LIMIT);
            }
        }
        tracing::debug!(attempt, member = %member.name, error = chain(&last), "asking another database member");
    }
    Err(Arc::new(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_too_slow_is_unavailable_not_broken() {
        let failed = |error: BuildError| unavailable(FillError::Failed(Arc::new(error))).code;
        assert_eq!(
            failed(BuildError::Slow(ATTEMPT_LIMIT)).status(),
            Code::Unavailable.status()
        );
        assert_eq!(
            failed(BuildError::Database(DbError::NoReader)).status(),
            Code::Unavailable.status()
        );
        let broken = BuildError::Write(Box::new(std::io::Error::other("no room")));
        assert_eq!(failed(broken).status(), Code::Internal.status());
    }
}
