//! A cart becomes an order: the three steps in a row, as a request runs them.

use std::sync::Arc;

use serde_json::json;

use super::Checkout;
use super::finalise::{Occasion, finalise_with};
use super::model::{CompleteRequest, Completion, CompletionStatus};
use super::prepare::{Prepared, prepare};
use crate::crash::{self, Point};
use crate::db::DbError;
use crate::idempotency::{self, Claim, Key, StoredAnswer};
use crate::orders::{Order, link, store as orders};
use crate::payments::{MethodInput, Standing, store as payments};
use crate::web::error::{ApiError, Code};

/// The name of the route in the scope of keys.
const ROUTE: &str = "carts.complete";
/// How often a checkout begins anew because the shopper's own earlier attempt was in the way.
const ATTEMPTS: u32 = 3;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The answer.
    pub answer: StoredAnswer,
    /// Whether it was given before under the same key.
    pub replayed: bool,
}

/// Completes a cart. Sent again with the same key it answers the same and does nothing.
///
/// # Errors
/// Those that are not kept with the key, because the same request may go well when it is repeated: `not_found`,
/// `checkout_incomplete`, `completion_in_progress`, `idempotency_in_flight`, `idempotency_mismatch`, and what the database
/// answers.
pub async fn complete(checkout: &Checkout, request: CompleteRequest) -> Result<Answered, ApiError> {
    let key = Key::new(
        ROUTE,
        request.cart.as_str(),
        request.key.clone(),
        &request.body,
    );
    let request = Arc::new(request);
    for _ in 0..ATTEMPTS {
        match prepare(checkout, &request, &key).await {
            Ok(Prepared::Draft { order, payment_id }) => {
                crash::here(Point::Prepared);
                return drive(checkout, &request, &key, &order, payment_id, false).await;
            }
            Ok(Prepared::Answered(answer)) => {
                return Ok(Answered {
                    answer,
                    replayed: false,
                });
            }
            Ok(Prepared::Abandoned { order_id }) => {
                abandon(checkout, order_id).await?;
            }
            Ok(Prepared::Known(claim)) => {
                return known(checkout, &request, &key, claim).await;
            }
            Err(error) if is_outcome(error.code) => {
                let answer = StoredAnswer::problem(&error);
                keep(checkout, &key, &answer).await;
                return Ok(Answered {
                    answer,
                    replayed: false,
                });
            }
            Err(error) => return Err(error),
        }
    }
    Err(ApiError::new(Code::CompletionInProgress))
}

/// Whether a refusal is the outcome of the request, to be answered again to whoever repeats it.
const fn is_outcome(code: Code) -> bool {
    matches!(
        code,
        Code::CartChanged | Code::OutOfStock | Code::PromotionUsedUp
    )
}

/// Keeps an answer without effect. If that fails, a repetition decides anew, which does no harm.
async fn keep(checkout: &Checkout, key: &Key, answer: &StoredAnswer) {
    let shared = Arc::new((key.clone(), answer.clone()));
    let kept: Result<(), DbError> = checkout
        .db
        .transaction(move |connection| {
            let shared = Arc::clone(&shared);
            Box::pin(async move { Ok(idempotency::keep(connection, &shared.0, &shared.1).await?) })
        })
        .await;
    if let Err(error) = kept {
        tracing::warn!(
            error = crate::web::error::chain(&error),
            "an answer could not be kept with its key"
        );
    }
}

async fn known(
    checkout: &Checkout,
    request: &CompleteRequest,
    key: &Key,
    claim: Claim,
) -> Result<Answered, ApiError> {
    match claim {
        Claim::Done(answer) => Ok(Answered {
            answer,
            replayed: true,
        }),
        Claim::Mismatch => Err(ApiError::new(Code::IdempotencyMismatch)
            .detail("send a new key with another body, or the same body with this key")),
        Claim::Resumed {
            reference: Some(order_id),
        } => {
            // Its process died. The provider knows the payment by its id, so asking again asks for nothing new.
            let (order, payment) = begun(checkout, order_id).await?;
            drive(checkout, request, key, &order, payment, true).await
        }
        Claim::Fresh | Claim::InFlight | Claim::Resumed { reference: None } => {
            Err(ApiError::new(Code::IdempotencyInFlight).detail("repeat it in a second"))
        }
    }
}

