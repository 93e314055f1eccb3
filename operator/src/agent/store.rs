//! What an agent keeps beside the server's data: one small file, replaced whole and synced before anything relies on it.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::api::{Base, DataDirectory, Fence, LastView};

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kept {
    /// What the data directory is.
    pub marker: Marker,
    /// The newest epoch that was heard of.
    pub epoch: i64,
    /// The epoch of the decision by which the group of this view prefix was made.
    #[serde(default)]
    pub made: Option<Made>,
    /// The attempt to make the group, until it has succeeded.
    #[serde(default)]
    pub attempt: Option<i64>,
    /// The epoch of the last `Rebuild` that was carried out.
    #[serde(default)]
    pub rebuilt: Option<i64>,
    /// The epoch of the last `Reclone` that was carried out.
    #[serde(default)]
    pub recloned: Option<i64>,
    /// A copy of another member's data that is not known to be whole: until it is, the data is of use to nobody.
    #[serde(default)]
    pub copying: Option<Copying>,
    /// From what the group was made again each time, the oldest first.
    #[serde(default)]
    pub bases: Vec<Base>,
    /// The last view with a majority.
    #[serde(default)]
    pub last_view: Option<LastView>,
    /// No part in any group until released.
    #[serde(default)]
    pub fence: Option<Fence>,
    /// Errant transactions that were saved.
    #[serde(default)]
    pub saved: String,
}

/// What a data directory is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Marker {
    /// There is none.
    #[default]
    None,
    /// It is being made. Data that is in its place is whole: it was moved there.
    Making,
    /// Made and never in a group.
    Fresh,
    /// Of a group.
    Owned {
        /// Its name.
        group_name: String,
    },
}

/// By which decision a group was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Made {
    /// The part of the view identifier that is new each time.
    pub prefix: String,
    /// The epoch of the decision.
    pub epoch: i64,
}

/// A copy that was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Copying {
    /// By which decision the group of the donor was made.
    pub made: Option<Made>,
    /// When the copy before it was begun, as the server tells it; nothing if there was none.
    pub before: String,
}

impl Kept {
    /// The data directory as others are told. `expected` is the group's name as far as it is known.
    #[must_use]
    pub fn data(&self, expected: Option<&str>, has_data: bool) -> DataDirectory {
        match &self.marker {
            Marker::None if has_data => DataDirectory::Foreign {
                group_name: String::new(),
            },
            Marker::None | Marker::Making => DataDirectory::Unknown,
            Marker::Fresh => DataDirectory::Fresh,
            Marker::Owned { group_name } => {
                let group_name = group_name.clone();
                if expected.is_none_or(|name| name == group_name) {
                    DataDirectory::Owned { group_name }
                } else {
                    DataDirectory::Foreign { group_name }
                }
            }
        }
    }
}

/// The folder on the volume in which an agent keeps its file.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    /// Held for as long as the store is: of two agents on one volume only one works.
    _lock: Arc<File>,
}

/// What is kept cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused.
    #[error("{path}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not what was written. Guessing would be worse than not starting.
    #[error(
        "{path} cannot be understood ({error}). Was it written by a newer agent, or damaged? Restore it, or replace the volume"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        error: serde_json::Error,
    },
    /// Another agent is at work on it: the pod before this one has not ended yet.
    #[error("{path} is held by another agent, which has not ended yet")]
    Held {
        /// The file that is locked.
        path: PathBuf,
    },
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |error| StoreError::Io { path, error }
}

impl Store {
    /// The store of a volume; its folder is made.
    ///
    /// # Errors
    /// When the folder cannot be made, or another agent holds it. A pod that is deleted by force is replaced before its
    /// processes have ended.
    pub fn open(volume: &Path) -> Result<Self, StoreError> {
        let folder = volume.join("agent");
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        sync_folder(volume)?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Held { path }),
            // Some network file systems have no locks; the server has its own then.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, path = %path.display(), "the volume cannot be locked");
            }
        }
        Ok(Self {
            folder,
            _lock: Arc::new(lock),
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is kept; nothing yet on a new volume.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn read(&self) -> Result<Kept, StoreError> {
        let path = self.folder.join("state.json");
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) => Err(StoreError::Io { path, error }),
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged { path, error })
            }
        }
    }

    /// Replaces what is kept. When this returns it is on disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, kept: &Kept) -> Result<(), StoreError> {
        let path = self.folder.join("state.json");
        let new = self.folder.join("state.json.new");
        let text = serde_json::to_vec_pretty(kept).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            error,
        })?;
        let mut file = File::create(&new).map_err(io(&new))?;
        file.write_all(&text).map_err(io(&new))?;
        file.sync_all().map_err(io(&new))?;
        fs::rename(&new, &path).map_err(io(&path))?;
        sync_folder(&self.folder)
    }
}

/// Makes renames and links in a folder last.
///
/// # Errors
/// When the disk refuses.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(io(path))
}

#[cfg(test)]
mod tests {
    use super::{Kept, Marker, Store, StoreError};
    use crate::agent::api::DataDirectory;

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("panono-store-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_was_written_is_read_and_damage_is_told() {
        let volume = folder("damage");
        let store = Store::open(&volume).unwrap();
        assert_eq!(store.read().unwrap(), Kept::default());
        let kept = Kept {
            marker: Marker::Owned {
                group_name: "g".to_owned(),
            },
            epoch: 7,
            ..Kept::default()
        };
        store.write(&kept).unwrap();
        assert_eq!(store.read().unwrap(), kept);
        std::fs::write(store.folder().join("state.json"), b"{\"marker\":").unwrap();
        assert!(store.read().unwrap_err().to_string().contains("damaged"));
        std::fs::remove_dir_all(volume).unwrap();
    }

    #[test]
    fn two_agents_do_not_work_on_one_volume() {
        let volume = folder("lock");
        let first = Store::open(&volume).unwrap();
        assert!(matches!(Store::open(&volume), Err(StoreError::Held { .. })));
        let copy = first.clone();
        drop(first);
        assert!(Store::open(&volume).is_err());
        drop(copy);
        Store::open(&volume).unwrap();
        std::fs::remove_dir_all(volume).unwrap();
    }

    #[test]
    fn data_of_another_group_or_of_none_is_foreign() {
        let owned = Kept {
            marker: Marker::Owned {
                group_name: "a".to_owned(),
            },
            ..Kept::default()
        };
        let of = |group_name: &str| group_name.to_owned();
        assert_eq!(
            owned.data(Some("b"), true),
            DataDirectory::Foreign {
                group_name: of("a")
            }
        );
        assert_eq!(
            owned.data(None, true),
            DataDirectory::Owned {
                group_name: of("a")
            }
        );
        assert_eq!(
            Kept::default().data(None, true),
            DataDirectory::Foreign { group_name: of("") }
        );
    }
}
