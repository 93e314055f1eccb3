//! Restoring: a backup, then archived transactions up to a moment, into a folder of its own. Everything is fetched and verified,
//! and the server has applied it, before anything that is in the way is replaced.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use super::binlog::{Next, Scanner, Transaction, opening};
use super::catalogue::{Catalogue, Head, Manifest, PartHeader, SegmentHeader, part_key};
use super::checksum::{all_tables, differences};
use super::error::BackupError;
use super::pack::{UnpackError, unpack};
use super::plan::{Chain, Cut, Until, Verdict, chain, needed};
use super::progress::Progress;
use super::seal::{hex, open, sha256};
use super::server::{Scratch, ServerOptions, executed, failed, quoted, run};
use super::store::StoreError;
use crate::gtid::GtidSet;

/// Pieces that are fetched at a time.
const FETCHED_AT_ONCE: usize = 3;
/// An applier that has applied nothing for so long is given up; one transaction may take long.
const STALLED: Duration = Duration::from_mins(30);
const POLL: Duration = Duration::from_millis(200);
/// Errors of the applier that say nothing of what it applies: it could not write, the disk is full, there is no memory, it waited
/// for too long.
const SHORTAGES: [u64; 11] = [3, 5, 20, 1021, 1026, 1037, 1038, 1041, 1114, 1205, 1213];
/// The largest segment, in bytes: a transaction is bounded by the group's limit, far below.
const MAXIMUM_SEGMENT: u64 = 2 * 1024 * 1024 * 1024;
/// What a restored data directory says of itself, for whoever starts a server on it.
pub const MARKER: &str = "panono-restored.json";

/// What is restored, and where.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Servers of our own.
    pub server: ServerOptions,
    /// The data directory that is made. What is made on the way lies beside it.
    pub data: PathBuf,
    /// Up to where.
    pub until: Until,
    /// From which backup; the newest that fits without it.
    pub backup: Option<String>,
    /// Whether what is in the folder may be replaced.
    pub replace: bool,
    /// Whether tables are compared with their checksums in the manifest.
    pub compare: bool,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The backup.
    pub backup: String,
    /// What is there now.
    pub executed: GtidSet,
    /// When the last transaction that was applied was committed; nothing if none was.
    pub last_commit: Option<Timestamp>,
    /// Transactions that were applied after the backup.
    pub applied: u64,
    /// Tables that were compared with the manifest.
    pub compared: usize,
    /// How long it took, in seconds, without the comparison.
    pub seconds: f64,
}

/// Restores.
///
/// # Errors
/// When no backup fits, anything is damaged or missing, or the server cannot apply it. Then nothing was replaced.
pub async fn restore(
    catalogue: &Catalogue,
    options: &RestoreOptions,
    progress: &Progress,
) -> Result<Restored, BackupError> {
    let data = &options.data;
    if !options.replace && fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::Occupied(data.clone()));
    }
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    let staging = data.with_file_name(format!(".{name}.restoring"));
    remove(&staging)?;
    fs::create_dir_all(&staging).map_err(BackupError::disk("make the folder", &staging))?;
    let result = Box::pin(into_staging(catalogue, options, progress, &staging)).await;
    if result.is_ok() {
        replace(&staging.join("data"), data)?;
    }
    remove(&staging)?;
    result
}

