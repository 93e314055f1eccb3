//! Backups of a real group: taken under load, restored to any moment, damaged in every way.

mod archive;
mod damage;
mod restore;
mod verify;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use panono_operator::backup::catalogue::{Catalogue, Manifest, TableSum};
use panono_operator::backup::checksum::all_tables;
use panono_operator::backup::error::BackupError;
use panono_operator::backup::full::{Donor, FullOptions, take};
use panono_operator::backup::plan::Until;
use panono_operator::backup::progress::Progress;
use panono_operator::backup::restore::{RestoreOptions, Restored, restore};
use panono_operator::backup::seal::Key;
use panono_operator::backup::server::{Scratch, ServerOptions};
use panono_operator::backup::store::Store;
use panono_tests::mysql::{GroupOptions, Member, MysqlGroup, PASSWORD, ROOT};
use panono_tests::process::Folder;
use panono_tests::tools;
use panono_tests::wait::wait_until;
use sqlx::mysql::MySqlConnectOptions;
use tokio::process::Command;

const KEY: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// Far longer than anything here takes on a free machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A group that can be cloned. It has a database `shop` with one table.
async fn group(members: usize) -> Result<MysqlGroup> {
    let settings = [
        ("plugin_load_add", "mysql_clone.so"),
        ("innodb_redo_log_capacity", "32M"),
    ];
    let group = MysqlGroup::start_with(GroupOptions {
        members,
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..GroupOptions::default()
    })
    .await?;
    group.create_database("shop").await?;
    let primary = group.primary().await?;
    primary
        .execute("CREATE TABLE shop.orders (id BIGINT PRIMARY KEY AUTO_INCREMENT, lines_text VARCHAR(2000))")
        .await?;
    group.wait_until_applied().await?;
    Ok(group)
}

/// Places so many orders, each a transaction.
async fn sell(member: &Member, orders: usize) -> Result<()> {
    let mut connection = member.connect().await?;
    for _ in 0..orders {
        sqlx::query("INSERT INTO shop.orders (lines_text) VALUES (REPEAT(UUID(), 20))")
            .execute(&mut connection)
            .await?;
    }
    Ok(())
}

/// The checksum of all orders.
async fn sum(member: &Member) -> Result<String> {
    let mut connection = member.connect().await?;
    Ok(format!(
        "{:?}",
        all_tables(&mut connection, &Progress::default()).await?
    ))
}

fn key() -> Key {
    Key::parse(KEY).expect("it is a key")
}

/// A target in a folder.
fn in_folder(folder: &Folder) -> Result<Catalogue> {
    let location = format!("file://{}/target", folder.path().display());
    Ok(Catalogue {
        store: Store::open(&location, |_| None)?,
        key: key(),
    })
}

fn servers() -> Result<ServerOptions> {
    Ok(ServerOptions {
        program: tools::program("mysqld")?,
        memory_mib: 64,
    })
}

fn login(member: &Member) -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(member.port())
        .username(ROOT)
        .password(PASSWORD)
}

fn donor(member: &Member) -> Donor {
    Donor {
        host: "127.0.0.1".to_owned(),
        port: member.port(),
        user: ROOT.to_owned(),
        password: PASSWORD.to_owned(),
        tls: true,
    }
}

async fn full(
    catalogue: &Catalogue,
    member: &Member,
    folder: &Folder,
) -> Result<Manifest, BackupError> {
    let options = FullOptions {
        server: servers().expect("the tools are there"),
        work: folder.path().join("work"),
        bandwidth_mib: 0,
    };
    Box::pin(take(
        catalogue,
        &donor(member),
        &options,
        &Progress::default(),
    ))
    .await
}

/// As [`full`], by the program. What it logs, with all that is said of statements.
async fn full_by_the_program(member: &Member, folder: &Folder) -> Result<String> {
    let path = folder.path();
    fs::write(path.join("key"), KEY)?;
    fs::write(path.join("password"), PASSWORD)?;
    let output = Command::new(tools::beside("panono-backup")?)
        .args(["--log", "info,sqlx=trace", "take", "--user", ROOT])
        .arg(format!("--target=file://{}/target", path.display()))
        .arg(format!("--key-file={}/key", path.display()))
        .arg(format!("--member=127.0.0.1:{}", member.port()))
        .arg(format!("--password-file={}/password", path.display()))
        .arg(format!("--work={}/work", path.display()))
        .arg("--mysqld")
        .arg(tools::program("mysqld")?)
        .arg("--memory-mib=64")
        .kill_on_drop(true)
        .output()
        .await?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{log}");
    Ok(log)
}

fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data")
}

async fn restored(
    catalogue: &Catalogue,
    folder: &Folder,
    until: Until,
) -> Result<Restored, BackupError> {
    let options = RestoreOptions {
        server: servers().expect("the tools are there"),
        data: data(folder),
        until,
        backup: None,
        replace: true,
        compare: true,
    };
    Box::pin(restore(catalogue, &options, &Progress::default())).await
}

/// The checksums of a restored data directory.
async fn restored_tables(folder: &Folder) -> Result<Vec<TableSum>> {
    let arguments = ["--skip-grant-tables".to_owned()];
    let server = Scratch::start(&servers()?, &data(folder), folder.path(), &arguments).await?;
    let mut connection = server.connect().await?;
    let tables = all_tables(&mut connection, &Progress::default()).await?;
    drop(connection);
    server.stop().await?;
    Ok(tables)
}

async fn restored_sum(folder: &Folder) -> Result<String> {
    Ok(format!("{:?}", restored_tables(folder).await?))
}

/// Waits until a member has executed what another has.
async fn caught_up(member: &Member, with: &Member) -> Result<()> {
    let executed = with.executed().await?;
    wait_until("a member to catch up", LIMIT, async || {
        member
            .has_applied(&executed)
            .await?
            .then_some(())
            .context("it lags")
    })
    .await
}
