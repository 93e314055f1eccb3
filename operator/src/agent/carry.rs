//! Carrying commands out.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sqlx::mysql::MySqlConnection;

use super::api::{Code, Command, Done, Fence, Problem, Verb};
use super::config::Config;
use super::core::{Core, now_ms};
use super::option_file::{Paths, Secret, account_statements, quoted, replication_grants};
use super::sql::{self, ANSWER_LIMIT};
use super::store::{Marker, sync_folder};
use super::{heartbeat, join, view};

/// Statements that may have to wait for others.
const CHANGE_LIMIT: Duration = Duration::from_secs(60);
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
            join::bootstrap(core, group_name, epoch).await?;
            first_databases(core).await?;
            core.ledger.change(|kept| kept.attempt = None)?;
            Ok("the group was made".to_owned())
        }
        Verb::Rebuild { group_name } => {
            alone(core).await?;
            join::bootstrap(core, group_name, epoch).await?;
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
        Verb::RotatePasswords { discard_old } => rotate(core, *discard_old).await,
        Verb::ReloadTls {} => reload_tls(core).await,
        Verb::SetCommunicationProtocol { version } => {
            let mut connection = sql::connect(&core.config()).await?;
            let query = format!(
                "SELECT group_replication_set_communication_protocol({})",
                quoted(version)
            );
            sql::value(&mut connection, CHANGE_LIMIT, query).await
        }
        Verb::ApplySettings {} => apply_settings(core).await,
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
    Ok(())
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
    let replication = Secret::read(&config.replication_account)?;
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
    core.ledger.change(|kept| kept.recloned = Some(epoch))?;
    let core = Arc::clone(core);
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
            core.ledger.change(|kept| kept.recloned = None).ok();
            core.update(|moment| moment.join_error = Some(format!("the copy failed: {error}")));
        } else {
            core.update(|moment| moment.errant.clear());
        }
    });
    Ok("the copy was begun".to_owned())
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
    for line in list.lines() {
        let from = data.join(line);
        let name = from.file_name().context("a binary log has no name")?;
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

/// A fingerprint by which it is known that an account has a password, so that giving it again does not make it the old one.
fn fingerprint(user: &str, password: &str) -> String {
    let mut digest = [0_u8; 32];
    let rounds = std::num::NonZeroU32::MIN.saturating_add(49_999);
    ring::pbkdf2::derive(
        ring::pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        format!("panono-agent:{user}").as_bytes(),
        password.as_bytes(),
        &mut digest,
    );
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn rotate(core: &Arc<Core>, discard_old: bool) -> Result<String> {
    let config = core.config();
    let mut connection = sql::connect(&config).await?;
    let mut all = vec![
        (&config.admin_account, "localhost", Vec::new(), ""),
        (
            &config.replication_account,
            "%",
            replication_grants(),
            "REQUIRE X509",
        ),
    ];
    for account in &config.accounts {
        all.push((account, "%", account.grants.clone(), ""));
    }
    for (account, host, grants, require) in all {
        let secret = Secret::read(account)?;
        if host == "%" {
            for statement in account_statements(&secret, &grants, require) {
                sql::run(&mut connection, CHANGE_LIMIT, statement).await?;
            }
        }
        rotate_one(&mut connection, &secret, host, discard_old)
            .await
            .with_context(|| format!("the account {}", secret.account.user))?;
    }
    Ok(if discard_old {
        "the accounts have the new passwords only"
    } else {
        "the accounts have the new passwords, and still the old ones"
    }
    .to_owned())
}

async fn rotate_one(
    connection: &mut MySqlConnection,
    secret: &Secret,
    host: &str,
    discard_old: bool,
) -> Result<()> {
    let name = format!("{}@{}", quoted(&secret.account.user), quoted(host));
    let wanted = fingerprint(&secret.account.user, &secret.password);
    let query = format!(
        "SELECT COALESCE(MAX(fingerprint), '') FROM panono_agent.passwords WHERE account = {}",
        quoted(&name)
    );
    let has = sql::value(connection, ANSWER_LIMIT, query).await?;
    if has != wanted {
        let statement = format!(
            "ALTER USER {name} IDENTIFIED BY {} RETAIN CURRENT PASSWORD",
            quoted(&secret.password)
        );
        sql::run(connection, CHANGE_LIMIT, statement).await?;
        let statement = format!(
            "REPLACE INTO panono_agent.passwords (account, fingerprint) VALUES ({}, {})",
            quoted(&name),
            quoted(&wanted)
        );
        sql::run(connection, CHANGE_LIMIT, statement).await?;
    }
    if discard_old {
        let statement = format!("ALTER USER {name} DISCARD OLD PASSWORD");
        sql::run(connection, CHANGE_LIMIT, statement).await?;
    }
    Ok(())
}

/// Reads all certificates again. The server takes the new ones for new connections.
///
/// # Errors
/// When one cannot be used; then nothing has changed.
pub async fn reload_tls(core: &Arc<Core>) -> Result<String> {
    core.reload_certificates()?;
    let mut connection = sql::connect(&core.config()).await?;
    sql::run(&mut connection, CHANGE_LIMIT, "ALTER INSTANCE RELOAD TLS").await?;
    Ok("the certificates were read".to_owned())
}

/// A value as `SET GLOBAL` takes it: sizes in bytes, words in quotes.
fn literal(value: &str) -> String {
    let (digits, factor) = match value.chars().last() {
        Some('K' | 'k') => (value.trim_end_matches(['K', 'k']), 1_u64 << 10),
        Some('M' | 'm') => (value.trim_end_matches(['M', 'm']), 1 << 20),
        Some('G' | 'g') => (value.trim_end_matches(['G', 'g']), 1 << 30),
        _ => (value, 1),
    };
    match digits.parse::<u64>() {
        Ok(number) => number.saturating_mul(factor).to_string(),
        Err(_) if value.parse::<f64>().is_ok() => value.to_owned(),
        Err(_) => quoted(value),
    }
}

async fn apply_settings(core: &Arc<Core>) -> Result<String> {
    let config: Arc<Config> = core.reload_config()?;
    let mut connection = sql::connect(&config).await?;
    let mut wanted = config.settings.clone();
    for (name, value) in [
        (
            "innodb_buffer_pool_size",
            format!("{}M", config.buffer_pool_mib),
        ),
        ("max_connections", config.max_connections.to_string()),
        (
            "clone_max_data_bandwidth",
            config.clone_bandwidth_mib.to_string(),
        ),
        (
            "group_replication_member_weight",
            config.member_weight.to_string(),
        ),
    ] {
        wanted.insert(name.to_owned(), value);
    }
    let mut pending = Vec::new();
    for (name, value) in &wanted {
        let statement = format!("SET GLOBAL {name} = {}", literal(value));
        if let Err(error) = sql::run(&mut connection, CHANGE_LIMIT, statement).await {
            if error.to_string().contains("1238") || error.to_string().contains("read only") {
                pending.push(name.clone());
            } else {
                return Err(error.context(format!("{name} = {value}")));
            }
        }
    }
    let detail = if pending.is_empty() {
        "all settings are in force".to_owned()
    } else {
        format!("these need a restart: {}", pending.join(", "))
    };
    core.update(|moment| moment.pending_restart = pending);
    Ok(detail)
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn values_are_numbers_or_quoted() {
        for (value, wanted) in [
            ("64M", "67108864"),
            ("8k", "8192"),
            ("12", "12"),
            ("0.5", "0.5"),
            ("ON", "'ON'"),
            ("x'M", "'x''M'"),
        ] {
            assert_eq!(literal(value), wanted);
        }
    }
}
