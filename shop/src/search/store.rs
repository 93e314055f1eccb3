//! The SQL of search.

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, MySql, MySqlConnection};
use time::OffsetDateTime;

use super::plan::{NARROWED, Plan, Sample};
use super::query::{ParsedQuery, like_prefix};
use super::{MAX_SUGGESTIONS, SearchError, Sort, Suggestion, SuggestionKind};
use crate::catalog::model::{AvailabilityBand, Currency, Locale};

/// The text of a document as [`ParsedQuery::patterns`] take it: with a space at both ends of each word.
macro_rules! text {
    (title) => {
        "CONCAT(' ', title, ' ')"
    };
    (text) => {
        "CONCAT(' ', title, ' ', body, ' ')"
    };
}

macro_rules! matches {
    (title) => {
        "MATCH (title) AGAINST (? IN BOOLEAN MODE)"
    };
    (text) => {
        "MATCH (title, body) AGAINST (? IN BOOLEAN MODE)"
    };
}

/// As many times as there are words in a search, [`super::query::MAX_TERMS`].
macro_rules! like_all {
    ($of:ident) => {
        concat!(
            text!($of),
            " LIKE ? AND ",
            text!($of),
            " LIKE ? AND ",
            text!($of),
            " LIKE ? AND ",
            text!($of),
            " LIKE ? AND ",
            text!($of),
            " LIKE ? AND ",
            text!($of),
            " LIKE ? AND ",
            text!($of),
            " LIKE ? AND ",
            text!($of),
            " LIKE ?"
        )
    };
}

/// The index is asked alone, without any other condition: only then does MySQL let InnoDB hand out the best hits and stop
/// (`Ft_hints: sorted, limit = …` in the traditional `EXPLAIN`), instead of all that a word has. The rest is looked up for those.
macro_rules! by_index {
    ($table:literal, $of:ident) => {
        concat!(
            "SELECT product_id, locale, title, ",
            matches!($of),
            " AS text_rank FROM ",
            $table,
            " WHERE ",
            matches!($of),
            " ORDER BY text_rank DESC LIMIT ?"
        )
    };
}

/// The best by some of the words, of which those are kept that have the others, too.
macro_rules! by_index_narrowed {
    ($table:literal, $of:ident) => {
        concat!(
            "SELECT product_id, locale, title, text_rank FROM (SELECT product_id, locale, title, body, ", matches!($of),
            " AS text_rank FROM ", $table, " WHERE ", matches!($of), " ORDER BY text_rank DESC LIMIT ?) best WHERE ",
            like_all!($of), " ORDER BY text_rank DESC LIMIT ?"
        )
    };
}

/// What was indexed last, read one after the other until there is enough that has the words.
macro_rules! by_walking {
    ($table:literal, $of:ident) => {
        concat!(
            "SELECT product_id, locale, title, 0e0 AS text_rank FROM ",
            $table,
            " WHERE FTS_DOC_ID > ? AND locale = ? AND ",
            like_all!($of),
            " ORDER BY FTS_DOC_ID DESC LIMIT ?"
        )
    };
}

macro_rules! hits {
    ($documents:expr) => {
        concat!(
            "SELECT s.product_id, s.title, s.text_rank, s.locale, l.price, l.band, l.published_at FROM (", $documents,
            ") s LEFT JOIN listing l ON l.category_id = 0 AND l.currency = ? AND l.product_id = s.product_id"
        )
    };
}

macro_rules! titles {
    ($documents:expr) => {
        concat!(
            "SELECT p.slug, COALESCE(t.name, d.name) AS name FROM (", $documents, ") found \
             STRAIGHT_JOIN listing l ON l.category_id = 0 AND l.currency = ? AND l.product_id = found.product_id \
             STRAIGHT_JOIN product p ON p.id = found.product_id \
             LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = ? \
             LEFT JOIN product_translation d ON d.product_id = p.id AND d.locale = ? \
             WHERE found.locale = ? AND COALESCE(t.name, d.name) IS NOT NULL ORDER BY found.text_rank DESC, p.id LIMIT ?"
        )
    };
}

