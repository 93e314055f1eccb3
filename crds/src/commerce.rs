//! How the shop sells: who takes its money, who carries its mails and parcels, and which orders a person looks at.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;

/// Who takes the money. Without a provider the shop shows, and takes no orders that cost something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payments {
    /// The built-in test provider is offered: cards that move no money. For shops that are tried out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Stripe takes cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe: Option<Stripe>,
    /// When the money of an order is taken.
    #[serde(default)]
    pub capture: Capture,
}

/// An account of Stripe, whose webhook endpoint is `/api/v1/webhooks/payments/stripe` of the shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stripe {
    /// The publishable key, which the checkout page needs: `pk_…`.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^pk_[a-zA-Z0-9_]+$"))]
    pub publishable_key: String,
    /// A Secret with the keys `secret-key` (`sk_…` or `rk_…`) and `webhook-secrets` (`whsec_…`, several with commas while they are
    /// exchanged).
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// When money is taken.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Capture {
    /// When an order is placed.
    #[default]
    Automatic,
    /// When its parts leave.
    OnShipment,
}

/// A server that takes the shop's mails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// Host and port, such as `smtp.example.com:587`.
    #[schemars(
        length(max = 260),
        regex(pattern = "^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?:[0-9]{1,5}$")
    )]
    pub server: String,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: MailTls,
    /// Whom mails are from, such as `Lamps <orders@example.com>`. Without it: `name` and `email` of the Shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = "^([^<>@,]* <)?[^@ ,<>]+@[^@ ,<>]+>?$")
    )]
    pub from: Option<String>,
    /// A Secret with the keys `user` and `password`, for a server that asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
}

/// How a connection for mails is encrypted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum MailTls {
    /// From before anything is said on, or there is no mail (port 587).
    #[default]
    StartTls,
    /// From the beginning (port 465).
    Tls,
}

/// What happens after an order was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fulfilment {
    /// Days after delivery in which pieces can be given back.
    #[serde(default = "defaults::return_days")]
    #[schemars(range(min = 1, max = 3650))]
    pub return_days: u32,
    /// Who carries parcels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub carriers: Vec<Carrier>,
    /// A Secret with the key `carrier-secrets`: what carriers sign their messages with, as `dhl=…,post=…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
}

impl Default for Fulfilment {
    fn default() -> Self {
        Self {
            return_days: defaults::return_days(),
            carriers: Vec::new(),
            secret_name: None,
        }
    }
}

/// A carrier of parcels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Carrier {
    /// Its name: lower-case letters, digits and dashes.
    #[schemars(length(max = 32), regex(pattern = "^[a-z0-9-]+$"))]
    pub name: String,
    /// Where its parcels are followed, with `{number}` in the place of the parcel's.
    #[schemars(
        length(max = 400),
        regex(pattern = r"^https://[^ ,]*\{number\}[^ ,]*$")
    )]
    pub tracking_url: String,
}

/// What becomes of orders by their risk, a score of rules that staff keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.reviewFrom <= self.refuseFrom")
    .message("risk.reviewFrom must not be above risk.refuseFrom"))]
pub struct Risk {
    /// The score from which on a person must look at an order before it is fulfilled.
    #[serde(default = "defaults::review_from")]
    #[schemars(range(min = 1, max = 10_000))]
    pub review_from: u32,
    /// The score from which on an order is refused.
    #[serde(default = "defaults::refuse_from")]
    #[schemars(range(min = 1, max = 10_000))]
    pub refuse_from: u32,
}

impl Default for Risk {
    fn default() -> Self {
        Self {
            review_from: defaults::review_from(),
            refuse_from: defaults::refuse_from(),
        }
    }
}
