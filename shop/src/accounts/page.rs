//! What the pages of accounts are made of: sections with texts, lists and forms.

use actix_web::http::StatusCode;
use askama::Template;

use super::texts::localised;
use crate::storefront::i18n::Locale;
use crate::web::error::ApiError;
use crate::web::private::{Answer, FormErrors, Place, PrivateState};

/// A field of a form.
#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// The type of the input; also `checkbox` and `select`.
    pub(super) kind: &'static str,
    pub(super) value: String,
    pub(super) autocomplete: &'static str,
    pub(super) hint: &'static str,
    pub(super) required: bool,
    pub(super) error: Option<String>,
    pub(super) options: Vec<(String, String)>,
}

impl Field {
    pub(super) fn new(name: &'static str, label: &'static str, kind: &'static str) -> Self {
        Self {
            name,
            label,
            kind,
            autocomplete: "off",
            required: true,
            ..Self::default()
        }
    }

    pub(super) fn email(label: &'static str, value: &str) -> Self {
        Self {
            autocomplete: "username",
            value: value.to_owned(),
            ..Self::new("email", label, "email")
        }
    }

    pub(super) fn password(name: &'static str, label: &'static str, is_new: bool) -> Self {
        Self {
            autocomplete: if is_new {
                "new-password"
            } else {
                "current-password"
            },
            ..Self::new(name, label, "password")
        }
    }

    pub(super) fn code(label: &'static str) -> Self {
        Self {
            autocomplete: "one-time-code",
            ..Self::new("code", label, "text")
        }
    }

    pub(super) fn with(self, value: &str) -> Self {
        Self {
            value: value.to_owned(),
            ..self
        }
    }

    pub(super) fn optional(self) -> Self {
        Self {
            required: false,
            ..self
        }
    }

    /// Whether this is the choice of a select.
    pub(super) fn has(&self, value: &str) -> bool {
        self.value == value
    }

    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }
}

/// A form. It posts to the page's own address as a rule.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) id: &'static str,
    pub(super) url: String,
    pub(super) hidden: Vec<(&'static str, String)>,
    pub(super) fields: Vec<Field>,
    pub(super) button: &'static str,
    pub(super) is_quiet: bool,
}

impl Form {
    pub(super) fn new(
        id: &'static str,
        url: String,
        fields: Vec<Field>,
        button: &'static str,
    ) -> Self {
        Self {
            id,
            url,
            hidden: Vec::new(),
            fields,
            button,
            is_quiet: false,
        }
    }

    /// A form of a page with several: `action` tells them apart.
    pub(super) fn action(self, action: &'static str) -> Self {
        self.hidden("action", action)
    }

    pub(super) fn hidden(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.hidden.push((name, value.into()));
        self
    }

    /// What was wrong, beside its fields.
    pub(super) fn errors(mut self, locale: Locale, errors: &FormErrors) -> Self {
        for field in &mut self.fields {
            field.error = errors
                .field(field.name)
                .map(|message| localised(locale, message));
        }
        self
    }
}

/// An entry of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    pub(super) lines: Vec<String>,
    pub(super) links: Vec<(&'static str, String)>,
    pub(super) forms: Vec<Form>,
}

/// A part of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) paragraphs: Vec<String>,
    pub(super) picture: Option<String>,
    pub(super) codes: Vec<String>,
    pub(super) items: Vec<Item>,
    pub(super) forms: Vec<Form>,
    pub(super) links: Vec<(&'static str, String)>,
}

/// A page.
#[derive(Debug, Template, Default)]
#[template(path = "account/page.html")]
pub(super) struct Content {
    pub(super) title: String,
    pub(super) is_narrow: bool,
    pub(super) good: Option<&'static str>,
    pub(super) bad: Option<String>,
    pub(super) sections: Vec<Section>,
}

impl Content {
    /// Answers the page: 200, or what went wrong where a form was refused.
    pub(super) async fn answer(
        mut self,
        state: &PrivateState,
        place: &Place,
        refused: Option<&ApiError>,
    ) -> Answer {
        let mut status = StatusCode::OK;
        if let Some(error) = refused {
            // A refused sign-in is no challenge of HTTP, and a browser must not take it for one.
            status = match error.code.status() {
                401 => StatusCode::UNPROCESSABLE_ENTITY,
                other => StatusCode::from_u16(other).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY),
            };
            if self.bad.is_none() {
                let shown = self
                    .sections
                    .iter()
                    .flat_map(|section| &section.forms)
                    .flat_map(|form| &form.fields)
                    .any(|field| field.error.is_some());
                let sentence = error
                    .fields
                    .first()
                    .map(|field| field.message.as_str())
                    .or(error.detail.as_deref());
                self.bad = sentence
                    .filter(|_| !shown)
                    .map(|sentence| localised(place.locale, sentence));
            }
        }
        let title = self.title.clone();
        state.page(place, status, &title, &self).await
    }
}

/// A form that was refused for what was typed is shown again; anything else goes its own way.
pub(super) fn again(error: ApiError) -> Result<ApiError, ApiError> {
    if matches!(error.code.status(), 401 | 409 | 422)
        && error.code != crate::web::error::Code::SignInRequired
    {
        Ok(error)
    } else {
        Err(error)
    }
}
