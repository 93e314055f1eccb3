//! The addresses of the public pages: one page, one address.
//!
//! Pages link to canonical addresses only, and the origin redirects every other spelling to the canonical one with the
//! same code, so that a cache never holds a page twice (invariant 2). A query is written as a browser writes a form
//! (`application/x-www-form-urlencoded`, WHATWG URL 5.2), because then a form that was filled in needs no redirect;
//! parameters are in the order of their names. The comma that separates values of a filter is the only byte beyond that.

mod listing;
mod query;

pub use listing::{Cursor, ListingPage, ListingQuery, ListingRules, Parsed, Sort};
pub(crate) use query::{Pair, currency, decode_value, join_sorted, pairs};
pub use query::{PlainQuery, QueryProblem};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use super::i18n::Locale;
use super::money::Currency;

/// Bytes that a path segment keeps: the unreserved characters of RFC 3986.
pub(crate) const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Builds the addresses of the pages of one language in one currency, as paths from the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urls {
    /// Language of the pages.
    pub locale: Locale,
    /// Currency of the prices on them.
    pub currency: Currency,
    /// The currency that these pages have without a parameter.
    pub default_currency: Currency,
}

impl Urls {
    /// The same pages in the default currency, whose addresses are the canonical ones for search engines.
    #[must_use]
    pub const fn in_default_currency(self) -> Self {
        Self {
            currency: self.default_currency,
            ..self
        }
    }

    /// `/en`
    #[must_use]
    pub fn home(&self) -> String {
        self.with_currency(format!("/{}", self.locale.segment()))
    }

    /// `/en/c/mugs`: a category without filters.
    #[must_use]
    pub fn category(&self, slug: &str) -> String {
        self.with_currency(self.path("c", slug))
    }

    /// `/en/c/mugs?f.color=blue`: a category with filters, order and place.
    #[must_use]
    pub fn category_listing(&self, slug: &str, query: &ListingQuery) -> String {
        join(
            self.path("c", slug),
            &query.to_query(ListingPage::Category, self.default_currency),
        )
    }

    /// `/en/p/stone-mug`
    #[must_use]
    pub fn product(&self, slug: &str) -> String {
        self.with_currency(self.path("p", slug))
    }

    /// `/en/pages/shipping`
    #[must_use]
    pub fn page(&self, slug: &str) -> String {
        self.with_currency(self.path("pages", slug))
    }

    /// `/en/search`: where the search form posts to; it carries its own parameters.
    #[must_use]
    pub fn search_action(&self) -> String {
        format!("/{}/search", self.locale.segment())
    }

    /// `/en/search?q=mug`
    #[must_use]
    pub fn search(&self, words: &str) -> String {
        let query = ListingQuery {
            search: Some(words.to_owned()),
            ..ListingQuery::empty(self.currency)
        };
        self.search_listing(&query)
    }

    /// `/en/search?f.color=blue&q=mug`: a search with filters, order and place.
    #[must_use]
    pub fn search_listing(&self, query: &ListingQuery) -> String {
        join(
            self.search_action(),
            &query.to_query(ListingPage::Search, self.default_currency),
        )
    }

    /// `/en/account`: private, as all below it.
    #[must_use]
    pub fn account(&self) -> String {
        self.with_currency(format!("/{}/account", self.locale.segment()))
    }

    /// `/en/cart`: private, as all below it.
    #[must_use]
    pub fn cart(&self) -> String {
        self.with_currency(format!("/{}/cart", self.locale.segment()))
    }

    /// `/en/cart/lines`: where the form of a product puts it into the cart.
    #[must_use]
    pub fn cart_lines(&self) -> String {
        self.with_currency(format!("/{}/cart/lines", self.locale.segment()))
    }

    /// The parameter that a GET form of this page has to carry, if any: name and value.
    #[must_use]
    pub fn currency_parameter(&self) -> Option<&'static str> {
        (self.currency != self.default_currency).then(|| self.currency.as_str())
    }

    fn path(&self, kind: &str, slug: &str) -> String {
        format!(
            "/{}/{kind}/{}",
            self.locale.segment(),
            utf8_percent_encode(slug, PATH_SEGMENT)
        )
    }

    fn with_currency(&self, path: String) -> String {
        let query = PlainQuery {
            currency: self.currency,
        }
        .to_query(self.default_currency);
        join(path, &query)
    }
}

