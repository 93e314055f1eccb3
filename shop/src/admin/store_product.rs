//! The statements of products.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::MySqlConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::product::{Membership, Product, ProductOption, Text};
use super::store_product_parts as parts;

const LOCK: &str = "SELECT id FROM product WHERE id = ? FOR UPDATE";
const SELECT: &str = "SELECT id, slug, status, published_at, unpublished_at, brand_id, product_type, tax_category, featured, version \
     FROM product WHERE id = ?";
const TEXTS: &str = "SELECT locale, name, description, seo_title, seo_description FROM product_translation WHERE product_id = ?";
const TAGS: &str = "SELECT tag FROM product_tag WHERE product_id = ?";
const MEMBERSHIPS: &str =
    "SELECT category_id, position FROM product_category WHERE product_id = ? ORDER BY category_id";
const OPTIONS: &str = "SELECT o.name, v.value FROM product_option o LEFT JOIN product_option_value v ON v.option_id = o.id \
     WHERE o.product_id = ? ORDER BY o.position, o.id, v.position, v.id";
const INSERT: &str = "INSERT INTO product (slug) VALUES (?)";
const UPDATE: &str = "UPDATE product SET slug = ?, status = ?, published_at = ?, unpublished_at = ?, brand_id = ?, product_type = ?, \
     tax_category = ?, featured = ?, version = version + 1 WHERE id = ? AND version = ?";
const TEXT_PUT: &str = "INSERT INTO product_translation (product_id, locale, name, description, seo_title, seo_description) \
     VALUES (?, ?, ?, ?, ?, ?) AS new ON DUPLICATE KEY UPDATE name = new.name, description = new.description, \
     seo_title = new.seo_title, seo_description = new.seo_description";
const TEXT_DELETE: &str = "DELETE FROM product_translation WHERE product_id = ? AND locale = ?";
const TAG_INSERT: &str = "INSERT INTO product_tag (product_id, tag) VALUES (?, ?)";
const TAGS_DELETE: &str = "DELETE FROM product_tag WHERE product_id = ?";
const MEMBERSHIP_PUT: &str = "INSERT INTO product_category (product_id, category_id, position) VALUES (?, ?, ?) AS new \
     ON DUPLICATE KEY UPDATE position = new.position";
const MEMBERSHIP_DELETE: &str =
    "DELETE FROM product_category WHERE product_id = ? AND category_id = ?";
const OPTION_PUT: &str = "INSERT INTO product_option (product_id, position, name) VALUES (?, ?, ?) AS new \
     ON DUPLICATE KEY UPDATE position = new.position, name = new.name, id = LAST_INSERT_ID(product_option.id)";
const OPTION_VALUE_PUT: &str = "INSERT INTO product_option_value (option_id, position, value) VALUES (?, ?, ?) AS new \
     ON DUPLICATE KEY UPDATE position = new.position";
const OPTION_IDS: &str = "SELECT id, name FROM product_option WHERE product_id = ?";
const OPTION_VALUES: &str = "SELECT v.id, o.name, v.value FROM product_option o JOIN product_option_value v ON v.option_id = o.id WHERE o.product_id = ?";
const OPTION_DELETE: &str = "DELETE FROM product_option WHERE id = ?";
const OPTION_VALUE_DELETE: &str = "DELETE FROM product_option_value WHERE id = ?";
const OPTION_USED: &str = "SELECT v.sku FROM variant_option o JOIN variant v ON v.id = o.variant_id WHERE o.option_id = ? LIMIT 1";
const OPTION_VALUE_USED: &str = "SELECT v.sku FROM variant_option o JOIN variant v ON v.id = o.variant_id WHERE o.value_id = ? LIMIT 1";
const BRAND_EXISTS: &str = "SELECT COUNT(*) FROM brand WHERE id = ?";
const CATEGORY_EXISTS: &str = "SELECT COUNT(*) FROM category WHERE id = ? AND status <> 'archived'";
const MEDIA_EXISTS: &str = "SELECT COUNT(*) FROM media WHERE hash = ?";
const VARIANT_BELONGS: &str = "SELECT COUNT(*) FROM variant WHERE id = ? AND product_id = ?";
const CATEGORIES_UP: &str = "SELECT DISTINCT c.ancestor_id FROM product_category m \
     JOIN category_closure c ON c.descendant_id = m.category_id WHERE m.product_id = ?";
