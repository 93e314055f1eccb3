//! A database with the shop's schema, and the shop's own access to it.

use std::time::Duration;

use anyhow::{Context, Result};
use panono_shop::db::{Arrangement, DatabaseConfig, Db, PoolSize};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::mysql::TestDatabase;
use crate::wait::wait_until;

impl TestDatabase<'_> {
    /// Brings the database to the newest schema.
    ///
    /// # Errors
    /// When a migration fails.
    pub async fn migrate(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        panono_shop::migrations::MIGRATOR
            .run(&mut connection)
            .await
            .context("failed to migrate")
    }

    /// The shop's access to this database through the present primary alone, once it accepts writes.
    ///
    /// # Errors
    /// When it does not within a moment.
    pub async fn db(&self) -> Result<Db> {
        self.db_of(Arrangement::Fixed, &[self.writer_url().await?])
            .await
    }

    /// The shop's access to this database through these members, once one of them accepts writes.
    ///
    /// # Errors
    /// When none does within a moment.
    pub async fn db_of(&self, arrangement: Arrangement, urls: &[String]) -> Result<Db> {
        let members = urls
            .iter()
            .map(|url| {
                url.parse::<MySqlConnectOptions>()
                    .map(|options| options.ssl_mode(MySqlSslMode::Disabled))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let db = Db::start(DatabaseConfig {
            arrangement,
            members,
            pool: PoolSize {
                max: 16,
                min: 1,
                acquire: Duration::from_secs(5),
            },
            write_deadline: Duration::from_secs(10),
            read_only: false,
        });
        wait_until(
            "the database to be writable",
            Duration::from_secs(20),
            async || db.is_writable(),
        )
        .await?;
        Ok(db)
    }
}
