//! Names by which the outside world refers to the catalogue: locales, slugs and stock keeping units.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A text that cannot be the identifier it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {rule}")]
pub struct InvalidIdentifier {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

impl InvalidIdentifier {
    fn new(kind: &'static str, rule: &'static str, text: &str) -> Self {
        // Whoever reads the message needs the beginning; the rest may be megabytes.
        Self {
            kind,
            rule,
            text: text.chars().take(64).collect(),
        }
    }
}

macro_rules! text_identifier {
    ($name:ident) => {
        impl $name {
            /// The text of the identifier.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A language, with script and region where needed: a BCP 47 tag in lower case, such as `en`, `en-gb` or `zh-hans`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locale(String);
text_identifier!(Locale);

impl Locale {
    /// The primary language subtag: `zh` of `zh-hans`.
    #[must_use]
    pub fn language(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

impl FromStr for Locale {
    type Err = InvalidIdentifier;

    /// Reads a tag in any case, with `-` or `_` between its parts.
    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let tag = text.to_ascii_lowercase().replace('_', "-");
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default();
        let well_formed = tag.len() <= 16
            && matches!(language.len(), 2 | 3)
            && language.bytes().all(|byte| byte.is_ascii_lowercase())
            && parts.all(|part| {
                (2..=8).contains(&part.len())
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        if well_formed {
            Ok(Self(tag))
        } else {
            Err(InvalidIdentifier::new(
                "locale",
                "give a BCP 47 tag of at most 16 letters, such as en-gb",
                text,
            ))
        }
    }
}

/// The part of an address that names a product, category or page. Lower-case letters and digits of any script, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);
text_identifier!(Slug);

/// As long as the columns that hold slugs.
const SLUG_CHARACTERS: usize = 190;

impl Slug {
    /// Makes a slug of a name: `Crème Brûlée, 2 pcs.` becomes `creme-brulee-2-pcs`. None where the name has no letter or digit.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut slug = String::new();
        let mut gap = false;
        // Accents are dropped from Latin letters only: elsewhere marks carry the vowels.
        let mut base = ' ';
        for character in name.nfkd().flat_map(char::to_lowercase) {
            if is_combining_mark(character) && base.is_ascii() {
                continue;
            }
            base = character;
            if slug_character(character) && character != '-' && character != '_' {
                if gap && !slug.is_empty() {
                    slug.push('-');
                }
                gap = false;
                slug.push(character);
            } else {
                gap = true;
            }
        }
        let slug: String = slug.nfc().take(SLUG_CHARACTERS).collect();
        slug.trim_end_matches('-').parse().ok()
    }
}

fn slug_character(character: char) -> bool {
    (character.is_alphanumeric()
        || is_combining_mark(character)
        || character == '-'
        || character == '_')
        && !character.is_uppercase()
}

impl FromStr for Slug {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let length = text.chars().count();
        let well_formed = (1..=SLUG_CHARACTERS).contains(&length)
            && text.chars().all(slug_character)
            && text.chars().any(char::is_alphanumeric);
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdentifier::new(
                "slug",
                "use 1 to 190 lower-case letters, digits, '-' and '_', at least one of them a letter or digit",
                text,
            ))
        }
    }
}

/// The seller's name for what is sold: a stock keeping unit. Any printable text of 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku(String);
text_identifier!(Sku);

impl FromStr for Sku {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let well_formed = (1..=64).contains(&text.chars().count())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdentifier::new(
                "SKU",
                "use 1 to 64 characters without control characters and without space at either end",
                text,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn locales_have_one_spelling() {
        assert_eq!("en_GB".parse::<Locale>().unwrap().as_str(), "en-gb");
        assert_eq!("zh-Hans-CN".parse::<Locale>().unwrap().language(), "zh");
        for wrong in [
            "",
            "e",
            "english",
            "en-",
            "en--gb",
            "en-g",
            "../x",
            "en gb",
            "ён",
            "en-abcdefgh-abcdefgh",
        ] {
            assert!(wrong.parse::<Locale>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn slugs_are_made_of_names() {
        let made = |name: &str| Slug::from_name(name).map(|slug| slug.to_string());
        assert_eq!(
            made("Crème Brûlée, 2 pcs.").as_deref(),
            Some("creme-brulee-2-pcs")
        );
        assert_eq!(
            made("  --Tom's T‑Shirt--  ").as_deref(),
            Some("tom-s-t-shirt")
        );
        assert_eq!(made("红色 手机壳").as_deref(), Some("红色-手机壳"));
        assert_eq!(made("!!!"), None);
        assert_eq!(
            made(&"ab ".repeat(100)).map(|slug| slug.chars().count()),
            Some(190)
        );
    }

    #[test]
    fn refuses_what_would_not_be_one_path_segment() {
        for wrong in [
            "", "a/b", "..", "A", "a b", "a?b", "a%2f", "a\u{0}", "-", "_",
        ] {
            assert!(wrong.parse::<Slug>().is_err(), "{wrong:?}");
        }
        assert!("a".repeat(190).parse::<Slug>().is_ok());
        assert!("a".repeat(191).parse::<Slug>().is_err());
    }

    #[test]
    fn refuses_skus_that_nobody_can_type() {
        for wrong in ["", " A", "A ", "A\n1", &"x".repeat(65)] {
            assert!(wrong.parse::<Sku>().is_err(), "{wrong:?}");
        }
        assert!("AB 12/ü".parse::<Sku>().is_ok());
    }

    proptest! {
        #[test]
        fn a_slug_made_of_a_name_is_a_slug(name in ".{0,300}") {
            if let Some(slug) = Slug::from_name(&name) {
                prop_assert_eq!(slug.as_str().parse::<Slug>().unwrap(), slug);
            } else {
                prop_assert!(!name.chars().any(|character| character.is_ascii_alphanumeric()));
            }
        }
    }
}
