//! A database of its own for each test, in a group that all tests of a program share.

use anyhow::{Context, Result};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions, mysql::MySqlSslMode};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::{Durability, GroupOptions, MysqlGroup};

static SHARED: OnceCell<MysqlGroup> = OnceCell::const_new();
static FAULTED: OnceCell<Mutex<MysqlGroup>> = OnceCell::const_new();

/// The group of three that the tests of this program share. It is started by the first that asks. Tests that kill, pause or
/// switch its members use [`faulted_group`] instead.
///
/// # Errors
/// When it does not come up.
pub async fn shared_group() -> Result<&'static MysqlGroup> {
    SHARED.get_or_try_init(|| MysqlGroup::start(3)).await
}

/// A group of three, with the durability of production, that one test at a time may hurt. The next test finds all of its
/// members online again, whatever was done to them, and any of them as the primary.
///
/// # Errors
/// When it does not come up, or cannot be healed.
pub async fn faulted_group() -> Result<MutexGuard<'static, MysqlGroup>> {
    let options = GroupOptions {
        durability: Durability::Full,
        ..GroupOptions::default()
    };
    let group = FAULTED
        .get_or_try_init(async || MysqlGroup::start_with(options).await.map(Mutex::new))
        .await?;
    let group = group.lock().await;
    group.heal().await?;
    Ok(group)
}

/// An empty database of one's own.
#[derive(Debug)]
pub struct TestDatabase<'group> {
    group: &'group MysqlGroup,
    name: String,
}

impl TestDatabase<'static> {
    /// A database in the shared group.
    ///
    /// # Errors
    /// When the group does not come up.
    pub async fn shared() -> Result<Self> {
        Self::create(shared_group().await?).await
    }
}

impl<'group> TestDatabase<'group> {
    /// A database in this group. It goes with the group.
    ///
    /// # Errors
    /// When the group has no primary.
    pub async fn create(group: &'group MysqlGroup) -> Result<Self> {
        let name = format!("test_{:016x}", rand::random::<u64>());
        group.create_database(&name).await?;
        Ok(Self { group, name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The group that it is in.
    pub fn group(&self) -> &'group MysqlGroup {
        self.group
    }

    /// The URL for writes.
    ///
    /// # Errors
    /// When the group has no primary.
    pub async fn writer_url(&self) -> Result<String> {
        self.group.writer_url(&self.name).await
    }

    /// The URLs for reads.
    ///
    /// # Errors
    /// When the group has no primary.
    pub async fn reader_urls(&self) -> Result<Vec<String>> {
        self.group.reader_urls(&self.name).await
    }

    /// A new connection to the primary, as the shop's user.
    ///
    /// # Errors
    /// When the primary cannot be reached.
    pub async fn connect(&self) -> Result<MySqlConnection> {
        let url = self.writer_url().await?;
        let options: MySqlConnectOptions =
            url.parse().context("failed to read the database's URL")?;
        options
            .ssl_mode(MySqlSslMode::Disabled)
            .connect()
            .await
            .context("failed to reach the primary")
    }
}

impl Drop for TestDatabase<'_> {
    fn drop(&mut self) {
        // The shared group is never dropped, so a test that fails shows its logs here.
        if std::thread::panicking() {
            self.group
                .members()
                .iter()
                .for_each(super::Member::print_log_tail);
        }
    }
}
