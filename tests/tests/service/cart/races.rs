//! What many do at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use panono_shop::cart::model::PricedDiscount;
use panono_shop::cart::sweep::Sweep;
use panono_shop::db::DbError;
use panono_shop::promotions::store::{redeem, release};
use reqwest::Method;
use serde_json::json;
use time::OffsetDateTime;

use super::Bed;
use panono_tests::http;

#[tokio::test]
async fn of_two_tabs_that_saw_the_same_cart_one_is_told() -> Result<()> {
    let bed = Bed::start().await?;
    let (sku, _) = bed.product("Mug", 1200).await?;
    let cart = bed.cart(&[(&sku, 1)]).await?;
    let tag = bed
        .get(&format!("/{cart}"))
        .await?
        .header("etag")
        .to_owned();
    let address = format!("{}/api/v1/carts/{cart}/lines/{sku}", bed.shop.url());
    let put = |quantity: i32| {
        let request = http::client()
            .put(&address)
            .header("If-Match", &tag)
            .json(&json!({ "quantity": quantity }));
        bed.send(request)
    };
    let replies = join_all((2..10).map(put)).await;
    let statuses: Vec<u16> = replies
        .iter()
        .map(|reply| reply.as_ref().unwrap().status)
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 412).count(),
        7,
        "{statuses:?}"
    );
    // Without a version the last one counts, and each is whole.
    let replies = join_all((1..9).map(|quantity| bed.put(&cart, &sku, quantity))).await;
    for reply in replies {
        reply?.expect(200);
    }
    let shown = bed.get(&format!("/{cart}")).await?;
    let quantity = shown.body["lines"][0]["quantity"].as_i64().unwrap();
    assert_eq!(shown.body["totals"]["total"], quantity * 1200);
    Ok(())
}

async fn order(bed: &Bed, number: i64) -> Result<()> {
    bed.execute(&format!(
        "INSERT INTO orders (id, number, customer_key, email, locale, currency, state, prices_include_tax, subtotal, discount, \
         shipping, tax, total) VALUES ({number}, 'T-{number}', REPEAT(X'01', 32), 'x@example.com', 'en', 'USD', 'pending', FALSE, \
         1, 0, 0, 0, 1)"
    ))
    .await?;
    Ok(())
}

fn discount(promotion_id: i64, code: &str) -> PricedDiscount {
    PricedDiscount {
        promotion_id,
        coupon_code: (!code.is_empty()).then(|| code.to_owned()),
        label: String::new(),
        amount: 1,
        shipping_saved: 0,
    }
}

/// Counts the promotions of an order in a transaction, which is rolled back where a limit is reached.
async fn take(bed: &Bed, order: i64, discounts: Vec<PricedDiscount>, customer: u8) -> Result<bool> {
    let shared = Arc::new(discounts);
    let taken = bed
        .db
        .transaction(move |connection| {
            let discounts = Arc::clone(&shared);
            Box::pin(async move {
                match redeem(connection, order, &discounts, &[customer; 32]).await? {
                    Ok(()) => Ok(()),
                    // Any error rolls back; this one is not repeated.
                    Err(_) => Err(DbError::Aborted),
                }
            })
        })
        .await;
    match taken {
        Ok(()) => Ok(true),
        Err(DbError::Aborted) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn a_coupon_limited_to_one_use_has_one_taker_of_fifty() -> Result<()> {
    let bed = Arc::new(Bed::start().await?);
    let promotion = bed
        .coupon_promotion("ONCE", json!({ "usage_limit": 1 }))
        .await?;
    let (sku, _) = bed.product("Mug", 1200).await?;
    let cart = bed.cart(&[(&sku, 1)]).await?;
    bed.coupon(&cart, "ONCE").await?.expect(200);
    for number in 1..=50 {
        order(&bed, number).await?;
    }
    let takers = (1..=50_u8).map(|number| {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move {
            take(
                &bed,
                i64::from(number),
                vec![discount(promotion, "ONCE")],
                number,
            )
            .await
        })
    });
    let mut taken = 0;
    for taker in join_all(takers).await {
        taken += i32::from(taker??);
    }
    assert_eq!(taken, 1);
    assert_eq!(
        bed.number("SELECT used FROM coupon WHERE code = 'ONCE'")
            .await?,
        1
    );
    assert_eq!(
        bed.number("SELECT COUNT(*) FROM promotion_use WHERE released_at IS NULL")
            .await?,
        1
    );
    // Whoever has it in the cart is told.
    let shown = bed.get(&format!("/{cart}")).await?;
    assert_eq!(shown.body["coupons"][0]["state"], "used_up");
    let other = bed.cart(&[(&sku, 1)]).await?;
    bed.coupon(&other, "ONCE")
        .await?
        .problem(422, "coupon_not_valid");

    // An order that comes to nothing gives it back, once however often it is said.
    let holder = bed.number("SELECT order_id FROM promotion_use").await?;
    for _ in 0..3 {
        bed.db
            .transaction(move |connection| {
                Box::pin(async move { Ok::<_, DbError>(release(connection, holder).await?) })
            })
            .await?;
    }
    assert_eq!(
        bed.number("SELECT used FROM coupon WHERE code = 'ONCE'")
            .await?,
        0
    );
    assert_eq!(
        bed.get(&format!("/{cart}")).await?.body["coupons"][0]["state"],
        "applied"
    );
    Ok(())
}

#[tokio::test]
async fn limits_hold_for_promotions_and_customers_together() -> Result<()> {
    let bed = Arc::new(Bed::start().await?);
    let rule = super::percentage(10_000);
    let limited = bed
        .promotion(json!({ "rule": rule, "usage_limit": 5, "per_customer_limit": 2 }))
        .await?;
    let open = bed.promotion(json!({ "rule": rule })).await?;
    for number in 1..=40 {
        order(&bed, number).await?;
    }
    // Four customers, ten orders each, the promotions named in either order.
    let takers = (1..=40_u8).map(|number| {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move {
            let mut both = vec![discount(limited, ""), discount(open, "")];
            if number % 2 == 0 {
                both.reverse();
            }
            take(&bed, i64::from(number), both, number % 4).await
        })
    });
    let mut taken = 0;
    for taker in join_all(takers).await {
        taken += i32::from(taker??);
    }
    assert_eq!(taken, 5);
    assert_eq!(
        bed.number(&format!("SELECT used FROM promotion WHERE id = {limited}"))
            .await?,
        5
    );
    assert_eq!(
        bed.number(&format!(
            "SELECT MAX(used) FROM promotion_customer WHERE scope = 'p{limited}'"
        ))
        .await?,
        2
    );
    assert_eq!(
        bed.number(&format!(
            "SELECT CAST(SUM(used) AS SIGNED) FROM promotion_customer WHERE scope = 'p{limited}'"
        ))
        .await?,
        5
    );
    // One that everybody may have is no row that all wait for: its uses are rows.
    assert_eq!(
        bed.number(&format!("SELECT used FROM promotion WHERE id = {open}"))
            .await?,
        0
    );
    let shown = bed
        .staff
        .send(
            Method::GET,
            &format!("/promotions/{open}"),
            &serde_json::Value::Null,
        )
        .await?;
    assert_eq!(shown["used"], 5);
    Ok(())
}

