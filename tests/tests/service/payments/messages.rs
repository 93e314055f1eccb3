//! Messages of providers: forged, late, repeated, out of order.

use anyhow::Result;
use panono_shop::payments::signature;
use panono_tests::fake::stripe::WEBHOOK_SECRET;
use panono_tests::http;
use panono_tests::market::Buyer;
use serde_json::json;
use time::OffsetDateTime;

use super::{
    cart, market, order, pay, stripe_market, sums_agree, wait_for_payment_state, wait_for_state,
};

#[tokio::test(flavor = "multi_thread")]
async fn only_signed_messages_of_now_are_kept_and_each_once() -> Result<()> {
    let (_database, market, stripe) = stripe_market().await?;
    let shop = market.environment.serve().await?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let event = json!({ "id": "evt_1", "object": "event", "type": "x", "data": { "object": { "object": "balance" } } });
    let table = [
        ("whsec_wrong", now, 400),
        (WEBHOOK_SECRET, now - 400, 400),
        (WEBHOOK_SECRET, now + 400, 400),
        (WEBHOOK_SECRET, now, 200),
        (WEBHOOK_SECRET, now, 200),
        ("whsec_next", now, 200),
    ];
    for (secret, timestamp, status) in table {
        assert_eq!(
            stripe.send(&shop.url(), &event, secret, timestamp).await?,
            status,
            "{secret} {timestamp}"
        );
    }
    assert_eq!(market.count("SELECT COUNT(*) FROM payment_event").await?, 1);
    let client = http::client();
    let url = format!("{}/api/v1/webhooks/payments", shop.url());
    let unsigned = client
        .post(format!("{url}/stripe"))
        .body(event.to_string())
        .send()
        .await?;
    assert_eq!(unsigned.status(), 400);
    // Signed, and changed on its way.
    let header = signature::sign(WEBHOOK_SECRET, now, event.to_string().as_bytes());
    let changed = client
        .post(format!("{url}/stripe"))
        .header("Stripe-Signature", header)
        .body(event.to_string().replace("evt_1", "evt_2"))
        .send()
        .await?;
    assert_eq!(changed.status(), 400);
    let body: serde_json::Value = changed.json().await?;
    assert_eq!(body["code"], "invalid_signature");
    for (path, status) in [("paypal", 404), ("test", 400)] {
        let answer = client
            .post(format!("{url}/{path}"))
            .body("{}")
            .send()
            .await?;
        assert_eq!(answer.status(), status, "{path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_any_order_and_twice_lead_to_one_order() -> Result<()> {
    let (_database, market, stripe) = stripe_market().await?;
    let shop = market.environment.serve().await?;
    let cart = cart(&market).await?;
    let reply = pay(
        &Buyer::at(&shop.url()),
        &cart,
        "stripe",
        "pm_card_threeDSecure2Required",
    )
    .await?;
    assert_eq!(
        (reply.status.as_u16(), &reply.body["status"]),
        (202, &json!("action_required"))
    );
    let intent = stripe.intents()[0]["id"].as_str().unwrap().to_owned();
    stripe.authenticate(&intent, true);
    // A message from before, which says less than is true by now.
    let early = json!({ "id": "evt_early", "object": "event", "type": "payment_intent.requires_action",
        "data": { "object": { "object": "payment_intent", "id": intent, "status": "requires_action" } } });
    let now = OffsetDateTime::now_utc().unix_timestamp();
    stripe
        .send(&shop.url(), &early, WEBHOOK_SECRET, now)
        .await?;
    for _ in 0..3 {
        stripe.send_all(&shop.url()).await?;
    }
    wait_for_state(&market, "placed").await?;
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM order_event WHERE kind = 'order.placed'")
            .await?,
        1
    );
    let _worker = market.environment.worker().await?;
    wait_for_payment_state(&market, "paid").await?;
    stripe.send_all(&shop.url()).await?;
    assert_eq!(order(&market, "payment_state").await?, "paid");
    assert_eq!(stripe.sum("capture"), cart.total);
    sums_agree(&market).await?;
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_kept_is_processed_after_the_web_process_died() -> Result<()> {
    let (_database, market) = market().await?;
    let shop = market.environment.serve().await?;
    let cart = cart(&market).await?;
    let reply = pay(&Buyer::at(&shop.url()), &cart, "test", "4000000000001034").await?;
    assert_eq!(reply.status, 202, "{reply:?}");
    shop.process().kill()?;
    let _worker = market.environment.worker().await?;
    wait_for_state(&market, "placed").await?;
    wait_for_payment_state(&market, "paid").await?;
    market.check().await
}
