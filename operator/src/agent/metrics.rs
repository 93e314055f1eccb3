//! What Prometheus reads of an agent. Names are in docs/agent.md.

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::api::{MemberState, Status};
use super::view;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Times the server was started.
    pub starts: Counter,
    /// Times the member tried to join.
    pub joins: Counter,
    /// Times the member fenced itself for want of a majority.
    pub self_fences: Counter,
    online: Gauge,
    primary: Gauge,
    majority: Gauge,
    queue: Gauge,
    fenced: Gauge,
    quarantined: Gauge,
    write_gap_ms: Gauge,
    age_ms: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("panono_agent");
        let metrics = Self {
            registry: Mutex::default(),
            starts: Counter::default(),
            joins: Counter::default(),
            self_fences: Counter::default(),
            online: Gauge::default(),
            primary: Gauge::default(),
            majority: Gauge::default(),
            queue: Gauge::default(),
            fenced: Gauge::default(),
            quarantined: Gauge::default(),
            write_gap_ms: Gauge::default(),
            age_ms: Gauge::default(),
        };
        let counters = [
            ("server_starts", "Times mysqld was started", &metrics.starts),
            (
                "joins",
                "Times the member tried to join its group",
                &metrics.joins,
            ),
            (
                "self_fences",
                "Times the member closed its doors for want of a majority",
                &metrics.self_fences,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges = [
            (
                "member_online",
                "1 while the member is online in its group",
                &metrics.online,
            ),
            (
                "member_primary",
                "1 while the member is the primary, with a majority",
                &metrics.primary,
            ),
            (
                "member_majority",
                "1 while the member sees a majority",
                &metrics.majority,
            ),
            (
                "applier_queue",
                "Transactions that wait to be applied",
                &metrics.queue,
            ),
            (
                "fenced",
                "1 while the operator keeps the member out of any group",
                &metrics.fenced,
            ),
            (
                "quarantined",
                "1 while the member stays out because of transactions that the group has not",
                &metrics.quarantined,
            ),
            (
                "write_gap_milliseconds",
                "Time without a primary before this member became it, the last time",
                &metrics.write_gap_ms,
            ),
            (
                "observation_age_milliseconds",
                "Time since the server last answered",
                &metrics.age_ms,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        *metrics
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// In the text format, of this status.
    pub fn text(&self, status: &Status) -> String {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let seen = status.view.as_ref();
        self.online.set(i64::from(
            seen.is_some_and(|seen| seen.state == MemberState::Online),
        ));
        self.primary
            .set(i64::from(seen.is_some_and(view::is_primary)));
        self.majority
            .set(i64::from(seen.is_some_and(|seen| seen.majority)));
        self.queue
            .set(seen.map_or(0, |seen| number(seen.applier_queue)));
        self.fenced.set(i64::from(status.fenced.is_some()));
        self.quarantined.set(i64::from(status.quarantine.is_some()));
        self.age_ms.set(number(status.age_ms));
        if let Some(failover) = &status.failover {
            self.write_gap_ms.set(number(failover.write_gap_ms));
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).ok();
        text
    }
}
