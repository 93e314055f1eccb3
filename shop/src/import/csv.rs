//! Rows of a CSV file (RFC 4180) in constant memory, with their lines and places, and a way on after a damaged row.
//!
//! A general CSV library reads an unclosed quote to the end of the file into memory and cannot say where it began.
//! Here a row has a limit; after a damaged one reading goes on at the line below the one on which it began.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ReadError;
use super::problem::{Problem, ProblemKind};

/// Bytes that one row may have.
const ROW_LIMIT: usize = 4 * 1024 * 1024;
/// Bytes that one field may have.
const FIELD_LIMIT: usize = 1024 * 1024;
/// Columns that a file may have.
const COLUMN_LIMIT: usize = 2_000;
/// Each damaged row may be read to the limit once more, so their number has a limit too.
const DAMAGE_LIMIT: u32 = 10_000;

/// The names of the columns.
#[derive(Debug)]
pub struct Header {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Header {
    fn new(names: Vec<String>) -> Self {
        let places = names
            .iter()
            .enumerate()
            .rev()
            .map(|(place, name)| (name.to_lowercase(), place))
            .collect();
        Self { names, places }
    }

    /// The names as written.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// True when there is such a column; case does not count.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(&name.to_lowercase())
    }

    /// Refuses a file that lacks all of the columns: it is of another format.
    ///
    /// # Errors
    /// Names the columns that are missing and those that are there.
    pub fn require(&self, format: &str, needed: &[&str]) -> Result<(), ReadError> {
        let missing: Vec<&str> = needed
            .iter()
            .copied()
            .filter(|name| !self.has(name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let found: Vec<&str> = self.names.iter().map(String::as_str).take(12).collect();
        Err(ReadError::Header {
            format: format.to_owned(),
            missing: missing.join(", "),
            found: found.join(", "),
        })
    }
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// Byte at which it begins.
    pub offset: u64,
    header: Arc<Header>,
    fields: Vec<String>,
}

impl Row {
    /// The field of a column without surrounding space; empty when there is no such column.
    #[must_use]
    pub fn get(&self, column: &str) -> &str {
        self.header
            .places
            .get(&column.to_lowercase())
            .and_then(|place| self.fields.get(*place))
            .map_or("", |field| field.trim())
    }

    /// The field, unless it is empty.
    #[must_use]
    pub fn filled(&self, column: &str) -> Option<&str> {
        let field = self.get(column);
        (!field.is_empty()).then_some(field)
    }

    /// The names of the columns.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// (column, field) of all columns.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.header
            .names
            .iter()
            .map(String::as_str)
            .zip(self.fields.iter().map(String::as_str))
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// A row.
    Row(Row),
    /// A row that is damaged.
    Damaged(Problem),
}

/// Reads rows.
#[derive(Debug)]
pub struct Rows {
    input: BufReader<File>,
    path: PathBuf,
    header: Arc<Header>,
    delimiter: u8,
    line: u64,
    offset: u64,
    damaged: u32,
}

enum Parsed {
    Row(Vec<Vec<u8>>),
    End,
    Bad(ProblemKind, &'static str, &'static str),
}

impl Rows {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// The file cannot be read, is empty, is not UTF-8, or its header is damaged.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let io = |source| ReadError::Io {
            path: path.to_owned(),
            source,
        };
        let mut input = BufReader::with_capacity(256 * 1024, File::open(path).map_err(io)?);
        let start = input.fill_buf().map_err(io)?;
        if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
            return Err(ReadError::Encoding {
                path: path.to_owned(),
            });
        }
        let mark: u64 = if start.starts_with(&[0xEF, 0xBB, 0xBF]) {
            3
        } else {
            0
        };
        let first_line = start
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let delimiter = [b',', b';', b'\t']
            .into_iter()
            .rev()
            .max_by_key(|candidate| first_line.iter().filter(|byte| *byte == candidate).count())
            .unwrap_or(b',');
        let delimiter = if first_line.contains(&delimiter) {
            delimiter
        } else {
            b','
        };
        input.seek(SeekFrom::Start(mark)).map_err(io)?;
        let mut rows = Self {
            input,
            path: path.to_owned(),
            header: Arc::new(Header::new(Vec::new())),
            delimiter,
            line: 1,
            offset: mark,
            damaged: 0,
        };
        let names = loop {
            match rows.parse()? {
                Parsed::Row(fields) if fields.iter().all(Vec::is_empty) => {}
                Parsed::Row(fields) => break fields,
                Parsed::End => {
                    return Err(ReadError::Empty {
                        path: path.to_owned(),
                    });
                }
                Parsed::Bad(_, message, _) => {
                    return Err(ReadError::DamagedHeader {
                        path: path.to_owned(),
                        message: message.to_owned(),
                    });
                }
            }
        };
        if names.len() > COLUMN_LIMIT {
            return Err(ReadError::DamagedHeader {
                path: path.to_owned(),
                message: format!("{} columns", names.len()),
            });
        }
        let names = names
            .into_iter()
            .map(|name| String::from_utf8(name).map(|name| name.trim().to_owned()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| ReadError::Encoding {
                path: path.to_owned(),
            })?;
        rows.header = Arc::new(Header::new(names));
        Ok(rows)
    }

