//! Which archived transactions are applied after a backup, in which order, and whether any is missing. Pure.

use jiff::Timestamp;

use super::catalogue::{Head, SegmentHeader, read_segment_key};
use super::error::BackupError;
use crate::gtid::{Gtid, GtidSet};

/// Up to where a restore goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything that is archived.
    End,
    /// Up to the last transaction that was committed at this moment or before.
    Time(Timestamp),
    /// Up to this transaction, with it.
    Gtid(Gtid),
    /// These transactions and no others: what a member had executed at some moment.
    Set(GtidSet),
}

impl std::fmt::Display for Until {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::End => formatter.write_str("the end"),
            Self::Time(time) => write!(formatter, "{time}"),
            Self::Gtid(gtid) => write!(formatter, "{gtid}"),
            Self::Set(set) => write!(formatter, "{set}"),
        }
    }
}

/// The keys of the segments that are needed, of those of all in the order of their numbers, and of the one that follows them.
/// Nothing in that one or behind it was committed as early as the end.
#[must_use]
pub fn needed(mut keys: Vec<String>, until: &Until) -> (Vec<String>, Option<String>) {
    let Until::Time(time) = until else {
        return (keys, None);
    };
    // What begins later is not needed, as long as nothing follows it that begins earlier.
    let wanted = |key: &String| {
        read_segment_key(key)
            .and_then(|(_, first)| i64::try_from(first).ok())
            .is_none_or(|first| first <= time.as_microsecond())
    };
    let last = keys.iter().rposition(wanted).map_or(0, |last| last + 1);
    let following = keys.split_off(last).into_iter().next();
    (keys, following)
}

/// Segments in an order in which they can be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Places in the list that was given.
    pub order: Vec<usize>,
    /// What comes together when all are applied.
    pub reached: GtidSet,
    /// What is missing before the others could be applied.
    pub missing: GtidSet,
}

/// Orders segments, which are given in the order of their numbers: one comes when all that its server had before it is there. Those
/// that bring nothing new are left out.
#[must_use]
pub fn chain(base: &GtidSet, segments: &[SegmentHeader]) -> Chain {
    let mut reached = base.clone();
    let mut order = Vec::new();
    let mut waiting: Vec<(usize, &SegmentHeader)> = segments
        .iter()
        .enumerate()
        .filter(|(_, segment)| !segment.transactions.is_subset(base))
        .collect();
    // Nearly always the first fits; others only where two servers archived at the same time.
    while let Some(at) = waiting
        .iter()
        .position(|(_, segment)| segment.before.is_subset(&reached))
    {
        let (index, segment) = waiting.remove(at);
        if !segment.transactions.is_subset(&reached) {
            reached.extend(&segment.transactions);
            order.push(index);
        }
    }
    let missing = waiting
        .first()
        .map(|(_, segment)| segment.before.subtract(&reached))
        .unwrap_or_default();
    Chain {
        order,
        reached,
        missing,
    }
}

/// What is decided of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is applied.
    Apply,
    /// It is there already, or not wanted.
    Skip,
    /// It and all after it are not wanted.
    Stop,
}

/// Decides transaction by transaction, in the order of the chain.
#[derive(Clone, Debug)]
pub struct Cut {
    until: Until,
    /// What is there.
    pub reached: GtidSet,
    /// When the last that was applied was committed.
    pub last_commit: Option<Timestamp>,
    /// The moment of the backup.
    taken_at: Timestamp,
    done: bool,
}

impl Cut {
    /// Begins with what a backup of this moment has.
    #[must_use]
    pub fn new(until: Until, base: &GtidSet, taken_at: Timestamp) -> Self {
        let done = match &until {
            Until::Gtid(gtid) => base.contains(gtid),
            Until::Set(set) => set.is_subset(base),
            Until::End | Until::Time(_) => false,
        };
        Self {
            until,
            reached: base.clone(),
            last_commit: None,
            taken_at,
            done,
        }
    }

    /// Whether nothing more is wanted.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Decides the next transaction, committed so many microseconds after 1970.
    pub fn decide(&mut self, gtid: &Gtid, committed: u64) -> Verdict {
        if self.done {
            return Verdict::Stop;
        }
        if self.reached.contains(gtid) {
            return Verdict::Skip;
        }
        let moment = moment(committed);
        match &self.until {
            Until::Time(time) if moment > *time => {
                self.done = true;
                return Verdict::Stop;
            }
            Until::Set(set) if !set.contains(gtid) => return Verdict::Skip,
            _ => {}
        }
        self.reached.insert(gtid);
        self.last_commit = Some(moment);
        self.done = match &self.until {
            Until::Gtid(wanted) => gtid == wanted,
            Until::Set(set) => set.is_subset(&self.reached),
            Until::End | Until::Time(_) => false,
        };
        Verdict::Apply
    }

