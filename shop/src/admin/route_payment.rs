//! Routes of payments: what was paid, captures, voids and refunds.
//!
//! Money is moved in three steps: a transaction claims the `Idempotency-Key`, records the operation and writes the audit row; the
//! provider is asked; the answer is kept. A request that is repeated after a lost answer goes on where the first one died.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Actor, Scoped};
use super::change::run;
use super::fields::{Body, FromBody, Object, integer, text};
use super::token::demand;
use super::{AdminState, Answer};
use crate::idempotency::{self, Claim, Key, REPLAYED, StoredAnswer};
use crate::orders;
use crate::payments::model::{Operation, OperationKind};
use crate::payments::operate::{self, Why};
use crate::payments::store;
use crate::payments::view::{OperationView, PaymentView, PaymentsView};
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::{PrivateState, PublicId};

/// The largest amount that is taken, in minor units.
const LARGEST: i64 = 1_000_000_000_000_000;

fn unknown_payment() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such payment")
}

/// Shows the payments of an order and what was asked of their providers.
#[utoipa::path(get, path = "/api/v1/admin/orders/{number}/payments", tag = "staff: payments", params(("number" = String, Path)),
    responses((status = 200, body = PaymentsView), (status = "default", body = Problem)), security(("staff" = ["read:payments"])))]
pub async fn list(
    _: Scoped<demand::ReadPayments>,
    state: web::Data<AdminState>,
    number: web::Path<String>,
) -> Answer {
    let number = super::order_number(&number)?;
    let view = state
        .read(move |connection| {
            Box::pin(async move {
                let order = orders::store::find_by_number(connection, &number)
                    .await?
                    .ok_or_else(super::unknown_order)?;
                let mut payments = Vec::new();
                for payment in store::of_order(connection, order.id).await? {
                    let operations = store::operations(connection, payment.id).await?;
                    payments.push(PaymentView::new(&payment, &operations));
                }
                Ok(PaymentsView { payments })
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}

/// Shows a payment and what was asked of its provider.
#[utoipa::path(get, path = "/api/v1/admin/payments/{id}", tag = "staff: payments", params(("id" = String, Path)),
    responses((status = 200, body = PaymentView), (status = "default", body = Problem)), security(("staff" = ["read:payments"])))]
pub async fn get(
    _: Scoped<demand::ReadPayments>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
) -> Answer {
    let id = id.to_string();
    let view = state
        .read(move |connection| {
            Box::pin(async move {
                let payment = store::by_public_id(connection, &id)
                    .await?
                    .ok_or_else(unknown_payment)?;
                let operations = store::operations(connection, payment.id).await?;
                Ok(PaymentView::new(&payment, &operations))
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}

/// A capture, a void or a refund.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MoveMoney {
    /// How much, in minor units of the payment's currency. Without it: all that there is.
    #[schema(minimum = 1)]
    pub amount: Option<i64>,
    /// Why; for the history of the order.
    #[schema(max_length = 190)]
    pub reason: Option<String>,
}

impl FromBody for MoveMoney {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let amount = object.optional("amount", integer(1, LARGEST));
        let reason = object.optional("reason", text(0, 190));
        Some(Self {
            amount: amount?,
            reason: reason?,
        })
    }
}

/// Captures money that is held: all of it, or a part where the payment allows several captures (else the rest is let go).
#[utoipa::path(post, path = "/api/v1/admin/payments/{id}/captures", tag = "staff: payments",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)), request_body = MoveMoney,
    responses((status = 201, body = OperationView), (status = 202, description = "The provider's answer is not known yet", body = OperationView),
        (status = "default", body = Problem)), security(("staff" = ["capture:payments"])))]
pub async fn capture(
    staff: Scoped<demand::CapturePayments>,
    states: (web::Data<AdminState>, web::Data<PrivateState>),
    request: HttpRequest,
    id: web::Path<PublicId>,
    body: Body<MoveMoney>,
) -> Answer {
    let wanted = (OperationKind::Capture, id.to_string(), body.0);
    operate(&states, staff.actor(), &request, wanted).await
}

/// Lets go of what is held and not captured. `amount` does not count.
#[utoipa::path(post, path = "/api/v1/admin/payments/{id}/void", tag = "staff: payments",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)), request_body = MoveMoney,
    responses((status = 201, body = OperationView), (status = 202, description = "The provider's answer is not known yet", body = OperationView),
        (status = "default", body = Problem)), security(("staff" = ["capture:payments"])))]
pub async fn void(
    staff: Scoped<demand::CapturePayments>,
    states: (web::Data<AdminState>, web::Data<PrivateState>),
    request: HttpRequest,
    id: web::Path<PublicId>,
    body: Body<MoveMoney>,
) -> Answer {
    let wanted = (OperationKind::Void, id.to_string(), body.0);
    operate(&states, staff.actor(), &request, wanted).await
}

/// Gives money back that was captured: all that is left of it, or a part.
#[utoipa::path(post, path = "/api/v1/admin/payments/{id}/refunds", tag = "staff: payments",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)), request_body = MoveMoney,
    responses((status = 201, body = OperationView), (status = 202, description = "The provider's answer is not known yet", body = OperationView),
        (status = "default", body = Problem)), security(("staff" = ["refund:payments"])))]
