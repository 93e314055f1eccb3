//! Products that no cache has, beside the same statements without anything around them.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use panono_shop::catalog::category::Lookup;
use panono_shop::catalog::model::{Currency, Locale};
use panono_shop::catalog::store_product::product_by_slug;
use sqlx::MySqlPool;
use sqlx::mysql::MySqlPoolOptions;
use time::OffsetDateTime;

use crate::http;

use super::bed::{Bed, Product, read_all};
use super::{Measure, median, say};

/// Products that the bench needs.
pub const PRODUCTS: usize = ROUNDS * PER_ROUND;
const ROUNDS: usize = 3;
const PER_ROUND: usize = 1000;
const CONCURRENCY: u32 = 8;

/// Products per second as JSON, each asked for once after the start of the process: `origin_miss`.
///
/// The yardstick is the shop's own function that reads a product, called in a loop on a pool: the same statements, over the
/// same kind of connection, as many at a time, without HTTP, JSON, tags, compression and caches.
///
/// # Errors
/// When the shop does not start, or an answer is an error.
pub async fn run(bed: &Bed<'_>) -> Result<Measure> {
    let pool = MySqlPoolOptions::new()
        .min_connections(CONCURRENCY)
        .max_connections(CONCURRENCY)
        .connect(&bed.database.writer_url().await?)
        .await
        .context("failed to connect")?;
    let (mut of_shop, mut of_yardstick) = (Vec::new(), Vec::new());
    let environment = bed.environment.clone().with("PANONO_CACHE_MEMORY", "64KiB");
    // Both find the pages of the database in memory.
    bare(&pool, bed.some(0, PRODUCTS)?).await?;
    for round in 0..ROUNDS {
        let products = bed.some(round * PER_ROUND, PER_ROUND)?;
        let shop = environment.serve().await?;
        let client = http::client();
        // Opens the connections on both sides, with products of another round.
        let others = bed.some((round + 1) % ROUNDS * PER_ROUND, 100)?;
        read_all(&client, urls(&shop.url(), others), CONCURRENCY as usize).await?;
        let start = Instant::now();
        read_all(&client, urls(&shop.url(), products), CONCURRENCY as usize).await?;
        of_shop.push(per_second(start));
        drop(shop);
        let start = Instant::now();
        bare(&pool, products).await?;
        of_yardstick.push(per_second(start));
    }
    pool.close().await;
    say(&format!(
        "misses/s in each round: {of_shop:.0?}, yardstick {of_yardstick:.0?}"
    ));
    Ok(Measure::beside(
        "origin_miss",
        median(of_shop),
        median(of_yardstick),
        "ratio>=0.70",
    ))
}

fn per_second(start: Instant) -> f64 {
    PER_ROUND as f64 / start.elapsed().as_secs_f64()
}

fn urls(shop: &str, products: &[Product]) -> Vec<String> {
    products
        .iter()
        .map(|product| format!("{shop}{}", product.json()))
        .collect()
}

async fn bare(pool: &MySqlPool, products: &[Product]) -> Result<()> {
    let (currency, locale): (Currency, Locale) = ("USD".parse()?, "en".parse()?);
    let locale = &locale;
    stream::iter(products)
        .map(|product| async move {
            let slug = product.slug.parse()?;
            let mut connection = pool.acquire().await?;
            let now = OffsetDateTime::now_utc();
            let answer = Box::pin(product_by_slug(
                &mut connection,
                &slug,
                currency,
                locale,
                locale,
                now,
            ))
            .await?;
            ensure!(
                matches!(answer.found, Lookup::Found(_)),
                "{} is not there",
                product.slug
            );
            Ok(())
        })
        .buffer_unordered(CONCURRENCY as usize)
        .try_collect()
        .await
}
