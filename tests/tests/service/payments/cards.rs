//! Every card of the test provider, from the cart to where its money ends.

use anyhow::{Context, Result, ensure};
use panono_shop::payments::test_provider::cards::{Behaviour, CARDS};
use panono_tests::http;
use panono_tests::market::Buyer;
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;
use reqwest::Method;
use serde_json::json;

use super::{
    LIMIT, TOTAL, cart, market, order, pay, payment, sums_agree, wait_for_payment_state,
    wait_for_state,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_card_does_what_it_is_for() -> Result<()> {
    let (_database, market) = market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let buyer = Buyer::at(&shop.url());
    for card in CARDS {
        let (status, state, payment_state) = match card.behaviour {
            Behaviour::Decline(_) => (402, "cancelled", "unpaid"),
            // The shopper has something to do first: the tests below.
            Behaviour::SecondStep => continue,
            Behaviour::SilentDecline | Behaviour::LateDecline => (202, "cancelled", "unpaid"),
            Behaviour::SilentSuccess | Behaviour::LateSuccess => (202, "placed", "paid"),
            Behaviour::CaptureRefused => (201, "placed", "authorized"),
            _ => (201, "placed", "paid"),
        };
        let cart = cart(&market).await?;
        let reply = pay(&buyer, &cart, "test", card.number).await?;
        ensure!(reply.status.as_u16() == status, "{}: {reply:?}", card.name);
        wait_for_state(&market, state)
            .await
            .with_context(|| card.name)?;
        wait_for_payment_state(&market, payment_state)
            .await
            .with_context(|| card.name)?;
    }
    wait_until("nothing to be open", LIMIT, async || {
        market
            .count("SELECT (SELECT COUNT(*) FROM payment_operation WHERE state IN ('started','unknown')) + (SELECT COUNT(*) FROM payment_event WHERE processed_at IS NULL)")
            .await
            .is_ok_and(|open| open == 0)
    })
    .await?;
    // What the provider did is what the shop knows, each key once.
    let differ = market
        .count(
            "SELECT COUNT(*) FROM payment p JOIN test_payment t ON t.reference = p.reference \
             WHERE p.captured <> t.captured OR p.refunded <> t.refunded OR (p.state IN ('authorized','captured') AND p.authorized <> t.authorized)",
        )
        .await?;
    assert_eq!(differ, 0);
    sums_agree(&market).await?;
    market.check().await
}

/// Follows the shopper through the second step.
async fn second_step(decision: &str) -> Result<(super::Market, String)> {
    let (_database, market) = market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let cart = cart(&market).await?;
    let reply = pay(&Buyer::at(&shop.url()), &cart, "test", "4000000000003220").await?;
    ensure!(
        reply.status == 202 && reply.body["status"] == "action_required",
        "{reply:?}"
    );
    let address = reply.body["url"].as_str().context("no address")?;
    let path = address.split_once("/en/pay/").context("another page")?.1;
    let page = format!("{}/en/pay/{path}", shop.url());
    let client = http::client();
    let shown = client.get(&page).send().await?;
    ensure!(shown.status() == 200, "{}", shown.status());
    let html = shown.text().await?;
    ensure!(
        html.contains("$25.00") && html.contains("Approve the payment"),
        "{html}"
    );
    let chinese = client
        .get(page.replace("/en/", "/zh-cn/"))
        .send()
        .await?
        .text()
        .await?;
    ensure!(chinese.contains("确认付款"), "{chinese}");
    let decided = client
        .post(&page)
        .form(&[("decision", decision)])
        .send()
        .await?;
    ensure!(decided.status() == 303, "{}", decided.status());
    let back = decided.headers()["location"].to_str()?.to_owned();
    ensure!(
        back.contains("/en/checkout/return/") && back.contains("key="),
        "{back}"
    );
    let path = back.split_once("/en/").context("no path")?.1;
    let returned = client
        .get(format!("{}/en/{path}", shop.url()))
        .send()
        .await?;
    ensure!(returned.status().is_redirection(), "{}", returned.status());
    // Deciding again changes nothing.
    client
        .post(&page)
        .form(&[("decision", "decline")])
        .send()
        .await?;
    let wanted = if decision == "approve" {
        "placed"
    } else {
        "cancelled"
    };
    wait_for_state(&market, wanted).await?;
    let location = returned.headers()["location"].to_str()?.to_owned();
    Ok((market, location))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_step_leads_to_the_order() -> Result<()> {
    let (market, location) = second_step("approve").await?;
    ensure!(location.contains("/orders/"), "{location}");
    ensure!(["authorized", "paid"].contains(&order(&market, "payment_state").await?.as_str()));
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_step_that_is_declined_holds_nothing() -> Result<()> {
    let (market, _) = second_step("decline").await?;
    assert_eq!(
        market
            .count("SELECT CAST(SUM(reserved) AS SIGNED) FROM stock")
            .await?,
        0
    );
    assert_eq!(
        market
            .count("SELECT CAST(SUM(authorized) AS SIGNED) FROM test_payment")
            .await?,
        0
    );
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refunds_never_exceed_what_was_captured() -> Result<()> {
    const TRIES: usize = 20;
    let (_database, market) = market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    let cart = cart(&market).await?;
    pay(&Buyer::at(&shop.url()), &cart, "test", "4242424242424242").await?;
    wait_for_payment_state(&market, "paid").await?;
    let path = format!("/payments/{}/refunds", payment(&market).await?);
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let (staff, path) = (staff.clone(), path.clone());
            tokio::spawn(async move {
                let body = json!({ "amount": 300, "reason": "goodwill" });
                let key = format!("refund-{number}");
                let mut answered = staff.ask(Method::POST, &path, &body, Some(&key)).await?;
                // All of them wait for one row: on a busy machine one may be told to come again.
                for _ in 0..TRIES {
                    if answered.0 != 503 {
                        break;
                    }
                    answered = staff.ask(Method::POST, &path, &body, Some(&key)).await?;
                }
                anyhow::Ok(answered)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        let (status, answer) = task.await??;
        match status {
            201 => done += 1,
            409 => {}
            _ => anyhow::bail!("{status}: {answer}"),
        }
    }
    assert_eq!(done, TOTAL / 300);
    // The same key again: the same answer, and no more money.
    let body = json!({ "amount": 300, "reason": "goodwill" });
    let rest = json!({});
    let (_, first) = staff.ask(Method::POST, &path, &rest, Some("rest")).await?;
    let (status, again) = staff.ask(Method::POST, &path, &rest, Some("rest")).await?;
    assert_eq!((status, &again), (201, &first));
    assert_eq!(first["amount"], TOTAL % 300);
    let (status, mismatch) = staff.ask(Method::POST, &path, &body, Some("rest")).await?;
    assert_eq!(
        (status, mismatch["code"].as_str()),
        (422, Some("idempotency_mismatch"))
    );
    let (status, _) = staff.ask(Method::POST, &path, &body, None).await?;
    assert_eq!(status, 400);
    assert_eq!(
        market.count("SELECT refunded FROM test_payment").await?,
        TOTAL
    );
    assert_eq!(order(&market, "payment_state").await?, "refunded");
    sums_agree(&market).await
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_captured_in_parts_and_the_rest_let_go() -> Result<()> {
    let (_database, mut market) = market().await?;
    market.environment = market
        .environment
        .clone()
        .with("PANONO_PAYMENT_CAPTURE", "on_shipment");
    let shop = market.environment.serve().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    let cart = cart(&market).await?;
    pay(&Buyer::at(&shop.url()), &cart, "test", "4242424242424242").await?;
    let path = format!("/payments/{}", payment(&market).await?);
    let (status, _) = staff
        .ask(
            Method::POST,
            &format!("{path}/refunds"),
            &json!({ "amount": 1 }),
            Some("early"),
        )
        .await?;
    assert_eq!(status, 409, "nothing was captured yet");
    for (key, amount) in [("one", 1000), ("two", 400)] {
        let (status, captured) = staff
            .ask(
                Method::POST,
                &format!("{path}/captures"),
                &json!({ "amount": amount }),
                Some(key),
            )
            .await?;
        assert_eq!(
            (status, captured["state"].as_str()),
            (201, Some("succeeded")),
            "{captured}"
        );
    }
    assert_eq!(order(&market, "payment_state").await?, "partially_captured");
    let too_much = json!({ "amount": TOTAL - 1400 + 1 });
    let (status, refused) = staff
        .ask(
            Method::POST,
            &format!("{path}/captures"),
            &too_much,
            Some("three"),
        )
        .await?;
    assert_eq!((status, refused["code"].as_str()), (409, Some("conflict")));
    let (status, voided) = staff
        .ask(
            Method::POST,
            &format!("{path}/void"),
            &json!({}),
            Some("four"),
        )
        .await?;
    assert_eq!(status, 201, "{voided}");
    let (_, shown) = staff.ask(Method::GET, &path, &json!({}), None).await?;
    assert_eq!(
        (
            &shown["authorized"],
            &shown["captured"],
            &shown["capturable"]
        ),
        (&json!(1400), &json!(1400), &json!(0))
    );
    assert_eq!(order(&market, "payment_state").await?, "paid");
    let audited = "SELECT COUNT(*) FROM audit_log WHERE entity = 'payment'";
    assert_eq!(market.count(audited).await?, 3);
    sums_agree(&market).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_refuses_is_told_and_costs_nothing() -> Result<()> {
    let (_database, market) = market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    let buyer = Buyer::at(&shop.url());
    for (card, amount, status) in [
        ("4000000000001083", 500, 409),
        ("4000000000001091", 500, 202),
        ("4000000000001109", 500, 202),
    ] {
        let cart = cart(&market).await?;
        pay(&buyer, &cart, "test", card).await?;
        wait_for_payment_state(&market, "paid").await?;
        let path = format!("/payments/{}/refunds", payment(&market).await?);
        let body = json!({ "amount": amount });
        let (answered, refund) = staff.ask(Method::POST, &path, &body, Some("r")).await?;
        assert_eq!(answered, status, "{card}: {refund}");
        let wanted = if status == 409 {
            "paid"
        } else {
            "partially_refunded"
        };
        wait_for_payment_state(&market, wanted).await?;
    }
    let asked_once = "SELECT COUNT(*) FROM test_payment_effect WHERE kind = 'refund'";
    assert_eq!(market.count(asked_once).await?, 3);
    sums_agree(&market).await?;
    market.check().await
}
