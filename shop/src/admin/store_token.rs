//! The statements of bearer tokens.

use std::time::Duration;

use sqlx::MySqlConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::token::{Scope, Secret, SecretHash, Token};
use crate::db::{Db, DbError, MayBeDatabase, violated_constraint};

const INSERT: &str = "INSERT INTO api_token (name, secret_hash, scopes, expires_at) VALUES (?, ?, ?, NOW(6) + INTERVAL ? SECOND)";

const SELECT_BY_HASH: &str = "SELECT id, name, scopes, created_at, expires_at, revoked_at FROM api_token WHERE secret_hash = ?";

const SELECT_AFTER: &str = "SELECT id, name, scopes, created_at, expires_at, revoked_at FROM api_token WHERE id > ? ORDER BY id LIMIT 500";

const REVOKE: &str =
    "UPDATE api_token SET revoked_at = NOW(6) WHERE name = ? AND revoked_at IS NULL";

const EXISTS: &str = "SELECT COUNT(*) FROM api_token WHERE name = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("token_insert", INSERT),
    ("token_by_hash", SELECT_BY_HASH),
    ("token_list", SELECT_AFTER),
    ("token_revoke", REVOKE),
    ("token_exists", EXISTS),
];

/// Why a token could not be made, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name is empty or too long.
    #[error(
        "a token needs a name of 1 to 190 characters without control characters; it is the actor in the audit log"
    )]
    Name,
    /// A token without a scope can do nothing.
    #[error("a token needs at least one scope")]
    NoScope,
    /// The time to live is too short to be of use.
    #[error("the time to live must be at least one second and at most 3650 days")]
    TimeToLive,
    /// The name is taken. Names are never used twice, or the audit log would be ambiguous.
    #[error("there is or was a token named {0:?}; choose another name")]
    Taken(String),
    /// No token has the name.
    #[error("there is no token named {0:?}; see `panono-shop token list`")]
    Unknown(String),
    /// The database failed.
    #[error("failed to use the database")]
    Database(#[from] DbError),
}

impl MayBeDatabase for TokenError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => error.database(),
            _ => None,
        }
    }
}

type Row = (
    i64,
    String,
    Json<Vec<String>>,
    OffsetDateTime,
    Option<OffsetDateTime>,
    Option<OffsetDateTime>,
);

/// Scopes that this release does not know allow nothing.
fn token((id, name, Json(scopes), created_at, expires_at, revoked_at): Row) -> Token {
    Token {
        id,
        name,
        scopes: scopes
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect(),
        created_at,
        expires_at,
        revoked_at,
    }
}

const LONGEST_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Makes a token. The secret is returned once and cannot be had again.
///
/// # Errors
/// See [`TokenError`].
pub async fn create(
    db: &Db,
    name: &str,
    scopes: &[Scope],
    time_to_live: Option<Duration>,
) -> Result<Secret, TokenError> {
    if name.trim() != name
        || !(1..=190).contains(&name.chars().count())
        || name.chars().any(char::is_control)
    {
        return Err(TokenError::Name);
    }
    if scopes.is_empty() {
        return Err(TokenError::NoScope);
    }
    if time_to_live.is_some_and(|life| life < Duration::from_secs(1) || life > LONGEST_LIFE) {
        return Err(TokenError::TimeToLive);
    }
    let mut names: Vec<&'static str> = scopes.iter().map(|scope| scope.name()).collect();
    names.sort_unstable();
    names.dedup();
    let secret = Secret::random();
    let hash = secret.hash();
    let owned = name.to_owned();
    let seconds = time_to_live.map(|life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
    db.transaction(move |connection| {
        let (name, names, hash) = (owned.clone(), names.clone(), hash.clone());
        Box::pin(async move {
            let done = sqlx::query(INSERT)
                .bind(&name)
                .bind(hash.as_str())
                .bind(Json(names))
                .bind(seconds)
                .execute(connection)
                .await;
            match done {
                Ok(_) => Ok(()),
                Err(error) if violated_constraint(&error).as_deref() == Some("api_token_name") => {
                    Err(TokenError::Taken(name))
                }
                Err(error) => Err(DbError::from(error).into()),
            }
        })
    })
    .await?;
    Ok(secret)
}

/// The tokens after this number, at most 500.
///
/// # Errors
/// What the database answers.
pub async fn list(connection: &mut MySqlConnection, after: i64) -> Result<Vec<Token>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(SELECT_AFTER)
        .bind(after)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(token).collect())
}

/// The token with this secret, valid or not.
///
/// # Errors
/// What the database answers.
pub async fn find(
    connection: &mut MySqlConnection,
    hash: &SecretHash,
) -> Result<Option<Token>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(SELECT_BY_HASH)
        .bind(hash.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(token))
}

/// Revokes a token: every shop process refuses it within five seconds. Revoking it again changes nothing.
///
/// # Errors
/// See [`TokenError`].
pub async fn revoke(db: &Db, name: &str) -> Result<(), TokenError> {
    let owned = name.to_owned();
    db.transaction(move |connection| {
        let name = owned.clone();
        Box::pin(async move {
            let done = sqlx::query(REVOKE)
                .bind(&name)
                .execute(&mut *connection)
                .await
                .map_err(DbError::from)?;
            if done.rows_affected() == 0 {
                let known: i64 = sqlx::query_scalar(EXISTS)
                    .bind(&name)
                    .fetch_one(connection)
                    .await
                    .map_err(DbError::from)?;
                if known == 0 {
                    return Err(TokenError::Unknown(name));
                }
            }
            Ok(())
        })
    })
    .await
}
