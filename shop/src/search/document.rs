//! How text becomes what the full-text indexes hold, and how a shopper's words become the same.
//!
//! Documents are cut into words here and not by the database, so that what is found depends on no server setting:
//! the word index drops words below `innodb_ft_min_token_size` and English stop words ("The Who", "XL", "4K"), and the
//! ngram index drops every pair of letters that contains an "a" or "i". Documents and queries are written so that
//! neither rule ever applies to them.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::catalog::model::Locale;

/// InnoDB's own list (`INFORMATION_SCHEMA.INNODB_FT_DEFAULT_STOPWORD`).
const STOP_WORDS: &[&str] = &[
    "a", "about", "an", "are", "as", "at", "be", "by", "com", "de", "en", "for", "from", "how",
    "i", "in", "is", "it", "la", "of", "on", "or", "that", "the", "this", "to", "und", "was",
    "what", "when", "where", "who", "will", "with", "www",
];

/// InnoDB's default `innodb_ft_min_token_size`.
const SHORTEST_WORD: usize = 3;
/// Below InnoDB's `innodb_ft_max_token_size` of 84.
const LONGEST_WORD: usize = 80;
/// As long as the title columns.
const TITLE_CHARACTERS: usize = 255;
/// So many characters of four bytes fit a `TEXT` column.
const BODY_CHARACTERS: usize = 16_000;

/// Whether text of a language is indexed by pairs of characters, because it has no spaces between words.
#[must_use]
pub fn uses_ngram(locale: &Locale) -> bool {
    matches!(locale.language(), "zh" | "ja" | "ko" | "th")
}

/// Whether a character belongs to a script without spaces between words.
#[must_use]
pub fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x0E00..=0x0E7F // Thai
        | 0x3040..=0x30FF | 0x31F0..=0x31FF // Kana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF // Han
        | 0x1100..=0x11FF | 0xAC00..=0xD7AF // Hangul
    )
}

/// The text of one product in one locale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What the title column holds.
    pub title: String,
    /// What the body column holds.
    pub body: String,
}

impl Document {
    /// Makes the document of a locale from a product's name and all other text that it should be found by.
    #[must_use]
    pub fn new(locale: &Locale, name: &str, texts: &[&str]) -> Self {
        if uses_ngram(locale) {
            Self {
                title: joined(ngram_runs(name), TITLE_CHARACTERS),
                body: joined(
                    texts.iter().flat_map(|text| ngram_runs(text)),
                    BODY_CHARACTERS,
                ),
            }
        } else {
            // A word counts once however often a description repeats it.
            let mut seen = HashSet::new();
            let words = texts
                .iter()
                .flat_map(|text| words(text))
                .filter(|word| seen.insert(word.clone()));
            Self {
                title: joined(words_of_title(name), TITLE_CHARACTERS),
                body: joined(words.map(|word| indexed_word(&word)), BODY_CHARACTERS),
            }
        }
    }
}

fn words_of_title(name: &str) -> impl Iterator<Item = String> {
    words(name).into_iter().map(|word| indexed_word(&word))
}

/// The words of a text: compatibility forms made one, lower case, cut at everything that is no letter or digit.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let normal: String = text.nfkc().flat_map(char::to_lowercase).collect();
    normal
        .split(|character: char| !(character.is_alphanumeric() || is_combining_mark(character)))
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| word.chars().take(LONGEST_WORD).collect())
        .collect()
}

/// A word as the word index holds it: `tv` as `tv_` and `the` as `the_`, which no rule of the index drops.
#[must_use]
pub fn indexed_word(word: &str) -> String {
    let length = word.chars().count();
    let mut indexed = word.to_owned();
    if STOP_WORDS.contains(&word) {
        indexed.push('_');
    }
    for _ in indexed.chars().count().max(length)..SHORTEST_WORD {
        indexed.push('_');
    }
    indexed
}

/// The words of a text as the ngram index holds them.
#[must_use]
pub fn ngram_runs(text: &str) -> Vec<String> {
    words(text).iter().map(|word| ngram_word(word)).collect()
}

/// A word as the ngram index holds it. ASCII letters and digits are written as letters of another script: pairs that
/// contain a stop word ("a", "i") would not be indexed, and `iPad` not be found.
#[must_use]
pub fn ngram_word(word: &str) -> String {
    let mut written = String::with_capacity(word.len());
    let mut base = ' ';
    for character in word.nfkd() {
        if is_combining_mark(character) && base.is_ascii_alphanumeric() {
            continue;
        }
        base = character;
        // Yi syllables: the parser takes them for letters, as it does not take private-use characters, and no shop that
        // uses this index sells in Yi.
        let stand_in = character
            .is_ascii_alphanumeric()
            .then(|| char::from_u32(0xA000 + u32::from(character)))
            .flatten();
        written.push(stand_in.unwrap_or(character));
    }
    written.nfc().collect()
}

fn joined(words: impl IntoIterator<Item = String>, limit: usize) -> String {
    let mut text = String::new();
    let mut length = 0;
    for word in words {
        let more = word.chars().count() + usize::from(!text.is_empty());
        if length + more > limit {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word);
        length += more;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn locale(tag: &str) -> Locale {
        tag.parse().unwrap()
    }

    #[test]
    fn short_words_and_stop_words_are_kept() {
        let document = Document::new(&locale("en"), "The Who: 4K TV", &["XL, x and a T-shirt"]);
        assert_eq!(document.title, "the_ who_ 4k_ tv_");
        assert_eq!(document.body, "xl_ x__ and a__ t__ shirt");
    }

    #[test]
    fn compatibility_forms_are_one() {
        assert_eq!(words("ＡＢＣ ﬁne Ⅳ"), ["abc", "fine", "iv"]);
    }

    #[test]
    fn ngram_documents_hold_no_latin_letter() {
        let document = Document::new(&locale("zh-cn"), "红色 iPad 手机壳", &["Café"]);
        assert!(document.title.starts_with("红色 ") && document.title.ends_with(" 手机壳"));
        assert!(
            !document
                .title
                .chars()
                .chain(document.body.chars())
                .any(|character| character.is_ascii_alphanumeric())
        );
        assert_eq!(document.body, ngram_word("cafe"));
    }

    #[test]
    fn languages_without_spaces_use_pairs_of_characters() {
        assert!(
            ["zh", "zh-hant-tw", "ja", "ko-kr", "th"]
                .iter()
                .all(|tag| uses_ngram(&locale(tag)))
        );
        assert!(
            !["en", "de-ch", "ru", "ar"]
                .iter()
                .any(|tag| uses_ngram(&locale(tag)))
        );
        assert!("手かカ한ไ".chars().all(is_unspaced));
        assert!(!"aéя1".chars().any(is_unspaced));
    }

    proptest! {
        #[test]
        fn documents_fit_their_columns(name in "\\PC{0,400}", text in "\\PC{0,400}", ngram: bool) {
            let document = Document::new(&locale(if ngram { "zh" } else { "en" }), &name, &[&text.repeat(60)]);
            prop_assert!(document.title.chars().count() <= TITLE_CHARACTERS);
            prop_assert!(document.body.len() < 65_535);
        }

        #[test]
        fn no_indexed_word_is_dropped(text in "\\PC{0,60}") {
            for word in words(&text) {
                let indexed = indexed_word(&word);
                prop_assert!(indexed.chars().count() >= SHORTEST_WORD);
                prop_assert!(!STOP_WORDS.contains(&indexed.as_str()));
            }
        }
    }
}
