//! Amounts of money: integers of a currency's minor unit (ISO 4217).

use std::fmt;
use std::str::FromStr;

/// A currency of ISO 4217, by its alphabetic code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: &'static str,
    exponent: u32,
}

/// The text is not the alphabetic code of a currency that is in use (ISO 4217, list one).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a currency: give an ISO 4217 code such as EUR")]
pub struct UnknownCurrency(pub String);

/// Currencies without a minor unit.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Currencies of which the minor unit is a hundredth.
const HUNDREDTHS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD \
CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD \
HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR \
MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE \
SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
/// Currencies of which the minor unit is a thousandth.
const THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Units of account with four decimals.
const TEN_THOUSANDTHS: &str = "CLF UYW";

impl Currency {
    /// Euro.
    pub const EUR: Self = Self::of("EUR", 2);
    /// United States dollar.
    pub const USD: Self = Self::of("USD", 2);
    /// Pound sterling.
    pub const GBP: Self = Self::of("GBP", 2);
    /// Chinese yuan.
    pub const CNY: Self = Self::of("CNY", 2);
    /// Japanese yen, which has no decimals.
    pub const JPY: Self = Self::of("JPY", 0);

    const fn of(code: &'static str, exponent: u32) -> Self {
        Self { code, exponent }
    }

    /// How many decimals the minor unit has: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub const fn exponent(self) -> u32 {
        self.exponent
    }

    /// The three capital letters.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.code
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    /// Reads a code in any case.
    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let code = text.to_ascii_uppercase();
        let tables = [
            (HUNDREDTHS, 2),
            (WHOLE, 0),
            (THOUSANDTHS, 3),
            (TEN_THOUSANDTHS, 4),
        ];
        tables
            .into_iter()
            .find_map(|(codes, exponent)| {
                let known = codes.split(' ').find(|known| **known == code)?;
                Some(Self::of(known, exponent))
            })
            .ok_or_else(|| UnknownCurrency(text.chars().take(16).collect()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount in minor units of its currency: 1299 EUR is twelve euros and 99 cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Money {
    /// The amount in minor units.
    pub minor: i64,
    /// The currency that the amount is in.
    pub currency: Currency,
}

impl Money {
    /// An amount of minor units of a currency.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_codes_of_any_case_and_refuses_unknown_ones() {
        assert_eq!("eur".parse::<Currency>().unwrap().as_str(), "EUR");
        for wrong in [
            "",
            "EU",
            "EUX",
            "EURO",
            "€",
            "E R",
            "\u{0}\u{0}\u{0}",
            "EUR ",
        ] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong:?}");
        }
        let message = "XXQ".parse::<Currency>().unwrap_err().to_string();
        assert!(message.contains("ISO 4217"), "{message}");
    }

    #[test]
    fn knows_the_decimals_of_each_currency() {
        let exponent = |code: &str| code.parse::<Currency>().unwrap().exponent();
        assert_eq!(
            (
                exponent("EUR"),
                exponent("JPY"),
                exponent("KWD"),
                exponent("CLF")
            ),
            (2, 0, 3, 4)
        );
        for named in [
            Currency::EUR,
            Currency::USD,
            Currency::GBP,
            Currency::CNY,
            Currency::JPY,
        ] {
            assert_eq!(named.as_str().parse(), Ok(named));
        }
    }

    #[test]
    fn no_currency_is_listed_twice() {
        let mut codes: Vec<&str> = [WHOLE, HUNDREDTHS, THOUSANDTHS, TEN_THOUSANDTHS]
            .iter()
            .flat_map(|codes| codes.split(' '))
            .collect();
        let listed = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), listed);
        assert!(codes.iter().all(|code| code.len() == 3));
    }

    #[test]
    fn money_is_written_as_minor_units_and_code() {
        let money = Money::new(1299, "EUR".parse().unwrap());
        let json = serde_json::to_string(&money).unwrap();
        assert_eq!(json, r#"{"minor":1299,"currency":"EUR"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }
}
