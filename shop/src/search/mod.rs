//! Full-text search of the catalogue.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use sqlx::MySqlConnection;
use time::OffsetDateTime;
use xxhash_rust::xxh3::Xxh3;

use crate::catalog::index::WHOLE_CATALOGUE;
use crate::catalog::json_list;
use crate::catalog::listing::{
    Card, CountedValue, Cursor, Facet, Filters, ListingError, MAX_LIMIT, Start, Total, facets,
    hash_text,
};
use crate::catalog::model::{AvailabilityBand, Currency, Locale, Money};
use crate::catalog::store_listing::{cards_of, chosen, valid_until, values};
use query::ParsedQuery;
use store::Hit;

pub mod document;
pub mod plan;
pub mod query;
pub mod spelling;
pub mod store;

/// Best hits that a search looks at.
pub const MAX_HITS: u32 = 1_000;
/// Suggestions given at once.
pub const MAX_SUGGESTIONS: u32 = 10;

/// An order of what is found. Of more than [`MAX_HITS`] hits the best are put in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// The best match first.
    #[default]
    Relevance,
    /// The latest published first.
    Newest,
    /// The lowest price first.
    PriceAscending,
    /// The highest price first.
    PriceDescending,
}

impl Sort {
    const fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Newest => "newest",
            Self::PriceAscending => "price_asc",
            Self::PriceDescending => "price_desc",
        }
    }
}

/// A request for a page of what is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// What the shopper typed.
    pub text: String,
    /// The currency of prices. Products without a price in it are not found.
    pub currency: Currency,
    /// The language that is searched and answered in.
    pub locale: Locale,
    /// What is left out.
    pub filters: Filters,
    /// The order.
    pub sort: Sort,
    /// Where the page begins.
    pub start: Start,
    /// Cards wanted: 1 to [`MAX_LIMIT`].
    pub limit: u32,
}

impl SearchQuery {
    fn fingerprint(&self) -> u64 {
        let mut hasher = Xxh3::new();
        hash_text(&mut hasher, "search");
        hash_text(&mut hasher, &self.text);
        hash_text(&mut hasher, self.currency.as_str());
        hash_text(&mut hasher, self.locale.as_str());
        self.filters.hash(&mut hasher);
        hash_text(&mut hasher, self.sort.name());
        hasher.digest()
    }
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchPage {
    /// The cards in their order.
    pub items: Vec<Card>,
    /// The cursor for [`Start::After`] of the next page, where there is one.
    pub next: Option<String>,
    /// The cursor for [`Start::Before`] of the previous page, where there is one.
    pub previous: Option<String>,
    /// Found products that pass all filters; `more` where there were more than [`MAX_HITS`] before filtering.
    pub total: Total,
    /// What the hits can be filtered by.
    pub facets: Vec<Facet>,
    /// The lowest and highest price among the hits, whatever the filters.
    pub price_bounds: Option<(Money, Money)>,
    /// The next scheduled change of a price or publication that would alter this page.
    pub valid_until: Option<OffsetDateTime>,
}

/// What a suggestion leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuggestionKind {
    /// A product's page.
    Product,
    /// A category's page.
    Category,
    /// The products of a brand.
    Brand,
}

/// A completion of what a shopper is typing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What it leads to.
    pub kind: SuggestionKind,
    /// The name of that.
    pub text: String,
    /// The slug of that.
    pub slug: String,
}

/// Why nothing can be searched for.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// No letter or digit in it.
    #[error("the search is empty: type at least one letter or digit")]
    Empty,
    /// Too long.
    #[error(
        "the search is longer than {} characters: shorten it",
        query::MAX_CHARACTERS
    )]
    TooLong,
    /// Something besides the text is wrong.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// The database failed.
    #[error("failed to search")]
    Database(#[from] sqlx::Error),
}

/// What a provider answers with. The connection reads the catalogue, whatever finds the products.
pub type Found<'a, T> = Pin<Box<dyn Future<Output = Result<T, SearchError>> + Send + 'a>>;

/// Something that finds products by their text.
pub trait SearchProvider: Send + Sync {
    /// A page of the products that a text finds.
    fn search<'a>(
        &'a self,
        connection: &'a mut MySqlConnection,
        query: &'a SearchQuery,
        now: OffsetDateTime,
    ) -> Found<'a, SearchPage>;

    /// At most [`MAX_SUGGESTIONS`] names that begin with what a shopper has typed so far.
    fn suggest<'a>(
        &'a self,
        connection: &'a mut MySqlConnection,
        text: &'a str,
        currency: Currency,
        locale: &'a Locale,
    ) -> Found<'a, Vec<Suggestion>>;
}

/// Search by the full-text indexes of MySQL.
#[derive(Debug, Clone)]
pub struct MysqlSearch {
    /// The shop's locales, the default one first: those that [`crate::catalog::index::reindex`] makes documents for.
    locales: Vec<Locale>,
    common_from: i64,
}

