//! The SQL of promotions: which of them a cart may have, and the counting of their limits.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::model::{CouponCode, MOST_AUTOMATIC, Offer, PricedDiscount, Rule};
use crate::catalog::json_list;

const AUTOMATIC: &str = "SELECT '' AS code, FALSE AS coupon_archived, NULL AS coupon_limit, 0 AS coupon_used, \
       NULL AS coupon_per_customer, p.id, p.name, p.labels, p.status, p.combines, p.priority, p.rule, p.starts_at, p.ends_at, \
       p.usage_limit, p.used, p.per_customer_limit \
     FROM promotion p WHERE p.status = 'active' AND p.needs_coupon = FALSE \
       AND (p.starts_at IS NULL OR p.starts_at <= ?) AND (p.ends_at IS NULL OR p.ends_at > ?) \
     ORDER BY p.priority DESC, p.id LIMIT ?";
const BY_COUPON: &str = "SELECT c.code, c.status = 'archived' AS coupon_archived, c.usage_limit AS coupon_limit, \
       c.used AS coupon_used, c.per_customer_limit AS coupon_per_customer, p.id, p.name, p.labels, p.status, p.combines, \
       p.priority, p.rule, p.starts_at, p.ends_at, p.usage_limit, p.used, p.per_customer_limit \
     FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       place FOR ORDINALITY, code VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) wanted \
     STRAIGHT_JOIN coupon c ON c.code = wanted.code STRAIGHT_JOIN promotion p ON p.id = c.promotion_id \
     ORDER BY wanted.place";
const CUSTOMER_USES: &str = "SELECT u.scope, u.used FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       scope VARCHAR(66) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) wanted \
     STRAIGHT_JOIN promotion_customer u ON u.scope = wanted.scope AND u.customer_key = ?";
const HAS_ORDERED: &str = "SELECT EXISTS(SELECT 1 FROM orders WHERE customer_key = ? \
       AND state IN ('placed','completed'))";

const LIMITS: &str = "SELECT p.usage_limit IS NOT NULL, p.per_customer_limit, c.usage_limit IS NOT NULL, \
       c.per_customer_limit, c.code IS NOT NULL \
     FROM promotion p LEFT JOIN coupon c ON c.code = ? AND c.promotion_id = p.id AND c.status = 'active' \
     WHERE p.id = ? AND p.status = 'active'";
const USE: &str = "INSERT INTO promotion_use (order_id, promotion_id, coupon_code, customer_key) VALUES (?, ?, ?, ?)";
const COUNT_PROMOTION: &str =
    "UPDATE promotion SET used = used + 1 WHERE id = ? AND used < usage_limit";
const COUNT_COUPON: &str =
    "UPDATE coupon SET used = used + 1 WHERE code = ? AND used < usage_limit";
const BEGIN_CUSTOMER: &str =
    "INSERT IGNORE INTO promotion_customer (scope, customer_key, used) VALUES (?, ?, 0)";
const COUNT_CUSTOMER: &str = "UPDATE promotion_customer SET used = used + 1 WHERE scope = ? AND customer_key = ? AND used < ?";
const HELD: &str = "SELECT promotion_id, coupon_code, customer_key FROM promotion_use \
     WHERE order_id = ? AND released_at IS NULL ORDER BY promotion_id FOR UPDATE";
const RELEASE: &str = "UPDATE promotion_use SET released_at = UTC_TIMESTAMP(6) WHERE order_id = ? AND released_at IS NULL";
const GIVE_BACK_PROMOTION: &str =
    "UPDATE promotion SET used = used - 1 WHERE id = ? AND usage_limit IS NOT NULL AND used > 0";
const GIVE_BACK_COUPON: &str =
    "UPDATE coupon SET used = used - 1 WHERE code = ? AND usage_limit IS NOT NULL AND used > 0";
