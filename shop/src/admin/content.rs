//! A page of text as staff see it, and what they can do to it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::change::unacceptable;
use super::fields::{FromBody, Object, boolean, instant, long_text, parsed, text};
use super::product::Status;
use crate::catalog::model::{Locale, Slug};
use crate::content::store::Kind;
use crate::web::error::ApiError;

/// Longest text of a page, in bytes: the body of a request with several languages has room for it.
const LONGEST_BODY: usize = 256 * 1024;

/// What a page says in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PageText {
    /// The title.
    pub title: String,
    /// The text: paragraphs are separated by empty lines, `## ` begins a heading, `- ` an item of a list.
    pub body: String,
    /// The title for search engines; the title when empty.
    pub seo_title: String,
    /// The description for search engines.
    pub seo_description: String,
}

impl FromBody for PageText {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let title = object.required("title", text(1, 255));
        let body = object.optional("body", long_text(LONGEST_BODY));
        let seo_title = object.optional("seo_title", text(0, 255));
        let seo_description = object.optional("seo_description", text(0, 512));
        Some(Self {
            title: title?,
            body: body?.unwrap_or_default(),
            seo_title: seo_title?.unwrap_or_default(),
            seo_description: seo_description?.unwrap_or_default(),
        })
    }
}

/// A page of text, or a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ContentPage {
    /// Its number.
    pub id: i64,
    /// `page`: one that stays, such as the imprint; `post`: one of a day.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// The last part of its address.
    pub slug: String,
    /// Whether it is shown.
    pub status: Status,
    /// From when it is shown.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<OffsetDateTime>,
    /// Texts by locale.
    pub translations: BTreeMap<String, PageText>,
    /// The number in its `ETag`.
    pub version: i64,
}

/// The body that creates a page. It begins as a draft.
#[derive(Debug, Clone, ToSchema)]
pub struct NewContentPage {
    /// `page` when absent, or `post`.
    #[schema(value_type = Option<String>)]
    pub kind: Kind,
    /// The last part of its address, which it keeps; made of the title in the shop's first locale when absent.
    #[schema(value_type = Option<String>)]
    pub slug: Option<Slug>,
    /// Texts by locale; the shop's first locale must be among them.
    pub translations: BTreeMap<String, PageText>,
}

impl FromBody for NewContentPage {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let kind = object.optional("kind", parsed::<Kind>);
        let slug = object.optional("slug", parsed::<Slug>);
        let translations = object.object("translations", |object| {
            let mut texts = BTreeMap::new();
            for name in object.names() {
                if name
                    .parse::<Locale>()
                    .is_ok_and(|locale| locale.as_str() == name)
                {
                    texts.extend(
                        object
                            .object(&name, PageText::read)
                            .map(|text| (name, text)),
                    );
                } else {
                    object.required(&name, |_| {
                        Err::<(), _>("is not a locale in lower case, such as en-gb".to_owned())
                    });
                }
            }
            Some(texts)
        });
        Some(Self {
            kind: kind?.unwrap_or(Kind::Page),
            slug: slug?,
            translations: translations?,
        })
    }
}

/// The body that publishes, schedules or unpublishes a page.
#[derive(Debug, Clone, ToSchema)]
pub struct PagePublication {
    /// `true` to show the page, `false` to take it down and make it a draft.
    pub published: bool,
    /// From when it is shown; now, or what it was, when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<OffsetDateTime>,
}

impl FromBody for PagePublication {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let published = object.required("published", boolean);
        let published_at = object.nullable("published_at", instant);
        let publication = Self {
            published: published?,
            published_at: published_at?.flatten(),
        };
        if !publication.published && publication.published_at.is_some() {
            object.error("published", "must be true where a date is given");
        }
        Some(publication)
    }
}

/// One thing that is done to a page.
#[derive(Debug, Clone)]
pub enum ContentEdit {
    /// Sets (`Some`) or removes its text in a locale.
    Translation(String, Option<PageText>),
    /// Publishes, schedules, unpublishes.
    Publication(PagePublication),
    /// Takes it down for good.
    Archive,
}

