//! Checkouts over HTTP beside the same statements without it, and one popular product in buckets beside one row that is locked
//! first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use panono_shop::db::{Arrangement, Db, DbError, PoolSize};
use panono_shop::orders::store as orders;
use panono_shop::orders::{NewLine, NewOrder};
use panono_shop::outbox::{Topic, enqueue};
use panono_shop::stock::{self, Wanted, store_rows};
use sqlx::MySqlConnection;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::market::{Buyer, Cart, GOOD_CARD, Market};
use crate::mysql::{MysqlGroup, TestDatabase};
use crate::wait::wait_until;

use super::bare::{self, Script};
use super::{Measure, median, say};

const CLIENTS: usize = 32;
/// Those who want the same product at the same moment.
const CROWD: usize = 64;
/// The connections of two web processes, as many as each has by default.
const POOL: usize = 32;
const PRODUCTS: usize = 1000;
const ROUNDS: usize = 7;
const PER_ROUND: usize = 800;
const WARM_UP: usize = 100;
/// More than any round sells.
const PIECES: i64 = 1_000_000;
const BUCKETS: i16 = 64;
const ORDERS: usize = 3200;
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `count` pieces of work, so many at a time; answers how many a second were done.
async fn rate<F, W>(clients: usize, count: usize, work: W) -> Result<f64>
where
    W: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let (next, work) = (Arc::new(AtomicUsize::new(0)), Arc::new(work));
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (next, work) = (Arc::clone(&next), Arc::clone(&work));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok(());
                    }
                    work(number).await?;
                }
            })
        })
        .collect();
    for task in tasks {
        let ended: Result<()> = task.await?;
        ended?;
    }
    let count = u32::try_from(count)?;
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Access to the primary with a connection for each client.
async fn access(database: &TestDatabase<'_>, clients: usize) -> Result<Db> {
    let options: MySqlConnectOptions = database.writer_url().await?.parse()?;
    let clients = u32::try_from(clients)?;
    let db = Db::start(panono_shop::db::DatabaseConfig {
        arrangement: Arrangement::Fixed,
        members: vec![options.ssl_mode(MySqlSslMode::Disabled)],
        pool: PoolSize {
            max: clients,
            min: clients,
            acquire: Duration::from_secs(10),
        },
        write_deadline: Duration::from_secs(30),
        read_only: false,
    });
    wait_until("the database to be writable", LIMIT, async || {
        db.is_writable()
    })
    .await?;
    Ok(db)
}

async fn carts(market: &Market, count: usize) -> Result<Vec<Cart>> {
    let mut carts = Vec::with_capacity(count);
    for number in 0..count {
        carts.push(market.cart(&[(variant(market, number), 1)], None).await?);
    }
    Ok(carts)
}

/// Of what the cart with this number holds a piece.
fn variant(market: &Market, number: usize) -> i64 {
    market.variants[number * 37 % market.variants.len()]
}

/// Checkouts per second over HTTP: `checkout_rate`.
///
/// The yardstick is [`bare`]: the statements that the shop runs for a checkout, in the same transactions, on as many connections,
/// without HTTP and without anything between the statements. That they are the same is seen by the server's own counts.
///
/// # Errors
/// When the shop does not start, an order is not placed, or the yardstick is not what the shop runs.
pub async fn rate_of_checkouts(group: &MysqlGroup) -> Result<Measure> {
    let database = TestDatabase::create(group).await?;
    database.migrate().await?;
    let market = Market::open(&database, PRODUCTS, PIECES).await?;
    let environment = market.environment.clone().with("PANONO_LOG", "warn");
    let shop = environment.serve().await?;
    let db = access(&database, CLIENTS).await?;
    let script = Arc::new(Script::of_the_shop());
    let (mut of_shop, mut of_yardstick) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let count = if round == 0 { WARM_UP } else { PER_ROUND };
        let some = carts(&market, count).await?;
        let before = counts(&db).await?;
        let over_http = by_http(Buyer::at(&shop.url()), some).await?;
        let by_shop = since(&before, counts(&db).await?);
        let some = carts(&market, count).await?;
        let before = counts(&db).await?;
        let bare = by_script(&db, &script, &market, some).await?;
        bare::same(&by_shop, &since(&before, counts(&db).await?), count)?;
        if round > 0 {
            of_shop.push(over_http);
            of_yardstick.push(bare);
        }
    }
    say(&format!(
        "checkouts/s in each round: {of_shop:.0?}, {} bare statements {of_yardstick:.0?}",
        script.statements()
    ));
    market.check().await?;
    db.close().await;
    Ok(Measure::beside(
        "checkout_rate",
        median(of_shop),
        median(of_yardstick),
        "ratio>=0.70",
    ))
}

async fn counts(db: &Db) -> Result<BTreeMap<String, i64>> {
    bare::counted(&mut db.primary().await?.connection).await
}

fn since(before: &BTreeMap<String, i64>, mut now: BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    for (statement, count) in &mut now {
        *count -= before.get(statement).copied().unwrap_or(0);
    }
    now
}

async fn by_http(buyer: Buyer, carts: Vec<Cart>) -> Result<f64> {
    let count = carts.len();
    let carts = Arc::new(carts);
    rate(CLIENTS, count, move |number| {
        let (buyer, carts) = (buyer.clone(), Arc::clone(&carts));
        async move {
            let cart = carts.get(number).context("more orders than carts")?;
            let reply = buyer.order(cart, &cart.id, GOOD_CARD).await?;
            ensure!(reply.placed().is_some(), "{reply:?}");
            Ok(())
        }
    })
    .await
}

