//! What every private request passes.

use panono_shop::web::public::api::description;

use super::*;

#[tokio::test]
async fn other_sites_change_nothing_and_private_addresses_are_never_public() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.customer("ada@shop.example").await?;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("x-nothing", "said"),
    ] {
        let request = http::client()
            .post(format!("{}/api/v1/auth/logout", bench.shop.url()))
            .header(
                "cookie",
                format!("panono-session={}", browser.session.as_ref().unwrap()),
            )
            .header(name, value);
        bench
            .browser()
            .send(request)
            .await?
            .problem(403, "cross_site");
    }
    browser.get("/api/v1/me").await?.expect(200);
    for path in [
        "/en/account/style.css",
        "/en/account/security/x.js",
        "/en/%61ccount/nothing",
        "/de/account",
        "/api/v1/me/nothing",
        "/api/v1/session/x.png",
    ] {
        browser.get(path).await?.expect(404);
    }
    browser
        .call(Method::PUT, "/api/v1/session", json!({}))
        .await?
        .problem(405, "method_not_allowed");
    let large = json!({ "email": "a".repeat(300_000), "password": "x" });
    browser
        .post("/api/v1/auth/login", large)
        .await?
        .problem(413, "too_large");
    browser
        .post("/api/v1/auth/login", json!({ "email": 1 }))
        .await?
        .problem(400, "invalid_body");
    let misdirected = browser
        .request(Method::GET, "/api/v1/session")
        .header("host", "evil.example");
    browser.send(misdirected).await?.problem(421, "misdirected");
    Ok(())
}

/// What an operation of the description asks for.
fn demands(operation: &Value) -> (bool, bool) {
    let all = operation["security"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let open = all.is_empty()
        || all
            .iter()
            .any(|one| one.as_object().is_some_and(|one| one.is_empty()));
    let session = all.iter().any(|one| one.get("session").is_some());
    (open, session)
}

#[tokio::test]
async fn every_described_route_that_needs_a_customer_refuses_nobody_and_hides_from_others()
-> Result<()> {
    let bench = Bench::start().await?;
    let mut stranger = bench.customer("eve@shop.example").await?;
    let document = serde_json::to_value(description()).unwrap();
    let mut walked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if !panono_shop::web::private::paths::is_private(path) || path.contains("/webhooks/") {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let (open, session) = demands(operation);
            // A route says who may use it, or this test does not know what to expect.
            assert!(
                operation.get("security").is_some(),
                "{method} {path} states no security"
            );
            let concrete: String = path
                .split('/')
                .map(|part| {
                    if part.starts_with('{') {
                        "00000000000000000000000000"
                    } else {
                        part
                    }
                })
                .collect::<Vec<_>>()
                .join("/");
            let verb: Method = method.to_uppercase().parse().unwrap();
            let mut nobody = bench.browser();
            let answer = nobody.call(verb.clone(), &concrete, json!({})).await?;
            assert!(
                answer.status.as_u16() < 500,
                "{method} {path}: {}",
                answer.text
            );
            if session && !open {
                assert_eq!(
                    answer.status,
                    StatusCode::UNAUTHORIZED,
                    "{method} {path}: {}",
                    answer.text
                );
            }
            if path.contains('{') && session {
                let answer = stranger.call(verb, &concrete, json!({})).await?;
                assert!(
                    answer.status.is_client_error(),
                    "{method} {path} as another customer: {} {}",
                    answer.status,
                    answer.text
                );
            }
            walked += 1;
        }
    }
    assert!(walked >= 20, "{walked}");
    Ok(())
}
