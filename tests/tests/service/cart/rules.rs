//! What a cart says it costs, and what it refuses.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Bed, american, german, percentage};

#[tokio::test]
async fn quantities_are_absolute_and_bounded_by_what_there_is() -> Result<()> {
    let bed = Bed::start().await?;
    let (sku, variant) = bed.product("Mug", 1200).await?;
    let cart = bed.cart(&[(&sku, 2)]).await?;
    let first = bed.put(&cart, &sku, 3).await?.expect(200);
    assert_eq!(first.body["totals"]["subtotal"], 3600);
    let again = bed.put(&cart, &sku, 3).await?.expect(200);
    assert_eq!(again.body["totals"], first.body["totals"]);
    assert!(again.body["version"].as_i64() > first.body["version"].as_i64());
    assert_eq!(
        again.header("etag"),
        format!("\"v{}\"", again.body["version"])
    );

    bed.stock(variant, 4).await?;
    let refused = bed.put(&cart, &sku, 5).await?.problem(409, "out_of_stock");
    assert_eq!(refused.fields(), [format!("/lines/{sku}")]);
    assert!(refused.text.contains("only 4 are left"), "{}", refused.text);
    assert_eq!(
        bed.get(&format!("/{cart}")).await?.body["lines"][0]["quantity"],
        3
    );
    bed.put(&cart, &sku, 4).await?.expect(200);

    for quantity in [
        json!(-1),
        json!(10_000),
        json!(1.5),
        json!("2"),
        Value::Null,
    ] {
        let path = format!("/{cart}/lines/{sku}");
        let body = json!({ "quantity": quantity });
        let refused = bed.api(Method::PUT, &path, body).await?;
        assert_eq!(
            refused.problem(400, "invalid_request").fields(),
            ["/quantity"]
        );
    }
    bed.put(&cart, "NO-SUCH", 1)
        .await?
        .problem(422, "unprocessable");
    let empty = bed.put(&cart, &sku, 0).await?.expect(200);
    assert_eq!(empty.body["lines"], json!([]));
    assert!(
        empty
            .each("requirements", "code")
            .contains(&json!("cart_empty"))
    );
    let path = format!("/{cart}/lines/{sku}");
    bed.api(Method::DELETE, &path, Value::Null)
        .await?
        .expect(200);
    Ok(())
}

#[tokio::test]
async fn stock_in_buckets_can_be_bought_too() -> Result<()> {
    let bed = Bed::start().await?;
    let (sku, variant) = bed.product("Drop", 5000).await?;
    bed.stock(variant, 1).await?;
    bed.execute(&format!(
        "INSERT INTO stock_bucket (variant_id, bucket, on_hand, reserved) VALUES ({variant}, 0, 5, 2), ({variant}, 1, 3, 0)"
    ))
    .await?;
    let cart = bed.cart(&[(&sku, 7)]).await?;
    let shown = bed.get(&format!("/{cart}")).await?;
    assert_eq!(shown.body["lines"][0]["available"], 7);
    bed.put(&cart, &sku, 8).await?.problem(409, "out_of_stock");
    Ok(())
}

