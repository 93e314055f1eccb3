//! Backups, as far as an API server tells: what is made for them, what their records say, and when a Shop says that they are old or
//! bad.

use anyhow::{Result, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt as _};
use panono_crds::{Condition, ConditionStatus, ConditionType, ShopBackup, ShopRestore, WorkPhase};
use panono_operator::object::Kind;
use panono_tests::control_plane::{namespace, objects};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};

use super::bed::{LIMIT, change, create, on_bed, reason, serving, shops, with};

/// Schedules that do not come while a test runs.
fn backed_up(changes: &[(&str, Value)]) -> Value {
    let mut all = vec![
        (
            "/backup/bucket",
            json!({"url": "s3://b/demo", "secretName": "bucket"}),
        ),
        ("/backup/schedule", json!("0 0 29 2 *")),
        ("/backup/verification/schedule", json!("0 0 29 2 *")),
    ];
    all.extend_from_slice(changes);
    with(&all)
}

async fn bucket(client: &Client, namespace: &str) -> Result<()> {
    let secret: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket"},
        "stringData": {"access-key-id": "a", "secret-access-key": "b"},
    }))?;
    objects(client, namespace, Kind::Secret)
        .create(&PostParams::default(), &secret)
        .await?;
    Ok(())
}

fn backups(client: &Client, namespace: &str) -> Api<ShopBackup> {
    Api::namespaced(client.clone(), namespace)
}

fn restores(client: &Client, namespace: &str) -> Api<ShopRestore> {
    Api::namespaced(client.clone(), namespace)
}

