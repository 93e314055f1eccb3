//! Elements of a JSON file in constant memory: an array of objects, an object with a `products` array, or one object
//! on each line. An element that does not parse is refused and the next one is read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::ReadError;
use super::problem::{Problem, ProblemKind};

/// Bytes that one element may have.
const ELEMENT_LIMIT: usize = 8 * 1024 * 1024;

/// How elements follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Between commas, until the array ends.
    Array,
    /// One on each line.
    Lines,
    /// One after the other, over several lines.
    Sequence,
}

/// One element as text.
#[derive(Debug)]
pub struct Element {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Element {
    /// Reads the element as a type.
    ///
    /// # Errors
    /// Syntax errors and wrong types, with the line of the file.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            let line = self.line + u64::try_from(error.line()).unwrap_or(1).saturating_sub(1);
            let text = error.to_string();
            let message = text
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            match error.classify() {
                serde_json::error::Category::Data => Problem::new(
                    line,
                    ProblemKind::WrongType,
                    message,
                    "see the documentation of the format for the fields and their types",
                ),
                serde_json::error::Category::Syntax
                    if std::str::from_utf8(&self.bytes).is_err() =>
                {
                    Problem::new(
                        line,
                        ProblemKind::InvalidUtf8,
                        "bytes that are not UTF-8",
                        "save the file as UTF-8",
                    )
                }
                serde_json::error::Category::Io
                | serde_json::error::Category::Syntax
                | serde_json::error::Category::Eof => Problem::new(
                    line,
                    ProblemKind::Syntax,
                    message,
                    "make it valid JSON; a JSON checker shows the place",
                ),
            }
        })
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// An element.
    Element(Element),
    /// An element that is damaged.
    Damaged(Problem),
}

/// Reads elements.
#[derive(Debug)]
pub struct Elements {
    input: BufReader<File>,
    path: PathBuf,
    layout: Layout,
    line: u64,
    offset: u64,
    ended: bool,
}

impl Elements {
    /// Opens a file and finds out how its elements follow each other.
    ///
    /// # Errors
    /// The file cannot be read, is empty, or does not begin as JSON.
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
        let mut elements = Self {
            input,
            path: path.to_owned(),
            layout: Layout::Array,
            line: 1,
            offset: 0,
            ended: false,
        };
        elements.rewind(mark)?;
        match elements.peek_word()? {
            None => Err(ReadError::Empty {
                path: path.to_owned(),
            }),
            Some(b'[') => {
                elements.bump()?;
                Ok(elements)
            }
            Some(b'{') => {
                if elements.enter_products()? {
                    return Ok(elements);
                }
                elements.rewind(mark)?;
                elements.peek_word()?;
                let (line, offset) = (elements.line, elements.offset);
                let whole_line = elements.take_line()?;
                let parses = whole_line.is_some_and(|bytes| {
                    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok()
                });
                elements.layout = if parses {
                    Layout::Lines
                } else {
                    Layout::Sequence
                };
                elements.jump(line, offset)?;
                Ok(elements)
            }
            Some(_) => Err(ReadError::NotJson {
                path: path.to_owned(),
                line: elements.line,
            }),
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset
    }

