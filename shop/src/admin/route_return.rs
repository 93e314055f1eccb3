//! Routes of returns.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Actor, Scoped};
use super::change::{Change, run};
use super::fields::{Body, FromBody, Object, boolean, integer, text};
use super::page::{Page, Query, limit};
use super::precondition::IfMatch;
use super::route_payment::{Begun, claimed, finish, outcome};
use super::token::demand;
use super::{AdminState, Answer, answer};
use crate::fulfilment::model::{Return, ReturnState};
use crate::fulfilment::returns::{self, RefundWish};
use crate::fulfilment::store;
use crate::fulfilment::view::ReturnView;
use crate::idempotency::{self, Key};
use crate::orders::{self, Order};
use crate::payments::operate::Why;
use crate::payments::store as payments;
use crate::payments::view::OperationView;
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::{PrivateState, PublicId};

fn unknown_return() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such return")
}

/// Filters of the list of returns.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReturnQuery {
    /// In this state; `requested` if it is not given.
    state: Option<ReturnState>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// A return with the number of its order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StaffReturn {
    /// The order's number.
    pub order: String,
    /// The return.
    #[serde(flatten)]
    pub details: ReturnView,
}

/// Lists returns in a state, the latest first.
#[utoipa::path(get, path = "/api/v1/admin/returns", tag = "staff: returns", params(ReturnQuery),
    responses((status = 200, body = Page<StaffReturn>), (status = "default", body = Problem)), security(("staff" = ["read:returns"])))]
pub async fn list(
    _: Scoped<demand::ReadReturns>,
    state: web::Data<AdminState>,
    query: web::Query<ReturnQuery>,
) -> Answer {
    let ReturnQuery {
        state: wanted,
        limit: asked,
        after,
    } = query.into_inner();
    let limit = limit(asked)?;
    let wanted = wanted.unwrap_or(ReturnState::Requested);
    let list = Query::new("returns", &wanted);
    let before = list.after(after.as_deref())?.unwrap_or(i64::MAX);
    let rows = state
        .read(move |connection| {
            Box::pin(async move {
                let mut rows = Vec::new();
                for found in store::returns_list(connection, wanted, before, limit + 1).await? {
                    let order = orders::store::get(connection, found.order_id)
                        .await?
                        .ok_or_else(unknown_return)?;
                    let lines = orders::store::lines(connection, order.id).await?;
                    let row = StaffReturn {
                        order: order.number.to_string(),
                        details: ReturnView::new(&found, &lines),
                    };
                    rows.push((found.id, row));
                }
                Ok(rows)
            })
        })
        .await?;
    let page = list.page(rows, limit, |(id, _)| *id);
    Ok(HttpResponse::Ok().json(Page {
        items: page.items.into_iter().map(|(_, row)| row).collect(),
        next: page.next,
    }))
}

/// Shows a return.
#[utoipa::path(get, path = "/api/v1/admin/returns/{id}", tag = "staff: returns", params(("id" = String, Path)),
    responses((status = 200, body = StaffReturn), (status = "default", body = Problem)), security(("staff" = ["read:returns"])))]
pub async fn get(
    _: Scoped<demand::ReadReturns>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
) -> Answer {
    let id = id.to_string();
    let view = state
        .read(move |connection| {
            Box::pin(async move {
                let found = store::return_by_public_id(connection, &id)
                    .await?
                    .ok_or_else(unknown_return)?;
                let order = orders::store::get(connection, found.order_id)
                    .await?
                    .ok_or_else(unknown_return)?;
                let lines = orders::store::lines(connection, order.id).await?;
                Ok(StaffReturn {
                    order: order.number.to_string(),
                    details: ReturnView::new(&found, &lines),
                })
            })
        })
        .await?;
    Ok(answer(view.details.version, &view))
}

/// A step of a return.
#[derive(Debug, Clone, Copy)]
enum Step {
    Approve,
    Reject,
    Receive { restock: bool },
}

