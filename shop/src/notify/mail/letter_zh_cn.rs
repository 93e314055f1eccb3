//! Mails in Chinese as written in mainland China.

use time::OffsetDateTime;
use time::macros::format_description;

use super::letter::{
    AmountWords, Block, Button, Letter, money, one_line, ordered_rows, piece_rows, totals,
};
use super::{OrderSummary, Parcel, ReturnState, Template};
use crate::storefront::i18n::Locale;

const LOCALE: Locale = Locale::ZhCn;

const AMOUNTS: AmountWords = AmountWords {
    subtotal: "小计",
    discount: "优惠",
    shipping: "运费",
    tax: "税费",
    tax_included: "其中含税",
    total: "合计",
};

pub(super) fn write(template: &Template, shop: &str) -> Letter {
    let ignore = "如果这不是您本人的操作，请忽略本邮件：不点击链接，什么都不会发生。";
    match template {
        Template::VerifyEmail {
            name,
            link,
            valid_until,
        } => Letter {
            subject: format!("请验证您在 {shop} 的邮箱"),
            heading: "验证您的邮箱".to_owned(),
            paragraphs: vec![format!(
                "有人（希望是您本人）用这个邮箱在 {shop} 注册了账户。请验证，以便我们确认邮箱属于您。"
            )],
            button: button("验证邮箱", link),
            notes: vec![works_until(*valid_until), ignore.to_owned()],
            ..letter(name, shop)
        },
        Template::ResetPassword {
            name,
            link,
            valid_until,
        } => Letter {
            subject: format!("重设您在 {shop} 的密码"),
            heading: "设置新密码".to_owned(),
            paragraphs: vec![format!("我们收到了为您在 {shop} 的账户设置新密码的请求。")],
            button: button("设置新密码", link),
            notes: vec![works_until(*valid_until), ignore.to_owned()],
            ..letter(name, shop)
        },
        Template::AlreadyRegistered {
            name,
            login_link,
            reset_link,
        } => Letter {
            subject: format!("您在 {shop} 已有账户"),
            heading: "您已有账户".to_owned(),
            paragraphs: vec![
                "有人尝试用这个邮箱注册账户。您已经有一个账户，直接登录即可。".to_owned(),
            ],
            button: button("登录", login_link),
            notes: vec![
                format!("忘记密码？请在此设置新密码：{reset_link}"),
                "如果这不是您本人的操作，请忽略本邮件：您的账户没有任何变化。".to_owned(),
            ],
            ..letter(name, shop)
        },
        Template::PasswordChanged {
            name,
            changed_at,
            reset_link,
        } => Letter {
            subject: format!("您在 {shop} 的密码已更改"),
            heading: "密码已更改".to_owned(),
            paragraphs: vec![
                format!(
                    "您的账户密码已于 {} 更改。所有已登录的设备都需要重新登录。",
                    moment(*changed_at)
                ),
                "如果这不是您本人的操作，请立即设置新密码，并告诉我们。".to_owned(),
            ],
            button: button("不是我本人操作", reset_link),
            ..letter(name, shop)
        },
        Template::OrderConfirmation { order } => Letter {
            subject: format!("您在 {shop} 的订单 {}", order.number),
            heading: "感谢您的订购".to_owned(),
            paragraphs: vec![format!(
                "我们已收到您的订单 {}，发货时会通知您。",
                one_line(&order.number)
            )],
            button: button("查看订单", &order.link),
            rows: ordered_rows(order, LOCALE),
            totals: totals(order, &AMOUNTS, LOCALE),
            blocks: address(order),
            ..letter(&order.name, shop)
        },
        Template::OrderCancelled { order } => Letter {
            subject: format!("订单 {} 已取消", order.number),
            heading: "您的订单已取消".to_owned(),
            paragraphs: vec![format!(
                "您的订单 {} 已取消，不会发货。已支付的款项将退还，仅预授权的金额将解除。到账时间取决于您的银行，通常需要几天。",
                one_line(&order.number)
            )],
            button: button("查看订单", &order.link),
            rows: ordered_rows(order, LOCALE),
            ..letter(&order.name, shop)
        },
        Template::Shipped { order, parcel } => Letter {
            subject: format!("订单 {} 已发货", order.number),
            heading: "您的包裹已发出".to_owned(),
            paragraphs: vec![format!(
                "您的订单 {} 有一个包裹已经发出。",
                one_line(&order.number)
            )],
            button: button("跟踪订单", &order.link),
            rows: piece_rows(&parcel.lines),
            blocks: tracking(parcel).into_iter().chain(address(order)).collect(),
            ..letter(&order.name, shop)
        },
        Template::Delivered { order, parcel } => Letter {
            subject: format!("订单 {} 已送达", order.number),
            heading: "您的包裹已送达".to_owned(),
            paragraphs: vec![format!(
                "承运商通知我们，订单 {} 的一个包裹已送达。如果您没有收到，或商品有问题，请与我们联系。",
                one_line(&order.number)
            )],
            button: button("查看订单", &order.link),
            rows: piece_rows(&parcel.lines),
            blocks: tracking(parcel),
            ..letter(&order.name, shop)
        },
        Template::Refunded { order, amount } => Letter {
            subject: format!("订单 {} 的退款", order.number),
            heading: "退款已发出".to_owned(),
            paragraphs: vec![match amount {
                Some(amount) => format!(
                    "我们已为您的订单 {} 退款 {}。到账时间取决于您的银行，通常需要几天。",
                    one_line(&order.number),
                    money(*amount, &order.currency, LOCALE)
                ),
                None => format!(
                    "我们已为您的订单 {} 退款。到账时间取决于您的银行，通常需要几天。",
                    one_line(&order.number)
                ),
            }],
            button: button("查看订单", &order.link),
            ..letter(&order.name, shop)
        },
        Template::ReturnUpdate {
            order,
            state,
            lines,
        } => {
            let number = one_line(&order.number);
            let (subject, heading, text) = match state {
                ReturnState::Requested => (
                    format!("订单 {number} 的退货申请"),
                    "我们已收到您的申请",
                    "您希望退回以下商品。我们会尽快处理并给您答复。",
                ),
                ReturnState::Approved => (
                    format!("订单 {number} 的退货申请已通过"),
                    "您可以寄回商品",
                    "请妥善包装以下商品并寄给我们，并在包裹内附上订单号。",
                ),
                ReturnState::Rejected => (
                    format!("订单 {number} 的退货申请未通过"),
                    "我们无法接受退货",
                    "很抱歉，以下商品无法退货。如有异议，请与我们联系。",
                ),
                ReturnState::Received => (
                    format!("订单 {number} 的退货已收到"),
                    "我们已收到您的退货",
                    "我们已收到以下商品，检查后会尽快退款。",
                ),
            };
            Letter {
                subject,
                heading: heading.to_owned(),
                paragraphs: vec![text.to_owned()],
                button: button("查看订单", &order.link),
                rows: piece_rows(lines),
                ..letter(&order.name, shop)
            }
        }
    }
}

