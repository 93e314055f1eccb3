//! Variants, their prices and their stock as staff see them. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::change::unacceptable;
use super::fields::{
    FromBody, Object, amount, boolean, instant, integer, parsed, small_integer, text,
};
use crate::catalog::model::{Currency, PriceRow, Sku, StockLevel};
use crate::web::error::ApiError;

/// Largest weight (grams) and length (millimetres).
const LARGEST_MEASURE: i64 = 1_000_000_000;

/// What is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Variant {
    /// Its number.
    pub id: i64,
    /// The product that it is one of.
    pub product_id: i64,
    /// The seller's name for it.
    pub sku: String,
    /// `active` or `archived`.
    pub status: String,
    /// Its place among the variants of the product.
    pub position: i32,
    /// EAN, UPC or another bar code.
    pub barcode: String,
    /// Its weight in grams.
    pub weight_grams: Option<i64>,
    /// Its length in millimetres.
    pub length_mm: Option<i64>,
    /// Its width in millimetres.
    pub width_mm: Option<i64>,
    /// Its height in millimetres.
    pub height_mm: Option<i64>,
    /// The value that it has of each option of the product.
    pub options: BTreeMap<String, String>,
    /// The number in its `ETag`.
    pub version: i64,
}

/// The body that creates a variant.
#[derive(Debug, Clone, ToSchema)]
pub struct NewVariant {
    /// The seller's name for it.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// Everything else.
    #[schema(inline)]
    pub patch: VariantPatch,
}

/// The body that changes a variant (RFC 7396): absent fields stay as they are.
#[derive(Debug, Clone, Default, ToSchema)]
pub struct VariantPatch {
    /// The seller's name for it.
    #[schema(value_type = Option<String>)]
    pub sku: Option<Sku>,
    /// Its place among the variants of the product.
    pub position: Option<i32>,
    /// EAN, UPC or another bar code.
    pub barcode: Option<String>,
    /// Its weight in grams.
    #[schema(value_type = Option<i64>)]
    pub weight_grams: Option<Option<i64>>,
    /// Its length in millimetres.
    #[schema(value_type = Option<i64>)]
    pub length_mm: Option<Option<i64>>,
    /// Its width in millimetres.
    #[schema(value_type = Option<i64>)]
    pub width_mm: Option<Option<i64>>,
    /// Its height in millimetres.
    #[schema(value_type = Option<i64>)]
    pub height_mm: Option<Option<i64>>,
    /// The value of each option; replaces all.
    pub options: Option<BTreeMap<String, String>>,
}

fn read_patch(object: &mut Object<'_>) -> Option<VariantPatch> {
    let measure = || integer(0, LARGEST_MEASURE);
    let position = object.optional("position", small_integer);
    let barcode = object.optional("barcode", text(0, 64));
    let weight_grams = object.nullable("weight_grams", measure());
    let length_mm = object.nullable("length_mm", measure());
    let width_mm = object.nullable("width_mm", measure());
    let height_mm = object.nullable("height_mm", measure());
    let options = if object.has("options") {
        object
            .object("options", |object| {
                let mut options = BTreeMap::new();
                for name in object.names() {
                    if let Some(value) = object.required(&name, text(1, 190)) {
                        options.insert(name, value);
                    }
                }
                Some(options)
            })
            .map(Some)
    } else {
        Some(None)
    };
    Some(VariantPatch {
        sku: None,
        position: position?,
        barcode: barcode?,
        weight_grams: weight_grams?,
        length_mm: length_mm?,
        width_mm: width_mm?,
        height_mm: height_mm?,
        options: options?,
    })
}

impl FromBody for VariantPatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let sku = object.optional("sku", parsed::<Sku>);
        let patch = read_patch(object);
        Some(Self {
            sku: sku?,
            ..patch?
        })
    }
}

impl FromBody for NewVariant {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let sku = object.required("sku", parsed::<Sku>);
        let patch = read_patch(object);
        Some(Self {
            sku: sku?,
            patch: patch?,
        })
    }
}

impl VariantPatch {
    /// Changes what the patch names.
    pub fn apply(&self, variant: &mut Variant) {
        let Self {
            sku,
            position,
            barcode,
            weight_grams,
            length_mm,
            width_mm,
            height_mm,
            options,
        } = self;
        if let Some(sku) = sku {
            sku.as_str().clone_into(&mut variant.sku);
        }
        variant.position = position.unwrap_or(variant.position);
        if let Some(barcode) = barcode {
            variant.barcode.clone_from(barcode);
        }
        variant.weight_grams = weight_grams.unwrap_or(variant.weight_grams);
        variant.length_mm = length_mm.unwrap_or(variant.length_mm);
        variant.width_mm = width_mm.unwrap_or(variant.width_mm);
        variant.height_mm = height_mm.unwrap_or(variant.height_mm);
        if let Some(options) = options {
            variant.options.clone_from(options);
        }
    }
}

/// One period of a price. Rows are never edited, only ended: together they are the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Price {
    /// Its number.
    pub id: i64,
    /// ISO 4217.
    pub currency: String,
    /// In minor units.
    pub amount: i64,
    /// A price to compare with, in minor units.
    pub compare_at: Option<i64>,
    /// From when it counts.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: OffsetDateTime,
    /// From when it counts no more.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<OffsetDateTime>,
}

