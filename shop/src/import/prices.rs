//! How a price list changes without any row being edited: what no longer holds is ended, what is new is added.

use time::{Duration, PrimitiveDateTime};

use super::record::PriceRecord;
use super::state::LivePrice;

/// A row to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrice {
    /// When it begins.
    pub starts_at: PrimitiveDateTime,
    /// What it is.
    pub price: PriceRecord,
}

/// Changes of the price list of one variant in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceChanges {
    /// Rows that end, and when.
    pub end: Vec<(i64, PrimitiveDateTime)>,
    /// Rows that are added.
    pub add: Vec<NewPrice>,
}

/// Without rows that can never count again, because another that started later lasts at least as long.
#[must_use]
pub fn effective(live: &[LivePrice], now: PrimitiveDateTime) -> Vec<&LivePrice> {
    let mut rows: Vec<&LivePrice> = live
        .iter()
        .filter(|row| {
            row.ends_at
                .is_none_or(|end| end > now && end > row.starts_at)
        })
        .collect();
    rows.sort_by_key(|row| (row.starts_at, row.id));
    let hidden = |index: usize, row: &LivePrice| {
        rows.iter().skip(index + 1).any(|later| {
            let begins_in_time = later.starts_at <= now || later.starts_at == row.starts_at;
            begins_in_time
                && later
                    .ends_at
                    .is_none_or(|end| row.ends_at.is_some_and(|own| own <= end))
        })
    };
    rows.iter()
        .enumerate()
        .filter(|(index, row)| !hidden(*index, row))
        .map(|(_, row)| *row)
        .collect()
}

