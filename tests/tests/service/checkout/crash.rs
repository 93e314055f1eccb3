//! The web process dies between any two steps; what it began is ended by whoever comes next.

use std::time::Duration;

use anyhow::{Context, Result};
use panono_shop::checkout::crash::POINTS;
use panono_tests::market::{Buyer, Cart, GOOD_CARD, Market};
use panono_tests::wait::wait_until;

use super::market;

/// The lease of a key, and some time for a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Orders a cart of a process that dies at this point.
async fn crash(market: &Market, point: &str) -> Result<Cart> {
    let cart = market.cart(&[(market.variants[0], 1)], None).await?;
    let shop = market
        .environment
        .clone()
        .with("PANONO_CRASH_AT", point)
        .serve()
        .await?;
    let lost = Buyer::at(&shop.url())
        .order(&cart, &cart.id, GOOD_CARD)
        .await;
    assert!(lost.is_err(), "{point}: the process did not die: {lost:?}");
    wait_until("the process to be gone", LIMIT, async || {
        shop.process().ended().is_ok_and(|ended| ended.is_some())
    })
    .await?;
    Ok(cart)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_repeats_the_request_gets_one_order() -> Result<()> {
    let (_database, market) = market(1, 1_000).await?;
    let mut carts = Vec::new();
    for point in POINTS {
        carts.push((point, crash(&market, point).await?));
    }
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    for (point, cart) in &carts {
        let placed = buyer
            .insist(cart, LIMIT)
            .await
            .with_context(|| format!("the order of {point}"))?;
        let again = buyer.order(cart, &cart.id, GOOD_CARD).await?;
        assert_eq!(again.placed(), Some(placed.as_str()), "{point}");
    }
    let orders = i64::try_from(POINTS.len())?;
    assert_eq!(market.count("SELECT COUNT(*) FROM orders").await?, orders);
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM orders WHERE state = 'placed'")
            .await?,
        orders
    );
    assert_eq!(
        market
            .count("SELECT CAST(reserved AS SIGNED) FROM stock")
            .await?,
        orders
    );
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asks_for_again_is_ended_by_the_worker() -> Result<()> {
    let (_database, mut market) = market(1, 1_000).await?;
    market.environment = market
        .environment
        .clone()
        .with("PANONO_CHECKOUT_HOLD", "20");
    for point in POINTS {
        crash(&market, point).await?;
    }
    let _worker = market.environment.worker().await?;
    wait_until("every order to be ended", LIMIT, async || {
        let open = market
            .count("SELECT (SELECT COUNT(*) FROM orders WHERE state = 'pending') + (SELECT COUNT(*) FROM payment WHERE state IN ('started','unknown','action_required')) + (SELECT COUNT(*) FROM payment_operation WHERE state IN ('started','unknown'))")
            .await
            .map_err(|error| error.to_string())?;
        if open == 0 { Ok(()) } else { Err(format!("{open} open")) }
    })
    .await?;
    // Paid for and placed, or released with no money held: nothing in between.
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM orders o WHERE o.state = 'cancelled' AND EXISTS (SELECT 1 FROM payment p WHERE p.order_id = o.id AND (p.state = 'authorized' OR p.captured > p.refunded))")
            .await?,
        0
    );
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM cart c WHERE c.state = 'completing'")
            .await?,
        0
    );
    // Those whose payment stood before the process died were placed.
    assert!(
        market
            .count("SELECT COUNT(*) FROM orders WHERE state = 'placed'")
            .await?
            >= 2
    );
    market.check().await
}
