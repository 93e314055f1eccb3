//! Secrets that may be mounted files.

use std::fmt;
use std::path::PathBuf;

/// A secret given directly, or the path of a file that holds it. A file is read at each use, so that a rotated secret
/// works without a restart.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Value(String),
    /// A file that holds it; white space at its end does not count.
    File(PathBuf),
}

impl Secret {
    /// The secret now.
    ///
    /// # Errors
    /// When its file cannot be read, or it is empty.
    pub fn read(&self) -> Result<String, SecretError> {
        let text = match self {
            Self::Value(text) => text.clone(),
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|source| SecretError::Read {
                    path: path.clone(),
                    source,
                })?
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("Value(…)"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is not there or not readable.
    #[error("failed to read the secret file {path:?}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("the secret is empty")]
    Empty,
}
