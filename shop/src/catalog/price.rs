//! Prices over time. A variant has rows for one currency; at any instant the row counts that started last and has not ended.

use time::{Duration, OffsetDateTime};

/// One period of a price of one variant in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceRow {
    /// Orders rows that start at the same instant: the later one counts.
    pub id: i64,
    /// The price in minor units.
    pub amount: i64,
    /// A price to compare with, in minor units, such as the recommended retail price.
    pub compare_at: Option<i64>,
    /// When the price begins to count.
    pub starts_at: OffsetDateTime,
    /// The first instant at which it no longer counts.
    pub ends_at: Option<OffsetDateTime>,
}

impl PriceRow {
    fn counts_at(&self, instant: OffsetDateTime) -> bool {
        self.starts_at <= instant && self.ends_at.is_none_or(|end| end > instant)
    }
}

/// The window of Directive 98/6/EC, Article 6a: the lowest price of the 30 days before a reduction must be shown with it.
pub const REDUCTION_WINDOW: Duration = Duration::days(30);

/// For how long a lower price is called a reduction. After that it is simply the price.
pub const REDUCTION_LIFE: Duration = Duration::days(90);

/// The row that counts at an instant.
#[must_use]
pub fn effective_price(rows: &[PriceRow], instant: OffsetDateTime) -> Option<&PriceRow> {
    rows.iter()
        .filter(|row| row.counts_at(instant))
        .max_by_key(|row| (row.starts_at, row.id))
}

/// The next instant after `now` at which another price, or none, will count.
#[must_use]
pub fn next_price_change(rows: &[PriceRow], now: OffsetDateTime) -> Option<OffsetDateTime> {
    let shown = |instant| effective_price(rows, instant).map(|row| (row.amount, row.compare_at));
    boundaries(rows)
        .into_iter()
        .find(|&instant| instant > now && shown(instant) != shown(now))
}

/// The lowest price of the 30 days before the price was last reduced to what it is now. None where the price now is
/// not a reduction: it did not fall when it last changed, there was no price before it, or it fell long ago.
#[must_use]
pub fn lowest_before_reduction(rows: &[PriceRow], now: OffsetDateTime) -> Option<i64> {
    let current = effective_price(rows, now)?.amount;
    let amount_at = |instant| effective_price(rows, instant).map(|row| row.amount);
    let instants = boundaries(rows);
    // The timeline is constant between two boundaries, so its value just before one is its value at the one before.
    let mut reduced_at = None;
    let mut before = None;
    for &instant in instants.iter().rev().filter(|&&instant| instant <= now) {
        let amount = amount_at(instant);
        if amount == Some(current) {
            reduced_at = Some(instant);
        } else {
            before = amount;
            break;
        }
    }
    let reduced_at = reduced_at?;
    if before? <= current || reduced_at < now - REDUCTION_LIFE {
        return None;
    }
    let window_start = reduced_at - REDUCTION_WINDOW;
    std::iter::once(window_start)
        .chain(
            instants
                .iter()
                .copied()
                .filter(|&instant| instant > window_start && instant < reduced_at),
        )
        .filter_map(amount_at)
        .min()
}

