//! Where the shop's data is.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{DatabaseRestore, Resources, defaults};

/// The database: one that is run for the shop, or one that exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.managed) != has(self.external)")
        .message("give exactly one of database.managed and database.external"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("a shop cannot move between a managed and an external database: make another Shop and bring the data there")
)]
pub struct Database {
    /// MySQL that is run for this shop: one server, or a group that fails over by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
    /// A MySQL server, 8.4 or newer, that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
}

impl Database {
    /// Whether it is run as a group of several members.
    pub fn is_group(&self) -> bool {
        self.managed
            .as_ref()
            .is_some_and(|managed| managed.members > 1)
    }
}

/// MySQL that is run for the shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.members % 2 == 1")
        .message("an even number of members survives no more losses than one less: give 1, 3, 5, 7 or 9"),
    validation = Rule::new("(self.members == 1) == (oldSelf.members == 1)")
        .message("one server cannot become a group, nor a group one server: make another Shop and bring the data there"),
    validation = Rule::new("!has(self.group) || self.members > 1")
        .message("database.managed.group is about groups: give three members or more"),
    validation = Rule::new("has(self.restore) == has(oldSelf.restore) && (!has(self.restore) || self.restore == oldSelf.restore)")
        .message("a database begins from a backup when it is made, and only then: make another Shop")
)]
pub struct ManagedDatabase {
    /// How many servers: one alone, whose loss stops the shop until its node or volume is back; or a group of 3, 5, 7 or 9, which
    /// goes on as long as more than half of them run. Members are added and taken out one at a time.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 9))]
    pub members: u32,
    /// How a group behaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// The image of the server: the official `mysql`, 8.4 or newer, or one with the same program.
    #[serde(default = "defaults::mysql_image")]
    #[schemars(length(min = 1, max = 500))]
    pub image: String,
    /// The volume of its data.
    #[serde(default = "Storage::database")]
    pub storage: Storage,
    /// Memory for pages of tables (`innodb_buffer_pool_size`). The container asks for twice as much where `resources` says
    /// nothing.
    #[serde(default = "defaults::buffer_pool")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,8}(Ki|Mi|Gi)$"))]
    pub buffer_pool: String,
    /// Connections that the server takes.
    #[serde(default = "defaults::max_connections")]
    #[schemars(range(min = 50, max = 20_000))]
    pub max_connections: u32,
    /// What the container asks for and may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// A backup from which it begins, instead of empty: that of this shop before everything was lost, or of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<DatabaseRestore>,
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self {
            members: defaults::one(),
            group: None,
            image: defaults::mysql_image(),
            storage: Storage::database(),
            buffer_pool: defaults::buffer_pool(),
            max_connections: defaults::max_connections(),
            resources: None,
            restore: None,
        }
    }
}

/// How a group of members behaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// How soon a silent member is given up.
    #[serde(default)]
    pub failover: Failover,
    /// What is done with a member that has transactions which the group has not.
    #[serde(default)]
    pub divergence: Divergence,
    /// Settings of the server, by name. Those that the group or its durability rest on cannot be given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 100, "pattern": "^[A-Za-z0-9_.,:-]+$"}
    ))]
    #[x_kube(validation = Rule::new(
        "self.all(name, name in ['binlog_expire_logs_seconds', 'innodb_flush_neighbors', 'innodb_ft_cache_size', 'innodb_io_capacity', 'innodb_io_capacity_max', 'innodb_lock_wait_timeout', 'innodb_log_buffer_size', 'innodb_print_all_deadlocks', 'innodb_read_io_threads', 'innodb_redo_log_capacity', 'innodb_write_io_threads', 'join_buffer_size', 'long_query_time', 'max_allowed_packet', 'max_heap_table_size', 'replica_parallel_workers', 'slow_query_log', 'sort_buffer_size', 'sync_relay_log', 'table_definition_cache', 'table_open_cache', 'thread_cache_size', 'tmp_table_size', 'wait_timeout'])"
    ).message("this setting cannot be given: docs/operator.md has those that can"))]
    pub settings: BTreeMap<String, String>,
    /// The image with the program that keeps a member in its group (`panono-agent`). Without one that of the operator by which the
    /// group was made: upgrading the operator restarts no member. Changing it replaces the pods one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub agent_image: Option<String>,
    /// MiB a second that a member may read from its disk to be copied; 0 is no limit.
    #[serde(default)]
    #[schemars(range(max = 100_000))]
    pub clone_bandwidth_mib: u32,
}

