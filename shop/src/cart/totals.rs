//! What a basket of goods costs: discounts, shipping, tax and their sums. Pure.
//!
//! For each line: `total = unit amount * quantity - discount`, and `+ tax` where prices are without it. For the whole:
//! `discount` is the sum of the lines' and the sum of the promotions'; `tax` is the sum of the lines' and the shipping's;
//! `total = subtotal - discount + shipping`, and `+ tax` where prices are without it. No amount is ever negative, and no minor
//! unit is lost or made in between.

use crate::catalog::model::Currency;
use crate::promotions::model::{Effect, Offer, Subject};
use crate::shipping::model::Method;
use crate::taxes::model::{Prices, Rate};

/// The largest total that is worked out, in minor units: far from where sums overflow.
pub const LARGEST_TOTAL: i64 = 1_000_000_000_000_000;

/// The goods cost more than the shop can calculate with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the goods cost more than {LARGEST_TOTAL} minor units")]
pub struct TooMuch;

/// A line to be priced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineInput {
    /// The product.
    pub product_id: i64,
    /// Its categories, with all above them.
    pub categories: Vec<i64>,
    /// What a piece costs, in minor units.
    pub unit_amount: i64,
    /// How many pieces.
    pub quantity: i32,
    /// What it is taxed at.
    pub tax_rate: Rate,
}

impl LineInput {
    fn subject(&self) -> Subject<'_> {
        Subject {
            product_id: self.product_id,
            categories: &self.categories,
        }
    }
}

/// The way that the goods are sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// The method.
    pub method: &'a Method,
    /// What the goods weigh.
    pub grams: i64,
    /// What sending is taxed at.
    pub tax_rate: Rate,
}

/// A basket to be priced.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The currency of all amounts.
    pub currency: Currency,
    /// Whether prices contain the tax.
    pub prices: Prices,
    /// The goods.
    pub lines: &'a [LineInput],
    /// How they are sent, if that is known.
    pub sending: Option<Sending<'a>>,
    /// Promotions whose limits, times and coupons allow them.
    pub offers: &'a [Offer],
}

/// What a line costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineTotals {
    /// Before discounts.
    pub subtotal: i64,
    /// What is taken off.
    pub discount: i64,
    /// The tax on the rest, or in it.
    pub tax: i64,
    /// What is paid.
    pub total: i64,
}

/// A promotion that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Its place in [`Input::offers`].
    pub offer: usize,
    /// What it takes off the goods.
    pub amount: i64,
    /// What it takes off the shipping.
    pub shipping_saved: i64,
}

/// Why a promotion does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotApplied {
    /// The goods do not cost enough.
    BelowMinimum,
    /// None of the goods is one that it concerns, or too few are, or it is not for this currency.
    NothingConcerned,
    /// Another promotion, with which it does not combine, saves as much or more.
    BetterOffer,
}

/// What it all costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// The lines, in the order of [`Input::lines`].
    pub lines: Vec<LineTotals>,
    /// The promotions that apply, in the order in which they do.
    pub discounts: Vec<Applied>,
    /// The others of [`Input::offers`], and why.
    pub not_applied: Vec<(usize, NotApplied)>,
    /// The goods before discounts.
    pub subtotal: i64,
    /// What is taken off the goods.
    pub discount: i64,
    /// What sending costs; none where the method does not take these goods, or is not known.
    pub shipping: Option<i64>,
    /// The tax on the shipping, or in it.
    pub shipping_tax: i64,
    /// All tax.
    pub tax: i64,
    /// What is paid.
    pub total: i64,
}

/// What a choice of promotions comes to.
struct Outcome {
    discounts: Vec<i64>,
    applied: Vec<Applied>,
    idle: Vec<usize>,
    shipping: Option<i64>,
    paid: i64,
}

