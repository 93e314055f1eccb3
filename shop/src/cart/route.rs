//! The cart's API: `/api/v1/carts`.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use time::OffsetDateTime;

use super::body::{CartPatch, CouponBody, NewCartBody, QuantityBody};
use super::page;
use super::pricing::PricingSettings;
use super::service::{self, Details, Edit, Shown};
use super::store::NewCart;
use super::view::{CartView, RequirementsView};
use crate::admin::fields::Body;
use crate::admin::precondition::{IfMatch, entity_tag};
use crate::catalog::model::{Currency, Locale, Sku};
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::{Answer, PrivateState, PublicId, SignedIn, Visitor, resource};

impl PrivateState {
    /// How carts are priced.
    #[must_use]
    pub fn pricing(&self) -> PricingSettings {
        PricingSettings {
            first_locale: self.catalogue.default_locale.clone(),
            keys: self.keys.clone(),
        }
    }
}

/// The customer of a visitor, if somebody is signed in.
pub(super) fn customer_of(visitor: &Visitor) -> Option<i64> {
    visitor.customer.as_ref().map(|customer| customer.id)
}

fn refused(field: &str, message: String) -> ApiError {
    ApiError::new(Code::Unprocessable)
        .detail("see `errors`")
        .field(field, message)
}

fn offered<'a, T: PartialEq + std::fmt::Display + 'a>(
    wanted: Option<T>,
    mut offered: impl Iterator<Item = T>,
    field: &str,
) -> Result<Option<T>, ApiError> {
    match wanted {
        Some(wanted) => match offered.find(|known| *known == wanted) {
            Some(known) => Ok(Some(known)),
            None => Err(refused(field, format!("{wanted} is not one of the shop's"))),
        },
        None => Ok(None),
    }
}

fn currency_of(
    state: &PrivateState,
    wanted: Option<Currency>,
) -> Result<Option<Currency>, ApiError> {
    offered(wanted, state.catalogue.currencies(), "/currency")
}

fn locale_of(state: &PrivateState, wanted: Option<Locale>) -> Result<Option<Locale>, ApiError> {
    offered(wanted, state.catalogue.locales().cloned(), "/locale")
}

fn cart_id(text: &str) -> Result<PublicId, ApiError> {
    text.parse()
        .map_err(|_| ApiError::new(Code::NotFound).detail("there is no such cart"))
}

fn answer(shown: &Shown) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::ETAG, entity_tag(shown.cart.version)))
        .json(CartView::from(shown))
}

async fn shown(state: &PrivateState, id: PublicId, visitor: &Visitor) -> Result<Shown, ApiError> {
    let (settings, customer) = (state.pricing(), customer_of(visitor));
    state
        .read(move |connection| {
            Box::pin(async move {
                let now = OffsetDateTime::now_utc();
                service::show(connection, &settings, &id, customer, now).await
            })
        })
        .await
}

async fn edited(
    state: &PrivateState,
    id: &str,
    visitor: &Visitor,
    if_match: Option<IfMatch>,
    edit: Edit,
) -> Answer {
    let shown = service::edit(
        &state.db,
        &state.pricing(),
        cart_id(id)?,
        customer_of(visitor),
        if_match,
        edit,
    )
    .await?;
    Ok(answer(&shown))
}