async fn by_script(
    db: &Db,
    script: &Arc<Script>,
    market: &Market,
    carts: Vec<Cart>,
) -> Result<f64> {
    let count = carts.len();
    let carts = Arc::new(carts);
    let variants: Arc<Vec<i64>> =
        Arc::new((0..count).map(|number| variant(market, number)).collect());
    let (db, script) = (db.clone(), Arc::clone(script));
    rate(CLIENTS, count, move |number| {
        let (db, script) = (db.clone(), Arc::clone(&script));
        let (carts, variants) = (Arc::clone(&carts), Arc::clone(&variants));
        async move {
            let cart = carts.get(number).context("more orders than carts")?;
            let mut connection = db.primary().await?.connection;
            script.run(&mut connection, cart, variants[number]).await
        }
    })
    .await
}

/// Orders per second of one product: `hot_sku_rate`.
///
/// What is measured writes an order with its line and a row of the outbox and then takes a piece from one of 64 buckets, as the
/// checkout does; the yardstick locks the one row of the product first, as many shops do, and then does the same.
///
/// # Errors
/// When the database refuses.
pub async fn rate_of_one_product(group: &MysqlGroup) -> Result<Measure> {
    let database = TestDatabase::create(group).await?;
    database.migrate().await?;
    let market = Market::open(&database, 2, PIECES).await?;
    let [divided, whole] = [market.variants[0], market.variants[1]];
    market.divide(divided, BUCKETS).await?;
    let [divided, whole] = [(divided, BUCKETS), (whole, 0)].map(|(variant_id, buckets)| Wanted {
        variant_id,
        quantity: 1,
        buckets,
    });
    let db = access(&database, POOL).await?;
    let (mut of_shop, mut of_yardstick) = (Vec::new(), Vec::new());
    let mut first_cart = 1;
    for round in 0..=ROUNDS {
        let count = if round == 0 { WARM_UP } else { ORDERS };
        let buckets = orders_of(&db, divided, count, first_cart, LockFirst::No).await?;
        first_cart += i64::try_from(count)?;
        let locked = orders_of(&db, whole, count, first_cart, LockFirst::Yes).await?;
        first_cart += i64::try_from(count)?;
        if round > 0 {
            of_shop.push(buckets);
            of_yardstick.push(locked);
        }
    }
    say(&format!(
        "orders/s in each round: {of_shop:.0?}, yardstick {of_yardstick:.0?}"
    ));
    db.close().await;
    Ok(Measure::beside(
        "hot_sku_rate",
        median(of_shop),
        median(of_yardstick),
        "ratio>=3.00",
    ))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LockFirst {
    Yes,
    No,
}

async fn orders_of(
    db: &Db,
    wanted: Wanted,
    count: usize,
    first_cart: i64,
    lock_first: LockFirst,
) -> Result<f64> {
    let db = db.clone();
    rate(CROWD, count, move |number| {
        let db = db.clone();
        async move {
            let cart = first_cart + i64::try_from(number)?;
            db.transaction(move |connection| {
                Box::pin(async move { order(connection, cart, wanted, lock_first).await })
            })
            .await?;
            Ok(())
        }
    })
    .await
}

async fn order(
    connection: &mut MySqlConnection,
    cart: i64,
    wanted: Wanted,
    lock_first: LockFirst,
) -> Result<(), DbError> {
    if lock_first == LockFirst::Yes {
        store_rows::lock(connection, wanted.variant_id).await?;
    }
    let new = NewOrder {
        cart_id: cart,
        customer_id: None,
        customer_key: [7; 32],
        email: "buyer@example.com".to_owned(),
        locale: "en".to_owned(),
        currency: "USD".parse().map_err(|_| DbError::Aborted)?,
        prices_include_tax: true,
        subtotal: 1000,
        discount: 0,
        shipping: 500,
        tax: 239,
        total: 1500,
        shipping_method: Some("post".to_owned()),
        shipping_name: "Post".to_owned(),
        shipping_address: Some(
            serde_json::json!({ "name": "Ada Buyer", "line1": "Lindenstraße 1", "city": "Berlin", "country": "DE" }),
        ),
        billing_address: None,
        ip_key: None,
        hold: Duration::from_secs(900),
        lines: vec![NewLine {
            variant_id: wanted.variant_id,
            product_id: 1,
            sku: "SKU-0".to_owned(),
            name: "Mug 0".to_owned(),
            slug: "mug-0".to_owned(),
            options_text: String::new(),
            picture: None,
            weight_grams: 0,
            quantity: 1,
            unit_amount: 1000,
            discount: 0,
            tax_name: "VAT".to_owned(),
            tax_rate: 190_000,
            tax: 159,
            total: 1000,
        }],
        discounts: Vec::new(),
    };
    let (id, number) = orders::insert(connection, &new).await?;
    let payload = serde_json::json!({ "kind": "order.created", "total": 1500 });
    enqueue(connection, Topic::new("event"), number.as_str(), &payload).await?;
    stock::hold(connection, id, &[wanted])
        .await?
        .map_err(|_| DbError::Aborted)?;
    Ok(())
}
