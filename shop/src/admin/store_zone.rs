//! The statements of zones, taxes and shipping methods, as staff change them.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::zone::{
    MethodBody, MethodRate, StaffShippingMethod, Zone, ZoneArea, ZoneBody, ZoneRate,
};
use crate::catalog::json_list;
use crate::shipping::model::Carrier;

const ZONES: &str = "SELECT z.id, z.name, z.prices_include_tax, z.version, \
       (SELECT JSON_ARRAYAGG(JSON_ARRAY(country, region)) FROM zone_area WHERE zone_id = z.id) AS areas, \
       (SELECT JSON_ARRAYAGG(JSON_ARRAY(tax_category, name, rate)) FROM tax_rate WHERE zone_id = z.id) AS rates \
     FROM zone z WHERE z.id > ? ORDER BY z.id LIMIT ?";
const ZONE: &str = "SELECT z.id, z.name, z.prices_include_tax, z.version, \
       (SELECT JSON_ARRAYAGG(JSON_ARRAY(country, region)) FROM zone_area WHERE zone_id = z.id) AS areas, \
       (SELECT JSON_ARRAYAGG(JSON_ARRAY(tax_category, name, rate)) FROM tax_rate WHERE zone_id = z.id) AS rates \
     FROM zone z WHERE z.id = ?";
const ZONE_LOCK: &str = "SELECT id FROM zone WHERE id = ? FOR UPDATE";
const ZONE_INSERT: &str = "INSERT INTO zone (name, prices_include_tax) VALUES (?, ?)";
const ZONE_UPDATE: &str = "UPDATE zone SET name = ?, prices_include_tax = ?, version = version + 1 WHERE id = ? AND version = ?";
const ZONE_DELETE: &str = "DELETE FROM zone WHERE id = ?";
const ZONE_METHODS: &str = "SELECT COUNT(*) FROM shipping_method WHERE zone_id = ?";
const AREAS_DELETE: &str = "DELETE FROM zone_area WHERE zone_id = ?";
const AREAS_INSERT: &str = "INSERT INTO zone_area (country, region, zone_id) SELECT j.country, j.region, ? \
     FROM JSON_TABLE(?, '$[*]' COLUMNS (country CHAR(2) PATH '$.country', region VARCHAR(3) PATH '$.region')) AS j";
const AREAS_ELSEWHERE: &str = "SELECT a.country, a.region, z.name FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       country CHAR(2) CHARACTER SET ascii COLLATE ascii_bin PATH '$.country', \
       region VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin PATH '$.region')) AS j \
     STRAIGHT_JOIN zone_area a ON a.country = j.country AND a.region = j.region AND a.zone_id <> ? \
     STRAIGHT_JOIN zone z ON z.id = a.zone_id LIMIT 1";
const RATES_DELETE: &str = "DELETE FROM tax_rate WHERE zone_id = ?";
const RATES_INSERT: &str = "INSERT INTO tax_rate (zone_id, tax_category, name, rate) SELECT ?, j.tax_category, j.name, j.rate \
     FROM JSON_TABLE(?, '$[*]' COLUMNS (tax_category VARCHAR(64) PATH '$.tax_category', name VARCHAR(64) PATH '$.name', \
       rate INT PATH '$.rate')) AS j";

const METHODS: &str = "SELECT m.id, m.code, m.zone_id, m.carrier, m.status, m.tax_category, m.names, m.days_min, m.days_max, \
       m.position, m.version, (SELECT JSON_ARRAYAGG(JSON_ARRAY(currency, from_grams, max_grams, amount, free_from)) \
         FROM shipping_rate WHERE method_id = m.id) AS rates \
     FROM shipping_method m WHERE m.id > ? ORDER BY m.id LIMIT ?";
