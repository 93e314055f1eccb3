//! Whether something can be bought, in the three words that public pages use.

/// How available something is. Ordered: the better one is the greater one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AvailabilityBand {
    /// Cannot be bought now.
    Out,
    /// Can be bought; few are left.
    Low,
    /// Can be bought.
    InStock,
}

impl AvailabilityBand {
    /// The word that the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Low => "low",
            Self::InStock => "in_stock",
        }
    }

    /// The band of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Out, Self::Low, Self::InStock]
            .into_iter()
            .find(|band| band.as_str() == word)
    }
}

/// The stock of one variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockLevel {
    /// False for what cannot run out, such as a service.
    pub tracked: bool,
    /// Pieces in the warehouse.
    pub on_hand: i64,
    /// Pieces promised to orders and checkouts.
    pub reserved: i64,
    /// Pieces that may be sold before they arrive.
    pub backorder_limit: i64,
    /// At this many or fewer, little is left.
    pub low_threshold: i64,
}

impl StockLevel {
    /// Pieces that can still be sold; None where any number can.
    #[must_use]
    pub fn available(&self) -> Option<i64> {
        self.tracked.then(|| {
            self.on_hand
                .saturating_add(self.backorder_limit)
                .saturating_sub(self.reserved)
                .max(0)
        })
    }

    /// The band that public pages show.
    #[must_use]
    pub fn band(&self) -> AvailabilityBand {
        match self.available() {
            None => AvailabilityBand::InStock,
            Some(0) => AvailabilityBand::Out,
            Some(pieces) if pieces <= self.low_threshold => AvailabilityBand::Low,
            Some(_) => AvailabilityBand::InStock,
        }
    }
}

/// What can be sold of one variant now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// The variant's SKU.
    pub sku: super::identifier::Sku,
    /// Its band.
    pub band: AvailabilityBand,
    /// How many can be sold; None where stock is not counted.
    pub available: Option<i64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(on_hand: i64, reserved: i64, backorder_limit: i64) -> StockLevel {
        StockLevel {
            tracked: true,
            on_hand,
            reserved,
            backorder_limit,
            low_threshold: 5,
        }
    }

    #[test]
    fn bands_follow_what_can_still_be_sold() {
        assert_eq!(level(0, 0, 0).band(), AvailabilityBand::Out);
        assert_eq!(level(3, 3, 0).band(), AvailabilityBand::Out);
        assert_eq!(level(5, 0, 0).band(), AvailabilityBand::Low);
        assert_eq!(level(6, 0, 0).band(), AvailabilityBand::InStock);
        assert_eq!(level(6, 1, 0).band(), AvailabilityBand::Low);
        assert_eq!(level(0, 0, 10).band(), AvailabilityBand::InStock);
        assert_eq!(level(0, 8, 10).band(), AvailabilityBand::Low);
        let untracked = StockLevel {
            tracked: false,
            ..level(0, 0, 0)
        };
        assert_eq!(
            (untracked.band(), untracked.available()),
            (AvailabilityBand::InStock, None)
        );
    }

    #[test]
    fn words_and_bands_are_the_same_thing() {
        for band in [
            AvailabilityBand::Out,
            AvailabilityBand::Low,
            AvailabilityBand::InStock,
        ] {
            assert_eq!(AvailabilityBand::from_word(band.as_str()), Some(band));
            assert_eq!(
                serde_json::to_string(&band).unwrap(),
                format!("{:?}", band.as_str())
            );
        }
        assert_eq!(AvailabilityBand::from_word("sold"), None);
    }

    proptest! {
        #[test]
        fn selling_one_never_improves_the_band(on_hand: i64, reserved in 0..i64::MAX, backorder_limit in 0..i64::MAX, low_threshold: i64) {
            let before = StockLevel { tracked: true, on_hand, reserved, backorder_limit, low_threshold };
            let after = StockLevel { reserved: reserved + 1, ..before };
            prop_assert!(after.band() <= before.band());
        }
    }
}
