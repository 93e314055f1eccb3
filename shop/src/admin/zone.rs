//! Zones with their taxes, and shipping methods with their rates, as staff see them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{FromBody, Object, amount, boolean, id, integer, parsed, small_integer, text};
use crate::accounts::country;
use crate::catalog::model::{Currency, Locale};
use crate::shipping::model::Carrier;
use crate::taxes::model::EVERYWHERE;

/// Most areas of a zone.
const MOST_AREAS: usize = 500;
/// Most rates of a zone or of a method.
const MOST_RATES: usize = 100;
/// Largest weight in grams.
const LARGEST_WEIGHT: i64 = 1_000_000_000;

/// A part of the world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct ZoneArea {
    /// ISO 3166-1 alpha-2, or `*` for every country that no other zone names.
    pub country: String,
    /// The part after the hyphen of ISO 3166-2; empty for all of the country that no other zone names.
    pub region: String,
}

/// What is due for a tax category.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct ZoneRate {
    /// The tax category of products and shipping methods.
    pub tax_category: String,
    /// What the tax is called on orders, such as `VAT`.
    pub name: String,
    /// The rate in millionths: 190 000 is 19 %.
    pub rate: i32,
}

/// The body that makes or replaces a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ZoneBody {
    /// What staff call it.
    pub name: String,
    /// Whether prices contain the tax there.
    pub prices_include_tax: bool,
    /// Where it is.
    pub areas: BTreeSet<ZoneArea>,
    /// What is due there. What is in no category named here is not taxed.
    pub rates: BTreeSet<ZoneRate>,
}

/// A part of the world, for taxes and shipping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Zone {
    /// Its number.
    pub id: i64,
    /// What it is.
    #[serde(flatten)]
    pub zone: ZoneBody,
    /// The number in its `ETag`.
    pub version: i64,
}

fn read_area(object: &mut Object<'_>) -> Option<ZoneArea> {
    let code = object.required("country", text(1, 2))?.to_ascii_uppercase();
    let region = object
        .optional("region", text(0, 100))?
        .unwrap_or_default()
        .trim()
        .to_owned();
    if code == EVERYWHERE && region.is_empty() {
        return Some(ZoneArea {
            country: code,
            region,
        });
    }
    if !country::is_country(&code) {
        object.error(
            "country",
            "must be a country of ISO 3166-1, such as DE, or *",
        );
        return None;
    }
    let region = match (country::regions(&code), region.as_str()) {
        (_, "") => String::new(),
        (Some(regions), typed) => match country::region(regions, typed) {
            Some(code) => code.to_owned(),
            None => {
                object.error("region", "must be a state or province of the country");
                return None;
            }
        },
        (None, _) => {
            object.error(
                "region",
                "addresses of this country name no state: leave it out",
            );
            return None;
        }
    };
    Some(ZoneArea {
        country: code,
        region,
    })
}

fn read_rate(object: &mut Object<'_>) -> Option<ZoneRate> {
    let tax_category = object.required("tax_category", text(1, 64));
    let name = object.required("name", text(1, 64));
    let rate = object.required("rate", |value| {
        integer(0, 1_000_000)(value).and_then(|rate| i32::try_from(rate).map_err(|e| e.to_string()))
    });
    Some(ZoneRate {
        tax_category: tax_category?,
        name: name?,
        rate: rate?,
    })
}

fn has_twins<T: PartialEq, K: PartialEq>(items: &[T], key: impl Fn(&T) -> K) -> bool {
    items
        .iter()
        .enumerate()
        .any(|(at, item)| items.iter().take(at).any(|before| key(before) == key(item)))
}

