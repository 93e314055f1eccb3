//! Backups in a bucket that speaks S3.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use url::Url;

use super::{MAXIMUM_LISTED, StoreError};

/// How long one request may take: a part at a quarter of a megabyte a second.
const DEADLINE: Duration = Duration::from_mins(2);
const CONNECT: Duration = Duration::from_secs(10);
/// How long a signature is good for.
const SIGNATURE: Duration = Duration::from_mins(10);
/// How often a request is tried: for about half a minute.
const ATTEMPTS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The largest object that is read, and the largest list, in bytes.
const MAXIMUM_BYTES: usize = 2 * 1024 * 1024 * 1024;

/// A secret that is written, or a file that has it, which is read anew for each request.
#[derive(Clone)]
enum Secret {
    Value(String),
    File(PathBuf),
}

impl Secret {
    fn find(name: &str, variable: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        set(name)
            .map(Self::Value)
            .or_else(|| set(&format!("{name}_FILE")).map(|path| Self::File(path.into())))
    }

    fn read(&self) -> Result<String, StoreError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .map_err(|error| StoreError::Secret(path.clone(), error)),
        }
    }
}

pub(super) struct S3 {
    bucket: Bucket,
    prefix: String,
    access_key: Secret,
    secret_key: Secret,
    token: Option<Secret>,
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

/// Why an attempt failed, and whether another may do better.
struct Failed {
    detail: String,
    again: bool,
}

impl S3 {
    pub(super) fn open(
        url: &Url,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StoreError> {
        let syntax = || StoreError::Syntax(url.to_string());
        let name = url.host_str().ok_or_else(syntax)?.to_owned();
        let mut region = "us-east-1".to_owned();
        let mut endpoint = None;
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "region" => region = value.into_owned(),
                "endpoint" => endpoint = Some(value.into_owned()),
                _ => return Err(syntax()),
            }
        }
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint = Url::parse(&endpoint).map_err(|_| syntax())?;
        let bucket = Bucket::new(endpoint, UrlStyle::Path, name, region).map_err(|_| syntax())?;
        let prefix = url.path().trim_matches('/');
        // Letters that have to be escaped would be escaped twice.
        if prefix.contains('%') || prefix.split('/').any(|part| part == "." || part == "..") {
            return Err(syntax());
        }
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        let secret = |name| Secret::find(name, &variable).ok_or(StoreError::Credentials(name));
        Ok(Self {
            bucket,
            prefix,
            access_key: secret("AWS_ACCESS_KEY_ID")?,
            secret_key: secret("AWS_SECRET_ACCESS_KEY")?,
            token: Secret::find("AWS_SESSION_TOKEN", &variable),
            client: client().map_err(StoreError::Client)?,
        })
    }

    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let bytes = bytes::Bytes::from(bytes);
        self.retried("write", key, || self.try_put(key, bytes.clone()))
            .await
    }

    pub(super) async fn get(
        &self,
        key: &str,
        most: Option<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.retried("read", key, || self.try_get(key, most)).await
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self
                .retried("list", prefix, || self.try_list(prefix, next.as_deref()))
                .await?;
            let keys = page.keys.iter();
            found.extend(keys.filter_map(|key| Some(key.strip_prefix(&self.prefix)?.to_owned())));
            if found.len() > MAXIMUM_LISTED {
                return Err(StoreError::TooMany);
            }
            match page.next {
                Some(token) if next.as_ref() != Some(&token) => next = Some(token),
                _ => return Ok(found),
            }
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.retried("delete", key, || self.try_delete(key)).await
    }

    async fn try_put(&self, key: &str, bytes: bytes::Bytes) -> Result<(), Failed> {
        let (keys, object) = (self.credentials()?, self.object(key));
        let url = self.bucket.put_object(Some(&keys), &object).sign(SIGNATURE);
        let sent = self.client.put(url).body(bytes).send().await;
        accepted(sent.map_err(unanswered)?).await?;
        Ok(())
    }

    async fn try_get(&self, key: &str, most: Option<u64>) -> Result<Option<Vec<u8>>, Failed> {
        let (keys, object) = (self.credentials()?, self.object(key));
        let url = self.bucket.get_object(Some(&keys), &object).sign(SIGNATURE);
        let mut request = self.client.get(url);
        if let Some(most) = most {
            request = request.header("range", format!("bytes=0-{}", most.saturating_sub(1)));
        }
        let response = request.send().await.map_err(unanswered)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut bytes = body(accepted(response).await?).await?;
        // A server that knows no ranges sends all of it.
        if let Some(most) = most.and_then(|most| usize::try_from(most).ok()) {
            bytes.truncate(most);
        }
        Ok(Some(bytes))
    }

    async fn try_list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Failed> {
        let (keys, full) = (self.credentials()?, self.object(prefix));
        // The list is what the bucket itself is asked for.
        let mut action = self.bucket.get_object(Some(&keys), "");
        let query = action.query_mut();
        query.insert("list-type", "2");
        query.insert("encoding-type", "url");
        query.insert("prefix", full.as_str());
        if let Some(token) = next {
            query.insert("continuation-token", token);
        }
        let response = self.client.get(action.sign(SIGNATURE)).send().await;
        let bytes = body(accepted(response.map_err(unanswered)?).await?).await?;
        page(&String::from_utf8_lossy(&bytes)).ok_or_else(|| Failed {
            detail: "its list is not understood".to_owned(),
            again: false,
        })
    }

    async fn try_delete(&self, key: &str) -> Result<(), Failed> {
        let (keys, object) = (self.credentials()?, self.object(key));
        let action = self.bucket.delete_object(Some(&keys), &object);
        let response = self.client.delete(action.sign(SIGNATURE)).send().await;
        let response = response.map_err(unanswered)?;
        if response.status() != StatusCode::NOT_FOUND {
            accepted(response).await?;
        }
        Ok(())
    }

    fn object(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn credentials(&self) -> Result<Credentials, Failed> {
        let read = |secret: &Secret| {
            secret.read().map_err(|error| Failed {
                detail: error.to_string(),
                again: false,
            })
        };
        let (access, secret) = (read(&self.access_key)?, read(&self.secret_key)?);
        Ok(match &self.token {
            Some(token) => Credentials::new_with_token(access, secret, read(token)?),
            None => Credentials::new(access, secret),
        })
    }

    async fn retried<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        action: &'static str,
        key: &str,
        attempt: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut failures = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            let Failed { detail, again } = match attempt().await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            failures += 1;
            if !again || failures >= ATTEMPTS {
                return Err(StoreError::Bucket {
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
                "the bucket failed and is asked again"
            );
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Trusted are Mozilla's roots, built in, and those of the system, so that a private authority can be added through
/// `SSL_CERT_FILE`. A signed request must not be led elsewhere.
fn client() -> reqwest::Result<Client> {
    // The error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<reqwest::Result<Vec<_>>>()?;
    Client::builder()
        .tls_certs_merge(roots)
        .redirect(Policy::none())
        .timeout(DEADLINE)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("panono/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// A page of a list, as `ListObjectsV2` answers.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    keys: Vec<String>,
    next: Option<String>,
}

/// Reads the parts of the answer that matter; they are elements without attributes. `None` when it is none, or is not whole.
fn page(xml: &str) -> Option<Page> {
    if !xml.trim_end().ends_with("</ListBucketResult>") {
        return None;
    }
    let encoded = elements(xml, "EncodingType").any(|kind| kind == "url");
    let keys = elements(xml, "Key").map(|key| {
        if encoded {
            let pair = format!("={}", unescaped(key));
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            decoded.map_or_else(String::new, |(_, key)| key.into_owned())
        } else {
            unescaped(key)
        }
    });
    let next = elements(xml, "NextContinuationToken")
        .next()
        .map(unescaped)
        .filter(|token| !token.is_empty());
    let truncated = elements(xml, "IsTruncated").any(|text| text == "true");
    if truncated && next.is_none() {
        return None;
    }
    Some(Page {
        keys: keys.collect(),
        next: next.filter(|_| truncated),
    })
}

fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&start)?;
        let (text, after) = after.split_once(&end)?;
        rest = after;
        Some(text)
    })
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#43;", "+")
        .replace("&amp;", "&")
}

