//! Signing in and out.
//!
//! Nothing in an answer or in its time tells whether an address has an account: without one, a hash of nobody's password is checked.
//! An address that was never verified has no account that could be opened, or registering and signing in would tell.

use std::sync::Arc;

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::email::Email;
use super::password::Password;
use super::session::{Session, Stage, Token};
use super::store_customer::{self, Account};
use super::throttle::{self, Count};
use super::{store_session, store_throttle, totp};
use crate::cart::pricing::{PricingSettings, customer_key};
use crate::cart::service::merge;
use crate::web::error::{ApiError, Code};
use crate::web::private::{PrivateState, PublicId, Visitor};

/// What a sign-in came to.
#[derive(Debug)]
pub struct Opened {
    /// The token of the new session, for the cookie.
    pub token: Token,
    /// What the session opens.
    pub stage: Stage,
    /// The customer's cart, which what the guest had went into.
    pub cart: Option<PublicId>,
}

fn wrong() -> ApiError {
    ApiError::new(Code::InvalidCredentials)
        .detail("the e-mail address or the password is wrong, or the address was not confirmed yet")
}

/// Signs somebody in with address and password.
///
/// # Errors
/// `invalid_credentials`, the same whatever is wrong; `too_many_attempts`; `overloaded` when too many passwords wait.
pub async fn sign_in(
    state: &PrivateState,
    visitor: &Visitor,
    email: &str,
    password: &str,
) -> Result<Opened, ApiError> {
    let email = Email::parse(email).map_err(|_| wrong())?;
    let both = Count::of_both(&state.keys, throttle::LOGIN_BY_BOTH, &email, visitor.ip);
    let counts = vec![
        Count::of_address(&state.keys, throttle::LOGIN_BY_ADDRESS, visitor.ip),
        both,
        Count::of_email(&state.keys, throttle::LOGIN_BY_ACCOUNT, &email),
    ];
    throttle::attempt(state, counts).await?;
    let key = email.key().to_owned();
    let account = state
        .read(move |connection| {
            Box::pin(async move { Ok(store_customer::by_key(connection, &key).await?) })
        })
        .await?;
    let hash = account
        .as_ref()
        .and_then(|account| account.password_hash.clone());
    let right = state
        .passwords
        .verify(Password::presented(password), hash)
        .await?;
    let account = account
        .filter(|account| right && account.verified && !account.disabled)
        .ok_or_else(wrong)?;
    let stage = if account.totp_enabled {
        Stage::SecondFactor
    } else {
        Stage::Full
    };
    open(state, visitor, account, stage, Some(both)).await
}

/// Gives the second factor: a code of an app, or a recovery code.
///
/// # Errors
/// 401 without a session that waits for it; `unprocessable` for a wrong code; `too_many_attempts`.
pub async fn second_factor(
    state: &PrivateState,
    visitor: &Visitor,
    code: &str,
) -> Result<Opened, ApiError> {
    let session = visitor
        .session
        .clone()
        .filter(|session| session.stage == Stage::SecondFactor)
        .ok_or_else(|| ApiError::new(Code::SignInRequired))?;
    let customer = session.customer.id;
    let account = state
        .read(move |connection| {
            Box::pin(async move { Ok(store_customer::by_id(connection, customer).await?) })
        })
        .await?
        .ok_or_else(|| ApiError::new(Code::SignInRequired))?;
    take_code(state, &account, code).await?;
    open(state, visitor, account, Stage::Full, None).await
}

