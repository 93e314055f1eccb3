//! The generated passwords of a shop: made once, kept in a Secret whose values no apply touches, made anew on request only.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::DynamicObject;
use panono_crds::{Component, Reason};
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::desired::{CREDENTIALS, DATABASE, USER};
use crate::failure::Failure;
use crate::names::{Owner, SHOP_LABEL};
use crate::object::{Kind, insert};
use crate::ownership::made_by_us;

/// The manager of values in Secrets, which is not the one that applies objects.
pub(crate) const MANAGER: &str = "panono-operator-credentials";

/// How often the passwords were made.
const GENERATION: &str = "panono.dev/generation";

/// The request for which they were made last.
const REQUEST: &str = "panono.dev/rotated-by";

/// 32 letters and digits have 190 bits, and need no escaping in URLs, SQL and configuration files.
const LENGTH: usize = 32;

/// Keys of the Secret that are read by somebody.
const KEYS: &[&str] = &[
    "cache.conf",
    "cache-url",
    "init.sql",
    "purge-token",
    SECRET_KEY,
    "writer-url",
];

/// The key of the shop itself. What is signed and sealed with it must be read for as long as the shop lives, so it is made once
/// and never anew.
const SECRET_KEY: &str = "secret-key";

/// The values of the Secret of `owner`'s shop, with passwords made now.
pub fn generate(owner: &Owner) -> BTreeMap<&'static str, String> {
    let word = || Alphanumeric.sample_string(&mut rand::rng(), LENGTH);
    let (database, root, cache, token) = (word(), word(), word(), word());
    BTreeMap::from([
        (
            "writer-url",
            format!(
                "mysql://{USER}:{database}@{}:3306/{DATABASE}",
                owner.component(Component::Database)
            ),
        ),
        ("init.sql", initial_statements(&database, &root)),
        ("cache.conf", format!("requirepass {cache}\n")),
        (
            "cache-url",
            format!(
                "redis://:{cache}@{}:6379",
                owner.component(Component::Cache)
            ),
        ),
        ("purge-token", token),
        (SECRET_KEY, secret_key()),
    ])
}

/// 32 random bytes as hexadecimal digits.
fn secret_key() -> String {
    (0..32)
        .map(|_| format!("{:02x}", rand::random::<u8>()))
        .collect()
}

/// What the database's server runs at each start: users and passwords are as they should be, whatever the data says. The
/// password before stays good until the next start, for processes that have not been replaced yet.
fn initial_statements(password: &str, root: &str) -> String {
    format!(
        "SET SESSION sql_log_bin = 0;\n\
         CREATE DATABASE IF NOT EXISTS {DATABASE};\n\
         CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\n\
         ALTER USER '{USER}'@'%' IDENTIFIED BY '{password}' RETAIN CURRENT PASSWORD;\n\
         GRANT ALL ON {DATABASE}.* TO '{USER}'@'%';\n\
         GRANT SELECT ON performance_schema.* TO '{USER}'@'%';\n\
         GRANT PROCESS, REPLICATION CLIENT ON *.* TO '{USER}'@'%';\n\
         ALTER USER 'root'@'localhost' IDENTIFIED BY '{root}';\n"
    )
}

fn secret(owner: &Owner, generation: i64, request: Option<&str>) -> crate::object::Object {
    let data: BTreeMap<&str, String> = generate(owner)
        .into_iter()
        .map(|(key, value)| (key, STANDARD.encode(value)))
        .collect();
    let content = json!({"type": "Opaque", "data": data});
    let name = owner.with(CREDENTIALS);
    // Whether it goes with its Shop is a field that is applied: who makes it must not hold that, too.
    let mut object = owner.kept_object(Kind::Secret, name, "shop", content);
    object.annotate(GENERATION, generation.to_string());
    if let Some(request) = request {
        object.annotate(REQUEST, request);
    }
    object
}

fn annotation<'a>(found: &'a DynamicObject, name: &str) -> Option<&'a String> {
    found.metadata.annotations.as_ref()?.get(name)
}