impl Price {
    /// The row as the rules of prices take it.
    #[must_use]
    pub fn row(&self) -> PriceRow {
        PriceRow {
            id: self.id,
            amount: self.amount,
            compare_at: self.compare_at,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
        }
    }
}

/// The prices of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Prices {
    /// The variant.
    pub variant_id: i64,
    /// What counts now, in each currency.
    pub current: Vec<Price>,
    /// All rows, the latest first, at most 1000.
    pub history: Vec<Price>,
    /// The version of the variant.
    pub version: i64,
}

/// The body that sets the price of a variant in a currency from now on.
#[derive(Debug, Clone, ToSchema)]
pub struct NewPrice {
    /// In minor units.
    pub amount: i64,
    /// A price to compare with, in minor units.
    pub compare_at: Option<i64>,
}

impl FromBody for NewPrice {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let new = object.required("amount", amount);
        let compare_at = object.nullable("compare_at", amount);
        let price = Self {
            amount: new?,
            compare_at: compare_at?.flatten(),
        };
        if price
            .compare_at
            .is_some_and(|compare_at| compare_at <= price.amount)
        {
            object.error("compare_at", "must be more than the amount, or absent");
        }
        Some(price)
    }
}

/// The body that schedules a price.
#[derive(Debug, Clone, ToSchema)]
pub struct ScheduledPrice {
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// The price.
    #[schema(inline)]
    pub price: NewPrice,
    /// From when it counts; must be in the future.
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: OffsetDateTime,
    /// Until when; what counted before counts again then. Without end when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<OffsetDateTime>,
}

impl FromBody for ScheduledPrice {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let currency = object.required("currency", parsed::<Currency>);
        let starts_at = object.required("starts_at", instant);
        let ends_at = object.nullable("ends_at", instant);
        let price = NewPrice::read(object);
        let scheduled = Self {
            currency: currency?,
            price: price?,
            starts_at: starts_at?,
            ends_at: ends_at?.flatten(),
        };
        if scheduled
            .ends_at
            .is_some_and(|end| end <= scheduled.starts_at)
        {
            object.error("ends_at", "must be after starts_at");
        }
        Some(scheduled)
    }
}

/// The stock of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stock {
    /// The variant.
    pub variant_id: i64,
    /// False for what cannot run out.
    pub tracked: bool,
    /// Pieces in the warehouse.
    pub on_hand: i64,
    /// Pieces promised to orders and checkouts.
    pub reserved: i64,
    /// Pieces that may be sold before they arrive.
    pub backorder_limit: i64,
    /// At this many or fewer, pages say that little is left.
    pub low_threshold: i64,
    /// Pieces that can still be sold; `null` where any number can.
    pub available: Option<i64>,
    /// What pages say: `in_stock`, `low` or `out`.
    pub band: String,
    /// The number in its `ETag`.
    pub version: i64,
}

impl Stock {
    /// The stock with these numbers.
    #[must_use]
    pub fn new(variant_id: i64, level: &StockLevel, version: i64) -> Self {
        Self {
            variant_id,
            tracked: level.tracked,
            on_hand: level.on_hand,
            reserved: level.reserved,
            backorder_limit: level.backorder_limit,
            low_threshold: level.low_threshold,
            available: level.available(),
            band: level.band().as_str().to_owned(),
            version,
        }
    }

    /// Its numbers.
    #[must_use]
    pub fn level(&self) -> StockLevel {
        StockLevel {
            tracked: self.tracked,
            on_hand: self.on_hand,
            reserved: self.reserved,
            backorder_limit: self.backorder_limit,
            low_threshold: self.low_threshold,
        }
    }
}

/// Most pieces of one variant: sums of them stay far from overflow.
const MOST_PIECES: i64 = 1_000_000_000_000;

/// The body that says how much of a variant there is.
#[derive(Debug, Clone, ToSchema)]
pub struct StockCount {
    /// Pieces in the warehouse, as counted.
    pub on_hand: i64,
    /// Whether it can run out; as it was when absent.
    pub tracked: Option<bool>,
    /// Pieces that may be sold before they arrive; as it was when absent.
    pub backorder_limit: Option<i64>,
    /// At this many or fewer, pages say that little is left; as it was when absent.
    pub low_threshold: Option<i64>,
}

impl FromBody for StockCount {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let on_hand = object.required("on_hand", integer(0, MOST_PIECES));
        let tracked = object.optional("tracked", boolean);
        let backorder_limit = object.optional("backorder_limit", integer(0, MOST_PIECES));
        let low_threshold = object.optional("low_threshold", integer(0, MOST_PIECES));
        Some(Self {
            on_hand: on_hand?,
            tracked: tracked?,
            backorder_limit: backorder_limit?,
            low_threshold: low_threshold?,
        })
    }
}

