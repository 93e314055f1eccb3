//! The one shape that every format is read into: a product, of which each part is either stated or left alone.
//!
//! `None` means that the file does not speak of a field: what the shop has stays. An empty list or `Some(None)` means
//! that the file says there is none.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;
use time::PrimitiveDateTime;

use crate::catalog::model::Slug;

use super::problem::{Problem, ProblemKind, Problems};
use super::value::slug_of;

/// Levels that a category path may have.
pub const CATEGORY_LEVELS: usize = 8;
/// Variants that one product may have.
pub const VARIANTS_PER_PRODUCT: usize = 2_000;
/// Pictures that one product may have.
pub const MEDIA_PER_PRODUCT: usize = 250;
/// Options that one product may have.
pub const OPTIONS_PER_PRODUCT: usize = 8;

/// Whether a product is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not shown yet.
    Draft,
    /// Shown from its publication on.
    Active,
    /// Shown no more.
    Archived,
}

impl Status {
    /// The word for it in the database and in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }

    /// The status of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "draft" => Some(Self::Draft),
            "active" => Some(Self::Active),
            "archived" => Some(Self::Archived),
            _ => None,
        }
    }
}

/// Texts of a product in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextRecord {
    /// Name, plain text of one line.
    pub name: Option<String>,
    /// Plain text; paragraphs are separated by empty lines.
    pub description: Option<String>,
    /// Title for search engines.
    pub seo_title: Option<String>,
    /// Description for search engines.
    pub seo_description: Option<String>,
}

/// How values of an attribute are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeKind {
    /// Words.
    Text,
    /// Numbers, which are put in their order.
    Number,
    /// Yes or no.
    Boolean,
}

impl AttributeKind {
    /// The word for it in the database and in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "number" => Some(Self::Number),
            "boolean" => Some(Self::Boolean),
            _ => None,
        }
    }
}

/// An attribute of a product with its values. Name, kind and unit count when the shop does not know the code yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeRecord {
    /// Lower-case ASCII code.
    pub code: String,
    /// What shoppers read.
    pub name: String,
    /// How values are understood.
    pub kind: AttributeKind,
    /// Unit of numbers, or empty.
    pub unit: String,
    /// The values, each once.
    pub values: Vec<String>,
}

/// An option of variants with its values in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionRecord {
    /// Name, as "Color".
    pub name: String,
    /// Values in the order in which they are shown.
    pub values: Vec<String>,
}

/// A price of a variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PriceRecord {
    /// ISO 4217 code.
    pub currency: String,
    /// When it begins; `None` is: it holds already.
    pub starts_at: Option<PrimitiveDateTime>,
    /// When it ends; `None` is: until it is changed.
    pub ends_at: Option<PrimitiveDateTime>,
    /// Minor units.
    pub amount: i64,
    /// The price it is compared with, in minor units.
    pub compare_at: Option<i64>,
}

/// Stock of a variant; unstated parts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StockRecord {
    /// Whether stock is counted.
    pub tracked: Option<bool>,
    /// Units in the warehouse.
    pub on_hand: Option<i64>,
    /// Units that may be sold before they are there.
    pub backorder_limit: Option<i64>,
    /// Units at which stock is called low.
    pub low_threshold: Option<i64>,
}

/// A variant: what is sold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VariantRecord {
    /// Line of the file.
    pub line: u64,
    /// Its key everywhere.
    pub sku: String,
    /// (option, value) in the order of the options; `None` where a row only adds to a variant.
    pub options: Option<Vec<(String, String)>>,
    /// Prices; the file is the truth for each currency that it has a price in.
    pub prices: Vec<PriceRecord>,
    /// Stock.
    pub stock: StockRecord,
    /// GTIN or another code on the box.
    pub barcode: Option<String>,
    /// Weight in grams.
    pub weight_grams: Option<Option<i64>>,
    /// Longest side in the plane it stands on, in millimetres.
    pub length_mm: Option<Option<i64>>,
    /// Width in millimetres.
    pub width_mm: Option<Option<i64>>,
    /// Height in millimetres.
    pub height_mm: Option<Option<i64>>,
}

