//! Routes of pages of text.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::auth::{Actor, Scoped};
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::content::{ContentEdit, ContentPage, NewContentPage, PagePublication, PageText};
use super::events::Event;
use super::fields::Body;
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::product::Status;
use super::route_product::check_locales;
use super::store_content::{self as store, ContentFilter, StaffContentSummary};
use super::token::demand;
use super::{AdminState, Answer, answer, created};
use crate::catalog::model::Slug;
use crate::content::store::Kind;
use crate::db::violated_constraint;
use crate::web::error::{ApiError, Code, Problem};

/// Filters of the list of pages.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContentQuery {
    /// Only of this kind: page or post.
    kind: Option<String>,
    /// Only with this status: draft, active or archived.
    status: Option<String>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists pages and posts.
#[utoipa::path(get, path = "/api/v1/admin/content/pages", tag = "staff: content", params(ContentQuery),
    responses((status = 200, body = Page<StaffContentSummary>), (status = "default", body = Problem)), security(("staff" = ["read:content"])))]
pub async fn list(
    _: Scoped<demand::ReadContent>,
    state: web::Data<AdminState>,
    query: web::Query<ContentQuery>,
) -> Answer {
    let ContentQuery {
        kind,
        status,
        limit: asked,
        after,
    } = query.into_inner();
    let wrong = |field: &str, message: String| {
        Err(ApiError::new(Code::InvalidRequest).field(field, message))
    };
    let kind = match kind.as_deref().map(str::parse::<Kind>) {
        None => None,
        Some(Ok(kind)) => Some(kind.word()),
        Some(Err(message)) => return wrong("kind", message),
    };
    let status = match status.as_deref().map(str::parse::<Status>) {
        None => None,
        Some(Ok(status)) => Some(status.name()),
        Some(Err(message)) => return wrong("status", message),
    };
    let limit = limit(asked)?;
    let filter = ContentFilter {
        locale: state.first_locale().to_owned(),
        kind,
        status,
    };
    let list = Query::new("content-pages", &filter);
    let after = list.after(after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::list(connection, &filter, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows a page.
#[utoipa::path(get, path = "/api/v1/admin/content/pages/{id}", tag = "staff: content", params(("id" = i64, Path)),
    responses((status = 200, body = ContentPage), (status = "default", body = Problem)), security(("staff" = ["read:content"])))]
pub async fn get(
    _: Scoped<demand::ReadContent>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let page = state
        .read(move |connection| {
            Box::pin(async move {
                store::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("page", id))
            })
        })
        .await?;
    Ok(answer(page.version, &page))
}

async fn load(change: &mut Change<'_>, id: i64) -> Result<ContentPage, ApiError> {
    store::get_for_update(change.connection, id)
        .await?
        .ok_or_else(|| not_found("page", id))
}

/// Creates a page, as a draft.
#[utoipa::path(post, path = "/api/v1/admin/content/pages", tag = "staff: content", request_body = NewContentPage,
    responses((status = 201, body = ContentPage), (status = "default", body = Problem)), security(("staff" = ["write:content"])))]
