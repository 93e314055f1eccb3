//! From a cart to an order: prepare, pay, finalise.
//!
//! *Prepare* ([`prepare`]) is one transaction: it claims the idempotency key, locks the cart, prices it anew, compares the total
//! with what the shopper agreed to, writes a draft order with its payment, redeems promotions and holds the stock, in this
//! order. *Pay* asks the provider while no transaction is open. *Finalise* ([`finalise`]) is one idempotent transaction, run by
//! the request, a webhook or the worker, whoever comes first: it places the order if its payment stands, and lets go of
//! everything if it does not. A process may die anywhere: the order is pending, and the worker ([`worker`]) ends what it began.

pub mod cancel;
pub mod complete;
pub mod config;
pub mod finalise;
pub(crate) mod form;
pub mod model;
pub mod openapi;
pub mod page;
pub mod prepare;
pub mod route;
mod store;
pub(crate) mod texts;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use crate::cart::pricing::PricingSettings;
use crate::db::Db;
use crate::payments::Payments;
use crate::risk::RiskSettings;
use crate::secret::Keys;

pub use complete::complete;
pub use finalise::{Occasion, finalise};
pub use route::routes;
pub use store::STATEMENTS;

/// What a checkout needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The database.
    pub db: Db,
    /// The shop's key.
    pub keys: Keys,
    /// How carts are priced.
    pub pricing: PricingSettings,
    /// Who takes the money.
    pub payments: Payments,
    /// From which scores on orders are looked at or refused.
    pub risk: RiskSettings,
    /// For how long a pending order holds its stock.
    pub hold: Duration,
    /// Where the shop is, without a path.
    pub origin: String,
}

impl Checkout {
    /// Has orders finalised whenever a payment has come to another standing without the checkout's asking: by a message of the
    /// provider, or because the worker has found out.
    pub fn follow_payments(&self) {
        let checkout = self.clone();
        self.payments.after_standing(Arc::new(move |order_id| {
            let checkout = checkout.clone();
            Box::pin(async move {
                finalise(&checkout, order_id, Occasion::Payment, "provider")
                    .await
                    .map(|_| ())
            })
        }));
    }
}
