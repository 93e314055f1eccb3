//! Amounts as Stripe counts them, which differs from ISO 4217 for a few currencies (Stripe, "Supported currencies", on
//! zero-decimal currencies and special cases).

use crate::catalog::model::{Currency, Money};

/// Currencies that Stripe counts in whole units and ISO 4217 in hundredths.
const WHOLE_AT_STRIPE: [&str; 1] = ["MGA"];
/// Currencies that Stripe counts in hundredths, which must be whole, and ISO 4217 in whole units.
const HUNDREDTHS_AT_STRIPE: [&str; 2] = ["ISK", "UGX"];

/// An amount that cannot be said to Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Stripe takes amounts of this currency in larger steps only")]
pub struct Inexpressible;

/// The amount in Stripe's unit.
///
/// # Errors
/// Stripe takes currencies of three decimals in steps of ten, and some others in whole units only.
pub fn to_stripe(money: Money) -> Result<i64, Inexpressible> {
    let code = money.currency;
    let code = code.as_str();
    let minor = money.minor;
    if WHOLE_AT_STRIPE.contains(&code) {
        return (minor % 100 == 0)
            .then_some(minor / 100)
            .ok_or(Inexpressible);
    }
    if HUNDREDTHS_AT_STRIPE.contains(&code) {
        return minor.checked_mul(100).ok_or(Inexpressible);
    }
    if money.currency.exponent() == 3 && minor % 10 != 0 {
        return Err(Inexpressible);
    }
    Ok(minor)
}

/// The amount in minor units of ISO 4217.
#[must_use]
pub fn from_stripe(amount: i64, currency: Currency) -> i64 {
    let code = currency.as_str();
    if WHOLE_AT_STRIPE.contains(&code) {
        amount.saturating_mul(100)
    } else if HUNDREDTHS_AT_STRIPE.contains(&code) {
        amount / 100
    } else {
        amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, code.parse().unwrap())
    }

    #[test]
    fn amounts_are_said_in_stripes_unit_and_read_back() {
        for (minor, code, stripe) in [
            (1299, "EUR", 1299),
            (1299, "JPY", 1299),
            (500, "ISK", 50_000),
            (500, "UGX", 50_000),
            (12_300, "MGA", 123),
            (1_230, "KWD", 1_230),
        ] {
            let amount = money(minor, code);
            assert_eq!(to_stripe(amount), Ok(stripe), "{code}");
            assert_eq!(from_stripe(stripe, amount.currency), minor, "{code}");
        }
    }

    #[test]
    fn steps_that_stripe_does_not_take_are_refused() {
        assert_eq!(to_stripe(money(1_234, "KWD")), Err(Inexpressible));
        assert_eq!(to_stripe(money(1_234, "MGA")), Err(Inexpressible));
    }
}
