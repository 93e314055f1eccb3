//! Seed: a demo shop, and catalogues of any size, which are the same each time.

pub mod demo;
pub mod demo_products;
pub mod generate;
pub mod pages;
pub mod selling;
pub mod store;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clap::Args;
use time::OffsetDateTime;

use crate::db::{Db, DbError, MayBeDatabase};
use crate::edge::tags::{SlugKind, Tag, TagSet};
use crate::import::batch::{BatchError, write_batch};
use crate::import::counters::Counters;
use crate::import::record::ProductRecord;
use crate::import::report::Screen;
use crate::import::{ShopSettings, Summary};
use crate::media::store::media_insert;
use crate::media::{MediaError, MediaStore};
use crate::outbox::{PurgeKind, enqueue_purge};

use store::Label;

/// Products that one transaction writes. Nobody shops while a shop is seeded, so batches are larger than an import's.
const PRODUCTS_PER_BATCH: u64 = 500;
/// The locale of the second texts.
const CHINESE: &str = "zh-cn";
/// The locale of the first texts.
const ENGLISH: &str = "en";

/// `panono-shop seed`
#[derive(Debug, Clone, Args)]
pub struct SeedArgs {
    /// How many products to generate; the same number gives the same products
    #[arg(long, default_value_t = 0)]
    pub products: u64,
    /// Fills the shop with the products and pages of the demo
    #[arg(long)]
    pub demo: bool,
}

/// Why a shop could not be seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Nothing was asked for.
    #[error("nothing to do: give --demo, --products N, or both")]
    Nothing,
    /// The shop names its categories in another language.
    #[error("the seed is written in English: make en the first locale of the shop, it is {0}")]
    Locale(String),
    /// The database failed.
    #[error("the database failed; run the same command again, what is there already stays")]
    Database(#[from] DbError),
    /// A picture could not be drawn.
    #[error("cannot draw a picture")]
    Draw {
        /// What the encoder says.
        source: image::ImageError,
    },
    /// A picture could not be stored.
    #[error("cannot store a picture")]
    Media(#[from] MediaError),
    /// A batch failed for another reason.
    #[error(transparent)]
    Batch(BatchError),
}

impl From<BatchError> for SeedError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Database(error) => Self::Database(DbError::Query(error)),
            other => Self::Batch(other),
        }
    }
}

impl From<sqlx::Error> for SeedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(DbError::Query(error))
    }
}

impl MayBeDatabase for SeedError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => error.database(),
            _ => None,
        }
    }
}

/// Fills a shop. What is there already and as it should be stays untouched.
///
/// # Errors
/// Nothing was asked for, the shop is not in English, or the database failed.
pub async fn run(
    args: &SeedArgs,
    db: &Db,
    settings: &ShopSettings,
    media: Option<&MediaStore>,
) -> Result<Summary, SeedError> {
    if args.products == 0 && !args.demo {
        return Err(SeedError::Nothing);
    }
    if settings.first_locale() != ENGLISH {
        return Err(SeedError::Locale(settings.first_locale().to_owned()));
    }
    let currencies: Vec<String> = settings
        .currencies
        .iter()
        .map(|currency| currency.as_str().to_owned())
        .collect();
    let settings = Arc::new(settings.clone());
    let mut summary = Summary::default();
    let drawn = match media {
        Some(media) => draw(db, media, wanted(args)).await?,
        None => BTreeMap::new(),
    };
    let hash_of = |kind: &str, number: u64| drawn.get(&(kind.to_owned(), number)).cloned();
    labels(db, Arc::clone(&settings)).await?;
    if args.demo {
        let records = demo::products(&currencies, &hash_of);
        summary.counters.add(&batch(db, records, &settings).await?);
        pages(db, &settings).await?;
        selling(db, &settings).await?;
    }
    let screen = Screen::new(args.products);
    let mut done = 0;
    while done < args.products {
        let until = (done + PRODUCTS_PER_BATCH).min(args.products);
        let records = (done..until)
            .map(|number| generate::product(number, &currencies, &hash_of))
            .collect();
        summary.counters.add(&batch(db, records, &settings).await?);
        done = until;
        screen.progress(done, done);
    }
    screen.clear();
    category_texts(db, &settings).await?;
    Ok(summary)
}

/// The pictures that the products show, by kind and number.
fn wanted(args: &SeedArgs) -> BTreeSet<(String, u64)> {
    let mut wanted = BTreeSet::new();
    if args.demo {
        for (number, demo) in (1_u64..).zip(demo_products::DEMO) {
            wanted.extend((0..demo::PICTURES).map(|picture| {
                (
                    demo.picture.to_owned(),
                    demo::picture_number(number, picture),
                )
            }));
        }
    }
    if args.products > 0 {
        let leaves = words::DEPARTMENTS
            .iter()
            .flat_map(|department| department.groups)
            .flat_map(|group| group.leaves);
        for leaf in leaves {
            wanted.extend(
                (0..generate::PICTURES_PER_KIND).map(|number| (leaf.picture.to_owned(), number)),
            );
        }
    }
    wanted
}

