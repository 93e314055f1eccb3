//! Routes of zones with their taxes, and of shipping methods with their rates.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::auth::Scoped;
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::fields::Body;
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::token::demand;
use super::zone::{MethodBody, StaffShippingMethod, Zone, ZoneBody};
use super::{AdminState, Answer, answer, created, store_zone as store};
use crate::db::violated_constraint;
use crate::web::error::{ApiError, Problem};

/// A page of a list.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

fn name_taken(error: sqlx::Error) -> ApiError {
    match violated_constraint(&error).as_deref() {
        Some("zone_name") => conflict("/name", "is the name of another zone: choose another"),
        Some("shipping_method_code") => {
            conflict("/code", "is the code of another method: choose another")
        }
        _ => error.into(),
    }
}

/// Lists zones.
#[utoipa::path(get, path = "/api/v1/admin/zones", tag = "staff: taxes", params(PageQuery),
    responses((status = 200, body = Page<Zone>), (status = "default", body = Problem)), security(("staff" = ["read:taxes"])))]
pub async fn zones(
    _: Scoped<demand::ReadTaxes>,
    state: web::Data<AdminState>,
    query: web::Query<PageQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("zones", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::zones(connection, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows a zone.
#[utoipa::path(get, path = "/api/v1/admin/zones/{id}", tag = "staff: taxes", params(("id" = i64, Path)),
    responses((status = 200, body = Zone), (status = "default", body = Problem)), security(("staff" = ["read:taxes"])))]
pub async fn zone(
    _: Scoped<demand::ReadTaxes>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let zone = state
        .read(move |connection| {
            Box::pin(async move {
                store::zone(connection, id)
                    .await?
                    .ok_or_else(|| not_found("zone", id))
            })
        })
        .await?;
    Ok(answer(zone.version, &zone))
}

async fn check_areas(change: &mut Change<'_>, id: i64, zone: &ZoneBody) -> Result<(), ApiError> {
    match store::area_elsewhere(change.connection, id, zone).await? {
        None => Ok(()),
        Some((country, region, other)) => Err(conflict(
            "/areas",
            format!(
                "{country}{}{region} is in the zone {other:?}: take it out there first",
                if region.is_empty() { "" } else { "-" }
            ),
        )),
    }
}

/// Creates a zone. What is taxed there counts for carts at once.
#[utoipa::path(post, path = "/api/v1/admin/zones", tag = "staff: taxes", request_body = ZoneBody,
    responses((status = 201, body = Zone), (status = "default", body = Problem)), security(("staff" = ["write:taxes"])))]
pub async fn create_zone(
    staff: Scoped<demand::WriteTaxes>,
    state: web::Data<AdminState>,
    body: Body<ZoneBody>,
) -> Answer {
    let zone = run(&state, staff.actor(), body.0, |change, zone| {
        Box::pin(async move {
            check_areas(change, 0, zone).await?;
            let id = store::zone_insert(change.connection, zone)
                .await
                .map_err(name_taken)?;
            let after = load_zone(change, id).await?;
            change
                .audit("zone.create", "zone", id, None, Some(&after))
                .await?;
            Ok(after)
        })
    })
    .await?;
    Ok(created(
        format!("/api/v1/admin/zones/{}", zone.id),
        zone.version,
        &zone,
    ))
}

async fn load_zone(change: &mut Change<'_>, id: i64) -> Result<Zone, ApiError> {
    store::zone_for_update(change.connection, id)
        .await?
        .ok_or_else(|| not_found("zone", id))
}

/// Replaces a zone with its areas and taxes.
#[utoipa::path(put, path = "/api/v1/admin/zones/{id}", tag = "staff: taxes",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = ZoneBody,
    responses((status = 200, body = Zone), (status = "default", body = Problem)), security(("staff" = ["write:taxes"])))]