/// Takes a code of an app or a recovery code, once.
///
/// # Errors
/// `unprocessable` for one that is wrong or was taken; `too_many_attempts`.
pub async fn take_code(
    state: &PrivateState,
    account: &Account,
    code: &str,
) -> Result<(), ApiError> {
    let count = Count::of_row(&state.keys, throttle::SECOND_FACTOR, "customer", account.id);
    throttle::attempt(state, vec![count]).await?;
    let refused = || {
        ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field(
                "/code",
                "is wrong or was used already; wait for the next one",
            )
    };
    let id = account.id;
    let step = match totp::typed(code) {
        Some(code) => {
            let sealed = account.totp_secret.as_deref().ok_or_else(refused)?;
            let secret = state
                .keys
                .open(totp::SEALED_FOR, &totp_context(id), sealed)
                .map_err(ApiError::internal)?;
            let now = OffsetDateTime::now_utc();
            Some(totp::step_of(&secret, code, now, account.totp_last_step).ok_or_else(refused)?)
        }
        None => None,
    };
    let recovery = totp::recovery_hash(&state.keys, id, code);
    let taken = state
        .db
        .transaction(move |connection| {
            let recovery = recovery.clone();
            Box::pin(async move {
                let taken = match (step, recovery) {
                    (Some(step), _) => store_customer::use_step(connection, id, step).await?,
                    (None, Some(hash)) => {
                        store_customer::use_recovery_code(connection, id, &hash).await?
                    }
                    (None, None) => false,
                };
                Ok::<_, ApiError>(taken)
            })
        })
        .await?;
    if taken { Ok(()) } else { Err(refused()) }
}

/// Whose a sealed secret is.
#[must_use]
pub fn totp_context(customer: i64) -> Vec<u8> {
    format!("customer {customer}").into_bytes()
}

/// Opens a session: the browser's old one ends, its token is worth nothing any more, and what the guest had in the cart is the
/// customer's.
pub(super) async fn open(
    state: &PrivateState,
    visitor: &Visitor,
    account: Account,
    stage: Stage,
    forget: Option<Count>,
) -> Result<Opened, ApiError> {
    let token = Token::random();
    let hash = token.hash();
    let old = visitor
        .session
        .as_ref()
        .map(|session| (session.customer.id, session.id));
    let settings = PricingSettings {
        first_locale: state.catalogue.default_locale.clone(),
        keys: state.keys.clone(),
    };
    let work = Arc::new((account, hash, settings, visitor.user_agent.clone()));
    let guest = visitor.cart;
    let cart = state
        .db
        .transaction(move |connection| {
            let work = Arc::clone(&work);
            Box::pin(async move {
                let (account, hash, settings, user_agent) = &*work;
                // The password may have changed, or the account may have been closed, while its hash was checked.
                let now = store_customer::lock(connection, account.id).await?;
                now.filter(|now| now.password_hash == account.password_hash && !now.disabled)
                    .ok_or_else(wrong)?;
                if let Some((customer, session)) = old {
                    store_session::revoke(connection, customer, session).await?;
                }
                store_session::insert(connection, hash, account.id, stage, user_agent).await?;
                if let Some(count) = &forget {
                    store_throttle::forget(connection, count).await?;
                }
                if stage == Stage::SecondFactor {
                    return Ok(None);
                }
                adopt(connection, account, settings, guest).await
            })
        })
        .await?;
    Ok(Opened { token, stage, cart })
}

/// What the customer did as a guest becomes theirs.
async fn adopt(
    connection: &mut MySqlConnection,
    account: &Account,
    settings: &PricingSettings,
    guest: Option<PublicId>,
) -> Result<Option<PublicId>, ApiError> {
    let key = customer_key(&settings.keys, &account.email);
    store_customer::adopt_orders(connection, account.id, &key).await?;
    let now = OffsetDateTime::now_utc();
    merge(
        connection,
        settings,
        (account.id, &account.email),
        guest,
        now,
    )
    .await
}

/// Ends the session of a visitor. Without one nothing happens.
///
/// # Errors
/// What the database answers.
pub async fn sign_out(state: &PrivateState, session: Option<&Session>) -> Result<(), ApiError> {
    let Some((customer, id)) = session.map(|session| (session.customer.id, session.id)) else {
        return Ok(());
    };
    state
        .db
        .transaction(move |connection| {
            Box::pin(async move {
                store_session::revoke(connection, customer, id).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await
}
