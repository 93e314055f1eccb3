//! A category as staff see it, and what they can do to it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::change::unacceptable;
use super::fields::{FromBody, Object, id, list, parsed, small_integer, text};
use super::product::{Text, media_hash, translations};
use crate::catalog::model::Slug;
use crate::web::error::ApiError;

/// Names of categories fit their column.
pub const LONGEST_CATEGORY_NAME: usize = 190;

/// A category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Category {
    /// Its number.
    pub id: i64,
    /// The category that it is in; `null` at the top.
    pub parent_id: Option<i64>,
    /// The last part of its address.
    pub slug: String,
    /// `active` or `archived`.
    pub status: String,
    /// Its place among its siblings: the lowest comes first.
    pub position: i32,
    /// The SHA-256 of its picture; without one, pages show that of a product in it.
    pub media_hash: Option<String>,
    /// Texts by locale.
    pub translations: BTreeMap<String, Text>,
    /// The number in its `ETag`.
    pub version: i64,
}

/// A category in the tree.
#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryNode {
    /// Its number.
    pub id: i64,
    /// The last part of its address.
    pub slug: String,
    /// `active` or `archived`.
    pub status: String,
    /// Its place among its siblings.
    pub position: i32,
    /// Its name in the shop's first locale.
    pub name: Option<String>,
    /// Published products in it and below it, as last counted.
    pub product_count: i64,
    /// The number in its `ETag`.
    pub version: i64,
    /// The categories in it, in their order.
    #[schema(no_recursion)]
    pub children: Vec<CategoryNode>,
}

/// Makes a tree of nodes, of which each comes with its parent. Siblings stay in the order in which they come.
#[must_use]
pub fn tree(rows: Vec<(Option<i64>, CategoryNode)>) -> Vec<CategoryNode> {
    let mut below: BTreeMap<Option<i64>, Vec<CategoryNode>> = BTreeMap::new();
    for (parent, node) in rows {
        below.entry(parent).or_default().push(node);
    }
    take(&mut below, None)
}

/// The tree has at most ten levels, and what was taken is not found again: this ends.
fn take(
    below: &mut BTreeMap<Option<i64>, Vec<CategoryNode>>,
    parent: Option<i64>,
) -> Vec<CategoryNode> {
    let mut nodes = below.remove(&parent).unwrap_or_default();
    for node in &mut nodes {
        node.children = take(below, Some(node.id));
    }
    nodes
}

/// The body that creates a category.
#[derive(Debug, Clone, ToSchema)]
pub struct NewCategory {
    /// The last part of its address; made of the name in the shop's first locale when absent.
    #[schema(value_type = Option<String>)]
    pub slug: Option<Slug>,
    /// The category that it is in; absent at the top.
    pub parent_id: Option<i64>,
    /// Its place among its siblings; 0 when absent.
    pub position: i32,
    /// The hash of its picture, as the upload answered it.
    pub media_hash: Option<String>,
    /// Texts by locale; the shop's first locale must be among them.
    pub translations: BTreeMap<String, Text>,
}

impl FromBody for NewCategory {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let slug = object.optional("slug", parsed::<Slug>);
        let parent_id = object.nullable("parent_id", id);
        let position = object.optional("position", small_integer);
        let media_hash = object.nullable("media_hash", media_hash);
        let translations = translations(object, LONGEST_CATEGORY_NAME);
        Some(Self {
            slug: slug?,
            parent_id: parent_id?.flatten(),
            position: position?.unwrap_or(0),
            media_hash: media_hash?.flatten(),
            translations: translations?,
        })
    }
}

/// The body that changes a category (RFC 7396): absent fields stay as they are.
#[derive(Debug, Clone, ToSchema)]
pub struct CategoryPatch {
    /// Its place among its siblings.
    pub position: Option<i32>,
    /// The hash of its picture, as the upload answered it; `null` for none.
    #[schema(value_type = Option<String>)]
    pub media_hash: Option<Option<String>>,
    /// Texts by locale; locales that are not named stay as they are.
    pub translations: Option<BTreeMap<String, Text>>,
}

impl FromBody for CategoryPatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let position = object.optional("position", small_integer);
        let media_hash = object.nullable("media_hash", media_hash);
        let translations = if object.has("translations") {
            translations(object, LONGEST_CATEGORY_NAME).map(Some)
        } else {
            Some(None)
        };
        Some(Self {
            position: position?,
            media_hash: media_hash?,
            translations: translations?,
        })
    }
}

/// The body that moves a category.
#[derive(Debug, Clone, Copy, ToSchema)]
pub struct Move {
    /// The category that it will be in; `null` for the top.
    pub parent_id: Option<i64>,
}

impl FromBody for Move {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        if !object.has("parent_id") {
            object.error("parent_id", "is missing; null moves it to the top");
            return None;
        }
        let parent_id = object.nullable("parent_id", id)?;
        Some(Self {
            parent_id: parent_id.flatten(),
        })
    }
}

