//! The agent's configuration: one JSON file, which the operator renders for pods and the testbed for processes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What one agent is told. Paths of files and folders are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The folder that is kept (the volume). The server's data is in `data/` in it, the agent's own in `agent/`.
    pub volume: PathBuf,
    /// A folder for the socket, the option file and the process id. It may be empty at each start.
    pub run_folder: PathBuf,
    /// The server's program: a path, or a name that is looked for in `PATH`.
    #[serde(default = "mysqld")]
    pub mysqld: PathBuf,
    /// The identity of the pod.
    pub pod_uid: String,
    /// The number of the member, from 0.
    pub ordinal: u32,
    /// `server_id`, unlike that of any other member.
    pub server_id: u32,
    /// The name by which other members and shops reach this one. It is the member's name in the group.
    pub host: String,
    /// The port of the server.
    #[serde(default = "port")]
    pub port: u16,
    /// The address that the server binds to.
    #[serde(default = "any")]
    pub bind_address: String,
    /// The address and port for administration, which answer also when there are too many connections. Without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
    /// All members, this one among them or not.
    pub peers: Vec<Peer>,
    /// The name of the group, once it is known. Data of another group is then foreign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Where the interface for operator and agents listens.
    pub api_listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub probe_listen: SocketAddr,
    /// Certificates.
    pub tls: Tls,
    /// The account of the agent itself, on the server's socket only, which may do everything.
    pub admin_account: Account,
    /// The account by which members reach each other.
    pub replication_account: Account,
    /// Further accounts, for connections over TLS from anywhere.
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// Databases that are made together with the group.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Size of the buffer pool, in MiB.
    pub buffer_pool_mib: u64,
    /// `max_connections`
    #[serde(default = "max_connections")]
    pub max_connections: u32,
    /// Size of the cache of messages that a slow member can still get from others, in MiB, 128 at least.
    #[serde(default = "message_cache_mib")]
    pub message_cache_mib: u64,
    /// Seconds that a silent member is kept after the five until it is suspected (`group_replication_member_expel_timeout`). With
    /// 0 a killed primary is replaced after some seven seconds; with anything more, after over twenty.
    #[serde(default)]
    pub expel_timeout_seconds: u32,
    /// Seconds after which a member without a majority gives up and fences itself.
    #[serde(default = "majority_timeout")]
    pub majority_timeout_seconds: u32,
    /// Preference in elections, 0 to 100.
    #[serde(default = "member_weight")]
    pub member_weight: u8,
    /// Bytes a second that a copy of this member's data may take from its disk, in MiB; 0 is no limit.
    #[serde(default)]
    pub clone_bandwidth_mib: u64,
    /// Further settings, from [`SETTINGS`] only.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Milliseconds between heartbeats of the primary, by which gaps are measured.
    #[serde(default = "heartbeat_ms")]
    pub heartbeat_ms: u64,
    /// What a power loss may cost. Never anything but `full` where orders matter.
    #[serde(default)]
    pub durability: Durability,
    /// The EndpointSlice that the primary owns. Without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_slice: Option<EndpointSliceRef>,
    /// A file with how often the passwords beside it were made. Without it they are not changed while members run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_file: Option<PathBuf>,
    /// Another file like this one, with the fields of [`LIVE`] only, which is read after it and again while the member runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_file: Option<PathBuf>,
}

/// Fields that may change while a member runs.
pub const LIVE: &[&str] = &[
    "bufferPoolMib",
    "cloneBandwidthMib",
    "maxConnections",
    "memberWeight",
    "settings",
];

/// Where another member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peer {
    /// `host:port` of its server.
    pub mysql: String,
    /// `host:port` of its agent.
    pub api: String,
}

/// Files of certificates, in PEM. They are read again when the operator says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Who signs members' and operator's certificates. May be several, while they change.
    pub ca: PathBuf,
    /// The certificate of this member, valid for [`Config::host`], to serve and to ask with.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// An account of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// A file with its password and nothing else. Blanks around it do not count.
    pub password_file: PathBuf,
    /// A file with the password before, while it changes. It may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_password_file: Option<PathBuf>,
    /// What it may do: what stands between `GRANT` and `TO`, such as ``ALL ON `panono`.*``. Only of [`Config::accounts`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
}

