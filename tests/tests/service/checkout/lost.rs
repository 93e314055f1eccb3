//! Answers of the database are lost, its primary dies, the cache dies: no order is lost and none is there twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use panono_tests::market::{Buyer, GOOD_CARD, Market};
use panono_tests::mysql::{TestDatabase, faulted_group};
use panono_tests::proxy::{Mode, Proxy};
use panono_tests::valkey::Valkey;
use panono_tests::wait::wait_until;

use super::{counted, market, order_all};

const LIMIT: Duration = Duration::from_secs(180);
/// Far more than a checkout has.
const MOST_COMMITS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_commit_was_not_answered_is_there_once() -> Result<()> {
    let (database, mut market) = market(1, 1_000).await?;
    let url = database.writer_url().await?;
    let address = url
        .rsplit('@')
        .next()
        .and_then(|rest| rest.split('/').next())
        .context("a URL without a host")?;
    let proxy = Proxy::start(address.parse()?).await?;
    let through = url.replace(address, &proxy.address().to_string());
    let direct = market.environment.clone();
    // Without TLS, so that the proxy sees what it loses answers to.
    market.environment = panono_tests::shop::Environment::default()
        .with("PANONO_DATABASE_WRITER_URL", &through)
        .with("PANONO_DATABASE_TLS", "disabled")
        .with("PANONO_PAYMENTS_TEST", "true");
    let shop = market.environment.serve().await?;
    // It reaches the database by itself.
    let _worker = direct.worker().await?;
    let buyer = Buyer::at(&shop.url());
    // The first COMMIT of a checkout, the second … until there is none more.
    let mut orders = 0;
    loop {
        let cart = market.cart(&[(market.variants[0], 1)], None).await?;
        let before = proxy.lost_answers();
        proxy
            .set(Mode::LoseAnswerToLater(b"COMMIT".to_vec(), orders))
            .await?;
        // Whatever was answered, if anything was: a good client asks again with the same key.
        let _ = buyer.order(&cart, "key-0", GOOD_CARD).await;
        proxy.set(Mode::Pass).await?;
        buyer
            .insist(&cart, LIMIT)
            .await
            .with_context(|| format!("COMMIT {orders}"))?;
        orders += 1;
        if proxy.lost_answers() == before {
            break;
        }
        ensure!(orders < MOST_COMMITS, "a checkout commits without end");
    }
    // Prepare, the two of the payment and the provider's own two, what it said, finalise.
    assert!(orders > 7, "only {orders} orders");
    let orders = i64::try_from(orders)?;
    let placed = "SELECT COUNT(*) FROM orders WHERE state = 'placed'";
    assert_eq!(market.count(placed).await?, orders);
    wait_until("every order to be paid", LIMIT, async || {
        let paid = market
            .count("SELECT COUNT(*) FROM test_payment WHERE captured > 0")
            .await
            .map_err(|error| error.to_string())?;
        if paid == orders {
            Ok(())
        } else {
            Err(format!("{paid} of {orders}"))
        }
    })
    .await?;
    for (wrong, statement) in [
        (
            "more than one order of a cart was paid",
            "SELECT COUNT(*) FROM test_payment t JOIN orders o ON o.number = t.order_number WHERE t.authorized > 0 AND o.state <> 'placed'",
        ),
        (
            "captured twice",
            "SELECT COUNT(*) FROM (SELECT reference FROM test_payment_effect WHERE kind = 'capture' GROUP BY reference HAVING COUNT(*) > 1) twice",
        ),
    ] {
        assert_eq!(market.count(statement).await?, 0, "{wrong}");
    }
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_orders_survive_the_primary() -> Result<()> {
    let group = faulted_group().await?;
    let database = TestDatabase::create(&group).await?;
    database.migrate().await?;
    let market = Market::open(&database, 20, 100_000).await?;
    let mut carts = Vec::new();
    for number in 0..1_200_usize {
        let variant = market.variants[number % 20];
        carts.push(market.cart(&[(variant, 1)], None).await?);
    }
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let (carts, next) = (Arc::new(carts), Arc::new(AtomicUsize::new(0)));
    let killed = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (carts, next, buyer, acknowledged) = (
                Arc::clone(&carts),
                Arc::clone(&next),
                Buyer::at(&shop.url()),
                Arc::clone(&acknowledged),
            );
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                while let Some(cart) = carts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = buyer.insist(cart, LIMIT).await?;
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    numbers.push(number);
                }
                anyhow::Ok(numbers)
            })
        })
        .collect();
    wait_until("some orders", LIMIT, async || {
        acknowledged.load(Ordering::Relaxed) > 200
    })
    .await?;
    let primary = group.primary().await?.index();
    group.member(primary).kill()?;
    killed.store(true, Ordering::Relaxed);
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await??);
    }
    assert!(killed.load(Ordering::Relaxed));
    let after = market_after(&database, market).await?;
    let orders: Vec<String> =
        sqlx::query_scalar("SELECT number FROM orders WHERE state = 'placed'")
            .fetch_all(&after.pool)
            .await?;
    let there: std::collections::BTreeSet<_> = orders.iter().collect();
    for number in &numbers {
        assert!(
            there.contains(number),
            "{number} was acknowledged and is not there"
        );
    }
    assert_eq!(there.len(), carts.len(), "each cart has one order");
    after.check().await
}

/// The same shop, looked at through the primary of now.
async fn market_after(database: &TestDatabase<'_>, market: Market) -> Result<Market> {
    let url = database.writer_url().await?;
    let options: sqlx::mysql::MySqlConnectOptions = url.parse()?;
    let pool = sqlx::mysql::MySqlPoolOptions::new()
        .connect_with(options.ssl_mode(sqlx::mysql::MySqlSslMode::Disabled))
        .await?;
    Ok(Market { pool, ..market })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_server_decides_nothing() -> Result<()> {
    let (_database, mut market) = market(4, 1_000).await?;
    let valkey = Valkey::start().await?;
    market.environment = market.environment.clone().with_cache(&valkey.url());
    let shop = market.environment.serve().await?;
    let mut carts = Vec::new();
    for number in 0..200_usize {
        carts.push(
            market
                .cart(&[(market.variants[number % 4], 1)], None)
                .await?,
        );
    }
    let buyer = Buyer::at(&shop.url());
    let ordering = tokio::spawn({
        let buyer = buyer.clone();
        async move { order_all(&buyer, carts, 8).await }
    });
    wait_until("the first orders", LIMIT, async || {
        market
            .count("SELECT COUNT(*) FROM orders")
            .await
            .map(|count| count > 20)
            .unwrap_or(false)
    })
    .await?;
    valkey.process().kill()?;
    let replies = ordering.await??;
    assert_eq!(counted(&replies, "placed"), 200);
    market.check().await
}
