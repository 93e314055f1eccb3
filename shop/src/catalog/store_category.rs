//! The SQL of categories as shoppers see them.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;

use super::category::{
    Answer, CategoryLink, CategoryNode, CategoryPage, Lookup, MAX_CHILDREN, MAX_NAVIGATION, tree,
};
use super::identifier::{Locale, Slug};
use super::json_list;
use super::listing::Image;
use super::money::Currency;

const NAVIGATION: &str = "WITH RECURSIVE shown (id, parent_id, level) AS ( \
       SELECT id, parent_id, 1 FROM category WHERE parent_id IS NULL AND status = 'active' \
       UNION ALL SELECT c.id, c.parent_id, shown.level + 1 FROM shown JOIN category c ON c.parent_id = shown.id \
         WHERE c.status = 'active' AND shown.level < ?) \
     SELECT c.id, c.parent_id, c.slug, COALESCE(t.name, d.name, c.slug) AS name, c.product_count FROM shown \
     STRAIGHT_JOIN category c ON c.id = shown.id \
     LEFT JOIN category_translation t ON t.category_id = c.id AND t.locale = ? \
     LEFT JOIN category_translation d ON d.category_id = c.id AND d.locale = ? \
     ORDER BY shown.level, c.position, c.id LIMIT ?";
const CATEGORY: &str = "SELECT c.id, c.slug, c.status, COALESCE(t.name, d.name, c.slug) AS name, \
       COALESCE(t.description, d.description, '') AS description, COALESCE(t.seo_title, d.seo_title, '') AS seo_title, \
       COALESCE(t.seo_description, d.seo_description, '') AS seo_description, c.media_hash, c.product_count \
     FROM category c LEFT JOIN category_translation t ON t.category_id = c.id AND t.locale = ? \
     LEFT JOIN category_translation d ON d.category_id = c.id AND d.locale = ? WHERE c.slug = ?";
const ABOVE: &str = "SELECT c.id, c.parent_id, c.slug, COALESCE(t.name, d.name, c.slug) AS name, c.product_count, c.status \
     FROM category_closure above STRAIGHT_JOIN category c ON c.id = above.ancestor_id \
     LEFT JOIN category_translation t ON t.category_id = c.id AND t.locale = ? \
     LEFT JOIN category_translation d ON d.category_id = c.id AND d.locale = ? \
     WHERE above.descendant_id = ? AND above.depth > 0 ORDER BY above.depth DESC";
const CHILDREN: &str = "SELECT c.id, c.parent_id, c.slug, COALESCE(t.name, d.name, c.slug) AS name, c.product_count \
     FROM category c LEFT JOIN category_translation t ON t.category_id = c.id AND t.locale = ? \
     LEFT JOIN category_translation d ON d.category_id = c.id AND d.locale = ? \
     WHERE c.parent_id = ? AND c.status = 'active' ORDER BY c.position, c.id LIMIT ?";
const REDIRECT: &str = "SELECT c.id, c.slug, c.status FROM slug_redirect r STRAIGHT_JOIN category c ON c.id = r.target_id \
     WHERE r.kind = 'category' AND r.slug = ?";

/// A picture for each category: its own, else that of the first product in it that has one, of its first twenty.
const PICTURES: &str = "SELECT c.id, m.hash, m.width, m.height \
  FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS wanted STRAIGHT_JOIN category c ON c.id = wanted.id \
  LEFT JOIN LATERAL ( \
    SELECT pm.hash FROM ( \
      SELECT l.product_id, l.position FROM listing l WHERE l.category_id = c.id AND l.currency = ? \
      ORDER BY l.position, l.product_id LIMIT 20) AS beginning \
    STRAIGHT_JOIN product_media pm ON pm.product_id = beginning.product_id AND pm.hash IS NOT NULL \
    ORDER BY beginning.position, pm.position LIMIT 1) AS shown ON TRUE \
  STRAIGHT_JOIN media m ON m.hash = COALESCE(c.media_hash, shown.hash)";

const COUNTS: &str = "SELECT c.id, c.product_count FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS wanted \
  STRAIGHT_JOIN category c ON c.id = wanted.id";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("category_navigation", NAVIGATION),
    ("category_by_slug", CATEGORY),
    ("category_above", ABOVE),
    ("category_children", CHILDREN),
    ("category_redirect", REDIRECT),
    ("category_pictures", PICTURES),
    ("category_counts", COUNTS),
];

#[derive(Debug, sqlx::FromRow)]
struct LinkRow {
    id: i64,
    parent_id: Option<i64>,
    slug: String,
    name: String,
    product_count: i64,
}

impl LinkRow {
    fn link(self) -> Result<CategoryLink, sqlx::Error> {
        Ok(CategoryLink {
            id: self.id,
            slug: slug(&self.slug)?,
            name: self.name,
            product_count: self.product_count,
        })
    }
}

