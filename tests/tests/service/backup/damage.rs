//! Whatever happens to what lies at the target is noticed before anything is replaced.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use panono_operator::backup::archive::Archiver;
use panono_operator::backup::catalogue::Catalogue;
use panono_operator::backup::plan::Until;
use panono_operator::backup::prune::prune;
use panono_operator::backup::retention::Retention;
use panono_operator::backup::seal::Key;
use panono_operator::backup::store::Store;
use panono_tests::fake::s3::FakeBucket;
use panono_tests::process::Folder;

use super::{data, full, group, in_folder, key, login, restored, sell};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_damage_is_noticed_before_anything_is_replaced() -> Result<()> {
    let group = group(1).await?;
    let member = group.member(0);
    let folder = Folder::new("damage")?;
    let catalogue = in_folder(&folder)?;
    let mut archiver = Archiver::start(catalogue.clone(), login(member)).await?;
    archiver.pass().await?;
    full(&catalogue, member, &folder).await?;
    for _ in 0..3 {
        sell(member, 5).await?;
        archiver.pass().await?;
    }
    // Two of the segments are older than the backup, or in it.
    let objects = files(&folder.path().join("target"));
    let needed: Vec<&PathBuf> = {
        let manifest = catalogue.backups().await?;
        let manifest = catalogue.manifest(&manifest[0].id).await?;
        let mut needed = Vec::new();
        for path in &objects {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.to_string_lossy().contains("/binlogs/") {
                let header = catalogue.segment_header(&format!("binlogs/{name}")).await?;
                if header.transactions.is_subset(&manifest.executed) {
                    continue;
                }
            }
            needed.push(path);
        }
        needed
    };
    assert!(needed.len() >= 6, "{needed:?}");

    // What is in the way, and must stay.
    fs::create_dir_all(data(&folder))?;
    fs::write(data(&folder).join("precious"), b"orders")?;
    let untouched = async |what: String| {
        let error = restored(&catalogue, &folder, Until::End)
            .await
            .expect_err(&what);
        assert_eq!(
            fs::read(data(&folder).join("precious")).unwrap(),
            b"orders",
            "{what}: {error}"
        );
        assert_eq!(
            fs::read_dir(data(&folder)).unwrap().count(),
            1,
            "{what}: {error}"
        );
    };
    for path in needed {
        let whole = fs::read(path)?;
        let name = path.display();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x20;
            fs::write(path, flipped)?;
            untouched(format!("byte {at} of {name} was flipped")).await;
        }
        fs::write(path, &whole[..whole.len() / 2])?;
        untouched(format!("{name} was cut")).await;
        fs::remove_file(path)?;
        // Of a server that archives alone, the head is all that tells of segments behind the last.
        if !path.to_string_lossy().contains("/heads/") {
            untouched(format!("{name} is missing")).await;
        }
        fs::write(path, whole)?;
    }
    // Pieces of one backup in the place of another's.
    full(&catalogue, member, &folder).await?;
    let parts: Vec<PathBuf> = files(&folder.path().join("target"))
        .into_iter()
        .filter(|path| path.ends_with("part-000001"))
        .collect();
    let (old, new) = (fs::read(&parts[0])?, fs::read(&parts[1])?);
    fs::write(&parts[1], old)?;
    untouched("a piece of another backup".to_owned()).await;
    fs::write(&parts[1], new)?;

    let other = Catalogue {
        store: catalogue.store.clone(),
        key: Key::parse(&"b2".repeat(32))?,
    };
    let error = restored(&other, &folder, Until::End).await.unwrap_err();
    assert!(
        error.to_string().contains("was encrypted with the key"),
        "{error}"
    );

    // And whole again it is restored, over what was in the way.
    restored(&catalogue, &folder, Until::End).await?;
    assert!(!data(&folder).join("precious").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_backup_is_none_and_goes_away() -> Result<()> {
    let group = group(1).await?;
    let member = group.member(0);
    let folder = Folder::new("interrupted")?;
    let bucket = FakeBucket::start().await;
    let catalogue = Catalogue {
        store: Store::open(&bucket.target(), FakeBucket::variable)?,
        key: key(),
    };
    let good = full(&catalogue, member, &folder).await?;
    sell(member, 5).await?;
    bucket.refuse_after(1);
    let error = full(&catalogue, member, &folder).await.unwrap_err();
    assert!(error.to_string().contains("QuotaExceeded"), "{error}");
    bucket.refuse_after(usize::MAX / 2);
    assert_eq!(
        fs::read_dir(folder.path().join("work"))?.count(),
        0,
        "something was left"
    );

    let listed = catalogue.backups().await?;
    assert_eq!(listed.iter().filter(|backup| backup.complete).count(), 1);
    assert_eq!(listed.len(), 2);
    let restored = restored(&catalogue, &folder, Until::End).await?;
    assert_eq!(restored.backup, good.id);

    let retention = Retention {
        keep: SignedDuration::from_hours(24 * 30),
        minimum: 1,
    };
    let pruned = prune(&catalogue, retention, Timestamp::now()).await?;
    assert!(
        pruned.backups.is_empty(),
        "it may still be at work: {pruned:?}"
    );
    let tomorrow = Timestamp::now().checked_add(SignedDuration::from_hours(25))?;
    let pruned = prune(&catalogue, retention, tomorrow).await?;
    assert_eq!(pruned.backups, [listed[1].id.clone()]);
    assert_eq!(catalogue.backups().await?.len(), 1);
    Ok(())
}
