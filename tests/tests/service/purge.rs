//! Deliveries to edges: each gets every change, in order, until it has acknowledged, whatever the others do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use panono_shop::db::Db;
use panono_shop::edge::purge::{DeliverySettings, PurgeConfig, PurgeMetrics, PurgeWorker};
use panono_shop::edge::tags::{Tag, TagSet};
use panono_shop::outbox::dispatch::{DispatchMetrics, DispatchSettings, Dispatcher};
use panono_shop::outbox::{Backoff, PurgeKind, enqueue_purge};
use panono_tests::fake::{FakeService, Reply, Request};
use panono_tests::mysql::TestDatabase;
use panono_tests::wait::wait_until;
use sqlx::MySqlConnection;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(120);

fn quick() -> DeliverySettings {
    DeliverySettings {
        repeat_after: Duration::from_millis(400),
        lease: Duration::from_secs(2),
        backoff: Backoff {
            base: Duration::from_millis(20),
            cap: Duration::from_millis(200),
        },
        resolve_every: Duration::from_millis(200),
        poll: Duration::from_millis(20),
    }
}

/// A shop with its database, and workers that can be started and stopped.
struct Shop {
    database: TestDatabase<'static>,
    db: Db,
}

struct Worker {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Worker {
    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

impl Shop {
    async fn start() -> Result<Self> {
        let database = TestDatabase::shared().await?;
        database.migrate().await?;
        let db = database.db().await?;
        Ok(Self { database, db })
    }

    fn worker(&self, variables: &[(&str, String)]) -> Worker {
        let variables: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let config = PurgeConfig::parse(&variables).unwrap();
        let worker =
            PurgeWorker::new(config, self.db.clone(), quick(), PurgeMetrics::default()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let (head, _) = watch::channel(0);
        Worker {
            stop,
            task: tokio::spawn(worker.run(head, stopped)),
        }
    }

    async fn connect(&self) -> MySqlConnection {
        self.database.connect().await.unwrap()
    }

    /// Changes something and moves it to the log, as one row.
    async fn change(&self, tags: impl IntoIterator<Item = Tag>, kind: PurgeKind) {
        let mut connection = self.connect().await;
        enqueue_purge(&mut connection, &TagSet::from_iter(tags), kind)
            .await
            .unwrap();
        let settings = DispatchSettings {
            tags_per_entry: 10_000,
            ..DispatchSettings::default()
        };
        let dispatcher = Dispatcher::new(self.db.clone(), settings, DispatchMetrics::default());
        assert!(dispatcher.round().await.unwrap().sequence.is_some());
    }

    /// Waits until an edge has acknowledged everything, twice.
    async fn settled(&self, target: &str) {
        let mut connection = self.connect().await;
        wait_until(&format!("{target} to have acknowledged everything twice"), LIMIT, async || {
            let row: Option<(Option<i64>, i64, i64, Option<String>)> = sqlx::query_as(
                "SELECT acknowledged, repeated, (SELECT sequence FROM invalidation_clock), last_error \
                 FROM purge_target WHERE name = ?",
            )
            .bind(target)
            .fetch_optional(&mut connection)
            .await
            .unwrap();
            match row {
                Some((Some(acknowledged), repeated, head, _)) if acknowledged == head && repeated == head => Ok(()),
                other => Err(other),
            }
        })
        .await
        .unwrap();
    }
}

fn varnish(fake: &FakeService) -> (&'static str, String) {
    ("PANONO_PURGE_VARNISH", fake.url())
}

fn varnish_name(fake: &FakeService) -> String {
    format!("varnish:{}", fake.address())
}

async fn willing() -> FakeService {
    FakeService::start(|_| Reply::new(200, "")).await
}

fn keys(requests: &[Request]) -> Vec<String> {
    requests
        .iter()
        .map(|request| request.header("surrogate-key").to_owned())
        .collect()
}

#[tokio::test]
async fn a_new_varnish_is_purged_whole_and_then_told_of_each_change_twice() -> Result<()> {
    let shop = Shop::start().await?;
    let edge = willing().await;
    shop.change([Tag::product(1)], PurgeKind::Hard).await;
    let token = ("PANONO_PURGE_VARNISH_TOKEN", "let me".to_owned());
    let worker = shop.worker(&[varnish(&edge), token]);
    shop.settled(&varnish_name(&edge)).await;
    let first = &edge.requests()[0];
    assert_eq!(
        (first.method.as_str(), first.target.as_str()),
        ("PURGE", "/")
    );
    assert_eq!(first.header("surrogate-key"), "all");
    assert_eq!(first.header("panono-purge"), "soft");
    assert_eq!(first.header("panono-sequence"), "1");
    assert_eq!(first.header("panono-purge-token"), "let me");

    edge.clear();
    shop.change([Tag::product(2), Tag::menu()], PurgeKind::Soft)
        .await;
    shop.settled(&varnish_name(&edge)).await;
    assert_eq!(
        keys(&edge.requests()),
        ["m-menu p-2 p-any", "m-menu p-2 p-any"]
    );
    assert!(
        edge.requests()
            .iter()
            .all(|request| request.header("panono-sequence") == "2")
    );

    edge.clear();
    shop.change([Tag::product(3)], PurgeKind::Hard).await;
    shop.settled(&varnish_name(&edge)).await;
    assert!(
        edge.requests()
            .iter()
            .all(|request| request.header("panono-purge") == "hard")
    );
    assert_eq!(edge.requests().len(), 2);
    worker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_worker_that_comes_back_goes_on_where_the_edge_was() -> Result<()> {
    let shop = Shop::start().await?;
    let edge = willing().await;
    let worker = shop.worker(&[varnish(&edge)]);
    shop.settled(&varnish_name(&edge)).await;
    worker.stop().await;
    edge.clear();
    shop.change([Tag::product(1)], PurgeKind::Soft).await;
    shop.change([Tag::product(2)], PurgeKind::Soft).await;
    let worker = shop.worker(&[varnish(&edge)]);
    shop.settled(&varnish_name(&edge)).await;
    worker.stop().await;
    let keys = keys(&edge.requests());
    assert!(keys.iter().all(|tags| !tags.contains("all")), "{keys:?}");
    assert!(keys.join(" ").contains("p-1") && keys.join(" ").contains("p-2"));
    Ok(())
}

#[tokio::test]
async fn headers_stay_small_however_much_changes() -> Result<()> {
    let shop = Shop::start().await?;
    let edge = willing().await;
    let worker = shop.worker(&[varnish(&edge)]);
    shop.settled(&varnish_name(&edge)).await;
    edge.clear();
    shop.change((0..2000).map(Tag::product), PurgeKind::Soft)
        .await;
    shop.settled(&varnish_name(&edge)).await;
    let requests = edge.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("surrogate-key").len() <= 4096)
    );
    let sent: TagSet = keys(&requests)
        .iter()
        .flat_map(|text| text.split(' '))
        .map(|tag| Tag::parse(tag).unwrap())
        .collect();
    assert_eq!(
        sent,
        (0..2000).map(Tag::product).collect::<TagSet>().for_purge()
    );

