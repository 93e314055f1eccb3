//! The form of the checkout page: what was typed, and the fields that show it again.

use std::collections::BTreeMap;

use askama::Template;

use super::texts::CheckoutTexts;
use crate::accounts::address::AddressInput;
use crate::web::error::{ApiError, FieldError};

/// What was typed, by the names of the fields.
pub(crate) type Typed = BTreeMap<String, String>;

/// The prefix of fields of the billing address.
pub(crate) const BILLING: &str = "billing_";

/// A value that was typed, without what surrounds it.
pub(crate) fn value<'t>(typed: &'t Typed, name: &str) -> &'t str {
    typed.get(name).map_or("", |value| value.trim())
}

/// The address that was typed in the fields with this prefix.
pub(crate) fn address(typed: &Typed, prefix: &str) -> AddressInput {
    let field = |name: &str| value(typed, &format!("{prefix}{name}")).to_owned();
    AddressInput {
        name: field("name"),
        company: field("company"),
        line1: field("line1"),
        line2: field("line2"),
        city: field("city"),
        region: field("region"),
        postcode: field("postcode"),
        country: field("country"),
        phone: field("phone"),
    }
}

/// The fields of an address as they would be typed.
pub(crate) fn type_address(typed: &mut Typed, prefix: &str, address: &AddressInput) {
    let AddressInput {
        name,
        company,
        line1,
        line2,
        city,
        region,
        postcode,
        country,
        phone,
    } = address.clone();
    for (field, value) in [
        ("name", name),
        ("company", company),
        ("line1", line1),
        ("line2", line2),
        ("city", city),
        ("region", region),
        ("postcode", postcode),
        ("country", country),
        ("phone", phone),
    ] {
        typed.insert(format!("{prefix}{field}"), value);
    }
}

/// The sentence beside a field that is wrong. What the service functions say is in English and for programs.
pub(crate) fn sentence(texts: &CheckoutTexts, error: &FieldError) -> &'static str {
    let name = error.field.rsplit('/').next().unwrap_or_default();
    match name {
        _ if error.message.contains("missing") => texts.field_missing,
        "email" => texts.email_wrong,
        "postcode" => texts.postcode_wrong,
        "shipping_method" => texts.choose_shipping,
        _ => texts.field_wrong,
    }
}

#[derive(Template)]
#[template(path = "checkout/field.html")]
struct FieldTemplate<'a> {
    name: String,
    label: &'a str,
    kind: &'static str,
    value: &'a str,
    autocomplete: String,
    longest: u32,
    error: Option<&'static str>,
    hint: Option<&'a str>,
    short: bool,
}

#[derive(Template)]
#[template(path = "checkout/country.html")]
struct CountryTemplate<'a> {
    name: String,
    label: &'a str,
    value: &'a str,
    autocomplete: String,
    error: Option<&'static str>,
    countries: &'a [(&'a str, &'a str)],
}

/// What fields are made from.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) texts: &'static CheckoutTexts,
    pub(crate) typed: &'a Typed,
    pub(crate) errors: &'a [FieldError],
    /// Codes and names of the countries that the shop sends to.
    pub(crate) countries: &'a [(&'a str, &'a str)],
}

impl Fields<'_> {
    /// The error of the field with this JSON pointer.
    pub(crate) fn error(&self, pointer: &str) -> Option<&'static str> {
        self.errors
            .iter()
            .find(|error| error.field == pointer)
            .map(|error| sentence(self.texts, error))
    }

    pub(crate) fn email(&self) -> Result<String, ApiError> {
        let field = FieldTemplate {
            name: "email".to_owned(),
            label: self.texts.email,
            kind: "email",
            value: value(self.typed, "email"),
            autocomplete: "email".to_owned(),
            longest: 254,
            error: self.error("/email"),
            hint: Some(self.texts.email_hint),
            short: false,
        };
        field.render().map_err(ApiError::internal)
    }

    /// The fields of an address. `pointer` is the JSON pointer of the address, such as `/shipping_address`; `section` the kind of
    /// address for browsers that fill in fields.
    pub(crate) fn address(
        &self,
        prefix: &str,
        pointer: &str,
        section: &str,
    ) -> Result<String, ApiError> {
        let texts = self.texts;
        let mut html = String::new();
        for (name, label, autocomplete, longest, hint, short) in [
            ("name", texts.name, "name", 100, None, false),
            ("company", texts.company, "organization", 100, None, false),
            ("line1", texts.line1, "address-line1", 100, None, false),
            ("line2", texts.line2, "address-line2", 100, None, false),
            ("postcode", texts.postcode, "postal-code", 16, None, true),
            ("city", texts.city, "address-level2", 100, None, false),
            (
                "region",
                texts.region,
                "address-level1",
                100,
                Some(texts.region_hint),
                false,
            ),
        ] {
            let field_name = format!("{prefix}{name}");
            let field = FieldTemplate {
                label,
                kind: "text",
                value: value(self.typed, &field_name),
                autocomplete: format!("{section} {autocomplete}"),
                longest,
                error: self.error(&format!("{pointer}/{name}")),
                hint,
                short,
                name: field_name,
            };
            html.push_str(&field.render().map_err(ApiError::internal)?);
        }
        let name = format!("{prefix}country");
        let country = CountryTemplate {
            label: texts.country,
            value: value(self.typed, &name),
            autocomplete: format!("{section} country"),
            error: self.error(&format!("{pointer}/country")),
            countries: self.countries,
            name,
        };
        html.push_str(&country.render().map_err(ApiError::internal)?);
        let name = format!("{prefix}phone");
        let phone = FieldTemplate {
            label: texts.phone,
            kind: "tel",
            value: value(self.typed, &name),
            autocomplete: format!("{section} tel"),
            longest: 40,
            error: self.error(&format!("{pointer}/phone")),
            hint: None,
            short: false,
            name,
        };
        html.push_str(&phone.render().map_err(ApiError::internal)?);
        Ok(format!("<div class=\"fields\">{html}</div>"))
    }
}
