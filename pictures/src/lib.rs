//! Product pictures for a sample catalogue, drawn rather than shipped.
//!
//! A picture is a still life: one object of simple solids on a table before a wall, in soft light. Everything follows
//! from the object's kind and a number, by additions, multiplications, divisions and square roots alone, so that the
//! same kind and number give the same pixels everywhere.
//!
//! It is a crate of its own so that it is optimised also where the rest is not: a demo waits for its pictures.

mod objects;
mod paint;

pub use objects::Kind;

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, RgbImage};

use self::paint::{Canvas, Colour};

/// Side of a full picture in pixels.
pub const SIDE: u16 = 800;

/// Quality of the JPEG: high enough that smooth walls show no steps.
const JPEG_QUALITY: u8 = 88;

/// Colours that go together: the wall, the table, the object's main and second colour, and its dark parts.
struct Palette {
    wall: Colour,
    table: Colour,
    main: Colour,
    second: Colour,
    dark: Colour,
}

const fn colour(red: u8, green: u8, blue: u8) -> Colour {
    Colour {
        red: red as f32 / 255.0,
        green: green as f32 / 255.0,
        blue: blue as f32 / 255.0,
    }
}

/// Muted colours as of clay, linen and wood.
const PALETTES: [Palette; 10] = [
    Palette {
        wall: colour(236, 228, 214),
        table: colour(222, 209, 189),
        main: colour(176, 108, 78),
        second: colour(232, 214, 188),
        dark: colour(74, 52, 42),
    },
    Palette {
        wall: colour(219, 226, 222),
        table: colour(201, 212, 206),
        main: colour(92, 122, 108),
        second: colour(226, 219, 200),
        dark: colour(42, 58, 52),
    },
    Palette {
        wall: colour(224, 227, 233),
        table: colour(206, 211, 220),
        main: colour(62, 86, 122),
        second: colour(222, 214, 203),
        dark: colour(34, 42, 60),
    },
    Palette {
        wall: colour(241, 231, 219),
        table: colour(231, 214, 195),
        main: colour(212, 166, 96),
        second: colour(122, 88, 62),
        dark: colour(82, 60, 40),
    },
    Palette {
        wall: colour(238, 226, 222),
        table: colour(226, 208, 202),
        main: colour(190, 122, 116),
        second: colour(238, 224, 210),
        dark: colour(92, 54, 52),
    },
    Palette {
        wall: colour(233, 232, 226),
        table: colour(217, 215, 206),
        main: colour(236, 232, 222),
        second: colour(168, 150, 124),
        dark: colour(64, 60, 54),
    },
    Palette {
        wall: colour(226, 224, 216),
        table: colour(208, 204, 193),
        main: colour(72, 72, 70),
        second: colour(196, 164, 118),
        dark: colour(36, 35, 34),
    },
    Palette {
        wall: colour(229, 230, 216),
        table: colour(213, 214, 195),
        main: colour(138, 144, 92),
        second: colour(234, 226, 198),
        dark: colour(60, 62, 38),
    },
    Palette {
        wall: colour(232, 226, 234),
        table: colour(216, 207, 219),
        main: colour(128, 104, 134),
        second: colour(228, 212, 200),
        dark: colour(58, 46, 64),
    },
    Palette {
        wall: colour(221, 230, 232),
        table: colour(202, 215, 218),
        main: colour(74, 132, 140),
        second: colour(240, 228, 206),
        dark: colour(36, 62, 68),
    },
];

/// Draws an object. The number chooses its colours and varies its shape a little.
#[must_use]
pub fn draw(kind: Kind, number: u64, side: u16) -> RgbImage {
    let variation = Variation::new(kind, number);
    let place = usize::try_from(variation.palette % 10).unwrap_or_default();
    let palette = PALETTES.get(place).unwrap_or(&PALETTES[0]);
    let mut canvas = Canvas::still_life(side, palette.wall, palette.table);
    objects::paint(kind, &mut canvas, palette, &variation);
    canvas.into_image()
}

/// Draws an object as a JPEG of [`SIDE`] pixels.
///
/// # Errors
/// When the encoder fails, which no drawing makes happen.
pub fn jpeg(kind: Kind, number: u64) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    draw(kind, number, SIDE).write_with_encoder(JpegEncoder::new_with_quality(
        Cursor::new(&mut bytes),
        JPEG_QUALITY,
    ))?;
    Ok(bytes)
}

/// What differs between two objects of a kind.
struct Variation {
    palette: u64,
    /// From -1 to 1: slender to wide.
    width: f32,
    /// From -1 to 1: low to tall.
    height: f32,
    /// From 0 to 1: chooses details.
    detail: f32,
}

impl Variation {
    fn new(kind: Kind, number: u64) -> Self {
        let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (kind.number() << 32);
        let mut next = || {
            // SplitMix64 (Steele, Lea and Flood 2014): neighbouring numbers give unlike values.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        let palette = next();
        let mut unit = || f32::from(u16::try_from(next() >> 48).unwrap_or_default()) / 65_535.0;
        Self {
            palette,
            width: unit() * 2.0 - 1.0,
            height: unit() * 2.0 - 1.0,
            detail: unit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_and_a_number_are_one_picture() {
        for kind in Kind::ALL {
            let first = draw(kind, 7, 64);
            assert_eq!(first, draw(kind, 7, 64), "{kind:?}");
            assert_ne!(first, draw(kind, 8, 64), "{kind:?}");
        }
    }

    #[test]
    fn every_kind_looks_different() {
        let mut seen: Vec<RgbImage> = Vec::new();
        for kind in Kind::ALL {
            let picture = draw(kind, 1, 64);
            assert!(!seen.contains(&picture), "{kind:?}");
            seen.push(picture);
        }
    }

    #[test]
    fn a_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("spaceship"), None);
    }

    #[test]
    fn the_jpeg_is_a_jpeg() {
        let picture = draw(Kind::Mug, 1, 96);
        let mut bytes = Vec::new();
        picture
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
            .unwrap();
        let read = image::load_from_memory(&bytes).unwrap();
        assert_eq!((read.width(), read.height()), (96, 96));
    }
}
