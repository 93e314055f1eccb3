//! The statements of attributes as staff change them.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;

use super::attribute::{Attribute, NewAttribute};

const READ: &str =
    "SELECT id, code, name, kind, unit, filterable, position, version FROM attribute WHERE id = ?";
const LOCK: &str = "SELECT id, code, name, kind, unit, filterable, position, version FROM attribute WHERE id = ? FOR UPDATE";
const LIST: &str = "SELECT id, code, name, kind, unit, filterable, position, version FROM attribute WHERE id > ? ORDER BY id LIMIT ?";
const KIND: &str = "SELECT kind FROM attribute WHERE code = ?";
const INSERT: &str = "INSERT INTO attribute (code, name, kind, unit, filterable, position) VALUES (?, ?, ?, ?, ?, ?)";
const UPDATE: &str = "UPDATE attribute SET name = ?, unit = ?, filterable = ?, position = ?, version = version + 1 \
     WHERE id = ? AND version = ?";
const NAMES: &str = "SELECT locale, text FROM label_translation WHERE label = ? AND locale IN (SELECT j.locale \
     FROM JSON_TABLE(?, '$[*]' COLUMNS (locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) j)";
const HAS_VALUE: &str = "SELECT COUNT(*) FROM attribute_value WHERE attribute_id = ? AND value = ?";
const LABEL: &str = "SELECT text FROM label_translation WHERE locale = ? AND label = ? FOR UPDATE";
const LABEL_PUT: &str = "INSERT INTO label_translation (locale, label, text) VALUES (?, ?, ?) AS new \
     ON DUPLICATE KEY UPDATE text = new.text";
const LABEL_DELETE: &str = "DELETE FROM label_translation WHERE locale = ? AND label = ?";
const PRODUCTS: &str = "SELECT DISTINCT pa.product_id FROM attribute_value v JOIN product_attribute pa ON pa.value_id = v.id \
     WHERE v.attribute_id = ? ORDER BY pa.product_id LIMIT ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_attribute_read", READ),
    ("staff_attribute_lock", LOCK),
    ("staff_attribute_list", LIST),
    ("staff_attribute_kind", KIND),
    ("staff_attribute_insert", INSERT),
    ("staff_attribute_update", UPDATE),
    ("staff_attribute_names", NAMES),
    ("staff_attribute_has_value", HAS_VALUE),
    ("staff_attribute_label", LABEL),
    ("staff_attribute_label_put", LABEL_PUT),
    ("staff_attribute_label_delete", LABEL_DELETE),
    ("staff_attribute_products", PRODUCTS),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    code: String,
    name: String,
    kind: String,
    unit: String,
    filterable: bool,
    position: i32,
    version: i64,
}

async fn attribute(
    connection: &mut MySqlConnection,
    row: Row,
    locales: &[String],
) -> Result<Attribute> {
    let Row {
        id,
        code,
        name,
        kind,
        unit,
        filterable,
        position,
        version,
    } = row;
    let names: Vec<(String, String)> = sqlx::query_as(NAMES)
        .bind(&name)
        .bind(sqlx::types::Json(locales))
        .fetch_all(connection)
        .await?;
    let kind = kind
        .parse()
        .map_err(|message: String| sqlx::Error::Decode(message.into()))?;
    Ok(Attribute {
        id,
        code,
        name,
        kind,
        unit,
        filterable,
        position,
        names: names.into_iter().collect::<BTreeMap<_, _>>(),
        version,
    })
}

async fn one(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
    locales: &[String],
) -> Result<Option<Attribute>> {
    let row: Option<Row> = sqlx::query_as(statement)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => attribute(connection, row, locales).await.map(Some),
        None => Ok(None),
    }
}

/// The attribute with this number; `locales` are those that its name may be translated into.
///
/// # Errors
/// What the database answers.
pub async fn get(
    connection: &mut MySqlConnection,
    id: i64,
    locales: &[String],
) -> Result<Option<Attribute>> {
    one(connection, READ, id, locales).await
}

/// The attribute with this number, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn get_for_update(
    connection: &mut MySqlConnection,
    id: i64,
    locales: &[String],
) -> Result<Option<Attribute>> {
    one(connection, LOCK, id, locales).await
}

/// Attributes after a number, in the order of their numbers.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
    locales: &[String],
) -> Result<Vec<Attribute>> {
    let rows: Vec<Row> = sqlx::query_as(LIST)
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    let mut attributes = Vec::with_capacity(rows.len());
    for row in rows {
        attributes.push(attribute(connection, row, locales).await?);
    }
    Ok(attributes)
}

/// The kind of the attribute with a code, as it is stored.
///
/// # Errors
/// What the database answers.
pub async fn kind(connection: &mut MySqlConnection, code: &str) -> Result<Option<String>> {
    sqlx::query_scalar(KIND)
        .bind(code)
        .fetch_optional(connection)
        .await
}

/// Makes an attribute and returns its number.
///
/// # Errors
/// What the database answers; `attribute_code` when the code is taken.
pub async fn insert(connection: &mut MySqlConnection, new: &NewAttribute) -> Result<i64> {
    let done = sqlx::query(INSERT)
        .bind(&new.code.0)
        .bind(&new.name)
        .bind(new.kind.name())
        .bind(&new.unit)
        .bind(new.filterable)
        .bind(new.position)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Writes it and counts the version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers.
pub async fn update(
    connection: &mut MySqlConnection,
    after: &Attribute,
    version: i64,
) -> Result<bool> {
    let done = sqlx::query(UPDATE)
        .bind(&after.name)
        .bind(&after.unit)
        .bind(after.filterable)
        .bind(after.position)
        .bind(after.id)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Whether a text is a value of an attribute.
///
/// # Errors
/// What the database answers.
pub async fn has_value(
    connection: &mut MySqlConnection,
    attribute: i64,
    value: &str,
) -> Result<bool> {
    let count: i64 = sqlx::query_scalar(HAS_VALUE)
        .bind(attribute)
        .bind(value)
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

/// The translation of a label, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn label(
    connection: &mut MySqlConnection,
    locale: &str,
    label: &str,
) -> Result<Option<String>> {
    sqlx::query_scalar(LABEL)
        .bind(locale)
        .bind(label)
        .fetch_optional(connection)
        .await
}

/// Sets or removes the translation of a label.
///
/// # Errors
/// What the database answers.
pub async fn label_set(
    connection: &mut MySqlConnection,
    locale: &str,
    label: &str,
    text: Option<&str>,
) -> Result<()> {
    let query = match text {
        Some(text) => sqlx::query(LABEL_PUT).bind(locale).bind(label).bind(text),
        None => sqlx::query(LABEL_DELETE).bind(locale).bind(label),
    };
    query.execute(connection).await?;
    Ok(())
}

/// Products that have a value of an attribute, in the order of their numbers.
///
/// # Errors
/// What the database answers.
pub async fn products(
    connection: &mut MySqlConnection,
    attribute: i64,
    limit: u32,
) -> Result<Vec<i64>> {
    sqlx::query_scalar(PRODUCTS)
        .bind(attribute)
        .bind(limit)
        .fetch_all(connection)
        .await
}
