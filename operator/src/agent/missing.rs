//! Accounts that a configuration names and the group has not: the primary makes them. Those that are there are left alone; their
//! passwords change by `RotatePasswords`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::core::Core;
use super::option_file::{Secret, account_statements, quoted};
use super::sql;

const EVERY: Duration = Duration::from_secs(10);
/// A write waits for as long as the group has no majority; then the role is lost and this task with it.
const WRITE_LIMIT: Duration = Duration::from_secs(600);

/// Makes accounts that lack, as long as it is not dropped.
pub async fn keep(core: Arc<Core>) {
    loop {
        if let Err(error) = make_missing(&core).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "accounts could not be made; it is tried again"
            );
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn make_missing(core: &Core) -> Result<()> {
    let config = core.config();
    let mut connection = None;
    for account in &config.accounts {
        let connection = match &mut connection {
            Some(connection) => connection,
            none => none.insert(sql::connect(&config).await?),
        };
        let query = format!(
            "SELECT CAST(COUNT(*) AS CHAR) FROM mysql.user WHERE user = {} AND host = '%'",
            quoted(&account.user)
        );
        if sql::value(connection, sql::ANSWER_LIMIT, query).await? != "0" {
            continue;
        }
        let secret = Secret::read(account)?;
        for statement in account_statements(&secret, &account.grants, "") {
            sql::run(connection, WRITE_LIMIT, statement)
                .await
                .with_context(|| account.user.clone())?;
        }
        tracing::info!(user = account.user, "an account was made");
    }
    Ok(())
}
