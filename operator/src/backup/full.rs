//! A full backup: a server of our own clones a member, is shut down, and its data directory goes to the target.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use sqlx::mysql::MySqlConnection;
use tokio::sync::mpsc;

use super::catalogue::{
    Catalogue, FORMAT, Manifest, PartHeader, PartSum, manifest_key, new_id, part_key,
};
use super::checksum::all_tables;
use super::error::BackupError;
use super::pack::{Packed, pack};
use super::progress::Progress;
use super::seal::{hex, seal, sha256};
use super::server::{Scratch, ServerOptions, executed, failed, initialise, quoted, run};

/// Bytes of a piece before it is sealed.
const PART: usize = 16 * 1024 * 1024;
/// Pieces that are sent at a time.
const SENT_AT_ONCE: usize = 3;
const COMPRESSION: i32 = 1;
const POLL: Duration = Duration::from_millis(500);
/// A clone that has copied nothing for so long is given up.
const STALLED: Duration = Duration::from_mins(10);

/// The member that is cloned.
#[derive(Clone)]
pub struct Donor {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// A user with the privilege `BACKUP_ADMIN`.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Whether TLS is asked for.
    pub tls: bool,
}

impl std::fmt::Debug for Donor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Donor({}@{}:{})",
            self.user, self.host, self.port
        )
    }
}

/// How a backup is made.
#[derive(Clone, Debug)]
pub struct FullOptions {
    /// Servers of our own.
    pub server: ServerOptions,
    /// A folder for their data, with room for all of it. What is made there goes at the end.
    pub work: PathBuf,
    /// Most MiB each second that the donor reads and sends; 0 for as many as it can.
    pub bandwidth_mib: u32,
}

/// Makes a full backup of a member and returns its manifest, which is also at the target.
///
/// # Errors
/// When the member cannot be cloned or the target fails. What is at the target then is no backup, since the manifest is missing.
pub async fn take(
    catalogue: &Catalogue,
    donor: &Donor,
    options: &FullOptions,
    progress: &Progress,
) -> Result<Manifest, BackupError> {
    let started_at = Timestamp::now();
    let id = new_id(started_at);
    std::fs::create_dir_all(&options.work)
        .map_err(BackupError::disk("make the folder", &options.work))?;
    let work = options.work.join(format!("b{:08x}", rand::random::<u32>()));
    std::fs::create_dir(&work).map_err(BackupError::disk("make the folder", &work))?;
    let result = Box::pin(within(
        catalogue,
        donor,
        options,
        progress,
        &work,
        (id, started_at),
    ))
    .await;
    let removed = std::fs::remove_dir_all(&work);
    let manifest = result?;
    removed.map_err(BackupError::disk("remove the folder", &work))?;
    Ok(manifest)
}

async fn within(
    catalogue: &Catalogue,
    donor: &Donor,
    options: &FullOptions,
    progress: &Progress,
    work: &Path,
    (id, started_at): (String, Timestamp),
) -> Result<Manifest, BackupError> {
    let data = work.join("data");
    Box::pin(clone(donor, options, progress, work, &data)).await?;
    let taken_at = Timestamp::now();

    progress.set("Recovering", 0, 0);
    let arguments = ["--skip-grant-tables".to_owned()];
    let server = Scratch::start(&options.server, &data, work, &arguments).await?;
    let mut connection = server.connect().await?;
    let executed = executed(&mut connection).await?;
    let server_version: String = sqlx::query_scalar("SELECT VERSION()")
        .fetch_one(&mut connection)
        .await
        .map_err(BackupError::sql("read the version"))?;
    let tables = all_tables(&mut connection, progress).await?;
    drop(connection);
    server.stop().await?;

    let sent = send(catalogue, &id, &data, progress).await?;
    let manifest = Manifest {
        format: FORMAT,
        id,
        server_version,
        donor: format!("{}:{}", donor.host, donor.port),
        started_at,
        taken_at,
        executed,
        stored_bytes: sent.parts.iter().map(|part| part.bytes).sum(),
        parts: sent.parts,
        data_bytes: sent.packed.bytes,
        sha256: sent.sha256,
        tables,
    };
    catalogue
        .put(&manifest_key(&manifest.id), &manifest, Vec::new())
        .await?;
    tracing::info!(
        backup = manifest.id,
        data_bytes = manifest.data_bytes,
        stored_bytes = manifest.stored_bytes,
        executed = %manifest.executed,
        "the backup is complete"
    );
    Ok(manifest)
}

