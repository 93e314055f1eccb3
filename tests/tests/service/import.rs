//! Imports, as an operator runs them, against a real database.

mod again;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use panono_shop::db::{Arrangement, DatabaseConfig, Db, PoolSize};
use panono_shop::export::{self, ExportArgs};
use panono_shop::import::{self, ImportArgs, ShopSettings, Summary};
use panono_shop::media::MediaStore;
use panono_shop::seed::{self, SeedArgs};
use panono_tests::mysql::TestDatabase;
use panono_tests::wait::wait_until;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{ConnectOptions, MySqlConnection, Row};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    import: ImportArgs,
}

struct Shop {
    db: Db,
    connection: MySqlConnection,
    settings: ShopSettings,
    url: String,
}

#[derive(Parser)]
struct SeedCommand {
    #[command(flatten)]
    seed: SeedArgs,
}

#[derive(Parser)]
struct ExportCommand {
    #[command(flatten)]
    export: ExportArgs,
}

fn database(options: MySqlConnectOptions) -> Db {
    Db::start(DatabaseConfig {
        arrangement: Arrangement::Fixed,
        members: vec![options.ssl_mode(MySqlSslMode::Disabled)],
        pool: PoolSize {
            min: 1,
            max: 4,
            acquire: Duration::from_secs(10),
        },
        write_deadline: Duration::from_secs(60),
        read_only: false,
    })
}

fn settings() -> Result<ShopSettings> {
    Ok(ShopSettings {
        currencies: vec!["USD".parse()?, "EUR".parse()?],
        locales: vec!["en".parse()?, "de".parse()?, "zh-cn".parse()?],
    })
}

impl Shop {
    async fn new() -> Result<Self> {
        let own = TestDatabase::shared().await?;
        let mut connection = own.connect().await?;
        panono_shop::migrations::MIGRATOR
            .run(&mut connection)
            .await
            .context("migrations")?;
        let url = own.writer_url().await?;
        Ok(Self {
            db: database(url.parse()?),
            connection,
            settings: settings()?,
            url,
        })
    }

    async fn another(&self) -> Result<MySqlConnection> {
        let options: MySqlConnectOptions = self.url.parse()?;
        Ok(options.ssl_mode(MySqlSslMode::Disabled).connect().await?)
    }

    async fn import(&self, arguments: &[&str]) -> Result<Summary> {
        let command =
            Command::try_parse_from(std::iter::once("import").chain(arguments.iter().copied()))?;
        Ok(Box::pin(import::run(&command.import, &self.db, &self.settings, None)).await?)
    }

    async fn count(&mut self, query: &str) -> Result<i64> {
        Ok(sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_one(&mut self.connection)
            .await?
            .get(0))
    }
}

/// A published catalogue that lies beside the repository on some machines.
fn catalogue(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    path.exists().then(|| path.display().to_string())
}

fn written(name: &str, text: &[u8]) -> Result<(tempfile::TempDir, String)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    std::fs::File::create(&path)?.write_all(text)?;
    let shown = path.display().to_string();
    Ok((folder, shown))
}

