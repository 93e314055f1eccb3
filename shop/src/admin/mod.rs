//! The staff API: `/api/v1/admin`, for programs and people with a bearer token.
//!
//! A request passes [`auth::authenticate`], then its route's [`auth::Scoped`] demands a scope, then [`precondition::IfMatch`] and
//! [`fields::Body`] are read, in this order. A change is one transaction ([`change::run`]): rows, derived tables, a row of the
//! audit log, and the purges of what shoppers may see differently.

pub mod attribute;
pub mod auth;
pub mod category;
pub mod change;
pub mod cli;
pub mod cli_staff;
pub mod content;
pub mod events;
pub mod fields;
pub mod openapi;
pub mod page;
pub mod precondition;
pub mod product;
pub mod product_edit;
pub mod promotion;
pub mod route_attribute;
pub mod route_category;
pub mod route_content;
pub mod route_customer;
pub mod route_login;
pub mod route_media;
pub mod route_order;
pub mod route_outbox;
pub mod route_payment;
pub mod route_product;
pub mod route_promotion;
pub mod route_return;
pub mod route_risk;
pub mod route_selling;
pub mod route_shipment;
pub mod route_stock;
pub mod route_system;
pub mod route_variant;
pub mod route_webhook;
pub mod route_zone;
pub mod store_attribute;
pub mod store_audit;
pub mod store_category;
pub mod store_content;
pub mod store_customer;
pub mod store_product;
pub mod store_product_parts;
pub mod store_promotion;
pub mod store_staff;
pub mod store_token;
pub mod store_variant;
pub mod store_zone;
pub mod token;
pub mod upload;
pub mod variant;
pub mod zone;

use std::sync::Arc;

use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;
use sqlx::MySqlConnection;
use tokio::sync::Semaphore;

use crate::catalog::model::{Currency, Locale};
use crate::db::transaction::Work;
use crate::db::{Db, DbError, Failure, MayBeDatabase as _, classify};
use crate::media::MediaStore;
use crate::notify::webhook::target::Targets;
use crate::secret::Keys;
use crate::web::error::{ApiError, Code};
use crate::web::request_id;

/// Every statement of the staff API with its name, so that a test can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        store_attribute::STATEMENTS,
        store_audit::STATEMENTS,
        store_category::STATEMENTS,
        store_customer::STATEMENTS,
        store_content::STATEMENTS,
        store_product::STATEMENTS,
        store_product_parts::STATEMENTS,
        store_variant::STATEMENTS,
        store_promotion::STATEMENTS,
        store_zone::STATEMENTS,
        store_staff::STATEMENTS,
        store_token::STATEMENTS,
        crate::outbox::dead::STATEMENTS,
        crate::checkout::STATEMENTS,
        crate::idempotency::STATEMENTS,
        crate::orders::store::STATEMENTS,
        crate::stock::STATEMENTS,
        crate::stock::store_rows::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .chain(crate::notify::statements())
    .chain(crate::risk::statements())
}

/// What the catalogue is in.
#[derive(Debug, Clone)]
pub struct CatalogueSettings {
    /// The currencies that products have prices in.
    pub currencies: Vec<Currency>,
    /// The languages; others fall back to the first.
    pub locales: Vec<Locale>,
}

impl CatalogueSettings {
    /// The locale that every product and category has a text in.
    #[must_use]
    pub fn first_locale(&self) -> &str {
        self.locales.first().map_or("en", Locale::as_str)
    }
}

/// What the routes need.
#[derive(Debug, Clone)]
pub struct AdminState {
    db: Db,
    settings: Arc<CatalogueSettings>,
    tokens: auth::TokenCache,
    keys: Keys,
    webhook_targets: Targets,
    media: MediaStore,
    uploads: Arc<Semaphore>,
}

impl AdminState {
    /// The state of the routes. Clones share the memory of tokens.
    #[must_use]
    pub fn new(db: Db, settings: CatalogueSettings, keys: Keys, media: MediaStore) -> Self {
        Self {
            db,
            settings: Arc::new(settings),
            tokens: auth::TokenCache::default(),
            keys,
            webhook_targets: Targets::Public,
            media,
            uploads: Arc::new(Semaphore::new(route_media::MOST_UPLOADS)),
        }
    }

    /// Lets endpoints of webhooks be where the setting allows.
    #[must_use]
    pub const fn with_webhook_targets(mut self, targets: Targets) -> Self {
        self.webhook_targets = targets;
        self
    }

