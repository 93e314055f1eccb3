//! Stripe's objects as far as the shop reads them, and what they mean. Pure.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::amount::from_stripe;
use crate::catalog::model::Currency;
use crate::payments::model::{
    KnownOperation, Method, NextAction, OperationKind, Outcome, Report, Status,
};

/// Before the key of a capture in the metadata of its intent: Stripe has no list of captures.
pub const CAPTURE_PREFIX: &str = "capture_";
/// The key of a refund in its metadata.
pub const REFUND_KEY: &str = "operation";

/// A PaymentIntent.
#[derive(Debug, Clone, Deserialize)]
pub struct Intent {
    /// `pi_…`
    pub id: String,
    /// In Stripe's unit.
    pub amount: i64,
    /// Taken.
    #[serde(default)]
    pub amount_received: i64,
    /// Held and not taken.
    #[serde(default)]
    pub amount_capturable: i64,
    /// In lower case.
    pub currency: String,
    /// Where it stands.
    pub status: String,
    /// What the shopper does next.
    #[serde(default)]
    pub next_action: Option<NextStep>,
    /// Why the last attempt was refused.
    #[serde(default)]
    pub last_payment_error: Option<StripeError>,
    /// The charge of the last attempt, expanded.
    #[serde(default)]
    pub latest_charge: Option<Expandable>,
    /// Ours.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// An object, or only its id.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Expandable {
    /// The object.
    Charge(Box<Charge>),
    /// Its id.
    Id(String),
}

/// A charge.
#[derive(Debug, Clone, Deserialize)]
pub struct Charge {
    /// What was paid with.
    #[serde(default)]
    pub payment_method_details: Option<MethodDetails>,
}

/// What was paid with.
#[derive(Debug, Clone, Deserialize)]
pub struct MethodDetails {
    /// A card.
    #[serde(default)]
    pub card: Option<CardDetails>,
}

/// A card.
#[derive(Debug, Clone, Deserialize)]
pub struct CardDetails {
    #[serde(default)]
    brand: Option<String>,
    #[serde(default)]
    last4: Option<String>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    multicapture: Option<Multicapture>,
}

#[derive(Debug, Clone, Deserialize)]
struct Multicapture {
    status: String,
}

/// What the shopper does next.
#[derive(Debug, Clone, Deserialize)]
pub struct NextStep {
    #[serde(default)]
    redirect_to_url: Option<Redirect>,
}

#[derive(Debug, Clone, Deserialize)]
struct Redirect {
    url: String,
}

/// An error of a request or of a payment.
#[derive(Debug, Clone, Deserialize)]
pub struct StripeError {
    /// `card_error`, `invalid_request_error`, `idempotency_error`, `api_error`.
    #[serde(default)]
    pub r#type: String,
    /// A word for programs.
    #[serde(default)]
    pub code: Option<String>,
    /// The reason that the issuer of a card gave.
    #[serde(default)]
    pub decline_code: Option<String>,
    /// A sentence for developers.
    #[serde(default)]
    pub message: Option<String>,
}

impl StripeError {
    /// The most exact code there is, as it fits its column.
    #[must_use]
    pub fn most_exact(&self) -> String {
        let code = self
            .decline_code
            .as_deref()
            .or(self.code.as_deref())
            .unwrap_or("card_declined");
        code.chars()
            .filter(char::is_ascii_graphic)
            .take(64)
            .collect()
    }
}

/// The body of a failed request.
#[derive(Debug, Clone, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: StripeError,
}

/// A refund.
#[derive(Debug, Clone, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// In Stripe's unit.
    pub amount: i64,
    /// `succeeded`, `pending`, `requires_action`, `failed`, `canceled`.
    #[serde(default)]
    pub status: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub failure_reason: Option<String>,
    /// Ours.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl Refund {
    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let reference = Some(self.id.clone());
        match self.status.as_deref() {
            Some("pending" | "requires_action") => Outcome::Pending { reference },
            Some("failed") => Outcome::Failed {
                code: self
                    .failure_reason
                    .clone()
                    .unwrap_or_else(|| "refund_failed".to_owned()),
            },
            Some("canceled") => Outcome::Failed {
                code: "canceled".to_owned(),
            },
            _ => Outcome::Succeeded { reference },
        }
    }
}

/// A list of refunds.
#[derive(Debug, Clone, Deserialize)]
pub struct Refunds {
    /// The refunds, the latest first.
    pub data: Vec<Refund>,
}

impl Intent {
    /// The whole of what Stripe knows, in the shop's words.
    #[must_use]
    pub fn report(&self, currency: Currency, refunds: &[Refund]) -> Report {
        let card = match &self.latest_charge {
            Some(Expandable::Charge(charge)) => charge
                .payment_method_details
                .as_ref()
                .and_then(|details| details.card.as_ref()),
            _ => None,
        };
        let units = |amount| from_stripe(amount, currency);
        let captures = self.metadata.iter().filter_map(|(name, value)| {
            Some(KnownOperation {
                key: Some(name.strip_prefix(CAPTURE_PREFIX)?.to_owned()),
                kind: OperationKind::Capture,
                amount: units(value.parse().ok()?),
                outcome: Outcome::Succeeded { reference: None },
                reference: None,
            })
        });
        let refunds = refunds.iter().map(|refund| KnownOperation {
            key: refund.metadata.get(REFUND_KEY).cloned(),
            kind: OperationKind::Refund,
            amount: units(refund.amount),
            outcome: refund.outcome(),
            reference: Some(refund.id.clone()),
        });
        Report {
            reference: self.id.clone(),
            status: self.standing(),
            authorized: units(match self.status.as_str() {
                "requires_capture" => self.amount_capturable + self.amount_received,
                _ => self.amount_received,
            }),
            captured: units(self.amount_received),
            method: card.map(|card| Method {
                brand: card.brand.clone(),
                last4: card.last4.clone(),
                country: card.country.clone(),
                several_captures: card
                    .multicapture
                    .as_ref()
                    .is_some_and(|multicapture| multicapture.status == "available"),
            }),
            fingerprint: card.and_then(|card| card.fingerprint.clone()),
            operations: captures.chain(refunds).collect(),
        }
    }

