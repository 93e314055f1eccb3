//! `make soakbackups`: a backup of much data while a shop sells, and its restore.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use panono_operator::backup::archive::Archiver;
use panono_operator::backup::catalogue::Catalogue;
use panono_operator::backup::checksum::{all_tables, checkpoint, differences};
use panono_operator::backup::full::{Donor, FullOptions, take};
use panono_operator::backup::plan::Until;
use panono_operator::backup::progress::Progress;
use panono_operator::backup::restore::{RestoreOptions, restore};
use panono_operator::backup::seal::Key;
use panono_operator::backup::server::{Scratch, ServerOptions};
use panono_operator::backup::store::Store;
use panono_operator::gtid::GtidSet;
use sqlx::mysql::MySqlConnectOptions;

use crate::bench::{percentile, say};
use crate::market::{Buyer, GOOD_CARD, Market};
use crate::mysql::{Durability, GroupOptions, MysqlGroup, PASSWORD, ROOT, TestDatabase};
use crate::process::Folder;
use crate::tools;

/// Buyers at the same time.
const BUYERS: usize = 4;
const BASELINE: Duration = Duration::from_secs(60);
/// MiB that one statement writes.
const BATCH_MIB: u64 = 8;

/// What was measured.
#[derive(Debug)]
pub struct BackupRun {
    /// Bytes of the data directory.
    pub data_bytes: u64,
    /// Bytes at the target.
    pub stored_bytes: u64,
    /// Seconds that the backup took.
    pub backup_seconds: f64,
    /// Seconds that the restore took.
    pub restore_seconds: f64,
    /// 99th percentile of a checkout before the backup, in milliseconds.
    pub before_p99_ms: f64,
    /// The same while it was made.
    pub during_p99_ms: f64,
    /// Orders that were placed while it was made.
    pub orders: usize,
}

/// Fills a shop's group with so many GiB, makes a backup while buyers buy and the archive runs, restores to a chosen set of
/// transactions and compares all tables.
///
/// # Errors
/// When anything fails, or a restored table differs.
pub async fn backup(gib: u64, bandwidth_mib: u32) -> Result<BackupRun> {
    let settings = [
        ("plugin_load_add", "mysql_clone.so"),
        ("innodb_redo_log_capacity", "512M"),
    ];
    let group = MysqlGroup::start_with(GroupOptions {
        durability: Durability::Full,
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..GroupOptions::default()
    })
    .await?;
    let database = TestDatabase::create(&group).await?;
    database.migrate().await?;
    let market = Market::open(&database, 100, 1_000_000).await?;
    fill(&group, gib).await?;
    group.wait_until_applied().await?;
    let secondary = *group
        .secondaries()
        .await?
        .first()
        .context("there is a secondary")?;
    let login = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(secondary.port())
        .username(ROOT)
        .password(PASSWORD);
    let folder = Folder::new("soak")?;
    let catalogue = Catalogue {
        store: Store::open(
            &format!("file://{}/target", folder.path().display()),
            |_| None,
        )?,
        key: Key::parse(&"5a".repeat(32))?,
    };
    let mut archiver = Archiver::start(catalogue.clone(), login.clone()).await?;
    archiver.pass().await?;

    let shop = market
        .environment
        .clone()
        .with("PANONO_LOG", "warn")
        .serve()
        .await?;
    let times = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let market = Arc::new(market);
    let buyers: Vec<_> = (0..BUYERS)
        .map(|number| {
            let (market, times, stop) =
                (Arc::clone(&market), Arc::clone(&times), Arc::clone(&stop));
            let buyer = Buyer::at(&shop.url());
            tokio::spawn(buy(number, market, buyer, times, stop))
        })
        .collect();
    let taken =
        |times: &Mutex<Vec<f64>>| std::mem::take(&mut *times.lock().expect("nobody panics"));
    tokio::time::sleep(BASELINE).await;
    let before = taken(&times);
    let server = ServerOptions {
        program: tools::program("mysqld")?,
        memory_mib: 128,
    };
    let donor = Donor {
        host: "127.0.0.1".to_owned(),
        port: secondary.port(),
        user: ROOT.to_owned(),
        password: PASSWORD.to_owned(),
        tls: true,
    };
    let options = FullOptions {
        server: server.clone(),
        work: folder.path().join("work"),
        bandwidth_mib,
    };
    let progress = Progress::default();
    let began = Instant::now();
    let manifest = Box::pin(take(&catalogue, &donor, &options, &progress)).await?;
    let backup_seconds = began.elapsed().as_secs_f64();
    let during = taken(&times);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let live = checkpoint(&login, &manifest.executed, &progress).await?;
    stop.store(true, Ordering::SeqCst);
    for buyer in buyers {
        buyer.await??;
    }
    while archiver.pass().await?.more {}
    let archived: &GtidSet = archiver.archived();
    ensure!(live.executed.is_subset(archived), "the archive is behind");
    say(&format!(
        "backup: taken in {backup_seconds:.0} s; restoring"
    ));

    let restoring = RestoreOptions {
        server: server.clone(),
        data: folder.path().join("data"),
        until: Until::Set(live.executed.clone()),
        backup: None,
        replace: false,
        compare: true,
    };
    let restored = Box::pin(restore(&catalogue, &restoring, &progress)).await?;
    let arguments = ["--skip-grant-tables".to_owned()];
    let copy = Scratch::start(&server, &restoring.data, folder.path(), &arguments).await?;
    let mut connection = copy.connect().await?;
    let tables = all_tables(&mut connection, &progress).await?;
    drop(connection);
    copy.stop().await?;
    let different = differences(&live.tables, &tables);
    ensure!(different.is_empty(), "these tables differ: {different:?}");
    Ok(BackupRun {
        data_bytes: manifest.data_bytes,
        stored_bytes: manifest.stored_bytes,
        backup_seconds,
        restore_seconds: restored.seconds,
        before_p99_ms: percentile(before, 99),
        orders: during.len(),
        during_p99_ms: percentile(during, 99),
    })
}

