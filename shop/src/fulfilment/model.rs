//! Parcels and what comes back: their states, and what may be given back. Pure: no I/O, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::orders::Line;

/// Where a parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentState {
    /// It is being packed: nothing has left.
    Preparing,
    /// It was handed to the carrier.
    Shipped,
    /// The carrier has it on its way.
    InTransit,
    /// It arrived.
    Delivered,
    /// It could not be delivered; the carrier may try again.
    Failed,
    /// It came back undelivered.
    Returned,
}

impl ShipmentState {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Preparing,
        Self::Shipped,
        Self::InTransit,
        Self::Delivered,
        Self::Failed,
        Self::Returned,
    ];

    /// The word in the database and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Shipped => "shipped",
            Self::InTransit => "in_transit",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Returned => "returned",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state after a carrier reports one. What arrived stays there unless it comes back, and what came back is back; a carrier's
    /// word on a parcel that is still being packed does not count yet.
    #[must_use]
    pub const fn after(self, reported: Self) -> Self {
        match (self, reported) {
            (Self::Preparing, _) | (Self::Returned, _) | (_, Self::Preparing) => self,
            (Self::Delivered, Self::Returned) => Self::Returned,
            (Self::Delivered, _) => Self::Delivered,
            (_, reported) => reported,
        }
    }
}

/// The state of a parcel that has left after all that its carrier has said, whatever the order in which it came.
#[must_use]
pub fn state_of(
    shipped: ShipmentState,
    reports: &[(OffsetDateTime, ShipmentState)],
) -> ShipmentState {
    let mut reports: Vec<_> = reports.to_vec();
    reports.sort_by_key(|(at, _)| *at);
    reports
        .into_iter()
        .fold(shipped, |state, (_, reported)| state.after(reported))
}

/// A parcel.
#[derive(Debug, Clone, PartialEq)]
pub struct Shipment {
    /// Its row.
    pub id: i64,
    /// Its name outside.
    pub public_id: String,
    /// The order of which it is a part.
    pub order_id: i64,
    /// Who brings it.
    pub carrier: String,
    /// Its number with the carrier.
    pub tracking_number: Option<String>,
    /// Where it is followed.
    pub tracking_url: Option<String>,
    /// Where it is.
    pub state: ShipmentState,
    /// When it left.
    pub shipped_at: Option<OffsetDateTime>,
    /// When it arrived.
    pub delivered_at: Option<OffsetDateTime>,
    /// Counts changes.
    pub version: i64,
    /// When it was begun.
    pub created_at: OffsetDateTime,
    /// What is in it.
    pub pieces: Vec<Pieces>,
}

/// Pieces of a line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pieces {
    /// The line's row.
    pub line_id: i64,
    /// How many.
    pub quantity: i64,
}

/// How far a return is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnState {
    /// The shopper has asked.
    Requested,
    /// The pieces may be sent back.
    Approved,
    /// They may not.
    Rejected,
    /// They are here.
    Received,
    /// The money was given back.
    Refunded,
}

impl ReturnState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Requested,
        Self::Approved,
        Self::Rejected,
        Self::Received,
        Self::Refunded,
    ];

    /// The word in the database and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Received => "received",
            Self::Refunded => "refunded",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether its pieces are promised to come back and are not counted as returned yet.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Approved)
    }
}

/// Pieces that a shopper gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Return {
    /// Its row.
    pub id: i64,
    /// Its name outside.
    pub public_id: String,
    /// The order of which they were.
    pub order_id: i64,
    /// How far it is.
    pub state: ReturnState,
    /// What the shopper says.
    pub reason: String,
    /// What is given back for it, in minor units of the order's currency; 0 until somebody has decided.
    pub refund: i64,
    /// Counts changes.
    pub version: i64,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// Which pieces.
    pub pieces: Vec<Pieces>,
}

/// How many pieces of each line (by its row) can be given back at this moment: those that have left, have not come back and are in no
/// open return, within the period after their last parcel arrived (or left, where nobody said that it arrived).
#[must_use]
pub fn returnable(
    lines: &[Line],
    shipments: &[Shipment],
    returns: &[Return],
    now: OffsetDateTime,
    period: Duration,
) -> BTreeMap<i64, i64> {
    let mut found = BTreeMap::new();
    for line in lines {
        let since = shipments
            .iter()
            .filter(|shipment| {
                shipment
                    .pieces
                    .iter()
                    .any(|pieces| pieces.line_id == line.id)
            })
            .filter_map(|shipment| shipment.delivered_at.or(shipment.shipped_at))
            .max();
        let promised: i64 = returns
            .iter()
            .filter(|known| known.state.is_open())
            .flat_map(|known| &known.pieces)
            .filter(|pieces| pieces.line_id == line.id)
            .map(|pieces| pieces.quantity)
            .sum();
        let quantity = line.shipped - line.returned - promised;
        if quantity > 0 && since.is_some_and(|since| now <= since + period) {
            found.insert(line.id, quantity);
        }
    }
    found
}

