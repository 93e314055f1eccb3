//! The answers of the API and their description, one beside the other.

use std::ops::ControlFlow;

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::query::{
    AvailabilityQuery, ContentListQuery, PricedQuery, ProductsQuery, Query, SuggestQuery, TextQuery,
};
use super::view::{
    CategoryDetail, CategoryTree, Completions, ProductDetail, ProductList, RelatedProducts,
    ShopSettings, StockNumbers,
};
use super::view_content::{ContentDetail, ContentList};
use super::with_segment;
use crate::cache::Draft;
use crate::cache::page::LifetimeClass;
use crate::catalog::category::{Answer, Lookup};
use crate::catalog::index::WHOLE_CATALOGUE;
use crate::catalog::listing::{Card, Cursor as Place, ListingQuery};
use crate::catalog::model::{Locale as Language, Sku, Slug};
use crate::catalog::product::ProductPage;
use crate::catalog::tree::MAX_DEPTH;
use crate::catalog::{store_category, store_listing, store_product};
use crate::content::store::{self as content_store, Kind};
use crate::edge::tags::{SlugKind, Tag, TagSet};
use crate::search::{MysqlSearch, SearchError, SearchProvider, SearchQuery};
use crate::storefront::i18n::Locale;
use crate::storefront::urls::{Cursor, join};
use crate::web::error::{ApiError, Code};
use crate::web::public::cards;
use crate::web::public::cards::{catalogue_sort, search_sort};
use crate::web::public::problems::{listing_error, search_error};
use crate::web::public::{BuildError, Public};

const CATEGORIES: &str = "/api/v1/catalog/categories/";
const PRODUCTS: &str = "/api/v1/catalog/products";
const PRODUCT: &str = "/api/v1/catalog/products/";
/// What follows a product's address in that of its related ones.
pub(super) const RELATED: &str = "/related";

/// What cursors of content lists are bound to.
const fn list_of(kind: Kind) -> u64 {
    match kind {
        Kind::Page => 1,
        Kind::Post => 2,
    }
}

/// What the parts of one answer share.
pub(super) struct Making<'a> {
    public: &'a Public,
    connection: &'a mut MySqlConnection,
    now: OffsetDateTime,
    tags: TagSet,
    valid_until: Option<OffsetDateTime>,
}

impl<'a> Making<'a> {
    pub(super) fn new(public: &'a Public, connection: &'a mut MySqlConnection) -> Self {
        Self {
            public,
            connection,
            now: OffsetDateTime::now_utc(),
            tags: TagSet::new().with(Tag::settings()),
            valid_until: None,
        }
    }

    /// The answer will be another one from `change` on.
    fn until(&mut self, change: Option<OffsetDateTime>) {
        self.valid_until = match (self.valid_until, change) {
            (Some(known), Some(change)) => Some(known.min(change)),
            (known, change) => known.or(change),
        };
    }

    /// A language and the one that stands in for it.
    fn languages(&self, locale: Locale) -> (Language, Language) {
        (self.public.language(locale), self.public.default_language())
    }

    fn shows(&mut self, cards: &[Card]) {
        for card in cards {
            self.tags.insert(Tag::product(card.product_id));
        }
    }

    fn json(&mut self, value: &impl serde::Serialize) -> Result<Draft, BuildError> {
        let body = serde_json::to_vec(value).map_err(|error| BuildError::Write(Box::new(error)))?;
        Ok(Draft {
            status: 200,
            content_type: "application/json",
            body: body.into(),
            tags: std::mem::take(&mut self.tags),
            lifetime: LifetimeClass::Content,
            valid_until: self.valid_until,
            location: None,
            link: None,
        })
    }

    /// 404 or 410 that caches may keep for a moment: without anything that belongs to one request.
    fn missing(&mut self, code: Code, detail: &str) -> Result<Draft, BuildError> {
        let problem = ApiError::new(code).detail(detail).problem(None);
        Ok(Draft {
            status: code.status(),
            content_type: "application/problem+json",
            lifetime: LifetimeClass::Negative,
            ..self.json(&problem)?
        })
    }

