//! Carts as the API shows them. All amounts are in minor units of the cart's currency.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{
    CouponState, Destination, Difference, GoneLine, OfferedMethod, PricedDiscount, PricedLine,
    Requirement,
};
use super::service::Shown;
use crate::accounts::address::Address;
use crate::catalog::listing::Image;
use crate::storefront::urls::{Preset, media};

/// A picture of what is bought.
#[derive(Debug, Serialize, ToSchema)]
pub struct PictureView {
    /// SHA-256 of the original, in hexadecimal.
    pub hash: String,
    /// What it shows; may be empty.
    pub alt: String,
    /// Where it is, at most 96 × 96 pixels.
    pub thumb: String,
    /// Where it is, at most 400 × 400 pixels.
    pub card: String,
}

impl From<&Image> for PictureView {
    fn from(image: &Image) -> Self {
        Self {
            thumb: media(&image.hash, Preset::Thumb),
            card: media(&image.hash, Preset::Card),
            hash: image.hash.clone(),
            alt: image.alt.clone(),
        }
    }
}

/// A line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CartLine)]
pub struct LineView {
    /// The SKU.
    pub sku: String,
    /// The product's name.
    pub name: String,
    /// The product's slug.
    pub slug: String,
    /// The values of the variant's options; may be empty.
    pub options: String,
    /// A picture of it.
    pub picture: Option<PictureView>,
    /// How many pieces.
    pub quantity: i32,
    /// How many can be bought; `null` where stock is not counted.
    pub available: Option<i64>,
    /// What a piece costs.
    pub unit_amount: i64,
    /// `unit_amount * quantity`
    pub subtotal: i64,
    /// What promotions take off.
    pub discount: i64,
    /// What the tax is called; empty where there is none.
    pub tax_name: String,
    /// The rate of the tax in millionths.
    pub tax_rate: i32,
    /// The tax, rounded half up for this line.
    pub tax: i64,
    /// `subtotal - discount`, and `+ tax` where prices are without it.
    pub total: i64,
}

impl From<&PricedLine> for LineView {
    fn from(line: &PricedLine) -> Self {
        Self {
            sku: line.sku.clone(),
            name: line.name.clone(),
            slug: line.slug.clone(),
            options: line.options_text.clone(),
            picture: line.picture.as_ref().map(Into::into),
            quantity: line.quantity,
            available: line.available,
            unit_amount: line.unit_amount,
            subtotal: line.subtotal,
            discount: line.discount,
            tax_name: line.tax_name.clone(),
            tax_rate: line.tax_rate,
            tax: line.tax,
            total: line.total,
        }
    }
}

/// A line of something that is no longer sold.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoneLineView {
    /// The SKU.
    pub sku: String,
    /// The product's name.
    pub name: String,
    /// The values of the variant's options; may be empty.
    pub options: String,
    /// How many pieces were meant.
    pub quantity: i32,
}

impl From<&GoneLine> for GoneLineView {
    fn from(line: &GoneLine) -> Self {
        Self {
            sku: line.sku.clone(),
            name: line.name.clone(),
            options: line.options_text.clone(),
            quantity: line.quantity,
        }
    }
}

/// A promotion that applies.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscountView {
    /// What it is called.
    pub label: String,
    /// The coupon it came by.
    pub coupon_code: Option<String>,
    /// What it takes off the goods.
    pub amount: i64,
    /// What it takes off the shipping.
    pub shipping_saved: i64,
}

impl From<&PricedDiscount> for DiscountView {
    fn from(discount: &PricedDiscount) -> Self {
        Self {
            label: discount.label.clone(),
            coupon_code: discount.coupon_code.clone(),
            amount: discount.amount,
            shipping_saved: discount.shipping_saved,
        }
    }
}

/// A coupon of the cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CouponView {
    /// Its code.
    pub code: String,
    /// How it stands.
    pub state: CouponState,
}

/// What it all costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalsView {
    /// The goods before discounts.
    pub subtotal: i64,
    /// What is taken off the goods.
    pub discount: i64,
    /// What sending costs; 0 while no method is chosen.
    pub shipping: i64,
    /// All tax, that on or in the shipping too.
    pub tax: i64,
    /// `subtotal - discount + shipping`, and `+ tax` where prices are without it. What `expected_total` of an order is compared with.
    pub total: i64,
}

/// A cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartView {
    /// Its id. Who knows it may use a cart that belongs to no account.
    pub id: String,
    /// Grows with each change; the number in its `ETag`.
    pub version: i64,
    /// `open`, `completing` or `ordered`
    pub state: &'static str,
    /// Whether it belongs to an account.
    pub has_owner: bool,
    /// The currency of all amounts.
    pub currency: String,
    /// The language of names.
    pub locale: String,
    /// Whether prices contain the tax. False, with no tax at all, while it is not known where the goods go.
    pub prices_include_tax: bool,
    /// Where mails about the order go.
    pub email: Option<String>,
    /// Where the goods are to go, if that is known and the shop goes there.
    pub destination: Option<Destination>,
    /// Where the goods are to go.
    pub shipping_address: Option<Address>,
    /// Who pays; `null` where that is the shipping address.
    pub billing_address: Option<Address>,
    /// The method that was chosen, if it takes these goods there.
    pub shipping_method: Option<String>,
    /// The methods to choose from.
    pub shipping_methods: Vec<OfferedMethod>,
    /// What is bought.
    pub lines: Vec<LineView>,
    /// What is no longer sold. It costs nothing, and has to be removed.
    pub gone: Vec<GoneLineView>,
    /// Its coupons.
    pub coupons: Vec<CouponView>,
    /// The promotions that apply.
    pub discounts: Vec<DiscountView>,
    /// What it all costs.
    pub totals: TotalsView,
    /// What still has to be done before an order can be made. Empty: it can be.
    pub requirements: Vec<Requirement>,
    /// What differs from what the shopper saw or asked for.
    pub differences: Vec<Difference>,
}

impl From<&Shown> for CartView {
    fn from(shown: &Shown) -> Self {
        let Shown { cart, priced } = shown;
        Self {
            id: cart.public_id.to_string(),
            version: cart.version,
            state: cart.state.as_str(),
            has_owner: cart.customer_id.is_some(),
            currency: priced.currency.to_string(),
            locale: cart.locale.to_string(),
            prices_include_tax: priced.prices_include_tax,
            email: cart.email.clone(),
            destination: priced.destination.clone(),
            shipping_address: cart.shipping_address.clone(),
            billing_address: cart.billing_address.clone(),
            shipping_method: priced.shipping_method.clone(),
            shipping_methods: priced.methods.clone(),
            lines: priced.lines.iter().map(Into::into).collect(),
            gone: priced.gone.iter().map(Into::into).collect(),
            coupons: priced
                .coupons
                .iter()
                .map(|coupon| CouponView {
                    code: coupon.code.clone(),
                    state: coupon.state,
                })
                .collect(),
            discounts: priced.discounts.iter().map(Into::into).collect(),
            totals: TotalsView {
                subtotal: priced.subtotal,
                discount: priced.discount,
                shipping: priced.shipping,
                tax: priced.tax,
                total: priced.total,
            },
            requirements: priced.requirements.clone(),
            differences: priced.differences.clone(),
        }
    }
}

/// What stands between a cart and an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequirementsView {
    /// Whether an order can be made.
    pub is_ready: bool,
    /// What still has to be done.
    pub requirements: Vec<Requirement>,
    /// What an order would cost now, in minor units.
    pub total: i64,
    /// The currency of the total.
    pub currency: String,
}
