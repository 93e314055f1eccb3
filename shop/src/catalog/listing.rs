//! Pages of a category: what is asked for, how a page continues, and what is answered.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use xxhash_rust::xxh3::Xxh3;

use super::identifier::{Locale, Slug};
use super::model::AvailabilityBand;
use super::money::{Currency, Money};

/// Cards on one page.
pub const MAX_LIMIT: u32 = 100;
/// Attributes filtered by at once.
pub const MAX_FILTERS: usize = 8;
/// Values filtered by at once, in all attributes together.
pub const MAX_FILTER_VALUES: usize = 32;
/// Totals are exact up to here; beyond, counting would cost more than the page.
pub const TOTAL_CAP: i64 = 10_000;
/// Facet counts of a filtered listing look at so many products.
pub const FACET_CAP: i64 = 20_000;
/// Values answered for one attribute.
pub const MAX_FACET_VALUES: usize = 100;

/// An order of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sort {
    /// As staff placed them.
    #[default]
    Position,
    /// Latest publication first.
    Newest,
    /// Cheapest first.
    PriceAscending,
    /// Dearest first.
    PriceDescending,
}

impl Sort {
    /// All orders.
    pub const ALL: [Self; 4] = [
        Self::Position,
        Self::Newest,
        Self::PriceAscending,
        Self::PriceDescending,
    ];

    /// The word that addresses use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Newest => "newest",
            Self::PriceAscending => "price_asc",
            Self::PriceDescending => "price_desc",
        }
    }

    /// The order of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == word)
    }
}

/// Restrictions of a listing: values of one attribute are alternatives, attributes restrict each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Values by code of their attribute.
    pub attributes: BTreeMap<String, BTreeSet<String>>,
    /// The lowest price, in minor units.
    pub price_min: Option<i64>,
    /// The highest price, in minor units.
    pub price_max: Option<i64>,
    /// Only what can be bought now.
    pub in_stock_only: bool,
}

impl Filters {
    /// The prices that pass, in minor units.
    pub(crate) fn prices(&self) -> (i64, i64) {
        (
            self.price_min.unwrap_or(0),
            self.price_max.unwrap_or(i64::MAX),
        )
    }

    pub(crate) fn restricts_rows(&self) -> bool {
        self.price_min.is_some() || self.price_max.is_some() || self.in_stock_only
    }

    /// Checks the limits.
    pub(crate) fn check(&self) -> Result<(), ListingError> {
        let values: usize = self.attributes.values().map(BTreeSet::len).sum();
        if self.attributes.len() > MAX_FILTERS || values > MAX_FILTER_VALUES {
            return Err(ListingError::TooManyFilters);
        }
        Ok(())
    }

    pub(crate) fn hash(&self, hasher: &mut Xxh3) {
        for (code, values) in &self.attributes {
            hash_text(hasher, code);
            hasher.update(
                &u64::try_from(values.len())
                    .unwrap_or(u64::MAX)
                    .to_le_bytes(),
            );
            for value in values {
                hash_text(hasher, value);
            }
        }
        hasher.update(&self.price_min.unwrap_or(-1).to_le_bytes());
        hasher.update(&self.price_max.unwrap_or(-1).to_le_bytes());
        hasher.update(&[u8::from(self.in_stock_only)]);
    }
}

pub(crate) fn hash_text(hasher: &mut Xxh3, text: &str) {
    hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// At the beginning.
    #[default]
    First,
    /// After the item of a cursor.
    After(String),
    /// Before the item of a cursor.
    Before(String),
}

/// A request for a page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingQuery {
    /// The category's id; [`super::index::WHOLE_CATALOGUE`] for all products.
    pub category: i64,
    /// The currency of prices. Products without a price in it are not listed.
    pub currency: Currency,
    /// The language of names.
    pub locale: Locale,
    /// The language of names that are missing in the other one.
    pub default_locale: Locale,
    /// The order.
    pub sort: Sort,
    /// What is left out.
    pub filters: Filters,
    /// Where the page begins.
    pub start: Start,
    /// Cards wanted: 1 to [`MAX_LIMIT`].
    pub limit: u32,
}

/// Why a listing cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The limit is 0 or too large.
    #[error("limit must be from 1 to {MAX_LIMIT}")]
    Limit,
    /// Too many filters.
    #[error(
        "at most {MAX_FILTERS} attributes and {MAX_FILTER_VALUES} values can be filtered by: remove some"
    )]
    TooManyFilters,
    /// The cursor is not one.
    #[error("the cursor is damaged: begin at the first page")]
    DamagedCursor,
    /// The cursor was made for another listing.
    #[error(
        "the cursor belongs to another category, currency, order or filter: begin at the first page"
    )]
    ForeignCursor,
    /// The database failed.
    #[error("failed to read the listing")]
    Database(#[from] sqlx::Error),
}

