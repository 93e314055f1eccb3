//! Zones, taxes, shipping methods, promotions and coupons as staff change them.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Bed, percentage};

/// What a request of staff is refused with.
async fn refused(bed: &Bed, method: Method, path: &str, body: Value) -> String {
    let answer = bed.staff.send(method, path, &body).await;
    answer
        .err()
        .map_or_else(String::new, |error| error.to_string())
}

#[tokio::test]
async fn zones_and_methods_are_made_changed_and_kept_consistent() -> Result<()> {
    let bed = Bed::start().await?;
    bed.zones().await?;
    let zones = bed.staff.send(Method::GET, "/zones", &Value::Null).await?;
    assert_eq!(zones["items"].as_array().unwrap().len(), 2);
    let us = zones["items"][0].clone();
    let twin = json!({ "name": "Again", "prices_include_tax": true, "areas": [{ "country": "US" }], "rates": [] });
    let taken = refused(&bed, Method::POST, "/zones", twin).await;
    assert!(
        taken.contains("409") && taken.contains("is in the zone"),
        "{taken}"
    );
    let named = json!({ "name": "US", "prices_include_tax": true, "areas": [{ "country": "FR" }], "rates": [] });
    assert!(
        refused(&bed, Method::POST, "/zones", named)
            .await
            .contains("409")
    );

    let path = format!("/zones/{}", us["id"]);
    let changed = json!({
        "name": "US", "prices_include_tax": false, "areas": [{ "country": "US" }, { "country": "CA", "region": "ON" }],
        "rates": [{ "tax_category": "standard", "name": "Sales tax", "rate": 100_000 }],
    });
    let after = bed.staff.send(Method::PUT, &path, &changed).await?;
    assert_eq!(after["version"], us["version"].as_i64().unwrap() + 1);
    assert_eq!(
        after["areas"][0],
        json!({ "country": "CA", "region": "ON" })
    );
    let methods = bed
        .staff
        .send(Method::GET, "/shipping-methods", &Value::Null)
        .await?;
    assert!(
        refused(&bed, Method::DELETE, &path, Value::Null)
            .await
            .contains("409")
    );

    let mut method = methods["items"][0].clone();
    let id = method["id"].clone();
    for field in ["id", "version"] {
        method.as_object_mut().unwrap().remove(field);
    }
    method["status"] = json!("archived");
    let path = format!("/shipping-methods/{id}");
    let archived = bed.staff.send(Method::PUT, &path, &method).await?;
    assert_eq!(archived["status"], "archived");
    method["code"] = json!("other");
    assert!(
        refused(&bed, Method::PUT, &path, method.clone())
            .await
            .contains("is fixed")
    );
    method["rates"] = json!([{ "currency": "JPY", "amount": 1 }]);
    method["code"] = json!("post");
    assert!(
        refused(&bed, Method::PUT, &path, method)
            .await
            .contains("not a currency")
    );
    let audit = bed
        .staff
        .send(Method::GET, "/audit-log", &Value::Null)
        .await?;
    let actions: Vec<&str> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    for action in [
        "zone.create",
        "zone.update",
        "shipping_method.create",
        "shipping_method.update",
    ] {
        assert!(actions.contains(&action), "{action} in {actions:?}");
    }
    Ok(())
}