pub(crate) fn join(path: String, query: &str) -> String {
    if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    }
}

/// One name or value of a query as a browser's form writes it.
pub(crate) fn encode_component(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A size in which pictures are served: the picture is scaled down to fit a square of this many pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// 96 pixels: thumbnails of the gallery.
    Thumb,
    /// 400 pixels: product cards.
    Card,
    /// 800 pixels: product page and tiles.
    Detail,
    /// 1600 pixels: dense screens and zoom.
    Zoom,
}

impl Preset {
    /// Every preset, smallest first.
    pub const ALL: [Self; 4] = [Self::Thumb, Self::Card, Self::Detail, Self::Zoom];

    /// Its name in the address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::Card => "card",
            Self::Detail => "detail",
            Self::Zoom => "zoom",
        }
    }

    /// The preset with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Side of the square in pixels.
    #[must_use]
    pub const fn side(self) -> u32 {
        match self {
            Self::Thumb => 96,
            Self::Card => 400,
            Self::Detail => 800,
            Self::Zoom => 1600,
        }
    }

    /// The size of a picture of `width` × `height` pixels in this preset. Small pictures are not blown up.
    #[must_use]
    pub fn fit(self, width: u32, height: u32) -> (u32, u32) {
        let longest = width.max(height).max(1);
        if longest <= self.side() {
            return (width.max(1), height.max(1));
        }
        let scale = |length: u32| {
            let rounded = (u64::from(length) * u64::from(self.side()) + u64::from(longest) / 2)
                / u64::from(longest);
            u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
        };
        (scale(width), scale(height))
    }
}

/// `/media/{hash}/{preset}`: where a picture is served from for ever. Its format is the answer's `Content-Type`.
#[must_use]
pub fn media(hash: &str, preset: Preset) -> String {
    format!(
        "/media/{}/{}",
        utf8_percent_encode(hash, PATH_SEGMENT),
        preset.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const EUROS: Urls = Urls {
        locale: Locale::En,
        currency: Currency::EUR,
        default_currency: Currency::EUR,
    };
    const DOLLARS: Urls = Urls {
        locale: Locale::ZhCn,
        currency: Currency::USD,
        default_currency: Currency::EUR,
    };

    #[test]
    fn pages_have_short_addresses() {
        assert_eq!(EUROS.home(), "/en");
        assert_eq!(EUROS.category("mugs"), "/en/c/mugs");
        assert_eq!(EUROS.product("stone-mug"), "/en/p/stone-mug");
        assert_eq!(EUROS.page("shipping"), "/en/pages/shipping");
        assert_eq!(EUROS.search("stone mug"), "/en/search?q=stone+mug");
        assert_eq!(EUROS.search("  "), "/en/search");
    }

    #[test]
    fn another_currency_is_a_parameter() {
        assert_eq!(DOLLARS.home(), "/zh-cn?currency=USD");
        assert_eq!(DOLLARS.product("mug"), "/zh-cn/p/mug?currency=USD");
        assert_eq!(
            DOLLARS.search("茶 杯"),
            "/zh-cn/search?currency=USD&q=%E8%8C%B6+%E6%9D%AF"
        );
        assert_eq!(DOLLARS.currency_parameter(), Some("USD"));
        assert_eq!(DOLLARS.in_default_currency().home(), "/zh-cn");
    }

    #[test]
    fn a_hostile_slug_stays_one_segment() {
        assert_eq!(
            EUROS.product("a/../b?c#d\"<茶>"),
            "/en/p/a%2F..%2Fb%3Fc%23d%22%3C%E8%8C%B6%3E"
        );
        assert_eq!(media("ab/../c", Preset::Card), "/media/ab%2F..%2Fc/card");
    }

    #[test]
    fn pictures_keep_their_shape_and_are_not_blown_up() {
        assert_eq!(Preset::Card.fit(1200, 1200), (400, 400));
        assert_eq!(Preset::Card.fit(1200, 600), (400, 200));
        assert_eq!(Preset::Card.fit(601, 1200), (200, 400));
        assert_eq!(Preset::Zoom.fit(1200, 900), (1200, 900));
        assert_eq!(Preset::Thumb.fit(1, 100_000), (1, 96));
        assert_eq!(Preset::Thumb.fit(0, 0), (1, 1));
    }
}
