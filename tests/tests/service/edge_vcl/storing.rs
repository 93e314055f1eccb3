//! What is stored, for how long, and what is not.

use anyhow::Result;
use panono_tests::origin::{Answer, Gate};

use super::*;

/// Header lines, separated by ` | `, and the lifetime in seconds with which the answer is stored, if it is.
const RULES: &[(&str, Option<i64>)] = &[
    // RFC 9213: the targeted field decides alone.
    ("CDN-Cache-Control: max-age=600", Some(600)),
    (
        "CDN-Cache-Control: max-age=600 | Cache-Control: private, no-store",
        Some(600),
    ),
    (
        "CDN-Cache-Control: max-age=600 | Cache-Control: public, max-age=5",
        Some(600),
    ),
    (
        "CDN-Cache-Control: no-store | Cache-Control: public, max-age=600",
        None,
    ),
    ("CDN-Cache-Control: private, max-age=600", None),
    ("CDN-Cache-Control: no-cache, max-age=600", None),
    ("CDN-Cache-Control: max-age=0", None),
    ("CDN-Cache-Control: max-age=600, s-maxage=60", Some(60)),
    ("CDN-Cache-Control: must-revalidate", None),
    (
        "CDN-Cache-Control: max-age=600 | Expires: Thu, 01 Jan 1970 00:00:00 GMT",
        Some(600),
    ),
    // It is a structured dictionary.
    ("CDN-Cache-Control:   max-age=600  ,\tfoo", Some(600)),
    (
        "CDN-Cache-Control: stale-if-error=5 | CDN-Cache-Control: max-age=600",
        Some(600),
    ),
    ("CDN-Cache-Control: max-age=60, max-age=600", Some(600)),
    (
        "CDN-Cache-Control: max-age=600;a=1;b=\"x, no-store\"",
        Some(600),
    ),
    (
        "CDN-Cache-Control: max-age=600, a=\"no-store, private\", b=(1 2;c \"x\"), c=:aGk=:, d=?0, e=tok/en:x, f=1.5, g=@12, h=-4",
        Some(600),
    ),
    ("CDN-Cache-Control: max-age=600, no-store=?0", Some(600)),
    ("CDN-Cache-Control: max-age=600, no-store;x=?0", None),
    (
        "CDN-Cache-Control: no-store, no-store=?0, max-age=600",
        Some(600),
    ),
    (
        "CDN-Cache-Control: max-age=999999999999999",
        Some(2_592_000),
    ),
    // Valid, but without a lifetime that is an integer: nothing to store it for, and Cache-Control stays out of it.
    (
        "CDN-Cache-Control: max-age=\"600\" | Cache-Control: public, max-age=600",
        None,
    ),
    (
        "CDN-Cache-Control: max-age=600.5 | Cache-Control: public, max-age=600",
        None,
    ),
    (
        "CDN-Cache-Control: max-age=-600 | Cache-Control: public, max-age=600",
        None,
    ),
    (
        "CDN-Cache-Control: max-age | Cache-Control: public, max-age=600",
        None,
    ),
    (
        "CDN-Cache-Control: max-age=(600) | Cache-Control: public, max-age=600",
        None,
    ),
    (
        "CDN-Cache-Control: max-age=60, max-age=x | Cache-Control: public, max-age=600",
        None,
    ),
    (
        "CDN-Cache-Control: x-max-age=600 | Cache-Control: public, max-age=600",
        None,
    ),
    // Not a dictionary: as if it were not there.
    (
        "CDN-Cache-Control: Max-Age=600 | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: max-age=600, | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: max-age=600,, no-store | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: max-age=1000000000000000 | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: max-age = 600 | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: max-age=600; | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: a=\"x | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: a=?2 | Cache-Control: public, max-age=70",
        Some(70),
    ),
    (
        "CDN-Cache-Control: a=1.2345 | Cache-Control: public, max-age=70",
        Some(70),
    ),
    ("CDN-Cache-Control: max-age=600x", None),
    (
        "CDN-Cache-Control: | Cache-Control: public, max-age=70",
        Some(70),
    ),
    ("CDN-Cache-Control: max-age=600, NO-STORE", None),
    // Without it what has an explicit lifetime that is not for one reader alone.
    ("Cache-Control: public, max-age=600", Some(600)),
    ("Cache-Control: PUBLIC, Max-Age=600", Some(600)),
    ("Cache-Control: public, max-age=\"600\"", Some(600)),
    ("Cache-Control: s-maxage=600", Some(600)),
    ("Cache-Control: s-maxage=600, max-age=5", Some(600)),
    (
        "Cache-Control: public | Cache-Control: max-age=600",
        Some(600),
    ),
    (
        "Cache-Control: public, max-age=99999999999999999999",
        Some(2_592_000),
    ),
    ("Cache-Control: public, max-age=60, max-age=600", None),
    ("Cache-Control: public, max-age=six", None),
    ("Cache-Control: public, max-age=600, private=\"x\"", None),
    (
        "Cache-Control: public, max-age=600, no-cache=\"set-cookie\"",
        None,
    ),
    ("Cache-Control: public, max-age=600, no-store", None),
    (
        "Cache-Control: public, max-age=600, x=\"no-store\"",
        Some(600),
    ),
    ("Cache-Control: public; max-age=600", None),
    ("Cache-Control: max-age=600", Some(600)),
    ("Cache-Control: max-age=000600", Some(600)),
    ("Cache-Control: max-age=600, must-revalidate", Some(600)),
    ("Cache-Control: max-age=600, private", None),
    ("Cache-Control: max-age=600, no-cache", None),
    ("Cache-Control: public", None),
    (
        "Cache-Control: public | Date: Thu, 01 Jan 2026 00:00:00 GMT | Expires: Thu, 01 Jan 2026 00:10:00 GMT",
        Some(600),
    ),
    (
        "Cache-Control: public | Date: Thu, 01 Jan 2026 00:00:00 GMT | Expires: 0",
        None,
    ),
    (
        "Date: Thu, 01 Jan 2026 00:00:00 GMT | Expires: Thu, 01 Jan 2026 00:10:00 GMT",
        Some(600),
    ),
    (
        "Cache-Control: private | Date: Thu, 01 Jan 2026 00:00:00 GMT | Expires: Thu, 01 Jan 2026 00:10:00 GMT",
        None,
    ),
    ("Date: Thu, 01 Jan 2026 00:00:00 GMT | Expires: soon", None),
    ("Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", None),
    ("Surrogate-Control: max-age=600", None),
    ("ETag: \"x\"", None),
    (
        "Pragma: no-cache | CDN-Cache-Control: max-age=600",
        Some(600),
    ),
    // What it has aged elsewhere counts.
    ("CDN-Cache-Control: max-age=600 | Age: 100", Some(500)),
    ("CDN-Cache-Control: max-age=600 | Age: 600", None),
    // Not a number of seconds: as if it were not there.
    ("CDN-Cache-Control: max-age=600 | Age: 600.0", Some(600)),
    ("CDN-Cache-Control: max-age=600 | Age: old", Some(600)),
    // What would show one shopper's answer to another.
    ("CDN-Cache-Control: max-age=600 | Set-Cookie: a=b", None),
    ("CDN-Cache-Control: max-age=600 | Vary: *", None),
    ("CDN-Cache-Control: max-age=600 | Vary: Cookie", None),
    (
        "CDN-Cache-Control: max-age=600 | Vary: Accept-Encoding, Accept-Language",
        None,
    ),
    (
        "CDN-Cache-Control: max-age=600 | Vary: accept-encoding",
        Some(600),
    ),
    (
        "CDN-Cache-Control: max-age=600 | Vary: Accept-Encoding | Vary: Accept-Encoding",
        Some(600),
    ),
];

