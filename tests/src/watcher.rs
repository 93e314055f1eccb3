//! A process that ends what this one leaves behind.
//!
//! Values in statics are never dropped and a killed program drops nothing, so clearing up cannot be left to `Drop`. The
//! watcher reads from a pipe whose other end only this process holds: the end of the input is the end of this process,
//! whatever the cause, and then every process group still on the list is killed and every folder removed.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result};

// The lists are words separated by blanks: a group is a number and our folders have no blanks in their names. The watcher
// is a shell because it must survive us and be there on every machine.
const SCRIPT: &str = r#"
groups=' ' folders=' ' networks= mounts=
while read -r verb value; do
  case $verb in
  group) groups="$groups$value " ;;
  ended) groups="${groups%% $value *} ${groups#* $value }" ;;
  folder) folders="$folders$value " ;;
  network) networks="$networks$value " ;;
  mount) mounts="$mounts$value " ;;
  removed) folders="${folders%% $value *} ${folders#* $value }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
for network in $networks; do
  ip link del "$network" 2>/dev/null
  for namespace in /run/netns/"$network"-*; do ip netns del "${namespace##*/}" 2>/dev/null; done
done
for mount in $mounts; do umount -l "$mount" 2>/dev/null; done
for folder in $folders; do
  # A process that was just killed may still be writing its last file.
  for attempt in 1 2 3 4 5; do rm -rf "$folder" && break; sleep 0.2; done
done
"#;

static WATCHER: OnceLock<Mutex<Child>> = OnceLock::new();

fn start() -> Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        // Out of our group: an interrupt typed at the terminal ends us, and the watcher then does its work.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start the watcher, a /bin/sh")
}

fn tell(line: &str) -> Result<()> {
    let watcher = match WATCHER.get() {
        Some(watcher) => watcher,
        None => {
            // Two threads may both start one; the spare reads the end of its input at once and goes.
            let new = start()?;
            WATCHER.get_or_init(|| Mutex::new(new))
        }
    };
    let mut watcher = watcher
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let input = watcher.stdin.as_mut().context("the watcher has no input")?;
    input
        .write_all(line.as_bytes())
        .context("the watcher is gone")
}

/// Starts the watcher, so that the first process is not alone for the time that this takes.
pub fn prepare() -> Result<()> {
    tell("\n")
}

/// The process group is to be killed when this process ends.
pub fn group_started(group: u32) -> Result<()> {
    tell(&format!("group {group}\n"))
}

/// The process group has ended; its number may be given to somebody else.
pub fn group_ended(group: u32) -> Result<()> {
    tell(&format!("ended {group}\n"))
}

/// The folder is to be removed when this process ends.
pub fn folder_made(path: &Path) -> Result<()> {
    tell(&format!("folder {}\n", path.display()))
}

/// The bridge of this name is to be removed when this process ends, with the namespaces whose names begin with it.
pub fn network_made(name: &str) -> Result<()> {
    tell(&format!("network {name}\n"))
}

/// What is mounted over this folder is to be removed when this process ends.
pub fn mount_made(path: &Path) -> Result<()> {
    tell(&format!("mount {}\n", path.display()))
}

/// The folder is no more.
pub fn folder_removed(path: &Path) -> Result<()> {
    tell(&format!("removed {}\n", path.display()))
}
