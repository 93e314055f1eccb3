//! Parcels leave, arrive and come back; the money follows.

use anyhow::{Context, Result};
use panono_shop::payments::signature;
use panono_tests::http;
use panono_tests::market::{Buyer, GOOD_CARD, Market, PRICE, SHIPPING};
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{LIMIT, market, order_of, sums_agree, text, wait_for_payment_state};

const CARRIER_SECRET: &str = "carrier-secret";
/// A card that allows one capture only.
const ONE_CAPTURE: &str = "4000000000001117";

/// A shop with a carrier.
async fn carrier_market() -> Result<(super::TestDatabase<'static>, Market)> {
    let (database, mut market) = market().await?;
    market.environment = market
        .environment
        .clone()
        .with("PANONO_CARRIERS", "post=https://post.example/{number}")
        .with("PANONO_CARRIER_SECRETS", &format!("post={CARRIER_SECRET}"));
    Ok((database, market))
}

/// A carrier's message, `seconds` after the start of the year 2030.
async fn carrier_says(
    shop: &str,
    id: &str,
    state: &str,
    seconds: i64,
    secret: &str,
) -> Result<u16> {
    let at = OffsetDateTime::from_unix_timestamp(1_893_456_000 + seconds)?
        .format(&time::format_description::well_known::Rfc3339)?;
    let body = json!({ "id": id, "tracking_number": "POST-1", "state": state, "happened_at": at })
        .to_string();
    let header = signature::sign(
        secret,
        OffsetDateTime::now_utc().unix_timestamp(),
        body.as_bytes(),
    );
    let answer = http::client()
        .post(format!("{shop}/api/v1/webhooks/carriers/post"))
        .header("Panono-Signature", header)
        .body(body)
        .send()
        .await?;
    Ok(answer.status().as_u16())
}

async fn get(url: &str) -> Result<Value> {
    Ok(http::client().get(url).send().await?.json().await?)
}

/// An order of two pieces: its number, and the key of its link.
async fn bought(market: &Market, shop: &str, card: &str) -> Result<(String, String)> {
    let cart = super::cart(market).await?;
    order_of(&Buyer::at(shop).order(&cart, &cart.id, card).await?)
}

/// The shopper takes a line out of an order.
async fn take_out(shop: &str, number: &str, key: &str, line: i32) -> Result<()> {
    let edit = json!({ "lines": [{ "position": line, "quantity": 0 }] });
    let url = format!("{shop}/api/v1/orders/{number}?key={key}");
    http::client()
        .patch(url)
        .json(&edit)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}

/// The piece of a line leaves.
async fn ship(staff: &Staff, number: &str, line: i32) -> Result<()> {
    let parcel = json!({ "carrier": "post", "lines": [{ "line": line, "quantity": 1 }] });
    let path = format!("/orders/{number}/shipments");
    let packed = staff.send(Method::POST, &path, &parcel).await?;
    let id = packed["id"].as_str().context("no id")?;
    staff
        .send(Method::POST, &format!("/shipments/{id}/ship"), &json!({}))
        .await?;
    Ok(())
}

/// The staff take so much of the latest payment.
async fn capture(staff: &Staff, market: &Market, amount: i64) -> Result<()> {
    let path = format!("/payments/{}/captures", super::payment(market).await?);
    let body = json!({ "amount": amount });
    let (status, captured) = staff.ask(Method::POST, &path, &body, Some("c")).await?;
    anyhow::ensure!(status == 201, "{status}: {captured}");
    Ok(())
}

