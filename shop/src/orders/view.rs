//! Orders as their shoppers and the staff see them.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::model::{Discount, FulfilmentState, Line, Order, OrderState, PaymentState, ReviewState};
use super::store::OrderEvent;

/// An order in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderSummary {
    /// Its number.
    pub number: String,
    /// Whether it counts.
    pub state: OrderState,
    /// What became of the money.
    pub payment_state: PaymentState,
    /// What became of the pieces.
    pub fulfilment_state: FulfilmentState,
    /// What was paid, in minor units.
    pub total: i64,
    /// The currency.
    pub currency: String,
    /// When it was acknowledged.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub placed_at: Option<OffsetDateTime>,
}

impl From<&Order> for OrderSummary {
    fn from(order: &Order) -> Self {
        Self {
            number: order.number.to_string(),
            state: order.state,
            payment_state: order.payment_state,
            fulfilment_state: order.fulfilment_state,
            total: order.total,
            currency: order.currency.as_str().to_owned(),
            placed_at: order.placed_at,
        }
    }
}

/// A line of an order. Amounts are in minor units, and those of the moment of the order.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OrderLine)]
pub struct LineView {
    /// Names the line: its place, from 0.
    pub position: i32,
    /// The SKU.
    pub sku: String,
    /// The product's name.
    pub name: String,
    /// The last part of the product's address.
    pub slug: String,
    /// The values of the variant's options.
    pub options_text: String,
    /// The hash of a picture.
    pub picture: Option<String>,
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
    /// What the line cost.
    pub total: i64,
    /// Pieces cancelled since.
    pub cancelled: i64,
    /// Pieces that have left.
    pub shipped: i64,
    /// Pieces that came back.
    pub returned: i64,
}

impl From<&Line> for LineView {
    fn from(line: &Line) -> Self {
        Self {
            position: line.position,
            sku: line.sku.clone(),
            name: line.name.clone(),
            slug: line.slug.clone(),
            options_text: line.options_text.clone(),
            picture: line.picture.clone(),
            quantity: line.quantity,
            unit_amount: line.unit_amount,
            discount: line.discount,
            tax_name: line.tax_name.clone(),
            tax_rate: line.tax_rate,
            tax: line.tax,
            total: line.total,
            cancelled: line.cancelled,
            shipped: line.shipped,
            returned: line.returned,
        }
    }
}

/// An order, for its shopper.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderView {
    /// Its number and its states.
    #[serde(flatten)]
    pub summary: OrderSummary,
    /// Why it was cancelled, in one word.
    pub cancel_reason: Option<String>,
    /// Where mails go.
    pub email: String,
    /// The language of its texts.
    pub locale: String,
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
    /// The name of the shipping method.
    pub shipping_name: String,
    /// Where it goes.
    #[schema(value_type = Option<crate::accounts::address::Address>)]
    pub shipping_address: Option<Value>,
    /// Who is billed.
    #[schema(value_type = Option<crate::accounts::address::Address>)]
    pub billing_address: Option<Value>,
    /// What was bought.
    pub lines: Vec<LineView>,
    /// What promotions took off, one by one.
    pub discounts: Vec<Discount>,
    /// Whether it can be cancelled now.
    pub may_be_cancelled: bool,
    /// Whether addresses and lines can be changed now.
    pub may_be_edited: bool,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// The number in its `ETag`.
    pub version: i64,
}

/// All of an order.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The order.
    pub order: Order,
    /// Its lines.
    pub lines: Vec<Line>,
    /// What promotions took off.
    pub discounts: Vec<Discount>,
}

impl Whole {
    /// Whether it can be cancelled now.
    #[must_use]
    pub fn may_be_cancelled(&self) -> bool {
        match self.order.state {
            OrderState::Pending => true,
            OrderState::Placed => self.order.fulfilment_state == FulfilmentState::Unfulfilled,
            OrderState::Completed | OrderState::Cancelled => false,
        }
    }

    /// As its shopper sees it.
    #[must_use]
    pub fn view(&self) -> OrderView {
        let order = &self.order;
        OrderView {
            summary: order.into(),
            cancel_reason: order.cancel_reason.clone(),
            email: order.email.clone(),
            locale: order.locale.clone(),
            prices_include_tax: order.prices_include_tax,
            subtotal: order.subtotal,
            discount: order.discount,
            shipping: order.shipping,
            tax: order.tax,
            shipping_name: order.shipping_name.clone(),
            shipping_address: order.shipping_address.clone(),
            billing_address: order.billing_address.clone(),
            lines: self.lines.iter().map(LineView::from).collect(),
            discounts: self.discounts.clone(),
            may_be_cancelled: self.may_be_cancelled(),
            may_be_edited: order.may_be_edited(),
            created_at: order.created_at,
            version: order.version,
        }
    }
}

/// A row of an order's history, for the staff.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventView {
    /// What happened.
    pub kind: String,
    /// The state before, where one changed.
    pub from_state: Option<String>,
    /// The state after.
    pub to_state: Option<String>,
    /// Who.
    pub actor: String,
    /// What more is to be said.
    #[schema(value_type = Object)]
    pub data: Value,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

impl From<OrderEvent> for EventView {
    fn from(event: OrderEvent) -> Self {
        Self {
            kind: event.kind,
            from_state: event.from_state,
            to_state: event.to_state,
            actor: event.actor,
            data: event.data.map_or(Value::Null, |data| data.0),
            created_at: event.created_at,
        }
    }
}

/// An order, for the staff.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StaffOrder {
    /// As its shopper sees it.
    #[serde(flatten)]
    pub order: OrderView,
    /// Whether somebody must look at it.
    pub review_state: ReviewState,
    /// What happened to it.
    pub history: Vec<EventView>,
}

/// An order in the staff's list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StaffOrderSummary {
    /// Its number and its states.
    #[serde(flatten)]
    pub summary: OrderSummary,
    /// Whether somebody must look at it.
    pub review_state: ReviewState,
    /// Where mails go.
    pub email: String,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// For the next page.
    #[serde(skip)]
    pub id: i64,
}

impl From<&Order> for StaffOrderSummary {
    fn from(order: &Order) -> Self {
        Self {
            summary: order.into(),
            review_state: order.review_state,
            email: order.email.clone(),
            created_at: order.created_at,
            id: order.id,
        }
    }
}