    fn moved(&mut self, location: String) -> Draft {
        Draft {
            status: 301,
            content_type: "application/json",
            body: bytes::Bytes::new(),
            tags: std::mem::take(&mut self.tags),
            lifetime: LifetimeClass::Redirect,
            valid_until: self.valid_until,
            location: Some(location),
            link: None,
        }
    }

    /// What was found under a slug, or the answer to its not being there. Each is tagged with the slug, which another
    /// thing may take, and with the id of what is hidden.
    fn found<T>(
        &mut self,
        answer: Answer<T>,
        (kind, slug): (SlugKind, &Slug),
        tag: fn(i64) -> Tag,
        address: impl FnOnce(&Slug) -> String,
    ) -> Result<ControlFlow<Draft, T>, BuildError> {
        self.until(answer.valid_until);
        self.tags.insert(Tag::slug(kind, slug.as_str()));
        Ok(ControlFlow::Break(match answer.found {
            Lookup::Found(found) => return Ok(ControlFlow::Continue(found)),
            Lookup::Moved(to) => self.moved(address(&to)),
            Lookup::Gone(id) => {
                self.tags.insert(tag(id));
                self.missing(Code::Gone, "What had this slug was taken away for good.")?
            }
            Lookup::NotFound(id) => {
                if let Some(id) = id {
                    self.tags.insert(tag(id));
                }
                self.missing(Code::NotFound, "Nothing that is public has this slug.")?
            }
        }))
    }
}

/// What the shop is
///
/// Its name, languages and currencies.
#[utoipa::path(get, path = "/api/v1/config", tag = "shop",
    responses((status = 200, body = ShopSettings, description = "The shop")))]
pub(super) fn config(making: &mut Making<'_>) -> Result<Draft, BuildError> {
    let settings = ShopSettings::new(&making.public.site);
    making.json(&settings)
}

/// The tree of categories
///
/// All categories that the public may see, at most 1000 of them, the upper levels first.
#[utoipa::path(get, path = "/api/v1/catalog/categories", tag = "catalogue",
    params(("locale" = Option<String>, Query, description = "Language of names: one of the shop's locales. Default: its first")),
    responses((status = 200, body = CategoryTree, description = "The tree")))]
pub(super) async fn categories(
    mut making: Making<'_>,
    query: TextQuery,
) -> Result<Draft, BuildError> {
    making.tags.insert(Tag::menu());
    let (language, default) = making.languages(query.locale);
    let levels = u32::try_from(MAX_DEPTH).unwrap_or(u32::MAX);
    let nodes = store_category::navigation(making.connection, &language, &default, levels).await?;
    making.json(&CategoryTree::new(nodes))
}

/// A category
///
/// Its texts, the categories above and right below it. Its products are a listing.
#[utoipa::path(get, path = "/api/v1/catalog/categories/{slug}", tag = "catalogue",
    params(
        ("slug" = String, Path, description = "Slug of the category"),
        ("locale" = Option<String>, Query, description = "Language of texts: one of the shop's locales. Default: its first"),
    ),
    responses((status = 200, body = CategoryDetail, description = "The category")))]
pub(super) async fn category(
    mut making: Making<'_>,
    slug: &Slug,
    query: TextQuery,
) -> Result<Draft, BuildError> {
    let (language, default) = making.languages(query.locale);
    let answer =
        store_category::category_by_slug(making.connection, slug, &language, &default).await?;
    let canonical = query.to_query(&making.public.site);
    let found = making.found(answer, (SlugKind::Category, slug), Tag::category, |to| {
        join(with_segment(CATEGORIES, to), &canonical)
    })?;
    let page = match found {
        ControlFlow::Continue(page) => page,
        ControlFlow::Break(draft) => return Ok(draft),
    };
    // The names above and below it are those of the menu.
    making.tags.insert(Tag::menu());
    making.tags.insert(Tag::category(page.category.id));
    for child in &page.children {
        making.tags.insert(Tag::category(child.id));
    }
    let id = page.category.id;
    let currency = making.public.catalogue.default_currency;
    let mut images = store_category::category_pictures(making.connection, &[id], currency).await?;
    making.json(&CategoryDetail::new(page, images.remove(&id)))
}

