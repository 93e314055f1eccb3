//! Sets of transactions, as MySQL writes them: `uuid:1-5:7,uuid:tag:3`. Pure.
//!
//! The format is that of the MySQL Reference Manual, "GTID Format and Storage".

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Who numbered a transaction: the UUID of a server or a group, and a tag, which is mostly empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    uuid: String,
    tag: String,
}

impl Source {
    /// The source with this UUID in its written form; `None` when it is none.
    #[must_use]
    pub fn new(uuid: &str) -> Option<Self> {
        Self::tagged(uuid, "")
    }

    fn tagged(uuid: &str, tag: &str) -> Option<Self> {
        let digits = uuid.bytes().filter(u8::is_ascii_hexdigit).count();
        let shape = uuid.len() == 36
            && uuid
                .bytes()
                .enumerate()
                .all(|(at, byte)| matches!(at, 8 | 13 | 18 | 23) == (byte == b'-'));
        let named = tag.len() <= 32
            && tag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (digits == 32 && shape && named).then(|| Self {
            uuid: uuid.to_ascii_lowercase(),
            tag: tag.to_ascii_lowercase(),
        })
    }

    /// The source with these sixteen bytes, as a binary log has them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut uuid = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                uuid.push('-');
            }
            uuid.push_str(&format!("{byte:02x}"));
        }
        Self {
            uuid,
            tag: String::new(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.uuid)?;
        if !self.tag.is_empty() {
            write!(formatter, ":{}", self.tag)?;
        }
        Ok(())
    }
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gtid {
    /// Who numbered it.
    pub source: Source,
    /// Its number, from 1.
    pub number: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.source, self.number)
    }
}

/// A text that is no set of transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no set of GTIDs; write uuid:1-5, or several with commas between them")]
pub struct GtidError(String);

impl FromStr for Gtid {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let set: GtidSet = text.parse()?;
        let mut all = set.sources.iter();
        match (all.next(), all.next()) {
            (Some((source, intervals)), None) => match intervals.as_slice() {
                [(first, last)] if first == last => Ok(Self {
                    source: source.clone(),
                    number: *first,
                }),
                _ => Err(GtidError(text.to_owned())),
            },
            _ => Err(GtidError(text.to_owned())),
        }
    }
}

/// A set of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    /// Intervals with both ends in them, in order, apart from each other.
    sources: BTreeMap<Source, Vec<(u64, u64)>>,
}

impl GtidSet {
    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many transactions are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sources
            .values()
            .flatten()
            .map(|(first, last)| (last - first).saturating_add(1))
            .fold(0, u64::saturating_add)
    }

    /// Whether it has this transaction.
    #[must_use]
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.sources.get(&gtid.source).is_some_and(|intervals| {
            let after = intervals.partition_point(|(first, _)| *first <= gtid.number);
            after
                .checked_sub(1)
                .and_then(|at| intervals.get(at))
                .is_some_and(|(_, last)| gtid.number <= *last)
        })
    }

    /// Adds a transaction.
    pub fn insert(&mut self, gtid: &Gtid) {
        self.insert_range(&gtid.source, gtid.number, gtid.number);
    }

    /// Adds the transactions from the first number to the last, which is not less.
    pub fn insert_range(&mut self, source: &Source, first: u64, last: u64) {
        let intervals = self.sources.entry(source.clone()).or_default();
        // Those that touch the new one become one with it.
        let from = intervals.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = intervals.partition_point(|(start, _)| *start <= last.saturating_add(1));
        let touched = intervals.get(from..to).unwrap_or_default();
        let start = touched
            .first()
            .map_or(first, |(start, _)| first.min(*start));
        let end = touched.last().map_or(last, |(_, end)| last.max(*end));
        intervals.splice(from..to, [(start, end)]);
    }

    /// Adds all transactions of another set.
    pub fn extend(&mut self, other: &Self) {
        for (source, intervals) in &other.sources {
            for (first, last) in intervals {
                self.insert_range(source, *first, *last);
            }
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.extend(other);
        all
    }

    /// What is in this set and not in the other (`GTID_SUBTRACT`).
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut left = Self::default();
        for (source, intervals) in &self.sources {
            let holes = other.sources.get(source).map_or(&[][..], Vec::as_slice);
            for (first, last) in intervals {
                let mut next = Some(*first);
                for (from, to) in holes {
                    let Some(start) = next.filter(|start| start <= last && from <= last) else {
                        break;
                    };
                    if *to < start {
                        continue;
                    }
                    if *from > start {
                        left.insert_range(source, start, from - 1);
                    }
                    next = to.checked_add(1);
                }
                if let Some(start) = next.filter(|start| start <= last) {
                    left.insert_range(source, start, *last);
                }
            }
        }
        left
    }

    /// Whether all of it is in the other (`GTID_SUBSET`).
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.subtract(other).is_empty()
    }
}

