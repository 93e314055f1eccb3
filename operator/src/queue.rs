//! Which Shops have to be looked at, and when. A Shop is never looked at twice at the same time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::object::ShopKey;

/// Events come in bursts: a rollout changes a Deployment many times in a second.
const SETTLE: Duration = Duration::from_millis(150);

/// The pauses after failures, doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
struct Inner {
    due: HashMap<ShopKey, Instant>,
    order: BTreeSet<(Instant, ShopKey)>,
    running: HashMap<ShopKey, Instant>,
    failures: HashMap<ShopKey, u32>,
    closed: bool,
}

impl Inner {
    fn schedule(&mut self, key: ShopKey, at: Instant) {
        match self.due.get(&key) {
            Some(known) if *known <= at => return,
            Some(known) => {
                let old = (*known, key.clone());
                self.order.remove(&old);
            }
            None => {}
        }
        self.due.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    fn take(&mut self, now: Instant) -> Result<ShopKey, Option<Instant>> {
        let first = self
            .order
            .iter()
            .find(|(_, key)| !self.running.contains_key(key))
            .cloned();
        match first {
            Some((at, key)) if at <= now => {
                self.order.remove(&(at, key.clone()));
                self.due.remove(&key);
                self.running.insert(key.clone(), now);
                Ok(key)
            }
            Some((at, _)) => Err(Some(at)),
            None => Err(None),
        }
    }
}

/// The queue. It is bounded by the number of Shops: each is in it once.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a Shop soon. If it is already to be looked at sooner, nothing changes.
    pub fn soon(&self, key: ShopKey) {
        self.after(key, SETTLE);
    }

    /// Looks at a Shop after a pause.
    pub fn after(&self, key: ShopKey, pause: Duration) {
        self.lock().schedule(key, Instant::now() + pause);
        self.changed.notify_one();
    }

    /// Looks at a Shop again after a failure: after a pause that doubles with each failure in a row, and that differs from
    /// Shop to Shop, so that they do not all come back at once.
    pub fn again(&self, key: ShopKey) -> Duration {
        let mut inner = self.lock();
        let failures = inner.failures.entry(key.clone()).or_insert(0);
        *failures = failures.saturating_add(1);
        let doubled = FIRST_PAUSE
            .saturating_mul(1_u32.checked_shl(*failures - 1).unwrap_or(u32::MAX))
            .min(LONGEST_PAUSE);
        let pause = doubled.mul_f64(rand::random_range(0.5..1.0));
        inner.schedule(key, Instant::now() + pause);
        drop(inner);
        self.changed.notify_one();
        pause
    }

    /// Forgets the failures of a Shop.
    pub fn succeeded(&self, key: &ShopKey) {
        self.lock().failures.remove(key);
    }

    /// Waits for a Shop whose time has come, and takes it. Nothing when the queue is closed.
    pub async fn next(&self) -> Option<ShopKey> {
        loop {
            let wait = {
                let mut inner = self.lock();
                if inner.closed {
                    return None;
                }
                match inner.take(Instant::now()) {
                    Ok(key) => {
                        drop(inner);
                        // There may be more for others.
                        self.changed.notify_one();
                        return Some(key);
                    }
                    Err(wait) => wait,
                }
            };
            match wait {
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// A Shop that was taken was looked at.
    pub fn done(&self, key: &ShopKey) {
        self.lock().running.remove(key);
        self.changed.notify_one();
    }

    /// Gives out no more Shops.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// How many Shops have to be looked at now.
    pub fn depth(&self) -> usize {
        let now = Instant::now();
        let inner = self.lock();
        inner.order.iter().take_while(|(at, _)| *at <= now).count()
    }

    /// For how long the Shop that is being looked at for the longest time is.
    pub fn longest(&self) -> Duration {
        let now = Instant::now();
        self.lock()
            .running
            .values()
            .map(|since| now.saturating_duration_since(*since))
            .max()
            .unwrap_or_default()
    }

    /// For how long the Shop whose turn it should be has been waiting.
    pub fn overdue(&self) -> Duration {
        let now = Instant::now();
        let inner = self.lock();
        inner
            .order
            .iter()
            .find(|(_, key)| !inner.running.contains_key(key))
            .map(|(at, _)| now.saturating_duration_since(*at))
            .unwrap_or_default()
    }

    /// Forgets Shops that are gone.
    pub fn retain(&self, keys: &HashSet<ShopKey>) {
        self.lock().failures.retain(|key, _| keys.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Queue;
    use crate::object::ShopKey;

    fn key(name: &str) -> ShopKey {
        ShopKey {
            namespace: "n".to_owned(),
            name: name.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_shop_is_taken_once_and_again_after_it_is_done() {
        let queue = Queue::default();
        queue.soon(key("a"));
        queue.soon(key("a"));
        queue.after(key("b"), Duration::from_millis(300));
        assert_eq!(queue.next().await, Some(key("a")));
        queue.soon(key("a"));
        // While `a` runs it is nobody's turn but `b`'s.
        assert_eq!(queue.next().await, Some(key("b")));
        queue.done(&key("a"));
        assert_eq!(queue.next().await, Some(key("a")));
        queue.close();
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn pauses_grow_up_to_a_limit_and_start_again_after_success() {
        let queue = Queue::default();
        let mut last = Duration::ZERO;
        for failure in 0..40 {
            let pause = queue.again(key("a"));
            assert!(pause <= Duration::from_secs(300));
            if failure < 8 {
                assert!(pause >= last / 2, "{pause:?} after {last:?}");
            }
            last = pause;
        }
        assert!(last >= Duration::from_secs(150));
        queue.succeeded(&key("a"));
        assert!(queue.again(key("a")) <= Duration::from_secs(1));
    }
}