impl FromBody for ZoneBody {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let name = object.required("name", text(1, 100));
        let prices_include_tax = object.required("prices_include_tax", boolean);
        let areas = object.objects("areas", read_area);
        let rates = object.objects("rates", read_rate);
        let (areas, rates) = (areas?, rates?);
        if areas.is_empty() || areas.len() > MOST_AREAS {
            object.error("areas", format!("must be 1 to {MOST_AREAS}"));
        }
        if has_twins(&areas, Clone::clone) {
            object.error("areas", "must name each area once");
        }
        if rates.len() > MOST_RATES || has_twins(&rates, |rate| rate.tax_category.clone()) {
            object.error(
                "rates",
                format!("must name each tax category once, and at most {MOST_RATES}"),
            );
        }
        Some(Self {
            name: name?,
            prices_include_tax: prices_include_tax?,
            areas: areas.into_iter().collect(),
            rates: rates.into_iter().collect(),
        })
    }
}

/// What sending costs in one currency from one weight on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct MethodRate {
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// The weight at which the rate begins to count, in grams; 0 for carrier `flat`.
    pub from_grams: i64,
    /// The heaviest that goes at this rate, in grams.
    pub max_grams: Option<i64>,
    /// What it costs in minor units.
    pub amount: i64,
    /// From what the goods cost after discounts, in minor units, sending them costs nothing.
    pub free_from: Option<i64>,
}

/// The body that makes or replaces a shipping method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MethodBody {
    /// What programs call it: lower-case letters, digits and hyphens. Fixed once it is made.
    pub code: String,
    /// The zone that it is offered in.
    pub zone_id: i64,
    /// `flat`: one rate for each currency. `table`: a rate for each band of weight.
    pub carrier: Carrier,
    /// `active` or `archived`
    pub status: String,
    /// What it is taxed as.
    pub tax_category: String,
    /// What shoppers call it, by locale; others fall back to the shop's first.
    pub names: BTreeMap<String, String>,
    /// Days that it takes at best.
    pub days_min: i16,
    /// Days that it takes at worst.
    pub days_max: i16,
    /// Its place among the methods.
    pub position: i32,
    /// What it costs. In currencies without a rate it is not offered.
    pub rates: BTreeSet<MethodRate>,
}

/// A way to send orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StaffShippingMethod {
    /// Its number.
    pub id: i64,
    /// What it is.
    #[serde(flatten)]
    pub method: MethodBody,
    /// The number in its `ETag`.
    pub version: i64,
}

fn read_method_rate(object: &mut Object<'_>) -> Option<MethodRate> {
    let currency = object.required("currency", parsed);
    let from_grams = object.optional("from_grams", integer(0, LARGEST_WEIGHT));
    let max_grams = object.nullable("max_grams", integer(0, LARGEST_WEIGHT));
    let amount_of = object.required("amount", amount);
    let free_from = object.nullable("free_from", amount);
    let (from_grams, max_grams) = (from_grams?.unwrap_or(0), max_grams?.flatten());
    if max_grams.is_some_and(|max| max < from_grams) {
        object.error("max_grams", "must not be less than from_grams");
    }
    Some(MethodRate {
        currency: currency?,
        from_grams,
        max_grams,
        amount: amount_of?,
        free_from: free_from?.flatten(),
    })
}

/// Names by locale: at least one.
pub(super) fn names(value: Value) -> Result<BTreeMap<String, String>, String> {
    let Value::Object(fields) = value else {
        return Err("must be an object of texts by locale, such as {\"en\": \"…\"}".to_owned());
    };
    let mut names = BTreeMap::new();
    for (locale, name) in fields {
        let locale: Locale = locale.parse().map_err(|error| format!("{error}"))?;
        names.insert(locale.to_string(), text(1, 190)(name)?);
    }
    if names.is_empty() || names.len() > 50 {
        return Err("must have a text in 1 to 50 locales".to_owned());
    }
    Ok(names)
}

/// A status of two.
fn status(value: Value) -> Result<String, String> {
    let status = text(1, 16)(value)?;
    if ["active", "archived"].contains(&status.as_str()) {
        Ok(status)
    } else {
        Err("must be active or archived".to_owned())
    }
}

fn code(value: Value) -> Result<String, String> {
    let code = text(1, 32)(value)?;
    let fits = code
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits {
        Ok(code)
    } else {
        Err("must be lower-case letters, digits and hyphens".to_owned())
    }
}

