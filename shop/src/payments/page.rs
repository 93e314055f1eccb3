//! The page of the test provider on which a shopper approves a payment or does not: what a bank shows for a second step.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::Payments;
use super::test_provider::store::{State, TestPayment};
use super::test_provider::{Decision, TestProvider};
use crate::storefront::money::{Currency, Money};
use crate::web::error::{ApiError, Code};
use crate::web::private::texts::texts;
use crate::web::private::{Answer, Place, PrivateState, PublicId, see_other};

texts! {
    /// Sentences of the page for a second step.
    StepTexts {
        title: "Confirm your payment" => "确认付款",
        bank: "Test bank" => "测试银行",
        hint: "This is a test. No money is moved, whatever you choose." => "这是测试页面，无论您如何选择，都不会产生实际扣款。",
        amount: "Amount" => "金额",
        order: "Order" => "订单",
        card: "Card" => "银行卡",
        approve: "Approve the payment" => "确认付款",
        decline: "Decline" => "拒绝",
        done_title: "This payment is decided" => "此付款已处理",
        done_text: "There is nothing left to do here." => "此处无需其他操作。",
        back: "Back to the shop" => "返回商店",
    }
}

#[derive(Template)]
#[template(path = "payments/step.html")]
struct StepPage<'a> {
    texts: &'static StepTexts,
    shop: &'a str,
    amount: String,
    order: &'a str,
    last4: &'static str,
    is_open: bool,
    action: String,
    back: String,
}

/// What the shopper chose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    decision: Decision,
}

fn not_found() -> ApiError {
    ApiError::new(Code::NotFound)
}

fn provider(payments: &Payments) -> Result<&TestProvider, ApiError> {
    payments.test_provider().ok_or_else(not_found)
}

type Address = web::Path<(String, String)>;

fn reference(path: &Address) -> Result<PublicId, ApiError> {
    path.1.parse().map_err(|_| not_found())
}

/// Shows what is to be approved. Whoever has the address may: it has 130 random bits, and the shopper was sent to it.
///
/// # Errors
/// 404 for an address that is none.
pub async fn show(state: web::Data<PrivateState>, place: Place, path: Address) -> Answer {
    let payment = provider(&state.payments)?
        .find(reference(&path)?)
        .await?
        .ok_or_else(not_found)?;
    let texts = StepTexts::of(place.locale);
    let amount = payment
        .currency
        .parse::<Currency>()
        .map(|currency| Money::new(payment.amount, currency).format(place.locale))
        .unwrap_or_default();
    let content = StepPage {
        texts,
        shop: &state.site.name,
        amount,
        order: &payment.order_number,
        last4: payment.card.map_or("", |card| card.last4()),
        is_open: payment.state == State::ActionRequired,
        action: place.own_url(),
        back: back(&payment).unwrap_or_else(|| place.urls().home()),
    };
    state
        .page(&place, StatusCode::OK, texts.title, &content)
        .await
}

fn back(payment: &TestPayment) -> Option<String> {
    payment.return_url.clone()
}

/// The shopper has chosen, and goes back to the shop.
///
/// # Errors
/// 404 for an address that is none.
pub async fn decide(
    state: web::Data<PrivateState>,
    place: Place,
    path: Address,
    choice: web::Form<Choice>,
) -> Answer {
    let payment = provider(&state.payments)?
        .decide(reference(&path)?, choice.decision)
        .await?
        .ok_or_else(not_found)?;
    let home = place.urls().home();
    Ok(see_other(payment.return_url.as_deref().unwrap_or(&home)))
}
