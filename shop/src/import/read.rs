//! Entries of a file, whatever its format.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::csv::{Next, Row, Rows};
use super::json;
use super::magento::MagentoReader;
use super::mapping::Mapping;
use super::problem::{Problem, ProblemKind, Problems};
use super::record::{Entry, ProductRecord};
use super::{mapped, panono_csv, panono_json, shopify, spree, translations};

/// Rows that one product may have.
const ROWS_PER_PRODUCT: usize = 5_000;

/// Why a file cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The temporary file of keys cannot be used.
    #[error("cannot use a temporary file; TMPDIR names the folder for it")]
    Temporary {
        /// What the system says.
        source: std::io::Error,
    },
    /// Nothing is in the file.
    #[error("{path} is empty: it needs a header and at least one product")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Not UTF-8.
    #[error("{path} is not UTF-8: save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")")]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// The header of a CSV file is damaged.
    #[error("the header of {path} is damaged: {message}")]
    DamagedHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The header is that of another format.
    #[error(
        "this is not a {format} file: the header lacks {missing}; it begins with {found}. Choose the --format that wrote the file, or describe it with --mapping"
    )]
    Header {
        /// The format that was asked for.
        format: String,
        /// Columns that are missing.
        missing: String,
        /// Columns that are there.
        found: String,
    },
    /// Neither an object nor an array.
    #[error("{path} is not JSON at line {line}: it has to begin with [ or {{")]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where.
        line: u64,
    },
    /// Too many damaged rows.
    #[error(
        "more than 10000 damaged rows in {path} up to line {line}: the file is of another format or broken"
    )]
    TooMuchDamage {
        /// The file.
        path: PathBuf,
        /// How far it was read.
        line: u64,
    },
    /// A format that exists as CSV only.
    #[error("{format} files are CSV: {path} looks like JSON")]
    CsvOnly {
        /// The format.
        format: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// Who wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// This shop's own CSV or JSON.
    Panono,
    /// Shopify's product CSV.
    Shopify,
    /// Spree's product CSV.
    Spree,
    /// Magento 2's (Adobe Commerce's) product CSV.
    Magento,
}

impl Format {
    /// The name as on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Panono => "panono",
            Self::Shopify => "shopify",
            Self::Spree => "spree",
            Self::Magento => "magento",
        }
    }
}

/// What a file does not say of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Locale of texts without one.
    pub locale: String,
    /// Currency of prices without one.
    pub currency: String,
    /// Unit of weights without one.
    pub weight_unit: String,
    /// Unit of lengths without one.
    pub length_unit: String,
}

/// Reads entries one by one.
pub trait EntryReader: Send {
    /// The next entry, or `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read any further.
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError>;

    /// Bytes read so far.
    fn position(&self) -> u64;
}

/// Opens a file of products.
///
/// # Errors
/// The file cannot be read or is of another format.
pub fn open(
    path: &Path,
    format: Format,
    mapping: Option<&Mapping>,
    options: &ReadOptions,
) -> Result<Box<dyn EntryReader>, ReadError> {
    let json = looks_like_json(path)?;
    if let Some(mapping) = mapping {
        return mapped::open(path, json, mapping, options);
    }
    match format {
        Format::Panono if json => Ok(Box::new(JsonReader {
            elements: json::Elements::open(path)?,
            convert: Box::new(panono_json::product),
        })),
        _ if json => Err(ReadError::CsvOnly {
            format: format.word(),
            path: path.to_owned(),
        }),
        Format::Panono => {
            let rows = Rows::open(path)?;
            let columns = panono_csv::Columns::of(&rows.header())?;
            Ok(grouped(rows, "slug", move |group| {
                panono_csv::product(group, &columns)
            }))
        }
        Format::Spree => {
            let rows = Rows::open(path)?;
            rows.header().require("spree", &["slug", "sku", "price"])?;
            let options = options.clone();
            Ok(grouped(rows, "slug", move |group| {
                spree::product(group, &options)
            }))
        }
        Format::Shopify => {
            let rows = Rows::open(path)?;
            rows.header().require("shopify", &["Handle", "Title"])?;
            let options = options.clone();
            Ok(grouped(rows, "Handle", move |group| {
                shopify::product(group, &options)
            }))
        }
        Format::Magento => Ok(Box::new(MagentoReader::open(path, options)?)),
    }
}

/// Opens a file of translations.
///
/// # Errors
/// The file cannot be read or is of another format.
pub fn open_translations(path: &Path) -> Result<Box<dyn EntryReader>, ReadError> {
    let rows = Rows::open(path)?;
    rows.header()
        .require("translations", &["slug", "locale", "name"])?;
    Ok(grouped(rows, "slug", translations::product))
}

/// Whether the first byte that is not space begins JSON. The name of the file does not matter.
fn looks_like_json(path: &Path) -> Result<bool, ReadError> {
    use std::io::Read;
    let io = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let mut start = Vec::new();
    std::fs::File::open(path)
        .map_err(io)?
        .take(4_096)
        .read_to_end(&mut start)
        .map_err(io)?;
    let text = start.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(&start);
    Ok(matches!(
        text.iter().find(|byte| !byte.is_ascii_whitespace()),
        Some(b'[' | b'{')
    ))
}

