//! The SQL of content pages.

use sqlx::MySqlConnection;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::catalog::model::Locale;

/// Pages that are listed at most.
pub const MAXIMUM_LISTED: u32 = 100;

const BY_SLUG: &str = "SELECT p.id, p.slug, CAST(p.status AS CHAR) AS status, p.published_at, p.updated_at, \
    COALESCE(t.title, d.title, '') AS title, COALESCE(t.body, d.body, '') AS body, \
    COALESCE(t.seo_title, d.seo_title, '') AS seo_title, \
    COALESCE(t.seo_description, d.seo_description, '') AS seo_description \
  FROM content_page p \
  LEFT JOIN content_page_translation t ON t.page_id = p.id AND t.locale = ? \
  LEFT JOIN content_page_translation d ON d.page_id = p.id AND d.locale = ? \
  WHERE p.kind = ? AND p.slug = ?";
const LISTED: &str = "SELECT p.id, p.slug, CAST(p.status AS CHAR) AS status, p.published_at, p.updated_at, \
    COALESCE(t.title, d.title, '') AS title, '' AS body, \
    COALESCE(t.seo_title, d.seo_title, '') AS seo_title, \
    COALESCE(t.seo_description, d.seo_description, '') AS seo_description \
  FROM content_page p \
  LEFT JOIN content_page_translation t ON t.page_id = p.id AND t.locale = ? \
  LEFT JOIN content_page_translation d ON d.page_id = p.id AND d.locale = ? \
  WHERE p.kind = ? AND p.status = 'active' AND p.published_at <= ? AND p.id > ? ORDER BY p.id LIMIT ?";

const NEWEST: &str = "SELECT p.id, p.slug, CAST(p.status AS CHAR) AS status, p.published_at, p.updated_at, \
    COALESCE(t.title, d.title, '') AS title, '' AS body, \
    COALESCE(t.seo_title, d.seo_title, '') AS seo_title, \
    COALESCE(t.seo_description, d.seo_description, '') AS seo_description \
  FROM content_page p \
  LEFT JOIN content_page_translation t ON t.page_id = p.id AND t.locale = ? \
  LEFT JOIN content_page_translation d ON d.page_id = p.id AND d.locale = ? \
  WHERE p.kind = ? AND p.status = 'active' AND p.published_at <= ? AND (p.published_at < ? OR p.id < ?) \
  ORDER BY p.published_at DESC, p.id DESC LIMIT ?";
const NEXT_PUBLICATION: &str = "SELECT MIN(published_at) FROM content_page \
  WHERE kind = ? AND status = 'active' AND published_at > ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("content_by_slug", BY_SLUG),
    ("content_listed", LISTED),
    ("content_newest", NEWEST),
    ("content_next_publication", NEXT_PUBLICATION),
];

/// Which kind of page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A page that stays, such as the imprint.
    Page,
    /// A post of a day.
    Post,
}

impl Kind {
    /// The word in rows and in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Post => "post",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Page, Self::Post]
            .into_iter()
            .find(|kind| kind.word() == text)
            .ok_or_else(|| "must be page or post".to_owned())
    }
}

/// A page in one language, or in the default one where it is not translated.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ContentRow {
    /// Its id.
    pub id: i64,
    /// Its address.
    pub slug: String,
    /// `draft`, `active` or `archived`
    pub status: String,
    /// From when on it is public.
    pub published_at: Option<PrimitiveDateTime>,
    /// When it was changed last.
    pub updated_at: PrimitiveDateTime,
    /// Its title.
    pub title: String,
    /// Its text; empty in lists.
    pub body: String,
    /// A title for search engines; may be empty.
    pub seo_title: String,
    /// A summary for search engines; may be empty.
    pub seo_description: String,
}

impl ContentRow {
    /// Whether the public may see it at `now`.
    #[must_use]
    pub fn is_public(&self, now: OffsetDateTime) -> bool {
        self.status == "active" && self.published_at.is_some_and(|at| at.assume_utc() <= now)
    }

    /// When it will become public, if that is planned.
    #[must_use]
    pub fn becomes_public(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let at = self.published_at?.assume_utc();
        (self.status == "active" && at > now).then_some(at)
    }
}

/// The page with a slug, whatever its status.
///
/// # Errors
/// Those of the database.
pub async fn by_slug(
    connection: &mut MySqlConnection,
    kind: Kind,
    slug: &str,
    locale: &Locale,
    default_locale: &Locale,
) -> Result<Option<ContentRow>, sqlx::Error> {
    sqlx::query_as(BY_SLUG)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(kind.word())
        .bind(slug)
        .fetch_optional(connection)
        .await
}

/// Public pages in the order of their ids, beginning after `after`, at most `limit` and [`MAXIMUM_LISTED`].
///
/// # Errors
/// Those of the database.
pub async fn listed(
    connection: &mut MySqlConnection,
    kind: Kind,
    locale: &Locale,
    default_locale: &Locale,
    now: OffsetDateTime,
    after: i64,
    limit: u32,
) -> Result<Vec<ContentRow>, sqlx::Error> {
    sqlx::query_as(LISTED)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(kind.word())
        .bind(PrimitiveDateTime::new(now.date(), now.time()))
        .bind(after)
        .bind(limit.min(MAXIMUM_LISTED))
        .fetch_all(connection)
        .await
}

/// A place in the order of [`newest`]: what comes after it was published before, or has a smaller id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When the page at this place was published.
    pub published_at: OffsetDateTime,
    /// Its id.
    pub id: i64,
}

/// Public pages, the latest published first, beginning after a place, at most `limit` and one more than
/// [`MAXIMUM_LISTED`], which tells whether more follow.
///
/// # Errors
/// Those of the database.
pub async fn newest(
    connection: &mut MySqlConnection,
    kind: Kind,
    locale: &Locale,
    default_locale: &Locale,
    now: OffsetDateTime,
    after: Option<Place>,
    limit: u32,
) -> Result<Vec<ContentRow>, sqlx::Error> {
    let place = after.map_or((now, i64::MAX), |place| {
        (place.published_at.min(now), place.id)
    });
    let published_at = PrimitiveDateTime::new(place.0.date(), place.0.time());
    sqlx::query_as(NEWEST)
        .bind(locale.as_str())
        .bind(default_locale.as_str())
        .bind(kind.word())
        .bind(published_at)
        .bind(published_at)
        .bind(place.1)
        .bind(limit.min(MAXIMUM_LISTED + 1))
        .fetch_all(connection)
        .await
}

/// When the next page of a kind becomes public, if one is planned.
///
/// # Errors
/// Those of the database.
pub async fn next_publication(
    connection: &mut MySqlConnection,
    kind: Kind,
    now: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let next: Option<PrimitiveDateTime> = sqlx::query_scalar(NEXT_PUBLICATION)
        .bind(kind.word())
        .bind(PrimitiveDateTime::new(now.date(), now.time()))
        .fetch_one(connection)
        .await?;
    Ok(next.map(PrimitiveDateTime::assume_utc))
}
