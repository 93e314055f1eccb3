//! An import from its beginning to its end.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::db::{Db, DbError, MayBeDatabase};
use crate::media::MediaStore;

use super::batch::{BatchError, BatchOutcome, ShopSettings, write_batch};
use super::counters::Counters;
use super::mapping::{Mapping, MappingError};
use super::pictures::LocalPictures;
use super::problem::{Problem, ProblemKind};
use super::read::{self, EntryReader, Format, ReadError, ReadOptions};
use super::record::{Entry, ProductRecord};
use super::report::{Report, Screen, Summary};
use super::seen::SeenKeys;
use super::store_job;
use super::value::{currency_decimals, locale_of};

/// Products that one transaction writes: large enough to make round trips cheap, small enough to keep locks short.
const PRODUCTS_PER_BATCH: usize = 200;
/// A product with many variants ends a batch early.
const VARIANTS_PER_BATCH: usize = 2_000;
/// Entries that are read ahead.
const READ_AHEAD: usize = 256;
/// How often a batch whose commit was not answered is tried again.
const COMMIT_ATTEMPTS: u32 = 5;

/// `panono-shop import`
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// CSV or JSON file of products
    pub file: PathBuf,
    /// Who wrote the file
    #[arg(long = "format", value_enum, default_value = "panono")]
    pub source: Format,
    /// TOML file that describes any other CSV or JSON; see docs/import.md
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pub mapping: Option<PathBuf>,
    /// CSV files with slug, locale, name, description, meta_title and meta_description
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub translations: Vec<PathBuf>,
    /// Reads and compares everything, says what would change, and writes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Currency of prices that do not name one; by default the first one of the shop
    #[arg(long)]
    pub currency: Option<String>,
    /// Locale of texts that do not name one; by default the first one of the shop
    #[arg(long)]
    pub locale: Option<String>,
    /// Unit of weights that do not name one: g, kg, lb or oz
    #[arg(long, default_value = "lb")]
    pub weight_unit: String,
    /// Unit of lengths that do not name one: mm, cm, m, in or ft
    #[arg(long, default_value = "in")]
    pub length_unit: String,
    /// Folder with the pictures that the file names without http:// or https://
    #[arg(long, value_name = "DIR")]
    pub media_dir: Option<PathBuf>,
    /// File for all problems: JSON lines when it ends in .json or .jsonl, else CSV
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Why an import could not be done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An argument has no meaning.
    #[error("--{argument} {value}: {message}")]
    Argument {
        /// The argument.
        argument: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what to do.
        message: &'static str,
    },
    /// The mapping cannot be used.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The report cannot be written.
    #[error("cannot write the report")]
    Report(#[source] io::Error),
    /// The database failed.
    #[error("the database failed; run the same import again to go on after the last batch")]
    Database(#[from] DbError),
    /// A batch failed for another reason.
    #[error(transparent)]
    Batch(BatchError),
    /// Another process imports the same file.
    #[error(
        "another import of the same file is under way: wait for it to end, then run this one again"
    )]
    Concurrent,
    /// The reading thread ended without saying why.
    #[error("reading the file was aborted")]
    Aborted,
    /// Not an error: how a dry run leaves its transaction.
    #[error("a dry run writes nothing")]
    DryRun(Box<BatchOutcome>),
}

impl From<BatchError> for ImportError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Database(error) => Self::Database(DbError::Query(error)),
            other => Self::Batch(other),
        }
    }
}

impl From<sqlx::Error> for ImportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(DbError::Query(error))
    }
}

impl MayBeDatabase for ImportError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => error.database(),
            _ => None,
        }
    }
}

/// What the reading thread sends.
struct Read {
    entry: Entry,
    file: Arc<str>,
    position: u64,
}

