//! One miss per key at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::page::Page;
use super::{FillError, Source};

type Answer = Result<(Arc<Page>, Source), FillError>;
type UnderWay = Mutex<HashMap<Box<str>, (i64, Waiting)>>;
type Waiting = watch::Receiver<Option<Answer>>;

/// The answers that are being made, with a bound on how many are made and how many wait to be.
#[derive(Debug)]
pub struct Flights {
    under_way: Arc<UnderWay>,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue: usize,
    runtime: Option<tokio::runtime::Handle>,
}

impl Flights {
    /// At most `concurrency` at a time, and at most `queue` waiting. Work runs on the runtime that calls this.
    #[must_use]
    pub fn new(concurrency: usize, queue: usize) -> Self {
        Self {
            under_way: Arc::default(),
            permits: Arc::new(Semaphore::new(concurrency.max(1))),
            waiting: Arc::default(),
            queue,
            runtime: tokio::runtime::Handle::try_current().ok(),
        }
    }

    /// The answer for `key`: of the flight that is under way, if it began at `sequence` or later, else of `work`.
    ///
    /// `work` runs in a task of its own to its end, whoever waits for it, so that no statement is abandoned.
    ///
    /// # Errors
    /// [`FillError::Overloaded`] at once when the queue is full, [`FillError::Deadline`] when it takes too long.
    pub async fn run<W>(&self, key: &str, sequence: i64, deadline: Duration, work: W) -> Answer
    where
        W: Future<Output = Answer> + Send + 'static,
    {
        let mut waiting = match self.join(key, sequence) {
            Ok(waiting) => waiting,
            Err(sender) => {
                if self.waiting.load(Ordering::Relaxed) >= self.queue {
                    self.leave(key, &sender);
                    return Err(FillError::Overloaded);
                }
                let waiting = sender.subscribe();
                self.depart(key.into(), sender, work);
                waiting
            }
        };
        let answer = tokio::time::timeout(deadline, waiting.wait_for(Option::is_some)).await;
        match answer {
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(FillError::Deadline(deadline))),
            // The task ended without an answer: it panicked, which the log tells.
            Ok(Err(_)) => Err(FillError::Failed(Arc::new(std::io::Error::other(
                "making the answer was aborted",
            )))),
            Err(_) => Err(FillError::Deadline(deadline)),
        }
    }

    fn join(&self, key: &str, sequence: i64) -> Result<Waiting, watch::Sender<Option<Answer>>> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let sender = watch::Sender::new(None);
        match under_way.entry(key.into()) {
            // An older flight may have read what has changed since.
            Entry::Occupied(entry)
                if entry.get().0 >= sequence && entry.get().1.has_changed().is_ok() =>
            {
                Ok(entry.get().1.clone())
            }
            Entry::Occupied(mut entry) => {
                entry.insert((sequence, sender.subscribe()));
                Err(sender)
            }
            Entry::Vacant(entry) => {
                entry.insert((sequence, sender.subscribe()));
                Err(sender)
            }
        }
    }

    fn leave(&self, key: &str, sender: &watch::Sender<Option<Answer>>) {
        leave(&self.under_way, key, sender);
        sender.send_replace(Some(Err(FillError::Overloaded)));
    }

    fn depart<W>(&self, key: Box<str>, sender: watch::Sender<Option<Answer>>, work: W)
    where
        W: Future<Output = Answer> + Send + 'static,
    {
        let permits = Arc::clone(&self.permits);
        let waiting = Arc::clone(&self.waiting);
        let under_way = Arc::clone(&self.under_way);
        waiting.fetch_add(1, Ordering::Relaxed);
        let task = async move {
            let permit = permits.acquire_owned().await;
            waiting.fetch_sub(1, Ordering::Relaxed);
            let answer = work.await;
            drop(permit);
            leave(&under_way, &key, &sender);
            sender.send_replace(Some(answer));
        };
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }
}

/// Removes a flight, unless a newer one has taken its place.
fn leave(under_way: &UnderWay, key: &str, sender: &watch::Sender<Option<Answer>>) {
    let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
    if under_way
        .get(key)
        .is_some_and(|(_, waiting)| waiting.same_channel(&sender.subscribe()))
    {
        under_way.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::page::{Draft, LifetimeClass};
    use tokio::sync::oneshot;

    fn page(text: &'static str) -> Arc<Page> {
        Arc::new(Page::new(
            Draft {
                status: 200,
                content_type: "text/plain",
                body: bytes::Bytes::from_static(text.as_bytes()),
                tags: crate::edge::tags::TagSet::new(),
                lifetime: LifetimeClass::Content,
                valid_until: None,
                location: None,
                link: None,
            },
            0,
        ))
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn many_who_ask_at_once_cause_one_flight() {
        let flights = Arc::new(Flights::new(4, 4));
        let begun = Arc::new(AtomicUsize::new(0));
        let (open, gate) = oneshot::channel::<()>();
        let gate = Arc::new(tokio::sync::Mutex::new(Some(gate)));
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let (flights, begun, gate) =
                    (Arc::clone(&flights), Arc::clone(&begun), Arc::clone(&gate));
                tokio::spawn(async move {
                    flights
                        .run("key", 0, LONG, async move {
                            begun.fetch_add(1, Ordering::SeqCst);
                            let gate = gate.lock().await.take().expect("only one flight");
                            let _ = gate.await;
                            Ok((page("made"), Source::Made))
                        })
                        .await
                })
            })
            .collect();
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        open.send(()).expect("the flight waits");
        for asking in asking {
            let (page, _) = asking.await.expect("joined").expect("made");
            assert_eq!(page.plain(), "made");
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_flight_that_began_before_a_change_is_not_joined_after_it() {
        let flights = Arc::new(Flights::new(4, 4));
        let (open, gate) = oneshot::channel::<()>();
        let first = {
            let flights = Arc::clone(&flights);
            tokio::spawn(async move {
                flights
                    .run("key", 1, LONG, async move {
                        let _ = gate.await;
                        Ok((page("old"), Source::Made))
                    })
                    .await
            })
        };
        while flights.under_way.lock().expect("lock").is_empty() {
            tokio::task::yield_now().await;
        }
        let second = flights
            .run("key", 2, LONG, async { Ok((page("new"), Source::Made)) })
            .await
            .expect("made");
        assert_eq!(second.0.plain(), "new");
        open.send(()).expect("the first still waits");
        assert_eq!(first.await.expect("joined").expect("made").0.plain(), "old");
        assert!(flights.under_way.lock().expect("lock").is_empty());
    }

    #[tokio::test]
    async fn beyond_the_queue_requests_are_refused() {
        let flights = Arc::new(Flights::new(1, 1));
        let (_open, gate) = oneshot::channel::<()>();
        let holder = Arc::clone(&flights);
        tokio::spawn(async move {
            holder
                .run("first", 0, LONG, async move {
                    let _ = gate.await;
                    Ok((page(""), Source::Made))
                })
                .await
        });
        while flights.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let queued = Arc::clone(&flights);
        tokio::spawn(async move {
            queued
                .run("second", 0, LONG, async { Ok((page(""), Source::Made)) })
                .await
        });
        while flights.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let refused = flights
            .run("third", 0, LONG, async { Ok((page(""), Source::Made)) })
            .await;
        assert!(matches!(refused, Err(FillError::Overloaded)));
    }
}
