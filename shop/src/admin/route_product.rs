//! Routes of products.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::attribute::{AttributeKind, ProductAttributes};
use super::auth::Scoped;
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::events::Event;
use super::fields::{Body, microseconds};
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::product::{
    NewProduct, NewSlug, Options, Pictures, Position, Product, ProductPatch, Publication, Text,
};
use super::product_edit::{ProductEdit, events};
use super::store_product::{self as store, ProductFilter, ProductSummary};
use super::token::demand;
use super::{AdminState, Answer, answer, created, store_attribute};
use crate::catalog::model::Slug;
use crate::db::violated_constraint;
use crate::web::error::{ApiError, Code, Problem};

/// Filters of the list of products.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProductQuery {
    /// Only with this status: draft, active or archived.
    status: Option<String>,
    /// Only with a slug that begins so.
    slug: Option<String>,
    /// Only the product with this SKU.
    sku: Option<String>,
    /// In the order of changes, beginning with this moment (RFC 3339).
    updated_since: Option<String>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists products.
#[utoipa::path(get, path = "/api/v1/admin/products", tag = "staff: products", params(ProductQuery),
    responses((status = 200, body = Page<ProductSummary>), (status = "default", body = Problem)),
    security(("staff" = ["read:catalog"])))]
pub async fn list(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    query: web::Query<ProductQuery>,
) -> Answer {
    let asked = query.into_inner();
    let mut error = ApiError::new(Code::InvalidRequest);
    let status = asked.status.as_deref().and_then(|status| {
        status
            .parse::<super::product::Status>()
            .map_err(|message| {
                error = std::mem::replace(&mut error, ApiError::new(Code::InvalidRequest))
                    .field("status", message)
            })
            .ok()
    });
    let updated_since = asked.updated_since.as_deref().and_then(|text| {
        let instant = OffsetDateTime::parse(text, &Rfc3339).ok();
        if instant.is_none() {
            error = std::mem::replace(&mut error, ApiError::new(Code::InvalidRequest)).field(
                "updated_since",
                "must be an instant such as 2030-01-31T12:00:00Z",
            );
        }
        instant.map(microseconds)
    });
    if !error.fields.is_empty() {
        return Err(error);
    }
    let limit = limit(asked.limit)?;
    let filter = ProductFilter {
        locale: state.first_locale().to_owned(),
        status: status.map(super::product::Status::name),
        slug: asked.slug,
        sku: asked.sku,
        updated_since,
    };
    let list = Query::new("products", &filter);
    let after: Option<(i128, i64)> = list.after(asked.after.as_deref())?;
    let after = after.and_then(|(nanoseconds, id)| {
        Some((
            OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?,
            id,
        ))
    });
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::list(connection, &filter, after, limit + 1).await?) })
        })
        .await?;
    let page = list.page(rows, limit, |row| {
        (row.updated_at.unix_timestamp_nanos(), row.id)
    });
    Ok(HttpResponse::Ok().json(page))
}

async fn load(change: &mut Change<'_>, id: i64) -> Result<Product, ApiError> {
    store::get(change.connection, id)
        .await?
        .ok_or_else(|| not_found("product", id))
}

/// Shows a product.
#[utoipa::path(get, path = "/api/v1/admin/products/{id}", tag = "staff: products", params(("id" = i64, Path)),
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn get(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let product = state
        .read(move |connection| {
            Box::pin(async move {
                store::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("product", id))
            })
        })
        .await?;
    Ok(answer(product.version, &product))
}

