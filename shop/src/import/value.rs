//! Single values of files: numbers, money, dates, units, words and slugs. Each function refuses with a problem.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::catalog::model::{Currency, Locale, Slug};

use super::problem::{Problem, ProblemKind};

/// Largest amount in minor units that is believed: beyond it a file has lost its decimal point.
const LARGEST_AMOUNT: i128 = 1_000_000_000_000;
/// Largest number of units in stock, grams or millimetres that is believed.
const LARGEST_COUNT: i128 = 1_000_000_000_000;

/// Years that a `DATETIME` of the database has.
const KEPT_YEARS: std::ops::RangeInclusive<i32> = 1000..=9999;

/// Decimals of a currency, or `None` for what is not one.
#[must_use]
pub fn currency_decimals(code: &str) -> Option<u32> {
    code.parse::<Currency>()
        .ok()
        .filter(|currency| currency.as_str() == code)
        .map(Currency::exponent)
}

/// The tag of a locale as the shop keeps it: `zh_CN` is `zh-cn`. `None` for what is not one.
#[must_use]
pub fn locale_of(text: &str) -> Option<String> {
    text.parse::<Locale>()
        .ok()
        .map(|locale| locale.as_str().to_owned())
}

/// A place in a file, for problems.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Line, from 1.
    pub line: u64,
    /// Column or pointer.
    pub field: &'a str,
}

impl Place<'_> {
    /// A problem at this place.
    #[must_use]
    pub fn problem(
        self,
        kind: ProblemKind,
        value: &str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Problem {
        Problem::new(self.line, kind, message, advice).with_field(self.field, value)
    }
}

/// A decimal number exactly: `digits / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// All digits, with the sign.
    pub digits: i128,
    /// How many of them are decimals.
    pub scale: u32,
}

impl Decimal {
    /// Reads `1234.50`, `1,234.50`, `1234,50` is refused because it can mean two things.
    ///
    /// # Errors
    /// What is not a plain decimal number.
    pub fn parse(text: &str, place: Place<'_>) -> Result<Self, Problem> {
        let wrong = || {
            place.problem(
                ProblemKind::BadNumber,
                text,
                "not a number",
                "write digits with a point before the decimals, as 1234.50",
            )
        };
        let trimmed = text.trim();
        let (negative, unsigned) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (unsigned, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = ungroup(whole).ok_or_else(wrong)?;
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && decimals.is_empty()) || !all_digits(&whole) || !all_digits(decimals)
        {
            return Err(wrong());
        }
        if whole.len() + decimals.len() > 30 || !(-30..=30).contains(&exponent) {
            return Err(wrong());
        }
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(decimals.bytes()) {
            digits = digits * 10 + i128::from(byte - b'0');
        }
        let scale = i32::try_from(decimals.len()).map_err(|_| wrong())? - exponent;
        let (digits, scale) = match u32::try_from(scale) {
            Ok(scale) => (digits, scale),
            Err(_) => (
                10_i128
                    .checked_pow(scale.unsigned_abs())
                    .and_then(|factor| digits.checked_mul(factor))
                    .ok_or_else(wrong)?,
                0,
            ),
        };
        Ok(Self {
            digits: if negative { -digits } else { digits },
            scale,
        })
    }

    /// The number times `numerator / denominator`, rounded half away from zero to `decimals` decimals, as a whole
    /// number of them. `None` when it does not fit.
    #[must_use]
    pub fn scaled(self, numerator: i128, denominator: i128, decimals: u32) -> Option<i128> {
        let upper = self
            .digits
            .checked_mul(numerator)?
            .checked_mul(10_i128.checked_pow(decimals)?)?;
        let lower = denominator.checked_mul(10_i128.checked_pow(self.scale)?)?;
        if lower <= 0 {
            return None;
        }
        let half = lower / 2;
        Some(if upper >= 0 {
            upper.checked_add(half)? / lower
        } else {
            upper.checked_sub(half)? / lower
        })
    }
}

/// Takes the commas out of `1,234,567`; `None` when they do not part thousands.
fn ungroup(whole: &str) -> Option<String> {
    if !whole.contains(',') {
        return Some(whole.to_owned());
    }
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let right = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    right.then(|| whole.replace(',', ""))
}

/// Checks that a code is a currency.
///
/// # Errors
/// A code that ISO 4217 does not list.
pub fn currency(text: &str, place: Place<'_>) -> Result<String, Problem> {
    let code = text.trim().to_ascii_uppercase();
    if currency_decimals(&code).is_some() {
        Ok(code)
    } else {
        Err(place.problem(
            ProblemKind::UnknownCurrency,
            text,
            "not a currency",
            "use an ISO 4217 code, as USD or CNY",
        ))
    }
}

