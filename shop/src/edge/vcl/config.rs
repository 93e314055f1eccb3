//! What the VCL is made from, and why it could not be.

use std::{fmt, time::Duration};

use thiserror::Error;

use crate::web::private::paths as private;

/// What the VCL is made from. [`VclConfig::new`] has a default for everything that has a sensible one.
#[derive(Clone, Debug)]
pub struct VclConfig {
    /// The web processes of the shop, as `host:port`; IPv6 addresses in brackets. Names are resolved when the VCL is
    /// loaded and must then have one address. Requests go round robin over those that are healthy.
    pub backends: Vec<String>,
    /// The hosts that the shop answers for, without port, that of its public address first. Any other is refused with 421.
    pub hosts: Vec<String>,
    /// The port of the public address, if that has one.
    pub public_port: Option<u16>,
    /// Who may purge: addresses or networks, judged by the TCP peer.
    pub purge_from: Vec<String>,
    /// Must come with each purge in `Panono-Purge-Token`, if set.
    pub purge_token: Option<PurgeToken>,
    /// Proxies in front of the edge whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<String>,
    /// How shoppers reach the shop, told to the origin in `X-Forwarded-Proto`.
    pub scheme: Scheme,
    /// Path prefixes, whole segments, that are never stored. A locale (`/en`, `/en-gb`) may stand before each.
    pub private_paths: Vec<String>,
    /// Query parameters that only advertisers read, dropped before lookup. A name may end in `*`.
    pub dropped_parameters: Vec<String>,
    /// The encodings that the shop prepares, the preferred one first.
    pub encodings: Vec<ContentCoding>,
    /// The origin's health check.
    pub health_path: String,
    /// How often each backend is probed.
    pub probe_interval: Duration,
    /// Limit for establishing a connection to a backend.
    pub connect_timeout: Duration,
    /// Limit for the first byte of an answer.
    pub first_byte_timeout: Duration,
    /// Limit between two bytes of an answer.
    pub between_bytes_timeout: Duration,
    /// Connections to one backend at a time; what exceeds it fails at once and is tried on another.
    pub maximum_connections: u32,
    /// How long requests for something that was not storable do not wait for each other.
    pub hit_for_miss: Duration,
    /// How long a failure is answered without asking again.
    pub failure_hold: Duration,
    /// How long, past all other lifetimes, an object is kept to be confirmed by a 304.
    pub keep: Duration,
    /// How long after a start nothing is kept longer than a second: the floor is not known yet, and a web process may
    /// lag behind the invalidation log by two seconds without saying so.
    pub settle: Duration,
    /// The longest request target, in bytes; longer ones are refused with 414.
    pub maximum_target: u32,
}

/// How shoppers reach the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS, as on a developer's machine.
    Http,
    /// With TLS, ended before the edge.
    Https,
}

/// A content coding that the shop prepares answers in (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// `br`
    Brotli,
    /// `zstd`
    Zstandard,
    /// `gzip`
    Gzip,
}

impl ContentCoding {
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// A shared secret of those who purge. It becomes part of the VCL, so keep that out of config maps; `Debug` does not show it.
#[derive(Clone)]
pub struct PurgeToken(pub(super) String);

impl PurgeToken {
    /// At least 16 letters, digits or `-._~+/=`.
    ///
    /// # Errors
    /// If it is shorter, longer than 256 or has other characters.
    pub fn new(token: impl Into<String>) -> Result<Self, VclError> {
        let token = token.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if (16..=256).contains(&token.len()) && token.bytes().all(allowed) {
            Ok(Self(token))
        } else {
            Err(VclError::PurgeToken)
        }
    }
}

impl fmt::Debug for PurgeToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PurgeToken(…)")
    }
}

/// Why no VCL could be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VclError {
    /// A list that may not be empty is.
    #[error("{0} is empty: give at least one")]
    Empty(&'static str),
    /// A list is longer than an edge should have to search.
    #[error("{0} has more than {1} entries")]
    TooMany(&'static str, usize),
    /// Not a backend.
    #[error("backend {0:?} is not host:port; write web:8080, 10.0.0.1:8080 or [fd00::1]:8080")]
    Backend(String),
    /// Not a host name.
    #[error("host {0:?} is not a host name in lower case without port, such as shop.example")]
    Host(String),
    /// Not an address or network.
    #[error("network {0:?} is not an address or CIDR such as 10.0.0.0/8 or fd00::/8")]
    Network(String),
    /// A network with bits beyond its prefix: is the host or the network meant?
    #[error("network {given:?} has bits beyond its prefix; write {network}")]
    NetworkBits {
        /// What was given.
        given: String,
        /// The network that it lies in.
        network: String,
    },
    /// The token would not survive the way through a header and a VCL string.
    #[error("the purge token must be 16 to 256 letters, digits or -._~+/=")]
    PurgeToken,
    /// Not a path.
    #[error(
        "path {0:?} must begin with / , not end with it, and consist of letters, digits and -._/"
    )]
    Path(String),
    /// Not the name of a query parameter.
    #[error(
        "parameter {0:?} must consist of letters, digits, - and _, optionally with a * at its end"
    )]
    Parameter(String),
    /// A number or duration that makes no sense.
    #[error("{name} must be between {least} and {most}")]
    Range {
        /// The field.
        name: &'static str,
        /// The smallest value, as a person would write it.
        least: &'static str,
        /// The greatest value.
        most: &'static str,
    },
}

/// Everything that the private scopes of the shop answer.
fn private_paths() -> Vec<String> {
    let pages = private::PAGES.iter().map(|name| format!("/{name}"));
    let api = private::API.iter().map(|name| format!("/api/v1/{name}"));
    let staff = ["/admin", "/api/v1/admin"].map(str::to_owned);
    pages.chain(api).chain(staff).collect()
}

const DEFAULT_DROPPED_PARAMETERS: &[&str] = &[
    "utm_*",
    "mc_*",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "gad_*",
    "fbclid",
    "msclkid",
    "ttclid",
    "twclid",
    "yclid",
    "igshid",
    "srsltid",
    "epik",
    "li_fat_id",
    "_ga",
    "_gl",
    "_ke",
    "_hsenc",
    "_hsmi",
];

impl VclConfig {
    /// A configuration with the defaults.
    #[must_use]
    pub fn new(backends: Vec<String>, hosts: Vec<String>, purge_from: Vec<String>) -> Self {
        let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        Self {
            backends,
            hosts,
            public_port: None,
            purge_from,
            purge_token: None,
            trusted_proxies: Vec::new(),
            scheme: Scheme::Https,
            private_paths: private_paths(),
            dropped_parameters: owned(DEFAULT_DROPPED_PARAMETERS),
            encodings: vec![
                ContentCoding::Brotli,
                ContentCoding::Zstandard,
                ContentCoding::Gzip,
            ],
            health_path: "/healthz".to_owned(),
            probe_interval: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(1),
            // Longer than the shop's own limit for a page, so that it is the shop that gives up, with a reason.
            first_byte_timeout: Duration::from_secs(15),
            between_bytes_timeout: Duration::from_secs(10),
            maximum_connections: 500,
            hit_for_miss: Duration::from_secs(60),
            failure_hold: Duration::from_secs(1),
            keep: Duration::from_secs(3600),
            settle: Duration::from_secs(5),
            maximum_target: 4096,
        }
    }
}