#[tokio::test]
async fn only_what_is_explicitly_meant_for_the_edge_is_stored() -> Result<()> {
    let edge = Edge::start().await?;
    for (index, (lines, expected)) in RULES.iter().enumerate() {
        let path = format!("/rule/{index}");
        edge.origin.on(&path, |number, _| {
            lines
                .split(" | ")
                .fold(Answer::ok(number.to_string()), |answer, line| {
                    let (name, value) = line.split_once(':').unwrap();
                    answer.header(name, value.trim_start_matches(' '))
                })
        });
        let first = edge.get(&path).await?;
        let second = edge.get(&path).await?;
        assert_eq!(first.text(), "1", "{lines}");
        match expected {
            Some(lifetime) => {
                assert_eq!(
                    (second.text().as_str(), edge.origin.count(&path)),
                    ("1", 1),
                    "should be stored: {lines}: {}",
                    status_of(&first)
                );
                let left = seconds(&first, "ttl");
                assert!(
                    (lifetime - 2..=*lifetime).contains(&left),
                    "{lines}: ttl={left}"
                );
                assert!(
                    status_of(&first).contains("; stored"),
                    "{lines}: {}",
                    status_of(&first)
                );
            }
            None => {
                assert_eq!(
                    second.text(),
                    "2",
                    "should not be stored: {lines}: {}",
                    status_of(&second)
                );
                assert!(
                    !status_of(&first).contains("; stored"),
                    "{lines}: {}",
                    status_of(&first)
                );
            }
        }
    }
    Ok(())
}

