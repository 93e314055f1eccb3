//! The cache that all processes share. Every failure is a miss.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::freshness::Freshness;
use super::page::{Draft, LifetimeClass, Page, hash_tag};
use super::primary::Primary;
use super::{CacheConfig, Metrics};
use crate::edge::tags::{Tag, TagSet};

/// After a failure the server is left alone for this long.
const PAUSE: Duration = Duration::from_millis(1000);
/// How long one process may keep the others from filling a key.
const LOCK_LIFETIME_MS: u64 = 3000;
/// How often and how long others look whether it is there.
const LOCK_POLL: Duration = Duration::from_millis(15);
const LOCK_PATIENCE: Duration = Duration::from_millis(400);
/// Bodies above this stay out: they would push out many small ones.
const MAXIMUM_BODY: usize = 1024 * 1024;

/// See the module.
pub struct L2 {
    primary: Option<Primary>,
    prefix: String,
    started: Instant,
    paused_until: AtomicU64,
    metrics: Metrics,
}

impl std::fmt::Debug for L2 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("L2")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A lock on a key, to be given back with the entry or without one.
#[derive(Debug)]
pub struct Lock {
    key: String,
    owner: String,
}

/// The head of an entry; the body follows it.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    made_at: i64,
    status: u16,
    content_type: String,
    lifetime: LifetimeClass,
    tags: Vec<String>,
    /// Unix milliseconds
    expires_at: i64,
    valid_until: Option<i64>,
    location: Option<String>,
    link: Option<String>,
}

