//! Amounts of money as a shopper sees them.
//!
//! What an amount is, the catalogue says ([`crate::catalog::model`]); this module only writes and reads it.

use super::i18n::Locale;

pub use crate::catalog::model::{Currency, Money};

impl Currency {
    /// Minor units in one major unit: 100 for the euro, 1 for the yen.
    const fn minor_units_per_major(self) -> i64 {
        10_i64.pow(self.exponent())
    }

    /// The symbol a reader of `locale` expects before an amount; a code stands for a currency without a symbol of its
    /// own there and is set apart by a no-break space (Unicode CLDR, `currencies`).
    const fn symbol(self, locale: Locale) -> Option<&'static str> {
        match (self.as_str().as_bytes(), locale) {
            (b"EUR", _) => Some("€"),
            (b"GBP", _) => Some("£"),
            (b"USD", Locale::En) => Some("$"),
            (b"USD", Locale::ZhCn) => Some("US$"),
            (b"CNY", Locale::En) => Some("CN¥"),
            (b"CNY", Locale::ZhCn) | (b"JPY", Locale::En) => Some("¥"),
            (b"JPY", Locale::ZhCn) => Some("JP¥"),
            (b"AUD", Locale::En) => Some("A$"),
            (b"AUD", Locale::ZhCn) => Some("AU$"),
            (b"CAD", _) => Some("CA$"),
            (b"NZD", _) => Some("NZ$"),
            (b"HKD", _) => Some("HK$"),
            (b"TWD", _) => Some("NT$"),
            (b"MXN", _) => Some("MX$"),
            (b"BRL", _) => Some("R$"),
            (b"INR", _) => Some("₹"),
            (b"ILS", _) => Some("₪"),
            (b"KRW", Locale::En) => Some("₩"),
            (b"KRW", Locale::ZhCn) => Some("￦"),
            (b"VND", _) => Some("₫"),
            (b"PHP", _) => Some("₱"),
            _ => None,
        }
    }
}

impl Money {
    /// The amount as a shopper of `locale` reads it: `€1,234.50`, `CN¥20.00`, `CHF 9.90`.
    #[must_use]
    pub fn format(self, locale: Locale) -> String {
        let sign = if self.minor < 0 { "−" } else { "" };
        let (major, minor) = self.split();
        let mut text = String::from(sign);
        match self.currency.symbol(locale) {
            Some(symbol) => text.push_str(symbol),
            None => {
                text.push_str(self.currency.as_str());
                text.push('\u{a0}');
            }
        }
        text.push_str(&group_thousands(major));
        if self.currency.exponent() > 0 {
            text.push('.');
            text.push_str(&self.pad_minor(minor));
        }
        text
    }

    /// The amount as a plain decimal with every decimal of its currency: `1234.50`. This is what schema.org and Open
    /// Graph ask for.
    #[must_use]
    pub fn decimal(self) -> String {
        let sign = if self.minor < 0 { "-" } else { "" };
        let (major, minor) = self.split();
        if self.currency.exponent() == 0 {
            return format!("{sign}{major}");
        }
        format!("{sign}{major}.{}", self.pad_minor(minor))
    }

    /// The shortest of the spellings a URL may carry: `20` for twenty euros, `19.90` with its decimals otherwise.
    #[must_use]
    pub fn url_decimal(self) -> String {
        let (major, minor) = self.split();
        if minor == 0 && self.minor >= 0 {
            major.to_string()
        } else {
            self.decimal()
        }
    }

