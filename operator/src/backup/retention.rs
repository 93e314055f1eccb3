//! Which backups are deleted. Pure.

use jiff::{SignedDuration, Timestamp};

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Backups younger than this are kept, and the archive reaches so far back.
    pub keep: SignedDuration,
    /// So many whole backups are kept however old they are. At least one.
    pub minimum: usize,
}

/// A backup, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub id: String,
    /// When it began, by its name.
    pub at: Timestamp,
    /// Whether its manifest is there.
    pub complete: bool,
    /// What its last verification found, if there was one.
    pub passed: Option<bool>,
}

/// An unfinished backup that is so old belongs to a process that died.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// Which of these backups, which are in the order of time, can go. Never the newest that is whole, never the newest that was
/// verified; and a moment in the time to keep can still be restored, for which the newest backup before that time stays.
#[must_use]
pub fn expired(held: &[Held], retention: Retention, now: Timestamp) -> Vec<String> {
    let whole: Vec<&Held> = held
        .iter()
        .filter(|backup| backup.complete && backup.passed != Some(false))
        .collect();
    let old = |backup: &Held| now.duration_since(backup.at) > retention.keep;
    let by_count = whole.len().saturating_sub(retention.minimum.max(1));
    let last_old = whole.iter().rposition(|backup| old(backup)).unwrap_or(0);
    let last_good = held
        .iter()
        .rev()
        .find(|backup| backup.complete && backup.passed == Some(true));
    let first_kept = by_count.min(last_old);
    let stays = |backup: &Held| {
        last_good.is_some_and(|good| good.id == backup.id)
            || whole
                .get(first_kept..)
                .unwrap_or_default()
                .iter()
                .any(|kept| kept.id == backup.id)
    };
    held.iter()
        .filter(|backup| {
            if backup.complete && backup.passed != Some(false) {
                !stays(backup)
            } else if backup.complete {
                // A backup that failed is evidence as long as any other is kept, and all there is if nothing else is whole.
                old(backup) && !whole.is_empty()
            } else {
                now.duration_since(backup.at) > ABANDONED
            }
        })
        .map(|backup| backup.id.clone())
        .collect()
}

/// When a backup began, by its name.
#[must_use]
pub fn time_of(id: &str) -> Option<Timestamp> {
    let text = id.split_once('-').map_or(id, |(time, _)| time);
    jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(days: &[(i64, bool, Option<bool>)]) -> Vec<Held> {
        days.iter()
            .map(|(day, complete, passed)| Held {
                id: day.to_string(),
                at: Timestamp::from_second(day * 86_400).unwrap(),
                complete: *complete,
                passed: *passed,
            })
            .collect()
    }

    fn gone(
        days: &[(i64, bool, Option<bool>)],
        keep: i64,
        minimum: usize,
        now: i64,
    ) -> Vec<String> {
        let retention = Retention {
            keep: SignedDuration::from_hours(24 * keep),
            minimum,
        };
        let now = Timestamp::from_second(now * 86_400 + 60).unwrap();
        expired(&held(days), retention, now)
    }

    #[test]
    fn old_ones_go_and_the_archive_keeps_its_beginning() {
        let days: Vec<_> = (1..=20).map(|day| (day, true, Some(true))).collect();
        // Fourteen days back from day 20 is in the middle of day 6: that day's backup is needed for it.
        assert_eq!(gone(&days, 14, 1, 20), ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn so_many_are_kept_however_old_they_are() {
        let days: Vec<_> = (1..=5).map(|day| (day, true, Some(true))).collect();
        assert_eq!(gone(&days, 1, 3, 100), ["1", "2"]);
        assert_eq!(gone(&days, 1, 0, 100), ["1", "2", "3", "4"]);
    }

    #[test]
    fn the_last_good_one_stays_whatever_else_is_there() {
        let days = [
            (1, true, Some(true)),
            (2, true, Some(true)),
            (3, true, Some(false)),
            (4, true, None),
            (5, true, None),
        ];
        assert_eq!(gone(&days, 1, 1, 100), ["1", "3", "4"]);
        let alone = [(1, true, Some(true)), (2, true, Some(false))];
        assert_eq!(gone(&alone, 1, 1, 100), ["2"]);
        assert!(gone(&[(1, true, Some(false))], 1, 1, 100).is_empty());
        assert!(gone(&[(1, true, None)], 1, 1, 100).is_empty());
    }

    #[test]
    fn what_a_dead_process_left_goes_after_a_day() {
        let days = [(1, true, Some(true)), (3, false, None), (5, false, None)];
        assert_eq!(gone(&days, 30, 1, 5), ["3"]);
    }

    #[test]
    fn names_tell_the_time() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!(time_of(&super::super::catalogue::new_id(now)), Some(now));
        assert_eq!(time_of("mine"), None);
    }
}
