//! What can be set of the checkout.

use std::time::Duration;

use clap::Args;

use crate::config::Collector;

/// Settings of the checkout.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Checkout")]
pub struct CheckoutArgs {
    /// For how many seconds an order that waits for its payment holds its pieces: long enough for a second step at a bank
    #[arg(long, env = "PANONO_CHECKOUT_HOLD", default_value_t = 900)]
    pub checkout_hold: u64,
}

/// For how long a pending order holds its stock.
pub fn hold(args: &CheckoutArgs, problems: &mut Collector) -> Option<Duration> {
    if (1..=86_400).contains(&args.checkout_hold) {
        Some(Duration::from_secs(args.checkout_hold))
    } else {
        problems.add(
            "PANONO_CHECKOUT_HOLD",
            "must be 1 to 86400 seconds; 900 suits most shops",
        );
        None
    }
}
