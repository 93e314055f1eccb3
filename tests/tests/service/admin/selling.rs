//! Variants, prices, stock, and caches by hand.

use panono_shop::edge::tags::Tag;

use super::*;

#[tokio::test]
async fn variants_choose_among_the_options_of_their_product() -> Result<()> {
    let staff = Staff::start().await?;
    let product = staff
        .post(
            "/products",
            json!({"translations": {"en": {"name": "Shirt"}}}),
        )
        .await?
        .expect(201);
    let path = format!("/products/{}", product.body["id"]);
    let sizes = |values: Value| json!({"options": [{"name": "Size", "values": values}]});
    let with = staff
        .write(
            "PUT",
            &format!("{path}/options"),
            &product.tag(),
            sizes(json!(["S", "M"])),
        )
        .await?
        .expect(200);
    let variants = format!("{path}/variants");
    let missing = staff
        .post(&variants, json!({"sku": "shirt"}))
        .await?
        .problem(422, "unprocessable");
    assert_eq!(missing.fields(), ["/options"]);
    let unknown = staff
        .post(
            &variants,
            json!({"sku": "shirt", "options": {"Size": "XL", "Colour": "red"}}),
        )
        .await?
        .problem(422, "unprocessable");
    assert_eq!(unknown.fields(), ["/options/Colour", "/options/Size"]);
    let small = staff
        .post(
            &variants,
            json!({"sku": "shirt-s", "options": {"Size": "S"}, "weight_grams": 120}),
        )
        .await?
        .expect(201);
    let taken = staff
        .post(
            &variants,
            json!({"sku": "shirt-s", "options": {"Size": "M"}}),
        )
        .await?
        .problem(409, "conflict");
    assert_eq!(taken.fields(), ["/sku"]);
    let twin = staff
        .post(
            &variants,
            json!({"sku": "shirt-2", "options": {"Size": "S"}}),
        )
        .await?
        .problem(409, "conflict");
    assert_eq!(twin.fields(), ["/options"]);
    let listed = staff.get(&variants).await?.expect(200);
    assert_eq!(
        (
            listed.body["items"].as_array().unwrap().len(),
            &listed.body["items"][0]
        ),
        (1, &small.body)
    );
    let used = staff
        .write(
            "PUT",
            &format!("{path}/options"),
            &with.tag(),
            sizes(json!(["M"])),
        )
        .await?
        .problem(409, "conflict");
    assert!(
        used.body["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("shirt-s"),
        "{}",
        used.body
    );

    let variant = format!("/variants/{}", small.body["id"]);
    let medium = json!({"options": {"Size": "M"}, "weight_grams": null});
    let medium = staff
        .write("PATCH", &variant, &small.tag(), medium)
        .await?
        .expect(200);
    assert_eq!(
        (
            &medium.body["options"]["Size"],
            &medium.body["weight_grams"]
        ),
        (&json!("M"), &Value::Null)
    );
    staff
        .write(
            "PUT",
            &format!("{path}/options"),
            &with.tag(),
            sizes(json!(["M"])),
        )
        .await?
        .expect(200);
    let found = staff.get("/products?sku=shirt-s").await?.expect(200);
    assert_eq!(found.body["items"][0]["id"], product.body["id"]);
    let archived = staff
        .write(
            "POST",
            &format!("{variant}/archive"),
            &medium.tag(),
            Value::Null,
        )
        .await?
        .expect(200);
    assert_eq!(archived.body["status"], "archived");
    assert_eq!(staff.get(&variant).await?.tag(), archived.tag());
    Ok(())
}

#[tokio::test]
async fn prices_are_a_history_that_is_never_edited() -> Result<()> {
    let staff = Staff::start().await?;
    let category = staff.category("cups", None).await?;
    let (product, variant) = staff.product("cup").await?;
    let product_tag = staff.get(&format!("/products/{product}")).await?.tag();
    staff
        .write(
            "PUT",
            &format!("/products/{product}/categories/{category}"),
            &product_tag,
            json!({}),
        )
        .await?
        .expect(200);
    staff.forget().await?;
    let path = format!("/variants/{variant}/prices");
    let first = staff.get(&path).await?.expect(200);
    let euro = format!("{path}/EUR");
    let lower = json!({"amount": 800, "compare_at": 1000});
    let set = staff
        .write("PUT", &euro, &first.tag(), lower.clone())
        .await?
        .expect(200);
    let tags = || {
        [
            Tag::product(product),
            Tag::category(category),
            Tag::category(0),
        ]
    };
    assert_eq!(staff.purges().await?, [purge("soft", tags())]);
    assert_eq!(
        staff.audits().await?,
        [format!("tester price.set variant-{variant}")]
    );
    assert_eq!(set.body["current"][0]["amount"], 800);
    let (new, old) = (&set.body["history"][0], &set.body["history"][1]);
    assert_eq!(
        (old["amount"].as_i64(), &old["ends_at"], &old["starts_at"]),
        (
            Some(1000),
            &new["starts_at"],
            &first.body["history"][0]["starts_at"]
        )
    );
    assert_eq!(
        staff
            .value("SELECT CAST(SUM(price) AS SIGNED) FROM listing")
            .await?,
        1600
    );

    staff.forget().await?;
    let same = staff
        .write("PUT", &euro, &set.tag(), lower)
        .await?
        .expect(200);
    assert_eq!((same.tag(), &same.body), (set.tag(), &set.body));
    assert!(staff.purges().await?.is_empty() && staff.audits().await?.is_empty());

    let sale = json!({"currency": "EUR", "amount": 500, "starts_at": "2090-01-01T00:00:00Z", "ends_at": "2090-02-01T00:00:00Z"});
    let scheduled = staff
        .write("POST", &path, &same.tag(), sale.clone())
        .await?
        .expect(201);
    assert_eq!(scheduled.body["current"][0]["amount"], 800);
    // Cached pages keep a price until the next change of prices, so a new one touches them.
    assert_eq!(
        staff.purges().await?,
        [purge("soft", [Tag::product(product)])]
    );
    let twin = staff
        .write("POST", &path, &scheduled.tag(), sale)
        .await?
        .problem(409, "conflict");
    assert_eq!(twin.fields(), ["/starts_at"]);
    let past = json!({"currency": "EUR", "amount": 500, "starts_at": "2001-01-01T00:00:00Z"});
    staff
        .write("POST", &path, &scheduled.tag(), past)
        .await?
        .problem(422, "unprocessable");
    let dollars = json!({"currency": "JPY", "amount": 500, "starts_at": "2090-01-01T00:00:00Z"});
    assert_eq!(
        staff
            .write("POST", &path, &scheduled.tag(), dollars)
            .await?
            .problem(422, "unprocessable")
            .fields(),
        ["/currency"]
    );

    let location = scheduled
        .header("location")
        .strip_prefix("/api/v1/admin")
        .unwrap()
        .to_owned();
    let cancelled = staff
        .write("DELETE", &location, &scheduled.tag(), Value::Null)
        .await?
        .expect(200);
    assert_eq!(cancelled.body["history"].as_array().unwrap().len(), 2);
    let current = cancelled.body["current"][0]["id"].as_i64().unwrap();
    let history = format!("{path}/scheduled/{current}");
    staff
        .write("DELETE", &history, &cancelled.tag(), Value::Null)
        .await?
        .problem(409, "conflict");
    staff
        .write("DELETE", &location, &cancelled.tag(), Value::Null)
        .await?
        .problem(404, "not_found");
    staff
        .write(
            "PUT",
            &format!("{path}/XYZ"),
            &cancelled.tag(),
            json!({"amount": 1}),
        )
        .await?
        .problem(404, "not_found");
    Ok(())
}

#[tokio::test]
async fn stock_never_falls_below_what_is_reserved_and_purges_only_another_band() -> Result<()> {
    let staff = Staff::start().await?;
    let (product, variant) = staff.product("cup").await?;
    let path = format!("/variants/{variant}/stock");
    let start = staff.get(&path).await?.expect(200);
    assert_eq!(
        (start.body["on_hand"].as_i64(), start.body["band"].as_str()),
        (Some(100), Some("in_stock"))
    );
    let adjustments = format!("{path}/adjustments");
    let less = staff
        .write(
            "POST",
            &adjustments,
            &start.tag(),
            json!({"delta": -10, "reason": "broken"}),
        )
        .await?
        .expect(200);
    assert_eq!(less.body["on_hand"], 90);
    assert!(staff.purges().await?.is_empty(), "the band is the same");
    let log = staff.get("/audit-log?entity=variant").await?.expect(200);
    assert_eq!(log.body["items"][0]["after_value"]["reason"], "broken");
    let low = staff
        .write("PUT", &path, &less.tag(), json!({"on_hand": 5}))
        .await?
        .expect(200);
    assert_eq!(low.body["band"], "low");
    assert_eq!(
        staff.purges().await?,
        [purge("soft", [Tag::product(product)])]
    );
    // What cannot be bought is listed last, so lists change, too.
    let out = staff
        .write("PUT", &path, &low.tag(), json!({"on_hand": 0}))
        .await?
        .expect(200);
    assert_eq!(
        staff.purges().await?[1],
        purge("soft", [Tag::category(0), Tag::product(product)])
    );
    let low = staff
        .write("PUT", &path, &out.tag(), json!({"on_hand": 5}))
        .await?
        .expect(200);

    staff.execute("UPDATE stock SET reserved = 4").await?;
    staff.forget().await?;
    let refused = staff
        .write("PUT", &path, &low.tag(), json!({"on_hand": 3}))
        .await?
        .problem(422, "unprocessable");
    assert_eq!(refused.fields(), ["/on_hand"]);
    let refused = staff
        .write(
            "POST",
            &adjustments,
            "*",
            json!({"delta": -2, "reason": "lost"}),
        )
        .await?
        .problem(422, "unprocessable");
    assert!(
        refused.body["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("4 are promised"),
        "{}",
        refused.body
    );
    staff
        .write("POST", &adjustments, "*", json!({"delta": 0, "reason": ""}))
        .await?
        .problem(400, "invalid_request");
    staff
        .write(
            "POST",
            &adjustments,
            &start.tag(),
            json!({"delta": 1, "reason": "x"}),
        )
        .await?
        .problem(412, "version_mismatch");
    let same = staff
        .write("PUT", &path, &low.tag(), json!({"on_hand": 5}))
        .await?
        .expect(200);
    assert_eq!(same.tag(), low.tag());
    assert!(staff.purges().await?.is_empty() && staff.audits().await?.is_empty());
    assert_eq!(staff.value("SELECT on_hand FROM stock").await?, 5);
    Ok(())
}

#[tokio::test]
async fn caches_are_purged_by_hand() -> Result<()> {
    let staff = Staff::start().await?;
    staff
        .post(
            "/cache/purge",
            json!({"tags": ["p-1", "m-menu"], "kind": "hard"}),
        )
        .await?
        .expect(202);
    staff
        .post("/cache/purge", json!({"tags": "all", "kind": "soft"}))
        .await?
        .expect(202);
    assert_eq!(staff.purges().await?, ["hard m-menu p-1", "soft all"]);
    assert_eq!(staff.audits().await?, ["tester cache.purge cache-0"; 2]);
    for wrong in [
        json!({"tags": [], "kind": "soft"}),
        json!({"tags": ["P 1"], "kind": "soft"}),
        json!({"tags": "all", "kind": "firm"}),
    ] {
        staff
            .post("/cache/purge", wrong)
            .await?
            .problem(400, "invalid_request");
    }
    assert_eq!(staff.purges().await?.len(), 2);
    Ok(())
}
