//! Work on pixels: what a file is, and its smaller versions. Blocking.

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};
use sha2::{Digest as _, Sha256};

use super::Picture;
use super::model::{Format, MAXIMUM_BYTES, MAXIMUM_PIXELS, MediaHash, MediaInfo, Preset, Refusal};

/// The memory that one decoder may take: 64 megapixels of four bytes, and room to work.
const DECODER_MEMORY: u64 = 320 * 1024 * 1024;
/// The longest side: one that is a single pixel wide and 64 million high helps nobody.
const LONGEST_SIDE: u32 = 30_000;
/// At 82 a JPEG shows no loss at the size of a page and has about a third of the bytes of 95.
const JPEG_QUALITY: u8 = 82;

/// The format that the first bytes say.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, Refusal> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok(Format::Jpeg),
        Ok(ImageFormat::Png) => Ok(Format::Png),
        Ok(ImageFormat::WebP) => Ok(Format::WebP),
        Ok(_) | Err(_) => Err(Refusal::Format),
    }
}

/// Judges an upload: its size, its format, its pixels, and whether it can be decoded to its end.
pub(super) fn inspect(bytes: &[u8]) -> Result<MediaInfo, Refusal> {
    if bytes.is_empty() || bytes.len() > MAXIMUM_BYTES {
        return Err(Refusal::Size { size: bytes.len() });
    }
    let format = sniff(bytes)?;
    let picture = decode(bytes, format)?;
    Ok(MediaInfo {
        hash: MediaHash::of(&Sha256::digest(bytes)),
        format,
        width: picture.width(),
        height: picture.height(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
    })
}

/// The picture in a preset's size.
pub(super) fn derive(bytes: &[u8], preset: Preset) -> Result<Picture, Refusal> {
    let mut picture = decode(bytes, sniff(bytes)?)?;
    let (width, height) = preset.fit(picture.width(), picture.height());
    if (width, height) != (picture.width(), picture.height()) {
        // A cheap reduction to twice the size first: the good filter's work then does not grow with the original.
        if picture.width() / 4 >= width && picture.height() / 4 >= height {
            picture = picture.thumbnail_exact(width * 2, height * 2);
        }
        picture = picture.resize_exact(width, height, FilterType::Lanczos3);
    }
    let broken = |error: image::ImageError| Refusal::Broken(error.to_string());
    let mut file = Cursor::new(Vec::new());
    let format = if is_transparent(&picture) {
        picture
            .to_rgba8()
            .write_with_encoder(PngEncoder::new(&mut file))
            .map_err(broken)?;
        Format::Png
    } else {
        picture
            .to_rgb8()
            .write_with_encoder(JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY))
            .map_err(broken)?;
        Format::Jpeg
    };
    Ok(Picture {
        bytes: Bytes::from(file.into_inner()),
        format,
    })
}

/// Decodes within the limits, and turns the picture as its camera noted.
fn decode(bytes: &[u8], format: Format) -> Result<DynamicImage, Refusal> {
    let broken = |error: image::ImageError| Refusal::Broken(error.to_string());
    let format = match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::WebP => ImageFormat::WebP,
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAXIMUM_PIXELS || width.max(height) > LONGEST_SIDE {
        return Err(Refusal::Pixels { width, height });
    }
    if decoder.total_bytes() > DECODER_MEMORY {
        return Err(Refusal::Pixels { width, height });
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn is_transparent(picture: &DynamicImage) -> bool {
    picture.color().has_alpha()
        && picture
            .to_rgba8()
            .pixels()
            .any(|pixel| pixel.0.last().is_some_and(|alpha| *alpha < 255))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn opaque(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 90])
        })
        .into()
    }

    #[test]
    fn the_three_formats_are_taken_and_measured() {
        for (kind, format) in [
            (ImageFormat::Jpeg, Format::Jpeg),
            (ImageFormat::Png, Format::Png),
            (ImageFormat::WebP, Format::WebP),
        ] {
            let bytes = encoded(&opaque(40, 30), kind);
            let info = inspect(&bytes).unwrap();
            assert_eq!((info.format, info.width, info.height), (format, 40, 30));
            assert_eq!(info.size, bytes.len() as u64);
        }
    }

    #[test]
    fn opaque_pictures_become_jpeg_and_transparent_ones_png() {
        let table = [
            (opaque(1000, 500), Preset::Card, Format::Jpeg, (400, 200)),
            (opaque(300, 500), Preset::Zoom, Format::Jpeg, (300, 500)),
            (
                RgbaImage::from_pixel(900, 900, Rgba([1, 2, 3, 255])).into(),
                Preset::Thumb,
                Format::Jpeg,
                (96, 96),
            ),
            (
                RgbaImage::from_pixel(900, 300, Rgba([1, 2, 3, 40])).into(),
                Preset::Thumb,
                Format::Png,
                (96, 32),
            ),
        ];
        for (picture, preset, format, size) in table {
            let made = derive(&encoded(&picture, ImageFormat::Png), preset).unwrap();
            assert_eq!(made.format, format);
            let seen = decode(&made.bytes, sniff(&made.bytes).unwrap()).unwrap();
            assert_eq!((seen.width(), seen.height()), size);
        }
    }

    #[test]
    fn what_is_no_picture_is_refused_with_the_reason() {
        let png = encoded(&opaque(64, 64), ImageFormat::Png);
        let half = &png[..png.len() / 2];
        let bomb = {
            // A PNG header that promises 65 535 × 65 535 pixels.
            let mut bytes = png.clone();
            bytes[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
            let checksum = crc(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
            bytes
        };
        assert!(matches!(inspect(&[]), Err(Refusal::Size { size: 0 })));
        assert!(matches!(
            inspect(&vec![0; MAXIMUM_BYTES + 1]),
            Err(Refusal::Size { .. })
        ));
        assert!(matches!(inspect(b"GIF89a and so on"), Err(Refusal::Format)));
        assert!(matches!(
            inspect(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            Err(Refusal::Format)
        ));
        assert!(matches!(inspect(half), Err(Refusal::Broken(_))));
        let refused = inspect(&bomb);
        assert!(
            matches!(
                refused,
                Err(Refusal::Pixels {
                    width: 65_535,
                    height: 65_535
                })
            ),
            "{refused:?}"
        );
    }

    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }
}
