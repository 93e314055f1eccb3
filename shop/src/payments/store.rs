//! The statements of payments and of what is asked of their providers.
//!
//! Locks are taken in this order: the row of the order, the row of the payment, rows of operations. Sums of a payment are changed
//! by conditional statements whose row count is checked, with `CHECK` constraints behind them.

use std::time::Duration;

use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::model::{
    Method, NextAction, Operation, OperationKind, OperationState, Payment, PaymentState, Sums,
};
use crate::outbox::store::microseconds;

macro_rules! payment_columns {
    () => {
        "SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded, next_action, \
         method, fingerprint, failure_code, checks, version FROM payment "
    };
}

macro_rules! operation_columns {
    () => {
        "SELECT id, public_id, payment_id, kind, state, amount, is_last, reference, return_id, reason, actor, failure_code, checks, \
         TIMESTAMPDIFF(MICROSECOND, created_at, NOW(6)) AS age FROM payment_operation "
    };
}

const INSERT: &str = "INSERT INTO payment (public_id, order_id, provider, state, currency, amount, next_check_at) \
     VALUES (?, ?, ?, 'started', ?, ?, NOW(6) + INTERVAL ? MICROSECOND)";
const FIND: &str = concat!(payment_columns!(), "WHERE id = ?");
const LOCK: &str = concat!(payment_columns!(), "WHERE id = ? FOR UPDATE");
const OF_ORDER: &str = concat!(
    payment_columns!(),
    "WHERE order_id = ? ORDER BY id LIMIT 100"
);
const BY_PUBLIC_ID: &str = concat!(payment_columns!(), "WHERE public_id = ?");
const BY_REFERENCE: &str = concat!(payment_columns!(), "WHERE provider = ? AND reference = ?");
const SELECT_ORDER: &str = "SELECT number, locale FROM orders WHERE id = ?";
const SET_REFERENCE: &str = "UPDATE payment SET reference = ?, version = version + 1 WHERE id = ? AND (reference IS NULL OR reference = ?)";
const UPDATE: &str = "UPDATE payment SET state = ?, authorized = ?, next_action = ?, method = COALESCE(?, method), \
     fingerprint = COALESCE(?, fingerprint), failure_code = ?, version = version + 1 WHERE id = ?";
const SCHEDULE: &str =
    "UPDATE payment SET next_check_at = NOW(6) + INTERVAL ? MICROSECOND WHERE id = ?";
const UNSCHEDULE_SETTLED: &str = "UPDATE payment SET next_check_at = NULL \
     WHERE order_id = ? AND state NOT IN ('started', 'unknown', 'action_required')";
const CLAIM: &str = "UPDATE payment SET next_check_at = NOW(6) + INTERVAL ? MICROSECOND, checks = checks + 1 \
     WHERE id = ? AND next_check_at <= NOW(6)";
const DUE: &str = "SELECT id FROM payment FORCE INDEX (payment_next_check) WHERE next_check_at <= NOW(6) ORDER BY next_check_at LIMIT ?";
const COUNT_OPEN: &str = "SELECT CAST(COUNT(*) AS SIGNED) FROM (SELECT 1 FROM payment FORCE INDEX (payment_next_check) \
     WHERE next_check_at IS NOT NULL AND state IN ('started', 'unknown') LIMIT 10000) AS open_payment";

// What is being captured counts as captured, and cannot be refunded before it is certain.
const SPEND_CAPTURE: &str = "UPDATE payment SET captured = captured + ?, version = version + 1 \
     WHERE id = ? AND state IN ('authorized', 'captured') AND captured + ? <= authorized";
const SPEND_REFUND: &str = "UPDATE payment SET refunded = refunded + ?, version = version + 1 WHERE id = ? AND state = 'captured' \
     AND refunded + ? <= captured - (SELECT COALESCE(CAST(SUM(operation.amount) AS SIGNED), 0) FROM payment_operation AS operation \
       WHERE operation.payment_id = payment.id AND operation.kind = 'capture' AND operation.state IN ('started', 'unknown'))";
