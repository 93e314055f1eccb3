//! Deriving what shoppers read from what staff write: listings, facets and search documents.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::identifier::{Locale, Slug};
use super::model::AvailabilityBand;
use super::money::Currency;
use super::price::{PriceRow, effective_price};
use super::store_index::{self as store, FacetKey, Facts, ListingKey, ListingValues, ProductFacts};
use crate::search::document::{Document, uses_ngram};

/// The id under which derived tables hold the whole catalogue.
pub const WHOLE_CATALOGUE: i64 = 0;

/// The code of the attribute that mirrors the brand of a product.
pub const BRAND_ATTRIBUTE: &str = "brand";

/// Products that are derived together: large enough to make round trips cheap, small enough for memory and binlog events.
const BATCH: usize = 500;

/// What a reindexing changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// Products whose card, facets or search document changed.
    pub products: BTreeSet<i64>,
    /// Categories that list a product which they did not list before ([`WHOLE_CATALOGUE`] among them).
    pub gained: BTreeSet<i64>,
    /// Categories that no longer list a product.
    pub lost: BTreeSet<i64>,
    /// Categories in which a product moved: its position, price, date, or whether it can be bought.
    pub resorted: BTreeSet<i64>,
    /// Categories of which facet counts changed.
    pub refaceted: BTreeSet<i64>,
    /// Whether some product is found by other words than before.
    pub reworded: bool,
    /// Rows inserted, changed or deleted. None where nothing differed.
    pub rows_written: u64,
}

impl Reindexed {
    /// All categories whose pages may look different now. What is found by words belongs to the whole catalogue: a search that
    /// begins to find a product shows nothing yet by which it would be known.
    #[must_use]
    pub fn categories(&self) -> BTreeSet<i64> {
        [&self.gained, &self.lost, &self.resorted, &self.refaceted]
            .into_iter()
            .flatten()
            .copied()
            .chain(self.reworded.then_some(WHOLE_CATALOGUE))
            .collect()
    }
}

/// Derives the listing, facet and search rows of products anew, and writes those that differ. Call it inside the
/// transaction that changed the products: it locks their rows in the order of their ids, so that of two changes of one
/// product the later commit derives from both. Ids of products that no longer exist lose their derived rows.
///
/// The first of `locales` is the one that others fall back to. `clock` is asked while the products are locked: a moment from
/// before could undo what took effect while this waited for them.
///
/// # Errors
/// Those of the database; the transaction should be run again or rolled back.
pub async fn reindex(
    connection: &mut MySqlConnection,
    currencies: &[Currency],
    locales: &[Locale],
    clock: impl Fn() -> OffsetDateTime + Send,
    product_ids: &[i64],
) -> Result<Reindexed, sqlx::Error> {
    let ids: BTreeSet<i64> = product_ids.iter().copied().collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let mut reindexed = Reindexed::default();
    for batch in ids.chunks(BATCH) {
        let products = store::lock_products(connection, batch).await?;
        let now = clock();
        let facts = store::facts(connection, products, locales, now).await?;
        let mirrored = mirrored_values(&facts);
        let value_ids = store::facet_value_ids(connection, &mirrored).await?;
        write_listings(connection, batch, &facts, currencies, now, &mut reindexed).await?;
        write_facets(
            connection,
            batch,
            &facts,
            currencies,
            &value_ids,
            now,
            &mut reindexed,
        )
        .await?;
        write_documents(connection, batch, &facts, locales, now, &mut reindexed).await?;
    }
    let recount: Vec<i64> = [&reindexed.gained, &reindexed.lost, &reindexed.refaceted]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    store::recount_mark(connection, &recount).await?;
    Ok(reindexed)
}

/// The clock of a change whose own rows are dated `moment`: never before it, even if the machine's is set back meanwhile.
pub fn clock_from(moment: OffsetDateTime) -> impl Fn() -> OffsetDateTime + Send {
    move || OffsetDateTime::now_utc().max(moment)
}

/// A value of a facet that mirrors a brand or an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MirroredValue {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) value: String,
}

/// The code of the attribute under which an option such as `Size` can be filtered by.
#[must_use]
pub fn option_attribute_code(option: &str) -> String {
    match Slug::from_name(option) {
        Some(slug) if slug.as_str().is_ascii() && slug.as_str().len() <= 64 => {
            slug.as_str().to_owned()
        }
        // Codes are ASCII: an option of another script gets a stable one.
        _ => format!(
            "option-{:016x}",
            xxhash_rust::xxh3::xxh3_64(option.as_bytes())
        ),
    }
}

fn mirrored_of(product: &ProductFacts) -> impl Iterator<Item = MirroredValue> + '_ {
    let brand = product.brand.iter().map(|brand| MirroredValue {
        code: BRAND_ATTRIBUTE.to_owned(),
        name: "Brand".to_owned(),
        value: brand.clone(),
    });
    let options = product.options.iter().map(|(option, value)| MirroredValue {
        code: option_attribute_code(option),
        name: option.clone(),
        value: value.clone(),
    });
    brand.chain(options)
}

