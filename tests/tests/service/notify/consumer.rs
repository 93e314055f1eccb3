//! The consumer of the outbox: order, leases, pauses, dead letters.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use panono_shop::outbox::consumer::{Claimed, ConsumerSettings, Handled, Handler};
use panono_shop::outbox::{self, ClaimId, Topic, dead};
use panono_tests::wait::wait_until;
use serde_json::json;
use sqlx::Connection;
use tokio::sync::watch;

use super::{LIMIT, consumer, count, drain, quick, shop};

const WORK: Topic = Topic::new("work");

/// Does what the test says with each row.
struct Scripted<F>(F);

impl<F: Fn(&Claimed) -> Handled + Send + Sync + 'static> Handler for Scripted<F> {
    fn handle<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Handled> + Send + 'a>> {
        let handled = (self.0)(claimed);
        Box::pin(async move {
            // Other tasks get their turn in between.
            tokio::task::yield_now().await;
            handled
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_number_of_workers_keep_the_order_of_each_aggregate() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    for number in 0..15 {
        for aggregate in ["a", "b", "c", "d"] {
            outbox::enqueue(&mut connection, WORK, aggregate, &json!({"number": number})).await?;
        }
    }
    let seen: Arc<Mutex<BTreeMap<String, Vec<i64>>>> = Arc::default();
    let under_way: Arc<Mutex<Vec<String>>> = Arc::default();
    let failures = Arc::new(AtomicUsize::new(0));
    let (stop, stopped) = watch::channel(false);
    let mut workers = Vec::new();
    for _ in 0..3 {
        let (seen, under_way, failures) = (
            Arc::clone(&seen),
            Arc::clone(&under_way),
            Arc::clone(&failures),
        );
        let handler = Scripted(move |claimed: &Claimed| {
            let aggregate = claimed.row.aggregate.clone();
            let mut busy = under_way.lock().unwrap();
            assert!(
                !busy.contains(&aggregate),
                "two rows of {aggregate} at once"
            );
            busy.push(aggregate.clone());
            let number = claimed.row.payload["number"].as_i64().unwrap();
            let handled = if number % 5 == 2 && claimed.row.attempts == 1 {
                failures.fetch_add(1, Ordering::Relaxed);
                Handled::Failed("the first attempt fails".to_owned())
            } else {
                seen.lock()
                    .unwrap()
                    .entry(aggregate.clone())
                    .or_default()
                    .push(number);
                Handled::Done
            };
            busy.retain(|other| *other != aggregate);
            handled
        });
        workers.push(tokio::spawn(
            consumer(&db, WORK, quick(), Arc::new(handler)).run(stopped.clone()),
        ));
    }
    wait_until("all rows to be done", LIMIT, async || {
        match count(&mut connection, "outbox").await.unwrap() {
            0 => Ok(()),
            rows => Err(rows),
        }
    })
    .await?;
    stop.send_replace(true);
    for worker in workers {
        worker.await?;
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    for (aggregate, numbers) in seen.iter() {
        assert_eq!(*numbers, (0..15).collect::<Vec<i64>>(), "{aggregate}");
    }
    assert_eq!(failures.load(Ordering::Relaxed), 12);
    Ok(())
}

#[tokio::test]
async fn a_row_waits_for_those_before_it_and_for_no_other() -> Result<()> {
    let (database, _db) = shop().await?;
    let mut connection = database.connect().await?;
    let first = outbox::enqueue(&mut connection, WORK, "a", &json!({})).await?;
    let second = outbox::enqueue(&mut connection, WORK, "a", &json!({})).await?;
    let other = outbox::enqueue(&mut connection, WORK, "b", &json!({})).await?;
    outbox::enqueue(&mut connection, WORK.lane(1), "a", &json!({})).await?;
    let lease = Duration::from_secs(60);
    let claim = ClaimId::random();
    let rows = outbox::claim_in_order(&mut connection, WORK, &claim, 10, lease).await?;
    assert_eq!(
        rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        [first, other]
    );
    let none = outbox::claim_in_order(&mut connection, WORK, &ClaimId::random(), 10, lease).await?;
    assert!(none.is_empty(), "the second waits for the first");
    // A row that is being written by an open transaction hides none after it, and blocks nobody.
    let mut open = database.connect().await?;
    let mut transaction = open.begin().await?;
    outbox::enqueue(&mut transaction, WORK, "c", &json!({})).await?;
    outbox::bury(&mut connection, first, &claim, "never").await?;
    let rows = outbox::claim_in_order(&mut connection, WORK, &ClaimId::random(), 10, lease).await?;
    assert_eq!(
        rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        [second],
        "what was given up is in nobody's way"
    );
    transaction.rollback().await?;
    Ok(())
}

#[tokio::test]
async fn what_fails_too_often_is_given_up_shown_and_replayed() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let id = outbox::enqueue(&mut connection, WORK, "a", &json!({"kind": "order.placed"})).await?;
    outbox::enqueue(&mut connection, WORK, "a", &json!({})).await?;
    let mended = Arc::new(AtomicUsize::new(0));
    let is_mended = Arc::clone(&mended);
    let worker = consumer(
        &db,
        WORK,
        quick(),
        Arc::new(Scripted(move |claimed: &Claimed| {
            assert_eq!(claimed.last_attempt, claimed.row.attempts == 3);
            if claimed.row.payload.get("kind").is_some() && is_mended.load(Ordering::Relaxed) == 0 {
                Handled::Failed(format!("attempt {} failed", claimed.row.attempts))
            } else {
                Handled::Done
            }
        })),
    );
    wait_until(
        "the row to be given up and the next to be done",
        LIMIT,
        async || {
            drain(&worker).await.unwrap();
            let backlog = worker.measure().await.unwrap();
            (backlog.dead == 1 && backlog.pending == 0).then_some(())
        },
    )
    .await?;
    let letters = dead::list(&mut connection, Some("work"), i64::MAX, 10).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].id, letters[0].attempts), (id, 3));
    assert_eq!(letters[0].last_error.as_deref(), Some("attempt 3 failed"));
    assert_eq!(letters[0].subject.as_deref(), Some("order.placed"));
    assert_eq!(
        dead::list(&mut connection, None, i64::MAX, 10).await?,
        letters
    );
    assert!(
        dead::list(&mut connection, Some("mail"), i64::MAX, 10)
            .await?
            .is_empty()
    );

    mended.store(1, Ordering::Relaxed);
    assert_eq!(
        drain(&worker).await?.done,
        0,
        "nobody tries a dead letter by itself"
    );
    assert_eq!(dead::replay_topic(&mut connection, "work").await?, 1);
    assert!(
        !dead::replay(&mut connection, id).await?,
        "it is not dead any more"
    );
    assert_eq!(drain(&worker).await?.done, 1);
    assert_eq!(count(&mut connection, "outbox").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_row_that_ends_every_worker_is_given_up() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    outbox::enqueue(&mut connection, WORK, "a", &json!({})).await?;
    // Workers that died with it, each using up a lease.
    for _ in 0..3 {
        wait_until("the lease to end", LIMIT, async || {
            let rows = outbox::claim_in_order(
                &mut connection,
                WORK,
                &ClaimId::random(),
                1,
                Duration::from_millis(5),
            )
            .await
            .unwrap();
            (rows.len() == 1).then_some(())
        })
        .await?;
    }
    let worker = consumer(
        &db,
        WORK,
        quick(),
        Arc::new(Scripted(|_: &Claimed| panic!("this row ends workers"))),
    );
    wait_until("the row to be given up", LIMIT, async || {
        drain(&worker).await.unwrap();
        worker.measure().await.unwrap().dead == 1
    })
    .await?;
    let letters = dead::list(&mut connection, None, i64::MAX, 10).await?;
    assert_eq!(letters[0].attempts, 4);
    assert!(dead::discard(&mut connection, letters[0].id).await?);
    assert_eq!(count(&mut connection, "outbox").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_pause_that_was_asked_for_is_kept() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    outbox::enqueue(&mut connection, WORK, "a", &json!({})).await?;
    let worker = consumer(
        &db,
        WORK,
        ConsumerSettings {
            attempts: 9,
            ..quick()
        },
        Arc::new(Scripted(|_: &Claimed| {
            Handled::FailedFor(Duration::from_hours(1), "later".to_owned())
        })),
    );
    assert_eq!(drain(&worker).await?.failed, 1);
    assert_eq!(drain(&worker).await?.failed, 0);
    assert_eq!(
        count(
            &mut connection,
            "outbox WHERE available_at > NOW(6) + INTERVAL 59 MINUTE AND last_error = 'later'"
        )
        .await?,
        1
    );
    Ok(())
}
