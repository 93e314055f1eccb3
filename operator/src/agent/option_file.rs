//! The server's option file, written at each start, and the statements that set up a new data directory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::config::{Account, Config, Durability};

/// Where the server's files are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The data directory.
    pub data: PathBuf,
    /// The data directory while it is made.
    pub new_data: PathBuf,
    /// The option file.
    pub options: PathBuf,
    /// Statements that it runs as it starts.
    pub statements: PathBuf,
    /// The socket.
    pub socket: PathBuf,
    /// The server's process id.
    pub pid: PathBuf,
}

impl Paths {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            data: config.volume.join("data"),
            new_data: config.volume.join("data.new"),
            options: config.run_folder.join("my.cnf"),
            statements: config.run_folder.join("start.sql"),
            socket: config.run_folder.join("mysqld.sock"),
            pid: config.run_folder.join("mysqld.pid"),
        }
    }
}

/// What every member has. The two for full-text search are part of how the shop's index is defined.
const FIXED: &str = "\
mysqlx=OFF
secure_file_priv=NULL
local_infile=OFF
skip_name_resolve=ON
plugin_load_add=group_replication.so
plugin_load_add=mysql_clone.so
gtid_mode=ON
enforce_gtid_consistency=ON
skip_replica_start=ON
relay_log=relay
relay_log_recovery=OFF
persisted_globals_load=OFF
read_only=ON
super_read_only=ON
offline_mode=ON
transaction_isolation=READ-COMMITTED
sql_require_primary_key=ON
sql_generate_invisible_primary_key=ON
disabled_storage_engines=MyISAM,BLACKHOLE,FEDERATED,ARCHIVE,MEMORY
replica_preserve_commit_order=ON
innodb_ft_min_token_size=1
innodb_ft_enable_stopword=OFF
require_secure_transport=ON
tls_version=TLSv1.2,TLSv1.3
group_replication_start_on_boot=OFF
group_replication_bootstrap_group=OFF
group_replication_communication_stack=MYSQL
group_replication_single_primary_mode=ON
group_replication_enforce_update_everywhere_checks=OFF
group_replication_paxos_single_leader=ON
group_replication_autorejoin_tries=0
group_replication_exit_state_action=OFFLINE_MODE
group_replication_consistency=BEFORE_ON_PRIMARY_FAILOVER
group_replication_flow_control_mode=DISABLED
group_replication_transaction_size_limit=67108864
group_replication_recovery_use_ssl=ON
group_replication_recovery_ssl_verify_server_cert=ON
group_replication_ssl_mode=VERIFY_IDENTITY
group_replication_recovery_reconnect_interval=1
group_replication_recovery_retry_count=60
";

/// Defaults that a Shop may change.
const DEFAULTS: &[(&str, &str)] = &[
    ("binlog_expire_logs_seconds", "259200"),
    ("replica_parallel_workers", "4"),
];

/// What a setting is where a Shop does not give it, as far as that is not the server's own default.
#[must_use]
pub fn default_of(name: &str) -> Option<&'static str> {
    DEFAULTS
        .iter()
        .find(|(default, _)| *default == name)
        .map(|(_, value)| *value)
}

const FULL: &str = "sync_binlog=1\ninnodb_flush_log_at_trx_commit=1\n";
const RELAXED: &str = "\
sync_binlog=0
innodb_flush_log_at_trx_commit=2
innodb_flush_method=nosync
sync_relay_log=0
sync_relay_log_info=0
";

/// The option file. `root` says that this process is root, which the server wants to be told.
#[must_use]
pub fn option_file(config: &Config, root: bool) -> String {
    let paths = Paths::of(config);
    let mut text = String::from("[mysqld]\n");
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{name}={value}").ok();
    };
    line("datadir", &paths.data.display());
    line("socket", &paths.socket.display());
    line("pid_file", &paths.pid.display());
    line("bind_address", &config.bind_address);
    line("port", &config.port);
    line("report_host", &config.host);
    line("report_port", &config.port);
    line("server_id", &config.server_id);
    line("max_connections", &config.max_connections);
    line(
        "innodb_buffer_pool_size",
        &format_args!("{}M", config.buffer_pool_mib),
    );
    if let Some(admin) = config.admin {
        line("admin_address", &admin.ip());
        line("admin_port", &admin.port());
        line("create_admin_listener_thread", &"ON");
    }
    line("ssl_ca", &config.tls.ca.display());
    line("ssl_cert", &config.tls.certificate.display());
    line("ssl_key", &config.tls.key.display());
    line(
        "group_replication_recovery_ssl_ca",
        &config.tls.ca.display(),
    );
    line(
        "group_replication_recovery_ssl_cert",
        &config.tls.certificate.display(),
    );
    line(
        "group_replication_recovery_ssl_key",
        &config.tls.key.display(),
    );
    line("clone_ssl_ca", &config.tls.ca.display());
    line("clone_ssl_cert", &config.tls.certificate.display());
    line("clone_ssl_key", &config.tls.key.display());
    line("clone_max_data_bandwidth", &config.clone_bandwidth_mib);
    line(
        "group_replication_local_address",
        &format_args!("{}:{}", config.host, config.port),
    );
    line(
        "group_replication_member_expel_timeout",
        &config.expel_timeout_seconds,
    );
    line(
        "group_replication_unreachable_majority_timeout",
        &config.majority_timeout_seconds,
    );
    line("group_replication_member_weight", &config.member_weight);
    line(
        "group_replication_message_cache_size",
        &config.message_cache_mib.saturating_mul(1 << 20),
    );
    for (name, value) in DEFAULTS {
        if !config.settings.contains_key(*name) {
            line(name, value);
        }
    }
    for (name, value) in &config.settings {
        line(name, value);
    }
    if root {
        line("user", &"root");
    }
    text.push_str(FIXED);
    text.push_str(match config.durability {
        Durability::Full => FULL,
        Durability::Relaxed => RELAXED,
    });
    text
}