    // More than is sensible to send one by one.
    edge.clear();
    shop.change((0..9000).map(Tag::product), PurgeKind::Hard)
        .await;
    shop.settled(&varnish_name(&edge)).await;
    let requests = edge.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("surrogate-key") == "all")
    );
    assert!(
        requests
            .iter()
            .all(|request| request.header("panono-purge") == "hard")
    );
    worker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_broken_edge_delays_no_other_and_gets_everything_when_it_is_well() -> Result<()> {
    let shop = Shop::start().await?;
    let broken = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&broken);
    let sick = FakeService::start(move |_| match state.fetch_add(1, Ordering::SeqCst) {
        0..40 if state.load(Ordering::SeqCst).is_multiple_of(4) => {
            Reply::new(500, "guru meditation")
        }
        0..40 if state.load(Ordering::SeqCst) % 4 == 1 => Reply::Cut,
        0..40 => Reply::new(429, "slow down").with("Retry-After", "0"),
        _ => Reply::new(200, ""),
    })
    .await;
    let hanging = FakeService::start(|_| Reply::Hang).await;
    let well = willing().await;
    let addresses = [&sick, &hanging, &well].map(FakeService::url).join(",");
    let worker = shop.worker(&[("PANONO_PURGE_VARNISH", addresses)]);
    shop.settled(&varnish_name(&well)).await;
    for id in 1..=5 {
        shop.change([Tag::product(id)], PurgeKind::Soft).await;
        shop.settled(&varnish_name(&well)).await;
    }
    let order: Vec<i64> = well
        .requests()
        .iter()
        .map(|request| request.header("panono-sequence").parse().unwrap())
        .collect();
    assert!(order.is_sorted(), "{order:?}");