    const fn keys(&self) -> &Keys {
        &self.keys
    }

    const fn webhook_targets(&self) -> Targets {
        self.webhook_targets
    }

    fn first_locale(&self) -> &str {
        self.settings.first_locale()
    }

    /// Reads from the primary: staff see what they wrote. In a task of its own, because a client that goes away must not
    /// leave a connection half-way through a statement.
    async fn read<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        F: for<'c> FnOnce(&'c mut MySqlConnection) -> Work<'c, T, ApiError> + Send + 'static,
        T: Send + 'static,
    {
        let db = self.db.clone();
        let task = tokio::spawn(async move {
            let mut reader = db.primary().await?;
            let read = work(&mut reader.connection).await;
            if let Err(error) = &read
                && error
                    .database()
                    .is_some_and(|error| classify(error) != Failure::Permanent)
            {
                reader.suspect();
            }
            read
        });
        task.await.unwrap_or_else(|_| Err(DbError::Aborted.into()))
    }
}

/// What a route answers.
type Answer = Result<HttpResponse, ApiError>;

fn entity(mut response: HttpResponseBuilder, version: i64, body: &impl Serialize) -> HttpResponse {
    response
        .insert_header((header::ETAG, precondition::entity_tag(version)))
        .json(body)
}

/// An entity with its version.
fn answer(version: i64, body: &impl Serialize) -> HttpResponse {
    entity(HttpResponse::Ok(), version, body)
}

/// An entity that was just made, with its version and its address.
fn created(location: String, version: i64, body: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, location));
    entity(response, version, body)
}

/// Reads the number of an order from an address.
fn order_number(text: &str) -> Result<crate::orders::OrderNumber, ApiError> {
    text.parse().map_err(|_| unknown_order())
}

/// The error for an order that is not there.
fn unknown_order() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such order")
}

async fn unknown_address() -> Answer {
    Err(ApiError::new(Code::NotFound))
}

