//! Purges, and every way in which one could be undone.

use anyhow::Result;
use panono_tests::origin::{Answer, Gate};
use panono_tests::wait::wait_until;

use super::*;

#[tokio::test]
async fn a_purge_reaches_what_carries_its_tags_and_nothing_else() -> Result<()> {
    let edge = Edge::start().await?;
    for (path, tags) in [
        ("/p/1", "p-1 all"),
        ("/p/12", "p-12 all"),
        ("/c/1", "c-1 p-1 all"),
    ] {
        edge.origin.on(path, move |number, _| {
            tagged(
                number.to_string(),
                "max-age=3600, stale-if-error=60",
                tags,
                &(number * 100).to_string(),
            )
        });
        edge.get(path).await?;
    }
    let answer = edge.purge("p-1 p-404", "soft", "41").await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("Panono-Purged").as_deref(), Some("2"));
    assert_eq!(answer.header("Panono-Floor").as_deref(), Some("41"));
    for (path, body) in [("/p/1", "2"), ("/p/12", "1"), ("/c/1", "2")] {
        assert_eq!(edge.get(path).await?.text(), body, "{path}");
    }
    // An object that was just replaced may still be counted.
    let purged = edge
        .purge("all", "hard", "42")
        .await?
        .header("Panono-Purged");
    assert!(matches!(purged.unwrap().parse::<u32>(), Ok(3..=5)));
    for (path, body) in [("/p/1", "3"), ("/p/12", "2"), ("/c/1", "3")] {
        assert_eq!(edge.get(path).await?.text(), body, "{path}");
    }
    // The floor goes up only, and every fetch tells it to the origin.
    assert_eq!(
        edge.purge("none", "soft", "7")
            .await?
            .header("Panono-Floor")
            .as_deref(),
        Some("42")
    );
    edge.get("/p/new").await?;
    assert_eq!(
        edge.origin.requests("/p/new")[0]
            .header("Panono-Floor")
            .as_deref(),
        Some("42")
    );
    assert_eq!(
        edge.origin.requests("/p/1")[0]
            .header("Panono-Floor")
            .as_deref(),
        Some("0")
    );
    Ok(())
}

#[tokio::test]
async fn many_purges_at_once_leave_the_highest_floor() -> Result<()> {
    let edge = Edge::start().await?;
    let purges = (1..=60).map(|sequence| {
        let edge = &edge;
        async move {
            wait_until("the purge to be taken", LIMIT, async || {
                let answer = edge
                    .purge("p-1", "soft", &sequence.to_string())
                    .await
                    .unwrap();
                // When too many come together some are asked to come again.
                if answer.status() == 200 {
                    Ok(())
                } else {
                    Err(answer.start)
                }
            })
            .await
        }
    });
    futures_util::future::try_join_all(purges).await?;
    assert_eq!(
        edge.purge("p-1", "soft", "0")
            .await?
            .header("Panono-Floor")
            .as_deref(),
        Some("60")
    );
    Ok(())
}