const REDIRECT_PUT: &str = "INSERT INTO slug_redirect (kind, slug, target_id) VALUES (?, ?, ?) AS new \
     ON DUPLICATE KEY UPDATE target_id = new.target_id";
const REDIRECT_DELETE: &str = "DELETE FROM slug_redirect WHERE kind = ? AND slug = ?";
const LIST: &str = "SELECT p.id, p.slug, p.status, p.published_at, p.updated_at, p.version, t.name FROM product p \
     LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = ? \
     WHERE p.id > ? AND (? IS NULL OR p.status = ?) AND (? IS NULL OR p.slug LIKE ?) \
       AND (? IS NULL OR p.id = (SELECT v.product_id FROM variant v WHERE v.sku = ?)) \
     ORDER BY p.id LIMIT ?";
const LIST_UPDATED: &str = "SELECT p.id, p.slug, p.status, p.published_at, p.updated_at, p.version, t.name \
     FROM product p FORCE INDEX (product_updated) \
     LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = ? \
     WHERE (p.updated_at > ? OR p.updated_at = ? AND p.id > ?) AND (? IS NULL OR p.status = ?) AND (? IS NULL OR p.slug LIKE ?) \
       AND (? IS NULL OR p.id = (SELECT v.product_id FROM variant v WHERE v.sku = ?)) \
     ORDER BY p.updated_at, p.id LIMIT ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_product_lock", LOCK),
    ("staff_product_select", SELECT),
    ("staff_product_texts", TEXTS),
    ("staff_product_tags", TAGS),
    ("staff_product_memberships", MEMBERSHIPS),
    ("staff_product_options", OPTIONS),
    ("staff_product_insert", INSERT),
    ("staff_product_update", UPDATE),
    ("staff_product_text_put", TEXT_PUT),
    ("staff_product_text_delete", TEXT_DELETE),
    ("staff_product_tag_insert", TAG_INSERT),
    ("staff_product_tags_delete", TAGS_DELETE),
    ("staff_product_membership_put", MEMBERSHIP_PUT),
    ("staff_product_membership_delete", MEMBERSHIP_DELETE),
    ("staff_product_option_put", OPTION_PUT),
    ("staff_product_option_value_put", OPTION_VALUE_PUT),
    ("staff_product_option_ids", OPTION_IDS),
    ("staff_product_option_values", OPTION_VALUES),
    ("staff_product_option_delete", OPTION_DELETE),
    ("staff_product_option_value_delete", OPTION_VALUE_DELETE),
    ("staff_product_option_used", OPTION_USED),
    ("staff_product_option_value_used", OPTION_VALUE_USED),
    ("staff_brand_exists", BRAND_EXISTS),
    ("staff_category_exists", CATEGORY_EXISTS),
    ("staff_media_exists", MEDIA_EXISTS),
    ("staff_variant_belongs", VARIANT_BELONGS),
    ("staff_product_categories_up", CATEGORIES_UP),
    ("staff_redirect_put", REDIRECT_PUT),
    ("staff_redirect_delete", REDIRECT_DELETE),
    ("staff_product_list", LIST),
    ("staff_product_list_updated", LIST_UPDATED),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

fn decode<T: std::str::FromStr>(text: &str) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| sqlx::Error::Decode(error.to_string().into()))
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    slug: String,
    status: String,
    published_at: Option<OffsetDateTime>,
    unpublished_at: Option<OffsetDateTime>,
    brand_id: Option<i64>,
    product_type: String,
    tax_category: String,
    featured: i32,
    version: i64,
}