#[tokio::test]
async fn every_statement_of_the_import_is_understood_by_the_database() -> Result<()> {
    let mut shop = Shop::new().await?;
    for (name, statement) in panono_shop::import::statements()
        .chain(export::store::STATEMENTS.iter().copied())
        .chain(seed::store::STATEMENTS.iter().copied())
    {
        let explained = format!("EXPLAIN {statement}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(explained.as_str()));
        for _ in 0..statement.matches('?').count() {
            query = query.bind("[]");
        }
        query
            .fetch_all(&mut shop.connection)
            .await
            .with_context(|| name.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn sprees_sample_catalogue_arrives_complete_and_a_second_import_changes_nothing() -> Result<()>
{
    let (Some(products), Some(translations)) = (
        catalogue("spree-products.csv"),
        catalogue("spree-product-translations.csv"),
    ) else {
        return Ok(());
    };
    let mut shop = Shop::new().await?;
    let arguments = [
        products.as_str(),
        "--format",
        "spree",
        "--translations",
        translations.as_str(),
    ];
    let first = shop.import(&arguments).await?;
    let counters = first.counters;
    assert_eq!(counters.products_refused, 0);
    assert_eq!(first.exit_code(), 0);
    assert_eq!(counters.products_created, 37);
    assert_eq!(counters.variants_created, 87);
    assert_eq!(counters.prices_created, 174);
    assert_eq!(counters.stock_created, 87);
    assert_eq!(shop.count("SELECT COUNT(*) FROM product").await?, 37);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_translation")
            .await?,
        111
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM price WHERE currency = 'EUR'")
            .await?,
        87
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM product_media").await?, 124);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_media WHERE variant_id IS NOT NULL")
            .await?,
        87
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM listing WHERE category_id = 0 AND currency = 'USD'")
            .await?,
        37
    );
    assert_eq!(
        shop.count("SELECT amount FROM price AS p JOIN variant AS v ON v.id = p.variant_id WHERE v.sku = 'TRAVEL-HAIR-DRYER-PINK' AND p.currency = 'EUR'").await?,
        3299
    );
    assert_eq!(
        shop.count(
            "SELECT weight_grams FROM variant WHERE sku = 'AUTOMATIC-ESPRESSO-MACHINE-SILVER'"
        )
        .await?,
        8981
    );

    let second = shop.import(&arguments).await?.counters;
    assert_eq!(
        (
            second.products_created,
            second.products_updated,
            second.products_refused
        ),
        (0, 0, 0)
    );
    assert_eq!(second.products_unchanged, 37);
    assert_eq!(second.additions_applied, 0);
    assert_eq!(
        (
            second.prices_created,
            second.stock_updated,
            second.variants_updated
        ),
        (0, 0, 0)
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product WHERE version > 1")
            .await?,
        37,
        "translations came in a batch of their own"
    );
    Ok(())
}

#[tokio::test]
async fn a_mapping_takes_the_dummyjson_catalogue() -> Result<()> {
    let Some(products) = catalogue("dummyjson-products.json") else {
        return Ok(());
    };
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shop/examples/dummyjson.toml")
        .display()
        .to_string();
    let mut shop = Shop::new().await?;
    let arguments = [products.as_str(), "--mapping", mapping.as_str()];
    let dry = shop
        .import(&[
            products.as_str(),
            "--mapping",
            mapping.as_str(),
            "--dry-run",
        ])
        .await?;
    assert_eq!(dry.counters.products_created, 194);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product").await?,
        0,
        "a dry run writes nothing"
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM import_job").await?, 0);
    assert_eq!(shop.count("SELECT COUNT(*) FROM outbox").await?, 0);
    let first = shop.import(&arguments).await?;
    assert_eq!(dry.counters, first.counters, "a dry run says what will be");
    assert_eq!(
        (
            first.counters.products_created,
            first.counters.variants_created
        ),
        (194, 194)
    );
    assert_eq!(first.counters.brands_created, 63);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_category").await?,
        194
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM product_media").await?, 474);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_attribute").await?,
        582
    );
    // 9.99 less 10.48 % is 8.943.
    assert_eq!(shop.count("SELECT amount FROM price AS p JOIN variant AS v ON v.id = p.variant_id WHERE v.sku = 'BEA-ESS-ESS-001'").await?, 894);
    assert_eq!(shop.count("SELECT compare_at FROM price AS p JOIN variant AS v ON v.id = p.variant_id WHERE v.sku = 'BEA-ESS-ESS-001'").await?, 999);
    let second = shop.import(&arguments).await?.counters;
    assert_eq!(
        (
            second.products_created,
            second.products_updated,
            second.products_unchanged
        ),
        (0, 0, 194)
    );
    Ok(())
}

