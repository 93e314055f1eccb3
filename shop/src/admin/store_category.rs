//! The statements of categories and brands, as staff change them. The tree is placed by [`crate::catalog::tree`].

use std::collections::BTreeSet;

use sqlx::MySqlConnection;

use super::category::{Brand, Category, CategoryNode};
use super::product::Text;

const READ: &str =
    "SELECT id, parent_id, slug, status, position, media_hash, version FROM category WHERE id = ?";
const LOCK: &str = "SELECT id, parent_id, slug, status, position, media_hash, version FROM category WHERE id = ? FOR UPDATE";
const TEXTS: &str = "SELECT locale, name, description, seo_title, seo_description FROM category_translation WHERE category_id = ?";
const TEXT_PUT: &str = "INSERT INTO category_translation (category_id, locale, name, description, seo_title, seo_description) \
     VALUES (?, ?, ?, ?, ?, ?) AS new ON DUPLICATE KEY UPDATE name = new.name, description = new.description, \
     seo_title = new.seo_title, seo_description = new.seo_description";
const TREE: &str = "SELECT c.parent_id, c.id, c.slug, c.status, c.position, t.name, c.product_count, c.version FROM category c \
     LEFT JOIN category_translation t ON t.category_id = c.id AND t.locale = ? ORDER BY c.parent_id, c.position, c.id LIMIT 10000";
const COUNT: &str = "SELECT COUNT(*) FROM category";
const INSERT: &str = "INSERT INTO category (slug, position) VALUES (?, ?)";
const UPDATE: &str = "UPDATE category SET slug = ?, status = ?, position = ?, media_hash = ?, version = version + 1 WHERE id = ? AND version = ?";
const CHILDREN: &str = "SELECT id, position FROM category WHERE parent_id <=> ? AND status <> 'archived' ORDER BY position, id FOR UPDATE";
const POSITION: &str =
    "UPDATE category SET position = ?, version = version + 1 WHERE id = ? AND position <> ?";
const ABOVE: &str =
    "SELECT ancestor_id FROM category_closure WHERE descendant_id = ? AND depth > 0";
const BELOW: &str =
    "SELECT descendant_id FROM category_closure WHERE ancestor_id = ? AND depth > 0";
const ACTIVE_CHILD: &str =
    "SELECT COUNT(*) FROM category WHERE parent_id = ? AND status <> 'archived'";
const BRAND: &str = "SELECT id, slug, name, version FROM brand WHERE id = ?";
const BRAND_LOCK: &str = "SELECT id, slug, name, version FROM brand WHERE id = ? FOR UPDATE";
const BRANDS: &str = "SELECT id, slug, name, version FROM brand WHERE id > ? ORDER BY id LIMIT ?";
const BRAND_INSERT: &str = "INSERT INTO brand (slug, name) VALUES (?, ?)";
const BRAND_UPDATE: &str =
    "UPDATE brand SET slug = ?, name = ?, version = version + 1 WHERE id = ? AND version = ?";
const BRAND_PRODUCTS: &str = "SELECT id FROM product WHERE brand_id = ? ORDER BY id LIMIT ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_category_read", READ),
    ("staff_category_lock", LOCK),
    ("staff_category_texts", TEXTS),
    ("staff_category_text_put", TEXT_PUT),
    ("staff_category_tree", TREE),
    ("staff_category_count", COUNT),
    ("staff_category_insert", INSERT),
    ("staff_category_update", UPDATE),
    ("staff_category_children", CHILDREN),
    ("staff_category_position", POSITION),
    ("staff_category_above", ABOVE),
    ("staff_category_below", BELOW),
    ("staff_category_active_child", ACTIVE_CHILD),
    ("staff_brand", BRAND),
    ("staff_brand_lock", BRAND_LOCK),
    ("staff_brands", BRANDS),
    ("staff_brand_insert", BRAND_INSERT),
    ("staff_brand_update", BRAND_UPDATE),
    ("staff_brand_products", BRAND_PRODUCTS),
];

/// Most categories of a shop: the whole tree is one answer.
pub const MOST_CATEGORIES: i64 = 10_000;

type Result<T> = std::result::Result<T, sqlx::Error>;

fn inserted(done: &sqlx::mysql::MySqlQueryResult) -> i64 {
    i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX)
}

type CategoryTuple = (i64, Option<i64>, String, String, i32, Option<String>, i64);
type TextTuple = (String, String, String, String, String);

async fn load(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<Option<Category>> {
    let row: Option<CategoryTuple> = sqlx::query_as(statement)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some((id, parent_id, slug, status, position, media_hash, version)) = row else {
        return Ok(None);
    };
    let texts: Vec<TextTuple> = sqlx::query_as(TEXTS).bind(id).fetch_all(connection).await?;
    let translations = texts
        .into_iter()
        .map(|(locale, name, description, seo_title, seo_description)| {
            (
                locale,
                Text {
                    name,
                    description,
                    seo_title,
                    seo_description,
                },
            )
        })
        .collect();
    Ok(Some(Category {
        id,
        parent_id,
        slug,
        status,
        position,
        media_hash,
        translations,
        version,
    }))
}

/// The category with this number.
///
/// # Errors
/// What the database answers.
pub async fn get(connection: &mut MySqlConnection, id: i64) -> Result<Option<Category>> {
    load(connection, READ, id).await
}

/// The category with this number, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn get_for_update(connection: &mut MySqlConnection, id: i64) -> Result<Option<Category>> {
    load(connection, LOCK, id).await
}

type NodeTuple = (
    Option<i64>,
    i64,
    String,
    String,
    i32,
    Option<String>,
    i64,
    i64,
);