/// Creates a product, as a draft.
#[utoipa::path(post, path = "/api/v1/admin/products", tag = "staff: products", request_body = NewProduct,
    responses((status = 201, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn create(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    body: Body<NewProduct>,
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
    let product = run(
        &state,
        staff.actor(),
        (body.0, slug),
        |change, (body, slug)| {
            Box::pin(async move {
                let id = store::insert(change.connection, slug.as_str())
                    .await
                    .map_err(slug_taken)?;
                let before = load(change, id).await?;
                let mut after = before.clone();
                after.translations.clone_from(&body.translations);
                let edit = ProductEdit::Patch(body.patch.clone());
                edit.apply(&mut after, first_locale(change), change.now)?;
                check_references(change, &before, &after).await?;
                store::update(change.connection, &before, &after).await?;
                if slug_was_redirect(change, slug.as_str()).await? {
                    change.event(Event::ProductMoved {
                        product: id,
                        from: slug.to_string(),
                        to: slug.to_string(),
                    });
                }
                let after = load(change, id).await?;
                change.derive([id]);
                change
                    .audit("product.create", "product", id, None, Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(created(
        format!("/api/v1/admin/products/{}", product.id),
        product.version,
        &product,
    ))
}

async fn slug_was_redirect(change: &mut Change<'_>, slug: &str) -> Result<bool, ApiError> {
    Ok(store::redirect_forget(change.connection, "product", slug).await?)
}

fn first_locale<'a>(change: &Change<'a>) -> &'a str {
    change.settings.first_locale()
}

/// Says which locales are not the shop's.
///
/// # Errors
/// 422 with each of them.
pub fn check_locales<'a>(
    state: &AdminState,
    locales: impl Iterator<Item = &'a String>,
) -> Result<(), ApiError> {
    let known: Vec<&str> = state
        .settings
        .locales
        .iter()
        .map(crate::catalog::model::Locale::as_str)
        .collect();
    let mut error = ApiError::new(Code::Unprocessable).detail("see `errors`");
    for locale in locales.filter(|locale| !known.contains(&locale.as_str())) {
        error = error.field(
            format!("/translations/{locale}"),
            format!(
                "is not a locale of this shop, which has {}",
                known.join(", ")
            ),
        );
    }
    if error.fields.is_empty() {
        Ok(())
    } else {
        Err(error)
    }
}

/// The answer to a slug that another one has.
pub fn slug_taken(error: sqlx::Error) -> ApiError {
    match violated_constraint(&error).as_deref() {
        Some("product_slug" | "category_slug" | "brand_slug") => {
            conflict("/slug", "is the slug of another one: choose another")
        }
        _ => error.into(),
    }
}

/// Checks that what a product newly refers to is there; all that is not is named at once.
async fn check_references(
    change: &mut Change<'_>,
    before: &Product,
    after: &Product,
) -> Result<(), ApiError> {
    let mut error = ApiError::new(Code::Unprocessable).detail("see `errors`");
    if let Some(brand) = after
        .brand_id
        .filter(|brand| before.brand_id != Some(*brand))
        && !store::brand_exists(change.connection, brand).await?
    {
        error = error.field("/brand_id", format!("there is no brand {brand}"));
    }
    let old: Vec<i64> = before
        .categories
        .iter()
        .map(|membership| membership.category_id)
        .collect();
    for membership in after
        .categories
        .iter()
        .filter(|membership| !old.contains(&membership.category_id))
    {
        let category = membership.category_id;
        if !store::category_exists(change.connection, category).await? {
            error = error.field(
                "category_id",
                format!("there is no category {category}, or it is archived"),
            );
        }
    }
    for (index, picture) in after
        .media
        .iter()
        .enumerate()
        .filter(|(_, picture)| !before.media.contains(picture))
    {
        if !store::media_exists(change.connection, &picture.hash).await? {
            error = error.field(
                format!("/media/{index}/hash"),
                "no picture with this hash was uploaded",
            );
        }
        if let Some(variant) = picture.variant_id
            && !store::variant_belongs(change.connection, variant, after.id).await?
        {
            error = error.field(
                format!("/media/{index}/variant_id"),
                format!("variant {variant} is not one of this product's"),
            );
        }
    }
    for (code, values) in after
        .attributes
        .iter()
        .filter(|(code, values)| before.attributes.get(*code) != Some(*values))
    {
        let kind: Option<AttributeKind> = store_attribute::kind(change.connection, code)
            .await?
            .and_then(|kind| kind.parse().ok());
        let pointer = format!("/attributes/{}", code.replace('~', "~0").replace('/', "~1"));
        match kind {
            None => error = error.field(pointer, "there is no attribute with this code"),
            Some(kind) => {
                if let Some(message) = values.iter().find_map(|value| kind.accepts(value).err()) {
                    error = error.field(pointer, message);
                }
            }
        }
    }
    if error.fields.is_empty() {
        Ok(())
    } else {
        Err(error)
    }
}

/// The input of a change of a product.
struct Edit {
    id: i64,
    if_match: IfMatch,
    edit: ProductEdit,
}

async fn edit(
    state: &AdminState,
    actor: super::auth::Actor,
    id: i64,
    if_match: IfMatch,
    edit: ProductEdit,
) -> Answer {
    let product = run(
        state,
        actor,
        Edit { id, if_match, edit },
        |change, input| Box::pin(edit_in(change, input)),
    )
    .await?;
    Ok(answer(product.version, &product))
}

async fn edit_in(change: &mut Change<'_>, input: &Edit) -> Result<Product, ApiError> {
    let id = input.id;
    if !store::lock(change.connection, id).await? {
        return Err(not_found("product", id));
    }
    let before = load(change, id).await?;
    input.if_match.check(before.version)?;
    let mut after = before.clone();
    input
        .edit
        .apply(&mut after, first_locale(change), change.now)?;
    if after == before {
        return Ok(before);
    }
    check_references(change, &before, &after).await?;
    let mut categories = store::categories_up(change.connection, id).await?;
    if !store::update(change.connection, &before, &after)
        .await
        .map_err(slug_taken)?
    {
        return Err(mismatch(before.version));
    }
    if before.options != after.options
        && let Err(used) = store::options_set(change.connection, id, &after.options).await?
    {
        return Err(conflict(
            "/options",
            format!(
                "{} is chosen by the variant {}: change or archive that first",
                used.what, used.sku
            ),
        ));
    }
    if before.slug != after.slug {
        store::redirect(change.connection, "product", &before.slug, &after.slug, id).await?;
    }
    categories.extend(store::categories_up(change.connection, id).await?);
    for event in events(&before, &after, &categories, change.now) {
        change.event(event);
    }
    change.derive([id]);
    let after = load(change, id).await?;
    change
        .audit(
            input.edit.action(),
            "product",
            id,
            Some(&before),
            Some(&after),
        )
        .await?;
    Ok(after)
}

/// Changes a product.
#[utoipa::path(patch, path = "/api/v1/admin/products/{id}", tag = "staff: products",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body(content = ProductPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn patch(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<ProductPatch>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        ProductEdit::Patch(body.0),
    )
    .await
}

/// Takes a product out of the catalogue: its address answers 410.
#[utoipa::path(post, path = "/api/v1/admin/products/{id}/archive", tag = "staff: products",
    params(("id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:publication"])))]