    let mut connection = shop.connect().await;
    let row = wait_until(
        "the failure of the hanging edge to be written down",
        LIMIT,
        async || {
            let row: (Option<i64>, i64, Option<String>) = sqlx::query_as(
                "SELECT acknowledged, failures, last_error FROM purge_target WHERE name = ?",
            )
            .bind(varnish_name(&hanging))
            .fetch_one(&mut connection)
            .await
            .unwrap();
            (row.1 > 0).then_some(row)
        },
    )
    .await?;
    assert_eq!(row.0, None);
    assert!(row.2.unwrap().contains("did not answer"));
    shop.settled(&varnish_name(&sick)).await;
    let (failures, error): (i64, Option<String>) =
        sqlx::query_as("SELECT failures, last_error FROM purge_target WHERE name = ?")
            .bind(varnish_name(&sick))
            .fetch_one(&mut connection)
            .await?;
    assert_eq!((failures, error), (0, None));
    worker.stop().await;
    Ok(())
}

#[tokio::test]
async fn two_workers_share_the_edges_and_one_takes_over_from_the_other() -> Result<()> {
    let shop = Shop::start().await?;
    let edge = willing().await;
    let workers = [
        shop.worker(&[varnish(&edge)]),
        shop.worker(&[varnish(&edge)]),
    ];
    shop.settled(&varnish_name(&edge)).await;
    edge.clear();
    for id in 1..=5 {
        shop.change([Tag::page(id)], PurgeKind::Soft).await;
    }
    shop.settled(&varnish_name(&edge)).await;
    let sent = keys(&edge.requests()).join(" ");
    for id in 1..=5 {
        let tag = format!("g-{id}");
        let times = sent.split(' ').filter(|sent| **sent == tag).count();
        assert!(
            (1..=2).contains(&times),
            "{tag} was sent {times} times: {sent}"
        );
    }
    let [first, second] = workers;
    // One dies without a word, whichever it is that serves the edge; the other notices when the lease ends.
    first.task.abort();
    edge.clear();
    shop.change([Tag::page(6)], PurgeKind::Soft).await;
    shop.settled(&varnish_name(&edge)).await;
    assert!(
        keys(&edge.requests())
            .iter()
            .all(|tags| tags == "g-6 g-any")
    );
    second.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_edge_that_missed_a_part_of_the_log_is_purged_whole() -> Result<()> {
    let shop = Shop::start().await?;
    let edge = willing().await;
    let worker = shop.worker(&[varnish(&edge)]);
    shop.settled(&varnish_name(&edge)).await;
    worker.stop().await;
    for id in 1..=3 {
        shop.change([Tag::product(id)], PurgeKind::Soft).await;
    }
    let mut connection = shop.connect().await;
    sqlx::raw_sql("DELETE FROM invalidation WHERE sequence <= 2")
        .execute(&mut connection)
        .await?;
    edge.clear();
    let worker = shop.worker(&[varnish(&edge)]);
    shop.settled(&varnish_name(&edge)).await;
    let first = &edge.requests()[0];
    assert_eq!(
        (first.header("surrogate-key"), first.header("panono-purge")),
        ("all", "hard")
    );
    worker.stop().await;

    // The database went back to an earlier state: what the edge holds may never have been.
    sqlx::raw_sql("DELETE FROM invalidation; UPDATE invalidation_clock SET sequence = 1")
        .execute(&mut connection)
        .await?;
    edge.clear();
    let worker = shop.worker(&[varnish(&edge)]);
    shop.settled(&varnish_name(&edge)).await;
    assert_eq!(keys(&edge.requests())[0], "all");
    worker.stop().await;
    Ok(())
}

#[tokio::test]
async fn fastly_gets_at_most_256_keys_and_is_asked_until_it_agrees() -> Result<()> {
    let shop = Shop::start().await?;
    let count = AtomicUsize::new(0);
    let fastly = FakeService::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(
            401,
            r#"{"msg":"Provided credentials are missing or invalid"}"#,
        ),
        1 => Reply::new(429, "{}").with("Retry-After", "1"),
        _ => Reply::new(200, r#"{"status":"ok"}"#),
    })
    .await;
    let worker = shop.worker(&[
        (
            "PANONO_PURGE_FASTLY_SERVICE",
            "SU1Z0isxPaozGVKXdv0eY".to_owned(),
        ),
        ("PANONO_PURGE_FASTLY_TOKEN", "secret".to_owned()),
        ("PANONO_PURGE_FASTLY_URL", fastly.url()),
    ]);
    let name = "fastly:SU1Z0isxPaozGVKXdv0eY";
    shop.settled(name).await;
    assert_eq!(keys(&fastly.requests()), ["all", "all", "all"]);
    fastly.clear();
    shop.change((0..600).map(Tag::product), PurgeKind::Soft)
        .await;
    shop.settled(name).await;
    shop.change([Tag::product(1)], PurgeKind::Hard).await;
    shop.settled(name).await;
    let requests = fastly.requests();
    for request in &requests {
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/service/SU1Z0isxPaozGVKXdv0eY/purge")
        );
        assert_eq!(request.header("fastly-key"), "secret");
        assert!(request.header("surrogate-key").split(' ').count() <= 256);
    }
    let (soft, hard): (Vec<_>, Vec<_>) = requests
        .iter()
        .partition(|request| request.header("fastly-soft-purge") == "1");
    assert_eq!(soft.len(), 6, "601 keys twice");
    assert!(
        hard.iter()
            .all(|request| request.header("surrogate-key") == "p-1 p-any")
    );
    worker.stop().await;
    Ok(())
}

