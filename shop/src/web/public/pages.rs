//! The pages of the storefront, made from the catalogue.

use sqlx::MySqlConnection;
use time::{Duration, OffsetDateTime};

use super::cards::{self, cards as shown_cards, catalogue_sort, search_sort};
use super::menu::{Surroundings, surroundings};
use super::problems::{listing_error, search_error};
use super::route::PageRoute;
use super::{BuildError, Public};
use crate::cache::Draft;
use crate::cache::page::LifetimeClass;
use crate::catalog::category::{CategoryLink, Lookup};
use crate::catalog::index::WHOLE_CATALOGUE;
use crate::catalog::listing;
use crate::catalog::model::Slug;
use crate::catalog::product::ProductPage;
use crate::catalog::{store_category, store_listing, store_product};
use crate::content::store::{self as content, Kind};
use crate::edge::tags::{SlugKind, Tag, TagSet};
use crate::search::{MysqlSearch, SearchError, SearchProvider, SearchQuery, spelling};
use crate::storefront::i18n::Locale;
use crate::storefront::urls::{Cursor, ListingPage, ListingQuery, PlainQuery};
use crate::storefront::view::{
    Attribute, BrandLink, CategoryTile, CategoryView, ContentView, Crumb, ErrorView, Hero,
    HomeView, LinkTarget, Listing, Price, ProductSection, ProductView, SearchView, Variant,
};
use crate::storefront::{self, prose};

/// Cards on one page of a listing.
const PAGE_SIZE: u32 = 24;
/// Cards in a section of the home page.
const SECTION_SIZE: u32 = 8;

/// Words of a search that suggestions are looked up for.
const SUGGESTED_WORDS: usize = 3;
/// Suggestions that are shown.
const MOST_SUGGESTIONS: usize = 10;

const HTML: &str = "text/html; charset=utf-8";

/// What the parts of one page share.
struct Making<'a> {
    public: &'a Public,
    connection: &'a mut MySqlConnection,
    sequence: i64,
    locale: Locale,
    now: OffsetDateTime,
    tags: TagSet,
    valid_until: Option<OffsetDateTime>,
}

/// Makes a page.
pub(super) async fn page(
    public: &Public,
    connection: &mut MySqlConnection,
    sequence: i64,
    locale: Locale,
    route: &PageRoute,
) -> Result<Draft, BuildError> {
    let making = Making {
        public,
        connection,
        sequence,
        locale,
        now: OffsetDateTime::now_utc(),
        tags: TagSet::new().with(Tag::menu()).with(Tag::settings()),
        valid_until: None,
    };
    match route {
        PageRoute::Home(query) => making.home(*query).await,
        PageRoute::Category(slug, query) => making.category(slug, query).await,
        PageRoute::Product(slug, query) => making.product(slug, *query).await,
        PageRoute::Search(query) => making.search(query).await,
        PageRoute::Content(slug, query) => making.content(slug, *query).await,
    }
}

