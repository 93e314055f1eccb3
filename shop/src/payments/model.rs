//! What a payment is, and what may become of it. Pure: no I/O, no clock.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::model::Currency;
use crate::orders::PaymentState as OrderPayment;

/// Where a payment stands in the database. Only [`PaymentState::Authorized`] and [`PaymentState::Captured`] mean that the
/// provider holds or has taken money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// The row is there; the provider has been asked nothing, or is being asked now.
    Started,
    /// The provider was asked and did not answer, or is still working on it: it will be asked what became of it.
    Unknown,
    /// The shopper must do something at the provider's page.
    ActionRequired,
    /// The provider holds the money for the shop.
    Authorized,
    /// Some or all of the money was taken.
    Captured,
    /// The provider refused, or was never asked: no money is held.
    Failed,
    /// What was held was let go.
    Voided,
}

impl PaymentState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Started,
        Self::Unknown,
        Self::ActionRequired,
        Self::Authorized,
        Self::Captured,
        Self::Failed,
        Self::Voided,
    ];

    /// The word in the database and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Unknown => "unknown",
            Self::ActionRequired => "action_required",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::Voided => "voided",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it may still become a success: nobody may start another attempt for the same money.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Started | Self::Unknown | Self::ActionRequired)
    }
}

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Hold money of the shopper.
    Authorize,
    /// Take money that is held.
    Capture,
    /// Let go of what is held and not taken.
    Void,
    /// Give money back that was taken.
    Refund,
}

impl OperationKind {
    const ALL: [Self; 4] = [Self::Authorize, Self::Capture, Self::Void, Self::Refund];

    /// The word in the database and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// It is recorded and will be asked, or is being asked.
    Started,
    /// The provider did it.
    Succeeded,
    /// The provider refused: nothing was moved.
    Failed,
    /// It was asked and the answer is not known, or the provider is working on it.
    Unknown,
}

impl OperationState {
    const ALL: [Self; 4] = [Self::Started, Self::Succeeded, Self::Failed, Self::Unknown];

    /// The word in the database and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it is still to be found out.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Started | Self::Unknown)
    }
}

/// What the shopper does next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAction {
    /// The provider's page. It sends the shopper back to the return URL.
    pub url: String,
}

/// What stands of a payment, for the checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The money is held.
    Authorized,
    /// Some or all of it was taken.
    Captured,
    /// The shopper must go to the provider's page.
    ActionRequired(NextAction),
    /// Not known yet. It is found out without anybody's doing.
    Pending,
    /// No money is held.
    Failed {
        /// Why, as the provider has it: `insufficient_funds`.
        code: String,
        /// Whether another attempt may succeed.
        may_retry: bool,
    },
    /// What was held was let go.
    Voided,
}

/// What a shopper pays with, in the provider's own terms: the id of a payment method that the provider's script made, or the number
/// of a test card. It is never stored and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct MethodInput {
    /// The provider's text, at most 255 characters.
    pub token: String,
}

impl MethodInput {
    /// Most characters of a token.
    pub const LONGEST: usize = 255;
}

impl fmt::Debug for MethodInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MethodInput(…)")
    }
}

/// What may be shown and kept of what was paid with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// The brand of the card, in lower case: `visa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// The last four digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last4: Option<String>,
    /// The country of the card's issuer (ISO 3166-1 alpha-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Whether the provider takes this authorisation in several captures; else the first capture releases the rest.
    #[serde(default)]
    pub several_captures: bool,
}

/// A payment as it is kept. Amounts are in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its number.
    pub id: i64,
    /// The name by which the provider and clients know it; the provider's idempotency key of the authorisation.
    pub public_id: String,
    /// The order that it pays.
    pub order_id: i64,
    /// The provider's name.
    pub provider: String,
    /// The provider's own name of it, once it has one.
    pub reference: Option<String>,
    /// Where it stands.
    pub state: PaymentState,
    /// What all amounts are in.
    pub currency: Currency,
    /// How much is to be paid.
    pub amount: i64,
    /// How much the provider holds for the shop, what was captured included.
    pub authorized: i64,
    /// How much was captured or is being captured.
    pub captured: i64,
    /// How much was refunded or is being refunded.
    pub refunded: i64,
    /// What the shopper does next, while the state is [`PaymentState::ActionRequired`].
    pub next_action: Option<NextAction>,
    /// What was paid with.
    pub method: Option<Method>,
    /// The same for each use of one card, and of no other, as the provider has it.
    pub fingerprint: Option<String>,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// How often the provider was asked what became of it.
    pub checks: i32,
    /// Counts changes.
    pub version: i64,
}

