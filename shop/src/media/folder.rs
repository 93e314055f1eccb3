//! Pictures in a folder, which may be shared by several processes.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::MediaError;

/// Where files lie until they are whole.
const INCOMING: &str = "incoming";
/// A file that is not whole after this long belongs to a process that died.
const ABANDONED: Duration = Duration::from_hours(24);

#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens the folder, making it where it is missing, and clears what dead processes left.
    pub(super) async fn open(root: PathBuf) -> Result<Self, MediaError> {
        blocking(move || {
            let incoming = root.join(INCOMING);
            fs::create_dir_all(&incoming).map_err(failed("make the folder", &incoming))?;
            for entry in fs::read_dir(&incoming)
                .map_err(failed("read the folder", &incoming))?
                .flatten()
            {
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
        })
        .await
    }

    pub(super) async fn read(&self, key: &str) -> Result<Option<Bytes>, MediaError> {
        let path = self.root.join(key);
        blocking(move || match fs::read(&path) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        })
        .await
    }

    /// Writes a file so that it is either whole or not there, whatever happens.
    pub(super) async fn write(&self, key: &str, bytes: Bytes) -> Result<(), MediaError> {
        let path = self.root.join(key);
        let incoming = self
            .root
            .join(INCOMING)
            .join(format!("{:032x}", rand::random::<u128>()));
        blocking(move || {
            if path.exists() {
                return Ok(());
            }
            let written = write_whole(&incoming, &path, &bytes);
            if written.is_err() {
                let _ = fs::remove_file(&incoming);
            }
            written
        })
        .await
    }
}

fn write_whole(incoming: &Path, path: &Path, bytes: &[u8]) -> Result<(), MediaError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
    let mut file = fs::File::create_new(incoming).map_err(failed("create", incoming))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write", incoming))?;
    fs::rename(incoming, path).map_err(failed("move into place", path))?;
    // The new name itself must survive a power cut as well.
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MediaError {
    let path = path.to_owned();
    move |source| MediaError::Folder {
        action,
        path,
        source,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| MediaError::Aborted)?
}
