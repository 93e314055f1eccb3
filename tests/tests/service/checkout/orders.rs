//! What shoppers and staff do with an order afterwards.

use std::time::Duration;

use anyhow::{Context, Result};
use panono_tests::http;
use panono_tests::market::{Buyer, GOOD_CARD, Market, PRICE, SHIPPING};
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;
use reqwest::Method;
use serde_json::{Value, json};

use super::market;

const LIMIT: Duration = Duration::from_secs(60);

/// An order of two products, and the address by which it is followed.
async fn order(market: &Market, base: &str) -> Result<(String, String)> {
    order_with(market, base, GOOD_CARD).await
}

async fn order_with(market: &Market, base: &str, card: &str) -> Result<(String, String)> {
    let lines = [(market.variants[0], 3), (market.variants[1], 1)];
    let cart = market.cart(&lines, None).await?;
    let reply = Buyer::at(base).order(&cart, &cart.id, card).await?;
    let number = reply.body["number"].as_str().context("no number")?;
    let url = reply.body["url"].as_str().context("no link")?;
    let key = url.split("key=").nth(1).context("no key")?;
    Ok((number.to_owned(), key.to_owned()))
}

async fn send(method: Method, url: &str, body: &Value) -> Result<(u16, Value)> {
    let answer = http::client()
        .request(method, url)
        .json(body)
        .send()
        .await?;
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    Ok((status, answer.json().await.unwrap_or(Value::Null)))
}

