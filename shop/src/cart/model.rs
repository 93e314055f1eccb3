//! What a cart is, and what it says about itself. Pure.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::accounts::address::Address;
use crate::catalog::listing::Image;
use crate::catalog::model::{Currency, Locale};
use crate::web::private::PublicId;

pub use crate::promotions::model::PricedDiscount;

/// Most lines of a cart.
pub const MOST_LINES: usize = 100;
/// Most pieces of a line.
pub const LARGEST_QUANTITY: i32 = 9999;

/// Where a cart is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartState {
    /// It can be changed.
    Open,
    /// An order was made of it and is being paid.
    Completing,
    /// It has become an order.
    Ordered,
    /// Its lines were moved to the cart of an account.
    Merged,
}

impl CartState {
    /// The word that the database uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completing => "completing",
            Self::Ordered => "ordered",
            Self::Merged => "merged",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Completing, Self::Ordered, Self::Merged]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// A place in the world, for tax and shipping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Destination {
    /// ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// The part after the hyphen of ISO 3166-2, where the country's addresses have one; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
}

/// A line of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CartLine {
    /// What is meant to be bought.
    pub variant_id: i64,
    /// How many pieces.
    pub quantity: i32,
    /// The price of a piece that the shopper saw last, in minor units of the cart's currency.
    pub seen_amount: Option<i64>,
}

/// A cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// The row.
    pub id: i64,
    /// Its name outside. Who knows it may use a cart that belongs to no customer.
    pub public_id: PublicId,
    /// The customer that it belongs to.
    pub customer_id: Option<i64>,
    /// Where it is in its life.
    pub state: CartState,
    /// The currency of its prices.
    pub currency: Currency,
    /// The language of its names.
    pub locale: Locale,
    /// Where mails about the order go.
    pub email: Option<String>,
    /// Where it is to go as far as that is known before there is an address.
    pub destination: Option<Destination>,
    /// Where it is to go.
    pub shipping_address: Option<Address>,
    /// Who pays; none where that is the shipping address.
    pub billing_address: Option<Address>,
    /// The code of the shipping method that was chosen.
    pub shipping_method: Option<String>,
    /// Grows with each change.
    pub version: i64,
    /// When it was changed last.
    pub updated_at: OffsetDateTime,
    /// What is in it, in the order in which it came.
    pub lines: Vec<CartLine>,
    /// Coupon codes, in the order in which they came.
    pub coupons: Vec<String>,
}

impl Cart {
    /// Where it is to go: the place of the address, or what is known before there is one.
    #[must_use]
    pub fn goes_to(&self) -> Option<Destination> {
        match &self.shipping_address {
            Some(address) => Some(Destination {
                country: address.country.clone(),
                region: address.region.clone().unwrap_or_default(),
            }),
            None => self.destination.clone(),
        }
    }

    /// The pieces in it.
    #[must_use]
    pub fn pieces(&self) -> i64 {
        self.lines.iter().map(|line| i64::from(line.quantity)).sum()
    }

    /// The line of a variant.
    #[must_use]
    pub fn line(&self, variant_id: i64) -> Option<&CartLine> {
        self.lines.iter().find(|line| line.variant_id == variant_id)
    }
}

/// A line with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedLine {
    /// What is meant to be bought.
    pub variant_id: i64,
    /// Its product.
    pub product_id: i64,
    /// The SKU.
    pub sku: String,
    /// The product's name in the cart's language.
    pub name: String,
    /// The product's address.
    pub slug: String,
    /// The values of the variant's options, such as `Blue, M`; may be empty.
    pub options_text: String,
    /// A picture of it.
    pub picture: Option<Image>,
    /// What a piece weighs.
    pub weight_grams: i64,
    /// How many pieces.
    pub quantity: i32,
    /// What a piece costs.
    pub unit_amount: i64,
    /// Before discounts.
    pub subtotal: i64,
    /// What is taken off.
    pub discount: i64,
    /// What the tax is called; empty where there is none.
    pub tax_name: String,
    /// The rate of the tax in millionths.
    pub tax_rate: i32,
    /// The tax.
    pub tax: i64,
    /// What is paid: `subtotal - discount`, and the tax where prices are without it.
    pub total: i64,
    /// How many can be bought; none where stock is not counted.
    pub available: Option<i64>,
    /// Into how many buckets its stock is divided.
    pub buckets: i16,
}

