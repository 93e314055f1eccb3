//! A listing made ready for its template: every link of its filters, orders and pages.

use super::i18n::Locale;
use super::page::Lead;
use super::urls::{Cursor, ListingPage, ListingQuery, Sort};
use super::view::{FacetValue, Listing, ProductCard, Total};

/// `sizes` of the pictures of product cards.
pub(super) const CARD_SIZES: &str = "(min-width: 75rem) 18rem, (min-width: 40rem) 30vw, 46vw";

/// How many values of a facet are shown before the rest is folded away.
const VALUES_SHOWN: usize = 8;

/// How many pictures of a grid are likely to be seen without scrolling; the others are loaded late.
const EAGER_PICTURES: usize = 4;

/// A value that the listing can be narrowed by, with the link that does it or undoes it.
pub(super) struct FacetLink<'a> {
    pub(super) label: &'a str,
    pub(super) count: String,
    pub(super) count_text: String,
    pub(super) url: String,
    pub(super) is_chosen: bool,
}

/// An attribute with its values; the chosen ones are always shown.
pub(super) struct FacetLinks<'a> {
    pub(super) name: &'a str,
    pub(super) shown: Vec<FacetLink<'a>>,
    pub(super) folded: Vec<FacetLink<'a>>,
    pub(super) more: String,
}

/// A filter that is on.
pub(super) struct ActiveFilter {
    pub(super) label: String,
    pub(super) remove_text: String,
    pub(super) url: String,
}

/// An order with its link.
pub(super) struct SortLink {
    pub(super) label: &'static str,
    pub(super) url: String,
    pub(super) is_current: bool,
}

/// A hidden field of the price form.
pub(super) struct HiddenField {
    pub(super) name: String,
    pub(super) value: String,
}

/// Everything that the template of a listing writes.
pub(super) struct ListingContent<'a> {
    pub(super) products: &'a [ProductCard],
    /// How many products there are, or what they are where nobody counted.
    pub(super) total: String,
    pub(super) facets: Vec<FacetLinks<'a>>,
    pub(super) active: Vec<ActiveFilter>,
    pub(super) clear_url: String,
    pub(super) sorts: Vec<SortLink>,
    pub(super) current_sort: &'static str,
    /// Where the price form is sent.
    pub(super) action: String,
    pub(super) hidden: Vec<HiddenField>,
    pub(super) min_price: String,
    pub(super) max_price: String,
    /// What the empty price fields show: the ends of the listing.
    pub(super) lowest: String,
    pub(super) highest: String,
    pub(super) currency: &'static str,
    pub(super) price_step: String,
    pub(super) first_url: Option<String>,
    pub(super) previous_url: Option<String>,
    pub(super) next_url: Option<String>,
    pub(super) is_filtered: bool,
}

impl<'a> ListingContent<'a> {
    /// `url` gives the address of the listing with another query; `action` is its address without one.
    pub(super) fn new(
        listing: &'a Listing,
        locale: Locale,
        url: &dyn Fn(&ListingQuery) -> String,
        action_with_currency: &str,
    ) -> Self {
        let text = locale.messages();
        let query = &listing.query;
        let action = action_with_currency
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let at = |cursor: &Option<Cursor>| cursor.clone().map(|cursor| url(&query.at(cursor)));
        let (lowest, highest) = listing
            .price_bounds
            .map_or_else(Default::default, |(low, high)| {
                (low.url_decimal(), high.url_decimal())
            });
        Self {
            products: &listing.products,
            total: match listing.total {
                Some(Total::Exactly(count)) => (text.products)(count),
                Some(Total::AtLeast(count)) => (text.products_at_least)(count),
                None => text.products_title.to_owned(),
            },
            facets: facet_links(listing, locale, url),
            active: active_filters(listing, locale, url),
            clear_url: url(&query.without_filters()),
            sorts: sort_links(listing, locale, url),
            current_sort: sort_label(query.sort.unwrap_or(listing.page.default_sort()), locale),
            action,
            hidden: hidden_fields(listing, url),
            min_price: query
                .min_price
                .map(|price| price.url_decimal())
                .unwrap_or_default(),
            max_price: query
                .max_price
                .map(|price| price.url_decimal())
                .unwrap_or_default(),
            lowest,
            highest,
            currency: query.currency.as_str(),
            price_step: match query.currency.exponent() {
                0 => "1".to_owned(),
                exponent => format!(
                    "0.{:0>width$}",
                    1,
                    width = usize::try_from(exponent).unwrap_or(0)
                ),
            },
            first_url: query.cursor.as_ref().map(|_| url(&query.from_beginning())),
            previous_url: at(&listing.previous),
            next_url: at(&listing.next),
            is_filtered: query.is_filtered(),
        }
    }

