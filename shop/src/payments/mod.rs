//! Money: payments of orders, and what is asked of payment providers.
//!
//! A payment is one attempt to pay an order. Everything that moves money is an *operation* with a key of its own: it is recorded, with
//! its amount counted against the payment, before the provider is asked, and settled afterwards. An answer that was lost is asked for
//! again ([`worker`]), never guessed: the payment or the operation is *unknown* until the provider has said what became of it. Amounts
//! are guarded by conditional statements with constraints behind them ([`store`]).
//!
//! No transaction is open while a provider is asked.

pub mod authorise;
pub mod config;
pub mod model;
pub mod operate;
pub mod page;
pub mod provider;
pub mod record;
pub mod signature;
pub mod store;
pub mod store_event;
pub mod stripe;
pub mod test_provider;
pub mod view;
pub mod webhook;
pub mod worker;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sqlx::MySqlConnection;

use crate::catalog::model::Currency;
use crate::db::Db;
use crate::outbox::Backoff;
use crate::secret::Keys;
use crate::web::error::{ApiError, Code};
use crate::web::private::PublicId;

pub use config::{CapturePolicy, PaymentSettings};
pub use model::{MethodInput, NextAction, Payment, PaymentState, Standing};
use provider::Provider;
use store::NewPayment;
use stripe::Stripe;
use test_provider::TestProvider;

/// Every statement of payments and fulfilment with its name, so that a test can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        store::STATEMENTS,
        store_event::STATEMENTS,
        test_provider::store::STATEMENTS,
        crate::fulfilment::store::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// For how long whoever asks a provider has a payment or an operation for itself: longer than any provider may take.
pub(crate) const LEASE: Duration = Duration::from_mins(1);
/// A payment that nobody has asked a provider about for so long is abandoned: the process that began it is gone.
const UNASKED: Duration = Duration::from_mins(2);
/// The pauses before a provider is asked again about what is uncertain.
pub(crate) const AGAIN: Backoff = Backoff {
    base: Duration::from_secs(3),
    cap: Duration::from_mins(10),
};

/// What is done after a payment has come to another standing: the checkout finalises its order.
pub type AfterStanding =
    Arc<dyn Fn(i64) -> Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>> + Send + Sync>;

/// What is measured of payments.
#[derive(Debug, Clone, Default)]
pub struct PaymentMetrics {
    operations: Family<Vec<(&'static str, &'static str)>, Counter>,
    uncertain: Gauge,
    messages: Family<Vec<(&'static str, &'static str)>, Counter>,
}

impl PaymentMetrics {
    /// Announces the metrics under their public names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "shop_payment_operations",
            "What was asked of payment providers, by provider, kind and result",
            self.operations.clone(),
        );
        registry.register(
            "shop_payments_uncertain",
            "Payments of which it is not known what became of them",
            self.uncertain.clone(),
        );
        registry.register(
            "shop_payment_messages",
            "Messages of payment providers and carriers, by sender and result",
            self.messages.clone(),
        );
    }

    pub(crate) fn asked(&self, provider: &'static str, kind: &'static str, result: &'static str) {
        self.operations
            .get_or_create(&vec![
                ("provider", provider),
                ("kind", kind),
                ("result", result),
            ])
            .inc();
    }

    pub(crate) fn message(&self, sender: &'static str, result: &'static str) {
        self.messages
            .get_or_create(&vec![("sender", sender), ("result", result)])
            .inc();
    }
}

/// Payments, for the checkout, for staff and for the worker. Cheap to clone.
#[derive(Clone)]
pub struct Payments(Arc<Inner>);

struct Inner {
    db: Db,
    settings: PaymentSettings,
    test: Option<Arc<TestProvider>>,
    stripe: Option<Arc<Stripe>>,
    after: OnceLock<AfterStanding>,
    metrics: PaymentMetrics,
}