    /// Reads a decimal of major units as people write it in a form: digits with at most as many decimals as the currency
    /// has. No sign, no grouping, no exponent.
    ///
    /// # Errors
    /// Says what is wrong with the text, for the shopper.
    pub fn parse_decimal(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let (major, minor) = text.split_once('.').unwrap_or((text, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if major.is_empty() || !digits_only(major) || !digits_only(minor) || text.ends_with('.') {
            return Err(AmountError::NotDecimal);
        }
        let decimals = usize::try_from(currency.exponent()).unwrap_or(0);
        if minor.len() > decimals {
            return Err(AmountError::TooManyDecimals {
                allowed: currency.exponent(),
            });
        }
        let mut scaled = String::from(major);
        scaled.push_str(minor);
        for _ in minor.len()..decimals {
            scaled.push('0');
        }
        let minor = scaled.parse::<i64>().map_err(|_| AmountError::TooLarge)?;
        if minor > LARGEST_AMOUNT_MINOR {
            return Err(AmountError::TooLarge);
        }
        Ok(Self { minor, currency })
    }

    fn split(self) -> (u64, u64) {
        let unit = self.currency.minor_units_per_major().unsigned_abs();
        let amount = self.minor.unsigned_abs();
        (amount / unit, amount % unit)
    }

    fn pad_minor(self, minor: u64) -> String {
        format!(
            "{minor:0width$}",
            width = usize::try_from(self.currency.exponent()).unwrap_or(0)
        )
    }
}

/// Largest amount read from a shopper: a bound that leaves sums of many lines far from overflow.
const LARGEST_AMOUNT_MINOR: i64 = 1_000_000_000_000;

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something else than digits with an optional decimal point.
    #[error("must be a number such as 20 or 19.90")]
    NotDecimal,
    /// More decimals than the currency has.
    #[error("must not have more than {allowed} decimals")]
    TooManyDecimals {
        /// Decimals of the currency.
        allowed: u32,
    },
    /// Larger than any price.
    #[error("is too large")]
    TooLarge,
}

/// Groups digits by three with commas, which both English and Chinese readers use.
#[must_use]
pub fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_each_reader_expects() {
        let table = [
            (123_450, "EUR", "€1,234.50", "€1,234.50"),
            (5, "USD", "$0.05", "US$0.05"),
            (100, "GBP", "£1.00", "£1.00"),
            (2_000, "CNY", "CN¥20.00", "¥20.00"),
            (1_234_567, "JPY", "¥1,234,567", "JP¥1,234,567"),
            (990, "CHF", "CHF\u{a0}9.90", "CHF\u{a0}9.90"),
            (1_500, "KWD", "KWD\u{a0}1.500", "KWD\u{a0}1.500"),
            (-123_456, "EUR", "−€1,234.56", "−€1,234.56"),
            (0, "EUR", "€0.00", "€0.00"),
            (99_999, "KRW", "₩99,999", "￦99,999"),
        ];
        for (amount, code, english, chinese) in table {
            let money = Money::new(amount, code.parse().unwrap());
            assert_eq!(money.format(Locale::En), english);
            assert_eq!(money.format(Locale::ZhCn), chinese);
        }
    }

    #[test]
    fn the_smallest_amount_is_written_too() {
        assert_eq!(
            Money::new(i64::MIN, Currency::EUR).decimal(),
            "-92233720368547758.08"
        );
    }

    #[test]
    fn decimals_are_read_in_the_currency_of_the_page() {
        let read = |text, currency| Money::parse_decimal(text, currency).map(|money| money.minor);
        assert_eq!(read("20", Currency::EUR), Ok(2_000));
        assert_eq!(read("19.9", Currency::EUR), Ok(1_990));
        assert_eq!(read("019.90", Currency::EUR), Ok(1_990));
        assert_eq!(read("500", Currency::JPY), Ok(500));
        assert_eq!(
            read("5.0", Currency::JPY),
            Err(AmountError::TooManyDecimals { allowed: 0 })
        );
        assert_eq!(
            read("1.234", Currency::EUR),
            Err(AmountError::TooManyDecimals { allowed: 2 })
        );
        for wrong in [
            "", ".", "5.", ".5", "-1", "+1", "1e3", "1,000", "ten", "1.2.3", " 1",
        ] {
            assert_eq!(
                read(wrong, Currency::EUR),
                Err(AmountError::NotDecimal),
                "{wrong}"
            );
        }
        assert_eq!(
            read("99999999999999999999", Currency::EUR),
            Err(AmountError::TooLarge)
        );
    }

    #[test]
    fn a_url_amount_is_short_and_reads_back() {
        for (amount, text) in [(2_000, "20"), (1_990, "19.90"), (5, "0.05"), (0, "0")] {
            let money = Money::new(amount, Currency::EUR);
            assert_eq!(money.url_decimal(), text);
            assert_eq!(Money::parse_decimal(text, Currency::EUR), Ok(money));
        }
    }
}
