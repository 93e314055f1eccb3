//! Pages of orders: the list of an account, and the page of one order, which is also its confirmation.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::Value;

use super::access::{LinkKey, Pass};
use super::edit::{LineEdit, OrderEdit};
use super::model::{FulfilmentState, Order, OrderState, PaymentState, ReviewState};
use super::texts::OrderTexts;
use super::view::Whole;
use super::{service, store};
use crate::accounts::address::AddressInput;
use crate::checkout::Checkout;
use crate::checkout::form::{Fields, Typed, address, type_address};
use crate::checkout::page::{amount, begin_again};
use crate::checkout::texts::CheckoutTexts;
use crate::fulfilment::sections::Sections;
use crate::payments::{PaymentState as Paid, store as payments};
use crate::storefront::countries::{country_name, named};
use crate::storefront::i18n::Locale;
use crate::storefront::urls::{Preset, media};
use crate::web::error::{ApiError, Code, FieldError};
use crate::web::private::{Answer, Place, PrivateState, SignedIn, Visitor, resource, see_other};

/// Orders on one page of the list.
const ROWS: u32 = 20;

/// Mounts the pages.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/{locale}/orders").route(web::get().to(list)))
        .service(resource("/{locale}/orders/{number}").route(web::get().to(get)))
        .service(resource("/{locale}/orders/{number}/cancel").route(web::post().to(cancel)))
        .service(resource("/{locale}/orders/{number}/address").route(web::post().to(put_address)))
        .service(resource("/{locale}/orders/{number}/lines").route(web::post().to(put_lines)))
        .service(resource("/{locale}/orders/{number}/restart").route(web::post().to(restart)));
}

#[derive(Debug, Deserialize)]
struct OrderQuery {
    key: Option<String>,
    placed: Option<String>,
    failed: Option<String>,
}

struct Step {
    name: &'static str,
    done: bool,
}

struct LineRow {
    name: String,
    url: String,
    options: String,
    pieces: String,
    cancelled: Option<String>,
    total: String,
    picture: Option<String>,
    position: i32,
    open: i64,
}

struct SumRow {
    name: String,
    amount: String,
    strong: bool,
}

#[derive(Template)]
#[template(path = "orders/order.html")]
struct OrderPage {
    texts: &'static OrderTexts,
    placed_now: bool,
    failed: bool,
    number: String,
    placed_on: Option<String>,
    status: &'static str,
    status_text: Option<&'static str>,
    money: Option<&'static str>,
    second_step: Option<String>,
    is_pending: bool,
    steps: Vec<Step>,
    fulfilment: String,
    lines: Vec<LineRow>,
    sums: Vec<SumRow>,
    delivery: Vec<String>,
    billing: Vec<String>,
    method: String,
    email: String,
    may_edit: bool,
    may_cancel: bool,
    address_fields: String,
    address_open: bool,
    cancel_url: String,
    address_url: String,
    lines_url: String,
    restart_url: String,
    is_link: bool,
}

/// A page of an order in the language of the visitor, with the key that opens it.
struct Shown<'a> {
    state: &'a PrivateState,
    place: &'a Place,
    key: Option<&'a str>,
}

impl Shown<'_> {
    /// The address of something of this order.
    fn url(&self, order: &Order, what: &str) -> String {
        let query = self
            .key
            .map_or_else(String::new, |key| format!("?key={key}"));
        self.place
            .url(&format!("/orders/{}{what}{query}", order.number))
    }
}

fn states(order: &Order, texts: &'static OrderTexts) -> (&'static str, Option<&'static str>) {
    match (order.state, order.fulfilment_state) {
        (OrderState::Pending, _) => (texts.pending, Some(texts.pending_text)),
        (OrderState::Cancelled, _) if order.placed_at.is_none() => {
            (texts.cancelled, Some(texts.not_placed_text))
        }
        (OrderState::Cancelled, _) => (texts.cancelled, Some(texts.cancelled_text)),
        (OrderState::Completed, _) => (texts.completed, None),
        (OrderState::Placed, FulfilmentState::Delivered) => (texts.delivered, None),
        (OrderState::Placed, FulfilmentState::Shipped) => (texts.shipped, None),
        (OrderState::Placed, FulfilmentState::PartiallyShipped) => (texts.partly_shipped, None),
        (OrderState::Placed, FulfilmentState::Unfulfilled) => (
            texts.received,
            (order.review_state == ReviewState::Pending).then_some(texts.held),
        ),
    }
}

