//! Routes of categories and brands.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::auth::{Actor, Scoped};
use super::category::{
    Brand, BrandPatch, Category, CategoryEdit, CategoryNode, CategoryPatch, Move, NewBrand,
    NewCategory, Order, tree,
};
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::events::Event;
use super::fields::Body;
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::product::NewSlug;
use super::route_product::{check_locales, slug_taken};
use super::token::demand;
use super::{AdminState, Answer, answer, created, store_category as store, store_product};
use crate::catalog::model::Slug;
use crate::catalog::tree::{PlaceCategoryError, place_category, products_below};
use crate::web::error::{ApiError, Code, Problem};

/// Most products whose listings are derived anew by one change: what a transaction of a group takes in good time.
pub(super) const MOST_DERIVED: u32 = 20_000;

/// Shows all categories as a tree.
#[utoipa::path(get, path = "/api/v1/admin/categories", tag = "staff: categories",
    responses((status = 200, body = Page<CategoryNode>), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn list(_: Scoped<demand::ReadCatalog>, state: web::Data<AdminState>) -> Answer {
    let locale = state.first_locale().to_owned();
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::nodes(connection, &locale).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(Page {
        items: tree(rows),
        next: None,
    }))
}

/// Shows a category.
#[utoipa::path(get, path = "/api/v1/admin/categories/{id}", tag = "staff: categories", params(("id" = i64, Path)),
    responses((status = 200, body = Category), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn get(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let category = state
        .read(move |connection| {
            Box::pin(async move {
                store::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("category", id))
            })
        })
        .await?;
    Ok(answer(category.version, &category))
}

async fn load(change: &mut Change<'_>, id: i64) -> Result<Category, ApiError> {
    store::get_for_update(change.connection, id)
        .await?
        .ok_or_else(|| not_found("category", id))
}

/// Refuses a picture that nobody uploaded.
async fn check_picture(
    change: &mut Change<'_>,
    before: &Category,
    after: &Category,
) -> Result<(), ApiError> {
    match &after.media_hash {
        Some(hash)
            if before.media_hash != after.media_hash
                && !store_product::media_exists(change.connection, hash).await? =>
        {
            Err(unacceptable(
                "/media_hash",
                "no picture with this hash was uploaded",
            ))
        }
        _ => Ok(()),
    }
}

async fn place(change: &mut Change<'_>, id: i64, parent: Option<i64>) -> Result<(), ApiError> {
    if let Some(parent) = parent
        && let Some(above) = store::get(change.connection, parent).await?
        && above.status == "archived"
    {
        return Err(unacceptable(
            "/parent_id",
            format!("category {parent} is archived"),
        ));
    }
    match place_category(change.connection, id, parent).await {
        Ok(_) => Ok(()),
        Err(PlaceCategoryError::Database(error)) => Err(error.into()),
        Err(refused) => Err(unacceptable("/parent_id", refused.to_string())),
    }
}

