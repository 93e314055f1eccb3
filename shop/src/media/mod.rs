//! Pictures: originals by the hash of their bytes, and the sizes that pages show, made when first asked for.
//!
//! A store is a folder or a bucket. What it holds never changes: an original lies at `ab/cd/{hash}`, a derived picture at
//! `derived/{hash}/{preset}.{jpg,png}`.

mod folder;
pub mod model;
mod resize;
mod s3;
pub mod store;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use url::Url;

use crate::outbound::secret::Secret;
use crate::outbound::sigv4::AwsCredentials;
use folder::Folder;
use model::{Format, MediaHash, MediaInfo, Preset, Refusal};
use s3::S3;

/// How many pictures are decoded at once: each may need 300 MiB.
const DECODERS: usize = 2;
/// How long a request waits for a decoder.
const DECODER_WAIT: Duration = Duration::from_secs(20);

/// Why a picture cannot be stored or had.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The picture is not one that the shop takes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many pictures are being worked on.
    #[error("too many pictures are being scaled at the moment; try again later")]
    Busy,
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
    /// The object store failed.
    #[error("the object store failed to {action} {key:?}: {detail}")]
    Objects {
        /// What was tried.
        action: &'static str,
        /// On which object.
        key: String,
        /// What it answered.
        detail: String,
    },
    /// The work ended without an answer.
    #[error("scaling the picture was aborted")]
    Aborted,
}

/// A location that is none, or that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// The text is not understood.
    #[error(
        "{0:?} is not a place for pictures; write file:///folder or s3://bucket/prefix?region=…&endpoint=https://…"
    )]
    Syntax(String),
    /// A bucket needs keys.
    #[error("{0} is not set, and a bucket needs it")]
    Credentials(&'static str),
    /// The HTTP client failed.
    #[error(transparent)]
    Client(#[from] crate::outbound::ClientError),
    /// The folder cannot be used.
    #[error("failed to use the folder for pictures: {0}")]
    Folder(#[from] MediaError),
}

/// A picture as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Bytes,
    /// What it is.
    pub format: Format,
}

#[derive(Debug)]
enum Backend {
    Folder(Folder),
    S3(Box<S3>),
}

impl Backend {
    async fn read(&self, key: &str) -> Result<Option<Bytes>, MediaError> {
        match self {
            Self::Folder(folder) => folder.read(key).await,
            Self::S3(bucket) => bucket.read(key).await,
        }
    }

    async fn write(&self, key: &str, bytes: Bytes, format: Format) -> Result<(), MediaError> {
        match self {
            Self::Folder(folder) => folder.write(key, bytes).await,
            Self::S3(bucket) => bucket.write(key, bytes, format).await,
        }
    }
}

/// One lock for each derived picture that is being made.
type Flights = Mutex<HashMap<(MediaHash, Preset), Arc<tokio::sync::Mutex<()>>>>;

/// Somebody who waits for a derived picture or makes it, until he goes away, with the picture or without.
struct Flight<'a> {
    flights: &'a Flights,
    key: (MediaHash, Preset),
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> Flight<'a> {
    fn join(flights: &'a Flights, hash: &MediaHash, preset: Preset) -> Self {
        let key = (hash.clone(), preset);
        let mut under_way = flights.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(under_way.entry(key.clone()).or_default());
        drop(under_way);
        Self { flights, key, lock }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // The last to leave takes the entry away: the map is as large as the number of pictures being made.
        if Arc::strong_count(&self.lock) == 2 {
            under_way.remove(&self.key);
        }
    }
}

/// Where pictures are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MediaStore {
    backend: Arc<Backend>,
    decoders: Arc<Semaphore>,
    flights: Arc<Flights>,
}