async fn clone(
    donor: &Donor,
    options: &FullOptions,
    progress: &Progress,
    work: &Path,
    data: &Path,
) -> Result<(), BackupError> {
    progress.set("Preparing", 0, 0);
    let recipient = work.join("recipient");
    initialise(&options.server, &recipient).await?;
    let arguments = [
        "--plugin-load-add=mysql_clone.so".to_owned(),
        "--skip-networking".to_owned(),
        format!("--clone-max-data-bandwidth={}", options.bandwidth_mib),
        format!("--clone-max-network-bandwidth={}", options.bandwidth_mib),
    ];
    let server = Scratch::start(&options.server, &recipient, work, &arguments).await?;
    let mut connection = server.connect().await?;
    let mut watcher = server.connect().await?;
    let address = format!("{}:{}", donor.host, donor.port);
    run(
        &mut connection,
        "name the donor",
        &format!("SET GLOBAL clone_valid_donor_list = {}", quoted(&address)),
    )
    .await?;
    let statement = format!(
        "CLONE INSTANCE FROM {}@{}:{} IDENTIFIED BY {} DATA DIRECTORY = {} {}",
        quoted(&donor.user),
        quoted(&donor.host),
        donor.port,
        quoted(&donor.password),
        quoted(&data.to_string_lossy()),
        if donor.tls {
            "REQUIRE SSL"
        } else {
            "REQUIRE NO SSL"
        },
    );
    let cloning = run(&mut connection, "clone the member", &statement);
    let watching = watch_clone(&mut watcher, progress);
    tokio::select! {
        cloned = cloning => cloned?,
        stalled = watching => stalled?,
    }
    drop((connection, watcher));
    server.stop().await?;
    std::fs::remove_dir_all(&recipient).map_err(BackupError::disk("remove the folder", &recipient))
}

/// Ends only when the clone makes no progress.
async fn watch_clone(
    connection: &mut MySqlConnection,
    progress: &Progress,
) -> Result<(), BackupError> {
    let (mut last, mut since) = (0, tokio::time::Instant::now());
    loop {
        tokio::time::sleep(POLL).await;
        let (total, done): (u64, u64) = sqlx::query_as(
            "SELECT CAST(COALESCE(SUM(ESTIMATE), 0) AS UNSIGNED), CAST(COALESCE(SUM(DATA), 0) AS UNSIGNED) \
             FROM performance_schema.clone_progress",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(BackupError::sql("read the progress of the clone"))?;
        progress.set("Cloning", done, total.max(done));
        if done != last {
            (last, since) = (done, tokio::time::Instant::now());
        }
        if since.elapsed() > STALLED {
            return Err(failed(
                "clone the member",
                "nothing came for ten minutes".to_owned(),
            ));
        }
    }
}

struct Sent {
    parts: Vec<PartSum>,
    packed: Packed,
    sha256: String,
}

/// What belongs to one server, and is made anew.
fn leave_out(path: &str) -> bool {
    matches!(
        path,
        "auto.cnf" | "mysqld-auto.cnf" | "#innodb_temp" | "#clone"
    ) || (path.ends_with(".pem") && !path.contains('/'))
}

async fn send(
    catalogue: &Catalogue,
    id: &str,
    data: &Path,
    progress: &Progress,
) -> Result<Sent, BackupError> {
    let total = folder_bytes(data).map_err(BackupError::disk("read", data))?;
    progress.set("Uploading", 0, total);
    let (pieces, received) = mpsc::channel(1);
    let folder = data.to_owned();
    let seen = progress.clone();
    let packing = tokio::task::spawn_blocking(move || {
        let parts = Pieces {
            pieces,
            buffer: Vec::new(),
        };
        let encoder = zstd::stream::write::Encoder::new(parts, COMPRESSION)?;
        let mut hashing = Hashing {
            inner: encoder,
            context: ring::digest::Context::new(&ring::digest::SHA256),
        };
        let packed = pack(&folder, leave_out, &mut hashing, |done| {
            seen.set("Uploading", done, total);
        })?;
        let sha256 = hex(hashing.context.finish().as_ref());
        hashing.inner.finish()?.finish()?;
        Ok::<_, io::Error>((packed, sha256))
    });
    let sending = stream::unfold((received, 0), async |(mut received, number)| {
        let piece: Vec<u8> = received.recv().await?;
        Some(((number + 1, piece), (received, number + 1)))
    })
    .map(async |(number, piece)| {
        let key = part_key(id, number);
        let header = PartHeader {
            backup: id.to_owned(),
            number,
        };
        let object = seal(&catalogue.key, &header, piece).map_err(BackupError::seal(&key))?;
        let sum = PartSum {
            bytes: u64::try_from(object.len()).unwrap_or(u64::MAX),
            sha256: sha256(&object),
        };
        catalogue.store.put(&key, object).await?;
        Ok::<_, BackupError>(sum)
    })
    .buffered(SENT_AT_ONCE)
    .try_collect::<Vec<_>>();
    // When sending fails the channel closes and packing ends, too.
    let parts = Box::pin(sending).await?;
    let (packed, sha256) = packing
        .await
        .map_err(|error| failed("pack", error.to_string()))?
        .map_err(BackupError::disk("pack", data))?;
    Ok(Sent {
        parts,
        packed,
        sha256,
    })
}

fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut total = 0;
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else {
                total += entry.metadata()?.len();
            }
        }
    }
    Ok(total)
}

/// Cuts a stream into pieces.
struct Pieces {
    pieces: mpsc::Sender<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Pieces {
    fn give(&mut self) -> io::Result<()> {
        self.pieces
            .blocking_send(std::mem::take(&mut self.buffer))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<()> {
        self.give()
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART - self.buffer.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= PART {
            self.give()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hashing<W> {
    inner: W,
    context: ring::digest::Context,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.context.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
