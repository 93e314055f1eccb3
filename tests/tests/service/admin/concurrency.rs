//! Writers who do not know of each other, and writes that fail half-way.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn of_two_writers_who_start_from_one_version_one_is_told() -> Result<()> {
    let staff = Staff::start().await?;
    let (id, variant) = staff.product("cup").await?;
    let path = format!("/products/{id}");
    let tag = staff.get(&path).await?.tag();
    let write = |featured: i64| staff.write("PATCH", &path, &tag, json!({"featured": featured}));
    let replies = join_all((1..=6).map(write))
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let (won, lost): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 5));
    for reply in lost {
        let reply = reply.problem(412, "version_mismatch");
        assert!(
            reply.body["detail"]
                .as_str()
                .unwrap()
                .contains(&won[0].tag()),
            "{}",
            reply.body
        );
    }
    assert_eq!(staff.audits().await?.len(), 1);
    assert_eq!(staff.purges().await?.len(), 1);

    // Adjustments that do not name a version all count.
    let adjust = |_| async {
        let path = format!("/variants/{variant}/stock/adjustments");
        staff
            .write(
                "POST",
                &path,
                "*",
                json!({"delta": -1, "reason": "sold at the counter"}),
            )
            .await
    };
    for reply in join_all((0..6).map(adjust)).await {
        reply?.expect(200);
    }
    assert_eq!(staff.value("SELECT on_hand FROM stock").await?, 94);
    Ok(())
}

#[tokio::test]
async fn a_write_names_the_version_that_it_starts_from() -> Result<()> {
    let staff = Staff::start().await?;
    let (id, variant) = staff.product("cup").await?;
    let category = staff.category("cups", None).await?;
    let brand = staff
        .post("/brands", json!({"name": "Pines"}))
        .await?
        .expect(201)
        .body["id"]
        .clone();
    staff.forget().await?;
    let text = json!({"name": "x"});
    let table = [
        ("PATCH", format!("/products/{id}"), json!({"featured": 1})),
        ("POST", format!("/products/{id}/archive"), Value::Null),
        (
            "PUT",
            format!("/products/{id}/publication"),
            json!({"published": false}),
        ),
        ("PUT", format!("/products/{id}/slug"), json!({"slug": "x"})),
        (
            "PUT",
            format!("/products/{id}/options"),
            json!({"options": []}),
        ),
        ("PUT", format!("/products/{id}/media"), json!({"media": []})),
        ("PUT", format!("/products/{id}/translations/en"), text),
        (
            "DELETE",
            format!("/products/{id}/translations/de"),
            Value::Null,
        ),
        (
            "PUT",
            format!("/products/{id}/categories/{category}"),
            json!({}),
        ),
        (
            "DELETE",
            format!("/products/{id}/categories/{category}"),
            Value::Null,
        ),
        (
            "PATCH",
            format!("/variants/{variant}"),
            json!({"barcode": "1"}),
        ),
        ("POST", format!("/variants/{variant}/archive"), Value::Null),
        (
            "PUT",
            format!("/variants/{variant}/prices/EUR"),
            json!({"amount": 1}),
        ),
        (
            "POST",
            format!("/variants/{variant}/prices"),
            json!({"currency": "EUR", "amount": 1, "starts_at": "2090-01-01T00:00:00Z"}),
        ),
        (
            "DELETE",
            format!("/variants/{variant}/prices/scheduled/1"),
            Value::Null,
        ),
        (
            "PUT",
            format!("/variants/{variant}/stock"),
            json!({"on_hand": 1}),
        ),
        (
            "POST",
            format!("/variants/{variant}/stock/adjustments"),
            json!({"delta": 1, "reason": "x"}),
        ),
        (
            "PATCH",
            format!("/categories/{category}"),
            json!({"position": 1}),
        ),
        (
            "PUT",
            format!("/categories/{category}/slug"),
            json!({"slug": "x"}),
        ),
        (
            "PUT",
            format!("/categories/{category}/parent"),
            json!({"parent_id": null}),
        ),
        (
            "POST",
            format!("/categories/{category}/archive"),
            Value::Null,
        ),
        ("PATCH", format!("/brands/{brand}"), json!({"name": "x"})),
    ];
    for (method, path, body) in table {
        let request = staff.request(method.parse()?, &path);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        staff.send(request).await?.problem(428, "version_required");
        for tag in ["\"v999\"", "W/\"v1\"", "nonsense"] {
            staff
                .write(method, &path, tag, body.clone())
                .await?
                .problem(412, "version_mismatch");
        }
    }
    assert!(staff.audits().await?.is_empty() && staff.purges().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_change_that_fails_at_its_end_leaves_nothing() -> Result<()> {
    let staff = Staff::start().await?;
    let (id, _) = staff.product("cup").await?;
    let before = staff.get(&format!("/products/{id}")).await?.expect(200);
    // The purge is the last row of a change.
    staff
        .execute("ALTER TABLE outbox ADD CONSTRAINT refused CHECK (topic <> 'purge')")
        .await?;
    let patch = json!({"featured": 9, "tags": ["x"]});
    let failed = staff
        .write("PATCH", &format!("/products/{id}"), &before.tag(), patch)
        .await?;
    assert_eq!(
        (failed.status.as_u16(), failed.body["code"].as_str()),
        (500, Some("internal"))
    );
    assert!(
        !failed.body.to_string().contains("refused"),
        "causes are not shown"
    );
    let after = staff.get(&format!("/products/{id}")).await?.expect(200);
    assert_eq!((after.tag(), after.body), (before.tag(), before.body));
    assert!(staff.audits().await?.is_empty());
    Ok(())
}
