//! A token bucket: a burst, then a steady rate.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets `burst` requests through at once and then one per `interval`.
#[derive(Debug)]
pub(super) struct TokenBucket {
    interval: Duration,
    tolerance: Duration,
    /// When the bucket would be full again, were nothing more taken from it.
    full_at: Mutex<Option<Instant>>,
}

impl TokenBucket {
    pub(super) fn new(burst: u32, interval: Duration) -> Self {
        Self {
            interval,
            tolerance: interval.saturating_mul(burst.saturating_sub(1)),
            full_at: Mutex::new(None),
        }
    }

    /// Takes a token; returns how long to wait before using it.
    pub(super) fn take(&self, now: Instant) -> Duration {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let base = full_at.map_or(now, |at| at.max(now));
        *full_at = Some(base + self.interval);
        (base - now).saturating_sub(self.tolerance)
    }

    /// Takes a token and waits for it.
    pub(super) async fn wait(&self) {
        let wait = self.take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let bucket = TokenBucket::new(3, Duration::from_secs(2));
        let start = Instant::now();
        let waits: Vec<u64> = (0..5).map(|_| bucket.take(start).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 2, 4]);
        let later = start + Duration::from_mins(1);
        assert_eq!(bucket.take(later), Duration::ZERO);
    }
}