/// Prices a basket.
///
/// # Errors
/// [`TooMuch`] where the goods cost more than [`LARGEST_TOTAL`].
pub fn totals(input: &Input<'_>) -> Result<Totals, TooMuch> {
    let gross: Vec<i64> = input
        .lines
        .iter()
        .map(|line| {
            i64::try_from(i128::from(line.unit_amount.max(0)) * i128::from(line.quantity.max(0)))
                .map_err(|_| TooMuch)
        })
        .collect::<Result<_, _>>()?;
    let subtotal = gross
        .iter()
        .try_fold(0_i64, |sum, amount| sum.checked_add(*amount))
        .filter(|subtotal| *subtotal <= LARGEST_TOTAL)
        .ok_or(TooMuch)?;

    let mut order: Vec<usize> = (0..input.offers.len()).collect();
    order.sort_by_key(|index| {
        input.offers.get(*index).map(|offer| {
            (
                std::cmp::Reverse(offer.priority),
                offer.promotion_id,
                *index,
            )
        })
    });
    let mut not_applied = Vec::new();
    let mut together = Vec::new();
    let mut alone = Vec::new();
    for index in order {
        let Some(offer) = input.offers.get(index) else {
            continue;
        };
        match refusal(input, offer, subtotal) {
            Some(reason) => not_applied.push((index, reason)),
            None if offer.combines => together.push(index),
            None => alone.push(index),
        }
    }
    let (outcome, chosen) = best(input, &gross, &together, &alone);
    for index in together.iter().chain(&alone) {
        if !chosen.contains(index) {
            not_applied.push((*index, NotApplied::BetterOffer));
        } else if outcome.idle.contains(index) {
            not_applied.push((*index, NotApplied::NothingConcerned));
        }
    }
    Ok(sum_up(input, &gross, subtotal, outcome, not_applied))
}

fn sum_up(
    input: &Input<'_>,
    gross: &[i64],
    subtotal: i64,
    outcome: Outcome,
    not_applied: Vec<(usize, NotApplied)>,
) -> Totals {
    let lines: Vec<LineTotals> = input
        .lines
        .iter()
        .zip(gross.iter().zip(&outcome.discounts))
        .map(|(line, (subtotal, discount))| {
            let net = subtotal - discount;
            let tax = line.tax_rate.of(net, input.prices);
            LineTotals {
                subtotal: *subtotal,
                discount: *discount,
                tax,
                total: input.prices.gross(net, tax),
            }
        })
        .collect();
    let discount: i64 = outcome.discounts.iter().sum();
    let shipping = outcome.shipping.unwrap_or(0);
    let shipping_rate = input.sending.map_or(Rate::ZERO, |sending| sending.tax_rate);
    let shipping_tax = shipping_rate.of(shipping, input.prices);
    let tax = lines.iter().map(|line| line.tax).sum::<i64>() + shipping_tax;
    Totals {
        lines,
        discounts: outcome.applied,
        not_applied,
        subtotal,
        discount,
        shipping: outcome.shipping,
        shipping_tax,
        tax,
        total: input.prices.gross(subtotal - discount + shipping, tax),
    }
}

/// Why a promotion cannot apply to this basket, if it cannot.
fn refusal(input: &Input<'_>, offer: &Offer, subtotal: i64) -> Option<NotApplied> {
    let conditions = &offer.rule.conditions;
    if !conditions.is_enough(input.currency, subtotal) {
        return Some(NotApplied::BelowMinimum);
    }
    let concerned = input
        .lines
        .iter()
        .filter(|line| conditions.concerns(line.subject()));
    let pieces: i64 = concerned.map(|line| i64::from(line.quantity)).sum();
    let enough = match &offer.rule.effect {
        Effect::Fixed { amounts } => pieces > 0 && amounts.contains_key(input.currency.as_str()),
        Effect::BuyGet { buy, get, .. } => pieces >= i64::from(*buy) + i64::from(*get),
        Effect::Percentage { .. } | Effect::FreeShipping {} => pieces > 0,
    };
    (!enough).then_some(NotApplied::NothingConcerned)
}

/// The choice of promotions that leaves the shopper the least to pay.
fn best(
    input: &Input<'_>,
    gross: &[i64],
    together: &[usize],
    alone: &[usize],
) -> (Outcome, Vec<usize>) {
    let priority = |chosen: &[usize]| {
        chosen
            .first()
            .and_then(|index| input.offers.get(*index))
            .map_or(i32::MIN, |offer| offer.priority)
    };
    let mut best = (apply(input, gross, together), together.to_vec());
    for index in alone {
        let chosen = vec![*index];
        let outcome = apply(input, gross, &chosen);
        let better = outcome.paid < best.0.paid
            || (outcome.paid == best.0.paid && priority(&chosen) > priority(&best.1));
        if better {
            best = (outcome, chosen);
        }
    }
    best
}

