use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::promotions::model::{Conditions, Rule};
use crate::shipping::model::{Carrier, ShippingRate};

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn rate(millionths: i32) -> Rate {
    Rate::from_millionths(millionths).unwrap()
}

fn line(product_id: i64, unit_amount: i64, quantity: i32) -> LineInput {
    LineInput {
        product_id,
        categories: vec![product_id * 10],
        unit_amount,
        quantity,
        tax_rate: rate(200_000),
    }
}

fn offer(id: i64, effect: Effect) -> Offer {
    Offer {
        promotion_id: id,
        coupon_code: None,
        label: format!("offer {id}"),
        combines: true,
        priority: 0,
        rule: Rule {
            effect,
            conditions: Conditions::default(),
        },
    }
}

fn percent(id: i64, percent: i32) -> Offer {
    let share = rate(percent * 10_000);
    offer(id, Effect::Percentage { share })
}

fn fixed(id: i64, amount: i64) -> Offer {
    let amounts = BTreeMap::from([("EUR".to_owned(), amount)]);
    offer(id, Effect::Fixed { amounts })
}

fn buy_get_offer(id: i64, buy: i32, get: i32) -> Offer {
    let share = Rate::ALL;
    offer(id, Effect::BuyGet { buy, get, share })
}

fn method(amount: i64, free_from: Option<i64>) -> Method {
    Method {
        id: 1,
        code: "parcel".to_owned(),
        zone_id: 1,
        carrier: Carrier::Flat,
        tax_category: "standard".to_owned(),
        names: BTreeMap::new(),
        days_min: 1,
        days_max: 2,
        position: 0,
        rates: vec![ShippingRate {
            currency: euro(),
            from_grams: 0,
            max_grams: None,
            amount,
            free_from,
        }],
    }
}

fn price(lines: &[LineInput], offers: &[Offer]) -> Totals {
    priced(lines, offers, None, Prices::WithTax)
}

fn priced(
    lines: &[LineInput],
    offers: &[Offer],
    method: Option<&Method>,
    prices: Prices,
) -> Totals {
    totals(&Input {
        currency: euro(),
        prices,
        lines,
        sending: method.map(|method| Sending {
            method,
            grams: 0,
            tax_rate: rate(200_000),
        }),
        offers,
    })
    .unwrap()
}

/// The discount of each line.
fn off(totals: &Totals) -> Vec<i64> {
    totals.lines.iter().map(|line| line.discount).collect()
}

/// The offers that apply.
fn applied(totals: &Totals) -> Vec<usize> {
    totals
        .discounts
        .iter()
        .map(|applied| applied.offer)
        .collect()
}

#[test]
fn an_empty_basket_costs_nothing() {
    let totals = price(&[], &[percent(1, 10), fixed(2, 500)]);
    assert_eq!((totals.total, totals.tax, totals.discount), (0, 0, 0));
    assert_eq!(totals.discounts, []);
}

#[test]
fn prices_with_and_without_tax() {
    let lines = [line(1, 1000, 2), line(2, 333, 1)];
    let parcel = method(500, None);
    let with = priced(&lines, &[], Some(&parcel), Prices::WithTax);
    assert_eq!(
        (with.subtotal, with.shipping, with.total),
        (2333, Some(500), 2833)
    );
    // 2000/6 = 333.33, 333/6 = 55.5, 500/6 = 83.33: each rounded by itself.
    assert_eq!((with.tax, with.shipping_tax), (333 + 56 + 83, 83));
    let without = priced(&lines, &[], Some(&parcel), Prices::WithoutTax);
    assert_eq!(without.tax, 400 + 67 + 100);
    assert_eq!(without.total, 2833 + 567);
    assert_eq!(without.lines[0].total, 2400);
}

#[test]
fn a_percentage_is_taken_off_each_line_and_rounded_there() {
    let totals = price(&[line(1, 105, 1), line(2, 105, 1)], &[percent(1, 10)]);
    assert_eq!((off(&totals), totals.discount), (vec![11, 11], 22));
}

#[test]
fn a_fixed_amount_is_spread_without_losing_a_minor_unit() {
    let totals = price(
        &[line(1, 100, 1), line(2, 100, 1), line(3, 100, 1)],
        &[fixed(1, 100)],
    );
    assert_eq!((off(&totals), totals.discount), (vec![34, 33, 33], 100));
    let totals = price(&[line(1, 30, 1), line(2, 20, 1)], &[fixed(1, 500)]);
    assert_eq!((off(&totals), totals.total), (vec![30, 20], 0));
}

#[test]
fn discounts_that_combine_take_from_what_is_left() {
    let mut first = percent(2, 50);
    first.priority = 10;
    let totals = price(&[line(1, 1000, 1)], &[fixed(1, 300), first]);
    assert_eq!(applied(&totals), [1, 0]);
    assert_eq!(totals.discount, 800);
    // Without a priority the older one comes first.
    let totals = price(&[line(1, 1000, 1)], &[percent(2, 50), fixed(1, 300)]);
    assert_eq!((applied(&totals), totals.discount), (vec![1, 0], 650));
}

