//! Data that was restored from a backup before this agent's first start: it gets the accounts of this shop instead of those of the
//! shop that was, and is fresh then, as data that was just made. Whether a group begins from it is the operator's to say.

use anyhow::{Context as _, Result};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use super::config::Config;
use super::option_file::{Paths, Secret, first_statements, quoted};
use super::process::private_file;
use crate::backup::restore::MARKER;
use crate::backup::server::{Scratch, ServerOptions};
use crate::desired::backup::USER as BACKUP_USER;

/// Memory for pages of tables, in MiB: accounts are few.
const MEMORY_MIB: u32 = 64;

/// Whether the data directory says that it was restored.
#[must_use]
pub fn is_restored(config: &Config) -> bool {
    Paths::of(config).data.join(MARKER).exists()
}

/// Gives restored data this shop's accounts. It may be done again.
///
/// # Errors
/// When a password is missing, or the server does not start on the data.
pub async fn adopt(config: &Config) -> Result<()> {
    let admin = Secret::read(&config.admin_account)?;
    let replication = Secret::read(&config.replication_account)?;
    let accounts = config
        .accounts
        .iter()
        .map(Secret::read)
        .collect::<Result<Vec<_>, _>>()?;
    let statements = config.run_folder.join("restored.sql");
    private_file(&statements, &account_texts(&admin, &replication, &accounts))?;
    let login = MySqlConnectOptions::new()
        .socket(config.run_folder.join("mysqld.sock"))
        .username(&admin.account.user)
        .password(&admin.password)
        .ssl_mode(MySqlSslMode::Required);
    let options = ServerOptions {
        program: config.mysqld.clone(),
        memory_mib: MEMORY_MIB,
    };
    let arguments = [
        "--skip-networking".to_owned(),
        format!("--init-file={}", statements.display()),
    ];
    let data = Paths::of(config).data;
    // That it answers to the account says that the statements were run. Without a binary log they are no transactions.
    let started = Scratch::start_as(&options, &data, &config.run_folder, &arguments, login).await;
    let stopped = match started {
        Ok(server) => server.stop().await,
        Err(error) => Err(error),
    };
    std::fs::remove_file(&statements).context("failed to remove the statements")?;
    stopped.context("the restored data could not be given its accounts")?;
    tracing::info!("the restored data has the accounts of this shop");
    Ok(())
}

/// Takes the note away by which data is known to be restored: without it, data whose agent has lost its memory is foreign.
///
/// # Errors
/// When the disk refuses.
pub fn forget(config: &Config) -> Result<()> {
    let data = Paths::of(config).data;
    match std::fs::remove_file(data.join(MARKER)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("failed to remove the note of the restore")
        }
        _ => Ok(super::store::sync_folder(&data)?),
    }
}

/// The accounts anew: those of the shop that was have other passwords, and may have other rights.
fn account_texts(admin: &Secret, replication: &Secret, accounts: &[Secret]) -> String {
    let mut text = String::from("SET SESSION sql_log_bin = 0;\n");
    text.push_str(&format!(
        "DROP USER IF EXISTS {}@'localhost';\n",
        quoted(&admin.account.user)
    ));
    for secret in std::iter::once(replication).chain(accounts) {
        text.push_str(&format!(
            "DROP USER IF EXISTS {}@'%';\n",
            quoted(&secret.account.user)
        ));
    }
    // Whoever backs this shop up has an account of its own, which is made when it lacks. And which passwords members were given is
    // of the shop that was, too.
    text.push_str(&format!(
        "DROP USER IF EXISTS '{BACKUP_USER}'@'%';\nDROP DATABASE IF EXISTS panono_agent;\n"
    ));
    text.push_str(&first_statements(admin, replication, accounts));
    text
}
