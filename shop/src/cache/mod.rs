//! Ready answers, kept in the process (L1) and in Valkey (L2), and filled by one request at a time.
//!
//! Nothing here is told to forget: every entry knows at which sequence of the invalidation log its filling began and
//! is judged by [`freshness::Freshness`] when it is used (docs/decisions/0001-freshness-by-sequence.md).

pub mod encode;
pub mod flight;
pub mod freshness;
pub mod l2;
pub mod page;
pub mod primary;
mod store;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache as Moka;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use flight::Flights;
use freshness::Freshness;
use l2::L2;
pub use page::{Draft, LifetimeClass, Page};

/// Settings of the caches.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Bytes of pages that the process keeps at most.
    pub l1_bytes: u64,
    /// The server of L2; without one every miss of L1 goes to the database.
    pub l2_url: Option<String>,
    /// Sentinels (`host:port`) that say which server is L2; none where it is the one of the URL.
    pub l2_sentinels: Vec<String>,
    /// Prefix of all keys in L2, so that shops can share a server.
    pub l2_prefix: String,
    /// How long a request waits for its answer to be made.
    pub fill_deadline: Duration,
    /// Answers being made at the same time.
    pub fill_concurrency: usize,
    /// Answers waiting to be made; more are refused.
    pub fill_queue: usize,
}

/// Where an answer came from, for logs, metrics and `Cache-Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The process's memory.
    Memory,
    /// Valkey.
    Shared,
    /// Made for this request, or for one that asked at the same time.
    Made,
    /// An answer past its time, since a new one could not be made.
    Stale,
}

/// An answer and where it came from.
#[derive(Debug, Clone)]
pub struct Served {
    /// The answer.
    pub page: Arc<Page>,
    /// Where it came from.
    pub source: Source,
    /// The sequence of the log up to which the answer is known to be right.
    pub sequence: i64,
    /// Whether the log could not be followed lately, so that the answer may be old without our knowing.
    pub behind: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FillError {
    /// Too many answers are being made already.
    #[error("too many answers are waiting to be made")]
    Overloaded,
    /// It was not made in time.
    #[error("the answer was not made within {0:?}")]
    Deadline(Duration),
    /// Making it failed.
    #[error("{0}")]
    Failed(Arc<dyn std::error::Error + Send + Sync>),
}

/// Counters of the caches.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Served from the process.
    pub memory: Counter,
    /// Read from Valkey, once for all who waited for it.
    pub shared: Counter,
    /// Made anew, once for all who waited for it.
    pub made: Counter,
    /// Served though past their time.
    pub stale: Counter,
    /// Refused because too many were waiting.
    pub refused: Counter,
    /// Entries that a later change had made wrong.
    pub invalidated: Counter,
    /// Commands to Valkey that failed.
    pub shared_errors: Counter,
}

impl Metrics {
    /// Adds the counters to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let mut add = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        add(
            "shop_cache_memory_hits",
            "Answers served from the process's memory",
            &self.memory,
        );
        add(
            "shop_cache_shared_hits",
            "Answers served from Valkey",
            &self.shared,
        );
        add(
            "shop_cache_fills",
            "Answers made from the database",
            &self.made,
        );
        add(
            "shop_cache_stale",
            "Answers served past their time because a new one could not be made",
            &self.stale,
        );
        add(
            "shop_cache_refused",
            "Requests refused because too many answers were waiting to be made",
            &self.refused,
        );
        add(
            "shop_cache_invalidated",
            "Cached answers found to be older than a change of their content",
            &self.invalidated,
        );
        add(
            "shop_cache_shared_errors",
            "Failed commands to Valkey",
            &self.shared_errors,
        );
    }
}

// The signature is the library's.
#[expect(clippy::borrowed_box, reason = "keys are boxed")]
fn weigh(key: &Box<str>, page: &Arc<Page>) -> u32 {
    u32::try_from(key.len() + page.weight()).unwrap_or(u32::MAX)
}

/// The caches of one process.
#[derive(Debug)]
pub struct PageCache {
    l1: Moka<Box<str>, Arc<Page>>,
    l2: L2,
    flights: Flights,
    freshness: Arc<Freshness>,
    metrics: Metrics,
    fill_deadline: Duration,
}

impl PageCache {
    /// Builds the caches. `release` keeps releases that render differently apart in L2.
    ///
    /// # Errors
    /// When the URL of L2 is not one.
    pub fn new(
        config: &CacheConfig,
        release: &str,
        freshness: Arc<Freshness>,
        metrics: Metrics,
    ) -> Result<Self, redis::RedisError> {
        let l1 = Moka::builder()
            .max_capacity(config.l1_bytes)
            .weigher(weigh)
            .build();
        Ok(Self {
            l1,
            l2: L2::new(config, release, metrics.clone())?,
            flights: Flights::new(config.fill_concurrency, config.fill_queue),
            freshness,
            metrics,
            fill_deadline: config.fill_deadline,
        })
    }

