//! Forms: what was typed, what was wrong with it, and bodies that are none.

use actix_web::error::{JsonPayloadError, UrlencodedError};

use super::MAXIMUM_BODY;
use crate::web::error::{ApiError, Code, FieldError};

/// What is wrong with the fields of a form, to be shown beside each. Pages show the same errors as the API answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormErrors {
    fields: Vec<FieldError>,
    general: Option<String>,
}

impl FormErrors {
    /// Nothing is wrong.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            fields: Vec::new(),
            general: None,
        }
    }

    /// What a service function refused: its fields, or its sentence if it names none.
    #[must_use]
    pub fn of(error: &ApiError) -> Self {
        Self {
            fields: error.fields.clone(),
            general: error
                .fields
                .is_empty()
                .then(|| error.detail.clone())
                .flatten(),
        }
    }

    /// One sentence about the whole form.
    #[must_use]
    pub fn general(sentence: impl Into<String>) -> Self {
        Self {
            fields: Vec::new(),
            general: Some(sentence.into()),
        }
    }

    /// Adds what is wrong with a field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.fields.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// What is wrong with the field of this name, if anything is. Fields are found by the last part of their JSON pointer.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|error| error.field.rsplit('/').next() == Some(name))
            .map(|error| error.message.as_str())
    }

    /// The sentence about the whole form, if there is one.
    #[must_use]
    pub fn sentence(&self) -> Option<&str> {
        self.general.as_deref()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.general.is_none()
    }
}

pub(super) fn form_error(error: &UrlencodedError) -> ApiError {
    match error {
        UrlencodedError::Overflow { .. } | UrlencodedError::UnknownLength => too_large(),
        UrlencodedError::ContentType => ApiError::new(Code::UnsupportedMediaType)
            .detail("send `Content-Type: application/x-www-form-urlencoded`"),
        _ => ApiError::new(Code::InvalidBody).detail(error.to_string()),
    }
}

pub(super) fn json_error(error: &JsonPayloadError) -> ApiError {
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            too_large()
        }
        JsonPayloadError::ContentType => ApiError::new(Code::UnsupportedMediaType)
            .detail("send `Content-Type: application/json`"),
        JsonPayloadError::Deserialize(error) => {
            ApiError::new(Code::InvalidBody).detail(error.to_string())
        }
        _ => ApiError::new(Code::InvalidBody).detail("send a JSON object"),
    }
}

fn too_large() -> ApiError {
    ApiError::new(Code::TooLarge).detail(format!("send at most {MAXIMUM_BODY} bytes"))
}

/// The page to go to after a form, from a parameter that anyone may have written: a path of this shop, or nothing.
#[must_use]
pub fn local_target(next: Option<&str>) -> Option<String> {
    let next = next?;
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= 1024
        && next
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_local.then(|| next.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stand_beside_their_field() {
        let error = ApiError::new(Code::Unprocessable)
            .field("/address/city", "is missing")
            .field("email", "is not an address");
        let errors = FormErrors::of(&error);
        assert_eq!(errors.field("city"), Some("is missing"));
        assert_eq!(errors.field("email"), Some("is not an address"));
        assert_eq!(errors.field("name"), None);
        assert!(errors.sentence().is_none() && !errors.is_empty());
        let whole = FormErrors::of(&ApiError::new(Code::Conflict).detail("sold out"));
        assert_eq!(whole.sentence(), Some("sold out"));
    }

    #[test]
    fn a_form_leads_to_pages_of_this_shop_alone() {
        for next in ["/en/cart", "/en/orders/x?key=y"] {
            assert_eq!(local_target(Some(next)).as_deref(), Some(next));
        }
        for next in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a b",
            "/\n",
        ] {
            assert_eq!(local_target(Some(next)), None, "{next}");
        }
        assert_eq!(local_target(None), None);
    }
}
