//! Zones of the world and what tax is due in them.
//!
//! An address is in one zone: the one whose area fits it most exactly. The zone says whether the shop's prices are with or
//! without tax there, and its rates say how much: one rate for each tax category of products and shipping methods. What falls
//! under no rate of its zone is not taxed.
//!
//! Rounding: tax is worked out for each line of an order, on what the line costs after its discounts, and for the shipping;
//! each time to a whole minor unit, halves up ([`model::Rate::of`]). The tax of an order is the sum.

pub mod model;
pub mod store;
