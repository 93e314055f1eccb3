//! The outbox and the invalidation log: nothing is lost, whoever dies when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use panono_shop::db::{Arrangement, Db};
use panono_shop::edge::tags::{Tag, TagSet};
use panono_shop::outbox::dispatch::{DispatchMetrics, DispatchSettings, Dispatcher};
use panono_shop::outbox::{self, ClaimId, PurgeKind, Topic, enqueue_purge};
use panono_tests::mysql::{TestDatabase, faulted_group};
use panono_tests::wait::wait_until;
use sqlx::types::Json;
use sqlx::{Connection, MySqlConnection};
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(120);
const MAIL: Topic = Topic::new("mail");

fn quick() -> DispatchSettings {
    DispatchSettings {
        poll: Duration::from_millis(20),
        lease: Duration::from_millis(300),
        ..DispatchSettings::default()
    }
}

fn dispatcher(db: &Db, settings: DispatchSettings) -> Dispatcher {
    Dispatcher::new(db.clone(), settings, DispatchMetrics::default())
}

async fn shop() -> Result<(TestDatabase<'static>, Db)> {
    let database = TestDatabase::shared().await?;
    database.migrate().await?;
    let db = database.db().await?;
    Ok((database, db))
}

async fn change(connection: &mut MySqlConnection, tag: Tag, kind: PurgeKind) -> Result<()> {
    let mut transaction = connection.begin().await?;
    enqueue_purge(&mut transaction, &TagSet::from_iter([tag]), kind).await?;
    transaction.commit().await?;
    Ok(())
}

/// The log: sequence, tags, soft.
async fn log(connection: &mut MySqlConnection) -> Result<Vec<(i64, TagSet, bool)>> {
    let rows: Vec<(i64, Json<TagSet>, bool)> =
        sqlx::query_as("SELECT sequence, tags, soft FROM invalidation ORDER BY sequence")
            .fetch_all(connection)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(sequence, Json(tags), soft)| (sequence, tags, soft))
        .collect())
}

async fn outbox_rows(connection: &mut MySqlConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM outbox")
        .fetch_one(connection)
        .await?)
}

