//! One batch of products, in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::MySqlConnection;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::catalog::index::{clock_from, reindex};
use crate::catalog::model::{Currency, Locale};
use crate::catalog::tree::{PlaceCategoryError, place_category};
use crate::edge::tags::{SlugKind, Tag, TagSet};
use crate::outbox::{PurgeKind, enqueue_purge};

use super::changes::Changes;
use super::counters::Counters;
use super::diff::{Context, Effect, compare};
use super::problem::{Problem, ProblemKind};
use super::record::ProductRecord;
use super::value::slug_of;
use super::{store, store_category};

/// A purge of more tags than this costs the edges more than forgetting everything.
const TAGS_PER_PURGE: usize = 2_000;

/// What the shop is set up for.
#[derive(Debug, Clone)]
pub struct ShopSettings {
    /// Currencies that it sells in.
    pub currencies: Vec<Currency>,
    /// Its locales; the first one names categories.
    pub locales: Vec<Locale>,
}

impl ShopSettings {
    /// The locale that names categories.
    #[must_use]
    pub fn first_locale(&self) -> &str {
        self.locales.first().map_or("en", Locale::as_str)
    }
}

/// What a batch did.
#[derive(Debug, Clone, Default)]
pub struct BatchOutcome {
    /// How much.
    pub counters: Counters,
    /// Products that were refused, and why.
    pub problems: Vec<Problem>,
    /// Things that were done in another way than stated.
    pub notices: Vec<Problem>,
    /// Paths of new categories.
    pub new_categories: BTreeSet<String>,
    /// Slugs of new brands.
    pub new_brands: BTreeSet<String>,
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The database failed.
    #[error("failed to write a batch")]
    Database(#[from] sqlx::Error),
    /// A new category could not be put into the tree.
    #[error("failed to place a category")]
    Category(#[source] PlaceCategoryError),
}

impl From<PlaceCategoryError> for BatchError {
    fn from(error: PlaceCategoryError) -> Self {
        match error {
            PlaceCategoryError::Database(error) => Self::Database(error),
            other => Self::Category(other),
        }
    }
}

/// Writes the records of a batch: reads what the shop has, compares, writes the differences, derives what shoppers read
/// and announces what changed. Runs in the caller's transaction and may run again.
///
/// # Errors
/// The transaction is to be rolled back, and may be run again when it was in conflict with another.
pub async fn write_batch(
    connection: &mut MySqlConnection,
    records: &[ProductRecord],
    settings: &ShopSettings,
    now: OffsetDateTime,
) -> Result<BatchOutcome, BatchError> {
    let clock = super::value::microseconds(PrimitiveDateTime::new(now.date(), now.time()));
    let mut outcome = BatchOutcome::default();
    let records = merged(records);
    let slugs: Vec<&str> = records.iter().map(|record| record.slug.as_str()).collect();
    let skus: Vec<&str> = records
        .iter()
        .flat_map(|record| &record.variants)
        .map(|variant| variant.sku.as_str())
        .collect();
    let hashes: Vec<&str> = records
        .iter()
        .flat_map(|record| record.media.iter().flatten())
        .filter_map(|picture| picture.hash.as_deref())
        .collect();
    let current = store::load(connection, &slugs, &skus, &hashes, clock).await?;
    let brands = store::brands(connection).await?;
    let mut tree = CategoryTree::load(connection, settings).await?;
    let mut changes = Changes::default();
    let mut sku_users: HashMap<&str, &str> = HashMap::new();
    let mut described: HashMap<i64, &ProductRecord> = HashMap::new();
    for record in &records {
        let product = current.products.get(&record.slug);
        if let Some(product) = product
            && let Some(first) = described.insert(product.id, record)
        {
            described.insert(product.id, first);
            outcome.counters.products_refused += 1;
            outcome.problems.push(
                Problem::new(
                    record.line,
                    ProblemKind::DuplicateSlug,
                    format!(
                        "line {} names the same product, by its slug {}",
                        first.line, first.slug
                    ),
                    "leave out the rows with the former slug",
                )
                .with_product(&record.slug)
                .with_field("slug", &record.slug),
            );
            continue;
        }
        let clash = record.variants.iter().find_map(|variant| {
            let user = *sku_users
                .entry(variant.sku.as_str())
                .or_insert(record.slug.as_str());
            (user != record.slug).then_some((variant, user))
        });
        if let Some((variant, user)) = clash {
            outcome.counters.products_refused += 1;
            outcome.problems.push(
                Problem::new(
                    variant.line,
                    ProblemKind::DuplicateSku,
                    format!("the SKU belongs to the product {user}"),
                    "give the variant its own SKU, or use the slug of the product that has it",
                )
                .with_product(&record.slug)
                .with_field("sku", &variant.sku),
            );
            continue;
        }
        // A product that will be refused must not leave new categories behind.
        let category_ids = match &record.categories {
            Some(paths) if product.is_some() || !record.supplement => Some(tree.ids(paths)),
            Some(_) | None => None,
        };
        let context = Context {
            current: &current,
            brands: &brands,
            category_ids,
            now: clock,
        };
        let mut counted = outcome.counters;
        match compare(
            record,
            &context,
            &mut changes,
            &mut counted,
            &mut outcome.notices,
        ) {
            Ok(effect) => {
                outcome.counters = counted;
                count(record, effect, &mut outcome.counters);
            }
            Err(problems) => {
                outcome.counters.products_refused += 1;
                outcome.problems.extend(problems);
            }
        }
    }
    let ids = tree
        .create(connection, &mut changes.category_insert_ids())
        .await?;
    changes.resolve_categories(&ids);
    outcome.new_categories = tree.created;
    outcome.new_brands = changes
        .brands
        .keys()
        .filter(|slug| !brands.values().any(|known| known == *slug))
        .cloned()
        .collect();
    store::write(connection, &changes).await?;
    announce(
        connection,
        &changes,
        settings,
        now,
        !outcome.new_categories.is_empty(),
    )
    .await?;
    Ok(outcome)
}

fn count(record: &ProductRecord, effect: Effect, counters: &mut Counters) {
    match (effect, record.supplement) {
        (Effect::Created, _) => counters.products_created += 1,
        (Effect::Updated, false) => counters.products_updated += 1,
        (Effect::Unchanged, false) => counters.products_unchanged += 1,
        (Effect::Updated, true) => counters.additions_applied += 1,
        (Effect::Unchanged, true) => counters.additions_unchanged += 1,
    }
}

/// The records with those of one product put together.
fn merged(records: &[ProductRecord]) -> Vec<ProductRecord> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut merged: Vec<ProductRecord> = Vec::with_capacity(records.len());
    for record in records {
        match places
            .get(record.slug.as_str())
            .and_then(|place| merged.get_mut(*place))
        {
            Some(own) => own.merge(record.clone()),
            None => {
                places.insert(&record.slug, merged.len());
                merged.push(record.clone());
            }
        }
    }
    merged
}

/// Derives listings and search documents, and tells the caches what is no longer as it was.
async fn announce(
    connection: &mut MySqlConnection,
    changes: &Changes,
    settings: &ShopSettings,
    now: OffsetDateTime,
    menu: bool,
) -> Result<(), sqlx::Error> {
    if changes.touched.is_empty() {
        return Ok(());
    }
    let products =
        store::product_ids(connection, changes.touched.iter().map(String::as_str)).await?;
    let ids: Vec<i64> = products.iter().map(|(_, id)| *id).collect();
    let reindexed = reindex(
        connection,
        &settings.currencies,
        &settings.locales,
        clock_from(now),
        &ids,
    )
    .await?;
    let mut tags = TagSet::new();
    for (slug, id) in &products {
        tags.insert(Tag::product(*id));
        // An address that answered 404 is a page now.
        tags.insert(Tag::slug(SlugKind::Product, slug));
    }
    for category in reindexed.categories() {
        tags.insert(Tag::category(category));
    }
    if menu {
        tags.insert(Tag::menu());
    }
    if tags.len() > TAGS_PER_PURGE {
        tags = TagSet::new().with(Tag::all());
    }
    let kind = if changes.takedown {
        PurgeKind::Hard
    } else {
        PurgeKind::Soft
    };
    enqueue_purge(connection, &tags, kind).await
}

/// The categories by their paths. New ones have a number below zero until they are written.
#[derive(Debug)]
struct CategoryTree {
    by_name: HashMap<(Option<i64>, String), i64>,
    slugs: HashSet<String>,
    slug_of: HashMap<i64, String>,
    children: HashMap<Option<i64>, i64>,
    new: Vec<NewCategory>,
    created: BTreeSet<String>,
    locale: String,
}

#[derive(Debug)]
struct NewCategory {
    id: i64,
    parent: Option<i64>,
    slug: String,
    name: String,
    position: i64,
    path: String,
}

impl CategoryTree {
    async fn load(
        connection: &mut MySqlConnection,
        settings: &ShopSettings,
    ) -> Result<Self, sqlx::Error> {
        let locale = settings.first_locale().to_owned();
        let rows = store_category::categories(connection, &locale).await?;
        let mut tree = Self {
            by_name: HashMap::new(),
            slugs: HashSet::new(),
            slug_of: HashMap::new(),
            children: HashMap::new(),
            new: Vec::new(),
            created: BTreeSet::new(),
            locale,
        };
        for (id, parent, slug, name, archived) in rows {
            // What is archived is shown to nobody: a path that leads there means another category. Its address stays taken.
            if !archived {
                let name = name.unwrap_or_else(|| slug.clone());
                tree.by_name
                    .entry((parent, name.to_lowercase()))
                    .or_insert(id);
            }
            *tree.children.entry(parent).or_insert(0) += 1;
            tree.slugs.insert(slug.clone());
            tree.slug_of.insert(id, slug);
        }
        Ok(tree)
    }

