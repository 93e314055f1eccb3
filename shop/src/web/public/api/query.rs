//! The queries of the API: parameters in the order of their names, defaults left out, one spelling for each answer.

use std::collections::BTreeSet;

use crate::catalog::listing::{Filters, MAX_LIMIT};
use crate::catalog::model::{Sku, Slug};
use crate::catalog::store_product::MAX_AVAILABILITY;
use crate::content::store::MAXIMUM_LISTED;
use crate::search::query::MAX_CHARACTERS;
use crate::storefront::i18n::Locale;
use crate::storefront::money::Currency;
use crate::storefront::urls::{
    self, ListingPage, ListingQuery, ListingRules, Pair, Parsed, QueryProblem, encode_component,
};
use crate::storefront::view::Site;
use crate::web::public::cards;

/// Products of a page when the address names no limit.
pub const DEFAULT_LIMIT: u32 = 24;
/// Longest cursor; ours are much shorter.
const MAX_CURSOR_BYTES: usize = 256;

/// What is wrong with a query: every parameter at once.
pub type Problems = Vec<QueryProblem>;

/// A query that has one spelling.
pub trait Query: Sized {
    /// Reads a query in any spelling. Unknown parameters and empty texts are left out; of repeated ones the last counts.
    ///
    /// # Errors
    /// Lists every parameter with a value that it cannot have.
    fn parse(query: &str, site: &Site) -> Result<Self, Problems>;

    /// Its one spelling.
    fn to_query(&self, site: &Site) -> String;
}

/// Reads parameters one by one and collects what is wrong with them.
struct Reader<'query> {
    pairs: Vec<Pair<'query>>,
    problems: Problems,
}

impl<'query> Reader<'query> {
    fn new(query: &'query str) -> Result<Self, Problems> {
        Ok(Self {
            pairs: urls::pairs(query)?,
            problems: Vec::new(),
        })
    }

    fn take<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, QueryProblem>) -> Option<T> {
        let mut taken = None;
        for pair in self.pairs.iter().filter(|pair| pair.name == name) {
            match urls::decode_value(name, pair.raw_value) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => match read(&text) {
                    Ok(value) => taken = Some(value),
                    Err(problem) => self.problems.push(problem),
                },
                Err(problem) => self.problems.push(problem),
            }
        }
        taken
    }

    fn locale(&mut self, site: &Site) -> Locale {
        self.take("locale", |tag| {
            Locale::from_tag(tag)
                .filter(|locale| site.locales.contains(locale))
                .ok_or_else(|| {
                    let tags: Vec<&str> = site.locales.iter().map(|locale| locale.tag()).collect();
                    QueryProblem::value("locale", format!("must be one of {}", tags.join(", ")))
                })
        })
        .unwrap_or_else(|| site.default_locale())
    }

    fn currency(&mut self, site: &Site) -> Currency {
        self.take("currency", |code| urls::currency(code, &site.currencies))
            .unwrap_or_else(|| site.default_currency())
    }

    fn limit(&mut self, most: u32) -> u32 {
        // A text may be empty, a number may not: a form does not ask for it.
        let is_empty = |pair: &Pair<'_>| pair.name == "limit" && pair.raw_value.is_empty();
        if self.pairs.iter().any(is_empty) {
            self.problems.push(QueryProblem::value(
                "limit",
                format!("must be a number from 1 to {most}"),
            ));
        }
        self.take("limit", |text| {
            text.parse::<u32>()
                .ok()
                .filter(|limit| (1..=most).contains(limit))
                .ok_or_else(|| {
                    QueryProblem::value("limit", format!("must be a number from 1 to {most}"))
                })
        })
        .unwrap_or(DEFAULT_LIMIT)
    }

    fn words(&mut self) -> Option<String> {
        self.take("q", |text| {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if words.chars().count() > MAX_CHARACTERS {
                let problem = format!("must have at most {MAX_CHARACTERS} characters");
                return Err(QueryProblem::value("q", problem));
            }
            Ok(words)
        })
    }

    fn finish<T>(self, parsed: T) -> Result<T, Problems> {
        if self.problems.is_empty() {
            Ok(parsed)
        } else {
            Err(self.problems)
        }
    }
}

/// Parameters on their way to a query string, in any order.
#[derive(Default)]
struct Parts(Vec<String>);

