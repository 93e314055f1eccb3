//! The statements of `media`.

use sqlx::MySqlConnection;

use super::model::{Format, MediaHash, MediaInfo};

const INSERT: &str = "INSERT INTO media (hash, content_type, width, height, size_bytes) VALUES (?, ?, ?, ?, ?) \
     ON DUPLICATE KEY UPDATE hash = hash";

const SELECT: &str = "SELECT content_type, width, height, size_bytes FROM media WHERE hash = ?";

/// Writes down a stored picture. Writing it down twice changes nothing.
///
/// # Errors
/// What the database answers.
pub async fn media_insert(
    connection: &mut MySqlConnection,
    info: &MediaInfo,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(info.hash.as_str())
        .bind(info.format.content_type())
        .bind(info.width)
        .bind(info.height)
        .bind(i64::try_from(info.size).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// What is known of a picture.
///
/// # Errors
/// What the database answers, or a row that no release of the shop has written.
pub async fn media_find(
    connection: &mut MySqlConnection,
    hash: &MediaHash,
) -> Result<Option<MediaInfo>, sqlx::Error> {
    let row: Option<(String, i32, i32, i64)> = sqlx::query_as(SELECT)
        .bind(hash.as_str())
        .fetch_optional(connection)
        .await?;
    let Some((content_type, width, height, size)) = row else {
        return Ok(None);
    };
    let wrong = |what: &str| sqlx::Error::Decode(format!("media {hash}: {what}").into());
    Ok(Some(MediaInfo {
        hash: hash.clone(),
        format: Format::of_content_type(&content_type)
            .ok_or_else(|| wrong("unknown content type"))?,
        width: u32::try_from(width).map_err(|_| wrong("negative width"))?,
        height: u32::try_from(height).map_err(|_| wrong("negative height"))?,
        size: u64::try_from(size).map_err(|_| wrong("negative size"))?,
    }))
}
