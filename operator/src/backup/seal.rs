//! One object at a target: a header that anybody may read, and a body that only the key opens. Pure but for chance.
//!
//! ```text
//! "PNB1" | length of the header, u32 little endian | header, JSON | body and tag
//! ```
//!
//! The body is encrypted with AES-256-GCM, and everything before it is authenticated with it, so that neither can be changed or
//! exchanged. Each object has a key of its own, derived by HKDF-SHA-256 from the shop's key and 32 random bytes of its header; the
//! nonce is therefore always zero and never used twice with one key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 4] = b"PNB1";
/// The longest header, in bytes: that of a backup with a hundred thousand parts.
pub const MAXIMUM_HEADER: usize = 16 * 1024 * 1024;

/// Why an object cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not 32 bytes.
    #[error(
        "the key for backups is not 32 bytes, written as 64 hexadecimal digits; make one with `openssl rand -hex 32`"
    )]
    Key,
    /// The object begins with something else, or ends early.
    #[error("it is not an object of a backup, or its beginning is damaged or cut off")]
    Shape,
    /// It was made with another key.
    #[error("it was encrypted with the key {needed}, and the key given is {given}")]
    OtherKey {
        /// The name of the key that it needs.
        needed: String,
        /// The name of the key that is there.
        given: String,
    },
    /// What is in it was changed, or cut off.
    #[error("it was damaged: its seal is broken")]
    Broken,
    /// The header is not what is looked for.
    #[error("its header is not understood: {0}")]
    Header(String),
}

/// The key of a shop's backups.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; 32],
    name: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Key({})", self.name)
    }
}

impl Key {
    /// Reads a key: 64 hexadecimal digits, with white space around them.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(SealError::Key);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .ok_or(SealError::Key)?;
        }
        let mut name = [0; 8];
        derive(&bytes, b"", b"panono backup key name", &mut name).ok_or(SealError::Key)?;
        Ok(Self {
            bytes,
            name: hex(&name),
        })
    }

    /// What the key is called in headers. It tells nothing of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn cipher(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let mut key = [0; 32];
        derive(&self.bytes, salt, b"panono backup object", &mut key)?;
        UnboundKey::new(&AES_256_GCM, &key)
            .ok()
            .map(LessSafeKey::new)
    }
}

struct Length(usize);

impl ring::hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(key: &[u8; 32], salt: &[u8], purpose: &[u8], out: &mut [u8]) -> Option<()> {
    let derived = Salt::new(HKDF_SHA256, salt).extract(key);
    let length = Length(out.len());
    derived.expand(&[purpose], length).ok()?.fill(out).ok()
}

#[derive(Serialize, Deserialize)]
struct Envelope<H> {
    key: String,
    salt: String,
    #[serde(flatten)]
    header: H,
}

/// Makes an object.
///
/// # Errors
/// When the header cannot be written as JSON or is too long.
pub fn seal(key: &Key, header: &impl Serialize, mut body: Vec<u8>) -> Result<Vec<u8>, SealError> {
    let salt: [u8; 32] = rand::random();
    let envelope = Envelope {
        key: key.name.clone(),
        salt: hex(&salt),
        header,
    };
    let header =
        serde_json::to_vec(&envelope).map_err(|error| SealError::Header(error.to_string()))?;
    let length = u32::try_from(header.len())
        .ok()
        .filter(|_| header.len() <= MAXIMUM_HEADER)
        .ok_or_else(|| SealError::Header("it is too long".to_owned()))?;
    let mut object = Vec::with_capacity(8 + header.len() + body.len() + 16);
    object.extend_from_slice(MAGIC);
    object.extend_from_slice(&length.to_le_bytes());
    object.extend_from_slice(&header);
    let cipher = key.cipher(&salt).ok_or(SealError::Key)?;
    let tag = cipher
        .seal_in_place_separate_tag(zero(), Aad::from(object.as_slice()), &mut body)
        .map_err(|_| SealError::Broken)?;
    object.extend_from_slice(&body);
    object.extend_from_slice(tag.as_ref());
    Ok(object)
}

/// What an object's header says, without knowing whether it is true. For the beginning of an object, too.
///
/// # Errors
/// When it is not an object, too little of it is there, or the header is of another kind.
pub fn peek<H: DeserializeOwned>(object: &[u8]) -> Result<H, SealError> {
    let (header, _) = split(object)?;
    let envelope: Envelope<H> =
        serde_json::from_slice(header).map_err(|error| SealError::Header(error.to_string()))?;
    Ok(envelope.header)
}

