//! What a judgement is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When an order is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The order is a draft and no money was asked for.
    BeforePayment,
    /// The payment is authorised; the card is known.
    AfterAuthorization,
}

/// What becomes of the order.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing is wrong with it.
    #[default]
    Accept,
    /// A person must look at it before it is fulfilled.
    Review,
    /// It is not made, or cancelled.
    Refuse,
}

/// Why a judgement is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// The name of the rule or list.
    pub rule: String,
    /// What it found, for the person who looks.
    pub finding: String,
    /// What it adds to the score.
    pub weight: i32,
    /// Whether it is only watched and does not count.
    pub shadow: bool,
}

/// A judgement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assessment {
    /// The sum of the weights that count.
    pub score: i32,
    /// What becomes of the order.
    pub outcome: Outcome,
    /// What would become of it if rules in shadow counted as well.
    pub shadow_outcome: Outcome,
    /// Why.
    pub reasons: Vec<Reason>,
}
