//! Export: the catalogue in the shop's own formats, which import back without any change. Constant memory: products are
//! read in the order of their ids, some hundred at a time.

pub mod store;
pub mod write;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sqlx::MySqlConnection;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::db::{Db, DbError};
use crate::import::ShopSettings;
use crate::import::value::microseconds;

/// Products that are read together.
const PRODUCTS_PER_PAGE: i64 = 200;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// A table: one row for each variant and picture.
    Csv,
    /// JSON lines: one object for each product.
    Json,
}

/// The format of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The shop's own, which holds everything that a product has.
    Panono,
}

/// `panono-shop export`
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// File to write, or - for standard output
    pub file: PathBuf,
    /// Who reads the file
    #[arg(long = "format", value_enum, default_value = "panono")]
    pub reader: ExportFormat,
    /// How the file is written; by default as its name ends (.json, .jsonl), else as CSV
    #[arg(long = "as", value_enum)]
    pub encoding: Option<Encoding>,
}

impl ExportArgs {
    fn encoding(&self) -> Encoding {
        self.encoding.unwrap_or_else(|| {
            let json = self
                .file
                .extension()
                .is_some_and(|extension| extension == "json" || extension == "jsonl");
            if json { Encoding::Json } else { Encoding::Csv }
        })
    }
}

/// Why an export could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be written.
    #[error("cannot write {file}")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbError),
}

impl From<sqlx::Error> for ExportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(DbError::Query(error))
    }
}

/// Writes all products. Says how many there are.
///
/// # Errors
/// The file cannot be written, or the database failed.
pub async fn run(args: &ExportArgs, db: &Db, settings: &ShopSettings) -> Result<u64, ExportError> {
    let failed = |source| ExportError::Io {
        file: args.file.clone(),
        source,
    };
    let output: Box<dyn Write + Send> = if args.file.as_os_str() == "-" {
        Box::new(io::stdout())
    } else {
        Box::new(std::fs::File::create(&args.file).map_err(failed)?)
    };
    let ExportFormat::Panono = args.reader;
    let mut reader = db.primary().await?;
    let now = OffsetDateTime::now_utc();
    let clock = microseconds(PrimitiveDateTime::new(now.date(), now.time()));
    export(
        &mut reader.connection,
        io::BufWriter::new(output),
        args.encoding(),
        settings,
        clock,
    )
    .await
    .map_err(|error| match error {
        WriteError::Io(source) => failed(source),
        WriteError::Database(error) => error.into(),
    })
}

/// What can go wrong between the database and the output.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output.
    #[error("failed to write")]
    Io(#[from] io::Error),
    /// The database.
    #[error("failed to read")]
    Database(#[from] sqlx::Error),
}

/// Writes all products to an output.
///
/// # Errors
/// The output or the database failed.
pub async fn export(
    connection: &mut MySqlConnection,
    output: impl Write,
    encoding: Encoding,
    settings: &ShopSettings,
    now: PrimitiveDateTime,
) -> Result<u64, WriteError> {
    let tree = store::category_paths(connection, settings).await?;
    let brands = store::brand_names(connection).await?;
    let attributes = store::attributes(connection).await?;
    let mut writer = match encoding {
        Encoding::Json => write::Writer::json(output),
        Encoding::Csv => {
            let shape = store::shape(connection).await?;
            write::Writer::csv(output, shape, &attributes)?
        }
    };
    let mut after = 0;
    let mut written = 0;
    loop {
        let slugs = store::page(connection, after, PRODUCTS_PER_PAGE).await?;
        let Some((last, _)) = slugs.last() else { break };
        after = *last;
        let names: Vec<&str> = slugs.iter().map(|(_, slug)| slug.as_str()).collect();
        let current = crate::import::store::read(connection, &names, now).await?;
        for slug in names {
            let Some(product) = current.products.get(slug) else {
                continue;
            };
            let record = write::record(product, &tree, &brands, &attributes, now);
            writer.product(&record)?;
            written += 1;
        }
    }
    writer.finish()?;
    Ok(written)
}