/// A picture of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaRecord {
    /// Where it is, or a file name.
    pub url: String,
    /// SHA-256 of its bytes, where the shop may have it already.
    pub hash: Option<String>,
    /// What it shows, in words.
    pub alt: String,
    /// The variant that it shows.
    pub sku: Option<String>,
}

/// A product as a file states it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductRecord {
    /// Line of the file on which it begins.
    pub line: u64,
    /// Its key.
    pub slug: String,
    /// True when these rows only add to a product that is described elsewhere.
    pub supplement: bool,
    /// True when the variants are all there are: others are archived.
    pub variants_complete: bool,
    /// Texts by locale.
    pub texts: BTreeMap<String, TextRecord>,
    /// Whether it is shown.
    pub status: Option<Status>,
    /// From when it is shown.
    pub published_at: Option<Option<PrimitiveDateTime>>,
    /// Until when it is shown.
    pub unpublished_at: Option<Option<PrimitiveDateTime>>,
    /// Name of the brand.
    pub brand: Option<Option<String>>,
    /// Kind of product, in the words of the merchant.
    pub product_type: Option<String>,
    /// Tax category.
    pub tax_category: Option<String>,
    /// Larger comes first in the order of the shop.
    pub featured: Option<i64>,
    /// Tags.
    pub tags: Option<BTreeSet<String>>,
    /// Category paths, root first.
    pub categories: Option<Vec<Vec<String>>>,
    /// Attributes.
    pub attributes: Option<Vec<AttributeRecord>>,
    /// Options with their values in order, where the file states them apart from the variants.
    pub options: Option<Vec<OptionRecord>>,
    /// Variants.
    pub variants: Vec<VariantRecord>,
    /// Pictures in order.
    pub media: Option<Vec<MediaRecord>>,
}

/// One thing read from a file.
#[derive(Debug)]
pub enum Entry {
    /// A product.
    Product(Box<ProductRecord>),
    /// Rows that were not understood.
    Refused(Vec<Problem>),
}

impl ProductRecord {
    /// Adds what another record of the same product states: the later statement counts.
    pub fn merge(&mut self, other: Self) {
        let Self {
            line: _,
            slug: _,
            supplement,
            variants_complete,
            texts,
            status,
            published_at,
            unpublished_at,
            brand,
            product_type,
            tax_category,
            featured,
            tags,
            categories,
            attributes,
            options,
            variants,
            media,
        } = other;
        self.supplement &= supplement;
        self.variants_complete |= variants_complete;
        for (locale, text) in texts {
            let own = self.texts.entry(locale).or_default();
            own.name = text.name.or(own.name.take());
            own.description = text.description.or(own.description.take());
            own.seo_title = text.seo_title.or(own.seo_title.take());
            own.seo_description = text.seo_description.or(own.seo_description.take());
        }
        self.status = status.or(self.status);
        self.published_at = published_at.or(self.published_at);
        self.unpublished_at = unpublished_at.or(self.unpublished_at);
        self.brand = brand.or(self.brand.take());
        self.product_type = product_type.or(self.product_type.take());
        self.tax_category = tax_category.or(self.tax_category.take());
        self.featured = featured.or(self.featured);
        self.tags = tags.or(self.tags.take());
        self.categories = categories.or(self.categories.take());
        self.attributes = attributes.or(self.attributes.take());
        self.options = options.or(self.options.take());
        self.media = media.or(self.media.take());
        for variant in variants {
            match self.variants.iter_mut().find(|own| own.sku == variant.sku) {
                Some(own) => own.merge(variant),
                None => self.variants.push(variant),
            }
        }
    }

