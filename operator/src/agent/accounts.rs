//! New passwords for accounts, while everybody goes on.
//!
//! An account can have two: the one that it was given last and the one before. So a change has three parts, which whoever commands
//! the agents takes one after the other: the accounts are given new ones; everybody who connects takes them; the old ones end.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use sqlx::mysql::MySqlConnection;

use super::api::{Code, Problem};
use super::carry::CHANGE_LIMIT;
use super::config::Config;
use super::core::Core;
use super::option_file::{Secret, account_statements, quoted, replication_grants};
use super::sql::{self, ANSWER_LIMIT};
use super::{heartbeat, view};

/// Gives all accounts the passwords that are in the files, or ends those before. Done at once if it was done.
pub(super) async fn rotate(core: &Arc<Core>, generation: i64, discard_old: bool) -> Result<String> {
    let config = core.config();
    let there = config.generation();
    if there != generation {
        bail!(Problem {
            code: Code::Busy,
            detail: format!(
                "the files have the passwords of generation {there}, not {generation}; ask again when they are there"
            ),
        });
    }
    let mut connection = sql::connect(&config).await?;
    for statement in heartbeat::TABLES {
        sql::run(&mut connection, CHANGE_LIMIT, *statement).await?;
    }
    let (set, only) = sql::passwords(&mut connection).await?;
    if discard_old && set < generation {
        bail!(Problem {
            code: Code::WrongState,
            detail: format!(
                "the accounts have the passwords of generation {set}: give them those of {generation} first"
            ),
        });
    }
    let done = if discard_old { only } else { set };
    if done < generation {
        for (account, host, grants, require) in all(&config) {
            let secret = Secret::read(account)?;
            if host == "%" {
                for statement in account_statements(&secret, &grants, require) {
                    sql::run(&mut connection, CHANGE_LIMIT, statement).await?;
                }
            }
            let changed = if discard_old {
                end_old(&mut connection, &secret, host).await
            } else {
                give(&mut connection, &secret, host).await
            };
            changed.with_context(|| format!("the account {}", secret.account.user))?;
        }
        record(&mut connection, generation, discard_old).await?;
    }
    Ok(if discard_old {
        "the accounts have the new passwords only"
    } else {
        "the accounts have the new passwords, and still the old ones"
    }
    .to_owned())
}

type Wanted<'a> = (
    &'a super::config::Account,
    &'static str,
    Vec<String>,
    &'static str,
);

fn all(config: &Config) -> Vec<Wanted<'_>> {
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
    all
}

fn name(secret: &Secret, host: &str) -> String {
    format!("{}@{}", quoted(&secret.account.user), quoted(host))
}

/// A fingerprint by which it is known that a password was given, so that giving it again does not make it the old one.
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

/// What is intended is written first, with what the account had: who is interrupted sees whether it was done. Given twice, a
/// password would be the old one, too, and the one before would end.
async fn give(connection: &mut MySqlConnection, secret: &Secret, host: &str) -> Result<()> {
    let name = name(secret, host);
    let wanted = fingerprint(&secret.account.user, &secret.password);
    let query = format!(
        "SELECT SHA2(authentication_string, 256) FROM mysql.user WHERE user = {} AND host = {}",
        quoted(&secret.account.user),
        quoted(host)
    );
    let has = sql::value(connection, ANSWER_LIMIT, query).await?;
    let query = format!(
        "SELECT COALESCE(MAX(before_it), '') FROM panono_agent.accounts WHERE account = {} AND fingerprint = '{wanted}'",
        quoted(&name)
    );
    let before = sql::value(connection, ANSWER_LIMIT, query).await?;
    if !before.is_empty() && before != has {
        return Ok(());
    }
    let statement = format!(
        "REPLACE INTO panono_agent.accounts (account, fingerprint, before_it) VALUES ({}, '{wanted}', '{has}')",
        quoted(&name)
    );
    sql::run(connection, CHANGE_LIMIT, statement).await?;
    let statement = format!(
        "ALTER USER {name} IDENTIFIED BY {} RETAIN CURRENT PASSWORD",
        quoted(&secret.password)
    );
    sql::run(connection, CHANGE_LIMIT, statement).await
}

