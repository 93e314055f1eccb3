//! Risk: rules that find what they are for on a real database, lists, and the queue of reviews.

use anyhow::Result;
use panono_shop::orders::OrderNumber;
use panono_shop::risk::lists::ListKind;
use panono_shop::risk::{Assessment, Outcome, RiskSettings, Stage, assess, store, store_staff};
use panono_shop::secret::Keys;
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::{Environment, SECRET_KEY};
use panono_tests::staff::Staff;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::MySqlConnection;

use crate::notify::order;

const SETTINGS: RiskSettings = RiskSettings {
    review_from: 50,
    refuse_from: 100,
};

async fn shop() -> Result<(TestDatabase<'static>, MySqlConnection)> {
    let database = TestDatabase::shared().await?;
    database.migrate().await?;
    let connection = database.connect().await?;
    Ok((database, connection))
}

async fn rule(
    connection: &mut MySqlConnection,
    kind: &str,
    parameters: Value,
    weight: i32,
    mode: &str,
) -> Result<()> {
    store_staff::insert_rule(connection, (kind, kind, &parameters), weight, mode).await?;
    Ok(())
}

/// An order of somebody else, with the same IP address, postal address or card where it says so.
async fn another(connection: &mut MySqlConnection, number: usize, email: &str) -> Result<i64> {
    let id = order(connection, &format!("PX-{number}"), email, "en").await?;
    sqlx::query("UPDATE orders SET ip_key = UNHEX(SHA2('ip', 256)) WHERE id = ?")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO payment (public_id, order_id, provider, state, currency, amount, authorized, fingerprint, method) \
         VALUES (LPAD(?, 26, '0'), ?, 'test', 'authorized', 'EUR', 3990, 3990, 'card-1', '{\"country\": \"US\"}')")
        .bind(id)
        .bind(id)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO order_discount (order_id, promotion_id, coupon_code, label, amount) VALUES (?, 1, 'SUMMER', 'Summer', 500)")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(id)
}

async fn judge(connection: &mut MySqlConnection, id: i64) -> Result<Assessment> {
    Ok(assess(connection, &SETTINGS, id, Stage::AfterAuthorization).await?)
}

#[tokio::test]
async fn each_rule_finds_what_it_is_for_in_the_tables() -> Result<()> {
    let (_database, mut connection) = shop().await?;
    let window = json!({"minutes": 60, "more_than": 2});
    for (kind, parameters) in [
        ("velocity_account", window.clone()),
        ("velocity_address", window.clone()),
        ("velocity_ip", window.clone()),
        ("velocity_card", window.clone()),
        ("coupon_abuse", window),
        ("amount", json!({"currency": "EUR", "at_least": 3990})),
        (
            "new_account",
            json!({"younger_than_hours": 24, "guests": true}),
        ),
        ("country_mismatch", json!({})),
    ] {
        rule(&mut connection, kind, parameters, 10, "active").await?;
    }
    let mut last = 0;
    for number in 0..3 {
        last = another(
            &mut connection,
            number,
            &format!("shopper-{number}@example.com"),
        )
        .await?;
    }
    let named = |assessment: &Assessment| -> Vec<String> {
        assessment
            .reasons
            .iter()
            .map(|reason| reason.rule.clone())
            .collect()
    };
    // Two others are nothing unusual; the card is from another country, and there is no account.
    let judged = judge(&mut connection, last).await?;
    assert_eq!(
        named(&judged),
        ["amount", "new_account", "country_mismatch"]
    );
    let fourth = another(&mut connection, 3, "shopper-3@example.com").await?;
    let judged = judge(&mut connection, fourth).await?;
    assert_eq!(
        named(&judged),
        [
            "velocity_address",
            "velocity_ip",
            "velocity_card",
            "coupon_abuse",
            "amount",
            "new_account",
            "country_mismatch"
        ]
    );
    assert_eq!((judged.score, judged.outcome), (70, Outcome::Review));
    // What was long ago does not count.
    sqlx::query("UPDATE orders SET created_at = NOW(6) - INTERVAL 2 HOUR WHERE id <> ?")
        .bind(fourth)
        .execute(&mut connection)
        .await?;
    sqlx::query("UPDATE payment SET created_at = NOW(6) - INTERVAL 2 HOUR WHERE order_id <> ?")
        .bind(fourth)
        .execute(&mut connection)
        .await?;
    let judged = judge(&mut connection, fourth).await?;
    assert_eq!(
        named(&judged),
        ["amount", "new_account", "country_mismatch"]
    );
    for number in 4..8 {
        last = another(&mut connection, number, "one@example.com").await?;
    }
    assert!(named(&judge(&mut connection, last).await?).contains(&"velocity_account".to_owned()));
    // Everything was recorded, with its reasons.
    let recorded = store_staff::assessments(&mut connection, fourth).await?;
    assert_eq!(recorded.len(), 2);
    assert_eq!(
        (recorded[0].outcome.as_str(), recorded[0].reasons.len()),
        ("review", 7)
    );
    assert!(
        recorded[0].reasons[0]
            .finding
            .contains("3 other orders to this address in 60 minutes")
    );
    Ok(())
}

