//! Which of several cache servers takes writes: one alone, or the one that Sentinels say.
//!
//! Nobody waits for an answer of theirs: who asks for a connection while none is known goes on without the cache, as with any
//! failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

/// The name by which Sentinels know the servers.
pub const NAME: &str = "shop";

/// A command that takes longer is given up: the database is about as fast.
const COMMAND_LIMIT: Duration = Duration::from_millis(100);
/// How long one Sentinel may take to answer.
const SENTINEL_LIMIT: Duration = Duration::from_millis(500);

/// How long a server may take that is asked whether it is there.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// Where connections come from.
#[derive(Clone)]
pub enum Primary {
    /// One server.
    Alone(ConnectionManager),
    /// Whoever Sentinels say.
    Watched(Arc<Watched>),
}

/// Servers that Sentinels watch.
pub struct Watched {
    /// How to reach a server, but for where it is.
    settings: ConnectionInfo,
    sentinels: Vec<redis::Client>,
    known: Mutex<Option<ConnectionManager>>,
    asking: AtomicBool,
}

impl Primary {
    /// The server of a URL; with `sentinels` (`host:port`) whoever they say, with the user, password and database of the URL.
    ///
    /// # Errors
    /// When the URL or an address is none.
    pub fn new(url: &str, sentinels: &[String]) -> Result<Self, redis::RedisError> {
        let settings = url.into_connection_info()?;
        if sentinels.is_empty() {
            return Ok(Self::Alone(manager(settings)?));
        }
        let sentinels = sentinels
            .iter()
            .map(|address| {
                let at = address_of(address)?;
                // A Sentinel has no databases.
                let known = settings.redis_settings().clone().set_db(0);
                redis::Client::open(settings.clone().set_addr(at).set_redis_settings(known))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Watched(Arc::new(Watched {
            settings,
            sentinels,
            known: Mutex::default(),
            asking: AtomicBool::new(false),
        })))
    }

    /// A connection that can be used at once. Nothing while the primary is not known; then it is asked for.
    pub fn connection(&self) -> Option<ConnectionManager> {
        match self {
            Self::Alone(manager) => Some(manager.clone()),
            Self::Watched(watched) => {
                let known = watched.known().clone();
                if known.is_none() {
                    watched.ask();
                }
                known
            }
        }
    }

    /// What there was did not work: another server may be the primary by now.
    pub fn failed(&self) {
        if let Self::Watched(watched) = self {
            *watched.known() = None;
        }
    }
}

impl Watched {
    fn known(&self) -> MutexGuard<'_, Option<ConnectionManager>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the primary, beside whoever is here.
    fn ask(self: &Arc<Self>) {
        if self.asking.swap(true, Ordering::Relaxed) {
            return;
        }
        let watched = Arc::clone(self);
        tokio::spawn(async move {
            match find(&watched.sentinels).await {
                Some(at) => {
                    tracing::info!(primary = %at, "the shared cache has a primary");
                    let found = manager(watched.settings.clone().set_addr(at));
                    *watched.known() = found.ok();
                }
                None => tracing::debug!("no Sentinel knows a primary of the shared cache"),
            }
            watched.asking.store(false, Ordering::Relaxed);
        });
    }
}

/// Asks the server, or the one that Sentinels say, whether it is there.
///
/// # Errors
/// Why it is not.
pub async fn ping(url: &str, sentinels: &[String]) -> Result<(), redis::RedisError> {
    let mut settings = url.into_connection_info()?;
    if let Primary::Watched(watched) = Primary::new(url, sentinels)? {
        let at = find(&watched.sentinels).await.ok_or_else(|| {
            redis::RedisError::from((redis::ErrorKind::Io, "no Sentinel knows the primary"))
        })?;
        settings = settings.set_addr(at);
    }
    let limits = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CHECK_LIMIT))
        .set_response_timeout(Some(CHECK_LIMIT));
    let mut connection = redis::Client::open(settings)?
        .get_multiplexed_async_connection_with_config(&limits)
        .await?;
    redis::cmd("PING").query_async(&mut connection).await
}

/// Asks one Sentinel after the other.
async fn find(sentinels: &[redis::Client]) -> Option<ConnectionAddr> {
    let limits = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(SENTINEL_LIMIT))
        .set_response_timeout(Some(SENTINEL_LIMIT));
    for sentinel in sentinels {
        let asked = async {
            let mut connection = sentinel
                .get_multiplexed_async_connection_with_config(&limits)
                .await?;
            redis::cmd("SENTINEL")
                .arg("GET-MASTER-ADDR-BY-NAME")
                .arg(NAME)
                .query_async::<Option<(String, u16)>>(&mut connection)
                .await
        };
        match asked.await {
            Ok(Some((host, port))) => return Some(ConnectionAddr::Tcp(host, port)),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a Sentinel does not answer"),
        }
    }
    None
}

fn manager(settings: ConnectionInfo) -> Result<ConnectionManager, redis::RedisError> {
    let client = redis::Client::open(settings)?;
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(500)))
        .set_response_timeout(Some(COMMAND_LIMIT))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(500));
    ConnectionManager::new_lazy_with_config(client, settings)
}

fn address_of(text: &str) -> Result<ConnectionAddr, redis::RedisError> {
    let wrong =
        || redis::RedisError::from((redis::ErrorKind::InvalidClientConfig, "it is not host:port"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(ConnectionAddr::Tcp(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::Primary;

    #[tokio::test]
    async fn sentinels_are_hosts_with_ports() {
        let new = |sentinels: &[&str]| {
            let sentinels: Vec<String> = sentinels.iter().map(|at| (*at).to_owned()).collect();
            Primary::new("redis://:word@127.0.0.1:1", &sentinels)
        };
        assert!(matches!(new(&[]), Ok(Primary::Alone(_))));
        assert!(matches!(
            new(&["a:26379", "b:26379"]),
            Ok(Primary::Watched(_))
        ));
        for wrong in ["a", ":26379", "a:x"] {
            assert!(new(&[wrong]).is_err(), "{wrong}");
        }
    }
}
