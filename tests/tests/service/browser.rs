//! The storefront of the sample shop in a real browser, on a desktop and on a phone.

use anyhow::{Context, Result};
use panono_tests::browser::{Browser, Screen};
use panono_tests::mysql::TestDatabase;
use panono_tests::stack::{Stack, StackOptions};

/// Addresses of the pages that are looked at, found as a visitor finds them: by links.
async fn pages(stack: &Stack) -> Result<Vec<(&'static str, String)>> {
    let home = format!("{}/en", stack.edge.url());
    let first = async |page: &str, kind: &str| -> Result<String> {
        let html = panono_tests::http::client()
            .get(page)
            .send()
            .await?
            .text()
            .await?;
        let path = html
            .split('"')
            .find(|part| part.starts_with(kind) && !part.contains('?'))
            .with_context(|| format!("{page} has no link to {kind}"))?;
        Ok(format!("{}{path}", stack.edge.url()))
    };
    let category = first(&home, "/en/c/").await?;
    let product = first(&category, "/en/p/").await?;
    let chinese = first(&category.replace("/en/", "/zh-cn/"), "/zh-cn/p/").await?;
    Ok(vec![
        ("category", category),
        ("product", product),
        ("search", format!("{home}/search?q=mug")),
        ("search-empty", format!("{home}/search?q=xyzzy")),
        ("product-zh-cn", chinese),
        ("home", home),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_look_as_they_should_and_nothing_complains() {
    let database = TestDatabase::shared().await.unwrap();
    let options = StackOptions {
        shops: 1,
        variables: vec![
            ("PANONO_SHOP_NAME".to_owned(), "Panono".to_owned()),
            ("PANONO_CURRENCIES".to_owned(), "USD,EUR,CNY".to_owned()),
        ],
        ..StackOptions::default()
    };
    let stack = Stack::start(&database, options).await.unwrap();
    stack.environment.run(&["seed", "--demo"]).await.unwrap();
    let pages = pages(&stack).await.unwrap();
    let mut faults = Vec::new();
    for screen in [Screen::Desktop, Screen::Phone] {
        let browser = Browser::start(screen).await.unwrap();
        for (name, url) in &pages {
            let what = format!("{name} on a {}", screen.name());
            browser.open(url).await.unwrap();
            let mut found = browser.complaints().await.unwrap();
            found.extend(browser.overflow().await.unwrap());
            let picture = browser.screenshot(name).await.unwrap();
            found.extend(browser.accessibility().await.unwrap());
            println!("{what}: {}", picture.display());
            faults.extend(found.into_iter().map(|fault| format!("{what}: {fault}")));
        }
        browser.close().await.unwrap();
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
