//! The built-in test provider: a payment provider as any other, except that it moves no money and knows only cards that no bank
//! has issued ([`cards`]).
//!
//! Its books are tables of its own, so that it survives the loss of the process that it runs in, and so that tests see what it
//! did: each idempotency key has one row in `test_payment_effect`, however often it was asked with.

pub mod cards;
pub mod store;

use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::model::{KnownOperation, Method, NextAction, OperationKind, Outcome, Report, Status};
use super::provider::{
    Asking, Cause, Confirming, Failure, Forged, Moving, Notice, Opening, Provider,
};
use super::signature;
use crate::db::{Db, DbError};
use crate::secret::Keys;
use crate::storefront::i18n::Locale;
use crate::web::private::id::PublicId;
use cards::{Behaviour, Card};
use store::{Effect, State, TestPayment};

/// The provider's name.
pub const NAME: &str = "test";
/// How long it works on a payment that it answers late.
const SETTLES_IN: Duration = Duration::from_secs(2);
/// What its signatures are for.
const PURPOSE: &str = "payment-test-message";

/// The provider.
#[derive(Debug, Clone)]
pub struct TestProvider {
    db: Db,
    keys: Keys,
    origin: String,
}

/// The provider took the question and does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the test provider keeps silent, as this card has it")]
struct Silent;

/// A message as it is sent.
#[derive(Debug, Deserialize)]
struct Message {
    id: PublicId,
    reference: PublicId,
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMessage {
    /// Its row.
    pub id: i64,
    /// The value of the signature's header.
    pub signature: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What the shopper says on the provider's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Pay.
    Approve,
    /// Do not pay.
    Decline,
}

impl TestProvider {
    /// The provider, for a shop at this origin (without a slash at its end).
    #[must_use]
    pub fn new(db: Db, keys: Keys, origin: impl Into<String>) -> Self {
        Self {
            db,
            keys,
            origin: origin.into(),
        }
    }

    /// A payment for the provider's page.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, reference: PublicId) -> Result<Option<TestPayment>, DbError> {
        self.db
            .transaction(move |connection| {
                Box::pin(async move { Ok(store::lock(connection, reference.as_str()).await?) })
            })
            .await
    }

    /// The shopper has decided. A payment that is decided already stays what it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn decide(
        &self,
        reference: PublicId,
        decision: Decision,
    ) -> Result<Option<TestPayment>, DbError> {
        self.db
            .transaction(move |connection| {
                Box::pin(async move {
                    let Some(mut payment) = store::lock(connection, reference.as_str()).await?
                    else {
                        return Ok(None);
                    };
                    if payment.state == State::ActionRequired {
                        match decision {
                            Decision::Approve => hold(&mut payment),
                            Decision::Decline => refuse(&mut payment, "authentication_failed"),
                        }
                        store::update(connection, &payment, None).await?;
                        announce(connection, &payment).await?;
                    }
                    Ok(Some(payment))
                })
            })
            .await
    }

    /// Ends what was being worked on and is ready.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn settle_due(&self) -> Result<(), DbError> {
        let mut primary = self.db.primary().await?;
        let due = store::due(&mut primary.connection).await?;
        drop(primary);
        for reference in due {
            self.db
                .transaction(move |connection| {
                    let reference = reference.clone();
                    Box::pin(async move {
                        if let Some(mut payment) = store::lock(connection, &reference).await? {
                            settle(connection, &mut payment).await?;
                        }
                        Ok::<_, DbError>(())
                    })
                })
                .await?;
        }
        Ok(())
    }

    /// Messages that are due, signed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due_messages(&self, now: OffsetDateTime) -> Result<Vec<DueMessage>, DbError> {
        let mut primary = self.db.primary().await?;
        let messages = store::messages(&mut primary.connection).await?;
        Ok(messages
            .into_iter()
            .map(|(id, event, reference)| {
                let body = serde_json::json!({ "id": event, "type": "payment.changed", "reference": reference })
                    .to_string()
                    .into_bytes();
                let timestamp = now.unix_timestamp();
                let signed = signature::signed_bytes(timestamp, &body);
                DueMessage {
                    id,
                    signature: format!("t={timestamp},v1={}", self.keys.sign(PURPOSE, &signed)),
                    body,
                }
            })
            .collect())
    }

    /// Notes that a message was taken.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn message_sent(&self, id: i64) -> Result<(), DbError> {
        let mut primary = self.db.primary().await?;
        Ok(store::sent(&mut primary.connection, id).await?)
    }

    fn page(&self, payment: &TestPayment) -> String {
        let locale = payment
            .locale
            .as_deref()
            .and_then(Locale::from_tag)
            .unwrap_or(Locale::En);
        format!(
            "{}/{}/pay/{}",
            self.origin,
            locale.segment(),
            payment.reference
        )
    }

    async fn move_money(&self, kind: OperationKind, moving: &Moving) -> Result<Outcome, Failure> {
        let input = std::sync::Arc::new(moving.clone());
        let (outcome, silent) = self
            .db
            .transaction(move |connection| {
                let input = std::sync::Arc::clone(&input);
                Box::pin(async move { effect(connection, kind, &input).await })
            })
            .await
            .map_err(away)?;
        if silent {
            return Err(Failure::Unknown(Box::new(Silent)));
        }
        match outcome {
            Outcome::Failed { code } => Err(Failure::Refused { code }),
            outcome => Ok(outcome),
        }
    }
}