/// Products of a category, of the whole catalogue, or found by words
///
/// A page of products with what they can be filtered by. A cursor belongs to one category, currency, order and filter.
/// With `q` the best matches come first unless `sort` says otherwise; `category` is then not taken. Of more than 1000
/// matches the best 1000 are put in order.
#[utoipa::path(get, path = "/api/v1/catalog/products", tag = "catalogue",
    params(
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("before" = Option<String>, Query, description = "`previous` of the page after"),
        ("category" = Option<String>, Query, description = "Slug of a category. Default: the whole catalogue"),
        ("currency" = Option<String>, Query, description = "Currency of prices (ISO 4217): one of the shop's. Default: its first"),
        ("filters" = Option<Object>, Query, style = Form, explode,
            description = "Filters: each a parameter `f.{code}` with values separated by commas, for the codes and values of `facets`, such as `f.color=blue,red`. Values of one code are alternatives; codes narrow each other. At most 8 codes and 32 values"),
        ("in_stock" = Option<bool>, Query, description = "Only what can be bought now. Default: false"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Products of a page. Default: 24"),
        ("locale" = Option<String>, Query, description = "Language of names: one of the shop's locales. Default: its first"),
        ("max_price" = Option<String>, Query, description = "Highest price in major units, such as `20` or `19.90`"),
        ("min_price" = Option<String>, Query, description = "Lowest price in major units"),
        ("q" = Option<String>, Query, max_length = 100, description = "Words to search for"),
        ("sort" = Option<String>, Query, description = "`featured` (default; with `q` `relevance`), `newest`, `price_asc` or `price_desc`"),
    ),
    responses((status = 200, body = ProductList, description = "The products",
        headers(("Link" = String, description = "Addresses of the next and the previous page (RFC 8288)")))))]
pub(super) async fn products(
    mut making: Making<'_>,
    query: &ProductsQuery,
) -> Result<Draft, BuildError> {
    let site = &making.public.site;
    let draft = match &query.listing.search {
        Some(words) => search(&mut making, query, words).await?,
        None => listing(&mut making, query).await?,
    };
    let (list, next, previous) = match draft {
        ControlFlow::Continue(list) => list,
        ControlFlow::Break(draft) => return Ok(draft),
    };
    let link = |cursor: Option<String>, place: fn(String) -> Cursor, relation| {
        let at = ProductsQuery {
            listing: query.listing.at(place(cursor?)),
            ..query.clone()
        };
        let address = join(PRODUCTS.to_owned(), &at.to_query(site));
        Some(format!("<{address}>; rel=\"{relation}\""))
    };
    let links: Vec<String> = [
        link(next, Cursor::After, "next"),
        link(previous, Cursor::Before, "prev"),
    ]
    .into_iter()
    .flatten()
    .collect();
    Ok(Draft {
        link: (!links.is_empty()).then(|| links.join(", ")),
        ..making.json(&list)?
    })
}

/// A list of products with the cursors of its neighbours, or an answer that is none.
type Listed = ControlFlow<Draft, (ProductList, Option<String>, Option<String>)>;

async fn search(
    making: &mut Making<'_>,
    query: &ProductsQuery,
    words: &str,
) -> Result<Listed, BuildError> {
    making.tags.insert(Tag::category(WHOLE_CATALOGUE));
    let provider = MysqlSearch::new(making.public.catalogue.locales().cloned().collect());
    let asked = SearchQuery {
        text: words.to_owned(),
        currency: query.listing.currency,
        locale: making.public.language(query.locale),
        filters: query.filters(),
        sort: search_sort(query.listing.sort),
        start: cards::start(&query.listing),
        limit: query.limit,
    };
    let found = provider
        .search(making.connection, &asked, making.now)
        .await
        .map_err(|error| search_error(error, query.listing.cursor.as_ref()))?;
    making.until(found.valid_until);
    making.shows(&found.items);
    let (next, previous) = (found.next.clone(), found.previous.clone());
    Ok(ControlFlow::Continue((found.into(), next, previous)))
}