#[tokio::test]
async fn only_those_who_may_can_purge() -> Result<()> {
    let edge = Edge::with(|config| {
        config.purge_token = Some(vcl::PurgeToken::new("a-token-of-the-test").unwrap())
    })
    .await?;
    edge.origin.on("/p/1", |number, _| {
        tagged(number.to_string(), "max-age=3600", "p-1", "0")
    });
    edge.get("/p/1").await?;
    let right = ("Panono-Purge-Token", "a-token-of-the-test");
    let (tags, sequence) = (("Surrogate-Key", "p-1"), ("Panono-Sequence", "1"));
    for (headers, status) in [
        (vec![tags, sequence], 403),
        (
            vec![
                tags,
                sequence,
                ("Panono-Purge-Token", "a-token-of-the-tesT"),
            ],
            403,
        ),
        (vec![tags, right], 400),
        (vec![tags, right, ("Panono-Sequence", "1e3")], 400),
        (vec![tags, right, ("Panono-Sequence", "-1")], 400),
        (
            vec![tags, right, ("Panono-Sequence", "1234567890123456")],
            400,
        ),
        (vec![right, sequence, ("Surrogate-Key", "p-1,\"x\"")], 400),
        (vec![right, sequence, tags, ("Panono-Purge", "gentle")], 400),
    ] {
        assert_eq!(
            edge.send("PURGE", "/p/1", &headers).await?.status(),
            status,
            "{headers:?}"
        );
    }
    assert!(is_hit(&edge.get("/p/1").await?), "nothing was purged");
    // Any host, any URL.
    let answer = wire::send(
        edge.varnish.address(),
        "PURGE",
        "/x",
        &[("Host", "10.0.0.1:80"), tags, sequence, right],
    )
    .await?;
    assert_eq!(
        (answer.status(), answer.header("Panono-Purged").as_deref()),
        (200, Some("1"))
    );

    let closed = Edge::with(|config| {
        config.purge_from = vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()]
    })
    .await?;
    for spoofed in [
        vec![tags, sequence],
        vec![
            tags,
            sequence,
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Real-IP", "192.0.2.1"),
            ("Forwarded", "for=192.0.2.1"),
        ],
    ] {
        assert_eq!(
            closed.send("PURGE", "/", &spoofed).await?.status(),
            403,
            "{spoofed:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_soft_purged_page_is_shown_only_when_the_origin_fails() -> Result<()> {
    let edge = Edge::start().await?;
    let directives = "max-age=3600, stale-while-revalidate=600, stale-if-error=600";
    edge.origin.on("/p/1", move |number, _| match number {
        1 | 4 => tagged(
            number.to_string(),
            directives,
            "p-1",
            &(number * 10).to_string(),
        ),
        2 => Answer::new(500, "oops"),
        _ => tagged(
            number.to_string(),
            directives,
            "p-1",
            &(number * 10).to_string(),
        ),
    });
    edge.get("/p/1").await?;
    edge.purge("p-1", "soft", "20").await?;
    let failed = edge.get("/p/1").await?;
    assert_eq!((failed.status(), failed.text().as_str()), (200, "1"));
    assert!(
        status_of(&failed).contains("fwd=stale; fwd-status=500")
            && status_of(&failed).contains("detail=stale-if-error"),
        "{}",
        status_of(&failed)
    );
    let answered = edge.get("/p/1").await?;
    assert_eq!(answered.text(), "3", "{}", status_of(&answered));
    assert!(
        status_of(&answered).contains("fwd=stale; fwd-status=200"),
        "{}",
        status_of(&answered)
    );
    assert!(is_hit(&edge.get("/p/1").await?));
    // A hard purge leaves nothing for such a day.
    edge.origin.on("/p/1", |_, _| Answer::new(500, "oops"));
    edge.purge("p-1", "hard", "21").await?;
    assert_eq!(edge.get("/p/1").await?.status(), 500);
    Ok(())
}

#[tokio::test]
async fn a_soft_purge_is_one_request_however_many_shoppers_come() -> Result<()> {
    let edge = Edge::start().await?;
    let gate = Gate::default();
    let held = gate.clone();
    edge.origin.on("/p/1", move |number, _| {
        let answer = tagged(
            number.to_string(),
            "max-age=3600, stale-while-revalidate=600, stale-if-error=600",
            "p-1",
            &number.to_string(),
        );
        if number == 1 {
            answer
        } else {
            answer.held(&held)
        }
    });
    edge.get("/p/1").await?;
    edge.purge("p-1", "soft", "2").await?;
    let all = futures_util::future::try_join_all((0..50).map(|_| edge.get("/p/1")));
    let open = async {
        edge.origin.asked("/p/1", 2).await?;
        for _ in 0..20 {
            edge.get("/elsewhere").await?;
        }
        gate.open();
        anyhow::Ok(())
    };
    let (answers, ()) = tokio::try_join!(all, open)?;
    assert!(answers.iter().all(|answer| answer.text() == "2"));
    assert_eq!(edge.origin.count("/p/1"), 2);
    Ok(())
}

#[tokio::test]
async fn an_answer_older_than_a_purge_that_passed_it_is_fetched_again() -> Result<()> {
    let edge = Edge::start().await?;
    let gate = Gate::default();
    let held = gate.clone();
    // As from a web process that follows: it has caught up when it is asked with the new floor.
    edge.origin.on("/p/1", move |number, request| {
        let floor = request.header("Panono-Floor").unwrap();
        let answer = tagged(format!("at {floor}"), "max-age=3600", "p-1", &floor);
        if number == 1 {
            answer.held(&held)
        } else {
            answer
        }
    });
    let get = edge.get("/p/1");
    let purge = async {
        edge.origin.asked("/p/1", 1).await?;
        // Nothing is stored yet that could be purged.
        assert_eq!(
            edge.purge("p-1", "soft", "7")
                .await?
                .header("Panono-Purged")
                .as_deref(),
            Some("0")
        );
        gate.open();
        anyhow::Ok(())
    };
    let (answer, ()) = tokio::try_join!(get, purge)?;
    assert_eq!(answer.text(), "at 7");
    let hit = edge.get("/p/1").await?;
    assert_eq!((hit.text().as_str(), is_hit(&hit)), ("at 7", true));
    assert_eq!(edge.origin.count("/p/1"), 2);
    Ok(())
}

#[tokio::test]
async fn an_origin_that_stays_behind_is_asked_a_few_times_and_believed_for_a_second() -> Result<()>
{
    let edge = Edge::start().await?;
    edge.purge("none", "soft", "7").await?;
    let directives = "max-age=3600, stale-while-revalidate=600, stale-if-error=600";
    edge.origin
        .on("/p/1", move |_, _| tagged("old", directives, "p-1", "6"));
    edge.origin.on("/p/2", move |_, _| {
        Answer::ok("unknown")
            .header("CDN-Cache-Control", directives)
            .header("Surrogate-Key", "p-2")
    });
    edge.origin.on("/assets/app.css", move |_, _| {
        Answer::ok("no tags").header("CDN-Cache-Control", directives)
    });
    edge.origin
        .on("/p/3", move |_, _| tagged("as new", directives, "p-3", "7"));
    for (path, fetches, short) in [
        ("/p/1", 4, true),
        ("/p/2", 1, true),
        ("/assets/app.css", 1, false),
        ("/p/3", 1, false),
    ] {
        let answer = edge.get(path).await?;
        assert_eq!(edge.origin.count(path), fetches, "{path}");
        assert_eq!(
            seconds(&answer, "ttl") <= 1,
            short,
            "{path}: {}",
            status_of(&answer)
        );
        if short {
            wait_until("it to be asked for again", LIMIT, async || {
                let answer = edge.get(path).await.unwrap();
                assert!(
                    !status_of(&answer).contains("detail"),
                    "never stale: {}",
                    status_of(&answer)
                );
                edge.origin.count(path) > fetches
            })
            .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_purge_during_a_background_refresh_ends_the_stale_page() -> Result<()> {
    let edge = Edge::start().await?;
    let gate = Gate::default();
    let held = gate.clone();
    edge.origin.on("/p/1", move |number, request| {
        let floor = request.header("Panono-Floor").unwrap();
        match number {
            1 => soon_stale("first", "stale-while-revalidate=600, stale-if-error=600")
                .header("Surrogate-Key", "p-1")
                .header("Panono-Sequence", floor),
            2 => tagged(format!("at {floor}"), "max-age=3600", "p-1", &floor).held(&held),
            _ => tagged(format!("at {floor}"), "max-age=3600", "p-1", &floor),
        }
    });
    edge.get("/p/1").await?;
    wait_until("the background refresh", LIMIT, async || {
        assert_eq!(edge.get("/p/1").await.unwrap().text(), "first");
        edge.origin.count("/p/1") == 2
    })
    .await?;
    // The page has expired before this purge, which therefore passes over it. It must not be shown nevertheless.
    edge.purge("p-1", "soft", "7").await?;
    let next = edge.get("/p/1");
    let open = async {
        for _ in 0..20 {
            edge.get("/elsewhere").await?;
        }
        gate.open();
        anyhow::Ok(())
    };
    let (next, ()) = tokio::try_join!(next, open)?;
    assert_eq!(next.text(), "at 7", "{}", status_of(&next));
    assert_eq!(edge.get("/p/1").await?.text(), "at 7");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_a_purge_passed_by_is_shown_to_nobody_who_comes_after_it() -> Result<()> {
    // What comes as a whole cannot be found by its tags until all of it is there, however long ago its head was judged.
    let edge = Edge::edited(
        |_| (),
        |vcl| {
            let place = "sub vcl_backend_response {";
            assert_eq!(vcl.matches(place).count(), 1);
            vcl.replace(place, &format!("{place} set beresp.do_stream = false;"))
        },
    )
    .await?;
    // A purge that comes before the head is judged tests something else: then the next one may do better.
    for sequence in 1..=20_u32 {
        let path = format!("/p/{sequence}");
        let gate = Gate::default();
        let held = gate.clone();
        edge.origin.on(&path, move |number, request| {
            let floor = request.header("Panono-Floor").unwrap();
            let answer = tagged(format!("at {floor}"), "max-age=3600", "p", &floor);
            if number == 1 {
                answer.body_held(&held)
            } else {
                answer
            }
        });
        let before = edge.get(&path);
        let after = async {
            edge.origin.asked(&path, 1).await?;
            for _ in 0..20 {
                edge.get("/elsewhere").await?;
            }
            edge.purge("p", "soft", &sequence.to_string()).await?;
            let late = futures_util::future::try_join_all((0..10).map(|_| edge.get(&path)));
            let open = async {
                for _ in 0..20 {
                    edge.get("/elsewhere").await?;
                }
                gate.open();
                anyhow::Ok(())
            };
            let (late, ()) = tokio::try_join!(late, open)?;
            anyhow::Ok(late)
        };
        let (before, late) = tokio::try_join!(before, after)?;
        for answer in &late {
            assert_eq!(
                answer.text(),
                format!("at {sequence}"),
                "{}",
                status_of(answer)
            );
        }
        let next = edge.get(&path).await?;
        assert_eq!(
            (next.text(), is_hit(&next)),
            (format!("at {sequence}"), true)
        );
        if before.text() == format!("at {}", sequence - 1) {
            return Ok(());
        }
    }
    panic!("no purge came while an answer was under way");
}

#[tokio::test]
async fn a_background_refresh_that_a_purge_may_have_passed_is_repeated() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin.on("/p/1", |number, request| {
        let floor = request.header("Panono-Floor").unwrap();
        let answer = if number == 1 {
            soon_stale("1", "stale-while-revalidate=600")
        } else {
            page(number.to_string())
        };
        answer
            .header("Surrogate-Key", "p")
            .header("Panono-Sequence", floor)
    });
    edge.get("/p/1").await?;
    wait_until("the refreshed page", LIMIT, async || {
        edge.get("/p/1").await.unwrap().text() == "2"
    })
    .await?;
    for sequence in ["1", "2"] {
        edge.purge("something-else", "soft", sequence).await?;
        assert_eq!(edge.get("/p/1").await?.text(), "3");
        assert!(is_hit(&edge.get("/p/1").await?), "once is enough");
    }
    Ok(())
}

#[tokio::test]
async fn a_confirmation_older_than_a_purge_does_not_count() -> Result<()> {
    let edge = Edge::start().await?;
    let gate = Gate::default();
    let held = gate.clone();
    edge.origin.on("/p/1", move |number, request| {
        let floor: u32 = request.header("Panono-Floor").unwrap().parse().unwrap();
        match (number, floor) {
            (1, _) => tagged("old", "max-age=3600, stale-if-error=600", "p-1", "0")
                .header("ETag", "\"old\""),
            (2, 1) => Answer::new(304, "")
                .header("ETag", "\"old\"")
                .header("CDN-Cache-Control", "max-age=3600")
                .header("Panono-Sequence", "1")
                .held(&held),
            (3, 2) => tagged("new", "max-age=3600, stale-if-error=600", "p-1", "2")
                .header("ETag", "\"new\""),
            other => Answer::new(500, format!("unexpected {other:?}")),
        }
    });
    edge.get("/p/1").await?;
    edge.purge("p-1", "soft", "1").await?;
    let get = edge.get("/p/1");
    let purge = async {
        edge.origin.asked("/p/1", 2).await?;
        edge.purge("p-1", "soft", "2").await?;
        gate.open();
        anyhow::Ok(())
    };
    let (answer, ()) = tokio::try_join!(get, purge)?;
    assert_eq!(answer.text(), "new");
    assert_eq!(edge.get("/p/1").await?.text(), "new");
    Ok(())
}

#[tokio::test]
async fn an_edge_that_has_just_started_keeps_nothing_for_long() -> Result<()> {
    let edge = Edge::with(|config| config.settle = Duration::from_secs(300)).await?;
    edge.origin.on("/p/1", |number, _| {
        tagged(
            number.to_string(),
            "max-age=3600, stale-while-revalidate=600, stale-if-error=600",
            "p-1",
            "5",
        )
    });
    let first = edge.get("/p/1").await?;
    assert!(seconds(&first, "ttl") <= 1, "{}", status_of(&first));
    wait_until("it to be asked for again", LIMIT, async || {
        edge.get("/p/1").await.unwrap().text() != "1"
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_new_configuration_keeps_the_floor_and_the_tags() -> Result<()> {
    let mut edge = Edge::start().await?;
    edge.origin.on("/p/1", |number, request| {
        tagged(
            number.to_string(),
            "max-age=3600",
            "p-1",
            &request.header("Panono-Floor").unwrap(),
        )
    });
    edge.purge("none", "soft", "9").await?;
    edge.get("/p/1").await?;
    let mut config = VclConfig::new(
        vec![edge.origin.address().to_string()],
        vec![HOST.to_owned()],
        vec!["127.0.0.1".to_owned()],
    );
    config.settle = Duration::ZERO;
    edge.varnish.load(&vcl::render(&config)?).await?;
    assert!(is_hit(&edge.get("/p/1").await?));
    let answer = edge.purge("p-1", "soft", "3").await?;
    assert_eq!(
        (
            answer.header("Panono-Floor").as_deref(),
            answer.header("Panono-Purged").as_deref()
        ),
        (Some("9"), Some("1"))
    );
    Ok(())
}

#[tokio::test]
async fn a_request_that_changes_something_invalidates_its_own_url() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin.on("/p/lamp/reviews", |number, request| {
        match request.method() {
            "GET" => page(number.to_string()).header("Vary", "Accept-Encoding"),
            _ => Answer::new(422, ""),
        }
    });
    let target = "/p/lamp/reviews?a=1,2&b=2";
    for (method, headers, status, kept) in [
        ("POST", vec![("Content-Length", "0")], 422, true),
        ("OPTIONS", vec![], 422, true),
    ] {
        edge.get(target).await?;
        assert_eq!(edge.send(method, target, &headers).await?.status(), status);
        assert_eq!(is_hit(&edge.get(target).await?), kept, "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        edge.origin.on("/p/lamp/reviews", |number, request| {
            match request.method() {
                "GET" => page(number.to_string()),
                _ => Answer::new(303, "").header("Location", "/p/lamp"),
            }
        });
        edge.get(target).await?;
        edge.get("/p/lamp/reviews?a=1").await?;
        assert!(is_hit(&edge.get(target).await?));
        assert_eq!(
            edge.send(
                method,
                "/p/lamp/reviews?b=2&a=1,2",
                &[("Content-Length", "0")]
            )
            .await?
            .status(),
            303
        );
        let after = edge.get(target).await?;
        assert!(!is_hit(&after), "{method}: {}", status_of(&after));
        assert!(
            is_hit(&edge.get("/p/lamp/reviews?a=1").await?),
            "{method}: another URL"
        );
    }
    Ok(())
}
