//! What happened to an order, for mails and for the merchant's own programs.

use serde::{Deserialize, Serialize};
use sqlx::MySqlConnection;
use time::OffsetDateTime;

use crate::outbox::{self, Topic};
use crate::web::private::PublicId;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// What can happen. The names are public: webhooks carry them, endpoints subscribe to them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind { $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+ }

        impl EventKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The public name.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }

            /// The kind with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> { match name { $($name => Some(Self::$variant),)+ _ => None } }
        }
    };
}

kinds! {
    /// A draft order holds stock and waits for its payment.
    OrderCreated = "order.created";
    /// The order is the shop's to fulfil. Mails the confirmation.
    OrderPlaced = "order.placed";
    /// Everything was delivered and nothing is left to do.
    OrderCompleted = "order.completed";
    /// The order came to nothing. `data`: `reason`. Mails, if the order had been placed.
    OrderCancelled = "order.cancelled";
    /// Lines, quantities or addresses were changed before fulfilment.
    OrderEdited = "order.edited";
    /// A person must look at the order before it may be fulfilled.
    OrderHeld = "order.held";
    /// A person has looked, and it may be fulfilled.
    OrderReleased = "order.released";
    /// The whole amount is authorised.
    OrderAuthorized = "order.authorized";
    /// A part of the amount was captured. `data`: `amount` in minor units.
    OrderPartiallyPaid = "order.partially_paid";
    /// The whole amount was captured.
    OrderPaid = "order.paid";
    /// A part of the money was given back. `data`: `amount` in minor units, of this refund. Mails.
    OrderPartiallyRefunded = "order.partially_refunded";
    /// All of the money was given back. `data`: `amount` in minor units, of this refund. Mails.
    OrderRefunded = "order.refunded";
    /// The authorisation was given back.
    OrderVoided = "order.voided";
    /// Some pieces have left.
    OrderPartiallyShipped = "order.partially_shipped";
    /// All pieces have left.
    OrderShipped = "order.shipped";
    /// All pieces have arrived.
    OrderDelivered = "order.delivered";
    /// A payment was refused. `data`: `code`.
    PaymentFailed = "payment.failed";
    /// A parcel is being packed. `data` of this and all that follow: `shipment`, its public id.
    ShipmentCreated = "shipment.created";
    /// A parcel was handed to its carrier. Mails.
    ShipmentShipped = "shipment.shipped";
    /// The carrier has the parcel on its way.
    ShipmentInTransit = "shipment.in_transit";
    /// The parcel arrived. Mails.
    ShipmentDelivered = "shipment.delivered";
    /// The parcel could not be delivered.
    ShipmentFailed = "shipment.failed";
    /// The parcel came back.
    ShipmentReturned = "shipment.returned";
    /// The shopper asks to give pieces back. `data` of this and all that follow: `return`, its public id. Mails.
    ReturnRequested = "return.requested";
    /// The pieces may be sent back. Mails.
    ReturnApproved = "return.approved";
    /// The pieces will not be taken back. Mails.
    ReturnRejected = "return.rejected";
    /// The pieces are back. Mails.
    ReturnReceived = "return.received";
    /// The money for the pieces is on its way; the mail is that of the refund.
    ReturnRefunded = "return.refunded";
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Something that happened to an order, as it stands in the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainEvent {
    /// Names the event for ever: the same in each repetition, and the `webhook-id` of its deliveries.
    pub id: PublicId,
    /// What happened.
    pub kind: EventKind,
    /// To which order.
    pub order_number: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// What more is to be said: an object whose fields the kind names.
    pub data: serde_json::Value,
}

impl DomainEvent {
    /// An event of this moment, with an id of its own. `data` is an object; `json!({})` when there is nothing to add.
    #[must_use]
    pub fn new(kind: EventKind, order_number: impl Into<String>, data: serde_json::Value) -> Self {
        Self {
            id: PublicId::random(),
            kind,
            order_number: order_number.into(),
            occurred_at: OffsetDateTime::now_utc(),
            data,
        }
    }
}

/// Writes the event inside the caller's transaction, and returns the id of its row for `order_event.outbox_id`.
///
/// Events of one order are carried out in the order of these rows. Whoever publishes holds the lock of the order's row,
/// so that rows come in the order of their commits.
///
/// # Errors
/// What the database answers.
pub async fn publish(
    connection: &mut MySqlConnection,
    event: &DomainEvent,
) -> Result<i64, sqlx::Error> {
    let payload = serde_json::to_value(event).map_err(|error| sqlx::Error::Encode(error.into()))?;
    outbox::enqueue(connection, Topic::EVENT, &event.order_number, &payload).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_that_fit_their_column_and_are_read_back() {
        for kind in EventKind::ALL {
            assert!(kind.name().len() <= 40, "{kind}");
            assert_eq!(EventKind::from_name(kind.name()), Some(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(EventKind::from_name("order.eaten"), None);
    }

    #[test]
    fn an_event_is_readable_by_the_next_release() {
        let event: DomainEvent = serde_json::from_str(
            r#"{"id":"0123456789abcdefghjkmnpqrs","kind":"order.placed","order_number":"PX-1","occurred_at":"2026-01-02T03:04:05Z","data":{}}"#,
        )
        .unwrap();
        assert_eq!(event.kind, EventKind::OrderPlaced);
    }
}
