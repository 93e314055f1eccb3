//! A seeded shop to measure.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, StatusCode};

use crate::mysql::{MysqlGroup, TestDatabase};
use crate::process::{Folder, Process};
use crate::shop::Environment;

use super::say;

/// A catalogue of a hundred thousand products takes its time.
const SEED_LIMIT: Duration = Duration::from_secs(3600);
const PRODUCTS: &str = "SELECT p.slug, MIN(v.id) FROM product AS p JOIN variant AS v ON v.product_id = p.id \
    WHERE p.status = 'active' AND p.published_at <= UTC_TIMESTAMP(6) AND p.unpublished_at IS NULL \
    AND v.status = 'active' GROUP BY p.id, p.slug ORDER BY p.id";

/// A product that shoppers see.
#[derive(Clone, Debug)]
pub struct Product {
    /// The last part of its address.
    pub slug: String,
    /// The id of one of its variants.
    pub variant: i64,
}

impl Product {
    /// Where the API has it.
    pub fn json(&self) -> String {
        format!("/api/v1/catalog/products/{}", self.slug)
    }

    /// Where the storefront has it.
    pub fn html(&self) -> String {
        format!("/en/p/{}", self.slug)
    }
}

/// A database with a catalogue, and what processes of its shop are started with.
#[derive(Debug)]
pub struct Bed<'group> {
    /// Where the catalogue is.
    pub database: TestDatabase<'group>,
    /// For the shop's processes. No cache server.
    pub environment: Environment,
    /// What shoppers see of the catalogue.
    pub products: Vec<Product>,
    _media: Folder,
}

impl<'group> Bed<'group> {
    /// Makes a database with this many products, of which some are drafts.
    ///
    /// # Errors
    /// When it cannot be filled.
    pub async fn new(group: &'group MysqlGroup, products: usize) -> Result<Self> {
        let database = TestDatabase::create(group).await?;
        let media = Folder::new("media")?;
        let environment = Environment::for_members(group, database.name())
            .with_media(media.path())
            .with("PANONO_LOG", "warn");
        environment.run(&["migrate"]).await?;
        say(&format!("seeding {products} products"));
        let folder = Folder::new("seed")?;
        let process = Process::start(
            "panono-shop seed",
            environment.command(&["seed", "--products", &products.to_string()])?,
            &folder.path().join("log"),
        )?;
        let status = process.wait(SEED_LIMIT).await?;
        if !status.success() {
            bail!("the seed ended with {status}:\n{}", process.log_tail(20));
        }
        let rows: Vec<(String, i64)> = sqlx::query_as(PRODUCTS)
            .fetch_all(&mut database.connect().await?)
            .await
            .context("failed to list the products")?;
        let products = rows
            .into_iter()
            .map(|(slug, variant)| Product { slug, variant })
            .collect();
        Ok(Self {
            database,
            environment,
            products,
            _media: media,
        })
    }

    /// So many of the products, from the `first` on.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn some(&self, first: usize, count: usize) -> Result<&[Product]> {
        self.products
            .get(first..first + count)
            .with_context(|| format!("the catalogue has {} products only", self.products.len()))
    }
}

/// Reads an address as an edge does, and returns the length of the answer.
///
/// # Errors
/// When the answer is not 200.
pub async fn read(client: &Client, url: &str) -> Result<usize> {
    let answer = client
        .get(url)
        .header("accept-encoding", "gzip")
        .send()
        .await
        .with_context(|| format!("failed to ask for {url}"))?;
    let status = answer.status();
    let body = answer.bytes().await.context("failed to read an answer")?;
    if status != StatusCode::OK {
        bail!("{url}: {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body.len())
}

/// Reads addresses, so many at a time.
///
/// # Errors
/// When one of the answers is not 200.
pub async fn read_all(client: &Client, urls: Vec<String>, concurrency: usize) -> Result<()> {
    stream::iter(urls)
        .map(|url| async move { read(client, &url).await.map(drop) })
        .buffer_unordered(concurrency)
        .try_collect()
        .await
}
