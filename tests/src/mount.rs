//! Volumes that can be full: file systems in memory of a size of their own.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A file system of so many MiB over a folder. It goes with this value, or when the program is killed.
#[derive(Debug)]
pub struct SmallVolume {
    path: PathBuf,
}

impl SmallVolume {
    /// Makes it, where this machine allows it.
    ///
    /// # Errors
    /// When it allows it, and it fails.
    pub fn over(path: &Path, mib: u32) -> Result<Option<Self>> {
        if !rustix::process::getuid().is_root() {
            return Ok(None);
        }
        crate::watcher::mount_made(path)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(path)
            .output()
            .context("failed to run mount")?;
        let refused = String::from_utf8_lossy(&mounted.stderr).to_lowercase();
        // A container may be without the right to.
        if refused.contains("permission denied") || refused.contains("not permitted") {
            return Ok(None);
        }
        ensure!(mounted.status.success(), "mount: {refused}");
        Ok(Some(Self {
            path: path.to_owned(),
        }))
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Writes a file until there is no space left.
    ///
    /// # Errors
    /// When something else is wrong with the disk.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(self.ballast())
            .context("failed to open the ballast")?;
        for size in [1 << 20, 4096, 1] {
            let piece = vec![1; size];
            loop {
                match file.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("failed to write the ballast"),
                }
            }
        }
        Ok(())
    }

    /// Removes that file.
    ///
    /// # Errors
    /// When there is none.
    pub fn free(&self) -> Result<()> {
        std::fs::remove_file(self.ballast()).context("failed to remove the ballast")
    }
}

impl Drop for SmallVolume {
    fn drop(&mut self) {
        // Lazily: its files may be open still.
        Command::new("umount")
            .arg("-l")
            .arg(&self.path)
            .output()
            .ok();
    }
}
