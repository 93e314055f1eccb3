//! Parcels of an order: packed, handed to a carrier, followed, delivered. All functions run inside the caller's transaction.

use serde_json::json;
use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::model::{Pieces, Shipment, ShipmentState, state_of};
use super::{carriers, store};
use crate::db::violated_constraint;
use crate::notify::event::EventKind;
use crate::orders::change::{announce, may, transition};
use crate::orders::{self, FulfilmentState, Line, Order, PaymentState, Transition};
use crate::payments::operate::{self, Why};
use crate::payments::{CapturePolicy, PaymentSettings};
use crate::stock;
use crate::web::error::{ApiError, Code};
use crate::web::private::PublicId;

fn conflict(detail: impl Into<String>) -> ApiError {
    ApiError::new(Code::Conflict).detail(detail)
}

fn unknown_shipment() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such shipment")
}

/// An order that may be fulfilled, locked.
///
/// # Errors
/// 404; 409 when it may not.
async fn fulfillable(connection: &mut MySqlConnection, order_id: i64) -> Result<Order, ApiError> {
    let order = orders::store::lock(connection, order_id)
        .await?
        .ok_or_else(|| ApiError::new(Code::NotFound).detail("there is no such order"))?;
    if !order.may_be_fulfilled() {
        return Err(conflict(format!(
            "order {} is {} and its review {}: nothing of it may leave",
            order.number, order.state, order.review_state
        )));
    }
    Ok(order)
}

/// Packs a parcel with pieces of an order's lines, by their positions.
///
/// # Errors
/// 409 when the order may not be fulfilled, 422 for pieces that are not there any more.
pub async fn pack(
    connection: &mut MySqlConnection,
    order_id: i64,
    carrier: &str,
    wanted: &[(i32, i64)],
    actor: &str,
) -> Result<Shipment, ApiError> {
    let order = fulfillable(connection, order_id).await?;
    let lines = orders::store::lines(connection, order_id).await?;
    let packed = store::shipments(connection, order_id).await?;
    let in_parcels = |line: &Line| -> i64 {
        packed
            .iter()
            .filter(|shipment| shipment.state == ShipmentState::Preparing)
            .flat_map(|shipment| &shipment.pieces)
            .filter(|pieces| pieces.line_id == line.id)
            .map(|pieces| pieces.quantity)
            .sum()
    };
    let mut pieces = Vec::with_capacity(wanted.len());
    let mut refused = ApiError::new(Code::Unprocessable).detail("see `errors`");
    for (index, (position, quantity)) in wanted.iter().enumerate() {
        let line = lines.iter().find(|line| line.position == *position);
        let available = line.map_or(0, |line| line.open() - in_parcels(line));
        match line {
            Some(line) if *quantity <= available => pieces.push(Pieces {
                line_id: line.id,
                quantity: *quantity,
            }),
            Some(_) => {
                refused = refused.field(
                    format!("/lines/{index}/quantity"),
                    format!(
                        "must be at most {available}: the rest has left, is packed or was cancelled"
                    ),
                );
            }
            None => {
                refused = refused.field(
                    format!("/lines/{index}/line"),
                    "is not a line of this order",
                );
            }
        }
    }
    if !refused.fields.is_empty() {
        return Err(refused);
    }
    let public_id = PublicId::random();
    let id =
        store::shipment_insert(connection, public_id.as_str(), order_id, carrier, &pieces).await?;
    let data = json!({ "shipment": public_id });
    announce(connection, &order, EventKind::ShipmentCreated, actor, &data).await?;
    store::shipment_lock(connection, id)
        .await?
        .ok_or_else(unknown_shipment)
}

/// Unpacks a parcel that has not left.
///
/// # Errors
/// 409 when it has.
pub async fn unpack(connection: &mut MySqlConnection, shipment: &Shipment) -> Result<(), ApiError> {
    orders::store::lock(connection, shipment.order_id).await?;
    if store::shipment_delete(connection, shipment.id).await? {
        Ok(())
    } else {
        Err(conflict("the parcel has left: it cannot be unpacked"))
    }
}

/// Whether the money for an order is where it has to be before pieces of it leave.
fn money_is_there(order: &Order, policy: CapturePolicy) -> bool {
    match order.payment_state {
        PaymentState::Paid | PaymentState::PartiallyCaptured | PaymentState::PartiallyRefunded => {
            true
        }
        PaymentState::Authorized => policy == CapturePolicy::OnShipment,
        PaymentState::Unpaid => order.total == 0,
        PaymentState::Refunded | PaymentState::Voided => false,
    }
}

