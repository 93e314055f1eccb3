//! The storefront's pages: view models in, HTML out.
//!
//! A page is the same for every visitor: nothing here knows a request, a cookie or a session (invariant 1), so a page can
//! be kept by every cache on its way. The functions of this module take what a page shows ([`view`]), what surrounds it
//! ([`Site`] and [`Frame`]), and write it; where the data comes from is not their business.

pub mod assets;
pub mod countries;
pub mod i18n;
pub mod money;
pub mod prose;
pub mod seo;
pub mod urls;
pub mod view;

#[cfg(test)]
mod fixture;
mod listing;
mod page;
mod product;
#[cfg(test)]
mod render_tests;

use askama::Template;

use self::i18n::Locale;
use self::listing::ListingContent;
use self::page::{Lead, Page, PageKind};
use self::product::ProductContent;
use self::prose::{Block, Inline};
use self::seo::{Meta, Preview, Robots};
use self::urls::{Preset, Urls};
use self::view::{CategoryView, ContentView, Crumb, ErrorView, Frame, HomeView, SearchView, Site};

/// Longest description for search engines, in characters: they show little more.
const DESCRIPTION_CHARACTERS: usize = 160;

/// `sizes` of the picture beside the head of the home page.
const HERO_SIZES: &str = "(min-width: 60rem) 45rem, 100vw";
/// `sizes` of the main picture of a product.
const PRODUCT_SIZES: &str = "(min-width: 60rem) 42rem, 100vw";

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    page: Page<'a>,
    view: &'a HomeView,
}

#[derive(Template)]
#[template(path = "category.html")]
struct CategoryPage<'a> {
    page: Page<'a>,
    view: &'a CategoryView,
    content: ListingContent<'a>,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage<'a> {
    page: Page<'a>,
    view: &'a SearchView,
    words: &'a str,
    content: ListingContent<'a>,
}

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage<'a> {
    page: Page<'a>,
    content: ProductContent<'a>,
}

#[derive(Template)]
#[template(path = "content.html")]
struct ContentPage<'a> {
    page: Page<'a>,
    /// A content page is directly below the home page.
    crumbs: &'a [Crumb],
    view: &'a ContentView,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    page: Page<'a>,
    title: &'static str,
    text: &'static str,
    problems: &'a [String],
    request_id: Option<&'a str>,
    category: Option<&'a Crumb>,
    /// Whether going on is a matter of asking again; then there is nothing to search in.
    is_temporary: bool,
}

#[derive(Template)]
#[template(path = "private.html")]
struct PrivatePage<'a> {
    page: Page<'a>,
    content: &'a str,
}

/// Writes the home page.
///
/// # Errors
/// When formatting fails, which no view makes happen.
pub fn home(view: &HomeView, site: &Site, frame: &Frame) -> Result<String, askama::Error> {
    let urls = site.urls(frame.locale, frame.currency);
    let assets = assets::assets();
    let title = if view.seo_title.is_empty() {
        format!("{} – {}", site.name, site.tagline)
    } else {
        view.seo_title.clone()
    };
    let description = first_filled([&view.seo_description, &view.hero.text, &site.tagline]);
    let path = |urls: &Urls| urls.home();
    let meta = Meta {
        title,
        description: description.to_owned(),
        canonical: Some(format!(
            "{}{}",
            site.origin,
            urls.in_default_currency().home()
        )),
        alternates: seo::alternates(site, &site.locales, path),
        robots: Robots::Index,
        preview: Preview::new("website", view.hero.picture.as_ref(), site),
        structured: vec![
            seo::to_script(&seo::organization(site, &assets.icon.url())),
            seo::to_script(&seo::web_site(site, &urls)),
        ],
    };
    let lead = view.hero.picture.as_ref().map(|picture| Lead {
        picture,
        sizes: HERO_SIZES,
    });
    let page = Page::new(
        site,
        frame,
        meta,
        PageKind::Home,
        lead,
        &site.locales,
        &path,
    );
    HomePage { page, view }.render()
}

