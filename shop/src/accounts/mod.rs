//! Accounts of shoppers: who they are, how they sign in, where they want things sent.

pub mod address;
pub mod country;
pub mod session;
pub mod store_session;

use actix_web::web::ServiceConfig;

/// Every statement of the domain with its name, so that a test can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [store_session::STATEMENTS].into_iter().flatten().copied()
}

/// Mounts the routes.
pub fn routes(_: &mut ServiceConfig) {}
