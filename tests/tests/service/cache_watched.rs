//! Cache servers that Sentinels watch: the primary is lost, and shops go on with what another one has.

use std::time::Duration;

use anyhow::{Result, ensure};
use panono_tests::http;
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::{Environment, Shop};
use panono_tests::wait::wait_until;
use panono_tests::watched_valkey::WatchedValkey;

const GUARD: Duration = Duration::from_secs(180);

/// Asks for pages that nobody has asked for, until what one process has made is found in the cache by the other.
async fn is_shared(shops: &[Shop; 2], run: &str) -> Result<()> {
    let client = http::client();
    let mut page = 0;
    wait_until("a page to be shared", GUARD, async || {
        page += 1;
        let path = format!("/en/search?q={run}{page}");
        let mut last = String::new();
        for shop in shops {
            let answer = client.get(format!("{}{path}", shop.url())).send().await?;
            ensure!(answer.status() == 200, "{}", answer.status());
            let said = answer.headers().get("cache-status");
            last = said
                .map_or("", |value| value.to_str().unwrap_or(""))
                .to_owned();
        }
        ensure!(last.contains("detail=valkey"), "{last}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_primary_is_replaced_and_an_empty_server_never_takes_its_place() {
    let database = TestDatabase::shared().await.unwrap();
    let mut cache = WatchedValkey::start().await.unwrap();
    let (url, sentinels) = cache.settings();
    let environment = Environment::for_addresses(&database.group().addresses(), database.name())
        .with_cache(&url)
        .with("PANONO_CACHE_SENTINELS", &sentinels);
    environment.run(&["migrate"]).await.unwrap();
    // It asks every member of the database once, which may be busy.
    wait_until("the settings to be found good", GUARD, async || {
        environment.run(&["check"]).await
    })
    .await
    .unwrap();
    let shops = [
        environment.serve().await.unwrap(),
        environment.serve().await.unwrap(),
    ];
    is_shared(&shops, "before").await.unwrap();
    let first = cache.settles().await.unwrap();

    // It is lost, and stays away.
    cache.kill(first).unwrap();
    is_shared(&shops, "lost").await.unwrap();
    let second = cache.settles().await.unwrap();
    assert_ne!(second, first);
    let keys = cache.keys(second).await.unwrap();
    assert!(keys > 0, "what the primary had is lost with it");

    // It comes back without anything, and copies what there is.
    cache.launch_again(first).unwrap();
    assert_eq!(cache.settles().await.unwrap(), second);
    wait_until("the one that came back to be trusted", GUARD, async || {
        ensure!(cache.may_be_primary(first).await?, "it is not");
        Ok(())
    })
    .await
    .unwrap();
    assert!(cache.keys(first).await.unwrap() > 0);

    // The primary starts again, empty, before anybody has noticed: it does not take what the others have away from them.
    cache.kill(second).unwrap();
    cache.launch_again(second).unwrap();
    let third = cache.settles().await.unwrap();
    assert_ne!(third, second, "an empty server is the primary");
    assert!(cache.keys(third).await.unwrap() > 0, "everything is lost");
    is_shared(&shops, "after").await.unwrap();
}
