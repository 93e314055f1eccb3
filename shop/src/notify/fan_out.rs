//! From an event to the mails and webhooks that it causes, in one transaction with the deletion of its row: whoever repeats
//! it finds that it is done.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::MySqlConnection;
use time::format_description::well_known::Rfc3339;

use super::event::{DomainEvent, EventKind};
use super::mail::{
    self, Mail, OrderSummary, OrderedLine, Parcel, PieceLine, ReturnState, Template,
};
use super::store_order::{self, Order, Pieces};
use super::webhook;
use crate::accounts::address::Address;
use crate::db::{Db, DbError};
use crate::outbox;
use crate::outbox::consumer::{Claimed, Handled, Handler};

/// Makes the address under which the shopper follows an order: of its number, in the language of this BCP 47 tag.
pub type OrderLink = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// Carries out events: the handler of [`crate::outbox::Topic::EVENT`].
#[derive(Clone)]
pub struct FanOut {
    db: Db,
    link: OrderLink,
}

impl std::fmt::Debug for FanOut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FanOut").finish_non_exhaustive()
    }
}

impl FanOut {
    /// A handler that tells shoppers these links.
    #[must_use]
    pub const fn new(db: Db, link: OrderLink) -> Self {
        Self { db, link }
    }

    async fn carry_out(&self, claimed: &Claimed) -> Handled {
        let event: DomainEvent = match serde_json::from_value(claimed.row.payload.clone()) {
            Ok(event) => event,
            // It may be from a newer release, whose workers can read it.
            Err(error) => return Handled::Failed(format!("the event cannot be read: {error}")),
        };
        let work = Arc::new((self.link.clone(), claimed.clone(), event));
        let done: Result<bool, DbError> = self
            .db
            .transaction(move |connection| {
                let work = Arc::clone(&work);
                Box::pin(async move {
                    let (link, claimed, event) = &*work;
                    // First of all the row: without it somebody else has carried out the event.
                    if !outbox::complete(connection, claimed.row.id, &claimed.claim).await? {
                        return Ok(true);
                    }
                    let Some(order) = store_order::order(connection, &event.order_number).await?
                    else {
                        return Ok(false);
                    };
                    if let Some(mail) = mail_of(connection, event, &order, link).await? {
                        mail::enqueue(connection, &mail).await?;
                    }
                    webhook::announce(connection, event, &body(event, &order)).await?;
                    Ok(true)
                })
            })
            .await;
        match done {
            Ok(true) => Handled::Committed,
            Ok(false) => {
                tracing::warn!(
                    order = claimed.row.aggregate,
                    "an event was dropped: its order is gone"
                );
                Handled::Committed
            }
            Err(error) => Handled::Failed(crate::web::error::chain(&error)),
        }
    }
}

impl Handler for FanOut {
    fn handle<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Handled> + Send + 'a>> {
        Box::pin(self.carry_out(claimed))
    }
}

/// What the merchant's programs get: what happened, with the order as it is now.
fn body(event: &DomainEvent, order: &Order) -> Value {
    let mut data = match &event.data {
        Value::Object(data) => data.clone(),
        _ => serde_json::Map::new(),
    };
    data.insert("order".to_owned(), json!(order));
    json!({
        "type": event.kind,
        "timestamp": event.occurred_at.format(&Rfc3339).unwrap_or_default(),
        "data": data,
    })
}

/// The mail that an event causes, if it causes one.
async fn mail_of(
    connection: &mut MySqlConnection,
    event: &DomainEvent,
    order: &Order,
    link: &OrderLink,
) -> Result<Option<Mail>, sqlx::Error> {
    if order.email.is_empty() {
        // The customer was erased.
        return Ok(None);
    }
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or("");
    let summary = || summary(order, link);
    let template = match event.kind {
        EventKind::OrderPlaced => Template::OrderConfirmation { order: summary() },
        EventKind::OrderCancelled if order.placed_at.is_some() => {
            Template::OrderCancelled { order: summary() }
        }
        EventKind::OrderPartiallyRefunded | EventKind::OrderRefunded => Template::Refunded {
            order: summary(),
            amount: event.data.get("amount").and_then(Value::as_i64),
        },
        EventKind::ShipmentShipped | EventKind::ShipmentDelivered => {
            let found = store_order::shipment(connection, order.id, text("shipment")).await?;
            let parcel = found.map_or_else(Parcel::default, |(shipment, pieces)| Parcel {
                carrier: shipment.carrier,
                tracking_number: shipment.tracking_number,
                tracking_url: shipment.tracking_url,
                lines: piece_lines(pieces),
            });
            let order = summary();
            if event.kind == EventKind::ShipmentShipped {
                Template::Shipped { order, parcel }
            } else {
                Template::Delivered { order, parcel }
            }
        }
        EventKind::ReturnRequested
        | EventKind::ReturnApproved
        | EventKind::ReturnRejected
        | EventKind::ReturnReceived => Template::ReturnUpdate {
            order: summary(),
            state: match event.kind {
                EventKind::ReturnApproved => ReturnState::Approved,
                EventKind::ReturnRejected => ReturnState::Rejected,
                EventKind::ReturnReceived => ReturnState::Received,
                _ => ReturnState::Requested,
            },
            lines: piece_lines(
                store_order::return_lines(connection, order.id, text("return")).await?,
            ),
        },
        _ => return Ok(None),
    };
    Ok(Some(Mail {
        to: order.email.clone(),
        locale: order.locale.clone(),
        template,
    }))
}

fn piece_lines(pieces: Vec<Pieces>) -> Vec<PieceLine> {
    pieces
        .into_iter()
        .map(|piece| PieceLine {
            name: piece.name,
            options: piece.options_text,
            quantity: i64::from(piece.quantity),
        })
        .collect()
}

fn summary(order: &Order, link: &OrderLink) -> OrderSummary {
    let address = order.shipping_address.as_ref().map(|address| &address.0);
    let payer = order.billing_address.as_ref().map(|address| &address.0);
    OrderSummary {
        number: order.number.clone(),
        link: link(&order.number, &order.locale),
        name: payer
            .or(address)
            .map_or_else(String::new, |address| address.name.clone()),
        currency: order.currency.clone(),
        lines: order
            .lines
            .iter()
            .map(|line| OrderedLine {
                name: line.name.clone(),
                options: line.options_text.clone(),
                quantity: i64::from(line.quantity),
                amount: line.unit_amount.saturating_mul(i64::from(line.quantity)),
            })
            .collect(),
        subtotal: order.subtotal,
        discount: order.discount,
        shipping_name: order.shipping_name.clone(),
        shipping: order.shipping,
        tax: order.tax,
        prices_include_tax: order.prices_include_tax,
        total: order.total,
        address: address.map_or_else(Vec::new, address_lines),
    }
}

/// An address as it stands on a parcel.
fn address_lines(address: &Address) -> Vec<String> {
    let place = [
        address.postcode.as_deref(),
        Some(address.city.as_str()),
        address.region.as_deref(),
    ];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    [
        Some(address.name.clone()),
        address.company.clone(),
        Some(address.line1.clone()),
        address.line2.clone(),
        Some(place.join(" ")),
        Some(address.country.clone()),
    ]
    .into_iter()
    .flatten()
    .filter(|line| !line.is_empty())
    .collect()
}