/// What is due when these pieces leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Their share, and with the first parcel shipping.
    Part(i64),
    /// It is the last parcel: all that is owed.
    Rest,
}

fn due(order: &Order, lines: &[Line], pieces: &[Pieces]) -> Due {
    let mut leaving = 0;
    let mut stays = false;
    for line in lines {
        let now: i64 = pieces
            .iter()
            .filter(|pieces| pieces.line_id == line.id)
            .map(|pieces| pieces.quantity)
            .sum();
        stays |= line.open() > now;
        leaving += line.amount_of(line.cancelled + line.shipped, now);
    }
    if !stays {
        return Due::Rest;
    }
    let is_first = lines.iter().all(|line| line.shipped == 0);
    let goods: i64 = lines.iter().map(|line| line.total).sum();
    let shipping = if is_first {
        (order.total - goods).max(0)
    } else {
        0
    };
    Due::Part(leaving + shipping)
}

/// A parcel leaves: pieces are taken out of the warehouse, the order follows, and money is taken where that waits for shipments.
///
/// # Errors
/// 409 when it has left, when the order may not be fulfilled or is not paid, or when the number belongs to another parcel.
pub async fn ship(
    connection: &mut MySqlConnection,
    settings: &PaymentSettings,
    shipment_id: i64,
    tracking_number: Option<&str>,
    actor: &str,
) -> Result<Shipment, ApiError> {
    let (mut order, shipment) = lock(connection, shipment_id).await?;
    if !order.may_be_fulfilled() {
        return Err(conflict(format!(
            "order {} is {} and its review {}: nothing of it may leave",
            order.number, order.state, order.review_state
        )));
    }
    if !money_is_there(&order, settings.capture) {
        return Err(conflict(format!(
            "the payment of order {} is {}: capture it first, or wait until that is done",
            order.number, order.payment_state
        )));
    }
    let lines = orders::store::lines(connection, order.id).await?;
    let due = due(&order, &lines, &shipment.pieces);
    let url =
        tracking_number.and_then(|number| carriers::link(settings, &shipment.carrier, number));
    let left = store::shipment_ship(connection, shipment.id, tracking_number, url.as_deref()).await;
    match left {
        Ok(true) => {}
        Ok(false) => return Err(conflict("the parcel has left before")),
        Err(error) if violated_constraint(&error).as_deref() == Some("shipment_tracking") => {
            return Err(ApiError::new(Code::Conflict)
                .detail("see `errors`")
                .field("/tracking_number", "belongs to another parcel"));
        }
        Err(error) => return Err(error.into()),
    }
    let mut leaving = Vec::with_capacity(shipment.pieces.len());
    for pieces in &shipment.pieces {
        if !store::line_ship(connection, order.id, *pieces).await? {
            return Err(conflict(
                "pieces of the parcel were cancelled: unpack it and pack anew",
            ));
        }
        if let Some(line) = lines.iter().find(|line| line.id == pieces.line_id) {
            leaving.push((line.variant_id, pieces.quantity));
        }
    }
    let data = json!({ "shipment": shipment.public_id });
    announce(connection, &order, EventKind::ShipmentShipped, actor, &data).await?;
    let step = match due {
        Due::Rest => Transition::Ship,
        Due::Part(_) => Transition::ShipPart,
    };
    if may(&order, step) {
        transition(connection, &mut order, step, actor, data).await?;
    }
    if settings.capture == CapturePolicy::OnShipment {
        let why = Why::new(actor, format!("shipment {}", shipment.public_id));
        let owed = operate::owed_in(connection, &order, &lines).await?;
        let (amount, is_last) = match due {
            Due::Part(amount) => (amount, false),
            Due::Rest => (owed, true),
        };
        operate::capture_part_in(connection, order.id, amount, owed, &why).await?;
        if is_last {
            operate::void_rests_in(connection, order.id, &why).await?;
        }
    }
    if let Some(number) = tracking_number {
        store::carrier_events_adopt(connection, shipment.id, &shipment.carrier, number).await?;
    }
    let shipment = follow(connection, &mut order, shipment.id, actor).await?;
    // Stock last, as everywhere.
    if stock::ship(connection, order.id, &leaving).await?.is_err() {
        return Err(conflict(
            "the stock of this order is not what its lines say: see `panono-shop check --invariants`",
        ));
    }
    Ok(shipment)
}