/// Imports a file.
///
/// # Errors
/// The arguments, the mapping or the file cannot be used, or the database failed. Rows that are refused are no error:
/// they are counted in the summary.
pub async fn run(
    args: &ImportArgs,
    db: &Db,
    settings: &ShopSettings,
    media: Option<&MediaStore>,
) -> Result<Summary, ImportError> {
    let options = options(args, settings)?;
    let pictures = match (&args.media_dir, media) {
        (None, _) => None,
        (Some(folder), Some(store)) => Some(LocalPictures::open(folder, store)?),
        (Some(folder), None) => {
            return Err(ImportError::Argument {
                argument: "media-dir",
                value: folder.display().to_string(),
                message: "say where the shop keeps its pictures as well",
            });
        }
    };
    let mapping = args.mapping.as_deref().map(Mapping::load).transpose()?;
    let inputs = Inputs {
        file: args.file.clone(),
        format: args.source,
        mapping,
        translations: args.translations.clone(),
        options,
    };
    let total = inputs.size()?;
    let screen = Screen::new(total);
    let mut report = Report::open(args.report.as_deref()).map_err(ImportError::Report)?;
    let fingerprint = {
        let inputs = inputs.clone();
        let mapping_file = args.mapping.clone();
        tokio::task::spawn_blocking(move || inputs.fingerprint(mapping_file.as_deref()))
            .await
            .map_err(|_| ImportError::Aborted)??
    };
    let mut summary = Summary {
        dry_run: args.dry_run,
        ..Summary::default()
    };
    if !args.dry_run {
        let progress = start_job(db, &fingerprint, &inputs).await?;
        summary.resumed_at = progress.records;
        if progress.records > 0 {
            summary.counters.products_created = progress.created;
            summary.counters.products_updated = progress.updated;
            summary.counters.products_unchanged = progress.unchanged;
        }
    }
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let reading = tokio::task::spawn_blocking(move || inputs.read(&sender));
    let mut import = Import {
        db,
        settings: Arc::new(settings.clone()),
        fingerprint: fingerprint.into(),
        dry_run: args.dry_run,
        summary,
        committed: 0,
        accepted: SeenKeys::new().map_err(|source| ReadError::Temporary { source })?,
        brands: BTreeSet::new(),
        pictures,
    };
    let written = import.write_all(receiver, &mut report, &screen).await;
    screen.clear();
    report.finish(&screen).map_err(ImportError::Report)?;
    written?;
    // What could be read is committed before a file that breaks off is complained about.
    reading.await.map_err(|_| ImportError::Aborted)??;
    if !args.dry_run {
        finish_job(db, &import.fingerprint).await?;
    }
    Ok(import.summary)
}

fn options(args: &ImportArgs, settings: &ShopSettings) -> Result<ReadOptions, ImportError> {
    let first_currency = || {
        settings
            .currencies
            .first()
            .map(|currency| currency.as_str().to_owned())
    };
    let currency = args
        .currency
        .clone()
        .or_else(first_currency)
        .unwrap_or_default()
        .to_ascii_uppercase();
    if currency_decimals(&currency).is_none() {
        return Err(ImportError::Argument {
            argument: "currency",
            value: currency,
            message: "use an ISO 4217 code, as USD or CNY",
        });
    }
    let locale = args.locale.as_deref().unwrap_or(settings.first_locale());
    let locale = locale_of(locale).ok_or_else(|| ImportError::Argument {
        argument: "locale",
        value: locale.to_owned(),
        message: "use a language tag, as en or zh-cn",
    })?;
    let place = super::value::Place { line: 0, field: "" };
    if super::value::grams("1", &args.weight_unit, place).is_err() {
        return Err(ImportError::Argument {
            argument: "weight-unit",
            value: args.weight_unit.clone(),
            message: "use g, kg, lb or oz",
        });
    }
    if super::value::millimetres("1", &args.length_unit, place).is_err() {
        return Err(ImportError::Argument {
            argument: "length-unit",
            value: args.length_unit.clone(),
            message: "use mm, cm, m, in or ft",
        });
    }
    Ok(ReadOptions {
        locale,
        currency,
        weight_unit: args.weight_unit.clone(),
        length_unit: args.length_unit.clone(),
    })
}

/// The files of an import.
#[derive(Debug, Clone)]
struct Inputs {
    file: PathBuf,
    format: Format,
    mapping: Option<Mapping>,
    translations: Vec<PathBuf>,
    options: ReadOptions,
}

