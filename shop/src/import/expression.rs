//! Values of mapped files: found, split, looked up, transformed and computed with.

use std::collections::BTreeMap;

use serde_json::Value;
use time::format_description;
use time::{Date, PrimitiveDateTime, Time};

use super::mapping::{Expression, Transform};
use super::problem::{Problem, ProblemKind};
use super::text::paragraphs;
use super::value::{self, Decimal, Place, slug_of, title_of};

/// Decimals that a computed number keeps before it is rounded to what its field has.
const COMPUTED_DECIMALS: u32 = 9;

/// What an expression is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The product.
    pub root: &'a Value,
    /// The product, a variant or a picture.
    pub item: &'a Value,
    /// Line of the file.
    pub line: u64,
}

impl<'a> Scope<'a> {
    /// `/a/b` is a pointer from the item, `^/a/b` from the product, anything else the name of a member.
    fn find(&self, source: &str) -> Option<&'a Value> {
        let (from, source) = match source.strip_prefix('^') {
            Some(rest) => (self.root, rest),
            None => (self.item, source),
        };
        if source.is_empty() || source.starts_with('/') {
            from.pointer(source)
        } else {
            from.get(source)
        }
    }
}

/// The values of an expression, without empty ones.
///
/// # Errors
/// A source of a wrong type, a value that a table lacks, no number, or no date.
pub fn evaluate(
    expression: &Expression,
    tables: &BTreeMap<String, BTreeMap<String, String>>,
    scope: Scope<'_>,
    place: Place<'_>,
) -> Result<Vec<String>, Problem> {
    let mut values = match &expression.value {
        Some(constant) => vec![constant.clone()],
        None => sources(expression, scope, place)?,
    };
    if values.is_empty() {
        values.extend(expression.default.clone());
    }
    if let Some(separator) = &expression.split {
        values = values
            .iter()
            .flat_map(|value| value.split(separator.as_str()))
            .map(|part| part.trim().to_owned())
            .collect();
    }
    values.retain(|value| !value.is_empty());
    if let Some(table) = expression.lookup.as_ref().and_then(|name| tables.get(name)) {
        for value in &mut values {
            match table.get(value) {
                Some(replacement) => replacement.clone_into(value),
                None if expression.lookup_keep => {}
                None => {
                    return Err(place.problem(
                        ProblemKind::NoLookup,
                        value,
                        "the lookup table has no such key",
                        "add it to the table, or set lookup_keep = true",
                    ));
                }
            }
        }
    }
    for value in &mut values {
        for transform in &expression.transform {
            *value = match transform {
                Transform::Trim => value.trim().to_owned(),
                Transform::Lowercase => value.to_lowercase(),
                Transform::Uppercase => value.to_uppercase(),
                Transform::Slugify => slug_of(value),
                Transform::Text => paragraphs(value),
                Transform::Title => title_of(value),
            };
        }
        if expression.computes() {
            *value = compute(expression, value, scope, place)?;
        }
        if let Some(format) = &expression.date {
            *value = date(value, format, place)?;
        }
        if !expression.prefix.is_empty() || !expression.suffix.is_empty() {
            *value = format!("{}{value}{}", expression.prefix, expression.suffix);
        }
    }
    values.retain(|value| !value.is_empty());
    Ok(values)
}

impl Expression {
    /// Whether the value is the result of arithmetic, which is rounded instead of refused.
    #[must_use]
    pub fn computes(&self) -> bool {
        self.multiply.is_some() || self.divide.is_some() || self.percent_off.is_some()
    }
}

fn sources(
    expression: &Expression,
    scope: Scope<'_>,
    place: Place<'_>,
) -> Result<Vec<String>, Problem> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for source in &expression.from {
        let texts = match scope.find(source) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(elements)) => elements
                .iter()
                .map(|element| scalar(element, place))
                .collect::<Result<Vec<_>, _>>()?,
            Some(other) => vec![scalar(other, place)?],
        };
        found.push(
            texts
                .into_iter()
                .filter(|text| !text.trim().is_empty())
                .collect(),
        );
    }
    if found.len() == 1 {
        return Ok(found.pop().unwrap_or_default());
    }
    let parts: Vec<String> = found.into_iter().flatten().collect();
    Ok(if parts.is_empty() {
        parts
    } else {
        vec![parts.join(&expression.join)]
    })
}

fn scalar(value: &Value, place: Place<'_>) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err(place.problem(
            ProblemKind::WrongType,
            &value.to_string(),
            "a text or a number is needed",
            "let the pointer of the mapping go on to a member of it",
        )),
    }
}

fn compute(
    expression: &Expression,
    text: &str,
    scope: Scope<'_>,
    place: Place<'_>,
) -> Result<String, Problem> {
    let too_large = || {
        place.problem(
            ProblemKind::BadNumber,
            text,
            "too large to compute with",
            "check the number",
        )
    };
    let mut number = Decimal::parse(text, place)?;
    let mut times = |numerator: i128, denominator: i128| -> Result<(), Problem> {
        let digits = number
            .scaled(numerator, denominator, COMPUTED_DECIMALS)
            .ok_or_else(too_large)?;
        number = Decimal {
            digits,
            scale: COMPUTED_DECIMALS,
        };
        Ok(())
    };
    let ratio = |text: &str| -> Result<(i128, i128), Problem> {
        let decimal = Decimal::parse(text, place)?;
        Ok((
            decimal.digits,
            10_i128.checked_pow(decimal.scale).ok_or_else(too_large)?,
        ))
    };
    if let Some(factor) = &expression.multiply {
        let (upper, lower) = ratio(factor)?;
        times(upper, lower)?;
    }
    if let Some(divisor) = &expression.divide {
        let (upper, lower) = ratio(divisor)?;
        times(lower, upper)?;
    }
    if let Some(source) = &expression.percent_off {
        let percent = scope
            .find(source)
            .map(|value| scalar(value, place))
            .transpose()?
            .unwrap_or_default();
        if !percent.is_empty() {
            let (upper, lower) = ratio(&percent)?;
            if upper < 0 || upper > lower * 100 {
                return Err(place.problem(
                    ProblemKind::BadNumber,
                    &percent,
                    "not a percentage between 0 and 100",
                    "correct percent_off in the mapping, or the number",
                ));
            }
            times(lower * 100 - upper, lower * 100)?;
        }
    }
    let factor = 10_i128.pow(COMPUTED_DECIMALS);
    let scaled = number
        .scaled(1, 1, COMPUTED_DECIMALS)
        .ok_or_else(too_large)?;
    let width = usize::try_from(COMPUTED_DECIMALS).unwrap_or(0);
    let sign = if scaled < 0 { "-" } else { "" };
    Ok(format!(
        "{sign}{}.{:0width$}",
        (scaled / factor).abs(),
        (scaled % factor).abs()
    )
    .trim_end_matches('0')
    .trim_end_matches('.')
    .to_owned())
}

fn date(text: &str, format: &str, place: Place<'_>) -> Result<String, Problem> {
    let wrong = || {
        place.problem(
            ProblemKind::BadDate,
            text,
            format!("not a date as {format}"),
            "correct the date, or date in the mapping",
        )
    };
    let description = format_description::parse_borrowed::<2>(format).map_err(|_| wrong())?;
    let stamp = PrimitiveDateTime::parse(text.trim(), &description)
        .or_else(|_| {
            Date::parse(text.trim(), &description)
                .map(|date| PrimitiveDateTime::new(date, Time::MIDNIGHT))
        })
        .map_err(|_| wrong())?;
    Ok(value::instant_text(stamp))
}
