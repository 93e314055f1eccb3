//! Categories as shoppers see them.

use time::OffsetDateTime;

use super::identifier::Slug;

/// What an address names.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup<T> {
    /// This.
    Found(T),
    /// What now has this other address: answer 301.
    Moved(Slug),
    /// What was taken away for good: answer 410. With its id, by which the answer can be purged.
    Gone(i64),
    /// Nothing that the public may see: answer 404. With the id of what is not published (yet), where there is one.
    NotFound(Option<i64>),
}

/// What was found under an address, and for how long that is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What was found.
    pub found: Lookup<T>,
    /// The next scheduled change that alters the answer: of a publication or a price.
    pub valid_until: Option<OffsetDateTime>,
}

/// A category where it is named on another page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryLink {
    /// Its id.
    pub id: i64,
    /// Its address.
    pub slug: Slug,
    /// Its name in the language asked for, or in the default one.
    pub name: String,
    /// Published products in it and below it, as last counted.
    pub product_count: i64,
}

/// A category with those below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryNode {
    /// The category.
    pub category: CategoryLink,
    /// Those below it in their order.
    pub children: Vec<CategoryNode>,
}

/// The head of a category's page; its products are a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryPage {
    /// The category itself.
    pub category: CategoryLink,
    /// Its description.
    pub description: String,
    /// A title for search engines; empty where the name will do.
    pub seo_title: String,
    /// A summary for search engines; may be empty.
    pub seo_description: String,
    /// SHA-256 of its picture.
    pub media_hash: Option<String>,
    /// The categories above it, the top one first.
    pub breadcrumbs: Vec<CategoryLink>,
    /// The categories right below it in their order, at most [`MAX_CHILDREN`].
    pub children: Vec<CategoryLink>,
}

/// Children shown of one category.
pub const MAX_CHILDREN: u32 = 200;
/// Categories in the navigation.
pub const MAX_NAVIGATION: u32 = 1_000;

/// Puts a flat list of (level, parent, category) in the order of levels together to a tree.
pub(super) fn tree(rows: Vec<(Option<i64>, CategoryLink)>) -> Vec<CategoryNode> {
    let mut children: std::collections::BTreeMap<Option<i64>, Vec<CategoryLink>> =
        std::collections::BTreeMap::new();
    for (parent, category) in rows {
        children.entry(parent).or_default().push(category);
    }
    nodes(&mut children, None)
}

fn nodes(
    children: &mut std::collections::BTreeMap<Option<i64>, Vec<CategoryLink>>,
    parent: Option<i64>,
) -> Vec<CategoryNode> {
    // Each list is taken once, so even a circle of parents would end.
    let categories = children.remove(&parent).unwrap_or_default();
    categories
        .into_iter()
        .map(|category| {
            let below = nodes(children, Some(category.id));
            CategoryNode {
                category,
                children: below,
            }
        })
        .collect()
}