    /// What is wrong with the record as a whole. Single values were checked when they were read.
    pub fn check(&self, problems: &mut Problems) {
        if let Err(problem) = check_slug(&self.slug, self.line) {
            problems.push(problem);
        }
        for (locale, text) in &self.texts {
            let at = |field: &str| format!("{field}:{locale}");
            check_length(problems, self.line, &at("name"), text.name.as_deref(), 255);
            check_length(
                problems,
                self.line,
                &at("seo_title"),
                text.seo_title.as_deref(),
                255,
            );
            check_length(
                problems,
                self.line,
                &at("seo_description"),
                text.seo_description.as_deref(),
                512,
            );
            if let Some(description) = &text.description
                && description.len() > 65_535
            {
                problems.push(too_long(
                    self.line,
                    &at("description"),
                    description,
                    "65535 bytes",
                ));
            }
            if text
                .name
                .as_deref()
                .is_some_and(|name| name.trim().is_empty())
            {
                problems.push(
                    Problem::new(
                        self.line,
                        ProblemKind::Missing,
                        "the name is empty",
                        "give the product a name",
                    )
                    .with_field(&at("name"), ""),
                );
            }
        }
        check_length(
            problems,
            self.line,
            "brand",
            self.brand.as_ref().and_then(|brand| brand.as_deref()),
            190,
        );
        check_length(
            problems,
            self.line,
            "product_type",
            self.product_type.as_deref(),
            190,
        );
        check_length(
            problems,
            self.line,
            "tax_category",
            self.tax_category.as_deref(),
            64,
        );
        if let Some(featured) = self.featured
            && i32::try_from(featured).is_err()
        {
            problems.push(
                Problem::new(
                    self.line,
                    ProblemKind::BadNumber,
                    "too large",
                    "write a number from -2147483648 to 2147483647",
                )
                .with_field("featured", &featured.to_string()),
            );
        }
        for tag in self.tags.iter().flatten() {
            check_length(problems, self.line, "tags", Some(tag), 190);
        }
        for path in self.categories.iter().flatten() {
            check_category(problems, self.line, path);
        }
        for attribute in self.attributes.iter().flatten() {
            check_length(problems, self.line, "attributes", Some(&attribute.code), 64);
            check_length(
                problems,
                self.line,
                "attributes",
                Some(&attribute.name),
                190,
            );
            check_length(problems, self.line, "attributes", Some(&attribute.unit), 16);
            for value in &attribute.values {
                check_length(problems, self.line, &attribute.code, Some(value), 190);
                if attribute.kind == AttributeKind::Number
                    && !value.parse::<f64>().is_ok_and(f64::is_finite)
                {
                    problems.push(
                        Problem::new(
                            self.line,
                            ProblemKind::BadNumber,
                            "the attribute is a number, the value is not",
                            "write the number alone and put the unit into the unit of the attribute",
                        )
                        .with_field(&attribute.code, value),
                    );
                }
            }
        }
        if let (Some(Some(from)), Some(Some(until))) = (self.published_at, self.unpublished_at)
            && until <= from
        {
            problems.push(
                Problem::new(
                    self.line,
                    ProblemKind::BadPeriod,
                    "the product would be taken down before it is published",
                    "put unpublished_at after published_at",
                )
                .with_field("unpublished_at", &until.to_string()),
            );
        }
        self.check_variants(problems);
        self.check_media(problems);
    }