/// What has to change for a price list to be as a file states it.
///
/// A price whose beginning has passed is the same as one that began at another time in the past, as long as the order of
/// the beginnings is the same: a file may be read again and again.
#[must_use]
pub fn changes(live: &[LivePrice], stated: &[PriceRecord], now: PrimitiveDateTime) -> PriceChanges {
    let rows = effective(live, now);
    let begun = |start: Option<PrimitiveDateTime>| start.is_none_or(|start| start <= now);
    let mut stated: Vec<&PriceRecord> = stated
        .iter()
        .filter(|price| price.ends_at.is_none_or(|end| end > now))
        .collect();
    stated.sort_by_key(|price| price.starts_at);
    let same = |row: &LivePrice, price: &PriceRecord| {
        row.amount == price.amount
            && row.compare_at == price.compare_at
            && row.ends_at == price.ends_at
    };
    let mut changes = PriceChanges::default();
    let mut begun_rows = rows.iter().filter(|row| row.starts_at <= now);
    let mut kept: Vec<i64> = Vec::new();
    let mut added: Vec<&PriceRecord> = Vec::new();
    for price in stated.iter().filter(|price| begun(price.starts_at)) {
        // Once one is added, those that come after it have to begin after it as well.
        let row = if added.is_empty() {
            begun_rows.find(|row| same(row, price))
        } else {
            None
        };
        match row {
            Some(row) => kept.push(row.id),
            None => added.push(price),
        }
    }
    // They hold now, so the last of them begins now and the others a moment before it.
    for (before, price) in (0_i64..).zip(added.into_iter().rev()) {
        let starts_at = now
            .checked_sub(Duration::microseconds(before))
            .unwrap_or(now);
        changes.add.push(NewPrice {
            starts_at,
            price: price.clone(),
        });
    }
    changes.add.reverse();
    for price in stated.iter().filter(|price| !begun(price.starts_at)) {
        let Some(starts_at) = price.starts_at else {
            continue;
        };
        match rows
            .iter()
            .find(|row| row.starts_at == starts_at && same(row, price) && !kept.contains(&row.id))
        {
            Some(row) => kept.push(row.id),
            None => changes.add.push(NewPrice {
                starts_at,
                price: (*price).clone(),
            }),
        }
    }
    changes.end = rows
        .iter()
        .filter(|row| !kept.contains(&row.id))
        // What has not begun ends when it would begin: it never counts.
        .map(|row| (row.id, row.starts_at.max(now)))
        .collect();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: PrimitiveDateTime = datetime!(2026-06-01 12:00);

    fn row(
        id: i64,
        amount: i64,
        starts_at: PrimitiveDateTime,
        ends_at: Option<PrimitiveDateTime>,
    ) -> LivePrice {
        LivePrice {
            id,
            currency: "USD".to_owned(),
            amount,
            compare_at: None,
            starts_at,
            ends_at,
        }
    }

    fn price(
        amount: i64,
        starts_at: Option<PrimitiveDateTime>,
        ends_at: Option<PrimitiveDateTime>,
    ) -> PriceRecord {
        PriceRecord {
            currency: "USD".to_owned(),
            starts_at,
            ends_at,
            amount,
            compare_at: None,
        }
    }

    #[test]
    fn nothing_changes_when_nothing_is_new() {
        let live = [
            row(1, 900, datetime!(2026-01-01 0:00), None),
            row(
                2,
                700,
                datetime!(2026-05-20 0:00),
                Some(datetime!(2026-06-20 0:00)),
            ),
            row(3, 600, datetime!(2026-11-01 0:00), None),
        ];
        let stated = [
            price(900, None, None),
            price(
                700,
                Some(datetime!(2026-05-20 0:00)),
                Some(datetime!(2026-06-20 0:00)),
            ),
            price(600, Some(datetime!(2026-11-01 0:00)), None),
        ];
        assert_eq!(changes(&live, &stated, NOW), PriceChanges::default());
    }

    #[test]
    fn a_new_price_ends_the_old_one() {
        let live = [row(1, 900, datetime!(2026-01-01 0:00), None)];
        let changed = changes(&live, &[price(800, None, None)], NOW);
        assert_eq!(changed.end, [(1, NOW)]);
        assert_eq!(changed.add.len(), 1);
        assert_eq!(changed.add[0].starts_at, NOW);
    }

    #[test]
    fn a_running_sale_still_counts_after_the_usual_price_has_changed() {
        let until = Some(datetime!(2026-06-20 0:00));
        let live = [
            row(1, 900, datetime!(2026-01-01 0:00), None),
            row(2, 700, datetime!(2026-05-20 0:00), until),
        ];
        let stated = [
            price(950, None, None),
            price(700, Some(datetime!(2026-05-20 0:00)), until),
        ];
        let changed = changes(&live, &stated, NOW);
        assert_eq!(changed.end.len(), 2);
        let amounts: Vec<i64> = changed.add.iter().map(|new| new.price.amount).collect();
        assert_eq!(amounts, [950, 700]);
        assert!(changed.add[0].starts_at < changed.add[1].starts_at);
        assert_eq!(changed.add[1].starts_at, NOW, "what holds now has begun");
    }

    #[test]
    fn a_scheduled_price_that_is_withdrawn_never_counts() {
        let later = datetime!(2026-11-01 0:00);
        let live = [
            row(1, 900, datetime!(2026-01-01 0:00), None),
            row(3, 600, later, None),
        ];
        let changed = changes(&live, &[price(900, None, None)], NOW);
        assert_eq!(changed.end, [(3, later)]);
        assert!(changed.add.is_empty());
        let void = [
            row(1, 900, datetime!(2026-01-01 0:00), None),
            row(3, 600, later, Some(later)),
        ];
        assert_eq!(
            changes(&void, &[price(900, None, None)], NOW),
            PriceChanges::default()
        );
    }

    #[test]
    fn rows_that_can_never_count_again_are_left_alone() {
        let live = [
            row(1, 900, datetime!(2026-01-01 0:00), None),
            row(2, 800, datetime!(2026-02-01 0:00), None),
        ];
        assert_eq!(
            changes(&live, &[price(800, None, None)], NOW),
            PriceChanges::default()
        );
    }
}
