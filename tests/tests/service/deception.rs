//! Cache deception and cache poisoning, tried on a whole shop through the real edge and on a web process alone.
//!
//! Each row has a product of its own, whose page no cache has seen. The attacker asks twice, so that an answer that could be
//! stored is stored; then visitors who did nothing unusual must get, byte for byte, what a process answers that no attacker
//! ever reached.

mod attacks;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::Shop;
use panono_tests::stack::{Stack, StackOptions};
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;
use panono_tests::wire::{self, Message};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
/// In a draft that only staff may see.
const SECRET: &str = "Unannounced teapot";
/// In everything that an attacker sends; nobody else may ever see it.
const MARK: &str = "evil";

struct Scene {
    stack: Stack,
    /// A process with caches of its own that is attacked without an edge before it.
    bare: Shop,
    /// A process with caches of its own that no attacker reaches: what it answers is right.
    reference: Shop,
    staff: Staff,
    draft: i64,
    _database: TestDatabase<'static>,
}

impl Scene {
    async fn new() -> Result<Self> {
        let database = TestDatabase::shared().await?;
        let options = StackOptions {
            shops: 1,
            ..StackOptions::default()
        };
        let stack = Stack::start(&database, options).await?;
        let alone = |prefix: &str| {
            stack
                .environment
                .clone()
                .with("PANONO_CACHE_PREFIX", prefix)
        };
        let bare = alone("bare").serve().await?;
        let reference = alone("reference").serve().await?;
        let staff = Staff::new(&stack.environment, &stack.shops[0].url()).await?;
        let draft = json!({ "translations": { "en": { "name": SECRET } } });
        let draft = staff
            .send(reqwest::Method::POST, "/products", &draft)
            .await?;
        let draft = draft["id"].as_i64().context("a product without id")?;
        Ok(Self {
            stack,
            bare,
            reference,
            staff,
            draft,
            _database: database,
        })
    }

    /// Waits until the edge keeps pages for long: just started, it does not, and purges of what was made may be on their way.
    async fn settled(&self, target: &str) -> Result<()> {
        wait_until("the edge to keep pages", LIMIT, async || {
            let answer = self.at_edge(target).await?;
            let status = answer.header("Cache-Status").unwrap_or_default();
            // What is kept for a second only is not found at that age.
            let age = answer.header("Age").and_then(|age| age.parse::<u64>().ok());
            ensure!(
                status.contains("panono-edge; hit") && age >= Some(2),
                "{status}, {age:?}"
            );
            Ok(())
        })
        .await
    }

    fn edge(&self) -> SocketAddr {
        self.stack.edge.address()
    }

    async fn at_edge(&self, target: &str) -> Result<Message> {
        clean(self.edge(), &self.host(), target).await
    }

    /// The host of the shop's public address.
    fn host(&self) -> String {
        self.edge().to_string()
    }
}

/// What a visitor sends who does nothing unusual.
async fn clean(address: SocketAddr, host: &str, target: &str) -> Result<Message> {
    wire::send(address, "GET", target, &[("Host", host)]).await
}

/// The header lines that a visitor gets with a page, without those that tell of its way and its time.
fn told(answer: &Message) -> Vec<(String, String)> {
    const OF_THE_WAY: &[&str] = &[
        "age",
        "accept-ranges",
        "cache-status",
        "cache-tag",
        "cdn-cache-control",
        "connection",
        "content-length",
        "date",
        "panono-sequence",
        "surrogate-control",
        "surrogate-key",
        "transfer-encoding",
        "x-request-id",
    ];
    let mut lines: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| !OF_THE_WAY.contains(&name.as_str()))
        .collect();
    lines.sort();
    lines
}

fn stored_or_hit(answer: &Message) -> bool {
    let status = answer.header("Cache-Status").unwrap_or_default();
    status
        .split(", ")
        .filter(|member| member.starts_with("panono-edge"))
        .any(|member| member.contains("; hit") || member.contains("stored"))
}

fn no_cookie(what: &str, answer: &Message) -> Result<()> {
    ensure!(
        answer.header("Set-Cookie").is_none(),
        "{what}: a public answer sets a cookie"
    );
    Ok(())
}

/// A visitor's answer is the one that the untouched process gives.
fn canonical(what: &str, answer: &Message, right: &Message) -> Result<()> {
    ensure!(
        answer.status() == right.status(),
        "{what}: {} instead of {}",
        answer.start,
        right.start
    );
    ensure!(
        answer.body == right.body,
        "{what}: another body:\n{}",
        answer.text()
    );
    ensure!(
        told(answer) == told(right),
        "{what}: {:#?}\ninstead of {:#?}",
        told(answer),
        told(right)
    );
    ensure!(
        answer.header("Vary").as_deref() == Some("Accept-Encoding"),
        "{what}: varies by {:?}",
        answer.header("Vary")
    );
    no_cookie(what, answer)
}

