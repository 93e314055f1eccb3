//! The route that turns a cart into an order.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::complete::{Answered, complete};
use super::model::{CompleteBody, CompleteRequest, Completion};
use super::{Checkout, page};
use crate::idempotency::{self, REPLAYED};
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::strict::JsonObject;
use crate::web::private::{Answer, Visitor, resource};

/// Mounts the route and the pages of the checkout. The application must have a [`web::Data`] of [`Checkout`].
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/api/v1/carts/{id}/complete").route(web::post().to(post)));
    page::routes(config);
}

/// Turns a cart into an order: prices it anew, holds its pieces, and has it paid.
///
/// Send the same key again after an answer that was lost: it is given again, and nothing happens twice.
#[utoipa::path(post, path = "/api/v1/carts/{id}/complete", tag = "checkout",
    params(("id" = String, Path, description = "The cart."),
        ("Idempotency-Key" = String, Header, description = "New for each attempt, the same in each repetition (RFC 9651 string).")),
    request_body = CompleteBody,
    responses((status = 201, body = Completion, description = "The cart is an order."),
        (status = 202, body = Completion, description = "The shopper must go to `url`, or the provider has not said yet."),
        (status = 402, body = Problem, description = "Declined: the cart is as it was."),
        (status = 409, body = Problem, description = "The total is another one, pieces are sold out, or it is being paid for."),
        (status = "default", body = Problem)),
    security((), ("session" = [])))]
pub async fn post(
    request: HttpRequest,
    visitor: Visitor,
    checkout: web::Data<Checkout>,
    id: web::Path<String>,
    body: JsonObject<CompleteBody>,
) -> Answer {
    let key = idempotency::key_of(&request)?;
    let cart = id
        .parse()
        .map_err(|_| ApiError::new(Code::NotFound).detail("there is no such cart"))?;
    let answered = complete(
        &checkout,
        CompleteRequest {
            cart,
            customer: visitor.customer.map(|customer| customer.id),
            key,
            body: body.into_inner().0,
            ip: visitor.ip,
        },
    )
    .await?;
    Ok(response(&answered))
}

/// The answer as it was kept, for whoever asks for the first time and for whoever repeats.
fn response(answered: &Answered) -> HttpResponse {
    let Answered { answer, replayed } = answered;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(if status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    });
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        ) {
            response.insert_header((name, value));
        }
    }
    if *replayed {
        response.insert_header((REPLAYED, "true"));
    }
    response.body(answer.body.clone())
}