fn steps(order: &Order, texts: &'static OrderTexts) -> Vec<Step> {
    if matches!(order.state, OrderState::Pending | OrderState::Cancelled) {
        return Vec::new();
    }
    let paid = !matches!(
        order.payment_state,
        PaymentState::Unpaid | PaymentState::Voided
    );
    let shipped = matches!(
        order.fulfilment_state,
        FulfilmentState::Shipped | FulfilmentState::Delivered
    );
    let delivered = order.fulfilment_state == FulfilmentState::Delivered;
    [
        (texts.received, true),
        (texts.paid, paid),
        (texts.shipped, shipped),
        (texts.delivered, delivered),
    ]
    .map(|(name, done)| Step { name, done })
    .into()
}

/// The lines of an address as they stand on a parcel.
fn address_lines(address: Option<&Value>, locale: Locale) -> Vec<String> {
    let Some(address) = address else {
        return Vec::new();
    };
    let field = |name: &str| {
        address
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let town = [field("postcode"), field("city"), field("region")]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    [
        field("name"),
        field("company"),
        field("line1"),
        field("line2"),
        &town,
        country_name(field("country"), locale),
        field("phone"),
    ]
    .into_iter()
    .filter(|line| !line.is_empty())
    .map(str::to_owned)
    .collect()
}

fn sums(whole: &Whole, texts: &'static OrderTexts, locale: Locale) -> Vec<SumRow> {
    let order = &whole.order;
    let row = |name: &str, minor: i64| SumRow {
        name: name.to_owned(),
        amount: amount(minor, order.currency, locale),
        strong: false,
    };
    let mut sums = vec![row(texts.subtotal, order.subtotal)];
    for discount in whole
        .discounts
        .iter()
        .filter(|discount| discount.amount > 0)
    {
        sums.push(row(&discount.label, -discount.amount));
    }
    sums.push(if order.shipping == 0 {
        SumRow {
            amount: texts.free.to_owned(),
            ..row(texts.shipping, 0)
        }
    } else {
        row(texts.shipping, order.shipping)
    });
    if order.tax > 0 && !order.prices_include_tax {
        sums.push(row(texts.tax, order.tax));
    }
    sums.push(SumRow {
        strong: true,
        ..row(texts.total, order.total)
    });
    if order.tax > 0 && order.prices_include_tax {
        sums.push(row(texts.tax_included, order.tax));
    }
    sums
}

fn lines(whole: &Whole, place: &Place, texts: &OrderTexts) -> Vec<LineRow> {
    whole
        .lines
        .iter()
        .map(|line| LineRow {
            name: line.name.clone(),
            url: place.url(&format!("/p/{}", line.slug)),
            options: line.options_text.clone(),
            pieces: (texts.pieces)(line.quantity),
            cancelled: (line.cancelled > 0).then(|| {
                format!(
                    "{} {}",
                    (texts.pieces)(line.cancelled),
                    texts.item_cancelled
                )
            }),
            total: amount(line.total, whole.order.currency, place.locale),
            picture: line
                .picture
                .as_deref()
                .map(|hash| media(hash, Preset::Thumb)),
            position: line.position,
            open: line.open(),
        })
        .collect()
}

impl Shown<'_> {
    async fn second_step(&self, order: &Order) -> Result<Option<String>, ApiError> {
        if order.state != OrderState::Pending {
            return Ok(None);
        }
        let id = order.id;
        let payments = self
            .state
            .read(move |connection| {
                Box::pin(async move { Ok(payments::of_order(connection, id).await?) })
            })
            .await?;
        Ok(payments
            .into_iter()
            .filter(|payment| payment.state == Paid::ActionRequired)
            .filter_map(|payment| payment.next_action)
            .map(|action| action.url)
            .next_back())
    }

    /// Parcels and returns.
    async fn fulfilment(&self, whole: &Whole) -> Result<String, ApiError> {
        let input = (
            self.state.payments.settings().clone(),
            whole.order.clone(),
            whole.lines.clone(),
            self.url(&whole.order, "/return"),
        );
        let locale = self.place.locale;
        self.state
            .read(move |connection| {
                Box::pin(async move {
                    let (settings, order, lines, url) = input;
                    Sections::read(connection, &settings, (&order, &lines), locale, url)
                        .await?
                        .html()
                })
            })
            .await
    }

    async fn render(
        &self,
        status: StatusCode,
        whole: &Whole,
        query: &OrderQuery,
        typed: Option<(&Typed, &[FieldError])>,
    ) -> Answer {
        let (order, locale) = (&whole.order, self.place.locale);
        let texts = OrderTexts::of(locale);
        let (state, state_text) = states(order, texts);
        let mut own = Typed::new();
        let stored = order
            .shipping_address
            .clone()
            .and_then(|address| serde_json::from_value::<AddressInput>(address).ok());
        type_address(&mut own, "", &stored.unwrap_or_default());
        let country = order
            .shipping_address
            .as_ref()
            .and_then(|address| address.get("country"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        // The country stays: taxes and shipping were its.
        let countries = named([country].into_iter(), locale);
        let (shown, errors) = typed.unwrap_or((&own, &[]));
        let fields = Fields {
            texts: CheckoutTexts::of(locale),
            typed: shown,
            errors,
            countries: &countries,
        };
        let content = OrderPage {
            texts,
            placed_now: query.placed.is_some() && order.state == OrderState::Placed,
            failed: query.failed.is_some(),
            number: order.number.to_string(),
            placed_on: order
                .placed_at
                .map(|placed| locale.format_date(placed.date())),
            status: state,
            status_text: state_text,
            money: match order.payment_state {
                PaymentState::Refunded => Some(texts.refunded),
                PaymentState::PartiallyRefunded => Some(texts.partly_refunded),
                _ => None,
            },
            second_step: self.second_step(order).await?,
            is_pending: order.state == OrderState::Pending,
            steps: steps(order, texts),
            fulfilment: self.fulfilment(whole).await?,
            lines: lines(whole, self.place, texts),
            sums: sums(whole, texts, locale),
            delivery: address_lines(order.shipping_address.as_ref(), locale),
            billing: address_lines(order.billing_address.as_ref(), locale),
            method: order.shipping_name.clone(),
            email: order.email.clone(),
            may_edit: order.may_be_edited(),
            may_cancel: whole.may_be_cancelled() && order.state == OrderState::Placed,
            address_fields: fields.address("", "/shipping_address", "shipping")?,
            address_open: typed.is_some(),
            cancel_url: self.url(order, "/cancel"),
            address_url: self.url(order, "/address"),
            lines_url: self.url(order, "/lines"),
            restart_url: self.url(order, "/restart"),
            is_link: self.key.is_some(),
        };
        let title = (texts.number)(order.number.as_str());
        self.state.page(self.place, status, &title, &content).await
    }
}

async fn get(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    path: web::Path<(String, String)>,
    query: web::Query<OrderQuery>,
) -> Answer {
    let query = query.into_inner();
    let link_key = LinkKey {
        key: query.key.clone(),
    };
    let pass = Pass::of(&state.keys, &visitor, &path.1, &link_key)?;
    let whole = pass.show(&state).await?;
    let shown = Shown {
        state: &state,
        place: &place,
        key: query.key.as_deref(),
    };
    shown.render(StatusCode::OK, &whole, &query, None).await
}

/// Where a form of the page of an order leads: back to it, saying whether it went well.
fn back(shown: &Shown<'_>, order: &Order, done: Result<Whole, ApiError>) -> Answer {
    let url = shown.url(order, "");
    match done {
        Ok(_) => Ok(see_other(&url)),
        Err(error) if matches!(error.code, Code::Conflict | Code::VersionMismatch) => {
            let sign = if url.contains('?') { '&' } else { '?' };
            Ok(see_other(&format!("{url}{sign}failed=1")))
        }
        Err(error) => Err(error),
    }
}

async fn cancel(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    path: web::Path<(String, String)>,
    key: web::Query<LinkKey>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &path.1, &key)?;
    let order = pass.show(&state).await?.order;
    let shown = Shown {
        state: &state,
        place: &place,
        key: key.key.as_deref(),
    };
    back(&shown, &order, service::cancel(&state.db, &pass).await)
}

async fn put_address(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    path: web::Path<(String, String)>,
    key: web::Query<LinkKey>,
    form: web::Form<Typed>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &path.1, &key)?;
    let whole = pass.show(&state).await?;
    let shown = Shown {
        state: &state,
        place: &place,
        key: key.key.as_deref(),
    };
    let edit = OrderEdit {
        shipping_address: Some(address(&form, "")),
        ..OrderEdit::default()
    };
    match service::edit(&state.db, &pass, None, edit).await {
        Err(error) if error.code == Code::Unprocessable => {
            let query = OrderQuery {
                key: key.key.clone(),
                placed: None,
                failed: None,
            };
            let typed = Some((&*form, error.fields.as_slice()));
            shown
                .render(StatusCode::UNPROCESSABLE_ENTITY, &whole, &query, typed)
                .await
        }
        done => back(&shown, &whole.order, done),
    }
}