#[tokio::test]
async fn cloudflare_gets_at_most_100_tags_and_must_say_success() -> Result<()> {
    let shop = Shop::start().await?;
    let count = AtomicUsize::new(0);
    let cloudflare = FakeService::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(
            200,
            r#"{"success":false,"errors":[{"code":1001,"message":"not now"}]}"#,
        ),
        1 => Reply::new(502, "<html>bad gateway</html>"),
        2 => Reply::new(200, "not an envelope"),
        _ => Reply::new(
            200,
            r#"{"success":true,"errors":[],"messages":[],"result":{"id":"z"}}"#,
        ),
    })
    .await;
    let worker = shop.worker(&[
        ("PANONO_PURGE_CLOUDFLARE_ZONE", "z".to_owned()),
        ("PANONO_PURGE_CLOUDFLARE_TOKEN", "secret".to_owned()),
        ("PANONO_PURGE_CLOUDFLARE_PLAN", "enterprise".to_owned()),
        ("PANONO_PURGE_CLOUDFLARE_URL", cloudflare.url()),
    ]);
    shop.settled("cloudflare:z").await;
    assert_eq!(cloudflare.requests().len(), 4);
    cloudflare.clear();
    shop.change((0..250).map(Tag::product), PurgeKind::Soft)
        .await;
    shop.settled("cloudflare:z").await;
    let requests = cloudflare.requests();
    let mut sent = TagSet::new();
    for request in &requests {
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/client/v4/zones/z/purge_cache")
        );
        assert_eq!(request.header("authorization"), "Bearer secret");
        assert_eq!(request.header("content-type"), "application/json");
        let body: serde_json::Value = serde_json::from_slice(&request.body)?;
        let tags = body["tags"].as_array().unwrap();
        assert!(tags.len() <= 100);
        sent.extend(
            tags.iter()
                .map(|tag| Tag::parse(tag.as_str().unwrap()).unwrap()),
        );
    }
    assert_eq!(requests.len(), 6, "251 tags twice");
    assert_eq!(sent.len(), 251);
    worker.stop().await;
    Ok(())
}

#[tokio::test]
async fn cloudfront_gets_signed_invalidations_of_tags() -> Result<()> {
    let shop = Shop::start().await?;
    let count = AtomicUsize::new(0);
    let cloudfront = FakeService::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(
            400,
            "<ErrorResponse><Error><Code>TooManyInvalidationsInProgress</Code></Error></ErrorResponse>",
        ),
        1 => Reply::Cut,
        _ => Reply::new(201, "<Invalidation><Status>InProgress</Status></Invalidation>"),
    })
    .await;
    let worker = shop.worker(&[
        (
            "PANONO_PURGE_CLOUDFRONT_DISTRIBUTION",
            "EDFDVBD6EXAMPLE".to_owned(),
        ),
        ("PANONO_PURGE_CLOUDFRONT_URL", cloudfront.url()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_SESSION_TOKEN", "session".to_owned()),
    ]);
    shop.settled("cloudfront:EDFDVBD6EXAMPLE").await;
    cloudfront.clear();
    shop.change([Tag::product(1)], PurgeKind::Soft).await;
    shop.settled("cloudfront:EDFDVBD6EXAMPLE").await;
    let requests = cloudfront.requests();
    let mut references = Vec::new();
    for request in &requests {
        assert_eq!(
            request.target,
            "/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation"
        );
        let authorization = request.header("authorization");
        assert!(
            authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
            "{authorization}"
        );
        assert!(authorization.contains("/us-east-1/cloudfront/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "));
        assert_eq!(request.header("x-amz-security-token"), "session");
        let body = request.text();
        assert!(
            body.contains(
                "<Quantity>2</Quantity><Items><Path>#p-1</Path><Path>#p-any</Path></Items>"
            ),
            "{body}"
        );
        references.push(body.split("CallerReference>").nth(1).unwrap().to_owned());
    }
    assert_eq!(requests.len(), 2);
    assert_ne!(
        references[0], references[1],
        "a repetition must not be taken for the first"
    );
    worker.stop().await;
    Ok(())
}
