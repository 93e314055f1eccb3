//! The statements of customers.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::email::Email;
use crate::web::private::PublicId;

/// Columns of an [`Account`].
macro_rules! account {
    ($rest:literal) => {
        concat!(
            "SELECT id, public_id, email, email_key, name, locale, password_hash, verified_at IS NOT NULL AS verified, ",
            "totp_secret, totp_enabled_at IS NOT NULL AS totp_enabled, totp_last_step, disabled_at IS NOT NULL AS disabled, ",
            "created_at, version FROM customer WHERE ",
            $rest
        )
    };
}

const BY_KEY: &str = account!("email_key = ?");
const LOCK_BY_KEY: &str = account!("email_key = ? FOR UPDATE");
const BY_ID: &str = account!("id = ? AND erased_at IS NULL");
const LOCK: &str = account!("id = ? AND erased_at IS NULL FOR UPDATE");
const INSERT: &str = "INSERT INTO customer (public_id, email, email_key, name, locale, password_hash) VALUES (?, ?, ?, ?, ?, ?)";
const SET_UNVERIFIED: &str = "UPDATE customer SET email = ?, name = ?, locale = ?, password_hash = ?, version = version + 1 \
     WHERE id = ? AND verified_at IS NULL";
const VERIFY: &str = "UPDATE customer SET verified_at = COALESCE(verified_at, NOW(6)), version = version + 1 WHERE id = ?";
const SET_EMAIL: &str = "UPDATE customer SET email = ?, email_key = ?, verified_at = NOW(6), version = version + 1 WHERE id = ?";
const SET_PASSWORD: &str =
    "UPDATE customer SET password_hash = ?, version = version + 1 WHERE id = ?";
const SET_PROFILE: &str =
    "UPDATE customer SET name = ?, locale = ?, version = version + 1 WHERE id = ?";
const SET_TOTP_SECRET: &str = "UPDATE customer SET totp_secret = ?, totp_enabled_at = NULL, totp_last_step = NULL, version = version + 1 \
     WHERE id = ? AND totp_enabled_at IS NULL";
const ENABLE_TOTP: &str = "UPDATE customer SET totp_enabled_at = NOW(6), totp_last_step = ?, version = version + 1 \
     WHERE id = ? AND totp_secret IS NOT NULL AND totp_enabled_at IS NULL";
const DISABLE_TOTP: &str = "UPDATE customer SET totp_secret = NULL, totp_enabled_at = NULL, totp_last_step = NULL, version = version + 1 \
     WHERE id = ?";
// Decided by the row count: of two requests with one code, one is refused.
const USE_STEP: &str = "UPDATE customer SET totp_last_step = ? WHERE id = ? AND (totp_last_step IS NULL OR totp_last_step < ?)";
const DELETE_CODES: &str = "DELETE FROM recovery_code WHERE customer_id = ?";
const INSERT_CODE: &str = "INSERT INTO recovery_code (customer_id, code_hash) VALUES (?, ?)";
const USE_CODE: &str = "UPDATE recovery_code SET used_at = NOW(6) WHERE customer_id = ? AND code_hash = ? AND used_at IS NULL";
const CODES_LEFT: &str =
    "SELECT COUNT(*) FROM recovery_code WHERE customer_id = ? AND used_at IS NULL";
const ADOPT_ORDERS: &str =
    "UPDATE orders SET customer_id = ? WHERE customer_key = ? AND customer_id IS NULL";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("customer_by_key", BY_KEY),
    ("customer_lock_by_key", LOCK_BY_KEY),
    ("customer_by_id", BY_ID),
    ("customer_lock", LOCK),
    ("customer_insert", INSERT),
    ("customer_set_unverified", SET_UNVERIFIED),
    ("customer_verify", VERIFY),
    ("customer_set_email", SET_EMAIL),
    ("customer_set_password", SET_PASSWORD),
    ("customer_set_profile", SET_PROFILE),
    ("customer_set_totp_secret", SET_TOTP_SECRET),
    ("customer_enable_totp", ENABLE_TOTP),
    ("customer_disable_totp", DISABLE_TOTP),
    ("customer_use_step", USE_STEP),
    ("recovery_code_delete", DELETE_CODES),
    ("recovery_code_insert", INSERT_CODE),
    ("recovery_code_use", USE_CODE),
    ("recovery_code_left", CODES_LEFT),
    ("customer_adopt_orders", ADOPT_ORDERS),
];

/// An account with what opens it.
#[derive(Clone, sqlx::FromRow)]
pub struct Account {
    /// The row.
    pub id: i64,
    /// Its name outside.
    pub public_id: PublicId,
    /// The address as it was typed.
    pub email: String,
    /// The form by which addresses are the same.
    pub email_key: Option<String>,
    /// The name, or nothing.
    pub name: String,
    /// The language, as a BCP 47 tag.
    pub locale: String,
    /// The hash of the password.
    pub password_hash: Option<String>,
    /// Whether the address was verified.
    pub verified: bool,
    /// The sealed secret of the second factor, also one that is not confirmed yet.
    pub totp_secret: Option<Vec<u8>>,
    /// Whether a second factor is asked for.
    pub totp_enabled: bool,
    /// The step of the last code that was taken.
    pub totp_last_step: Option<i64>,
    /// Whether staff closed it.
    pub disabled: bool,
    /// Since when it is there.
    pub created_at: OffsetDateTime,
    /// Counts changes.
    pub version: i64,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Account")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The account of an address.
///
/// # Errors
/// What the database answers.
pub async fn by_key(
    connection: &mut MySqlConnection,
    key: &str,
) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(BY_KEY)
        .bind(key)
        .fetch_optional(connection)
        .await
}

