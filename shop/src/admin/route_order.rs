//! Routes of orders for the staff.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::{Change, run};
use super::fields::{Body, FromBody, Object, text};
use super::page::{Page, Query, limit};
use super::token::demand;
use super::{AdminState, Answer, answer};
use crate::checkout::Checkout;
use crate::checkout::cancel::cancel_in;
use crate::checkout::model::reason;
use crate::orders::access::{not_found, number, whole};
use crate::orders::store::{self, OrderFilter};
use crate::orders::view::{EventView, StaffOrder, StaffOrderSummary};
use crate::orders::{
    FulfilmentState, Order, OrderNumber, OrderState, PaymentState, ReviewState, Transition,
    change as history, transition,
};
use crate::web::error::{ApiError, Problem};

/// Filters of the list of orders.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Only in this state: pending, placed, completed, cancelled.
    state: Option<OrderState>,
    /// Only with this payment state.
    payment_state: Option<PaymentState>,
    /// Only with this fulfilment state.
    fulfilment_state: Option<FulfilmentState>,
    /// Only with this review state: `pending` is the review queue.
    review_state: Option<ReviewState>,
    /// Only of this e-mail address, as it was typed.
    email: Option<String>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists orders, the latest first.
#[utoipa::path(get, path = "/api/v1/admin/orders", tag = "staff: orders", params(OrderQuery),
    responses((status = 200, body = Page<StaffOrderSummary>), (status = "default", body = Problem)), security(("staff" = ["read:orders"])))]
pub async fn list(
    _: Scoped<demand::ReadOrders>,
    state: web::Data<AdminState>,
    query: web::Query<OrderQuery>,
) -> Answer {
    let query = query.into_inner();
    let rows = limit(query.limit)?;
    let filter = OrderFilter {
        state: query.state,
        payment_state: query.payment_state,
        fulfilment_state: query.fulfilment_state,
        review_state: query.review_state,
        email: query.email,
    };
    let list = Query::new("orders", &filter);
    let before = list.after(query.after.as_deref())?.unwrap_or(i64::MAX);
    let orders = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::list(connection, &filter, before, rows + 1).await?) })
        })
        .await?;
    let orders = orders.iter().map(StaffOrderSummary::from).collect();
    Ok(HttpResponse::Ok().json(list.page(orders, rows, |order: &StaffOrderSummary| order.id)))
}

async fn view(
    connection: &mut sqlx::MySqlConnection,
    order: Order,
) -> Result<StaffOrder, ApiError> {
    let history = store::events(connection, order.id).await?;
    let review_state = order.review_state;
    let whole = whole(connection, order).await?;
    Ok(StaffOrder {
        order: whole.view(),
        review_state,
        history: history.into_iter().map(EventView::from).collect(),
    })
}

/// Shows an order with its history.
#[utoipa::path(get, path = "/api/v1/admin/orders/{number}", tag = "staff: orders", params(("number" = String, Path)),
    responses((status = 200, body = StaffOrder), (status = "default", body = Problem)), security(("staff" = ["read:orders"])))]
pub async fn get(
    _: Scoped<demand::ReadOrders>,
    state: web::Data<AdminState>,
    path: web::Path<String>,
) -> Answer {
    let number = number(&path)?;
    let order = state
        .read(move |connection| {
            Box::pin(async move {
                let order = store::find_by_number(connection, &number)
                    .await?
                    .ok_or_else(not_found)?;
                view(connection, order).await
            })
        })
        .await?;
    Ok(answer(order.order.version, &order))
}

/// What an order was and became, for the audit log.
#[derive(Debug, Serialize)]
struct Audited {
    number: String,
    state: OrderState,
    review_state: ReviewState,
}

impl From<&Order> for Audited {
    fn from(order: &Order) -> Self {
        Self {
            number: order.number.to_string(),
            state: order.state,
            review_state: order.review_state,
        }
    }
}

async fn lock(change: &mut Change<'_>, number: &OrderNumber) -> Result<Order, ApiError> {
    let found = store::find_by_number(change.connection, number)
        .await?
        .ok_or_else(not_found)?;
    store::lock(change.connection, found.id)
        .await?
        .ok_or_else(not_found)
}

async fn audited(
    change: &mut Change<'_>,
    action: &'static str,
    before: &Audited,
    order: Order,
) -> Result<StaffOrder, ApiError> {
    let after = Audited::from(&order);
    change
        .audit(action, "order", order.id, Some(before), Some(&after))
        .await?;
    view(change.connection, order).await
}

