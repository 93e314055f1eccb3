//! What Prometheus is told, where the cluster has its operator's kinds.

use panono_crds::{Mode, Switch};
use serde_json::{Value, json};

use super::Plan;
use crate::names::SHOP_LABEL;
use crate::object::{Kind, Object};

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let monitoring = &plan.shop.spec.monitoring;
    if monitoring.objects == Switch::Off {
        return Vec::new();
    }
    let owner = &plan.shop.owner;
    let mut objects = Vec::new();
    if plan.shop.referenced.kinds.contains(&Kind::PodMonitor) {
        let mut endpoints = vec![json!({"port": "ops", "path": "/metrics"})];
        if plan.shop.spec.backup.is_some() {
            endpoints.push(json!({"port": "archive", "path": "/metrics"}));
        }
        objects.push(owner.object(
            Kind::PodMonitor,
            owner.name.clone(),
            "shop",
            json!({"spec": {
                "selector": {"matchLabels": {(SHOP_LABEL): owner.name}},
                "podTargetLabels": [SHOP_LABEL, crate::names::COMPONENT_LABEL],
                "podMetricsEndpoints": endpoints,
            }}),
        ));
    }
    if plan.shop.referenced.kinds.contains(&Kind::PrometheusRule) && plan.mode() != Mode::Hibernated
    {
        objects.push(owner.object(
            Kind::PrometheusRule,
            owner.name.clone(),
            "shop",
            json!({"spec": {"groups": [{
                "name": format!("panono.{}", owner.name),
                "rules": rules(plan),
            }]}}),
        ));
    }
    for object in &mut objects {
        if let Some(labels) = object
            .body
            .pointer_mut("/metadata/labels")
            .and_then(Value::as_object_mut)
        {
            for (name, value) in &monitoring.labels {
                // What the operator finds its objects by is not for others to set.
                labels
                    .entry(name.clone())
                    .or_insert_with(|| value.clone().into());
            }
        }
    }
    objects
}

fn rules(plan: &Plan<'_>) -> Vec<Value> {
    let owner = &plan.shop.owner;
    let these = format!(
        "namespace=\"{}\",panono_dev_shop=\"{}\"",
        owner.namespace, owner.name
    );
    let rule = |alert: &str,
                expression: String,
                lasting: &str,
                severity: &str,
                summary: &str,
                description: &str| {
        json!({
            "alert": alert,
            "expr": expression,
            "for": lasting,
            "labels": {"severity": severity, "shop": owner.name},
            "annotations": {"summary": summary, "description": description},
        })
    };
    let mut rules = vec![rule(
        "PanonoShopDown",
        format!("absent(up{{{these},panono_dev_component=\"web\"}} == 1)"),
        "2m",
        "critical",
        "No web process of the shop answers",
        "Look at the Shop's status: kubectl describe shop.",
    )];
    if plan.shop.spec.database.managed.is_some() {
        // As the kubelet tells it, whatever the number of members.
        let claims = format!(
            "namespace=\"{}\",persistentvolumeclaim=~\"data-{}-database-[0-9]+\"",
            owner.namespace, owner.name
        );
        rules.push(rule(
            "PanonoDatabaseVolumeAlmostFull",
            format!("min by (persistentvolumeclaim) (kubelet_volume_stats_available_bytes{{{claims}}} / kubelet_volume_stats_capacity_bytes{{{claims}}}) < 0.15"),
            "5m",
            "critical",
            "A volume of the shop's database is almost full; a member that has no space left leaves the group",
            "Make spec.database.managed.storage.size larger.",
        ));
    }
    if let Some(backup) = &plan.shop.spec.backup {
        let shop = format!(
            "shop_namespace=\"{}\",shop_name=\"{}\"",
            owner.namespace, owner.name
        );
        rules.push(rule(
            "PanonoBackupNotFresh",
            format!("min(panono_operator_backup_fresh{{{shop}}}) == 0"),
            "15m",
            "warning",
            "There is no new full backup of the shop",
            &format!("There was none for {} h. Look at the condition BackupFresh: kubectl describe shop.", backup.max_age_hours),
        ));
        rules.push(rule(
            "PanonoBackupNotVerified",
            format!("min(panono_operator_backup_verified{{{shop}}}) == 0"),
            "15m",
            "critical",
            "The newest backup of the shop is bad, or was not restored for trial for too long",
            &format!("There is to be a restore for trial that passes every {} h. Look at the condition BackupVerified: kubectl describe shop.", backup.verification.max_age_hours),
        ));
        let archived = format!("panono_backup_archived_timestamp_seconds{{{these}}}");
        rules.push(rule(
            "PanonoArchiveBehind",
            // Where nothing archives there is no metric, and no time of it is too old.
            format!(
                "time() - max({archived}) > {} or absent({archived})",
                u64::from(backup.archive_seconds).saturating_mul(3).max(300)
            ),
            "5m",
            "critical",
            "What the shop sells is not archived: it would be lost with the database's disks",
            "Read the log of the container archive of the database's pods.",
        ));
    }
    if plan.mode() == Mode::ReadOnly {
        return rules;
    }
    rules.push(rule(
        "PanonoChangesNotPublished",
        format!("max(shop_outbox_purge_oldest_seconds{{{these}}}) > 30"),
        "2m",
        "warning",
        "Changes of the catalogue do not reach the caches",
        "No worker runs, or the database takes no writes.",
    ));
    rules.push(rule(
        "PanonoEdgeNotAcknowledging",
        format!("max by (target) (shop_purge_behind{{{these}}}) > 0 and max by (target) (rate(shop_purge_failures_total{{{these}}}[5m])) > 0"),
        "5m",
        "warning",
        "An edge does not acknowledge purges and may show old pages",
        "The label target names it.",
    ));
    rules
}
