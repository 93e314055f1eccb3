//! What lies where at a target, and what its headers say.
//!
//! ```text
//! backups/{id}/part-000001 …      the data directory, compressed, in pieces
//! backups/{id}/manifest           written last: without it there is no backup
//! backups/{id}/verified           what the last verification found
//! binlogs/{number}-{first commit}-{server}     transactions, in order
//! heads/{server}                  up to where that server's binary log is archived
//! ```

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::BackupError;
use super::seal::{self, Key};
use super::store::Store;
use crate::gtid::GtidSet;

/// The version of everything that is written.
pub const FORMAT: u32 = 1;
const BACKUPS: &str = "backups/";
const BINLOGS: &str = "binlogs/";
const HEADS: &str = "heads/";

/// A piece of a backup, as the manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSum {
    /// Bytes of the object.
    pub bytes: u64,
    /// SHA-256 of the object.
    pub sha256: String,
}

/// The checksum of a table, as `CHECKSUM TABLE` gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableSum {
    /// `database.table`
    pub table: String,
    /// The sum.
    pub checksum: u64,
}

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "backup", rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: u32,
    /// Its name, in the order of time.
    pub id: String,
    /// The version of the server that made it. The same or a newer one reads it.
    pub server_version: String,
    /// `host:port` of the member it was taken from.
    pub donor: String,
    /// When it began.
    pub started_at: Timestamp,
    /// The moment of its data: nothing in it was committed later.
    pub taken_at: Timestamp,
    /// The transactions in it.
    pub executed: GtidSet,
    /// Its pieces, in order.
    pub parts: Vec<PartSum>,
    /// Bytes of the files in it.
    pub data_bytes: u64,
    /// Bytes at the target.
    pub stored_bytes: u64,
    /// SHA-256 of the packed files.
    pub sha256: String,
    /// Checksums of its tables.
    pub tables: Vec<TableSum>,
}

/// The header of a piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "part")]
pub struct PartHeader {
    /// Of which backup.
    pub backup: String,
    /// Which, from 1.
    pub number: usize,
}

/// The header of transactions in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "binlog", rename_all = "camelCase")]
pub struct SegmentHeader {
    /// [`FORMAT`]
    pub format: u32,
    /// Its place among all segments. Two servers that archived at the same time may have used the same.
    pub number: u64,
    /// The server whose binary log it comes from.
    pub server: String,
    /// All transactions that this server had before those in here. Each is in a backup or in an earlier segment, or there is a
    /// gap.
    pub before: GtidSet,
    /// The transactions in here.
    pub transactions: GtidSet,
    /// When the first was committed: microseconds since 1970.
    pub first_commit: u64,
    /// When the last was committed.
    pub last_commit: u64,
    /// Bytes before compression.
    pub bytes: u64,
}

/// Up to where a server's binary log is archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "head", rename_all = "camelCase")]
pub struct Head {
    /// The server.
    pub server: String,
    /// All that it had executed.
    pub executed: GtidSet,
    /// When it had executed nothing else.
    pub at: Timestamp,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "verified", rename_all = "camelCase")]
pub struct Verified {
    /// The backup.
    pub backup: String,
    /// When it ended.
    pub at: Timestamp,
    /// Whether everything was as it should be.
    pub passed: bool,
    /// What was wrong.
    pub message: String,
    /// The transactions up to which it was restored.
    pub executed: GtidSet,
    /// How long the restore took, in seconds, without the comparison.
    pub restore_seconds: f64,
    /// Tables that were compared.
    pub tables: usize,
}

/// A new name of a backup that begins now.
#[must_use]
pub fn new_id(now: Timestamp) -> String {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    format!("{time}-{:08x}", rand::random::<u32>())
}

/// The key of a piece.
#[must_use]
pub fn part_key(id: &str, number: usize) -> String {
    format!("{BACKUPS}{id}/part-{number:06}")
}

/// The key of a manifest.
#[must_use]
pub fn manifest_key(id: &str) -> String {
    format!("{BACKUPS}{id}/manifest")
}

/// The key of what a verification found.
#[must_use]
pub fn verified_key(id: &str) -> String {
    format!("{BACKUPS}{id}/verified")
}

/// The key of a segment.
#[must_use]
pub fn segment_key(header: &SegmentHeader) -> String {
    let server = header.server.get(..8).unwrap_or_default();
    format!(
        "{BINLOGS}{:012}-{:016}-{server}",
        header.number, header.first_commit
    )
}

