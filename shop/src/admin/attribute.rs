//! Attributes of products, such as a material or a capacity, as staff see them, and what they can do to them. Pure.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{FromBody, Object, array, boolean, parsed, small_integer, text};

/// Most values of one attribute that one product has.
const MOST_VALUES: usize = 50;
/// Longest name and longest value, in characters: what the columns hold.
const LONGEST_LABEL: usize = 190;

/// How values of an attribute are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttributeKind {
    /// Words.
    Text,
    /// Numbers, which filters show in their order.
    Number,
    /// Yes or no.
    Boolean,
    /// Mirrors an option of variants; the shop writes its values.
    Option,
    /// Mirrors brands; the shop writes its values.
    Brand,
}

impl AttributeKind {
    /// The word in rows and bodies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Option => "option",
            Self::Brand => "brand",
        }
    }

    /// Whether staff set values of it.
    #[must_use]
    pub const fn is_set_by_staff(self) -> bool {
        matches!(self, Self::Text | Self::Number | Self::Boolean)
    }

    /// A stored value as it is shown to staff. What is not of the kind, because an import wrote it, is shown as text.
    #[must_use]
    pub fn shown(self, stored: &str) -> AttributeValue {
        let text = || AttributeValue::Text(stored.to_owned());
        match self {
            Self::Number => stored
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map_or_else(text, AttributeValue::Number),
            Self::Boolean => stored
                .parse()
                .map_or_else(|_| text(), AttributeValue::Boolean),
            Self::Text | Self::Option | Self::Brand => text(),
        }
    }

    /// Whether a value is of this kind.
    ///
    /// # Errors
    /// What a value of this kind is.
    pub fn accepts(self, value: &AttributeValue) -> Result<(), &'static str> {
        match (self, value) {
            (Self::Text, AttributeValue::Text(_))
            | (Self::Number, AttributeValue::Number(_))
            | (Self::Boolean, AttributeValue::Boolean(_)) => Ok(()),
            (Self::Text, _) => Err("must be strings"),
            (Self::Number, _) => Err("must be numbers, without their unit"),
            (Self::Boolean, _) => Err("must be true or false"),
            (Self::Option, _) => Err("come from the options of variants: change those"),
            (Self::Brand, _) => Err("come from the brand: change that"),
        }
    }
}

impl FromStr for AttributeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [
            Self::Text,
            Self::Number,
            Self::Boolean,
            Self::Option,
            Self::Brand,
        ]
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| "must be text, number or boolean".to_owned())
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// Words.
    Text(String),
    /// A finite number.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
}

impl AttributeValue {
    /// The value as it is stored: one spelling for each, so that equal values are one value of a filter.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
        }
    }

    /// What orders it among numbers.
    #[must_use]
    pub const fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Boolean(_) => None,
        }
    }

    fn read(value: Value) -> Result<Self, String> {
        match value {
            Value::Bool(value) => Ok(Self::Boolean(value)),
            Value::Number(number) => number
                .as_f64()
                .filter(|number| number.is_finite() && number.abs() < 1e15)
                .map(Self::Number)
                .ok_or_else(|| "must be a number between -1e15 and 1e15".to_owned()),
            Value::String(_) => text(1, LONGEST_LABEL)(value).map(Self::Text),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err("must be a string, a number, true or false".to_owned())
            }
        }
    }
}

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Boolean(value) => serializer.serialize_bool(*value),
        }
    }
}

/// The values of a product by the codes of attributes.
pub type Values = BTreeMap<String, Vec<AttributeValue>>;

/// The body that sets the attributes of a product.
#[derive(Debug, Clone, ToSchema)]
pub struct ProductAttributes {
    /// All values by code; attributes that are not among them are removed.
    #[schema(value_type = Object)]
    pub attributes: Values,
}