async fn listing(making: &mut Making<'_>, query: &ProductsQuery) -> Result<Listed, BuildError> {
    let (locale, default_locale) = making.languages(query.locale);
    let category = match &query.category {
        None => WHOLE_CATALOGUE,
        Some(slug) => {
            let answer =
                store_category::category_by_slug(making.connection, slug, &locale, &default_locale)
                    .await?;
            let site = &making.public.site;
            let found = making.found(answer, (SlugKind::Category, slug), Tag::category, |to| {
                let there = ProductsQuery {
                    category: Some(to.clone()),
                    ..query.clone()
                };
                join(PRODUCTS.to_owned(), &there.to_query(site))
            })?;
            match found {
                ControlFlow::Continue(page) => page.category.id,
                ControlFlow::Break(draft) => return Ok(ControlFlow::Break(draft)),
            }
        }
    };
    making.tags.insert(Tag::category(category));
    let asked = ListingQuery {
        category,
        currency: query.listing.currency,
        locale,
        default_locale,
        sort: catalogue_sort(query.listing.sort),
        filters: query.filters(),
        start: cards::start(&query.listing),
        limit: query.limit,
    };
    let found = store_listing::listing_page(making.connection, &asked, making.now)
        .await
        .map_err(|error| listing_error(error, query.listing.cursor.as_ref()))?;
    making.until(found.valid_until);
    making.shows(&found.items);
    let (next, previous) = (found.next.clone(), found.previous.clone());
    Ok(ControlFlow::Continue((found.into(), next, previous)))
}

/// A product
///
/// Its texts, variants, prices and pictures. Availability is in words; numbers have their own answer.
#[utoipa::path(get, path = "/api/v1/catalog/products/{slug}", tag = "catalogue",
    params(
        ("slug" = String, Path, description = "Slug of the product"),
        ("currency" = Option<String>, Query, description = "Currency of prices (ISO 4217): one of the shop's. Default: its first"),
        ("locale" = Option<String>, Query, description = "Language of texts: one of the shop's locales. Default: its first"),
    ),
    responses((status = 200, body = ProductDetail, description = "The product")))]
pub(super) async fn product(
    mut making: Making<'_>,
    slug: &Slug,
    query: PricedQuery,
) -> Result<Draft, BuildError> {
    let page = match product_at(&mut making, slug, query, "").await? {
        ControlFlow::Continue(page) => page,
        ControlFlow::Break(draft) => return Ok(draft),
    };
    // The names of its categories are those of the menu.
    making.tags.insert(Tag::menu());
    making.tags.insert(Tag::product(page.id));
    making.json(&ProductDetail::from(page))
}

/// Related products
///
/// Other products of its first category. They have an answer of their own because their prices change with them: that of the
/// product stays in caches meanwhile.
#[utoipa::path(get, path = "/api/v1/catalog/products/{slug}/related", tag = "catalogue",
    params(
        ("slug" = String, Path, description = "Slug of the product"),
        ("currency" = Option<String>, Query, description = "Currency of prices (ISO 4217): one of the shop's. Default: its first"),
        ("locale" = Option<String>, Query, description = "Language of names: one of the shop's locales. Default: its first"),
    ),
    responses((status = 200, body = RelatedProducts, description = "The products")))]
