//! Writing what a provider said: of the payment, of its operations, and what follows for the order.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::MySqlConnection;

use super::model::{
    KnownOperation, Operation, OperationKind, OperationState, Outcome, Payment, PaymentState,
    Report, VOIDED, order_payment_state,
};
use super::operate::{self, Why};
use super::store::{self, NewOperation};
use super::{AGAIN, Payments, unknown_payment};
use crate::fulfilment;
use crate::notify::event::EventKind;
use crate::orders::change::{announce, may, note, transition};
use crate::orders::{self, Order, PaymentState as OrderPayment, Transition};
use crate::web::error::ApiError;
use crate::web::private::PublicId;

/// A report that was written.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The payment as it is now.
    pub payment: Payment,
}

/// An order and one of its payments, both locked.
#[derive(Debug)]
pub(crate) struct Locked {
    pub(crate) order: Order,
    pub(crate) payment: Payment,
}

/// Locks the order of a payment, then the payment.
pub(crate) async fn lock(
    connection: &mut MySqlConnection,
    payment_id: i64,
) -> Result<Locked, ApiError> {
    let found = store::find(connection, payment_id)
        .await?
        .ok_or_else(unknown_payment)?;
    let order = orders::store::lock(connection, found.order_id)
        .await?
        .ok_or_else(unknown_payment)?;
    let payment = store::lock(connection, payment_id)
        .await?
        .ok_or_else(unknown_payment)?;
    Ok(Locked { order, payment })
}

impl Payments {
    /// Writes what a provider says of a payment. Repeating it changes nothing.
    pub(crate) async fn record(
        &self,
        payment_id: i64,
        report: Report,
    ) -> Result<Recorded, ApiError> {
        let report = Arc::new(report);
        self.db()
            .transaction(move |connection| {
                let report = Arc::clone(&report);
                Box::pin(async move { record_in(connection, payment_id, &report).await })
            })
            .await
    }
}

async fn record_in(
    connection: &mut MySqlConnection,
    payment_id: i64,
    report: &Report,
) -> Result<Recorded, ApiError> {
    let mut locked = lock(connection, payment_id).await?;
    let actor = format!("provider:{}", locked.payment.provider);
    let before = locked.payment.clone();
    let judged = before.judge(report);
    let payment = &mut locked.payment;
    payment.state = judged.state;
    payment.authorized = judged.authorized;
    payment.failure_code = judged.failure_code;
    payment.next_action = judged.next_action;
    payment.method = report.method.clone().or(before.method.clone());
    payment.fingerprint = report.fingerprint.clone().or(before.fingerprint.clone());
    if *payment != before {
        store::update(connection, payment).await?;
    }
    let operations = store::operations(connection, payment_id).await?;
    for operation in &operations {
        settle_by_report(connection, &mut locked, operation, report, &actor).await?;
    }
    outside(connection, &mut locked, &operations, report, &actor).await?;
    let Locked { order, payment } = &mut locked;
    if payment.state != before.state {
        if payment.state == PaymentState::Failed {
            let data = json!({ "payment": payment.public_id, "code": payment.failure_code });
            announce(connection, order, EventKind::PaymentFailed, &actor, &data).await?;
        }
        let data = json!({ "payment": payment.public_id });
        follow(connection, order, &actor, data, false).await?;
        // Whoever learns of it first finalises the order; if that one dies, the worker does.
        store::schedule(connection, payment.id, Some(AGAIN.jittered(2))).await?;
    }
    Ok(Recorded {
        payment: locked.payment,
    })
}

