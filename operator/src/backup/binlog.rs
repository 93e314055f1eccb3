//! Reading binary logs: which transactions are where in a file. Pure but for the file.
//!
//! The layout is that of the MySQL source documentation, "Binlog Event" and "Gtid_event". What is inside of a transaction is not
//! looked at.

mod window;

use std::io::{self, Read, Seek};

use crate::gtid::{Gtid, GtidSet, Source};
use window::Window;

/// What every file begins with.
pub const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];
const ENCRYPTED: [u8; 4] = [0xfd, b'b', b'i', b'n'];
const HEADER: usize = 19;
const CHECKSUM: usize = 4;
/// The longest event whose content is read, in bytes.
const MAXIMUM_READ: usize = 64 * 1024 * 1024;

const STOP: u8 = 3;
const ROTATE: u8 = 4;
const DESCRIPTION: u8 = 15;
const GTID: u8 = 33;
const ANONYMOUS: u8 = 34;
const PREVIOUS: u8 = 35;
const TAGGED: u8 = 42;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BinlogError {
    /// The disk failed.
    #[error("failed to read the binary log: {0}")]
    Io(#[from] io::Error),
    /// The file is encrypted by the server.
    #[error(
        "the binary log is encrypted by the server (binlog_encryption), which archiving cannot read"
    )]
    Encrypted,
    /// A transaction without GTID, or with a tagged one.
    #[error("a transaction at {0} has {1}, which archiving does not support")]
    Kind(u64, &'static str),
    /// The bytes are no binary log.
    #[error("the binary log is damaged at {0}: {1}")]
    Damaged(u64, &'static str),
}

/// Where a transaction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its name.
    pub gtid: Gtid,
    /// Where it begins in the file, in bytes.
    pub start: u64,
    /// The byte after it.
    pub end: u64,
    /// When it was committed on the server that it comes from: microseconds since 1970.
    pub committed: u64,
}

/// What comes next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole transaction.
    Transaction(Transaction),
    /// Nothing more yet.
    Wait,
    /// The file was closed by the server; there is another.
    End,
}

/// A place in a file that may still grow.
#[derive(Debug)]
pub struct Scanner<F> {
    file: Window<F>,
    position: u64,
    description: Vec<u8>,
    before: GtidSet,
    open: Option<Transaction>,
}

struct Event {
    kind: u8,
    size: u64,
}

impl<F: Read + Seek> Scanner<F> {
    /// Opens a file. `None` when its beginning, with what the server had before, is not written yet.
    ///
    /// # Errors
    /// When it is no binary log.
    pub fn open(file: F) -> Result<Option<Self>, BinlogError> {
        let mut file = Window::new(file);
        let Some(magic) = file.get(0, MAGIC.len())? else {
            return Ok(None);
        };
        if *magic == ENCRYPTED {
            return Err(BinlogError::Encrypted);
        }
        if *magic != MAGIC {
            return Err(BinlogError::Damaged(0, "it does not begin as one"));
        }
        let mut scanner = Self {
            file,
            position: 4,
            description: Vec::new(),
            before: GtidSet::default(),
            open: None,
        };
        let Some(event) = scanner.event()? else {
            return Ok(None);
        };
        if event.kind != DESCRIPTION {
            return Err(BinlogError::Damaged(4, "it does not describe itself"));
        }
        let Some(mut description) = scanner.content(&event)?.map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        // The flag that the file is in use does not count for the checksum, and what is copied is not in use.
        if let Some(flags) = description.get_mut(17) {
            *flags &= !1;
        }
        scanner.description = description;
        scanner.position += event.size;
        let Some(event) = scanner.event()? else {
            return Ok(None);
        };
        if event.kind == PREVIOUS {
            let Some(content) = scanner.content(&event)? else {
                return Ok(None);
            };
            let before = previous(content);
            scanner.before =
                before.ok_or(BinlogError::Damaged(scanner.position, "its set of GTIDs"))?;
            scanner.position += event.size;
        }
        Ok(Some(scanner))
    }

    /// The event that describes the file. What is copied from it begins with [`MAGIC`] and this.
    pub fn description(&self) -> &[u8] {
        &self.description
    }

    /// All transactions that the server had before what [`Scanner::next`] gives next.
    pub fn before(&self) -> &GtidSet {
        &self.before
    }

