//! Routes of webhooks: endpoints, and what was delivered to them.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::types::Json;
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::{conflict, not_found, run};
use super::fields::{Body, FromBody, Object, list, text};
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::token::demand;
use super::{AdminState, Answer, answer, created};
use crate::notify::event::EventKind;
use crate::notify::webhook::deliver::{SEALED_FOR, seal_context};
use crate::notify::webhook::signature::WebhookSecret;
use crate::notify::webhook::store::{self, Delivery, Endpoint};
use crate::notify::webhook::target::LONGEST_URL;
use crate::notify::webhook::{MOST_ENDPOINTS, replay};
use crate::web::error::{ApiError, Code, Problem};

fn events(value: Value) -> Result<Vec<String>, String> {
    let events = list(text(1, 40))(value)?;
    if events.is_empty() {
        return Err("must name at least one kind of event, or be [\"*\"]".to_owned());
    }
    match events
        .iter()
        .find(|event| *event != "*" && EventKind::from_name(event).is_none())
    {
        None => Ok(events),
        Some(unknown) => {
            let names: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
            Err(format!(
                "{unknown:?} is not a kind of event; they are *, {}",
                names.join(", ")
            ))
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a reader takes the value out of its object"
)]
fn status(value: Value) -> Result<String, String> {
    match value.as_str() {
        Some(status @ ("active" | "paused" | "archived")) => Ok(status.to_owned()),
        _ => Err("must be active, paused or archived".to_owned()),
    }
}

/// An endpoint to be made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NewEndpoint {
    /// Where deliveries go: HTTPS, on the public internet unless the shop is set to allow others.
    pub url: String,
    /// Kinds of events, such as `order.placed`, or `*`.
    pub events: Vec<String>,
}

impl FromBody for NewEndpoint {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let url = object.required("url", text(1, LONGEST_URL));
        let events = object.required("events", events);
        Some(Self {
            url: url?,
            events: events?,
        })
    }
}

/// Changes of an endpoint; what is absent stays.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointPatch {
    /// Where deliveries go.
    pub url: Option<String>,
    /// Kinds of events, or `*`.
    pub events: Option<Vec<String>>,
    /// `active`; `paused`: deliveries wait; `archived`: for good, nothing is delivered any more.
    pub status: Option<String>,
}

impl FromBody for EndpointPatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let url = object.optional("url", text(1, LONGEST_URL));
        let events = object.optional("events", events);
        let status = object.optional("status", status);
        Some(Self {
            url: url?,
            events: events?,
            status: status?,
        })
    }
}

/// An endpoint with its secret, which is shown this once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointWithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// `whsec_` and base64: with it the receiver checks `webhook-signature`. It cannot be read again.
    pub secret: String,
}

/// A page of the list of endpoints.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EndpointQuery {
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists endpoints.
#[utoipa::path(get, path = "/api/v1/admin/webhook-endpoints", tag = "staff: webhooks", params(EndpointQuery),
    responses((status = 200, body = Page<Endpoint>), (status = "default", body = Problem)), security(("staff" = ["read:webhooks"])))]
pub async fn endpoints(
    _: Scoped<demand::ReadWebhooks>,
    state: web::Data<AdminState>,
    query: web::Query<EndpointQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("webhook-endpoints", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::endpoints(connection, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows an endpoint.
#[utoipa::path(get, path = "/api/v1/admin/webhook-endpoints/{id}", tag = "staff: webhooks", params(("id" = i64, Path)),
    responses((status = 200, body = Endpoint), (status = "default", body = Problem)), security(("staff" = ["read:webhooks"])))]
pub async fn endpoint(
    _: Scoped<demand::ReadWebhooks>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let endpoint = state
        .read(move |connection| {
            Box::pin(async move {
                store::endpoint(connection, id)
                    .await?
                    .ok_or_else(|| not_found("webhook endpoint", id))
            })
        })
        .await?;
    Ok(answer(endpoint.version, &endpoint))
}

fn check_url(state: &AdminState, url: &str) -> Result<(), ApiError> {
    match state.webhook_targets().check(url) {
        Ok(_) => Ok(()),
        Err(refused) => Err(ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field("/url", refused.to_string())),
    }
}

/// Makes an endpoint, and shows its secret, once.
#[utoipa::path(post, path = "/api/v1/admin/webhook-endpoints", tag = "staff: webhooks", request_body = NewEndpoint,
    responses((status = 201, body = EndpointWithSecret), (status = "default", body = Problem)), security(("staff" = ["write:webhooks"])))]