pub(super) fn slug(text: &str) -> Result<Slug, sqlx::Error> {
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The tree of active categories, `levels` deep and at most [`MAX_NAVIGATION`] in all, upper levels first.
///
/// # Errors
/// Those of the database.
pub async fn navigation(
    connection: &mut MySqlConnection,
    locale: &Locale,
    default_locale: &Locale,
    levels: u32,
) -> Result<Vec<CategoryNode>, sqlx::Error> {
    let rows: Vec<LinkRow> = sqlx::query_as(NAVIGATION)
        .bind(i64::from(levels))
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(i64::from(MAX_NAVIGATION))
        .fetch_all(connection)
        .await?;
    let rows = rows.into_iter().map(|row| Ok((row.parent_id, row.link()?)));
    Ok(tree(rows.collect::<Result<_, sqlx::Error>>()?))
}

#[derive(Debug, sqlx::FromRow)]
struct CategoryRow {
    id: i64,
    slug: String,
    status: String,
    name: String,
    description: String,
    seo_title: String,
    seo_description: String,
    media_hash: Option<String>,
    product_count: i64,
}

/// The category of an address. One below a category that is not active is not to be seen either.
///
/// # Errors
/// Those of the database.
pub async fn category_by_slug(
    connection: &mut MySqlConnection,
    wanted: &Slug,
    locale: &Locale,
    default_locale: &Locale,
) -> Result<Answer<CategoryPage>, sqlx::Error> {
    let found = category_lookup(connection, wanted, locale, default_locale).await?;
    Ok(Answer {
        found,
        valid_until: None,
    })
}

async fn category_lookup(
    connection: &mut MySqlConnection,
    wanted: &Slug,
    locale: &Locale,
    default_locale: &Locale,
) -> Result<Lookup<CategoryPage>, sqlx::Error> {
    let row: Option<CategoryRow> = sqlx::query_as(CATEGORY)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(wanted.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return redirect(connection, wanted).await;
    };
    match row.status.as_str() {
        "active" => {}
        "archived" => return Ok(Lookup::Gone(row.id)),
        _ => return Ok(Lookup::NotFound(Some(row.id))),
    }
    let above: Vec<(i64, Option<i64>, String, String, i64, String)> = sqlx::query_as(ABOVE)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(row.id)
        .fetch_all(&mut *connection)
        .await?;
    if above.iter().any(|(.., status)| status != "active") {
        return Ok(Lookup::NotFound(Some(row.id)));
    }
    let breadcrumbs = above
        .into_iter()
        .map(|(id, parent_id, slug, name, product_count, _)| {
            LinkRow {
                id,
                parent_id,
                slug,
                name,
                product_count,
            }
            .link()
        })
        .collect::<Result<_, _>>()?;
    let children: Vec<LinkRow> = sqlx::query_as(CHILDREN)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(row.id)
        .bind(i64::from(MAX_CHILDREN))
        .fetch_all(connection)
        .await?;
    Ok(Lookup::Found(CategoryPage {
        category: CategoryLink {
            id: row.id,
            slug: slug(&row.slug)?,
            name: row.name,
            product_count: row.product_count,
        },
        description: row.description,
        seo_title: row.seo_title,
        seo_description: row.seo_description,
        media_hash: row.media_hash,
        breadcrumbs,
        children: children
            .into_iter()
            .map(LinkRow::link)
            .collect::<Result<_, _>>()?,
    }))
}

async fn redirect(
    connection: &mut MySqlConnection,
    wanted: &Slug,
) -> Result<Lookup<CategoryPage>, sqlx::Error> {
    let target: Option<(i64, String, String)> = sqlx::query_as(REDIRECT)
        .bind(wanted.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(match target {
        None => Lookup::NotFound(None),
        Some((_, target, status)) if status == "active" => Lookup::Moved(slug(&target)?),
        Some((id, _, status)) if status == "archived" => Lookup::Gone(id),
        Some((id, ..)) => Lookup::NotFound(Some(id)),
    })
}

/// Pictures of categories by their ids. Those without any are left out.
///
/// # Errors
/// Those of the database.
pub async fn category_pictures(
    connection: &mut MySqlConnection,
    ids: &[i64],
    currency: Currency,
) -> Result<BTreeMap<i64, Image>, sqlx::Error> {
    let rows: Vec<(i64, String, i32, i32)> = sqlx::query_as(PICTURES)
        .bind(json_list(ids)?)
        .bind(currency.as_str())
        .fetch_all(connection)
        .await?;
    let picture = |(id, hash, width, height)| {
        let image = Image {
            hash,
            alt: String::new(),
            width,
            height,
        };
        (id, image)
    };
    Ok(rows.into_iter().map(picture).collect())
}

/// How many published products are in categories and below them, by their ids, as last counted.
///
/// # Errors
/// Those of the database.
pub async fn category_counts(
    connection: &mut MySqlConnection,
    ids: &[i64],
) -> Result<BTreeMap<i64, i64>, sqlx::Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(COUNTS)
        .bind(json_list(ids)?)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}
