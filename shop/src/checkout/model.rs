//! What a checkout is asked and what it answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::orders::OrderNumber;
use crate::web::private::PublicId;

/// How the shopper pays.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentChoice {
    /// The provider: one of those that the shop offers.
    #[schema(max_length = 32, example = "test")]
    pub provider: String,
    /// What the provider's form made of the card. Never a card's number, except of the test provider's cards.
    #[schema(max_length = 255, example = "4242424242424242")]
    pub token: String,
}

impl std::fmt::Debug for PaymentChoice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PaymentChoice")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// The body of `POST /api/v1/carts/{id}/complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteBody {
    /// What the shopper agreed to pay, in minor units of the cart's currency.
    #[schema(minimum = 0, example = 4298)]
    pub expected_total: i64,
    /// How it is paid; may be absent when nothing is to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentChoice>,
}

/// A request to turn a cart into an order.
#[derive(Debug, Clone)]
pub struct CompleteRequest {
    /// The cart.
    pub cart: PublicId,
    /// Who is signed in.
    pub customer: Option<i64>,
    /// The idempotency key.
    pub key: String,
    /// What was sent.
    pub body: CompleteBody,
    /// From where.
    pub ip: IpAddr,
}

/// What a cart that was completed has become, as the API answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    /// `placed`: it is an order. `action_required`: the shopper goes to `url` first. `payment_pending`: the provider has not
    /// said yet, and `url` tells when it has.
    pub status: CompletionStatus,
    /// The order's number.
    #[schema(value_type = String)]
    pub number: OrderNumber,
    /// What is paid, in minor units.
    pub total: i64,
    /// The currency.
    pub currency: String,
    /// The order's page, or the address of the second step.
    pub url: String,
}

/// How far a cart came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletionStatus {
    /// It is an order.
    Placed,
    /// The shopper must do something at the provider's page.
    ActionRequired,
    /// What became of the payment is not known yet.
    PaymentPending,
}

/// What finalising an order came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finalised {
    /// It is placed, now or before.
    Placed,
    /// It came to nothing, now or before.
    Cancelled {
        /// Why, in one word.
        reason: String,
    },
    /// Its payment is not decided yet.
    Waiting,
}

/// Why an order came to nothing.
pub mod reason {
    /// The payment was refused.
    pub const PAYMENT_FAILED: &str = "payment_failed";
    /// It was not paid in time.
    pub const EXPIRED: &str = "expired";
    /// The shopper began again.
    pub const ABANDONED: &str = "abandoned";
    /// The shopper asked for it.
    pub const CUSTOMER: &str = "customer";
    /// The staff did it.
    pub const STAFF: &str = "staff";
    /// The risk rules refused it.
    pub const RISK: &str = "risk";
}
