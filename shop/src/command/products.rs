//! `panono-shop import`, `export` and `seed`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::CommandResult;
use crate::config::args::{DatabaseArgs, SiteArgs};
use crate::config::{self, Collector};
use crate::db::Db;
use crate::export::{self, ExportArgs};
use crate::import::{self, ImportArgs, ShopSettings};
use crate::media::MediaStore;
use crate::seed::{self, SeedArgs};

/// How long to wait for a database that accepts writes.
const PRIMARY_WAIT: Duration = Duration::from_secs(30);

/// Which shop to work on.
#[derive(Debug, Args)]
struct ShopArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportCommand {
    #[command(flatten)]
    import: ImportArgs,
    #[command(flatten)]
    shop: ShopArgs,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportCommand {
    #[command(flatten)]
    export: ExportArgs,
    #[command(flatten)]
    shop: ShopArgs,
}

/// Arguments of `seed`.
#[derive(Debug, Args)]
pub struct SeedCommand {
    #[command(flatten)]
    seed: SeedArgs,
    #[command(flatten)]
    shop: ShopArgs,
}

impl ShopArgs {
    async fn connect(&self) -> Result<(Db, ShopSettings), anyhow::Error> {
        let mut problems = Collector::default();
        let database = config::database(&self.database, &mut problems);
        let catalogue = config::site::catalogue(&self.site, &mut problems);
        let (database, catalogue) = problems.finish(database.zip(catalogue))?;
        let db = Db::start(database);
        db.wait_for_primary(Instant::now() + PRIMARY_WAIT).await?;
        let settings = ShopSettings {
            currencies: catalogue.currencies().collect(),
            locales: catalogue.locales().cloned().collect(),
        };
        Ok((db, settings))
    }

    async fn media(&self) -> Result<MediaStore, anyhow::Error> {
        MediaStore::open(&self.site.media_url, &std::env::vars().collect())
            .await
            .map_err(|error| anyhow::anyhow!("PANONO_MEDIA_URL: {error}"))
    }
}

/// Exit codes: 0 everything was taken, 1 nothing was, 3 some rows were refused.
pub(super) async fn import(command: ImportCommand) -> CommandResult {
    let (db, settings) = command.shop.connect().await?;
    let media = match command.import.media_dir {
        Some(_) => Some(command.shop.media().await?),
        None => None,
    };
    let summary = Box::pin(import::run(&command.import, &db, &settings, media.as_ref())).await?;
    println!("{summary}");
    Ok(ExitCode::from(summary.exit_code()))
}

pub(super) async fn export(command: ExportCommand) -> CommandResult {
    let (db, settings) = command.shop.connect().await?;
    let products = export::run(&command.export, &db, &settings).await?;
    // Standard output may be the file.
    eprintln!("{products} products exported");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn seed(command: SeedCommand) -> CommandResult {
    let (db, settings) = command.shop.connect().await?;
    let media = command.shop.media().await?;
    let summary = Box::pin(seed::run(&command.seed, &db, &settings, Some(&media))).await?;
    println!("{summary}");
    Ok(ExitCode::from(summary.exit_code()))
}
