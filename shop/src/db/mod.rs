//! Access to the database: who is primary, who may be read from, pools, transactions, migrations.
//!
//! Writes and private reads go to the primary ([`Db::transaction`], [`Db::primary`]); public reads go to a replica that has
//! applied what the caller has to see ([`Db::reader`]).

pub mod error;
pub mod member;
pub mod migrate;
pub mod topology;
pub mod transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use sqlx::MySql;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::pool::PoolConnection;
use tokio::sync::watch;

pub use error::{DbError, Failure, MayBeDatabase, classify, violated_constraint};
pub use member::{Floor, Member, PoolSize};
pub use topology::{Arrangement, Roles};

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// How the members are arranged.
    pub arrangement: Arrangement,
    /// The members; in a fixed arrangement the writer comes first.
    pub members: Vec<MySqlConnectOptions>,
    /// Size of the pool of each member.
    pub pool: PoolSize,
    /// How long a write may wait for a primary and be repeated, in all.
    pub write_deadline: Duration,
    /// Nothing is written, whoever could be written to.
    pub read_only: bool,
}

/// The database as the rest of the program sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    arrangement: Arrangement,
    members: Vec<Arc<Member>>,
    roles: ArcSwap<Roles>,
    roles_changed: watch::Sender<u64>,
    floor: ArcSwap<Floor>,
    next_replica: AtomicUsize,
    write_deadline: Duration,
    read_only: bool,
    metrics: Metrics,
}

/// Counters of database access.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    retries: Family<Vec<(&'static str, &'static str)>, Counter>,
    reads: Family<Vec<(&'static str, &'static str)>, Counter>,
}

impl Metrics {
    /// Adds the counters to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "shop_database_transaction_retries",
            "Transactions that were run again, by reason",
            self.retries.clone(),
        );
        registry.register(
            "shop_database_reads",
            "Public reads by the member that served them",
            self.reads.clone(),
        );
    }

    fn transaction_retry(&self, failure: Failure) {
        let reason = match failure {
            Failure::Conflict => "conflict",
            Failure::Moved => "moved",
            Failure::Disconnected => "disconnected",
            Failure::Permanent => "permanent",
        };
        self.retries.get_or_create(&vec![("reason", reason)]).inc();
    }

    fn read(&self, role: &'static str) {
        self.reads.get_or_create(&vec![("role", role)]).inc();
    }
}

/// A connection for reading, and the member it belongs to.
#[derive(Debug)]
pub struct Reader {
    /// The connection.
    pub connection: PoolConnection<MySql>,
    member: Arc<Member>,
}

impl Reader {
    /// Says that the member broke while it was read from, so that the next reader goes elsewhere.
    pub fn suspect(&self) {
        self.member.suspect();
    }

    /// The member that the connection belongs to, to be told or named after the connection is gone.
    #[must_use]
    pub fn member(&self) -> Arc<Member> {
        Arc::clone(&self.member)
    }
}

impl Db {
    /// Starts to watch the members. Opens no connection by itself and never fails: until a member has answered there is no
    /// primary and no reader. Must be called inside a runtime.
    #[must_use]
    pub fn start(config: DatabaseConfig) -> Self {
        let members: Vec<Arc<Member>> = config
            .members
            .into_iter()
            .map(|options| Arc::new(Member::new(options, config.pool)))
            .collect();
        let inner = Arc::new(Inner {
            arrangement: config.arrangement,
            members,
            roles: ArcSwap::default(),
            roles_changed: watch::Sender::new(0),
            floor: ArcSwap::default(),
            next_replica: AtomicUsize::new(0),
            write_deadline: config.write_deadline,
            read_only: config.read_only,
            metrics: Metrics::default(),
        });
        for member in &inner.members {
            tokio::spawn(watch_member(Arc::downgrade(&inner), Arc::clone(member)));
        }
        Self { inner }
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The roles as they were last decided.
    #[must_use]
    pub fn roles(&self) -> Roles {
        self.inner.roles.load().as_ref().clone()
    }

    /// All members with their names.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        &self.inner.members
    }

