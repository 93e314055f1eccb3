//! Bodies of the cart's API. Every field that is wrong is named at once.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use super::model::{Destination, LARGEST_QUANTITY, MOST_LINES};
use crate::accounts::address::{Address, AddressInput};
use crate::accounts::country;
use crate::admin::fields::{FromBody, Object, integer, parsed, text};
use crate::catalog::model::{Currency, Locale, Sku};

/// Longest e-mail address, in characters (RFC 5321, 4.5.3.1.3).
const LONGEST_EMAIL: usize = 254;

/// A line to be put into a cart.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
pub struct LineInput {
    /// The SKU.
    pub sku: String,
    /// How many pieces, 1 to 9999.
    pub quantity: i32,
}

/// The body that makes a cart. All of it may be left out.
#[derive(Debug, Clone, Default, ToSchema)]
pub struct NewCartBody {
    /// The currency of prices; the shop's first if absent.
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// The language of names; the shop's first if absent.
    #[schema(value_type = Option<String>)]
    pub locale: Option<Locale>,
    /// What is in it, at most 100 lines.
    pub lines: Option<Vec<LineInput>>,
}

/// The body that changes a cart (RFC 7396): absent fields stay as they are, `null` empties them.
#[derive(Debug, Clone, Default, ToSchema)]
pub struct CartPatch {
    /// The currency of prices.
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// The language of names.
    #[schema(value_type = Option<String>)]
    pub locale: Option<Locale>,
    /// Where mails about the order go.
    #[schema(value_type = Option<String>)]
    pub email: Option<Option<String>>,
    /// Where the goods are to go as far as that is known before there is an address.
    #[schema(value_type = Option<Destination>)]
    pub destination: Option<Option<Destination>>,
    /// Where the goods are to go.
    #[schema(value_type = Option<AddressInput>)]
    pub shipping_address: Option<Option<Address>>,
    /// Who pays; `null` where that is the shipping address.
    #[schema(value_type = Option<AddressInput>)]
    pub billing_address: Option<Option<Address>>,
    /// The code of a shipping method that is offered.
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Option<String>>,
}

/// The body that sets a quantity.
#[derive(Debug, Clone, Copy, ToSchema)]
pub struct QuantityBody {
    /// How many pieces, 0 to 9999; 0 removes the line.
    pub quantity: i32,
}

/// The body that puts a coupon into a cart.
#[derive(Debug, Clone, ToSchema)]
pub struct CouponBody {
    /// The code. Case and spaces do not matter.
    pub code: String,
}

fn quantity(minimum: i64) -> impl Fn(Value) -> Result<i32, String> {
    move |value| {
        let number = integer(minimum, i64::from(LARGEST_QUANTITY))(value)?;
        i32::try_from(number).map_err(|error| error.to_string())
    }
}

/// An e-mail address as it can be written to. Whether anybody is there, a mail will tell.
///
/// # Errors
/// What would be right.
pub fn email(typed: &str) -> Result<String, String> {
    let text = typed.trim();
    let wrong = || "must be an e-mail address, such as name@example.com".to_owned();
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let is_domain = domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || letter == '-')
        });
    let is_local = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && local
            .chars()
            .all(|letter| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter));
    if is_domain && is_local && text.chars().count() <= LONGEST_EMAIL {
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}

/// A place, by country and state.
///
/// # Errors
/// What would be right, and whether it is about the state.
pub fn destination(country_code: &str, region: &str) -> Result<Destination, (bool, String)> {
    let code = country_code.trim().to_ascii_uppercase();
    if !country::is_country(&code) {
        return Err((
            false,
            "must be a country of ISO 3166-1, such as DE".to_owned(),
        ));
    }
    let region = match (country::regions(&code), region.trim()) {
        (_, "") | (None, _) => String::new(),
        (Some(regions), typed) => country::region(regions, typed)
            .ok_or_else(|| {
                (
                    true,
                    "must be a state or province of that country".to_owned(),
                )
            })?
            .to_owned(),
    };
    Ok(Destination {
        country: code,
        region,
    })
}

fn read_destination(object: &mut Object<'_>) -> Option<Destination> {
    let country = object.required("country", text(0, 100))?;
    let region = object.optional("region", text(0, 100))?.unwrap_or_default();
    match destination(&country, &region) {
        Ok(destination) => Some(destination),
        Err((about_region, message)) => {
            object.error(if about_region { "region" } else { "country" }, message);
            None
        }
    }
}