/// What happens with pieces that came back.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Receipt {
    /// Whether they can be sold again: they are put back into stock.
    pub restock: bool,
}

impl FromBody for Receipt {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        Some(Self {
            restock: object.required("restock", boolean)?,
        })
    }
}

async fn found(
    change: &mut Change<'_>,
    id: &str,
    if_match: Option<&IfMatch>,
) -> Result<(Order, Return), ApiError> {
    let known = store::return_by_public_id(change.connection, id)
        .await?
        .ok_or_else(unknown_return)?;
    let (order, found) = returns::lock(change.connection, known.id).await?;
    if let Some(if_match) = if_match {
        if_match.check(found.version)?;
    }
    Ok((order, found))
}

async fn shown(change: &mut Change<'_>, order: &Order, id: i64) -> Result<StaffReturn, ApiError> {
    let found = store::return_by_id(change.connection, id)
        .await?
        .ok_or_else(unknown_return)?;
    let lines = orders::store::lines(change.connection, order.id).await?;
    Ok(StaffReturn {
        order: order.number.to_string(),
        details: ReturnView::new(&found, &lines),
    })
}

async fn step(
    state: &AdminState,
    actor: Actor,
    id: String,
    if_match: IfMatch,
    step: Step,
) -> Answer {
    let staff = format!("staff:{}", actor.name);
    let input = (id, if_match, step, staff);
    let view = run(
        state,
        actor,
        input,
        |change, (id, if_match, step, staff)| {
            Box::pin(async move {
                let (order, known) = found(change, id, Some(if_match)).await?;
                let before = shown(change, &order, known.id).await?;
                let action = match step {
                    Step::Approve => {
                        returns::decide(change.connection, &order, &known, true, staff).await?;
                        "return.approve"
                    }
                    Step::Reject => {
                        returns::decide(change.connection, &order, &known, false, staff).await?;
                        "return.reject"
                    }
                    Step::Receive { restock } => {
                        returns::receive(change.connection, &order, &known, *restock, staff)
                            .await?;
                        "return.receive"
                    }
                };
                let after = shown(change, &order, known.id).await?;
                change
                    .audit(action, "return", known.id, Some(&before), Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(view.details.version, &view))
}

/// Lets the pieces of a return come back.
#[utoipa::path(post, path = "/api/v1/admin/returns/{id}/approve", tag = "staff: returns",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = StaffReturn), (status = "default", body = Problem)), security(("staff" = ["write:returns"])))]
pub async fn approve(
    staff: Scoped<demand::WriteReturns>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
    if_match: IfMatch,
) -> Answer {
    step(
        &state,
        staff.actor(),
        id.to_string(),
        if_match,
        Step::Approve,
    )
    .await
}

/// Refuses a return, before or after it was approved, as long as the pieces are not here.
#[utoipa::path(post, path = "/api/v1/admin/returns/{id}/reject", tag = "staff: returns",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = StaffReturn), (status = "default", body = Problem)), security(("staff" = ["write:returns"])))]
pub async fn reject(
    staff: Scoped<demand::WriteReturns>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
    if_match: IfMatch,
) -> Answer {
    step(
        &state,
        staff.actor(),
        id.to_string(),
        if_match,
        Step::Reject,
    )
    .await
}

/// Notes that the pieces of a return are here.
#[utoipa::path(post, path = "/api/v1/admin/returns/{id}/receive", tag = "staff: returns",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = Receipt,
    responses((status = 200, body = StaffReturn), (status = "default", body = Problem)), security(("staff" = ["write:returns"])))]
pub async fn receive(
    staff: Scoped<demand::WriteReturns>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
    if_match: IfMatch,
    body: Body<Receipt>,
) -> Answer {
    let receive = Step::Receive {
        restock: body.0.restock,
    };
    step(&state, staff.actor(), id.to_string(), if_match, receive).await
}

/// How much is given back.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnRefund {
    /// So much for the pieces, in minor units; without it what they cost, taxes and discounts included.
    #[schema(minimum = 1)]
    pub amount: Option<i64>,
    /// And what shipping cost; `false` if it is not given.
    pub with_shipping: Option<bool>,
    /// Why; for the history of the order.
    #[schema(max_length = 190)]
    pub reason: Option<String>,
}

impl FromBody for ReturnRefund {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let amount = object.optional("amount", integer(1, 1_000_000_000_000_000));
        let with_shipping = object.optional("with_shipping", boolean);
        let reason = object.optional("reason", text(0, 190));
        Some(Self {
            amount: amount?,
            with_shipping: with_shipping?,
            reason: reason?,
        })
    }
}

