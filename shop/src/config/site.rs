//! What the shop is: its languages, currencies and addresses.

use super::args::SiteArgs;
use super::{Collector, list};
use crate::catalog::model::{Currency, Locale};
use crate::storefront::{self, view::Site};

/// Languages and currencies of the catalogue. There is at least one of each.
#[derive(Debug, Clone)]
pub struct CatalogueSettings {
    /// The language that texts are in when they are missing in another.
    pub default_locale: Locale,
    /// The other languages.
    pub other_locales: Vec<Locale>,
    /// The currency that pages have without a parameter.
    pub default_currency: Currency,
    /// The other currencies.
    pub other_currencies: Vec<Currency>,
}

impl CatalogueSettings {
    /// All languages, the default first.
    pub fn locales(&self) -> impl Iterator<Item = &Locale> {
        std::iter::once(&self.default_locale).chain(&self.other_locales)
    }

    /// All currencies, the default first.
    pub fn currencies(&self) -> impl Iterator<Item = Currency> {
        std::iter::once(self.default_currency).chain(self.other_currencies.iter().copied())
    }
}

/// Reads the languages and currencies.
pub fn catalogue(args: &SiteArgs, problems: &mut Collector) -> Option<CatalogueSettings> {
    let mut locales = Vec::new();
    for text in list(&args.locales) {
        locales.extend(problems.take("PANONO_LOCALES", text.parse::<Locale>()));
    }
    let mut currencies = Vec::new();
    for text in list(&args.currencies) {
        currencies.extend(problems.take("PANONO_CURRENCIES", text.parse::<Currency>()));
    }
    let (mut locales, mut currencies) = (locales.into_iter(), currencies.into_iter());
    let (default_locale, default_currency) = (locales.next(), currencies.next());
    if default_locale.is_none() {
        problems.add(
            "PANONO_LOCALES",
            "must name at least one language, such as en",
        );
    }
    if default_currency.is_none() {
        problems.add(
            "PANONO_CURRENCIES",
            "must name at least one currency, such as USD",
        );
    }
    Some(CatalogueSettings {
        default_locale: default_locale?,
        other_locales: locales.collect(),
        default_currency: default_currency?,
        other_currencies: currencies.collect(),
    })
}

/// What pages say of the shop.
pub fn site(args: &SiteArgs, problems: &mut Collector) -> Option<Site> {
    let origin = super::public_origin(args, problems)?;
    let locales = list(&args.locales).filter_map(|tag| {
        let known = storefront::i18n::Locale::from_tag(tag);
        if known.is_none() {
            let tags: Vec<_> = storefront::i18n::Locale::ALL
                .map(storefront::i18n::Locale::tag)
                .into();
            problems.add(
                "PANONO_LOCALES",
                format!(
                    "pages are not written in {tag:?}; they are in {}",
                    tags.join(", ")
                ),
            );
        }
        known
    });
    let locales: Vec<_> = locales.collect();
    // What is none, the catalogue's settings say.
    let currencies = list(&args.currencies).filter_map(|code| code.parse().ok());
    let currencies: Vec<Currency> = currencies.collect();
    Some(Site {
        name: args.shop_name.clone(),
        tagline: args.shop_tagline.clone(),
        origin: origin.origin().ascii_serialization(),
        locales,
        currencies,
        email: args.shop_email.clone(),
    })
}
