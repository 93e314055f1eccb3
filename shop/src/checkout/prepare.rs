//! The first step: a draft order that holds what it sells.

use std::sync::Arc;

use serde_json::json;
use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::Checkout;
use super::finalise::placed_answer;
use super::model::{CompleteRequest, PaymentChoice, reason};
use crate::cart::model::{Cart, CartState, Priced, RequirementCode};
use crate::cart::{pricing, store as carts};
use crate::crash::{self, Point};
use crate::db::{DbError, MayBeDatabase};
use crate::idempotency::{self, Claim, Key, StoredAnswer};
use crate::notify::event::EventKind;
use crate::orders::model::{Discount, NewLine, NewOrder, Order, OrderState};
use crate::orders::{Transition, change, store as orders, transition};
use crate::payments::Payments;
use crate::promotions::store as promotions;
use crate::risk::{self, Outcome, Stage};
use crate::stock;
use crate::web::error::{ApiError, Code};

/// The purpose under which clients' addresses are hashed.
const IP: &str = "ip";

/// What preparing came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    /// A draft order is there and its payment can be made.
    Draft {
        /// The order.
        order: Box<Order>,
        /// Its payment; none where nothing is to be paid.
        payment_id: Option<i64>,
    },
    /// It is decided, and this answer is kept with the key.
    Answered(StoredAnswer),
    /// The key was used before.
    Known(Claim),
    /// The cart has a pending order whose shopper went to a second step and came back without it.
    Abandoned {
        /// That order.
        order_id: i64,
    },
}

/// Why the transaction of preparing was rolled back.
enum Stop {
    Refused(ApiError),
    Abandoned(i64),
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl MayBeDatabase for Stop {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Refused(error) => error.database(),
            Self::Abandoned(_) => None,
        }
    }
}

/// Prepares an order of a cart.
///
/// # Errors
/// `not_found` for a cart that is somebody else's or none; `checkout_incomplete`, `cart_changed`, `out_of_stock`,
/// `promotion_used_up`, `completion_in_progress`; what the database answers. Nothing is changed then.
pub async fn prepare(
    checkout: &Checkout,
    request: &Arc<CompleteRequest>,
    key: &Key,
) -> Result<Prepared, ApiError> {
    let shared = Arc::new((checkout.clone(), Arc::clone(request), key.clone()));
    let work = Arc::clone(&shared);
    let prepared = checkout
        .db
        .transaction(move |connection| {
            let work = Arc::clone(&work);
            Box::pin(async move {
                let (checkout, request, key) = &*work;
                attempt(connection, checkout, request, key).await
            })
        })
        .await;
    match prepared {
        Ok(prepared) => Ok(prepared),
        Err(Stop::Abandoned(order_id)) => Ok(Prepared::Abandoned { order_id }),
        Err(Stop::Refused(error)) if error.code == Code::OutcomeUnknown => {
            resolve(checkout, key, error).await
        }
        Err(Stop::Refused(error)) => Err(error),
    }
}

/// The answer to the commit was lost. The row of the key was committed with the order, or neither was.
async fn resolve(checkout: &Checkout, key: &Key, error: ApiError) -> Result<Prepared, ApiError> {
    let wanted = key.clone();
    let found: Option<(Claim, Option<i64>)> = checkout
        .db
        .transaction(move |connection| {
            let key = wanted.clone();
            Box::pin(async move {
                let claim = idempotency::look(connection, &key).await?;
                let reference = idempotency::reference(connection, &key).await?;
                Ok::<_, DbError>(claim.map(|claim| (claim, reference)))
            })
        })
        .await
        // Reading has no effect, so its own commit does not matter; what is unknown stays unknown.
        .map_err(|_| error)?;
    Ok(match found {
        Some((Claim::InFlight, Some(order_id))) => Prepared::Known(Claim::Resumed {
            reference: Some(order_id),
        }),
        Some((claim, _)) => Prepared::Known(claim),
        // Nothing was committed: whoever repeats begins anew.
        None => return Err(ApiError::new(Code::Unavailable)),
    })
}

