//! The commands, as they run in Jobs and beside a member.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use super::archive::Archiver;
use super::catalogue::Catalogue;
use super::error::BackupError;
use super::full::{Donor, FullOptions, take};
use super::plan::Until;
use super::progress::Progress;
use super::prune::prune;
use super::restore::{RestoreOptions, restore};
use super::retention::Retention;
use super::seal::Key;
use super::server::ServerOptions;
use super::store::{Store, StoreError};
use super::verify::{CheckProgram, VerifyOptions, verify};
use crate::gtid::Gtid;

/// Where backups are.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// `file:///folder`, or `s3://bucket/prefix?region=…&endpoint=https://…` with keys in AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY, or in files that these with _FILE name
    #[arg(long, env = "PANONO_BACKUP_TARGET")]
    target: String,
    /// A file with the key: 64 hexadecimal digits. Without this key no backup can be read
    #[arg(long, env = "PANONO_BACKUP_KEY_FILE")]
    key_file: PathBuf,
}

impl TargetArgs {
    /// Opens the target.
    ///
    /// # Errors
    /// When it is not understood, or the key cannot be read.
    pub fn open(&self) -> Result<Catalogue, BackupError> {
        let key = secret(&self.key_file)?;
        Ok(Catalogue {
            store: Store::open(&self.target, |name| std::env::var(name).ok())?,
            key: Key::parse(&key).map_err(BackupError::Key)?,
        })
    }
}

/// A running member.
#[derive(Debug, Args)]
pub struct MemberArgs {
    /// The member, as `host:port`; best a secondary
    #[arg(long, env = "PANONO_BACKUP_MEMBER")]
    member: String,
    /// Its user: with BACKUP_ADMIN for full backups, REPLICATION CLIENT for the archive, and RELOAD and SELECT for verifications
    #[arg(long, env = "PANONO_BACKUP_USER")]
    user: String,
    /// A file with the password
    #[arg(long, env = "PANONO_BACKUP_PASSWORD_FILE")]
    password_file: PathBuf,
}

impl MemberArgs {
    fn address(&self) -> Result<(String, u16), BackupError> {
        let wrong = || {
            let detail = format!("{:?} is no member; write host:port", self.member);
            super::server::failed("reach the member", detail)
        };
        let (host, port) = self.member.rsplit_once(':').ok_or_else(wrong)?;
        Ok((host.to_owned(), port.parse().map_err(|_| wrong())?))
    }

    fn options(&self) -> Result<MySqlConnectOptions, BackupError> {
        let (host, port) = self.address()?;
        Ok(MySqlConnectOptions::new()
            .host(&host)
            .port(port)
            .username(&self.user)
            .password(&secret(&self.password_file)?)
            .ssl_mode(MySqlSslMode::Required))
    }
}

/// Servers of our own.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The program that servers for trial and for cloning are started with
    #[arg(long, env = "PANONO_MYSQLD", default_value = "mysqld")]
    mysqld: PathBuf,
    /// Their memory for pages of tables, in MiB
    #[arg(long, env = "PANONO_BACKUP_MEMORY_MIB", default_value_t = 256)]
    memory_mib: u32,
}

impl ServerArgs {
    fn options(&self) -> ServerOptions {
        ServerOptions {
            program: self.mysqld.clone(),
            memory_mib: self.memory_mib,
        }
    }
}

/// What a full backup is made of.
#[derive(Debug, Args)]
pub struct TakeArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    member: MemberArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// A folder with room for all data
    #[arg(long, env = "PANONO_BACKUP_WORK")]
    work: PathBuf,
    /// Most MiB each second that the member reads and sends; 0 for as many as it can
    #[arg(long, env = "PANONO_BACKUP_BANDWIDTH_MIB", default_value_t = 0)]
    bandwidth_mib: u32,
}

/// What is archived.
#[derive(Debug, Args)]
pub struct ArchiveArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    member: MemberArgs,
    /// Seconds between two looks: the most that is lost with the whole group
    #[arg(long, env = "PANONO_BACKUP_ARCHIVE_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every_seconds: u64,
}

/// What is restored.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// The data directory that is made
    #[arg(long)]
    data: PathBuf,
    /// The last moment, as 2026-11-30T12:00:00Z; without this and the next everything that is archived
    #[arg(long, conflicts_with = "to_gtid")]
    to_time: Option<Timestamp>,
    /// The last transaction, as uuid:number
    #[arg(long)]
    to_gtid: Option<Gtid>,
    /// The backup to begin with, instead of the newest that fits
    #[arg(long)]
    backup: Option<String>,
    /// Replace what is in the folder, once the restored data is there and verified
    #[arg(long)]
    replace: bool,
    /// Compare all tables with the backup's checksums
    #[arg(long)]
    compare: bool,
}

/// What is verified.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    member: MemberArgs,
    /// A folder with room for all data
    #[arg(long, env = "PANONO_BACKUP_WORK")]
    work: PathBuf,
    /// A program that checks the shop in the restored copy, such as panono-shop
    #[arg(long, env = "PANONO_BACKUP_CHECK")]
    check: Option<PathBuf>,
    /// The shop's database
    #[arg(long, env = "PANONO_DATABASE_NAME", default_value = "panono")]
    database: String,
    /// The program's arguments
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// What is kept.
#[derive(Debug, Args)]
pub struct PruneArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Days for which any moment can be restored
    #[arg(long, env = "PANONO_BACKUP_KEEP_DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3650))]
    keep_days: u32,
    /// So many backups are kept however old they are
    #[arg(long, env = "PANONO_BACKUP_KEEP_COPIES", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    keep_copies: u32,
}

