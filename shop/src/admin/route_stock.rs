//! Routes of stock that many buy at once: how many rows a variant's pieces are divided over.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::{not_found, run};
use super::fields::{Body, FromBody, Object, integer};
use super::precondition::IfMatch;
use super::route_variant::lock;
use super::token::demand;
use super::{AdminState, Answer, answer, store_variant as store};
use crate::stock::model::MAX_BUCKETS;
use crate::stock::store_rows;
use crate::web::error::Problem;

/// The body that divides the stock of a variant.
#[derive(Debug, Clone, ToSchema)]
pub struct StockDivision {
    /// Buckets, 0 to 64: 0 puts the stock together again, 16 suit a drop that thousands wait for.
    pub buckets: i64,
}

impl FromBody for StockDivision {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let buckets = object.required("buckets", integer(0, i64::from(MAX_BUCKETS)));
        Some(Self { buckets: buckets? })
    }
}

/// One row of a variant's stock.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockRow {
    /// The bucket; -1 for the row that every variant has.
    pub bucket: i16,
    /// Pieces in it.
    pub on_hand: i64,
    /// Pieces of it that are promised.
    pub reserved: i64,
}

/// How the stock of a variant is divided.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockRows {
    /// The variant.
    pub variant_id: i64,
    /// Its buckets.
    pub buckets: usize,
    /// The row that every variant has, then the buckets.
    pub rows: Vec<StockRow>,
    /// The number in its `ETag`: that of the stock.
    pub version: i64,
}

async fn view(
    connection: &mut sqlx::MySqlConnection,
    id: i64,
) -> Result<StockRows, crate::web::error::ApiError> {
    let missing = || not_found("stock of variant", id);
    let version = store::stock(connection, id)
        .await?
        .ok_or_else(missing)?
        .version;
    let rows = store_rows::read(connection, id)
        .await?
        .ok_or_else(missing)?;
    Ok(StockRows {
        variant_id: id,
        buckets: rows.rows.len() - 1,
        rows: rows
            .rows
            .iter()
            .map(|row| StockRow {
                bucket: row.bucket,
                on_hand: row.on_hand,
                reserved: row.reserved,
            })
            .collect(),
        version,
    })
}

/// Shows the rows of a variant's stock.
#[utoipa::path(get, path = "/api/v1/admin/variants/{id}/stock/buckets", tag = "staff: stock", params(("id" = i64, Path)),
    responses((status = 200, body = StockRows), (status = "default", body = Problem)), security(("staff" = ["read:catalog"])))]
pub async fn buckets(
    _: Scoped<demand::ReadCatalog>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let rows = state
        .read(move |connection| Box::pin(async move { view(connection, id).await }))
        .await?;
    Ok(answer(rows.version, &rows))
}

/// Divides the stock of a variant over rows, so that many buyers do not queue for one.
#[utoipa::path(put, path = "/api/v1/admin/variants/{id}/stock/buckets", tag = "staff: stock",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body = StockDivision,
    responses((status = 200, body = StockRows), (status = "default", body = Problem)), security(("staff" = ["write:stock"])))]
pub async fn put_buckets(
    staff: Scoped<demand::WriteStock>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<StockDivision>,
) -> Answer {
    let rows = run(
        &state,
        staff.actor(),
        (id.into_inner(), if_match, body.0),
        |change, (id, if_match, division)| {
            Box::pin(async move {
                lock(change, *id).await?;
                store::stock_for_update(change.connection, *id).await?;
                let before = view(change.connection, *id).await?;
                if_match.check(before.version)?;
                let buckets = i16::try_from(division.buckets).unwrap_or(MAX_BUCKETS);
                if usize::try_from(division.buckets) == Ok(before.buckets) {
                    return Ok(before);
                }
                store_rows::divide(change.connection, *id, buckets).await?;
                let after = view(change.connection, *id).await?;
                change
                    .audit("stock.divide", "variant", *id, Some(&before), Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(rows.version, &rows))
}
