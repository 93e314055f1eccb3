//! The SQL of a product's page: six statements.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::category::{Answer, CategoryLink, Lookup};
use super::identifier::{Locale, Sku, Slug};
use super::json_list;
use super::listing::{Brand, Card, Image};
use super::model::{Availability, AvailabilityBand};
use super::money::{Currency, Money};
use super::price::{
    PriceRow, REDUCTION_LIFE, REDUCTION_WINDOW, effective_price, lowest_before_reduction,
    next_price_change,
};
use super::product::{
    Attribute, MAX_VARIANTS, Media, OptionValue, ProductOption, ProductPage, Variant,
};
use super::store_category::slug;
use super::store_index::{band_of, stock_level};
use super::store_listing::related_cards;
use crate::stock::store_columns::stock_columns;

const PRODUCT: &str = "SELECT p.id, p.slug, p.status, p.version, p.published_at, p.unpublished_at, p.updated_at, \
       p.product_type, p.tax_category, COALESCE(t.name, d.name, p.slug) AS name, \
       COALESCE(t.description, d.description, '') AS description, COALESCE(t.seo_title, d.seo_title, '') AS seo_title, \
       COALESCE(t.seo_description, d.seo_description, '') AS seo_description, b.name AS brand_name, \
       b.slug AS brand_slug, \
       (SELECT CAST(JSON_ARRAYAGG(tag) AS CHAR) FROM product_tag WHERE product_id = p.id) AS tags, \
       (SELECT CAST(JSON_ARRAYAGG(JSON_ARRAY(pm.position, pm.variant_id, pm.alt, m.hash, m.width, m.height)) AS CHAR) \
        FROM product_media pm STRAIGHT_JOIN media m ON m.hash = pm.hash WHERE pm.product_id = p.id) AS media \
     FROM product p LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = ? \
     LEFT JOIN product_translation d ON d.product_id = p.id AND d.locale = ? \
     LEFT JOIN brand b ON b.id = p.brand_id WHERE p.slug = ?";
const REDIRECT: &str = "SELECT p.id, p.slug, p.status, p.published_at, p.unpublished_at FROM slug_redirect r \
     STRAIGHT_JOIN product p ON p.id = r.target_id WHERE r.kind = 'product' AND r.slug = ?";
const VARIANTS: &str = concat!(
    "SELECT v.id, v.sku, v.barcode, v.weight_grams, ",
    stock_columns!(),
    ", o.id AS option_id, COALESCE(ol.text, o.name) AS option_name, \
       o.position AS option_position, ov.id AS value_id, COALESCE(vl.text, ov.value) AS value_label, \
       ov.position AS value_position FROM ( \
       SELECT id, sku, barcode, weight_grams, position FROM variant \
       WHERE product_id = ? AND status = 'active' ORDER BY position, id LIMIT ?) v \
     LEFT JOIN stock s ON s.variant_id = v.id LEFT JOIN variant_option vo ON vo.variant_id = v.id \
     LEFT JOIN product_option o ON o.id = vo.option_id LEFT JOIN product_option_value ov ON ov.id = vo.value_id \
     LEFT JOIN label_translation ol ON ol.locale = ? AND ol.label = o.name \
     LEFT JOIN label_translation vl ON vl.locale = ? AND vl.label = ov.value \
     ORDER BY v.position, v.id, o.position, o.id"
);
const PRICES: &str = "SELECT p.variant_id, p.id, p.amount, p.compare_at, p.starts_at, p.ends_at \
     FROM variant v STRAIGHT_JOIN price p ON p.variant_id = v.id AND p.currency = ? \
     WHERE v.product_id = ? AND v.status = 'active' AND (p.ends_at IS NULL OR p.ends_at > ?)";
const ATTRIBUTES: &str = "SELECT a.code, COALESCE(al.text, a.name) AS name, a.unit, COALESCE(vl.text, v.value) AS value \
     FROM product_attribute pa STRAIGHT_JOIN attribute_value v ON v.id = pa.value_id \
     STRAIGHT_JOIN attribute a ON a.id = v.attribute_id \
     LEFT JOIN label_translation al ON al.locale = ? AND al.label = a.name \
     LEFT JOIN label_translation vl ON vl.locale = ? AND vl.label = v.value \
     WHERE pa.product_id = ? ORDER BY a.position, a.code, v.number_value, v.value";
const CATEGORIES: &str = "SELECT pc.category_id, c.id, c.slug, COALESCE(t.name, d.name, c.slug) AS name, \
       c.product_count, c.status FROM product_category pc \
     STRAIGHT_JOIN category_closure above ON above.descendant_id = pc.category_id \
     STRAIGHT_JOIN category c ON c.id = above.ancestor_id \
     LEFT JOIN category_translation t ON t.category_id = c.id AND t.locale = ? \
     LEFT JOIN category_translation d ON d.category_id = c.id AND d.locale = ? \
     WHERE pc.product_id = ? ORDER BY pc.position, pc.category_id, above.depth DESC";