impl FromIterator<Gtid> for GtidSet {
    fn from_iter<I: IntoIterator<Item = Gtid>>(gtids: I) -> Self {
        let mut set = Self::default();
        for gtid in gtids {
            set.insert(&gtid);
        }
        set
    }
}

impl FromStr for GtidSet {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let wrong = || GtidError(text.chars().take(200).collect());
        let mut set = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (uuid, rest) = part.split_once(':').ok_or_else(wrong)?;
            let mut source = Source::new(uuid.trim()).ok_or_else(wrong)?;
            for word in rest.split(':').map(str::trim) {
                if !word.starts_with(|letter: char| letter.is_ascii_digit()) {
                    source = Some(word)
                        .filter(|word| !word.is_empty())
                        .and_then(|word| Source::tagged(&source.uuid, word))
                        .ok_or_else(wrong)?;
                    continue;
                }
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let first: u64 = first.trim().parse().map_err(|_| wrong())?;
                let last: u64 = last.trim().parse().map_err(|_| wrong())?;
                if first == 0 || last < first {
                    return Err(wrong());
                }
                set.insert_range(&source, first, last);
            }
        }
        Ok(set)
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (source, intervals)) in self.sources.iter().enumerate() {
            if at > 0 {
                formatter.write_str(",")?;
            }
            write!(formatter, "{source}")?;
            for (first, last) in intervals {
                if first == last {
                    write!(formatter, ":{first}")?;
                } else {
                    write!(formatter, ":{first}-{last}")?;
                }
            }
        }
        Ok(())
    }
}

impl serde::Serialize for GtidSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for GtidSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "11111111-2222-3333-4444-555555555555";
    const B: &str = "aaaaaaaa-2222-3333-4444-555555555555";

    fn set(text: &str) -> GtidSet {
        text.replace('A', A).replace('B', B).parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_joined() {
        for (text, same) in [
            ("", ""),
            ("A:1-5", "A:1-5"),
            ("A:1-5:6", "A:1-6"),
            ("B:3,A:7:1-2:9-12,\nA:8", "A:1-2:7-12,B:3"),
            ("A:5:1-9", "A:1-9"),
            ("A:1:tag:4-5", "A:1,A:tag:4-5"),
        ] {
            assert_eq!(set(text), set(same), "{text}");
            assert_eq!(set(text).to_string(), set(same).to_string());
        }
        assert_eq!(
            set("A:1-2:7-12,B:3").to_string(),
            format!("{A}:1-2:7-12,{B}:3")
        );
        assert_eq!(set("A:1-2:7-12,B:3").count(), 9);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "A", "A:", "A:0", "A:5-1", "A:x-1", "1111:1", "A:1-", "A:1-2-3", "A:tag!:1",
        ] {
            let text = text.replace('A', A);
            assert!(text.parse::<GtidSet>().is_err(), "{text}");
        }
    }

    #[test]
    fn sets_are_compared_as_the_server_does() {
        for (left, right, rest) in [
            ("A:1-10", "A:3-4:8", "A:1-2:5-7:9-10"),
            ("A:1-10", "A:1-10", ""),
            ("A:1-10", "A:1-20", ""),
            ("A:5-10", "A:1-5", "A:6-10"),
            ("A:5-10,B:1", "A:10", "A:5-9,B:1"),
            ("A:1-10", "B:1-10", "A:1-10"),
            ("A:1-3:7-9", "A:2-8", "A:1:9"),
            ("", "A:1", ""),
        ] {
            assert_eq!(
                set(left).subtract(&set(right)),
                set(rest),
                "{left} - {right}"
            );
            assert_eq!(set(left).is_subset(&set(right)), rest.is_empty());
            assert_eq!(
                set(left).union(&set(right)),
                set(&format!("{left},{right}"))
            );
        }
    }

    #[test]
    fn members_are_found_at_both_ends() {
        let all = set("A:2-4:8");
        for (number, is_in) in [
            (1, false),
            (2, true),
            (4, true),
            (5, false),
            (8, true),
            (9, false),
        ] {
            let gtid: Gtid = format!("{A}:{number}").parse().unwrap();
            assert_eq!(all.contains(&gtid), is_in, "{number}");
        }
        assert!(format!("{A}:1-2").parse::<Gtid>().is_err());
    }

    #[test]
    fn inserting_in_any_order_gives_one_interval() {
        let mut all = GtidSet::default();
        for number in [5, 1, 3, 2, 4] {
            all.insert(&format!("{B}:{number}").parse().unwrap());
        }
        assert_eq!(all, set("B:1-5"));
    }
}