    /// Whether what was asked for is there, after everything that can be applied was. `following` is the segment behind those that
    /// were needed.
    ///
    /// # Errors
    /// When the archive has a gap before it or ends before it.
    pub fn finish(
        &self,
        chain: &Chain,
        following: Option<&SegmentHeader>,
        heads: &[Head],
    ) -> Result<(), BackupError> {
        if self.done {
            return Ok(());
        }
        let reached = self
            .last_commit
            .map_or(self.taken_at, |last| last.max(self.taken_at));
        let gap = |missing: GtidSet| match &self.until {
            // What is missing comes behind this moment: the error of a gap offers it.
            Until::Time(time) if *time <= reached => Ok(()),
            _ => Err(BackupError::Gap { missing, reached }),
        };
        if !chain.missing.is_empty() {
            return gap(chain.missing.clone());
        }
        if let Some(following) = following {
            // It begins after the end, and so does all that servers have archived behind it.
            let missing = following.before.subtract(&chain.reached);
            return if missing.is_empty() {
                Ok(())
            } else {
                gap(missing)
            };
        }
        // What a server says it has archived, and is not here: the last segments are lost.
        let promised = heads
            .iter()
            .fold(GtidSet::default(), |all, head| all.union(&head.executed));
        let lost = promised.subtract(&chain.reached);
        if !lost.is_empty() {
            return gap(lost);
        }
        let short = |reached: String| {
            Err(BackupError::Short {
                reached,
                wanted: self.until.to_string(),
            })
        };
        match &self.until {
            Until::End => Ok(()),
            Until::Time(time) => {
                let until = heads.iter().map(|head| head.at).max();
                if until.is_some_and(|until| until >= *time) {
                    return Ok(());
                }
                short(until.map_or("nothing".to_owned(), |until| until.to_string()))
            }
            Until::Gtid(_) | Until::Set(_) => short(self.reached.to_string()),
        }
    }
}