async fn into_staging(
    catalogue: &Catalogue,
    options: &RestoreOptions,
    progress: &Progress,
    staging: &Path,
) -> Result<Restored, BackupError> {
    let start = Instant::now();
    let manifest = choose(catalogue, options).await?;
    tracing::info!(backup = manifest.id, until = %options.until, "restoring");
    let relay = staging.join("relay");
    fs::create_dir(&relay).map_err(BackupError::disk("make the folder", &relay))?;
    let (cut, applied, files) =
        transactions(catalogue, options, &manifest, &relay, progress).await?;
    let data = staging.join("data");
    fetch(catalogue, &manifest, &data, progress).await?;

    let mut arguments = vec![
        "--skip-grant-tables".to_owned(),
        format!("--relay-log={}", relay.join("relay").display()),
        format!("--relay-log-index={}", relay.join("relay.index").display()),
        "--relay-log-recovery=OFF".to_owned(),
        "--relay-log-purge=OFF".to_owned(),
        // No server of a shop has this number, and what has the own number is not applied.
        "--server-id=4294967295".to_owned(),
        "--replica-parallel-workers=4".to_owned(),
        "--replica-preserve-commit-order=ON".to_owned(),
    ];
    if files.is_empty() {
        arguments.truncate(1);
    }
    progress.set("Starting", 0, 0);
    let server = Scratch::start(&options.server, &data, staging, &arguments).await?;
    let mut comparing = Duration::ZERO;
    if options.compare {
        let begun = Instant::now();
        let mut connection = server.connect().await?;
        let tables = all_tables(&mut connection, progress).await?;
        let different = differences(&manifest.tables, &tables);
        if !different.is_empty() {
            return Err(BackupError::Differs(different.join(", ")));
        }
        comparing = begun.elapsed();
    }
    if let Some(first) = files.first() {
        apply(&server, first, &manifest.executed, &cut.reached, progress).await?;
    }
    let mut connection = server.connect().await?;
    let reached = executed(&mut connection).await?;
    if reached != cut.reached {
        return Err(BackupError::Unsound(format!(
            "with the archive it has {reached} and should have {}",
            cut.reached
        )));
    }
    // Whoever starts a server on the data begins without channels of another life.
    run(&mut connection, "forget its sources", "RESET REPLICA ALL").await?;
    drop(connection);
    server.stop().await?;
    let seconds = start.elapsed().saturating_sub(comparing).as_secs_f64();
    let restored = Restored {
        backup: manifest.id,
        executed: reached,
        last_commit: cut.last_commit,
        applied,
        compared: if options.compare {
            manifest.tables.len()
        } else {
            0
        },
        seconds,
    };
    clean(&data, &restored)?;
    Ok(restored)
}

/// The newest backup from which the end can be reached.
async fn choose(catalogue: &Catalogue, options: &RestoreOptions) -> Result<Manifest, BackupError> {
    if let Some(id) = &options.backup {
        let manifest = catalogue.manifest(id).await?;
        return if fits(&manifest, &options.until) {
            Ok(manifest)
        } else {
            Err(BackupError::NoBackup(format!(
                "{id} has transactions that were committed after {}",
                options.until
            )))
        };
    }
    let mut oldest = None;
    let listed = catalogue.backups().await?;
    for backup in listed.iter().rev().filter(|backup| backup.complete) {
        let manifest = catalogue.manifest(&backup.id).await?;
        if fits(&manifest, &options.until) {
            return Ok(manifest);
        }
        oldest = Some(manifest);
    }
    Err(BackupError::NoBackup(match oldest {
        None => "none is complete at this target".to_owned(),
        Some(oldest) => format!(
            "{} is before the oldest backup, {} of {}",
            options.until, oldest.id, oldest.taken_at
        ),
    }))
}

fn fits(manifest: &Manifest, until: &Until) -> bool {
    match until {
        Until::End => true,
        Until::Time(time) => manifest.taken_at <= *time,
        Until::Gtid(gtid) => !manifest.executed.contains(gtid),
        Until::Set(set) => manifest.executed.is_subset(set),
    }
}

/// A segment on the disk, opened and unpacked.
struct Spooled {
    header: SegmentHeader,
    path: PathBuf,
    key: String,
}