/// All instants at which the price may change, in order.
fn boundaries(rows: &[PriceRow]) -> Vec<OffsetDateTime> {
    let mut instants: Vec<OffsetDateTime> = rows
        .iter()
        .flat_map(|row| std::iter::once(row.starts_at).chain(row.ends_at))
        .collect();
    instants.sort_unstable();
    instants.dedup();
    instants
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(number: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_000 + number)
    }

    fn row(id: i64, amount: i64, starts: i64, ends: Option<i64>) -> PriceRow {
        PriceRow {
            id,
            amount,
            compare_at: None,
            starts_at: day(starts),
            ends_at: ends.map(day),
        }
    }

    #[test]
    fn a_sale_covers_the_usual_price_while_it_lasts() {
        let rows = [row(1, 1000, 0, None), row(2, 700, 10, Some(20))];
        let amount = |number| effective_price(&rows, day(number)).map(|row| row.amount);
        assert_eq!(
            (amount(-1), amount(0), amount(9)),
            (None, Some(1000), Some(1000))
        );
        assert_eq!(
            (amount(10), amount(19), amount(20)),
            (Some(700), Some(700), Some(1000))
        );
    }

    #[test]
    fn of_two_rows_that_start_together_the_later_one_counts() {
        let rows = [row(2, 900, 0, None), row(1, 1000, 0, None)];
        assert_eq!(effective_price(&rows, day(1)).unwrap().amount, 900);
    }

    #[test]
    fn a_change_is_only_what_a_shopper_would_see() {
        let rows = [
            row(1, 1000, 0, Some(5)),
            row(2, 1000, 5, None),
            row(3, 800, 10, Some(12)),
        ];
        assert_eq!(next_price_change(&rows, day(1)), Some(day(10)));
        assert_eq!(next_price_change(&rows, day(10)), Some(day(12)));
        assert_eq!(next_price_change(&rows, day(12)), None);
    }

    #[test]
    fn shows_the_lowest_price_of_thirty_days_before_a_reduction() {
        // A short sale at 600 within the window makes 600 the honest reference for the later reduction to 700.
        let rows = [
            row(1, 1000, 0, None),
            row(2, 600, 80, Some(85)),
            row(3, 700, 100, None),
        ];
        assert_eq!(lowest_before_reduction(&rows, day(105)), Some(600));
        // Outside the window it no longer counts.
        let rows = [
            row(1, 1000, 0, None),
            row(2, 600, 50, Some(60)),
            row(3, 700, 100, None),
        ];
        assert_eq!(lowest_before_reduction(&rows, day(105)), Some(1000));
    }

    #[test]
    fn a_rise_a_first_price_and_an_old_reduction_are_no_reductions() {
        assert_eq!(
            lowest_before_reduction(&[row(1, 500, 0, None)], day(1)),
            None
        );
        assert_eq!(
            lowest_before_reduction(&[row(1, 500, 0, None), row(2, 600, 5, None)], day(6)),
            None
        );
        let rows = [row(1, 1000, 0, None), row(2, 700, 10, None)];
        assert_eq!(lowest_before_reduction(&rows, day(100)), Some(1000));
        assert_eq!(lowest_before_reduction(&rows, day(101)), None);
        assert_eq!(
            lowest_before_reduction(&[row(1, 900, 0, Some(5)), row(2, 700, 10, None)], day(11)),
            None
        );
    }

    #[test]
    fn a_price_that_ends_and_begins_again_unchanged_is_one_price() {
        let rows = [
            row(1, 1000, 0, Some(50)),
            row(2, 700, 50, Some(60)),
            row(3, 700, 60, None),
        ];
        assert_eq!(lowest_before_reduction(&rows, day(65)), Some(1000));
    }

    fn any_rows() -> impl Strategy<Value = Vec<PriceRow>> {
        prop::collection::vec((0..2000i64, -60..60i64, prop::option::of(0..40i64)), 0..12).prop_map(
            |periods| {
                (0..)
                    .zip(periods)
                    .map(|(id, (amount, starts, length))| {
                        row(id, amount, starts, length.map(|length| starts + length))
                    })
                    .collect()
            },
        )
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_next_change(rows in any_rows(), now in -70..110i64) {
            let shown = |number| effective_price(&rows, day(number)).map(|row| (row.amount, row.compare_at));
            let next = next_price_change(&rows, day(now));
            for number in now..=120 {
                match next {
                    Some(change) if day(number) == change => { prop_assert_ne!(shown(number), shown(now)); break; }
                    _ => prop_assert_eq!(shown(number), shown(now)),
                }
            }
        }

        #[test]
        fn the_reference_is_the_lowest_of_each_day_of_the_window(rows in any_rows(), now in -70..110i64) {
            // Days are the grain of these rows, so looking at each day is the definition itself.
            let amount = |number| effective_price(&rows, day(number)).map(|row| row.amount);
            let expected = amount(now).and_then(|current| {
                let since = (now - 200..=now).rev().take_while(|&number| amount(number) == Some(current)).last()?;
                let before = amount(since - 1)?;
                (before > current && since >= now - 90)
                    .then(|| (since - 30..since).filter_map(amount).min())
                    .flatten()
            });
            prop_assert_eq!(lowest_before_reduction(&rows, day(now)), expected);
        }

        #[test]
        fn the_order_of_rows_does_not_matter(rows in any_rows(), now in -70..110i64) {
            let mut turned = rows.clone();
            turned.reverse();
            prop_assert_eq!(effective_price(&rows, day(now)), effective_price(&turned, day(now)));
            prop_assert_eq!(lowest_before_reduction(&rows, day(now)), lowest_before_reduction(&turned, day(now)));
        }
    }
}
