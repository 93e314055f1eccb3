//! The checkout page: contact, address, shipping, payment and summary on one page, without a script.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::Checkout;
use super::complete::{abandon, complete};
use super::finalise::{Occasion, finalise};
use super::form::{BILLING, Fields, Typed, address, type_address, value};
use super::model::{CompleteBody, CompleteRequest, Completion, Finalised, PaymentChoice};
use super::texts::CheckoutTexts;
use crate::accounts::address::AddressInput;
use crate::cart::body::email as checked_email;
use crate::cart::model::{Cart, Priced};
use crate::cart::service::{self as carts, Details, Edit, Shown};
use crate::idempotency::StoredAnswer;
use crate::orders::access::{LinkKey, Pass};
use crate::orders::link;
use crate::payments::{Offer, store as payments};
use crate::storefront::countries::named;
use crate::storefront::money::Money;
use crate::storefront::urls::{Preset, media};
use crate::taxes::store as taxes;
use crate::web::error::{ApiError, Code, FieldError};
use crate::web::private::{Answer, Place, PrivateState, PublicId, Visitor, resource, see_other};

/// Mounts the pages.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            resource("/{locale}/checkout")
                .route(web::get().to(get))
                .route(web::post().to(post)),
        )
        .service(resource("/{locale}/checkout/return/{number}").route(web::get().to(returned)));
}

struct MethodRow {
    code: String,
    name: String,
    days: String,
    price: String,
    chosen: bool,
}

struct LineRow {
    name: String,
    options: String,
    pieces: String,
    total: String,
    picture: Option<String>,
}

struct SumRow {
    name: &'static str,
    amount: String,
    strong: bool,
}

#[derive(Template)]
#[template(path = "checkout/page.html")]
struct CheckoutPage {
    texts: &'static CheckoutTexts,
    action: String,
    cart_url: String,
    sign_in: Option<String>,
    notices: Vec<&'static str>,
    key: String,
    expected_total: i64,
    email: String,
    shipping_address: String,
    billing_address: String,
    billing_open: bool,
    methods: Vec<MethodRow>,
    method_error: Option<&'static str>,
    has_destination: bool,
    nothing_to_pay: bool,
    test_card: bool,
    stripe: Option<String>,
    payment_error: Option<&'static str>,
    lines: Vec<LineRow>,
    sums: Vec<SumRow>,
}

/// What a page tells beyond what is typed.
#[derive(Default)]
struct Told {
    errors: Vec<FieldError>,
    notices: Vec<&'static str>,
    payment: Option<&'static str>,
    /// The key to go on with; a new one where the last attempt is decided.
    key: Option<String>,
}

/// The cart that the visitor would order, with its price.
async fn current(
    state: &PrivateState,
    checkout: &Checkout,
    visitor: &Visitor,
) -> Result<Option<Shown>, ApiError> {
    let customer = visitor.customer.as_ref().map(|customer| customer.id);
    let (cookie, settings) = (visitor.cart, checkout.pricing.clone());
    state
        .read(move |connection| {
            Box::pin(async move {
                let now = time::OffsetDateTime::now_utc();
                match carts::current(connection, customer, cookie).await? {
                    Some(id) => carts::show(connection, &settings, &id, customer, now)
                        .await
                        .map(Some),
                    None => Ok(None),
                }
            })
        })
        .await
}

/// What the cart knows already, as it would be typed.
fn typed_of(cart: &Cart, visitor: &Visitor) -> Typed {
    let mut typed = Typed::new();
    let email = cart.email.clone().or_else(|| {
        visitor
            .customer
            .as_ref()
            .map(|customer| customer.email.clone())
    });
    typed.insert("email".to_owned(), email.unwrap_or_default());
    let shipping = cart.shipping_address.clone().map(AddressInput::from);
    let mut shipping = shipping.unwrap_or_default();
    if shipping.is_empty() {
        if let Some(place) = cart.goes_to() {
            shipping.country = place.country;
            shipping.region = place.region;
        }
        if let Some(customer) = &visitor.customer {
            shipping.name.clone_from(&customer.name);
        }
    }
    type_address(&mut typed, "", &shipping);
    if let Some(billing) = cart.billing_address.clone() {
        type_address(&mut typed, BILLING, &billing.into());
    }
    if let Some(method) = &cart.shipping_method {
        typed.insert("shipping_method".to_owned(), method.clone());
    }
    typed
}

