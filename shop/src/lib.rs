//! The shop service of Panono: a storefront and an API whose catalogue is served from caches, and a worker.

pub mod accounts;
pub mod admin;
pub mod cache;
pub mod cart;
pub mod catalog;
pub mod checkout;
pub mod command;
pub mod config;
pub mod content;
pub mod crash;
pub mod db;
pub mod edge;
pub mod export;
pub mod fulfilment;
pub mod idempotency;
pub mod import;
pub mod invariants;
pub mod media;
pub mod notify;
pub mod orders;
pub mod outbound;
pub mod outbox;
pub mod payments;
pub mod promotions;
pub mod risk;
pub mod search;
pub mod secret;
pub mod seed;
pub mod shipping;
pub mod stock;
pub mod storefront;
pub mod taxes;
pub mod telemetry;
pub mod web;
pub mod worker;

pub mod migrations {
    //! The schema, embedded in the binary.
    use sqlx::migrate::Migrator;

    /// All migrations in order. Forward only, one DDL statement each.
    pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");
}
