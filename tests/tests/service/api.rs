//! The public API of a running shop, over a catalogue that the staff API made.

use std::time::Duration;

use anyhow::{Context, Result};
use panono_shop::admin::store_token;
use panono_shop::admin::token::Scope;
use panono_shop::catalog::index::recount_due_categories;
use panono_shop::db::migrate;
use panono_tests::http;
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::{Environment, Shop};
use panono_tests::wait::wait_until;
use reqwest::Method;
use serde_json::{Value, json};

struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// An answer that the edge may keep, tagged so that it can be purged.
    #[track_caller]
    fn cacheable(self, status: u16, tags: &[&str]) -> Self {
        let reply = self.expect(status);
        assert!(
            reply.header("cache-control").contains("public"),
            "{:?}",
            reply.headers
        );
        assert!(reply.headers.get("set-cookie").is_none());
        let carried: Vec<&str> = reply.header("surrogate-key").split(' ').collect();
        for tag in tags {
            assert!(carried.contains(tag), "{tag} is not among {carried:?}");
        }
        reply
    }
}

struct Client {
    shop: Shop,
    token: String,
    _media: tempfile::TempDir,
}

impl Client {
    async fn start(database: &TestDatabase<'_>) -> Result<Self> {
        Self::start_with(database, &[]).await
    }

    async fn start_with(database: &TestDatabase<'_>, settings: &[(&str, &str)]) -> Result<Self> {
        migrate::migrate(&mut database.connect().await?, Duration::from_secs(60)).await?;
        let db = database.db().await?;
        let token = store_token::create(&db, "tester", Scope::ALL, None)
            .await?
            .reveal()
            .to_owned();
        db.close().await;
        let media = tempfile::tempdir()?;
        let mut environment = Environment::for_urls(database)
            .await?
            .with_media(media.path())
            .with("PANONO_CURRENCIES", "USD,EUR")
            // No worker tells of changes here, so all is read where it was written.
            .with("PANONO_DATABASE_READER_URLS", "");
        for (name, value) in settings {
            environment = environment.with(name, value);
        }
        let shop = environment.serve().await?;
        Ok(Self {
            shop,
            token,
            _media: media,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).context("not JSON")?
        };
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        let address = format!("{}/api/v1/{path}", self.shop.url());
        self.send(http::client().get(address)).await
    }

    async fn staff(&self, method: Method, path: &str, tag: &str, body: Value) -> Result<Reply> {
        let address = format!("{}/api/v1/admin/{path}", self.shop.url());
        let mut request = http::client()
            .request(method, address)
            .bearer_auth(&self.token)
            .json(&body);
        if !tag.is_empty() {
            request = request.header("if-match", tag);
        }
        self.send(request).await
    }

    /// A published product in a category with one variant and so many pieces.
    async fn product(&self, slug: &str, category: i64, cents: i64, pieces: i64) -> Result<i64> {
        let text = json!({"slug": slug, "translations": {"en": {"name": format!("{slug} mug")}}});
        let product = self
            .staff(Method::POST, "products", "", text)
            .await?
            .expect(201);
        let id = product.body["id"].as_i64().unwrap();
        let sku = json!({"sku": format!("SKU-{slug}")});
        let path = format!("products/{id}/variants");
        let variant = self.staff(Method::POST, &path, "", sku).await?.expect(201);
        let variant_id = &variant.body["id"];
        let writes = [
            (
                format!("variants/{variant_id}/prices/USD"),
                json!({"amount": cents}),
            ),
            (
                format!("variants/{variant_id}/stock"),
                json!({"on_hand": pieces}),
            ),
            (
                format!("products/{id}/categories/{category}"),
                json!({"position": 1}),
            ),
            (
                format!("products/{id}/publication"),
                json!({"published": true}),
            ),
        ];
        for (path, body) in writes {
            self.staff(Method::PUT, &path, "*", body).await?.expect(200);
        }
        Ok(id)
    }
}

