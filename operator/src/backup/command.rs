//! The commands, as they run in Jobs and beside a member.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use super::archive::{Archiver, Pass};
use super::catalogue::Catalogue;
use super::error::BackupError;
use super::full::{Donor, FullOptions, take};
use super::job::{Report, Role, choose, install, role};
use super::plan::Until;
use super::progress::Progress;
use super::prune::prune;
use super::restore::{RestoreOptions, restore};
use super::retention::Retention;
use super::seal::Key;
use super::seed::{Seed, Todo, todo};
use super::server::ServerOptions;
use super::store::{Store, StoreError};
use super::verify::{CheckProgram, VerifyOptions, verify};
use super::vitals::Vitals;
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
    /// The member, as `host:port`; best a secondary. Of several, with commas, a secondary is taken, else the primary
    #[arg(
        long,
        env = "PANONO_BACKUP_MEMBER",
        required = true,
        value_delimiter = ','
    )]
    member: Vec<String>,
    /// Its user: with BACKUP_ADMIN for full backups, REPLICATION CLIENT for the archive, and RELOAD and SELECT for verifications
    #[arg(long, env = "PANONO_BACKUP_USER")]
    user: String,
    /// A file with the password
    #[arg(long, env = "PANONO_BACKUP_PASSWORD_FILE")]
    password_file: PathBuf,
}

impl MemberArgs {
    fn addresses(&self) -> Result<Vec<(String, u16)>, BackupError> {
        let read = |member: &String| {
            let wrong = || {
                let detail = format!("{member:?} is no member; write host:port");
                super::server::failed("reach the member", detail)
            };
            let (host, port) = member.rsplit_once(':').ok_or_else(wrong)?;
            Ok((host.to_owned(), port.parse().map_err(|_| wrong())?))
        };
        self.member.iter().map(read).collect()
    }

    /// The member that is asked.
    async fn address(&self) -> Result<(String, u16), BackupError> {
        let password = secret(&self.password_file)?;
        choose(&self.addresses()?, |host, port| {
            self.login(host, port, &password)
        })
        .await
    }

    fn login(&self, host: &str, port: u16, password: &str) -> MySqlConnectOptions {
        MySqlConnectOptions::new()
            .host(host)
            .port(port)
            .username(&self.user)
            .password(password)
            .ssl_mode(MySqlSslMode::Required)
            .disable_statement_logging()
    }

    async fn options(&self) -> Result<MySqlConnectOptions, BackupError> {
        let (host, port) = self.address().await?;
        Ok(self.login(&host, port, &secret(&self.password_file)?))
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
    /// Delete afterwards what is no longer to be kept. The backup is good when that fails
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    keep: KeepArgs,
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
    /// Only while the member is the primary of its group, so that one of all archives
    #[arg(long)]
    primary: bool,
    /// Where /metrics is served; nowhere without it
    #[arg(long, env = "PANONO_BACKUP_LISTEN")]
    listen: Option<std::net::SocketAddr>,
}

/// From which backup, and up to where.
#[derive(Debug, Args)]
pub struct PointArgs {
    /// The last moment, as 2026-11-30T12:00:00Z; without this and the next everything that is archived
    #[arg(long, conflicts_with = "to_gtid")]
    to_time: Option<Timestamp>,
    /// The last transaction, as uuid:number
    #[arg(long)]
    to_gtid: Option<Gtid>,
    /// The backup to begin with, instead of the newest that fits
    #[arg(long)]
    backup: Option<String>,
}

impl PointArgs {
    fn until(&self) -> Until {
        match (&self.to_time, &self.to_gtid) {
            (Some(time), _) => Until::Time(*time),
            (None, Some(gtid)) => Until::Gtid(gtid.clone()),
            (None, None) => Until::End,
        }
    }
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
    #[command(flatten)]
    point: PointArgs,
    /// Replace what is in the folder, once the restored data is there and verified
    #[arg(long)]
    replace: bool,
    /// Compare all tables with the backup's checksums
    #[arg(long)]
    compare: bool,
}

/// Which database is restored before it begins.
#[derive(Debug, Args)]
pub struct SeedArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// The member's volume; its data directory is data/ in it
    #[arg(long)]
    volume: PathBuf,
    /// A file that says `wanted` as long as the database has not begun
    #[arg(long)]
    state: PathBuf,
    /// The name of the pod, which ends with the member's number
    #[arg(long, env = "POD_NAME")]
    pod_name: String,
    #[command(flatten)]
    point: PointArgs,
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
    #[command(flatten)]
    keep: KeepArgs,
}

