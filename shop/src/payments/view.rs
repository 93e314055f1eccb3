//! Payments as staff see them.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::model::{Operation, OperationKind, OperationState, Payment, PaymentState};

/// A payment. Amounts are in minor units of `currency`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentView {
    /// Its id.
    pub id: String,
    /// The provider: `stripe` or `test`.
    pub provider: String,
    /// The provider's own name of it.
    pub reference: Option<String>,
    /// Where it stands.
    #[schema(value_type = String, examples("authorized"))]
    pub state: PaymentState,
    /// ISO 4217.
    pub currency: String,
    /// How much is to be paid.
    pub amount: i64,
    /// How much is held, what was captured included.
    pub authorized: i64,
    /// How much was captured or is being captured.
    pub captured: i64,
    /// How much was refunded or is being refunded.
    pub refunded: i64,
    /// How much can still be captured.
    pub capturable: i64,
    /// Whether several captures are possible; else the first one lets go of the rest.
    pub several_captures: bool,
    /// The brand of the card.
    pub brand: Option<String>,
    /// The last four digits of the card.
    pub last4: Option<String>,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// What was asked of the provider.
    pub operations: Vec<OperationView>,
}

/// Something that was asked of a provider.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationView {
    /// Its id, which is the provider's idempotency key.
    pub id: String,
    /// What was asked.
    #[schema(value_type = String, examples("refund"))]
    pub kind: OperationKind,
    /// How far it is. `started` and `unknown` are found out by the worker.
    #[schema(value_type = String, examples("succeeded"))]
    pub state: OperationState,
    /// How much, in minor units of the payment's currency.
    pub amount: i64,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub actor: String,
    /// Why it failed.
    pub failure_code: Option<String>,
}

/// The payments of an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentsView {
    /// The payments, the first attempt first.
    pub payments: Vec<PaymentView>,
}

impl From<&Operation> for OperationView {
    fn from(operation: &Operation) -> Self {
        Self {
            id: operation.public_id.clone(),
            kind: operation.kind,
            state: operation.state,
            amount: operation.amount,
            reason: operation.reason.clone(),
            actor: operation.actor.clone(),
            failure_code: operation.failure_code.clone(),
        }
    }
}

impl PaymentView {
    /// A payment with its operations.
    #[must_use]
    pub fn new(payment: &Payment, operations: &[Operation]) -> Self {
        let method = payment.method.as_ref();
        Self {
            id: payment.public_id.clone(),
            provider: payment.provider.clone(),
            reference: payment.reference.clone(),
            state: payment.state,
            currency: payment.currency.to_string(),
            amount: payment.amount,
            authorized: payment.authorized,
            captured: payment.captured,
            refunded: payment.refunded,
            capturable: payment.capturable(),
            several_captures: !payment.one_capture_only(),
            brand: method.and_then(|method| method.brand.clone()),
            last4: method.and_then(|method| method.last4.clone()),
            failure_code: payment.failure_code.clone(),
            operations: operations.iter().map(OperationView::from).collect(),
        }
    }
}

/// A moment in the past, for views.
#[must_use]
pub fn moment(at: Option<OffsetDateTime>) -> Option<String> {
    at.and_then(|at| {
        at.format(&time::format_description::well_known::Rfc3339)
            .ok()
    })
}
