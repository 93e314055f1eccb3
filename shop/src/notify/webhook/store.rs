//! The statements of webhooks.

use serde::Serialize;
use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use utoipa::ToSchema;

const SUBSCRIBED: &str =
    "SELECT id, events FROM webhook_endpoint WHERE status <> 'archived' ORDER BY id LIMIT 1000";
const INSERT_DELIVERY: &str =
    "INSERT IGNORE INTO webhook_delivery (endpoint_id, event_id, event, body) VALUES (?, ?, ?, ?)";
const REOPEN: &str = "SELECT delivery.endpoint_id, delivery.event, \
       COALESCE(JSON_UNQUOTE(JSON_EXTRACT(CONVERT(delivery.body USING utf8mb4), '$.data.order.number')), '') \
     FROM webhook_delivery AS delivery JOIN webhook_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id \
     WHERE delivery.id = ? AND endpoint.status <> 'archived' FOR UPDATE OF delivery";
const REOPEN_UPDATE: &str =
    "UPDATE webhook_delivery SET state = 'pending', attempts = 0, delivered_at = NULL WHERE id = ?";
const FORGET_ROWS: &str = "DELETE FROM outbox WHERE topic = ? AND aggregate = ? AND dead_at IS NOT NULL AND payload->>'$.delivery' = ?";
const DUE: &str = "SELECT id FROM webhook_endpoint AS endpoint WHERE status = 'active' AND EXISTS ( \
       SELECT 1 FROM outbox FORCE INDEX (outbox_due) \
       WHERE outbox.topic = CONVERT(CONCAT('webhook/', endpoint.id) USING ascii) AND outbox.dead_at IS NULL AND outbox.available_at <= NOW(6)) \
     ORDER BY id LIMIT 1000";
const TO_SEND: &str = "SELECT delivery.event_id, delivery.state, delivery.body, endpoint.id AS endpoint_id, endpoint.url, endpoint.secret, endpoint.status \
     FROM webhook_delivery AS delivery JOIN webhook_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id \
     WHERE delivery.id = ?";
const DELIVERED: &str = "UPDATE webhook_delivery SET state = 'delivered', attempts = attempts + 1, last_status = ?, last_error = NULL, \
     delivered_at = NOW(6) WHERE id = ?";
const NOT_DELIVERED: &str = "UPDATE webhook_delivery SET state = ?, attempts = attempts + 1, last_status = ?, last_error = ? WHERE id = ?";
const PRUNE: &str = "DELETE FROM webhook_delivery WHERE state = ? AND created_at < NOW(6) - INTERVAL ? DAY ORDER BY created_at LIMIT ?";

const ENDPOINTS: &str = "SELECT id, url, events, status, version, created_at FROM webhook_endpoint WHERE id > ? ORDER BY id LIMIT ?";
const ENDPOINT: &str =
    "SELECT id, url, events, status, version, created_at FROM webhook_endpoint WHERE id = ?";
const ENDPOINT_FOR_UPDATE: &str = "SELECT id, url, events, status, version, created_at FROM webhook_endpoint WHERE id = ? FOR UPDATE";
const COUNT_ENDPOINTS: &str = "SELECT COUNT(*) FROM webhook_endpoint WHERE status <> 'archived'";
const INSERT_ENDPOINT: &str =
    "INSERT INTO webhook_endpoint (url, secret, events) VALUES (?, '', ?)";
const SET_SECRET: &str = "UPDATE webhook_endpoint SET secret = ? WHERE id = ?";
const UPDATE_ENDPOINT: &str = "UPDATE webhook_endpoint SET url = ?, events = ?, status = ?, version = version + 1 WHERE id = ? AND version = ?";
const BUMP_ENDPOINT: &str = "UPDATE webhook_endpoint SET version = version + 1 WHERE id = ?";
const DELIVERIES: &str = "SELECT id, endpoint_id, event_id, event, state, attempts, last_status, last_error, created_at, delivered_at \
     FROM webhook_delivery FORCE INDEX (webhook_delivery_endpoint) WHERE endpoint_id = ? AND id < ? ORDER BY id DESC LIMIT ?";
const DELIVERIES_IN_STATE: &str = "SELECT id, endpoint_id, event_id, event, state, attempts, last_status, last_error, created_at, delivered_at \
     FROM webhook_delivery FORCE INDEX (webhook_delivery_endpoint_state) WHERE endpoint_id = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?";
const DELIVERY: &str = "SELECT id, endpoint_id, event_id, event, state, attempts, last_status, last_error, created_at, delivered_at \
     FROM webhook_delivery WHERE id = ?";
