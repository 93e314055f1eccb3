//! Telling edges and CDNs what has changed.
//!
//! Every edge follows the invalidation log with two cursors of its own: one sends each row at once, the other sends it
//! again a few seconds later, for what an edge was storing while the first purge arrived. A cursor moves only when the
//! edge has acknowledged; an edge that fails is tried again with growing waits and delays no other.

pub mod cloudflare;
pub mod cloudfront;
pub mod config;
mod delivery;
pub mod fastly;
mod plan;
mod rate;
mod store;
mod targets;
pub mod varnish;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use reqwest::{Response, StatusCode};

use crate::edge::tags::Tag;
use crate::outbox::PurgeKind;

pub use config::PurgeConfig;
pub use delivery::{DeliverySettings, PurgeMetrics};
pub use targets::PurgeWorker;

/// What one request may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most tags in one request.
    pub tags: usize,
    /// Most bytes of tags in one request, separators included.
    pub bytes: usize,
    /// With more distinct tags than this to send, the edge is purged whole instead: it costs less than the requests.
    pub whole_above: usize,
}

/// One request to one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeBatch {
    /// What was touched; never empty, never above the provider's [`Limits`].
    pub tags: Vec<Tag>,
    /// How the edge is to treat it, where it knows the difference.
    pub kind: PurgeKind,
    /// The newest sequence of the log that this delivery covers.
    pub sequence: i64,
}

impl PurgeBatch {
    pub(crate) fn joined(&self, separator: &str) -> String {
        self.tags
            .iter()
            .map(Tag::as_str)
            .collect::<Vec<_>>()
            .join(separator)
    }
}

/// Why an edge has not acknowledged. Every one of these is tried again.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The edge asks for a pause.
    #[error("the edge asks to slow down ({detail})")]
    Throttled {
        /// How long it asked for, when it said so.
        retry_after: Option<Duration>,
        /// What it answered.
        detail: String,
    },
    /// The edge answered something else than success.
    #[error("the edge refused the purge with status {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it answered.
        detail: String,
    },
    /// No answer came.
    #[error("the edge did not answer: {0}")]
    Unreachable(String),
    /// The request could not be made: a token that cannot be read, an address that is none.
    #[error("the purge could not be sent: {0}")]
    Unsendable(String),
}

/// The answer of an edge, to come.
pub type PurgeFuture<'a> = Pin<Box<dyn Future<Output = Result<(), PurgeError>> + Send + 'a>>;

/// An edge or CDN that can be told to forget by tag.
pub trait PurgeProvider: Send + Sync {
    /// What one request may carry.
    fn limits(&self) -> Limits;

    /// How long another worker may leave a purge waiting before this one takes the target from it. Longer than any one
    /// request with its wait, where sending twice costs something.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Sends one request, waiting for the provider's rate limit first. `Ok` means that the edge has acknowledged.
    /// Sending the same batch twice does no harm.
    fn purge<'a>(&'a self, batch: &'a PurgeBatch) -> PurgeFuture<'a>;
}

/// The longest pause that an edge can ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// How much of an answer is read: no documented answer is longer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// An answer, read to its end or to its limit.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    retry_after: Option<Duration>,
}

impl Answer {
    pub(crate) fn throttled(&self) -> PurgeError {
        PurgeError::Throttled {
            retry_after: self.retry_after,
            detail: self.detail(),
        }
    }

    /// 429 and 503 ask for a pause, anything else is refused.
    pub(crate) fn error(&self) -> PurgeError {
        if self.status == StatusCode::TOO_MANY_REQUESTS
            || (self.status == StatusCode::SERVICE_UNAVAILABLE && self.retry_after.is_some())
        {
            return self.throttled();
        }
        PurgeError::Refused {
            status: self.status.as_u16(),
            detail: self.detail(),
        }
    }

    fn detail(&self) -> String {
        self.body
            .chars()
            .filter(|character| !character.is_control())
            .take(300)
            .collect()
    }
}

/// Sends a request and reads a bounded part of the answer.
pub(crate) async fn exchange(request: reqwest::RequestBuilder) -> Result<Answer, PurgeError> {
    let response = request.send().await.map_err(unreachable_edge)?;
    let status = response.status();
    let retry_after = retry_after(&response);
    let body = bounded_body(response).await?;
    Ok(Answer {
        status,
        body,
        retry_after,
    })
}

async fn bounded_body(mut response: Response) -> Result<String, PurgeError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable_edge)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= LONGEST_ANSWER {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreachable_edge(error: reqwest::Error) -> PurgeError {
    // Without its URL: it may hold a service id, and is in the target's name already.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    PurgeError::Unreachable(text)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)?
        .to_str()
        .ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}
