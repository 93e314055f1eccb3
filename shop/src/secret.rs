//! The shop's secret key, and everything that is derived from it.
//!
//! One key of 256 bits is set (`PANONO_SECRET_KEY`); each use has a key of its own, derived with HMAC-SHA-256 from a purpose
//! (the extract-free form of HKDF, RFC 5869: the setting is uniformly random already). What is signed for one purpose is
//! therefore worth nothing for another.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

/// Bytes of the key.
const LENGTH: usize = 32;

/// First byte of what [`Keys::seal`] makes: how it was made.
const SEALED_FORM: u8 = 1;

/// The shop's key.
#[derive(Clone)]
pub struct Keys([u8; LENGTH]);

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(…)")
    }
}

/// A text that is not a key. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It has another length or other characters.
    #[error(
        "must be 64 hexadecimal digits, that is 32 random bytes; make some with `openssl rand -hex 32`"
    )]
    Form,
    /// All bytes are the same, as in a placeholder.
    #[error(
        "is a placeholder: all of its bytes are the same; make a random one with `openssl rand -hex 32`"
    )]
    Placeholder,
}

/// Something sealed that cannot be opened: it was changed, or sealed with another key or for another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be opened with this shop's PANONO_SECRET_KEY")]
pub struct CannotOpen;

impl Keys {
    /// Reads the key from 64 hexadecimal digits.
    ///
    /// # Errors
    /// See [`InvalidKey`].
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let mut bytes = [0; LENGTH];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| InvalidKey::Form)?;
        let first = bytes.first().copied().unwrap_or_default();
        if bytes.iter().all(|byte| *byte == first) {
            return Err(InvalidKey::Placeholder);
        }
        Ok(Self(bytes))
    }

    fn derived(&self, kind: &str, purpose: &str) -> [u8; LENGTH] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let label = format!("panono/1/{kind}/{purpose}");
        digest(&hmac::sign(&key, label.as_bytes()))
    }

    /// A hash that only this shop can compute: equal inputs are found without keeping them (addresses, clients, e-mails).
    #[must_use]
    pub fn keyed_hash(&self, purpose: &str, bytes: &[u8]) -> [u8; LENGTH] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derived("hash", purpose));
        digest(&hmac::sign(&key, bytes))
    }

    /// A signature as 43 characters that may stand in an address.
    #[must_use]
    pub fn sign(&self, purpose: &str, bytes: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derived("sign", purpose));
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, bytes))
    }

    /// Whether [`Keys::sign`] made this signature for these bytes. The time it takes tells nothing of how much is right.
    #[must_use]
    pub fn verify(&self, purpose: &str, bytes: &[u8], signature: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derived("sign", purpose));
        URL_SAFE_NO_PAD
            .decode(signature)
            .is_ok_and(|tag| hmac::verify(&key, bytes, &tag).is_ok())
    }

    /// Encrypts a small secret to be kept in the database (ChaCha20-Poly1305, RFC 8439, with a random nonce: good for far more
    /// secrets than a shop has customers). `context` says whose it is and must be given again to open it.
    #[must_use]
    pub fn seal(&self, purpose: &str, context: &[u8], secret: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = secret.to_vec();
        let done = self.cipher(purpose).and_then(|cipher| {
            cipher
                .seal_in_place_append_tag(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::from(context),
                    &mut sealed,
                )
                .ok()
        });
        // Neither fails: the key has the algorithm's length, and a secret is far below its limit of 256 GiB.
        if done.is_none() {
            return Vec::new();
        }
        let mut whole = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        whole.push(SEALED_FORM);
        whole.extend_from_slice(&nonce);
        whole.extend_from_slice(&sealed);
        whole
    }

    /// Decrypts what [`Keys::seal`] made for the same purpose and context.
    ///
    /// # Errors
    /// [`CannotOpen`]
    pub fn open(
        &self,
        purpose: &str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, CannotOpen> {
        let rest = match sealed.split_first() {
            Some((&SEALED_FORM, rest)) => rest,
            _ => return Err(CannotOpen),
        };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let mut text = text.to_vec();
        let cipher = self.cipher(purpose).ok_or(CannotOpen)?;
        let secret = cipher
            .open_in_place(nonce, Aad::from(context), &mut text)
            .map_err(|_| CannotOpen)?;
        Ok(secret.to_vec())
    }

    fn cipher(&self, purpose: &str) -> Option<LessSafeKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.derived("seal", purpose)).ok()?;
        Some(LessSafeKey::new(key))
    }
}

fn digest(tag: &hmac::Tag) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
    }

    #[test]
    fn a_key_is_64_digits_and_no_placeholder() {
        for text in ["", "00", &"g".repeat(64), &"a".repeat(66)] {
            assert_eq!(Keys::parse(text).unwrap_err(), InvalidKey::Form, "{text}");
        }
        assert_eq!(
            Keys::parse(&"0".repeat(64)).unwrap_err(),
            InvalidKey::Placeholder
        );
        assert!(!format!("{:?}", keys()).contains('0'));
    }

    #[test]
    fn a_purpose_has_keys_of_its_own() {
        let keys = keys();
        assert_eq!(keys.keyed_hash("a", b"x"), keys.keyed_hash("a", b"x"));
        assert_ne!(keys.keyed_hash("a", b"x"), keys.keyed_hash("b", b"x"));
        let signature = keys.sign("a", b"x");
        assert_eq!(signature.len(), 43);
        assert!(keys.verify("a", b"x", &signature));
        assert!(!keys.verify("b", b"x", &signature));
        assert!(!keys.verify("a", b"y", &signature));
        assert!(!keys.verify("a", b"x", "not base64!"));
    }

    #[test]
    fn what_was_sealed_opens_for_its_owner_alone() {
        let keys = keys();
        let sealed = keys.seal("totp", b"customer 1", b"secret");
        assert_eq!(
            keys.open("totp", b"customer 1", &sealed).unwrap(),
            b"secret"
        );
        assert_ne!(sealed, keys.seal("totp", b"customer 1", b"secret"));
        assert!(keys.open("totp", b"customer 2", &sealed).is_err());
        assert!(keys.open("webhook", b"customer 1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open("totp", b"customer 1", &changed).is_err(), "{at}");
            assert!(
                keys.open("totp", b"customer 1", &sealed[..at]).is_err(),
                "{at}"
            );
        }
    }
}
