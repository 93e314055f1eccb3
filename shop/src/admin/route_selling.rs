//! Routes of prices and stock.

use actix_web::web;
use time::OffsetDateTime;

use super::auth::{Actor, Scoped};
use super::change::{Change, conflict, not_found, run, unacceptable};
use super::events::Event;
use super::fields::Body;
use super::precondition::{IfMatch, mismatch};
use super::route_variant::lock;
use super::token::demand;
use super::variant::{
    NewPrice, Price, Prices, ScheduledPrice, Stock, StockAdjustment, StockCount, Variant,
};
use super::{AdminState, Answer, answer, created, store_variant as store};
use crate::catalog::model::{Currency, effective_price};
use crate::web::error::{ApiError, Code, Problem};

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