impl Payment {
    /// What stands, for the checkout.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.state, &self.next_action) {
            (PaymentState::ActionRequired, Some(action)) => {
                Standing::ActionRequired(action.clone())
            }
            (PaymentState::Started | PaymentState::Unknown | PaymentState::ActionRequired, _) => {
                Standing::Pending
            }
            (PaymentState::Authorized, _) => Standing::Authorized,
            (PaymentState::Captured, _) => Standing::Captured,
            (PaymentState::Voided, _) => Standing::Voided,
            (PaymentState::Failed, _) => {
                let code = self.failure_code.clone().unwrap_or_default();
                Standing::Failed {
                    may_retry: may_retry(&code),
                    code,
                }
            }
        }
    }

    /// What may still be captured.
    #[must_use]
    pub const fn capturable(&self) -> i64 {
        match self.state {
            PaymentState::Authorized | PaymentState::Captured => self.authorized - self.captured,
            PaymentState::Started
            | PaymentState::Unknown
            | PaymentState::ActionRequired
            | PaymentState::Failed
            | PaymentState::Voided => 0,
        }
    }

    /// Whether the provider lets the rest go with the first capture.
    #[must_use]
    pub fn one_capture_only(&self) -> bool {
        !self
            .method
            .as_ref()
            .is_some_and(|method| method.several_captures)
    }
}

/// An operation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number.
    pub id: i64,
    /// The provider's idempotency key of it.
    pub public_id: String,
    /// The payment that it is about.
    pub payment_id: i64,
    /// What is asked.
    pub kind: OperationKind,
    /// How far it is.
    pub state: OperationState,
    /// How much, in minor units of the payment's currency.
    pub amount: i64,
    /// Whether this capture lets go of what it does not take.
    pub is_last: bool,
    /// The provider's own name of it.
    pub reference: Option<String>,
    /// The return that it refunds.
    pub return_id: Option<i64>,
    /// Why it was asked for.
    pub reason: String,
    /// Who asked for it.
    pub actor: String,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// How often it was asked.
    pub checks: i32,
    /// How long ago it was recorded.
    pub age: std::time::Duration,
}

/// Codes of refusals after which the same shopper had better not try again: the card is reported or the attempt looks like fraud.
const FINAL_CODES: [&str; 8] = [
    "fraudulent",
    "lost_card",
    "stolen_card",
    "pickup_card",
    "restricted_card",
    "merchant_blacklist",
    "security_violation",
    "provider_misconfigured",
];

/// The code of a payment that was let go before anything was held.
pub const VOIDED: &str = "voided";

/// Whether another attempt may succeed after a refusal with this code.
#[must_use]
pub fn may_retry(code: &str) -> bool {
    !FINAL_CODES.contains(&code)
}

/// What a provider says of a payment. The whole of it each time, so that reports may come late, twice or out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The provider's name of the payment.
    pub reference: String,
    /// Where it stands.
    pub status: Status,
    /// How much is held or was held and taken, in minor units.
    pub authorized: i64,
    /// How much was taken.
    pub captured: i64,
    /// What was paid with.
    pub method: Option<Method>,
    /// The card, the same for each of its uses.
    pub fingerprint: Option<String>,
    /// Captures and refunds that the provider knows: those that we asked for by their key, others by its own name.
    pub operations: Vec<KnownOperation>,
}

/// Where a payment stands at its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is open there, and nobody has tried to pay it.
    Waiting,
    /// The shopper must go to the provider's page.
    ActionRequired(NextAction),
    /// The provider is working on it.
    Processing,
    /// The money is held.
    Authorized,
    /// Some or all of it was taken.
    Captured,
    /// It was refused.
    Failed {
        /// Why.
        code: String,
    },
    /// What was held was let go.
    Voided,
}