#[tokio::test]
async fn without_rules_nothing_is_judged_and_rules_in_shadow_only_watch() -> Result<()> {
    let (_database, mut connection) = shop().await?;
    let id = another(&mut connection, 1, "ada@example.com").await?;
    assert_eq!(judge(&mut connection, id).await?, Assessment::default());
    assert!(
        store_staff::assessments(&mut connection, id)
            .await?
            .is_empty()
    );
    rule(
        &mut connection,
        "amount",
        json!({"currency": "EUR", "at_least": 1}),
        200,
        "shadow",
    )
    .await?;
    rule(&mut connection, "address_mismatch", json!({}), 200, "off").await?;
    // Of a newer release: left out, not in the way.
    sqlx::query("INSERT INTO risk_rule (name, kind, parameters, weight, mode) VALUES ('moon', 'moon_phase', '{}', 500, 'active')")
        .execute(&mut connection)
        .await?;
    let judged = judge(&mut connection, id).await?;
    assert_eq!(
        (judged.outcome, judged.shadow_outcome, judged.score),
        (Outcome::Accept, Outcome::Refuse, 0)
    );
    assert!(judged.reasons[0].shadow);
    Ok(())
}

#[tokio::test]
async fn lists_decide_before_rules() -> Result<()> {
    let (_database, mut connection) = shop().await?;
    let keys = Keys::parse(SECRET_KEY)?;
    let id = another(&mut connection, 1, "ada@example.com").await?;
    let email = ListKind::Email.key(&keys, "Ada@Example.com").unwrap();
    sqlx::query("UPDATE orders SET customer_key = ? WHERE id = ?")
        .bind(email.as_slice())
        .bind(id)
        .execute(&mut connection)
        .await?;
    rule(
        &mut connection,
        "amount",
        json!({"currency": "EUR", "at_least": 1}),
        60,
        "active",
    )
    .await?;
    assert_eq!(judge(&mut connection, id).await?.outcome, Outcome::Review);
    store_staff::put_list(&mut connection, ("allow", "email", "a friend"), &email).await?;
    assert_eq!(judge(&mut connection, id).await?.outcome, Outcome::Accept);
    for (kind, value) in [(ListKind::Card, "card-1"), (ListKind::Country, "GB")] {
        let key = kind.key(&keys, value).unwrap();
        store_staff::put_list(&mut connection, ("deny", kind.name(), ""), &key).await?;
        let judged = judge(&mut connection, id).await?;
        assert_eq!(judged.outcome, Outcome::Refuse, "{value}");
        assert!(
            judged
                .reasons
                .iter()
                .any(|reason| reason.rule == "deny list" && reason.finding.contains(kind.name()))
        );
        assert!(store_staff::delete_list(&mut connection, kind.name(), &hex::encode(key)).await?);
    }
    Ok(())
}

