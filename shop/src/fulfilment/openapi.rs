//! The description of the routes of parcels, returns and messages from outside (OpenAPI 3.1).

use utoipa::OpenApi;

use super::{carriers, route};
use crate::payments::webhook;

/// What shoppers, payment providers and carriers ask and say after an order.
#[derive(OpenApi)]
#[openapi(
    tags((name = "webhooks", description = "Messages of payment providers and carriers: whoever sends them signs them")),
    paths(
        webhook::post,
        carriers::post,
        route::request_return,
        route::list_returns,
        route::list_shipments,
    )
)]
pub struct FulfilmentApi;
