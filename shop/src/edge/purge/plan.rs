//! What to send to an edge next: from the log and two cursors to a round. Pure.

use crate::edge::tags::{Tag, TagSet};
use crate::outbox::PurgeKind;

use super::{Limits, PurgeBatch};

/// A row of the log, as a delivery needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogRow {
    pub(super) sequence: i64,
    pub(super) tags: TagSet,
    pub(super) kind: PurgeKind,
    /// It was written long enough ago that every live process has followed it.
    pub(super) settled: bool,
}

/// Where an edge stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursors {
    /// Everything up to here was sent once. `None`: the edge is new.
    pub(super) acknowledged: Option<i64>,
    /// Everything up to here was sent after it had settled.
    pub(super) repeated: i64,
}

/// What is sent in one go, and where the cursors stand afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) hard: TagSet,
    pub(super) soft: TagSet,
    pub(super) acknowledged: i64,
    pub(super) repeated: i64,
}

impl Round {
    pub(super) fn begin(acknowledged: i64, repeated: i64) -> Self {
        Self {
            acknowledged,
            repeated,
            ..Self::default()
        }
    }

    /// The round that purges everything and moves to the head of the log.
    pub(super) fn whole(kind: PurgeKind, acknowledged: i64, repeated: i64) -> Self {
        let tags = TagSet::from_iter([Tag::all()]);
        let (hard, soft) = match kind {
            PurgeKind::Hard => (tags, TagSet::new()),
            PurgeKind::Soft => (TagSet::new(), tags),
        };
        Self {
            hard,
            soft,
            acknowledged,
            repeated: repeated.min(acknowledged),
        }
    }

    /// Takes in the next row, in order. False when the log has a hole before it: then only a whole purge will do.
    pub(super) fn add(&mut self, row: LogRow, expected: i64) -> bool {
        if row.sequence != expected {
            return false;
        }
        let first = row.sequence > self.acknowledged;
        if first || row.settled {
            match row.kind {
                PurgeKind::Hard => self.hard.extend(row.tags),
                PurgeKind::Soft => self.soft.extend(row.tags),
            }
        }
        if first {
            self.acknowledged = row.sequence;
        }
        if row.settled && row.sequence == self.repeated + 1 {
            self.repeated = row.sequence;
        }
        true
    }

    pub(super) fn tags(&self) -> usize {
        self.hard.len() + self.soft.len()
    }

    /// The requests of this round: hard ones first, each within the limits. A tag that is purged hard is not purged
    /// softly as well; one `all` makes every other tag of its kind superfluous.
    pub(super) fn batches(&self, limits: Limits) -> Vec<PurgeBatch> {
        let all = Tag::all();
        let mut batches = Vec::new();
        let hard_all = self.hard.contains(&all);
        for (tags, kind) in [(&self.hard, PurgeKind::Hard), (&self.soft, PurgeKind::Soft)] {
            let wanted: Vec<&Tag> = if kind == PurgeKind::Soft && hard_all {
                Vec::new()
            } else if tags.contains(&all) {
                vec![&all]
            } else {
                tags.iter()
                    .filter(|tag| kind == PurgeKind::Hard || !self.hard.contains(tag))
                    .collect()
            };
            let mut batch: Vec<Tag> = Vec::new();
            let mut bytes = 0;
            for tag in wanted {
                let size = tag.as_str().len() + 1;
                if !batch.is_empty() && (batch.len() >= limits.tags || bytes + size > limits.bytes)
                {
                    batches.push(self.batch(std::mem::take(&mut batch), kind));
                    bytes = 0;
                }
                bytes += size;
                batch.push(tag.clone());
            }
            if !batch.is_empty() {
                batches.push(self.batch(batch, kind));
            }
        }
        batches
    }

    fn batch(&self, tags: Vec<Tag>, kind: PurgeKind) -> PurgeBatch {
        PurgeBatch {
            tags,
            kind,
            sequence: self.acknowledged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        tags: 3,
        bytes: 20,
        whole_above: 100,
    };

    fn row(sequence: i64, tags: &str, kind: PurgeKind, settled: bool) -> LogRow {
        let tags = tags
            .split(' ')
            .map(|tag| Tag::parse(tag).unwrap())
            .collect();
        LogRow {
            sequence,
            tags,
            kind,
            settled,
        }
    }

    fn sent(round: &Round) -> Vec<(PurgeKind, String)> {
        round
            .batches(LIMITS)
            .iter()
            .map(|batch| (batch.kind, batch.joined(" ")))
            .collect()
    }

    #[test]
    fn new_rows_are_sent_at_once_and_again_when_they_have_settled() {
        let mut round = Round::begin(4, 3);
        assert!(round.add(row(4, "p-4", PurgeKind::Soft, false), 4));
        assert!(round.add(row(5, "p-5", PurgeKind::Soft, false), 5));
        assert_eq!((round.acknowledged, round.repeated), (5, 3));
        assert_eq!(sent(&round), [(PurgeKind::Soft, "p-5".to_owned())]);

        let mut round = Round::begin(5, 3);
        assert!(round.add(row(4, "p-4", PurgeKind::Soft, true), 4));
        assert!(round.add(row(5, "p-5", PurgeKind::Soft, false), 5));
        assert_eq!((round.acknowledged, round.repeated), (5, 4));
        assert_eq!(sent(&round), [(PurgeKind::Soft, "p-4".to_owned())]);
    }

    #[test]
    fn a_row_first_sent_after_it_settled_needs_no_second_time() {
        let mut round = Round::begin(0, 0);
        assert!(round.add(row(1, "p-1", PurgeKind::Hard, true), 1));
        assert_eq!((round.acknowledged, round.repeated), (1, 1));
    }

    #[test]
    fn a_hole_in_the_log_is_noticed() {
        assert!(!Round::begin(4, 4).add(row(7, "p-1", PurgeKind::Soft, true), 5));
    }

    #[test]
    fn batches_keep_both_limits_and_send_hard_purges_first() {
        let mut round = Round::begin(0, 0);
        round.add(row(1, "p-1 p-2 p-3 p-4", PurgeKind::Soft, true), 1);
        round.add(
            row(2, "p-4 c-1111111111 c-2222222222", PurgeKind::Hard, true),
            2,
        );
        assert_eq!(
            sent(&round),
            [
                (PurgeKind::Hard, "c-1111111111".to_owned()),
                (PurgeKind::Hard, "c-2222222222 p-4".to_owned()),
                (PurgeKind::Soft, "p-1 p-2 p-3".to_owned()),
            ]
        );
        assert!(
            round
                .batches(LIMITS)
                .iter()
                .all(|batch| batch.sequence == 2)
        );
    }

    #[test]
    fn all_stands_for_every_other_tag_of_its_kind() {
        let mut round = Round::begin(0, 0);
        round.add(row(1, "p-1 all", PurgeKind::Soft, true), 1);
        round.add(row(2, "p-2", PurgeKind::Hard, true), 2);
        assert_eq!(
            sent(&round),
            [
                (PurgeKind::Hard, "p-2".to_owned()),
                (PurgeKind::Soft, "all".to_owned())
            ]
        );
        round.add(row(3, "all", PurgeKind::Hard, true), 3);
        assert_eq!(sent(&round), [(PurgeKind::Hard, "all".to_owned())]);
    }
}
