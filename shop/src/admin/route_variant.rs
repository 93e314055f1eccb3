//! Routes of variants, prices and stock.

use actix_web::{HttpResponse, web};
use time::OffsetDateTime;

use super::auth::{Actor, Scoped};
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::events::Event;
use super::fields::Body;
use super::page::Page;
use super::precondition::{IfMatch, mismatch};
use super::token::demand;
use super::variant::{
    NewPrice, NewVariant, Price, Prices, ScheduledPrice, Stock, StockAdjustment, StockCount,
    Variant, VariantPatch,
};
use super::{AdminState, Answer, answer, created, store_product, store_variant as store};
use crate::catalog::model::{Currency, effective_price};
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
async fn lock(change: &mut Change<'_>, id: i64) -> Result<Variant, ApiError> {
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

fn prices_of(variant: i64, version: i64, history: Vec<Price>, now: OffsetDateTime) -> Prices {
    let mut currencies: Vec<&str> = history
        .iter()
        .map(|price| price.currency.as_str())
        .collect();
    currencies.sort_unstable();
    currencies.dedup();
    let current = currencies
        .into_iter()
        .filter_map(|currency| {
            current(
                history.iter().filter(|price| price.currency == currency),
                now,
            )
        })
        .collect();
    Prices {
        variant_id: variant,
        current,
        history,
        version,
    }
}

fn current<'p>(
    prices: impl Iterator<Item = &'p Price> + Clone,
    now: OffsetDateTime,
) -> Option<Price> {
    let rows: Vec<_> = prices.clone().map(Price::row).collect();
    let id = effective_price(&rows, now)?.id;
    prices.into_iter().find(|price| price.id == id).cloned()
}

/// Shows the prices of a variant: those that count, and all that did or will.
#[utoipa::path(get, path = "/api/v1/admin/variants/{id}/prices", tag = "staff: prices", params(("id" = i64, Path)),
    responses((status = 200, body = Prices), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn prices(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let prices = state
        .read(move |connection| {
            Box::pin(async move {
                let variant = store::get(connection, id)
                    .await?
                    .ok_or_else(|| not_found("variant", id))?;
                let history = store::prices(connection, id).await?;
                Ok(prices_of(
                    id,
                    variant.version,
                    history,
                    OffsetDateTime::now_utc(),
                ))
            })
        })
        .await?;
    Ok(answer(prices.version, &prices))
}

fn known_currency(state: &AdminState, currency: Currency, field: &str) -> Result<(), ApiError> {
    if state.settings.currencies.contains(&currency) {
        return Ok(());
    }
    let known: Vec<&str> = state
        .settings
        .currencies
        .iter()
        .map(Currency::as_str)
        .collect();
    Err(unacceptable(
        field,
        format!(
            "is not a currency of this shop, which has {}",
            known.join(", ")
        ),
    ))
}

/// Counts the version up, has the listings derived, and writes what the prices were and are.
async fn price_changed(
    change: &mut Change<'_>,
    action: &'static str,
    variant: &Variant,
    before: Option<&Price>,
    after: Option<&Price>,
) -> Result<Prices, ApiError> {
    if !store::touch(change.connection, variant.id, variant.version).await? {
        return Err(mismatch(variant.version));
    }
    change.event(Event::ProductChanged {
        product: variant.product_id,
    });
    change.derive([variant.product_id]);
    change
        .audit(action, "variant", variant.id, before, after)
        .await?;
    let history = store::prices(change.connection, variant.id).await?;
    Ok(prices_of(
        variant.id,
        variant.version + 1,
        history,
        change.now,
    ))
}

/// Sets the price of a variant in a currency from now on. Scheduled prices stay.
#[utoipa::path(put, path = "/api/v1/admin/variants/{id}/prices/{currency}", tag = "staff: prices",
    params(("id" = i64, Path), ("currency" = String, Path), ("If-Match" = String, Header)), request_body = NewPrice,
    responses((status = 200, body = Prices), (status = "default", body = Problem)), security(("staff" = ["write:prices"])))]