#[tokio::test]
async fn what_differs_is_told_until_it_was_seen() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, mug_variant) = bed.product("Mug", 1200).await?;
    let (bowl, bowl_variant) = bed.product("Bowl", 900).await?;
    let (cup, _) = bed.product("Cup", 700).await?;
    let cart = bed.cart(&[(&mug, 2), (&bowl, 3), (&cup, 1)]).await?;
    let path = format!("/{cart}");
    assert_eq!(bed.get(&path).await?.body["differences"], json!([]));

    bed.staff.set_price(mug_variant, "USD", 1500).await?;
    bed.stock(bowl_variant, 1).await?;
    bed.execute(&format!(
        "UPDATE variant SET status = 'archived' WHERE sku = '{cup}'"
    ))
    .await?;
    for _ in 0..2 {
        let shown = bed.get(&path).await?.expect(200);
        assert_eq!(
            shown.body["differences"],
            json!([
                { "kind": "price_changed", "sku": mug, "name": "Mug", "before": 1200, "now": 1500 },
                { "kind": "fewer_available", "sku": bowl, "name": "Bowl", "before": 3, "now": 1 },
                { "kind": "gone", "sku": cup, "name": "Cup" },
            ])
        );
        // What is gone costs nothing, and has to be removed.
        assert_eq!(shown.body["totals"]["subtotal"], 2 * 1500 + 3 * 900);
        assert_eq!(shown.each("gone", "sku"), [json!(cup)]);
        let codes = shown.each("requirements", "code");
        assert!(codes.contains(&json!("line_gone")) && codes.contains(&json!("line_short")));
    }
    let seen = bed
        .api(Method::POST, &format!("/{cart}/seen"), Value::Null)
        .await?
        .expect(200);
    assert_eq!(
        seen.each("differences", "kind"),
        [json!("fewer_available"), json!("gone")]
    );
    bed.stock(bowl_variant, 0).await?;
    assert_eq!(
        bed.get(&path).await?.each("differences", "kind")[0],
        "sold_out"
    );
    let removed = bed
        .api(Method::DELETE, &format!("/{cart}/lines/{cup}"), Value::Null)
        .await?;
    assert_eq!(removed.expect(200).body["gone"], json!([]));
    Ok(())
}

#[tokio::test]
async fn tax_and_shipping_follow_the_address_and_the_weight() -> Result<()> {
    let bed = Bed::start().await?;
    bed.zones().await?;
    let (sku, variant) = bed.product("Pot", 3333).await?;
    bed.execute(&format!(
        "UPDATE variant SET weight_grams = 700 WHERE id = {variant}"
    ))
    .await?;
    let cart = bed.cart(&[(&sku, 1)]).await?;
    let unknown = bed.get(&format!("/{cart}")).await?;
    assert_eq!(
        unknown.body["totals"],
        json!({ "subtotal": 3333, "discount": 0, "shipping": 0, "tax": 0, "total": 3333 })
    );
    assert_eq!(
        unknown.each("requirements", "code"),
        [
            "email_missing",
            "shipping_address_missing",
            "shipping_method_missing"
        ]
        .map(Value::from)
    );
    // A method cannot be chosen before it is known what is offered.
    let early = bed
        .patch(&cart, json!({ "shipping_method": "post" }))
        .await?;
    assert_eq!(
        early.problem(422, "unprocessable").fields(),
        ["/shipping_method"]
    );

    let american = bed
        .patch(
            &cart,
            json!({ "shipping_address": american(), "email": "ada@example.com" }),
        )
        .await?
        .expect(200);
    assert_eq!(american.body["prices_include_tax"], false);
    assert_eq!(american.each("shipping_methods", "code"), ["post"]);
    // 8 % of 33.33 is 2.6664.
    assert_eq!(american.body["totals"]["tax"], 267);
    let wrong = bed
        .patch(&cart, json!({ "shipping_method": "parcel" }))
        .await?
        .problem(422, "unprocessable");
    assert!(wrong.text.contains("offered are post"), "{}", wrong.text);
    let foreign = bed
        .patch(&cart, json!({ "shipping_method": "邮政" }))
        .await?;
    assert_eq!(
        foreign.problem(422, "unprocessable").fields(),
        ["/shipping_method"]
    );
    let chosen = bed
        .patch(&cart, json!({ "shipping_method": "post" }))
        .await?
        .expect(200);
    assert_eq!(
        chosen.body["totals"],
        json!({ "subtotal": 3333, "discount": 0, "shipping": 500, "tax": 267 + 40, "total": 3833 + 307 })
    );
    assert_eq!(chosen.body["requirements"], json!([]));
    let ready = bed.get(&format!("/{cart}/requirements")).await?.expect(200);
    assert_eq!(
        (ready.body["is_ready"].clone(), ready.body["total"].clone()),
        (json!(true), json!(4140))
    );
    // From 100.00 on sending is free.
    let free = bed.put(&cart, &sku, 4).await?.expect(200);
    assert_eq!(free.body["totals"]["shipping"], 0);

    let german = bed
        .patch(&cart, json!({ "shipping_address": german() }))
        .await?
        .expect(200);
    assert_eq!(german.body["prices_include_tax"], true);
    assert_eq!(
        german.each("requirements", "code"),
        ["shipping_method_unavailable"]
    );
    let parcel = bed
        .patch(&cart, json!({ "shipping_method": "parcel" }))
        .await?
        .expect(200);
    // 2.8 kg are in the second band; 19/119 of 133.32 is 21.286, of 9.00 is 1.437.
    assert_eq!(
        parcel.body["totals"],
        json!({ "subtotal": 13332, "discount": 0, "shipping": 900, "tax": 2129 + 144, "total": 14232 })
    );
    // More than 10 kg go by no method.
    let heavy = bed.put(&cart, &sku, 15).await?.expect(200);
    assert_eq!(heavy.body["shipping_methods"], json!([]));
    assert_eq!(
        heavy.each("requirements", "code"),
        ["shipping_method_unavailable"]
    );

    let mut swiss = super::german();
    swiss["country"] = json!("CH");
    swiss["postcode"] = json!("8001");
    let elsewhere = bed
        .patch(&cart, json!({ "shipping_address": swiss }))
        .await?
        .expect(200);
    assert!(
        elsewhere
            .each("requirements", "code")
            .contains(&json!("destination_not_served"))
    );
    Ok(())
}