/// An account with its password.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The account.
    pub account: Account,
    /// The password that it has, or is to have.
    pub password: String,
    /// The password that it had.
    pub old_password: Option<String>,
}

impl Secret {
    /// Reads the files of an account.
    ///
    /// # Errors
    /// When there is no password.
    pub fn read(account: &Account) -> Result<Self, std::io::Error> {
        let password = read_trimmed(&account.password_file)?;
        if password.is_empty() || password.chars().any(char::is_control) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!(
                    "{} holds no password of one line",
                    account.password_file.display()
                ),
            ));
        }
        let old_password = match &account.old_password_file {
            Some(path) => read_trimmed(path).ok().filter(|old| !old.is_empty()),
            None => None,
        };
        Ok(Self {
            account: account.clone(),
            password,
            old_password,
        })
    }
}

fn read_trimmed(path: &Path) -> Result<String, std::io::Error> {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// A text as it stands in a statement, whether or not backslashes escape.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for letter in text.chars() {
        match letter {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// The statements by which a new data directory gets its accounts. They are run while it is made, when nothing is logged, so no
/// member owns transactions that its group does not have.
#[must_use]
pub fn first_statements(admin: &Secret, replication: &Secret, accounts: &[Secret]) -> String {
    let mut text = String::new();
    let name = format!("{}@'localhost'", quoted(&admin.account.user));
    writeln!(
        text,
        "CREATE USER {name} IDENTIFIED BY {};\nGRANT ALL ON *.* TO {name} WITH GRANT OPTION;",
        quoted(&admin.password)
    )
    .ok();
    for statement in account_statements(replication, &replication_grants(), "REQUIRE X509") {
        writeln!(text, "{statement};").ok();
    }
    for secret in accounts {
        for statement in account_statements(secret, &secret.account.grants, "") {
            writeln!(text, "{statement};").ok();
        }
    }
    writeln!(text, "ALTER USER 'root'@'localhost' ACCOUNT LOCK;").ok();
    text
}

/// What the account of replication may do.
#[must_use]
pub fn replication_grants() -> Vec<String> {
    [
        "REPLICATION SLAVE",
        "CONNECTION_ADMIN",
        "BACKUP_ADMIN",
        "GROUP_REPLICATION_STREAM",
    ]
    .iter()
    .map(|privilege| format!("{privilege} ON *.*"))
    .collect()
}

/// The statements by which an account comes to be.
#[must_use]
pub fn account_statements(secret: &Secret, grants: &[String], require: &str) -> Vec<String> {
    let name = format!("{}@'%'", quoted(&secret.account.user));
    let mut statements = vec![
        format!(
            "CREATE USER IF NOT EXISTS {name} IDENTIFIED BY {} {require}",
            quoted(&secret.password)
        )
        .trim_end()
        .to_owned(),
    ];
    statements.extend(
        grants
            .iter()
            .map(|grant| format!("GRANT {grant} TO {name}")),
    );
    statements
}

#[cfg(test)]
mod tests {
    use super::{option_file, quoted};
    use crate::agent::config::Config;

    /// Images differ in the folders that they have: nothing is taken from what is compiled into the server.
    #[test]
    fn every_folder_is_one_of_ours() {
        let config: Config = serde_json::from_str(
            r#"{"volume": "/v", "runFolder": "/r", "podUid": "p", "ordinal": 0, "serverId": 1, "host": "h", "peers": [],
            "apiListen": "0.0.0.0:1", "probeListen": "0.0.0.0:2", "tls": {"ca": "/c", "certificate": "/c", "key": "/c"},
            "adminAccount": {"user": "a", "passwordFile": "/p"}, "replicationAccount": {"user": "r", "passwordFile": "/p"},
            "bufferPoolMib": 128}"#,
        )
        .unwrap();
        let text = option_file(&config, false);
        for line in [
            "datadir=/v/data",
            "socket=/r/mysqld.sock",
            "pid_file=/r/mysqld.pid",
            "secure_file_priv=NULL",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
        assert_eq!(config.mysqld.to_str(), Some("mysqld"));
    }

    #[test]
    fn texts_end_where_they_should() {
        assert_eq!(quoted(r"a'b\c"), r"'a''b\\c'");
    }
}
