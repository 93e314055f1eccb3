//! A shop that sells, for tests and benches of the checkout: products with stock, a zone with a tax and a way to send, and carts
//! that are ready to be ordered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use panono_shop::web::private::PublicId;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions, MySqlSslMode};

use crate::http;
use crate::mysql::TestDatabase;
use crate::shop::Environment;

/// What every product costs, in cents.
pub const PRICE: i64 = 1000;
/// What sending costs, in cents.
pub const SHIPPING: i64 = 500;
/// A card of the test provider that is accepted.
pub const GOOD_CARD: &str = "4242424242424242";
/// So often a good client orders anew.
const MOST_KEYS: u32 = 5;
/// One that is declined.
pub const BAD_CARD: &str = "4000000000000002";

/// The checks of what must hold whatever happened, each with its name; each finds what breaks it.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "no row of stock is oversold",
        "SELECT COUNT(*) FROM stock WHERE tracked AND reserved > on_hand + backorder_limit",
    ),
    (
        "stock promises what orders hold",
        "SELECT COUNT(*) FROM stock s WHERE s.reserved <> (SELECT COALESCE(SUM(r.quantity), 0) FROM stock_reservation r WHERE r.variant_id = s.variant_id AND r.bucket = -1)",
    ),
    (
        "buckets promise what orders hold",
        "SELECT COUNT(*) FROM stock_bucket b WHERE b.reserved <> (SELECT COALESCE(SUM(r.quantity), 0) FROM stock_reservation r WHERE r.variant_id = b.variant_id AND r.bucket = b.bucket)",
    ),
    (
        "a placed order holds all of its pieces",
        "SELECT COUNT(*) FROM orders o WHERE o.state = 'placed' AND (SELECT COALESCE(SUM(quantity - cancelled - shipped), 0) FROM order_line WHERE order_id = o.id) <> (SELECT COALESCE(SUM(quantity), 0) FROM stock_reservation WHERE order_id = o.id AND state = 'allocated')",
    ),
    (
        "a cancelled order holds nothing",
        "SELECT COUNT(*) FROM stock_reservation r JOIN orders o ON o.id = r.order_id WHERE o.state = 'cancelled'",
    ),
    (
        "a placed order is paid for",
        "SELECT COUNT(*) FROM orders o WHERE o.state = 'placed' AND o.total > 0 AND NOT EXISTS (SELECT 1 FROM payment p WHERE p.order_id = o.id AND p.state IN ('authorized','captured') AND p.authorized >= o.total)",
    ),
    (
        "an order has one payment that stands",
        "SELECT COUNT(*) FROM (SELECT order_id FROM payment WHERE state IN ('authorized','captured') GROUP BY order_id HAVING COUNT(*) > 1) AS twice",
    ),
    (
        "coupons are used as often as they may be",
        "SELECT COUNT(*) FROM coupon c WHERE c.used <> (SELECT COUNT(*) FROM promotion_use u WHERE u.coupon_code = c.code AND u.released_at IS NULL) OR c.used > COALESCE(c.usage_limit, c.used)",
    ),
    (
        "a change of state was announced once",
        "SELECT COUNT(*) FROM order_event WHERE to_state IS NOT NULL AND outbox_id IS NULL",
    ),
    (
        "a cart that was ordered has its order",
        "SELECT COUNT(*) FROM cart c WHERE c.state = 'ordered' AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.cart_id = c.id AND o.placed_at IS NOT NULL)",
    ),
];

/// The shop's data, and ways to look at it.
#[derive(Debug)]
pub struct Market {
    /// For the shop's processes: with the test provider.
    pub environment: Environment,
    /// The data, around the shop.
    pub pool: MySqlPool,
    /// Variants, as `SKU-0` and so on.
    pub variants: Vec<i64>,
}

/// An answer to an attempt to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Whether the shop says that it was given before.
    pub replayed: bool,
    /// The body.
    pub body: Value,
}

impl Reply {
    /// The number of the order, if it was placed.
    #[must_use]
    pub fn placed(&self) -> Option<&str> {
        (self.status == StatusCode::CREATED)
            .then(|| self.body["number"].as_str())
            .flatten()
    }