/// Creates a category.
#[utoipa::path(post, path = "/api/v1/admin/categories", tag = "staff: categories", request_body = NewCategory,
    responses((status = 201, body = Category), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn create(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    body: Body<NewCategory>,
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
        None => Slug::from_name(&text.name)
            .ok_or_else(|| unacceptable("/slug", "cannot be made of the name: send one"))?,
    };
    let category = run(
        &state,
        staff.actor(),
        (body.0, slug),
        |change, (body, slug)| {
            Box::pin(async move {
                if store::count(change.connection).await? >= store::MOST_CATEGORIES {
                    return Err(ApiError::new(Code::Unprocessable).detail(format!(
                        "a shop has at most {} categories",
                        store::MOST_CATEGORIES
                    )));
                }
                let id = store::insert(change.connection, slug.as_str(), body.position)
                    .await
                    .map_err(slug_taken)?;
                place(change, id, body.parent_id).await?;
                let before = load(change, id).await?;
                let after = Category {
                    media_hash: body.media_hash.clone(),
                    translations: body.translations.clone(),
                    ..before.clone()
                };
                check_picture(change, &before, &after).await?;
                store::update(change.connection, &before, &after).await?;
                store_product::redirect_forget(change.connection, "category", slug.as_str())
                    .await?;
                let after = load(change, id).await?;
                let ancestors = store::above(change.connection, id).await?;
                change.event(Event::CategoryAppeared {
                    category: id,
                    slug: after.slug.clone(),
                    ancestors,
                });
                change
                    .audit("category.create", "category", id, None, Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(created(
        format!("/api/v1/admin/categories/{}", category.id),
        category.version,
        &category,
    ))
}

async fn edit(
    state: &AdminState,
    actor: Actor,
    id: i64,
    if_match: IfMatch,
    edit: CategoryEdit,
) -> Answer {
    let category = run(
        state,
        actor,
        (id, if_match, edit),
        |change, (id, if_match, edit)| Box::pin(edit_in(change, *id, if_match, edit)),
    )
    .await?;
    Ok(answer(category.version, &category))
}

async fn edit_in(
    change: &mut Change<'_>,
    id: i64,
    if_match: &IfMatch,
    edit: &CategoryEdit,
) -> Result<Category, ApiError> {
    let before = load(change, id).await?;
    if_match.check(before.version)?;
    let mut after = before.clone();
    edit.apply(&mut after);
    if after == before {
        return Ok(before);
    }
    check_picture(change, &before, &after).await?;
    if !store::update(change.connection, &before, &after)
        .await
        .map_err(slug_taken)?
    {
        return Err(mismatch(before.version));
    }
    let above = store::above(change.connection, id).await?;
    if before.slug != after.slug {
        store_product::redirect(change.connection, "category", &before.slug, &after.slug, id)
            .await?;
        change.event(Event::CategoryMoved {
            category: id,
            from: before.slug.clone(),
            to: after.slug.clone(),
        });
    }
    if before.parent_id != after.parent_id {
        let mut touched = above.clone();
        place(change, id, after.parent_id).await?;
        touched.extend(store::above(change.connection, id).await?);
        touched.extend(store::below(change.connection, id).await?);
        touched.insert(id);
        change.event(Event::CategoryPlaced { touched });
        let products = products_below(change.connection, id, 0, MOST_DERIVED + 1).await?;
        derive(change, products)?;
    }
    if before.status != after.status {
        if store::has_active_child(change.connection, id).await? {
            return Err(conflict(
                "status",
                "there are categories in it: archive or move those first",
            ));
        }
        change.event(Event::CategoryTakenDown {
            category: id,
            slug: after.slug.clone(),
            ancestors: above,
        });
        // What it fed is listed above it no longer.
        let products = products_below(change.connection, id, 0, MOST_DERIVED + 1).await?;
        derive(change, products)?;
    } else if before.translations != after.translations
        || before.position != after.position
        || before.media_hash != after.media_hash
    {
        change.event(Event::CategoryChanged { category: id });
    }
    let after = load(change, id).await?;
    change
        .audit(edit.action(), "category", id, Some(&before), Some(&after))
        .await?;
    Ok(after)
}

pub(super) fn derive(change: &mut Change<'_>, products: Vec<i64>) -> Result<(), ApiError> {
    if u32::try_from(products.len()).is_ok_and(|count| count > MOST_DERIVED) {
        return Err(ApiError::new(Code::Unprocessable).detail(format!(
            "more than {MOST_DERIVED} products would have to be listed anew at once: change smaller parts one after the other"
        )));
    }
    change.derive(products);
    Ok(())
}

/// Changes the texts or the position of a category.
#[utoipa::path(patch, path = "/api/v1/admin/categories/{id}", tag = "staff: categories",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body(content = CategoryPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Category), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn patch(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<CategoryPatch>,
) -> Answer {
    check_locales(
        &state,
        body.0.translations.iter().flat_map(|texts| texts.keys()),
    )?;
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        CategoryEdit::Patch(body.0),
    )
    .await
}

/// Gives a category another address; the old one redirects.
#[utoipa::path(put, path = "/api/v1/admin/categories/{id}/slug", tag = "staff: categories",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = NewSlug,
    responses((status = 200, body = Category), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn slug(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<NewSlug>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        CategoryEdit::Slug(body.0.slug),
    )
    .await
}

/// Moves a category, with all below it, into another one or to the top.
#[utoipa::path(put, path = "/api/v1/admin/categories/{id}/parent", tag = "staff: categories",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = Move,
    responses((status = 200, body = Category), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn parent(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<Move>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        CategoryEdit::Move(body.0.parent_id),
    )
    .await
}

/// Takes an empty part of the tree out of the catalogue: the category's address answers 410.
#[utoipa::path(post, path = "/api/v1/admin/categories/{id}/archive", tag = "staff: categories",
    params(("id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = Category), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn archive(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        CategoryEdit::Archive,
    )
    .await
}

/// Orders the children of a category. Naming all of them takes the place of `If-Match`.
#[utoipa::path(put, path = "/api/v1/admin/categories/order", tag = "staff: categories", request_body = Order,
    responses((status = 204), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn order(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    body: Body<Order>,
) -> Answer {
    run(&state, staff.actor(), body.0, |change, order| {
        Box::pin(async move {
            let before = store::children_for_update(change.connection, order.parent_id).await?;
            let ids: Vec<i64> = before.iter().map(|(id, _)| *id).collect();
            order.check(&ids)?;
            let after: Vec<(i64, i32)> = order.category_ids.iter().copied().zip(0_i32..).collect();
            let mut changed: Vec<&(i64, i32)> = after
                .iter()
                .filter(|place| !before.contains(place))
                .collect();
            changed.sort_unstable();
            if changed.is_empty() {
                return Ok(());
            }
            for (id, position) in changed {
                store::set_position(change.connection, *id, *position).await?;
                change.event(Event::CategoryChanged { category: *id });
            }
            if let Some(parent) = order.parent_id {
                change.event(Event::CategoryChanged { category: parent });
            }
            let entity = order.parent_id.unwrap_or_default();
            change
                .audit(
                    "category.order",
                    "category",
                    entity,
                    Some(&before),
                    Some(&after),
                )
                .await
        })
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Filters of the list of brands.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BrandQuery {
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists brands.
#[utoipa::path(get, path = "/api/v1/admin/brands", tag = "staff: brands", params(BrandQuery),
    responses((status = 200, body = Page<Brand>), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn brands(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    query: web::Query<BrandQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("brands", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::brands(connection, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows a brand.
#[utoipa::path(get, path = "/api/v1/admin/brands/{id}", tag = "staff: brands", params(("id" = i64, Path)),
    responses((status = 200, body = Brand), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn brand(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let brand = state
        .read(move |connection| {
            Box::pin(async move {
                store::brand_get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("brand", id))
            })
        })
        .await?;
    Ok(answer(brand.version, &brand))
}

/// Creates a brand.
#[utoipa::path(post, path = "/api/v1/admin/brands", tag = "staff: brands", request_body = NewBrand,
    responses((status = 201, body = Brand), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn create_brand(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    body: Body<NewBrand>,
) -> Answer {
    let NewBrand { slug, name } = body.0;
    let slug = slug
        .or_else(|| Slug::from_name(&name))
        .ok_or_else(|| unacceptable("/slug", "cannot be made of the name: send one"))?;
    let brand = run(
        &state,
        staff.actor(),
        (slug, name),
        |change, (slug, name)| {
            Box::pin(async move {
                let id = store::brand_insert(change.connection, slug.as_str(), name)
                    .await
                    .map_err(slug_taken)?;
                let after = store::brand_get(change.connection, id)
                    .await?
                    .ok_or_else(|| not_found("brand", id))?;
                change
                    .audit("brand.create", "brand", id, None, Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(created(
        format!("/api/v1/admin/brands/{}", brand.id),
        brand.version,
        &brand,
    ))
}

/// Changes a brand.
#[utoipa::path(patch, path = "/api/v1/admin/brands/{id}", tag = "staff: brands",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body(content = BrandPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Brand), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn patch_brand(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<BrandPatch>,
) -> Answer {
    let brand = run(
        &state,
        staff.actor(),
        (id.into_inner(), if_match, body.0),
        |change, (id, if_match, patch)| {
            Box::pin(async move {
                let before = store::brand_for_update(change.connection, *id)
                    .await?
                    .ok_or_else(|| not_found("brand", *id))?;
                if_match.check(before.version)?;
                let mut after = before.clone();
                if let Some(slug) = &patch.slug {
                    slug.as_str().clone_into(&mut after.slug);
                }
                if let Some(name) = &patch.name {
                    after.name.clone_from(name);
                }
                if after == before {
                    return Ok(before);
                }
                if !store::brand_update(change.connection, &after, before.version)
                    .await
                    .map_err(slug_taken)?
                {
                    return Err(mismatch(before.version));
                }
                after.version += 1;
                if before.name != after.name {
                    let products =
                        store::brand_products(change.connection, *id, MOST_DERIVED + 1).await?;
                    for product in &products {
                        change.event(Event::ProductChanged { product: *product });
                    }
                    derive(change, products)?;
                }
                change
                    .audit("brand.update", "brand", *id, Some(&before), Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(brand.version, &brand))
}