pub async fn put_price(
    staff: Scoped<demand::WritePrices>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, String)>,
    if_match: IfMatch,
    body: Body<NewPrice>,
) -> Answer {
    let (id, currency) = path.into_inner();
    let currency: Currency = currency
        .parse()
        .map_err(|_| ApiError::new(Code::NotFound).detail("there is no such currency"))?;
    known_currency(&state, currency, "currency")?;
    let prices = run(
        &state,
        staff.actor(),
        (id, currency, if_match, body.0),
        |change, (id, currency, if_match, price)| {
            Box::pin(async move {
                let variant = lock(change, *id).await?;
                if_match.check(variant.version)?;
                let open =
                    store::prices_open(change.connection, *id, currency.as_str(), change.now)
                        .await?;
                let before = current(open.iter(), change.now);
                if before.as_ref().is_some_and(|before| {
                    (before.amount, before.compare_at) == (price.amount, price.compare_at)
                }) {
                    let history = store::prices(change.connection, *id).await?;
                    return Ok(prices_of(*id, variant.version, history, change.now));
                }
                // Every row that began is over, so that none of them comes back when a scheduled price ends.
                for row in open.iter().filter(|row| row.starts_at <= change.now) {
                    store::price_end(change.connection, row.id, change.now).await?;
                }
                let row = store::price_insert(
                    change.connection,
                    *id,
                    currency.as_str(),
                    price,
                    change.now,
                    None,
                )
                .await?;
                let after = store::price_get(change.connection, row, *id).await?;
                price_changed(
                    change,
                    "price.set",
                    &variant,
                    before.as_ref(),
                    after.as_ref(),
                )
                .await
            })
        },
    )
    .await?;
    Ok(answer(prices.version, &prices))
}

/// Schedules a price of a variant.
#[utoipa::path(post, path = "/api/v1/admin/variants/{id}/prices", tag = "staff: prices",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = ScheduledPrice,
    responses((status = 201, body = Prices), (status = "default", body = Problem)), security(("staff" = ["write:prices"])))]
pub async fn schedule_price(
    staff: Scoped<demand::WritePrices>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<ScheduledPrice>,
) -> Answer {
    let id = id.into_inner();
    known_currency(&state, body.0.currency, "/currency")?;
    let (price, prices) = run(
        &state,
        staff.actor(),
        (id, if_match, body.0),
        |change, (id, if_match, scheduled)| {
            Box::pin(async move {
                let variant = lock(change, *id).await?;
                if_match.check(variant.version)?;
                if scheduled.starts_at <= change.now {
                    return Err(unacceptable(
                        "/starts_at",
                        "must be in the future; use PUT for a price from now on",
                    ));
                }
                let currency = scheduled.currency.as_str();
                let open = store::prices_open(change.connection, *id, currency, change.now).await?;
                if open.iter().any(|row| row.starts_at == scheduled.starts_at) {
                    return Err(conflict(
                        "/starts_at",
                        "another price begins at the same moment: cancel that first",
                    ));
                }
                let row = store::price_insert(
                    change.connection,
                    *id,
                    currency,
                    &scheduled.price,
                    scheduled.starts_at,
                    scheduled.ends_at,
                )
                .await?;
                let after = store::price_get(change.connection, row, *id).await?;
                let prices =
                    price_changed(change, "price.schedule", &variant, None, after.as_ref()).await?;
                Ok((row, prices))
            })
        },
    )
    .await?;
    Ok(created(
        format!("/api/v1/admin/variants/{id}/prices/scheduled/{price}"),
        prices.version,
        &prices,
    ))
}

