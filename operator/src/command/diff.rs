//! `panono-operator diff`

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use kube::Config;
use kube::api::{Api, DynamicObject, ListParams, TypeMeta};
use panono_crds::{Shop, to_yaml};
use serde_json::Value;

use super::{CommandResult, FileArgs};
use crate::apply::holds_data;
use crate::cluster::Cluster;
use crate::controller::clients;
use crate::desired::{Stage, desired};
use crate::leadership::Leadership;
use crate::manifest::Manifest;
use crate::metrics::Metrics;
use crate::names::{MANAGED_BY, SHOP_LABEL};
use crate::object::{Kind, ObjectKey};
use crate::observe::{look_up, observe};
use crate::validate::validate;

/// Lines around a change.
const AROUND: usize = 3;

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    file: FileArgs,
}

pub(super) async fn run(args: DiffArgs) -> CommandResult {
    let manifest = args.file.read()?;
    let config = Config::infer()
        .await
        .context("there is no cluster: no KUBECONFIG that can be used")?;
    let (client, _) = clients(config).context("failed to make a client")?;
    let mut changes = String::new();
    for shop in &manifest.shops {
        changes.push_str(&differences(client.clone(), shop, &manifest).await?);
    }
    super::print_out(&changes)?;
    Ok(ExitCode::from(u8::from(!changes.is_empty())))
}

/// What applying `shop` would change in the cluster behind `client`, as a unified diff; empty when nothing would change. Nothing is
/// written: the API server says what an apply would give.
///
/// # Errors
/// When the Shop cannot be built, or the API server does not answer or would refuse an object.
pub async fn differences(
    client: kube::Client,
    shop: &Shop,
    manifest: &Manifest,
) -> Result<String, anyhow::Error> {
    let namespace = shop.metadata.namespace.clone().unwrap_or_default();
    let name = shop.metadata.name.clone().unwrap_or_default();
    let api: Api<Shop> = Api::namespaced(client.clone(), &namespace);
    let stored = api.get_opt(&name).await.map_err(|error| {
        anyhow::anyhow!(
            "failed to read the Shop: {}",
            crate::failure::client(&error)
        )
    })?;
    let served = look_up(&client).await.map_err(|error| {
        anyhow::anyhow!(
            "failed to ask what the cluster serves: {}",
            crate::failure::client(&error)
        )
    })?;
    let cluster = Cluster::new(
        client,
        Arc::new(Metrics::default()),
        Arc::new(Leadership::default()),
    );
    let mut wanted = shop.clone();
    if let Some(stored) = &stored {
        wanted.metadata.uid = stored.metadata.uid.clone();
    }
    let mut referenced = observe(&cluster, &namespace, &shop.spec, &served).await?;
    for (name, secret) in &manifest.secrets {
        referenced
            .secrets
            .entry(name.clone())
            .or_insert_with(|| secret.clone());
    }
    let valid = validate(&wanted, &referenced)
        .map_err(|invalid| anyhow::anyhow!("{}: {}", invalid.reason, invalid.message))?;
    let mut stage = Stage::settled(&valid);
    if let Some(status) = stored.as_ref().and_then(|stored| stored.status.as_ref()) {
        stage.restarts = status.restarts.clone();
        stage.group = crate::database::stage(&valid, Some(status));
        if let Some(credentials) = &status.credentials {
            stage.credentials = credentials.generation;
        }
    }
    let mut text = String::new();
    // The operator writes nothing for a Shop that is paused.
    if shop.spec.paused {
        return Ok(text);
    }
    if let Some(size) = crate::database::volume::claim_size(&cluster, &valid).await? {
        stage.group.claim_size = Some(size);
    }
    let objects = desired(&valid, &stage);
    for object in &objects {
        let found = cluster
            .get(object.key.kind, &namespace, &object.key.name)
            .await?;
        let before = found.as_ref().map_or_else(String::new, shown);
        let after = shown(&cluster.dry_run(object).await?);
        text.push_str(&unified(
            &format!("{}/{}", object.key.kind.plural(), object.key.name),
            &before,
            &after,
        ));
    }
    let wanted: BTreeSet<&ObjectKey> = objects.iter().map(|object| &object.key).collect();
    let uid = stored.and_then(|stored| stored.metadata.uid);
    for kind in Kind::ALL.iter().copied() {
        if !served.kinds.contains(&kind) || holds_data(kind) {
            continue;
        }
        let found: Api<DynamicObject> =
            Api::namespaced_with(cluster.client().clone(), &namespace, &kind.resource());
        let selector = format!("{}={},{SHOP_LABEL}={name}", MANAGED_BY.0, MANAGED_BY.1);
        let list = found
            .list(&ListParams::default().labels(&selector))
            .await
            .map_err(|error| {
                anyhow::anyhow!(
                    "failed to list {}: {}",
                    kind.plural(),
                    crate::failure::client(&error)
                )
            })?;
        for mut object in list {
            // Items of a list do not say what they are.
            object.types = Some(TypeMeta {
                api_version: kind.api_version(),
                kind: kind.name().to_owned(),
            });
            let key = ObjectKey {
                kind,
                name: object.metadata.name.clone().unwrap_or_default(),
            };
            let ours = object
                .metadata
                .owner_references
                .iter()
                .flatten()
                .any(|owner| Some(&owner.uid) == uid.as_ref());
            if ours && !wanted.contains(&key) {
                let name = format!("{}/{}", kind.plural(), key.name);
                text.push_str(&unified(&name, &shown(&object), ""));
            }
        }
    }
    Ok(text)
}