const UNSPEND_CAPTURE: &str = "UPDATE payment SET captured = captured - ?, version = version + 1 WHERE id = ? AND captured - ? >= refunded";
const UNSPEND_REFUND: &str =
    "UPDATE payment SET refunded = refunded - ?, version = version + 1 WHERE id = ?";
// What somebody did at the provider: it is a fact, so that sums follow it as far as they can.
const OUTSIDE_CAPTURE: &str = "UPDATE payment SET captured = captured + ?, state = 'captured', version = version + 1 \
     WHERE id = ? AND captured + ? <= authorized";
const OUTSIDE_REFUND: &str = "UPDATE payment SET refunded = refunded + ?, version = version + 1 WHERE id = ? AND refunded + ? <= captured";

const OPERATION_INSERT: &str = "INSERT INTO payment_operation (public_id, payment_id, kind, state, amount, is_last, reference, return_id, reason, actor, next_check_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NOW(6) + INTERVAL ? MICROSECOND)";
const OPERATION_FIND: &str = concat!(operation_columns!(), "WHERE public_id = ?");
const OPERATION_LOCK: &str = concat!(operation_columns!(), "WHERE id = ? FOR UPDATE");
const OPERATIONS: &str = concat!(
    operation_columns!(),
    "WHERE payment_id = ? ORDER BY id LIMIT 500"
);
const OPERATION_CLAIM: &str = "UPDATE payment_operation SET next_check_at = NOW(6) + INTERVAL ? MICROSECOND, checks = checks + 1 \
     WHERE id = ? AND state IN ('started', 'unknown') AND next_check_at <= NOW(6)";
const OPERATION_SETTLE: &str = "UPDATE payment_operation SET state = ?, reference = COALESCE(?, reference), failure_code = ?, \
     next_check_at = NOW(6) + INTERVAL ? MICROSECOND WHERE id = ? AND state IN ('started', 'unknown')";
// An authorisation that is asked for again is as old as the last question.
const OPERATION_RENEW: &str = "UPDATE payment_operation SET created_at = NOW(6) WHERE id = ?";
const AUTHORISATION_VOID: &str = "UPDATE payment_operation SET state = 'failed', failure_code = ?, next_check_at = NULL \
     WHERE payment_id = ? AND kind = 'authorize' AND state IN ('started', 'unknown')";
const OPERATION_REVOKE: &str = "UPDATE payment_operation SET state = 'failed', failure_code = ? WHERE id = ? AND state = 'succeeded'";
const OPERATIONS_DUE: &str = "SELECT id FROM payment_operation FORCE INDEX (payment_operation_next_check) \
     WHERE next_check_at <= NOW(6) ORDER BY next_check_at LIMIT ?";

const SUMS: &str = "SELECT \
     CAST(COALESCE(SUM(IF(state IN ('authorized', 'captured'), authorized - captured, 0)), 0) AS SIGNED), \
     CAST(COALESCE(SUM(captured), 0) AS SIGNED), CAST(COALESCE(SUM(refunded), 0) AS SIGNED), \
     CAST(COALESCE(SUM(state = 'voided'), 0) AS SIGNED) FROM payment WHERE order_id = ?";