/// Applies promotions one after the other.
fn apply(input: &Input<'_>, gross: &[i64], chosen: &[usize]) -> Outcome {
    let mut discounts = vec![0_i64; gross.len()];
    let mut applied = Vec::new();
    let mut idle = Vec::new();
    let mut free_shipping = None;
    for index in chosen {
        let Some(offer) = input.offers.get(*index) else {
            continue;
        };
        let left: Vec<i64> = input
            .lines
            .iter()
            .zip(gross.iter().zip(&discounts))
            .map(|(line, (gross, discount))| {
                if offer.rule.conditions.concerns(line.subject()) {
                    gross - discount
                } else {
                    0
                }
            })
            .collect();
        let taken = match &offer.rule.effect {
            Effect::Percentage { share } => {
                left.iter().map(|amount| share.share_of(*amount)).collect()
            }
            Effect::Fixed { amounts } => {
                let amount = amounts.get(input.currency.as_str()).copied().unwrap_or(0);
                allocate(amount, &left)
            }
            Effect::BuyGet { buy, get, share } => {
                buy_get(input, offer, &left, (*buy, *get), *share)
            }
            Effect::FreeShipping {} => {
                if free_shipping.is_none() {
                    free_shipping = Some(applied.len());
                    applied.push(Applied {
                        offer: *index,
                        amount: 0,
                        shipping_saved: 0,
                    });
                } else {
                    idle.push(*index);
                }
                continue;
            }
        };
        let amount: i64 = taken.iter().sum();
        if amount == 0 {
            idle.push(*index);
            continue;
        }
        for (discount, taken) in discounts.iter_mut().zip(&taken) {
            *discount += taken;
        }
        applied.push(Applied {
            offer: *index,
            amount,
            shipping_saved: 0,
        });
    }
    let goods = gross.iter().sum::<i64>() - discounts.iter().sum::<i64>();
    let mut shipping = input
        .sending
        .and_then(|sending| sending.method.quote(input.currency, sending.grams, goods));
    if let Some(place) = free_shipping {
        match shipping {
            Some(amount) if amount > 0 => {
                if let Some(applied) = applied.get_mut(place) {
                    applied.shipping_saved = amount;
                }
                shipping = Some(0);
            }
            // Sending is free anyway: the promotion is left for another order.
            Some(_) => idle.push(applied.remove(place).offer),
            // What sending costs is not known yet.
            None => {}
        }
    }
    Outcome {
        paid: goods + shipping.unwrap_or(0),
        discounts,
        applied,
        idle,
        shipping,
    }
}

/// Spreads an amount over lines in proportion to what each costs; never more than a line costs, and all of the amount that fits.
/// What is left after rounding down goes to the largest remainders, of equal ones to the first.
#[must_use]
pub fn allocate(amount: i64, lines: &[i64]) -> Vec<i64> {
    let whole: i128 = lines.iter().map(|line| i128::from(*line)).sum();
    let amount = i128::from(amount).clamp(0, whole);
    if whole == 0 {
        return vec![0; lines.len()];
    }
    let mut shares: Vec<(i128, i128)> = lines
        .iter()
        .map(|line| {
            let product = amount * i128::from(*line);
            (product / whole, product % whole)
        })
        .collect();
    let mut left = amount - shares.iter().map(|(share, _)| share).sum::<i128>();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by_key(|index| {
        std::cmp::Reverse(shares.get(*index).map_or(0, |(_, remainder)| *remainder))
    });
    for index in by_remainder {
        if left == 0 {
            break;
        }
        if let Some((share, remainder)) = shares.get_mut(index)
            && *remainder > 0
        {
            *share += 1;
            left -= 1;
        }
    }
    shares
        .into_iter()
        .map(|(share, _)| i64::try_from(share).unwrap_or(i64::MAX))
        .collect()
}

/// What each line loses when of every `buy + get` pieces the cheapest `get` are reduced.
fn buy_get(
    input: &Input<'_>,
    offer: &Offer,
    left: &[i64],
    (buy, get): (i32, i32),
    share: Rate,
) -> Vec<i64> {
    let mut concerned: Vec<(usize, &LineInput)> = input
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| offer.rule.conditions.concerns(line.subject()))
        .collect();
    concerned.sort_by_key(|(index, line)| (std::cmp::Reverse(line.unit_amount), *index));
    let (buy, get) = (i64::from(buy), i64::from(get));
    let group = buy + get;
    let pieces: i64 = concerned
        .iter()
        .map(|(_, line)| i64::from(line.quantity))
        .sum();
    let counted = pieces / group * group;
    // Of the first `place` pieces, how many are reduced.
    let reduced_before = |place: i64| {
        let place = place.min(counted);
        place / group * get + (place % group - buy).max(0)
    };
    let mut taken = vec![0; left.len()];
    let mut place = 0;
    for (index, line) in concerned {
        let next = place + i64::from(line.quantity);
        let reduced = reduced_before(next) - reduced_before(place);
        place = next;
        let amount = share.share_of(line.unit_amount.saturating_mul(reduced));
        if let (Some(taken), Some(left)) = (taken.get_mut(index), left.get(index)) {
            *taken = amount.min(*left);
        }
    }
    taken
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