/// Mounts the staff API. The application must have a [`web::Data`] of [`AdminState`].
pub fn configure(config: &mut web::ServiceConfig) {
    use actix_web::web::resource;

    // Before the scope: whoever signs in has no token yet.
    for (path, route) in [
        ("/api/v1/admin/login", web::post().to(route_login::login)),
        ("/api/v1/admin/logout", web::post().to(route_login::logout)),
    ] {
        config.service(
            resource(path)
                .route(route)
                .wrap(from_fn(private))
                .wrap(from_fn(request_id::middleware)),
        );
    }
    let scope = web::scope("/api/v1/admin")
        .app_data(web::PathConfig::default().error_handler(|_, _| {
            ApiError::new(Code::NotFound)
                .detail("a part of the address is not an id of this kind")
                .into()
        }))
        .app_data(web::QueryConfig::default().error_handler(|error, _| {
            ApiError::new(Code::InvalidRequest)
                .detail(error.to_string())
                .into()
        }))
        .service(
            resource("/products")
                .route(web::get().to(route_product::list))
                .route(web::post().to(route_product::create)),
        )
        .service(
            resource("/products/{id}")
                .route(web::get().to(route_product::get))
                .route(web::patch().to(route_product::patch)),
        )
        .service(resource("/products/{id}/archive").route(web::post().to(route_product::archive)))
        .service(
            resource("/products/{id}/publication").route(web::put().to(route_product::publication)),
        )
        .service(resource("/products/{id}/slug").route(web::put().to(route_product::slug)))
        .service(resource("/products/{id}/options").route(web::put().to(route_product::options)))
        .service(resource("/products/{id}/media").route(web::put().to(route_product::media)))
        .service(
            resource("/products/{id}/attributes").route(web::put().to(route_product::attributes)),
        )
        .service(
            resource("/products/{id}/translations/{locale}")
                .route(web::put().to(route_product::put_translation))
                .route(web::delete().to(route_product::delete_translation)),
        )
        .service(
            resource("/products/{id}/categories/{category_id}")
                .route(web::put().to(route_product::put_membership))
                .route(web::delete().to(route_product::delete_membership)),
        )
        .service(
            resource("/products/{id}/variants")
                .route(web::get().to(route_variant::list))
                .route(web::post().to(route_variant::create)),
        )
        .service(
            resource("/variants/{id}")
                .route(web::get().to(route_variant::get))
                .route(web::patch().to(route_variant::patch)),
        )
        .service(resource("/variants/{id}/archive").route(web::post().to(route_variant::archive)))
        .service(
            resource("/variants/{id}/prices")
                .route(web::get().to(route_selling::prices))
                .route(web::post().to(route_selling::schedule_price)),
        )
        .service(
            resource("/variants/{id}/prices/{currency}")
                .route(web::put().to(route_selling::put_price)),
        )
        .service(
            resource("/variants/{id}/prices/scheduled/{price_id}")
                .route(web::delete().to(route_selling::cancel_price)),
        )
        .service(
            resource("/variants/{id}/stock")
                .route(web::get().to(route_selling::stock))
                .route(web::put().to(route_selling::put_stock)),
        )
        .service(
            resource("/variants/{id}/stock/buckets")
                .route(web::get().to(route_stock::buckets))
                .route(web::put().to(route_stock::put_buckets)),
        )
        .service(
            resource("/variants/{id}/stock/adjustments")
                .route(web::post().to(route_selling::adjust_stock)),
        )
        .service(
            resource("/categories")
                .route(web::get().to(route_category::list))
                .route(web::post().to(route_category::create)),
        )
        .service(resource("/categories/order").route(web::put().to(route_category::order)))
        .service(
            resource("/categories/{id}")
                .route(web::get().to(route_category::get))
                .route(web::patch().to(route_category::patch)),
        )
        .service(resource("/categories/{id}/slug").route(web::put().to(route_category::slug)))
        .service(resource("/categories/{id}/parent").route(web::put().to(route_category::parent)))
        .service(
            resource("/categories/{id}/archive").route(web::post().to(route_category::archive)),
        )
        .service(
            resource("/brands")
                .route(web::get().to(route_category::brands))
                .route(web::post().to(route_category::create_brand)),
        )
        .service(
            resource("/brands/{id}")
                .route(web::get().to(route_category::brand))
                .route(web::patch().to(route_category::patch_brand)),
        )
        .configure(route_zone::routes)
        .configure(route_promotion::routes)
        .service(resource("/orders").route(web::get().to(route_order::list)))
        .service(resource("/orders/{number}").route(web::get().to(route_order::get)))
        .service(resource("/orders/{number}/cancel").route(web::post().to(route_order::cancel)))
        .service(resource("/orders/{number}/hold").route(web::post().to(route_order::hold)))
        .service(resource("/orders/{number}/release").route(web::post().to(route_order::release)))
        .service(resource("/orders/{number}/notes").route(web::post().to(route_order::note)))
        .service(resource("/customers").route(web::get().to(route_customer::list)))
        .service(resource("/customers/{id}").route(web::get().to(route_customer::get)))
        .service(resource("/customers/{id}/disable").route(web::post().to(route_customer::disable)))
        .service(resource("/customers/{id}/enable").route(web::post().to(route_customer::enable)))
        .service(resource("/customers/{id}/erasure").route(web::post().to(route_customer::erase)))
        .service(
            resource("/attributes")
                .route(web::get().to(route_attribute::list))
                .route(web::post().to(route_attribute::create)),
        )
        .service(
            resource("/attributes/{id}")
                .route(web::get().to(route_attribute::get))
                .route(web::patch().to(route_attribute::patch)),
        )
        .service(
            resource("/attributes/{id}/translations/{locale}")
                .route(web::patch().to(route_attribute::translate)),
        )
        .service(
            resource("/content/pages")
                .route(web::get().to(route_content::list))
                .route(web::post().to(route_content::create)),
        )
        .service(
            resource("/content/pages/{id}")
                .route(web::get().to(route_content::get))
                .route(web::delete().to(route_content::delete)),
        )
        .service(
            resource("/content/pages/{id}/publication")
                .route(web::put().to(route_content::publication)),
        )
        .service(
            resource("/content/pages/{id}/translations/{locale}")
                .route(web::put().to(route_content::put_translation))
                .route(web::delete().to(route_content::delete_translation)),
        )
        .service(resource("/media").route(web::post().to(route_media::upload)))
        .service(resource("/media/{hash}").route(web::get().to(route_media::get)))
        .service(resource("/audit-log").route(web::get().to(route_system::audit_log)))
        .service(resource("/cache/purge").route(web::post().to(route_system::purge)))
        .service(resource("/dead-letters").route(web::get().to(route_outbox::list)))
        .service(resource("/dead-letters/replay").route(web::post().to(route_outbox::replay_topic)))
        .service(resource("/dead-letters/{id}").route(web::delete().to(route_outbox::discard)))
        .service(resource("/dead-letters/{id}/replay").route(web::post().to(route_outbox::replay)))
        .service(resource("/orders/{number}/payments").route(web::get().to(route_payment::list)))
        .service(resource("/payments/{id}").route(web::get().to(route_payment::get)))
        .service(resource("/payments/{id}/captures").route(web::post().to(route_payment::capture)))
        .service(resource("/payments/{id}/void").route(web::post().to(route_payment::void)))
        .service(resource("/payments/{id}/refunds").route(web::post().to(route_payment::refund)))
        .service(
            resource("/orders/{number}/shipments")
                .route(web::get().to(route_shipment::list))
                .route(web::post().to(route_shipment::create)),
        )
        .service(
            resource("/shipments/{id}")
                .route(web::get().to(route_shipment::get))
                .route(web::delete().to(route_shipment::delete)),
        )
        .service(resource("/shipments/{id}/ship").route(web::post().to(route_shipment::ship)))
        .service(resource("/shipments/{id}/state").route(web::put().to(route_shipment::mark)))
        .service(resource("/returns").route(web::get().to(route_return::list)))
        .service(resource("/returns/{id}").route(web::get().to(route_return::get)))
        .service(resource("/returns/{id}/approve").route(web::post().to(route_return::approve)))
        .service(resource("/returns/{id}/reject").route(web::post().to(route_return::reject)))
        .service(resource("/returns/{id}/receive").route(web::post().to(route_return::receive)))
        .service(resource("/returns/{id}/refunds").route(web::post().to(route_return::refund)))
        .service(
            resource("/risk/rules")
                .route(web::get().to(route_risk::rules))
                .route(web::post().to(route_risk::create_rule)),
        )
        .service(
            resource("/risk/rules/{id}")
                .route(web::get().to(route_risk::rule))
                .route(web::patch().to(route_risk::patch_rule))
                .route(web::delete().to(route_risk::delete_rule)),
        )
        .service(
            resource("/risk/lists")
                .route(web::get().to(route_risk::lists))
                .route(web::put().to(route_risk::put_list)),
        )
        .service(
            resource("/risk/lists/{kind}/{value_key}")
                .route(web::delete().to(route_risk::delete_list)),
        )
        .service(resource("/risk/reviews").route(web::get().to(route_risk::reviews)))
        .service(resource("/risk/reviews/{number}/clear").route(web::post().to(route_risk::clear)))
        .service(
            resource("/risk/reviews/{number}/refuse").route(web::post().to(route_risk::refuse)),
        )
        .service(resource("/risk/orders/{number}").route(web::get().to(route_risk::assessments)))
        .service(
            resource("/webhook-endpoints")
                .route(web::get().to(route_webhook::endpoints))
                .route(web::post().to(route_webhook::create)),
        )
        .service(
            resource("/webhook-endpoints/{id}")
                .route(web::get().to(route_webhook::endpoint))
                .route(web::patch().to(route_webhook::patch)),
        )
        .service(
            resource("/webhook-endpoints/{id}/secret")
                .route(web::post().to(route_webhook::rotate_secret)),
        )
        .service(
            resource("/webhook-endpoints/{id}/deliveries")
                .route(web::get().to(route_webhook::deliveries)),
        )
        .service(resource("/webhook-deliveries/{id}").route(web::get().to(route_webhook::delivery)))
        .service(
            resource("/webhook-deliveries/{id}/replay")
                .route(web::post().to(route_webhook::replay_delivery)),
        )
        .default_service(web::to(unknown_address))
        .wrap(from_fn(auth::authenticate))
        .wrap(from_fn(private))
        .wrap(from_fn(request_id::middleware));
    config.service(scope);
}

/// Middleware: no cache keeps an answer of this scope, whatever the route says.
async fn private(
    request: actix_web::dev::ServiceRequest,
    next: actix_web::middleware::Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<actix_web::dev::ServiceResponse<impl actix_web::body::MessageBody>, actix_web::Error> {
    let (request, answered) = next.call(request).await?.into_parts();
    let answered = crate::web::error::explained(answered.map_into_boxed_body());
    let mut response = actix_web::dev::ServiceResponse::new(request, answered);
    let value = header::HeaderValue::from_static(crate::edge::headers::PRIVATE);
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    Ok(response)
}
