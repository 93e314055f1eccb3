//! The description of the routes of checkouts and orders (OpenAPI 3.1).

use utoipa::OpenApi;

use super::route as checkout;
use crate::orders::route as orders;

/// From a cart to an order, and what becomes of it.
#[derive(OpenApi)]
#[openapi(
    tags(
        (name = "checkout", description = "From a cart to an order"),
        (name = "orders", description = "Orders of shoppers: by their session, or by the key of the order's link"),
    ),
    paths(checkout::post, orders::mine, orders::get, orders::patch, orders::cancel)
)]
pub struct CheckoutApi;