const GIVE_BACK_CUSTOMER: &str = "UPDATE promotion_customer SET used = used - 1 WHERE scope = ? AND customer_key = ? AND used > 0";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("promotion_automatic", AUTOMATIC),
    ("promotion_by_coupon", BY_COUPON),
    ("promotion_customer_uses", CUSTOMER_USES),
    ("promotion_has_ordered", HAS_ORDERED),
    ("promotion_limits", LIMITS),
    ("promotion_use", USE),
    ("promotion_count", COUNT_PROMOTION),
    ("promotion_count_coupon", COUNT_COUPON),
    ("promotion_begin_customer", BEGIN_CUSTOMER),
    ("promotion_count_customer", COUNT_CUSTOMER),
    ("promotion_held", HELD),
    ("promotion_release", RELEASE),
    ("promotion_give_back", GIVE_BACK_PROMOTION),
    ("promotion_give_back_coupon", GIVE_BACK_COUPON),
    ("promotion_give_back_customer", GIVE_BACK_CUSTOMER),
];

/// Whose offers are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The coupons of the cart, in order.
    pub codes: &'a [String],
    /// The customer, as limits know them; none while there is no e-mail address.
    pub customer_key: Option<&'a [u8; 32]>,
    /// The language of labels.
    pub locale: &'a str,
    /// The language that others fall back to.
    pub first_locale: &'a str,
    /// The moment.
    pub now: OffsetDateTime,
}

/// Why a coupon cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponProblem {
    /// There is no such coupon.
    Unknown,
    /// It does not count yet.
    NotYet,
    /// It no longer counts.
    Ended,
    /// It was used as often as it can be.
    UsedUp,
    /// This customer used it as often as they may.
    UsedByCustomer,
    /// It is for a first order, and this customer has one.
    NotFirstOrder,
    /// Another coupon of the cart is for the same promotion.
    SamePromotion,
}

/// What a cart may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// Promotions, those by coupons among them.
    pub offers: Vec<Offer>,
    /// Coupons that cannot be used, and why.
    pub refused: Vec<(String, CouponProblem)>,
}

#[derive(Debug, sqlx::FromRow)]
struct OfferRow {
    code: String,
    coupon_archived: bool,
    coupon_limit: Option<i64>,
    coupon_used: i64,
    coupon_per_customer: Option<i64>,
    id: i64,
    name: String,
    labels: Json<BTreeMap<String, String>>,
    status: String,
    combines: bool,
    priority: i32,
    rule: Json<Rule>,
    starts_at: Option<OffsetDateTime>,
    ends_at: Option<OffsetDateTime>,
    usage_limit: Option<i64>,
    used: i64,
    per_customer_limit: Option<i64>,
}

fn promotion_scope(id: i64) -> String {
    format!("p{id}")
}

fn coupon_scope(code: &str) -> String {
    format!("c{code}")
}

