//! Addresses by which an order is followed without an account: whoever has one may see that order, and no other.

use super::model::Order;
use super::number::OrderNumber;
use crate::secret::Keys;
use crate::storefront::i18n::Locale;

/// The purpose of the signature.
const PURPOSE: &str = "order link";

/// The signature of an order's link.
#[must_use]
pub fn sign(keys: &Keys, number: &OrderNumber) -> String {
    keys.sign(PURPOSE, number.as_str().as_bytes())
}

/// Whether a link to an order was made by this shop.
#[must_use]
pub fn verify(keys: &Keys, number: &OrderNumber, signature: &str) -> bool {
    keys.verify(PURPOSE, number.as_str().as_bytes(), signature)
}

fn locale(order: &Order) -> Locale {
    Locale::from_tag(&order.locale).unwrap_or(Locale::En)
}

/// The page of an order, for its shopper.
#[must_use]
pub fn order_url(origin: &str, keys: &Keys, order: &Order) -> String {
    format!(
        "{origin}/{}/orders/{}?key={}",
        locale(order).segment(),
        order.number,
        sign(keys, &order.number)
    )
}

/// Where a payment provider sends the shopper after a second step.
#[must_use]
pub fn return_url(origin: &str, keys: &Keys, order: &Order) -> String {
    format!(
        "{origin}/{}/checkout/return/{}?key={}",
        locale(order).segment(),
        order.number,
        sign(keys, &order.number)
    )
}
