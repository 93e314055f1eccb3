//! Promotions and coupons as staff see them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::fields::{FromBody, Object, array, boolean, instant, integer, small_integer, text};
use super::zone::names;
use crate::promotions::model::{CouponCode, LONGEST_CODE, Rule};

/// Most coupons made by one request.
pub const MOST_COUPONS_AT_ONCE: usize = 1000;
/// Highest limit of use.
const HIGHEST_LIMIT: i64 = 1_000_000_000;
/// Random characters of codes that are made: 32 to the power of 10 of them.
const CODE_CHARACTERS: usize = 10;
/// Characters of codes that are made: none looks like another.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Where a promotion is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromotionStatus {
    /// It is being written, and applies to nobody.
    Draft,
    /// It applies between `starts_at` and `ends_at`.
    Active,
    /// It is over for good.
    Archived,
}

impl PromotionStatus {
    /// The word that the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Draft, Self::Active, Self::Archived]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// The body that makes or replaces a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PromotionBody {
    /// What staff call it.
    pub name: String,
    /// What shoppers call it, by locale; others fall back to the shop's first, and that to `name`.
    pub labels: BTreeMap<String, String>,
    /// `draft`, `active` or `archived`. A draft may become active or archived, what is active archived.
    pub status: PromotionStatus,
    /// Whether it takes a coupon. Fixed once it is made.
    pub needs_coupon: bool,
    /// Whether it applies together with others that do.
    pub combines: bool,
    /// The higher one is applied first.
    pub priority: i32,
    /// What it takes off, and on what condition.
    pub rule: Rule,
    /// When it begins to apply (RFC 3339).
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    pub starts_at: Option<OffsetDateTime>,
    /// When it ceases to apply (RFC 3339).
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    pub ends_at: Option<OffsetDateTime>,
    /// How many orders may have it. Whether there is a limit is fixed once it is no longer a draft; how high it is, is not.
    pub usage_limit: Option<i64>,
    /// How many orders of one customer may have it. Whether there is a limit is fixed once it is no longer a draft.
    pub per_customer_limit: Option<i64>,
}

/// A promotion.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StaffPromotion {
    /// Its number.
    pub id: i64,
    /// What it is.
    #[serde(flatten)]
    pub promotion: PromotionBody,
    /// How many orders have it.
    pub used: i64,
    /// The number in its `ETag`.
    pub version: i64,
}

impl PromotionBody {
    /// What of a change cannot be, as field and reason.
    #[must_use]
    pub fn refusal(&self, before: &Self) -> Option<(&'static str, &'static str)> {
        use PromotionStatus::{Active, Archived, Draft};
        if before.needs_coupon != self.needs_coupon {
            return Some((
                "/needs_coupon",
                "is fixed once a promotion is made: make another one",
            ));
        }
        if !matches!(
            (before.status, self.status),
            (Draft, _) | (Active, Active | Archived) | (Archived, Archived)
        ) {
            return Some((
                "/status",
                "goes from draft to active and from there to archived, and never back",
            ));
        }
        if before.status == Draft {
            return None;
        }
        // Orders are counted where there is a limit, so a limit cannot come later or go.
        if before.usage_limit.is_some() != self.usage_limit.is_some() {
            return Some((
                "/usage_limit",
                "can be raised or lowered, but not set or removed once the promotion is active",
            ));
        }
        if before.per_customer_limit.is_some() != self.per_customer_limit.is_some() {
            return Some((
                "/per_customer_limit",
                "can be raised or lowered, but not set or removed once the promotion is active",
            ));
        }
        None
    }
}

fn limit(value: Value) -> Result<i64, String> {
    integer(1, HIGHEST_LIMIT)(value)
}

