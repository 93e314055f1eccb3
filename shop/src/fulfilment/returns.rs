//! What comes back: a shopper asks, staff decide, the pieces come, the money goes. All functions run inside the caller's transaction.

use serde_json::json;
use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::model::{Pieces, Return, ReturnState, refund_of, returnable};
use super::store;
use crate::notify::event::EventKind;
use crate::orders::change::announce;
use crate::orders::{self, Order, OrderState};
use crate::payments::operate::{self, Why};
use crate::payments::{PaymentSettings, store as payments};
use crate::stock;
use crate::web::error::{ApiError, Code};
use crate::web::private::PublicId;

fn conflict(detail: impl Into<String>) -> ApiError {
    ApiError::new(Code::Conflict).detail(detail)
}

fn unknown_return() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such return")
}

/// What a shopper gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Positions of lines and how many pieces of each.
    pub pieces: Vec<(i32, i64)>,
    /// Why.
    pub reason: String,
}

/// A shopper asks to give pieces back. The caller has locked the order.
///
/// # Errors
/// 409 when the order is none that has left, 422 for pieces that cannot be given back (any more).
pub async fn request(
    connection: &mut MySqlConnection,
    settings: &PaymentSettings,
    order: &Order,
    wish: &Wish,
    now: OffsetDateTime,
) -> Result<Return, ApiError> {
    if !matches!(order.state, OrderState::Placed | OrderState::Completed) {
        return Err(conflict("nothing of this order can be given back"));
    }
    let lines = orders::store::lines(connection, order.id).await?;
    let shipments = store::shipments(connection, order.id).await?;
    let returns = store::returns(connection, order.id).await?;
    let may = returnable(&lines, &shipments, &returns, now, settings.return_period);
    let mut refused = ApiError::new(Code::Unprocessable).detail("see `errors`");
    let mut pieces: Vec<Pieces> = Vec::new();
    for (index, (position, quantity)) in wish.pieces.iter().enumerate() {
        let Some(line) = lines.iter().find(|line| line.position == *position) else {
            refused = refused.field(
                format!("/lines/{index}/line"),
                "is not a line of this order",
            );
            continue;
        };
        let available = may.get(&line.id).copied().unwrap_or(0);
        if pieces.iter().any(|known| known.line_id == line.id) {
            refused = refused.field(format!("/lines/{index}/line"), "is there twice");
        } else if *quantity < 1 || *quantity > available {
            refused = refused.field(
                format!("/lines/{index}/quantity"),
                format!("must be 1 to {available}: what has arrived, has not come back, and is within the time for returns"),
            );
        } else {
            pieces.push(Pieces {
                line_id: line.id,
                quantity: *quantity,
            });
        }
    }
    if wish.pieces.is_empty() {
        refused = refused.field("/lines", "must name at least one line");
    }
    if !refused.fields.is_empty() {
        return Err(refused);
    }
    let public_id = PublicId::random();
    let id = store::return_insert(
        connection,
        public_id.as_str(),
        order.id,
        &wish.reason,
        &pieces,
    )
    .await?;
    let data = json!({ "return": public_id });
    announce(
        connection,
        order,
        EventKind::ReturnRequested,
        "customer",
        &data,
    )
    .await?;
    store::return_by_id(connection, id)
        .await?
        .ok_or_else(unknown_return)
}

/// Locks the order of a return, then the return.
///
/// # Errors
/// 404; what the database answers.
pub async fn lock(
    connection: &mut MySqlConnection,
    return_id: i64,
) -> Result<(Order, Return), ApiError> {
    let found = store::return_by_id(connection, return_id)
        .await?
        .ok_or_else(unknown_return)?;
    let order = orders::store::lock(connection, found.order_id)
        .await?
        .ok_or_else(unknown_return)?;
    let found = store::return_lock(connection, return_id)
        .await?
        .ok_or_else(unknown_return)?;
    Ok((order, found))
}

async fn step(
    connection: &mut MySqlConnection,
    order: &Order,
    found: &Return,
    to: ReturnState,
    (kind, actor): (EventKind, &str),
) -> Result<(), ApiError> {
    if !store::return_state(connection, found.id, found.state, to).await? {
        return Err(conflict("somebody else was quicker"));
    }
    let data = json!({ "return": found.public_id });
    Ok(announce(connection, order, kind, actor, &data).await?)
}

