//! An initialised data directory, made once and copied for every server.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{PASSWORD, ROOT, USER};
use crate::process::lock_file;
use crate::tools;

/// Accounts that every member has before it joins a group. Nothing is in the binary log while a data directory is
/// initialised, so no member owns transactions that the group does not have.
fn accounts() -> String {
    format!(
        "ALTER USER '{ROOT}'@'localhost' IDENTIFIED BY '{PASSWORD}';\n\
         CREATE USER '{ROOT}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL ON *.* TO '{ROOT}'@'%' WITH GRANT OPTION;\n\
         CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL ON `%`.* TO '{USER}'@'%';\n\
         GRANT SELECT ON performance_schema.* TO '{USER}'@'%';\n\
         GRANT PROCESS, REPLICATION CLIENT ON *.* TO '{USER}'@'%';\n"
    )
}

/// Options of the initialisation: small files, and no waiting for a disk that is not relied on.
const OPTIONS: [&str; 5] = [
    "--initialize-insecure",
    "--innodb-redo-log-capacity=16M",
    "--innodb-doublewrite=OFF",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
];

/// The argument that `mysqld` wants from root before it runs as root.
pub fn user_option() -> Option<&'static str> {
    rustix::process::getuid().is_root().then_some("user=root")
}

/// Copies an initialised data directory to `target`, which does not exist yet. The first call on a machine initialises it,
/// which takes some seconds; other programs that ask meanwhile wait for it.
///
/// # Errors
/// When the program is missing, the initialisation fails (with its log) or the disk is full.
pub fn copy_to(target: &Path) -> Result<()> {
    let template = template()?;
    copy_folder(&template, target).with_context(|| format!("failed to copy {}", template.display()))
}

fn template() -> Result<PathBuf> {
    let mysqld = tools::program("mysqld")?;
    let version = Command::new(&mysqld)
        .arg("--version")
        .output()
        .context("failed to run mysqld --version")?;
    let mut hasher = DefaultHasher::new();
    (&version.stdout, accounts(), OPTIONS, user_option()).hash(&mut hasher);
    let cache = tools::folder().join("cache");
    std::fs::create_dir_all(&cache)
        .with_context(|| format!("failed to make {}", cache.display()))?;
    let path = cache.join(format!("mysql-data-{:016x}", hasher.finish()));
    let _lock = lock_file(&cache.join("mysql-data.lock"))?;
    if !path.exists() {
        let unfinished = cache.join("mysql-data.new");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)
                .context("failed to remove an unfinished data directory")?;
        }
        initialise(&mysqld, &unfinished)?;
        std::fs::rename(&unfinished, &path)
            .context("failed to move the data directory to its place")?;
    }
    Ok(path)
}

fn initialise(mysqld: &Path, path: &Path) -> Result<()> {
    let statements = path.with_extension("sql");
    std::fs::write(&statements, accounts()).context("failed to write the accounts")?;
    let output = Command::new(mysqld)
        .args(OPTIONS)
        .args(user_option().map(|option| format!("--{option}")))
        .arg(format!("--datadir={}", path.display()))
        .arg(format!("--init-file={}", statements.display()))
        .output()
        .context("failed to run mysqld")?;
    if !output.status.success() {
        bail!(
            "mysqld could not initialise {}:\n{}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // Each copy gets an identity of its own at its first start.
    std::fs::remove_file(path.join("auto.cnf"))
        .context("failed to remove the server's identity")?;
    std::fs::remove_file(&statements).context("failed to remove the accounts' statements")
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