    /// The judge of all entries.
    #[must_use]
    pub fn freshness(&self) -> &Arc<Freshness> {
        &self.freshness
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The answer from memory, if it is there and right. Never waits.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<Served> {
        let page = self.l1.get(key)?;
        if !page.is_fresh() {
            return None;
        }
        let Some(sequence) = self.freshness.judge(&page) else {
            self.metrics.invalidated.inc();
            return None;
        };
        self.metrics.memory.inc();
        Some(Served {
            page,
            source: Source::Memory,
            sequence,
            behind: self.freshness.is_behind(),
        })
    }

    /// The answer for `key`, made by `fill` if no cache has it. `fill` gets the sequence that its data must include.
    ///
    /// `floor` is the newest sequence that whoever asks knows of; the answer is at least as new, if the database can tell.
    ///
    /// # Errors
    /// [`FillError`] when no answer could be made and no old one is left.
    pub async fn get<F, Made>(
        self: &Arc<Self>,
        key: &str,
        floor: i64,
        fill: F,
    ) -> Result<Served, FillError>
    where
        F: FnOnce(i64) -> Made + Send + 'static,
        Made: Future<Output = Result<Draft, Arc<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        if floor > self.freshness.sequence() {
            self.freshness.catch_up(floor).await;
        }
        if let Some(served) = self.peek(key) {
            return Ok(served);
        }
        let cache = Arc::clone(self);
        let owned: Box<str> = key.into();
        let made = self
            .flights
            .run(
                key,
                self.freshness.sequence(),
                self.fill_deadline,
                async move { cache.load_or_fill(owned, fill).await },
            )
            .await;
        let behind = self.freshness.is_behind();
        match made {
            Ok((page, source)) => {
                let sequence = self.freshness.judge(&page).unwrap_or(page.made_at);
                Ok(Served {
                    page,
                    source,
                    sequence,
                    behind,
                })
            }
            Err(error) => {
                if matches!(error, FillError::Overloaded) {
                    self.metrics.refused.inc();
                }
                // Better an old answer than none, but of what was taken down; its header says that it is old.
                match self
                    .l1
                    .get(key)
                    .filter(|page| page.may_be_served_stale() && self.freshness.may_stand_in(page))
                {
                    Some(page) => {
                        self.metrics.stale.inc();
                        tracing::debug!(key, %error, "serving an old answer");
                        let sequence = page.made_at;
                        Ok(Served {
                            page,
                            source: Source::Stale,
                            sequence,
                            behind: true,
                        })
                    }
                    None => Err(error),
                }
            }
        }
    }

    async fn load_or_fill<F, Made>(
        &self,
        key: Box<str>,
        fill: F,
    ) -> Result<(Arc<Page>, Source), FillError>
    where
        F: FnOnce(i64) -> Made + Send + 'static,
        Made: Future<Output = Result<Draft, Arc<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        let (found, lock) = self.l2.load_or_lock(&key, &self.freshness).await;
        if let Some(page) = found {
            let page = Arc::new(page);
            self.l1.insert(key, Arc::clone(&page));
            self.metrics.shared.inc();
            return Ok((page, Source::Shared));
        }
        // The sequence is read before the data: what changes from here on makes this entry wrong.
        let sequence = self.freshness.sequence();
        let draft = match fill(sequence).await {
            Ok(draft) => draft,
            Err(error) => {
                self.l2.give_back(lock).await;
                return Err(FillError::Failed(error));
            }
        };
        // Once, however many wait for it.
        self.metrics.made.inc();
        let page = Arc::new(Page::new(draft, sequence));
        if page.may_be_kept() {
            self.l1.insert(key.clone(), Arc::clone(&page));
            self.l2.store(&key, &page, lock).await;
        } else {
            self.l2.give_back(lock).await;
        }
        Ok((page, Source::Made))
    }

    /// Forgets every entry of this process.
    pub fn clear(&self) {
        self.l1.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tags::{Tag, TagSet};
    use store::Invalidation;

    fn cache() -> Arc<PageCache> {
        let config = CacheConfig {
            l1_bytes: 1 << 20,
            l2_url: None,
            l2_sentinels: Vec::new(),
            l2_prefix: String::new(),
            fill_deadline: Duration::from_secs(30),
            fill_concurrency: 1,
            fill_queue: 1,
        };
        let freshness = Arc::new(Freshness::new());
        Arc::new(PageCache::new(&config, "test", freshness, Metrics::default()).unwrap())
    }

    async fn made(cache: &Arc<PageCache>) -> Served {
        let draft = Draft {
            status: 200,
            content_type: "text/html; charset=utf-8",
            body: bytes::Bytes::from_static(b"a mug"),
            tags: TagSet::new().with(Tag::product(1)),
            lifetime: LifetimeClass::Content,
            valid_until: None,
            location: None,
            link: None,
        };
        cache
            .get("/en/p/mug", 0, |_| async { Ok(draft) })
            .await
            .unwrap()
    }

    async fn failed(cache: &Arc<PageCache>) -> Result<Served, FillError> {
        let fill = |_| async {
            let error: Arc<dyn std::error::Error + Send + Sync> =
                Arc::new(std::io::Error::other("no database"));
            Err(error)
        };
        cache.get("/en/p/mug", 0, fill).await
    }

    fn changed(cache: &PageCache, sequence: i64, soft: bool) {
        cache.freshness.learn(&[Invalidation {
            sequence,
            gtid: String::new(),
            tags: vec!["p-1".to_owned()],
            soft,
        }]);
    }

    #[tokio::test]
    async fn an_old_answer_stands_in_unless_what_it_shows_was_taken_down() {
        let cache = cache();
        assert_eq!(made(&cache).await.source, Source::Made);
        changed(&cache, 1, true);
        assert_eq!(failed(&cache).await.unwrap().source, Source::Stale);
        changed(&cache, 2, false);
        assert!(failed(&cache).await.is_err());
        // A soft change that follows makes it no better; what is made after the takedown may stand in again.
        changed(&cache, 3, true);
        assert!(failed(&cache).await.is_err());
        assert_eq!(made(&cache).await.source, Source::Made);
        changed(&cache, 4, true);
        assert_eq!(failed(&cache).await.unwrap().source, Source::Stale);
    }
}
