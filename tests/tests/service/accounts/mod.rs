//! Accounts as a shopper, an attacker and a program see them: the shop's own process, over HTTP.

mod access;
mod account;
mod entry;
mod guard;
mod staff;

use anyhow::{Context, Result};
use panono_shop::accounts::totp;
use panono_tests::http;
use panono_tests::market::Market;
use panono_tests::mysql::TestDatabase;
use panono_tests::process::Folder;
use panono_tests::shop::{Environment, Shop};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::MySqlConnection;
use time::OffsetDateTime;

const PASSWORD: &str = "a long enough sentence";

/// A shop that serves, without edge and worker.
pub(crate) struct Bench {
    pub(crate) shop: Shop,
    environment: Environment,
    database: TestDatabase<'static>,
    _media: Folder,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Every private answer is kept by nobody.
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("cache-control"), "private, no-store");
        assert!(!self.header("x-request-id").is_empty());
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        self
    }

    #[track_caller]
    fn problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.json()["code"], code, "{}", reply.text);
        reply
    }

    /// The value of a cookie that this answer sets.
    fn cookie(&self, name: &str) -> Option<String> {
        self.headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter_map(|value| value.split(';').next()?.split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }
}

/// A browser: it keeps its cookies, and says where it is.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    client: reqwest::Client,
    url: String,
    pub(crate) session: Option<String>,
    cart: Option<String>,
    /// The address that the edge says it has.
    address: String,
}

impl Browser {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let cookies: Vec<String> = [
            self.session
                .as_ref()
                .map(|it| format!("panono-session={it}")),
            self.cart.as_ref().map(|it| format!("panono-cart={it}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        let request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .header("x-real-ip", &self.address)
            .header("sec-fetch-site", "same-origin");
        if cookies.is_empty() {
            request
        } else {
            request.header("cookie", cookies.join("; "))
        }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Result<Reply> {
        let answer = request.send().await.context("no answer")?;
        let reply = Reply {
            status: answer.status(),
            headers: answer.headers().clone(),
            text: answer.text().await?,
        };
        let kept = |name: &str, old: Option<String>| match reply.cookie(name) {
            None => old,
            Some(value) => Some(value).filter(|value| !value.is_empty()),
        };
        self.session = kept("panono-session", self.session.take());
        self.cart = kept("panono-cart", self.cart.take());
        Ok(reply)
    }

    async fn get(&mut self, path: &str) -> Result<Reply> {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    async fn call(&mut self, method: Method, path: &str, body: Value) -> Result<Reply> {
        let request = self.request(method, path).json(&body);
        self.send(request).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Result<Reply> {
        self.call(Method::POST, path, body).await
    }

    async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Reply> {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.send(request).await
    }

    async fn login(&mut self, email: &str, password: &str) -> Result<Reply> {
        let body = json!({ "email": email, "password": password });
        self.post("/api/v1/auth/login", body).await
    }
}

impl Bench {
    async fn start() -> Result<Self> {
        let database = TestDatabase::shared().await?;
        let media = Folder::new("media")?;
        let environment =
            Environment::for_members(database.group(), database.name()).with_media(media.path());
        environment.run(&["migrate"]).await?;
        let shop = environment.serve().await?;
        Ok(Self {
            shop,
            environment,
            database,
            _media: media,
        })
    }

    /// A shop with goods, a way to send them, and cards that are accepted.
    pub(crate) async fn selling() -> Result<(Self, Market)> {
        let database = TestDatabase::shared().await?;
        database.migrate().await?;
        let media = Folder::new("media")?;
        let market = Market::open(&database, 2, 100).await?;
        let environment = market.environment.clone().with_media(media.path());
        let shop = environment.serve().await?;
        let bench = Self {
            shop,
            environment,
            database,
            _media: media,
        };
        Ok((bench, market))
    }

    fn browser(&self) -> Browser {
        let part = || rand::random_range(1..255_u8);
        Browser {
            client: http::client(),
            url: self.shop.url(),
            session: None,
            cart: None,
            address: format!("198.{}.{}.{}", part(), part(), part()),
        }
    }

    async fn connect(&self) -> Result<MySqlConnection> {
        self.database.connect().await
    }

    /// The mails to an address that wait to be sent, the latest last.
    async fn mails(&self, to: &str) -> Result<Vec<Value>> {
        let mut connection = self.connect().await?;
        let rows: Vec<(sqlx::types::Json<Value>,)> =
            sqlx::query_as("SELECT payload FROM outbox WHERE topic = 'mail' ORDER BY id")
                .fetch_all(&mut connection)
                .await?;
        Ok(rows
            .into_iter()
            .map(|(payload,)| payload.0)
            .filter(|mail| mail["to"] == to)
            .collect())
    }

    /// The token of the link in the latest mail of a template.
    async fn token(&self, to: &str, template: &str) -> Result<String> {
        let mails = self.mails(to).await?;
        let mail = mails
            .iter()
            .rev()
            .find(|mail| mail["template"] == template)
            .with_context(|| format!("no {template} for {to}"))?;
        let link = mail["data"]["link"].as_str().context("no link")?;
        Ok(link.split_once("token=").context("no token")?.1.to_owned())
    }

    /// A customer who registered, verified the address and is signed in.
    pub(crate) async fn customer(&self, email: &str) -> Result<Browser> {
        let mut browser = self.browser();
        let body = json!({ "email": email, "password": PASSWORD, "name": "Test Customer" });
        browser
            .post("/api/v1/auth/register", body)
            .await?
            .expect(202);
        let token = self.token(email, "verify_email").await?;
        let body = json!({ "token": token, "password": PASSWORD });
        browser.post("/api/v1/auth/verify", body).await?.expect(200);
        Ok(browser)
    }
}

/// The code that an app shows for a secret that the API spelled, so many steps from now.
fn code_of(spelled: &str, steps: i64) -> String {
    let step = OffsetDateTime::now_utc().unix_timestamp() / 30 + steps;
    format!("{:06}", totp::code_at(&unspelled(spelled), step))
}

/// Base 32 (RFC 4648) back to bytes.
fn unspelled(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
        buffer = (buffer << 5) | u32::try_from(alphabet.find(letter).unwrap()).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 255).unwrap());
        }
    }
    bytes
}
