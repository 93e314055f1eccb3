//! Zones, rates and the arithmetic of tax. Pure.

use serde::{Deserialize, Serialize};

/// The word for every country in an area.
pub const EVERYWHERE: &str = "*";

/// A share in millionths: 190 000 is 19 %.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rate(i32);

/// Millionths in a whole.
const WHOLE: i128 = 1_000_000;

impl Rate {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(1_000_000);

    /// A share of so many millionths; none outside of 0 to 1 000 000.
    #[must_use]
    pub fn from_millionths(millionths: i32) -> Option<Self> {
        (0..=1_000_000)
            .contains(&millionths)
            .then_some(Self(millionths))
    }

    /// The share in millionths.
    #[must_use]
    pub const fn millionths(self) -> i32 {
        self.0
    }

    /// This share of an amount, in whole minor units, halves up. Never more than the amount.
    #[must_use]
    pub fn share_of(self, amount: i64) -> i64 {
        divide_half_up(i128::from(amount) * i128::from(self.0), WHOLE)
    }

    /// The tax of an amount: on top of it, or contained in it.
    #[must_use]
    pub fn of(self, amount: i64, prices: Prices) -> i64 {
        match prices {
            Prices::WithoutTax => self.share_of(amount),
            Prices::WithTax => divide_half_up(
                i128::from(amount) * i128::from(self.0),
                WHOLE + i128::from(self.0),
            ),
        }
    }
}

/// Whether prices contain the tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prices {
    /// The tax is part of the price.
    WithTax,
    /// The tax comes on top of the price.
    WithoutTax,
}

impl Prices {
    /// What a zone says.
    #[must_use]
    pub const fn including(prices_include_tax: bool) -> Self {
        if prices_include_tax {
            Self::WithTax
        } else {
            Self::WithoutTax
        }
    }

    /// What is paid for an amount with this tax.
    #[must_use]
    pub const fn gross(self, amount: i64, tax: i64) -> i64 {
        match self {
            Self::WithTax => amount,
            Self::WithoutTax => amount.saturating_add(tax),
        }
    }
}

/// Divides by a positive number and rounds to the nearest integer, halves up. For numerators that are not negative.
fn divide_half_up(numerator: i128, denominator: i128) -> i64 {
    let rounded = (numerator.max(0) * 2 + denominator) / (denominator * 2);
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// A part of the world that belongs to a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Area {
    /// ISO 3166-1 alpha-2 in capitals, or [`EVERYWHERE`].
    pub country: String,
    /// The part after the hyphen of ISO 3166-2 in capitals, or empty for all of the country.
    #[serde(default)]
    pub region: String,
}

impl Area {
    /// How exactly the area fits a place; `None` where it does not.
    #[must_use]
    pub fn fit(&self, country: &str, region: &str) -> Option<u8> {
        if self.country == EVERYWHERE {
            return Some(0);
        }
        if !self.country.eq_ignore_ascii_case(country) {
            return None;
        }
        if self.region.is_empty() {
            return Some(1);
        }
        self.region.eq_ignore_ascii_case(region).then_some(2)
    }
}

/// The zone of a place: of the areas that fit it, the most exact one's. Areas are in one zone each, so there is no draw.
pub fn zone_of<'a>(
    areas: impl IntoIterator<Item = (i64, &'a Area)>,
    country: &str,
    region: &str,
) -> Option<i64> {
    areas
        .into_iter()
        .filter_map(|(zone, area)| Some((area.fit(country, region)?, zone)))
        .max_by_key(|(fit, _)| *fit)
        .map(|(_, zone)| zone)
}

/// What is due for a tax category.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaxRate {
    /// What it is called on the order, such as `VAT`; empty where there is none.
    pub name: String,
    /// How much.
    pub rate: Rate,
}

/// A zone as an order is taxed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its id.
    pub id: i64,
    /// Whether prices contain the tax.
    pub prices: Prices,
    /// Rates by tax category.
    pub rates: Vec<(String, TaxRate)>,
}

impl Zone {
    /// What is due for a tax category; nothing where the zone does not name it.
    #[must_use]
    pub fn rate(&self, tax_category: &str) -> TaxRate {
        self.rates
            .iter()
            .find(|(category, _)| category == tax_category)
            .map(|(_, rate)| rate.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(millionths: i32) -> Rate {
        Rate::from_millionths(millionths).unwrap()
    }

    fn area(country: &str, region: &str) -> Area {
        Area {
            country: country.to_owned(),
            region: region.to_owned(),
        }
    }

    #[test]
    fn tax_on_top_is_rounded_half_up() {
        // 19 % of 0.50 is 0.095; 8.875 % of 20.00 is 1.775; 7 % of 0.50 is 0.035.
        for (amount, millionths, tax) in [
            (50, 190_000, 10),
            (2000, 88_750, 178),
            (50, 70_000, 4),
            (49, 70_000, 3),
            (100, 0, 0),
            (0, 190_000, 0),
        ] {
            assert_eq!(
                rate(millionths).of(amount, Prices::WithoutTax),
                tax,
                "{amount}"
            );
        }
    }

    #[test]
    fn tax_within_is_what_would_have_come_on_top() {
        for (amount, millionths, tax) in [
            (11_900, 190_000, 1900),
            (10_000, 200_000, 1667),
            (1, 1_000_000, 1),
            (999, 0, 0),
        ] {
            assert_eq!(
                rate(millionths).of(amount, Prices::WithTax),
                tax,
                "{amount}"
            );
        }
    }

    #[test]
    fn the_most_exact_area_decides() {
        let areas = [
            (1, area(EVERYWHERE, "")),
            (2, area("US", "")),
            (3, area("US", "CA")),
            (4, area("DE", "")),
        ];
        let zone =
            |country, region| zone_of(areas.iter().map(|(id, area)| (*id, area)), country, region);
        assert_eq!(zone("US", "CA"), Some(3));
        assert_eq!(zone("us", "ca"), Some(3));
        assert_eq!(zone("US", "NY"), Some(2));
        assert_eq!(zone("US", ""), Some(2));
        assert_eq!(zone("DE", "BY"), Some(4));
        assert_eq!(zone("JP", ""), Some(1));
        assert_eq!(
            zone_of(areas.iter().skip(1).map(|(id, area)| (*id, area)), "JP", ""),
            None
        );
    }

    #[test]
    fn what_a_zone_does_not_name_is_not_taxed() {
        let zone = Zone {
            id: 1,
            prices: Prices::WithTax,
            rates: vec![(
                "standard".to_owned(),
                TaxRate {
                    name: "VAT".to_owned(),
                    rate: rate(200_000),
                },
            )],
        };
        assert_eq!(zone.rate("standard").rate, rate(200_000));
        assert_eq!(zone.rate("books"), TaxRate::default());
    }

    proptest! {
        #[test]
        fn tax_is_never_negative_nor_more_than_the_amount(amount in 0..=i64::MAX, millionths in 0..=1_000_000) {
            for prices in [Prices::WithTax, Prices::WithoutTax] {
                let tax = rate(millionths).of(amount, prices);
                prop_assert!(tax >= 0 && tax <= amount);
            }
        }

        #[test]
        fn adding_tax_and_taking_it_out_again_comes_back(net in 0..=1_000_000_000_000_i64, millionths in 0..=1_000_000) {
            let rate = rate(millionths);
            let tax = rate.of(net, Prices::WithoutTax);
            let within = rate.of(net + tax, Prices::WithTax);
            prop_assert!((tax - within).abs() <= 1, "{tax} and {within}");
        }
    }
}