    /// Whether writes are possible now.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.inner.read_only && self.inner.roles.load().primary.is_some()
    }

    /// Whether reads are possible now.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let roles = self.inner.roles.load();
        roles.primary.is_some() || !roles.replicas.is_empty()
    }

    /// Says from which change on readers must be up to date.
    pub fn set_floor(&self, floor: Floor) {
        self.inner.floor.store(Arc::new(floor));
    }

    /// How long a write may take in all.
    #[must_use]
    pub fn write_deadline(&self) -> Duration {
        self.inner.write_deadline
    }

    /// Waits for a primary until `until`.
    ///
    /// # Errors
    /// [`DbError::NoPrimary`] when none was found in time; [`DbError::ReadOnly`] at once where nothing is to be written.
    pub async fn wait_for_primary(&self, until: Instant) -> Result<Arc<Member>, DbError> {
        if self.inner.read_only {
            return Err(DbError::ReadOnly);
        }
        let started = Instant::now();
        let mut changed = self.inner.roles_changed.subscribe();
        loop {
            changed.mark_unchanged();
            if let Some(member) = self.current_primary() {
                return Ok(member);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DbError::NoPrimary {
                    waited: started.elapsed(),
                });
            }
            let _ = tokio::time::timeout(left, changed.changed()).await;
        }
    }

    fn current_primary(&self) -> Option<Arc<Member>> {
        let index = self.inner.roles.load().primary?;
        let member = self.inner.members.get(index)?;
        member.evidence().answered.then(|| Arc::clone(member))
    }

    /// A connection to the primary, outside a transaction. Where nothing is written and nobody is primary, one to a member
    /// that is up to date.
    ///
    /// # Errors
    /// [`DbError::NoPrimary`] when there is none now, or the pool's error.
    pub async fn primary(&self) -> Result<Reader, DbError> {
        match self.current_primary() {
            Some(member) => self.connect(member, "primary").await,
            None if self.inner.read_only => self.reader(self.inner.floor.load().sequence).await,
            None => Err(DbError::NoPrimary {
                waited: Duration::ZERO,
            }),
        }
    }

    /// A connection to a member that has applied the change `sequence`: a replica in turn, else the primary.
    ///
    /// While there is no primary and no replica is that far, the replica that is furthest is used: reading goes on without
    /// writers. `Db::is_writable` tells the caller that it may be behind.
    ///
    /// # Errors
    /// [`DbError::NoReader`] when nobody answers, or the pool's error.
    pub async fn reader(&self, sequence: i64) -> Result<Reader, DbError> {
        let roles = self.inner.roles.load();
        let count = roles.replicas.len();
        let turn = self.inner.next_replica.fetch_add(1, Ordering::Relaxed);
        let fit = (0..count)
            .filter_map(|offset| roles.replicas.get((turn.wrapping_add(offset)) % count))
            .filter_map(|index| self.inner.members.get(*index))
            .find(|member| {
                let evidence = member.evidence();
                evidence.answered && evidence.applied_sequence >= sequence
            });
        if let Some(member) = fit {
            return self.connect(Arc::clone(member), "replica").await;
        }
        if let Some(member) = self.current_primary() {
            return self.connect(member, "primary").await;
        }
        let furthest = roles
            .replicas
            .iter()
            .filter_map(|index| self.inner.members.get(*index))
            .filter(|member| member.evidence().answered)
            .max_by_key(|member| member.applied_sequence())
            .ok_or(DbError::NoReader)?;
        self.connect(Arc::clone(furthest), "behind").await
    }

    async fn connect(&self, member: Arc<Member>, role: &'static str) -> Result<Reader, DbError> {
        match member.pool.acquire().await {
            Ok(connection) => {
                self.inner.metrics.read(role);
                Ok(Reader { connection, member })
            }
            Err(error) => {
                if classify(&error) != Failure::Permanent {
                    member.suspect();
                }
                Err(error.into())
            }
        }
    }

    /// Closes all pools after the work that is under way.
    pub async fn close(&self) {
        for member in &self.inner.members {
            member.pool.close().await;
        }
    }
}

/// Asks one member again and again, and decides the roles anew after each answer. Ends with the last [`Db`].
async fn watch_member(inner: std::sync::Weak<Inner>, member: Arc<Member>) {
    let mut connection = None;
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let floor = inner.floor.load_full();
        let grouped = inner.arrangement == Arrangement::Group;
        let evidence = member.probe(&mut connection, grouped, &floor).await;
        let roles = inner.decide();
        let settled = (roles.primary.is_some() || inner.read_only)
            && evidence.answered
            && evidence.applied_sequence >= inner.floor.load().sequence;
        drop(inner);
        tokio::time::sleep(topology::probe_interval(settled)).await;
    }
}

impl Inner {
    fn decide(&self) -> Arc<Roles> {
        let evidence: Vec<_> = self
            .members
            .iter()
            .map(|member| member.evidence())
            .collect();
        let decided = topology::decide(self.arrangement, &evidence);
        let before = self.roles.load_full();
        if *before == decided {
            return before;
        }
        let name = |index: Option<usize>| {
            index
                .and_then(|index| self.members.get(index))
                .map_or("none", |member| member.name.as_str())
        };
        if before.primary == decided.primary {
            tracing::info!(
                replicas = decided.replicas.len(),
                primary = name(decided.primary),
                "readable database members changed"
            );
        } else {
            tracing::warn!(
                from = name(before.primary),
                to = name(decided.primary),
                replicas = decided.replicas.len(),
                "the primary of the database changed"
            );
        }
        let decided = Arc::new(decided);
        self.roles.store(Arc::clone(&decided));
        self.roles_changed.send_modify(|version| *version += 1);
        decided
    }
}