const DAMAGED: &[u8] = b"slug,name:en,sku,price:USD,on_hand,status,categories\n\
good,Good,GOOD-1,1.00,5,active,Home > Kitchen\n\
price,Price,PRICE-1,1.2.3,5,active,Home\n\
negative,Negative,NEG-1,-1,5,active,Home\n\
nosku,No SKU,,1.00,5,active,Home\n\
taken,Taken,GOOD-1,1.00,5,active,Home\n\
good,Good again,GOOD-2,1.00,5,active,Home\n\
status,Status,STATUS-1,1.00,5,sold,Home\n\
columns,Columns,COL-1,1.00\n\
utf8,\xff\xfe,UTF-1,1.00,5,active,Home\n\
cycle,Cycle,CYCLE-1,1.00,5,active,Home > home\n\
quote,\"Quote,Q-1,1.00,5,active,Home\n\
Bad Slug,Slug,SLUG-1,1.00,5,active,Home\n\
last,Last,LAST-1,2.00,0,active,Home > Garden\n";

#[tokio::test]
async fn a_damaged_file_gives_its_good_rows_and_names_the_bad_ones() -> Result<()> {
    let mut shop = Shop::new().await?;
    let (folder, file) = written("damaged.csv", DAMAGED)?;
    let report = folder.path().join("report.csv").display().to_string();
    let summary = shop.import(&[&file, "--report", &report]).await?;
    assert_eq!(summary.exit_code(), 3);
    assert_eq!(
        (
            summary.counters.products_created,
            summary.counters.products_refused
        ),
        (2, 11)
    );
    let text = std::fs::read_to_string(&report)?;
    for (line, problem) in [
        (3, "bad_number"),
        (4, "negative"),
        (5, "missing"),
        (6, "duplicate_sku"),
        (7, "duplicate_slug"),
        (8, "unknown_value"),
        (9, "column_count"),
        (10, "invalid_utf8"),
        (11, "bad_category"),
        (12, "broken_quoting"),
        (13, "bad_slug"),
    ] {
        let named = text.lines().any(|row| {
            row.starts_with(&format!("refused,damaged.csv,{line},")) && row.contains(problem)
        });
        assert!(named, "line {line} {problem}:\n{text}");
    }
    assert_eq!(shop.count("SELECT COUNT(*) FROM category").await?, 3);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM category_closure").await?,
        5
    );
    Ok(())
}

