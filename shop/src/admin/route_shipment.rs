//! Routes of shipments.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Actor, Scoped};
use super::change::{Change, run};
use super::fields::{Body, FromBody, Object, integer, parsed_with, small_integer};
use super::precondition::IfMatch;
use super::token::demand;
use super::{AdminState, Answer, answer, created, order_number, unknown_order};
use crate::fulfilment::model::{Shipment, ShipmentState};
use crate::fulfilment::view::{ShipmentView, ShipmentsView};
use crate::fulfilment::{carriers, shipments, store};
use crate::orders;
use crate::payments::PaymentSettings;
use crate::payments::config::is_carrier_name;
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::{PrivateState, PublicId};

/// Most lines of a parcel that are taken at once; an order has no more.
const MOST_LINES: usize = 500;

fn unknown_shipment() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such shipment")
}

/// A parcel to be packed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NewShipment {
    /// Who brings it: a name of lower-case letters, digits and hyphens, best one of `PANONO_CARRIERS`.
    #[schema(min_length = 1, max_length = 32)]
    pub carrier: String,
    /// What is in it.
    #[schema(min_items = 1)]
    pub lines: Vec<NewPieces>,
}

/// Pieces of a line.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct NewPieces {
    /// The line's place in the order, from 0.
    pub line: i32,
    /// How many.
    #[schema(minimum = 1, maximum = 9999)]
    pub quantity: i64,
}

impl FromBody for NewShipment {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let carrier = object.required(
            "carrier",
            parsed_with(|name| {
                if is_carrier_name(name) {
                    Ok(name.to_owned())
                } else {
                    Err("must have 1 to 32 lower-case letters, digits and hyphens")
                }
            }),
        );
        let lines = object.objects("lines", |object| {
            let line = object.required("line", small_integer);
            let quantity = object.required("quantity", integer(1, 9999));
            Some(NewPieces {
                line: line?,
                quantity: quantity?,
            })
        })?;
        if lines.is_empty() || lines.len() > MOST_LINES {
            object.error("lines", format!("must have 1 to {MOST_LINES} items"));
            return None;
        }
        let mut positions: Vec<i32> = lines.iter().map(|pieces| pieces.line).collect();
        positions.sort_unstable();
        positions.dedup();
        if positions.len() != lines.len() {
            object.error("lines", "must name each line once");
            return None;
        }
        Some(Self {
            carrier: carrier?,
            lines,
        })
    }
}

/// A parcel that leaves.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Handover {
    /// Its number with the carrier.
    #[schema(min_length = 1, max_length = 64)]
    pub tracking_number: Option<String>,
}

impl FromBody for Handover {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let tracking_number = object.optional(
            "tracking_number",
            parsed_with(|number| {
                if carriers::is_tracking_number(number) {
                    Ok(number.to_owned())
                } else {
                    Err("must have 1 to 64 letters, digits, spaces and -/. only")
                }
            }),
        )?;
        Some(Self { tracking_number })
    }
}

/// Where a parcel is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Whereabouts {
    /// The state: `in_transit`, `delivered`, `failed`, `returned`.
    pub state: ShipmentState,
}

impl FromBody for Whereabouts {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let state = object.required(
            "state",
            parsed_with(|name| match ShipmentState::from_name(name) {
                Some(state)
                    if !matches!(state, ShipmentState::Preparing | ShipmentState::Shipped) =>
                {
                    Ok(state)
                }
                _ => Err("must be in_transit, delivered, failed or returned"),
            }),
        )?;
        Some(Self { state })
    }
}

/// Lists the parcels of an order.
#[utoipa::path(get, path = "/api/v1/admin/orders/{number}/shipments", tag = "staff: shipments", params(("number" = String, Path)),
    responses((status = 200, body = ShipmentsView), (status = "default", body = Problem)), security(("staff" = ["read:shipments"])))]