/// Fetches what is archived after a backup, and writes what is wanted of it as files of a relay log.
async fn transactions(
    catalogue: &Catalogue,
    options: &RestoreOptions,
    manifest: &Manifest,
    relay: &Path,
    progress: &Progress,
) -> Result<(Cut, u64, Vec<PathBuf>), BackupError> {
    let heads: Vec<Head> = catalogue.heads().await?;
    let mut cut = Cut::new(options.until.clone(), &manifest.executed, manifest.taken_at);
    let (keys, following) = needed(catalogue.segments().await?, &options.until);
    let spooled = if cut.is_done() {
        Vec::new()
    } else {
        spool(catalogue, keys, manifest, relay, progress).await?
    };
    let headers: Vec<SegmentHeader> = spooled.iter().map(|one| one.header.clone()).collect();
    let chain: Chain = chain(&manifest.executed, &headers);
    let mut files = Vec::new();
    let mut applied = 0;
    for index in &chain.order {
        let Some(segment) = spooled.get(*index).filter(|_| !cut.is_done()) else {
            break;
        };
        let plain = fs::read(&segment.path).map_err(BackupError::disk("read", &segment.path))?;
        let (kept, count) = wanted(&plain, &segment.header, &mut cut)
            .map_err(|detail| BackupError::damaged(&segment.key, detail))?;
        applied += count;
        if count > 0 {
            let path = relay.join(format!("relay.{:06}", files.len() + 1));
            fs::write(&path, kept).map_err(BackupError::disk("write", &path))?;
            files.push(path);
        }
    }
    for segment in &spooled {
        fs::remove_file(&segment.path).map_err(BackupError::disk("remove", &segment.path))?;
    }
    let following = match following {
        Some(key) if !cut.is_done() => proven(catalogue, &key).await?,
        _ => None,
    };
    cut.finish(&chain, following.as_ref(), &heads)?;
    if !files.is_empty() {
        let index = relay.join("relay.index");
        let lines: String = files
            .iter()
            .map(|file| format!("{}\n", file.display()))
            .collect();
        fs::write(&index, lines).map_err(BackupError::disk("write", &index))?;
    }
    Ok((cut, applied, files))
}

