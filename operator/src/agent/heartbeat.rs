//! The primary's heartbeat: one row that it writes all the time, so that its successor knows how long nobody could write.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use sqlx::mysql::MySqlConnection;

use super::api::Failover;
use super::core::{Core, now_ms};
use super::option_file::quoted;
use super::sql;

/// The agent's own tables. They are made together with the group.
pub const TABLES: &[&str] = &[
    "CREATE DATABASE IF NOT EXISTS panono_agent",
    "CREATE TABLE IF NOT EXISTS panono_agent.heartbeat (id TINYINT PRIMARY KEY, at_ms BIGINT UNSIGNED NOT NULL, \
     server_uuid CHAR(36) CHARACTER SET ascii NOT NULL)",
    "CREATE TABLE IF NOT EXISTS panono_agent.accounts (account VARCHAR(120) PRIMARY KEY, \
     fingerprint CHAR(64) CHARACTER SET ascii NOT NULL, before_it CHAR(64) CHARACTER SET ascii NOT NULL)",
    "CREATE TABLE IF NOT EXISTS panono_agent.passwords (id TINYINT PRIMARY KEY, given BIGINT NOT NULL, only_given BIGINT NOT NULL)",
];

const LAST: &str = "SELECT at_ms, server_uuid FROM panono_agent.heartbeat WHERE id = 1";
/// A write waits for as long as the group has no majority; then the role is lost and this task with it.
const WRITE_LIMIT: Duration = Duration::from_secs(600);
const AGAIN: Duration = Duration::from_millis(50);

/// Beats as long as it is not dropped. The first beat that succeeds tells how long the gap was.
pub async fn beat(core: Arc<Core>, own: String) {
    let mut told = false;
    loop {
        // A new primary refuses writes until it has applied all; a connection may break.
        if let Err(error) = series(&core, &own, &mut told).await {
            tracing::debug!(error = format!("{error:#}"), "no heartbeat");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn series(core: &Arc<Core>, own: &str, told: &mut bool) -> Result<()> {
    let config = core.config();
    let mut connection = sql::connect(&config).await?;
    loop {
        let before = if *told {
            None
        } else {
            last(&mut connection).await?
        };
        let at_ms = now_ms();
        let statement = format!(
            "REPLACE INTO panono_agent.heartbeat (id, at_ms, server_uuid) VALUES (1, {at_ms}, {})",
            quoted(own)
        );
        sql::run(&mut connection, WRITE_LIMIT, statement).await?;
        if !*told {
            *told = true;
            if let Some((last_ms, from)) = before {
                let failover = Failover {
                    from_uuid: Some(from),
                    at_ms,
                    write_gap_ms: now_ms().saturating_sub(last_ms),
                };
                tracing::info!(
                    from = failover.from_uuid,
                    write_gap_ms = failover.write_gap_ms,
                    "this member takes writes"
                );
                core.update(|moment| moment.failover = Some(failover));
            }
        }
        tokio::time::sleep(Duration::from_millis(config.heartbeat_ms)).await;
    }
}

async fn last(connection: &mut MySqlConnection) -> Result<Option<(u64, String)>> {
    sql::limited(WRITE_LIMIT, sqlx::query_as(LAST).fetch_optional(connection)).await
}