/// Cancels an order of which nothing has left: its money and its pieces are given back. Again has no effect.
#[utoipa::path(post, path = "/api/v1/admin/orders/{number}/cancel", tag = "staff: orders", params(("number" = String, Path)),
    responses((status = 200, body = StaffOrder), (status = "default", body = Problem)), security(("staff" = ["write:orders"])))]
pub async fn cancel(
    staff: Scoped<demand::WriteOrders>,
    state: web::Data<AdminState>,
    path: web::Path<String>,
) -> Answer {
    let (actor, number) = (staff.actor(), number(&path)?);
    let who = format!("staff:{}", actor.name);
    let order = run(&state, actor, (number, who), |change, (number, who)| {
        Box::pin(async move {
            let mut order = lock(change, number).await?;
            if order.state == OrderState::Cancelled {
                return view(change.connection, order).await;
            }
            let before = Audited::from(&order);
            cancel_in(change.connection, &mut order, reason::STAFF, who).await?;
            audited(change, "order.cancel", &before, order).await
        })
    })
    .await?;
    Ok(answer(order.order.version, &order))
}

/// Holds an order back: nothing of it is sent until it is released.
#[utoipa::path(post, path = "/api/v1/admin/orders/{number}/hold", tag = "staff: orders", params(("number" = String, Path)),
    responses((status = 200, body = StaffOrder), (status = "default", body = Problem)), security(("staff" = ["write:orders"])))]
pub async fn hold(
    staff: Scoped<demand::WriteOrders>,
    state: web::Data<AdminState>,
    path: web::Path<String>,
) -> Answer {
    let (actor, number) = (staff.actor(), number(&path)?);
    let who = format!("staff:{}", actor.name);
    let order = run(&state, actor, (number, who), |change, (number, who)| {
        Box::pin(async move {
            let mut order = lock(change, number).await?;
            if order.review_state == ReviewState::Pending {
                return view(change.connection, order).await;
            }
            let before = Audited::from(&order);
            let data = serde_json::json!({});
            transition(change.connection, &mut order, Transition::Hold, who, data).await?;
            audited(change, "order.hold", &before, order).await
        })
    })
    .await?;
    Ok(answer(order.order.version, &order))
}

/// Releases an order that was held back. Where the shop takes money at once, it is taken now.
#[utoipa::path(post, path = "/api/v1/admin/orders/{number}/release", tag = "staff: orders", params(("number" = String, Path)),
    responses((status = 200, body = StaffOrder), (status = "default", body = Problem)), security(("staff" = ["write:orders"])))]
pub async fn release(
    staff: Scoped<demand::WriteOrders>,
    state: web::Data<AdminState>,
    checkout: web::Data<Checkout>,
    path: web::Path<String>,
) -> Answer {
    let (actor, number) = (staff.actor(), number(&path)?);
    let who = format!("staff:{}", actor.name);
    let payments = checkout.payments.clone();
    let order = run(
        &state,
        actor,
        (number, who, payments),
        |change, (number, who, payments)| {
            Box::pin(async move {
                let mut order = lock(change, number).await?;
                if order.review_state == ReviewState::Cleared {
                    return view(change.connection, order).await;
                }
                let before = Audited::from(&order);
                let data = serde_json::json!({});
                transition(change.connection, &mut order, Transition::Clear, who, data).await?;
                payments.released_in(change.connection, &order, who).await?;
                audited(change, "order.release", &before, order).await
            })
        },
    )
    .await?;
    Ok(answer(order.order.version, &order))
}

/// The body of a note.
#[derive(Debug, Clone, ToSchema)]
pub struct OrderNote {
    /// What the next colleague should know.
    pub text: String,
}

impl FromBody for OrderNote {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let text = object.required("text", text(1, 2000));
        Some(Self { text: text? })
    }
}

/// Writes a note into the history of an order. Shoppers do not see it.
#[utoipa::path(post, path = "/api/v1/admin/orders/{number}/notes", tag = "staff: orders", params(("number" = String, Path)),
    request_body = OrderNote,
    responses((status = 200, body = StaffOrder), (status = "default", body = Problem)), security(("staff" = ["write:orders"])))]
pub async fn note(
    staff: Scoped<demand::WriteOrders>,
    state: web::Data<AdminState>,
    path: web::Path<String>,
    body: Body<OrderNote>,
) -> Answer {
    let (actor, number) = (staff.actor(), number(&path)?);
    let who = format!("staff:{}", actor.name);
    let order = run(
        &state,
        actor,
        (number, who, body.0),
        |change, (number, who, note)| {
            Box::pin(async move {
                let order = lock(change, number).await?;
                history::note(change.connection, order.id, who, &note.text).await?;
                let before = Audited::from(&order);
                audited(change, "order.note", &before, order).await
            })
        },
    )
    .await?;
    Ok(answer(order.order.version, &order))
}