/// The rows of one product.
#[derive(Debug)]
pub struct Group {
    /// The key that they share.
    pub key: String,
    /// The rows, at least one.
    pub rows: Vec<Row>,
    /// True when a damaged row may have belonged to the product.
    pub damaged: bool,
}

impl Group {
    /// Line of the first row.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.rows.first().map_or(0, |row| row.line)
    }

    /// Finishes a product: checks it, and refuses it when anything is wrong.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn finish(
        &self,
        mut record: ProductRecord,
        mut problems: Problems,
    ) -> Result<ProductRecord, Vec<Problem>> {
        if self.damaged {
            // A variant or a picture may be missing because its row is damaged: nothing is taken away.
            record.variants_complete = false;
            record.media = None;
        }
        finish(record, &mut problems).ok_or_else(|| problems.into_list(&self.key))
    }
}

/// A checked record, when nothing is wrong.
pub fn finish(record: ProductRecord, problems: &mut Problems) -> Option<ProductRecord> {
    record.check(problems);
    problems.is_empty().then_some(record)
}

type Convert = Box<dyn FnMut(&Group) -> Result<ProductRecord, Vec<Problem>> + Send>;

/// Reads products whose rows follow each other and share a key.
struct GroupReader {
    rows: Rows,
    key: String,
    convert: Convert,
    waiting: Option<Row>,
    problems: VecDeque<Problem>,
    damaged: bool,
}

/// A reader of products whose rows share the field of a column.
pub fn grouped(
    rows: Rows,
    key: &str,
    convert: impl FnMut(&Group) -> Result<ProductRecord, Vec<Problem>> + Send + 'static,
) -> Box<dyn EntryReader> {
    Box::new(GroupReader {
        rows,
        key: key.to_owned(),
        convert: Box::new(convert),
        waiting: None,
        problems: VecDeque::new(),
        damaged: false,
    })
}

impl EntryReader for GroupReader {
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        if let Some(problem) = self.problems.pop_front() {
            return Ok(Some(Entry::Refused(vec![problem])));
        }
        let mut group: Option<Group> = None;
        if let Some(row) = self.waiting.take() {
            group = Some(self.begin(row));
        }
        loop {
            match self.rows.next_row()? {
                None => break,
                Some(Next::Damaged(problem)) => {
                    self.damaged = true;
                    match &mut group {
                        Some(group) => {
                            group.damaged = true;
                            self.problems.push_back(problem);
                            if self.problems.len() > 1_000 {
                                break;
                            }
                        }
                        None => return Ok(Some(Entry::Refused(vec![problem]))),
                    }
                }
                Some(Next::Row(row)) => {
                    if row.get(&self.key).is_empty() {
                        let problem = Problem::new(
                            row.line,
                            ProblemKind::Missing,
                            "the row does not say which product it belongs to",
                            "fill the column",
                        )
                        .with_field(&self.key, "");
                        self.damaged = true;
                        if group.is_none() {
                            return Ok(Some(Entry::Refused(vec![problem])));
                        }
                        self.problems.push_back(problem);
                        continue;
                    }
                    match &mut group {
                        Some(group)
                            if group.key == row.get(&self.key)
                                && group.rows.len() < ROWS_PER_PRODUCT =>
                        {
                            group.rows.push(row);
                        }
                        Some(_) => {
                            self.waiting = Some(row);
                            break;
                        }
                        None => group = Some(self.begin(row)),
                    }
                }
            }
        }
        let Some(group) = group else { return Ok(None) };
        Ok(Some(match (self.convert)(&group) {
            Ok(record) => Entry::Product(Box::new(record)),
            Err(problems) => Entry::Refused(problems),
        }))
    }

    fn position(&self) -> u64 {
        self.rows.position()
    }
}

impl GroupReader {
    fn begin(&mut self, row: Row) -> Group {
        let damaged = std::mem::take(&mut self.damaged);
        Group {
            key: row.get(&self.key).to_owned(),
            rows: vec![row],
            damaged,
        }
    }
}

type ConvertElement = Box<dyn FnMut(&json::Element) -> Result<ProductRecord, Vec<Problem>> + Send>;

/// Reads products of a JSON file.
pub struct JsonReader {
    /// The elements.
    pub elements: json::Elements,
    /// Makes a product of an element.
    pub convert: ConvertElement,
}

impl EntryReader for JsonReader {
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        Ok(match self.elements.next_element()? {
            None => None,
            Some(json::Next::Damaged(problem)) => Some(Entry::Refused(vec![problem])),
            Some(json::Next::Element(element)) => Some(match (self.convert)(&element) {
                Ok(record) => Entry::Product(Box::new(record)),
                Err(problems) => Entry::Refused(problems),
            }),
        })
    }

    fn position(&self) -> u64 {
        self.elements.position()
    }
}