impl L2 {
    /// A cache that connects at its first use.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn new(
        config: &CacheConfig,
        release: &str,
        metrics: Metrics,
    ) -> Result<Self, redis::RedisError> {
        let primary = config
            .l2_url
            .as_ref()
            .map(|url| Primary::new(url, &config.l2_sentinels))
            .transpose()?;
        Ok(Self {
            primary,
            prefix: format!("{}:{release}:", config.l2_prefix),
            started: Instant::now(),
            paused_until: AtomicU64::new(0),
            metrics,
        })
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn connection(&self) -> Option<ConnectionManager> {
        (self.millis() >= self.paused_until.load(Ordering::Relaxed))
            .then(|| self.primary.as_ref()?.connection())
            .flatten()
    }

    fn failed(&self, error: &redis::RedisError) {
        self.metrics.shared_errors.inc();
        if let Some(primary) = &self.primary {
            primary.failed();
        }
        let pause = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        let before = self
            .paused_until
            .swap(self.millis() + pause, Ordering::Relaxed);
        if before + 10 * pause < self.millis() || before == 0 {
            tracing::warn!(%error, "the shared cache does not answer; going on without it");
        } else {
            tracing::debug!(%error, "the shared cache does not answer");
        }
    }

    /// The entry of `key` if it is there and right; else a lock under which the caller may make it. Waits a little for
    /// another process that is making it.
    pub async fn load_or_lock(
        &self,
        key: &str,
        freshness: &Freshness,
    ) -> (Option<Page>, Option<Lock>) {
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            let Some(mut connection) = self.connection() else {
                return (None, None);
            };
            let entry = format!("{}{key}", self.prefix);
            let lock = Lock {
                key: format!("{entry}#lock"),
                owner: format!("{:032x}", rand::random::<u128>()),
            };
            let answer: Result<(Option<Vec<u8>>, Option<String>), _> = redis::pipe()
                .get(&entry)
                .cmd("SET")
                .arg(&lock.key)
                .arg(&lock.owner)
                .arg("NX")
                .arg("PX")
                .arg(LOCK_LIFETIME_MS)
                .query_async(&mut connection)
                .await;
            let (found, locked) = match answer {
                Ok((found, locked)) => (found, locked.is_some()),
                Err(error) => {
                    self.failed(&error);
                    return (None, None);
                }
            };
            if let Some(page) = found.and_then(|bytes| decode(bytes, freshness)) {
                if locked {
                    self.unlock(connection, lock).await;
                }
                return (Some(page), None);
            }
            if locked {
                return (None, Some(lock));
            }
            if Instant::now() >= until {
                return (None, None);
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    /// Keeps an entry and gives the lock back.
    pub async fn store(&self, key: &str, page: &Page, lock: Option<Lock>) {
        let Some(mut connection) = self.connection() else {
            return;
        };
        let lifetime = u64::try_from(page.fresh_for().as_millis()).unwrap_or(u64::MAX);
        // What its own address keeps right for ever is cheap to make again.
        if page.length() <= MAXIMUM_BODY
            && lifetime > 0
            && page.draft.lifetime != LifetimeClass::Immutable
        {
            let written: Result<(), _> = redis::cmd("SET")
                .arg(format!("{}{key}", self.prefix))
                .arg(encode(page))
                .arg("PX")
                .arg(lifetime)
                .query_async(&mut connection)
                .await;
            if let Err(error) = written {
                self.failed(&error);
                return;
            }
        }
        if let Some(lock) = lock {
            self.unlock(connection, lock).await;
        }
    }

    /// Gives the lock back where nothing was made that may be kept, so that who asks next need not wait until it runs out.
    pub async fn give_back(&self, lock: Option<Lock>) {
        if let Some((connection, lock)) = self.connection().zip(lock) {
            self.unlock(connection, lock).await;
        }
    }

    async fn unlock(&self, mut connection: ConnectionManager, lock: Lock) {
        // Only our own: it may have run out and be somebody else's by now.
        const UNLOCK: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
        let released: Result<i64, _> = redis::cmd("EVAL")
            .arg(UNLOCK)
            .arg(1)
            .arg(&lock.key)
            .arg(&lock.owner)
            .query_async(&mut connection)
            .await;
        if let Err(error) = released {
            self.failed(&error);
        }
    }
}

fn encode(page: &Page) -> Vec<u8> {
    let expires_at = OffsetDateTime::now_utc() + page.fresh_for();
    let head = Head {
        made_at: page.made_at,
        status: page.draft.status,
        content_type: page.draft.content_type.to_owned(),
        lifetime: page.draft.lifetime,
        tags: page
            .draft
            .tags
            .iter()
            .map(|tag| tag.as_str().to_owned())
            .collect(),
        expires_at: unix_millis(expires_at),
        valid_until: page.draft.valid_until.map(unix_millis),
        location: page.draft.location.clone(),
        link: page.draft.link.clone(),
    };
    let mut bytes = Vec::with_capacity(page.length() + 512);
    // A head of strings and numbers always serialises; an empty one does not decode, and is a miss.
    let head = serde_json::to_vec(&head).unwrap_or_default();
    bytes.extend_from_slice(&u32::try_from(head.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&page.plain());
    bytes
}

/// The content types that pages have; an entry of another type is not ours.
const CONTENT_TYPES: [&str; 8] = [
    "text/html; charset=utf-8",
    "application/json",
    "application/problem+json",
    "application/xml; charset=utf-8",
    "text/plain; charset=utf-8",
    "image/jpeg",
    "image/png",
    "image/webp",
];

fn decode(bytes: Vec<u8>, freshness: &Freshness) -> Option<Page> {
    let bytes = Bytes::from(bytes);
    let length = usize::try_from(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let head: Head = serde_json::from_slice(bytes.get(4..4 + length)?).ok()?;
    let hashes: Vec<u64> = head.tags.iter().map(|tag| hash_tag(tag)).collect();
    if head.made_at > freshness.sequence() || !freshness.is_right(head.made_at, &hashes) {
        return None;
    }
    let expires_at = from_unix_millis(head.expires_at)?;
    let fresh_for = Duration::try_from(expires_at - OffsetDateTime::now_utc()).ok()?;
    let tags = head.tags.iter().filter_map(|tag| Tag::parse(tag).ok());
    let draft = Draft {
        status: head.status,
        content_type: CONTENT_TYPES
            .into_iter()
            .find(|known| *known == head.content_type)?,
        body: bytes.slice(4 + length..),
        tags: tags.fold(TagSet::new(), TagSet::with),
        lifetime: head.lifetime,
        valid_until: head.valid_until.and_then(from_unix_millis),
        location: head.location,
        link: head.link,
    };
    Some(Page::with_lifetime(draft, head.made_at, fresh_for))
}

fn unix_millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn from_unix_millis(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}
