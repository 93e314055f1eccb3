//! Methods, rates and the choice among them. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::model::Currency;

/// How a method's rates are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// One rate for each currency.
    Flat,
    /// A rate for each band of weight.
    Table,
}

impl Carrier {
    /// The word that the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Table => "table",
        }
    }

    /// The carrier of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Flat, Self::Table]
            .into_iter()
            .find(|carrier| carrier.as_str() == word)
    }
}

/// What sending costs in one currency from one weight on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShippingRate {
    /// The currency.
    pub currency: Currency,
    /// The weight at which the band begins, in grams.
    pub from_grams: i64,
    /// The heaviest that goes at this rate, in grams; none where the next band or nothing limits it.
    pub max_grams: Option<i64>,
    /// What it costs in minor units.
    pub amount: i64,
    /// From what the goods cost after discounts, in minor units, sending them costs nothing.
    pub free_from: Option<i64>,
}

/// A way to send an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its id.
    pub id: i64,
    /// What programs call it.
    pub code: String,
    /// The zone that it is offered in.
    pub zone_id: i64,
    /// How its rates are laid out.
    pub carrier: Carrier,
    /// What it is taxed as.
    pub tax_category: String,
    /// What shoppers call it, by locale.
    pub names: BTreeMap<String, String>,
    /// Days that it takes at best.
    pub days_min: i16,
    /// Days that it takes at worst.
    pub days_max: i16,
    /// Its place among the methods.
    pub position: i32,
    /// Its rates.
    pub rates: Vec<ShippingRate>,
}

impl Method {
    /// What sending so many grams of goods for so much costs; none where the method does not take them.
    ///
    /// Of the bands in the currency the heaviest that begins at or below the weight counts, if its `max_grams` allows it.
    #[must_use]
    pub fn quote(&self, currency: Currency, grams: i64, goods: i64) -> Option<i64> {
        let rate = self
            .rates
            .iter()
            .filter(|rate| rate.currency == currency && rate.from_grams <= grams)
            .max_by_key(|rate| rate.from_grams)
            .filter(|rate| rate.max_grams.is_none_or(|max| grams <= max))?;
        let free = rate.free_from.is_some_and(|free_from| goods >= free_from);
        Some(if free { 0 } else { rate.amount })
    }

    /// What it is called in a language, or in the first of the shop's, or its code.
    #[must_use]
    pub fn name(&self, locale: &str, first_locale: &str) -> &str {
        [locale, first_locale]
            .into_iter()
            .find_map(|locale| self.names.get(locale))
            .map_or(self.code.as_str(), String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn euro() -> Currency {
        "EUR".parse().unwrap()
    }

    fn band(
        from_grams: i64,
        max_grams: Option<i64>,
        amount: i64,
        free_from: Option<i64>,
    ) -> ShippingRate {
        ShippingRate {
            currency: euro(),
            from_grams,
            max_grams,
            amount,
            free_from,
        }
    }

    fn method(rates: Vec<ShippingRate>) -> Method {
        Method {
            id: 1,
            code: "parcel".to_owned(),
            zone_id: 1,
            carrier: Carrier::Table,
            tax_category: "standard".to_owned(),
            names: BTreeMap::from([("en".to_owned(), "Parcel".to_owned())]),
            days_min: 1,
            days_max: 3,
            position: 0,
            rates,
        }
    }

    #[test]
    fn the_heaviest_band_at_or_below_the_weight_counts() {
        let method = method(vec![
            band(0, None, 300, None),
            band(1000, None, 500, None),
            band(5000, Some(20_000), 900, None),
        ]);
        let quote = |grams| method.quote(euro(), grams, 100);
        assert_eq!(quote(0), Some(300));
        assert_eq!((quote(999), quote(1000)), (Some(300), Some(500)));
        assert_eq!((quote(20_000), quote(20_001)), (Some(900), None));
    }

    #[test]
    fn a_band_that_ends_early_leaves_a_gap() {
        let method = method(vec![
            band(0, Some(500), 300, None),
            band(1000, None, 500, None),
        ]);
        assert_eq!(method.quote(euro(), 700, 100), None);
    }

    #[test]
    fn another_currency_has_other_rates() {
        let method = method(vec![band(0, None, 300, None)]);
        assert_eq!(method.quote("USD".parse().unwrap(), 0, 100), None);
    }

    #[test]
    fn enough_goods_are_sent_for_nothing() {
        let method = method(vec![band(0, None, 300, Some(5000))]);
        assert_eq!(method.quote(euro(), 10, 4999), Some(300));
        assert_eq!(method.quote(euro(), 10, 5000), Some(0));
    }

    #[test]
    fn names_fall_back() {
        let method = method(Vec::new());
        assert_eq!(method.name("zh-cn", "en"), "Parcel");
        assert_eq!(method.name("de", "fr"), "parcel");
    }

    proptest! {
        #[test]
        fn a_quote_is_one_of_the_rates_or_nothing(
            bands in prop::collection::btree_map(0..10_000i64, (0..5000i64, prop::option::of(0..10_000i64)), 0..6),
            grams in 0..20_000i64,
            goods in 0..20_000i64,
        ) {
            let rates: Vec<_> = bands.into_iter().map(|(from, (amount, free))| band(from, None, amount, free)).collect();
            let quote = method(rates.clone()).quote(euro(), grams, goods);
            match quote {
                None => prop_assert!(rates.iter().all(|rate| rate.from_grams > grams)),
                Some(0) => {}
                Some(amount) => prop_assert!(rates.iter().any(|rate| rate.amount == amount && rate.from_grams <= grams)),
            }
        }
    }
}
