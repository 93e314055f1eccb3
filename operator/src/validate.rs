//! From a Shop and what it refers to, to a shop that can be built, or the reason why it cannot. Pure.
//!
//! What one field of a Shop must look like is checked by its definition before it is stored. Here is what needs more than the
//! Shop: Secrets, kinds that the cluster knows, and what a definition cannot say.

use std::collections::{BTreeMap, BTreeSet};

use panono_crds::{Reason, Shop, ShopSpec, Tls};

use crate::names::Owner;
use crate::object::Kind;

/// What a Shop refers to, as it was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Referenced {
    /// The Secrets that [`secrets`] names and that exist: for each key whether it has a value, and a digest of it all.
    pub secrets: BTreeMap<String, FoundSecret>,
    /// The kinds of [`Kind`] that the cluster knows.
    pub kinds: BTreeSet<Kind>,
    /// Whether `custom.metrics.k8s.io` is served.
    pub custom_metrics: bool,
}

/// A Secret that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundSecret {
    /// Its keys that have a value.
    pub keys: BTreeSet<String>,
    /// Changes when a value changes. Says nothing about the values.
    pub digest: String,
}

/// A Shop that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedShop {
    /// Who it is.
    pub owner: Owner,
    /// What it says.
    pub spec: ShopSpec,
    /// The host of its address, with the port where one is given.
    pub host: Host,
    /// What it refers to.
    pub referenced: Referenced,
}

/// Where shoppers find the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name.
    pub name: String,
    /// All names, the main one first.
    pub all: Vec<String>,
}

/// Why a Shop cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// For machines.
    pub reason: Reason,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

impl Invalid {
    /// A reason with its words.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// A Secret that a Shop needs: where it says so, its name, and the keys that must have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededSecret {
    /// The field of the Shop.
    pub field: &'static str,
    /// The Secret.
    pub name: String,
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// The Secrets that a Shop names for what its processes read. Those of images and certificates are read by others.
pub fn secrets(spec: &ShopSpec) -> Vec<NeededSecret> {
    const AWS: &[&str] = &["access-key-id", "secret-access-key"];
    let mut needed = Vec::new();
    let mut need = |field, name: &String, keys| {
        needed.push(NeededSecret {
            field,
            name: name.clone(),
            keys,
        });
    };
    if let Some(external) = &spec.database.external {
        let keys: &[&str] = match external.tls {
            Tls::Preferred | Tls::Required => &["writer-url"],
            Tls::VerifyCa => &["writer-url", "ca.crt"],
        };
        need("database.external.secretName", &external.secret_name, keys);
    }
    if let Some(external) = &spec.cache.external {
        need("cache.external.secretName", &external.secret_name, &["url"]);
    }
    if let Some(fastly) = &spec.edge.fastly {
        need("edge.fastly.secretName", &fastly.secret_name, &["token"]);
    }
    if let Some(cloudflare) = &spec.edge.cloudflare {
        need(
            "edge.cloudflare.secretName",
            &cloudflare.secret_name,
            &["token"],
        );
    }
    if let Some(cloudfront) = &spec.edge.cloudfront {
        need("edge.cloudfront.secretName", &cloudfront.secret_name, AWS);
    }
    if let Some(bucket) = &spec.media.bucket {
        need("media.bucket.secretName", &bucket.secret_name, AWS);
    }
    if let Some(backup) = &spec.backup {
        if let Some(bucket) = &backup.bucket {
            need("backup.bucket.secretName", &bucket.secret_name, AWS);
        }
        if let Some(name) = &backup.key_secret_name {
            need("backup.keySecretName", name, &["key"]);
        }
    }
    if let Some(stripe) = &spec.payments.stripe {
        need(
            "payments.stripe.secretName",
            &stripe.secret_name,
            &["secret-key", "webhook-secrets"],
        );
    }
    if let Some(name) = &spec.fulfilment.secret_name {
        need("fulfilment.secretName", name, &["carrier-secrets"]);
    }
    if let Some(name) = spec
        .mail
        .as_ref()
        .and_then(|mail| mail.secret_name.as_ref())
    {
        need("mail.secretName", name, &["user", "password"]);
    }
    needed
}

/// The port of a server of mails, if it is one.
pub fn mail_port(server: &str) -> Option<u16> {
    let (_, port) = server.rsplit_once(':')?;
    port.parse().ok().filter(|port| *port > 0)
}

/// Whether the Shop can be built.
///
/// # Errors
/// The first thing that is wrong, with what to do.
pub fn validate(shop: &Shop, referenced: &Referenced) -> Result<ValidatedShop, Invalid> {
    let spec = &shop.spec;
    let host = host(spec)?;
    if let Some(mail) = &spec.mail
        && mail_port(&mail.server).is_none()
    {
        return Err(Invalid::new(
            Reason::InvalidSpec,
            format!(
                "spec.mail.server {:?} has a port that is none: give one from 1 to 65535",
                mail.server
            ),
        ));
    }
    for needed in secrets(spec) {
        let Some(found) = referenced.secrets.get(&needed.name) else {
            return Err(Invalid::new(
                Reason::SecretMissing,
                format!(
                    "Secret {:?}, which spec.{} names, does not exist: create it with the keys {}",
                    needed.name,
                    needed.field,
                    needed.keys.join(", ")
                ),
            ));
        };
        if let Some(key) = needed.keys.iter().find(|key| !found.keys.contains(**key)) {
            return Err(Invalid::new(
                Reason::SecretIncomplete,
                format!(
                    "Secret {:?}, which spec.{} names, has no value for the key {key:?}: add it",
                    needed.name, needed.field
                ),
            ));
        }
    }
    if spec
        .exposure
        .as_ref()
        .is_some_and(|exposure| exposure.gateway.is_some())
        && !referenced.kinds.contains(&Kind::HTTPRoute)
    {
        return Err(Invalid::new(
            Reason::KindMissing,
            "spec.exposure.gateway needs HTTPRoute (gateway.networking.k8s.io/v1), which this cluster does not know: install \
             the Gateway API, or use spec.exposure.ingress",
        ));
    }
    Ok(ValidatedShop {
        owner: Owner {
            name: shop.metadata.name.clone().unwrap_or_default(),
            namespace: shop
                .metadata
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
            uid: shop.metadata.uid.clone(),
        },
        spec: spec.clone(),
        host,
        referenced: referenced.clone(),
    })
}

fn host(spec: &ShopSpec) -> Result<Host, Invalid> {
    let invalid = |message: String| Invalid::new(Reason::InvalidSpec, message);
    let rest = spec
        .url
        .split_once("://")
        .map_or(spec.url.as_str(), |(_, rest)| rest);
    let (name, port) = match rest.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (rest, None),
    };
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(invalid(format!(
            "spec.url {:?} has a port that is none: give one from 1 to 65535",
            spec.url
        )));
    }
    let mut all = vec![name.to_owned()];
    for alias in &spec.aliases {
        if all.contains(alias) {
            return Err(invalid(format!(
                "spec.aliases names {alias:?} again: remove it"
            )));
        }
        all.push(alias.clone());
    }
    for name in &all {
        let good = name.len() <= 253
            && name.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            });
        if !good {
            return Err(invalid(format!(
                "{name:?} in spec.url or spec.aliases is not a host name: its parts have 1 to 63 letters, digits and inner dashes"
            )));
        }
    }
    Ok(Host {
        name: name.to_owned(),
        all,
    })
}
