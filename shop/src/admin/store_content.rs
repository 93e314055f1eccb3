//! The statements of pages of text as staff change them.

use serde::Serialize;
use sqlx::MySqlConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::content::{ContentPage, PageText};
use crate::content::store::Kind;

const READ: &str =
    "SELECT id, kind, slug, status, published_at, version FROM content_page WHERE id = ?";
const LOCK: &str = "SELECT id, kind, slug, status, published_at, version FROM content_page WHERE id = ? FOR UPDATE";
const TEXTS: &str = "SELECT locale, title, body, seo_title, seo_description FROM content_page_translation WHERE page_id = ?";
const INSERT: &str = "INSERT INTO content_page (kind, slug) VALUES (?, ?)";
const UPDATE: &str = "UPDATE content_page SET status = ?, published_at = ?, version = version + 1 WHERE id = ? AND version = ?";
const TEXT_PUT: &str = "INSERT INTO content_page_translation (page_id, locale, title, body, seo_title, seo_description) \
     VALUES (?, ?, ?, ?, ?, ?) AS new ON DUPLICATE KEY UPDATE title = new.title, body = new.body, \
     seo_title = new.seo_title, seo_description = new.seo_description";
const TEXT_DELETE: &str = "DELETE FROM content_page_translation WHERE page_id = ? AND locale = ?";
const LIST: &str = "SELECT p.id, p.kind, p.slug, p.status, p.published_at, p.updated_at, p.version, t.title FROM content_page p \
     LEFT JOIN content_page_translation t ON t.page_id = p.id AND t.locale = ? \
     WHERE p.id > ? AND (? IS NULL OR p.kind = ?) AND (? IS NULL OR p.status = ?) ORDER BY p.id LIMIT ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("staff_content_read", READ),
    ("staff_content_lock", LOCK),
    ("staff_content_texts", TEXTS),
    ("staff_content_insert", INSERT),
    ("staff_content_update", UPDATE),
    ("staff_content_text_put", TEXT_PUT),
    ("staff_content_text_delete", TEXT_DELETE),
    ("staff_content_list", LIST),
];

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    kind: String,
    slug: String,
    status: String,
    published_at: Option<OffsetDateTime>,
    version: i64,
}

type TextTuple = (String, String, String, String, String);

fn decode<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|message: String| sqlx::Error::Decode(message.into()))
}

async fn load(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<Option<ContentPage>> {
    let row: Option<Row> = sqlx::query_as(statement)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let texts: Vec<TextTuple> = sqlx::query_as(TEXTS).bind(id).fetch_all(connection).await?;
    Ok(Some(ContentPage {
        id: row.id,
        kind: decode(&row.kind)?,
        slug: row.slug,
        status: decode(&row.status)?,
        published_at: row.published_at,
        translations: texts
            .into_iter()
            .map(|(locale, title, body, seo_title, seo_description)| {
                let text = PageText {
                    title,
                    body,
                    seo_title,
                    seo_description,
                };
                (locale, text)
            })
            .collect(),
        version: row.version,
    }))
}

/// The page with this number.
///
/// # Errors
/// What the database answers.
pub async fn get(connection: &mut MySqlConnection, id: i64) -> Result<Option<ContentPage>> {
    load(connection, READ, id).await
}

/// The page with this number, locked until the end of the transaction.
///
/// # Errors
/// What the database answers.
pub async fn get_for_update(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<ContentPage>> {
    load(connection, LOCK, id).await
}

/// Makes a draft without texts and returns its number.
///
/// # Errors
/// What the database answers; `content_page_slug` when the slug is taken.
pub async fn insert(connection: &mut MySqlConnection, kind: Kind, slug: &str) -> Result<i64> {
    let done = sqlx::query(INSERT)
        .bind(kind.word())
        .bind(slug)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

/// Writes what differs and counts the version up. False when the version is another one meanwhile.
///
/// # Errors
/// What the database answers.
pub async fn update(
    connection: &mut MySqlConnection,
    before: &ContentPage,
    after: &ContentPage,
) -> Result<bool> {
    let done = sqlx::query(UPDATE)
        .bind(after.status.name())
        .bind(after.published_at)
        .bind(after.id)
        .bind(before.version)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    for locale in before
        .translations
        .keys()
        .filter(|locale| !after.translations.contains_key(*locale))
    {
        sqlx::query(TEXT_DELETE)
            .bind(after.id)
            .bind(locale)
            .execute(&mut *connection)
            .await?;
    }
    for (locale, text) in &after.translations {
        if before.translations.get(locale) != Some(text) {
            sqlx::query(TEXT_PUT)
                .bind(after.id)
                .bind(locale)
                .bind(&text.title)
                .bind(&text.body)
                .bind(&text.seo_title)
                .bind(&text.seo_description)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(true)
}

/// A page in a list.
#[derive(Debug, Serialize, ToSchema, sqlx::FromRow)]
pub struct StaffContentSummary {
    /// Its number.
    pub id: i64,
    /// `page` or `post`.
    pub kind: String,
    /// The last part of its address.
    pub slug: String,
    /// `draft`, `active` or `archived`.
    pub status: String,
    /// Its title in the shop's first locale.
    pub title: Option<String>,
    /// From when it is shown.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<OffsetDateTime>,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
    /// The number in its `ETag`.
    pub version: i64,
}

/// Which pages are listed.
#[derive(Debug, Clone)]
pub struct ContentFilter {
    /// The locale of titles.
    pub locale: String,
    /// Only of this kind.
    pub kind: Option<&'static str>,
    /// Only with this status.
    pub status: Option<&'static str>,
}

/// Pages after a number, in the order of their numbers.
///
/// # Errors
/// What the database answers.
pub async fn list(
    connection: &mut MySqlConnection,
    filter: &ContentFilter,
    after: i64,
    limit: u32,
) -> Result<Vec<StaffContentSummary>> {
    sqlx::query_as(LIST)
        .bind(&filter.locale)
        .bind(after)
        .bind(filter.kind)
        .bind(filter.kind)
        .bind(filter.status)
        .bind(filter.status)
        .bind(limit)
        .fetch_all(connection)
        .await
}