/// A capture or a refund as a provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOperation {
    /// The key with which we asked for it; `None` when somebody did it at the provider.
    pub key: Option<String>,
    /// What it is.
    pub kind: OperationKind,
    /// How much.
    pub amount: i64,
    /// What became of it.
    pub outcome: Outcome,
    /// The provider's name of it.
    pub reference: Option<String>,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Succeeded {
        /// The provider's name of it.
        reference: Option<String>,
    },
    /// The provider has taken it on and will tell.
    Pending {
        /// The provider's name of it.
        reference: Option<String>,
    },
    /// It was refused.
    Failed {
        /// Why.
        code: String,
    },
}

/// What a report changes of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The state that follows.
    pub state: PaymentState,
    /// How much is held or was held and taken.
    pub authorized: i64,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// What the shopper does next.
    pub next_action: Option<NextAction>,
}

impl Payment {
    /// What a report makes of the payment.
    ///
    /// The provider is believed, with two exceptions. A payment that has failed here stays failed unless money is held or taken
    /// (then it comes back to life, so that somebody lets the money go); and an open payment that nobody has tried to pay stays
    /// what it is, because who is asking may be about to.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Judged {
        let (state, failure_code, next_action) = match &report.status {
            Status::Waiting => (self.state, self.failure_code.clone(), None),
            Status::ActionRequired(action) if self.state.is_open() => {
                (PaymentState::ActionRequired, None, Some(action.clone()))
            }
            Status::Processing if self.state.is_open() => (PaymentState::Unknown, None, None),
            Status::ActionRequired(_) | Status::Processing => {
                (self.state, self.failure_code.clone(), None)
            }
            Status::Authorized => match self.state {
                // A report from before a capture or a void that has been answered since.
                PaymentState::Captured | PaymentState::Voided => (self.state, None, None),
                _ => (PaymentState::Authorized, None, None),
            },
            Status::Captured => (PaymentState::Captured, None, None),
            Status::Failed { code } => match self.state {
                PaymentState::Authorized | PaymentState::Captured | PaymentState::Voided => {
                    (self.state, self.failure_code.clone(), None)
                }
                _ => (PaymentState::Failed, Some(code.clone()), None),
            },
            Status::Voided => match self.state {
                PaymentState::Captured => (PaymentState::Captured, None, None),
                PaymentState::Failed => (PaymentState::Failed, self.failure_code.clone(), None),
                PaymentState::Authorized | PaymentState::Voided => {
                    (PaymentState::Voided, None, None)
                }
                // As far as the shop knows, nothing was ever held.
                _ => (PaymentState::Failed, Some(VOIDED.to_owned()), None),
            },
        };
        let authorized = match (state, self.state) {
            // After a capture, what is held only gets less: a report of more is an older one.
            (PaymentState::Captured, PaymentState::Captured) => report
                .authorized
                .clamp(self.captured, self.authorized.max(self.captured)),
            (PaymentState::Authorized | PaymentState::Captured, _) => report
                .authorized
                .clamp(self.captured, self.amount.max(self.captured)),
            _ => self.captured,
        };
        Judged {
            state,
            authorized,
            failure_code,
            next_action,
        }
    }
}

/// The sums of an order's payments, of what is certain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Held and not taken.
    pub held: i64,
    /// Taken.
    pub captured: i64,
    /// Given back.
    pub refunded: i64,
    /// Whether something was held once and let go.
    pub voided: bool,
}

