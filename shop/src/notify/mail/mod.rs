//! Mails to shoppers: what can be written, and how it gets into the outbox.

pub mod letter;
mod letter_en;
mod letter_zh_cn;
pub mod send;

use serde::{Deserialize, Serialize};
use sqlx::MySqlConnection;
use time::OffsetDateTime;
use xxhash_rust::xxh3::xxh3_128;

use crate::outbox::{self, Topic};

/// A mail, as it stands in the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The address of the recipient.
    pub to: String,
    /// The BCP 47 tag of the language; what the shop is not written in becomes its default.
    pub locale: String,
    /// What it says.
    #[serde(flatten)]
    pub template: Template,
}

/// The mails there are, with what each needs to know. Links are whole addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "template", content = "data", rename_all = "snake_case")]
pub enum Template {
    /// A link that proves that the address is the customer's own.
    VerifyEmail {
        /// How the customer is called; may be empty.
        name: String,
        /// The link.
        link: String,
        /// Until when the link works. Afterwards the mail is not sent any more.
        #[serde(with = "time::serde::rfc3339")]
        valid_until: OffsetDateTime,
    },
    /// A link to choose a new password.
    ResetPassword {
        /// How the customer is called; may be empty.
        name: String,
        /// The link.
        link: String,
        /// Until when the link works. Afterwards the mail is not sent any more.
        #[serde(with = "time::serde::rfc3339")]
        valid_until: OffsetDateTime,
    },
    /// Somebody tried to register with an address that has an account.
    AlreadyRegistered {
        /// How the customer is called; may be empty.
        name: String,
        /// Where to log in.
        login_link: String,
        /// Where to ask for a new password.
        reset_link: String,
    },
    /// The password was changed.
    PasswordChanged {
        /// How the customer is called; may be empty.
        name: String,
        /// When it was changed.
        #[serde(with = "time::serde::rfc3339")]
        changed_at: OffsetDateTime,
        /// Where to ask for a new password, if it was somebody else.
        reset_link: String,
    },
    /// An order was placed.
    OrderConfirmation {
        /// The order.
        order: OrderSummary,
    },
    /// A placed order was cancelled.
    OrderCancelled {
        /// The order.
        order: OrderSummary,
    },
    /// A parcel is on its way.
    Shipped {
        /// The order.
        order: OrderSummary,
        /// The parcel.
        parcel: Parcel,
    },
    /// A parcel arrived.
    Delivered {
        /// The order.
        order: OrderSummary,
        /// The parcel.
        parcel: Parcel,
    },
    /// Money was given back.
    Refunded {
        /// The order.
        order: OrderSummary,
        /// How much, in minor units of the order's currency; `None` when it is not known here.
        amount: Option<i64>,
    },
    /// A return came to another state.
    ReturnUpdate {
        /// The order.
        order: OrderSummary,
        /// The state.
        state: ReturnState,
        /// What is given back.
        lines: Vec<PieceLine>,
    },
}

impl Template {
    /// The name of the template, for logs and lists.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::ResetPassword { .. } => "reset_password",
            Self::AlreadyRegistered { .. } => "already_registered",
            Self::PasswordChanged { .. } => "password_changed",
            Self::OrderConfirmation { .. } => "order_confirmation",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::Shipped { .. } => "shipped",
            Self::Delivered { .. } => "delivered",
            Self::Refunded { .. } => "refunded",
            Self::ReturnUpdate { .. } => "return_update",
        }
    }

    /// The order that it is about, if it is about one.
    #[must_use]
    pub fn order(&self) -> Option<&OrderSummary> {
        match self {
            Self::OrderConfirmation { order }
            | Self::OrderCancelled { order }
            | Self::Shipped { order, .. }
            | Self::Delivered { order, .. }
            | Self::Refunded { order, .. }
            | Self::ReturnUpdate { order, .. } => Some(order),
            _ => None,
        }
    }

    /// After this moment the mail says something that is no longer true.
    #[must_use]
    pub const fn valid_until(&self) -> Option<OffsetDateTime> {
        match self {
            Self::VerifyEmail { valid_until, .. } | Self::ResetPassword { valid_until, .. } => {
                Some(*valid_until)
            }
            _ => None,
        }
    }
}

/// An order as mails show it. Amounts in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrderSummary {
    /// Its number.
    pub number: String,
    /// Where the shopper follows it.
    pub link: String,
    /// How the recipient is called; may be empty.
    pub name: String,
    /// ISO 4217.
    pub currency: String,
    /// What was ordered.
    pub lines: Vec<OrderedLine>,
    /// Lines before discounts.
    pub subtotal: i64,
    /// Taken off.
    pub discount: i64,
    /// How it is sent.
    pub shipping_name: String,
    /// For sending.
    pub shipping: i64,
    /// Taxes.
    pub tax: i64,
    /// Whether the prices contain the taxes.
    pub prices_include_tax: bool,
    /// What is paid.
    pub total: i64,
    /// The lines of the address it goes to.
    pub address: Vec<String>,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedLine {
    /// Name of the product.
    pub name: String,
    /// Which variant; may be empty.
    pub options: String,
    /// Pieces.
    pub quantity: i64,
    /// Price of all of them, before discounts on the line.
    pub amount: i64,
}

/// Pieces of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceLine {
    /// Name of the product.
    pub name: String,
    /// Which variant; may be empty.
    pub options: String,
    /// Pieces.
    pub quantity: i64,
}

/// A parcel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parcel {
    /// Who brings it.
    pub carrier: String,
    /// Its number with the carrier.
    pub tracking_number: Option<String>,
    /// Where it can be followed.
    pub tracking_url: Option<String>,
    /// What is in it.
    pub lines: Vec<PieceLine>,
}

/// The state of a return that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnState {
    /// The shopper has asked.
    Requested,
    /// The pieces may be sent back.
    Approved,
    /// They may not.
    Rejected,
    /// They are here.
    Received,
}

/// Writes the mail inside the caller's transaction, and returns the id of its row. Mails about one order, and others to one
/// address, are sent in the order in which they were written.
///
/// # Errors
/// What the database answers.
pub async fn enqueue(connection: &mut MySqlConnection, mail: &Mail) -> Result<i64, sqlx::Error> {
    let payload = serde_json::to_value(mail).map_err(|error| sqlx::Error::Encode(error.into()))?;
    outbox::enqueue(connection, Topic::MAIL, &aggregate(mail), &payload).await
}

/// What mails are kept in order by: the order, else the recipient, whose address does not belong into logs.
fn aggregate(mail: &Mail) -> String {
    match mail.template.order() {
        Some(order) => order.number.clone(),
        None => format!("to-{:032x}", xxh3_128(mail.to.to_lowercase().as_bytes())),
    }
}
