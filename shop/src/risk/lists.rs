//! What can be on a list, and how it is kept: not as it was typed, but by a hash that finds it again.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::cart::pricing::customer_key;
use crate::secret::Keys;

/// What stands on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// The e-mail address of an order.
    Email,
    /// The IP address that it came from.
    Ip,
    /// The fingerprint of a card, as payments show it.
    Card,
    /// The country it goes to or is billed to.
    Country,
}

/// The purpose for which the checkout hashes IP addresses.
const IP: &str = "ip";

impl ListKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[Self::Email, Self::Ip, Self::Card, Self::Country];

    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Ip => "ip",
            Self::Card => "card",
            Self::Country => "country",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The hash by which a value of this kind is found.
    ///
    /// # Errors
    /// A text that says what would be right.
    pub fn key(self, keys: &Keys, value: &str) -> Result<[u8; 32], String> {
        let value = value.trim();
        match self {
            Self::Email if value.contains('@') && value.len() <= 254 => {
                Ok(customer_key(keys, value))
            }
            Self::Email => Err("must be an e-mail address".to_owned()),
            Self::Ip => {
                let address: IpAddr = value
                    .parse()
                    .map_err(|_| "must be an IP address".to_owned())?;
                Ok(keys.keyed_hash(IP, address.to_canonical().to_string().as_bytes()))
            }
            Self::Card if (1..=64).contains(&value.len()) && value.is_ascii() => {
                Ok(card_key(value))
            }
            Self::Card => {
                Err("must be the fingerprint of a card, as a payment shows it".to_owned())
            }
            Self::Country
                if value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase()) =>
            {
                Ok(country_key(value))
            }
            Self::Country => Err("must be a country as ISO 3166-1 alpha-2 has it".to_owned()),
        }
    }
}

/// The key of a card. Its fingerprint is the provider's own random-looking word.
#[must_use]
pub fn card_key(fingerprint: &str) -> [u8; 32] {
    Sha256::digest(format!("card:{fingerprint}").as_bytes()).into()
}

/// The key of a country.
#[must_use]
pub fn country_key(country: &str) -> [u8; 32] {
    Sha256::digest(format!("country:{country}").as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_key_and_nonsense_has_none() {
        let keys = Keys::parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
            .unwrap();
        let key = |kind: ListKind, value: &str| kind.key(&keys, value);
        assert_eq!(
            key(ListKind::Email, "Ada@Example.com "),
            key(ListKind::Email, "ada@example.com")
        );
        assert_eq!(
            key(ListKind::Ip, "::ffff:192.0.2.1"),
            key(ListKind::Ip, "192.0.2.1")
        );
        assert_ne!(key(ListKind::Card, "DE"), key(ListKind::Country, "DE"));
        for (kind, value) in [
            (ListKind::Email, "ada"),
            (ListKind::Ip, "here"),
            (ListKind::Card, ""),
            (ListKind::Country, "de"),
        ] {
            assert!(key(kind, value).is_err(), "{value}");
        }
        for kind in ListKind::ALL {
            assert_eq!(ListKind::from_name(kind.name()), Some(*kind));
        }
    }
}
