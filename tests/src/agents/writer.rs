//! A client that writes all the time, and remembers what was acknowledged and when.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::task::JoinHandle;

use super::AgentGroup;
use super::member::options;
use crate::wait::wait_until;

/// A server that does not answer a write so long is left for another.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// Between two writes.
const PACE: Duration = Duration::from_millis(4);
const CATCH_UP_LIMIT: Duration = Duration::from_secs(180);

/// A client that writes one row after the other, each with a new number, to whoever takes writes.
#[derive(Debug)]
pub struct Writer {
    table: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: Mutex<Vec<(u64, Instant)>>,
}

impl Writer {
    /// Begins, and returns when the first row was acknowledged.
    ///
    /// # Errors
    /// When nobody takes it.
    pub async fn start(group: &AgentGroup) -> Result<Self> {
        let table = format!("written_{:016x}", rand::random::<u64>());
        let primary = group.primary().await?;
        let mut connection = group.member(primary).connect().await?;
        let statement =
            format!("CREATE TABLE {table} (n BIGINT UNSIGNED PRIMARY KEY, filling VARCHAR(200))");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        let shared = Arc::new(Shared::default());
        let addresses = group.addresses();
        let task = tokio::spawn(write(addresses, table.clone(), Arc::clone(&shared)));
        let writer = Self {
            table,
            shared,
            task,
        };
        writer.goes_on().await?;
        Ok(writer)
    }

    /// Rows that were acknowledged so far.
    pub fn count(&self) -> usize {
        self.acknowledged().len()
    }

    /// Waits until a row is acknowledged that was not when this was called.
    ///
    /// # Errors
    /// When none is for a long time.
    pub async fn goes_on(&self) -> Result<()> {
        self.more(1).await
    }

    /// Waits until so many more rows are acknowledged.
    ///
    /// # Errors
    /// When they are not for a long time.
    pub async fn more(&self, rows: usize) -> Result<()> {
        let before = self.count();
        wait_until("writes to be acknowledged", CATCH_UP_LIMIT, async || {
            self.count() >= before + rows
        })
        .await
    }

    /// The longest time between two acknowledgements since `start`.
    pub fn gap_since(&self, start: Instant) -> Duration {
        let all = self.acknowledged();
        let from = all.partition_point(|(_, at)| *at < start).saturating_sub(1);
        all[from..]
            .windows(2)
            .map(|pair| pair[1].1.duration_since(pair[0].1))
            .max()
            .unwrap_or_default()
    }

    /// Ends, and verifies on every member that runs that nothing acknowledged is lost and that all have the same rows.
    ///
    /// # Errors
    /// When a row is lost, or members differ.
    pub async fn verify(self, group: &AgentGroup) -> Result<usize> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the writer broke")?;
        let numbers: Vec<u64> = self
            .shared
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(number, _)| *number)
            .collect();
        group.wait_until_applied().await?;
        let mut sums = Vec::new();
        for member in group.members().iter().filter(|member| member.is_running()) {
            let mut connection = member.admin().await?;
            let statement = format!("SELECT n FROM panono.{} ORDER BY n", self.table);
            let there: Vec<u64> = sqlx::query_scalar(AssertSqlSafe(statement))
                .fetch_all(&mut connection)
                .await?;
            let lost: Vec<u64> = numbers
                .iter()
                .filter(|number| there.binary_search(number).is_err())
                .copied()
                .collect();
            ensure!(
                lost.is_empty(),
                "member {} has lost {} acknowledged rows of {}: {:?}",
                member.index(),
                lost.len(),
                numbers.len(),
                &lost[..lost.len().min(20)]
            );
            let sum: (String, Option<i64>) = sqlx::query_as(AssertSqlSafe(format!(
                "CHECKSUM TABLE panono.{}",
                self.table
            )))
            .fetch_one(&mut connection)
            .await?;
            connection.close().await.ok();
            sums.push(sum.1);
        }
        ensure!(
            sums.windows(2).all(|pair| pair[0] == pair[1]),
            "the members have different rows: {sums:?}"
        );
        let count = numbers.len();
        if let Ok(primary) = group.primary().await {
            group
                .member(primary)
                .execute(&format!("DROP TABLE panono.{}", self.table))
                .await?;
        }
        Ok(count)
    }

    fn acknowledged(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Instant)>> {
        self.shared
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(addresses: Vec<String>, table: String, shared: Arc<Shared>) {
    let mut next = 0_usize;
    let mut number = 0_u64;
    let mut connection: Option<MySqlConnection> = None;
    let statement = format!("INSERT INTO {table} (n, filling) VALUES (?, REPEAT('x', 200))");
    while !shared.stop.load(Ordering::Relaxed) {
        let Some(open) = &mut connection else {
            next = (next + 1) % addresses.len();
            connection = writable(&addresses[next]).await;
            if connection.is_none() {
                tokio::time::sleep(PACE).await;
            }
            continue;
        };
        number += 1;
        let insert = sqlx::query(AssertSqlSafe(statement.as_str()))
            .bind(number)
            .execute(open);
        match tokio::time::timeout(WRITE_LIMIT, insert).await {
            Ok(Ok(_)) => shared
                .acknowledged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((number, Instant::now())),
            // Whether it was done is not known; the number is not used again.
            _ => connection = None,
        }
        tokio::time::sleep(PACE).await;
    }
}

/// A connection to a server that takes writes.
async fn writable(address: &str) -> Option<MySqlConnection> {
    let options = options(address).ok()?;
    tokio::time::timeout(CONNECT_LIMIT, async {
        let mut connection = options.connect().await.ok()?;
        let read_only: i64 = sqlx::query_scalar("SELECT CAST(@@GLOBAL.super_read_only AS SIGNED)")
            .fetch_one(&mut connection)
            .await
            .ok()?;
        (read_only == 0).then_some(connection)
    })
    .await
    .ok()?
}

/// Gaps in writing, of several runs of one fault.
#[derive(Clone, Debug, Default)]
pub struct Gaps(Vec<Duration>);

impl Gaps {
    /// One more.
    pub fn add(&mut self, gap: Duration) {
        self.0.push(gap);
    }

    /// In milliseconds.
    pub fn milliseconds(&self) -> Vec<f64> {
        self.0
            .iter()
            .map(|gap| gap.as_secs_f64() * 1000.0)
            .collect()
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |percent| {
            let all = self.milliseconds();
            if all.is_empty() {
                0.0
            } else {
                crate::bench::percentile(all, percent)
            }
        };
        write!(
            formatter,
            "write gap of {} runs: p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms",
            self.0.len(),
            at(50),
            at(95),
            at(100)
        )
    }
}
