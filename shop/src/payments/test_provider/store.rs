//! The books of the test provider.

use std::time::Duration;

use sqlx::MySqlConnection;

use super::cards::Card;
use crate::outbox::store::microseconds;

/// A row of a payment and, with its columns in this order, of what reads it.
type Row = (
    String,
    String,
    String,
    i64,
    String,
    i64,
    i64,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
);

const INSERT: &str = "INSERT INTO test_payment (reference, opening_key, order_number, currency, amount) VALUES (?, ?, ?, ?, ?)";
const SELECT_OPENED: &str =
    "SELECT reference, currency, amount FROM test_payment WHERE opening_key = ?";
const LOCK: &str = "SELECT reference, order_number, currency, amount, state, authorized, captured, refunded, card, failure_code, locale, return_url, \
     CAST(COALESCE(settles_at <= NOW(6), FALSE) AS SIGNED) FROM test_payment WHERE reference = ? FOR UPDATE";
const UPDATE: &str = "UPDATE test_payment SET state = ?, authorized = ?, captured = ?, refunded = ?, failure_code = ?, \
     settles_at = NOW(6) + INTERVAL ? MICROSECOND WHERE reference = ?";
const UPDATE_CONFIRMED: &str =
    "UPDATE test_payment SET card = ?, locale = ?, return_url = ? WHERE reference = ?";
const INSERT_EFFECT: &str = "INSERT INTO test_payment_effect (idempotency_key, reference, kind, amount, outcome, failure_code, settles_at) \
     VALUES (?, ?, ?, ?, ?, ?, NOW(6) + INTERVAL ? MICROSECOND)";
const SELECT_EFFECT: &str =
    "SELECT outcome, failure_code FROM test_payment_effect WHERE idempotency_key = ?";
const ASKED_AGAIN: &str =
    "UPDATE test_payment_effect SET asked = asked + 1 WHERE idempotency_key = ?";
const SELECT_EFFECTS: &str = "SELECT idempotency_key, kind, amount, outcome, failure_code FROM test_payment_effect \
     WHERE reference = ? AND kind IN ('capture', 'refund') ORDER BY id LIMIT 200";
const SETTLE_EFFECTS: &str = "UPDATE test_payment_effect SET outcome = 'succeeded', settles_at = NULL \
     WHERE reference = ? AND outcome = 'pending' AND settles_at <= NOW(6)";
const SELECT_DUE: &str = "SELECT reference FROM test_payment WHERE settles_at <= NOW(6) LIMIT 50";
const SELECT_DUE_EFFECTS: &str =
    "SELECT DISTINCT reference FROM test_payment_effect WHERE settles_at <= NOW(6) LIMIT 50";
const INSERT_MESSAGE: &str = "INSERT INTO test_payment_message (event_id, reference) VALUES (?, ?)";
const SELECT_MESSAGES: &str = "SELECT id, event_id, reference FROM test_payment_message \
     WHERE sent_at IS NULL AND deliver_at <= NOW(6) ORDER BY id LIMIT 50";
const SENT: &str = "UPDATE test_payment_message SET sent_at = NOW(6) WHERE id = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("test_payment_insert", INSERT),
    ("test_payment_opened", SELECT_OPENED),
    ("test_payment_lock", LOCK),
    ("test_payment_update", UPDATE),
    ("test_payment_confirmed", UPDATE_CONFIRMED),
    ("test_payment_effect_insert", INSERT_EFFECT),
    ("test_payment_effect", SELECT_EFFECT),
    ("test_payment_effect_again", ASKED_AGAIN),
    ("test_payment_effects", SELECT_EFFECTS),
    ("test_payment_effects_settle", SETTLE_EFFECTS),
    ("test_payment_due", SELECT_DUE),
    ("test_payment_effects_due", SELECT_DUE_EFFECTS),
    ("test_payment_message_insert", INSERT_MESSAGE),
    ("test_payment_messages", SELECT_MESSAGES),
    ("test_payment_message_sent", SENT),
];

/// Where a payment stands in the provider's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Opened; nobody tried to pay.
    Waiting,
    /// The shopper has to approve.
    ActionRequired,
    /// Being worked on.
    Processing,
    /// Held.
    Authorized,
    /// Taken, in part at least.
    Captured,
    /// Refused.
    Failed,
    /// Let go.
    Voided,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::ActionRequired => "action_required",
            Self::Processing => "processing",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::Voided => "voided",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "action_required" => Self::ActionRequired,
            "processing" => Self::Processing,
            "authorized" => Self::Authorized,
            "captured" => Self::Captured,
            "failed" => Self::Failed,
            "voided" => Self::Voided,
            _ => Self::Waiting,
        }
    }
}

/// A payment in the provider's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestPayment {
    /// Its name.
    pub reference: String,
    /// The order's number.
    pub order_number: String,
    /// The currency's code.
    pub currency: String,
    /// How much is to be paid, in minor units.
    pub amount: i64,
    /// Where it stands.
    pub state: State,
    /// Held, what was taken included.
    pub authorized: i64,
    /// Taken.
    pub captured: i64,
    /// Given back.
    pub refunded: i64,
    /// The card.
    pub card: Option<&'static Card>,
    /// Why it was refused.
    pub failure_code: Option<String>,
    /// The language of the shopper.
    pub locale: Option<String>,
    /// Where the shopper goes after the second step.
    pub return_url: Option<String>,
    /// Whether what is being worked on is ready.
    pub settles_now: bool,
}

/// What is done with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The key.
    pub key: String,
    /// `authorize`, `capture`, `void` or `refund`.
    pub kind: String,
    /// How much.
    pub amount: i64,
    /// `succeeded`, `pending` or `failed`.
    pub outcome: String,
    /// Why it failed.
    pub failure_code: Option<String>,
}

