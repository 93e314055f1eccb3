//! Moving money: captures, voids and refunds. Each is recorded with its amount before the provider is asked.
//!
//! `…_in` record an operation inside the caller's transaction, for the worker to carry out (topic `payment` of the outbox).
//! [`Payments::carry_out`] asks. Who records an operation to carry it out at once uses `Carry::Now`; should it die, the worker does it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::MySqlConnection;

use super::config::CapturePolicy;
use super::model::{Operation, OperationKind, OperationState, Outcome, Payment, PaymentState};
use super::provider::{Failure, Moving, Provider};
use super::record::{Locked, lock, settle};
use super::store::{self, NewOperation};
use super::{AGAIN, LEASE, Payments, unknown_payment};
use crate::catalog::model::Money;
use crate::crash::{self, Point};
use crate::db::DbError;
use crate::orders::{self, Line, Order, OrderState};
use crate::outbox::{self, Topic};
use crate::web::error::{ApiError, Code};
use crate::web::private::PublicId;

/// Operations that wait for the worker.
pub const TOPIC: Topic = Topic::new("payment");

/// For how long a provider knows an idempotency key for certain: Stripe keeps them at least 24 hours.
const KEY_LIFETIME: Duration = Duration::from_hours(20);
/// How long a void waits for captures under way before it looks again.
const WAIT_FOR_CAPTURES: Duration = Duration::from_secs(5);

/// The code of an operation of which the provider knows nothing and that cannot be asked for again.
const LOST: &str = "not_found_at_provider";

/// Who wants money moved, and why.
#[derive(Debug, Clone)]
pub struct Why {
    /// `staff:…`, `customer`, `worker`.
    pub actor: String,
    /// For people, at most 190 characters.
    pub reason: String,
    /// The return that is refunded.
    pub return_id: Option<i64>,
    /// When it is carried out.
    pub carry: Carry,
}

impl Why {
    /// For the worker to carry out.
    #[must_use]
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            reason: reason.into(),
            return_id: None,
            carry: Carry::Later,
        }
    }

    /// The same, carried out by whoever records it, at once after the commit.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self {
            carry: Carry::Now,
            ..self
        }
    }

    /// The same, for a return.
    #[must_use]
    pub fn for_return(self, return_id: i64) -> Self {
        Self {
            return_id: Some(return_id),
            ..self
        }
    }
}

/// When an operation is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// By whoever records it, after the commit. If nobody has for a minute, by the worker.
    Now,
    /// By the worker.
    Later,
}

/// Why an operation is not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is more than what is held and not captured.
    NotHeld {
        /// What is, in minor units.
        available: i64,
    },
    /// It is more than what was captured for certain and not refunded.
    NotCaptured {
        /// What was, in minor units; what is being captured is not counted.
        available: i64,
    },
    /// There is nothing to let go of.
    NothingHeld,
    /// The same is under way.
    UnderWay,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeld { available } => write!(
                formatter,
                "at most {available} (in minor units) is held and not captured"
            ),
            Self::NotCaptured { available } => write!(
                formatter,
                "at most {available} (in minor units) was captured and not refunded"
            ),
            Self::NothingHeld => formatter.write_str("nothing is held that could be let go"),
            Self::UnderWay => formatter.write_str("a void of this payment is under way"),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::Conflict).detail(refusal.to_string())
    }
}

/// What may happen inside a transaction: the database fails, the operation is refused, or it is recorded under this public id.
pub type Recorded = Result<Result<String, Refusal>, sqlx::Error>;

async fn insert(
    connection: &mut MySqlConnection,
    payment: &Payment,
    kind: OperationKind,
    (amount, is_last): (i64, bool),
    why: &Why,
) -> Result<String, sqlx::Error> {
    let public_id = PublicId::random();
    let row = NewOperation {
        public_id: public_id.as_str(),
        payment_id: payment.id,
        kind,
        state: OperationState::Started,
        amount,
        is_last,
        reference: None,
        return_id: why.return_id,
        reason: &why.reason,
        actor: &why.actor,
    };
    store::operation_insert(connection, &row, Some(LEASE)).await?;
    if why.carry == Carry::Later {
        let command = json!({ "operation": public_id });
        outbox::enqueue(connection, TOPIC, &payment.public_id, &command).await?;
    }
    Ok(public_id.to_string())
}

