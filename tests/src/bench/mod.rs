//! Benches: what the shop does, beside a yardstick that runs in turns with it on the same machine.
//!
//! - [`bed`]: a seeded shop to measure
//! - [`load`]: a load generator on a processor of its own, and rounds that take turns
//! - [`nginx`]: a web server that sends a recorded answer
//! - [`origin`], [`login`], [`edge`], [`miss`], [`traffic`], [`lifecycle`], [`checkout`]: the benches
//! - [`bare`]: the statements of a checkout without the shop
//! - [`gaps`]: how long nobody can write when the database's primary changes
//! - [`archive`]: what archiving costs
//! - [`fleet`]: the operator with a thousand Shops
//! - [`soak`]: a million products

pub mod archive;
pub mod bare;
pub mod bed;
pub mod checkout;
pub mod commits;
pub mod edge;
pub mod fleet;
pub mod gaps;
pub mod lifecycle;
pub mod load;
pub mod login;
pub mod miss;
pub mod nginx;
pub mod origin;
pub mod soak;
pub mod traffic;

use std::fmt;

use serde::Serialize;

/// What one bench found.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Its name, as `make bench NAME=…` takes it.
    pub name: &'static str,
    /// What was measured of the shop, in the unit that `docs/benchmarks.md` names.
    pub value: f64,
    /// The same of the yardstick, where there is one.
    pub yardstick: Option<f64>,
    /// Value by yardstick, where there is one.
    pub ratio: Option<f64>,
    /// What should be: `ratio>=…`, `value>=…` or `value<=…`.
    pub goal: &'static str,
}

impl Measure {
    /// A value that speaks for itself.
    pub fn alone(name: &'static str, value: f64, goal: &'static str) -> Self {
        Self {
            name,
            value,
            yardstick: None,
            ratio: None,
            goal,
        }
    }

    /// A value beside its yardstick.
    pub fn beside(name: &'static str, value: f64, yardstick: f64, goal: &'static str) -> Self {
        Self {
            name,
            value,
            yardstick: Some(yardstick),
            ratio: Some(value / yardstick),
            goal,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} {} {} {}",
            self.name,
            figure(Some(self.value)),
            figure(self.yardstick),
            figure(self.ratio),
            self.goal
        )
    }
}

/// Ratios need their digits, thousands do not.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() < 10.0 => format!("{value:.4}"),
        Some(value) => format!("{value:.1}"),
    }
}

/// The middle one of some values.
///
/// # Panics
/// When there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The smallest of the values that `percent` of a hundred of them do not exceed.
///
/// # Panics
/// When there is none.
pub fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent).div_ceil(100).max(1) - 1]
}

/// Says on standard error what goes on, so that standard output has the results alone.
pub fn say(text: &str) {
    eprintln!("bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::{Measure, median, percentile};

    #[test]
    fn a_result_has_five_columns_and_the_same_five_keys() {
        let measure = Measure::beside("edge_hit", 950.0, 1000.0, "ratio>=0.95");
        assert_eq!(
            measure.to_string(),
            "edge_hit 950.0 1000.0 0.9500 ratio>=0.95"
        );
        let alone = Measure::alone("resident_mib", 40.0, "value<=64");
        assert_eq!(alone.to_string(), "resident_mib 40.0 - - value<=64");
        assert_eq!(
            serde_json::to_value(alone).unwrap(),
            serde_json::json!({"name": "resident_mib", "value": 40.0, "yardstick": null, "ratio": null, "goal": "value<=64"})
        );
    }

    #[test]
    fn medians_and_percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((percentile(values, 99) - 198.0).abs() < f64::EPSILON);
        assert!((percentile(vec![7.0], 99) - 7.0).abs() < f64::EPSILON);
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
