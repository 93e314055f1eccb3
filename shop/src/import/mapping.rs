//! Mapping files: how any other CSV or JSON becomes products. `docs/import.md` describes the language for users.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::record::AttributeKind;
use super::value::{code_of, currency_decimals, locale_of};

/// Why a mapping file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// It cannot be read.
    #[error("cannot read the mapping file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not TOML, or has keys that are not known. The text shows the line.
    #[error("the mapping file {path} is not understood:\n{message}\ndocs/import.md lists the keys")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// With line and column.
        message: String,
    },
    /// It contradicts itself.
    #[error("the mapping file {path}: {key}: {message}")]
    Meaning {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong and what to do.
        message: String,
    },
}

/// A mapping file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What the file does not say of itself.
    #[serde(default)]
    pub file: FileSection,
    /// Fields of the product.
    pub product: ProductSection,
    /// Texts in further languages.
    #[serde(default)]
    pub text: BTreeMap<String, TextSection>,
    /// Attributes.
    #[serde(default)]
    pub attribute: Vec<AttributeSection>,
    /// Where variants come from.
    #[serde(default)]
    pub variants: VariantsSection,
    /// Fields of a variant.
    #[serde(default)]
    pub variant: VariantSection,
    /// Options of a variant.
    #[serde(default)]
    pub option: Vec<OptionSection>,
    /// Pictures.
    #[serde(default)]
    pub media: Vec<MediaSection>,
    /// Tables that replace values.
    #[serde(default)]
    pub lookup: BTreeMap<String, BTreeMap<String, String>>,
}

/// What the file does not say of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSection {
    /// CSV column: rows with the same field that follow each other are one product.
    pub group: Option<String>,
    /// Locale of the texts under `[product]`.
    pub locale: Option<String>,
    /// Currency of prices.
    pub currency: Option<String>,
    /// Unit of weights.
    pub weight_unit: Option<String>,
    /// Unit of lengths.
    pub length_unit: Option<String>,
}

/// Fields of the product.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductSection {
    /// Made from the name when absent.
    pub slug: Option<Expression>,
    /// Required.
    pub name: Expression,
    /// HTML or plain text.
    pub description: Option<Expression>,
    /// For search engines.
    pub seo_title: Option<Expression>,
    /// For search engines.
    pub seo_description: Option<Expression>,
    /// draft, active or archived.
    pub status: Option<Expression>,
    /// A date.
    pub published_at: Option<Expression>,
    /// A date.
    pub unpublished_at: Option<Expression>,
    /// Name of the brand.
    pub brand: Option<Expression>,
    /// In the words of the merchant.
    pub product_type: Option<Expression>,
    /// Tax category.
    pub tax_category: Option<Expression>,
    /// A whole number.
    pub featured: Option<Expression>,
    /// A list.
    pub tags: Option<Expression>,
    /// A list of paths.
    pub categories: Option<CategoriesSection>,
}

/// Category paths.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoriesSection {
    /// The paths as texts.
    pub paths: Expression,
    /// What stands between the levels of a path.
    #[serde(default = "path_separator")]
    pub separator: String,
}

fn path_separator() -> String {
    " > ".to_owned()
}

/// Texts in a further language.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSection {
    /// Required.
    pub name: Expression,
    /// HTML or plain text.
    pub description: Option<Expression>,
    /// For search engines.
    pub seo_title: Option<Expression>,
    /// For search engines.
    pub seo_description: Option<Expression>,
}

/// An attribute.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeSection {
    /// Lower-case ASCII.
    pub code: String,
    /// What shoppers read.
    pub name: String,
    /// text, number or boolean.
    #[serde(default = "text_kind")]
    pub kind: String,
    /// Unit of numbers.
    #[serde(default)]
    pub unit: String,
    /// A list.
    pub values: Expression,
}

fn text_kind() -> String {
    AttributeKind::Text.word().to_owned()
}

/// Where variants come from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantsSection {
    /// JSON pointer of an array: one variant each. Without it the product is its one variant, or each row of a group.
    pub each: Option<String>,
}