impl Inputs {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.file).chain(&self.translations)
    }

    fn size(&self) -> Result<u64, ReadError> {
        self.files().try_fold(0_u64, |total, path| {
            let size = std::fs::metadata(path)
                .map_err(|source| ReadError::Io {
                    path: path.clone(),
                    source,
                })?
                .len();
            Ok(total + size)
        })
    }

    /// A SHA-256 over the files and everything that decides what they mean.
    fn fingerprint(&self, mapping: Option<&Path>) -> Result<String, ReadError> {
        let mut hash = Sha256::new();
        let ReadOptions {
            locale,
            currency,
            weight_unit,
            length_unit,
        } = &self.options;
        for word in [
            self.format.word(),
            locale,
            currency,
            weight_unit,
            length_unit,
        ] {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
        for path in mapping
            .into_iter()
            .map(Path::to_owned)
            .chain(self.files().cloned())
        {
            let io = |source| ReadError::Io {
                path: path.clone(),
                source,
            };
            let mut file =
                io::BufReader::with_capacity(256 * 1024, std::fs::File::open(&path).map_err(io)?);
            loop {
                let buffer = io::BufRead::fill_buf(&mut file).map_err(io)?;
                if buffer.is_empty() {
                    break;
                }
                let length = buffer.len();
                hash.update(buffer);
                io::BufRead::consume(&mut file, length);
            }
            hash.update([0]);
        }
        Ok(hex::encode(hash.finalize()))
    }

    /// Reads all files and sends what they hold. Ends when the receiver has gone.
    fn read(&self, sender: &mpsc::Sender<Read>) -> Result<(), ReadError> {
        let mut keys = FileKeys::new()?;
        let mut before = 0;
        let name = |path: &Path| -> Arc<str> {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default()
                .into()
        };
        for (index, path) in self.files().enumerate() {
            let mut reader: Box<dyn EntryReader> = if index == 0 {
                read::open(path, self.format, self.mapping.as_ref(), &self.options)?
            } else {
                read::open_translations(path)?
            };
            let file = name(path);
            while let Some(entry) = reader.next_entry()? {
                let entry = keys.check(entry)?;
                let read = Read {
                    entry,
                    file: Arc::clone(&file),
                    position: before + reader.position(),
                };
                if sender.blocking_send(read).is_err() {
                    return Ok(());
                }
            }
            before += reader.position();
        }
        Ok(())
    }
}

/// The keys that the file has used: a product is described once, and a SKU belongs to one product.
struct FileKeys {
    slugs: SeenKeys,
    skus: SeenKeys,
    products: u64,
}

impl FileKeys {
    fn new() -> Result<Self, ReadError> {
        let new = || SeenKeys::new().map_err(|source| ReadError::Temporary { source });
        Ok(Self {
            slugs: new()?,
            skus: new()?,
            products: 0,
        })
    }

    fn check(&mut self, entry: Entry) -> Result<Entry, ReadError> {
        let Entry::Product(record) = entry else {
            return Ok(entry);
        };
        if record.supplement {
            return Ok(Entry::Product(record));
        }
        let temporary = |source| ReadError::Temporary { source };
        let mut problems = Vec::new();
        self.products += 1;
        if self
            .slugs
            .insert(&record.slug, record.line)
            .map_err(temporary)?
            .is_some_and(|line| line != record.line)
        {
            let first = self
                .slugs
                .get(&record.slug)
                .map_err(temporary)?
                .unwrap_or(0);
            problems.push(
                Problem::new(
                    record.line,
                    ProblemKind::DuplicateSlug,
                    format!("line {first} describes a product with this slug already"),
                    "put the rows of a product together, or give this one another slug",
                )
                .with_product(&record.slug)
                .with_field("slug", &record.slug),
            );
            return Ok(Entry::Refused(problems));
        }
        for variant in &record.variants {
            let owner = self
                .skus
                .insert(&variant.sku, self.products)
                .map_err(temporary)?;
            if owner.is_some_and(|owner| owner != self.products) {
                problems.push(
                    Problem::new(
                        variant.line,
                        ProblemKind::DuplicateSku,
                        "a product further up in the file has this SKU",
                        "give each variant its own SKU",
                    )
                    .with_product(&record.slug)
                    .with_field("sku", &variant.sku),
                );
            }
        }
        Ok(if problems.is_empty() {
            Entry::Product(record)
        } else {
            Entry::Refused(problems)
        })
    }
}

