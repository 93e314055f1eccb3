//! The API against its own description: schemathesis sends what fits and what does not, and looks for failures of the server and
//! for answers that are not described.
//!
//! `PANONO_FUZZ_EXAMPLES` says how many requests it makes up for each operation, beside those that it derives from the description.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use panono_tests::process::{Folder, Process};
use panono_tests::staff::Staff;
use panono_tests::tools;

use crate::accounts::Bench;

/// A thorough run on a busy machine.
const LIMIT: Duration = Duration::from_secs(3600);
/// Requests that are made up for each operation in a run of all tests.
const EXAMPLES: &str = "5";

/// Tries the operations of a shop whose paths are chosen by these arguments, with `settings` besides those for all.
async fn fuzz(bench: &Bench, arguments: &[&str], settings: &str) -> Result<()> {
    let folder = Folder::new("fuzz")?;
    let for_all = std::fs::read_to_string(tools::repository().join("tests/schemathesis.toml"))?;
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, format!("{for_all}\n{settings}"))?;
    let examples = std::env::var("PANONO_FUZZ_EXAMPLES");
    let mut command = Command::new(tools::program("schemathesis")?);
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("{}/openapi.json", bench.shop.url())])
        // With several threads Python's own parser fails now and then ("AST constructor recursion depth mismatch").
        .args(["--phases", "coverage,fuzzing", "--workers", "1"])
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

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_the_staff_does_what_its_description_says() -> Result<()> {
    let (bench, market) = Bench::selling().await?;
    let staff = Staff::new(&market.environment, &bench.shop.url()).await?;
    let header = format!("Authorization: Bearer {}", staff.token());
    fuzz(
        &bench,
        &[
            "--include-path-regex",
            "^/api/v1/admin/",
            "--header",
            &header,
        ],
        "",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_for_everybody_does_what_its_description_says() -> Result<()> {
    let (bench, _market) = Bench::selling().await?;
    fuzz(&bench, &["--exclude-path-regex", "^/api/v1/admin/"], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_customers_does_what_its_description_says() -> Result<()> {
    let (bench, _market) = Bench::selling().await?;
    let customer = bench.customer("ada@shop.example").await?;
    let session = customer.session.unwrap_or_default();
    let chosen = [
        "--include-path-regex",
        "^/api/v1/(me|carts|orders|session)",
        // The session is to last until all is tried.
        "--exclude-path-regex",
        "^/api/v1/me/(sessions|erasure|password)",
        "--header",
        "Sec-Fetch-Site: same-origin",
    ];
    // So that it can leave the session out, too.
    let signed_in = format!("[auth.openapi.session]\napi_key = \"{session}\"\n");
    fuzz(&bench, &chosen, &signed_in).await
}
