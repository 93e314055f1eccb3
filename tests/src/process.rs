//! Child processes and their folders. Neither outlives the program that made them, however that program ends.

use std::fs::{File, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group,
    test_kill_process_group, waitid,
};

use crate::wait::{Probed, wait_until};
use crate::watcher;

/// How long the members of a killed group may take to disappear. They cannot refuse; the kernel has to take back memory.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A private folder for a server or a test. Removed with this value, or at the end of the program.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes an empty folder with `name` in its name, which has letters and digits only. Its path is short enough for Unix
    /// sockets in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let made = tempfile::Builder::new()
            .prefix(&format!("panono-{name}-"))
            .tempdir()
            .context("failed to make a private folder")?;
        if made.path().to_string_lossy().contains(char::is_whitespace) {
            bail!(
                "the folder for temporary files has a blank in its name: set TMPDIR to another one"
            );
        }
        watcher::folder_made(made.path())?;
        Ok(Self { path: made.keep() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.path).is_ok() {
            watcher::folder_removed(&self.path).ok();
        }
    }
}

/// A child process with all that it starts in turn (its process group), writing to a log file. All of it is killed when this
/// value is dropped, and when this program ends. A test that fails prints the end of the logs of its processes.
#[derive(Debug)]
pub struct Process {
    name: String,
    /// Nothing once it was killed and waited for: its number may then be somebody else's.
    child: Mutex<Option<Child>>,
    group: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with nothing to read and with its output appended to `log`. `name` is for messages.
    ///
    /// # Errors
    /// When the program cannot be started or the log not be written.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        watcher::prepare()?;
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("failed to write {}", log.display()))?;
        let errors = output.try_clone().context("failed to share the log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| {
                format!(
                    "failed to start {name}: {}",
                    command.get_program().display()
                )
            })?;
        let group = Pid::from_child(&child);
        watcher::group_started(child.id())?;
        Ok(Self {
            name: name.to_owned(),
            child: Mutex::new(Some(child)),
            group,
            log: log.to_path_buf(),
        })
    }

    /// Its process id, which is also that of its group.
    pub fn id(&self) -> u32 {
        self.group.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it was named at its start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, or nothing while it runs. It stays known to the system until [`Process::kill`] or the drop.
    ///
    /// # Errors
    /// When it was killed by [`Process::kill`], or the system does not say.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        if self.child().is_none() {
            bail!("{} was killed", self.name);
        }
        // Not `Child::try_wait`, which would give the number of the group back while others may still be in it.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.group), options)
            .context("failed to ask for the state of a child process")?;
        Ok(status.map(exit_status))
    }

    /// Fails with the end of the log when the process has ended. For use inside of waits: what has ended never gets ready.
    ///
    /// # Errors
    /// When it has ended.
    pub fn must_run(&self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.log_tail(30)),
        }
    }

    /// Waits until `probe` finds that the server in this process is ready for use; see [`wait_until`]. What has ended is not
    /// waited for any longer.
    ///
    /// # Errors
    /// When the process ended, with the end of its log, or `limit` has passed.
    pub async fn ready<P: Probed>(
        &self,
        what: &str,
        limit: Duration,
        mut probe: impl AsyncFnMut() -> P,
    ) -> Result<P::Found> {
        let found = wait_until(what, limit, async || match self.must_run() {
            Ok(()) => probe().await.found().map(Ok),
            Err(ended) => Ok(Err(ended)),
        });
        match found.await {
            Ok(found) => found,
            Err(error) => Err(error.context(format!("end of its log:\n{}", self.log_tail(30)))),
        }
    }

    /// Sends a signal to the whole group.
    ///
    /// # Errors
    /// When there is no process left in it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.child().is_none() {
            bail!("{} was killed", self.name);
        }
        kill_process_group(self.group, signal)
            .with_context(|| format!("failed to signal {}", self.name))
    }

    /// Stops it in the middle of whatever it does, as a long pause of a machine would (SIGSTOP).
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Process::pause`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills all of it at once (SIGKILL) and returns when nothing of it is left.
    ///
    /// # Errors
    /// When something of it is left after a long time.
    pub fn kill(&self) -> Result<()> {
        let Some(mut child) = self.child().take() else {
            return Ok(());
        };
        kill_process_group(self.group, Signal::KILL)
            .with_context(|| format!("failed to kill {}", self.name))?;
        child
            .wait()
            .context("failed to wait for a killed process")?;
        let start = Instant::now();
        while test_kill_process_group(self.group).is_ok() {
            if start.elapsed() > KILL_LIMIT {
                bail!(
                    "{} was killed but some of it is left in process group {}",
                    self.name,
                    self.id()
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        watcher::group_ended(self.id())
    }

    /// Asks it to end (SIGTERM) and waits for that; returns how it ended.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub async fn terminate(&self, limit: Duration) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            kill_process(self.group, Signal::TERM)
                .with_context(|| format!("failed to end {}", self.name))?;
        }
        self.wait(limit).await
    }

    /// Waits until it has ended by itself; returns how it ended.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub async fn wait(&self, limit: Duration) -> Result<ExitStatus> {
        wait_until(&format!("the end of {}", self.name), limit, async || {
            self.ended()?.with_context(|| "it runs")
        })
        .await
    }

    /// All that it has written.
    pub fn log_text(&self) -> String {
        std::fs::read(&self.log).map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The last lines that it has written.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = self.log_text();
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Prints the end of the log, for a test that has failed.
    pub fn print_log_tail(&self) {
        eprintln!(
            "--- end of the log of {} ---\n{}",
            self.name,
            self.log_tail(40)
        );
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_log_tail();
        }
        if let Err(error) = self.kill() {
            eprintln!("{error:#}");
        }
    }
}

fn exit_status(status: WaitIdStatus) -> ExitStatus {
    // The layout of a raw status: the exit code in the second byte, or the signal in the first.
    ExitStatus::from_raw(match status.exit_status() {
        Some(code) => code << 8,
        None => status.terminating_signal().unwrap_or(0),
    })
}

/// A lock on a file between programs, held as long as the value lives.
///
/// # Errors
/// When the file cannot be made or locked.
pub fn lock_file(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("failed to make {}", path.display()))?;
    file.lock()
        .with_context(|| format!("failed to lock {}", path.display()))?;
    Ok(file)
}

/// Mebibytes of memory that a process holds (`VmRSS`).
///
/// # Errors
/// When the system does not say.
pub fn resident_mib(id: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))
        .context("failed to read the state of the process")?;
    let kibibytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse().ok())
        .context("the system does not say how much memory the process holds")?;
    Ok(kibibytes / 1024.0)
}
