//! Bearer tokens of the staff API: what they look like and what they allow.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// What every secret begins with, so that scanners of repositories and logs can find one that leaked.
pub const PREFIX: &str = "panono_";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

macro_rules! scopes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// What a token may do, as `verb:resource`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope { $($(#[doc = $doc])+ $variant,)+ }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Scope] = &[$(Scope::$variant,)+];

            /// The scope as it is written.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Scope::$variant => $name,)+ } }
        }

        /// One type for each scope, so that a route says in its signature what it demands.
        pub mod demand {
            use super::{Demand, Scope};
            $(
                $(#[doc = $doc])+
                #[derive(Debug, Clone, Copy)]
                pub struct $variant;
                impl Demand for $variant { const SCOPE: Scope = Scope::$variant; }
            )+
        }
    };
}

/// A scope as a type.
pub trait Demand {
    /// The scope.
    const SCOPE: Scope;
}

scopes! {
    /// See products, prices, stock, categories and brands, unpublished ones too.
    ReadCatalog = "read:catalog";
    /// Create and change products, their variants, options, texts, addresses and brands.
    WriteProducts = "write:products";
    /// Publish, unpublish and archive products.
    WritePublication = "write:publication";
    /// Change and schedule prices.
    WritePrices = "write:prices";
    /// Count and adjust stock.
    WriteStock = "write:stock";
    /// Change the tree of categories and what is in them.
    WriteCategories = "write:categories";
    /// Upload and attach pictures.
    WriteMedia = "write:media";
    /// See pages of text, unpublished ones too.
    ReadContent = "read:content";
    /// Write, publish and take down pages of text.
    WriteContent = "write:content";
    /// Read who changed what.
    ReadAudit = "read:audit";
    /// Purge caches by hand.
    WriteCache = "write:cache";
    /// See orders with their payments, shipments and history.
    ReadOrders = "read:orders";
    /// Change, cancel and release orders.
    WriteOrders = "write:orders";
    /// See payments, their operations and what providers told.
    ReadPayments = "read:payments";
    /// Capture and void payments.
    CapturePayments = "capture:payments";
    /// Give money back.
    RefundPayments = "refund:payments";
    /// See shipments.
    ReadShipments = "read:shipments";
    /// Ship, and say where shipments are.
    WriteShipments = "write:shipments";
    /// See returns.
    ReadReturns = "read:returns";
    /// Approve, receive and refuse returns.
    WriteReturns = "write:returns";
    /// See customers, their addresses and when they were there.
    ReadCustomers = "read:customers";
    /// Disable customers, and erase what tells who they are.
    WriteCustomers = "write:customers";
    /// See promotions and coupons.
    ReadPromotions = "read:promotions";
    /// Create and change promotions and coupons.
    WritePromotions = "write:promotions";
    /// See zones, shipping methods and their rates.
    ReadShipping = "read:shipping";
    /// Create and change zones, shipping methods and their rates.
    WriteShipping = "write:shipping";
    /// See tax rates.
    ReadTaxes = "read:taxes";
    /// Change tax rates.
    WriteTaxes = "write:taxes";
    /// See risk rules, lists and assessments.
    ReadRisk = "read:risk";
    /// Change risk rules and lists, and decide reviews.
    WriteRisk = "write:risk";
    /// See webhook endpoints and deliveries.
    ReadWebhooks = "read:webhooks";
    /// Create and change webhook endpoints, and send deliveries again.
    WriteWebhooks = "write:webhooks";
    /// See what waits to leave, and what could not.
    ReadOutbox = "read:outbox";
    /// Send again what could not leave, or drop it.
    WriteOutbox = "write:outbox";
    /// See staff and roles.
    ReadStaff = "read:staff";
    /// Create and change staff and roles, with at most the scopes that one has.
    WriteStaff = "write:staff";
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A text that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope; the scopes are {names}", names = scope_names())]
pub struct UnknownScope(String);

fn scope_names() -> String {
    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
    names.join(", ")
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| UnknownScope(text.chars().take(64).collect()))
    }
}

/// A secret that was just made. It is shown once and kept nowhere.
pub struct Secret(String);

impl Secret {
    /// 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        let bytes: [u8; SECRET_BYTES] = rand::random();
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The secret itself, to be shown to whoever asked for it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(hex::encode(Sha256::digest(self.0.as_bytes())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The SHA-256 of a secret, in hexadecimal. A secret has 256 random bits, so that its hash needs no salt and no stretching,
/// and looking up a hash tells nobody how much of a guess was right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretHash(String);

impl SecretHash {
    /// The hash of a secret that a request presents; `None` when it cannot be one.
    #[must_use]
    pub fn of_presented(secret: &str) -> Option<Self> {
        let random = secret.strip_prefix(PREFIX)?;
        let bytes = URL_SAFE_NO_PAD.decode(random).ok()?;
        (bytes.len() == SECRET_BYTES).then(|| Self(hex::encode(Sha256::digest(secret.as_bytes()))))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// Its name, which is the actor in the audit log.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ceases to work by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
}

impl Token {
    /// Whether it works at this moment.
    #[must_use]
    pub fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_random_bits_and_only_its_hash_is_comparable() {
        let (one, other) = (Secret::random(), Secret::random());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), PREFIX.len() + 43);
        assert_eq!(SecretHash::of_presented(one.reveal()), Some(one.hash()));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn what_cannot_be_a_secret_is_never_looked_up() {
        for text in [
            "",
            "panono_",
            "panono_abc",
            "Bearer x",
            &"a".repeat(50),
            &format!("{PREFIX}{}", "A".repeat(44)),
        ] {
            assert_eq!(SecretHash::of_presented(text), None, "{text}");
        }
    }

    #[test]
    fn scopes_are_read_as_they_are_written_and_unknown_ones_refused_with_the_list() {
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(*scope));
            assert_eq!(scope.name().split(':').count(), 2);
        }
        let message = "write:everything".parse::<Scope>().unwrap_err().to_string();
        assert!(message.contains("write:products"), "{message}");
    }

    #[test]
    fn a_token_ends_when_it_expires_or_is_revoked() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(1);
        let token = Token {
            id: 1,
            name: "erp".into(),
            scopes: vec![],
            created_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
        };
        assert!(token.is_valid(now));
        assert!(
            !Token {
                expires_at: Some(now),
                ..token.clone()
            }
            .is_valid(now)
        );
        assert!(
            !Token {
                revoked_at: Some(now),
                ..token
            }
            .is_valid(now)
        );
    }
}
