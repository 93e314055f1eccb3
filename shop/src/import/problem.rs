//! What can be wrong with a row, said so that its author can put it right.

use std::fmt;

/// The longest excerpt of a value that a problem shows, in characters.
const EXCERPT: usize = 80;

/// What is wrong. The code of a kind is part of the report and stays the same between releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// A quoted CSV field is not closed, or is followed by text.
    BrokenQuoting,
    /// A CSV row has more or fewer fields than the header.
    ColumnCount,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A row or an element is larger than the reader takes.
    TooLarge,
    /// JSON that does not parse.
    Syntax,
    /// JSON of another type than the field has, or an unknown field.
    WrongType,
    /// A required field is missing or empty.
    Missing,
    /// Not a number, or a number out of range.
    BadNumber,
    /// A number below zero where that has no meaning.
    Negative,
    /// Not an ISO 4217 code.
    UnknownCurrency,
    /// Not a date.
    BadDate,
    /// A period that ends before it starts.
    BadPeriod,
    /// Not one of the words that the field takes.
    UnknownValue,
    /// Not a slug.
    BadSlug,
    /// The slug was used further up in the file.
    DuplicateSlug,
    /// The SKU is used twice, or belongs to another product.
    DuplicateSku,
    /// Longer than the shop can keep.
    TooLong,
    /// Variants of one product that do not have the same options, or have the same values.
    OptionMismatch,
    /// A category path with an empty or a repeated name, or too many levels.
    BadCategory,
    /// The row adds to a product that does not exist.
    UnknownProduct,
    /// A configurable product names a variant that the file does not contain.
    UnknownVariant,
    /// Less stock than shoppers have reserved.
    BelowReserved,
    /// A picture that cannot be taken.
    BadMedia,
    /// A lookup table of the mapping has no such key.
    NoLookup,
}

impl ProblemKind {
    /// The stable name of the kind.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BrokenQuoting => "broken_quoting",
            Self::ColumnCount => "column_count",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooLarge => "too_large",
            Self::Syntax => "syntax",
            Self::WrongType => "wrong_type",
            Self::Missing => "missing",
            Self::BadNumber => "bad_number",
            Self::Negative => "negative",
            Self::UnknownCurrency => "unknown_currency",
            Self::BadDate => "bad_date",
            Self::BadPeriod => "bad_period",
            Self::UnknownValue => "unknown_value",
            Self::BadSlug => "bad_slug",
            Self::DuplicateSlug => "duplicate_slug",
            Self::DuplicateSku => "duplicate_sku",
            Self::TooLong => "too_long",
            Self::OptionMismatch => "option_mismatch",
            Self::BadCategory => "bad_category",
            Self::UnknownProduct => "unknown_product",
            Self::UnknownVariant => "unknown_variant",
            Self::BelowReserved => "below_reserved",
            Self::BadMedia => "bad_media",
            Self::NoLookup => "no_lookup",
        }
    }
}

/// One thing that is wrong, where it is, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: u64,
    /// Slug of the product, or empty where it is not known.
    pub product: Box<str>,
    /// Column or JSON pointer.
    pub field: Box<str>,
    /// The beginning of the value that is wrong.
    pub value: Box<str>,
    /// What is wrong, for programs.
    pub kind: ProblemKind,
    /// What is wrong, for people.
    pub message: Box<str>,
    /// What to do.
    pub advice: Box<str>,
}

impl Problem {
    /// A problem at a line; product, field and value are added by the `with` functions.
    #[must_use]
    pub fn new(
        line: u64,
        kind: ProblemKind,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            line,
            product: Box::default(),
            field: Box::default(),
            value: Box::default(),
            kind,
            message: message.into().into_boxed_str(),
            advice: advice.into().into_boxed_str(),
        }
    }

    /// The same problem, in a field with a value.
    #[must_use]
    pub fn with_field(mut self, field: &str, value: &str) -> Self {
        self.field = field.into();
        self.value = excerpt(value).into();
        self
    }

    /// The same problem, of a product.
    #[must_use]
    pub fn with_product(mut self, slug: &str) -> Self {
        self.product = excerpt(slug).into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}", self.line)?;
        if !self.product.is_empty() {
            write!(formatter, ", {}", self.product)?;
        }
        if !self.field.is_empty() {
            write!(formatter, ", {}", self.field)?;
        }
        write!(formatter, ": {}", self.message)?;
        if !self.value.is_empty() {
            write!(formatter, " (\"{}\")", self.value.escape_debug())?;
        }
        write!(formatter, "; {}", self.advice)
    }
}

/// The beginning of a text.
#[must_use]
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Problems collected while one product is read. A product with any is refused as a whole.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

/// More problems of one product than this are not told apart: the first ones explain the rest.
const PROBLEMS_PER_PRODUCT: usize = 50;

impl Problems {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        if self.list.len() < PROBLEMS_PER_PRODUCT {
            self.list.push(problem);
        }
    }

    /// Takes the value, or notes the problem.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.push(problem);
                None
            }
        }
    }

    /// True when nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All problems, with the product they belong to.
    #[must_use]
    pub fn into_list(mut self, slug: &str) -> Vec<Problem> {
        for problem in &mut self.list {
            if problem.product.is_empty() {
                problem.product = excerpt(slug).into();
            }
        }
        self.list
    }
}