/// Makes a cart. Somebody who is signed in has one open cart: these lines are put into it.
#[utoipa::path(post, path = "/api/v1/carts", tag = "carts", request_body = NewCartBody,
    responses((status = 201, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn create(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    body: Body<NewCartBody>,
) -> Answer {
    let NewCartBody {
        currency,
        locale,
        lines,
    } = body.0;
    let new = NewCart {
        public_id: PublicId::random(),
        customer_id: customer_of(&visitor),
        currency: currency_of(&state, currency)?.unwrap_or(state.catalogue.default_currency),
        locale: locale_of(&state, locale)?
            .unwrap_or_else(|| state.catalogue.default_locale.clone()),
        email: visitor.customer.map(|customer| customer.email),
    };
    let lines = lines.unwrap_or_default();
    let lines = lines
        .into_iter()
        .map(|line| (line.sku, line.quantity))
        .collect();
    let shown = service::create(&state.db, &state.pricing(), new, lines).await?;
    let id = shown.cart.public_id;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/api/v1/carts/{id}")))
        .insert_header((header::ETAG, entity_tag(shown.cart.version)))
        .insert_header((header::SET_COOKIE, state.cookies.set_cart(id)))
        .json(CartView::from(&shown)))
}

/// Shows a cart with what it costs now, and what differs from what was seen.
#[utoipa::path(get, path = "/api/v1/carts/{id}", tag = "carts", params(("id" = String, Path)),
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn get(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    id: web::Path<String>,
) -> Answer {
    Ok(answer(&shown(&state, cart_id(&id)?, &visitor).await?))
}

/// Sets what an order needs to know: e-mail address, addresses, shipping method. `If-Match` is optional.
#[utoipa::path(patch, path = "/api/v1/carts/{id}", tag = "carts",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body(content = CartPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn patch(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    id: web::Path<String>,
    if_match: Option<IfMatch>,
    body: Body<CartPatch>,
) -> Answer {
    let CartPatch {
        currency,
        locale,
        email,
        destination,
        shipping_address,
        billing_address,
        shipping_method,
    } = body.0;
    let details = Details {
        currency: currency_of(&state, currency)?,
        locale: locale_of(&state, locale)?,
        email,
        destination,
        shipping_address,
        billing_address,
        shipping_method,
    };
    let edit = Edit::Details(Box::new(details));
    edited(&state, &id, &visitor, if_match, edit).await
}

/// Sets how many pieces of a SKU are in a cart: the number itself, so that sending it twice has one effect. `If-Match` is optional;
/// without it the last one counts.
#[utoipa::path(put, path = "/api/v1/carts/{id}/lines/{sku}", tag = "carts",
    params(("id" = String, Path), ("sku" = String, Path), ("If-Match" = Option<String>, Header)), request_body = QuantityBody,
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn put_line(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    path: web::Path<(String, String)>,
    if_match: Option<IfMatch>,
    body: Body<QuantityBody>,
) -> Answer {
    let (id, sku) = path.into_inner();
    let sku: Sku = sku
        .parse()
        .map_err(|_| ApiError::new(Code::NotFound).detail("there is no such SKU"))?;
    let edit = Edit::PutLines(vec![(sku.to_string(), body.0.quantity)]);
    edited(&state, &id, &visitor, if_match, edit).await
}

