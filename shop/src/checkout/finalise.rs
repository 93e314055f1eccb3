//! The last step: an order is placed if its payment stands, and lets go of everything if it does not.

use std::sync::Arc;

use serde_json::json;
use sqlx::MySqlConnection;

use super::cancel::{cancel_in, let_go_of_money};
use super::model::{Completion, CompletionStatus, Finalised, reason};
use super::{Checkout, store};
use crate::crash::{self, Point};
use crate::idempotency::{self, Key, StoredAnswer};
use crate::orders::change::may;
use crate::orders::{
    Order, OrderState, ReviewState, Transition, link, store as orders, transition,
};
use crate::payments::{Payment, PaymentState, Payments, store as payments};
use crate::risk::{self, Outcome, Stage};
use crate::stock;
use crate::web::error::{ApiError, Code};

/// How often a transaction of which the answer was lost is run again. It is idempotent, so running it again resolves it.
const ATTEMPTS: u32 = 4;

/// Why an order is finalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Its payment may have come to a standing.
    Payment,
    /// The time for which it may hold its stock may have passed.
    Clock,
    /// Its shopper begins again.
    Abandoned,
}

/// Finalises an order: places it if its payment stands, cancels it if its payment has failed. Whoever comes first does it; for
/// everybody else it does nothing. `actor` is who is written down.
///
/// # Errors
/// `not_found` where there is no such order; what the database answers.
pub async fn finalise(
    checkout: &Checkout,
    order_id: i64,
    occasion: Occasion,
    actor: &str,
) -> Result<Finalised, ApiError> {
    let (finalised, _) = finalise_with(checkout, order_id, occasion, actor, None).await?;
    Ok(finalised)
}

/// As [`finalise`], and keeps the answer under the key in the same transaction once it is decided.
pub(super) async fn finalise_with(
    checkout: &Checkout,
    order_id: i64,
    occasion: Occasion,
    actor: &str,
    key: Option<&Key>,
) -> Result<(Finalised, Option<StoredAnswer>), ApiError> {
    let shared = Arc::new((checkout.clone(), key.cloned(), actor.to_owned()));
    let mut attempt = 0;
    loop {
        attempt += 1;
        let work = Arc::clone(&shared);
        let done = checkout
            .db
            .transaction(move |connection| {
                let work = Arc::clone(&work);
                Box::pin(async move {
                    let (checkout, key, actor) = &*work;
                    let (finalised, order) =
                        settle(connection, checkout, order_id, occasion, actor).await?;
                    let answer = match key {
                        Some(key) => {
                            let answer = answer(connection, checkout, &order, &finalised).await?;
                            if let Some(answer) = &answer {
                                idempotency::finish(connection, key, answer).await?;
                            }
                            answer
                        }
                        None => None,
                    };
                    crash::here(Point::Placing);
                    Ok::<_, ApiError>((finalised, answer))
                })
            })
            .await;
        match done {
            Err(error) if error.code == Code::OutcomeUnknown && attempt < ATTEMPTS => {
                tracing::warn!(
                    order_id,
                    attempt,
                    "the answer to a commit was lost; looking again"
                );
            }
            done => {
                crash::here(Point::Placed);
                return done;
            }
        }
    }
}

/// What is answered to the request that completes the cart; None while its payment is not decided.
async fn answer(
    connection: &mut MySqlConnection,
    checkout: &Checkout,
    order: &Order,
    finalised: &Finalised,
) -> Result<Option<StoredAnswer>, ApiError> {
    Ok(match finalised {
        Finalised::Placed => Some(placed_answer(checkout, order)),
        Finalised::Cancelled { reason } => {
            let error = cancelled_error(connection, order.id, reason).await?;
            Some(StoredAnswer::problem(&error))
        }
        Finalised::Waiting => None,
    })
}

/// `201` with the order.
pub(super) fn placed_answer(checkout: &Checkout, order: &Order) -> StoredAnswer {
    let url = link::order_url(&checkout.origin, &checkout.keys, order);
    let completion = Completion {
        status: CompletionStatus::Placed,
        number: order.number.clone(),
        total: order.total,
        currency: order.currency.as_str().to_owned(),
        url: url.clone(),
    };
    let mut answer = StoredAnswer::json(201, &json!(completion));
    answer.headers.push(("location".to_owned(), url));
    answer
}

