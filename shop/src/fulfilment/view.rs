//! Parcels and returns as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Pieces, Return, ReturnState, Shipment, ShipmentState};
use crate::orders::Line;
use crate::payments::view::moment;

/// Pieces of a line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PiecesView {
    /// The line's place in the order, from 0.
    pub line: i32,
    /// The SKU.
    pub sku: String,
    /// The name.
    pub name: String,
    /// How many.
    pub quantity: i64,
}

fn pieces(all: &[Pieces], lines: &[Line]) -> Vec<PiecesView> {
    all.iter()
        .filter_map(|pieces| {
            let line = lines.iter().find(|line| line.id == pieces.line_id)?;
            Some(PiecesView {
                line: line.position,
                sku: line.sku.clone(),
                name: line.name.clone(),
                quantity: pieces.quantity,
            })
        })
        .collect()
}

/// A parcel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ShipmentView {
    /// Its id.
    pub id: String,
    /// Who brings it.
    pub carrier: String,
    /// Its number with the carrier.
    pub tracking_number: Option<String>,
    /// Where it is followed.
    pub tracking_url: Option<String>,
    /// Where it is.
    pub state: ShipmentState,
    /// What is in it.
    pub lines: Vec<PiecesView>,
    /// When it left.
    #[schema(format = DateTime)]
    pub shipped_at: Option<String>,
    /// When it arrived.
    #[schema(format = DateTime)]
    pub delivered_at: Option<String>,
    /// Counts changes.
    pub version: i64,
}

impl ShipmentView {
    /// A parcel of an order with these lines.
    #[must_use]
    pub fn new(shipment: &Shipment, lines: &[Line]) -> Self {
        Self {
            id: shipment.public_id.clone(),
            carrier: shipment.carrier.clone(),
            tracking_number: shipment.tracking_number.clone(),
            tracking_url: shipment.tracking_url.clone(),
            state: shipment.state,
            lines: pieces(&shipment.pieces, lines),
            shipped_at: moment(shipment.shipped_at),
            delivered_at: moment(shipment.delivered_at),
            version: shipment.version,
        }
    }
}

/// The parcels of an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ShipmentsView {
    /// The parcels, the first first.
    pub shipments: Vec<ShipmentView>,
}

/// Pieces that a shopper gives back.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnView {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub state: ReturnState,
    /// What the shopper says.
    pub reason: String,
    /// What is given back for it, in minor units of the order's currency; 0 until that was decided.
    pub refund: i64,
    /// Which pieces.
    pub lines: Vec<PiecesView>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub created_at: Option<String>,
    /// Counts changes.
    pub version: i64,
}

impl ReturnView {
    /// A return of an order with these lines.
    #[must_use]
    pub fn new(found: &Return, lines: &[Line]) -> Self {
        Self {
            id: found.public_id.clone(),
            state: found.state,
            reason: found.reason.clone(),
            refund: found.refund,
            lines: pieces(&found.pieces, lines),
            created_at: moment(Some(found.created_at)),
            version: found.version,
        }
    }
}

/// The returns of an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnsView {
    /// The returns, the first first.
    pub returns: Vec<ReturnView>,
}
