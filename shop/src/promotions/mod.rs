//! What is taken off an order, and on what condition.
//!
//! A promotion applies by itself or needs a coupon. Which promotions an order gets:
//!
//! 1. Those whose conditions it meets, that are active at the moment, and whose limits are not used up.
//! 2. Promotions that combine apply together, one after the other: higher priority first, then the older one. Each takes its share
//!    of what those before it left.
//! 3. A promotion that does not combine applies alone. Of all together and each of those alone, the shopper gets what saves most,
//!    shipping included; of equal ones the one with the highest priority.
//!
//! Limits are counted when an order is prepared ([`store::redeem`]) by statements that refuse to count beyond the limit, and given
//! back when the order comes to nothing ([`store::release`]).

pub mod model;
pub mod store;