const METHOD: &str = "SELECT m.id, m.code, m.zone_id, m.carrier, m.status, m.tax_category, m.names, m.days_min, m.days_max, \
       m.position, m.version, (SELECT JSON_ARRAYAGG(JSON_ARRAY(currency, from_grams, max_grams, amount, free_from)) \
         FROM shipping_rate WHERE method_id = m.id) AS rates \
     FROM shipping_method m WHERE m.id = ?";
const METHOD_LOCK: &str = "SELECT id FROM shipping_method WHERE id = ? FOR UPDATE";
const METHOD_INSERT: &str = "INSERT INTO shipping_method (code, zone_id, carrier, status, tax_category, names, days_min, days_max, \
       position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const METHOD_UPDATE: &str = "UPDATE shipping_method SET zone_id = ?, carrier = ?, status = ?, tax_category = ?, names = ?, \
       days_min = ?, days_max = ?, position = ?, version = version + 1 WHERE id = ? AND version = ?";
const METHOD_RATES_DELETE: &str = "DELETE FROM shipping_rate WHERE method_id = ?";
const METHOD_RATES_INSERT: &str = "INSERT INTO shipping_rate (method_id, currency, from_grams, max_grams, amount, free_from) \
     SELECT ?, j.currency, j.from_grams, j.max_grams, j.amount, j.free_from FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       currency CHAR(3) PATH '$.currency', from_grams BIGINT PATH '$.from_grams', max_grams BIGINT PATH '$.max_grams' NULL ON EMPTY, \
       amount BIGINT PATH '$.amount', free_from BIGINT PATH '$.free_from' NULL ON EMPTY)) AS j";
const ZONE_EXISTS: &str = "SELECT EXISTS(SELECT 1 FROM zone WHERE id = ?)";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_zones", ZONES),
    ("staff_zone", ZONE),
    ("staff_zone_lock", ZONE_LOCK),
    ("staff_zone_insert", ZONE_INSERT),
    ("staff_zone_update", ZONE_UPDATE),
    ("staff_zone_delete", ZONE_DELETE),
    ("staff_zone_methods", ZONE_METHODS),
    ("staff_zone_areas_delete", AREAS_DELETE),
    ("staff_zone_areas_insert", AREAS_INSERT),
    ("staff_zone_areas_elsewhere", AREAS_ELSEWHERE),
    ("staff_zone_rates_delete", RATES_DELETE),
    ("staff_zone_rates_insert", RATES_INSERT),
    ("staff_shipping_methods", METHODS),
    ("staff_shipping_method", METHOD),
    ("staff_shipping_method_lock", METHOD_LOCK),
    ("staff_shipping_method_insert", METHOD_INSERT),
    ("staff_shipping_method_update", METHOD_UPDATE),
    ("staff_shipping_rates_delete", METHOD_RATES_DELETE),
    ("staff_shipping_rates_insert", METHOD_RATES_INSERT),
    ("staff_zone_exists", ZONE_EXISTS),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

fn inserted(done: &sqlx::mysql::MySqlQueryResult) -> i64 {
    i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX)
}

#[derive(sqlx::FromRow)]
struct ZoneRow {
    id: i64,
    name: String,
    prices_include_tax: bool,
    version: i64,
    areas: Option<Json<Vec<(String, String)>>>,
    rates: Option<Json<Vec<(String, String, i32)>>>,
}

impl From<ZoneRow> for Zone {
    fn from(row: ZoneRow) -> Self {
        let areas = row.areas.map_or_else(Vec::new, |areas| areas.0);
        let rates = row.rates.map_or_else(Vec::new, |rates| rates.0);
        Self {
            id: row.id,
            zone: ZoneBody {
                name: row.name,
                prices_include_tax: row.prices_include_tax,
                areas: areas
                    .into_iter()
                    .map(|(country, region)| ZoneArea { country, region })
                    .collect(),
                rates: rates
                    .into_iter()
                    .map(|(tax_category, name, rate)| ZoneRate {
                        tax_category,
                        name,
                        rate,
                    })
                    .collect(),
            },
            version: row.version,
        }
    }
}

