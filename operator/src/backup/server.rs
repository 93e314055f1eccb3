//! Servers of our own: a mysqld on a folder, reached through a socket, that lives as long as it is needed.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::process::{Child, Command};

use super::error::BackupError;
use crate::gtid::GtidSet;

/// A server that was cloned first applies its redo log.
const START_LIMIT: Duration = Duration::from_mins(30);
const STOP_LIMIT: Duration = Duration::from_mins(15);
const INITIALISE_LIMIT: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(100);
/// The longest path of a socket.
const MAXIMUM_SOCKET: usize = 100;

/// How servers are started.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The program: `mysqld`.
    pub program: PathBuf,
    /// `innodb_buffer_pool_size`, in MiB.
    pub memory_mib: u32,
}

impl ServerOptions {
    fn command(&self, data: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .arg("--mysqlx=OFF")
            // The folder that is compiled in need not exist in the image.
            .arg("--secure-file-priv=NULL")
            .arg(format!(
                "--innodb-buffer-pool-size={}M",
                self.memory_mib.max(32)
            ))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if rustix::process::getuid().is_root() {
            command.arg("--user=root");
        }
        command
    }
}

/// A running server.
pub struct Scratch {
    child: Child,
    login: MySqlConnectOptions,
    log: PathBuf,
}

impl Scratch {
    /// Starts a server on a data directory and waits until it answers. `run` is a folder for its socket and its log. It has no
    /// binary log, and no network unless `arguments` say so.
    ///
    /// # Errors
    /// When it ends, with the end of its log, or does not answer in half an hour.
    pub async fn start(
        options: &ServerOptions,
        data: &Path,
        run: &Path,
        arguments: &[String],
    ) -> Result<Self, BackupError> {
        let login = MySqlConnectOptions::new()
            .socket(run.join("mysqld.sock"))
            .username("root")
            .ssl_mode(MySqlSslMode::Disabled);
        Self::start_as(options, data, run, arguments, login).await
    }

    /// As [`Scratch::start`], for a server on which `root` cannot log in.
    ///
    /// # Errors
    /// As [`Scratch::start`].
    pub async fn start_as(
        options: &ServerOptions,
        data: &Path,
        run: &Path,
        arguments: &[String],
        login: MySqlConnectOptions,
    ) -> Result<Self, BackupError> {
        // The statement that clones has the password of the member's account in it.
        let login = login.disable_statement_logging();
        let socket = run.join("mysqld.sock");
        let log = run.join("mysqld.log");
        if socket.as_os_str().len() > MAXIMUM_SOCKET {
            let detail = format!(
                "{} is too long for a socket: choose a folder with a shorter path",
                socket.display()
            );
            return Err(failed("start", detail));
        }
        let output = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(BackupError::disk("write", &log))?;
        let errors = output
            .try_clone()
            .map_err(BackupError::disk("write", &log))?;
        let child = options
            .command(data)
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", run.join("mysqld.pid").display()))
            .args([
                "--skip-log-bin",
                "--skip-replica-start",
                "--event-scheduler=OFF",
                "--persisted-globals-load=OFF",
                "--gtid-mode=ON",
                "--enforce-gtid-consistency=ON",
            ])
            .args(arguments)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(BackupError::disk("run", &options.program))?;
        let mut server = Self { child, login, log };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let problem = match server.connect().await {
                Ok(connection) => {
                    // It answered, which is all that was asked. An encrypted connection may be gone before its end was said.
                    connection.close().await.ok();
                    return Ok(server);
                }
                Err(problem) => problem,
            };
            server.alive("start")?;
            if Instant::now() > deadline {
                return Err(failed("start", format!("it does not answer: {problem}")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A connection.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(&self) -> Result<MySqlConnection, BackupError> {
        self.login
            .connect()
            .await
            .map_err(BackupError::sql("reach the scratch server"))
    }

    /// Kills it: its data is of no use any more.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(mut self) -> Result<(), BackupError> {
        self.child
            .kill()
            .await
            .map_err(BackupError::disk("end", &self.log))
    }

    /// Shuts it down and waits until everything is on the disk.
    ///
    /// # Errors
    /// When it crashes or does not end in a quarter of an hour.
    pub async fn stop(mut self) -> Result<(), BackupError> {
        let mut connection = self.connect().await?;
        // The answer may be lost, since the server ends.
        if let Err(error) = sqlx::raw_sql("SHUTDOWN").execute(&mut connection).await {
            tracing::debug!(%error, "no answer to SHUTDOWN");
        }
        drop(connection);
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait())
            .await
            .map_err(|_| failed("stop", "it does not end".to_owned()))?
            .map_err(BackupError::disk("wait for", &self.log))?;
        if status.success() {
            Ok(())
        } else {
            Err(failed("stop", self.obituary(status)))
        }
    }

    /// Whether it still runs. `action` says what it is needed for.
    ///
    /// # Errors
    /// When it has ended, with the end of its log.
    pub(super) fn alive(&mut self, action: &'static str) -> Result<(), BackupError> {
        let ended = self.child.try_wait();
        match ended.map_err(BackupError::disk("wait for", &self.log))? {
            Some(status) => Err(failed(action, self.obituary(status))),
            None => Ok(()),
        }
    }

    fn obituary(&self, status: ExitStatus) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("[ERROR]"))
            .collect();
        let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or(&[]);
        format!("it ended ({status}): {}", last.join(" | "))
    }
}

/// Makes a new data directory, in which `root` has no password.
///
/// # Errors
/// When the program fails.
pub async fn initialise(options: &ServerOptions, data: &Path) -> Result<(), BackupError> {
    let run = options
        .command(data)
        .arg("--initialize-insecure")
        .arg("--innodb-redo-log-capacity=16M")
        .output();
    let output = tokio::time::timeout(INITIALISE_LIMIT, run)
        .await
        .map_err(|_| failed("initialise", "it does not end".to_owned()))?
        .map_err(BackupError::disk("run", &options.program))?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(failed("initialise", text.chars().take(2000).collect()))
    }
}

pub(super) fn failed(action: &'static str, detail: String) -> BackupError {
    BackupError::Server { action, detail }
}

/// A text as SQL.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Runs statements that have no parameters. `action` says what for.
pub(super) async fn run(
    connection: &mut MySqlConnection,
    action: &'static str,
    statement: &str,
) -> Result<(), BackupError> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .map(drop)
        .map_err(BackupError::sql(action))
}

/// What a server has executed.
pub(super) async fn executed(connection: &mut MySqlConnection) -> Result<GtidSet, BackupError> {
    let text: String = sqlx::query_scalar("SELECT @@GLOBAL.gtid_executed")
        .fetch_one(connection)
        .await
        .map_err(BackupError::sql("read what was executed"))?;
    text.parse()
        .map_err(|error: crate::gtid::GtidError| failed("tell its transactions", error.to_string()))
}
