//! A product made ready for its template: its variants as choices in rows.

use super::view::{ProductView, Variant};

/// A variant as a choice.
pub(super) struct Choice<'a> {
    /// Place among the variants of the product, counted from zero: names the elements that belong together.
    pub(super) position: usize,
    /// The value of the last option, or the name of the product when it has no options.
    pub(super) label: &'a str,
    pub(super) variant: &'a Variant,
    pub(super) is_selected: bool,
}

/// The variants that differ in the last option alone.
pub(super) struct ChoiceRow<'a> {
    /// What they have in common, such as their colour; empty when there is one option.
    pub(super) label: String,
    pub(super) choices: Vec<Choice<'a>>,
}

/// Everything that the template of a product writes.
pub(super) struct ProductContent<'a> {
    pub(super) view: &'a ProductView,
    pub(super) rows: Vec<ChoiceRow<'a>>,
    /// Names of the options, for the legend of the choice.
    pub(super) legend: String,
    /// Whether the variants have different prices, so that each choice says its own.
    pub(super) prices_differ: bool,
    /// The first that can be bought, or else the first.
    pub(super) selected: Option<&'a Variant>,
    pub(super) selected_position: usize,
}

impl<'a> ProductContent<'a> {
    pub(super) fn new(view: &'a ProductView) -> Self {
        let is_available =
            |variant: &Variant| variant.availability != super::view::Availability::Out;
        let selected_position = view
            .variants
            .iter()
            .position(is_available)
            .unwrap_or_default();
        let mut rows: Vec<ChoiceRow<'a>> = Vec::new();
        for (position, variant) in view.variants.iter().enumerate() {
            let (label, common) = variant
                .values
                .split_last()
                .map_or((view.name.as_str(), String::new()), |(last, others)| {
                    (last.as_str(), others.join(" / "))
                });
            let choice = Choice {
                position,
                label,
                variant,
                is_selected: position == selected_position,
            };
            match rows.iter_mut().find(|row| row.label == common) {
                Some(row) => row.choices.push(choice),
                None => rows.push(ChoiceRow {
                    label: common,
                    choices: vec![choice],
                }),
            }
        }
        let first_price = view.variants.first().map(|variant| variant.price.amount);
        Self {
            view,
            rows,
            legend: view.options.join(" / "),
            prices_differ: view
                .variants
                .iter()
                .any(|variant| Some(variant.price.amount) != first_price),
            selected: view.variants.get(selected_position),
            selected_position,
        }
    }

    /// Whether there is anything to choose.
    pub(super) fn has_choice(&self) -> bool {
        self.view.variants.len() > 1
    }
}
