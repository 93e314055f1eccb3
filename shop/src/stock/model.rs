//! What the rows of one variant's stock amount to, and how its pieces are spread over them.

use std::collections::BTreeMap;

/// Most buckets of a variant: more rows than writers at once spread nothing further.
pub const MAX_BUCKETS: i16 = 64;

/// The number by which reservations name the row of `stock` itself.
pub const OWN_ROW: i16 = -1;

/// Not enough pieces of a variant are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("variant {variant_id} is sold out")]
pub struct SoldOut {
    /// Which.
    pub variant_id: i64,
}

/// An order holds fewer pieces of a variant than were to be shipped or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order holds fewer pieces of variant {variant_id}")]
pub struct NotReserved {
    /// Which.
    pub variant_id: i64,
}

/// One row of a variant's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its bucket, or [`OWN_ROW`].
    pub bucket: i16,
    /// Pieces counted in it.
    pub on_hand: i64,
    /// Pieces of it that are promised.
    pub reserved: i64,
}

impl Row {
    /// Pieces that are there and not promised; negative where more were sold ahead.
    #[must_use]
    pub const fn free(&self) -> i64 {
        self.on_hand.saturating_sub(self.reserved)
    }
}

/// All rows of a variant's stock, the row of `stock` first, then its buckets in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// False for what cannot run out.
    pub tracked: bool,
    /// Pieces that may be sold before they arrive; they belong to the row of `stock`.
    pub backorder_limit: i64,
    /// At this many or fewer, little is left.
    pub low_threshold: i64,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Rows {
    /// Pieces counted in all rows.
    #[must_use]
    pub fn on_hand(&self) -> i64 {
        self.rows
            .iter()
            .fold(0_i64, |sum, row| sum.saturating_add(row.on_hand))
    }

    /// Pieces promised in all rows.
    #[must_use]
    pub fn reserved(&self) -> i64 {
        self.rows
            .iter()
            .fold(0_i64, |sum, row| sum.saturating_add(row.reserved))
    }

    /// From which rows so many pieces are taken, in order of the rows; None where there are not so many in all.
    #[must_use]
    pub fn take(&self, quantity: i64) -> Option<Vec<(i16, i64)>> {
        if !self.tracked {
            return Some(vec![(OWN_ROW, quantity)]);
        }
        let mut left = quantity;
        let mut taken = Vec::new();
        // Buckets first: what may be sold ahead, and what is kept in the own row, comes last.
        let buckets = self.rows.iter().filter(|row| row.bucket != OWN_ROW);
        let own = self.rows.iter().filter(|row| row.bucket == OWN_ROW);
        for row in buckets.chain(own) {
            let ahead = if row.bucket == OWN_ROW {
                self.backorder_limit
            } else {
                0
            };
            let piece = row.free().saturating_add(ahead).clamp(0, left);
            if piece > 0 {
                taken.push((row.bucket, piece));
                left -= piece;
            }
        }
        if left > 0 {
            return None;
        }
        taken.sort_unstable();
        Some(taken)
    }

    /// Where `on_hand` pieces in all should lie, as the number of each row in the order of the rows: promised pieces stay
    /// where they are promised, the others are spread evenly over the buckets, the first ones getting one more.
    #[must_use]
    pub fn spread(&self, on_hand: i64) -> Vec<i64> {
        let buckets = i64::try_from(self.rows.len()).unwrap_or(i64::MAX) - 1;
        let free = on_hand.saturating_sub(self.reserved());
        let spread = if buckets > 0 { free.max(0) } else { 0 };
        let (share, more) = (
            spread.checked_div(buckets).unwrap_or(0),
            spread.checked_rem(buckets).unwrap_or(0),
        );
        (-1_i64..)
            .zip(&self.rows)
            .map(|(position, row)| match position {
                -1 => row.reserved.saturating_add(free.saturating_sub(spread)),
                _ => row.reserved + share + i64::from(position < more),
            })
            .collect()
    }

    /// Whether buckets are worth evening out: one has nothing left while another has, or pieces lie in the own row where
    /// orders look last.
    #[must_use]
    pub fn is_uneven(&self) -> bool {
        let free = || {
            self.rows
                .iter()
                .filter(|row| row.bucket != OWN_ROW)
                .map(Row::free)
        };
        let (Some(least), Some(most)) = (free().min(), free().max()) else {
            return false;
        };
        let waiting = self
            .rows
            .iter()
            .any(|row| row.bucket == OWN_ROW && row.free() > 0);
        waiting || (most - least > 1 && least < most / 2)
    }
}

/// Pieces of a variant that an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The variant.
    pub variant_id: i64,
    /// How many.
    pub quantity: i64,
    /// The number of its buckets, as they were when the cart was read. Where that has changed, its pieces are found all the same,
    /// with more statements.
    pub buckets: i16,
}

/// Where pieces of a variant are asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The variant.
    pub variant_id: i64,
    /// Its bucket, or [`OWN_ROW`].
    pub bucket: i16,
    /// How many.
    pub quantity: i64,
}