/// What a segment's header says, if its seal is whole. One that is damaged or gone proves nothing, and nothing of it is wanted.
async fn proven(catalogue: &Catalogue, key: &str) -> Result<Option<SegmentHeader>, BackupError> {
    match catalogue.get(key).await {
        Ok((header, _)) => Ok(Some(header)),
        Err(error @ (BackupError::Seal { .. } | BackupError::Store(StoreError::Missing(_)))) => {
            tracing::warn!(%error, "the archive is damaged behind what is restored");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Goes from the newest segment to the one before which everything is in the backup.
async fn spool(
    catalogue: &Catalogue,
    keys: Vec<String>,
    manifest: &Manifest,
    relay: &Path,
    progress: &Progress,
) -> Result<Vec<Spooled>, BackupError> {
    let total = u64::try_from(keys.len()).unwrap_or(0);
    let mut spooled = Vec::new();
    for (done, key) in (0..).zip(keys.into_iter().rev()) {
        progress.set("FetchingLogs", done, total);
        let (header, body): (SegmentHeader, _) = catalogue.get(&key).await?;
        let covered = header
            .before
            .union(&header.transactions)
            .is_subset(&manifest.executed);
        if covered {
            break;
        }
        let path = relay.join(format!("spool-{done}"));
        let plain = decompressed(&body, header.bytes)
            .map_err(|error| BackupError::damaged(&key, error.to_string()))?;
        fs::write(&path, plain).map_err(BackupError::disk("write", &path))?;
        spooled.push(Spooled { header, path, key });
    }
    spooled.reverse();
    Ok(spooled)
}

fn decompressed(body: &[u8], expected: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    zstd::stream::read::Decoder::new(body)?
        .take(expected.min(MAXIMUM_SEGMENT) + 1)
        .read_to_end(&mut plain)?;
    if u64::try_from(plain.len()).ok() != Some(expected) {
        return Err(io::Error::other("has another length than it says"));
    }
    Ok(plain)
}

/// The wanted transactions of a segment as a file of a relay log, and how many they are.
fn wanted(plain: &[u8], header: &SegmentHeader, cut: &mut Cut) -> Result<(Vec<u8>, u64), String> {
    let mut scanner = Scanner::open(Cursor::new(plain))
        .map_err(|error| error.to_string())?
        .ok_or("is too short")?;
    let mut kept = opening(scanner.description());
    let (mut count, mut seen) = (0, GtidSet::default());
    while let Next::Transaction(transaction) = scanner
        .next(&header.transactions)
        .map_err(|error| error.to_string())?
    {
        let Transaction {
            gtid, committed, ..
        } = &transaction;
        seen.insert(gtid);
        match cut.decide(gtid, *committed) {
            Verdict::Apply => {
                let bytes = scanner
                    .bytes(&transaction)
                    .map_err(|error| error.to_string())?;
                kept.extend(bytes);
                count += 1;
            }
            Verdict::Skip => {}
            Verdict::Stop => return Ok((kept, count)),
        }
    }
    if seen != header.transactions {
        return Err("has other transactions than it says".to_owned());
    }
    Ok((kept, count))
}

/// Fetches, verifies and unpacks a backup.
///
/// # Errors
/// When a piece is missing, damaged or not of this backup, or the whole is not what the manifest says.
pub async fn fetch(
    catalogue: &Catalogue,
    manifest: &Manifest,
    data: &Path,
    progress: &Progress,
) -> Result<(), BackupError> {
    let (sender, received) = mpsc::channel::<Vec<u8>>(1);
    let (folder, total) = (data.to_owned(), manifest.data_bytes);
    let seen = progress.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        let reader = Received {
            received,
            current: Cursor::new(Vec::new()),
        };
        let mut hashing = Hashing {
            inner: zstd::stream::read::Decoder::new(reader)?,
            context: ring::digest::Context::new(&ring::digest::SHA256),
        };
        let packed = unpack(&mut hashing, &folder, |done| {
            seen.set("Downloading", done, total);
        })?;
        Ok::<_, UnpackError>((packed, hex(hashing.context.finish().as_ref())))
    });
    let parts = stream::iter((1..).zip(&manifest.parts))
        .map(async |(number, sum)| {
            let key = part_key(&manifest.id, number);
            let object = catalogue.store.get(&key).await?;
            if u64::try_from(object.len()).ok() != Some(sum.bytes) || sha256(&object) != sum.sha256
            {
                return Err(BackupError::damaged(
                    &key,
                    format!(
                        "has {} bytes and another checksum, or is cut off",
                        object.len()
                    ),
                ));
            }
            let (header, piece): (PartHeader, _) =
                open(&catalogue.key, object).map_err(BackupError::seal(&key))?;
            if header.backup != manifest.id || header.number != number {
                return Err(BackupError::damaged(&key, "belongs somewhere else"));
            }
            Ok(piece)
        })
        .buffered(FETCHED_AT_ONCE);
    let mut parts = std::pin::pin!(parts);
    let mut fetched = Ok(());
    while let Some(piece) = parts.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                fetched = Err(error);
                break;
            }
        };
        // Unpacking has failed when nobody takes it: its own error says more.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    // Nothing is removed while it is still being written.
    let unpacked = unpacking
        .await
        .map_err(|error| failed("unpack", error.to_string()))?;
    fetched?;
    let (packed, sum) = unpacked.map_err(|error| match error {
        UnpackError::Stream(error) => {
            BackupError::damaged(&manifest.id, format!("cannot be unpacked: {error}"))
        }
        UnpackError::Disk(path, error) => BackupError::disk("write", &path)(error),
    })?;
    if packed.bytes != manifest.data_bytes || sum != manifest.sha256 {
        return Err(BackupError::damaged(&manifest.id, "has another checksum"));
    }
    Ok(())
}

