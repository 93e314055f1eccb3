//! Orders: what was bought, at which prices, and what became of it.
//!
//! An order keeps the names, prices and taxes of its moment; totals are stored and never computed again. Its states change by
//! one table only ([`change`]), and each change is a row of its history with exactly one event in the outbox.

pub mod access;
pub mod change;
pub mod edit;
pub mod link;
pub mod model;
pub mod number;
pub mod page;
pub mod route;
pub mod service;
pub mod store;
mod texts;
pub mod view;

pub use change::{Transition, transition};
pub use model::{
    FulfilmentState, Line, NewLine, NewOrder, Order, OrderState, PaymentState, ReviewState,
};
pub use number::OrderNumber;
pub use route::routes;
