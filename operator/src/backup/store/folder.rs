//! Backups in a folder: a volume, which may be shared by several pods.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{MAXIMUM_LISTED, StoreError};

/// Where files lie until they are whole.
const INCOMING: &str = ".incoming";
/// A file that is not whole after this long belongs to a process that died.
const ABANDONED: Duration = Duration::from_hours(24);
const MAXIMUM_DEPTH: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens the folder, making it where it is missing, and clears what dead processes left.
    pub(super) fn open(root: PathBuf) -> Result<Self, StoreError> {
        let incoming = root.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(failed("make the folder", &incoming))?;
        let entries = fs::read_dir(&incoming).map_err(failed("read the folder", &incoming))?;
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|data| data.modified())
                .ok()
                .and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                // Another process may have been faster.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self { root })
    }

    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.root.join(key);
        let name = format!("{:032x}", rand::random::<u128>());
        let incoming = self.root.join(INCOMING).join(name);
        blocking(move || {
            let written = write_whole(&incoming, &path, &bytes);
            if written.is_err() {
                let _ = fs::remove_file(&incoming);
            }
            written
        })
        .await
    }

    pub(super) async fn get(
        &self,
        key: &str,
        most: Option<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.root.join(key);
        blocking(move || {
            let mut bytes = Vec::new();
            let read = File::open(&path)
                .and_then(|file| file.take(most.unwrap_or(u64::MAX)).read_to_end(&mut bytes));
            match read {
                Ok(_) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed("read", &path)(error)),
            }
        })
        .await
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        blocking(move || {
            let mut keys = Vec::new();
            let within = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut waiting = vec![(within.to_owned(), 0)];
            while let Some((folder, depth)) = waiting.pop() {
                let path = root.join(&folder);
                let entries = match fs::read_dir(&path) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(failed("read the folder", &path)(error)),
                };
                for entry in entries {
                    let entry = entry.map_err(failed("read the folder", &path))?;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let key = if folder.is_empty() {
                        name
                    } else {
                        format!("{folder}/{name}")
                    };
                    let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    if is_folder && depth < MAXIMUM_DEPTH && key != INCOMING {
                        waiting.push((key, depth + 1));
                    } else if !is_folder && key.starts_with(&prefix) {
                        keys.push(key);
                    }
                    if keys.len() > MAXIMUM_LISTED {
                        return Err(StoreError::TooMany);
                    }
                }
            }
            Ok(keys)
        })
        .await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.root.join(key);
        blocking(move || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("delete", &path)(error));
                }
                _ => {}
            }
            // The folder of a backup goes with its last file.
            if let Some(folder) = path.parent() {
                let _ = fs::remove_dir(folder);
            }
            Ok(())
        })
        .await
    }
}

fn write_whole(incoming: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
    let mut file = File::create_new(incoming).map_err(failed("create", incoming))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write", incoming))?;
    fs::rename(incoming, path).map_err(failed("move into place", path))?;
    // The new name itself must survive a power cut as well.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Folder {
        action,
        path,
        source,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Folder {
            action: "use",
            path: PathBuf::new(),
            source: io::Error::other(error),
        })?
}
