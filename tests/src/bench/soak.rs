//! `make soakproducts`: a catalogue of a million products, imported as a merchant would, and looked at as a shopper would.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::http;
use crate::mysql::{MysqlGroup, TestDatabase};
use crate::process::{Folder, Process, resident_mib};
use crate::shop::{Environment, Shop};
use crate::wait::wait_until;

use super::say;

const PRODUCTS: usize = 1_000_000;
const IMPORT_LIMIT: Duration = Duration::from_hours(12);
/// Memory of the import at its end, over what it held when a tenth was done: what a constant may vary.
const GROWTH: f64 = 1.25;
const GROWTH_MIB: f64 = 16.0;
/// Rows that the database may look at for one page, however many products there are. Counting ends at 10,000 products and
/// facets are counted over 20,000.
const ROWS: u64 = 150_000;
/// By the protocol of sitemaps.
const ADDRESSES: usize = 50_000;
const SITEMAP_BYTES: usize = 50 * 1024 * 1024;
const LOCALES: usize = 2;

/// Imports `SOAK_PRODUCTS` products, a million unless it is set, and prints what it took and what pages take then.
///
/// # Errors
/// When a part does not start, or something is not as it should be.
pub async fn run() -> Result<()> {
    let products = match std::env::var("SOAK_PRODUCTS") {
        Ok(text) => text
            .parse()
            .context("SOAK_PRODUCTS must be a number of products")?,
        Err(_) => PRODUCTS,
    };
    let group = MysqlGroup::start(1).await?;
    let database = TestDatabase::create(&group).await?;
    let folder = Folder::new("soak")?;
    let environment = Environment::for_members(&group, database.name())
        .with_media(folder.path())
        .with("PANONO_LOG", "warn");
    environment.run(&["migrate"]).await?;
    let file = folder.path().join("products.csv");
    write_products(&file, products)?;
    import(&environment, &database, &file, products).await?;
    let shop = environment.serve().await?;
    pages(&shop, &database).await?;
    sitemaps(&shop, products).await?;
    println!("resident_mib {:.0}", resident_mib(shop.process().id())?);
    Ok(())
}

/// A file of the shop's own format: half of all products in one category, the others in 500.
fn write_products(path: &Path, products: usize) -> Result<()> {
    let file = std::fs::File::create(path).context("failed to write the products")?;
    let mut file = BufWriter::new(file);
    writeln!(
        file,
        "slug,status,published_at,brand,categories,name:en,description:en,attribute:color,attribute:size,sku,price:USD,on_hand"
    )?;
    for number in 0..products {
        let category = if number % 2 == 0 {
            "Everything".to_owned()
        } else {
            format!("Shelf {}", number % 1000 / 2)
        };
        writeln!(
            file,
            "soak-{number},active,2026-01-01,Brand {},{category},Thing {number} group{},A thing of the soak,color{},size{},SOAK-{number},{}.{:02},{}",
            number % 1000,
            number % 5000,
            number % 50,
            number % 7,
            1 + number % 900,
            number % 100,
            number % 30,
        )?;
    }
    file.flush().context("failed to write the products")
}

async fn import(
    environment: &Environment,
    database: &TestDatabase<'_>,
    file: &Path,
    products: usize,
) -> Result<()> {
    let mut connection = database.connect().await?;
    let path = file.to_string_lossy().into_owned();
    let folder = Folder::new("import")?;
    let command = environment.command(&["import", &path, "--format", "panono"])?;
    let started = Instant::now();
    let process = Process::start("import", command, &folder.path().join("log"))?;
    let (mut at_a_tenth, mut peak, mut told) = (None, 0.0_f64, 0);
    let status = wait_until("the import to end", IMPORT_LIMIT, async || {
        if let Some(status) = process.ended()? {
            return Ok(status);
        }
        peak = peak.max(resident_mib(process.id()).unwrap_or(0.0));
        // Not the highest id: an INSERT … SELECT takes ids in powers of two.
        let done: Option<i64> = sqlx::query_scalar("SELECT MAX(created) FROM import_job")
            .fetch_one(&mut connection)
            .await?;
        let tenths = usize::try_from(done.unwrap_or(0)).unwrap_or(0) * 10 / products.max(1);
        if tenths > told {
            told = tenths;
            say(&format!(
                "{tenths} of 10 imported after {:.0?}, at most {peak:.0} MiB so far",
                started.elapsed()
            ));
        }
        if tenths >= 1 && at_a_tenth.is_none() {
            at_a_tenth = Some(peak);
        }
        anyhow::bail!("it runs")
    })
    .await?;
    ensure!(status.success(), "{status}: {}", process.log_tail(30));
    let seconds = started.elapsed().as_secs_f64();
    let at_a_tenth = at_a_tenth.unwrap_or(peak);
    println!("import_products_per_s {:.0}", products as f64 / seconds);
    println!("import_resident_mib_at_a_tenth {at_a_tenth:.0}");
    println!("import_resident_mib_peak {peak:.0}");
    ensure!(
        peak <= at_a_tenth * GROWTH + GROWTH_MIB,
        "the import held {at_a_tenth:.0} MiB when a tenth was done and {peak:.0} MiB later"
    );
    let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product WHERE status = 'active'")
        .fetch_one(&mut connection)
        .await?;
    ensure!(
        usize::try_from(found).ok() == Some(products),
        "{found} of {products} products arrived:\n{}",
        process.log_tail(30)
    );
    Ok(())
}

