//! Routes of promotions and coupons.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::auth::Scoped;
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::fields::Body;
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::promotion::{
    Coupon, CouponsBody, MadeCoupons, PromotionBody, PromotionStatus, StaffPromotion,
};
use super::token::demand;
use super::{AdminState, Answer, answer, created, store_promotion as store};
use crate::db::violated_constraint;
use crate::promotions::model::{CouponCode, MOST_AUTOMATIC};
use crate::web::error::{ApiError, Code, Problem};

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

/// Lists promotions.
#[utoipa::path(get, path = "/api/v1/admin/promotions", tag = "staff: promotions", params(PageQuery),
    responses((status = 200, body = Page<StaffPromotion>), (status = "default", body = Problem)), security(("staff" = ["read:promotions"])))]
pub async fn list(
    _: Scoped<demand::ReadPromotions>,
    state: web::Data<AdminState>,
    query: web::Query<PageQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("promotions", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::list(connection, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows a promotion.
#[utoipa::path(get, path = "/api/v1/admin/promotions/{id}", tag = "staff: promotions", params(("id" = i64, Path)),
    responses((status = 200, body = StaffPromotion), (status = "default", body = Problem)), security(("staff" = ["read:promotions"])))]
pub async fn get(
    _: Scoped<demand::ReadPromotions>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let promotion = state
        .read(move |connection| {
            Box::pin(async move {
                store::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("promotion", id))
            })
        })
        .await?;
    Ok(answer(promotion.version, &promotion))
}

async fn load(change: &mut Change<'_>, id: i64) -> Result<StaffPromotion, ApiError> {
    store::get_for_update(change.connection, id)
        .await?
        .ok_or_else(|| not_found("promotion", id))
}

/// Promotions without a coupon are looked at for every cart, so there is a bound.
async fn check_number(
    change: &mut Change<'_>,
    id: i64,
    promotion: &PromotionBody,
) -> Result<(), ApiError> {
    let counts = promotion.status == PromotionStatus::Active && !promotion.needs_coupon;
    if counts && store::automatic(change.connection, id).await? >= MOST_AUTOMATIC {
        return Err(conflict(
            "/status",
            format!("{MOST_AUTOMATIC} promotions without a coupon are active: archive one first"),
        ));
    }
    Ok(())
}

/// Creates a promotion.
#[utoipa::path(post, path = "/api/v1/admin/promotions", tag = "staff: promotions", request_body = PromotionBody,
    responses((status = 201, body = StaffPromotion), (status = "default", body = Problem)), security(("staff" = ["write:promotions"])))]
pub async fn create(
    staff: Scoped<demand::WritePromotions>,
    state: web::Data<AdminState>,
    body: Body<PromotionBody>,
) -> Answer {
    let promotion = run(&state, staff.actor(), body.0, |change, promotion| {
        Box::pin(async move {
            check_number(change, 0, promotion).await?;
            let id = store::insert(change.connection, promotion).await?;
            let after = load(change, id).await?;
            change
                .audit("promotion.create", "promotion", id, None, Some(&after))
                .await?;
            Ok(after)
        })
    })
    .await?;
    Ok(created(
        format!("/api/v1/admin/promotions/{}", promotion.id),
        promotion.version,
        &promotion,
    ))
}

/// Replaces a promotion. Orders keep what they were placed with.
#[utoipa::path(put, path = "/api/v1/admin/promotions/{id}", tag = "staff: promotions",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = PromotionBody,
    responses((status = 200, body = StaffPromotion), (status = "default", body = Problem)), security(("staff" = ["write:promotions"])))]
