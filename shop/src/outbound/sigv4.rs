//! AWS Signature Version 4 in headers, for requests without a query and with a path that needs no encoding.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use super::secret::{Secret, SecretError};

/// Where an AWS account's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key: Secret,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_key: Secret,
    /// `AWS_SESSION_TOKEN`, with temporary keys.
    pub session_token: Option<Secret>,
}

impl AwsCredentials {
    /// The keys as they are now.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read(&self) -> Result<AwsKeys, SecretError> {
        Ok(AwsKeys {
            access_key: self.access_key.read()?,
            secret_key: self.secret_key.read()?,
            session_token: self.session_token.as_ref().map(Secret::read).transpose()?,
        })
    }
}

/// The keys of an AWS account, read.
#[derive(Clone)]
pub struct AwsKeys {
    /// Names the key.
    pub access_key: String,
    /// Signs.
    pub secret_key: String,
    /// Sent along with temporary keys.
    pub session_token: Option<String>,
}

/// What a signature is good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) region: &'static str,
    pub(crate) service: &'static str,
}

/// The headers that a signed request carries besides its own.
#[derive(Debug)]
pub(crate) struct SignedHeaders {
    pub(crate) date: String,
    pub(crate) content_hash: String,
    pub(crate) authorization: String,
    pub(crate) token: Option<String>,
}

/// A request that cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error("the address has no host")]
    Host,
    #[error("the time cannot be written")]
    Time,
    #[error("the key cannot be used")]
    Key,
}

/// Signs a request over its host, its date, the hash of its body and the session token.
pub(crate) fn sign(
    method: &str,
    url: &Url,
    body: &[u8],
    now: OffsetDateTime,
    keys: &AwsKeys,
    scope: Scope,
) -> Result<SignedHeaders, SignError> {
    let host = url.host_str().ok_or(SignError::Host)?;
    let host = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let date = now
        .format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))
        .map_err(|_| SignError::Time)?;
    let content_hash = hex::encode(Sha256::digest(body));
    let mut headers = vec![
        ("host", host.as_str()),
        ("x-amz-content-sha256", content_hash.as_str()),
        ("x-amz-date", date.as_str()),
    ];
    if let Some(token) = &keys.session_token {
        headers.push(("x-amz-security-token", token.as_str()));
    }
    let authorization = authorization(
        method,
        url.path(),
        &headers,
        &content_hash,
        &date,
        keys,
        scope,
    )?;
    Ok(SignedHeaders {
        date,
        content_hash,
        authorization,
        token: keys.session_token.clone(),
    })
}

/// The `Authorization` header. `headers` are sorted and their names in lower case.
fn authorization(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    content_hash: &str,
    date: &str,
    keys: &AwsKeys,
    scope: Scope,
) -> Result<String, SignError> {
    let names = headers
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{content_hash}");
    let day = date.get(..8).ok_or(SignError::Time)?;
    let credential = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{credential}\n{}",
        hex::encode(Sha256::digest(canonical.as_bytes()))
    );
    let mut key = keyed(
        format!("AWS4{}", keys.secret_key).as_bytes(),
        day.as_bytes(),
    )?;
    for part in [scope.region, scope.service, "aws4_request"] {
        key = keyed(&key, part.as_bytes())?;
    }
    let signature = hex::encode(keyed(&key, to_sign.as_bytes())?);
    Ok(format!(
        "AWS4-HMAC-SHA256 Credential={}/{credential}, SignedHeaders={names}, Signature={signature}",
        keys.access_key
    ))
}

fn keyed(key: &[u8], data: &[u8]) -> Result<Vec<u8>, SignError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| SignError::Key)?;
    mac.update(data);
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// `get-vanilla` and `post-vanilla` of AWS's published signing test suite.
    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let keys = AwsKeys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let scope = Scope {
            region: "us-east-1",
            service: "service",
        };
        let headers = [
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        for (method, signature) in [
            (
                "GET",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            let text = authorization(
                method,
                "/",
                &headers,
                EMPTY,
                "20150830T123600Z",
                &keys,
                scope,
            )
            .unwrap();
            assert_eq!(
                text,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={signature}"
                )
            );
        }
    }
}
