//! Continuous archiving: what a member commits goes to the target within seconds, read from its binary log files.
//!
//! Nothing of this is in the way of a commit: files are read that the server has written anyway. Only what the server reports as
//! executed is taken, so that nothing is archived that a crash could undo. Every member has every transaction in its own binary
//! log; after a failover another member's archiver goes on with what the archive does not have yet.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use sqlx::ConnectOptions as _;
use sqlx::Row as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};

use super::binlog::{MAGIC, Next, Scanner};
use super::catalogue::{Catalogue, FORMAT, Head, SegmentHeader, read_segment_key, segment_key};
use super::error::BackupError;
use super::server::{executed, failed};
use crate::gtid::GtidSet;

/// Bytes of a segment; one transaction may be longer.
const SEGMENT: usize = 16 * 1024 * 1024;
/// Segments of one pass: so that an archiver that catches up still tells how far it is.
const PASS: usize = 64;
/// How often an idle server is noted.
const HEAD_EVERY: SignedDuration = SignedDuration::from_secs(30);
const COMPRESSION: i32 = 3;

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Segments that were written.
    pub segments: usize,
    /// Transactions in them.
    pub transactions: u64,
    /// Bytes at the target.
    pub bytes: u64,
    /// Whether there may be more that another pass takes at once.
    pub more: bool,
    /// Whether everything that the server had executed when it began is archived.
    pub caught_up: bool,
}

/// Archives the binary log of one member, which is on this machine.
pub struct Archiver {
    catalogue: Catalogue,
    member: MySqlConnectOptions,
    connection: Option<MySqlConnection>,
    server: String,
    next_number: u64,
    /// What the archive has.
    archived: GtidSet,
    head_at: Option<Timestamp>,
    reading: Option<(String, Scanner<File>)>,
}

/// A segment that is not sealed yet.
struct Draft {
    header: SegmentHeader,
    body: Vec<u8>,
}

/// What the server says.
struct Seen {
    folder: PathBuf,
    files: Vec<String>,
    executed: GtidSet,
    at: Timestamp,
}

impl Archiver {
    /// Looks up what is archived already.
    ///
    /// # Errors
    /// When the target fails, or what is there cannot be read with this key.
    pub async fn start(
        catalogue: Catalogue,
        member: MySqlConnectOptions,
    ) -> Result<Self, BackupError> {
        let heads = catalogue.heads().await?;
        let archived = heads
            .iter()
            .fold(GtidSet::default(), |all, head| all.union(&head.executed));
        let last = catalogue.segments().await?;
        let next_number = last
            .iter()
            .filter_map(|key| read_segment_key(key))
            .map(|(number, _)| number)
            .max()
            .map_or(1, |number| number + 1);
        Ok(Self {
            catalogue,
            member,
            connection: None,
            server: String::new(),
            next_number,
            archived,
            head_at: None,
            reading: None,
        })
    }

    /// What the archive has, as far as is known here.
    #[must_use]
    pub fn archived(&self) -> &GtidSet {
        &self.archived
    }

    /// Archives what the server has executed and the archive does not have. To be called every few seconds; what is committed is at
    /// the target after the next pass.
    ///
    /// # Errors
    /// When the server or the target fails; another pass goes on. [`BackupError::Purged`] stays until there is a full backup.
    pub async fn pass(&mut self) -> Result<Pass, BackupError> {
        let result = self.try_pass().await;
        if result.is_err() {
            // What was read and not written is read again.
            self.connection = None;
            self.reading = None;
        }
        result
    }

