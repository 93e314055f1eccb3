//! Carts as shoppers and staff see them: a running shop, over HTTP.

mod merge;
mod page;
mod races;
mod rules;
mod staff;

use std::time::Duration;

use anyhow::{Context, Result};
use panono_shop::db::{Db, migrate};
use panono_tests::http;
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::{Environment, SECRET_KEY, Shop};
use panono_tests::staff::Staff;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};

/// An answer, read to its end.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
    text: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("cache-control"), "private, no-store");
        self
    }

    #[track_caller]
    fn problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.body["code"], code, "{}", reply.text);
        reply
    }

    /// The pointers of the wrong fields.
    fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        errors
            .into_iter()
            .flatten()
            .map(|error| error["field"].as_str().unwrap())
            .collect()
    }

    /// A list of one field of each item, such as the codes of the requirements.
    fn each(&self, list: &str, field: &str) -> Vec<Value> {
        let items = self.body[list].as_array();
        items
            .into_iter()
            .flatten()
            .map(|item| item[field].clone())
            .collect()
    }

    fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// The cookie that was set.
    fn cookie(&self) -> String {
        let cookie = self.header("set-cookie");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }
}

/// A shop that sells, with nothing in it.
struct Bed {
    database: TestDatabase<'static>,
    db: Db,
    shop: Shop,
    staff: Staff,
    _media: tempfile::TempDir,
}

impl Bed {
    async fn start() -> Result<Self> {
        let database = TestDatabase::shared().await?;
        migrate::migrate(&mut database.connect().await?, Duration::from_secs(60)).await?;
        let db = database.db().await?;
        let media = tempfile::tempdir()?;
        let environment = Environment::for_urls(&database)
            .await?
            .with_media(media.path())
            .with("PANONO_CURRENCIES", "USD,EUR")
            // No worker tells of changes here, so all is read where it was written.
            .with("PANONO_DATABASE_READER_URLS", "");
        let shop = environment.serve().await?;
        let staff = Staff::new(&environment, &shop.url()).await?;
        Ok(Self {
            database,
            db,
            shop,
            staff,
            _media: media,
        })
    }

    /// Runs a statement.
    async fn execute(&self, statement: &str) -> Result<u64> {
        let mut connection = self.database.connect().await?;
        let done = sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(done.rows_affected())
    }

    /// The number that a statement finds.
    async fn number(&self, statement: &str) -> Result<i64> {
        let mut connection = self.database.connect().await?;
        let number = sqlx::query_scalar(AssertSqlSafe(statement.to_owned()))
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(number)
    }

    /// A product at a price in dollars; its SKU and variant.
    async fn product(&self, name: &str, price: i64) -> Result<(String, i64)> {
        let made = self.staff.product(name, "USD", price).await?;
        Ok((format!("SKU-{}", made.product), made.variant))
    }

    async fn stock(&self, variant: i64, on_hand: i64) -> Result<()> {
        let path = format!("/variants/{variant}/stock");
        self.staff
            .send(Method::PUT, &path, &json!({ "on_hand": on_hand }))
            .await?;
        Ok(())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply> {
        let response = request.send().await.context("no answer")?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Reply {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        })
    }

    /// A request of a program without cookies.
    async fn api(&self, method: Method, path: &str, body: Value) -> Result<Reply> {
        let address = format!("{}/api/v1/carts{path}", self.shop.url());
        let request = http::client().request(method, address);
        self.send(if body.is_null() {
            request
        } else {
            request.json(&body)
        })
        .await
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        self.api(Method::GET, path, Value::Null).await
    }

