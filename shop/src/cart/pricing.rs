//! What a cart costs now, by what the database says on one connection.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::model::{
    Cart, CouponState, Destination, Difference, DifferenceKind, GoneLine, OfferedMethod, Priced,
    PricedCoupon, PricedDiscount, PricedLine, Requirement, RequirementCode,
};
use super::store_facts::{self, VariantFacts};
use super::totals::{Input, LineInput, NotApplied, Sending, TooMuch, Totals, totals};
use crate::catalog::model::Locale;
use crate::promotions::model::Offer;
use crate::promotions::store::{self as promotions, CouponProblem, Offers};
use crate::secret::Keys;
use crate::shipping::model::Method;
use crate::shipping::store as shipping;
use crate::taxes::model::{Prices, Rate, TaxRate, Zone};
use crate::taxes::store as taxes;
use crate::web::error::{ApiError, Code};

/// The purpose under which customers' addresses are hashed ([`customer_key`]).
const CUSTOMER: &str = "customer";

/// How carts are priced.
#[derive(Debug, Clone)]
pub struct PricingSettings {
    /// The language that others fall back to.
    pub first_locale: Locale,
    /// The shop's key, for the limits of customers.
    pub keys: Keys,
}

/// The customer of an e-mail address as limits and orders know them: a keyed hash of the address in lower case.
#[must_use]
pub fn customer_key(keys: &Keys, email: &str) -> [u8; 32] {
    keys.keyed_hash(CUSTOMER, email.trim().to_lowercase().as_bytes())
}

/// A line that can be bought, with what is known about it.
struct Bought<'a> {
    facts: &'a VariantFacts,
    quantity: i32,
    unit_amount: i64,
    tax: TaxRate,
}

/// Where the goods go.
struct Place {
    destination: Option<Destination>,
    zone: Option<Zone>,
    methods: Vec<Method>,
}

/// Prices a cart from what this connection sees: catalogue, stock, promotions, taxes, shipping.
///
/// # Errors
/// `unprocessable` where the goods cost more than can be calculated; what the database answers.
pub async fn price(
    connection: &mut MySqlConnection,
    cart: &Cart,
    settings: &PricingSettings,
    now: OffsetDateTime,
) -> Result<Priced, ApiError> {
    let variants: Vec<i64> = cart.lines.iter().map(|line| line.variant_id).collect();
    let ask = facts_ask(cart, settings, now);
    let facts = store_facts::facts(connection, &variants, &ask).await?;
    let place = place(connection, cart).await?;
    let offers = offers(connection, cart, settings, now).await?;
    let bought = bought(cart, &facts, place.zone.as_ref());
    let categories = categories(connection, &bought, &offers.offers).await?;

    let lines: Vec<LineInput> = bought
        .iter()
        .map(|line| LineInput {
            product_id: line.facts.product_id,
            categories: categories
                .get(&line.facts.product_id)
                .cloned()
                .unwrap_or_default(),
            unit_amount: line.unit_amount,
            quantity: line.quantity,
            tax_rate: line.tax.rate,
        })
        .collect();
    let grams = bought.iter().fold(0_i64, |sum, line| {
        sum.saturating_add(
            line.facts
                .weight_grams
                .saturating_mul(i64::from(line.quantity)),
        )
    });
    let chosen = place
        .methods
        .iter()
        .find(|method| Some(&method.code) == cart.shipping_method.as_ref());
    let shipping_tax = chosen
        .zip(place.zone.as_ref())
        .map(|(method, zone)| zone.rate(&method.tax_category))
        .unwrap_or_default();
    let input = Input {
        currency: cart.currency,
        prices: place
            .zone
            .as_ref()
            .map_or(Prices::WithoutTax, |zone| zone.prices),
        lines: &lines,
        sending: chosen.map(|method| Sending {
            method,
            grams,
            tax_rate: shipping_tax.rate,
        }),
        offers: &offers.offers,
    };
    let sums = totals(&input).map_err(|TooMuch| too_much())?;
    let first_locale = settings.first_locale.as_str();
    let taken = chosen.filter(|_| sums.shipping.is_some());
    let methods = offered(cart, &input, &place, grams, first_locale);
    Ok(Priced {
        currency: cart.currency,
        prices_include_tax: input.prices == Prices::WithTax,
        gone: gone(cart, &facts),
        coupons: coupons(cart, &offers, &sums),
        requirements: requirements(cart, &bought, &facts, &place, sums.shipping),
        differences: differences(cart, &facts),
        discounts: discounts(&offers.offers, &sums),
        shipping_method: taken.map(|method| method.code.clone()),
        shipping_name: taken.map_or_else(String::new, |method| {
            method.name(cart.locale.as_str(), first_locale).to_owned()
        }),
        shipping_tax_name: shipping_tax.name,
        shipping_tax_rate: shipping_tax.rate.millionths(),
        shipping_tax: sums.shipping_tax,
        subtotal: sums.subtotal,
        discount: sums.discount,
        shipping: sums.shipping.unwrap_or(0),
        tax: sums.tax,
        total: sums.total,
        lines: bought
            .into_iter()
            .zip(&sums.lines)
            .map(|(line, sums)| PricedLine {
                variant_id: line.facts.variant_id,
                product_id: line.facts.product_id,
                sku: line.facts.sku.clone(),
                name: line.facts.name.clone(),
                slug: line.facts.slug.clone(),
                options_text: line.facts.options_text.clone(),
                picture: line.facts.picture.clone(),
                weight_grams: line.facts.weight_grams,
                quantity: line.quantity,
                unit_amount: line.unit_amount,
                subtotal: sums.subtotal,
                discount: sums.discount,
                tax_name: line.tax.name,
                tax_rate: line.tax.rate.millionths(),
                tax: sums.tax,
                total: sums.total,
                available: line.facts.available,
                buckets: line.facts.buckets,
            })
            .collect(),
        methods,
        destination: place.destination.filter(|_| place.zone.is_some()),
    })
}

