//! Where backups lie: a folder or a bucket. Objects are written whole and never change.

mod folder;
mod s3;

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use folder::Folder;
use s3::S3;

/// The most objects that are listed: ten years of binary logs, one a minute.
const MAXIMUM_LISTED: usize = 6_000_000;

/// Why the target of backups cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is not understood.
    #[error(
        "{0:?} is no target for backups; write file:///folder or s3://bucket/prefix?region=…&endpoint=https://…"
    )]
    Syntax(String),
    /// A bucket needs keys.
    #[error("{0} is not set, and a bucket needs it")]
    Credentials(&'static str),
    /// A file with a secret cannot be read.
    #[error("failed to read the secret in {0:?}: {1}")]
    Secret(PathBuf, std::io::Error),
    /// The HTTP client cannot be made.
    #[error("failed to set up the HTTP client: {0}")]
    Client(reqwest::Error),
    /// The folder failed.
    #[error("failed to {action} {path:?}: {source}")]
    Folder {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The bucket failed.
    #[error("the bucket failed to {action} {key:?}: {detail}")]
    Bucket {
        /// What was tried.
        action: &'static str,
        /// On which object.
        key: String,
        /// What it answered.
        detail: String,
    },
    /// An object that must be there is not.
    #[error("{0:?} is missing")]
    Missing(String),
    /// There are more objects than can be.
    #[error("there are more than {MAXIMUM_LISTED} objects")]
    TooMany,
}

#[derive(Debug)]
enum Backend {
    Folder(Folder),
    S3(Box<S3>),
}

/// A target of backups. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Backend>);

impl Store {
    /// Opens a target: `file:///folder`, or `s3://bucket/prefix?region=eu-central-1&endpoint=https://host` with keys in
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or in files that these with `_FILE` name. `variable`
    /// reads the environment.
    ///
    /// # Errors
    /// When the text is not understood, keys are missing, or the folder cannot be made.
    pub fn open(
        location: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StoreError> {
        let syntax = || StoreError::Syntax(location.to_owned());
        let url = Url::parse(location).map_err(|_| syntax())?;
        let backend = match url.scheme() {
            "file" if url.query().is_none() => {
                let path = url.to_file_path().map_err(|()| syntax())?;
                Backend::Folder(Folder::open(path)?)
            }
            "s3" => Backend::S3(Box::new(S3::open(&url, variable)?)),
            _ => return Err(syntax()),
        };
        Ok(Self(Arc::new(backend)))
    }

    /// Writes an object, so that it is either whole or not there.
    ///
    /// # Errors
    /// When the target fails, for a bucket after several tries.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        match &*self.0 {
            Backend::Folder(folder) => folder.put(key, bytes).await,
            Backend::S3(bucket) => bucket.put(key, bytes).await,
        }
    }

    /// All of an object.
    ///
    /// # Errors
    /// When it is not there or the target fails.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        self.read(key, None).await
    }

    /// The first bytes of an object, or all of it if it is shorter.
    ///
    /// # Errors
    /// When it is not there or the target fails.
    pub async fn get_beginning(&self, key: &str, bytes: u64) -> Result<Vec<u8>, StoreError> {
        self.read(key, Some(bytes)).await
    }

    async fn read(&self, key: &str, most: Option<u64>) -> Result<Vec<u8>, StoreError> {
        let found = match &*self.0 {
            Backend::Folder(folder) => folder.get(key, most).await?,
            Backend::S3(bucket) => bucket.get(key, most).await?,
        };
        found.ok_or_else(|| StoreError::Missing(key.to_owned()))
    }

    /// The keys that begin with a prefix, in order.
    ///
    /// # Errors
    /// When the target fails.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut keys = match &*self.0 {
            Backend::Folder(folder) => folder.list(prefix).await?,
            Backend::S3(bucket) => bucket.list(prefix).await?,
        };
        keys.sort();
        Ok(keys)
    }

    /// Deletes an object. One that is not there is deleted.
    ///
    /// # Errors
    /// When the target fails.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match &*self.0 {
            Backend::Folder(folder) => folder.delete(key).await,
            Backend::S3(bucket) => bucket.delete(key).await,
        }
    }
}