const DELIVERY_BODY: &str = "SELECT body FROM webhook_delivery WHERE id = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("webhook_subscribed", SUBSCRIBED),
    ("webhook_insert_delivery", INSERT_DELIVERY),
    ("webhook_reopen", REOPEN),
    ("webhook_reopen_update", REOPEN_UPDATE),
    ("webhook_forget_rows", FORGET_ROWS),
    ("webhook_due", DUE),
    ("webhook_to_send", TO_SEND),
    ("webhook_delivered", DELIVERED),
    ("webhook_not_delivered", NOT_DELIVERED),
    ("webhook_prune", PRUNE),
    ("webhook_endpoints", ENDPOINTS),
    ("webhook_endpoint", ENDPOINT),
    ("webhook_endpoint_for_update", ENDPOINT_FOR_UPDATE),
    ("webhook_count_endpoints", COUNT_ENDPOINTS),
    ("webhook_insert_endpoint", INSERT_ENDPOINT),
    ("webhook_set_secret", SET_SECRET),
    ("webhook_update_endpoint", UPDATE_ENDPOINT),
    ("webhook_bump_endpoint", BUMP_ENDPOINT),
    ("webhook_deliveries", DELIVERIES),
    ("webhook_deliveries_in_state", DELIVERIES_IN_STATE),
    ("webhook_delivery", DELIVERY),
    ("webhook_delivery_body", DELIVERY_BODY),
];

/// The endpoints that want to hear of this kind of event; paused ones too, for when they go on.
pub(super) async fn subscribed(
    connection: &mut MySqlConnection,
    kind: &str,
) -> Result<Vec<i64>, sqlx::Error> {
    let endpoints: Vec<(i64, Json<Vec<String>>)> =
        sqlx::query_as(SUBSCRIBED).fetch_all(connection).await?;
    Ok(endpoints
        .into_iter()
        .filter(|(_, events)| events.iter().any(|event| event == "*" || event == kind))
        .map(|(id, _)| id)
        .collect())
}

/// Writes a delivery; `None` when the endpoint has one of this event already.
pub(super) async fn insert_delivery(
    connection: &mut MySqlConnection,
    endpoint: i64,
    event_id: &str,
    kind: &str,
    body: &[u8],
) -> Result<Option<i64>, sqlx::Error> {
    let done = sqlx::query(INSERT_DELIVERY)
        .bind(endpoint)
        .bind(event_id)
        .bind(kind)
        .bind(body)
        .execute(connection)
        .await?;
    Ok((done.rows_affected() == 1)
        .then(|| i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX)))
}

/// Makes a delivery pending again: its endpoint, kind and order.
pub(super) async fn reopen_delivery(
    connection: &mut MySqlConnection,
    delivery: i64,
) -> Result<Option<(i64, String, String)>, sqlx::Error> {
    let found: Option<(i64, String, String)> = sqlx::query_as(REOPEN)
        .bind(delivery)
        .fetch_optional(&mut *connection)
        .await?;
    if found.is_some() {
        sqlx::query(REOPEN_UPDATE)
            .bind(delivery)
            .execute(connection)
            .await?;
    }
    Ok(found)
}

/// Deletes the dead letters of a delivery.
pub(super) async fn forget_rows(
    connection: &mut MySqlConnection,
    topic: &str,
    aggregate: &str,
    delivery: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET_ROWS)
        .bind(topic)
        .bind(aggregate)
        .bind(delivery.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// The active endpoints for which something is due.
pub(super) async fn due(connection: &mut MySqlConnection) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(DUE).fetch_all(connection).await
}

/// A delivery with where it goes.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ToSend {
    pub event_id: String,
    pub state: String,
    pub body: Vec<u8>,
    pub endpoint_id: i64,
    pub url: String,
    pub secret: Vec<u8>,
    pub status: String,
}

/// A delivery with where it goes.
pub(super) async fn to_send(
    connection: &mut MySqlConnection,
    delivery: i64,
) -> Result<Option<ToSend>, sqlx::Error> {
    sqlx::query_as(TO_SEND)
        .bind(delivery)
        .fetch_optional(connection)
        .await
}

