//! The one way in which an order changes its states: a table, and a history.

use serde_json::{Value, json};
use sqlx::MySqlConnection;

use super::model::{FulfilmentState, Order, OrderState, PaymentState, ReviewState};
use super::store;
use crate::notify::event::{DomainEvent, EventKind, publish};
use crate::web::error::{ApiError, Code};

/// One of the four states of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Whether it counts.
    Order(OrderState),
    /// What became of the money.
    Payment(PaymentState),
    /// What became of the pieces.
    Fulfilment(FulfilmentState),
    /// Whether somebody must look at it.
    Review(ReviewState),
}

impl Status {
    /// The word of the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order(state) => state.as_str(),
            Self::Payment(state) => state.as_str(),
            Self::Fulfilment(state) => state.as_str(),
            Self::Review(state) => state.as_str(),
        }
    }

    /// The state of the same kind that an order is in.
    #[must_use]
    pub const fn of(self, order: &Order) -> Self {
        match self {
            Self::Order(_) => Self::Order(order.state),
            Self::Payment(_) => Self::Payment(order.payment_state),
            Self::Fulfilment(_) => Self::Fulfilment(order.fulfilment_state),
            Self::Review(_) => Self::Review(order.review_state),
        }
    }
}

/// What can happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Its payment stands: it is acknowledged.
    Place,
    /// It comes to nothing. The reason is the `reason` of the data.
    Cancel,
    /// All was delivered and nothing is left to do.
    Complete,
    /// The whole amount is authorised.
    Authorize,
    /// A part was captured.
    CapturePart,
    /// The whole amount was captured.
    Capture,
    /// A part went back.
    RefundPart,
    /// All of it went back.
    Refund,
    /// The authorisation was given up.
    Void,
    /// Some pieces have left.
    ShipPart,
    /// All have left.
    Ship,
    /// All have arrived.
    Deliver,
    /// Somebody must look at it.
    Hold,
    /// Somebody has, and it may go on.
    Clear,
    /// Somebody has, and it may not.
    Refuse,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What happens.
    pub transition: Transition,
    /// In which of these states it may.
    pub from: &'static [Status],
    /// The state after it.
    pub to: Status,
    /// How it is announced.
    pub event: EventKind,
}

use FulfilmentState as F;
use OrderState as O;
use PaymentState as P;
use ReviewState as R;
use Status::{Fulfilment, Order as Whole, Payment, Review};

const fn rule(
    transition: Transition,
    from: &'static [Status],
    to: Status,
    event: EventKind,
) -> Rule {
    Rule {
        transition,
        from,
        to,
        event,
    }
}

/// Everything that can happen to an order, and when.
pub const TABLE: &[Rule] = &[
    rule(
        Transition::Place,
        &[Whole(O::Pending)],
        Whole(O::Placed),
        EventKind::OrderPlaced,
    ),
    rule(
        Transition::Cancel,
        &[Whole(O::Pending), Whole(O::Placed)],
        Whole(O::Cancelled),
        EventKind::OrderCancelled,
    ),
    rule(
        Transition::Complete,
        &[Whole(O::Placed)],
        Whole(O::Completed),
        EventKind::OrderCompleted,
    ),
    rule(
        Transition::Authorize,
        &[Payment(P::Unpaid), Payment(P::Voided)],
        Payment(P::Authorized),
        EventKind::OrderAuthorized,
    ),
    rule(
        Transition::CapturePart,
        &[Payment(P::Authorized), Payment(P::PartiallyCaptured)],
        Payment(P::PartiallyCaptured),
        EventKind::OrderPartiallyPaid,
    ),
    rule(
        Transition::Capture,
        &[
            Payment(P::Unpaid),
            Payment(P::Authorized),
            Payment(P::PartiallyCaptured),
        ],
        Payment(P::Paid),
        EventKind::OrderPaid,
    ),
    rule(
        Transition::RefundPart,
        &[
            Payment(P::PartiallyCaptured),
            Payment(P::Paid),
            Payment(P::PartiallyRefunded),
            // More was captured, or a refund came back.
            Payment(P::Refunded),
        ],
        Payment(P::PartiallyRefunded),
        EventKind::OrderPartiallyRefunded,
    ),
    rule(
        Transition::Refund,
        &[
            Payment(P::PartiallyCaptured),
            Payment(P::Paid),
            Payment(P::PartiallyRefunded),
        ],
        Payment(P::Refunded),
        EventKind::OrderRefunded,
    ),
    rule(
        Transition::Void,
        &[Payment(P::Unpaid), Payment(P::Authorized)],
        Payment(P::Voided),
        EventKind::OrderVoided,
    ),
    rule(
        Transition::ShipPart,
        &[Fulfilment(F::Unfulfilled), Fulfilment(F::PartiallyShipped)],
        Fulfilment(F::PartiallyShipped),
        EventKind::OrderPartiallyShipped,
    ),
    rule(
        Transition::Ship,
        &[Fulfilment(F::Unfulfilled), Fulfilment(F::PartiallyShipped)],
        Fulfilment(F::Shipped),
        EventKind::OrderShipped,
    ),
    rule(
        Transition::Deliver,
        &[Fulfilment(F::Shipped)],
        Fulfilment(F::Delivered),
        EventKind::OrderDelivered,
    ),
    rule(
        Transition::Hold,
        &[Review(R::None), Review(R::Cleared)],
        Review(R::Pending),
        EventKind::OrderHeld,
    ),
    rule(
        Transition::Clear,
        &[Review(R::Pending)],
        Review(R::Cleared),
        EventKind::OrderReleased,
    ),
    // What a refused order comes to is told by its cancellation, which follows in the same transaction.
    rule(
        Transition::Refuse,
        &[Review(R::None), Review(R::Pending)],
        Review(R::Refused),
        EventKind::OrderHeld,
    ),
];

