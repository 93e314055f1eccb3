//! Which edges are purged, from the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use super::cloudflare::CloudflarePlan;
use crate::outbound::secret::Secret;
use crate::outbound::sigv4::AwsCredentials;

/// Every variable that [`PurgeConfig::parse`] reads.
pub const VARIABLES: [&str; 18] = [
    "PANONO_PURGE_VARNISH",
    "PANONO_PURGE_VARNISH_TOKEN",
    "PANONO_PURGE_VARNISH_TOKEN_FILE",
    "PANONO_PURGE_FASTLY_SERVICE",
    "PANONO_PURGE_FASTLY_TOKEN",
    "PANONO_PURGE_FASTLY_TOKEN_FILE",
    "PANONO_PURGE_FASTLY_URL",
    "PANONO_PURGE_CLOUDFLARE_ZONE",
    "PANONO_PURGE_CLOUDFLARE_TOKEN",
    "PANONO_PURGE_CLOUDFLARE_TOKEN_FILE",
    "PANONO_PURGE_CLOUDFLARE_PLAN",
    "PANONO_PURGE_CLOUDFLARE_URL",
    "PANONO_PURGE_CLOUDFRONT_DISTRIBUTION",
    "PANONO_PURGE_CLOUDFRONT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECRET_ACCESS_KEY_FILE",
];

/// Which edges are purged. Each may be there or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeConfig {
    /// Varnishes: every address of every name is one.
    pub varnish: Vec<VarnishEndpoint>,
    /// What Varnish wants to see before it purges.
    pub varnish_token: Option<Secret>,
    /// A Fastly service.
    pub fastly: Option<FastlyConfig>,
    /// A Cloudflare zone.
    pub cloudflare: Option<CloudflareConfig>,
    /// A CloudFront distribution.
    pub cloudfront: Option<CloudFrontConfig>,
}

/// Where Varnishes listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VarnishEndpoint {
    /// A name, which may have many addresses, or an address.
    pub host: String,
    /// The port at each of them.
    pub port: u16,
}

/// A Fastly service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastlyConfig {
    /// The id of the service.
    pub service: String,
    /// A token with the scope `purge_select`.
    pub token: Secret,
    /// Where the interface is.
    pub url: Url,
}

/// A Cloudflare zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudflareConfig {
    /// The id of the zone.
    pub zone: String,
    /// A token with the permission `Cache Purge`.
    pub token: Secret,
    /// The plan, for its rate limit.
    pub plan: CloudflarePlan,
    /// Where the interface is.
    pub url: Url,
}

/// A CloudFront distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudFrontConfig {
    /// The id of the distribution.
    pub distribution: String,
    /// Keys that are allowed `cloudfront:CreateInvalidation`.
    pub credentials: AwsCredentials,
    /// Where the interface is.
    pub url: Url,
}

/// A variable that is wrong or missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigProblem {
    /// Which variable.
    pub variable: &'static str,
    /// What is wrong and what to do.
    pub problem: String,
}

impl PurgeConfig {
    /// Reads the configuration from variables like those of the environment. An empty value is one that is not set.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(variables: &BTreeMap<String, String>) -> Result<Self, Vec<ConfigProblem>> {
        let mut reader = Reader {
            variables,
            problems: Vec::new(),
        };
        let config = Self {
            varnish: reader.varnish(),
            varnish_token: reader.secret(
                "PANONO_PURGE_VARNISH_TOKEN",
                "PANONO_PURGE_VARNISH_TOKEN_FILE",
            ),
            fastly: reader.fastly(),
            cloudflare: reader.cloudflare(),
            cloudfront: reader.cloudfront(),
        };
        if reader.problems.is_empty() {
            Ok(config)
        } else {
            Err(reader.problems)
        }
    }

    /// Whether there is nothing to purge.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.varnish.is_empty()
            && self.fastly.is_none()
            && self.cloudflare.is_none()
            && self.cloudfront.is_none()
    }
}

struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
    problems: Vec<ConfigProblem>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    fn problem(&mut self, variable: &'static str, problem: impl Into<String>) {
        self.problems.push(ConfigProblem {
            variable,
            problem: problem.into(),
        });
    }

    fn secret(&mut self, name: &'static str, file: &'static str) -> Option<Secret> {
        match (self.get(name), self.get(file)) {
            (Some(_), Some(_)) => {
                self.problem(name, format!("set this or {file}, not both"));
                None
            }
            (Some(value), None) => Some(Secret::Value(value)),
            (None, Some(path)) => Some(Secret::File(PathBuf::from(path))),
            (None, None) => None,
        }
    }

    fn needed(&mut self, name: &'static str, file: &'static str, because: &str) -> Option<Secret> {
        let before = self.problems.len();
        let secret = self.secret(name, file);
        if secret.is_none() && self.problems.len() == before {
            self.problem(name, format!("set this or {file}: {because} is set"));
        }
        secret
    }

    fn url(&mut self, name: &'static str, otherwise: &str) -> Option<Url> {
        let text = self.get(name).unwrap_or_else(|| otherwise.to_owned());
        let text = if text.ends_with('/') {
            text
        } else {
            format!("{text}/")
        };
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            Ok(_) | Err(_) => {
                self.problem(
                    name,
                    format!("{text:?} is not an address; write https://host[:port]"),
                );
                None
            }
        }
    }

    /// An id that becomes part of a path.
    fn id(&mut self, name: &'static str) -> Option<String> {
        let id = self.get(name)?;
        if id.len() <= 64
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        {
            return Some(id);
        }
        self.problem(
            name,
            format!("{id:?} is not an id; use letters, digits, '-' and '_'"),
        );
        None
    }

    fn varnish(&mut self) -> Vec<VarnishEndpoint> {
        const NAME: &str = "PANONO_PURGE_VARNISH";
        let mut endpoints = Vec::new();
        for text in self
            .get(NAME)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            match Url::parse(text).ok().and_then(|url| endpoint(&url)) {
                Some(endpoint) => endpoints.push(endpoint),
                None => self.problem(
                    NAME,
                    format!("{text:?} is not the address of a Varnish; write http://name:port, several with commas"),
                ),
            }
        }
        endpoints
    }

    fn fastly(&mut self) -> Option<FastlyConfig> {
        const SERVICE: &str = "PANONO_PURGE_FASTLY_SERVICE";
        let service = self.id(SERVICE)?;
        let token = self.needed(
            "PANONO_PURGE_FASTLY_TOKEN",
            "PANONO_PURGE_FASTLY_TOKEN_FILE",
            SERVICE,
        );
        let url = self.url("PANONO_PURGE_FASTLY_URL", "https://api.fastly.com/");
        Some(FastlyConfig {
            service,
            token: token?,
            url: url?,
        })
    }

    fn cloudflare(&mut self) -> Option<CloudflareConfig> {
        const ZONE: &str = "PANONO_PURGE_CLOUDFLARE_ZONE";
        const PLAN: &str = "PANONO_PURGE_CLOUDFLARE_PLAN";
        let zone = self.id(ZONE)?;
        let token = self.needed(
            "PANONO_PURGE_CLOUDFLARE_TOKEN",
            "PANONO_PURGE_CLOUDFLARE_TOKEN_FILE",
            ZONE,
        );
        let url = self.url("PANONO_PURGE_CLOUDFLARE_URL", "https://api.cloudflare.com/");
        let plan = match self.get(PLAN).as_deref() {
            Some("free") => CloudflarePlan::Free,
            None | Some("pro") => CloudflarePlan::Pro,
            Some("business") => CloudflarePlan::Business,
            Some("enterprise") => CloudflarePlan::Enterprise,
            Some(other) => {
                self.problem(
                    PLAN,
                    format!("{other:?} is not a plan; use free, pro, business or enterprise"),
                );
                return None;
            }
        };
        Some(CloudflareConfig {
            zone,
            token: token?,
            plan,
            url: url?,
        })
    }

    fn cloudfront(&mut self) -> Option<CloudFrontConfig> {
        const DISTRIBUTION: &str = "PANONO_PURGE_CLOUDFRONT_DISTRIBUTION";
        let distribution = self.id(DISTRIBUTION)?;
        let url = self.url(
            "PANONO_PURGE_CLOUDFRONT_URL",
            "https://cloudfront.amazonaws.com/",
        );
        let access_key = self.get("AWS_ACCESS_KEY_ID").map(Secret::Value);
        if access_key.is_none() {
            self.problem(
                "AWS_ACCESS_KEY_ID",
                format!("set this: {DISTRIBUTION} is set"),
            );
        }
        let secret_key = self.needed(
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SECRET_ACCESS_KEY_FILE",
            DISTRIBUTION,
        );
        let session_token = self.get("AWS_SESSION_TOKEN").map(Secret::Value);
        let credentials = AwsCredentials {
            access_key: access_key?,
            secret_key: secret_key?,
            session_token,
        };
        Some(CloudFrontConfig {
            distribution,
            credentials,
            url: url?,
        })
    }
}