/// How long the beginning of an object must be for [`peek`], from its first eight bytes.
///
/// # Errors
/// When it is not an object.
pub fn beginning(object: &[u8]) -> Result<usize, SealError> {
    let magic = object.first_chunk::<4>().ok_or(SealError::Shape)?;
    let length = object.get(4..8).and_then(|bytes| bytes.first_chunk::<4>());
    let length = u32::from_le_bytes(*length.ok_or(SealError::Shape)?);
    let length = usize::try_from(length).map_err(|_| SealError::Shape)?;
    if magic != MAGIC || length > MAXIMUM_HEADER {
        return Err(SealError::Shape);
    }
    Ok(8 + length)
}

/// Opens an object: its header and its body, both as they were sealed.
///
/// # Errors
/// When it is not an object, was made with another key, was changed or cut off, or its header is of another kind.
pub fn open<H: DeserializeOwned>(
    key: &Key,
    mut object: Vec<u8>,
) -> Result<(H, Vec<u8>), SealError> {
    let length = beginning(&object)?;
    let (header, _) = split(&object)?;
    let envelope: Envelope<serde_json::Value> =
        serde_json::from_slice(header).map_err(|_| SealError::Broken)?;
    if envelope.key != key.name {
        return Err(SealError::OtherKey {
            needed: envelope.key,
            given: key.name.clone(),
        });
    }
    let salt = unhex(&envelope.salt).ok_or(SealError::Broken)?;
    let cipher = key.cipher(&salt).ok_or(SealError::Key)?;
    let mut body = object.split_off(length);
    let plain = cipher
        .open_in_place(zero(), Aad::from(object.as_slice()), &mut body)
        .map_err(|_| SealError::Broken)?
        .len();
    body.truncate(plain);
    let header = serde_json::from_value(envelope.header)
        .map_err(|error| SealError::Header(error.to_string()))?;
    Ok((header, body))
}

fn split(object: &[u8]) -> Result<(&[u8], &[u8]), SealError> {
    let length = beginning(object)?;
    let (head, body) = object.split_at_checked(length).ok_or(SealError::Shape)?;
    Ok((head.get(8..).ok_or(SealError::Shape)?, body))
}

fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        .collect()
}

/// The SHA-256 of bytes, as hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Header {
        number: u32,
    }

    fn key(digit: &str) -> Key {
        Key::parse(&format!(" {}\n", digit.repeat(64))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let object = seal(&key("a"), &Header { number: 7 }, b"orders".to_vec()).unwrap();
        assert!(!object.windows(6).any(|bytes| bytes == b"orders"));
        assert_eq!(peek::<Header>(&object).unwrap().number, 7);
        let (header, body) = open::<Header>(&key("a"), object.clone()).unwrap();
        assert_eq!((header.number, body.as_slice()), (7, &b"orders"[..]));
        let error = open::<Header>(&key("b"), object).unwrap_err();
        assert!(matches!(error, SealError::OtherKey { .. }), "{error}");
    }

    #[test]
    fn two_objects_of_the_same_bytes_have_nothing_in_common() {
        let one = seal(&key("a"), &Header { number: 7 }, vec![0; 64]).unwrap();
        let two = seal(&key("a"), &Header { number: 7 }, vec![0; 64]).unwrap();
        assert_ne!(
            one.split_at(one.len() - 80).1,
            two.split_at(two.len() - 80).1
        );
    }

    #[test]
    fn each_flipped_byte_and_each_cut_is_noticed() {
        let object = seal(&key("a"), &Header { number: 7 }, b"orders".to_vec()).unwrap();
        for at in 0..object.len() {
            let mut flipped = object.clone();
            flipped[at] ^= 1;
            assert!(open::<Header>(&key("a"), flipped).is_err(), "byte {at}");
            assert!(
                open::<Header>(&key("a"), object[..at].to_vec()).is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert_eq!(Key::parse(text).unwrap_err(), SealError::Key, "{text}");
        }
        assert_ne!(key("a").name(), key("b").name());
        assert!(!format!("{:?}", key("a")).contains("aaaa"));
    }
}