    /// The next transaction, if it is in `executed`, which was read from the server before this call. So it is whole, and it is
    /// acknowledged: its last event is followed by the next transaction or by the end of what is there.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn next(&mut self, executed: &GtidSet) -> Result<Next, BinlogError> {
        loop {
            let Some(event) = self.event()? else {
                return Ok(self.whole(executed).map_or(Next::Wait, Next::Transaction));
            };
            let boundary = matches!(event.kind, GTID | ANONYMOUS | TAGGED | STOP | ROTATE);
            if boundary && self.open.is_some() {
                return Ok(self.whole(executed).map_or(Next::Wait, Next::Transaction));
            }
            match event.kind {
                STOP | ROTATE => return Ok(Next::End),
                ANONYMOUS => return Err(BinlogError::Kind(self.position, "no GTID")),
                TAGGED => return Err(BinlogError::Kind(self.position, "a tagged GTID")),
                GTID => {
                    let Some(content) = self.content(&event)? else {
                        return Ok(Next::Wait);
                    };
                    let read = gtid(content);
                    let (gtid, committed) =
                        read.ok_or(BinlogError::Damaged(self.position, "a transaction's GTID"))?;
                    self.open = Some(Transaction {
                        gtid,
                        start: self.position,
                        end: self.position,
                        committed,
                    });
                }
                _ => {}
            }
            self.position += event.size;
            if let Some(open) = &mut self.open {
                open.end = self.position;
            }
        }
    }

    /// The bytes of a transaction.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bytes(&mut self, transaction: &Transaction) -> Result<&[u8], BinlogError> {
        let length = usize::try_from(transaction.end.saturating_sub(transaction.start))
            .map_err(|_| BinlogError::Damaged(transaction.start, "a transaction's length"))?;
        let bytes = self.file.get(transaction.start, length)?;
        bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }

    fn whole(&mut self, executed: &GtidSet) -> Option<Transaction> {
        let open = self.open.take_if(|open| executed.contains(&open.gtid))?;
        self.before.insert(&open.gtid);
        Some(open)
    }

    /// The event at the position, if all of it is there.
    fn event(&mut self) -> Result<Option<Event>, BinlogError> {
        let Some(header) = self.file.get(self.position, HEADER)? else {
            return Ok(None);
        };
        let mut fields = Fields(header);
        let (_, kind, _) = (fields.number(4), fields.number(1), fields.number(4));
        let size = fields.number(4).unwrap_or(0);
        let kind = kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(0);
        if size < 19 {
            return Err(BinlogError::Damaged(self.position, "an event's length"));
        }
        let whole = self.file.reaches(self.position + size)?;
        Ok(whole.then_some(Event { kind, size }))
    }

    fn content(&mut self, event: &Event) -> Result<Option<&[u8]>, BinlogError> {
        let size = usize::try_from(event.size).unwrap_or(usize::MAX);
        if size > MAXIMUM_READ {
            return Err(BinlogError::Damaged(self.position, "an event's length"));
        }
        Ok(self.file.get(self.position, size)?)
    }
}

/// How a file begins that has these transactions of another: [`MAGIC`], the other's description, and an empty set of transactions
/// before it, without which the server does not read a file.
#[must_use]
pub fn opening(description: &[u8]) -> Vec<u8> {
    const IGNORABLE: [u8; 2] = [0x80, 0];
    let checked = is_checked(description);
    let size = HEADER + 8 + if checked { CHECKSUM } else { 0 };
    let end = MAGIC.len() + description.len() + size;
    let little = |number: usize| u32::try_from(number).unwrap_or(0).to_le_bytes();
    let mut event = vec![0; 4];
    event.push(PREVIOUS);
    event.extend_from_slice(description.get(5..9).unwrap_or(&[0; 4]));
    event.extend_from_slice(&little(size));
    event.extend_from_slice(&little(end));
    event.extend_from_slice(&IGNORABLE);
    event.extend_from_slice(&[0; 8]);
    if checked {
        let sum = crc32(&event);
        event.extend_from_slice(&sum.to_le_bytes());
    }
    [MAGIC.as_slice(), description, event.as_slice()].concat()
}

/// Whether events end with a checksum: the description says so before its own.
fn is_checked(description: &[u8]) -> bool {
    const CRC32: u8 = 1;
    description
        .len()
        .checked_sub(CHECKSUM + 1)
        .and_then(|at| description.get(at))
        == Some(&CRC32)
}

/// The checksum of events (`binlog_checksum`): CRC-32 as in ISO 3309.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = sum & 1;
            sum >>= 1;
            if carry == 1 {
                sum ^= 0xedb8_8320;
            }
        }
    }
    !sum
}

/// Little-endian fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes)?;
        Some(
            taken
                .iter()
                .rev()
                .fold(0, |number, byte| (number << 8) | u64::from(*byte)),
        )
    }

    fn source(&mut self) -> Option<Source> {
        self.take(16)?.first_chunk().map(Source::from_bytes)
    }
}

/// Flags, source, number, kind of clock, two logical times, and the moment of the commit here and, if it differs, at its origin.
fn gtid(event: &[u8]) -> Option<(Gtid, u64)> {
    const ORIGIN_FOLLOWS: u64 = 1 << 55;
    let mut fields = Fields(event.get(HEADER..)?);
    fields.take(1)?;
    let source = fields.source()?;
    let number = fields.number(8).filter(|number| *number > 0)?;
    fields.take(17)?;
    let here = fields.number(7)?;
    let committed = if here & ORIGIN_FOLLOWS == 0 {
        here
    } else {
        fields.number(7)?
    };
    Some((Gtid { source, number }, committed))
}

/// How many sources, and for each how many intervals, whose ends are not in them.
fn previous(event: &[u8]) -> Option<GtidSet> {
    // A checksum behind it is not looked at.
    let mut fields = Fields(event.get(HEADER..)?);
    let mut set = GtidSet::default();
    // The highest byte is zero unless there are tags.
    for _ in 0..fields.number(8).filter(|count| *count < 1 << 20)? {
        let source = fields.source()?;
        for _ in 0..fields.number(8).filter(|count| *count < 1 << 32)? {
            let (first, after) = (fields.number(8)?, fields.number(8)?);
            let last = after.checked_sub(1).filter(|last| *last >= first)?;
            set.insert_range(&source, first, last);
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests;