/// Fields of a variant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantSection {
    /// Its key.
    pub sku: Option<Expression>,
    /// Decimal, or minor units with `minor_units = true`.
    pub price: Option<Expression>,
    /// As price.
    pub compare_at: Option<Expression>,
    /// Whether amounts are in minor units.
    #[serde(default)]
    pub minor_units: bool,
    /// ISO 4217.
    pub currency: Option<Expression>,
    /// Units.
    pub stock: Option<Expression>,
    /// Yes or no.
    pub tracked: Option<Expression>,
    /// Units that may be sold ahead.
    pub backorder_limit: Option<Expression>,
    /// Units at which stock is low.
    pub low_threshold: Option<Expression>,
    /// GTIN or another code.
    pub barcode: Option<Expression>,
    /// In `file.weight_unit`.
    pub weight: Option<Expression>,
    /// In `file.length_unit`.
    pub length: Option<Expression>,
    /// In `file.length_unit`.
    pub width: Option<Expression>,
    /// In `file.length_unit`.
    pub height: Option<Expression>,
}

/// An option of a variant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSection {
    /// Name, as "Color".
    pub name: Expression,
    /// Value.
    pub value: Expression,
}

/// Pictures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaSection {
    /// JSON pointer of an array: one picture each. Without it the expression may give a list.
    pub each: Option<String>,
    /// Where the picture is.
    pub url: Expression,
    /// What it shows.
    pub alt: Option<Expression>,
}

/// One step on the way of a value.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Without space around it.
    Trim,
    /// In lower case.
    Lowercase,
    /// In upper case.
    Uppercase,
    /// As a slug.
    Slugify,
    /// HTML as plain paragraphs.
    Text,
    /// `noise_level` as "Noise Level".
    Title,
}

/// Where a value comes from and what is done to it.
#[derive(Debug, Clone, Default)]
pub struct Expression {
    /// Columns or pointers; several are joined.
    pub from: Vec<String>,
    /// Between several sources.
    pub join: String,
    /// A constant instead of a source.
    pub value: Option<String>,
    /// When the source is empty.
    pub default: Option<String>,
    /// Parts a text into a list.
    pub split: Option<String>,
    /// Name of a table.
    pub lookup: Option<String>,
    /// True when a key that the table lacks stays as it is.
    pub lookup_keep: bool,
    /// Steps in order.
    pub transform: Vec<Transform>,
    /// Before each value.
    pub prefix: String,
    /// After each value.
    pub suffix: String,
    /// Factor, a decimal.
    pub multiply: Option<String>,
    /// Divisor, a decimal.
    pub divide: Option<String>,
    /// Source of a percentage that is taken off.
    pub percent_off: Option<String>,
    /// How dates are written, in the `time` crate's format descriptions.
    pub date: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpressionTable {
    #[serde(default)]
    from: OneOrMany,
    #[serde(default = "space")]
    join: String,
    value: Option<Scalar>,
    default: Option<Scalar>,
    split: Option<String>,
    lookup: Option<String>,
    #[serde(default)]
    lookup_keep: bool,
    #[serde(default)]
    transform: Vec<Transform>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    suffix: String,
    multiply: Option<Scalar>,
    divide: Option<Scalar>,
    percent_off: Option<String>,
    date: Option<String>,
}

fn space() -> String {
    " ".to_owned()
}

#[derive(Default)]
struct OneOrMany(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sources;
        impl<'de> Visitor<'de> for Sources {
            type Value = OneOrMany;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a column, a JSON pointer, or a list of them")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut access: A,
            ) -> Result<OneOrMany, A::Error> {
                let mut sources = Vec::new();
                while let Some(source) = access.next_element()? {
                    sources.push(source);
                }
                Ok(OneOrMany(sources))
            }
        }
        deserializer.deserialize_any(Sources)
    }
}

struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;
        impl Visitor<'_> for Plain {
            type Value = Scalar;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a number, true or false")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Scalar, E> {
                Ok(Scalar(truth.to_string()))
            }
        }
        deserializer.deserialize_any(Plain)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceOrTable;
        impl<'de> Visitor<'de> for SourceOrTable {
            type Value = Expression;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a column, a JSON pointer, or a table as { from = \"...\" }")
            }
            fn visit_str<E: serde::de::Error>(self, source: &str) -> Result<Expression, E> {
                Ok(Expression {
                    from: vec![source.to_owned()],
                    ..Expression::default()
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Expression, A::Error> {
                let table = ExpressionTable::deserialize(MapAccessDeserializer::new(access))?;
                if table.from.0.is_empty() == table.value.is_none() {
                    return Err(serde::de::Error::custom("give either from or value"));
                }
                let text = |scalar: Option<Scalar>| scalar.map(|Scalar(text)| text);
                Ok(Expression {
                    from: table.from.0,
                    join: table.join,
                    value: text(table.value),
                    default: text(table.default),
                    split: table.split,
                    lookup: table.lookup,
                    lookup_keep: table.lookup_keep,
                    transform: table.transform,
                    prefix: table.prefix,
                    suffix: table.suffix,
                    multiply: text(table.multiply),
                    divide: text(table.divide),
                    percent_off: table.percent_off,
                    date: table.date,
                })
            }
        }
        deserializer.deserialize_any(SourceOrTable)
    }
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// It cannot be read, is not TOML, has unknown keys, or contradicts itself.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let text = std::fs::read_to_string(path).map_err(|source| MappingError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads a mapping.
    ///
    /// # Errors
    /// It is not TOML, has unknown keys, or contradicts itself.
    pub fn parse(text: &str, path: &Path) -> Result<Self, MappingError> {
        let mapping: Self = toml::from_str(text).map_err(|error| MappingError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        match mapping.contradiction() {
            Some((key, message)) => Err(MappingError::Meaning {
                path: path.to_owned(),
                key,
                message,
            }),
            None => Ok(mapping),
        }
    }

    fn contradiction(&self) -> Option<(String, String)> {
        for (key, expression) in self.expressions() {
            if let Some(table) = &expression.lookup
                && !self.lookup.contains_key(table)
            {
                let known: Vec<&str> = self.lookup.keys().map(String::as_str).collect();
                return Some((
                    key,
                    format!(
                        "there is no table [lookup.{table}]; the file has [{}]. Add it, or correct the name",
                        known.join(", ")
                    ),
                ));
            }
            for number in [&expression.multiply, &expression.divide]
                .into_iter()
                .flatten()
            {
                let place = super::value::Place { line: 0, field: "" };
                let positive = super::value::Decimal::parse(number, place)
                    .is_ok_and(|decimal| decimal.digits > 0);
                if !positive {
                    return Some((key, format!("\"{number}\" is not a number above zero")));
                }
            }
            if let Some(date) = &expression.date
                && let Err(error) = time::format_description::parse_borrowed::<2>(date)
            {
                return Some((
                    key,
                    format!("not a format of dates: {error}. Write it as [day].[month].[year]"),
                ));
            }
        }
        if let Some(locale) = self
            .file
            .locale
            .iter()
            .chain(self.text.keys())
            .find(|locale| locale_of(locale).is_none())
        {
            return Some((
                format!("locale {locale}"),
                "not a language tag; write de or zh-CN".to_owned(),
            ));
        }
        if let Some(currency) = self
            .file
            .currency
            .as_ref()
            .filter(|currency| currency_decimals(currency).is_none())
        {
            return Some((
                "file.currency".to_owned(),
                format!("{currency} is not an ISO 4217 code; write USD or CNY"),
            ));
        }
        for attribute in &self.attribute {
            if attribute.code.is_empty() || code_of(&attribute.code) != attribute.code {
                return Some((
                    format!("attribute.code {}", attribute.code),
                    "use lower-case ASCII letters, digits and _".to_owned(),
                ));
            }
            if AttributeKind::of_word(&attribute.kind).is_none() {
                return Some((
                    format!("attribute {}: kind", attribute.code),
                    "write text, number or boolean".to_owned(),
                ));
            }
        }
        if self.variant.sku.is_none() {
            return Some((
                "variant.sku".to_owned(),
                "is missing: every variant needs its own SKU".to_owned(),
            ));
        }
        None
    }

    /// All expressions with their keys.
    #[must_use]
    pub fn expressions(&self) -> Vec<(String, &Expression)> {
        let mut all: Vec<(String, &Expression)> =
            vec![("product.name".to_owned(), &self.product.name)];
        let product = &self.product;
        let variant = &self.variant;
        for (key, expression) in [
            ("product.slug", &product.slug),
            ("product.description", &product.description),
            ("product.seo_title", &product.seo_title),
            ("product.seo_description", &product.seo_description),
            ("product.status", &product.status),
            ("product.published_at", &product.published_at),
            ("product.unpublished_at", &product.unpublished_at),
            ("product.brand", &product.brand),
            ("product.product_type", &product.product_type),
            ("product.tax_category", &product.tax_category),
            ("product.featured", &product.featured),
            ("product.tags", &product.tags),
            ("variant.sku", &variant.sku),
            ("variant.price", &variant.price),
            ("variant.compare_at", &variant.compare_at),
            ("variant.currency", &variant.currency),
            ("variant.stock", &variant.stock),
            ("variant.tracked", &variant.tracked),
            ("variant.backorder_limit", &variant.backorder_limit),
            ("variant.low_threshold", &variant.low_threshold),
            ("variant.barcode", &variant.barcode),
            ("variant.weight", &variant.weight),
            ("variant.length", &variant.length),
            ("variant.width", &variant.width),
            ("variant.height", &variant.height),
        ] {
            if let Some(expression) = expression {
                all.push((key.to_owned(), expression));
            }
        }
        if let Some(categories) = &product.categories {
            all.push(("product.categories".to_owned(), &categories.paths));
        }
        for (locale, text) in &self.text {
            all.push((format!("text.{locale}.name"), &text.name));
            let others = [
                ("description", &text.description),
                ("seo_title", &text.seo_title),
                ("seo_description", &text.seo_description),
            ];
            for (key, expression) in others {
                if let Some(expression) = expression {
                    all.push((format!("text.{locale}.{key}"), expression));
                }
            }
        }
        all.extend(
            self.attribute
                .iter()
                .map(|attribute| (format!("attribute.{}", attribute.code), &attribute.values)),
        );
        for option in &self.option {
            all.push(("option.name".to_owned(), &option.name));
            all.push(("option.value".to_owned(), &option.value));
        }
        for media in &self.media {
            all.push(("media.url".to_owned(), &media.url));
            all.extend(media.alt.as_ref().map(|alt| ("media.alt".to_owned(), alt)));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Mapping::parse(text, Path::new("mapping.toml"))
            .unwrap_err()
            .to_string()
    }

    const SMALLEST: &str = "[product]\nname = \"title\"\n[variant]\nsku = \"sku\"\n";

    #[test]
    fn the_smallest_mapping() {
        let mapping = Mapping::parse(SMALLEST, Path::new("mapping.toml")).unwrap();
        assert_eq!(mapping.product.name.from, ["title"]);
    }

    #[test]
    fn errors_name_the_line_or_the_key_and_what_to_do() {
        let unknown = refused(
            "[product]\nname = \"title\"\ndescribtion = \"text\"\n[variant]\nsku = \"sku\"\n",
        );
        assert!(
            unknown.contains("line 3")
                && unknown.contains("describtion")
                && unknown.contains("description"),
            "{unknown}"
        );
        let broken = refused("[product\nname = 1");
        assert!(broken.contains("line 1"), "{broken}");
        let both = refused(
            "[product]\nname = { from = \"a\", value = \"b\" }\n[variant]\nsku = \"sku\"\n",
        );
        assert!(both.contains("either from or value"), "{both}");
        let transform = refused(
            "[product]\nname = { from = \"a\", transform = [\"slug\"] }\n[variant]\nsku = \"sku\"\n",
        );
        assert!(transform.contains("slugify"), "{transform}");
        for (more, word) in [
            (
                "price = { from = \"p\", lookup = \"prices\" }",
                "[lookup.prices]",
            ),
            ("price = { from = \"p\", multiply = \"x\" }", "not a number"),
            ("weight = { from = \"p\", date = \"[dy]\" }", "[day]"),
            ("[file]\ncurrency = \"ABC\"", "ISO 4217"),
            (
                "[[attribute]]\ncode = \"A b\"\nname = \"x\"\nvalues = \"x\"",
                "lower-case",
            ),
        ] {
            let message = refused(&format!("{SMALLEST}{more}\n"));
            assert!(message.contains(word), "{message}");
        }
        assert!(refused("[product]\nname = \"title\"\n").contains("variant.sku"));
    }
}
