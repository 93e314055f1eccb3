//! Passwords, certificates and settings of a group, as far as an API server and members that do what they are told show it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{FutureExt as _, StreamExt as _};
use kube::Client;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, CustomResourceExt as _, ResourceExt as _};
use panono_crds::{ActionPhase, RotationPhase, Shop, ShopAction};
use panono_operator::agent::api::Verb;
use panono_operator::object::Kind;
use panono_tests::control_plane::{Members, namespace, objects};
use panono_tests::wait::wait_until;
use serde_json::json;

use super::bed::{alone, change, create, reason, shops, with};
use super::faults::Alone;

/// A group is made and a shop migrated before anything begins, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(180);

async fn shop(client: &Client, namespace: &str) -> Result<Shop> {
    Ok(shops(client, namespace).get("demo").await?)
}

fn phase(shop: &Shop) -> Option<RotationPhase> {
    let status = shop.status.as_ref()?;
    let rotation = status
        .database
        .as_ref()?
        .passwords
        .as_ref()?
        .rotation
        .as_ref()?;
    Some(rotation.phase)
}

/// The identities of a component's pods.
async fn pods(client: &Client, namespace: &str, part: &str) -> Result<BTreeMap<String, String>> {
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), namespace);
    let labels = format!("panono.dev/component={part}");
    let found = pods.list(&ListParams::default().labels(&labels)).await?;
    Ok(found
        .into_iter()
        .map(|pod| (pod.name_any(), pod.uid().unwrap_or_default()))
        .collect())
}