impl FromBody for PromotionBody {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let name = object.required("name", text(1, 190));
        let labels = object.required("labels", names);
        let status = object.required("status", |value| {
            text(1, 16)(value).and_then(|word| {
                PromotionStatus::from_word(&word)
                    .ok_or_else(|| "must be draft, active or archived".to_owned())
            })
        });
        let needs_coupon = object.required("needs_coupon", boolean);
        let combines = object.optional("combines", boolean);
        let priority = object.optional("priority", small_integer);
        let rule = object.required("rule", |value| {
            serde_json::from_value::<Rule>(value).map_err(|error| format!("is no rule: {error}"))
        });
        let starts_at = object.nullable("starts_at", instant);
        let ends_at = object.nullable("ends_at", instant);
        let usage_limit = object.nullable("usage_limit", limit);
        let per_customer_limit = object.nullable("per_customer_limit", limit);
        let rule = rule?;
        if let Err(wrong) = rule.check() {
            for (field, message) in wrong {
                object.error_below("", field.trim_start_matches('/'), message);
            }
        }
        let (starts_at, ends_at) = (starts_at?.flatten(), ends_at?.flatten());
        if let (Some(start), Some(end)) = (starts_at, ends_at)
            && end <= start
        {
            object.error("ends_at", "must be after starts_at");
        }
        let per_customer_limit = per_customer_limit?.flatten();
        if rule.conditions.first_order && per_customer_limit != Some(1) {
            object.error(
                "per_customer_limit",
                "must be 1 for a first order: an order that is being paid counts too",
            );
        }
        Some(Self {
            name: name?,
            labels: labels?,
            status: status?,
            needs_coupon: needs_coupon?,
            combines: combines?.unwrap_or(true),
            priority: priority?.unwrap_or(0),
            rule,
            starts_at,
            ends_at,
            usage_limit: usage_limit?.flatten(),
            per_customer_limit,
        })
    }
}

/// The body that makes coupons: those that are named, or so many with codes that nobody can guess.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
pub struct CouponsBody {
    /// The codes, at most 1000. Case and spaces do not matter.
    pub codes: Option<Vec<String>>,
    /// How many codes are to be made, at most 1000.
    pub count: Option<i64>,
    /// What codes that are made begin with.
    pub prefix: Option<String>,
    /// How many orders may use each. Fixed once it is made.
    pub usage_limit: Option<i64>,
    /// How many orders of one customer may use each. Fixed once it is made.
    pub per_customer_limit: Option<i64>,
}

fn read_code(value: Value) -> Result<String, String> {
    let typed = text(1, LONGEST_CODE)(value)?;
    CouponCode::parse(&typed)
        .map(|code| code.as_str().to_owned())
        .ok_or_else(|| {
            format!("must be 1 to {LONGEST_CODE} letters, digits and the characters - _ . % + &")
        })
}

impl FromBody for CouponsBody {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let codes = object.optional("codes", |value| {
            let mut codes = BTreeSet::new();
            for (index, item) in array(value)?.into_iter().enumerate() {
                let code = read_code(item).map_err(|message| format!("item {index} {message}"))?;
                if !codes.insert(code) {
                    return Err(format!("item {index} is there twice"));
                }
            }
            Ok(codes.into_iter().collect::<Vec<_>>())
        });
        let most = i64::try_from(MOST_COUPONS_AT_ONCE).unwrap_or(i64::MAX);
        let count = object.optional("count", integer(1, most));
        let prefix = object.optional("prefix", |value| {
            let prefix = read_code(value)?;
            if prefix.chars().count() > 32 {
                return Err("must have at most 32 characters".to_owned());
            }
            Ok(prefix)
        });
        let usage_limit = object.nullable("usage_limit", limit);
        let per_customer_limit = object.nullable("per_customer_limit", limit);
        let (codes, count) = (codes?, count?);
        if codes.is_some() == count.is_some() {
            object.error("", "must have either codes or count");
        }
        if codes.as_ref().is_some_and(Vec::is_empty) {
            object.error("codes", "must have at least one");
        }
        Some(Self {
            codes,
            count,
            prefix: prefix?,
            usage_limit: usage_limit?.flatten(),
            per_customer_limit: per_customer_limit?.flatten(),
        })
    }
}