fn mirrored_values(facts: &Facts) -> BTreeSet<MirroredValue> {
    facts.products.values().flat_map(mirrored_of).collect()
}

/// Whether the public can see a product, and when it was published.
fn published(product: &ProductFacts, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let since = product.published_at?;
    (product.active && since <= now && product.unpublished_at.is_none_or(|end| end > now))
        .then_some(since)
}

/// Categories that list the product, with its position in each. A featured product comes first everywhere; then the
/// lowest position of its own categories below counts.
fn placements(product: &ProductFacts) -> BTreeMap<i64, i64> {
    let featured = -i64::from(product.featured) * (1 << 32);
    let mut placements: BTreeMap<i64, i64> = product
        .categories
        .iter()
        .map(|(&category, &position)| (category, featured + i64::from(position)))
        .collect();
    placements.insert(WHOLE_CATALOGUE, featured);
    placements
}

/// The listing rows that a product should have.
fn desired_listings(
    id: i64,
    product: &ProductFacts,
    currencies: &[Currency],
    now: OffsetDateTime,
) -> BTreeMap<ListingKey, ListingValues> {
    let Some(published_at) = published(product, now) else {
        return BTreeMap::new();
    };
    let band = product
        .variants
        .iter()
        .map(|variant| variant.band)
        .max()
        .unwrap_or(AvailabilityBand::Out);
    let placements = placements(product);
    let mut rows = BTreeMap::new();
    for &currency in currencies {
        let effective: Vec<&PriceRow> = product
            .variants
            .iter()
            .filter_map(|variant| effective_price(variant.prices.get(&currency)?, now))
            .collect();
        let Some(lowest) = effective.iter().min_by_key(|row| (row.amount, row.id)) else {
            continue;
        };
        let highest = effective
            .iter()
            .map(|row| row.amount)
            .max()
            .unwrap_or(lowest.amount);
        for (&category_id, &position) in &placements {
            rows.insert(
                ListingKey {
                    category_id,
                    currency,
                    product_id: id,
                },
                ListingValues {
                    price: lowest.amount,
                    price_max: highest,
                    compare_at: lowest
                        .compare_at
                        .filter(|&compare_at| compare_at > lowest.amount),
                    position,
                    published_at,
                    band,
                },
            );
        }
    }
    rows
}

async fn write_listings(
    connection: &mut MySqlConnection,
    batch: &[i64],
    facts: &Facts,
    currencies: &[Currency],
    now: OffsetDateTime,
    reindexed: &mut Reindexed,
) -> Result<(), sqlx::Error> {
    let mut existing = store::listings(connection, batch).await?;
    let mut write = Vec::new();
    for (&id, product) in &facts.products {
        for (key, desired) in desired_listings(id, product, currencies, now) {
            match existing.remove(&key) {
                Some(current) if current == desired => continue,
                Some(current) => {
                    if current.sorts_unlike(&desired) {
                        reindexed.resorted.insert(key.category_id);
                    }
                }
                None => {
                    reindexed.gained.insert(key.category_id);
                }
            }
            reindexed.products.insert(id);
            write.push((key, desired));
        }
    }
    let remove: Vec<ListingKey> = existing.into_keys().collect();
    for key in &remove {
        reindexed.products.insert(key.product_id);
        reindexed.lost.insert(key.category_id);
    }
    reindexed.rows_written += count(write.len()) + count(remove.len());
    store::listing_delete(connection, &remove).await?;
    store::listing_upsert(connection, &write).await
}

async fn write_facets(
    connection: &mut MySqlConnection,
    batch: &[i64],
    facts: &Facts,
    currencies: &[Currency],
    value_ids: &BTreeMap<(String, String), Option<i64>>,
    now: OffsetDateTime,
    reindexed: &mut Reindexed,
) -> Result<(), sqlx::Error> {
    let mut existing = store::facets(connection, batch).await?;
    let mut add = Vec::new();
    for (&id, product) in &facts.products {
        if desired_listings(id, product, currencies, now).is_empty() {
            continue;
        }
        let mut values: BTreeSet<i64> = product
            .attributes
            .iter()
            .filter(|value| value.filterable)
            .map(|value| value.value_id)
            .collect();
        values.extend(mirrored_of(product).filter_map(|mirrored| {
            value_ids
                .get(&(mirrored.code, mirrored.value))
                .copied()
                .flatten()
        }));
        for &category_id in placements(product).keys() {
            for &value_id in &values {
                let key = FacetKey {
                    category_id,
                    value_id,
                    product_id: id,
                };
                if !existing.remove(&key) {
                    reindexed.products.insert(id);
                    reindexed.refaceted.insert(category_id);
                    add.push(key);
                }
            }
        }
    }
    let remove: Vec<FacetKey> = existing.into_iter().collect();
    for key in &remove {
        reindexed.products.insert(key.product_id);
        reindexed.refaceted.insert(key.category_id);
    }
    reindexed.rows_written += count(add.len()) + count(remove.len());
    store::facet_delete(connection, &remove).await?;
    store::facet_insert(connection, &add).await
}