/// Staff decide whether the pieces may come back.
///
/// # Errors
/// 409 when it was decided before.
pub async fn decide(
    connection: &mut MySqlConnection,
    order: &Order,
    found: &Return,
    approved: bool,
    actor: &str,
) -> Result<(), ApiError> {
    let (to, kind) = if approved {
        (ReturnState::Approved, EventKind::ReturnApproved)
    } else {
        (ReturnState::Rejected, EventKind::ReturnRejected)
    };
    let from_here = match found.state {
        ReturnState::Requested => true,
        // What does not come, or comes broken, is refused after all.
        ReturnState::Approved => !approved,
        _ => false,
    };
    if !from_here {
        return Err(conflict(format!(
            "the return is {} already",
            found.state.name()
        )));
    }
    step(connection, order, found, to, (kind, actor)).await
}

/// The pieces are here. `restock` puts them into the warehouse again.
///
/// # Errors
/// 409 when they were not approved, or are here already.
pub async fn receive(
    connection: &mut MySqlConnection,
    order: &Order,
    found: &Return,
    restock: bool,
    actor: &str,
) -> Result<(), ApiError> {
    if found.state != ReturnState::Approved {
        return Err(conflict(format!(
            "the return is {}: approve it first",
            found.state.name()
        )));
    }
    step(
        connection,
        order,
        found,
        ReturnState::Received,
        (EventKind::ReturnReceived, actor),
    )
    .await?;
    let lines = orders::store::lines(connection, order.id).await?;
    let mut back = Vec::new();
    for pieces in &found.pieces {
        if !store::line_return(connection, order.id, *pieces).await? {
            return Err(conflict("more pieces would have come back than have left"));
        }
        if let Some(line) = lines.iter().find(|line| line.id == pieces.line_id) {
            back.push((line.variant_id, pieces.quantity));
        }
    }
    if restock {
        store::return_restocked(connection, found.id).await?;
        // Stock last, as everywhere.
        stock::restock(connection, &back).await?;
    }
    Ok(())
}

/// How much is given back for a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundWish {
    /// This much, in minor units; without it what the pieces cost.
    pub amount: Option<i64>,
    /// And what shipping cost.
    pub with_shipping: bool,
}

/// Gives money back for a return whose pieces are here: records refunds of the order's payments, to be carried out. Answers their public
/// ids. Asked again after a refusal by the provider, it gives back what was not.
///
/// # Errors
/// 409 when the pieces are not here, the money is on its way, or there is not so much left.
pub async fn refund(
    connection: &mut MySqlConnection,
    order: &Order,
    found: &Return,
    wish: RefundWish,
    why: &Why,
) -> Result<Vec<String>, ApiError> {
    if found.state != ReturnState::Received {
        return Err(conflict(format!(
            "the return is {}: money is given back for pieces that were received",
            found.state.name()
        )));
    }
    let (given, under_way) = store::return_paid_back(connection, order.id, found.id).await?;
    if under_way > 0 {
        return Err(conflict("a refund of this return is under way"));
    }
    let lines = orders::store::lines(connection, order.id).await?;
    let goods: i64 = lines.iter().map(|line| line.total).sum();
    let shipping = if wish.with_shipping {
        (order.total - goods).max(0)
    } else {
        0
    };
    let amount = match wish.amount {
        Some(amount) => amount + shipping,
        None => refund_of(&lines, &found.pieces, true) + shipping,
    };
    let mut left = amount - given;
    if left <= 0 {
        return Err(conflict("so much was given back for this return already"));
    }
    store::return_refund(connection, found.id, amount).await?;
    let mut operations = Vec::new();
    for paid in payments::of_order(connection, order.id).await? {
        let Some(mut payment) = payments::lock(connection, paid.id).await? else {
            continue;
        };
        let part = left.min(payment.captured - payment.refunded);
        if part <= 0 {
            continue;
        }
        let recorded = operate::refund_in(
            connection,
            &mut payment,
            part,
            &why.clone().for_return(found.id),
        )
        .await?;
        operations.push(recorded?);
        left -= part;
        if left == 0 {
            break;
        }
    }
    if left > 0 {
        return Err(conflict(format!(
            "that is {left} (in minor units) more than was captured for this order and not refunded"
        )));
    }
    Ok(operations)
}

/// Money of a return has been given back; when it is all of it, the return is done. The caller has locked the order.
///
/// # Errors
/// What the database answers.
pub async fn refunded_in(
    connection: &mut MySqlConnection,
    order: &Order,
    return_id: i64,
) -> Result<(), ApiError> {
    let Some(found) = store::return_lock(connection, return_id).await? else {
        return Ok(());
    };
    let (given, _) = store::return_paid_back(connection, order.id, return_id).await?;
    if found.state == ReturnState::Received && given >= found.refund {
        step(
            connection,
            order,
            &found,
            ReturnState::Refunded,
            (EventKind::ReturnRefunded, "worker"),
        )
        .await?;
    }
    Ok(())
}
