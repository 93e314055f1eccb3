//! Carrying commands out.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sqlx::mysql::MySqlConnection;

use super::api::{Code, Command, Done, Fence, Problem, Verb};
use super::core::{Core, now_ms};
use super::option_file::{Paths, quoted};
use super::sql::{self, ANSWER_LIMIT};
use super::store::{Copying, Made, Marker, sync_folder};
use super::{accounts, heartbeat, join, settings, view};

/// Statements that may have to wait for others.
pub(super) const CHANGE_LIMIT: Duration = Duration::from_secs(60);
/// Between two attempts to copy another member's data.
const COPY_PAUSE: Duration = Duration::from_secs(20);
/// A copy of hundreds of gigabytes over a slow network.
const CLONE_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Carries out a command that was admitted.
///
/// # Errors
/// A problem for whoever sent it.
pub async fn carry_out(core: &Arc<Core>, command: &Command) -> Result<Done, Problem> {
    let done = |detail: String| Done { detail };
    match act(core, command).await {
        Ok(detail) => Ok(done(detail)),
        Err(error) => Err(match error.downcast::<Problem>() {
            Ok(problem) => problem,
            Err(error) => Problem {
                code: Code::Failed,
                detail: format!("{error:#}"),
            },
        }),
    }
}

async fn act(core: &Arc<Core>, command: &Command) -> Result<String> {
    let epoch = command.epoch;
    core.ledger
        .change(|kept| kept.epoch = kept.epoch.max(epoch))?;
    match &command.verb {
        Verb::Bootstrap { group_name } => {
            alone(core).await?;
            // Before the server can make the group: whatever happens now, this data is never again taken for fresh.
            core.ledger.change(|kept| {
                kept.marker = Marker::Owned {
                    group_name: group_name.clone(),
                };
                kept.attempt = Some(epoch);
            })?;
            join::bootstrap(core, group_name, epoch, false).await?;
            first_databases(core).await?;
            core.ledger.change(|kept| kept.attempt = None)?;
            Ok("the group was made".to_owned())
        }
        Verb::Rebuild { group_name } => {
            alone(core).await?;
            join::bootstrap(core, group_name, epoch, true).await?;
            core.ledger.change(|kept| {
                kept.rebuilt = Some(epoch);
                kept.fence = None;
            })?;
            Ok("the group was made again".to_owned())
        }
        Verb::Fence { reason } => {
            core.ledger.change(|kept| {
                kept.fence = Some(Fence {
                    epoch,
                    reason: reason.clone(),
                });
            })?;
            join::leave(core).await?;
            sql::close_doors(&core.config()).await?;
            Ok("it is fenced".to_owned())
        }
        Verb::Release {} => {
            core.ledger.change(|kept| kept.fence = None)?;
            core.left.store(false, Ordering::Relaxed);
            Ok("it joins".to_owned())
        }
        Verb::Switchover {
            to_uuid,
            timeout_seconds,
        } => switchover(core, to_uuid, *timeout_seconds).await,
        Verb::Leave {} => {
            core.left.store(true, Ordering::Relaxed);
            join::hand_over(core).await?;
            join::leave(core).await?;
            Ok("it left".to_owned())
        }
        Verb::Reclone { donor, save } => reclone(core, donor, *save, epoch).await,
        Verb::RotatePasswords {
            generation,
            discard_old,
        } => accounts::rotate(core, *generation, *discard_old).await,
        Verb::ReloadTls {} => reload_tls(core).await,
        Verb::SetCommunicationProtocol { version } => {
            let mut connection = sql::connect(&core.config()).await?;
            let query = format!(
                "SELECT group_replication_set_communication_protocol({})",
                quoted(version)
            );
            let said = sql::value(&mut connection, CHANGE_LIMIT, query).await?;
            core.update(|moment| moment.protocol_for = Some(version.clone()));
            Ok(said)
        }
        Verb::ApplySettings {} => settings::apply(core).await,
    }
}

