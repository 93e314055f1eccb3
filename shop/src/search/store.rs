//! The SQL of search.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::query::{ParsedQuery, like_prefix};
use super::{MAX_SUGGESTIONS, SearchError, Sort, Suggestion, SuggestionKind};
use crate::catalog::model::{AvailabilityBand, Currency, Locale};

/// The index is asked alone, without any other condition: only then does MySQL let InnoDB hand out the best hits and stop
/// (`Ft_hints: sorted, limit = …` in the traditional `EXPLAIN`), instead of all million that a common word has. The rest is looked up for those.
macro_rules! hits {
    ($table:literal) => {
        concat!(
            "SELECT s.product_id, s.title, s.text_rank, s.locale, l.price, l.band, l.published_at FROM ( \
               SELECT product_id, locale, title, MATCH (title, body) AGAINST (? IN BOOLEAN MODE) AS text_rank FROM ",
            $table,
            " WHERE MATCH (title, body) AGAINST (? IN BOOLEAN MODE) ORDER BY text_rank DESC LIMIT ?) s \
             LEFT JOIN listing l ON l.category_id = 0 AND l.currency = ? AND l.product_id = s.product_id"
        )
    };
}

macro_rules! titles {
    ($table:literal) => {
        concat!(
            "SELECT p.slug, COALESCE(t.name, d.name) AS name FROM ( \
               SELECT product_id, locale, MATCH (title) AGAINST (? IN BOOLEAN MODE) AS score FROM ",
            $table,
            " WHERE MATCH (title) AGAINST (? IN BOOLEAN MODE) ORDER BY score DESC LIMIT ?) found \
             STRAIGHT_JOIN listing l ON l.category_id = 0 AND l.currency = ? AND l.product_id = found.product_id \
             STRAIGHT_JOIN product p ON p.id = found.product_id \
             LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = ? \
             LEFT JOIN product_translation d ON d.product_id = p.id AND d.locale = ? \
             WHERE found.locale = ? AND COALESCE(t.name, d.name) IS NOT NULL ORDER BY found.score DESC, p.id LIMIT ?"
        )
    };
}

const WORD_HITS: &str = hits!("search_word");
const NGRAM_HITS: &str = hits!("search_ngram");
const WORD_TITLES: &str = titles!("search_word");
const NGRAM_TITLES: &str = titles!("search_ngram");
const HIT_VALUES: &str = "SELECT f.product_id, f.value_id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) ids \
     STRAIGHT_JOIN listing_facet f FORCE INDEX (listing_facet_product) ON f.product_id = ids.id AND f.category_id = 0";
const CATEGORY_NAMES: &str = "SELECT c.slug, t.name FROM category_translation t STRAIGHT_JOIN category c \
       ON c.id = t.category_id AND c.status = 'active' \
     WHERE t.locale = ? AND t.name LIKE ? ORDER BY t.name LIMIT ?";
const CATEGORY_NAMES_DEFAULT: &str = "SELECT c.slug, t.name FROM category_translation t STRAIGHT_JOIN category c \
       ON c.id = t.category_id AND c.status = 'active' \
     WHERE t.locale = ? AND t.name LIKE ? AND NOT EXISTS (SELECT 1 FROM category_translation own \
       WHERE own.category_id = t.category_id AND own.locale = ?) ORDER BY t.name LIMIT ?";
const BRAND_NAMES: &str = "SELECT slug, name FROM brand WHERE name LIKE ? ORDER BY name LIMIT ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("search_word_hits", WORD_HITS),
    ("search_ngram_hits", NGRAM_HITS),
    ("search_word_titles", WORD_TITLES),
    ("search_ngram_titles", NGRAM_TITLES),
    ("search_hit_values", HIT_VALUES),
    ("search_category_names", CATEGORY_NAMES),
    ("search_category_names_default", CATEGORY_NAMES_DEFAULT),
    ("search_brand_names", BRAND_NAMES),
];

/// Documents of which the index is asked for each product that is wanted in the end.
const CANDIDATES_FOR_EACH: u32 = 20;

/// A product that was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hit {
    pub(super) product_id: i64,
    pub(super) score: f64,
    pub(super) price: i64,
    /// Microseconds since 1970.
    pub(super) published_at: i64,
    pub(super) band: AvailabilityBand,
}

impl Hit {
    /// Where it is in an order: what has the lowest comes first. A key of cursors.
    pub(super) fn place(&self, sort: Sort) -> i64 {
        match sort {
            Sort::Relevance => self.rank().saturating_neg(),
            Sort::Newest => self.published_at.saturating_neg(),
            Sort::PriceAscending => self.price,
            Sort::PriceDescending => self.price.saturating_neg(),
        }
    }

    /// The score as a number that can be compared: in millionths, since the last digits of a score mean nothing.
    fn rank(&self) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a score beyond the range of i64 is the highest rank"
        )]
        let rank = (self.score * 1_000_000.0) as i64;
        rank
    }
}

