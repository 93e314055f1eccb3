//! Rules, signals, and what they amount to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RiskSettings;

/// When an order is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The order is a draft and no money was asked for.
    BeforePayment,
    /// The payment is authorised; the card is known.
    AfterAuthorization,
}

impl Stage {
    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforePayment => "before_payment",
            Self::AfterAuthorization => "after_authorization",
        }
    }
}

/// What becomes of the order.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing is wrong with it.
    #[default]
    Accept,
    /// A person must look at it before it is fulfilled.
    Review,
    /// It is not made, or cancelled.
    Refuse,
}

impl Outcome {
    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Review => "review",
            Self::Refuse => "refuse",
        }
    }
}

/// Why a judgement is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// The name of the rule or list.
    pub rule: String,
    /// What it found, for the person who looks.
    pub finding: String,
    /// What it adds to the score.
    pub weight: i32,
    /// Whether it is only watched and does not count.
    pub shadow: bool,
}

/// A judgement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assessment {
    /// The sum of the weights that count.
    pub score: i32,
    /// What becomes of the order.
    pub outcome: Outcome,
    /// What would become of it if rules in shadow counted as well.
    pub shadow_outcome: Outcome,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Whose orders are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Of the same e-mail address.
    Account,
    /// To the same postal address.
    Address,
    /// From the same IP address.
    Ip,
    /// With the same card.
    Card,
    /// With a coupon, by other accounts, from the same IP address or to the same postal address.
    Coupon,
}

/// What a rule looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    tag = "kind",
    content = "parameters",
    rename_all = "snake_case",
    deny_unknown_fields
)]
pub enum Condition {
    /// More orders of the same e-mail address than `more_than` in the last `minutes`, this one not counted.
    VelocityAccount(Velocity),
    /// More orders to the same postal address.
    VelocityAddress(Velocity),
    /// More orders from the same IP address.
    VelocityIp(Velocity),
    /// More payments with the same card. Known after its authorisation.
    VelocityCard(Velocity),
    /// A total from `at_least` on, in minor units of `currency`.
    Amount {
        /// ISO 4217.
        currency: String,
        /// In minor units.
        at_least: i64,
    },
    /// An account that is younger than `younger_than_hours`. Guests have none: they count when `guests` says so.
    NewAccount {
        /// In hours.
        younger_than_hours: i64,
        /// Whether orders without an account count as well.
        #[serde(default)]
        guests: bool,
    },
    /// The order goes to one country and is billed to another, or the card is from a third.
    CountryMismatch {},
    /// The order goes to another address than it is billed to.
    AddressMismatch {},
    /// The order has a coupon, and more than `more_than` other accounts used one from the same IP address or for the same
    /// postal address in the last `minutes`.
    CouponAbuse(Velocity),
}

/// How many in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Velocity {
    /// The time looked back on, in minutes, at most 30 days.
    pub minutes: u32,
    /// How many are nothing unusual, at most 500.
    pub more_than: u32,
}

/// Most minutes that a rule looks back on.
pub const LONGEST_WINDOW: u32 = 30 * 24 * 60;
/// Most orders that a rule lets pass; counting ends beyond it.
pub const MOST_COUNTED: u32 = 500;

impl Velocity {
    const fn may_be(self) -> bool {
        self.minutes >= 1 && self.minutes <= LONGEST_WINDOW && self.more_than <= MOST_COUNTED
    }
}

