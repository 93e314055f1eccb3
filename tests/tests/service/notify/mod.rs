//! What leaves the shop: mails and webhooks, in order, at least once, whatever fails on the way.

mod consumer;
mod mail;
mod staff;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use panono_shop::db::{Db, DbError};
use panono_shop::notify::event::{DomainEvent, EventKind, publish};
use panono_shop::notify::fan_out::{FanOut, OrderLink};
use panono_shop::outbox::consumer::{
    Consumer, ConsumerMetrics, ConsumerSettings, Drained, Handler,
};
use panono_shop::outbox::{Backoff, Topic};
use panono_shop::secret::Keys;
use panono_shop::storefront::i18n::Locale;
use panono_shop::storefront::money::Currency;
use panono_shop::storefront::view::Site;
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::SECRET_KEY;
use serde_json::Value;
use sqlx::MySqlConnection;
use tokio::sync::watch;

/// How long something may take to happen.
const LIMIT: Duration = Duration::from_secs(180);

fn keys() -> Keys {
    Keys::parse(SECRET_KEY).unwrap()
}

fn site() -> Site {
    Site {
        name: "Panono".to_owned(),
        tagline: String::new(),
        origin: "https://shop.example".to_owned(),
        locales: Locale::ALL.to_vec(),
        currencies: vec![Currency::EUR],
        email: Some("help@shop.example".to_owned()),
    }
}

/// Settings with which a test does not wait.
fn quick() -> ConsumerSettings {
    ConsumerSettings {
        poll: Duration::from_millis(20),
        concurrency: 4,
        lease: Duration::from_secs(30),
        backoff: Backoff {
            base: Duration::from_millis(10),
            cap: Duration::from_millis(20),
        },
        attempts: 3,
    }
}

/// Settings with which a row that failed is not due again before the drain ends, however slow the machine, and is not given up.
fn patient() -> ConsumerSettings {
    ConsumerSettings {
        backoff: Backoff {
            base: Duration::from_secs(3),
            cap: Duration::from_secs(3),
        },
        attempts: 20,
        ..quick()
    }
}

async fn shop() -> Result<(TestDatabase<'static>, Db)> {
    let database = TestDatabase::shared().await?;
    database.migrate().await?;
    let db = database.db().await?;
    Ok((database, db))
}

fn consumer(
    db: &Db,
    topic: Topic,
    settings: ConsumerSettings,
    handler: Arc<dyn Handler>,
) -> Consumer {
    Consumer::new(
        db.clone(),
        topic,
        settings,
        handler,
        ConsumerMetrics::default(),
    )
}

/// Carries out everything that is due now.
async fn drain(consumer: &Consumer) -> Result<Drained> {
    let (_stop, stopped) = watch::channel(false);
    Ok(consumer.drain(&stopped).await?)
}

fn fan_out(db: &Db) -> Consumer {
    let link: OrderLink = Arc::new(|number: &str, locale: &str| {
        format!(
            "https://shop.example/{}/orders/{number}?key=k",
            locale.to_lowercase()
        )
    });
    consumer(
        db,
        Topic::EVENT,
        quick(),
        Arc::new(FanOut::new(db.clone(), link)),
    )
}

async fn count(connection: &mut MySqlConnection, table_and_condition: &str) -> Result<i64> {
    let statement = format!("SELECT COUNT(*) FROM {table_and_condition}");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
        .fetch_one(connection)
        .await?)
}

/// An order with one line, as the checkout would have written it.
pub(crate) async fn order(
    connection: &mut MySqlConnection,
    number: &str,
    email: &str,
    locale: &str,
) -> Result<i64> {
    let address = serde_json::json!({"name": "Ada Lovelace", "line1": "1 Main Street", "city": "London", "postcode": "E1 6AN", "country": "GB"});
    let id = sqlx::query(
        "INSERT INTO orders (number, customer_key, email, locale, currency, state, payment_state, prices_include_tax, \
         subtotal, discount, shipping, tax, total, shipping_name, shipping_address, billing_address, placed_at) \
         VALUES (?, UNHEX(SHA2(?, 256)), ?, ?, 'EUR', 'placed', 'authorized', TRUE, 4000, 500, 490, 637, 3990, 'Parcel', ?, ?, NOW(6))",
    )
    .bind(number)
    .bind(email)
    .bind(email)
    .bind(locale)
    .bind(sqlx::types::Json(&address))
    .bind(sqlx::types::Json(&address))
    .execute(&mut *connection)
    .await?
    .last_insert_id();
    let id = i64::try_from(id)?;
    sqlx::query(
        "INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, options_text, quantity, unit_amount, discount, tax_rate, tax, total) \
         VALUES (?, 0, 1, 1, 'LAMP-1', 'Lamp', 'Brass', 2, 2000, 500, 190000, 637, 3500)",
    )
    .bind(id)
    .execute(connection)
    .await?;
    Ok(id)
}

/// Publishes an event as a transaction of the shop does.
async fn happen(db: &Db, kind: EventKind, number: &str, data: Value) -> Result<DomainEvent> {
    let event = DomainEvent::new(kind, number, data);
    let published = event.clone();
    db.transaction(move |connection| {
        let event = published.clone();
        Box::pin(async move {
            publish(connection, &event).await?;
            Ok::<_, DbError>(())
        })
    })
    .await?;
    Ok(event)
}