impl ListingQuery {
    /// What a cursor is bound to: everything that decides which products are listed in which order.
    fn fingerprint(&self) -> u64 {
        let mut hasher = Xxh3::new();
        hasher.update(&self.category.to_le_bytes());
        hash_text(&mut hasher, self.currency.as_str());
        hash_text(&mut hasher, self.sort.as_str());
        self.filters.hash(&mut hasher);
        hasher.digest()
    }

    /// The cursor that stands for a card of this listing.
    #[must_use]
    pub fn cursor(&self, card: &Card) -> String {
        Cursor {
            key: card.sort_key(self.sort),
            id: card.product_id,
        }
        .encode(self.fingerprint())
    }

    /// The bounds within which this query may be asked, and its cursor.
    pub(super) fn check(&self) -> Result<Option<Cursor>, ListingError> {
        if !(1..=MAX_LIMIT).contains(&self.limit) {
            return Err(ListingError::Limit);
        }
        self.filters.check()?;
        match &self.start {
            Start::First => Ok(None),
            Start::After(cursor) | Start::Before(cursor) => {
                Cursor::decode(cursor, self.fingerprint()).map(Some)
            }
        }
    }
}

/// A place in an order: the sort key and id of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) key: i64,
    pub(crate) id: i64,
}

const CURSOR_VERSION: u8 = 1;

impl Cursor {
    pub(crate) fn encode(self, fingerprint: u64) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend(fingerprint.to_le_bytes());
        bytes.extend(self.key.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str, fingerprint: u64) -> Result<Self, ListingError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| ListingError::DamagedCursor)?;
        let (&version, rest) = bytes.split_first().ok_or(ListingError::DamagedCursor)?;
        let (parts, excess) = rest.as_chunks::<8>();
        let ([made_for, key, id], [], CURSOR_VERSION) = (parts, excess, version) else {
            return Err(ListingError::DamagedCursor);
        };
        if u64::from_le_bytes(*made_for) != fingerprint {
            return Err(ListingError::ForeignCursor);
        }
        Ok(Self {
            key: i64::from_le_bytes(*key),
            id: i64::from_le_bytes(*id),
        })
    }
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// SHA-256 of the original's bytes, in hexadecimal.
    pub hash: String,
    /// What it shows.
    pub alt: String,
    /// Width of the original in pixels.
    pub width: i32,
    /// Height of the original in pixels.
    pub height: i32,
}

/// The maker of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Its name.
    pub name: String,
    /// Its slug.
    pub slug: String,
}

/// A product as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The product's id.
    pub product_id: i64,
    /// Its address.
    pub slug: Slug,
    /// Its name in the language asked for, or in the default one.
    pub name: String,
    /// Its maker.
    pub brand: Option<Brand>,
    /// The lowest price of its variants.
    pub price: Money,
    /// The highest price of its variants.
    pub price_max: Money,
    /// A higher price to compare with.
    pub compare_at: Option<Money>,
    /// Whether it can be bought.
    pub band: AvailabilityBand,
    /// When it was published.
    pub published_at: OffsetDateTime,
    /// Its first picture.
    pub image: Option<Image>,
    pub(crate) position: i64,
}

impl Card {
    pub(super) fn sort_key(&self, sort: Sort) -> i64 {
        match sort {
            Sort::Position => self.position,
            Sort::Newest => microseconds(self.published_at),
            Sort::PriceAscending | Sort::PriceDescending => self.price.minor,
        }
    }
}

/// Microseconds since 1970: the grain of the database.
fn microseconds(instant: OffsetDateTime) -> i64 {
    i64::try_from(instant.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// The instant of so many microseconds since 1970, where there is one.
pub(super) fn instant_of(microseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1_000).ok()
}

/// How many products pass the filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// So many, or at least so many.
    pub count: i64,
    /// There are more than `count`.
    pub more: bool,
}

impl Total {
    /// From a count that stopped one beyond a cap.
    pub(crate) fn capped(counted: i64, cap: i64) -> Self {
        Self {
            count: counted.min(cap),
            more: counted > cap,
        }
    }
}