async fn attempt(
    connection: &mut MySqlConnection,
    checkout: &Checkout,
    request: &CompleteRequest,
    key: &Key,
) -> Result<Prepared, Stop> {
    match idempotency::claim(connection, key).await? {
        Claim::Fresh => {}
        claim => return Ok(Prepared::Known(claim)),
    }
    crash::here(Point::Claimed);
    let mut cart = carts::lock(connection, &request.cart)
        .await?
        .filter(|cart| cart.customer_id.is_none() || cart.customer_id == request.customer)
        .ok_or_else(|| ApiError::new(Code::NotFound).detail("there is no such cart"))?;
    if cart.state != CartState::Open {
        return of_closed(connection, checkout, &cart, key).await;
    }
    let now = OffsetDateTime::now_utc();
    let priced = pricing::price(connection, &cart, &checkout.pricing, now).await?;
    check(&priced, request)?;
    let choice = choice(checkout, request, &priced)?;

    let order = new_order(checkout, request, &cart, &priced);
    let (order_id, number) = orders::insert(connection, &order).await?;
    let mut draft = orders::get(connection, order_id)
        .await?
        .ok_or_else(|| ApiError::new(Code::Internal))?;
    let data = json!({ "total": priced.total, "currency": priced.currency });
    change::announce(
        connection,
        &draft,
        EventKind::OrderCreated,
        "customer",
        &data,
    )
    .await?;
    crash::here(Point::Drafted);
    idempotency::refer(connection, key, order_id).await?;
    let assessment =
        risk::assess(connection, &checkout.risk, order_id, Stage::BeforePayment).await?;
    if assessment.outcome == Outcome::Refuse {
        tracing::info!(
            number = number.as_str(),
            "refused by the risk rules before payment"
        );
        let data = json!({ "reason": reason::RISK });
        transition(connection, &mut draft, Transition::Cancel, "risk", data).await?;
        orders::forget_cart(connection, &mut draft).await?;
        let refused = StoredAnswer::problem(&refused());
        idempotency::finish(connection, key, &refused).await?;
        return Ok(Prepared::Answered(refused));
    }
    cart.state = CartState::Completing;
    if !carts::update(connection, &cart).await? {
        let error = ApiError::new(Code::Internal).detail("a locked cart could not be written");
        return Err(error.into());
    }
    let payment_id = match choice {
        Some(choice) => {
            let (total, currency) = (priced.total, priced.currency);
            let payment =
                Payments::create(connection, order_id, &choice.provider, total, currency).await?;
            Some(payment.id)
        }
        None => None,
    };
    if let Err(limit) =
        promotions::redeem(connection, order_id, &priced.discounts, &order.customer_key).await?
    {
        let name = if limit.code.is_empty() {
            "a promotion of the cart has ended".to_owned()
        } else {
            format!(
                "the coupon {} has been used as often as it may be",
                limit.code
            )
        };
        let error = ApiError::new(Code::PromotionUsedUp)
            .detail(name)
            .field("/coupons", limit.code);
        return Err(error.into());
    }
    let wanted: Vec<stock::Wanted> = priced
        .lines
        .iter()
        .map(|line| stock::Wanted {
            variant_id: line.variant_id,
            quantity: i64::from(line.quantity),
            buckets: line.buckets,
        })
        .collect();
    if let Err(sold_out) = stock::hold(connection, order_id, &wanted).await? {
        return Err(out_of_stock(&priced, sold_out.variant_id).into());
    }
    crash::here(Point::Held);
    Ok(Prepared::Draft {
        order: Box::new(draft),
        payment_id,
    })
}

/// What is answered to a shopper whose order the risk rules refused. It does not say why: that would teach fraud.
#[must_use]
pub fn refused() -> ApiError {
    ApiError::new(Code::PaymentRefused)
        .detail("this order cannot be taken online; write to the shop to order in another way")
}

/// A cart that is not open any more.
async fn of_closed(
    connection: &mut MySqlConnection,
    checkout: &Checkout,
    cart: &Cart,
    key: &Key,
) -> Result<Prepared, Stop> {
    if cart.state == CartState::Merged {
        let error =
            ApiError::new(Code::NotFound).detail("the cart was merged into that of the account");
        return Err(error.into());
    }
    let in_progress = ApiError::new(Code::CompletionInProgress)
        .detail("the cart is being paid for; ask again in a moment");
    let Some(order) = orders::find_by_cart(connection, cart.id).await? else {
        return Err(in_progress.into());
    };
    if order.state == OrderState::Pending {
        return Err(
            if super::store::waits_for_shopper(connection, order.id).await? {
                Stop::Abandoned(order.id)
            } else {
                in_progress.into()
            },
        );
    }
    if order.state == OrderState::Cancelled {
        let error = ApiError::new(Code::Conflict)
            .detail("the order that was made of this cart was cancelled: make another cart");
        return Err(error.into());
    }
    // Another tab was faster: a cart has one order, and this is it.
    let answer = placed_answer(checkout, &order);
    idempotency::finish(connection, key, &answer).await?;
    Ok(Prepared::Answered(answer))
}

