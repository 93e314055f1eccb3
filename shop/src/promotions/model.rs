//! Rules of promotions. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::model::Currency;
use crate::taxes::model::Rate;

/// Most products or categories that a rule names.
pub const MOST_TARGETS: usize = 200;
/// Most promotions without a coupon that are active at once.
pub const MOST_AUTOMATIC: usize = 50;
/// Most coupons of one cart.
pub const MOST_COUPONS: usize = 5;
/// Longest coupon code, in characters.
pub const LONGEST_CODE: usize = 64;

/// What a promotion takes off, and on what condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it takes off.
    pub effect: Effect,
    /// On what condition.
    #[serde(default)]
    pub conditions: Conditions,
}

/// What a promotion takes off the lines that it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// A share of each line.
    Percentage {
        /// The share in millionths: 100 000 is 10 %.
        #[schema(value_type = i32)]
        share: Rate,
    },
    /// An amount off all lines together, spread over them by what they cost.
    Fixed {
        /// The amount in minor units for each currency. In other currencies the promotion does not apply.
        amounts: BTreeMap<String, i64>,
    },
    /// Sending costs nothing.
    FreeShipping {},
    /// Of every `buy + get` pieces, put in order from the dearest to the cheapest, the last `get` are reduced.
    BuyGet {
        /// Pieces at full price.
        buy: i32,
        /// Pieces at a reduced price.
        get: i32,
        /// What is taken off these, in millionths: 1 000 000 makes them free.
        #[schema(value_type = i32)]
        share: Rate,
    },
}

/// On what condition a promotion applies. All that are set must be met.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// What all goods must cost together before discounts, in minor units for each currency. In currencies that are not named the
    /// promotion does not apply, if any is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub minimum_subtotal: BTreeMap<String, i64>,
    /// The products that it concerns. With `categories`, those and these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<i64>,
    /// The categories that it concerns, with all below them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<i64>,
    /// Only for customers without an order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub first_order: bool,
}

/// What a condition asks about a line.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The product of the line.
    pub product_id: i64,
    /// Its categories, with all above them.
    pub categories: &'a [i64],
}

impl Conditions {
    /// Whether a line is one that the promotion concerns.
    #[must_use]
    pub fn concerns(&self, subject: Subject<'_>) -> bool {
        let everything = self.products.is_empty() && self.categories.is_empty();
        everything
            || self.products.contains(&subject.product_id)
            || self
                .categories
                .iter()
                .any(|category| subject.categories.contains(category))
    }

    /// Whether the goods cost enough.
    #[must_use]
    pub fn is_enough(&self, currency: Currency, subtotal: i64) -> bool {
        self.minimum_subtotal.is_empty()
            || self
                .minimum_subtotal
                .get(currency.as_str())
                .is_some_and(|minimum| subtotal >= *minimum)
    }
}

