//! The JSON of the API, made of what the catalogue knows.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::catalog::category::{self, CategoryPage};
use crate::catalog::listing;
use crate::catalog::model;
use crate::catalog::product::{self, ProductPage};
use crate::search::{self, SuggestionKind};
use crate::storefront::money::Currency;
use crate::storefront::urls::{self, Preset};

/// An instant as RFC 3339 writes it, in UTC.
pub(super) fn instant(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// An amount of money.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Amount {
    /// The amount in minor units: 1999 with exponent 2 is 19.99.
    #[schema(example = 1999)]
    amount: i64,
    /// The currency (ISO 4217).
    #[schema(example = "USD")]
    currency: String,
    /// How many decimals the minor unit has.
    #[schema(example = 2)]
    exponent: u32,
}

impl From<model::Money> for Amount {
    fn from(money: model::Money) -> Self {
        Self {
            amount: money.minor,
            currency: money.currency.as_str().to_owned(),
            exponent: money.currency.exponent(),
        }
    }
}

/// Where a picture is in each size. Addresses of pictures never change what they show.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImageAddresses {
    /// At most 96 × 96 pixels.
    thumb: String,
    /// At most 400 × 400 pixels.
    card: String,
    /// At most 800 × 800 pixels.
    detail: String,
    /// At most 1600 × 1600 pixels.
    zoom: String,
}

/// A picture.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Image {
    /// SHA-256 of the original, in hexadecimal.
    hash: String,
    /// What it shows; may be empty.
    alt: String,
    /// Width of the original in pixels.
    width: i32,
    /// Height of the original in pixels.
    height: i32,
    /// Its addresses.
    urls: ImageAddresses,
}

impl From<listing::Image> for Image {
    fn from(image: listing::Image) -> Self {
        let at = |preset| urls::media(&image.hash, preset);
        Self {
            urls: ImageAddresses {
                thumb: at(Preset::Thumb),
                card: at(Preset::Card),
                detail: at(Preset::Detail),
                zoom: at(Preset::Zoom),
            },
            hash: image.hash,
            alt: image.alt,
            width: image.width,
            height: image.height,
        }
    }
}

/// The maker of a product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Maker {
    /// Its name.
    name: String,
    /// Its slug: the value of the filter `f.brand`.
    slug: String,
}

impl From<listing::Brand> for Maker {
    fn from(brand: listing::Brand) -> Self {
        Self {
            name: brand.name,
            slug: brand.slug,
        }
    }
}

/// Whether something can be bought.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AvailabilityBand {
    /// It cannot be bought now.
    Out,
    /// Few are left.
    Low,
    /// It can be bought.
    InStock,
}

impl From<model::AvailabilityBand> for AvailabilityBand {
    fn from(band: model::AvailabilityBand) -> Self {
        match band {
            model::AvailabilityBand::Out => Self::Out,
            model::AvailabilityBand::Low => Self::Low,
            model::AvailabilityBand::InStock => Self::InStock,
        }
    }
}

/// A product in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductCard {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its name.
    name: String,
    /// Its maker.
    brand: Option<Maker>,
    /// The lowest price of its variants.
    price: Amount,
    /// The highest price of its variants.
    price_max: Amount,
    /// A higher price to compare with, while it is reduced.
    compare_at: Option<Amount>,
    /// The best of its variants.
    availability: AvailabilityBand,
    /// When it was published (RFC 3339).
    published_at: String,
    /// Its first picture.
    image: Option<Image>,
}

impl From<listing::Card> for ProductCard {
    fn from(card: listing::Card) -> Self {
        Self {
            id: card.product_id,
            slug: card.slug.as_str().to_owned(),
            name: card.name,
            brand: card.brand.map(Into::into),
            price: card.price.into(),
            price_max: card.price_max.into(),
            compare_at: card.compare_at.map(Into::into),
            availability: card.band.into(),
            published_at: instant(card.published_at),
            image: card.image.map(Into::into),
        }
    }
}

/// How a count is to be read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CountRelation {
    /// There are so many.
    Exactly,
    /// There are more.
    MoreThan,
}

/// How many products pass the filters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductCount {
    /// The count.
    count: i64,
    /// How to read it.
    relation: CountRelation,
}

impl From<listing::Total> for ProductCount {
    fn from(total: listing::Total) -> Self {
        Self {
            count: total.count,
            relation: if total.more {
                CountRelation::MoreThan
            } else {
                CountRelation::Exactly
            },
        }
    }
}

