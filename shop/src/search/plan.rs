//! How a search is carried out where words are in many documents. Pure.
//!
//! InnoDB looks at every document that has a word of a search before it hands out the best: of a million documents one
//! second for each word that all have, and what is asked for is a thousand of them. So the index is asked for the rarer words,
//! and what it finds is held against the others; where all are common, what was indexed last is read until there is enough.

use super::query::{MAX_TERMS, ParsedQuery};

/// Documents below which the index is asked for whatever it is.
pub const COMMON_FROM: i64 = 100_000;
/// What part of all documents the words that the index is asked for may have together.
const COMMON: f64 = 0.2;
/// Documents found by the rarer words that are held against the others.
pub(super) const NARROWED: u32 = 10_000;
/// Numbers of documents that are gone back at most when they are read one after the other.
const WALKED: i64 = 20_000;

/// Documents that were looked at, and how many of them have each word of a search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// The latest number of a document: there are no more documents than that.
    pub(super) latest: i64,
    /// How many were looked at.
    pub(super) documents: i64,
    /// How many of them have the word, in the order of the search.
    pub(super) have: [i64; MAX_TERMS],
}

/// How a search is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// The index is asked for all words.
    Index,
    /// The index is asked for some words, and what it finds is held against the others.
    Narrowed {
        /// Those words, in boolean mode.
        words: String,
        /// Whether they may have more documents than are held against the others.
        cut: bool,
    },
    /// Documents are read one after the other, the latest first.
    Walk {
        /// Down to the document after this one.
        after: i64,
    },
}

impl Plan {
    /// The plan for a search, by how many of some documents have each of its words.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a part of all documents to a thousandth is more than a sample knows"
    )]
    pub(super) fn of(query: &ParsedQuery, sample: &Sample) -> Self {
        if sample.documents == 0 {
            return Self::Index;
        }
        let mut parts: Vec<(usize, f64)> = sample
            .have
            .iter()
            .take(query.terms.len())
            .map(|&have| have as f64 / sample.documents as f64)
            .enumerate()
            .collect();
        parts.sort_by(|one, other| one.1.total_cmp(&other.1));
        let mut together = 0.0;
        let mut asked: Vec<usize> = parts
            .iter()
            .take_while(|(_, part)| {
                together += part;
                together <= COMMON
            })
            .map(|&(place, _)| place)
            .collect();
        let Some(rarest) = parts.first().filter(|_| !asked.is_empty()) else {
            return Self::Walk {
                after: sample.latest - WALKED,
            };
        };
        if asked.len() == query.terms.len() {
            return Self::Index;
        }
        asked.sort_unstable();
        Self::Narrowed {
            words: query.in_boolean_mode(&asked),
            cut: rarest.1 * sample.latest as f64 >= f64::from(NARROWED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str, have: &[i64]) -> Plan {
        let locale = "en".parse().unwrap();
        let query = ParsedQuery::parse(text, &locale, std::slice::from_ref(&locale)).unwrap();
        let mut all = [0; MAX_TERMS];
        all[..have.len()].copy_from_slice(have);
        Plan::of(
            &query,
            &Sample {
                latest: 1_000_000,
                documents: 200,
                have: all,
            },
        )
    }

    const WALK: Plan = Plan::Walk { after: 980_000 };

    fn narrowed(words: &str, cut: bool) -> Plan {
        Plan::Narrowed {
            words: words.to_owned(),
            cut,
        }
    }

    #[test]
    fn the_index_is_asked_for_what_is_rare() {
        for (text, have, expected) in [
            ("black", &[0][..], Plan::Index),
            ("black", &[40], Plan::Index),
            ("black", &[41], WALK),
            ("black case", &[10, 30], Plan::Index),
            ("case black", &[190, 1], narrowed("+black*", false)),
            ("black case", &[190, 2], narrowed("+case*", true)),
            (
                "case black wallet leather",
                &[190, 15, 1, 20],
                narrowed("+black +wallet +leather*", false),
            ),
            ("case black", &[190, 100], WALK),
        ] {
            assert_eq!(plan(text, have), expected, "{text} {have:?}");
        }
    }

    #[test]
    fn without_documents_the_index_is_asked() {
        let locale = "en".parse().unwrap();
        let query = ParsedQuery::parse("x", &locale, std::slice::from_ref(&locale)).unwrap();
        let sample = Sample {
            latest: 0,
            documents: 0,
            have: [0; MAX_TERMS],
        };
        assert_eq!(Plan::of(&query, &sample), Plan::Index);
    }
}