/// The promotions that a cart may have at a moment. What it says about limits is a look, not a promise: [`redeem`] counts.
///
/// # Errors
/// Those of the database.
pub async fn offers(
    connection: &mut MySqlConnection,
    ask: &Ask<'_>,
) -> Result<Offers, sqlx::Error> {
    let most = u32::try_from(MOST_AUTOMATIC).unwrap_or(u32::MAX);
    let mut rows: Vec<OfferRow> = sqlx::query_as(AUTOMATIC)
        .bind(ask.now)
        .bind(ask.now)
        .bind(most)
        .fetch_all(&mut *connection)
        .await?;
    let mut offers = Offers::default();
    if !ask.codes.is_empty() {
        let by_coupon: Vec<OfferRow> = sqlx::query_as(BY_COUPON)
            .bind(json_list(ask.codes)?)
            .fetch_all(&mut *connection)
            .await?;
        for code in ask.codes {
            if !by_coupon.iter().any(|row| row.code == *code) {
                offers.refused.push((code.clone(), CouponProblem::Unknown));
            }
        }
        rows.extend(by_coupon);
    }
    let uses = customer_uses(connection, ask, &rows).await?;
    let asks_first = rows.iter().any(|row| row.rule.conditions.first_order);
    let has_ordered = match ask.customer_key {
        Some(key) if asks_first => {
            sqlx::query_scalar(HAS_ORDERED)
                .bind(key.as_slice())
                .fetch_one(&mut *connection)
                .await?
        }
        _ => false,
    };
    for row in rows {
        let used_by_customer = |scope: String, limit: Option<i64>| {
            limit.is_some_and(|limit| uses.get(&scope).is_some_and(|used| *used >= limit))
        };
        let problem = if row.coupon_archived
            || row.status != "active"
            || row.ends_at.is_some_and(|end| end <= ask.now)
        {
            Some(CouponProblem::Ended)
        } else if row.starts_at.is_some_and(|start| start > ask.now) {
            Some(CouponProblem::NotYet)
        } else if row.usage_limit.is_some_and(|limit| row.used >= limit)
            || row
                .coupon_limit
                .is_some_and(|limit| row.coupon_used >= limit)
        {
            Some(CouponProblem::UsedUp)
        } else if used_by_customer(promotion_scope(row.id), row.per_customer_limit)
            || used_by_customer(coupon_scope(&row.code), row.coupon_per_customer)
        {
            Some(CouponProblem::UsedByCustomer)
        } else if row.rule.conditions.first_order && has_ordered {
            Some(CouponProblem::NotFirstOrder)
        } else if offers
            .offers
            .iter()
            .any(|offer| offer.promotion_id == row.id)
        {
            Some(CouponProblem::SamePromotion)
        } else {
            None
        };
        match problem {
            Some(problem) if !row.code.is_empty() => offers.refused.push((row.code, problem)),
            Some(_) => {}
            None => offers.offers.push(Offer {
                promotion_id: row.id,
                label: [ask.locale, ask.first_locale]
                    .into_iter()
                    .find_map(|locale| row.labels.get(locale))
                    .unwrap_or(&row.name)
                    .clone(),
                coupon_code: (!row.code.is_empty()).then_some(row.code),
                combines: row.combines,
                priority: row.priority,
                rule: row.rule.0,
            }),
        }
    }
    Ok(offers)
}

async fn customer_uses(
    connection: &mut MySqlConnection,
    ask: &Ask<'_>,
    rows: &[OfferRow],
) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    let Some(key) = ask.customer_key else {
        return Ok(BTreeMap::new());
    };
    let mut scopes: Vec<String> = Vec::new();
    for row in rows {
        if row.per_customer_limit.is_some() {
            scopes.push(promotion_scope(row.id));
        }
        if row.coupon_per_customer.is_some() {
            scopes.push(coupon_scope(&row.code));
        }
    }
    if scopes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let uses: Vec<(String, i64)> = sqlx::query_as(CUSTOMER_USES)
        .bind(json_list(&scopes)?)
        .bind(key.as_slice())
        .fetch_all(connection)
        .await?;
    Ok(uses.into_iter().collect())
}

/// A promotion or a coupon was used as often as it can be, by everybody or by this customer, or has just been ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached {
    /// The promotion.
    pub promotion_id: i64,
    /// The coupon it came by; empty where it needs none.
    pub code: String,
}

