//! Stripe's PaymentIntents over HTTP (Stripe API reference, "PaymentIntents", "Refunds", "Idempotent requests", "Errors"; Stripe
//! documentation, "Verify webhook signatures").
//!
//! An intent is made without a payment method first and confirmed afterwards. So the shop knows its name before any money can be
//! held, and an answer that was lost is found out by reading the intent: the shopper's payment method is needed only once and never
//! kept. Intents are captured by hand, with several captures where the account and the card have them ("multicapture", up to 50);
//! where not, the first capture lets go of the rest.

mod amount;
pub mod intent;

use std::time::Duration;

use reqwest::{Client, Method as Verb, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use url::Url;

use super::model::{Outcome, Report};
use super::provider::{
    Asking, Cause, Confirming, Failure, Forged, Moving, Notice, Opening, Provider,
};
use super::signature;
use crate::catalog::model::{Currency, Money};
use crate::outbound::secret::Secret;
use crate::outbound::{ClientError, http_client};
use intent::{CAPTURE_PREFIX, ErrorBody, Intent, REFUND_KEY, Refund, Refunds, StripeError};

/// The provider's name.
pub const NAME: &str = "stripe";
/// The version of the API that this program is written for. Stripe answers in its form whatever the account's default is.
pub const API_VERSION: &str = "2025-09-30.clover";
/// Where the API is.
pub const API_URL: &str = "https://api.stripe.com";
/// How long Stripe may take for an answer: confirming a card asks its issuer.
const DEADLINE: Duration = Duration::from_secs(25);
/// Largest answer that is read, in bytes: an intent has some kilobytes.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// How to reach Stripe.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// `sk_…` or `rk_…`
    pub secret_key: Secret,
    /// `whsec_…`; several, separated by commas, while they are exchanged.
    pub webhook_secrets: Secret,
    /// `pk_…`, for the script on the checkout page.
    pub publishable_key: String,
    /// Where the API is.
    pub api: Url,
}

/// The provider.
#[derive(Debug, Clone)]
pub struct Stripe {
    client: Client,
    config: StripeConfig,
}

/// Something that is not Stripe's answer.
#[derive(Debug, thiserror::Error)]
enum Odd {
    #[error("Stripe answered {status}: {message}")]
    Status { status: u16, message: String },
    #[error("Stripe's answer is larger than {LARGEST_ANSWER} bytes")]
    TooLarge,
    #[error("Stripe's answer cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

type Form = Vec<(String, String)>;

impl Stripe {
    /// A client.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: StripeConfig) -> Result<Self, ClientError> {
        Ok(Self {
            client: http_client(DEADLINE)?,
            config,
        })
    }

    /// The key for the script on the checkout page.
    #[must_use]
    pub fn publishable_key(&self) -> &str {
        &self.config.publishable_key
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        verb: Verb,
        path: &[&str],
        form: &[(String, String)],
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let secret = self
            .config
            .secret_key
            .read()
            .map_err(|error| Failure::NotAsked(Box::new(error)))?;
        let mut url = self.config.api.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::refused("provider_misconfigured"))?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        let mut request = if verb == Verb::GET {
            url.query_pairs_mut().extend_pairs(form);
            self.client.get(url)
        } else {
            let body = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form)
                .finish();
            self.client
                .request(verb, url)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(body)
        };
        request = request
            .bearer_auth(secret)
            .header("Stripe-Version", API_VERSION);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let mut answer = request.send().await.map_err(unanswered)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unknown)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Failure::Unknown(Box::new(Odd::TooLarge)));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| Failure::Unknown(Box::new(Odd::from(error))));
        }
        Err(judge(status, &body))
    }

    async fn refunds(&self, reference: &str) -> Result<Vec<Refund>, Failure> {
        let query = [
            ("payment_intent".to_owned(), reference.to_owned()),
            ("limit".to_owned(), "100".to_owned()),
        ];
        let list: Refunds = self.ask(Verb::GET, &["refunds"], &query, None).await?;
        Ok(list.data)
    }
}

