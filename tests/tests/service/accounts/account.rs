//! What customers do with their own accounts.

use super::*;

#[tokio::test]
async fn a_second_factor_is_asked_for_and_no_code_works_twice() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.customer("ada@shop.example").await?;
    let confirm = json!({ "password": PASSWORD });
    let enrolment = browser
        .post("/api/v1/me/totp", confirm)
        .await?
        .expect(201)
        .json();
    let secret = enrolment["secret"].as_str().unwrap();
    assert!(enrolment["qr_code"].as_str().unwrap().starts_with("<svg"));
    let put = |code: String| json!({ "code": code });
    browser
        .call(Method::PUT, "/api/v1/me/totp", put("000000".to_owned()))
        .await?
        .problem(422, "unprocessable");
    let first = code_of(secret, -1);
    let codes = browser
        .call(Method::PUT, "/api/v1/me/totp", put(first.clone()))
        .await?
        .expect(200)
        .json();
    let recovery = codes["recovery_codes"][0].as_str().unwrap().to_owned();

    let mut other = bench.browser();
    let waiting = other.login("ada@shop.example", PASSWORD).await?.expect(200);
    assert_eq!(waiting.json()["second_factor"], true);
    // The password alone opens nothing.
    other
        .get("/api/v1/me")
        .await?
        .problem(401, "sign_in_required");
    other
        .post("/api/v1/auth/second-factor", put(first))
        .await?
        .problem(422, "unprocessable");
    let next = code_of(secret, 0);
    other
        .post("/api/v1/auth/second-factor", put(next.clone()))
        .await?
        .expect(200);
    other.get("/api/v1/me").await?.expect(200);

    let mut third = bench.browser();
    third.login("ada@shop.example", PASSWORD).await?.expect(200);
    third
        .post("/api/v1/auth/second-factor", put(next))
        .await?
        .problem(422, "unprocessable");
    third
        .post("/api/v1/auth/second-factor", put(recovery.clone()))
        .await?
        .expect(200);
    let mut fourth = bench.browser();
    fourth
        .login("ada@shop.example", PASSWORD)
        .await?
        .expect(200);
    fourth
        .post("/api/v1/auth/second-factor", put(recovery))
        .await?
        .problem(422, "unprocessable");
    Ok(())
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_a_new_password_ends_the_others() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.customer("ada@shop.example").await?;
    let mut phone = bench.browser();
    phone.login("ada@shop.example", PASSWORD).await?.expect(200);
    let listed = browser.get("/api/v1/me/sessions").await?.expect(200).json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let other = items.iter().find(|item| item["current"] == false).unwrap();
    let path = format!("/api/v1/me/sessions/{}", other["id"].as_str().unwrap());
    let mut stranger = bench.customer("eve@shop.example").await?;
    stranger
        .call(Method::DELETE, &path, json!({}))
        .await?
        .problem(404, "not_found");
    phone.get("/api/v1/me").await?.expect(200);
    browser
        .call(Method::DELETE, &path, json!({}))
        .await?
        .expect(204);
    phone
        .get("/api/v1/me")
        .await?
        .problem(401, "sign_in_required");

    phone.login("ada@shop.example", PASSWORD).await?.expect(200);
    let change =
        |present: &str| json!({ "password": present, "new_password": "quite another sentence" });
    browser
        .call(Method::PUT, "/api/v1/me/password", change("wrong sentence"))
        .await?
        .problem(422, "unprocessable");
    browser
        .call(Method::PUT, "/api/v1/me/password", change(PASSWORD))
        .await?
        .expect(204);
    browser.get("/api/v1/me").await?.expect(200);
    phone
        .get("/api/v1/me")
        .await?
        .problem(401, "sign_in_required");
    Ok(())
}

