//! Backends that do not answer.

use anyhow::Result;
use panono_tests::origin::Answer;
use panono_tests::ports::Port;

use super::*;

#[tokio::test]
async fn a_dead_backend_is_passed_over() -> Result<()> {
    let dead = Port::take()?;
    let edge = Edge::with(|config| {
        config.backends.insert(0, dead.address().to_string());
        // No probe comes in time to help.
        config.probe_interval = Duration::from_secs(60);
    })
    .await?;
    for index in 0..6 {
        let path = format!("/p/{index}");
        edge.origin.on(&path, |_, _| page("alive"));
        assert_eq!(edge.get(&path).await?.text(), "alive");
        edge.origin
            .on(&format!("/account/{index}"), |_, _| Answer::ok("mine"));
        assert_eq!(edge.get(&format!("/account/{index}")).await?.text(), "mine");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_safe_is_sent_once_and_no_failure_is_asked_for_ever() -> Result<()> {
    let edge = Edge::start().await?;
    for (method, path, sent) in [
        ("POST", "/checkout", 1),
        ("GET", "/account", 3),
        ("GET", "/p/lamp", 3),
    ] {
        edge.origin.on(path, |_, _| Answer::new(503, "busy"));
        assert_eq!(
            edge.send(method, path, &[("Content-Length", "0")])
                .await?
                .status(),
            503,
            "{method} {path}"
        );
        assert_eq!(edge.origin.count(path), sent, "{method} {path}");
    }
    edge.origin.on("/checkout/pay", |_, _| Answer::broken());
    let request = format!(
        "POST /checkout/pay HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: 5\r\n\r\norder"
    );
    assert_eq!(
        wire::exchange(edge.varnish.address(), request.as_bytes())
            .await?
            .status(),
        503
    );
    assert_eq!(edge.origin.count("/checkout/pay"), 1);
    Ok(())
}

#[tokio::test]
async fn the_last_resort_is_a_page_of_the_edge_that_tells_nothing() -> Result<()> {
    let edge = Edge::start().await?;
    for (target, kind) in [
        ("/p/%3Cscript%3E?q=secret", "text/html; charset=utf-8"),
        ("/api/v1/catalog/products", "application/problem+json"),
    ] {
        edge.origin
            .on(target.split('?').next().unwrap(), |_, _| Answer::broken());
        let answer = edge.get(target).await?;
        assert_eq!(
            (answer.status(), answer.header("Content-Type").as_deref()),
            (503, Some(kind))
        );
        assert_eq!(answer.header("Cache-Control").as_deref(), Some("no-store"));
        assert_eq!(answer.header("Retry-After").as_deref(), Some("5"));
        assert!(
            !answer.text().contains("script") && !answer.text().contains("secret"),
            "{}",
            answer.text()
        );
        if kind.contains("json") {
            let problem: serde_json::Value = serde_json::from_slice(&answer.body)?;
            assert_eq!(problem["code"], "edge_origin_failed");
            assert_eq!(problem["status"], 503);
        }
    }
    // The origin's own words where it has some.
    edge.origin.on("/p/words", |_, _| {
        Answer::new(500, "a page of the shop")
            .header("CDN-Cache-Control", "max-age=600")
            .header("Set-Cookie", "a=b")
    });
    let answer = edge.get("/p/words").await?;
    assert_eq!(
        (
            answer.status(),
            answer.text().as_str(),
            answer.header("Set-Cookie")
        ),
        (500, "a page of the shop", None)
    );
    // Whatever it says, a failure is not kept for longer than a second.
    edge.origin.on("/p/words", |_, _| page("well"));
    panono_tests::wait::wait_until("the failure to be forgotten", LIMIT, async || {
        edge.get("/p/words").await.unwrap().text() == "well"
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_slow_backend_has_a_limit() -> Result<()> {
    let edge = Edge::with(|config| config.first_byte_timeout = Duration::from_millis(50)).await?;
    let gate = panono_tests::origin::Gate::default();
    edge.origin
        .on("/p/lamp", move |_, _| page("late").held(&gate));
    assert_eq!(edge.get("/p/lamp").await?.status(), 503);
    Ok(())
}
