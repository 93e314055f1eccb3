//! Routes of attributes.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::attribute::{Attribute, AttributePatch, AttributeTranslation, NewAttribute};
use super::auth::Scoped;
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::events::Event;
use super::fields::Body;
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::route_category::{MOST_DERIVED, derive};
use super::route_product::check_locales;
use super::token::demand;
use super::{AdminState, Answer, answer, created, store_attribute as store};
use crate::catalog::model::Locale;
use crate::db::violated_constraint;
use crate::web::error::{ApiError, Problem};

fn locales(settings: &super::CatalogueSettings) -> Vec<String> {
    settings
        .locales
        .iter()
        .skip(1)
        .map(|locale: &Locale| locale.as_str().to_owned())
        .collect()
}

/// The page of a list of attributes.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttributeQuery {
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists attributes, those that mirror options and brands too.
#[utoipa::path(get, path = "/api/v1/admin/attributes", tag = "staff: attributes", params(AttributeQuery),
    responses((status = 200, body = Page<Attribute>), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn list(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    query: web::Query<AttributeQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("attributes", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let locales = locales(&state.settings);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::list(connection, after, limit + 1, &locales).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows an attribute.
#[utoipa::path(get, path = "/api/v1/admin/attributes/{id}", tag = "staff: attributes", params(("id" = i64, Path)),
    responses((status = 200, body = Attribute), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn get(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let locales = locales(&state.settings);
    let attribute = state
        .read(move |connection| {
            Box::pin(async move {
                store::get(connection, id, &locales)
                    .await?
                    .ok_or_else(|| not_found("attribute", id))
            })
        })
        .await?;
    Ok(answer(attribute.version, &attribute))
}

async fn load(change: &mut Change<'_>, id: i64) -> Result<Attribute, ApiError> {
    let locales = locales(change.settings);
    store::get_for_update(change.connection, id, &locales)
        .await?
        .ok_or_else(|| not_found("attribute", id))
}

/// Creates an attribute.
#[utoipa::path(post, path = "/api/v1/admin/attributes", tag = "staff: attributes", request_body = NewAttribute,
    responses((status = 201, body = Attribute), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn create(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    body: Body<NewAttribute>,
) -> Answer {
    let attribute = run(&state, staff.actor(), body.0, |change, new| {
        Box::pin(async move {
            let id = store::insert(change.connection, new)
                .await
                .map_err(code_taken)?;
            let after = load(change, id).await?;
            change
                .audit("attribute.create", "attribute", id, None, Some(&after))
                .await?;
            Ok(after)
        })
    })
    .await?;
    Ok(created(
        format!("/api/v1/admin/attributes/{}", attribute.id),
        attribute.version,
        &attribute,
    ))
}

fn code_taken(error: sqlx::Error) -> ApiError {
    match violated_constraint(&error).as_deref() {
        Some("attribute_code") => conflict("/code", "is the code of another one: choose another"),
        _ => error.into(),
    }
}

/// Changes an attribute. What shows it is made anew.
#[utoipa::path(patch, path = "/api/v1/admin/attributes/{id}", tag = "staff: attributes",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body(content = AttributePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Attribute), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn patch(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<AttributePatch>,
) -> Answer {
    let input = (id.into_inner(), if_match, body.0);
    let attribute = run(
        &state,
        staff.actor(),
        input,
        |change, (id, if_match, patch)| {
            Box::pin(async move {
                let before = load(change, *id).await?;
                if_match.check(before.version)?;
                let mut after = before.clone();
                patch.apply(&mut after);
                if after == before {
                    return Ok(before);
                }
                if !after.unit.is_empty() && after.kind != super::attribute::AttributeKind::Number {
                    return Err(unacceptable("/unit", "is for numbers"));
                }
                if !store::update(change.connection, &after, before.version).await? {
                    return Err(mismatch(before.version));
                }
                shown_anew(change, *id, before.filterable != after.filterable).await?;
                let after = load(change, *id).await?;
                change
                    .audit(
                        "attribute.update",
                        "attribute",
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
    Ok(answer(attribute.version, &attribute))
}

/// An attribute is on pages of products and in filters everywhere; its labels are in search documents.
async fn shown_anew(change: &mut Change<'_>, id: i64, derived: bool) -> Result<(), ApiError> {
    if derived {
        let products = store::products(change.connection, id, MOST_DERIVED + 1).await?;
        derive(change, products)?;
    }
    change.event(Event::LabelsChanged);
    Ok(())
}

/// Translates the name and values of an attribute. One text has one translation in the shop.
#[utoipa::path(patch, path = "/api/v1/admin/attributes/{id}/translations/{locale}", tag = "staff: attributes",
    params(("id" = i64, Path), ("locale" = String, Path), ("If-Match" = String, Header)),
    request_body(content = AttributeTranslation, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Attribute), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn translate(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, String)>,
    if_match: IfMatch,
    body: Body<AttributeTranslation>,
) -> Answer {
    let (id, locale) = path.into_inner();
    check_locales(&state, std::iter::once(&locale))?;
    if locale == state.first_locale() {
        return Err(unacceptable(
            "locale",
            format!("texts in {locale} are the names and values themselves: change those"),
        ));
    }
    let input = (id, locale, if_match, body.0);
    let attribute = run(
        &state,
        staff.actor(),
        input,
        |change, (id, locale, if_match, translation)| {
            Box::pin(translate_in(change, *id, locale, if_match, translation))
        },
    )
    .await?;
    Ok(answer(attribute.version, &attribute))
}

async fn translate_in(
    change: &mut Change<'_>,
    id: i64,
    locale: &str,
    if_match: &IfMatch,
    translation: &AttributeTranslation,
) -> Result<Attribute, ApiError> {
    let before = load(change, id).await?;
    if_match.check(before.version)?;
    let mut wanted: Vec<(&str, Option<&str>)> = Vec::new();
    for (value, text) in &translation.values {
        if !store::has_value(change.connection, id, value).await? {
            return Err(unacceptable(
                &format!("/values/{}", value.replace('~', "~0").replace('/', "~1")),
                format!("is not a value of {}", before.code),
            ));
        }
        wanted.push((value, text.as_deref()));
    }
    if let Some(name) = &translation.name {
        wanted.push((&before.name, name.as_deref()));
    }
    let mut was = BTreeMap::new();
    let mut becomes = BTreeMap::new();
    for (label, text) in wanted {
        let current = store::label(change.connection, locale, label).await?;
        if current.as_deref() != text {
            store::label_set(change.connection, locale, label, text).await?;
            was.insert(label, current);
            becomes.insert(label, text);
        }
    }
    if becomes.is_empty() {
        return Ok(before);
    }
    if !store::update(change.connection, &before, before.version).await? {
        return Err(mismatch(before.version));
    }
    shown_anew(change, id, true).await?;
    let before = serde_json::json!({ "locale": locale, "labels": was });
    let after = serde_json::json!({ "locale": locale, "labels": becomes });
    change
        .audit(
            "attribute.translate",
            "attribute",
            id,
            Some(&before),
            Some(&after),
        )
        .await?;
    load(change, id).await
}
