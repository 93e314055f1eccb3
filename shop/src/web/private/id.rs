//! Names that the outside world has for rows: they tell neither how many there are nor which is next.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The digits of Crockford's base 32, in lower case: no `i`, `l`, `o`, `u`.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 digits of Crockford's base 32 from 130 random bits. It has one spelling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId([u8; Self::LENGTH]);

/// A text that is not a public id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 26 of the characters 0123456789abcdefghjkmnpqrstvwxyz")]
pub struct InvalidId;

impl PublicId {
    /// Characters of an id.
    pub const LENGTH: usize = 26;

    /// An id that nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        let bytes: [u8; Self::LENGTH] = rand::random();
        Self(bytes.map(|byte| digit(byte & 31)))
    }

    /// The id that goes with a keyed hash, for rows that have none of their own.
    #[must_use]
    pub fn derived(hash: &[u8; 32]) -> Self {
        let mut id = [b'0'; Self::LENGTH];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = digit(from & 31);
        }
        Self(id)
    }

    /// The 26 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only digits are ever in it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn digit(index: u8) -> u8 {
    DIGITS.get(usize::from(index)).copied().unwrap_or(b'0')
}

impl FromStr for PublicId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidId)?;
        if bytes.iter().all(|byte| DIGITS.contains(byte)) {
            Ok(Self(bytes))
        } else {
            Err(InvalidId)
        }
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicId({self})")
    }
}

impl Serialize for PublicId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PublicId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl sqlx::Type<sqlx::MySql> for PublicId {
    fn type_info() -> sqlx::mysql::MySqlTypeInfo {
        <str as sqlx::Type<sqlx::MySql>>::type_info()
    }

    fn compatible(info: &sqlx::mysql::MySqlTypeInfo) -> bool {
        <str as sqlx::Type<sqlx::MySql>>::compatible(info)
    }
}

impl sqlx::Encode<'_, sqlx::MySql> for PublicId {
    fn encode_by_ref(
        &self,
        buffer: &mut Vec<u8>,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        <&str as sqlx::Encode<sqlx::MySql>>::encode(self.as_str(), buffer)
    }
}

impl<'r> sqlx::Decode<'r, sqlx::MySql> for PublicId {
    fn decode(value: sqlx::mysql::MySqlValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        Ok(<&str as sqlx::Decode<sqlx::MySql>>::decode(value)?.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_is_its_own() {
        let (one, other) = (PublicId::random(), PublicId::random());
        assert_ne!(one, other);
        assert_eq!(one.to_string().parse(), Ok(one));
        assert!(one.to_string().to_uppercase().parse::<PublicId>().is_err());
        for text in ["", "0", &"i".repeat(26), &"0".repeat(27), &"é".repeat(13)] {
            assert_eq!(text.parse::<PublicId>(), Err(InvalidId), "{text}");
        }
    }
}
