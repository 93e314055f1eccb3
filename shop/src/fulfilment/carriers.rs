//! Carriers: where their parcels are followed, and their messages: `POST /api/v1/webhooks/carriers/{carrier}`.
//!
//! A message is JSON, signed in the header `Panono-Signature` as Stripe signs its own: `t=<seconds since 1970>,v1=<HMAC-SHA-256 of
//! "<seconds>.<body>" in hexadecimal>`. A gateway before a real carrier's interface is a few lines. Messages are kept once each, by
//! their id, and may come in any order, also before the shop knows the parcel's number.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::model::ShipmentState;
use super::shipments;
use super::store::{self, NewCarrierEvent};
use crate::payments::config::is_carrier_name;
use crate::payments::provider::Forged;
use crate::payments::webhook::refused;
use crate::payments::{PaymentSettings, signature};
use crate::storefront::urls::PATH_SEGMENT;
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::{Answer, PrivateState};

/// The header with the signature.
pub const SIGNATURE: &str = "panono-signature";

/// The address at which a parcel is followed, if the carrier has one.
#[must_use]
pub fn link(settings: &PaymentSettings, carrier: &str, tracking_number: &str) -> Option<String> {
    let pattern = settings.carriers.get(carrier)?;
    Some(pattern.replace(
        "{number}",
        &utf8_percent_encode(tracking_number, PATH_SEGMENT).to_string(),
    ))
}

/// Whether a text is a tracking number: what carriers print on parcels.
#[must_use]
pub fn is_tracking_number(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/' | b'.' | b' '))
        && text.trim() == text
}

/// A carrier's message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct CarrierMessage {
    /// The same each time the message is sent; 1 to 190 visible ASCII characters.
    #[schema(min_length = 1, max_length = 190)]
    pub id: String,
    /// The parcel's number with the carrier.
    #[schema(min_length = 1, max_length = 64)]
    pub tracking_number: String,
    /// Where the parcel is.
    pub state: ShipmentState,
    /// In the carrier's words.
    #[serde(default)]
    #[schema(max_length = 255)]
    pub description: String,
    /// When it came there.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub happened_at: OffsetDateTime,
}

fn check(carrier: &str, message: CarrierMessage) -> Result<NewCarrierEvent, ApiError> {
    let mut error = ApiError::new(Code::InvalidRequest).detail("see `errors`");
    let fits = (1..=190).contains(&message.id.len())
        && message.id.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        error = error.field("/id", "must have 1 to 190 visible ASCII characters");
    }
    if !is_tracking_number(&message.tracking_number) {
        error = error.field(
            "/tracking_number",
            "must have 1 to 64 letters, digits, spaces and -/. only",
        );
    }
    if message.state == ShipmentState::Preparing {
        error = error.field("/state", "is not one that a carrier says");
    }
    let happened_at = message
        .happened_at
        .checked_to_offset(time::UtcOffset::UTC)
        .filter(|at| (2000..=9999).contains(&at.year()));
    if happened_at.is_none() {
        error = error.field("/happened_at", "must be of this millennium");
    }
    let Some(happened_at) = happened_at.filter(|_| error.fields.is_empty()) else {
        return Err(error);
    };
    Ok(NewCarrierEvent {
        carrier: carrier.to_owned(),
        event_id: message.id,
        tracking_number: message.tracking_number,
        state: message.state,
        description: message
            .description
            .chars()
            .filter(|character| !character.is_control())
            .take(255)
            .collect(),
        happened_at,
    })
}

/// Checks who sent a message of a carrier.
fn verify(
    settings: &PaymentSettings,
    carrier: &str,
    header: &str,
    body: &[u8],
    now: OffsetDateTime,
) -> Result<(), Forged> {
    let pairs = settings
        .carrier_secrets
        .as_ref()
        .ok_or(Forged::NoSecret)?
        .read()
        .map_err(|_| Forged::NoSecret)?;
    let secrets = pairs
        .split(',')
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == carrier)
        .map(|(_, secret)| secret);
    signature::verify(secrets, header, body, now)
}

