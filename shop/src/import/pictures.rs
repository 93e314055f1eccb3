//! Pictures that lie beside the file: they go into the media store before the products that show them are written.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::db::Db;
use crate::media::MediaStore;
use crate::media::model::MediaInfo;
use crate::media::store::media_insert;

use super::problem::{Problem, ProblemKind};
use super::record::ProductRecord;
use super::run::ImportError;

/// A folder of pictures and the store that they go into.
#[derive(Debug)]
pub struct LocalPictures {
    folder: PathBuf,
    store: MediaStore,
}

impl LocalPictures {
    /// Pictures of a folder.
    ///
    /// # Errors
    /// When it is not a folder.
    pub fn open(folder: &Path, store: &MediaStore) -> Result<Self, ImportError> {
        if folder.is_dir() {
            return Ok(Self {
                folder: folder.to_owned(),
                store: store.clone(),
            });
        }
        Err(ImportError::Argument {
            argument: "media-dir",
            value: folder.display().to_string(),
            message: "there is no such folder",
        })
    }

    /// Stores the pictures that records name by a file, and notes their hashes in the records. Says which ones could not
    /// be taken: the product is imported without them being shown.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take(
        &self,
        records: &mut [ProductRecord],
        db: &Db,
        dry_run: bool,
    ) -> Result<Vec<Problem>, ImportError> {
        let mut notices = Vec::new();
        let mut stored: Vec<MediaInfo> = Vec::new();
        for record in records {
            let (line, slug) = (record.line, record.slug.clone());
            let local = |url: &str| {
                !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://")
            };
            for picture in record
                .media
                .iter_mut()
                .flatten()
                .filter(|picture| picture.hash.is_none() && local(&picture.url))
            {
                match self.one(&picture.url, dry_run).await {
                    Ok(Some(info)) => {
                        picture.hash = Some(info.hash.as_str().to_owned());
                        stored.push(info);
                    }
                    Ok(None) => {}
                    Err(message) => notices.push(
                        Problem::new(
                            line,
                            ProblemKind::BadMedia,
                            message,
                            "put the picture into the folder, or correct its name",
                        )
                        .with_product(&slug)
                        .with_field("image", &picture.url),
                    ),
                }
            }
        }
        if !stored.is_empty() {
            let stored = Arc::new(stored);
            db.transaction(move |connection| {
                let stored = Arc::clone(&stored);
                Box::pin(async move {
                    for info in stored.iter() {
                        media_insert(connection, info).await?;
                    }
                    Ok::<_, ImportError>(())
                })
            })
            .await?;
        }
        Ok(notices)
    }

    /// Stores one picture; a dry run only looks whether it is there.
    async fn one(&self, url: &str, dry_run: bool) -> Result<Option<MediaInfo>, String> {
        let relative = Path::new(url.trim_start_matches('/'));
        // A file must not name what lies outside the folder.
        if !relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err("the name leads out of the folder of pictures".to_owned());
        }
        let path = self.folder.join(relative);
        let known = tokio::fs::metadata(&path)
            .await
            .map_err(|error| format!("cannot read the picture: {error}"))?;
        if !known.is_file() {
            return Err("not a file".to_owned());
        }
        if !usize::try_from(known.len())
            .is_ok_and(|length| length <= crate::media::model::MAXIMUM_BYTES)
        {
            return Err("the picture is too large".to_owned());
        }
        if dry_run {
            return Ok(None);
        }
        let bytes = tokio::fs::read(&path)
            .await
            .map_err(|error| format!("cannot read the picture: {error}"))?;
        self.store
            .put(bytes.into())
            .await
            .map(Some)
            .map_err(|error| error.to_string())
    }
}