/// How soon a silent member is given up. Sooner is also more often for nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Failover {
    /// After some five seconds.
    #[default]
    Fast,
    /// After half a minute: for networks and disks that stall.
    Tolerant,
}

/// What is done with a member that has transactions which the group has not. They are always kept.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Divergence {
    /// They are saved beside its data, which is then replaced by a copy.
    #[default]
    SaveThenReclone,
    /// It stays out until a `ShopAction` says so.
    Manual,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)")
    .message("the storage class of a database cannot be changed: make another Shop and bring the data there"))]
#[x_kube(validation = Rule::new("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0")
    .message("the volume of a database can grow and not shrink: make another Shop and bring the data there"))]
pub struct Storage {
    /// Its size, such as `20Gi`. It can be made larger where the storage class allows that (`allowVolumeExpansion`).
    #[serde(default = "defaults::database_size")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,6}(Mi|Gi|Ti)$"))]
    pub size: String,
    /// Its storage class; without one the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}

impl Storage {
    fn database() -> Self {
        Self {
            size: defaults::database_size(),
            class_name: None,
        }
    }
}

/// A MySQL server that somebody else runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// A Secret with the key `writer-url` (`mysql://user:password@host:3306/database`) and, if there are replicas to read
    /// from, `reader-urls` (several, with commas). With `tls: VerifyCA` also `ca.crt`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Whether connections are encrypted, and whether the server's certificate is checked.
    #[serde(default)]
    pub tls: Tls,
}

/// Encryption of connections to the database.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Tls {
    /// Where the server offers it.
    #[default]
    Preferred,
    /// Always.
    Required,
    /// Always, and the server's certificate must come from the authority in `ca.crt`.
    #[serde(rename = "VerifyCA")]
    VerifyCa,
}

/// The cache that the web processes share: one that is run for the shop, or one that exists. Nothing on it has to be kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.managed) != has(self.external)")
    .message("give exactly one of cache.managed and cache.external"))]
pub struct Cache {
    /// A server that is run for this shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedCache>,
    /// A Valkey or Redis server that somebody else runs. Shops can share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalCache>,
}

/// A cache server that is run for the shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.replicas in [1, 3]")
    .message("cache.managed.replicas is 1 or 3: two servers cannot agree on which of them is left"))]
pub struct ManagedCache {
    /// How many servers: one, whose loss is a cache that fills again; or three that Sentinels watch, one of which has the role of the
    /// primary, and whose copies go on when it is lost.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 3))]
    pub replicas: u32,
    /// Which server it is.
    #[serde(default)]
    pub engine: CacheEngine,
    /// Its image. Without one: `docker.io/valkey/valkey:9` or `docker.io/library/redis:8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub image: Option<String>,
    /// Memory for entries; the least recently used go when it is full.
    #[serde(default = "defaults::cache_memory")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,8}(Ki|Mi|Gi)$"))]
    pub memory: String,
    /// What the container asks for and may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl ManagedCache {
    /// Whether there are several servers, with Sentinels.
    pub fn is_watched(&self) -> bool {
        self.replicas > 1
    }
}

impl Default for ManagedCache {
    fn default() -> Self {
        Self {
            replicas: defaults::one(),
            engine: CacheEngine::default(),
            image: None,
            memory: defaults::cache_memory(),
            resources: None,
        }
    }
}

/// A program for a cache server.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum CacheEngine {
    /// Valkey.
    #[default]
    Valkey,
    /// Redis.
    Redis,
}

/// A cache server that somebody else runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalCache {
    /// A Secret with the key `url`: `redis://[user:password@]host:6379`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}
