//! The staff API as a program of the staff sees it: real HTTP, a real database.

mod access;
mod attributes;
mod catalogue;
mod concurrency;
mod content;
mod media;
mod selling;

use std::time::Duration;

use anyhow::{Context, Result};
use panono_shop::admin::token::Scope;
use panono_shop::admin::{AdminState, CatalogueSettings, configure, store_token};
use panono_shop::db::{Arrangement, DatabaseConfig, Db, PoolSize, migrate};
use panono_shop::media::MediaStore;
use panono_tests::http;
use panono_tests::mysql::TestDatabase;
use panono_tests::process::Folder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection;

/// An answer, read to its end.
struct Reply {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn tag(&self) -> String {
        self.header("etag").to_owned()
    }

    /// The pointers of the wrong fields.
    fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect()
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header("cache-control"), "private, no-store");
        assert!(!self.header("x-request-id").is_empty());
        if self.status.is_client_error() {
            assert_eq!(self.header("content-type"), "application/problem+json");
            assert_eq!(self.body["request_id"], self.header("x-request-id"));
        }
        self
    }

    #[track_caller]
    fn problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.body["code"], code, "{}", reply.body);
        reply
    }
}

/// A staff API over a database of its own.
struct Staff {
    database: TestDatabase<'static>,
    db: Db,
    url: String,
    token: String,
    server: actix_web::dev::ServerHandle,
    _pictures: Folder,
}

impl Drop for Staff {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Staff {
    async fn start() -> Result<Self> {
        let database = TestDatabase::shared().await?;
        migrate::migrate(&mut database.connect().await?, Duration::from_secs(60)).await?;
        let db = Db::start(DatabaseConfig {
            arrangement: Arrangement::Fixed,
            members: vec![database.writer_url().await?.parse()?],
            pool: PoolSize {
                max: 4,
                min: 0,
                acquire: Duration::from_secs(10),
            },
            write_deadline: Duration::from_secs(30),
            read_only: false,
        });
        let token = store_token::create(&db, "tester", Scope::ALL, None)
            .await?
            .reveal()
            .to_owned();
        let settings = CatalogueSettings {
            currencies: vec!["EUR".parse()?, "USD".parse()?],
            locales: vec!["en".parse()?, "de".parse()?],
        };
        let pictures = Folder::new("media")?;
        let location = format!("file://{}", pictures.path().display());
        let media = MediaStore::open(&location, &std::collections::BTreeMap::new()).await?;
        let keys = panono_shop::secret::Keys::parse(panono_tests::shop::SECRET_KEY)?;
        let state = actix_web::web::Data::new(AdminState::new(db.clone(), settings, keys, media));
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/api/v1/admin", listener.local_addr()?);
        let server = actix_web::HttpServer::new(move || {
            actix_web::App::new()
                .app_data(state.clone())
                .configure(configure)
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            database,
            db,
            url,
            token,
            server: handle,
            _pictures: pictures,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
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

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        http::client()
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        self.send(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Reply> {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    /// A write that starts from the version of this tag.
    async fn write(&self, method: &str, path: &str, tag: &str, body: Value) -> Result<Reply> {
        let request = self.request(method.parse()?, path).header("if-match", tag);
        self.send(if body.is_null() {
            request
        } else {
            request.json(&body)
        })
        .await
    }

    /// A published product with one variant that costs 10 euros and is in stock: the numbers of both.
    async fn product(&self, slug: &str) -> Result<(i64, i64)> {
        let product = self
            .post(
                "/products",
                json!({"slug": slug, "translations": {"en": {"name": slug}}}),
            )
            .await?
            .expect(201);
        let id = product.body["id"].as_i64().unwrap();
        let variant = self
            .post(
                &format!("/products/{id}/variants"),
                json!({"sku": format!("sku-{slug}")}),
            )
            .await?
            .expect(201);
        let variant_id = variant.body["id"].as_i64().unwrap();
        self.write(
            "PUT",
            &format!("/variants/{variant_id}/prices/EUR"),
            &variant.tag(),
            json!({"amount": 1000}),
        )
        .await?
        .expect(200);
        self.write(
            "PUT",
            &format!("/variants/{variant_id}/stock"),
            "*",
            json!({"on_hand": 100}),
        )
        .await?
        .expect(200);
        self.write(
            "PUT",
            &format!("/products/{id}/publication"),
            &product.tag(),
            json!({"published": true}),
        )
        .await?
        .expect(200);
        self.forget().await?;
        Ok((id, variant_id))
    }

    async fn category(&self, slug: &str, parent: Option<i64>) -> Result<i64> {
        let body =
            json!({"slug": slug, "parent_id": parent, "translations": {"en": {"name": slug}}});
        let category = self.post("/categories", body).await?.expect(201);
        self.forget().await?;
        Ok(category.body["id"].as_i64().unwrap())
    }

    /// Empties the outbox and the audit log, so that a test sees what the next write adds.
    async fn forget(&self) -> Result<()> {
        self.execute("DELETE FROM outbox").await?;
        self.execute("DELETE FROM audit_log").await
    }

    async fn execute(&self, statement: &'static str) -> Result<()> {
        let mut connection = self.database.connect().await?;
        sqlx::raw_sql(statement).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    async fn value(&self, query: &'static str) -> Result<i64> {
        let mut connection = self.database.connect().await?;
        let value = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(value)
    }

    /// The purges on their way, as `kind tag tag …`.
    async fn purges(&self) -> Result<Vec<String>> {
        let mut connection = self.database.connect().await?;
        let rows: Vec<sqlx::types::Json<Value>> =
            sqlx::query_scalar("SELECT payload FROM outbox ORDER BY id")
                .fetch_all(&mut connection)
                .await?;
        connection.close().await?;
        let line = |row: &Value| {
            let tags = row["tags"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tag| tag.as_str().unwrap());
            std::iter::once(row["kind"].as_str().unwrap())
                .chain(tags)
                .collect::<Vec<_>>()
                .join(" ")
        };
        Ok(rows.iter().map(|row| line(&row.0)).collect())
    }

    /// What the audit log says, as `actor action entity`.
    async fn audits(&self) -> Result<Vec<String>> {
        let page = self.get("/audit-log").await?.expect(200);
        let rows = page.body["items"].as_array().unwrap();
        Ok(rows
            .iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().unwrap();
                format!(
                    "{} {} {}-{}",
                    text("actor"),
                    text("action"),
                    text("entity"),
                    row["entity_id"]
                )
            })
            .collect())
    }
}

/// The tags of a purge as [`Staff::purges`] shows them.
fn purge(kind: &str, tags: impl IntoIterator<Item = panono_shop::edge::tags::Tag>) -> String {
    let tags: panono_shop::edge::tags::TagSet = tags.into_iter().collect();
    format!("{kind} {}", tags.separated_by_spaces())
}
