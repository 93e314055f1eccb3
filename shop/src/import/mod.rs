//! Import: products of other systems' files, read in constant memory and written in batches.

pub mod batch;
pub mod changes;
pub mod counters;
pub mod csv;
pub mod diff;
pub mod expression;
pub mod json;
pub mod magento;
pub mod mapped;
pub mod mapping;
pub mod panono_csv;
pub mod panono_json;
pub mod pictures;
pub mod prices;
pub mod problem;
pub mod read;
pub mod record;
pub mod report;
pub mod run;
pub mod seen;
pub mod shopify;
pub mod spree;
pub mod state;
pub mod store;
pub mod store_category;
pub mod store_job;
pub mod text;
pub mod translations;
pub mod value;

#[cfg(test)]
mod tests;

pub use batch::ShopSettings;
pub use read::ReadError;
pub use report::Summary;
pub use run::{ImportArgs, ImportError, run};

/// Every statement of the import with its name, so that tests can prepare all of them.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [store::STATEMENTS, store_job::STATEMENTS]
        .into_iter()
        .flatten()
        .copied()
}
