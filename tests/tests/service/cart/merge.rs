//! What becomes of a guest's cart when its owner signs in.

use anyhow::Result;
use futures_util::future::join_all;
use panono_shop::accounts::session::Token;
use panono_tests::http;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Bed, Reply};

/// A customer with a session; the cookie of it.
async fn customer(bed: &Bed, id: i64) -> Result<String> {
    let token = Token::random();
    bed.execute(&format!(
        "INSERT INTO customer (id, public_id, email, email_key, locale, verified_at) VALUES ({id}, LPAD({id}, 26, '0'), \
         'c{id}@example.com', 'c{id}@example.com', 'en', UTC_TIMESTAMP(6))"
    ))
    .await?;
    bed.execute(&format!(
        "INSERT INTO customer_session (token_hash, customer_id, stage, expires_at) VALUES ('{}', {id}, 'full', \
         UTC_TIMESTAMP(6) + INTERVAL 1 DAY)",
        token.hash().as_str()
    ))
    .await?;
    Ok(format!("panono-session={}", token.reveal()))
}

async fn as_customer(
    bed: &Bed,
    cookie: &str,
    method: Method,
    path: &str,
    body: Value,
) -> Result<Reply> {
    let url = bed.shop.url();
    let request = http::client()
        .request(method, format!("{url}/api/v1/carts{path}"))
        .header("cookie", cookie)
        .header("origin", &url);
    bed.send(if body.is_null() {
        request
    } else {
        request.json(&body)
    })
    .await
}

#[tokio::test]
async fn the_first_cart_of_a_customer_is_the_one_they_had_as_a_guest() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, _) = bed.product("Mug", 1200).await?;
    let cookie = customer(&bed, 1).await?;
    let guest = bed.cart(&[(&mug, 2)]).await?;
    let path = format!("/{guest}/merge");
    let merged = as_customer(&bed, &cookie, Method::POST, &path, Value::Null)
        .await?
        .expect(200);
    assert_eq!(
        (merged.id(), merged.body["has_owner"].clone()),
        (guest.clone(), json!(true))
    );
    assert_eq!(merged.body["email"], "c1@example.com");
    // From now on it is nobody else's, whoever knows its id.
    bed.get(&format!("/{guest}"))
        .await?
        .problem(404, "not_found");
    as_customer(
        &bed,
        &cookie,
        Method::GET,
        &format!("/{guest}"),
        Value::Null,
    )
    .await?
    .expect(200);
    // A customer has one open cart: making another one puts things into it.
    let (bowl, _) = bed.product("Bowl", 900).await?;
    let more = json!({ "lines": [{ "sku": bowl, "quantity": 1 }] });
    let same = as_customer(&bed, &cookie, Method::POST, "", more)
        .await?
        .expect(201);
    assert_eq!(same.id(), guest);
    assert_eq!(same.body["lines"].as_array().unwrap().len(), 2);
    Ok(())
}

#[tokio::test]
async fn two_carts_become_one_with_the_greater_quantities() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, _) = bed.product("Mug", 1200).await?;
    let (bowl, bowl_variant) = bed.product("Bowl", 900).await?;
    let (cup, _) = bed.product("Cup", 700).await?;
    bed.coupon_promotion("TEN", json!({})).await?;
    let cookie = customer(&bed, 1).await?;
    let lines = json!({ "lines": [{ "sku": mug, "quantity": 3 }, { "sku": cup, "quantity": 1 }] });
    let own = as_customer(&bed, &cookie, Method::POST, "", lines)
        .await?
        .expect(201)
        .id();
    let guest = bed.cart(&[(&mug, 2), (&cup, 4), (&bowl, 5)]).await?;
    bed.coupon(&guest, "TEN").await?.expect(200);
    bed.patch(&guest, json!({ "shipping_address": super::american() }))
        .await?
        .expect(200);
    bed.stock(bowl_variant, 2).await?;

    let path = format!("/{guest}/merge");
    let merged = as_customer(&bed, &cookie, Method::POST, &path, Value::Null)
        .await?
        .expect(200);
    assert_eq!(merged.id(), own);
    assert_eq!(
        merged.each("lines", "sku"),
        [json!(mug), json!(cup), json!(bowl)]
    );
    // Three of mugs as before, four cups as the guest wanted, and of five bowls the two that there are.
    assert_eq!(
        merged.each("lines", "quantity"),
        [json!(3), json!(4), json!(2)]
    );
    assert_eq!(merged.each("coupons", "code"), ["TEN"]);
    assert_eq!(merged.body["shipping_address"]["city"], "Springfield");
    bed.get(&format!("/{guest}"))
        .await?
        .problem(404, "not_found");

    // Again has no effect.
    let again = as_customer(&bed, &cookie, Method::POST, &path, Value::Null)
        .await?
        .expect(200);
    assert_eq!(again.body["lines"], merged.body["lines"]);
    assert_eq!(again.body["version"], merged.body["version"]);
    Ok(())
}

#[tokio::test]
async fn merging_at_once_from_many_tabs_merges_once() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, _) = bed.product("Mug", 1200).await?;
    let cookie = customer(&bed, 1).await?;
    let lines = json!({ "lines": [{ "sku": mug, "quantity": 1 }] });
    let own = as_customer(&bed, &cookie, Method::POST, "", lines)
        .await?
        .expect(201)
        .id();
    let guest = bed.cart(&[(&mug, 2)]).await?;
    let path = format!("/{guest}/merge");
    let replies =
        join_all((0..8).map(|_| as_customer(&bed, &cookie, Method::POST, &path, Value::Null)))
            .await;
    for reply in replies {
        assert_eq!(reply?.expect(200).id(), own);
    }
    let shown = as_customer(&bed, &cookie, Method::GET, &format!("/{own}"), Value::Null).await?;
    assert_eq!(shown.body["lines"][0]["quantity"], 2);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_cart_cannot_be_merged() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, _) = bed.product("Mug", 1200).await?;
    let (one, other) = (customer(&bed, 1).await?, customer(&bed, 2).await?);
    let lines = json!({ "lines": [{ "sku": mug, "quantity": 1 }] });
    let theirs = as_customer(&bed, &one, Method::POST, "", lines)
        .await?
        .expect(201)
        .id();
    let path = format!("/{theirs}/merge");
    as_customer(&bed, &other, Method::POST, &path, Value::Null)
        .await?
        .problem(404, "not_found");
    as_customer(&bed, &one, Method::GET, &format!("/{theirs}"), Value::Null)
        .await?
        .expect(200);
    // Without telling from where it comes, a request with a cookie is refused.
    let url = format!("{}/api/v1/carts{path}", bed.shop.url());
    let forged = http::client()
        .post(url)
        .header("cookie", &one)
        .header("origin", "https://evil.example");
    bed.send(forged).await?.problem(403, "cross_site");
    Ok(())
}
