//! A group of three sells without pause; what is restored is what was there at the chosen moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use panono_operator::backup::archive::Archiver;
use panono_operator::backup::catalogue::Catalogue;
use panono_operator::backup::plan::Until;
use panono_operator::backup::store::Store;
use panono_operator::gtid::GtidSet;
use panono_tests::fake::s3::FakeBucket;
use panono_tests::process::Folder;
use panono_tests::wait::wait_until;
use sqlx::Connection as _;

use super::{LIMIT, caught_up, full, group, key, login, restored, restored_sum, sell, sum};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_under_load_is_restored_to_any_moment_and_across_a_failover() -> Result<()> {
    let group = group(3).await?;
    let bucket = FakeBucket::start().await;
    let catalogue = Catalogue {
        store: Store::open(&bucket.target(), FakeBucket::variable)?,
        key: key(),
    };
    let folder = Folder::new("backup")?;
    let primary = group.primary().await?;
    let secondaries = group.secondaries().await?;
    let [first, second] = secondaries.as_slice() else {
        anyhow::bail!("there are two secondaries");
    };
    let mut archiver = Archiver::start(catalogue.clone(), login(first)).await?;
    archiver.pass().await?;

    // The load goes on while the backup is made.
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, mut connection) = (Arc::clone(&stop), primary.connect().await?);
    let load = tokio::spawn(async move {
        let mut orders = 0;
        while !stopped.load(Ordering::SeqCst) {
            sqlx::query("INSERT INTO shop.orders (lines_text) VALUES (REPEAT(UUID(), 20))")
                .execute(&mut connection)
                .await?;
            orders += 1;
        }
        connection.close().await?;
        Ok::<_, anyhow::Error>(orders)
    });
    // The bucket is not always well.
    bucket.stumble(2);
    let manifest = full(&catalogue, first, &folder).await?;
    stop.store(true, Ordering::SeqCst);
    let orders = load.await??;
    ensure!(orders > 0, "nothing was sold while the backup was made");
    ensure!(
        manifest
            .tables
            .iter()
            .any(|table| table.table == "shop.orders")
    );

    sell(primary, 50).await?;
    let at_gtid = (primary.executed().await?, sum(primary).await?);
    let chosen: GtidSet = at_gtid.0.parse()?;
    sell(primary, 50).await?;
    // The moment is after everything until here, and before everything that follows.
    let (moment, at_time) = (Timestamp::now(), sum(primary).await?);
    sell(primary, 50).await?;
    caught_up(first, primary).await?;
    archiver.pass().await?;
    // Nothing is sold between this pass and the next: the moment is in no segment.
    let (quiet, at_quiet) = (Timestamp::now(), sum(primary).await?);

    // The primary dies with what the archive does not have yet, and the archiver's member dies, too.
    sell(primary, 50).await?;
    caught_up(second, primary).await?;
    caught_up(first, primary).await?;
    group.member(primary.index()).kill()?;
    // Until it is given up the others take the dead one for the primary.
    let new_primary = wait_until("another primary", LIMIT, async || {
        let found = group.primary().await?;
        (found.index() != primary.index())
            .then_some(found)
            .context("it is the old one")
    })
    .await?;
    sell(new_primary, 50).await?;
    let other = if new_primary.index() == first.index() {
        second
    } else {
        first
    };
    caught_up(other, new_primary).await?;
    drop(archiver);
    let mut archiver = Archiver::start(catalogue.clone(), login(second)).await?;
    caught_up(second, new_primary).await?;
    archiver.pass().await?;
    let at_end = sum(new_primary).await?;

    let all = restored(&catalogue, &folder, Until::End).await?;
    assert_eq!(restored_sum(&folder).await?, at_end, "the end differs");
    let live: GtidSet = new_primary.executed().await?.parse()?;
    assert_eq!(all.executed, live);
    assert!(all.applied >= 250, "{all:?}");

    let then = restored(&catalogue, &folder, Until::Time(moment)).await?;
    assert_eq!(restored_sum(&folder).await?, at_time, "the moment differs");
    assert!(then.last_commit.context("something was applied")? <= moment);

    let then = restored(&catalogue, &folder, Until::Time(quiet)).await?;
    assert_eq!(
        restored_sum(&folder).await?,
        at_quiet,
        "the quiet moment differs"
    );
    assert!(then.last_commit.context("something was applied")? > moment);

    restored(&catalogue, &folder, Until::Set(chosen.clone())).await?;
    assert_eq!(restored_sum(&folder).await?, at_gtid.1, "the set differs");

    // The last transaction of the set, by its name.
    let last = then_last(&chosen, &manifest.executed).context("there is a last one")?;
    restored(&catalogue, &folder, Until::Gtid(last)).await?;
    assert_eq!(restored_sum(&folder).await?, at_gtid.1, "the GTID differs");

    let late = Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1))?;
    let error = restored(&catalogue, &folder, Until::Time(late))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("reaches"), "{error}");
    let early = manifest
        .started_at
        .checked_sub(jiff::SignedDuration::from_hours(1))?;
    let error = restored(&catalogue, &folder, Until::Time(early))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("before the oldest backup"),
        "{error}"
    );
    Ok(())
}

/// The newest transaction in `set` that is not in `base`, where only one server numbers.
fn then_last(set: &GtidSet, base: &GtidSet) -> Option<panono_operator::gtid::Gtid> {
    let new = set.subtract(base).to_string();
    let (source, numbers) = new.split_once(':')?;
    let last = numbers.rsplit(['-', ':']).next()?;
    format!("{source}:{last}").parse().ok()
}
