//! One agent with its server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use panono_operator::agent::api::Status;
use panono_operator::agent::client::Client;
use panono_operator::agent::config::{Account, Config, EndpointSliceRef, Peer, Tls};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::authority::Authority;
use super::group::AgentOptions;
use super::{DATABASE, PASSWORD, USER};
use crate::ports::Port;
use crate::process::{Folder, Process};

const ADMIN: &str = "panono_agent";
/// Handing over, leaving and shutting down, on a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(240);

/// Where a member is.
#[derive(Debug)]
pub struct Place {
    /// Its address.
    pub address: IpAddr,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Ports of server, interface and probes.
    pub ports: [u16; 3],
    /// What keeps the ports ours, on loopback.
    pub _held: Vec<Port>,
}

/// One agent with its server.
#[derive(Debug)]
pub struct AgentMember {
    index: usize,
    place: Place,
    kubeconfig: Option<PathBuf>,
    process: Mutex<Option<Process>>,
    // After the process: the folder goes when nothing writes to it any longer.
    folder: Folder,
}

impl AgentMember {
    pub(super) fn prepare(
        index: usize,
        place: Place,
        authority: &Authority,
        options: &AgentOptions,
    ) -> Result<Self> {
        let folder = Folder::new("agent")?;
        authority.write(&folder.path().join("tls"), place.address)?;
        for name in ["volume", "run"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        std::fs::write(folder.path().join("password"), PASSWORD)?;
        std::fs::write(folder.path().join("generation"), "1")?;
        Ok(Self {
            index,
            place,
            kubeconfig: options
                .endpoint_slice
                .as_ref()
                .map(|slice| slice.kubeconfig.clone()),
            process: Mutex::new(None),
            folder,
        })
    }

    pub(super) fn configure(&self, peers: &[Peer], options: &AgentOptions) -> Result<()> {
        let path = |name: &str| self.folder.path().join(name);
        let account = |user: &str, grants: &[&str]| Account {
            user: user.to_owned(),
            password_file: path("password"),
            old_password_file: Some(path("old-password")),
            grants: grants.iter().map(|grant| (*grant).to_owned()).collect(),
        };
        let [mysql, api, probe] = self.place.ports;
        let config = Config {
            volume: path("volume"),
            run_folder: path("run"),
            mysqld: crate::tools::program("mysqld")?,
            pod_uid: self.pod_uid(),
            ordinal: u32::try_from(self.index)?,
            server_id: u32::try_from(self.index)? + 1,
            host: self.place.address.to_string(),
            port: mysql,
            bind_address: self.place.address.to_string(),
            admin: None,
            peers: peers.to_vec(),
            group_name: None,
            api_listen: (self.place.address, api).into(),
            probe_listen: (self.place.address, probe).into(),
            tls: Tls {
                ca: path("tls/ca.crt"),
                certificate: path("tls/tls.crt"),
                key: path("tls/tls.key"),
            },
            admin_account: account(ADMIN, &[]),
            replication_account: account("panono_replication", &[]),
            accounts: vec![account(
                USER,
                &[
                    "ALL ON `%`.*",
                    "SELECT ON performance_schema.*",
                    "PROCESS, REPLICATION CLIENT ON *.*",
                ],
            )],
            databases: vec![DATABASE.to_owned()],
            buffer_pool_mib: 96,
            max_connections: 300,
            message_cache_mib: 128,
            expel_timeout_seconds: 0,
            majority_timeout_seconds: 10,
            member_weight: 50,
            clone_bandwidth_mib: 0,
            settings: options.settings.clone(),
            heartbeat_ms: 200,
            durability: options.durability,
            endpoint_slice: options
                .endpoint_slice
                .as_ref()
                .map(|slice| EndpointSliceRef {
                    namespace: slice.namespace.clone(),
                    name: slice.name.clone(),
                    address: self.pod_address(),
                    pod_name: format!("member-{}", self.index),
                }),
            generation_file: Some(path("generation")),
            live_file: Some(path("live.json")),
        };
        config.check()?;
        self.set_live(&serde_json::json!({}))?;
        std::fs::write(path("agent.json"), serde_json::to_vec_pretty(&config)?)
            .context("failed to write a configuration")
    }

    /// Replaces the fields of its configuration that may change while it runs.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn set_live(&self, fields: &serde_json::Value) -> Result<()> {
        self.put("live.json", &fields.to_string())
    }

