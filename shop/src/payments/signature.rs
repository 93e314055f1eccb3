//! Signatures of messages in the form `t=<seconds since 1970>,v1=<signature>[,v1=…]` over `<seconds>.<body>`: that of Stripe's
//! webhooks, and ours for carriers and the test provider.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;

use super::provider::Forged;

/// How far the clocks of sender and receiver may be apart, delivery included, in seconds: what Stripe's own libraries take.
const TOLERANCE: u64 = 300;
/// Signatures looked at in one header; a sender that rotates its secret sends two.
const MOST_SIGNATURES: usize = 8;

/// A header that was taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts<'h> {
    /// When it was signed, in seconds since 1970.
    pub timestamp: i64,
    /// The signatures of the current scheme.
    pub signatures: Vec<&'h str>,
}

/// Takes a header apart. Schemes that are not known are passed over, so that nobody can choose a weaker one.
#[must_use]
pub fn parse(header: &str) -> Option<Parts<'_>> {
    let mut timestamp = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => timestamp = Some(value.parse().ok()?),
            Some(("v1", value)) if signatures.len() < MOST_SIGNATURES => signatures.push(value),
            _ => {}
        }
    }
    Some(Parts {
        timestamp: timestamp?,
        signatures,
    })
    .filter(|parts| !parts.signatures.is_empty())
}

/// What is signed.
#[must_use]
pub fn signed_bytes(timestamp: i64, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{timestamp}.").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Whether a message is of now.
#[must_use]
pub fn is_fresh(timestamp: i64, now: OffsetDateTime) -> bool {
    now.unix_timestamp().abs_diff(timestamp) <= TOLERANCE
}

/// The header for a body, signed with HMAC-SHA-256 and a secret.
#[must_use]
pub fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(&signed_bytes(timestamp, body));
        hex::encode(mac.finalize().into_bytes())
    });
    // HMAC takes keys of any length.
    format!("t={timestamp},v1={}", tag.unwrap_or_default())
}

/// Checks a header against secrets, of which any may fit: while a secret is exchanged, two are good.
///
/// # Errors
/// See [`Forged`].
pub fn verify<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    header: &str,
    body: &[u8],
    now: OffsetDateTime,
) -> Result<(), Forged> {
    let parts = parse(header).ok_or(Forged::Unsigned)?;
    let signed = signed_bytes(parts.timestamp, body);
    let tags: Vec<Vec<u8>> = parts
        .signatures
        .iter()
        .filter_map(|signature| hex::decode(signature).ok())
        .collect();
    let mut any = false;
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        any = true;
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
            continue;
        };
        mac.update(&signed);
        if tags.iter().any(|tag| mac.clone().verify_slice(tag).is_ok()) {
            return if is_fresh(parts.timestamp, now) {
                Ok(())
            } else {
                Err(Forged::Stale)
            };
        }
    }
    Err(if any { Forged::Wrong } else { Forged::NoSecret })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test";
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn check(secrets: &[&str], header: &str, body: &[u8]) -> Result<(), Forged> {
        verify(secrets.iter().copied(), header, body, now())
    }

    #[test]
    fn a_signature_fits_its_body_its_secret_and_its_time() {
        let good = sign(SECRET, now().unix_timestamp(), BODY);
        assert_eq!(check(&[SECRET], &good, BODY), Ok(()));
        assert_eq!(check(&["whsec_new", SECRET], &good, BODY), Ok(()));
        assert_eq!(check(&["whsec_new"], &good, BODY), Err(Forged::Wrong));
        assert_eq!(check(&[SECRET], &good, b"{}"), Err(Forged::Wrong));
        assert_eq!(check(&[], &good, BODY), Err(Forged::NoSecret));
        assert_eq!(check(&[""], &good, BODY), Err(Forged::NoSecret));
    }

    #[test]
    fn a_replayed_signature_is_stale_after_five_minutes() {
        let at = |offset: i64| sign(SECRET, now().unix_timestamp() + offset, BODY);
        assert_eq!(check(&[SECRET], &at(-300), BODY), Ok(()));
        assert_eq!(check(&[SECRET], &at(-301), BODY), Err(Forged::Stale));
        assert_eq!(check(&[SECRET], &at(301), BODY), Err(Forged::Stale));
    }

    #[test]
    fn what_is_not_a_signature_is_none() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v0=00"] {
            assert_eq!(
                check(&[SECRET], header, BODY),
                Err(Forged::Unsigned),
                "{header}"
            );
        }
        let time = now().unix_timestamp();
        assert_eq!(
            check(&[SECRET], &format!("t={time},v1=zz"), BODY),
            Err(Forged::Wrong)
        );
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let good = sign(SECRET, now().unix_timestamp(), BODY);
        let (time, tag) = good.split_once(',').unwrap();
        assert_eq!(
            check(
                &[SECRET],
                &format!("{time},v1={},{tag}", "0".repeat(64)),
                BODY
            ),
            Ok(())
        );
    }
}