/// Writes a category page.
///
/// # Errors
/// When formatting fails, which no view makes happen.
pub fn category(view: &CategoryView, site: &Site, frame: &Frame) -> Result<String, askama::Error> {
    let urls = site.urls(frame.locale, frame.currency);
    let query = &view.listing.query;
    let path = |urls: &Urls| {
        urls.category_listing(
            &view.slug,
            &query.from_beginning().in_currency(urls.currency),
        )
    };
    let plain_path = |urls: &Urls| urls.category(&view.slug);
    let default_urls = urls.in_default_currency();
    let is_plain = !query.is_filtered() && query.sort.is_none();
    let canonical = if is_plain {
        default_urls.category_listing(
            &view.slug,
            &query.in_currency_at_place(default_urls.currency),
        )
    } else {
        plain_path(&default_urls)
    };
    let steps = crumb_steps(
        &default_urls,
        frame.locale,
        &view.ancestors,
        (&view.name, plain_path(&default_urls)),
    );
    let excerpt = prose::excerpt(&view.description, DESCRIPTION_CHARACTERS);
    let meta = Meta {
        title: format!(
            "{} – {}",
            first_filled([&view.seo_title, &view.name, ""]),
            site.name
        ),
        description: first_filled([&view.seo_description, &excerpt, ""]).to_owned(),
        canonical: Some(format!("{}{canonical}", site.origin)),
        alternates: if is_plain && query.cursor.is_none() {
            seo::alternates(site, &view.locales, plain_path)
        } else {
            Vec::new()
        },
        robots: if is_plain {
            Robots::Index
        } else {
            Robots::NoIndex
        },
        preview: Preview::new("website", view.picture.as_ref(), site),
        structured: vec![
            seo::to_script(&seo::breadcrumbs(site, &steps)),
            seo::to_script(&seo::item_list(site, &urls, &view.listing.products)),
        ],
    };
    let content = ListingContent::new(
        &view.listing,
        frame.locale,
        &|query| urls.category_listing(&view.slug, query),
        &urls.category(&view.slug),
    );
    let page = Page::new(
        site,
        frame,
        meta,
        PageKind::Listing,
        content.lead(),
        &view.locales,
        &path,
    );
    CategoryPage {
        page,
        view,
        content,
    }
    .render()
}

/// Writes a search page.
///
/// # Errors
/// When formatting fails, which no view makes happen.
pub fn search(view: &SearchView, site: &Site, frame: &Frame) -> Result<String, askama::Error> {
    let urls = site.urls(frame.locale, frame.currency);
    let query = &view.listing.query;
    let words = query.search.as_deref().unwrap_or_default();
    let path =
        |urls: &Urls| urls.search_listing(&query.from_beginning().in_currency(urls.currency));
    let text = frame.locale.messages();
    let heading = if words.is_empty() {
        text.search_title.to_owned()
    } else {
        (text.results_for)(words)
    };
    let meta = Meta {
        title: format!("{heading} – {}", site.name),
        description: String::new(),
        canonical: Some(format!(
            "{}{}",
            site.origin,
            urls.in_default_currency().search(words)
        )),
        alternates: Vec::new(),
        robots: Robots::NoIndex,
        preview: Preview::new("website", None, site),
        structured: vec![seo::to_script(&seo::item_list(
            site,
            &urls,
            &view.listing.products,
        ))],
    };
    let content = ListingContent::new(
        &view.listing,
        frame.locale,
        &|query| urls.search_listing(query),
        &urls.search_action(),
    );
    let mut page = Page::new(
        site,
        frame,
        meta,
        PageKind::Listing,
        content.lead(),
        &site.locales,
        &path,
    );
    page.search_words = words;
    SearchPage {
        page,
        view,
        words,
        content,
    }
    .render()
}

/// Writes a product page.
///
/// # Errors
/// When formatting fails, which no view makes happen.
pub fn product(
    view: &view::ProductView,
    site: &Site,
    frame: &Frame,
) -> Result<String, askama::Error> {
    let urls = site.urls(frame.locale, frame.currency);
    let default_urls = urls.in_default_currency();
    let path = |urls: &Urls| urls.product(&view.slug);
    let steps = crumb_steps(
        &default_urls,
        frame.locale,
        &view.categories,
        (&view.name, path(&default_urls)),
    );
    let excerpt = prose::excerpt(&view.description, DESCRIPTION_CHARACTERS);
    let description = first_filled([&view.seo_description, &excerpt, ""]);
    let meta = Meta {
        title: format!(
            "{} – {}",
            first_filled([&view.seo_title, &view.name, ""]),
            site.name
        ),
        description: description.to_owned(),
        canonical: Some(format!("{}{}", site.origin, path(&default_urls))),
        alternates: seo::alternates(site, &view.locales, path),
        robots: Robots::Index,
        preview: Preview::new("product", view.pictures.first(), site),
        structured: vec![
            seo::to_script(&seo::product(site, &urls, view, description)),
            seo::to_script(&seo::breadcrumbs(site, &steps)),
        ],
    };
    let lead = view.pictures.first().map(|picture| Lead {
        picture,
        sizes: PRODUCT_SIZES,
    });
    let page = Page::new(
        site,
        frame,
        meta,
        PageKind::Product,
        lead,
        &view.locales,
        &path,
    );
    ProductPage {
        page,
        content: ProductContent::new(view),
    }
    .render()
}