pub async fn create(
    staff: Scoped<demand::WriteContent>,
    state: web::Data<AdminState>,
    body: Body<NewContentPage>,
) -> Answer {
    check_locales(&state, body.0.translations.keys())?;
    let first = state.first_locale();
    let Some(text) = body.0.translations.get(first) else {
        return Err(unacceptable(
            "/translations",
            format!("must have a text in {first}, which others fall back to"),
        ));
    };
    let slug = match &body.0.slug {
        Some(slug) => slug.clone(),
        None => Slug::from_name(&text.title)
            .ok_or_else(|| unacceptable("/slug", "cannot be made of the title: send one"))?,
    };
    let page = run(
        &state,
        staff.actor(),
        (body.0, slug),
        |change, (new, slug)| {
            Box::pin(async move {
                let id = store::insert(change.connection, new.kind, slug.as_str())
                    .await
                    .map_err(slug_taken)?;
                let before = load(change, id).await?;
                let after = ContentPage {
                    translations: new.translations.clone(),
                    ..before.clone()
                };
                store::update(change.connection, &before, &after).await?;
                let after = load(change, id).await?;
                change
                    .audit("content.create", "content", id, None, Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(created(
        format!("/api/v1/admin/content/pages/{}", page.id),
        page.version,
        &page,
    ))
}

fn slug_taken(error: sqlx::Error) -> ApiError {
    match violated_constraint(&error).as_deref() {
        Some("content_page_slug") => {
            conflict("/slug", "is the slug of another one: choose another")
        }
        _ => error.into(),
    }
}

async fn edit(
    state: &AdminState,
    actor: Actor,
    id: i64,
    if_match: IfMatch,
    edit: ContentEdit,
) -> Answer {
    let input = (id, if_match, edit);
    let page = run(state, actor, input, |change, (id, if_match, edit)| {
        Box::pin(edit_in(change, *id, if_match, edit))
    })
    .await?;
    Ok(answer(page.version, &page))
}

async fn edit_in(
    change: &mut Change<'_>,
    id: i64,
    if_match: &IfMatch,
    edit: &ContentEdit,
) -> Result<ContentPage, ApiError> {
    let before = load(change, id).await?;
    if_match.check(before.version)?;
    let mut after = before.clone();
    edit.apply(&mut after, change.settings.first_locale(), change.now)?;
    if after == before {
        return Ok(before);
    }
    if !store::update(change.connection, &before, &after).await? {
        return Err(mismatch(before.version));
    }
    let slug = after.slug.clone();
    let linked = before.is_linked_otherwise(&after);
    let taken_down = before.is_public(change.now) && !after.is_public(change.now);
    change.event(if taken_down {
        Event::PageTakenDown {
            page: id,
            slug,
            linked,
        }
    } else {
        Event::PageChanged {
            page: id,
            slug,
            linked,
        }
    });
    let after = load(change, id).await?;
    change
        .audit(edit.action(), "content", id, Some(&before), Some(&after))
        .await?;
    Ok(after)
}

/// Sets the text of a page in a locale.
#[utoipa::path(put, path = "/api/v1/admin/content/pages/{id}/translations/{locale}", tag = "staff: content",
    params(("id" = i64, Path), ("locale" = String, Path), ("If-Match" = String, Header)), request_body = PageText,
    responses((status = 200, body = ContentPage), (status = "default", body = Problem)), security(("staff" = ["write:content"])))]
pub async fn put_translation(
    staff: Scoped<demand::WriteContent>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, String)>,
    if_match: IfMatch,
    body: Body<PageText>,
) -> Answer {
    let (id, locale) = path.into_inner();
    check_locales(&state, std::iter::once(&locale))?;
    let translation = ContentEdit::Translation(locale, Some(body.0));
    edit(&state, staff.actor(), id, if_match, translation).await
}

/// Removes the text of a page in a locale.
#[utoipa::path(delete, path = "/api/v1/admin/content/pages/{id}/translations/{locale}", tag = "staff: content",
    params(("id" = i64, Path), ("locale" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = ContentPage), (status = "default", body = Problem)), security(("staff" = ["write:content"])))]
pub async fn delete_translation(
    staff: Scoped<demand::WriteContent>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, String)>,
    if_match: IfMatch,
) -> Answer {
    let (id, locale) = path.into_inner();
    let translation = ContentEdit::Translation(locale, None);
    edit(&state, staff.actor(), id, if_match, translation).await
}

/// Publishes, schedules or unpublishes a page.
#[utoipa::path(put, path = "/api/v1/admin/content/pages/{id}/publication", tag = "staff: content",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = PagePublication,
    responses((status = 200, body = ContentPage), (status = "default", body = Problem)), security(("staff" = ["write:content"])))]
pub async fn publication(
    staff: Scoped<demand::WriteContent>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<PagePublication>,
) -> Answer {
    let publication = ContentEdit::Publication(body.0);
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        publication,
    )
    .await
}

/// Takes a page down for good: its address answers 410.
#[utoipa::path(delete, path = "/api/v1/admin/content/pages/{id}", tag = "staff: content",
    params(("id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = ContentPage), (status = "default", body = Problem)), security(("staff" = ["write:content"])))]
pub async fn delete(
    staff: Scoped<demand::WriteContent>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        ContentEdit::Archive,
    )
    .await
}