    /// The code of the problem, if it is one.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// The address to which everything is sent.
fn address() -> Value {
    json!({ "name": "Ada Buyer", "line1": "Lindenstraße 1", "city": "Berlin", "postcode": "10969", "country": "DE" })
}

impl Market {
    /// Fills a database that is migrated.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn open(database: &TestDatabase<'_>, variants: usize, pieces: i64) -> Result<Self> {
        let environment = Environment::for_members(database.group(), database.name())
            .with("PANONO_PAYMENTS_TEST", "true")
            .with("PANONO_DATABASE_POOL_MAX", "32");
        let options: MySqlConnectOptions = database.writer_url().await?.parse()?;
        let pool = MySqlPoolOptions::new()
            .max_connections(8)
            .connect_with(options.ssl_mode(MySqlSslMode::Disabled))
            .await
            .context("failed to reach the primary")?;
        for statement in [
            "INSERT INTO zone (id, name, prices_include_tax) VALUES (1, 'Germany', TRUE)",
            "INSERT INTO zone_area (country, region, zone_id) VALUES ('DE', '', 1)",
            "INSERT INTO tax_rate (zone_id, tax_category, name, rate) VALUES (1, 'standard', 'VAT', 190000)",
            "INSERT INTO shipping_method (id, code, zone_id, carrier, names, days_min, days_max) VALUES (1, 'post', 1, 'flat', '{\"en\":\"Post\",\"zh-CN\":\"邮政\"}', 1, 3)",
            "INSERT INTO shipping_rate (method_id, currency, amount) VALUES (1, 'USD', 500)",
        ] {
            sqlx::query(statement).execute(&pool).await?;
        }
        let mut ids = Vec::new();
        for number in 0..variants {
            let slug = format!("mug-{number}");
            let product = sqlx::query(
                "INSERT INTO product (slug, status, published_at) VALUES (?, 'active', '2020-01-01')",
            )
            .bind(&slug)
            .execute(&pool)
            .await?
            .last_insert_id();
            sqlx::query(
                "INSERT INTO product_translation (product_id, locale, name, description) VALUES (?, 'en', ?, '')",
            )
            .bind(product)
            .bind(format!("Mug {number}"))
            .execute(&pool)
            .await?;
            let variant = sqlx::query("INSERT INTO variant (product_id, sku) VALUES (?, ?)")
                .bind(product)
                .bind(format!("SKU-{number}"))
                .execute(&pool)
                .await?
                .last_insert_id();
            sqlx::query("INSERT INTO price (variant_id, currency, amount, starts_at) VALUES (?, 'USD', ?, '2020-01-01')")
                .bind(variant)
                .bind(PRICE)
                .execute(&pool)
                .await?;
            sqlx::query("INSERT INTO stock (variant_id, on_hand) VALUES (?, ?)")
                .bind(variant)
                .bind(pieces)
                .execute(&pool)
                .await?;
            ids.push(i64::try_from(variant)?);
        }
        // What is put there by SQL is in no invalidation log: a replica that has not applied it would be read from all the same.
        database.group().wait_until_applied().await?;
        Ok(Self {
            environment,
            pool,
            variants: ids,
        })
    }

    /// Divides the stock of a variant into buckets.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn divide(&self, variant: i64, buckets: i16) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        panono_shop::stock::store_rows::divide(&mut transaction, variant, buckets).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// A cart with these variants and quantities, ready to be ordered.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn cart(&self, lines: &[(i64, i64)], coupon: Option<&str>) -> Result<Cart> {
        let id = PublicId::random();
        let mut connection = self.pool.acquire().await?;
        let cart = sqlx::query(
            "INSERT INTO cart (public_id, currency, locale, email, shipping_address, shipping_method) VALUES (?, 'USD', 'en', ?, ?, 'post')",
        )
        .bind(id.as_str())
        .bind(format!("{id}@example.com"))
        .bind(address())
        .execute(&mut *connection)
        .await?
        .last_insert_id();
        let lines_json = serde_json::to_string(lines)?;
        sqlx::query("INSERT INTO cart_line (cart_id, variant_id, quantity) SELECT ?, j.v, j.q FROM JSON_TABLE(?, '$[*]' COLUMNS (v BIGINT PATH '$[0]', q INT PATH '$[1]')) j")
            .bind(cart)
            .bind(lines_json)
            .execute(&mut *connection)
            .await?;
        if let Some(code) = coupon {
            sqlx::query("INSERT INTO cart_coupon (cart_id, code) VALUES (?, ?)")
                .bind(cart)
                .bind(code)
                .execute(&mut *connection)
                .await?;
        }
        let pieces: i64 = lines.iter().map(|(_, quantity)| quantity).sum();
        Ok(Cart {
            id: id.to_string(),
            total: pieces * PRICE + SHIPPING,
        })
    }

    /// One number out of the database.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn count(&self, statement: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(statement).fetch_one(&self.pool).await?)
    }

    /// Whether everything holds that must hold whatever happened, as this testbed and as the shop's own check sees it.
    ///
    /// # Errors
    /// With the names of what does not.
    pub async fn check(&self) -> Result<()> {
        let mut broken = Vec::new();
        for (name, statement) in INVARIANTS {
            let found = self.count(statement).await?;
            if found != 0 {
                broken.push(format!("{name}: {found} times not"));
            }
        }
        ensure!(broken.is_empty(), "{broken:#?}");
        self.environment
            .run(&["check", "--invariants"])
            .await
            .context("the shop's own check")?;
        Ok(())
    }
}