/// Takes a message of a carrier, signed in `Panono-Signature`. 200 says that it is kept and that the parcel follows.
#[utoipa::path(post, path = "/api/v1/webhooks/carriers/{carrier}", tag = "webhooks",
    params(("carrier" = String, Path, description = "the carrier's name in the shop"),
        ("Panono-Signature" = String, Header, description = "`t=<seconds>,v1=<HMAC-SHA-256 of \"<seconds>.<body>\">`")),
    request_body = CarrierMessage,
    responses((status = 200, description = "It is kept"), (status = "default", body = Problem)), security(()))]
pub async fn post(
    state: web::Data<PrivateState>,
    carrier: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
) -> Answer {
    let carrier = carrier.into_inner();
    if !is_carrier_name(&carrier) {
        return Err(ApiError::new(Code::NotFound).detail("there is no such carrier"));
    }
    let header = request
        .headers()
        .get(SIGNATURE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let metrics = state.payments.metrics();
    let settings = state.payments.settings();
    verify(settings, &carrier, header, &body, OffsetDateTime::now_utc()).map_err(|forged| {
        metrics.message("carrier", "refused");
        // Whether a carrier has a secret is nobody's business.
        refused(if forged == Forged::NoSecret {
            &Forged::Wrong
        } else {
            &forged
        })
    })?;
    let message: CarrierMessage = serde_json::from_slice(&body).map_err(|error| {
        ApiError::new(Code::InvalidBody).detail(format!("the body is not such a message: {error}"))
    })?;
    let event = Arc::new(check(&carrier, message)?);
    let is_new = state
        .db
        .transaction(move |connection| {
            let event = Arc::clone(&event);
            Box::pin(async move {
                let shipment =
                    store::shipment_by_tracking(connection, &event.carrier, &event.tracking_number)
                        .await?;
                let id = shipment.map(|shipment| shipment.id);
                if !store::carrier_event_insert(connection, &event, id).await? {
                    return Ok(false);
                }
                if let Some(id) = id {
                    let actor = format!("carrier:{}", event.carrier);
                    shipments::reported(connection, id, &actor).await?;
                }
                Ok::<_, ApiError>(true)
            })
        })
        .await?;
    metrics.message("carrier", if is_new { "taken" } else { "repeated" });
    Ok(HttpResponse::Ok().finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::secret::Secret;

    #[test]
    fn a_parcel_is_followed_at_its_carrier() {
        let mut settings = PaymentSettings::none();
        settings
            .carriers
            .insert("dhl".into(), "https://t.example/?n={number}&l=en".into());
        assert_eq!(
            link(&settings, "dhl", "A 1/2").as_deref(),
            Some("https://t.example/?n=A%201%2F2&l=en")
        );
        assert_eq!(link(&settings, "post", "1"), None);
    }

    #[test]
    fn an_event_beyond_what_can_be_kept_is_refused() {
        let event = |happened_at: &str| {
            let message = serde_json::json!({
                "id": "1",
                "tracking_number": "A 1",
                "state": "delivered",
                "happened_at": happened_at,
            });
            check("post", serde_json::from_value(message).unwrap())
        };
        assert!(event("9999-12-31T23:59:59Z").is_ok());
        for beyond in ["9999-12-31T23:59:59-01:00", "1999-12-31T00:00:00Z"] {
            assert_eq!(event(beyond).unwrap_err().fields[0].field, "/happened_at");
        }
    }

    #[test]
    fn each_carrier_has_secrets_of_its_own() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let settings = PaymentSettings {
            carrier_secrets: Some(Secret::Value("dhl=one, post=two,post=three".into())),
            ..PaymentSettings::none()
        };
        let signed = |secret| signature::sign(secret, now.unix_timestamp(), b"{}");
        let check = |carrier: &str, header: &str| verify(&settings, carrier, header, b"{}", now);
        assert_eq!(check("dhl", &signed("one")), Ok(()));
        assert_eq!(check("post", &signed("three")), Ok(()));
        assert_eq!(check("dhl", &signed("two")), Err(Forged::Wrong));
        assert_eq!(check("ups", &signed("one")), Err(Forged::NoSecret));
    }

    #[test]
    fn numbers_are_what_is_printed_on_parcels() {
        for good in ["1Z 999", "JD-014/6", "00340434161094021501"] {
            assert!(is_tracking_number(good), "{good}");
        }
        for wrong in ["", " 1", "<b>", "é", &"1".repeat(65)] {
            assert!(!is_tracking_number(wrong), "{wrong}");
        }
    }
}
