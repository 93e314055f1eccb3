//! The SQL of the category tree.

use sqlx::MySqlConnection;

const CATEGORIES_FOR_UPDATE: &str = "SELECT c.id, c.parent_id FROM category c WHERE c.id = ? OR c.id IN ( \
       SELECT above.ancestor_id FROM category_closure above WHERE above.descendant_id = ?) OR c.id = ? \
     ORDER BY c.id FOR UPDATE";
const ANCESTORS: &str =
    "SELECT ancestor_id FROM category_closure WHERE descendant_id = ? ORDER BY depth DESC";
const HEIGHT: &str = "SELECT MAX(depth) FROM category_closure WHERE ancestor_id = ?";
const CLOSURE_INSERT_SELF: &str = "INSERT INTO category_closure (ancestor_id, descendant_id, depth) SELECT id, id, 0 FROM category WHERE id = ?";
const CLOSURE_DETACH: &str = "DELETE path FROM category_closure below \
     STRAIGHT_JOIN category_closure above ON above.descendant_id = below.ancestor_id AND above.depth > 0 \
     STRAIGHT_JOIN category_closure path ON path.ancestor_id = above.ancestor_id \
       AND path.descendant_id = below.descendant_id \
     WHERE below.ancestor_id = ?";
const CLOSURE_ATTACH: &str = "INSERT INTO category_closure (ancestor_id, descendant_id, depth) \
     SELECT above.ancestor_id, below.descendant_id, above.depth + below.depth + 1 \
     FROM category_closure above JOIN category_closure below \
     WHERE above.descendant_id = ? AND below.ancestor_id = ?";
const PARENT_UPDATE: &str =
    "UPDATE category SET parent_id = ? WHERE id = ? AND NOT (parent_id <=> ?)";
/// All paths that `parent_id` gives, up to a depth.
macro_rules! paths {
    () => {
        "WITH RECURSIVE path (ancestor_id, descendant_id, depth) AS ( \
           SELECT id, id, 0 FROM category \
           UNION ALL SELECT c.parent_id, path.descendant_id, path.depth + 1 FROM path \
             JOIN category c ON c.id = path.ancestor_id WHERE c.parent_id IS NOT NULL AND path.depth + 1 < ?) "
    };
}
const CLOSURE_REBUILD_DELETE: &str = concat!(
    paths!(),
    "DELETE kept FROM category_closure kept LEFT JOIN path ON path.ancestor_id = kept.ancestor_id \
       AND path.descendant_id = kept.descendant_id AND path.depth = kept.depth WHERE path.ancestor_id IS NULL"
);
const CLOSURE_REBUILD_INSERT: &str = concat!(
    "INSERT INTO category_closure (ancestor_id, descendant_id, depth) ",
    paths!(),
    "SELECT path.ancestor_id, path.descendant_id, MIN(path.depth) FROM path \
       LEFT JOIN category_closure kept ON kept.ancestor_id = path.ancestor_id \
         AND kept.descendant_id = path.descendant_id \
       WHERE kept.ancestor_id IS NULL GROUP BY path.ancestor_id, path.descendant_id"
);
const PRODUCTS_BELOW: &str = "SELECT DISTINCT pc.product_id FROM category_closure below \
     STRAIGHT_JOIN product_category pc FORCE INDEX (product_category_category) ON pc.category_id = below.descendant_id \
     WHERE below.ancestor_id = ? AND pc.product_id > ? ORDER BY pc.product_id LIMIT ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("tree_categories_for_update", CATEGORIES_FOR_UPDATE),
    ("tree_ancestors", ANCESTORS),
    ("tree_height", HEIGHT),
    ("tree_closure_insert_self", CLOSURE_INSERT_SELF),
    ("tree_closure_detach", CLOSURE_DETACH),
    ("tree_closure_attach", CLOSURE_ATTACH),
    ("tree_parent_update", PARENT_UPDATE),
    ("tree_closure_rebuild_delete", CLOSURE_REBUILD_DELETE),
    ("tree_closure_rebuild_insert", CLOSURE_REBUILD_INSERT),
    ("tree_products_below", PRODUCTS_BELOW),
];

/// A category and where it hangs.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct CategoryPlace {
    pub(super) id: i64,
    pub(super) parent_id: Option<i64>,
}

pub(super) async fn categories_for_update(
    connection: &mut MySqlConnection,
    category: i64,
    parent: Option<i64>,
) -> Result<Vec<CategoryPlace>, sqlx::Error> {
    sqlx::query_as(CATEGORIES_FOR_UPDATE)
        .bind(category)
        .bind(parent)
        .bind(parent)
        .fetch_all(connection)
        .await
}

/// The category itself and all above it, the top one first.
pub(super) async fn ancestors(
    connection: &mut MySqlConnection,
    category: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(ANCESTORS)
        .bind(category)
        .fetch_all(connection)
        .await
}

/// Levels below the category; None where it is not in the tree yet.
pub(super) async fn height(
    connection: &mut MySqlConnection,
    category: i64,
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar(HEIGHT)
        .bind(category)
        .fetch_one(connection)
        .await
}

pub(super) async fn closure_insert_self(
    connection: &mut MySqlConnection,
    category: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(CLOSURE_INSERT_SELF)
        .bind(category)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes the paths from above the category to it and below it.
pub(super) async fn closure_detach(
    connection: &mut MySqlConnection,
    category: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(CLOSURE_DETACH)
        .bind(category)
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds the paths from the parent and above it to the category and below it.
pub(super) async fn closure_attach(
    connection: &mut MySqlConnection,
    category: i64,
    parent: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(CLOSURE_ATTACH)
        .bind(parent)
        .bind(category)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn parent_update(
    connection: &mut MySqlConnection,
    category: i64,
    parent: Option<i64>,
) -> Result<(), sqlx::Error> {
    sqlx::query(PARENT_UPDATE)
        .bind(parent)
        .bind(category)
        .bind(parent)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn closure_rebuild(
    connection: &mut MySqlConnection,
    levels: i32,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(CLOSURE_REBUILD_DELETE)
        .bind(levels)
        .execute(&mut *connection)
        .await?;
    let inserted = sqlx::query(CLOSURE_REBUILD_INSERT)
        .bind(levels)
        .execute(&mut *connection)
        .await?;
    Ok(deleted.rows_affected() + inserted.rows_affected())
}

pub(super) async fn products_below(
    connection: &mut MySqlConnection,
    category: i64,
    after_product: i64,
    limit: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(PRODUCTS_BELOW)
        .bind(category)
        .bind(after_product)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
}