/// The values of one attribute with the number of products that choosing each would show.
#[derive(Debug, Clone, PartialEq)]
pub struct Facet {
    /// The attribute's code, as filters use it.
    pub code: String,
    /// Its name in the language asked for.
    pub name: String,
    /// `text`, `number`, `boolean`, `option` or `brand`.
    pub kind: String,
    /// The unit of numbers, such as `cm`.
    pub unit: String,
    /// Its values: numbers by size, others by how many products have them.
    pub values: Vec<FacetValue>,
    /// There are more than [`MAX_FACET_VALUES`].
    pub more: bool,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct FacetValue {
    /// The value, as filters use it.
    pub value: String,
    /// The value in the language asked for.
    pub label: String,
    /// Products that have it and pass the filters of all other attributes.
    pub count: i64,
    /// Whether it is filtered by.
    pub selected: bool,
    pub(crate) number: Option<f64>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct ListingPage {
    /// The cards in their order.
    pub items: Vec<Card>,
    /// The cursor for [`Start::After`] of the next page, where there is one.
    pub next: Option<String>,
    /// The cursor for [`Start::Before`] of the previous page, where there is one.
    pub previous: Option<String>,
    /// Products that pass all filters.
    pub total: Total,
    /// What can be filtered by. Without any filter, products are counted that have a price in any currency.
    pub facets: Vec<Facet>,
    /// False where more than [`FACET_CAP`] products would have had to be looked at: counts are then lower bounds.
    pub facets_exact: bool,
    /// The lowest and highest price in the category, whatever the filters.
    pub price_bounds: Option<(Money, Money)>,
    /// The next scheduled change of a price or publication that would alter this page.
    pub valid_until: Option<OffsetDateTime>,
}

/// A filter's value that exists, with the bit of its attribute.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub(crate) value_id: i64,
    pub(crate) bit: i64,
    pub(crate) label: CountedValue,
}

/// How many products of which filter mask have a value. `mask` has the bit of each filtered attribute they pass.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct CountedValue {
    pub(crate) value_id: i64,
    pub(crate) mask: i64,
    pub(crate) products: i64,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) unit: String,
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) number_value: Option<f64>,
    pub(crate) position: i32,
}

