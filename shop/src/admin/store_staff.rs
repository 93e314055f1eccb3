//! The statements of staff, their roles and their sessions.

use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::{Duration, OffsetDateTime};

use super::token::{Scope, SecretHash, Token};

/// How long a staff session works: one working day, however it is used.
pub const LONGEST: Duration = Duration::hours(12);

const ROLES: &str = "SELECT id, name, scopes FROM staff_role ORDER BY name LIMIT 500";
const PUT_ROLE: &str = "INSERT INTO staff_role (name, scopes) VALUES (?, ?) AS new \
     ON DUPLICATE KEY UPDATE scopes = new.scopes, version = staff_role.version + 1";
const DELETE_ROLE: &str = "DELETE FROM staff_role WHERE name = ? AND NOT EXISTS (SELECT 1 FROM staff_user u WHERE u.role_id = staff_role.id)";
const ROLE_BY_NAME: &str = "SELECT id FROM staff_role WHERE name = ?";
const USERS: &str = "SELECT u.id, u.email, u.name, r.name AS role, u.totp_enabled_at IS NOT NULL AS totp_enabled, \
     u.disabled_at IS NOT NULL AS disabled, u.created_at FROM staff_user u JOIN staff_role r ON r.id = u.role_id WHERE u.id > ? ORDER BY u.id LIMIT 500";
const INSERT: &str = "INSERT INTO staff_user (email, email_key, name, role_id, password_hash) VALUES (?, ?, ?, ?, ?)";
const BY_KEY: &str = "SELECT u.id, u.email, u.name, u.password_hash, u.totp_secret, u.totp_enabled_at IS NOT NULL AS totp_enabled, \
     u.totp_last_step, u.disabled_at IS NOT NULL AS disabled, r.scopes FROM staff_user u JOIN staff_role r ON r.id = u.role_id \
     WHERE u.email_key = ?";
const SET_PASSWORD: &str = "UPDATE staff_user SET password_hash = ?, totp_secret = NULL, totp_enabled_at = NULL, totp_last_step = NULL, \
     version = version + 1 WHERE email_key = ?";
const SET_ROLE: &str =
    "UPDATE staff_user SET role_id = ?, version = version + 1 WHERE email_key = ?";
const DISABLE: &str = "UPDATE staff_user SET disabled_at = COALESCE(disabled_at, NOW(6)), version = version + 1 WHERE email_key = ?";
const ENABLE: &str =
    "UPDATE staff_user SET disabled_at = NULL, version = version + 1 WHERE email_key = ?";
const SET_TOTP: &str = "UPDATE staff_user SET totp_secret = ?, totp_enabled_at = NOW(6), totp_last_step = NULL, version = version + 1 \
     WHERE email_key = ?";
const USE_STEP: &str = "UPDATE staff_user SET totp_last_step = ? WHERE id = ? AND (totp_last_step IS NULL OR totp_last_step < ?)";
const INSERT_SESSION: &str = "INSERT INTO staff_session (token_hash, staff_id, expires_at) VALUES (?, ?, NOW(6) + INTERVAL ? SECOND)";
const FIND_SESSION: &str = "SELECT s.id, u.email, r.scopes, s.created_at, s.expires_at, s.revoked_at FROM staff_session s \
     JOIN staff_user u ON u.id = s.staff_id JOIN staff_role r ON r.id = u.role_id WHERE s.token_hash = ? AND u.disabled_at IS NULL";
const REVOKE_SESSION: &str =
    "UPDATE staff_session SET revoked_at = NOW(6) WHERE token_hash = ? AND revoked_at IS NULL";
const REVOKE_SESSIONS: &str = "UPDATE staff_session SET revoked_at = NOW(6) WHERE revoked_at IS NULL AND staff_id = \
     (SELECT id FROM staff_user WHERE email_key = ?)";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_roles", ROLES),
    ("staff_role_put", PUT_ROLE),
    ("staff_role_delete", DELETE_ROLE),
    ("staff_role_by_name", ROLE_BY_NAME),
    ("staff_users", USERS),
    ("staff_insert", INSERT),
    ("staff_by_key", BY_KEY),
    ("staff_set_password", SET_PASSWORD),
    ("staff_set_role", SET_ROLE),
    ("staff_disable", DISABLE),
    ("staff_enable", ENABLE),
    ("staff_set_totp", SET_TOTP),
    ("staff_use_step", USE_STEP),
    ("staff_session_insert", INSERT_SESSION),
    ("staff_session_find", FIND_SESSION),
    ("staff_session_revoke", REVOKE_SESSION),
    ("staff_sessions_revoke", REVOKE_SESSIONS),
];

/// A role.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Role {
    /// The row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scopes: Json<Vec<String>>,
}

/// A member of staff, as they are listed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Member {
    /// The row.
    pub id: i64,
    /// The address that they sign in with, which is the actor in the audit log.
    pub email: String,
    /// How they are called.
    pub name: String,
    /// The name of their role.
    pub role: String,
    /// Whether a second factor is asked for.
    pub totp_enabled: bool,
    /// Whether they may not sign in.
    pub disabled: bool,
    /// Since when they are there.
    pub created_at: OffsetDateTime,
}

/// A member of staff with what lets them in.
#[derive(Clone, sqlx::FromRow)]
pub struct Credentials {
    /// The row.
    pub id: i64,
    /// The address.
    pub email: String,
    /// How they are called.
    pub name: String,
    /// The hash of the password.
    pub password_hash: Option<String>,
    /// The sealed secret of the second factor.
    pub totp_secret: Option<Vec<u8>>,
    /// Whether a second factor is asked for.
    pub totp_enabled: bool,
    /// The step of the last code that was taken.
    pub totp_last_step: Option<i64>,
    /// Whether they may not sign in.
    pub disabled: bool,
    /// What their role allows.
    pub scopes: Json<Vec<String>>,
}

