//! The request header.

use actix_web::HttpRequest;

use crate::web::error::{ApiError, Code};

/// Longest key.
const LONGEST: usize = 255;

/// Reads the `Idempotency-Key` of a request.
///
/// # Errors
/// 400 when it is missing, repeated, empty, too long, or not of visible ASCII characters.
pub fn key_of(request: &HttpRequest) -> Result<String, ApiError> {
    let mut values = request.headers().get_all("idempotency-key");
    match (values.next(), values.next()) {
        (None, _) => Err(ApiError::new(Code::IdempotencyKeyMissing).detail(
            "send `Idempotency-Key: \"…\"` with a value that is new for each attempt to buy, such as a UUID, and the same in each repetition",
        )),
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(parse)
            .ok_or_else(|| invalid("must be 1 to 255 visible ASCII characters, in double quotes")),
        (Some(_), Some(_)) => Err(invalid("must be sent once")),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(Code::InvalidRequest).field("Idempotency-Key", message)
}

/// A string of RFC 9651 (in quotes, `\` before `"` and `\`), or, as most clients send it, the bare characters.
fn parse(value: &str) -> Option<String> {
    let value = value.trim();
    let key = match value.strip_prefix('"') {
        None => value.to_owned(),
        Some(rest) => {
            let inner = rest.strip_suffix('"')?;
            let mut key = String::with_capacity(inner.len());
            let mut characters = inner.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\\' => key.push(
                        characters
                            .next()
                            .filter(|next| matches!(next, '"' | '\\'))?,
                    ),
                    '"' => return None,
                    other => key.push(other),
                }
            }
            key
        }
    };
    let fits =
        (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    fits.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_quoted_or_bare() {
        let table = [
            ("\"8e03978e-40d5\"", Some("8e03978e-40d5")),
            ("8e03978e-40d5", Some("8e03978e-40d5")),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            ("\"\"", None),
            ("", None),
            ("\"open", None),
            (r#""a"b""#, None),
            (r#""a\nb""#, None),
            ("two words", None),
        ];
        for (value, key) in table {
            assert_eq!(parse(value).as_deref(), key, "{value}");
        }
        assert!(parse(&"x".repeat(255)).is_some() && parse(&"x".repeat(256)).is_none());
    }
}