impl Condition {
    /// The kinds, as they are written.
    pub const KINDS: &'static [&'static str] = &[
        "velocity_account",
        "velocity_address",
        "velocity_ip",
        "velocity_card",
        "amount",
        "new_account",
        "country_mismatch",
        "address_mismatch",
        "coupon_abuse",
    ];

    /// Reads a condition from its kind and parameters.
    ///
    /// # Errors
    /// A text that says what would be right.
    pub fn read(kind: &str, parameters: &serde_json::Value) -> Result<Self, String> {
        if !Self::KINDS.contains(&kind) {
            return Err(format!(
                "{kind:?} is not a kind of rule; they are {}",
                Self::KINDS.join(", ")
            ));
        }
        let whole = serde_json::json!({"kind": kind, "parameters": parameters});
        let condition: Self =
            serde_json::from_value(whole).map_err(|error| format!("of {kind}: {error}"))?;
        let fits = match &condition {
            Self::VelocityAccount(velocity)
            | Self::VelocityAddress(velocity)
            | Self::VelocityIp(velocity)
            | Self::VelocityCard(velocity)
            | Self::CouponAbuse(velocity) => velocity.may_be(),
            Self::Amount { currency, at_least } => currency.len() == 3 && *at_least >= 0,
            Self::NewAccount {
                younger_than_hours, ..
            } => (1..=24 * 366).contains(younger_than_hours),
            Self::CountryMismatch {} | Self::AddressMismatch {} => true,
        };
        if fits {
            Ok(condition)
        } else {
            Err(format!(
                "of {kind} are out of bounds: minutes 1 to {LONGEST_WINDOW}, more_than at most {MOST_COUNTED}, \
                 younger_than_hours 1 to 8784, currency as ISO 4217, at_least not below 0"
            ))
        }
    }

    /// What must be counted for it: whose orders, in how many minutes.
    #[must_use]
    pub const fn count(&self) -> Option<(Subject, Velocity)> {
        match self {
            Self::VelocityAccount(velocity) => Some((Subject::Account, *velocity)),
            Self::VelocityAddress(velocity) => Some((Subject::Address, *velocity)),
            Self::VelocityIp(velocity) => Some((Subject::Ip, *velocity)),
            Self::VelocityCard(velocity) => Some((Subject::Card, *velocity)),
            Self::CouponAbuse(velocity) => Some((Subject::Coupon, *velocity)),
            _ => None,
        }
    }
}

/// A rule that is in force, or watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it looks for.
    pub condition: Condition,
    /// What it adds to the score.
    pub weight: i32,
    /// Whether it is only watched.
    pub shadow: bool,
}

/// A list that the order, or somebody in it, is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whether it is the list of those who are always refused.
    pub denied: bool,
    /// What is on the list: email, ip, card, address, country.
    pub kind: String,
}

/// What is known of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// The total in minor units.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
    /// The age of the account in hours; none for guests.
    pub account_hours: Option<i64>,
    /// Where it goes: country, and the address in a form in which equal ones are equal.
    pub shipping: Option<Place>,
    /// Where it is billed to.
    pub billing: Option<Place>,
    /// The country of the card, where the provider tells it.
    pub card_country: Option<String>,
    /// Whether it has a coupon.
    pub has_coupon: bool,
    /// What was counted.
    pub counts: BTreeMap<(Subject, u32), i64>,
}

/// An address as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Postcode, city and first line, without spaces, in lower case.
    pub door: String,
}

/// What must be counted for these rules.
#[must_use]
pub fn wanted_counts(rules: &[Rule]) -> BTreeSet<(Subject, u32)> {
    rules
        .iter()
        .filter_map(|rule| rule.condition.count())
        .map(|(subject, velocity)| (subject, velocity.minutes))
        .collect()
}

/// What a condition finds in an order, if it finds something.
fn finding(condition: &Condition, signals: &Signals) -> Option<String> {
    let counted = |subject: Subject, velocity: &Velocity, what: &str| {
        let count = signals.counts.get(&(subject, velocity.minutes)).copied()?;
        (count > i64::from(velocity.more_than)).then(|| {
            format!(
                "{count} {what} in {} minutes, more than {}",
                velocity.minutes, velocity.more_than
            )
        })
    };
    match condition {
        Condition::VelocityAccount(velocity) => counted(
            Subject::Account,
            velocity,
            "other orders of this e-mail address",
        ),
        Condition::VelocityAddress(velocity) => {
            counted(Subject::Address, velocity, "other orders to this address")
        }
        Condition::VelocityIp(velocity) => {
            counted(Subject::Ip, velocity, "other orders from this IP address")
        }
        Condition::VelocityCard(velocity) => {
            counted(Subject::Card, velocity, "other payments with this card")
        }
        Condition::CouponAbuse(velocity) if signals.has_coupon => counted(
            Subject::Coupon,
            velocity,
            "other accounts with coupons from this IP address or at this address",
        ),
        Condition::CouponAbuse(_) => None,
        Condition::Amount { currency, at_least } => {
            (*currency == signals.currency && signals.total >= *at_least).then(|| {
                format!(
                    "a total of {} {currency}, from {at_least} on",
                    signals.total
                )
            })
        }
        Condition::NewAccount {
            younger_than_hours,
            guests,
        } => match signals.account_hours {
            Some(hours) if hours < *younger_than_hours => {
                Some(format!("an account of {hours} hours"))
            }
            None if *guests => Some("no account".to_owned()),
            _ => None,
        },
        Condition::CountryMismatch {} => {
            let countries: BTreeSet<&str> = [&signals.shipping, &signals.billing]
                .into_iter()
                .flatten()
                .map(|place| place.country.as_str())
                .chain(signals.card_country.as_deref())
                .collect();
            (countries.len() > 1).then(|| {
                let countries: Vec<&str> = countries.into_iter().collect();
                format!("address, bill and card are of {}", countries.join(", "))
            })
        }
        Condition::AddressMismatch {} => match (&signals.shipping, &signals.billing) {
            (Some(shipping), Some(billing)) if shipping != billing => {
                Some("it goes to another address than it is billed to".to_owned())
            }
            _ => None,
        },
    }
}

