//! Routes of orders for their shoppers.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::access::{LinkKey, Pass};
use super::edit::OrderEdit;
use super::view::{OrderSummary, OrderView, Whole};
use super::{service, store};
use crate::admin::page::{Page, Query, limit};
use crate::admin::precondition::{IfMatch, entity_tag};
use crate::web::error::{ApiError, Problem};
use crate::web::private::strict::JsonObject;
use crate::web::private::{Answer, PrivateState, SignedIn, Visitor, resource};

/// A page of a list.
#[derive(Debug, Clone, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Rows of a page, 50 unless told.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Mounts the routes and the pages of orders.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/api/v1/me/orders").route(web::get().to(mine)))
        .service(
            resource("/api/v1/orders/{number}")
                .route(web::get().to(get))
                .route(web::patch().to(patch)),
        )
        .service(resource("/api/v1/orders/{number}/cancel").route(web::post().to(cancel)));
    super::page::routes(config);
}

fn answer(whole: &Whole) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::ETAG, entity_tag(whole.order.version)))
        .json(whole.view())
}

/// Lists the orders of the customer who is signed in, the latest first.
#[utoipa::path(get, path = "/api/v1/me/orders", tag = "orders", params(ListQuery),
    responses((status = 200, body = Page<OrderSummary>), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn mine(
    customer: SignedIn,
    state: web::Data<PrivateState>,
    query: web::Query<ListQuery>,
) -> Answer {
    let rows = limit(query.limit)?;
    let list = Query::new("me/orders", &customer.0.id);
    let before = list
        .after::<i64>(query.after.as_deref())?
        .unwrap_or(i64::MAX);
    let id = customer.0.id;
    let orders = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::of_customer(connection, id, before, rows + 1).await?) })
        })
        .await?;
    let page = list.page(orders, rows, |order| order.id);
    Ok(HttpResponse::Ok().json(Page {
        items: page.items.iter().map(OrderSummary::from).collect(),
        next: page.next,
    }))
}

/// Shows an order to its customer, or to whoever has its link.
#[utoipa::path(get, path = "/api/v1/orders/{number}", tag = "orders", params(("number" = String, Path), LinkKey),
    responses((status = 200, body = OrderView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn get(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    number: web::Path<String>,
    key: web::Query<LinkKey>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &number, &key)?;
    Ok(answer(&pass.show(&state).await?))
}

/// Cancels an order of which nothing has left. Again has no effect.
#[utoipa::path(post, path = "/api/v1/orders/{number}/cancel", tag = "orders", params(("number" = String, Path), LinkKey),
    responses((status = 200, body = OrderView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn cancel(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    number: web::Path<String>,
    key: web::Query<LinkKey>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &number, &key)?;
    Ok(answer(&service::cancel(&state.db, &pass).await?))
}

/// Changes where an order goes, or takes pieces out of it, before anything of it has left. Quantities are absolute.
#[utoipa::path(patch, path = "/api/v1/orders/{number}", tag = "orders",
    params(("number" = String, Path), LinkKey, ("If-Match" = Option<String>, Header)), request_body = OrderEdit,
    responses((status = 200, body = OrderView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn patch(
    request: HttpRequest,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    number: web::Path<String>,
    key: web::Query<LinkKey>,
    body: JsonObject<OrderEdit>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &number, &key)?;
    let if_match = match request.headers().contains_key(header::IF_MATCH) {
        true => Some(
            <IfMatch as actix_web::FromRequest>::extract(&request)
                .await
                .map_err(|error: ApiError| error)?,
        ),
        false => None,
    };
    let whole = service::edit(&state.db, &pass, if_match, body.into_inner().0).await?;
    Ok(answer(&whole))
}
