//! A shop on a group of agents.

use std::time::{Duration, Instant};

use panono_tests::agents::{DATABASE, faulted_agents};
use panono_tests::shop::Environment;
use panono_tests::wait::wait_until;

const GUARD: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn it_is_browsed_without_a_primary_and_sells_again() {
    let group = faulted_agents().await.unwrap();
    let environment = Environment::for_addresses(&group.addresses(), DATABASE);
    environment.run(&["migrate"]).await.unwrap();
    let shop = environment.serve().await.unwrap();
    let http = panono_tests::http::client();
    let status = async |url: String| -> anyhow::Result<u16> {
        Ok(http.get(url).send().await?.status().as_u16())
    };
    let sells = async || -> anyhow::Result<()> {
        let cart = http
            .post(format!("{}/api/v1/carts", shop.url()))
            .json(&serde_json::json!({}))
            .send()
            .await?;
        anyhow::ensure!(cart.status() == 201, "{}", cart.status());
        Ok(())
    };
    wait_until("the shop to sell", GUARD, async || sells().await)
        .await
        .unwrap();
    let primary = group.primary().await.unwrap();
    group.member(primary).power_off().unwrap();
    let start = Instant::now();
    let mut seen = Vec::new();
    wait_until("the shop to sell again", GUARD, async || {
        seen.push(status(format!("{}/en", shop.url())).await?);
        seen.push(status(format!("{}/readyz", shop.operations_url())).await?);
        sells().await
    })
    .await
    .unwrap();
    println!(
        "the shop sells again {:?} after the loss of the primary; browsed {} times meanwhile",
        start.elapsed(),
        seen.len() / 2
    );
    assert!(
        seen.iter().all(|status| *status == 200),
        "pages and readiness without a primary: {seen:?}"
    );
    group.heal().await.unwrap();
}
