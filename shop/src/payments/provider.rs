//! What a payment provider can be asked, whoever it is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use time::OffsetDateTime;

use super::model::{MethodInput, Outcome, Report};
use crate::catalog::model::Money;

/// A question under way.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The provider said no: nothing was moved, and the same would be refused again.
    Refused {
        /// Why.
        code: String,
    },
    /// The question did not reach the provider, or it said that it did nothing and wants to be asked later.
    NotAsked(Cause),
    /// The question may have reached the provider, and what it did is not known.
    Unknown(Cause),
}

/// The cause of a failure, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Failure {
    /// A refusal with a code.
    pub fn refused(code: impl Into<String>) -> Self {
        Self::Refused { code: code.into() }
    }

    /// What is kept of it for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Refused { code } => code.clone(),
            Self::NotAsked(cause) | Self::Unknown(cause) => {
                crate::web::error::chain(cause.as_ref())
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refused { .. } => "the payment provider refused",
            Self::NotAsked(_) => "the payment provider could not be asked",
            Self::Unknown(_) => "the payment provider's answer is not known",
        })
    }
}

impl std::error::Error for Failure {}

/// What is needed to open a payment at a provider. The same each time it is asked, so that asking again opens nothing new.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The payment's public id.
    pub key: String,
    /// How much is to be paid.
    pub amount: Money,
    /// The order's number, for whoever looks at the provider's own pages.
    pub order_number: String,
}

/// What is needed to have an open payment paid.
#[derive(Debug, Clone)]
pub struct Confirming {
    /// The provider's name of the payment.
    pub reference: String,
    /// The idempotency key.
    pub key: String,
    /// What the shopper pays with.
    pub method: MethodInput,
    /// Where the provider sends the shopper after a second step.
    pub return_url: String,
    /// The language of the order, as a BCP 47 tag.
    pub locale: String,
}

/// What is needed to move money of a payment.
#[derive(Debug, Clone)]
pub struct Moving {
    /// The provider's name of the payment.
    pub reference: String,
    /// The idempotency key.
    pub key: String,
    /// How much.
    pub amount: Money,
    /// Whether this capture is the last one: the provider lets go of the rest.
    pub last: bool,
}

/// A message of a provider whose sender is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same each time the message is sent.
    pub event_id: String,
}

/// A message that is not the provider's, or cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Forged {
    /// The signature is missing.
    #[error("the message is not signed")]
    Unsigned,
    /// The signature fits no secret.
    #[error("the signature does not fit the body")]
    Wrong,
    /// The signature is too old, or from the future.
    #[error("the signature is older than five minutes, or the clocks differ")]
    Stale,
    /// The body is not a message.
    #[error("the body is not a message of this provider")]
    Unreadable,
    /// The secret that signatures are checked with cannot be read.
    #[error("the secret for messages of this provider is not set")]
    NoSecret,
}

/// A payment provider. Everything that moves money takes a key, and asking with the same key again moves nothing again.
pub trait Provider: Send + Sync + fmt::Debug {
    /// The name in the database, in addresses and in settings.
    fn name(&self) -> &'static str;

    /// Opens a payment and answers the provider's name of it. Holds no money yet.
    fn open<'a>(&'a self, opening: &'a Opening) -> Asking<'a, String>;

    /// Has an open payment paid. A refusal of the shopper's card is a report, not a failure.
    fn confirm<'a>(&'a self, confirming: &'a Confirming) -> Asking<'a, Report>;

    /// Says what became of a payment.
    fn report<'a>(&'a self, reference: &'a str) -> Asking<'a, Report>;

    /// Takes money that is held.
    fn capture<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome>;

    /// Lets go of what is held and not taken; an open payment can be paid by nobody afterwards.
    fn void<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome>;

    /// Gives money back.
    fn refund<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome>;

    /// Checks who sent a message, over its bytes as they came.
    ///
    /// # Errors
    /// When it is not the provider's.
    fn verify(&self, signature: &str, body: &[u8], now: OffsetDateTime) -> Result<Notice, Forged>;

    /// The name of the header with the signature, in lower case.
    fn signature_header(&self) -> &'static str;

    /// The provider's name of the payment that a message is about; `None` when it is about something else.
    fn subject(&self, body: &[u8]) -> Option<String>;
}