fn letter(name: &str, shop: &str) -> Letter {
    let name = one_line(name);
    Letter {
        language: LOCALE.tag(),
        greeting: if name.is_empty() {
            "您好！".to_owned()
        } else {
            format!("{name}，您好！")
        },
        footer: format!("本邮件由 {shop} 发送。"),
        ..Letter::default()
    }
}

fn button(label: &str, link: &str) -> Option<Button> {
    Some(Button {
        label: label.to_owned(),
        link: link.to_owned(),
    })
}

fn address(order: &OrderSummary) -> Vec<Block> {
    if order.address.is_empty() {
        return Vec::new();
    }
    vec![Block {
        title: "收货地址".to_owned(),
        lines: order.address.iter().map(|line| one_line(line)).collect(),
    }]
}

fn tracking(parcel: &Parcel) -> Vec<Block> {
    let Some(number) = &parcel.tracking_number else {
        return Vec::new();
    };
    vec![Block {
        title: "运单号".to_owned(),
        lines: std::iter::once(one_line(number))
            .chain(parcel.tracking_url.iter().map(|url| one_line(url)))
            .collect(),
    }]
}

fn works_until(at: OffsetDateTime) -> String {
    format!("链接仅可使用一次，有效期至 {}。", moment(at))
}

fn moment(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC)
        .format(format_description!(
            "[year]年[month padding:none]月[day padding:none]日 [hour]:[minute]（UTC）"
        ))
        .unwrap_or_default()
}