#[tokio::test]
async fn a_program_reads_the_catalogue() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let client = Client::start(&database).await?;
    let body = json!({"slug": "mugs", "translations": {"en": {"name": "Mugs"}}});
    let mugs = client
        .staff(Method::POST, "categories", "", body)
        .await?
        .expect(201);
    let mugs = mugs.body["id"].as_i64().unwrap();
    let red = client.product("red", mugs, 1999, 3).await?;
    let blue = client.product("blue", mugs, 999, 0).await?;

    let config = client.get("config").await?.cacheable(200, &["m-settings"]);
    assert_eq!(
        config.body["currencies"][0],
        json!({"code": "USD", "exponent": 2})
    );

    let tree = client
        .get("catalog/categories")
        .await?
        .cacheable(200, &["m-menu"]);
    assert_eq!(
        tree.body["items"],
        json!([{"id": mugs, "slug": "mugs", "name": "Mugs", "children": []}])
    );
    let category_tag = format!("c-{mugs}");
    let category = client.get("catalog/categories/mugs").await?;
    assert_eq!(
        category.cacheable(200, &[&category_tag]).body["name"],
        "Mugs"
    );

    let (red_tag, blue_tag) = (format!("p-{red}"), format!("p-{blue}"));
    let first = client
        .get("catalog/products?category=mugs&limit=1&sort=price_asc")
        .await?
        .cacheable(200, &[&category_tag, &blue_tag]);
    assert_eq!(first.body["items"][0]["slug"], "blue");
    assert_eq!(
        first.body["items"][0]["price"],
        json!({"amount": 999, "currency": "USD", "exponent": 2})
    );
    assert_eq!(
        first.body["total"],
        json!({"count": 2, "relation": "exactly"})
    );
    let link = first.header("link");
    let next = link.split(['<', '>']).nth(1).unwrap();
    let second = client.get(next.strip_prefix("/api/v1/").unwrap()).await?;
    let second = second.cacheable(200, &[&category_tag, &red_tag]);
    assert_eq!(second.body["items"][0]["slug"], "red");
    assert_eq!(second.body["next"], Value::Null);
    let back = second.body["previous"].as_str().unwrap();
    let back = client
        .get(&format!(
            "catalog/products?before={back}&category=mugs&limit=1&sort=price_asc"
        ))
        .await?
        .expect(200);
    assert_eq!(back.body["items"], first.body["items"]);

    let in_stock = client
        .get("catalog/products?in_stock=true")
        .await?
        .cacheable(200, &["c-0"]);
    assert_eq!(in_stock.body["items"].as_array().unwrap().len(), 1);
    let found = client
        .get("catalog/products?q=red")
        .await?
        .cacheable(200, &["c-0"]);
    assert_eq!(found.body["items"][0]["slug"], "red");
    let completions = client
        .get("catalog/search/suggest?q=mug")
        .await?
        .expect(200);
    assert_eq!(completions.body["items"][0]["kind"], "category");

    let product = client
        .get("catalog/products/red")
        .await?
        .cacheable(200, &[&red_tag]);
    assert_eq!(product.body["variants"][0]["sku"], "SKU-red");
    assert_eq!(product.body["variants"][0]["availability"], "low");
    let related = client
        .get("catalog/products/red/related")
        .await?
        .cacheable(200, &[&red_tag, &blue_tag]);
    assert_eq!(related.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(related.body["items"][0]["slug"], "blue");
    assert!(
        !product.header("surrogate-key").contains(&blue_tag),
        "another product's price would take this one out of the caches"
    );
    let numbers = client
        .get("catalog/availability?sku=SKU-blue,SKU-none,SKU-red")
        .await?
        .expect(200);
    // What lives for long says the word only; the number lives for seconds, wherever it is kept.
    assert!(!product.body.to_string().contains("\"available\""));
    assert_eq!(
        numbers.header("cdn-cache-control"),
        "max-age=2, stale-while-revalidate=5, stale-if-error=60"
    );
    assert_eq!(numbers.header("cache-control"), "public, max-age=1");
    assert_eq!(
        numbers.body["items"],
        json!([
            {"sku": "SKU-blue", "availability": "out", "available": 0},
            {"sku": "SKU-red", "availability": "low", "available": 3},
        ])
    );

    // The menu and its categories are kept as they were read; what their tiles count is read for each page.
    let home = async |query: &str| {
        let address = format!("{}/en{query}", client.shop.url());
        let answer = http::client().get(address).send().await?;
        let tags = answer.headers()["surrogate-key"].to_str()?.to_owned();
        anyhow::Ok((tags, answer.text().await?))
    };
    let (tags, page) = home("").await?;
    assert!(tags.split(' ').any(|tag| tag == category_tag), "{tags}");
    assert!(!page.contains("tile-count"), "{page}");
    recount_due_categories(&mut database.connect().await?, i64::MAX, 100).await?;
    let (_, page) = home("?currency=EUR").await?;
    assert!(page.contains("tile-count"), "{page}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_moved_or_wrong_is_said_so() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let client = Client::start(&database).await?;
    let body = json!({"slug": "mugs", "translations": {"en": {"name": "Mugs"}}});
    let mugs = client
        .staff(Method::POST, "categories", "", body)
        .await?
        .expect(201);
    let id = client
        .product("old", mugs.body["id"].as_i64().unwrap(), 500, 9)
        .await?;
    client
        .staff(
            Method::PUT,
            &format!("products/{id}/slug"),
            "*",
            json!({"slug": "new"}),
        )
        .await?
        .expect(200);

    let missing = client
        .get("catalog/products/none")
        .await?
        .cacheable(404, &[]);
    assert_eq!(missing.header("content-type"), "application/problem+json");
    assert_eq!(missing.body["code"], "not_found");
    assert!(
        missing.body["request_id"].is_null(),
        "one answer is for everyone"
    );
    client
        .get("catalog/products?category=none")
        .await?
        .cacheable(404, &[]);
    client.get("content/posts/none").await?.cacheable(404, &[]);

    let moved = client
        .get("catalog/products/old?locale=zh-CN")
        .await?
        .expect(301);
    assert_eq!(
        moved.header("location"),
        "/api/v1/catalog/products/new?locale=zh-CN"
    );
    let moved = client
        .get("catalog/products/old/related?currency=EUR")
        .await?
        .expect(301);
    assert_eq!(
        moved.header("location"),
        "/api/v1/catalog/products/new/related?currency=EUR"
    );
    let spelt = client
        .get("catalog/products?utm=1&limit=024")
        .await?
        .expect(301);
    assert_eq!(spelt.header("location"), "/api/v1/catalog/products");

    client
        .staff(
            Method::POST,
            &format!("products/{id}/archive"),
            "*",
            json!({}),
        )
        .await?
        .expect(200);
    let gone = client.get("catalog/products/new").await?;
    let gone = gone.cacheable(410, &[&format!("p-{id}")]);
    assert_eq!(gone.body["code"], "gone");
    let gone = client.get("catalog/products/new/related").await?;
    gone.cacheable(410, &[&format!("p-{id}")]);
    client
        .get("catalog/products/none/related")
        .await?
        .cacheable(404, &[]);

    let wrong = client
        .get("catalog/products?currency=XXX&limit=0")
        .await?
        .expect(400);
    let fields: Vec<&Value> = wrong.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["field"])
        .collect();
    assert_eq!(fields, ["currency", "limit"]);
    assert!(wrong.header("cache-control").contains("no-store"));
    for cursor in ["after", "before"] {
        let wrong = client
            .get(&format!("catalog/products?{cursor}=AAAA"))
            .await?;
        assert_eq!(wrong.expect(400).body["errors"][0]["field"], cursor);
    }
    Ok(())
}