fn unanswered(error: reqwest::Error) -> Failure {
    // No connection, no request. Everything else may have arrived.
    if error.is_connect() || error.is_builder() {
        Failure::NotAsked(Box::new(error.without_url()))
    } else {
        unknown(error)
    }
}

fn unknown(error: reqwest::Error) -> Failure {
    Failure::Unknown(Box::new(error.without_url()))
}

/// What an answer that is not a success means (Stripe API reference, "Errors" and "Idempotent requests").
fn judge(status: StatusCode, body: &[u8]) -> Failure {
    let error = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
    let odd = |error: &Option<StripeError>| -> Cause {
        let message = error.as_ref().and_then(|error| {
            let code = error.code.as_deref().unwrap_or(&error.r#type);
            Some(format!("{code} {}", error.message.as_deref()?))
        });
        Box::new(Odd::Status {
            status: status.as_u16(),
            message: message
                .unwrap_or_default()
                .chars()
                .filter(|character| !character.is_control())
                .take(300)
                .collect(),
        })
    };
    let error = error.ok();
    match status.as_u16() {
        // Another request with this key is under way, or the object is locked by one: what comes of it is not known here.
        409 => Failure::Unknown(odd(&error)),
        // Refused before anything was done.
        429 => Failure::NotAsked(odd(&error)),
        401 | 403 => {
            tracing::error!(
                status = status.as_u16(),
                "Stripe does not accept PANONO_STRIPE_SECRET_KEY, or the key may not do this"
            );
            Failure::refused("provider_misconfigured")
        }
        400..=499 => match error {
            Some(error) => {
                if error.r#type != "card_error" {
                    tracing::warn!(
                        code = error.code,
                        message = error.message,
                        "Stripe refused a request"
                    );
                }
                Failure::Refused {
                    code: error.most_exact(),
                }
            }
            None => Failure::Unknown(odd(&None)),
        },
        _ => Failure::Unknown(odd(&error)),
    }
}

fn units(amount: Money) -> Result<String, Failure> {
    amount::to_stripe(amount)
        .map(|amount| amount.to_string())
        .map_err(|_| Failure::refused("amount_not_supported"))
}

