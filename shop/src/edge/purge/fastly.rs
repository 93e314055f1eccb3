//! Fastly: `POST /service/{id}/purge` with up to 256 surrogate keys in a header.
//! <https://www.fastly.com/documentation/reference/api/purging/>

use reqwest::Client;
use url::Url;

use super::config::FastlyConfig;
use super::{Limits, PurgeBatch, PurgeError, PurgeFuture, PurgeProvider, exchange};
use crate::outbox::PurgeKind;

/// One Fastly service.
#[derive(Debug)]
pub struct Fastly {
    config: FastlyConfig,
    client: Client,
}

impl Fastly {
    /// The service of this configuration.
    #[must_use]
    pub const fn new(config: FastlyConfig, client: Client) -> Self {
        Self { config, client }
    }

    fn url(&self) -> Result<Url, PurgeError> {
        self.config
            .url
            .join(&format!("service/{}/purge", self.config.service))
            .map_err(|error| PurgeError::Unsendable(error.to_string()))
    }

    async fn send(&self, batch: &PurgeBatch) -> Result<(), PurgeError> {
        let token = self
            .config
            .token
            .read()
            .map_err(|error| PurgeError::Unsendable(error.to_string()))?;
        let mut request = self
            .client
            .post(self.url()?)
            .header("Fastly-Key", token)
            .header("Accept", "application/json")
            .header("Surrogate-Key", batch.joined(" "));
        if batch.kind == PurgeKind::Soft {
            request = request.header("Fastly-Soft-Purge", "1");
        }
        let answer = exchange(request).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(answer.error())
        }
    }
}

impl PurgeProvider for Fastly {
    fn limits(&self) -> Limits {
        Limits {
            tags: 256,
            bytes: 8000,
            whole_above: 10 * 256,
        }
    }

    fn purge<'a>(&'a self, batch: &'a PurgeBatch) -> PurgeFuture<'a> {
        Box::pin(self.send(batch))
    }
}
