//! The SQL of listings. No statement sorts or counts more than a fixed number of products: while few pass the filters
//! those are found first and sorted; where many do, the order's index is walked until the page is full.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use time::OffsetDateTime;
use time::macros::datetime;

use super::identifier::Locale;
use super::json_list;
use super::listing::{
    Brand, Card, CountedValue, Cursor, FACET_CAP, Filters, Image, ListingError, ListingPage,
    ListingQuery, Selected, Sort, Start, TOTAL_CAP, Total, facets, instant_of,
};
use super::model::AvailabilityBand;
use super::money::{Currency, Money};
use super::product::MAX_RELATED;
pub use super::store_listing_sql::STATEMENTS;
use super::store_listing_sql::{
    CARDS_OF, FACETS, FACETS_FILTERED, FACETS_RESTRICTED, FIND_FILTERED_POSITION,
    FIND_FILTERED_POSITION_BACK, FIND_FILTERED_PRICE, FIND_FILTERED_PRICE_BACK,
    FIND_FILTERED_PUBLISHED, FIND_FILTERED_PUBLISHED_BACK, FIND_PRICED_POSITION,
    FIND_PRICED_POSITION_BACK, FIND_PRICED_PUBLISHED, FIND_PRICED_PUBLISHED_BACK, RELATED,
    SELECTED, TOTAL, TOTAL_FILTERED, VALID_UNTIL, VALUES, WALK_FILTERED_POSITION,
    WALK_FILTERED_POSITION_BACK, WALK_FILTERED_PRICE, WALK_FILTERED_PRICE_BACK,
    WALK_FILTERED_PUBLISHED, WALK_FILTERED_PUBLISHED_BACK, WALK_POSITION, WALK_POSITION_BACK,
    WALK_PRICE, WALK_PRICE_BACK, WALK_PUBLISHED, WALK_PUBLISHED_BACK,
};

#[derive(Debug, sqlx::FromRow)]
struct CardRow {
    product_id: i64,
    slug: String,
    name: String,
    brand_name: Option<String>,
    brand_slug: Option<String>,
    price: i64,
    price_max: i64,
    compare_at: Option<i64>,
    band: String,
    published_at: OffsetDateTime,
    position: i64,
    hash: Option<String>,
    alt: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
}

impl CardRow {
    fn card(self, currency: Currency) -> Result<Card, sqlx::Error> {
        let image = match (self.hash, self.width, self.height) {
            (Some(hash), Some(width), Some(height)) => Some(Image {
                hash,
                alt: self.alt.unwrap_or_default(),
                width,
                height,
            }),
            _ => None,
        };
        Ok(Card {
            product_id: self.product_id,
            slug: self
                .slug
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            name: self.name,
            brand: self
                .brand_name
                .zip(self.brand_slug)
                .map(|(name, slug)| Brand { name, slug }),
            price: Money::new(self.price, currency),
            price_max: Money::new(self.price_max, currency),
            compare_at: self.compare_at.map(|amount| Money::new(amount, currency)),
            band: AvailabilityBand::from_word(&self.band).unwrap_or(AvailabilityBand::Out),
            published_at: self.published_at,
            image,
            position: self.position,
        })
    }
}

/// Filters of attributes as statements take them.
pub(crate) struct Chosen {
    pub(crate) values: Vec<Selected>,
    /// `[[value, bit], …]`.
    list: String,
    /// All bits that a product must have.
    pub(crate) mask: i64,
    attributes: usize,
    /// Not more products than this can have one of the values, where it is known.
    at_most: Option<i64>,
}

/// A page of a category or of the whole catalogue.
///
/// # Errors
/// [`ListingError`] tells what is wrong with the query.
pub async fn listing_page(
    connection: &mut MySqlConnection,
    query: &ListingQuery,
    now: OffsetDateTime,
) -> Result<ListingPage, ListingError> {
    let cursor = query.check()?;
    let chosen = chosen(connection, &query.filters, query.category, &query.locale).await?;
    let (counted, lowest, highest) = total(connection, query, &chosen).await?;
    let total = Total::capped(counted, TOTAL_CAP);
    let mut items = page(connection, query, &chosen, cursor, total).await?;

    let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let beyond = items.len() > wanted;
    items.truncate(wanted);
    let back = matches!(query.start, Start::Before(_));
    if back {
        items.reverse();
    }
    let (has_previous, has_next) = match query.start {
        Start::First => (false, beyond),
        Start::After(_) => (true, beyond),
        Start::Before(_) => (beyond, true),
    };
    let given = match &query.start {
        Start::First => None,
        Start::After(cursor) | Start::Before(cursor) => Some(cursor.clone()),
    };
    // A page beyond the end still leads back to where it was asked from.
    let next = items
        .last()
        .map(|card| query.cursor(card))
        .or_else(|| given.clone());
    let previous = items.first().map(|card| query.cursor(card)).or(given);

    let (facets, facets_exact) = facets_of(connection, query, &chosen, total).await?;
    let valid_until = valid_until(connection, query.category, query.currency, &items, now).await?;
    let bound = |minor| Money::new(minor, query.currency);
    Ok(ListingPage {
        next: next.filter(|_| has_next),
        previous: previous.filter(|_| has_previous),
        items,
        total,
        facets,
        facets_exact,
        price_bounds: lowest
            .zip(highest)
            .map(|(lowest, highest)| (bound(lowest), bound(highest))),
        valid_until,
    })
}

