//! Where something is sent or billed to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::country;
use crate::web::error::FieldError;

/// Longest line of an address, in characters.
const LONGEST_LINE: usize = 100;
/// Longest postcode, in characters.
const LONGEST_POSTCODE: usize = 16;

/// An address that was checked. Kept as JSON with orders, so that it stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// Whom it is for.
    pub name: String,
    /// The company, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Street and number.
    pub line1: String,
    /// What else finds the door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// City or town.
    pub city: String,
    /// State or province: the part after the hyphen of ISO 3166-2 where the country has such addresses (US, CA, AU, CN), else as
    /// it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postcode, in the country's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// Telephone, for the carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// An address as it was typed: fields of a form, or of a JSON body. Empty fields are missing ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AddressInput {
    /// Whom it is for.
    pub name: String,
    /// The company.
    pub company: String,
    /// Street and number.
    pub line1: String,
    /// What else finds the door.
    pub line2: String,
    /// City or town.
    pub city: String,
    /// State or province: its code or its name.
    pub region: String,
    /// Postcode.
    pub postcode: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Telephone.
    pub phone: String,
}

impl From<Address> for AddressInput {
    fn from(address: Address) -> Self {
        Self {
            name: address.name,
            company: address.company.unwrap_or_default(),
            line1: address.line1,
            line2: address.line2.unwrap_or_default(),
            city: address.city,
            region: address.region.unwrap_or_default(),
            postcode: address.postcode.unwrap_or_default(),
            country: address.country,
            phone: address.phone.unwrap_or_default(),
        }
    }
}

/// Collects what is wrong, each with the JSON pointer of its field.
struct Check<'a> {
    prefix: &'a str,
    errors: Vec<FieldError>,
}

impl Check<'_> {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: format!("{}/{field}", self.prefix),
            message: message.into(),
        });
    }

    /// A line without what nobody can see: `None` when it is empty.
    fn line(&mut self, field: &str, text: &str, longest: usize) -> Option<String> {
        let clean = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if clean.chars().any(char::is_control) {
            self.add(field, "must not have control characters");
        } else if clean.chars().count() > longest {
            self.add(field, format!("must be at most {longest} characters"));
        }
        (!clean.is_empty()).then_some(clean)
    }

    fn required(&mut self, field: &str, text: &str) -> String {
        self.line(field, text, LONGEST_LINE).unwrap_or_else(|| {
            self.add(field, "is missing");
            String::new()
        })
    }
}

impl AddressInput {
    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks an address by the rules of its country. `prefix` is the JSON pointer of the address, such as `/shipping_address`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, prefix: &str) -> Result<Address, Vec<FieldError>> {
        let mut check = Check {
            prefix,
            errors: Vec::new(),
        };
        let name = check.required("name", &self.name);
        let company = check.line("company", &self.company, LONGEST_LINE);
        let line1 = check.required("line1", &self.line1);
        let line2 = check.line("line2", &self.line2, LONGEST_LINE);
        let city = check.required("city", &self.city);
        let code = self.country.trim().to_ascii_uppercase();
        let known = country::is_country(&code);
        if code.is_empty() {
            check.add("country", "is missing");
        } else if !known {
            check.add("country", "must be a country of ISO 3166-1, such as DE");
        }
        let region = check.line("region", &self.region, LONGEST_LINE);
        let region = match (known, country::regions(&code), region) {
            (true, Some(_), None) => {
                check.add(
                    "region",
                    "is missing: addresses of this country have a state or province",
                );
                None
            }
            (true, Some(regions), Some(text)) => {
                let found = country::region(regions, &text);
                if found.is_none() {
                    check.add(
                        "region",
                        "is not a state or province of this country; give its code, such as CA, or its name",
                    );
                }
                found.map(str::to_owned)
            }
            (_, _, region) => region,
        };
        let postcode = check
            .line("postcode", &self.postcode, LONGEST_POSTCODE)
            .map(|text| text.to_uppercase());
        let postcode = match (known, postcode) {
            (true, None) if country::needs_postcode(&code) => {
                check.add("postcode", "is missing");
                None
            }
            (true, Some(text)) => match country::postcode(&code, &text) {
                Ok(text) => Some(text),
                Err(example) => {
                    check.add(
                        "postcode",
                        format!("has not the form of this country, such as {example}"),
                    );
                    None
                }
            },
            (_, text) => text,
        };
        let phone = check.line("phone", &self.phone, 32);
        if let Some(phone) = &phone {
            let digits = phone.bytes().filter(u8::is_ascii_digit).count();
            let allowed = phone
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"+-() ./".contains(&byte));
            if !allowed || !(5..=15).contains(&digits) {
                check.add("phone", "must be 5 to 15 digits, such as +49 30 901820");
            }
        }
        if check.errors.is_empty() {
            Ok(Address {
                name,
                company,
                line1,
                line2,
                city,
                region,
                postcode,
                country: code,
                phone,
            })
        } else {
            Err(check.errors)
        }
    }
}