/// Money in minor units from a decimal text.
///
/// # Errors
/// No number, a negative one, more decimals than the currency has, or an amount that is not believable.
pub fn money(text: &str, currency: &str, place: Place<'_>) -> Result<i64, Problem> {
    let decimal = Decimal::parse(text, place)?;
    let decimals = currency_decimals(currency).unwrap_or(2);
    if decimal.digits < 0 {
        return Err(place.problem(
            ProblemKind::Negative,
            text,
            "a price below zero",
            "write the price without a sign",
        ));
    }
    let minor = decimal
        .scaled(1, 1, decimals)
        .filter(|minor| *minor <= LARGEST_AMOUNT);
    let back = minor.and_then(|minor| {
        Decimal {
            digits: minor,
            scale: decimals,
        }
        .scaled(1, 1, decimal.scale.min(12))
    });
    match minor {
        Some(minor) if decimal.scale <= decimals || back == Some(decimal.digits) => {
            i64::try_from(minor).map_err(|_| too_large(text, place))
        }
        Some(_) => Err(place.problem(
            ProblemKind::BadNumber,
            text,
            format!("{currency} has {decimals} decimals"),
            "round the price",
        )),
        None => Err(too_large(text, place)),
    }
}

fn too_large(text: &str, place: Place<'_>) -> Problem {
    place.problem(
        ProblemKind::BadNumber,
        text,
        "too large",
        "check the decimal point",
    )
}

/// A decimal text of minor units, with all decimals of the currency.
#[must_use]
pub fn money_text(minor: i64, currency: &str) -> String {
    let decimals = currency_decimals(currency).unwrap_or(2);
    let factor = 10_i64.pow(decimals);
    if decimals == 0 {
        return minor.to_string();
    }
    let width = usize::try_from(decimals).unwrap_or(2);
    format!(
        "{}{}.{:0width$}",
        if minor < 0 { "-" } else { "" },
        (minor / factor).abs(),
        (minor % factor).abs()
    )
}

/// A whole number that is not negative.
///
/// # Errors
/// No number, a fraction, or a negative or unbelievable one.
pub fn count(text: &str, place: Place<'_>) -> Result<i64, Problem> {
    let number = whole(text, place)?;
    if number < 0 {
        return Err(place.problem(
            ProblemKind::Negative,
            text,
            "a number below zero",
            "write zero or more",
        ));
    }
    Ok(number)
}

/// A whole number.
///
/// # Errors
/// No number, a fraction, or an unbelievable one.
pub fn whole(text: &str, place: Place<'_>) -> Result<i64, Problem> {
    let decimal = Decimal::parse(text, place)?;
    let number = decimal
        .scaled(1, 1, 0)
        .filter(|number| number.abs() <= LARGEST_COUNT)
        .ok_or_else(|| too_large(text, place))?;
    let exact = 10_i128
        .checked_pow(decimal.scale)
        .and_then(|factor| number.checked_mul(factor))
        == Some(decimal.digits);
    if !exact {
        return Err(place.problem(
            ProblemKind::BadNumber,
            text,
            "not a whole number",
            "write it without decimals",
        ));
    }
    i64::try_from(number).map_err(|_| too_large(text, place))
}

/// Yes or no.
///
/// # Errors
/// Any other word.
pub fn boolean(text: &str, place: Place<'_>) -> Result<bool, Problem> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "1" | "on" => Ok(true),
        "false" | "no" | "n" | "0" | "off" => Ok(false),
        _ => Err(place.problem(
            ProblemKind::UnknownValue,
            text,
            "neither yes nor no",
            "write true or false",
        )),
    }
}

/// A weight in grams from a number and a unit.
///
/// # Errors
/// No number, a negative one, or an unknown unit.
pub fn grams(text: &str, unit: &str, place: Place<'_>) -> Result<i64, Problem> {
    // Exact since the international agreement of 1959: a pound is 453.59237 g.
    let (numerator, denominator) = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "g" | "gram" | "grams" => (1, 1),
        "kg" | "kilogram" | "kilograms" | "kgs" => (1_000, 1),
        "mg" => (1, 1_000),
        "lb" | "lbs" | "pound" | "pounds" => (45_359_237, 100_000),
        "oz" | "ounce" | "ounces" => (45_359_237, 1_600_000),
        _ => {
            return Err(place.problem(
                ProblemKind::UnknownValue,
                unit,
                "not a unit of weight",
                "use g, kg, lb or oz",
            ));
        }
    };
    measure(text, numerator, denominator, place)
}