pub async fn create(
    staff: Scoped<demand::WriteWebhooks>,
    state: web::Data<AdminState>,
    body: Body<NewEndpoint>,
) -> Answer {
    check_url(&state, &body.0.url)?;
    let secret = WebhookSecret::random();
    let input = (body.0, secret.clone(), state.keys().clone());
    let endpoint = run(
        &state,
        staff.actor(),
        input,
        |change, (new, secret, keys)| {
            Box::pin(async move {
                if store::count_endpoints(change.connection).await? >= MOST_ENDPOINTS {
                    return Err(ApiError::new(Code::Conflict).detail(format!(
                        "there are {MOST_ENDPOINTS} endpoints already: archive one"
                    )));
                }
                let id = store::insert_endpoint(change.connection, &new.url, &new.events).await?;
                let sealed = keys.seal(SEALED_FOR, seal_context(id).as_bytes(), secret.bytes());
                store::set_secret(change.connection, id, &sealed).await?;
                let endpoint = store::endpoint(change.connection, id)
                    .await?
                    .ok_or_else(|| not_found("webhook endpoint", id))?;
                change
                    .audit(
                        "webhook_endpoint.create",
                        "webhook_endpoint",
                        id,
                        None,
                        Some(&endpoint),
                    )
                    .await?;
                Ok(endpoint)
            })
        },
    )
    .await?;
    Ok(created(
        format!("/api/v1/admin/webhook-endpoints/{}", endpoint.id),
        endpoint.version,
        &EndpointWithSecret {
            endpoint,
            secret: secret.reveal(),
        },
    ))
}

/// Changes an endpoint.
#[utoipa::path(patch, path = "/api/v1/admin/webhook-endpoints/{id}", tag = "staff: webhooks",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body(content = EndpointPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Endpoint), (status = "default", body = Problem)), security(("staff" = ["write:webhooks"])))]
pub async fn patch(
    staff: Scoped<demand::WriteWebhooks>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<EndpointPatch>,
) -> Answer {
    if let Some(url) = &body.0.url {
        check_url(&state, url)?;
    }
    let input = (id.into_inner(), if_match, body.0);
    let endpoint = run(
        &state,
        staff.actor(),
        input,
        |change, (id, if_match, patch)| {
            Box::pin(async move {
                let before = store::endpoint_for_update(change.connection, *id)
                    .await?
                    .ok_or_else(|| not_found("webhook endpoint", *id))?;
                if_match.check(before.version)?;
                if before.status == "archived" {
                    return Err(conflict(
                        "/status",
                        "an archived endpoint stays as it is: make a new one",
                    ));
                }
                let mut after = before.clone();
                if let Some(url) = &patch.url {
                    after.url.clone_from(url);
                }
                if let Some(events) = &patch.events {
                    after.events = Json(events.clone());
                }
                if let Some(status) = &patch.status {
                    after.status.clone_from(status);
                }
                if after == before {
                    return Ok(before);
                }
                if !store::update_endpoint(change.connection, &after, before.version).await? {
                    return Err(mismatch(before.version));
                }
                after.version += 1;
                change
                    .audit(
                        "webhook_endpoint.update",
                        "webhook_endpoint",
                        *id,
                        Some(&before),
                        Some(&after),
                    )
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(endpoint.version, &endpoint))
}

/// Gives an endpoint a new secret, and shows it, once. Deliveries are signed with it from now on.
#[utoipa::path(post, path = "/api/v1/admin/webhook-endpoints/{id}/secret", tag = "staff: webhooks", params(("id" = i64, Path)),
    responses((status = 200, body = EndpointWithSecret), (status = "default", body = Problem)), security(("staff" = ["write:webhooks"])))]
pub async fn rotate_secret(
    staff: Scoped<demand::WriteWebhooks>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let secret = WebhookSecret::random();
    let input = (id.into_inner(), secret.clone(), state.keys().clone());
    let endpoint = run(
        &state,
        staff.actor(),
        input,
        |change, (id, secret, keys)| {
            Box::pin(async move {
                let mut endpoint = store::endpoint_for_update(change.connection, *id)
                    .await?
                    .ok_or_else(|| not_found("webhook endpoint", *id))?;
                let sealed = keys.seal(SEALED_FOR, seal_context(*id).as_bytes(), secret.bytes());
                store::set_secret(change.connection, *id, &sealed).await?;
                store::bump_endpoint(change.connection, *id).await?;
                endpoint.version += 1;
                change
                    .audit(
                        "webhook_endpoint.rotate_secret",
                        "webhook_endpoint",
                        *id,
                        None,
                        Some(&endpoint),
                    )
                    .await?;
                Ok(endpoint)
            })
        },
    )
    .await?;
    Ok(answer(
        endpoint.version,
        &EndpointWithSecret {
            endpoint,
            secret: secret.reveal(),
        },
    ))
}

/// Filters of the list of deliveries.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    /// Only in this state: pending, delivered, dead.
    state: Option<String>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists what an endpoint was told, the latest first.
#[utoipa::path(get, path = "/api/v1/admin/webhook-endpoints/{id}/deliveries", tag = "staff: webhooks", params(("id" = i64, Path), DeliveryQuery),
    responses((status = 200, body = Page<Delivery>), (status = "default", body = Problem)), security(("staff" = ["read:webhooks"])))]
