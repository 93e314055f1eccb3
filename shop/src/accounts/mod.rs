//! Accounts of shoppers: who they are, how they sign in, where they want things sent.
//!
//! Handlers of the API ([`api`]) and of the pages call the same functions: [`sign_in`], [`register`], [`settings`], [`privacy`].

pub mod address;
pub mod api;
pub mod country;
pub mod email;
mod page;
mod page_account;
mod page_entry;
pub mod password;
pub mod privacy;
pub mod register;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod store_address;
pub mod store_customer;
pub mod store_link;
pub mod store_privacy;
pub mod store_session;
pub mod store_throttle;
pub mod sweep;
mod texts;
pub mod throttle;
pub mod totp;

use actix_web::web::ServiceConfig;

/// Every statement of the domain with its name, so that a test can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        store_address::STATEMENTS,
        store_customer::STATEMENTS,
        store_link::STATEMENTS,
        store_privacy::STATEMENTS,
        store_session::STATEMENTS,
        store_throttle::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    api::routes(config);
    page_entry::routes(config);
    page_account::routes(config);
}