async fn get(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    checkout: web::Data<Checkout>,
    query: web::Query<Typed>,
) -> Answer {
    let texts = CheckoutTexts::of(place.locale);
    let Some(shown) = current(&state, &checkout, &visitor).await? else {
        return Ok(see_other(&place.url("/cart")));
    };
    if shown.cart.lines.is_empty() {
        return Ok(see_other(&place.url("/cart")));
    }
    let told = Told {
        notices: match value(&query, "payment") {
            "declined" => vec![texts.declined],
            _ => Vec::new(),
        },
        ..Told::default()
    };
    let typed = typed_of(&shown.cart, &visitor);
    let page = Page {
        state: &state,
        checkout: &checkout,
        place: &place,
        visitor: &visitor,
    };
    page.render(StatusCode::OK, &shown, &typed, told).await
}

async fn post(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    checkout: web::Data<Checkout>,
    body: web::Form<Typed>,
) -> Answer {
    let typed = body.into_inner();
    let page = Page {
        state: &state,
        checkout: &checkout,
        place: &place,
        visitor: &visitor,
    };
    // The cart of a checkout that went through a moment ago is not open any more: its key says what became of it.
    let Some(shown) = current(&state, &checkout, &visitor).await? else {
        return match (visitor.cart, value(&typed, "action")) {
            (Some(cart), "pay") => page.pay(cart, None, &typed).await,
            _ => Ok(see_other(&place.url("/cart"))),
        };
    };
    let (details, errors) = details(&typed);
    let edited = if errors.is_empty() {
        let customer = visitor.customer.as_ref().map(|customer| customer.id);
        carts::edit(
            &checkout.db,
            &checkout.pricing,
            shown.cart.public_id,
            customer,
            None,
            Edit::Details(Box::new(details)),
        )
        .await
    } else {
        let mut error = ApiError::new(Code::Unprocessable);
        error.fields = errors;
        Err(error)
    };
    let shown = match edited {
        Ok(shown) => shown,
        Err(error) if !error.fields.is_empty() => {
            let told = Told {
                errors: error.fields,
                key: Some(value(&typed, "key").to_owned()),
                ..Told::default()
            };
            return page
                .render(StatusCode::UNPROCESSABLE_ENTITY, &shown, &typed, told)
                .await;
        }
        Err(error) => return Err(error),
    };
    if value(&typed, "action") != "pay" {
        return Ok(see_other(&place.url("/checkout#step-shipping")));
    }
    page.pay(shown.cart.public_id, Some(&shown), &typed).await
}

/// What was typed, checked.
fn details(typed: &Typed) -> (Details, Vec<FieldError>) {
    let mut errors = Vec::new();
    let email = match value(typed, "email") {
        "" => {
            errors.push(FieldError {
                field: "/email".to_owned(),
                message: "is missing".to_owned(),
            });
            None
        }
        typed => match checked_email(typed) {
            Ok(email) => Some(email),
            Err(message) => {
                errors.push(FieldError {
                    field: "/email".to_owned(),
                    message,
                });
                None
            }
        },
    };
    let mut check = |input: AddressInput, pointer: &str| match input.check(pointer) {
        Ok(address) => Some(address),
        Err(wrong) => {
            errors.extend(wrong);
            None
        }
    };
    let shipping = check(address(typed, ""), "/shipping_address");
    let billing = address(typed, BILLING);
    // A browser may fill in the country of a section that was never opened.
    let only_country = AddressInput {
        country: billing.country.clone(),
        ..AddressInput::default()
    };
    let billing = if billing == only_country {
        None
    } else {
        check(billing, "/billing_address")
    };
    let method = match value(typed, "shipping_method") {
        "" => None,
        code => Some(Some(code.to_owned())),
    };
    let details = Details {
        email: Some(email),
        shipping_address: Some(shipping),
        billing_address: Some(billing),
        shipping_method: method,
        ..Details::default()
    };
    (details, errors)
}

struct Page<'a> {
    state: &'a PrivateState,
    checkout: &'a Checkout,
    place: &'a Place,
    visitor: &'a Visitor,
}