/// Settles an operation if the report says what became of it.
async fn settle_by_report(
    connection: &mut MySqlConnection,
    locked: &mut Locked,
    operation: &Operation,
    report: &Report,
    actor: &str,
) -> Result<(), ApiError> {
    let succeeded = Outcome::Succeeded { reference: None };
    let outcome = match operation.kind {
        OperationKind::Authorize => match locked.payment.state {
            PaymentState::Authorized | PaymentState::Captured | PaymentState::Voided => {
                Some(succeeded)
            }
            PaymentState::Failed => Some(Outcome::Failed {
                code: locked.payment.failure_code.clone().unwrap_or_default(),
            }),
            PaymentState::Started | PaymentState::Unknown | PaymentState::ActionRequired => None,
        },
        OperationKind::Void => match locked.payment.state {
            PaymentState::Voided => Some(succeeded),
            PaymentState::Captured if report.authorized == report.captured => Some(succeeded),
            _ => None,
        },
        OperationKind::Capture | OperationKind::Refund => report
            .operations
            .iter()
            .find(|known| known.key.as_deref() == Some(operation.public_id.as_str()))
            .map(|known| known.outcome.clone()),
    };
    match (operation.state, outcome) {
        (OperationState::Started | OperationState::Unknown, Some(outcome)) => {
            settle(connection, locked, operation, &outcome, actor).await?;
        }
        // A refund that had succeeded can still come back, days later.
        (OperationState::Succeeded, Some(Outcome::Failed { code }))
            if operation.kind == OperationKind::Refund
                && store::operation_revoke(connection, operation.id, &code).await? =>
        {
            store::unspend(
                connection,
                locked.payment.id,
                operation.kind,
                operation.amount,
            )
            .await?;
            locked.payment.refunded -= operation.amount;
            let text = format!(
                "the refund {} of {} came back: {code}",
                operation.public_id, operation.amount
            );
            note(connection, locked.order.id, actor, &text).await?;
        }
        _ => {}
    }
    Ok(())
}

/// Writes captures and refunds that somebody made at the provider.
async fn outside(
    connection: &mut MySqlConnection,
    locked: &mut Locked,
    operations: &[Operation],
    report: &Report,
    actor: &str,
) -> Result<(), ApiError> {
    let captured = report.captured - locked.payment.captured;
    if captured > 0 {
        let known = KnownOperation {
            key: None,
            kind: OperationKind::Capture,
            amount: captured,
            outcome: Outcome::Succeeded { reference: None },
            reference: None,
        };
        one_outside(connection, locked, &known, actor).await?;
    }
    for known in &report.operations {
        let ours = known.key.is_some() || known.kind != OperationKind::Refund;
        let written = operations.iter().any(|operation| {
            operation.reference.is_some() && operation.reference == known.reference
        });
        if !ours && !written && matches!(known.outcome, Outcome::Succeeded { .. }) {
            one_outside(connection, locked, known, actor).await?;
        }
    }
    Ok(())
}

async fn one_outside(
    connection: &mut MySqlConnection,
    locked: &mut Locked,
    known: &KnownOperation,
    actor: &str,
) -> Result<(), ApiError> {
    let Locked { order, payment } = locked;
    if !store::spent_outside(connection, payment.id, known.kind, known.amount).await? {
        tracing::error!(
            payment = %payment.public_id, kind = known.kind.name(), amount = known.amount,
            "money was moved at the payment provider that does not fit what the shop knows; compare the two"
        );
        return Ok(());
    }
    match known.kind {
        OperationKind::Capture => payment.captured += known.amount,
        _ => payment.refunded += known.amount,
    }
    let public_id = PublicId::random();
    let row = NewOperation {
        public_id: public_id.as_str(),
        payment_id: payment.id,
        kind: known.kind,
        state: OperationState::Succeeded,
        amount: known.amount,
        is_last: false,
        reference: known.reference.as_deref(),
        return_id: None,
        reason: "made at the provider",
        actor,
    };
    store::operation_insert(connection, &row, None).await?;
    let data = json!({ "payment": payment.public_id, "amount": known.amount });
    follow(connection, order, actor, data, true).await
}

/// Writes what became of an operation, and what follows. False when it had been settled before.
pub(crate) async fn settle(
    connection: &mut MySqlConnection,
    locked: &mut Locked,
    operation: &Operation,
    outcome: &Outcome,
    actor: &str,
) -> Result<bool, ApiError> {
    match outcome {
        Outcome::Pending { reference } => {
            let pause = AGAIN.jittered(6);
            return Ok(store::operation_settle(
                connection,
                operation.id,
                OperationState::Unknown,
                reference.as_deref(),
                None,
                Some(pause),
            )
            .await?);
        }
        Outcome::Failed { code } => {
            let first = store::operation_settle(
                connection,
                operation.id,
                OperationState::Failed,
                None,
                Some(code),
                None,
            )
            .await?;
            if first && operation.kind != OperationKind::Authorize {
                failed(connection, locked, operation, code, actor).await?;
            }
            return Ok(first);
        }
        Outcome::Succeeded { reference } => {
            let first = store::operation_settle(
                connection,
                operation.id,
                OperationState::Succeeded,
                reference.as_deref(),
                None,
                None,
            )
            .await?;
            if !first {
                return Ok(false);
            }
        }
    }
    succeeded(connection, locked, operation, actor).await?;
    Ok(true)
}

