//! The SQL of sitemaps (sitemaps.org). Shards are ranges of product ids on a fixed grid, so that a product never moves
//! from one file to another, and finding them looks at one index entry for each, however many products there are.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::identifier::Slug;
use super::store_category::slug;

/// URLs in one file, by the protocol. A shop of several locales puts fewer products into each.
pub const MAX_URLS: u32 = 50_000;
/// Files in one index, by the protocol.
const MAX_SHARDS: usize = 50_000;

/// One after the other: with a bound that is no constant, as in a recursive statement for all of them, MySQL reads the index from its
/// beginning or to its end each time.
const NEXT: &str = "SELECT MIN(id) FROM product WHERE id >= ?";
const PRODUCTS: &str = "SELECT id, slug, updated_at FROM product WHERE id > ? AND id < ? AND status = 'active' \
     AND published_at <= ? AND (unpublished_at IS NULL OR unpublished_at > ?) ORDER BY id LIMIT ?";
const CATEGORIES: &str = "SELECT id, slug, updated_at FROM category WHERE id > ? AND status = 'active' ORDER BY id LIMIT ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("sitemap_next_product", NEXT),
    ("sitemap_products", PRODUCTS),
    ("sitemap_categories", CATEGORIES),
];

/// An entry of a sitemap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitemapEntry {
    /// The id, after which the next step begins.
    pub id: i64,
    /// The address.
    pub slug: Slug,
    /// When it was changed last.
    pub updated_at: OffsetDateTime,
}

/// The numbers of the shards in which there are products, ids `number * size` to `(number + 1) * size - 1` each. Some of
/// their products, or all, may not be published.
///
/// # Errors
/// Those of the database.
pub async fn sitemap_shards(
    connection: &mut MySqlConnection,
    size: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    let size = i64::from(size.clamp(1, MAX_URLS));
    let mut shards: Vec<i64> = Vec::new();
    while shards.len() < MAX_SHARDS {
        let from = shards.last().map_or(0, |last| (last + 1) * size);
        let next: Option<i64> = sqlx::query_scalar(NEXT)
            .bind(from)
            .fetch_one(&mut *connection)
            .await?;
        let Some(next) = next else { break };
        shards.push(next / size);
    }
    Ok(shards)
}

/// At most `limit` published products of a shard in the order of ids, beginning after `after` (0 for the first).
///
/// # Errors
/// Those of the database.
pub async fn sitemap_products(
    connection: &mut MySqlConnection,
    shard: i64,
    size: u32,
    after: i64,
    limit: u32,
    now: OffsetDateTime,
) -> Result<Vec<SitemapEntry>, sqlx::Error> {
    let size = i64::from(size.clamp(1, MAX_URLS));
    let begin = shard.saturating_mul(size);
    let rows: Vec<(i64, String, OffsetDateTime)> = sqlx::query_as(PRODUCTS)
        .bind(after.max(begin.saturating_sub(1)))
        .bind(begin.saturating_add(size))
        .bind(now)
        .bind(now)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    entries(rows)
}

/// At most `limit` active categories in the order of ids, beginning after `after` (0 for the first).
///
/// # Errors
/// Those of the database.
pub async fn sitemap_categories(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<SitemapEntry>, sqlx::Error> {
    let rows = sqlx::query_as(CATEGORIES)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    entries(rows)
}

fn entries(rows: Vec<(i64, String, OffsetDateTime)>) -> Result<Vec<SitemapEntry>, sqlx::Error> {
    rows.into_iter()
        .map(|(id, text, updated_at)| {
            Ok(SitemapEntry {
                id,
                slug: slug(&text)?,
                updated_at,
            })
        })
        .collect()
}