    fn check_variants(&self, problems: &mut Problems) {
        if self.variants.len() > VARIANTS_PER_PRODUCT {
            problems.push(Problem::new(
                self.line,
                ProblemKind::TooLarge,
                format!("{} variants", self.variants.len()),
                format!("split the product: at most {VARIANTS_PER_PRODUCT} variants are possible"),
            ));
            return;
        }
        let names = self.option_names();
        if names.len() > OPTIONS_PER_PRODUCT {
            problems.push(Problem::new(
                self.line,
                ProblemKind::OptionMismatch,
                format!("{} options", names.len()),
                format!("at most {OPTIONS_PER_PRODUCT} options are possible"),
            ));
        }
        let mut skus = HashSet::new();
        let mut combinations = HashSet::new();
        for variant in &self.variants {
            check_length(problems, variant.line, "sku", Some(&variant.sku), 64);
            check_length(
                problems,
                variant.line,
                "barcode",
                variant.barcode.as_deref(),
                64,
            );
            if variant.sku.trim().is_empty() {
                problems.push(
                    Problem::new(
                        variant.line,
                        ProblemKind::Missing,
                        "the variant has no SKU",
                        "give each variant its own SKU",
                    )
                    .with_field("sku", ""),
                );
            } else if !skus.insert(variant.sku.as_str()) {
                problems.push(
                    Problem::new(
                        variant.line,
                        ProblemKind::DuplicateSku,
                        "the SKU is used twice in this product",
                        "give each variant its own SKU",
                    )
                    .with_field("sku", &variant.sku),
                );
            }
            check_prices(problems, variant);
            let Some(options) = &variant.options else {
                continue;
            };
            let own: Vec<&str> = options.iter().map(|(name, _)| name.as_str()).collect();
            if own != names {
                problems.push(
                    Problem::new(
                        variant.line,
                        ProblemKind::OptionMismatch,
                        format!("the variant has the options [{}], the product has [{}]", own.join(", "), names.join(", ")),
                        "give every variant a value for each option of the product, in the same order",
                    )
                    .with_field("options", &variant.sku),
                );
            }
            for (name, value) in options {
                check_length(problems, variant.line, "option name", Some(name), 190);
                check_length(problems, variant.line, name, Some(value), 190);
                if value.trim().is_empty() {
                    problems.push(
                        Problem::new(
                            variant.line,
                            ProblemKind::OptionMismatch,
                            format!("the option {name} has no value"),
                            "give every variant a value for each option of the product",
                        )
                        .with_field(name, value),
                    );
                }
            }
            let values: Vec<&str> = options.iter().map(|(_, value)| value.as_str()).collect();
            if !combinations.insert(values) {
                problems.push(
                    Problem::new(
                        variant.line,
                        ProblemKind::OptionMismatch,
                        "another variant of the product has the same option values",
                        "tell the variants apart by an option, or remove one",
                    )
                    .with_field("options", &variant.sku),
                );
            }
        }
    }

    fn check_media(&self, problems: &mut Problems) {
        let Some(media) = &self.media else { return };
        if media.len() > MEDIA_PER_PRODUCT {
            problems.push(Problem::new(
                self.line,
                ProblemKind::TooLarge,
                format!("{} pictures", media.len()),
                format!("at most {MEDIA_PER_PRODUCT} pictures are possible"),
            ));
        }
        for picture in media {
            check_length(problems, self.line, "image url", Some(&picture.url), 1024);
            check_length(problems, self.line, "image alt", Some(&picture.alt), 255);
            if picture.url.is_empty() && picture.hash.is_none() {
                problems.push(Problem::new(
                    self.line,
                    ProblemKind::BadMedia,
                    "the picture has neither an address nor a hash",
                    "give its url, or remove it",
                ));
            }
            if let Some(sku) = &picture.sku
                && !self.variants.iter().any(|variant| variant.sku == *sku)
            {
                problems.push(
                    Problem::new(
                        self.line,
                        ProblemKind::BadMedia,
                        "the picture shows a variant that the product does not have",
                        "name one of the product's own SKUs, or none",
                    )
                    .with_field("image sku", sku),
                );
            }
        }
    }

    /// The names of the options, from where they are stated.
    #[must_use]
    pub fn option_names(&self) -> Vec<&str> {
        match &self.options {
            Some(options) => options.iter().map(|option| option.name.as_str()).collect(),
            None => self
                .variants
                .iter()
                .filter_map(|variant| variant.options.as_ref())
                .map(|options| {
                    options
                        .iter()
                        .map(|(name, _)| name.as_str())
                        .collect::<Vec<_>>()
                })
                .max_by_key(Vec::len)
                .unwrap_or_default(),
        }
    }
}

