//! Whether an order looks like fraud.
//!
//! Staff keep rules with weights and lists ([`model`]). The checkout asks twice: before the payment, when an order can still
//! be refused without a trace, and after its authorisation, when the card is known and a person can be asked. Rules in
//! shadow are recorded and do not count, so that a new rule can be watched before it is trusted.

pub mod lists;
pub mod model;
pub mod store;
pub mod store_staff;

use sqlx::MySqlConnection;

pub use model::{Assessment, Outcome, Reason, Stage};

/// Every statement of the domain with its name, so that a test can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [store::STATEMENTS, store_staff::STATEMENTS]
        .into_iter()
        .flatten()
        .copied()
}

/// From which scores on an order is looked at or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskSettings {
    /// From this score on a person looks at the order before it is fulfilled.
    pub review_from: i32,
    /// From this score on the order is refused. Not below `review_from`.
    pub refuse_from: i32,
}

impl Default for RiskSettings {
    fn default() -> Self {
        Self {
            review_from: 50,
            refuse_from: 100,
        }
    }
}

/// Judges an order inside the caller's transaction and records the judgement with its reasons. Where there are neither rules
/// nor lists nothing is recorded.
///
/// At [`Stage::BeforePayment`] only [`Outcome::Refuse`] asks for something: the order must not be made. At
/// [`Stage::AfterAuthorization`] [`Outcome::Review`] holds fulfilment until a person has looked (`review_state` pending), and
/// [`Outcome::Refuse`] cancels the order and voids its payment. The caller does that.
///
/// # Errors
/// What the database answers.
pub async fn assess(
    connection: &mut MySqlConnection,
    settings: &RiskSettings,
    order_id: i64,
    stage: Stage,
) -> Result<Assessment, sqlx::Error> {
    let (rules, has_lists) = store::rules(connection).await?;
    if rules.is_empty() && !has_lists {
        return Ok(Assessment::default());
    }
    let Some(facts) = store::facts(connection, order_id).await? else {
        return Ok(Assessment::default());
    };
    let listed = if has_lists {
        store::listed(connection, &facts).await?
    } else {
        Vec::new()
    };
    let signals = store::signals(connection, order_id, &facts, &rules).await?;
    let assessment = model::judge(&rules, &listed, &signals, settings);
    store::record(connection, order_id, stage, &assessment).await?;
    Ok(assessment)
}
