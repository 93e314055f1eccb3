//! How many small transactions a database commits each second, and what replicating them costs: `group_commit_rate`.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Measure, median, say};
use crate::mysql::{Durability, GroupOptions, Member, MysqlGroup};

/// Sessions that commit at the same time.
const SESSIONS: usize = 16;
/// How long is measured.
const TIME: Duration = Duration::from_secs(5);
/// Rounds, of which the middle one counts.
const ROUNDS: usize = 5;
const MEMBERS: usize = 3;

/// Commits a second on the primary of a group of three, beside those of one server without replication. All four wait for their
/// disks, and all are on this machine.
///
/// # Errors
/// When a server does not start, or a commit fails.
pub async fn of_group() -> Result<Measure> {
    let options = |members| GroupOptions {
        members,
        durability: Durability::Full,
        ..GroupOptions::default()
    };
    let group = MysqlGroup::start_with(options(MEMBERS)).await?;
    let alone = MysqlGroup::single_with(options(1)).await?;
    let (primary, alone_member) = (group.primary().await?, alone.member(0));
    for member in [primary, alone_member] {
        prepare(member).await?;
        per_second(member).await?;
    }
    let (mut of_group, mut of_alone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_group.push(per_second(primary).await?);
        // What the other members still have to apply is part of the price, but not of the other's round.
        group.wait_until_applied().await?;
        of_alone.push(per_second(alone_member).await?);
    }
    say(&format!(
        "commits/s in each round: {of_group:.0?}, yardstick {of_alone:.0?}"
    ));
    Ok(Measure::beside(
        "group_commit_rate",
        median(of_group),
        median(of_alone),
        "ratio>=0.60",
    ))
}

/// Makes the table that [`per_second`] writes to.
///
/// # Errors
/// When the server refuses.
pub async fn prepare(member: &Member) -> Result<()> {
    member
        .execute("CREATE DATABASE IF NOT EXISTS commits")
        .await?;
    member
        .execute("CREATE TABLE IF NOT EXISTS commits.row (id BIGINT PRIMARY KEY AUTO_INCREMENT, data VARCHAR(1000))")
        .await
}

/// Commits a second of 16 sessions, each of one row of half a kilobyte.
///
/// # Errors
/// When a commit fails.
pub async fn per_second(member: &Member) -> Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..SESSIONS {
        connections.push(member.connect().await?);
    }
    let began = Instant::now();
    let mut sessions = Vec::new();
    for mut connection in connections {
        sessions.push(tokio::spawn(async move {
            let mut count = 0_u32;
            while began.elapsed() < TIME {
                sqlx::query("INSERT INTO commits.row (data) VALUES (REPEAT('x', 500))")
                    .execute(&mut connection)
                    .await?;
                count += 1;
            }
            Ok::<_, anyhow::Error>(count)
        }));
    }
    let mut count = 0;
    for session in sessions {
        count += session.await??;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}
