//! The archive: what it takes, what it does when something is gone, and what is deleted with old backups.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use panono_operator::backup::archive::Archiver;
use panono_operator::backup::error::BackupError;
use panono_operator::backup::plan::Until;
use panono_operator::backup::progress::Progress;
use panono_operator::backup::prune::prune;
use panono_operator::backup::restore::{RestoreOptions, restore};
use panono_operator::backup::retention::Retention;
use panono_operator::gtid::GtidSet;
use panono_tests::process::Folder;

use super::{
    full, full_by_the_program, group, in_folder, login, restored, restored_sum, sell, sum,
};

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_are_gone_are_a_gap_until_the_next_backup() -> Result<()> {
    let group = group(1).await?;
    let member = group.member(0);
    let folder = Folder::new("gap")?;
    let catalogue = in_folder(&folder)?;
    let mut archiver = Archiver::start(catalogue.clone(), login(member)).await?;
    archiver.pass().await?;
    let before = full(&catalogue, member, &folder).await?;
    sell(member, 5).await?;
    let (kept, at_kept) = (member.executed().await?, sum(member).await?);
    member.execute("FLUSH BINARY LOGS").await?;
    sell(member, 5).await?;
    member.execute("FLUSH BINARY LOGS").await?;
    let lost = member.executed().await?;

    // Nobody archived, and the server has thrown away what was written meanwhile: one file that is being read, and the next.
    member
        .execute("PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY")
        .await?;
    sell(member, 5).await?;
    let Err(BackupError::Purged(missing)) = archiver.pass().await else {
        anyhow::bail!("the gap was not noticed");
    };
    let (kept, lost): (GtidSet, GtidSet) = (kept.parse()?, lost.parse()?);
    assert_eq!(missing, lost.subtract(&kept));
    let mut another = Archiver::start(catalogue.clone(), login(member)).await?;
    let Err(BackupError::Purged(missing)) = another.pass().await else {
        anyhow::bail!("the gap was not noticed by another");
    };
    assert_eq!(missing, lost.subtract(&before.executed));

    // A full backup spans it.
    let after = full(&catalogue, member, &folder).await?;
    sell(member, 5).await?;
    assert!(archiver.pass().await?.caught_up);
    let last = restored(&catalogue, &folder, Until::End).await?;
    assert_eq!(last.backup, after.id);
    assert_eq!(restored_sum(&folder).await?, sum(member).await?);

    // From the backup before the gap nothing behind it can be had, and that is said.
    let after_gap: GtidSet = member.executed().await?.parse()?;
    let from_before = async |until: Until| {
        let options = RestoreOptions {
            server: super::servers().expect("the tools are there"),
            data: super::data(&folder),
            until,
            backup: Some(before.id.clone()),
            replace: true,
            compare: false,
        };
        Box::pin(restore(&catalogue, &options, &Progress::default())).await
    };
    let error = from_before(Until::Set(after_gap)).await.unwrap_err();
    let BackupError::Gap { missing, reached } = error else {
        anyhow::bail!("{error}");
    };
    assert_eq!(missing, lost.subtract(&kept));
    // What it offers instead can be had.
    let last = from_before(Until::Time(reached)).await?;
    assert_eq!(last.executed, kept);
    assert_eq!(restored_sum(&folder).await?, at_kept);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_archivers_at_once_and_a_killed_server_do_no_harm() -> Result<()> {
    let group = group(1).await?;
    let member = group.member(0);
    let folder = Folder::new("twice")?;
    let catalogue = in_folder(&folder)?;
    let log = full_by_the_program(member, &folder).await?;
    assert!(log.contains("the backup is complete"), "{log}");
    assert!(
        !log.contains("IDENTIFIED BY"),
        "it says the password: {log}"
    );
    let mut one = Archiver::start(catalogue.clone(), login(member)).await?;
    let mut two = Archiver::start(catalogue.clone(), login(member)).await?;
    sell(member, 5).await?;
    let passes = (one.pass().await?, two.pass().await?);
    assert!(
        passes.0.transactions >= 5 && passes.1.transactions >= 5,
        "{passes:?}"
    );
    // At rest nothing is written.
    assert_eq!(one.pass().await?.segments, 0);
    member.execute("FLUSH BINARY LOGS").await?;
    sell(member, 5).await?;
    assert_eq!(one.pass().await?.transactions, 5);
    member.kill()?;
    group.recover_from_outage().await?;
    sell(group.primary().await?, 5).await?;
    assert!(one.pass().await.is_err(), "its connection was lost");
    assert!(one.pass().await?.transactions >= 5);
    restored(&catalogue, &folder, Until::End).await?;
    assert_eq!(restored_sum(&folder).await?, sum(member).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_what_is_kept_can_still_be_restored() -> Result<()> {
    let group = group(1).await?;
    let member = group.member(0);
    let folder = Folder::new("retention")?;
    let catalogue = in_folder(&folder)?;
    let mut archiver = Archiver::start(catalogue.clone(), login(member)).await?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        sell(member, 5).await?;
        archiver.pass().await?;
        ids.push(full(&catalogue, member, &folder).await?.id);
    }
    sell(member, 5).await?;
    archiver.pass().await?;
    let segments = catalogue.segments().await?.len();
    let retention = Retention {
        keep: SignedDuration::from_hours(24),
        minimum: 2,
    };
    let later = Timestamp::now().checked_add(SignedDuration::from_hours(240))?;
    let pruned = prune(&catalogue, retention, later).await?;
    assert_eq!(pruned.backups, [ids[0].clone()]);
    assert!(
        pruned.segments > 0 && pruned.segments < segments,
        "{pruned:?}"
    );
    let left: Vec<String> = catalogue
        .backups()
        .await?
        .into_iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(left, ids[1..]);
    let oldest = RestoreOptions {
        server: super::servers()?,
        data: super::data(&folder),
        until: Until::End,
        backup: Some(ids[1].clone()),
        replace: false,
        compare: true,
    };
    Box::pin(restore(&catalogue, &oldest, &Progress::default())).await?;
    assert_eq!(restored_sum(&folder).await?, sum(member).await?);
    Ok(())
}
