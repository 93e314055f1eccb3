//! The private scope: answers that belong to one visitor, so that no cache may keep them.
//!
//! Everything below one of the addresses of [`paths`] is answered here and nowhere else, unknown addresses too. Each domain
//! mounts its routes in [`configure`]; handlers take a [`Visitor`] or a [`SignedIn`], and answer JSON, a [`PrivateState::page`]
//! or [`see_other`].

pub mod client;
pub mod cookie;
pub mod form;
pub mod guard;
pub mod id;
pub mod page;
pub mod paths;
pub mod strict;
pub mod texts;
pub mod visitor;

use std::sync::Arc;

use actix_web::guard::GuardContext;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, Resource, web};
use sqlx::MySqlConnection;

use super::error::{ApiError, Code};
use super::public::Public;
use super::request_id;
use crate::accounts::password::Passwords;
use crate::config::site::CatalogueSettings;
use crate::db::transaction::Work;
use crate::db::{Db, DbError, Failure, MayBeDatabase as _, classify};
use crate::payments::Payments;
use crate::secret::Keys;
use crate::storefront::view::Site;
use client::ClientAddress;
use cookie::Cookies;
use guard::Origins;

pub use form::FormErrors;
pub use guard::see_other;
pub use id::PublicId;
pub use page::Place;
pub use visitor::{Customer, SignedIn, Visitor};

/// Largest body of a private request, in bytes. Forms and JSON of shoppers are a hundredth of it; webhooks come close.
pub const MAXIMUM_BODY: usize = 256 * 1024;

/// What a private route answers.
pub type Answer = Result<HttpResponse, ApiError>;

/// What private routes need.
#[derive(Debug)]
pub struct PrivateState {
    /// The database.
    pub db: Db,
    /// The shop's key.
    pub keys: Keys,
    /// The shop.
    pub site: Arc<Site>,
    /// Its languages and currencies as the catalogue knows them.
    pub catalogue: Arc<CatalogueSettings>,
    /// What pages have around them.
    pub public: Arc<Public>,
    /// How cookies are named and set.
    pub cookies: Cookies,
    /// Who says whose request it is.
    pub client_address: ClientAddress,
    /// Where the shop is.
    pub origins: Origins,
    /// Who takes the money.
    pub payments: Payments,
    /// Who hashes passwords.
    pub passwords: Passwords,
}

impl PrivateState {
    /// The state of the routes.
    #[must_use]
    pub fn new(
        public: Arc<Public>,
        keys: Keys,
        client_address: ClientAddress,
        payments: Payments,
        passwords: Passwords,
    ) -> Self {
        Self {
            db: public.db.clone(),
            keys,
            site: Arc::new(public.site.clone()),
            catalogue: Arc::new(public.catalogue.clone()),
            cookies: Cookies::for_origin(&public.site.origin),
            client_address,
            payments,
            passwords,
            origins: Origins {
                own: public.site.origin.clone(),
                hosts: public.hosts.clone(),
            },
            public,
        }
    }

    /// Reads from the primary: a visitor sees what they did. In a task of its own, because a client that goes away must not
    /// leave a connection half-way through a statement.
    ///
    /// # Errors
    /// What the work answers; what the database answers.
    pub async fn read<T, F>(&self, work: F) -> Result<T, ApiError>
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

/// A resource of the private scope: methods that it does not know are 405, which [`guard::protect`] explains.
#[must_use]
pub fn resource(path: &str) -> Resource {
    web::resource(path)
}

fn is_private(context: &GuardContext<'_>) -> bool {
    paths::is_private(context.head().uri.path())
}

/// Mounts the private scope. The application must have a [`web::Data`] of [`PrivateState`].
///
/// Each domain adds its routes with full paths, such as `/api/v1/carts/{id}` and `/{locale}/cart`; what they begin with must be in
/// [`paths`].
pub fn configure(config: &mut web::ServiceConfig) {
    let scope = web::scope("")
        .guard(actix_web::guard::fn_guard(is_private))
        .app_data(web::PayloadConfig::new(MAXIMUM_BODY))
        .app_data(
            web::FormConfig::default()
                .limit(MAXIMUM_BODY)
                .error_handler(|error, _| form::form_error(&error).into()),
        )
        .app_data(
            web::JsonConfig::default()
                .limit(MAXIMUM_BODY)
                .error_handler(|error, _| form::json_error(&error).into()),
        )
        .app_data(
            web::PathConfig::default().error_handler(|_, _| ApiError::new(Code::NotFound).into()),
        )
        .app_data(web::QueryConfig::default().error_handler(|error, _| {
            ApiError::new(Code::InvalidRequest)
                .detail(error.to_string())
                .into()
        }))
        .configure(crate::accounts::routes)
        .configure(crate::cart::routes)
        .configure(crate::payments::routes)
        .configure(crate::checkout::routes)
        .configure(crate::orders::routes)
        .configure(crate::fulfilment::routes)
        .default_service(web::to(guard::unknown_address))
        .wrap(from_fn(guard::protect))
        .wrap(from_fn(request_id::middleware));
    config.service(scope);
}
