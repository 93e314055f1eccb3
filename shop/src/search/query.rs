//! What a shopper typed, as a search of a full-text index.

use unicode_normalization::char::is_combining_mark;

use super::SearchError;
use super::document::{indexed_word, is_unspaced, ngram_word, uses_ngram, words};
use crate::catalog::model::Locale;

/// Characters that a search may have.
pub const MAX_CHARACTERS: usize = 100;
/// Words of a search that count; more narrow nothing down.
pub const MAX_TERMS: usize = 8;

/// A search as the index takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedQuery {
    /// Whether the index of character pairs is asked, and not the one of words.
    pub ngram: bool,
    /// The locale of the documents that are searched.
    pub locale: Locale,
    /// The words, as normal text.
    pub terms: Vec<String>,
    /// All of the words, in boolean mode.
    pub all: String,
    /// The words as titles have them.
    wanted: Vec<Wanted>,
}

/// A word as titles have it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// A whole word.
    Word(String),
    /// What a word begins with.
    Beginning(String),
    /// What is anywhere in the title: there are no spaces between words.
    Part(String),
}

impl ParsedQuery {
    /// Reads what a shopper typed in a locale of a shop. Only letters and digits go on, so nothing in it is an operator.
    ///
    /// # Errors
    /// [`SearchError::Empty`], [`SearchError::TooLong`].
    pub fn parse(text: &str, locale: &Locale, locales: &[Locale]) -> Result<Self, SearchError> {
        if text.trim().chars().count() > MAX_CHARACTERS {
            return Err(SearchError::TooLong);
        }
        let words = words(text);
        // A Chinese word typed in the English shop is looked for where Chinese text is indexed.
        let foreign = words.iter().flat_map(|word| word.chars()).any(is_unspaced);
        let unspaced = if uses_ngram(locale) {
            Some(locale)
        } else {
            locales
                .iter()
                .find(|candidate| foreign && uses_ngram(candidate))
        };
        let mut terms: Vec<String> = match unspaced {
            Some(_) => words
                .iter()
                .flat_map(|word| runs(word))
                .filter(|run| run.chars().any(char::is_alphanumeric))
                .collect(),
            None => words,
        };
        terms.truncate(MAX_TERMS);
        if terms.is_empty() {
            return Err(SearchError::Empty);
        }
        let last = terms.len() - 1;
        let wanted: Vec<Wanted> = terms
            .iter()
            .enumerate()
            .map(|(place, term)| {
                if unspaced.is_some() {
                    Wanted::Part(ngram_word(term))
                } else {
                    word(term, place == last)
                }
            })
            .collect();
        Ok(Self {
            ngram: unspaced.is_some(),
            locale: unspaced.unwrap_or(locale).clone(),
            all: in_boolean_mode(wanted.iter()),
            wanted,
            terms,
        })
    }

    /// Some of the words by their places, in boolean mode.
    #[must_use]
    pub fn in_boolean_mode(&self, places: &[usize]) -> String {
        in_boolean_mode(places.iter().filter_map(|&place| self.wanted.get(place)))
    }

    /// What `LIKE` looks for in a document that has a space at both ends of each word: a pattern for each word, and then ones that
    /// everything is like.
    #[must_use]
    pub fn patterns(&self) -> [String; MAX_TERMS] {
        std::array::from_fn(|place| {
            self.wanted
                .get(place)
                .map_or_else(|| "%".to_owned(), Wanted::pattern)
        })
    }

    /// How much of the search is in a title, as a document has it: 0 to 1.
    #[must_use]
    pub fn part_in(&self, title: &str) -> f64 {
        let found = self.wanted.iter().filter(|wanted| wanted.is_in(title));
        // At most `MAX_TERMS`.
        let count = |number: usize| u8::try_from(number).map_or(f64::INFINITY, f64::from);
        count(found.count()) / count(self.wanted.len())
    }
}

impl Wanted {
    /// A term of boolean mode. Of the index of pairs: a phrase of pairs, or what begins a pair.
    fn in_boolean_mode(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Beginning(word) => format!("{word}*"),
            Self::Part(part) if part.chars().count() == 1 => format!("{part}*"),
            Self::Part(part) => format!("\"{part}\""),
        }
    }

    /// What `LIKE` looks for.
    fn pattern(&self) -> String {
        match self {
            Self::Word(word) => format!("% {} %", escaped(word)),
            Self::Beginning(word) => format!("% {}%", escaped(word)),
            Self::Part(part) => format!("%{}%", escaped(part)),
        }
    }

    fn is_in(&self, title: &str) -> bool {
        match self {
            Self::Word(word) => title.split(' ').any(|other| other == word),
            Self::Beginning(word) => title.split(' ').any(|other| other.starts_with(word)),
            Self::Part(part) => title.contains(part),
        }
    }
}

