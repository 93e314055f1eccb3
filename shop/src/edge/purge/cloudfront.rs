//! CloudFront: `CreateInvalidation` with tags as `#tag` items, on a distribution whose `CacheTagConfig` names the
//! header `Cache-Tag`. It knows hard purges only.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-by-tags.html>,
//! <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html>

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use time::OffsetDateTime;
use url::Url;

use super::config::CloudFrontConfig;
use super::rate::TokenBucket;
use super::{Answer, Limits, PurgeBatch, PurgeError, PurgeFuture, PurgeProvider, exchange};
use crate::outbound::sigv4::{Scope, SignedHeaders, sign};
use crate::outbox::ClaimId;

const API_VERSION: &str = "2020-05-31";

/// One CloudFront distribution.
#[derive(Debug)]
pub struct CloudFront {
    config: CloudFrontConfig,
    client: Client,
    bucket: TokenBucket,
}

impl CloudFront {
    /// The distribution of this configuration.
    #[must_use]
    pub fn new(config: CloudFrontConfig, client: Client) -> Self {
        // AWS documents no rate, but refuses bursts of some ten requests.
        Self {
            config,
            client,
            bucket: TokenBucket::new(5, Duration::from_secs(1)),
        }
    }

    fn url(&self) -> Result<Url, PurgeError> {
        self.config
            .url
            .join(&format!(
                "{API_VERSION}/distribution/{}/invalidation",
                self.config.distribution
            ))
            .map_err(|error| PurgeError::Unsendable(error.to_string()))
    }

    async fn send(&self, batch: &PurgeBatch) -> Result<(), PurgeError> {
        let credentials = self
            .config
            .credentials
            .read()
            .map_err(|error| PurgeError::Unsendable(error.to_string()))?;
        let url = self.url()?;
        let body = document(batch, ClaimId::random().as_str());
        self.bucket.wait().await;
        let headers = sign(
            "POST",
            &url,
            body.as_bytes(),
            OffsetDateTime::now_utc(),
            &credentials,
            SCOPE,
        )
        .map_err(|error| PurgeError::Unsendable(error.to_string()))?;
        let SignedHeaders {
            date,
            content_hash,
            authorization,
            token,
        } = headers;
        let mut request = self
            .client
            .post(url)
            .header("Content-Type", "text/xml")
            .header("X-Amz-Date", date)
            .header("X-Amz-Content-Sha256", content_hash)
            .header("Authorization", authorization)
            .body(body);
        if let Some(token) = token {
            request = request.header("X-Amz-Security-Token", token);
        }
        judge(&exchange(request).await?)
    }
}

/// CloudFront is a global service: its requests are signed for this region.
const SCOPE: Scope = Scope {
    region: "us-east-1",
    service: "cloudfront",
};

/// The body of `CreateInvalidation`. Tags have no character that XML would need escaped.
fn document(batch: &PurgeBatch, reference: &str) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/{API_VERSION}/\"><Paths><Quantity>{}</Quantity><Items>",
        batch.tags.len()
    );
    for tag in &batch.tags {
        // Writing to a String cannot fail.
        let _ = write!(text, "<Path>#{tag}</Path>");
    }
    let _ = write!(
        text,
        "</Items></Paths><CallerReference>panono-{}-{reference}</CallerReference></InvalidationBatch>",
        batch.sequence
    );
    text
}

/// An accepted invalidation is carried out by AWS. What is refused for now comes as status 400 with a code.
fn judge(answer: &Answer) -> Result<(), PurgeError> {
    if answer.status == StatusCode::CREATED {
        return Ok(());
    }
    let busy = [
        "TooManyInvalidationsInProgress",
        "Throttling",
        "Rate exceeded",
    ]
    .iter()
    .any(|code| answer.body.contains(code));
    if busy && answer.status.is_client_error() {
        return Err(answer.throttled());
    }
    Err(answer.error())
}

impl PurgeProvider for CloudFront {
    fn limits(&self) -> Limits {
        // 3 000 items may be in progress at once for the whole distribution, and each costs money.
        Limits {
            tags: 500,
            bytes: 500 * 65,
            whole_above: 500,
        }
    }

    fn purge<'a>(&'a self, batch: &'a PurgeBatch) -> PurgeFuture<'a> {
        Box::pin(self.send(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tags::Tag;
    use crate::outbox::PurgeKind;

    #[test]
    fn the_document_names_each_tag_with_a_hash_sign() {
        let batch = PurgeBatch {
            tags: vec![Tag::product(1), Tag::all()],
            kind: PurgeKind::Soft,
            sequence: 9,
        };
        assert_eq!(
            document(&batch, "r"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InvalidationBatch \
             xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths><Quantity>2</Quantity><Items>\
             <Path>#p-1</Path><Path>#all</Path></Items></Paths><CallerReference>panono-9-r</CallerReference>\
             </InvalidationBatch>"
        );
    }
}
