//! Sessions of customers: what a token looks like, how long it works.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::web::private::visitor::Customer;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// How long a session works at most.
pub const LONGEST: Duration = Duration::days(30);
/// How long a session works when it is not used.
pub const IDLE: Duration = Duration::days(14);
/// How long somebody may take for the second factor.
pub const SECOND_FACTOR: Duration = Duration::minutes(10);
/// A session is marked as seen at most this often: a write for each request would cost more than it tells.
const MARK_EVERY: Duration = Duration::minutes(5);

/// A token that was just made: 256 random bits as 43 characters. It goes to the browser, or into a mail, and is kept nowhere.
pub struct Token(String);

impl Token {
    /// A token that nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()))
    }

    /// The token itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(hex::encode(Sha256::digest(self.0.as_bytes())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// The SHA-256 of a token as 64 hexadecimal digits. A token is random, so that its hash needs neither salt nor stretching.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// The hash of a token that a request presents; `None` when it cannot be one.
    #[must_use]
    pub fn of_presented(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        (bytes.len() == TOKEN_BYTES).then(|| Self(hex::encode(Sha256::digest(token.as_bytes()))))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a session opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The account.
    Full,
    /// The form for the second factor, and nothing else.
    SecondFactor,
}

/// A session that works at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The row.
    pub id: i64,
    /// Whose it is.
    pub customer: Customer,
    /// What it opens.
    pub stage: Stage,
    /// When it was last marked as seen.
    pub seen_at: OffsetDateTime,
    /// When its customer last gave the password.
    pub confirmed_at: OffsetDateTime,
}

impl Session {
    /// Whether it is time to note that it is used.
    #[must_use]
    pub fn is_to_be_marked(&self) -> bool {
        OffsetDateTime::now_utc() - self.seen_at > MARK_EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_random_bits_and_only_its_hash_is_comparable() {
        let (one, other) = (Token::random(), Token::random());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 43);
        assert_eq!(TokenHash::of_presented(one.reveal()), Some(one.hash()));
        assert!(!format!("{one:?}").contains(one.reveal()));
        for text in [
            "",
            "abc",
            &"A".repeat(44),
            "not base 64 at all, whatever it may be",
        ] {
            assert_eq!(TokenHash::of_presented(text), None, "{text}");
        }
    }
}