/// What a shop exports comes back without any change, in both encodings, and makes the same shop elsewhere.
#[tokio::test]
async fn an_export_imports_back_without_a_change() -> Result<()> {
    let mut shop = Shop::new().await?;
    let (folder, file) = written(
        "products.jsonl",
        r#"{"slug":"mug","brand":"Kiln | Co","featured":3,"tags":["a|b","tea"],"categories":[["Home > Garden","Cups"],["Sale"]],"published_at":"2026-01-01T00:00:00.123456Z","unpublished_at":null,"texts":{"en":{"name":"Mug, \"large\"","description":"One.\n\nTwo.","seo_title":"Mug"},"zh-CN":{"name":"杯子"}},"attributes":[{"code":"material","values":["Clay","Glaze | matt"]},{"code":"power","kind":"number","unit":"W","name":"Power: all","values":["12.5"]}],"options":[{"name":"Size","values":["S","M","L"]},{"name":"Color","values":["Red"]}],"variants":[{"sku":"M-L","options":[{"name":"Size","value":"L"},{"name":"Color","value":"Red"}],"prices":[{"currency":"USD","amount":"12.00","compare_at":"15.00"},{"currency":"USD","amount":"9.00","starts_at":"2099-12-01T00:00:00Z","ends_at":"2099-12-31T00:00:00Z"},{"currency":"USD","amount":"10.00","starts_at":"2020-12-01T00:00:00Z","ends_at":"2098-12-31T00:00:00Z"},{"currency":"EUR","amount":"11.00"}],"stock":{"tracked":true,"on_hand":5,"backorder_limit":2,"low_threshold":1},"barcode":"4006381333931","weight_grams":320,"height_mm":95},{"sku":"M-S","options":[{"name":"Size","value":"S"},{"name":"Color","value":"Red"}],"stock":{"tracked":false}}],"media":[{"url":"https://example.org/1.webp","alt":"Side"},{"url":"https://example.org/2.webp","sku":"M-S"},{"url":"https://example.org/3.webp"}]}
{"slug":"draft","status":"draft","texts":{"de":{"name":"Entwurf"}},"variants":[{"sku":"D"}]}
"#
        .as_bytes(),
    )?;
    assert_eq!(shop.import(&[&file]).await?.counters.products_created, 2);
    if let Some(products) = catalogue("spree-products.csv") {
        shop.import(&[&products, "--format", "spree"]).await?;
    }
    let products = shop.count("SELECT COUNT(*) FROM product").await?;
    for name in ["all.csv", "all.jsonl"] {
        let exported = folder.path().join(name).display().to_string();
        let command = ExportCommand::try_parse_from(["export", exported.as_str()])?;
        let count = export::run(&command.export, &shop.db, &shop.settings).await?;
        assert_eq!(i64::try_from(count)?, products);
        let counters = shop.import(&[&exported]).await?.counters;
        assert_eq!(
            (
                counters.products_created,
                counters.products_updated,
                counters.products_refused
            ),
            (0, 0, 0),
            "{name}"
        );
        assert_eq!(i64::try_from(counters.products_unchanged)?, products);
        assert_eq!((counters.prices_created, counters.prices_ended), (0, 0));

        let mut other = Shop::new().await?;
        let counters = other.import(&[&exported]).await?.counters;
        assert_eq!(
            i64::try_from(counters.products_created)?,
            products,
            "{name}"
        );
        for table in [
            "price",
            "variant_option",
            "product_attribute",
            "product_category",
            "product_media",
            "product_translation",
            "category",
        ] {
            let query = format!("SELECT COUNT(*) FROM {table}");
            assert_eq!(
                other.count(&query).await?,
                shop.count(&query).await?,
                "{name}: {table}"
            );
        }
        let prices = "SELECT price FROM listing AS l JOIN product AS p ON p.id = l.product_id WHERE slug = 'mug' AND category_id = 0 AND currency = 'USD'";
        assert_eq!(
            (shop.count(prices).await?, other.count(prices).await?),
            (1000, 1000),
            "the price that runs now"
        );
    }
    Ok(())
}

const CHILD: &str = "PANONO_TEST_IMPORT_CHILD";

