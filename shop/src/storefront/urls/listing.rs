//! The query of a listing: filters, price range, order and place, as a type and as text.

use std::collections::{BTreeMap, BTreeSet};

use super::super::money::{Currency, Money};
use super::encode_component;
use super::query::{QueryProblem, currency, decode_value, join_sorted, pairs};

/// Most attributes that can be filtered by at once.
const MAX_FILTERED_ATTRIBUTES: usize = 8;
/// Most values of one attribute that can be chosen at once.
const MAX_VALUES: usize = 20;
/// Longest value of an attribute, in characters: what the catalogue's column holds.
const MAX_VALUE_CHARACTERS: usize = 190;
/// Longest code of an attribute: what the catalogue's column holds.
const MAX_CODE_BYTES: usize = 64;
/// Longest text that is searched for, in characters.
const MAX_SEARCH_CHARACTERS: usize = 100;
/// Longest cursor; ours are much shorter.
const MAX_CURSOR_BYTES: usize = 256;

/// The kind of page that shows a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingPage {
    /// The products of a category.
    Category,
    /// The results of a search.
    Search,
}

impl ListingPage {
    /// The order of the page when the address names none.
    #[must_use]
    pub const fn default_sort(self) -> Sort {
        match self {
            Self::Category => Sort::Featured,
            Self::Search => Sort::Relevance,
        }
    }

    /// The orders that the page offers, its default first.
    #[must_use]
    pub const fn sorts(self) -> &'static [Sort] {
        match self {
            Self::Category => &[
                Sort::Featured,
                Sort::Newest,
                Sort::PriceAscending,
                Sort::PriceDescending,
            ],
            Self::Search => &[
                Sort::Relevance,
                Sort::Newest,
                Sort::PriceAscending,
                Sort::PriceDescending,
            ],
        }
    }
}

/// An order of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// As the merchant arranged them; categories only.
    Featured,
    /// Best match first; searches only.
    Relevance,
    /// Latest published first.
    Newest,
    /// Lowest price first.
    PriceAscending,
    /// Highest price first.
    PriceDescending,
}

impl Sort {
    /// Its name in an address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Featured => "featured",
            Self::Relevance => "relevance",
            Self::Newest => "newest",
            Self::PriceAscending => "price_asc",
            Self::PriceDescending => "price_desc",
        }
    }
}

/// A place in a listing: an opaque text that the data layer made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The products that follow.
    After(String),
    /// The products that come before.
    Before(String),
}

/// What a listing shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingQuery {
    /// The text searched for; on a search page only.
    pub search: Option<String>,
    /// Chosen values by attribute code: values of one attribute widen, attributes narrow.
    pub filters: BTreeMap<String, BTreeSet<String>>,
    /// Lowest price, in `currency`.
    pub min_price: Option<Money>,
    /// Highest price, in `currency`.
    pub max_price: Option<Money>,
    /// The order; none is the default of the page.
    pub sort: Option<Sort>,
    /// The place; none is the beginning.
    pub cursor: Option<Cursor>,
    /// Currency of the prices.
    pub currency: Currency,
}

/// What an address may ask of a listing.
#[derive(Clone, Copy, Debug)]
pub struct ListingRules<'site> {
    /// The kind of page.
    pub page: ListingPage,
    /// The currencies on offer.
    pub currencies: &'site [Currency],
    /// The currency of an address that names none.
    pub default_currency: Currency,
}

/// A query that makes sense, and whether it was written canonically.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Show this.
    Canonical(ListingQuery),
    /// Redirect to the address of this.
    Redirect(ListingQuery),
}

impl ListingQuery {
    /// The beginning of everything.
    #[must_use]
    pub const fn empty(currency: Currency) -> Self {
        Self {
            search: None,
            filters: BTreeMap::new(),
            min_price: None,
            max_price: None,
            sort: None,
            cursor: None,
            currency,
        }
    }

    /// Reads a query string. Unknown parameters are left out, repeated filters are put together, of other repeated
    /// parameters the last one counts, empty ones (of a form that was not filled in) count as absent; in all these
    /// cases the answer is a redirect.
    ///
    /// # Errors
    /// Lists every parameter with a value that it cannot have.
    pub fn parse(query: &str, rules: ListingRules<'_>) -> Result<Parsed, Vec<QueryProblem>> {
        let mut reader = Reader::new(rules);
        for pair in pairs(query)? {
            reader.take(&pair.name, pair.raw_value);
        }
        let parsed = reader.finish()?;
        if parsed.to_query(rules.page, rules.default_currency) == query {
            Ok(Parsed::Canonical(parsed))
        } else {
            Ok(Parsed::Redirect(parsed))
        }
    }