/// A field with an address: absent, `null`, or checked by the rules of its country.
fn address(object: &mut Object<'_>, name: &str) -> Option<Option<Option<Address>>> {
    let typed = object.nullable(name, |value| {
        serde_json::from_value::<AddressInput>(value)
            .map_err(|_| "must be an object of strings".to_owned())
    })?;
    let Some(Some(typed)) = typed else {
        return Some(typed.map(|_| None));
    };
    match typed.check("") {
        Ok(address) => Some(Some(Some(address))),
        Err(errors) => {
            for error in errors {
                object.error_below(name, &error.field, error.message);
            }
            None
        }
    }
}

impl FromBody for NewCartBody {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let currency = object.optional("currency", parsed);
        let locale = object.optional("locale", parsed);
        let lines = if object.has("lines") {
            object
                .objects("lines", |line| {
                    let sku = line.required("sku", parsed::<Sku>);
                    let quantity = line.required("quantity", quantity(1));
                    Some(LineInput {
                        sku: sku?.to_string(),
                        quantity: quantity?,
                    })
                })
                .map(Some)
        } else {
            Some(None)
        };
        if let Some(Some(lines)) = &lines {
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            for line in lines {
                *counts.entry(&line.sku).or_default() += 1;
            }
            if lines.len() > MOST_LINES {
                object.error("lines", format!("must be at most {MOST_LINES}"));
            } else if counts.values().any(|count| *count > 1) {
                object.error("lines", "must name each SKU once");
            }
        }
        Some(Self {
            currency: currency?,
            locale: locale?,
            lines: lines?,
        })
    }
}

impl FromBody for CartPatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let currency = object.optional("currency", parsed);
        let locale = object.optional("locale", parsed);
        let email = object.nullable("email", |value| match value {
            Value::String(typed) => email(&typed),
            _ => Err("must be a string".to_owned()),
        });
        let destination = match object.is_null("destination") {
            Some(true) => Some(Some(None)),
            Some(false) => object
                .object("destination", read_destination)
                .map(|destination| Some(Some(destination))),
            None => Some(None),
        };
        let shipping_address = address(object, "shipping_address");
        let billing_address = address(object, "billing_address");
        let shipping_method = object.nullable("shipping_method", text(1, 32));
        Some(Self {
            currency: currency?,
            locale: locale?,
            email: email?,
            destination: destination?,
            shipping_address: shipping_address?,
            billing_address: billing_address?,
            shipping_method: shipping_method?,
        })
    }
}

impl FromBody for QuantityBody {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let quantity = object.required("quantity", quantity(0));
        Some(Self {
            quantity: quantity?,
        })
    }
}

impl FromBody for CouponBody {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let code = object.required("code", text(1, 100));
        Some(Self { code: code? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fields::read_body;

    #[test]
    fn addresses_that_can_be_written_to() {
        assert_eq!(
            email(" Jo.Doe+shop@example.co.uk ").unwrap(),
            "Jo.Doe+shop@example.co.uk"
        );
        assert!(email("用户@例子.广告").is_ok());
        for wrong in [
            "",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.d",
            "a@b..c",
            "a@-b.c",
            "a@b.c\nX: y",
            "a@b.c,d@e.f",
            "a@[1.2.3.4]",
        ] {
            assert!(email(wrong).is_err(), "{wrong:?}");
        }
        assert!(email(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_patch_tells_absent_from_null_and_names_what_is_wrong() {
        let patch: CartPatch =
            read_body(br#"{"email":null,"destination":{"country":"us","region":"california"}}"#)
                .unwrap();
        assert_eq!(patch.email, Some(None));
        assert_eq!(patch.shipping_address, None);
        let destination = patch.destination.unwrap().unwrap();
        assert_eq!(
            (destination.country.as_str(), destination.region.as_str()),
            ("US", "CA")
        );
        let wrong = read_body::<CartPatch>(
            br#"{"email":"x","currency":"EURO","destination":{"country":"XX"},"shipping_address":{"country":"DE","postcode":"1"},"x":1}"#,
        )
        .unwrap_err();
        let fields: Vec<&str> = wrong
            .fields
            .iter()
            .map(|error| error.field.as_str())
            .collect();
        for field in [
            "/email",
            "/currency",
            "/destination/country",
            "/shipping_address/name",
            "/shipping_address/city",
            "/x",
        ] {
            assert!(fields.contains(&field), "{field} in {fields:?}");
        }
    }

    #[test]
    fn lines_are_named_once_and_bounded() {
        assert!(read_body::<NewCartBody>(b"{}").is_ok());
        for wrong in [
            r#"{"lines":[{"sku":"A","quantity":0}]}"#,
            r#"{"lines":[{"sku":"A","quantity":1},{"sku":"A","quantity":2}]}"#,
            r#"{"lines":[{"sku":"A","quantity":10000}]}"#,
            r#"{"lines":[{"sku":"A","quantity":1.5}]}"#,
        ] {
            assert!(
                read_body::<NewCartBody>(wrong.as_bytes()).is_err(),
                "{wrong}"
            );
        }
    }
}