/// Not a test by itself: the program that the next test kills.
#[tokio::test]
async fn an_import_in_a_process_of_its_own() -> Result<()> {
    let Ok(arguments) = std::env::var(CHILD) else {
        return Ok(());
    };
    let (url, file) = arguments.split_once(' ').context("two arguments")?;
    let options: MySqlConnectOptions = url.parse()?;
    let db = database(options);
    let command = Command::try_parse_from(["import", file])?;
    Box::pin(import::run(&command.import, &db, &settings()?, None)).await?;
    Ok(())
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_after_its_last_batch() -> Result<()> {
    const PRODUCTS: u64 = 8_000;
    let mut shop = Shop::new().await?;
    let mut text = String::from("slug,name:en,sku,price:USD,on_hand\n");
    for number in 0..PRODUCTS {
        text.push_str(&format!(
            "p-{number},Product {number},SKU-{number},{number}.00,3\n"
        ));
    }
    let (_folder, file) = written("many.csv", text.as_bytes())?;
    let mut child = std::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "import::an_import_in_a_process_of_its_own"])
        .env(CHILD, format!("{} {file}", shop.url))
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let progress = wait_until("the first batches", Duration::from_secs(60), async || {
        let mut connection = shop.another().await.ok()?;
        let records: Option<i64> = sqlx::query_scalar("SELECT records FROM import_job")
            .fetch_optional(&mut connection)
            .await
            .ok()?;
        records.filter(|records| *records >= 400)
    })
    .await;
    child.kill()?;
    child.wait()?;
    progress?;
    let before = wait_until(
        "the transaction of the killed process to end",
        Duration::from_secs(60),
        async || {
            let mut connection = shop.another().await.ok()?;
            sqlx::query_scalar::<_, i64>("SELECT records FROM import_job FOR UPDATE")
                .fetch_one(&mut connection)
                .await
                .ok()
        },
    )
    .await?;
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product").await?,
        before,
        "the job and its products are committed together"
    );
    let summary = shop.import(&[&file]).await?;
    assert_eq!(summary.resumed_at, u64::try_from(before)?);
    assert!(summary.resumed_at < PRODUCTS, "it was killed on its way");
    assert_eq!(
        (
            summary.counters.products_created,
            summary.counters.products_updated
        ),
        (PRODUCTS, 0)
    );
    assert_eq!(
        summary.counters.variants_created,
        PRODUCTS - summary.resumed_at
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product").await?,
        i64::try_from(PRODUCTS)?
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM listing WHERE category_id = 0")
            .await?,
        i64::try_from(PRODUCTS)?
    );
    let again = shop.import(&[&file]).await?;
    assert_eq!(
        (again.resumed_at, again.counters.products_unchanged),
        (0, PRODUCTS)
    );
    Ok(())
}

#[tokio::test]
async fn small_catalogues_of_other_systems_arrive() -> Result<()> {
    let mut shop = Shop::new().await?;
    let (_shopify, shopify) = written(
        "shopify.csv",
        b"Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src,Image Position\n\
          tee,Tee,<p>Soft.</p>,Oak,Shirts,\"cotton, new\",true,Size,S,TEE-S,150,4,20.00,25.00,https://example.org/1.jpg,1\n\
          tee,,,,,,,,M,TEE-M,150,2,20.00,,https://example.org/2.jpg,2\n",
    )?;
    let counters = shop
        .import(&[&shopify, "--format", "shopify"])
        .await?
        .counters;
    assert_eq!(
        (
            counters.products_created,
            counters.variants_created,
            counters.prices_created
        ),
        (1, 2, 2)
    );
    let (_magento, magento) = written(
        "magento.csv",
        b"sku,store_view_code,product_type,categories,name,price,url_key,product_online,configurable_variations,additional_attributes,qty\n\
          H-S,,simple,,Hoodie S,52,,1,,,7\n\
          H,,configurable,\"Default Category/Men,Default Category/Sale\",Hoodie,,hoodie,1,\"sku=H-S,size=S|sku=H-M,size=M\",\"manufacturer=Oak,material=Wool\",\n\
          H,de,configurable,,Kapuzenpulli,,,,,,\n\
          H-M,,simple,,Hoodie M,54,,1,,,0\n",
    )?;
    let counters = shop
        .import(&[&magento, "--format", "magento"])
        .await?
        .counters;
    assert_eq!(
        (
            counters.products_created,
            counters.variants_created,
            counters.products_refused
        ),
        (1, 2, 0)
    );
    assert_eq!(
        (counters.categories_created, counters.brands_created),
        (2, 0),
        "the brand is there already"
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_translation WHERE locale = 'de'")
            .await?,
        1
    );
    for (file, format) in [(&shopify, "shopify"), (&magento, "magento")] {
        let counters = shop.import(&[file, "--format", format]).await?.counters;
        assert_eq!(
            (counters.products_updated, counters.products_unchanged),
            (0, 1),
            "{format}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_demo_and_a_generated_catalogue_fill_a_shop_once() -> Result<()> {
    let mut shop = Shop::new().await?;
    let command = SeedCommand::try_parse_from(["seed", "--demo", "--products", "600"])?;
    let first = Box::pin(seed::run(&command.seed, &shop.db, &shop.settings, None))
        .await?
        .counters;
    assert_eq!(first.products_refused, 0);
    let demo = i64::try_from(seed::demo_products::DEMO.len())?;
    assert_eq!(i64::try_from(first.products_created)?, demo + 600);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_translation WHERE locale = 'zh-cn'")
            .await?,
        demo + 600
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM content_page").await?, 5);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM content_page_translation")
            .await?,
        10
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM category").await?,
        shop.count("SELECT COUNT(*) FROM category_translation WHERE locale = 'zh-cn'")
            .await?,
        "every category has a Chinese name"
    );
    for kind in ["compare_at IS NOT NULL", "starts_at > NOW()"] {
        assert!(
            shop.count(&format!("SELECT COUNT(*) FROM price WHERE {kind}"))
                .await?
                > 20,
            "{kind}"
        );
    }
    for band in ["in_stock", "low", "out"] {
        assert!(
            shop.count(&format!(
                "SELECT COUNT(*) FROM listing WHERE category_id = 0 AND band = '{band}'"
            ))
            .await?
                > 0,
            "{band}"
        );
    }
    let purges = shop.count("SELECT COUNT(*) FROM outbox").await?;
    let second = Box::pin(seed::run(&command.seed, &shop.db, &shop.settings, None))
        .await?
        .counters;
    assert_eq!((second.products_created, second.products_updated), (0, 0));
    assert_eq!(i64::try_from(second.products_unchanged)?, demo + 600);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM outbox").await?,
        purges,
        "nothing changed, so nothing is purged"
    );
    Ok(())
}

