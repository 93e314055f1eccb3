//! A mail as it is written: what it says in its language, and both of its bodies. Pure.

use askama::Template as _;

use super::{OrderSummary, PieceLine, Template};
use crate::storefront::i18n::Locale;
use crate::storefront::money::{Currency, Money};
use crate::storefront::view::Site;

use super::{letter_en, letter_zh_cn};

/// A written mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The subject.
    pub subject: String,
    /// The body as text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

/// What a mail says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Letter {
    pub language: &'static str,
    pub subject: String,
    pub heading: String,
    pub greeting: String,
    pub paragraphs: Vec<String>,
    pub button: Option<Button>,
    /// Small print under the button.
    pub notes: Vec<String>,
    pub rows: Vec<Row>,
    pub totals: Vec<Total>,
    pub blocks: Vec<Block>,
    pub footer: String,
}

impl Letter {
    /// What mail programs show beside the subject.
    fn preview(&self) -> &str {
        self.paragraphs.first().map_or("", String::as_str)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Button {
    pub label: String,
    pub link: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub name: String,
    pub options: String,
    pub quantity: i64,
    pub amount: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Total {
    pub label: String,
    pub amount: String,
    pub strong: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub title: String,
    pub lines: Vec<String>,
}

/// The words beside amounts.
pub(super) struct AmountWords {
    pub subtotal: &'static str,
    pub discount: &'static str,
    pub shipping: &'static str,
    pub tax: &'static str,
    pub tax_included: &'static str,
    pub total: &'static str,
}

struct Shop<'a> {
    name: &'a str,
    origin: &'a str,
    segment: &'static str,
    email: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "mail/letter.html")]
struct Html<'a> {
    letter: &'a Letter,
    shop: &'a Shop<'a>,
}

#[derive(askama::Template)]
#[template(path = "mail/letter.txt", escape = "none", whitespace = "preserve")]
struct Text<'a> {
    letter: &'a Letter,
    shop: &'a Shop<'a>,
}

/// Writes a mail in a language.
///
/// # Errors
/// When a template fails, which only a defect makes it do.
pub fn write(template: &Template, locale: Locale, site: &Site) -> Result<Written, askama::Error> {
    let letter = match locale {
        Locale::En => letter_en::write(template, &site.name),
        Locale::ZhCn => letter_zh_cn::write(template, &site.name),
    };
    let shop = Shop {
        name: &site.name,
        origin: &site.origin,
        segment: locale.segment(),
        email: site.email.as_deref(),
    };
    Ok(Written {
        text: Text {
            letter: &letter,
            shop: &shop,
        }
        .render()?,
        html: Html {
            letter: &letter,
            shop: &shop,
        }
        .render()?,
        subject: one_line(&letter.subject),
    })
}

/// Text that was typed by somebody, on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split(|letter: char| letter.is_control() || letter.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// An amount as its reader writes it.
pub(super) fn money(amount: i64, currency: &str, locale: Locale) -> String {
    match currency.parse::<Currency>() {
        Ok(currency) => Money::new(amount, currency).format(locale),
        Err(_) => format!("{amount} {}", one_line(currency)),
    }
}

/// The lines of an order with their amounts.
pub(super) fn ordered_rows(order: &OrderSummary, locale: Locale) -> Vec<Row> {
    order
        .lines
        .iter()
        .map(|line| Row {
            name: one_line(&line.name),
            options: one_line(&line.options),
            quantity: line.quantity,
            amount: Some(money(line.amount, &order.currency, locale)),
        })
        .collect()
}

/// Pieces without amounts.
pub(super) fn piece_rows(lines: &[PieceLine]) -> Vec<Row> {
    lines
        .iter()
        .map(|line| Row {
            name: one_line(&line.name),
            options: one_line(&line.options),
            quantity: line.quantity,
            amount: None,
        })
        .collect()
}