/// RFC 9111, section 3.5. The credentials do not reach the origin, and yet only what is said to be for everybody is stored.
#[tokio::test]
async fn who_sends_credentials_fills_no_cache_by_accident() -> Result<()> {
    let edge = Edge::start().await?;
    for (index, (directives, stored)) in [
        ("max-age=600", false),
        ("public, max-age=600", true),
        ("s-maxage=600", true),
        ("max-age=600, must-revalidate", true),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/credentials/{index}");
        edge.origin.on(&path, move |number, request| {
            assert_eq!(request.header("Authorization"), None);
            Answer::ok(number.to_string()).header("Cache-Control", directives)
        });
        let first = edge
            .send("GET", &path, &[("Authorization", "Bearer x")])
            .await?;
        assert_eq!(first.text(), "1", "{directives}");
        assert_eq!(is_hit(&edge.get(&path).await?), stored, "{directives}");
    }
    Ok(())
}

#[tokio::test]
async fn only_final_answers_that_can_be_reused_are_stored() -> Result<()> {
    let edge = Edge::start().await?;
    for (status, stored) in [
        (200, true),
        (204, true),
        (301, true),
        (302, true),
        (303, true),
        (307, true),
        (308, true),
        (404, true),
        (410, true),
        (206, false),
        (400, false),
        (401, false),
        (403, false),
        (405, false),
        (409, false),
        (416, false),
        (429, false),
    ] {
        let path = format!("/status/{status}");
        edge.origin.on(&path, move |_, _| {
            Answer::new(status, "x").header("CDN-Cache-Control", "max-age=600")
        });
        assert_eq!(edge.get(&path).await?.status(), status);
        assert_eq!(is_hit(&edge.get(&path).await?), stored, "{status}");
    }
    // A failure that only the origin understands is not even shared for the second that others are.
    edge.origin.on("/status/599", |number, _| {
        Answer::new(599, number.to_string())
    });
    assert_eq!(edge.get("/status/599").await?.text(), "1");
    assert_eq!(edge.get("/status/599").await?.text(), "2");
    Ok(())
}

#[tokio::test]
async fn a_hundred_shoppers_cost_the_origin_one_request() -> Result<()> {
    let edge = Edge::start().await?;
    let gate = Gate::default();
    let held = gate.clone();
    edge.origin.on("/p/lamp", move |number, _| {
        page(number.to_string()).held(&held)
    });
    let first = edge.get("/p/lamp");
    let others = async {
        edge.origin.asked("/p/lamp", 1).await?;
        futures_util::future::try_join_all((0..99).map(|_| edge.get("/p/lamp"))).await
    };
    let open = async {
        edge.origin.asked("/p/lamp", 1).await?;
        // Round trips through the same edge and origin: meanwhile the others have arrived, or they come as hits.
        for _ in 0..20 {
            edge.get("/elsewhere").await?;
        }
        gate.open();
        Ok(())
    };
    let (first, others, ()) = tokio::try_join!(first, others, open)?;
    assert_eq!(edge.origin.count("/p/lamp"), 1);
    assert_eq!(first.text(), "1");
    assert!(others.iter().all(|answer| answer.text() == "1"));
    assert!(
        others
            .iter()
            .any(|answer| status_of(answer).contains("; collapsed")),
        "nobody waited"
    );
    Ok(())
}

