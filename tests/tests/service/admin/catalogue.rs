//! Products, categories and brands.

use panono_shop::edge::tags::{SlugKind, Tag};

use super::*;

fn slug(kind: SlugKind, slug: &str) -> Tag {
    Tag::slug(kind, slug)
}

#[tokio::test]
async fn a_product_is_created_changed_found_and_archived() -> Result<()> {
    let staff = Staff::start().await?;
    let brand = staff
        .post("/brands", json!({"name": "Tall Pines"}))
        .await?
        .expect(201);
    assert_eq!(brand.body["slug"], "tall-pines");
    let body = json!({"translations": {"en": {"name": "Blue Cup"}, "de": {"name": "Blaue Tasse"}}, "brand_id": brand.body["id"], "tags": ["b", "a"]});
    let created = staff.post("/products", body.clone()).await?.expect(201);
    let id = created.body["id"].as_i64().unwrap();
    assert_eq!(
        created.header("location"),
        format!("/api/v1/admin/products/{id}")
    );
    assert_eq!(
        (
            created.body["slug"].as_str(),
            created.body["status"].as_str()
        ),
        (Some("blue-cup"), Some("draft"))
    );
    let path = format!("/products/{id}");
    let read = staff.get(&path).await?.expect(200);
    assert_eq!((read.tag(), &read.body), (created.tag(), &created.body));
    let twin = staff
        .post("/products", body)
        .await?
        .problem(409, "conflict");
    assert_eq!(twin.fields(), ["/slug"]);
    assert_eq!(
        staff.audits().await?.len(),
        2,
        "a refused create leaves nothing"
    );

    staff.forget().await?;
    let patched = staff
        .write(
            "PATCH",
            &path,
            &read.tag(),
            json!({"featured": 3, "brand_id": null}),
        )
        .await?
        .expect(200);
    assert_eq!(
        (&patched.body["featured"], &patched.body["brand_id"]),
        (&json!(3), &Value::Null)
    );
    assert_ne!(patched.tag(), read.tag());
    assert_eq!(staff.purges().await?, [purge("soft", [Tag::product(id)])]);
    let log = staff.get("/audit-log").await?.expect(200);
    let row = &log.body["items"][0];
    assert_eq!(
        (
            &row["before_value"]["featured"],
            &row["after_value"]["featured"]
        ),
        (&json!(0), &json!(3))
    );
    assert_eq!(
        (row["actor"].as_str(), row["request_id"].as_str()),
        (Some("tester"), Some(patched.header("x-request-id")))
    );

    staff.forget().await?;
    let same = staff
        .write("PATCH", &path, &patched.tag(), json!({"featured": 3}))
        .await?
        .expect(200);
    assert_eq!(same.tag(), patched.tag());
    assert!(
        staff.purges().await?.is_empty() && staff.audits().await?.is_empty(),
        "nothing changed"
    );
    let wrong = staff
        .write("PATCH", &path, &same.tag(), json!({"brand_id": 999}))
        .await?
        .problem(422, "unprocessable");
    assert_eq!(wrong.fields(), ["/brand_id"]);

    let german = staff
        .write(
            "DELETE",
            &format!("{path}/translations/de"),
            &same.tag(),
            Value::Null,
        )
        .await?
        .expect(200);
    assert!(german.body["translations"]["de"].is_null());
    staff
        .write(
            "DELETE",
            &format!("{path}/translations/en"),
            &german.tag(),
            Value::Null,
        )
        .await?
        .problem(422, "unprocessable");
    let english = json!({"name": "Bluer Cup"});
    let english = staff
        .write(
            "PUT",
            &format!("{path}/translations/en"),
            &german.tag(),
            english,
        )
        .await?
        .expect(200);
    assert_eq!(english.body["translations"]["en"]["name"], "Bluer Cup");
    staff
        .write(
            "PUT",
            &format!("{path}/translations/fr"),
            &english.tag(),
            json!({"name": "x"}),
        )
        .await?
        .problem(422, "unprocessable");

    for query in [
        "slug=blue",
        "status=draft",
        "updated_since=2020-01-01T00:00:00Z",
    ] {
        let found = staff.get(&format!("/products?{query}")).await?.expect(200);
        assert_eq!(found.body["items"][0]["id"], id, "{query}");
        assert_eq!(found.body["items"][0]["name"], "Bluer Cup");
    }
    for query in [
        "slug=lue",
        "slug=%25",
        "status=active",
        "sku=none",
        "updated_since=2099-01-01T00:00:00Z",
    ] {
        assert_eq!(
            staff
                .get(&format!("/products?{query}"))
                .await?
                .expect(200)
                .body["items"],
            json!([]),
            "{query}"
        );
    }
    let archived = staff
        .write(
            "POST",
            &format!("{path}/archive"),
            &english.tag(),
            Value::Null,
        )
        .await?
        .expect(200);
    assert_eq!(archived.body["status"], "archived");
    Ok(())
}

