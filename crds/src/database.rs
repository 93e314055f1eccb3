//! Where the shop's data is.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{Resources, defaults};

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
    /// A MySQL server that is run for this shop, with one member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
    /// A MySQL server, 8.4 or newer, that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
}

/// A MySQL server that is run for the shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedDatabase {
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
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self {
            image: defaults::mysql_image(),
            storage: Storage::database(),
            buffer_pool: defaults::buffer_pool(),
            max_connections: defaults::max_connections(),
            resources: None,
        }
    }
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("the volume of a database cannot be changed: make another Shop and bring the data there"))]
pub struct Storage {
    /// Its size, such as `20Gi`.
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
pub struct ManagedCache {
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

impl Default for ManagedCache {
    fn default() -> Self {
        Self {
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