/// Refuses when another member is in a group with a majority: making one beside it would be two.
async fn alone(core: &Arc<Core>) -> Result<()> {
    let (answers, _) = join::ask_peers(core).await;
    if view::prospect(&answers).is_some() {
        bail!(Problem {
            code: Code::WrongState,
            detail: "another member is online with a majority; this one joins it".to_owned(),
        });
    }
    Ok(())
}

async fn first_databases(core: &Arc<Core>) -> Result<()> {
    let config = core.config();
    let mut connection = sql::connect(&config).await?;
    for statement in heartbeat::TABLES {
        sql::run(&mut connection, CHANGE_LIMIT, *statement).await?;
    }
    for name in &config.databases {
        let statement = format!("CREATE DATABASE IF NOT EXISTS `{name}`");
        sql::run(&mut connection, CHANGE_LIMIT, statement).await?;
    }
    accounts::record(&mut connection, config.generation(), true).await
}

async fn switchover(core: &Arc<Core>, to: &str, timeout: u32) -> Result<String> {
    let mut connection = sql::connect(&core.config()).await?;
    let query = format!(
        "SELECT group_replication_set_as_primary({}, {timeout})",
        quoted(to)
    );
    let limit = Duration::from_secs(u64::from(timeout) + 60);
    sql::value(&mut connection, limit, query).await
}

/// Replaces the data by a copy of another member's. The server ends itself when the copy is in place, which breaks the statement.
async fn reclone(core: &Arc<Core>, donor: &str, save: bool, epoch: i64) -> Result<String> {
    let config = core.config();
    let errant = core.moment().errant;
    if save && !errant.is_empty() && core.ledger.kept().saved != errant {
        save_errant(core, &errant).await?;
    }
    join::leave(core).await?;
    sql::close_doors(&config).await?;
    let (answers, _) = join::ask_peers(core).await;
    let prospect = view::prospect(&answers);
    let set = prospect
        .as_ref()
        .map_or(i64::MAX, |prospect| prospect.passwords);
    let made = prospect
        .and_then(|prospect| prospect.made)
        .map(|(prefix, epoch)| Made { prefix, epoch });
    let (replication, _) = accounts::replication(&config, set)?;
    let (host, port) = donor
        .rsplit_once(':')
        .context("the donor is not host:port")?;
    let port: u16 = port.parse().context("the donor's port is no number")?;
    let mut connection = sql::connect(&config).await?;
    sql::run(
        &mut connection,
        ANSWER_LIMIT,
        format!("SET GLOBAL clone_valid_donor_list = {}", quoted(donor)),
    )
    .await?;
    let statement = format!(
        "CLONE INSTANCE FROM {}@{}:{port} IDENTIFIED BY {} REQUIRE SSL",
        quoted(&replication.account.user),
        quoted(host),
        quoted(&replication.password)
    );
    let (before, _) = sql::copy(&mut connection).await?;
    core.ledger.change(|kept| {
        kept.recloned = Some(epoch);
        kept.copying = Some(Copying { made, before });
    })?;
    let core = Arc::clone(core);
    core.copying.store(true, Ordering::Relaxed);
    tokio::spawn(async move {
        // The server refuses to replace what it must not write; shops stay locked out by `offline_mode`.
        let cloned = match sql::run(
            &mut connection,
            ANSWER_LIMIT,
            "SET GLOBAL super_read_only = OFF",
        )
        .await
        {
            Ok(()) => sql::run(&mut connection, CLONE_LIMIT, statement).await,
            refused => refused,
        };
        // A server that says nothing any longer has ended itself to start on the copy.
        if cloned.is_err() && sql::connect(&config).await.is_ok() {
            let error = cloned
                .err()
                .map_or_else(String::new, |error| format!("{error:#}"));
            tracing::error!(error, "the copy failed");
            sql::close_doors(&config).await.ok();
            core.update(|moment| moment.join_error = Some(format!("the copy failed: {error}")));
            // Until then it is not begun again.
            tokio::time::sleep(COPY_PAUSE).await;
        }
        core.copying.store(false, Ordering::Relaxed);
    });
    Ok("the copy was begun".to_owned())
}

