//! What shoppers ask about parcels and returns of an order: its customer, or whoever has its link.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::returns::{self, Wish};
use super::store;
use super::view::{ReturnView, ReturnsView, ShipmentView, ShipmentsView};
use crate::admin::route_payment::{claimed, replayed};
use crate::idempotency::{self, Key, StoredAnswer};
use crate::orders;
use crate::orders::access::{LinkKey, Pass, not_found};
use crate::web::error::{ApiError, Problem};
use crate::web::private::strict::JsonObject;
use crate::web::private::{Answer, PrivateState, Visitor};

/// Most lines of a return.
const MOST_LINES: usize = 500;
/// Most characters of a reason: what its column holds.
pub(super) const LONGEST_REASON: usize = 500;

/// What is given back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnRequest {
    /// Which pieces.
    #[schema(min_items = 1)]
    pub lines: Vec<ReturnPieces>,
    /// Why; at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub reason: String,
}

/// Pieces of a line.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnPieces {
    /// The line's place in the order, from 0.
    pub line: i32,
    /// How many.
    #[schema(minimum = 1, maximum = 9999)]
    pub quantity: i64,
}

impl ReturnRequest {
    /// What it asks for.
    ///
    /// # Errors
    /// 400 when it is too long.
    pub fn wish(&self) -> Result<Wish, ApiError> {
        let mut error =
            ApiError::new(crate::web::error::Code::InvalidRequest).detail("see `errors`");
        if self.lines.len() > MOST_LINES {
            error = error.field("/lines", format!("must have at most {MOST_LINES} items"));
        }
        if self.reason.chars().count() > LONGEST_REASON {
            error = error.field(
                "/reason",
                format!("must have at most {LONGEST_REASON} characters"),
            );
        }
        if !error.fields.is_empty() {
            return Err(error);
        }
        Ok(Wish {
            pieces: self
                .lines
                .iter()
                .map(|pieces| (pieces.line, pieces.quantity))
                .collect(),
            reason: self
                .reason
                .chars()
                .filter(|character| !character.is_control() || *character == '\n')
                .collect::<String>()
                .trim()
                .to_owned(),
        })
    }
}

/// Writes what a shopper gives back, in a transaction of its own.
///
/// # Errors
/// 404, 409, 422; those of the database.
pub(super) async fn request_of(
    state: &PrivateState,
    pass: Pass,
    wish: Wish,
    key: Option<Key>,
) -> Result<(StoredAnswer, bool), ApiError> {
    let input = Arc::new((pass, wish, key, state.payments.settings().clone()));
    state
        .db
        .transaction(move |connection| {
            let input = Arc::clone(&input);
            Box::pin(async move {
                let (pass, wish, key, settings) = &*input;
                if let Some(key) = key
                    && let Err(answer) = claimed(idempotency::claim(connection, key).await?)?
                {
                    return Ok((answer, true));
                }
                let found = orders::store::find_by_number(connection, &pass.number)
                    .await?
                    .filter(|order| pass.opens(order))
                    .ok_or_else(not_found)?;
                let order = orders::store::lock(connection, found.id)
                    .await?
                    .ok_or_else(not_found)?;
                let now = OffsetDateTime::now_utc();
                let asked = returns::request(connection, settings, &order, wish, now).await?;
                let lines = orders::store::lines(connection, order.id).await?;
                let view = serde_json::to_value(ReturnView::new(&asked, &lines))
                    .map_err(ApiError::internal)?;
                let answer = StoredAnswer::json(201, &view);
                if let Some(key) = key {
                    idempotency::finish(connection, key, &answer).await?;
                }
                Ok::<_, ApiError>((answer, false))
            })
        })
        .await
}

/// Asks to give pieces of an order back: what has arrived, within the time for returns.
#[utoipa::path(post, path = "/api/v1/orders/{number}/returns", tag = "orders",
    params(("number" = String, Path), LinkKey,
        ("Idempotency-Key" = String, Header, description = "New for each attempt, the same in each repetition.")),
    request_body = ReturnRequest,
    responses((status = 201, body = ReturnView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn request_return(
    request: HttpRequest,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    number: web::Path<String>,
    link: web::Query<LinkKey>,
    body: JsonObject<ReturnRequest>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &number, &link)?;
    let key = Key::new(
        "return",
        pass.number.as_str(),
        idempotency::key_of(&request)?,
        &body.0.0,
    );
    let wish = body.0.wish()?;
    let (answer, again) = request_of(&state, pass, wish, Some(key)).await?;
    Ok(replayed(&answer, again))
}

/// Lists what was given back of an order.
#[utoipa::path(get, path = "/api/v1/orders/{number}/returns", tag = "orders", params(("number" = String, Path), LinkKey),
    responses((status = 200, body = ReturnsView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn list_returns(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    number: web::Path<String>,
    link: web::Query<LinkKey>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &number, &link)?;
    let whole = pass.show(&state).await?;
    let view = state
        .read(move |connection| {
            Box::pin(async move {
                let returns = store::returns(connection, whole.order.id).await?;
                Ok(ReturnsView {
                    returns: returns
                        .iter()
                        .map(|found| ReturnView::new(found, &whole.lines))
                        .collect(),
                })
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}

/// Lists the parcels of an order that have left.
#[utoipa::path(get, path = "/api/v1/orders/{number}/shipments", tag = "orders", params(("number" = String, Path), LinkKey),
    responses((status = 200, body = ShipmentsView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn list_shipments(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    number: web::Path<String>,
    link: web::Query<LinkKey>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &number, &link)?;
    let whole = pass.show(&state).await?;
    let view = state
        .read(move |connection| {
            Box::pin(async move {
                let shipments = store::shipments(connection, whole.order.id).await?;
                Ok(ShipmentsView {
                    shipments: shipments
                        .iter()
                        .filter(|shipment| shipment.shipped_at.is_some())
                        .map(|shipment| ShipmentView::new(shipment, &whole.lines))
                        .collect(),
                })
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}
