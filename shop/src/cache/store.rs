//! Reads the invalidation log.

use sqlx::{MySqlConnection, Row};

/// Rows read at once.
pub(super) const BATCH: usize = 500;

const AFTER: &str = "SELECT sequence, gtid, tags, soft FROM invalidation WHERE sequence > ? ORDER BY sequence LIMIT 500";
const NEWEST: &str = "SELECT sequence, gtid, tags, soft FROM \
    (SELECT sequence, gtid, tags, soft FROM invalidation ORDER BY sequence DESC LIMIT ?) AS newest ORDER BY sequence";

/// A row of the log.
#[derive(Debug, Clone)]
pub struct Invalidation {
    /// Its place.
    pub sequence: i64,
    /// A GTID set that contains the change.
    pub gtid: String,
    /// What changed.
    pub tags: Vec<String>,
    /// Whether what was made before may still be shown while nothing newer can be made.
    pub soft: bool,
}

pub(super) async fn after(
    connection: &mut MySqlConnection,
    sequence: i64,
) -> Result<Vec<Invalidation>, sqlx::Error> {
    rows(
        sqlx::query(AFTER)
            .bind(sequence)
            .fetch_all(connection)
            .await?,
    )
}

pub(super) async fn newest(
    connection: &mut MySqlConnection,
    count: i64,
) -> Result<Vec<Invalidation>, sqlx::Error> {
    rows(
        sqlx::query(NEWEST)
            .bind(count)
            .fetch_all(connection)
            .await?,
    )
}

fn rows(rows: Vec<sqlx::mysql::MySqlRow>) -> Result<Vec<Invalidation>, sqlx::Error> {
    rows.into_iter()
        .map(|row| {
            Ok(Invalidation {
                sequence: row.try_get("sequence")?,
                gtid: row.try_get("gtid")?,
                tags: row.try_get::<sqlx::types::Json<Vec<String>>, _>("tags")?.0,
                soft: row.try_get("soft")?,
            })
        })
        .collect()
}
