//! What a page shows: plain data that others fill from the catalogue and the pages turn into HTML.
//!
//! Texts are in the language of the page. Nothing here is markup; everything is escaped when it is written.

use super::i18n::Locale;
use super::money::{Currency, Money};
use super::prose::Block;
use super::urls::{Cursor, ListingPage, ListingQuery, Preset, Urls, media};

/// What is the same on every page of a shop.
#[derive(Clone, Debug)]
pub struct Site {
    /// Name of the shop, as in its header.
    pub name: String,
    /// One line about the shop, for the footer and for search engines.
    pub tagline: String,
    /// Scheme and host without a slash at the end: `https://shop.example`. Absolute addresses are made from it alone.
    pub origin: String,
    /// Languages on offer, the default first.
    pub locales: Vec<Locale>,
    /// Currencies on offer, the default first.
    pub currencies: Vec<Currency>,
    /// Where shoppers can write to, if the shop says so.
    pub email: Option<String>,
}

impl Site {
    /// The language that visitors get who ask for none on offer.
    #[must_use]
    pub fn default_locale(&self) -> Locale {
        self.locales.first().copied().unwrap_or(Locale::En)
    }

    /// The currency of pages whose address names none.
    #[must_use]
    pub fn default_currency(&self) -> Currency {
        self.currencies.first().copied().unwrap_or(Currency::EUR)
    }

    /// The addresses of the pages in `locale` and `currency`.
    #[must_use]
    pub fn urls(&self, locale: Locale, currency: Currency) -> Urls {
        Urls {
            locale,
            currency,
            default_currency: self.default_currency(),
        }
    }
}

/// What surrounds the content of a page.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Language of the page.
    pub locale: Locale,
    /// Currency of its prices.
    pub currency: Currency,
    /// Top categories in their order.
    pub menu: Vec<MenuCategory>,
    /// Columns of links at the end of the page.
    pub footer: Vec<LinkGroup>,
}

impl Frame {
    /// A frame for pages that must not need the database: errors and maintenance.
    #[must_use]
    pub const fn bare(locale: Locale, currency: Currency) -> Self {
        Self {
            locale,
            currency,
            menu: Vec::new(),
            footer: Vec::new(),
        }
    }
}

/// A top category of the menu.
#[derive(Clone, Debug)]
pub struct MenuCategory {
    /// Slug of the category.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What is below it, one or two levels.
    pub children: Vec<MenuCategory>,
}

/// Links under a heading.
#[derive(Clone, Debug)]
pub struct LinkGroup {
    /// The heading.
    pub heading: String,
    /// The links.
    pub links: Vec<Link>,
}

/// A link to a page of the shop.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its text.
    pub label: String,
    /// Where it leads.
    pub target: LinkTarget,
}

/// A page of the shop; the address follows from the language and currency of the page that links to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// The home page.
    Home,
    /// The category with this slug.
    Category(String),
    /// The product with this slug.
    Product(String),
    /// The content page with this slug.
    Page(String),
    /// The results of a search for these words.
    Search(String),
}

impl LinkTarget {
    /// The address in the language and currency of `urls`.
    #[must_use]
    pub fn url(&self, urls: &Urls) -> String {
        match self {
            Self::Home => urls.home(),
            Self::Category(slug) => urls.category(slug),
            Self::Product(slug) => urls.product(slug),
            Self::Page(slug) => urls.page(slug),
            Self::Search(words) => urls.search(words),
        }
    }
}

/// A picture of the media store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// SHA-256 of the original, in hexadecimal.
    pub hash: String,
    /// Width of the original in pixels.
    pub width: u32,
    /// Height of the original in pixels.
    pub height: u32,
    /// What is to be seen. Where it is empty, a text is made of the name of what is shown.
    pub alt: String,
}

impl Picture {
    /// Where it is in one size.
    #[must_use]
    pub fn url(&self, preset: Preset) -> String {
        media(&self.hash, preset)
    }

    /// Its width in one size.
    #[must_use]
    pub fn width_in(&self, preset: Preset) -> u32 {
        preset.fit(self.width, self.height).0
    }

    /// Its height in one size.
    #[must_use]
    pub fn height_in(&self, preset: Preset) -> u32 {
        preset.fit(self.width, self.height).1
    }

    /// The `srcset` attribute from the card size up. Sizes that would be the same picture are named once.
    #[must_use]
    pub fn srcset(&self) -> String {
        let mut candidates: Vec<String> = Vec::new();
        let mut widest = 0;
        for preset in [Preset::Card, Preset::Detail, Preset::Zoom] {
            let width = self.width_in(preset);
            if width > widest {
                candidates.push(format!("{} {width}w", self.url(preset)));
                widest = width;
            }
        }
        candidates.join(", ")
    }

    /// Its own text, or `fallback` where it has none.
    #[must_use]
    pub fn alt_or<'text>(&'text self, fallback: &'text str) -> &'text str {
        if self.alt.is_empty() {
            fallback
        } else {
            &self.alt
        }
    }
}

/// How much there is, as coarsely as a cached page may say it (invariant 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// Enough.
    InStock,
    /// A few.
    Low,
    /// None.
    Out,
}

