//! Webhooks: signed, retried, isolated, and never inside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use panono_shop::db::{Db, DbError};
use panono_shop::notify::event::EventKind;
use panono_shop::notify::webhook::deliver::{SEALED_FOR, Sender, seal_context};
use panono_shop::notify::webhook::lanes::{LaneSettings, Lanes};
use panono_shop::notify::webhook::signature::WebhookSecret;
use panono_shop::notify::webhook::target::Targets;
use panono_shop::notify::webhook::{replay, store};
use panono_shop::outbox::Backoff;
use panono_shop::outbox::consumer::ConsumerMetrics;
use panono_tests::fake::{FakeService, Reply, Request};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::MySqlConnection;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{LIMIT, count, drain, fan_out, happen, keys, order, quick, shop};

const SECRET: &[u8] = b"a secret of thirty-two bytes, so";

/// An endpoint for all events.
async fn endpoint(connection: &mut MySqlConnection, url: &str, events: &[&str]) -> Result<i64> {
    let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
    let id = store::insert_endpoint(connection, url, &events).await?;
    let secret = WebhookSecret::from_bytes(SECRET.to_vec());
    let sealed = keys().seal(SEALED_FOR, seal_context(id).as_bytes(), secret.bytes());
    store::set_secret(connection, id, &sealed).await?;
    Ok(id)
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn end(self) -> Result<()> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

fn lanes(db: &Db, targets: Targets, deadline: Duration) -> Running {
    let sender = Sender {
        db: db.clone(),
        keys: keys(),
        targets,
        client: targets.client(deadline).unwrap(),
    };
    let settings = LaneSettings {
        consumer: quick(),
        rest: Backoff {
            base: Duration::from_millis(50),
            cap: Duration::from_millis(100),
        },
        keep_days: 30,
    };
    let (stop, stopped) = watch::channel(false);
    let lanes = Lanes::new(sender, settings, ConsumerMetrics::default());
    Running {
        stop,
        task: tokio::spawn(lanes.run(stopped)),
    }
}

async fn states(connection: &mut MySqlConnection) -> Vec<(i64, String, i32, Option<i16>)> {
    sqlx::query_as(
        "SELECT endpoint_id, state, attempts, last_status FROM webhook_delivery ORDER BY id",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

/// As a receiver checks it, by the specification alone.
fn verify(request: &Request) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    let (id, timestamp) = (
        request.header("webhook-id"),
        request.header("webhook-timestamp"),
    );
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&request.body);
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    request.header("webhook-signature") == wanted
}

#[tokio::test]
async fn an_event_reaches_those_who_want_it_signed_and_once() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let service = FakeService::start(|_| Reply::new(204, "")).await;
    order(&mut connection, "PX-1", "ada@example.com", "en").await?;
    let all = endpoint(&mut connection, &format!("{}/all", service.url()), &["*"]).await?;
    endpoint(
        &mut connection,
        &format!("{}/placed", service.url()),
        &["order.placed"],
    )
    .await?;
    endpoint(
        &mut connection,
        &format!("{}/paid", service.url()),
        &["order.paid"],
    )
    .await?;
    let event = happen(
        &db,
        EventKind::OrderPlaced,
        "PX-1",
        json!({"channel": "web"}),
    )
    .await?;
    drain(&fan_out(&db)).await?;
    // A second worker whose lease had ended fans the same event out again.
    let payload = serde_json::to_value(&event)?;
    panono_shop::outbox::enqueue(
        &mut connection,
        panono_shop::outbox::Topic::EVENT,
        "PX-1",
        &payload,
    )
    .await?;
    drain(&fan_out(&db)).await?;
    assert_eq!(count(&mut connection, "webhook_delivery").await?, 2);
    let lanes = lanes(&db, Targets::Private, Duration::from_secs(5));
    wait_until("both deliveries", LIMIT, async || {
        let states = states(&mut connection).await;
        states
            .iter()
            .all(|(_, state, ..)| state == "delivered")
            .then_some(())
            .ok_or(states)
    })
    .await?;
    lanes.end().await?;
    let requests = service.requests();
    let mut targets: Vec<&str> = requests
        .iter()
        .map(|request| request.target.as_str())
        .collect();
    targets.sort_unstable();
    assert_eq!(targets, ["/all", "/placed"]);
    for request in &requests {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("webhook-id"), event.id.as_str());
        assert!(verify(request));
        let mut forged = request.clone();
        forged.body.push(b' ');
        assert!(!verify(&forged));
        let body: Value = serde_json::from_slice(&request.body)?;
        assert_eq!(body["type"], "order.placed");
        assert_eq!(body["data"]["channel"], "web");
        assert_eq!(body["data"]["order"]["number"], "PX-1");
        assert_eq!(body["data"]["order"]["total"], 3990);
        assert_eq!(body["data"]["order"]["lines"][0]["sku"], "LAMP-1");
    }
    // A replay is the same delivery under the same id.
    let delivery: i64 = sqlx::query_scalar("SELECT id FROM webhook_delivery WHERE endpoint_id = ?")
        .bind(all)
        .fetch_one(&mut connection)
        .await?;
    let replayed = db
        .transaction(move |connection| {
            Box::pin(async move { Ok::<_, DbError>(replay(connection, delivery).await?) })
        })
        .await?;
    assert!(replayed);
    let lanes = self::lanes(&db, Targets::Private, Duration::from_secs(5));
    wait_until("the replay", LIMIT, async || service.requests().len() == 3).await?;
    lanes.end().await?;
    let last = service.requests().pop().unwrap();
    assert_eq!(
        (last.target.as_str(), last.header("webhook-id")),
        ("/all", event.id.as_str())
    );
    assert!(verify(&last));
    Ok(())
}