/// The number and the moment of the first commit in a segment's key.
#[must_use]
pub fn read_segment_key(key: &str) -> Option<(u64, u64)> {
    let mut words = key.strip_prefix(BINLOGS)?.split('-');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// A target with its key.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The target.
    pub store: Store,
    /// The key.
    pub key: Key,
}

/// A backup as listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// Whether its manifest is there.
    pub complete: bool,
    /// Whether it was verified, with whatever outcome.
    pub verified: bool,
    /// All of its objects.
    pub keys: Vec<String>,
}

impl Catalogue {
    /// Writes an object.
    ///
    /// # Errors
    /// When the target fails.
    pub async fn put(
        &self,
        key: &str,
        header: &impl Serialize,
        body: Vec<u8>,
    ) -> Result<(), BackupError> {
        let object = seal::seal(&self.key, header, body).map_err(BackupError::seal(key))?;
        Ok(self.store.put(key, object).await?)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When it is not there, is damaged or was made with another key.
    pub async fn get<H: DeserializeOwned>(&self, key: &str) -> Result<(H, Vec<u8>), BackupError> {
        let object = self.store.get(key).await?;
        seal::open(&self.key, object).map_err(BackupError::seal(key))
    }

    /// All backups, whole or not, the oldest first.
    ///
    /// # Errors
    /// When the target fails.
    pub async fn backups(&self) -> Result<Vec<Listed>, BackupError> {
        let mut found: Vec<Listed> = Vec::new();
        for key in self.store.list(BACKUPS).await? {
            let rest = key.strip_prefix(BACKUPS).unwrap_or_default();
            let Some((id, name)) = rest.split_once('/') else {
                continue;
            };
            if found.last().is_none_or(|last| last.id != id) {
                found.push(Listed {
                    id: id.to_owned(),
                    ..Listed::default()
                });
            }
            if let Some(last) = found.last_mut() {
                last.complete |= name == "manifest";
                last.verified |= name == "verified";
                last.keys.push(key);
            }
        }
        Ok(found)
    }

    /// The manifest of a backup.
    ///
    /// # Errors
    /// When it is not there or damaged, or of a newer format.
    pub async fn manifest(&self, id: &str) -> Result<Manifest, BackupError> {
        let key = manifest_key(id);
        let (manifest, _): (Manifest, _) = self.get(&key).await?;
        if manifest.format > FORMAT || manifest.id != id {
            return Err(BackupError::damaged(
                &key,
                format!("has format {} and is of {:?}", manifest.format, manifest.id),
            ));
        }
        Ok(manifest)
    }

    /// What the last verification of a backup found, if there was one.
    ///
    /// # Errors
    /// When the target fails or what is there is damaged.
    pub async fn verified(&self, listed: &Listed) -> Result<Option<Verified>, BackupError> {
        if !listed.verified {
            return Ok(None);
        }
        let (verified, _) = self.get(&verified_key(&listed.id)).await?;
        Ok(Some(verified))
    }

    /// The keys of all segments, in the order of their numbers.
    ///
    /// # Errors
    /// When the target fails.
    pub async fn segments(&self) -> Result<Vec<String>, BackupError> {
        Ok(self.store.list(BINLOGS).await?)
    }

    /// What a segment's header says, without reading all of it. It is not proven.
    ///
    /// # Errors
    /// When the target fails or it is damaged.
    pub async fn segment_header(&self, key: &str) -> Result<SegmentHeader, BackupError> {
        const FIRST: u64 = 4096;
        let mut bytes = self.store.get_beginning(key, FIRST).await?;
        let needed = seal::beginning(&bytes).map_err(BackupError::seal(key))?;
        if needed > bytes.len() {
            let needed = u64::try_from(needed).unwrap_or(u64::MAX);
            bytes = self.store.get_beginning(key, needed).await?;
        }
        seal::peek(&bytes).map_err(BackupError::seal(key))
    }

    /// Up to where each server has archived.
    ///
    /// # Errors
    /// When the target fails or one is damaged.
    pub async fn heads(&self) -> Result<Vec<Head>, BackupError> {
        let mut heads = Vec::new();
        for key in self.store.list(HEADS).await? {
            heads.push(self.get(&key).await?.0);
        }
        Ok(heads)
    }

    /// Writes up to where a server has archived.
    ///
    /// # Errors
    /// When the target fails.
    pub async fn put_head(&self, head: &Head) -> Result<(), BackupError> {
        let key = format!("{HEADS}{}", head.server);
        self.put(&key, head, Vec::new()).await
    }
}