impl Page<'_> {
    async fn pay(&self, cart: PublicId, shown: Option<&Shown>, typed: &Typed) -> Answer {
        let texts = CheckoutTexts::of(self.place.locale);
        let key = match value(typed, "key") {
            "" => PublicId::random().to_string(),
            key => key.chars().take(64).collect(),
        };
        let token = value(typed, "token");
        let payment = (!value(typed, "provider").is_empty()).then(|| PaymentChoice {
            provider: value(typed, "provider").to_owned(),
            // Numbers of test cards are typed as they stand on cards.
            token: token.chars().filter(|letter| *letter != ' ').collect(),
        });
        if let (Some(shown), Some(choice)) = (shown, &payment)
            && choice.token.is_empty()
            && shown.priced.total > 0
        {
            let told = Told {
                payment: Some(texts.field_missing),
                key: Some(key),
                ..Told::default()
            };
            return self
                .render(StatusCode::UNPROCESSABLE_ENTITY, shown, typed, told)
                .await;
        }
        let request = CompleteRequest {
            cart,
            customer: self.visitor.customer.as_ref().map(|customer| customer.id),
            key: key.clone(),
            body: CompleteBody {
                expected_total: value(typed, "expected_total").parse().unwrap_or(-1),
                payment,
            },
            ip: self.visitor.ip,
        };
        match complete(self.checkout, request).await {
            Ok(answered) if answered.answer.status < 300 => self.go_on(&answered.answer),
            Ok(answered) => {
                let problem: Value =
                    serde_json::from_slice(&answered.answer.body).unwrap_or(Value::Null);
                self.refused(&problem, typed).await
            }
            Err(error) => {
                let told = match error.code {
                    Code::CheckoutIncomplete => Told {
                        errors: error.fields,
                        key: Some(key),
                        ..Told::default()
                    },
                    Code::CompletionInProgress | Code::IdempotencyInFlight => Told {
                        notices: vec![texts.in_progress],
                        key: Some(key),
                        ..Told::default()
                    },
                    // The form was changed after it was sent: what is typed now is another attempt.
                    Code::IdempotencyMismatch => Told {
                        notices: vec![texts.changed],
                        ..Told::default()
                    },
                    Code::Unavailable | Code::OutcomeUnknown => Told {
                        notices: vec![texts.not_known],
                        key: Some(key),
                        ..Told::default()
                    },
                    _ => return Err(error),
                };
                let status = StatusCode::from_u16(error.code.status())
                    .unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                self.again(status, typed, told).await
            }
        }
    }

    /// Where a shopper goes whose order was taken, or waits for something.
    fn go_on(&self, answer: &StoredAnswer) -> Answer {
        let completion: Completion =
            serde_json::from_slice(&answer.body).map_err(ApiError::internal)?;
        let placed = completion.status == super::model::CompletionStatus::Placed;
        Ok(see_other(&if placed {
            format!("{}&placed=1", completion.url)
        } else {
            completion.url
        }))
    }

    async fn refused(&self, problem: &Value, typed: &Typed) -> Answer {
        let texts = CheckoutTexts::of(self.place.locale);
        let word = |name: &str| {
            problem
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let mut told = Told::default();
        match word("code") {
            "payment_declined" => {
                let may_retry = problem.get("may_retry").and_then(Value::as_bool);
                told.payment = Some(if may_retry == Some(false) {
                    texts.declined_final
                } else {
                    texts.declined
                });
                told.notices.extend(told.payment);
            }
            "cart_changed" => told.notices.push(texts.changed),
            "out_of_stock" => told.notices.push(texts.sold_out),
            "promotion_used_up" => told.notices.push(texts.coupon_gone),
            _ => told.notices.push(texts.refused),
        }
        self.again(StatusCode::UNPROCESSABLE_ENTITY, typed, told)
            .await
    }

    /// The page once more, with the cart as it is now.
    async fn again(&self, status: StatusCode, typed: &Typed, told: Told) -> Answer {
        match current(self.state, self.checkout, self.visitor).await? {
            Some(shown) => self.render(status, &shown, typed, told).await,
            None => Ok(see_other(&self.place.url("/cart"))),
        }
    }

    async fn render(&self, status: StatusCode, shown: &Shown, typed: &Typed, told: Told) -> Answer {
        let locale = self.place.locale;
        let texts = CheckoutTexts::of(locale);
        let served = self
            .state
            .read(|connection| Box::pin(async move { Ok(taxes::countries(connection).await?) }))
            .await?;
        let countries = named(served.iter().map(String::as_str), locale);
        let fields = Fields {
            texts,
            typed,
            errors: &told.errors,
            countries: &countries,
        };
        let priced = &shown.priced;
        let mut notices = told.notices;
        if !told.errors.is_empty() {
            notices.push(texts.problems);
        }
        let billing_wrong = told
            .errors
            .iter()
            .any(|error| error.field.starts_with("/billing_address"));
        let offers = self.checkout.payments.offers();
        let content = CheckoutPage {
            texts,
            action: self.place.own_url(),
            cart_url: self.place.url("/cart"),
            sign_in: self.visitor.customer.is_none().then(|| {
                self.place.url(&format!(
                    "/login?next={}",
                    crate::storefront::urls::encode_component(&self.place.own_url())
                ))
            }),
            notices,
            key: told.key.unwrap_or_else(|| PublicId::random().to_string()),
            expected_total: priced.total,
            email: fields.email()?,
            shipping_address: fields.address("", "/shipping_address", "shipping")?,
            billing_address: fields.address(BILLING, "/billing_address", "billing")?,
            billing_open: billing_wrong || !value(typed, &format!("{BILLING}line1")).is_empty(),
            methods: methods(priced, typed, texts, locale),
            method_error: fields.error("/shipping_method"),
            has_destination: priced.destination.is_some() || shown.cart.goes_to().is_some(),
            nothing_to_pay: priced.total == 0,
            test_card: offers.iter().any(|offer| matches!(offer, Offer::TestCard)),
            stripe: offers.into_iter().find_map(|offer| match offer {
                Offer::Stripe { publishable_key } => Some(publishable_key),
                Offer::TestCard => None,
            }),
            payment_error: told.payment.or_else(|| fields.error("/payment")),
            lines: lines(priced, texts, locale),
            sums: sums(priced, texts, locale),
        };
        self.state
            .page(self.place, status, texts.title, &content)
            .await
    }
}

