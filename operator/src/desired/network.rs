//! Network policies: nothing but the arrows of the picture in docs/architecture.md.

use panono_crds::{BackupBucket, NetworkPolicies};
use serde_json::{Value, json};
use url::Url;

use super::cache_watched::SENTINEL_PORT;
use super::route::entrance;
use super::shop::{OPS_PORT, PORT};
use super::{Plan, backup, group};
use crate::object::{Kind, Object, insert};
use crate::validate::mail_port;

/// One end of a connection.
#[derive(Clone, Copy)]
enum Peer {
    /// Pods of a component of this shop.
    Part(&'static str),
    /// The operator, in whichever namespace it is.
    Operator,
    /// Anybody: visitors, monitoring, somebody else's servers.
    Anybody,
}

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    match plan.shop.spec.network_policy {
        NetworkPolicies::Enforce => {}
        NetworkPolicies::Off => return Vec::new(),
    }
    let owner = &plan.shop.owner;
    let spec = &plan.shop.spec;
    let mut objects = vec![owner.object(
        Kind::NetworkPolicy,
        owner.name.clone(),
        "shop",
        json!({"spec": {
            "podSelector": {"matchLabels": {(crate::names::SHOP_LABEL): owner.name}},
            "policyTypes": ["Ingress", "Egress"],
            // Nobody does without names.
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}],
        }}),
    )];
    let database = if spec.database.managed.is_some() {
        vec![(Peer::Part("database"), vec![3306])]
    } else {
        // Whoever runs it chose its port. It is in the URL, which is a secret.
        vec![(Peer::Anybody, Vec::new())]
    };
    let entrance = entrance(plan);
    let metrics = (vec![Peer::Anybody], OPS_PORT);
    let mut policy =
        |part: &'static str, ingress: Vec<(Vec<Peer>, u16)>, egress: Vec<(Peer, Vec<u16>)>| {
            objects.push(one(plan, part, &ingress, &egress));
        };

    let mut web_to = database.clone();
    let watched = spec
        .cache
        .managed
        .as_ref()
        .is_some_and(panono_crds::ManagedCache::is_watched);
    web_to.push(if watched {
        (Peer::Part("cache"), vec![6379, SENTINEL_PORT])
    } else if spec.cache.managed.is_some() {
        (Peer::Part("cache"), vec![6379])
    } else {
        (Peer::Anybody, Vec::new())
    });
    // Payment providers and buckets.
    web_to.push((
        Peer::Anybody,
        spec.media
            .bucket
            .as_ref()
            .map_or_else(|| vec![443], |bucket| bucket_ports(&bucket.url)),
    ));
    let mut visitors = Vec::new();
    if spec.edge.managed.is_some() {
        visitors.push(Peer::Part("edge"));
    }
    if entrance == "web" {
        visitors.push(Peer::Anybody);
    }
    policy("web", vec![(visitors, PORT), metrics.clone()], web_to);

    let mut worker_to = database.clone();
    if spec.edge.managed.is_some() {
        worker_to.push((Peer::Part("edge"), vec![PORT]));
    }
    // CDNs, payment providers, receivers of webhooks; servers that take mail.
    let mut outside = vec![443, 25, 465, 587];
    if let Some(port) = spec.mail.as_ref().and_then(|mail| mail_port(&mail.server))
        && !outside.contains(&port)
    {
        outside.push(port);
    }
    worker_to.push((Peer::Anybody, outside));
    policy("worker", vec![metrics], worker_to);
    policy("migration", Vec::new(), database);
    if spec.edge.managed.is_some() {
        policy(
            "edge",
            vec![(vec![Peer::Anybody], PORT)],
            vec![(Peer::Part("web"), vec![PORT])],
        );
    }
    if entrance == "maintenance" {
        policy("maintenance", vec![(vec![Peer::Anybody], PORT)], Vec::new());
    }
    if spec.database.managed.is_some() {
        let mut clients = vec![
            Peer::Part("web"),
            Peer::Part("worker"),
            Peer::Part("migration"),
        ];
        let mut outside = Vec::new();
        let mut ends = Vec::new();
        if let Some(backups) = &spec.backup {
            clients.push(Peer::Part(backup::PART));
            ends.push((vec![Peer::Anybody], backup::METRICS_PORT));
            let ports = target_ports(backups.bucket.as_ref());
            let mut to = vec![(Peer::Part("database"), vec![group::PORT])];
            if !ports.is_empty() {
                // Buckets are anywhere.
                outside.push((Peer::Anybody, ports.clone()));
                to.push((Peer::Anybody, ports));
            }
            policy(backup::PART, Vec::new(), to);
        }
        if let Some(restore) = spec
            .database
            .managed
            .as_ref()
            .and_then(|managed| managed.restore.as_ref())
        {
            let ports = target_ports(restore.bucket.as_ref());
            if !ports.is_empty() {
                outside.push((Peer::Anybody, ports));
            }
        }
        if plan.shop.spec.database.is_group() {
            clients.push(Peer::Part("database"));
            let mut from = vec![
                (clients, group::PORT),
                (
                    vec![Peer::Part("database"), Peer::Operator],
                    group::AGENT_PORT,
                ),
                (vec![Peer::Anybody], group::PROBE_PORT),
            ];
            from.extend(ends);
            let mut to = vec![
                (Peer::Part("database"), vec![group::PORT, group::AGENT_PORT]),
                // The API server: behind its Service, and as it is.
                (Peer::Anybody, vec![443, 6443]),
            ];
            to.extend(outside);
            policy("database", from, to);
        } else {
            let mut from = vec![(clients, 3306)];
            from.extend(ends);
            policy("database", from, outside);
        }
    }
    if watched {
        let clients = || vec![Peer::Part("web"), Peer::Part("cache")];
        policy(
            "cache",
            vec![(clients(), 6379), (clients(), SENTINEL_PORT)],
            vec![(Peer::Part("cache"), vec![6379, SENTINEL_PORT])],
        );
    } else if spec.cache.managed.is_some() {
        policy("cache", vec![(vec![Peer::Part("web")], 6379)], Vec::new());
    }
    objects
}

