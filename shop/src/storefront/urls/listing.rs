//! The query of a listing: filters, price range, order and place, as a type and as text.

use std::collections::{BTreeMap, BTreeSet};

use super::super::money::{Currency, Money};
use super::encode_component;
use super::query::{QueryProblem, currency, decode_value, pairs};

/// Most attributes that can be filtered by at once.
const MAX_FILTERED_ATTRIBUTES: usize = 10;
/// Most values of one attribute that can be chosen at once.
const MAX_VALUES: usize = 20;
/// Longest value of an attribute, in characters: what the catalogue's column holds.
const MAX_VALUE_CHARACTERS: usize = 190;
/// Longest code of an attribute: what the catalogue's column holds.
const MAX_CODE_BYTES: usize = 64;
/// Longest text that is searched for, in characters.
const MAX_SEARCH_CHARACTERS: usize = 200;
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
    pub const fn sorts(self) -> [Sort; 4] {
        [
            self.default_sort(),
            Sort::Newest,
            Sort::PriceAscending,
            Sort::PriceDescending,
        ]
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
            parts.push(format!("currency={}", self.currency.code()));
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
        parts.join("&")
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
        match page.sorts().into_iter().find(|sort| sort.name() == value) {
            Some(sort) => self.query.sort = (sort != page.default_sort()).then_some(sort),
            None => {
                let names: Vec<&str> = page.sorts().into_iter().map(Sort::name).collect();
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
                self.problems.push(QueryProblem::value(name, problem));
                None
            }
        }
    }

    fn finish(mut self) -> Result<ListingQuery, Vec<QueryProblem>> {
        let (min_price, max_price) = (self.min_price.take(), self.max_price.take());
        self.query.min_price = self.price("min_price", min_price);
        self.query.max_price = self.price("max_price", max_price);
        if let (Some(low), Some(high)) = (self.query.min_price, self.query.max_price)
            && low.amount_minor > high.amount_minor
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFERED: &[Currency] = &[Currency::EUR, Currency::USD, Currency::JPY];
    const CATEGORY: ListingRules<'_> = ListingRules {
        page: ListingPage::Category,
        currencies: OFFERED,
        default_currency: Currency::EUR,
    };
    const SEARCH: ListingRules<'_> = ListingRules {
        page: ListingPage::Search,
        ..CATEGORY
    };

    fn redirect(query: &str, rules: ListingRules<'_>) -> String {
        match ListingQuery::parse(query, rules).unwrap() {
            Parsed::Canonical(_) => query.to_owned(),
            Parsed::Redirect(parsed) => parsed.to_query(rules.page, rules.default_currency),
        }
    }

    #[test]
    fn every_spelling_leads_to_one_address() {
        let table = [
            ("", ""),
            ("f.color=blue,red", "f.color=blue,red"),
            // Order of parameters and of values, repetition, form fields left empty.
            ("sort=newest&f.color=blue", "f.color=blue&sort=newest"),
            ("f.color=red,blue", "f.color=blue,red"),
            ("f.color=red&f.color=blue&f.color=red", "f.color=blue,red"),
            ("f.color=&max_price=&min_price=&sort=&after=", ""),
            ("f.color=,,", ""),
            // Unknown parameters, and the parameter of another page.
            ("utm_source=mail&gclid=1&q=mug", ""),
            ("f.=x&f.%3Cb%3E=x", ""),
            // Defaults.
            ("sort=featured&currency=EUR", ""),
            ("sort=newest&sort=price_asc", "sort=price_asc"),
            // Prices.
            (
                "min_price=019.9&max_price=20.00",
                "max_price=20&min_price=19.90",
            ),
            ("min_price=500&currency=JPY", "currency=JPY&min_price=500"),
            // Encodings of one text.
            ("f.size=10%20cm", "f.size=10+cm"),
            ("f.size=10+cm", "f.size=10+cm"),
            ("f.size=%31%30", "f.size=10"),
            ("f.name=a%2Cb", "f.name=a%2Cb"),
            ("f%2Ecolor=blue", "f.color=blue"),
            ("f.farbe=gr%c3%bcn", "f.farbe=gr%C3%BCn"),
            ("&&f.color=blue&", "f.color=blue"),
        ];
        for (given, expected) in table {
            assert_eq!(redirect(given, CATEGORY), expected, "{given}");
        }
        assert_eq!(redirect("q=++stone+++mug+", SEARCH), "q=stone+mug");
        assert_eq!(
            redirect("sort=relevance&q=mug&f.color=red", SEARCH),
            "f.color=red&q=mug"
        );
    }

    #[test]
    fn bad_values_are_all_named() {
        let query = "min_price=cheap&max_price=1.234&sort=best&currency=XYZ&after=%00&before=<>";
        let problems = ListingQuery::parse(query, CATEGORY).unwrap_err();
        let mut texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        texts.sort();
        assert_eq!(
            texts,
            [
                "`after` must be plain text in UTF-8",
                "`before` must be taken from a link of the listing",
                "`currency` must be one of EUR, USD, JPY",
                "`max_price` must not have more than 2 decimals",
                "`min_price` must be a number such as 20 or 19.90",
                "`sort` must be one of featured, newest, price_asc, price_desc",
            ]
        );
    }

    #[test]
    fn contradictions_and_excess_are_refused() {
        for query in ["after=a&before=b", "min_price=20&max_price=10"] {
            assert!(ListingQuery::parse(query, CATEGORY).is_err(), "{query}");
        }
        let many_values: Vec<String> = (0..=MAX_VALUES).map(|number| number.to_string()).collect();
        assert!(ListingQuery::parse(&format!("f.a={}", many_values.join(",")), CATEGORY).is_err());
        let many_attributes: Vec<String> = (0..=MAX_FILTERED_ATTRIBUTES)
            .map(|number| format!("f.a{number}=1"))
            .collect();
        assert!(ListingQuery::parse(&many_attributes.join("&"), CATEGORY).is_err());
        assert!(
            ListingQuery::parse(
                &format!("f.a={}", "x".repeat(MAX_VALUE_CHARACTERS + 1)),
                CATEGORY
            )
            .is_err()
        );
        assert!(
            ListingQuery::parse(
                &format!("q={}", "x".repeat(MAX_SEARCH_CHARACTERS + 1)),
                SEARCH
            )
            .is_err()
        );
    }

    #[test]
    fn a_change_of_the_listing_begins_at_its_beginning() {
        let Parsed::Canonical(query) =
            ListingQuery::parse("after=abc&f.color=blue&max_price=20&sort=newest", CATEGORY)
                .unwrap()
        else {
            panic!("is canonical")
        };
        let text = |query: &ListingQuery| query.to_query(ListingPage::Category, Currency::EUR);
        assert_eq!(
            text(&query.toggled("color", "red")),
            "f.color=blue,red&max_price=20&sort=newest"
        );
        assert_eq!(
            text(&query.toggled("color", "blue")),
            "max_price=20&sort=newest"
        );
        assert_eq!(text(&query.without_filters()), "sort=newest");
        assert_eq!(
            text(&query.sorted_by(ListingPage::Category, Sort::Featured)),
            "f.color=blue&max_price=20"
        );
        assert_eq!(
            text(&query.in_currency(Currency::USD)),
            "currency=USD&f.color=blue&sort=newest"
        );
        assert_eq!(text(&query.in_currency(Currency::EUR)), text(&query));
        assert_eq!(
            text(&query.at(Cursor::Before("x".to_owned()))),
            "before=x&f.color=blue&max_price=20&sort=newest"
        );
    }

    fn any_query(page: ListingPage) -> impl Strategy<Value = ListingQuery> {
        let values =
            prop::collection::btree_set("[^\\p{Cc}\\s]([^\\p{Cc}]{0,10}[^\\p{Cc}\\s])?", 1..4);
        let filters = prop::collection::btree_map("[a-z][a-z0-9_.-]{0,10}", values, 0..4);
        let cursor = prop::option::of(("[A-Za-z0-9_-]{1,20}", any::<bool>()).prop_map(
            |(place, forward)| {
                if forward {
                    Cursor::After(place)
                } else {
                    Cursor::Before(place)
                }
            },
        ));
        let sort = prop::sample::select(page.sorts().to_vec());
        let search = prop::option::of("[^\\p{Cc}\\s]{1,8}( [^\\p{Cc}\\s]{1,8}){0,2}");
        let currency = prop::sample::select(OFFERED.to_vec());
        let prices = (
            prop::option::of(0..10_000_i64),
            prop::option::of(10_000..99_999_i64),
        );
        (filters, cursor, sort, search, currency, prices).prop_map(
            move |(filters, cursor, sort, search, currency, (low, high))| ListingQuery {
                search: search.filter(|_| page == ListingPage::Search),
                filters,
                min_price: low.map(|amount| Money::new(amount, currency)),
                max_price: high.map(|amount| Money::new(amount, currency)),
                sort: (sort != page.default_sort()).then_some(sort),
                cursor,
                currency,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(query in any_query(ListingPage::Search)) {
            let text = query.to_query(ListingPage::Search, Currency::EUR);
            prop_assume!(text.len() <= 2_048);
            prop_assert_eq!(ListingQuery::parse(&text, SEARCH), Ok(Parsed::Canonical(query)));
        }

        #[test]
        fn a_redirect_leads_to_an_address_that_is_not_redirected(
            text in "((after|before|currency|f\\.[a-z]{1,3}|max_price|min_price|q|sort|[a-z]{1,3})=[a-zA-Z0-9%+,. =é]{0,8}&?){0,6}"
        ) {
            if let Ok(Parsed::Redirect(query)) = ListingQuery::parse(&text, CATEGORY) {
                let target = query.to_query(ListingPage::Category, Currency::EUR);
                prop_assert_eq!(ListingQuery::parse(&target, CATEGORY), Ok(Parsed::Canonical(query)));
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            if let Ok(Parsed::Redirect(query)) = ListingQuery::parse(&text, SEARCH) {
                let target = query.to_query(ListingPage::Search, Currency::EUR);
                if target.len() <= 2_048 {
                    prop_assert_eq!(ListingQuery::parse(&target, SEARCH), Ok(Parsed::Canonical(query)));
                }
            }
        }
    }
}
