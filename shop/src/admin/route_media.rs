//! Routes of pictures.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::run;
use super::fields::{media_type, read_bytes};
use super::token::demand;
use super::upload::{OVERHEAD, file};
use super::{AdminState, Answer};
use crate::media::MediaError;
use crate::media::model::{MAXIMUM_BYTES, MediaHash, MediaInfo, Preset, Refusal};
use crate::media::store::{media_find, media_insert};
use crate::web::error::{ApiError, Code, Problem};

/// How long a picture may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Uploads at the same time: each holds its whole body in memory.
pub(super) const MOST_UPLOADS: usize = 4;

/// A picture that the shop has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StoredPicture {
    /// The SHA-256 of its bytes: what products and categories name it by.
    pub hash: String,
    /// What its bytes say it is.
    pub content_type: &'static str,
    /// Its width as seen, in pixels.
    pub width: u32,
    /// Its height as seen, in pixels.
    pub height: u32,
    /// Its bytes.
    pub size: u64,
    /// The addresses of the sizes that pages show, by their names.
    pub urls: BTreeMap<&'static str, String>,
}

impl From<&MediaInfo> for StoredPicture {
    fn from(info: &MediaInfo) -> Self {
        let url = |preset: &Preset| {
            (
                preset.name(),
                format!("/media/{}/{}", info.hash, preset.name()),
            )
        };
        Self {
            hash: info.hash.to_string(),
            content_type: info.format.content_type(),
            width: info.width,
            height: info.height,
            size: info.size,
            urls: Preset::ALL.iter().map(url).collect(),
        }
    }
}

/// The bytes of an uploaded file.
#[derive(Debug)]
pub struct Uploaded(Bytes);

impl FromRequest for Uploaded {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = media_type(request);
        let is_form = media_type == "multipart/form-data";
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let maximum = MAXIMUM_BYTES + if is_form { OVERHEAD } else { 0 };
        let uploads = request
            .app_data::<web::Data<AdminState>>()
            .map(|state| std::sync::Arc::clone(&state.uploads));
        let body = read_bytes(request, payload, maximum);
        Box::pin(async move {
            if !is_form && !media_type.starts_with("image/") {
                return Err(ApiError::new(Code::UnsupportedMediaType).detail(
                    "send the picture's bytes with `Content-Type: image/jpeg` (or image/png, image/webp), or a form \
                     as multipart/form-data",
                ));
            }
            let _room = uploads
                .and_then(|uploads| uploads.try_acquire_owned().ok())
                .ok_or_else(|| ApiError::new(Code::Overloaded))?;
            let bytes = tokio::time::timeout(ARRIVAL, body).await.map_err(|_| {
                ApiError::new(Code::InvalidBody)
                    .detail(format!("the picture did not arrive within {ARRIVAL:?}"))
            })??;
            let bytes = Bytes::from(bytes);
            if !is_form {
                return Ok(Self(bytes));
            }
            file(&content_type, &bytes)
                .map(Self)
                .map_err(|error| ApiError::new(Code::InvalidBody).detail(error.to_string()))
        })
    }
}

fn refused(error: MediaError) -> ApiError {
    match error {
        MediaError::Refused(refusal @ Refusal::Size { size }) if size > MAXIMUM_BYTES => {
            ApiError::new(Code::TooLarge).detail(refusal.to_string())
        }
        MediaError::Refused(refusal) => {
            ApiError::new(Code::Unprocessable).detail(refusal.to_string())
        }
        MediaError::Busy => ApiError::new(Code::Overloaded),
        error @ (MediaError::Folder { .. } | MediaError::Objects { .. } | MediaError::Aborted) => {
            ApiError::unavailable(error)
        }
    }
}

/// Uploads a picture. The same bytes are one picture: uploading them again answers 200 and changes nothing.
#[utoipa::path(post, path = "/api/v1/admin/media", tag = "staff: media",
    request_body(description = "A picture of at most 20 MiB and 64 megapixels: JPEG, PNG or WebP", content(
        ("image/jpeg"), ("image/png"), ("image/webp"), ("multipart/form-data"))),
    responses((status = 201, body = StoredPicture), (status = 200, body = StoredPicture), (status = "default", body = Problem)),
    security(("staff" = ["write:media"])))]
pub async fn upload(
    staff: Scoped<demand::WriteMedia>,
    state: web::Data<AdminState>,
    picture: Uploaded,
) -> Answer {
    let info = state.media.put(picture.0).await.map_err(refused)?;
    let (info, is_new) = run(&state, staff.actor(), info, |change, info| {
        Box::pin(async move {
            if let Some(known) = media_find(change.connection, &info.hash).await? {
                return Ok((known, false));
            }
            media_insert(change.connection, info).await?;
            // Pictures have hashes instead of numbers.
            let after = StoredPicture::from(info);
            change
                .audit("media.upload", "media", 0, None, Some(&after))
                .await?;
            Ok((info.clone(), true))
        })
    })
    .await?;
    let picture = StoredPicture::from(&info);
    let mut response = if is_new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    let location = format!("/api/v1/admin/media/{}", picture.hash);
    Ok(response
        .insert_header((header::LOCATION, location))
        .json(picture))
}

/// Shows what is known of a picture.
#[utoipa::path(get, path = "/api/v1/admin/media/{hash}", tag = "staff: media", params(("hash" = String, Path)),
    responses((status = 200, body = StoredPicture), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn get(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    hash: web::Path<String>,
) -> Answer {
    let missing = || ApiError::new(Code::NotFound).detail("no picture with this hash was uploaded");
    let hash = MediaHash::parse(&hash).ok_or_else(missing)?;
    let info = state
        .read(move |connection| Box::pin(async move { Ok(media_find(connection, &hash).await?) }))
        .await?
        .ok_or_else(missing)?;
    Ok(HttpResponse::Ok().json(StoredPicture::from(&info)))
}