async fn failed(
    connection: &mut MySqlConnection,
    locked: &mut Locked,
    operation: &Operation,
    code: &str,
    actor: &str,
) -> Result<(), ApiError> {
    let Locked { order, payment } = locked;
    store::unspend(connection, payment.id, operation.kind, operation.amount).await?;
    match operation.kind {
        OperationKind::Capture => payment.captured -= operation.amount,
        OperationKind::Refund => payment.refunded -= operation.amount,
        OperationKind::Authorize | OperationKind::Void => {}
    }
    tracing::error!(
        order = %order.number, payment = %payment.public_id, operation = %operation.public_id,
        kind = operation.kind.name(), amount = operation.amount, code,
        "the payment provider refused; somebody of the staff must decide what to do"
    );
    let text = format!(
        "the {} of {} was refused: {code}",
        operation.kind.name(),
        operation.amount
    );
    Ok(note(connection, order.id, actor, &text).await?)
}

async fn succeeded(
    connection: &mut MySqlConnection,
    locked: &mut Locked,
    operation: &Operation,
    actor: &str,
) -> Result<(), ApiError> {
    let Locked { order, payment } = locked;
    match operation.kind {
        OperationKind::Authorize => return Ok(()),
        OperationKind::Capture => {
            payment.state = PaymentState::Captured;
            if operation.is_last {
                payment.authorized = payment.captured;
            }
        }
        OperationKind::Void => {
            payment.authorized = payment.captured;
            if payment.state.is_open() {
                payment.state = PaymentState::Failed;
                payment.failure_code = Some(VOIDED.to_owned());
                // Nobody reports on a payment that is settled, so that its authorisation would stay open for ever.
                store::authorisation_void(connection, payment.id, VOIDED).await?;
            } else if payment.state == PaymentState::Authorized {
                payment.state = PaymentState::Voided;
            }
            payment.next_action = None;
        }
        OperationKind::Refund => {}
    }
    store::update(connection, payment).await?;
    let mut data = json!({ "payment": payment.public_id, "operation": operation.public_id });
    if let (OperationKind::Capture | OperationKind::Refund, Value::Object(fields)) =
        (operation.kind, &mut data)
    {
        fields.insert("amount".to_owned(), operation.amount.into());
    }
    follow(
        connection,
        order,
        actor,
        data,
        operation.kind != OperationKind::Void,
    )
    .await?;
    if let Some(return_id) = operation.return_id {
        fulfilment::returns::refunded_in(connection, order, return_id).await?;
    }
    let rest = payment.captured - payment.refunded;
    if operation.kind == OperationKind::Void
        && operate::gives_up_everything(operation, payment)
        && rest > 0
    {
        // It was captured before it could be let go.
        let why = Why::new(&operation.actor, &operation.reason);
        if let Err(refusal) = operate::refund_in(connection, payment, rest, &why).await? {
            tracing::error!(payment = %payment.public_id, %refusal, "what was captured of a payment that is given up cannot be refunded");
        }
    }
    Ok(())
}

/// Brings the payment state of an order to what its payments say. `moved`: money was moved, which is told even if the state is the
/// same as before (a second refund of a part).
pub(crate) async fn follow(
    connection: &mut MySqlConnection,
    order: &mut Order,
    actor: &str,
    data: Value,
    moved: bool,
) -> Result<(), ApiError> {
    let wanted = order_payment_state(store::sums(connection, order.id).await?);
    let steps: &[Transition] = match wanted {
        OrderPayment::Unpaid => &[],
        OrderPayment::Authorized => &[Transition::Authorize],
        OrderPayment::PartiallyCaptured => &[Transition::Authorize, Transition::CapturePart],
        OrderPayment::Paid => &[Transition::Capture],
        OrderPayment::PartiallyRefunded => &[Transition::Capture, Transition::RefundPart],
        OrderPayment::Refunded => &[Transition::Capture, Transition::Refund],
        OrderPayment::Voided => &[Transition::Void],
    };
    if wanted == order.payment_state && !moved {
        return Ok(());
    }
    for (index, step) in steps.iter().enumerate() {
        let is_last = index + 1 == steps.len();
        // On the way to a refund a part that was captured may be all there is.
        let needed = is_last
            || matches!(
                order.payment_state,
                OrderPayment::Unpaid | OrderPayment::Authorized | OrderPayment::Voided
            );
        if needed && may(order, *step) {
            transition(connection, order, *step, actor, data.clone()).await?;
        }
    }
    Ok(())
}