/// A value of a facet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FacetChoice {
    /// The value, as the filter takes it.
    value: String,
    /// The value for people.
    label: String,
    /// Products that choosing it would show.
    count: i64,
    /// Whether it is filtered by.
    selected: bool,
}

/// Something that products can be filtered by. Values of one facet are alternatives; facets narrow each other.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductFacet {
    /// Its code: the parameter `f.{code}` filters by it.
    code: String,
    /// Its name for people.
    name: String,
    /// `text`, `number`, `boolean`, `option` or `brand`
    kind: String,
    /// The unit of numbers; may be empty.
    unit: String,
    /// Its values.
    values: Vec<FacetChoice>,
    /// There are more values than are given.
    more: bool,
}

impl From<listing::Facet> for ProductFacet {
    fn from(facet: listing::Facet) -> Self {
        let choice = |value: listing::FacetValue| FacetChoice {
            value: value.value,
            label: value.label,
            count: value.count,
            selected: value.selected,
        };
        Self {
            code: facet.code,
            name: facet.name,
            kind: facet.kind,
            unit: facet.unit,
            values: facet.values.into_iter().map(choice).collect(),
            more: facet.more,
        }
    }
}

/// The lowest and the highest price, whatever the filters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PriceRange {
    /// The lowest.
    lowest: Amount,
    /// The highest.
    highest: Amount,
}

/// A page of a listing or a search.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductList {
    /// The products in their order.
    items: Vec<ProductCard>,
    /// How many there are on all pages.
    total: ProductCount,
    /// What they can be filtered by.
    facets: Vec<ProductFacet>,
    /// False where counts of facets are lower bounds.
    facets_exact: bool,
    /// The prices that there are; `null` where there is no product.
    price_range: Option<PriceRange>,
    /// What to send as `after` for the next page; `null` on the last.
    next: Option<String>,
    /// What to send as `before` for the previous page; `null` on the first.
    previous: Option<String>,
}

fn price_range(bounds: Option<(model::Money, model::Money)>) -> Option<PriceRange> {
    bounds.map(|(lowest, highest)| PriceRange {
        lowest: lowest.into(),
        highest: highest.into(),
    })
}

impl From<listing::ListingPage> for ProductList {
    fn from(page: listing::ListingPage) -> Self {
        Self {
            items: page.items.into_iter().map(Into::into).collect(),
            total: page.total.into(),
            facets: page.facets.into_iter().map(Into::into).collect(),
            facets_exact: page.facets_exact,
            price_range: price_range(page.price_bounds),
            next: page.next,
            previous: page.previous,
        }
    }
}

impl From<search::SearchPage> for ProductList {
    fn from(page: search::SearchPage) -> Self {
        Self {
            items: page.items.into_iter().map(Into::into).collect(),
            // Beyond the best hits nothing is counted, in facets neither.
            facets_exact: !page.total.more,
            total: page.total.into(),
            facets: page.facets.into_iter().map(Into::into).collect(),
            price_range: price_range(page.price_bounds),
            next: page.next,
            previous: page.previous,
        }
    }
}

/// What search engines are told; empty where the name will do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SearchEngineTexts {
    /// The title.
    pub(super) title: String,
    /// The summary.
    pub(super) description: String,
}

/// A category where it is named.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CategoryLink {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its name.
    name: String,
}

impl From<category::CategoryLink> for CategoryLink {
    fn from(link: category::CategoryLink) -> Self {
        Self {
            id: link.id,
            slug: link.slug.as_str().to_owned(),
            name: link.name,
        }
    }
}

/// A category with those below it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CategoryBranch {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its name.
    name: String,
    /// Those right below it, in their order.
    #[schema(no_recursion)]
    children: Vec<CategoryBranch>,
}

impl From<category::CategoryNode> for CategoryBranch {
    fn from(node: category::CategoryNode) -> Self {
        Self {
            id: node.category.id,
            slug: node.category.slug.as_str().to_owned(),
            name: node.category.name,
            children: node.children.into_iter().map(Into::into).collect(),
        }
    }
}

/// The categories of the shop.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CategoryTree {
    /// The top categories, in their order.
    items: Vec<CategoryBranch>,
    /// There are more categories than are given: the lowest levels are cut off.
    more: bool,
}

impl CategoryTree {
    pub(super) fn new(nodes: Vec<category::CategoryNode>) -> Self {
        fn size(nodes: &[category::CategoryNode]) -> usize {
            nodes.iter().map(|node| 1 + size(&node.children)).sum()
        }
        let most = usize::try_from(category::MAX_NAVIGATION).unwrap_or(usize::MAX);
        Self {
            more: size(&nodes) >= most,
            items: nodes.into_iter().map(Into::into).collect(),
        }
    }
}

