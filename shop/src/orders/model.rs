//! What an order is.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::number::OrderNumber;
use crate::catalog::model::Currency;

macro_rules! states {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that the database and the API use.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)+ } }

            /// The state of that word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$variant),)+ _ => None } }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { formatter.write_str(self.as_str()) }
        }
    };
}

states! {
    /// Whether the order counts.
    OrderState {
        /// A draft that holds stock and waits for its payment.
        Pending = "pending",
        /// Acknowledged to the shopper.
        Placed = "placed",
        /// Delivered, and nothing left to do.
        Completed = "completed",
        /// It came to nothing.
        Cancelled = "cancelled",
    }
}

states! {
    /// What became of the money.
    PaymentState {
        /// Nothing is promised.
        Unpaid = "unpaid",
        /// The whole amount is authorised.
        Authorized = "authorized",
        /// A part was captured.
        PartiallyCaptured = "partially_captured",
        /// The whole amount was captured.
        Paid = "paid",
        /// A part of what was captured went back, or all of it while more is held.
        PartiallyRefunded = "partially_refunded",
        /// All of what was captured went back, and nothing is held.
        Refunded = "refunded",
        /// The authorisation was given up.
        Voided = "voided",
    }
}

states! {
    /// What became of the pieces.
    FulfilmentState {
        /// None has left.
        Unfulfilled = "unfulfilled",
        /// Some have left.
        PartiallyShipped = "partially_shipped",
        /// All have left.
        Shipped = "shipped",
        /// All have arrived.
        Delivered = "delivered",
    }
}

states! {
    /// Whether somebody must look at it before it may be fulfilled.
    ReviewState {
        /// Nobody.
        None = "none",
        /// Somebody must: it is not fulfilled meanwhile.
        Pending = "pending",
        /// Somebody has, and it may go on.
        Cleared = "cleared",
        /// Somebody has, and it may not.
        Refused = "refused",
    }
}

/// An order as it is stored. Amounts are in minor units of the currency.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its id in the database; never shown.
    pub id: i64,
    /// Its public name.
    pub number: OrderNumber,
    /// The cart it was made from; none once an order that came to nothing has given its cart back.
    pub cart_id: Option<i64>,
    /// The customer, if one was signed in.
    pub customer_id: Option<i64>,
    /// Keyed hash of the e-mail address, for limits per customer.
    pub customer_key: [u8; 32],
    /// Where mails go.
    pub email: String,
    /// The language of its texts and mails.
    pub locale: String,
    /// The currency of all amounts.
    pub currency: Currency,
    /// Whether it counts.
    pub state: OrderState,
    /// What became of the money.
    pub payment_state: PaymentState,
    /// What became of the pieces.
    pub fulfilment_state: FulfilmentState,
    /// Whether somebody must look at it.
    pub review_state: ReviewState,
    /// Why it was cancelled, in one word.
    pub cancel_reason: Option<String>,
    /// Whether line amounts contain their tax.
    pub prices_include_tax: bool,
    /// Lines before discounts.
    pub subtotal: i64,
    /// What promotions took off.
    pub discount: i64,
    /// Shipping.
    pub shipping: i64,
    /// Tax, contained in the amounts or on top of them.
    pub tax: i64,
    /// What is to be paid.
    pub total: i64,
    /// Code of the shipping method.
    pub shipping_method: Option<String>,
    /// Its name in the order's language.
    pub shipping_name: String,
    /// Where it goes.
    pub shipping_address: Option<Value>,
    /// Who is billed.
    pub billing_address: Option<Value>,
    /// Until when a pending order holds its stock.
    pub held_until: Option<OffsetDateTime>,
    /// Counts changes.
    pub version: i64,
    /// When it was begun.
    pub created_at: OffsetDateTime,
    /// When it was acknowledged.
    pub placed_at: Option<OffsetDateTime>,
}

impl Order {
    /// Whether pieces of it may leave: it counts, and nobody holds it back.
    #[must_use]
    pub fn may_be_fulfilled(&self) -> bool {
        self.state == OrderState::Placed
            && !matches!(
                self.review_state,
                ReviewState::Pending | ReviewState::Refused
            )
    }

    /// What it costs without the pieces that were taken out of its lines.
    #[must_use]
    pub fn kept_total(&self, lines: &[Line]) -> i64 {
        let taken_out: i64 = lines
            .iter()
            .map(|line| line.amount_of(0, line.cancelled))
            .sum();
        self.total - taken_out
    }