impl FromBody for ProductAttributes {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let attributes = object.object("attributes", |object| {
            let mut all = Values::new();
            for code in object.names() {
                let values = object.required(&code, |value| {
                    let items = array(value)?;
                    if items.is_empty() || items.len() > MOST_VALUES {
                        return Err(format!(
                            "must have 1 to {MOST_VALUES} values; leave the attribute out to remove it"
                        ));
                    }
                    let mut values = Vec::new();
                    for item in items {
                        let value = AttributeValue::read(item)?;
                        if values.contains(&value) {
                            return Err(format!("has {} twice", value.text()));
                        }
                        values.push(value);
                    }
                    values.sort_by(|one, other| {
                        let by_number = one.number().zip(other.number());
                        by_number.map_or_else(
                            || one.text().cmp(&other.text()),
                            |(one, other)| one.total_cmp(&other),
                        )
                    });
                    Ok(values)
                });
                all.extend(values.map(|values| (code, values)));
            }
            Some(all)
        })?;
        Some(Self { attributes })
    }
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attribute {
    /// Its number.
    pub id: i64,
    /// What programs and addresses call it.
    pub code: String,
    /// What shoppers read, in the shop's first locale.
    pub name: String,
    /// How its values are understood.
    pub kind: AttributeKind,
    /// The unit of its numbers; may be empty.
    pub unit: String,
    /// Whether shoppers can filter by it.
    pub filterable: bool,
    /// Its place among filters: the lowest comes first.
    pub position: i32,
    /// Its name in other locales.
    pub names: BTreeMap<String, String>,
    /// The number in its `ETag`.
    pub version: i64,
}

/// The code of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeCode(pub String);

impl FromStr for AttributeCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let first = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if text.len() <= 64 && first && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must begin with a letter a-z and have at most 64 of a-z, 0-9, - and _".to_owned())
        }
    }
}

/// The body that creates an attribute.
#[derive(Debug, Clone, ToSchema)]
pub struct NewAttribute {
    /// What programs and addresses call it; it never changes.
    #[schema(value_type = String)]
    pub code: AttributeCode,
    /// What shoppers read, in the shop's first locale.
    pub name: String,
    /// text, number or boolean; it never changes.
    pub kind: AttributeKind,
    /// The unit of its numbers.
    pub unit: String,
    /// Whether shoppers can filter by it; true when absent.
    pub filterable: bool,
    /// Its place among filters; 0 when absent.
    pub position: i32,
}

impl FromBody for NewAttribute {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let code = object.required("code", parsed::<AttributeCode>);
        let name = object.required("name", text(1, LONGEST_LABEL));
        let kind = object.required("kind", |value| {
            parsed::<AttributeKind>(value)
                .ok()
                .filter(|kind| kind.is_set_by_staff())
                .ok_or_else(|| "must be text, number or boolean".to_owned())
        });
        let unit = object.optional("unit", text(0, 16));
        let filterable = object.optional("filterable", boolean);
        let position = object.optional("position", small_integer);
        let (kind, unit) = (kind?, unit?.unwrap_or_default());
        if !unit.is_empty() && kind != AttributeKind::Number {
            object.error("unit", "is for numbers");
        }
        Some(Self {
            code: code?,
            name: name?,
            kind,
            unit,
            filterable: filterable?.unwrap_or(true),
            position: position?.unwrap_or(0),
        })
    }
}

/// The body that changes an attribute (RFC 7396): absent fields stay as they are.
#[derive(Debug, Clone, ToSchema)]
pub struct AttributePatch {
    /// What shoppers read, in the shop's first locale. Translations belong to the old name, so send them again.
    pub name: Option<String>,
    /// The unit of its numbers.
    pub unit: Option<String>,
    /// Whether shoppers can filter by it.
    pub filterable: Option<bool>,
    /// Its place among filters.
    pub position: Option<i32>,
}

impl FromBody for AttributePatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let name = object.optional("name", text(1, LONGEST_LABEL));
        let unit = object.optional("unit", text(0, 16));
        let filterable = object.optional("filterable", boolean);
        let position = object.optional("position", small_integer);
        Some(Self {
            name: name?,
            unit: unit?,
            filterable: filterable?,
            position: position?,
        })
    }
}

