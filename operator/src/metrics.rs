//! What Prometheus reads of the operator. Names and labels are in docs/operator.md.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use panono_crds::FailoverStatus;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use panono_crds::{ConditionStatus, ConditionType};

use crate::object::ShopKey;
use crate::preserve::Outcome;

/// How a look at a Shop ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    result: &'static str,
    reason: &'static str,
}

/// A request to the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    verb: &'static str,
    result: &'static str,
}

/// Objects of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// A Shop. The names are such that those which Prometheus adds are not in their way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfShop {
    shop_namespace: String,
    shop_name: String,
}

impl OfShop {
    fn new(key: &ShopKey) -> Self {
        Self {
            shop_namespace: key.namespace.clone(),
            shop_name: key.name.clone(),
        }
    }
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    reconciles: Family<Reconciled, Counter>,
    seconds: Histogram,
    calls: Family<Call, Counter>,
    drifted: Family<OfKind, Counter>,
    watch_failures: Family<OfKind, Counter>,
    leader: Gauge,
    shops: Gauge,
    depth: Gauge,
    failovers: Family<OfShop, Counter>,
    write_gap_ms: Family<OfShop, Gauge>,
    backup_fresh: Family<OfShop, Gauge>,
    backup_verified: Family<OfShop, Gauge>,
    backup_at: Family<OfShop, Gauge>,
    backup_restore: Family<OfShop, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("panono_operator");
        let metrics = Self {
            registry: Mutex::default(),
            reconciles: Family::default(),
            seconds: Histogram::new([0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0]),
            calls: Family::default(),
            drifted: Family::default(),
            watch_failures: Family::default(),
            leader: Gauge::default(),
            shops: Gauge::default(),
            depth: Gauge::default(),
            failovers: Family::default(),
            write_gap_ms: Family::default(),
            backup_fresh: Family::default(),
            backup_verified: Family::default(),
            backup_at: Family::default(),
            backup_restore: Family::default(),
        };
        registry.register(
            "reconciles",
            "Times a Shop was looked at",
            metrics.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile",
            "How long looking at a Shop took",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register(
            "api_calls",
            "Requests to the API server",
            metrics.calls.clone(),
        );
        registry.register(
            "objects_drifted",
            "Objects put back because somebody else had changed them",
            metrics.drifted.clone(),
        );
        registry.register(
            "watch_failures",
            "Watches that broke",
            metrics.watch_failures.clone(),
        );
        registry.register(
            "leader",
            "1 while this process acts",
            metrics.leader.clone(),
        );
        registry.register("shops", "Shops that exist", metrics.shops.clone());
        registry.register(
            "queue_depth",
            "Shops that have to be looked at now",
            metrics.depth.clone(),
        );
        registry.register(
            "database_failovers",
            "Times that another member of a Shop's database became the primary",
            metrics.failovers.clone(),
        );
        registry.register(
            "database_write_gap_milliseconds",
            "Time without a primary at the last change of the primary of a Shop's database",
            metrics.write_gap_ms.clone(),
        );
        registry.register(
            "backup_fresh",
            "1 while there is a full backup of the Shop that is not too old, else 0",
            metrics.backup_fresh.clone(),
        );
        registry.register(
            "backup_verified",
            "1 while the newest backup of the Shop was restored for trial and good, else 0",
            metrics.backup_verified.clone(),
        );
        registry.register_with_unit(
            "backup_timestamp",
            "The moment of the newest full backup of the Shop",
            Unit::Seconds,
            metrics.backup_at.clone(),
        );
        registry.register_with_unit(
            "backup_restore",
            "How long the last restore for trial of the Shop took",
            Unit::Seconds,
            metrics.backup_restore.clone(),
        );
        *metrics
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// A Shop was looked at.
    pub fn reconciled(&self, result: &'static str, reason: &'static str, took: Duration) {
        self.reconciles
            .get_or_create(&Reconciled { result, reason })
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// A request was answered.
    pub fn called(&self, verb: &'static str, result: &'static str) {
        self.calls.get_or_create(&Call { verb, result }).inc();
    }

    /// An object was put back.
    pub fn drifted(&self, kind: &'static str) {
        self.drifted.get_or_create(&OfKind { kind }).inc();
    }

    /// A watch broke.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_failures.get_or_create(&OfKind { kind }).inc();
    }

    /// What is known of the last change of the primary of a Shop's database, after this look and before it.
    pub fn failover(
        &self,
        shop: &ShopKey,
        before: Option<&FailoverStatus>,
        after: Option<&FailoverStatus>,
    ) {
        let Some(after) = after else { return };
        let labels = OfShop::new(shop);
        let same = before.is_some_and(|before| before.at == after.at && before.to == after.to);
        if !same {
            self.failovers.get_or_create(&labels).inc();
        }
        if let Some(gap) = after.write_gap_ms {
            self.write_gap_ms.get_or_create(&labels).set(gap);
        }
    }

    /// A Shop is gone.
    pub fn forget(&self, shop: &ShopKey) {
        let labels = OfShop::new(shop);
        self.failovers.remove(&labels);
        self.write_gap_ms.remove(&labels);
        self.no_backups(shop);
    }

    /// Whether this process acts.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// What is known of the backups of a Shop.
    pub fn backups(&self, shop: &ShopKey, known: &Outcome) {
        let Some(status) = &known.status else {
            self.no_backups(shop);
            return;
        };
        let of = OfShop::new(shop);
        for (kind, family) in [
            (ConditionType::BackupFresh, &self.backup_fresh),
            (ConditionType::BackupVerified, &self.backup_verified),
        ] {
            let found = known.conditions.iter().find(|found| found.kind == kind);
            match found.map(|found| found.status) {
                Some(ConditionStatus::True) => drop(family.get_or_create(&of).set(1)),
                Some(ConditionStatus::False) => drop(family.get_or_create(&of).set(0)),
                Some(ConditionStatus::Unknown) | None => drop(family.remove(&of)),
            }
        }
        let at = status.last.as_ref().and_then(|last| last.at.parse().ok());
        if let Some(at) = at.map(jiff::Timestamp::as_second) {
            self.backup_at.get_or_create(&of).set(at);
        }
        let took = status.last_verified.as_ref();
        if let Some(took) = took.and_then(|last| last.restore_seconds) {
            self.backup_restore.get_or_create(&of).set(took);
        }
    }

    fn no_backups(&self, shop: &ShopKey) {
        let of = OfShop::new(shop);
        for family in [
            &self.backup_fresh,
            &self.backup_verified,
            &self.backup_at,
            &self.backup_restore,
        ] {
            family.remove(&of);
        }
    }

    /// In the text format, with these numbers of now.
    pub fn text(&self, shops: usize, depth: usize) -> String {
        self.shops.set(i64::try_from(shops).unwrap_or(i64::MAX));
        self.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).ok();
        text
    }
}