pub(super) async fn related(
    mut making: Making<'_>,
    slug: &Slug,
    query: PricedQuery,
) -> Result<Draft, BuildError> {
    let (language, default) = making.languages(query.locale);
    let page = match product_at(&mut making, slug, query, RELATED).await? {
        ControlFlow::Continue(page) => page,
        ControlFlow::Break(draft) => return Ok(draft),
    };
    let cards = store_product::related_products(
        making.connection,
        &page,
        query.currency,
        &language,
        &default,
    )
    .await?;
    making.tags.insert(Tag::product(page.id));
    making.shows(&cards);
    making.json(&RelatedProducts::new(cards))
}

/// The product of a slug, or the answer to its not being there. `rest` is what follows the slug in the address.
async fn product_at(
    making: &mut Making<'_>,
    slug: &Slug,
    query: PricedQuery,
    rest: &str,
) -> Result<ControlFlow<Draft, ProductPage>, BuildError> {
    let (language, default) = making.languages(query.locale);
    let answer = store_product::product_by_slug(
        making.connection,
        slug,
        query.currency,
        &language,
        &default,
        making.now,
    )
    .await?;
    let canonical = query.to_query(&making.public.site);
    making.found(answer, (SlugKind::Product, slug), Tag::product, |to| {
        join(with_segment(PRODUCT, to) + rest, &canonical)
    })
}

/// Stock numbers
///
/// How many of each SKU can be bought, a few seconds old at most. What is not sold is left out.
#[utoipa::path(get, path = "/api/v1/catalog/availability", tag = "catalogue",
    params(("sku" = Vec<String>, Query, style = Form, explode = false, description = "1 to 50 SKUs, separated by commas; a comma within an SKU is written `%2C`")),
    responses((status = 200, body = StockNumbers, description = "The numbers")))]
pub(super) async fn availability(
    mut making: Making<'_>,
    query: &AvailabilityQuery,
) -> Result<Draft, BuildError> {
    let skus: Vec<Sku> = query.skus.iter().cloned().collect();
    let levels = store_product::availability(making.connection, &skus, making.now).await?;
    Ok(Draft {
        lifetime: LifetimeClass::Live,
        ..making.json(&StockNumbers::new(levels))?
    })
}

/// Completions of what is being typed
///
/// Names of categories, brands and products, at most ten.
#[utoipa::path(get, path = "/api/v1/catalog/search/suggest", tag = "catalogue",
    params(
        ("currency" = Option<String>, Query, description = "Only products with a price in this currency (ISO 4217). Default: the shop's first"),
        ("locale" = Option<String>, Query, description = "Language of names: one of the shop's locales. Default: its first"),
        ("q" = String, Query, max_length = 100, description = "What was typed so far"),
    ),
    responses((status = 200, body = Completions, description = "The completions")))]
pub(super) async fn suggest(
    mut making: Making<'_>,
    query: &SuggestQuery,
) -> Result<Draft, BuildError> {
    making.tags.insert(Tag::category(WHOLE_CATALOGUE));
    making.tags.insert(Tag::menu());
    let provider = MysqlSearch::new(making.public.catalogue.locales().cloned().collect());
    let currency = query.currency;
    let language = making.public.language(query.locale);
    let found = match provider
        .suggest(making.connection, &query.text, currency, &language)
        .await
    {
        Ok(found) => found,
        Err(SearchError::Empty) => Vec::new(),
        Err(error) => return Err(search_error(error, None)),
    };
    making.json(&Completions::new(found))
}

/// Pages
///
/// Pages that stay, such as the imprint, the latest published first.
#[utoipa::path(get, path = "/api/v1/content/pages", tag = "content",
    params(
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Entries of a page. Default: 24"),
        ("locale" = Option<String>, Query, description = "Language of titles: one of the shop's locales. Default: its first"),
    ),
    responses((status = 200, body = ContentList, description = "The pages")))]
pub(super) async fn pages(
    making: Making<'_>,
    query: &ContentListQuery,
) -> Result<Draft, BuildError> {
    content_list(making, Kind::Page, query).await
}

/// Posts
///
/// Posts of the blog, the latest published first.
#[utoipa::path(get, path = "/api/v1/content/posts", tag = "content",
    params(
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Entries of a page. Default: 24"),
        ("locale" = Option<String>, Query, description = "Language of titles: one of the shop's locales. Default: its first"),
    ),
    responses((status = 200, body = ContentList, description = "The posts")))]
