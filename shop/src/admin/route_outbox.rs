//! Routes of dead letters: rows of the outbox that were given up.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::{not_found, run};
use super::fields::{Body, FromBody, Object};
use super::page::{Page, Query, limit};
use super::token::demand;
use super::{AdminState, Answer};
use crate::outbox::dead::{self, DeadLetter};
use crate::web::error::{ApiError, Code, Problem};

const TOPIC_FORM: &str = "must be the name of a topic, such as mail";

/// Whether a text can be the name of a topic. Of one that is not ASCII the database would not know how to compare it.
fn is_topic(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Filters of the list of dead letters.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterQuery {
    /// Only of this topic: event, mail, payment, webhook/NUMBER.
    topic: Option<String>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists what could not be carried out, the latest first.
#[utoipa::path(get, path = "/api/v1/admin/dead-letters", tag = "staff: outbox", params(DeadLetterQuery),
    responses((status = 200, body = Page<DeadLetter>), (status = "default", body = Problem)), security(("staff" = ["read:outbox"])))]
pub async fn list(
    _: Scoped<demand::ReadOutbox>,
    state: web::Data<AdminState>,
    query: web::Query<DeadLetterQuery>,
) -> Answer {
    let DeadLetterQuery {
        topic,
        limit: asked,
        after,
    } = query.into_inner();
    let limit = limit(asked)?;
    if topic.as_deref().is_some_and(|topic| !is_topic(topic)) {
        return Err(ApiError::new(Code::InvalidRequest).field("topic", TOPIC_FORM));
    }
    let list = Query::new("dead-letters", &topic);
    let before = list.after(after.as_deref())?.unwrap_or(i64::MAX);
    let rows = state
        .read(move |connection| {
            Box::pin(async move {
                Ok(dead::list(connection, topic.as_deref(), before, limit + 1).await?)
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Has a dead letter tried again, with all its attempts.
#[utoipa::path(post, path = "/api/v1/admin/dead-letters/{id}/replay", tag = "staff: outbox", params(("id" = i64, Path)),
    responses((status = 202, body = DeadLetter), (status = "default", body = Problem)), security(("staff" = ["write:outbox"])))]
pub async fn replay(
    staff: Scoped<demand::WriteOutbox>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let letter = run(&state, staff.actor(), id.into_inner(), |change, id| {
        Box::pin(async move {
            let letter = dead::find(change.connection, *id)
                .await?
                .ok_or_else(|| not_found("dead letter", *id))?;
            dead::replay(change.connection, *id).await?;
            change
                .audit("outbox.replay", "outbox", *id, Some(&letter), None)
                .await?;
            Ok(letter)
        })
    })
    .await?;
    Ok(HttpResponse::Accepted().json(letter))
}

/// Which dead letters are replayed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReplayTopic {
    /// The topic: event, mail, payment, webhook/NUMBER.
    pub topic: String,
}

impl FromBody for ReplayTopic {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let topic = object.required("topic", |value| match value.as_str() {
            Some(topic) if is_topic(topic) => Ok(topic.to_owned()),
            _ => Err(TOPIC_FORM.to_owned()),
        });
        Some(Self { topic: topic? })
    }
}

/// How many dead letters will be tried again.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Replayed {
    /// So many.
    pub replayed: u64,
}

/// Has the oldest 1000 dead letters of a topic tried again.
#[utoipa::path(post, path = "/api/v1/admin/dead-letters/replay", tag = "staff: outbox", request_body = ReplayTopic,
    responses((status = 202, body = Replayed), (status = "default", body = Problem)), security(("staff" = ["write:outbox"])))]
pub async fn replay_topic(
    staff: Scoped<demand::WriteOutbox>,
    state: web::Data<AdminState>,
    body: Body<ReplayTopic>,
) -> Answer {
    let replayed = run(&state, staff.actor(), body.0, |change, wanted| {
        Box::pin(async move {
            let replayed = dead::replay_topic(change.connection, &wanted.topic).await?;
            change
                .audit("outbox.replay_topic", "outbox", 0, None, Some(wanted))
                .await?;
            Ok(replayed)
        })
    })
    .await?;
    Ok(HttpResponse::Accepted().json(Replayed { replayed }))
}

/// Deletes a dead letter: what it would have done is not done.
#[utoipa::path(delete, path = "/api/v1/admin/dead-letters/{id}", tag = "staff: outbox", params(("id" = i64, Path)),
    responses((status = 204), (status = "default", body = Problem)), security(("staff" = ["write:outbox"])))]
pub async fn discard(
    staff: Scoped<demand::WriteOutbox>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    run(&state, staff.actor(), id.into_inner(), |change, id| {
        Box::pin(async move {
            let letter = dead::find(change.connection, *id)
                .await?
                .ok_or_else(|| not_found("dead letter", *id))?;
            dead::discard(change.connection, *id).await?;
            change
                .audit("outbox.discard", "outbox", *id, Some(&letter), None)
                .await
        })
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
