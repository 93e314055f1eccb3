//! What the catalogue knows, as the storefront shows it.

use time::{Duration, OffsetDateTime};

use crate::catalog::listing as catalogue;
use crate::catalog::model::{AvailabilityBand, Money as CatalogueMoney};
use crate::edge::tags::{Tag, TagSet};
use crate::storefront::money::{Currency, Money};
use crate::storefront::urls::ListingQuery;
use crate::storefront::view::{
    Availability, Facet, FacetValue, Picture, Price, ProductCard, Total,
};

/// How long a product is called new.
const NEW_FOR: Duration = Duration::days(30);

pub(super) fn money(money: CatalogueMoney) -> Money {
    // Both lists are ISO 4217; a code that only one of them knows shows as the shop's own currency would.
    let currency = Currency::from_code(money.currency.as_str()).unwrap_or(Currency::USD);
    Money::new(money.minor, currency)
}

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
            compare_at: card.compare_at.map(money),
            ..Price::plain(money(card.price))
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
        price_min: query.min_price.map(|price| price.amount_minor),
        price_max: query.max_price.map(|price| price.amount_minor),
        in_stock_only: false,
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