fn currency(intent: &Intent) -> Result<Currency, Failure> {
    intent
        .currency
        .parse()
        .map_err(|error| Failure::Unknown(Box::new(error) as Cause))
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

impl Provider for Stripe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn open<'a>(&'a self, opening: &'a Opening) -> Asking<'a, String> {
        Box::pin(async move {
            let form: Form = vec![
                pair("amount", units(opening.amount)?),
                pair("currency", opening.amount.currency.as_str().to_lowercase()),
                pair("capture_method", "manual"),
                pair("payment_method_types[]", "card"),
                pair(
                    "payment_method_options[card][request_multicapture]",
                    "if_available",
                ),
                pair("metadata[payment]", opening.key.clone()),
                pair("metadata[order]", opening.order_number.clone()),
                pair("description", format!("Order {}", opening.order_number)),
            ];
            let intent: Intent = self
                .ask(Verb::POST, &["payment_intents"], &form, Some(&opening.key))
                .await?;
            Ok(intent.id)
        })
    }

    fn confirm<'a>(&'a self, confirming: &'a Confirming) -> Asking<'a, Report> {
        Box::pin(async move {
            let form: Form = vec![
                pair("payment_method", confirming.method.token.clone()),
                pair("return_url", confirming.return_url.clone()),
                pair("expand[]", "latest_charge"),
            ];
            let path = ["payment_intents", &confirming.reference, "confirm"];
            let intent: Intent = self
                .ask(Verb::POST, &path, &form, Some(&confirming.key))
                .await?;
            Ok(intent.report(currency(&intent)?, &[]))
        })
    }

    fn report<'a>(&'a self, reference: &'a str) -> Asking<'a, Report> {
        Box::pin(async move {
            let query = [pair("expand[]", "latest_charge")];
            let path = ["payment_intents", reference];
            let intent: Intent = self.ask(Verb::GET, &path, &query, None).await?;
            let refunds = if intent.amount_received > 0 {
                self.refunds(reference).await?
            } else {
                Vec::new()
            };
            Ok(intent.report(currency(&intent)?, &refunds))
        })
    }

    fn capture<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome> {
        Box::pin(async move {
            let amount = units(moving.amount)?;
            let mut form: Form = vec![
                pair("amount_to_capture", amount.clone()),
                pair(&format!("metadata[{CAPTURE_PREFIX}{}]", moving.key), amount),
            ];
            if !moving.last {
                form.push(pair("final_capture", "false"));
            }
            let path = ["payment_intents", &moving.reference, "capture"];
            let _: Intent = self
                .ask(Verb::POST, &path, &form, Some(&moving.key))
                .await?;
            Ok(Outcome::Succeeded { reference: None })
        })
    }

    fn void<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome> {
        Box::pin(async move {
            let form: Form = vec![pair("cancellation_reason", "abandoned")];
            let path = ["payment_intents", &moving.reference, "cancel"];
            let _: Intent = self
                .ask(Verb::POST, &path, &form, Some(&moving.key))
                .await?;
            Ok(Outcome::Succeeded { reference: None })
        })
    }

    fn refund<'a>(&'a self, moving: &'a Moving) -> Asking<'a, Outcome> {
        Box::pin(async move {
            let form: Form = vec![
                pair("payment_intent", moving.reference.clone()),
                pair("amount", units(moving.amount)?),
                pair("reason", "requested_by_customer"),
                pair(&format!("metadata[{REFUND_KEY}]"), moving.key.clone()),
            ];
            let refund: Refund = self
                .ask(Verb::POST, &["refunds"], &form, Some(&moving.key))
                .await?;
            match refund.outcome() {
                Outcome::Failed { code } => Err(Failure::Refused { code }),
                outcome => Ok(outcome),
            }
        })
    }

    fn verify(&self, header: &str, body: &[u8], now: OffsetDateTime) -> Result<Notice, Forged> {
        let secrets = self
            .config
            .webhook_secrets
            .read()
            .map_err(|_| Forged::NoSecret)?;
        signature::verify(secrets.split(',').map(str::trim), header, body, now)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| Forged::Unreadable)?;
        let readable =
            event.id.len() <= 190 && event.id.bytes().all(|byte| byte.is_ascii_graphic());
        readable
            .then_some(Notice { event_id: event.id })
            .ok_or(Forged::Unreadable)
    }

    fn signature_header(&self) -> &'static str {
        "stripe-signature"
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        let event: Event = serde_json::from_slice(body).ok()?;
        let object = event.data?.object;
        let id = match object.object.as_str() {
            "payment_intent" => object.id,
            // Charges, refunds and disputes name their intent.
            _ => object.payment_intent,
        };
        id.filter(|id| id.len() <= 190)
    }
}

#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    #[serde(default)]
    data: Option<EventData>,
}

#[derive(Debug, Deserialize)]
struct EventData {
    object: EventObject,
}

#[derive(Debug, Deserialize)]
struct EventObject {
    #[serde(default)]
    object: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    payment_intent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> Failure {
        judge(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn only_a_clear_no_is_a_no() {
        let declined = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"stolen_card"}}"#;
        assert!(
            matches!(failure(402, declined), Failure::Refused { code } if code == "stolen_card")
        );
        let wrong =
            r#"{"error":{"type":"invalid_request_error","code":"amount_too_large","message":"m"}}"#;
        assert!(
            matches!(failure(400, wrong), Failure::Refused { code } if code == "amount_too_large")
        );
        let in_use = r#"{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"}}"#;
        assert!(matches!(failure(409, in_use), Failure::Unknown(_)));
        assert!(matches!(failure(429, "{}"), Failure::NotAsked(_)));
        assert!(matches!(failure(500, declined), Failure::Unknown(_)));
        assert!(matches!(failure(502, "<html>"), Failure::Unknown(_)));
        assert!(matches!(failure(404, "<html>"), Failure::Unknown(_)));
        assert!(
            matches!(failure(401, "{}"), Failure::Refused { code } if code == "provider_misconfigured")
        );
    }
}
