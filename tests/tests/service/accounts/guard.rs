//! What every private request passes.

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