struct Import<'a> {
    db: &'a Db,
    settings: Arc<ShopSettings>,
    fingerprint: Arc<str>,
    dry_run: bool,
    summary: Summary,
    /// Entries up to here are committed.
    committed: u64,
    /// Dry runs only: products that would be there when later rows add to them.
    accepted: SeenKeys,
    brands: BTreeSet<String>,
    pictures: Option<LocalPictures>,
}

impl Import<'_> {
    async fn write_all(
        &mut self,
        mut receiver: mpsc::Receiver<Read>,
        report: &mut Report,
        screen: &Screen,
    ) -> Result<(), ImportError> {
        let mut batch: Vec<ProductRecord> = Vec::new();
        let mut variants = 0;
        let mut seen = 0_u64;
        let mut refused = 0_u64;
        let mut file: Arc<str> = "".into();
        self.committed = self.summary.resumed_at;
        while let Some(read) = receiver.recv().await {
            seen += 1;
            if *read.file != *file && !batch.is_empty() {
                // Problems of a batch are told with the file that they are in.
                let records = std::mem::take(&mut batch);
                self.write(
                    records,
                    seen - 1,
                    std::mem::take(&mut refused),
                    &file,
                    report,
                    screen,
                )
                .await?;
                variants = 0;
            }
            file = read.file;
            match read.entry {
                Entry::Refused(problems) => {
                    if seen > self.summary.resumed_at {
                        refused += 1;
                    }
                    self.summary.counters.products_refused += 1;
                    for problem in &problems {
                        report
                            .problem("refused", &file, problem, screen)
                            .map_err(ImportError::Report)?;
                    }
                }
                Entry::Product(record) if seen > self.summary.resumed_at => {
                    variants += record.variants.len();
                    batch.push(*record);
                }
                Entry::Product(_) => {}
            }
            if batch.len() >= PRODUCTS_PER_BATCH || variants >= VARIANTS_PER_BATCH {
                let records = std::mem::take(&mut batch);
                self.write(
                    records,
                    seen,
                    std::mem::take(&mut refused),
                    &file,
                    report,
                    screen,
                )
                .await?;
                variants = 0;
            }
            screen.progress(read.position, seen);
        }
        if !batch.is_empty() || refused > 0 {
            self.write(batch, seen, refused, &file, report, screen)
                .await?;
        }
        Ok(())
    }

    /// Writes a batch and reports what became of it.
    async fn write(
        &mut self,
        records: Vec<ProductRecord>,
        seen: u64,
        refused: u64,
        file: &str,
        report: &mut Report,
        screen: &Screen,
    ) -> Result<(), ImportError> {
        let mut records = records;
        if let Some(pictures) = &self.pictures {
            let notices = pictures.take(&mut records, self.db, self.dry_run).await?;
            for problem in &notices {
                report
                    .problem("notice", file, problem, screen)
                    .map_err(ImportError::Report)?;
            }
        }
        let records = Arc::new(records);
        let mut outcome = self.commit(&records, seen, refused).await?;
        if self.dry_run {
            self.as_if_written(&records, &mut outcome)?;
        }
        self.committed = seen;
        self.summary.counters.add(&outcome.counters);
        self.summary.new_categories.extend(outcome.new_categories);
        self.brands.extend(outcome.new_brands);
        self.summary.counters.categories_created =
            u64::try_from(self.summary.new_categories.len()).unwrap_or(u64::MAX);
        self.summary.counters.brands_created = u64::try_from(self.brands.len()).unwrap_or(u64::MAX);
        for (severity, problems) in [("refused", &outcome.problems), ("notice", &outcome.notices)] {
            for problem in problems {
                report
                    .problem(severity, file, problem, screen)
                    .map_err(ImportError::Report)?;
            }
        }
        Ok(())
    }

    /// In a dry run, rows may add to products that an earlier batch would have written.
    fn as_if_written(
        &mut self,
        records: &[ProductRecord],
        outcome: &mut BatchOutcome,
    ) -> Result<(), ImportError> {
        let temporary = |source| ReadError::Temporary { source };
        for record in records.iter().filter(|record| !record.supplement) {
            let refused = outcome
                .problems
                .iter()
                .any(|problem| *problem.product == *record.slug);
            if !refused {
                self.accepted.insert(&record.slug, 1).map_err(temporary)?;
            }
        }
        let mut kept = Vec::new();
        for problem in std::mem::take(&mut outcome.problems) {
            let known = self
                .accepted
                .get(&problem.product)
                .map_err(temporary)?
                .is_some();
            if problem.kind == ProblemKind::UnknownProduct && known {
                outcome.counters.products_refused =
                    outcome.counters.products_refused.saturating_sub(1);
                outcome.counters.additions_applied += 1;
            } else {
                kept.push(problem);
            }
        }
        outcome.problems = kept;
        Ok(())
    }

    /// One transaction. When the answer to its commit is lost, the job's row tells whether it took effect.
    async fn commit(
        &self,
        records: &Arc<Vec<ProductRecord>>,
        seen: u64,
        refused: u64,
    ) -> Result<BatchOutcome, ImportError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.attempt(records, seen, refused, attempt > 1).await {
                Err(ImportError::DryRun(outcome)) => return Ok(*outcome),
                Err(ImportError::Database(DbError::CommitUnknown(_)))
                    if attempt < COMMIT_ATTEMPTS => {}
                other => return other,
            }
        }
    }

    async fn attempt(
        &self,
        records: &Arc<Vec<ProductRecord>>,
        seen: u64,
        refused: u64,
        again: bool,
    ) -> Result<BatchOutcome, ImportError> {
        let (records, settings, fingerprint) = (
            Arc::clone(records),
            Arc::clone(&self.settings),
            Arc::clone(&self.fingerprint),
        );
        // Not the time at which the import began: prices may have been edited since.
        let now = OffsetDateTime::now_utc();
        let (committed, dry_run) = (self.committed, self.dry_run);
        self.db
            .transaction(move |connection| {
                let (records, settings, fingerprint) = (
                    Arc::clone(&records),
                    Arc::clone(&settings),
                    Arc::clone(&fingerprint),
                );
                Box::pin(async move {
                    if !dry_run {
                        let at = store_job::lock(connection, &fingerprint).await?;
                        // The commit whose answer was lost took effect: comparing again finds nothing to do.
                        let took_effect = again && at == seen;
                        if at != committed && !took_effect {
                            return Err(ImportError::Concurrent);
                        }
                    }
                    let outcome =
                        Box::pin(write_batch(connection, &records, &settings, now)).await?;
                    if dry_run {
                        return Err(ImportError::DryRun(Box::new(outcome)));
                    }
                    let counters = Counters {
                        products_refused: outcome.counters.products_refused + refused,
                        ..outcome.counters
                    };
                    store_job::advance(connection, &fingerprint, seen, &counters).await?;
                    Ok(outcome)
                })
            })
            .await
    }
}

async fn start_job(
    db: &Db,
    fingerprint: &str,
    inputs: &Inputs,
) -> Result<store_job::Progress, ImportError> {
    let fingerprint: Arc<str> = fingerprint.into();
    let name: String = inputs
        .file
        .to_string_lossy()
        .chars()
        .rev()
        .take(255)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let format = if inputs.mapping.is_some() {
        "mapping"
    } else {
        inputs.format.word()
    };
    db.transaction(move |connection| {
        let (fingerprint, name) = (Arc::clone(&fingerprint), name.clone());
        Box::pin(
            async move { Ok(store_job::start(connection, &fingerprint, &name, format).await?) },
        )
    })
    .await
}

async fn finish_job(db: &Db, fingerprint: &Arc<str>) -> Result<(), ImportError> {
    let fingerprint = Arc::clone(fingerprint);
    db.transaction(move |connection| {
        let fingerprint = Arc::clone(&fingerprint);
        Box::pin(async move { Ok(store_job::finish(connection, &fingerprint).await?) })
    })
    .await
}
