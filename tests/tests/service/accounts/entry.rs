//! Registering, verifying, signing in and out, choosing a new password.

use super::*;

#[tokio::test]
async fn a_customer_registers_verifies_signs_in_and_out() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.browser();
    let body = json!({ "email": "Ada@Shop.Example", "password": PASSWORD, "locale": "zh-CN" });
    browser
        .post("/api/v1/auth/register", body)
        .await?
        .expect(202);
    assert_eq!(browser.session, None);
    // An address that was never verified opens nothing.
    browser
        .login("ada@shop.example", PASSWORD)
        .await?
        .problem(401, "invalid_credentials");

    let token = bench.token("Ada@Shop.Example", "verify_email").await?;
    let verify = |password: &str| json!({ "token": token, "password": password });
    let wrong = browser
        .post("/api/v1/auth/verify", verify("some other sentence"))
        .await?
        .problem(422, "unprocessable");
    assert_eq!(wrong.json()["errors"][0]["field"], "/password");
    browser
        .post("/api/v1/auth/verify", verify(PASSWORD))
        .await?
        .expect(200);
    let session = browser.get("/api/v1/session").await?.expect(200).json();
    assert_eq!(session["customer"]["email"], "Ada@Shop.Example");
    assert_eq!(session["customer"]["locale"], "zh-CN");
    browser
        .post("/api/v1/auth/verify", verify(PASSWORD))
        .await?
        .problem(422, "unprocessable");

    let old = browser.clone();
    browser
        .login("ADA@shop.example", PASSWORD)
        .await?
        .expect(200);
    assert_ne!(browser.session, old.session);
    // The session was rotated: the token from before is worth nothing.
    let mut stolen = old;
    stolen
        .get("/api/v1/me")
        .await?
        .problem(401, "sign_in_required");

    let mut copy = browser.clone();
    browser
        .post("/api/v1/auth/logout", json!({}))
        .await?
        .expect(204);
    assert_eq!(browser.session, None);
    copy.get("/api/v1/me")
        .await?
        .problem(401, "sign_in_required");
    Ok(())
}

#[tokio::test]
async fn nothing_tells_whether_an_address_has_an_account() -> Result<()> {
    let bench = Bench::start().await?;
    bench.customer("known@shop.example").await?;
    let mut browser = bench.browser();
    let mut answers = Vec::new();
    for email in ["known@shop.example", "unknown@shop.example"] {
        let register = json!({ "email": email, "password": "another long sentence" });
        let register = browser
            .post("/api/v1/auth/register", register)
            .await?
            .expect(202);
        let login = browser
            .login(email, "another long sentence")
            .await?
            .expect(401);
        let reset = browser
            .post("/api/v1/auth/reset-request", json!({ "email": email }))
            .await?
            .expect(202);
        let mut problem = login.json();
        problem["request_id"] = Value::Null;
        answers.push((register.text, problem, reset.text));
    }
    assert_eq!(answers[0], answers[1]);
    // The mails differ, and only the owner of the mailbox sees them.
    let templates = |mails: Vec<Value>| -> Vec<String> {
        mails
            .iter()
            .map(|mail| mail["template"].as_str().unwrap().to_owned())
            .collect()
    };
    let known = templates(bench.mails("known@shop.example").await?);
    assert_eq!(
        known,
        ["verify_email", "already_registered", "reset_password"]
    );
    // What was registered by somebody else did not change the password.
    browser
        .login("known@shop.example", PASSWORD)
        .await?
        .expect(200);
    Ok(())
}

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_once_and_ends_all_sessions() -> Result<()> {
    let bench = Bench::start().await?;
    let mut elsewhere = bench.customer("ada@shop.example").await?;
    let mut browser = bench.browser();
    browser
        .form("/en/reset", &[("email", "ada@shop.example")])
        .await?
        .expect(303);
    let token = bench.token("ada@shop.example", "reset_password").await?;
    let page = browser
        .get(&format!("/en/reset/new?token={token}"))
        .await?
        .expect(200);
    assert!(page.text.contains(&token));
    let chosen = "an altogether new sentence";
    let short = browser
        .form("/en/reset/new", &[("token", &token), ("password", "short")])
        .await?
        .expect(422);
    assert!(
        short.text.contains("at least 10 characters"),
        "{}",
        short.text
    );
    let fields = [("token", token.as_str()), ("password", chosen)];
    let done = browser.form("/en/reset/new", &fields).await?.expect(303);
    assert_eq!(done.header("location"), "/en/login?done=reset");
    browser.form("/en/reset/new", &fields).await?.expect(422);

    elsewhere
        .get("/api/v1/me")
        .await?
        .problem(401, "sign_in_required");
    browser
        .login("ada@shop.example", PASSWORD)
        .await?
        .problem(401, "invalid_credentials");
    browser.login("ada@shop.example", chosen).await?.expect(200);
    let mails = bench.mails("ada@shop.example").await?;
    assert_eq!(mails.last().unwrap()["template"], "password_changed");
    Ok(())
}