/// The first cards of a listing, without counting anything, and when a scheduled change will alter them.
///
/// # Errors
/// As of [`listing_page`]; the query's filters and start are ignored.
pub async fn first_cards(
    connection: &mut MySqlConnection,
    query: &ListingQuery,
    now: OffsetDateTime,
) -> Result<(Vec<Card>, Option<OffsetDateTime>), ListingError> {
    query.check()?;
    let chosen = chosen(
        connection,
        &Filters::default(),
        query.category,
        &query.locale,
    )
    .await?;
    let unlimited = Total::capped(0, TOTAL_CAP);
    let mut items = page(connection, query, &chosen, None, unlimited).await?;
    items.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
    let valid_until = valid_until(connection, query.category, query.currency, &items, now).await?;
    Ok((items, valid_until))
}

/// Finds the values that are filtered by. One that does not exist matches nothing.
pub(crate) async fn chosen(
    connection: &mut MySqlConnection,
    filters: &Filters,
    category: i64,
    locale: &Locale,
) -> Result<Chosen, sqlx::Error> {
    let attributes = &filters.attributes;
    let bits: BTreeMap<&str, i64> = attributes
        .keys()
        .zip(0u32..)
        .map(|(code, number)| (code.as_str(), 1 << number))
        .collect();
    let mut values = Vec::new();
    let mut at_most = None;
    if !attributes.is_empty() {
        let pairs: Vec<(&str, &str)> = attributes
            .iter()
            .flat_map(|(code, values)| values.iter().map(|value| (code.as_str(), value.as_str())))
            .collect();
        let rows: Vec<CountedValue> = sqlx::query_as(SELECTED)
            .bind(json_list(&pairs)?)
            .bind(category)
            .bind(locale.as_str())
            .bind(locale.as_str())
            .fetch_all(connection)
            .await?;
        let kept: i64 = rows.iter().map(|row| row.products).sum();
        at_most = (kept > 0).then_some(kept);
        for row in rows {
            let bit = bits.get(row.code.as_str()).copied().unwrap_or_default();
            let (value_id, label) = (row.value_id, CountedValue { products: 0, ..row });
            values.push(Selected {
                value_id,
                bit,
                label,
            });
        }
    }
    let list: Vec<(i64, i64)> = values
        .iter()
        .map(|value| (value.value_id, value.bit))
        .collect();
    let mask = bits.values().fold(0, |mask, bit| mask | bit);
    Ok(Chosen {
        values,
        list: json_list(&list)?,
        mask,
        attributes: attributes.len(),
        at_most,
    })
}

async fn total(
    connection: &mut MySqlConnection,
    query: &ListingQuery,
    chosen: &Chosen,
) -> Result<(i64, Option<i64>, Option<i64>), sqlx::Error> {
    let (lowest, highest) = query.filters.prices();
    let (category, currency) = (query.category, query.currency.as_str());
    let statement = if chosen.attributes == 0 {
        TOTAL
    } else {
        TOTAL_FILTERED
    };
    let mut total = sqlx::query_as(statement)
        .bind(category)
        .bind(currency)
        .bind(category)
        .bind(currency);
    if chosen.attributes > 0 {
        total = total.bind(&chosen.list).bind(category).bind(chosen.mask);
    }
    total
        .bind(category)
        .bind(currency)
        .bind(lowest)
        .bind(highest)
        .bind(!query.filters.in_stock_only)
        .bind(TOTAL_CAP + 1)
        .fetch_one(connection)
        .await
}

/// How a page finds its products.
#[derive(Clone, Copy)]
enum Access {
    Walk,
    WalkFiltered,
    FindFiltered,
    FindPriced,
}

