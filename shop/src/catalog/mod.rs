//! Products, categories, prices and stock, and the derived tables that public pages are read from.
//!
//! The tables that staff and imports write are the truth. [`index::reindex`] derives listings, facets and search
//! documents from them in the same transaction; what shoppers see is read from those.

mod availability;
pub mod category;
mod identifier;
pub mod index;
pub mod listing;
pub mod model;
mod money;
mod price;
pub mod product;
pub mod store_category;
pub mod store_index;
mod store_index_sql;
pub mod store_listing;
mod store_listing_sql;
pub mod store_product;
pub mod store_sitemap;
pub mod store_tree;
pub mod tree;

/// Every statement of the catalogue and its search with its name, so that tests can prepare and explain all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        store_index::STATEMENTS,
        store_tree::STATEMENTS,
        store_category::STATEMENTS,
        store_listing::STATEMENTS,
        store_product::STATEMENTS,
        store_sitemap::STATEMENTS,
        crate::search::store::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// A list of ids as the JSON text that statements read with `JSON_TABLE`: one statement serves lists of any length.
pub(crate) fn json_list<T: serde::Serialize>(items: &[T]) -> Result<String, sqlx::Error> {
    serde_json::to_string(items).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