const SUMS_OPEN: &str = "SELECT \
     CAST(COALESCE(SUM(IF(operation.kind = 'capture', operation.amount, 0)), 0) AS SIGNED), \
     CAST(COALESCE(SUM(IF(operation.kind = 'refund', operation.amount, 0)), 0) AS SIGNED) \
     FROM payment JOIN payment_operation AS operation ON operation.payment_id = payment.id \
     WHERE payment.order_id = ? AND operation.state IN ('started', 'unknown')";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("payment_insert", INSERT),
    ("payment_find", FIND),
    ("payment_lock", LOCK),
    ("payment_of_order", OF_ORDER),
    ("payment_by_public_id", BY_PUBLIC_ID),
    ("payment_by_reference", BY_REFERENCE),
    ("payment_order", SELECT_ORDER),
    ("payment_set_reference", SET_REFERENCE),
    ("payment_update", UPDATE),
    ("payment_schedule", SCHEDULE),
    ("payment_unschedule_settled", UNSCHEDULE_SETTLED),
    ("payment_claim", CLAIM),
    ("payment_due", DUE),
    ("payment_count_open", COUNT_OPEN),
    ("payment_spend_capture", SPEND_CAPTURE),
    ("payment_spend_refund", SPEND_REFUND),
    ("payment_unspend_capture", UNSPEND_CAPTURE),
    ("payment_unspend_refund", UNSPEND_REFUND),
    ("payment_outside_capture", OUTSIDE_CAPTURE),
    ("payment_outside_refund", OUTSIDE_REFUND),
    ("payment_operation_insert", OPERATION_INSERT),
    ("payment_operation_find", OPERATION_FIND),
    ("payment_operation_lock", OPERATION_LOCK),
    ("payment_operations", OPERATIONS),
    ("payment_operation_claim", OPERATION_CLAIM),
    ("payment_operation_settle", OPERATION_SETTLE),
    ("payment_operation_renew", OPERATION_RENEW),
    ("payment_authorisation_void", AUTHORISATION_VOID),
    ("payment_operation_revoke", OPERATION_REVOKE),
    ("payment_operations_due", OPERATIONS_DUE),
    ("payment_sums", SUMS),
    ("payment_sums_open", SUMS_OPEN),
];

#[derive(Debug, sqlx::FromRow)]
struct PaymentRow {
    id: i64,
    public_id: String,
    order_id: i64,
    provider: String,
    reference: Option<String>,
    state: String,
    currency: String,
    amount: i64,
    authorized: i64,
    captured: i64,
    refunded: i64,
    next_action: Option<Json<NextAction>>,
    method: Option<Json<Method>>,
    fingerprint: Option<String>,
    failure_code: Option<String>,
    checks: i32,
    version: i64,
}

fn unreadable(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}

impl TryFrom<PaymentRow> for Payment {
    type Error = sqlx::Error;

    fn try_from(row: PaymentRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id,
            public_id: row.public_id,
            order_id: row.order_id,
            provider: row.provider,
            reference: row.reference,
            state: PaymentState::from_name(&row.state).ok_or_else(|| {
                unreadable("a payment is in a state that this release does not know")
            })?,
            currency: row.currency.parse().map_err(|_| {
                unreadable("a payment is in a currency that this release does not know")
            })?,
            amount: row.amount,
            authorized: row.authorized,
            captured: row.captured,
            refunded: row.refunded,
            next_action: row.next_action.map(|Json(action)| action),
            method: row.method.map(|Json(method)| method),
            fingerprint: row.fingerprint,
            failure_code: row.failure_code,
            checks: row.checks,
            version: row.version,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct OperationRow {
    id: i64,
    public_id: String,
    payment_id: i64,
    kind: String,
    state: String,
    amount: i64,
    is_last: bool,
    reference: Option<String>,
    return_id: Option<i64>,
    reason: String,
    actor: String,
    failure_code: Option<String>,
    checks: i32,
    age: i64,
}

impl TryFrom<OperationRow> for Operation {
    type Error = sqlx::Error;

    fn try_from(row: OperationRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id,
            public_id: row.public_id,
            payment_id: row.payment_id,
            kind: OperationKind::from_name(&row.kind).ok_or_else(|| {
                unreadable("an operation is of a kind that this release does not know")
            })?,
            state: OperationState::from_name(&row.state).ok_or_else(|| {
                unreadable("an operation is in a state that this release does not know")
            })?,
            amount: row.amount,
            is_last: row.is_last,
            reference: row.reference,
            return_id: row.return_id,
            reason: row.reason,
            actor: row.actor,
            failure_code: row.failure_code,
            checks: row.checks,
            age: Duration::from_micros(u64::try_from(row.age).unwrap_or(0)),
        })
    }
}

