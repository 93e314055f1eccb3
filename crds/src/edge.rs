//! What stands between the shop and its visitors.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{Resources, defaults};

/// The edge: a Varnish that is run for the shop, a CDN that the shop purges, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.managed), has(self.fastly), has(self.cloudflare), has(self.cloudfront), has(self.none)].exists_one(given, given)"
).message("give exactly one of edge.managed, edge.fastly, edge.cloudflare, edge.cloudfront and edge.none"))]
pub struct Edge {
    /// A Varnish that is run for this shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedEdge>,
    /// Fastly stands in front and is purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastly: Option<Fastly>,
    /// Cloudflare stands in front and is purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudflare: Option<Cloudflare>,
    /// CloudFront stands in front and is purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudfront: Option<Cloudfront>,
    /// Nothing stands in front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<NoEdge>,
}

/// Nothing stands in front of the web processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NoEdge {}

/// A Varnish that is run for the shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedEdge {
    /// Its image: Varnish 7 with the vmods that the official image carries.
    #[serde(default = "defaults::varnish_image")]
    #[schemars(length(min = 1, max = 500))]
    pub image: String,
    /// How many there are. Each keeps pages of its own.
    #[serde(default = "defaults::two")]
    #[schemars(range(min = 1, max = 50))]
    pub replicas: u32,
    /// Memory of each for pages.
    #[serde(default = "defaults::edge_memory")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,8}(Ki|Mi|Gi)$"))]
    pub memory: String,
    /// Networks of proxies in front whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 2, max = 43)))]
    pub trusted_proxies: Vec<String>,
    /// What each container asks for and may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl Default for ManagedEdge {
    fn default() -> Self {
        Self {
            image: defaults::varnish_image(),
            replicas: defaults::two(),
            memory: defaults::edge_memory(),
            trusted_proxies: Vec::new(),
            resources: None,
        }
    }
}

/// A service of Fastly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fastly {
    /// The id of the service.
    #[schemars(length(min = 1, max = 64))]
    pub service_id: String,
    /// A Secret with the key `token`, an API token with the scope `purge_select`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// A zone of Cloudflare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cloudflare {
    /// The id of the zone.
    #[schemars(length(min = 1, max = 64))]
    pub zone_id: String,
    /// The plan of the zone, which decides how fast purges may be sent.
    #[serde(default)]
    pub plan: CloudflarePlan,
    /// A Secret with the key `token`, an API token with the permission Cache Purge.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// A plan of Cloudflare.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum CloudflarePlan {
    /// Free.
    Free,
    /// Pro.
    #[default]
    Pro,
    /// Business.
    Business,
    /// Enterprise.
    Enterprise,
}

/// A distribution of CloudFront.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cloudfront {
    /// The id of the distribution.
    #[schemars(length(min = 1, max = 64))]
    pub distribution_id: String,
    /// A Secret with the keys `access-key-id` and `secret-access-key`, which may `cloudfront:CreateInvalidation`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}
