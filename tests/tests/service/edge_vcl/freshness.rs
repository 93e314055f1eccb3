//! Stale answers: while they are refreshed, and while the origin fails.

use anyhow::Result;
use panono_tests::origin::{Answer, Gate};
use panono_tests::wait::wait_until;

use super::*;

#[tokio::test]
async fn an_expired_page_is_shown_while_it_is_refreshed() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin.on("/p/lamp", |number, _| match number {
        1 => soon_stale("1", "stale-while-revalidate=60"),
        number => page(number.to_string()),
    });
    edge.get("/p/lamp").await?;
    let stale = wait_until("the page to expire", LIMIT, async || {
        let answer = edge.get("/p/lamp").await.unwrap();
        if status_of(&answer).contains("detail=stale-while-revalidate") {
            Ok(answer)
        } else {
            Err(status_of(&answer))
        }
    })
    .await?;
    assert_eq!(stale.text(), "1");
    assert!(
        is_hit(&stale) && seconds(&stale, "ttl") <= 0,
        "{}",
        status_of(&stale)
    );
    assert!(
        stale.header("Age").unwrap().parse::<u32>()? >= 3600,
        "{:?}",
        stale.header("Age")
    );
    wait_until("the refreshed page", LIMIT, async || {
        edge.get("/p/lamp").await.unwrap().text() == "2"
    })
    .await?;
    assert_eq!(edge.origin.count("/p/lamp"), 2);
    Ok(())
}

#[tokio::test]
async fn a_page_that_may_not_be_shown_stale_is_fetched_before_it_is_shown() -> Result<()> {
    let edge = Edge::start().await?;
    for directives in [
        "stale-while-revalidate=0",
        "stale-if-error=60",
        "stale-while-revalidate=60, must-revalidate",
        "stale-while-revalidate=60, proxy-revalidate",
    ] {
        let path = format!("/p/{}", directives.len());
        edge.origin.on(&path, move |number, _| match number {
            1 => soon_stale("1", directives),
            number => page(number.to_string()),
        });
        edge.get(&path).await?;
        let next = wait_until("the page to expire", LIMIT, async || {
            let answer = edge.get(&path).await.unwrap();
            assert!(
                !status_of(&answer).contains("detail"),
                "{directives}: {}",
                status_of(&answer)
            );
            if is_hit(&answer) {
                Err(status_of(&answer))
            } else {
                Ok(answer)
            }
        })
        .await?;
        assert_eq!(next.text(), "2", "{directives}");
        assert!(
            status_of(&next).contains("fwd="),
            "{directives}: {}",
            status_of(&next)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_still_right_is_confirmed_and_not_sent_again() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin.on("/p/lamp", |number, request| {
        match (number, request.header("If-None-Match").as_deref()) {
            (1, _) => soon_stale("the lamp", "stale-if-error=60")
                .header("ETag", "\"v1\"")
                .header("Surrogate-Key", "p-1")
                .header("Panono-Sequence", "0"),
            (_, Some("\"v1\"")) => Answer::new(304, "")
                .header("ETag", "\"v1\"")
                .header("CDN-Cache-Control", "max-age=600")
                .header("Panono-Sequence", "0"),
            _ => Answer::new(500, "the condition was lost"),
        }
    });
    edge.get("/p/lamp").await?;
    let confirmed = wait_until("the page to expire", LIMIT, async || {
        let answer = edge.get("/p/lamp").await.unwrap();
        if edge.origin.count("/p/lamp") == 2 {
            Ok(answer)
        } else {
            Err(status_of(&answer))
        }
    })
    .await?;
    assert_eq!(
        (confirmed.status(), confirmed.text().as_str()),
        (200, "the lamp")
    );
    let hit = edge.get("/p/lamp").await?;
    assert!(
        is_hit(&hit) && seconds(&confirmed, "ttl") > 500,
        "the new lifetime counts: {}",
        status_of(&confirmed)
    );
    assert!(
        hit.header("Age").unwrap().parse::<u32>()? < 60,
        "so does the new age: {:?}",
        hit.header("Age")
    );
    // The tags that the 304 did not repeat are still those of the page.
    assert_eq!(
        edge.purge("p-1", "soft", "1")
            .await?
            .header("Panono-Purged")
            .as_deref(),
        Some("1")
    );
    Ok(())
}

#[tokio::test]
async fn while_the_origin_fails_stale_pages_are_shown_within_their_limit() -> Result<()> {
    let edge = Edge::start().await?;
    for (name, failure) in [
        ("500", Answer::new(500, "oops")),
        ("503", Answer::new(503, "oops")),
        ("broken", Answer::broken()),
    ] {
        let path = format!("/p/{name}");
        let script = failure.clone();
        edge.origin.on(&path, move |number, _| match number {
            1 => soon_stale("1", "stale-if-error=60"),
            _ => script.clone(),
        });
        edge.get(&path).await?;
        for _ in 0..3 {
            let shown = wait_until("the page to expire", LIMIT, async || {
                let answer = edge.get(&path).await.unwrap();
                assert_eq!(answer.text(), "1", "{name}: {}", status_of(&answer));
                if status_of(&answer).contains("detail=stale-if-error") {
                    Ok(answer)
                } else {
                    Err(status_of(&answer))
                }
            })
            .await?;
            assert!(
                status_of(&shown).contains("fwd=stale; fwd-status=50"),
                "{name}: {}",
                status_of(&shown)
            );
        }
        // And it is over when the origin is back.
        edge.origin.on(&path, |_, _| page("back"));
        wait_until("the origin's page", LIMIT, async || {
            edge.get(&path).await.unwrap().text() == "back"
        })
        .await?;
    }
    // Past the limit it is an error.
    edge.origin.on("/p/limit", |number, _| match number {
        1 => soon_stale("1", "stale-if-error=1"),
        _ => Answer::new(500, "oops"),
    });
    edge.get("/p/limit").await?;
    wait_until("the limit", LIMIT, async || {
        edge.get("/p/limit").await.unwrap().status() == 500
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_failing_origin_is_not_asked_by_each_waiting_shopper() -> Result<()> {
    let edge = Edge::start().await?;
    let gate = Gate::default();
    let held = gate.clone();
    edge.origin.on("/p/lamp", move |number, _| match number {
        1 => tagged("1", "max-age=3600, stale-if-error=60", "p-1", "0"),
        _ => Answer::new(500, "oops").held(&held),
    });
    edge.get("/p/lamp").await?;
    edge.purge("p-1", "soft", "1").await?;
    let all = futures_util::future::try_join_all((0..30).map(|_| edge.get("/p/lamp")));
    let open = async {
        edge.origin.asked("/p/lamp", 2).await?;
        for _ in 0..20 {
            edge.get("/elsewhere").await?;
        }
        gate.open();
        anyhow::Ok(())
    };
    let (answers, ()) = tokio::try_join!(all, open)?;
    for answer in &answers {
        assert_eq!(answer.text(), "1", "{}", status_of(answer));
    }
    // One for all that waited; one or two for those who came when it was over.
    let asked = edge.origin.count("/p/lamp") - 1;
    assert!(asked <= 3, "{asked} requests for 30 shoppers");
    Ok(())
}