#[tokio::test]
async fn old_carts_are_deleted_in_batches() -> Result<()> {
    let bed = Bed::start().await?;
    let (sku, _) = bed.product("Mug", 1200).await?;
    let young = bed.cart(&[(&sku, 1)]).await?;
    bed.execute("INSERT INTO customer (id, public_id, email, locale) VALUES (7, '00000000000000000000000007', 'x@example.com', 'en')").await?;
    let insert = |range: &str, customer: &str, state: &str, days: u32| {
        format!(
            "INSERT INTO cart (public_id, customer_id, state, currency, locale, updated_at) \
             WITH RECURSIVE n AS (SELECT {range} AS i UNION ALL SELECT i + 1 FROM n WHERE i < {range} + 449) \
             SELECT LPAD(i, 26, '0'), {customer}, '{state}', 'USD', 'en', UTC_TIMESTAMP(6) - INTERVAL {days} DAY FROM n"
        )
    };
    bed.execute(&insert("1000", "NULL", "open", 31)).await?;
    bed.execute(&insert("2000", "NULL", "merged", 2)).await?;
    bed.execute(&insert("3000", "7", "ordered", 31)).await?;
    bed.execute(&insert("4000", "NULL", "open", 29)).await?;
    bed.execute(&insert("5000", "NULL", "completing", 40))
        .await?;
    bed.execute("INSERT INTO cart (public_id, customer_id, currency, locale, updated_at) VALUES ('own', 7, 'USD', 'en', '2020-01-01')").await?;
    let sweep = Sweep { db: bed.db.clone() };
    let both = tokio::join!(
        sweep.round(OffsetDateTime::now_utc()),
        sweep.round(OffsetDateTime::now_utc())
    );
    assert_eq!(both.0? + both.1?, 3 * 450);
    assert_eq!(sweep.round(OffsetDateTime::now_utc()).await?, 0);
    assert_eq!(
        bed.number("SELECT COUNT(*) FROM cart").await?,
        450 + 450 + 2
    );
    bed.get(&format!("/{young}")).await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn an_answer_comes_while_the_cart_is_locked_for_a_moment() -> Result<()> {
    use sqlx::Connection as _;
    let bed = Bed::start().await?;
    let (sku, _) = bed.product("Mug", 1200).await?;
    let cart = bed.cart(&[(&sku, 1)]).await?;
    let mut connection = bed.database.connect().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT id FROM cart WHERE public_id = ? FOR UPDATE")
        .bind(&cart)
        .execute(&mut *transaction)
        .await?;
    // Looking needs no lock.
    bed.get(&format!("/{cart}")).await?.expect(200);
    let waiting = bed.put(&cart, &sku, 3);
    let (reply, ()) = tokio::join!(waiting, async {
        let waits = "SELECT COUNT(*) FROM performance_schema.data_lock_waits";
        let _ = panono_tests::wait::wait_until(
            "the change to wait",
            Duration::from_secs(10),
            async || bed.number(waits).await.is_ok_and(|count| count > 0),
        )
        .await;
        transaction.commit().await.unwrap();
    });
    assert_eq!(reply?.expect(200).body["lines"][0]["quantity"], 3);
    Ok(())
}