#[tokio::test]
async fn guessing_is_slowed_down_by_account_and_survives_a_restart() -> Result<()> {
    let mut bench = Bench::start().await?;
    bench.customer("ada@shop.example").await?;
    let mut browser = bench.browser();
    let mut refused = None;
    for _ in 0..20 {
        let reply = browser
            .login("ada@shop.example", "a wrong sentence")
            .await?;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(reply.problem(429, "too_many_attempts"));
            break;
        }
        reply.expect(401);
    }
    let refused = refused.expect("nobody was slowed down");
    assert!(refused.header("retry-after").parse::<u32>()? > 0);
    bench.shop.restart().await?;
    browser
        .login("ada@shop.example", PASSWORD)
        .await?
        .problem(429, "too_many_attempts");
    // Whoever is somewhere else is not locked out.
    let mut owner = bench.browser();
    owner.login("ada@shop.example", PASSWORD).await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn pages_work_without_scripts_in_both_languages() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.browser();
    for (locale, title) in [("en", "Create an account"), ("zh-cn", "注册账户")] {
        let page = browser
            .get(&format!("/{locale}/register"))
            .await?
            .expect(200);
        assert!(page.text.contains(title));
        assert!(page.text.contains("noindex"));
    }
    let refused = browser
        .form(
            "/zh-cn/register",
            &[("email", "nobody"), ("password", "short")],
        )
        .await?
        .expect(422);
    assert!(
        refused.text.contains("至少需要 10 个字符"),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("value=\"nobody\""));
    let fields = [("email", "ada@shop.example"), ("password", PASSWORD)];
    browser.form("/en/register", &fields).await?.expect(303);
    let token = bench.token("ada@shop.example", "verify_email").await?;
    let fields = [("token", token.as_str()), ("password", PASSWORD)];
    let entered = browser.form("/en/verify", &fields).await?.expect(303);
    assert_eq!(entered.header("location"), "/en/account");
    for path in ["", "/addresses", "/addresses/new", "/security", "/privacy"] {
        browser
            .get(&format!("/en/account{path}"))
            .await?
            .expect(200);
    }
    let mut guest = bench.browser();
    let sent = guest.get("/en/account/security").await?.expect(303);
    assert_eq!(
        sent.header("location"),
        "/en/login?next=%2Fen%2Faccount%2Fsecurity"
    );
    let fields = [
        ("email", "ada@shop.example"),
        ("password", PASSWORD),
        ("next", "/en/account/security"),
    ];
    let entered = guest.form("/en/login", &fields).await?.expect(303);
    assert_eq!(entered.header("location"), "/en/account/security");
    let fields = [
        ("email", "ada@shop.example"),
        ("password", PASSWORD),
        ("next", "//evil.example"),
    ];
    let entered = guest.form("/en/login", &fields).await?.expect(303);
    assert_eq!(entered.header("location"), "/en/account");
    Ok(())
}
