//! One-time passwords by time (TOTP, RFC 6238): what authenticator apps show. And recovery codes, for when the phone is lost.

use qrcode::{EcLevel, QrCode};
use ring::hmac;
use time::OffsetDateTime;

use crate::secret::Keys;

/// Seconds for which a code is shown.
const STEP: i64 = 30;
/// Digits of a code.
const DIGITS: u32 = 6;
/// Bytes of a secret: as long as the hash (RFC 4226, 4, R6).
pub const SECRET_BYTES: usize = 20;
/// Steps before and after the current one that are taken too, for clocks that differ and people who type slowly (RFC 6238, 5.2).
const TOLERANCE: i64 = 1;

/// Recovery codes of one set.
pub const RECOVERY_CODES: usize = 10;
/// Characters of a recovery code: 60 bits, of which each is tried against a throttle.
const RECOVERY_LENGTH: usize = 12;

/// The purpose of the key that secrets are sealed with.
pub const SEALED_FOR: &str = "totp";

/// A secret that was just made.
#[must_use]
pub fn new_secret() -> [u8; SECRET_BYTES] {
    rand::random()
}

/// A code as it is typed: digits, with spaces where people make groups.
#[must_use]
pub fn typed(code: &str) -> Option<u32> {
    let digits: String = code
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    (digits.len() == DIGITS as usize && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The step whose code this is, if it is of now or of a step before or after. Steps up to `last` were used and are refused
/// (RFC 6238, 5.2: a code is accepted once).
#[must_use]
pub fn step_of(secret: &[u8], code: u32, now: OffsetDateTime, last: Option<i64>) -> Option<i64> {
    let current = now.unix_timestamp().div_euclid(STEP);
    (current - TOLERANCE..=current + TOLERANCE)
        .filter(|step| last.is_none_or(|last| *step > last))
        .find(|step| code_at(secret, *step) == code)
}

/// The code of a step: HOTP (RFC 4226, 5.3) with SHA-1, which is what every app does. A step is 30 seconds.
#[must_use]
pub fn code_at(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or_default() & 15);
    let chosen = bytes.get(offset..offset + 4).unwrap_or_default();
    let number = chosen
        .iter()
        .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte))
        & 0x7fff_ffff;
    number % 10_u32.pow(DIGITS)
}

/// A secret as people type it into an app: base 32 (RFC 4648, 6) in groups of four.
#[must_use]
pub fn spelled(secret: &[u8]) -> String {
    let text = base32(secret);
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(" ")
}

fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let index = usize::try_from((buffer >> bits) & 31).unwrap_or_default();
            text.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'A')));
        }
    }
    if bits > 0 {
        let index = usize::try_from((buffer << (5 - bits)) & 31).unwrap_or_default();
        text.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'A')));
    }
    text
}

/// The address that apps read from a QR code (the Key URI format of Google Authenticator).
#[must_use]
pub fn uri(secret: &[u8], shop: &str, account: &str) -> String {
    let escape = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    format!(
        "otpauth://totp/{}:{}?secret={}&issuer={}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
        escape(shop),
        escape(account),
        base32(secret),
        escape(shop)
    )
}

/// A QR code as an SVG picture of one path, without a size of its own and with the quiet zone that readers need. Empty when the
/// text is too long for any QR code.
#[must_use]
pub fn qr_code(text: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return String::new();
    };
    let width = code.width();
    let mut path = String::new();
    for (row, modules) in code.to_colors().chunks(width).enumerate() {
        for (column, module) in modules.iter().enumerate() {
            if *module == qrcode::Color::Dark {
                path.push_str(&format!("M{} {}h1v1h-1z", column + 4, row + 4));
            }
        }
    }
    let side = width + 8;
    format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" \
         d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

/// A set of recovery codes, as they are shown once: three groups of four of the characters of [`crate::web::private::PublicId`].
#[must_use]
pub fn recovery_codes() -> Vec<String> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let id = crate::web::private::PublicId::random().to_string();
            let letters: Vec<char> = id.chars().take(RECOVERY_LENGTH).collect();
            let groups: Vec<String> = letters
                .chunks(4)
                .map(|group| group.iter().collect())
                .collect();
            groups.join("-")
        })
        .collect()
}

/// What is kept of a recovery code: a keyed hash, as 64 hexadecimal digits. `None` when the text cannot be a code.
#[must_use]
pub fn recovery_hash(keys: &Keys, customer: i64, code: &str) -> Option<String> {
    let letters: String = code
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-')
        .map(|letter| match letter.to_ascii_lowercase() {
            // Crockford's base 32 reads what looks the same as the same.
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect();
    let is_code = letters.len() == RECOVERY_LENGTH
        && letters
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    is_code.then(|| {
        let subject = format!("{customer}:{letters}");
        hex::encode(keys.keyed_hash("recovery", subject.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, for SHA-1: of eight digits the last six.
    const VECTORS: [(i64, u32); 6] = [
        (59, 287_082),
        (1_111_111_109, 81_804),
        (1_111_111_111, 50_471),
        (1_234_567_890, 5_924),
        (2_000_000_000, 279_037),
        (20_000_000_000, 353_130),
    ];
    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, code) in VECTORS {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            assert_eq!(
                step_of(SECRET, code, now, None),
                Some(seconds / 30),
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_code_is_taken_once_and_only_around_its_time() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let code = 287_082;
        let step = step_of(SECRET, code, at(59), None).unwrap();
        assert_eq!(step_of(SECRET, code, at(59), Some(step)), None);
        assert_eq!(step_of(SECRET, code, at(59 + 30), None), Some(step));
        assert_eq!(step_of(SECRET, code, at(59 + 90), None), None);
        assert_eq!(step_of(SECRET, code, at(59 - 60), None), None);
        assert_eq!(step_of(SECRET, code + 1, at(59), None), None);
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert_eq!(typed(" 081 804 "), Some(81_804));
        for text in ["", "12345", "1234567", "12345a", "-12345"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }

    #[test]
    fn apps_get_an_address_and_a_picture() {
        let uri = uri(SECRET, "Tea & Co", "ada@shop.example");
        assert!(uri.starts_with("otpauth://totp/Tea%20%26%20Co:ada%40shop%2Eexample?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&"));
        assert_eq!(spelled(b"12345"), "GEZD GNBV");
        let picture = qr_code(&uri);
        assert!(picture.starts_with("<svg") && picture.contains("M4 4h1v1h-1z"));
    }

    #[test]
    fn recovery_codes_are_found_however_they_are_typed_and_are_their_owners() {
        let keys = Keys::parse(&"0123456789abcdef".repeat(4)).unwrap();
        let codes = recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let code = codes.first().unwrap();
        let hash = recovery_hash(&keys, 1, code).unwrap();
        assert_eq!(hash.len(), 64);
        let typed = code.to_uppercase().replace('-', " ").replace('0', "O");
        assert_eq!(recovery_hash(&keys, 1, &typed), Some(hash.clone()));
        assert_ne!(recovery_hash(&keys, 2, code), Some(hash));
        for text in ["", "1234-1234", "1234-1234-123é"] {
            assert_eq!(recovery_hash(&keys, 1, text), None, "{text}");
        }
    }
}