/// The refunds of a return.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnRefunds {
    /// One for each payment that the order was paid with.
    pub refunds: Vec<OperationView>,
}

/// Gives money back for a return whose pieces are here. After a refusal by the provider it may be asked for again, with a new key.
#[utoipa::path(post, path = "/api/v1/admin/returns/{id}/refunds", tag = "staff: returns",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)), request_body = ReturnRefund,
    responses((status = 201, body = ReturnRefunds), (status = 202, description = "The provider's answer is not known yet", body = ReturnRefunds),
        (status = "default", body = Problem)), security(("staff" = ["refund:payments"])))]
pub async fn refund(
    staff: Scoped<demand::RefundPayments>,
    states: (web::Data<AdminState>, web::Data<PrivateState>),
    request: HttpRequest,
    id: web::Path<PublicId>,
    body: Body<ReturnRefund>,
) -> Answer {
    let (state, private) = states;
    let actor = staff.actor();
    let id = id.to_string();
    let key = Key::new(
        "return refund",
        &id,
        idempotency::key_of(&request)?,
        &body.0,
    );
    let why = Why::new(
        format!("staff:{}", actor.name),
        body.0.reason.clone().unwrap_or_default(),
    );
    let wish = RefundWish {
        amount: body.0.amount,
        with_shipping: body.0.with_shipping.unwrap_or(false),
    };
    let input = (id, key.clone(), wish, why.at_once());
    let begun = run(&state, actor, input, |change, (id, key, wish, why)| {
        Box::pin(async move {
            match claimed(idempotency::claim(change.connection, key).await?)? {
                Err(answer) => return Ok(Begun::Done(answer)),
                Ok(Some(return_id)) => {
                    let operations = of_return(change, return_id).await?;
                    return Ok(Begun::Operations(operations));
                }
                Ok(None) => {}
            }
            let (order, known) = found(change, id, None).await?;
            let before = shown(change, &order, known.id).await?;
            let operations = returns::refund(change.connection, &order, &known, *wish, why).await?;
            idempotency::refer(change.connection, key, known.id).await?;
            let after = shown(change, &order, known.id).await?;
            change
                .audit(
                    "return.refund",
                    "return",
                    known.id,
                    Some(&before),
                    Some(&after),
                )
                .await?;
            Ok(Begun::Operations(operations))
        })
    })
    .await?;
    finish(&private, key, begun, |operations| {
        let refunds = operations.iter().map(OperationView::from).collect();
        let body = serde_json::to_value(ReturnRefunds { refunds }).map_err(ApiError::internal)?;
        Ok((outcome(operations), body))
    })
    .await
}

/// The refunds of a return that a request which died had recorded.
async fn of_return(change: &mut Change<'_>, return_id: i64) -> Result<Vec<String>, ApiError> {
    let known = store::return_by_id(change.connection, return_id)
        .await?
        .ok_or_else(unknown_return)?;
    let mut found = Vec::new();
    for payment in payments::of_order(change.connection, known.order_id).await? {
        let operations = payments::operations(change.connection, payment.id).await?;
        found.extend(
            operations
                .into_iter()
                .filter(|operation| operation.return_id == Some(return_id))
                .map(|operation| operation.public_id),
        );
    }
    Ok(found)
}
