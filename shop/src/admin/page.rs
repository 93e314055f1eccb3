//! Pages of lists, by key: a row that is added or removed moves no other into or out of the next page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

use crate::web::error::{ApiError, Code};

/// Rows of a page when the request does not say how many.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most rows of a page.
pub const LARGEST_LIMIT: u32 = 200;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; `null` on the last.
    pub next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Cursor<K> {
    query: u64,
    key: K,
}

/// A list with its filters: what a cursor belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Query(u64);

impl Query {
    /// The list of this name with these filters.
    #[must_use]
    pub fn new(list: &str, filters: &impl std::fmt::Debug) -> Self {
        Self(xxh3_64(format!("{list}\n{filters:?}").as_bytes()))
    }

    /// The key after which the page begins.
    ///
    /// # Errors
    /// `invalid_cursor` when the cursor was not made by this list with these filters.
    pub fn after<K: DeserializeOwned>(self, cursor: Option<&str>) -> Result<Option<K>, ApiError> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Cursor<K>>(&bytes).ok())
            .filter(|cursor| cursor.query == self.0)
            .map(|cursor| Some(cursor.key))
            .ok_or_else(|| {
                ApiError::new(Code::InvalidCursor).detail(
                    "send `after` as the last page gave it, with the same filters, or leave it out",
                )
            })
    }

    /// The page of these rows, of which one more than `limit` was read if there is one.
    pub fn page<T, K: Serialize>(
        self,
        mut items: Vec<T>,
        limit: u32,
        key: impl Fn(&T) -> K,
    ) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).and_then(|last| {
            let cursor = Cursor {
                query: self.0,
                key: key(last),
            };
            serde_json::to_vec(&cursor)
                .ok()
                .map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
        });
        Page { items, next }
    }
}

/// The number of rows asked for.
///
/// # Errors
/// `invalid_request` when it is out of bounds.
pub fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=LARGEST_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::new(Code::InvalidRequest)
        .field("limit", format!("must be from 1 to {LARGEST_LIMIT}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_until_the_last() {
        let query = Query::new("numbers", &"all");
        let first = query.page(vec![1, 2, 3], 2, |number| *number);
        assert_eq!(first.items, [1, 2]);
        assert_eq!(query.after::<i64>(first.next.as_deref()).unwrap(), Some(2));
        assert_eq!(query.page(vec![3, 4], 2, |number| *number).next, None);
        assert_eq!(query.after::<i64>(None).unwrap(), None);
    }

    #[test]
    fn a_cursor_of_another_query_is_refused() {
        let next = Query::new("numbers", &"all")
            .page(vec![1, 2], 1, |number| *number)
            .next;
        for cursor in [next.as_deref(), Some(""), Some("!"), Some("e30")] {
            let refused = Query::new("numbers", &"odd")
                .after::<i64>(cursor)
                .unwrap_err();
            assert_eq!(refused.code, Code::InvalidCursor, "{cursor:?}");
        }
    }

    #[test]
    fn a_page_has_a_bound() {
        assert_eq!(limit(None).unwrap(), DEFAULT_LIMIT);
        assert!(limit(Some(0)).is_err() && limit(Some(LARGEST_LIMIT + 1)).is_err());
    }
}