/// Rows that the database has looked at for this shop so far.
async fn examined(database: &TestDatabase<'_>) -> Result<u64> {
    let sum = format!(
        "SELECT CAST(COALESCE(SUM(SUM_ROWS_EXAMINED), 0) AS CHAR) FROM performance_schema.events_statements_summary_by_digest \
         WHERE SCHEMA_NAME = '{}' AND DIGEST_TEXT NOT LIKE '%performance_schema%'",
        database.name()
    );
    let text = database.group().primary().await?.value(&sum).await?;
    text.parse()
        .with_context(|| format!("{text:?} is not a number of rows"))
}

async fn pages(shop: &Shop, database: &TestDatabase<'_>) -> Result<()> {
    let client = http::client();
    for (name, path) in [
        ("category", "/en/c/everything"),
        ("category_by_price", "/en/c/everything?sort=price_asc"),
        ("category_filtered", "/en/c/everything?f.color=color4"),
        ("category_small", "/en/c/shelf-7"),
        ("search_rare", "/en/search?q=group77"),
        ("search_common", "/en/search?q=thing"),
        ("product", "/en/p/soak-4711"),
        ("home", "/en"),
    ] {
        let before = examined(database).await?;
        let started = Instant::now();
        let answer = client.get(format!("{}{path}", shop.url())).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let took = started.elapsed();
        ensure!(status == 200, "{path}: {status}: {text}");
        ensure!(
            name == "home" || text.contains("/en/p/soak-"),
            "{path} shows no product"
        );
        let rows = examined(database).await? - before;
        println!("{name}_rows_examined {rows} ({took:.0?})");
        ensure!(
            rows <= ROWS,
            "{path}: the database looked at {rows} rows for one page"
        );
    }
    Ok(())
}

/// Each product is in exactly one file, in every language, and no file is larger than the protocol allows.
async fn sitemaps(shop: &Shop, products: usize) -> Result<()> {
    let client = http::client();
    let get = async |url: &str| -> Result<String> {
        let answer = client.get(url).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        ensure!(status == 200, "{url}: {status}");
        Ok(text)
    };
    let index = get(&format!("{}/sitemap.xml", shop.url())).await?;
    let shards: Vec<&str> = addresses(&index)
        .filter(|address| address.contains("/products-"))
        .collect();
    let mut seen = HashSet::new();
    for shard in &shards {
        let text = get(shard).await?;
        ensure!(
            text.len() <= SITEMAP_BYTES,
            "{shard} has {} bytes",
            text.len()
        );
        let mut count = 0;
        for address in addresses(&text) {
            count += 1;
            let mut hasher = DefaultHasher::new();
            address.hash(&mut hasher);
            ensure!(seen.insert(hasher.finish()), "{address} is there twice");
        }
        ensure!(
            (1..=ADDRESSES).contains(&count),
            "{shard} has {count} addresses"
        );
    }
    println!("sitemap_files {}", shards.len());
    println!("sitemap_addresses {}", seen.len());
    ensure!(
        seen.len() == products * LOCALES,
        "{} addresses of {products} products",
        seen.len()
    );
    Ok(())
}

fn addresses(xml: &str) -> impl Iterator<Item = &str> {
    xml.split("<loc>")
        .skip(1)
        .filter_map(|rest| rest.split_once("</loc>").map(|(address, _)| address))
}