/// A category right below another.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CategoryChild {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its name.
    name: String,
    /// Products in it and below it.
    product_count: i64,
}

/// A category. Its products are at `/api/v1/catalog/products?category={slug}`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CategoryDetail {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its name.
    name: String,
    /// Its description: paragraphs, `#` headings, `-` lists, `**strong**`, `*emphasis*` and `[links](target)`.
    description: String,
    /// What search engines are told.
    seo: SearchEngineTexts,
    /// Its picture, or one of a product in it.
    image: Option<Image>,
    /// Products in it and below it.
    product_count: i64,
    /// The categories above it, the top one first.
    ancestors: Vec<CategoryLink>,
    /// The categories right below it, in their order.
    children: Vec<CategoryChild>,
}

impl CategoryDetail {
    pub(super) fn new(page: CategoryPage, image: Option<listing::Image>) -> Self {
        let child = |link: category::CategoryLink| CategoryChild {
            id: link.id,
            slug: link.slug.as_str().to_owned(),
            name: link.name,
            product_count: link.product_count,
        };
        Self {
            id: page.category.id,
            slug: page.category.slug.as_str().to_owned(),
            name: page.category.name,
            description: page.description,
            seo: SearchEngineTexts {
                title: page.seo_title,
                description: page.seo_description,
            },
            image: image.map(Into::into),
            product_count: page.category.product_count,
            ancestors: page.breadcrumbs.into_iter().map(Into::into).collect(),
            children: page.children.into_iter().map(child).collect(),
        }
    }
}

/// A value of an option.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OptionChoice {
    /// Its id.
    id: i64,
    /// The value.
    label: String,
}

/// Something that variants differ in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VariantOption {
    /// Its id.
    id: i64,
    /// Its name.
    name: String,
    /// Its values, in their order.
    values: Vec<OptionChoice>,
}

/// What can be bought.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Offer {
    /// Its id.
    id: i64,
    /// Its SKU.
    sku: String,
    /// Its barcode; may be empty.
    barcode: String,
    /// Its weight in grams.
    weight_grams: Option<i64>,
    /// The ids of its values, in the order of the options.
    option_values: Vec<i64>,
    /// Its price; `null` where it cannot be bought in this currency.
    price: Option<Amount>,
    /// A higher price to compare with, while it is reduced.
    compare_at: Option<Amount>,
    /// While it is reduced: the lowest price of the 30 days before (Directive 98/6/EC, Article 6a).
    lowest_before_reduction: Option<Amount>,
    /// Whether it can be bought. The number left is at `/api/v1/catalog/availability?sku={sku}`.
    availability: AvailabilityBand,
}

impl From<product::Variant> for Offer {
    fn from(variant: product::Variant) -> Self {
        Self {
            id: variant.id,
            sku: variant.sku.as_str().to_owned(),
            barcode: variant.barcode,
            weight_grams: variant.weight_grams,
            option_values: variant.option_values,
            price: variant.price.map(Into::into),
            compare_at: variant.compare_at.map(Into::into),
            lowest_before_reduction: variant.lowest_before_reduction.map(Into::into),
            availability: variant.band.into(),
        }
    }
}

/// A characteristic.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Characteristic {
    /// Its code.
    code: String,
    /// Its name.
    name: String,
    /// The unit of numbers; may be empty.
    unit: String,
    /// The values.
    values: Vec<String>,
}

/// A picture of a product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductImage {
    /// The picture.
    image: Image,
    /// The variant that it shows, where it shows one only.
    variant_id: Option<i64>,
}

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductDetail {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its name.
    name: String,
    /// Its description: paragraphs, `#` headings, `-` lists, `**strong**`, `*emphasis*` and `[links](target)`.
    description: String,
    /// What search engines are told.
    seo: SearchEngineTexts,
    /// The kind of product; may be empty.
    product_type: String,
    /// Its maker.
    brand: Option<Maker>,
    /// The best of its variants.
    availability: AvailabilityBand,
    /// When it was published (RFC 3339).
    published_at: String,
    /// When it was changed last (RFC 3339).
    updated_at: String,
    /// What its variants differ in, in order.
    options: Vec<VariantOption>,
    /// What can be bought, in order.
    variants: Vec<Offer>,
    /// Its characteristics.
    attributes: Vec<Characteristic>,
    /// Its pictures, in order.
    images: Vec<ProductImage>,
    /// Its categories, each with the way to it from the top.
    categories: Vec<Vec<CategoryLink>>,
    /// Its tags.
    tags: Vec<String>,
}