async fn record(
    client: &Client,
    namespace: &str,
    kind: &str,
    name: &str,
    spec: Value,
) -> Result<()> {
    let resource = match kind {
        "ShopBackup" => ShopBackup::api_resource(),
        _ => ShopRestore::api_resource(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "panono.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    }))?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// Waits until a condition is so, and gives it.
async fn condition(
    client: &Client,
    namespace: &str,
    kind: ConditionType,
    status: ConditionStatus,
    reason: &str,
) -> Result<Condition> {
    wait_until(
        &format!("{kind:?} to be {status:?}: {reason}"),
        LIMIT,
        async || {
            let shop = shops(client, namespace)
                .get("demo")
                .await
                .map_err(|error| error.to_string())?;
            let conditions = shop.status.unwrap_or_default().conditions;
            let found = conditions.into_iter().find(|found| found.kind == kind);
            match found {
                Some(found) if found.status == status && found.reason == reason => Ok(found),
                other => Err(format!("{other:?}")),
            }
        },
    )
    .await
}

/// Waits until a record is in this phase.
async fn ended<K>(
    records: &Api<K>,
    name: &str,
    phase: WorkPhase,
    phase_of: fn(&K) -> WorkPhase,
) -> Result<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    wait_until(&format!("{name} to be {phase:?}"), LIMIT, async || {
        let found = records.get(name).await.map_err(|error| error.to_string())?;
        if phase_of(&found) == phase {
            Ok(found)
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await
}

async fn ended_backup(
    client: &Client,
    namespace: &str,
    name: &str,
    phase: WorkPhase,
) -> Result<ShopBackup> {
    ended(&backups(client, namespace), name, phase, |backup| {
        backup
            .status
            .as_ref()
            .map(|status| status.phase)
            .unwrap_or_default()
    })
    .await
}

async fn ended_restore(
    client: &Client,
    namespace: &str,
    name: &str,
    phase: WorkPhase,
) -> Result<ShopRestore> {
    ended(&restores(client, namespace), name, phase, |restore| {
        restore
            .status
            .as_ref()
            .map(|status| status.phase)
            .unwrap_or_default()
    })
    .await
}

/// The first backup comes by itself; one that is wanted now has a Job of its own, which goes with it.
#[test]
fn backups_are_made_and_recorded() {
    on_bed(async |bed| {
        let client = &bed.client;
        let namespace = namespace(client, "backups").await?;
        bucket(client, &namespace).await?;
        create(client, &namespace, "demo", backed_up(&[])).await?;
        let first = ended_backup(client, &namespace, "demo-first", WorkPhase::Succeeded).await?;
        let status = first.status.unwrap_or_default();
        ensure!(
            status.backup.as_deref() == Some("20260101T000000Z-0011aabb"),
            "{status:?}"
        );
        ensure!(
            (status.bytes, status.stored_bytes) == (Some(1000), Some(300)),
            "{status:?}"
        );
        ensure!(status.gtid.is_some_and(|set| set.ends_with(":1-5")));
        ensure!(status.completed_at.is_some());
        condition(
            client,
            &namespace,
            ConditionType::BackupFresh,
            ConditionStatus::True,
            "BackedUp",
        )
        .await?;
        let verified = condition(
            client,
            &namespace,
            ConditionType::BackupVerified,
            ConditionStatus::Unknown,
            "VerificationPending",
        )
        .await?;
        ensure!(
            verified.message.contains("No backup"),
            "{}",
            verified.message
        );

        record(
            client,
            &namespace,
            "ShopBackup",
            "now",
            json!({"shopName": "demo"}),
        )
        .await?;
        let now = ended_backup(client, &namespace, "now", WorkPhase::Succeeded).await?;
        let job = now.status.unwrap_or_default().job.unwrap_or_default();
        let jobs = objects(client, &namespace, Kind::Job);
        let made = jobs.get(&job).await?;
        let owners = made.metadata.owner_references.unwrap_or_default();
        ensure!(owners.len() == 1 && owners[0].name == "now", "{owners:?}");
        let shop = shops(client, &namespace)
            .get("demo")
            .await?
            .status
            .unwrap_or_default();
        let last = shop.backup.unwrap_or_default().last.unwrap_or_default();
        ensure!(last.name == "now", "{last:?}");

        // The key is made once, is of no use to anybody who has not got it, and outlives its shop.
        let key = objects(client, &namespace, Kind::Secret)
            .get("demo-backup-key")
            .await?;
        ensure!(key.metadata.owner_references.is_none());
        backups(client, &namespace)
            .delete("now", &DeleteParams::default())
            .await?;
        wait_until(
            "the Job to go with its record",
            LIMIT,
            async || match jobs.get_opt(&job).await {
                Ok(None) => Ok(()),
                Ok(Some(_)) => Err("still there".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        )
        .await
    });
}

/// A Job that a schedule makes gets a record; here one like those of the cluster's own controller.
#[test]
fn what_a_schedule_makes_is_recorded() {
    on_bed(async |bed| {
        let client = &bed.client;
        let namespace = namespace(client, "schedule").await?;
        bucket(client, &namespace).await?;
        create(client, &namespace, "demo", backed_up(&[])).await?;
        reason(client, &namespace, "demo", "Serving").await?;
        for (schedule, job) in [
            ("demo-backup", "demo-backup-29000001"),
            ("demo-verify", "demo-verify-29000002"),
        ] {
            let cron = objects(client, &namespace, Kind::CronJob)
                .get(schedule)
                .await?;
            ensure!(cron.data["spec"]["timeZone"] == "Etc/UTC", "{}", cron.data);
            ensure!(
                cron.data["spec"]["concurrencyPolicy"] == "Forbid",
                "{}",
                cron.data
            );
            let template = &cron.data["spec"]["jobTemplate"];
            let object: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": job, "labels": template["metadata"]["labels"]}, "spec": template["spec"],
            }))?;
            objects(client, &namespace, Kind::Job)
                .create(&PostParams::default(), &object)
                .await?;
        }
        ended_backup(
            client,
            &namespace,
            "demo-backup-29000001",
            WorkPhase::Succeeded,
        )
        .await?;
        let verification = ended_restore(
            client,
            &namespace,
            "demo-verify-29000002",
            WorkPhase::Succeeded,
        )
        .await?;
        let status = verification.status.unwrap_or_default();
        ensure!(
            (status.restore_seconds, status.tables) == (Some(412), Some(40)),
            "{status:?}"
        );
        let found = condition(
            client,
            &namespace,
            ConditionType::BackupVerified,
            ConditionStatus::True,
            "Verified",
        )
        .await?;
        ensure!(found.message.contains("412 s"), "{}", found.message);
        wait_until(
            "the backup to tell of its verification",
            LIMIT,
            async || {
                let backup = backups(client, &namespace)
                    .get("demo-backup-29000001")
                    .await
                    .map_err(|error| error.to_string())?;
                let verified = backup.status.unwrap_or_default().verified;
                verified
                    .clone()
                    .filter(|verified| verified.passed)
                    .map(drop)
                    .ok_or_else(|| format!("{verified:?}"))
            },
        )
        .await?;

        // Nothing of it is at another target.
        let moved = json!({"backup": {"bucket": {"url": "s3://b/another"}}});
        change(client, &namespace, "demo", moved).await?;
        condition(
            client,
            &namespace,
            ConditionType::BackupVerified,
            ConditionStatus::Unknown,
            "VerificationPending",
        )
        .await?;
        let found = condition(
            client,
            &namespace,
            ConditionType::BackupFresh,
            ConditionStatus::True,
            "BackedUp",
        )
        .await?;
        ensure!(found.message.contains("demo-first-"), "{}", found.message);

        // Hibernation suspends schedules.
        change(client, &namespace, "demo", json!({"mode": "Hibernated"})).await?;
        wait_until("the schedule to rest", LIMIT, async || {
            let cron = objects(client, &namespace, Kind::CronJob)
                .get("demo-backup")
                .await
                .map_err(|error| error.to_string())?;
            (cron.data["spec"]["suspend"] == true)
                .then_some(())
                .ok_or("it does not".to_owned())
        })
        .await
    });
}

#[test]
fn a_bad_backup_and_an_old_verification_are_told() {
    on_bed(async |bed| {
        let client = &bed.client;
        let namespace = namespace(client, "verify").await?;
        bucket(client, &namespace).await?;
        create(client, &namespace, "demo", backed_up(&[])).await?;
        ended_backup(client, &namespace, "demo-first", WorkPhase::Succeeded).await?;
        let verify = json!({"shopName": "demo", "verify": {}});
        record(client, &namespace, "ShopRestore", "good", verify.clone()).await?;
        ended_restore(client, &namespace, "good", WorkPhase::Succeeded).await?;
        condition(
            client,
            &namespace,
            ConditionType::BackupVerified,
            ConditionStatus::True,
            "Verified",
        )
        .await?;

        // A record of long ago instead.
        let old = json!({"status": {"completedAt": "2020-01-01T00:00:00Z"}});
        restores(client, &namespace)
            .patch_status("good", &PatchParams::default(), &Patch::Merge(old))
            .await?;
        let found = condition(
            client,
            &namespace,
            ConditionType::BackupVerified,
            ConditionStatus::False,
            "VerificationOverdue",
        )
        .await?;
        ensure!(found.message.contains("2020-01-01"), "{}", found.message);

        change(
            client,
            &namespace,
            "demo",
            json!({"backup": {"image": "registry.example/bad:1"}}),
        )
        .await?;
        wait_until("the schedule to have the image", LIMIT, async || {
            let cron = objects(client, &namespace, Kind::CronJob)
                .get("demo-verify")
                .await
                .map_err(|error| error.to_string())?;
            cron.data
                .to_string()
                .contains("registry.example/bad:1")
                .then_some(())
                .ok_or("not yet".to_owned())
        })
        .await?;
        record(client, &namespace, "ShopRestore", "bad", verify).await?;
        let bad = ended_restore(client, &namespace, "bad", WorkPhase::Failed).await?;
        ensure!(bad.status.unwrap_or_default().passed == Some(false));
        let found = condition(
            client,
            &namespace,
            ConditionType::BackupVerified,
            ConditionStatus::False,
            "VerificationFailed",
        )
        .await?;
        ensure!(found.message.contains("panono.orders"), "{}", found.message);

        // A trial that could not be made says nothing of the backup.
        let trial = json!({"shopName": "demo", "trial": {"toTime": "2026-01-01T00:00:00Z"}});
        record(client, &namespace, "ShopRestore", "trial", trial).await?;
        let trial = ended_restore(client, &namespace, "trial", WorkPhase::Failed).await?;
        let status = trial.status.unwrap_or_default();
        ensure!(status.passed.is_none(), "{status:?}");
        ensure!(
            status
                .message
                .is_some_and(|words| words.contains("the archive reaches"))
        );
        // The shop serves all the same.
        reason(client, &namespace, "demo", "Serving").await?;
        Ok(())
    });
}

/// Without `spec.backup`, and without a Shop, a record says so and ends.
#[test]
fn what_cannot_be_backed_up_is_refused() {
    on_bed(async |bed| {
        let client = &bed.client;
        let namespace = serving(bed, "nobackup", with(&[])).await?;
        for (name, shop, words) in [
            ("none", "demo", "no spec.backup"),
            ("nobody", "absent", "There is no Shop"),
        ] {
            record(
                client,
                &namespace,
                "ShopBackup",
                name,
                json!({"shopName": shop}),
            )
            .await?;
            record(
                client,
                &namespace,
                "ShopRestore",
                name,
                json!({"shopName": shop, "verify": {}}),
            )
            .await?;
            let backup = ended_backup(client, &namespace, name, WorkPhase::Failed).await?;
            ensure!(
                backup
                    .status
                    .unwrap_or_default()
                    .message
                    .is_some_and(|said| said.contains(words))
            );
            let restore = ended_restore(client, &namespace, name, WorkPhase::Failed).await?;
            ensure!(
                restore
                    .status
                    .unwrap_or_default()
                    .message
                    .is_some_and(|said| said.contains(words))
            );
        }
        Ok(())
    });
}

/// A key with which backups were made is not replaced by another one.
#[test]
fn a_key_that_is_gone_is_not_made_anew() {
    on_bed(async |bed| {
        let client = &bed.client;
        let namespace = namespace(client, "key").await?;
        bucket(client, &namespace).await?;
        create(client, &namespace, "demo", backed_up(&[])).await?;
        condition(
            client,
            &namespace,
            ConditionType::BackupFresh,
            ConditionStatus::True,
            "BackedUp",
        )
        .await?;
        let secrets = objects(client, &namespace, Kind::Secret);
        let key = secrets.get("demo-backup-key").await?;
        secrets
            .delete("demo-backup-key", &DeleteParams::default())
            .await?;
        // Its object may have been put back meanwhile, which has no value then.
        wait_until("the key to be missed", LIMIT, async || {
            let shop = shops(client, &namespace)
                .get("demo")
                .await
                .map_err(|error| error.to_string())?;
            let told = shop.status.unwrap_or_default().conditions;
            let missed = told.iter().any(|found| {
                found.kind == ConditionType::Stalled
                    && found.status == ConditionStatus::True
                    && ["SecretMissing", "SecretIncomplete"].contains(&found.reason.as_str())
                    && found.message.contains("copy that you keep")
            });
            missed.then_some(()).ok_or_else(|| format!("{told:?}"))
        })
        .await?;
        let found = secrets.get_opt("demo-backup-key").await?;
        ensure!(found.is_none_or(|found| found.data["data"]["key"].is_null()));
        // From the copy that one keeps.
        let copy = json!({
            "apiVersion": "v1", "kind": "Secret", "data": key.data["data"],
            "metadata": {"name": "demo-backup-key", "labels": key.metadata.labels},
        });
        secrets
            .patch(
                "demo-backup-key",
                &PatchParams::apply("admin").force(),
                &Patch::Apply(copy),
            )
            .await?;
        reason(client, &namespace, "demo", "Serving").await?;
        Ok(())
    });
}

/// A new Shop, as the other is, whose database begins from its backups; what must not be there twice is left out.
#[test]
fn a_restore_makes_a_new_shop() {
    on_bed(async |bed| {
        let client = &bed.client;
        let namespace = namespace(client, "into").await?;
        bucket(client, &namespace).await?;
        create(
            client,
            &namespace,
            "demo",
            backed_up(&[("/name", json!("Lamps"))]),
        )
        .await?;
        ended_backup(client, &namespace, "demo-first", WorkPhase::Succeeded).await?;
        let into = |name: &str| {
            json!({"shopName": "demo", "into": {
                "name": name, "url": "https://again.example.com", "point": {"toTime": "2026-01-01T00:00:00Z"},
            }})
        };
        record(client, &namespace, "ShopRestore", "again", into("again")).await?;
        let restored = ended_restore(client, &namespace, "again", WorkPhase::Succeeded).await?;
        let status = restored.status.unwrap_or_default();
        ensure!(
            status.backup.as_deref() == Some("20260101T000000Z-0011aabb"),
            "{status:?}"
        );
        ensure!(status.restore_seconds == Some(4), "{status:?}");
        let again = reason(client, &namespace, "again", "Serving").await?;
        ensure!(again.spec.name == "Lamps" && again.spec.backup.is_none());
        let begun = again.status.unwrap_or_default().restore.unwrap_or_default();
        ensure!(begun.phase == WorkPhase::Succeeded, "{begun:?}");

        // Once it has begun nothing is restored again, whatever becomes of the volume.
        let states = objects(client, &namespace, Kind::ConfigMap);
        wait_until("the restore to be over", LIMIT, async || {
            let state = states
                .get("again-database-restore")
                .await
                .map_err(|error| error.to_string())?;
            let state = state.data["data"]["state"].clone();
            (state == "begun").then_some(()).ok_or(state.to_string())
        })
        .await?;
        // What the shop that was has signed and sealed is read by the new one.
        let secrets = objects(client, &namespace, Kind::Secret);
        let key = async |name: &str| {
            anyhow::Ok(secrets.get(name).await?.data["data"]["secret-key"].clone())
        };
        ensure!(key("again-credentials").await? == key("demo-credentials").await?);

        // Nothing is ever restored over a Shop that is there.
        record(client, &namespace, "ShopRestore", "over", into("again")).await?;
        let over = ended_restore(client, &namespace, "over", WorkPhase::Failed).await?;
        ensure!(
            over.status
                .unwrap_or_default()
                .message
                .is_some_and(|words| words.contains("already"))
        );
        Ok(())
    });
}

/// The group is made from the restored member as from any other, under a recorded decision; then nothing is restored any more.
#[test]
fn a_group_begins_from_a_backup() {
    on_bed(async |bed| {
        let client = &bed.client;
        let namespace = namespace(client, "begin").await?;
        bed.members.answer_in(&namespace);
        bucket(client, &namespace).await?;
        let restore = json!({
            "bucket": {"url": "s3://b/old", "secretName": "bucket"}, "keySecretName": "old-key",
        });
        let spec = with(&[
            ("/database/managed/members", json!(3)),
            ("/database/managed/restore", restore),
        ]);
        create(client, &namespace, "demo", spec).await?;
        let shop = reason(client, &namespace, "demo", "Serving").await?;
        let status = shop.status.unwrap_or_default();
        let begun = status.restore.unwrap_or_default();
        ensure!(begun.phase == WorkPhase::Succeeded, "{begun:?}");
        ensure!(begun.backup.is_some() && begun.image.is_some(), "{begun:?}");
        let database = status.database.unwrap_or_default();
        ensure!(database.group_name.is_some(), "{database:?}");
        let state = objects(client, &namespace, Kind::ConfigMap)
            .get("demo-database-restore")
            .await?;
        ensure!(state.data["data"]["state"] == "begun", "{}", state.data);
        Ok(())
    });
}