#[tokio::test]
async fn shoppers_do_not_wait_for_each_other_where_nothing_is_stored() -> Result<()> {
    let edge = Edge::start().await?;
    let gate = Gate::default();
    let held = gate.clone();
    edge.origin
        .on("/api/v1/catalog/availability", move |number, _| {
            let answer = Answer::ok(number.to_string());
            if number == 1 {
                answer
            } else {
                answer.held(&held)
            }
        });
    edge.get("/api/v1/catalog/availability").await?;
    let all = futures_util::future::try_join_all(
        (0..20).map(|_| edge.get("/api/v1/catalog/availability")),
    );
    let at_once = async {
        // All twenty are at the origin while none is answered.
        edge.origin
            .asked("/api/v1/catalog/availability", 21)
            .await?;
        gate.open();
        anyhow::Ok(())
    };
    let (answers, ()) = tokio::try_join!(all, at_once)?;
    assert!(
        status_of(&answers[0]).contains("detail=hit-for-miss"),
        "{}",
        status_of(&answers[0])
    );
    // As soon as it may be stored, it is.
    edge.origin
        .on("/api/v1/catalog/availability", |_, _| page("now"));
    edge.get("/api/v1/catalog/availability").await?;
    assert!(is_hit(&edge.get("/api/v1/catalog/availability").await?));
    Ok(())
}

#[tokio::test]
async fn each_encoding_is_a_variant_and_one_is_chosen_by_weight() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin.on("/p/lamp", |_, request| {
        let coding = request.header("Accept-Encoding").unwrap_or_default();
        let answer = page(format!("as {coding}")).header("Vary", "Accept-Encoding");
        // Varnish looks into what calls itself gzip; this body would not pass.
        if coding.is_empty() || coding == "gzip" {
            answer
        } else {
            answer.header("Content-Encoding", coding)
        }
    });
    for (accepted, chosen) in [
        (None, ""),
        (Some(""), ""),
        (Some("identity"), ""),
        (Some("deflate"), ""),
        (Some("gzip"), "gzip"),
        (Some("x-gzip"), "gzip"),
        (Some("GZIP"), "gzip"),
        (Some("gzip, deflate, br, zstd"), "br"),
        (Some("gzip;q=1.0, br;q=0.5"), "gzip"),
        (Some("br;q=0, gzip"), "gzip"),
        (Some("br;q=0.0,gzip;q=0,*;q=0.1"), "zstd"),
        (Some("*"), "br"),
        (Some("*;q=0"), ""),
        (Some("br;q=0.001"), "br"),
        (Some("br ; q=0.5 , zstd ; q=0.6"), "zstd"),
        (Some("br;q=2, gzip;q=0.1"), "gzip"),
        (Some("gzip;q=x"), ""),
        (Some("identity, gzip;q=0.5"), ""),
        (Some("identity;q=0.5, gzip"), "gzip"),
        (Some("brotli, gzipped"), ""),
    ] {
        let headers: Vec<(&str, &str)> = accepted
            .iter()
            .map(|&value| ("Accept-Encoding", value))
            .collect();
        let answer = edge.send("GET", "/p/lamp", &headers).await?;
        assert_eq!(answer.text(), format!("as {chosen}"), "{accepted:?}");
        assert_eq!(answer.header("Vary").as_deref(), Some("Accept-Encoding"));
    }
    assert_eq!(
        edge.origin.count("/p/lamp"),
        4,
        "one request for each variant"
    );
    // An encoded answer that forgets to say that it varies is not shown to those who cannot read it.
    edge.origin.on("/p/forgets", |_, request| {
        page("x").header(
            "Content-Encoding",
            request
                .header("Accept-Encoding")
                .unwrap_or("identity".to_owned()),
        )
    });
    edge.send("GET", "/p/forgets", &[("Accept-Encoding", "br")])
        .await?;
    assert_eq!(
        edge.get("/p/forgets")
            .await?
            .header("Content-Encoding")
            .as_deref(),
        Some("identity")
    );
    Ok(())
}

