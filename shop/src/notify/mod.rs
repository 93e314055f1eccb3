//! What the shop tells others: mails to shoppers, webhooks to merchants.
//!
//! A transaction that changes something publishes a [`event::DomainEvent`] ([`event::publish`]), or enqueues a
//! [`mail::Mail`] for what is no matter of an order ([`mail::enqueue`]). Both are rows of the outbox, written by the
//! transaction itself; the worker carries them out afterwards, in order for each order or recipient, at least once.

pub mod event;
pub mod fan_out;
pub mod mail;
mod store_order;
pub mod webhook;
pub mod worker;

/// Every statement of the domain with its name, so that a test can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [store_order::STATEMENTS, webhook::STATEMENTS]
        .into_iter()
        .flatten()
        .copied()
}