/// Records a capture of a locked payment; of all that is held, without an amount.
///
/// # Errors
/// What the database answers.
pub async fn capture_in(
    connection: &mut MySqlConnection,
    payment: &mut Payment,
    amount: Option<i64>,
    why: &Why,
) -> Recorded {
    let available = payment.capturable();
    let amount = amount.unwrap_or(available);
    if amount <= 0 || !store::spend(connection, payment.id, OperationKind::Capture, amount).await? {
        return Ok(Err(Refusal::NotHeld { available }));
    }
    payment.captured += amount;
    let is_last = payment.captured == payment.authorized || payment.one_capture_only();
    let operation = insert(
        connection,
        payment,
        OperationKind::Capture,
        (amount, is_last),
        why,
    )
    .await?;
    Ok(Ok(operation))
}

/// Records a refund of a locked payment.
///
/// # Errors
/// What the database answers.
pub async fn refund_in(
    connection: &mut MySqlConnection,
    payment: &mut Payment,
    amount: i64,
    why: &Why,
) -> Recorded {
    if amount <= 0 || !store::spend(connection, payment.id, OperationKind::Refund, amount).await? {
        let capturing: i64 = store::operations(connection, payment.id)
            .await?
            .iter()
            .filter(|operation| {
                operation.kind == OperationKind::Capture && operation.state.is_open()
            })
            .map(|operation| operation.amount)
            .sum();
        return Ok(Err(Refusal::NotCaptured {
            available: (payment.captured - capturing - payment.refunded).max(0),
        }));
    }
    payment.refunded += amount;
    let operation = insert(
        connection,
        payment,
        OperationKind::Refund,
        (amount, false),
        why,
    )
    .await?;
    Ok(Ok(operation))
}

/// Records that what is held of a locked payment and not captured is let go. What was captured stays.
///
/// # Errors
/// What the database answers.
pub async fn void_rest_in(
    connection: &mut MySqlConnection,
    payment: &Payment,
    why: &Why,
) -> Recorded {
    let rest = payment.capturable();
    if rest <= 0 {
        return Ok(Err(Refusal::NothingHeld));
    }
    void_of(connection, payment, rest, why).await
}

async fn void_of(
    connection: &mut MySqlConnection,
    payment: &Payment,
    amount: i64,
    why: &Why,
) -> Recorded {
    let under_way = store::operations(connection, payment.id)
        .await?
        .iter()
        .any(|operation| operation.kind == OperationKind::Void && operation.state.is_open());
    if under_way {
        return Ok(Err(Refusal::UnderWay));
    }
    let operation = insert(
        connection,
        payment,
        OperationKind::Void,
        (amount, false),
        why,
    )
    .await?;
    Ok(Ok(operation))
}

/// Whether a void is of the whole payment, so that what was captured in the meantime is given back too.
pub(crate) fn gives_up_everything(operation: &Operation, payment: &Payment) -> bool {
    operation.amount == payment.amount
}

