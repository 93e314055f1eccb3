//! How much an import did.

use serde::Serialize;

/// What was done, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Products that are new.
    pub products_created: u64,
    /// Products that changed.
    pub products_updated: u64,
    /// Products that were as stated.
    pub products_unchanged: u64,
    /// Products or rows that were refused.
    pub products_refused: u64,
    /// Rows that changed a product that is described elsewhere: translations, prices in another currency.
    pub additions_applied: u64,
    /// Such rows that changed nothing.
    pub additions_unchanged: u64,
    /// Variants that are new.
    pub variants_created: u64,
    /// Variants that changed, apart from prices and stock.
    pub variants_updated: u64,
    /// Variants that are no longer sold.
    pub variants_archived: u64,
    /// Categories that are new.
    pub categories_created: u64,
    /// Brands that are new.
    pub brands_created: u64,
    /// Price rows added.
    pub prices_created: u64,
    /// Price rows ended.
    pub prices_ended: u64,
    /// Stock rows added.
    pub stock_created: u64,
    /// Stock rows changed.
    pub stock_updated: u64,
}

impl Counters {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let Self {
            products_created,
            products_updated,
            products_unchanged,
            products_refused,
            additions_applied,
            additions_unchanged,
            variants_created,
            variants_updated,
            variants_archived,
            categories_created,
            brands_created,
            prices_created,
            prices_ended,
            stock_created,
            stock_updated,
        } = other;
        self.products_created += products_created;
        self.products_updated += products_updated;
        self.products_unchanged += products_unchanged;
        self.products_refused += products_refused;
        self.additions_applied += additions_applied;
        self.additions_unchanged += additions_unchanged;
        self.variants_created += variants_created;
        self.variants_updated += variants_updated;
        self.variants_archived += variants_archived;
        self.categories_created += categories_created;
        self.brands_created += brands_created;
        self.prices_created += prices_created;
        self.prices_ended += prices_ended;
        self.stock_created += stock_created;
        self.stock_updated += stock_updated;
    }
}
