//! What somebody who mistyped a word may have meant. Pure.

/// Longest word that is compared, in characters: the work grows with its square.
const LONGEST_WORD: usize = 32;

/// Slips that a word of so many characters may have and still be recognised.
const fn slips(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

/// The words with each one that is not among `known` replaced by the known one that is nearest to it. None where nothing
/// is near, or nothing was mistyped.
#[must_use]
pub fn meant(words: &str, known: &[String]) -> Option<String> {
    let known: Vec<String> = known
        .iter()
        .flat_map(|text| text.split(|character: char| !character.is_alphanumeric()))
        .filter(|word| !word.is_empty() && word.chars().count() <= LONGEST_WORD)
        .map(str::to_lowercase)
        .collect();
    let mut changed = false;
    let corrected: Vec<String> = words
        .split_whitespace()
        .map(|word| {
            let word = word.to_lowercase();
            let length = word.chars().count();
            if known.contains(&word) || length > LONGEST_WORD {
                return word;
            }
            let nearest = known
                .iter()
                .map(|known| (distance(&word, known), known))
                .filter(|(distance, _)| *distance <= slips(length))
                .min();
            match nearest {
                Some((_, nearest)) => {
                    changed = true;
                    nearest.clone()
                }
                None => word,
            }
        })
        .collect();
    changed.then(|| corrected.join(" "))
}

/// How many slips lead from one word to the other: a character too many, too few, another one, or two swapped (optimal
/// string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, character) in one.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, against) in other.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let same = usize::from(character != against);
            let mut best = (at(&last, column) + same)
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped = row > 0
                && column > 0
                && one.get(row - 1) == Some(against)
                && other.get(column - 1) == Some(character);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (one, other, slips) in [
            ("mug", "mug", 0),
            ("mgu", "mug", 1),
            ("mugg", "mug", 1),
            ("mg", "mug", 1),
            ("mog", "mug", 1),
            ("stonewear", "stoneware", 2),
            ("", "mug", 3),
            ("mug", "", 3),
            ("茶壺", "茶壶", 1),
        ] {
            assert_eq!(distance(one, other), slips, "{one} {other}");
            assert_eq!(distance(other, one), slips, "{other} {one}");
        }
    }

    #[test]
    fn only_what_was_mistyped_is_replaced() {
        let known = ["Stoneware Mug".to_owned(), "Linen-napkin".to_owned()];
        for (words, expected) in [
            ("stonewear mug", Some("stoneware mug")),
            ("Stonware", Some("stoneware")),
            ("napkni", Some("napkin")),
            ("stoneware mug", None),
            ("xyzzy", None),
            ("mg", None),
            ("", None),
        ] {
            assert_eq!(meant(words, &known).as_deref(), expected, "{words}");
        }
        assert_eq!(meant(&"x".repeat(10_000), &known), None);
    }
}