/// The host and port of an address without path. Purges of Varnish stay inside the cluster and are not encrypted.
fn endpoint(url: &Url) -> Option<VarnishEndpoint> {
    let plain = url.scheme() == "http"
        && url.path() == "/"
        && url.query().is_none()
        && url.username().is_empty();
    let host = url.host_str().filter(|_| plain)?;
    // An IPv6 address stands in brackets in an address, and without them in a look-up.
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    Some(VarnishEndpoint {
        host,
        port: url.port_or_known_default()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<PurgeConfig, Vec<String>> {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        PurgeConfig::parse(&variables)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_set_purges_nothing() {
        assert!(
            parse(&[("PANONO_PURGE_FASTLY_SERVICE", " ")])
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn every_provider_can_be_configured() {
        let config = parse(&[
            (
                "PANONO_PURGE_VARNISH",
                "http://edge:6081, http://[::1]:81 ,http://10.0.0.1",
            ),
            ("PANONO_PURGE_VARNISH_TOKEN_FILE", "/run/secrets/purge"),
            ("PANONO_PURGE_FASTLY_SERVICE", "SU1Z0isxPaozGVKXdv0eY"),
            ("PANONO_PURGE_FASTLY_TOKEN", "token"),
            (
                "PANONO_PURGE_CLOUDFLARE_ZONE",
                "023e105f4ecef8ad9ca31a8372d0c353",
            ),
            ("PANONO_PURGE_CLOUDFLARE_TOKEN", "token"),
            ("PANONO_PURGE_CLOUDFLARE_PLAN", "enterprise"),
            ("PANONO_PURGE_CLOUDFLARE_URL", "http://127.0.0.1:9"),
            ("PANONO_PURGE_CLOUDFRONT_DISTRIBUTION", "EDFDVBD6EXAMPLE"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "key"),
        ])
        .unwrap();
        let endpoints: Vec<_> = config
            .varnish
            .iter()
            .map(|one| (one.host.as_str(), one.port))
            .collect();
        assert_eq!(endpoints, [("edge", 6081), ("::1", 81), ("10.0.0.1", 80)]);
        assert_eq!(
            config.fastly.unwrap().url.as_str(),
            "https://api.fastly.com/"
        );
        let cloudflare = config.cloudflare.unwrap();
        assert_eq!(
            (cloudflare.plan, cloudflare.url.as_str()),
            (CloudflarePlan::Enterprise, "http://127.0.0.1:9/")
        );
        let cloudfront = config.cloudfront.unwrap();
        assert!(
            !format!("{cloudfront:?}").contains("\"key\""),
            "secrets stay out of logs"
        );
    }

    #[test]
    fn all_problems_are_told_at_once_with_what_to_do() {
        let problems = parse(&[
            ("PANONO_PURGE_VARNISH", "edge:6081,https://edge/"),
            ("PANONO_PURGE_FASTLY_SERVICE", "a/../b"),
            ("PANONO_PURGE_CLOUDFLARE_ZONE", "zone"),
            ("PANONO_PURGE_CLOUDFLARE_TOKEN", "token"),
            ("PANONO_PURGE_CLOUDFLARE_TOKEN_FILE", "/token"),
            ("PANONO_PURGE_CLOUDFLARE_URL", "ftp://x"),
            ("PANONO_PURGE_CLOUDFRONT_DISTRIBUTION", "E1"),
        ])
        .unwrap_err();
        insta::assert_snapshot!(problems.join("\n"), @r#"
        PANONO_PURGE_VARNISH: "edge:6081" is not the address of a Varnish; write http://name:port, several with commas
        PANONO_PURGE_VARNISH: "https://edge/" is not the address of a Varnish; write http://name:port, several with commas
        PANONO_PURGE_FASTLY_SERVICE: "a/../b" is not an id; use letters, digits, '-' and '_'
        PANONO_PURGE_CLOUDFLARE_TOKEN: set this or PANONO_PURGE_CLOUDFLARE_TOKEN_FILE, not both
        PANONO_PURGE_CLOUDFLARE_URL: "ftp://x/" is not an address; write https://host[:port]
        AWS_ACCESS_KEY_ID: set this: PANONO_PURGE_CLOUDFRONT_DISTRIBUTION is set
        AWS_SECRET_ACCESS_KEY: set this or AWS_SECRET_ACCESS_KEY_FILE: PANONO_PURGE_CLOUDFRONT_DISTRIBUTION is set
        "#);
    }
}