    /// The next element, or `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_element(&mut self) -> Result<Option<Next>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        if self.layout == Layout::Lines {
            return self.next_line();
        }
        loop {
            let Some(byte) = self.peek_word()? else {
                self.ended = true;
                if self.layout == Layout::Array {
                    return Ok(Some(Next::Damaged(Problem::new(
                        self.line,
                        ProblemKind::Syntax,
                        "the file ends before its array does",
                        "the file was probably cut off: get it again",
                    ))));
                }
                return Ok(None);
            };
            match (self.layout, byte) {
                (Layout::Array, b',') => {
                    self.bump()?;
                }
                (Layout::Array, b']') => {
                    self.ended = true;
                    return Ok(None);
                }
                (Layout::Array | Layout::Sequence | Layout::Lines, b'{') => {
                    return self.take_object().map(Some);
                }
                (Layout::Array | Layout::Sequence | Layout::Lines, _) => {
                    let line = self.line;
                    self.skip_until_object()?;
                    return Ok(Some(Next::Damaged(Problem::new(
                        line,
                        ProblemKind::Syntax,
                        "something else than an object",
                        "every element is an object in braces, with commas between elements",
                    ))));
                }
            }
        }
    }

    fn next_line(&mut self) -> Result<Option<Next>, ReadError> {
        loop {
            let line = self.line;
            let buffer = self.input.fill_buf().map_err(|source| ReadError::Io {
                path: self.path.clone(),
                source,
            })?;
            if buffer.is_empty() {
                self.ended = true;
                return Ok(None);
            }
            match self.take_line()? {
                None => return Ok(Some(Next::Damaged(too_large(line)))),
                Some(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => {}
                Some(mut bytes) => {
                    // A message about the end of the element is about this line, not the next one.
                    bytes.truncate(bytes.trim_ascii_end().len());
                    return Ok(Some(Next::Element(Element { line, bytes })));
                }
            }
        }
    }

    /// One line; `None` when it is too long, in which case it has been passed over.
    fn take_line(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(ELEMENT_LIMIT).unwrap_or(u64::MAX);
        let io = |path: &Path, source| ReadError::Io {
            path: path.to_owned(),
            source,
        };
        let mut taken = self
            .input
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| io(&self.path, source))?;
        self.advance(taken);
        if bytes.last() == Some(&b'\n') {
            self.line += 1;
            return Ok(Some(bytes));
        }
        if taken < ELEMENT_LIMIT {
            return Ok(Some(bytes));
        }
        while taken > 0 {
            bytes.clear();
            taken = self
                .input
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut bytes)
                .map_err(|source| io(&self.path, source))?;
            self.advance(taken);
            if bytes.last() == Some(&b'\n') {
                self.line += 1;
                break;
            }
        }
        Ok(None)
    }

    /// The object that begins here, by its braces. Braces within strings do not count.
    fn take_object(&mut self) -> Result<Next, ReadError> {
        let line = self.line;
        let mut bytes = Vec::new();
        let (mut depth, mut quoted, mut escaped) = (0_i64, false, false);
        let mut oversize = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(source) => {
                    return Err(ReadError::Io {
                        path: self.path.clone(),
                        source,
                    });
                }
            };
            if buffer.is_empty() {
                self.ended = true;
                return Ok(Next::Damaged(Problem::new(
                    line,
                    ProblemKind::Syntax,
                    "the file ends within this element",
                    "close its braces and quotes; the file may have been cut off",
                )));
            }
            let mut used = 0_usize;
            let mut complete = false;
            for &byte in buffer {
                used += 1;
                if byte == b'\n' {
                    self.line += 1;
                }
                if quoted {
                    if escaped {
                        escaped = false;
                    } else if byte == b'\\' {
                        escaped = true;
                    } else if byte == b'"' {
                        quoted = false;
                    }
                } else {
                    match byte {
                        b'"' => quoted = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    if depth <= 0 {
                        complete = true;
                        break;
                    }
                }
            }
            if !oversize {
                bytes.extend_from_slice(buffer.get(..used).unwrap_or_default());
                if bytes.len() > ELEMENT_LIMIT {
                    oversize = true;
                    bytes = Vec::new();
                }
            }
            self.input.consume(used);
            self.advance(used);
            if complete {
                return Ok(if oversize {
                    Next::Damaged(too_large(line))
                } else {
                    Next::Element(Element { line, bytes })
                });
            }
        }
    }

    /// Steps into the array under `products`. False when the object has none: then it is an element itself.
    fn enter_products(&mut self) -> Result<bool, ReadError> {
        self.bump()?;
        let mut key: Vec<u8> = Vec::new();
        let (mut depth, mut quoted, mut escaped) = (1_i64, false, false);
        let mut key_is_products = false;
        let mut read = 0_usize;
        while let Some(byte) = self.bump()? {
            read += 1;
            if read > ELEMENT_LIMIT {
                return Ok(false);
            }
            if quoted {
                if escaped {
                    escaped = false;
                } else if byte == b'\\' {
                    escaped = true;
                } else if byte == b'"' {
                    quoted = false;
                } else if depth == 1 && key.len() < 64 {
                    key.push(byte);
                }
                continue;
            }
            match byte {
                b'"' => {
                    quoted = true;
                    key.clear();
                    key_is_products = false;
                }
                b':' if depth == 1 => key_is_products = key == b"products",
                b'[' if depth == 1 && key_is_products => return Ok(true),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(false);
                    }
                }
                b',' => key_is_products = false,
                _ => {}
            }
        }
        Ok(false)
    }

    fn skip_until_object(&mut self) -> Result<(), ReadError> {
        while let Some(byte) = self.peek_word()? {
            if byte == b'{' || (byte == b']' && self.layout == Layout::Array) {
                return Ok(());
            }
            self.bump()?;
        }
        Ok(())
    }

    /// The next byte that is not space, without taking it.
    fn peek_word(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let next = self
                .input
                .fill_buf()
                .map_err(|source| ReadError::Io {
                    path: self.path.clone(),
                    source,
                })?
                .first()
                .copied();
            match next {
                Some(byte) if byte.is_ascii_whitespace() => {
                    self.bump()?;
                }
                other => return Ok(other),
            }
        }
    }

    fn bump(&mut self) -> Result<Option<u8>, ReadError> {
        let next = self
            .input
            .fill_buf()
            .map_err(|source| ReadError::Io {
                path: self.path.clone(),
                source,
            })?
            .first()
            .copied();
        if let Some(byte) = next {
            self.input.consume(1);
            self.advance(1);
            if byte == b'\n' {
                self.line += 1;
            }
        }
        Ok(next)
    }

    fn rewind(&mut self, offset: u64) -> Result<(), ReadError> {
        self.jump(1, offset)
    }

    fn jump(&mut self, line: u64, offset: u64) -> Result<(), ReadError> {
        self.input
            .seek(SeekFrom::Start(offset))
            .map_err(|source| self.io(source))?;
        self.line = line;
        self.offset = offset;
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.offset += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    fn io(&self, source: std::io::Error) -> ReadError {
        ReadError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

fn too_large(line: u64) -> Problem {
    Problem::new(
        line,
        ProblemKind::TooLarge,
        "an element above 8 MiB",
        "shorten its texts, or split the product",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(text: &str) -> (Vec<(u64, serde_json::Value)>, Vec<Problem>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut elements = Elements::open(file.path()).unwrap();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        while let Some(next) = elements.next_element().unwrap() {
            match next {
                Next::Element(element) => match element.parse() {
                    Ok(value) => good.push((element.line, value)),
                    Err(problem) => bad.push(problem),
                },
                Next::Damaged(problem) => bad.push(problem),
            }
        }
        (good, bad)
    }

    #[test]
    fn all_layouts() {
        for text in [
            "[{\"a\":\"}\"},\n {\"a\":2}]",
            "{\"total\":2,\"meta\":{\"products\":[9]},\n\"products\":[{\"a\":\"}\"},{\"a\":2}],\"skip\":0}",
            "\u{feff}{\"a\":\"}\"}\n\n{\"a\":2}\n",
            "{\n\"a\":\"}\"\n}\n{\n\"a\":2}",
        ] {
            let (good, bad) = read(text);
            assert!(bad.is_empty(), "{text}: {bad:?}");
            assert_eq!(good.len(), 2, "{text}");
            assert_eq!(good[1].1["a"], 2);
        }
        assert_eq!(read("[]").0.len(), 0);
    }

    #[test]
    fn damage_in_the_middle() {
        let (good, bad) = read("[{\"a\":1},\n{\"a\":},\n17,\n{\"a\":3}]");
        assert_eq!(good.len(), 2);
        assert_eq!(
            bad.iter()
                .map(|problem| (problem.line, problem.kind))
                .collect::<Vec<_>>(),
            [(2, ProblemKind::Syntax), (3, ProblemKind::Syntax)]
        );
        let (good, bad) = read("{\"a\":1}\n{\"a\":\n{\"a\":3}\n");
        assert_eq!((good.len(), bad.len(), bad[0].line), (2, 1, 2));
        let (good, bad) = read("[{\"a\":1},{\"a\":2");
        assert_eq!((good.len(), bad.len()), (1, 1));
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["", "  \n", "a,b\n1,2\n"] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert!(Elements::open(file.path()).is_err(), "{text}");
        }
    }
}