impl Making<'_> {
    fn html(self, body: String, link: Option<String>) -> Draft {
        Draft {
            status: 200,
            content_type: HTML,
            body: body.into(),
            tags: self.tags,
            lifetime: LifetimeClass::Content,
            valid_until: self.valid_until,
            location: None,
            link,
        }
    }

    /// The answer will be another one from `change` on.
    fn until(&mut self, change: Option<OffsetDateTime>) {
        self.valid_until = match (self.valid_until, change) {
            (Some(known), Some(change)) => Some(known.min(change)),
            (known, change) => known.or(change),
        };
    }

    async fn surroundings(
        &mut self,
        currency: storefront::money::Currency,
    ) -> Result<Surroundings, BuildError> {
        let around = surroundings(
            self.public,
            self.connection,
            self.sequence,
            self.locale,
            currency,
        )
        .await?;
        self.until(around.until());
        Ok(around)
    }

    /// 404 or 410: short-lived, and tagged with what would make the page exist.
    async fn missing(
        mut self,
        view: ErrorView,
        kind: SlugKind,
        slug: &str,
        currency: storefront::money::Currency,
    ) -> Result<Draft, BuildError> {
        self.tags.insert(Tag::slug(kind, slug));
        let around = self.surroundings(currency).await?;
        let body = storefront::error(&view, &self.public.site, &around.frame)?;
        let status = view.status();
        Ok(Draft {
            status,
            lifetime: LifetimeClass::Negative,
            ..self.html(body, None)
        })
    }

    /// 301 to where the thing is now; tagged with the old address, which another thing may take.
    fn moved(mut self, location: String, kind: SlugKind, slug: &str) -> Draft {
        self.tags.insert(Tag::slug(kind, slug));
        Draft {
            status: 301,
            lifetime: LifetimeClass::Redirect,
            location: Some(location),
            ..self.html(String::new(), None)
        }
    }

    async fn home(mut self, query: PlainQuery) -> Result<Draft, BuildError> {
        let around = self.surroundings(query.currency).await?;
        self.tags.insert(Tag::category(WHOLE_CATALOGUE));
        let messages = self.locale.messages();
        let featured = self
            .section(query.currency, listing::Sort::Position)
            .await?;
        let newest = self.section(query.currency, listing::Sort::Newest).await?;
        let hero_picture = featured.first().and_then(|card| card.picture.clone());
        let section = |heading: &str, products: Vec<_>| ProductSection {
            heading: heading.to_owned(),
            products,
            more: None,
        };
        let view = HomeView {
            hero: Hero {
                heading: self.public.site.tagline.clone(),
                text: messages.home_text.to_owned(),
                link: around.tree().first().map(|node| storefront::view::Link {
                    label: node.category.name.clone(),
                    target: LinkTarget::Category(node.category.slug.as_str().to_owned()),
                }),
                picture: hero_picture,
            },
            categories: self
                .tiles(
                    around.tree().iter().map(|node| &node.category),
                    query.currency,
                )
                .await?,
            sections: vec![
                section(messages.our_picks, featured),
                section(messages.new_arrivals, newest),
            ]
            .into_iter()
            .filter(|section| !section.products.is_empty())
            .collect(),
            seo_title: String::new(),
            seo_description: self.public.site.tagline.clone(),
        };
        let body = storefront::home(&view, &self.public.site, &around.frame)?;
        Ok(self.html(body, None))
    }

    async fn section(
        &mut self,
        currency: storefront::money::Currency,
        sort: listing::Sort,
    ) -> Result<Vec<storefront::view::ProductCard>, BuildError> {
        let query = listing::ListingQuery {
            category: WHOLE_CATALOGUE,
            currency,
            locale: self.public.language(self.locale),
            default_locale: self.public.default_language(),
            sort,
            filters: listing::Filters::default(),
            start: listing::Start::First,
            limit: SECTION_SIZE,
        };
        let (items, valid_until) = store_listing::first_cards(self.connection, &query, self.now)
            .await
            .map_err(|error| listing_error(error, None))?;
        self.until(valid_until);
        Ok(shown_cards(&items, &mut self.tags, self.now))
    }

    /// Tiles of categories, each with a picture of what is in it. Their counts are read for them: those of the menu are as old as
    /// the menu.
    async fn tiles<'c>(
        &mut self,
        categories: impl Iterator<Item = &'c CategoryLink>,
        currency: storefront::money::Currency,
    ) -> Result<Vec<CategoryTile>, BuildError> {
        let categories: Vec<&CategoryLink> = categories.take(12).collect();
        let ids: Vec<i64> = categories.iter().map(|category| category.id).collect();
        self.tags.extend(ids.iter().copied().map(Tag::category));
        let counts = store_category::category_counts(self.connection, &ids).await?;
        let mut pictures =
            store_category::category_pictures(self.connection, &ids, currency).await?;
        Ok(categories
            .into_iter()
            .map(|category| CategoryTile {
                slug: category.slug.as_str().to_owned(),
                name: category.name.clone(),
                picture: pictures.remove(&category.id).as_ref().map(cards::picture),
                count: counts
                    .get(&category.id)
                    .and_then(|count| u64::try_from(*count).ok())
                    .filter(|count| *count > 0),
            })
            .collect())
    }

    async fn category(mut self, slug: &str, query: &ListingQuery) -> Result<Draft, BuildError> {
        let (language, default) = (
            self.public.language(self.locale),
            self.public.default_language(),
        );
        let Ok(wanted) = slug.parse::<Slug>() else {
            return self
                .missing(
                    ErrorView::NotFound,
                    SlugKind::Category,
                    slug,
                    query.currency,
                )
                .await;
        };
        let answer =
            store_category::category_by_slug(self.connection, &wanted, &language, &default).await?;
        self.until(answer.valid_until);
        let category = match answer.found {
            Lookup::Found(category) => category,
            Lookup::Moved(to) => {
                let urls = self.public.site.urls(self.locale, query.currency);
                let location = urls.category_listing(to.as_str(), query);
                return Ok(self.moved(location, SlugKind::Category, slug));
            }
            Lookup::Gone(_) => {
                let view = ErrorView::Gone { category: None };
                return self
                    .missing(view, SlugKind::Category, slug, query.currency)
                    .await;
            }
            Lookup::NotFound(_) => {
                return self
                    .missing(
                        ErrorView::NotFound,
                        SlugKind::Category,
                        slug,
                        query.currency,
                    )
                    .await;
            }
        };
        self.tags.insert(Tag::category(category.category.id));
        self.tags.insert(Tag::slug(SlugKind::Category, slug));
        let asked = listing::ListingQuery {
            category: category.category.id,
            currency: query.currency,
            locale: language,
            default_locale: default,
            sort: catalogue_sort(query.sort),
            filters: cards::filters(query),
            start: cards::start(query),
            limit: PAGE_SIZE,
        };
        let found = store_listing::listing_page(self.connection, &asked, self.now)
            .await
            .map_err(|error| listing_error(error, query.cursor.as_ref()))?;
        self.until(found.valid_until);
        let around = self.surroundings(query.currency).await?;
        let products = shown_cards(&found.items, &mut self.tags, self.now);
        let children = self.tiles(category.children.iter(), query.currency).await?;
        let view = CategoryView {
            slug: category.category.slug.as_str().to_owned(),
            name: category.category.name.clone(),
            description: prose::parse(&category.description),
            ancestors: category.breadcrumbs.iter().map(crumb).collect(),
            children,
            listing: Listing {
                page: ListingPage::Category,
                query: query.clone(),
                total: Some(cards::total(found.total)),
                facets: cards::facets(found.facets),
                price_bounds: found.price_bounds,
                previous: found.previous.map(Cursor::Before),
                next: found.next.map(Cursor::After),
                products,
            },
            locales: self.public.site.locales.clone(),
            seo_title: category.seo_title,
            seo_description: category.seo_description,
            picture: None,
        };
        let body = storefront::category(&view, &self.public.site, &around.frame)?;
        Ok(self.html(body, None))
    }

    async fn product(mut self, slug: &str, query: PlainQuery) -> Result<Draft, BuildError> {
        let Ok(wanted) = slug.parse::<Slug>() else {
            return self
                .missing(ErrorView::NotFound, SlugKind::Product, slug, query.currency)
                .await;
        };
        let answer = store_product::product_by_slug(
            self.connection,
            &wanted,
            query.currency,
            &self.public.language(self.locale),
            &self.public.default_language(),
            self.now,
        )
        .await?;
        self.until(answer.valid_until);
        let product = match answer.found {
            Lookup::Found(product) => product,
            Lookup::Moved(to) => {
                let location = self
                    .public
                    .site
                    .urls(self.locale, query.currency)
                    .product(to.as_str());
                return Ok(self.moved(location, SlugKind::Product, slug));
            }
            Lookup::Gone(id) => {
                self.tags.insert(Tag::product(id));
                let view = ErrorView::Gone { category: None };
                return self
                    .missing(view, SlugKind::Product, slug, query.currency)
                    .await;
            }
            Lookup::NotFound(id) => {
                if let Some(id) = id {
                    self.tags.insert(Tag::product(id));
                }
                return self
                    .missing(ErrorView::NotFound, SlugKind::Product, slug, query.currency)
                    .await;
            }
        };
        self.tags.insert(Tag::product(product.id));
        self.tags.insert(Tag::slug(SlugKind::Product, slug));
        let around = self.surroundings(query.currency).await?;
        let related = store_product::related_products(
            self.connection,
            &product,
            query.currency,
            &self.public.language(self.locale),
            &self.public.default_language(),
        )
        .await?;
        let related = shown_cards(&related, &mut self.tags, self.now);
        let view = product_view(self.public, &product, related, self.now);
        let body = storefront::product(&view, &self.public.site, &around.frame)?;
        Ok(self.html(body, None))
    }

    async fn search(mut self, query: &ListingQuery) -> Result<Draft, BuildError> {
        self.tags.insert(Tag::category(WHOLE_CATALOGUE));
        let around = self.surroundings(query.currency).await?;
        let provider = MysqlSearch::new(self.public.catalogue.locales().cloned().collect());
        let text = query.search.clone().unwrap_or_default();
        let asked = SearchQuery {
            text: text.clone(),
            currency: query.currency,
            locale: self.public.language(self.locale),
            filters: cards::filters(query),
            sort: search_sort(query.sort),
            start: cards::start(query),
            limit: PAGE_SIZE,
        };
        let mut listing = Listing {
            page: ListingPage::Search,
            query: query.clone(),
            products: Vec::new(),
            total: None,
            facets: Vec::new(),
            price_bounds: None,
            previous: None,
            next: None,
        };
        let mut suggestions = Vec::new();
        let mut did_you_mean = None;
        match provider.search(self.connection, &asked, self.now).await {
            Ok(found) => {
                self.until(found.valid_until);
                listing.products = shown_cards(&found.items, &mut self.tags, self.now);
                listing.total = Some(cards::total(found.total));
                listing.facets = cards::facets(found.facets);
                listing.price_bounds = found.price_bounds;
                listing.previous = found.previous.map(Cursor::Before);
                listing.next = found.next.map(Cursor::After);
                if listing.products.is_empty() {
                    suggestions = self.suggestions(&provider, &asked).await?;
                    did_you_mean = spelling::meant(&asked.text, &suggestions);
                }
            }
            // Nothing to search for: the page shows its form.
            Err(SearchError::Empty) => {}
            Err(error) => return Err(search_error(error, query.cursor.as_ref())),
        }
        let categories = if listing.products.is_empty() {
            self.tiles(
                around.tree().iter().map(|node| &node.category),
                query.currency,
            )
            .await?
        } else {
            Vec::new()
        };
        let view = SearchView {
            listing,
            did_you_mean,
            suggestions,
            categories,
        };
        let body = storefront::search(&view, &self.public.site, &around.frame)?;
        Ok(self.html(body, None))
    }

    async fn suggestions(
        &mut self,
        provider: &MysqlSearch,
        asked: &SearchQuery,
    ) -> Result<Vec<String>, BuildError> {
        let mut suggestions: Vec<String> = Vec::new();
        for word in asked.text.split_whitespace().take(SUGGESTED_WORDS) {
            // The beginning of a word finds what a misspelt end does not.
            let beginning: String = word.chars().take(3).collect();
            match provider
                .suggest(self.connection, &beginning, asked.currency, &asked.locale)
                .await
            {
                Ok(found) => {
                    for suggestion in found {
                        if !suggestions.contains(&suggestion.text) {
                            suggestions.push(suggestion.text);
                        }
                    }
                }
                Err(SearchError::Empty) => {}
                Err(error) => return Err(search_error(error, None)),
            }
        }
        suggestions.truncate(MOST_SUGGESTIONS);
        Ok(suggestions)
    }

    async fn content(mut self, slug: &str, query: PlainQuery) -> Result<Draft, BuildError> {
        let (language, default) = (
            self.public.language(self.locale),
            self.public.default_language(),
        );
        let found =
            content::by_slug(self.connection, Kind::Page, slug, &language, &default).await?;
        if let Some(row) = &found {
            self.tags.insert(Tag::page(row.id));
            self.until(row.becomes_public(self.now));
        }
        let row = match found {
            Some(row) if row.is_public(self.now) => row,
            Some(row) if row.status == "archived" => {
                let view = ErrorView::Gone { category: None };
                return self
                    .missing(view, SlugKind::Page, slug, query.currency)
                    .await;
            }
            _ => {
                return self
                    .missing(ErrorView::NotFound, SlugKind::Page, slug, query.currency)
                    .await;
            }
        };
        self.tags.insert(Tag::slug(SlugKind::Page, slug));
        let around = self.surroundings(query.currency).await?;
        let view = ContentView {
            slug: row.slug,
            title: row.title,
            body: prose::parse(&row.body),
            updated_on: Some(row.updated_at.date()),
            locales: self.public.site.locales.clone(),
            seo_description: row.seo_description,
        };
        let body = storefront::content(&view, &self.public.site, &around.frame)?;
        Ok(self.html(body, None))
    }
}

