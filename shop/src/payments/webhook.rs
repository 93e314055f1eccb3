//! Messages of payment providers: `POST /api/v1/webhooks/payments/{provider}`.
//!
//! A message is checked over its bytes as they came, kept, acknowledged, and then processed once. It only says *that* something
//! happened: what is true is asked of the provider, so that late, repeated and reordered messages do no harm.

use actix_web::{HttpRequest, HttpResponse, web};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use super::provider::Forged;
use super::{Payments, store, store_event};
use crate::crash::{self, Point};
use crate::db::DbError;
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::{Answer, PrivateState};

/// Messages processed at once by a web process, right after they came. The worker takes what is more.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// How often a message is tried before it is left for a person to look at: the last time after more than a day.
pub(crate) const MOST_ATTEMPTS: i32 = 16;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is kept and will be processed.
    New(String),
    /// It came before.
    Known,
}

impl Payments {
    /// Checks a message and keeps it.
    ///
    /// # Errors
    /// 404 for a provider that the shop does not have, 400 for a message that is not the provider's, those of the database.
    pub async fn receive(
        &self,
        provider: &str,
        signature: &str,
        body: &[u8],
        now: OffsetDateTime,
    ) -> Result<Taken, ApiError> {
        let provider = self.provider(provider).ok_or_else(|| {
            ApiError::new(Code::NotFound).detail("the shop does not use this payment provider")
        })?;
        let notice = provider.verify(signature, body, now).map_err(|forged| {
            self.metrics().message(provider.name(), "refused");
            refused(&forged)
        })?;
        let (name, event_id) = (provider.name(), notice.event_id.clone());
        let payload = body.to_vec();
        let is_new = self
            .db()
            .transaction(move |connection| {
                let (event_id, payload) = (event_id.clone(), payload.clone());
                Box::pin(async move {
                    Ok::<_, DbError>(
                        store_event::insert(connection, name, &event_id, &payload).await?,
                    )
                })
            })
            .await?;
        crash::here(Point::MessageKept);
        self.metrics()
            .message(name, if is_new { "taken" } else { "repeated" });
        Ok(if is_new {
            Taken::New(notice.event_id)
        } else {
            Taken::Known
        })
    }

    /// Processes a message that was kept.
    ///
    /// # Errors
    /// Those of the database and of the checkout. The message stays unprocessed.
    pub(crate) async fn process(
        &self,
        provider_name: &str,
        event_id: &str,
        body: &[u8],
    ) -> Result<(), ApiError> {
        let subject = self
            .provider(provider_name)
            .and_then(|provider| provider.subject(body));
        if let Some(reference) = subject {
            let mut primary = self.db().primary().await?;
            let payment =
                store::by_reference(&mut primary.connection, provider_name, &reference).await?;
            drop(primary);
            // Messages about payments of somebody else's shop with the same account come here too.
            if let Some(payment) = payment {
                let (payment, answered) = self.look(payment.id).await?;
                if !answered {
                    return Err(ApiError::new(Code::Unavailable)
                        .detail("the payment provider did not say what its message is about"));
                }
                if !payment.state.is_open() {
                    self.run_after(payment.order_id).await?;
                }
            }
        }
        crash::here(Point::MessageProcessed);
        let mut primary = self.db().primary().await?;
        Ok(store_event::done(&mut primary.connection, provider_name, event_id).await?)
    }

    pub(crate) async fn process_or_note(&self, provider: &str, event_id: &str, body: &[u8]) {
        let Err(error) = self.process(provider, event_id, body).await else {
            return;
        };
        let text = crate::web::error::chain(&error);
        tracing::warn!(
            provider,
            event_id,
            error = text,
            "a message of a payment provider could not be processed; trying again"
        );
        if let Ok(mut primary) = self.db().primary().await
            && let Err(error) =
                store_event::failed(&mut primary.connection, provider, event_id, &text).await
        {
            tracing::debug!(%error, "the failure of a message could not be noted");
        }
    }
}

/// The answer to a message that is not its sender's.
pub(crate) fn refused(forged: &Forged) -> ApiError {
    match forged {
        Forged::NoSecret => ApiError::new(Code::Unavailable).detail(forged.to_string()),
        _ => ApiError::new(Code::InvalidSignature).detail(forged.to_string()),
    }
}

/// Takes a message of a payment provider. 200 says that it is kept, not that it was processed.
#[utoipa::path(post, path = "/api/v1/webhooks/payments/{provider}", tag = "webhooks",
    params(("provider" = String, Path, description = "`stripe` or `test`")),
    request_body(content = Object, description = "The provider's message, signed in the provider's own header"),
    responses((status = 200, description = "It is kept"), (status = "default", body = Problem)), security(()))]
pub async fn post(
    state: web::Data<PrivateState>,
    provider: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
) -> Answer {
    let payments = state.payments.clone();
    let name = provider.into_inner();
    let header = payments
        .provider(&name)
        .map(|provider| provider.signature_header());
    let signature = header
        .and_then(|header| request.headers().get(header))
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let taken = payments
        .receive(&name, signature, &body, OffsetDateTime::now_utc())
        .await?;
    if let (Taken::New(event_id), Ok(permit)) = (taken, AT_ONCE.try_acquire()) {
        tokio::spawn(async move {
            payments.process_or_note(&name, &event_id, &body).await;
            drop(permit);
        });
    }
    Ok(HttpResponse::Ok().finish())
}