impl CouponsBody {
    /// The codes to be made: the named ones, or random ones.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        if let Some(codes) = &self.codes {
            return codes.clone();
        }
        let count = self
            .count
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(0)
            .min(MOST_COUPONS_AT_ONCE);
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let mut codes = BTreeSet::new();
        while codes.len() < count {
            let tail: String = (0..CODE_CHARACTERS)
                .filter_map(|_| ALPHABET.get(rand::random_range(0..ALPHABET.len())))
                .map(|byte| char::from(*byte))
                .collect();
            codes.insert(format!("{prefix}{tail}"));
        }
        codes.into_iter().collect()
    }
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Coupon {
    /// Its code.
    pub code: String,
    /// The promotion that it is for.
    pub promotion_id: i64,
    /// `active` or `archived`
    pub status: String,
    /// How many orders may use it.
    pub usage_limit: Option<i64>,
    /// How many orders of one customer may use it.
    pub per_customer_limit: Option<i64>,
    /// How many orders use it.
    pub used: i64,
}

/// Coupons that were made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MadeCoupons {
    /// Their codes.
    pub codes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fields::read_body;

    const PROMOTION: &str = r#"{"name":"Welcome","labels":{"en":"10 % off"},"status":"draft","needs_coupon":true,
        "rule":{"effect":{"kind":"percentage","share":100000}}}"#;

    fn promotion() -> PromotionBody {
        read_body(PROMOTION.as_bytes()).unwrap()
    }

    #[test]
    fn a_promotion_is_read_with_what_is_usual() {
        let promotion = promotion();
        assert!(promotion.combines && promotion.usage_limit.is_none());
        for (from, to) in [
            (r#""share":100000"#, r#""share":0"#),
            (r#""status":"draft""#, r#""status":"on""#),
            (r#""kind":"percentage""#, r#""kind":"gift""#),
            (r#""status":"draft""#, r#""status":"draft","usage_limit":0"#),
            (
                r#""status":"draft""#,
                r#""status":"draft","starts_at":"2030-01-02T00:00:00Z","ends_at":"2030-01-01T00:00:00Z""#,
            ),
            (r#"}}}"#, r#"},"conditions":{"first_order":true}}}"#),
        ] {
            let body = PROMOTION.replace(from, to);
            assert!(
                read_body::<PromotionBody>(body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn an_active_promotion_goes_forward_only_and_keeps_what_is_counted() {
        let draft = promotion();
        let active = PromotionBody {
            status: PromotionStatus::Active,
            ..draft.clone()
        };
        assert_eq!(active.refusal(&draft), None);
        assert_eq!(draft.refusal(&active).unwrap().0, "/status");
        let limited = PromotionBody {
            usage_limit: Some(5),
            ..active.clone()
        };
        assert_eq!(limited.refusal(&draft), None);
        assert_eq!(limited.refusal(&active).unwrap().0, "/usage_limit");
        let raised = PromotionBody {
            usage_limit: Some(9),
            ..active
        };
        assert_eq!(raised.refusal(&limited), None);
        let open = PromotionBody {
            needs_coupon: false,
            ..draft.clone()
        };
        assert_eq!(open.refusal(&draft).unwrap().0, "/needs_coupon");
    }

    #[test]
    fn coupons_are_named_or_made_within_a_bound() {
        let read = |body: &str| read_body::<CouponsBody>(body.as_bytes());
        assert_eq!(read(r#"{"codes":["abc 1"]}"#).unwrap().wanted(), ["ABC1"]);
        let made = read(r#"{"count":1000,"prefix":"vip-"}"#).unwrap().wanted();
        assert_eq!(made.len(), 1000);
        assert!(
            made.iter()
                .all(|code| code.starts_with("VIP-") && code.len() == 14)
        );
        for wrong in [
            "{}",
            r#"{"codes":[]}"#,
            r#"{"codes":["a"],"count":2}"#,
            r#"{"codes":["a","A"]}"#,
            r#"{"count":1001}"#,
            r#"{"codes":["<b>"]}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