/// Opens a payment, or finds the one that was opened with this key.
///
/// # Errors
/// What the database answers. The outer `None`: the key was used for another amount.
pub async fn open(
    connection: &mut MySqlConnection,
    reference: &str,
    key: &str,
    order_number: &str,
    (currency, amount): (&str, i64),
) -> Result<Option<String>, sqlx::Error> {
    let found: Option<(String, String, i64)> = sqlx::query_as(SELECT_OPENED)
        .bind(key)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some((reference, known_currency, known_amount)) = found {
        return Ok((known_currency == currency && known_amount == amount).then_some(reference));
    }
    sqlx::query(INSERT)
        .bind(reference)
        .bind(key)
        .bind(order_number)
        .bind(currency)
        .bind(amount)
        .execute(connection)
        .await?;
    Ok(Some(reference.to_owned()))
}

/// Reads a payment and keeps others from changing it until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn lock(
    connection: &mut MySqlConnection,
    reference: &str,
) -> Result<Option<TestPayment>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(LOCK)
        .bind(reference)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(
        |(
            reference,
            order_number,
            currency,
            amount,
            state,
            authorized,
            captured,
            refunded,
            card,
            failure_code,
            locale,
            return_url,
            settles_now,
        )| TestPayment {
            reference,
            order_number,
            currency,
            amount,
            state: State::from_name(&state),
            authorized,
            captured,
            refunded,
            card: card.as_deref().and_then(Card::from_name),
            failure_code,
            locale,
            return_url,
            settles_now: settles_now == 1,
        },
    ))
}

/// Writes state and sums of a payment; `settles_in` says when what is being worked on is ready.
///
/// # Errors
/// What the database answers.
pub async fn update(
    connection: &mut MySqlConnection,
    payment: &TestPayment,
    settles_in: Option<Duration>,
) -> Result<(), sqlx::Error> {
    sqlx::query(UPDATE)
        .bind(payment.state.name())
        .bind(payment.authorized)
        .bind(payment.captured)
        .bind(payment.refunded)
        .bind(&payment.failure_code)
        .bind(settles_in.map(microseconds))
        .bind(&payment.reference)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes with what a payment is paid.
///
/// # Errors
/// What the database answers.
pub async fn confirmed(
    connection: &mut MySqlConnection,
    reference: &str,
    card: &Card,
    locale: &str,
    return_url: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(UPDATE_CONFIRMED)
        .bind(card.name)
        .bind(locale)
        .bind(return_url)
        .bind(reference)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes an effect.
///
/// # Errors
/// What the database answers.
pub async fn insert_effect(
    connection: &mut MySqlConnection,
    reference: &str,
    effect: &Effect,
    settles_in: Option<Duration>,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT_EFFECT)
        .bind(&effect.key)
        .bind(reference)
        .bind(&effect.kind)
        .bind(effect.amount)
        .bind(&effect.outcome)
        .bind(&effect.failure_code)
        .bind(settles_in.map(microseconds))
        .execute(connection)
        .await?;
    Ok(())
}

/// What was done with a key before, counted once more: its outcome and why it failed.
///
/// # Errors
/// What the database answers.
pub async fn asked_before(
    connection: &mut MySqlConnection,
    key: &str,
) -> Result<Option<(String, Option<String>)>, sqlx::Error> {
    let found = sqlx::query_as(SELECT_EFFECT)
        .bind(key)
        .fetch_optional(&mut *connection)
        .await?;
    if found.is_some() {
        sqlx::query(ASKED_AGAIN)
            .bind(key)
            .execute(connection)
            .await?;
    }
    Ok(found)
}

/// Captures and refunds of a payment.
///
/// # Errors
/// What the database answers.
pub async fn effects(
    connection: &mut MySqlConnection,
    reference: &str,
) -> Result<Vec<Effect>, sqlx::Error> {
    let rows: Vec<(String, String, i64, String, Option<String>)> = sqlx::query_as(SELECT_EFFECTS)
        .bind(reference)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(key, kind, amount, outcome, failure_code)| Effect {
            key,
            kind,
            amount,
            outcome,
            failure_code,
        })
        .collect())
}

/// Ends the effects of a payment that were being worked on and are ready. Answers whether there were any.
///
/// # Errors
/// What the database answers.
pub async fn settle_effects(
    connection: &mut MySqlConnection,
    reference: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(SETTLE_EFFECTS)
        .bind(reference)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Payments of which something is ready.
///
/// # Errors
/// What the database answers.
pub async fn due(connection: &mut MySqlConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut references: Vec<String> = sqlx::query_scalar(SELECT_DUE)
        .fetch_all(&mut *connection)
        .await?;
    references.extend(
        sqlx::query_scalar::<_, String>(SELECT_DUE_EFFECTS)
            .fetch_all(connection)
            .await?,
    );
    Ok(references)
}

/// Puts a message into the queue, so often.
///
/// # Errors
/// What the database answers.
pub async fn announce(
    connection: &mut MySqlConnection,
    event_id: &str,
    reference: &str,
    times: usize,
) -> Result<(), sqlx::Error> {
    for _ in 0..times {
        sqlx::query(INSERT_MESSAGE)
            .bind(event_id)
            .bind(reference)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Messages to be sent: the row, the event's id, the payment.
///
/// # Errors
/// What the database answers.
pub async fn messages(
    connection: &mut MySqlConnection,
) -> Result<Vec<(i64, String, String)>, sqlx::Error> {
    sqlx::query_as(SELECT_MESSAGES).fetch_all(connection).await
}

/// Notes that a message was sent.
///
/// # Errors
/// What the database answers.
pub async fn sent(connection: &mut MySqlConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(SENT).bind(id).execute(connection).await?;
    Ok(())
}