    /// The first picture of the grid.
    pub(super) fn lead(&self) -> Option<Lead<'a>> {
        let picture = self.products.first()?.picture.as_ref()?;
        Some(Lead {
            picture,
            sizes: CARD_SIZES,
        })
    }

    /// Whether the side bar holds anything.
    pub(super) fn has_filters(&self) -> bool {
        !self.facets.is_empty() || !self.lowest.is_empty() || self.is_filtered
    }

    pub(super) fn has_pages(&self) -> bool {
        self.first_url.is_some() || self.previous_url.is_some() || self.next_url.is_some()
    }
}

/// Whether the picture at this place of a grid, counted from zero, is loaded with the page.
pub(super) const fn is_eager(position: &usize) -> bool {
    *position < EAGER_PICTURES
}

fn facet_links<'a>(
    listing: &'a Listing,
    locale: Locale,
    url: &dyn Fn(&ListingQuery) -> String,
) -> Vec<FacetLinks<'a>> {
    let text = locale.messages();
    let query = &listing.query;
    let mut found = Vec::new();
    for facet in listing
        .facets
        .iter()
        .filter(|facet| !facet.values.is_empty())
    {
        let link = |value: &'a FacetValue| FacetLink {
            label: &value.label,
            count: locale.format_number(value.count),
            count_text: (text.facet_count)(value.count),
            url: url(&query.toggled(&facet.code, &value.value)),
            is_chosen: query.has(&facet.code, &value.value),
        };
        let links = facet.values.iter().map(link);
        let (shown, folded): (Vec<_>, Vec<_>) = links
            .enumerate()
            .partition(|(position, link)| *position < VALUES_SHOWN || link.is_chosen);
        let strip = |links: Vec<(usize, FacetLink<'a>)>| {
            links.into_iter().map(|(_, link)| link).collect::<Vec<_>>()
        };
        let folded = strip(folded);
        found.push(FacetLinks {
            name: &facet.name,
            more: (text.more_values)(u64::try_from(folded.len()).unwrap_or(u64::MAX)),
            shown: strip(shown),
            folded,
        });
    }
    found
}

fn active_filters(
    listing: &Listing,
    locale: Locale,
    url: &dyn Fn(&ListingQuery) -> String,
) -> Vec<ActiveFilter> {
    let text = locale.messages();
    let query = &listing.query;
    let mut active = Vec::new();
    let mut push = |label: String, url: String| {
        active.push(ActiveFilter {
            remove_text: (text.remove_filter)(&label),
            label,
            url,
        });
    };
    for (code, values) in &query.filters {
        let facet = listing.facets.iter().find(|facet| facet.code == *code);
        for value in values {
            // A value that is in no product any more can still be in an address: it is named as it stands there.
            let label = facet
                .and_then(|facet| facet.values.iter().find(|known| known.value == *value))
                .map_or(value, |known| &known.label);
            push(label.clone(), url(&query.toggled(code, value)));
        }
    }
    let low = query.min_price.map(|price| price.format(locale));
    let high = query.max_price.map(|price| price.format(locale));
    let range = match (low, high) {
        (Some(low), Some(high)) => Some((text.price_between)(&low, &high)),
        (Some(low), None) => Some((text.price_at_least)(&low)),
        (None, Some(high)) => Some((text.price_up_to)(&high)),
        (None, None) => None,
    };
    if let Some(label) = range {
        push(label, url(&query.without_price_range()));
    }
    active
}

fn sort_links(
    listing: &Listing,
    locale: Locale,
    url: &dyn Fn(&ListingQuery) -> String,
) -> Vec<SortLink> {
    let page = listing.page;
    let current = listing.query.sort.unwrap_or(page.default_sort());
    page.sorts()
        .iter()
        .copied()
        .map(|sort| SortLink {
            label: sort_label(sort, locale),
            url: url(&listing.query.sorted_by(page, sort)),
            is_current: sort == current,
        })
        .collect()
}

const fn sort_label(sort: Sort, locale: Locale) -> &'static str {
    let text = locale.messages();
    match sort {
        Sort::Featured => text.sort_featured,
        Sort::Relevance => text.sort_relevance,
        Sort::Newest => text.sort_newest,
        Sort::PriceAscending => text.sort_price_ascending,
        Sort::PriceDescending => text.sort_price_descending,
    }
}

/// What the price form must carry so that it changes the price range alone.
fn hidden_fields(listing: &Listing, url: &dyn Fn(&ListingQuery) -> String) -> Vec<HiddenField> {
    let query = &listing.query;
    let mut fields = Vec::new();
    let mut push = |name: String, value: String| fields.push(HiddenField { name, value });
    // Whether the currency is the default one shows in the address alone.
    if url(&ListingQuery::empty(query.currency)).contains("currency=") {
        push("currency".to_owned(), query.currency.as_str().to_owned());
    }
    for (code, values) in &query.filters {
        for value in values {
            push(format!("f.{code}"), value.clone());
        }
    }
    if listing.page == ListingPage::Search {
        push("q".to_owned(), query.search.clone().unwrap_or_default());
    }
    if let Some(sort) = query.sort {
        push("sort".to_owned(), sort.name().to_owned());
    }
    fields
}
