//! The public JSON API: catalogue, content and settings of the shop, for programs.
//!
//! An answer depends on its address alone, like a page: [`resolve`] turns an address into an [`ApiRoute`] or leads to its
//! one canonical spelling, and [`answer`] makes the answer with the tags of everything that is in it.

mod answer;
mod description;
pub mod query;
mod view;
mod view_content;

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use sqlx::MySqlConnection;

use self::query::{
    AvailabilityQuery, ContentListQuery, NoQuery, PricedQuery, ProductsQuery, Query, SuggestQuery,
    TextQuery,
};
use super::route::{self, Resolved, Route};
use super::{BuildError, Public};
use crate::cache::Draft;
use crate::catalog::model::Slug;
use crate::content::store::Kind;
use crate::storefront::urls::{PATH_SEGMENT, join};
use crate::storefront::view::Site;

pub use description::description;

/// An answer of the API.
#[derive(Debug, Clone)]
pub enum ApiRoute {
    /// `/api/v1/config`
    Config,
    /// `/api/v1/catalog/categories`: the tree.
    Categories(TextQuery),
    /// `/api/v1/catalog/categories/{slug}`
    Category(Slug, TextQuery),
    /// `/api/v1/catalog/products`: a listing, or a search.
    Products(Box<ProductsQuery>),
    /// `/api/v1/catalog/products/{slug}`
    Product(Slug, PricedQuery),
    /// `/api/v1/catalog/products/{slug}/related`
    Related(Slug, PricedQuery),
    /// `/api/v1/catalog/availability`
    Availability(AvailabilityQuery),
    /// `/api/v1/catalog/search/suggest`
    Suggest(SuggestQuery),
    /// `/api/v1/content/pages` and `/api/v1/content/posts`
    ContentList(Kind, ContentListQuery),
    /// `/api/v1/content/pages/{slug}` and `/api/v1/content/posts/{slug}`
    Content(Kind, Slug, TextQuery),
}

/// Resolves what follows `/api/v1/`.
pub(super) fn resolve(segments: &[&str], query: &str, site: &Site) -> Resolved {
    let asked = format!("/api/v1/{}", segments.join("/"));
    let at = |route: fn(TextQuery) -> ApiRoute| with_query(&asked, &asked, query, site, route);
    match segments {
        ["config"] => with_query(&asked, &asked, query, site, |NoQuery| ApiRoute::Config),
        ["catalog", "categories"] => at(ApiRoute::Categories),
        ["catalog", "categories", slug] => with_slug(&asked, slug, query, site, ApiRoute::Category),
        ["catalog", "products"] => with_query(&asked, &asked, query, site, |query| {
            ApiRoute::Products(Box::new(query))
        }),
        ["catalog", "products", slug] => with_slug(&asked, slug, query, site, ApiRoute::Product),
        ["catalog", "products", slug, "related"] => with_slug_before(
            &asked,
            slug,
            answer::RELATED,
            query,
            site,
            ApiRoute::Related,
        ),
        ["catalog", "availability"] => {
            with_query(&asked, &asked, query, site, ApiRoute::Availability)
        }
        ["catalog", "search", "suggest"] => {
            with_query(&asked, &asked, query, site, ApiRoute::Suggest)
        }
        ["content", kind] => match kind_of(kind) {
            Some(kind) => with_query(&asked, &asked, query, site, |query| {
                ApiRoute::ContentList(kind, query)
            }),
            None => Resolved::NotFound(None),
        },
        ["content", kind, slug] => match kind_of(kind) {
            Some(kind) => with_slug(&asked, slug, query, site, |slug, query| {
                ApiRoute::Content(kind, slug, query)
            }),
            None => Resolved::NotFound(None),
        },
        _ => Resolved::NotFound(None),
    }
}

fn kind_of(segment: &str) -> Option<Kind> {
    match segment {
        "pages" => Some(Kind::Page),
        "posts" => Some(Kind::Post),
        _ => None,
    }
}

/// The address of a thing with a slug: `prefix` ends with a slash.
fn with_segment(prefix: &str, slug: &Slug) -> String {
    format!(
        "{prefix}{}",
        utf8_percent_encode(slug.as_str(), PATH_SEGMENT)
    )
}

/// Resolves an address that ends with a slug.
fn with_slug<Q: Query>(
    asked: &str,
    segment: &str,
    query: &str,
    site: &Site,
    route: impl FnOnce(Slug, Q) -> ApiRoute,
) -> Resolved {
    with_slug_before(asked, segment, "", query, site, route)
}

/// Resolves an address that ends with a slug, which may be encoded in other ways than ours, and `rest`.
fn with_slug_before<Q: Query>(
    asked: &str,
    segment: &str,
    rest: &str,
    query: &str,
    site: &Site,
    route: impl FnOnce(Slug, Q) -> ApiRoute,
) -> Resolved {
    let decoded = percent_decode_str(segment).decode_utf8().ok();
    let Some(slug) = decoded.and_then(|slug| slug.parse::<Slug>().ok()) else {
        return Resolved::NotFound(None);
    };
    let before = asked.strip_suffix(rest).unwrap_or_default();
    let prefix = before.strip_suffix(segment).unwrap_or_default();
    let path = with_segment(prefix, &slug) + rest;
    with_query(asked, &path, query, site, |query| route(slug, query))
}

/// Resolves an address with its query: `path` is the canonical spelling of the `asked` one.
fn with_query<Q: Query>(
    asked: &str,
    path: &str,
    query: &str,
    site: &Site,
    route: impl FnOnce(Q) -> ApiRoute,
) -> Resolved {
    match Q::parse(query, site) {
        Ok(parsed) => {
            let canonical = parsed.to_query(site);
            if asked == path && canonical == query {
                Resolved::Route(Route::Api(route(parsed)))
            } else {
                Resolved::Redirect(join(path.to_owned(), &canonical))
            }
        }
        Err(problems) => route::bad_request(None, &problems),
    }
}

/// Makes an answer.
pub(super) async fn answer(
    public: &Public,
    connection: &mut MySqlConnection,
    route: &ApiRoute,
) -> Result<Draft, BuildError> {
    let mut making = answer::Making::new(public, connection);
    match route {
        ApiRoute::Config => answer::config(&mut making),
        ApiRoute::Categories(query) => answer::categories(making, *query).await,
        ApiRoute::Category(slug, query) => answer::category(making, slug, *query).await,
        ApiRoute::Products(query) => answer::products(making, query).await,
        ApiRoute::Product(slug, query) => answer::product(making, slug, *query).await,
        ApiRoute::Related(slug, query) => answer::related(making, slug, *query).await,
        ApiRoute::Availability(query) => answer::availability(making, query).await,
        ApiRoute::Suggest(query) => answer::suggest(making, query).await,
        ApiRoute::ContentList(Kind::Page, query) => answer::pages(making, query).await,
        ApiRoute::ContentList(Kind::Post, query) => answer::posts(making, query).await,
        ApiRoute::Content(Kind::Page, slug, query) => answer::page(making, slug, *query).await,
        ApiRoute::Content(Kind::Post, slug, query) => answer::post(making, slug, *query).await,
    }
}

#[cfg(test)]
mod tests;