#[tokio::test]
async fn what_fails_is_tried_again_and_given_up_visibly() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let service = FakeService::start(|request| match request.target.as_str() {
        "/broken" => Reply::new(500, "out of order\nsince monday"),
        "/moved" => Reply::new(302, "").with("Location", "http://127.0.0.1:1/inside"),
        "/gone" => Reply::new(410, ""),
        "/cut" => Reply::Cut,
        "/hang" => Reply::Hang,
        _ => Reply::new(200, "x".repeat(1_000_000)),
    })
    .await;
    order(&mut connection, "PX-1", "ada@example.com", "en").await?;
    let mut ids = BTreeMap::new();
    for path in ["broken", "moved", "gone", "cut", "hang", "fine"] {
        let id = endpoint(
            &mut connection,
            &format!("{}/{path}", service.url()),
            &["*"],
        )
        .await?;
        ids.insert(id, path);
    }
    happen(&db, EventKind::OrderPlaced, "PX-1", json!({})).await?;
    drain(&fan_out(&db)).await?;
    let lanes = lanes(&db, Targets::Private, Duration::from_millis(300));
    wait_until("everything to be decided", LIMIT, async || {
        let states = states(&mut connection).await;
        states
            .iter()
            .all(|(_, state, ..)| state != "pending")
            .then_some(())
            .ok_or(states)
    })
    .await?;
    lanes.end().await?;
    let found: BTreeMap<&str, (String, i32, Option<i16>)> = states(&mut connection)
        .await
        .into_iter()
        .map(|(endpoint, state, attempts, status)| (ids[&endpoint], (state, attempts, status)))
        .collect();
    let dead = |attempts: i32, status: Option<i16>| ("dead".to_owned(), attempts, status);
    assert_eq!(found["broken"], dead(3, Some(500)));
    assert_eq!(
        found["moved"],
        dead(3, Some(302)),
        "redirects are not followed"
    );
    assert_eq!(found["gone"], dead(1, Some(410)), "gone is gone");
    assert_eq!(found["cut"], dead(3, None));
    assert_eq!(found["hang"], dead(3, None));
    assert_eq!(found["fine"], ("delivered".to_owned(), 1, Some(200)));
    let error: String =
        sqlx::query_scalar("SELECT last_error FROM webhook_delivery WHERE last_status = 500")
            .fetch_one(&mut connection)
            .await?;
    assert!(error.ends_with("out of order since monday"), "{error}");
    assert_eq!(
        count(
            &mut connection,
            "outbox WHERE topic LIKE 'webhook/%' AND dead_at IS NOT NULL"
        )
        .await?,
        5
    );
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_hangs_delays_no_other_and_recovers_in_order() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let sick = FakeService::start(move |_| {
        if is_down.load(Ordering::Relaxed) {
            Reply::Hang
        } else {
            Reply::new(200, "")
        }
    })
    .await;
    let healthy = FakeService::start(|_| Reply::new(200, "")).await;
    endpoint(&mut connection, &sick.url(), &["*"]).await?;
    endpoint(&mut connection, &healthy.url(), &["*"]).await?;
    for number in 0..12 {
        order(
            &mut connection,
            &format!("PX-{number}"),
            "ada@example.com",
            "en",
        )
        .await?;
    }
    for kind in [EventKind::OrderPlaced, EventKind::OrderPaid] {
        for number in 0..12 {
            happen(&db, kind, &format!("PX-{number}"), json!({})).await?;
        }
    }
    drain(&fan_out(&db)).await?;
    let deadline = Duration::from_secs(2);
    let lanes = lanes(&db, Targets::Private, deadline);
    wait_until(
        "the healthy endpoint to have everything",
        LIMIT,
        async || match healthy.requests().len() {
            24 => Ok(()),
            other => Err(other),
        },
    )
    .await?;
    assert!(
        count(&mut connection, "webhook_delivery WHERE state = 'pending'").await? >= 12,
        "the sick endpoint is not done by then"
    );
    // Two events of one order arrive in their order, at each endpoint.
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in healthy.requests() {
        let body: Value = serde_json::from_slice(&request.body)?;
        let number = body["data"]["order"]["number"].as_str().unwrap().to_owned();
        kinds
            .entry(number)
            .or_default()
            .push(body["type"].as_str().unwrap().to_owned());
    }
    assert!(
        kinds
            .values()
            .all(|kinds| *kinds == ["order.placed", "order.paid"]),
        "{kinds:?}"
    );
    down.store(false, Ordering::Relaxed);
    lanes.end().await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_inside() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let service = FakeService::start(|_| Reply::new(200, "")).await;
    let port = service.address().port();
    order(&mut connection, "PX-1", "ada@example.com", "en").await?;
    // Written before the setting was what it is; and a name that leads inside, which only its look-up tells.
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = name.trim();
    let mut urls = vec![
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
    ];
    if !name.is_empty() {
        urls.push(format!("https://{name}:{port}/"));
    }
    for url in &urls {
        endpoint(&mut connection, url, &["*"]).await?;
    }
    happen(&db, EventKind::OrderPlaced, "PX-1", json!({})).await?;
    drain(&fan_out(&db)).await?;
    let lanes = lanes(&db, Targets::Public, Duration::from_secs(2));
    wait_until("everything to be given up", LIMIT, async || {
        let states = states(&mut connection).await;
        states
            .iter()
            .all(|(_, state, ..)| state == "dead")
            .then_some(())
            .ok_or(states)
    })
    .await?;
    lanes.end().await?;
    assert!(service.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_paused_endpoint_gets_everything_later_and_an_archived_one_nothing() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let service = FakeService::start(|_| Reply::new(200, "")).await;
    order(&mut connection, "PX-1", "ada@example.com", "en").await?;
    let paused = endpoint(
        &mut connection,
        &format!("{}/paused", service.url()),
        &["*"],
    )
    .await?;
    let archived = endpoint(
        &mut connection,
        &format!("{}/archived", service.url()),
        &["*"],
    )
    .await?;
    let set = async |connection: &mut MySqlConnection, id: i64, status: &str| {
        sqlx::query("UPDATE webhook_endpoint SET status = ? WHERE id = ?")
            .bind(status)
            .bind(id)
            .execute(connection)
            .await
            .map(drop)
    };
    set(&mut connection, paused, "paused").await?;
    set(&mut connection, archived, "archived").await?;
    happen(&db, EventKind::OrderPlaced, "PX-1", json!({})).await?;
    drain(&fan_out(&db)).await?;
    assert_eq!(count(&mut connection, "webhook_delivery").await?, 1);
    set(&mut connection, paused, "active").await?;
    let lanes = lanes(&db, Targets::Private, Duration::from_secs(5));
    wait_until("the delivery", LIMIT, async || {
        service.requests().len() == 1
    })
    .await?;
    lanes.end().await?;
    assert_eq!(service.requests()[0].target, "/paused");
    Ok(())
}