async fn lock(
    connection: &mut MySqlConnection,
    shipment_id: i64,
) -> Result<(Order, Shipment), ApiError> {
    // Parcels never change their order, so that it can be read before it is locked.
    let order_id = store::shipment_order(connection, shipment_id)
        .await?
        .ok_or_else(unknown_shipment)?;
    let order = orders::store::lock(connection, order_id)
        .await?
        .ok_or_else(unknown_shipment)?;
    let shipment = store::shipment_lock(connection, shipment_id)
        .await?
        .ok_or_else(unknown_shipment)?;
    Ok((order, shipment))
}

/// Somebody of the staff says where a parcel is.
///
/// # Errors
/// 409 when it cannot come there from where it is.
pub async fn mark(
    connection: &mut MySqlConnection,
    shipment_id: i64,
    state: ShipmentState,
    actor: &str,
) -> Result<Shipment, ApiError> {
    let (mut order, shipment) = lock(connection, shipment_id).await?;
    if shipment.state.after(state) != state {
        return Err(conflict(format!(
            "a parcel that is {} cannot become {}",
            shipment.state.name(),
            state.name()
        )));
    }
    moved(connection, &mut order, &shipment, state, actor).await?;
    store::shipment_lock(connection, shipment_id)
        .await?
        .ok_or_else(unknown_shipment)
}

/// A carrier has said something of a parcel, which is in its messages now.
///
/// # Errors
/// What the database answers.
pub async fn reported(
    connection: &mut MySqlConnection,
    shipment_id: i64,
    actor: &str,
) -> Result<(), ApiError> {
    let (mut order, _) = lock(connection, shipment_id).await?;
    follow(connection, &mut order, shipment_id, actor).await?;
    Ok(())
}

/// Brings a parcel to where its carrier's messages say it is.
async fn follow(
    connection: &mut MySqlConnection,
    order: &mut Order,
    shipment_id: i64,
    actor: &str,
) -> Result<Shipment, ApiError> {
    let shipment = store::shipment_lock(connection, shipment_id)
        .await?
        .ok_or_else(unknown_shipment)?;
    let reports = store::carrier_events(connection, shipment_id).await?;
    let start = match shipment.state {
        ShipmentState::Preparing => return Ok(shipment),
        // What staff said stands, unless it comes back.
        ShipmentState::Delivered | ShipmentState::Returned => shipment.state,
        _ => ShipmentState::Shipped,
    };
    let state = state_of(start, &reports);
    if state != shipment.state {
        moved(connection, order, &shipment, state, actor).await?;
    }
    store::shipment_lock(connection, shipment_id)
        .await?
        .ok_or_else(unknown_shipment)
}

async fn moved(
    connection: &mut MySqlConnection,
    order: &mut Order,
    shipment: &Shipment,
    state: ShipmentState,
    actor: &str,
) -> Result<(), ApiError> {
    let delivered_at = match state {
        ShipmentState::Delivered => Some(delivery(connection, shipment.id).await?),
        _ => None,
    };
    store::shipment_state(connection, shipment.id, state, delivered_at).await?;
    let kind = match state {
        ShipmentState::Preparing | ShipmentState::Shipped => None,
        ShipmentState::InTransit => Some(EventKind::ShipmentInTransit),
        ShipmentState::Delivered => Some(EventKind::ShipmentDelivered),
        ShipmentState::Failed => Some(EventKind::ShipmentFailed),
        ShipmentState::Returned => Some(EventKind::ShipmentReturned),
    };
    let data = json!({ "shipment": shipment.public_id });
    if let Some(kind) = kind {
        announce(connection, order, kind, actor, &data).await?;
    }
    if state != ShipmentState::Delivered || order.fulfilment_state != FulfilmentState::Shipped {
        return Ok(());
    }
    let all_there = store::shipments(connection, order.id)
        .await?
        .iter()
        .all(|shipment| shipment.state == ShipmentState::Delivered);
    if all_there && may(order, Transition::Deliver) {
        transition(connection, order, Transition::Deliver, actor, data).await?;
        let settled = matches!(
            order.payment_state,
            PaymentState::Paid | PaymentState::PartiallyRefunded | PaymentState::Refunded
        ) || order.total == 0;
        if settled && may(order, Transition::Complete) {
            transition(connection, order, Transition::Complete, actor, json!({})).await?;
        }
    }
    Ok(())
}

/// When a parcel was delivered: as its carrier says, else now.
async fn delivery(
    connection: &mut MySqlConnection,
    shipment_id: i64,
) -> Result<OffsetDateTime, sqlx::Error> {
    let reports = store::carrier_events(connection, shipment_id).await?;
    Ok(reports
        .into_iter()
        .rev()
        .find(|(_, state)| *state == ShipmentState::Delivered)
        .map_or_else(OffsetDateTime::now_utc, |(at, _)| at))
}
