//! Shoppers who read a page again and again, and what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::http;

/// How often a request is sent whose connection breaks.
const ATTEMPTS: u32 = 3;

/// A crowd that reads the price of one product under several addresses.
#[derive(Debug)]
pub struct Readers {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    started: Instant,
    reads: AtomicU64,
    failures: std::sync::Mutex<Vec<String>>,
    /// For each address the newest price that an answer from it has shown.
    seen: Vec<AtomicI64>,
    /// Answers that showed an older price than one that the same address had shown before they were asked for. Two addresses
    /// may differ until the change is purged: whatever is made after its commit shows it.
    backwards: std::sync::Mutex<Vec<String>>,
    /// For each price the last moment, in microseconds, at which a read began that still showed it.
    last_shown: std::sync::Mutex<std::collections::BTreeMap<i64, u64>>,
}

/// What the readers saw.
#[derive(Debug)]
pub struct Seen {
    /// Answers.
    pub reads: u64,
    /// Answers other than 200, and broken connections.
    pub failures: Vec<String>,
    /// Answers that were older than one from the same address before them.
    pub backwards: Vec<String>,
    last_shown: std::collections::BTreeMap<i64, u64>,
    started: Instant,
}

impl Readers {
    /// Starts `count` readers, who take the addresses in turn. Prices are found by `price`.
    #[must_use]
    pub fn start(count: usize, urls: &[String], price: fn(&str) -> Option<i64>) -> Self {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            started: Instant::now(),
            reads: AtomicU64::new(0),
            failures: std::sync::Mutex::default(),
            seen: urls.iter().map(|_| AtomicI64::new(0)).collect(),
            backwards: std::sync::Mutex::default(),
            last_shown: std::sync::Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for index in 0..count {
            let shared = Arc::clone(&shared);
            let address = index % urls.len();
            let url = urls[address].clone();
            tasks.spawn(async move {
                let client = http::client();
                while !shared.stop.load(Ordering::Relaxed) {
                    read(&shared, &client, address, &url, price).await;
                }
            });
        }
        Self { shared, tasks }
    }

    /// The newest price that was shown.
    #[must_use]
    pub fn newest(&self) -> i64 {
        let seen = self.shared.seen.iter();
        seen.map(|price| price.load(Ordering::SeqCst))
            .max()
            .unwrap_or(0)
    }

    /// Reads so far.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.shared.reads.load(Ordering::Relaxed)
    }

    /// Stops the readers and tells what they saw.
    pub async fn stop(mut self) -> Seen {
        self.shared.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        Seen {
            reads: self.reads(),
            failures: std::mem::take(&mut self.shared.failures.lock().unwrap()),
            backwards: std::mem::take(&mut self.shared.backwards.lock().unwrap()),
            last_shown: std::mem::take(&mut self.shared.last_shown.lock().unwrap()),
            started: self.shared.started,
        }
    }
}

async fn read(
    shared: &Shared,
    client: &reqwest::Client,
    address: usize,
    url: &str,
    price: fn(&str) -> Option<i64>,
) {
    let seen_before = shared.seen[address].load(Ordering::SeqCst);
    let began = shared.started.elapsed();
    // As a browser does: a kept connection that closes under a request is no answer, and the request is sent again.
    let mut attempt = 1;
    let answer = loop {
        match client.get(url).send().await {
            Ok(answer) => break answer,
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return fail(shared, format!("{url}: {error:?}")),
        }
    };
    let status = answer.status().as_u16();
    let about = format!(
        "{:?} {:?}",
        answer.headers().get("cache-status"),
        answer.headers().get("age")
    );
    let text = answer.text().await.unwrap_or_default();
    shared.reads.fetch_add(1, Ordering::Relaxed);
    let Some(shown) = (status == 200).then(|| price(&text)).flatten() else {
        return fail(
            shared,
            format!(
                "{url}: {status} at {began:?} {about}: {}",
                text.chars().take(200).collect::<String>()
            ),
        );
    };
    if shown < seen_before {
        shared.backwards.lock().unwrap().push(format!(
            "{url} showed {shown} after {seen_before} had been shown, at {began:?}, {about}"
        ));
    }
    shared.seen[address].fetch_max(shown, Ordering::SeqCst);
    let began = u64::try_from(began.as_micros()).unwrap_or(u64::MAX);
    let mut last = shared.last_shown.lock().unwrap();
    let at = last.entry(shown).or_insert(0);
    *at = (*at).max(began);
}

fn fail(shared: &Shared, failure: String) {
    let mut failures = shared.failures.lock().unwrap();
    if failures.len() < 100 {
        failures.push(failure);
    }
}

impl Seen {
    /// How long after the commit of each edit an older price was still shown, sorted. `edits` are prices with the moment
    /// at which their commit was known.
    #[must_use]
    pub fn delays(&self, edits: &[(i64, Instant)]) -> Vec<Duration> {
        let mut delays: Vec<Duration> = edits
            .iter()
            .map(|(price, committed)| {
                let committed = committed.duration_since(self.started);
                self.last_shown
                    .range(..price)
                    .map(|(_, last)| Duration::from_micros(*last).saturating_sub(committed))
                    .max()
                    .unwrap_or(Duration::ZERO)
            })
            .collect();
        delays.sort_unstable();
        delays
    }
}

/// The value below which so many of a hundred of a sorted list lie.
#[must_use]
pub fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}
