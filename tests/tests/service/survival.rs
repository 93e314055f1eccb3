//! Parts of the shop die under load; shoppers are served all the same.

use std::time::Duration;

use panono_tests::market::{Buyer, GOOD_CARD, Market};
use panono_tests::mysql::{TestDatabase, faulted_group};
use panono_tests::readers::Readers;
use panono_tests::shop::Environment;
use panono_tests::stack::{Stack, StackOptions};
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;

const GUARD: Duration = Duration::from_secs(180);
/// Reads that must be answered after each loss before the next one.
const READS: u64 = 2_000;

/// Any page will do.
fn any(page: &str) -> Option<i64> {
    page.contains("</html>").then_some(1)
}

async fn served(readers: &Readers) {
    let before = readers.reads();
    wait_until("shoppers to be served", GUARD, async || {
        let since = readers.reads() - before;
        anyhow::ensure!(since >= READS, "{since} of {READS} reads");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_may_die_and_pages_are_served() {
    let group = faulted_group().await.unwrap();
    let database = TestDatabase::create(&group).await.unwrap();
    let mut stack = Stack::start(&database, StackOptions::default())
        .await
        .unwrap();
    let staff = Staff::new(&stack.environment, &stack.shops[0].url())
        .await
        .unwrap();
    let mut urls = vec![format!("{}/en", stack.edge.url())];
    for number in 0..20 {
        let made = staff
            .product(&format!("Mug {number}"), "USD", 1000 + number)
            .await
            .unwrap();
        urls.push(format!("{}/en/p/{}", stack.edge.url(), made.slug));
        urls.push(format!("{}/zh-cn/p/{}", stack.edge.url(), made.slug));
    }
    urls.push(format!("{}/en/search?q=mug", stack.edge.url()));
    let readers = Readers::start(60, &urls, any);
    served(&readers).await;

    stack.valkey.process().kill().unwrap();
    served(&readers).await;
    stack.valkey.restart().await.unwrap();

    let replica = group.secondaries().await.unwrap()[0].index();
    group.member(replica).kill().unwrap();
    served(&readers).await;

    stack.worker.process().kill().unwrap();
    served(&readers).await;
    stack.worker.restart().await.unwrap();

    stack.shops[1].process().kill().unwrap();
    served(&readers).await;
    stack.shops[1].restart().await.unwrap();

    group.restart(replica).await.unwrap();
    group.wait_until_online().await.unwrap();
    let primary = group.primary().await.unwrap().index();
    group.member(primary).kill().unwrap();
    served(&readers).await;
    // A change after the election proves that the shop follows the new primary.
    let changed = wait_until(
        "the staff API to write to the new primary",
        GUARD,
        async || staff.product("After the election", "USD", 1).await,
    )
    .await
    .unwrap();
    let page = format!("{}/en/p/{}", stack.edge.url(), changed.slug);
    wait_until("the new product to be served", GUARD, async || {
        let answer = panono_tests::http::client().get(&page).send().await?;
        anyhow::ensure!(answer.status() == 200, "{}", answer.status());
        Ok(())
    })
    .await
    .unwrap();
    served(&readers).await;

    let seen = readers.stop().await;
    println!("{} reads while every part died once", seen.reads);
    assert!(seen.failures.is_empty(), "{:#?}", seen.failures);
    let log = stack.shops[0].process().log_text();
    for told in [
        "the primary of the database changed",
        "the shared cache does not answer",
    ] {
        assert!(log.contains(told), "the log does not tell that {told}");
    }
}

#[tokio::test]
async fn a_shop_that_is_to_write_nothing_shows_what_there_is_and_says_so() {
    let database = TestDatabase::shared().await.unwrap();
    database.migrate().await.unwrap();
    let market = Market::open(&database, 1, 5).await.unwrap();
    let cart = market.cart(&[(market.variants[0], 1)], None).await.unwrap();
    // Without writes a cart is read from a replica, too, while no primary is known.
    database.group().wait_until_applied().await.unwrap();
    let shop = market
        .environment
        .clone()
        .with("PANONO_DATABASE_READ_ONLY", "true")
        .serve()
        .await
        .unwrap();
    let client = panono_tests::http::client();
    for path in [
        "/en/p/mug-0".to_owned(),
        "/api/v1/catalog/products/mug-0".to_owned(),
        format!("/api/v1/carts/{}", cart.id),
    ] {
        let answer = client
            .get(format!("{}{path}", shop.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }

    // However the database is named, a command that would write says why it does not.
    for environment in [
        market.environment.clone(),
        Environment::for_urls(&database).await.unwrap(),
    ] {
        let refused = environment
            .with("PANONO_DATABASE_READ_ONLY", "true")
            .run(&["migrate"])
            .await
            .unwrap_err();
        let told = format!("{refused:#}");
        assert!(told.contains("PANONO_DATABASE_READ_ONLY"), "{told}");
    }

    let refused = Buyer::at(&shop.url())
        .order(&cart, &cart.id, GOOD_CARD)
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (503, "unavailable")
    );
    assert_eq!(
        refused.body["detail"],
        "the shop can be looked at, and nothing in it changed, at the moment"
    );
    let made = client
        .post(format!("{}/api/v1/carts", shop.url()))
        .json(&serde_json::json!({ "currency": "USD" }))
        .send()
        .await
        .unwrap();
    assert_eq!(made.status().as_u16(), 503);
    assert!(made.headers().contains_key("retry-after"));
    for (statement, expected) in [
        ("SELECT COUNT(*) FROM cart", 1),
        ("SELECT COUNT(*) FROM orders", 0),
        ("SELECT COUNT(*) FROM idempotency_key", 0),
    ] {
        assert_eq!(
            market.count(statement).await.unwrap(),
            expected,
            "{statement}"
        );
    }
}