#[tokio::test]
async fn an_estimate_needs_a_country_only_and_bad_fields_are_all_named() -> Result<()> {
    let bed = Bed::start().await?;
    bed.zones().await?;
    let (sku, _) = bed.product("Pot", 1000).await?;
    let cart = bed.cart(&[(&sku, 1)]).await?;
    let estimate = bed
        .patch(&cart, json!({ "destination": { "country": "us" } }))
        .await?
        .expect(200);
    assert_eq!(estimate.body["totals"]["tax"], 80);
    assert!(
        estimate
            .each("requirements", "code")
            .contains(&json!("shipping_address_missing"))
    );
    let wrong = bed
        .patch(
            &cart,
            json!({
                "email": "nobody", "currency": "XXX", "destination": { "country": "QQ" },
                "shipping_address": { "country": "DE", "postcode": "1" }, "colour": "red",
            }),
        )
        .await?
        .problem(400, "invalid_request");
    for field in [
        "/email",
        "/currency",
        "/destination/country",
        "/shipping_address/name",
        "/shipping_address/postcode",
        "/colour",
    ] {
        assert!(
            wrong.fields().contains(&field),
            "{field} in {:?}",
            wrong.fields()
        );
    }
    let foreign = bed.patch(&cart, json!({ "currency": "JPY" })).await?;
    assert_eq!(
        foreign.problem(422, "unprocessable").fields(),
        ["/currency"]
    );
    let cleared = bed
        .patch(&cart, json!({ "destination": null }))
        .await?
        .expect(200);
    assert_eq!(cleared.body["totals"]["tax"], 0);
    Ok(())
}

#[tokio::test]
async fn another_currency_has_its_own_prices() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, variant) = bed.product("Mug", 1200).await?;
    let (bowl, _) = bed.product("Bowl", 900).await?;
    bed.staff.set_price(variant, "EUR", 1100).await?;
    let cart = bed.cart(&[(&mug, 2), (&bowl, 1)]).await?;
    let euros = bed
        .patch(&cart, json!({ "currency": "EUR" }))
        .await?
        .expect(200);
    assert_eq!(euros.body["totals"]["subtotal"], 2200);
    // What has no price in euros is not sold in euros; that the other price differs from that in dollars is no news.
    assert_eq!(euros.each("differences", "kind"), ["gone"]);
    Ok(())
}

