//! What the shop tells others: mails to shoppers, webhooks to merchants.
//!
//! A transaction that changes something publishes a [`event::DomainEvent`] ([`event::publish`]), or enqueues a
//! [`mail::Mail`] for what is no matter of an order ([`mail::enqueue`]). Both are rows of the outbox, written by the
//! transaction itself; the worker carries them out afterwards, in order for each order or recipient, at least once.

pub mod event;
pub mod mail;
