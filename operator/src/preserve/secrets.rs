//! The Secrets of backups: the key, which is made once and never anew, and the password of the account.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::DynamicObject;
use panono_crds::{Reason, ShopStatus};
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::credentials::{MANAGER, appeared, next, own_secret};
use crate::desired::backup::{ACCOUNT, KEY, PART, initial_statements};
use crate::failure::Failure;
use crate::object::{Kind, insert};
use crate::validate::ValidatedShop;

/// How often the password was made.
const GENERATION: &str = "panono.dev/generation";

/// The request for which it was made last.
const REQUEST: &str = "panono.dev/rotated-by";

/// Makes sure that there are a key and a password. Says how often the password was made. It is made anew for `request`, the identity
/// of an action, where a server alone takes it at its next start.
///
/// # Errors
/// When a name is taken, a key with which backups were made is gone, or the API server does not do it.
pub async fn ensure(
    cluster: &Cluster,
    shop: &ValidatedShop,
    status: &ShopStatus,
    request: Option<&str>,
) -> Result<i64, Failure> {
    let Some(backup) = &shop.spec.backup else {
        return Ok(0);
    };
    if backup.key_secret_name.is_none() {
        let used = status
            .backup
            .as_ref()
            .is_some_and(|backup| backup.last.is_some());
        key(cluster, shop, used).await?;
    }
    let request = request.filter(|_| !shop.spec.database.is_group());
    let recorded = status.backup.as_ref().and_then(|backup| backup.account);
    account(cluster, shop, recorded, request).await
}

fn has(found: &DynamicObject, key: &str) -> bool {
    found
        .data
        .pointer(&format!("/data/{}", key.replace('/', "~1")))
        .and_then(Value::as_str)
        .is_some_and(|value| !value.is_empty())
}

/// The key is never made a second time: with another one nothing that is at the target can be read.
async fn key(cluster: &Cluster, shop: &ValidatedShop, used: bool) -> Result<(), Failure> {
    let name = shop.owner.with(KEY);
    match own_secret(cluster, &shop.owner, KEY).await? {
        Some(found) if has(&found, "key") => Ok(()),
        Some(_) => Err(Failure::of(
            Reason::SecretIncomplete,
            format!(
                "Secret {name:?} has no value for the key \"key\" any longer: put it back from the copy that you keep. A new one could not read what is there"
            ),
        )),
        None if used => Err(Failure::of(
            Reason::SecretMissing,
            format!(
                "Secret {name:?} is gone, with which backups were made: put it back from the copy that you keep. To begin anew, take spec.backup away and give it again with another target"
            ),
        )),
        None => {
            let bytes: [u8; 32] = rand::random();
            let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let content = json!({"type": "Opaque", "data": {"key": STANDARD.encode(key)}});
            let object = shop
                .owner
                .kept_object(Kind::Secret, name.clone(), PART, content);
            appeared(&name, cluster.create(MANAGER, &object).await?).map(drop)
        }
    }
}

async fn account(
    cluster: &Cluster,
    shop: &ValidatedShop,
    recorded: Option<i64>,
    request: Option<&str>,
) -> Result<i64, Failure> {
    let owner = &shop.owner;
    let name = owner.with(ACCOUNT);
    let found = own_secret(cluster, owner, ACCOUNT).await?;
    let note =
        |found: &DynamicObject, note: &str| found.metadata.annotations.as_ref()?.get(note).cloned();
    let before = found
        .as_ref()
        .and_then(|found| note(found, GENERATION)?.parse().ok());
    if let Some(found) = &found {
        let asked = request.is_some_and(|request| note(found, REQUEST).as_deref() != Some(request));
        if has(found, "password") && has(found, "init.sql") && !asked {
            return Ok(before.unwrap_or(1));
        }
    }
    let generation = next(recorded, before);
    let password = Alphanumeric.sample_string(&mut rand::rng(), 32);
    let data = BTreeMap::from([
        ("init.sql", STANDARD.encode(initial_statements(&password))),
        ("password", STANDARD.encode(&password)),
    ]);
    let notes = [
        (GENERATION, Some(generation.to_string())),
        (REQUEST, request.map(str::to_owned)),
    ];
    let notes = notes
        .into_iter()
        .filter_map(|(note, text)| Some((note, text?)));
    let Some(mut found) = found else {
        let content = json!({"type": "Opaque", "data": data});
        // Whether it goes with its Shop is a field that is applied: who makes it must not hold that, too.
        let mut object = owner.kept_object(Kind::Secret, name.clone(), PART, content);
        for (note, text) in notes {
            object.annotate(note, text);
        }
        appeared(&name, cluster.create(MANAGER, &object).await?)?;
        return Ok(generation);
    };
    insert(&mut found.data, "data", json!(data));
    let annotations = found.metadata.annotations.get_or_insert_default();
    annotations.extend(notes.map(|(note, text)| (note.to_owned(), text)));
    found.metadata.managed_fields = None;
    cluster.replace(MANAGER, Kind::Secret, &found).await?;
    Ok(generation)
}