#[test]
fn one_that_does_not_combine_is_taken_when_it_is_the_best() {
    let mut alone = percent(3, 30);
    alone.combines = false;
    let both = [percent(1, 10), fixed(2, 100), alone];
    let totals = price(&[line(1, 1000, 1)], &both);
    assert_eq!((applied(&totals), totals.discount), (vec![2], 300));
    assert_eq!(
        totals.not_applied,
        [(0, NotApplied::BetterOffer), (1, NotApplied::BetterOffer)]
    );
    let totals = price(&[line(1, 200, 1)], &both);
    assert_eq!((applied(&totals), totals.discount), (vec![0, 1], 120));
    assert_eq!(totals.not_applied, [(2, NotApplied::BetterOffer)]);
}

#[test]
fn of_equally_good_ones_the_higher_priority_wins() {
    let exclusive = |id, priority| Offer {
        combines: false,
        priority,
        ..percent(id, 10)
    };
    let totals = price(&[line(1, 1000, 1)], &[exclusive(1, 0), exclusive(2, 5)]);
    assert_eq!(applied(&totals), [1]);
}

#[test]
fn a_rule_concerns_its_products_and_categories() {
    let mut some = percent(1, 50);
    some.rule.conditions.products = vec![2];
    let mut others = percent(2, 10);
    others.rule.conditions.categories = vec![10];
    let totals = price(
        &[line(1, 100, 1), line(2, 100, 1), line(3, 100, 1)],
        &[some, others],
    );
    assert_eq!(off(&totals), [10, 50, 0]);
}

#[test]
fn a_minimum_is_compared_with_the_goods_before_discounts() {
    let mut from_fifty = percent(2, 10);
    from_fifty.rule.conditions.minimum_subtotal = BTreeMap::from([("EUR".to_owned(), 5000)]);
    let offers = [fixed(1, 1000), from_fifty];
    assert_eq!(price(&[line(1, 5000, 1)], &offers).discount, 1000 + 400);
    let below = price(&[line(1, 4999, 1)], &offers);
    assert_eq!(below.discount, 1000);
    assert_eq!(below.not_applied, [(1, NotApplied::BelowMinimum)]);
}

#[test]
fn of_every_three_the_cheapest_is_free() {
    let offers = [buy_get_offer(1, 2, 1)];
    // Six pieces, dearest first: 500 500 [400], 400 300 [300].
    let totals = price(
        &[line(1, 300, 2), line(2, 500, 2), line(3, 400, 2)],
        &offers,
    );
    assert_eq!(off(&totals), [300, 0, 400]);
    // Five pieces are one group and two that wait for a third.
    let totals = price(&[line(1, 100, 5)], &offers);
    assert_eq!(totals.discount, 100);
    let totals = price(&[line(1, 100, 2)], &offers);
    assert_eq!(totals.not_applied, [(0, NotApplied::NothingConcerned)]);
}

#[test]
fn buying_many_is_counted_without_counting_each() {
    let totals = price(
        &[line(1, 100, 9999), line(2, 50, 9999)],
        &[buy_get_offer(1, 1, 1)],
    );
    // Half of the first line's pairs, one mixed pair, then half of the rest.
    assert_eq!(off(&totals), [4999 * 100, 5000 * 50]);
}

#[test]
fn free_shipping_saves_the_shipping() {
    let parcel = method(500, None);
    let free = offer(1, Effect::FreeShipping {});
    let lines = [line(1, 1000, 1)];
    let totals = priced(
        &lines,
        std::slice::from_ref(&free),
        Some(&parcel),
        Prices::WithTax,
    );
    assert_eq!(
        (totals.shipping, totals.shipping_tax, totals.total),
        (Some(0), 0, 1000)
    );
    assert_eq!(totals.discounts[0].shipping_saved, 500);
    assert_eq!(totals.discounts[0].amount, 0);
    // It is not used up where sending is free anyway.
    let gift = method(500, Some(1000));
    let totals = priced(
        &lines,
        std::slice::from_ref(&free),
        Some(&gift),
        Prices::WithTax,
    );
    assert_eq!(totals.discounts, []);
    // It stays in sight until the method is known.
    assert_eq!(applied(&price(&lines, &[free])), [0]);
}

#[test]
fn free_shipping_can_be_worth_more_than_a_discount() {
    let parcel = method(500, None);
    let mut free = offer(1, Effect::FreeShipping {});
    free.combines = false;
    let lines = [line(1, 1000, 1)];
    let totals = priced(
        &lines,
        &[free.clone(), percent(2, 10)],
        Some(&parcel),
        Prices::WithTax,
    );
    assert_eq!((applied(&totals), totals.total), (vec![0], 1000));
    let totals = priced(
        &lines,
        &[free, percent(2, 60)],
        Some(&parcel),
        Prices::WithTax,
    );
    assert_eq!((applied(&totals), totals.total), (vec![1], 900));
}

