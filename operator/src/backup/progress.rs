//! How far long work has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::watch;

/// What is being done, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Such as `Cloning`, `Uploading`, `Applying`.
    pub phase: &'static str,
    /// Bytes or transactions that are done.
    pub done: u64,
    /// Of so many; 0 where that is not known.
    pub total: u64,
}

/// Tells how far work has come; the newest step can be watched. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: Arc<watch::Sender<Step>>,
    said: Arc<AtomicU64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(Step::default())),
            said: Arc::default(),
        }
    }
}

impl Progress {
    /// The newest step, now and later.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Step> {
        self.sender.subscribe()
    }

    pub(super) fn set(&self, phase: &'static str, done: u64, total: u64) {
        let new_phase = self.sender.borrow().phase != phase;
        self.sender.send_replace(Step { phase, done, total });
        // A line for each phase and each tenth of it.
        let tenth = (done.saturating_mul(10)).checked_div(total).unwrap_or(0);
        if new_phase || self.said.swap(tenth, Ordering::Relaxed) != tenth {
            self.said.store(tenth, Ordering::Relaxed);
            tracing::info!(phase, done, total, "progress");
        }
    }
}
