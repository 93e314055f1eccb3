//! The API against its own description: schemathesis sends what fits and what does not, and looks for failures of the server and
//! for answers that are not described.
//!
//! `PANONO_FUZZ_EXAMPLES` says how many requests it makes up for each operation, beside those that it derives from the description.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use panono_tests::market::Market;
use panono_tests::mysql::TestDatabase;
use panono_tests::process::{Folder, Process};
use panono_tests::shop::Shop;
use panono_tests::staff::Staff;
use panono_tests::{http, tools};
use serde_json::json;

/// A thorough run on a busy machine.
const LIMIT: Duration = Duration::from_secs(3600);
/// Requests that are made up for each operation in a run of all tests.
const EXAMPLES: &str = "5";

struct Bed {
    _database: TestDatabase<'static>,
    market: Market,
    shop: Shop,
    _media: Folder,
}

impl Bed {
    async fn start() -> Result<Self> {
        let database = TestDatabase::shared().await?;
        database.migrate().await?;
        let media = Folder::new("media")?;
        let mut market = Market::open(&database, 3, 100).await?;
        market.environment = market.environment.with_media(media.path());
        let shop = market.environment.serve().await?;
        Ok(Self {
            _database: database,
            market,
            shop,
            _media: media,
        })
    }

    /// Tries the operations whose paths are chosen by these arguments.
    async fn fuzz(&self, arguments: &[&str]) -> Result<()> {
        let folder = Folder::new("fuzz")?;
        let examples = std::env::var("PANONO_FUZZ_EXAMPLES");
        let mut command = Command::new(tools::program("schemathesis")?);
        command
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .arg("--config-file")
            .arg(tools::repository().join("tests/schemathesis.toml"))
            .args(["run", &format!("{}/openapi.json", self.shop.url())])
            .args(["--phases", "coverage,fuzzing", "--workers", "2"])
            .args(["--max-examples", examples.as_deref().unwrap_or(EXAMPLES)])
            // The same requests each time: a test must not fail by chance.
            .args(["--seed", "1", "--generation-database", "none", "--no-color"])
            .args(["--suppress-health-check", "all"])
            .args(arguments);
        let process = Process::start("schemathesis", command, &folder.path().join("log"))?;
        let status = process.wait(LIMIT).await?;
        let log = process.log_text();
        ensure!(status.success(), "schemathesis: {status}\n{log}");
        println!("{log}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_the_staff_does_what_its_description_says() -> Result<()> {
    let bed = Bed::start().await?;
    let staff = Staff::new(&bed.market.environment, &bed.shop.url()).await?;
    let header = format!("Authorization: Bearer {}", staff.token());
    bed.fuzz(&[
        "--include-path-regex",
        "^/api/v1/admin/",
        "--header",
        &header,
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_for_everybody_does_what_its_description_says() -> Result<()> {
    let bed = Bed::start().await?;
    bed.fuzz(&["--exclude-path-regex", "^/api/v1/admin/"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_customers_does_what_its_description_says() -> Result<()> {
    let bed = Bed::start().await?;
    let url = bed.shop.url();
    let client = http::client();
    let account =
        json!({ "email": "ada@shop.example", "password": "a long enough sentence", "name": "Ada" });
    let registered = client
        .post(format!("{url}/api/v1/auth/register"))
        .json(&account)
        .send()
        .await?;
    ensure!(registered.status() == 202, "{}", registered.status());
    let login = client
        .post(format!("{url}/api/v1/auth/login"))
        .json(&account)
        .send()
        .await?;
    ensure!(login.status() == 200, "{}", login.text().await?);
    let cookie = login.headers()["set-cookie"].to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default();
    bed.fuzz(&[
        "--include-path-regex",
        "^/api/v1/(me|carts|orders|session)",
        // The session is to last until all is tried.
        "--exclude-path-regex",
        "^/api/v1/me/(sessions|erasure|password)",
        "--header",
        &format!("Cookie: {cookie}"),
        "--header",
        "Sec-Fetch-Site: same-origin",
    ])
    .await
}
