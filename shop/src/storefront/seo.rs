//! What search engines and link previews read.

pub mod sitemap;
mod structured;

pub use sitemap::{
    MAX_SHARD_URLS, SitemapEntry, SitemapError, SitemapShard, robots_txt, sitemap_index,
    sitemap_shard,
};
pub use structured::{breadcrumbs, item_list, organization, product, to_script, web_site};

use super::i18n::Locale;
use super::urls::{Preset, Urls};
use super::view::{Picture, Site};

/// The policy of every storefront page. Pages hold no code of their own (structured data is not run, so it needs no
/// hash), no style attributes, and nothing of anybody else's.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; base-uri 'none'; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; img-src 'self'; manifest-src 'self'; script-src 'self'; style-src 'self'";

/// Whether search engines may list a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Robots {
    /// They may.
    Index,
    /// They may follow its links but not list it: filtered and sorted listings, searches.
    NoIndex,
    /// It is an error.
    Nothing,
}

impl Robots {
    /// Content of the `robots` element and header.
    #[must_use]
    pub const fn content(self) -> &'static str {
        match self {
            Self::Index => "index,follow,max-image-preview:large",
            Self::NoIndex => "noindex,follow",
            Self::Nothing => "noindex",
        }
    }
}

/// A page in another language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// `hreflang`: a BCP 47 tag, or `x-default`.
    pub language: &'static str,
    /// The absolute address.
    pub url: String,
}

/// The preview of a page where it is shared (Open Graph protocol).
#[derive(Clone, Debug)]
pub struct Preview {
    /// `og:type`
    pub kind: &'static str,
    /// The absolute address of a picture, its width and its height.
    pub picture: Option<(String, u32, u32)>,
}

impl Preview {
    pub(super) fn new(kind: &'static str, picture: Option<&Picture>, site: &Site) -> Self {
        let picture = picture.map(|picture| {
            let preset = Preset::Zoom;
            (
                format!("{}{}", site.origin, picture.url(preset)),
                picture.width_in(preset),
                picture.height_in(preset),
            )
        });
        Self { kind, picture }
    }
}

/// Everything in the head of a page that is not about its looks.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Title of the browser tab and of the entry in search results.
    pub title: String,
    /// Text of the entry in search results; not written where empty.
    pub description: String,
    /// The absolute address that this page is known by; none for errors.
    pub canonical: Option<String>,
    /// The page in every language, this one included, and the one for everybody else.
    pub alternates: Vec<Alternate>,
    /// Whether it may be listed.
    pub robots: Robots,
    /// How it looks when shared.
    pub preview: Preview,
    /// Structured data, ready to stand in script elements.
    pub structured: Vec<String>,
}

/// The page in every language in which it exists; the shop's default language, where there is one, is for everybody else.
#[must_use]
pub fn alternates(
    site: &Site,
    locales: &[Locale],
    path: impl Fn(&Urls) -> String,
) -> Vec<Alternate> {
    let url = |locale: Locale| {
        format!(
            "{}{}",
            site.origin,
            path(&site.urls(locale, site.default_currency()))
        )
    };
    let offered: Vec<Locale> = site
        .locales
        .iter()
        .copied()
        .filter(|locale| locales.contains(locale))
        .collect();
    // Languages of one page alone say nothing.
    let Some(fallback) = offered.first().copied().filter(|_| offered.len() > 1) else {
        return Vec::new();
    };
    let mut found: Vec<Alternate> = offered
        .iter()
        .map(|locale| Alternate {
            language: locale.tag(),
            url: url(*locale),
        })
        .collect();
    found.push(Alternate {
        language: "x-default",
        url: url(fallback),
    });
    found
}
