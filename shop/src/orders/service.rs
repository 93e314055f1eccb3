//! What a shopper can do with an order. Pages and API call the same functions.

use std::sync::Arc;

use super::access::{Pass, not_found, whole};
use super::edit::{OrderEdit, edit_in};
use super::view::Whole;
use super::{OrderState, store};
use crate::admin::precondition::IfMatch;
use crate::checkout::cancel::cancel_in;
use crate::checkout::model::reason;
use crate::db::Db;
use crate::web::error::{ApiError, Code};

/// How often a transaction of which the answer was lost is run again: what is done here has one effect however often it is done.
const ATTEMPTS: u32 = 3;

/// Cancels an order. One that is cancelled already is answered as it is.
///
/// # Errors
/// `not_found`, `conflict` when pieces of it have left; what the database answers.
pub async fn cancel(db: &Db, pass: &Pass) -> Result<Whole, ApiError> {
    let pass = Arc::new(pass.clone());
    again(async || {
        let pass = Arc::clone(&pass);
        db.transaction(move |connection| {
            let pass = Arc::clone(&pass);
            Box::pin(async move {
                let mut order = lock(connection, &pass).await?;
                if order.state != OrderState::Cancelled {
                    cancel_in(connection, &mut order, reason::CUSTOMER, "customer").await?;
                }
                whole(connection, order).await
            })
        })
        .await
    })
    .await
}

/// Changes an order before anything of it has left.
///
/// # Errors
/// `not_found`, `version_mismatch`; as of [`edit_in`].
pub async fn edit(
    db: &Db,
    pass: &Pass,
    if_match: Option<IfMatch>,
    edit: OrderEdit,
) -> Result<Whole, ApiError> {
    let shared = Arc::new((pass.clone(), if_match, edit));
    again(async || {
        let shared = Arc::clone(&shared);
        db.transaction(move |connection| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (pass, if_match, edit) = &*shared;
                let mut order = lock(connection, pass).await?;
                if let Some(if_match) = if_match {
                    if_match.check(order.version)?;
                }
                edit_in(connection, &mut order, edit, "customer").await?;
                whole(connection, order).await
            })
        })
        .await
    })
    .await
}

async fn lock(
    connection: &mut sqlx::MySqlConnection,
    pass: &Pass,
) -> Result<super::Order, ApiError> {
    let found = store::find_by_number(connection, &pass.number)
        .await?
        .filter(|order| pass.opens(order))
        .ok_or_else(not_found)?;
    store::lock(connection, found.id)
        .await?
        .ok_or_else(not_found)
}

async fn again<T>(work: impl AsyncFn() -> Result<T, ApiError>) -> Result<T, ApiError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match work().await {
            Err(error) if error.code == Code::OutcomeUnknown && attempt < ATTEMPTS => {}
            done => return done,
        }
    }
}