/// Until the provider has taken so much for the latest order.
async fn wait_until_taken(market: &Market, captured: i64) -> Result<()> {
    let statement =
        "SELECT captured FROM test_payment ORDER BY created_at DESC, opening_key LIMIT 1";
    wait_until("the money to be taken", LIMIT, async || {
        let taken = market.count(statement).await?;
        anyhow::ensure!(taken == captured, "{taken}, not {captured}");
        anyhow::Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_shipped_followed_returned_and_refunded() -> Result<()> {
    let (_database, market) = carrier_market().await?;
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    let lines = [(market.variants[0], 3), (market.variants[1], 1)];
    let cart = market.cart(&lines, None).await?;
    let placed = Buyer::at(&shop.url())
        .order(&cart, &cart.id, GOOD_CARD)
        .await?;
    let (number, key) = order_of(&placed)?;
    wait_for_payment_state(&market, "paid").await?;
    let order = format!("/orders/{number}");
    let nothing = json!({});

    // A review holds everything back.
    staff
        .send(Method::POST, &format!("{order}/hold"), &nothing)
        .await?;
    let first = json!({ "carrier": "post", "lines": [{ "line": 0, "quantity": 2 }] });
    let path = format!("{order}/shipments");
    let (status, _) = staff.ask(Method::POST, &path, &first, None).await?;
    assert_eq!(status, 409);
    staff
        .send(Method::POST, &format!("{order}/release"), &nothing)
        .await?;

    let packed = staff.send(Method::POST, &path, &first).await?;
    let shipment = format!("/shipments/{}", text(&packed["id"]));
    let (status, too_many) = staff.ask(Method::POST, &path, &first, None).await?;
    assert_eq!(
        (status, text(&too_many["errors"][0]["field"])),
        (422, "/lines/0/quantity")
    );
    // The carrier is quicker than the staff, and its messages come in the wrong order.
    assert_eq!(
        carrier_says(&shop.url(), "e2", "in_transit", 60, CARRIER_SECRET).await?,
        200
    );
    let shipped = staff
        .send(
            Method::POST,
            &format!("{shipment}/ship"),
            &json!({ "tracking_number": "POST-1" }),
        )
        .await?;
    assert_eq!(
        (text(&shipped["state"]), text(&shipped["tracking_url"])),
        ("in_transit", "https://post.example/POST-1")
    );
    let (status, _) = staff
        .ask(Method::POST, &format!("{shipment}/ship"), &nothing, None)
        .await?;
    assert_eq!(status, 409);
    assert_eq!(
        carrier_says(&shop.url(), "e3", "delivered", 120, "wrong").await?,
        400
    );
    for _ in 0..2 {
        assert_eq!(
            carrier_says(&shop.url(), "e3", "delivered", 120, CARRIER_SECRET).await?,
            200
        );
    }
    assert_eq!(
        carrier_says(&shop.url(), "e1", "failed", 30, CARRIER_SECRET).await?,
        200
    );
    let public = format!("{}/api/v1/orders/{number}", shop.url());
    let parcels = get(&format!("{public}/shipments?key={key}")).await?;
    assert_eq!(text(&parcels["shipments"][0]["state"]), "delivered");
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM order_event WHERE kind = 'shipment.delivered'")
            .await?,
        1
    );
    assert_eq!(
        text(&get(&format!("{public}?key={key}")).await?["fulfilment_state"]),
        "partially_shipped"
    );

    let rest = json!({ "carrier": "post", "lines": [{ "line": 0, "quantity": 1 }, { "line": 1, "quantity": 1 }] });
    let second = staff.send(Method::POST, &path, &rest).await?;
    let second = format!("/shipments/{}", text(&second["id"]));
    staff
        .send(Method::POST, &format!("{second}/ship"), &nothing)
        .await?;
    staff
        .send(
            Method::PUT,
            &format!("{second}/state"),
            &json!({ "state": "delivered" }),
        )
        .await?;
    let shown = get(&format!("{public}?key={key}")).await?;
    assert_eq!(
        (text(&shown["fulfilment_state"]), text(&shown["state"])),
        ("delivered", "completed")
    );
    let on_hand = "SELECT on_hand FROM stock ORDER BY variant_id LIMIT 1";
    assert_eq!(market.count(on_hand).await?, 997);

    // The page of the order, and the form without scripts.
    let page = |what: &str| format!("{}/en/orders/{number}{what}?key={key}", shop.url());
    let client = http::client();
    let html = client.get(page("")).send().await?.text().await?;
    assert!(
        html.contains("POST-1") && html.contains("Return items"),
        "{html}"
    );
    let form = client.get(page("/return")).send().await?;
    assert_eq!(form.status(), 200);
    assert!(form.text().await?.contains("pieces_0"));
    let empty = client
        .post(page("/return"))
        .form(&[("pieces_0", "0")])
        .send()
        .await?;
    assert_eq!(empty.status(), 422);
    let many = client
        .post(page("/return"))
        .form(&[("pieces_0", "4")])
        .send()
        .await?;
    assert_eq!(many.status(), 422);
    let taken = client
        .post(page("/return"))
        .form(&[
            ("pieces_0", "1"),
            ("pieces_1", "0"),
            ("reason", "too small"),
        ])
        .send()
        .await?;
    assert_eq!(taken.status(), 303);

    // The same over the API, once for each key.
    let wish = json!({ "lines": [{ "line": 0, "quantity": 2 }], "reason": "" });
    let ask = |key_of: Option<&'static str>, link: String, wish: Value| {
        let mut request = client
            .post(format!("{public}/returns?key={link}"))
            .json(&wish);
        if let Some(key) = key_of {
            request = request.header("Idempotency-Key", key);
        }
        request.send()
    };
    assert_eq!(ask(None, key.clone(), wish.clone()).await?.status(), 400);
    assert_eq!(
        ask(Some("a"), "forged".to_owned(), wish.clone())
            .await?
            .status(),
        404
    );
    let one = ask(Some("b"), key.clone(), wish.clone()).await?;
    assert_eq!(one.status(), 201);
    let one: Value = one.json().await?;
    let again = ask(Some("b"), key.clone(), wish.clone()).await?;
    assert!(again.headers().contains_key("idempotent-replayed"));
    assert_eq!(again.json::<Value>().await?, one);
    assert_eq!(
        ask(Some("c"), key.clone(), wish).await?.status(),
        422,
        "nothing of line 0 is left"
    );
    let returns = get(&format!("{public}/returns?key={key}")).await?;
    assert_eq!(returns["returns"].as_array().map(Vec::len), Some(2));

    let listed = staff.send(Method::GET, "/returns", &nothing).await?;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    let (small, large) = (
        text(&returns["returns"][0]["id"]),
        text(&returns["returns"][1]["id"]),
    );
    staff
        .send(Method::POST, &format!("/returns/{large}/reject"), &nothing)
        .await?;
    let path = format!("/returns/{small}");
    let (status, _) = staff
        .ask(
            Method::POST,
            &format!("{path}/receive"),
            &json!({ "restock": true }),
            None,
        )
        .await?;
    assert_eq!(status, 409, "not approved");
    staff
        .send(Method::POST, &format!("{path}/approve"), &nothing)
        .await?;
    let (status, _) = staff
        .ask(
            Method::POST,
            &format!("{path}/refunds"),
            &nothing,
            Some("early"),
        )
        .await?;
    assert_eq!(status, 409, "not received");
    staff
        .send(
            Method::POST,
            &format!("{path}/receive"),
            &json!({ "restock": true }),
        )
        .await?;
    assert_eq!(market.count(on_hand).await?, 998);
    let refund = json!({ "with_shipping": true });
    let (status, refunded) = staff
        .ask(Method::POST, &format!("{path}/refunds"), &refund, Some("r"))
        .await?;
    assert_eq!(
        (status, &refunded["refunds"][0]["amount"]),
        (201, &json!(PRICE + SHIPPING)),
        "{refunded}"
    );
    let (status, again) = staff
        .ask(Method::POST, &format!("{path}/refunds"), &refund, Some("r"))
        .await?;
    assert_eq!((status, again), (201, refunded));
    let (status, _) = staff
        .ask(Method::POST, &format!("{path}/refunds"), &refund, Some("s"))
        .await?;
    assert_eq!(status, 409);
    wait_for_payment_state(&market, "partially_refunded").await?;
    wait_until("the return to be done", LIMIT, async || {
        let found = staff.send(Method::GET, &path, &nothing).await.ok()?;
        (text(&found["state"]) == "refunded").then_some(())
    })
    .await?;
    assert_eq!(
        market
            .count("SELECT CAST(SUM(refunded) AS SIGNED) FROM test_payment")
            .await?,
        PRICE + SHIPPING
    );
    let html = client.get(page("")).send().await?.text().await?;
    assert!(
        html.contains("Refunded") && html.contains("Not accepted"),
        "{html}"
    );
    sums_agree(&market).await
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_taken_when_parcels_leave() -> Result<()> {
    let (_database, mut market) = carrier_market().await?;
    market.environment = market
        .environment
        .clone()
        .with("PANONO_PAYMENT_CAPTURE", "on_shipment");
    let shop = market.environment.serve().await?;
    let _worker = market.environment.worker().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    for (card, after_first) in [
        (GOOD_CARD, PRICE + SHIPPING),
        (ONE_CAPTURE, 2 * PRICE + SHIPPING),
    ] {
        let (number, _) = bought(&market, &shop.url(), card).await?;
        for (line, captured) in [(0, after_first), (1, 2 * PRICE + SHIPPING)] {
            ship(&staff, &number, line).await?;
            wait_until_taken(&market, captured).await?;
        }
        wait_for_payment_state(&market, "paid").await?;
    }
    // What was taken out before is not paid for.
    for card in [GOOD_CARD, ONE_CAPTURE] {
        let (number, key) = bought(&market, &shop.url(), card).await?;
        take_out(&shop.url(), &number, &key, 1).await?;
        ship(&staff, &number, 0).await?;
        wait_until_taken(&market, PRICE + SHIPPING).await?;
        wait_for_payment_state(&market, "paid").await?;
    }
    // What was captured before a line was taken out is what the rest costs: nothing goes back, and what is held is let go.
    let (number, key) = bought(&market, &shop.url(), GOOD_CARD).await?;
    capture(&staff, &market, PRICE + SHIPPING).await?;
    take_out(&shop.url(), &number, &key, 1).await?;
    ship(&staff, &number, 0).await?;
    wait_for_payment_state(&market, "paid").await?;
    wait_until_taken(&market, PRICE + SHIPPING).await?;
    let refunds = "SELECT COUNT(*) FROM payment_operation WHERE kind = 'refund'";
    assert_eq!(market.count(refunds).await?, 0);
    // What was captured went back, and what is held is enough for a piece that leaves.
    let (number, _) = bought(&market, &shop.url(), GOOD_CARD).await?;
    capture(&staff, &market, PRICE).await?;
    let path = format!("/payments/{}/refunds", super::payment(&market).await?);
    let (status, _) = staff
        .ask(Method::POST, &path, &json!({}), Some("r"))
        .await?;
    assert_eq!(status, 201);
    wait_for_payment_state(&market, "partially_refunded").await?;
    ship(&staff, &number, 0).await?;
    wait_until_taken(&market, 2 * PRICE + SHIPPING).await?;
    assert_eq!(
        super::order(&market, "payment_state").await?,
        "partially_refunded"
    );
    sums_agree(&market).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpacked_parcel_frees_its_pieces_and_one_that_left_stays() -> Result<()> {
    let (_database, market) = carrier_market().await?;
    let shop = market.environment.serve().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    let cart = super::cart(&market).await?;
    let placed = Buyer::at(&shop.url())
        .order(&cart, &cart.id, GOOD_CARD)
        .await?;
    let (number, _) = order_of(&placed)?;
    let parcel = json!({ "carrier": "post", "lines": [{ "line": 0, "quantity": 1 }] });
    let path = format!("/orders/{number}/shipments");
    let packed = staff.send(Method::POST, &path, &parcel).await?;
    let shipment = format!("/shipments/{}", text(&packed["id"]));
    // Without a worker the money is not taken yet, so that nothing leaves.
    let (status, refused) = staff
        .ask(Method::POST, &format!("{shipment}/ship"), &json!({}), None)
        .await?;
    assert_eq!(status, 409, "{refused}");
    staff.send(Method::DELETE, &shipment, &Value::Null).await?;
    let packed = staff.send(Method::POST, &path, &parcel).await?;
    let shipment = format!("/shipments/{}", text(&packed["id"]));
    let _worker = market.environment.worker().await?;
    wait_for_payment_state(&market, "paid").await?;
    staff
        .send(Method::POST, &format!("{shipment}/ship"), &json!({}))
        .await?;
    let (status, _) = staff
        .ask(Method::DELETE, &shipment, &Value::Null, None)
        .await?;
    assert_eq!(status, 409);
    market.check().await
}
