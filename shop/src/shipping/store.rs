//! The SQL of shipping methods as carts see them.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::model::{Carrier, Method, ShippingRate};
use crate::catalog::model::Currency;

/// Most methods of a zone that are offered.
pub const MOST_METHODS: u32 = 20;

const METHODS: &str = "SELECT m.id, m.code, m.zone_id, m.carrier, m.tax_category, m.names, m.days_min, m.days_max, m.position, \
       (SELECT JSON_ARRAYAGG(JSON_ARRAY(r.from_grams, r.max_grams, r.amount, r.free_from)) FROM shipping_rate r \
        WHERE r.method_id = m.id AND r.currency = ?) AS rates \
     FROM shipping_method m WHERE m.zone_id = ? AND m.status = 'active' ORDER BY m.position, m.id LIMIT ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[("shipping_methods", METHODS)];

/// `from_grams`, `max_grams`, `amount`, `free_from`.
type RateColumns = (i64, Option<i64>, i64, Option<i64>);

#[derive(Debug, sqlx::FromRow)]
struct MethodRow {
    id: i64,
    code: String,
    zone_id: i64,
    carrier: String,
    tax_category: String,
    names: Json<BTreeMap<String, String>>,
    days_min: i16,
    days_max: i16,
    position: i32,
    rates: Option<Json<Vec<RateColumns>>>,
}

/// The methods of a zone that have a rate in a currency, in order.
///
/// # Errors
/// Those of the database.
pub async fn methods(
    connection: &mut MySqlConnection,
    zone_id: i64,
    currency: Currency,
) -> Result<Vec<Method>, sqlx::Error> {
    let rows: Vec<MethodRow> = sqlx::query_as(METHODS)
        .bind(currency.as_str())
        .bind(zone_id)
        .bind(MOST_METHODS)
        .fetch_all(connection)
        .await?;
    let methods = rows.into_iter().filter_map(|row| {
        let rates = row.rates?.0;
        Some(Method {
            id: row.id,
            code: row.code,
            zone_id: row.zone_id,
            carrier: Carrier::from_word(&row.carrier)?,
            tax_category: row.tax_category,
            names: row.names.0,
            days_min: row.days_min,
            days_max: row.days_max,
            position: row.position,
            rates: rates
                .into_iter()
                .map(|(from_grams, max_grams, amount, free_from)| ShippingRate {
                    currency,
                    from_grams,
                    max_grams,
                    amount,
                    free_from,
                })
                .collect(),
        })
    });
    Ok(methods.collect())
}
