//! Routes of variants, prices and stock.

use actix_web::{HttpResponse, web};

use super::auth::{Actor, Scoped};
use super::change::{Change, conflict, not_found, run};
use super::events::Event;
use super::fields::Body;
use super::page::Page;
use super::precondition::{IfMatch, mismatch};
use super::token::demand;
use super::variant::{NewVariant, Variant, VariantPatch};
use super::{AdminState, Answer, answer, created, store_product, store_variant as store};
use crate::db::violated_constraint;
use crate::web::error::{ApiError, Code, Problem};

/// Most variants of a product: what the pages of a product can show.
const MOST_VARIANTS: i64 = 1000;

/// Lists the variants of a product, all of them: there are at most 1000.
#[utoipa::path(get, path = "/api/v1/admin/products/{id}/variants", tag = "staff: variants", params(("id" = i64, Path)),
    responses((status = 200, body = Page<Variant>), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn list(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let items = state
        .read(move |connection| {
            Box::pin(async move {
                store_product::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("product", id))?;
                Ok(store::of_product(connection, id).await?)
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(Page { items, next: None }))
}

/// Shows a variant.
#[utoipa::path(get, path = "/api/v1/admin/variants/{id}", tag = "staff: variants", params(("id" = i64, Path)),
    responses((status = 200, body = Variant), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn get(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let variant = state
        .read(move |connection| {
            Box::pin(async move {
                store::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("variant", id))
            })
        })
        .await?;
    Ok(answer(variant.version, &variant))
}

fn sku_taken(error: sqlx::Error) -> ApiError {
    match violated_constraint(&error).as_deref() {
        Some("variant_sku") => conflict("/sku", "is the SKU of another variant: choose another"),
        _ => error.into(),
    }
}

/// Checks the chosen options against those of the product, and writes them.
async fn choose(change: &mut Change<'_>, variant: &Variant) -> Result<(), ApiError> {
    let known = store::option_values(change.connection, variant.product_id).await?;
    let mut error = ApiError::new(Code::Unprocessable).detail("see `errors`");
    let mut chosen = Vec::new();
    for (name, value) in &variant.options {
        let field = format!("/options/{}", name.replace('~', "~0").replace('/', "~1"));
        match known.get(name) {
            None => error = error.field(field, "is not an option of the product: set those first"),
            Some((option, values)) => match values.get(value) {
                None => error = error.field(
                    field,
                    format!(
                        "{value:?} is not a value of this option: set those of the product first"
                    ),
                ),
                Some(value) => chosen.push((*option, *value)),
            },
        }
    }
    let missing = known
        .keys()
        .filter(|name| !variant.options.contains_key(*name));
    for name in missing {
        error = error.field("/options", format!("must have a value for {name}"));
    }
    if !error.fields.is_empty() {
        return Err(error);
    }
    let siblings = store::of_product(change.connection, variant.product_id).await?;
    let twin = siblings.iter().find(|other| {
        other.id != variant.id
            && other.status == "active"
            && !known.is_empty()
            && other.options == variant.options
    });
    if let Some(twin) = twin.filter(|_| variant.status == "active") {
        return Err(conflict(
            "/options",
            format!("the variant {} has the same options", twin.sku),
        ));
    }
    Ok(store::options_set(change.connection, variant.id, &chosen).await?)
}

async fn load(change: &mut Change<'_>, id: i64) -> Result<Variant, ApiError> {
    store::get_for_update(change.connection, id)
        .await?
        .ok_or_else(|| not_found("variant", id))
}

/// Locks the product of a variant and then the variant.
pub(super) async fn lock(change: &mut Change<'_>, id: i64) -> Result<Variant, ApiError> {
    let product = store::product_of(change.connection, id)
        .await?
        .ok_or_else(|| not_found("variant", id))?;
    store_product::lock(change.connection, product).await?;
    load(change, id).await
}

/// Adds a variant to a product.
#[utoipa::path(post, path = "/api/v1/admin/products/{id}/variants", tag = "staff: variants", params(("id" = i64, Path)),
    request_body = NewVariant, responses((status = 201, body = Variant), (status = "default", body = Problem)),
    security(("staff" = ["write:products"])))]
pub async fn create(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    body: Body<NewVariant>,
) -> Answer {
    let variant = run(
        &state,
        staff.actor(),
        (id.into_inner(), body.0),
        |change, (product, body)| {
            Box::pin(async move {
                if !store_product::lock(change.connection, *product).await? {
                    return Err(not_found("product", *product));
                }
                if store::count(change.connection, *product).await? >= MOST_VARIANTS {
                    return Err(ApiError::new(Code::Unprocessable)
                        .detail(format!("a product has at most {MOST_VARIANTS} variants")));
                }
                let id = store::insert(change.connection, *product, body.sku.as_str())
                    .await
                    .map_err(sku_taken)?;
                let before = load(change, id).await?;
                let mut after = before.clone();
                body.patch.apply(&mut after);
                choose(change, &after).await?;
                if after != before {
                    store::update(change.connection, &before, &after).await?;
                }
                let after = load(change, id).await?;
                change.event(Event::ProductChanged { product: *product });
                change.derive([*product]);
                change
                    .audit("variant.create", "variant", id, None, Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(created(
        format!("/api/v1/admin/variants/{}", variant.id),
        variant.version,
        &variant,
    ))
}

enum VariantEdit {
    Patch(VariantPatch),
    Archive,
}

async fn edit(
    state: &AdminState,
    actor: Actor,
    id: i64,
    if_match: IfMatch,
    edit: VariantEdit,
) -> Answer {
    let variant = run(
        state,
        actor,
        (id, if_match, edit),
        |change, (id, if_match, edit)| {
            Box::pin(async move {
                let before = lock(change, *id).await?;
                if_match.check(before.version)?;
                let mut after = before.clone();
                let action = match edit {
                    VariantEdit::Patch(patch) => {
                        patch.apply(&mut after);
                        "variant.update"
                    }
                    VariantEdit::Archive => {
                        "archived".clone_into(&mut after.status);
                        "variant.archive"
                    }
                };
                if after == before {
                    return Ok(before);
                }
                if !store::update(change.connection, &before, &after)
                    .await
                    .map_err(sku_taken)?
                {
                    return Err(mismatch(before.version));
                }
                if after.options != before.options {
                    choose(change, &after).await?;
                }
                let after = load(change, *id).await?;
                change.event(Event::ProductChanged {
                    product: after.product_id,
                });
                change.derive([after.product_id]);
                change
                    .audit(action, "variant", *id, Some(&before), Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(variant.version, &variant))
}

/// Changes a variant.
#[utoipa::path(patch, path = "/api/v1/admin/variants/{id}", tag = "staff: variants",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body(content = VariantPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Variant), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn patch(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<VariantPatch>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        VariantEdit::Patch(body.0),
    )
    .await
}

/// Takes a variant out of the catalogue.
#[utoipa::path(post, path = "/api/v1/admin/variants/{id}/archive", tag = "staff: variants",
    params(("id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = Variant), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn archive(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        VariantEdit::Archive,
    )
    .await
}