/// The payment state of an order.
#[must_use]
pub const fn order_payment_state(sums: Sums) -> OrderPayment {
    if sums.captured > 0 {
        // What is held can still be captured for pieces that leave.
        if sums.refunded >= sums.captured && sums.held == 0 {
            OrderPayment::Refunded
        } else if sums.refunded > 0 {
            OrderPayment::PartiallyRefunded
        } else if sums.held > 0 {
            OrderPayment::PartiallyCaptured
        } else {
            OrderPayment::Paid
        }
    } else if sums.held > 0 {
        OrderPayment::Authorized
    } else if sums.voided {
        OrderPayment::Voided
    } else {
        OrderPayment::Unpaid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(state: PaymentState) -> Payment {
        Payment {
            id: 1,
            public_id: "p".into(),
            order_id: 1,
            provider: "test".into(),
            reference: Some("r".into()),
            state,
            currency: "EUR".parse().unwrap(),
            amount: 1000,
            authorized: 0,
            captured: 0,
            refunded: 0,
            next_action: None,
            method: None,
            fingerprint: None,
            failure_code: None,
            checks: 0,
            version: 1,
        }
    }

    fn report(status: Status) -> Report {
        Report {
            reference: "r".into(),
            status,
            authorized: 1000,
            captured: 0,
            method: None,
            fingerprint: None,
            operations: Vec::new(),
        }
    }

    #[test]
    fn a_report_decides_what_was_open() {
        let action = NextAction {
            url: "https://bank.example".into(),
        };
        let table = [
            (Status::Waiting, PaymentState::Started),
            (Status::Processing, PaymentState::Unknown),
            (Status::ActionRequired(action), PaymentState::ActionRequired),
            (Status::Authorized, PaymentState::Authorized),
            (Status::Captured, PaymentState::Captured),
            (
                Status::Failed {
                    code: "card_declined".into(),
                },
                PaymentState::Failed,
            ),
            (Status::Voided, PaymentState::Failed),
        ];
        for (status, state) in table {
            let judged = payment(PaymentState::Started).judge(&report(status.clone()));
            assert_eq!(judged.state, state, "{status:?}");
        }
    }

    #[test]
    fn late_reports_of_less_do_not_undo_what_is_known() {
        let declined = Status::Failed {
            code: "card_declined".into(),
        };
        for state in [PaymentState::Authorized, PaymentState::Captured] {
            let known = payment(state);
            assert_eq!(known.judge(&report(declined.clone())).state, state);
            assert_eq!(known.judge(&report(Status::Processing)).state, state);
        }
        let captured = Payment {
            authorized: 1000,
            captured: 400,
            ..payment(PaymentState::Captured)
        };
        let late = captured.judge(&report(Status::Authorized));
        assert_eq!(
            (late.state, late.authorized),
            (PaymentState::Captured, 1000)
        );
        let released = Report {
            authorized: 400,
            captured: 400,
            ..report(Status::Captured)
        };
        assert_eq!(captured.judge(&released).authorized, 400);
    }

    #[test]
    fn what_was_let_go_stays_let_go() {
        let held = payment(PaymentState::Authorized);
        assert_eq!(
            held.judge(&report(Status::Voided)).state,
            PaymentState::Voided
        );
        let voided = payment(PaymentState::Voided);
        let late = voided.judge(&report(Status::Authorized));
        assert_eq!((late.state, late.authorized), (PaymentState::Voided, 0));
        let last = Payment {
            authorized: 400,
            captured: 400,
            ..payment(PaymentState::Captured)
        };
        assert_eq!(last.judge(&report(Status::Authorized)).authorized, 400);
    }

    #[test]
    fn money_that_is_held_brings_a_failed_payment_back() {
        let failed = payment(PaymentState::Failed);
        assert_eq!(
            failed.judge(&report(Status::Authorized)).state,
            PaymentState::Authorized
        );
        assert_eq!(
            failed.judge(&report(Status::Voided)).state,
            PaymentState::Failed
        );
    }

    #[test]
    fn the_state_of_an_order_follows_from_sums() {
        let sums = |held, captured, refunded, voided| Sums {
            held,
            captured,
            refunded,
            voided,
        };
        let table = [
            (sums(0, 0, 0, false), OrderPayment::Unpaid),
            (sums(10, 0, 0, false), OrderPayment::Authorized),
            (sums(0, 0, 0, true), OrderPayment::Voided),
            (sums(6, 4, 0, false), OrderPayment::PartiallyCaptured),
            (sums(0, 10, 0, false), OrderPayment::Paid),
            (sums(0, 4, 0, true), OrderPayment::Paid),
            (sums(0, 10, 3, false), OrderPayment::PartiallyRefunded),
            (sums(0, 10, 10, false), OrderPayment::Refunded),
            (sums(6, 4, 4, false), OrderPayment::PartiallyRefunded),
        ];
        for (sums, state) in table {
            assert_eq!(order_payment_state(sums), state, "{sums:?}");
        }
    }

    #[test]
    fn what_is_paid_with_is_not_shown() {
        let input = MethodInput {
            token: "4242424242424242".into(),
        };
        assert!(!format!("{input:?}").contains("4242"));
    }
}