    /// The canonical query string.
    #[must_use]
    pub fn to_query(&self, page: ListingPage, default_currency: Currency) -> String {
        let mut parts: Vec<String> = Vec::new();
        match &self.cursor {
            Some(Cursor::After(place)) => parts.push(format!("after={}", encode_component(place))),
            Some(Cursor::Before(place)) => {
                parts.push(format!("before={}", encode_component(place)))
            }
            None => {}
        }
        if self.currency != default_currency {
            parts.push(format!("currency={}", self.currency.as_str()));
        }
        for (code, values) in &self.filters {
            if !values.is_empty() {
                let values: Vec<String> =
                    values.iter().map(|value| encode_component(value)).collect();
                parts.push(format!("f.{}={}", encode_component(code), values.join(",")));
            }
        }
        if let Some(price) = self.max_price {
            parts.push(format!("max_price={}", price.url_decimal()));
        }
        if let Some(price) = self.min_price {
            parts.push(format!("min_price={}", price.url_decimal()));
        }
        if page == ListingPage::Search
            && let Some(words) = self
                .search
                .as_deref()
                .map(normalize_search)
                .filter(|words| !words.is_empty())
        {
            parts.push(format!("q={}", encode_component(&words)));
        }
        if let Some(sort) = self.sort.filter(|sort| *sort != page.default_sort()) {
            parts.push(format!("sort={}", sort.name()));
        }
        join_sorted(parts)
    }

    /// Whether something narrows the listing.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        !self.filters.is_empty() || self.min_price.is_some() || self.max_price.is_some()
    }

    /// Whether this value is chosen.
    #[must_use]
    pub fn has(&self, code: &str, value: &str) -> bool {
        self.filters
            .get(code)
            .is_some_and(|values| values.contains(value))
    }

    /// With this value chosen if it was not, and not chosen if it was. Begins at the beginning.
    #[must_use]
    pub fn toggled(&self, code: &str, value: &str) -> Self {
        let mut next = self.from_beginning();
        let values = next.filters.entry(code.to_owned()).or_default();
        if !values.remove(value) {
            values.insert(value.to_owned());
        }
        if values.is_empty() {
            next.filters.remove(code);
        }
        next
    }

    /// Without a price range. Begins at the beginning.
    #[must_use]
    pub fn without_price_range(&self) -> Self {
        Self {
            min_price: None,
            max_price: None,
            ..self.from_beginning()
        }
    }

    /// Without any filter, in the same order. Begins at the beginning.
    #[must_use]
    pub fn without_filters(&self) -> Self {
        Self {
            filters: BTreeMap::new(),
            ..self.without_price_range()
        }
    }

    /// In another order. Begins at the beginning.
    #[must_use]
    pub fn sorted_by(&self, page: ListingPage, sort: Sort) -> Self {
        Self {
            sort: (sort != page.default_sort()).then_some(sort),
            ..self.from_beginning()
        }
    }

    /// In another currency, from the beginning: a price range in the old one would mean something else, and so would
    /// the place in a listing ordered by price.
    #[must_use]
    pub fn in_currency(&self, currency: Currency) -> Self {
        if currency == self.currency {
            return self.clone();
        }
        Self {
            currency,
            ..self.without_price_range()
        }
    }

    /// In another currency at the same place. Only for a listing without a price range that is not ordered by price.
    #[must_use]
    pub(in super::super) fn in_currency_at_place(&self, currency: Currency) -> Self {
        Self {
            currency,
            ..self.clone()
        }
    }

    /// At another place.
    #[must_use]
    pub fn at(&self, cursor: Cursor) -> Self {
        Self {
            cursor: Some(cursor),
            ..self.clone()
        }
    }

    /// The first page of the same.
    #[must_use]
    pub fn from_beginning(&self) -> Self {
        Self {
            cursor: None,
            ..self.clone()
        }
    }
}

/// One space between words and none at the ends, so that a search has one address.
fn normalize_search(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Collects parameters and problems; prices wait for the currency, which may come later in an unsorted query.
struct Reader<'site> {
    rules: ListingRules<'site>,
    query: ListingQuery,
    min_price: Option<String>,
    max_price: Option<String>,
    problems: Vec<QueryProblem>,
}

impl<'site> Reader<'site> {
    const fn new(rules: ListingRules<'site>) -> Self {
        Self {
            rules,
            query: ListingQuery::empty(rules.default_currency),
            min_price: None,
            max_price: None,
            problems: Vec::new(),
        }
    }