/// A payment to be written.
#[derive(Debug, Clone)]
pub struct NewPayment<'a> {
    /// Its public id.
    pub public_id: &'a str,
    /// What it pays.
    pub order_id: i64,
    /// Who is asked.
    pub provider: &'a str,
    /// The currency's code.
    pub currency: &'a str,
    /// In minor units.
    pub amount: i64,
}

/// Writes a payment that the provider has not been asked about, to be looked after in a while.
///
/// # Errors
/// What the database answers.
pub async fn insert(
    connection: &mut MySqlConnection,
    payment: &NewPayment<'_>,
    check_in: Duration,
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(INSERT)
        .bind(payment.public_id)
        .bind(payment.order_id)
        .bind(payment.provider)
        .bind(payment.currency)
        .bind(payment.amount)
        .bind(microseconds(check_in))
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

async fn one(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<PaymentRow> = sqlx::query_as(statement)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(Payment::try_from).transpose()
}

/// Reads a payment.
///
/// # Errors
/// What the database answers.
pub async fn find(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Payment>, sqlx::Error> {
    one(connection, FIND, id).await
}

/// Reads a payment and locks it. Whoever also needs its order has locked that before.
///
/// # Errors
/// What the database answers.
pub async fn lock(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Payment>, sqlx::Error> {
    one(connection, LOCK, id).await
}

/// The payments of an order, the first attempt first.
///
/// # Errors
/// What the database answers.
pub async fn of_order(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<Vec<Payment>, sqlx::Error> {
    let rows: Vec<PaymentRow> = sqlx::query_as(OF_ORDER)
        .bind(order_id)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(Payment::try_from).collect()
}

/// The payment with this public id.
///
/// # Errors
/// What the database answers.
pub async fn by_public_id(
    connection: &mut MySqlConnection,
    public_id: &str,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<PaymentRow> = sqlx::query_as(BY_PUBLIC_ID)
        .bind(public_id)
        .fetch_optional(connection)
        .await?;
    row.map(Payment::try_from).transpose()
}

/// The payment that a provider knows by this name.
///
/// # Errors
/// What the database answers.
pub async fn by_reference(
    connection: &mut MySqlConnection,
    provider: &str,
    reference: &str,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<PaymentRow> = sqlx::query_as(BY_REFERENCE)
        .bind(provider)
        .bind(reference)
        .fetch_optional(connection)
        .await?;
    row.map(Payment::try_from).transpose()
}

/// Number and language of an order.
///
/// # Errors
/// What the database answers; no row.
pub async fn order_of(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<(String, String), sqlx::Error> {
    sqlx::query_as(SELECT_ORDER)
        .bind(order_id)
        .fetch_one(connection)
        .await
}

/// Notes the provider's name of a payment. False when it has another one already.
///
/// # Errors
/// What the database answers.
pub async fn set_reference(
    connection: &mut MySqlConnection,
    id: i64,
    reference: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(SET_REFERENCE)
        .bind(reference)
        .bind(id)
        .bind(reference)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes state, what is held, next action, method, fingerprint and failure of a locked payment. Sums of captures and refunds have
/// statements of their own.
///
/// # Errors
/// What the database answers.
pub async fn update(
    connection: &mut MySqlConnection,
    payment: &Payment,
) -> Result<(), sqlx::Error> {
    sqlx::query(UPDATE)
        .bind(payment.state.name())
        .bind(payment.authorized)
        .bind(payment.next_action.as_ref().map(Json))
        .bind(payment.method.as_ref().map(Json))
        .bind(&payment.fingerprint)
        .bind(&payment.failure_code)
        .bind(payment.id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Says when a payment is looked after next; never, with `None`.
///
/// # Errors
/// What the database answers.
pub async fn schedule(
    connection: &mut MySqlConnection,
    id: i64,
    check_in: Option<Duration>,
) -> Result<(), sqlx::Error> {
    sqlx::query(SCHEDULE)
        .bind(check_in.map(microseconds))
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Says that nobody needs to look after the payments of an order of which it is known what became.
///
/// # Errors
/// What the database answers.
pub async fn unschedule_settled(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(UNSCHEDULE_SETTLED)
        .bind(order_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a payment that is due for oneself, for so long. False when another has.
///
/// # Errors
/// What the database answers.
pub async fn claim(
    connection: &mut MySqlConnection,
    id: i64,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(CLAIM)
        .bind(microseconds(lease))
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Payments that are to be looked after now.
///
/// # Errors
/// What the database answers.
pub async fn due(connection: &mut MySqlConnection, limit: u32) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(DUE)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// How many payments are not known to have succeeded or failed, up to 10 000.
///
/// # Errors
/// What the database answers.
pub async fn count_open(connection: &mut MySqlConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(COUNT_OPEN).fetch_one(connection).await
}

/// Counts an amount that is about to be captured or refunded. False when it is more than there is.
///
/// # Errors
/// What the database answers.
pub async fn spend(
    connection: &mut MySqlConnection,
    id: i64,
    kind: OperationKind,
    amount: i64,
) -> Result<bool, sqlx::Error> {
    conditional(
        connection,
        match kind {
            OperationKind::Capture => SPEND_CAPTURE,
            OperationKind::Refund => SPEND_REFUND,
            OperationKind::Authorize | OperationKind::Void => return Ok(true),
        },
        id,
        amount,
    )
    .await
}

/// Counts an amount that somebody captured or refunded at the provider. False when the sums do not allow it.
///
/// # Errors
/// What the database answers.
pub async fn spent_outside(
    connection: &mut MySqlConnection,
    id: i64,
    kind: OperationKind,
    amount: i64,
) -> Result<bool, sqlx::Error> {
    conditional(
        connection,
        match kind {
            OperationKind::Capture => OUTSIDE_CAPTURE,
            OperationKind::Refund => OUTSIDE_REFUND,
            OperationKind::Authorize | OperationKind::Void => return Ok(false),
        },
        id,
        amount,
    )
    .await
}

async fn conditional(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
    amount: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(statement)
        .bind(amount)
        .bind(id)
        .bind(amount)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives back an amount that was not captured or refunded after all.
///
/// # Errors
/// What the database answers.
pub async fn unspend(
    connection: &mut MySqlConnection,
    id: i64,
    kind: OperationKind,
    amount: i64,
) -> Result<(), sqlx::Error> {
    match kind {
        OperationKind::Capture => {
            conditional(connection, UNSPEND_CAPTURE, id, amount).await?;
        }
        OperationKind::Refund => {
            sqlx::query(UNSPEND_REFUND)
                .bind(amount)
                .bind(id)
                .execute(connection)
                .await?;
        }
        OperationKind::Authorize | OperationKind::Void => {}
    }
    Ok(())
}

/// An operation to be written.
#[derive(Debug, Clone)]
pub struct NewOperation<'a> {
    /// Its public id.
    pub public_id: &'a str,
    /// What it is about.
    pub payment_id: i64,
    /// What is asked.
    pub kind: OperationKind,
    /// How far it is.
    pub state: OperationState,
    /// How much, in minor units.
    pub amount: i64,
    /// Whether this capture lets go of the rest.
    pub is_last: bool,
    /// The provider's name of it.
    pub reference: Option<&'a str>,
    /// The return that it refunds.
    pub return_id: Option<i64>,
    /// Why.
    pub reason: &'a str,
    /// Who asked for it.
    pub actor: &'a str,
}

/// Writes an operation; `check_in` says when it is carried out if nobody has until then.
///
/// # Errors
/// What the database answers.
pub async fn operation_insert(
    connection: &mut MySqlConnection,
    operation: &NewOperation<'_>,
    check_in: Option<Duration>,
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(OPERATION_INSERT)
        .bind(operation.public_id)
        .bind(operation.payment_id)
        .bind(operation.kind.name())
        .bind(operation.state.name())
        .bind(operation.amount)
        .bind(operation.is_last)
        .bind(operation.reference)
        .bind(operation.return_id)
        .bind(operation.reason.chars().take(190).collect::<String>())
        .bind(operation.actor.chars().take(190).collect::<String>())
        .bind(check_in.map(microseconds))
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// The operation with this public id.
///
/// # Errors
/// What the database answers.
pub async fn operation_find(
    connection: &mut MySqlConnection,
    public_id: &str,
) -> Result<Option<Operation>, sqlx::Error> {
    let row: Option<OperationRow> = sqlx::query_as(OPERATION_FIND)
        .bind(public_id)
        .fetch_optional(connection)
        .await?;
    row.map(Operation::try_from).transpose()
}

/// Reads an operation and locks it.
///
/// # Errors
/// What the database answers.
pub async fn operation_lock(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Operation>, sqlx::Error> {
    let row: Option<OperationRow> = sqlx::query_as(OPERATION_LOCK)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(Operation::try_from).transpose()
}

/// The operations of a payment, the first first.
///
/// # Errors
/// What the database answers.
pub async fn operations(
    connection: &mut MySqlConnection,
    payment_id: i64,
) -> Result<Vec<Operation>, sqlx::Error> {
    let rows: Vec<OperationRow> = sqlx::query_as(OPERATIONS)
        .bind(payment_id)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(Operation::try_from).collect()
}

/// Takes an operation that is due for oneself, for so long. False when another has, or it is settled.
///
/// # Errors
/// What the database answers.
pub async fn operation_claim(
    connection: &mut MySqlConnection,
    id: i64,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(OPERATION_CLAIM)
        .bind(microseconds(lease))
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what became of an operation. False when somebody else has settled it.
///
/// # Errors
/// What the database answers.
pub async fn operation_settle(
    connection: &mut MySqlConnection,
    id: i64,
    state: OperationState,
    reference: Option<&str>,
    failure_code: Option<&str>,
    check_in: Option<Duration>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(OPERATION_SETTLE)
        .bind(state.name())
        .bind(reference)
        .bind(failure_code.map(|code| code.chars().take(64).collect::<String>()))
        .bind(check_in.map(microseconds))
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// An operation is asked for again, so that its age begins anew.
///
/// # Errors
/// What the database answers.
pub async fn operation_renew(connection: &mut MySqlConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(OPERATION_RENEW)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Settles the question whether a payment can be paid, because the payment was given up before there was an answer.
///
/// # Errors
/// What the database answers.
pub async fn authorisation_void(
    connection: &mut MySqlConnection,
    payment_id: i64,
    failure_code: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(AUTHORISATION_VOID)
        .bind(failure_code)
        .bind(payment_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// An operation that had succeeded has come to nothing at the provider.
///
/// # Errors
/// What the database answers.
pub async fn operation_revoke(
    connection: &mut MySqlConnection,
    id: i64,
    failure_code: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(OPERATION_REVOKE)
        .bind(failure_code)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Operations that are to be carried out or asked about now.
///
/// # Errors
/// What the database answers.
pub async fn operations_due(
    connection: &mut MySqlConnection,
    limit: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(OPERATIONS_DUE)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// What is certain of an order's payments.
///
/// # Errors
/// What the database answers.
pub async fn sums(connection: &mut MySqlConnection, order_id: i64) -> Result<Sums, sqlx::Error> {
    let (held, captured, refunded, voided): (i64, i64, i64, i64) = sqlx::query_as(SUMS)
        .bind(order_id)
        .fetch_one(&mut *connection)
        .await?;
    let (capturing, refunding): (i64, i64) = sqlx::query_as(SUMS_OPEN)
        .bind(order_id)
        .fetch_one(connection)
        .await?;
    Ok(Sums {
        held: held + capturing,
        captured: captured - capturing,
        refunded: refunded - refunding,
        voided: voided > 0,
    })
}
