//! Carts: what somebody means to buy.
//!
//! A cart keeps quantities and never prices: what it costs is worked out anew at every look ([`pricing`]), from the catalogue, the
//! stock, the promotions, the taxes and the shipping methods of that moment, and what differs from what the shopper saw or asked
//! for is told ([`model::Difference`]). The sums are made by [`totals`], which is pure.
//!
//! A cart belongs to nobody, and then who knows its id may use it, or to a customer. [`service::merge`] says what becomes of the
//! one when its owner signs in.

pub mod body;
pub mod model;
pub mod page;
pub mod pricing;
pub mod route;
pub mod service;
pub mod store;
pub mod store_facts;
pub mod sweep;
pub mod totals;
pub mod view;

pub use route::routes;

/// Every statement of carts, promotions, taxes and shipping methods with its name, so that a test can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        store::STATEMENTS,
        store_facts::STATEMENTS,
        crate::promotions::store::STATEMENTS,
        crate::taxes::store::STATEMENTS,
        crate::shipping::store::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