/// Whether the cart can be ordered as it is, for what the shopper agreed to.
fn check(priced: &Priced, request: &CompleteRequest) -> Result<(), ApiError> {
    let short = |code| matches!(code, RequirementCode::LineShort | RequirementCode::LineGone);
    let missing = priced
        .requirements
        .iter()
        .filter(|requirement| !short(requirement.code));
    let mut incomplete = ApiError::new(Code::CheckoutIncomplete).detail("see `errors`");
    for requirement in missing {
        incomplete = incomplete.field(&requirement.field, &requirement.message);
    }
    if !incomplete.fields.is_empty() {
        return Err(incomplete);
    }
    let mut sold_out = ApiError::new(Code::OutOfStock).detail("see `errors`");
    for requirement in &priced.requirements {
        sold_out = sold_out.field(&requirement.field, &requirement.message);
    }
    if !sold_out.fields.is_empty() {
        return Err(sold_out);
    }
    if priced.total != request.body.expected_total {
        return Err(ApiError::new(Code::CartChanged)
            .detail("prices, promotions or shipping changed: show the new total and ask again")
            .member("total", priced.total)
            .member("currency", priced.currency.as_str()));
    }
    Ok(())
}

/// How it is paid: None where nothing is to be paid.
fn choice<'r>(
    checkout: &Checkout,
    request: &'r CompleteRequest,
    priced: &Priced,
) -> Result<Option<&'r PaymentChoice>, ApiError> {
    if priced.total == 0 {
        return Ok(None);
    }
    let Some(choice) = &request.body.payment else {
        return Err(ApiError::new(Code::CheckoutIncomplete)
            .detail("see `errors`")
            .field("/payment", "choose how to pay"));
    };
    let offers = checkout.payments.offers();
    if !offers
        .iter()
        .any(|offer| offer.provider() == choice.provider)
    {
        return Err(ApiError::new(Code::CheckoutIncomplete)
            .detail("see `errors`")
            .field("/payment/provider", "is not a provider of this shop"));
    }
    Ok(Some(choice))
}

fn out_of_stock(priced: &Priced, variant_id: i64) -> ApiError {
    let line = priced
        .lines
        .iter()
        .find(|line| line.variant_id == variant_id);
    let (sku, name) = line.map_or(("", ""), |line| (line.sku.as_str(), line.name.as_str()));
    ApiError::new(Code::OutOfStock)
        .detail("see `errors`")
        .field(
            format!("/lines/{sku}"),
            format!("{name} has just been sold to others: take fewer, or remove it"),
        )
}

fn new_order(
    checkout: &Checkout,
    request: &CompleteRequest,
    cart: &Cart,
    priced: &Priced,
) -> NewOrder {
    // Requirements have seen to it that there is an address.
    let email = cart.email.clone().unwrap_or_default();
    let json = |address: &Option<crate::accounts::address::Address>| {
        address
            .as_ref()
            .and_then(|address| serde_json::to_value(address).ok())
    };
    let ip = request.ip.to_canonical().to_string();
    NewOrder {
        cart_id: cart.id,
        customer_id: cart.customer_id,
        customer_key: pricing::customer_key(&checkout.keys, &email),
        email,
        locale: cart.locale.as_str().to_owned(),
        currency: priced.currency,
        prices_include_tax: priced.prices_include_tax,
        subtotal: priced.subtotal,
        discount: priced.discount,
        shipping: priced.shipping,
        tax: priced.tax,
        total: priced.total,
        shipping_method: priced.shipping_method.clone(),
        shipping_name: priced.shipping_name.clone(),
        shipping_address: json(&cart.shipping_address),
        billing_address: json(&cart.billing_address).or_else(|| json(&cart.shipping_address)),
        ip_key: Some(checkout.keys.keyed_hash(IP, ip.as_bytes())),
        hold: checkout.hold,
        lines: priced
            .lines
            .iter()
            .map(|line| NewLine {
                variant_id: line.variant_id,
                product_id: line.product_id,
                sku: line.sku.clone(),
                name: line.name.clone(),
                slug: line.slug.clone(),
                options_text: line.options_text.chars().take(255).collect(),
                picture: line.picture.as_ref().map(|picture| picture.hash.clone()),
                weight_grams: line.weight_grams,
                quantity: i64::from(line.quantity),
                unit_amount: line.unit_amount,
                discount: line.discount,
                tax_name: line.tax_name.clone(),
                tax_rate: i64::from(line.tax_rate),
                tax: line.tax,
                total: line.total,
            })
            .collect(),
        discounts: priced
            .discounts
            .iter()
            .map(|discount| Discount {
                promotion_id: discount.promotion_id,
                coupon_code: discount.coupon_code.clone().unwrap_or_default(),
                label: discount.label.clone(),
                amount: discount.amount,
            })
            .collect(),
    }
}
