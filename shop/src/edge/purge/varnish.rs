//! One Varnish with the shop's VCL: `PURGE /` with the tags in a header.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};

use super::{Limits, PurgeBatch, PurgeError, PurgeFuture, PurgeProvider, exchange};
use crate::outbound::secret::Secret;

/// A Varnish at one address.
#[derive(Debug)]
pub struct Varnish {
    url: String,
    token: Option<Secret>,
    client: Client,
}

impl Varnish {
    /// The Varnish at this address. The token is sent as `Panono-Purge-Token`.
    #[must_use]
    pub fn new(address: SocketAddr, token: Option<Secret>, client: Client) -> Self {
        Self {
            url: format!("http://{address}/"),
            token,
            client,
        }
    }

    async fn send(&self, batch: &PurgeBatch) -> Result<(), PurgeError> {
        let method = Method::from_bytes(b"PURGE")
            .map_err(|error| PurgeError::Unsendable(error.to_string()))?;
        let mut request = self
            .client
            .request(method, &self.url)
            .header("Surrogate-Key", batch.joined(" "))
            .header("Panono-Purge", batch.kind.name())
            // On every request of a delivery: the sooner Varnish knows the sequence, the sooner it refuses to store
            // what was made before it.
            .header("Panono-Sequence", batch.sequence.to_string());
        if let Some(token) = &self.token {
            let token = token
                .read()
                .map_err(|error| PurgeError::Unsendable(error.to_string()))?;
            request = request.header("Panono-Purge-Token", token);
        }
        let answer = exchange(request).await?;
        if answer.status == StatusCode::OK {
            Ok(())
        } else {
            Err(answer.error())
        }
    }
}

impl PurgeProvider for Varnish {
    fn limits(&self) -> Limits {
        // Varnish refuses a request whose headers pass 8 KiB each or 32 KiB in all; the tags keep to half of the first.
        Limits {
            tags: 500,
            bytes: 3800,
            whole_above: 5000,
        }
    }

    /// A purge that two workers send costs an edge of our own nothing.
    fn patience(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn purge<'a>(&'a self, batch: &'a PurgeBatch) -> PurgeFuture<'a> {
        Box::pin(self.send(batch))
    }
}
