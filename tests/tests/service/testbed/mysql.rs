use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use panono_tests::mysql::{MysqlGroup, TestDatabase, faulted_group};
use panono_tests::wait::wait_until;
use sqlx::Connection;

const FAILOVER_LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_write_to_the_shared_group_reaches_every_reader() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let mut connection = database.connect().await?;
    sqlx::raw_sql("CREATE TABLE item (id INT PRIMARY KEY); INSERT INTO item VALUES (7)")
        .execute(&mut connection)
        .await?;
    database.group().wait_until_applied().await?;
    let readers = database.reader_urls().await?;
    assert_eq!(readers.len(), 2);
    for url in readers {
        let mut reader = sqlx::MySqlConnection::connect(&url).await?;
        let id: i32 = sqlx::query_scalar("SELECT id FROM item")
            .fetch_one(&mut reader)
            .await?;
        assert_eq!(id, 7);
        let refused = sqlx::raw_sql("DELETE FROM item").execute(&mut reader).await;
        assert!(refused.is_err(), "a reader took a write");
    }
    Ok(())
}

#[tokio::test]
async fn the_shops_user_sees_the_group_and_cannot_administer_it() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let mut connection = database.connect().await?;
    let members: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM performance_schema.replication_group_members")
            .fetch_one(&mut connection)
            .await?;
    assert_eq!(members, 3);
    let refused = sqlx::raw_sql("SET GLOBAL super_read_only = ON")
        .execute(&mut connection)
        .await;
    assert!(refused.is_err());
    Ok(())
}

#[tokio::test]
async fn a_member_whose_applier_is_held_lags_and_stays_in_the_group() -> Result<()> {
    let group = faulted_group().await?;
    let database = TestDatabase::create(&group).await?;
    let mut connection = database.connect().await?;
    sqlx::raw_sql("CREATE TABLE item (id INT PRIMARY KEY)")
        .execute(&mut connection)
        .await?;
    group.wait_until_applied().await?;
    let lagging = group.secondaries().await?[0];

    let held_applier = lagging.hold_applier().await?;
    sqlx::raw_sql("INSERT INTO item VALUES (1)")
        .execute(&mut connection)
        .await?;
    let written = group.primary().await?.executed().await?;
    let other = group.secondaries().await?[1];
    wait_until("the other secondary", FAILOVER_LIMIT, async || {
        other
            .has_applied(&written)
            .await
            .ok()
            .filter(|applied| *applied)
    })
    .await?;
    // Longer than it takes to expel a member that is silent.
    let start = Instant::now();
    wait_until("ten seconds of lag", FAILOVER_LIMIT, async || {
        // An early end of the lag ends the wait, too.
        (lagging.has_applied(&written).await.unwrap_or(true)
            || start.elapsed() > Duration::from_secs(10))
        .then_some(())
    })
    .await?;
    assert!(
        !lagging.has_applied(&written).await?,
        "it applied the write"
    );
    assert!(
        group
            .secondaries()
            .await?
            .iter()
            .any(|member| member.index() == lagging.index()),
        "it was expelled"
    );
    assert_eq!(
        lagging
            .value(&format!("SELECT COUNT(*) FROM {}.item", database.name()))
            .await?,
        "0"
    );

    held_applier.release().await?;
    group.wait_until_applied().await?;
    assert_eq!(
        lagging
            .value(&format!("SELECT COUNT(*) FROM {}.item", database.name()))
            .await?,
        "1"
    );
    Ok(())
}

#[tokio::test]
async fn another_primary_is_elected_when_it_is_killed_and_it_comes_back_as_a_secondary()
-> Result<()> {
    let group = faulted_group().await?;
    let database = TestDatabase::create(&group).await?;
    let mut connection = database.connect().await?;
    sqlx::raw_sql("CREATE TABLE item (id INT PRIMARY KEY); INSERT INTO item VALUES (1)")
        .execute(&mut connection)
        .await?;
    let killed = group.primary().await?;
    killed.kill()?;
    let elected = wait_until("another primary", FAILOVER_LIMIT, async || {
        let primary = group.primary().await?;
        ensure!(primary.index() != killed.index(), "still the killed one");
        Ok(primary)
    })
    .await?;
    let mut connection = database.connect().await?;
    sqlx::raw_sql("INSERT INTO item VALUES (2)")
        .execute(&mut connection)
        .await?;
    group.restart(killed.index()).await?;
    group.wait_until_online().await?;
    group.wait_until_applied().await?;
    assert_eq!(group.primary().await?.index(), elected.index());
    assert_eq!(
        killed
            .value(&format!("SELECT COUNT(*) FROM {}.item", database.name()))
            .await?,
        "2"
    );

    group.switch_primary(killed.index()).await?;
    sqlx::raw_sql("INSERT INTO item VALUES (3)")
        .execute(&mut database.connect().await?)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_paused_primary_is_replaced_and_joins_again_when_it_goes_on() -> Result<()> {
    let group = faulted_group().await?;
    let paused = group.primary().await?;
    paused.pause()?;
    wait_until("another primary", FAILOVER_LIMIT, async || {
        let primary = group.primary().await?;
        ensure!(primary.index() != paused.index(), "still the paused one");
        Ok(())
    })
    .await?;
    paused.resume()?;
    group.wait_until_online().await
}

#[tokio::test]
async fn what_was_committed_survives_the_loss_of_all_members_at_once() -> Result<()> {
    let group = faulted_group().await?;
    let database = TestDatabase::create(&group).await?;
    sqlx::raw_sql("CREATE TABLE item (id INT PRIMARY KEY); INSERT INTO item VALUES (1)")
        .execute(&mut database.connect().await?)
        .await?;
    for member in group.members() {
        member.kill()?;
    }
    group.recover_from_outage().await?;
    for member in group.members() {
        assert_eq!(
            member
                .value(&format!("SELECT COUNT(*) FROM {}.item", database.name()))
                .await?,
            "1"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_single_server_takes_writes() -> Result<()> {
    let group = MysqlGroup::single().await?;
    let database = TestDatabase::create(&group).await?;
    sqlx::raw_sql("CREATE TABLE item (id INT PRIMARY KEY)")
        .execute(&mut database.connect().await?)
        .await?;
    assert_eq!(
        database.reader_urls().await?,
        [database.writer_url().await?]
    );
    group.member(0).kill()?;
    group.restart(0).await?;
    assert_eq!(
        group
            .member(0)
            .value(&format!("SELECT COUNT(*) FROM {}.item", database.name()))
            .await?,
        "0"
    );
    Ok(())
}