/// Other products that fit to one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RelatedProducts {
    /// Those that follow it in its first category, at most eight.
    items: Vec<ProductCard>,
}

impl RelatedProducts {
    pub(super) fn new(cards: Vec<listing::Card>) -> Self {
        Self {
            items: cards.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ProductPage> for ProductDetail {
    fn from(page: ProductPage) -> Self {
        let option = |option: product::ProductOption| VariantOption {
            id: option.id,
            name: option.name,
            values: option
                .values
                .into_iter()
                .map(|value| OptionChoice {
                    id: value.id,
                    label: value.label,
                })
                .collect(),
        };
        let characteristic = |attribute: product::Attribute| Characteristic {
            code: attribute.code,
            name: attribute.name,
            unit: attribute.unit,
            values: attribute.values,
        };
        let image = |media: product::Media| ProductImage {
            image: media.image.into(),
            variant_id: media.variant_id,
        };
        let way = |way: Vec<category::CategoryLink>| way.into_iter().map(Into::into).collect();
        Self {
            availability: page.band().into(),
            id: page.id,
            slug: page.slug.as_str().to_owned(),
            name: page.name,
            description: page.description,
            seo: SearchEngineTexts {
                title: page.seo_title,
                description: page.seo_description,
            },
            product_type: page.product_type,
            brand: page.brand.map(Into::into),
            published_at: instant(page.published_at),
            updated_at: instant(page.updated_at),
            options: page.options.into_iter().map(option).collect(),
            variants: page.variants.into_iter().map(Into::into).collect(),
            attributes: page.attributes.into_iter().map(characteristic).collect(),
            images: page.media.into_iter().map(image).collect(),
            categories: page.categories.into_iter().map(way).collect(),
            tags: page.tags,
        }
    }
}

/// What is left of one variant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StockNumber {
    /// Its SKU.
    sku: String,
    /// Whether it can be bought.
    availability: AvailabilityBand,
    /// How many can be bought; `null` where any number can.
    available: Option<i64>,
}

/// Stock numbers, a few seconds old at most.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StockNumbers {
    /// Those asked for, in the order of SKUs. What is not sold is left out.
    items: Vec<StockNumber>,
}

impl StockNumbers {
    pub(super) fn new(mut levels: Vec<model::Availability>) -> Self {
        levels.sort_by(|one, other| one.sku.cmp(&other.sku));
        let number = |level: model::Availability| StockNumber {
            sku: level.sku.as_str().to_owned(),
            availability: level.band.into(),
            available: level.available,
        };
        Self {
            items: levels.into_iter().map(number).collect(),
        }
    }
}

/// What a completion names.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CompletionKind {
    /// A product.
    Product,
    /// A category.
    Category,
    /// A brand.
    Brand,
}

/// A completion of what was typed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suggestion)]
pub(super) struct Completion {
    /// What it names.
    kind: CompletionKind,
    /// The name.
    text: String,
    /// The slug.
    slug: String,
}

/// Completions, the most general first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Completions {
    /// At most ten.
    items: Vec<Completion>,
}

impl Completions {
    pub(super) fn new(suggestions: Vec<search::Suggestion>) -> Self {
        let completion = |suggestion: search::Suggestion| Completion {
            kind: match suggestion.kind {
                SuggestionKind::Product => CompletionKind::Product,
                SuggestionKind::Category => CompletionKind::Category,
                SuggestionKind::Brand => CompletionKind::Brand,
            },
            text: suggestion.text,
            slug: suggestion.slug,
        };
        Self {
            items: suggestions.into_iter().map(completion).collect(),
        }
    }
}

/// A currency that the shop sells in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SoldIn {
    /// Its code (ISO 4217).
    code: String,
    /// How many decimals its minor unit has.
    exponent: u32,
}

/// What a client needs to know of the shop.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShopSettings {
    /// Name of the shop.
    name: String,
    /// Languages (BCP 47), the default first.
    locales: Vec<String>,
    /// Currencies, the default first.
    currencies: Vec<SoldIn>,
}

impl ShopSettings {
    pub(super) fn new(site: &crate::storefront::view::Site) -> Self {
        let sold_in = |currency: &Currency| SoldIn {
            code: currency.as_str().to_owned(),
            exponent: currency.exponent(),
        };
        Self {
            name: site.name.clone(),
            locales: site
                .locales
                .iter()
                .map(|locale| locale.tag().to_owned())
                .collect(),
            currencies: site.currencies.iter().map(sold_in).collect(),
        }
    }
}