impl Payments {
    /// Records, inside the caller's transaction, that a payment is given up: what is held is let go, what was or will have been captured
    /// until then is refunded, and nobody can pay it any more. Repeating it changes nothing. The caller holds the lock of the order.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn void_in(
        connection: &mut MySqlConnection,
        payment_id: i64,
        reason: &str,
    ) -> Result<(), sqlx::Error> {
        let Some(mut payment) = store::lock(connection, payment_id).await? else {
            return Ok(());
        };
        let why = Why::new("worker", reason);
        let capturing = store::operations(connection, payment_id)
            .await?
            .iter()
            .any(|operation| operation.kind == OperationKind::Capture && operation.state.is_open());
        match payment.state {
            PaymentState::Failed | PaymentState::Voided => {}
            PaymentState::Captured if payment.capturable() == 0 && !capturing => {
                let rest = payment.captured - payment.refunded;
                if rest > 0 {
                    let _ = refund_in(connection, &mut payment, rest, &why).await?;
                }
            }
            PaymentState::Started
            | PaymentState::Unknown
            | PaymentState::ActionRequired
            | PaymentState::Authorized
            | PaymentState::Captured => {
                let _ = void_of(connection, &payment, payment.amount, &why).await?;
            }
        }
        Ok(())
    }

    /// Records, inside the transaction that places an order, that what is held for it is captured, if the shop captures at once. The
    /// caller holds the lock of the order.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn placed_in(
        &self,
        connection: &mut MySqlConnection,
        order_id: i64,
    ) -> Result<(), sqlx::Error> {
        if self.settings().capture == CapturePolicy::Automatic {
            let why = Why::new("worker", "the order was placed");
            capture_all_in(connection, order_id, &why).await?;
        }
        Ok(())
    }

    /// Records, inside the transaction in which somebody lets an order go on that waited for a person, that what it costs is captured, if
    /// the shop captures at once. What is held for pieces that were taken out meanwhile is let go. The caller holds the lock of the order.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn released_in(
        &self,
        connection: &mut MySqlConnection,
        order: &Order,
        actor: &str,
    ) -> Result<(), sqlx::Error> {
        if self.settings().capture != CapturePolicy::Automatic || order.state != OrderState::Placed
        {
            return Ok(());
        }
        let lines = orders::store::lines(connection, order.id).await?;
        let owed = owed_in(connection, order, &lines).await?;
        let why = Why::new(actor, "the order was released");
        capture_part_in(connection, order.id, owed, owed, &why).await?;
        void_rests_in(connection, order.id, &why).await
    }

    /// Records an operation and carries it out.
    ///
    /// # Errors
    /// 404 without such a payment, 409 when there is not so much money, those of the database. What the provider says is in the
    /// operation.
    pub async fn operate(
        &self,
        payment_id: i64,
        kind: OperationKind,
        amount: Option<i64>,
        why: Why,
    ) -> Result<Operation, ApiError> {
        let why = Arc::new(why.at_once());
        let public_id = self
            .db()
            .transaction(move |connection| {
                let why = Arc::clone(&why);
                Box::pin(async move { start(connection, payment_id, kind, amount, &why).await })
            })
            .await?;
        self.carry_out(&public_id).await?;
        self.operation(&public_id).await
    }

    /// An operation by its public id.
    ///
    /// # Errors
    /// 404; those of the database.
    pub async fn operation(&self, public_id: &str) -> Result<Operation, ApiError> {
        let mut primary = self.db().primary().await?;
        store::operation_find(&mut primary.connection, public_id)
            .await?
            .ok_or_else(|| {
                ApiError::new(Code::NotFound).detail("there is no such operation of a payment")
            })
    }

    /// Asks the provider to do what an operation says, and writes what became of it. Does nothing with one that is settled. Whatever
    /// is not known afterwards is asked for again by the worker.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn carry_out(&self, public_id: &str) -> Result<(), ApiError> {
        let this = self.clone();
        let public_id = public_id.to_owned();
        tokio::spawn(async move { this.carry_out_once(&public_id).await })
            .await
            .unwrap_or_else(|_| Err(DbError::Aborted.into()))
    }

    async fn carry_out_once(&self, public_id: &str) -> Result<(), ApiError> {
        crash::here(Point::OperationRecorded);
        let operation = self.operation(public_id).await?;
        if !operation.state.is_open() || operation.kind == OperationKind::Authorize {
            return Ok(());
        }
        let payment = self.payment(operation.payment_id).await?;
        let Some(reference) = payment.reference.clone() else {
            // It was never opened at the provider, so that there is nothing to move; and from now on nobody will.
            let outcome = match operation.kind {
                OperationKind::Void => Outcome::Succeeded { reference: None },
                _ => Outcome::Failed { code: LOST.into() },
            };
            return self.settle(&operation, outcome).await;
        };
        if operation.kind == OperationKind::Void {
            if matches!(payment.state, PaymentState::Failed | PaymentState::Voided) {
                return self
                    .settle(&operation, Outcome::Succeeded { reference: None })
                    .await;
            }
            if self.is_capturing(payment.id).await? {
                return self.again(&operation, None, Some(WAIT_FOR_CAPTURES)).await;
            }
        }
        let Some(provider) = self.provider(&payment.provider) else {
            tracing::error!(payment = %payment.public_id, provider = payment.provider, "the shop is not set up for this payment's provider any more");
            return self.again(&operation, None, None).await;
        };
        if operation.checks > 0 || operation.state == OperationState::Unknown {
            // Asked before: the provider may know it.
            let (_, answered) = self.look(payment.id).await?;
            if !answered {
                return self.again(&operation, None, None).await;
            }
            let now = self.operation(public_id).await?;
            if !now.state.is_open() {
                return Ok(());
            }
            if now.reference.is_some() {
                // The provider has taken it on and is not done.
                return self.again(&operation, None, None).await;
            }
            if operation.age > KEY_LIFETIME {
                return self
                    .settle(&operation, Outcome::Failed { code: LOST.into() })
                    .await;
            }
        }
        let moving = Moving {
            reference,
            key: operation.public_id.clone(),
            amount: Money::new(operation.amount, payment.currency),
            last: operation.is_last,
        };
        self.ask(&*provider, &operation, &moving).await
    }

    async fn ask(
        &self,
        provider: &dyn Provider,
        operation: &Operation,
        moving: &Moving,
    ) -> Result<(), ApiError> {
        let answer = match operation.kind {
            OperationKind::Capture => provider.capture(moving).await,
            OperationKind::Void => provider.void(moving).await,
            OperationKind::Refund => provider.refund(moving).await,
            OperationKind::Authorize => return Ok(()),
        };
        self.count(provider, operation.kind.name(), &answer);
        crash::here(Point::OperationAnswered);
        match answer {
            Ok(outcome) => {
                self.settle(operation, outcome).await?;
                crash::here(Point::OperationSettled);
                Ok(())
            }
            Err(Failure::Refused { code }) => {
                // It may have been done, by somebody at the provider or by a question of ours that was thought lost; while that
                // is not known, it has not failed.
                let (_, answered) = self.look(operation.payment_id).await?;
                if !answered {
                    return self.again(operation, None, None).await;
                }
                self.settle(operation, Outcome::Failed { code }).await
            }
            Err(Failure::NotAsked(cause)) => {
                let cause = crate::web::error::chain(cause.as_ref());
                tracing::warn!(operation = %operation.public_id, kind = operation.kind.name(), cause, "a payment provider could not be asked; it will be tried again");
                self.again(operation, None, None).await
            }
            Err(Failure::Unknown(cause)) => {
                let cause = crate::web::error::chain(cause.as_ref());
                tracing::warn!(operation = %operation.public_id, kind = operation.kind.name(), cause, "what became of an operation is not known; the provider will be asked");
                self.again(operation, Some(OperationState::Unknown), None)
                    .await
            }
        }
    }

    async fn is_capturing(&self, payment_id: i64) -> Result<bool, ApiError> {
        let mut primary = self.db().primary().await?;
        let operations = store::operations(&mut primary.connection, payment_id).await?;
        Ok(operations
            .iter()
            .any(|operation| operation.kind == OperationKind::Capture && operation.state.is_open()))
    }

    async fn again(
        &self,
        operation: &Operation,
        state: Option<OperationState>,
        pause: Option<Duration>,
    ) -> Result<(), ApiError> {
        let (id, state) = (operation.id, state.unwrap_or(operation.state));
        let checks = u32::try_from(operation.checks).unwrap_or(0);
        let pause = pause.unwrap_or_else(|| AGAIN.jittered(checks.saturating_add(1)));
        self.db()
            .transaction(move |connection| {
                Box::pin(async move {
                    store::operation_settle(connection, id, state, None, None, Some(pause)).await?;
                    Ok::<_, ApiError>(())
                })
            })
            .await
    }

    async fn settle(&self, operation: &Operation, outcome: Outcome) -> Result<(), ApiError> {
        let input = Arc::new((operation.clone(), outcome));
        self.db()
            .transaction(move |connection| {
                let input = Arc::clone(&input);
                Box::pin(async move {
                    let (operation, outcome) = &*input;
                    let mut locked = lock(connection, operation.payment_id).await?;
                    settle(
                        connection,
                        &mut locked,
                        operation,
                        outcome,
                        &operation.actor,
                    )
                    .await?;
                    Ok::<_, ApiError>(())
                })
            })
            .await
    }

    /// Takes an operation that is due, and carries it out: the worker's part.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn take_over(&self, operation_id: i64) -> Result<(), ApiError> {
        let mut primary = self.db().primary().await?;
        let claimed = store::operation_claim(&mut primary.connection, operation_id, LEASE).await?;
        drop(primary);
        if !claimed {
            return Ok(());
        }
        let public_id = self
            .db()
            .transaction(move |connection| {
                Box::pin(async move {
                    let operation = store::operation_lock(connection, operation_id).await?;
                    Ok::<_, ApiError>(operation.map(|operation| operation.public_id))
                })
            })
            .await?;
        match public_id {
            Some(public_id) => self.carry_out(&public_id).await,
            None => Ok(()),
        }
    }
}