fn one(
    plan: &Plan<'_>,
    part: &'static str,
    ingress: &[(Vec<Peer>, u16)],
    egress: &[(Peer, Vec<u16>)],
) -> Object {
    let owner = &plan.shop.owner;
    let selector = |part: &str| json!({"podSelector": {"matchLabels": owner.selector(part)}});
    let ports = |ports: &[u16]| -> Vec<Value> {
        ports
            .iter()
            .map(|port| json!({"port": port, "protocol": "TCP"}))
            .collect()
    };
    let mut spec = json!({
        "podSelector": {"matchLabels": owner.selector(part)},
        "policyTypes": ["Ingress", "Egress"],
    });
    if !ingress.is_empty() {
        let rules: Vec<Value> = ingress
            .iter()
            .map(|(peers, port)| {
                let mut rule = json!({"ports": ports(&[*port])});
                let anybody = peers.iter().any(|peer| matches!(peer, Peer::Anybody));
                if !anybody {
                    let from: Vec<Value> = peers
                        .iter()
                        .filter_map(|peer| match peer {
                            Peer::Part(part) => Some(selector(part)),
                            Peer::Operator => Some(json!({
                                "namespaceSelector": {},
                                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "panono-operator"}},
                            })),
                            Peer::Anybody => None,
                        })
                        .collect();
                    insert(&mut rule, "from", from);
                }
                rule
            })
            .collect();
        insert(&mut spec, "ingress", rules);
    }
    if !egress.is_empty() {
        let rules: Vec<Value> = egress
            .iter()
            .map(|(peer, allowed)| {
                let mut rule = json!({});
                if let Peer::Part(part) = peer {
                    insert(&mut rule, "to", json!([selector(part)]));
                }
                if !allowed.is_empty() {
                    insert(&mut rule, "ports", ports(allowed));
                }
                rule
            })
            .collect();
        insert(&mut spec, "egress", rules);
    }
    owner.object(
        Kind::NetworkPolicy,
        owner.with(part),
        part,
        json!({"spec": spec}),
    )
}

/// The ports of a target of backups; none for a volume.
fn target_ports(bucket: Option<&BackupBucket>) -> Vec<u16> {
    bucket.map_or_else(Vec::new, |bucket| bucket_ports(&bucket.url))
}

/// The ports of a bucket: those that are usual, and the one that its address names, as `…?endpoint=http://host:port`.
fn bucket_ports(url: &str) -> Vec<u16> {
    let mut ports = vec![443, 80, 9000];
    let named = Url::parse(url).ok().and_then(|url| {
        let (_, endpoint) = url.query_pairs().find(|(name, _)| name == "endpoint")?;
        Url::parse(&endpoint).ok()?.port()
    });
    if let Some(port) = named.filter(|port| !ports.contains(port)) {
        ports.push(port);
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::bucket_ports;

    #[test]
    fn a_port_that_the_bucket_names_is_let_through() {
        for (url, named) in [
            ("s3://b/p?region=eu-central-1", None),
            ("s3://b?endpoint=https://host", None),
            ("s3://b?endpoint=http://minio.infra:9000", None),
            (
                "s3://b?endpoint=http://minio.infra:9001/&region=x",
                Some(9001),
            ),
            (
                "s3://b/p?region=x&endpoint=https%3A%2F%2Fs3.example.com%3A8443%2Fpath",
                Some(8443),
            ),
            ("s3://b?endpoint=http://[fd00::9]:9002", Some(9002)),
        ] {
            let wanted: Vec<u16> = [443, 80, 9000].into_iter().chain(named).collect();
            assert_eq!(bucket_ports(url), wanted, "{url}");
        }
    }
}