fn product_view(
    public: &Public,
    product: &ProductPage,
    related: Vec<storefront::view::ProductCard>,
    now: OffsetDateTime,
) -> ProductView {
    let variants = product
        .variants
        .iter()
        .filter_map(|variant| {
            let values = product
                .options
                .iter()
                .filter_map(|option| {
                    option
                        .values
                        .iter()
                        .find(|value| variant.option_values.contains(&value.id))
                        .map(|value| value.label.clone())
                })
                .collect();
            Some(Variant {
                sku: variant.sku.as_str().to_owned(),
                gtin: Some(variant.barcode.clone()).filter(|barcode| !barcode.is_empty()),
                values,
                price: Price {
                    amount: variant.price?,
                    compare_at: variant.compare_at,
                    lowest_30_days: variant.lowest_before_reduction,
                    valid_until: variant
                        .price_until
                        .map(|until| (until - Duration::MICROSECOND).date()),
                },
                availability: cards::availability(variant.band),
                picture: product
                    .media
                    .iter()
                    .position(|media| media.variant_id == Some(variant.id)),
            })
        })
        .collect();
    ProductView {
        slug: product.slug.as_str().to_owned(),
        name: product.name.clone(),
        brand: product.brand.as_ref().map(|brand| BrandLink {
            name: brand.name.clone(),
            target: Some(LinkTarget::Search(brand.name.clone())),
        }),
        categories: product.breadcrumbs().iter().map(crumb).collect(),
        pictures: product
            .media
            .iter()
            .map(|media| cards::picture(&media.image))
            .collect(),
        options: product
            .options
            .iter()
            .map(|option| option.name.clone())
            .collect(),
        variants,
        description: prose::parse(&product.description),
        attributes: product
            .attributes
            .iter()
            .map(|attribute| Attribute {
                name: attribute.name.clone(),
                values: attribute
                    .values
                    .iter()
                    .map(|value| match attribute.unit.as_str() {
                        "" => value.clone(),
                        unit => format!("{value} {unit}"),
                    })
                    .collect(),
            })
            .collect(),
        tags: product.tags.clone(),
        related,
        is_new: cards::is_new(product.published_at, now),
        locales: public.site.locales.clone(),
        seo_title: product.seo_title.clone(),
        seo_description: product.seo_description.clone(),
    }
}

fn crumb(category: &CategoryLink) -> Crumb {
    Crumb {
        slug: category.slug.as_str().to_owned(),
        name: category.name.clone(),
    }
}
