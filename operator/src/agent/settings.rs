//! Settings that change while the server runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use sqlx::mysql::MySqlConnection;

use super::carry::CHANGE_LIMIT;
use super::config::Config;
use super::core::Core;
use super::option_file::quoted;
use super::sql::{self, ANSWER_LIMIT};

/// MySQL's number for a variable that cannot be set while it runs.
const READ_ONLY: &str = "1238";

/// Every setting of a configuration that may change while the server runs, as it stands in the option file.
pub(super) fn of(config: &Config) -> BTreeMap<String, String> {
    let mut all = config.settings.clone();
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
        all.insert(name.to_owned(), value);
    }
    all
}

/// Reads the configuration again and sets what can be set. What was given before and is not any longer gets its default.
pub(super) async fn apply(core: &Arc<Core>) -> Result<String> {
    // First: at worst it is that of an older file, and this is asked for again.
    let digest = core.config().live_digest()?;
    let config = core.reload_config()?;
    let wanted = of(&config);
    let given = core.moment().given;
    let mut connection = sql::connect(&config).await?;
    let mut pending = Vec::new();
    for (name, value) in &wanted {
        if !has(&mut connection, name, value).await?
            && !set(&mut connection, name, &literal(value)).await?
        {
            pending.push(name.clone());
        }
    }
    for name in given.keys().filter(|name| !wanted.contains_key(*name)) {
        let default = super::option_file::default_of(name).unwrap_or("DEFAULT");
        if !set(&mut connection, name, default).await? {
            pending.push(name.clone());
        }
    }
    let detail = if pending.is_empty() {
        "all settings are in force".to_owned()
    } else {
        format!("these need a restart: {}", pending.join(", "))
    };
    tracing::info!(detail, "settings");
    core.update(|moment| {
        // What still waits for a restart was given by the file with which the server started.
        let waits = given.into_iter().filter(|(name, _)| pending.contains(name));
        moment.given = wanted.into_iter().chain(waits).collect();
        moment.pending_restart = pending;
        moment.server_settings = digest;
    });
    Ok(detail)
}

/// Whether the server has this value.
async fn has(connection: &mut MySqlConnection, name: &str, value: &str) -> Result<bool> {
    let query = format!("SELECT CAST(@@GLOBAL.{name} AS CHAR)");
    let now = sql::value(connection, ANSWER_LIMIT, query).await?;
    Ok(same(&now, &literal(value)))
}

/// Sets a value; says whether that could be done.
async fn set(connection: &mut MySqlConnection, name: &str, literal: &str) -> Result<bool> {
    let statement = format!("SET GLOBAL {name} = {literal}");
    match sql::run(connection, CHANGE_LIMIT, statement).await {
        Ok(()) => Ok(true),
        Err(error) => {
            let words = error.to_string();
            if words.contains(READ_ONLY) || words.contains("read only") {
                Ok(false)
            } else {
                Err(error.context(format!("{name} = {literal}")))
            }
        }
    }
}

/// Whether a value of the server is the one that was given.
fn same(now: &str, literal: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim_matches('\'');
        match text.to_ascii_uppercase().as_str() {
            "ON" => 1.0.to_string(),
            "OFF" => 0.0.to_string(),
            _ => text
                .parse::<f64>()
                .map_or_else(|_| text.to_owned(), |number| number.to_string()),
        }
    };
    plain(now) == plain(literal)
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

#[cfg(test)]
mod tests {
    use super::{literal, same};

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

    #[test]
    fn what_a_server_has_is_not_set_again() {
        for (now, value) in [
            ("67108864", "64M"),
            ("1", "ON"),
            ("0.500000", "0.5"),
            ("0", "off"),
        ] {
            assert!(same(now, &literal(value)), "{now} {value}");
        }
        assert!(!same("300", &literal("301")));
        assert!(!same("1", &literal("OFF")));
    }
}
