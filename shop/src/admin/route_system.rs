//! Routes of the audit log and of caches.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::run;
use super::fields::{Body, FromBody, Object, list, parsed_with};
use super::page::{Page, Query, limit};
use super::store_audit::{self as store, AuditFilter, AuditRow};
use super::token::demand;
use super::{AdminState, Answer};
use crate::edge::tags::{Tag, TagSet};
use crate::outbox::{PurgeKind, enqueue_purge};
use crate::web::error::{ApiError, Code, Problem};

/// Filters of the audit log.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only what the token of this name did.
    actor: Option<String>,
    /// Only what was done to this kind of thing, such as product.
    #[param(pattern = "^[a-z_]{1,32}$")]
    entity: Option<String>,
    /// Only what was done to the thing with this number; needs `entity`.
    entity_id: Option<i64>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists who changed what, the latest first.
#[utoipa::path(get, path = "/api/v1/admin/audit-log", tag = "staff: audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditRow>), (status = "default", body = Problem)), security(("staff" = ["read:audit"])))]
pub async fn audit_log(
    _: Scoped<demand::ReadAudit>,
    state: web::Data<AdminState>,
    query: web::Query<AuditQuery>,
) -> Answer {
    let AuditQuery {
        actor,
        entity,
        entity_id,
        limit: asked,
        after,
    } = query.into_inner();
    if entity_id.is_some() && entity.is_none() {
        return Err(ApiError::new(Code::InvalidRequest).field("entity", "is needed with entity_id"));
    }
    let is_word = |text: &String| {
        (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    if entity.as_ref().is_some_and(|entity| !is_word(entity)) {
        return Err(ApiError::new(Code::InvalidRequest).field(
            "entity",
            "must be a kind of thing, as the rows name it, such as product",
        ));
    }
    let limit = limit(asked)?;
    let filter = AuditFilter {
        actor,
        entity,
        entity_id,
    };
    let list = Query::new("audit-log", &filter);
    let before = list.after(after.as_deref())?.unwrap_or(i64::MAX);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::list(connection, &filter, before, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Most tags of one purge.
const MOST_TAGS: usize = 100;

/// The body that purges caches.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Purge {
    /// The tags, at most 100, or the text `all`.
    #[schema(value_type = Object)]
    pub tags: TagSet,
    /// `soft`: may be shown while the shop fails; `hard`: gone.
    #[schema(value_type = String)]
    pub kind: PurgeKind,
}

impl FromBody for Purge {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let tags = object.required("tags", |value| {
            if value == "all" {
                return Ok(TagSet::from_iter([Tag::all()]));
            }
            let tags = list(parsed_with(Tag::parse))(value).map_err(|message| {
                format!("must be \"all\" or an array of cache tags: {message}")
            })?;
            if (1..=MOST_TAGS).contains(&tags.len()) {
                Ok(tags.into_iter().collect())
            } else {
                Err(format!("must have 1 to {MOST_TAGS} tags"))
            }
        });
        let kind = object.required("kind", |value| match value.as_str() {
            Some("soft") => Ok(PurgeKind::Soft),
            Some("hard") => Ok(PurgeKind::Hard),
            _ => Err("must be soft or hard".to_owned()),
        });
        Some(Self {
            tags: tags?,
            kind: kind?,
        })
    }
}

/// Purges caches by hand. The purge is on its way when this answers; edges acknowledge it within seconds.
#[utoipa::path(post, path = "/api/v1/admin/cache/purge", tag = "staff: caches", request_body = Purge,
    responses((status = 202, body = Purge), (status = "default", body = Problem)), security(("staff" = ["write:cache"])))]
pub async fn purge(
    staff: Scoped<demand::WriteCache>,
    state: web::Data<AdminState>,
    body: Body<Purge>,
) -> Answer {
    let purge = run(&state, staff.actor(), body.0, |change, purge| {
        Box::pin(async move {
            enqueue_purge(change.connection, &purge.tags, purge.kind).await?;
            change
                .audit("cache.purge", "cache", 0, None, Some(purge))
                .await?;
            Ok(purge.clone())
        })
    })
    .await?;
    Ok(HttpResponse::Accepted().json(purge))
}