struct Received {
    received: mpsc::Receiver<Vec<u8>>,
    current: Cursor<Vec<u8>>,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.received.blocking_recv() {
                Some(piece) => self.current = Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

struct Hashing<R> {
    inner: R,
    context: ring::digest::Context,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.context.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Lets the server apply the files, as if a source had sent them.
async fn apply(
    server: &Scratch,
    first: &Path,
    base: &GtidSet,
    wanted: &GtidSet,
    progress: &Progress,
) -> Result<(), BackupError> {
    let total = wanted.subtract(base).count();
    let mut connection = server.connect().await?;
    let source = format!(
        "CHANGE REPLICATION SOURCE TO RELAY_LOG_FILE = {}, RELAY_LOG_POS = 4, SOURCE_HOST = 'archive' FOR CHANNEL ''",
        quoted(&first.to_string_lossy())
    );
    run(&mut connection, "name the archive as a source", &source).await?;
    run(
        &mut connection,
        "apply the archive",
        "START REPLICA SQL_THREAD",
    )
    .await?;
    let (mut last, mut since) = (u64::MAX, Instant::now());
    loop {
        let reached = executed(&mut connection).await?;
        let left = wanted.subtract(&reached).count();
        progress.set("Applying", total.saturating_sub(left), total);
        if left == 0 {
            break;
        }
        let problem: Option<(u64, String)> = sqlx::query_as(
            "SELECT CAST(LAST_ERROR_NUMBER AS UNSIGNED), CAST(LAST_ERROR_MESSAGE AS CHAR) \
             FROM performance_schema.replication_applier_status_by_worker WHERE LAST_ERROR_NUMBER <> 0 UNION ALL \
             SELECT CAST(LAST_ERROR_NUMBER AS UNSIGNED), CAST(LAST_ERROR_MESSAGE AS CHAR) \
             FROM performance_schema.replication_applier_status_by_coordinator WHERE LAST_ERROR_NUMBER <> 0 LIMIT 1",
        )
        .fetch_optional(&mut connection)
        .await
        .map_err(BackupError::sql("watch the applier"))?;
        if let Some((number, problem)) = problem {
            return Err(if SHORTAGES.contains(&number) {
                failed("apply the archive", problem)
            } else {
                BackupError::Unsound(format!("the archive cannot be applied: {problem}"))
            });
        }
        if left != last {
            (last, since) = (left, Instant::now());
        }
        if since.elapsed() > STALLED {
            return Err(failed(
                "apply the archive",
                "it makes no progress".to_owned(),
            ));
        }
        tokio::time::sleep(POLL).await;
    }
    run(
        &mut connection,
        "stop applying",
        "STOP REPLICA FOR CHANNEL ''",
    )
    .await
}

/// Takes away what belongs to the server of the restore, and leaves the marker.
fn clean(data: &Path, restored: &Restored) -> Result<(), BackupError> {
    for name in ["auto.cnf", "mysqld-auto.cnf"] {
        match fs::remove_file(data.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::disk("remove", &data.join(name))(error));
            }
            _ => {}
        }
    }
    let marker = data.join(MARKER);
    let text = serde_json::to_vec_pretty(restored)
        .map_err(|error| failed("describe the data", error.to_string()))?;
    File::create(&marker)
        .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
        .map_err(BackupError::disk("write", &marker))
}

/// Puts a folder in the place of another, which goes only when the new one is there.
fn replace(new: &Path, data: &Path) -> Result<(), BackupError> {
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    let old = data.with_file_name(format!(".{name}.replaced"));
    remove(&old)?;
    if data.exists() {
        fs::rename(data, &old).map_err(BackupError::disk("move aside", data))?;
    }
    if let Err(error) = fs::rename(new, data) {
        if old.exists() {
            fs::rename(&old, data).map_err(BackupError::disk("move back", &old))?;
        }
        return Err(BackupError::disk("move into place", data)(error));
    }
    remove(&old)
}

fn remove(folder: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::disk("remove the folder", folder)(error))
        }
        _ => Ok(()),
    }
}
