//! The statements that gather signals and record judgements. Each is bound to an index and counts no further than rules ask.

use serde_json::Value;
use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::lists::{card_key, country_key};
use super::model::{
    Assessment, Condition, Listed, MOST_COUNTED, Place, Rule, Signals, Stage, Subject,
    wanted_counts,
};
use crate::accounts::address::Address;

const RULES: &str = "SELECT name, kind, parameters, weight, mode = 'shadow' FROM risk_rule WHERE mode <> 'off' ORDER BY id LIMIT 200";
const HAS_LISTS: &str = "SELECT EXISTS (SELECT 1 FROM risk_list)";
const FACTS: &str = "SELECT orders.total, orders.currency, orders.customer_key, orders.ip_key, orders.address_key, orders.shipping_address, orders.billing_address, \
       TIMESTAMPDIFF(HOUR, customer.created_at, NOW(6)) AS account_hours, \
       EXISTS (SELECT 1 FROM order_discount FORCE INDEX (PRIMARY) WHERE order_discount.order_id = orders.id AND order_discount.coupon_code <> '') AS has_coupon, \
       (SELECT payment.fingerprint FROM payment FORCE INDEX (payment_order) WHERE payment.order_id = orders.id AND payment.fingerprint IS NOT NULL \
         ORDER BY payment.id DESC LIMIT 1) AS fingerprint, \
       (SELECT payment.method->>'$.country' FROM payment FORCE INDEX (payment_order) WHERE payment.order_id = orders.id AND payment.fingerprint IS NOT NULL \
         ORDER BY payment.id DESC LIMIT 1) AS card_country \
     FROM orders LEFT JOIN customer ON customer.id = orders.customer_id WHERE orders.id = ?";
const LISTED: &str = "SELECT list = 'deny', kind FROM risk_list WHERE (kind = 'email' AND value_key = ?) OR (kind = 'ip' AND value_key = ?) \
       OR (kind = 'card' AND value_key = ?) OR (kind = 'country' AND value_key IN (?, ?))";
const COUNT_ACCOUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM orders FORCE INDEX (orders_customer_key) \
     WHERE customer_key = ? AND created_at >= NOW(6) - INTERVAL ? MINUTE AND id <> ? LIMIT ?) AS counted";
const COUNT_IP: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM orders FORCE INDEX (orders_ip_key) \
     WHERE ip_key = ? AND created_at >= NOW(6) - INTERVAL ? MINUTE AND id <> ? LIMIT ?) AS counted";
const COUNT_ADDRESS: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM orders FORCE INDEX (orders_address_key) \
     WHERE address_key = ? AND created_at >= NOW(6) - INTERVAL ? MINUTE AND id <> ? LIMIT ?) AS counted";
const COUNT_CARD: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM payment FORCE INDEX (payment_fingerprint) \
     WHERE fingerprint = ? AND created_at >= NOW(6) - INTERVAL ? MINUTE AND order_id <> ? LIMIT ?) AS counted";
const COUNT_COUPON: &str = "SELECT COUNT(DISTINCT counted.customer_key) FROM ( \
       (SELECT customer_key FROM orders FORCE INDEX (orders_ip_key) WHERE ip_key = ? AND created_at >= NOW(6) - INTERVAL ? MINUTE AND id <> ? \
         AND (SELECT COUNT(*) FROM order_discount FORCE INDEX (PRIMARY) WHERE order_discount.order_id = orders.id AND order_discount.coupon_code <> '') > 0 LIMIT ?) \
       UNION ALL \
       (SELECT customer_key FROM orders FORCE INDEX (orders_address_key) WHERE address_key = ? AND created_at >= NOW(6) - INTERVAL ? MINUTE AND id <> ? \
         AND (SELECT COUNT(*) FROM order_discount FORCE INDEX (PRIMARY) WHERE order_discount.order_id = orders.id AND order_discount.coupon_code <> '') > 0 LIMIT ?)) AS counted \
     WHERE counted.customer_key <> ?";
const RECORD: &str = "INSERT INTO risk_assessment (order_id, stage, score, outcome, shadow_outcome, reasons) VALUES (?, ?, ?, ?, ?, ?)";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("risk_rules", RULES),
    ("risk_has_lists", HAS_LISTS),
    ("risk_facts", FACTS),
    ("risk_listed", LISTED),
    ("risk_count_account", COUNT_ACCOUNT),
    ("risk_count_ip", COUNT_IP),
    ("risk_count_address", COUNT_ADDRESS),
    ("risk_count_card", COUNT_CARD),
    ("risk_count_coupon", COUNT_COUPON),
    ("risk_record", RECORD),
];

