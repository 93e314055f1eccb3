//! A price changes while many read it: everybody sees the new one soon, and no address shows the old one after the new one.

use std::time::{Duration, Instant};

use panono_tests::mysql::{TestDatabase, faulted_group};
use panono_tests::readers::{Readers, Seen, percentile};
use panono_tests::stack::{Stack, StackOptions};
use panono_tests::staff::{Made, Staff};
use panono_tests::wait::wait_until;

/// Guards against hanging; how soon it really is, `make bench` tells.
const GUARD: Duration = Duration::from_secs(180);
/// Each test takes the group that one test at a time may hurt, so that no two crowds of readers compete.
const READERS: usize = 200;
const CURRENCY: &str = "USD";

/// The price in minor units, as the structured data of the page tells it.
pub(crate) fn price(page: &str) -> Option<i64> {
    let (_, rest) = page.split_once("\"price\":\"")?;
    let (text, _) = rest.split_once('"')?;
    text.replace('.', "").parse().ok()
}

struct Scene<'group> {
    stack: Stack,
    staff: Staff,
    product: Made,
    _database: TestDatabase<'group>,
}

impl<'group> Scene<'group> {
    async fn new(database: TestDatabase<'group>) -> Self {
        let stack = Stack::start(&database, StackOptions::default())
            .await
            .unwrap();
        let staff = Staff::new(&stack.environment, &stack.shops[0].url())
            .await
            .unwrap();
        let product = staff.product("Stone mug", CURRENCY, 1000).await.unwrap();
        Self {
            stack,
            staff,
            product,
            _database: database,
        }
    }

    fn urls(&self) -> Vec<String> {
        let (edge, slug) = (self.stack.edge.url(), &self.product.slug);
        vec![
            format!("{edge}/en/p/{slug}"),
            format!("{edge}/zh-cn/p/{slug}"),
        ]
    }

    async fn readers(&self) -> Readers {
        let readers = Readers::start(READERS, &self.urls(), price);
        wait_until("the readers to see the first price", GUARD, async || {
            anyhow::ensure!(readers.newest() == 1000, "they saw {}", readers.newest());
            Ok(())
        })
        .await
        .unwrap();
        readers
    }

    /// Edits the price and waits until somebody sees it, so many times.
    async fn edit(
        &self,
        readers: &Readers,
        prices: std::ops::RangeInclusive<i64>,
    ) -> Vec<(i64, Instant)> {
        let mut edits = Vec::new();
        for price in prices {
            self.staff
                .set_price(self.product.variant, CURRENCY, price)
                .await
                .unwrap();
            edits.push((price, Instant::now()));
            wait_until("a reader to see the new price", GUARD, async || {
                anyhow::ensure!(readers.newest() >= price, "they see {}", readers.newest());
                Ok(())
            })
            .await
            .unwrap();
        }
        edits
    }
}

fn judge(name: &str, seen: &Seen, edits: &[(i64, Instant)]) {
    let delays = seen.delays(edits);
    println!(
        "{name}: {} edits, {} reads, old price shown after its commit: p50 {:?}, p99 {:?}",
        edits.len(),
        seen.reads,
        percentile(&delays, 50),
        percentile(&delays, 99)
    );
    assert!(seen.failures.is_empty(), "{name}: {:#?}", seen.failures);
    assert!(
        seen.backwards.is_empty(),
        "{name}: old after new: {:#?}",
        seen.backwards
    );
    assert!(percentile(&delays, 100) < GUARD, "{name}: {delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_the_old_price_after_the_new_one() {
    let group = faulted_group().await.unwrap();
    let scene = Scene::new(TestDatabase::create(&group).await.unwrap()).await;
    let readers = scene.readers().await;
    let edits = scene.edit(&readers, 1001..=1020).await;
    judge("plain", &readers.stop().await, &edits);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_shows_nobody_the_old_price() {
    let group = faulted_group().await.unwrap();
    let scene = Scene::new(TestDatabase::create(&group).await.unwrap()).await;
    let readers = scene.readers().await;
    let secondaries = group.secondaries().await.unwrap();
    let held = secondaries[0].hold_applier().await.unwrap();
    let mut edits = scene.edit(&readers, 1001..=1010).await;
    held.release().await.unwrap();
    edits.extend(scene.edit(&readers, 1011..=1015).await);
    judge("lagging replica", &readers.stop().await, &edits);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_cache_server_prices_stay_fresh() {
    let group = faulted_group().await.unwrap();
    let mut scene = Scene::new(TestDatabase::create(&group).await.unwrap()).await;
    let readers = scene.readers().await;
    scene.stack.valkey.process().kill().unwrap();
    let mut edits = scene.edit(&readers, 1001..=1010).await;
    scene.stack.valkey.restart().await.unwrap();
    edits.extend(scene.edit(&readers, 1011..=1015).await);
    judge(
        "cache server killed and restarted",
        &readers.stop().await,
        &edits,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_killed_purges_what_it_missed() {
    let group = faulted_group().await.unwrap();
    let mut scene = Scene::new(TestDatabase::create(&group).await.unwrap()).await;
    let readers = scene.readers().await;
    let mut edits = scene.edit(&readers, 1001..=1003).await;
    scene.stack.worker.process().kill().unwrap();
    scene
        .staff
        .set_price(scene.product.variant, CURRENCY, 1004)
        .await
        .unwrap();
    scene.stack.worker.restart().await.unwrap();
    edits.push((1004, Instant::now()));
    edits.extend(scene.edit(&readers, 1005..=1010).await);
    judge("worker killed and restarted", &readers.stop().await, &edits);
}