fn days(value: Value) -> Result<i16, String> {
    let days = integer(0, 365)(value)?;
    i16::try_from(days).map_err(|error| error.to_string())
}

impl FromBody for MethodBody {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let code = object.required("code", code);
        let zone_id = object.required("zone_id", id);
        let carrier = object.required("carrier", |value| {
            text(1, 16)(value).and_then(|word| {
                Carrier::from_word(&word).ok_or_else(|| "must be flat or table".to_owned())
            })
        });
        let status = object.optional("status", status);
        let tax_category = object.optional("tax_category", text(1, 64));
        let names = object.required("names", names);
        let days_min = object.required("days_min", days);
        let days_max = object.required("days_max", days);
        let position = object.optional("position", small_integer);
        let rates = object.objects("rates", read_method_rate);
        let (carrier, rates) = (carrier?, rates?);
        if rates.is_empty() || rates.len() > MOST_RATES {
            object.error("rates", format!("must be 1 to {MOST_RATES}"));
        }
        if has_twins(&rates, |rate| (rate.currency, rate.from_grams)) {
            object.error("rates", "must have one rate for each currency and weight");
        }
        if carrier == Carrier::Flat && rates.iter().any(|rate| rate.from_grams != 0) {
            object.error("rates", "a flat carrier has rates from 0 grams on");
        }
        let (days_min, days_max) = (days_min?, days_max?);
        if days_max < days_min {
            object.error("days_max", "must not be less than days_min");
        }
        Some(Self {
            code: code?,
            zone_id: zone_id?,
            carrier,
            status: status?.unwrap_or_else(|| "active".to_owned()),
            tax_category: tax_category?.unwrap_or_else(|| "standard".to_owned()),
            names: names?,
            days_min,
            days_max,
            position: position?.unwrap_or(0),
            rates: rates.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fields::read_body;

    #[test]
    fn a_zone_names_places_that_exist_once() {
        let zone: ZoneBody = read_body(
            br#"{"name":"US","prices_include_tax":false,"areas":[{"country":"us","region":"california"},{"country":"*"}],"rates":[]}"#,
        )
        .unwrap();
        assert!(zone.areas.iter().any(|area| area.region == "CA"));
        for wrong in [
            r#"{"name":"x","prices_include_tax":true,"areas":[{"country":"XX"}],"rates":[]}"#,
            r#"{"name":"x","prices_include_tax":true,"areas":[{"country":"DE","region":"BY"}],"rates":[]}"#,
            r#"{"name":"x","prices_include_tax":true,"areas":[],"rates":[]}"#,
            r#"{"name":"x","prices_include_tax":true,"areas":[{"country":"DE"},{"country":"de"}],"rates":[]}"#,
            r#"{"name":"x","prices_include_tax":true,"areas":[{"country":"DE"}],"rates":[{"tax_category":"a","name":"A","rate":1000001}]}"#,
        ] {
            assert!(read_body::<ZoneBody>(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_method_has_rates_that_do_not_contradict_each_other() {
        let body = |rates: &str, carrier: &str| {
            format!(
                r#"{{"code":"post","zone_id":1,"carrier":"{carrier}","names":{{"en":"Post"}},"days_min":1,"days_max":3,"rates":{rates}}}"#
            )
        };
        let flat = r#"[{"currency":"USD","amount":500}]"#;
        assert!(read_body::<MethodBody>(body(flat, "flat").as_bytes()).is_ok());
        for (rates, carrier) in [
            ("[]", "flat"),
            (r#"[{"currency":"USD","amount":1,"from_grams":5}]"#, "flat"),
            (
                r#"[{"currency":"USD","amount":1},{"currency":"USD","amount":2}]"#,
                "table",
            ),
            (
                r#"[{"currency":"USD","amount":1,"from_grams":5,"max_grams":4}]"#,
                "table",
            ),
            (r#"[{"currency":"USD","amount":-1}]"#, "table"),
            (flat, "pigeon"),
        ] {
            assert!(
                read_body::<MethodBody>(body(rates, carrier).as_bytes()).is_err(),
                "{rates} {carrier}"
            );
        }
    }
}