impl Availability {
    /// Class name of its style.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::InStock => "in-stock",
            Self::Low => "low",
            Self::Out => "out",
        }
    }

    /// The schema.org `ItemAvailability`.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::InStock => "https://schema.org/InStock",
            Self::Low => "https://schema.org/LimitedAvailability",
            Self::Out => "https://schema.org/OutOfStock",
        }
    }
}

/// The price of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// What it costs now.
    pub amount: Money,
    /// What it cost before a reduction, or the recommended price.
    pub compare_at: Option<Money>,
    /// The lowest price of the 30 days before the reduction; has to be shown with one in the EU.
    pub lowest_30_days: Option<Money>,
    /// The day on which the price is known to end.
    pub valid_until: Option<time::Date>,
}

impl Price {
    /// A price without anything around it.
    #[must_use]
    pub const fn plain(amount: Money) -> Self {
        Self {
            amount,
            compare_at: None,
            lowest_30_days: None,
            valid_until: None,
        }
    }

    /// The former price, where it really was higher.
    #[must_use]
    pub fn reduced_from(&self) -> Option<Money> {
        self.compare_at
            .filter(|before| before.minor > self.amount.minor)
    }

    /// The reduction in whole percent, rounded down so that it never promises too much.
    #[must_use]
    pub fn percent_off(&self) -> Option<u64> {
        let before = u64::try_from(self.reduced_from()?.minor).ok()?;
        let now = u64::try_from(self.amount.minor).ok()?;
        let percent = before
            .checked_sub(now)?
            .checked_mul(100)?
            .checked_div(before)?;
        (percent > 0).then_some(percent)
    }
}

/// A product in a grid.
#[derive(Clone, Debug)]
pub struct ProductCard {
    /// Slug of the product.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Name of its brand.
    pub brand: Option<String>,
    /// Its first picture.
    pub picture: Option<Picture>,
    /// The price of its cheapest variant.
    pub price: Price,
    /// Whether its variants have different prices, so that the price above is where they start.
    pub price_varies: bool,
    /// The best availability among its variants.
    pub availability: Availability,
    /// Whether it is marked as new.
    pub is_new: bool,
}

/// The home page.
#[derive(Clone, Debug)]
pub struct HomeView {
    /// The first thing that is seen.
    pub hero: Hero,
    /// Categories with pictures.
    pub categories: Vec<CategoryTile>,
    /// Rows of products, such as new and featured ones.
    pub sections: Vec<ProductSection>,
    /// Title for search engines; the name of the shop where it is empty.
    pub seo_title: String,
    /// Description for search engines; the tagline where it is empty.
    pub seo_description: String,
}

/// The head of the home page.
#[derive(Clone, Debug)]
pub struct Hero {
    /// The heading of the page.
    pub heading: String,
    /// A sentence or two.
    pub text: String,
    /// Where to begin.
    pub link: Option<Link>,
    /// The picture beside it.
    pub picture: Option<Picture>,
}

/// A category with its picture.
#[derive(Clone, Debug)]
pub struct CategoryTile {
    /// Slug of the category.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its picture.
    pub picture: Option<Picture>,
    /// How many products are in and under it, where known.
    pub count: Option<u64>,
}

/// A row of products under a heading.
#[derive(Clone, Debug)]
pub struct ProductSection {
    /// The heading.
    pub heading: String,
    /// The products.
    pub products: Vec<ProductCard>,
    /// Where there are more of them.
    pub more: Option<LinkTarget>,
}

/// A step on the way from the home page to a page; the page itself is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crumb {
    /// Slug of the category.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// A category page.
#[derive(Clone, Debug)]
pub struct CategoryView {
    /// Slug of the category.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What is in it.
    pub description: Vec<Block>,
    /// Its ancestors, from the top.
    pub ancestors: Vec<Crumb>,
    /// The categories directly below it.
    pub children: Vec<CategoryTile>,
    /// Its products.
    pub listing: Listing,
    /// The languages in which the category exists.
    pub locales: Vec<Locale>,
    /// Title for search engines; the name where it is empty.
    pub seo_title: String,
    /// Description for search engines.
    pub seo_description: String,
    /// A picture of the category for link previews.
    pub picture: Option<Picture>,
}

/// Products with everything that narrows and orders them.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The kind of page that it is on.
    pub page: ListingPage,
    /// What the address asked for.
    pub query: ListingQuery,
    /// The products of this page.
    pub products: Vec<ProductCard>,
    /// How many there are in all, where it was counted.
    pub total: Option<Total>,
    /// What they can be narrowed by.
    pub facets: Vec<Facet>,
    /// Lowest and highest price of the unfiltered listing, as a hint beside the price range.
    pub price_bounds: Option<(Money, Money)>,
    /// The page before this one.
    pub previous: Option<Cursor>,
    /// The page after this one.
    pub next: Option<Cursor>,
}

/// A count that may have ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// Exactly so many.
    Exactly(u64),
    /// Counting ended here.
    AtLeast(u64),
}