#[test]
fn passwords_settings_and_gaps_of_a_group_whose_operator_is_killed_at_each_phase() {
    alone(async || {
        let bed = Alone::start().await?;
        let client = &bed.client;
        let namespace = namespace(client, "rotation").await?;
        let members = Members::start(client.clone());
        members.answer_in(&namespace);
        let mut operator = bed.operator()?;
        create(
            client,
            &namespace,
            "demo",
            with(&[("/database/managed/members", json!(3))]),
        )
        .await?;
        reason(client, &namespace, "demo", "Serving").await?;
        let database = pods(client, &namespace, "database").await?;
        let web = pods(client, &namespace, "web").await?;
        ensure!(
            database.len() == 3 && !web.is_empty(),
            "{database:?} {web:?}"
        );

        // New passwords are asked for, and the operator is killed whenever it has recorded something.
        let actions: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &namespace, &ShopAction::api_resource());
        let action: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": "rotate"},
            "spec": {"shopName": "demo", "rotateSecrets": {}},
        }))?;
        // Watched, and not asked for: a phase may be over before somebody asks again.
        let mut recorded = watcher(shops(client, &namespace), watcher::Config::default())
            .applied_objects()
            .boxed();
        recorded.next().await.context("no Shop")??;
        actions.create(&PostParams::default(), &action).await?;
        let mut killed_in = Vec::new();
        let done = async |name: &str| -> Result<Option<ActionPhase>> {
            let action = serde_json::to_value(actions.get(name).await?)?;
            let action: ShopAction = serde_json::from_value(action)?;
            Ok(action.status.and_then(|status| status.phase))
        };
        wait_until("new passwords to be everywhere", LIMIT, async || {
            while let Some(Some(shop)) = recorded.next().now_or_never() {
                let now = phase(&shop?);
                if let Some(now) = now.filter(|now| killed_in.last() != Some(now)) {
                    operator.process().kill()?;
                    operator = bed.operator()?;
                    killed_in.push(now);
                }
            }
            let ended = killed_in.last() == Some(&RotationPhase::Discarding);
            ensure!(ended && done("rotate").await?.is_some(), "{killed_in:?}");
            Ok(())
        })
        .await?;
        ensure!(
            done("rotate").await? == Some(ActionPhase::Succeeded),
            "{killed_in:?} {:?}",
            members.told(&namespace, "demo")
        );
        ensure!(
            killed_in
                == [
                    RotationPhase::Making,
                    RotationPhase::Setting,
                    RotationPhase::RollingOut,
                    RotationPhase::Discarding
                ],
            "{killed_in:?}"
        );
        ensure!(
            members.problems(&namespace, "demo").is_empty(),
            "{:?}",
            members.problems(&namespace, "demo")
        );
        let rotations: Vec<(i64, bool)> = members
            .told(&namespace, "demo")
            .into_iter()
            .filter_map(|(_, verb)| match verb {
                Verb::RotatePasswords {
                    generation,
                    discard_old,
                } => Some((generation, discard_old)),
                _ => None,
            })
            .collect();
        let first_end = rotations.iter().position(|(_, discards)| *discards);
        ensure!(
            first_end.is_some_and(|at| at > 0)
                && rotations.iter().all(|(generation, _)| *generation == 2),
            "{rotations:?}"
        );
        let reloaded = (0..3).all(|ordinal| {
            members
                .told(&namespace, "demo")
                .contains(&(ordinal, Verb::ReloadTls {}))
        });
        ensure!(reloaded, "{:?}", members.told(&namespace, "demo"));
        let status = shop(client, &namespace)
            .await?
            .status
            .context("no status")?;
        let passwords = status.database.context("no group")?.passwords;
        let passwords = passwords.context("passwords are not recorded")?;
        ensure!(
            passwords.generation == 2 && passwords.rotation.is_none(),
            "{passwords:?}"
        );
        reason(client, &namespace, "demo", "Serving").await?;
        let now = pods(client, &namespace, "web").await?;
        ensure!(
            now.keys().all(|name| !web.contains_key(name)),
            "pods of the shop stayed: {now:?}"
        );
        ensure!(
            pods(client, &namespace, "database").await? == database,
            "members were replaced"
        );

        // Settings that change are applied to members as they run.
        let changed = json!({"database": {"managed": {"maxConnections": 450}}});
        change(client, &namespace, "demo", changed).await?;
        wait_until("settings to be applied", LIMIT, async || {
            let told = members.told(&namespace, "demo");
            (0..3)
                .all(|ordinal| told.contains(&(ordinal, Verb::ApplySettings {})))
                .then_some(())
                .ok_or(format!("{told:?}"))
        })
        .await?;
        reason(client, &namespace, "demo", "Serving").await?;
        ensure!(
            pods(client, &namespace, "database").await? == database,
            "members were replaced"
        );

        // Another primary: how long nobody took writes is known later than that there is one.
        members.fail_over(&namespace, "demo", 1);
        let failed_over = async |holds: fn(Option<i64>) -> bool| {
            wait_until("the change of the primary to be told", LIMIT, async || {
                let shop = shop(client, &namespace).await.map_err(|e| e.to_string())?;
                let database = shop.status.unwrap_or_default().database;
                let failover = database.unwrap_or_default().last_failover;
                let failover = failover.ok_or("none is told")?;
                (failover.to == "demo-database-1" && holds(failover.write_gap_ms))
                    .then_some(())
                    .ok_or(format!("{failover:?}"))
            })
            .await
        };
        failed_over(|gap| gap.is_none()).await?;
        members.tell_gap(&namespace, "demo", 700);
        failed_over(|gap| gap == Some(700)).await?;
        let metric = operator
            .metric("panono_operator_database_write_gap_milliseconds{")
            .await?;
        ensure!((metric - 700.0).abs() < f64::EPSILON, "{metric}");

        // The Secret has what is used, and what was used before.
        let secret = objects(client, &namespace, Kind::Secret)
            .get("demo-database-accounts")
            .await?;
        let keys = secret.data["data"].as_object().context("no values")?;
        for key in ["shop-1", "shop-2", "agent-old", "replication-old"] {
            ensure!(keys.contains_key(key), "no {key}");
        }
        ensure!(
            members.problems(&namespace, "demo").is_empty(),
            "{:?}",
            members.problems(&namespace, "demo")
        );

        // A member may not be stopped while another is not ready: that is waited for, and told.
        set_ready(client, &namespace, "demo-database-0", false).await?;
        let action: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": "restart"},
            "spec": {"shopName": "demo", "restart": {"component": "Database"}},
        }))?;
        actions.create(&PostParams::default(), &action).await?;
        wait_until("the budget to be told of", LIMIT, async || {
            let shop = shop(client, &namespace).await.map_err(|e| e.to_string())?;
            let conditions = shop.status.unwrap_or_default().conditions;
            let told = conditions
                .iter()
                .any(|condition| condition.message.contains("disruption budget"));
            told.then_some(()).ok_or(format!("{conditions:?}"))
        })
        .await?;
        set_ready(client, &namespace, "demo-database-0", true).await?;
        wait_until("all members to be replaced", LIMIT, async || {
            let now = pods(client, &namespace, "database")
                .await
                .map_err(|e| e.to_string())?;
            (now.len() == 3
                && now
                    .iter()
                    .all(|(name, uid)| database.get(name) != Some(uid)))
            .then_some(())
            .ok_or(format!("{now:?}"))
        })
        .await?;
        reason(client, &namespace, "demo", "Serving").await?;
        Ok(())
    });
}

/// Says of a pod that it is ready, or not.
async fn set_ready(client: &Client, namespace: &str, name: &str, ready: bool) -> Result<()> {
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), namespace);
    let pod = pods.get(name).await?;
    let mut conditions = pod
        .status
        .and_then(|status| status.conditions)
        .context("no conditions")?;
    for condition in &mut conditions {
        if condition.type_ == "Ready" {
            condition.status = if ready { "True" } else { "False" }.to_owned();
        }
    }
    let status = json!({"status": {"conditions": conditions}});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    Ok(())
}