/// Rows of a kilobyte that do not compress.
async fn fill(group: &MysqlGroup, gib: u64) -> Result<()> {
    let primary = group.primary().await?;
    primary.execute("CREATE DATABASE filler").await?;
    primary
        .execute(
            "CREATE TABLE filler.page (id BIGINT PRIMARY KEY AUTO_INCREMENT, data VARBINARY(1024))",
        )
        .await?;
    let mut connection = primary.connect().await?;
    sqlx::raw_sql("SET SESSION cte_max_recursion_depth = 100000")
        .execute(&mut connection)
        .await?;
    for done in 0..gib * 1024 / BATCH_MIB {
        sqlx::query(
            "INSERT INTO filler.page (data) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
             SELECT RANDOM_BYTES(1000) FROM n",
        )
        .bind(BATCH_MIB * 1024)
        .execute(&mut connection)
        .await?;
        if done % 128 == 127 {
            say(&format!(
                "backup: {} MiB are written",
                (done + 1) * BATCH_MIB
            ));
        }
    }
    Ok(())
}

async fn buy(
    number: usize,
    market: Arc<Market>,
    buyer: Buyer,
    times: Arc<Mutex<Vec<f64>>>,
    stop: Arc<AtomicBool>,
) -> Result<()> {
    let mut bought = number;
    while !stop.load(Ordering::SeqCst) {
        let variant = market.variants[bought % market.variants.len()];
        let cart = market.cart(&[(variant, 1)], None).await?;
        let began = Instant::now();
        let reply = buyer.order(&cart, &cart.id, GOOD_CARD).await?;
        ensure!(reply.placed().is_some(), "not placed: {reply:?}");
        let elapsed = began.elapsed().as_secs_f64() * 1000.0;
        times.lock().expect("nobody panics").push(elapsed);
        bought += BUYERS;
    }
    Ok(())
}
