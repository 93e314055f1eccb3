//! Verification: the newest backup is restored for trial, with everything that is archived, and compared with a running member.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::mysql::MySqlConnectOptions;
use tokio::process::Command;

use super::catalogue::{Catalogue, Verified, verified_key};
use super::checksum::{Checkpoint, all_tables, checkpoint, differences};
use super::error::BackupError;
use super::plan::Until;
use super::progress::Progress;
use super::restore::{RestoreOptions, Restored, restore};
use super::server::{Scratch, ServerOptions};
use super::store::StoreError;

/// How long it may take until what a member has executed is archived.
const ARCHIVED_LIMIT: Duration = Duration::from_mins(10);
const POLL: Duration = Duration::from_secs(1);
const CHECK_LIMIT: Duration = Duration::from_hours(2);

/// What is verified, and how.
#[derive(Clone)]
pub struct VerifyOptions {
    /// Servers of our own.
    pub server: ServerOptions,
    /// A folder with room for all data. What is made there goes at the end.
    pub work: PathBuf,
    /// A running member, best a secondary: its tables are compared with the restored ones. Without one, tables are compared with
    /// their checksums in the manifest alone.
    pub member: Option<MySqlConnectOptions>,
    /// A program that looks at the restored shop, with its arguments; `PANONO_DATABASE_WRITER_URL` leads it there. It fails when
    /// something is wrong.
    pub check: Option<CheckProgram>,
}

/// A program that looks at a restored shop.
#[derive(Clone, Debug)]
pub struct CheckProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The database of the shop.
    pub database: String,
}

/// Verifies the newest backup and notes at the target what was found.
///
/// # Errors
/// When there is no backup, or what was found cannot be noted. That a backup is bad is no error, but in the answer.
pub async fn verify(
    catalogue: &Catalogue,
    options: &VerifyOptions,
    progress: &Progress,
) -> Result<Verified, BackupError> {
    let listed = catalogue.backups().await?;
    let newest = listed
        .iter()
        .rev()
        .find(|backup| backup.complete)
        .ok_or_else(|| BackupError::NoBackup("none is complete at this target".to_owned()))?;
    let result = Box::pin(attempt(catalogue, options, progress, &newest.id)).await;
    let at = Timestamp::now();
    let verified = match result {
        Ok((restored, tables)) => Verified {
            backup: newest.id.clone(),
            at,
            passed: true,
            message: String::new(),
            executed: restored.executed,
            restore_seconds: restored.seconds,
            tables,
        },
        // That it could not be tried says nothing of the backup.
        Err(error) if !is_finding(&error) => return Err(error),
        Err(error) => Verified {
            backup: newest.id.clone(),
            at,
            passed: false,
            message: error.to_string(),
            executed: crate::gtid::GtidSet::default(),
            restore_seconds: 0.0,
            tables: 0,
        },
    };
    catalogue
        .put(&verified_key(&newest.id), &verified, Vec::new())
        .await?;
    tracing::info!(
        backup = verified.backup,
        passed = verified.passed,
        message = verified.message,
        restore_seconds = verified.restore_seconds,
        "the backup was verified"
    );
    Ok(verified)
}

/// Whether an error says something of the backup. A server of our own that fails does not: what it is started on was compared,
/// byte by byte, with what such a server has left.
fn is_finding(error: &BackupError) -> bool {
    match error {
        BackupError::Store(error) => matches!(error, StoreError::Missing(_)),
        BackupError::Seal { .. }
        | BackupError::Damaged { .. }
        | BackupError::NoBackup(_)
        | BackupError::Gap { .. }
        | BackupError::Short { .. }
        | BackupError::Unsound(_)
        | BackupError::Differs(_)
        | BackupError::Check(_) => true,
        BackupError::Key(_)
        | BackupError::Disk { .. }
        | BackupError::Binlog { .. }
        | BackupError::Sql { .. }
        | BackupError::Server { .. }
        | BackupError::Occupied(_)
        | BackupError::Purged(_)
        | BackupError::Undecided(_)
        | BackupError::Stopped => false,
    }
}

async fn attempt(
    catalogue: &Catalogue,
    options: &VerifyOptions,
    progress: &Progress,
    id: &str,
) -> Result<(Restored, usize), BackupError> {
    let manifest = catalogue.manifest(id).await?;
    let live = match &options.member {
        None => None,
        Some(member) => {
            let live = checkpoint(member, &manifest.executed, progress).await?;
            archived(catalogue, &live, progress).await?;
            Some(live)
        }
    };
    let run = options.work.join(format!("v{:08x}", rand::random::<u32>()));
    std::fs::create_dir_all(&run).map_err(BackupError::disk("make the folder", &run))?;
    let restoring = RestoreOptions {
        server: options.server.clone(),
        data: run.join("data"),
        until: live
            .as_ref()
            .map_or(Until::End, |live| Until::Set(live.executed.clone())),
        backup: Some(id.to_owned()),
        replace: false,
        compare: true,
    };
    let result = Box::pin(examine(catalogue, options, progress, &restoring, live)).await;
    std::fs::remove_dir_all(&run).map_err(BackupError::disk("remove the folder", &run))?;
    result
}

