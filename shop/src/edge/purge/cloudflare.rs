//! Cloudflare: `POST /client/v4/zones/{zone}/purge_cache` with up to 100 tags. It knows hard purges only.
//! <https://developers.cloudflare.com/cache/how-to/purge-cache/>

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use url::Url;

use super::config::CloudflareConfig;
use super::rate::TokenBucket;
use super::{Answer, Limits, PurgeBatch, PurgeError, PurgeFuture, PurgeProvider, exchange};

/// The plan of an account: it decides how often it may purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudflarePlan {
    /// 5 requests a minute, 25 at once.
    Free,
    /// 5 requests a second, 25 at once.
    Pro,
    /// 10 requests a second, 50 at once.
    Business,
    /// 50 requests a second, 500 at once.
    Enterprise,
}

impl CloudflarePlan {
    fn bucket(self) -> TokenBucket {
        let (burst, interval) = match self {
            Self::Free => (25, Duration::from_secs(12)),
            Self::Pro => (25, Duration::from_millis(200)),
            Self::Business => (50, Duration::from_millis(100)),
            Self::Enterprise => (500, Duration::from_millis(20)),
        };
        TokenBucket::new(burst, interval)
    }
}

/// One Cloudflare zone.
#[derive(Debug)]
pub struct Cloudflare {
    config: CloudflareConfig,
    client: Client,
    bucket: TokenBucket,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: i64,
    message: String,
}

impl Cloudflare {
    /// The zone of this configuration.
    #[must_use]
    pub fn new(config: CloudflareConfig, client: Client) -> Self {
        let bucket = config.plan.bucket();
        Self {
            config,
            client,
            bucket,
        }
    }

    fn url(&self) -> Result<Url, PurgeError> {
        self.config
            .url
            .join(&format!("client/v4/zones/{}/purge_cache", self.config.zone))
            .map_err(|error| PurgeError::Unsendable(error.to_string()))
    }

    async fn send(&self, batch: &PurgeBatch) -> Result<(), PurgeError> {
        let token = self
            .config
            .token
            .read()
            .map_err(|error| PurgeError::Unsendable(error.to_string()))?;
        self.bucket.wait().await;
        let request = self
            .client
            .post(self.url()?)
            .bearer_auth(token)
            .json(&serde_json::json!({ "tags": batch.tags }));
        judge(&exchange(request).await?)
    }
}

/// Success is said twice: by the status and in the envelope. Both must say so.
fn judge(answer: &Answer) -> Result<(), PurgeError> {
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(answer.throttled());
    }
    match serde_json::from_str::<Envelope>(&answer.body) {
        Ok(envelope) if answer.status.is_success() && envelope.success => Ok(()),
        Ok(Envelope { errors, .. }) if !errors.is_empty() => Err(PurgeError::Refused {
            status: answer.status.as_u16(),
            detail: errors
                .iter()
                .take(5)
                .map(|problem| {
                    format!(
                        "{} {}",
                        problem.code,
                        problem.message.chars().take(200).collect::<String>()
                    )
                })
                .collect::<Vec<_>>()
                .join("; "),
        }),
        Ok(_) | Err(_) => Err(answer.error()),
    }
}

impl PurgeProvider for Cloudflare {
    fn limits(&self) -> Limits {
        Limits {
            tags: 100,
            bytes: 100 * 65,
            whole_above: 1000,
        }
    }

    fn purge<'a>(&'a self, batch: &'a PurgeBatch) -> PurgeFuture<'a> {
        Box::pin(self.send(batch))
    }
}
