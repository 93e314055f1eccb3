//! The page on which a shopper gives pieces of an order back.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use time::OffsetDateTime;

use super::model::returnable;
use super::returns::Wish;
use super::route::{LONGEST_REASON, ReturnPieces, ReturnRequest, request_of};
use super::store;
use crate::orders::access::{LinkKey, Pass};
use crate::orders::view::Whole;
use crate::orders::{Line, OrderState};
use crate::storefront::urls::encode_component;
use crate::web::error::{ApiError, Code};
use crate::web::private::texts::texts;
use crate::web::private::{Answer, Place, PrivateState, Visitor, see_other};

texts! {
    /// Sentences of the page for returns.
    ReturnTexts {
        title: "Return items" => "申请退货",
        order: "Order" => "订单",
        text: "Choose how many of each item you want to send back. We will write to you with what comes next."
            => "请选择要退回的商品数量，我们会通过邮件告知您后续步骤。",
        none: "There is nothing of this order that can be returned any more." => "此订单没有可退货的商品。",
        pieces: "Pieces" => "数量",
        reason: "Why do you send it back? (optional)" => "退货原因（选填）",
        submit: "Ask for the return" => "提交退货申请",
        back: "Back to the order" => "返回订单",
        choose: "Choose at least one piece." => "请至少选择一件商品。",
        too_many: "So many cannot be returned." => "超出可退数量。",
        changed: "What can be returned has changed in the meantime. Please look again." => "可退商品已发生变化，请重新确认。",
        reason_long: "Please say it in at most 500 characters." => "请控制在500字以内。",
    }
    {
        fn up_to(i64): |count| format!("of {count}") => |count| format!("最多 {count} 件"),
    }
}

struct Item {
    position: i32,
    name: String,
    options: String,
    available: i64,
    up_to: String,
    chosen: String,
    error: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "fulfilment/return.html")]
struct ReturnPage<'a> {
    texts: &'static ReturnTexts,
    number: &'a str,
    items: Vec<Item>,
    reason: &'a str,
    longest_reason: usize,
    problem: Option<&'static str>,
    reason_problem: Option<&'static str>,
    action: String,
    back: String,
}

/// What was typed: `pieces_<position>` for each line, and `reason`.
type Typed = BTreeMap<String, String>;

fn address(place: &Place, number: &str, link: &LinkKey, rest: &str) -> String {
    let path = match &link.key {
        Some(key) => format!("/orders/{number}{rest}?key={}", encode_component(key)),
        None => format!("/orders/{number}{rest}"),
    };
    place.url(&path)
}

async fn available(state: &PrivateState, whole: &Whole) -> Result<BTreeMap<i64, i64>, ApiError> {
    if !matches!(
        whole.order.state,
        OrderState::Placed | OrderState::Completed
    ) {
        return Ok(BTreeMap::new());
    }
    let (id, lines) = (whole.order.id, whole.lines.clone());
    let period = state.payments.settings().return_period;
    state
        .read(move |connection| {
            Box::pin(async move {
                let shipments = store::shipments(connection, id).await?;
                let returns = store::returns(connection, id).await?;
                let now = OffsetDateTime::now_utc();
                Ok(returnable(&lines, &shipments, &returns, now, period))
            })
        })
        .await
}

fn field(line: &Line) -> String {
    format!("pieces_{}", line.position)
}

/// What of the form is wrong.
#[derive(Debug, Default)]
struct Problems {
    whole: Option<&'static str>,
    reason: Option<&'static str>,
    lines: BTreeMap<i32, &'static str>,
}

impl Problems {
    fn is_empty(&self) -> bool {
        self.whole.is_none() && self.reason.is_none() && self.lines.is_empty()
    }
}

struct Shown<'a> {
    state: &'a PrivateState,
    place: &'a Place,
    link: &'a LinkKey,
    whole: &'a Whole,
}