#[tokio::test]
async fn signals_are_counted_by_indexes() -> Result<()> {
    let (_database, mut connection) = shop().await?;
    for number in 0..20 {
        another(
            &mut connection,
            number,
            &format!("shopper-{number}@example.com"),
        )
        .await?;
    }
    for (name, statement) in store::STATEMENTS {
        if statement.starts_with("INSERT") {
            continue;
        }
        let statement = statement
            .replace("INTERVAL ? MINUTE", "INTERVAL 60 MINUTE")
            .replace("LIMIT ?", "LIMIT 500")
            .replace("id <> ?", "id <> 1")
            .replace("orders.id = ?", "orders.id = 1")
            .replace('?', "UNHEX(SHA2('ip', 256))");
        let plan: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "EXPLAIN FORMAT=TREE {statement}"
        )))
        .fetch_one(&mut connection)
        .await?;
        let scans = plan
            .lines()
            .filter(|line| {
                line.contains("Table scan on")
                    && !line.contains("counted")
                    && !line.contains("<temporary>")
                    && !line.contains("risk_")
            })
            .count();
        assert_eq!(scans, 0, "{name}:\n{plan}");
    }
    Ok(())
}

#[tokio::test]
async fn staff_keep_rules_and_lists_and_decide_reviews() -> Result<()> {
    let (database, mut connection) = shop().await?;
    let environment = Environment::for_urls(&database).await?;
    let serving = environment.serve().await?;
    let staff = Staff::new(&environment, &serving.url()).await?;
    let new = json!({"name": "many from one place", "kind": "velocity_ip", "parameters": {"minutes": 60, "more_than": 3}, "weight": 60});
    let made = staff.send(Method::POST, "/risk/rules", &new).await?;
    assert_eq!(made["mode"], "shadow", "a new rule is watched first");
    assert!(
        staff
            .send(Method::POST, "/risk/rules", &new)
            .await
            .unwrap_err()
            .to_string()
            .contains("409")
    );
    let wrong = json!({"name": "x", "kind": "velocity_ip", "parameters": {"minutes": 0, "more_than": 3}, "weight": 60});
    let refused = staff
        .send(Method::POST, "/risk/rules", &wrong)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("422") && refused.contains("minutes 1 to"),
        "{refused}"
    );
    let path = format!("/risk/rules/{}", made["id"]);
    let patched = staff
        .send(
            Method::PATCH,
            &path,
            &json!({"mode": "active", "weight": 80}),
        )
        .await?;
    assert_eq!(
        (
            patched["mode"].as_str(),
            patched["weight"].as_i64(),
            patched["version"].as_i64()
        ),
        (Some("active"), Some(80), Some(2))
    );
    assert!(
        staff
            .send(Method::PATCH, &path, &json!({"parameters": {}}))
            .await
            .is_err()
    );

    let entry = json!({"list": "deny", "kind": "email", "value": "thief@example.com", "note": "chargebacks"});
    staff.send(Method::PUT, "/risk/lists", &entry).await?;
    let listed = staff.send(Method::GET, "/risk/lists", &json!({})).await?;
    assert_eq!(listed["items"][0]["note"], "chargebacks");
    assert!(
        !listed.to_string().contains("thief@"),
        "the address is not kept"
    );
    let key = listed["items"][0]["value_key"].as_str().unwrap().to_owned();
    let entry = format!("/risk/lists/email/{key}");
    staff.send(Method::DELETE, &entry, &json!({})).await?;
    assert!(
        staff
            .send(Method::DELETE, &entry, &json!({}))
            .await
            .unwrap_err()
            .to_string()
            .contains("404")
    );

    let mut numbers = Vec::new();
    for place in 0..4 {
        let number = OrderNumber::random();
        let id = another(&mut connection, 900 + place, "ada@example.com").await?;
        sqlx::query("UPDATE orders SET number = ?, review_state = 'pending' WHERE id = ?")
            .bind(number.as_str())
            .bind(id)
            .execute(&mut connection)
            .await?;
        sqlx::query("UPDATE risk_rule SET kind = 'amount', parameters = '{\"currency\": \"EUR\", \"at_least\": 1}'")
            .execute(&mut connection)
            .await?;
        assert_eq!(judge(&mut connection, id).await?.outcome, Outcome::Review);
        numbers.push(number);
    }
    let queue = staff.send(Method::GET, "/risk/reviews", &json!({})).await?;
    assert_eq!(queue["items"].as_array().unwrap().len(), 4);
    assert_eq!(queue["items"][0]["number"], numbers[0].as_str());
    assert_eq!(queue["items"][0]["score"], 80);
    assert_eq!(
        queue["items"][0]["reasons"][0]["rule"],
        "many from one place"
    );
    let cleared = staff
        .send(
            Method::POST,
            &format!("/risk/reviews/{}/clear", numbers[0]),
            &json!({}),
        )
        .await?;
    assert_eq!(
        (cleared["review_state"].as_str(), cleared["state"].as_str()),
        (Some("cleared"), Some("placed"))
    );
    let again = staff
        .send(
            Method::POST,
            &format!("/risk/reviews/{}/clear", numbers[0]),
            &json!({}),
        )
        .await
        .unwrap_err();
    assert!(again.to_string().contains("409"), "{again}");
    let refused = staff
        .send(
            Method::POST,
            &format!("/risk/reviews/{}/refuse", numbers[1]),
            &json!({}),
        )
        .await?;
    assert_eq!(
        (refused["review_state"].as_str(), refused["state"].as_str()),
        (Some("refused"), Some("cancelled"))
    );
    let voids: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM payment_operation AS operation JOIN payment ON payment.id = operation.payment_id JOIN orders ON orders.id = payment.order_id \
         WHERE operation.kind = 'void' AND orders.number = ?",
    )
    .bind(numbers[1].as_str())
    .fetch_one(&mut connection)
    .await?;
    assert_eq!(voids, 1, "the money is let go of");
    // What has left cannot be cancelled, only returned.
    sqlx::query("UPDATE orders SET fulfilment_state = 'partially_shipped' WHERE number = ?")
        .bind(numbers[2].as_str())
        .execute(&mut connection)
        .await?;
    let path_of = |place: usize, what: &str| format!("/risk/reviews/{}/{what}", numbers[place]);
    let left = staff
        .send(Method::POST, &path_of(2, "refuse"), &json!({}))
        .await
        .unwrap_err();
    assert!(left.to_string().contains("409"), "{left}");
    staff
        .send(Method::POST, &path_of(2, "clear"), &json!({}))
        .await?;
    // Of one that was never placed the cart is its shopper's again.
    let cart = sqlx::query("INSERT INTO cart (public_id, currency, locale, state) VALUES (REPEAT('0', 26), 'EUR', 'en', 'completing')")
        .execute(&mut connection)
        .await?
        .last_insert_id();
    sqlx::query(
        "UPDATE orders SET state = 'pending', placed_at = NULL, cart_id = ? WHERE number = ?",
    )
    .bind(cart)
    .bind(numbers[3].as_str())
    .execute(&mut connection)
    .await?;
    staff
        .send(Method::POST, &path_of(3, "refuse"), &json!({}))
        .await?;
    let cart: String = sqlx::query_scalar("SELECT state FROM cart")
        .fetch_one(&mut connection)
        .await?;
    assert_eq!(cart, "open");
    let judged = staff
        .send(
            Method::GET,
            &format!("/risk/orders/{}", numbers[1]),
            &json!({}),
        )
        .await?;
    assert_eq!(judged["assessments"][0]["outcome"], "review");
    assert!(
        staff.send(Method::GET, "/risk/reviews", &json!({})).await?["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    staff.send(Method::DELETE, &path, &json!({})).await?;
    let audited: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM audit_log WHERE action LIKE 'risk_%'")
            .fetch_one(&mut connection)
            .await?;
    assert_eq!(audited, 9);
    Ok(())
}
