//! Sets of transactions, as MySQL writes them: `uuid:1-5:7,uuid:tag:3` (MySQL 8.4 Reference Manual, "GTID Format and Storage").

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A set of transactions. Ranges of a source are sorted, do not touch, and are never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gtids {
    /// First and last number of each range, by the source: its UUID in lower case, with the tag behind a colon if there is one.
    sources: BTreeMap<String, Vec<(u64, u64)>>,
}

/// Not a set of transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a set of transactions: it is written uuid:1-5,uuid:7")]
pub struct NotGtids(String);

impl Gtids {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.sources
            .values()
            .flatten()
            .map(|(first, last)| last.saturating_sub(*first).saturating_add(1))
            .fold(0, u64::saturating_add)
    }

    /// Adds the transactions from `first` to `last` of a source.
    pub fn add(&mut self, source: &str, first: u64, last: u64) {
        if first == 0 || last < first {
            return;
        }
        let ranges = self.sources.entry(source.to_ascii_lowercase()).or_default();
        ranges.push((first, last));
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges.drain(..) {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        *ranges = joined;
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (source, ranges) in &other.sources {
            for (first, last) in ranges {
                all.add(source, *first, *last);
            }
        }
        all
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for (source, ranges) in &self.sources {
            let without = other.sources.get(source).map_or(&[][..], Vec::as_slice);
            for (first, last) in ranges {
                let mut next = *first;
                for (begin, end) in without {
                    if *end < next || *begin > *last {
                        continue;
                    }
                    rest.add(source, next, begin.saturating_sub(1));
                    next = end.saturating_add(1);
                }
                rest.add(source, next, *last);
            }
        }
        rest
    }

    /// Whether everything in `other` is in `self`.
    pub fn covers(&self, other: &Self) -> bool {
        other.minus(self).is_empty()
    }
}

impl fmt::Display for Gtids {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (source, ranges)) in self.sources.iter().enumerate() {
            if place > 0 {
                formatter.write_str(",")?;
            }
            formatter.write_str(source)?;
            for (first, last) in ranges {
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

impl FromStr for Gtids {
    type Err = NotGtids;

    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let wrong = || NotGtids(text.chars().take(200).collect());
        let mut set = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let mut pieces = part.split(':').map(str::trim);
            let uuid = pieces.next().unwrap_or_default();
            let plain = uuid.len() == 36
                && uuid
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
            if !plain {
                return Err(wrong());
            }
            let mut source = uuid.to_ascii_lowercase();
            let mut ranges = 0;
            for piece in pieces {
                if piece.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
                    source = format!("{}:{}", uuid.to_ascii_lowercase(), piece.to_lowercase());
                    continue;
                }
                let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
                let first: u64 = first.trim().parse().map_err(|_| wrong())?;
                let last: u64 = last.trim().parse().map_err(|_| wrong())?;
                if first == 0 || last < first {
                    return Err(wrong());
                }
                set.add(&source, first, last);
                ranges += 1;
            }
            if ranges == 0 {
                return Err(wrong());
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::Gtids;

    const A: &str = "6f1c2b9e-0000-4000-8000-00000000000a";
    const B: &str = "6f1c2b9e-0000-4000-8000-00000000000b";

    fn set(text: &str) -> Gtids {
        text.parse().unwrap()
    }

    #[test]
    fn sets_are_read_and_written_as_mysql_does() {
        for (read, written) in [
            (String::new(), String::new()),
            (format!("{A}:1-5"), format!("{A}:1-5")),
            (format!("{A}:5:1-3:4"), format!("{A}:1-5")),
            (
                format!("{B}:7,\n{}:1", A.to_uppercase()),
                format!("{A}:1,{B}:7"),
            ),
            (format!("{A}:1:tag:2-3"), format!("{A}:1,{A}:tag:2-3")),
        ] {
            assert_eq!(set(&read).to_string(), written);
            assert_eq!(set(&written), set(&read));
        }
        for wrong in [
            "x",
            "x:1",
            A,
            &format!("{A}:0"),
            &format!("{A}:5-1"),
            &format!("{A}:-"),
        ] {
            assert!(wrong.parse::<Gtids>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sets_are_joined_taken_apart_and_compared() {
        let (all, part) = (
            set(&format!("{A}:1-10,{B}:1")),
            set(&format!("{A}:3:5-6:10")),
        );
        assert_eq!(all.minus(&part).to_string(), format!("{A}:1-2:4:7-9,{B}:1"));
        assert_eq!(all.minus(&part).union(&part), all);
        assert!(all.covers(&part) && !part.covers(&all) && part.covers(&Gtids::default()));
        assert_eq!(part.minus(&all), Gtids::default());
        assert_eq!(all.count(), 11);
    }
}
