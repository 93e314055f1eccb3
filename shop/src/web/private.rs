//! What all private answers have in common.

/// `Cache-Control` of every private answer and every refusal.
pub const NO_STORE: &str = "private, no-store";
