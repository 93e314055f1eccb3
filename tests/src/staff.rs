//! The staff API as a program of the merchant uses it.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http;
use crate::shop::Environment;

/// What the token of a test allows: everything.
pub const EVERY_SCOPE: &str = "read:catalog,write:products,write:publication,write:prices,write:stock,\
write:categories,write:media,read:content,write:content,read:audit,write:cache,read:orders,write:orders,read:payments,capture:payments,refund:payments,\
read:shipments,write:shipments,read:returns,write:returns,read:customers,write:customers,read:promotions,write:promotions,\
read:shipping,write:shipping,read:taxes,write:taxes,read:risk,write:risk,read:webhooks,write:webhooks,read:outbox,write:outbox,\
read:staff,write:staff";

/// A client with a token.
#[derive(Debug, Clone)]
pub struct Staff {
    client: reqwest::Client,
    base: String,
    token: String,
}

/// A product with one variant.
#[derive(Debug, Clone)]
pub struct Made {
    /// The product's id.
    pub product: i64,
    /// The variant's id.
    pub variant: i64,
    /// The product's slug.
    pub slug: String,
}

impl Staff {
    /// Makes a token and a client that uses it at `base`, the URL of an edge or a web process.
    ///
    /// # Errors
    /// When the token cannot be made.
    pub async fn new(environment: &Environment, base: &str) -> Result<Self> {
        let name = format!("test-{:08x}", rand::random::<u32>());
        Self::named(environment, base, &name).await
    }

    /// The same with a token of this name.
    ///
    /// # Errors
    /// When the token cannot be made.
    pub async fn named(environment: &Environment, base: &str, name: &str) -> Result<Self> {
        let token = environment
            .output(&["token", "create", name, "--scope", EVERY_SCOPE])
            .await?;
        Ok(Self {
            client: http::client(),
            base: format!("{base}/api/v1/admin"),
            token: token.trim().to_owned(),
        })
    }

    /// The secret that it sends.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The same client at another address.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self {
            base: format!("{base}/api/v1/admin"),
            ..self.clone()
        }
    }

    /// Sends a request with whatever version, and gives the answer's body.
    ///
    /// # Errors
    /// When it is refused, with the answer.
    pub async fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Value> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("If-Match", "*");
        // Edges refuse a GET with a body.
        if method != reqwest::Method::GET {
            request = request.json(body);
        }
        let answer = request
            .send()
            .await
            .context("the staff API did not answer")?;
        let status = answer.status();
        let text = answer
            .text()
            .await
            .context("the staff API's answer broke off")?;
        if !status.is_success() {
            bail!("{path}: {status}: {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Sends a request with whatever version and, if one is given, an idempotency key. Answers status and body, whatever they are.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<(u16, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("If-Match", "*")
            .json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", format!("\"{key}\""));
        }
        let answer = request
            .send()
            .await
            .context("the staff API did not answer")?;
        let status = answer.status().as_u16();
        let text = answer
            .text()
            .await
            .context("the staff API's answer broke off")?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Makes and publishes a product with one variant, a price and stock.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn product(&self, name: &str, currency: &str, price: i64) -> Result<Made> {
        use reqwest::Method;
        let translations = json!({ "translations": { "en": { "name": name } } });
        let product = self.send(Method::POST, "/products", &translations).await?;
        let id = product["id"].as_i64().context("a product without id")?;
        let sku = json!({ "sku": format!("SKU-{id}") });
        let variant = self
            .send(Method::POST, &format!("/products/{id}/variants"), &sku)
            .await?;
        let variant = variant["id"].as_i64().context("a variant without id")?;
        self.set_price(variant, currency, price).await?;
        self.send(
            Method::PUT,
            &format!("/variants/{variant}/stock"),
            &json!({ "on_hand": 100 }),
        )
        .await?;
        self.send(
            Method::PUT,
            &format!("/products/{id}/publication"),
            &json!({ "published": true }),
        )
        .await?;
        Ok(Made {
            product: id,
            variant,
            slug: product["slug"]
                .as_str()
                .context("a product without slug")?
                .to_owned(),
        })
    }

    /// Sets a price from now on.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn set_price(&self, variant: i64, currency: &str, amount: i64) -> Result<()> {
        let path = format!("/variants/{variant}/prices/{currency}");
        self.send(reqwest::Method::PUT, &path, &json!({ "amount": amount }))
            .await?;
        Ok(())
    }
}