/// A length in millimetres from a number and a unit.
///
/// # Errors
/// No number, a negative one, or an unknown unit.
pub fn millimetres(text: &str, unit: &str, place: Place<'_>) -> Result<i64, Problem> {
    let (numerator, denominator) = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "mm" => (1, 1),
        "cm" => (10, 1),
        "m" => (1_000, 1),
        "in" | "inch" | "inches" | "\"" => (254, 10),
        "ft" | "foot" | "feet" => (3_048, 10),
        _ => {
            return Err(place.problem(
                ProblemKind::UnknownValue,
                unit,
                "not a unit of length",
                "use mm, cm, m, in or ft",
            ));
        }
    };
    measure(text, numerator, denominator, place)
}

fn measure(
    text: &str,
    numerator: i128,
    denominator: i128,
    place: Place<'_>,
) -> Result<i64, Problem> {
    let decimal = Decimal::parse(text, place)?;
    if decimal.digits < 0 {
        return Err(place.problem(
            ProblemKind::Negative,
            text,
            "a measure below zero",
            "write it without a sign",
        ));
    }
    decimal
        .scaled(numerator, denominator, 0)
        .filter(|number| *number <= LARGEST_COUNT)
        .and_then(|number| i64::try_from(number).ok())
        .ok_or_else(|| too_large(text, place))
}

/// A point in time, in UTC. Takes RFC 3339, `2026-12-31`, `2026-12-31 23:59[:59]`; without an offset it is UTC.
///
/// # Errors
/// What is not a date, or not one that the database keeps.
pub fn instant(text: &str, place: Place<'_>) -> Result<PrimitiveDateTime, Problem> {
    parsed(text.trim())
        .filter(|stamp| KEPT_YEARS.contains(&stamp.year()))
        .map(microseconds)
        .ok_or_else(|| {
            place.problem(
                ProblemKind::BadDate,
                text,
                "not a date",
                "write it as 2026-12-31 or 2026-12-31T23:59:00Z",
            )
        })
}

fn parsed(text: &str) -> Option<PrimitiveDateTime> {
    if let Ok(stamp) = OffsetDateTime::parse(text, &Rfc3339) {
        let utc = stamp.checked_to_offset(UtcOffset::UTC)?;
        return Some(PrimitiveDateTime::new(utc.date(), utc.time()));
    }
    let minutes = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let seconds = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let fraction = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");
    let plain = text.replacen('T', " ", 1);
    for format in [minutes, seconds, fraction] {
        if let Ok(stamp) = PrimitiveDateTime::parse(&plain, format) {
            return Some(stamp);
        }
    }
    let day = format_description!("[year]-[month]-[day]");
    let date = Date::parse(text, day).ok()?;
    Some(PrimitiveDateTime::new(date, Time::MIDNIGHT))
}

