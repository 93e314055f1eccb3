//! Content codings: which one a client takes, and the bytes of it.

use std::io::Write;

use bytes::Bytes;

/// A content coding that this program makes (RFC 9110, 8.4.1; zstd: RFC 8878; br: RFC 7932).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// None.
    Identity,
    /// gzip
    Gzip,
    /// br
    Brotli,
    /// zstd
    Zstd,
}

/// Bodies below this are not worth a coding: a header and a dictionary cost more than they save.
const MINIMUM_LENGTH: usize = 256;

impl Encoding {
    /// The token of `Content-Encoding`, if one is needed.
    #[must_use]
    pub const fn token(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Chooses by `Accept-Encoding` (RFC 9110, 12.5.3): the coding of the highest weight, and among equals br, zstd, gzip.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        let mut weights: [Option<f32>; 3] = [None; 3];
        let mut any = None;
        for item in accept.split(',').take(16) {
            let mut parts = item.split(';');
            let coding = parts.next().unwrap_or_default().trim();
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok())
                .filter(|weight| (0.0..=1.0).contains(weight))
                .unwrap_or(0.0);
            let [brotli, zstd, gzip] = &mut weights;
            match coding {
                "br" => *brotli = Some(weight),
                "zstd" => *zstd = Some(weight),
                "gzip" | "x-gzip" => *gzip = Some(weight),
                "*" => any = Some(weight),
                _ => {}
            }
        }
        let mut best = (Self::Identity, 0.0);
        for (coding, weight) in [Self::Brotli, Self::Zstd, Self::Gzip]
            .into_iter()
            .zip(weights)
        {
            let weight = weight.or(any).unwrap_or(0.0);
            if weight > best.1 {
                best = (coding, weight);
            }
        }
        best.0
    }
}

/// Whether bodies of a type become smaller by coding.
#[must_use]
pub fn is_compressible(content_type: &str) -> bool {
    content_type.starts_with("text/")
        || content_type.starts_with("application/json")
        || content_type.starts_with("application/problem+json")
        || content_type.starts_with("application/xml")
        || content_type.starts_with("image/svg+xml")
}

/// The coded body, or nothing where it would not be smaller.
#[must_use]
pub fn encode(body: &Bytes, content_type: &str, encoding: Encoding) -> Option<Bytes> {
    if body.len() < MINIMUM_LENGTH || !is_compressible(content_type) {
        return None;
    }
    let coded = match encoding {
        Encoding::Identity => return None,
        Encoding::Gzip => gzip(body),
        Encoding::Brotli => brotli_bytes(body),
        // Writing to memory does not fail.
        Encoding::Zstd => zstd::bulk::compress(body, 6).ok()?,
    };
    (coded.len() < body.len()).then(|| Bytes::copy_from_slice(&coded))
}

/// The body of which [`Encoding::Zstd`] made `packed`, of that length.
///
/// # Errors
/// When it is not so.
pub fn unpack(packed: &[u8], length: usize) -> std::io::Result<Bytes> {
    zstd::bulk::decompress(packed, length).map(Bytes::from)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(
        Vec::with_capacity(body.len() / 3),
        flate2::Compression::new(6),
    );
    // Writing to memory does not fail.
    let _ = writer.write_all(body);
    writer.finish().unwrap_or_else(|_| body.to_vec())
}

fn brotli_bytes(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::with_capacity(body.len() / 3);
    {
        // Quality 5 with a window of 256 KiB: within a few percent of the best, at a twentieth of its time.
        let mut writer = brotli::CompressorWriter::new(&mut coded, 16 * 1024, 5, 18);
        let _ = writer.write_all(body);
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_clients_weights_decide() {
        for (accept, expected) in [
            ("", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("gzip, deflate, br, zstd", Encoding::Brotli),
            ("gzip;q=1.0, br;q=0.5", Encoding::Gzip),
            ("br;q=0, *", Encoding::Zstd),
            ("*;q=0", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("zstd", Encoding::Zstd),
            ("br;q=oops, gzip;q=0.1", Encoding::Gzip),
            ("br;q=7", Encoding::Identity),
        ] {
            assert_eq!(Encoding::negotiate(accept), expected, "{accept}");
        }
    }

    #[test]
    fn each_coding_decodes_to_the_body() {
        let body = Bytes::from("the same words again and again. ".repeat(100));
        let gzip = encode(&body, "text/html; charset=utf-8", Encoding::Gzip).expect("smaller");
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..])
            .read_to_end(&mut plain)
            .expect("gzip");
        assert_eq!(plain, body);
        let br = encode(&body, "text/html; charset=utf-8", Encoding::Brotli).expect("smaller");
        let mut plain = Vec::new();
        brotli::Decompressor::new(&br[..], 4096)
            .read_to_end(&mut plain)
            .expect("br");
        assert_eq!(plain, body);
        let zst = encode(&body, "text/html; charset=utf-8", Encoding::Zstd).expect("smaller");
        assert_eq!(
            zstd::bulk::decompress(&zst, body.len()).expect("zstd"),
            body
        );
    }

    #[test]
    fn pictures_and_crumbs_are_left_alone() {
        assert_eq!(
            encode(&Bytes::from(vec![0; 1000]), "image/jpeg", Encoding::Gzip),
            None
        );
        assert_eq!(
            encode(&Bytes::from("short"), "text/html", Encoding::Brotli),
            None
        );
    }
}
