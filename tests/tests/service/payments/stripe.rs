//! Stripe's protocol with everything that can go wrong on the way there and back.

use anyhow::{Result, ensure};
use panono_tests::fake::stripe::Trouble;
use panono_tests::market::Buyer;
use panono_tests::proxy::{Mode, Proxy};
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;
use reqwest::Method;
use serde_json::json;

use super::{
    LIMIT, TOTAL, cart, order, pay, payment, stripe_market, sums_agree, text,
    wait_for_payment_state, wait_for_state, with_stripe,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_authorised_and_captured_with_keys_and_a_pinned_version() -> Result<()> {
    let (_database, market, stripe) = stripe_market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let cart = cart(&market).await?;
    let reply = pay(&Buyer::at(&shop.url()), &cart, "stripe", "pm_card_visa").await?;
    ensure!(reply.placed().is_some(), "{reply:?}");
    wait_for_payment_state(&market, "paid").await?;
    for request in stripe.requests() {
        ensure!(request.header("stripe-version") == "2025-09-30.clover");
        ensure!(
            request.method == "GET" || !request.header("idempotency-key").is_empty(),
            "{}",
            request.target
        );
    }
    let intent = &stripe.intents()[0];
    assert_eq!(text(&intent["capture_method"]), "manual");
    assert_eq!(intent["amount_received"], TOTAL);
    let card: (String, String) =
        sqlx::query_as("SELECT fingerprint, CAST(method->>'$.last4' AS CHAR) FROM payment")
            .fetch_one(&market.pool)
            .await?;
    assert_eq!(card, ("Xt5EWLLDS7FJjR1c".to_owned(), "4242".to_owned()));
    sums_agree(&market).await?;
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn declines_leave_the_cart_and_hold_nothing() -> Result<()> {
    let (_database, market, stripe) = stripe_market().await?;
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    for (token, code) in [
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            "insufficient_funds",
        ),
        ("pm_card_unknown", "resource_missing"),
    ] {
        let cart = cart(&market).await?;
        let reply = pay(&buyer, &cart, "stripe", token).await?;
        assert_eq!(reply.code(), "payment_declined", "{reply:?}");
        let failure: String =
            sqlx::query_scalar("SELECT failure_code FROM payment ORDER BY id DESC LIMIT 1")
                .fetch_one(&market.pool)
                .await?;
        assert_eq!(failure, code);
    }
    assert_eq!(stripe.sum("authorize"), 0);
    market.check().await
}

/// What becomes of an order when this happens on the way.
async fn troubled(kind: &'static str, trouble: Trouble) -> Result<(i64, i64, String)> {
    let (_database, market, stripe) = stripe_market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    stripe.trouble(kind, trouble);
    let cart = cart(&market).await?;
    let reply = pay(&Buyer::at(&shop.url()), &cart, "stripe", "pm_card_visa").await?;
    ensure!(
        [201, 202, 402].contains(&reply.status.as_u16()),
        "{reply:?}"
    );
    let ended = wait_until("the order to be decided", LIMIT, async || {
        let state = order(&market, "state").await.ok()?;
        let paid = order(&market, "payment_state").await.ok()?;
        let open = market
            .count("SELECT COUNT(*) FROM payment_operation WHERE state IN ('started','unknown')")
            .await
            .ok()?;
        let decided = state == "cancelled" || state == "placed" && paid == "paid";
        (decided && open == 0).then_some(state)
    })
    .await?;
    sums_agree(&market).await?;
    market.check().await?;
    let held: i64 = stripe
        .intents()
        .iter()
        .filter_map(|intent| intent["amount_capturable"].as_i64())
        .sum();
    ensure!(held == 0, "{held} is held for nothing");
    Ok((stripe.sum("authorize"), stripe.sum("capture"), ended))
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_asked_for_and_nobody_pays_twice() -> Result<()> {
    for kind in ["confirm", "capture"] {
        let ended = troubled(kind, Trouble::LoseAnswer).await?;
        assert_eq!(ended, (TOTAL, TOTAL, "placed".to_owned()), "{kind}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_that_did_not_arrive_are_asked_again_with_the_same_key() -> Result<()> {
    for trouble in [Trouble::LoseRequest, Trouble::TooMany, Trouble::InUse] {
        let ended = troubled("capture", trouble).await?;
        assert_eq!(ended, (TOTAL, TOTAL, "placed".to_owned()), "{trouble:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_cannot_be_opened_has_failed() -> Result<()> {
    for trouble in [
        Trouble::LoseAnswer,
        Trouble::LoseRequest,
        Trouble::Fail,
        Trouble::TooMany,
    ] {
        let ended = troubled("open", trouble).await?;
        assert_eq!(ended, (0, 0, "cancelled".to_owned()), "{trouble:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_with_its_process_is_found_by_the_worker() -> Result<()> {
    let (_database, market, stripe) = stripe_market().await?;
    let proxy = Proxy::start(stripe.address()).await?;
    let environment = with_stripe(&market.environment, &format!("http://{}", proxy.address()));
    let shop = environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    let cart = cart(&market).await?;
    proxy.set(Mode::LoseAnswerTo(b"/confirm".to_vec())).await?;
    let waiting = {
        let (buyer, cart) = (buyer.clone(), cart.clone());
        tokio::spawn(async move { pay(&buyer, &cart, "stripe", "pm_card_visa").await })
    };
    wait_until("the money to be held", LIMIT, async || {
        stripe.sum("authorize") == TOTAL
    })
    .await?;
    shop.process().kill()?;
    let _ = waiting.await?;
    proxy.set(Mode::Pass).await?;
    let _worker = environment.worker().await?;
    wait_for_state(&market, "placed").await?;
    wait_for_payment_state(&market, "paid").await?;
    assert_eq!(
        (stripe.sum("authorize"), stripe.sum("capture")),
        (TOTAL, TOTAL)
    );
    assert_eq!(market.count("SELECT COUNT(*) FROM orders").await?, 1);
    sums_agree(&market).await?;
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_may_be_pending_and_may_come_back() -> Result<()> {
    let (_database, market, stripe) = stripe_market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    let cart = cart(&market).await?;
    pay(&Buyer::at(&shop.url()), &cart, "stripe", "pm_card_visa").await?;
    wait_for_payment_state(&market, "paid").await?;
    let path = format!("/payments/{}/refunds", payment(&market).await?);
    stripe.pending_refunds();
    let body = json!({ "amount": 700, "reason": "broken" });
    let (status, refund) = staff.ask(Method::POST, &path, &body, Some("a")).await?;
    assert_eq!((status, text(&refund["state"])), (202, "unknown"));
    stripe.end_refunds("failed");
    stripe.send_all(&shop.url()).await?;
    wait_until("the money to be the shop's again", LIMIT, async || {
        market
            .count("SELECT refunded FROM payment")
            .await
            .is_ok_and(|refunded| refunded == 0)
    })
    .await?;
    assert_eq!(order(&market, "payment_state").await?, "paid");
    // Nor is it lost, however old it is, while the provider cannot be asked what became of it.
    stripe.trouble("refund", Trouble::LoseAnswer);
    stripe.trouble("report", Trouble::Fail);
    let (status, _) = staff.ask(Method::POST, &path, &body, Some("b")).await?;
    assert_eq!(status, 202);
    sqlx::query("UPDATE payment_operation SET created_at = NOW(6) - INTERVAL 21 HOUR WHERE state = 'unknown'")
        .execute(&market.pool)
        .await?;
    wait_for_payment_state(&market, "partially_refunded").await?;
    let succeeded = "SELECT CAST(SUM(amount) AS SIGNED) FROM payment_operation WHERE kind = 'refund' AND state = 'succeeded'";
    assert_eq!(market.count(succeeded).await?, 700);
    // The same of one that is refused.
    stripe.trouble("refund", Trouble::Refuse("charge_disputed"));
    stripe.trouble("report", Trouble::Fail);
    let (status, refund) = staff.ask(Method::POST, &path, &body, Some("c")).await?;
    assert_eq!(
        (status, text(&refund["state"])),
        (202, "started"),
        "{refund}"
    );
    wait_until("the refusal to be certain", LIMIT, async || {
        market
            .count("SELECT COUNT(*) FROM payment_operation WHERE state = 'failed' AND failure_code = 'charge_disputed'")
            .await
            .is_ok_and(|failed| failed == 1)
    })
    .await?;
    assert_eq!(market.count("SELECT refunded FROM payment").await?, 700);
    sums_agree(&market).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_given_up_holds_no_money() -> Result<()> {
    let (_database, mut market, stripe) = stripe_market().await?;
    market.environment = market.environment.clone().with("PANONO_CHECKOUT_HOLD", "1");
    let shop = market.environment.serve().await?;
    let cart = cart(&market).await?;
    let reply = pay(
        &Buyer::at(&shop.url()),
        &cart,
        "stripe",
        "pm_card_threeDSecure2Required",
    )
    .await?;
    assert_eq!(reply.status, 202, "{reply:?}");
    let _worker = market.environment.worker().await?;
    wait_for_state(&market, "cancelled").await?;
    wait_until("the intent to be canceled", LIMIT, async || {
        stripe
            .intents()
            .iter()
            .all(|intent| intent["status"] == "canceled")
    })
    .await?;
    // The shopper passes the second step after all, too late.
    let intent = text(&stripe.intents()[0]["id"]).to_owned();
    stripe.authenticate(&intent, true);
    stripe.send_all(&shop.url()).await?;
    assert_eq!(stripe.sum("authorize"), 0);
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_says_nothing_keeps_no_other_order_waiting() -> Result<()> {
    let (_database, market, stripe) = stripe_market().await?;
    let proxy = Proxy::start(stripe.address()).await?;
    let environment = with_stripe(&market.environment, &format!("http://{}", proxy.address()));
    let shop = environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    for (provider, token) in [
        ("stripe", "pm_card_threeDSecure2Required"),
        ("test", "4000000000003220"),
    ] {
        let cart = cart(&market).await?;
        let reply = pay(&buyer, &cart, provider, token).await?;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
    // The time of the first is over. Nobody but who ends it asks its provider.
    for statement in [
        "UPDATE payment SET next_check_at = NULL",
        "UPDATE orders JOIN payment ON payment.order_id = orders.id SET held_until = NOW(6) WHERE provider = 'stripe'",
    ] {
        sqlx::query(statement).execute(&market.pool).await?;
    }
    proxy.set(Mode::BlackHole).await?;
    proxy.cut();
    let before = proxy.accepted();
    let _worker = environment.worker().await?;
    wait_until("the provider to be asked", LIMIT, async || {
        proxy.accepted() > before
    })
    .await?;
    // The second is paid, and who should have placed it is gone.
    for statement in [
        "UPDATE payment SET state = 'authorized', authorized = amount, next_action = NULL WHERE provider = 'test'",
        "UPDATE orders JOIN payment ON payment.order_id = orders.id SET orders.created_at = NOW(6) - INTERVAL 1 MINUTE WHERE provider = 'test'",
    ] {
        sqlx::query(statement).execute(&market.pool).await?;
    }
    wait_for_state(&market, "placed").await?;
    let pending = "SELECT COUNT(*) FROM orders WHERE state = 'pending'";
    assert_eq!(market.count(pending).await?, 1);
    Ok(())
}