impl MediaStore {
    /// Opens a place for pictures: `file:///folder`, or `s3://bucket/prefix?region=eu-central-1&endpoint=https://host`
    /// with keys in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` (or its `_FILE`) and `AWS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// When the text is not understood, keys are missing, or the folder cannot be written.
    pub async fn open(
        location: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, LocationError> {
        let syntax = || LocationError::Syntax(location.to_owned());
        let url = Url::parse(location).map_err(|_| syntax())?;
        let backend = match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| syntax())?;
                Backend::Folder(Folder::open(path).await?)
            }
            "s3" => Backend::S3(Box::new(
                S3::open(&url, credentials(variables)?).ok_or_else(syntax)??,
            )),
            _ => return Err(syntax()),
        };
        Ok(Self {
            backend: Arc::new(backend),
            decoders: Arc::new(Semaphore::new(DECODERS)),
            flights: Arc::default(),
        })
    }

    /// Stores a picture. The same bytes are stored once.
    ///
    /// # Errors
    /// When it is larger than 20 MiB or 64 megapixels, broken, or neither JPEG, PNG nor WebP; or when the store fails.
    pub async fn put(&self, bytes: Bytes) -> Result<MediaInfo, MediaError> {
        let (info, bytes) = self
            .decoding(move || Ok((resize::inspect(&bytes)?, bytes)))
            .await?;
        self.backend
            .write(&info.hash.key(), bytes, info.format)
            .await?;
        Ok(info)
    }

    /// The original, byte for byte.
    ///
    /// # Errors
    /// When the store fails. A hash that nobody has stored is `None`.
    pub async fn get(&self, hash: &MediaHash) -> Result<Option<Picture>, MediaError> {
        let Some(bytes) = self.backend.read(&hash.key()).await? else {
            return Ok(None);
        };
        let format = resize::sniff(&bytes)?;
        Ok(Some(Picture { bytes, format }))
    }

    /// The picture in one of the sizes that pages show: JPEG, or PNG when it is transparent somewhere. Made when first
    /// asked for, by one request at a time, and kept.
    ///
    /// # Errors
    /// When too many pictures are being worked on, or the store fails. A hash that nobody has stored is `None`.
    pub async fn variant(
        &self,
        hash: &MediaHash,
        preset: Preset,
    ) -> Result<Option<Picture>, MediaError> {
        if let Some(picture) = self.derived(hash, preset).await? {
            return Ok(Some(picture));
        }
        let flight = Flight::join(&self.flights, hash, preset);
        let _alone = flight.lock.lock().await;
        self.derive(hash, preset).await
    }

    async fn derive(
        &self,
        hash: &MediaHash,
        preset: Preset,
    ) -> Result<Option<Picture>, MediaError> {
        if let Some(picture) = self.derived(hash, preset).await? {
            return Ok(Some(picture));
        }
        let Some(original) = self.backend.read(&hash.key()).await? else {
            return Ok(None);
        };
        let picture = self
            .decoding(move || Ok(resize::derive(&original, preset)?))
            .await?;
        self.backend
            .write(
                &hash.derived_key(preset, picture.format),
                picture.bytes.clone(),
                picture.format,
            )
            .await?;
        Ok(Some(picture))
    }

    async fn derived(
        &self,
        hash: &MediaHash,
        preset: Preset,
    ) -> Result<Option<Picture>, MediaError> {
        for format in [Format::Jpeg, Format::Png] {
            if let Some(bytes) = self.backend.read(&hash.derived_key(preset, format)).await? {
                return Ok(Some(Picture { bytes, format }));
            }
        }
        Ok(None)
    }

    /// Runs work on pixels on the blocking pool, a bounded number at once.
    async fn decoding<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
    ) -> Result<T, MediaError> {
        let permit = tokio::time::timeout(DECODER_WAIT, Arc::clone(&self.decoders).acquire_owned())
            .await
            .map_err(|_| MediaError::Busy)?
            .map_err(|_| MediaError::Aborted)?;
        tokio::task::spawn_blocking(move || {
            // Given back when the work ends, not when the request goes away.
            let _permit = permit;
            work()
        })
        .await
        .map_err(|_| MediaError::Aborted)?
    }
}

fn credentials(variables: &BTreeMap<String, String>) -> Result<AwsCredentials, LocationError> {
    let get = |name: &'static str| variables.get(name).filter(|value| !value.trim().is_empty());
    let value = |name: &'static str| get(name).cloned().map(Secret::Value);
    let file = |name: &'static str| get(name).map(|path| Secret::File(PathBuf::from(path)));
    Ok(AwsCredentials {
        access_key: value("AWS_ACCESS_KEY_ID")
            .ok_or(LocationError::Credentials("AWS_ACCESS_KEY_ID"))?,
        secret_key: value("AWS_SECRET_ACCESS_KEY")
            .or_else(|| file("AWS_SECRET_ACCESS_KEY_FILE"))
            .ok_or(LocationError::Credentials("AWS_SECRET_ACCESS_KEY"))?,
        session_token: value("AWS_SESSION_TOKEN"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stops_waiting_for_a_picture_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let location = format!("file://{}", place.path().display());
        let store = MediaStore::open(&location, &BTreeMap::new()).await.unwrap();
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::DynamicImage::new_rgb8(4, 4)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        let info = store.put(bytes.into_inner().into()).await.unwrap();
        let under_way = || store.flights.lock().unwrap().len();

        let decoders = u32::try_from(DECODERS).unwrap();
        let _all = store.decoders.acquire_many(decoders).await.unwrap();
        let (asked, hash) = (store.clone(), info.hash.clone());
        let waiting = tokio::spawn(async move { asked.variant(&hash, Preset::Card).await });
        while under_way() == 0 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(under_way(), 0);
    }
}