/// An order and its last payment.
async fn begun(checkout: &Checkout, order_id: i64) -> Result<(Order, Option<i64>), ApiError> {
    checkout
        .db
        .transaction(move |connection| {
            Box::pin(async move {
                let order = orders::get(connection, order_id)
                    .await?
                    .ok_or_else(|| ApiError::new(Code::NotFound))?;
                let payments = payments::of_order(connection, order_id).await?;
                Ok::<_, ApiError>((order, payments.last().map(|payment| payment.id)))
            })
        })
        .await
}

/// Pays a draft order and finalises it; `again` where another process began with it and died.
async fn drive(
    checkout: &Checkout,
    request: &CompleteRequest,
    key: &Key,
    order: &Order,
    payment_id: Option<i64>,
    again: bool,
) -> Result<Answered, ApiError> {
    let driven = pay_and_finalise(checkout, request, key, order, payment_id, again).await;
    if let Err(error) = &driven {
        tracing::warn!(
            order_id = order.id,
            error = crate::web::error::chain(error),
            "a checkout could not be ended; the worker goes on with it"
        );
        let key = key.clone();
        // Whoever repeats the request need not wait for the lease.
        let _: Result<(), DbError> = checkout
            .db
            .transaction(move |connection| {
                let key = key.clone();
                Box::pin(async move { Ok(idempotency::let_go(connection, &key).await?) })
            })
            .await;
    }
    driven
}

async fn pay_and_finalise(
    checkout: &Checkout,
    request: &CompleteRequest,
    key: &Key,
    order: &Order,
    payment_id: Option<i64>,
    again: bool,
) -> Result<Answered, ApiError> {
    let mut second_step = None;
    if let (Some(payment_id), Some(choice)) = (payment_id, &request.body.payment) {
        let method = MethodInput {
            token: choice.token.clone(),
        };
        let return_url = link::return_url(&checkout.origin, &checkout.keys, order);
        let payments = &checkout.payments;
        let standing = if again {
            payments
                .authorise_again(payment_id, &method, &return_url)
                .await?
        } else {
            payments.authorise(payment_id, &method, &return_url).await?
        };
        if let Standing::ActionRequired(action) = standing {
            second_step = Some(action.url);
        }
    }
    crash::here(Point::Paid);
    let (_, decided) =
        finalise_with(checkout, order.id, Occasion::Payment, "customer", Some(key)).await?;
    let answer = match decided {
        Some(answer) => answer,
        None => wait(checkout, key, order, second_step).await?,
    };
    Ok(Answered {
        answer,
        replayed: false,
    })
}

/// `202`: the shopper has something to do, or the provider has not said.
async fn wait(
    checkout: &Checkout,
    key: &Key,
    order: &Order,
    second_step: Option<String>,
) -> Result<StoredAnswer, ApiError> {
    let (status, url) = match second_step {
        Some(url) => (CompletionStatus::ActionRequired, url),
        None => (
            CompletionStatus::PaymentPending,
            link::order_url(&checkout.origin, &checkout.keys, order),
        ),
    };
    let completion = Completion {
        status,
        number: order.number.clone(),
        total: order.total,
        currency: order.currency.as_str().to_owned(),
        url,
    };
    let answer = StoredAnswer::json(202, &json!(completion));
    let shared = Arc::new((key.clone(), answer.clone()));
    let kept: Result<(), ApiError> = checkout
        .db
        .transaction(move |connection| {
            let shared = Arc::clone(&shared);
            Box::pin(
                async move { Ok(idempotency::finish(connection, &shared.0, &shared.1).await?) },
            )
        })
        .await;
    crash::here(Point::Deferred);
    match kept {
        // Whether it was kept or not: whoever repeats is answered the same, from the row or from the order.
        Err(error) if error.code != Code::OutcomeUnknown => Err(error),
        _ => Ok(answer),
    }
}

/// Ends a pending order whose shopper went to a second step and has come back to begin again.
///
/// # Errors
/// `completion_in_progress` when its payment has succeeded or is being decided; what the database answers.
pub async fn abandon(checkout: &Checkout, order_id: i64) -> Result<(), ApiError> {
    if let (_, Some(payment)) = begun(checkout, order_id).await? {
        // It may have been paid a moment ago.
        checkout.payments.refresh(payment).await?;
    }
    finalise_with(checkout, order_id, Occasion::Abandoned, "customer", None).await?;
    Ok(())
}
