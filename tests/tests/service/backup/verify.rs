//! Verification: a good backup passes, a bad one is told from it, and the shop's own check has a say.

use anyhow::{Context, Result};
use panono_operator::backup::archive::Archiver;
use panono_operator::backup::error::BackupError;
use panono_operator::backup::progress::Progress;
use panono_operator::backup::verify::{CheckProgram, VerifyOptions, verify};
use panono_tests::mysql::TestDatabase;
use panono_tests::process::Folder;

use super::{full, group, in_folder, login, sell, servers};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_verified_to_the_last_order_and_by_the_shops_own_check() -> Result<()> {
    let group = group(2).await?;
    let primary = group.primary().await?;
    let secondary = *group.secondaries().await?.first().context("there is one")?;
    let database = TestDatabase::create(&group).await?;
    database.migrate().await?;
    group.wait_until_applied().await?;
    let folder = Folder::new("verify")?;
    let catalogue = in_folder(&folder)?;
    let mut archiver = Archiver::start(catalogue.clone(), login(secondary)).await?;
    full(&catalogue, secondary, &folder).await?;
    sell(primary, 20).await?;

    let options = VerifyOptions {
        server: servers()?,
        work: folder.path().join("work"),
        member: Some(login(secondary)),
        check: Some(CheckProgram {
            program: panono_tests::shop::program()?,
            arguments: [
                "check",
                "--invariants",
                "--secret-key",
                &"0123456789abcdef".repeat(4),
            ]
            .map(str::to_owned)
            .to_vec(),
            database: database.name().to_owned(),
        }),
    };
    // The archive gets there while the verification waits for it.
    let archiving = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
        while archiver.pass().await.is_ok() {
            ticks.tick().await;
        }
    });
    let progress = Progress::default();
    let verified = Box::pin(verify(&catalogue, &options, &progress)).await?;
    assert!(verified.passed, "{verified:?}");
    assert!(
        verified.restore_seconds > 0.0 && verified.tables > 50,
        "{verified:?}"
    );
    let noted = async || {
        let listed = catalogue.backups().await?;
        catalogue.verified(&listed[0]).await
    };
    assert_eq!(noted().await?.as_ref(), Some(&verified));

    // A check that is killed says nothing of the backup.
    let killed = VerifyOptions {
        check: Some(CheckProgram {
            program: "/bin/sh".into(),
            arguments: ["-c", "kill -KILL $$"].map(str::to_owned).to_vec(),
            database: database.name().to_owned(),
        }),
        ..options.clone()
    };
    let error = Box::pin(verify(&catalogue, &killed, &progress)).await;
    let error = error.unwrap_err();
    assert!(matches!(error, BackupError::Undecided(_)), "{error}");
    assert_eq!(noted().await?, Some(verified));

    // The shop's check finds what the database does not know to be wrong.
    primary
        .execute(&format!(
            "INSERT INTO `{}`.stock_reservation (order_id, variant_id, quantity, state) VALUES (1, 77, 2, 'held')",
            database.name()
        ))
        .await?;
    let verified = Box::pin(verify(&catalogue, &options, &progress)).await?;
    assert!(
        !verified.passed && verified.message.contains("77"),
        "{verified:?}"
    );

    // A bad piece is found.
    let listed = catalogue.backups().await?;
    let part = listed[0]
        .keys
        .iter()
        .find(|key| key.contains("part-"))
        .context("it has parts")?;
    let mut bytes = catalogue.store.get(part).await?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    catalogue.store.put(part, bytes).await?;
    let verified = Box::pin(verify(&catalogue, &options, &progress)).await?;
    archiving.abort();
    assert!(
        !verified.passed && verified.message.contains("damaged"),
        "{verified:?}"
    );
    assert_eq!(noted().await?, Some(verified));
    Ok(())
}