/// A line of something that cannot be bought any more. It costs nothing and stays until it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneLine {
    /// What was meant to be bought.
    pub variant_id: i64,
    /// The SKU.
    pub sku: String,
    /// The product's name in the cart's language.
    pub name: String,
    /// The values of the variant's options.
    pub options_text: String,
    /// A picture of it.
    pub picture: Option<Image>,
    /// How many pieces were meant.
    pub quantity: i32,
}

/// How a coupon of a cart stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CouponState {
    /// It takes something off.
    Applied,
    /// The goods do not cost enough.
    BelowMinimum,
    /// It is for other goods, or for more pieces, or for another currency.
    NothingConcerned,
    /// Another promotion, with which it does not combine, saves as much or more.
    BetterOffer,
    /// It is not, not yet, or no longer to be had.
    NotValid,
    /// It was used as often as it can be.
    UsedUp,
    /// This customer may not use it again, or not at all.
    NotForCustomer,
}

/// A coupon of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedCoupon {
    /// Its code.
    pub code: String,
    /// How it stands.
    pub state: CouponState,
}

/// A way to send the goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OfferedMethod {
    /// What programs call it.
    pub code: String,
    /// What shoppers call it.
    pub name: String,
    /// What it costs in minor units, as prices are: with or without tax.
    pub amount: i64,
    /// Days that it takes at best.
    pub days_min: i16,
    /// Days that it takes at worst.
    pub days_max: i16,
}

/// What still stands between a cart and an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequirementCode {
    /// Nothing is in it that can be bought.
    CartEmpty,
    /// A line is of something that is no longer sold.
    LineGone,
    /// Fewer can be bought than a line asks for.
    LineShort,
    /// There is no e-mail address.
    EmailMissing,
    /// There is no shipping address.
    ShippingAddressMissing,
    /// The shop does not send to the address.
    DestinationNotServed,
    /// No shipping method was chosen.
    ShippingMethodMissing,
    /// The shipping method that was chosen does not take these goods to this address.
    ShippingMethodUnavailable,
}

impl RequirementCode {
    /// The word that the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CartEmpty => "cart_empty",
            Self::LineGone => "line_gone",
            Self::LineShort => "line_short",
            Self::EmailMissing => "email_missing",
            Self::ShippingAddressMissing => "shipping_address_missing",
            Self::DestinationNotServed => "destination_not_served",
            Self::ShippingMethodMissing => "shipping_method_missing",
            Self::ShippingMethodUnavailable => "shipping_method_unavailable",
        }
    }
}

/// Something that still has to be done before an order can be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Requirement {
    /// What.
    pub code: RequirementCode,
    /// A JSON pointer to the field of the cart that it is about.
    pub field: String,
    /// What to do.
    pub message: String,
}

/// How a line differs from what the shopper saw or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// It costs more or less than when the shopper looked last.
    PriceChanged,
    /// Fewer can be bought than were asked for.
    FewerAvailable,
    /// None can be bought at the moment.
    SoldOut,
    /// It is no longer sold.
    Gone,
}

/// A difference of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// What differs.
    pub kind: DifferenceKind,
    /// The SKU.
    pub sku: String,
    /// The product's name.
    pub name: String,
    /// The price that was seen in minor units, or the quantity that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// The price in minor units, or the quantity that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<i64>,
}