impl std::fmt::Debug for Payments {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Payments")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// A way to pay that the checkout offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// The test provider: the shopper types the number of a test card.
    TestCard,
    /// Stripe: its script makes a payment method, whose id is the token.
    Stripe {
        /// `pk_…`
        publishable_key: String,
    },
}

impl Offer {
    /// The provider's name, for [`Payments::create`].
    #[must_use]
    pub const fn provider(&self) -> &'static str {
        match self {
            Self::TestCard => test_provider::NAME,
            Self::Stripe { .. } => stripe::NAME,
        }
    }
}

impl Payments {
    /// Payments with the providers that the settings name. `origin` is where the shop is for shoppers.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(
        settings: PaymentSettings,
        db: Db,
        keys: Keys,
        origin: &str,
    ) -> Result<Self, crate::outbound::ClientError> {
        let test = settings
            .test
            .then(|| Arc::new(TestProvider::new(db.clone(), keys, origin)));
        let stripe = settings
            .stripe
            .clone()
            .map(Stripe::new)
            .transpose()?
            .map(Arc::new);
        Ok(Self(Arc::new(Inner {
            db,
            settings,
            test,
            stripe,
            after: OnceLock::new(),
            metrics: PaymentMetrics::default(),
        })))
    }

    /// Says what is done when a payment has come to another standing without the checkout's asking. The first call counts.
    pub fn after_standing(&self, after: AfterStanding) {
        let _ = self.0.after.set(after);
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &PaymentMetrics {
        &self.0.metrics
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &PaymentSettings {
        &self.0.settings
    }

    /// The test provider, if the shop has it.
    #[must_use]
    pub fn test_provider(&self) -> Option<&TestProvider> {
        self.0.test.as_deref()
    }

    /// The ways to pay, the preferred first.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        let stripe = self.0.stripe.as_ref().map(|stripe| Offer::Stripe {
            publishable_key: stripe.publishable_key().to_owned(),
        });
        let test = self.0.test.as_ref().map(|_| Offer::TestCard);
        stripe.into_iter().chain(test).collect()
    }

    pub(crate) fn provider(&self, name: &str) -> Option<Arc<dyn Provider>> {
        match name {
            test_provider::NAME => self
                .0
                .test
                .clone()
                .map(|provider| provider as Arc<dyn Provider>),
            stripe::NAME => self
                .0
                .stripe
                .clone()
                .map(|provider| provider as Arc<dyn Provider>),
            _ => None,
        }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    /// Writes a payment inside the caller's transaction, before anybody is asked. If nobody calls [`Payments::authorise`], it comes to
    /// nothing by itself.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn create(
        connection: &mut MySqlConnection,
        order_id: i64,
        provider: &str,
        amount: i64,
        currency: Currency,
    ) -> Result<Payment, sqlx::Error> {
        let public_id = PublicId::random();
        let payment = NewPayment {
            public_id: public_id.as_str(),
            order_id,
            provider,
            currency: currency.as_str(),
            amount,
        };
        let id = store::insert(connection, &payment, UNASKED).await?;
        store::find(connection, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }

    /// Says, inside the transaction that finalises an order, that nobody needs to look after its settled payments any more.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn finalised_in(
        connection: &mut MySqlConnection,
        order_id: i64,
    ) -> Result<(), sqlx::Error> {
        store::unschedule_settled(connection, order_id).await
    }

    pub(crate) async fn run_after(&self, order_id: i64) -> Result<(), ApiError> {
        match self.0.after.get() {
            Some(after) => after(order_id).await,
            None => Ok(()),
        }
    }
}

/// Mounts the routes of payments in the private scope.
pub fn routes(config: &mut actix_web::web::ServiceConfig) {
    use actix_web::web::{get, post};

    use crate::web::private::resource;

    config
        .service(resource("/api/v1/webhooks/payments/{provider}").route(post().to(webhook::post)))
        .service(
            resource("/{locale}/pay/{reference}")
                .route(get().to(page::show))
                .route(post().to(page::decide)),
        );
}

/// There is no such payment.
pub(crate) fn unknown_payment() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such payment")
}
