//! Which archived transactions are applied after a backup, in which order, and whether any is missing. Pure.

use jiff::Timestamp;

use super::catalogue::{Head, SegmentHeader};
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
    /// When the last that is there was committed.
    pub last_commit: Option<Timestamp>,
    done: bool,
}

impl Cut {
    /// Begins with what a backup has.
    #[must_use]
    pub fn new(until: Until, base: &GtidSet) -> Self {
        let done = match &until {
            Until::Gtid(gtid) => base.contains(gtid),
            Until::Set(set) => set.is_subset(base),
            Until::End | Until::Time(_) => false,
        };
        Self {
            until,
            reached: base.clone(),
            last_commit: None,
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

    /// Whether what was asked for is there, after everything that can be applied was.
    ///
    /// # Errors
    /// When the archive has a gap before it or ends before it.
    pub fn finish(&self, chain: &Chain, heads: &[Head]) -> Result<(), BackupError> {
        if self.done {
            return Ok(());
        }
        if !chain.missing.is_empty() {
            return Err(BackupError::Gap {
                missing: chain.missing.clone(),
                reached: self.last_commit.unwrap_or(Timestamp::UNIX_EPOCH),
            });
        }
        // What a server says it has archived, and is not here: the last segments are lost.
        let promised = heads
            .iter()
            .fold(GtidSet::default(), |all, head| all.union(&head.executed));
        let lost = promised.subtract(&chain.reached);
        if !lost.is_empty() {
            return Err(BackupError::Gap {
                missing: lost,
                reached: self.last_commit.unwrap_or(Timestamp::UNIX_EPOCH),
            });
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
            at: Timestamp::from_second(at).unwrap(),
        }
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
        let mut cut = Cut::new(Until::End, &set("1-4"));
        for number in [5, 6] {
            assert_eq!(
                cut.decide(&gtid(number), number * 1_000_000),
                Verdict::Apply
            );
        }
        let error = cut.finish(&all, &[]).unwrap_err().to_string();
        assert!(
            error.contains("7-9") && error.contains("1970-01-01T00:00:06"),
            "{error}"
        );
        // What lies before the gap can be had.
        let mut cut = Cut::new(Until::Gtid(gtid(6)), &set("1-4"));
        cut.decide(&gtid(5), 0);
        cut.decide(&gtid(6), 0);
        cut.finish(&all, &[]).unwrap();
    }

    #[test]
    fn the_last_segments_cannot_be_lost_unnoticed() {
        let all = chain(&set("1-4"), &[segment("1-4", "5-6")]);
        let cut = Cut::new(Until::End, &set("1-6"));
        cut.finish(&all, &[head("1-6", 9)]).unwrap();
        let error = cut.finish(&all, &[head("1-8", 9)]).unwrap_err().to_string();
        assert!(error.contains("7-8"), "{error}");
    }

    #[test]
    fn time_cuts_at_the_first_that_is_later() {
        let until = Until::Time(Timestamp::from_second(20).unwrap());
        let mut cut = Cut::new(until, &set("1"));
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
        let cut = Cut::new(Until::Time(Timestamp::from_second(20).unwrap()), &set("1"));
        assert!(cut.finish(&all, &[]).is_err());
        assert!(cut.finish(&all, &[head("1", 19)]).is_err());
        cut.finish(&all, &[head("1", 20)]).unwrap();
    }

    #[test]
    fn a_set_takes_what_is_in_it() {
        let mut cut = Cut::new(Until::Set(set("1-3:5")), &set("1"));
        let verdicts = [2, 3, 4, 5, 6].map(|number| cut.decide(&gtid(number), 0));
        use Verdict::{Apply, Skip, Stop};
        assert_eq!(verdicts, [Apply, Apply, Skip, Apply, Stop]);
        assert!(cut.is_done());
        let all = chain(&set("1"), &[]);
        assert!(
            Cut::new(Until::Set(set("1-3")), &set("1"))
                .finish(&all, &[])
                .is_err()
        );
    }
}
