//! The cache server dies, hangs, forgets, and remembers what is long past. Shoppers get right pages all the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use panono_tests::http;
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::Shop;
use panono_tests::stack::{Stack, StackOptions};
use panono_tests::staff::{Made, Staff};
use panono_tests::wait::wait_until;

use crate::freshness::price;

const GUARD: Duration = Duration::from_secs(180);
const CURRENCY: &str = "USD";

struct Scene {
    client: reqwest::Client,
    stack: Stack,
    staff: Staff,
    product: Made,
    /// How many listings were asked for: each is another page, which no cache has.
    pages: std::cell::Cell<u32>,
}

struct Reply {
    text: String,
    cache: String,
}

impl Scene {
    async fn new(database: &TestDatabase<'_>) -> Result<Self> {
        let stack = Stack::start(database, StackOptions::default()).await?;
        let staff = Staff::new(&stack.environment, &stack.shops[0].url()).await?;
        let product = staff.product("Stone mug", CURRENCY, 1000).await?;
        let scene = Self {
            client: http::client(),
            stack,
            staff,
            product,
            pages: std::cell::Cell::new(0),
        };
        // Every process has seen the product, so that nothing which is made from now on changes by itself.
        for shop in &scene.stack.shops {
            scene.shows(shop, 1000).await?;
        }
        Ok(scene)
    }

    /// What a web process answers, which must be a page.
    async fn get(&self, shop: &Shop, path: &str) -> Result<Reply> {
        let answer = self
            .client
            .get(format!("{}{path}", shop.url()))
            .send()
            .await
            .with_context(|| format!("{path} was not answered"))?;
        let status = answer.status().as_u16();
        let cache = answer
            .headers()
            .get("cache-status")
            .map_or("", |value| value.to_str().unwrap_or(""))
            .to_owned();
        let text = answer.text().await?;
        ensure!(status == 200, "{path}: {status} {cache}: {text}");
        Ok(Reply { text, cache })
    }

    fn page(&self) -> String {
        format!("/en/p/{}", self.product.slug)
    }

    /// The address of a page that nobody has asked for.
    fn another(&self) -> String {
        self.pages.set(self.pages.get() + 1);
        format!("/en/search?q=mug{}", self.pages.get())
    }

    async fn shows(&self, shop: &Shop, amount: i64) -> Result<()> {
        wait_until("the product with its price", GUARD, async || {
            let reply = self.get(shop, &self.page()).await?;
            let shown = price(&reply.text);
            ensure!(shown == Some(amount), "{shown:?} {}", reply.cache);
            Ok(())
        })
        .await
    }

    /// Waits until what one process has made is found in the cache server by the other.
    async fn is_shared(&self) -> Result<()> {
        wait_until("a page to be shared", GUARD, async || {
            let path = self.another();
            self.get(&self.stack.shops[0], &path).await?;
            let second = self.get(&self.stack.shops[1], &path).await?;
            ensure!(second.cache.contains("detail=valkey"), "{}", second.cache);
            Ok(())
        })
        .await
    }

    /// Pages are made and changes are seen, whatever the cache server does.
    async fn sells(&self, amount: i64) -> Result<()> {
        for _ in 0..10 {
            for shop in &self.stack.shops {
                self.get(shop, &self.another()).await?;
            }
        }
        self.staff
            .set_price(self.product.variant, CURRENCY, amount)
            .await?;
        for shop in &self.stack.shops {
            self.shows(shop, amount).await?;
        }
        Ok(())
    }

    async fn fills(&self) -> Result<u64> {
        let mut sum = 0;
        for shop in &self.stack.shops {
            let url = format!("{}/metrics", shop.operations_url());
            let text = self.client.get(url).send().await?.text().await?;
            let counted = text
                .lines()
                .find_map(|line| line.strip_prefix("shop_cache_fills_total "))
                .context("no shop_cache_fills")?;
            sum += counted.trim().parse::<u64>()?;
        }
        Ok(sum)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_server_may_hang_forget_and_die() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let mut scene = Scene::new(&database).await?;
    scene.is_shared().await?;

    scene.stack.valkey.process().pause()?;
    scene.sells(1001).await?;
    scene.stack.valkey.process().resume()?;
    scene.is_shared().await?;

    scene.stack.valkey.flush().await?;
    scene.sells(1002).await?;
    scene.is_shared().await?;

    scene.stack.valkey.process().kill()?;
    scene.sells(1003).await?;
    scene.stack.valkey.restart().await?;
    scene.is_shared().await?;

    let log = scene.stack.shops[0].process().log_text();
    assert!(log.contains("the shared cache does not answer"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_server_that_remembers_the_past_shows_nobody_the_old_price() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let mut scene = Scene::new(&database).await?;
    let mut valkey = scene.stack.valkey.connect().await?;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut valkey).await?;
    let mut past: Vec<(String, Vec<u8>)> = Vec::new();
    for key in keys {
        let value: Option<Vec<u8>> = redis::cmd("GET").arg(&key).query_async(&mut valkey).await?;
        past.extend(value.map(|value| (key, value)));
    }
    let holds_the_page = past.iter().any(|(key, value)| {
        key.ends_with(&scene.page()) && price(&String::from_utf8_lossy(value)) == Some(1000)
    });
    assert!(
        holds_the_page,
        "{:?}",
        past.iter().map(|(key, _)| key).collect::<Vec<_>>()
    );

    scene
        .staff
        .set_price(scene.product.variant, CURRENCY, 2000)
        .await?;
    scene.shows(&scene.stack.shops[0], 2000).await?;
    scene.stack.shops[1].process().kill()?;
    for (key, value) in &past {
        redis::cmd("SET")
            .arg(key)
            .arg(value)
            .exec_async(&mut valkey)
            .await?;
    }
    // It has nothing in its memory and knows nothing but the log.
    scene.stack.shops[1].restart().await?;
    let reply = scene.get(&scene.stack.shops[1], &scene.page()).await?;
    assert_eq!(price(&reply.text), Some(2000), "{}", reply.cache);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_one_page_cause_one_reading_of_it() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let scene = Scene::new(&database).await?;
    // What cannot be made leaves no lock behind, for which whoever asks next would wait.
    let impossible = format!("{}/en/search?after=AAAA1&q=mug", scene.stack.shops[0].url());
    assert_eq!(scene.client.get(&impossible).send().await?.status(), 400);
    let mut valkey = scene.stack.valkey.connect().await?;
    let locks: Vec<String> = redis::cmd("KEYS")
        .arg("*#lock")
        .query_async(&mut valkey)
        .await?;
    assert!(locks.is_empty(), "{locks:?}");
    // A process that waits long for another one makes the page itself, so on a busy machine there may be one for each.
    for _ in 0..20 {
        let path = scene.another();
        let before = scene.fills().await?;
        let asked = (0..100).map(|index| scene.get(&scene.stack.shops[index % 2], &path));
        futures_util::future::try_join_all(asked).await?;
        let made = scene.fills().await? - before;
        assert!((1..=2).contains(&made), "{made} for 100 who asked");
        if made == 1 {
            return Ok(());
        }
    }
    panic!("the processes never waited for each other");
}