#[tokio::test]
async fn coupons_say_what_they_do_and_why_not() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, _) = bed.product("Mug", 2000).await?;
    let cart = bed.cart(&[(&mug, 1)]).await?;
    bed.coupon(&cart, "NOPE")
        .await?
        .problem(422, "coupon_not_valid");
    bed.coupon(&cart, "<script>")
        .await?
        .problem(422, "coupon_not_valid");

    bed.coupon_promotion("TEN", json!({})).await?;
    let ten = bed.coupon(&cart, " t e n ").await?.expect(200);
    assert_eq!(
        ten.body["coupons"],
        json!([{ "code": "TEN", "state": "applied" }])
    );
    assert_eq!(ten.body["discounts"][0]["coupon_code"], "TEN");
    assert_eq!(
        (
            ten.body["totals"]["discount"].clone(),
            ten.body["totals"]["total"].clone()
        ),
        (json!(200), json!(1800))
    );
    // Again has no effect.
    assert_eq!(
        bed.coupon(&cart, "TEN").await?.expect(200).body["totals"]["discount"],
        200
    );

    let below = json!({ "needs_coupon": true, "rule": {
        "effect": { "kind": "fixed", "amounts": { "USD": 500 } }, "conditions": { "minimum_subtotal": { "USD": 5000 } } } });
    let below = bed.promotion(below).await?;
    let path = format!("/promotions/{below}/coupons");
    bed.staff
        .send(Method::POST, &path, &json!({ "codes": ["FIVE", "FIVE2"] }))
        .await?;
    let five = bed.coupon(&cart, "FIVE").await?.expect(200);
    assert_eq!(
        five.body["coupons"][1],
        json!({ "code": "FIVE", "state": "below_minimum" })
    );
    let enough = bed.put(&cart, &mug, 3).await?.expect(200);
    assert_eq!(enough.body["coupons"][1]["state"], "applied");
    assert_eq!(enough.body["totals"]["discount"], 600 + 500);
    // Two coupons of one promotion are one promotion.
    bed.coupon(&cart, "FIVE2")
        .await?
        .problem(422, "coupon_not_valid");

    bed.staff
        .send(Method::POST, "/coupons/TEN/archive", &Value::Null)
        .await?;
    let ended = bed.get(&format!("/{cart}")).await?;
    assert_eq!(ended.body["coupons"][0]["state"], "not_valid");
    assert_eq!(ended.body["totals"]["discount"], 500);
    let without = bed
        .api(
            Method::DELETE,
            &format!("/{cart}/coupons/five"),
            Value::Null,
        )
        .await?
        .expect(200);
    assert_eq!(without.each("coupons", "code"), ["TEN"]);
    for number in 0..4 {
        let code = format!("EXTRA{number}");
        bed.coupon_promotion(&code, json!({})).await?;
        bed.coupon(&cart, &code).await?.expect(200);
    }
    bed.coupon_promotion("ONE-TOO-MANY", json!({})).await?;
    bed.coupon(&cart, "ONE-TOO-MANY")
        .await?
        .problem(422, "coupon_not_valid");
    Ok(())
}

#[tokio::test]
async fn promotions_concern_categories_and_first_orders() -> Result<()> {
    let bed = Bed::start().await?;
    let (mug, _) = bed.product("Mug", 2000).await?;
    let (sofa, _) = bed.product("Sofa", 50_000).await?;
    let category = json!({ "translations": { "en": { "name": "Kitchen" } } });
    let kitchen = bed
        .staff
        .send(Method::POST, "/categories", &category)
        .await?["id"]
        .clone();
    let cups = json!({ "translations": { "en": { "name": "Cups" } }, "parent_id": kitchen });
    let cups = bed.staff.send(Method::POST, "/categories", &cups).await?["id"].clone();
    let product = mug.trim_start_matches("SKU-");
    bed.staff
        .send(
            Method::PUT,
            &format!("/products/{product}/categories/{cups}"),
            &json!({}),
        )
        .await?;
    let mut rule = percentage(500_000);
    rule["conditions"] = json!({ "categories": [kitchen] });
    bed.promotion(json!({ "rule": rule })).await?;
    let cart = bed.cart(&[(&mug, 1), (&sofa, 1)]).await?;
    let shown = bed.get(&format!("/{cart}")).await?;
    assert_eq!(shown.each("lines", "discount"), [json!(1000), json!(0)]);

    let mut first = percentage(10_000);
    first["conditions"] = json!({ "first_order": true });
    bed.promotion(json!({ "rule": first, "per_customer_limit": 1 }))
        .await?;
    let newcomer = bed
        .patch(&cart, json!({ "email": "new@example.com" }))
        .await?
        .expect(200);
    assert_eq!(newcomer.body["totals"]["discount"], 1000 + 10 + 500);
    let key = panono_shop::cart::pricing::customer_key(&super::keys(), "Old@example.com");
    bed.execute(&format!(
        "INSERT INTO orders (number, customer_key, email, locale, currency, state, prices_include_tax, subtotal, discount, \
         shipping, tax, total) VALUES ('T-1', X'{}', 'old@example.com', 'en', 'USD', 'placed', FALSE, 1, 0, 0, 0, 1)",
        hex::encode(key)
    ))
    .await?;
    let regular = bed
        .patch(&cart, json!({ "email": "old@EXAMPLE.com" }))
        .await?
        .expect(200);
    assert_eq!(regular.body["totals"]["discount"], 1000);
    Ok(())
}