async fn end_old(connection: &mut MySqlConnection, secret: &Secret, host: &str) -> Result<()> {
    let statement = format!("ALTER USER {} DISCARD OLD PASSWORD", name(secret, host));
    sql::run(connection, CHANGE_LIMIT, statement).await
}

/// Notes which passwords the accounts have, for all members.
pub(super) async fn record(
    connection: &mut MySqlConnection,
    generation: i64,
    only: bool,
) -> Result<()> {
    let (given, change) = if only {
        (generation, "only_given = VALUES(only_given)")
    } else {
        (0, "given = VALUES(given)")
    };
    let statement = format!(
        "INSERT INTO panono_agent.passwords (id, given, only_given) VALUES (1, {generation}, {given}) \
         ON DUPLICATE KEY UPDATE {change}"
    );
    sql::run(connection, CHANGE_LIMIT, statement).await
}

/// The account of replication with the password that the group takes: the new one, once the group was given it.
///
/// # Errors
/// When there is no password.
pub fn replication(config: &Config, set: i64) -> Result<(Secret, i64)> {
    // The number first: what is read after it is of this number or newer.
    let files = config.generation();
    let mut secret = Secret::read(&config.replication_account)?;
    match secret.old_password.clone() {
        Some(old) if files > set => {
            secret.password = old;
            Ok((secret, files.saturating_sub(1)))
        }
        _ => Ok((secret, files)),
    }
}

/// Whether the group was given passwords that this member's data does not know yet, though its files do.
#[must_use]
pub fn is_older(files: i64, own: i64, set: i64) -> bool {
    own < set && own < files
}

/// Lets the account of replication in on this server alone with both passwords that the files have: a member that joins reaches
/// itself and the others with the same one, and its data may be older than that.
///
/// It is no transaction. Those by which the group changed its passwords follow; what was set last stays the one before with each
/// of them, so that is the older one here.
///
/// # Errors
/// When there is no password, or the server refuses.
pub async fn let_in(config: &Config, connection: &mut MySqlConnection) -> Result<()> {
    let mut secret = Secret::read(&config.replication_account)?;
    let account = name(&secret, "%");
    let mut statements = vec![format!(
        "ALTER USER {account} IDENTIFIED BY {}",
        quoted(&secret.password)
    )];
    if let Some(old) = secret.old_password.take() {
        statements.push(format!(
            "ALTER USER {account} IDENTIFIED BY {} RETAIN CURRENT PASSWORD",
            quoted(&old)
        ));
    }
    sql::run_unlogged(connection, &statements)
        .await
        .context("the account of replication could not be given the group's password")?;
    tracing::info!("this member's data is older than the group's passwords: they were set");
    Ok(())
}

/// What lets the agent in on its own server, run as that starts.
///
/// # Errors
/// When there is no password.
pub fn own_statements(config: &Config) -> Result<String> {
    let secret = Secret::read(&config.admin_account)?;
    Ok(format!(
        "SET SESSION sql_log_bin = 0;\nALTER USER {} IDENTIFIED BY {};\n",
        name(&secret, "localhost"),
        quoted(&secret.password)
    ))
}

/// Whether this member should reach the others with another password from now on: the group was given it and it still uses the
/// one before.
pub fn is_behind(core: &Core) -> bool {
    let moment = core.moment();
    let files = core.config().generation();
    files > moment.member_password
        && moment.seen.is_some_and(|(seen, _)| {
            view::is_in_group(&seen.view) && seen.view.majority && seen.passwords.0 >= files
        })
}

/// Takes the new password for the connections to the others. Those that there are stay.
///
/// # Errors
/// When the server refuses it.
pub async fn take_new(core: &Arc<Core>) -> Result<()> {
    let config = core.config();
    let (secret, generation) = replication(&config, i64::MAX)?;
    let mut connection = sql::connect(&config).await?;
    sql::run(
        &mut connection,
        CHANGE_LIMIT,
        sql::source_statement(&secret),
    )
    .await?;
    core.update(|moment| moment.member_password = generation);
    tracing::info!(generation, "others are reached with the new password");
    Ok(())
}