pub async fn list(
    _: Scoped<demand::ReadShipments>,
    state: web::Data<AdminState>,
    number: web::Path<String>,
) -> Answer {
    let number = order_number(&number)?;
    let view = state
        .read(move |connection| {
            Box::pin(async move {
                let order = orders::store::find_by_number(connection, &number)
                    .await?
                    .ok_or_else(unknown_order)?;
                let lines = orders::store::lines(connection, order.id).await?;
                let shipments = store::shipments(connection, order.id).await?;
                Ok(ShipmentsView {
                    shipments: shipments
                        .iter()
                        .map(|shipment| ShipmentView::new(shipment, &lines))
                        .collect(),
                })
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}

/// Packs a parcel with pieces of an order. Nothing leaves yet.
#[utoipa::path(post, path = "/api/v1/admin/orders/{number}/shipments", tag = "staff: shipments", params(("number" = String, Path)),
    request_body = NewShipment,
    responses((status = 201, body = ShipmentView), (status = "default", body = Problem)), security(("staff" = ["write:shipments"])))]
pub async fn create(
    staff: Scoped<demand::WriteShipments>,
    state: web::Data<AdminState>,
    number: web::Path<String>,
    body: Body<NewShipment>,
) -> Answer {
    let number = order_number(&number)?;
    let actor = staff.actor();
    let input = (number, body.0, name(&actor));
    let view = run(&state, actor, input, |change, (number, wanted, actor)| {
        Box::pin(async move {
            let order = orders::store::find_by_number(change.connection, number)
                .await?
                .ok_or_else(unknown_order)?;
            let pieces: Vec<(i32, i64)> = wanted
                .lines
                .iter()
                .map(|pieces| (pieces.line, pieces.quantity))
                .collect();
            let shipment =
                shipments::pack(change.connection, order.id, &wanted.carrier, &pieces, actor)
                    .await?;
            written(change, "shipment.create", None, &shipment).await
        })
    })
    .await?;
    let location = format!("/api/v1/admin/shipments/{}", view.id);
    Ok(created(location, view.version, &view))
}

fn name(actor: &Actor) -> String {
    format!("staff:{}", actor.name)
}

async fn view(change: &mut Change<'_>, shipment: &Shipment) -> Result<ShipmentView, ApiError> {
    let lines = orders::store::lines(change.connection, shipment.order_id).await?;
    Ok(ShipmentView::new(shipment, &lines))
}

async fn written(
    change: &mut Change<'_>,
    action: &'static str,
    before: Option<&Shipment>,
    after: &Shipment,
) -> Result<ShipmentView, ApiError> {
    let before = match before {
        Some(before) => Some(view(change, before).await?),
        None => None,
    };
    let shown = view(change, after).await?;
    change
        .audit(action, "shipment", after.id, before.as_ref(), Some(&shown))
        .await?;
    Ok(shown)
}

async fn found(
    change: &mut Change<'_>,
    id: &str,
    if_match: &IfMatch,
) -> Result<Shipment, ApiError> {
    let shipment = store::shipment(change.connection, id)
        .await?
        .ok_or_else(unknown_shipment)?;
    if_match.check(shipment.version)?;
    Ok(shipment)
}

/// Shows a parcel.
#[utoipa::path(get, path = "/api/v1/admin/shipments/{id}", tag = "staff: shipments", params(("id" = String, Path)),
    responses((status = 200, body = ShipmentView), (status = "default", body = Problem)), security(("staff" = ["read:shipments"])))]
pub async fn get(
    _: Scoped<demand::ReadShipments>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
) -> Answer {
    let id = id.to_string();
    let view = state
        .read(move |connection| {
            Box::pin(async move {
                let shipment = store::shipment(connection, &id)
                    .await?
                    .ok_or_else(unknown_shipment)?;
                let lines = orders::store::lines(connection, shipment.order_id).await?;
                Ok(ShipmentView::new(&shipment, &lines))
            })
        })
        .await?;
    Ok(answer(view.version, &view))
}

/// A parcel leaves with its carrier: its pieces are taken out of the warehouse and the shopper is told.
#[utoipa::path(post, path = "/api/v1/admin/shipments/{id}/ship", tag = "staff: shipments",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = Handover,
    responses((status = 200, body = ShipmentView), (status = "default", body = Problem)), security(("staff" = ["write:shipments"])))]
pub async fn ship(
    staff: Scoped<demand::WriteShipments>,
    states: (web::Data<AdminState>, web::Data<PrivateState>),
    id: web::Path<PublicId>,
    if_match: IfMatch,
    body: Body<Handover>,
) -> Answer {
    let (state, private) = states;
    let actor = staff.actor();
    let settings: PaymentSettings = private.payments.settings().clone();
    let input = (id.to_string(), if_match, body.0, settings, name(&actor));
    let view = run(&state, actor, input, |change, input| {
        Box::pin(async move {
            let (id, if_match, body, settings, actor) = input;
            let before = found(change, id, if_match).await?;
            let number = body.tracking_number.as_deref();
            let after =
                shipments::ship(change.connection, settings, before.id, number, actor).await?;
            written(change, "shipment.ship", Some(&before), &after).await
        })
    })
    .await?;
    Ok(answer(view.version, &view))
}

/// Says where a parcel is, for carriers that do not say so themselves.
#[utoipa::path(put, path = "/api/v1/admin/shipments/{id}/state", tag = "staff: shipments",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = Whereabouts,
    responses((status = 200, body = ShipmentView), (status = "default", body = Problem)), security(("staff" = ["write:shipments"])))]
pub async fn mark(
    staff: Scoped<demand::WriteShipments>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
    if_match: IfMatch,
    body: Body<Whereabouts>,
) -> Answer {
    let actor = staff.actor();
    let input = (id.to_string(), if_match, body.0, name(&actor));
    let view = run(&state, actor, input, |change, input| {
        Box::pin(async move {
            let (id, if_match, body, actor) = input;
            let before = found(change, id, if_match).await?;
            let after = shipments::mark(change.connection, before.id, body.state, actor).await?;
            written(change, "shipment.state", Some(&before), &after).await
        })
    })
    .await?;
    Ok(answer(view.version, &view))
}

/// Unpacks a parcel that has not left.
#[utoipa::path(delete, path = "/api/v1/admin/shipments/{id}", tag = "staff: shipments",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204), (status = "default", body = Problem)), security(("staff" = ["write:shipments"])))]
pub async fn delete(
    staff: Scoped<demand::WriteShipments>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
    if_match: IfMatch,
) -> Answer {
    let input = (id.to_string(), if_match);
    run(&state, staff.actor(), input, |change, (id, if_match)| {
        Box::pin(async move {
            let before = found(change, id, if_match).await?;
            let shown = view(change, &before).await?;
            shipments::unpack(change.connection, &before).await?;
            change
                .audit("shipment.delete", "shipment", before.id, Some(&shown), None)
                .await
        })
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