async fn examine(
    catalogue: &Catalogue,
    options: &VerifyOptions,
    progress: &Progress,
    restoring: &RestoreOptions,
    live: Option<Checkpoint>,
) -> Result<(Restored, usize), BackupError> {
    let restored = Box::pin(restore(catalogue, restoring, progress)).await?;
    let mut compared = restored.compared;
    let run = restoring.data.parent().unwrap_or(&options.work);
    if let Some(live) = live {
        let arguments = ["--skip-grant-tables".to_owned()];
        let server = Scratch::start(&options.server, &restoring.data, run, &arguments).await?;
        let mut connection = server.connect().await?;
        let tables = all_tables(&mut connection, progress).await?;
        let different = differences(&live.tables, &tables);
        drop(connection);
        server.stop().await?;
        if !different.is_empty() {
            return Err(BackupError::Differs(different.join(", ")));
        }
        compared = tables.len();
    }
    if let Some(check) = &options.check {
        progress.set("Checking", 0, 0);
        examine_shop(options, check, restoring, run).await?;
    }
    Ok((restored, compared))
}

/// Waits until everything that a member had is archived.
async fn archived(
    catalogue: &Catalogue,
    live: &Checkpoint,
    progress: &Progress,
) -> Result<(), BackupError> {
    let deadline = Instant::now() + ARCHIVED_LIMIT;
    loop {
        progress.set("AwaitingArchive", 0, 0);
        let heads = catalogue.heads().await?;
        let missing = heads.iter().fold(live.executed.clone(), |missing, head| {
            missing.subtract(&head.executed)
        });
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(BackupError::Undecided(format!(
                "{missing} was not archived within ten minutes"
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Runs the program on the restored shop, reached over loopback by a user who exists in this copy alone.
async fn examine_shop(
    options: &VerifyOptions,
    check: &CheckProgram,
    restoring: &RestoreOptions,
    run: &Path,
) -> Result<(), BackupError> {
    let password = format!("{:032x}", rand::random::<u128>());
    let statements = run.join("user.sql");
    std::fs::write(
        &statements,
        format!(
            "CREATE USER 'panono_verify'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO 'panono_verify'@'127.0.0.1';\n"
        ),
    )
    .map_err(BackupError::disk("write", &statements))?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(BackupError::disk("find a port for", run))?
        .port();
    let arguments = [
        "--bind-address=127.0.0.1".to_owned(),
        format!("--port={port}"),
        format!("--init-file={}", statements.display()),
    ];
    let login = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(port)
        .username("panono_verify")
        .password(&password);
    let mut server =
        Scratch::start_as(&options.server, &restoring.data, run, &arguments, login).await?;
    let url = format!(
        "mysql://panono_verify:{password}@127.0.0.1:{port}/{}",
        check.database
    );
    let running = Command::new(&check.program)
        .args(&check.arguments)
        .env("PANONO_DATABASE_WRITER_URL", url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(CHECK_LIMIT, running)
        .await
        .map_err(|_| BackupError::Undecided("the check does not end".to_owned()))?
        .map_err(BackupError::disk("run", &check.program))?;
    let served = server.alive("serve the check");
    server.kill().await?;
    if output.status.success() {
        return Ok(());
    }
    // Who was killed, or had nobody to ask, has found nothing.
    served?;
    if output.status.code().is_none() {
        return Err(BackupError::Undecided(format!(
            "the check was killed ({})",
            output.status
        )));
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let words: String = text.chars().take(2000).collect();
    Err(BackupError::Check(format!(
        "{}: {}",
        output.status,
        words.trim()
    )))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::gtid::GtidSet;

    #[test]
    fn only_what_is_wrong_with_a_backup_is_held_against_it() {
        let words = || "words".to_owned();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let server = |action| BackupError::Server {
            action,
            detail: words(),
        };
        for error in [
            BackupError::disk("write", Path::new("/scratch/ibdata1"))(full()),
            BackupError::sql("reach the member")(sqlx::Error::PoolClosed),
            BackupError::Undecided(words()),
            server("start"),
            server("apply the archive"),
            BackupError::Store(StoreError::TooMany),
        ] {
            assert!(!is_finding(&error), "{error}");
        }
        for error in [
            BackupError::damaged("backups/a/part-000001", words()),
            BackupError::Store(StoreError::Missing(words())),
            BackupError::Gap {
                missing: GtidSet::default(),
                reached: Timestamp::UNIX_EPOCH,
            },
            BackupError::Unsound(words()),
            BackupError::Differs(words()),
            BackupError::Check(words()),
        ] {
            assert!(is_finding(&error), "{error}");
        }
    }
}