pub async fn archive(
    staff: Scoped<demand::WritePublication>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        ProductEdit::Archive,
    )
    .await
}

/// Publishes, schedules or unpublishes a product.
#[utoipa::path(put, path = "/api/v1/admin/products/{id}/publication", tag = "staff: products",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = Publication,
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:publication"])))]
pub async fn publication(
    staff: Scoped<demand::WritePublication>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<Publication>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        ProductEdit::Publication(body.0),
    )
    .await
}

/// Gives a product another address; the old one redirects.
#[utoipa::path(put, path = "/api/v1/admin/products/{id}/slug", tag = "staff: products",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = NewSlug,
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn slug(
    staff: Scoped<demand::WriteProducts>,
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
        ProductEdit::Slug(body.0.slug),
    )
    .await
}

/// Sets the text of a product in a locale.
#[utoipa::path(put, path = "/api/v1/admin/products/{id}/translations/{locale}", tag = "staff: products",
    params(("id" = i64, Path), ("locale" = String, Path), ("If-Match" = String, Header)), request_body = Text,
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn put_translation(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, String)>,
    if_match: IfMatch,
    body: Body<Text>,
) -> Answer {
    let (id, locale) = path.into_inner();
    check_locales(&state, std::iter::once(&locale))?;
    edit(
        &state,
        staff.actor(),
        id,
        if_match,
        ProductEdit::Translation(locale, Some(body.0)),
    )
    .await
}

/// Removes the text of a product in a locale.
#[utoipa::path(delete, path = "/api/v1/admin/products/{id}/translations/{locale}", tag = "staff: products",
    params(("id" = i64, Path), ("locale" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn delete_translation(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, String)>,
    if_match: IfMatch,
) -> Answer {
    let (id, locale) = path.into_inner();
    edit(
        &state,
        staff.actor(),
        id,
        if_match,
        ProductEdit::Translation(locale, None),
    )
    .await
}

/// Sets the options of a product.
#[utoipa::path(put, path = "/api/v1/admin/products/{id}/options", tag = "staff: products",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = Options,
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn options(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<Options>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        ProductEdit::Options(body.0.options),
    )
    .await
}

/// Sets the pictures of a product.
#[utoipa::path(put, path = "/api/v1/admin/products/{id}/media", tag = "staff: products",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = Pictures,
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:media"])))]
pub async fn media(
    staff: Scoped<demand::WriteMedia>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<Pictures>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        ProductEdit::Media(body.0.media),
    )
    .await
}

/// Sets the attributes of a product.
#[utoipa::path(put, path = "/api/v1/admin/products/{id}/attributes", tag = "staff: products",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = ProductAttributes,
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:products"])))]
pub async fn attributes(
    staff: Scoped<demand::WriteProducts>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<ProductAttributes>,
) -> Answer {
    edit(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        ProductEdit::Attributes(body.0.attributes),
    )
    .await
}

/// Puts a product into a category, or to another place in it.
#[utoipa::path(put, path = "/api/v1/admin/products/{id}/categories/{category_id}", tag = "staff: products",
    params(("id" = i64, Path), ("category_id" = i64, Path), ("If-Match" = String, Header)), request_body = Position,
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn put_membership(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, i64)>,
    if_match: IfMatch,
    body: Body<Position>,
) -> Answer {
    let (id, category) = path.into_inner();
    edit(
        &state,
        staff.actor(),
        id,
        if_match,
        ProductEdit::Membership(category, Some(body.0.position)),
    )
    .await
}

/// Takes a product out of a category.
#[utoipa::path(delete, path = "/api/v1/admin/products/{id}/categories/{category_id}", tag = "staff: products",
    params(("id" = i64, Path), ("category_id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = Product), (status = "default", body = Problem)), security(("staff" = ["write:categories"])))]
pub async fn delete_membership(
    staff: Scoped<demand::WriteCategories>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, i64)>,
    if_match: IfMatch,
) -> Answer {
    let (id, category) = path.into_inner();
    edit(
        &state,
        staff.actor(),
        id,
        if_match,
        ProductEdit::Membership(category, None),
    )
    .await
}