/// Where an order asks first, in the order in which rows are locked; wishes for one variant are added up. Of several buckets each
/// order asks the next one, by its id: orders that are under way at the same time have ids near each other, and so do not meet.
#[must_use]
pub fn places(order_id: i64, wanted: &[Wanted]) -> Vec<Place> {
    let lines: Vec<_> = wanted
        .iter()
        .map(|wanted| (wanted.variant_id, wanted.quantity))
        .collect();
    let buckets: BTreeMap<i64, i16> = wanted
        .iter()
        .map(|wanted| (wanted.variant_id, wanted.buckets.min(MAX_BUCKETS)))
        .collect();
    in_order(&lines)
        .into_iter()
        .map(|(variant_id, quantity)| Place {
            variant_id,
            bucket: match buckets.get(&variant_id) {
                Some(&count) if count > 0 => {
                    i16::try_from(order_id.rem_euclid(i64::from(count))).unwrap_or(0)
                }
                _ => OWN_ROW,
            },
            quantity,
        })
        .collect()
}

/// The quantities of each variant, in the order in which rows are locked. Lines of one variant are added up.
#[must_use]
pub fn in_order(lines: &[(i64, i64)]) -> BTreeMap<i64, i64> {
    let mut quantities = BTreeMap::new();
    for (variant, quantity) in lines {
        let sum: &mut i64 = quantities.entry(*variant).or_default();
        *sum = sum.saturating_add(*quantity);
    }
    quantities
}

#[cfg(test)]
mod tests {
    #[test]
    fn orders_ask_one_bucket_after_the_other() {
        let wanted = |variant_id, quantity, buckets| Wanted {
            variant_id,
            quantity,
            buckets,
        };
        let places = |order_id, wanted: &[Wanted]| -> Vec<_> {
            places(order_id, wanted)
                .into_iter()
                .map(|place| (place.variant_id, place.bucket, place.quantity))
                .collect()
        };
        let lines = [wanted(9, 1, 4), wanted(2, 3, 0), wanted(9, 2, 4)];
        assert_eq!(places(6, &lines), [(2, OWN_ROW, 3), (9, 2, 3)]);
        assert_eq!(places(7, &lines), [(2, OWN_ROW, 3), (9, 3, 3)]);
        assert_eq!(places(8, &lines), [(2, OWN_ROW, 3), (9, 0, 3)]);
        assert_eq!(places(-1, &[wanted(1, 1, -3)]), [(1, OWN_ROW, 1)]);
        assert_eq!(
            places(i64::MAX, &[wanted(1, 1, i16::MAX)]),
            [(1, MAX_BUCKETS - 1, 1)]
        );
    }

    use proptest::prelude::*;

    use super::*;

    fn rows(of: &[(i64, i64)]) -> Rows {
        Rows {
            tracked: true,
            backorder_limit: 0,
            low_threshold: 5,
            rows: (-1..)
                .zip(of)
                .map(|(bucket, &(on_hand, reserved))| Row {
                    bucket,
                    on_hand,
                    reserved,
                })
                .collect(),
        }
    }

    #[test]
    fn promised_pieces_stay_and_the_others_are_spread() {
        type Case<'a> = (&'a [(i64, i64)], i64, &'a [i64]);
        let table: &[Case<'_>] = &[
            (&[(10, 4), (0, 0), (0, 0), (0, 0)], 10, &[4, 2, 2, 2]),
            (&[(10, 3), (0, 0), (0, 0), (0, 0)], 10, &[3, 3, 2, 2]),
            (&[(0, 0), (5, 5), (5, 0)], 10, &[0, 8, 2]),
            // Sold ahead: what is missing is missing in the own row, where the backorder limit is.
            (&[(0, 2), (3, 3), (0, 0)], 4, &[1, 3, 0]),
            (&[(7, 1)], 9, &[9]),
        ];
        for (before, total, after) in table {
            assert_eq!(rows(before).spread(*total), *after, "{before:?} {total}");
        }
    }

    #[test]
    fn many_pieces_come_from_several_buckets() {
        let stock = rows(&[(1, 0), (2, 1), (2, 0)]);
        assert_eq!(stock.take(1), Some(vec![(0, 1)]));
        assert_eq!(stock.take(4), Some(vec![(OWN_ROW, 1), (0, 1), (1, 2)]));
        assert_eq!(stock.take(5), None);
    }

    #[test]
    fn buckets_are_evened_out_when_one_is_empty() {
        assert!(!rows(&[(0, 0), (1, 0), (0, 0)]).is_uneven());
        assert!(rows(&[(0, 0), (2, 0), (0, 0)]).is_uneven());
        assert!(rows(&[(1, 0), (9, 0), (9, 0)]).is_uneven());
        assert!(!rows(&[(3, 3), (9, 0), (8, 0)]).is_uneven());
        assert!(!rows(&[(3, 1)]).is_uneven());
    }

    proptest! {
        #[test]
        fn spreading_keeps_the_sum_and_every_promise(
            reserved in proptest::collection::vec(0_i64..50, 1..20), more in 0_i64..1000,
        ) {
            let of: Vec<_> = reserved.iter().map(|&reserved| (reserved, reserved)).collect();
            let stock = rows(&of);
            let total = stock.reserved() + more;
            let spread = stock.spread(total);
            prop_assert_eq!(spread.iter().sum::<i64>(), total);
            for (on_hand, reserved) in spread.iter().zip(&reserved) {
                prop_assert!(on_hand >= reserved);
            }
            let free: Vec<_> = spread.iter().zip(&reserved).skip(1).map(|(all, held)| all - held).collect();
            if let (Some(least), Some(most)) = (free.iter().min(), free.iter().max()) {
                prop_assert!(most - least <= 1);
            }
        }
    }
}