/// The statement of an order, and whether it goes up.
fn statement(sort: Sort, back: bool, access: Access) -> (&'static str, bool) {
    let ascending = matches!(sort, Sort::Position | Sort::PriceAscending) != back;
    let of = |up: &'static str, down: &'static str| if ascending { up } else { down };
    let statement = match (access, sort) {
        (Access::Walk, Sort::Position) => of(WALK_POSITION, WALK_POSITION_BACK),
        (Access::Walk, Sort::Newest) => of(WALK_PUBLISHED, WALK_PUBLISHED_BACK),
        (Access::Walk | Access::FindPriced, Sort::PriceAscending | Sort::PriceDescending) => {
            of(WALK_PRICE, WALK_PRICE_BACK)
        }
        (Access::WalkFiltered, Sort::Position) => {
            of(WALK_FILTERED_POSITION, WALK_FILTERED_POSITION_BACK)
        }
        (Access::WalkFiltered, Sort::Newest) => {
            of(WALK_FILTERED_PUBLISHED, WALK_FILTERED_PUBLISHED_BACK)
        }
        (Access::WalkFiltered, Sort::PriceAscending | Sort::PriceDescending) => {
            of(WALK_FILTERED_PRICE, WALK_FILTERED_PRICE_BACK)
        }
        (Access::FindFiltered, Sort::Position) => {
            of(FIND_FILTERED_POSITION, FIND_FILTERED_POSITION_BACK)
        }
        (Access::FindFiltered, Sort::Newest) => {
            of(FIND_FILTERED_PUBLISHED, FIND_FILTERED_PUBLISHED_BACK)
        }
        (Access::FindFiltered, Sort::PriceAscending | Sort::PriceDescending) => {
            of(FIND_FILTERED_PRICE, FIND_FILTERED_PRICE_BACK)
        }
        (Access::FindPriced, Sort::Position) => of(FIND_PRICED_POSITION, FIND_PRICED_POSITION_BACK),
        (Access::FindPriced, Sort::Newest) => of(FIND_PRICED_PUBLISHED, FIND_PRICED_PUBLISHED_BACK),
    };
    (statement, ascending)
}

/// One card more than wanted, so that it is known whether the listing goes on.
async fn page(
    connection: &mut MySqlConnection,
    query: &ListingQuery,
    chosen: &Chosen,
    cursor: Option<Cursor>,
    total: Total,
) -> Result<Vec<Card>, ListingError> {
    let filters = &query.filters;
    let priced = filters.price_min.is_some() || filters.price_max.is_some();
    let access = match (chosen.attributes > 0, total.more) {
        (true, true) => Access::WalkFiltered,
        (true, false) => Access::FindFiltered,
        (false, false) if priced => Access::FindPriced,
        (false, _) => Access::Walk,
    };
    let (sql, ascending) = statement(query.sort, matches!(query.start, Start::Before(_)), access);
    let (lowest, highest) = filters.prices();
    let (category, currency) = (query.category, query.currency.as_str());

    let mut rows = sqlx::query_as::<_, CardRow>(sql);
    if matches!(access, Access::FindFiltered) {
        rows = rows.bind(&chosen.list).bind(category).bind(chosen.mask);
    }
    rows = rows
        .bind(category)
        .bind(currency)
        .bind(lowest)
        .bind(highest)
        .bind(!filters.in_stock_only);
    rows = if query.sort == Sort::Newest {
        let key = match cursor {
            Some(cursor) => instant_of(cursor.key).ok_or(ListingError::DamagedCursor)?,
            None if ascending => datetime!(1000-01-01 0:00 UTC),
            None => datetime!(9999-12-31 23:59 UTC),
        };
        rows.bind(key).bind(key)
    } else {
        let end = if ascending { i64::MIN } else { i64::MAX };
        let key = cursor.map_or(end, |cursor| cursor.key);
        rows.bind(key).bind(key)
    };
    rows = rows.bind(cursor.map_or(0, |cursor| cursor.id));
    if matches!(access, Access::WalkFiltered) {
        rows = rows.bind(&chosen.list).bind(chosen.mask);
    }
    let rows = rows
        .bind(i64::from(query.limit) + 1)
        .bind(query.locale.as_str())
        .bind(query.default_locale.as_str())
        .fetch_all(connection)
        .await?;
    let mut cards = rows
        .into_iter()
        .map(|row| row.card(query.currency))
        .collect::<Result<Vec<Card>, _>>()?;
    // The joins keep the order in practice, but nothing promises it.
    cards.sort_by_key(|card| (card.sort_key(query.sort), card.product_id));
    if !ascending {
        cards.reverse();
    }
    Ok(cards)
}

