//! The SQL of the zone of an address.

use sqlx::MySqlConnection;
use sqlx::types::Json;

use super::model::{Area, Prices, Rate, TaxRate, Zone, zone_of};

const AREAS: &str = "SELECT a.zone_id, a.country, a.region, z.prices_include_tax, \
       (SELECT JSON_ARRAYAGG(JSON_ARRAY(r.tax_category, r.name, r.rate)) FROM tax_rate r WHERE r.zone_id = z.id) AS rates \
     FROM zone_area a STRAIGHT_JOIN zone z ON z.id = a.zone_id WHERE a.country IN (?, '*')";
const COUNTRIES: &str = "SELECT DISTINCT country FROM zone_area ORDER BY country";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[("zone_areas", AREAS), ("zone_countries", COUNTRIES)];

#[derive(Debug, sqlx::FromRow)]
struct AreaRow {
    zone_id: i64,
    country: String,
    region: String,
    prices_include_tax: bool,
    rates: Option<Json<Vec<(String, String, i32)>>>,
}

/// The zone of a place; none where the shop does not go.
///
/// # Errors
/// Those of the database.
pub async fn zone(
    connection: &mut MySqlConnection,
    country: &str,
    region: &str,
) -> Result<Option<Zone>, sqlx::Error> {
    let rows: Vec<AreaRow> = sqlx::query_as(AREAS)
        .bind(country)
        .fetch_all(connection)
        .await?;
    let areas: Vec<(i64, Area)> = rows
        .iter()
        .map(|row| {
            let area = Area {
                country: row.country.clone(),
                region: row.region.clone(),
            };
            (row.zone_id, area)
        })
        .collect();
    let found = zone_of(areas.iter().map(|(id, area)| (*id, area)), country, region);
    let row = rows.into_iter().find(|row| Some(row.zone_id) == found);
    Ok(row.map(|row| Zone {
        id: row.zone_id,
        prices: Prices::including(row.prices_include_tax),
        rates: row
            .rates
            .map_or_else(Vec::new, |rates| rates.0)
            .into_iter()
            .filter_map(|(category, name, rate)| {
                let rate = Rate::from_millionths(rate)?;
                Some((category, TaxRate { name, rate }))
            })
            .collect(),
    }))
}

/// The countries that zones name, `*` among them where the shop goes everywhere.
///
/// # Errors
/// Those of the database.
pub async fn countries(connection: &mut MySqlConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(COUNTRIES).fetch_all(connection).await
}
