//! What a picture is.

use std::fmt;

use serde::Serialize;

/// The largest file that is taken, in bytes.
pub const MAXIMUM_BYTES: usize = 20 * 1024 * 1024;
/// The largest picture that is taken, in pixels.
pub const MAXIMUM_PIXELS: u64 = 64_000_000;

/// The SHA-256 of an original's bytes, as 64 lower-case hexadecimal digits: its address for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MediaHash(String);

impl MediaHash {
    /// Reads a hash, for example from an address. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    pub(super) fn of(digest: &[u8]) -> Self {
        Self(hex::encode(digest))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the original lies: two levels of folders keep each of them small.
    pub(super) fn key(&self) -> String {
        let part = |from: usize| self.0.get(from..from + 2).unwrap_or_default();
        format!("{}/{}/{}", part(0), part(2), self.0)
    }

    pub(super) fn derived_key(&self, preset: Preset, format: Format) -> String {
        format!(
            "{DERIVED}{}/{}.{}",
            self.0,
            preset.name(),
            format.extension()
        )
    }
}

/// What the keys of derived pictures begin with.
const DERIVED: &str = "derived/";

/// Whether a key is that of a picture that can be made again.
pub(super) fn is_derived(key: &str) -> bool {
    key.starts_with(DERIVED)
}

impl fmt::Display for MediaHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The formats that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/webp`
    WebP,
}

impl Format {
    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }

    /// How file names of this format end.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }

    /// The format of a media type, as stored.
    #[must_use]
    pub fn of_content_type(text: &str) -> Option<Self> {
        [Self::Jpeg, Self::Png, Self::WebP]
            .into_iter()
            .find(|format| format.content_type() == text)
    }
}

/// The sizes that pages show. A picture is scaled to fit into a square of this side, and never enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// 96 pixels: cart lines and choices.
    Thumb,
    /// 400 pixels: listings.
    Card,
    /// 800 pixels: the page of a product.
    Detail,
    /// 1600 pixels: looked at closely.
    Zoom,
}

impl Preset {
    /// All of them, the smallest first.
    pub const ALL: [Self; 4] = [Self::Thumb, Self::Card, Self::Detail, Self::Zoom];

    /// The word in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::Card => "card",
            Self::Detail => "detail",
            Self::Zoom => "zoom",
        }
    }

    /// The side of the square, in pixels.
    #[must_use]
    pub const fn side(self) -> u32 {
        match self {
            Self::Thumb => 96,
            Self::Card => 400,
            Self::Detail => 800,
            Self::Zoom => 1600,
        }
    }

    /// The preset of a word in an address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == text)
    }

    /// The size of a picture of this width and height in this preset, for `width` and `height` in pages.
    #[must_use]
    pub fn fit(self, width: u32, height: u32) -> (u32, u32) {
        let (width, height) = (width.max(1), height.max(1));
        let (side, longest) = (u64::from(self.side()), u64::from(width.max(height)));
        if longest <= side {
            return (width, height);
        }
        let scaled = |length: u32| {
            let rounded = (u64::from(length) * side + longest / 2) / longest;
            u32::try_from(rounded.max(1)).unwrap_or(self.side())
        };
        (scaled(width), scaled(height))
    }
}

/// What is known of a stored original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaInfo {
    /// Its address.
    pub hash: MediaHash,
    /// What its bytes say they are.
    pub format: Format,
    /// Its width as seen, in pixels: after the rotation that a camera may have noted.
    pub width: u32,
    /// Its height as seen, in pixels.
    pub height: u32,
    /// Its bytes.
    pub size: u64,
}

/// Why a picture is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file is empty or too large.
    #[error("the file has {size} bytes; a picture has 1 to {MAXIMUM_BYTES}")]
    Size {
        /// Its bytes.
        size: usize,
    },
    /// The bytes are of no known format.
    #[error("the file is neither JPEG, PNG nor WebP; convert it to one of them")]
    Format,
    /// There are too many pixels.
    #[error("the picture has {width} × {height} pixels; scale it to at most 64 megapixels")]
    Pixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// It begins like a picture and goes on otherwise.
    #[error("the picture is broken and cannot be shown: {0}")]
    Broken(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_fit_and_are_never_enlarged() {
        let table = [
            (Preset::Card, (4000, 3000), (400, 300)),
            (Preset::Card, (300, 200), (300, 200)),
            (Preset::Thumb, (10_000, 10), (96, 1)),
            (Preset::Zoom, (1601, 1600), (1600, 1599)),
            (Preset::Detail, (600, 1200), (400, 800)),
        ];
        for (preset, (width, height), fitted) in table {
            assert_eq!(
                preset.fit(width, height),
                fitted,
                "{preset:?} {width}×{height}"
            );
        }
    }

    #[test]
    fn addresses_hold_hashes_only() {
        let hash = MediaHash::parse(&"0a".repeat(32)).unwrap();
        assert_eq!(hash.key(), format!("0a/0a/{}", "0a".repeat(32)));
        for text in [
            "",
            "../../etc/passwd",
            &"0A".repeat(32),
            &"g".repeat(64),
            &"a".repeat(65),
        ] {
            assert_eq!(MediaHash::parse(text), None, "{text}");
        }
    }
}
