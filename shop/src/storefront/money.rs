//! Amounts of money as a shopper sees them.
//!
//! An amount is an integer of minor units with its currency (invariant 11); this module only reads and writes it. How
//! many decimals a currency has is ISO 4217's table, kept here in one place.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::i18n::Locale;

/// A currency that has minor units: three upper-case letters found in the ISO 4217 table below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: &'static str,
    exponent: u8,
}

impl Currency {
    /// Euro, the default of a shop that names no currency.
    pub const EUR: Self = Self {
        code: "EUR",
        exponent: 2,
    };
    /// United States dollar.
    pub const USD: Self = Self {
        code: "USD",
        exponent: 2,
    };
    /// Pound sterling.
    pub const GBP: Self = Self {
        code: "GBP",
        exponent: 2,
    };
    /// Chinese yuan.
    pub const CNY: Self = Self {
        code: "CNY",
        exponent: 2,
    };
    /// Japanese yen, which has no decimals.
    pub const JPY: Self = Self {
        code: "JPY",
        exponent: 0,
    };

    /// Finds a currency by its ISO 4217 code, in upper case only: a URL has one spelling.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let find =
            |codes: &'static [&'static str]| codes.iter().find(|known| **known == code).copied();
        if let Some(code) = find(WITHOUT_DECIMALS) {
            return Some(Self { code, exponent: 0 });
        }
        if let Some(code) = find(WITH_THREE_DECIMALS) {
            return Some(Self { code, exponent: 3 });
        }
        find(WITH_TWO_DECIMALS).map(|code| Self { code, exponent: 2 })
    }

    /// The ISO 4217 code, such as `EUR`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// Decimals between the major and the minor unit (ISO 4217 column "minor unit").
    #[must_use]
    pub const fn exponent(self) -> u8 {
        self.exponent
    }

    /// Minor units in one major unit: 100 for the euro, 1 for the yen.
    #[must_use]
    pub const fn minor_units_per_major(self) -> i64 {
        10_i64.pow(self.exponent as u32)
    }

    /// The symbol a reader of `locale` expects before an amount; a code stands for a currency without a symbol of its
    /// own there and is set apart by a no-break space (Unicode CLDR, `currencies`).
    const fn symbol(self, locale: Locale) -> Option<&'static str> {
        match (self.code.as_bytes(), locale) {
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

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code)
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{code}` is no ISO 4217 currency code (three capital letters, such as EUR)"
            ))
        })
    }
}

/// An amount in minor units of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Integer minor units: cents for the euro, whole yen for the yen.
    pub amount_minor: i64,
    /// What the amount is counted in.
    pub currency: Currency,
}

impl Money {
    /// An amount of `amount_minor` minor units.
    #[must_use]
    pub const fn new(amount_minor: i64, currency: Currency) -> Self {
        Self {
            amount_minor,
            currency,
        }
    }

    /// The amount as a shopper of `locale` reads it: `€1,234.50`, `CN¥20.00`, `CHF 9.90`.
    #[must_use]
    pub fn format(self, locale: Locale) -> String {
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let (major, minor) = self.split();
        let mut text = String::from(sign);
        match self.currency.symbol(locale) {
            Some(symbol) => text.push_str(symbol),
            None => {
                text.push_str(self.currency.code);
                text.push('\u{a0}');
            }
        }
        text.push_str(&group_thousands(major));
        if self.currency.exponent > 0 {
            text.push('.');
            text.push_str(&self.pad_minor(minor));
        }
        text
    }

    /// The amount as a plain decimal with every decimal of its currency: `1234.50`. This is what schema.org and Open
    /// Graph ask for.
    #[must_use]
    pub fn decimal(self) -> String {
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let (major, minor) = self.split();
        if self.currency.exponent == 0 {
            return format!("{sign}{major}");
        }
        format!("{sign}{major}.{}", self.pad_minor(minor))
    }

    /// The shortest of the spellings a URL may carry: `20` for twenty euros, `19.90` with its decimals otherwise.
    #[must_use]
    pub fn url_decimal(self) -> String {
        let (major, minor) = self.split();
        if minor == 0 && self.amount_minor >= 0 {
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
        if minor.len() > usize::from(currency.exponent) {
            return Err(AmountError::TooManyDecimals {
                allowed: currency.exponent,
            });
        }
        let mut scaled = String::from(major);
        scaled.push_str(minor);
        for _ in minor.len()..usize::from(currency.exponent) {
            scaled.push('0');
        }
        let amount_minor = scaled.parse::<i64>().map_err(|_| AmountError::TooLarge)?;
        if amount_minor > LARGEST_AMOUNT_MINOR {
            return Err(AmountError::TooLarge);
        }
        Ok(Self {
            amount_minor,
            currency,
        })
    }

    fn split(self) -> (u64, u64) {
        let unit = self.currency.minor_units_per_major().unsigned_abs();
        let amount = self.amount_minor.unsigned_abs();
        (amount / unit, amount % unit)
    }

    fn pad_minor(self, minor: u64) -> String {
        format!(
            "{minor:0width$}",
            width = usize::from(self.currency.exponent)
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
        allowed: u8,
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

/// ISO 4217 minor unit 0.
const WITHOUT_DECIMALS: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF", "XPF",
];

/// ISO 4217 minor unit 3.
const WITH_THREE_DECIMALS: &[&str] = &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// ISO 4217 minor unit 2: the circulating currencies.
const WITH_TWO_DECIMALS: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BMD",
    "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP",
    "CRC", "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP",
    "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS",
    "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD",
    "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN",
    "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR",
    "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE",
    "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD",
    "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "VES", "WST", "XCD", "XCG", "YER", "ZAR", "ZMW",
    "ZWG",
];

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
            (-123_456, "EUR", "-€1,234.56", "-€1,234.56"),
            (0, "EUR", "€0.00", "€0.00"),
            (99_999, "KRW", "₩99,999", "￦99,999"),
        ];
        for (amount, code, english, chinese) in table {
            let money = Money::new(amount, Currency::from_code(code).unwrap());
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
        let read =
            |text, currency| Money::parse_decimal(text, currency).map(|money| money.amount_minor);
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

    #[test]
    fn no_code_is_listed_twice_and_unknown_ones_are_refused() {
        let mut all: Vec<&str> =
            [WITHOUT_DECIMALS, WITH_TWO_DECIMALS, WITH_THREE_DECIMALS].concat();
        let listed = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), listed);
        assert!(
            all.iter()
                .all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
        assert_eq!(Currency::from_code("eur"), None);
        assert_eq!(Currency::from_code("XXX"), None);
        assert_eq!(Currency::from_code("JPY"), Some(Currency::JPY));
    }
}