/// What an order comes to.
pub(super) fn totals(order: &OrderSummary, words: &AmountWords, locale: Locale) -> Vec<Total> {
    let total = |label: &str, amount: i64, strong: bool| Total {
        label: label.to_owned(),
        amount: money(amount, &order.currency, locale),
        strong,
    };
    let mut totals = vec![total(words.subtotal, order.subtotal, false)];
    if order.discount != 0 {
        totals.push(total(
            words.discount,
            order.discount.saturating_neg(),
            false,
        ));
    }
    let shipping = if order.shipping_name.is_empty() {
        words.shipping.to_owned()
    } else {
        format!("{} ({})", words.shipping, one_line(&order.shipping_name))
    };
    totals.push(total(&shipping, order.shipping, false));
    if order.tax != 0 && !order.prices_include_tax {
        totals.push(total(words.tax, order.tax, false));
    }
    totals.push(total(words.total, order.total, true));
    if order.tax != 0 && order.prices_include_tax {
        totals.push(total(words.tax_included, order.tax, false));
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::super::{OrderedLine, Parcel, ReturnState};
    use super::*;
    use time::macros::datetime;

    fn site() -> Site {
        Site {
            name: "Lamps & Co".to_owned(),
            tagline: String::new(),
            origin: "https://shop.example".to_owned(),
            locales: Locale::ALL.to_vec(),
            currencies: vec![Currency::EUR],
            email: Some("help@shop.example".to_owned()),
        }
    }

    fn order() -> OrderSummary {
        OrderSummary {
            number: "PX-1".to_owned(),
            link: "https://shop.example/en/orders/PX-1?key=a&b".to_owned(),
            name: "Ada <b>".to_owned(),
            currency: "EUR".to_owned(),
            lines: vec![OrderedLine {
                name: "Lamp <script>".to_owned(),
                options: "Brass".to_owned(),
                quantity: 2,
                amount: 4000,
            }],
            subtotal: 4000,
            discount: 500,
            shipping_name: "Parcel".to_owned(),
            shipping: 490,
            tax: 637,
            prices_include_tax: true,
            total: 3990,
            address: vec!["Ada".to_owned(), "1 Main Street".to_owned()],
        }
    }

    fn every() -> Vec<Template> {
        let name = || "Ada".to_owned();
        let link = || "https://shop.example/en/link?token=x".to_owned();
        let at = datetime!(2026-03-04 05:06:07 UTC);
        let parcel = || Parcel {
            carrier: "post".to_owned(),
            tracking_number: Some("TN1".to_owned()),
            tracking_url: Some("https://carrier.example/TN1".to_owned()),
            lines: vec![PieceLine {
                name: "Lamp".to_owned(),
                options: String::new(),
                quantity: 1,
            }],
        };
        let mut all = vec![
            Template::VerifyEmail {
                name: name(),
                link: link(),
                valid_until: at,
            },
            Template::ResetPassword {
                name: name(),
                link: link(),
                valid_until: at,
            },
            Template::AlreadyRegistered {
                name: name(),
                login_link: link(),
                reset_link: link(),
            },
            Template::PasswordChanged {
                name: name(),
                changed_at: at,
                reset_link: link(),
            },
            Template::OrderConfirmation { order: order() },
            Template::OrderCancelled { order: order() },
            Template::Shipped {
                order: order(),
                parcel: parcel(),
            },
            Template::Delivered {
                order: order(),
                parcel: parcel(),
            },
            Template::Refunded {
                order: order(),
                amount: Some(1250),
            },
        ];
        for state in [
            ReturnState::Requested,
            ReturnState::Approved,
            ReturnState::Rejected,
            ReturnState::Received,
        ] {
            all.push(Template::ReturnUpdate {
                order: order(),
                state,
                lines: parcel().lines,
            });
        }
        all
    }

    #[test]
    fn every_mail_is_written_in_every_language_with_its_link_in_both_bodies() {
        for locale in Locale::ALL {
            for template in every() {
                let written = write(&template, locale, &site()).unwrap();
                let what = format!("{} {}\n{}", template.name(), locale.tag(), written.text);
                assert!(
                    !written.subject.is_empty() && written.subject.len() < 120,
                    "{what}"
                );
                assert!(written.text.contains("https://shop.example/"), "{what}");
                assert!(written.html.contains(&format!("lang=\"{}\"", locale.tag())));
                assert!(
                    !written.text.contains("&amp;") && !written.text.contains("&#"),
                    "{what}"
                );
                assert!(!written.html.contains("<script>"), "{what}");
                assert!(written.html.contains("Lamps &#38; Co"), "{}", written.html);
                if let Some(order) = template.order() {
                    assert!(written.subject.contains("PX-1"), "{what}");
                    assert!(written.text.contains(&order.link), "{what}");
                    assert!(
                        written.html.contains("/orders/PX-1?key=a&#38;b"),
                        "{}",
                        written.html
                    );
                } else {
                    assert!(written.text.contains("token=x"), "{what}");
                }
            }
        }
    }

    #[test]
    fn languages_differ() {
        for template in every() {
            let [english, chinese] =
                Locale::ALL.map(|locale| write(&template, locale, &site()).unwrap().subject);
            assert_ne!(english, chinese);
        }
    }

    #[test]
    fn a_confirmation_shows_amounts_as_they_are_stored() {
        let written = write(
            &Template::OrderConfirmation { order: order() },
            Locale::En,
            &site(),
        )
        .unwrap();
        for part in [
            "2 × Lamp <script> (Brass)  €40.00",
            "Discount: −€5.00",
            "Shipping (Parcel): €4.90",
            "Total: €39.90",
            "€6.37",
            "1 Main Street",
        ] {
            assert!(written.text.contains(part), "{part} in\n{}", written.text);
        }
        let before_tax = OrderSummary {
            prices_include_tax: false,
            ..order()
        };
        let written = write(
            &Template::OrderConfirmation { order: before_tax },
            Locale::En,
            &site(),
        )
        .unwrap();
        assert!(written.text.contains("Tax: €6.37"), "{}", written.text);
    }

    #[test]
    fn what_people_typed_stays_on_its_line() {
        let mut order = order();
        order.number = "PX-1\r\nBcc: everybody@example.com".to_owned();
        order.name = "Ada\n\nFree money: https://evil.example".to_owned();
        let written = write(&Template::OrderConfirmation { order }, Locale::En, &site()).unwrap();
        assert!(!written.subject.contains('\n') && !written.subject.contains('\r'));
        assert!(written.text.contains("Ada Free money"), "{}", written.text);
    }
}