    async fn try_pass(&mut self) -> Result<Pass, BackupError> {
        let seen = self.look().await?;
        let mut done = Pass::default();
        if self.reading.is_none() {
            self.find(&seen).await?;
        }
        while done.segments < PASS {
            let Some((name, scanner)) = self.reading.take() else {
                break;
            };
            let path = seen.folder.join(&name);
            let (executed, archived) = (seen.executed.clone(), self.archived.clone());
            let read = tokio::task::spawn_blocking(move || draft(scanner, &executed, &archived))
                .await
                .map_err(|error| failed("read", error.to_string()))?;
            let (scanner, draft, next) = read.map_err(|source| BackupError::Binlog {
                path: path.clone(),
                source,
            })?;
            if let Some(draft) = draft {
                self.write(draft, &mut done).await?;
            }
            let following = following(&seen.files, &name);
            let listed = seen.files.contains(&name);
            match (next, following) {
                // The piece is full, and there is more in the file.
                (Next::Transaction(_), _) => self.reading = Some((name, scanner)),
                // A file that is not the last one was closed, or the server died and went on with another.
                (_, Some(following)) => {
                    let path = seen.folder.join(following);
                    self.reading = open(&path)?.map(|scanner| (following.to_owned(), scanner));
                    if self.reading.is_none() {
                        self.reading = Some((name, scanner));
                        break;
                    }
                }
                // The server has purged what was being read, and all of it is read: what follows is looked for, or is gone, too.
                (_, None) if !listed => self.find(&seen).await?,
                (_, None) => {
                    self.reading = Some((name, scanner));
                    break;
                }
            }
        }
        done.more = done.segments >= PASS;
        done.caught_up = !done.more && seen.executed.is_subset(&self.archived);
        self.note(&seen, &done).await?;
        Ok(done)
    }

    async fn look(&mut self) -> Result<Seen, BackupError> {
        if self.connection.is_none() {
            let connection = self.member.connect().await;
            self.connection = Some(connection.map_err(BackupError::sql("reach the member"))?);
        }
        let connection = self
            .connection
            .as_mut()
            .ok_or_else(|| failed("connect", "the connection is gone".to_owned()))?;
        let (server, base): (String, Option<String>) =
            sqlx::query_as("SELECT @@server_uuid, @@log_bin_basename")
                .fetch_one(&mut *connection)
                .await
                .map_err(BackupError::sql("read the server's name"))?;
        let base = base.ok_or_else(|| failed("archive", "log_bin is off".to_owned()))?;
        let rows = sqlx::raw_sql("SHOW BINARY LOGS")
            .fetch_all(&mut *connection)
            .await
            .map_err(BackupError::sql("list the binary logs"))?;
        let files = rows
            .iter()
            .map(|row| row.try_get_unchecked::<String, _>(0))
            .collect::<Result<Vec<_>, _>>()
            .map_err(BackupError::sql("list the binary logs"))?;
        let at = Timestamp::now();
        // After the list: whatever is executed now and in a file that is not the last is whole there.
        let executed = executed(connection).await?;
        if self.server != server {
            self.server = server;
            self.reading = None;
        }
        Ok(Seen {
            folder: Path::new(&base)
                .parent()
                .unwrap_or(Path::new("/"))
                .to_owned(),
            files,
            executed,
            at,
        })
    }

    /// Finds the newest file before which everything is archived.
    async fn find(&mut self, seen: &Seen) -> Result<(), BackupError> {
        let mut oldest = None;
        for name in seen.files.iter().rev() {
            let Some(scanner) = open(&seen.folder.join(name))? else {
                continue;
            };
            if scanner.before().is_subset(&self.archived) {
                self.reading = Some((name.clone(), scanner));
                return Ok(());
            }
            oldest = Some((name.clone(), scanner));
        }
        let Some((name, scanner)) = oldest else {
            return Ok(());
        };
        let missing = scanner.before().subtract(&self.archived);
        if self.archived.is_empty() {
            // A new archive begins with what there is. The first backup after this is what it belongs to.
            self.archived = scanner.before().clone();
        } else {
            let newest = self.catalogue.backups().await?;
            let newest = newest.iter().rev().find(|backup| backup.complete);
            let backup = match newest {
                Some(listed) => self.catalogue.manifest(&listed.id).await?.executed,
                None => GtidSet::default(),
            };
            let uncovered = missing.subtract(&backup);
            if !uncovered.is_empty() {
                return Err(BackupError::Purged(uncovered));
            }
            tracing::warn!(%missing, "the archive has a gap that the newest backup spans");
            self.archived.extend(&missing);
        }
        self.reading = Some((name, scanner));
        Ok(())
    }