pub async fn put_zone(
    staff: Scoped<demand::WriteTaxes>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<ZoneBody>,
) -> Answer {
    let input = (id.into_inner(), if_match, body.0);
    let zone = run(
        &state,
        staff.actor(),
        input,
        |change, (id, if_match, zone)| {
            Box::pin(async move {
                let before = load_zone(change, *id).await?;
                if_match.check(before.version)?;
                if before.zone == *zone {
                    return Ok(before);
                }
                check_areas(change, *id, zone).await?;
                if !store::zone_update(change.connection, &before, zone)
                    .await
                    .map_err(name_taken)?
                {
                    return Err(mismatch(before.version));
                }
                let after = load_zone(change, *id).await?;
                change
                    .audit("zone.update", "zone", *id, Some(&before), Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(zone.version, &zone))
}

/// Deletes a zone without shipping methods.
#[utoipa::path(delete, path = "/api/v1/admin/zones/{id}", tag = "staff: taxes",
    params(("id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 204), (status = "default", body = Problem)), security(("staff" = ["write:taxes"])))]
pub async fn delete_zone(
    staff: Scoped<demand::WriteTaxes>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
) -> Answer {
    let input = (id.into_inner(), if_match);
    run(&state, staff.actor(), input, |change, (id, if_match)| {
        Box::pin(async move {
            let before = load_zone(change, *id).await?;
            if_match.check(before.version)?;
            let methods = store::zone_methods(change.connection, *id).await?;
            if methods > 0 {
                return Err(conflict(
                    "/",
                    format!("{methods} shipping methods are in the zone: move them first"),
                ));
            }
            store::zone_delete(change.connection, *id).await?;
            change
                .audit("zone.delete", "zone", *id, Some(&before), None)
                .await
        })
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists shipping methods.
#[utoipa::path(get, path = "/api/v1/admin/shipping-methods", tag = "staff: shipping", params(PageQuery),
    responses((status = 200, body = Page<StaffShippingMethod>), (status = "default", body = Problem)), security(("staff" = ["read:shipping"])))]
pub async fn methods(
    _: Scoped<demand::ReadShipping>,
    state: web::Data<AdminState>,
    query: web::Query<PageQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("shipping-methods", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::methods(connection, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows a shipping method.
#[utoipa::path(get, path = "/api/v1/admin/shipping-methods/{id}", tag = "staff: shipping", params(("id" = i64, Path)),
    responses((status = 200, body = StaffShippingMethod), (status = "default", body = Problem)), security(("staff" = ["read:shipping"])))]
pub async fn method(
    _: Scoped<demand::ReadShipping>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let method = state
        .read(move |connection| {
            Box::pin(async move {
                store::method(connection, id)
                    .await?
                    .ok_or_else(|| not_found("shipping method", id))
            })
        })
        .await?;
    Ok(answer(method.version, &method))
}

async fn check_method(change: &mut Change<'_>, method: &MethodBody) -> Result<(), ApiError> {
    if !store::zone_exists(change.connection, method.zone_id).await? {
        return Err(unacceptable("/zone_id", "is not a zone"));
    }
    let currencies = &change.settings.currencies;
    if let Some(rate) = method
        .rates
        .iter()
        .find(|rate| !currencies.contains(&rate.currency))
    {
        return Err(unacceptable(
            "/rates",
            format!("{} is not a currency of this shop", rate.currency),
        ));
    }
    Ok(())
}

/// Creates a shipping method.
#[utoipa::path(post, path = "/api/v1/admin/shipping-methods", tag = "staff: shipping", request_body = MethodBody,
    responses((status = 201, body = StaffShippingMethod), (status = "default", body = Problem)), security(("staff" = ["write:shipping"])))]
pub async fn create_method(
    staff: Scoped<demand::WriteShipping>,
    state: web::Data<AdminState>,
    body: Body<MethodBody>,
) -> Answer {
    let method = run(&state, staff.actor(), body.0, |change, method| {
        Box::pin(async move {
            check_method(change, method).await?;
            let id = store::method_insert(change.connection, method)
                .await
                .map_err(name_taken)?;
            let after = load_method(change, id).await?;
            change
                .audit(
                    "shipping_method.create",
                    "shipping_method",
                    id,
                    None,
                    Some(&after),
                )
                .await?;
            Ok(after)
        })
    })
    .await?;
    Ok(created(
        format!("/api/v1/admin/shipping-methods/{}", method.id),
        method.version,
        &method,
    ))
}

async fn load_method(change: &mut Change<'_>, id: i64) -> Result<StaffShippingMethod, ApiError> {
    store::method_for_update(change.connection, id)
        .await?
        .ok_or_else(|| not_found("shipping method", id))
}

/// Replaces a shipping method with its rates, all but its code. Orders keep what they were placed with.
#[utoipa::path(put, path = "/api/v1/admin/shipping-methods/{id}", tag = "staff: shipping",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = MethodBody,
    responses((status = 200, body = StaffShippingMethod), (status = "default", body = Problem)), security(("staff" = ["write:shipping"])))]
pub async fn put_method(
    staff: Scoped<demand::WriteShipping>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<MethodBody>,
) -> Answer {
    let input = (id.into_inner(), if_match, body.0);
    let method = run(
        &state,
        staff.actor(),
        input,
        |change, (id, if_match, method)| {
            Box::pin(async move {
                let before = load_method(change, *id).await?;
                if_match.check(before.version)?;
                if before.method == *method {
                    return Ok(before);
                }
                if before.method.code != method.code {
                    return Err(unacceptable(
                        "/code",
                        format!(
                            "is fixed: {:?}; make another method instead",
                            before.method.code
                        ),
                    ));
                }
                check_method(change, method).await?;
                if !store::method_update(change.connection, &before, method).await? {
                    return Err(mismatch(before.version));
                }
                let after = load_method(change, *id).await?;
                change
                    .audit(
                        "shipping_method.update",
                        "shipping_method",
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
    Ok(answer(method.version, &method))
}

/// Adds the routes of this file to the scope of the staff API.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    use actix_web::web::resource;

    config
        .service(
            resource("/zones")
                .route(web::get().to(zones))
                .route(web::post().to(create_zone)),
        )
        .service(
            resource("/zones/{id}")
                .route(web::get().to(zone))
                .route(web::put().to(put_zone))
                .route(web::delete().to(delete_zone)),
        )
        .service(
            resource("/shipping-methods")
                .route(web::get().to(methods))
                .route(web::post().to(create_method)),
        )
        .service(
            resource("/shipping-methods/{id}")
                .route(web::get().to(method))
                .route(web::put().to(put_method)),
        );
}
