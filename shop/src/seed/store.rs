//! The SQL of the seed, beside what it shares with the import.

use serde::Serialize;
use sqlx::MySqlConnection;

const CATEGORY_TEXTS: &str = "INSERT INTO category_translation (category_id, locale, name, description) \
SELECT t.category_id, ?, j.text, '' \
FROM JSON_TABLE(?, '$[*]' COLUMNS (label VARCHAR(190) PATH '$.label', text VARCHAR(190) PATH '$.text')) AS j \
STRAIGHT_JOIN category_translation AS t ON t.locale = ? AND t.name = j.label \
LEFT JOIN category_translation AS own ON own.category_id = t.category_id AND own.locale = ? WHERE own.category_id IS NULL";

const LABELS: &str = "INSERT INTO label_translation (locale, label, text) SELECT ?, j.label, j.text \
FROM JSON_TABLE(?, '$[*]' COLUMNS (label VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.label', \
text VARCHAR(190) PATH '$.text')) AS j \
LEFT JOIN label_translation AS own ON own.locale = ? AND own.label = j.label WHERE own.label IS NULL";

const PAGE_INSERT: &str = "INSERT INTO content_page (kind, slug, status, published_at) \
SELECT 'page', ?, 'active', CURRENT_TIMESTAMP(6) FROM DUAL \
WHERE NOT EXISTS (SELECT 1 FROM content_page WHERE kind = 'page' AND slug = ?)";

const PAGE_TEXT_INSERT: &str = "INSERT INTO content_page_translation (page_id, locale, title, body) \
SELECT p.id, ?, ?, ? FROM content_page AS p WHERE p.kind = 'page' AND p.slug = ? \
AND NOT EXISTS (SELECT 1 FROM content_page_translation AS t WHERE t.page_id = p.id AND t.locale = ?)";

const PAGE_ID: &str = "SELECT id FROM content_page WHERE kind = 'page' AND slug = ?";

/// Every statement with its name, so that tests can prepare all of them.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("category_texts", CATEGORY_TEXTS),
    ("labels", LABELS),
    ("page_insert", PAGE_INSERT),
    ("page_text_insert", PAGE_TEXT_INSERT),
    ("page_id", PAGE_ID),
];

/// A text and what it is in another language.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Label {
    /// In the shop's first locale.
    pub label: &'static str,
    /// In the other.
    pub text: &'static str,
}

fn json(labels: &[Label]) -> Result<String, sqlx::Error> {
    serde_json::to_string(labels).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// Names categories in another language where they have no name in it yet. Says how many.
///
/// # Errors
/// Those of the database.
pub async fn category_texts(
    connection: &mut MySqlConnection,
    locale: &str,
    first_locale: &str,
    labels: &[Label],
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(CATEGORY_TEXTS)
        .bind(locale)
        .bind(json(labels)?)
        .bind(first_locale)
        .bind(locale)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Translates labels that have no translation yet. Says how many.
///
/// # Errors
/// Those of the database.
pub async fn labels(
    connection: &mut MySqlConnection,
    locale: &str,
    labels: &[Label],
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(LABELS)
        .bind(locale)
        .bind(json(labels)?)
        .bind(locale)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Adds a page that is not there yet. Says how many rows that took.
///
/// # Errors
/// Those of the database.
pub async fn page(
    connection: &mut MySqlConnection,
    slug: &str,
    texts: &[(&str, (&str, &str))],
) -> Result<u64, sqlx::Error> {
    let mut written = sqlx::query(PAGE_INSERT)
        .bind(slug)
        .bind(slug)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    for (locale, (title, body)) in texts {
        written += sqlx::query(PAGE_TEXT_INSERT)
            .bind(locale)
            .bind(title)
            .bind(body)
            .bind(slug)
            .bind(locale)
            .execute(&mut *connection)
            .await?
            .rows_affected();
    }
    Ok(written)
}

/// The id of a page.
///
/// # Errors
/// Those of the database.
pub async fn page_id(
    connection: &mut MySqlConnection,
    slug: &str,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(PAGE_ID)
        .bind(slug)
        .fetch_optional(connection)
        .await
}