    fn ids(&mut self, paths: &[Vec<String>]) -> Vec<i64> {
        paths.iter().filter_map(|path| self.id(path)).collect()
    }

    fn id(&mut self, path: &[String]) -> Option<i64> {
        let mut parent = None;
        for (depth, name) in path.iter().enumerate() {
            let key = (parent, name.to_lowercase());
            let id = match self.by_name.get(&key) {
                Some(id) => *id,
                None => {
                    let shown = path
                        .iter()
                        .take(depth + 1)
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                        .join(" > ");
                    self.add(key, name, shown)
                }
            };
            parent = Some(id);
        }
        parent
    }

    fn add(&mut self, key: (Option<i64>, String), name: &str, path: String) -> i64 {
        let parent = key.0;
        let own = slug_of(name);
        let below = parent
            .and_then(|parent| self.slug_of.get(&parent))
            .map(|parent| slug_of(&format!("{parent} {own}")));
        // The name alone, else below the name of the parent, else with a number: addresses are unique in the shop.
        let mut slug = own.clone();
        if self.slugs.contains(&slug) {
            slug = below.clone().unwrap_or_else(|| own.clone());
        }
        let mut number = 2;
        while self.slugs.contains(&slug) {
            slug = format!("{}-{number}", below.as_deref().unwrap_or(&own));
            number += 1;
        }
        let id = -1 - i64::try_from(self.new.len()).unwrap_or(0);
        let position = self.children.entry(parent).or_insert(0);
        self.new.push(NewCategory {
            id,
            parent,
            slug: slug.clone(),
            name: name.to_owned(),
            position: *position,
            path,
        });
        *position += 1;
        self.slugs.insert(slug.clone());
        self.slug_of.insert(id, slug);
        self.by_name.insert(key, id);
        id
    }

    /// Writes the new categories that products are in, and those above them. Gives their ids.
    async fn create(
        &mut self,
        connection: &mut MySqlConnection,
        needed: &mut BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, i64>, BatchError> {
        for category in self.new.iter().rev() {
            if needed.contains(&category.id) {
                needed.extend(category.parent);
            }
        }
        let mut ids = BTreeMap::new();
        for category in self
            .new
            .iter()
            .filter(|category| needed.contains(&category.id))
        {
            let parent = category
                .parent
                .map(|parent| ids.get(&parent).copied().unwrap_or(parent));
            let id = store_category::category_insert(
                connection,
                parent,
                &category.slug,
                category.position,
                &self.locale,
                &category.name,
            )
            .await?;
            place_category(connection, id, parent).await?;
            ids.insert(category.id, id);
            self.created.insert(category.path.clone());
        }
        Ok(ids)
    }
}
