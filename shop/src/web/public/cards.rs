//! What the catalogue knows, as the storefront shows it.

use time::{Duration, OffsetDateTime};

use crate::catalog::listing as catalogue;
use crate::catalog::model::AvailabilityBand;
use crate::edge::tags::{Tag, TagSet};
use crate::search;
use crate::storefront::urls::{ListingQuery, Sort};
use crate::storefront::view::{
    Availability, Facet, FacetValue, Picture, Price, ProductCard, Total,
};

/// How long a product is called new.
const NEW_FOR: Duration = Duration::days(30);

pub(super) fn availability(band: AvailabilityBand) -> Availability {
    match band {
        AvailabilityBand::InStock => Availability::InStock,
        AvailabilityBand::Low => Availability::Low,
        AvailabilityBand::Out => Availability::Out,
    }
}

pub(super) fn picture(image: &catalogue::Image) -> Picture {
    Picture {
        hash: image.hash.clone(),
        width: u32::try_from(image.width).unwrap_or(0),
        height: u32::try_from(image.height).unwrap_or(0),
        alt: image.alt.clone(),
    }
}

pub(super) fn is_new(published_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    now - published_at < NEW_FOR
}

pub(super) fn card(card: &catalogue::Card, now: OffsetDateTime) -> ProductCard {
    ProductCard {
        slug: card.slug.as_str().to_owned(),
        name: card.name.clone(),
        brand: card.brand.as_ref().map(|brand| brand.name.clone()),
        picture: card.image.as_ref().map(picture),
        price: Price {
            compare_at: card.compare_at,
            ..Price::plain(card.price)
        },
        price_varies: card.price_max.minor > card.price.minor,
        availability: availability(card.band),
        is_new: is_new(card.published_at, now),
    }
}

pub(super) fn cards(
    cards: &[catalogue::Card],
    tags: &mut TagSet,
    now: OffsetDateTime,
) -> Vec<ProductCard> {
    cards
        .iter()
        .map(|shown| {
            tags.insert(Tag::product(shown.product_id));
            card(shown, now)
        })
        .collect()
}

pub(super) fn total(total: catalogue::Total) -> Total {
    let count = u64::try_from(total.count).unwrap_or(0);
    if total.more {
        Total::AtLeast(count)
    } else {
        Total::Exactly(count)
    }
}

pub(super) fn facets(facets: Vec<catalogue::Facet>) -> Vec<Facet> {
    facets
        .into_iter()
        .map(|facet| Facet {
            code: facet.code,
            name: facet.name,
            values: facet
                .values
                .into_iter()
                .map(|value| FacetValue {
                    label: if facet.unit.is_empty() {
                        value.label
                    } else {
                        format!("{} {}", value.label, facet.unit)
                    },
                    value: value.value,
                    count: u64::try_from(value.count).unwrap_or(0),
                })
                .collect(),
        })
        .collect()
}

pub(super) fn filters(query: &ListingQuery) -> catalogue::Filters {
    catalogue::Filters {
        attributes: query.filters.clone(),
        price_min: query.min_price.map(|price| price.minor),
        price_max: query.max_price.map(|price| price.minor),
        in_stock_only: false,
    }
}

/// An order of a listing, as the catalogue calls it.
pub(super) fn catalogue_sort(sort: Option<Sort>) -> catalogue::Sort {
    match sort {
        Some(Sort::Newest) => catalogue::Sort::Newest,
        Some(Sort::PriceAscending) => catalogue::Sort::PriceAscending,
        Some(Sort::PriceDescending) => catalogue::Sort::PriceDescending,
        Some(Sort::Featured | Sort::Relevance) | None => catalogue::Sort::Position,
    }
}

/// An order of what a search finds.
pub(super) fn search_sort(sort: Option<Sort>) -> search::Sort {
    match sort {
        Some(Sort::Newest) => search::Sort::Newest,
        Some(Sort::PriceAscending) => search::Sort::PriceAscending,
        Some(Sort::PriceDescending) => search::Sort::PriceDescending,
        Some(Sort::Featured | Sort::Relevance) | None => search::Sort::Relevance,
    }
}

pub(super) fn start(query: &ListingQuery) -> catalogue::Start {
    use crate::storefront::urls::Cursor;
    match &query.cursor {
        None => catalogue::Start::First,
        Some(Cursor::After(cursor)) => catalogue::Start::After(cursor.clone()),
        Some(Cursor::Before(cursor)) => catalogue::Start::Before(cursor.clone()),
    }
}