impl VariantRecord {
    /// Adds what another row of the same variant states. Prices of a currency replace those that were there.
    pub fn merge(&mut self, other: Self) {
        let Self {
            line: _,
            sku: _,
            options,
            prices,
            stock,
            barcode,
            weight_grams,
            length_mm,
            width_mm,
            height_mm,
        } = other;
        self.options = options.or(self.options.take());
        let restated: HashSet<&str> = prices.iter().map(|price| price.currency.as_str()).collect();
        self.prices
            .retain(|price| !restated.contains(price.currency.as_str()));
        self.prices.extend(prices);
        self.stock.tracked = stock.tracked.or(self.stock.tracked);
        self.stock.on_hand = stock.on_hand.or(self.stock.on_hand);
        self.stock.backorder_limit = stock.backorder_limit.or(self.stock.backorder_limit);
        self.stock.low_threshold = stock.low_threshold.or(self.stock.low_threshold);
        self.barcode = barcode.or(self.barcode.take());
        self.weight_grams = weight_grams.or(self.weight_grams);
        self.length_mm = length_mm.or(self.length_mm);
        self.width_mm = width_mm.or(self.width_mm);
        self.height_mm = height_mm.or(self.height_mm);
    }
}

/// Says when a slug is not one.
///
/// # Errors
/// The problem, with a slug that would do.
pub fn check_slug(slug: &str, line: u64) -> Result<(), Problem> {
    if slug.is_empty() {
        return Err(Problem::new(
            line,
            ProblemKind::Missing,
            "the product has no slug",
            "give it a slug, or a name to make one from",
        )
        .with_field("slug", ""));
    }
    if slug.chars().count() > 190 {
        return Err(too_long(line, "slug", slug, "190 characters"));
    }
    if slug.parse::<Slug>().is_ok() {
        return Ok(());
    }
    Err(Problem::new(
        line,
        ProblemKind::BadSlug,
        "a slug is made of lower-case letters, digits, - and _",
        format!("write \"{}\"", slug_of(slug)),
    )
    .with_field("slug", slug))
}

fn check_prices(problems: &mut Problems, variant: &VariantRecord) {
    for (index, price) in variant.prices.iter().enumerate() {
        if let (Some(from), Some(until)) = (price.starts_at, price.ends_at)
            && until <= from
        {
            problems.push(
                Problem::new(
                    variant.line,
                    ProblemKind::BadPeriod,
                    "the price ends before it starts",
                    "put its end after its start",
                )
                .with_field("price", &variant.sku),
            );
        }
        let twice = variant.prices.iter().take(index).any(|earlier| {
            earlier.currency == price.currency && earlier.starts_at == price.starts_at
        });
        if twice {
            problems.push(
                Problem::new(
                    variant.line,
                    ProblemKind::BadPeriod,
                    format!("two prices in {} begin at the same time", price.currency),
                    "leave one of them out",
                )
                .with_field("price", &variant.sku),
            );
        }
    }
}

fn check_category(problems: &mut Problems, line: u64, path: &[String]) {
    let shown = path.join(" > ");
    let wrong = |message: String, advice: &str| {
        Problem::new(line, ProblemKind::BadCategory, message, advice)
            .with_field("categories", &shown)
    };
    if path.is_empty() || path.iter().any(|name| slug_of(name).is_empty()) {
        problems.push(wrong(
            "a category of the path has no name".to_owned(),
            "name every level of the path",
        ));
    }
    if path.len() > CATEGORY_LEVELS {
        problems.push(wrong(
            format!("{} levels", path.len()),
            "use at most 8 levels",
        ));
    }
    if path.iter().any(|name| name.chars().count() > 190) {
        problems.push(wrong(
            "a name of the path is longer than 190 characters".to_owned(),
            "shorten it",
        ));
    }
    let mut seen = HashSet::new();
    if path.iter().any(|name| !seen.insert(name.to_lowercase())) {
        problems.push(wrong(
            "a category would be its own ancestor".to_owned(),
            "use each name once in a path",
        ));
    }
}

fn check_length(
    problems: &mut Problems,
    line: u64,
    field: &str,
    value: Option<&str>,
    limit: usize,
) {
    if let Some(value) = value
        && value.chars().count() > limit
    {
        problems.push(too_long(line, field, value, &format!("{limit} characters")));
    }
}

fn too_long(line: u64, field: &str, value: &str, limit: &str) -> Problem {
    Problem::new(
        line,
        ProblemKind::TooLong,
        format!("longer than {limit}"),
        "shorten it",
    )
    .with_field(field, value)
}
