//! Sizes as people write them.

/// Bytes of `512KiB`, `32MiB`, `1GiB`, or of a plain number.
///
/// # Errors
/// What forms there are, when the text has none of them.
pub fn parse(text: &str) -> Result<u64, String> {
    let split = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => 0,
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|_| factor > 0)
        .ok_or_else(|| format!("{text:?} is not a size such as 512KiB, 32MiB or 1GiB"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_are_binary_and_bounded() {
        assert_eq!(parse("32MiB"), Ok(32 << 20));
        assert_eq!(parse("512 KiB"), Ok(512 << 10));
        assert_eq!(parse("7"), Ok(7));
        for wrong in ["", "MiB", "32MB", "-1", "99999999999999999999GiB", "1.5GiB"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
