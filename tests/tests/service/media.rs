//! Pictures in a folder and in a bucket.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};
use panono_shop::media::model::{Format, MediaHash, Preset};
use panono_shop::media::store::{media_find, media_insert};
use panono_shop::media::{LocationError, MediaError, MediaStore};
use panono_tests::fake::{FakeService, Reply, Request};
use panono_tests::mysql::TestDatabase;

fn picture(picture: &DynamicImage, format: ImageFormat) -> Bytes {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    Bytes::from(file.into_inner())
}

fn photo() -> Bytes {
    let pixels = RgbImage::from_fn(1200, 900, |x, y| {
        image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 7])
    });
    picture(&pixels.into(), ImageFormat::Jpeg)
}

fn logo() -> Bytes {
    picture(
        &RgbaImage::from_pixel(500, 250, image::Rgba([200, 0, 0, 90])).into(),
        ImageFormat::Png,
    )
}

async fn folder(path: &std::path::Path) -> MediaStore {
    MediaStore::open(&format!("file://{}", path.display()), &BTreeMap::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_folder_keeps_originals_and_makes_sizes_when_asked() -> Result<()> {
    let place = tempfile::tempdir()?;
    let store = folder(place.path()).await;
    let bytes = photo();
    let info = store.put(bytes.clone()).await?;
    assert_eq!(
        (info.width, info.height, info.format),
        (1200, 900, Format::Jpeg)
    );
    assert_eq!(
        store.put(bytes.clone()).await?,
        info,
        "the same bytes are the same picture"
    );
    let hash = info.hash.as_str();
    assert!(
        place
            .path()
            .join(&hash[0..2])
            .join(&hash[2..4])
            .join(hash)
            .is_file()
    );

    let reopened = folder(place.path()).await;
    assert_eq!(reopened.get(&info.hash).await?.unwrap().bytes, bytes);
    for (preset, size) in [
        (Preset::Thumb, (96, 72)),
        (Preset::Card, (400, 300)),
        (Preset::Detail, (800, 600)),
        (Preset::Zoom, (1200, 900)),
    ] {
        let made = reopened.variant(&info.hash, preset).await?.unwrap();
        assert_eq!(made.format, Format::Jpeg);
        let seen = image::load_from_memory(&made.bytes)?;
        assert_eq!((seen.width(), seen.height()), size);
        assert_eq!(preset.fit(info.width, info.height), size);
        let file = place
            .path()
            .join("derived")
            .join(hash)
            .join(format!("{}.jpg", preset.name()));
        assert_eq!(std::fs::read(file)?, made.bytes);
    }
    let logo = store.put(logo()).await?;
    let made = store.variant(&logo.hash, Preset::Thumb).await?.unwrap();
    assert_eq!(made.format, Format::Png);
    assert!(
        std::fs::read_dir(place.path().join("incoming"))?
            .next()
            .is_none(),
        "nothing is left half written"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_no_picture_is_refused() -> Result<()> {
    let place = tempfile::tempdir()?;
    let store = folder(place.path()).await;
    let unknown = MediaHash::parse(&"ab".repeat(32)).unwrap();
    assert_eq!(store.get(&unknown).await?, None);
    assert_eq!(store.variant(&unknown, Preset::Card).await?, None);
    for (bytes, reason) in [
        (
            Bytes::from_static(b"<svg onload=alert(1)>"),
            "neither JPEG, PNG nor WebP",
        ),
        (
            Bytes::from_static(b"GIF89a......"),
            "neither JPEG, PNG nor WebP",
        ),
        (photo().slice(..300), "broken"),
        (Bytes::new(), "0 bytes"),
    ] {
        let error = store.put(bytes).await.unwrap_err();
        assert!(matches!(error, MediaError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn places_that_are_none_are_refused_with_what_to_write() -> Result<()> {
    for text in [
        "",
        "/var/media",
        "http://x/",
        "s3://",
        "s3://bucket?colour=red",
        "file://other-host/x",
    ] {
        let variables = BTreeMap::from([
            ("AWS_ACCESS_KEY_ID".to_owned(), "a".to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), "b".to_owned()),
        ]);
        let error = MediaStore::open(text, &variables).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("write file:///folder or s3://bucket/prefix"),
            "{text}: {error}"
        );
    }
    let error = MediaStore::open("s3://bucket", &BTreeMap::new())
        .await
        .unwrap_err();
    assert!(
        matches!(error, LocationError::Credentials("AWS_ACCESS_KEY_ID")),
        "{error:?}"
    );
    let place = tempfile::tempdir()?;
    std::fs::write(place.path().join("file"), "")?;
    let error = MediaStore::open(
        &format!("file://{}/file/x", place.path().display()),
        &BTreeMap::new(),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("folder for pictures"), "{error}");
    Ok(())
}

/// An object store which keeps what it gets and checks who asks.
struct Objects {
    service: FakeService,
    failing: Arc<AtomicUsize>,
    /// Whether who asks may not list the bucket, and so is not told what is missing.
    hides: Arc<AtomicBool>,
}

impl Objects {
    async fn start() -> Self {
        let kept: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::default();
        let failing = Arc::new(AtomicUsize::new(0));
        let failures = Arc::clone(&failing);
        let hides = Arc::new(AtomicBool::new(false));
        let hidden = Arc::clone(&hides);
        let service = FakeService::start(move |request| {
            if failures
                .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
            {
                return Reply::new(503, "<Error><Code>SlowDown</Code></Error>");
            }
            if !is_signed(request) {
                return Reply::new(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>");
            }
            let path = request.target.split('?').next().unwrap().to_owned();
            let mut kept = kept.lock().unwrap();
            match request.method.as_str() {
                "PUT" => {
                    kept.insert(path, request.body.clone());
                    Reply::new(200, "")
                }
                "GET" => match kept.get(&path) {
                    Some(bytes) => Reply::new(200, bytes.clone()),
                    None if hidden.load(Ordering::SeqCst) => {
                        Reply::new(403, "<Error><Code>AccessDenied</Code></Error>")
                    }
                    None => Reply::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
                },
                _ => Reply::new(405, ""),
            }
        })
        .await;
        Self {
            service,
            failing,
            hides,
        }
    }

    async fn open(&self, secret: &str) -> MediaStore {
        let variables = BTreeMap::from([
            ("AWS_ACCESS_KEY_ID".to_owned(), "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), secret.to_owned()),
        ]);
        let location = format!(
            "s3://pictures/shop/one?region=eu-central-1&endpoint={}",
            self.service.url()
        );
        MediaStore::open(&location, &variables).await.unwrap()
    }
}

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Computes the signature of a presigned request anew, by AWS's documented steps.
fn is_signed(request: &Request) -> bool {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};
    let keyed = |key: &[u8], data: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(data.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let Some((path, query)) = request.target.split_once('?') else {
        return false;
    };
    let mut parts: Vec<&str> = query.split('&').collect();
    parts.sort_unstable();
    let get = |name: &str| {
        parts
            .iter()
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let signed = get("X-Amz-SignedHeaders").replace("%3B", ";");
    let date = get("X-Amz-Date");
    let day = date.get(..8).unwrap_or_default();
    let headers: String = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", request.header(name)))
        .collect();
    let unsigned: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.starts_with("X-Amz-Signature="))
        .collect();
    let canonical = format!(
        "{}\n{path}\n{}\n{headers}\n{signed}\nUNSIGNED-PAYLOAD",
        request.method,
        unsigned.join("&")
    );
    let scope = format!("{day}/eu-central-1/s3/aws4_request");
    let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, "eu-central-1", "s3", "aws4_request"] {
        key = keyed(&key, part);
    }
    let signature = hex::encode(keyed(
        &key,
        &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}"),
    ));
    get("X-Amz-Credential") == format!("AKIDEXAMPLE/{scope}").replace('/', "%2F")
        && get("X-Amz-Signature") == signature
}

#[tokio::test]
async fn a_bucket_keeps_pictures_and_each_size_is_made_once() -> Result<()> {
    let objects = Objects::start().await;
    let store = objects.open(SECRET).await;
    let bytes = photo();
    let info = store.put(bytes.clone()).await?;
    let request = objects.service.requests().pop().unwrap();
    let hash = info.hash.as_str();
    let path = format!("/pictures/shop/one/{}/{}/{hash}", &hash[0..2], &hash[2..4]);
    assert_eq!(
        (
            request.method.as_str(),
            request.target.split('?').next().unwrap()
        ),
        ("PUT", path.as_str())
    );
    assert_eq!(request.header("content-type"), "image/jpeg");
    assert_eq!(request.header("content-length"), bytes.len().to_string());
    assert_eq!(store.get(&info.hash).await?.unwrap().bytes, bytes);

    let many = (0..12).map(|_| store.variant(&info.hash, Preset::Card));
    let made = futures_util::future::try_join_all(many).await?;
    assert!(made.iter().all(|one| one == &made[0]));
    let puts = objects
        .service
        .requests()
        .iter()
        .filter(|one| one.method == "PUT" && one.target.contains("/derived/"))
        .count();
    assert_eq!(puts, 1);

    // Keys that may read and write, and not list, are told of nothing that it is missing.
    objects.hides.store(true, Ordering::SeqCst);
    let made = store.variant(&info.hash, Preset::Thumb).await?;
    assert!(made.is_some());
    let unknown = MediaHash::parse(&"00".repeat(32)).unwrap();
    let error = store.get(&unknown).await.unwrap_err().to_string();
    assert!(error.contains("AccessDenied"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_failing_bucket_is_asked_again_and_a_refusal_is_told() -> Result<()> {
    let objects = Objects::start().await;
    let store = objects.open(SECRET).await;
    objects.failing.store(2, Ordering::SeqCst);
    let info = store.put(photo()).await?;
    objects.failing.store(100, Ordering::SeqCst);
    let error = store.get(&info.hash).await.unwrap_err().to_string();
    assert!(
        error.contains("503") && error.contains("SlowDown"),
        "{error}"
    );
    objects.failing.store(0, Ordering::SeqCst);
    assert!(store.get(&info.hash).await?.is_some());

    let stranger = objects.open("wrong").await;
    objects.service.clear();
    let error = stranger.get(&info.hash).await.unwrap_err().to_string();
    assert!(
        error.contains("SignatureDoesNotMatch") && !error.contains("X-Amz-Signature"),
        "{error}"
    );
    assert_eq!(
        objects.service.requests().len(),
        1,
        "a refusal is not repeated"
    );
    let unknown = MediaHash::parse(&"00".repeat(32)).unwrap();
    assert_eq!(store.variant(&unknown, Preset::Zoom).await?, None);
    Ok(())
}

#[tokio::test]
async fn what_is_known_of_a_picture_is_written_down_once() -> Result<()> {
    let database = TestDatabase::shared().await?;
    database.migrate().await?;
    let mut connection = database.connect().await?;
    let place = tempfile::tempdir()?;
    let info = folder(place.path()).await.put(logo()).await?;
    assert_eq!(media_find(&mut connection, &info.hash).await?, None);
    media_insert(&mut connection, &info).await?;
    media_insert(&mut connection, &info).await?;
    let found = media_find(&mut connection, &info.hash).await?.unwrap();
    assert_eq!(found, info);
    Ok(())
}
