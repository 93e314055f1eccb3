//! The statements by which staff keep rules and lists, and see what was judged.

use serde::Serialize;
use serde_json::Value;
use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::model::Reason;

const RULES: &str = "SELECT id, name, kind, parameters, weight, mode, version, created_at FROM risk_rule WHERE id > ? ORDER BY id LIMIT ?";
const RULE: &str = "SELECT id, name, kind, parameters, weight, mode, version, created_at FROM risk_rule WHERE id = ?";
const RULE_FOR_UPDATE: &str = "SELECT id, name, kind, parameters, weight, mode, version, created_at FROM risk_rule WHERE id = ? FOR UPDATE";
const COUNT_RULES: &str = "SELECT COUNT(*) FROM risk_rule";
const INSERT_RULE: &str =
    "INSERT INTO risk_rule (name, kind, parameters, weight, mode) VALUES (?, ?, ?, ?, ?)";
const UPDATE_RULE: &str = "UPDATE risk_rule SET name = ?, parameters = ?, weight = ?, mode = ?, version = version + 1 WHERE id = ? AND version = ?";
const DELETE_RULE: &str = "DELETE FROM risk_rule WHERE id = ?";
const LISTS: &str = "SELECT list, kind, LOWER(HEX(value_key)) AS value_key, note, created_at FROM risk_list \
     WHERE (kind, value_key) > (?, UNHEX(?)) ORDER BY kind, value_key LIMIT ?";
const PUT_LIST: &str = "INSERT INTO risk_list (list, kind, value_key, note) VALUES (?, ?, ?, ?) AS new \
     ON DUPLICATE KEY UPDATE list = new.list, note = new.note";
const DELETE_LIST: &str = "DELETE FROM risk_list WHERE kind = ? AND value_key = UNHEX(?)";
const REVIEWS: &str = "SELECT orders.id, orders.number, orders.email, orders.currency, orders.total, orders.placed_at, \
       assessment.score, assessment.reasons \
     FROM orders FORCE INDEX (orders_review) LEFT JOIN risk_assessment AS assessment ON assessment.id = ( \
       SELECT MAX(latest.id) FROM risk_assessment AS latest WHERE latest.order_id = orders.id) \
     WHERE orders.review_state = 'pending' AND orders.id > ? ORDER BY orders.id LIMIT ?";
const ASSESSMENTS: &str = "SELECT stage, score, outcome, shadow_outcome, reasons, created_at FROM risk_assessment \
     WHERE order_id = ? ORDER BY id LIMIT 100";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("risk_rule_list", RULES),
    ("risk_rule_get", RULE),
    ("risk_rule_for_update", RULE_FOR_UPDATE),
    ("risk_rule_count", COUNT_RULES),
    ("risk_rule_insert", INSERT_RULE),
    ("risk_rule_update", UPDATE_RULE),
    ("risk_rule_delete", DELETE_RULE),
    ("risk_list_list", LISTS),
    ("risk_list_put", PUT_LIST),
    ("risk_list_delete", DELETE_LIST),
    ("risk_reviews", REVIEWS),
    ("risk_assessments", ASSESSMENTS),
];

/// A rule, as staff see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct RuleRow {
    /// Its number.
    pub id: i64,
    /// Its name: the reason that is recorded.
    pub name: String,
    /// What it looks for.
    pub kind: String,
    /// How, as the kind has it.
    #[schema(value_type = Object)]
    pub parameters: Json<Value>,
    /// What it adds to the score, -1000 to 1000.
    pub weight: i32,
    /// `off`; `shadow`: recorded and not counted; `active`.
    pub mode: String,
    /// For `If-Match`.
    pub version: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// An entry of a list, as staff see it. The value itself is not kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct ListEntry {
    /// `allow` or `deny`.
    pub list: String,
    /// email, ip, card or country.
    pub kind: String,
    /// The hash by which the value is found, hexadecimal.
    pub value_key: String,
    /// Why it is there.
    pub note: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// An order that waits for a person.
