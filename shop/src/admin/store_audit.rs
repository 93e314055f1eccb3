//! The statements of the audit log.

use serde::Serialize;
use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Actor;

const INSERT: &str = "INSERT INTO audit_log (actor, action, entity, entity_id, before_value, after_value, request_id) VALUES (?, ?, ?, ?, ?, ?, ?)";
const LIST: &str = "SELECT id, actor, action, entity, entity_id, before_value, after_value, request_id, created_at FROM audit_log \
     WHERE id < ? AND (? IS NULL OR actor = ?) ORDER BY id DESC LIMIT ?";
const LIST_ENTITY: &str = "SELECT id, actor, action, entity, entity_id, before_value, after_value, request_id, created_at FROM audit_log \
     WHERE id < ? AND (? IS NULL OR actor = ?) AND entity = ? AND (? IS NULL OR entity_id = ?) ORDER BY id DESC LIMIT ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("audit_insert", INSERT),
    ("audit_list", LIST),
    ("audit_list_entity", LIST_ENTITY),
];

/// A row to be written.
#[derive(Debug)]
pub struct NewRow<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// What was done.
    pub action: &'static str,
    /// To what kind of thing.
    pub entity: &'static str,
    /// To which.
    pub entity_id: i64,
    /// What it was.
    pub before: Option<serde_json::Value>,
    /// What it is.
    pub after: Option<serde_json::Value>,
}

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema, sqlx::FromRow)]
pub struct AuditRow {
    /// Its number: later rows have higher ones.
    pub id: i64,
    /// The name of the token.
    pub actor: String,
    /// What was done, such as `product.update`.
    pub action: String,
    /// The kind of thing, such as `product`.
    pub entity: String,
    /// The number of the thing.
    pub entity_id: i64,
    /// What it was; `null` when it was created.
    #[schema(value_type = Option<Object>)]
    pub before_value: Option<Json<serde_json::Value>>,
    /// What it became.
    #[schema(value_type = Option<Object>)]
    pub after_value: Option<Json<serde_json::Value>>,
    /// The request that did it, as in `X-Request-Id` and the logs.
    pub request_id: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// Which rows are listed.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    /// Only of this token.
    pub actor: Option<String>,
    /// Only of this kind of thing.
    pub entity: Option<String>,
    /// Only of this thing; together with `entity`.
    pub entity_id: Option<i64>,
}

/// Adds a row.
///
/// # Errors
/// What the database answers.
pub async fn insert(connection: &mut MySqlConnection, row: &NewRow<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(&row.actor.name)
        .bind(row.action)
        .bind(row.entity)
        .bind(row.entity_id)
        .bind(row.before.as_ref().map(Json))
        .bind(row.after.as_ref().map(Json))
        .bind(&row.actor.request_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// The rows before a number, the latest first.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    filter: &AuditFilter,
    before: i64,
    limit: u32,
) -> Result<Vec<AuditRow>, sqlx::Error> {
    let statement = if filter.entity.is_some() {
        LIST_ENTITY
    } else {
        LIST
    };
    let mut query = sqlx::query_as(statement)
        .bind(before)
        .bind(&filter.actor)
        .bind(&filter.actor);
    if let Some(entity) = &filter.entity {
        query = query
            .bind(entity)
            .bind(filter.entity_id)
            .bind(filter.entity_id);
    }
    query.bind(i64::from(limit)).fetch_all(connection).await
}
