//! Pictures in a bucket that speaks S3.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Response, StatusCode};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use url::Url;

use super::model::{Format, MAXIMUM_BYTES, is_derived};
use super::{LocationError, MediaError};
use crate::outbound::http_client;
use crate::outbound::sigv4::AwsCredentials;
use crate::outbox::Backoff;

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a signature is good for.
const SIGNATURE: Duration = Duration::from_mins(5);
/// How often a request is tried.
const ATTEMPTS: u32 = 3;
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(2),
};

pub(super) struct S3 {
    bucket: Bucket,
    prefix: String,
    credentials: AwsCredentials,
    client: Client,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("S3")
            .field("bucket", &self.bucket.base_url().as_str())
            .finish_non_exhaustive()
    }
}

/// Why an attempt failed.
struct Failed {
    detail: String,
    /// Whether another attempt may do better.
    again: bool,
    /// Whether the keys are good, and do not allow this.
    denied: bool,
}

impl Failed {
    /// What another attempt would not change.
    fn for_good(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            again: false,
            denied: false,
        }
    }
}

impl S3 {
    /// The bucket of `s3://bucket/prefix?region=…&endpoint=…`. `None` when that is not what the address is.
    pub(super) fn open(
        url: &Url,
        credentials: AwsCredentials,
    ) -> Option<Result<Self, LocationError>> {
        let name = url.host_str()?.to_owned();
        let mut region = "us-east-1".to_owned();
        let mut endpoint = None;
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "region" => region = value.into_owned(),
                "endpoint" => endpoint = Some(value.into_owned()),
                _ => return None,
            }
        }
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let bucket = Bucket::new(Url::parse(&endpoint).ok()?, UrlStyle::Path, name, region).ok()?;
        let prefix = url.path().trim_matches('/');
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        if prefix.split('/').any(|part| part == "." || part == "..") {
            return None;
        }
        Some(
            http_client(DEADLINE)
                .map(|client| Self {
                    bucket,
                    prefix,
                    credentials,
                    client,
                })
                .map_err(Into::into),
        )
    }

    pub(super) async fn read(&self, key: &str) -> Result<Option<Bytes>, MediaError> {
        let object = format!("{}{key}", self.prefix);
        self.retried("read", key, || async {
            match self.get(&object).await {
                // Whoever may not list a bucket is not told that an object is missing. A derived picture mostly is, and is made then;
                // where it is really denied, so is the original.
                Err(failed) if failed.denied && is_derived(key) => Ok(None),
                answer => answer,
            }
        })
        .await
    }

    pub(super) async fn write(
        &self,
        key: &str,
        bytes: Bytes,
        format: Format,
    ) -> Result<(), MediaError> {
        let object = format!("{}{key}", self.prefix);
        self.retried("write", key, || self.put(&object, bytes.clone(), format))
            .await
    }

    async fn get(&self, object: &str) -> Result<Option<Bytes>, Failed> {
        let keys = self.keys()?;
        let url = self.bucket.get_object(Some(&keys), object).sign(SIGNATURE);
        let mut response = self.client.get(url).send().await.map_err(unanswered)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAXIMUM_BYTES {
                return Err(Failed::for_good("the object is larger than any picture"));
            }
        }
        Ok(Some(Bytes::from(bytes)))
    }

    async fn put(&self, object: &str, bytes: Bytes, format: Format) -> Result<(), Failed> {
        let keys = self.keys()?;
        let mut action = self.bucket.put_object(Some(&keys), object);
        action
            .headers_mut()
            .insert("content-type", format.content_type());
        let url = action.sign(SIGNATURE);
        let request = self
            .client
            .put(url)
            .header("content-type", format.content_type())
            .body(bytes);
        let response = request.send().await.map_err(unanswered)?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(refused(response).await)
        }
    }

    fn keys(&self) -> Result<Credentials, Failed> {
        let keys = self
            .credentials
            .read()
            .map_err(|error| Failed::for_good(error.to_string()))?;
        Ok(match keys.session_token {
            Some(token) => Credentials::new_with_token(keys.access_key, keys.secret_key, token),
            None => Credentials::new(keys.access_key, keys.secret_key),
        })
    }

    async fn retried<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        action: &'static str,
        key: &str,
        attempt: impl Fn() -> F,
    ) -> Result<T, MediaError> {
        let mut failures = 0;
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(Failed { detail, again, .. }) => {
                    failures += 1;
                    if !again || failures >= ATTEMPTS {
                        return Err(MediaError::Objects {
                            action,
                            key: key.to_owned(),
                            detail,
                        });
                    }
                    tracing::warn!(
                        action,
                        key,
                        detail,
                        failures,
                        "the object store failed and is asked again"
                    );
                    tokio::time::sleep(BACKOFF.jittered(failures)).await;
                }
            }
        }
    }
}

fn unanswered(error: reqwest::Error) -> Failed {
    // Its URL holds the signature.
    let error = error.without_url();
    let cause = std::error::Error::source(&error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    Failed {
        detail: format!("{error}{cause}"),
        again: true,
        denied: false,
    }
}

async fn refused(mut response: Response) -> Failed {
    let status = response.status();
    let beginning = response.chunk().await.ok().flatten().unwrap_or_default();
    let text: String = String::from_utf8_lossy(&beginning)
        .chars()
        .filter(|character| !character.is_control())
        .take(300)
        .collect();
    let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    Failed {
        denied: status == StatusCode::FORBIDDEN && text.contains("<Code>AccessDenied</Code>"),
        detail: format!("status {status}: {text}"),
        again,
    }
}