    /// The names of the columns.
    #[must_use]
    pub fn header(&self) -> Arc<Header> {
        Arc::clone(&self.header)
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset
    }

    /// The next row, or `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read, or too much of it is damaged.
    pub fn next_row(&mut self) -> Result<Option<Next>, ReadError> {
        loop {
            let (line, offset) = (self.line, self.offset);
            let damage = match self.parse()? {
                Parsed::End => return Ok(None),
                Parsed::Row(fields) if fields.len() == 1 && fields.iter().all(Vec::is_empty) => {
                    continue;
                }
                Parsed::Row(fields) => {
                    match self.row(line, offset, fields) {
                        Ok(row) => return Ok(Some(Next::Row(row))),
                        // The row was read to its end: no way back is needed.
                        Err(problem) => return Ok(Some(Next::Damaged(problem))),
                    }
                }
                Parsed::Bad(kind, message, advice) => Problem::new(line, kind, message, advice),
            };
            self.damaged += 1;
            if self.damaged > DAMAGE_LIMIT {
                return Err(ReadError::TooMuchDamage {
                    path: self.path.clone(),
                    line,
                });
            }
            self.skip_line(line, offset)?;
            return Ok(Some(Next::Damaged(damage)));
        }
    }

    /// The row that begins at a byte, which an earlier pass has found.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn row_at(&mut self, line: u64, offset: u64) -> Result<Option<Row>, ReadError> {
        let (here_line, here) = (self.line, self.offset);
        self.jump(line, offset)?;
        let row = match self.parse()? {
            Parsed::Row(fields) => self.row(line, offset, fields).ok(),
            Parsed::End | Parsed::Bad(..) => None,
        };
        self.jump(here_line, here)?;
        Ok(row)
    }

    fn jump(&mut self, line: u64, offset: u64) -> Result<(), ReadError> {
        let io = |source| ReadError::Io {
            path: self.path.clone(),
            source,
        };
        match i64::try_from(offset)
            .ok()
            .zip(i64::try_from(self.offset).ok())
        {
            Some((to, from)) => self.input.seek_relative(to - from).map_err(io)?,
            None => {
                self.input.seek(SeekFrom::Start(offset)).map_err(io)?;
            }
        }
        self.line = line;
        self.offset = offset;
        Ok(())
    }

    fn row(&self, line: u64, offset: u64, fields: Vec<Vec<u8>>) -> Result<Row, Problem> {
        let expected = self.header.names.len();
        if fields.len() != expected {
            let first = fields
                .first()
                .map(|field| String::from_utf8_lossy(field).into_owned())
                .unwrap_or_default();
            return Err(Problem::new(
                line,
                ProblemKind::ColumnCount,
                format!("{} fields, the header has {expected}", fields.len()),
                "put fields that contain the separator into double quotes, and write empty fields out",
            )
            .with_field(self.header.names.first().map_or("", String::as_str), &first));
        }
        let mut texts = Vec::with_capacity(fields.len());
        for (place, field) in fields.into_iter().enumerate() {
            match String::from_utf8(field) {
                Ok(text) => texts.push(text),
                Err(error) => {
                    return Err(Problem::new(
                        line,
                        ProblemKind::InvalidUtf8,
                        "bytes that are not UTF-8",
                        "save the file as UTF-8",
                    )
                    .with_field(
                        self.header.names.get(place).map_or("", String::as_str),
                        &String::from_utf8_lossy(error.as_bytes()),
                    ));
                }
            }
        }
        Ok(Row {
            line,
            offset,
            header: Arc::clone(&self.header),
            fields: texts,
        })
    }

    /// Goes to the line below the one that begins at `offset`.
    fn skip_line(&mut self, line: u64, offset: u64) -> Result<(), ReadError> {
        self.jump(line, offset)?;
        let io = |path: &Path, source| ReadError::Io {
            path: path.to_owned(),
            source,
        };
        loop {
            let buffer = self
                .input
                .fill_buf()
                .map_err(|source| io(&self.path, source))?;
            if buffer.is_empty() {
                return Ok(());
            }
            let (taken, found) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), false),
            };
            self.input.consume(taken);
            self.offset += u64::try_from(taken).unwrap_or(u64::MAX);
            if found {
                self.line += 1;
                return Ok(());
            }
        }
    }

    /// One row of bytes. Reads whole buffers; the state machine knows four places within a row.
    fn parse(&mut self) -> Result<Parsed, ReadError> {
        #[derive(Clone, Copy, PartialEq)]
        enum At {
            FieldStart,
            Plain,
            Quoted,
            AfterQuote,
        }
        let mut at = At::FieldStart;
        let mut fields: Vec<Vec<u8>> = Vec::new();
        let mut field: Vec<u8> = Vec::new();
        let mut size = 0_usize;
        loop {
            let path = &self.path;
            let buffer = self.input.fill_buf().map_err(|source| ReadError::Io {
                path: path.clone(),
                source,
            })?;
            if buffer.is_empty() {
                return Ok(match at {
                    At::Quoted => Parsed::Bad(
                        ProblemKind::BrokenQuoting,
                        "a double quote is opened and never closed",
                        "close it, and write a quote within a quoted field twice",
                    ),
                    At::FieldStart if fields.is_empty() => Parsed::End,
                    At::FieldStart | At::Plain | At::AfterQuote => {
                        fields.push(field);
                        Parsed::Row(fields)
                    }
                });
            }
            let mut used = 0_usize;
            let mut outcome = None;
            for &byte in buffer {
                used += 1;
                if byte == b'\n' {
                    self.line += 1;
                }
                at = match (at, byte) {
                    (At::FieldStart, b'"') => At::Quoted,
                    (At::Quoted, b'"') => At::AfterQuote,
                    (At::AfterQuote, b'"') => {
                        field.push(b'"');
                        At::Quoted
                    }
                    (At::FieldStart | At::Plain | At::AfterQuote, b'\n') => {
                        if at != At::AfterQuote && field.last() == Some(&b'\r') {
                            field.pop();
                        }
                        fields.push(std::mem::take(&mut field));
                        outcome = Some(Parsed::Row(std::mem::take(&mut fields)));
                        break;
                    }
                    (At::AfterQuote, b'\r') => At::AfterQuote,
                    (At::FieldStart | At::Plain | At::AfterQuote, _) if byte == self.delimiter => {
                        fields.push(std::mem::take(&mut field));
                        At::FieldStart
                    }
                    (At::AfterQuote, _) => {
                        outcome = Some(Parsed::Bad(
                            ProblemKind::BrokenQuoting,
                            "text follows the closing quote of a field",
                            "write a quote within a quoted field twice",
                        ));
                        break;
                    }
                    (At::Quoted, _) => {
                        field.push(byte);
                        At::Quoted
                    }
                    (At::FieldStart | At::Plain, _) => {
                        field.push(byte);
                        At::Plain
                    }
                };
                if field.len() > FIELD_LIMIT || size + used > ROW_LIMIT {
                    outcome = Some(Parsed::Bad(
                        ProblemKind::TooLarge,
                        "a field above 1 MiB or a row above 4 MiB; often a quote that is never closed",
                        "close the quote, or shorten the field",
                    ));
                    break;
                }
            }
            size += used;
            self.input.consume(used);
            self.offset += u64::try_from(used).unwrap_or(u64::MAX);
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8]) -> (Vec<Row>, Vec<Problem>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut rows = Rows::open(file.path()).unwrap();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        while let Some(next) = rows.next_row().unwrap() {
            match next {
                Next::Row(row) => good.push(row),
                Next::Damaged(problem) => bad.push(problem),
            }
        }
        (good, bad)
    }

    fn refused(bytes: &[u8]) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Rows::open(file.path()).unwrap_err().to_string()
    }

    #[test]
    fn quotes_lines_and_marks() {
        let (rows, bad) =
            read("\u{feff}a;b\r\n\"x;\"\"1\"\"\";\"two\nlines\"\r\n\r\nlast;ü".as_bytes());
        assert!(bad.is_empty());
        assert_eq!(rows[0].get("A"), "x;\"1\"");
        assert_eq!(rows[0].get("b"), "two\nlines");
        assert_eq!((rows[1].line, rows[1].get("b")), (5, "ü"));
        assert_eq!(rows[1].get("c"), "");
    }

    #[test]
    fn reading_goes_on_after_damage() {
        let (rows, bad) = read(b"a,b\n1,\"open\n2,x\n3,\"shut\"y\n4,too,many\n5,\xff\n6,fine\n");
        assert_eq!(
            rows.iter()
                .map(|row| row.get("a").to_owned())
                .collect::<Vec<_>>(),
            ["2", "6"]
        );
        assert_eq!(rows[1].line, 7);
        let found: Vec<_> = bad
            .iter()
            .map(|problem| (problem.line, problem.kind))
            .collect();
        assert_eq!(
            found,
            [
                (2, ProblemKind::BrokenQuoting),
                (4, ProblemKind::BrokenQuoting),
                (5, ProblemKind::ColumnCount),
                (6, ProblemKind::InvalidUtf8)
            ]
        );
    }

    #[test]
    fn a_huge_field_is_refused_and_not_kept() {
        let mut bytes = b"a,b\n1,\"".to_vec();
        bytes.resize(3 * 1024 * 1024, b'x');
        bytes.extend(b"\"\n2,fine\n");
        let (rows, bad) = read(&bytes);
        assert_eq!(bad[0].kind, ProblemKind::TooLarge);
        assert_eq!((rows[0].get("a"), rows[0].line), ("2", 3));
    }

    #[test]
    fn files_without_a_header_are_refused() {
        assert!(refused(b"").contains("is empty"));
        assert!(refused(b"\n\n").contains("is empty"));
        assert!(refused(b"\xff\xfea\0b\0").contains("UTF-8"));
        assert!(refused(b"\"a,b\n1,2\n").contains("header"));
    }

    #[test]
    fn a_row_is_found_again_by_its_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a,b\n1,x\n2,\"y\ny\"\n3,z\n").unwrap();
        let mut rows = Rows::open(file.path()).unwrap();
        let Some(Next::Row(first)) = rows.next_row().unwrap() else {
            panic!("a row")
        };
        let Some(Next::Row(second)) = rows.next_row().unwrap() else {
            panic!("a row")
        };
        assert_eq!(
            rows.row_at(first.line, first.offset)
                .unwrap()
                .unwrap()
                .get("b"),
            "x"
        );
        assert_eq!(
            rows.row_at(second.line, second.offset)
                .unwrap()
                .unwrap()
                .get("b"),
            "y\ny"
        );
        let Some(Next::Row(third)) = rows.next_row().unwrap() else {
            panic!("a row")
        };
        assert_eq!((third.get("a"), third.line), ("3", 5));
    }
}