    /// Whether its lines and addresses may still be changed: it counts and nothing of it has left.
    #[must_use]
    pub fn may_be_edited(&self) -> bool {
        self.state == OrderState::Placed && self.fulfilment_state == FulfilmentState::Unfulfilled
    }
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its id in the database.
    pub id: i64,
    /// Its place, from 0; names the line in public.
    pub position: i32,
    /// What is sold.
    pub variant_id: i64,
    /// Whose variant it is.
    pub product_id: i64,
    /// Its SKU then.
    pub sku: String,
    /// Its name then.
    pub name: String,
    /// The last part of its address then.
    pub slug: String,
    /// Its options then, as text.
    pub options_text: String,
    /// Hash of its picture then.
    pub picture: Option<String>,
    /// Weight of one piece.
    pub weight_grams: i64,
    /// Pieces ordered.
    pub quantity: i64,
    /// Price of one piece.
    pub unit_amount: i64,
    /// What promotions took off the line.
    pub discount: i64,
    /// Name of the tax.
    pub tax_name: String,
    /// Its rate in millionths.
    pub tax_rate: i64,
    /// Tax of the line.
    pub tax: i64,
    /// What the line costs, tax included.
    pub total: i64,
    /// Pieces cancelled since.
    pub cancelled: i64,
    /// Pieces that have left.
    pub shipped: i64,
    /// Pieces that came back.
    pub returned: i64,
}

impl Line {
    /// Pieces that are still to be sent.
    #[must_use]
    pub const fn open(&self) -> i64 {
        self.quantity
            .saturating_sub(self.cancelled)
            .saturating_sub(self.shipped)
    }

    /// What `pieces` of the line cost when `before` of it are gone already: the parts of a line add up to its total, however
    /// they are cut.
    #[must_use]
    pub fn amount_of(&self, before: i64, pieces: i64) -> i64 {
        let until = |count: i64| {
            let share = i128::from(self.total) * i128::from(count.clamp(0, self.quantity));
            i64::try_from(share / i128::from(self.quantity.max(1))).unwrap_or(self.total)
        };
        until(before.saturating_add(pieces)) - until(before)
    }
}

/// A line to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewLine {
    /// As of [`Line`].
    pub variant_id: i64,
    /// As of [`Line`].
    pub product_id: i64,
    /// As of [`Line`].
    pub sku: String,
    /// As of [`Line`].
    pub name: String,
    /// As of [`Line`].
    pub slug: String,
    /// As of [`Line`].
    pub options_text: String,
    /// As of [`Line`].
    pub picture: Option<String>,
    /// As of [`Line`].
    pub weight_grams: i64,
    /// As of [`Line`].
    pub quantity: i64,
    /// As of [`Line`].
    pub unit_amount: i64,
    /// As of [`Line`].
    pub discount: i64,
    /// As of [`Line`].
    pub tax_name: String,
    /// As of [`Line`].
    pub tax_rate: i64,
    /// As of [`Line`].
    pub tax: i64,
    /// As of [`Line`].
    pub total: i64,
}

/// What promotions took off an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Discount {
    /// The promotion.
    #[serde(skip)]
    pub promotion_id: i64,
    /// The code that was given; empty without one.
    pub coupon_code: String,
    /// Its name then.
    pub label: String,
    /// The amount in minor units.
    pub amount: i64,
}

/// An order to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOrder {
    /// As of [`Order`].
    pub cart_id: i64,
    /// As of [`Order`].
    pub customer_id: Option<i64>,
    /// As of [`Order`].
    pub customer_key: [u8; 32],
    /// As of [`Order`].
    pub email: String,
    /// As of [`Order`].
    pub locale: String,
    /// As of [`Order`].
    pub currency: Currency,
    /// As of [`Order`].
    pub prices_include_tax: bool,
    /// As of [`Order`].
    pub subtotal: i64,
    /// As of [`Order`].
    pub discount: i64,
    /// As of [`Order`].
    pub shipping: i64,
    /// As of [`Order`].
    pub tax: i64,
    /// As of [`Order`].
    pub total: i64,
    /// As of [`Order`].
    pub shipping_method: Option<String>,
    /// As of [`Order`].
    pub shipping_name: String,
    /// As of [`Order`].
    pub shipping_address: Option<Value>,
    /// As of [`Order`].
    pub billing_address: Option<Value>,
    /// Keyed hash of the address from which it was ordered.
    pub ip_key: Option<[u8; 32]>,
    /// For how long it holds its stock.
    pub hold: std::time::Duration,
    /// Its lines, in order.
    pub lines: Vec<NewLine>,
    /// What promotions took off.
    pub discounts: Vec<Discount>,
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn line(quantity: i64, total: i64) -> Line {
        Line {
            id: 1,
            position: 0,
            variant_id: 1,
            product_id: 1,
            sku: String::new(),
            name: String::new(),
            slug: String::new(),
            options_text: String::new(),
            picture: None,
            weight_grams: 0,
            quantity,
            unit_amount: 0,
            discount: 0,
            tax_name: String::new(),
            tax_rate: 0,
            tax: 0,
            total,
            cancelled: 0,
            shipped: 0,
            returned: 0,
        }
    }

    #[test]
    fn the_parts_of_a_line_add_up_to_it() {
        let line = line(3, 1000);
        assert_eq!(line.amount_of(0, 1), 333);
        assert_eq!(line.amount_of(1, 1), 333);
        assert_eq!(line.amount_of(2, 1), 334);
        assert_eq!(line.amount_of(0, 3), 1000);
        assert_eq!(line.amount_of(3, 5), 0);
    }

    #[test]
    fn states_are_read_back_from_their_words() {
        for state in PaymentState::ALL {
            assert_eq!(PaymentState::from_word(state.as_str()), Some(*state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!(OrderState::from_word("eaten"), None);
    }
}
