//! From a route to its answer.

use sqlx::MySqlConnection;

use super::route::Route;
use super::{BuildError, Public, api, documents, pages};
use crate::cache::Draft;

/// Makes the answer of a route from data that includes the change `sequence`.
pub(super) async fn build(
    public: &Public,
    route: &Route,
    sequence: i64,
    connection: &mut MySqlConnection,
) -> Result<Draft, BuildError> {
    match route {
        Route::Root => Ok(documents::root(public)),
        Route::Page(locale, page) => pages::page(public, connection, sequence, *locale, page).await,
        Route::Api(route) => api::answer(public, connection, route).await,
        Route::SitemapIndex => documents::sitemap_index(public, connection).await,
        Route::Sitemap(name) => documents::sitemap(public, connection, name).await,
        Route::Robots => Ok(documents::robots(public)),
        Route::OpenApi => documents::open_api(public),
        Route::Asset(asset) => Ok(documents::asset(asset)),
        Route::Favicon => Ok(documents::favicon()),
    }
}