impl ContentEdit {
    /// The word in the audit log.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Translation(..) => "content.translate",
            Self::Publication(_) => "content.publication",
            Self::Archive => "content.archive",
        }
    }

    /// Does it. `first_locale` is the locale that every page has a text in.
    ///
    /// # Errors
    /// 422 when it cannot be.
    pub fn apply(
        &self,
        page: &mut ContentPage,
        first_locale: &str,
        now: OffsetDateTime,
    ) -> Result<(), ApiError> {
        match self {
            Self::Translation(locale, Some(text)) => {
                page.translations.insert(locale.clone(), text.clone());
            }
            Self::Translation(locale, None) => {
                if locale == first_locale {
                    return Err(unacceptable(
                        "locale",
                        format!(
                            "every page keeps its text in {first_locale}, which others fall back to"
                        ),
                    ));
                }
                page.translations.remove(locale);
            }
            Self::Publication(publication) if publication.published => {
                let was_active = page.status == Status::Active;
                let kept = page
                    .published_at
                    .filter(|start| was_active && *start <= now);
                page.status = Status::Active;
                page.published_at = publication.published_at.or(kept).or(Some(now));
            }
            Self::Publication(_) => {
                page.status = Status::Draft;
                page.published_at = None;
            }
            Self::Archive => page.status = Status::Archived,
        }
        Ok(())
    }
}

impl ContentPage {
    /// Whether shoppers can see it at this moment.
    #[must_use]
    pub fn is_public(&self, now: OffsetDateTime) -> bool {
        self.status == Status::Active && self.published_at.is_some_and(|start| start <= now)
    }

    /// Whether a link to it in the footer of all pages changes, comes or goes between these two.
    #[must_use]
    pub fn is_linked_otherwise(&self, after: &Self) -> bool {
        let titles = |page: &Self| -> Vec<(String, String)> {
            let titles = page.translations.iter();
            titles
                .map(|(locale, text)| (locale.clone(), text.title.clone()))
                .collect()
        };
        let shown = |page: &Self| {
            (page.kind == Kind::Page && page.status == Status::Active)
                .then(|| (page.published_at, titles(page)))
        };
        shown(self) != shown(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fields::read_body;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);

    fn page() -> ContentPage {
        let new: NewContentPage =
            read_body(br#"{"translations":{"en":{"title":"Imprint","body":"Us."}}}"#).unwrap();
        ContentPage {
            id: 3,
            kind: new.kind,
            slug: "imprint".into(),
            status: Status::Draft,
            published_at: None,
            translations: new.translations,
            version: 1,
        }
    }

    fn published(at: Option<OffsetDateTime>) -> ContentEdit {
        ContentEdit::Publication(PagePublication {
            published: true,
            published_at: at,
        })
    }

    fn edited(edit: &ContentEdit, mut page: ContentPage) -> ContentPage {
        edit.apply(&mut page, "en", NOW).unwrap();
        page
    }

    #[test]
    fn a_page_is_shown_from_its_publication_on() {
        let public = edited(&published(None), page());
        assert!(public.is_public(NOW) && !page().is_public(NOW));
        assert_eq!(
            edited(&published(None), public.clone()),
            public,
            "publishing again changes nothing"
        );
        let later = edited(&published(Some(NOW + time::Duration::DAY)), page());
        assert!(!later.is_public(NOW) && later.is_public(NOW + time::Duration::DAY));
        assert!(!edited(&ContentEdit::Archive, public).is_public(NOW));
        assert!(
            read_body::<PagePublication>(
                br#"{"published":false,"published_at":"2030-01-01T00:00:00Z"}"#
            )
            .is_err()
        );
    }

    #[test]
    fn the_text_that_others_fall_back_to_stays() {
        let removal = ContentEdit::Translation("en".into(), None);
        assert!(removal.apply(&mut page(), "en", NOW).is_err());
    }

    #[test]
    fn only_what_the_footer_shows_changes_all_pages() {
        let public = edited(&published(None), page());
        assert!(page().is_linked_otherwise(&public));
        let text = |title: &str, body: &str| {
            let text = PageText {
                title: title.into(),
                body: body.into(),
                seo_title: String::new(),
                seo_description: String::new(),
            };
            ContentEdit::Translation("en".into(), Some(text))
        };
        let other_text = edited(&text("Imprint", "Them."), public.clone());
        assert!(!public.is_linked_otherwise(&other_text));
        let other_title = edited(&text("About us", "Us."), public.clone());
        assert!(public.is_linked_otherwise(&other_title));
        let post = ContentPage {
            kind: Kind::Post,
            ..public
        };
        assert!(!post.is_linked_otherwise(&edited(&ContentEdit::Archive, post.clone())));
    }
}