/// An edge that knows no `CDN-Cache-Control` finds the same lifetime in `Cache-Control`, and browsers still ask each time.
#[tokio::test]
async fn an_edge_that_knows_one_field_is_told_there() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let settings = [
        ("PANONO_EDGE_LIFETIME", "s-maxage"),
        ("PANONO_DRAIN", "600"),
    ];
    let client = Client::start_with(&database, &settings).await?;
    let reply = client.get("catalog/categories").await?.expect(200);
    let told = reply.header("cache-control");
    assert!(told.starts_with("public, max-age=0, s-maxage="), "{told}");
    assert!(told.contains("stale-if-error="), "{told}");
    assert_eq!(reply.header("cdn-cache-control"), "");
    let reply = client.get("catalog/products/nothing").await?.expect(404);
    assert!(reply.header("cache-control").contains("s-maxage=30"));

    // Asked to end, it tells edges to send nothing more, and serves what they send until they know.
    let limit = Duration::from_secs(60);
    let probe = async || {
        let address = format!("{}/healthz", client.shop.url());
        let answer = http::client().get(address).send().await?;
        let stored = answer.headers()["cache-control"].to_str()?.to_owned();
        anyhow::Ok((answer.status().as_u16(), stored))
    };
    assert_eq!(probe().await?, (200, "private, no-store".to_owned()));
    let seen = async {
        wait_until("the process to be drained", limit, async || {
            let (status, stored) = probe().await?;
            anyhow::ensure!((status, stored.as_str()) == (503, "private, no-store"));
            Ok(())
        })
        .await?;
        client.get("config").await?.expect(200);
        anyhow::Ok(())
    };
    tokio::select! {
        ended = client.shop.process().terminate(limit * 2) => anyhow::bail!("it ended: {ended:?}"),
        seen = seen => seen?,
    }
    Ok(())
}
