//! Attributes: making, translating, setting them.

use panono_shop::edge::tags::Tag;

use super::*;

impl Staff {
    async fn attribute(&self, code: &str, kind: &str) -> Result<Reply> {
        let body = json!({"code": code, "name": code.to_uppercase(), "kind": kind});
        Ok(self.post("/attributes", body).await?.expect(201))
    }
}

#[tokio::test]
async fn a_product_has_typed_attributes() -> Result<()> {
    let staff = Staff::start().await?;
    for (code, kind) in [
        ("material", "text"),
        ("capacity", "number"),
        ("lid", "boolean"),
    ] {
        staff.attribute(code, kind).await?;
    }
    let (id, _) = staff.product("mug").await?;
    let path = format!("/products/{id}/attributes");
    let values = json!({"attributes": {"material": ["Steel", "Glass"], "capacity": [350, 12.50], "lid": [true]}});
    let set = staff
        .write("PUT", &path, "*", values.clone())
        .await?
        .expect(200);
    assert_eq!(
        set.body["attributes"],
        json!({"material": ["Glass", "Steel"], "capacity": [12.5, 350.0], "lid": [true]})
    );
    assert_eq!(
        staff.audits().await?[0],
        format!("tester product.attributes product-{id}")
    );
    let facets = "SELECT COUNT(*) FROM listing_facet f JOIN attribute_value v ON v.id = f.value_id \
        JOIN attribute a ON a.id = v.attribute_id WHERE f.category_id = 0 AND a.kind IN ('text', 'number', 'boolean')";
    assert_eq!(
        staff.value(facets).await?,
        5,
        "shoppers can filter by each value"
    );
    let ordered = "SELECT COUNT(*) FROM attribute_value WHERE number_value IN (12.5, 350)";
    assert_eq!(staff.value(ordered).await?, 2);

    staff.forget().await?;
    let same = staff
        .write("PUT", &path, &set.tag(), values)
        .await?
        .expect(200);
    assert_eq!(same.tag(), set.tag());
    assert!(staff.purges().await?.is_empty() && staff.audits().await?.is_empty());

    let wrong = json!({"attributes": {"material": [1], "capacity": ["350 ml"], "lid": ["yes"], "none": ["x"]}});
    let wrong = staff
        .write("PUT", &path, &set.tag(), wrong)
        .await?
        .problem(422, "unprocessable");
    assert_eq!(
        wrong.fields(),
        [
            "/attributes/capacity",
            "/attributes/lid",
            "/attributes/material",
            "/attributes/none"
        ]
    );
    let fewer = json!({"attributes": {"lid": [true]}});
    let fewer = staff
        .write("PUT", &path, &set.tag(), fewer)
        .await?
        .expect(200);
    assert_eq!(fewer.body["attributes"], json!({"lid": [true]}));
    assert_eq!(staff.value(facets).await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_attribute_is_changed_and_translated() -> Result<()> {
    let staff = Staff::start().await?;
    let made = staff.attribute("material", "text").await?;
    let id = made.body["id"].as_i64().unwrap();
    let path = format!("/attributes/{id}");
    assert_eq!(
        made.header("location"),
        format!("/api/v1/admin/attributes/{id}")
    );
    let twin = json!({"code": "material", "name": "x", "kind": "text"});
    staff
        .post("/attributes", twin)
        .await?
        .problem(409, "conflict");
    let (product, _) = staff.product("mug").await?;
    staff
        .write(
            "PUT",
            &format!("/products/{product}/attributes"),
            "*",
            json!({"attributes": {"material": ["Steel"]}}),
        )
        .await?
        .expect(200);
    staff.forget().await?;

    let german = format!("{path}/translations/de");
    let body = json!({"name": "Material", "values": {"Steel": "Stahl"}});
    let translated = staff
        .write("PATCH", &german, &made.tag(), body.clone())
        .await?
        .expect(200);
    assert_eq!(translated.body["names"], json!({"de": "Material"}));
    assert_ne!(translated.tag(), made.tag());
    assert_eq!(
        staff.purges().await?,
        [purge(
            "soft",
            [Tag::all(), Tag::category(0), Tag::product(product)]
        )]
    );
    let found = "SELECT COUNT(*) FROM search_word WHERE locale = 'de' AND body LIKE '%Stahl%'";
    assert_eq!(
        staff.value(found).await?,
        1,
        "it is found by the translated value"
    );
    let same = staff
        .write("PATCH", &german, &translated.tag(), body.clone())
        .await?
        .expect(200);
    assert_eq!(same.tag(), translated.tag());
    staff
        .write("PATCH", &german, &made.tag(), body)
        .await?
        .problem(412, "version_mismatch");
    for (address, body, field) in [
        (
            german.clone(),
            json!({"values": {"Stone": "Stein"}}),
            "/values/Stone",
        ),
        (
            format!("{path}/translations/en"),
            json!({"name": "x"}),
            "locale",
        ),
        (
            format!("{path}/translations/fr"),
            json!({"name": "x"}),
            "/translations/fr",
        ),
    ] {
        let refused = staff
            .write("PATCH", &address, "*", body)
            .await?
            .problem(422, "unprocessable");
        assert_eq!(refused.fields(), [field]);
    }
    let removed = json!({"name": null, "values": {"Steel": null}});
    let removed = staff
        .write("PATCH", &german, &same.tag(), removed)
        .await?
        .expect(200);
    assert_eq!(removed.body["names"], json!({}));
    assert_eq!(staff.value(found).await?, 0);

    let hidden = staff
        .write(
            "PATCH",
            &path,
            &removed.tag(),
            json!({"filterable": false, "name": "Made of"}),
        )
        .await?
        .expect(200);
    assert_eq!(
        (&hidden.body["filterable"], &hidden.body["name"]),
        (&json!(false), &json!("Made of"))
    );
    let facets = "SELECT COUNT(*) FROM listing_facet f JOIN attribute_value v ON v.id = f.value_id WHERE v.value = 'Steel'";
    assert_eq!(
        staff.value(facets).await?,
        0,
        "nobody filters by it any more"
    );
    staff
        .write("PATCH", &path, "*", json!({"unit": "ml"}))
        .await?
        .problem(422, "unprocessable");
    let listed = staff.get("/attributes?limit=1").await?.expect(200);
    assert_eq!(listed.body["items"][0], hidden.body);
    Ok(())
}
