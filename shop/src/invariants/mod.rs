//! Verifies, on the live database, what must be true of it at any moment.
//!
//! Each invariant is a few [`store::CHECKS`]: statements that find rows which contradict it, walked through a table in
//! bounded ranges of an index. Each statement sees one consistent snapshot (InnoDB takes one for a statement), so buyers in
//! between are no violation, and nothing is locked. `panono-shop check --invariants` tells every violation; the worker shows
//! their number as `shop_invariant_violations`.

pub mod store;

use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::db::{Db, DbError};
use crate::outbox::dispatch::judged;

macro_rules! invariants {
    ($($variant:ident = $name:literal, $rule:literal;)+) => {
        /// What must always be true.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Invariant { $(#[doc = $rule] $variant,)+ }

        impl Invariant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in reports and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }

            /// What must be true.
            #[must_use]
            pub const fn rule(self) -> &'static str { match self { $(Self::$variant => $rule,)+ } }
        }
    };
}

invariants! {
    I1 = "I1", "no more pieces are promised than there are, or may be ordered ahead";
    I2 = "I2", "the pieces that stock counts as promised are those that orders hold";
    I3 = "I3", "a cart has one order";
    I4 = "I4", "no more is captured than was authorised, and no more refunded than was captured";
    I5 = "I5", "no promotion or coupon is used more often than its limit, and its count is that of the orders that hold it";
    I6 = "I6", "an idempotency key that is done has one answer and one effect";
    I7 = "I7", "every change of an order's state is announced by exactly one row of the outbox";
}

/// Something that contradicts an invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// By which check.
    pub check: &'static str,
    /// What is wrong: kinds and numbers of rows.
    pub subject: String,
    /// What would be right.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} {}: {}: expected {}, found {}",
            self.invariant.name(),
            self.check,
            self.subject,
            self.expected,
            self.actual
        )
    }
}

/// What one run found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Everything that is wrong, at most [`MOST_VIOLATIONS`] of each check.
    pub violations: Vec<Violation>,
    /// Checks of which more violations exist than are listed.
    pub cut_short: Vec<&'static str>,
    /// Ranges that were looked at.
    pub ranges: u64,
}

impl Report {
    /// How many violations of an invariant are listed.
    #[must_use]
    pub fn count(&self, invariant: Invariant) -> usize {
        self.violations
            .iter()
            .filter(|violation| violation.invariant == invariant)
            .count()
    }
}

/// Most violations that are listed of one check.
pub const MOST_VIOLATIONS: usize = 1000;
/// Rows of a range.
const RANGE: u32 = 1000;
/// How long a change of the primary is waited for.
const PRIMARY_LIMIT: Duration = Duration::from_secs(30);

/// Runs all checks on the primary.
///
/// # Errors
/// What the database answers.
pub async fn verify(db: &Db) -> Result<Report, DbError> {
    let mut report = Report::default();
    for check in store::CHECKS {
        let before = report.violations.len();
        let mut low = check.walk.start();
        loop {
            // A connection for each range: the run may take long, and the primary may change meanwhile.
            db.wait_for_primary(Instant::now() + PRIMARY_LIMIT).await?;
            let mut primary = db.primary().await?;
            let high = store::end_of_range(&mut primary.connection, check, &low, RANGE)
                .await
                .map_err(|error| judged(&primary, error))?;
            let last = high.is_none();
            let high = high.unwrap_or_else(|| check.walk.end());
            let found = store::find(&mut primary.connection, check, &low, &high)
                .await
                .map_err(|error| judged(&primary, error))?;
            report.ranges += 1;
            report
                .violations
                .extend(found.into_iter().map(|row| Violation {
                    invariant: check.invariant,
                    check: check.name,
                    subject: row.subject,
                    expected: row.expected,
                    actual: row.actual,
                }));
            if report.violations.len() - before >= MOST_VIOLATIONS {
                report.violations.truncate(before + MOST_VIOLATIONS);
                report.cut_short.push(check.name);
                break;
            }
            if last {
                break;
            }
            low = high;
        }
    }
    Ok(report)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByInvariant {
    invariant: &'static str,
}

/// What the worker shows.
#[derive(Debug, Clone, Default)]
pub struct InvariantMetrics {
    violations: Family<ByInvariant, Gauge>,
    checked: Gauge,
}

impl InvariantMetrics {
    /// Announces the metrics under their public names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "shop_invariant_violations",
            "Violations that the last run found, by invariant",
            self.violations.clone(),
        );
        registry.register_with_unit(
            "shop_invariants_checked",
            "When the last run ended, as seconds since 1970",
            Unit::Seconds,
            self.checked.clone(),
        );
    }

    /// Shows what a run found.
    pub fn show(&self, report: &Report) {
        for invariant in Invariant::ALL {
            let label = ByInvariant {
                invariant: invariant.name(),
            };
            let count = i64::try_from(report.count(*invariant)).unwrap_or(i64::MAX);
            self.violations.get_or_create(&label).set(count);
        }
        self.checked.set(OffsetDateTime::now_utc().unix_timestamp());
    }
}

/// Most violations that one run writes to the log.
const MOST_LOGGED: usize = 20;

/// Verifies now and again, until `stop` turns true.
pub async fn run(
    db: Db,
    every: Duration,
    metrics: InvariantMetrics,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow_and_update() {
        match verify(&db).await {
            Ok(report) => {
                metrics.show(&report);
                for violation in report.violations.iter().take(MOST_LOGGED) {
                    tracing::error!(
                        invariant = violation.invariant.name(),
                        check = violation.check,
                        subject = violation.subject,
                        expected = violation.expected,
                        actual = violation.actual,
                        "the database contradicts an invariant"
                    );
                }
                tracing::debug!(
                    ranges = report.ranges,
                    violations = report.violations.len(),
                    "invariants verified"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "invariants could not be verified; trying again later");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}