/// Counts the promotions of an order against their limits. Call it in the transaction that prepares the order, before the
/// statements of the stock, and roll back when a limit is reached: then nothing was counted.
///
/// Each limit is one statement that refuses to count beyond it, in the order of promotions' ids, so that two orders wait for each
/// other and never in a circle.
///
/// # Errors
/// Those of the database; the inner error where a limit is reached.
pub async fn redeem(
    connection: &mut MySqlConnection,
    order_id: i64,
    promotions: &[PricedDiscount],
    customer_key: &[u8; 32],
) -> Result<Result<(), LimitReached>, sqlx::Error> {
    let mut sorted: Vec<&PricedDiscount> = promotions.iter().collect();
    sorted.sort_by_key(|discount| discount.promotion_id);
    for discount in sorted {
        let id = discount.promotion_id;
        let code = discount.coupon_code.as_deref().unwrap_or_default();
        let reached = || {
            Ok(Err(LimitReached {
                promotion_id: id,
                code: code.to_owned(),
            }))
        };
        type Limits = (bool, Option<i64>, Option<bool>, Option<i64>, bool);
        let limits: Option<Limits> = sqlx::query_as(LIMITS)
            .bind(code)
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        let Some((limited, per_customer, coupon_limited, coupon_per_customer, has_coupon)) = limits
        else {
            return reached();
        };
        if !code.is_empty() && !has_coupon {
            return reached();
        }
        sqlx::query(USE)
            .bind(order_id)
            .bind(id)
            .bind(code)
            .bind(customer_key.as_slice())
            .execute(&mut *connection)
            .await?;
        if limited && !counted(sqlx::query(COUNT_PROMOTION).bind(id), connection).await? {
            return reached();
        }
        if has_coupon
            && coupon_limited == Some(true)
            && !counted(sqlx::query(COUNT_COUPON).bind(code), connection).await?
        {
            return reached();
        }
        let per_customer = [
            (
                coupon_scope(code),
                coupon_per_customer.filter(|_| has_coupon),
            ),
            (promotion_scope(id), per_customer),
        ];
        for (scope, limit) in per_customer {
            let Some(limit) = limit else { continue };
            sqlx::query(BEGIN_CUSTOMER)
                .bind(&scope)
                .bind(customer_key.as_slice())
                .execute(&mut *connection)
                .await?;
            let count = sqlx::query(COUNT_CUSTOMER)
                .bind(&scope)
                .bind(customer_key.as_slice())
                .bind(limit);
            if !counted(count, connection).await? {
                return reached();
            }
        }
    }
    Ok(Ok(()))
}

type Counting<'q> = sqlx::query::Query<'q, sqlx::MySql, sqlx::mysql::MySqlArguments>;

async fn counted(
    statement: Counting<'_>,
    connection: &mut MySqlConnection,
) -> Result<bool, sqlx::Error> {
    Ok(statement.execute(connection).await?.rows_affected() == 1)
}

/// Gives back what an order holds of promotions. Again has no effect.
///
/// # Errors
/// Those of the database.
pub async fn release(connection: &mut MySqlConnection, order_id: i64) -> Result<(), sqlx::Error> {
    let held: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(HELD)
        .bind(order_id)
        .fetch_all(&mut *connection)
        .await?;
    if held.is_empty() {
        return Ok(());
    }
    sqlx::query(RELEASE)
        .bind(order_id)
        .execute(&mut *connection)
        .await?;
    for (id, code, customer_key) in held {
        sqlx::query(GIVE_BACK_PROMOTION)
            .bind(id)
            .execute(&mut *connection)
            .await?;
        if !code.is_empty() {
            sqlx::query(GIVE_BACK_COUPON)
                .bind(&code)
                .execute(&mut *connection)
                .await?;
        }
        for scope in [coupon_scope(&code), promotion_scope(id)] {
            sqlx::query(GIVE_BACK_CUSTOMER)
                .bind(scope)
                .bind(&customer_key)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// Whether a coupon could be used, before it is put into a cart.
///
/// # Errors
/// Those of the database.
pub async fn coupon_problem(
    connection: &mut MySqlConnection,
    code: &CouponCode,
    ask: &Ask<'_>,
) -> Result<Option<CouponProblem>, sqlx::Error> {
    let mut codes = ask.codes.to_vec();
    codes.push(code.as_str().to_owned());
    let offers = offers(
        connection,
        &Ask {
            codes: &codes,
            ..*ask
        },
    )
    .await?;
    Ok(offers
        .refused
        .into_iter()
        .find(|(refused, _)| refused == code.as_str())
        .map(|(_, problem)| problem))
}