impl Parts {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push(format!("{name}={}", encode_component(value)));
        self
    }

    fn with_locale(self, locale: Locale, site: &Site) -> Self {
        if locale == site.default_locale() {
            return self;
        }
        self.with("locale", locale.tag())
    }

    fn with_currency(self, currency: Currency, site: &Site) -> Self {
        if currency == site.default_currency() {
            return self;
        }
        self.with("currency", currency.as_str())
    }

    fn with_limit(self, limit: u32) -> Self {
        if limit == DEFAULT_LIMIT {
            return self;
        }
        self.with("limit", &limit.to_string())
    }

    fn print(self) -> String {
        urls::join_sorted(self.0)
    }
}

/// The query of an answer that takes no parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoQuery;

impl Query for NoQuery {
    fn parse(_: &str, _: &Site) -> Result<Self, Problems> {
        Ok(Self)
    }

    fn to_query(&self, _: &Site) -> String {
        String::new()
    }
}

/// The query of an answer with texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextQuery {
    /// The language of names and texts.
    pub locale: Locale,
}

impl Query for TextQuery {
    fn parse(query: &str, site: &Site) -> Result<Self, Problems> {
        let mut reader = Reader::new(query)?;
        let locale = reader.locale(site);
        reader.finish(Self { locale })
    }

    fn to_query(&self, site: &Site) -> String {
        Parts::default().with_locale(self.locale, site).print()
    }
}

/// The query of an answer with texts and prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricedQuery {
    /// The currency of prices.
    pub currency: Currency,
    /// The language of names and texts.
    pub locale: Locale,
}

impl Query for PricedQuery {
    fn parse(query: &str, site: &Site) -> Result<Self, Problems> {
        let mut reader = Reader::new(query)?;
        let (currency, locale) = (reader.currency(site), reader.locale(site));
        reader.finish(Self { currency, locale })
    }

    fn to_query(&self, site: &Site) -> String {
        Parts::default()
            .with_currency(self.currency, site)
            .with_locale(self.locale, site)
            .print()
    }
}

/// The query of completions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestQuery {
    /// Only products with a price in this currency are named.
    pub currency: Currency,
    /// The language of names.
    pub locale: Locale,
    /// What was typed so far.
    pub text: String,
}

impl Query for SuggestQuery {
    fn parse(query: &str, site: &Site) -> Result<Self, Problems> {
        let mut reader = Reader::new(query)?;
        let (currency, locale) = (reader.currency(site), reader.locale(site));
        let text = reader.words();
        if text.is_none() && reader.problems.is_empty() {
            reader
                .problems
                .push(QueryProblem::value("q", "must have what was typed so far"));
        }
        reader.finish(Self {
            currency,
            locale,
            text: text.unwrap_or_default(),
        })
    }

    fn to_query(&self, site: &Site) -> String {
        Parts::default()
            .with_currency(self.currency, site)
            .with_locale(self.locale, site)
            .with("q", &self.text)
            .print()
    }
}

/// The query of stock numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailabilityQuery {
    /// What is asked for: 1 to [`MAX_AVAILABILITY`].
    pub skus: BTreeSet<Sku>,
}

impl Query for AvailabilityQuery {
    fn parse(query: &str, _: &Site) -> Result<Self, Problems> {
        let mut reader = Reader::new(query)?;
        let mut skus = BTreeSet::new();
        // Split before decoding: a comma within an SKU is written %2C.
        let raw = reader.pairs.iter().filter(|pair| pair.name == "sku");
        for raw in raw.flat_map(|pair| pair.raw_value.split(',')) {
            match urls::decode_value("sku", raw) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => match text.parse::<Sku>() {
                    Ok(sku) => drop(skus.insert(sku)),
                    Err(_) => reader.problems.push(QueryProblem::value(
                        "sku",
                        "must be SKUs of 1 to 64 characters, separated by commas",
                    )),
                },
                Err(problem) => reader.problems.push(problem),
            }
        }
        // One sentence says it, however many are wrong.
        reader.problems.dedup();
        if reader.problems.is_empty() && !(1..=MAX_AVAILABILITY).contains(&skus.len()) {
            let problem = format!("must name 1 to {MAX_AVAILABILITY} SKUs, separated by commas");
            reader.problems.push(QueryProblem::value("sku", problem));
        }
        reader.finish(Self { skus })
    }

    fn to_query(&self, _: &Site) -> String {
        let skus: Vec<String> = self
            .skus
            .iter()
            .map(|sku| encode_component(sku.as_str()))
            .collect();
        format!("sku={}", skus.join(","))
    }
}