/// For how long.
#[derive(Clone, Copy, Debug, Args)]
pub struct KeepArgs {
    /// Days for which any moment can be restored
    #[arg(long, env = "PANONO_BACKUP_KEEP_DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3650))]
    keep_days: u32,
    /// So many backups are kept however old they are
    #[arg(long, env = "PANONO_BACKUP_KEEP_COPIES", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    keep_copies: u32,
}

impl KeepArgs {
    async fn prune(self, catalogue: &Catalogue) -> Result<(), BackupError> {
        let retention = Retention {
            keep: SignedDuration::from_hours(24 * i64::from(self.keep_days)),
            minimum: usize::try_from(self.keep_copies).unwrap_or(1),
        };
        let pruned = prune(catalogue, retention, Timestamp::now()).await?;
        say(&format!(
            "deleted: {} backups, {} segments of the archive",
            pruned.backups.len(),
            pruned.segments
        ));
        Ok(())
    }
}

/// Where the program is put.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The folder
    #[arg(long)]
    folder: PathBuf,
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
    /// Restore a database's first data, if it has not begun; run by an init container
    Seed(SeedArgs),
    /// Put this program into a folder; run by the init container of a Job
    Install(InstallArgs),
}

/// The exit code of a verification that found the backup bad.
pub const BAD_BACKUP: u8 = 3;

/// Runs a command and returns the exit code, and what is reported.
///
/// # Errors
/// When it fails.
pub async fn run(command: BackupCommand) -> Result<(u8, Report), BackupError> {
    let progress = Progress::default();
    match command {
        BackupCommand::Take(args) => return Box::pin(taken(args, &progress)).await.map(done),
        BackupCommand::Archive(args) => archive(&args).await?,
        BackupCommand::Restore(args) => {
            let options = RestoreOptions {
                server: args.server.options(),
                data: args.data,
                until: args.point.until(),
                backup: args.point.backup,
                replace: args.replace,
                compare: args.compare,
            };
            let catalogue = args.target.open()?;
            return Box::pin(restored(&catalogue, &options, &progress))
                .await
                .map(done);
        }
        BackupCommand::Seed(args) => {
            let seed = Seed {
                volume: args.volume,
                state: args.state,
                pod_name: args.pod_name,
            };
            let data = match todo(&seed)? {
                Todo::Restore(data) => data,
                Todo::Nothing(why) => {
                    say(&format!("nothing is restored: {why}"));
                    return Ok(done(Report::default()));
                }
            };
            let options = RestoreOptions {
                server: args.server.options(),
                data,
                until: args.point.until(),
                backup: args.point.backup,
                replace: false,
                compare: true,
            };
            let catalogue = args.target.open()?;
            return Box::pin(restored(&catalogue, &options, &progress))
                .await
                .map(done);
        }
        BackupCommand::Verify(args) => {
            let options = VerifyOptions {
                server: args.server.options(),
                work: args.work,
                member: Some(args.member.options().await?),
                check: args.check.map(|program| CheckProgram {
                    program,
                    arguments: args.arguments,
                    database: args.database,
                }),
            };
            let verified = Box::pin(verify(&args.target.open()?, &options, &progress)).await?;
            print(&verified);
            let report = Report {
                backup: Some(verified.backup.clone()),
                passed: Some(verified.passed),
                message: Some(verified.message.clone()).filter(|words| !words.is_empty()),
                tables: Some(verified.tables),
                restore_seconds: Some(verified.restore_seconds),
                ..Report::default()
            };
            let code = if verified.passed { 0 } else { BAD_BACKUP };
            return Ok((code, report.with_set(&verified.executed)));
        }
        BackupCommand::List(target) => list(&target.open()?).await?,
        BackupCommand::Prune(args) => args.keep.prune(&args.target.open()?).await?,
        BackupCommand::Install(args) => install(&args.folder)?,
    }
    Ok(done(Report::default()))
}