impl Address {
    /// The lines as they stand on a label, without the country's own order of them: name, company, street, city with region and
    /// postcode, country.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let place = [
            Some(self.city.as_str()),
            self.region.as_deref(),
            self.postcode.as_deref(),
        ];
        let place = place.into_iter().flatten().collect::<Vec<_>>().join(" ");
        [
            Some(self.name.clone()),
            self.company.clone(),
            Some(self.line1.clone()),
            self.line2.clone(),
            Some(place),
            Some(self.country.clone()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> AddressInput {
        AddressInput {
            name: "  Ada   Example ".to_owned(),
            line1: "1 Main St".to_owned(),
            city: "Springfield".to_owned(),
            region: "illinois".to_owned(),
            postcode: "62701".to_owned(),
            country: "us".to_owned(),
            ..AddressInput::default()
        }
    }

    fn wrong(change: impl Fn(&mut AddressInput)) -> Vec<String> {
        let mut input = input();
        change(&mut input);
        let errors = input.check("/address").err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn an_address_is_kept_in_one_form() {
        let address = input().check("").unwrap();
        assert_eq!(address.name, "Ada Example");
        assert_eq!(address.region.as_deref(), Some("IL"));
        assert_eq!(address.country, "US");
        assert_eq!(
            AddressInput::from(address.clone()).check("").unwrap(),
            address
        );
        assert_eq!(address.lines().last().map(String::as_str), Some("US"));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert_eq!(
            wrong(|input| *input = AddressInput::default()),
            [
                "/address/name",
                "/address/line1",
                "/address/city",
                "/address/country"
            ]
        );
        assert_eq!(wrong(|input| input.region.clear()), ["/address/region"]);
        assert_eq!(
            wrong(|input| input.region = "ZZ".into()),
            ["/address/region"]
        );
        assert_eq!(
            wrong(|input| input.postcode = "ABC".into()),
            ["/address/postcode"]
        );
        assert_eq!(wrong(|input| input.postcode.clear()), ["/address/postcode"]);
        assert_eq!(
            wrong(|input| input.country = "XX".into()),
            ["/address/country"]
        );
        assert_eq!(
            wrong(|input| input.phone = "call me".into()),
            ["/address/phone"]
        );
        assert_eq!(
            wrong(|input| input.name = "x\u{7}y".into()),
            ["/address/name"]
        );
        assert_eq!(
            wrong(|input| input.line2 = "x".repeat(101)),
            ["/address/line2"]
        );
    }

    #[test]
    fn countries_without_postcodes_or_states_need_none() {
        let hong_kong = AddressInput {
            country: "HK".to_owned(),
            region: String::new(),
            postcode: String::new(),
            ..input()
        };
        assert!(hong_kong.check("").is_ok());
        let germany = AddressInput {
            country: "DE".to_owned(),
            region: String::new(),
            postcode: "10115".to_owned(),
            ..input()
        };
        assert!(germany.check("").is_ok());
    }
}
