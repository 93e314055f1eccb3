//! The JSON API of the catalogue.

use serde::Serialize;
use sqlx::MySqlConnection;
use utoipa::{OpenApi, ToSchema};

use super::route::{Resolved, Route};
use super::{BuildError, Public};
use crate::cache::Draft;
use crate::cache::page::LifetimeClass;
use crate::edge::tags::{Tag, TagSet};
use crate::storefront::view::Site;

/// An answer of the API.
#[derive(Debug, Clone)]
pub enum ApiRoute {
    /// `/api/v1/config`
    Config,
}

/// Resolves what follows `/api/v1/`.
pub(super) fn resolve(segments: &[&str], query: &str, _site: &Site) -> Resolved {
    match segments {
        ["config"] if query.is_empty() => Resolved::Route(Route::Api(ApiRoute::Config)),
        ["config"] => Resolved::Redirect("/api/v1/config".to_owned()),
        _ => Resolved::NotFound(None),
    }
}

/// Makes an answer.
pub(super) async fn answer(
    public: &Public,
    _connection: &mut MySqlConnection,
    route: &ApiRoute,
) -> Result<Draft, BuildError> {
    match route {
        ApiRoute::Config => config(public),
    }
}

/// The description of the API (OpenAPI 3.1).
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Panono shop", description = "Catalogue of a shop"),
    components(schemas(Config))
)]
struct Description;

/// The description of the whole API.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// What a client needs to know of the shop.
#[derive(Debug, Serialize, ToSchema)]
struct Config {
    /// Name of the shop.
    name: String,
    /// Languages, the default first.
    locales: Vec<String>,
    /// Currencies (ISO 4217), the default first.
    currencies: Vec<String>,
}

fn config(public: &Public) -> Result<Draft, BuildError> {
    let config = Config {
        name: public.site.name.clone(),
        locales: public
            .site
            .locales
            .iter()
            .map(|locale| locale.tag().to_owned())
            .collect(),
        currencies: public
            .site
            .currencies
            .iter()
            .map(|currency| currency.code().to_owned())
            .collect(),
    };
    json(&config, TagSet::new().with(Tag::settings()))
}

fn json<T: Serialize>(value: &T, tags: TagSet) -> Result<Draft, BuildError> {
    let body = serde_json::to_vec(value).map_err(|error| BuildError::Write(Box::new(error)))?;
    Ok(Draft {
        status: 200,
        content_type: "application/json",
        body: body.into(),
        tags,
        lifetime: LifetimeClass::Content,
        valid_until: None,
        location: None,
        link: None,
    })
}