/// Zones after a number, in the order of their numbers.
///
/// # Errors
/// What the database answers.
pub async fn zones(connection: &mut MySqlConnection, after: i64, limit: u32) -> Result<Vec<Zone>> {
    let rows: Vec<ZoneRow> = sqlx::query_as(ZONES)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(Zone::from).collect())
}

/// A zone.
///
/// # Errors
/// What the database answers.
pub async fn zone(connection: &mut MySqlConnection, id: i64) -> Result<Option<Zone>> {
    let row: Option<ZoneRow> = sqlx::query_as(ZONE)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Zone::from))
}

/// A zone, locked until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn zone_for_update(connection: &mut MySqlConnection, id: i64) -> Result<Option<Zone>> {
    sqlx::query(ZONE_LOCK)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    zone(connection, id).await
}

/// Whether there is such a zone.
///
/// # Errors
/// What the database answers.
pub async fn zone_exists(connection: &mut MySqlConnection, id: i64) -> Result<bool> {
    sqlx::query_scalar(ZONE_EXISTS)
        .bind(id)
        .fetch_one(connection)
        .await
}

/// An area that another zone than `id` has already: country, region, and the name of that zone.
///
/// # Errors
/// What the database answers.
pub async fn area_elsewhere(
    connection: &mut MySqlConnection,
    id: i64,
    zone: &ZoneBody,
) -> Result<Option<(String, String, String)>> {
    let areas: Vec<&ZoneArea> = zone.areas.iter().collect();
    sqlx::query_as(AREAS_ELSEWHERE)
        .bind(json_list(&areas)?)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// Makes a zone and returns its number.
///
/// # Errors
/// What the database answers; `zone_name` when the name is taken.
pub async fn zone_insert(connection: &mut MySqlConnection, zone: &ZoneBody) -> Result<i64> {
    let done = sqlx::query(ZONE_INSERT)
        .bind(&zone.name)
        .bind(zone.prices_include_tax)
        .execute(&mut *connection)
        .await?;
    let id = inserted(&done);
    parts(connection, id, zone).await?;
    Ok(id)
}

async fn parts(connection: &mut MySqlConnection, id: i64, zone: &ZoneBody) -> Result<()> {
    let areas: Vec<&ZoneArea> = zone.areas.iter().collect();
    let rates: Vec<&ZoneRate> = zone.rates.iter().collect();
    sqlx::query(AREAS_INSERT)
        .bind(id)
        .bind(json_list(&areas)?)
        .execute(&mut *connection)
        .await?;
    sqlx::query(RATES_INSERT)
        .bind(id)
        .bind(json_list(&rates)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces a zone and counts its version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers; `zone_name` when the name is taken.
pub async fn zone_update(
    connection: &mut MySqlConnection,
    before: &Zone,
    after: &ZoneBody,
) -> Result<bool> {
    let done = sqlx::query(ZONE_UPDATE)
        .bind(&after.name)
        .bind(after.prices_include_tax)
        .bind(before.id)
        .bind(before.version)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    for statement in [AREAS_DELETE, RATES_DELETE] {
        sqlx::query(statement)
            .bind(before.id)
            .execute(&mut *connection)
            .await?;
    }
    parts(connection, before.id, after).await?;
    Ok(true)
}

/// How many shipping methods are offered in a zone.
///
/// # Errors
/// What the database answers.
pub async fn zone_methods(connection: &mut MySqlConnection, id: i64) -> Result<i64> {
    sqlx::query_scalar(ZONE_METHODS)
        .bind(id)
        .fetch_one(connection)
        .await
}

/// Deletes a zone with its areas and taxes.
///
/// # Errors
/// What the database answers.
pub async fn zone_delete(connection: &mut MySqlConnection, id: i64) -> Result<()> {
    sqlx::query(ZONE_DELETE)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// `currency`, `from_grams`, `max_grams`, `amount`, `free_from`.
type RateColumns = (String, i64, Option<i64>, i64, Option<i64>);

#[derive(sqlx::FromRow)]
struct MethodRow {
    id: i64,
    code: String,
    zone_id: i64,
    carrier: String,
    status: String,
    tax_category: String,
    names: Json<BTreeMap<String, String>>,
    days_min: i16,
    days_max: i16,
    position: i32,
    version: i64,
    rates: Option<Json<Vec<RateColumns>>>,
}

impl TryFrom<MethodRow> for StaffShippingMethod {
    type Error = sqlx::Error;

    fn try_from(row: MethodRow) -> Result<Self> {
        let unknown = |what: &str| sqlx::Error::Decode(format!("unknown {what}").into());
        let rates = row.rates.map_or_else(Vec::new, |rates| rates.0);
        let rates = rates
            .into_iter()
            .map(|(currency, from_grams, max_grams, amount, free_from)| {
                Ok(MethodRate {
                    currency: currency.parse().map_err(|_| unknown("currency"))?,
                    from_grams,
                    max_grams,
                    amount,
                    free_from,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            id: row.id,
            method: MethodBody {
                code: row.code,
                zone_id: row.zone_id,
                carrier: Carrier::from_word(&row.carrier).ok_or_else(|| unknown("carrier"))?,
                status: row.status,
                tax_category: row.tax_category,
                names: row.names.0,
                days_min: row.days_min,
                days_max: row.days_max,
                position: row.position,
                rates,
            },
            version: row.version,
        })
    }
}

/// Shipping methods after a number, in the order of their numbers.
///
/// # Errors
/// What the database answers.
pub async fn methods(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<StaffShippingMethod>> {
    let rows: Vec<MethodRow> = sqlx::query_as(METHODS)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(TryFrom::try_from).collect()
}

/// A shipping method.
///
/// # Errors
/// What the database answers.
pub async fn method(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<StaffShippingMethod>> {
    let row: Option<MethodRow> = sqlx::query_as(METHOD)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(TryFrom::try_from).transpose()
}

/// A shipping method, locked until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn method_for_update(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<StaffShippingMethod>> {
    sqlx::query(METHOD_LOCK)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    method(connection, id).await
}

/// Makes a shipping method and returns its number.
///
/// # Errors
/// What the database answers; `shipping_method_code` when the code is taken.
pub async fn method_insert(connection: &mut MySqlConnection, method: &MethodBody) -> Result<i64> {
    let done = sqlx::query(METHOD_INSERT)
        .bind(&method.code)
        .bind(method.zone_id)
        .bind(method.carrier.as_str())
        .bind(&method.status)
        .bind(&method.tax_category)
        .bind(Json(&method.names))
        .bind(method.days_min)
        .bind(method.days_max)
        .bind(method.position)
        .execute(&mut *connection)
        .await?;
    let id = inserted(&done);
    method_rates(connection, id, method).await?;
    Ok(id)
}

async fn method_rates(
    connection: &mut MySqlConnection,
    id: i64,
    method: &MethodBody,
) -> Result<()> {
    let rates: Vec<&MethodRate> = method.rates.iter().collect();
    sqlx::query(METHOD_RATES_INSERT)
        .bind(id)
        .bind(json_list(&rates)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces a shipping method, all but its code, and counts its version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers.
pub async fn method_update(
    connection: &mut MySqlConnection,
    before: &StaffShippingMethod,
    after: &MethodBody,
) -> Result<bool> {
    let done = sqlx::query(METHOD_UPDATE)
        .bind(after.zone_id)
        .bind(after.carrier.as_str())
        .bind(&after.status)
        .bind(&after.tax_category)
        .bind(Json(&after.names))
        .bind(after.days_min)
        .bind(after.days_max)
        .bind(after.position)
        .bind(before.id)
        .bind(before.version)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query(METHOD_RATES_DELETE)
        .bind(before.id)
        .execute(&mut *connection)
        .await?;
    method_rates(connection, before.id, after).await?;
    Ok(true)
}
