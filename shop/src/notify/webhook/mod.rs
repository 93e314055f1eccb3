//! Webhooks: what happened to orders, told to the merchant's own programs.
//!
//! Signed as the Standard Webhooks specification (standardwebhooks.com) has it ([`signature`]). Each endpoint is a lane of
//! its own in the outbox ([`lanes`]): one that is slow or down delays no other. Deliveries about one order reach an endpoint
//! in the order in which they happened. An endpoint is a stranger's address: where it may lead is checked when a connection
//! is made ([`target`]).

pub mod deliver;
pub mod lanes;
pub mod signature;
pub mod store;
pub mod target;

use serde_json::{Value, json};
use sqlx::MySqlConnection;

use super::event::DomainEvent;
use crate::outbox::{self, Topic};

pub(super) use store::STATEMENTS;

/// Most endpoints that are not archived.
pub const MOST_ENDPOINTS: i64 = 50;

/// Writes a delivery of the event for each endpoint that wants it, inside the caller's transaction. What was written before
/// is left as it is.
///
/// # Errors
/// What the database answers.
pub(super) async fn announce(
    connection: &mut MySqlConnection,
    event: &DomainEvent,
    body: &Value,
) -> Result<(), sqlx::Error> {
    let body = serde_json::to_vec(body).map_err(|error| sqlx::Error::Encode(error.into()))?;
    for endpoint in store::subscribed(connection, event.kind.name()).await? {
        let delivery = store::insert_delivery(
            connection,
            endpoint,
            event.id.as_str(),
            event.kind.name(),
            &body,
        )
        .await?;
        if let Some(delivery) = delivery {
            enqueue(
                connection,
                endpoint,
                delivery,
                event.kind.name(),
                &event.order_number,
            )
            .await?;
        }
    }
    Ok(())
}

/// Has a delivery carried out.
async fn enqueue(
    connection: &mut MySqlConnection,
    endpoint: i64,
    delivery: i64,
    event: &str,
    order_number: &str,
) -> Result<i64, sqlx::Error> {
    let payload = json!({"delivery": delivery, "event": event});
    outbox::enqueue(
        connection,
        Topic::WEBHOOK.lane(endpoint),
        order_number,
        &payload,
    )
    .await
}

/// Has a delivery carried out once more, inside the caller's transaction, whatever became of it before. Dead letters of it
/// are replaced. False when there is no such delivery, or its endpoint is archived.
///
/// # Errors
/// What the database answers.
pub async fn replay(connection: &mut MySqlConnection, delivery: i64) -> Result<bool, sqlx::Error> {
    let Some((endpoint, event, order_number)) =
        store::reopen_delivery(connection, delivery).await?
    else {
        return Ok(false);
    };
    let topic = Topic::WEBHOOK.lane(endpoint).stored();
    store::forget_rows(connection, &topic, &order_number, delivery).await?;
    enqueue(connection, endpoint, delivery, &event, &order_number).await?;
    Ok(true)
}