/// What a cart costs at a moment. Sums are those of [`super::totals`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The currency of all amounts.
    pub currency: Currency,
    /// Whether prices contain the tax. False, with no tax at all, while it is not known where the goods go.
    pub prices_include_tax: bool,
    /// Where the goods go, if that is known and the shop goes there.
    pub destination: Option<Destination>,
    /// What is bought.
    pub lines: Vec<PricedLine>,
    /// What cannot be bought any more.
    pub gone: Vec<GoneLine>,
    /// The promotions that apply.
    pub discounts: Vec<PricedDiscount>,
    /// The coupons, and how each stands.
    pub coupons: Vec<PricedCoupon>,
    /// The ways to send the goods where they go.
    pub methods: Vec<OfferedMethod>,
    /// The code of the chosen method, if it takes these goods there.
    pub shipping_method: Option<String>,
    /// What shoppers call it; empty where none is chosen.
    pub shipping_name: String,
    /// What the tax on the shipping is called.
    pub shipping_tax_name: String,
    /// Its rate in millionths.
    pub shipping_tax_rate: i32,
    /// The tax on the shipping.
    pub shipping_tax: i64,
    /// The goods before discounts.
    pub subtotal: i64,
    /// What is taken off the goods.
    pub discount: i64,
    /// What sending costs.
    pub shipping: i64,
    /// All tax.
    pub tax: i64,
    /// What is paid.
    pub total: i64,
    /// What still has to be done before an order can be made.
    pub requirements: Vec<Requirement>,
    /// What differs from what the shopper saw or asked for.
    pub differences: Vec<Difference>,
}

/// The quantity of a line when the cart of a guest is merged into that of an account: the greater of both, since the same thing
/// put in twice on two devices is more likely one wish than two. What the guest adds is capped by what there is; what the account
/// had is never made less.
#[must_use]
pub fn merged_quantity(account: i32, guest: i32, available: Option<i64>) -> i32 {
    let most = available.map_or(LARGEST_QUANTITY, |available| {
        i32::try_from(available.clamp(0, i64::from(LARGEST_QUANTITY))).unwrap_or(LARGEST_QUANTITY)
    });
    account.max(guest.min(most))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn merging_takes_the_greater_quantity_and_no_more_than_there_is() {
        assert_eq!(merged_quantity(2, 3, None), 3);
        assert_eq!(merged_quantity(3, 2, Some(10)), 3);
        assert_eq!(merged_quantity(0, 5, Some(2)), 2);
        assert_eq!(merged_quantity(0, 5, Some(0)), 0);
        // What the account asked for stays, and is told to be too much when the cart is read.
        assert_eq!(merged_quantity(5, 1, Some(2)), 5);
    }

    proptest! {
        #[test]
        fn merging_again_changes_nothing(account in 0..=9999, guest in 1..=9999, available in prop::option::of(0..20_000i64)) {
            let once = merged_quantity(account, guest, available);
            prop_assert_eq!(merged_quantity(once, guest, available), once);
            prop_assert!((0..=LARGEST_QUANTITY).contains(&once) && once >= account);
        }
    }

    #[test]
    fn words_and_states_are_the_same_thing() {
        for state in [
            CartState::Open,
            CartState::Completing,
            CartState::Ordered,
            CartState::Merged,
        ] {
            assert_eq!(CartState::from_word(state.as_str()), Some(state));
        }
    }

    #[test]
    fn requirements_have_the_word_of_the_api() {
        for code in [
            RequirementCode::CartEmpty,
            RequirementCode::LineGone,
            RequirementCode::LineShort,
            RequirementCode::EmailMissing,
            RequirementCode::ShippingAddressMissing,
            RequirementCode::DestinationNotServed,
            RequirementCode::ShippingMethodMissing,
            RequirementCode::ShippingMethodUnavailable,
        ] {
            assert_eq!(
                serde_json::to_value(code).unwrap(),
                serde_json::Value::from(code.as_str())
            );
        }
    }
}