/// A cart that is ready to be ordered.
#[derive(Debug, Clone)]
pub struct Cart {
    /// Its public id.
    pub id: String,
    /// What it costs.
    pub total: i64,
}

/// Somebody who orders over HTTP.
#[derive(Debug, Clone)]
pub struct Buyer {
    client: Client,
    base: String,
}

impl Buyer {
    /// Who orders at `base`, the URL of a web process.
    #[must_use]
    pub fn at(base: &str) -> Self {
        Self {
            client: http::client(),
            base: base.to_owned(),
        }
    }

    /// Sends an order of a cart.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn order(&self, cart: &Cart, key: &str, card: &str) -> Result<Reply> {
        let body = json!({ "expected_total": cart.total, "payment": { "provider": "test", "token": card } });
        self.send(&cart.id, Some(key), &body).await
    }

    /// Orders a cart as a good client does: the same key again until there is a final answer, a look at the order where the
    /// provider has not said yet, and a new key where it came to nothing. Answers the number of the order that was placed.
    ///
    /// # Errors
    /// When none is placed in time, with the last answer.
    pub async fn insist(&self, cart: &Cart, limit: Duration) -> Result<String> {
        let start = Instant::now();
        let mut key = 0;
        loop {
            let last = match self.order(cart, &format!("key-{key}"), GOOD_CARD).await {
                Ok(reply) => match self.became(&reply).await {
                    Ok(Some(number)) => return Ok(number),
                    Ok(None) => {
                        key += 1;
                        format!("{reply:?}")
                    }
                    Err(error) => format!("{reply:?}: {error:#}"),
                },
                Err(error) => format!("{error:#}"),
            };
            ensure!(
                start.elapsed() < limit && key < MOST_KEYS,
                "not placed in {:?} under {} keys: {last}",
                start.elapsed(),
                key + 1
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What became of an attempt: the number of the order that was placed, or nothing.
    async fn became(&self, reply: &Reply) -> Result<Option<String>> {
        let number = reply.body["number"].as_str().map(str::to_owned);
        match reply.status.as_u16() {
            201 => return Ok(Some(number.context("no number")?)),
            202 => {}
            402 => return Ok(None),
            _ => bail!("not final"),
        }
        let (number, url) = (number.context("no number")?, reply.body["url"].as_str());
        let link = url
            .and_then(|url| url.split_once("key="))
            .context("no link")?
            .1;
        let url = format!("{}/api/v1/orders/{number}?key={link}", self.base);
        let answer = self.client.get(url).send().await?.error_for_status()?;
        let order: Value = answer.json().await?;
        match order["state"].as_str() {
            Some("placed") => Ok(Some(number)),
            Some("cancelled") => Ok(None),
            _ => bail!("not decided"),
        }
    }

    /// Sends a body to complete a cart.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send(&self, cart: &str, key: Option<&str>, body: &Value) -> Result<Reply> {
        let mut request = self
            .client
            .post(format!("{}/api/v1/carts/{cart}/complete", self.base))
            .json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", format!("\"{key}\""));
        }
        let answer = request.send().await.context("no answer")?;
        let status = answer.status();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        let text = answer.text().await.context("the answer broke off")?;
        Ok(Reply {
            status,
            replayed,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }
}