    async fn write(&mut self, draft: Draft, done: &mut Pass) -> Result<(), BackupError> {
        let Draft { mut header, body } = draft;
        header.number = self.next_number;
        header.server.clone_from(&self.server);
        let key = segment_key(&header);
        let object = super::seal::seal(&self.catalogue.key, &header, body)
            .map_err(BackupError::seal(&key))?;
        done.bytes += u64::try_from(object.len()).unwrap_or(0);
        self.catalogue.store.put(&key, object).await?;
        self.next_number += 1;
        self.archived.extend(&header.transactions);
        done.segments += 1;
        done.transactions += header.transactions.count();
        Ok(())
    }

    /// Tells at the target how far it is, after what was written, and now and then when nothing is.
    async fn note(&mut self, seen: &Seen, done: &Pass) -> Result<(), BackupError> {
        let recent = self
            .head_at
            .is_some_and(|last| seen.at.duration_since(last) < HEAD_EVERY);
        if (done.segments == 0 && recent) || self.reading.is_none() {
            return Ok(());
        }
        // What is behind is not promised to be here until now.
        if !done.caught_up {
            return Ok(());
        }
        let head = Head {
            server: self.server.clone(),
            executed: self.archived.clone(),
            at: seen.at,
        };
        self.catalogue.put_head(&head).await?;
        self.head_at = Some(seen.at);
        Ok(())
    }
}

fn open(path: &Path) -> Result<Option<Scanner<File>>, BackupError> {
    let file = File::open(path).map_err(BackupError::disk("open", path))?;
    Scanner::open(file).map_err(|source| BackupError::Binlog {
        path: path.to_owned(),
        source,
    })
}

fn following<'a>(files: &'a [String], name: &str) -> Option<&'a str> {
    let at = files.iter().position(|file| file == name)?;
    files.get(at + 1).map(String::as_str)
}

type Drafted = (Scanner<File>, Option<Draft>, Next);

/// Reads until a segment is full or nothing more can be read. In the answer, a transaction means that there may be more.
fn draft(
    mut scanner: Scanner<File>,
    executed: &GtidSet,
    archived: &GtidSet,
) -> Result<Drafted, super::binlog::BinlogError> {
    let mut plain = Vec::new();
    let mut header: Option<SegmentHeader> = None;
    let next = loop {
        let next = scanner.next(executed)?;
        let Next::Transaction(transaction) = &next else {
            break next;
        };
        if archived.contains(&transaction.gtid) {
            continue;
        }
        let header = header.get_or_insert_with(|| {
            let this: GtidSet = std::iter::once(transaction.gtid.clone()).collect();
            SegmentHeader {
                format: FORMAT,
                number: 0,
                server: String::new(),
                before: scanner.before().subtract(&this),
                transactions: GtidSet::default(),
                first_commit: transaction.committed,
                last_commit: transaction.committed,
                bytes: 0,
            }
        });
        if plain.is_empty() {
            plain.extend_from_slice(&MAGIC);
            plain.extend_from_slice(scanner.description());
        }
        plain.extend_from_slice(scanner.bytes(transaction)?);
        header.transactions.insert(&transaction.gtid);
        header.last_commit = transaction.committed;
        if plain.len() >= SEGMENT {
            break next;
        }
    };
    let draft = match header {
        None => None,
        Some(mut header) => {
            header.bytes = u64::try_from(plain.len()).unwrap_or(0);
            Some(Draft {
                header,
                body: compressed(&plain)?,
            })
        }
    };
    Ok((scanner, draft, next))
}

fn compressed(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), COMPRESSION)?;
    encoder.write_all(plain)?;
    encoder.finish()
}