const AVAILABILITY: &str = concat!(
    "SELECT v.sku, ",
    stock_columns!(),
    " FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$')) wanted \
     STRAIGHT_JOIN variant v ON v.sku = wanted.sku STRAIGHT_JOIN product p ON p.id = v.product_id \
     LEFT JOIN stock s ON s.variant_id = v.id \
     WHERE v.status = 'active' AND p.status = 'active' AND p.published_at <= ? \
       AND (p.unpublished_at IS NULL OR p.unpublished_at > ?)"
);

/// A position, and an id for those that share one.
type Place = (i32, i64);

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("product_by_slug", PRODUCT),
    ("product_redirect", REDIRECT),
    ("product_variants", VARIANTS),
    ("product_prices", PRICES),
    ("product_attributes", ATTRIBUTES),
    ("product_categories", CATEGORIES),
    ("product_availability", AVAILABILITY),
];

/// SKUs asked for at once.
pub const MAX_AVAILABILITY: usize = 50;

#[derive(Debug, sqlx::FromRow)]
struct ProductRow {
    id: i64,
    slug: String,
    status: String,
    version: i64,
    published_at: Option<OffsetDateTime>,
    unpublished_at: Option<OffsetDateTime>,
    updated_at: OffsetDateTime,
    product_type: String,
    tax_category: String,
    name: String,
    description: String,
    seo_title: String,
    seo_description: String,
    brand_name: Option<String>,
    brand_slug: Option<String>,
    tags: Option<String>,
    media: Option<String>,
}

/// Whether the public may see a product.
enum Visibility {
    Published(OffsetDateTime),
    /// It will be, at that instant, if one is set.
    Hidden(Option<OffsetDateTime>),
    Gone,
}

