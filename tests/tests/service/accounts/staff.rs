//! Staff sign in, and may do what their role allows.

use super::*;

/// A member of staff with a role, and their first password.
pub(super) async fn member(bench: &Bench, email: &str, role: &str, scopes: &str) -> Result<String> {
    bench
        .environment
        .run(&["staff", "put-role", role, "--scope", scopes])
        .await?;
    let password = bench
        .environment
        .output(&["staff", "create", email, "--name", "Test", "--role", role])
        .await?;
    Ok(password.trim().to_owned())
}

pub(super) async fn token(browser: &mut Browser, body: Value) -> Result<String> {
    let session = browser.post("/api/v1/admin/login", body).await?.expect(200);
    Ok(session.json()["token"].as_str().unwrap().to_owned())
}

async fn status(bench: &Bench, token: &str, path: &str) -> Result<u16> {
    let url = format!("{}/api/v1/admin{path}", bench.shop.url());
    let answer = http::client().get(url).bearer_auth(token).send().await?;
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn staff_get_what_their_role_allows_until_they_are_disabled() -> Result<()> {
    let bench = Bench::start().await?;
    let email = "clerk@shop.example";
    let password = member(&bench, email, "clerk", "read:catalog").await?;
    let mut browser = bench.browser();
    let login = json!({ "email": email, "password": password });
    let wrong = json!({ "email": email, "password": "wrong" });
    browser
        .post("/api/v1/admin/login", wrong)
        .await?
        .problem(401, "invalid_credentials");
    let token = token(&mut browser, login.clone()).await?;
    assert_eq!(status(&bench, &token, "/products").await?, 200);
    assert_eq!(status(&bench, &token, "/audit-log").await?, 403);

    bench.environment.run(&["staff", "disable", email]).await?;
    browser
        .post("/api/v1/admin/login", login)
        .await?
        .problem(401, "invalid_credentials");
    panono_tests::wait::wait_until(
        "the token of a disabled member to be refused",
        std::time::Duration::from_secs(30),
        async || {
            let status = status(&bench, &token, "/products").await?;
            anyhow::ensure!(status == 401, "{status}");
            Ok(())
        },
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_second_factor_of_staff_is_asked_for() -> Result<()> {
    let bench = Bench::start().await?;
    let email = "owner@shop.example";
    let password = member(&bench, email, "owner", "read:catalog,read:audit").await?;
    let printed = bench.environment.output(&["staff", "totp", email]).await?;
    let secret = printed.lines().next().unwrap();
    let mut browser = bench.browser();
    let login = |code: &str| json!({ "email": email, "password": password, "code": code });
    browser
        .post(
            "/api/v1/admin/login",
            json!({ "email": email, "password": password }),
        )
        .await?
        .problem(401, "invalid_credentials");
    let code = code_of(secret, 0);
    let first = token(&mut browser, login(&code)).await?;
    assert_eq!(status(&bench, &first, "/audit-log").await?, 200);
    browser
        .post("/api/v1/admin/login", login(&code))
        .await?
        .problem(401, "invalid_credentials");
    Ok(())
}