fn generation(found: &DynamicObject) -> i64 {
    annotation(found, GENERATION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

/// The number of passwords that are made now: another one than any that pods may have been made with. `recorded` stands in the
/// status, `found` on the Secret, which may have been lost and is without its notes then.
pub(crate) fn next(recorded: Option<i64>, found: Option<i64>) -> i64 {
    recorded.max(found).unwrap_or(0).saturating_add(1)
}

/// The Secret of a Shop with this suffix, if there is one.
///
/// # Errors
/// When the name is taken by somebody else's, or the API server does not say.
pub(crate) async fn own_secret(
    cluster: &Cluster,
    owner: &Owner,
    suffix: &str,
) -> Result<Option<DynamicObject>, Failure> {
    let name = owner.with(suffix);
    let found = cluster.get(Kind::Secret, &owner.namespace, &name).await?;
    // Somebody may have changed its labels, which are put back later.
    let foreign = found.as_ref().is_some_and(|found| {
        let labels = found.metadata.labels.as_ref();
        !made_by_us(found) && labels.and_then(|labels| labels.get(SHOP_LABEL)) != Some(&owner.name)
    });
    if foreign {
        return Err(Failure::of(
            Reason::NameTaken,
            format!(
                "Secret {name:?} exists and is not of this Shop: rename it, or give the Shop another name"
            ),
        ));
    }
    Ok(found)
}

/// What was made of a Secret, unless another one of its name appeared in between.
///
/// # Errors
/// Then; it is tried again.
pub(crate) fn appeared(name: &str, made: Option<DynamicObject>) -> Result<DynamicObject, Failure> {
    made.ok_or_else(|| {
        Failure::of(
            Reason::Applying,
            format!("Secret {name} appeared meanwhile"),
        )
    })
}

/// Makes sure that there are passwords, and makes them anew if `request`, the identity of an action, asks for it and they were
/// not made for it already. Says how often they were made; `recorded` is how often they were as far as is known, so that those
/// that are made for a Secret that is gone are told from the ones before. The first time the shop's own key is that of the Secret
/// `inherited`, where one is given: of a shop whose data this one begins from.
///
/// # Errors
/// When the Secret's name is taken, the key to inherit is missing, or the API server does not do it.
pub async fn ensure(
    cluster: &Cluster,
    owner: &Owner,
    recorded: Option<i64>,
    request: Option<&str>,
    inherited: Option<&str>,
) -> Result<i64, Failure> {
    let name = owner.with(CREDENTIALS);
    let found = own_secret(cluster, owner, CREDENTIALS).await?;
    let Some(mut found) = found else {
        let mut new = secret(owner, next(recorded, None), request);
        if let Some(inherited) = inherited {
            let key = inherit(cluster, owner, inherited).await?;
            if let Some(data) = new.body.get_mut("data") {
                insert(data, SECRET_KEY, key);
            }
        }
        let made = appeared(&name, cluster.create(MANAGER, &new).await?)?;
        return Ok(generation(&made));
    };
    let complete = KEYS.iter().all(|key| {
        found
            .data
            .get("data")
            .and_then(|data| data.get(*key))
            .and_then(Value::as_str)
            .is_some_and(|value| !value.is_empty())
    });
    let asked = request
        .is_some_and(|request| annotation(&found, REQUEST).map(String::as_str) != Some(request));
    let before = generation(&found);
    if complete && !asked {
        return Ok(before);
    }
    let now = next(recorded, Some(before));
    if !complete {
        tracing::warn!(
            secret = name,
            "a generated password is missing; all are made anew"
        );
    }
    let made = secret(owner, now, request);
    if let Some(mut data) = made.body.get("data").cloned() {
        let kept = found
            .data
            .get("data")
            .and_then(|data| data.get(SECRET_KEY))
            .filter(|key| key.as_str().is_some_and(|key| !key.is_empty()));
        if let Some(key) = kept {
            insert(&mut data, SECRET_KEY, key.clone());
        }
        insert(&mut found.data, "data", data);
    }
    let annotations = found.metadata.annotations.get_or_insert_default();
    annotations.insert(GENERATION.to_owned(), now.to_string());
    if let Some(request) = request {
        annotations.insert(REQUEST.to_owned(), request.to_owned());
    }
    // With its version: if somebody else was faster, this is refused and tried again.
    found.metadata.managed_fields = None;
    cluster
        .replace(MANAGER, Kind::Secret, &found)
        .await
        .map(|made| generation(&made))
}

/// The key of the shop that was, as it is in its Secret.
async fn inherit(cluster: &Cluster, owner: &Owner, name: &str) -> Result<Value, Failure> {
    let found = cluster.get(Kind::Secret, &owner.namespace, name).await?;
    found
        .as_ref()
        .and_then(|found| found.data.get("data")?.get(SECRET_KEY))
        .filter(|key| key.as_str().is_some_and(|key| !key.is_empty()))
        .cloned()
        .ok_or_else(|| {
            Failure::of(
                Reason::SecretMissing,
                format!(
                    "Secret {name:?}, which spec.database.managed.restore.shopKeySecretName names, has no {SECRET_KEY:?} or does not exist: \
                     create it with the key of the shop that was backed up"
                ),
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{KEYS, generate, next, secret};
    use crate::names::Owner;

    fn owner() -> Owner {
        Owner {
            name: "demo".to_owned(),
            namespace: "n".to_owned(),
            uid: Some("u".to_owned()),
        }
    }

    /// What is noted on a Secret takes nothing away that stands there.
    #[test]
    fn a_secret_is_kept_from_its_first_moment() {
        let secret = secret(&owner(), 3, Some("request"));
        let notes = &secret.body["metadata"]["annotations"];
        for (note, text) in [
            ("panono.dev/generation", "3"),
            ("panono.dev/rotated-by", "request"),
            (
                "argocd.argoproj.io/sync-options",
                "Prune=false,Delete=false",
            ),
        ] {
            assert_eq!(notes[note], json!(text), "{note}");
        }
    }

    /// Pods are replaced when the number changes, so none is used twice.
    #[test]
    fn passwords_of_a_lost_secret_have_a_new_number() {
        assert_eq!(next(None, None), 1, "the first ones of a Shop");
        assert_eq!(next(Some(3), None), 4, "the Secret is gone");
        assert_eq!(next(Some(3), Some(1)), 4, "its object was put back empty");
        assert_eq!(next(Some(3), Some(5)), 6, "the status is behind");
    }

    #[test]
    fn passwords_differ_and_belong_together() {
        let owner = owner();
        let (one, other) = (generate(&owner), generate(&owner));
        assert_eq!(one.keys().copied().collect::<Vec<_>>(), {
            let mut keys = KEYS.to_vec();
            keys.sort_unstable();
            keys
        });
        for key in KEYS {
            assert_ne!(one[key], other[key], "{key}");
        }
        let password = one["writer-url"]
            .strip_prefix("mysql://panono:")
            .and_then(|rest| rest.strip_suffix("@demo-database:3306/panono"))
            .unwrap();
        assert_eq!(one["init.sql"].matches(password).count(), 2);
        // The server takes one statement a line.
        assert!(one["init.sql"].lines().all(|line| line.ends_with(';')));
    }
}