/// The body that orders the children of a category.
#[derive(Debug, Clone, ToSchema)]
pub struct Order {
    /// The category whose children they are; `null` for those at the top.
    pub parent_id: Option<i64>,
    /// All children in their new order.
    pub category_ids: Vec<i64>,
}

impl FromBody for Order {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let parent_id = object.nullable("parent_id", id);
        let category_ids = object.required("category_ids", list(id));
        Some(Self {
            parent_id: parent_id?.flatten(),
            category_ids: category_ids?,
        })
    }
}

impl Order {
    /// Whether it names exactly these children.
    ///
    /// # Errors
    /// 422 when it does not: somebody added, moved or archived one meanwhile.
    pub fn check(&self, children: &[i64]) -> Result<(), ApiError> {
        let sorted = |ids: &[i64]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        if sorted(&self.category_ids) == sorted(children) {
            return Ok(());
        }
        Err(unacceptable(
            "/category_ids",
            format!("must be all the children in their new order; they are {children:?}"),
        ))
    }
}

/// One thing that is done to a category.
#[derive(Debug, Clone)]
pub enum CategoryEdit {
    /// Changes its own fields.
    Patch(CategoryPatch),
    /// Gives it another address.
    Slug(Slug),
    /// Puts it elsewhere in the tree.
    Move(Option<i64>),
    /// Takes it out of the catalogue.
    Archive,
}

impl CategoryEdit {
    /// The word in the audit log.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Patch(_) => "category.update",
            Self::Slug(_) => "category.slug",
            Self::Move(_) => "category.move",
            Self::Archive => "category.archive",
        }
    }

    /// Does it.
    pub fn apply(&self, category: &mut Category) {
        match self {
            Self::Patch(CategoryPatch {
                position,
                media_hash,
                translations,
            }) => {
                category.position = position.unwrap_or(category.position);
                if let Some(media_hash) = media_hash {
                    category.media_hash.clone_from(media_hash);
                }
                category
                    .translations
                    .extend(translations.clone().unwrap_or_default());
            }
            Self::Slug(slug) => slug.as_str().clone_into(&mut category.slug),
            Self::Move(parent) => category.parent_id = *parent,
            Self::Archive => "archived".clone_into(&mut category.status),
        }
    }
}

/// A brand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Brand {
    /// Its number.
    pub id: i64,
    /// The last part of its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The number in its `ETag`.
    pub version: i64,
}

/// The body that creates a brand.
#[derive(Debug, Clone, ToSchema)]
pub struct NewBrand {
    /// The last part of its address; made of the name when absent.
    #[schema(value_type = Option<String>)]
    pub slug: Option<Slug>,
    /// Its name.
    pub name: String,
}

impl FromBody for NewBrand {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let slug = object.optional("slug", parsed::<Slug>);
        let name = object.required("name", text(1, 190));
        Some(Self {
            slug: slug?,
            name: name?,
        })
    }
}

/// The body that changes a brand (RFC 7396).
#[derive(Debug, Clone, ToSchema)]
pub struct BrandPatch {
    /// The last part of its address.
    #[schema(value_type = Option<String>)]
    pub slug: Option<Slug>,
    /// Its name.
    pub name: Option<String>,
}

impl FromBody for BrandPatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let slug = object.optional("slug", parsed::<Slug>);
        let name = object.optional("name", text(1, 190));
        Some(Self {
            slug: slug?,
            name: name?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fields::read_body;

    fn node(id: i64) -> CategoryNode {
        CategoryNode {
            id,
            slug: id.to_string(),
            status: "active".into(),
            position: 0,
            name: None,
            product_count: 0,
            version: 1,
            children: vec![],
        }
    }

    #[test]
    fn rows_become_a_tree_in_their_order() {
        let rows = vec![
            (None, node(2)),
            (None, node(1)),
            (Some(2), node(4)),
            (Some(2), node(3)),
            (Some(9), node(9)),
        ];
        let tree = tree(rows);
        let ids = |nodes: &[CategoryNode]| nodes.iter().map(|node| node.id).collect::<Vec<_>>();
        assert_eq!(ids(&tree), [2, 1]);
        assert_eq!(ids(&tree[0].children), [4, 3]);
    }

    #[test]
    fn an_order_names_all_children_once() {
        let order: Order = read_body(br#"{"category_ids":[3,1,2]}"#).unwrap();
        assert!(order.check(&[1, 2, 3]).is_ok());
        assert!(order.check(&[1, 2]).is_err() && order.check(&[1, 2, 3, 4]).is_err());
        assert!(read_body::<Order>(br#"{"category_ids":[1,1]}"#).is_err());
    }

    #[test]
    fn a_move_says_where_to() {
        assert!(read_body::<Move>(b"{}").is_err());
        assert_eq!(
            read_body::<Move>(br#"{"parent_id":null}"#)
                .unwrap()
                .parent_id,
            None
        );
    }
}
