//! A whole shop under traffic: how much of it reaches the database, and how soon a change is seen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::json;

use crate::http;
use crate::mysql::MysqlGroup;
use crate::stack::{Stack, StackOptions};
use crate::wait::wait_until;

use super::bed::{Bed, Product, read, read_all};
use super::{Measure, percentile, say};

const OPERATIONS: usize = 30_000;
/// One of so many operations is a write.
const WRITE_EVERY: usize = 100;
const CONCURRENCY: usize = 8;
const DELAYS: usize = 200;
/// Between two reads of the traffic beside the measured writes.
const PACE: Duration = Duration::from_millis(5);
const POLL: Duration = Duration::from_millis(1);
const SHOWN_LIMIT: Duration = Duration::from_secs(20);
const DRAIN_LIMIT: Duration = Duration::from_secs(300);
/// Prices that are set are unlike all seeded ones, and each is set once.
const FIRST_PRICE: usize = 40_000_001;

/// How many products the catalogue gets: `BENCH_PRODUCTS`, or a hundred thousand.
///
/// # Errors
/// When the variable is not a number.
pub fn catalogue_size() -> Result<usize> {
    match std::env::var("BENCH_PRODUCTS") {
        Ok(text) => text
            .parse()
            .context("BENCH_PRODUCTS must be a number of products"),
        Err(_) => Ok(100_000),
    }
}

/// A whole shop with a large catalogue.
#[derive(Debug)]
pub struct Traffic<'group> {
    bed: Bed<'group>,
    stack: Stack,
    client: Client,
    token: String,
    next_price: AtomicUsize,
    popularity: Popularity,
}