/// Puts counts together to facets. A value counts the products that pass all filters but those of its own attribute.
pub(crate) fn facets(
    counted: Vec<CountedValue>,
    selected: &[Selected],
    full_mask: i64,
) -> Vec<Facet> {
    let own_bit: BTreeMap<&str, i64> = selected
        .iter()
        .map(|value| (value.label.code.as_str(), value.bit))
        .collect();
    let chosen: BTreeSet<i64> = selected.iter().map(|value| value.value_id).collect();
    let mut facets: BTreeMap<(i32, String), (Facet, BTreeMap<i64, FacetValue>)> = BTreeMap::new();
    let shown = counted
        .into_iter()
        .filter(|row| row.mask | own_bit.get(row.code.as_str()).copied().unwrap_or(0) == full_mask);
    // A chosen value is shown even where nothing has it, so that it can be taken back.
    for row in shown.chain(selected.iter().map(|value| value.label.clone())) {
        let (_, values) = facets
            .entry((row.position, row.code.clone()))
            .or_insert_with(|| {
                let (code, name, kind, unit) = (row.code, row.name, row.kind, row.unit);
                (
                    Facet {
                        code,
                        name,
                        kind,
                        unit,
                        values: Vec::new(),
                        more: false,
                    },
                    BTreeMap::new(),
                )
            });
        let value = values.entry(row.value_id).or_insert_with(|| FacetValue {
            value: row.value,
            label: row.label,
            count: 0,
            selected: chosen.contains(&row.value_id),
            number: row.number_value,
        });
        value.count += row.products;
    }
    facets
        .into_values()
        .map(|(mut facet, values)| {
            facet.values = values.into_values().collect();
            facet.values.sort_by(|a, b| {
                (b.selected, b.count, &a.label).cmp(&(a.selected, a.count, &b.label))
            });
            facet.more = facet.values.len() > MAX_FACET_VALUES;
            facet.values.truncate(MAX_FACET_VALUES);
            facet.values.sort_by(|a, b| match (a.number, b.number) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                _ => (b.count, &a.label).cmp(&(a.count, &b.label)),
            });
            facet
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query() -> ListingQuery {
        ListingQuery {
            category: 7,
            currency: "EUR".parse().unwrap(),
            locale: "en".parse().unwrap(),
            default_locale: "en".parse().unwrap(),
            sort: Sort::Position,
            filters: Filters::default(),
            start: Start::First,
            limit: 24,
        }
    }

    #[test]
    fn a_cursor_serves_its_own_listing_only() {
        let cursor = Cursor { key: -5, id: 9 }.encode(query().fingerprint());
        let mut same = query();
        same.locale = "de".parse().unwrap();
        same.limit = 50;
        same.start = Start::After(cursor.clone());
        assert_eq!(same.check().unwrap(), Some(Cursor { key: -5, id: 9 }));

        let colour = |values: &[&str]| {
            let values = values.iter().map(|&value| value.to_owned()).collect();
            Filters {
                attributes: [("colour".to_owned(), values)].into(),
                ..Filters::default()
            }
        };
        let others = [
            ListingQuery {
                category: 8,
                ..query()
            },
            ListingQuery {
                currency: "USD".parse().unwrap(),
                ..query()
            },
            ListingQuery {
                sort: Sort::Newest,
                ..query()
            },
            ListingQuery {
                filters: colour(&["red"]),
                ..query()
            },
            ListingQuery {
                filters: Filters {
                    price_min: Some(0),
                    ..Filters::default()
                },
                ..query()
            },
            ListingQuery {
                filters: Filters {
                    in_stock_only: true,
                    ..Filters::default()
                },
                ..query()
            },
        ];
        for other in others {
            let asked = ListingQuery {
                start: Start::Before(cursor.clone()),
                ..other
            };
            let error = asked.check().unwrap_err();
            assert!(matches!(error, ListingError::ForeignCursor), "{error}");
        }
    }

    #[test]
    fn damaged_cursors_and_limits_are_refused() {
        let good = Cursor { key: 1, id: 2 }.encode(query().fingerprint());
        for wrong in [
            "",
            "x",
            "%%%%",
            "AAAA",
            &good[1..],
            &format!("{good}AAAA"),
            &"A".repeat(10_000),
        ] {
            let asked = ListingQuery {
                start: Start::After(wrong.to_owned()),
                ..query()
            };
            assert!(
                matches!(asked.check(), Err(ListingError::DamagedCursor)),
                "{wrong:?}"
            );
        }
        for limit in [0, 101] {
            assert!(matches!(
                ListingQuery { limit, ..query() }.check(),
                Err(ListingError::Limit)
            ));
        }
        let mut crowded = query();
        crowded.filters.attributes = (0..9)
            .map(|number| (number.to_string(), ["x".to_owned()].into()))
            .collect();
        assert!(matches!(crowded.check(), Err(ListingError::TooManyFilters)));
    }

    fn counted(code: &str, value_id: i64, mask: i64, products: i64) -> CountedValue {
        CountedValue {
            value_id,
            mask,
            products,
            code: code.to_owned(),
            name: code.to_owned(),
            kind: "text".to_owned(),
            unit: String::new(),
            value: value_id.to_string(),
            label: value_id.to_string(),
            number_value: None,
            position: 0,
        }
    }

    #[test]
    fn an_attribute_does_not_restrict_its_own_counts() {
        // Filtered by colour 1 (bit 1) and size 10 (bit 2).
        let selected = [
            Selected {
                value_id: 1,
                bit: 1,
                label: counted("colour", 1, 0, 0),
            },
            Selected {
                value_id: 10,
                bit: 2,
                label: counted("size", 10, 0, 0),
            },
        ];
        let rows = vec![
            counted("colour", 1, 3, 4),
            counted("colour", 2, 2, 5), // passes size only: would be shown by choosing this colour too
            counted("colour", 2, 1, 9), // has colour 1 as well, but another size
            counted("size", 10, 3, 4),
            counted("size", 11, 1, 6),
            counted("brand", 20, 3, 4),
            counted("brand", 21, 1, 6),
        ];
        let facets = facets(rows, &selected, 3);
        let count = |code: &str, value: &str| {
            let facet = facets.iter().find(|facet| facet.code == code).unwrap();
            facet
                .values
                .iter()
                .find(|found| found.value == value)
                .map(|found| found.count)
        };
        assert_eq!(
            (count("colour", "1"), count("colour", "2")),
            (Some(4), Some(5))
        );
        assert_eq!(
            (count("size", "10"), count("size", "11")),
            (Some(4), Some(6))
        );
        assert_eq!(
            (count("brand", "20"), count("brand", "21")),
            (Some(4), None)
        );
    }

    #[test]
    fn a_chosen_value_is_shown_even_where_nothing_has_it() {
        let mut rows: Vec<CountedValue> = (0..200)
            .map(|id| counted("colour", id, 1, 1000 - id))
            .collect();
        let selected = [Selected {
            value_id: 999,
            bit: 1,
            label: counted("colour", 999, 0, 0),
        }];
        rows.push(counted("colour", 998, 1, 0));
        let facets = facets(rows, &selected, 1);
        let values = &facets[0].values;
        assert!(facets[0].more && values.len() == MAX_FACET_VALUES);
        assert!(
            values
                .iter()
                .any(|value| value.value == "999" && value.selected && value.count == 0)
        );
    }

    proptest! {
        #[test]
        fn cursors_survive_their_writing(key: i64, id: i64, fingerprint: u64) {
            let cursor = Cursor { key, id };
            prop_assert_eq!(Cursor::decode(&cursor.encode(fingerprint), fingerprint).unwrap(), cursor);
        }

        #[test]
        fn no_text_upsets_the_reader_of_cursors(text in ".{0,80}") {
            prop_assert!(Cursor::decode(&text, 0).is_err());
        }
    }
}