impl MysqlSearch {
    /// Search in these locales, of which the first is the default one.
    #[must_use]
    pub fn new(locales: Vec<Locale>) -> Self {
        Self {
            locales,
            common_from: plan::COMMON_FROM,
        }
    }

    /// The same, but words that are in many of at least so many documents are searched for in another way, and not of
    /// [`plan::COMMON_FROM`].
    #[must_use]
    pub const fn common_from(mut self, documents: i64) -> Self {
        self.common_from = documents;
        self
    }

    fn default_locale<'a>(&'a self, locale: &'a Locale) -> &'a Locale {
        self.locales.first().unwrap_or(locale)
    }

    /// Documents of which a search looks at the best: of each product there is one for each language, and some products are not sold
    /// in the currency.
    fn candidates(&self) -> u32 {
        let locales = u32::try_from(self.locales.len()).unwrap_or(u32::MAX);
        (MAX_HITS * 2).saturating_mul(locales.clamp(1, 5))
    }

    async fn find(
        &self,
        connection: &mut MySqlConnection,
        query: &SearchQuery,
        now: OffsetDateTime,
    ) -> Result<SearchPage, SearchError> {
        if !(1..=MAX_LIMIT).contains(&query.limit) {
            return Err(ListingError::Limit.into());
        }
        query.filters.check()?;
        let fingerprint = query.fingerprint();
        let cursor = match &query.start {
            Start::First => None,
            Start::After(cursor) | Start::Before(cursor) => {
                Some(Cursor::decode(cursor, fingerprint)?)
            }
        };
        let parsed = ParsedQuery::parse(&query.text, &query.locale, &self.locales)?;
        let limit = usize::try_from(MAX_HITS).unwrap_or(usize::MAX);
        let found = store::hits(
            connection,
            &parsed,
            query.currency,
            limit,
            self.candidates(),
            self.common_from,
        )
        .await?;
        let (hits, cut) = (found.best, found.more);
        let prices = hits.iter().map(|hit| hit.price);
        let price_bounds = prices.clone().min().zip(prices.max());

        let (mut passing, facets) = filter(connection, query, &hits).await?;
        passing.sort_by_key(|hit| (hit.place(query.sort), hit.product_id));
        let page = Page::of(&passing, cursor, query);
        let default_locale = self.default_locale(&query.locale);
        let ids: Vec<i64> = page.hits.iter().map(|hit| hit.product_id).collect();
        let items = cards_of(
            connection,
            query.currency,
            query.locale.as_str(),
            default_locale.as_str(),
            &ids,
        )
        .await?;
        let valid_until =
            valid_until(connection, WHOLE_CATALOGUE, query.currency, &items, now).await?;
        let cursor_of = |hit: &Hit| {
            Cursor {
                key: hit.place(query.sort),
                id: hit.product_id,
            }
            .encode(fingerprint)
        };
        let bound = |minor| Money::new(minor, query.currency);
        Ok(SearchPage {
            items,
            next: page.hits.last().filter(|_| page.has_next).map(cursor_of),
            previous: page
                .hits
                .first()
                .filter(|_| page.has_previous)
                .map(cursor_of),
            total: Total {
                count: i64::try_from(passing.len()).unwrap_or(i64::MAX),
                more: cut,
            },
            facets,
            price_bounds: price_bounds.map(|(lowest, highest)| (bound(lowest), bound(highest))),
            valid_until,
        })
    }

    async fn complete(
        &self,
        connection: &mut MySqlConnection,
        text: &str,
        currency: Currency,
        locale: &Locale,
    ) -> Result<Vec<Suggestion>, SearchError> {
        let parsed = match ParsedQuery::parse(text, locale, &self.locales) {
            // Whoever types has not typed yet, or pastes: there is nothing to complete, and nothing wrong.
            Err(SearchError::Empty | SearchError::TooLong) => return Ok(Vec::new()),
            parsed => parsed?,
        };
        let default_locale = self.default_locale(locale);
        store::suggestions(
            connection,
            &parsed,
            text,
            currency,
            locale,
            default_locale,
            self.common_from,
        )
        .await
    }
}

impl SearchProvider for MysqlSearch {
    fn search<'a>(
        &'a self,
        connection: &'a mut MySqlConnection,
        query: &'a SearchQuery,
        now: OffsetDateTime,
    ) -> Found<'a, SearchPage> {
        Box::pin(self.find(connection, query, now))
    }

    fn suggest<'a>(
        &'a self,
        connection: &'a mut MySqlConnection,
        text: &'a str,
        currency: Currency,
        locale: &'a Locale,
    ) -> Found<'a, Vec<Suggestion>> {
        Box::pin(self.complete(connection, text, currency, locale))
    }
}