#[derive(sqlx::FromRow)]
struct TextRow {
    locale: String,
    name: String,
    description: String,
    seo_title: String,
    seo_description: String,
}

/// Locks a product until the end of the transaction. Every change of it or of its variants, prices and stock by staff begins
/// with this, so that two of them cannot wait for each other. False when there is none.
///
/// # Errors
/// What the database answers.
pub async fn lock(connection: &mut MySqlConnection, id: i64) -> Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(LOCK)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// The product with this number.
///
/// # Errors
/// What the database answers.
pub async fn get(connection: &mut MySqlConnection, id: i64) -> Result<Option<Product>> {
    let row: Option<Row> = sqlx::query_as(SELECT)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let texts: Vec<TextRow> = sqlx::query_as(TEXTS)
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    let tags: Vec<String> = sqlx::query_scalar(TAGS)
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    let memberships: Vec<(i64, i32)> = sqlx::query_as(MEMBERSHIPS)
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    let option_rows: Vec<(String, Option<String>)> = sqlx::query_as(OPTIONS)
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    let media = parts::media(connection, id).await?;
    let attributes = parts::attributes(connection, id).await?;
    let mut options: Vec<ProductOption> = Vec::new();
    for (name, value) in option_rows {
        match options.last_mut().filter(|option| option.name == name) {
            Some(option) => option.values.extend(value),
            None => options.push(ProductOption {
                name,
                values: value.into_iter().collect(),
            }),
        }
    }
    Ok(Some(Product {
        id: row.id,
        slug: row.slug,
        status: decode(&row.status)?,
        published_at: row.published_at,
        unpublished_at: row.unpublished_at,
        brand_id: row.brand_id,
        product_type: row.product_type,
        tax_category: row.tax_category,
        featured: row.featured,
        tags: tags.into_iter().collect(),
        translations: texts.into_iter().map(text).collect(),
        categories: memberships
            .into_iter()
            .map(|(category_id, position)| Membership {
                category_id,
                position,
            })
            .collect(),
        options,
        media,
        attributes,
        version: row.version,
    }))
}

fn text(row: TextRow) -> (String, Text) {
    let TextRow {
        locale,
        name,
        description,
        seo_title,
        seo_description,
    } = row;
    (
        locale,
        Text {
            name,
            description,
            seo_title,
            seo_description,
        },
    )
}

