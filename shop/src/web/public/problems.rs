//! Failures of the catalogue and of search as failures of an answer: some are the database's, others the address's.

use super::BuildError;
use crate::catalog::listing::ListingError;
use crate::search::SearchError;
use crate::storefront::urls::Cursor;

/// Failures of a listing that begins at `cursor`. A cursor that is wrong is named as the parameter that it came in.
pub(super) fn listing_error(error: ListingError, cursor: Option<&Cursor>) -> BuildError {
    let parameter = match error {
        ListingError::Database(error) => return error.into(),
        ListingError::DamagedCursor | ListingError::ForeignCursor => match cursor {
            Some(Cursor::Before(_)) => "before",
            Some(Cursor::After(_)) | None => "after",
        },
        ListingError::Limit => "limit",
        ListingError::TooManyFilters => "f",
    };
    BuildError::Request(vec![(parameter.to_owned(), error.to_string())])
}

/// Failures of a search that begins at `cursor`.
pub(super) fn search_error(error: SearchError, cursor: Option<&Cursor>) -> BuildError {
    match error {
        SearchError::Database(error) => error.into(),
        SearchError::Listing(error) => listing_error(error, cursor),
        SearchError::Empty | SearchError::TooLong => {
            BuildError::Request(vec![("q".to_owned(), error.to_string())])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_cursor_is_named_as_it_was_sent() {
        let named = |cursor: Option<Cursor>| match listing_error(
            ListingError::DamagedCursor,
            cursor.as_ref(),
        ) {
            BuildError::Request(problems) => problems[0].0.clone(),
            other => panic!("{other}"),
        };
        assert_eq!(named(Some(Cursor::Before("x".into()))), "before");
        assert_eq!(named(Some(Cursor::After("x".into()))), "after");
    }
}
