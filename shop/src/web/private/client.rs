//! Whose request it is, as far as addresses tell.
//!
//! The edge says so in one header, which it takes from no client (`shop/src/edge/varnish/request.vcl`). A header counts only
//! when the connection comes from a network that may say such things; else the peer itself is the client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use actix_web::http::header::{HeaderMap, HeaderName};

/// A network as `address/bits`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address or a network such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidNetwork(String);

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.chars().take(64).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().map_err(|_| invalid())?,
        };
        (bits <= most)
            .then_some(Self { address, bits })
            .ok_or_else(invalid)
    }
}

impl Network {
    /// Whether an address lies in it. An IPv4 address that is written as IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX
                    .checked_shl(32_u32.saturating_sub(u32::from(self.bits)))
                    .unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX
                    .checked_shl(128_u32.saturating_sub(u32::from(self.bits)))
                    .unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Who says whose request it is.
#[derive(Debug, Clone)]
pub struct ClientAddress {
    /// The header in which the edge or the CDN says so.
    pub header: HeaderName,
    /// From where it counts.
    pub trusted: Vec<Network>,
}

impl ClientAddress {
    /// The address of the client.
    #[must_use]
    pub fn of(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> IpAddr {
        let peer = peer
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            .to_canonical();
        if !self.trusted.iter().any(|network| network.contains(peer)) {
            return peer;
        }
        let mut values = headers.get_all(&self.header);
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(parse).unwrap_or(peer),
            _ => peer,
        }
    }
}

/// An address, alone or with a port, as CloudFront writes it.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|it| it.ip()))
        .or_else(|| {
            // `2001:db8::1:443`, with a port and without brackets, reads as an address already; only IPv4 is left.
            let (address, _) = text.rsplit_once(':')?;
            address.parse().ok()
        })?;
    Some(address.to_canonical())
}

/// The part of an address by which requests are counted: an IPv6 client has a whole network of 64 bits to choose from.
#[must_use]
pub fn counted(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            network.octets().get(..8).unwrap_or_default().to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn client(peer: &str, said: &[&'static str]) -> String {
        let rule = ClientAddress {
            header: HeaderName::from_static("x-real-ip"),
            trusted: vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
        };
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(rule.header.clone(), HeaderValue::from_static(value));
        }
        rule.of(Some(peer.parse().unwrap()), &headers).to_string()
    }

    #[test]
    fn only_trusted_peers_say_who_the_client_is() {
        for (peer, said, expected) in [
            ("10.1.2.3", &["203.0.113.7"][..], "203.0.113.7"),
            ("10.1.2.3", &["203.0.113.7:443"], "203.0.113.7"),
            ("10.1.2.3", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("::ffff:10.1.2.3", &["203.0.113.7"], "203.0.113.7"),
            ("10.1.2.3", &["not an address"], "10.1.2.3"),
            ("10.1.2.3", &["203.0.113.7", "203.0.113.8"], "10.1.2.3"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("198.51.100.1", &["203.0.113.7"], "198.51.100.1"),
            ("::1", &["203.0.113.7"], "203.0.113.7"),
        ] {
            assert_eq!(client(peer, said), expected, "{peer} {said:?}");
        }
    }

    #[test]
    fn networks_are_compared_by_their_bits() {
        let contains = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::2"));
        assert!(contains("10.0.0.0/9", "10.127.0.1") && !contains("10.0.0.0/9", "10.128.0.1"));
        assert!(contains("::/0", "fd00::1") && contains("fd00::/8", "fdff::1"));
        for text in ["", "10.0.0.0/33", "x", "::/129", "10.0.0.0/x"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_client_of_version_6_counts_by_its_network() {
        let counted = |text: &str| counted(text.parse().unwrap());
        assert_eq!(counted("2001:db8::1"), counted("2001:db8::ffff:2"));
        assert_ne!(counted("2001:db8::1"), counted("2001:db8:0:1::1"));
        assert_eq!(counted("::ffff:1.2.3.4"), counted("1.2.3.4"));
    }
}