/// Takes note of how a copy ended. Its data is whole when the server says so, of a copy that was begun after the one before: it may
/// have ended, or its pod, when tables were gone already and their transactions not yet.
///
/// # Errors
/// When the server does not answer, or the disk refuses.
pub async fn finish_copy(core: &Arc<Core>) -> Result<()> {
    let Some(copying) = core.ledger.kept().copying else {
        return Ok(());
    };
    let mut connection = sql::connect(&core.config()).await?;
    let (begun, whole) = sql::copy(&mut connection).await?;
    if whole && begun != copying.before {
        core.ledger.change(|kept| {
            kept.made = copying.made.or(kept.made.take());
            kept.copying = None;
        })?;
        core.update(|moment| moment.errant.clear());
        tracing::info!("the data is a whole copy of another member's");
        return Ok(());
    }
    // Whoever commands sees that it is out, and commands it again.
    core.ledger.change(|kept| kept.recloned = None)?;
    core.update(|moment| {
        moment.join_error.get_or_insert_with(|| {
            "the copy of another member's data is not whole: it has to be copied again".to_owned()
        });
    });
    Ok(())
}

/// Keeps the binary logs in which errant transactions are, in a folder beside the data.
///
/// # Errors
/// When they are not in the binary logs any longer, or the disk refuses.
pub async fn save_errant(core: &Arc<Core>, errant: &str) -> Result<()> {
    let config = core.config();
    let mut connection = sql::connect(&config).await?;
    let seen = sql::observe(&mut connection).await?;
    let there = sql::subtract(&mut connection, errant, &seen.transactions.purged).await?;
    if there != errant {
        bail!("of the transactions {errant} only {there} are still in the binary logs");
    }
    // What is written from now on goes to another file than those that are kept.
    sql::run(&mut connection, CHANGE_LIMIT, "FLUSH BINARY LOGS").await?;
    let data = Paths::of(&config).data;
    let folder = core
        .ledger
        .store()
        .folder()
        .join(format!("errant-{}", now_ms()));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let index = value_of(&mut connection, "@@GLOBAL.log_bin_index").await?;
    let list = fs::read_to_string(&index).with_context(|| index.clone())?;
    // What was received and not applied is in the applier's relay logs alone.
    let relayed = fs::read_dir(&data)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .with_context(|| data.display().to_string())?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.contains("-group_replication_applier."))
        });
    for from in list.lines().map(|line| data.join(line)).chain(relayed) {
        let name = from.file_name().context("a log has no name")?;
        // A second name of the same bytes: it costs nothing until the first is removed.
        fs::hard_link(&from, folder.join(name)).with_context(|| from.display().to_string())?;
    }
    fs::write(folder.join("gtids"), errant).context("failed to write the set")?;
    sync_folder(&folder)?;
    sync_folder(core.ledger.store().folder())?;
    core.ledger.change(|kept| kept.saved = errant.to_owned())?;
    tracing::warn!(errant, folder = %folder.display(), "errant transactions were saved");
    Ok(())
}

async fn value_of(connection: &mut MySqlConnection, expression: &str) -> Result<String> {
    sql::value(
        connection,
        ANSWER_LIMIT,
        format!("SELECT CAST({expression} AS CHAR)"),
    )
    .await
}

/// Reads all certificates again. The server takes the new ones for new connections.
///
/// # Errors
/// When one cannot be used; then nothing has changed.
pub async fn reload_tls(core: &Arc<Core>) -> Result<String> {
    core.reload_certificates()?;
    let now = core.certificates.digest();
    let mut connection = sql::connect(&core.config()).await?;
    sql::run(&mut connection, CHANGE_LIMIT, "ALTER INSTANCE RELOAD TLS").await?;
    core.update(|moment| moment.server_certificate = now);
    Ok("the certificates were read".to_owned())
}
