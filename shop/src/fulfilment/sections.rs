//! What the page of an order shows of its parcels and returns.

use askama::Template;
use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::model::{Pieces, Return, ReturnState, Shipment, ShipmentState, returnable};
use super::store;
use crate::orders::{Line, Order, OrderState};
use crate::payments::PaymentSettings;
use crate::storefront::i18n::Locale;
use crate::storefront::money::{Currency, Money};
use crate::web::error::ApiError;
use crate::web::private::texts::texts;

texts! {
    /// Sentences about parcels and returns.
    FulfilmentTexts {
        parcels: "Parcels" => "包裹",
        parcel: "Parcel" => "包裹",
        follow: "Follow the parcel" => "查询物流",
        number: "Tracking number" => "运单号",
        preparing: "Being packed" => "打包中",
        shipped: "On its way to the carrier" => "已交付承运商",
        in_transit: "On its way" => "运输中",
        delivered: "Delivered" => "已送达",
        failed: "Could not be delivered; the carrier will say what comes next" => "派送未成功，请留意承运商通知",
        returned: "Came back to us" => "已退回商家",
        left: "Left on" => "发货时间",
        arrived: "Arrived on" => "送达时间",
        returns: "Returns" => "退货",
        requested: "Asked for. We will tell you whether and where to send it." => "已提交申请，我们会通知您是否同意及寄回方式。",
        approved: "Approved. Please send the items back." => "已同意退货，请将商品寄回。",
        rejected: "Not accepted" => "未通过",
        received: "We have the items. The money is next." => "我们已收到退回商品，即将退款。",
        refunded: "Refunded" => "已退款",
        give_back: "Return items" => "申请退货",
    }
    {
        fn pieces(i64, &str): |count, name| format!("{count} × {name}") => |count, name| format!("{name} × {count}"),
    }
}

struct Part {
    name: String,
    hint: Option<String>,
    state: &'static str,
    dates: Vec<(&'static str, String)>,
    tracking_number: Option<String>,
    tracking_url: Option<String>,
    pieces: Vec<String>,
}

/// Parcels and returns of an order, as a part of its page.
#[derive(Template)]
#[template(path = "fulfilment/sections.html")]
pub struct Sections {
    texts: &'static FulfilmentTexts,
    parcels: Vec<Part>,
    returns: Vec<Part>,
    return_url: Option<String>,
}

impl std::fmt::Debug for Sections {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sections")
            .field("parcels", &self.parcels.len())
            .field("returns", &self.returns.len())
            .finish_non_exhaustive()
    }
}

fn state_text(texts: &'static FulfilmentTexts, state: ShipmentState) -> &'static str {
    match state {
        ShipmentState::Preparing => texts.preparing,
        ShipmentState::Shipped => texts.shipped,
        ShipmentState::InTransit => texts.in_transit,
        ShipmentState::Delivered => texts.delivered,
        ShipmentState::Failed => texts.failed,
        ShipmentState::Returned => texts.returned,
    }
}

fn return_text(texts: &'static FulfilmentTexts, state: ReturnState) -> &'static str {
    match state {
        ReturnState::Requested => texts.requested,
        ReturnState::Approved => texts.approved,
        ReturnState::Rejected => texts.rejected,
        ReturnState::Received => texts.received,
        ReturnState::Refunded => texts.refunded,
    }
}

fn pieces(texts: &'static FulfilmentTexts, all: &[Pieces], lines: &[Line]) -> Vec<String> {
    all.iter()
        .filter_map(|pieces| {
            let line = lines.iter().find(|line| line.id == pieces.line_id)?;
            let name = if line.options_text.is_empty() {
                line.name.clone()
            } else {
                format!("{}, {}", line.name, line.options_text)
            };
            Some((texts.pieces)(pieces.quantity, &name))
        })
        .collect()
}

fn parcel(
    texts: &'static FulfilmentTexts,
    locale: Locale,
    number: usize,
    shipment: &Shipment,
    lines: &[Line],
) -> Part {
    let date = |at: OffsetDateTime| locale.format_date(at.date());
    let left = shipment.shipped_at.map(|at| (texts.left, date(at)));
    let arrived = shipment.delivered_at.map(|at| (texts.arrived, date(at)));
    Part {
        name: format!("{} {number}", texts.parcel),
        hint: None,
        state: state_text(texts, shipment.state),
        dates: left.into_iter().chain(arrived).collect(),
        tracking_number: shipment.tracking_number.clone(),
        tracking_url: shipment.tracking_url.clone(),
        pieces: pieces(texts, &shipment.pieces, lines),
    }
}

fn a_return(
    texts: &'static FulfilmentTexts,
    locale: Locale,
    currency: Currency,
    found: &Return,
    lines: &[Line],
) -> Part {
    let refund = (found.refund > 0).then(|| Money::new(found.refund, currency).format(locale));
    Part {
        name: locale.format_date(found.created_at.date()),
        hint: refund,
        state: return_text(texts, found.state),
        dates: Vec::new(),
        tracking_number: None,
        tracking_url: None,
        pieces: pieces(texts, &found.pieces, lines),
    }
}

impl Sections {
    /// The parcels that the shopper knows of, and the returns. `return_url` is the page on which pieces are given back, offered as long
    /// as there are any.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn read(
        connection: &mut MySqlConnection,
        settings: &PaymentSettings,
        (order, lines): (&Order, &[Line]),
        locale: Locale,
        return_url: String,
    ) -> Result<Self, ApiError> {
        let texts = FulfilmentTexts::of(locale);
        let shipments = store::shipments(connection, order.id).await?;
        let returns = store::returns(connection, order.id).await?;
        let may = returnable(
            lines,
            &shipments,
            &returns,
            OffsetDateTime::now_utc(),
            settings.return_period,
        );
        let counts = matches!(order.state, OrderState::Placed | OrderState::Completed);
        let currency = order.currency;
        Ok(Self {
            texts,
            parcels: shipments
                .iter()
                .zip(1..)
                .map(|(shipment, number)| parcel(texts, locale, number, shipment, lines))
                .collect(),
            returns: returns
                .iter()
                .map(|found| a_return(texts, locale, currency, found, lines))
                .collect(),
            return_url: (counts && !may.is_empty()).then_some(return_url),
        })
    }

    /// The part of the page; empty when there is nothing to show.
    ///
    /// # Errors
    /// When it cannot be rendered, which is a defect.
    pub fn html(&self) -> Result<String, ApiError> {
        if self.parcels.is_empty() && self.returns.is_empty() && self.return_url.is_none() {
            return Ok(String::new());
        }
        self.render().map_err(ApiError::internal)
    }
}
