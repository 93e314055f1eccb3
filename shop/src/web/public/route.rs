//! Which public answer an address names. Pure, and strict: one answer, one address.
//!
//! A path that is not exactly one of the shop's is not "about the same": whatever stands between (encoded slashes, dot
//! segments, parameters after a semicolon) is refused, so that no cache can be made to see another address than we do.

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::api::{self, ApiRoute};
use crate::media::model::{MediaHash, Preset};
use crate::storefront::assets::{self, Asset};
use crate::storefront::i18n::Locale;
use crate::storefront::urls::{
    ListingPage, ListingQuery, ListingRules, PATH_SEGMENT, Parsed, PlainQuery,
};
use crate::storefront::view::Site;

/// Longest target that is looked at.
pub const MAXIMUM_TARGET: usize = 4096;
/// Longest slug, in characters: what the columns hold.
const MAXIMUM_SLUG: usize = 190;

/// A public answer.
#[derive(Debug, Clone)]
pub enum Route {
    /// `/`: leads to the home page of the default language.
    Root,
    /// A page in a language.
    Page(Locale, PageRoute),
    /// An answer of the JSON API.
    Api(ApiRoute),
    /// `/sitemap.xml`
    SitemapIndex,
    /// `/sitemaps/{name}.xml`
    Sitemap(String),
    /// `/robots.txt`
    Robots,
    /// `/openapi.json`
    OpenApi,
    /// `/assets/{name}.{hash}.{extension}`
    Asset(&'static Asset),
    /// `/favicon.ico`: browsers ask for it whatever the page says.
    Favicon,
}

/// A page.
#[derive(Debug, Clone)]
pub enum PageRoute {
    /// The home page.
    Home(PlainQuery),
    /// A category.
    Category(String, Box<ListingQuery>),
    /// A product.
    Product(String, PlainQuery),
    /// Search results.
    Search(Box<ListingQuery>),
    /// A content page.
    Content(String, PlainQuery),
}

/// What an address turned out to be.
#[derive(Debug, Clone)]
pub enum Resolved {
    /// A public answer under its canonical address.
    Route(Route),
    /// A picture: immutable, and too large for the page cache.
    Media {
        /// Which picture.
        hash: MediaHash,
        /// In which size.
        preset: Preset,
    },
    /// Another spelling of a canonical address.
    Redirect(String),
    /// A value that its parameter cannot have.
    BadRequest(Option<Locale>, Vec<(String, String)>),
    /// None of the shop's.
    NotFound(Option<Locale>),
}

/// Resolves a target.
#[must_use]
pub fn resolve(path: &str, query: &str, site: &Site) -> Resolved {
    if path == "/" {
        return plain(Route::Root, path, query);
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Resolved::NotFound(None);
    };
    if let Some(trimmed) = rest.strip_suffix('/').filter(|rest| !rest.ends_with('/')) {
        return match resolve(&format!("/{trimmed}"), query, site) {
            Resolved::Route(_) => Resolved::Redirect(join(&format!("/{trimmed}"), query)),
            redirect @ Resolved::Redirect(_) => redirect,
            _ => Resolved::NotFound(None),
        };
    }
    let segments: Vec<&str> = rest.split('/').collect();
    match segments.as_slice() {
        ["sitemap.xml"] => plain(Route::SitemapIndex, path, query),
        ["sitemaps", name] => match name.strip_suffix(".xml") {
            Some(name) if is_plain(name) => plain(Route::Sitemap(name.to_owned()), path, query),
            _ => Resolved::NotFound(None),
        },
        ["robots.txt"] => plain(Route::Robots, path, query),
        ["openapi.json"] => plain(Route::OpenApi, path, query),
        ["favicon.ico"] => plain(Route::Favicon, path, query),
        ["assets", name] => match assets::find(name) {
            Some(asset) => plain(Route::Asset(asset), path, query),
            None => Resolved::NotFound(None),
        },
        ["media", hash, preset] => media(hash, preset, path, query),
        ["api", "v1", rest @ ..] => api::resolve(rest, query, site),
        [locale, rest @ ..] => page(locale, rest, query, site),
        [] => Resolved::NotFound(None),
    }
}

fn page(segment: &str, rest: &[&str], query: &str, site: &Site) -> Resolved {
    let Some(locale) = Locale::from_segment(segment) else {
        // The tag as other programs write it, zh-CN, is another spelling of zh-cn.
        return match Locale::from_tag(segment) {
            Some(locale) => Resolved::Redirect(join(
                &std::iter::once(locale.segment())
                    .chain(rest.iter().copied())
                    .fold(String::new(), |path, segment| path + "/" + segment),
                query,
            )),
            None => Resolved::NotFound(None),
        };
    };
    if !site.locales.contains(&locale) {
        return Resolved::NotFound(None);
    }
    match rest {
        [] => plain_page(locale, query, site, PageRoute::Home, |urls| urls.home()),
        ["p", slug] => with_slug(locale, "p", slug, query, |slug| {
            plain_page(
                locale,
                query,
                site,
                |query| PageRoute::Product(slug.clone(), query),
                |urls| urls.product(&slug),
            )
        }),
        ["pages", slug] => with_slug(locale, "pages", slug, query, |slug| {
            plain_page(
                locale,
                query,
                site,
                |query| PageRoute::Content(slug.clone(), query),
                |urls| urls.page(&slug),
            )
        }),
        ["c", slug] => with_slug(locale, "c", slug, query, |slug| {
            listing(
                locale,
                query,
                site,
                ListingPage::Category,
                |query| PageRoute::Category(slug.clone(), Box::new(query)),
                |urls, query| urls.category_listing(&slug, query),
            )
        }),
        ["search"] => listing(
            locale,
            query,
            site,
            ListingPage::Search,
            |query| PageRoute::Search(Box::new(query)),
            |urls, query| urls.search_listing(query),
        ),
        _ => Resolved::NotFound(Some(locale)),
    }
}

/// Decodes a slug. Another encoding of the same slug redirects to the one that pages link to.
fn with_slug(
    locale: Locale,
    kind: &str,
    raw: &str,
    query: &str,
    resolve: impl FnOnce(String) -> Resolved,
) -> Resolved {
    match percent_decode_str(raw).decode_utf8() {
        Ok(slug)
            if !slug.is_empty()
                && slug.chars().count() <= MAXIMUM_SLUG
                && !slug
                    .chars()
                    .any(|character| character.is_control() || "/\\;?#%".contains(character))
                && !slug.chars().all(|character| character == '.') =>
        {
            let canonical = utf8_percent_encode(&slug, PATH_SEGMENT).to_string();
            match resolve(slug.into_owned()) {
                Resolved::Route(_) if canonical != raw => Resolved::Redirect(join(
                    &format!("/{}/{kind}/{canonical}", locale.segment()),
                    query,
                )),
                resolved => resolved,
            }
        }
        _ => Resolved::NotFound(Some(locale)),
    }
}

fn plain_page(
    locale: Locale,
    query: &str,
    site: &Site,
    route: impl FnOnce(PlainQuery) -> PageRoute,
    address: impl FnOnce(crate::storefront::urls::Urls) -> String,
) -> Resolved {
    match PlainQuery::parse(query, &site.currencies, site.default_currency()) {
        Ok((parsed, true)) => Resolved::Route(Route::Page(locale, route(parsed))),
        Ok((parsed, false)) => Resolved::Redirect(address(site.urls(locale, parsed.currency))),
        Err(problems) => bad_request(Some(locale), &problems),
    }
}

fn listing(
    locale: Locale,
    query: &str,
    site: &Site,
    page: ListingPage,
    route: impl FnOnce(ListingQuery) -> PageRoute,
    address: impl FnOnce(crate::storefront::urls::Urls, &ListingQuery) -> String,
) -> Resolved {
    let rules = ListingRules {
        page,
        currencies: &site.currencies,
        default_currency: site.default_currency(),
    };
    match ListingQuery::parse(query, rules) {
        Ok(Parsed::Canonical(parsed)) => Resolved::Route(Route::Page(locale, route(parsed))),
        Ok(Parsed::Redirect(parsed)) => {
            Resolved::Redirect(address(site.urls(locale, parsed.currency), &parsed))
        }
        Err(problems) => bad_request(Some(locale), &problems),
    }
}

pub(super) fn bad_request(
    locale: Option<Locale>,
    problems: &[crate::storefront::urls::QueryProblem],
) -> Resolved {
    use crate::storefront::urls::QueryProblem;
    let named = problems.iter().map(|problem| {
        let parameter = match problem {
            QueryProblem::NotText { parameter } | QueryProblem::Value { parameter, .. } => {
                parameter.clone()
            }
            QueryProblem::TooLong | QueryProblem::TooManyParameters => String::new(),
        };
        (parameter, problem.to_string())
    });
    Resolved::BadRequest(locale, named.collect())
}

fn media(hash: &str, preset: &str, path: &str, query: &str) -> Resolved {
    match MediaHash::parse(hash).zip(Preset::parse(preset)) {
        Some(_) if !query.is_empty() => Resolved::Redirect(path.to_owned()),
        Some((hash, preset)) => Resolved::Media { hash, preset },
        None => Resolved::NotFound(None),
    }
}

/// An answer that takes no parameters.
fn plain(route: Route, path: &str, query: &str) -> Resolved {
    if query.is_empty() {
        Resolved::Route(route)
    } else {
        Resolved::Redirect(path.to_owned())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn join(path: &str, query: &str) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storefront::money::Currency;

    fn site() -> Site {
        Site {
            name: "Shop".to_owned(),
            tagline: String::new(),
            origin: "https://shop.example".to_owned(),
            locales: vec![Locale::En, Locale::ZhCn],
            currencies: vec![Currency::USD, Currency::EUR],
            email: None,
        }
    }

    fn kind(target: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match resolve(path, query, &site()) {
            Resolved::Route(Route::Page(locale, _)) => format!("page {}", locale.segment()),
            Resolved::Route(_) => "route".to_owned(),
            Resolved::Media { .. } => "media".to_owned(),
            Resolved::Redirect(to) => format!("-> {to}"),
            Resolved::BadRequest(..) => "bad".to_owned(),
            Resolved::NotFound(_) => "none".to_owned(),
        }
    }

    #[test]
    fn one_answer_has_one_address() {
        let hash = "a".repeat(64);
        for (target, expected) in [
            ("/", "route"),
            ("/?utm=1", "-> /"),
            ("/en", "page en"),
            ("/en/", "-> /en"),
            ("/en?currency=USD", "-> /en"),
            ("/en?currency=EUR", "page en"),
            ("/en?currency=XXX", "bad"),
            ("/zh-CN/p/a", "-> /zh-cn/p/a"),
            ("/en/p/stone-mug", "page en"),
            ("/en/p/stone-mug?b=1&a=2", "-> /en/p/stone-mug"),
            ("/en/p/%73tone-mug", "-> /en/p/stone-mug"),
            ("/zh-cn/p/%e8%8c%b6", "-> /zh-cn/p/%E8%8C%B6"),
            (
                "/en/c/mugs?f.color=red&currency=EUR",
                "-> /en/c/mugs?currency=EUR&f.color=red",
            ),
            ("/robots.txt", "route"),
            ("/sitemaps/products-1.xml", "route"),
            (&format!("/media/{hash}/card"), "media"),
            (
                &format!("/media/{hash}/card?x"),
                &format!("-> /media/{hash}/card"),
            ),
        ] {
            assert_eq!(kind(target), expected, "{target}");
        }
    }

    #[test]
    fn what_looks_like_another_address_is_none() {
        for target in [
            "//en",
            "/en//p/a",
            "/en/p/a%2Fb",
            "/en/p/a;x=1",
            "/en/p/..",
            "/en/p/%2e%2e",
            "/en/p/a/b.css",
            "/en/p/",
            "/fr",
            "/EN/x",
            "/media/abc/card",
            "/assets/none.css",
            "/sitemaps/../x.xml",
            "/en/p/a%00",
            "/en/p/%ff",
        ] {
            let found = kind(target);
            assert!(
                found == "none" || target == "/EN/x" && found.starts_with("->"),
                "{target}: {found}"
            );
        }
    }
}