/// What an attacker is told must be no worse than what everybody is told, for a cache behind us may keep it for them.
fn harmless(what: &str, is_for_page: bool, answer: &Message, right: &Message) -> Result<()> {
    no_cookie(what, answer)?;
    ensure!(
        answer.status() < 400 || !answer.text().contains(MARK),
        "{what}: echoed in {}",
        answer.text()
    );
    let head = format!("{:?}", answer.headers).to_ascii_lowercase();
    ensure!(!head.contains(MARK), "{what}: echoed in {head}");
    let control = answer.header("Cache-Control").unwrap_or_default();
    match answer.status() {
        200 => ensure!(
            answer.body == right.body || answer.body.is_empty(),
            "{what}: another body:\n{}",
            answer.text()
        ),
        206 => ensure!(
            right.text().contains(&answer.text()) && !answer.body.is_empty(),
            "{what}: no part of the page"
        ),
        301 | 308 => {
            let location = answer.header("Location").unwrap_or_default();
            ensure!(
                location.starts_with('/') && !location.starts_with("//"),
                "{what}: leads to {location}"
            );
        }
        // That there is no page at an address of its own is a fact like any other, and everybody may know it.
        404 if !is_for_page => ensure!(
            control.contains("no-store") || control == "public, max-age=0, must-revalidate",
            "{what}: {control}"
        ),
        // Cut from the stored page; a cache has to ask again before it shows it.
        416 => ensure!(control.contains("max-age=0"), "{what}: {control}"),
        304 => ensure!(answer.body.is_empty(), "{what}: 304 with a body"),
        // A server that cannot read a request answers with a bare 400, 408, 413, 417 or 431, which nobody may keep by itself.
        400 | 408 | 413 | 417 | 431 => ensure!(
            control.is_empty() || control.contains("no-store"),
            "{what}: {}, {control}",
            answer.start
        ),
        _ => ensure!(
            control.contains("no-store"),
            "{what}: {} may be stored: {control:?}",
            answer.start
        ),
    }
    ensure!(
        answer.status() < 400 || answer.status() == 416 || !is_for_page || !stored_or_hit(answer),
        "{what}: a refusal was stored: {answer:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_poisons_a_page() {
    let scene = Scene::new().await.unwrap();
    let rows = attacks::on_pages();
    let mut slugs = Vec::new();
    for number in 0..rows.len() {
        let made = scene
            .staff
            .product(&format!("Mug {number}"), "USD", 1000)
            .await
            .unwrap();
        slugs.push(made.slug);
    }
    let first = scene.staff.product("Settled", "USD", 1000).await.unwrap();
    scene
        .settled(&format!("/en/p/{}", first.slug))
        .await
        .unwrap();

    let host = scene.host();
    let mut holes = Vec::new();
    let mut kept = 0;
    for (attack, slug) in rows.iter().zip(&slugs) {
        let victim = format!("/en/p/{slug}");
        let request = attack.request(&victim, &host);
        let right = clean(scene.reference.address(), &host, &victim)
            .await
            .unwrap();
        assert_eq!(right.status(), 200, "{victim}");
        for (way, address) in [("edge", scene.edge()), ("shop", scene.bare.address())] {
            if way == "shop" && attack.only_edge {
                continue;
            }
            let what = format!("{} ({way})", attack.name);
            let expected = if way == "edge" {
                attack.at_edge
            } else {
                attack.at_shop
            };
            let tried = async {
                for _ in 0..2 {
                    match wire::exchange(address, &request).await {
                        Ok(answer) => {
                            harmless(&what, attack.is_for_page(), &answer, &right)?;
                            ensure!(
                                expected.is_none_or(|expected| expected == answer.status()),
                                "{what}: {}",
                                answer.start
                            );
                        }
                        // Hanging up is a refusal too.
                        Err(error) if attack.may_hang_up => drop(error),
                        Err(error) => return Err(error.context(what.clone())),
                    }
                }
                for visit in ["first", "second"] {
                    let answer = clean(address, &host, &victim).await?;
                    canonical(&format!("{what}, {visit} visitor"), &answer, &right)?;
                    kept += usize::from(visit == "second" && stored_or_hit(&answer));
                }
                Ok(())
            };
            if let Err(hole) = tried.await {
                holes.push(format!("{hole:#}"));
            }
        }
    }
    println!(
        "{} attacks on pages, {} of which the edge kept for the second visitor",
        rows.len(),
        kept
    );
    assert!(
        holes.is_empty(),
        "{} holes:\n{}",
        holes.len(),
        holes.join("\n")
    );
    // Else nothing was stored that could have been poisoned.
    assert_eq!(kept, rows.len(), "the edge keeps pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shown_what_staff_saw() {
    let scene = Scene::new().await.unwrap();
    let first = scene.staff.product("Settled", "USD", 1000).await.unwrap();
    scene
        .settled(&format!("/en/p/{}", first.slug))
        .await
        .unwrap();
    let host = scene.host();
    let token = format!("Bearer {}", scene.staff.token());
    let mut holes = Vec::new();
    let mut read = 0;
    let targets = attacks::on_private_paths(scene.draft);
    for (way, address) in [("edge", scene.edge()), ("shop", scene.bare.address())] {
        for target in &targets {
            let what = format!("{target} ({way})");
            let tried = async {
                let headers = [
                    ("Host", host.as_str()),
                    ("Authorization", token.as_str()),
                    ("Cookie", "session=victim"),
                ];
                for _ in 0..2 {
                    let victim = wire::send(address, "GET", target, &headers).await?;
                    let private = victim.text().contains(SECRET);
                    read += usize::from(private);
                    ensure!(
                        !private
                            || victim.header("Cache-Control").as_deref()
                                == Some("private, no-store"),
                        "{what}: private and not marked so: {:?}",
                        victim.headers
                    );
                    ensure!(
                        victim.status() < 400 || !stored_or_hit(&victim),
                        "{what}: stored: {:?}",
                        victim.headers
                    );
                }
                for language in ["en", "zh"] {
                    let headers = [("Host", host.as_str()), ("Accept-Language", language)];
                    let thief = wire::send(address, "GET", target, &headers).await?;
                    ensure!(!thief.text().contains(SECRET), "{what}: a thief reads it");
                    // A private page that says so may begin a session.
                    if thief.header("Cache-Control").as_deref() != Some("private, no-store") {
                        no_cookie(&what, &thief)?;
                    }
                    ensure!(
                        matches!(thief.status(), 301 | 303 | 400 | 401 | 404 | 405),
                        "{what}: {}",
                        thief.start
                    );
                    ensure!(
                        thief.status() == 301 || !stored_or_hit(&thief),
                        "{what}: a stored answer: {:?}",
                        thief.headers
                    );
                }
                Ok(())
            };
            if let Err(hole) = tried.await {
                holes.push(format!("{hole:#}"));
            }
        }
    }
    assert!(
        holes.is_empty(),
        "{} holes:\n{}",
        holes.len(),
        holes.join("\n")
    );
    assert!(
        read >= 8,
        "staff themselves read the draft only {read} times"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn public_answers_are_the_same_for_every_visitor() {
    let scene = Scene::new().await.unwrap();
    let product = scene.staff.product("Stone mug", "USD", 1000).await.unwrap();
    let category = json!({ "translations": { "en": { "name": "Mugs" } } });
    let category = scene
        .staff
        .send(reqwest::Method::POST, "/categories", &category)
        .await
        .unwrap();
    let slug = category["slug"].as_str().unwrap();
    let host = scene.host();
    scene
        .settled(&format!("/en/p/{}", product.slug))
        .await
        .unwrap();
    let page = scene.at_edge("/en").await.unwrap().text();
    let style = page
        .split('"')
        .find(|part| part.starts_with("/assets/"))
        .unwrap();
    let mut holes = Vec::new();
    for target in [
        "/",
        "/en",
        "/zh-cn",
        "/en?currency=EUR",
        &format!("/en/c/{slug}"),
        &format!("/en/p/{}", product.slug),
        &format!("/zh-cn/p/{}", product.slug),
        "/en/p/none-such",
        "/en/search?q=mug",
        "/en/search",
        "/sitemap.xml",
        "/robots.txt",
        "/openapi.json",
        "/favicon.ico",
        style,
        "/api/v1/products",
        "/api/v1/categories",
        &format!("/api/v1/products/{}", product.slug),
        "/api/v1/none-such",
        "/none-such",
    ] {
        let right = clean(scene.reference.address(), &host, target)
            .await
            .unwrap();
        for (way, address) in [("edge", scene.edge()), ("shop", scene.bare.address())] {
            for (visitor, headers) in attacks::visitors() {
                let what = format!("{target} for {visitor} ({way})");
                let mut all = vec![("Host", host.as_str())];
                all.extend_from_slice(headers);
                let tried = async {
                    let answer = wire::send(address, "GET", target, &all).await?;
                    no_cookie(&what, &answer)?;
                    ensure!(
                        answer.status() == right.status(),
                        "{what}: {} instead of {}",
                        answer.start,
                        right.start
                    );
                    // Failures tell the request's id.
                    ensure!(
                        answer.status() >= 400 || answer.body == right.body,
                        "{what}: another body"
                    );
                    ensure!(
                        told(&answer) == told(&right),
                        "{what}: {:#?} instead of {:#?}",
                        told(&answer),
                        told(&right)
                    );
                    Ok(())
                };
                if let Err(hole) = tried.await {
                    holes.push(format!("{hole:#}"));
                }
            }
        }
    }
    assert!(
        holes.is_empty(),
        "{} holes:\n{}",
        holes.len(),
        holes.join("\n")
    );
}