/// What a search found.
#[derive(Debug)]
pub(super) struct Hits {
    /// The best, best first; of equal ones the older product first.
    pub(super) best: Vec<Hit>,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// A row of [`WORD_HITS`]. There is no listing of a product that is not sold in the currency.
type Row = (
    i64,
    String,
    f64,
    String,
    Option<i64>,
    Option<String>,
    Option<OffsetDateTime>,
);

/// The best `limit` hits among the `candidates` that match best in any language and currency.
pub(super) async fn hits(
    connection: &mut MySqlConnection,
    query: &ParsedQuery,
    currency: Currency,
    limit: usize,
    candidates: u32,
) -> Result<Hits, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(if query.ngram { NGRAM_HITS } else { WORD_HITS })
        .bind(&query.all)
        .bind(&query.all)
        .bind(i64::from(candidates))
        .bind(currency.as_str())
        .fetch_all(connection)
        .await?;
    let all_seen = u32::try_from(rows.len()).is_ok_and(|rows| rows < candidates);
    // Ranks mean something beside each other only, and nothing while InnoDB has no statistics of a new table: infinite ones.
    let best = rows.iter().map(|row| row.2).fold(0.0, f64::max);
    let mut hits: Vec<Hit> = rows
        .into_iter()
        .filter(|row| row.3 == query.locale.as_str())
        .filter_map(
            |(product_id, title, text_rank, _, price, band, published_at)| {
                let published_at = published_at?.unix_timestamp_nanos() / 1_000;
                Some(Hit {
                    product_id,
                    score: score(text_rank, best, query.part_in(&title)),
                    price: price?,
                    published_at: i64::try_from(published_at).unwrap_or(i64::MAX),
                    band: AvailabilityBand::from_word(&band?).unwrap_or(AvailabilityBand::Out),
                })
            },
        )
        .collect();
    hits.sort_by_key(|hit| (hit.place(Sort::Relevance), hit.product_id));
    let more = !all_seen || hits.len() > limit;
    hits.truncate(limit);
    Ok(Hits { best: hits, more })
}

/// How well a product is found, 0 to 5: what is in the title counts four times as much as all that is in its text. The rank of a word
/// that is everywhere is nothing; the title counts even then.
fn score(text_rank: f64, best: f64, part_in_title: f64) -> f64 {
    let rank = if best > 0.0 && best.is_finite() {
        text_rank / best
    } else {
        0.0
    };
    rank + 4.0 * part_in_title
}

/// The facet values of products given as a JSON list of ids.
pub(super) async fn hit_values(
    connection: &mut MySqlConnection,
    ids: &str,
) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    sqlx::query_as(HIT_VALUES)
        .bind(ids)
        .fetch_all(connection)
        .await
}

/// Brands, categories and products of which the name goes on from what was typed.
pub(super) async fn suggestions(
    connection: &mut MySqlConnection,
    query: &ParsedQuery,
    text: &str,
    currency: Currency,
    locale: &Locale,
    default_locale: &Locale,
) -> Result<Vec<Suggestion>, SearchError> {
    let pattern = like_prefix(text);
    let mut suggestions = Vec::new();
    let few: i64 = 3;
    let suggested = |kind| move |(slug, text): (String, String)| Suggestion { kind, text, slug };

    let mut categories: Vec<(String, String)> = sqlx::query_as(CATEGORY_NAMES)
        .bind(locale.as_str())
        .bind(&pattern)
        .bind(few)
        .fetch_all(&mut *connection)
        .await?;
    if locale != default_locale && categories.is_empty() {
        categories = sqlx::query_as(CATEGORY_NAMES_DEFAULT)
            .bind(default_locale.as_str())
            .bind(&pattern)
            .bind(locale.as_str())
            .bind(few)
            .fetch_all(&mut *connection)
            .await?;
    }
    suggestions.extend(
        categories
            .into_iter()
            .map(suggested(SuggestionKind::Category)),
    );
    let brands: Vec<(String, String)> = sqlx::query_as(BRAND_NAMES)
        .bind(&pattern)
        .bind(few)
        .fetch_all(&mut *connection)
        .await?;
    suggestions.extend(brands.into_iter().map(suggested(SuggestionKind::Brand)));

    let rest = i64::from(MAX_SUGGESTIONS) - i64::try_from(suggestions.len()).unwrap_or(i64::MAX);
    // Of each product there is a document for each language, and some are not sold in this currency.
    let candidates = MAX_SUGGESTIONS * CANDIDATES_FOR_EACH;
    let products: Vec<(String, String)> = sqlx::query_as(if query.ngram {
        NGRAM_TITLES
    } else {
        WORD_TITLES
    })
    .bind(&query.all)
    .bind(&query.all)
    .bind(i64::from(candidates))
    .bind(currency.as_str())
    .bind(locale.as_str())
    .bind(default_locale.as_str())
    .bind(query.locale.as_str())
    .bind(rest)
    .fetch_all(connection)
    .await?;
    suggestions.extend(products.into_iter().map(suggested(SuggestionKind::Product)));
    Ok(suggestions)
}