/// Makes a draft without texts and returns its number.
///
/// # Errors
/// What the database answers; `product_slug` when the slug is taken.
pub async fn insert(connection: &mut MySqlConnection, slug: &str) -> Result<i64> {
    let done = sqlx::query(INSERT).bind(slug).execute(connection).await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Writes what differs, options excepted, and counts the version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers; `product_slug` when the slug is taken.
pub async fn update(
    connection: &mut MySqlConnection,
    before: &Product,
    after: &Product,
) -> Result<bool> {
    let done = sqlx::query(UPDATE)
        .bind(&after.slug)
        .bind(after.status.name())
        .bind(after.published_at)
        .bind(after.unpublished_at)
        .bind(after.brand_id)
        .bind(&after.product_type)
        .bind(&after.tax_category)
        .bind(after.featured)
        .bind(after.id)
        .bind(before.version)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    update_texts(connection, before, after).await?;
    if before.tags != after.tags {
        sqlx::query(TAGS_DELETE)
            .bind(after.id)
            .execute(&mut *connection)
            .await?;
        for tag in &after.tags {
            sqlx::query(TAG_INSERT)
                .bind(after.id)
                .bind(tag)
                .execute(&mut *connection)
                .await?;
        }
    }
    for gone in before.categories.iter().filter(|old| {
        after
            .categories
            .iter()
            .all(|new| new.category_id != old.category_id)
    }) {
        sqlx::query(MEMBERSHIP_DELETE)
            .bind(after.id)
            .bind(gone.category_id)
            .execute(&mut *connection)
            .await?;
    }
    for changed in after
        .categories
        .iter()
        .filter(|new| !before.categories.contains(new))
    {
        sqlx::query(MEMBERSHIP_PUT)
            .bind(after.id)
            .bind(changed.category_id)
            .bind(changed.position)
            .execute(&mut *connection)
            .await?;
    }
    if before.media != after.media {
        parts::media_set(connection, after.id, &after.media).await?;
    }
    if before.attributes != after.attributes {
        parts::attributes_set(connection, after.id, &after.attributes).await?;
    }
    Ok(true)
}

async fn update_texts(
    connection: &mut MySqlConnection,
    before: &Product,
    after: &Product,
) -> Result<()> {
    for locale in before
        .translations
        .keys()
        .filter(|locale| !after.translations.contains_key(*locale))
    {
        sqlx::query(TEXT_DELETE)
            .bind(after.id)
            .bind(locale)
            .execute(&mut *connection)
            .await?;
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
    Ok(())
}

/// An option or value that cannot be removed, because a variant has it.
#[derive(Debug)]
pub struct InUse {
    /// The option, and the value unless it is the option itself.
    pub what: String,
    /// The SKU of a variant.
    pub sku: String,
}

/// Sets the options of a product. Those that stay keep their numbers, so that variants keep them.
///
/// # Errors
/// What the database answers.
pub async fn options_set(
    connection: &mut MySqlConnection,
    product: i64,
    options: &[ProductOption],
) -> Result<std::result::Result<(), InUse>> {
    let wanted = |name: &str| {
        options
            .iter()
            .find(|option| option.name.to_lowercase() == name.to_lowercase())
    };
    let old_values: Vec<(i64, String, String)> = sqlx::query_as(OPTION_VALUES)
        .bind(product)
        .fetch_all(&mut *connection)
        .await?;
    for (id, name, value) in old_values {
        if wanted(&name).is_none_or(|option| !option.values.contains(&value)) {
            let used: Option<String> = sqlx::query_scalar(OPTION_VALUE_USED)
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?;
            if let Some(sku) = used {
                return Ok(Err(InUse {
                    what: format!("{name}: {value}"),
                    sku,
                }));
            }
            sqlx::query(OPTION_VALUE_DELETE)
                .bind(id)
                .execute(&mut *connection)
                .await?;
        }
    }
    let old: Vec<(i64, String)> = sqlx::query_as(OPTION_IDS)
        .bind(product)
        .fetch_all(&mut *connection)
        .await?;
    for (id, name) in old {
        if wanted(&name).is_none() {
            let used: Option<String> = sqlx::query_scalar(OPTION_USED)
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?;
            if let Some(sku) = used {
                return Ok(Err(InUse { what: name, sku }));
            }
            sqlx::query(OPTION_DELETE)
                .bind(id)
                .execute(&mut *connection)
                .await?;
        }
    }
    for (position, option) in (0_i32..).zip(options) {
        let done = sqlx::query(OPTION_PUT)
            .bind(product)
            .bind(position)
            .bind(&option.name)
            .execute(&mut *connection)
            .await?;
        let id = done.last_insert_id();
        for (position, value) in (0_i32..).zip(&option.values) {
            sqlx::query(OPTION_VALUE_PUT)
                .bind(id)
                .bind(position)
                .bind(value)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(Ok(()))
}

async fn counted(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<bool> {
    let count: i64 = sqlx::query_scalar(statement)
        .bind(id)
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

/// Whether there is a brand with this number.
///
/// # Errors
/// What the database answers.
pub async fn brand_exists(connection: &mut MySqlConnection, id: i64) -> Result<bool> {
    counted(connection, BRAND_EXISTS, id).await
}

/// Whether there is a category with this number that is not archived.
///
/// # Errors
/// What the database answers.
pub async fn category_exists(connection: &mut MySqlConnection, id: i64) -> Result<bool> {
    counted(connection, CATEGORY_EXISTS, id).await
}

/// Whether a picture was uploaded.
///
/// # Errors
/// What the database answers.
pub async fn media_exists(connection: &mut MySqlConnection, hash: &str) -> Result<bool> {
    let count: i64 = sqlx::query_scalar(MEDIA_EXISTS)
        .bind(hash)
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

/// Whether a variant is one of the product's.
///
/// # Errors
/// What the database answers.
pub async fn variant_belongs(
    connection: &mut MySqlConnection,
    variant: i64,
    product: i64,
) -> Result<bool> {
    let count: i64 = sqlx::query_scalar(VARIANT_BELONGS)
        .bind(variant)
        .bind(product)
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

/// The categories that a product is in, and all above them.
///
/// # Errors
/// What the database answers.
pub async fn categories_up(
    connection: &mut MySqlConnection,
    product: i64,
) -> Result<BTreeSet<i64>> {
    let categories: Vec<i64> = sqlx::query_scalar(CATEGORIES_UP)
        .bind(product)
        .fetch_all(connection)
        .await?;
    Ok(categories.into_iter().collect())
}

/// Has the old slug redirect, and the new one no longer.
///
/// # Errors
/// What the database answers.
pub async fn redirect(
    connection: &mut MySqlConnection,
    kind: &'static str,
    from: &str,
    to: &str,
    target: i64,
) -> Result<()> {
    sqlx::query(REDIRECT_DELETE)
        .bind(kind)
        .bind(to)
        .execute(&mut *connection)
        .await?;
    sqlx::query(REDIRECT_PUT)
        .bind(kind)
        .bind(from)
        .bind(target)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a redirect away from a slug that is in use now. Says whether there was one.
///
/// # Errors
/// What the database answers.
pub async fn redirect_forget(
    connection: &mut MySqlConnection,
    kind: &'static str,
    slug: &str,
) -> Result<bool> {
    let done = sqlx::query(REDIRECT_DELETE)
        .bind(kind)
        .bind(slug)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// A product in a list.
#[derive(Debug, Serialize, ToSchema, sqlx::FromRow)]
pub struct ProductSummary {
    /// Its number.
    pub id: i64,
    /// The last part of its address.
    pub slug: String,
    /// `draft`, `active` or `archived`.
    pub status: String,
    /// Its name in the shop's first locale.
    pub name: Option<String>,
    /// From when it is shown.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<OffsetDateTime>,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
    /// The number in its `ETag`.
    pub version: i64,
}

/// Which products are listed.
#[derive(Debug, Clone)]
pub struct ProductFilter {
    /// The locale of names.
    pub locale: String,
    /// Only with this status.
    pub status: Option<&'static str>,
    /// Only with a slug that begins so.
    pub slug: Option<String>,
    /// Only with this SKU.
    pub sku: Option<String>,
    /// In the order of changes, beginning with this moment.
    pub updated_since: Option<OffsetDateTime>,
}

/// The products after a key (moment of change, number), in the order of numbers, or of changes if `updated_since` is given.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    filter: &ProductFilter,
    after: Option<(OffsetDateTime, i64)>,
    limit: u32,
) -> Result<Vec<ProductSummary>> {
    // `\` is the escape character of LIKE; a slug has no `%`, but the request may.
    let slug = filter.slug.as_ref().map(|slug| {
        format!(
            "{}%",
            slug.replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_")
        )
    });
    let query = match filter.updated_since {
        None => sqlx::query_as(LIST)
            .bind(&filter.locale)
            .bind(after.map_or(0, |(_, id)| id)),
        Some(since) => {
            let (since, id) = after.unwrap_or((since, 0));
            sqlx::query_as(LIST_UPDATED)
                .bind(&filter.locale)
                .bind(since)
                .bind(since)
                .bind(id)
        }
    };
    query
        .bind(filter.status)
        .bind(filter.status)
        .bind(&slug)
        .bind(&slug)
        .bind(&filter.sku)
        .bind(&filter.sku)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
}
