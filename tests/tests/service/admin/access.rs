//! Who may do what, and what a request must look like.

use std::time::Duration;

use panono_shop::admin::cli::{TokenArguments, TokenCommand, run};
use panono_tests::wait::wait_until;

use super::*;

#[tokio::test]
async fn what_is_not_a_valid_token_is_refused() -> Result<()> {
    let staff = Staff::start().await?;
    let other = panono_shop::admin::token::Secret::random();
    for header in [
        "",
        "Bearer",
        "Bearer x",
        "Basic dXNlcjpwYXNz",
        &format!("Bearer {}", other.reveal()),
    ] {
        let request = http::client()
            .get(format!("{}/products", staff.url))
            .header("authorization", header);
        staff.send(request).await?.problem(401, "unauthenticated");
    }
    staff
        .execute("UPDATE api_token SET expires_at = NOW(6) - INTERVAL 1 SECOND")
        .await?;
    staff
        .get("/products")
        .await?
        .problem(401, "unauthenticated");
    Ok(())
}

#[tokio::test]
async fn the_command_line_makes_lists_and_revokes_tokens() -> Result<()> {
    let staff = Staff::start().await?;
    let create = TokenArguments {
        command: TokenCommand::Create {
            name: "erp".into(),
            scopes: vec![Scope::ReadCatalog],
            ttl: Some(Duration::from_secs(3600)),
        },
    };
    let mut output = Vec::new();
    run(&staff.db, &create, &mut output).await?;
    let secret = String::from_utf8(output)?.trim().to_owned();
    let read = async || {
        let request = http::client()
            .get(format!("{}/products", staff.url))
            .bearer_auth(&secret);
        staff.send(request).await.map(|reply| reply.status.as_u16())
    };
    assert_eq!(read().await?, 200);
    let taken = run(&staff.db, &create, &mut Vec::new()).await.unwrap_err();
    assert!(taken.to_string().contains("choose another name"), "{taken}");

    let mut output = Vec::new();
    run(
        &staff.db,
        &TokenArguments {
            command: TokenCommand::List,
        },
        &mut output,
    )
    .await?;
    let listed = String::from_utf8(output)?;
    assert!(
        listed.contains("erp\tvalid\tread:catalog") && !listed.contains(&secret),
        "{listed}"
    );
    assert_eq!(
        staff
            .value("SELECT COUNT(*) FROM api_token WHERE secret_hash LIKE '%panono%'")
            .await?,
        0
    );

    let revoke = TokenArguments {
        command: TokenCommand::Revoke { name: "erp".into() },
    };
    run(&staff.db, &revoke, &mut Vec::new()).await?;
    wait_until(
        "the revoked token to be refused",
        Duration::from_secs(30),
        async || read().await.is_ok_and(|status| status == 401),
    )
    .await?;
    let unknown = TokenArguments {
        command: TokenCommand::Revoke {
            name: "nobody".into(),
        },
    };
    let unknown = run(&staff.db, &unknown, &mut Vec::new()).await.unwrap_err();
    assert!(unknown.to_string().contains("token list"), "{unknown}");
    Ok(())
}

#[tokio::test]
async fn bodies_are_checked_whole_and_wrong_ones_change_nothing() -> Result<()> {
    let staff = Staff::start().await?;
    let post = |content: &str, body: Vec<u8>| {
        staff.send(
            staff
                .request(Method::POST, "/products")
                .header("content-type", content.to_owned())
                .body(body),
        )
    };
    let reply = post("application/json", b"{\n  \"slug\": oops}".to_vec())
        .await?
        .problem(400, "invalid_body");
    assert!(
        reply.body["detail"]
            .as_str()
            .unwrap()
            .contains("line 2 column 1"),
        "{}",
        reply.body
    );
    post("text/plain", b"{}".to_vec())
        .await?
        .problem(415, "unsupported_media_type");
    post("application/json", vec![b' '; 1024 * 1024 + 1])
        .await?
        .problem(413, "too_large");
    assert!(
        endless(&staff).await?.starts_with("HTTP/1.1 413"),
        "a body that does not say its length is counted"
    );
    let wrong = json!({"slug": "Not A Slug", "featured": "x", "colour": 1, "translations": {"en": {"name": "", "nam": "x"}, "EN": {}}});
    let reply = staff
        .post("/products", wrong)
        .await?
        .problem(400, "invalid_request");
    let fields = [
        "/slug",
        "/translations/EN",
        "/translations/en/name",
        "/translations/en/nam",
        "/featured",
        "/colour",
    ];
    let mut found = reply.fields();
    found.sort_unstable();
    let mut fields = fields.to_vec();
    fields.sort_unstable();
    assert_eq!(found, fields);
    let reply = staff
        .post("/products", json!({"translations": {"fr": {"name": "x"}}}))
        .await?
        .problem(422, "unprocessable");
    assert_eq!(reply.fields(), ["/translations/fr"]);
    staff
        .get("/products?colour=red")
        .await?
        .problem(400, "invalid_request");
    staff
        .get("/products?limit=0")
        .await?
        .problem(400, "invalid_request");
    staff
        .get("/products?after=x")
        .await?
        .problem(400, "invalid_cursor");
    staff.get("/products/abc").await?.problem(404, "not_found");
    staff.get("/products/1").await?.problem(404, "not_found");
    staff.get("/nothing").await?.problem(404, "not_found");
    staff
        .send(staff.request(Method::DELETE, "/products"))
        .await?
        .problem(405, "method_not_allowed");
    assert_eq!(staff.value("SELECT (SELECT COUNT(*) FROM product) + (SELECT COUNT(*) FROM audit_log) + (SELECT COUNT(*) FROM outbox)").await?, 0);
    Ok(())
}

#[tokio::test]
async fn every_statement_is_one_that_the_schema_takes() -> Result<()> {
    let staff = Staff::start().await?;
    let mut connection = staff.database.connect().await?;
    for (name, statement) in panono_shop::admin::statements() {
        use sqlx::{Executor, SqlSafeStr};
        connection
            .prepare(statement.into_sql_str())
            .await
            .with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// Sends a body in chunks, more than the server takes, and reads the beginning of its answer.
async fn endless(staff: &Staff) -> Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let host = staff
        .url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    let head = format!(
        "POST /api/v1/admin/products HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        staff.token
    );
    stream.write_all(head.as_bytes()).await?;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..17 {
        stream.write_all(chunk.as_bytes()).await?;
    }
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer)?)
}