impl<'group> Traffic<'group> {
    /// Fills a database of this group and starts two web processes, a worker, a cache server and an edge on it.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(group: &'group MysqlGroup) -> Result<Self> {
        let started = Instant::now();
        let bed = Bed::new(group, catalogue_size()?).await?;
        group.wait_until_applied().await?;
        say(&format!(
            "{} products can be bought; the seed took {:.0?}",
            bed.products.len(),
            started.elapsed()
        ));
        let options = StackOptions {
            variables: vec![("PANONO_LOG".to_owned(), "warn".to_owned())],
            ..StackOptions::default()
        };
        let stack = Stack::start(&bed.database, options).await?;
        let token = stack
            .environment
            .output(&["token", "create", "bench", "--scope", "write:prices"])
            .await?;
        let mut connection = bed.database.connect().await?;
        wait_until("the purges of the seed", DRAIN_LIMIT, async || {
            let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM outbox")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| error.to_string())?;
            if left == 0 {
                Ok(())
            } else {
                Err(format!("{left} left"))
            }
        })
        .await?;
        let popularity = Popularity::new(bed.products.len());
        Ok(Self {
            bed,
            stack,
            client: http::client(),
            token: token.trim().to_owned(),
            next_price: AtomicUsize::new(FIRST_PRICE),
            popularity,
        })
    }

    fn url(&self, product: &Product) -> String {
        format!("{}{}", self.stack.edge.url(), product.json())
    }

    fn product(&self, rank: usize) -> &Product {
        &self.bed.products[rank]
    }

    /// The part of the reads that did not make an answer from the database: `hit_ratio`.
    ///
    /// Reads and written products are drawn by Zipf's law. Everything that is read was read once before.
    ///
    /// # Errors
    /// When an answer is an error.
    pub async fn hit_ratio(&self) -> Result<Measure> {
        let mut random = Random(1);
        let operations: Vec<(usize, bool)> = (1..=OPERATIONS)
            .map(|number| {
                let rank = self.popularity.draw(&mut random);
                (rank, number % WRITE_EVERY == 0)
            })
            .collect();
        self.warm(operations.iter().map(|(rank, _)| *rank)).await?;
        let before = self.fills().await?;
        let started = Instant::now();
        stream::iter(&operations)
            .map(|(rank, write)| async move {
                let product = self.product(*rank);
                if *write {
                    self.write(product).await.map(drop)
                } else {
                    read(&self.client, &self.url(product)).await.map(drop)
                }
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        let took = started.elapsed();
        let writes = operations.iter().filter(|(_, write)| *write).count();
        let reads = operations.len() - writes;
        let fills = self.settled_fills().await? - before;
        say(&format!(
            "{reads} reads and {writes} writes in {took:.1?}; {fills} answers were made from the database"
        ));
        Ok(Measure::alone(
            "hit_ratio",
            1.0 - fills / reads as f64,
            "value>=0.99",
        ))
    }

    /// Milliseconds from the answer to a write until the edge shows it, of which 99 in 100 writes take no more:
    /// `purge_delay_p99_ms`. Others read meanwhile.
    ///
    /// # Errors
    /// When a change is not shown at all, or an answer is an error.
    pub async fn purge_delay(&self) -> Result<Measure> {
        let mut random = Random(2);
        let ranks: Vec<usize> = (0..DELAYS)
            .map(|_| self.popularity.draw(&mut random))
            .collect();
        self.warm(ranks.iter().copied()).await?;
        let measured = async {
            let mut milliseconds = Vec::new();
            for rank in &ranks {
                milliseconds.push(self.delay(self.product(*rank)).await?.as_secs_f64() * 1000.0);
            }
            Ok::<_, anyhow::Error>(milliseconds)
        };
        let milliseconds = tokio::select! {
            milliseconds = measured => milliseconds?,
            failed = self.visit(&ranks) => return Err(failed),
        };
        say(&format!(
            "of {DELAYS} writes: median {:.0} ms, longest {:.0} ms",
            percentile(milliseconds.clone(), 50),
            percentile(milliseconds.clone(), 100)
        ));
        Ok(Measure::alone(
            "purge_delay_p99_ms",
            percentile(milliseconds, 99),
            "value<=1000",
        ))
    }

    /// Reads the same products at a steady pace, until an answer is an error.
    async fn visit(&self, ranks: &[usize]) -> anyhow::Error {
        let mut ticks = tokio::time::interval(PACE);
        for rank in ranks.iter().cycle() {
            ticks.tick().await;
            if let Err(error) = read(&self.client, &self.url(self.product(*rank))).await {
                return error;
            }
        }
        anyhow::anyhow!("there is nothing to read")
    }

    async fn delay(&self, product: &Product) -> Result<Duration> {
        let url = self.url(product);
        // Each content coding is stored by itself: what is asked for below must be there before the write.
        self.client.get(&url).send().await?.bytes().await?;
        let price = self.write(product).await?.to_string();
        let written = Instant::now();
        loop {
            // Without a content coding, so that the price can be seen.
            let text = self.client.get(&url).send().await?.text().await?;
            if text.contains(&price) {
                return Ok(written.elapsed());
            }
            ensure!(
                written.elapsed() < SHOWN_LIMIT,
                "{url} does not show the price {price} after {SHOWN_LIMIT:?}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sets a price that no product has had. Gives it in minor units.
    async fn write(&self, product: &Product) -> Result<usize> {
        let price = self.next_price.fetch_add(1, Ordering::Relaxed);
        let url = format!(
            "{}/api/v1/admin/variants/{}/prices/USD",
            self.stack.edge.url(),
            product.variant
        );
        let answer = self
            .client
            .put(&url)
            .bearer_auth(&self.token)
            .header("if-match", "*")
            .json(&json!({"amount": price}))
            .send()
            .await
            .context("failed to write a price")?;
        let status = answer.status();
        if !status.is_success() {
            bail!("{url}: {status}: {}", answer.text().await?);
        }
        answer.bytes().await.context("failed to read an answer")?;
        Ok(price)
    }

    async fn warm(&self, ranks: impl Iterator<Item = usize>) -> Result<()> {
        let mut ranks: Vec<usize> = ranks.collect();
        ranks.sort_unstable();
        ranks.dedup();
        say(&format!(
            "reading {} products for the first time",
            ranks.len()
        ));
        let urls = ranks.iter().map(|rank| self.url(self.product(*rank)));
        read_all(&self.client, urls.collect(), CONCURRENCY).await
    }

    /// Answers that the web processes have made from the database.
    async fn fills(&self) -> Result<f64> {
        let mut sum = 0.0;
        for shop in &self.stack.shops {
            let url = format!("{}/metrics", shop.operations_url());
            let text = self.client.get(&url).send().await?.text().await?;
            sum += text
                .lines()
                .find_map(|line| line.strip_prefix("shop_cache_fills_total "))
                .and_then(|number| number.trim().parse::<f64>().ok())
                .with_context(|| format!("{url} does not have shop_cache_fills"))?;
        }
        Ok(sum)
    }

    /// As [`Traffic::fills`], when the refreshing in the background has ended.
    async fn settled_fills(&self) -> Result<f64> {
        let mut last = (Instant::now(), self.fills().await?);
        wait_until(
            "the caches to be at rest",
            Duration::from_secs(30),
            async || {
                let fills = self.fills().await.map_err(|error| error.to_string())?;
                if (fills - last.1).abs() > 0.5 {
                    last = (Instant::now(), fills);
                }
                if last.0.elapsed() > Duration::from_secs(2) {
                    Ok(fills)
                } else {
                    Err("answers are being made".to_owned())
                }
            },
        )
        .await
    }
}

/// Zipf's law with exponent 1: the product of rank r is wanted 1/r as often as the first.
#[derive(Debug)]
struct Popularity(Vec<f64>);

impl Popularity {
    fn new(products: usize) -> Self {
        let sums = (1..=products).scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        });
        Self(sums.collect())
    }

    /// A rank, from 0.
    fn draw(&self, random: &mut Random) -> usize {
        let total = self.0.last().copied().unwrap_or(0.0);
        let wanted = random.fraction() * total;
        self.0
            .partition_point(|sum| *sum <= wanted)
            .min(self.0.len().saturating_sub(1))
    }
}

/// SplitMix64 with a fixed start: each run asks for the same.
struct Random(u64);

impl Random {
    /// From 0 to below 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Popularity, Random};

    #[test]
    fn the_first_product_is_wanted_twice_as_often_as_the_second() {
        let popularity = Popularity::new(1000);
        let mut random = Random(7);
        let mut counts = vec![0.0_f64; 1000];
        for _ in 0..200_000 {
            counts[popularity.draw(&mut random)] += 1.0;
        }
        assert!((counts[0] / counts[1] - 2.0).abs() < 0.1, "{counts:?}");
        assert!((counts[0] / counts[9] - 10.0).abs() < 1.0, "{counts:?}");
    }
}
