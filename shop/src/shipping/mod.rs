//! Ways to send an order, and what they cost.
//!
//! A method belongs to a zone and is offered for addresses in it. A `flat` carrier has one rate for each currency, a `table`
//! carrier a rate for each band of weight. A rate may say from which amount of goods, after discounts, sending is free, and up to
//! which weight it is offered.

pub mod model;
pub mod store;