/// What the pieces of a return cost: the shares of their lines, taxes and discounts included, so that the shares of all pieces of a line
/// add up to what was paid for it.
#[must_use]
pub fn refund_of(lines: &[Line], pieces: &[Pieces], already_counted: bool) -> i64 {
    pieces
        .iter()
        .filter_map(|pieces| {
            let line = lines.iter().find(|line| line.id == pieces.line_id)?;
            let returned = if already_counted {
                line.returned - pieces.quantity
            } else {
                line.returned
            };
            Some(line.amount_of(line.cancelled + returned, pieces.quantity))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ShipmentState as S;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn reports_may_come_in_any_order() {
        let reports = [
            (at(3), S::Delivered),
            (at(1), S::InTransit),
            (at(2), S::Failed),
        ];
        assert_eq!(state_of(S::Shipped, &reports), S::Delivered);
        assert_eq!(state_of(S::Shipped, &reports[1..]), S::Failed);
        assert_eq!(state_of(S::Shipped, &[]), S::Shipped);
        assert_eq!(
            state_of(S::Shipped, &[(at(5), S::InTransit), (at(4), S::Delivered)]),
            S::Delivered
        );
        assert_eq!(
            state_of(S::Shipped, &[(at(5), S::Returned), (at(4), S::Delivered)]),
            S::Returned
        );
        assert_eq!(state_of(S::Preparing, &reports), S::Preparing);
    }

    fn line(id: i64, quantity: i64, total: i64) -> Line {
        Line {
            id,
            position: 0,
            variant_id: 1,
            product_id: 1,
            sku: String::new(),
            name: String::new(),
            slug: String::new(),
            options_text: String::new(),
            picture: None,
            weight_grams: 0,
            quantity,
            unit_amount: 0,
            discount: 0,
            tax_name: String::new(),
            tax_rate: 0,
            tax: 0,
            total,
            cancelled: 0,
            shipped: quantity,
            returned: 0,
        }
    }

    fn shipment(line_id: i64, shipped: i64, delivered: Option<i64>) -> Shipment {
        Shipment {
            id: 1,
            public_id: String::new(),
            order_id: 1,
            carrier: String::new(),
            tracking_number: None,
            tracking_url: None,
            state: S::Shipped,
            shipped_at: Some(at(shipped)),
            delivered_at: delivered.map(at),
            version: 1,
            created_at: at(0),
            pieces: vec![Pieces {
                line_id,
                quantity: 1,
            }],
        }
    }

    fn a_return(state: ReturnState, quantity: i64) -> Return {
        Return {
            id: 1,
            public_id: String::new(),
            order_id: 1,
            state,
            reason: String::new(),
            refund: 0,
            version: 1,
            created_at: at(0),
            pieces: vec![Pieces {
                line_id: 1,
                quantity,
            }],
        }
    }

    #[test]
    fn what_has_left_can_be_given_back_once_and_in_time() {
        let period = Duration::from_secs(100);
        let lines = [line(1, 3, 1000)];
        let parcels = [shipment(1, 0, Some(50))];
        let count = |returns: &[Return], now: i64| {
            returnable(&lines, &parcels, returns, at(now), period)
                .get(&1)
                .copied()
        };
        assert_eq!(count(&[], 150), Some(3));
        assert_eq!(count(&[], 151), None);
        assert_eq!(count(&[a_return(ReturnState::Requested, 2)], 60), Some(1));
        assert_eq!(count(&[a_return(ReturnState::Approved, 3)], 60), None);
        assert_eq!(count(&[a_return(ReturnState::Rejected, 3)], 60), Some(3));
        let unsent = returnable(&lines, &[], &[], at(0), period);
        assert!(unsent.is_empty());
    }

    #[test]
    fn refunds_of_a_lines_pieces_add_up_to_the_line() {
        let one = [Pieces {
            line_id: 1,
            quantity: 1,
        }];
        let mut lines = [line(1, 3, 1000)];
        let mut sum = 0;
        for _ in 0..3 {
            sum += refund_of(&lines, &one, false);
            lines[0].returned += 1;
            assert!(refund_of(&lines, &one, true) > 0);
        }
        assert_eq!(sum, 1000);
        lines[0].cancelled = 1;
        lines[0].returned = 2;
        assert_eq!(refund_of(&lines, &one, true), 334);
    }
}
