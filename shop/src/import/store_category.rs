//! The SQL of categories, as an import needs them.

use sqlx::MySqlConnection;

/// Whether a category, or one above it, is archived: shown to nobody, and so none of those that files speak of.
macro_rules! is_archived {
    ($category:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM category_closure AS cc STRAIGHT_JOIN category AS above ON above.id = cc.ancestor_id \
             WHERE cc.descendant_id = ",
            $category,
            " AND above.status = 'archived')"
        )
    };
}

pub(super) const CATEGORIES_OF: &str = concat!(
    "SELECT c.product_id, c.category_id \
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS j STRAIGHT_JOIN product_category AS c ON c.product_id = j.id \
WHERE NOT ",
    is_archived!("c.category_id")
);

pub(super) const CATEGORIES: &str = concat!(
    "SELECT c.id, c.parent_id, c.slug, t.name, ",
    is_archived!("c.id"),
    " FROM category AS c LEFT JOIN category_translation AS t ON t.category_id = c.id AND t.locale = ? ORDER BY c.id"
);

pub(super) const CATEGORY_INSERT: &str =
    "INSERT INTO category (parent_id, slug, position) VALUES (?, ?, ?)";

pub(super) const CATEGORY_TEXT_INSERT: &str = "INSERT INTO category_translation (category_id, locale, name, description) VALUES (?, ?, ?, '')";

/// (id, parent, slug, name in a locale, whether it or one above it is archived) of a category.
pub type CategoryTuple = (i64, Option<i64>, String, Option<String>, bool);

/// All categories.
///
/// # Errors
/// Those of the database.
pub async fn categories(
    connection: &mut MySqlConnection,
    locale: &str,
) -> Result<Vec<CategoryTuple>, sqlx::Error> {
    sqlx::query_as(CATEGORIES)
        .bind(locale)
        .fetch_all(connection)
        .await
}

/// Adds a category. Its place in the closure is the caller's to make.
///
/// # Errors
/// Those of the database.
pub async fn category_insert(
    connection: &mut MySqlConnection,
    parent: Option<i64>,
    slug: &str,
    position: i64,
    locale: &str,
    name: &str,
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(CATEGORY_INSERT)
        .bind(parent)
        .bind(slug)
        .bind(position)
        .execute(&mut *connection)
        .await?;
    let id = i64::try_from(done.last_insert_id())
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    sqlx::query(CATEGORY_TEXT_INSERT)
        .bind(id)
        .bind(locale)
        .bind(name)
        .execute(connection)
        .await?;
    Ok(id)
}