/// The rules that are in force or watched, and whether anything is on a list. A rule that this release cannot read is left
/// out with a warning.
pub(super) async fn rules(
    connection: &mut MySqlConnection,
) -> Result<(Vec<Rule>, bool), sqlx::Error> {
    let rows: Vec<(String, String, Json<Value>, i32, bool)> =
        sqlx::query_as(RULES).fetch_all(&mut *connection).await?;
    let mut rules = Vec::with_capacity(rows.len());
    for (name, kind, Json(parameters), weight, shadow) in rows {
        match Condition::read(&kind, &parameters) {
            Ok(condition) => rules.push(Rule {
                name,
                condition,
                weight,
                shadow,
            }),
            Err(error) => {
                tracing::warn!(
                    rule = name,
                    error,
                    "a risk rule cannot be read and is left out"
                );
            }
        }
    }
    let has_lists = sqlx::query_scalar(HAS_LISTS).fetch_one(connection).await?;
    Ok((rules, has_lists))
}

/// What is written of an order.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Facts {
    total: i64,
    currency: String,
    customer_key: Vec<u8>,
    ip_key: Option<Vec<u8>>,
    address_key: Option<Vec<u8>>,
    shipping_address: Option<Json<Address>>,
    billing_address: Option<Json<Address>>,
    account_hours: Option<i64>,
    has_coupon: bool,
    fingerprint: Option<String>,
    card_country: Option<String>,
}

/// What is written of an order.
pub(super) async fn facts(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<Option<Facts>, sqlx::Error> {
    sqlx::query_as(FACTS)
        .bind(order_id)
        .fetch_optional(connection)
        .await
}

/// The lists that the order is on.
pub(super) async fn listed(
    connection: &mut MySqlConnection,
    facts: &Facts,
) -> Result<Vec<Listed>, sqlx::Error> {
    let country = |address: &Option<Json<Address>>| {
        let key = address
            .as_ref()
            .map(|address| country_key(&address.country));
        key.map(|key| key.to_vec())
    };
    let card = facts
        .fingerprint
        .as_deref()
        .map(|card| card_key(card).to_vec());
    let rows: Vec<(bool, String)> = sqlx::query_as(LISTED)
        .bind(&facts.customer_key)
        .bind(&facts.ip_key)
        .bind(card)
        .bind(country(&facts.shipping_address))
        .bind(country(&facts.billing_address))
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(denied, kind)| Listed { denied, kind })
        .collect())
}

/// What these rules must know of an order.
pub(super) async fn signals(
    connection: &mut MySqlConnection,
    order_id: i64,
    facts: &Facts,
    rules: &[Rule],
) -> Result<Signals, sqlx::Error> {
    let mut signals = Signals {
        total: facts.total,
        currency: facts.currency.clone(),
        account_hours: facts.account_hours,
        shipping: facts
            .shipping_address
            .as_ref()
            .map(|address| place(address)),
        billing: facts.billing_address.as_ref().map(|address| place(address)),
        card_country: facts.card_country.clone(),
        has_coupon: facts.has_coupon,
        ..Signals::default()
    };
    // One more than any rule asks for is enough.
    let most = MOST_COUNTED + 1;
    for (subject, minutes) in wanted_counts(rules) {
        let (statement, key) = match subject {
            Subject::Account => (COUNT_ACCOUNT, Some(facts.customer_key.clone())),
            Subject::Ip => (COUNT_IP, facts.ip_key.clone()),
            Subject::Address => (COUNT_ADDRESS, facts.address_key.clone()),
            Subject::Card => (
                COUNT_CARD,
                facts.fingerprint.clone().map(String::into_bytes),
            ),
            Subject::Coupon => {
                if facts.has_coupon {
                    let count = sqlx::query_scalar(COUNT_COUPON)
                        .bind(&facts.ip_key)
                        .bind(minutes)
                        .bind(order_id)
                        .bind(most)
                        .bind(&facts.address_key)
                        .bind(minutes)
                        .bind(order_id)
                        .bind(most)
                        .bind(&facts.customer_key)
                        .fetch_one(&mut *connection)
                        .await?;
                    signals.counts.insert((subject, minutes), count);
                }
                continue;
            }
        };
        // Who has no card or address yet has none in common with anybody.
        let Some(key) = key else { continue };
        let count = sqlx::query_scalar(statement)
            .bind(key)
            .bind(minutes)
            .bind(order_id)
            .bind(most)
            .fetch_one(&mut *connection)
            .await?;
        signals.counts.insert((subject, minutes), count);
    }
    Ok(signals)
}

fn place(address: &Address) -> Place {
    let door = [
        address.postcode.as_deref().unwrap_or_default(),
        &address.city,
        &address.line1,
    ];
    let door: String = door.concat().to_lowercase().split_whitespace().collect();
    Place {
        country: address.country.clone(),
        door,
    }
}

/// Writes a judgement.
pub(super) async fn record(
    connection: &mut MySqlConnection,
    order_id: i64,
    stage: Stage,
    assessment: &Assessment,
) -> Result<(), sqlx::Error> {
    sqlx::query(RECORD)
        .bind(order_id)
        .bind(stage.name())
        .bind(assessment.score)
        .bind(assessment.outcome.name())
        .bind(assessment.shadow_outcome.name())
        .bind(Json(&assessment.reasons))
        .execute(connection)
        .await?;
    Ok(())
}