/// Writes a content page.
///
/// # Errors
/// When formatting fails, which no view makes happen.
pub fn content(view: &ContentView, site: &Site, frame: &Frame) -> Result<String, askama::Error> {
    let urls = site.urls(frame.locale, frame.currency);
    let default_urls = urls.in_default_currency();
    let path = |urls: &Urls| urls.page(&view.slug);
    let steps = crumb_steps(
        &default_urls,
        frame.locale,
        &[],
        (&view.title, path(&default_urls)),
    );
    let excerpt = prose::excerpt(&view.body, DESCRIPTION_CHARACTERS);
    let meta = Meta {
        title: format!("{} – {}", view.title, site.name),
        description: first_filled([&view.seo_description, &excerpt, ""]).to_owned(),
        canonical: Some(format!("{}{}", site.origin, path(&default_urls))),
        alternates: seo::alternates(site, &view.locales, path),
        robots: Robots::Index,
        preview: Preview::new("article", None, site),
        structured: vec![seo::to_script(&seo::breadcrumbs(site, &steps))],
    };
    let page = Page::new(
        site,
        frame,
        meta,
        PageKind::Content,
        None,
        &view.locales,
        &path,
    );
    ContentPage {
        page,
        crumbs: &[],
        view,
    }
    .render()
}

/// Writes an error page. It never repeats the address that was asked for.
///
/// # Errors
/// When formatting fails, which no view makes happen.
pub fn error(view: &ErrorView, site: &Site, frame: &Frame) -> Result<String, askama::Error> {
    let text = frame.locale.messages();
    let (title, sentence) = match view {
        ErrorView::NotFound => (text.not_found_title, text.not_found_text),
        ErrorView::Gone { .. } => (text.gone_title, text.gone_text),
        ErrorView::BadRequest { .. } => (text.bad_request_title, text.bad_request_text),
        ErrorView::Unavailable => (text.unavailable_title, text.unavailable_text),
        ErrorView::Maintenance => (text.maintenance_title, text.maintenance_text),
        ErrorView::Failure { .. } => (text.failure_title, text.failure_text),
    };
    let (problems, request_id, category): (&[String], Option<&str>, Option<&Crumb>) = match view {
        ErrorView::BadRequest { problems } => (problems, None, None),
        ErrorView::Failure { request_id } => (&[], Some(request_id), None),
        ErrorView::Gone { category } => (&[], None, category.as_ref()),
        ErrorView::NotFound | ErrorView::Unavailable | ErrorView::Maintenance => (&[], None, None),
    };
    let is_temporary = matches!(
        view,
        ErrorView::Unavailable | ErrorView::Maintenance | ErrorView::Failure { .. }
    );
    let meta = Meta {
        title: format!("{title} – {}", site.name),
        description: String::new(),
        canonical: None,
        alternates: Vec::new(),
        robots: Robots::Nothing,
        preview: Preview::new("website", None, site),
        structured: Vec::new(),
    };
    let page = Page::new(
        site,
        frame,
        meta,
        PageKind::Error,
        None,
        &site.locales,
        &|urls| urls.home(),
    );
    ErrorPage {
        page,
        title,
        text: sentence,
        problems,
        request_id,
        category,
        is_temporary,
    }
    .render()
}

/// Writes a page that belongs to one visitor: `content` is HTML of a domain's own template, `path` the address of the page in
/// another language or currency. It has no canonical address and no entry in any search engine.
///
/// # Errors
/// When formatting fails, which no view makes happen.
pub fn private(
    title: &str,
    content: &str,
    site: &Site,
    frame: &Frame,
    path: &dyn Fn(&Urls) -> String,
) -> Result<String, askama::Error> {
    let meta = Meta {
        title: format!("{title} – {}", site.name),
        description: String::new(),
        canonical: None,
        alternates: Vec::new(),
        robots: Robots::Nothing,
        preview: Preview::new("website", None, site),
        structured: Vec::new(),
    };
    let page = Page::new(
        site,
        frame,
        meta,
        PageKind::Private,
        None,
        &site.locales,
        path,
    );
    PrivatePage { page, content }.render()
}

/// The first text that is not empty.
fn first_filled(texts: [&str; 3]) -> &str {
    texts
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// The way to a page with addresses, for search engines.
fn crumb_steps(
    urls: &Urls,
    locale: Locale,
    ancestors: &[Crumb],
    own: (&str, String),
) -> Vec<(String, String)> {
    let mut steps = vec![(locale.messages().home.to_owned(), urls.home())];
    steps.extend(
        ancestors
            .iter()
            .map(|crumb| (crumb.name.clone(), urls.category(&crumb.slug))),
    );
    steps.push((own.0.to_owned(), own.1));
    steps
}