    /// A cart with these lines.
    async fn cart(&self, lines: &[(&str, i32)]) -> Result<String> {
        let lines: Vec<Value> = lines
            .iter()
            .map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity }))
            .collect();
        let made = self
            .api(Method::POST, "", json!({ "lines": lines }))
            .await?
            .expect(201);
        assert_eq!(
            made.header("location"),
            format!("/api/v1/carts/{}", made.id())
        );
        Ok(made.id())
    }

    async fn put(&self, cart: &str, sku: &str, quantity: i32) -> Result<Reply> {
        let path = format!("/{cart}/lines/{sku}");
        self.api(Method::PUT, &path, json!({ "quantity": quantity }))
            .await
    }

    async fn patch(&self, cart: &str, body: Value) -> Result<Reply> {
        self.api(Method::PATCH, &format!("/{cart}"), body).await
    }

    async fn coupon(&self, cart: &str, code: &str) -> Result<Reply> {
        let path = format!("/{cart}/coupons");
        self.api(Method::POST, &path, json!({ "code": code })).await
    }

    /// A promotion, active at once; its id.
    async fn promotion(&self, body: Value) -> Result<i64> {
        let mut promotion = json!({
            "name": "test", "labels": { "en": "Test offer", "zh-cn": "测试优惠" }, "status": "active", "needs_coupon": false,
        });
        for (name, value) in body.as_object().context("a promotion is an object")? {
            promotion[name] = value.clone();
        }
        let made = self
            .staff
            .send(Method::POST, "/promotions", &promotion)
            .await?;
        made["id"].as_i64().context("a promotion has an id")
    }

    /// A promotion of ten percent with one coupon.
    async fn coupon_promotion(&self, code: &str, limits: Value) -> Result<i64> {
        let id = self
            .promotion(json!({ "needs_coupon": true, "rule": percentage(100_000) }))
            .await?;
        let mut body = json!({ "codes": [code] });
        for (name, value) in limits.as_object().context("limits are an object")? {
            body[name] = value.clone();
        }
        let path = format!("/promotions/{id}/coupons");
        self.staff.send(Method::POST, &path, &body).await?;
        Ok(id)
    }

    /// Zones: the United States (8 % on top; a flat rate of 5.00, free from 100.00) and Germany (19 % within; by weight).
    async fn zones(&self) -> Result<()> {
        let us = json!({
            "name": "US", "prices_include_tax": false, "areas": [{ "country": "US" }],
            "rates": [{ "tax_category": "standard", "name": "Sales tax", "rate": 80_000 }],
        });
        let de = json!({
            "name": "DE", "prices_include_tax": true, "areas": [{ "country": "DE" }],
            "rates": [{ "tax_category": "standard", "name": "VAT", "rate": 190_000 }],
        });
        let us = self.staff.send(Method::POST, "/zones", &us).await?["id"].clone();
        let de = self.staff.send(Method::POST, "/zones", &de).await?["id"].clone();
        let flat = json!({
            "code": "post", "zone_id": us, "carrier": "flat", "names": { "en": "Post", "zh-cn": "邮政" }, "days_min": 2,
            "days_max": 5, "rates": [{ "currency": "USD", "amount": 500, "free_from": 10_000 }],
        });
        let table = json!({
            "code": "parcel", "zone_id": de, "carrier": "table", "names": { "en": "Parcel" }, "days_min": 1, "days_max": 2,
            "rates": [
                { "currency": "USD", "amount": 600 },
                { "currency": "USD", "amount": 900, "from_grams": 2000, "max_grams": 10_000 },
            ],
        });
        for method in [flat, table] {
            self.staff
                .send(Method::POST, "/shipping-methods", &method)
                .await?;
        }
        Ok(())
    }
}

fn percentage(share: i64) -> Value {
    json!({ "effect": { "kind": "percentage", "share": share } })
}

/// An address in the United States.
fn american() -> Value {
    json!({
        "name": "Ada Example", "line1": "1 Main Street", "city": "Springfield", "region": "IL", "postcode": "62701",
        "country": "US", "phone": "",
    })
}

/// An address in Germany.
fn german() -> Value {
    json!({ "name": "Ada Example", "line1": "Hauptstr. 1", "city": "Berlin", "postcode": "10115", "country": "DE" })
}

fn keys() -> panono_shop::secret::Keys {
    panono_shop::secret::Keys::parse(SECRET_KEY).unwrap()
}

#[tokio::test]
async fn every_statement_of_carts_can_be_prepared() -> Result<()> {
    use sqlx::{Executor as _, SqlSafeStr as _};
    let database = TestDatabase::shared().await?;
    let mut connection = database.connect().await?;
    migrate::migrate(&mut connection, Duration::from_secs(60)).await?;
    for (name, statement) in panono_shop::cart::statements() {
        (&mut connection)
            .prepare(statement.into_sql_str())
            .await
            .with_context(|| format!("{name} cannot be prepared: {statement}"))?;
    }
    Ok(())
}