#[tokio::test]
async fn ages_ranges_heads_and_conditions_are_answered_from_the_store() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin.on("/p/lamp", |_, _| {
        page("0123456789")
            .header("Age", "100")
            .header("ETag", "\"v1\"")
            .header("Cache-Status", "origin-cache; hit; ttl=5")
    });
    let head = edge.send("HEAD", "/p/lamp", &[]).await?;
    assert_eq!(head.header("Content-Length").as_deref(), Some("10"));
    let hit = edge.get("/p/lamp").await?;
    assert_eq!(edge.origin.requests("/p/lamp")[0].method(), "GET");
    assert!(
        matches!(hit.header("Age").unwrap().parse::<u32>(), Ok(100..=110)),
        "{:?}",
        hit.header("Age")
    );
    assert!(
        status_of(&hit) == "origin-cache; hit; ttl=5, panono-edge; hit",
        "{}",
        status_of(&hit)
    );
    let range = edge
        .send("GET", "/p/lamp", &[("Range", "bytes=2-4")])
        .await?;
    assert_eq!((range.status(), range.text().as_str()), (206, "234"));
    for (condition, status) in [
        ("\"v1\"", 304),
        ("W/\"v1\"", 304),
        ("\"v0\", \"v1\"", 304),
        ("\"v0\", W/\"v1\"", 304),
        ("*", 304),
        ("\"v11\", \"xv1\"", 200),
        ("\"v2\"", 200),
    ] {
        assert_eq!(
            edge.send("GET", "/p/lamp", &[("If-None-Match", condition)])
                .await?
                .status(),
            status,
            "{condition}"
        );
    }
    let reloaded = edge
        .send(
            "GET",
            "/p/lamp",
            &[
                ("Cache-Control", "no-cache, max-age=0"),
                ("Pragma", "no-cache"),
            ],
        )
        .await?;
    assert!(is_hit(&reloaded), "a client cannot make the edge forget");
    assert_eq!(edge.origin.count("/p/lamp"), 1);
    assert_eq!(
        edge.send("GET", "/p/chair", &[("Cache-Control", "only-if-cached")])
            .await?
            .status(),
        504
    );
    assert!(is_hit(
        &edge
            .send("GET", "/p/lamp", &[("Cache-Control", "only-if-cached")])
            .await?
    ));
    Ok(())
}

#[tokio::test]
async fn what_is_between_origin_and_edge_stays_there() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin.on("/p/lamp", |_, _| {
        tagged("x", "max-age=600, stale-if-error=60", "p-1 all", "0")
            .header("Surrogate-Control", "max-age=600")
            .header("Panono-Anything", "1")
            .header("xkey", "p-1")
            .header("X-HashTwo", "p-1")
            .header("Via", "1.1 inner")
            .header("X-Varnish", "7")
            .header("Warning", "110 - old")
            .header("ETag", "\"v\"")
    });
    for answer in [edge.get("/p/lamp").await?, edge.get("/p/lamp").await?] {
        let names: Vec<String> = answer
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        for name in &names {
            assert!(
                ![
                    "surrogate-",
                    "panono-",
                    "cdn-",
                    "x-varnish",
                    "via",
                    "xkey",
                    "x-hash",
                    "cache-tag",
                    "warning",
                    "x-dropped"
                ]
                .iter()
                .any(|prefix| name.starts_with(prefix)),
                "{name}"
            );
        }
        assert!(names.contains(&"etag".to_owned()) && names.contains(&"x-request-id".to_owned()));
    }
    Ok(())
}