async fn get(url: &str) -> Result<(u16, Value)> {
    send(Method::GET, url, &Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_seen_by_its_link_and_by_no_other() -> Result<()> {
    let (_database, market) = market(2, 100).await?;
    let shop = market.environment.serve().await?;
    let (number, key) = order(&market, &shop.url()).await?;
    let (_, other_key) = order(&market, &shop.url()).await?;
    let base = format!("{}/api/v1/orders", shop.url());
    let (status, order) = get(&format!("{base}/{number}?key={key}")).await?;
    assert_eq!(status, 200, "{order}");
    assert_eq!(order["state"], "placed");
    assert_eq!(order["total"], 4 * PRICE + SHIPPING);
    assert_eq!(order["lines"][0]["name"], "Mug 0");
    assert_eq!(order["shipping_address"]["city"], "Berlin");
    for wrong in [
        format!("{base}/{number}"),
        format!("{base}/{number}?key={other_key}"),
        format!("{base}/{number}?key="),
        format!("{base}/0000-0000-000?key={key}"),
        format!("{base}/nothing?key={key}"),
    ] {
        let (status, body) = get(&wrong).await?;
        assert_eq!(
            (status, body["code"].as_str()),
            (404, Some("not_found")),
            "{wrong}"
        );
    }
    let (status, page) = {
        let answer = http::client()
            .get(format!(
                "{}/en/orders/{number}?key={key}&placed=1",
                shop.url()
            ))
            .send()
            .await?;
        (answer.status().as_u16(), answer.text().await?)
    };
    assert_eq!(status, 200);
    assert!(
        page.contains(&number) && page.contains("Thank you") && page.contains("Lindenstraße 1")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_can_be_taken_out_and_the_rest_cancelled() -> Result<()> {
    let (_database, market) = market(2, 100).await?;
    let shop = market.environment.serve().await?;
    let worker = market.environment.worker().await?;
    let (number, key) = order(&market, &shop.url()).await?;
    let url = |what: &str| format!("{}/api/v1/orders/{number}{what}?key={key}", shop.url());
    wait_until("the money to be taken", LIMIT, async || {
        market
            .count("SELECT CAST(COALESCE(SUM(amount), 0) AS SIGNED) FROM payment_operation WHERE kind = 'capture' AND state = 'succeeded'")
            .await
            .is_ok_and(|captured| captured == 4 * PRICE + SHIPPING)
    })
    .await?;
    // Absolute, so that sending it twice takes out one piece.
    let edit = json!({ "lines": [{ "position": 0, "quantity": 2 }] });
    for _ in 0..2 {
        let (status, order) = send(Method::PATCH, &url(""), &edit).await?;
        assert_eq!(status, 200, "{order}");
        assert_eq!(order["lines"][0]["cancelled"], 1);
        assert_eq!(
            order["total"],
            4 * PRICE + SHIPPING,
            "what was ordered stays on record"
        );
    }
    let refunded = "SELECT CAST(COALESCE(SUM(amount), 0) AS SIGNED) FROM payment_operation WHERE kind = 'refund'";
    // A part of the country where other taxes are due.
    for statement in [
        "INSERT INTO zone (id, name, prices_include_tax) VALUES (2, 'Bavaria', TRUE)",
        "INSERT INTO zone_area (country, region, zone_id) VALUES ('DE', 'BY', 2)",
    ] {
        sqlx::query(statement).execute(&market.pool).await?;
    }
    assert_eq!(market.count(refunded).await?, PRICE);
    for (body, field) in [
        (
            json!({ "lines": [{ "position": 0, "quantity": 3 }] }),
            "/lines/0/quantity",
        ),
        (
            json!({ "lines": [{ "position": 7, "quantity": 0 }] }),
            "/lines/0/position",
        ),
        (
            json!({ "shipping_address": { "name": "Ada Buyer", "line1": "Rue 1", "city": "Paris", "postcode": "75001", "country": "FR" } }),
            "/shipping_address/country",
        ),
        (
            json!({ "shipping_address": { "name": "Ada Buyer", "line1": "Marienplatz 1", "city": "München", "region": "BY", "postcode": "80331", "country": "DE" } }),
            "/shipping_address/region",
        ),
        (
            json!({ "shipping_address": { "country": "DE" } }),
            "/shipping_address/name",
        ),
    ] {
        let (status, answer) = send(Method::PATCH, &url(""), &body).await?;
        assert_eq!(
            (status, &answer["errors"][0]["field"]),
            (422, &json!(field)),
            "{answer}"
        );
    }
    let everything =
        json!({ "lines": [{ "position": 0, "quantity": 0 }, { "position": 1, "quantity": 0 }] });
    assert_eq!(send(Method::PATCH, &url(""), &everything).await?.0, 409);
    let moved = json!({ "shipping_address": { "name": "Ada Buyer", "line1": "Hauptstraße 2", "city": "Bonn", "region": "NW", "postcode": "53111", "country": "DE" } });
    let (status, order) = send(Method::PATCH, &url(""), &moved).await?;
    assert_eq!(
        (status, &order["shipping_address"]["city"]),
        (200, &json!("Bonn"))
    );
    market.check().await?;

    for _ in 0..2 {
        let (status, order) = send(Method::POST, &url("/cancel"), &Value::Null).await?;
        assert_eq!(
            (status, &order["state"]),
            (200, &json!("cancelled")),
            "{order}"
        );
    }
    assert_eq!(
        market
            .count("SELECT CAST(SUM(reserved) AS SIGNED) FROM stock")
            .await?,
        0
    );
    wait_until("the money to be given back", LIMIT, async || {
        let (_, order) = get(&url("")).await.map_err(|error| error.to_string())?;
        match order["payment_state"].as_str() {
            Some("refunded") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    assert_eq!(market.count(refunded).await?, 4 * PRICE + SHIPPING);
    assert_eq!(send(Method::PATCH, &url(""), &edit).await?.0, 409);
    drop(worker);
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_find_hold_and_release_orders() -> Result<()> {
    let (_database, market) = market(2, 100).await?;
    let shop = market.environment.serve().await?;
    // With the longest name that a token can have: it is written down with every change.
    let staff = Staff::named(&market.environment, &shop.url(), &"ä".repeat(190)).await?;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        numbers.push(order(&market, &shop.url()).await?.0);
    }
    let nothing = Value::Null;
    let first = staff
        .send(Method::GET, "/orders?state=placed&limit=2", &nothing)
        .await?;
    let next = first["next"].as_str().context("no second page")?;
    let second = staff
        .send(
            Method::GET,
            &format!("/orders?state=placed&limit=2&after={next}"),
            &nothing,
        )
        .await?;
    let listed: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|order| order["number"].as_str().unwrap())
        .collect();
    let latest_first: Vec<&str> = numbers.iter().rev().map(String::as_str).collect();
    assert_eq!(listed, latest_first);

    let path = format!("/orders/{}", numbers[0]);
    let held = staff
        .send(Method::POST, &format!("{path}/hold"), &json!({}))
        .await?;
    assert_eq!(held["review_state"], "pending");
    let queue = staff
        .send(Method::GET, "/orders?review_state=pending", &nothing)
        .await?;
    assert_eq!(queue["items"].as_array().map(Vec::len), Some(1));
    staff
        .send(
            Method::POST,
            &format!("{path}/notes"),
            &json!({ "text": "called, it is fine" }),
        )
        .await?;
    let released = staff
        .send(Method::POST, &format!("{path}/release"), &json!({}))
        .await?;
    assert_eq!(released["review_state"], "cleared");
    let cancelled = staff
        .send(Method::POST, &format!("{path}/cancel"), &json!({}))
        .await?;
    assert_eq!(
        (&cancelled["state"], &cancelled["cancel_reason"]),
        (&json!("cancelled"), &json!("staff"))
    );
    // Who pays for its cart once more, as from another tab, is not told that it is placed.
    let cart: String = sqlx::query_scalar(
        "SELECT cart.public_id FROM orders JOIN cart ON cart.id = orders.cart_id WHERE number = ?",
    )
    .bind(&numbers[0])
    .fetch_one(&market.pool)
    .await?;
    let body = json!({ "expected_total": 4 * PRICE + SHIPPING, "payment": { "provider": "test", "token": GOOD_CARD } });
    let again = Buyer::at(&shop.url())
        .send(&cart, Some("another-tab"), &body)
        .await?;
    assert_eq!((again.status.as_u16(), again.code()), (409, "conflict"));
    let kinds: Vec<&str> = cancelled["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "order.created",
            "order.authorized",
            "order.placed",
            "order.held",
            "note",
            "order.released",
            "order.cancelled"
        ]
    );
    assert_eq!(
        market
            .count("SELECT COUNT(*) FROM audit_log WHERE entity = 'order'")
            .await?,
        4
    );
    assert!(
        staff
            .send(Method::GET, "/orders/0000-0000-000", &nothing)
            .await
            .is_err()
    );
    market.check().await
}

/// What was recorded of a kind for an order, in sum.
async fn recorded(market: &Market, number: &str, kind: &str) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(operation.amount), 0) AS SIGNED) FROM payment_operation AS operation \
         JOIN payment ON payment.id = operation.payment_id JOIN orders ON orders.id = payment.order_id \
         WHERE orders.number = ? AND operation.kind = ?",
    )
    .bind(number)
    .bind(kind)
    .fetch_one(&market.pool)
    .await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_a_person_is_paid_for_when_it_may_go_on() -> Result<()> {
    let (_database, market) = market(2, 100).await?;
    sqlx::query("INSERT INTO risk_rule (name, kind, parameters, weight, mode) VALUES ('all', 'amount', '{\"currency\": \"USD\", \"at_least\": 1}', 60, 'active')")
        .execute(&market.pool)
        .await?;
    let shop = market.environment.serve().await?;
    let staff = Staff::new(&market.environment, &shop.url()).await?;
    // Pieces that are taken out meanwhile are not paid for. The second card lets go of the rest by itself.
    for (card, decide, void) in [
        (GOOD_CARD, "/risk/reviews/{}/clear", 2 * PRICE),
        ("4000000000001117", "/orders/{}/release", 0),
    ] {
        let (number, key) = order_with(&market, &shop.url(), card).await?;
        assert_eq!(recorded(&market, &number, "capture").await?, 0, "{card}");
        let url = format!("{}/api/v1/orders/{number}?key={key}", shop.url());
        let edit = json!({ "lines": [{ "position": 0, "quantity": 1 }] });
        assert_eq!(send(Method::PATCH, &url, &edit).await?.0, 200, "{card}");
        let path = decide.replace("{}", &number);
        staff.send(Method::POST, &path, &json!({})).await?;
        for (kind, amount) in [
            ("capture", 2 * PRICE + SHIPPING),
            ("void", void),
            ("refund", 0),
        ] {
            let found = recorded(&market, &number, kind).await?;
            assert_eq!(found, amount, "{kind} with {card}");
        }
    }
    // Whoever holds an order back before it is paid does not keep it from being placed, and nothing is taken of it.
    let (number, _) = order_with(&market, &shop.url(), "4000000000001018").await?;
    let held = staff
        .send(Method::POST, &format!("/orders/{number}/hold"), &json!({}))
        .await?;
    assert_eq!(held["state"], "pending");
    let _worker = market.environment.worker().await?;
    wait_until("both to be paid", LIMIT, async || {
        market
            .count("SELECT COUNT(*) FROM orders WHERE payment_state = 'paid'")
            .await
            .is_ok_and(|paid| paid == 2)
    })
    .await?;
    let taken = "SELECT CAST(SUM(captured) AS SIGNED) FROM test_payment";
    wait_until("the one that is held to be placed", LIMIT, async || {
        market
            .count(
                "SELECT COUNT(*) FROM orders WHERE state = 'placed' AND review_state = 'pending'",
            )
            .await
            .is_ok_and(|placed| placed == 1)
    })
    .await?;
    assert_eq!(recorded(&market, &number, "capture").await?, 0);
    assert_eq!(market.count(taken).await?, 2 * (2 * PRICE + SHIPPING));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_order_gives_everything_back_when_its_time_is_over() -> Result<()> {
    let (_database, mut market) = market(1, 1).await?;
    market.environment = market.environment.clone().with("PANONO_CHECKOUT_HOLD", "1");
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    let cart = market.cart(&[(market.variants[0], 1)], None).await?;
    // The shopper goes to the second step and does not come back.
    let waiting = buyer.order(&cart, "first", "4000000000003220").await?;
    assert_eq!(
        (waiting.status.as_u16(), &waiting.body["status"]),
        (202, &json!("action_required"))
    );
    assert_eq!(market.count("SELECT reserved FROM stock").await?, 1);
    let _worker = market.environment.worker().await?;
    wait_until("the piece to be free again", LIMIT, async || {
        market
            .count("SELECT reserved FROM stock")
            .await
            .is_ok_and(|reserved| reserved == 0)
    })
    .await?;
    let number = waiting.body["number"].as_str().context("no number")?;
    let ended: (String, String) =
        sqlx::query_as("SELECT state, cancel_reason FROM orders WHERE number = ?")
            .bind(number)
            .fetch_one(&market.pool)
            .await?;
    assert_eq!(ended, ("cancelled".to_owned(), "expired".to_owned()));
    let placed = buyer.order(&cart, "second", GOOD_CARD).await?;
    assert!(placed.placed().is_some(), "{placed:?}");
    market.check().await
}