/// Draws pictures into the media store. Gives their hashes.
async fn draw(
    db: &Db,
    media: &MediaStore,
    wanted: BTreeSet<(String, u64)>,
) -> Result<BTreeMap<(String, u64), String>, SeedError> {
    let mut hashes = BTreeMap::new();
    let mut stored = Vec::new();
    let screen = Screen::new(u64::try_from(wanted.len()).unwrap_or(u64::MAX));
    for (name, number) in wanted {
        let Some(kind) = panono_pictures::Kind::from_name(&name) else {
            continue;
        };
        let bytes = tokio::task::spawn_blocking(move || panono_pictures::jpeg(kind, number))
            .await
            .map_err(|_| SeedError::Database(DbError::Aborted))?
            .map_err(|source| SeedError::Draw { source })?;
        let info = media.put(bytes.into()).await?;
        hashes.insert((name, number), info.hash.as_str().to_owned());
        stored.push(info);
        let count = u64::try_from(stored.len()).unwrap_or(u64::MAX);
        screen.pictures(count);
    }
    screen.clear();
    let stored = Arc::new(stored);
    db.transaction(move |connection| {
        let stored = Arc::clone(&stored);
        Box::pin(async move {
            for info in stored.iter() {
                media_insert(connection, info).await?;
            }
            Ok::<_, SeedError>(())
        })
    })
    .await?;
    Ok(hashes)
}

async fn batch(
    db: &Db,
    records: Vec<ProductRecord>,
    settings: &Arc<ShopSettings>,
) -> Result<Counters, SeedError> {
    let (records, settings) = (Arc::new(localised(records, settings)), Arc::clone(settings));
    let now = OffsetDateTime::now_utc();
    db.transaction(move |connection| {
        let (records, settings) = (Arc::clone(&records), Arc::clone(&settings));
        Box::pin(async move {
            let outcome = Box::pin(write_batch(connection, &records, &settings, now)).await?;
            let mut counters = outcome.counters;
            counters.categories_created = u64::try_from(outcome.new_categories.len()).unwrap_or(0);
            counters.brands_created = u64::try_from(outcome.new_brands.len()).unwrap_or(0);
            Ok::<_, SeedError>(counters)
        })
    })
    .await
}

fn has_chinese(settings: &ShopSettings) -> bool {
    settings
        .locales
        .iter()
        .any(|locale| locale.as_str() == CHINESE)
}

/// Without the texts of locales that the shop does not have.
fn localised(mut records: Vec<ProductRecord>, settings: &ShopSettings) -> Vec<ProductRecord> {
    if !has_chinese(settings) {
        for record in &mut records {
            record.texts.remove(CHINESE);
        }
    }
    records
}

/// Translations come first: search documents are made of them.
async fn labels(db: &Db, settings: Arc<ShopSettings>) -> Result<(), SeedError> {
    if !has_chinese(&settings) {
        return Ok(());
    }
    let lists = [
        words::LABELS,
        words::MATERIALS,
        words::ORIGINS,
        words::COLOURS,
        words::SIZES,
        demo_products::LABELS,
    ];
    let labels: BTreeMap<&'static str, &'static str> =
        lists.into_iter().flatten().copied().collect();
    let labels: Arc<Vec<Label>> = Arc::new(
        labels
            .into_iter()
            .map(|(label, text)| Label { label, text })
            .collect(),
    );
    db.transaction(move |connection| {
        let labels = Arc::clone(&labels);
        Box::pin(async move {
            store::labels(connection, CHINESE, &labels).await?;
            Ok::<_, SeedError>(())
        })
    })
    .await
}

async fn category_texts(db: &Db, settings: &ShopSettings) -> Result<(), SeedError> {
    if !has_chinese(settings) {
        return Ok(());
    }
    let mut labels = Vec::new();
    for department in words::DEPARTMENTS {
        labels.push(department.name);
        for group in department.groups {
            labels.push(group.name);
            labels.extend(group.leaves.iter().map(|leaf| leaf.name));
        }
    }
    let labels: Arc<Vec<Label>> = Arc::new(
        labels
            .into_iter()
            .map(|(label, text)| Label { label, text })
            .collect(),
    );
    db.transaction(move |connection| {
        let labels = Arc::clone(&labels);
        Box::pin(async move {
            if store::category_texts(connection, CHINESE, ENGLISH, &labels).await? > 0 {
                enqueue_purge(connection, &TagSet::new().with(Tag::all()), PurgeKind::Soft).await?;
            }
            Ok::<_, SeedError>(())
        })
    })
    .await
}

async fn pages(db: &Db, settings: &ShopSettings) -> Result<(), SeedError> {
    let chinese = has_chinese(settings);
    db.transaction(move |connection| {
        Box::pin(async move {
            let mut tags = TagSet::new();
            for page in pages::PAGES {
                let mut texts = vec![(ENGLISH, page.en)];
                if chinese {
                    texts.push((CHINESE, page.zh));
                }
                if store::page(connection, page.slug, &texts).await? > 0 {
                    tags.insert(Tag::slug(SlugKind::Page, page.slug));
                    if let Some(id) = store::page_id(connection, page.slug).await? {
                        tags.insert(Tag::page(id));
                    }
                }
            }
            enqueue_purge(connection, &tags, PurgeKind::Soft).await?;
            Ok::<_, SeedError>(())
        })
    })
    .await
}

/// What the demo needs to take orders.
async fn selling(db: &Db, settings: &ShopSettings) -> Result<(), SeedError> {
    let chinese = has_chinese(settings);
    let currencies = Arc::new(settings.currencies.clone());
    db.transaction(move |connection| {
        let currencies = Arc::clone(&currencies);
        Box::pin(async move { Ok(selling::write(connection, &currencies, chinese).await?) })
    })
    .await
}