fn in_boolean_mode<'a>(wanted: impl Iterator<Item = &'a Wanted>) -> String {
    wanted
        .map(|wanted| format!("+{}", wanted.in_boolean_mode()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word; the last one may not be finished yet. A single letter begins too many words to mean them all.
fn word(term: &str, last: bool) -> Wanted {
    if last && term.chars().count() > 1 {
        Wanted::Beginning(term.to_owned())
    } else {
        Wanted::Word(indexed_word(term))
    }
}

/// Cuts a word where a script with spaces meets one without: `iphone手机壳` are two things.
fn runs(word: &str) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    let mut unspaced = None;
    for character in word.chars() {
        // A mark belongs to the character before it.
        if unspaced == Some(is_unspaced(character))
            || (unspaced.is_some() && is_combining_mark(character))
        {
            if let Some(run) = runs.last_mut() {
                run.push(character);
            }
        } else {
            unspaced = Some(is_unspaced(character));
            runs.push(character.to_string());
        }
    }
    runs
}

/// A text as the beginning of what `LIKE` looks for.
#[must_use]
pub fn like_prefix(text: &str) -> String {
    let typed: String = text
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_CHARACTERS)
        .collect();
    format!("{}%", escaped(&typed))
}

/// A text of which `LIKE` takes every character for itself.
fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::document::Document;

    fn parse(text: &str, locale: &str) -> Result<ParsedQuery, SearchError> {
        let locales: Vec<Locale> = ["en", "zh"]
            .iter()
            .map(|tag| tag.parse().unwrap())
            .collect();
        ParsedQuery::parse(text, &locale.parse().unwrap(), &locales)
    }

    #[test]
    fn all_words_are_wanted_and_the_last_may_go_on() {
        let parsed = parse("Red TV sho", "en").unwrap();
        assert_eq!(parsed.all, "+red +tv_ +sho*");
        assert_eq!(parse("size X", "en").unwrap().all, "+size +x__");
    }

    #[test]
    fn what_a_title_has_of_a_search_is_a_part_of_it() {
        let part = |text: &str, locale: &str, name: &str| {
            let title = Document::new(&locale.parse().unwrap(), name, &[]).title;
            parse(text, locale).unwrap().part_in(&title)
        };
        for (text, locale, name, expected) in [
            ("red shoe", "en", "Red Shoes", 1.0),
            ("red shoe", "en", "Shoes", 0.5),
            ("shoes red", "en", "A shoe", 0.0),
            ("the tv", "en", "The TV", 1.0),
            ("红色 ipad", "zh", "大红色手机壳", 0.5),
            ("ipad", "zh", "iPad 手机壳", 1.0),
        ] {
            let found = part(text, locale, name);
            assert!(
                (found - expected).abs() < f64::EPSILON,
                "{text} in {name}: {found}"
            );
        }
    }

    #[test]
    fn operators_are_only_text() {
        let parsed = parse("+a -b ~c <d >e (f) \"g\" h* @5 ", "en").unwrap();
        assert_eq!(parsed.all, "+a__ +b__ +c__ +d__ +e__ +f__ +g__ +h__");
        for hostile in [
            "+++",
            "\"",
            "*",
            "()",
            "@@",
            "\u{0}\u{1}",
            "  ",
            "",
            "-",
            "«»",
            "\u{1cd0}",
            "\u{301}",
        ] {
            assert!(
                matches!(parse(hostile, "en"), Err(SearchError::Empty)),
                "{hostile:?}"
            );
        }
    }

    #[test]
    fn chinese_is_looked_for_where_it_is_indexed() {
        let parsed = parse("红色 手机壳", "en").unwrap();
        assert!(parsed.ngram && parsed.locale.as_str() == "zh");
        assert_eq!(parsed.all, "+\"红色\" +\"手机壳\"");
        assert_eq!(parse("红", "zh").unwrap().all, "+红*");
        assert_eq!(parse("iphone手机", "zh").unwrap().terms, ["iphone", "手机"]);
        assert!(!parse("iphone", "en").unwrap().ngram);
    }

    #[test]
    fn too_long_is_refused_and_many_words_are_cut() {
        assert!(parse(&"a".repeat(100), "en").is_ok());
        assert!(matches!(
            parse(&"a".repeat(101), "en"),
            Err(SearchError::TooLong)
        ));
        assert_eq!(
            parse("a b c d e f g h i j", "en").unwrap().terms.len(),
            MAX_TERMS
        );
    }

    #[test]
    fn patterns_mean_what_was_typed() {
        let patterns = parse("Red TV sho", "en").unwrap().patterns();
        assert_eq!(
            patterns,
            ["% red %", "% tv\\_ %", "% sho%", "%", "%", "%", "%", "%"]
        );
        assert_eq!(
            parse("红 手机", "zh").unwrap().patterns()[..3],
            ["%红%", "%手机%", "%"]
        );
        assert_eq!(like_prefix(" 50%_\\ \n"), "50\\%\\_\\\\%");
    }

    proptest! {
        #[test]
        fn nothing_but_our_own_operators_reaches_the_index(text in "\\PC{0,120}", chinese: bool) {
            if let Ok(parsed) = parse(&text, if chinese { "zh" } else { "en" }) {
                for term in parsed.all.split(' ') {
                    let inner = term.strip_prefix('+').unwrap();
                    let inner = inner.strip_suffix('*').unwrap_or(inner);
                    let inner = inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(inner);
                    prop_assert!(!inner.is_empty() && !inner.chars().any(|character| "+-><()~*\"@".contains(character)));
                }
            }
        }
    }
}