/// What of these scopes this release knows.
#[must_use]
pub fn known(scopes: &[String]) -> Vec<Scope> {
    scopes
        .iter()
        .filter_map(|scope| scope.parse().ok())
        .collect()
}

/// All roles, at most 500.
///
/// # Errors
/// What the database answers.
pub async fn roles(connection: &mut MySqlConnection) -> Result<Vec<Role>, sqlx::Error> {
    sqlx::query_as(ROLES).fetch_all(connection).await
}

/// Makes a role, or changes what it allows.
///
/// # Errors
/// What the database answers.
pub async fn put_role(
    connection: &mut MySqlConnection,
    name: &str,
    scopes: &[Scope],
) -> Result<(), sqlx::Error> {
    let mut names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    names.sort_unstable();
    names.dedup();
    sqlx::query(PUT_ROLE)
        .bind(name)
        .bind(Json(names))
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes a role that nobody has. False when there is none such.
///
/// # Errors
/// What the database answers.
pub async fn delete_role(
    connection: &mut MySqlConnection,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(DELETE_ROLE)
        .bind(name)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The row of a role.
///
/// # Errors
/// What the database answers.
pub async fn role_by_name(
    connection: &mut MySqlConnection,
    name: &str,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(ROLE_BY_NAME)
        .bind(name)
        .fetch_optional(connection)
        .await
}

/// The staff after a row, at most 500.
///
/// # Errors
/// What the database answers.
pub async fn members(
    connection: &mut MySqlConnection,
    after: i64,
) -> Result<Vec<Member>, sqlx::Error> {
    sqlx::query_as(USERS)
        .bind(after)
        .fetch_all(connection)
        .await
}

/// Adds a member of staff.
///
/// # Errors
/// What the database answers; a violation of `staff_user_email` when the address is taken.
pub async fn insert(
    connection: &mut MySqlConnection,
    (email, key): (&str, &str),
    name: &str,
    role: i64,
    password_hash: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(email)
        .bind(key)
        .bind(name)
        .bind(role)
        .bind(password_hash)
        .execute(connection)
        .await?;
    Ok(())
}

/// The member of staff with this address.
///
/// # Errors
/// What the database answers.
pub async fn by_key(
    connection: &mut MySqlConnection,
    key: &str,
) -> Result<Option<Credentials>, sqlx::Error> {
    sqlx::query_as(BY_KEY)
        .bind(key)
        .fetch_optional(connection)
        .await
}

/// A change of a member of staff. All but the role ends their sessions.
#[derive(Debug, Clone)]
pub enum Change {
    /// Another password, by its hash; the second factor is off afterwards.
    Password(String),
    /// Another role, by its row.
    Role(i64),
    /// They may not sign in any more.
    Disable,
    /// They may again.
    Enable,
    /// A second factor, by its sealed secret.
    Totp(Vec<u8>),
}

/// Changes a member of staff. False when there is none such.
///
/// # Errors
/// What the database answers.
pub async fn change(
    connection: &mut MySqlConnection,
    key: &str,
    change: &Change,
) -> Result<bool, sqlx::Error> {
    let done = match change {
        Change::Password(hash) => sqlx::query(SET_PASSWORD).bind(hash).bind(key),
        Change::Role(role) => sqlx::query(SET_ROLE).bind(role).bind(key),
        Change::Disable => sqlx::query(DISABLE).bind(key),
        Change::Enable => sqlx::query(ENABLE).bind(key),
        Change::Totp(sealed) => sqlx::query(SET_TOTP).bind(sealed).bind(key),
    }
    .execute(&mut *connection)
    .await?;
    if !matches!(change, Change::Role(_) | Change::Enable) {
        sqlx::query(REVOKE_SESSIONS)
            .bind(key)
            .execute(connection)
            .await?;
    }
    Ok(done.rows_affected() > 0)
}

/// Takes a step's code. False when it, or a later one, was taken before.
///
/// # Errors
/// What the database answers.
pub async fn use_step(
    connection: &mut MySqlConnection,
    id: i64,
    step: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(USE_STEP)
        .bind(step)
        .bind(id)
        .bind(step)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Opens a session.
///
/// # Errors
/// What the database answers.
pub async fn insert_session(
    connection: &mut MySqlConnection,
    hash: &SecretHash,
    staff: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT_SESSION)
        .bind(hash.as_str())
        .bind(staff)
        .bind(LONGEST.whole_seconds())
        .execute(connection)
        .await?;
    Ok(())
}

type SessionRow = (
    i64,
    String,
    Json<Vec<String>>,
    OffsetDateTime,
    OffsetDateTime,
    Option<OffsetDateTime>,
);

/// The session with this secret as a token, valid or not: its name is the address of the member of staff, its scopes are those of
/// the role now.
///
/// # Errors
/// What the database answers.
pub async fn find_session(
    connection: &mut MySqlConnection,
    hash: &SecretHash,
) -> Result<Option<Token>, sqlx::Error> {
    let row: Option<SessionRow> = sqlx::query_as(FIND_SESSION)
        .bind(hash.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(
        |(id, name, Json(scopes), created_at, expires_at, revoked_at)| Token {
            id,
            name,
            scopes: known(&scopes),
            created_at,
            expires_at: Some(expires_at),
            revoked_at,
        },
    ))
}

/// Ends a session.
///
/// # Errors
/// What the database answers.
pub async fn revoke_session(
    connection: &mut MySqlConnection,
    hash: &SecretHash,
) -> Result<(), sqlx::Error> {
    sqlx::query(REVOKE_SESSION)
        .bind(hash.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