/// The provider's books cannot be reached: as when a provider's own computer is away.
fn away(error: DbError) -> Failure {
    match error {
        DbError::CommitUnknown(_) | DbError::Deadline(_) | DbError::Aborted => {
            Failure::Unknown(Box::new(error) as Cause)
        }
        error => Failure::NotAsked(Box::new(error)),
    }
}

fn unknown_payment() -> Failure {
    Failure::refused("payment_unknown")
}

fn hold(payment: &mut TestPayment) {
    payment.state = State::Authorized;
    payment.authorized = payment.amount;
}

fn refuse(payment: &mut TestPayment, code: &str) {
    payment.state = State::Failed;
    payment.failure_code = Some(code.to_owned());
}

async fn announce(
    connection: &mut MySqlConnection,
    payment: &TestPayment,
) -> Result<(), sqlx::Error> {
    let times = match payment.card.map(|card| card.behaviour) {
        // Whoever keeps silent must be asked.
        Some(Behaviour::SilentSuccess | Behaviour::SilentDecline) => 0,
        Some(Behaviour::Twice) => 2,
        _ => 1,
    };
    store::announce(
        connection,
        PublicId::random().as_str(),
        &payment.reference,
        times,
    )
    .await
}

/// Ends what was being worked on, if it is ready.
async fn settle(
    connection: &mut MySqlConnection,
    payment: &mut TestPayment,
) -> Result<(), sqlx::Error> {
    let mut changed = store::settle_effects(connection, &payment.reference).await?;
    if payment.settles_now && payment.state == State::Processing {
        match payment.card.map(|card| card.behaviour) {
            Some(Behaviour::LateDecline) => refuse(payment, "card_declined"),
            _ => hold(payment),
        }
        store::update(connection, payment, None).await?;
        changed = true;
    }
    if changed {
        announce(connection, payment).await?;
    }
    Ok(())
}

/// Has a card pay. Answers whether the provider keeps silent about it.
async fn pay(
    connection: &mut MySqlConnection,
    payment: &mut TestPayment,
    confirming: &Confirming,
) -> Result<bool, sqlx::Error> {
    if store::asked_before(connection, &confirming.key)
        .await?
        .is_some()
        || payment.state != State::Waiting
    {
        return Ok(false);
    }
    let card = Card::from_number(&confirming.method.token);
    let mut settles_in = None;
    let mut silent = false;
    match card.map(|card| card.behaviour) {
        None => refuse(payment, "incorrect_number"),
        Some(Behaviour::Decline(code)) => refuse(payment, code),
        Some(Behaviour::SecondStep) => payment.state = State::ActionRequired,
        Some(Behaviour::SilentSuccess) => {
            hold(payment);
            silent = true;
        }
        Some(Behaviour::SilentDecline) => {
            refuse(payment, "card_declined");
            silent = true;
        }
        Some(Behaviour::LateSuccess | Behaviour::LateDecline) => {
            payment.state = State::Processing;
            settles_in = Some(SETTLES_IN);
        }
        Some(
            Behaviour::Approve
            | Behaviour::Twice
            | Behaviour::CaptureRefused
            | Behaviour::CaptureSilent
            | Behaviour::RefundRefused
            | Behaviour::RefundSilent
            | Behaviour::RefundLate
            | Behaviour::OneCapture,
        ) => hold(payment),
    }
    payment.card = card;
    if let Some(card) = card {
        store::confirmed(
            connection,
            &payment.reference,
            card,
            &confirming.locale,
            &confirming.return_url,
        )
        .await?;
        payment.locale = Some(confirming.locale.clone());
    }
    store::update(connection, payment, settles_in).await?;
    let effect = Effect {
        key: confirming.key.clone(),
        kind: OperationKind::Authorize.name().to_owned(),
        amount: payment.amount,
        outcome: match payment.state {
            State::Failed => "failed",
            State::Authorized => "succeeded",
            _ => "pending",
        }
        .to_owned(),
        failure_code: payment.failure_code.clone(),
    };
    store::insert_effect(connection, &payment.reference, &effect, None).await?;
    if matches!(payment.state, State::Authorized | State::Failed) {
        announce(connection, payment).await?;
    }
    Ok(silent)
}