#[tokio::test]
async fn lists_are_read_page_by_page() -> Result<()> {
    let staff = Staff::start().await?;
    for name in ["a", "b", "c"] {
        staff
            .post("/products", json!({"translations": {"en": {"name": name}}}))
            .await?
            .expect(201);
        staff
            .post("/brands", json!({"name": name}))
            .await?
            .expect(201);
    }
    for list in [
        "/products?limit=2",
        "/products?limit=2&updated_since=2020-01-01T00:00:00Z",
        "/brands?limit=2",
    ] {
        let first = staff.get(list).await?.expect(200);
        assert_eq!(first.body["items"].as_array().unwrap().len(), 2);
        let next = first.body["next"].as_str().unwrap();
        let second = staff
            .get(&format!("{list}&after={next}"))
            .await?
            .expect(200);
        assert_eq!(
            (
                second.body["items"][0]["slug"].as_str(),
                &second.body["next"]
            ),
            (Some("c"), &Value::Null),
            "{list}"
        );
        if list.starts_with("/products") {
            staff
                .get(&format!("{list}&status=draft&after={next}"))
                .await?
                .problem(400, "invalid_cursor");
        }
    }
    for entity in ["", "Product", "%C3%A4", "product%27", &"a".repeat(33)] {
        staff
            .get(&format!("/audit-log?entity={entity}"))
            .await?
            .problem(400, "invalid_request");
    }
    let log = staff.get("/audit-log?limit=4").await?.expect(200);
    let next = log.body["next"].as_str().unwrap();
    let rest = staff
        .get(&format!("/audit-log?limit=4&after={next}"))
        .await?
        .expect(200);
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 2);
    Ok(())
}

#[tokio::test]
async fn publication_purges_where_the_product_appears_and_takedowns_are_hard() -> Result<()> {
    let staff = Staff::start().await?;
    let root = staff.category("kitchen", None).await?;
    let leaf = staff.category("cups", Some(root)).await?;
    let (id, _) = staff.product("cup").await?;
    let path = format!("/products/{id}");
    let listed = [Tag::category(root), Tag::category(leaf)];
    let tag = staff.get(&path).await?.tag();
    let tag = staff
        .write(
            "PUT",
            &format!("{path}/categories/{leaf}"),
            &tag,
            json!({"position": 2}),
        )
        .await?
        .expect(200)
        .tag();
    assert_eq!(
        staff.purges().await?,
        [purge(
            "soft",
            listed.clone().into_iter().chain([Tag::product(id)])
        )]
    );

    staff.forget().await?;
    let publication = format!("{path}/publication");
    let again = staff
        .write("PUT", &publication, &tag, json!({"published": true}))
        .await?
        .expect(200);
    assert_eq!(again.tag(), tag);
    assert!(staff.purges().await?.is_empty());

    let everywhere = || {
        listed.clone().into_iter().chain([
            Tag::product(id),
            slug(SlugKind::Product, "cup"),
            Tag::category(0),
        ])
    };
    let down = staff
        .write("PUT", &publication, &tag, json!({"published": false}))
        .await?
        .expect(200);
    let hard = listed
        .clone()
        .into_iter()
        .chain([Tag::product(id), slug(SlugKind::Product, "cup")]);
    assert_eq!(
        staff.purges().await?,
        [purge("hard", hard), purge("soft", [Tag::category(0)])]
    );
    assert_eq!(staff.value("SELECT COUNT(*) FROM listing").await?, 0);

    staff.forget().await?;
    let up = staff
        .write("PUT", &publication, &down.tag(), json!({"published": true}))
        .await?
        .expect(200);
    assert_eq!(staff.purges().await?, [purge("soft", everywhere())]);
    assert_eq!(staff.value("SELECT COUNT(*) FROM listing").await?, 3);

    let late = json!({"published": true, "published_at": "2099-01-01T00:00:00Z"});
    let scheduled = staff
        .write("PUT", &publication, &up.tag(), late)
        .await?
        .expect(200);
    assert_eq!(scheduled.body["published_at"], "2099-01-01T00:00:00Z");
    assert_eq!(staff.value("SELECT COUNT(*) FROM listing").await?, 0);
    let wrong = json!({"published": true, "published_at": "2099-01-02T00:00:00Z", "unpublished_at": "2099-01-01T00:00:00Z"});
    let wrong = staff
        .write("PUT", &publication, &scheduled.tag(), wrong)
        .await?
        .problem(400, "invalid_request");
    assert_eq!(wrong.fields(), ["/unpublished_at"]);
    let out = staff
        .write(
            "DELETE",
            &format!("{path}/categories/{leaf}"),
            &scheduled.tag(),
            Value::Null,
        )
        .await?
        .expect(200);
    assert_eq!(out.body["categories"], json!([]));
    staff
        .write(
            "PUT",
            &format!("{path}/categories/999"),
            &out.tag(),
            json!({}),
        )
        .await?
        .problem(422, "unprocessable");
    Ok(())
}

