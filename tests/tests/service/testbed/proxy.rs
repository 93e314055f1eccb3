use std::time::{Duration, Instant};

use anyhow::Result;
use panono_tests::mysql::{PASSWORD, TestDatabase, USER};
use panono_tests::proxy::{Mode, Proxy};
use panono_tests::valkey::Valkey;
use panono_tests::wait::wait_until;
use sqlx::Connection;
use sqlx::MySqlConnection;

const LIMIT: Duration = Duration::from_secs(120);

async fn ping(proxy: &Proxy) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://{}", proxy.address()))?;
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(500)))
        .set_response_timeout(Some(Duration::from_millis(500)));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    redis::cmd("PING").exec_async(&mut connection).await
}

#[tokio::test]
async fn a_proxy_passes_refuses_and_keeps_silent() -> Result<()> {
    let valkey = Valkey::start().await?;
    let proxy = Proxy::start(valkey.address()).await?;
    ping(&proxy).await?;
    assert_eq!(proxy.accepted(), 1);

    proxy.set(Mode::Refuse).await?;
    assert!(ping(&proxy).await.unwrap_err().is_connection_refusal());
    assert_eq!(proxy.accepted(), 1);

    proxy.set(Mode::BlackHole).await?;
    assert!(ping(&proxy).await.unwrap_err().is_timeout());
    assert_eq!(proxy.accepted(), 2);

    proxy.set(Mode::Pass).await?;
    ping(&proxy).await?;
    wait_until("all connections to be closed", LIMIT, async || {
        proxy.open() == 0
    })
    .await
}

#[tokio::test]
async fn a_proxy_cuts_connections_and_takes_new_ones() -> Result<()> {
    let valkey = Valkey::start().await?;
    let proxy = Proxy::start(valkey.address()).await?;
    let client = redis::Client::open(format!("redis://{}", proxy.address()))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").exec_async(&mut connection).await?;
    proxy.cut();
    wait_until("the connection to be closed", LIMIT, async || {
        proxy.open() == 0
    })
    .await?;
    assert!(
        redis::cmd("PING")
            .exec_async(&mut connection)
            .await
            .is_err()
    );
    ping(&proxy).await?;
    Ok(())
}

#[tokio::test]
async fn a_proxy_delays_what_it_passes() -> Result<()> {
    let valkey = Valkey::start().await?;
    let proxy = Proxy::start(valkey.address()).await?;
    let client = redis::Client::open(format!("redis://{}", proxy.address()))?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    proxy.set(Mode::Delay(Duration::from_millis(300))).await?;
    let start = Instant::now();
    redis::cmd("PING").exec_async(&mut connection).await?;
    // There and back. It is the proxy's promise that it is not less; how much more it is says nothing.
    assert!(start.elapsed() >= Duration::from_millis(600));
    Ok(())
}

#[tokio::test]
async fn a_proxy_loses_the_answer_to_a_commit_that_took_place() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let mut direct = database.connect().await?;
    sqlx::raw_sql("CREATE TABLE item (id INT PRIMARY KEY)")
        .execute(&mut direct)
        .await?;
    let proxy = Proxy::start(database.group().primary().await?.address().parse()?).await?;
    let url = format!(
        "mysql://{USER}:{PASSWORD}@{}/{}?ssl-mode=disabled",
        proxy.address(),
        database.name()
    );
    let mut connection = MySqlConnection::connect(&url).await?;
    proxy.set(Mode::LoseAnswerTo(b"COMMIT".to_vec())).await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("INSERT INTO item VALUES (1)")
        .execute(&mut *transaction)
        .await?;
    assert!(transaction.commit().await.is_err(), "the answer arrived");
    assert_eq!(proxy.lost_answers(), 1);
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM item")
        .fetch_one(&mut direct)
        .await?;
    assert_eq!(rows, 1);

    // With TLS, where the proxy cannot look inside: every answer from now on.
    proxy.set(Mode::Pass).await?;
    let mut connection = MySqlConnection::connect(&url.replace("disabled", "required")).await?;
    proxy.set(Mode::LoseAnswer).await?;
    assert!(
        sqlx::raw_sql("INSERT INTO item VALUES (2)")
            .execute(&mut connection)
            .await
            .is_err()
    );
    assert_eq!(proxy.lost_answers(), 2);
    wait_until("the second row", LIMIT, async || {
        let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM item")
            .fetch_one(&mut direct)
            .await?;
        anyhow::ensure!(rows == 2, "{rows} rows");
        Ok(())
    })
    .await
}
