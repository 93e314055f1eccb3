//! Sends one delivery.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header;
use reqwest::{Client, Response, StatusCode};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::signature::WebhookSecret;
use super::store::{self, ToSend};
use super::target::Targets;
use crate::db::{Db, DbError};
use crate::outbox::consumer::{Claimed, Handled, Handler};
use crate::secret::Keys;
use crate::web::error::chain;

/// How long an endpoint may take to answer, and all of an attempt.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// How much of an answer is read, and how much of that is kept for the log.
const MOST_READ: usize = 4096;
const MOST_KEPT: usize = 200;
/// The longest pause that an endpoint may ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// Attempts in a row that fail before the endpoint is left alone for a while.
const TROUBLE: u32 = 4;

/// What the secret of an endpoint is sealed for.
pub const SEALED_FOR: &str = "webhook";

/// The context under which the secret of an endpoint is sealed.
#[must_use]
pub fn seal_context(endpoint: i64) -> String {
    format!("endpoint {endpoint}")
}

/// What deliveries need.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The database.
    pub db: Db,
    /// The shop's key, with which secrets are sealed.
    pub keys: Keys,
    /// Where deliveries may go.
    pub targets: Targets,
    /// The client for those targets.
    pub client: Client,
}

/// Sends the deliveries of one lane; says when its endpoint seems to be down.
#[derive(Debug)]
pub(super) struct LaneHandler {
    sender: Arc<Sender>,
    failures: AtomicU32,
    stop: watch::Sender<bool>,
}

/// How one attempt ended.
enum Attempt {
    Taken(StatusCode),
    NotTaken {
        status: Option<StatusCode>,
        error: String,
        pause: Option<Duration>,
        hopeless: bool,
    },
}

impl Attempt {
    fn failed(error: impl Into<String>) -> Self {
        Self::NotTaken {
            status: None,
            error: error.into(),
            pause: None,
            hopeless: false,
        }
    }
}

impl LaneHandler {
    /// A handler that turns `stop` true when its endpoint seems to be down.
    pub(super) const fn new(sender: Arc<Sender>, stop: watch::Sender<bool>) -> Self {
        Self {
            sender,
            failures: AtomicU32::new(0),
            stop,
        }
    }

    async fn carry_out(&self, claimed: &Claimed) -> Handled {
        let Some(delivery) = claimed
            .row
            .payload
            .get("delivery")
            .and_then(serde_json::Value::as_i64)
        else {
            return Handled::Failed("the row names no delivery".to_owned());
        };
        let found = match self.sender.find(delivery).await {
            Ok(found) => found,
            Err(error) => return Handled::Failed(chain(&error)),
        };
        let Some(found) = found else {
            // It was pruned, or its endpoint deleted.
            return Handled::Done;
        };
        if found.state == "delivered" || found.status == "archived" {
            return Handled::Done;
        }
        if found.status == "paused" {
            return Handled::FailedFor(
                Duration::from_secs(30),
                "the endpoint is paused".to_owned(),
            );
        }
        let attempt = self.sender.send(&found).await;
        let noted = self
            .sender
            .note(delivery, &attempt, claimed.last_attempt)
            .await;
        if let Err(error) = noted {
            tracing::warn!(delivery, %error, "what became of a webhook could not be noted");
        }
        match attempt {
            Attempt::Taken(_) => {
                self.failures.store(0, Ordering::Relaxed);
                Handled::Done
            }
            Attempt::NotTaken {
                error,
                hopeless: true,
                ..
            } => Handled::Hopeless(error),
            Attempt::NotTaken { error, pause, .. } => {
                if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= TROUBLE {
                    self.stop.send_replace(true);
                }
                match pause {
                    Some(pause) => Handled::FailedFor(pause, error),
                    None => Handled::Failed(error),
                }
            }
        }
    }
}

impl Handler for LaneHandler {
    fn handle<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Handled> + Send + 'a>> {
        Box::pin(self.carry_out(claimed))
    }
}

impl Sender {
    async fn find(&self, delivery: i64) -> Result<Option<ToSend>, DbError> {
        let mut primary = self.db.primary().await?;
        let found = store::to_send(&mut primary.connection, delivery).await;
        found.map_err(|error| crate::outbox::dispatch::judged(&primary, error))
    }

    async fn note(&self, delivery: i64, attempt: &Attempt, last: bool) -> Result<(), DbError> {
        let mut primary = self.db.primary().await?;
        let connection = &mut primary.connection;
        let noted = match attempt {
            Attempt::Taken(status) => store::delivered(connection, delivery, status.as_u16()).await,
            Attempt::NotTaken {
                status,
                error,
                hopeless,
                ..
            } => {
                let status = status.map(|status| status.as_u16());
                store::not_delivered(connection, delivery, last || *hopeless, status, error).await
            }
        };
        noted.map_err(|error| crate::outbox::dispatch::judged(&primary, error))
    }

    async fn send(&self, found: &ToSend) -> Attempt {
        // Numbers in addresses pass by the resolver; and the setting may have changed since the endpoint was made.
        let url = match self.targets.check(&found.url) {
            Ok(url) => url,
            Err(error) => {
                return Attempt::NotTaken {
                    status: None,
                    error: format!("the endpoint's address {error}"),
                    pause: None,
                    hopeless: true,
                };
            }
        };
        let context = seal_context(found.endpoint_id);
        let secret = match self
            .keys
            .open(SEALED_FOR, context.as_bytes(), &found.secret)
        {
            Ok(secret) => WebhookSecret::from_bytes(secret),
            Err(error) => return Attempt::failed(format!("the endpoint's secret {error}")),
        };
        let timestamp = OffsetDateTime::now_utc().unix_timestamp();
        let request = self
            .client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &found.event_id)
            .header("webhook-timestamp", timestamp.to_string())
            .header(
                "webhook-signature",
                secret.sign(&found.event_id, timestamp, &found.body),
            )
            .body(found.body.clone());
        let answer = match request.send().await {
            Ok(answer) => answer,
            // The address may hold a token; it is in the endpoint's row and nowhere else.
            Err(error) => return Attempt::failed(chain(&error.without_url())),
        };
        let status = answer.status();
        if status.is_success() {
            return Attempt::Taken(status);
        }
        let pause = pause_asked_for(&answer);
        let said = beginning(answer).await;
        Attempt::NotTaken {
            error: match (status.is_redirection(), said.is_empty()) {
                (true, _) => format!("answered {status}; redirects are not followed"),
                (_, true) => format!("answered {status}"),
                (_, false) => format!("answered {status}: {said}"),
            },
            status: Some(status),
            pause,
            // The endpoint says that it is gone for good.
            hopeless: status == StatusCode::GONE,
        }
    }
}

/// `Retry-After` in seconds, of answers that say "not now".
fn pause_asked_for(answer: &Response) -> Option<Duration> {
    if !matches!(
        answer.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) {
        return None;
    }
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let pause = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(pause.clamp(Duration::from_secs(1), LONGEST_PAUSE))
}

/// The beginning of an answer as text on one line. What follows is not read.
async fn beginning(mut answer: Response) -> String {
    let mut read = Vec::new();
    while read.len() < MOST_READ {
        match answer.chunk().await {
            Ok(Some(chunk)) => read.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&read);
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ").chars().take(MOST_KEPT).collect()
}