/// What a power loss may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Durability {
    /// Nothing that was acknowledged: a commit is on disk before.
    #[default]
    Full,
    /// The last second. A server that is killed loses nothing all the same. For demonstrations and tests.
    Relaxed,
}

/// The one object that the primary writes, so that clients of a Service without a selector reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointSliceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name. The operator makes it, with its labels; the agent may write it only.
    pub name: String,
    /// The address to write: that of this pod.
    pub address: String,
    /// The name of this pod.
    pub pod_name: String,
}

/// Settings that a Shop may give. Everything else is the agent's, or unsafe in a group.
pub const SETTINGS: &[&str] = &[
    "binlog_expire_logs_seconds",
    "innodb_flush_neighbors",
    "innodb_ft_cache_size",
    "innodb_io_capacity",
    "innodb_io_capacity_max",
    "innodb_lock_wait_timeout",
    "innodb_log_buffer_size",
    "innodb_print_all_deadlocks",
    "innodb_read_io_threads",
    "innodb_redo_log_capacity",
    "innodb_write_io_threads",
    "join_buffer_size",
    "long_query_time",
    "max_allowed_packet",
    "max_heap_table_size",
    "replica_parallel_workers",
    "slow_query_log",
    "sort_buffer_size",
    "sync_relay_log",
    "table_definition_cache",
    "table_open_cache",
    "thread_cache_size",
    "tmp_table_size",
    "wait_timeout",
];

fn mysqld() -> PathBuf {
    PathBuf::from("mysqld")
}
fn port() -> u16 {
    3306
}
fn any() -> String {
    "*".to_owned()
}
fn max_connections() -> u32 {
    300
}
fn message_cache_mib() -> u64 {
    128
}
fn majority_timeout() -> u32 {
    10
}
fn member_weight() -> u8 {
    50
}
fn heartbeat_ms() -> u64 {
    500
}

/// By which it is known that texts are the same.
#[must_use]
pub fn digest(texts: &[&str]) -> String {
    format!(
        "{:016x}",
        xxhash_rust::xxh3::xxh3_64(texts.concat().as_bytes())
    )
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_path_buf(),
        error,
    })
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not JSON of this form.
    #[error("{path}: {error}")]
    Form {
        /// Which.
        path: PathBuf,
        /// Where and what.
        error: serde_json::Error,
    },
    /// A value cannot be.
    #[error("{field}: {problem}")]
    Value {
        /// Which.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Config {
    /// Reads a file and checks what it says.
    ///
    /// # Errors
    /// When it cannot be read or used, with the field.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let form = |error| ConfigError::Form {
            path: path.to_path_buf(),
            error,
        };
        let mut fields: Map<String, Value> =
            serde_json::from_str(&read_text(path)?).map_err(form)?;
        if let Some(live) = fields.get("liveFile").and_then(Value::as_str) {
            let live = PathBuf::from(live);
            let text = read_text(&live)?;
            let newer: Map<String, Value> =
                serde_json::from_str(&text).map_err(|error| ConfigError::Form {
                    path: live.clone(),
                    error,
                })?;
            for (name, value) in newer {
                if !LIVE.contains(&name.as_str()) {
                    return Err(ConfigError::Value {
                        field: name,
                        problem: format!(
                            "it cannot be in {}; those that can are {}",
                            live.display(),
                            LIVE.join(", ")
                        ),
                    });
                }
                fields.insert(name, value);
            }
        }
        let config: Self = serde_json::from_value(Value::Object(fields)).map_err(form)?;
        config.check()?;
        Ok(config)
    }

    /// A digest of what may change while a member runs, as it is in the files. Whoever writes them computes the same.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn live_digest(&self) -> Result<String, ConfigError> {
        self.live_file.as_ref().map_or_else(
            || Ok(String::new()),
            |path| Ok(digest(&[&read_text(path)?])),
        )
    }

    /// How often the passwords in the files were made; 0 where that is not told.
    pub fn generation(&self) -> i64 {
        self.generation_file
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok())
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Checks what types do not.
    ///
    /// # Errors
    /// When a value cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field: &str, problem: &str| {
            Err(ConfigError::Value {
                field: field.to_owned(),
                problem: problem.to_owned(),
            })
        };
        if self.server_id == 0 {
            return wrong(
                "serverId",
                "0 is no server; give each member a number from 1",
            );
        }
        if self.peers.len() > 9 {
            return wrong("peers", "a group has 9 members at most");
        }
        if self.member_weight > 100 {
            return wrong("memberWeight", "it is 0 to 100");
        }
        if self.message_cache_mib < 128 {
            return wrong("messageCacheMib", "it is 128 at least");
        }
        if !(100..=60_000).contains(&self.heartbeat_ms) {
            return wrong("heartbeatMs", "it is 100 to 60000");
        }
        if !(1..=3600).contains(&self.majority_timeout_seconds) {
            return wrong("majorityTimeoutSeconds", "it is 1 to 3600");
        }
        if let Some(name) = &self.group_name
            && !is_uuid(name)
        {
            return wrong("groupName", "it is a UUID");
        }
        for (name, value) in &self.settings {
            if !SETTINGS.contains(&name.as_str()) {
                return wrong(
                    &format!("settings.{name}"),
                    "this setting is not among those that can be given",
                );
            }
            if value.is_empty() || value.chars().any(char::is_control) {
                return wrong(&format!("settings.{name}"), "the value is not one line");
            }
        }
        let accounts = [&self.admin_account, &self.replication_account];
        for account in accounts.into_iter().chain(&self.accounts) {
            if !is_name(&account.user, 32) {
                return wrong(
                    "accounts.user",
                    "a name has 1 to 32 letters, digits, _ and -",
                );
            }
        }
        if !self.databases.iter().all(|name| is_name(name, 64)) {
            return wrong("databases", "a name has 1 to 64 letters, digits, _ and -");
        }
        Ok(())
    }
}