/// The query of a list of pages or posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentListQuery {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Entries of a page: 1 to [`MAXIMUM_LISTED`].
    pub limit: u32,
    /// The language of titles.
    pub locale: Locale,
}

impl Query for ContentListQuery {
    fn parse(query: &str, site: &Site) -> Result<Self, Problems> {
        let mut reader = Reader::new(query)?;
        let after = reader.take("after", |cursor| {
            let possible = cursor.len() <= MAX_CURSOR_BYTES
                && cursor
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if possible {
                Ok(cursor.to_owned())
            } else {
                let problem = "must be `next` of the page before";
                Err(QueryProblem::value("after", problem))
            }
        });
        let limit = reader.limit(MAXIMUM_LISTED);
        let locale = reader.locale(site);
        reader.finish(Self {
            after,
            limit,
            locale,
        })
    }

    fn to_query(&self, site: &Site) -> String {
        let mut parts = Parts::default()
            .with_limit(self.limit)
            .with_locale(self.locale, site);
        if let Some(after) = &self.after {
            parts = parts.with("after", after);
        }
        parts.print()
    }
}

/// The query of a listing or a search: that of the pages, and what only programs ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductsQuery {
    /// The category; none is the whole catalogue.
    pub category: Option<Slug>,
    /// Filters, prices, words, order, place and currency.
    pub listing: ListingQuery,
    /// Only what can be bought now.
    pub in_stock: bool,
    /// Products of a page: 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// The language of names.
    pub locale: Locale,
}

impl ProductsQuery {
    /// The kind of listing: its orders depend on it.
    #[must_use]
    pub const fn page(&self) -> ListingPage {
        if self.listing.search.is_some() {
            ListingPage::Search
        } else {
            ListingPage::Category
        }
    }

    /// What is left out, as the catalogue reads it.
    #[must_use]
    pub fn filters(&self) -> Filters {
        Filters {
            in_stock_only: self.in_stock,
            ..cards::filters(&self.listing)
        }
    }
}

impl Query for ProductsQuery {
    fn parse(query: &str, site: &Site) -> Result<Self, Problems> {
        let mut reader = Reader::new(query)?;
        let words = reader.words();
        let page = if words.is_some() {
            ListingPage::Search
        } else {
            ListingPage::Category
        };
        let rules = ListingRules {
            page,
            currencies: &site.currencies,
            default_currency: site.default_currency(),
        };
        let listing = match ListingQuery::parse(query, rules) {
            Ok(Parsed::Canonical(listing) | Parsed::Redirect(listing)) => listing,
            Err(problems) => {
                // Both read `q`: what is wrong with it is said once.
                reader.problems.retain(|known| !problems.contains(known));
                reader.problems.extend(problems);
                ListingQuery::empty(site.default_currency())
            }
        };
        let category = reader.take("category", |slug| {
            slug.parse::<Slug>()
                .map_err(|_| QueryProblem::value("category", "must be the slug of a category"))
        });
        let in_stock = reader.take("in_stock", |word| match word {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(QueryProblem::value("in_stock", "must be true or false")),
        });
        let limit = reader.limit(MAX_LIMIT);
        let locale = reader.locale(site);
        if page == ListingPage::Search && category.is_some() {
            let problem = "must not be given together with `q`: a search finds in all categories";
            reader
                .problems
                .push(QueryProblem::value("category", problem));
        }
        let parsed = Self {
            category,
            listing,
            in_stock: in_stock.unwrap_or(false),
            limit,
            locale,
        };
        if let Err(error) = parsed.filters().check() {
            let problem = QueryProblem::value("f.…", format!("are too many: {error}"));
            reader.problems.push(problem);
        }
        reader.finish(parsed)
    }

    fn to_query(&self, site: &Site) -> String {
        let listing = self.listing.to_query(self.page(), site.default_currency());
        let mut parts = Parts(
            listing
                .split('&')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
        );
        if let Some(category) = &self.category {
            parts = parts.with("category", category.as_str());
        }
        if self.in_stock {
            parts = parts.with("in_stock", "true");
        }
        parts
            .with_limit(self.limit)
            .with_locale(self.locale, site)
            .print()
    }
}