/// Records that everything that is held for an order is captured.
///
/// # Errors
/// What the database answers.
pub async fn capture_all_in(
    connection: &mut MySqlConnection,
    order_id: i64,
    why: &Why,
) -> Result<(), sqlx::Error> {
    for found in store::of_order(connection, order_id).await? {
        let Some(mut payment) = store::lock(connection, found.id).await? else {
            continue;
        };
        if payment.capturable() > 0 {
            let _ = capture_in(connection, &mut payment, None, why).await?;
        }
    }
    Ok(())
}

/// How much of a payment is captured when this is wanted: all that is owed where the provider lets the rest go with the first
/// capture.
fn part_of(payment: &Payment, wanted: i64, owed: i64) -> i64 {
    let wanted = if payment.one_capture_only() {
        owed
    } else {
        wanted.min(owed)
    };
    payment.capturable().min(wanted).max(0)
}

/// Records that an amount of what is held for an order is captured, from its payments in turn; all that is owed ([`owed_in`]) where a
/// payment allows one capture only, and never more than that.
///
/// # Errors
/// What the database answers.
pub async fn capture_part_in(
    connection: &mut MySqlConnection,
    order_id: i64,
    amount: i64,
    owed: i64,
    why: &Why,
) -> Result<(), sqlx::Error> {
    let (mut left, mut owed) = (amount, owed);
    for found in store::of_order(connection, order_id).await? {
        if left <= 0 {
            break;
        }
        let Some(mut payment) = store::lock(connection, found.id).await? else {
            continue;
        };
        let part = part_of(&payment, left, owed);
        if part > 0
            && capture_in(connection, &mut payment, Some(part), why)
                .await?
                .is_ok()
        {
            left -= part;
            owed -= part;
        }
    }
    Ok(())
}