/// An object without what changes by itself. Values of Secrets are not shown.
fn shown(object: &DynamicObject) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
        if fields.get("kind").and_then(Value::as_str) == Some("Secret") {
            fields.remove("data");
        }
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in [
            "managedFields",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "uid",
        ] {
            metadata.remove(field);
        }
    }
    to_yaml(&value).unwrap_or_default()
}

/// The difference of two texts, as `diff -u` shows it; empty when they are equal.
fn unified(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let edits = edits(&old, &new);
    let mut text = format!("--- cluster/{name}\n+++ shop/{name}\n");
    let changed: Vec<bool> = edits.iter().map(|edit| edit.0 != ' ').collect();
    let near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        let to = (at + AROUND + 1).min(changed.len());
        changed
            .get(from..to)
            .is_some_and(|around| around.contains(&true))
    };
    let (mut old_line, mut new_line) = (1_usize, 1_usize);
    let mut at = 0;
    while at < edits.len() {
        if !near(at) {
            (old_line, new_line) = (old_line + 1, new_line + 1);
            at += 1;
            continue;
        }
        let hunk: Vec<&(char, &str)> = edits
            .iter()
            .skip(at)
            .zip(at..)
            .take_while(|(_, at)| near(*at))
            .map(|(edit, _)| edit)
            .collect();
        let olds = hunk.iter().filter(|edit| edit.0 != '+').count();
        let news = hunk.iter().filter(|edit| edit.0 != '-').count();
        text.push_str(&format!(
            "@@ -{},{olds} +{},{news} @@\n",
            if olds == 0 { old_line - 1 } else { old_line },
            if news == 0 { new_line - 1 } else { new_line },
        ));
        for (sign, line) in &hunk {
            text.push(*sign);
            text.push_str(line);
            text.push('\n');
        }
        (old_line, new_line) = (old_line + olds, new_line + news);
        at += hunk.len();
    }
    text
}

/// Each line of both texts once: common, removed or added. By the longest common subsequence; the texts have some hundred lines.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let width = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    let cell =
        |longest: &[u32], i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or(0);
    for (i, left) in old.iter().enumerate().rev() {
        for (j, right) in new.iter().enumerate().rev() {
            let value = if left == right {
                cell(&longest, i + 1, j + 1) + 1
            } else {
                cell(&longest, i + 1, j).max(cell(&longest, i, j + 1))
            };
            if let Some(slot) = longest.get_mut(i * width + j) {
                *slot = value;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut edits = Vec::with_capacity(old.len() + new.len());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(left), Some(right)) if left == right => {
                edits.push((' ', *left));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), right)
                if right.is_none() || cell(&longest, i + 1, j) >= cell(&longest, i, j + 1) =>
            {
                edits.push(('-', *left));
                i += 1;
            }
            (_, Some(right)) => {
                edits.push(('+', *right));
                j += 1;
            }
            _ => return edits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn a_diff_is_as_diff_shows_it() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n";
        assert_eq!(unified("x", before, before), "");
        assert_eq!(
            unified("x", before, "a\nb\nc\nd\nE\nf\ng\nh\ni\nj\nk\n"),
            "--- cluster/x\n+++ shop/x\n@@ -2,9 +2,10 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n i\n j\n+k\n"
        );
        assert_eq!(
            unified("x", "", "a\n"),
            "--- cluster/x\n+++ shop/x\n@@ -0,0 +1,1 @@\n+a\n"
        );
    }
}