#[tokio::test]
async fn an_old_slug_redirects_until_it_is_used_again() -> Result<()> {
    let staff = Staff::start().await?;
    let (id, _) = staff.product("cup").await?;
    staff.product("taken").await?;
    let path = format!("/products/{id}/slug");
    let tag = staff.get(&format!("/products/{id}")).await?.tag();
    let taken = staff
        .write("PUT", &path, &tag, json!({"slug": "taken"}))
        .await?
        .problem(409, "conflict");
    assert_eq!(taken.fields(), ["/slug"]);
    assert!(staff.purges().await?.is_empty() && staff.audits().await?.is_empty());
    let moved = staff
        .write("PUT", &path, &tag, json!({"slug": "mug"}))
        .await?
        .expect(200);
    let tags = || {
        [
            Tag::product(id),
            slug(SlugKind::Product, "cup"),
            slug(SlugKind::Product, "mug"),
        ]
    };
    assert_eq!(staff.purges().await?, [purge("soft", tags())]);
    assert_eq!(
        staff
            .value("SELECT target_id FROM slug_redirect WHERE kind = 'product' AND slug = 'cup'")
            .await?,
        id
    );
    staff
        .write("PUT", &path, &moved.tag(), json!({"slug": "cup"}))
        .await?
        .expect(200);
    assert_eq!(
        staff
            .value("SELECT COUNT(*) FROM slug_redirect WHERE slug = 'cup'")
            .await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn categories_make_a_tree_without_cycles() -> Result<()> {
    let staff = Staff::start().await?;
    let root = staff.category("kitchen", None).await?;
    let leaf = staff.category("cups", Some(root)).await?;
    let other = staff.category("sale", None).await?;
    let tree = staff.get("/categories").await?.expect(200);
    assert_eq!(tree.body["items"][0]["children"][0]["id"], leaf);
    assert_eq!(
        staff
            .post(
                "/categories",
                json!({"slug": "sale", "translations": {"en": {"name": "x"}}})
            )
            .await?
            .problem(409, "conflict")
            .fields(),
        ["/slug"]
    );
    let orphan = staff
        .post(
            "/categories",
            json!({"parent_id": 999, "translations": {"en": {"name": "x"}}}),
        )
        .await?
        .problem(422, "unprocessable");
    assert_eq!(orphan.fields(), ["/parent_id"]);
    assert_eq!(
        staff.value("SELECT COUNT(*) FROM category").await?,
        3,
        "refused ones leave nothing"
    );

    let tag = staff.get(&format!("/categories/{root}")).await?.tag();
    let cycle = staff
        .write(
            "PUT",
            &format!("/categories/{root}/parent"),
            &tag,
            json!({"parent_id": leaf}),
        )
        .await?;
    assert_eq!(cycle.problem(422, "unprocessable").fields(), ["/parent_id"]);
    assert_eq!(staff.get(&format!("/categories/{root}")).await?.tag(), tag);

    let (product, _) = staff.product("cup").await?;
    let product_tag = staff.get(&format!("/products/{product}")).await?.tag();
    staff
        .write(
            "PUT",
            &format!("/products/{product}/categories/{leaf}"),
            &product_tag,
            json!({}),
        )
        .await?
        .expect(200);
    staff.forget().await?;
    let leaf_path = format!("/categories/{leaf}");
    let tag = staff.get(&leaf_path).await?.tag();
    let moved = staff
        .write(
            "PUT",
            &format!("{leaf_path}/parent"),
            &tag,
            json!({"parent_id": other}),
        )
        .await?
        .expect(200);
    let touched = [
        Tag::category(root),
        Tag::category(leaf),
        Tag::category(other),
        Tag::menu(),
        Tag::product(product),
    ];
    assert_eq!(staff.purges().await?, [purge("soft", touched)]);
    assert_eq!(staff.value("SELECT COUNT(*) FROM listing l JOIN category c ON c.id = l.category_id WHERE c.slug = 'sale'").await?, 1);
    assert_eq!(staff.value("SELECT COUNT(*) FROM listing l JOIN category c ON c.id = l.category_id WHERE c.slug = 'kitchen'").await?, 0);

    staff.forget().await?;
    let renamed = json!({"translations": {"de": {"name": "Tassen"}}});
    let renamed = staff
        .write("PATCH", &leaf_path, &moved.tag(), renamed)
        .await?
        .expect(200);
    assert_eq!(renamed.body["translations"]["en"]["name"], "cups");
    assert_eq!(
        staff.purges().await?,
        [purge("soft", [Tag::category(leaf), Tag::menu()])]
    );
    assert_eq!(
        staff.audits().await?,
        [format!("tester category.update category-{leaf}")]
    );

    staff.forget().await?;
    staff
        .write(
            "PUT",
            &format!("{leaf_path}/slug"),
            &renamed.tag(),
            json!({"slug": "mugs"}),
        )
        .await?
        .expect(200);
    let tags = [
        Tag::category(leaf),
        Tag::menu(),
        slug(SlugKind::Category, "cups"),
        slug(SlugKind::Category, "mugs"),
    ];
    assert_eq!(staff.purges().await?, [purge("soft", tags)]);

    staff.forget().await?;
    let order = |ids: Value| {
        staff.send(
            staff
                .request(Method::PUT, "/categories/order")
                .json(&json!({"category_ids": ids})),
        )
    };
    order(json!([other])).await?.problem(422, "unprocessable");
    order(json!([other, root])).await?.expect(204);
    order(json!([other, root])).await?.expect(204);
    assert_eq!(staff.audits().await?, ["tester category.order category-0"]);
    assert_eq!(
        staff.get("/categories").await?.body["items"][0]["id"],
        other
    );

    let tag = staff.get(&format!("/categories/{other}")).await?.tag();
    staff
        .write(
            "POST",
            &format!("/categories/{other}/archive"),
            &tag,
            Value::Null,
        )
        .await?
        .problem(409, "conflict");
    staff.forget().await?;
    let tag = staff.get(&format!("/categories/{root}")).await?.tag();
    staff
        .write(
            "POST",
            &format!("/categories/{root}/archive"),
            &tag,
            Value::Null,
        )
        .await?
        .expect(200);
    assert_eq!(
        staff.purges().await?,
        [purge(
            "hard",
            [
                Tag::category(root),
                Tag::menu(),
                slug(SlugKind::Category, "kitchen")
            ]
        )]
    );
    Ok(())
}

#[tokio::test]
async fn a_renamed_brand_is_seen_on_its_products() -> Result<()> {
    let staff = Staff::start().await?;
    let brand = staff
        .post("/brands", json!({"name": "Pines"}))
        .await?
        .expect(201);
    let (id, _) = staff.product("cup").await?;
    let tag = staff.get(&format!("/products/{id}")).await?.tag();
    staff
        .write(
            "PATCH",
            &format!("/products/{id}"),
            &tag,
            json!({"brand_id": brand.body["id"]}),
        )
        .await?
        .expect(200);
    staff.forget().await?;
    let path = format!("/brands/{}", brand.body["id"]);
    let renamed = staff
        .write("PATCH", &path, &brand.tag(), json!({"name": "Oaks"}))
        .await?
        .expect(200);
    assert_eq!(staff.get(&path).await?.tag(), renamed.tag());
    let purges = staff.purges().await?;
    assert_eq!(
        purges,
        [purge("soft", [Tag::category(0), Tag::product(id)])]
    );
    Ok(())
}