/// An attribute that a listing can be narrowed by.
#[derive(Clone, Debug)]
pub struct Facet {
    /// Code of the attribute.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its values in the order in which they are shown.
    pub values: Vec<FacetValue>,
}

/// A value of an attribute.
#[derive(Clone, Debug)]
pub struct FacetValue {
    /// The value as addresses have it.
    pub value: String,
    /// The value as it is read, with its unit.
    pub label: String,
    /// How many products it would show, given the filters on all other attributes.
    pub count: u64,
}

/// A product page.
#[derive(Clone, Debug)]
pub struct ProductView {
    /// Slug of the product.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its brand.
    pub brand: Option<BrandLink>,
    /// The way to its main category, which is the last step.
    pub categories: Vec<Crumb>,
    /// Its pictures, the main one first.
    pub pictures: Vec<Picture>,
    /// Names of its options, such as colour and size.
    pub options: Vec<String>,
    /// What can be bought, in order; at least one.
    pub variants: Vec<Variant>,
    /// The description.
    pub description: Vec<Block>,
    /// Rows of the table of details.
    pub attributes: Vec<Attribute>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Products like it.
    pub related: Vec<ProductCard>,
    /// Whether it is marked as new.
    pub is_new: bool,
    /// The languages in which the product exists.
    pub locales: Vec<Locale>,
    /// Title for search engines; the name where it is empty.
    pub seo_title: String,
    /// Description for search engines; the beginning of the description where it is empty.
    pub seo_description: String,
}

/// A brand, and where its products are.
#[derive(Clone, Debug)]
pub struct BrandLink {
    /// Its name.
    pub name: String,
    /// A page of its products.
    pub target: Option<LinkTarget>,
}

/// What is sold: a product in one combination of its options.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Stock keeping unit.
    pub sku: String,
    /// Global trade item number, if it has one.
    pub gtin: Option<String>,
    /// One value for each option of the product, in their order.
    pub values: Vec<String>,
    /// Its price.
    pub price: Price,
    /// How much there is.
    pub availability: Availability,
    /// Which of the product's pictures shows it, counted from zero.
    pub picture: Option<usize>,
}

/// A row of the table of details.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Name of the attribute.
    pub name: String,
    /// Its values with their unit.
    pub values: Vec<String>,
}

/// A search page.
#[derive(Clone, Debug)]
pub struct SearchView {
    /// The results. The words are in its query; without words there are none.
    pub listing: Listing,
    /// The words that were perhaps meant.
    pub did_you_mean: Option<String>,
    /// Other searches worth trying.
    pub suggestions: Vec<String>,
    /// Categories offered when nothing was found.
    pub categories: Vec<CategoryTile>,
}

/// A content page.
#[derive(Clone, Debug)]
pub struct ContentView {
    /// Slug of the page.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Its content.
    pub body: Vec<Block>,
    /// The day of its last change.
    pub updated_on: Option<time::Date>,
    /// The languages in which the page exists.
    pub locales: Vec<Locale>,
    /// Description for search engines; the beginning of the content where it is empty.
    pub seo_description: String,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorView {
    /// 404: there is no such page.
    NotFound,
    /// 410: there was such a page.
    Gone {
        /// The nearest category above what was there.
        category: Option<Crumb>,
    },
    /// 400: the address makes no sense.
    BadRequest {
        /// What is wrong with it, one sentence each.
        problems: Vec<String>,
    },
    /// 503: something that the shop needs does not answer.
    Unavailable,
    /// 503: the shop was closed on purpose.
    Maintenance,
    /// 500: our mistake.
    Failure {
        /// Number of the request, by which it is found in the logs.
        request_id: String,
    },
}

impl ErrorView {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Gone { .. } => 410,
            Self::BadRequest { .. } => 400,
            Self::Unavailable | Self::Maintenance => 503,
            Self::Failure { .. } => 500,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(now: i64, before: Option<i64>) -> Price {
        let euros = |amount| Money::new(amount, Currency::EUR);
        Price {
            compare_at: before.map(euros),
            ..Price::plain(euros(now))
        }
    }

    #[test]
    fn a_reduction_never_promises_too_much() {
        assert_eq!(price(8_001, Some(10_000)).percent_off(), Some(19));
        assert_eq!(price(8_000, Some(10_000)).percent_off(), Some(20));
        assert_eq!(price(9_999, Some(10_000)).percent_off(), None);
        assert_eq!(price(10_000, Some(10_000)).percent_off(), None);
        assert_eq!(price(12_000, Some(10_000)).percent_off(), None);
        assert_eq!(price(0, Some(10_000)).percent_off(), Some(100));
        assert_eq!(price(10_000, None).percent_off(), None);
    }

    #[test]
    fn a_small_picture_is_named_once() {
        let picture = |width, height| Picture {
            hash: "abc".to_owned(),
            width,
            height,
            alt: String::new(),
        };
        assert_eq!(picture(300, 300).srcset(), "/media/abc/card 300w");
        assert_eq!(
            picture(1200, 600).srcset(),
            "/media/abc/card 400w, /media/abc/detail 800w, /media/abc/zoom 1200w"
        );
    }
}