/// The row of the table for a transition.
fn rule_of(transition: Transition) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.transition == transition)
}

/// Whether the table lets an order do this now.
#[must_use]
pub fn may(order: &Order, transition: Transition) -> bool {
    rule_of(transition).is_some_and(|rule| rule.from.contains(&rule.to.of(order)))
}

/// Changes one of the states of an order, whose row the caller has locked ([`store::lock`]), and writes the row of its history
/// with exactly one event in the outbox. `data` is an object; `actor` says who: `customer`, `staff:…`, `worker`, `provider:…`.
///
/// # Errors
/// 409 when the table does not let it; what the database answers.
pub async fn transition(
    connection: &mut MySqlConnection,
    order: &mut Order,
    transition: Transition,
    actor: &str,
    data: Value,
) -> Result<(), ApiError> {
    let Some(rule) = rule_of(transition) else {
        return Err(ApiError::new(Code::Internal).detail("the state table lacks a transition"));
    };
    let from = rule.to.of(order);
    if !rule.from.contains(&from) {
        return Err(ApiError::new(Code::Conflict).detail(format!(
            "order {} is {}, so it cannot become {}",
            order.number,
            from.as_str(),
            rule.to.as_str()
        )));
    }
    match rule.to {
        Status::Order(state) => order.state = state,
        Status::Payment(state) => order.payment_state = state,
        Status::Fulfilment(state) => order.fulfilment_state = state,
        Status::Review(state) => order.review_state = state,
    }
    if transition == Transition::Cancel {
        order.cancel_reason = data
            .get("reason")
            .and_then(Value::as_str)
            .map(|reason| reason.chars().take(32).collect());
    }
    order.version += 1;
    store::write_states(connection, order, transition).await?;
    let outbox_id = publish(
        connection,
        &DomainEvent::new(rule.event, order.number.as_str(), data.clone()),
    )
    .await?;
    let history = store::NewEvent {
        kind: rule.event.name(),
        from_state: Some(from.as_str()),
        to_state: Some(rule.to.as_str()),
        actor,
        data: &data,
        outbox_id: Some(outbox_id),
    };
    store::event_insert(connection, order.id, &history).await?;
    Ok(())
}

/// Writes a row of history that changes no state but is announced, such as an edit.
///
/// # Errors
/// What the database answers.
pub async fn announce(
    connection: &mut MySqlConnection,
    order: &Order,
    kind: EventKind,
    actor: &str,
    data: &Value,
) -> Result<(), sqlx::Error> {
    let event = DomainEvent::new(kind, order.number.as_str(), data.clone());
    let outbox_id = publish(connection, &event).await?;
    let history = store::NewEvent {
        kind: kind.name(),
        from_state: None,
        to_state: None,
        actor,
        data,
        outbox_id: Some(outbox_id),
    };
    store::event_insert(connection, order.id, &history).await
}

/// Writes a row of history that is nobody's matter outside, such as a note of the staff.
///
/// # Errors
/// What the database answers.
pub async fn note(
    connection: &mut MySqlConnection,
    order_id: i64,
    actor: &str,
    text: &str,
) -> Result<(), sqlx::Error> {
    let data = json!({ "text": text });
    let history = store::NewEvent {
        kind: "note",
        from_state: None,
        to_state: None,
        actor,
        data: &data,
        outbox_id: None,
    };
    store::event_insert(connection, order_id, &history).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_stays_within_one_kind_of_state() {
        for rule in TABLE {
            for from in rule.from {
                assert_eq!(
                    std::mem::discriminant(from),
                    std::mem::discriminant(&rule.to),
                    "{rule:?}"
                );
            }
            assert!(!rule.from.is_empty());
        }
    }

    #[test]
    fn nothing_follows_an_end() {
        for end in [O::Cancelled, O::Completed] {
            assert!(
                TABLE.iter().all(|rule| !rule.from.contains(&Whole(end))),
                "{end}"
            );
        }
    }

    #[test]
    fn every_transition_has_one_row() {
        for rule in TABLE {
            let same = TABLE
                .iter()
                .filter(|other| other.transition == rule.transition);
            assert_eq!(same.count(), 1, "{rule:?}");
        }
    }
}