async fn facets_of(
    connection: &mut MySqlConnection,
    query: &ListingQuery,
    chosen: &Chosen,
    total: Total,
) -> Result<(Vec<super::listing::Facet>, bool), sqlx::Error> {
    let filters = &query.filters;
    let (lowest, highest) = filters.prices();
    let (category, currency, locale) = (
        query.category,
        query.currency.as_str(),
        query.locale.as_str(),
    );
    let mut counted: Vec<CountedValue> = Vec::new();
    if chosen.attributes > 0 {
        let passing = i64::try_from(chosen.attributes).unwrap_or(i64::MAX) - 1;
        counted = sqlx::query_as(FACETS_FILTERED)
            .bind(&chosen.list)
            .bind(category)
            .bind(passing)
            .bind(category)
            .bind(currency)
            .bind(lowest)
            .bind(highest)
            .bind(!filters.in_stock_only)
            .bind(FACET_CAP)
            .bind(category)
            .bind(locale)
            .bind(locale)
            .fetch_all(&mut *connection)
            .await?;
    }
    // What passes none of one filter is not among the products above: its own attribute is counted without it.
    if chosen.attributes < 2 {
        let unfiltered: Vec<CountedValue> = if filters.restricts_rows() {
            sqlx::query_as(FACETS_RESTRICTED)
                .bind(category)
                .bind(currency)
                .bind(lowest)
                .bind(highest)
                .bind(!filters.in_stock_only)
                .bind(FACET_CAP)
                .bind(category)
        } else {
            sqlx::query_as(FACETS)
                .bind(category)
                .bind(category)
                .bind(category)
        }
        .bind(locale)
        .bind(locale)
        .fetch_all(connection)
        .await?;
        match filters.attributes.keys().next() {
            None => counted = unfiltered,
            Some(own) => {
                counted.retain(|row| row.code != *own);
                counted.extend(unfiltered.into_iter().filter(|row| row.code == *own));
            }
        }
    }
    let exact = match (chosen.attributes, filters.restricts_rows()) {
        (0, false) => true,
        (0, true) => !total.more,
        (_, _) => chosen.at_most.is_none_or(|products| products <= FACET_CAP),
    };
    Ok((facets(counted, &chosen.values, chosen.mask), exact))
}

/// The next scheduled change that alters a page with these cards.
pub(crate) async fn valid_until(
    connection: &mut MySqlConnection,
    category: i64,
    currency: Currency,
    cards: &[Card],
    now: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let shown: Vec<i64> = cards.iter().map(|card| card.product_id).collect();
    let shown = json_list(&shown)?;
    let mut query = sqlx::query_scalar(VALID_UNTIL);
    for _ in 0..2 {
        query = query.bind(&shown).bind(currency.as_str()).bind(now);
    }
    for _ in 0..2 {
        query = query.bind(now).bind(category).bind(category).bind(now);
    }
    query.fetch_one(connection).await
}

/// Cards of products in the order of `ids`; of those only that are published and have a price in the currency.
pub(crate) async fn cards_of(
    connection: &mut MySqlConnection,
    currency: Currency,
    locale: &str,
    default_locale: &str,
    ids: &[i64],
) -> Result<Vec<Card>, sqlx::Error> {
    let rows: Vec<CardRow> = sqlx::query_as(CARDS_OF)
        .bind(json_list(ids)?)
        .bind(currency.as_str())
        .bind(locale)
        .bind(default_locale)
        .fetch_all(connection)
        .await?;
    let mut cards: BTreeMap<i64, Card> = BTreeMap::new();
    for row in rows {
        let card = row.card(currency)?;
        cards.insert(card.product_id, card);
    }
    Ok(ids.iter().filter_map(|id| cards.remove(id)).collect())
}

/// Products that follow one in a category's order, and those at its beginning where too few follow.
pub(super) async fn related_cards(
    connection: &mut MySqlConnection,
    product: i64,
    category: i64,
    currency: Currency,
    locale: &Locale,
    default_locale: &Locale,
) -> Result<Vec<Card>, sqlx::Error> {
    let rows: Vec<CardRow> = sqlx::query_as(RELATED)
        .bind(category)
        .bind(currency.as_str())
        .bind(product)
        .bind(i64::from(MAX_RELATED) + 1)
        .bind(category)
        .bind(currency.as_str())
        .bind(i64::from(MAX_RELATED) + 1)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .fetch_all(connection)
        .await?;
    let mut cards = rows
        .into_iter()
        .map(|row| row.card(currency))
        .collect::<Result<Vec<Card>, _>>()?;
    cards.sort_by_key(|card| (card.position, card.product_id));
    let own = cards
        .iter()
        .position(|card| card.product_id == product)
        .unwrap_or(0);
    cards.rotate_left(own);
    cards.retain(|card| card.product_id != product);
    cards.truncate(usize::try_from(MAX_RELATED).unwrap_or(usize::MAX));
    Ok(cards)
}

/// The names of values and their attributes; of those only that can be filtered by.
pub(crate) async fn values(
    connection: &mut MySqlConnection,
    locale: &Locale,
    ids: &[i64],
) -> Result<Vec<CountedValue>, sqlx::Error> {
    sqlx::query_as(VALUES)
        .bind(json_list(ids)?)
        .bind(locale.as_str())
        .bind(locale.as_str())
        .fetch_all(connection)
        .await
}