#[derive(Debug, Clone, Serialize, ToSchema, sqlx::FromRow)]
pub struct Review {
    /// For the pages of the list.
    #[serde(skip)]
    pub id: i64,
    /// The order's number.
    pub number: String,
    /// Whose it is.
    pub email: String,
    /// ISO 4217.
    pub currency: String,
    /// Its total in minor units.
    pub total: i64,
    /// When it was placed.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub placed_at: Option<OffsetDateTime>,
    /// The score of the last judgement.
    pub score: Option<i32>,
    /// Its reasons.
    #[schema(value_type = Option<Vec<Reason>>)]
    pub reasons: Option<Json<Vec<Reason>>>,
}

/// A judgement as it was recorded.
#[derive(Debug, Clone, Serialize, ToSchema, sqlx::FromRow)]
pub struct Recorded {
    /// When in the checkout: `before_payment`, `after_authorization`.
    pub stage: String,
    /// The sum of the weights that counted.
    pub score: i32,
    /// accept, review or refuse.
    pub outcome: String,
    /// What it would have been with the rules in shadow.
    pub shadow_outcome: String,
    /// Why.
    #[schema(value_type = Vec<Reason>)]
    pub reasons: Json<Vec<Reason>>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// Rules after a number.
///
/// # Errors
/// What the database answers.
pub async fn rules(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<RuleRow>, sqlx::Error> {
    sqlx::query_as(RULES)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// One rule.
///
/// # Errors
/// What the database answers.
pub async fn rule(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<RuleRow>, sqlx::Error> {
    sqlx::query_as(RULE)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// One rule, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn rule_for_update(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<RuleRow>, sqlx::Error> {
    sqlx::query_as(RULE_FOR_UPDATE)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// How many rules there are.
///
/// # Errors
/// What the database answers.
pub async fn count_rules(connection: &mut MySqlConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(COUNT_RULES).fetch_one(connection).await
}

/// Adds a rule and returns its number.
///
/// # Errors
/// What the database answers.
pub async fn insert_rule(
    connection: &mut MySqlConnection,
    (name, kind, parameters): (&str, &str, &Value),
    weight: i32,
    mode: &str,
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(INSERT_RULE)
        .bind(name)
        .bind(kind)
        .bind(Json(parameters))
        .bind(weight)
        .bind(mode)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Writes a rule whose version is still this. False when it is not.
///
/// # Errors
/// What the database answers.
pub async fn update_rule(
    connection: &mut MySqlConnection,
    rule: &RuleRow,
    version: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(UPDATE_RULE)
        .bind(&rule.name)
        .bind(&rule.parameters)
        .bind(rule.weight)
        .bind(&rule.mode)
        .bind(rule.id)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a rule. What it found stays recorded.
///
/// # Errors
/// What the database answers.
pub async fn delete_rule(connection: &mut MySqlConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(DELETE_RULE)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Entries of lists after one.
///
/// # Errors
/// What the database answers.
pub async fn lists(
    connection: &mut MySqlConnection,
    after: (&str, &str),
    limit: u32,
) -> Result<Vec<ListEntry>, sqlx::Error> {
    sqlx::query_as(LISTS)
        .bind(after.0)
        .bind(after.1)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// Puts a value on a list; one that is on the other list leaves it.
///
/// # Errors
/// What the database answers.
pub async fn put_list(
    connection: &mut MySqlConnection,
    (list, kind, note): (&str, &str, &str),
    key: &[u8; 32],
) -> Result<(), sqlx::Error> {
    sqlx::query(PUT_LIST)
        .bind(list)
        .bind(kind)
        .bind(key.as_slice())
        .bind(note)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a value from its list. False when it is on none.
///
/// # Errors
/// What the database answers.
pub async fn delete_list(
    connection: &mut MySqlConnection,
    kind: &str,
    value_key: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(DELETE_LIST)
        .bind(kind)
        .bind(value_key)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Orders that wait for a person, after a number, the oldest first.
///
/// # Errors
/// What the database answers.
pub async fn reviews(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<Review>, sqlx::Error> {
    sqlx::query_as(REVIEWS)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// What was judged of an order.
///
/// # Errors
/// What the database answers.
pub async fn assessments(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<Vec<Recorded>, sqlx::Error> {
    sqlx::query_as(ASSESSMENTS)
        .bind(order_id)
        .fetch_all(connection)
        .await
}