/// A date in Magento's and spreadsheets' `12/31/26` too.
///
/// # Errors
/// What is not a date.
pub fn american_instant(text: &str, place: Place<'_>) -> Result<PrimitiveDateTime, Problem> {
    let day = text.split([' ', ',']).next().unwrap_or_default();
    let mut parts = day.split('/').map(|part| part.parse::<u16>().ok());
    if let (Some(Some(month)), Some(Some(day)), Some(Some(year)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    {
        let year = if year < 100 { 2_000 + year } else { year };
        let date = u8::try_from(month)
            .ok()
            .and_then(|month| time::Month::try_from(month).ok())
            .zip(u8::try_from(day).ok())
            .and_then(|(month, day)| Date::from_calendar_date(i32::from(year), month, day).ok())
            .filter(|date| KEPT_YEARS.contains(&date.year()));
        return match date {
            Some(date) => Ok(PrimitiveDateTime::new(date, Time::MIDNIGHT)),
            None => Err(place.problem(
                ProblemKind::BadDate,
                text,
                "not a date",
                "write it as 2026-12-31 or 12/31/26",
            )),
        };
    }
    instant(text, place)
}

/// The instant without what a DATETIME(6) cannot keep.
#[must_use]
pub fn microseconds(stamp: PrimitiveDateTime) -> PrimitiveDateTime {
    let time = stamp.time();
    stamp
        .replace_nanosecond(time.microsecond() * 1_000)
        .unwrap_or(stamp)
}

/// An instant as RFC 3339 in UTC.
#[must_use]
pub fn instant_text(stamp: PrimitiveDateTime) -> String {
    stamp.assume_utc().format(&Rfc3339).unwrap_or_default()
}

/// A slug of a text, with room for a number at its end; empty when the text has no letter or digit.
#[must_use]
pub fn slug_of(text: &str) -> String {
    let slug = Slug::from_name(text)
        .map(|slug| slug.as_str().to_owned())
        .unwrap_or_default();
    match slug.char_indices().nth(180) {
        Some((end, _)) => slug
            .get(..end)
            .unwrap_or_default()
            .trim_end_matches('-')
            .to_owned(),
        None => slug,
    }
}

/// A code of a text: a slug in ASCII with `_` between words, at most 64 long; empty when nothing is left.
#[must_use]
pub fn code_of(text: &str) -> String {
    let mut code = String::new();
    for word in slug_of(text).split('-') {
        let ascii: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        if ascii.is_empty() {
            continue;
        }
        if !code.is_empty() {
            code.push('_');
        }
        code.push_str(&ascii);
    }
    code.truncate(64);
    code
}

/// Words with capitals: `noise_level` and `noise-level` are "Noise Level".
#[must_use]
pub fn title_of(text: &str) -> String {
    text.split(['_', '-', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut characters = word.chars();
            let first: String = characters
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .collect();
            first + characters.as_str()
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Place<'static> = Place {
        line: 7,
        field: "price",
    };

    #[test]
    fn money_is_exact() {
        assert_eq!(money("879.99", "USD", AT).unwrap(), 87_999);
        assert_eq!(money("1,234.5", "USD", AT).unwrap(), 123_450);
        assert_eq!(money("12.500", "USD", AT).unwrap(), 1_250);
        assert_eq!(money("1200", "JPY", AT).unwrap(), 1_200);
        assert_eq!(money("1.234", "KWD", AT).unwrap(), 1_234);
        assert_eq!(money("1e2", "EUR", AT).unwrap(), 10_000);
        assert_eq!(money_text(87_999, "USD"), "879.99");
        assert_eq!(money_text(5, "USD"), "0.05");
        assert_eq!(money_text(1_200, "JPY"), "1200");
    }

    #[test]
    fn money_refuses_what_it_cannot_keep() {
        for (text, kind) in [
            ("12,50", ProblemKind::BadNumber),
            ("12.505", ProblemKind::BadNumber),
            ("-3", ProblemKind::Negative),
            ("abc", ProblemKind::BadNumber),
            ("", ProblemKind::BadNumber),
            ("99999999999999999999", ProblemKind::BadNumber),
            ("1e400", ProblemKind::BadNumber),
        ] {
            let problem = money(text, "USD", AT).unwrap_err();
            assert_eq!(problem.kind, kind, "{text}");
            assert!(!problem.advice.is_empty());
        }
    }

    #[test]
    fn units_become_grams_and_millimetres() {
        assert_eq!(grams("19.8", "lb", AT).unwrap(), 8_981);
        assert_eq!(grams("1", "oz", AT).unwrap(), 28);
        assert_eq!(grams("0.5", "kg", AT).unwrap(), 500);
        assert_eq!(millimetres("13.8", "in", AT).unwrap(), 351);
        assert_eq!(millimetres("2", "cm", AT).unwrap(), 20);
        assert_eq!(
            grams("1", "stone", AT).unwrap_err().kind,
            ProblemKind::UnknownValue
        );
    }

    #[test]
    fn dates_of_all_kinds() {
        for text in [
            "2026-12-31",
            "2026-12-31T00:00:00Z",
            "2026-12-31 00:00",
            "2026-12-31T01:00:00+01:00",
        ] {
            assert_eq!(
                instant_text(instant(text, AT).unwrap()),
                "2026-12-31T00:00:00Z",
                "{text}"
            );
        }
        assert_eq!(
            instant_text(american_instant("12/31/26", AT).unwrap()),
            "2026-12-31T00:00:00Z"
        );
        assert_eq!(
            instant_text(american_instant("12/31/26, 1:00 AM", AT).unwrap()),
            "2026-12-31T00:00:00Z"
        );
        assert_eq!(
            instant("31.12.2026", AT).unwrap_err().kind,
            ProblemKind::BadDate
        );
        assert_eq!(
            american_instant("13/45/26", AT).unwrap_err().kind,
            ProblemKind::BadDate
        );
        // Beyond what can be kept, some of it only in UTC.
        for text in [
            "9999-12-31T23:59:59-01:00",
            "1000-01-01T00:00:00+01:00",
            "0000-01-01T00:00:00Z",
            "0999-12-31",
            "1/1/999",
        ] {
            assert_eq!(
                american_instant(text, AT).unwrap_err().kind,
                ProblemKind::BadDate,
                "{text}"
            );
        }
        assert!(instant("9999-12-31T23:59:59Z", AT).is_ok());
    }

    #[test]
    fn slugs_of_names() {
        assert_eq!(
            slug_of("Crème Brûlée – Groß & Klein!"),
            "creme-brulee-groß-klein"
        );
        assert_eq!(slug_of("咖啡机 2L"), "咖啡机-2l");
        assert_eq!(slug_of("Women's Bags"), "women-s-bags");
        assert_eq!(slug_of("--"), "");
        assert_eq!(code_of("custom.Room coverage"), "custom_room_coverage");
        assert_eq!(title_of("noise_level"), "Noise Level");
    }
}