/// The hits that pass the filters, and what they can be filtered by.
async fn filter(
    connection: &mut MySqlConnection,
    query: &SearchQuery,
    hits: &[Hit],
) -> Result<(Vec<Hit>, Vec<Facet>), SearchError> {
    let filters = &query.filters;
    let chosen = chosen(connection, filters, WHOLE_CATALOGUE, &query.locale).await?;
    let bits: HashMap<i64, i64> = chosen
        .values
        .iter()
        .map(|value| (value.value_id, value.bit))
        .collect();
    let (lowest, highest) = filters.prices();
    let sold: Vec<&Hit> = hits
        .iter()
        .filter(|hit| (lowest..=highest).contains(&hit.price))
        .filter(|hit| !filters.in_stock_only || hit.band != AvailabilityBand::Out)
        .collect();
    let ids: Vec<i64> = sold.iter().map(|hit| hit.product_id).collect();
    let mut values_of: HashMap<i64, Vec<i64>> = HashMap::new();
    for (product, value) in store::hit_values(connection, &json_list(&ids)?).await? {
        values_of.entry(product).or_default().push(value);
    }
    let mut counted: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    let mut passing = Vec::new();
    for hit in sold {
        let own = values_of
            .get(&hit.product_id)
            .map_or(&[][..], Vec::as_slice);
        let mask = own
            .iter()
            .filter_map(|value| bits.get(value))
            .fold(0, |mask, bit| mask | bit);
        if mask == chosen.mask {
            passing.push(hit.clone());
        }
        for &value in own {
            *counted.entry((value, mask)).or_default() += 1;
        }
    }
    let mut ids: Vec<i64> = counted.keys().map(|(value, _)| *value).collect();
    ids.dedup();
    let names: HashMap<i64, CountedValue> = values(connection, &query.locale, &ids)
        .await?
        .into_iter()
        .map(|value| (value.value_id, value))
        .collect();
    let counted = counted
        .into_iter()
        .filter_map(|((value, mask), products)| {
            Some(CountedValue {
                mask,
                products,
                ..names.get(&value)?.clone()
            })
        })
        .collect();
    Ok((passing, facets(counted, &chosen.values, chosen.mask)))
}

/// The part of the hits that a page shows.
struct Page<'a> {
    hits: &'a [Hit],
    has_previous: bool,
    has_next: bool,
}

impl<'a> Page<'a> {
    /// `hits` are in the order of the query, then of ids.
    fn of(hits: &'a [Hit], cursor: Option<Cursor>, query: &SearchQuery) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let place = |hit: &Hit| (hit.place(query.sort), hit.product_id);
        let at = |cursor: Cursor| (cursor.key, cursor.id);
        let (begin, end) = match (&query.start, cursor) {
            (Start::After(_), Some(cursor)) => {
                let begin = hits.partition_point(|hit| place(hit) <= at(cursor));
                (begin, begin.saturating_add(limit))
            }
            (Start::Before(_), Some(cursor)) => {
                let end = hits.partition_point(|hit| place(hit) < at(cursor));
                (end.saturating_sub(limit), end)
            }
            _ => (0, limit),
        };
        let end = end.min(hits.len());
        Self {
            hits: hits.get(begin..end).unwrap_or_default(),
            has_previous: begin > 0,
            has_next: end < hits.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits() -> Vec<Hit> {
        // Two ties among seven.
        [
            (1, 9.0),
            (2, 5.0),
            (3, 5.0),
            (4, 5.0),
            (5, 0.5),
            (6, 0.5),
            (7, 0.0),
        ]
        .into_iter()
        .map(|(product_id, score)| Hit {
            product_id,
            score,
            price: 1,
            published_at: 1,
            band: AvailabilityBand::InStock,
        })
        .collect()
    }

    fn ids(page: &Page<'_>) -> Vec<i64> {
        page.hits.iter().map(|hit| hit.product_id).collect()
    }

    #[test]
    fn pages_follow_each_other_both_ways() {
        let hits = hits();
        let mut query = SearchQuery {
            text: "x".into(),
            currency: "EUR".parse().unwrap(),
            locale: "en".parse().unwrap(),
            filters: Filters::default(),
            sort: Sort::Relevance,
            start: Start::First,
            limit: 3,
        };
        let cursor = |hit: &Hit| Cursor {
            key: hit.place(Sort::Relevance),
            id: hit.product_id,
        };
        let first = Page::of(&hits, None, &query);
        assert_eq!(
            (ids(&first), first.has_previous, first.has_next),
            (vec![1, 2, 3], false, true)
        );
        query.start = Start::After(String::new());
        let second = Page::of(&hits, Some(cursor(&hits[2])), &query);
        assert_eq!(
            (ids(&second), second.has_previous, second.has_next),
            (vec![4, 5, 6], true, true)
        );
        let third = Page::of(&hits, Some(cursor(&hits[5])), &query);
        assert_eq!(
            (ids(&third), third.has_previous, third.has_next),
            (vec![7], true, false)
        );
        query.start = Start::Before(String::new());
        let back = Page::of(&hits, Some(cursor(&hits[6])), &query);
        assert_eq!(
            (ids(&back), back.has_previous, back.has_next),
            (vec![4, 5, 6], true, true)
        );
    }
}