async fn body(mut response: Response) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAXIMUM_BYTES {
            return Err(Failed {
                detail: "the object is larger than any of a backup".to_owned(),
                again: false,
            });
        }
    }
    Ok(bytes)
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
    }
}

async fn accepted(mut response: Response) -> Result<Response, Failed> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let beginning = response.chunk().await.ok().flatten().unwrap_or_default();
    let text: String = String::from_utf8_lossy(&beginning)
        .chars()
        .filter(|character| !character.is_control())
        .take(300)
        .collect();
    Err(Failed {
        detail: format!("status {status}: {text}"),
        again: status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(inner: &str) -> Option<Page> {
        page(&format!(
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\">{inner}</ListBucketResult>\n"
        ))
    }

    #[test]
    fn pages_of_lists_are_read() {
        let first = list(
            "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken>\
             <Contents><Key>my+shop/a%2Fb</Key><Size>3</Size></Contents><Contents><Key>c</Key></Contents>",
        );
        assert_eq!(
            first,
            Some(Page {
                keys: vec!["my shop/a/b".to_owned(), "c".to_owned()],
                next: Some("a&b=".to_owned()),
            })
        );
        let last = list(
            "<IsTruncated>false</IsTruncated><NextContinuationToken>x</NextContinuationToken>",
        );
        assert_eq!(
            last,
            Some(Page {
                keys: Vec::new(),
                next: None
            })
        );
    }

    #[test]
    fn a_list_that_is_cut_off_is_no_list() {
        assert_eq!(page("<ListBucketResult><Contents><Key>a</Key>"), None);
        assert_eq!(list("<IsTruncated>true</IsTruncated>"), None);
        assert_eq!(page(""), None);
    }
}