/// Removes a line. Removing one that is not there changes nothing.
#[utoipa::path(delete, path = "/api/v1/carts/{id}/lines/{sku}", tag = "carts",
    params(("id" = String, Path), ("sku" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn delete_line(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    path: web::Path<(String, String)>,
    if_match: Option<IfMatch>,
) -> Answer {
    let (id, sku) = path.into_inner();
    edited(&state, &id, &visitor, if_match, Edit::RemoveLine(sku)).await
}

/// Puts a coupon into a cart. One that is there already changes nothing.
#[utoipa::path(post, path = "/api/v1/carts/{id}/coupons", tag = "carts", params(("id" = String, Path)), request_body = CouponBody,
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn add_coupon(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    id: web::Path<String>,
    body: Body<CouponBody>,
) -> Answer {
    edited(&state, &id, &visitor, None, Edit::AddCoupon(body.0.code)).await
}

/// Takes a coupon out of a cart. One that is not there changes nothing.
#[utoipa::path(delete, path = "/api/v1/carts/{id}/coupons/{code}", tag = "carts",
    params(("id" = String, Path), ("code" = String, Path)),
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn delete_coupon(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    path: web::Path<(String, String)>,
) -> Answer {
    let (id, code) = path.into_inner();
    edited(&state, &id, &visitor, None, Edit::RemoveCoupon(code)).await
}

/// Says that the shopper has seen the prices as they are now: differences of prices are not told again.
#[utoipa::path(post, path = "/api/v1/carts/{id}/seen", tag = "carts", params(("id" = String, Path)),
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn seen(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    id: web::Path<String>,
) -> Answer {
    edited(&state, &id, &visitor, None, Edit::Seen).await
}

/// Tells what still stands between a cart and an order.
#[utoipa::path(get, path = "/api/v1/carts/{id}/requirements", tag = "carts", params(("id" = String, Path)),
    responses((status = 200, body = RequirementsView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn requirements(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    id: web::Path<String>,
) -> Answer {
    let shown = shown(&state, cart_id(&id)?, &visitor).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, entity_tag(shown.cart.version)))
        .json(RequirementsView {
            is_ready: shown.priced.requirements.is_empty(),
            requirements: shown.priced.requirements,
            total: shown.priced.total,
            currency: shown.priced.currency.to_string(),
        }))
}

/// Gives the cart of a guest to whoever is signed in, and answers the cart of the account. Again has no effect.
#[utoipa::path(post, path = "/api/v1/carts/{id}/merge", tag = "carts", params(("id" = String, Path)),
    responses((status = 200, body = CartView), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn merge(
    customer: SignedIn,
    state: web::Data<PrivateState>,
    id: web::Path<String>,
) -> Answer {
    let guest = cart_id(&id)?;
    let SignedIn(customer, _) = customer;
    let own = service::merge_now(
        &state.db,
        &state.pricing(),
        (customer.id, customer.email),
        Some(guest),
    )
    .await?
    .ok_or_else(|| ApiError::new(Code::NotFound).detail("there is no such cart"))?;
    let settings = state.pricing();
    let shown = state
        .read(move |connection| {
            Box::pin(async move {
                let now = OffsetDateTime::now_utc();
                service::show(connection, &settings, &own, Some(customer.id), now).await
            })
        })
        .await?;
    let mut response = answer(&shown);
    response
        .headers_mut()
        .append(header::SET_COOKIE, state.cookies.set_cart(own));
    Ok(response)
}

/// Mounts the routes of carts: the API's and the pages'.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            resource("/{locale}/cart")
                .route(web::get().to(page::page))
                .route(web::post().to(page::update)),
        )
        .service(resource("/{locale}/cart/lines").route(web::post().to(page::add_line)))
        .service(resource("/{locale}/cart/coupons").route(web::post().to(page::coupons)))
        .service(resource("/{locale}/cart/seen").route(web::post().to(page::seen)))
        .service(resource("/api/v1/carts").route(web::post().to(create)))
        .service(
            resource("/api/v1/carts/{id}")
                .route(web::get().to(get))
                .route(web::patch().to(patch)),
        )
        .service(
            resource("/api/v1/carts/{id}/lines/{sku}")
                .route(web::put().to(put_line))
                .route(web::delete().to(delete_line)),
        )
        .service(resource("/api/v1/carts/{id}/coupons").route(web::post().to(add_coupon)))
        .service(
            resource("/api/v1/carts/{id}/coupons/{code}").route(web::delete().to(delete_coupon)),
        )
        .service(resource("/api/v1/carts/{id}/seen").route(web::post().to(seen)))
        .service(resource("/api/v1/carts/{id}/requirements").route(web::get().to(requirements)))
        .service(resource("/api/v1/carts/{id}/merge").route(web::post().to(merge)));
}

/// The description of the cart's API.
#[derive(utoipa::OpenApi)]
#[openapi(
    tags((name = "carts", description = "Carts. Who knows the id of a cart that belongs to no account may use it; that of an account is open to its session alone")),
    paths(create, get, patch, put_line, delete_line, add_coupon, delete_coupon, seen, requirements, merge)
)]
pub struct CartApi;