/// Moves money of a payment. Answers what became of it, and whether the provider keeps silent about it.
async fn effect(
    connection: &mut MySqlConnection,
    kind: OperationKind,
    moving: &Moving,
) -> Result<(Outcome, bool), DbError> {
    let failed = |code: &str| Outcome::Failed {
        code: code.to_owned(),
    };
    let Some(mut payment) = store::lock(connection, &moving.reference).await? else {
        return Ok((failed("payment_unknown"), false));
    };
    if let Some((outcome, code)) = store::asked_before(connection, &moving.key).await? {
        return Ok((known_outcome(&moving.key, &outcome, code), false));
    }
    let behaviour = payment.card.map(|card| card.behaviour);
    let amount = moving.amount.minor;
    let outcome = match kind {
        OperationKind::Authorize => failed("unexpected_state"),
        OperationKind::Capture => {
            if behaviour == Some(Behaviour::CaptureRefused) {
                failed("capture_refused")
            } else if !matches!(payment.state, State::Authorized | State::Captured)
                || amount <= 0
                || amount > payment.authorized - payment.captured
            {
                failed("amount_too_large")
            } else {
                payment.state = State::Captured;
                payment.captured += amount;
                if moving.last || behaviour == Some(Behaviour::OneCapture) {
                    payment.authorized = payment.captured;
                }
                succeeded(&moving.key)
            }
        }
        OperationKind::Void => match payment.state {
            State::Captured if payment.authorized > payment.captured => {
                payment.authorized = payment.captured;
                succeeded(&moving.key)
            }
            State::Captured => failed("already_captured"),
            State::Voided => succeeded(&moving.key),
            State::Failed => failed("already_failed"),
            State::Waiting | State::ActionRequired | State::Processing | State::Authorized => {
                payment.state = State::Voided;
                payment.authorized = 0;
                succeeded(&moving.key)
            }
        },
        OperationKind::Refund => {
            if behaviour == Some(Behaviour::RefundRefused) {
                failed("refund_refused")
            } else if amount <= 0 || amount > payment.captured - payment.refunded {
                failed("amount_too_large")
            } else {
                payment.refunded += amount;
                if behaviour == Some(Behaviour::RefundLate) {
                    Outcome::Pending {
                        reference: Some(moving.key.clone()),
                    }
                } else {
                    succeeded(&moving.key)
                }
            }
        }
    };
    let (word, code, settles_in) = match &outcome {
        Outcome::Succeeded { .. } => ("succeeded", None, None),
        Outcome::Pending { .. } => ("pending", None, Some(SETTLES_IN)),
        Outcome::Failed { code } => ("failed", Some(code.clone()), None),
    };
    if code.is_none() {
        let settles = (payment.state == State::Processing).then_some(SETTLES_IN);
        store::update(connection, &payment, settles).await?;
    }
    let row = Effect {
        key: moving.key.clone(),
        kind: kind.name().to_owned(),
        amount,
        outcome: word.to_owned(),
        failure_code: code,
    };
    store::insert_effect(connection, &payment.reference, &row, settles_in).await?;
    let silent = matches!(
        (kind, behaviour),
        (OperationKind::Capture, Some(Behaviour::CaptureSilent))
            | (OperationKind::Refund, Some(Behaviour::RefundSilent))
    );
    if !silent {
        announce(connection, &payment).await?;
    }
    Ok((outcome, silent))
}

fn succeeded(key: &str) -> Outcome {
    Outcome::Succeeded {
        reference: Some(key.to_owned()),
    }
}

fn known_outcome(key: &str, outcome: &str, code: Option<String>) -> Outcome {
    match outcome {
        "succeeded" => succeeded(key),
        "pending" => Outcome::Pending {
            reference: Some(key.to_owned()),
        },
        _ => Outcome::Failed {
            code: code.unwrap_or_default(),
        },
    }
}

/// The same for each use of one card. A real provider's is as meaningless to others.
fn fingerprint(card: &Card) -> String {
    let digest = hex::encode(Sha256::digest(card.number.as_bytes()));
    digest.get(..32).unwrap_or_default().to_owned()
}