/// How the facts about a cart's lines are asked for.
pub(super) fn facts_ask<'a>(
    cart: &'a Cart,
    settings: &'a PricingSettings,
    now: OffsetDateTime,
) -> store_facts::Ask<'a> {
    store_facts::Ask {
        currency: cart.currency,
        locale: cart.locale.as_str(),
        first_locale: settings.first_locale.as_str(),
        now,
    }
}

fn too_much() -> ApiError {
    ApiError::new(Code::Unprocessable)
        .detail("the goods in the cart cost more than the shop can calculate: take fewer pieces")
}

async fn place(connection: &mut MySqlConnection, cart: &Cart) -> Result<Place, sqlx::Error> {
    let destination = cart.goes_to();
    let zone = match &destination {
        Some(place) => taxes::zone(connection, &place.country, &place.region).await?,
        None => None,
    };
    let methods = match &zone {
        Some(zone) => shipping::methods(connection, zone.id, cart.currency).await?,
        None => Vec::new(),
    };
    Ok(Place {
        destination,
        zone,
        methods,
    })
}

async fn offers(
    connection: &mut MySqlConnection,
    cart: &Cart,
    settings: &PricingSettings,
    now: OffsetDateTime,
) -> Result<Offers, sqlx::Error> {
    let key = cart
        .email
        .as_deref()
        .map(|email| customer_key(&settings.keys, email));
    let ask = promotions::Ask {
        codes: &cart.coupons,
        customer_key: key.as_ref(),
        locale: cart.locale.as_str(),
        first_locale: settings.first_locale.as_str(),
        now,
    };
    promotions::offers(connection, &ask).await
}

