//! The statements of a product's pictures and attributes.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;

use super::attribute::{AttributeKind, Values};
use super::product::Picture;

const MEDIA: &str = "SELECT hash, alt, variant_id FROM product_media WHERE product_id = ? AND hash IS NOT NULL ORDER BY position";
const MEDIA_SOURCES: &str = "SELECT hash, source_url FROM product_media WHERE product_id = ? AND hash IS NOT NULL ORDER BY position FOR UPDATE";
const MEDIA_DELETE: &str = "DELETE FROM product_media WHERE product_id = ? AND hash IS NOT NULL";
const MEDIA_AWAITED: &str =
    "SELECT position FROM product_media WHERE product_id = ? ORDER BY position FOR UPDATE";
const MEDIA_MOVE: &str =
    "UPDATE product_media SET position = ? WHERE product_id = ? AND position = ?";
const MEDIA_INSERT: &str = "INSERT INTO product_media (product_id, position, variant_id, hash, source_url, alt) VALUES (?, ?, ?, ?, ?, ?)";
const ATTRIBUTES: &str = "SELECT a.code, a.kind, v.value FROM product_attribute pa \
     JOIN attribute_value v ON v.id = pa.value_id JOIN attribute a ON a.id = v.attribute_id \
     WHERE pa.product_id = ? ORDER BY a.code, v.number_value, v.value";
const ATTRIBUTES_DELETE: &str = "DELETE FROM product_attribute WHERE product_id = ?";
const ATTRIBUTE_VALUE_PUT: &str = "INSERT INTO attribute_value (attribute_id, value, number_value) \
     SELECT id, ?, ? FROM attribute WHERE code = ? ON DUPLICATE KEY UPDATE value = attribute_value.value";
const ATTRIBUTE_INSERT: &str = "INSERT INTO product_attribute (product_id, value_id) \
     SELECT ?, v.id FROM attribute_value v JOIN attribute a ON a.id = v.attribute_id WHERE a.code = ? AND v.value = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_product_media", MEDIA),
    ("staff_product_media_sources", MEDIA_SOURCES),
    ("staff_product_media_delete", MEDIA_DELETE),
    ("staff_product_media_awaited", MEDIA_AWAITED),
    ("staff_product_media_move", MEDIA_MOVE),
    ("staff_product_media_insert", MEDIA_INSERT),
    ("staff_product_attributes", ATTRIBUTES),
    ("staff_product_attributes_delete", ATTRIBUTES_DELETE),
    ("staff_product_attribute_value_put", ATTRIBUTE_VALUE_PUT),
    ("staff_product_attribute_insert", ATTRIBUTE_INSERT),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The pictures of a product whose bytes the shop has, in their order.
///
/// # Errors
/// What the database answers.
pub async fn media(connection: &mut MySqlConnection, product: i64) -> Result<Vec<Picture>> {
    let rows: Vec<(String, String, Option<i64>)> = sqlx::query_as(MEDIA)
        .bind(product)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(hash, alt, variant_id)| Picture {
            hash,
            alt,
            variant_id,
        })
        .collect())
}

/// Sets the pictures of a product. Those of an import whose bytes have not arrived stay, behind them: staff do not see
/// them yet, so they cannot mean to remove them.
///
/// # Errors
/// What the database answers.
pub async fn media_set(
    connection: &mut MySqlConnection,
    product: i64,
    pictures: &[Picture],
) -> Result<()> {
    // Where a picture came from is how the next import knows it again.
    let sources: BTreeMap<String, String> = sqlx::query_as::<_, (String, String)>(MEDIA_SOURCES)
        .bind(product)
        .fetch_all(&mut *connection)
        .await?
        .into_iter()
        .collect();
    sqlx::query(MEDIA_DELETE)
        .bind(product)
        .execute(&mut *connection)
        .await?;
    let awaited: Vec<i32> = sqlx::query_scalar(MEDIA_AWAITED)
        .bind(product)
        .fetch_all(&mut *connection)
        .await?;
    let count = i32::try_from(pictures.len()).unwrap_or(i32::MAX);
    // Rows move away from each other: those that go down the lowest first, those that go up the highest first.
    let moves: Vec<(i32, i32)> = awaited.iter().copied().zip(count..).collect();
    let down = moves.iter().filter(|(from, to)| to < from);
    let up = moves.iter().rev().filter(|(from, to)| to > from);
    for (from, to) in up.chain(down) {
        sqlx::query(MEDIA_MOVE)
            .bind(to)
            .bind(product)
            .bind(from)
            .execute(&mut *connection)
            .await?;
    }
    for (position, picture) in (0_i32..).zip(pictures) {
        sqlx::query(MEDIA_INSERT)
            .bind(product)
            .bind(position)
            .bind(picture.variant_id)
            .bind(&picture.hash)
            .bind(sources.get(&picture.hash).map_or("", String::as_str))
            .bind(&picture.alt)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The attributes of a product by their codes.
///
/// # Errors
/// What the database answers, or a kind that no release of the shop has written.
pub async fn attributes(connection: &mut MySqlConnection, product: i64) -> Result<Values> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(ATTRIBUTES)
        .bind(product)
        .fetch_all(connection)
        .await?;
    let mut values = Values::new();
    for (code, kind, value) in rows {
        let kind: AttributeKind = kind
            .parse()
            .map_err(|message: String| sqlx::Error::Decode(message.into()))?;
        values.entry(code).or_default().push(kind.shown(&value));
    }
    Ok(values)
}

/// Sets the attributes of a product. The codes are those of attributes that exist, and the values of their kinds.
///
/// # Errors
/// What the database answers.
pub async fn attributes_set(
    connection: &mut MySqlConnection,
    product: i64,
    values: &Values,
) -> Result<()> {
    sqlx::query(ATTRIBUTES_DELETE)
        .bind(product)
        .execute(&mut *connection)
        .await?;
    for (code, values) in values {
        for value in values {
            let text = value.text();
            sqlx::query(ATTRIBUTE_VALUE_PUT)
                .bind(&text)
                .bind(value.number())
                .bind(code)
                .execute(&mut *connection)
                .await?;
            sqlx::query(ATTRIBUTE_INSERT)
                .bind(product)
                .bind(code)
                .bind(&text)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}