#[tokio::test]
async fn a_cart_has_a_bounded_number_of_lines() -> Result<()> {
    let bed = Bed::start().await?;
    let (sku, _) = bed.product("Mug", 100).await?;
    let product = sku.trim_start_matches("SKU-").to_owned();
    bed.execute(&format!(
        "INSERT INTO variant (product_id, sku) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 101) \
         SELECT {product}, CONCAT('N', i) FROM n"
    ))
    .await?;
    bed.execute(
        "INSERT INTO stock (variant_id, tracked) SELECT id, FALSE FROM variant WHERE sku LIKE 'N%'",
    )
    .await?;
    bed.execute("INSERT INTO price (variant_id, currency, amount, starts_at) SELECT id, 'USD', 100, '2020-01-01' FROM variant WHERE sku LIKE 'N%'").await?;
    let skus: Vec<String> = (1..=100).map(|number| format!("N{number}")).collect();
    let lines: Vec<(&str, i32)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
    let cart = bed.cart(&lines).await?;
    assert_eq!(
        bed.get(&format!("/{cart}")).await?.body["totals"]["total"],
        10_000
    );
    let refused = bed
        .put(&cart, "N101", 1)
        .await?
        .problem(422, "unprocessable");
    assert!(refused.fields().contains(&"/lines"));
    bed.put(&cart, "N100", 2).await?.expect(200);
    let many: Vec<Value> = (0..101)
        .map(|number| json!({ "sku": format!("X{number}"), "quantity": 1 }))
        .collect();
    bed.api(Method::POST, "", json!({ "lines": many }))
        .await?
        .problem(400, "invalid_request");
    Ok(())
}

#[tokio::test]
async fn carts_that_are_not_there_not_open_or_not_ones_own_are_refused() -> Result<()> {
    let bed = Bed::start().await?;
    let (sku, _) = bed.product("Mug", 1200).await?;
    for id in [
        "nothing",
        "00000000000000000000000000",
        "../admin/products",
        "%00",
    ] {
        let reply = bed.get(&format!("/{id}")).await?;
        assert!(matches!(reply.status, 404 | 401), "{id}: {}", reply.text);
    }
    let cart = bed.cart(&[(&sku, 1)]).await?;
    for (state, code) in [("completing", 409), ("ordered", 409), ("merged", 404)] {
        bed.execute(&format!(
            "UPDATE cart SET state = '{state}' WHERE public_id = '{cart}'"
        ))
        .await?;
        assert_eq!(bed.put(&cart, &sku, 2).await?.status, code, "{state}");
        assert_eq!(
            bed.get(&format!("/{cart}")).await?.status,
            if code == 404 { 404 } else { 200 }
        );
    }
    bed.execute(&format!(
        "UPDATE cart SET state = 'ordered' WHERE public_id = '{cart}'"
    ))
    .await?;
    bed.put(&cart, &sku, 2).await?.problem(409, "cart_not_open");
    let own = bed.cart(&[(&sku, 1)]).await?;
    bed.execute("INSERT INTO customer (id, public_id, email, locale) VALUES (7, '00000000000000000000000007', 'x@example.com', 'en')").await?;
    bed.execute(&format!(
        "UPDATE cart SET customer_id = 7 WHERE public_id = '{own}'"
    ))
    .await?;
    bed.get(&format!("/{own}")).await?.problem(404, "not_found");
    bed.put(&own, &sku, 2).await?.problem(404, "not_found");
    bed.api(Method::POST, &format!("/{own}/merge"), Value::Null)
        .await?
        .problem(401, "sign_in_required");
    Ok(())
}