/// Whether this is a name that can stand in a statement.
fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

/// Whether this is a UUID in its usual form.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::{Config, is_uuid};

    /// What the shortest configuration looks like.
    const SHORTEST: &str = r#"{
        "volume": "/var/lib/mysql", "runFolder": "/run/mysqld", "podUid": "p", "ordinal": 0, "serverId": 1,
        "host": "db-0.db", "peers": [{"mysql": "db-0.db:3306", "api": "db-0.db:8443"}],
        "apiListen": "0.0.0.0:8443", "probeListen": "0.0.0.0:8081",
        "tls": {"ca": "/tls/ca.crt", "certificate": "/tls/tls.crt", "key": "/tls/tls.key"},
        "adminAccount": {"user": "panono_agent", "passwordFile": "/c/agent"},
        "replicationAccount": {"user": "panono_replication", "passwordFile": "/c/replication"},
        "bufferPoolMib": 128
    }"#;

    #[test]
    fn the_shortest_can_be_used() {
        let config: Config = serde_json::from_str(SHORTEST).unwrap();
        config.check().unwrap();
        assert_eq!(config.port, 3306);
        assert_eq!(config.expel_timeout_seconds, 0);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_field() {
        let changed = |change: fn(&mut Config)| {
            let mut config: Config = serde_json::from_str(SHORTEST).unwrap();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        let set = |name: &'static str| {
            let mut config: Config = serde_json::from_str(SHORTEST).unwrap();
            config.settings.insert(name.to_owned(), "1".to_owned());
            config.check()
        };
        assert!(changed(|config| config.server_id = 0).starts_with("serverId:"));
        assert!(changed(|config| config.group_name = Some("x".into())).starts_with("groupName:"));
        assert!(changed(|config| config.databases = vec!["a`b".into()]).starts_with("databases:"));
        assert!(set("sort_buffer_size").is_ok());
        assert!(set("sync_binlog").is_err());
    }

    #[test]
    fn uuids() {
        assert!(is_uuid("6f9619ff-8b86-4011-b42d-00c04fc964ff"));
        assert!(!is_uuid("6f9619ff-8b86-4011-b42d-00c04fc964f"));
        assert!(!is_uuid("6f9619ff-8b86-4011-b42d_00c04fc964ff"));
    }
}