pub async fn put(
    staff: Scoped<demand::WritePromotions>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<PromotionBody>,
) -> Answer {
    let input = (id.into_inner(), if_match, body.0);
    let promotion = run(
        &state,
        staff.actor(),
        input,
        |change, (id, if_match, after)| {
            Box::pin(async move {
                let before = load(change, *id).await?;
                if_match.check(before.version)?;
                if before.promotion == *after {
                    return Ok(before);
                }
                if let Some((field, message)) = after.refusal(&before.promotion) {
                    return Err(unacceptable(field, message));
                }
                check_number(change, *id, after).await?;
                let written = store::update(change.connection, &before, after).await;
                let written =
                    written.map_err(|error| match violated_constraint(&error).as_deref() {
                        Some("promotion_used") => unacceptable(
                            "/usage_limit",
                            format!(
                                "must not be less than the {} orders that have it",
                                before.used
                            ),
                        ),
                        _ => error.into(),
                    })?;
                if !written {
                    return Err(mismatch(before.version));
                }
                let after = load(change, *id).await?;
                change
                    .audit(
                        "promotion.update",
                        "promotion",
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
    Ok(answer(promotion.version, &promotion))
}

/// Lists the coupons of a promotion.
#[utoipa::path(get, path = "/api/v1/admin/promotions/{id}/coupons", tag = "staff: promotions", params(("id" = i64, Path), PageQuery),
    responses((status = 200, body = Page<Coupon>), (status = "default", body = Problem)), security(("staff" = ["read:promotions"])))]
pub async fn coupons(
    _: Scoped<demand::ReadPromotions>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    query: web::Query<PageQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let id = id.into_inner();
    let list = Query::new("coupons", &id);
    let after: String = list.after(query.after.as_deref())?.unwrap_or_default();
    let rows = state
        .read(move |connection| {
            Box::pin(async move {
                store::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("promotion", id))?;
                Ok(store::coupons(connection, id, &after, limit + 1).await?)
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.code.clone())))
}

/// Makes coupons for a promotion, at most 1000 at once: all or none.
#[utoipa::path(post, path = "/api/v1/admin/promotions/{id}/coupons", tag = "staff: promotions",
    params(("id" = i64, Path)), request_body = CouponsBody,
    responses((status = 201, body = MadeCoupons), (status = "default", body = Problem)), security(("staff" = ["write:promotions"])))]
pub async fn create_coupons(
    staff: Scoped<demand::WritePromotions>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    body: Body<CouponsBody>,
) -> Answer {
    let codes = body.0.wanted();
    let input = (id.into_inner(), body.0, codes);
    let made = run(&state, staff.actor(), input, |change, (id, body, codes)| {
        Box::pin(async move {
            let promotion = load(change, *id).await?;
            if !promotion.promotion.needs_coupon {
                return Err(conflict(
                    "/",
                    "the promotion applies without a coupon: make one that needs coupons",
                ));
            }
            if promotion.promotion.status == PromotionStatus::Archived {
                return Err(conflict("/", "the promotion is archived"));
            }
            if let Some(taken) = store::coupon_taken(change.connection, codes).await? {
                return Err(conflict(
                    "/codes",
                    format!("{taken} is a coupon already: choose another code"),
                ));
            }
            let limits = (body.usage_limit, body.per_customer_limit);
            store::coupons_insert(change.connection, *id, codes, limits).await?;
            change
                .audit("coupon.create", "promotion", *id, None, Some(codes))
                .await?;
            Ok(codes.clone())
        })
    })
    .await?;
    Ok(HttpResponse::Created().json(MadeCoupons { codes: made }))
}

/// Ends a coupon: carts cannot use it any more. Again has no effect.
#[utoipa::path(post, path = "/api/v1/admin/coupons/{code}/archive", tag = "staff: promotions", params(("code" = String, Path)),
    responses((status = 200, body = Coupon), (status = "default", body = Problem)), security(("staff" = ["write:promotions"])))]
pub async fn archive_coupon(
    staff: Scoped<demand::WritePromotions>,
    state: web::Data<AdminState>,
    code: web::Path<String>,
) -> Answer {
    let missing = || ApiError::new(Code::NotFound).detail("there is no such coupon");
    let code = CouponCode::parse(&code).ok_or_else(missing)?;
    let coupon = run(&state, staff.actor(), code, |change, code| {
        Box::pin(async move {
            let missing = || ApiError::new(Code::NotFound).detail("there is no such coupon");
            let before = store::coupon_for_update(change.connection, code.as_str())
                .await?
                .ok_or_else(missing)?;
            if before.status == "archived" {
                return Ok(before);
            }
            store::coupon_archive(change.connection, code.as_str()).await?;
            let after = Coupon {
                status: "archived".to_owned(),
                ..before.clone()
            };
            change
                .audit(
                    "coupon.archive",
                    "promotion",
                    before.promotion_id,
                    Some(&before),
                    Some(&after),
                )
                .await?;
            Ok(after)
        })
    })
    .await?;
    Ok(HttpResponse::Ok().json(coupon))
}

/// Adds the routes of this file to the scope of the staff API.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    use actix_web::web::resource;

    config
        .service(
            resource("/promotions")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            resource("/promotions/{id}")
                .route(web::get().to(get))
                .route(web::put().to(put)),
        )
        .service(
            resource("/promotions/{id}/coupons")
                .route(web::get().to(coupons))
                .route(web::post().to(create_coupons)),
        )
        .service(resource("/coupons/{code}/archive").route(web::post().to(archive_coupon)));
}