pub(super) async fn posts(
    making: Making<'_>,
    query: &ContentListQuery,
) -> Result<Draft, BuildError> {
    content_list(making, Kind::Post, query).await
}

async fn content_list(
    mut making: Making<'_>,
    kind: Kind,
    query: &ContentListQuery,
) -> Result<Draft, BuildError> {
    // Every change of a page is purged under the coarse tag of pages, too: that of any list.
    making.tags.extend(Tag::page(0).coarse());
    let after = match &query.after {
        None => None,
        Some(cursor) => {
            let place =
                Place::decode(cursor, list_of(kind)).map_err(|error| listing_error(error, None))?;
            let nanoseconds = i128::from(place.key) * 1_000;
            OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
                .ok()
                .map(|published_at| content_store::Place {
                    published_at,
                    id: place.id,
                })
        }
    };
    let (language, default) = making.languages(query.locale);
    let mut rows = content_store::newest(
        making.connection,
        kind,
        &language,
        &default,
        making.now,
        after,
        query.limit + 1,
    )
    .await?;
    let next = content_store::next_publication(making.connection, kind, making.now).await?;
    making.until(next);
    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().filter(|_| more).and_then(|row| {
        let published_at = row.published_at?.assume_utc();
        let place = Place {
            key: i64::try_from(published_at.unix_timestamp_nanos() / 1_000).ok()?,
            id: row.id,
        };
        Some(place.encode(list_of(kind)))
    });
    let items = rows.into_iter().map(Into::into).collect();
    making.json(&ContentList { items, next })
}

/// A page
#[utoipa::path(get, path = "/api/v1/content/pages/{slug}", tag = "content",
    params(
        ("slug" = String, Path, description = "Slug of the page"),
        ("locale" = Option<String>, Query, description = "Language of texts: one of the shop's locales. Default: its first"),
    ),
    responses((status = 200, body = ContentDetail, description = "The page")))]
pub(super) async fn page(
    making: Making<'_>,
    slug: &Slug,
    query: TextQuery,
) -> Result<Draft, BuildError> {
    content(making, Kind::Page, slug, query).await
}

/// A post
#[utoipa::path(get, path = "/api/v1/content/posts/{slug}", tag = "content",
    params(
        ("slug" = String, Path, description = "Slug of the post"),
        ("locale" = Option<String>, Query, description = "Language of texts: one of the shop's locales. Default: its first"),
    ),
    responses((status = 200, body = ContentDetail, description = "The post")))]
pub(super) async fn post(
    making: Making<'_>,
    slug: &Slug,
    query: TextQuery,
) -> Result<Draft, BuildError> {
    content(making, Kind::Post, slug, query).await
}

async fn content(
    mut making: Making<'_>,
    kind: Kind,
    slug: &Slug,
    query: TextQuery,
) -> Result<Draft, BuildError> {
    let (language, default) = making.languages(query.locale);
    let row =
        content_store::by_slug(making.connection, kind, slug.as_str(), &language, &default).await?;
    // Pages have no former slugs: what is not there was not moved.
    let valid_until = row.as_ref().and_then(|row| row.becomes_public(making.now));
    let found = match row {
        Some(row) if row.is_public(making.now) => Lookup::Found(row),
        Some(row) if row.status == "archived" => Lookup::Gone(row.id),
        row => Lookup::NotFound(row.map(|row| row.id)),
    };
    let answer = Answer { found, valid_until };
    let found = making.found(answer, (SlugKind::Page, slug), Tag::page, |to| {
        with_segment("/api/v1/content/pages/", to)
    })?;
    match found {
        ControlFlow::Continue(row) => {
            making.tags.insert(Tag::page(row.id));
            making.json(&ContentDetail::from(row))
        }
        ControlFlow::Break(draft) => Ok(draft),
    }
}