/// What is told of an order that came to nothing.
async fn cancelled_error(
    connection: &mut MySqlConnection,
    order_id: i64,
    why: &str,
) -> Result<ApiError, ApiError> {
    Ok(match why {
        reason::RISK => super::prepare::refused(),
        reason::PAYMENT_FAILED => {
            let code = payments::of_order(connection, order_id)
                .await?
                .into_iter()
                .filter_map(|payment| payment.failure_code)
                .next_back()
                .unwrap_or_default();
            let may_retry = crate::payments::model::may_retry(&code);
            ApiError::new(Code::PaymentDeclined)
                .detail("nothing was charged and the cart is as it was; pay with another card, and a new Idempotency-Key")
                .member("failure_code", code)
                .member("may_retry", may_retry)
        }
        _ => ApiError::new(Code::Conflict)
            .detail("the order was not paid in time and came to nothing; nothing was charged, and the cart is as it was"),
    })
}

/// Whether a payment stands for the whole of an order.
fn covers(payment: &Payment, total: i64) -> bool {
    matches!(
        payment.state,
        PaymentState::Authorized | PaymentState::Captured
    ) && payment.authorized >= total
}

async fn settle(
    connection: &mut MySqlConnection,
    checkout: &Checkout,
    order_id: i64,
    occasion: Occasion,
    actor: &str,
) -> Result<(Finalised, Order), ApiError> {
    let mut order = orders::lock(connection, order_id)
        .await?
        .ok_or_else(|| ApiError::new(Code::NotFound).detail("there is no such order"))?;
    let paid = payments::of_order(connection, order_id).await?;
    let finalised = match order.state {
        OrderState::Placed | OrderState::Completed => Finalised::Placed,
        OrderState::Cancelled => {
            // Money that arrived too late goes back.
            let_go_of_money(connection, &order, "order_cancelled").await?;
            cancelled(&order)
        }
        OrderState::Pending => {
            let stands =
                order.total == 0 || paid.iter().any(|payment| covers(payment, order.total));
            let open = paid.iter().any(|payment| payment.state.is_open());
            let why = match occasion {
                _ if stands => None,
                _ if !open => Some(reason::PAYMENT_FAILED),
                Occasion::Abandoned => Some(reason::ABANDONED),
                Occasion::Clock if store::is_expired(connection, order_id).await? => {
                    Some(reason::EXPIRED)
                }
                Occasion::Clock | Occasion::Payment => return Ok((Finalised::Waiting, order)),
            };
            match why {
                None => place(connection, checkout, &mut order, actor).await?,
                Some(why) => cancel_in(connection, &mut order, why, actor).await?,
            }
            match order.state {
                OrderState::Cancelled => cancelled(&order),
                _ => Finalised::Placed,
            }
        }
    };
    Payments::finalised_in(connection, order_id).await?;
    Ok((finalised, order))
}

fn cancelled(order: &Order) -> Finalised {
    Finalised::Cancelled {
        reason: order.cancel_reason.clone().unwrap_or_default(),
    }
}

async fn place(
    connection: &mut MySqlConnection,
    checkout: &Checkout,
    order: &mut Order,
    actor: &str,
) -> Result<(), ApiError> {
    // Before it is acknowledged: a refused order is never told to have been placed.
    let assessment = risk::assess(
        connection,
        &checkout.risk,
        order.id,
        Stage::AfterAuthorization,
    )
    .await?;
    match assessment.outcome {
        Outcome::Refuse => return cancel_in(connection, order, reason::RISK, "risk").await,
        Outcome::Accept | Outcome::Review => {}
    }
    stock::allocate(connection, order.id).await?;
    if let Some(cart) = order.cart_id {
        store::cart_ordered(connection, cart).await?;
    }
    transition(connection, order, Transition::Place, actor, json!({})).await?;
    if order.total == 0 && may(order, Transition::Capture) {
        transition(connection, order, Transition::Capture, actor, json!({})).await?;
    }
    // Somebody of the staff may have held it back before it was paid.
    let is_held = order.review_state == ReviewState::Pending;
    if assessment.outcome == Outcome::Review && !is_held {
        let data = json!({ "score": assessment.score });
        transition(connection, order, Transition::Hold, "risk", data).await?;
    }
    // Money is taken when somebody has looked.
    if order.review_state == ReviewState::Pending {
        return Ok(());
    }
    checkout.payments.placed_in(connection, order.id).await?;
    Ok(())
}