impl Rule {
    /// What is wrong with the rule: the field and what would be right.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self) -> Result<(), Vec<(&'static str, String)>> {
        let mut wrong = Vec::new();
        let share = |share: Rate, wrong: &mut Vec<(&'static str, String)>| {
            if Rate::from_millionths(share.millionths()).is_none_or(|share| share == Rate::ZERO) {
                wrong.push((
                    "/rule/effect/share",
                    "must be from 1 to 1000000 millionths".to_owned(),
                ));
            }
        };
        match &self.effect {
            Effect::Percentage { share: part } => share(*part, &mut wrong),
            Effect::Fixed { amounts } => {
                if amounts.is_empty() {
                    wrong.push(("/rule/effect/amounts", "must name a currency".to_owned()));
                }
                check_amounts("/rule/effect/amounts", amounts, 1, &mut wrong);
            }
            Effect::FreeShipping {} => {}
            Effect::BuyGet {
                buy,
                get,
                share: part,
            } => {
                share(*part, &mut wrong);
                for (field, pieces) in [("/rule/effect/buy", buy), ("/rule/effect/get", get)] {
                    if !(1..=1000).contains(pieces) {
                        wrong.push((field, "must be from 1 to 1000".to_owned()));
                    }
                }
            }
        }
        let conditions = &self.conditions;
        check_amounts(
            "/rule/conditions/minimum_subtotal",
            &conditions.minimum_subtotal,
            1,
            &mut wrong,
        );
        for (field, ids) in [
            ("/rule/conditions/products", &conditions.products),
            ("/rule/conditions/categories", &conditions.categories),
        ] {
            if ids.len() > MOST_TARGETS {
                wrong.push((field, format!("must name at most {MOST_TARGETS}")));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

fn check_amounts(
    field: &'static str,
    amounts: &BTreeMap<String, i64>,
    minimum: i64,
    wrong: &mut Vec<(&'static str, String)>,
) {
    for (currency, amount) in amounts {
        if currency
            .parse::<Currency>()
            .is_ok_and(|known| known.as_str() == currency)
        {
            if !(minimum..=1_000_000_000_000_000).contains(amount) {
                wrong.push((
                    field,
                    format!("{currency} must be an amount of at least {minimum} minor unit"),
                ));
            }
        } else {
            let shown: String = currency.chars().take(16).collect();
            wrong.push((
                field,
                format!("{shown:?} is not a currency: give an ISO 4217 code such as EUR"),
            ));
        }
    }
}

/// A coupon code in the form in which codes are compared: upper case, without spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CouponCode(String);

impl CouponCode {
    /// The code of what somebody typed; none where it cannot be one.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 4 * LONGEST_CODE {
            return None;
        }
        let code: String = typed
            .chars()
            .filter(|character| !character.is_whitespace())
            .flat_map(char::to_uppercase)
            .collect();
        let fits = (1..=LONGEST_CODE).contains(&code.chars().count())
            && code
                .chars()
                .all(|character| character.is_alphanumeric() || "-_.%+&".contains(character));
        fits.then_some(Self(code))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A promotion that may apply, with the coupon it came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The promotion.
    pub promotion_id: i64,
    /// The coupon, where it needs one.
    pub coupon_code: Option<String>,
    /// What shoppers call it.
    pub label: String,
    /// Whether it applies together with others.
    pub combines: bool,
    /// The higher one is applied first.
    pub priority: i32,
    /// What it takes off.
    pub rule: Rule,
}

/// A promotion that an order gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedDiscount {
    /// The promotion.
    pub promotion_id: i64,
    /// The coupon it came by, where it needs one.
    pub coupon_code: Option<String>,
    /// What shoppers call it.
    pub label: String,
    /// What it takes off the goods, in minor units.
    pub amount: i64,
    /// What it takes off the shipping, in minor units. The price of the shipping is what is left.
    pub shipping_saved: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<Rule, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in [
            r#"{"effect":{"kind":"percentage","share":100000},"conditions":{}}"#,
            r#"{"effect":{"kind":"fixed","amounts":{"EUR":500}},"conditions":{"minimum_subtotal":{"EUR":5000},"categories":[3]}}"#,
            r#"{"effect":{"kind":"free_shipping"},"conditions":{"first_order":true}}"#,
            r#"{"effect":{"kind":"buy_get","buy":2,"get":1,"share":1000000},"conditions":{"products":[1,2]}}"#,
        ] {
            let rule = rule(text).unwrap();
            assert_eq!(rule.check(), Ok(()));
            assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        }
    }

    #[test]
    fn unknown_fields_and_effects_are_refused() {
        for text in [
            r#"{"effect":{"kind":"gift"}}"#,
            r#"{"effect":{"kind":"percentage","share":1,"more":2}}"#,
            r#"{"effect":{"kind":"free_shipping"},"conditions":{"weather":"rain"}}"#,
            r#"{"conditions":{}}"#,
        ] {
            assert!(rule(text).is_err(), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_rule() {
        let wrong = |text: &str| rule(text).unwrap().check().unwrap_err();
        for text in [
            r#"{"effect":{"kind":"percentage","share":0}}"#,
            r#"{"effect":{"kind":"percentage","share":1000001}}"#,
            r#"{"effect":{"kind":"percentage","share":-5}}"#,
            r#"{"effect":{"kind":"fixed","amounts":{}}}"#,
            r#"{"effect":{"kind":"fixed","amounts":{"eur":5}}}"#,
            r#"{"effect":{"kind":"fixed","amounts":{"EUR":-5}}}"#,
            r#"{"effect":{"kind":"buy_get","buy":0,"get":1,"share":1}}"#,
        ] {
            assert_eq!(wrong(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn codes_are_compared_without_case_and_spaces() {
        assert_eq!(
            CouponCode::parse(" Welcome 10 ").unwrap().as_str(),
            "WELCOME10"
        );
        assert_eq!(CouponCode::parse("straße").unwrap().as_str(), "STRASSE");
        for wrong in ["", "  ", "a\"b", "<x>", &"x".repeat(65), "\u{0}"] {
            assert_eq!(CouponCode::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_condition_concerns_products_and_categories() {
        let conditions = Conditions {
            products: vec![7],
            categories: vec![3],
            ..Conditions::default()
        };
        let concerns = |product_id, categories: &[i64]| {
            conditions.concerns(Subject {
                product_id,
                categories,
            })
        };
        assert!(concerns(7, &[]) && concerns(1, &[1, 3]));
        assert!(!concerns(1, &[1, 2]));
        assert!(Conditions::default().concerns(Subject {
            product_id: 1,
            categories: &[]
        }));
    }

    #[test]
    fn a_minimum_counts_in_its_own_currency_only() {
        let conditions = Conditions {
            minimum_subtotal: BTreeMap::from([("EUR".to_owned(), 5000)]),
            ..Conditions::default()
        };
        assert!(conditions.is_enough("EUR".parse().unwrap(), 5000));
        assert!(!conditions.is_enough("EUR".parse().unwrap(), 4999));
        assert!(!conditions.is_enough("USD".parse().unwrap(), 99_999));
    }
}