async fn write_documents(
    connection: &mut MySqlConnection,
    batch: &[i64],
    facts: &Facts,
    locales: &[Locale],
    now: OffsetDateTime,
    reindexed: &mut Reindexed,
) -> Result<(), sqlx::Error> {
    for ngram in [false, true] {
        let mut existing = store::documents(connection, ngram, batch).await?;
        let mut write = Vec::new();
        let mut replaced = Vec::new();
        for (&id, product) in facts
            .products
            .iter()
            .filter(|(_, product)| published(product, now).is_some())
        {
            for locale in locales.iter().filter(|locale| uses_ngram(locale) == ngram) {
                let Some(document) = document(product, locale, locales, facts) else {
                    continue;
                };
                let key = (id, locale.as_str().to_owned());
                let current = existing.remove(&key);
                if current.as_ref() == Some(&store::digest(&document)) {
                    continue;
                }
                if current.is_some() {
                    replaced.push(key.clone());
                }
                write.push((key, document));
            }
        }
        let gone = existing.into_keys();
        let remove: Vec<(i64, String)> = replaced.into_iter().chain(gone).collect();
        let changed = write.iter().map(|((id, _), _)| *id);
        reindexed
            .products
            .extend(changed.chain(remove.iter().map(|(id, _)| *id)));
        reindexed.reworded |= !write.is_empty() || !remove.is_empty();
        reindexed.rows_written += count(write.len()) + count(remove.len());
        store::document_delete(connection, ngram, &remove).await?;
        store::document_insert(connection, ngram, &write).await?;
    }
    Ok(())
}

/// What a product is found by in a locale. Falls back to the first locale as its page does.
fn document(
    product: &ProductFacts,
    locale: &Locale,
    locales: &[Locale],
    facts: &Facts,
) -> Option<Document> {
    let text = product
        .translations
        .get(locale.as_str())
        .or_else(|| product.translations.get(locales.first()?.as_str()))?;
    let labels = facts.labels.get(locale.as_str());
    let label = |label: &str| labels.and_then(|labels| labels.get(label)).cloned();
    let mut texts: Vec<String> = vec![text.description.clone()];
    texts.extend(product.brand.clone());
    texts.extend(product.tags.iter().cloned());
    texts.extend(product.variants.iter().map(|variant| variant.sku.clone()));
    let values = product
        .attributes
        .iter()
        .map(|value| &value.value)
        .chain(product.options.iter().map(|(_, value)| value));
    for value in values {
        texts.extend(label(value));
        texts.push(value.clone());
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Some(Document::new(locale, &text.name, &texts))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Products whose price or publication changes in the period after `since` up to and including `until`: those are to
/// be derived anew and purged. At most `limit` of them in the order of ids, beginning after `after_product`.
///
/// # Errors
/// Those of the database.
pub async fn due_transitions(
    connection: &mut MySqlConnection,
    since: OffsetDateTime,
    until: OffsetDateTime,
    after_product: i64,
    limit: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    store::due_transitions(connection, since, until, after_product, limit).await
}

/// Counts anew the products and, from `facet_threshold` products on, the facets of categories in which they changed:
/// the `limit` categories that have waited longest. Answers which categories show other numbers now. Run it outside a
/// transaction: it holds no locks while it counts.
///
/// # Errors
/// Those of the database.
pub async fn recount_due_categories(
    connection: &mut MySqlConnection,
    facet_threshold: i64,
    limit: u32,
) -> Result<BTreeSet<i64>, sqlx::Error> {
    let mut changed = BTreeSet::new();
    for (category_id, due_since) in store::recounts_due(connection, limit).await? {
        let products = store::products_count(connection, category_id).await?;
        if store::category_count_update(connection, category_id, products).await? {
            changed.insert(category_id);
        }
        let desired = if products >= facet_threshold {
            store::facet_counts_live(connection, category_id).await?
        } else {
            BTreeMap::new()
        };
        let mut existing = store::facet_counts_kept(connection, category_id).await?;
        let write: Vec<(i64, i64)> = desired
            .into_iter()
            .filter(|(value, counted)| existing.remove(value) != Some(*counted))
            .collect();
        let remove: Vec<i64> = existing.into_keys().collect();
        if !write.is_empty() || !remove.is_empty() {
            changed.insert(category_id);
        }
        store::facet_counts_replace(connection, category_id, &write, &remove).await?;
        // A change that arrived while we counted has renewed the mark: then it stays.
        store::recount_done(connection, category_id, due_since).await?;
    }
    Ok(changed)
}