/// Records an operation on a payment, whose order it locks first.
///
/// # Errors
/// 404 without such a payment, 409 when there is not so much money; what the database answers.
pub async fn start(
    connection: &mut MySqlConnection,
    payment_id: i64,
    kind: OperationKind,
    amount: Option<i64>,
    why: &Why,
) -> Result<String, ApiError> {
    let Locked { mut payment, .. } = lock(connection, payment_id).await?;
    let recorded = match kind {
        OperationKind::Capture => capture_in(connection, &mut payment, amount, why).await?,
        OperationKind::Refund => {
            let amount = amount.unwrap_or(payment.captured - payment.refunded);
            refund_in(connection, &mut payment, amount, why).await?
        }
        OperationKind::Void => void_rest_in(connection, &payment, why).await?,
        OperationKind::Authorize => return Err(unknown_payment()),
    };
    Ok(recorded?)
}

/// What of an order's payments was captured or is being captured.
///
/// # Errors
/// What the database answers.
pub async fn captured_of(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<i64, sqlx::Error> {
    let payments = store::of_order(connection, order_id).await?;
    Ok(payments.iter().map(|payment| payment.captured).sum())
}

/// What is to be captured for an order yet: what it costs without the pieces that were taken out, less what was or is being captured.
///
/// # Errors
/// What the database answers.
pub async fn owed_in(
    connection: &mut MySqlConnection,
    order: &Order,
    lines: &[Line],
) -> Result<i64, sqlx::Error> {
    Ok(order.kept_total(lines) - captured_of(connection, order.id).await?)
}

/// Records that what is held for an order and will not be captured any more is let go. Where a payment allows one capture only, that
/// capture has done so.
///
/// # Errors
/// What the database answers.
pub async fn void_rests_in(
    connection: &mut MySqlConnection,
    order_id: i64,
    why: &Why,
) -> Result<(), sqlx::Error> {
    for found in store::of_order(connection, order_id).await? {
        if let Some(payment) = store::lock(connection, found.id).await?
            && payment.captured > 0
            && payment.capturable() > 0
            && !payment.one_capture_only()
        {
            let _ = void_rest_in(connection, &payment, why).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::model::Method;

    fn held(several_captures: bool, captured: i64) -> Payment {
        Payment {
            id: 1,
            public_id: "p".into(),
            order_id: 1,
            provider: "test".into(),
            reference: Some("r".into()),
            state: PaymentState::Authorized,
            currency: "EUR".parse().unwrap(),
            amount: 110,
            authorized: 110,
            captured,
            refunded: 0,
            next_action: None,
            method: Some(Method {
                several_captures,
                ..Method::default()
            }),
            fingerprint: None,
            failure_code: None,
            checks: 0,
            version: 1,
        }
    }

    #[test]
    fn no_more_is_captured_than_is_owed() {
        // In parts: what leaves, and never what was taken out.
        assert_eq!(part_of(&held(true, 0), 60, 110), 60);
        assert_eq!(part_of(&held(true, 0), 60, 50), 50);
        assert_eq!(part_of(&held(true, 100), 60, 60), 10);
        assert_eq!(part_of(&held(true, 60), 50, 0), 0);
        // At once: what leaves later as well.
        assert_eq!(part_of(&held(false, 0), 60, 110), 110);
        assert_eq!(part_of(&held(false, 0), 30, 60), 60);
        assert_eq!(part_of(&held(false, 0), 30, -50), 0);
    }
}
