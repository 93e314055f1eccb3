//! One effect and one answer for each key.

use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use panono_tests::market::{Buyer, GOOD_CARD};
use panono_tests::wait::wait_until;
use serde_json::json;

use super::market;

const PAIRS: usize = 1_000;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn of_two_requests_with_one_key_one_has_the_effect() -> Result<()> {
    let (_database, market) = market(10, 1_000_000).await?;
    let mut carts = Vec::new();
    for number in 0..PAIRS {
        let variant = market.variants[number % 10];
        carts.push(market.cart(&[(variant, 1)], None).await?);
    }
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    let outcomes: Vec<(usize, usize)> = stream::iter(carts)
        .map(|cart| {
            let buyer = buyer.clone();
            async move {
                let (one, other) = tokio::join!(
                    buyer.order(&cart, &cart.id, GOOD_CARD),
                    buyer.order(&cart, &cart.id, GOOD_CARD)
                );
                let mut in_flight = 0;
                let mut replayed = 0;
                let mut numbers = Vec::new();
                for reply in [one?, other?] {
                    match (reply.status.as_u16(), reply.placed()) {
                        (201, Some(number)) => numbers.push(number.to_owned()),
                        (409, _) if reply.code() == "idempotency_in_flight" => in_flight += 1,
                        _ => anyhow::bail!("{reply:?}"),
                    }
                    replayed += usize::from(reply.replayed);
                }
                // And once more, when it is certainly done.
                let again = buyer.order(&cart, &cart.id, GOOD_CARD).await?;
                anyhow::ensure!(again.replayed && again.status == 201, "{again:?}");
                numbers.extend(again.placed().map(str::to_owned));
                numbers.dedup();
                anyhow::ensure!(numbers.len() == 1, "{numbers:?}");
                Ok((in_flight, replayed))
            }
        })
        .buffer_unordered(16)
        .try_collect()
        .await?;
    assert_eq!(outcomes.len(), PAIRS);
    let in_flight: usize = outcomes.iter().map(|(count, _)| count).sum();
    assert!(in_flight > 0, "no pair met while it was in flight");
    let pairs = i64::try_from(PAIRS)?;
    assert_eq!(market.count("SELECT COUNT(*) FROM orders").await?, pairs);
    assert_eq!(market.count("SELECT COUNT(*) FROM payment").await?, pairs);
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_needed_and_belongs_to_its_payload() -> Result<()> {
    let (_database, market) = market(1, 10).await?;
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    let cart = market.cart(&[(market.variants[0], 1)], None).await?;
    let body = json!({ "expected_total": cart.total, "payment": { "provider": "test", "token": GOOD_CARD } });
    let missing = buyer.send(&cart.id, None, &body).await?;
    assert_eq!(
        (missing.status.as_u16(), missing.code()),
        (400, "idempotency_key_missing")
    );
    // What was refused because something is missing is not kept: the same key goes on when it is there.
    let unpaid = buyer
        .send(
            &cart.id,
            Some("key"),
            &json!({ "expected_total": cart.total }),
        )
        .await?;
    assert_eq!(
        (unpaid.status.as_u16(), unpaid.code()),
        (422, "checkout_incomplete")
    );
    let placed = buyer.send(&cart.id, Some("key"), &body).await?;
    assert_eq!((placed.status.as_u16(), placed.replayed), (201, false));
    let again = buyer.send(&cart.id, Some("key"), &body).await?;
    assert!(again.replayed);
    assert_eq!((again.status, &again.body), (placed.status, &placed.body));
    let other = json!({ "expected_total": cart.total + 1, "payment": { "provider": "test", "token": GOOD_CARD } });
    let mismatch = buyer.send(&cart.id, Some("key"), &other).await?;
    assert_eq!(
        (mismatch.status.as_u16(), mismatch.code()),
        (422, "idempotency_mismatch")
    );
    // Another cart has keys of its own.
    let second = market.cart(&[(market.variants[0], 1)], None).await?;
    assert!(
        buyer
            .send(&second.id, Some("key"), &body)
            .await?
            .placed()
            .is_some()
    );
    let nobody = buyer
        .send("00000000000000000000000000", Some("key"), &body)
        .await?;
    assert_eq!(nobody.status.as_u16(), 404);
    market.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_keys_are_deleted_by_the_worker() -> Result<()> {
    let (_database, market) = market(1, 10).await?;
    for (key, hours) in [("old", 49), ("young", 47)] {
        sqlx::query("INSERT INTO idempotency_key (scope, idempotency_key, fingerprint, state, locked_until, created_at) VALUES (REPEAT('s', 32), ?, REPEAT('f', 32), 'done', NOW(6), NOW(6) - INTERVAL ? HOUR)")
            .bind(key)
            .bind(hours)
            .execute(&market.pool)
            .await?;
    }
    let _worker = market.environment.worker().await?;
    wait_until("the old key to go", LIMIT, async || {
        market
            .count("SELECT COUNT(*) FROM idempotency_key")
            .await
            .map(|count| count == 1)
            .unwrap_or(false)
    })
    .await?;
    let left: String = sqlx::query_scalar("SELECT idempotency_key FROM idempotency_key")
        .fetch_one(&market.pool)
        .await?;
    assert_eq!(left, "young");
    Ok(())
}