#[tokio::test]
async fn addresses_belong_to_their_customer() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.customer("ada@shop.example").await?;
    let address = json!({
        "name": "Ada Example", "line1": "1 Main St", "city": "Springfield", "region": "Illinois",
        "postcode": "62701", "country": "us", "default": true,
    });
    let added = browser
        .post("/api/v1/me/addresses", address.clone())
        .await?
        .expect(201)
        .json();
    assert_eq!(added["address"]["region"], "IL");
    let path = format!("/api/v1/me/addresses/{}", added["id"].as_str().unwrap());
    let mut stranger = bench.customer("eve@shop.example").await?;
    for method in [Method::PUT, Method::DELETE] {
        stranger
            .call(method, &path, address.clone())
            .await?
            .problem(404, "not_found");
    }
    let wrong = json!({ "name": "Ada", "country": "US" });
    let refused = browser
        .post("/api/v1/me/addresses", wrong)
        .await?
        .problem(422, "unprocessable");
    let fields: Vec<String> = refused.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(fields, ["/line1", "/city", "/region", "/postcode"]);
    browser
        .call(Method::DELETE, &path, json!({}))
        .await?
        .expect(204);
    let left = browser
        .get("/api/v1/me/addresses")
        .await?
        .expect(200)
        .json();
    assert_eq!(left["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn an_account_moves_only_to_an_address_that_answers() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.customer("ada@shop.example").await?;
    let ask = json!({ "email": "ada@new.example", "password": PASSWORD });
    browser.post("/api/v1/me/email", ask).await?.expect(202);
    browser
        .login("ada@new.example", PASSWORD)
        .await?
        .expect(401);
    let token = bench.token("ada@new.example", "verify_email").await?;
    let body = json!({ "token": token, "password": PASSWORD });
    let mut other = bench.browser();
    other.post("/api/v1/auth/verify", body).await?.expect(204);
    other.login("ada@new.example", PASSWORD).await?.expect(200);
    other.login("ada@shop.example", PASSWORD).await?.expect(401);
    Ok(())
}

#[tokio::test]
async fn ones_data_can_be_had_and_erased() -> Result<()> {
    let bench = Bench::start().await?;
    let mut browser = bench.customer("ada@shop.example").await?;
    let mut connection = bench.connect().await?;
    let id: i64 =
        sqlx::query_scalar("SELECT id FROM customer WHERE email_key = 'ada@shop.example'")
            .fetch_one(&mut connection)
            .await?;
    sqlx::query(
        "INSERT INTO orders (number, customer_id, customer_key, email, locale, currency, state, prices_include_tax, subtotal, \
         discount, shipping, tax, total, shipping_address) VALUES ('PAST', ?, REPEAT('k', 32), 'ada@shop.example', 'en', 'USD', \
         'placed', TRUE, 100, 0, 0, 0, 100, '{\"name\": \"Ada Example\", \"line1\": \"1 Main St\", \"city\": \"Springfield\", \"country\": \"US\"}')",
    )
    .bind(id)
    .execute(&mut connection)
    .await?;
    let data = browser.get("/api/v1/me/export").await?.expect(200);
    assert!(data.header("content-disposition").contains("attachment"));
    assert_eq!(data.json()["orders"][0]["number"], "PAST");
    assert_eq!(data.json()["profile"]["email"], "ada@shop.example");

    let confirm = json!({ "password": PASSWORD });
    // The order is under way, and its address is needed.
    browser
        .post("/api/v1/me/erasure", confirm.clone())
        .await?
        .problem(409, "conflict");
    sqlx::query("UPDATE orders SET state = 'completed', fulfilment_state = 'delivered'")
        .execute(&mut connection)
        .await?;
    browser
        .post("/api/v1/me/erasure", confirm)
        .await?
        .expect(204);
    browser
        .login("ada@shop.example", PASSWORD)
        .await?
        .expect(401);
    let (total, email, address): (i64, String, String) =
        sqlx::query_as("SELECT total, email, CAST(shipping_address AS CHAR) FROM orders")
            .fetch_one(&mut connection)
            .await?;
    assert_eq!((total, email.as_str()), (100, ""));
    assert!(address.contains("US") && !address.contains("Ada") && !address.contains("Main"));
    // The address is free again.
    bench.customer("ada@shop.example").await?;
    Ok(())
}
