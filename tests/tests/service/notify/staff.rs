//! The staff's routes of webhooks and dead letters, and the command.

use anyhow::Result;
use panono_shop::outbox::{self, ClaimId, Topic};
use panono_tests::shop::Environment;
use panono_tests::staff::Staff;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

use super::{count, shop};

#[tokio::test]
async fn staff_keep_endpoints_and_see_their_secret_once() -> Result<()> {
    let (database, _db) = shop().await?;
    let mut connection = database.connect().await?;
    let environment = Environment::for_urls(&database).await?;
    let serving = environment.serve().await?;
    let staff = Staff::new(&environment, &serving.url()).await?;
    for (url, word) in [
        ("http://erp.example/", "https://"),
        ("https://127.0.0.1/", "public internet"),
        ("https://169.254.169.254/latest", "public internet"),
        ("nonsense", "must be an address"),
    ] {
        let new = json!({"url": url, "events": ["*"]});
        let refused = staff
            .send(Method::POST, "/webhook-endpoints", &new)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("422") && refused.contains(word),
            "{url}: {refused}"
        );
    }
    let unknown = json!({"url": "https://erp.example/", "events": ["order.eaten"]});
    let refused = staff
        .send(Method::POST, "/webhook-endpoints", &unknown)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("order.placed"),
        "the kinds are told: {refused}"
    );

    let new =
        json!({"url": "https://erp.example/hooks", "events": ["order.placed", "order.cancelled"]});
    let made = staff.send(Method::POST, "/webhook-endpoints", &new).await?;
    let id = made["id"].as_i64().unwrap();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    let path = format!("/webhook-endpoints/{id}");
    let shown = staff.send(Method::GET, &path, &json!({})).await?;
    assert!(shown.get("secret").is_none());
    let rotated = staff
        .send(Method::POST, &format!("{path}/secret"), &json!({}))
        .await?;
    assert_ne!(rotated["secret"].as_str(), Some(secret.as_str()));
    let stored: Vec<u8> = sqlx::query_scalar("SELECT secret FROM webhook_endpoint")
        .fetch_one(&mut connection)
        .await?;
    assert!(
        !stored.is_empty() && !String::from_utf8_lossy(&stored).contains("whsec_"),
        "it is sealed"
    );
    let patched = staff
        .send(
            Method::PATCH,
            &path,
            &json!({"status": "paused", "events": ["*"]}),
        )
        .await?;
    assert_eq!(
        (patched["status"].as_str(), patched["version"].as_i64()),
        (Some("paused"), Some(3))
    );
    let listed = staff
        .send(Method::GET, "/webhook-endpoints", &json!({}))
        .await?;
    assert_eq!(listed["items"][0]["id"], id);
    let none = staff
        .send(
            Method::GET,
            &format!("{path}/deliveries?state=dead"),
            &json!({}),
        )
        .await?;
    assert_eq!(none["items"], json!([]));
    staff
        .send(Method::PATCH, &path, &json!({"status": "archived"}))
        .await?;
    assert!(
        staff
            .send(Method::PATCH, &path, &json!({"status": "active"}))
            .await
            .is_err()
    );
    let audited: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM audit_log WHERE entity = 'webhook_endpoint'")
            .fetch_one(&mut connection)
            .await?;
    assert_eq!(audited, 4);
    let leaked = count(
        &mut connection,
        "audit_log WHERE CAST(after_value AS CHAR) LIKE '%whsec%'",
    )
    .await?;
    assert_eq!(leaked, 0);
    Ok(())
}

#[tokio::test]
async fn staff_and_the_command_see_replay_and_discard_dead_letters() -> Result<()> {
    let (database, _db) = shop().await?;
    let mut connection = database.connect().await?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let payload = json!({"template": "reset_password", "to": "ada@example.com", "data": {"link": "https://shop.example/secret"}});
        outbox::enqueue(
            &mut connection,
            Topic::MAIL,
            &format!("to-{number}"),
            &payload,
        )
        .await?;
    }
    let claim = ClaimId::random();
    for row in outbox::claim(
        &mut connection,
        Topic::MAIL,
        &claim,
        10,
        Duration::from_secs(60),
    )
    .await?
    {
        outbox::bury(&mut connection, row.id, &claim, "550 no such user").await?;
        ids.push(row.id);
    }
    let environment = Environment::for_urls(&database).await?;
    let serving = environment.serve().await?;
    let staff = Staff::new(&environment, &serving.url()).await?;
    let listed = staff
        .send(Method::GET, "/dead-letters?topic=mail&limit=2", &json!({}))
        .await?;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed["items"][0]["id"], ids[2]);
    assert!(
        !listed.to_string().contains("secret") && !listed.to_string().contains("ada@"),
        "{listed}"
    );
    let next = listed["next"].as_str().unwrap();
    let rest = staff
        .send(
            Method::GET,
            &format!("/dead-letters?topic=mail&limit=2&after={next}"),
            &json!({}),
        )
        .await?;
    assert_eq!(rest["items"][0]["id"], ids[0]);
    staff
        .send(
            Method::POST,
            &format!("/dead-letters/{}/replay", ids[0]),
            &json!({}),
        )
        .await?;
    assert!(
        staff
            .send(
                Method::POST,
                &format!("/dead-letters/{}/replay", ids[0]),
                &json!({})
            )
            .await
            .is_err()
    );
    staff
        .send(
            Method::DELETE,
            &format!("/dead-letters/{}", ids[1]),
            &json!({}),
        )
        .await?;
    assert_eq!(
        count(
            &mut connection,
            "outbox WHERE topic = 'mail' AND dead_at IS NULL"
        )
        .await?,
        1
    );
    assert_eq!(
        count(&mut connection, "audit_log WHERE entity = 'outbox'").await?,
        2
    );

    let text = environment.output(&["outbox", "list"]).await?;
    assert!(
        text.contains(&ids[2].to_string()) && text.contains("550 no such user"),
        "{text}"
    );
    assert!(!text.contains("secret"));
    let text = environment
        .output(&["outbox", "replay", "--topic", "mail"])
        .await?;
    assert!(text.starts_with("1 of mail"), "{text}");
    assert!(
        environment
            .output(&["outbox", "discard", "999999"])
            .await
            .is_err()
    );
    assert_eq!(
        count(
            &mut connection,
            "outbox WHERE topic = 'mail' AND dead_at IS NULL"
        )
        .await?,
        2
    );
    Ok(())
}