/// Notes that a delivery was taken.
pub(super) async fn delivered(
    connection: &mut MySqlConnection,
    delivery: i64,
    status: u16,
) -> Result<(), sqlx::Error> {
    sqlx::query(DELIVERED)
        .bind(status)
        .bind(delivery)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that a delivery was not taken, and whether it was given up.
pub(super) async fn not_delivered(
    connection: &mut MySqlConnection,
    delivery: i64,
    dead: bool,
    status: Option<u16>,
    error: &str,
) -> Result<(), sqlx::Error> {
    let error: String = error.chars().take(500).collect();
    sqlx::query(NOT_DELIVERED)
        .bind(if dead { "dead" } else { "pending" })
        .bind(status)
        .bind(error)
        .bind(delivery)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes up to `limit` deliveries in a state that are older than so many days.
pub(super) async fn prune(
    connection: &mut MySqlConnection,
    state: &str,
    days: u32,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(PRUNE)
        .bind(state)
        .bind(days)
        .bind(limit)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// An endpoint, as staff see it. Its secret is not shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Endpoint {
    /// Its number.
    pub id: i64,
    /// Where deliveries go.
    pub url: String,
    /// Kinds of events, or `*`.
    #[schema(value_type = Vec<String>)]
    pub events: Json<Vec<String>>,
    /// `active`; `paused`: deliveries wait; `archived`: there are none any more.
    pub status: String,
    /// For `If-Match`.
    pub version: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// What became of one event at one endpoint.
#[derive(Debug, Clone, Serialize, ToSchema, sqlx::FromRow)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The endpoint.
    pub endpoint_id: i64,
    /// The id of the event, the `webhook-id` of all attempts.
    pub event_id: String,
    /// What happened.
    pub event: String,
    /// `pending`, `delivered`, or `dead`: given up.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// The status of the last answer.
    pub last_status: Option<i16>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When it was taken.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_at: Option<OffsetDateTime>,
}

/// Endpoints after a number.
///
/// # Errors
/// What the database answers.
pub async fn endpoints(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<Endpoint>, sqlx::Error> {
    sqlx::query_as(ENDPOINTS)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// One endpoint.
///
/// # Errors
/// What the database answers.
pub async fn endpoint(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Endpoint>, sqlx::Error> {
    sqlx::query_as(ENDPOINT)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// One endpoint, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn endpoint_for_update(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Endpoint>, sqlx::Error> {
    sqlx::query_as(ENDPOINT_FOR_UPDATE)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// How many endpoints are not archived.
///
/// # Errors
/// What the database answers.
pub async fn count_endpoints(connection: &mut MySqlConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(COUNT_ENDPOINTS)
        .fetch_one(connection)
        .await
}

/// Adds an endpoint without a secret, and returns its number: the secret is sealed with it.
///
/// # Errors
/// What the database answers.
pub async fn insert_endpoint(
    connection: &mut MySqlConnection,
    url: &str,
    events: &[String],
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(INSERT_ENDPOINT)
        .bind(url)
        .bind(Json(events))
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Gives an endpoint a secret.
///
/// # Errors
/// What the database answers.
pub async fn set_secret(
    connection: &mut MySqlConnection,
    id: i64,
    sealed: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query(SET_SECRET)
        .bind(sealed)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes an endpoint whose version is still this. False when it is not.
///
/// # Errors
/// What the database answers.
pub async fn update_endpoint(
    connection: &mut MySqlConnection,
    endpoint: &Endpoint,
    version: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(UPDATE_ENDPOINT)
        .bind(&endpoint.url)
        .bind(&endpoint.events)
        .bind(&endpoint.status)
        .bind(endpoint.id)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts the version of an endpoint up.
///
/// # Errors
/// What the database answers.
pub async fn bump_endpoint(connection: &mut MySqlConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(BUMP_ENDPOINT)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deliveries to an endpoint before a number, the latest first; in one state, or in all.
///
/// # Errors
/// What the database answers.
pub async fn deliveries(
    connection: &mut MySqlConnection,
    endpoint: i64,
    state: Option<&str>,
    before: i64,
    limit: u32,
) -> Result<Vec<Delivery>, sqlx::Error> {
    match state {
        None => sqlx::query_as(DELIVERIES).bind(endpoint),
        Some(state) => sqlx::query_as(DELIVERIES_IN_STATE)
            .bind(endpoint)
            .bind(state.to_owned()),
    }
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// One delivery.
///
/// # Errors
/// What the database answers.
pub async fn delivery(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Delivery>, sqlx::Error> {
    sqlx::query_as(DELIVERY)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// What a delivery says.
///
/// # Errors
/// What the database answers.
pub async fn delivery_body(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar(DELIVERY_BODY)
        .bind(id)
        .fetch_optional(connection)
        .await
}