fn done(report: Report) -> (u8, Report) {
    (0, report)
}

async fn restored(
    catalogue: &Catalogue,
    options: &RestoreOptions,
    progress: &Progress,
) -> Result<Report, BackupError> {
    let restored = Box::pin(restore(catalogue, options, progress)).await?;
    print(&restored);
    let report = Report {
        backup: Some(restored.backup.clone()),
        tables: Some(restored.compared),
        restore_seconds: Some(restored.seconds),
        ..Report::default()
    };
    Ok(report.with_set(&restored.executed))
}

async fn taken(args: TakeArgs, progress: &Progress) -> Result<Report, BackupError> {
    let (host, port) = args.member.address().await?;
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
    let manifest = Box::pin(take(&catalogue, &donor, &options, progress)).await?;
    print(&manifest);
    let mut report = Report {
        backup: Some(manifest.id.clone()),
        taken_at: Some(manifest.taken_at.to_string()),
        bytes: Some(manifest.data_bytes),
        stored_bytes: Some(manifest.stored_bytes),
        ..Report::default()
    }
    .with_set(&manifest.executed);
    if args.prune
        && let Err(error) = args.keep.prune(&catalogue).await
    {
        tracing::error!(%error, "what is no longer to be kept could not be deleted");
        report.message = Some(format!(
            "it was made, but what is no longer to be kept could not be deleted: {error}"
        ));
    }
    Ok(report)
}

async fn archive(args: &ArchiveArgs) -> Result<(), BackupError> {
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(
            BackupError::disk("wait for", std::path::Path::new("SIGTERM")),
        )?;
    let every = Duration::from_secs(args.every_seconds);
    let vitals = Arc::new(Vitals::default());
    if let Some(listen) = args.listen {
        super::vitals::serve(&vitals, listen)?;
    }
    let mut archiver = None;
    loop {
        let at = Timestamp::now();
        match Box::pin(pass(args, &mut archiver)).await {
            Ok(None) => vitals.resting(),
            Ok(Some(pass)) => {
                vitals.passed(&pass, at);
                if pass.more {
                    continue;
                }
            }
            // The member may be away, the target full: it is tried again until somebody says stop.
            Err(error) => {
                vitals.failed();
                // With what is at the target and in the files of passwords and keys by then.
                archiver = None;
                tracing::error!(%error, "archiving failed and is tried again");
            }
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

/// One pass; nothing where another member is to archive.
async fn pass(
    args: &ArchiveArgs,
    archiver: &mut Option<Archiver>,
) -> Result<Option<Pass>, BackupError> {
    // Read anew where nothing goes on: passwords and keys may have been replaced.
    if args.primary || archiver.is_none() {
        let member = args.member.options().await?;
        if args.primary {
            let mut connection = member
                .connect()
                .await
                .map_err(BackupError::sql("reach the member"))?;
            if role(&mut connection).await? != Role::Primary {
                // The archive of the next term begins with what the primary of this one has archived.
                *archiver = None;
                return Ok(None);
            }
        }
        if archiver.is_none() {
            *archiver = Some(Archiver::start(args.target.open()?, member).await?);
        }
    }
    match archiver {
        Some(archiver) => archiver.pass().await.map(Some),
        None => Ok(None),
    }
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