/// The account of an address, locked until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn lock_by_key(
    connection: &mut MySqlConnection,
    key: &str,
) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(LOCK_BY_KEY)
        .bind(key)
        .fetch_optional(connection)
        .await
}

/// An account that was not erased.
///
/// # Errors
/// What the database answers.
pub async fn by_id(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(BY_ID)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// An account that was not erased, locked until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn lock(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(LOCK)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// An account that is registered.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its name outside.
    pub public_id: PublicId,
    /// The address.
    pub email: Email,
    /// The name, or nothing.
    pub name: String,
    /// The language.
    pub locale: String,
    /// The hash of the password.
    pub password_hash: String,
}

/// Adds an account and returns its row.
///
/// # Errors
/// What the database answers; a violation of `customer_email` when the address has one.
pub async fn insert(
    connection: &mut MySqlConnection,
    account: &NewAccount,
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(INSERT)
        .bind(account.public_id)
        .bind(account.email.typed())
        .bind(account.email.key())
        .bind(&account.name)
        .bind(&account.locale)
        .bind(&account.password_hash)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Registers an address again that was never verified: what was typed last counts.
///
/// # Errors
/// What the database answers.
pub async fn set_unverified(
    connection: &mut MySqlConnection,
    id: i64,
    account: &NewAccount,
) -> Result<(), sqlx::Error> {
    sqlx::query(SET_UNVERIFIED)
        .bind(account.email.typed())
        .bind(&account.name)
        .bind(&account.locale)
        .bind(&account.password_hash)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that the address is the customer's own.
///
/// # Errors
/// What the database answers.
pub async fn verify(connection: &mut MySqlConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(VERIFY).bind(id).execute(connection).await?;
    Ok(())
}

/// Moves an account to another address, which is verified.
///
/// # Errors
/// What the database answers; a violation of `customer_email` when the address has an account.
pub async fn set_email(
    connection: &mut MySqlConnection,
    id: i64,
    (email, key): (&str, &str),
) -> Result<(), sqlx::Error> {
    sqlx::query(SET_EMAIL)
        .bind(email)
        .bind(key)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Changes the password.
///
/// # Errors
/// What the database answers.
pub async fn set_password(
    connection: &mut MySqlConnection,
    id: i64,
    hash: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(SET_PASSWORD)
        .bind(hash)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Changes name and language.
///
/// # Errors
/// What the database answers.
pub async fn set_profile(
    connection: &mut MySqlConnection,
    id: i64,
    (name, locale): (&str, &str),
) -> Result<(), sqlx::Error> {
    sqlx::query(SET_PROFILE)
        .bind(name)
        .bind(locale)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps a secret that is yet to be confirmed. False when a second factor is on.
///
/// # Errors
/// What the database answers.
pub async fn set_totp_secret(
    connection: &mut MySqlConnection,
    id: i64,
    sealed: &[u8],
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(SET_TOTP_SECRET)
        .bind(sealed)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Turns the second factor on; `step` is that of the code that confirmed it.
///
/// # Errors
/// What the database answers.
pub async fn enable_totp(
    connection: &mut MySqlConnection,
    id: i64,
    step: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(ENABLE_TOTP)
        .bind(step)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Turns the second factor off, and drops its secret and its recovery codes.
///
/// # Errors
/// What the database answers.
pub async fn disable_totp(connection: &mut MySqlConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(DISABLE_TOTP)
        .bind(id)
        .execute(&mut *connection)
        .await?;
    sqlx::query(DELETE_CODES)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
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

/// Replaces the recovery codes.
///
/// # Errors
/// What the database answers.
pub async fn set_recovery_codes(
    connection: &mut MySqlConnection,
    id: i64,
    hashes: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query(DELETE_CODES)
        .bind(id)
        .execute(&mut *connection)
        .await?;
    for hash in hashes {
        sqlx::query(INSERT_CODE)
            .bind(id)
            .bind(hash)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Takes a recovery code. False when it is none, or was taken before.
///
/// # Errors
/// What the database answers.
pub async fn use_recovery_code(
    connection: &mut MySqlConnection,
    id: i64,
    hash: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(USE_CODE)
        .bind(id)
        .bind(hash)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Recovery codes that were not taken yet.
///
/// # Errors
/// What the database answers.
pub async fn recovery_codes_left(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(CODES_LEFT)
        .bind(id)
        .fetch_one(connection)
        .await
}

/// Gives the orders that were placed as a guest with this address to its account.
///
/// # Errors
/// What the database answers.
pub async fn adopt_orders(
    connection: &mut MySqlConnection,
    id: i64,
    customer_key: &[u8; 32],
) -> Result<(), sqlx::Error> {
    sqlx::query(ADOPT_ORDERS)
        .bind(id)
        .bind(customer_key.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}