impl AttributePatch {
    /// Does it.
    pub fn apply(&self, attribute: &mut Attribute) {
        let Self {
            name,
            unit,
            filterable,
            position,
        } = self;
        if let Some(name) = name {
            attribute.name.clone_from(name);
        }
        if let Some(unit) = unit {
            attribute.unit.clone_from(unit);
        }
        attribute.filterable = filterable.unwrap_or(attribute.filterable);
        attribute.position = position.unwrap_or(attribute.position);
    }
}

/// The body that translates an attribute (RFC 7396): what is not named stays, `null` removes.
#[derive(Debug, Clone, ToSchema)]
pub struct AttributeTranslation {
    /// Its name.
    #[schema(value_type = Option<String>)]
    pub name: Option<Option<String>>,
    /// Its values, by their text in the shop's first locale. One text has one translation, whatever it is a value of.
    pub values: BTreeMap<String, Option<String>>,
}

impl FromBody for AttributeTranslation {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let name = object.nullable("name", text(1, LONGEST_LABEL));
        let values = if object.has("values") {
            object.object("values", |object| {
                let mut values = BTreeMap::new();
                for label in object.names() {
                    if label.is_empty() || label.chars().count() > LONGEST_LABEL {
                        object.error(&label, format!("must have 1 to {LONGEST_LABEL} characters"));
                    }
                    let text = object.nullable(&label, text(1, LONGEST_LABEL));
                    values.extend(text.flatten().map(|text| (label, text)));
                }
                Some(values)
            })
        } else {
            Some(BTreeMap::new())
        };
        Some(Self {
            name: name?,
            values: values?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fields::read_body;

    #[test]
    fn values_are_typed_and_have_one_spelling() {
        let body: ProductAttributes = read_body(
            br#"{"attributes":{"material":["Steel"],"capacity":[350,12.50],"lid":[true]}}"#,
        )
        .unwrap();
        let texts = |code: &str| {
            body.attributes[code]
                .iter()
                .map(AttributeValue::text)
                .collect::<Vec<_>>()
        };
        assert_eq!(texts("capacity"), ["12.5", "350"]);
        assert_eq!(
            (texts("material"), texts("lid")),
            (vec!["Steel".to_owned()], vec!["true".to_owned()])
        );
        for (kind, stored, shown) in [
            (AttributeKind::Number, "12.5", "12.5"),
            (AttributeKind::Number, "large", "\"large\""),
            (AttributeKind::Boolean, "true", "true"),
            (AttributeKind::Text, "12", "\"12\""),
        ] {
            assert_eq!(serde_json::to_string(&kind.shown(stored)).unwrap(), shown);
        }
    }

    #[test]
    fn a_value_must_be_of_the_kind() {
        let number = AttributeValue::Number(1.0);
        assert!(AttributeKind::Number.accepts(&number).is_ok());
        for kind in [
            AttributeKind::Text,
            AttributeKind::Boolean,
            AttributeKind::Option,
            AttributeKind::Brand,
        ] {
            assert!(kind.accepts(&number).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        for body in [
            r#"{"attributes":{"a":[]}}"#,
            r#"{"attributes":{"a":"x"}}"#,
            r#"{"attributes":{"a":["x","x"]}}"#,
            r#"{"attributes":{"a":[null]}}"#,
            r#"{"attributes":{"a":[1e300]}}"#,
        ] {
            let error = read_body::<ProductAttributes>(body.as_bytes()).unwrap_err();
            assert_eq!(error.fields[0].field, "/attributes/a", "{body}");
        }
        for body in [
            r#"{"code":"A","name":"x","kind":"text"}"#,
            r#"{"code":"a","name":"x","kind":"option"}"#,
            r#"{"code":"a","name":"x","kind":"text","unit":"ml"}"#,
        ] {
            assert!(
                read_body::<NewAttribute>(body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }
}