async fn put_lines(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    path: web::Path<(String, String)>,
    key: web::Query<LinkKey>,
    form: web::Form<Typed>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &path.1, &key)?;
    let order = pass.show(&state).await?.order;
    let shown = Shown {
        state: &state,
        place: &place,
        key: key.key.as_deref(),
    };
    let lines = form
        .iter()
        .filter_map(|(name, value)| {
            Some(LineEdit {
                position: name.strip_prefix("line_")?.parse().ok()?,
                quantity: value.trim().parse().ok()?,
            })
        })
        .collect();
    let edit = OrderEdit {
        lines,
        ..OrderEdit::default()
    };
    let done = match service::edit(&state.db, &pass, None, edit).await {
        // More pieces than there are: the page shows how many there are.
        Err(error) if error.code == Code::Unprocessable => Err(ApiError::new(Code::Conflict)),
        done => done,
    };
    back(&shown, &order, done)
}

/// Ends an order that waits for its payment, and goes back to the checkout with its cart.
async fn restart(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    checkout: web::Data<Checkout>,
    path: web::Path<(String, String)>,
    key: web::Query<LinkKey>,
) -> Result<HttpResponse, ApiError> {
    let pass = Pass::of(&state.keys, &visitor, &path.1, &key)?;
    let order = pass.show(&state).await?.order;
    begin_again(&place, &checkout, order.id).await
}