/// An amount as a shopper reads it.
pub(crate) fn amount(
    minor: i64,
    currency: crate::catalog::model::Currency,
    locale: crate::storefront::i18n::Locale,
) -> String {
    Money::new(minor, currency).format(locale)
}

fn methods(
    priced: &Priced,
    typed: &Typed,
    texts: &CheckoutTexts,
    locale: crate::storefront::i18n::Locale,
) -> Vec<MethodRow> {
    let chosen = value(typed, "shipping_method");
    let only = priced.methods.len() == 1;
    priced
        .methods
        .iter()
        .map(|method| MethodRow {
            code: method.code.clone(),
            name: method.name.clone(),
            days: (texts.days)(method.days_min, method.days_max),
            price: match method.amount {
                0 => texts.free.to_owned(),
                minor => amount(minor, priced.currency, locale),
            },
            chosen: only || method.code == chosen,
        })
        .collect()
}

fn lines(
    priced: &Priced,
    texts: &CheckoutTexts,
    locale: crate::storefront::i18n::Locale,
) -> Vec<LineRow> {
    priced
        .lines
        .iter()
        .map(|line| LineRow {
            name: line.name.clone(),
            options: line.options_text.clone(),
            pieces: (texts.pieces)(i64::from(line.quantity)),
            total: amount(line.subtotal, priced.currency, locale),
            picture: line
                .picture
                .as_ref()
                .map(|picture| media(&picture.hash, Preset::Thumb)),
        })
        .collect()
}

fn sums(
    priced: &Priced,
    texts: &'static CheckoutTexts,
    locale: crate::storefront::i18n::Locale,
) -> Vec<SumRow> {
    let row = |name, minor: i64| SumRow {
        name,
        amount: amount(minor, priced.currency, locale),
        strong: false,
    };
    let mut sums = vec![row(texts.subtotal, priced.subtotal)];
    if priced.discount > 0 {
        sums.push(row(texts.discount, -priced.discount));
    }
    sums.push(match &priced.shipping_method {
        Some(_) if priced.shipping == 0 => SumRow {
            name: texts.shipping_cost,
            amount: texts.free.to_owned(),
            strong: false,
        },
        Some(_) => row(texts.shipping_cost, priced.shipping),
        None => SumRow {
            name: texts.shipping_cost,
            amount: texts.shipping_later.to_owned(),
            strong: false,
        },
    });
    if priced.tax > 0 && !priced.prices_include_tax {
        sums.push(row(texts.tax_added, priced.tax));
    }
    sums.push(SumRow {
        strong: true,
        ..row(texts.total, priced.total)
    });
    if priced.tax > 0 && priced.prices_include_tax {
        sums.push(row(texts.tax_included, priced.tax));
    }
    sums
}

/// A shopper comes back from the second step of a payment. What is here does not depend on what the address says of its outcome:
/// the provider is asked.
async fn returned(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    checkout: web::Data<Checkout>,
    path: web::Path<(String, String)>,
    key: web::Query<LinkKey>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &path.1, &key)?;
    let order = pass.show(&state).await?.order;
    let order_id = order.id;
    let open = state
        .read(move |connection| {
            Box::pin(async move { Ok(payments::of_order(connection, order_id).await?) })
        })
        .await?;
    for payment in open.iter().filter(|payment| payment.state.is_open()) {
        checkout.payments.refresh(payment.id).await?;
    }
    let finalised = finalise(&checkout, order_id, Occasion::Payment, "customer").await?;
    let url = link::order_url("", &state.keys, &order);
    Ok(match finalised {
        Finalised::Placed => see_other(&format!("{url}&placed=1")),
        Finalised::Cancelled { .. } => see_other(&place.url("/checkout?payment=declined")),
        Finalised::Waiting => see_other(&url),
    })
}

/// Ends a pending order whose shopper wants to begin again.
pub(crate) async fn begin_again(
    place: &Place,
    checkout: &Checkout,
    order_id: i64,
) -> Result<HttpResponse, ApiError> {
    abandon(checkout, order_id).await?;
    Ok(see_other(&place.url("/checkout")))
}
