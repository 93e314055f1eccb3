//! Pages of text: writing, publishing, taking them down, and what shoppers see of it.

use panono_shop::edge::tags::{SlugKind, Tag};
use panono_tests::stack::{Stack, StackOptions};
use panono_tests::wait::wait_until;

use super::*;

const PAGES: &str = "/content/pages";

#[tokio::test]
async fn a_page_is_written_published_and_taken_down() -> Result<()> {
    let staff = Staff::start().await?;
    let body = json!({"translations": {"en": {"title": "About us", "body": "We make mugs."}}});
    let made = staff.post(PAGES, body.clone()).await?.expect(201);
    let id = made.body["id"].as_i64().unwrap();
    let path = format!("{PAGES}/{id}");
    assert_eq!(
        (&made.body["slug"], &made.body["status"]),
        (&json!("about-us"), &json!("draft"))
    );
    assert_eq!(made.header("location"), format!("/api/v1/admin{path}"));
    assert_eq!(staff.get(&path).await?.expect(200).body, made.body);
    staff.post(PAGES, body).await?.problem(409, "conflict");
    let post =
        json!({"kind": "post", "slug": "about-us", "translations": {"en": {"title": "News"}}});
    staff.post(PAGES, post).await?.expect(201);
    for (body, field) in [
        (
            json!({"translations": {"de": {"title": "Wir"}}}),
            "/translations",
        ),
        (
            json!({"translations": {"en": {"title": "x"}, "fr": {"title": "x"}}}),
            "/translations/fr",
        ),
        (json!({"translations": {"en": {"title": "?"}}}), "/slug"),
    ] {
        let refused = staff.post(PAGES, body).await?.problem(422, "unprocessable");
        assert_eq!(refused.fields(), [field]);
    }
    let wrong = json!({"kind": "poem", "translations": {"en": {}, "EN": {"title": "x"}}});
    let wrong = staff
        .post(PAGES, wrong)
        .await?
        .problem(400, "invalid_request");
    assert_eq!(
        wrong.fields(),
        ["/kind", "/translations/EN", "/translations/en/title"]
    );

    staff.forget().await?;
    let tags = [Tag::page(id), Tag::slug(SlugKind::Page, "about-us")];
    let and_menu = || tags.iter().cloned().chain([Tag::menu()]);
    let publication = format!("{path}/publication");
    let shown = staff
        .write("PUT", &publication, &made.tag(), json!({"published": true}))
        .await?
        .expect(200);
    assert_eq!(shown.body["status"], "active");
    assert_eq!(staff.purges().await?, [purge("soft", and_menu())]);
    assert_eq!(
        staff.audits().await?,
        [format!("tester content.publication content-{id}")]
    );

    staff.forget().await?;
    let text = json!({"title": "About us", "body": "We make cups."});
    let english = format!("{path}/translations/en");
    let edited = staff
        .write("PUT", &english, &shown.tag(), text.clone())
        .await?
        .expect(200);
    assert_eq!(
        staff.purges().await?,
        [purge("soft", tags.clone())],
        "the footer shows titles only"
    );
    let same = staff
        .write("PUT", &english, &edited.tag(), text)
        .await?
        .expect(200);
    assert_eq!(same.tag(), edited.tag());
    staff
        .write("PUT", &english, &shown.tag(), json!({"title": "x"}))
        .await?
        .problem(412, "version_mismatch");
    let german = format!("{path}/translations/de");
    let both = staff
        .write("PUT", &german, &same.tag(), json!({"title": "Wir"}))
        .await?
        .expect(200);
    assert_eq!(both.body["translations"]["de"]["title"], "Wir");
    let one = staff
        .write("DELETE", &german, &both.tag(), Value::Null)
        .await?
        .expect(200);
    assert!(one.body["translations"]["de"].is_null());
    staff
        .write("DELETE", &english, &one.tag(), Value::Null)
        .await?
        .problem(422, "unprocessable");

    staff.forget().await?;
    let gone = staff
        .write("DELETE", &path, &one.tag(), Value::Null)
        .await?
        .expect(200);
    assert_eq!(gone.body["status"], "archived");
    assert_eq!(
        staff.purges().await?,
        [purge("hard", tags), purge("soft", [Tag::menu()])]
    );
    let listed = staff
        .get(&format!("{PAGES}?kind=page&status=archived"))
        .await?
        .expect(200);
    assert_eq!(listed.body["items"][0]["title"], "About us");
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    staff
        .get(&format!("{PAGES}?kind=poem"))
        .await?
        .problem(400, "invalid_request");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn shoppers_see_what_staff_wrote_at_once() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let stack = Stack::start(
        &database,
        StackOptions {
            shops: 1,
            ..StackOptions::default()
        },
    )
    .await?;
    let staff = panono_tests::staff::Staff::new(&stack.environment, &stack.edge.url()).await?;
    let body = json!({"translations": {"en": {"title": "About us", "body": "We make mugs."}}});
    let page = staff.send(Method::POST, PAGES, &body).await?;
    let path = format!("{PAGES}/{}", page["id"]);
    let address = format!("{}/en/pages/about-us", stack.edge.url());
    let home = format!("{}/en", stack.edge.url());
    let shows = async |address: &str, status: u16, text: &str, is_there: bool| {
        wait_until("shoppers to see it", Duration::from_secs(30), async || {
            let answer = http::client().get(address).send().await?;
            let (seen, body) = (answer.status().as_u16(), answer.text().await?);
            anyhow::ensure!(seen == status && body.contains(text) == is_there, "{seen}");
            Ok(())
        })
        .await
    };
    shows(&address, 404, "mugs", false).await?;
    staff
        .send(
            Method::PUT,
            &format!("{path}/publication"),
            &json!({"published": true}),
        )
        .await?;
    shows(&address, 200, "We make mugs.", true).await?;
    shows(&home, 200, "/en/pages/about-us", true).await?;
    let text = json!({"title": "Who we are", "body": "We make cups."});
    staff
        .send(Method::PUT, &format!("{path}/translations/en"), &text)
        .await?;
    shows(&address, 200, "We make cups.", true).await?;
    shows(&home, 200, "Who we are", true).await?;
    staff.send(Method::DELETE, &path, &Value::Null).await?;
    shows(&address, 410, "cups", false).await?;
    shows(&home, 200, "Who we are", false).await?;

    // One that is planned appears by itself.
    let at = time::OffsetDateTime::now_utc() + time::Duration::seconds(3);
    let at = at.format(&time::format_description::well_known::Rfc3339)?;
    let body = json!({"slug": "sale", "translations": {"en": {"title": "Sale", "body": "Soon."}}});
    let page = staff.send(Method::POST, PAGES, &body).await?;
    let path = format!("{PAGES}/{}/publication", page["id"]);
    staff
        .send(
            Method::PUT,
            &path,
            &json!({"published": true, "published_at": at}),
        )
        .await?;
    shows(&home, 200, "/en/pages/sale", true).await?;
    shows(
        &format!("{}/en/pages/sale", stack.edge.url()),
        200,
        "Soon.",
        true,
    )
    .await
}
