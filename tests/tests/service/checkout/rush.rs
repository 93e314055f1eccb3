//! Many want the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use panono_tests::fake::stripe::{FakeStripe, WEBHOOK_SECRET};
use panono_tests::http;
use panono_tests::market::{BAD_CARD, Buyer, GOOD_CARD};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{counted, market, order_all, others};
use crate::payments::with_stripe;

const CONNECTIONS: usize = 64;
const LIMIT: Duration = Duration::from_secs(90);

async fn drop_of(buckets: i16, pieces: i64, buyers: usize) -> Result<()> {
    let (_database, market) = market(1, pieces).await?;
    let variant = market.variants[0];
    market.divide(variant, buckets).await?;
    let mut carts = Vec::new();
    for _ in 0..buyers {
        carts.push(market.cart(&[(variant, 1)], None).await?);
    }
    let shop = market.environment.serve().await?;
    let replies = order_all(&Buyer::at(&shop.url()), carts, CONNECTIONS).await?;
    assert_eq!(others(&replies, &["out_of_stock"]), Vec::<&_>::new());
    assert_eq!(counted(&replies, "placed"), usize::try_from(pieces)?);
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM orders WHERE state = 'placed'")
            .await?,
        pieces
    );
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_of_one_product_sells_exactly_what_is_there() -> Result<()> {
    drop_of(0, 500, 2_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_in_buckets_sells_exactly_what_is_there() -> Result<()> {
    drop_of(16, 500, 2_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_three_lines_over_twenty_products_end_well() -> Result<()> {
    let (_database, market) = market(20, 40).await?;
    let mut carts = Vec::new();
    for number in 0..600_usize {
        // Three different ones, in an order of their own.
        let mut places = [
            number * 7 % 20,
            (number * 11 + 5) % 20,
            (number * 13 + 11) % 20,
        ];
        places.rotate_left(number % 3);
        let mut lines: Vec<(i64, i64)> = Vec::new();
        for place in places {
            let variant = market.variants[place];
            if lines.iter().all(|(known, _)| *known != variant) {
                lines.push((variant, 1));
            }
        }
        carts.push(market.cart(&lines, None).await?);
    }
    let shop = market.environment.serve().await?;
    let replies = order_all(&Buyer::at(&shop.url()), carts, CONNECTIONS).await?;
    assert_eq!(others(&replies, &["out_of_stock"]), Vec::<&_>::new());
    // Nothing came back meanwhile, so what a buyer was refused has run out.
    let refused_in_vain = "SELECT COUNT(*) FROM cart WHERE cart.state = 'open' AND NOT EXISTS (SELECT 1 FROM cart_line \
         JOIN stock ON stock.variant_id = cart_line.variant_id WHERE cart_line.cart_id = cart.id \
         AND stock.on_hand - stock.reserved < cart_line.quantity)";
    assert_eq!(market.count(refused_in_vain).await?, 0);
    let open = "SELECT COUNT(*) FROM cart WHERE state = 'open'";
    let left = usize::try_from(market.count(open).await?)?;
    assert_eq!(counted(&replies, "placed") + left, 600);
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_for_one_is_used_by_one_of_fifty() -> Result<()> {
    let (_database, market) = market(1, 1_000).await?;
    for statement in [
        r#"INSERT INTO promotion (id, name, labels, status, needs_coupon, rule) VALUES (1, 'Half', '{"en":"Half price"}', 'active', TRUE, '{"effect":{"kind":"percentage","share":500000}}')"#,
        "INSERT INTO coupon (code, promotion_id, usage_limit) VALUES ('HALF', 1, 1)",
    ] {
        sqlx::query(statement).execute(&market.pool).await?;
    }
    let mut carts = Vec::new();
    for _ in 0..50 {
        let mut cart = market
            .cart(&[(market.variants[0], 2)], Some("HALF"))
            .await?;
        cart.total = 1500;
        carts.push(cart);
    }
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    let replies = order_all(&buyer, carts, CONNECTIONS).await?;
    assert_eq!(
        others(&replies, &["promotion_used_up", "cart_changed"]),
        Vec::<&_>::new()
    );
    assert_eq!(counted(&replies, "placed"), 1);
    assert_eq!(market.count("SELECT used FROM coupon").await?, 1);
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_complete_one_cart_get_one_order() -> Result<()> {
    let (_database, market) = market(1, 1_000).await?;
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    for _ in 0..20 {
        let cart = market.cart(&[(market.variants[0], 1)], None).await?;
        let tabs: Vec<_> = (0..6)
            .map(|tab| {
                let (buyer, cart) = (buyer.clone(), cart.clone());
                tokio::spawn(
                    async move { buyer.order(&cart, &format!("tab-{tab}"), GOOD_CARD).await },
                )
            })
            .collect();
        let mut replies = Vec::new();
        for tab in tabs {
            replies.push(tab.await??);
        }
        assert_eq!(
            others(&replies, &["completion_in_progress"]),
            Vec::<&_>::new()
        );
        let numbers: std::collections::BTreeSet<_> =
            replies.iter().filter_map(|reply| reply.placed()).collect();
        assert_eq!(numbers.len(), 1, "{replies:?}");
    }
    assert_eq!(market.count("SELECT COUNT(*) FROM orders").await?, 20);
    assert_eq!(market.count("SELECT COUNT(*) FROM payment").await?, 20);
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_leaves_the_cart_for_another() -> Result<()> {
    let (_database, market) = market(1, 1).await?;
    let cart = market.cart(&[(market.variants[0], 1)], None).await?;
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    let declined = buyer.order(&cart, "first", BAD_CARD).await?;
    assert_eq!(
        (declined.status.as_u16(), declined.code()),
        (402, "payment_declined")
    );
    assert_eq!(declined.body["failure_code"], "card_declined");
    assert_eq!(market.count("SELECT reserved FROM stock").await?, 0);
    let wrong = json!({ "expected_total": cart.total - 1, "payment": { "provider": "test", "token": GOOD_CARD } });
    let changed = buyer.send(&cart.id, Some("second"), &wrong).await?;
    assert_eq!(
        (changed.status.as_u16(), changed.code()),
        (409, "cart_changed")
    );
    assert_eq!(changed.body["total"], cart.total);
    let placed = buyer.order(&cart, "third", GOOD_CARD).await?;
    assert!(placed.placed().is_some(), "{placed:?}");
    let other = market.cart(&[(market.variants[0], 1)], None).await?;
    let late = buyer.order(&other, "fourth", GOOD_CARD).await?;
    assert_eq!((late.status.as_u16(), late.code()), (409, "out_of_stock"));
    assert_eq!(late.body["errors"][0]["field"], "/lines/SKU-0");
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_the_provider_that_race_the_request_place_an_order_once() -> Result<()> {
    let (_database, market) = market(1, 1_000).await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let buyer = Buyer::at(&shop.url());
    // One card of which the provider tells twice, and one of which it tells after it has answered that it does not know yet.
    let mut tasks = Vec::new();
    for number in 0..40 {
        let cart = market.cart(&[(market.variants[0], 1)], None).await?;
        let card = ["4000000000001059", "4000000000001034"][number % 2];
        let buyer = buyer.clone();
        tasks.push(tokio::spawn(async move {
            let reply = buyer.order(&cart, &cart.id, card).await?;
            let pending = reply.status == 202 && reply.body["status"] == "payment_pending";
            anyhow::ensure!(reply.placed().is_some() || pending, "{reply:?}");
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    wait_until("every order to be placed", LIMIT, async || {
        let placed = market
            .count("SELECT COUNT(*) FROM orders WHERE state = 'placed'")
            .await
            .map_err(|error| error.to_string())?;
        if placed == 40 {
            Ok(())
        } else {
            Err(format!("{placed} placed"))
        }
    })
    .await?;
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM order_event WHERE kind = 'order.placed'")
            .await?,
        40
    );
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM (SELECT payment_id FROM payment_operation WHERE kind = 'capture' GROUP BY payment_id HAVING COUNT(*) > 1) AS twice")
            .await?,
        0
    );
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_races_the_shopper_who_returns_places_an_order_once() -> Result<()> {
    const ORDERS: i64 = 20;
    let (_database, mut market) = market(1, 1_000).await?;
    let stripe = FakeStripe::start().await;
    market.environment = with_stripe(&market.environment, &stripe.url());
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    for _ in 0..ORDERS {
        let cart = market.cart(&[(market.variants[0], 1)], None).await?;
        let body = json!({ "expected_total": cart.total, "payment": { "provider": "stripe", "token": "pm_card_threeDSecure2Required" } });
        let waiting = buyer.send(&cart.id, Some("key"), &body).await?;
        assert_eq!(waiting.body["status"], "action_required", "{waiting:?}");
    }
    let url = shop.url();
    let (stripe, url) = (&stripe, url.as_str());
    let race = |intent: Value| async move {
        let id = intent["id"].as_str().context("no id")?;
        let back = intent["next_action"]["redirect_to_url"]["return_url"]
            .as_str()
            .context("no way back")?;
        stripe.authenticate(id, true);
        let event = stripe
            .events()
            .into_iter()
            .rfind(|event| event["data"]["object"]["id"] == id)
            .context("Stripe tells nothing")?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let tell = async || stripe.send(url, &event, WEBHOOK_SECRET, now).await;
        let come_back = async || {
            let answer = http::client().get(back).send().await?;
            let to = answer.headers().get("location").context("no order")?;
            anyhow::Ok(to.to_str()?.to_owned())
        };
        let (told, one, again, other) = tokio::join!(tell(), come_back(), tell(), come_back());
        assert_eq!((told?, again?), (200, 200));
        for to in [one?, other?] {
            ensure!(to.ends_with("placed=1"), "{to}");
        }
        anyhow::Ok(())
    };
    stream::iter(stripe.intents())
        .map(race)
        .buffer_unordered(8)
        .try_collect::<()>()
        .await?;
    let placed = "SELECT COUNT(*) FROM order_event WHERE kind = 'order.placed'";
    assert_eq!(market.count(placed).await?, ORDERS);
    let _worker = market.environment.worker().await?;
    wait_until("every order to be paid", LIMIT, async || {
        let paid = market
            .count("SELECT COUNT(*) FROM orders WHERE state = 'placed' AND payment_state = 'paid'")
            .await
            .map_err(|error| error.to_string())?;
        if paid == ORDERS {
            Ok(())
        } else {
            Err(format!("{paid} paid"))
        }
    })
    .await?;
    let total: i64 = stripe
        .intents()
        .iter()
        .filter_map(|intent| intent["amount"].as_i64())
        .sum();
    assert_eq!(stripe.sum("capture"), total);
    market.check().await
}