    fn take(&mut self, name: &str, raw: &str) {
        if let Some(code) = name.strip_prefix("f.") {
            self.take_filter(name, code, raw);
            return;
        }
        if !matches!(
            name,
            "after" | "before" | "currency" | "max_price" | "min_price" | "q" | "sort"
        ) {
            return;
        }
        let value = match decode_value(name, raw) {
            Ok(value) if value.is_empty() => return,
            Ok(value) => value,
            Err(problem) => return self.problems.push(problem),
        };
        match name {
            "after" => self.take_cursor(name, Cursor::After(value)),
            "before" => self.take_cursor(name, Cursor::Before(value)),
            "currency" => match currency(&value, self.rules.currencies) {
                Ok(currency) => self.query.currency = currency,
                Err(problem) => self.problems.push(problem),
            },
            "max_price" => self.max_price = Some(value),
            "min_price" => self.min_price = Some(value),
            "q" if self.rules.page == ListingPage::Search => self.take_search(&value),
            "sort" => self.take_sort(&value),
            _ => {}
        }
    }

    fn take_filter(&mut self, name: &str, code: &str, raw: &str) {
        // No attribute can have such a code, so the parameter is an unknown one.
        let code_is_possible = !code.is_empty()
            && code.len() <= MAX_CODE_BYTES
            && code
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if !code_is_possible {
            return;
        }
        for raw_value in raw.split(',') {
            match decode_value(name, raw_value) {
                Ok(value) if value.is_empty() => {}
                Ok(value) if value.chars().count() > MAX_VALUE_CHARACTERS => {
                    let problem =
                        format!("must have values of at most {MAX_VALUE_CHARACTERS} characters");
                    self.problems.push(QueryProblem::value(name, problem));
                }
                Ok(value) => {
                    self.query
                        .filters
                        .entry(code.to_owned())
                        .or_default()
                        .insert(value);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn take_cursor(&mut self, name: &str, cursor: Cursor) {
        let (Cursor::After(place) | Cursor::Before(place)) = &cursor;
        let possible = place.len() <= MAX_CURSOR_BYTES
            && place
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !possible {
            self.problems.push(QueryProblem::value(
                name,
                "must be taken from a link of the listing",
            ));
            return;
        }
        let other_way = self.query.cursor.as_ref().is_some_and(|known| {
            matches!(
                (known, &cursor),
                (Cursor::After(_), Cursor::Before(_)) | (Cursor::Before(_), Cursor::After(_))
            )
        });
        if other_way {
            self.problems.push(QueryProblem::value(
                name,
                "must not be given together with its opposite",
            ));
        }
        self.query.cursor = Some(cursor);
    }

    fn take_search(&mut self, value: &str) {
        let words = normalize_search(value);
        if words.chars().count() > MAX_SEARCH_CHARACTERS {
            let problem = format!("must have at most {MAX_SEARCH_CHARACTERS} characters");
            self.problems.push(QueryProblem::value("q", problem));
            return;
        }
        self.query.search = Some(words);
    }

    fn take_sort(&mut self, value: &str) {
        let page = self.rules.page;
        match page
            .sorts()
            .iter()
            .copied()
            .find(|sort| sort.name() == value)
        {
            Some(sort) => self.query.sort = (sort != page.default_sort()).then_some(sort),
            None => {
                let names: Vec<&str> = page.sorts().iter().copied().map(Sort::name).collect();
                self.problems.push(QueryProblem::value(
                    "sort",
                    format!("must be one of {}", names.join(", ")),
                ));
            }
        }
    }

    fn price(&mut self, name: &str, text: Option<String>) -> Option<Money> {
        match Money::parse_decimal(&text?, self.query.currency) {
            Ok(price) => Some(price),
            Err(problem) => {
                self.problems
                    .push(QueryProblem::value(name, problem.to_string()));
                None
            }
        }
    }

    fn finish(mut self) -> Result<ListingQuery, Vec<QueryProblem>> {
        let (min_price, max_price) = (self.min_price.take(), self.max_price.take());
        self.query.min_price = self.price("min_price", min_price);
        self.query.max_price = self.price("max_price", max_price);
        if let (Some(low), Some(high)) = (self.query.min_price, self.query.max_price)
            && low.minor > high.minor
        {
            self.problems.push(QueryProblem::value(
                "min_price",
                "must not be above `max_price`",
            ));
        }
        if self.query.filters.len() > MAX_FILTERED_ATTRIBUTES {
            let problem =
                format!("may be given for at most {MAX_FILTERED_ATTRIBUTES} attributes at once");
            self.problems.push(QueryProblem::value("f.…", problem));
        }
        for (code, values) in &self.query.filters {
            if values.len() > MAX_VALUES {
                let problem = format!("may have at most {MAX_VALUES} values at once");
                self.problems
                    .push(QueryProblem::value(&format!("f.{code}"), problem));
            }
        }
        if self.problems.is_empty() {
            Ok(self.query)
        } else {
            Err(self.problems)
        }
    }
}

#[cfg(test)]
mod tests;
