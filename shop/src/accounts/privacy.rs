//! One's data: to be had, and to be erased (GDPR, articles 15, 17 and 20).

use serde_json::{Value, json};
use sqlx::MySqlConnection;
use time::format_description::well_known::Rfc3339;

use super::register::confirm_password;
use super::settings;
use super::sign_in::take_code;
use super::throttle::{self, Count};
use super::{store_address, store_customer, store_privacy, store_session};
use crate::web::error::{ApiError, Code};
use crate::web::private::PrivateState;

/// Most orders of one export; nobody has as many.
const MOST_ORDERS: usize = 20_000;

/// Everything that is kept of a customer, as JSON.
///
/// # Errors
/// `too_many_attempts`; what the database answers.
pub async fn export(state: &PrivateState, customer: i64) -> Result<Value, ApiError> {
    let count = Count::of_row(&state.keys, throttle::EXPORT, "customer", customer);
    throttle::attempt(state, vec![count]).await?;
    state
        .read(move |connection| Box::pin(async move { collect(connection, customer).await }))
        .await
}

async fn collect(connection: &mut MySqlConnection, customer: i64) -> Result<Value, ApiError> {
    let instant = |at: time::OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let account = store_customer::by_id(connection, customer)
        .await?
        .ok_or_else(|| ApiError::new(Code::SignInRequired))?;
    let addresses: Vec<Value> = store_address::list(connection, customer)
        .await?
        .into_iter()
        .map(|entry| json!({ "address": entry.address, "default": entry.is_default }))
        .collect();
    let sessions: Vec<Value> = store_session::list(connection, customer)
        .await?
        .into_iter()
        .map(|session| {
            json!({
                "user_agent": session.user_agent,
                "created_at": instant(session.created_at),
                "seen_at": instant(session.seen_at),
            })
        })
        .collect();
    let mut orders = Vec::new();
    let mut after = 0;
    while orders.len() < MOST_ORDERS {
        let page = store_privacy::orders(connection, customer, after).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        orders.extend(page.into_iter().map(|(_, order)| order));
    }
    let carts = store_privacy::carts(connection, customer).await?;
    Ok(json!({
        "profile": {
            "id": account.public_id,
            "email": account.email,
            "name": account.name,
            "locale": account.locale,
            "created_at": instant(account.created_at),
            "email_verified": account.verified,
            "second_factor": account.totp_enabled,
        },
        "addresses": addresses,
        "sessions": sessions,
        "carts": carts,
        "orders": orders,
    }))
}

/// Erases a customer who is signed in. Orders keep what accounting needs.
///
/// # Errors
/// `unprocessable` for a wrong password or code; `conflict` while an order is not at its end.
pub async fn erase(
    state: &PrivateState,
    customer: i64,
    password: &str,
    code: &str,
) -> Result<(), ApiError> {
    let account = settings::account(state, customer).await?;
    confirm_password(state, &account, password).await?;
    if account.totp_enabled {
        take_code(state, &account, code).await?;
    }
    state
        .db
        .transaction(move |connection| Box::pin(erase_in(connection, customer)))
        .await
}

/// Erases a customer in the caller's transaction.
///
/// # Errors
/// 404 when there is none; `conflict` while an order is not at its end.
pub async fn erase_in(connection: &mut MySqlConnection, customer: i64) -> Result<(), ApiError> {
    store_customer::lock(connection, customer)
        .await?
        .ok_or_else(|| ApiError::new(Code::NotFound))?;
    if store_privacy::open_orders(connection, customer).await? > 0 {
        return Err(ApiError::new(Code::Conflict)
            .detail("an order is under way, and needs its address; erase the account when it has arrived or is cancelled"));
    }
    store_privacy::erase(connection, customer).await?;
    Ok(())
}
