//! The tree of categories. `parent_id` is the truth; the closure table is derived from it.

use sqlx::MySqlConnection;

use super::store_tree as store;

/// How many levels the tree may have. Deeper ones are lost on shoppers, and breadcrumbs would not end.
pub const MAX_DEPTH: i32 = 10;

/// Why a category cannot be put where it was asked to be.
#[derive(Debug, thiserror::Error)]
pub enum PlaceCategoryError {
    /// The category does not exist.
    #[error("category {0} does not exist")]
    UnknownCategory(i64),
    /// The parent does not exist, or was not placed itself.
    #[error("parent category {0} is not in the tree: create and place it first")]
    UnknownParent(i64),
    /// The parent is the category itself or below it.
    #[error(
        "category {category} cannot be moved under {parent}, which is itself below it: choose another parent"
    )]
    Cycle {
        /// The category.
        category: i64,
        /// The parent that was asked for.
        parent: i64,
    },
    /// Some category would be too deep.
    #[error("the category tree may have {MAX_DEPTH} levels: choose a parent higher up")]
    TooDeep,
    /// The database failed.
    #[error("failed to place a category")]
    Database(#[from] sqlx::Error),
}

/// Puts a category, with all below it, under a parent, or at the top. For one that was just inserted as for one that
/// moves: sets `parent_id` and its closure rows. Call it in the transaction of the change, and then reindex the products
/// below it ([`products_below`]): their listings in the categories above have changed. Answers whether anything changed.
///
/// # Errors
/// [`PlaceCategoryError`]: the transaction can go on after all but a database failure.
pub async fn place_category(
    connection: &mut MySqlConnection,
    category: i64,
    parent: Option<i64>,
) -> Result<bool, PlaceCategoryError> {
    // The category, the parent and all above the parent are locked in the order of their ids: of two moves that would
    // make a cycle only together, each locks the category that the other one moves.
    let locked = store::categories_for_update(connection, category, parent).await?;
    let current = locked
        .iter()
        .find(|row| row.id == category)
        .ok_or(PlaceCategoryError::UnknownCategory(category))?;
    let height = store::height(connection, category).await?;
    let mut parent_depth = 0;
    if let Some(parent) = parent {
        if !locked.iter().any(|row| row.id == parent) {
            return Err(PlaceCategoryError::UnknownParent(parent));
        }
        let above = store::ancestors(connection, parent).await?;
        if parent == category || above.contains(&category) {
            return Err(PlaceCategoryError::Cycle { category, parent });
        }
        if above.is_empty() {
            return Err(PlaceCategoryError::UnknownParent(parent));
        }
        parent_depth = i32::try_from(above.len()).unwrap_or(i32::MAX);
    }
    if parent_depth
        .saturating_add(height.unwrap_or(0))
        .saturating_add(1)
        > MAX_DEPTH
    {
        return Err(PlaceCategoryError::TooDeep);
    }
    if height.is_some() && current.parent_id == parent {
        return Ok(false);
    }
    if height.is_none() {
        store::closure_insert_self(connection, category).await?;
    } else {
        store::closure_detach(connection, category).await?;
    }
    if let Some(parent) = parent {
        store::closure_attach(connection, category, parent).await?;
    }
    store::parent_update(connection, category, parent).await?;
    Ok(true)
}

/// Derives the whole closure table from `parent_id` and writes what differs; answers how many rows did. For imports that
/// write categories in bulk, and for the check of an existing shop. The tree is cut below [`MAX_DEPTH`] levels.
///
/// # Errors
/// Those of the database.
pub async fn rebuild_closure(connection: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
    store::closure_rebuild(connection, MAX_DEPTH).await
}

/// At most `limit` products in a category or below it, in the order of ids, beginning after `after_product`.
///
/// # Errors
/// Those of the database.
pub async fn products_below(
    connection: &mut MySqlConnection,
    category: i64,
    after_product: i64,
    limit: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    store::products_below(connection, category, after_product, limit).await
}