fn visibility(
    status: &str,
    published_at: Option<OffsetDateTime>,
    unpublished_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Visibility {
    match (status, published_at) {
        ("archived", _) => Visibility::Gone,
        ("active", Some(_)) if unpublished_at.is_some_and(|end| end <= now) => Visibility::Gone,
        ("active", Some(published_at)) if published_at <= now => {
            Visibility::Published(published_at)
        }
        ("active", Some(published_at)) => Visibility::Hidden(Some(published_at)),
        _ => Visibility::Hidden(None),
    }
}

/// Other products of a product's first category: those that follow it there.
///
/// # Errors
/// Those of the database.
pub async fn related_products(
    connection: &mut MySqlConnection,
    page: &ProductPage,
    currency: Currency,
    locale: &Locale,
    default_locale: &Locale,
) -> Result<Vec<Card>, sqlx::Error> {
    let first = page.categories.first().and_then(|path| path.last());
    match first {
        Some(category) => {
            related_cards(
                connection,
                page.id,
                category.id,
                currency,
                locale,
                default_locale,
            )
            .await
        }
        None => Ok(Vec::new()),
    }
}

/// The product of an address, with its prices in a currency.
///
/// # Errors
/// Those of the database.
pub async fn product_by_slug(
    connection: &mut MySqlConnection,
    wanted: &Slug,
    currency: Currency,
    locale: &Locale,
    default_locale: &Locale,
    now: OffsetDateTime,
) -> Result<Answer<ProductPage>, sqlx::Error> {
    let row: Option<ProductRow> = sqlx::query_as(PRODUCT)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(wanted.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return redirect(connection, wanted, now).await;
    };
    let published_at = match visibility(&row.status, row.published_at, row.unpublished_at, now) {
        Visibility::Published(published_at) => published_at,
        Visibility::Hidden(until) => {
            return Ok(Answer {
                found: Lookup::NotFound(Some(row.id)),
                valid_until: until,
            });
        }
        Visibility::Gone => {
            return Ok(Answer {
                found: Lookup::Gone(row.id),
                valid_until: None,
            });
        }
    };
    let (options, mut variants) = variants(connection, row.id, locale).await?;
    let price_change = price(connection, row.id, currency, &mut variants, now).await?;
    let attributes = attributes(connection, row.id, locale).await?;
    let categories = categories(connection, row.id, locale, default_locale).await?;
    let page = ProductPage {
        id: row.id,
        slug: slug(&row.slug)?,
        version: row.version,
        name: row.name,
        description: row.description,
        seo_title: row.seo_title,
        seo_description: row.seo_description,
        product_type: row.product_type,
        tax_category: row.tax_category,
        brand: row
            .brand_name
            .zip(row.brand_slug)
            .map(|(name, slug)| Brand { name, slug }),
        published_at,
        updated_at: row.updated_at,
        options,
        variants,
        attributes,
        media: media(row.media.as_deref())?,
        categories,
        tags: tags(row.tags.as_deref())?,
    };
    let valid_until = [price_change, row.unpublished_at]
        .into_iter()
        .flatten()
        .min();
    Ok(Answer {
        found: Lookup::Found(page),
        valid_until,
    })
}

async fn redirect(
    connection: &mut MySqlConnection,
    wanted: &Slug,
    now: OffsetDateTime,
) -> Result<Answer<ProductPage>, sqlx::Error> {
    type Target = (
        i64,
        String,
        String,
        Option<OffsetDateTime>,
        Option<OffsetDateTime>,
    );
    let target: Option<Target> = sqlx::query_as(REDIRECT)
        .bind(wanted.as_str())
        .fetch_optional(connection)
        .await?;
    let Some((id, target, status, published_at, unpublished_at)) = target else {
        return Ok(Answer {
            found: Lookup::NotFound(None),
            valid_until: None,
        });
    };
    Ok(
        match visibility(&status, published_at, unpublished_at, now) {
            Visibility::Published(_) => Answer {
                found: Lookup::Moved(slug(&target)?),
                valid_until: unpublished_at,
            },
            Visibility::Hidden(until) => Answer {
                found: Lookup::NotFound(Some(id)),
                valid_until: until,
            },
            Visibility::Gone => Answer {
                found: Lookup::Gone(id),
                valid_until: None,
            },
        },
    )
}

fn decoded<T: serde::de::DeserializeOwned>(json: Option<&str>) -> Result<Vec<T>, sqlx::Error> {
    json.map_or(Ok(Vec::new()), |json| {
        serde_json::from_str(json).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    })
}

fn tags(json: Option<&str>) -> Result<Vec<String>, sqlx::Error> {
    let mut tags: Vec<String> = decoded(json)?;
    tags.sort_unstable();
    Ok(tags)
}

fn media(json: Option<&str>) -> Result<Vec<Media>, sqlx::Error> {
    let mut rows: Vec<(i32, Option<i64>, String, String, i32, i32)> = decoded(json)?;
    rows.sort_unstable_by_key(|row| row.0);
    let media = rows
        .into_iter()
        .map(|(_, variant_id, alt, hash, width, height)| Media {
            image: Image {
                hash,
                alt,
                width,
                height,
            },
            variant_id,
        });
    Ok(media.collect())
}

#[derive(Debug, sqlx::FromRow)]
struct VariantRow {
    id: i64,
    sku: String,
    barcode: String,
    weight_grams: Option<i64>,
    tracked: Option<bool>,
    on_hand: Option<i64>,
    reserved: Option<i64>,
    backorder_limit: Option<i64>,
    low_threshold: Option<i64>,
    option_id: Option<i64>,
    option_name: Option<String>,
    option_position: Option<i32>,
    value_id: Option<i64>,
    value_label: Option<String>,
    value_position: Option<i32>,
}

async fn variants(
    connection: &mut MySqlConnection,
    product: i64,
    locale: &Locale,
) -> Result<(Vec<ProductOption>, Vec<Variant>), sqlx::Error> {
    let rows: Vec<VariantRow> = sqlx::query_as(VARIANTS)
        .bind(product)
        .bind(i64::from(MAX_VARIANTS))
        .bind(locale.as_str())
        .bind(locale.as_str())
        .fetch_all(connection)
        .await?;
    let mut variants: Vec<Variant> = Vec::new();
    // By (position, id), options and the values within them.
    let mut options: BTreeMap<Place, (String, BTreeMap<Place, String>)> = BTreeMap::new();
    for row in rows {
        if variants.last().is_none_or(|variant| variant.id != row.id) {
            variants.push(Variant {
                id: row.id,
                sku: sku(&row.sku)?,
                barcode: row.barcode,
                weight_grams: row.weight_grams,
                option_values: Vec::new(),
                price: None,
                compare_at: None,
                lowest_before_reduction: None,
                price_until: None,
                band: band_of((
                    row.tracked,
                    row.on_hand,
                    row.reserved,
                    row.backorder_limit,
                    row.low_threshold,
                )),
            });
        }
        let option = row.option_id.zip(row.option_position).zip(row.option_name);
        let value = row.value_id.zip(row.value_position).zip(row.value_label);
        if let Some((((option_id, position), name), ((value_id, value_position), label))) =
            option.zip(value)
        {
            let (_, values) = options
                .entry((position, option_id))
                .or_insert_with(|| (name, BTreeMap::new()));
            values.insert((value_position, value_id), label);
            if let Some(variant) = variants.last_mut() {
                variant.option_values.push(value_id);
            }
        }
    }
    let options = options
        .into_iter()
        .map(|((_, id), (name, values))| ProductOption {
            id,
            name,
            values: values
                .into_iter()
                .map(|((_, id), label)| OptionValue { id, label })
                .collect(),
        });
    Ok((options.collect(), variants))
}

fn sku(text: &str) -> Result<Sku, sqlx::Error> {
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Sets the prices of variants and answers when the first of them changes.
async fn price(
    connection: &mut MySqlConnection,
    product: i64,
    currency: Currency,
    variants: &mut [Variant],
    now: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    // What ended before is outside the window of any reduction that is still called one.
    let oldest = now - REDUCTION_LIFE - REDUCTION_WINDOW;
    type Row = (
        i64,
        i64,
        i64,
        Option<i64>,
        OffsetDateTime,
        Option<OffsetDateTime>,
    );
    let rows: Vec<Row> = sqlx::query_as(PRICES)
        .bind(currency.as_str())
        .bind(product)
        .bind(oldest)
        .fetch_all(connection)
        .await?;
    let mut prices: BTreeMap<i64, Vec<PriceRow>> = BTreeMap::new();
    for (variant, id, amount, compare_at, starts_at, ends_at) in rows {
        prices.entry(variant).or_default().push(PriceRow {
            id,
            amount,
            compare_at,
            starts_at,
            ends_at,
        });
    }
    let mut change = None;
    for variant in variants {
        let Some(rows) = prices.get(&variant.id) else {
            continue;
        };
        let money = |minor| Money::new(minor, currency);
        if let Some(price) = effective_price(rows, now) {
            variant.price = Some(money(price.amount));
            variant.compare_at = price
                .compare_at
                .filter(|&compare_at| compare_at > price.amount)
                .map(money);
            variant.lowest_before_reduction = lowest_before_reduction(rows, now).map(money);
        }
        variant.price_until = next_price_change(rows, now);
        change = [change, variant.price_until].into_iter().flatten().min();
    }
    Ok(change)
}

async fn attributes(
    connection: &mut MySqlConnection,
    product: i64,
    locale: &Locale,
) -> Result<Vec<Attribute>, sqlx::Error> {
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(ATTRIBUTES)
        .bind(locale.as_str())
        .bind(locale.as_str())
        .bind(product)
        .fetch_all(connection)
        .await?;
    let mut attributes: Vec<Attribute> = Vec::new();
    for (code, name, unit, value) in rows {
        match attributes.last_mut() {
            Some(last) if last.code == code => last.values.push(value),
            _ => attributes.push(Attribute {
                code,
                name,
                unit,
                values: vec![value],
            }),
        }
    }
    Ok(attributes)
}

/// The ways to a product's categories; those that lead through a category which is not active are left out.
async fn categories(
    connection: &mut MySqlConnection,
    product: i64,
    locale: &Locale,
    default_locale: &Locale,
) -> Result<Vec<Vec<CategoryLink>>, sqlx::Error> {
    let rows: Vec<(i64, i64, String, String, i64, String)> = sqlx::query_as(CATEGORIES)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(product)
        .fetch_all(connection)
        .await?;
    let mut paths: Vec<(i64, bool, Vec<CategoryLink>)> = Vec::new();
    for (own, id, category_slug, name, product_count, status) in rows {
        if paths.last().is_none_or(|(last, ..)| *last != own) {
            paths.push((own, true, Vec::new()));
        }
        if let Some((_, active, path)) = paths.last_mut() {
            *active &= status == "active";
            path.push(CategoryLink {
                id,
                slug: slug(&category_slug)?,
                name,
                product_count,
            });
        }
    }
    Ok(paths
        .into_iter()
        .filter(|(_, active, _)| *active)
        .map(|(.., path)| path)
        .collect())
}

/// What can be sold of each SKU now, at most [`MAX_AVAILABILITY`] of them; SKUs that cannot be bought at all are left out.
///
/// # Errors
/// Those of the database.
pub async fn availability(
    connection: &mut MySqlConnection,
    skus: &[Sku],
    now: OffsetDateTime,
) -> Result<Vec<Availability>, sqlx::Error> {
    let wanted: Vec<&Sku> = skus.iter().take(MAX_AVAILABILITY).collect();
    type Row = (
        String,
        Option<bool>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
    );
    let rows: Vec<Row> = sqlx::query_as(AVAILABILITY)
        .bind(json_list(&wanted)?)
        .bind(now)
        .bind(now)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(
            |(text, tracked, on_hand, reserved, backorder_limit, low_threshold)| {
                let level =
                    stock_level((tracked, on_hand, reserved, backorder_limit, low_threshold));
                Ok(Availability {
                    sku: sku(&text)?,
                    band: level.map_or(AvailabilityBand::Out, |level| level.band()),
                    available: level.map_or(Some(0), |level| level.available()),
                })
            },
        )
        .collect()
}
