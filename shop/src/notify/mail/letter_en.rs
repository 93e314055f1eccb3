//! Mails in English.

use time::OffsetDateTime;
use time::macros::format_description;

use super::letter::{
    AmountWords, Block, Button, Letter, money, one_line, ordered_rows, piece_rows, totals,
};
use super::{OrderSummary, Parcel, ReturnState, Template};
use crate::storefront::i18n::Locale;

const LOCALE: Locale = Locale::En;

const AMOUNTS: AmountWords = AmountWords {
    subtotal: "Subtotal",
    discount: "Discount",
    shipping: "Shipping",
    tax: "Tax",
    tax_included: "Including tax of",
    total: "Total",
};

pub(super) fn write(template: &Template, shop: &str) -> Letter {
    let ignore = "If that was not you, ignore this mail: nothing happens without the link.";
    match template {
        Template::VerifyEmail {
            name,
            link,
            valid_until,
        } => Letter {
            subject: format!("Confirm your e-mail address for {shop}"),
            heading: "Confirm your e-mail address".to_owned(),
            paragraphs: vec![format!(
                "Somebody, we hope you, opened an account at {shop} with this address. Confirm it so that we know it is yours."
            )],
            button: button("Confirm address", link),
            notes: vec![works_until(*valid_until), ignore.to_owned()],
            ..letter(name, shop)
        },
        Template::ResetPassword {
            name,
            link,
            valid_until,
        } => Letter {
            subject: format!("Choose a new password for {shop}"),
            heading: "Choose a new password".to_owned(),
            paragraphs: vec![format!(
                "Somebody asked for a new password for your account at {shop}."
            )],
            button: button("Choose a new password", link),
            notes: vec![works_until(*valid_until), ignore.to_owned()],
            ..letter(name, shop)
        },
        Template::AlreadyRegistered {
            name,
            login_link,
            reset_link,
        } => Letter {
            subject: format!("You already have an account at {shop}"),
            heading: "You already have an account".to_owned(),
            paragraphs: vec![
                "Somebody tried to open an account with this address. You have one already, so there is nothing to do but to log in.".to_owned(),
            ],
            button: button("Log in", login_link),
            notes: vec![
                format!("Forgotten your password? Choose a new one: {reset_link}"),
                "If that was not you, ignore this mail: your account is as it was.".to_owned(),
            ],
            ..letter(name, shop)
        },
        Template::PasswordChanged {
            name,
            changed_at,
            reset_link,
        } => Letter {
            subject: format!("Your password for {shop} was changed"),
            heading: "Your password was changed".to_owned(),
            paragraphs: vec![
                format!(
                    "The password of your account was changed on {}. Everybody who was logged in has to log in again.",
                    moment(*changed_at)
                ),
                "If it was not you who did this, choose a new password now, and tell us.".to_owned(),
            ],
            button: button("It was not me", reset_link),
            ..letter(name, shop)
        },
        Template::OrderConfirmation { order } => Letter {
            subject: format!("Your order {} at {shop}", order.number),
            heading: "Thank you for your order".to_owned(),
            paragraphs: vec![format!(
                "We have your order {} and will tell you when it is on its way.",
                one_line(&order.number)
            )],
            button: button("See your order", &order.link),
            rows: ordered_rows(order, LOCALE),
            totals: totals(order, &AMOUNTS, LOCALE),
            blocks: address(order),
            ..letter(&order.name, shop)
        },
        Template::OrderCancelled { order } => Letter {
            subject: format!("Order {} was cancelled", order.number),
            heading: "Your order was cancelled".to_owned(),
            paragraphs: vec![format!(
                "Your order {} was cancelled and will not be sent. What you have paid is given back; what was only reserved on your card is released. Depending on your bank that takes a few days.",
                one_line(&order.number)
            )],
            button: button("See your order", &order.link),
            rows: ordered_rows(order, LOCALE),
            ..letter(&order.name, shop)
        },
        Template::Shipped { order, parcel } => Letter {
            subject: format!("Order {} is on its way", order.number),
            heading: "Your parcel is on its way".to_owned(),
            paragraphs: vec![format!(
                "A parcel of your order {} has left us.",
                one_line(&order.number)
            )],
            button: button("Follow your order", &order.link),
            rows: piece_rows(&parcel.lines),
            blocks: tracking(parcel).into_iter().chain(address(order)).collect(),
            ..letter(&order.name, shop)
        },
        Template::Delivered { order, parcel } => Letter {
            subject: format!("Order {} has arrived", order.number),
            heading: "Your parcel has arrived".to_owned(),
            paragraphs: vec![format!(
                "The carrier says that a parcel of your order {} was delivered. If you cannot find it, or something is wrong with it, write to us.",
                one_line(&order.number)
            )],
            button: button("See your order", &order.link),
            rows: piece_rows(&parcel.lines),
            blocks: tracking(parcel),
            ..letter(&order.name, shop)
        },
        Template::Refunded { order, amount } => Letter {
            subject: format!("Refund for order {}", order.number),
            heading: "Your money is on its way back".to_owned(),
            paragraphs: vec![match amount {
                Some(amount) => format!(
                    "We have given back {} for your order {}. Depending on your bank it takes a few days until you see it.",
                    money(*amount, &order.currency, LOCALE),
                    one_line(&order.number)
                ),
                None => format!(
                    "We have given back money for your order {}. Depending on your bank it takes a few days until you see it.",
                    one_line(&order.number)
                ),
            }],
            button: button("See your order", &order.link),
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
                    format!("Your return for order {number}"),
                    "We have your request",
                    "You would like to give these back. We will look at it and write to you.",
                ),
                ReturnState::Approved => (
                    format!("You can send back pieces of order {number}"),
                    "You can send it back",
                    "Please pack these well and send them to us, with the number of your order in the parcel.",
                ),
                ReturnState::Rejected => (
                    format!("We cannot take back pieces of order {number}"),
                    "We cannot take it back",
                    "We are sorry: these cannot be returned. If you think that this is wrong, write to us.",
                ),
                ReturnState::Received => (
                    format!("Your return for order {number} has arrived"),
                    "Your return has arrived",
                    "We have these back. The money follows as soon as we have looked at them.",
                ),
            };
            Letter {
                subject,
                heading: heading.to_owned(),
                paragraphs: vec![text.to_owned()],
                button: button("See your order", &order.link),
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
            "Hello,".to_owned()
        } else {
            format!("Hello {name},")
        },
        footer: format!("This mail was sent to you by {shop}."),
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
        title: "Goes to".to_owned(),
        lines: order.address.iter().map(|line| one_line(line)).collect(),
    }]
}

fn tracking(parcel: &Parcel) -> Vec<Block> {
    let Some(number) = &parcel.tracking_number else {
        return Vec::new();
    };
    vec![Block {
        title: "Parcel number".to_owned(),
        lines: std::iter::once(one_line(number))
            .chain(parcel.tracking_url.iter().map(|url| one_line(url)))
            .collect(),
    }]
}

fn works_until(at: OffsetDateTime) -> String {
    format!("The link works once, until {}.", moment(at))
}

fn moment(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC)
        .format(format_description!(
            "[day padding:none] [month repr:long] [year], [hour]:[minute] UTC"
        ))
        .unwrap_or_default()
}