/// Backups.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Make a full backup of a member
    Take(TakeArgs),
    /// Archive what a member on this machine commits, until SIGTERM
    Archive(ArchiveArgs),
    /// Make a data directory of a backup and the archive
    Restore(RestoreArgs),
    /// Restore the newest backup for trial, compare it with a member, and note at the target what was found. Exit code 3: it is bad
    Verify(VerifyArgs),
    /// List the backups of a target
    List(TargetArgs),
    /// Delete backups that are no longer to be kept, and the archive before the oldest that is
    Prune(PruneArgs),
}

/// The exit code of a verification that found the backup bad.
pub const BAD_BACKUP: u8 = 3;

/// Runs a command and returns the exit code.
///
/// # Errors
/// When it fails.
pub async fn run(command: BackupCommand) -> Result<u8, BackupError> {
    let progress = Progress::default();
    match command {
        BackupCommand::Take(args) => {
            let (host, port) = args.member.address()?;
            let donor = Donor {
                host,
                port,
                password: secret(&args.member.password_file)?,
                user: args.member.user,
                tls: true,
            };
            let options = FullOptions {
                server: args.server.options(),
                work: args.work,
                bandwidth_mib: args.bandwidth_mib,
            };
            let catalogue = args.target.open()?;
            print(&Box::pin(take(&catalogue, &donor, &options, &progress)).await?);
        }
        BackupCommand::Archive(args) => {
            let every = Duration::from_secs(args.every_seconds);
            archive(&args.target.open()?, &args.member.options()?, every).await?;
        }
        BackupCommand::Restore(args) => {
            let options = RestoreOptions {
                server: args.server.options(),
                data: args.data,
                until: match (args.to_time, args.to_gtid) {
                    (Some(time), _) => Until::Time(time),
                    (None, Some(gtid)) => Until::Gtid(gtid),
                    (None, None) => Until::End,
                },
                backup: args.backup,
                replace: args.replace,
                compare: args.compare,
            };
            print(&Box::pin(restore(&args.target.open()?, &options, &progress)).await?);
        }
        BackupCommand::Verify(args) => {
            let options = VerifyOptions {
                server: args.server.options(),
                work: args.work,
                member: Some(args.member.options()?),
                check: args.check.map(|program| CheckProgram {
                    program,
                    arguments: args.arguments,
                    database: args.database,
                }),
            };
            let verified = Box::pin(verify(&args.target.open()?, &options, &progress)).await?;
            print(&verified);
            return Ok(if verified.passed { 0 } else { BAD_BACKUP });
        }
        BackupCommand::List(target) => list(&target.open()?).await?,
        BackupCommand::Prune(args) => {
            let retention = Retention {
                keep: SignedDuration::from_hours(24 * i64::from(args.keep_days)),
                minimum: usize::try_from(args.keep_copies).unwrap_or(1),
            };
            let pruned = prune(&args.target.open()?, retention, Timestamp::now()).await?;
            say(&format!(
                "deleted: {} backups, {} segments of the archive",
                pruned.backups.len(),
                pruned.segments
            ));
        }
    }
    Ok(0)
}

async fn archive(
    catalogue: &Catalogue,
    member: &MySqlConnectOptions,
    every: Duration,
) -> Result<(), BackupError> {
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(
            BackupError::disk("wait for", std::path::Path::new("SIGTERM")),
        )?;
    let mut archiver = None;
    loop {
        if archiver.is_none() {
            match Archiver::start(catalogue.clone(), member.clone()).await {
                Ok(started) => archiver = Some(started),
                Err(error) => tracing::error!(%error, "archiving cannot begin and is tried again"),
            }
        }
        let result = match &mut archiver {
            Some(archiver) => archiver.pass().await.map(|pass| pass.more),
            None => Ok(false),
        };
        match result {
            Ok(true) => continue,
            Ok(false) => {}
            // The member may be away, the target full: it is tried again until somebody says stop.
            Err(error) => tracing::error!(%error, "archiving failed and is tried again"),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = terminate.recv() => break,
        }
    }
    // What was committed until now is not left to the next archiver.
    if let Some(archiver) = &mut archiver {
        archiver.pass().await?;
    }
    Ok(())
}

async fn list(catalogue: &Catalogue) -> Result<(), BackupError> {
    for backup in catalogue.backups().await? {
        if !backup.complete {
            say(&format!("{}  unfinished", backup.id));
            continue;
        }
        let manifest = catalogue.manifest(&backup.id).await?;
        let verified = match catalogue.verified(&backup).await? {
            None => "not verified".to_owned(),
            Some(verified) if verified.passed => format!("verified {}", verified.at),
            Some(verified) => format!("BAD {}: {}", verified.at, verified.message),
        };
        say(&format!(
            "{}  {} bytes, stored {}  {}  {verified}",
            manifest.id, manifest.data_bytes, manifest.stored_bytes, manifest.executed
        ));
    }
    Ok(())
}

fn print(value: &impl serde::Serialize) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a line. Who reads no further has what was wanted.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn secret(path: &std::path::Path) -> Result<String, BackupError> {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| StoreError::Secret(path.to_owned(), error).into())
}