macro_rules! some_documents {
    ($table:literal) => {
        concat!(
            "(SELECT ",
            text!(text),
            " AS text FROM ",
            $table,
            " WHERE FTS_DOC_ID >= ? ORDER BY FTS_DOC_ID LIMIT 25)"
        )
    };
}

/// Documents from [`PLACES`] places, and how many of them have each word.
macro_rules! sample {
    ($table:literal) => {
        concat!(
            "SELECT CAST(COUNT(*) AS SIGNED), ",
            "CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED), CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED), ",
            "CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED), CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED), ",
            "CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED), CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED), ",
            "CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED), CAST(COALESCE(SUM(text LIKE ?), 0) AS SIGNED) FROM (",
            some_documents!($table), " UNION ALL ", some_documents!($table), " UNION ALL ",
            some_documents!($table), " UNION ALL ", some_documents!($table), " UNION ALL ",
            some_documents!($table), " UNION ALL ", some_documents!($table), " UNION ALL ",
            some_documents!($table), " UNION ALL ", some_documents!($table), ") documents"
        )
    };
}

/// The statements on one of the two tables of documents.
struct Statements {
    latest: &'static str,
    sample: &'static str,
    hits: Ways,
    titles: Ways,
}

/// The statements of the three plans for one thing.
#[derive(Clone, Copy)]
struct Ways {
    by_index: &'static str,
    narrowed: &'static str,
    walked: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            latest: concat!(
                "SELECT CAST(COALESCE(MAX(FTS_DOC_ID), 0) AS SIGNED) FROM ",
                $table
            ),
            sample: sample!($table),
            hits: Ways {
                by_index: hits!(by_index!($table, text)),
                narrowed: hits!(by_index_narrowed!($table, text)),
                walked: hits!(by_walking!($table, text)),
            },
            titles: Ways {
                by_index: titles!(by_index!($table, title)),
                narrowed: titles!(by_index_narrowed!($table, title)),
                walked: titles!(by_walking!($table, title)),
            },
        }
    };
}

/// What part of the candidates is enough where documents are read one after the other: pages show less than that.
const ENOUGH: u32 = 4;
/// Places of a table that a sample is taken from.
const PLACES: i64 = 8;
/// How many documents a sample has, and how many of those have each word.
type Sampled = (i64, i64, i64, i64, i64, i64, i64, i64, i64);

const WORD: Statements = statements!("search_word");
const NGRAM: Statements = statements!("search_ngram");
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
    ("search_word_latest", WORD.latest),
    ("search_word_sample", WORD.sample),
    ("search_word_hits", WORD.hits.by_index),
    ("search_word_hits_narrowed", WORD.hits.narrowed),
    ("search_word_hits_walked", WORD.hits.walked),
    ("search_word_titles", WORD.titles.by_index),
    ("search_word_titles_narrowed", WORD.titles.narrowed),
    ("search_word_titles_walked", WORD.titles.walked),
    ("search_ngram_latest", NGRAM.latest),
    ("search_ngram_sample", NGRAM.sample),
    ("search_ngram_hits", NGRAM.hits.by_index),
    ("search_ngram_hits_narrowed", NGRAM.hits.narrowed),
    ("search_ngram_hits_walked", NGRAM.hits.walked),
    ("search_ngram_titles", NGRAM.titles.by_index),
    ("search_ngram_titles_narrowed", NGRAM.titles.narrowed),
    ("search_ngram_titles_walked", NGRAM.titles.walked),
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

/// A row of the statements of hits. There is no listing of a product that is not sold in the currency.
type Row = (
    i64,
    String,
    f64,
    String,
    Option<i64>,
    Option<String>,
    Option<OffsetDateTime>,
);

type Asked<Row> = QueryAs<'static, MySql, Row, MySqlArguments>;

/// A search with the ways to ask for it.
struct Search<'a> {
    query: &'a ParsedQuery,
    statements: &'static Statements,
    candidates: u32,
}

impl<'a> Search<'a> {
    const fn new(query: &'a ParsedQuery, candidates: u32) -> Self {
        Self {
            query,
            statements: if query.ngram { &NGRAM } else { &WORD },
            candidates,
        }
    }