pub async fn refund(
    staff: Scoped<demand::RefundPayments>,
    states: (web::Data<AdminState>, web::Data<PrivateState>),
    request: HttpRequest,
    id: web::Path<PublicId>,
    body: Body<MoveMoney>,
) -> Answer {
    let wanted = (OperationKind::Refund, id.to_string(), body.0);
    operate(&states, staff.actor(), &request, wanted).await
}

/// What a claimed key leads to.
#[derive(Debug)]
pub(super) enum Begun {
    /// Carry these operations out, then keep the answer.
    Operations(Vec<String>),
    /// This was the answer.
    Done(StoredAnswer),
}

/// What a claim of a key means for who made it: go on with a fresh one; `None` where an earlier request got as far as its effect.
///
/// # Errors
/// 409 while another works under the key, 422 for another payload.
pub(crate) fn claimed(claim: Claim) -> Result<Result<Option<i64>, StoredAnswer>, ApiError> {
    match claim {
        Claim::Fresh => Ok(Ok(None)),
        Claim::Resumed { reference } => Ok(Ok(reference)),
        Claim::Done(answer) => Ok(Err(answer)),
        Claim::InFlight => Err(ApiError::new(Code::IdempotencyInFlight)),
        Claim::Mismatch => Err(ApiError::new(Code::IdempotencyMismatch)),
    }
}

/// Gives an answer that was kept again.
#[must_use]
pub(crate) fn replayed(answer: &StoredAnswer, again: bool) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status)
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(if status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    });
    if again {
        response.insert_header((REPLAYED, "true"));
    }
    response.body(answer.body.clone())
}

type States = (web::Data<AdminState>, web::Data<PrivateState>);
type Wanted = (OperationKind, String, MoveMoney);

async fn operate(
    (state, private): &States,
    actor: Actor,
    request: &HttpRequest,
    wanted: Wanted,
) -> Answer {
    let key = idempotency::key_of(request)?;
    let (kind, id, body) = &wanted;
    let key = Key::new(kind.name(), id, key, body);
    let staff = format!("staff:{}", actor.name);
    let input = (wanted, key.clone(), staff);
    let begun = run(state, actor, input, |change, (wanted, key, staff)| {
        Box::pin(async move {
            let (kind, id, body) = wanted;
            match claimed(idempotency::claim(change.connection, key).await?)? {
                Err(answer) => return Ok(Begun::Done(answer)),
                Ok(Some(operation)) => {
                    let operation = store::operation_lock(change.connection, operation).await?;
                    let found = operation.map(|operation| operation.public_id);
                    return Ok(Begun::Operations(found.into_iter().collect()));
                }
                Ok(None) => {}
            }
            let payment = store::by_public_id(change.connection, id)
                .await?
                .ok_or_else(unknown_payment)?;
            let why = Why::new(staff, body.reason.as_deref().unwrap_or_default()).at_once();
            let public_id =
                operate::start(change.connection, payment.id, *kind, body.amount, &why).await?;
            let operation = store::operation_find(change.connection, &public_id)
                .await?
                .ok_or_else(unknown_payment)?;
            idempotency::refer(change.connection, key, operation.id).await?;
            let after = OperationView::from(&operation);
            let action = match kind {
                OperationKind::Capture => "payment.capture",
                OperationKind::Refund => "payment.refund",
                OperationKind::Void | OperationKind::Authorize => "payment.void",
            };
            change
                .audit(action, "payment", payment.id, None, Some(&after))
                .await?;
            Ok(Begun::Operations(vec![public_id]))
        })
    })
    .await?;
    finish(private, key, begun, |operations| {
        let operation = operations.first().ok_or_else(unknown_payment)?;
        Ok((
            outcome(operations),
            serde_json::to_value(OperationView::from(operation)).map_err(ApiError::internal)?,
        ))
    })
    .await
}

/// 201 when all was done, 202 while something is not known, 409 when the provider refused.
pub(super) fn outcome(operations: &[Operation]) -> u16 {
    use crate::payments::model::OperationState as State;
    if operations
        .iter()
        .any(|operation| operation.state == State::Failed)
    {
        409
    } else if operations.iter().any(|operation| operation.state.is_open()) {
        202
    } else {
        201
    }
}

/// Carries operations out, and keeps the answer under the key.
pub(super) async fn finish(
    private: &PrivateState,
    key: Key,
    begun: Begun,
    body: impl Fn(&[Operation]) -> Result<(u16, serde_json::Value), ApiError>,
) -> Answer {
    let ids = match begun {
        Begun::Operations(ids) => ids,
        Begun::Done(answer) => return Ok(replayed(&answer, true)),
    };
    let mut operations = Vec::with_capacity(ids.len());
    for id in &ids {
        private.payments.carry_out(id).await?;
        operations.push(private.payments.operation(id).await?);
    }
    let (status, body) = body(&operations)?;
    let answer = if status == 409 {
        let code = operations
            .iter()
            .find_map(|operation| operation.failure_code.as_deref())
            .unwrap_or_default();
        StoredAnswer::problem(
            &ApiError::new(Code::ProviderRefused)
                .detail(format!("the payment provider refused: {code}")),
        )
    } else {
        StoredAnswer::json(status, &body)
    };
    let kept = std::sync::Arc::new((key, answer.clone()));
    private
        .db
        .transaction(move |connection| {
            let kept = std::sync::Arc::clone(&kept);
            Box::pin(async move {
                idempotency::finish(connection, &kept.0, &kept.1).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await?;
    Ok(replayed(&answer, false))
}
