//! The vocabulary of the catalogue: pure types that know neither the web nor the database.

pub use super::availability::{Availability, AvailabilityBand, StockLevel};
pub use super::identifier::{InvalidIdentifier, Locale, Sku, Slug};
pub use super::money::{Currency, Money, UnknownCurrency};
pub use super::price::{PriceRow, effective_price, lowest_before_reduction, next_price_change};