/// What the rules and lists amount to. Whoever is on a list of those who are refused is refused, whoever is on one of those
/// who are let through is let through, the former first; else the sum of the weights decides.
#[must_use]
pub fn judge(
    rules: &[Rule],
    listed: &[Listed],
    signals: &Signals,
    settings: &RiskSettings,
) -> Assessment {
    let mut reasons: Vec<Reason> = listed
        .iter()
        .map(|entry| Reason {
            rule: if entry.denied {
                "deny list"
            } else {
                "allow list"
            }
            .to_owned(),
            finding: format!("{} is on the list", entry.kind),
            weight: 0,
            shadow: false,
        })
        .collect();
    let (mut score, mut shadow_score) = (0_i32, 0_i32);
    for rule in rules {
        if let Some(finding) = finding(&rule.condition, signals) {
            shadow_score = shadow_score.saturating_add(rule.weight);
            if !rule.shadow {
                score = score.saturating_add(rule.weight);
            }
            reasons.push(Reason {
                rule: rule.name.clone(),
                finding,
                weight: rule.weight,
                shadow: rule.shadow,
            });
        }
    }
    let outcome = |score: i32| {
        if listed.iter().any(|entry| entry.denied) {
            Outcome::Refuse
        } else if !listed.is_empty() {
            Outcome::Accept
        } else if score >= settings.refuse_from {
            Outcome::Refuse
        } else if score >= settings.review_from {
            Outcome::Review
        } else {
            Outcome::Accept
        }
    };
    Assessment {
        score,
        outcome: outcome(score),
        shadow_outcome: outcome(shadow_score),
        reasons,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "written as a literal by its callers"
    )]
    fn rule(kind: &str, parameters: serde_json::Value, weight: i32) -> Rule {
        Rule {
            name: kind.to_owned(),
            condition: Condition::read(kind, &parameters).unwrap(),
            weight,
            shadow: false,
        }
    }

    fn place(country: &str, door: &str) -> Option<Place> {
        Some(Place {
            country: country.to_owned(),
            door: door.to_owned(),
        })
    }

    fn signals() -> Signals {
        Signals {
            total: 5000,
            currency: "EUR".to_owned(),
            account_hours: Some(1000),
            shipping: place("DE", "a"),
            billing: place("DE", "a"),
            ..Signals::default()
        }
    }

    fn outcome(rules: &[Rule], signals: &Signals) -> (i32, Outcome, Outcome) {
        let judged = judge(rules, &[], signals, &RiskSettings::default());
        (judged.score, judged.outcome, judged.shadow_outcome)
    }

    #[test]
    fn each_condition_finds_what_it_is_for_and_nothing_else() {
        let window = json!({"minutes": 60, "more_than": 2});
        let with = |change: fn(&mut Signals)| {
            let mut signals = signals();
            change(&mut signals);
            signals
        };
        let counted = |subject: Subject, count: i64| {
            let mut signals = signals();
            signals.counts.insert((subject, 60), count);
            signals.has_coupon = true;
            signals
        };
        let table = [
            (
                "velocity_account",
                window.clone(),
                counted(Subject::Account, 3),
                counted(Subject::Account, 2),
            ),
            (
                "velocity_address",
                window.clone(),
                counted(Subject::Address, 3),
                counted(Subject::Account, 3),
            ),
            (
                "velocity_ip",
                window.clone(),
                counted(Subject::Ip, 3),
                counted(Subject::Ip, 0),
            ),
            (
                "velocity_card",
                window.clone(),
                counted(Subject::Card, 3),
                signals(),
            ),
            ("coupon_abuse", window, counted(Subject::Coupon, 3), {
                let mut signals = counted(Subject::Coupon, 3);
                signals.has_coupon = false;
                signals
            }),
            (
                "amount",
                json!({"currency": "EUR", "at_least": 5000}),
                signals(),
                with(|signals| signals.total = 4999),
            ),
            (
                "amount",
                json!({"currency": "EUR", "at_least": 0}),
                signals(),
                with(|signals| signals.currency = "USD".to_owned()),
            ),
            (
                "new_account",
                json!({"younger_than_hours": 24}),
                with(|signals| signals.account_hours = Some(23)),
                with(|signals| signals.account_hours = None),
            ),
            (
                "new_account",
                json!({"younger_than_hours": 24, "guests": true}),
                with(|signals| signals.account_hours = None),
                signals(),
            ),
            (
                "country_mismatch",
                json!({}),
                with(|signals| signals.billing = place("FR", "a")),
                with(|signals| signals.billing = place("DE", "b")),
            ),
            (
                "country_mismatch",
                json!({}),
                with(|signals| signals.card_country = Some("US".to_owned())),
                with(|signals| signals.billing = None),
            ),
            (
                "address_mismatch",
                json!({}),
                with(|signals| signals.billing = place("DE", "b")),
                with(|signals| signals.billing = None),
            ),
        ];
        for (kind, parameters, hit, miss) in table {
            let rules = [rule(kind, parameters, 60)];
            assert_eq!(
                outcome(&rules, &hit),
                (60, Outcome::Review, Outcome::Review),
                "{kind}"
            );
            assert_eq!(
                outcome(&rules, &miss),
                (0, Outcome::Accept, Outcome::Accept),
                "{kind}"
            );
        }
    }

    #[test]
    fn weights_add_up_and_rules_in_shadow_only_watch() {
        let amount = || rule("amount", json!({"currency": "EUR", "at_least": 0}), 60);
        let shadow = Rule {
            shadow: true,
            ..amount()
        };
        assert_eq!(
            outcome(&[amount(), amount()], &signals()),
            (120, Outcome::Refuse, Outcome::Refuse)
        );
        assert_eq!(
            outcome(&[amount(), shadow.clone()], &signals()),
            (60, Outcome::Review, Outcome::Refuse)
        );
        let trusted = Rule {
            weight: -60,
            ..amount()
        };
        assert_eq!(outcome(&[amount(), trusted], &signals()).1, Outcome::Accept);
        let judged = judge(&[shadow], &[], &signals(), &RiskSettings::default());
        assert!(judged.reasons[0].shadow && judged.outcome == Outcome::Accept);
    }

    #[test]
    fn lists_decide_and_refusal_goes_first() {
        let rules = [rule(
            "amount",
            json!({"currency": "EUR", "at_least": 0}),
            500,
        )];
        let listed = |denied: bool| Listed {
            denied,
            kind: "email".to_owned(),
        };
        let judged =
            |listed: &[Listed]| judge(&rules, listed, &signals(), &RiskSettings::default()).outcome;
        assert_eq!(judged(&[]), Outcome::Refuse);
        assert_eq!(judged(&[listed(false)]), Outcome::Accept);
        assert_eq!(judged(&[listed(false), listed(true)]), Outcome::Refuse);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_with_words() {
        for (kind, parameters) in [
            ("velocity_moon", json!({})),
            ("velocity_ip", json!({})),
            ("velocity_ip", json!({"minutes": 0, "more_than": 1})),
            ("velocity_ip", json!({"minutes": 60, "more_than": 501})),
            (
                "velocity_ip",
                json!({"minutes": 60, "more_than": 1, "per": "day"}),
            ),
            ("amount", json!({"currency": "EURO", "at_least": 1})),
            ("new_account", json!({"younger_than_hours": 0})),
            ("country_mismatch", json!({"strict": true})),
        ] {
            assert!(
                Condition::read(kind, &parameters).is_err(),
                "{kind} {parameters}"
            );
        }
        for kind in Condition::KINDS {
            assert!(
                !Condition::read(kind, &json!(7))
                    .unwrap_err()
                    .contains("not a kind"),
                "{kind}"
            );
        }
    }
}
