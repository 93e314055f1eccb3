//! The JSON of content pages and posts.

use serde::Serialize;
use time::PrimitiveDateTime;
use utoipa::ToSchema;

use super::view::{SearchEngineTexts, instant};
use crate::content::store::ContentRow;

/// A page or post in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContentSummary {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its title.
    title: String,
    /// A summary; may be empty.
    summary: String,
    /// When it was published (RFC 3339).
    published_at: Option<String>,
    /// When it was changed last (RFC 3339).
    updated_at: String,
}

fn published(row: &ContentRow) -> Option<String> {
    row.published_at
        .map(PrimitiveDateTime::assume_utc)
        .map(instant)
}

impl From<ContentRow> for ContentSummary {
    fn from(row: ContentRow) -> Self {
        Self {
            published_at: published(&row),
            updated_at: instant(row.updated_at.assume_utc()),
            id: row.id,
            slug: row.slug,
            title: row.title,
            summary: row.seo_description,
        }
    }
}

/// Pages or posts, the latest published first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContentList {
    /// The entries.
    pub(super) items: Vec<ContentSummary>,
    /// What to send as `after` for the next page; `null` on the last.
    pub(super) next: Option<String>,
}

/// A page or post.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContentDetail {
    /// Its id.
    id: i64,
    /// Its slug.
    slug: String,
    /// Its title.
    title: String,
    /// Its text: paragraphs, `#` headings, `-` lists, `**strong**`, `*emphasis*` and `[links](target)`.
    body: String,
    /// What search engines are told.
    seo: SearchEngineTexts,
    /// When it was published (RFC 3339).
    published_at: Option<String>,
    /// When it was changed last (RFC 3339).
    updated_at: String,
}

impl From<ContentRow> for ContentDetail {
    fn from(row: ContentRow) -> Self {
        Self {
            published_at: published(&row),
            updated_at: instant(row.updated_at.assume_utc()),
            id: row.id,
            slug: row.slug,
            title: row.title,
            body: row.body,
            seo: SearchEngineTexts {
                title: row.seo_title,
                description: row.seo_description,
            },
        }
    }
}
