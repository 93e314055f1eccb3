//! The checker of invariants: each is broken by hand and seen named.

use anyhow::Result;
use panono_shop::invariants::{Invariant, verify};
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::Environment;
use serde_json::Value;
use sqlx::MySqlConnection;

use crate::notify::order;

async fn run(connection: &mut MySqlConnection, statements: &[&'static str]) -> Result<()> {
    for statement in statements {
        sqlx::raw_sql(*statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// What is wrong, after what.
const BROKEN: &[(Invariant, &str, &str, &[&str])] = &[
    (
        Invariant::I1,
        "stock_oversold",
        "variant 1",
        &[
            "ALTER TABLE stock DROP CHECK stock_not_oversold",
            "UPDATE stock SET on_hand = 1, reserved = 2 WHERE variant_id = 1",
            "INSERT INTO stock_reservation (order_id, variant_id, quantity, state) VALUES (1, 1, 2, 'allocated')",
        ],
    ),
    (
        Invariant::I1,
        "bucket_oversold",
        "variant 1 bucket 3",
        &[
            "ALTER TABLE stock_bucket DROP CHECK stock_bucket_not_oversold",
            "INSERT INTO stock_bucket (variant_id, bucket, on_hand, reserved) VALUES (1, 3, 1, 2)",
            "INSERT INTO stock_reservation (order_id, variant_id, bucket, quantity, state) VALUES (1, 1, 3, 2, 'allocated')",
        ],
    ),
    (
        Invariant::I2,
        "stock_reserved",
        "variant 1",
        &["UPDATE stock SET reserved = 3 WHERE variant_id = 1"],
    ),
    (
        Invariant::I2,
        "bucket_reserved",
        "variant 1 bucket 0",
        &["INSERT INTO stock_bucket (variant_id, bucket, on_hand, reserved) VALUES (1, 0, 5, 2)"],
    ),
    (
        Invariant::I2,
        "reservation_of_nothing",
        "order 1 variant 77",
        &[
            "INSERT INTO stock_reservation (order_id, variant_id, quantity, state) VALUES (1, 77, 2, 'held')",
        ],
    ),
    (
        Invariant::I2,
        "reservation_of_nobody",
        "order 99 variant 1",
        &[
            "UPDATE stock SET reserved = 2 WHERE variant_id = 1",
            "INSERT INTO stock_reservation (order_id, variant_id, quantity, state) VALUES (99, 1, 2, 'held')",
        ],
    ),
    (
        Invariant::I3,
        "cart_with_orders",
        "cart 5",
        &[
            "ALTER TABLE orders DROP KEY orders_cart",
            "UPDATE orders SET cart_id = 5",
        ],
    ),
    (
        Invariant::I3,
        "cart_still_open",
        "cart 5 order PX-1",
        &[
            "INSERT INTO cart (id, public_id, currency, locale) VALUES (5, '00000000000000000000000005', 'EUR', 'en')",
            "UPDATE orders SET cart_id = 5 WHERE number = 'PX-1'",
        ],
    ),
    (
        Invariant::I4,
        "payment_sums",
        "payment 00000000000000000000000001 of order 1",
        &[
            "ALTER TABLE payment DROP CHECK payment_captured_limit",
            "UPDATE payment SET captured = 5000 WHERE id = 1",
            "UPDATE payment_operation SET amount = 5000 WHERE kind = 'capture'",
        ],
    ),
    (
        Invariant::I4,
        "payment_operations",
        "payment 00000000000000000000000001 of order 1",
        &["UPDATE payment SET refunded = 100 WHERE id = 1"],
    ),
    (
        Invariant::I4,
        "paid_twice",
        "order 1",
        &[
            "INSERT INTO payment (id, public_id, order_id, provider, state, currency, amount, authorized, captured) VALUES (2, '00000000000000000000000002', 1, 'test', 'captured', 'EUR', 3990, 3990, 10)",
            "INSERT INTO payment_operation (public_id, payment_id, kind, state, amount, actor) VALUES ('00000000000000000000000012', 2, 'capture', 'succeeded', 10, 'test')",
        ],
    ),
    (
        Invariant::I5,
        "promotion_used",
        "promotion 1",
        &["UPDATE promotion SET used = 3 WHERE id = 1"],
    ),
    (
        Invariant::I5,
        "coupon_used",
        "coupon SUMMER",
        &["UPDATE coupon SET used = 0 WHERE code = 'SUMMER'"],
    ),
    (
        Invariant::I6,
        "key_without_answer",
        "key k of scope",
        &["UPDATE idempotency_key SET status = NULL WHERE idempotency_key = 'k'"],
    ),
    (
        Invariant::I6,
        "key_without_effect",
        "key k of scope",
        &["UPDATE idempotency_key SET reference = 999 WHERE idempotency_key = 'k'"],
    ),
    (
        Invariant::I7,
        "state_without_event",
        "order PX-1",
        &["UPDATE orders SET fulfilment_state = 'shipped' WHERE number = 'PX-1'"],
    ),
    (
        Invariant::I7,
        "event_without_row",
        "(order.placed) of order 1",
        &["UPDATE order_event SET outbox_id = NULL WHERE outbox_id = 1001"],
    ),
    (
        Invariant::I7,
        "row_of_many",
        "outbox 1001",
        &[
            "ALTER TABLE order_event DROP KEY order_event_outbox",
            "UPDATE order_event SET outbox_id = 1001",
        ],
    ),
    (
        Invariant::I7,
        "row_without_event",
        "(order.paid) of order PX-1",
        &[
            "INSERT INTO outbox (topic, aggregate, payload) VALUES ('event', 'PX-1', '{\"kind\": \"order.paid\"}')",
        ],
    ),
];

/// A shop in which everything is right: two orders with their history, one with stock, a payment, a coupon and a key.
async fn right() -> Result<TestDatabase<'static>> {
    let database = TestDatabase::shared().await?;
    database.migrate().await?;
    let mut connection = database.connect().await?;
    order(&mut connection, "PX-1", "ada@example.com", "en").await?;
    order(&mut connection, "PX-2", "bob@example.com", "en").await?;
    run(&mut connection, &[
        "SET foreign_key_checks = 0",
        "INSERT INTO stock (variant_id, on_hand) VALUES (1, 10)",
        "SET foreign_key_checks = 1",
        "INSERT INTO order_event (order_id, kind, from_state, to_state, actor, outbox_id) VALUES (1, 'order.placed', 'pending', 'placed', 'test', 1001), \
           (1, 'order.authorized', 'unpaid', 'authorized', 'test', 1002), (2, 'order.placed', 'pending', 'placed', 'test', 1003), \
           (2, 'order.authorized', 'unpaid', 'authorized', 'test', 1004)",
        "INSERT INTO payment (id, public_id, order_id, provider, state, currency, amount, authorized, captured) VALUES (1, '00000000000000000000000001', 1, 'test', 'captured', 'EUR', 3990, 3990, 1000)",
        "INSERT INTO payment_operation (public_id, payment_id, kind, state, amount, actor) VALUES ('00000000000000000000000011', 1, 'capture', 'succeeded', 1000, 'test'), \
           ('00000000000000000000000013', 1, 'capture', 'failed', 500, 'test')",
        "INSERT INTO promotion (id, name, labels, status, needs_coupon, rule, usage_limit, used) VALUES (1, 'Summer', '{}', 'active', TRUE, '{}', 5, 1)",
        "INSERT INTO coupon (code, promotion_id, usage_limit, used) VALUES ('SUMMER', 1, 5, 1)",
        "INSERT INTO promotion_use (order_id, promotion_id, coupon_code, customer_key, released_at) VALUES (1, 1, 'SUMMER', UNHEX(SHA2('a', 256)), NULL), \
           (2, 1, 'SUMMER', UNHEX(SHA2('b', 256)), NOW(6))",
        "INSERT INTO idempotency_key (scope, idempotency_key, fingerprint, state, locked_until, reference, status, body) \
           VALUES (UNHEX(SHA2('s', 256)), 'k', UNHEX(SHA2('f', 256)), 'done', NOW(6), 1, 201, '{\"status\":\"placed\"}'), \
           (UNHEX(SHA2('t', 256)), 'refund', UNHEX(SHA2('f', 256)), 'done', NOW(6), 77, 201, '{\"state\":\"succeeded\"}')",
    ])
    .await?;
    Ok(database)
}

#[tokio::test]
async fn each_invariant_that_is_broken_is_named() -> Result<()> {
    for (invariant, check, subject, statements) in BROKEN {
        let database = right().await?;
        let db = database.db().await?;
        let before = verify(&db).await?;
        assert!(
            before.violations.is_empty(),
            "{check}: {:?}",
            before.violations
        );
        run(&mut database.connect().await?, statements).await?;
        let report = verify(&db).await?;
        let named: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
        let found = report
            .violations
            .iter()
            .find(|violation| violation.check == *check)
            .unwrap_or_else(|| panic!("{check} is not named: {named:?}"));
        assert_eq!(found.invariant, *invariant);
        assert!(
            found.subject.contains(subject),
            "{check}: {}",
            found.subject
        );
        assert!(!found.expected.is_empty() && !found.actual.is_empty());
        assert!(
            report
                .violations
                .iter()
                .all(|violation| violation.invariant == *invariant),
            "{check}: {named:?}"
        );
        assert!(report.count(*invariant) >= 1);
    }
    let covered: Vec<&str> = BROKEN.iter().map(|(_, check, ..)| *check).collect();
    for check in panono_shop::invariants::store::CHECKS {
        assert!(covered.contains(&check.name), "{} has no test", check.name);
    }
    Ok(())
}

#[tokio::test]
async fn the_command_tells_violations_and_ends_with_1() -> Result<()> {
    let database = right().await?;
    let environment = Environment::for_urls(&database).await?;
    let text = environment.output(&["check", "--invariants"]).await?;
    assert!(
        text.contains("I1: 0 violations") && text.contains("I7: 0 violations"),
        "{text}"
    );
    run(
        &mut database.connect().await?,
        &["UPDATE stock SET reserved = 3 WHERE variant_id = 1"],
    )
    .await?;
    let output = environment.command(&["check", "--invariants"])?.output()?;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout)?;
    assert!(
        text.contains("I2 stock_reserved: variant 1: expected 0 held by orders, found 3 reserved"),
        "{text}"
    );
    let output = environment
        .command(&["check", "--invariants", "--json"])?
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["violations"][0]["invariant"], "I2");
    assert_eq!(report["violations"][0]["check"], "stock_reserved");
    Ok(())
}

#[tokio::test]
async fn every_check_goes_by_an_index() -> Result<()> {
    let database = right().await?;
    let mut connection = database.connect().await?;
    for check in panono_shop::invariants::store::CHECKS {
        for statement in [check.next, check.find] {
            // Both ends of a range as they are walked; constants stand for parameters.
            let mut statement = statement.to_owned();
            let (low, high) = match check.walk {
                panono_shop::invariants::store::Walk::Numbers => ("0", "1000"),
                panono_shop::invariants::store::Walk::Texts => ("''", "'ZZZ'"),
            };
            let mut first = true;
            while let Some(at) = statement.find('?') {
                let is_limit = statement[at + 1..].find('?').is_none();
                let value = if is_limit {
                    "10"
                } else if first {
                    low
                } else {
                    high
                };
                first = !first;
                statement.replace_range(at..=at, value);
            }
            let plan: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "EXPLAIN FORMAT=TREE {statement}"
            )))
            .fetch_one(&mut connection)
            .await?;
            assert!(
                !plan.contains("Table scan on")
                    || plan.contains("Table scan on done")
                    || plan.contains("Table scan on held")
                    || plan.contains("Table scan on wanted"),
                "{}: {statement}\n{plan}",
                check.name
            );
        }
    }
    Ok(())
}