fn moment(micros: u64) -> Timestamp {
    i64::try_from(micros)
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-2222-3333-4444-555555555555";

    fn set(text: &str) -> GtidSet {
        if text.is_empty() {
            return GtidSet::default();
        }
        format!("{A}:{text}").parse().unwrap()
    }

    fn gtid(number: u64) -> Gtid {
        format!("{A}:{number}").parse().unwrap()
    }

    fn segment(before: &str, transactions: &str) -> SegmentHeader {
        SegmentHeader {
            format: 1,
            number: 1,
            server: A.to_owned(),
            before: set(before),
            transactions: set(transactions),
            first_commit: 0,
            last_commit: 0,
            bytes: 0,
        }
    }

    fn head(executed: &str, at: i64) -> Head {
        Head {
            server: A.to_owned(),
            executed: set(executed),
            at: second(at),
        }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// After a backup of the second 1.
    fn cut(until: Until, base: &str) -> Cut {
        Cut::new(until, &set(base), second(1))
    }

    #[test]
    fn segments_follow_each_other_whatever_their_numbers_say() {
        let segments = [
            segment("1-9", "10-11"),
            segment("1-11", "12-13"),
            segment("", "1-4"),
            segment("1-4", "5-9"),
        ];
        let all = chain(&set("1-2"), &segments);
        assert_eq!(all.order, [2, 3, 0, 1]);
        assert_eq!((all.reached, all.missing), (set("1-13"), set("")));
        let later = chain(&set("1-10"), &segments);
        assert_eq!(later.order, [0, 1]);
    }

    #[test]
    fn numbers_that_were_never_given_are_no_gap() {
        // Members of a group number in blocks: after a failover there is a hole.
        let all = chain(
            &set("1-4"),
            &[segment("1-4", "5-6"), segment("1-6", "1000001")],
        );
        assert_eq!(all.order, [0, 1]);
        assert!(all.missing.is_empty());
    }

    #[test]
    fn a_missing_segment_is_named() {
        let all = chain(
            &set("1-4"),
            &[segment("1-4", "5-6"), segment("1-9", "10-12")],
        );
        assert_eq!(
            (all.order.as_slice(), all.missing.clone()),
            (&[0][..], set("7-9"))
        );
        let applied = |until: Until| {
            let mut cut = cut(until, "1-4");
            for number in [5, 6] {
                let verdict = cut.decide(&gtid(number), number * 1_000_000);
                assert_eq!(verdict, Verdict::Apply);
            }
            cut
        };
        let error = applied(Until::End).finish(&all, None, &[]).unwrap_err();
        let BackupError::Gap { missing, reached } = error else {
            panic!("{error}");
        };
        assert_eq!((missing, reached), (set("7-9"), second(6)));
        // What lies before the gap can be had: by its name, and by the moment that the error says.
        let heads = [head("1-12", 9)];
        applied(Until::Gtid(gtid(6)))
            .finish(&all, None, &heads)
            .unwrap();
        let until = Until::Time(reached);
        applied(until.clone()).finish(&all, None, &heads).unwrap();
        let before = chain(&set("1-4"), &[segment("1-4", "5-6")]);
        let following = segment("1-9", "10-12");
        for following in [None, Some(&following)] {
            applied(until.clone())
                .finish(&before, following, &heads)
                .unwrap();
        }
        // Of a later one nobody knows what belongs to it.
        let error = applied(Until::Time(second(7)))
            .finish(&before, Some(&following), &heads)
            .unwrap_err();
        assert!(matches!(error, BackupError::Gap { missing, .. } if missing == set("7-9")));
    }

    #[test]
    fn a_gap_behind_the_backup_leaves_the_backup() {
        let all = chain(&set("1-4"), &[segment("1-9", "10-12")]);
        let error = cut(Until::End, "1-4").finish(&all, None, &[]).unwrap_err();
        let BackupError::Gap { reached, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(reached, second(1));
        cut(Until::Time(reached), "1-4")
            .finish(&all, None, &[head("1-12", 9)])
            .unwrap();
        // An archive that has only not come so far is none.
        let none = chain(&set("1-4"), &[]);
        let error = cut(Until::Time(reached), "1-4")
            .finish(&none, None, &[head("1-4", 0)])
            .unwrap_err();
        assert!(matches!(error, BackupError::Short { .. }), "{error}");
    }

    #[test]
    fn a_moment_between_two_segments_needs_the_first_alone() {
        let key = |number: u64, first: u64| format!("binlogs/{number:012}-{first:016}-aaaaaaaa");
        let keys = [
            key(1, 2_000_000),
            key(2, 6_000_000),
            key(3, 5_000_000),
            key(4, 9_000_000),
            key(5, 12_000_000),
        ];
        let parted = |until: Until| {
            let (needed, following) = needed(keys.to_vec(), &until);
            (needed.len(), following)
        };
        assert_eq!(parted(Until::End), (5, None));
        assert_eq!(parted(Until::Time(second(1))), (0, Some(keys[0].clone())));
        // The third begins before the second: a server was behind another.
        assert_eq!(parted(Until::Time(second(5))), (3, Some(keys[3].clone())));
        assert_eq!(parted(Until::Time(second(8))), (3, Some(keys[3].clone())));
        assert_eq!(parted(Until::Time(second(12))), (5, None));

        // Servers have archived more than what was needed, which is no gap.
        let all = chain(&set("1-4"), &[segment("1-4", "5-6")]);
        let mut cut = cut(Until::Time(second(8)), "1-4");
        cut.decide(&gtid(5), 5_000_000);
        cut.decide(&gtid(6), 6_000_000);
        let following = segment("1-6", "7-8");
        cut.finish(&all, Some(&following), &[head("1-20", 30)])
            .unwrap();
    }

    #[test]
    fn the_last_segments_cannot_be_lost_unnoticed() {
        let all = chain(&set("1-4"), &[segment("1-4", "5-6")]);
        let cut = cut(Until::End, "1-6");
        cut.finish(&all, None, &[head("1-6", 9)]).unwrap();
        let error = cut.finish(&all, None, &[head("1-8", 9)]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("7-8"), "{error}");
    }

    #[test]
    fn time_cuts_at_the_first_that_is_later() {
        let mut cut = cut(Until::Time(second(20)), "1");
        let verdicts = [(1, 5), (2, 20), (3, 21), (4, 19)]
            .map(|(number, second)| cut.decide(&gtid(number), second * 1_000_000));
        assert_eq!(
            verdicts,
            [Verdict::Skip, Verdict::Apply, Verdict::Stop, Verdict::Stop]
        );
        assert_eq!(cut.reached, set("1-2"));
    }

    #[test]
    fn a_moment_after_the_end_needs_a_server_that_was_idle_until_then() {
        let all = chain(&set("1"), &[]);
        let cut = cut(Until::Time(second(20)), "1");
        assert!(cut.finish(&all, None, &[]).is_err());
        assert!(cut.finish(&all, None, &[head("1", 19)]).is_err());
        cut.finish(&all, None, &[head("1", 20)]).unwrap();
    }

    #[test]
    fn a_set_takes_what_is_in_it() {
        let mut taken = cut(Until::Set(set("1-3:5")), "1");
        let verdicts = [2, 3, 4, 5, 6].map(|number| taken.decide(&gtid(number), 0));
        use Verdict::{Apply, Skip, Stop};
        assert_eq!(verdicts, [Apply, Apply, Skip, Apply, Stop]);
        assert!(taken.is_done());
        let all = chain(&set("1"), &[]);
        let until = Until::Set(set("1-3"));
        assert!(cut(until, "1").finish(&all, None, &[]).is_err());
    }
}