impl StockCount {
    /// The level after the count.
    ///
    /// # Errors
    /// 422 when more is promised than there would be.
    pub fn apply(&self, level: StockLevel) -> Result<StockLevel, ApiError> {
        checked(
            StockLevel {
                tracked: self.tracked.unwrap_or(level.tracked),
                on_hand: self.on_hand,
                reserved: level.reserved,
                backorder_limit: self.backorder_limit.unwrap_or(level.backorder_limit),
                low_threshold: self.low_threshold.unwrap_or(level.low_threshold),
            },
            "/on_hand",
        )
    }
}

/// The body that adds pieces to the stock, or takes some away.
#[derive(Debug, Clone, ToSchema)]
pub struct StockAdjustment {
    /// Pieces: positive for those that came, negative for those that went.
    pub delta: i64,
    /// Why, for the audit log.
    pub reason: String,
}

impl FromBody for StockAdjustment {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let delta = object.required("delta", |value| {
            match integer(-MOST_PIECES, MOST_PIECES)(value) {
                Ok(0) => Err("must not be 0".to_owned()),
                delta => delta,
            }
        });
        let reason = object.required("reason", text(1, 190));
        Some(Self {
            delta: delta?,
            reason: reason?,
        })
    }
}

impl StockAdjustment {
    /// The level after the adjustment.
    ///
    /// # Errors
    /// 422 when more is promised than there would be.
    pub fn apply(&self, level: StockLevel) -> Result<StockLevel, ApiError> {
        checked(
            StockLevel {
                on_hand: level.on_hand.saturating_add(self.delta),
                ..level
            },
            "/delta",
        )
    }
}

fn checked(level: StockLevel, field: &str) -> Result<StockLevel, ApiError> {
    if !(0..=MOST_PIECES).contains(&level.on_hand) {
        return Err(unacceptable(
            field,
            format!(
                "would leave {} pieces: there can be 0 to {MOST_PIECES}",
                level.on_hand
            ),
        ));
    }
    if level.tracked && level.on_hand.saturating_add(level.backorder_limit) < level.reserved {
        return Err(unacceptable(
            field,
            format!(
                "would leave {} pieces (and {} on backorder), but {} are promised to orders and checkouts: cancel some first",
                level.on_hand, level.backorder_limit, level.reserved
            ),
        ));
    }
    Ok(level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fields::read_body;

    fn level() -> StockLevel {
        StockLevel {
            tracked: true,
            on_hand: 10,
            reserved: 4,
            backorder_limit: 1,
            low_threshold: 5,
        }
    }

    #[test]
    fn stock_never_falls_below_what_is_promised() {
        let adjusted = |delta| {
            StockAdjustment {
                delta,
                reason: "x".into(),
            }
            .apply(level())
        };
        assert_eq!(adjusted(-7).unwrap().on_hand, 3);
        assert!(adjusted(-8).is_err() && adjusted(-11).is_err() && adjusted(MOST_PIECES).is_err());
        let count = |on_hand| StockCount {
            on_hand,
            tracked: None,
            backorder_limit: None,
            low_threshold: None,
        };
        assert!(count(2).apply(level()).is_err());
        assert_eq!(count(3).apply(level()).unwrap().low_threshold, 5);
        let untracked = StockCount {
            tracked: Some(false),
            ..count(0)
        };
        assert!(untracked.apply(level()).is_ok());
    }

    #[test]
    fn a_price_is_compared_with_a_higher_one_and_ends_after_its_start() {
        assert!(read_body::<NewPrice>(br#"{"amount":100,"compare_at":100}"#).is_err());
        assert!(read_body::<NewPrice>(br#"{"amount":100,"compare_at":null}"#).is_ok());
        assert!(
            read_body::<NewPrice>(br#"{"amount":-1}"#).is_err()
                && read_body::<NewPrice>(br#"{"amount":1.5}"#).is_err()
        );
        let wrong = br#"{"amount":1,"currency":"XXX","starts_at":"2030-01-02T00:00:00Z","ends_at":"2030-01-01T00:00:00Z"}"#;
        assert_eq!(
            read_body::<ScheduledPrice>(wrong).unwrap_err().fields.len(),
            1
        );
        let wrong = br#"{"amount":1,"currency":"EUR","starts_at":"2030-01-02T00:00:00Z","ends_at":"2030-01-01T00:00:00Z"}"#;
        assert_eq!(
            read_body::<ScheduledPrice>(wrong).unwrap_err().fields[0].field,
            "/ends_at"
        );
    }

    #[test]
    fn a_variant_patch_tells_absent_from_null() {
        let patch: VariantPatch =
            read_body(br#"{"weight_grams":null,"options":{"Size":"L"}}"#).unwrap();
        assert_eq!((patch.weight_grams, patch.length_mm), (Some(None), None));
        assert_eq!(patch.options.unwrap()["Size"], "L");
        let wrong =
            read_body::<NewVariant>(br#"{"sku":" x","weight_grams":-1,"options":{"Size":3}}"#)
                .unwrap_err();
        let fields: Vec<&str> = wrong
            .fields
            .iter()
            .map(|field| field.field.as_str())
            .collect();
        assert_eq!(fields, ["/sku", "/weight_grams", "/options/Size"]);
    }
}