    /// How it is carried out best: where there may be `common_from` documents, by what some of them have.
    async fn plan(
        &self,
        connection: &mut MySqlConnection,
        common_from: i64,
    ) -> Result<Plan, sqlx::Error> {
        let latest: i64 = sqlx::query_scalar(self.statements.latest)
            .fetch_one(&mut *connection)
            .await?;
        if latest < common_from {
            return Ok(Plan::Index);
        }
        let mut sample = self.patterns(sqlx::query_as(self.statements.sample));
        for place in 0..PLACES {
            sample = sample.bind(latest / PLACES * place);
        }
        let (documents, a, b, c, d, e, f, g, h): Sampled = sample.fetch_one(connection).await?;
        let sample = Sample {
            latest,
            documents,
            have: [a, b, c, d, e, f, g, h],
        };
        Ok(Plan::of(self.query, &sample))
    }

    fn patterns<Row>(&self, mut asked: Asked<Row>) -> Asked<Row> {
        for pattern in self.query.patterns() {
            asked = asked.bind(pattern);
        }
        asked
    }

    /// A statement that a plan needs, with the parameters that are its own.
    fn asked<Row: for<'r> FromRow<'r, MySqlRow>>(&self, plan: &Plan, ways: Ways) -> Asked<Row> {
        let asked = match plan {
            Plan::Index => sqlx::query_as(ways.by_index)
                .bind(self.query.all.clone())
                .bind(self.query.all.clone()),
            Plan::Narrowed { words, .. } => self.patterns(
                sqlx::query_as(ways.narrowed)
                    .bind(words.clone())
                    .bind(words.clone())
                    .bind(i64::from(NARROWED)),
            ),
            Plan::Walk { after } => self.patterns(
                sqlx::query_as(ways.walked)
                    .bind(*after)
                    .bind(self.query.locale.as_str().to_owned()),
            ),
        };
        asked.bind(i64::from(self.candidates))
    }

    /// What was found, at most as many as there are candidates, and whether that is all.
    async fn rows<Row>(
        &self,
        connection: &mut MySqlConnection,
        common_from: i64,
        ways: Ways,
        more: impl Fn(Asked<Row>) -> Asked<Row>,
    ) -> Result<(Vec<Row>, bool), sqlx::Error>
    where
        Row: Send + Unpin + for<'r> FromRow<'r, MySqlRow>,
    {
        let plan = self.plan(connection, common_from).await?;
        let rows = more(self.asked(&plan, ways))
            .fetch_all(&mut *connection)
            .await?;
        let found = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        match plan {
            Plan::Walk { .. } if found >= self.candidates / ENOUGH => Ok((rows, false)),
            // Many have each word, but few have all of them, or few that were indexed lately: only the index knows those.
            Plan::Walk { .. } => {
                let rows = more(self.asked(&Plan::Index, ways))
                    .fetch_all(connection)
                    .await?;
                let found = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                Ok((rows, found < self.candidates))
            }
            Plan::Narrowed { cut: true, .. } => Ok((rows, false)),
            Plan::Narrowed { .. } | Plan::Index => Ok((rows, found < self.candidates)),
        }
    }
}

/// The best `limit` hits among the `candidates` that match best in any language and currency.
pub(super) async fn hits(
    connection: &mut MySqlConnection,
    query: &ParsedQuery,
    currency: Currency,
    limit: usize,
    candidates: u32,
    common_from: i64,
) -> Result<Hits, sqlx::Error> {
    let search = Search::new(query, candidates);
    let (rows, all_seen): (Vec<Row>, bool) = search
        .rows(connection, common_from, search.statements.hits, |asked| {
            asked.bind(currency.as_str().to_owned())
        })
        .await?;
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
    common_from: i64,
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
    let search = Search::new(query, candidates);
    let (products, _): (Vec<(String, String)>, bool) = search
        .rows(connection, common_from, search.statements.titles, |asked| {
            asked
                .bind(currency.as_str().to_owned())
                .bind(locale.as_str().to_owned())
                .bind(default_locale.as_str().to_owned())
                .bind(query.locale.as_str().to_owned())
                .bind(rest)
        })
        .await?;
    suggestions.extend(products.into_iter().map(suggested(SuggestionKind::Product)));
    Ok(suggestions)
}
