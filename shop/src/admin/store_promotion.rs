//! The statements of promotions and coupons, as staff change them.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::promotion::{Coupon, PromotionBody, PromotionStatus, StaffPromotion};
use crate::catalog::json_list;
use crate::promotions::model::Rule;

/// Orders that have a promotion are counted by rows where it has no limit.
const LIST: &str = "SELECT p.id, p.name, p.labels, p.status, p.needs_coupon, p.combines, p.priority, p.rule, p.starts_at, p.ends_at, \
       p.usage_limit, p.per_customer_limit, p.version, IF(p.usage_limit IS NULL, (SELECT COUNT(*) FROM promotion_use u \
         WHERE u.promotion_id = p.id AND u.released_at IS NULL), p.used) AS used \
     FROM promotion p WHERE p.id > ? ORDER BY p.id LIMIT ?";
const GET: &str = "SELECT p.id, p.name, p.labels, p.status, p.needs_coupon, p.combines, p.priority, p.rule, p.starts_at, p.ends_at, \
       p.usage_limit, p.per_customer_limit, p.version, IF(p.usage_limit IS NULL, (SELECT COUNT(*) FROM promotion_use u \
         WHERE u.promotion_id = p.id AND u.released_at IS NULL), p.used) AS used \
     FROM promotion p WHERE p.id = ?";
const LOCK: &str = "SELECT id FROM promotion WHERE id = ? FOR UPDATE";
const INSERT: &str = "INSERT INTO promotion (name, labels, status, needs_coupon, combines, priority, rule, starts_at, ends_at, \
       usage_limit, per_customer_limit) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const UPDATE: &str = "UPDATE promotion SET name = ?, labels = ?, status = ?, combines = ?, priority = ?, rule = ?, starts_at = ?, \
       ends_at = ?, usage_limit = ?, per_customer_limit = ?, version = version + 1 WHERE id = ? AND version = ?";
const AUTOMATIC: &str = "SELECT id FROM promotion WHERE status = 'active' AND needs_coupon = FALSE AND id <> ? LIMIT 1000 FOR UPDATE";
const COUPONS: &str = "SELECT code, promotion_id, status, usage_limit, per_customer_limit, IF(usage_limit IS NULL, \
       (SELECT COUNT(*) FROM promotion_use u WHERE u.coupon_code = c.code AND u.released_at IS NULL), used) AS used \
     FROM coupon c WHERE promotion_id = ? AND code > ? ORDER BY code LIMIT ?";
const COUPON: &str = "SELECT code, promotion_id, status, usage_limit, per_customer_limit, IF(usage_limit IS NULL, \
       (SELECT COUNT(*) FROM promotion_use u WHERE u.coupon_code = c.code AND u.released_at IS NULL), used) AS used \
     FROM coupon c WHERE code = ? FOR UPDATE";
const COUPONS_TAKEN: &str = "SELECT c.code FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       code VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) wanted \
     STRAIGHT_JOIN coupon c ON c.code = wanted.code LIMIT 1";
const COUPONS_INSERT: &str = "INSERT INTO coupon (code, promotion_id, usage_limit, per_customer_limit) SELECT j.code, ?, ?, ? \
     FROM JSON_TABLE(?, '$[*]' COLUMNS (code VARCHAR(64) PATH '$')) AS j";
const COUPON_ARCHIVE: &str = "UPDATE coupon SET status = 'archived' WHERE code = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_promotions", LIST),
    ("staff_promotion", GET),
    ("staff_promotion_lock", LOCK),
    ("staff_promotion_insert", INSERT),
    ("staff_promotion_update", UPDATE),
    ("staff_promotion_automatic", AUTOMATIC),
    ("staff_coupons", COUPONS),
    ("staff_coupon", COUPON),
    ("staff_coupons_taken", COUPONS_TAKEN),
    ("staff_coupons_insert", COUPONS_INSERT),
    ("staff_coupon_archive", COUPON_ARCHIVE),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(sqlx::FromRow)]
struct PromotionRow {
    id: i64,
    name: String,
    labels: Json<BTreeMap<String, String>>,
    status: String,
    needs_coupon: bool,
    combines: bool,
    priority: i32,
    rule: Json<Rule>,
    starts_at: Option<OffsetDateTime>,
    ends_at: Option<OffsetDateTime>,
    usage_limit: Option<i64>,
    per_customer_limit: Option<i64>,
    used: i64,
    version: i64,
}

impl TryFrom<PromotionRow> for StaffPromotion {
    type Error = sqlx::Error;

