//! The server's process: making its data directory, starting it, waiting for its end.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, getuid, kill_process};
use tokio::process::{Child, Command};

use super::config::Config;
use super::option_file::{Paths, Secret, first_statements, option_file};

/// The exit code by which the server asks to be started again: after `RESTART`, and after a copy of another's data is in place.
pub const RESTART: i32 = 16;
/// The first pause before a start after a crash; each further crash in a row doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that ran so long is not in a row of crashes.
const STABLE: Duration = Duration::from_secs(60);

/// Makes the data directory, if there is none. It is made beside its place and moved there whole.
///
/// # Errors
/// When the program is missing, fails (with the end of what it said), or the disk is full.
pub async fn initialise(config: &Config) -> Result<()> {
    let paths = Paths::of(config);
    if paths.new_data.exists() {
        fs::remove_dir_all(&paths.new_data)
            .with_context(|| format!("failed to remove {}", paths.new_data.display()))?;
    }
    let admin = Secret::read(&config.admin_account)?;
    let replication = Secret::read(&config.replication_account)?;
    let accounts = config
        .accounts
        .iter()
        .map(Secret::read)
        .collect::<Result<Vec<_>, _>>()?;
    let statements = config.run_folder.join("first.sql");
    private_file(
        &statements,
        &first_statements(&admin, &replication, &accounts),
    )?;
    let mut command = Command::new(&config.mysqld);
    command
        .arg("--no-defaults")
        .arg("--initialize-insecure")
        // Nobody relies on it before it is whole; all of it is synced once, then.
        .args([
            "--innodb-redo-log-capacity=16M",
            "--innodb-doublewrite=OFF",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            // The folder that is compiled in need not exist in the image.
            "--secure-file-priv=NULL",
        ])
        .arg(format!("--datadir={}", paths.new_data.display()))
        .arg(format!("--init-file={}", statements.display()));
    if getuid().is_root() {
        command.arg("--user=root");
    }
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("failed to run {}", config.mysqld.display()));
    fs::remove_file(&statements).context("failed to remove the first statements")?;
    let output = output?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<&str> = said.lines().rev().take(8).collect();
        let end: Vec<&str> = lines.into_iter().rev().collect();
        bail!("the data directory could not be made: {}", end.join("\n"));
    }
    let new_data = paths.new_data.clone();
    tokio::task::spawn_blocking(move || sync_all(&new_data))
        .await?
        .context("failed to sync the data directory")?;
    fs::rename(&paths.new_data, &paths.data).context("failed to move the data directory")?;
    super::store::sync_folder(&config.volume)?;
    Ok(())
}

fn sync_all(folder: &std::path::Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            fs::File::open(entry.path())?.sync_all()?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

/// Writes a file that nobody else may read.
///
/// # Errors
/// When the disk refuses.
pub fn private_file(path: &std::path::Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("failed to write {}", path.display()))?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("failed to write {}", path.display()))
}

/// A server that was started.
#[derive(Debug)]
pub struct Mysqld {
    child: Child,
    started: Instant,
}

impl Mysqld {
    /// Writes the option file and starts the server, with statements that it runs before it lets anybody in.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn start(config: &Config, statements: Option<&str>) -> Result<Self> {
        let paths = Paths::of(config);
        private_file(&paths.options, &option_file(config, getuid().is_root()))?;
        let mut command = Command::new(&config.mysqld);
        command.arg(format!("--defaults-file={}", paths.options.display()));
        if let Some(statements) = statements {
            private_file(&paths.statements, statements)?;
            command.arg(format!("--init-file={}", paths.statements.display()));
        }
        let child = command
            // The server then ends with code 16 where it wants to be started again.
            .env("MYSQLD_PARENT_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", config.mysqld.display()))?;
        Ok(Self {
            child,
            started: Instant::now(),
        })
    }

    /// Waits until it has ended. May be dropped and called again.
    ///
    /// # Errors
    /// When the system does not say.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.context("failed to wait for mysqld")
    }

    /// Ends it at once. What was acknowledged is on disk.
    pub fn kill(&mut self) {
        if let Err(error) = self.child.start_kill() {
            tracing::warn!(%error, "mysqld could not be killed");
        }
    }

    /// Asks it to shut down.
    pub fn terminate(&self) {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            tracing::warn!(%error, "mysqld could not be asked to shut down");
        }
    }

    /// Whether it ran so long that an end now is none of a row.
    #[must_use]
    pub fn was_stable(&self) -> bool {
        self.started.elapsed() >= STABLE
    }
}

/// How long to wait before the next start, after so many ends in a row.
#[must_use]
pub fn pause(ends: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32 << ends.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PAUSE, pause};
    use std::time::Duration;

    #[test]
    fn the_first_restart_is_at_once_and_a_row_of_crashes_slows_down() {
        assert!(pause(1) < Duration::from_secs(1));
        assert!(pause(4) > pause(3));
        assert_eq!(pause(60), LONGEST_PAUSE);
    }
}
