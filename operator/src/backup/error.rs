//! What goes wrong with backups.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::binlog::BinlogError;
use super::seal::SealError;
use super::store::StoreError;
use crate::gtid::GtidSet;

/// Why a backup, its archive or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target failed.
    #[error("the target of backups: {0}")]
    Store(#[from] StoreError),
    /// An object cannot be opened.
    #[error("{object:?}: {source}")]
    Seal {
        /// Its key.
        object: String,
        /// Why not.
        source: SealError,
    },
    /// The key is none, or an object could not be made.
    #[error(transparent)]
    Key(SealError),
    /// An object says something else than its place or its manifest.
    #[error("{object:?} {detail}; this backup is damaged")]
    Damaged {
        /// Its key.
        object: String,
        /// What is wrong.
        detail: String,
    },
    /// The disk failed.
    #[error("failed to {action} {path:?}: {source}")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The binary log cannot be read.
    #[error("{path:?}: {source}")]
    Binlog {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: BinlogError,
    },
    /// A statement failed.
    #[error("failed to {action}: {source}")]
    Sql {
        /// What was tried.
        action: &'static str,
        /// What the server said.
        source: sqlx::Error,
    },
    /// A server of our own failed.
    #[error("the scratch server failed to {action}: {detail}")]
    Server {
        /// What was tried.
        action: &'static str,
        /// What is known.
        detail: String,
    },
    /// The folder for the data has something in it.
    #[error("{0:?} is not empty; nothing was changed. Choose another folder, or say --replace")]
    Occupied(PathBuf),
    /// No backup fits.
    #[error("there is no backup to restore from: {0}")]
    NoBackup(String),
    /// The archive has a hole.
    #[error(
        "the archive of binary logs has a gap: transactions {missing} are missing. It can be restored up to {reached} (--to-time)"
    )]
    Gap {
        /// What is missing.
        missing: GtidSet,
        /// The last moment before it.
        reached: Timestamp,
    },
    /// The archive ends before what is asked for.
    #[error("the archive of binary logs reaches {reached} only, and {wanted} was asked for")]
    Short {
        /// Its end.
        reached: String,
        /// What was asked for.
        wanted: String,
    },
    /// The server has no longer what the archive needs next.
    #[error(
        "the server has purged transactions {0} before they were archived: make a full backup, from which archiving goes on"
    )]
    Purged(GtidSet),
    /// The data is not whole, or the archive does not fit it.
    #[error("the data is not as it should be: {0}")]
    Unsound(String),
    /// Restored tables are not as they were.
    #[error("the restored tables differ from those that were backed up: {0}")]
    Differs(String),
    /// The check has found something.
    #[error("the check of the restored shop failed: {0}")]
    Check(String),
    /// The verification did not come to an end, for a reason that is not in the backup.
    #[error("it could not be verified: {0}")]
    Undecided(String),
    /// It was asked to end.
    #[error("it was told to stop")]
    Stopped,
}

impl BackupError {
    pub(super) fn disk(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Disk {
            action,
            path,
            source,
        }
    }

    pub(super) fn sql(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Sql { action, source }
    }

    pub(super) fn seal(object: &str) -> impl FnOnce(SealError) -> Self + use<> {
        let object = object.to_owned();
        move |source| Self::Seal { object, source }
    }

    pub(super) fn damaged(object: &str, detail: impl Into<String>) -> Self {
        Self::Damaged {
            object: object.to_owned(),
            detail: detail.into(),
        }
    }
}
