//! The cards that the test provider knows.

/// What a card does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Everything succeeds.
    Approve,
    /// The payment is refused with this code.
    Decline(&'static str),
    /// The shopper must approve the payment on a page of the provider.
    SecondStep,
    /// The provider holds the money and does not answer.
    SilentSuccess,
    /// The provider refuses and does not answer.
    SilentDecline,
    /// The provider works on it for a moment, then holds the money and says so.
    LateSuccess,
    /// The provider works on it for a moment, then refuses and says so.
    LateDecline,
    /// The provider holds the money and says so twice.
    Twice,
    /// The money is held, and every capture is refused.
    CaptureRefused,
    /// The money is held; captures are done and not answered.
    CaptureSilent,
    /// Refunds are refused.
    RefundRefused,
    /// Refunds are done and not answered.
    RefundSilent,
    /// Refunds are worked on for a moment, then done.
    RefundLate,
    /// The first capture lets go of the rest.
    OneCapture,
}

/// A card that exists for tests only. No bank has issued these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Sixteen digits.
    pub number: &'static str,
    /// A word for lists and for the table.
    pub name: &'static str,
    /// What it does.
    pub behaviour: Behaviour,
}

const fn card(number: &'static str, name: &'static str, behaviour: Behaviour) -> Card {
    Card {
        number,
        name,
        behaviour,
    }
}

/// All cards.
pub const CARDS: &[Card] = &[
    card("4242424242424242", "approved", Behaviour::Approve),
    card("4000000000003220", "second_step", Behaviour::SecondStep),
    card(
        "4000000000000002",
        "declined",
        Behaviour::Decline("card_declined"),
    ),
    card(
        "4000000000009995",
        "insufficient_funds",
        Behaviour::Decline("insufficient_funds"),
    ),
    card(
        "4000000000000069",
        "expired",
        Behaviour::Decline("expired_card"),
    ),
    card(
        "4000000000009979",
        "stolen",
        Behaviour::Decline("stolen_card"),
    ),
    card(
        "4000000000000119",
        "processing_error",
        Behaviour::Decline("processing_error"),
    ),
    card(
        "4000000000001018",
        "silent_success",
        Behaviour::SilentSuccess,
    ),
    card(
        "4000000000001026",
        "silent_decline",
        Behaviour::SilentDecline,
    ),
    card("4000000000001034", "late_success", Behaviour::LateSuccess),
    card("4000000000001042", "late_decline", Behaviour::LateDecline),
    card("4000000000001059", "told_twice", Behaviour::Twice),
    card(
        "4000000000001067",
        "capture_refused",
        Behaviour::CaptureRefused,
    ),
    card(
        "4000000000001075",
        "capture_silent",
        Behaviour::CaptureSilent,
    ),
    card(
        "4000000000001083",
        "refund_refused",
        Behaviour::RefundRefused,
    ),
    card("4000000000001091", "refund_silent", Behaviour::RefundSilent),
    card("4000000000001109", "refund_late", Behaviour::RefundLate),
    card("4000000000001117", "one_capture", Behaviour::OneCapture),
];

impl Card {
    /// The card with this number, however it is grouped by spaces or hyphens.
    #[must_use]
    pub fn from_number(text: &str) -> Option<&'static Self> {
        let digits: String = text
            .chars()
            .filter(|character| !matches!(character, ' ' | '-'))
            .collect();
        CARDS.iter().find(|card| card.number == digits)
    }

    /// The card with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.name == name)
    }

    /// The last four digits.
    #[must_use]
    pub fn last4(&self) -> &'static str {
        self.number.get(12..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check_digit_fits(number: &str) -> bool {
        let sum: u32 = number
            .chars()
            .rev()
            .zip([false, true].into_iter().cycle())
            .map(|(digit, double)| {
                let digit = digit.to_digit(10).unwrap() * if double { 2 } else { 1 };
                digit / 10 + digit % 10
            })
            .sum();
        sum.is_multiple_of(10)
    }

    #[test]
    fn numbers_pass_the_check_of_forms_and_are_unique() {
        let mut seen = BTreeSet::new();
        for card in CARDS {
            assert_eq!(card.number.len(), 16);
            assert!(check_digit_fits(card.number), "{}", card.number);
            assert!(seen.insert(card.number) && seen.insert(card.name));
            assert!(card.name.len() <= 32);
        }
    }

    #[test]
    fn a_card_is_found_as_people_type_it() {
        assert_eq!(
            Card::from_number("4242 4242-4242 4242").map(|card| card.name),
            Some("approved")
        );
        assert_eq!(Card::from_number("4111111111111111"), None);
    }
}