    /// Replaces the password of all accounts in its files, and keeps the one before beside it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_password(&self, password: &str, generation: i64) -> Result<()> {
        let before = std::fs::read_to_string(self.folder.path().join("password"))?;
        self.put("old-password", &before)?;
        self.put("password", password)?;
        self.put("generation", &generation.to_string())
    }

    /// Whole or not at all, as files of a pod are replaced.
    fn put(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(name);
        let part = path.with_extension("part");
        std::fs::write(&part, text)?;
        std::fs::rename(&part, &path).with_context(|| path.display().to_string())
    }

    /// Its number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The identity of its pod.
    pub fn pod_uid(&self) -> String {
        format!("pod-{}", self.index)
    }

    /// The address of its pod as a cluster has it: none of loopback, which no EndpointSlice takes.
    pub fn pod_address(&self) -> String {
        format!("10.244.0.{}", self.index + 1)
    }

    /// `host:port` of its server.
    pub fn address(&self) -> String {
        format!("{}:{}", self.place.address, self.place.ports[0])
    }

    /// `host:port` of its interface.
    pub fn api(&self) -> String {
        format!("{}:{}", self.place.address, self.place.ports[1])
    }

    /// The address of a probe: `livez`, `readyz` or `metrics`.
    pub fn probe(&self, name: &str) -> String {
        format!(
            "http://{}:{}/{name}",
            self.place.address, self.place.ports[2]
        )
    }

    /// The volume.
    pub fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    /// The folder that has its configuration, passwords and certificates.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn start(&self) -> Result<()> {
        let program = program()?;
        let mut command = match &self.place.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(["run", "--config"])
            .arg(self.folder.path().join("agent.json"))
            .args(["--log-format", "human"]);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let name = format!("agent{}", self.index);
        let log = self.folder.path().join("log");
        *self.slot() = Some(Process::start(&name, command, &log)?);
        Ok(())
    }

    /// Whether the agent runs.
    pub fn is_running(&self) -> bool {
        self.slot()
            .as_ref()
            .is_some_and(|process| process.must_run().is_ok())
    }

    /// Kills agent and server at once, as the loss of a node does.
    ///
    /// # Errors
    /// When it does not run.
    pub fn power_off(&self) -> Result<()> {
        self.taken()?.kill()
    }

    /// Asks the agent to end, as the deletion of its pod does, and waits for that.
    ///
    /// # Errors
    /// When it does not end in order.
    pub async fn delete(&self) -> Result<()> {
        let process = self.taken()?;
        let status = process.terminate(STOP_LIMIT).await?;
        anyhow::ensure!(status.success(), "agent{} ended with {status}", self.index);
        process.kill()
    }

    /// The process of the agent.
    ///
    /// # Errors
    /// When it does not run.
    pub fn agent_pid(&self) -> Result<u32> {
        Ok(self
            .slot()
            .as_ref()
            .with_context(|| format!("agent{} does not run", self.index))?
            .id())
    }

    /// The process of the server.
    ///
    /// # Errors
    /// When there is none.
    pub fn server_pid(&self) -> Result<i32> {
        std::fs::read_to_string(self.folder.path().join("run/mysqld.pid"))
            .context("the server has no process id")?
            .trim()
            .parse()
            .context("the server's process id is no number")
    }

    /// Sends a signal to the server alone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal_server(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.server_pid()?).context("0 is no process")?;
        kill_process(pid, signal).context("failed to signal the server")
    }

    /// What the agent says.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self, client: &Client) -> Result<Status> {
        client.status(&self.api()).await.map_err(Into::into)
    }

    /// A connection on the server's socket that may do everything.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn admin(&self) -> Result<MySqlConnection> {
        let folder = self.folder.path();
        let options = MySqlConnectOptions::new()
            .socket(folder.join("run/mysqld.sock"))
            .username(ADMIN)
            .ssl_mode(MySqlSslMode::Required);
        let password = std::fs::read_to_string(folder.join("password"))?;
        let connected = match options.clone().password(&password).connect().await {
            Ok(connection) => Ok(connection),
            Err(error) => match std::fs::read_to_string(folder.join("old-password")) {
                Ok(old) => options.password(&old).connect().await,
                Err(_) => Err(error),
            },
        };
        connected.with_context(|| format!("failed to reach the server of agent{}", self.index))
    }

    /// Runs statements on the server's socket.
    ///
    /// # Errors
    /// When the server refuses one.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        let mut connection = self.admin().await?;
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut connection)
            .await
            .with_context(|| format!("the server of agent{} refused: {statements}", self.index))?;
        connection.close().await.ok();
        Ok(())
    }

    /// The one value of a query, as text.
    ///
    /// # Errors
    /// When the server has none.
    pub async fn value(&self, query: &str) -> Result<String> {
        let mut connection = self.admin().await?;
        let value = sqlx::query_scalar(AssertSqlSafe(format!("SELECT CAST(({query}) AS CHAR)")))
            .fetch_one(&mut connection)
            .await
            .with_context(|| format!("the server of agent{}: {query}", self.index))?;
        connection.close().await.ok();
        Ok(value)
    }

    /// A connection as the shop has it.
    ///
    /// # Errors
    /// When the server takes none.
    pub async fn connect(&self) -> Result<MySqlConnection> {
        options(&self.address())?
            .connect()
            .await
            .with_context(|| format!("failed to reach {}", self.address()))
    }

    /// A connection as the shop has it, with this password.
    ///
    /// # Errors
    /// When the server takes none.
    pub async fn connect_as(&self, password: &str) -> Result<MySqlConnection> {
        options(&self.address())?
            .password(password)
            .connect()
            .await
            .with_context(|| format!("failed to reach {}", self.address()))
    }

    /// A status variable of the server.
    ///
    /// # Errors
    /// When the server does not tell.
    pub async fn status_of_server(&self, name: &str) -> Result<String> {
        self.value(&format!(
            "SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = '{name}'"
        ))
        .await
    }

    /// All that the agent and its server have written.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Prints the end of its log, for a test that has failed.
    pub fn print_log_tail(&self) {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        eprintln!(
            "--- end of the log of agent{} ---\n{}",
            self.index,
            lines[lines.len().saturating_sub(60)..].join("\n")
        );
    }

    fn taken(&self) -> Result<Process> {
        self.slot()
            .take()
            .with_context(|| format!("agent{} does not run", self.index))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the shop's user reaches the server at `host:port`.
pub(super) fn options(address: &str) -> Result<MySqlConnectOptions> {
    let (host, port) = address.rsplit_once(':').context("no port")?;
    Ok(MySqlConnectOptions::new()
        .host(host)
        .port(port.parse()?)
        .username(USER)
        .password(PASSWORD)
        .database(DATABASE)
        .ssl_mode(MySqlSslMode::Required))
}

/// The path of `panono-agent`, beside the program that runs.
///
/// # Errors
/// When it was not built.
pub fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find the running program")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("panono-agent"))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "there is no panono-agent beside {}: run `cargo build --workspace --bins`",
                own.display()
            )
        })
}