    fn try_from(row: PromotionRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            promotion: PromotionBody {
                name: row.name,
                labels: row.labels.0,
                status: PromotionStatus::from_word(&row.status)
                    .ok_or_else(|| sqlx::Error::Decode("unknown status of a promotion".into()))?,
                needs_coupon: row.needs_coupon,
                combines: row.combines,
                priority: row.priority,
                rule: row.rule.0,
                starts_at: row.starts_at,
                ends_at: row.ends_at,
                usage_limit: row.usage_limit,
                per_customer_limit: row.per_customer_limit,
            },
            used: row.used,
            version: row.version,
        })
    }
}

/// Promotions after a number, in the order of their numbers.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<StaffPromotion>> {
    let rows: Vec<PromotionRow> = sqlx::query_as(LIST)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(TryFrom::try_from).collect()
}

/// A promotion.
///
/// # Errors
/// What the database answers.
pub async fn get(connection: &mut MySqlConnection, id: i64) -> Result<Option<StaffPromotion>> {
    let row: Option<PromotionRow> = sqlx::query_as(GET)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(TryFrom::try_from).transpose()
}

/// A promotion, locked until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn get_for_update(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<StaffPromotion>> {
    sqlx::query(LOCK)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    get(connection, id).await
}

/// Makes a promotion and returns its number.
///
/// # Errors
/// What the database answers.
pub async fn insert(connection: &mut MySqlConnection, promotion: &PromotionBody) -> Result<i64> {
    let done = sqlx::query(INSERT)
        .bind(&promotion.name)
        .bind(Json(&promotion.labels))
        .bind(promotion.status.as_str())
        .bind(promotion.needs_coupon)
        .bind(promotion.combines)
        .bind(promotion.priority)
        .bind(Json(&promotion.rule))
        .bind(promotion.starts_at)
        .bind(promotion.ends_at)
        .bind(promotion.usage_limit)
        .bind(promotion.per_customer_limit)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Replaces a promotion and counts its version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers; `promotion_used` when the limit is below what was used.
pub async fn update(
    connection: &mut MySqlConnection,
    before: &StaffPromotion,
    after: &PromotionBody,
) -> Result<bool> {
    let done = sqlx::query(UPDATE)
        .bind(&after.name)
        .bind(Json(&after.labels))
        .bind(after.status.as_str())
        .bind(after.combines)
        .bind(after.priority)
        .bind(Json(&after.rule))
        .bind(after.starts_at)
        .bind(after.ends_at)
        .bind(after.usage_limit)
        .bind(after.per_customer_limit)
        .bind(before.id)
        .bind(before.version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// How many promotions without a coupon are active, apart from one.
///
/// # Errors
/// What the database answers.
pub async fn automatic(connection: &mut MySqlConnection, apart_from: i64) -> Result<usize> {
    let ids: Vec<i64> = sqlx::query_scalar(AUTOMATIC)
        .bind(apart_from)
        .fetch_all(connection)
        .await?;
    Ok(ids.len())
}

type CouponColumns = (String, i64, String, Option<i64>, Option<i64>, i64);

fn coupon(
    (code, promotion_id, status, usage_limit, per_customer_limit, used): CouponColumns,
) -> Coupon {
    Coupon {
        code,
        promotion_id,
        status,
        usage_limit,
        per_customer_limit,
        used,
    }
}

/// Coupons of a promotion after a code, in the order of their codes.
///
/// # Errors
/// What the database answers.
pub async fn coupons(
    connection: &mut MySqlConnection,
    promotion_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<Coupon>> {
    let rows: Vec<CouponColumns> = sqlx::query_as(COUPONS)
        .bind(promotion_id)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(coupon).collect())
}

/// A coupon, locked until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn coupon_for_update(
    connection: &mut MySqlConnection,
    code: &str,
) -> Result<Option<Coupon>> {
    let row: Option<CouponColumns> = sqlx::query_as(COUPON)
        .bind(code)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(coupon))
}

/// One of the codes that is taken, if any is.
///
/// # Errors
/// What the database answers.
pub async fn coupon_taken(
    connection: &mut MySqlConnection,
    codes: &[String],
) -> Result<Option<String>> {
    sqlx::query_scalar(COUPONS_TAKEN)
        .bind(json_list(codes)?)
        .fetch_optional(connection)
        .await
}

/// Makes coupons with the same limits: for everybody, and for one customer.
///
/// # Errors
/// What the database answers.
pub async fn coupons_insert(
    connection: &mut MySqlConnection,
    promotion_id: i64,
    codes: &[String],
    limits: (Option<i64>, Option<i64>),
) -> Result<()> {
    sqlx::query(COUPONS_INSERT)
        .bind(promotion_id)
        .bind(limits.0)
        .bind(limits.1)
        .bind(json_list(codes)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a coupon.
///
/// # Errors
/// What the database answers.
pub async fn coupon_archive(connection: &mut MySqlConnection, code: &str) -> Result<()> {
    sqlx::query(COUPON_ARCHIVE)
        .bind(code)
        .execute(connection)
        .await?;
    Ok(())
}