#[tokio::test]
async fn promotions_go_forward_and_coupons_are_made_in_bulk() -> Result<()> {
    let bed = Bed::start().await?;
    let body = |status: &str, limit: Value| {
        json!({ "name": "Sale", "labels": { "en": "Sale" }, "status": status, "needs_coupon": true, "usage_limit": limit,
            "rule": percentage(100_000) })
    };
    let made = bed
        .staff
        .send(Method::POST, "/promotions", &body("draft", Value::Null))
        .await?;
    let path = format!("/promotions/{}", made["id"]);
    bed.staff
        .send(Method::PUT, &path, &body("active", json!(5)))
        .await?;
    for (wrong, why) in [
        (body("draft", json!(5)), "never back"),
        (body("active", Value::Null), "not set or removed"),
    ] {
        let message = refused(&bed, Method::PUT, &path, wrong).await;
        assert!(
            message.contains("422") && message.contains(why),
            "{message}"
        );
    }
    bed.execute("UPDATE promotion SET used = 4").await?;
    let low = refused(&bed, Method::PUT, &path, body("active", json!(3))).await;
    assert!(low.contains("must not be less than"), "{low}");
    bed.staff
        .send(Method::PUT, &path, &body("active", json!(9)))
        .await?;

    let coupons = format!("{path}/coupons");
    let bulk = bed
        .staff
        .send(
            Method::POST,
            &coupons,
            &json!({ "count": 1000, "prefix": "vip-", "usage_limit": 1 }),
        )
        .await?;
    assert_eq!(bulk["codes"].as_array().unwrap().len(), 1000);
    bed.staff
        .send(Method::POST, &coupons, &json!({ "codes": ["Summer 1"] }))
        .await?;
    let twice = refused(
        &bed,
        Method::POST,
        &coupons,
        json!({ "codes": ["new1", "SUMMER1"] }),
    )
    .await;
    assert!(
        twice.contains("409") && twice.contains("SUMMER1"),
        "{twice}"
    );
    assert_eq!(bed.number("SELECT COUNT(*) FROM coupon").await?, 1001);
    assert!(
        refused(&bed, Method::POST, &coupons, json!({ "count": 1001 }))
            .await
            .contains("400")
    );
    let first = bed
        .staff
        .send(Method::GET, &format!("{coupons}?limit=200"), &Value::Null)
        .await?;
    assert_eq!(first["items"].as_array().unwrap().len(), 200);
    assert!(first["next"].is_string());
    bed.staff
        .send(Method::PUT, &path, &body("archived", json!(9)))
        .await?;
    assert!(
        refused(&bed, Method::POST, &coupons, json!({ "codes": ["LATE"] }))
            .await
            .contains("archived")
    );
    assert!(
        refused(&bed, Method::PUT, &path, body("active", json!(9)))
            .await
            .contains("never back")
    );
    Ok(())
}

#[tokio::test]
async fn promotions_without_a_coupon_are_bounded() -> Result<()> {
    let bed = Bed::start().await?;
    bed.execute(
        "INSERT INTO promotion (name, labels, status, needs_coupon, rule) WITH RECURSIVE n AS \
         (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT CONCAT('p', i), '{}', 'active', FALSE, \
         '{\"effect\": {\"kind\": \"free_shipping\"}, \"conditions\": {}}' FROM n",
    )
    .await?;
    let one_more = json!({ "name": "x", "labels": { "en": "x" }, "status": "active", "needs_coupon": false, "rule": percentage(1) });
    assert!(
        refused(&bed, Method::POST, "/promotions", one_more)
            .await
            .contains("409")
    );
    // Carts go on working with as many.
    let (sku, _) = bed.product("Mug", 1200).await?;
    let cart = bed.cart(&[(&sku, 1)]).await?;
    assert_eq!(
        bed.get(&format!("/{cart}")).await?.expect(200).body["totals"]["total"],
        1200
    );
    Ok(())
}

#[tokio::test]
async fn the_demo_can_take_orders() -> Result<()> {
    let bed = Bed::start().await?;
    let currencies: Vec<panono_shop::catalog::model::Currency> =
        vec!["USD".parse()?, "EUR".parse()?];
    let settings = (currencies, true);
    for _ in 0..2 {
        let settings = settings.clone();
        bed.db
            .transaction(move |connection| {
                let settings = settings.clone();
                Box::pin(async move {
                    panono_shop::seed::selling::write(connection, &settings.0, settings.1).await?;
                    Ok::<_, panono_shop::db::DbError>(())
                })
            })
            .await?;
    }
    let (sku, _) = bed.product("Mug", 2000).await?;
    let cart = bed.cart(&[(&sku, 1)]).await?;
    bed.coupon(&cart, "welcome10").await?.expect(200);
    for (country, methods) in [
        ("US", ["standard-us", "express-us"]),
        ("FR", ["standard-eu", "express-eu"]),
        ("JP", ["standard-world", "express-world"]),
    ] {
        let shown = bed
            .patch(&cart, json!({ "destination": { "country": country } }))
            .await?
            .expect(200);
        assert_eq!(shown.each("shipping_methods", "code"), methods);
        assert_eq!(shown.body["totals"]["discount"], 200);
    }
    Ok(())
}