    fn standing(&self) -> Status {
        let taken = self.amount_received > 0;
        match self.status.as_str() {
            "requires_capture" if !taken => Status::Authorized,
            "requires_capture" | "succeeded" => Status::Captured,
            "canceled" if taken => Status::Captured,
            "canceled" => Status::Voided,
            "requires_action" => match &self.next_action {
                Some(NextStep {
                    redirect_to_url: Some(redirect),
                }) => Status::ActionRequired(NextAction {
                    url: redirect.url.clone(),
                }),
                // A step that only Stripe's own script could take; it does not come up with a return URL and card payments.
                _ => Status::Processing,
            },
            "requires_payment_method" => match &self.last_payment_error {
                Some(error) => Status::Failed {
                    code: error.most_exact(),
                },
                None => Status::Waiting,
            },
            "requires_confirmation" => Status::Waiting,
            _ => Status::Processing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[expect(
        clippy::needless_pass_by_value,
        reason = "written as a literal by its callers"
    )]
    fn intent(changes: Value) -> Intent {
        let mut body = json!({
            "id": "pi_1", "object": "payment_intent", "amount": 1000, "amount_capturable": 0, "amount_received": 0,
            "currency": "eur", "status": "requires_payment_method", "metadata": {}
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        serde_json::from_value(body).unwrap()
    }

    fn status(changes: Value) -> Status {
        intent(changes).report("EUR".parse().unwrap(), &[]).status
    }

    #[test]
    fn each_status_has_one_meaning() {
        assert_eq!(status(json!({})), Status::Waiting);
        assert_eq!(status(json!({"status": "processing"})), Status::Processing);
        assert_eq!(
            status(json!({"status": "requires_capture", "amount_capturable": 1000})),
            Status::Authorized
        );
        assert_eq!(
            status(
                json!({"status": "requires_capture", "amount_capturable": 600, "amount_received": 400})
            ),
            Status::Captured
        );
        assert_eq!(
            status(json!({"status": "succeeded", "amount_received": 1000})),
            Status::Captured
        );
        assert_eq!(status(json!({"status": "canceled"})), Status::Voided);
        assert_eq!(
            status(json!({"status": "canceled", "amount_received": 400})),
            Status::Captured
        );
        assert_eq!(
            status(
                json!({"last_payment_error": {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}})
            ),
            Status::Failed {
                code: "insufficient_funds".into()
            }
        );
        assert_eq!(
            status(
                json!({"status": "requires_action", "next_action": {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/1", "return_url": "https://shop.example"}}})
            ),
            Status::ActionRequired(NextAction {
                url: "https://bank.example/1".into()
            })
        );
    }

    #[test]
    fn what_is_held_counts_what_was_taken() {
        let held = intent(
            json!({"status": "requires_capture", "amount_capturable": 600, "amount_received": 400,
                "metadata": {"capture_op1": "400", "order": "X"}}),
        );
        let report = held.report("EUR".parse().unwrap(), &[]);
        assert_eq!((report.authorized, report.captured), (1000, 400));
        assert_eq!(report.operations.len(), 1);
        assert_eq!(report.operations[0].key.as_deref(), Some("op1"));
    }

    #[test]
    fn a_card_is_told_by_its_fingerprint() {
        let paid = intent(
            json!({"status": "requires_capture", "amount_capturable": 1000,
            "latest_charge": {"id": "ch_1", "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242",
                "country": "DE", "fingerprint": "F", "multicapture": {"status": "available"}}}}}),
        );
        let report = paid.report("EUR".parse().unwrap(), &[]);
        assert_eq!(report.fingerprint.as_deref(), Some("F"));
        let method = report.method.unwrap();
        assert_eq!(method.last4.as_deref(), Some("4242"));
        assert!(method.several_captures);
        let unexpanded = intent(json!({"latest_charge": "ch_1"}));
        assert_eq!(unexpanded.report("EUR".parse().unwrap(), &[]).method, None);
    }

    #[test]
    fn refunds_are_known_by_their_key() {
        let refunds: Refunds = serde_json::from_value(json!({"data": [
            {"id": "re_1", "amount": 100, "status": "succeeded", "metadata": {"operation": "op1"}},
            {"id": "re_2", "amount": 50, "status": "failed", "failure_reason": "lost_or_stolen_card"},
            {"id": "re_3", "amount": 20, "status": "pending"}
        ]}))
        .unwrap();
        let report = intent(json!({})).report("EUR".parse().unwrap(), &refunds.data);
        let keys: Vec<Option<&str>> = report
            .operations
            .iter()
            .map(|operation| operation.key.as_deref())
            .collect();
        assert_eq!(keys, [Some("op1"), None, None]);
        assert!(matches!(
            &report.operations[1].outcome,
            Outcome::Failed { code } if code == "lost_or_stolen_card"
        ));
        assert!(matches!(
            report.operations[2].outcome,
            Outcome::Pending { .. }
        ));
    }
}
