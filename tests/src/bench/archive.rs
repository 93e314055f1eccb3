//! What continuous archiving costs those who commit: `archiving_cost`.

use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use super::{Measure, commits, median, say};
use crate::mysql::{MysqlGroup, PASSWORD, ROOT};
use crate::process::{Folder, Process};
use crate::wait::wait_until;

/// Rounds, of which the middle one counts.
const ROUNDS: usize = 5;
const STOP_LIMIT: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(60);

/// Commits a second with `panono-backup archive` beside the member, every second and to a folder on the same disk, and without it.
///
/// # Errors
/// When a commit fails, or nothing was archived.
pub async fn run(group: &MysqlGroup) -> Result<Measure> {
    let member = group.primary().await?;
    commits::prepare(member).await?;
    let folder = Folder::new("archive")?;
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let key = file("key", &"5a".repeat(32)).context("failed to write the key")?;
    let password = file("password", PASSWORD).context("failed to write the password")?;
    let target = folder.path().join("target");
    commits::per_second(member).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        without.push(commits::per_second(member).await?);
        let mut command = Command::new(crate::tools::beside("panono-backup")?);
        command
            .args(["archive", "--every-seconds", "1"])
            .args(["--member", &member.address(), "--user", ROOT])
            .arg(format!("--target=file://{}", target.display()))
            .arg(format!("--key-file={}", key.display()))
            .arg(format!("--password-file={}", password.display()));
        let started = SystemTime::now();
        let archiver = Process::start("archive", command, &folder.path().join("archive.log"))?;
        // What was committed while nobody archived is no part of what archiving costs.
        wait_until("the archiver to have caught up", LIMIT, async || {
            archiver.must_run()?;
            let head = std::fs::read_dir(target.join("heads"))?;
            let head = head.last().context("it has told nothing")??;
            ensure!(
                head.metadata()?.modified()? > started,
                "it has told nothing new"
            );
            Ok(())
        })
        .await?;
        let during = commits::per_second(member).await;
        let ended = archiver.terminate(STOP_LIMIT).await?;
        ensure!(
            ended.success(),
            "archiving failed: {}",
            archiver.log_tail(5)
        );
        let during = during?;
        say(&format!(
            "archiving_cost: round {round}: {during:.0} commits/s with it, {:.0} without",
            without.last().copied().unwrap_or_default()
        ));
        with.push(during);
    }
    let archived = std::fs::read_dir(target.join("binlogs")).map_or(0, Iterator::count);
    ensure!(archived >= ROUNDS, "only {archived} segments were archived");
    Ok(Measure::beside(
        "archiving_cost",
        median(with),
        median(without),
        "ratio>=0.95",
    ))
}
