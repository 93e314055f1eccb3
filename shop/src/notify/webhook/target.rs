//! Where a webhook may lead: nowhere inside.
//!
//! An endpoint is whatever its owner typed. Unless a setting allows it, a name or number that leads to this machine, to its
//! network or to the cloud's metadata service is refused; and because a name can lead somewhere else tomorrow, it is refused
//! by the resolver of each connection, whose answer is the one that is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::outbound::{self, ClientError};

/// Longest address of an endpoint.
pub const LONGEST_URL: usize = 500;

/// Which targets are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// HTTPS to addresses of the public internet.
    Public,
    /// Anything, HTTP too: for merchants whose programs run in the shop's own network.
    Private,
}

/// A target that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedTarget {
    /// It is not an address that webhooks go to.
    #[error(
        "must be an address such as https://erp.example/hooks, without user, password or fragment, of at most {LONGEST_URL} characters"
    )]
    Form,
    /// It is not HTTPS.
    #[error("must begin with https://")]
    Plain,
    /// It leads inside.
    #[error(
        "leads to {0}, which is not an address of the public internet (PANONO_WEBHOOK_PRIVATE_TARGETS)"
    )]
    Inside(IpAddr),
    /// It has no address.
    #[error("has no address")]
    Nowhere,
}

impl Targets {
    /// Checks an address as it was typed.
    ///
    /// # Errors
    /// See [`RefusedTarget`]. Names are not looked up here: that counts when a connection is made.
    pub fn check(self, text: &str) -> Result<Url, RefusedTarget> {
        let url = Url::parse(text).map_err(|_| RefusedTarget::Form)?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(RefusedTarget::Form),
        };
        if text.len() > LONGEST_URL
            || !url.username().is_empty()
            || url.password().is_some()
            || url.fragment().is_some()
        {
            return Err(RefusedTarget::Form);
        }
        if self == Self::Private {
            return Ok(url);
        }
        if plain {
            return Err(RefusedTarget::Plain);
        }
        // Numbers pass by every resolver; the parser has read all their spellings (0x7f.1, 2130706433).
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(name)) if is_local_name(name) => {
                return Err(RefusedTarget::Inside(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            }
            Some(Host::Domain(_)) => None,
            None => return Err(RefusedTarget::Form),
        };
        match address {
            Some(address) if !is_public(address) => Err(RefusedTarget::Inside(address)),
            _ => Ok(url),
        }
    }

    /// The client for such targets. It follows no redirect, uses no proxy, and ends each request within `deadline`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client(self, deadline: Duration) -> Result<Client, ClientError> {
        let builder = outbound::builder(deadline)?.no_proxy();
        Ok(match self {
            Self::Public => builder.dns_resolver(PublicResolver),
            Self::Private => builder,
        }
        .build()?)
    }
}

/// Names that never leave the machine (RFC 6761).
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// A resolver that finds addresses of the public internet only.
#[derive(Debug, Clone, Copy)]
struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(only_public(found)?.into_iter()) as Addrs)
        })
    }
}

/// All of them, or none: a name that leads both outside and inside is up to something.
fn only_public(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, RefusedTarget> {
    if let Some(inside) = found.iter().find(|address| !is_public(address.ip())) {
        return Err(RefusedTarget::Inside(inside.ip()));
    }
    if found.is_empty() {
        return Err(RefusedTarget::Nowhere);
    }
    Ok(found)
}

/// Whether an address is one of the public internet, by the registries of special purpose addresses (RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a == 10
        || a == 127
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 168)
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    // An address of version 4 in one of its disguises: mapped, by translation (RFC 6052), by 6to4.
    if [a, b, c, d, e] == [0; 5] && f == 0xffff {
        return embedded(g, h);
    }
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return embedded(g, h);
    }
    if a == 0x2002 {
        return embedded(b, c);
    }
    // Of what is assigned (2000::/3): not protocols (2001::/23, Teredo among them), not documentation.
    (0x2000..0x4000).contains(&a)
        && !(a == 0x2001 && b < 0x200)
        && !(a == 0x2001 && b == 0xdb8)
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "64:ff9b::a00:1",
            "3fff::1",
            "::7f00:1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.1.2.3",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_address_is_checked_as_it_is_typed() {
        let refused = |text: &str| Targets::Public.check(text).unwrap_err();
        for text in [
            "",
            "erp.example",
            "ftp://erp.example/",
            "https://",
            "https://user@erp.example/",
            "https://user:word@erp.example/",
            "https://erp.example/#part",
            &format!("https://erp.example/{}", "x".repeat(500)),
        ] {
            assert_eq!(refused(text), RefusedTarget::Form, "{text}");
        }
        assert_eq!(refused("http://erp.example/"), RefusedTarget::Plain);
        for text in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
        ] {
            assert!(matches!(refused(text), RefusedTarget::Inside(_)), "{text}");
        }
        for text in ["https://erp.example/hooks?shop=1", "https://1.1.1.1:8443/"] {
            assert!(Targets::Public.check(text).is_ok(), "{text}");
        }
        assert!(
            Targets::Private
                .check("http://127.0.0.1:9000/hooks")
                .is_ok()
        );
        assert_eq!(
            Targets::Private.check("file:///etc/passwd"),
            Err(RefusedTarget::Form)
        );
    }

    #[test]
    fn a_name_that_leads_inside_leads_nowhere() {
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        assert_eq!(only_public(vec![at("1.1.1.1")]), Ok(vec![at("1.1.1.1")]));
        assert_eq!(
            only_public(vec![at("1.1.1.1"), at("10.0.0.1")]),
            Err(RefusedTarget::Inside("10.0.0.1".parse().unwrap()))
        );
        assert_eq!(only_public(vec![]), Err(RefusedTarget::Nowhere));
    }
}
