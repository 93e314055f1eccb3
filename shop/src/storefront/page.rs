//! What every page has around its content.

use super::assets::{Assets, assets};
use super::i18n::{Locale, Messages};
use super::money::{Currency, Money};
use super::seo::Meta;
use super::urls::{Preset, Urls};
use super::view::{Frame, Picture, Price, ProductCard, Site};

/// The kind of a page, for its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Home,
    Listing,
    Product,
    Content,
    Private,
    Error,
}

impl PageKind {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Home => "home-page",
            Self::Listing => "listing-page",
            Self::Product => "product-page",
            Self::Content => "content-page",
            Self::Private => "private-page",
            Self::Error => "error-page",
        }
    }
}

/// The largest picture at the top of a page: it is fetched before anything else.
pub(super) struct Lead<'a> {
    pub(super) picture: &'a Picture,
    pub(super) sizes: &'static str,
}

impl Lead<'_> {
    pub(super) fn url(&self) -> String {
        self.picture.url(Preset::Detail)
    }
}

/// The same page in another language or currency.
pub(super) struct Switch {
    pub(super) label: &'static str,
    /// BCP 47 tag of the language; empty for a currency.
    pub(super) language: &'static str,
    pub(super) url: String,
    pub(super) is_current: bool,
}

/// A page around its content.
pub(super) struct Page<'a> {
    pub(super) site: &'a Site,
    pub(super) frame: &'a Frame,
    pub(super) text: &'static Messages,
    pub(super) urls: Urls,
    pub(super) assets: &'static Assets,
    pub(super) meta: Meta,
    pub(super) kind: PageKind,
    pub(super) lead: Option<Lead<'a>>,
    pub(super) locales: Vec<Switch>,
    pub(super) currencies: Vec<Switch>,
    /// What the search field holds.
    pub(super) search_words: &'a str,
}

impl<'a> Page<'a> {
    /// `path` gives the address of this page in another language or currency; the languages in which it does not exist
    /// lead to their home page.
    pub(super) fn new(
        site: &'a Site,
        frame: &'a Frame,
        meta: Meta,
        kind: PageKind,
        lead: Option<Lead<'a>>,
        exists_in: &[Locale],
        path: &dyn Fn(&Urls) -> String,
    ) -> Self {
        let locales = site
            .locales
            .iter()
            .map(|locale| {
                let urls = site.urls(*locale, frame.currency);
                Switch {
                    label: locale.endonym(),
                    language: locale.tag(),
                    url: if exists_in.contains(locale) {
                        path(&urls)
                    } else {
                        urls.home()
                    },
                    is_current: *locale == frame.locale,
                }
            })
            .collect();
        let currencies = site
            .currencies
            .iter()
            .map(|currency: &Currency| Switch {
                label: currency.as_str(),
                language: "",
                url: path(&site.urls(frame.locale, *currency)),
                is_current: *currency == frame.currency,
            })
            .collect();
        Self {
            site,
            frame,
            text: frame.locale.messages(),
            urls: site.urls(frame.locale, frame.currency),
            assets: assets(),
            meta,
            kind,
            lead,
            locales,
            currencies,
            search_words: "",
        }
    }

    /// Whether there is anything to switch.
    pub(super) fn has_switches(&self) -> bool {
        self.locales.len() > 1 || self.currencies.len() > 1
    }

    pub(super) fn products(&self, count: &u64) -> String {
        (self.text.products)(*count)
    }

    pub(super) fn number(&self, number: &u64) -> String {
        self.frame.locale.format_number(*number)
    }

    pub(super) fn money(&self, amount: &Money) -> String {
        amount.format(self.frame.locale)
    }

    pub(super) fn date(&self, day: &time::Date) -> String {
        self.frame.locale.format_date(*day)
    }

    /// The price of a card: where several variants differ it is where they start.
    pub(super) fn card_price(&self, card: &ProductCard) -> String {
        let price = self.money(&card.price.amount);
        if card.price_varies {
            (self.text.price_starting_at)(&price)
        } else {
            price
        }
    }

    /// `−20%` for a reduced price.
    pub(super) fn reduction(&self, price: &Price) -> Option<String> {
        price.percent_off().map(self.text.percent_off)
    }

    pub(super) fn lowest_price(&self, price: &Price) -> Option<String> {
        price.reduced_from()?;
        price
            .lowest_30_days
            .map(|lowest| (self.text.lowest_price_30_days)(&self.money(&lowest)))
    }

    pub(super) fn availability(&self, availability: &super::view::Availability) -> &'static str {
        match availability {
            super::view::Availability::InStock => self.text.in_stock,
            super::view::Availability::Low => self.text.low_stock,
            super::view::Availability::Out => self.text.out_of_stock,
        }
    }

    /// The text of a picture, numbered where it has none of its own.
    pub(super) fn picture_text(&self, picture: &Picture, name: &str, position: &usize) -> String {
        if !picture.alt.is_empty() {
            picture.alt.clone()
        } else if *position == 1 {
            name.to_owned()
        } else {
            (self.text.picture_of)(name, *position)
        }
    }
}
