//! Money over HTTP: every card of the test provider, Stripe's protocol with its failures, messages, staff, returns.

mod cards;
mod messages;
mod returns;
mod stripe;

use std::time::Duration;

use anyhow::{Context, Result};
use panono_tests::fake::stripe::{FakeStripe, SECRET_KEY, WEBHOOK_SECRET};
use panono_tests::market::{Buyer, Cart, Market, PRICE, Reply, SHIPPING};
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::Environment;
use panono_tests::wait::wait_until;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);
/// What an order of two pieces costs.
const TOTAL: i64 = 2 * PRICE + SHIPPING;

async fn market() -> Result<(TestDatabase<'static>, Market)> {
    let database = TestDatabase::shared().await?;
    database.migrate().await?;
    let market = Market::open(&database, 2, 1_000).await?;
    Ok((database, market))
}

/// The shop with Stripe at this address.
pub(crate) fn with_stripe(environment: &Environment, url: &str) -> Environment {
    environment
        .clone()
        .with("PANONO_STRIPE_SECRET_KEY", SECRET_KEY)
        .with("PANONO_STRIPE_PUBLISHABLE_KEY", "pk_test_panono")
        .with(
            "PANONO_STRIPE_WEBHOOK_SECRETS",
            &format!("whsec_next,{WEBHOOK_SECRET}"),
        )
        .with("PANONO_STRIPE_API_URL", url)
}

/// A shop whose only payment provider, apart from the test provider, is a fake Stripe.
async fn stripe_market() -> Result<(TestDatabase<'static>, Market, FakeStripe)> {
    let (database, mut market) = market().await?;
    let stripe = FakeStripe::start().await;
    market.environment = with_stripe(&market.environment, &stripe.url());
    Ok((database, market, stripe))
}

/// A cart of two pieces.
async fn cart(market: &Market) -> Result<Cart> {
    market
        .cart(&[(market.variants[0], 1), (market.variants[1], 1)], None)
        .await
}

async fn pay(buyer: &Buyer, cart: &Cart, provider: &str, token: &str) -> Result<Reply> {
    let body = json!({ "expected_total": cart.total, "payment": { "provider": provider, "token": token } });
    buyer.send(&cart.id, Some(&cart.id), &body).await
}

/// The number of an order, and the key of its link.
fn order_of(reply: &Reply) -> Result<(String, String)> {
    let number = reply
        .placed()
        .with_context(|| format!("it was not placed: {reply:?}"))?;
    let url = reply.body["url"].as_str().context("no link")?;
    let key = url.split("key=").nth(1).context("no key")?;
    Ok((number.to_owned(), key.to_owned()))
}

/// A column of the only order.
async fn order(market: &Market, column: &'static str) -> Result<String> {
    let statement = match column {
        "state" => "SELECT state FROM orders ORDER BY id DESC LIMIT 1",
        _ => "SELECT payment_state FROM orders ORDER BY id DESC LIMIT 1",
    };
    Ok(sqlx::query_scalar(statement)
        .fetch_one(&market.pool)
        .await?)
}

async fn wait_for_payment_state(market: &Market, wanted: &str) -> Result<()> {
    wait_until("the order's payment", LIMIT, async || {
        let state = order(market, "payment_state").await?;
        anyhow::ensure!(state == wanted, "{state}, not {wanted}");
        anyhow::Ok(())
    })
    .await
}

async fn wait_for_state(market: &Market, wanted: &str) -> Result<()> {
    wait_until("the order", LIMIT, async || {
        let state = order(market, "state").await?;
        anyhow::ensure!(state == wanted, "{state}, not {wanted}");
        anyhow::Ok(())
    })
    .await
}

/// The public id of the latest payment.
async fn payment(market: &Market) -> Result<String> {
    Ok(
        sqlx::query_scalar("SELECT public_id FROM payment ORDER BY id DESC LIMIT 1")
            .fetch_one(&market.pool)
            .await?,
    )
}

/// No operation moved money that its payment does not count, and none is left open.
async fn sums_agree(market: &Market) -> Result<()> {
    let wrong = market
        .count(
            "SELECT COUNT(*) FROM payment p WHERE p.captured <> (SELECT COALESCE(SUM(amount), 0) FROM payment_operation o WHERE o.payment_id = p.id AND o.kind = 'capture' AND o.state <> 'failed') \
             OR p.refunded <> (SELECT COALESCE(SUM(amount), 0) FROM payment_operation o WHERE o.payment_id = p.id AND o.kind = 'refund' AND o.state <> 'failed')",
        )
        .await?;
    anyhow::ensure!(
        wrong == 0,
        "sums of {wrong} payments differ from their operations"
    );
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_fits_the_schema() -> Result<()> {
    use sqlx::{Executor as _, SqlSafeStr as _};

    let (_database, market) = market().await?;
    for (name, statement) in panono_shop::payments::statements() {
        market
            .pool
            .prepare(statement.into_sql_str())
            .await
            .with_context(|| name)?;
    }
    Ok(())
}