struct OrderRow {
    url: String,
    number: String,
    placed_on: String,
    status: &'static str,
    total: String,
}

#[derive(Template)]
#[template(path = "orders/list.html")]
struct ListPage {
    texts: &'static OrderTexts,
    orders: Vec<OrderRow>,
    more: Option<String>,
    home: String,
}

#[derive(Debug, Deserialize)]
struct PageQuery {
    before: Option<String>,
}

async fn list(
    place: Place,
    customer: SignedIn,
    state: web::Data<PrivateState>,
    query: web::Query<PageQuery>,
) -> Answer {
    let texts = OrderTexts::of(place.locale);
    let id = customer.0.id;
    let list = crate::admin::page::Query::new("orders page", &id);
    let before = list
        .after::<i64>(query.before.as_deref())?
        .unwrap_or(i64::MAX);
    let orders = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::of_customer(connection, id, before, ROWS + 1).await?) })
        })
        .await?;
    let page = list.page(orders, ROWS, |order| order.id);
    let content = ListPage {
        texts,
        orders: page
            .items
            .iter()
            .map(|order| OrderRow {
                url: place.url(&format!("/orders/{}", order.number)),
                number: order.number.to_string(),
                placed_on: order
                    .placed_at
                    .map(|placed| place.locale.format_date(placed.date()))
                    .unwrap_or_default(),
                status: states(order, texts).0,
                total: amount(order.total, order.currency, place.locale),
            })
            .collect(),
        more: page
            .next
            .map(|next| place.url(&format!("/orders?before={next}"))),
        home: place.urls().home(),
    };
    state
        .page(&place, StatusCode::OK, texts.orders, &content)
        .await
}
