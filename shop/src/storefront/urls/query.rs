//! Reading a query string: pairs, limits and what can be wrong with it.

use percent_encoding::percent_decode;

use super::super::money::Currency;
use super::encode_component;

/// Longest query that is read: several times what the longest combination of filters that a page links to needs.
pub(super) const MAX_QUERY_BYTES: usize = 2_048;

/// Most parameters that are read, repeated ones counted each time.
pub(super) const MAX_PARAMETERS: usize = 100;

/// What is wrong with a query, for the shopper: which parameter, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryProblem {
    /// The query is longer than any that the shop links to.
    #[error(
        "the address is too long: at most {MAX_QUERY_BYTES} characters may follow the question mark"
    )]
    TooLong,
    /// More parameters than any page has.
    #[error("the address has too many parameters: at most {MAX_PARAMETERS} are read")]
    TooManyParameters,
    /// The bytes of the parameter are not UTF-8, or control characters.
    #[error("`{parameter}` must be plain text in UTF-8")]
    NotText {
        /// Name of the parameter.
        parameter: String,
    },
    /// A value that the parameter cannot have.
    #[error("`{parameter}` {problem}")]
    Value {
        /// Name of the parameter.
        parameter: String,
        /// What the value should be.
        problem: String,
    },
}

impl QueryProblem {
    pub(crate) fn value(parameter: &str, problem: impl Into<String>) -> Self {
        Self::Value {
            parameter: parameter.to_owned(),
            problem: problem.into(),
        }
    }
}

/// A parameter with its value still encoded, so that a separating comma differs from a comma in a value.
pub(crate) struct Pair<'query> {
    pub(crate) name: String,
    pub(crate) raw_value: &'query str,
}

/// Takes a query apart.
pub(crate) fn pairs(query: &str) -> Result<Vec<Pair<'_>>, Vec<QueryProblem>> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(vec![QueryProblem::TooLong]);
    }
    let mut found = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        if found.len() == MAX_PARAMETERS {
            return Err(vec![QueryProblem::TooManyParameters]);
        }
        let (name, raw_value) = part.split_once('=').unwrap_or((part, ""));
        // A name that is not text is a parameter that nobody knows: it goes the way of the unknown ones.
        let name = decode(name).unwrap_or_default();
        found.push(Pair { name, raw_value });
    }
    Ok(found)
}

/// Puts parameters together in the one order of canonical addresses: that of their bytes, value and all, in which `f.size2=`
/// comes before `f.size=`. The edge sorts queries by the same rule before it asks, so any other order would be redirected for ever.
pub(crate) fn join_sorted(mut parts: Vec<String>) -> String {
    parts.sort_unstable();
    parts.join("&")
}

/// Decodes one component of a form, or nothing when it is not text.
pub(super) fn decode(raw: &str) -> Option<String> {
    let spaced = raw.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes())
        .decode_utf8()
        .ok()?
        .into_owned();
    (!decoded.chars().any(char::is_control)).then_some(decoded)
}

/// Decodes the value of a parameter and takes the spaces off its ends.
pub(crate) fn decode_value(parameter: &str, raw: &str) -> Result<String, QueryProblem> {
    decode(raw)
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| QueryProblem::NotText {
            parameter: parameter.to_owned(),
        })
}

/// Reads a currency that the shop sells in.
pub(crate) fn currency(code: &str, offered: &[Currency]) -> Result<Currency, QueryProblem> {
    offered
        .iter()
        .find(|currency| currency.as_str() == code)
        .copied()
        .ok_or_else(|| {
            let codes: Vec<&str> = offered.iter().map(|currency| currency.as_str()).collect();
            QueryProblem::value("currency", format!("must be one of {}", codes.join(", ")))
        })
}

/// The query of a page without a listing: home, product, content page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainQuery {
    /// Currency of the prices.
    pub currency: Currency,
}

impl PlainQuery {
    /// Reads a query. The flag says whether it was in its canonical form; if not, redirect to the canonical one.
    ///
    /// # Errors
    /// Lists every parameter with a value that it cannot have.
    pub fn parse(
        query: &str,
        offered: &[Currency],
        default_currency: Currency,
    ) -> Result<(Self, bool), Vec<QueryProblem>> {
        let mut chosen = default_currency;
        let mut problems = Vec::new();
        for pair in pairs(query)? {
            if pair.name == "currency" && !pair.raw_value.is_empty() {
                match decode_value("currency", pair.raw_value)
                    .and_then(|code| currency(&code, offered))
                {
                    Ok(currency) => chosen = currency,
                    Err(problem) => problems.push(problem),
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let parsed = Self { currency: chosen };
        let canonical = parsed.to_query(default_currency) == query;
        Ok((parsed, canonical))
    }

    /// The canonical query, empty for the default currency.
    #[must_use]
    pub fn to_query(self, default_currency: Currency) -> String {
        if self.currency == default_currency {
            return String::new();
        }
        format!("currency={}", encode_component(self.currency.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &[Currency] = &[Currency::EUR, Currency::USD];

    #[test]
    fn a_plain_page_has_a_currency_or_nothing() {
        let parse = |query| PlainQuery::parse(query, OFFERED, Currency::EUR);
        assert_eq!(
            parse(""),
            Ok((
                PlainQuery {
                    currency: Currency::EUR
                },
                true
            ))
        );
        assert_eq!(
            parse("currency=USD"),
            Ok((
                PlainQuery {
                    currency: Currency::USD
                },
                true
            ))
        );
        // The default, unknown parameters, repetitions and other spellings are redirected.
        for query in [
            "currency=EUR",
            "utm_source=x",
            "currency=USD&a=b",
            "currency=USD&currency=USD",
            "currency=U%53D",
            "&",
        ] {
            assert!(
                parse(query).is_ok_and(|(_, canonical)| !canonical),
                "{query}"
            );
        }
        let problems = parse("currency=usd").unwrap_err();
        assert_eq!(
            problems.first().unwrap().to_string(),
            "`currency` must be one of EUR, USD"
        );
        assert_eq!(
            parse("currency=%FF"),
            Err(vec![QueryProblem::NotText {
                parameter: "currency".to_owned()
            }])
        );
    }

    #[test]
    fn a_query_has_limits() {
        let parse = |query: &str| PlainQuery::parse(query, OFFERED, Currency::EUR);
        assert_eq!(
            parse(&"a".repeat(MAX_QUERY_BYTES + 1)),
            Err(vec![QueryProblem::TooLong])
        );
        assert_eq!(
            parse(&"a=&".repeat(MAX_PARAMETERS + 1)),
            Err(vec![QueryProblem::TooManyParameters])
        );
    }
}