impl TestProvider {
    fn describe(&self, payment: &TestPayment, effects: Vec<Effect>) -> Report {
        let status = match payment.state {
            State::Waiting => Status::Waiting,
            State::ActionRequired => Status::ActionRequired(NextAction {
                url: self.page(payment),
            }),
            State::Processing => Status::Processing,
            State::Authorized => Status::Authorized,
            State::Captured => Status::Captured,
            State::Failed => Status::Failed {
                code: payment.failure_code.clone().unwrap_or_default(),
            },
            State::Voided => Status::Voided,
        };
        let operations = effects
            .into_iter()
            .filter_map(|effect| {
                Some(KnownOperation {
                    kind: OperationKind::from_name(&effect.kind)?,
                    amount: effect.amount,
                    outcome: known_outcome(&effect.key, &effect.outcome, effect.failure_code),
                    reference: Some(effect.key.clone()),
                    key: Some(effect.key),
                })
            })
            .collect();
        Report {
            reference: payment.reference.clone(),
            status,
            authorized: payment.authorized,
            captured: payment.captured,
            method: payment.card.map(|card| Method {
                brand: Some("test".to_owned()),
                last4: Some(card.last4().to_owned()),
                country: None,
                several_captures: card.behaviour != Behaviour::OneCapture,
            }),
            fingerprint: payment.card.map(fingerprint),
            operations,
        }
    }
}

impl Provider for TestProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn open<'a>(&'a self, opening: &'a Opening) -> Asking<'a, String> {
        Box::pin(async move {
            let input = std::sync::Arc::new((opening.clone(), PublicId::random()));
            let opened = self
                .db
                .transaction(move |connection| {
                    let input = std::sync::Arc::clone(&input);
                    Box::pin(async move {
                        let (opening, reference) = &*input;
                        let amount = (opening.amount.currency.as_str(), opening.amount.minor);
                        Ok::<_, DbError>(
                            store::open(
                                connection,
                                reference.as_str(),
                                &opening.key,
                                &opening.order_number,
                                amount,
                            )
                            .await?,
                        )
                    })
                })
                .await
                .map_err(away)?;
            opened.ok_or_else(|| Failure::refused("idempotency_key_reused"))
        })
    }

    fn confirm<'a>(&'a self, confirming: &'a Confirming) -> Asking<'a, Report> {
        Box::pin(async move {
            let input = std::sync::Arc::new(confirming.clone());
            let paid = self
                .db
                .transaction(move |connection| {
                    let input = std::sync::Arc::clone(&input);
                    Box::pin(async move {
                        let Some(mut payment) = store::lock(connection, &input.reference).await?
                        else {
                            return Ok(None);
                        };
                        let silent = pay(connection, &mut payment, &input).await?;
                        Ok::<_, DbError>(Some((payment, silent)))
                    })
                })
                .await
                .map_err(away)?;
            match paid {
                None => Err(unknown_payment()),
                Some((_, true)) => Err(Failure::Unknown(Box::new(Silent))),
                Some((payment, false)) => Ok(self.describe(&payment, Vec::new())),
            }
        })
    }

    fn report<'a>(&'a self, reference: &'a str) -> Asking<'a, Report> {
        Box::pin(async move {
            let reference = reference.to_owned();
            let found = self
                .db
                .transaction(move |connection| {
                    let reference = reference.clone();
                    Box::pin(async move {
                        let Some(mut payment) = store::lock(connection, &reference).await? else {
                            return Ok(None);
                        };
                        settle(connection, &mut payment).await?;
                        let effects = store::effects(connection, &reference).await?;
                        Ok::<_, DbError>(Some((payment, effects)))
                    })
                })
                .await
                .map_err(away)?;
            let (payment, effects) = found.ok_or_else(unknown_payment)?;
            Ok(self.describe(&payment, effects))
        })
    }

    fn capture<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome> {
        Box::pin(self.move_money(OperationKind::Capture, moving))
    }

    fn void<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome> {
        Box::pin(self.move_money(OperationKind::Void, moving))
    }

    fn refund<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome> {
        Box::pin(self.move_money(OperationKind::Refund, moving))
    }

    fn verify(&self, header: &str, body: &[u8], now: OffsetDateTime) -> Result<Notice, Forged> {
        let parts = signature::parse(header).ok_or(Forged::Unsigned)?;
        let signed = signature::signed_bytes(parts.timestamp, body);
        if !parts
            .signatures
            .iter()
            .any(|signature| self.keys.verify(PURPOSE, &signed, signature))
        {
            return Err(Forged::Wrong);
        }
        if !signature::is_fresh(parts.timestamp, now) {
            return Err(Forged::Stale);
        }
        let message: Message = serde_json::from_slice(body).map_err(|_| Forged::Unreadable)?;
        Ok(Notice {
            event_id: message.id.to_string(),
        })
    }

    fn signature_header(&self) -> &'static str {
        "panono-test-signature"
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        let message: Message = serde_json::from_slice(body).ok()?;
        Some(message.reference.to_string())
    }
}