/// Cancels a scheduled price.
#[utoipa::path(delete, path = "/api/v1/admin/variants/{id}/prices/scheduled/{price_id}", tag = "staff: prices",
    params(("id" = i64, Path), ("price_id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = Prices), (status = "default", body = Problem)), security(("staff" = ["write:prices"])))]
pub async fn cancel_price(
    staff: Scoped<demand::WritePrices>,
    state: web::Data<AdminState>,
    path: web::Path<(i64, i64)>,
    if_match: IfMatch,
) -> Answer {
    let (id, price) = path.into_inner();
    let prices = run(&state, staff.actor(), (id, price, if_match), |change, (id, price, if_match)| {
        Box::pin(async move {
            let variant = lock(change, *id).await?;
            if_match.check(variant.version)?;
            let before = store::price_get(change.connection, *price, *id).await?.ok_or_else(|| not_found("price", *price))?;
            if !store::price_cancel(change.connection, *price, *id, change.now).await? {
                return Err(ApiError::new(Code::Conflict)
                    .detail("the price counts already, or did: it is history. Set another price instead"));
            }
            price_changed(change, "price.cancel", &variant, Some(&before), None).await
        })
    })
    .await?;
    Ok(answer(prices.version, &prices))
}

/// Shows the stock of a variant.
#[utoipa::path(get, path = "/api/v1/admin/variants/{id}/stock", tag = "staff: stock", params(("id" = i64, Path)),
    responses((status = 200, body = Stock), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn stock(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let stock = state
        .read(move |connection| {
            Box::pin(async move {
                store::stock(connection, id)
                    .await?
                    .ok_or_else(|| not_found("stock of variant", id))
            })
        })
        .await?;
    Ok(answer(stock.version, &stock))
}

enum StockEdit {
    Count(StockCount),
    Adjust(StockAdjustment),
}

/// The stock, and the reason of its change.
#[derive(serde::Serialize)]
struct AuditedStock<'s> {
    #[serde(flatten)]
    stock: &'s Stock,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'s str>,
}

async fn edit_stock(
    state: &AdminState,
    actor: Actor,
    id: i64,
    if_match: IfMatch,
    edit: StockEdit,
) -> Answer {
    let stock = run(
        state,
        actor,
        (id, if_match, edit),
        |change, (id, if_match, edit)| {
            Box::pin(async move {
                let variant = lock(change, *id).await?;
                let before = store::stock_for_update(change.connection, *id)
                    .await?
                    .ok_or_else(|| not_found("stock of variant", *id))?;
                if_match.check(before.version)?;
                let (level, action, reason) = match edit {
                    StockEdit::Count(count) => (count.apply(before.level())?, "stock.count", None),
                    StockEdit::Adjust(adjustment) => (
                        adjustment.apply(before.level())?,
                        "stock.adjust",
                        Some(adjustment.reason.as_str()),
                    ),
                };
                if level == before.level() {
                    return Ok(before);
                }
                if !store::stock_update(change.connection, &before, &level).await? {
                    return Err(mismatch(before.version));
                }
                let after = Stock::new(*id, &level, before.version + 1);
                // Pages show the band alone, so nothing else is worth a purge.
                if before.level().band() != level.band() {
                    change.event(Event::ProductChanged {
                        product: variant.product_id,
                    });
                    change.derive([variant.product_id]);
                }
                let audited = (
                    AuditedStock {
                        stock: &before,
                        reason: None,
                    },
                    AuditedStock {
                        stock: &after,
                        reason,
                    },
                );
                change
                    .audit(action, "variant", *id, Some(&audited.0), Some(&audited.1))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(stock.version, &stock))
}

/// Says how much of a variant there is.
#[utoipa::path(put, path = "/api/v1/admin/variants/{id}/stock", tag = "staff: stock",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = StockCount,
    responses((status = 200, body = Stock), (status = "default", body = Problem)), security(("staff" = ["write:stock"])))]
pub async fn put_stock(
    staff: Scoped<demand::WriteStock>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<StockCount>,
) -> Answer {
    edit_stock(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        StockEdit::Count(body.0),
    )
    .await
}

/// Adds pieces to the stock of a variant or takes some away. `If-Match: *` where it does not matter how much there was; with a
/// version, sending it again after a lost answer cannot count twice.
#[utoipa::path(post, path = "/api/v1/admin/variants/{id}/stock/adjustments", tag = "staff: stock",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = StockAdjustment,
    responses((status = 200, body = Stock), (status = "default", body = Problem)), security(("staff" = ["write:stock"])))]
pub async fn adjust_stock(
    staff: Scoped<demand::WriteStock>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<StockAdjustment>,
) -> Answer {
    edit_stock(
        &state,
        staff.actor(),
        id.into_inner(),
        if_match,
        StockEdit::Adjust(body.0),
    )
    .await
}
