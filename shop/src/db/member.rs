//! One database member: its pool for work, and a connection of its own over which it is asked how it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, MySqlConnection, Row};

use super::error::DbError;
use super::topology::{Evidence, GroupEvidence};

/// How long a member may take to answer a probe before it counts as silent.
const PROBE_LIMIT: Duration = Duration::from_millis(1000);

/// Session settings of every connection: errors instead of silent truncation, no gap locks, and bounds on waiting,
/// because a statement is never abandoned from this side.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,\
NO_ZERO_IN_DATE,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION', transaction_isolation = 'READ-COMMITTED', \
innodb_lock_wait_timeout = 3, max_execution_time = 30000, group_concat_max_len = 65536";

const PROBE_GROUP: &str = "SELECT \
  (SELECT m.MEMBER_STATE FROM performance_schema.replication_group_members m WHERE m.MEMBER_ID = @@server_uuid) AS state, \
  (SELECT m.MEMBER_ROLE FROM performance_schema.replication_group_members m WHERE m.MEMBER_ID = @@server_uuid) AS role, \
  (SELECT COUNT(*) FROM performance_schema.replication_group_members m WHERE m.MEMBER_STATE IN ('ONLINE', 'RECOVERING')) AS reachable, \
  (SELECT COUNT(*) FROM performance_schema.replication_group_members) AS members, \
  CAST(@@GLOBAL.super_read_only OR @@GLOBAL.read_only OR @@GLOBAL.offline_mode AS SIGNED) AS read_only, \
  CAST(GTID_SUBSET(?, @@GLOBAL.gtid_executed) AS SIGNED) AS applied";

const PROBE_FIXED: &str = "SELECT \
  CAST(@@GLOBAL.super_read_only OR @@GLOBAL.read_only OR @@GLOBAL.offline_mode AS SIGNED) AS read_only, \
  CAST(GTID_SUBSET(?, @@GLOBAL.gtid_executed) AS SIGNED) AS applied";

const HAS_SEQUENCE: &str = "SELECT CAST(COUNT(*) AS SIGNED) FROM invalidation WHERE sequence = ?";

/// The newest change that a reader must have applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Floor {
    /// Its place in the invalidation log.
    pub sequence: i64,
    /// A GTID set that contains it; empty where the server does not write GTIDs.
    pub gtid: String,
}

/// A member of the database.
#[derive(Debug)]
pub struct Member {
    /// `host:port`, for logs and metrics.
    pub name: String,
    /// Connections for work.
    pub pool: MySqlPool,
    options: MySqlConnectOptions,
    evidence: ArcSwap<Evidence>,
    /// Counts failures that users of the pool met, so that the next probe comes at once.
    suspicions: AtomicU64,
}

/// Sizes of a pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolSize {
    /// Connections at most.
    pub max: u32,
    /// Connections kept open while idle.
    pub min: u32,
    /// How long to wait for one.
    pub acquire: Duration,
}

impl Member {
    /// A member that has not been asked yet. Opens no connection.
    #[must_use]
    pub fn new(options: MySqlConnectOptions, size: PoolSize) -> Self {
        let options = options
            .pipes_as_concat(false)
            .statement_cache_capacity(128)
            .log_statements(tracing::log::LevelFilter::Off)
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(1));
        let pool = MySqlPoolOptions::new()
            .max_connections(size.max)
            .min_connections(size.min)
            .acquire_timeout(size.acquire)
            // A ping before each use is a round trip inside the request; a dead connection shows
            // at its first statement, and whoever meets it tries again elsewhere.
            .test_before_acquire(false)
            .max_lifetime(Duration::from_secs(1800))
            .idle_timeout(Duration::from_secs(600))
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(|_| ()) })
            })
            .connect_lazy_with(options.clone());
        Self {
            name: format!("{}:{}", options.get_host(), options.get_port()),
            pool,
            options,
            evidence: ArcSwap::from_pointee(Evidence {
                answered: false,
                group: None,
                read_only: true,
                applied_sequence: -1,
            }),
            suspicions: AtomicU64::new(0),
        }
    }

    /// What it last said of itself.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence.load().as_ref().clone()
    }

    /// The newest sequence it has certainly applied; negative while it is silent.
    #[must_use]
    pub fn applied_sequence(&self) -> i64 {
        self.evidence.load().applied_sequence
    }

    /// Says that work on this member broke: it counts as silent until it has answered a probe.
    pub fn suspect(&self) {
        self.suspicions.fetch_add(1, Ordering::Relaxed);
        self.evidence.rcu(|old| Evidence {
            answered: false,
            ..old.as_ref().clone()
        });
    }

    /// Asks it once and stores what it says. `connection` is kept between calls; it is dropped, never reused,
    /// when an answer did not come in time, since a MySQL connection cannot be used after an abandoned statement.
    pub(super) async fn probe(
        &self,
        connection: &mut Option<MySqlConnection>,
        grouped: bool,
        floor: &Floor,
    ) -> Evidence {
        let asked_at = self.suspicions.load(Ordering::Relaxed);
        let taken = connection.take();
        let evidence = match tokio::time::timeout(PROBE_LIMIT, self.ask(taken, grouped, floor))
            .await
        {
            Ok(Ok((alive, evidence))) => {
                *connection = Some(alive);
                evidence
            }
            Ok(Err(error)) => {
                tracing::debug!(member = %self.name, %error, "database member did not answer a probe");
                self.silent()
            }
            Err(_) => {
                tracing::debug!(member = %self.name, "database member was too slow for a probe");
                self.silent()
            }
        };
        // Work that broke while the probe was under way is newer evidence than the probe.
        if self.suspicions.load(Ordering::Relaxed) == asked_at {
            self.evidence.store(std::sync::Arc::new(evidence.clone()));
        }
        evidence
    }

    fn silent(&self) -> Evidence {
        Evidence {
            answered: false,
            applied_sequence: -1,
            ..self.evidence()
        }
    }

    async fn ask(
        &self,
        connection: Option<MySqlConnection>,
        grouped: bool,
        floor: &Floor,
    ) -> Result<(MySqlConnection, Evidence), DbError> {
        let mut connection = match connection {
            Some(connection) => connection,
            None => MySqlConnection::connect_with(&self.options).await?,
        };
        let row = sqlx::query(if grouped { PROBE_GROUP } else { PROBE_FIXED })
            .bind(&floor.gtid)
            .fetch_one(&mut connection)
            .await?;
        let group = if grouped {
            row.try_get::<Option<String>, _>("state")?
                .map(|state| -> Result<_, sqlx::Error> {
                    Ok(GroupEvidence {
                        online: state == "ONLINE",
                        primary: row.try_get::<Option<String>, _>("role")?.as_deref()
                            == Some("PRIMARY"),
                        reachable: row.try_get("reachable")?,
                        members: row.try_get("members")?,
                    })
                })
                .transpose()?
        } else {
            None
        };
        let applied = if floor.sequence == 0 {
            true
        } else if floor.gtid.is_empty() {
            sqlx::query_scalar::<_, i64>(HAS_SEQUENCE)
                .bind(floor.sequence)
                .fetch_one(&mut connection)
                .await?
                > 0
        } else {
            row.try_get::<Option<i64>, _>("applied")? == Some(1)
        };
        let before = self.applied_sequence();
        let evidence = Evidence {
            answered: true,
            group,
            read_only: row.try_get::<i64, _>("read_only")? != 0,
            applied_sequence: if applied {
                floor.sequence.max(before)
            } else {
                before.max(0)
            },
        };
        Ok((connection, evidence))
    }
}