/// All categories with their parents, siblings in their order.
///
/// # Errors
/// What the database answers.
pub async fn nodes(
    connection: &mut MySqlConnection,
    locale: &str,
) -> Result<Vec<(Option<i64>, CategoryNode)>> {
    let rows: Vec<NodeTuple> = sqlx::query_as(TREE)
        .bind(locale)
        .fetch_all(connection)
        .await?;
    let node = |(parent, id, slug, status, position, name, product_count, version): NodeTuple| {
        (
            parent,
            CategoryNode {
                id,
                slug,
                status,
                position,
                name,
                product_count,
                version,
                children: Vec::new(),
            },
        )
    };
    Ok(rows.into_iter().map(node).collect())
}

/// How many categories there are.
///
/// # Errors
/// What the database answers.
pub async fn count(connection: &mut MySqlConnection) -> Result<i64> {
    sqlx::query_scalar(COUNT).fetch_one(connection).await
}

/// Makes a category that is not in the tree yet, and returns its number.
///
/// # Errors
/// What the database answers; `category_slug` when the slug is taken.
pub async fn insert(connection: &mut MySqlConnection, slug: &str, position: i32) -> Result<i64> {
    Ok(inserted(
        &sqlx::query(INSERT)
            .bind(slug)
            .bind(position)
            .execute(connection)
            .await?,
    ))
}

/// Writes what differs, its place in the tree excepted, and counts the version up. False when the version is another one
/// meanwhile.
///
/// # Errors
/// What the database answers; `category_slug` when the slug is taken.
pub async fn update(
    connection: &mut MySqlConnection,
    before: &Category,
    after: &Category,
) -> Result<bool> {
    let done = sqlx::query(UPDATE)
        .bind(&after.slug)
        .bind(&after.status)
        .bind(after.position)
        .bind(&after.media_hash)
        .bind(after.id)
        .bind(before.version)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    for (locale, text) in &after.translations {
        if before.translations.get(locale) != Some(text) {
            sqlx::query(TEXT_PUT)
                .bind(after.id)
                .bind(locale)
                .bind(&text.name)
                .bind(&text.description)
                .bind(&text.seo_title)
                .bind(&text.seo_description)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(true)
}

/// The categories directly in another one, or at the top, in their order and locked; archived ones excepted.
///
/// # Errors
/// What the database answers.
pub async fn children_for_update(
    connection: &mut MySqlConnection,
    parent: Option<i64>,
) -> Result<Vec<(i64, i32)>> {
    sqlx::query_as(CHILDREN)
        .bind(parent)
        .fetch_all(connection)
        .await
}

/// Gives a category another place among its siblings. Where it has that place nothing changes.
///
/// # Errors
/// What the database answers.
pub async fn set_position(connection: &mut MySqlConnection, id: i64, position: i32) -> Result<()> {
    sqlx::query(POSITION)
        .bind(position)
        .bind(id)
        .bind(position)
        .execute(connection)
        .await?;
    Ok(())
}

/// All categories above a category.
///
/// # Errors
/// What the database answers.
pub async fn above(connection: &mut MySqlConnection, id: i64) -> Result<BTreeSet<i64>> {
    let ids: Vec<i64> = sqlx::query_scalar(ABOVE)
        .bind(id)
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().collect())
}

/// All categories below a category.
///
/// # Errors
/// What the database answers.
pub async fn below(connection: &mut MySqlConnection, id: i64) -> Result<BTreeSet<i64>> {
    let ids: Vec<i64> = sqlx::query_scalar(BELOW)
        .bind(id)
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Whether there is a category in this one that is not archived.
///
/// # Errors
/// What the database answers.
pub async fn has_active_child(connection: &mut MySqlConnection, id: i64) -> Result<bool> {
    let count: i64 = sqlx::query_scalar(ACTIVE_CHILD)
        .bind(id)
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

type BrandTuple = (i64, String, String, i64);

fn brand((id, slug, name, version): BrandTuple) -> Brand {
    Brand {
        id,
        slug,
        name,
        version,
    }
}

/// The brand with this number.
///
/// # Errors
/// What the database answers.
pub async fn brand_get(connection: &mut MySqlConnection, id: i64) -> Result<Option<Brand>> {
    let row: Option<BrandTuple> = sqlx::query_as(BRAND)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(brand))
}

/// The brand with this number, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn brand_for_update(connection: &mut MySqlConnection, id: i64) -> Result<Option<Brand>> {
    let row: Option<BrandTuple> = sqlx::query_as(BRAND_LOCK)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(brand))
}

/// The brands after this number.
///
/// # Errors
/// What the database answers.
pub async fn brands(
    connection: &mut MySqlConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<Brand>> {
    let rows: Vec<BrandTuple> = sqlx::query_as(BRANDS)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(brand).collect())
}

/// Makes a brand and returns its number.
///
/// # Errors
/// What the database answers; `brand_slug` when the slug is taken.
pub async fn brand_insert(connection: &mut MySqlConnection, slug: &str, name: &str) -> Result<i64> {
    Ok(inserted(
        &sqlx::query(BRAND_INSERT)
            .bind(slug)
            .bind(name)
            .execute(connection)
            .await?,
    ))
}

/// Writes a brand and counts the version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers; `brand_slug` when the slug is taken.
pub async fn brand_update(
    connection: &mut MySqlConnection,
    after: &Brand,
    version: i64,
) -> Result<bool> {
    let done = sqlx::query(BRAND_UPDATE)
        .bind(&after.slug)
        .bind(&after.name)
        .bind(after.id)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// At most `limit` products of a brand.
///
/// # Errors
/// What the database answers.
pub async fn brand_products(
    connection: &mut MySqlConnection,
    id: i64,
    limit: u32,
) -> Result<Vec<i64>> {
    sqlx::query_scalar(BRAND_PRODUCTS)
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
}