#[tokio::test]
async fn a_change_is_announced_if_and_only_if_it_commits() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let mut transaction = connection.begin().await?;
    enqueue_purge(
        &mut transaction,
        &TagSet::from_iter([Tag::product(1)]),
        PurgeKind::Soft,
    )
    .await?;
    transaction.rollback().await?;
    change(&mut connection, Tag::product(2), PurgeKind::Soft).await?;
    enqueue_purge(&mut connection, &TagSet::new(), PurgeKind::Hard).await?;

    let dispatcher = dispatcher(&db, quick());
    assert_eq!(dispatcher.round().await?.sequence, Some(1));
    assert_eq!(dispatcher.round().await?.sequence, None);
    let log = log(&mut connection).await?;
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].1.separated_by_spaces(), log[0].2),
        ("p-2 p-any".to_owned(), true)
    );
    assert_eq!(outbox_rows(&mut connection).await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_open_transaction_is_neither_announced_nor_in_the_way() -> Result<()> {
    let (database, db) = shop().await?;
    let mut slow = database.connect().await?;
    let mut transaction = slow.begin().await?;
    enqueue_purge(
        &mut transaction,
        &TagSet::from_iter([Tag::product(1)]),
        PurgeKind::Soft,
    )
    .await?;
    let mut connection = database.connect().await?;
    change(&mut connection, Tag::product(2), PurgeKind::Soft).await?;

    let dispatcher = dispatcher(&db, quick());
    assert_eq!(dispatcher.round().await?.rows, 1);
    transaction.commit().await?;
    assert_eq!(dispatcher.round().await?.sequence, Some(2));
    assert!(log(&mut connection).await?[1].1.contains(&Tag::product(1)));
    Ok(())
}

#[tokio::test]
async fn workers_at_once_claim_every_row_once() -> Result<()> {
    let (database, _db) = shop().await?;
    let mut connection = database.connect().await?;
    for number in 0..120 {
        outbox::enqueue(
            &mut connection,
            MAIL,
            "order",
            &serde_json::json!({ "number": number }),
        )
        .await?;
    }
    let workers = (0..4).map(|_| async {
        let mut connection = database.connect().await?;
        let mut claimed = Vec::new();
        loop {
            let claim = ClaimId::random();
            let rows =
                outbox::claim(&mut connection, MAIL, &claim, 7, Duration::from_secs(60)).await?;
            if rows.is_empty() {
                return anyhow::Ok(claimed);
            }
            assert!(rows.len() <= 7 && rows.is_sorted_by_key(|row| row.id));
            for row in rows {
                assert!(outbox::complete(&mut connection, row.id, &claim).await?);
                claimed.push(row.id);
            }
        }
    });
    let claimed: Vec<i64> = futures_util::future::try_join_all(workers)
        .await?
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(claimed.len(), 120);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>().len(), 120);
    assert_eq!(outbox_rows(&mut connection).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_lease_that_ended_is_taken_over_and_the_late_worker_is_told() -> Result<()> {
    let (database, _db) = shop().await?;
    let mut connection = database.connect().await?;
    let id = outbox::enqueue(&mut connection, MAIL, "order", &serde_json::json!({})).await?;
    let (late, other) = (ClaimId::random(), ClaimId::random());
    let rows = outbox::claim(&mut connection, MAIL, &late, 10, Duration::from_millis(200)).await?;
    assert_eq!(rows[0].attempts, 1);
    let rows = wait_until("the lease to end", LIMIT, async || {
        let rows = outbox::claim(&mut connection, MAIL, &other, 10, Duration::from_secs(60))
            .await
            .unwrap();
        (!rows.is_empty()).then_some(rows)
    })
    .await?;
    assert_eq!((rows[0].id, rows[0].attempts), (id, 2));
    assert!(!outbox::complete(&mut connection, id, &late).await?);
    assert!(!outbox::retry(&mut connection, id, &late, Duration::ZERO, "late").await?);
    assert!(!outbox::bury(&mut connection, id, &late, "late").await?);
    assert!(outbox::complete(&mut connection, id, &other).await?);
    Ok(())
}

#[tokio::test]
async fn rows_are_tried_again_later_given_back_or_buried() -> Result<()> {
    let (database, _db) = shop().await?;
    let mut connection = database.connect().await?;
    for number in 0..3 {
        outbox::enqueue(
            &mut connection,
            MAIL,
            "order",
            &serde_json::json!({ "number": number }),
        )
        .await?;
    }
    let claim = ClaimId::random();
    let lease = Duration::from_secs(60);
    let rows = outbox::claim(&mut connection, MAIL, &claim, 10, lease).await?;
    let long_error = "ä".repeat(5000);
    assert!(
        outbox::retry(
            &mut connection,
            rows[0].id,
            &claim,
            Duration::from_hours(1),
            &long_error
        )
        .await?
    );
    assert!(outbox::bury(&mut connection, rows[1].id, &claim, "no such address").await?);
    assert_eq!(outbox::release(&mut connection, &claim).await?, 1);

    let again = outbox::claim(&mut connection, MAIL, &ClaimId::random(), 10, lease).await?;
    assert_eq!(again.len(), 1, "the delayed and the buried row are not due");
    assert_eq!(
        (again[0].id, again[0].attempts),
        (rows[2].id, 1),
        "giving back is no attempt"
    );
    let backlog = outbox::backlog(&mut connection, MAIL).await?;
    assert_eq!((backlog.pending, backlog.dead), (2, 1));
    Ok(())
}

#[tokio::test]
async fn a_worker_that_dies_between_two_steps_loses_nothing() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let dispatcher = dispatcher(&db, quick());

    // After the claim.
    change(&mut connection, Tag::product(1), PurgeKind::Soft).await?;
    let mut dying = database.connect().await?;
    let claimed = dispatcher.claim(&mut dying).await?;
    assert_eq!(claimed.len(), 1);
    drop(dying);
    let heir = dispatcher.clone();
    wait_until("the claim to be taken over", LIMIT, async || {
        heir.round().await.unwrap().sequence
    })
    .await?;
    assert!(log(&mut connection).await?[0].1.contains(&Tag::product(1)));
    // The dead worker was only slow: it finds nothing left to do.
    assert_eq!(dispatcher.append(&mut connection, &claimed).await?, None);

    // Within the append, before its commit: the server kills the connection that waits for the clock.
    change(&mut connection, Tag::product(2), PurgeKind::Soft).await?;
    let mut blocker = database.connect().await?;
    let mut clock = blocker.begin().await?;
    sqlx::query("SELECT sequence FROM invalidation_clock FOR UPDATE")
        .fetch_one(&mut *clock)
        .await?;
    let mut dying = database.connect().await?;
    let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()")
        .fetch_one(&mut dying)
        .await?;
    let claimed = dispatcher.claim(&mut dying).await?;
    assert_eq!(claimed.len(), 1);
    let doomed = dispatcher.clone();
    let append = tokio::spawn(async move { doomed.append(&mut dying, &claimed).await });
    let root = database.group().primary().await?;
    wait_until("the append to wait for the clock", LIMIT, async || {
        let waiting = root
            .value(&format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id} AND info LIKE '%invalidation_clock%'"))
            .await
            .unwrap();
        waiting == "1"
    })
    .await?;
    root.execute(&format!("KILL {id}")).await?;
    assert!(append.await?.is_err());
    clock.rollback().await?;
    wait_until("the rows to be logged by another", LIMIT, async || {
        heir.round().await.unwrap().sequence
    })
    .await?;
    let log = log(&mut connection).await?;
    assert_eq!(
        log.iter().map(|row| row.0).collect::<Vec<_>>(),
        [1, 2],
        "no sequence is skipped or used twice"
    );
    assert!(log[1].1.contains(&Tag::product(2)));
    assert_eq!(outbox_rows(&mut connection).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_batch_becomes_one_row_and_a_very_large_one_several() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    for id in 0..5 {
        change(&mut connection, Tag::product(id % 2), PurgeKind::Soft).await?;
    }
    change(&mut connection, Tag::page(1), PurgeKind::Hard).await?;
    sqlx::query("INSERT INTO outbox (topic, aggregate, payload) VALUES ('purge', 'x', '{\"from\": \"the future\"}')")
        .execute(&mut connection)
        .await?;
    let dispatcher = dispatcher(
        &db,
        DispatchSettings {
            tags_per_entry: 3,
            ..quick()
        },
    );
    assert_eq!(dispatcher.round().await?.rows, 7);
    let texts: Vec<_> = log(&mut connection)
        .await?
        .into_iter()
        .map(|(_, tags, soft)| (tags.separated_by_spaces(), soft))
        .collect();
    assert_eq!(
        texts,
        [
            ("g-1 g-any".to_owned(), false),
            ("all p-0 p-1".to_owned(), true),
            ("p-any".to_owned(), true)
        ]
    );
    Ok(())
}

/// The invariant that all caches rest on: whoever has applied the GTID set of a row sees the change that it announces.
#[tokio::test]
async fn whoever_applied_the_set_of_a_row_sees_its_changes() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    sqlx::raw_sql("CREATE TABLE seen (id BIGINT PRIMARY KEY)")
        .execute(&mut connection)
        .await?;
    database.group().wait_until_applied().await?;
    let database = Arc::new(database);
    let (head, _) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn(
                dispatcher(
                    &db,
                    DispatchSettings {
                        batch: 5,
                        ..quick()
                    },
                )
                .run(head.clone(), stopped.clone()),
            )
        })
        .collect();
    let writers = (0..4_i64).map(|writer| {
        let database = Arc::clone(&database);
        async move {
            let mut connection = database.connect().await?;
            for number in 0..25 {
                let id = writer * 1000 + number;
                let mut transaction = connection.begin().await?;
                enqueue_purge(
                    &mut transaction,
                    &TagSet::from_iter([Tag::product(id)]),
                    PurgeKind::Soft,
                )
                .await?;
                sqlx::query("INSERT INTO seen VALUES (?)")
                    .bind(id)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(writers).await?;
    wait_until("the outbox to be empty", LIMIT, async || {
        outbox_rows(&mut connection).await.unwrap() == 0
    })
    .await?;
    stop.send(true)?;
    for worker in workers {
        worker.await?;
    }

    let rows: Vec<(i64, String, Json<TagSet>)> =
        sqlx::query_as("SELECT sequence, gtid, tags FROM invalidation ORDER BY sequence")
            .fetch_all(&mut connection)
            .await?;
    let sequences: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let expected: Vec<i64> = (1..=i64::try_from(rows.len())?).collect();
    assert_eq!(sequences, expected);
    assert_eq!(*head.borrow(), *sequences.last().unwrap());
    let mut announced = BTreeMap::new();
    let mut before = String::new();
    for (sequence, gtid, Json(tags)) in &rows {
        assert!(!gtid.is_empty());
        let grows: bool = sqlx::query_scalar("SELECT GTID_SUBSET(?, ?)")
            .bind(&before)
            .bind(gtid)
            .fetch_one(&mut connection)
            .await?;
        assert!(grows, "the set of {sequence} contains the one before");
        before.clone_from(gtid);
        for tag in tags {
            announced.entry(tag.to_string()).or_insert(*sequence);
        }
    }
    for writer in 0..4 {
        for number in 0..25 {
            assert!(announced.contains_key(&format!("p-{}", writer * 1000 + number)));
        }
    }
    // Every change lies in a transaction of the set that was logged with it.
    let reader = database.reader_urls().await?;
    let mut reader = MySqlConnection::connect(&reader[0]).await?;
    for (_, gtid, Json(tags)) in &rows {
        let timed_out: i64 = sqlx::query_scalar("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 20)")
            .bind(gtid)
            .fetch_one(&mut reader)
            .await?;
        assert_eq!(timed_out, 0);
        for tag in tags {
            let Some(id) = tag
                .as_str()
                .strip_prefix("p-")
                .and_then(|text| text.parse::<i64>().ok())
            else {
                continue;
            };
            let seen: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM seen WHERE id = ?")
                .bind(id)
                .fetch_one(&mut reader)
                .await?;
            assert_eq!(seen, 1, "{tag}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_primary_loses_no_change() -> Result<()> {
    let group = faulted_group().await?;
    let database = TestDatabase::create(&group).await?;
    database.migrate().await?;
    group.wait_until_applied().await?;
    let urls: Vec<String> = group
        .members()
        .iter()
        .map(|member| member.url(database.name()))
        .collect();
    let db = database.db_of(Arrangement::Group, &urls).await?;
    let mut connection = database.connect().await?;
    for id in 0..10 {
        change(&mut connection, Tag::product(id), PurgeKind::Soft).await?;
    }
    let dispatcher = dispatcher(
        &db,
        DispatchSettings {
            batch: 4,
            ..quick()
        },
    );
    assert_eq!(dispatcher.claim(&mut connection).await?.len(), 4);
    group.primary().await?.kill()?;

    let (head, _) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let worker = tokio::spawn(dispatcher.run(head, stopped));
    let tags = wait_until(
        "the new primary to have logged every change",
        Duration::from_secs(60),
        async || {
            let mut reader = db.primary().await.map_err(|error| error.to_string())?;
            let log = log(&mut reader.connection)
                .await
                .map_err(|error| error.to_string())?;
            let tags: TagSet = log.into_iter().flat_map(|row| row.1).collect();
            if (0..10).all(|id| tags.contains(&Tag::product(id))) {
                Ok(tags)
            } else {
                Err(tags.separated_by_spaces())
            }
        },
    )
    .await?;
    assert!(tags.contains(&Tag::parse("p-any")?));
    stop.send(true)?;
    worker.await?;
    Ok(())
}

#[tokio::test]
async fn old_rows_go_when_no_edge_needs_them() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let dispatcher = dispatcher(
        &db,
        DispatchSettings {
            prune_batch: 2,
            ..quick()
        },
    );
    for id in 0..10 {
        change(&mut connection, Tag::product(id), PurgeKind::Soft).await?;
        dispatcher.round().await?;
    }
    let age = |hours: u32, upto: u32| {
        format!(
            "UPDATE invalidation SET created_at = NOW(6) - INTERVAL {hours} HOUR WHERE sequence <= {upto}"
        )
    };
    sqlx::raw_sql(sqlx::AssertSqlSafe(age(25, 8)))
        .execute(&mut connection)
        .await?;
    sqlx::raw_sql(
        "INSERT INTO purge_target (name, acknowledged, repeated, seen_at) VALUES \
         ('current', 10, 6, NOW(6)), ('new', NULL, 0, NOW(6)), ('forgotten', 1, 1, NOW(6) - INTERVAL 25 HOUR)",
    )
    .execute(&mut connection)
    .await?;
    assert_eq!(
        dispatcher.prune().await?,
        6,
        "what the current edge has not repeated stays"
    );
    let targets: Vec<String> = sqlx::query_scalar("SELECT name FROM purge_target ORDER BY name")
        .fetch_all(&mut connection)
        .await?;
    assert_eq!(
        targets,
        ["current", "new"],
        "an edge that nobody has configured for a day is forgotten"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(age(24 * 7 + 1, 7)))
        .execute(&mut connection)
        .await?;
    assert_eq!(dispatcher.prune().await?, 1, "nothing is kept for ever");
    let left: Vec<i64> = log(&mut connection)
        .await?
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(left, [8, 9, 10]);
    let measured = dispatcher.measure().await?;
    assert_eq!((measured.pending, measured.dead), (0, 0));
    Ok(())
}
