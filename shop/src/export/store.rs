//! The SQL of the export, beside what it shares with the import.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;

use crate::import::ShopSettings;
use crate::import::record::{AttributeKind, AttributeRecord};
use crate::import::store_category::categories;

const PAGE: &str = "SELECT id, slug FROM product WHERE id > ? ORDER BY id LIMIT ?";

const BRANDS: &str = "SELECT slug, name FROM brand";

const ATTRIBUTES: &str = "SELECT a.code, a.name, a.kind, a.unit FROM attribute AS a WHERE EXISTS \
(SELECT 1 FROM attribute_value AS v JOIN product_attribute AS p ON p.value_id = v.id WHERE v.attribute_id = a.id) \
ORDER BY a.position, a.id";

const LOCALES: &str = "SELECT DISTINCT locale FROM product_translation ORDER BY locale";

const CURRENCIES: &str = "SELECT DISTINCT currency FROM price ORDER BY currency";

const OPTION_COUNT: &str = "SELECT CAST(COALESCE(MAX(n), 0) AS SIGNED) FROM (SELECT COUNT(*) AS n FROM product_option GROUP BY product_id) AS counted";

/// Every statement with its name, so that tests can prepare all of them.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("page", PAGE),
    ("brands", BRANDS),
    ("attributes", ATTRIBUTES),
    ("locales", LOCALES),
    ("currencies", CURRENCIES),
    ("option_count", OPTION_COUNT),
];

/// The columns that a table needs.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Locales of texts.
    pub locales: Vec<String>,
    /// Currencies of prices.
    pub currencies: Vec<String>,
    /// The most options that a product has.
    pub options: usize,
}

/// (id, slug) of the products after an id.
///
/// # Errors
/// Those of the database.
pub async fn page(
    connection: &mut MySqlConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as(PAGE)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// Names of brands by slug.
///
/// # Errors
/// Those of the database.
pub async fn brand_names(
    connection: &mut MySqlConnection,
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(BRANDS).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

/// The attributes that products have, in order.
///
/// # Errors
/// Those of the database.
pub async fn attributes(
    connection: &mut MySqlConnection,
) -> Result<Vec<AttributeRecord>, sqlx::Error> {
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as(ATTRIBUTES).fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|(code, name, kind, unit)| AttributeRecord {
            code,
            name,
            kind: AttributeKind::of_word(&kind).unwrap_or(AttributeKind::Text),
            unit,
            values: Vec::new(),
        })
        .collect())
}

/// The columns that a table of all products needs.
///
/// # Errors
/// Those of the database.
pub async fn shape(connection: &mut MySqlConnection) -> Result<Shape, sqlx::Error> {
    let locales = sqlx::query_scalar(LOCALES)
        .fetch_all(&mut *connection)
        .await?;
    let currencies = sqlx::query_scalar(CURRENCIES)
        .fetch_all(&mut *connection)
        .await?;
    let options: i64 = sqlx::query_scalar(OPTION_COUNT)
        .fetch_one(connection)
        .await?;
    Ok(Shape {
        locales,
        currencies,
        options: usize::try_from(options).unwrap_or(0),
    })
}

/// The paths of all categories by id, in the names of the shop's first locale.
///
/// # Errors
/// Those of the database.
pub async fn category_paths(
    connection: &mut MySqlConnection,
    settings: &ShopSettings,
) -> Result<BTreeMap<i64, Vec<String>>, sqlx::Error> {
    let rows = categories(connection, settings.first_locale()).await?;
    let nodes: BTreeMap<i64, (Option<i64>, String)> = rows
        .into_iter()
        .map(|(id, parent, slug, name, _)| (id, (parent, name.unwrap_or(slug))))
        .collect();
    let path = |id: i64| {
        let mut path = Vec::new();
        let mut at = Some(id);
        // A tree that is broken must not keep an export from its end.
        while let Some((parent, name)) =
            at.and_then(|id| nodes.get(&id)).filter(|_| path.len() < 32)
        {
            path.push(name.clone());
            at = *parent;
        }
        path.reverse();
        path
    };
    Ok(nodes.keys().map(|id| (*id, path(*id))).collect())
}
