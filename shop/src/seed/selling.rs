//! What the demo needs to take orders: zones with taxes, ways to send, and a coupon. The rates are examples, not advice.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::MySqlConnection;

use crate::admin::promotion::{PromotionBody, PromotionStatus};
use crate::admin::zone::{MethodBody, MethodRate, ZoneArea, ZoneBody, ZoneRate};
use crate::admin::{store_promotion, store_zone};
use crate::catalog::model::Currency;
use crate::promotions::model::{Conditions, Effect, Rule};
use crate::shipping::model::Carrier;
use crate::taxes::model::Rate;

/// The coupon of the demo: a tenth off, once for each customer.
pub const COUPON: &str = "WELCOME10";

/// The countries of the European Union.
const EUROPEAN_UNION: &str =
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";

struct DemoZone {
    code: &'static str,
    name: &'static str,
    countries: &'static str,
    prices_include_tax: bool,
    tax: Option<(&'static str, i32)>,
    /// What the flat rate costs, and from what amount of goods it is free, in hundredths of a currency like the dollar.
    flat: (i64, Option<i64>),
    /// From so many grams on the fast way costs so much.
    express: &'static [(i64, i64)],
    days: (i16, i16),
}

const ZONES: &[DemoZone] = &[
    DemoZone {
        code: "us",
        name: "United States",
        countries: "US",
        prices_include_tax: false,
        tax: Some(("Sales tax", 80_000)),
        flat: (490, Some(6000)),
        express: &[(0, 990), (2000, 1490), (10_000, 3990)],
        days: (2, 5),
    },
    DemoZone {
        code: "eu",
        name: "European Union",
        countries: EUROPEAN_UNION,
        prices_include_tax: true,
        tax: Some(("VAT", 200_000)),
        flat: (590, Some(6000)),
        express: &[(0, 1290), (2000, 1790), (10_000, 4490)],
        days: (2, 4),
    },
    DemoZone {
        code: "world",
        name: "Rest of the world",
        countries: "*",
        prices_include_tax: false,
        tax: None,
        flat: (1490, None),
        express: &[(0, 2490), (2000, 3990), (10_000, 7990)],
        days: (6, 14),
    },
];

/// An amount of hundredths in a currency: as many of its minor units, or about as much where it has none.
fn amount(hundredths: i64, currency: Currency) -> i64 {
    let more = currency.exponent().saturating_sub(2);
    hundredths.saturating_mul(10_i64.saturating_pow(more))
}

fn names(en: &str, zh: (&str, &str), chinese: bool) -> BTreeMap<String, String> {
    let mut names = BTreeMap::from([(super::ENGLISH.to_owned(), en.to_owned())]);
    if chinese {
        names.insert(super::CHINESE.to_owned(), format!("{}{}", zh.0, zh.1));
    }
    names
}

fn zone(zone: &DemoZone) -> ZoneBody {
    ZoneBody {
        name: zone.name.to_owned(),
        prices_include_tax: zone.prices_include_tax,
        areas: zone
            .countries
            .split(' ')
            .map(|country| ZoneArea {
                country: country.to_owned(),
                region: String::new(),
            })
            .collect(),
        rates: zone
            .tax
            .into_iter()
            .map(|(name, rate)| ZoneRate {
                tax_category: "standard".to_owned(),
                name: name.to_owned(),
                rate,
            })
            .collect(),
    }
}

fn methods(
    zone: &DemoZone,
    zone_id: i64,
    currencies: &[Currency],
    chinese: bool,
) -> [MethodBody; 2] {
    let rate =
        |currency: Currency, from_grams: i64, hundredths: i64, free: Option<i64>| MethodRate {
            currency,
            from_grams,
            max_grams: None,
            amount: amount(hundredths, currency),
            free_from: free.map(|hundredths| amount(hundredths, currency)),
        };
    let flat: BTreeSet<MethodRate> = currencies
        .iter()
        .map(|currency| rate(*currency, 0, zone.flat.0, zone.flat.1))
        .collect();
    let express = currencies
        .iter()
        .flat_map(|currency| {
            zone.express
                .iter()
                .map(|(grams, hundredths)| rate(*currency, *grams, *hundredths, None))
        })
        .collect();
    let method =
        |code: &str, carrier, en: &str, zh: &str, days: (i16, i16), position, rates| MethodBody {
            code: format!("{code}-{}", zone.code),
            zone_id,
            carrier,
            status: "active".to_owned(),
            tax_category: "standard".to_owned(),
            names: names(en, (zh, ""), chinese),
            days_min: days.0,
            days_max: days.1,
            position,
            rates,
        };
    [
        method(
            "standard",
            Carrier::Flat,
            "Standard delivery",
            "标准配送",
            zone.days,
            0,
            flat,
        ),
        method(
            "express",
            Carrier::Table,
            "Express delivery",
            "特快配送",
            (1, 2),
            1,
            express,
        ),
    ]
}

/// Adds zones, taxes, shipping methods and the coupon to a shop that has no zone yet. Again has no effect.
///
/// # Errors
/// Those of the database.
pub async fn write(
    connection: &mut MySqlConnection,
    currencies: &[Currency],
    chinese: bool,
) -> Result<(), sqlx::Error> {
    if store_zone::zones(connection, 0, 1).await?.is_empty() {
        for demo in ZONES {
            let zone_id = store_zone::zone_insert(connection, &zone(demo)).await?;
            for method in methods(demo, zone_id, currencies, chinese) {
                store_zone::method_insert(connection, &method).await?;
            }
        }
    }
    let codes = [COUPON.to_owned()];
    if store_promotion::coupon_taken(connection, &codes)
        .await?
        .is_none()
    {
        let welcome = PromotionBody {
            name: "Welcome".to_owned(),
            labels: names("Welcome: 10 % off", ("新客", "九折"), chinese),
            status: PromotionStatus::Active,
            needs_coupon: true,
            combines: true,
            priority: 0,
            rule: Rule {
                effect: Effect::Percentage {
                    share: Rate::from_millionths(100_000).unwrap_or(Rate::ZERO),
                },
                conditions: Conditions::default(),
            },
            starts_at: None,
            ends_at: None,
            usage_limit: None,
            per_customer_limit: Some(1),
        };
        let id = store_promotion::insert(connection, &welcome).await?;
        store_promotion::coupons_insert(connection, id, &codes, (None, None)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_of_the_demo_exists_and_is_in_one_zone() {
        let mut seen = BTreeSet::new();
        for demo in ZONES {
            for area in zone(demo).areas {
                assert!(
                    area.country == "*" || crate::accounts::country::is_country(&area.country),
                    "{}",
                    area.country
                );
                assert!(seen.insert(area.country));
            }
        }
        assert_eq!(seen.len(), 29);
    }

    #[test]
    fn each_zone_has_a_flat_and_a_table_rate_in_each_currency() {
        let currencies: Vec<Currency> = ["USD", "EUR", "JPY"]
            .map(|code| code.parse().unwrap())
            .to_vec();
        for demo in ZONES {
            let [flat, table] = methods(demo, 1, &currencies, true);
            assert_eq!((flat.carrier, flat.rates.len()), (Carrier::Flat, 3));
            assert_eq!((table.carrier, table.rates.len()), (Carrier::Table, 9));
            assert_eq!(flat.names.len(), 2);
        }
    }
}