#[cfg(test)]
mod tests {
    use panono_crds::FailoverStatus;

    use super::Metrics;
    use crate::object::ShopKey;

    #[test]
    fn each_failover_is_counted_once_and_its_gap_is_told_when_it_is_known() {
        let metrics = Metrics::default();
        let shop = ShopKey {
            namespace: "shops".to_owned(),
            name: "demo".to_owned(),
        };
        let at = |at: &str, gap: Option<i64>| FailoverStatus {
            at: at.to_owned(),
            from: Some("demo-database-0".to_owned()),
            to: "demo-database-1".to_owned(),
            write_gap_ms: gap,
        };
        let labels = r#"{shop_namespace="shops",shop_name="demo"}"#;
        let says = |line: &str| {
            let text = metrics.text(1, 0);
            assert!(text.contains(line), "no {line} in\n{text}");
        };
        metrics.failover(&shop, None, Some(&at("1", None)));
        says(&format!(
            "panono_operator_database_failovers_total{labels} 1"
        ));
        assert!(!metrics.text(1, 0).contains("milliseconds{"));
        metrics.failover(&shop, Some(&at("1", None)), Some(&at("1", Some(700))));
        says(&format!(
            "panono_operator_database_failovers_total{labels} 1"
        ));
        says(&format!(
            "panono_operator_database_write_gap_milliseconds{labels} 700"
        ));
        metrics.failover(&shop, Some(&at("1", Some(700))), Some(&at("2", Some(900))));
        says(&format!(
            "panono_operator_database_failovers_total{labels} 2"
        ));
        metrics.forget(&shop);
        assert!(!metrics.text(0, 0).contains("demo"));
    }
}