#[test]
fn goods_that_cost_too_much_are_refused_not_wrapped() {
    let result = totals(&Input {
        currency: euro(),
        prices: Prices::WithoutTax,
        lines: &[line(1, i64::MAX, 9999)],
        sending: None,
        offers: &[],
    });
    assert_eq!(result, Err(TooMuch));
    let lines: Vec<LineInput> = (0..100)
        .map(|id| line(id, 1_000_000_000_000, 100))
        .collect();
    let input = Input {
        currency: euro(),
        prices: Prices::WithoutTax,
        lines: &lines,
        sending: None,
        offers: &[],
    };
    assert_eq!(totals(&input), Err(TooMuch));
}

fn any_effect() -> impl Strategy<Value = Effect> {
    prop_oneof![
        (1..=1_000_000).prop_map(|share| Effect::Percentage { share: rate(share) }),
        (1..100_000i64).prop_map(|amount| Effect::Fixed {
            amounts: BTreeMap::from([("EUR".to_owned(), amount)])
        }),
        Just(Effect::FreeShipping {}),
        (1..4, 1..3, 1..=1_000_000).prop_map(|(buy, get, share)| Effect::BuyGet {
            buy,
            get,
            share: rate(share)
        }),
    ]
}

fn any_offers() -> impl Strategy<Value = Vec<Offer>> {
    let one = (
        any_effect(),
        any::<bool>(),
        -3..3,
        prop::collection::vec(0..4i64, 0..2),
        prop::option::of(0..20_000i64),
    );
    prop::collection::vec(one, 0..6).prop_map(|offers| {
        (1..)
            .zip(offers)
            .map(|(id, (effect, combines, priority, products, minimum))| {
                let mut made = offer(id, effect);
                made.combines = combines;
                made.priority = priority;
                made.rule.conditions.products = products;
                if let Some(minimum) = minimum {
                    made.rule.conditions.minimum_subtotal =
                        BTreeMap::from([("EUR".to_owned(), minimum)]);
                }
                made
            })
            .collect()
    })
}

fn any_lines() -> impl Strategy<Value = Vec<LineInput>> {
    prop::collection::vec((0..4i64, 0..20_000i64, 1..12, 0..=1_000_000), 0..8).prop_map(|lines| {
        lines
            .into_iter()
            .map(|(product, amount, quantity, tax)| LineInput {
                tax_rate: rate(tax),
                ..line(product, amount, quantity)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn sums_agree_and_nothing_is_negative(
        lines in any_lines(),
        offers in any_offers(),
        parcel in prop::option::of((0..5000i64, prop::option::of(0..50_000i64))),
        inclusive: bool,
    ) {
        let parcel = parcel.map(|(amount, free)| method(amount, free));
        let prices = Prices::including(inclusive);
        let all = priced(&lines, &offers, parcel.as_ref(), prices);
        for (line, input) in all.lines.iter().zip(&lines) {
            prop_assert_eq!(line.subtotal, input.unit_amount * i64::from(input.quantity));
            prop_assert!(line.discount >= 0 && line.discount <= line.subtotal);
            prop_assert!(line.tax >= 0 && line.total >= 0);
            let net = line.subtotal - line.discount;
            prop_assert_eq!(line.total, if inclusive { net } else { net + line.tax });
        }
        let sum = |of: fn(&LineTotals) -> i64| all.lines.iter().map(of).sum::<i64>();
        prop_assert_eq!(all.subtotal, sum(|line| line.subtotal));
        prop_assert_eq!(all.discount, sum(|line| line.discount));
        prop_assert_eq!(all.discount, all.discounts.iter().map(|applied| applied.amount).sum::<i64>());
        prop_assert_eq!(all.tax, sum(|line| line.tax) + all.shipping_tax);
        let shipping = all.shipping.unwrap_or(0);
        prop_assert!(shipping >= 0 && all.shipping_tax >= 0);
        let shipping_paid = if inclusive { shipping } else { shipping + all.shipping_tax };
        prop_assert_eq!(all.total, sum(|line| line.total) + shipping_paid);
        // Each offer is either applied or told why not.
        let mut named: Vec<usize> = applied(&all);
        named.extend(all.not_applied.iter().map(|(offer, _)| *offer));
        named.sort_unstable();
        prop_assert_eq!(named, (0..offers.len()).collect::<Vec<_>>());
    }

    #[test]
    fn another_offer_never_costs_the_shopper_more(lines in any_lines(), offers in any_offers()) {
        let mut fewer = offers.clone();
        fewer.retain(|offer| !offer.combines);
        let alone = price(&lines, &fewer);
        prop_assert!(price(&lines, &offers).total <= alone.total);
    }

    #[test]
    fn allocation_gives_all_of_it_and_nobody_more_than_theirs(
        amount in 0..1_000_000i64,
        lines in prop::collection::vec(0..100_000i64, 0..20),
    ) {
        let shares = allocate(amount, &lines);
        prop_assert_eq!(shares.iter().sum::<i64>(), amount.min(lines.iter().sum()));
        for (share, line) in shares.iter().zip(&lines) {
            prop_assert!((0..=*line).contains(share));
        }
    }
}