fn bought<'a>(
    cart: &Cart,
    facts: &'a BTreeMap<i64, VariantFacts>,
    zone: Option<&Zone>,
) -> Vec<Bought<'a>> {
    cart.lines
        .iter()
        .filter_map(|line| {
            let facts = facts.get(&line.variant_id)?;
            Some(Bought {
                facts,
                quantity: line.quantity,
                unit_amount: facts.amount?,
                tax: zone.map_or_else(TaxRate::default, |zone| zone.rate(&facts.tax_category)),
            })
        })
        .collect()
}

/// The categories of the products, if any promotion asks for them.
async fn categories(
    connection: &mut MySqlConnection,
    bought: &[Bought<'_>],
    offers: &[Offer],
) -> Result<BTreeMap<i64, Vec<i64>>, sqlx::Error> {
    let asked = offers
        .iter()
        .any(|offer| !offer.rule.conditions.categories.is_empty());
    if !asked || bought.is_empty() {
        return Ok(BTreeMap::new());
    }
    let products: Vec<i64> = bought.iter().map(|line| line.facts.product_id).collect();
    store_facts::categories(connection, &products).await
}

fn gone(cart: &Cart, facts: &BTreeMap<i64, VariantFacts>) -> Vec<GoneLine> {
    cart.lines
        .iter()
        .filter_map(|line| {
            let facts = facts.get(&line.variant_id)?;
            facts.amount.is_none().then(|| GoneLine {
                variant_id: line.variant_id,
                sku: facts.sku.clone(),
                name: facts.name.clone(),
                options_text: facts.options_text.clone(),
                picture: facts.picture.clone(),
                quantity: line.quantity,
            })
        })
        .collect()
}

fn discounts(offers: &[Offer], sums: &Totals) -> Vec<PricedDiscount> {
    sums.discounts
        .iter()
        .filter_map(|applied| {
            let offer = offers.get(applied.offer)?;
            Some(PricedDiscount {
                promotion_id: offer.promotion_id,
                coupon_code: offer.coupon_code.clone(),
                label: offer.label.clone(),
                amount: applied.amount,
                shipping_saved: applied.shipping_saved,
            })
        })
        .collect()
}

fn coupons(cart: &Cart, offers: &Offers, sums: &Totals) -> Vec<PricedCoupon> {
    let state = |code: &str| {
        if let Some((_, problem)) = offers.refused.iter().find(|(refused, _)| refused == code) {
            return match problem {
                CouponProblem::Unknown | CouponProblem::NotYet | CouponProblem::Ended => {
                    CouponState::NotValid
                }
                CouponProblem::UsedUp => CouponState::UsedUp,
                CouponProblem::UsedByCustomer | CouponProblem::NotFirstOrder => {
                    CouponState::NotForCustomer
                }
                CouponProblem::SamePromotion => CouponState::BetterOffer,
            };
        }
        let refused = sums.not_applied.iter().find(|(offer, _)| {
            let offer = offers.offers.get(*offer);
            offer.is_some_and(|offer| offer.coupon_code.as_deref() == Some(code))
        });
        match refused {
            None => CouponState::Applied,
            Some((_, NotApplied::BelowMinimum)) => CouponState::BelowMinimum,
            Some((_, NotApplied::NothingConcerned)) => CouponState::NothingConcerned,
            Some((_, NotApplied::BetterOffer)) => CouponState::BetterOffer,
        }
    };
    cart.coupons
        .iter()
        .map(|code| PricedCoupon {
            code: code.clone(),
            state: state(code),
        })
        .collect()
}

/// The methods that take these goods, each with what it would cost if it were chosen, promotions included.
fn offered(
    cart: &Cart,
    input: &Input<'_>,
    place: &Place,
    grams: i64,
    first_locale: &str,
) -> Vec<OfferedMethod> {
    let quote = |method: &Method| {
        let sending = Sending {
            method,
            grams,
            tax_rate: Rate::ZERO,
        };
        let with = Input {
            sending: Some(sending),
            ..*input
        };
        totals(&with).ok()?.shipping
    };
    place
        .methods
        .iter()
        .filter_map(|method| {
            Some(OfferedMethod {
                code: method.code.clone(),
                name: method.name(cart.locale.as_str(), first_locale).to_owned(),
                amount: quote(method)?,
                days_min: method.days_min,
                days_max: method.days_max,
            })
        })
        .collect()
}

fn requirements(
    cart: &Cart,
    bought: &[Bought<'_>],
    facts: &BTreeMap<i64, VariantFacts>,
    place: &Place,
    shipping: Option<i64>,
) -> Vec<Requirement> {
    let mut requirements = Vec::new();
    let mut add = |code, field: String, message: String| {
        requirements.push(Requirement {
            code,
            field,
            message,
        });
    };
    if bought.is_empty() {
        add(
            RequirementCode::CartEmpty,
            "/lines".to_owned(),
            "put something into the cart".to_owned(),
        );
    }
    for line in &cart.lines {
        let Some(facts) = facts.get(&line.variant_id) else {
            continue;
        };
        let field = line_pointer(&facts.sku);
        if facts.amount.is_none() {
            add(
                RequirementCode::LineGone,
                field,
                format!("{} is no longer sold: remove it", facts.sku),
            );
        } else if let Some(available) = short(facts, line.quantity) {
            add(
                RequirementCode::LineShort,
                field,
                match available {
                    0 => format!("{} is sold out: remove it", facts.sku),
                    left => format!("only {left} of {} are left: take no more", facts.sku),
                },
            );
        }
    }
    if cart.email.is_none() {
        add(
            RequirementCode::EmailMissing,
            "/email".to_owned(),
            "give an e-mail address for the confirmation".to_owned(),
        );
    }
    if cart.shipping_address.is_none() {
        add(
            RequirementCode::ShippingAddressMissing,
            "/shipping_address".to_owned(),
            "say where the goods are to go".to_owned(),
        );
    }
    match (&place.destination, &place.zone, &cart.shipping_method) {
        (Some(_), None, _) => add(
            RequirementCode::DestinationNotServed,
            "/shipping_address/country".to_owned(),
            "the shop does not send there: choose another address".to_owned(),
        ),
        (Some(_), Some(_), Some(_)) if shipping.is_none() => add(
            RequirementCode::ShippingMethodUnavailable,
            "/shipping_method".to_owned(),
            "this shipping method does not take these goods to this address: choose another"
                .to_owned(),
        ),
        (_, _, None) => add(
            RequirementCode::ShippingMethodMissing,
            "/shipping_method".to_owned(),
            "choose how the goods are sent".to_owned(),
        ),
        _ => {}
    }
    requirements
}

/// How many there are where fewer than asked for can be bought.
fn short(facts: &VariantFacts, quantity: i32) -> Option<i64> {
    facts
        .available
        .filter(|available| *available < i64::from(quantity))
}

/// The JSON pointer of a line (RFC 6901).
pub(super) fn line_pointer(sku: &str) -> String {
    format!("/lines/{}", sku.replace('~', "~0").replace('/', "~1"))
}

fn differences(cart: &Cart, facts: &BTreeMap<i64, VariantFacts>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for line in &cart.lines {
        let Some(facts) = facts.get(&line.variant_id) else {
            continue;
        };
        let mut add = |kind, before, now| {
            differences.push(Difference {
                kind,
                sku: facts.sku.clone(),
                name: facts.name.clone(),
                before,
                now,
            });
        };
        let Some(amount) = facts.amount else {
            add(DifferenceKind::Gone, None, None);
            continue;
        };
        if let Some(seen) = line.seen_amount.filter(|seen| *seen != amount) {
            add(DifferenceKind::PriceChanged, Some(seen), Some(amount));
        }
        match short(facts, line.quantity) {
            Some(0) => add(
                DifferenceKind::SoldOut,
                Some(i64::from(line.quantity)),
                Some(0),
            ),
            Some(left) => add(
                DifferenceKind::FewerAvailable,
                Some(i64::from(line.quantity)),
                Some(left),
            ),
            None => {}
        }
    }
    differences
}
