//! One MySQL server.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{Durability, GroupOptions, PASSWORD, ROOT, USER, template};
use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::tools;

/// A server reads its data directory in two seconds on a free machine; a whole test run may be competing for it.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(180);

/// Nothing commits on the server while the session that said this lives, not even what comes from the group.
const HOLD_APPLIER: &str = "FLUSH TABLES WITH READ LOCK";
const VIEW: &str = "SELECT MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE FROM performance_schema.replication_group_members";
const EXECUTED: &str = "SELECT @@GLOBAL.gtid_executed";
const HAS_APPLIED: &str = "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)";

/// A member's part in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows.
    Secondary,
}

/// A member as some member sees it (`performance_schema.replication_group_members`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// The port by which it is known.
    pub port: u16,
    /// `ONLINE`, `RECOVERING`, `OFFLINE`, `ERROR` or `UNREACHABLE`.
    pub state: String,
    /// Nothing for a member that is not in the group.
    pub role: Option<Role>,
}

/// One MySQL server, in a group or alone.
#[derive(Debug)]
pub struct Member {
    index: usize,
    port: Port,
    process: Mutex<Option<Process>>,
    // After the process: the folder goes when nothing writes to it any longer.
    folder: Folder,
}

impl Member {
    /// A member with its data directory, not started yet.
    pub(super) fn prepare(index: usize) -> Result<Self> {
        let folder = Folder::new("mysql")?;
        template::copy_to(&folder.path().join("data"))?;
        Ok(Self {
            index,
            port: Port::take()?,
            process: Mutex::new(None),
            folder,
        })
    }

    /// Writes the option file. `group` is the group's name and the addresses of its members.
    pub(super) fn configure(
        &self,
        options: &GroupOptions,
        group: Option<(&str, &str)>,
    ) -> Result<()> {
        let text = self.option_file(options, group);
        std::fs::write(self.folder.path().join("my.cnf"), text)
            .context("failed to write an option file")
    }

    fn option_file(&self, options: &GroupOptions, group: Option<(&str, &str)>) -> String {
        let folder = self.folder.path().display();
        let port = self.port.number();
        let mut text = format!(
            "[mysqld]\n\
             datadir={folder}/data\nsocket={folder}/mysqld.sock\npid_file={folder}/mysqld.pid\n\
             bind_address=127.0.0.1\nport={port}\nreport_host=127.0.0.1\nreport_port={port}\nserver_id={}\n",
            self.index + 1
        );
        text.push_str(SETTINGS);
        text.push_str(match options.durability {
            Durability::Full => DURABLE,
            Durability::Relaxed => RELAXED,
        });
        if let Some(user) = template::user_option() {
            writeln!(text, "{user}").ok();
        }
        if let Some((name, addresses)) = group {
            text.push_str(GROUP_SETTINGS);
            writeln!(
                text,
                "group_replication_group_name={name}\n\
                 group_replication_local_address=127.0.0.1:{port}\n\
                 group_replication_group_seeds={addresses}\n\
                 group_replication_member_expel_timeout={}",
                options.expel_timeout.as_secs()
            )
            .ok();
        }
        for (name, value) in &options.settings {
            writeln!(text, "{name}={value}").ok();
        }
        text
    }

