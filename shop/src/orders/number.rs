//! Order numbers: ten random letters and a check letter, such as `7KQ2-M9XD-4TB`.
//!
//! Fifty random bits tell nobody how many orders there are and can be guessed by nobody; the unique key in the database turns
//! the rare collision into another draw. The letters are Crockford's base32 (no I, L, O, U); the check letter is that of Luhn's
//! algorithm modulo 32, which notices each single wrong letter and most swaps of neighbours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RANDOM: usize = 10;

/// The public name of an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNumber(String);

/// The text is not an order number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// It has other letters, or more or fewer.
    #[error("an order number has eleven letters and digits, such as 7KQ2-M9XD-4TB")]
    Form,
    /// A letter is wrong.
    #[error("the order number has a wrong letter: check it against the confirmation")]
    Check,
}

fn value(letter: char) -> Option<usize> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    LETTERS
        .iter()
        .position(|known| char::from(*known) == letter)
}

fn letter(value: usize) -> char {
    LETTERS
        .get(value % 32)
        .map_or('0', |letter| char::from(*letter))
}

/// The value of the check letter: from the right, every second value is doubled, and its base 32 digits are added.
fn check(values: &[usize]) -> usize {
    let sum: usize = values
        .iter()
        .rev()
        .enumerate()
        .map(|(place, value)| {
            let weighted = if place % 2 == 0 { value * 2 } else { *value };
            weighted / 32 + weighted % 32
        })
        .sum();
    (32 - sum % 32) % 32
}

fn grouped(values: &[usize]) -> String {
    let mut text = String::with_capacity(RANDOM + 3);
    for (place, value) in values.iter().chain(&[check(values)]).enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        text.push(letter(*value));
    }
    text
}

impl OrderNumber {
    /// A number at random.
    #[must_use]
    pub fn random() -> Self {
        let values: Vec<usize> = std::iter::repeat_with(|| rand::random_range(0..32_usize))
            .take(RANDOM)
            .collect();
        Self(grouped(&values))
    }

    /// The number as it is shown and stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrderNumber {
    type Err = InvalidNumber;

    /// Reads a number as people type it: in any case, with or without hyphens, with letters that look alike.
    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        if text.len() > 40 {
            return Err(InvalidNumber::Form);
        }
        let values: Vec<usize> = text
            .chars()
            .filter(|letter| !matches!(letter, '-' | ' '))
            .map(|letter| value(letter).ok_or(InvalidNumber::Form))
            .collect::<Result<_, _>>()?;
        match values.split_last() {
            Some((last, random)) if random.len() == RANDOM => {
                if check(random) == *last {
                    Ok(Self(grouped(random)))
                } else {
                    Err(InvalidNumber::Check)
                }
            }
            _ => Err(InvalidNumber::Form),
        }
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for OrderNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OrderNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_however_it_is_typed() {
        for _ in 0..100 {
            let number = OrderNumber::random();
            assert_eq!(number.as_str().len(), 13);
            let typed = number
                .as_str()
                .to_lowercase()
                .replace('-', " ")
                .replace('0', "o")
                .replace('1', "l");
            assert_eq!(typed.parse(), Ok(number));
        }
    }

    #[test]
    fn a_wrong_letter_is_noticed() {
        let number = OrderNumber::random().to_string();
        for (place, there) in number.char_indices().filter(|(_, letter)| *letter != '-') {
            for other in LETTERS
                .iter()
                .map(|letter| char::from(*letter))
                .filter(|other| *other != there)
            {
                let mut wrong = number.clone();
                wrong.replace_range(place..=place, &other.to_string());
                assert_eq!(
                    wrong.parse::<OrderNumber>(),
                    Err(InvalidNumber::Check),
                    "{wrong}"
                );
            }
        }
        for wrong in ["", "7KQ2", "7KQ2-M9XD-4TB-7KQ2", "7KQ2-M9XD-4T!"] {
            assert_eq!(
                wrong.parse::<OrderNumber>(),
                Err(InvalidNumber::Form),
                "{wrong}"
            );
        }
    }

    #[test]
    fn numbers_do_not_tell_how_many_there_are() {
        let mut numbers: Vec<_> = (0..1000).map(|_| OrderNumber::random()).collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 1000);
    }
}