#[tokio::test]
async fn pictures_beside_the_file_go_into_the_media_store() -> Result<()> {
    let mut shop = Shop::new().await?;
    let (folder, file) = written(
        "pictures.csv",
        b"slug,name:en,sku,price:USD,image_url,image_alt\na,A,A-1,1.00,/a/front.png,Front\na,,,,missing.png,\na,,,,../secret.png,\n",
    )?;
    let pictures = folder.path().join("pictures");
    std::fs::create_dir_all(pictures.join("a"))?;
    std::fs::write(pictures.join("a/front.png"), ONE_PIXEL)?;
    let place = tempfile::tempdir()?;
    let media = MediaStore::open(
        &format!("file://{}", place.path().display()),
        &std::collections::BTreeMap::new(),
    )
    .await?;
    let folder = pictures.display().to_string();
    let command = Command::try_parse_from(["import", &file, "--media-dir", &folder])?;
    let first = Box::pin(import::run(
        &command.import,
        &shop.db,
        &shop.settings,
        Some(&media),
    ))
    .await?;
    assert_eq!((first.counters.products_created, first.exit_code()), (1, 0));
    assert_eq!(shop.count("SELECT COUNT(*) FROM product_media").await?, 3);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_media JOIN media USING (hash)")
            .await?,
        1
    );
    let second = Box::pin(import::run(
        &command.import,
        &shop.db,
        &shop.settings,
        Some(&media),
    ))
    .await?;
    assert_eq!(second.counters.products_unchanged, 1);
    let error = shop
        .import(&[&file, "--media-dir", &folder])
        .await
        .err()
        .context("no media store")?;
    assert!(error.to_string().contains("--media-dir"), "{error}");
    Ok(())
}

/// A PNG of one grey pixel.
const ONE_PIXEL: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3A, 0x7E, 0x9B,
    0x55, 0x00, 0x00, 0x00, 0x0A, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0x68, 0x00, 0x00, 0x00,
    0x82, 0x00, 0x81, 0x77, 0xCD, 0x72, 0xB6, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE,
    0x42, 0x60, 0x82,
];