    /// Its place in the group, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> String {
        self.port.address().to_string()
    }

    /// The URL by which [`USER`] reaches `database` on this member.
    pub fn url(&self, database: &str) -> String {
        format!(
            "mysql://{USER}:{PASSWORD}@{}/{database}",
            self.port.address()
        )
    }

    /// As [`Member::url`], without TLS, for tests that look into what passes over the wire.
    pub fn plain_url(&self, database: &str) -> String {
        format!("{}?ssl-mode=disabled", self.url(database))
    }

    /// A new connection as [`ROOT`].
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(&self) -> Result<MySqlConnection> {
        self.connect_as(ROOT).await
    }

    async fn connect_as(&self, user: &str) -> Result<MySqlConnection> {
        connect(self.port(), user)
            .await
            .with_context(|| format!("failed to reach MySQL member {}", self.index))
    }

    /// Runs one statement as [`ROOT`], on a connection of its own.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses it.
    pub async fn execute(&self, statement: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .with_context(|| format!("MySQL member {} refused: {statement}", self.index))?;
        connection
            .close()
            .await
            .context("failed to close a connection")
    }

    /// The one value that a query has, as text, as seen by [`ROOT`].
    ///
    /// # Errors
    /// When the server cannot be reached or the query is wrong or has no row.
    pub async fn value(&self, query: &str) -> Result<String> {
        let mut connection = self.connect().await?;
        let value = sqlx::query_scalar(AssertSqlSafe(format!("SELECT CAST(({query}) AS CHAR)")))
            .fetch_one(&mut connection)
            .await
            .with_context(|| format!("MySQL member {} has no answer to: {query}", self.index))?;
        connection
            .close()
            .await
            .context("failed to close a connection")?;
        Ok(value)
    }

    /// The group as this member sees it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn view(&self) -> Result<Vec<MemberState>> {
        read_view(self.port())
            .await
            .with_context(|| format!("failed to ask MySQL member {}", self.index))
    }

    /// The transactions that it has applied.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn executed(&self) -> Result<String> {
        let mut connection = self.connect().await?;
        let set = sqlx::query_scalar(EXECUTED)
            .fetch_one(&mut connection)
            .await
            .context("failed to read a GTID set")?;
        connection
            .close()
            .await
            .context("failed to close a connection")?;
        Ok(set)
    }

    /// Whether it has applied all of this set.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn has_applied(&self, set: &str) -> Result<bool> {
        let mut connection = self.connect().await?;
        let applied: i64 = sqlx::query_scalar(HAS_APPLIED)
            .bind(set)
            .fetch_one(&mut connection)
            .await
            .context("failed to compare")?;
        connection
            .close()
            .await
            .context("failed to close a connection")?;
        Ok(applied == 1)
    }

    /// Makes it fall behind: it stays in the group and answers reads, and applies nothing as long as the returned session is
    /// held. Not for the primary.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn hold_applier(&self) -> Result<HeldApplier> {
        let mut session = self.connect().await?;
        sqlx::raw_sql(HOLD_APPLIER)
            .execute(&mut session)
            .await
            .context("failed to hold the applier")?;
        Ok(HeldApplier { session })
    }

    /// Kills the server (SIGKILL).
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self) -> Result<()> {
        self.take_process()?.kill()
    }

    /// Stops the server in the middle of whatever it does (SIGSTOP). The group expels it after some seconds.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.with_process(Process::pause)
    }

    /// Lets the server go on after [`Member::pause`]. If it was expelled it joins again by itself.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.with_process(Process::resume)
    }

    /// Shuts the server down (SIGTERM); it leaves the group first.
    ///
    /// # Errors
    /// When it does not run, or does not end in a minute.
    pub async fn shut_down(&self) -> Result<()> {
        let process = self.take_process()?;
        process.terminate(STOP_LIMIT).await?;
        process.kill()
    }

    /// Whether the server runs.
    pub fn is_running(&self) -> bool {
        self.with_process(Process::must_run).is_ok()
    }

    /// Prints the end of its log, for a test that has failed.
    pub fn print_log_tail(&self) {
        self.with_process(|process| {
            process.print_log_tail();
            Ok(())
        })
        .ok();
    }

    /// Starts the server and waits until it takes connections. It is not in the group yet.
    pub(super) async fn launch(&self) -> Result<()> {
        let mut command = Command::new(tools::program("mysqld")?);
        command.arg(format!(
            "--defaults-file={}",
            self.folder.path().join("my.cnf").display()
        ));
        let name = format!("mysqld{}", self.index);
        let process = Process::start(&name, command, &self.folder.path().join("mysqld.log"))?;
        // Logging in over TLS once lets the server remember the password's hash; from then on it takes logins without TLS.
        let login = async || {
            self.connect_as(USER)
                .await?
                .close()
                .await
                .context("failed to close a connection")
        };
        process
            .ready(
                &format!("MySQL member {} to take connections", self.index),
                START_LIMIT,
                login,
            )
            .await?;
        *self.slot() = Some(process);
        Ok(())
    }

    fn take_process(&self) -> Result<Process> {
        self.slot()
            .take()
            .with_context(|| format!("MySQL member {} does not run", self.index))
    }

    fn with_process<T>(&self, act: impl FnOnce(&Process) -> Result<T>) -> Result<T> {
        act(self
            .slot()
            .as_ref()
            .with_context(|| format!("MySQL member {} does not run", self.index))?)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member that falls behind, see [`Member::hold_applier`]. Dropped, it lets the member go on, too.
#[derive(Debug)]
pub struct HeldApplier {
    session: MySqlConnection,
}

impl HeldApplier {
    /// Lets the member apply what it has missed.
    ///
    /// # Errors
    /// When the session was lost.
    pub async fn release(self) -> Result<()> {
        self.session
            .close()
            .await
            .context("failed to release the applier")
    }
}

async fn connect(port: u16, user: &str) -> Result<MySqlConnection, sqlx::Error> {
    MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(port)
        .username(user)
        .password(PASSWORD)
        .connect()
        .await
}

/// The group as the member on this port sees it.
pub(super) async fn read_view(port: u16) -> Result<Vec<MemberState>> {
    let mut connection = connect(port, ROOT).await?;
    let rows: Vec<(Option<i32>, String, String)> =
        sqlx::query_as(VIEW).fetch_all(&mut connection).await?;
    connection.close().await?;
    let states = rows.into_iter().map(|(port, state, role)| MemberState {
        port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
        state,
        role: match role.as_str() {
            "PRIMARY" => Some(Role::Primary),
            "SECONDARY" => Some(Role::Secondary),
            _ => None,
        },
    });
    Ok(states.collect())
}

/// What every server has. The two for full-text search are part of how the shop's index is defined.
const SETTINGS: &str = "\
mysqlx=OFF
skip_name_resolve=ON
gtid_mode=ON
enforce_gtid_consistency=ON
skip_replica_start=ON
persisted_globals_load=OFF
transaction_isolation=READ-COMMITTED
sql_require_primary_key=ON
sql_generate_invisible_primary_key=ON
disabled_storage_engines=MyISAM,BLACKHOLE,FEDERATED,ARCHIVE,MEMORY
replica_parallel_workers=4
replica_preserve_commit_order=ON
local_infile=OFF
innodb_ft_min_token_size=1
innodb_ft_enable_stopword=OFF
innodb_buffer_pool_size=96M
innodb_redo_log_capacity=64M
innodb_log_buffer_size=4M
max_connections=300
table_open_cache=600
table_definition_cache=600
";

const DURABLE: &str = "sync_binlog=1\ninnodb_flush_log_at_trx_commit=1\n";

const RELAXED: &str = "\
sync_binlog=0
innodb_flush_log_at_trx_commit=2
innodb_flush_method=nosync
sync_relay_log=0
sync_relay_log_info=0
";

/// What a member of a group has besides. Three tries to join again, at once and then every five minutes, stand in for the
/// agent; so does the short interval between the attempts to find a donor.
const GROUP_SETTINGS: &str = "\
plugin_load_add=group_replication.so
read_only=ON
super_read_only=ON
group_replication_start_on_boot=OFF
group_replication_bootstrap_group=OFF
group_replication_communication_stack=MYSQL
group_replication_single_primary_mode=ON
group_replication_paxos_single_leader=ON
group_replication_unreachable_majority_timeout=10
group_replication_autorejoin_tries=3
group_replication_exit_state_action=OFFLINE_MODE
group_replication_consistency=BEFORE_ON_PRIMARY_FAILOVER
group_replication_flow_control_mode=DISABLED
group_replication_message_cache_size=134217728
group_replication_recovery_use_ssl=ON
group_replication_ssl_mode=REQUIRED
group_replication_recovery_reconnect_interval=1
";