impl Shown<'_> {
    async fn page(&self, typed: &Typed, problems: &Problems) -> Answer {
        let texts = ReturnTexts::of(self.place.locale);
        let may = available(self.state, self.whole).await?;
        let number = self.whole.order.number.to_string();
        let items = self
            .whole
            .lines
            .iter()
            .filter_map(|line| {
                let available = may.get(&line.id).copied()?;
                Some(Item {
                    position: line.position,
                    name: line.name.clone(),
                    options: line.options_text.clone(),
                    available,
                    up_to: (texts.up_to)(available),
                    chosen: typed
                        .get(&field(line))
                        .cloned()
                        .unwrap_or_else(|| "0".to_owned()),
                    error: problems.lines.get(&line.position).copied(),
                })
            })
            .collect();
        let content = ReturnPage {
            texts,
            number: &number,
            items,
            reason: typed.get("reason").map_or("", String::as_str),
            longest_reason: LONGEST_REASON,
            problem: problems.whole,
            reason_problem: problems.reason,
            action: address(self.place, &number, self.link, "/return"),
            back: address(self.place, &number, self.link, ""),
        };
        let status = if problems.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        self.state
            .page(self.place, status, texts.title, &content)
            .await
    }
}

type Address = web::Path<(String, String)>;

/// Shows what can be given back.
///
/// # Errors
/// 404 for an order that is not there, or not for who asks.
pub async fn form(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    place: Place,
    path: Address,
    link: web::Query<LinkKey>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &path.1, &link)?;
    let whole = pass.show(&state).await?;
    let shown = Shown {
        state: &state,
        place: &place,
        link: &link,
        whole: &whole,
    };
    shown.page(&Typed::new(), &Problems::default()).await
}

/// Reads the form: what is given back, or what is wrong with it.
fn read(texts: &'static ReturnTexts, lines: &[Line], typed: &Typed) -> Result<Wish, Problems> {
    let mut problems = Problems::default();
    let mut wanted = Vec::new();
    for line in lines {
        let text = typed.get(&field(line)).map_or("", |text| text.trim());
        match text.parse::<i64>() {
            Ok(0) => {}
            Ok(quantity) if quantity > 0 => wanted.push(ReturnPieces {
                line: line.position,
                quantity,
            }),
            _ if text.is_empty() => {}
            _ => {
                problems.lines.insert(line.position, texts.too_many);
            }
        }
    }
    let request = ReturnRequest {
        lines: wanted,
        reason: typed.get("reason").cloned().unwrap_or_default(),
    };
    if request.reason.chars().count() > LONGEST_REASON {
        problems.reason = Some(texts.reason_long);
    }
    if request.lines.is_empty() && problems.is_empty() {
        problems.whole = Some(texts.choose);
    }
    match request.wish() {
        Ok(wish) if problems.is_empty() => Ok(wish),
        _ => Err(problems),
    }
}

/// Takes the form.
///
/// # Errors
/// 404 for an order that is not there, or not for who asks.
pub async fn submit(
    visitor: Visitor,
    state: web::Data<PrivateState>,
    place: Place,
    path: Address,
    link: web::Query<LinkKey>,
    typed: web::Form<Typed>,
) -> Answer {
    let pass = Pass::of(&state.keys, &visitor, &path.1, &link)?;
    let whole = pass.show(&state).await?;
    let texts = ReturnTexts::of(place.locale);
    let shown = Shown {
        state: &state,
        place: &place,
        link: &link,
        whole: &whole,
    };
    let wish = match read(texts, &whole.lines, &typed) {
        Ok(wish) => wish,
        Err(problems) => return shown.page(&typed, &problems).await,
    };
    let wanted = wish.pieces.clone();
    match request_of(&state, pass, wish, None).await {
        Ok(_) => {
            let order = address(&place, whole.order.number.as_str(), &link, "");
            Ok(see_other(&format!("{order}#order-returns")))
        }
        // The fields of the error are numbered as the wish is.
        Err(error) if error.code == Code::Unprocessable => {
            let mut problems = Problems::default();
            for ((line, _), index) in wanted.iter().zip(0..) {
                let pointer = format!("/lines/{index}/");
                if error
                    .fields
                    .iter()
                    .any(|field| field.field.starts_with(&pointer))
                {
                    problems.lines.insert(*line, texts.too_many);
                }
            }
            if problems.is_empty() {
                problems.whole = Some(texts.changed);
            }
            shown.page(&typed, &problems).await
        }
        Err(error) if error.code == Code::Conflict => {
            let problems = Problems {
                whole: Some(texts.changed),
                ..Problems::default()
            };
            shown.page(&typed, &problems).await
        }
        Err(error) => Err(error),
    }
}