pub async fn deliveries(
    _: Scoped<demand::ReadWebhooks>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    query: web::Query<DeliveryQuery>,
) -> Answer {
    let id = id.into_inner();
    let DeliveryQuery {
        state: wanted,
        limit: asked,
        after,
    } = query.into_inner();
    if wanted
        .as_deref()
        .is_some_and(|state| !matches!(state, "pending" | "delivered" | "dead"))
    {
        return Err(ApiError::new(Code::InvalidRequest)
            .field("state", "must be pending, delivered or dead"));
    }
    let limit = limit(asked)?;
    let list = Query::new("webhook-deliveries", &(id, &wanted));
    let before = list.after(after.as_deref())?.unwrap_or(i64::MAX);
    let rows = state
        .read(move |connection| {
            Box::pin(async move {
                if store::endpoint(connection, id).await?.is_none() {
                    return Err(not_found("webhook endpoint", id));
                }
                Ok(store::deliveries(connection, id, wanted.as_deref(), before, limit + 1).await?)
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// A delivery with what it says.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryWithBody {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The body, as it is sent.
    #[schema(value_type = Object)]
    pub body: Value,
}

/// Shows a delivery with what it says.
#[utoipa::path(get, path = "/api/v1/admin/webhook-deliveries/{id}", tag = "staff: webhooks", params(("id" = i64, Path)),
    responses((status = 200, body = DeliveryWithBody), (status = "default", body = Problem)), security(("staff" = ["read:webhooks"])))]
pub async fn delivery(
    _: Scoped<demand::ReadWebhooks>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let found = state
        .read(move |connection| {
            Box::pin(async move {
                let delivery = store::delivery(connection, id).await?;
                let body = store::delivery_body(connection, id).await?;
                delivery
                    .zip(body)
                    .ok_or_else(|| not_found("webhook delivery", id))
            })
        })
        .await?;
    let (delivery, body) = found;
    let body = serde_json::from_slice(&body).map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok().json(DeliveryWithBody { delivery, body }))
}

/// Has a delivery sent once more, whatever became of it before. Its `webhook-id` stays, so that the receiver can tell.
#[utoipa::path(post, path = "/api/v1/admin/webhook-deliveries/{id}/replay", tag = "staff: webhooks", params(("id" = i64, Path)),
    responses((status = 202, body = Delivery), (status = "default", body = Problem)), security(("staff" = ["write:webhooks"])))]
pub async fn replay_delivery(
    staff: Scoped<demand::WriteWebhooks>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let delivery = run(&state, staff.actor(), id.into_inner(), |change, id| {
        Box::pin(async move {
            let before = store::delivery(change.connection, *id)
                .await?
                .ok_or_else(|| not_found("webhook delivery", *id))?;
            if before.state == "pending" {
                return Err(ApiError::new(Code::Conflict)
                    .detail("the delivery is pending: it is sent without being asked for"));
            }
            if !replay(change.connection, *id).await? {
                return Err(ApiError::new(Code::Conflict).detail("its endpoint is archived"));
            }
            let after = store::delivery(change.connection, *id)
                .await?
                .ok_or_else(|| not_found("webhook delivery", *id))?;
            let audited = |delivery: &Delivery| json!({"state": delivery.state, "attempts": delivery.attempts});
            change
                .audit(
                    "webhook_delivery.replay",
                    "webhook_delivery",
                    *id,
                    Some(&audited(&before)),
                    Some(&audited(&after)),
                )
                .await?;
            Ok(after)
        })
    })
    .await?;
    Ok(HttpResponse::Accepted().json(delivery))
}
